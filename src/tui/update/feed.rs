//! News from the dispatcher, folded into the replica.

use std::sync::Arc;

use crate::{
    api::{types::EventView, view::TaskView},
    domain::event::EventBody,
    stdx::text::one_line,
    tui::{
        effect::{Effect, TermKind},
        model::{
            Level, Model, Out, Then,
            replica::{Connection, Letter},
        },
        msg::{Feed, Reply},
        pane::checkpoints,
        popup::{Kind, setup},
        update::then,
    },
};

/// Takes news in.
pub fn take(model: &mut Model, feed: Feed, out: &mut Out) {
    let now = model.shared.now;
    match feed {
        Feed::Snapshot(snapshot) => {
            if matches!(model.shared.replica.connection, Connection::Lost { .. }) {
                out.note(Level::Info, "the dispatcher answers again");
            }
            model.shared.replica.reset(snapshot);
            title(model, out);
        }
        Feed::Event(event) => event_happened(model, *event, out),
        Feed::Budget(budget) => model.shared.replica.know_budget(budget),
        Feed::Listed(page) => {
            let replica = &mut model.shared.replica;
            for task in page.tasks {
                // The stream may have said something newer about it meanwhile.
                if page.seq < replica.seq && replica.tasks.contains_key(&task.id) {
                    continue;
                }
                replica.put(task);
            }
            title(model, out);
        }
        Feed::Status(status) => {
            let first = model.shared.replica.status.is_none();
            model.shared.replica.status = Some(status);
            if first && model.popups.is_empty() && setup::blocks(&model.shared) {
                out.open(Kind::Setup(setup::Model::default()));
            }
        }
        Feed::Lost { why, hint, again } => {
            let replica = &mut model.shared.replica;
            let since = match replica.connection {
                Connection::Lost { since, .. } => since,
                _ => now,
            };
            replica.connection = Connection::Lost { since, why, hint, again };
        }
        Feed::Stopped => model.shared.replica.connection = Connection::Stopped { since: now },
    }
}

/// Learns from an answer what it says about a task.
pub fn learn(model: &mut Model, reply: &Reply, out: &mut Out) {
    match reply {
        Reply::Task(task) => put(model, (**task).clone(), out),
        Reply::Created(it) => put(model, it.task.clone(), out),
        Reply::Sent(it) => put(model, it.task.clone(), out),
        Reply::Why(it) => put(model, it.task.clone(), out),
        Reply::Status(it) => model.shared.replica.status = Some(it.clone()),
        // The stream may have overtaken it.
        Reply::Budget(it) => {
            let replica = &mut model.shared.replica;
            if replica.budget.as_ref().is_none_or(|known| known.at <= it.at) {
                replica.know_budget(it.clone());
            }
        }
        _ => (),
    }
}

fn event_happened(model: &mut Model, event: EventView, out: &mut Out) {
    let replica = &mut model.shared.replica;
    replica.seq = replica.seq.max(event.seq);
    if matches!(event.body, EventBody::Deleted) {
        replica.remove(&event.task);
        model.shared.marks.remove(&event.task);
        return title(model, out);
    }
    checkpoints::happened(&mut model.checkpoints, &event);
    out.then.extend(then::undo_of_resume(model, &event).map(Then::Undoable));
    if let EventBody::CheckpointFailed { trigger, detail } = &event.body {
        let name = model.shared.replica.task(&event.task).map_or(&event.task, |it| &it.name);
        let (name, detail) = (one_line(name, 40), one_line(detail, 200));
        let text = format!("no checkpoint of {name} ({}): {detail}", trigger.as_str());
        out.note(Level::Warning, text);
    }
    if let Some(view) = event.view {
        put(model, *view, out);
    }
}

fn put(model: &mut Model, task: TaskView, out: &mut Out) {
    let (id, letter) = (task.id.clone(), Letter::of(&task));
    if task.session.is_some() && model.shared.attach_when_ready.as_ref() == Some(&id) {
        model.shared.attach_when_ready = None;
        // A person who began something else meanwhile is not torn out of it.
        match model.popups.is_empty() {
            true => out.then.push(Then::Attach { task: id.clone(), kind: TermKind::Attach }),
            false => out.note(Level::Info, format!("{} is ready to attach to", task.name)),
        }
    }
    let old = model.shared.replica.put(task);
    if old.as_ref().map(|it| Letter::of(it)) != Some(letter) {
        title(model, out);
        if letter == Letter::NeedsYou {
            needs_you(model, &id, out);
        }
    }
}

/// A task began to wait for a person: one who is not looking is told.
fn needs_you(model: &Model, id: &str, out: &mut Out) {
    let source = &model.shared.look.source;
    let Some(task) = model.shared.replica.task(id).map(Arc::clone) else { return };
    if !source.notify || model.shared.focused == Some(true) {
        return;
    }
    let what = task.asks.first().map_or(task.last.as_str(), |it| it.summary.as_str());
    out.effects.push(Effect::Notify {
        title: format!("{} needs you", one_line(&task.name, 60)),
        body: one_line(what, 200),
    });
    if source.bell {
        out.effects.push(Effect::Bell);
    }
}

/// The outer terminal's title has the counts.
fn title(model: &Model, out: &mut Out) {
    let replica = &model.shared.replica;
    let (needs, works) = (replica.count(Letter::NeedsYou), replica.count(Letter::Working));
    let demo = if model.shared.facts.demo { "DEMO " } else { "" };
    out.effects.push(Effect::SetTitle(format!("{demo}parhelia  ! {needs}  > {works}")));
}
