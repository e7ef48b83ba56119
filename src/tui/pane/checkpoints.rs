//! The checkpoints of the selected task: what was saved when, and all that can be done with it.
//!
//! The list is asked for once the selection has rested, and again when an event says that it holds
//! no more. Rows stay where they are under the cursor: the selection follows the checkpoint.

mod acts;
mod detail;
mod draw;
#[cfg(test)]
pub(crate) mod tests;

use std::{cmp::Reverse, time::Duration};

use ratatui::layout::Rect;

use crate::{
    api::{checkpoints::CheckpointView, error::ApiError, types::EventView},
    domain::event::EventBody,
    stdx::time::Timestamp,
    tui::{
        canvas::Canvas,
        effect::{Ask, Request},
        keymap::Action,
        model::{Out, Purpose, Shared, Then, replica::Connection},
        msg::Reply,
        pane::checkpoints::detail::Detail,
        widget::list::Window,
    },
    vt::input::{Button, Key, Mouse, MouseKind},
};

/// How long a selection rests before anything is asked: a held key passes over many tasks.
const REST: Duration = Duration::from_millis(150);

/// Checkpoints that can be marked: those that are compared.
const MARKS_MAX: usize = 2;

/// Rows that one turn of the wheel scrolls.
const WHEEL_ROWS: isize = 3;

/// What the panel holds.
#[derive(Debug, Default)]
pub struct Model {
    /// The task whose checkpoints these are.
    task: Option<String>,
    /// Newest first; nothing until the dispatcher listed them.
    list: Option<Vec<CheckpointView>>,
    /// Bytes of the store on this machine, over all tasks.
    store_bytes: u64,
    /// Why they could not be listed.
    trouble: Option<String>,
    /// Whether something happened since they were asked for.
    stale: bool,
    /// When they are to be asked for.
    rest: Option<Timestamp>,
    /// The number given last to a request.
    asked: u64,
    /// The number of the request for the list, while it is under way.
    list_asked: Option<u64>,
    /// Positions in the list, in the order of the rows.
    order: Vec<usize>,
    by: By,
    window: Window,
    /// The selected checkpoint; nothing until a person moves: then it is the first.
    selected: Option<String>,
    marks: Vec<String>,
    detail: Detail,
    /// Rows that are drawn of the list.
    height: usize,
    /// Whether the dispatcher answered when it was looked at last.
    was_up: bool,
}

/// What the rows are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum By {
    #[default]
    Time,
    Size,
    Change,
}

impl By {
    fn next(self) -> By {
        match self {
            By::Time => By::Size,
            By::Size => By::Change,
            By::Change => By::Time,
        }
    }

    fn name(self) -> &'static str {
        match self {
            By::Time => "time",
            By::Size => "size",
            By::Change => "change",
        }
    }
}

impl Model {
    /// Returns the checkpoint at a row.
    fn row(&self, row: usize) -> Option<&CheckpointView> {
        self.list.as_ref()?.get(*self.order.get(row)?)
    }

    /// Returns the selected checkpoint.
    fn current(&self) -> Option<&CheckpointView> {
        self.row(self.window.selected)
    }

    fn find(&self, id: &str) -> Option<&CheckpointView> {
        self.list.as_ref()?.iter().find(|it| it.id == id)
    }

    /// Sorts the rows; the selected checkpoint stays on its line of the screen.
    fn sort(&mut self) {
        let Some(list) = &self.list else { return self.order.clear() };
        self.order = (0..list.len()).collect();
        let size = |it: &CheckpointView| it.stored_bytes.unwrap_or(0);
        let change = |it: &CheckpointView| {
            let lines = it.change.lines_added.saturating_add(it.change.lines_removed);
            let files = it.change.added.saturating_add(it.change.modified);
            (lines, files.saturating_add(it.change.deleted))
        };
        match self.by {
            By::Time => (),
            By::Size => self.order.sort_by_key(|it| Reverse(size(&list[*it]))),
            By::Change => self.order.sort_by_key(|it| Reverse(change(&list[*it]))),
        }
        let line = self.window.selected.saturating_sub(self.window.top);
        let at = self.selected.as_ref().and_then(|id| {
            self.order.iter().position(|it| list.get(*it).is_some_and(|it| it.id == *id))
        });
        match at {
            Some(row) => {
                self.window.selected = row;
                self.window.top = row.saturating_sub(line);
            }
            // It was deleted: what took its row is selected.
            None => self.selected = None,
        }
        self.window.show(self.order.len(), self.height);
        if at.is_none() && line != 0 {
            self.selected = self.current().map(|it| it.id.clone());
        }
        self.marks.retain(|id| list.iter().any(|it| it.id == *id));
    }

    fn number(&mut self) -> u64 {
        self.asked += 1;
        self.asked
    }
}

/// Tells whether keys are text for the panel now.
pub fn typing(_model: &Model) -> bool {
    false
}

/// Does an action of the panel, or moves in it.
pub fn act(model: &mut Model, shared: &Shared, action: Action, out: &mut Out) {
    acts::act(model, shared, action, out);
}

/// Forgets the marks; tells whether there were any.
pub fn clear_marks(model: &mut Model) -> bool {
    !std::mem::take(&mut model.marks).is_empty()
}

/// Takes a key that is text for the panel: there is none.
pub fn key(_model: &mut Model, _shared: &Shared, _key: &Key, _out: &mut Out) {}

/// Takes pasted text: it goes nowhere.
pub fn paste(_model: &mut Model, _shared: &Shared, _text: &str, _out: &mut Out) {}

/// Takes a mouse event: a click selects, the wheel scrolls; `area` is the panel with its border.
pub fn mouse(model: &mut Model, _shared: &Shared, area: Rect, mouse: &Mouse, _out: &mut Out) {
    let list = draw::Places::of(model, area).list;
    match mouse.kind {
        MouseKind::ScrollDown => acts::step(model, WHEEL_ROWS),
        MouseKind::ScrollUp => acts::step(model, -WHEEL_ROWS),
        MouseKind::Down(Button::Left) if list.contains((mouse.col, mouse.row).into()) => {
            let row = model.window.top + usize::from(mouse.row - list.y);
            if row < model.order.len() {
                acts::go(model, row);
            }
        }
        _ => (),
    }
}

/// Takes an answer that was asked for under a number.
pub fn answered_item(
    model: &mut Model,
    _shared: &Shared,
    item: u64,
    result: &Result<Reply, ApiError>,
    _out: &mut Out,
) {
    if model.list_asked != Some(item) {
        return model.detail.answered(item, result);
    }
    model.list_asked = None;
    match result {
        Ok(Reply::Checkpoints(found)) => {
            model.store_bytes = found.store_bytes;
            model.list = Some(found.checkpoints.clone());
            model.trouble = None;
            model.sort();
        }
        Ok(_) => (),
        Err(error) => model.trouble = Some(error.message.clone()),
    }
}

/// Something happened to a task: its checkpoints may be others now.
pub fn happened(model: &mut Model, event: &EventView) {
    use EventBody as E;
    let counts = matches!(
        event.body,
        E::CheckpointMade { .. }
            | E::CheckpointHeld { .. }
            | E::CheckpointLabelled { .. }
            | E::CheckpointPinned { .. }
            | E::CheckpointDamaged { .. }
            | E::CheckpointDeleted { .. }
    );
    if counts && model.task.as_ref() == Some(&event.task) {
        model.stale = true;
        model.detail.forget();
    }
}

/// Tasks, selection or time changed; `area` is the panel with its border, if it is drawn.
pub fn changed(model: &mut Model, shared: &Shared, area: Option<Rect>, out: &mut Out) {
    let up = shared.replica.connection == Connection::Up;
    model.stale |= up && !model.was_up && model.list.is_some();
    model.was_up = up;
    let Some(area) = area else { return };
    if model.task != shared.selected {
        begin(model, shared);
    }
    if model.stale && model.rest.is_none() && model.list_asked.is_none() && up {
        model.rest = Some(shared.now);
    }
    match model.rest {
        Some(at) if shared.now < at => out.then.push(Then::WakeAt(at)),
        Some(_) => ask(model, out),
        None => (),
    }
    let places = draw::Places::of(model, area);
    model.height = usize::from(places.list.height);
    model.window.show(model.order.len(), model.height);
    detail::follow(model, shared, places.detail, out);
}

/// Begins with another task.
fn begin(model: &mut Model, shared: &Shared) {
    // What was shown already, or nothing, need not rest.
    let at_once = model.task.is_none();
    *model = Model {
        task: shared.selected.clone(),
        rest: Some(if at_once { shared.now } else { shared.now.plus(REST) }),
        by: model.by,
        asked: model.asked,
        was_up: model.was_up,
        ..Model::default()
    };
}

fn ask(model: &mut Model, out: &mut Out) {
    (model.rest, model.stale) = (None, false);
    let Some(task) = model.task.clone() else { return };
    let number = model.number();
    model.list_asked = Some(number);
    let ask = Ask::Request(Request::Checkpoints { task });
    out.ask("checkpoints", ask, Purpose::CheckpointsItem(number));
}

/// Draws the panel with its border.
pub fn view(model: &Model, shared: &Shared, area: Rect, focused: bool, canvas: &mut Canvas) {
    draw::view(model, shared, area, focused, canvas);
}
