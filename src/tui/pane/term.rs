//! The terminal panel: preview of the selected task, and the attached session in the same place.
//!
//! A preview is a read-only terminal of the session; attaching opens one that takes keys, draws the
//! old picture until the new one has come, and swaps. Leaving does the same the other way. So one
//! picture is `Model::shown` and one may be `Model::coming`, never more.

mod draw;
mod exits;
mod held;
mod live;
mod look;
mod scroll;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use ratatui::layout::Rect;

use crate::{
    api::error::ApiError,
    stdx::{text::one_line, time::Timestamp},
    tui::{
        canvas::Canvas,
        effect::{Effect, HandOver, TermKind},
        keymap::Action,
        layout::inside,
        model::{Attached, Level, Out, Panel, Purpose, Shared, Then, replica::Letter},
        msg::{LogMsg, ReadId, Reply, Slot, TermMsg},
        pane::term::{
            held::{Held, State},
            live::Live,
            look::{Past, Subject},
            scroll::{Scroll, Stay},
        },
        popup,
    },
    vt::{
        input::{Button, Key, Mouse, MouseKind},
        keys, mouse as encoded,
        screen::{Event, MouseMode},
    },
};

/// How long a terminal that wrote something may stay blank before it is drawn all the same: what
/// comes first may only clear the screen.
const BLANK_MAX: Duration = Duration::from_millis(100);

/// What the panel holds.
#[derive(Debug, Default)]
pub struct Model {
    slots: Slots,
    reads: Reads,
    /// What the preview shows.
    subject: Option<Subject>,
    /// When the selection has rested long enough for its terminal to be opened.
    rest: Option<Timestamp>,
    /// The terminal that is drawn.
    shown: Option<Live>,
    /// The one that is drawn as soon as there is something to draw.
    coming: Option<Live>,
    /// When the coming one wrote first.
    spoke: Option<Timestamp>,
    /// What has the keys.
    held: Option<Held>,
    past: Past,
    scroll: Option<Scroll>,
    /// Where it is drawn, without its border.
    inner: Option<Rect>,
    /// Whether the dispatcher answered when it was looked at last.
    was_up: bool,
    /// Why the preview is not live.
    trouble: Option<String>,
    /// Attempts to open the preview again.
    tries: u32,
    /// Whether the mouse is ours, if F8 said so.
    mouse: Option<bool>,
    /// Whether it is ours otherwise.
    mouse_usual: bool,
}

/// Numbers for terminals.
#[derive(Debug, Default)]
struct Slots(u64);

impl Slots {
    fn next(&mut self) -> Slot {
        self.0 += 1;
        Slot(self.0)
    }
}

/// Numbers for readings.
#[derive(Debug, Default)]
struct Reads(u64);

impl Reads {
    fn next(&mut self) -> ReadId {
        self.0 += 1;
        ReadId { panel: Panel::Preview, number: self.0 }
    }
}

impl Model {
    /// Returns what has the keys, if anything is attached.
    pub fn attached(&self) -> Option<Attached> {
        self.held.as_ref().map(Held::attached)
    }

    /// Tells whether it looks back (the keys are those of [`crate::tui::keymap::Context::Scroll`]).
    pub fn scrolling(&self) -> bool {
        self.scroll.is_some()
    }

    fn stop_scroll(&mut self, out: &mut Out) {
        if let Some(it) = self.scroll.take() {
            it.end(out);
        }
    }

    /// Returns the task that is shown.
    fn task(&self, shared: &Shared) -> Option<String> {
        let held = self.held.as_ref().map(|it| it.task.clone());
        held.or_else(|| shared.selected.clone())
    }
}

/// Tells whether keys are text for the panel now.
pub fn typing(model: &Model) -> bool {
    model.scroll.as_ref().is_some_and(Scroll::typing)
}

/// Does an action of the panel, or moves in it.
pub fn act(model: &mut Model, shared: &Shared, action: Action, out: &mut Out) {
    match action {
        Action::PaneAttach => attach_selected(shared, out),
        Action::PaneAttachFull => {
            if let Some(task) = model.task(shared) {
                let to = HandOver::Session { task };
                out.then.push(Then::HandOver { to, purpose: Purpose::Quiet });
            }
        }
        Action::PaneScroll | Action::ScrollMode => look_back(model, shared, 0, out),
        Action::PreviewUp | Action::Up | Action::PageUp => {
            look_back(model, shared, half(model), out);
        }
        Action::PreviewDown | Action::Down | Action::PageDown => {
            let by = half(model);
            if model.scroll.as_mut().is_some_and(|it| it.scroll(by)) {
                model.stop_scroll(out);
            }
        }
        Action::Leave => held::leave(model, out),
        Action::AttachedNextNeeds => next_needs(model, shared, out),
        Action::Switcher => out.open(popup::Kind::Pick(popup::pick::Model::switcher(shared))),
        Action::AttachedCheckpoint => {
            if let Some(it) = &model.held {
                popup::entry::save(&it.task, &it.name, "", out);
            }
        }
        Action::Resync => {
            if let Some(it) = &model.shown {
                it.resync(out);
            }
        }
        Action::ZoomPane => {
            if let Some(it) = &mut model.held {
                it.zoomed = !it.zoomed;
            }
            out.then.push(Then::Act(Action::FullScreen));
        }
        Action::MouseBack => mouse_back(model, shared, out),
        _ => {
            let stay = model.scroll.as_mut().map(|it| it.act(action, out));
            if stay == Some(Stay::Leave) {
                model.stop_scroll(out);
            }
        }
    }
}

fn attach_selected(shared: &Shared, out: &mut Out) {
    match shared.task() {
        Some(task) if task.session.is_some() => {
            out.then.push(Then::Attach { task: task.id.clone(), kind: TermKind::Attach });
        }
        Some(task) => {
            let name = one_line(&task.name, 60);
            out.note(Level::Info, format!("\"{name}\" has no session to attach to"));
        }
        None => (),
    }
}

fn half(model: &Model) -> isize {
    let rows = model.inner.map_or(1, |it| it.height / 2).max(1);
    isize::try_from(rows).unwrap_or(1)
}

/// Begins to look back, or goes further back.
fn look_back(model: &mut Model, shared: &Shared, rows: isize, out: &mut Out) {
    let (Some(inner), Some(task)) = (model.inner, model.task(shared)) else { return };
    if let Some(it) = &mut model.scroll {
        it.scroll(-rows);
        return;
    }
    if shared.replica.task(&task).is_some_and(|it| it.attempts == 0) {
        return out.note(Level::Info, "it has shown nothing yet");
    }
    let read = model.reads.next();
    model.scroll = Some(Scroll::begin(read, &task, rows, inner, out));
}

/// Attaches to the task that has waited longest for a person, after the one that is attached.
fn next_needs(model: &Model, shared: &Shared, out: &mut Out) {
    let here = model.task(shared);
    let key = |it: &Arc<crate::api::view::TaskView>| {
        (it.activity_since.unwrap_or(it.since), it.id.clone())
    };
    let tasks = shared.replica.tasks.values();
    let mut needs: Vec<_> = tasks
        .filter(|it| Letter::of(it) == Letter::NeedsYou && it.session.is_some())
        .map(key)
        .collect();
    needs.sort_unstable();
    let at = needs.iter().position(|it| Some(&it.1) == here.as_ref());
    let next = match at {
        Some(at) => needs.iter().cycle().nth(at + 1),
        None => needs.first(),
    };
    match next {
        Some((_, task)) if Some(task) != here.as_ref() => {
            out.then.push(Then::Attach { task: task.clone(), kind: TermKind::Attach });
        }
        _ => out.note(Level::Info, "no other task needs you"),
    }
}

fn mouse_back(model: &mut Model, shared: &Shared, out: &mut Out) {
    let ours = !model.mouse.unwrap_or(shared.look.source.mouse);
    model.mouse = Some(ours);
    out.effects.push(Effect::CaptureMouse(ours));
    let text = if ours {
        "the mouse is Parhelia's again"
    } else {
        "the mouse is the terminal's; F8 takes it back"
    };
    out.note(Level::Info, text);
}

/// Takes a key that is text for the panel, or one of looking back that is no action.
pub fn key(model: &mut Model, _shared: &Shared, key: &Key, out: &mut Out) {
    if key.phase == crate::vt::input::Phase::Release {
        return;
    }
    let stay = model.scroll.as_mut().map(|it| it.key(key, out));
    if stay == Some(Stay::Leave) {
        model.stop_scroll(out);
    }
}

/// Takes pasted text.
pub fn paste(model: &mut Model, _shared: &Shared, text: &str, out: &mut Out) {
    match &mut model.scroll {
        Some(it) => it.paste(text),
        None => held::paste(model, text, out),
    }
}

/// Takes a mouse event on the panel; `area` is the panel with its border.
pub fn mouse(model: &mut Model, shared: &Shared, area: Rect, mouse: &Mouse, out: &mut Out) {
    let at = ratatui::layout::Position { x: mouse.col, y: mouse.row };
    if mouse.kind == MouseKind::Down(Button::Left)
        && draw::leave_box(model, area).is_some_and(|it| it.contains(at))
    {
        return held::leave(model, out);
    }
    if let Some(it) = &mut model.scroll {
        if it.mouse(area, mouse) == Stay::Leave {
            model.stop_scroll(out);
        }
        return;
    }
    let inner = inside(area);
    if !inner.contains(at) {
        return;
    }
    if let (Some(held), Some(live)) = (&model.held, &model.shown) {
        let modes = live.screen.modes();
        // The program gets the mouse only if it asked for it: a wheel that types arrows is a trap.
        if held.state == State::Live && modes.mouse != MouseMode::None {
            let (col, row) = (mouse.col - inner.x, mouse.row - inner.y);
            return live.send(encoded::encode(&Mouse { col, row, ..*mouse }, &modes), out);
        }
    }
    if mouse.kind == MouseKind::ScrollUp {
        look_back(model, shared, 3, out);
    }
}

/// Takes an answer that was asked for with [`crate::tui::model::Purpose::Panel`].
pub fn answered(
    model: &mut Model,
    shared: &Shared,
    result: &Result<Reply, ApiError>,
    out: &mut Out,
) {
    let text = match result {
        Ok(Reply::Text(it)) => it.as_deref(),
        _ => None,
    };
    look::answered(model, shared, text, out);
}

/// Tasks, selection, marks or time changed; `area` is the panel with its border, if it is drawn.
pub fn changed(model: &mut Model, shared: &Shared, area: Option<Rect>, out: &mut Out) {
    let inner = area.map(inside).filter(|it| !it.is_empty());
    model.inner = inner;
    model.mouse_usual = shared.look.source.mouse;
    match (model.held.is_some(), inner) {
        (true, Some(inner)) => held::follow(model, shared, inner, out),
        (true, None) => (),
        (false, inner) => look::follow(model, shared, inner, out),
    }
    promote(model, shared, out);
    if let Some(inner) = inner {
        for it in model.shown.iter_mut().chain(&mut model.coming) {
            it.fit(inner, out);
        }
        if let Some(it) = &mut model.scroll {
            it.fit(inner);
        }
    }
    for it in model.shown.iter_mut().chain(&mut model.coming) {
        if let Some(at) = it.settle(shared.now) {
            out.then.push(Then::WakeAt(at));
        }
    }
}

/// Draws the coming terminal from now on, if there is something to draw.
fn promote(model: &mut Model, shared: &Shared, out: &mut Out) {
    let Some(coming) = model.coming.as_ref().filter(|it| it.spoke) else { return };
    let since = *model.spoke.get_or_insert(shared.now);
    let late = since.plus(BLANK_MAX);
    let rows = coming.rows();
    let blank = (0..rows).all(|it| coming.screen.row_text(it).is_empty());
    if blank && coming.open && shared.now < late {
        return out.then.push(Then::WakeAt(late));
    }
    if let Some(mut old) = model.shown.take() {
        old.close(out);
    }
    model.shown = model.coming.take();
    model.spoke = None;
    (model.tries, model.trouble) = (0, None);
    if model.held.is_some() {
        held::came(model, out);
    }
}

/// Draws the panel with its border.
pub fn view(model: &Model, shared: &Shared, area: Rect, focused: bool, canvas: &mut Canvas) {
    draw::view(model, shared, area, focused, canvas);
}

/// Takes news of a log that this panel reads.
pub fn read(model: &mut Model, shared: &Shared, read: ReadId, what: LogMsg, out: &mut Out) {
    match &mut model.scroll {
        Some(it) if it.reads(read) => it.read(what),
        _ => look::read(model, shared, read, what, out),
    }
}

/// Takes what another program left.
pub fn returned(
    _model: &mut Model,
    _shared: &Shared,
    _what: &crate::tui::msg::Returned,
    _out: &mut Out,
) {
}

/// Attaches to a task, or opens a shell in its workspace.
pub fn attach(
    model: &mut Model,
    shared: &Shared,
    task: &str,
    kind: TermKind,
    _area: Option<Rect>,
    out: &mut Out,
) {
    held::hold(model, shared, task, kind, out);
}

/// Takes a key that is meant for the session.
pub fn send_key(model: &mut Model, key: &Key, out: &mut Out) {
    held::key(model, key, out);
}

/// Tells the session that the outer terminal gained or lost the focus.
pub fn focus(model: &mut Model, gained: bool, out: &mut Out) {
    if let (Some(held), Some(live)) = (&model.held, &model.shown)
        && held.state == State::Live
    {
        live.send(keys::focus(gained, &live.screen.modes()), out);
    }
}

/// Takes news of a terminal.
pub fn term(model: &mut Model, shared: &Shared, slot: Slot, what: TermMsg, out: &mut Out) {
    let is = |it: &&mut Live| it.slot == slot;
    let coming = model.coming.as_ref().is_some_and(|it| it.slot == slot);
    let Some(live) = model.coming.as_mut().filter(is).or(model.shown.as_mut().filter(is)) else {
        return;
    };
    let kind = live.kind;
    match what {
        TermMsg::Opened => (),
        TermMsg::Output(bytes) => {
            live.feed(&bytes, shared.now);
            let events = live.screen.take_events();
            heard(model, shared, slot, events, out);
        }
        TermMsg::Ended { detached, why } => {
            live.open = false;
            gone(model, shared, coming, out);
            match kind {
                TermKind::Look => look::ended(model, shared, &why),
                _ => held::ended(model, shared, detached, &why, out),
            }
        }
        TermMsg::Failed(error) => {
            live.open = false;
            gone(model, shared, coming, out);
            match kind {
                TermKind::Look => look::ended(model, shared, &error.message),
                _ => held::failed(model, shared, &error, out),
            }
        }
    }
}

/// A terminal that ended before it was drawn shows its last words, if it had any.
fn gone(model: &mut Model, shared: &Shared, coming: bool, out: &mut Out) {
    if coming {
        promote(model, shared, out);
        model.coming = None;
        model.spoke = None;
    }
}

/// Does what a program wants besides drawing. Only one that has the keys rings and copies.
fn heard(model: &mut Model, shared: &Shared, slot: Slot, events: Vec<Event>, out: &mut Out) {
    let is = |it: &&Live| it.slot == slot;
    let Some(live) = model.coming.as_ref().filter(is).or(model.shown.as_ref().filter(is)) else {
        return;
    };
    let ours = live.kind != TermKind::Look;
    for event in events {
        match event {
            Event::Reply(bytes) => live.send(bytes, out),
            Event::Bell if ours => out.effects.push(Effect::Bell),
            Event::Copy(text) if ours => match &mut model.held {
                Some(_) if shared.look.source.clipboard => out.effects.push(Effect::Copy(text)),
                Some(held) if !held.told_copy => {
                    held.told_copy = true;
                    let text = "the session wanted to set your clipboard; ui.clipboard allows it";
                    out.note(Level::Info, text);
                }
                _ => (),
            },
            Event::Bell | Event::Copy(_) | Event::Title(_) => (),
        }
    }
}
