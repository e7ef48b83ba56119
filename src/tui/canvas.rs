//! What a frame is drawn on: ratatui's buffer, and what it has no room for.
//!
//! A ratatui cell knows no hyperlinks and one sort of underline; the terminals shown in panes have
//! both. So each cell has an [`Extra`] beside it, and [`crate::tui::paint`] compares both.

use std::sync::Arc;

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::{Color, Modifier, Style},
};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::vt::{
    cell::{self, Look, Underline},
    screen::CursorShape,
};

/// The most addresses one frame links to; later links are shown as text.
const LINKS_MAX: usize = 1000;

/// What a cell has besides ratatui's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extra {
    /// How it is underlined, if not plainly.
    pub underline: Underline,
    /// The number of its address among the canvas's links, from one; zero for none.
    pub link: u16,
}

/// The cursor of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CursorAt {
    /// Where.
    pub at: Position,
    /// Its shape.
    pub shape: CursorShape,
    /// Whether it blinks.
    pub blink: bool,
}

/// A frame being drawn.
#[derive(Clone, Debug)]
pub struct Canvas {
    /// The cells.
    pub buf: Buffer,
    /// One for each cell of `buf`, in the same order.
    pub extra: Vec<Extra>,
    /// Addresses that cells link to.
    pub links: Vec<Arc<str>>,
    /// Where the cursor is, if it is shown.
    pub cursor: Option<CursorAt>,
}

impl Canvas {
    /// Returns an empty frame.
    pub fn new(area: Rect) -> Canvas {
        Canvas {
            buf: Buffer::empty(area),
            extra: vec![Extra::default(); area.area() as usize],
            links: Vec::new(),
            cursor: None,
        }
    }

    /// Returns the whole area.
    pub fn area(&self) -> Rect {
        self.buf.area
    }

    /// Makes the frame empty again, of a size that may be new.
    pub fn reset(&mut self, area: Rect) {
        self.buf.resize(area);
        self.buf.reset();
        self.extra.clear();
        self.extra.resize(area.area() as usize, Extra::default());
        self.links.clear();
        self.cursor = None;
    }

    /// Writes one line of text from `x`, `y` on, at most `width` columns, and returns the column
    /// after it. Control characters are shown as `�`, so no text can steer the terminal.
    pub fn text(&mut self, x: u16, y: u16, width: u16, text: &str, style: Style) -> u16 {
        let area = self.buf.area;
        if y < area.top() || area.bottom() <= y || x < area.left() {
            return x;
        }
        let end = x.saturating_add(width).min(area.right());
        let mut at = x;
        for cluster in text.graphemes(true) {
            let shown = if cluster.chars().any(char::is_control) { "\u{fffd}" } else { cluster };
            let columns = u16::try_from(shown.width()).unwrap_or(u16::MAX);
            if columns == 0 {
                continue;
            }
            if end < at.saturating_add(columns) {
                break;
            }
            self.buf[(at, y)].set_symbol(shown).set_style(style);
            for hidden in at + 1..at + columns {
                self.buf[(hidden, y)].reset();
                self.buf[(hidden, y)].set_style(style);
            }
            at += columns;
        }
        at
    }

    /// As [`Canvas::text`]; a text that does not fit ends in `…`.
    pub fn fit(&mut self, x: u16, y: u16, width: u16, text: &str, style: Style) -> u16 {
        if usize::from(width) >= text.width() {
            return self.text(x, y, width, text, style);
        }
        let at = self.text(x, y, width.saturating_sub(1), text, style);
        self.text(at, y, width.saturating_sub(at - x).min(1), "…", style)
    }

    /// Empties an area and gives it a style.
    pub fn fill(&mut self, area: Rect, style: Style) {
        let area = area.intersection(self.buf.area);
        for y in area.rows().map(|it| it.y) {
            for x in area.left()..area.right() {
                let cell = &mut self.buf[(x, y)];
                cell.reset();
                cell.set_style(style);
                let at = self.buf.index_of(x, y);
                self.extra[at] = Extra::default();
            }
        }
    }

    /// Gives an area a style and leaves what stands there.
    pub fn tint(&mut self, area: Rect, style: Style) {
        let area = area.intersection(self.buf.area);
        self.buf.set_style(area, style);
    }

    /// Returns the number by which cells link to `address`; zero if there are too many.
    pub fn link(&mut self, address: &str) -> u16 {
        if let Some(at) = self.links.iter().rposition(|it| **it == *address) {
            return u16::try_from(at + 1).unwrap_or(0);
        }
        if LINKS_MAX <= self.links.len() {
            return 0;
        }
        self.links.push(address.into());
        u16::try_from(self.links.len()).unwrap_or(0)
    }

    /// Sets what the cell has besides ratatui's.
    pub fn set_extra(&mut self, x: u16, y: u16, extra: Extra) {
        if self.buf.area.contains(Position { x, y }) {
            let at = self.buf.index_of(x, y);
            self.extra[at] = extra;
        }
    }
}

/// Returns the style that a look of a shown terminal comes to.
pub fn style_of(look: &Look) -> Style {
    let mut modifier = Modifier::empty();
    for (on, flag) in [
        (look.bold, Modifier::BOLD),
        (look.dim, Modifier::DIM),
        (look.italic, Modifier::ITALIC),
        (look.underline != Underline::None, Modifier::UNDERLINED),
        (look.reverse, Modifier::REVERSED),
        (look.hidden, Modifier::HIDDEN),
        (look.strike, Modifier::CROSSED_OUT),
        (look.blink, Modifier::SLOW_BLINK),
    ] {
        modifier.set(flag, on);
    }
    Style::new()
        .fg(color_of(look.fg))
        .bg(color_of(look.bg))
        .underline_color(color_of(look.under))
        .add_modifier(modifier)
}

fn color_of(color: cell::Color) -> Color {
    match color {
        cell::Color::Default => Color::Reset,
        cell::Color::Indexed(it) => Color::Indexed(it),
        cell::Color::Rgb(r, g, b) => Color::Rgb(r, g, b),
    }
}
