//! The lines of a log that are held: a window on something that may have a gigabyte.
//!
//! It grows at both ends and is cut at the end far from where one looks. What was cut from the
//! front can be read again by its position; what was cut from the end is remembered as pages, so
//! that scrolling down finds it again.

use std::collections::VecDeque;

use crate::{
    api::types::LogLine,
    stdx::{text::one_line, time::Timestamp},
    tui::widget::lines::{Ink, Rich},
};

/// Rows of text that are held at most; a log line may have several.
pub const ITEMS_MAX: usize = 20_000;

/// Bytes that they may take.
pub const BYTES_MAX: usize = 8 * 1024 * 1024;

/// Log lines read at once.
pub const PAGE: usize = 500;

/// The longest row of text, in bytes; a longer one goes on in the next, so that no line costs more
/// than the screen to wrap.
const ROW_MAX: usize = 4096;

/// One row of text of a log line.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub at: Option<Timestamp>,
    /// What sort of line; fit to show.
    pub kind: String,
    /// Whether it is the line's first.
    pub head: bool,
    pub line: Rich,
    pub pos: Option<u64>,
    pub marked: bool,
}

/// Lines cut from the end: so many before a position, or up to the live end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    pub before: Option<u64>,
    pub count: usize,
}

/// The lines held.
#[derive(Debug, Default)]
pub struct Buffer {
    items: VecDeque<Item>,
    bytes: usize,
    /// Whether there may be older ones to read.
    pub older: bool,
    /// What was cut from the end, the farthest first.
    pub cut: Vec<Cut>,
    /// The first line that was cut from the end; nothing if the end is held.
    pub after: Option<u64>,
    ink: Ink,
}

impl Buffer {
    /// Returns how many rows of text there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Returns a row of text.
    pub fn get(&self, at: usize) -> Option<&Item> {
        self.items.get(at)
    }

    /// Returns a row of text to change.
    pub fn get_mut(&mut self, at: usize) -> Option<&mut Item> {
        self.items.get_mut(at)
    }

    /// Returns how many log lines are held.
    pub fn lines(&self) -> usize {
        self.items.iter().filter(|it| it.head).count()
    }

    /// Returns the position before which older lines stand.
    pub fn first(&self) -> Option<u64> {
        self.items.iter().find_map(|it| it.pos)
    }

    /// Adds lines at the end; `terminal` ones have escapes.
    pub fn append(&mut self, lines: Vec<LogLine>, terminal: bool) {
        for line in lines {
            self.older |= line.pos.is_some_and(|it| 0 < it) && self.items.is_empty();
            let items = if terminal { inked(&mut self.ink, line) } else { plain(line) };
            self.bytes += items.iter().map(size).sum::<usize>();
            self.items.extend(items);
        }
    }

    /// Adds older lines at the front, and returns how many rows of text they have.
    pub fn prepend(&mut self, lines: Vec<LogLine>) -> usize {
        let mut count = 0;
        for line in lines.into_iter().rev() {
            for item in plain(line).into_iter().rev() {
                self.bytes += size(&item);
                self.items.push_front(item);
                count += 1;
            }
        }
        count
    }

    fn full(&self) -> bool {
        ITEMS_MAX < self.items.len() || BYTES_MAX < self.bytes
    }

    /// Cuts from the front until it is no more than it may be; returns how many rows went.
    pub fn cut_front(&mut self) -> usize {
        let mut count = 0;
        // A line is cut whole: its position is that of its first row.
        while self.full() || (0 < count && self.items.front().is_some_and(|it| !it.head)) {
            let Some(item) = self.items.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(size(&item));
            count += 1;
        }
        self.older |= 0 < count && self.first().is_some();
        count
    }

    /// Cuts pages from the end until it is no more than it may be; tells whether any went.
    pub fn cut_back(&mut self) -> bool {
        let mut any = false;
        while self.full() && !self.items.is_empty() {
            let mut count = 0;
            let mut pos = None;
            while count < PAGE
                && let Some(item) = self.items.pop_back()
            {
                self.bytes = self.bytes.saturating_sub(size(&item));
                if item.head {
                    count += 1;
                    pos = item.pos;
                }
            }
            self.cut.push(Cut { before: self.after, count });
            self.after = pos;
            any = true;
        }
        any
    }
}

fn size(item: &Item) -> usize {
    size_of::<Item>() + item.line.size() + item.kind.capacity()
}

fn plain(line: LogLine) -> Vec<Item> {
    let style = ratatui::style::Style::new();
    let kind = one_line(&line.kind, 8);
    let mut items = Vec::new();
    let text = line.text.trim_end();
    // Even an empty line is one.
    let rows = text.lines().chain(text.is_empty().then_some(""));
    for row in rows.flat_map(pieces) {
        items.push(Item {
            at: line.at,
            kind: kind.clone(),
            head: items.is_empty(),
            line: Rich::plain(row, style),
            pos: line.pos,
            marked: false,
        });
    }
    items
}

fn inked(ink: &mut Ink, line: LogLine) -> Vec<Item> {
    let head = Item {
        at: None,
        kind: String::new(),
        head: true,
        line: ink.line(&line.text),
        pos: None,
        marked: false,
    };
    vec![head]
}

/// Divides a long row.
fn pieces(row: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = row;
    while ROW_MAX < rest.len() {
        let at = rest.floor_char_boundary(ROW_MAX);
        let (head, tail) = rest.split_at(at);
        out.push(head);
        rest = tail;
    }
    out.push(rest);
    out
}
