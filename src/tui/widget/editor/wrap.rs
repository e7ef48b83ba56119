//! Rows on the screen: lines wrapped at the width, between words where there are any.

use std::ops::Range;

use ratatui::layout::{Position, Rect};
use unicode_segmentation::UnicodeSegmentation;

use crate::{
    tui::{
        canvas::{Canvas, CursorAt},
        theme::{Role, Theme},
        widget::{
            cluster,
            editor::{Editor, Spot},
        },
    },
    vt::screen::CursorShape,
};

/// Lines longer than this, in bytes, are wrapped at the width and not between words; plain ASCII
/// is not even looked at.
const LONG_LINE: usize = 16 * 1024;

/// Returns the rows of a line, at least one; together they are the whole line.
pub fn wrap(line: &str, width: u16) -> Vec<Range<usize>> {
    let width = width.max(1);
    let long = LONG_LINE < line.len();
    if long && line.bytes().all(|it| matches!(it, b' '..=b'~')) {
        let step = usize::from(width);
        let starts = (0..line.len()).step_by(step);
        return starts.map(|it| it..line.len().min(it + step)).collect();
    }
    let mut rows = Vec::new();
    let (mut start, mut col, mut gap) = (0, 0u16, None);
    for (at, it) in line.grapheme_indices(true) {
        // Twice, if what was after the gap leaves no room for a wide one either.
        while width < col.saturating_add(cluster::columns(it, col)) && start < at && it != " " {
            let cut = gap.filter(|it| !long && start < *it).unwrap_or(at);
            rows.push(start..cut);
            col = span(&line[cut..at]);
            start = cut;
            gap = None;
        }
        col = col.saturating_add(cluster::columns(it, col));
        if it == " " {
            gap = Some(at + 1);
        }
    }
    rows.push(start..line.len());
    rows
}

/// Returns the columns of a text.
fn span(text: &str) -> u16 {
    text.graphemes(true).fold(0, |col, it| col.saturating_add(cluster::columns(it, col)))
}

impl Editor {
    /// Returns the width text is wrapped at: the last column is the cursor's.
    fn wrap_width(cols: u16) -> u16 {
        cols.saturating_sub(1).max(1)
    }

    fn rows(&self, line: usize) -> Vec<Range<usize>> {
        wrap(&self.lines[line], Editor::wrap_width(self.size.0))
    }

    /// Returns the row of its line and the column of a place.
    pub(super) fn place(&self, spot: Spot) -> (usize, u16) {
        let rows = self.rows(spot.line);
        let row = row_of(&rows, spot.at);
        (row, span(&self.lines[spot.line][rows[row].start..spot.at]))
    }

    pub(super) fn row_start(&self) -> Spot {
        let rows = self.rows(self.cursor.line);
        let start = rows[row_of(&rows, self.cursor.at)].start;
        // Pressed again, it goes to the start of the line.
        let at = if start == self.cursor.at { 0 } else { start };
        Spot { at, ..self.cursor }
    }

    pub(super) fn row_end(&self) -> Spot {
        let rows = self.rows(self.cursor.line);
        let row = row_of(&rows, self.cursor.at);
        let line = &self.lines[self.cursor.line];
        let last = row + 1 == rows.len();
        let end = if last { line.len() } else { cluster::before(line, rows[row].end) };
        let at = if end <= self.cursor.at { line.len() } else { end };
        Spot { at, ..self.cursor }
    }

    /// Returns the place `by` rows from another, near a column.
    pub(super) fn rows_from(&self, spot: Spot, by: isize, goal: u16) -> Spot {
        let mut line = spot.line;
        let mut rows = self.rows(line);
        let mut row = row_of(&rows, spot.at);
        for _ in 0..by.unsigned_abs() {
            if by < 0 && 0 < row {
                row -= 1;
            } else if by < 0 && 0 < line {
                line -= 1;
                rows = self.rows(line);
                row = rows.len() - 1;
            } else if 0 < by && row + 1 < rows.len() {
                row += 1;
            } else if 0 < by && line + 1 < self.lines.len() {
                line += 1;
                (rows, row) = (self.rows(line), 0);
            } else {
                break;
            }
        }
        if (line, row) == (spot.line, row_of(&self.rows(spot.line), spot.at)) {
            return spot;
        }
        Spot { line, at: self.at_column(line, &rows[row], row + 1 == rows.len(), goal) }
    }

    /// Returns the place in a row that is nearest to a column.
    fn at_column(&self, line: usize, row: &Range<usize>, last: bool, goal: u16) -> usize {
        let text = &self.lines[line];
        let mut col = 0u16;
        let mut last_start = row.start;
        for (at, it) in text[row.clone()].grapheme_indices(true) {
            last_start = row.start + at;
            col = col.saturating_add(cluster::columns(it, col));
            if goal < col {
                return last_start;
            }
        }
        // The end of a row that goes on is the start of the next one.
        if last { row.end } else { last_start }
    }

    /// Scrolls so that the cursor is drawn.
    pub(super) fn show(&mut self) {
        self.top = self.top_for(self.size.1);
    }

    fn top_for(&self, height: u16) -> (usize, usize) {
        let height = usize::from(height.max(1));
        let cursor = (self.cursor.line, self.place(self.cursor).0);
        let line = self.top.0.min(self.lines.len() - 1);
        let top = (line, self.top.1.min(self.rows(line).len() - 1));
        if cursor < top {
            return cursor;
        }
        // Count back from the cursor: at most one screen of rows.
        let (mut line, mut row) = cursor;
        for _ in 1..height {
            if (line, row) <= top {
                return top;
            }
            if 0 < row {
                row -= 1;
            } else if 0 < line {
                line -= 1;
                row = self.rows(line).len() - 1;
            } else {
                return (0, 0);
            }
        }
        (line, row).max(top)
    }

    /// Scrolls by rows without moving the cursor further than it must to stay drawn.
    pub fn scroll(&mut self, by: isize) {
        let goal = self.goal.unwrap_or_else(|| self.place(self.cursor).1);
        let to = self.rows_from(self.cursor, by, goal);
        self.go(to, false);
        self.goal = Some(goal);
    }

    /// Puts the cursor where a place of `area` is drawn, or selects up to there.
    pub fn click(&mut self, area: Rect, col: u16, row: u16, selecting: bool) {
        let (mut line, mut nth) = self.top;
        let mut rows = self.rows(line);
        for _ in 0..row.saturating_sub(area.y) {
            if nth + 1 < rows.len() {
                nth += 1;
            } else if line + 1 < self.lines.len() {
                line += 1;
                (rows, nth) = (self.rows(line), 0);
            }
        }
        let nth = nth.min(rows.len() - 1);
        let goal = col.saturating_sub(area.x);
        let at = self.at_column(line, &rows[nth], nth + 1 == rows.len(), goal);
        self.go(Spot { line, at }, selecting);
        self.goal = None;
    }

    /// Draws what is in the window, and the cursor if it is focused.
    pub fn view(&self, area: Rect, focused: bool, theme: Theme, canvas: &mut Canvas) {
        let area = area.intersection(canvas.area());
        if area.is_empty() {
            return;
        }
        let style = theme.style(if focused { Role::InputFocused } else { Role::Input });
        canvas.fill(area, style);
        let (mut line, mut skip) = if area.height == self.size.1 && area.width == self.size.0 {
            self.top
        } else {
            // Drawn at another size than was said: still right, only counted again.
            let mut other = self.clone_view();
            other.size = (area.width, area.height);
            other.show();
            return other.view(area, focused, theme, canvas);
        };
        let mut y = area.y;
        while y < area.bottom() && line < self.lines.len() {
            let rows = self.rows(line);
            for row in rows.iter().skip(skip) {
                if area.bottom() <= y {
                    break;
                }
                self.view_row(line, row, Rect { y, height: 1, ..area }, theme, canvas);
                y += 1;
            }
            (line, skip) = (line + 1, 0);
        }
        if focused {
            self.view_cursor(area, canvas);
        }
    }

    /// Returns a copy without its past.
    fn clone_view(&self) -> Editor {
        Editor {
            lines: self.lines.clone(),
            undo: Vec::new(),
            redo: Vec::new(),
            cut: String::new(),
            ..*self
        }
    }

    fn view_row(
        &self,
        line: usize,
        row: &Range<usize>,
        area: Rect,
        theme: Theme,
        canvas: &mut Canvas,
    ) {
        let style = theme.style(Role::InputFocused);
        let chosen = self.selected();
        let mut x = area.x;
        for (at, it) in self.lines[line][row.clone()].grapheme_indices(true) {
            let spot = Spot { line, at: row.start + at };
            let inside = chosen.is_some_and(|(from, to)| from <= spot && spot < to);
            let style = if inside { theme.style(Role::Selected) } else { style };
            let columns = cluster::columns(it, x - area.x);
            let room = area.right().saturating_sub(x).min(columns);
            match it {
                "\t" => (0..room).for_each(|n| {
                    canvas.text(x + n, area.y, 1, " ", style);
                }),
                _ => {
                    canvas.text(x, area.y, room, it, style);
                }
            }
            x = x.saturating_add(columns).min(area.right());
        }
    }

    fn view_cursor(&self, area: Rect, canvas: &mut Canvas) {
        let (row, col) = self.place(self.cursor);
        let mut y = area.y;
        let (mut line, mut skip) = self.top;
        while line < self.cursor.line {
            let rows = self.rows(line).len() - skip;
            y = y.saturating_add(u16::try_from(rows).unwrap_or(u16::MAX));
            (line, skip) = (line + 1, 0);
        }
        y = y.saturating_add(u16::try_from(row.saturating_sub(skip)).unwrap_or(u16::MAX));
        let at = Position { x: (area.x + col).min(area.right() - 1), y: y.min(area.bottom() - 1) };
        canvas.cursor = Some(CursorAt { at, shape: CursorShape::Bar, blink: false });
    }
}

/// Returns the row that a place of a line is drawn on.
fn row_of(rows: &[Range<usize>], at: usize) -> usize {
    rows.partition_point(|it| it.start <= at).saturating_sub(1)
}
