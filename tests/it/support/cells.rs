//! Screens as cells that can be compared, read from tmux and from the emulator.
//!
//! The reader of tmux's text shares no code with the library: it knows the few sequences that
//! `capture-pane -e` writes, and fails at any other.

use std::collections::VecDeque;

use parhelia::vt::{
    cell::{Color, Underline},
    screen::Screen,
};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What a cell shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    pub text: String,
    pub width: usize,
    pub look: Look,
}

/// How it shows it; colours as in SGR, with `:` between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    pub fg: String,
    pub bg: String,
    pub under: String,
    /// 0 if not underlined, else the parameter after `4:`.
    pub underline: usize,
    /// Bold, dim, italic, blinking, reverse, hidden, struck.
    pub flags: [bool; 7],
}

impl Cell {
    /// Puts a mark on it, unless it would take other columns outside than tmux gives it: with the
    /// selector of emoji a heart is wide in terminals and narrow in tmux.
    fn mark(&mut self, c: char) {
        let text = format!("{}{c}", self.text);
        let disputed = self.text.width() != self.width;
        if c == '\u{200d}' || disputed || text.width() == self.width {
            self.text = text;
        }
    }
}

/// Returns the cells of an emulator's screen.
pub fn of(screen: &Screen) -> Vec<Vec<Cell>> {
    (0..screen.size().rows).map(|row| row_of(screen, row)).collect()
}

fn row_of(screen: &Screen, row: u16) -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::new();
    screen.cells(row, &mut |_, it| {
        let text = match it.width {
            0 => String::new(),
            _ => std::iter::once(it.c).chain(it.marks.iter().copied()).collect(),
        };
        let look = Look {
            fg: color(it.look.fg),
            bg: color(it.look.bg),
            under: color(it.look.under),
            underline: match it.look.underline {
                Underline::None => 0,
                Underline::Single => 1,
                Underline::Double => 2,
                Underline::Curly => 3,
                Underline::Dotted => 4,
                Underline::Dashed => 5,
            },
            flags: [
                it.look.bold,
                it.look.dim,
                it.look.italic,
                it.look.blink,
                it.look.reverse,
                it.look.hidden,
                it.look.strike,
            ],
        };
        cells.push(Cell { text, width: it.width.into(), look });
    });
    cells
}

fn color(color: Color) -> String {
    match color {
        Color::Default => String::new(),
        Color::Indexed(n) => format!("5:{n}"),
        Color::Rgb(r, g, b) => format!("2:{r}:{g}:{b}"),
    }
}

/// Returns the cells of `capture-pane -e -p -N`, of each line as far as tmux wrote it out.
pub fn read(text: &str) -> Vec<Vec<Cell>> {
    let mut reader = Reader::default();
    text.lines().map(|it| reader.line(it)).collect()
}

#[derive(Default)]
struct Reader {
    look: Look,
    graphics: bool,
}

impl Reader {
    fn line(&mut self, line: &str) -> Vec<Cell> {
        let mut cells: Vec<Cell> = Vec::new();
        let mut rest: VecDeque<char> = line.chars().collect();
        while let Some(c) = rest.pop_front() {
            match c {
                '\x0e' => self.graphics = true,
                '\x0f' => self.graphics = false,
                '\x1b' => self.escape(&mut rest),
                _ => self.print(c, &mut cells),
            }
        }
        // A joiner that joins nothing is not shown.
        for cell in &mut cells {
            cell.text.truncate(cell.text.trim_end_matches('\u{200d}').len());
        }
        cells
    }

    fn escape(&mut self, rest: &mut VecDeque<char>) {
        assert_eq!(rest.pop_front(), Some('['), "only SGR is expected");
        let mut params = String::new();
        loop {
            match rest.pop_front() {
                Some('m') => break,
                Some(it @ ('0'..='9' | ';' | ':')) => params.push(it),
                it => panic!("{it:?} in SGR"),
            }
        }
        self.sgr(&params);
    }

    fn sgr(&mut self, params: &str) {
        let mut params: VecDeque<&str> = params.split(';').collect();
        while let Some(param) = params.pop_front() {
            let (first, sub) = param.split_once(':').unwrap_or((param, ""));
            let n: usize = if first.is_empty() { 0 } else { first.parse().unwrap() };
            match n {
                0 => self.look = Look::default(),
                4 => self.look.underline = if sub.is_empty() { 1 } else { sub.parse().unwrap() },
                1..=3 => self.look.flags[n - 1] = true,
                // So tmux 3.3a writes 53, a line above, which is not drawn.
                5 if sub == "3" => (),
                5 => self.look.flags[3] = true,
                7..=9 => self.look.flags[n - 3] = true,
                30..=37 => self.look.fg = format!("5:{}", n - 30),
                90..=97 => self.look.fg = format!("5:{}", n - 82),
                40..=47 => self.look.bg = format!("5:{}", n - 40),
                100..=107 => self.look.bg = format!("5:{}", n - 92),
                38 => self.look.fg = extended(sub, &mut params),
                48 => self.look.bg = extended(sub, &mut params),
                58 => self.look.under = as_rgb(&extended(sub, &mut params)),
                39 => self.look.fg.clear(),
                49 => self.look.bg.clear(),
                59 => self.look.under.clear(),
                _ => panic!("SGR {param}"),
            }
        }
    }

    fn print(&mut self, c: char, cells: &mut Vec<Cell>) {
        let c = if self.graphics { graphic(c) } else { c };
        let width = width(c);
        let joined = !c.is_ascii()
            && cells.iter().rfind(|it| it.width != 0).is_some_and(|it| {
                it.text.ends_with('\u{200d}') && it.text.len() + c.len_utf8() <= 21
            });
        if width == 0 || joined {
            let base = cells.iter_mut().rfind(|it| it.width != 0);
            base.expect("a mark stands on something").mark(c);
            return;
        }
        cells.push(Cell { text: c.into(), width, look: self.look.clone() });
        if width == 2 {
            cells.push(Cell { text: String::new(), width: 0, look: self.look.clone() });
        }
    }
}

/// Returns a colour written with `:`, or by the parameters that follow.
fn extended(sub: &str, params: &mut VecDeque<&str>) -> String {
    let all: Vec<&str> = match sub {
        "" if params.front() == Some(&"5") => params.drain(..2).collect(),
        "" => params.drain(..4).collect(),
        sub => sub.split(':').filter(|it| !it.is_empty()).collect(),
    };
    all.join(":")
}

/// Returns a colour of the cube by its parts: so tmux 3.3a hands on an underline's.
fn as_rgb(color: &str) -> String {
    let index = color.strip_prefix("5:").and_then(|it| it.parse::<usize>().ok());
    let Some(cube @ 0..=215) = index.and_then(|it| it.checked_sub(16)) else {
        return color.to_owned();
    };
    let level = |it: usize| if it == 0 { 0 } else { it * 40 + 55 };
    format!("2:{}:{}:{}", level(cube / 36), level(cube / 6 % 6), level(cube % 6))
}

/// Returns the columns that tmux 3.3a gives a character that occurs in the streams.
fn width(c: char) -> usize {
    match c {
        '\u{ad}' | '☰' | '☷' | '⚊' | '⚌' => 1,
        '㉈' | '㉏' | '\u{3164}' | '\u{302e}' => 2,
        _ => c.width().unwrap_or(0),
    }
}

/// Returns what a character means in the set of line drawing.
fn graphic(c: char) -> char {
    let set = "◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·";
    match c {
        '+' => '→',
        ',' => '←',
        '-' => '↑',
        '.' => '↓',
        '0' => '▮',
        '`'..='~' => set.chars().nth(c as usize - '`' as usize).unwrap(),
        _ => c,
    }
}
