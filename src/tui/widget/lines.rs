//! Long text on few rows: lines with looks, wrapped, scrolled, searched and drawn.
//!
//! A place in the text is a line and a row of that line, so nothing needs to know how many rows all
//! lines make together: only lines near those drawn are ever wrapped.

use std::{ops::Range, sync::Arc};

use ratatui::style::Style;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::{
    stdx::text::printable,
    tui::canvas::{self, Canvas, Extra},
    vt::{cell::Underline, text},
};

/// Columns between tab stops, as terminals have them.
const TAB: usize = 8;

/// The longest line that is kept, in bytes; what is longer is cut and says so.
const LINE_MAX: usize = 256 * 1024;

/// The longest address a cell may link to, in bytes; a longer one is shown as text only.
const LINK_MAX: usize = 2048;

/// A line with its looks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rich {
    /// The text: no control characters.
    pub text: String,
    /// Its pieces, in order; text behind the last has no look of its own.
    pub pieces: Vec<Piece>,
}

/// A part of a line that looks alike.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Piece {
    /// The byte behind it.
    pub end: usize,
    pub style: Style,
    pub underline: Underline,
    pub link: Option<Arc<str>>,
}

impl Rich {
    /// Returns a line of one look, made fit to show.
    pub fn plain(text: &str, style: Style) -> Rich {
        let text = clean(text);
        let pieces = vec![Piece { end: text.len(), style, ..Piece::default() }];
        Rich { text, pieces }
    }

    /// Returns a line of a terminal.
    pub fn terminal(line: &text::Line) -> Rich {
        let mut rich = Rich::default();
        for span in &line.spans {
            if LINE_MAX < rich.text.len() + span.text.len() {
                break;
            }
            rich.text.push_str(&clean(&span.text));
            let link = span.link.clone().filter(|it| safe_link(it));
            rich.pieces.push(Piece {
                end: rich.text.len(),
                style: canvas::style_of(&span.look),
                underline: span.look.underline,
                link,
            });
        }
        let kept = rich.text.trim_end().len();
        // Blanks at the end of a terminal's row are no text, unless they have a colour.
        if rich.pieces.iter().all(|it| it.end <= kept || it.style.bg.is_none_or(is_reset)) {
            rich.text.truncate(kept);
        }
        rich
    }

    /// Returns about how much memory it takes, in bytes.
    pub fn size(&self) -> usize {
        size_of::<Rich>() + self.text.capacity() + self.pieces.capacity() * size_of::<Piece>()
    }
}

/// Reads the lines of a terminal one after the other; looks carry over line ends, as tmux hands
/// them out.
#[derive(Default)]
pub struct Ink(text::Reader);

impl std::fmt::Debug for Ink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ink").finish_non_exhaustive()
    }
}

impl Ink {
    /// Returns the next line.
    pub fn line(&mut self, line: &str) -> Rich {
        Rich::terminal(&self.0.line(line.as_bytes()))
    }
}

fn is_reset(color: ratatui::style::Color) -> bool {
    color == ratatui::style::Color::Reset
}

/// Returns one line made fit to show: tabs become blanks, control characters `�`.
pub fn clean(text: &str) -> String {
    // Nearly every line is plain, and looking for clusters costs much more than looking for none.
    if text.len() <= LINE_MAX && text.bytes().all(|it| (b' '..=b'~').contains(&it)) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let shown = printable(text);
    for cluster in shown.graphemes(true) {
        if LINE_MAX < out.len() {
            out.push('…');
            break;
        }
        match cluster {
            "\t" => {
                let blanks = TAB - at % TAB;
                out.extend(std::iter::repeat_n(' ', blanks));
                at += blanks;
            }
            "\n" | "\r\n" => out.push(' '),
            it => {
                out.push_str(it);
                at += it.width();
            }
        }
    }
    out
}

/// Tells whether an address from outside may become a link.
pub fn safe_link(address: &str) -> bool {
    let known = ["http://", "https://", "file://", "mailto:"];
    address.len() <= LINK_MAX
        && known
            .iter()
            .any(|it| address.get(..it.len()).is_some_and(|at| at.eq_ignore_ascii_case(it)))
        && !address.chars().any(|it| it.is_control() || it.is_whitespace())
}

/// Where a line may be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// At its end of the row, as a terminal does.
    Anywhere,
    /// Behind a blank where there is one, as prose wants it.
    Blanks,
    /// Nowhere: what does not fit is cut.
    Never,
}

/// Returns the bytes of each row of a line; at least one row.
pub fn wrap(text: &str, width: u16, at: Break) -> Vec<Range<usize>> {
    let width = usize::from(width.max(1));
    if at == Break::Never || (text.len() <= width && text.is_ascii()) {
        return std::iter::once(0..text.len()).collect();
    }
    let mut rows = Vec::new();
    let (mut start, mut used, mut blank) = (0, 0, None);
    for (offset, cluster) in text.grapheme_indices(true) {
        let columns = cluster.width();
        if width < used + columns && start < offset {
            let cut = blank.filter(|it| at == Break::Blanks && start < *it).unwrap_or(offset);
            rows.push(start..cut);
            used = text[cut..offset].width();
            (start, blank) = (cut, None);
        }
        used += columns;
        if cluster == " " {
            blank = Some(offset + 1);
        }
    }
    rows.push(start..text.len());
    rows
}

/// A row of a text: the first one drawn, for the most part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Top {
    pub line: usize,
    /// The row of that line.
    pub row: usize,
}

/// What scrolling has to know: how many lines there are, how many rows each takes, and how many
/// rows are drawn.
pub struct Paper<'a> {
    pub len: usize,
    pub height: &'a dyn Fn(usize) -> usize,
    pub view: usize,
}

impl Paper<'_> {
    /// Returns the row `by` rows further, at most the one that has the end at the bottom.
    pub fn forward(&self, top: Top, by: usize) -> Top {
        let mut at = top;
        let mut left = by;
        while at.line < self.len {
            let rows = (self.height)(at.line).saturating_sub(at.row).max(1);
            if left < rows {
                at.row += left;
                break;
            }
            left -= rows;
            at = Top { line: at.line + 1, row: 0 };
        }
        at.min(self.last())
    }

    /// Returns the row `by` rows before.
    pub fn back(&self, top: Top, by: usize) -> Top {
        let mut at = top;
        let mut left = by;
        while 0 < left {
            if left <= at.row {
                at.row -= left;
                return at;
            }
            left -= at.row;
            if at.line == 0 {
                return Top::default();
            }
            at.line -= 1;
            at.row = (self.height)(at.line);
        }
        at
    }

    /// Returns the first row drawn if the end is at the bottom.
    pub fn last(&self) -> Top {
        self.back(Top { line: self.len, row: 0 }, self.view.max(1))
    }

    /// Returns the row from which on `line` is drawn, as near to `top` as can be.
    pub fn reveal(&self, top: Top, line: usize) -> Top {
        let line = line.min(self.len.saturating_sub(1));
        let first = Top { line, row: 0 };
        if first <= top {
            return first;
        }
        let end = Top { line: line + 1, row: 0 };
        top.max(self.back(end, self.view.max(1)).min(first))
    }

    /// Returns the line drawn on a row of the view.
    pub fn line_at(&self, top: Top, row: usize) -> usize {
        let mut left = row + top.row;
        for line in top.line..self.len {
            let rows = (self.height)(line).max(1);
            if left < rows {
                return line;
            }
            left -= rows;
        }
        self.len.saturating_sub(1)
    }
}

/// What is searched for: without regard to case unless it has capitals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    needle: String,
    folded: Option<Vec<char>>,
}

impl Pattern {
    /// Returns the pattern of a text; nothing for an empty one.
    pub fn new(needle: &str) -> Option<Pattern> {
        if needle.is_empty() {
            return None;
        }
        let folds = !needle.chars().any(char::is_uppercase);
        let folded = folds.then(|| needle.chars().flat_map(char::to_lowercase).collect());
        Some(Pattern { needle: needle.to_owned(), folded })
    }

    /// Returns what was typed.
    pub fn text(&self) -> &str {
        &self.needle
    }

    /// Tells whether a text holds it.
    pub fn is_in(&self, text: &str) -> bool {
        match &self.folded {
            Some(_) if text.is_ascii() && self.needle.is_ascii() => {
                let (hay, needle) = (text.as_bytes(), self.needle.as_bytes());
                hay.windows(needle.len()).any(|it| it.eq_ignore_ascii_case(needle))
            }
            Some(folded) => text.char_indices().any(|(at, _)| folds_at(text, at, folded).is_some()),
            None => text.contains(&self.needle),
        }
    }

    /// Returns where a text holds it, without overlaps.
    pub fn find(&self, text: &str) -> Vec<Range<usize>> {
        let Some(folded) = &self.folded else {
            return text.match_indices(&self.needle).map(|(at, it)| at..at + it.len()).collect();
        };
        let mut found: Vec<Range<usize>> = Vec::new();
        for (at, _) in text.char_indices() {
            if found.last().is_none_or(|it| it.end <= at)
                && let Some(end) = folds_at(text, at, folded)
            {
                found.push(at..end);
            }
        }
        found
    }
}

/// Returns the byte behind the match that begins at `at`.
fn folds_at(text: &str, at: usize, folded: &[char]) -> Option<usize> {
    let mut wanted = folded.iter();
    for (offset, c) in text[at..].char_indices() {
        for lower in c.to_lowercase() {
            match wanted.next() {
                Some(it) if *it == lower => (),
                Some(_) => return None,
                // The needle ends within the lower case of one character.
                None => return Some(at + offset + c.len_utf8()),
            }
        }
        if wanted.as_slice().is_empty() {
            return Some(at + offset + c.len_utf8());
        }
    }
    None
}

/// Where a row is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Spot {
    pub x: u16,
    pub y: u16,
    pub width: u16,
}

/// Draws one row of a line, matches in a look of their own, and returns the column behind it.
pub fn draw(
    canvas: &mut Canvas,
    spot: Spot,
    line: &Rich,
    row: Range<usize>,
    (matches, found): (&[Range<usize>], Style),
) -> u16 {
    let mut x = spot.x;
    let right = spot.x.saturating_add(spot.width);
    let mut at = row.start;
    let mut piece = line.pieces.partition_point(|it| it.end <= at);
    while at < row.end && x < right {
        let looks = line.pieces.get(piece);
        let end = looks.map_or(row.end, |it| it.end.min(row.end));
        let hit = matches.iter().find(|it| at < it.end && it.start < end);
        let (end, is_hit) = match hit {
            Some(it) if it.start <= at => (end.min(it.end), true),
            Some(it) => (it.start, false),
            None => (end, false),
        };
        let Some(text) = line.text.get(at..end) else { break };
        let mut style = looks.map(|it| it.style).unwrap_or_default();
        if is_hit {
            style = style.patch(found);
        }
        let after = canvas.text(x, spot.y, right - x, text, style);
        if let Some(looks) = looks {
            extras(canvas, looks, x..after, spot.y);
        }
        if after == x && !text.is_empty() && unicode_width::UnicodeWidthStr::width(text) != 0 {
            break;
        }
        x = after;
        at = end;
        while line.pieces.get(piece).is_some_and(|it| it.end <= at) {
            piece += 1;
        }
    }
    x
}

fn extras(canvas: &mut Canvas, looks: &Piece, columns: Range<u16>, y: u16) {
    let plain = matches!(looks.underline, Underline::None | Underline::Single);
    if plain && looks.link.is_none() {
        return;
    }
    let link = looks.link.as_deref().map_or(0, |it| canvas.link(it));
    for x in columns {
        canvas.set_extra(x, y, Extra { underline: looks.underline, link });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, width: u16, at: Break) -> Vec<&str> {
        wrap(text, width, at).into_iter().map(|it| &text[it]).collect()
    }

    #[test]
    fn lines_wrap_by_what_they_are_wide() {
        assert_eq!(rows("", 4, Break::Anywhere), [""]);
        assert_eq!(rows("abcdefghi", 4, Break::Anywhere), ["abcd", "efgh", "i"]);
        assert_eq!(rows("漢字漢字", 5, Break::Anywhere), ["漢字", "漢字"]);
        assert_eq!(rows("漢字", 1, Break::Anywhere), ["漢", "字"]);
        assert_eq!(rows("one two three", 8, Break::Blanks), ["one two ", "three"]);
        assert_eq!(rows("aaaaaaaaaa bb", 4, Break::Blanks), ["aaaa", "aaaa", "aa ", "bb"]);
        assert_eq!(rows("a line that is cut", 4, Break::Never), ["a line that is cut"]);
    }

    #[test]
    fn scrolling_knows_only_lines_nearby() {
        let heights = [1, 3, 1, 2];
        let paper = Paper { len: 4, height: &|it| heights[it], view: 3 };
        let at = |line, row| Top { line, row };
        assert_eq!(paper.last(), at(2, 0));
        assert_eq!(paper.forward(at(0, 0), 2), at(1, 1));
        assert_eq!(paper.forward(at(0, 0), 99), at(2, 0));
        assert_eq!(paper.back(at(2, 0), 2), at(1, 1));
        assert_eq!(paper.back(at(2, 0), 99), at(0, 0));
        assert_eq!(paper.reveal(at(0, 0), 2), at(1, 1));
        assert_eq!(paper.reveal(at(2, 0), 1), at(1, 0));
        assert_eq!(paper.line_at(at(1, 1), 2), 2);
    }

    #[test]
    fn a_search_minds_case_only_if_it_has_capitals() {
        let found = |needle: &str, text: &str| Pattern::new(needle).unwrap().find(text);
        assert_eq!(found("err", "Error: stderr"), [0..3, 10..13]);
        assert_eq!(found("Err", "Error: stderr"), std::iter::once(0..3).collect::<Vec<_>>());
        assert_eq!(found("é", "ÉTÉ"), [0..2, 3..5]);
        assert_eq!(found("aa", "aaaa"), [0..2, 2..4]);
        assert!(Pattern::new("").is_none());
        assert!(Pattern::new("é").unwrap().is_in("ÉTÉ"));
    }

    #[test]
    fn only_harmless_addresses_are_links() {
        assert!(safe_link("https://example.org/a?b=c"));
        assert!(safe_link("FILE:///tmp/x"));
        for bad in ["javascript:alert(1)", "https://a\x1b]0;x\x07", "https://a b", "ssh://h", "é"]
        {
            assert!(!safe_link(bad), "{bad:?}");
        }
    }

    #[test]
    fn tabs_stop_where_terminals_stop_them() {
        assert_eq!(clean("ab\tc\x1b[2J"), "ab      c\u{fffd}[2J");
    }
}
