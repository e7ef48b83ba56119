//! What the keys of the list do.

use crate::{
    api::checkpoints::{CheckpointView, EditCheckpoint},
    stdx::text::one_line,
    tui::{
        effect::Request,
        keymap::Action,
        model::{Level, Out, Shared},
        pane::checkpoints::{MARKS_MAX, Model},
        popup::{Kind, entry, files, restore, sure, text},
        words,
    },
};

/// Does an action of the panel, or moves in it.
pub fn act(model: &mut Model, shared: &Shared, action: Action, out: &mut Out) {
    use Action as A;
    let page = isize::try_from(model.height.saturating_sub(1).max(1)).unwrap_or(1);
    match action {
        A::Down => step(model, 1),
        A::Up => step(model, -1),
        A::Top => go(model, 0),
        A::Bottom => go(model, usize::MAX),
        A::PageDown => step(model, page),
        A::PageUp => step(model, -page),
        A::CheckpointSort => {
            model.by = model.by.next();
            select(model);
            model.sort();
            out.note(Level::Info, format!("checkpoints by {}", model.by.name()));
        }
        A::CheckpointCreate => match shared.task() {
            Some(task) => out.open(Kind::Entry(entry::Model::create(&task.id, &task.name))),
            None => out.note(Level::Info, "no task is selected"),
        },
        _ => match model.current().cloned() {
            Some(it) => on_checkpoint(model, shared, &it, action, out),
            None => out.note(Level::Info, "there is no checkpoint yet"),
        },
    }
}

/// Moves the selection by rows.
pub fn step(model: &mut Model, by: isize) {
    model.window.step(by, model.order.len(), model.height);
    select(model);
}

/// Selects a row.
pub fn go(model: &mut Model, row: usize) {
    model.window.go(row, model.order.len(), model.height);
    select(model);
}

/// From now on the selection follows the checkpoint it is on.
fn select(model: &mut Model) {
    model.selected = model.current().map(|it| it.id.clone());
}

fn on_checkpoint(
    model: &mut Model,
    shared: &Shared,
    it: &CheckpointView,
    action: Action,
    out: &mut Out,
) {
    use Action as A;
    let id = it.id.clone();
    match action {
        A::CheckpointFiles => out.open(Kind::Files(files::Model::new(shared, it))),
        A::CheckpointDiff => diff(model, id, out),
        A::CheckpointDiffNow => {
            out.open(Kind::Text(text::Model::checkpoint_diff(id, "now".to_owned())));
        }
        A::CheckpointRestore => out.open(Kind::Restore(restore::Model::new(shared, it))),
        A::CheckpointFork => out.open(Kind::Entry(entry::Model::fork(shared, it))),
        A::CheckpointMark => mark(model, id, out),
        A::CheckpointLabel => out.open(Kind::Entry(entry::Model::label(it))),
        A::CheckpointPin => {
            let word = if it.pinned { "unpinned" } else { "pinned" };
            let edit = EditCheckpoint { pinned: Some(!it.pinned), label: None };
            let label = format!("{word} {}", one_line(&it.id, 40));
            out.request(label, Request::EditCheckpoint { id, edit });
        }
        A::CheckpointDelete => out.open(Kind::Sure(sure::Model::new(shared, it))),
        _ => (),
    }
}

/// Compares the two marked, or the selected with the one before it.
fn diff(model: &Model, id: String, out: &mut Out) {
    let mut marked: Vec<&CheckpointView> =
        model.marks.iter().filter_map(|it| model.find(it)).collect();
    marked.sort_by_key(|it| it.at);
    let text = match marked[..] {
        [older, newer] => text::Model::checkpoint_diff(older.id.clone(), newer.id.clone()),
        _ => text::Model::checkpoint_diff(id, "previous".to_owned()),
    };
    out.open(Kind::Text(text));
}

fn mark(model: &mut Model, id: String, out: &mut Out) {
    if model.marks.contains(&id) {
        model.marks.retain(|it| *it != id);
    } else {
        // The third takes the place of the first.
        if model.marks.len() == MARKS_MAX {
            model.marks.remove(0);
        }
        model.marks.push(id);
        step(model, 1);
    }
    let names: Vec<String> =
        model.marks.iter().filter_map(|it| model.find(it)).map(words::checkpoint).collect();
    if let [one, other] = &names[..] {
        out.note(Level::Info, format!("d compares {one} with {other}"));
    }
}
