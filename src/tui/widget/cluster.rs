//! What a person calls a character: its borders, its words, its columns.
//!
//! Offsets are bytes. Nothing here looks further than it must, so long lines stay fast.

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};
use unicode_width::UnicodeWidthStr;

/// Columns from one tab stop to the next.
pub const TAB: u16 = 4;

/// Returns the border after `at`, or the end.
pub fn next(text: &str, at: usize) -> usize {
    let mut cursor = GraphemeCursor::new(at, text.len(), true);
    cursor.next_boundary(text, 0).ok().flatten().unwrap_or(text.len())
}

/// Returns the border before `at`, or the start.
pub fn before(text: &str, at: usize) -> usize {
    let mut cursor = GraphemeCursor::new(at, text.len(), true);
    cursor.prev_boundary(text, 0).ok().flatten().unwrap_or(0)
}

/// Returns the nearest border at or after `at`.
pub fn snap(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at += 1;
    }
    let whole = GraphemeCursor::new(at, text.len(), true).is_boundary(text, 0);
    if whole.unwrap_or(true) { at } else { next(text, at) }
}

/// Returns where the word ends that `at` is in or before.
pub fn word_next(text: &str, at: usize) -> usize {
    let mut seen = false;
    for (offset, cluster) in text[at..].grapheme_indices(true) {
        match is_word(cluster) {
            true => seen = true,
            false if seen => return at + offset,
            false => (),
        }
    }
    text.len()
}

/// Returns where the word starts that `at` is in or after.
pub fn word_before(text: &str, at: usize) -> usize {
    let mut start = None;
    for (offset, cluster) in text[..at].grapheme_indices(true).rev() {
        match (is_word(cluster), start) {
            (true, _) => start = Some(offset),
            (false, Some(start)) => return start,
            (false, None) => (),
        }
    }
    start.unwrap_or(0)
}

/// Returns where the run of non-spaces starts that `at` is in or after, as Ctrl+W takes it.
pub fn chunk_before(text: &str, at: usize) -> usize {
    let head = text[..at].trim_end();
    let start = head.char_indices().rev().find(|it| it.1.is_whitespace());
    start.map_or(0, |(offset, c)| offset + c.len_utf8())
}

fn is_word(cluster: &str) -> bool {
    cluster.chars().next().is_some_and(|it| it.is_alphanumeric() || it == '_')
}

/// Returns the columns a cluster takes where it starts at column `col`.
pub fn columns(cluster: &str, col: u16) -> u16 {
    if cluster == "\t" {
        return TAB - col % TAB;
    }
    if cluster.chars().any(char::is_control) {
        return 1;
    }
    u16::try_from(cluster.width()).unwrap_or(u16::MAX)
}

/// Returns what is drawn for a cluster; a tab is drawn as its columns of spaces by the caller.
pub fn shown(cluster: &str) -> &str {
    if cluster == "\t" { " " } else { cluster }
}
