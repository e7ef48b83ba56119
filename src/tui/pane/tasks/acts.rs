//! What the keys of the list do.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    api::view::TaskView,
    stdx::text::one_line,
    tui::{
        effect::{Ask, Effect, HandOver, Request, TermKind},
        keymap::Action,
        model::{Back, Level, Out, Panel, Purpose, Shared, Then, Undo, replica::Letter},
        pane::tasks::{HEIGHT_UNKNOWN, Model, Want, clear_filter, go, rows, sort_again},
        parking,
        popup::{Kind, answer, confirm, entry, pick, prompt, recover, text},
        words,
    },
};

/// Does an action of the panel, or moves in it.
pub fn act(model: &mut Model, shared: &Shared, action: Action, out: &mut Out) {
    use Action as A;
    match action {
        A::Down | A::Up | A::Top | A::Bottom | A::PageDown | A::PageUp => {
            step(model, action, out);
        }
        A::NextNeeds => needs(model, shared, true, out),
        A::NeedsBefore => needs(model, shared, false, out),
        A::ClearFilter => clear_filter(model, shared, out),
        A::Refresh => sort_again(model, shared),
        A::Mark | A::MarkRange | A::MarkAll => mark(model, shared, action, out),
        A::Sort => out.open(Kind::Pick(pick::Model::sort(model.wish.sort))),
        A::Group => out.open(Kind::Pick(pick::Model::group(model.wish.group))),
        A::PreviewUp | A::PreviewDown => out.then.push(Then::Act(A::PaneScroll)),
        A::OpenLog => out.then.push(Then::Focus(Panel::Log)),
        A::OpenCheckpoints => out.then.push(Then::Focus(Panel::Checkpoints)),
        A::Kill | A::Retry | A::Prompt | A::Interrupt | A::CheckpointNow => {
            on_targets(model, shared, action, out)
        }
        A::Park => park(model, shared, out),
        A::TaskCap => {
            let ids: Vec<String> = targets(model, shared).iter().map(|it| it.id.clone()).collect();
            match ids.is_empty() {
                true => out.note(Level::Info, "no task is selected"),
                false => out.open(Kind::Entry(entry::Model::cap(shared, ids))),
            }
        }
        _ => match current(model, shared).map(Arc::clone) {
            Some(task) => on_task(model, shared, &task, action, out),
            None => out.note(Level::Info, "no task is selected"),
        },
    }
}

/// Returns the selected task, if it is listed: nothing is done to what cannot be seen.
fn current<'a>(model: &Model, shared: &'a Shared) -> Option<&'a Arc<TaskView>> {
    let task = shared.task()?;
    (model.rows.id(model.window.selected) == Some(task.id.as_str())).then_some(task)
}

/// Returns what an action is meant for: all marked, else the selected task if it is listed.
fn targets(model: &Model, shared: &Shared) -> Vec<Arc<TaskView>> {
    if shared.marks.is_empty() {
        return current(model, shared).cloned().into_iter().collect();
    }
    shared.marks.iter().filter_map(|it| shared.replica.task(it)).cloned().collect()
}

fn step(model: &mut Model, action: Action, out: &mut Out) {
    let height = model.height.unwrap_or(HEIGHT_UNKNOWN);
    let page = height.saturating_sub(1).max(1);
    let (at, last) = (model.window.selected, model.rows.len().saturating_sub(1));
    let (row, up) = match action {
        Action::Up => (at.saturating_sub(1), true),
        Action::PageUp => (at.saturating_sub(page), true),
        Action::Top => (0, false),
        Action::Bottom => (last, true),
        Action::PageDown => (at.saturating_add(page).min(last), false),
        _ => (at.saturating_add(1).min(last), false),
    };
    // Headings are stepped over in the direction of the step.
    let found = if up {
        let before = (0..=row).rev().find(|it| model.rows.id(*it).is_some());
        before.or_else(|| model.rows.nearest_task(row))
    } else {
        model.rows.nearest_task(row)
    };
    let Some(row) = found else { return };
    if let Some(id) = model.rows.id(row).map(str::to_owned) {
        go(model, row);
        out.then.push(Then::Select(id));
    }
}

/// Goes to the next task that waits for a person, round the list; then to one that is not listed.
fn needs(model: &mut Model, shared: &Shared, forward: bool, out: &mut Out) {
    let len = model.rows.len();
    let at = model.window.selected;
    let step = |by: usize| if forward { (at + by) % len } else { (at + len - by) % len };
    let listed = (1..=len).map(step).find(|it| {
        let waits = |id: &str| model.needs.contains(id) && rows::needs(&shared.replica, id);
        model.rows.id(*it).is_some_and(waits)
    });
    if let Some(id) = listed.and_then(|it| model.rows.id(it)) {
        return out.then.push(Then::Select(id.to_owned()));
    }
    match model.needs.iter().filter(|it| rows::needs(&shared.replica, it)).min() {
        Some(id) => out.then.push(Then::Select(id.clone())),
        None => out.note(Level::Info, "nothing needs you"),
    }
}

fn mark(model: &mut Model, shared: &Shared, action: Action, out: &mut Out) {
    let mut marks = shared.marks.clone();
    match action {
        Action::MarkAll => {
            let all: BTreeSet<String> = model.rows.ids().map(str::to_owned).collect();
            if all.is_subset(&marks) {
                marks = marks.difference(&all).cloned().collect();
            } else {
                marks.extend(all);
            }
        }
        Action::MarkRange => {
            let from = model.anchor.as_deref().and_then(|it| model.rows.row_of(it));
            let to = model.window.selected;
            let from = from.unwrap_or(to);
            let range = from.min(to)..=from.max(to);
            marks.extend(range.filter_map(|it| model.rows.id(it)).map(str::to_owned));
        }
        _ => {
            let Some(task) = current(model, shared) else { return };
            if !marks.remove(&task.id) {
                marks.insert(task.id.clone());
            }
            model.anchor = Some(task.id.clone());
            step(model, Action::Down, out);
        }
    }
    if action != Action::Mark {
        let before = Back::Marks(shared.marks.clone());
        let what = format!("marked {}", marks.len());
        out.then.push(Then::Undoable(Undo { what, at: shared.now, by: before }));
    }
    out.then.push(Then::SetMarks(marks));
}

fn on_targets(model: &Model, shared: &Shared, action: Action, out: &mut Out) {
    let tasks = targets(model, shared);
    if tasks.is_empty() {
        return out.note(Level::Info, "no task is selected");
    }
    let (fits, why): (fn(&TaskView) -> bool, &str) = match action {
        Action::Kill => (|it| !is_over(it), "it is over already; X deletes it"),
        Action::Retry => (is_over, "it is not over; x ends it first, u lets a parked one go on"),
        Action::CheckpointNow => (|it| it.workspace.is_some(), "it has no workspace yet"),
        Action::Interrupt => {
            (|it| matches!(Letter::of(it), Letter::Working | Letter::NeedsYou), "no turn runs")
        }
        _ => (|it| it.session.is_some(), "it has no session; r brings it back"),
    };
    let ids: Vec<String> = tasks.iter().filter(|it| fits(it)).map(|it| it.id.clone()).collect();
    if ids.is_empty() {
        let who = if tasks.len() == 1 { one_line(&tasks[0].name, 40) } else { "all".to_owned() };
        return out.note(Level::Info, format!("{who}: {why}"));
    }
    match action {
        Action::Kill => out.open(Kind::Confirm(confirm::Model::kill(shared, ids))),
        Action::Retry => out.open(Kind::Confirm(confirm::Model::retry(shared, ids))),
        Action::Prompt => out.open(Kind::Prompt(prompt::Model::new(shared, ids))),
        Action::CheckpointNow => {
            for task in tasks.iter().filter(|it| fits(it)) {
                entry::save(&task.id, &task.name, "", out);
            }
        }
        _ => {
            for task in tasks.iter().filter(|it| fits(it)) {
                let label = format!("interrupt {}", one_line(&task.name, 40));
                out.request(label, Request::Interrupt { id: task.id.clone() });
            }
        }
    }
}

/// Parks what runs or waits; if all that is meant is parked, lets it go on.
fn park(model: &Model, shared: &Shared, out: &mut Out) {
    let tasks = targets(model, shared);
    let ids = |fits: fn(&TaskView) -> bool| -> Vec<String> {
        tasks.iter().filter(|it| fits(it)).map(|it| it.id.clone()).collect()
    };
    let (can, parked) = (ids(parking::can_park), ids(parking::is_parked));
    if !can.is_empty() {
        parking::ask_or_park(shared, can, out);
    } else if !parked.is_empty() {
        parked.iter().for_each(|it| parking::unpark(shared, it, out));
    } else {
        let why = if tasks.is_empty() { "no task is selected" } else { "it is over already" };
        out.note(Level::Info, why);
    }
}

/// Tells whether a task has ended, in whatever way.
fn is_over(task: &TaskView) -> bool {
    matches!(task.state.as_str(), "COMPLETED" | "FAILED" | "KILLED" | "DISPATCH_FAILED")
}

fn on_task(model: &mut Model, shared: &Shared, task: &TaskView, action: Action, out: &mut Out) {
    use Action as A;
    let id = task.id.clone();
    match action {
        A::Attach => attach(shared, task, out),
        A::AttachFull if task.session.is_some() => out
            .then
            .push(Then::HandOver { to: HandOver::Session { task: id }, purpose: Purpose::Quiet }),
        A::AttachFull => attach(shared, task, out),
        A::ShellHere if task.workspace.is_some() => {
            out.then.push(Then::Attach { task: id, kind: TermKind::Shell });
        }
        A::ShellHere => out.note(Level::Info, format!("{} has no workspace yet", name(task))),
        A::Purge if is_over(task) || parking::is_parked(task) => {
            out.open(Kind::Confirm(confirm::Model::purge(shared, id)));
        }
        A::Purge => {
            out.note(Level::Info, format!("{} runs still; x ends it first", name(task)));
        }
        A::Recover => recover::open(shared, &id, out),
        A::AnswerAsk => out.open(Kind::Answer(answer::Model::new(shared, id))),
        A::Describe => out.open(Kind::Text(text::Model::describe(shared, id))),
        A::Why => out.open(Kind::Text(text::Model::why(id))),
        A::Diff => out.open(Kind::Text(text::Model::diff(id))),
        A::CopyMenu => out.open(Kind::Pick(pick::Model::copy(task))),
        A::OpenUrl => open(model, task, out),
        _ => (),
    }
}

fn name(task: &TaskView) -> String {
    one_line(&task.name, 40)
}

fn attach(shared: &Shared, task: &TaskView, out: &mut Out) {
    let id = task.id.clone();
    if task.session.is_some() {
        out.then.push(Then::Attach { task: id, kind: TermKind::Attach });
    } else if is_over(task) || parking::is_parked(task) {
        recover::open(shared, &id, out);
    } else {
        out.note(Level::Info, format!("{} has no session yet", name(task)));
    }
}

fn open(model: &mut Model, task: &TaskView, out: &mut Out) {
    if let Some(url) = words::last_url(&task.last) {
        open_url(url, out);
    } else if task.answer_bytes.is_some() {
        super::want_answer(model, &task.id, Want::Open, out);
    } else {
        out.note(Level::Info, format!("{} spoke of no address", name(task)));
    }
}

/// Opens an address.
pub fn open_url(url: &str, out: &mut Out) {
    out.note(Level::Info, format!("opening {}", one_line(url, 200)));
    out.effects.push(Effect::OpenUrl(url.to_owned()));
}

/// Asks for a task's final answer.
pub fn ask_answer(task: &str, out: &mut Out) {
    let ask = Ask::Request(Request::AnswerText { id: task.to_owned() });
    out.ask("final answer", ask, Purpose::Panel(Panel::Tasks));
}
