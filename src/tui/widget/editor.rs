//! Text of several lines being written.
//!
//! Lines are kept apart, so a key costs what its line costs, and drawing costs what is drawn. An
//! edit is a replacement with what it replaced, so undoing is replacing back.

pub mod keys;
#[cfg(test)]
mod tests;
pub mod wrap;

use crate::{api::types::PROMPT_MAX, tui::widget::cluster};

/// Edits that can be undone; the oldest is forgotten past it.
const UNDO_MAX: usize = 2000;

/// Text held by edits that can be undone, in bytes; the oldest is forgotten past it.
const UNDO_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A place between two characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    pub line: usize,
    /// Bytes into the line.
    pub at: usize,
}

/// The text, with a cursor.
#[derive(Clone, Debug)]
pub struct Editor {
    /// Never empty.
    lines: Vec<String>,
    cursor: Spot,
    /// Where the selection began, if there is one.
    anchor: Option<Spot>,
    /// The column that moving up and down keeps to.
    goal: Option<u16>,
    /// Bytes of the whole text.
    bytes: usize,
    undo: Vec<Edit>,
    redo: Vec<Edit>,
    /// Bytes held by `undo`.
    held: usize,
    /// What was cut or copied last.
    cut: String,
    /// Columns and rows it is drawn on.
    size: (u16, u16),
    /// The first row drawn: a line and a row of it.
    top: (usize, usize),
    /// Counts changes of the text.
    version: u64,
}

/// A replacement.
#[derive(Clone, Debug)]
struct Edit {
    from: Spot,
    removed: String,
    inserted: String,
    /// Where the cursor was.
    before: Spot,
    /// Whether a further character typed right behind becomes part of it.
    open: bool,
}

/// Why text was not taken as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It held NUL, which no argument can hold; the rest was taken.
    Nul,
    /// It went past the longest prompt; what fits was taken.
    Full,
}

impl Refused {
    /// Returns it in words.
    pub fn why(self) -> &'static str {
        match self {
            Refused::Nul => "NUL cannot be part of a prompt and was left out",
            Refused::Full => "a prompt has at most 1 MiB; the rest was left out",
        }
    }
}

impl Default for Editor {
    fn default() -> Editor {
        Editor::new("")
    }
}

impl Editor {
    /// Returns a text with the cursor at its end.
    pub fn new(text: &str) -> Editor {
        let mut editor = Editor {
            lines: vec![String::new()],
            cursor: Spot::default(),
            anchor: None,
            goal: None,
            bytes: 0,
            undo: Vec::new(),
            redo: Vec::new(),
            held: 0,
            cut: String::new(),
            size: (80, 10),
            top: (0, 0),
            version: 0,
        };
        // Nothing is left out silently: what a session or a file gave was checked there.
        editor.splice(Spot::default(), Spot::default(), text);
        editor.show();
        editor
    }

    /// Returns the whole text.
    pub fn text(&self) -> String {
        self.lines.join("\n")
    }

    /// Tells whether there is nothing but space.
    pub fn is_blank(&self) -> bool {
        self.lines.iter().all(|it| it.trim().is_empty())
    }

    /// Tells whether there is no character.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Returns the length in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns how many lines there are.
    pub fn line_count(&self) -> usize {
        self.lines.len()
    }

    /// Returns a number that changes whenever the text does.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Says what size it is drawn at.
    pub fn fit(&mut self, cols: u16, rows: u16) {
        self.size = (cols, rows);
        self.show();
    }

    /// Replaces the whole text, as one edit that can be undone.
    pub fn set(&mut self, text: &str) -> Option<Refused> {
        self.anchor = Some(Spot::default());
        self.cursor = self.end();
        self.insert(text)
    }

    /// Puts text in place of the selection; line ends of any sort become newlines.
    pub fn paste(&mut self, text: &str) -> Option<Refused> {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        self.insert(&text)
    }

    fn insert(&mut self, text: &str) -> Option<Refused> {
        let mut refused = None;
        let (from, to) = self.selected().unwrap_or((self.cursor, self.cursor));
        let kept = self.bytes - self.slice_len(from, to);
        let mut text = std::borrow::Cow::Borrowed(text);
        if text.contains('\0') {
            text = text.replace('\0', "").into();
            refused = Some(Refused::Nul);
        }
        let room = PROMPT_MAX.saturating_sub(kept);
        if room < text.len() {
            text = text[..text.floor_char_boundary(room)].to_owned().into();
            refused = Some(Refused::Full);
        }
        self.replace(from, to, &text);
        refused
    }

    /// Replaces what lies between two places, and remembers how to undo it.
    fn replace(&mut self, from: Spot, to: Spot, text: &str) {
        if from == to && text.is_empty() {
            self.anchor = None;
            return;
        }
        let before = self.cursor;
        let removed = self.splice(from, to, text);
        self.redo.clear();
        let single = removed.is_empty() && !text.contains(char::is_whitespace);
        let joined = match self.undo.last_mut() {
            Some(last) if single && last.open && last.end() == from => {
                last.inserted.push_str(text);
                true
            }
            _ => false,
        };
        self.held += removed.len() + text.len();
        if !joined {
            let inserted = text.to_owned();
            self.undo.push(Edit { from, removed, inserted, before, open: single });
        }
        while UNDO_MAX < self.undo.len() || (UNDO_BYTES_MAX < self.held && 1 < self.undo.len()) {
            let oldest = self.undo.remove(0);
            self.held -= oldest.removed.len() + oldest.inserted.len();
        }
        self.show();
    }

    /// Takes back the last edit; tells whether there was one.
    pub fn undo(&mut self) -> bool {
        let Some(edit) = self.undo.pop() else { return false };
        self.held -= edit.removed.len() + edit.inserted.len();
        self.splice(edit.from, edit.end(), &edit.removed);
        self.cursor = edit.before;
        self.snap();
        self.redo.push(edit);
        self.show();
        true
    }

    /// Does again what was taken back last; tells whether there was something.
    pub fn redo(&mut self) -> bool {
        let Some(mut edit) = self.redo.pop() else { return false };
        let to = Spot::after(edit.from, &edit.removed);
        self.splice(edit.from, to, &edit.inserted);
        self.held += edit.removed.len() + edit.inserted.len();
        edit.open = false;
        self.undo.push(edit);
        self.show();
        true
    }

    /// Replaces what lies between two places and returns it; the cursor goes behind the new text.
    fn splice(&mut self, from: Spot, to: Spot, text: &str) -> String {
        let removed = self.slice(from, to);
        self.bytes = self.bytes - removed.len() + text.len();
        let tail = self.lines[to.line].split_off(to.at);
        let end = Spot::after(from, text);
        let mut fresh = text.split('\n');
        if to.line != from.line {
            self.lines.drain(from.line + 1..=to.line);
        }
        self.lines[from.line].truncate(from.at);
        self.lines[from.line].push_str(fresh.next().unwrap_or_default());
        let at = from.line + 1;
        self.lines.splice(at..at, fresh.map(str::to_owned));
        self.lines[end.line].push_str(&tail);
        self.cursor = end;
        self.snap();
        self.anchor = None;
        self.goal = None;
        self.version += 1;
        removed
    }

    /// What was typed may have joined what stood behind it to one character.
    fn snap(&mut self) {
        let Spot { line, at } = self.cursor;
        self.cursor.at = cluster::snap(&self.lines[line], at);
    }

    /// Returns the selection, its start first.
    fn selected(&self) -> Option<(Spot, Spot)> {
        let anchor = self.anchor.filter(|it| *it != self.cursor)?;
        Some((anchor.min(self.cursor), anchor.max(self.cursor)))
    }

    fn slice(&self, from: Spot, to: Spot) -> String {
        if from.line == to.line {
            return self.lines[from.line][from.at..to.at].to_owned();
        }
        let mut text = self.lines[from.line][from.at..].to_owned();
        for line in &self.lines[from.line + 1..to.line] {
            text.push('\n');
            text.push_str(line);
        }
        text.push('\n');
        text.push_str(&self.lines[to.line][..to.at]);
        text
    }

    fn slice_len(&self, from: Spot, to: Spot) -> usize {
        if from.line == to.line {
            return to.at - from.at;
        }
        let between: usize = self.lines[from.line + 1..to.line].iter().map(|it| it.len() + 1).sum();
        self.lines[from.line].len() - from.at + between + 1 + to.at
    }

    fn end(&self) -> Spot {
        let line = self.lines.len() - 1;
        Spot { line, at: self.lines[line].len() }
    }
}

impl Spot {
    /// Returns where a text ends that starts at `from`.
    fn after(from: Spot, text: &str) -> Spot {
        match text.rfind('\n') {
            Some(last) => Spot {
                line: from.line + text.bytes().filter(|it| *it == b'\n').count(),
                at: text.len() - last - 1,
            },
            None => Spot { line: from.line, at: from.at + text.len() },
        }
    }
}

impl Edit {
    fn end(&self) -> Spot {
        Spot::after(self.from, &self.inserted)
    }
}
