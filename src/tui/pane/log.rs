//! The log of the selected task: what it said and did, what the dispatcher did, what its terminal
//! showed.
//!
//! Only a window of it is held (`buffer`); it is read as it is looked at (`reads`).

mod act;
mod buffer;
mod draw;
mod reads;
#[cfg(test)]
mod tests;

use ratatui::layout::Rect;

use crate::{
    api::error::ApiError,
    stdx::time::Timestamp,
    tui::{
        canvas::Canvas,
        effect::LogView,
        keymap::Action,
        layout::inside,
        model::{Level, Out, Shared},
        msg::{LogMsg, ReadId, Reply, Returned},
        pane::log::{
            buffer::{Buffer, Item},
            reads::{Reads, Source},
        },
        popup,
        widget::{
            input::Input,
            lines::{Break, Paper, Pattern, Top, wrap},
        },
    },
    vt::input::{Button, Key, Mouse, MouseKind},
};

/// Pages read without a person doing something.
const PAGES_UNASKED: usize = 20;

/// What the panel holds.
#[derive(Debug)]
pub struct Model {
    view: LogView,
    /// What is to be shown once the selection rests.
    wanted: Option<Source>,
    rest: Option<Timestamp>,
    /// What is shown.
    source: Option<Source>,
    reads: Reads,
    buffer: Buffer,
    /// When it was read from its end.
    loaded_at: Option<Timestamp>,
    trouble: Option<String>,
    was_up: bool,
    /// The rows of text that the filter leaves, if there is a filter.
    shown: Option<Vec<usize>>,
    filter: Option<Filter>,
    tools: bool,
    follow: bool,
    wrap: bool,
    times: bool,
    top: Top,
    /// The row of text that keys move, among those shown.
    cursor: usize,
    anchor: Option<usize>,
    pattern: Option<Pattern>,
    /// How many rows of text match.
    matches: usize,
    prompt: Option<Prompt>,
    /// Pages that may still be read before the person does something: a filter that nothing passes
    /// would have all of a long log read.
    budget: usize,
    /// Columns for the text, and rows.
    size: (u16, u16),
}

/// Which lines are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Filter {
    pattern: Pattern,
    /// Those that do not hold it.
    not: bool,
}

/// A line being typed.
#[derive(Debug)]
struct Prompt {
    what: What,
    input: Input,
}

/// What is being typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Search,
    Filter,
    Save,
    Pipe,
}

impl Default for Model {
    fn default() -> Model {
        Model {
            view: LogView::Activity,
            wanted: None,
            rest: None,
            source: None,
            reads: Reads::default(),
            buffer: Buffer::default(),
            loaded_at: None,
            trouble: None,
            was_up: false,
            shown: None,
            filter: None,
            tools: false,
            follow: true,
            wrap: true,
            times: true,
            top: Top::default(),
            cursor: 0,
            anchor: None,
            pattern: None,
            matches: 0,
            prompt: None,
            budget: PAGES_UNASKED,
            size: (80, 10),
        }
    }
}

impl Model {
    pub fn view_shown(&self) -> LogView {
        self.source.as_ref().map_or(self.view, |it| it.view)
    }

    fn shown_len(&self) -> usize {
        self.shown.as_ref().map_or(self.buffer.len(), Vec::len)
    }

    /// Returns a row of text by its place among those shown.
    fn item(&self, at: usize) -> Option<&Item> {
        self.buffer.get(self.index(at)?)
    }

    fn index(&self, at: usize) -> Option<usize> {
        match &self.shown {
            Some(shown) => shown.get(at).copied(),
            None => Some(at),
        }
    }

    fn breaks(&self) -> Break {
        match (self.wrap, self.view_shown()) {
            (false, _) => Break::Never,
            (true, LogView::Terminal) => Break::Anywhere,
            (true, _) => Break::Blanks,
        }
    }

    fn paper<T>(&self, with: impl FnOnce(&Paper<'_>) -> T) -> T {
        let (width, breaks) = (self.size.0, self.breaks());
        let height =
            |at: usize| self.item(at).map_or(1, |it| wrap(&it.line.text, width, breaks).len());
        let view = usize::from(self.size.1.max(1));
        with(&Paper { len: self.shown_len(), height: &height, view })
    }

    fn passes(&self, item: &Item) -> bool {
        let tools = !self.tools || item.kind == "tool";
        tools && self.filter.as_ref().is_none_or(|it| it.pattern.is_in(&item.line.text) != it.not)
    }

    fn clear(&mut self) {
        self.buffer = Buffer::default();
        self.shown = (self.filter.is_some() || self.tools).then(Vec::new);
        (self.top, self.cursor, self.anchor, self.matches) = (Top::default(), 0, None, 0);
        self.follow = true;
    }

    /// Chooses again which lines are shown, and stays at the line where one was.
    fn refilter(&mut self) {
        let here = self.index(self.cursor).unwrap_or(0);
        let some = self.filter.is_some() || self.tools;
        let all = 0..self.buffer.len();
        let passing =
            all.filter(|at| self.buffer.get(*at).is_some_and(|it| self.passes(it))).collect();
        self.shown = some.then_some(passing);
        let cursor = self.shown.as_ref().map_or(here, |it| it.partition_point(|it| *it < here));
        self.anchor = None;
        self.count_matches();
        self.go(cursor);
    }

    fn count_matches(&mut self) {
        let Some(pattern) = &self.pattern else {
            self.matches = 0;
            return;
        };
        let shown = 0..self.shown_len();
        self.matches = shown
            .filter(|at| self.item(*at).is_some_and(|it| pattern.is_in(&it.line.text)))
            .count();
    }

    /// Rows of text were added at the end, from `from` on.
    fn appended(&mut self, from: usize) {
        let new = from..self.buffer.len();
        let shown_from = self.shown_len().min(from);
        if self.shown.is_some() {
            let passing: Vec<usize> =
                new.filter(|at| self.buffer.get(*at).is_some_and(|it| self.passes(it))).collect();
            if let Some(shown) = &mut self.shown {
                shown.extend(passing);
            }
        }
        if let Some(pattern) = &self.pattern {
            let from = if self.shown.is_some() { shown_from } else { from };
            let new = from..self.shown_len();
            let matching =
                new.filter(|at| self.item(*at).is_some_and(|it| pattern.is_in(&it.line.text)));
            self.matches += matching.count();
        }
    }

    /// So many rows of text were added at the front: what is drawn stays where it is.
    fn shifted(&mut self, count: usize) {
        let by = match self.shown.take() {
            None => count,
            Some(shown) => {
                let new = 0..count;
                let mut all: Vec<usize> = new
                    .filter(|at| self.buffer.get(*at).is_some_and(|it| self.passes(it)))
                    .collect();
                let by = all.len();
                all.extend(shown.into_iter().map(|it| it + count));
                self.shown = Some(all);
                by
            }
        };
        self.top.line += by;
        self.cursor += by;
        self.anchor = self.anchor.map(|it| it + by);
        self.count_matches();
    }

    /// So many rows of text went from the front.
    fn shifted_back(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        let by = match &mut self.shown {
            None => count,
            Some(shown) => {
                let by = shown.partition_point(|it| *it < count);
                shown.drain(..by);
                shown.iter_mut().for_each(|it| *it -= count);
                by
            }
        };
        self.top.line = self.top.line.saturating_sub(by);
        self.cursor = self.cursor.saturating_sub(by);
        self.anchor = self.anchor.map(|it| it.saturating_sub(by));
        self.count_matches();
    }

    /// Goes to a row of text among those shown.
    fn go(&mut self, line: usize) {
        self.cursor = line.min(self.shown_len().saturating_sub(1));
        self.top = self.paper(|it| it.reveal(self.top.min(it.last()), self.cursor));
    }

    /// Goes to the end.
    fn rest_at_end(&mut self) {
        self.cursor = self.shown_len().saturating_sub(1);
        self.top = self.paper(|it| it.last());
    }

    /// Moves what is drawn; the cursor stays on it.
    fn scroll(&mut self, rows: isize) {
        let by = rows.unsigned_abs();
        let (top, last) = self.paper(|it| {
            let top = if rows < 0 { it.back(self.top, by) } else { it.forward(self.top, by) };
            (top, it.last())
        });
        self.top = top;
        let end = self.paper(|it| it.line_at(top, it.view - 1));
        self.cursor = self.cursor.clamp(top.line, end.max(top.line));
        // Who scrolls to the end follows again; nobody selects lines that run away.
        self.follow =
            0 < rows && last <= top && self.anchor.is_none() && self.buffer.cut.is_empty();
    }
}

/// Tells whether keys are text for the panel now.
pub fn typing(model: &Model) -> bool {
    model.prompt.is_some()
}

/// Does an action of the panel, or moves in it.
pub fn act(model: &mut Model, shared: &Shared, action: Action, out: &mut Out) {
    model.budget = PAGES_UNASKED;
    act::act(model, shared, action, out);
}

/// Takes a key that is text for the panel.
pub fn key(model: &mut Model, shared: &Shared, key: &Key, out: &mut Out) {
    model.budget = PAGES_UNASKED;
    act::key(model, shared, key, out);
}

/// Takes pasted text.
pub fn paste(model: &mut Model, _shared: &Shared, text: &str, _out: &mut Out) {
    if let Some(it) = &mut model.prompt {
        it.input.insert(text);
    }
}

/// Takes a mouse event on the panel; `area` is the panel with its border.
pub fn mouse(model: &mut Model, _shared: &Shared, area: Rect, mouse: &Mouse, _out: &mut Out) {
    let inner = inside(area);
    let row = usize::from(mouse.row.saturating_sub(inner.y).min(inner.height.max(1) - 1));
    let line = model.paper(|it| it.line_at(model.top, row));
    model.budget = PAGES_UNASKED;
    match mouse.kind {
        MouseKind::ScrollUp => model.scroll(-3),
        MouseKind::ScrollDown => model.scroll(3),
        MouseKind::Down(Button::Left) => {
            (model.cursor, model.anchor, model.follow) = (line, None, false);
        }
        MouseKind::Drag(Button::Left) => {
            model.anchor.get_or_insert(model.cursor);
            model.go(line);
        }
        _ => (),
    }
}

/// Takes an answer that was asked for with [`crate::tui::model::Purpose::Panel`]: what a command
/// printed.
pub fn answered(
    _model: &mut Model,
    _shared: &Shared,
    result: &Result<Reply, ApiError>,
    out: &mut Out,
) {
    match result {
        Ok(Reply::Printed(text)) => {
            let lines = text.lines().map(|it| (None, it.to_owned())).collect();
            let shown = popup::text::Model::lines("What the command printed", lines);
            out.open(popup::Kind::Text(shown));
        }
        Ok(_) => (),
        Err(error) => out.note(Level::Error, format!("pipe: {}", error.message)),
    }
}

/// Tasks, selection, marks or time changed; `area` is the panel with its border, if it is drawn.
pub fn changed(model: &mut Model, shared: &Shared, area: Option<Rect>, out: &mut Out) {
    let inner = area.map(inside).filter(|it| !it.is_empty());
    reads::follow(model, shared, inner.is_some(), out);
    let Some(inner) = inner else { return };
    let size = (inner.width.saturating_sub(draw::gutter(model)).max(1), inner.height);
    if size != model.size {
        model.size = size;
        model.top.row = 0;
    }
    if model.follow {
        model.rest_at_end();
    } else {
        model.top = model.paper(|it| model.top.min(it.last()));
    }
    reads::reach(model, out);
}

/// Draws the panel with its border.
pub fn view(model: &Model, shared: &Shared, area: Rect, focused: bool, canvas: &mut Canvas) {
    draw::view(model, shared, area, focused, canvas);
}

/// Takes news of a log that this panel reads.
pub fn read(model: &mut Model, _shared: &Shared, read: ReadId, what: LogMsg, out: &mut Out) {
    reads::read(model, read, what, out);
}

/// Takes what another program left: a pager leaves nothing.
pub fn returned(_model: &mut Model, _shared: &Shared, _what: &Returned, _out: &mut Out) {}
