//! Text from outside, made fit to show.

/// Returns at most `max` characters of the first lines of `text` as one line, control characters
/// replaced, with `…` where something was cut.
pub fn one_line(text: &str, max: usize) -> String {
    let mut out = String::new();
    let mut count = 0;
    let mut space = false;
    for c in text.trim().chars() {
        if c.is_whitespace() {
            space = true;
            continue;
        }
        if space && count != 0 {
            out.push(' ');
            count += 1;
        }
        space = false;
        if max <= count {
            out.push('…');
            break;
        }
        out.push(if is_unsafe(c) { '\u{fffd}' } else { c });
        count += 1;
    }
    out
}

/// Returns `text` with everything that could steer a terminal replaced, newlines and tabs kept.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if is_unsafe(c) && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c })
        .collect()
}

/// Control characters, and the marks that reorder text on screen (CVE-2021-42574).
fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns up to three of `candidates` that `word` may have been meant as, nearest first.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut scored: Vec<(f64, &str)> = candidates
        .into_iter()
        .map(|it| (strsim::jaro_winkler(word, it), it))
        .filter(|(score, _)| 0.75 < *score)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    scored.truncate(3);
    scored.into_iter().map(|(_, it)| it).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_becomes_one_safe_line() {
        assert_eq!(one_line("  a\n\tb \x1b[2Jc", 80), "a b \u{fffd}[2Jc");
        assert_eq!(one_line("abcdef", 3), "abc…");
        assert_eq!(one_line("", 3), "");
    }

    #[test]
    fn the_nearest_word_comes_first() {
        assert_eq!(
            nearest("warning_treshold", ["warning_threshold", "on_exceeded"]),
            ["warning_threshold"]
        );
    }
}
