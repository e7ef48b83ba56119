//! What text is drawn with: attributes, colours, a link.

use std::{fmt::Write, sync::Arc};

use ratatui::{
    buffer::Cell,
    style::{Color, Modifier},
};

use crate::{tui::canvas::Extra, vt::cell::Underline};

/// The longest address that is linked to.
const LINK_MAX: usize = 2000;

/// Attributes, colours and link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pen<'a> {
    fg: Color,
    bg: Color,
    under: Color,
    /// All but the underline.
    modifier: Modifier,
    underline: Underline,
    link: Option<&'a str>,
}

impl Default for Pen<'_> {
    fn default() -> Self {
        Pen {
            fg: Color::Reset,
            bg: Color::Reset,
            under: Color::Reset,
            modifier: Modifier::empty(),
            underline: Underline::None,
            link: None,
        }
    }
}

/// Attributes with the numbers that switch them on and off.
const ATTRIBUTES: [(Modifier, u8, u8); 8] = [
    (Modifier::BOLD, 1, 22),
    (Modifier::DIM, 2, 22),
    (Modifier::ITALIC, 3, 23),
    (Modifier::SLOW_BLINK, 5, 25),
    (Modifier::RAPID_BLINK, 6, 25),
    (Modifier::REVERSED, 7, 27),
    (Modifier::HIDDEN, 8, 28),
    (Modifier::CROSSED_OUT, 9, 29),
];

impl<'a> Pen<'a> {
    /// Returns what a cell is drawn with.
    pub fn of(cell: &Cell, extra: Extra, links: &'a [Arc<str>]) -> Pen<'a> {
        let underlined = cell.modifier.contains(Modifier::UNDERLINED);
        let underline = match extra.underline {
            Underline::None if underlined => Underline::Single,
            it if underlined => it,
            _ => Underline::None,
        };
        let link = usize::from(extra.link).checked_sub(1).and_then(|it| links.get(it));
        Pen {
            fg: cell.fg,
            bg: cell.bg,
            // Its colour shows only where it is.
            under: if underline == Underline::None { Color::Reset } else { cell.underline_color },
            modifier: cell.modifier.difference(Modifier::UNDERLINED),
            underline,
            link: link.map(|it| &**it).filter(|it| is_address(it)),
        }
    }

    /// Becomes `next`, and writes what that takes.
    pub fn change(&mut self, next: &Pen<'a>, out: &mut String) {
        if self == next {
            return;
        }
        if self.link != next.link {
            let address = next.link.unwrap_or_default();
            let _ = write!(out, "\x1b]8;;{address}\x1b\\");
            self.link = next.link;
        }
        let plain = Pen { link: next.link, ..Pen::default() };
        if *next == plain && *self != plain {
            out.push_str("\x1b[m");
        } else if self != next {
            let mut list = String::new();
            self.attributes(next, &mut list);
            color(self.fg, next.fg, 30, &mut list);
            color(self.bg, next.bg, 40, &mut list);
            under_color(self.under, next.under, &mut list);
            if !list.is_empty() {
                let _ = write!(out, "\x1b[{}m", list.trim_end_matches(';'));
            }
        }
        *self = *next;
    }

    fn attributes(&self, next: &Pen<'_>, list: &mut String) {
        let mut have = self.modifier;
        for (flag, _, off) in ATTRIBUTES {
            if have.contains(flag) && !next.modifier.contains(flag) {
                let _ = write!(list, "{off};");
                // Some share the number, so those are gone too.
                for (other, _, its) in ATTRIBUTES {
                    have.set(other, have.contains(other) && its != off);
                }
            }
        }
        for (flag, on, _) in ATTRIBUTES {
            if next.modifier.contains(flag) && !have.contains(flag) {
                let _ = write!(list, "{on};");
            }
        }
        if self.underline != next.underline {
            list.push_str(match next.underline {
                Underline::None => "24;",
                Underline::Single => "4;",
                Underline::Double => "4:2;",
                Underline::Curly => "4:3;",
                Underline::Dotted => "4:4;",
                Underline::Dashed => "4:5;",
            });
        }
    }
}

/// Tells whether a link's address can be sent without ending the sequence it stands in.
fn is_address(text: &str) -> bool {
    !text.is_empty() && text.len() <= LINK_MAX && text.bytes().all(|it| (0x21..0x7f).contains(&it))
}

/// Writes a colour; `base` is 30 for text and 40 for what is behind it.
fn color(have: Color, want: Color, base: u8, list: &mut String) {
    if have == want {
        return;
    }
    let _ = match indexed(want) {
        Some(it @ 0..8) => write!(list, "{};", base + it),
        Some(it @ 8..16) => write!(list, "{};", base + 60 + it - 8),
        Some(it) => write!(list, "{};5;{it};", base + 8),
        None => match want {
            Color::Rgb(r, g, b) => write!(list, "{};2;{r};{g};{b};", base + 8),
            _ => write!(list, "{};", base + 9),
        },
    };
}

/// Writes the underline's colour, with colons: what does not know them drops it whole, where
/// semicolons would be read as attributes.
fn under_color(have: Color, want: Color, list: &mut String) {
    if have == want {
        return;
    }
    let _ = match (indexed(want), want) {
        (Some(it), _) => write!(list, "58:5:{it};"),
        (None, Color::Rgb(r, g, b)) => write!(list, "58:2::{r}:{g}:{b};"),
        _ => write!(list, "59;"),
    };
}

fn indexed(color: Color) -> Option<u8> {
    Some(match color {
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 8,
        Color::LightRed => 9,
        Color::LightGreen => 10,
        Color::LightYellow => 11,
        Color::LightBlue => 12,
        Color::LightMagenta => 13,
        Color::LightCyan => 14,
        Color::White => 15,
        Color::Indexed(it) => it,
        Color::Rgb(..) | Color::Reset => return None,
    })
}
