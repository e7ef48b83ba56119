//! Does what panels and popups asked for, until none asks for more.

use crate::{
    api::{
        checkpoints::{ChangeView, Restore},
        error::ApiError,
        types::EventView,
    },
    domain::event::{Delivery, EventBody},
    stdx::{text::one_line, time::Timestamp},
    tui::{
        effect::{Ask, Effect, Request, TermKind},
        model::{Back, Call, Level, Model, Note, Out, Panel, Purpose, Then, Undo},
        msg::{Reply, RequestId},
        pane::{budget, tasks, term},
        popup::{self, Popup, PopupId},
        update, words,
    },
};

/// The most rounds of asking for one message. More would be panels that ask each other for ever.
const ROUNDS_MAX: usize = 8;

/// Notes that are kept.
const NOTES_MAX: usize = 50;

/// Actions that the palette shows first.
const CHOSEN_MAX: usize = 20;

/// Undos that are kept.
const UNDO_MAX: usize = 50;

/// Does all that `out` asks for, and returns what is to be done outside.
pub fn settle(model: &mut Model, mut out: Out) -> Vec<Effect> {
    let mut effects = Vec::new();
    for _ in 0..ROUNDS_MAX {
        effects.append(&mut out.effects);
        let wanted = std::mem::take(&mut out.then);
        for then in wanted {
            does(model, then, &mut out);
        }
        if out.then.is_empty() {
            break;
        }
    }
    // Selection, focus and sizes have come to rest: panels follow them. The list may choose
    // another task then, which the others follow in turn.
    for _ in 0..2 {
        let selected = model.shared.selected.clone();
        update::changed(model, &mut out);
        for then in std::mem::take(&mut out.then) {
            does(model, then, &mut out);
        }
        if model.shared.selected == selected {
            break;
        }
    }
    effects.append(&mut out.effects);
    only_the_earliest_wake(&mut effects);
    effects
}

/// Only the earliest time counts, so only that one is asked for.
fn only_the_earliest_wake(effects: &mut Vec<Effect>) {
    let wakes = effects.iter().filter_map(|it| match it {
        Effect::WakeAt(at) => Some(*at),
        _ => None,
    });
    let Some(earliest) = wakes.min() else { return };
    let mut asked = false;
    effects.retain(|it| match it {
        Effect::WakeAt(at) => *at == earliest && !std::mem::replace(&mut asked, true),
        _ => true,
    });
}

fn does(model: &mut Model, then: Then, out: &mut Out) {
    match then {
        Then::Act(action) => update::act::act(model, action, out),
        Then::Chosen(action) => {
            model.shared.chosen.retain(|it| *it != action);
            model.shared.chosen.truncate(CHOSEN_MAX - 1);
            model.shared.chosen.insert(0, action);
            update::act::act(model, action, out);
        }
        Then::Select(id) => model.shared.selected = Some(id),
        Then::Focus(panel) => update::act::focus(model, panel),
        Then::Note(level, text) => note(model, level, text),
        Then::Undoable(undo) => push_undo(model, undo),
        Then::SetMarks(marks) => model.shared.marks = marks,
        Then::Filter(text) => tasks::set_filter(&mut model.tasks, &model.shared, &text, out),
        Then::Open(kind) => open(model, kind, out),
        Then::Close => {
            model.popups.pop();
        }
        Then::Ask { ask, label, purpose, undo } => {
            let id = RequestId(model.calls.next);
            model.calls.next += 1;
            let since = model.shared.now;
            if let Ask::Request(Request::Resume { id: task, how }) = &ask
                && how.checkpoint.is_some()
            {
                model.calls.going_back.insert(id, task.clone());
            }
            model.calls.pending.insert(id, Call { label, since, purpose, undo });
            out.effects.push(Effect::Ask { id, ask });
        }
        Then::HandOver { to, purpose } => {
            model.handed_over = Some(purpose);
            out.effects.push(Effect::HandOver(to));
        }
        Then::Attach { task, kind } => attach(model, &task, kind, out),
        Then::AttachWhenReady(task) => {
            let ready = model.shared.replica.task(&task).is_some_and(|it| it.session.is_some());
            match ready {
                true => attach(model, &task, TermKind::Attach, out),
                false => model.shared.attach_when_ready = Some(task),
            }
        }
        Then::Run(line) => popup::command::run(model, &line, out),
        Then::GiveUp(at) => {
            if let Some(id) = model.calls.pending.keys().nth(at).copied() {
                give_up(model, id, out);
            }
        }
        Then::EditCeiling(target) => {
            update::act::focus(model, Panel::Budget);
            budget::edit(&mut model.budget, &model.shared, target, out);
        }
        Then::WakeAt(at) => out.effects.push(Effect::WakeAt(at)),
    }
}

fn open(model: &mut Model, kind: popup::Kind, out: &mut Out) {
    let id = PopupId(model.calls.next);
    model.calls.next += 1;
    let mut popup = Popup { id, kind };
    popup::opened(&mut popup, &model.shared, out);
    model.popups.push(popup);
}

fn attach(model: &mut Model, task: &str, kind: crate::tui::effect::TermKind, out: &mut Out) {
    model.popups.clear();
    model.shared.attach_when_ready = None;
    model.shared.selected = Some(task.to_owned());
    update::act::focus(model, Panel::Preview);
    let area = update::areas(model).panel(Panel::Preview);
    term::attach(&mut model.term, &model.shared, task, kind, area, out);
}

fn note(model: &mut Model, level: Level, text: String) {
    let notes = &mut model.shared.notes;
    if notes.len() == NOTES_MAX {
        notes.pop_front();
    }
    notes.push_back(Note { at: model.shared.now, level, text });
}

fn push_undo(model: &mut Model, undo: Undo) {
    let stack = &mut model.shared.undo;
    if stack.len() == UNDO_MAX {
        stack.remove(0);
    }
    stack.push(undo);
}

/// Undoes what was done last.
pub fn undo(model: &mut Model, out: &mut Out) {
    let Some(last) = model.shared.undo.pop() else {
        return out.note(Level::Info, "nothing to undo");
    };
    match last.by {
        Back::Request(request) => {
            out.request(format!("undo: {}", last.what), *request);
        }
        Back::Marks(marks) => model.shared.marks = marks,
        Back::Filter(text) => out.then.push(Then::Filter(text)),
    }
}

/// Returns what undoes an answered request, if only its answer says so: a restore is undone by
/// restoring what was saved before it. That undoing is no action of its own.
pub fn undo_of(purpose: Purpose, reply: &Reply, now: Timestamp) -> Option<Undo> {
    let Reply::Restored(it) = reply else { return None };
    if it.dry_run || purpose == Purpose::Tell {
        return None;
    }
    Some(undo_to(it.safety.as_ref()?.id.clone(), &it.checkpoint, now))
}

/// Returns what undoes going back to a checkpoint: going to what was saved before.
fn undo_to(safety: String, checkpoint: &str, now: Timestamp) -> Undo {
    let how = Restore::default();
    Undo {
        what: format!("restored {}", one_line(checkpoint, 40)),
        at: now,
        by: Back::Request(Box::new(Request::Restore { id: safety, how })),
    }
}

/// Returns what undoes that a task went back to a checkpoint as it was resumed from here.
pub fn undo_of_resume(model: &mut Model, event: &EventView) -> Option<Undo> {
    let EventBody::Restored { checkpoint, safety, .. } = &event.body else { return None };
    let going = &mut model.calls.going_back;
    let call = *going.iter().find(|it| *it.1 == event.task)?.0;
    going.remove(&call);
    let safety = safety.as_ref()?.to_string();
    Some(undo_to(safety, checkpoint.as_str(), model.shared.now))
}

/// Tells how something that was asked for came out.
pub fn tell(label: &str, result: &Result<Reply, ApiError>, out: &mut Out) {
    match result {
        Ok(Reply::Sent(sent)) => {
            let (level, word) = match sent.outcome {
                Delivery::Submitted => (Level::Done, "submitted"),
                Delivery::Typed => (Level::Warning, "typed, not confirmed"),
                Delivery::NotDelivered => (Level::Error, "not delivered"),
            };
            let detail = if sent.detail.is_empty() { "" } else { ": " };
            out.note(level, format!("{label}: {word}{detail}{}", sent.detail));
        }
        // Asked for by name, the id is not in the label yet.
        Ok(Reply::Checkpoint(it)) if !label.contains(&it.id) => {
            let same = it.parent.is_some() && it.change == ChangeView::default();
            let change = if same { "as the one before".into() } else { words::changed(it) };
            let text = format!("{label}: {}  {change}", one_line(&it.id, 40));
            out.note(Level::Done, text);
        }
        Ok(Reply::Restored(it)) => {
            let safety = it.safety.as_ref().map(|it| one_line(&it.id, 40));
            let safety = safety.map(|it| format!("; what was there is {it}"));
            out.note(Level::Done, format!("{label}{}", safety.unwrap_or_default()));
        }
        Ok(Reply::Written(path)) => out.note(Level::Done, format!("{label}: {path}")),
        Ok(_) => out.note(Level::Done, label),
        Err(error) => {
            let hint = error.hints.first().map(|it| format!(" ({it})")).unwrap_or_default();
            out.note(Level::Error, format!("{label}: {}{hint}", error.message));
        }
    }
}

/// Forgets a request that is under way.
fn give_up(model: &mut Model, id: RequestId, out: &mut Out) {
    if let Some(call) = model.calls.pending.remove(&id) {
        out.effects.push(Effect::Cancel(id));
        out.note(Level::Info, format!("given up: {}", call.label));
    }
}

/// Is only here so that a request for the dispatcher and one for a file read alike.
impl From<crate::tui::effect::Request> for Ask {
    fn from(request: crate::tui::effect::Request) -> Ask {
        Ask::Request(request)
    }
}
