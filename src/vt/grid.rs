//! The emulator, and where it is told something else than it would believe.
//!
//! Every character goes through [`Grid::input`], which decides what is one cell: tmux draws whole
//! clusters and goes on from where it believes them to end. The rest is handed on as it is, but for
//! the two things the emulator drops: blinking text, and xterm's modifyOtherKeys.

use alacritty_terminal::{
    event::{Event, EventListener},
    grid::Dimensions,
    index::{Column, Point},
    term::{
        Term, TermMode,
        cell::{Cell, Flags},
    },
    vte::ansi::{
        Attr, CharsetIndex, ClearMode, CursorShape, CursorStyle, Handler, Hyperlink, KeyboardModes,
        KeyboardModesApplyBehavior, LineClearMode, Mode, ModifyOtherKeys, PrivateMode, Rgb,
        StandardCharset, TabulationClearMode, cursor_icon::CursorIcon,
    },
};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::vt::width;

/// Blinking, in the one bit that the emulator leaves free.
pub const BLINK: Flags = Flags::from_bits_retain(1 << 15);

/// Joins the emoji before and after it into one (ZWJ).
pub const JOINER: char = '\u{200d}';

/// The most keyboard modes and titles that a program may lay aside; more are not. The emulator
/// itself panics at 4096 keyboard modes (0.26), and keeps as many titles.
const ASIDE_MAX: usize = 64;

/// Characters kept of a title.
const TITLE_MAX: usize = 300;

/// Bytes that tmux keeps of one cell's text. What would make it longer is drawn by nobody.
const CLUSTER_MAX: usize = 21;

/// The emulator with its exceptions.
pub struct Grid<L> {
    /// The emulator itself.
    pub term: Term<L>,
    /// The level of xterm's modifyOtherKeys that the program asked for.
    pub modify_other_keys: u8,
    /// Keyboard modes laid aside on the main and on the alternate screen: never fewer than there
    /// are.
    keyboards: [usize; 2],
    /// Titles laid aside.
    titles: usize,
    said: L,
}

impl<L: EventListener + Clone> Grid<L> {
    /// Returns the emulator `term`, which tells `said` what it has to say.
    pub fn new(term: Term<L>, said: L) -> Grid<L> {
        Grid { term, modify_other_keys: 0, keyboards: [0; 2], titles: 0, said }
    }

    /// Counts the keyboard modes laid aside on the screen that is shown.
    fn keyboards(&mut self) -> &mut usize {
        &mut self.keyboards[usize::from(self.term.mode().contains(TermMode::ALT_SCREEN))]
    }

    /// Writes a character. For one that takes other columns than the emulator believes it is given
    /// one it believes in, which is then exchanged.
    fn write(&mut self, c: char, columns: usize) {
        let last = self.term.columns() - 1;
        if columns == 2
            && self.term.grid().cursor.point.column.0 == last
            && self.term.mode().contains(TermMode::LINE_WRAP)
        {
            // The emulator would blank the last column, and the half of what stands there.
            self.term.grid_mut().cursor.input_needs_wrap = true;
        }
        if UnicodeWidthChar::width(c) == Some(columns) {
            return self.term.input(c);
        }
        self.term.input(if columns == 2 { '\u{3000}' } else { ' ' });
        if let Some(point) = self.before_cursor() {
            self.term.grid_mut()[point].c = c;
        }
    }

    /// Returns the cell that ends before the cursor: its first half, if it is wide.
    fn before_cursor(&self) -> Option<Point> {
        let grid = self.term.grid();
        let mut point = grid.cursor.point;
        if !grid.cursor.input_needs_wrap {
            point.column = Column(point.column.0.checked_sub(1)?);
        }
        if grid[point].flags.contains(Flags::WIDE_CHAR_SPACER) {
            point.column = Column(point.column.0.checked_sub(1)?);
        }
        Some(point)
    }

    /// Puts a mark on a cell, unless its text would get longer than tmux keeps it, or become wider
    /// or narrower than the cell for the terminal outside: there an emoji selector behind a narrow
    /// character makes it wide.
    fn mark(&mut self, point: Point, c: char) {
        let cell = &mut self.term.grid_mut()[point];
        let mut text = text(cell);
        if c == JOINER && text.ends_with(JOINER) {
            return;
        }
        text.push(c);
        let columns = if cell.flags.contains(Flags::WIDE_CHAR) { 2 } else { 1 };
        // A character whose width is in dispute keeps its marks.
        let fits = text.width() == columns || width_of(cell) != columns;
        if fits && text.len() <= CLUSTER_MAX {
            cell.push_zerowidth(c);
        }
    }
}

/// Returns a cell's text.
fn text(cell: &Cell) -> String {
    std::iter::once(cell.c).chain(cell.zerowidth().unwrap_or(&[]).iter().copied()).collect()
}

fn width_of(cell: &Cell) -> usize {
    UnicodeWidthChar::width(cell.c).unwrap_or(0)
}

/// Hands calls on to the emulator.
macro_rules! hand_on {
    ($(fn $name:ident($($arg:ident: $kind:ty),*);)*) => {
        $(fn $name(&mut self, $($arg: $kind),*) {
            Handler::$name(&mut self.term, $($arg),*);
        })*
    };
}

impl<L: EventListener + Clone> Handler for Grid<L> {
    fn input(&mut self, c: char) {
        if c.is_ascii() {
            return self.term.input(c);
        }
        if c.is_control() {
            return;
        }
        let columns = width::columns(c);
        let before = self.before_cursor();
        let joins = |it: &Point| {
            let cell = &self.term.grid()[*it];
            let joined = cell.zerowidth().and_then(<[char]>::last) == Some(&JOINER);
            joined && text(cell).len() + c.len_utf8() <= CLUSTER_MAX
        };
        match before {
            Some(point) if columns == 0 || joins(&point) => self.mark(point, c),
            // A mark with nothing to stand on.
            None if columns == 0 => (),
            _ => self.write(c, columns),
        }
    }

    fn terminal_attribute(&mut self, attr: Attr) {
        let flags = &mut self.term.grid_mut().cursor.template.flags;
        match attr {
            Attr::BlinkSlow | Attr::BlinkFast => flags.insert(BLINK),
            Attr::CancelBlink => flags.remove(BLINK),
            // SGR 21, and it alone; tmux and ECMA-48 mean this by it.
            Attr::CancelBold => self.term.terminal_attribute(Attr::DoubleUnderline),
            _ => self.term.terminal_attribute(attr),
        }
    }

    fn set_modify_other_keys(&mut self, mode: ModifyOtherKeys) {
        self.modify_other_keys = match mode {
            ModifyOtherKeys::Reset => 0,
            ModifyOtherKeys::EnableExceptWellDefined => 1,
            ModifyOtherKeys::EnableAll => 2,
        };
    }

    fn report_modify_other_keys(&mut self) {
        self.said.send_event(Event::PtyWrite(format!("\x1b[>4;{}m", self.modify_other_keys)));
    }

    fn reset_state(&mut self) {
        (self.modify_other_keys, self.keyboards, self.titles) = (0, [0; 2], 0);
        self.term.reset_state();
    }

    fn push_keyboard_mode(&mut self, mode: KeyboardModes) {
        if *self.keyboards() < ASIDE_MAX {
            *self.keyboards() += 1;
            self.term.push_keyboard_mode(mode);
        }
    }

    fn pop_keyboard_modes(&mut self, count: u16) {
        *self.keyboards() = self.keyboards().saturating_sub(usize::from(count));
        self.term.pop_keyboard_modes(count);
    }

    fn set_title(&mut self, title: Option<String>) {
        self.term.set_title(title.map(|it| it.chars().take(TITLE_MAX).collect()));
    }

    fn push_title(&mut self) {
        if self.titles < ASIDE_MAX {
            self.titles += 1;
            self.term.push_title();
        }
    }

    fn pop_title(&mut self) {
        self.titles = self.titles.saturating_sub(1);
        self.term.pop_title();
    }

    /// One stop at a time: the emulator looks at every column again for each that is not there.
    fn move_backward_tabs(&mut self, count: u16) {
        for _ in 0..count {
            let before = self.term.grid().cursor.point.column;
            self.term.move_backward_tabs(1);
            if self.term.grid().cursor.point.column == before {
                return;
            }
        }
    }

    hand_on! {
        fn set_cursor_style(style: Option<CursorStyle>);
        fn set_cursor_shape(shape: CursorShape);
        fn goto(line: i32, col: usize);
        fn goto_line(line: i32);
        fn goto_col(col: usize);
        fn insert_blank(count: usize);
        fn move_up(count: usize);
        fn move_down(count: usize);
        fn identify_terminal(intermediate: Option<char>);
        fn device_status(what: usize);
        fn move_forward(count: usize);
        fn move_backward(count: usize);
        fn move_down_and_cr(count: usize);
        fn move_up_and_cr(count: usize);
        fn put_tab(count: u16);
        fn backspace();
        fn carriage_return();
        fn linefeed();
        fn bell();
        fn substitute();
        fn newline();
        fn set_horizontal_tabstop();
        fn scroll_up(count: usize);
        fn scroll_down(count: usize);
        fn insert_blank_lines(count: usize);
        fn delete_lines(count: usize);
        fn erase_chars(count: usize);
        fn delete_chars(count: usize);
        fn move_forward_tabs(count: u16);
        fn save_cursor_position();
        fn restore_cursor_position();
        fn clear_line(mode: LineClearMode);
        fn clear_screen(mode: ClearMode);
        fn clear_tabs(mode: TabulationClearMode);
        fn set_tabs(interval: u16);
        fn reverse_index();
        fn set_mode(mode: Mode);
        fn unset_mode(mode: Mode);
        fn report_mode(mode: Mode);
        fn set_private_mode(mode: PrivateMode);
        fn unset_private_mode(mode: PrivateMode);
        fn report_private_mode(mode: PrivateMode);
        fn set_scrolling_region(top: usize, bottom: Option<usize>);
        fn set_keypad_application_mode();
        fn unset_keypad_application_mode();
        fn set_active_charset(index: CharsetIndex);
        fn configure_charset(index: CharsetIndex, charset: StandardCharset);
        fn set_color(index: usize, color: Rgb);
        fn reset_color(index: usize);
        fn clipboard_store(clipboard: u8, text: &[u8]);
        fn clipboard_load(clipboard: u8, end: &str);
        fn dynamic_color_sequence(prefix: String, index: usize, end: &str);
        fn decaln();
        fn text_area_size_pixels();
        fn text_area_size_chars();
        fn set_hyperlink(link: Option<Hyperlink>);
        fn set_mouse_cursor_icon(icon: CursorIcon);
        fn report_keyboard_mode();
        fn set_keyboard_mode(mode: KeyboardModes, how: KeyboardModesApplyBehavior);
    }
}
