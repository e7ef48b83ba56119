//! Text with escapes, as `tmux capture-pane -e` and logs have it, into lines with looks.
//!
//! Only colours, attributes (SGR) and links (OSC 8) mean something here; every other escape is
//! passed over, and no control character survives.

use std::sync::Arc;

use alacritty_terminal::vte::{Params, Parser, Perform};

use crate::vt::cell::{Color, Look, Underline};

/// The longest address kept, in bytes; a longer one is no link.
const LINK_MAX: usize = 2048;

/// The columns between two tab stops.
const TAB: usize = 8;

/// A line of text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    pub spans: Vec<Span>,
}

/// Text of one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub text: String,
    pub look: Look,
    /// The address it links to.
    pub link: Option<Arc<str>>,
}

impl Line {
    /// Returns its text without looks.
    pub fn text(&self) -> String {
        self.spans.iter().map(|it| it.text.as_str()).collect()
    }
}

/// Returns the lines of a text. A look goes on over line ends until it is changed, as tmux means
/// it.
pub fn lines(bytes: &[u8]) -> Vec<Line> {
    let mut reader = Reader::default();
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.split(|it| *it == b'\n').map(|it| reader.line(it)).collect()
}

/// Reads lines one after the other.
#[derive(Default)]
pub struct Reader {
    parser: Parser,
    state: State,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader")
    }
}

#[derive(Default)]
struct State {
    look: Look,
    link: Option<Arc<str>>,
    spans: Vec<Span>,
    columns: usize,
}

impl Reader {
    /// Returns the next line; `bytes` are without their line end.
    pub fn line(&mut self, bytes: &[u8]) -> Line {
        self.parser.advance(&mut self.state, bytes);
        self.state.columns = 0;
        Line { spans: std::mem::take(&mut self.state.spans) }
    }
}

impl State {
    fn push(&mut self, text: &str) {
        match self.spans.last_mut() {
            Some(last) if last.look == self.look && last.link == self.link => {
                last.text.push_str(text);
            }
            _ => {
                let (look, link) = (self.look, self.link.clone());
                self.spans.push(Span { text: text.to_owned(), look, link });
            }
        }
    }
}

impl Perform for State {
    fn print(&mut self, c: char) {
        if !c.is_control() {
            self.columns += unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
            self.push(c.encode_utf8(&mut [0; 4]));
        }
    }

    fn execute(&mut self, byte: u8) {
        if byte == b'\t' {
            let spaces = TAB - self.columns % TAB;
            self.columns += spaces;
            self.push(&" ".repeat(spaces));
        }
    }

    fn osc_dispatch(&mut self, params: &[&[u8]], _bell: bool) {
        if let [b"8", _, address @ ..] = params {
            // An address may hold semicolons, at which the parser cut it.
            let address = address.join(&b';');
            let text = std::str::from_utf8(&address).unwrap_or_default();
            let fine =
                !text.is_empty() && text.len() <= LINK_MAX && !text.chars().any(char::is_control);
            self.link = fine.then(|| text.into());
        }
    }

    fn csi_dispatch(&mut self, params: &Params, marks: &[u8], _ignore: bool, action: char) {
        if action == 'm' && marks.is_empty() {
            sgr(&mut self.look, params);
        }
    }
}

fn sgr(look: &mut Look, params: &Params) {
    if params.is_empty() {
        *look = Look::default();
    }
    let mut params = params.iter();
    while let Some(param) = params.next() {
        match param {
            [] | [0] => *look = Look::default(),
            [1] => look.bold = true,
            [2] => look.dim = true,
            [3] => look.italic = true,
            [4] => look.underline = Underline::Single,
            [4, kind] => look.underline = underline(*kind),
            [5 | 6] => look.blink = true,
            [7] => look.reverse = true,
            [8] => look.hidden = true,
            [9] => look.strike = true,
            [21] => look.underline = Underline::Double,
            [22] => (look.bold, look.dim) = (false, false),
            [23] => look.italic = false,
            [24] => look.underline = Underline::None,
            [25] => look.blink = false,
            [27] => look.reverse = false,
            [28] => look.hidden = false,
            [29] => look.strike = false,
            [n @ (30..=37 | 90..=97)] => look.fg = basic(*n, 30),
            [n @ (40..=47 | 100..=107)] => look.bg = basic(*n, 40),
            [39] => look.fg = Color::Default,
            [49] => look.bg = Color::Default,
            [59] => look.under = Color::Default,
            [38, rest @ ..] => set(&mut look.fg, rest, &mut params),
            [48, rest @ ..] => set(&mut look.bg, rest, &mut params),
            [58, rest @ ..] => set(&mut look.under, rest, &mut params),
            _ => (),
        }
    }
}

fn underline(kind: u16) -> Underline {
    match kind {
        0 => Underline::None,
        2 => Underline::Double,
        3 => Underline::Curly,
        4 => Underline::Dotted,
        5 => Underline::Dashed,
        _ => Underline::Single,
    }
}

/// Returns the colour of 30 to 37 and 90 to 97, or those ten more for the background.
fn basic(n: u16, base: u16) -> Color {
    let index = if n < 90 { n - base } else { n - base - 60 + 8 };
    Color::Indexed(u8::try_from(index).unwrap_or(0))
}

/// Sets a colour given as `38:2::r:g:b`, `38:5:n`, or by the parameters that follow.
fn set<'a>(color: &mut Color, rest: &[u16], params: &mut impl Iterator<Item = &'a [u16]>) {
    let mut next = || params.next().and_then(|it| it.first().copied());
    let byte = |it: u16| u8::try_from(it).ok();
    let found = match rest {
        [5, n] => byte(*n).map(Color::Indexed),
        [2, r, g, b] | [2, _, r, g, b, ..] => {
            byte(*r).zip(byte(*g)).zip(byte(*b)).map(|((r, g), b)| Color::Rgb(r, g, b))
        }
        [] => match next() {
            Some(5) => next().and_then(byte).map(Color::Indexed),
            Some(2) => {
                let (r, g, b) = (next(), next(), next());
                let all = r.and_then(byte).zip(g.and_then(byte)).zip(b.and_then(byte));
                all.map(|((r, g), b)| Color::Rgb(r, g, b))
            }
            _ => None,
        },
        _ => None,
    };
    if let Some(found) = found {
        *color = found;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn looks_go_on_over_line_ends() {
        let found = lines(b"\x1b[1;38;5;9mab\x1b[2Kc\nd\x1b[0me\x07");
        let red = Look { bold: true, fg: Color::Indexed(9), ..Look::default() };
        let span = |text: &str, look| Span { text: text.into(), look, link: None };
        assert_eq!(
            found,
            [
                Line { spans: vec![span("abc", red)] },
                Line { spans: vec![span("d", red), span("e", Look::default())] },
            ]
        );
    }

    #[test]
    fn links_and_true_colour_are_read() {
        let found = lines(b"\x1b]8;;http://x/?a;b\x1b\\go\x1b]8;;\x1b\\ \x1b[48:2::1:2:3;4:3mx");
        assert_eq!(found[0].spans[0].link.as_deref(), Some("http://x/?a;b"));
        let look = found[0].spans[2].look;
        assert_eq!((look.bg, look.underline), (Color::Rgb(1, 2, 3), Underline::Curly));
    }

    proptest! {
        #[test]
        fn no_control_character_survives(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            for line in lines(&bytes) {
                prop_assert!(!line.text().chars().any(char::is_control));
            }
        }
    }
}
