//! The emulator: bytes in, cells out.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use alacritty_terminal::{
    event::{Event as Said, EventListener},
    grid::{Dimensions, Row},
    index::{Column, Line},
    term::{
        Config, Osc52, Term, TermMode,
        cell::{Cell, Flags},
    },
    vte::ansi::{self, CursorShape as Shape, NamedColor, Processor, Rgb},
};

use crate::vt::{
    cell::{Color, Look, Underline},
    grid::{BLINK, Grid, JOINER},
};

/// Columns and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Size {
    pub cols: u16,
    pub rows: u16,
}

/// The sizes a terminal can have, each way. Below two the emulator has no room for a wide
/// character; above a thousand one screen would be megabytes.
const SIDE: std::ops::RangeInclusive<u16> = 2..=1000;

/// Events that wait to be taken. When full the oldest goes: a program that asks faster than it is
/// answered gets no answer to its oldest questions.
const EVENTS_MAX: usize = 256;

/// The longest text a program may put on the clipboard, in bytes; longer ones are dropped.
const COPY_MAX: usize = 1024 * 1024;

/// The longest string of an escape sequence, in bytes, as base64 of the longest copy is; one that is
/// longer ends there, and its rest is text.
const STRING_MAX: usize = 2 * COPY_MAX;

/// A terminal's screen.
pub struct Screen {
    grid: Grid<Listener>,
    parser: Processor,
    heard: Listener,
    title: Option<String>,
    size: Size,
    changed: bool,
    /// The beginning of a character whose end has not come, at most three bytes.
    cut: Vec<u8>,
    /// Bytes since the last that would have ended a string.
    unended: usize,
}

/// Something the program did besides drawing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Bell,
    /// The title it wants, cleaned of control characters; nothing for the usual one.
    Title(Option<String>),
    /// Bytes to be written to it: the answer to a question.
    Reply(Vec<u8>),
    /// Text it wants on the clipboard (OSC 52).
    Copy(String),
}

/// One cell, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct CellRef<'a> {
    /// The character; a space in an empty cell and in the second half of a wide character.
    pub c: char,
    /// The combining marks, joiners and selectors that stand on it.
    pub marks: &'a [char],
    /// Columns it takes: 1, 2, or 0 for the second half of a wide one.
    pub width: u8,
    pub look: Look,
    /// The address it links to.
    pub link: Option<&'a str>,
}

/// What a cursor looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CursorShape {
    #[default]
    Block,
    Underline,
    Bar,
}

/// Where the cursor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub col: u16,
    pub row: u16,
    pub shape: CursorShape,
    pub blink: bool,
}

/// Which mouse events the program asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MouseMode {
    #[default]
    None,
    /// Buttons and wheel.
    Click,
    /// Also moves while a button is down.
    Drag,
    /// Also moves without one.
    Motion,
}

/// What the program switched on that decides how keys and mouse are told to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modes {
    pub app_cursor: bool,
    pub app_keypad: bool,
    pub bracketed_paste: bool,
    pub mouse: MouseMode,
    pub sgr_mouse: bool,
    pub utf8_mouse: bool,
    pub focus: bool,
    /// Whether the alternate screen is shown.
    pub alternate: bool,
    /// Whether the wheel means arrow keys on the alternate screen.
    pub alternate_scroll: bool,
    /// Flags of the kitty keyboard protocol.
    pub kitty: u8,
    /// Level of xterm's modifyOtherKeys.
    pub modify_other_keys: u8,
}

/// Keeps what the emulator says until it is taken. Behind a lock only because the emulator wants
/// its listener by value; there is one thread.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<VecDeque<Event>>>);

impl Listener {
    fn push(&self, event: Event) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() == EVENTS_MAX {
            events.pop_front();
        }
        events.push_back(event);
    }
}

impl EventListener for Listener {
    fn send_event(&self, said: Said) {
        match said {
            Said::Title(text) => self.push(Event::Title(Some(clean(&text)))),
            Said::ResetTitle => self.push(Event::Title(None)),
            Said::Bell => self.push(Event::Bell),
            Said::PtyWrite(text) => self.push(Event::Reply(text.into_bytes())),
            Said::ClipboardStore(_, text) if text.len() <= COPY_MAX => {
                self.push(Event::Copy(text));
            }
            Said::ColorRequest(index, answer) => {
                self.push(Event::Reply(answer(usual_color(index)).into_bytes()));
            }
            _ => (),
        }
    }
}

/// Returns the colour told to a program that asks: xterm's palette, light on dark.
fn usual_color(index: usize) -> Rgb {
    let grey = |it: u8| Rgb { r: it, g: it, b: it };
    match index {
        it if it == NamedColor::Background as usize => grey(0),
        it if it == NamedColor::Foreground as usize || it == NamedColor::Cursor as usize => {
            grey(0xe5)
        }
        it @ 232..=255 => grey(u8::try_from((it - 232) * 10 + 8).unwrap_or(0)),
        it @ 16..=231 => {
            let level =
                |it: usize| if it == 0 { 0 } else { u8::try_from(it * 40 + 55).unwrap_or(0) };
            let cube = it - 16;
            Rgb { r: level(cube / 36), g: level(cube / 6 % 6), b: level(cube % 6) }
        }
        it => {
            let on = if it < 8 { 0xcd } else { 0xff };
            let bit = |bit: usize| if it & bit == 0 { 0 } else { on };
            Rgb { r: bit(1), g: bit(2), b: bit(4) }
        }
    }
}

fn clean(text: &str) -> String {
    // Besides control characters: marks that turn the direction of what follows them.
    let turns = |it: &char| matches!(it, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().filter(|it| !it.is_control() && !turns(it)).take(300).collect()
}

impl Dimensions for Size {
    fn total_lines(&self) -> usize {
        usize::from(self.rows)
    }

    fn screen_lines(&self) -> usize {
        usize::from(self.rows)
    }

    fn columns(&self) -> usize {
        usize::from(self.cols)
    }
}

fn bounded(size: Size) -> Size {
    let fit = |it: u16| it.clamp(*SIDE.start(), *SIDE.end());
    Size { cols: fit(size.cols), rows: fit(size.rows) }
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Screen({}x{})", self.size.cols, self.size.rows)
    }
}

impl Screen {
    /// Returns an empty screen. Sizes that no terminal has become the nearest that one can have.
    pub fn new(size: Size) -> Screen {
        let size = bounded(size);
        let heard = Listener::default();
        let config = Config {
            scrolling_history: 0,
            kitty_keyboard: true,
            osc52: Osc52::OnlyCopy,
            ..Config::default()
        };
        Screen {
            grid: Grid::new(Term::new(config, &size, heard.clone()), heard.clone()),
            parser: Processor::new(),
            heard,
            title: None,
            size,
            changed: true,
            cut: Vec::new(),
            unended: 0,
        }
    }

    /// Returns its size.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Gives it another size; what is on it is kept as far as it fits.
    pub fn resize(&mut self, size: Size) {
        let size = bounded(size);
        if size != self.size {
            self.size = size;
            self.grid.term.resize(size);
            self.changed = true;
        }
    }

    /// Takes in what the program wrote, cut anywhere.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.changed = true;
        // The parser may lose the character after one that was cut, so none reaches it cut.
        let joined;
        let mut bytes = bytes;
        if !self.cut.is_empty() {
            self.cut.extend_from_slice(bytes);
            joined = std::mem::take(&mut self.cut);
            bytes = &joined;
        }
        let (whole, cut) = bytes.split_at(bytes.len() - cut_len(bytes));
        self.cut.extend_from_slice(cut);
        self.end_long_strings(whole);
        self.parser.advance(&mut self.grid, whole);
    }

    /// Ends a string (OSC) that grows without end: the parser would keep all of it.
    fn end_long_strings(&mut self, bytes: &[u8]) {
        // BEL, CAN, SUB and ESC end any.
        let ends = |it: &u8| matches!(it, 0x07 | 0x18 | 0x1a | 0x1b);
        self.unended = match bytes.iter().rposition(ends) {
            Some(at) => bytes.len() - at,
            None => self.unended + bytes.len(),
        };
        if STRING_MAX < self.unended {
            // Where no string is open this means nothing.
            self.parser.advance(&mut self.grid, b"\x18");
            self.unended = 0;
        }
    }

    /// Calls `each` with every cell of a row, in order, with its column.
    pub fn cells(&self, row: u16, each: &mut dyn FnMut(u16, CellRef<'_>)) {
        if self.size.rows <= row {
            return;
        }
        let line = &self.grid.term.grid()[Line(i32::from(row))];
        for col in 0..self.size.cols {
            let cell = &line[Column(usize::from(col))];
            let link = cell.hyperlink();
            let link = link.as_ref().map(|it| it.uri());
            let (c, marks, width) = shown(line, usize::from(col));
            each(col, CellRef { c, marks, width, look: look(cell), link });
        }
    }

    /// Returns a row's text without trailing spaces.
    pub fn row_text(&self, row: u16) -> String {
        let mut text = String::new();
        self.cells(row, &mut |_, cell| {
            if cell.width != 0 {
                text.push(cell.c);
                text.extend(cell.marks);
            }
        });
        text.truncate(text.trim_end().len());
        text
    }

    /// Returns the cursor, unless it is hidden.
    pub fn cursor(&self) -> Option<Cursor> {
        if !self.grid.term.mode().contains(TermMode::SHOW_CURSOR) {
            return None;
        }
        let point = self.grid.term.grid().cursor.point;
        let style = self.grid.term.cursor_style();
        let shape = match style.shape {
            Shape::Underline => CursorShape::Underline,
            Shape::Beam => CursorShape::Bar,
            Shape::Block | Shape::HollowBlock => CursorShape::Block,
            Shape::Hidden => return None,
        };
        Some(Cursor {
            col: u16::try_from(point.column.0).unwrap_or(0).min(self.size.cols - 1),
            row: u16::try_from(point.line.0).unwrap_or(0).min(self.size.rows - 1),
            shape,
            blink: style.blinking,
        })
    }

    /// Returns what the program switched on.
    pub fn modes(&self) -> Modes {
        let mode = self.grid.term.mode();
        let has = |it: TermMode| mode.contains(it);
        let kitty = [
            (TermMode::DISAMBIGUATE_ESC_CODES, 1),
            (TermMode::REPORT_EVENT_TYPES, 2),
            (TermMode::REPORT_ALTERNATE_KEYS, 4),
            (TermMode::REPORT_ALL_KEYS_AS_ESC, 8),
            (TermMode::REPORT_ASSOCIATED_TEXT, 16),
        ];
        Modes {
            app_cursor: has(TermMode::APP_CURSOR),
            app_keypad: has(TermMode::APP_KEYPAD),
            bracketed_paste: has(TermMode::BRACKETED_PASTE),
            mouse: match () {
                () if has(TermMode::MOUSE_MOTION) => MouseMode::Motion,
                () if has(TermMode::MOUSE_DRAG) => MouseMode::Drag,
                () if has(TermMode::MOUSE_REPORT_CLICK) => MouseMode::Click,
                () => MouseMode::None,
            },
            sgr_mouse: has(TermMode::SGR_MOUSE),
            utf8_mouse: has(TermMode::UTF8_MOUSE),
            focus: has(TermMode::FOCUS_IN_OUT),
            alternate: has(TermMode::ALT_SCREEN),
            alternate_scroll: has(TermMode::ALTERNATE_SCROLL),
            kitty: kitty.iter().filter(|it| has(it.0)).map(|it| it.1).sum(),
            modify_other_keys: self.grid.modify_other_keys,
        }
    }

    /// Returns the title the program gave last.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// Returns what the program did besides drawing, oldest first.
    pub fn take_events(&mut self) -> Vec<Event> {
        let events: Vec<Event> = {
            let mut waiting = self.heard.0.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.drain(..).collect()
        };
        for event in &events {
            if let Event::Title(title) = event {
                self.title.clone_from(title);
            }
        }
        events
    }

    /// Tells whether the program is inside a synchronized update (mode 2026). What it writes is
    /// held back until it ends, and the emulator knows no time: see [`Screen::stop_sync`].
    pub fn syncing(&self) -> bool {
        self.parser.sync_timeout().sync_timeout().is_some()
    }

    /// Ends a synchronized update by force. The caller does so 150 ms after it began, else a
    /// program that died within one would freeze the screen.
    pub fn stop_sync(&mut self) {
        if self.syncing() {
            self.parser.stop_sync(&mut self.grid);
            self.changed = true;
        }
    }

    /// Tells whether anything may have changed since this was asked last.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}

/// Returns how many bytes at the end are the beginning of a character in UTF-8.
fn cut_len(bytes: &[u8]) -> usize {
    let lead = bytes.iter().rev().take(3).position(|it| !(0x80..0xc0).contains(it));
    let Some(len) = lead.map(|it| it + 1) else { return 0 };
    let whole = match bytes[bytes.len() - len] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    if len < whole { len } else { 0 }
}

/// Returns what a cell shows: its character, its marks, and its columns. Of a wide character that
/// lost a half, as at an edge that came nearer, nothing is left.
fn shown(line: &Row<Cell>, col: usize) -> (char, &[char], u8) {
    let has = |col: usize, flag: Flags, other: Flags| {
        let flags = line[Column(col)].flags;
        flags.contains(flag) && !flags.contains(other)
    };
    let first = |col: usize| has(col, Flags::WIDE_CHAR, Flags::WIDE_CHAR_SPACER);
    let second = |col: usize| has(col, Flags::WIDE_CHAR_SPACER, Flags::WIDE_CHAR);
    let cell = &line[Column(col)];
    if first(col) && col + 1 < line.len() && second(col + 1) {
        return (cell.c, marks(cell), 2);
    }
    if second(col) && 0 < col && first(col - 1) {
        return (' ', &[], 0);
    }
    if cell.flags.intersects(Flags::WIDE_CHAR | Flags::WIDE_CHAR_SPACER) || cell.c.is_control() {
        return (' ', &[], 1);
    }
    (cell.c, marks(cell), 1)
}

/// Returns the marks on a cell, without a joiner that joins nothing: in front of another emoji the
/// terminal outside would join the two.
fn marks(cell: &Cell) -> &[char] {
    match cell.zerowidth().unwrap_or(&[]) {
        [marks @ .., JOINER] => marks,
        marks => marks,
    }
}

fn look(cell: &Cell) -> Look {
    let has = |it: Flags| cell.flags.contains(it);
    Look {
        fg: color(cell.fg),
        bg: color(cell.bg),
        under: cell.underline_color().map(color).unwrap_or_default(),
        underline: match () {
            () if has(Flags::DOUBLE_UNDERLINE) => Underline::Double,
            () if has(Flags::UNDERCURL) => Underline::Curly,
            () if has(Flags::DOTTED_UNDERLINE) => Underline::Dotted,
            () if has(Flags::DASHED_UNDERLINE) => Underline::Dashed,
            () if has(Flags::UNDERLINE) => Underline::Single,
            () => Underline::None,
        },
        bold: has(Flags::BOLD),
        dim: has(Flags::DIM),
        italic: has(Flags::ITALIC),
        reverse: has(Flags::INVERSE),
        hidden: has(Flags::HIDDEN),
        strike: has(Flags::STRIKEOUT),
        blink: has(BLINK),
    }
}

fn color(color: ansi::Color) -> Color {
    match color {
        ansi::Color::Spec(it) => Color::Rgb(it.r, it.g, it.b),
        ansi::Color::Indexed(it) => Color::Indexed(it),
        ansi::Color::Named(it) => match it as usize {
            it @ 0..=15 => Color::Indexed(u8::try_from(it).unwrap_or(0)),
            _ => Color::Default,
        },
    }
}

#[cfg(test)]
mod tests;
