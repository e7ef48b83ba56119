//! The list of tasks.

mod acts;
mod draw;
mod rows;
#[cfg(test)]
mod tests;

pub use draw::role;
use std::{collections::HashSet, time::Duration};

use ratatui::layout::Rect;

use crate::{
    api::error::ApiError,
    stdx::{text::one_line, time::Timestamp},
    tui::{
        canvas::Canvas,
        effect::Effect,
        filter::Filter,
        keymap::Action,
        layout::inside,
        model::{Back, Level, Out, Shared, Then, Undo},
        msg::Reply,
        pane::tasks::rows::{Rows, Wish},
        sort::{Group, Sort},
        widget::list::Window,
        words,
    },
    vt::input::{Button, Key, Mouse, MouseKind},
};

/// Two clicks within so many milliseconds are a double click.
const DOUBLE_CLICK_MS: i64 = 400;

/// So long after it was opened a state that changes moves its row, if nobody has touched anything:
/// what needs a person belongs at the top, and there is no cursor yet to move under.
const SETTLING: Duration = Duration::from_secs(10);

/// Rows that one turn of the wheel scrolls.
const WHEEL_ROWS: usize = 3;

/// Rows assumed before the panel was drawn.
const HEIGHT_UNKNOWN: usize = 10;

/// What the panel holds.
#[derive(Debug, Default)]
pub struct Model {
    wish: Wish,
    /// The filter as it was typed, which may mean nothing (yet).
    text: String,
    rows: Rows,
    window: Window,
    /// Rows that are drawn; none while the panel is not.
    height: Option<usize>,
    /// Tasks that wait for a person.
    needs: HashSet<String>,
    /// Those of them that nobody has gone to since: they stand out until then.
    fresh: HashSet<String>,
    /// Where a range of marks begins.
    anchor: Option<String>,
    /// The selected task, as it was seen last.
    seen: Option<String>,
    clicked: Option<(String, Timestamp)>,
    /// Whether a person has done anything here. Until then there is no cursor to be moved under,
    /// so the list is kept in order and its first task is selected.
    touched: bool,
    /// When the list was drawn first.
    opened: Option<Timestamp>,
    /// What the answer that was asked for is wanted for.
    wanted: Option<Want>,
}

/// What a task's final answer is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// To open the address it names last.
    Open,
    /// For the clipboard.
    Copy,
}

/// Tells whether keys are text for the panel now.
pub fn typing(_model: &Model) -> bool {
    false
}

/// Does an action of the panel, or moves in it.
pub fn act(model: &mut Model, shared: &Shared, action: Action, out: &mut Out) {
    model.touched = true;
    acts::act(model, shared, action, out);
}

/// Takes a key that is text for the panel: there is none.
pub fn key(_model: &mut Model, _shared: &Shared, _key: &Key, _out: &mut Out) {}

/// Takes pasted text: it goes nowhere, and says so.
pub fn paste(_model: &mut Model, _shared: &Shared, _text: &str, out: &mut Out) {
    out.note(Level::Info, "nothing takes text here; p prompts the selected task, n makes a task");
}

/// Takes a mouse event inside the panel's border; `area` is the panel with its border.
pub fn mouse(model: &mut Model, shared: &Shared, area: Rect, mouse: &Mouse, out: &mut Out) {
    model.touched = true;
    let list = inside(area);
    let height = usize::from(list.height);
    let last_top = model.rows.len().saturating_sub(height);
    match mouse.kind {
        MouseKind::ScrollDown => {
            model.window.top = (model.window.top + WHEEL_ROWS).min(last_top);
        }
        MouseKind::ScrollUp => model.window.top = model.window.top.saturating_sub(WHEEL_ROWS),
        MouseKind::Down(Button::Left) if list.contains((mouse.col, mouse.row).into()) => {
            let row = model.window.top + usize::from(mouse.row - list.y);
            let Some(id) = model.rows.id(row).map(str::to_owned) else { return };
            let before = model.clicked.replace((id.clone(), shared.now));
            let again = before.is_some_and(|(it, at)| {
                it == id && shared.now.0.saturating_sub(at.0) <= DOUBLE_CLICK_MS
            });
            model.window.selected = row;
            out.then.push(Then::Select(id));
            if again {
                model.clicked = None;
                out.then.push(Then::Act(Action::Attach));
            }
        }
        _ => (),
    }
}

/// Takes an answer that was asked for with [`crate::tui::model::Purpose::Panel`].
pub fn answered(
    model: &mut Model,
    _shared: &Shared,
    result: &Result<Reply, ApiError>,
    out: &mut Out,
) {
    let Some(want) = model.wanted.take() else { return };
    let text = match result {
        Ok(Reply::Text(text)) => text.as_deref().unwrap_or_default(),
        Ok(_) => return,
        Err(error) => return out.note(Level::Error, format!("final answer: {}", error.message)),
    };
    match want {
        Want::Copy if text.is_empty() => out.note(Level::Info, "there is no final answer"),
        Want::Copy => {
            out.note(Level::Done, format!("copied the final answer, {} bytes", text.len()));
            out.effects.push(Effect::Copy(text.to_owned()));
        }
        Want::Open => match words::last_url(text) {
            Some(url) => acts::open_url(url, out),
            None => out.note(Level::Info, "it spoke of no address"),
        },
    }
}

/// Tasks, selection, marks or time changed; `area` is the panel with its border, if it is drawn.
pub fn changed(model: &mut Model, shared: &Shared, area: Option<Rect>, out: &mut Out) {
    let height = area.map(|it| usize::from(inside(it).height));
    let entered = model.height.is_none() && height.is_some();
    model.height = height;
    if entered {
        sort_again(model, shared);
    }
    let replica = &shared.replica;
    let below = model.window.selected;
    let news = model.rows.follow(replica, &model.wish, shared.now, below);
    let opened = *model.opened.get_or_insert(shared.now);
    let settling = !model.touched && shared.now.since(opened) < SETTLING;
    let moved = news.moved || (settling && !news.changed.is_empty());
    for id in news.changed {
        if !rows::needs(replica, &id) {
            model.needs.remove(&id);
            model.fresh.remove(&id);
        } else if model.needs.insert(id.clone()) && !settling {
            model.fresh.insert(id);
        }
    }
    // Whoever went to a task elsewhere has placed the cursor too.
    model.touched |= shared.selected != model.seen;
    if moved && !model.touched {
        return begin(model, shared, out);
    }
    follow_selection(model, shared, news.moved, out);
    if let Some(height) = model.height {
        model.window.top = model.window.top.min(model.rows.len().saturating_sub(height));
    }
    wake(model, shared, out);
}

/// Puts everything in order and selects the first task.
fn begin(model: &mut Model, shared: &Shared, out: &mut Out) {
    model.rows.sort(&shared.replica, &model.wish, shared.now);
    model.window = Window::default();
    if let Some((row, id)) = first(model) {
        go(model, row);
        model.seen = Some(id.clone());
        out.then.push(Then::Select(id));
    }
    wake(model, shared, out);
}

fn first(model: &Model) -> Option<(usize, String)> {
    let row = model.rows.nearest_task(0)?;
    Some((row, model.rows.id(row)?.to_owned()))
}

/// Lets the window follow the selected task, and selects another if it is listed no more.
fn follow_selection(model: &mut Model, shared: &Shared, moved: bool, out: &mut Out) {
    let selected = shared.selected.as_deref();
    let gone_to = selected != model.seen.as_deref();
    if gone_to && let Some(id) = selected {
        model.rows.add(&shared.replica, &model.wish, shared.now, id);
    }
    let at = model.window.selected;
    let row = match selected {
        Some(id) if model.rows.id(at) == Some(id) => Some(at),
        Some(id) => model.rows.row_of(id),
        None => None,
    };
    match row {
        Some(row) if moved && !gone_to => stay(model, row),
        Some(row) if row != at || gone_to => go(model, row),
        Some(_) => (),
        None => {
            let next = model.rows.nearest_task(at);
            if let Some((row, id)) = next.and_then(|it| Some((it, model.rows.id(it)?.to_owned()))) {
                go(model, row);
                model.fresh.remove(&id);
                model.seen = Some(id.clone());
                out.then.push(Then::Select(id));
                return;
            }
        }
    }
    if let Some(id) = selected {
        model.fresh.remove(id);
    }
    model.seen = shared.selected.clone();
}

/// Selects a row and scrolls so that it is drawn, with the heading above it.
fn go(model: &mut Model, row: usize) {
    let height = model.height.unwrap_or(HEIGHT_UNKNOWN);
    model.window.go(row, model.rows.len(), height);
    let headed = row.checked_sub(1).filter(|it| model.rows.id(*it).is_none());
    if let Some(heading) = headed.filter(|it| *it < model.window.top && 1 < height) {
        model.window.top = heading;
    }
}

/// Lets the selected task, which is at another row now, stay on its line of the screen.
fn stay(model: &mut Model, row: usize) {
    let line = model.window.selected.saturating_sub(model.window.top);
    model.window.selected = row;
    model.window.top = row.saturating_sub(line);
}

/// Sorts anew; the selected task stays on its line of the screen.
fn sort_again(model: &mut Model, shared: &Shared) {
    model.rows.sort(&shared.replica, &model.wish, shared.now);
    if let Some(row) = shared.selected.as_deref().and_then(|it| model.rows.row_of(it)) {
        stay(model, row);
    }
}

/// Asks to be drawn again when the time of a drawn row says something else.
fn wake(model: &Model, shared: &Shared, out: &mut Out) {
    let Some(height) = model.height else { return };
    let drawn = model.window.rows(model.rows.len(), height);
    let tasks = drawn.filter_map(|it| shared.replica.task(model.rows.id(it)?));
    let next = tasks.filter_map(|it| words::next_tick(it, shared.now)).min();
    out.then.extend(next.map(Then::WakeAt));
}

/// Draws the panel with its border.
pub fn view(model: &Model, shared: &Shared, area: Rect, focused: bool, canvas: &mut Canvas) {
    draw::view(model, shared, area, focused, canvas);
}

/// Returns the filter as it was typed.
pub fn filter(model: &Model) -> String {
    model.text.clone()
}

/// Returns how many tasks are listed.
pub fn listed(model: &Model) -> usize {
    model.rows.tasks()
}

/// Returns the tasks that are listed, in their order.
pub fn listed_ids(model: &Model) -> impl Iterator<Item = &str> {
    model.rows.ids()
}

/// Filters the tasks. A text that means nothing is kept as the text, and what held before holds.
pub fn set_filter(model: &mut Model, shared: &Shared, text: &str, out: &mut Out) {
    model.text = text.to_owned();
    let Ok(filter) = Filter::parse(text) else { return };
    if filter == model.wish.filter {
        return;
    }
    model.wish.filter = filter;
    model.rows.sort(&shared.replica, &model.wish, shared.now);
    let row = shared.selected.as_deref().and_then(|it| model.rows.row_of(it));
    let row = row.or_else(|| model.rows.nearest_task(0));
    model.window.top = 0;
    if let Some((row, id)) = row.and_then(|it| Some((it, model.rows.id(it)?.to_owned()))) {
        go(model, row);
        out.then.push(Then::Select(id));
    }
}

/// Clears the filter; `z` brings it back.
fn clear_filter(model: &mut Model, shared: &Shared, out: &mut Out) {
    if model.text.is_empty() {
        return;
    }
    let before = model.text.clone();
    set_filter(model, shared, "", out);
    out.then.push(Then::Undoable(Undo {
        what: format!("cleared filter {}", one_line(&before, 40)),
        at: shared.now,
        by: Back::Filter(before),
    }));
}

/// Sorts by something; by the same again, the other way round.
pub fn set_sort(model: &mut Model, shared: &Shared, sort: Sort, out: &mut Out) {
    model.wish.reversed = sort == model.wish.sort && !model.wish.reversed;
    model.wish.sort = sort;
    sort_again(model, shared);
    let reversed = if model.wish.reversed { ", turned round" } else { "" };
    out.note(Level::Info, format!("sorted by {}{reversed}", sort.name()));
}

/// Groups by something.
pub fn set_group(model: &mut Model, shared: &Shared, group: Group, out: &mut Out) {
    model.wish.group = group;
    sort_again(model, shared);
    // Headings came or went, so no row could stay where it was.
    model.window.top = 0;
    go(model, model.window.selected);
    out.note(Level::Info, format!("grouped by {}", group.name()));
}

/// Asks for a task's final answer, and for what.
pub fn want_answer(model: &mut Model, task: &str, want: Want, out: &mut Out) {
    model.wanted = Some(want);
    acts::ask_answer(task, out);
}

/// Returns what decides the order: the sort, whether it is turned round, and the groups.
pub fn order(model: &Model) -> (Sort, bool, Group) {
    (model.wish.sort, model.wish.reversed, model.wish.group)
}

/// Sets what decides the order, before there are tasks.
pub fn set_order(model: &mut Model, sort: Sort, reversed: bool, group: Group) {
    (model.wish.sort, model.wish.reversed, model.wish.group) = (sort, reversed, group);
}
