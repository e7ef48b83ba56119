//! What is a word, a text, a number or a comment in a line of code.
//!
//! A rough look, for reading a diff: strings, comments, numbers and the keywords of common
//! languages, by the file's extension. It colours and never changes what is shown, so a line it
//! takes wrongly is only coloured wrongly.

mod languages;
#[cfg(test)]
mod tests;

use crate::tui::theme::Role;
pub use languages::{Language, of};

/// Characters of the longest character literal, `'\u{10ffff}'`: a quote with no other so near is
/// none.
const CHARACTER_MAX: usize = 12;

/// A part of a line: the byte behind it, and what it is; nothing for what is nothing special.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub end: usize,
    pub role: Option<Role>,
}

/// Reads the lines of a text one after the other; a comment or a text may go over several.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    language: &'static Language,
    /// What ends the comment or the text that the last line was in.
    inside: Option<(&'static str, Role)>,
}

impl Reader {
    /// Returns a reader at the beginning of a text.
    pub fn new(language: &'static Language) -> Reader {
        Reader { language, inside: None }
    }

    /// Returns the parts of the next line, which together are all of it.
    pub fn line(&mut self, line: &str) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut at = 0;
        while at < line.len() {
            let (len, role) = self.next(line, at);
            // Whatever it was, it goes on: by a character at least.
            let least = line[at..].chars().next().map_or(1, char::len_utf8);
            at += len.max(least);
            push(&mut parts, Part { end: at, role });
        }
        parts
    }

    /// Returns how long the part at a byte is, and what it is.
    fn next(&mut self, line: &str, at: usize) -> (usize, Option<Role>) {
        let rest = &line[at..];
        if let Some((end, role)) = self.inside {
            return self.until(rest, 0, end, role);
        }
        let language = self.language;
        if language.line.iter().any(|it| rest.starts_with(it)) {
            return (rest.len(), Some(Role::CodeComment));
        }
        if let Some((begin, end)) = language.block
            && rest.starts_with(begin)
        {
            return self.until(rest, begin.len(), end, Role::CodeComment);
        }
        if let Some(quotes) = language.long.iter().find(|it| rest.starts_with(**it)) {
            return self.until(rest, quotes.len(), quotes, Role::CodeText);
        }
        let Some(first) = rest.chars().next() else { return (0, None) };
        if language.quotes.contains(first) {
            return quoted(rest, first, language);
        }
        if first.is_ascii_digit() {
            let is = |c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.';
            return (rest.find(is).unwrap_or(rest.len()), Some(Role::CodeNumber));
        }
        if first.is_alphabetic() || first == '_' {
            let is = |c: char| !c.is_alphanumeric() && c != '_';
            let len = rest.find(is).unwrap_or(rest.len());
            let is_word = language.words.split(' ').any(|it| it == &rest[..len]);
            return (len, is_word.then_some(Role::CodeKeyword));
        }
        (first.len_utf8(), None)
    }

    /// Returns the part up to and with `end`, which may stand on a later line.
    fn until(
        &mut self,
        rest: &str,
        from: usize,
        end: &'static str,
        role: Role,
    ) -> (usize, Option<Role>) {
        let found = rest.get(from..).and_then(|it| it.find(end));
        self.inside = found.is_none().then_some((end, role));
        (found.map_or(rest.len(), |it| from + it + end.len()), Some(role))
    }
}

/// Returns the text in quotes that `rest` begins with; it ends with the line at the latest.
fn quoted(rest: &str, quote: char, language: &Language) -> (usize, Option<Role>) {
    // `'a` is a lifetime, `'a'` and `'\n'` are characters.
    let lone = quote == '\'' && language.lifetimes;
    let most = if lone { CHARACTER_MAX } else { usize::MAX };
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1).take(most) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            it if it == quote => {
                let len = at + it.len_utf8();
                let text = !lone || is_character(&rest[1..at]);
                return if text { (len, Some(Role::CodeText)) } else { (1, None) };
            }
            _ => (),
        }
    }
    if lone { (1, None) } else { (rest.len(), Some(Role::CodeText)) }
}

fn is_character(inside: &str) -> bool {
    inside.starts_with('\\') || inside.chars().count() == 1
}

/// Adds a part; one like the last becomes one with it.
fn push(parts: &mut Vec<Part>, part: Part) {
    match parts.last_mut() {
        Some(last) if last.role == part.role => last.end = part.end,
        _ => parts.push(part),
    }
}
