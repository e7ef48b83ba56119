//! Looking back: the past of a terminal as text, to scroll, search, select and copy.

use std::{collections::VecDeque, ops::Range};

use ratatui::layout::Rect;

use crate::{
    stdx::text::one_line,
    tui::{
        canvas::Canvas,
        effect::{Effect, HandOver, LogAsk, LogView},
        keymap::Action,
        layout::inside,
        model::{Level, Out, Purpose, Shared, Then},
        msg::{LogMsg, ReadId},
        theme::Role,
        widget::{
            input::Input,
            lines::{self, Break, Ink, Paper, Pattern, Rich, Spot, Top, wrap},
        },
    },
    vt::input::{Button, Code, Key, Mouse, MouseKind},
};

/// Lines that are read and kept; older ones are in the log panel.
pub const LINES_MAX: usize = 10_000;

/// Bytes that the kept lines may take; the oldest go first.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// Rows that the wheel moves.
const WHEEL: isize = 3;

/// Where one is in the past of a terminal.
#[derive(Debug)]
pub struct Scroll {
    read: ReadId,
    ink: Ink,
    lines: VecDeque<Rich>,
    bytes: usize,
    /// Whether all was read.
    pub loaded: bool,
    /// Why nothing can be read.
    pub trouble: Option<String>,
    /// Rows to move once all is there.
    pending: isize,
    top: Top,
    /// The line that keys move.
    cursor: usize,
    /// The other end of the selection.
    anchor: Option<usize>,
    /// The search being typed.
    typing: Option<Input>,
    pattern: Option<Pattern>,
    /// Lines that match.
    matches: Vec<usize>,
    /// Columns and rows it is drawn on.
    size: (u16, u16),
}

/// What a key came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    Here,
    /// Back to the live screen.
    Leave,
}

impl Scroll {
    /// Begins to read; `back` rows are gone back as soon as that is possible.
    pub fn begin(read: ReadId, task: &str, back: isize, inner: Rect, out: &mut Out) -> Scroll {
        let query =
            LogAsk { view: LogView::Terminal, tail: LINES_MAX, before: None, follow: false };
        out.effects.push(Effect::ReadLog { read, task: task.to_owned(), query });
        Scroll {
            read,
            ink: Ink::default(),
            lines: VecDeque::new(),
            bytes: 0,
            loaded: false,
            trouble: None,
            pending: -back,
            top: Top::default(),
            cursor: 0,
            anchor: None,
            typing: None,
            pattern: None,
            matches: Vec::new(),
            size: (inner.width, inner.height),
        }
    }

    /// Ends the reading.
    pub fn end(self, out: &mut Out) {
        if !self.loaded {
            out.effects.push(Effect::StopLog(self.read));
        }
    }

    /// Tells whether keys are text.
    pub fn typing(&self) -> bool {
        self.typing.is_some()
    }

    /// It is drawn on so many columns and rows.
    pub fn fit(&mut self, inner: Rect) {
        let size = (inner.width, inner.height);
        if size != self.size {
            self.size = size;
            self.top.row = 0;
            self.reveal();
        }
    }

    /// Tells whether lines are for it.
    pub fn reads(&self, read: ReadId) -> bool {
        self.read == read
    }

    /// Takes lines in.
    pub fn read(&mut self, what: LogMsg) {
        match what {
            LogMsg::Lines(lines) => {
                for line in lines {
                    self.push(&line.text);
                }
            }
            LogMsg::Failed(error) => {
                self.trouble = Some(one_line(&error.message, 200));
                self.done();
            }
            LogMsg::CaughtUp => (),
            LogMsg::Ended => self.done(),
        }
    }

    fn push(&mut self, line: &str) {
        let line = self.ink.line(line);
        self.bytes += line.size();
        self.lines.push_back(line);
        while LINES_MAX < self.lines.len() || BYTES_MAX < self.bytes {
            let Some(gone) = self.lines.pop_front() else { break };
            self.bytes -= gone.size();
        }
    }

    fn done(&mut self) {
        if self.loaded {
            return;
        }
        self.loaded = true;
        self.cursor = self.lines.len().saturating_sub(1);
        self.top = self.paper(|it| it.last());
        self.scroll(self.pending);
    }

    fn paper<T>(&self, with: impl FnOnce(&Paper<'_>) -> T) -> T {
        let width = self.size.0;
        let height = |it: usize| {
            self.lines.get(it).map_or(1, |it| wrap(&it.text, width, Break::Anywhere).len())
        };
        let view = usize::from(self.size.1.max(1));
        with(&Paper { len: self.lines.len(), height: &height, view })
    }

    fn reveal(&mut self) {
        self.top = self.paper(|it| it.reveal(self.top, self.cursor));
    }

    fn go(&mut self, line: usize) {
        self.cursor = line.min(self.lines.len().saturating_sub(1));
        self.reveal();
    }

    /// Moves what is drawn, and the cursor with it as far as it must; tells whether it is at the
    /// end and was not asked to go back.
    pub fn scroll(&mut self, rows: isize) -> bool {
        if !self.loaded {
            self.pending += rows;
            return false;
        }
        let by = rows.unsigned_abs();
        let (top, last) = self.paper(|it| {
            let top = if rows < 0 { it.back(self.top, by) } else { it.forward(self.top, by) };
            (top, it.last())
        });
        self.top = top;
        let end = self.paper(|it| it.line_at(top, it.view - 1));
        self.cursor = self.cursor.clamp(top.line, end.max(top.line));
        0 <= rows && last <= top
    }

    /// Does an action of looking back.
    pub fn act(&mut self, action: Action, out: &mut Out) -> Stay {
        match action {
            Action::ScrollLeave => {
                // Esc goes up one level: first the selection, then the search.
                if self.anchor.take().is_some() || self.pattern.take().is_some() {
                    self.matches.clear();
                    return Stay::Here;
                }
                return Stay::Leave;
            }
            Action::ScrollSearch => self.typing = Some(Input::default()),
            Action::ScrollNext => self.jump(true, out),
            Action::ScrollBefore => self.jump(false, out),
            Action::ScrollSelect => {
                self.anchor = if self.anchor.is_some() { None } else { Some(self.cursor) };
            }
            Action::ScrollYank => self.copy(out),
            Action::ScrollEdit => {
                let text = self.text(0..self.lines.len());
                let to = HandOver::Editor { text, suffix: ".txt" };
                out.then.push(Then::HandOver { to, purpose: Purpose::Quiet });
            }
            _ => (),
        }
        Stay::Here
    }

    fn selected(&self) -> Range<usize> {
        let other = self.anchor.unwrap_or(self.cursor);
        self.cursor.min(other)..self.cursor.max(other).saturating_add(1).min(self.lines.len())
    }

    fn text(&self, lines: Range<usize>) -> String {
        let mut text = String::new();
        for line in self.lines.range(lines) {
            text.push_str(&line.text);
            text.push('\n');
        }
        text
    }

    fn copy(&mut self, out: &mut Out) {
        let lines = self.selected();
        if lines.is_empty() {
            return;
        }
        let count = lines.len();
        out.effects.push(Effect::Copy(self.text(lines)));
        let word = if count == 1 { "line" } else { "lines" };
        out.note(Level::Done, format!("{count} {word} copied"));
        self.anchor = None;
    }

    fn jump(&mut self, forward: bool, out: &mut Out) {
        let at = self.cursor;
        let next = if forward {
            self.matches.iter().find(|it| at < **it).or(self.matches.first())
        } else {
            self.matches.iter().rev().find(|it| **it < at).or(self.matches.last())
        };
        match next.copied() {
            Some(line) => self.go(line),
            None if self.pattern.is_some() => out.note(Level::Info, "no match"),
            None => (),
        }
    }

    fn search(&mut self, needle: &str, out: &mut Out) {
        self.pattern = Pattern::new(needle);
        self.matches.clear();
        let Some(pattern) = &self.pattern else { return };
        let lines = self.lines.iter().enumerate();
        self.matches.extend(lines.filter(|it| pattern.is_in(&it.1.text)).map(|it| it.0));
        // One looks back: the match nearest above comes first.
        if !self.matches.contains(&self.cursor) {
            self.jump(false, out);
        }
    }

    /// Takes a key that is no action.
    pub fn key(&mut self, key: &Key, out: &mut Out) -> Stay {
        if let Some(input) = &mut self.typing {
            match key.code {
                Code::Esc => self.typing = None,
                Code::Enter => {
                    let needle = input.text().to_owned();
                    self.typing = None;
                    self.search(&needle, out);
                }
                _ => {
                    input.key(key);
                }
            }
            return Stay::Here;
        }
        let page = isize::try_from(self.size.1.max(2) - 1).unwrap_or(1);
        let ctrl = key.mods.ctrl;
        match key.code {
            Code::Char('j') | Code::Down => self.go(self.cursor.saturating_add(1)),
            Code::Char('k') | Code::Up => self.go(self.cursor.saturating_sub(1)),
            Code::Char('g') | Code::Home => self.go(0),
            Code::Char('G') | Code::End => self.go(usize::MAX),
            Code::Char('d') if ctrl => {
                let _ = self.scroll(page / 2);
            }
            Code::Char('u') if ctrl => {
                let _ = self.scroll(-page / 2);
            }
            Code::PageDown => {
                let _ = self.scroll(page);
            }
            Code::PageUp => {
                let _ = self.scroll(-page);
            }
            _ => (),
        }
        Stay::Here
    }

    /// Takes pasted text.
    pub fn paste(&mut self, text: &str) {
        if let Some(input) = &mut self.typing {
            input.insert(text);
        }
    }

    /// Takes a mouse event: the wheel scrolls, dragging selects.
    pub fn mouse(&mut self, area: Rect, mouse: &Mouse) -> Stay {
        let inner = inside(area);
        let row = usize::from(mouse.row.saturating_sub(inner.y).min(inner.height.max(1) - 1));
        let line = self.paper(|it| it.line_at(self.top, row));
        match mouse.kind {
            MouseKind::ScrollUp => {
                let _ = self.scroll(-WHEEL);
            }
            MouseKind::ScrollDown => {
                let end = self.scroll(WHEEL);
                if end && self.anchor.is_none() && self.pattern.is_none() {
                    return Stay::Leave;
                }
            }
            MouseKind::Down(Button::Left) => (self.cursor, self.anchor) = (line, None),
            MouseKind::Drag(Button::Left) => {
                self.anchor.get_or_insert(self.cursor);
                self.go(line);
            }
            _ => (),
        }
        Stay::Here
    }

    /// Returns what its border says.
    pub fn words(&self) -> String {
        if let Some(why) = &self.trouble {
            return format!("cannot look back: {why}");
        }
        if !self.loaded {
            return "reading".to_owned();
        }
        let mut words = format!("{} of {} lines", self.cursor + 1, self.lines.len());
        if self.anchor.is_some() {
            words.push_str(&format!("  {} selected", self.selected().len()));
        }
        if let Some(pattern) = &self.pattern {
            let needle = one_line(pattern.text(), 20);
            words.push_str(&format!("  /{needle} {} lines", self.matches.len()));
        }
        words
    }

    /// Tells whether there is something to draw.
    pub fn ready(&self) -> bool {
        self.loaded && !self.lines.is_empty()
    }

    /// Draws the lines, and the search being typed.
    pub fn view(&self, shared: &Shared, inner: Rect, focused: bool, canvas: &mut Canvas) {
        let theme = shared.look.theme;
        let (mut y, bottom) = (inner.y, inner.bottom());
        let selected = self.selected();
        for at in self.top.line..self.lines.len() {
            let Some(line) = self.lines.get(at) else { break };
            let matches = self.pattern.as_ref().map(|it| it.find(&line.text)).unwrap_or_default();
            let skip = if at == self.top.line { self.top.row } else { 0 };
            for row in wrap(&line.text, inner.width, Break::Anywhere).into_iter().skip(skip) {
                if bottom <= y {
                    break;
                }
                let spot = Spot { x: inner.x, y, width: inner.width };
                lines::draw(canvas, spot, line, row, (&matches, theme.style(Role::Match)));
                if focused && selected.contains(&at) {
                    let area = Rect { y, height: 1, ..inner };
                    let marked = self.anchor.is_some() || at == self.cursor;
                    let role = if marked { Role::Selected } else { Role::SelectedElsewhere };
                    canvas.tint(area, theme.style(role));
                }
                y += 1;
            }
            if bottom <= y {
                break;
            }
        }
        if let Some(input) = &self.typing
            && 0 < inner.height
        {
            prompt(canvas, shared, inner, ("/", input), focused);
        }
    }
}

/// Draws a line being typed on the last row of `inner`, with the sign before it.
pub fn prompt(
    canvas: &mut Canvas,
    shared: &Shared,
    inner: Rect,
    (sign, input): (&str, &Input),
    focused: bool,
) {
    let theme = shared.look.theme;
    let line = Rect { y: inner.bottom().saturating_sub(1), height: 1, ..inner };
    canvas.fill(line, theme.style(Role::InputFocused));
    let x = canvas.text(line.x, line.y, line.width, sign, theme.style(Role::Key));
    let field = Rect { x, width: line.right().saturating_sub(x), ..line };
    input.view(field, focused, theme, canvas);
}
