//! Prompts that were sent, kept one JSON string a line, so that a prompt of many lines is one.

use std::collections::HashSet;

/// Prompts that are kept; the oldest is forgotten past it.
pub const KEPT_MAX: usize = 500;

/// Bytes of a history; the oldest prompts are forgotten past it.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Returns the prompts of a file, newest first, each once. Lines that are none are skipped.
pub fn read(file: Option<&str>) -> Vec<String> {
    let mut seen = HashSet::new();
    let lines = file.unwrap_or_default().lines().rev();
    let prompts = lines.filter_map(|it| serde_json::from_str::<String>(it).ok());
    prompts.filter(|it| !it.trim().is_empty() && seen.insert(it.clone())).take(KEPT_MAX).collect()
}

/// Returns the file with one more prompt.
pub fn with(prompts: &[String], newest: &str) -> String {
    let mut kept = vec![newest];
    let mut bytes = newest.len();
    for it in prompts.iter().filter(|it| *it != newest).take(KEPT_MAX - 1) {
        bytes += it.len();
        if BYTES_MAX < bytes {
            break;
        }
        kept.push(it);
    }
    let mut file = String::new();
    for it in kept.iter().rev() {
        // A string always has a JSON form.
        file.push_str(&serde_json::to_string(it).unwrap_or_default());
        file.push('\n');
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_of_many_lines_survive_and_each_is_there_once() {
        let mut prompts = Vec::new();
        for it in ["a\nb", "c\u{1b}\"", "a\nb"] {
            prompts = read(Some(&with(&prompts, it)));
        }
        assert_eq!(prompts, ["a\nb", "c\u{1b}\""]);
        assert_eq!(read(Some("no json\n\"x\"\n")), ["x"]);
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let prompts: Vec<String> = (0..KEPT_MAX).map(|it| it.to_string()).collect();
        let after = read(Some(&with(&prompts, "new")));
        assert_eq!((after.len(), &*after[0], &*after[499]), (500, "new", "498"));
    }
}
