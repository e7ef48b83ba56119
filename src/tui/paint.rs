//! Two frames in, the bytes that make one of the other out. Pure.
//!
//! Every frame's bytes begin by saying where the cursor goes and end with plain text attributes
//! and no open link, so frames do not depend on each other's pens. Where terminals disagree about
//! the width of a character, the cursor is placed anew after it and what may be left of its
//! neighbours is drawn again.

mod pen;

use std::fmt::Write;

use ratatui::layout::{Position, Rect};
use unicode_width::UnicodeWidthStr;

use crate::{
    tui::{
        canvas::{Canvas, CursorAt},
        paint::pen::Pen,
    },
    vt::screen::CursorShape,
};

/// Begins and ends what a terminal should show at once.
const BEGIN: &str = "\x1b[?2026h";
const END: &str = "\x1b[?2026l";

/// From so many blank cells up to the right edge on, they are erased rather than written.
const ERASE_FROM: usize = 6;

/// Returns the bytes that turn a terminal that shows `before` into one that shows `now`; none if
/// they are alike. Without `before`, or if its size differs, nothing is taken to be shown.
pub fn paint(before: Option<&Canvas>, now: &Canvas) -> String {
    let before = before.filter(|it| it.area() == now.area());
    let mut out = Paint::default();
    if before.is_none() {
        out.text.push_str("\x1b[0m\x1b[2J");
    }
    let blank;
    let shown = match before {
        Some(it) => it,
        None => {
            blank = Canvas::new(now.area());
            &blank
        }
    };
    let mut rows = Rows::default();
    for y in 0..now.area().height {
        out.row(&mut rows, shown, now, y);
    }
    out.pen(&Pen::default());
    let cursor_before = before.map(|it| it.cursor);
    if out.text.is_empty() && cursor_before == Some(now.cursor) {
        return String::new();
    }
    out.finish(cursor_before.flatten(), now.cursor)
}

/// A cell as it is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Drawn<'a> {
    text: &'a str,
    /// Columns; zero where a wide character before it reaches.
    width: u16,
    pen: Pen<'a>,
    /// Whether terminals disagree about its width.
    doubtful: bool,
}

/// One row of both frames, kept so that no row allocates.
#[derive(Default)]
struct Rows<'a> {
    before: Vec<Drawn<'a>>,
    now: Vec<Drawn<'a>>,
}

#[derive(Default)]
struct Paint<'a> {
    text: String,
    pen: Pen<'a>,
    /// Where the terminal's cursor is, if that is known.
    at: Option<Position>,
}

impl<'a> Paint<'a> {
    fn row(&mut self, rows: &mut Rows<'a>, before: &'a Canvas, now: &'a Canvas, y: u16) {
        read_row(&mut rows.before, before, y);
        read_row(&mut rows.now, now, y);
        if rows.before == rows.now {
            return;
        }
        let width = rows.now.len();
        let tail = blank_tail(&rows.now);
        // Cells that may hold the rest of a character drawn wider than it was taken to be.
        let mut spoilt = 0;
        let mut x = 0;
        while x < width {
            let (old, new) = (rows.before[x], rows.now[x]);
            let columns = usize::from(new.width.max(1));
            let same = old == new
                && (x..x + columns).all(|it| {
                    rows.before.get(it).map(|it| it.width) == rows.now.get(it).map(|it| it.width)
                });
            if new.width == 0 || (same && spoilt <= x) {
                x += 1;
                continue;
            }
            if old.doubtful || new.doubtful {
                spoilt = spoilt.max(x + usize::from(old.width.max(new.width)) + 1);
            }
            let place = Position { x: u16::try_from(x).unwrap_or(u16::MAX), y };
            if tail <= x && ERASE_FROM <= width - x {
                self.go(place);
                self.pen(&Pen::default());
                self.text.push_str("\x1b[K");
                return;
            }
            self.cell(place, &new, now.area());
            x += columns;
        }
    }

    fn cell(&mut self, place: Position, cell: &Drawn<'a>, area: Rect) {
        self.go(place);
        self.pen(&cell.pen);
        if cell.doubtful {
            // A terminal that takes it for narrower leaves what was there beside it.
            (0..cell.width).for_each(|_| self.text.push(' '));
            self.at = None;
            self.go(place);
        }
        self.text.push_str(cell.text);
        let after = place.x + cell.width;
        // In the last column terminals differ in where the cursor is.
        let known = !cell.doubtful && after < area.width;
        self.at = known.then_some(Position { x: after, y: place.y });
    }

    /// Moves the cursor, by the shorter of the ways there are.
    fn go(&mut self, to: Position) {
        match self.at {
            Some(at) if at == to => (),
            Some(at) if at.y == to.y && at.x < to.x => {
                self.escape(to.x - at.x, 'C');
            }
            Some(at) if to.x == 0 && at.y + 1 == to.y => self.text.push_str("\r\n"),
            _ if to.x == 0 => self.escape(to.y + 1, 'H'),
            _ => {
                let _ = write!(self.text, "\x1b[{};{}H", to.y + 1, to.x + 1);
            }
        }
        self.at = Some(to);
    }

    fn escape(&mut self, number: u16, last: char) {
        self.text.push_str("\x1b[");
        if number != 1 {
            let _ = write!(self.text, "{number}");
        }
        self.text.push(last);
    }

    fn pen(&mut self, pen: &Pen<'a>) {
        self.pen.change(pen, &mut self.text);
    }

    /// Puts the cursor where it belongs, and everything into one update.
    fn finish(mut self, before: Option<CursorAt>, now: Option<CursorAt>) -> String {
        let mut whole = String::with_capacity(self.text.len() + 64);
        whole.push_str(BEGIN);
        // Terminals without updates would show it running about.
        if before.is_some() {
            whole.push_str("\x1b[?25l");
        }
        if let Some(it) = now {
            self.at = None;
            self.go(it.at);
            if before.is_none_or(|was| (was.shape, was.blink) != (it.shape, it.blink)) {
                self.text.push_str(shape(it.shape, it.blink));
            }
            self.text.push_str("\x1b[?25h");
        }
        whole.push_str(&self.text);
        whole.push_str(END);
        whole
    }
}

fn shape(shape: CursorShape, blink: bool) -> &'static str {
    match (shape, blink) {
        (CursorShape::Block, true) => "\x1b[1 q",
        (CursorShape::Block, false) => "\x1b[2 q",
        (CursorShape::Underline, true) => "\x1b[3 q",
        (CursorShape::Underline, false) => "\x1b[4 q",
        (CursorShape::Bar, true) => "\x1b[5 q",
        (CursorShape::Bar, false) => "\x1b[6 q",
    }
}

/// Returns from which column on there is nothing but blanks.
fn blank_tail(row: &[Drawn<'_>]) -> usize {
    let blank = |it: &Drawn<'_>| it.text == " " && it.width == 1 && it.pen == Pen::default();
    row.len() - row.iter().rev().take_while(|it| blank(it)).count()
}

/// Reads a row: a wide character hides the cell after it, and one that does not fit is a blank.
fn read_row<'a>(row: &mut Vec<Drawn<'a>>, canvas: &'a Canvas, y: u16) {
    row.clear();
    let area = canvas.area();
    let start = usize::from(y) * usize::from(area.width);
    let end = start + usize::from(area.width);
    let cells = canvas.buf.content.get(start..end).unwrap_or_default();
    let mut hidden = 0;
    for (x, cell) in cells.iter().enumerate() {
        let extra = canvas.extra.get(start + x).copied().unwrap_or_default();
        let pen = Pen::of(cell, extra, &canvas.links);
        if hidden > 0 {
            hidden -= 1;
            // Only its place matters; it shows nothing of its own.
            row.push(Drawn { text: "", width: 0, pen: Pen::default(), doubtful: false });
            continue;
        }
        let (text, width) = shown(cell.symbol(), cells.len() - x);
        hidden = width - 1;
        row.push(Drawn { text, width, pen, doubtful: is_doubtful(text) });
    }
}

/// Returns what is drawn for a cell's text and how many columns it takes. Control characters never
/// get this far by any way through [`Canvas`], and are blanks here all the same.
fn shown(text: &str, room: usize) -> (&str, u16) {
    match text.as_bytes() {
        [it] if (0x20..0x7f).contains(it) => return (text, 1),
        _ => (),
    }
    if text.is_empty() || text.chars().any(char::is_control) {
        return (" ", 1);
    }
    match text.width() {
        1 => (text, 1),
        2 if 2 <= room => (text, 2),
        _ => (" ", 1),
    }
}

/// Tells whether terminals disagree about the width: everything made of several characters, but
/// for plain combining accents.
fn is_doubtful(text: &str) -> bool {
    text.len() > 1 && text.chars().skip(1).any(|it| !(0x0300..=0x036f).contains(&u32::from(it)))
}

#[cfg(test)]
mod tests;
