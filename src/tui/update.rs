//! What a message means: routes it to the panel or popup it is for, and does what those ask.
//!
//! Pure: the time stands in [`crate::tui::model::Shared::now`], whatever waits is an [`Effect`].

mod act;
mod feed;
mod input;
pub mod keep;
mod then;

pub use input::context;
use ratatui::layout::Rect;

use crate::{
    stdx::time::Timestamp,
    tui::{
        effect::Effect,
        layout::{self, Areas},
        model::{Model, Out, Panel, PastCall, Purpose, Then},
        msg::{Configured, Msg, Reply, RequestId, Returned},
        pane::{budget, checkpoints, inbox, log, tasks, term},
        popup,
        view::bars,
    },
};

/// Requests whose past is kept.
const PAST_MAX: usize = 200;

/// Takes a message in and returns what is to be done outside.
pub fn update(model: &mut Model, msg: Msg, now: Timestamp) -> Vec<Effect> {
    model.shared.now = now;
    let mut out = Out::default();
    match msg {
        Msg::Input(input) => input::take(model, input, &mut out),
        Msg::Feed(feed) => feed::take(model, feed, &mut out),
        Msg::Answered { id, result } => answered(model, id, result, &mut out),
        Msg::Term { slot, what } => {
            term::term(&mut model.term, &model.shared, slot, what, &mut out);
        }
        Msg::Log { read, what } => match read.panel {
            Panel::Preview => term::read(&mut model.term, &model.shared, read, what, &mut out),
            _ => log::read(&mut model.log, &model.shared, read, what, &mut out),
        },
        Msg::Returned { what } => returned(model, &what, &mut out),
        Msg::Configured(it) => configured(model, it, &mut out),
        Msg::Wake => (),
    }
    let mut effects = then::settle(model, out);
    effects.extend(keep::follow(model));
    effects
}

/// Opens a popup as a panel would ask for it.
#[cfg(test)]
pub fn open_for_test(model: &mut Model, kind: popup::Kind) -> Vec<Effect> {
    let mut out = Out::default();
    out.open(kind);
    then::settle(model, out)
}

/// Returns where everything is now.
pub fn areas(model: &Model) -> Areas {
    let (cols, rows) = model.shared.size;
    layout::layout(Rect::new(0, 0, cols, rows), &model.place.prefs, &model.shape())
}

/// Lets every panel see what changed.
fn changed(model: &mut Model, out: &mut Out) {
    let areas = areas(model);
    let (shared, at) = (&model.shared, |panel| areas.panel(panel));
    tasks::changed(&mut model.tasks, shared, at(Panel::Tasks), out);
    term::changed(&mut model.term, shared, at(Panel::Preview), out);
    log::changed(&mut model.log, shared, at(Panel::Log), out);
    checkpoints::changed(&mut model.checkpoints, shared, at(Panel::Checkpoints), out);
    budget::changed(&mut model.budget, shared, at(Panel::Budget), out);
    inbox::changed(&mut model.inbox, shared, at(Panel::Inbox), out);
    out.then.extend(bars::next_change(shared).map(Then::WakeAt));
    for it in &mut model.popups {
        popup::changed(it, shared, out);
    }
}

fn answered(
    model: &mut Model,
    id: RequestId,
    result: Result<Reply, crate::api::error::ApiError>,
    out: &mut Out,
) {
    let Some(call) = model.calls.pending.remove(&id) else { return };
    let now = model.shared.now;
    if model.calls.past.len() == PAST_MAX {
        model.calls.past.pop_front();
    }
    model.calls.past.push_back(PastCall {
        label: call.label.clone(),
        at: now,
        took_ms: u64::try_from(now.since(call.since).as_millis()).unwrap_or(u64::MAX),
        error: result.as_ref().err().map(|it| it.message.clone()),
    });
    if result.is_err() {
        model.calls.going_back.remove(&id);
    }
    if let Ok(reply) = &result {
        feed::learn(model, reply, out);
        let undo = call.undo.clone().or_else(|| then::undo_of(call.purpose, reply, now));
        out.then.extend(undo.map(Then::Undoable));
    }
    let shared = &model.shared;
    match call.purpose {
        Purpose::Tell => then::tell(&call.label, &result, out),
        Purpose::Quiet => {
            if result.is_err() {
                then::tell(&call.label, &result, out);
            }
        }
        Purpose::Panel(Panel::Tasks) => tasks::answered(&mut model.tasks, shared, &result, out),
        Purpose::Panel(Panel::Preview) => term::answered(&mut model.term, shared, &result, out),
        Purpose::Panel(Panel::Log) => log::answered(&mut model.log, shared, &result, out),
        // It gives each of its requests a number.
        Purpose::Panel(Panel::Checkpoints) => (),
        Purpose::CheckpointsItem(item) => {
            checkpoints::answered_item(&mut model.checkpoints, shared, item, &result, out);
        }
        // It gives each of its requests a number.
        Purpose::Panel(Panel::Budget) => (),
        Purpose::BudgetItem(item) => {
            budget::answered_item(&mut model.budget, shared, item, &result);
        }
        Purpose::Panel(Panel::Inbox) => inbox::answered(&mut model.inbox, shared, &result, out),
        Purpose::InboxItem(item) => {
            inbox::answered_item(&mut model.inbox, shared, item, &result, out);
        }
        Purpose::PopupItem(id, item) => match model.popups.iter_mut().find(|it| it.id == id) {
            Some(it) => popup::answered_item(it, shared, item, &result, out),
            // Nobody is there to see it, and it matters: a prompt that did not arrive.
            None if result.is_err() || matches!(result, Ok(Reply::Sent(_))) => {
                then::tell(&call.label, &result, out);
            }
            None => (),
        },
        Purpose::Popup(id) => match model.popups.iter_mut().find(|it| it.id == id) {
            Some(it) => popup::answered(it, shared, &result, out),
            None if result.is_err() => then::tell(&call.label, &result, out),
            None => (),
        },
    }
}

fn returned(model: &mut Model, what: &Returned, out: &mut Out) {
    out.effects.push(Effect::Redraw);
    if let Returned::Failed(why) = what {
        out.note(crate::tui::model::Level::Error, why.clone());
    }
    match model.handed_over.take() {
        Some(Purpose::Popup(id) | Purpose::PopupItem(id, _)) => {
            if let Some(it) = model.popups.iter_mut().find(|it| it.id == id) {
                popup::returned(it, &model.shared, what, out);
            }
        }
        Some(Purpose::Panel(Panel::Log)) => {
            log::returned(&mut model.log, &model.shared, what, out);
        }
        // No other hands the terminal over.
        Some(
            Purpose::Panel(_)
            | Purpose::InboxItem(_)
            | Purpose::CheckpointsItem(_)
            | Purpose::BudgetItem(_),
        ) => (),
        Some(Purpose::Tell | Purpose::Quiet) | None => (),
    }
}

fn configured(model: &mut Model, it: Configured, out: &mut Out) {
    use crate::tui::model::Level;
    if let Some(problem) = it.problems.first() {
        let text = format!("the configuration is wrong, and what was valid stays: {problem}");
        out.note(Level::Warning, text);
        model.shared.look.problems = it.problems;
        return;
    }
    let before = model.shared.look.source.mouse;
    model.shared.look.take(it.look, &model.shared.facts);
    if let Some(problem) = model.shared.look.problems.first() {
        out.note(Level::Warning, problem.clone());
    } else {
        out.note(Level::Info, "configuration read again");
    }
    if before != model.shared.look.source.mouse {
        out.effects.push(Effect::CaptureMouse(!before));
    }
}
