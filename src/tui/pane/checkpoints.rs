//! What is kept of the selected task and can be brought back: its branch, its workspace, its
//! conversation, its answer. Nothing is shown that is not there.

use ratatui::layout::Rect;

use crate::{
    api::{error::ApiError, view::TaskView},
    stdx::text::one_line,
    tui::{
        canvas::Canvas,
        keymap::{Action, Context},
        model::{Level, Out, Shared, replica::Letter},
        msg::Reply,
        pane::framed,
        popup::{Kind, confirm, text},
        sort::state_name,
        theme::Role,
        words,
    },
    vt::input::{Key, Mouse},
};

/// Columns of the words at the left.
const LABEL: u16 = 14;

/// What the panel holds: nothing, it shows the selected task.
#[derive(Debug, Default)]
pub struct Model {}

/// Tells whether keys are text for the panel now.
pub fn typing(_model: &Model) -> bool {
    false
}

/// Does an action of the panel.
pub fn act(_model: &mut Model, shared: &Shared, action: Action, out: &mut Out) {
    let Some(task) = shared.task() else {
        return out.note(Level::Info, "no task is selected");
    };
    let id = task.id.clone();
    match action {
        Action::CheckpointRecover => {
            out.open(Kind::Confirm(confirm::Model::recover(shared, id)));
        }
        Action::CheckpointDiff => out.open(Kind::Text(text::Model::diff(id))),
        _ => (),
    }
}

/// Takes a key that is text for the panel: there is none.
pub fn key(_model: &mut Model, _shared: &Shared, _key: &Key, _out: &mut Out) {}

/// Takes pasted text: it goes nowhere.
pub fn paste(_model: &mut Model, _shared: &Shared, _text: &str, _out: &mut Out) {}

/// Takes a mouse event inside the panel's border: none means anything here.
pub fn mouse(_model: &mut Model, _shared: &Shared, _area: Rect, _mouse: &Mouse, _out: &mut Out) {}

/// Takes an answer: the panel asks for nothing itself.
pub fn answered(
    _model: &mut Model,
    _shared: &Shared,
    _result: &Result<Reply, ApiError>,
    _out: &mut Out,
) {
}

/// Tasks, selection or time changed: the panel keeps nothing that could be out of date.
pub fn changed(_model: &mut Model, _shared: &Shared, _area: Option<Rect>, _out: &mut Out) {}

/// Draws the panel with its border.
pub fn view(_model: &Model, shared: &Shared, area: Rect, focused: bool, canvas: &mut Canvas) {
    let name = shared.task().map(|it| one_line(&it.name, 40)).unwrap_or_default();
    let title = format!("[4] Checkpoints  {name}");
    let Some(inner) = framed(shared, area, focused, (&title, ""), canvas) else { return };
    let theme = shared.look.theme;
    let Some(task) = shared.task() else {
        canvas.fit(inner.x, inner.y, inner.width, "no task is selected", theme.style(Role::Dim));
        return;
    };
    let lines = kept(task, shared);
    for ((label, text, role), y) in lines.iter().zip(inner.y..inner.bottom()) {
        let x = inner.x.saturating_add(1);
        let width = LABEL.min(inner.right().saturating_sub(x));
        canvas.fit(x, y, width, label, theme.style(Role::Dim));
        let x = if label.is_empty() { x } else { x.saturating_add(LABEL) };
        canvas.fit(x, y, inner.right().saturating_sub(x), text, theme.style(*role));
    }
}

/// Returns what is kept, line by line: a word, what it is, how it looks.
fn kept(task: &TaskView, shared: &Shared) -> Vec<(&'static str, String, Role)> {
    let offset = shared.facts.utc_offset_ms;
    let when = |at| words::clock(at, shared.now, offset);
    let mut lines = Vec::new();
    let state = state_name(Letter::of(task));
    let since = format!("{state} since {}, submitted {}", when(task.since), when(task.created_at));
    lines.push(("state", since, Role::Text));
    match &task.branch {
        Some(branch) => {
            let (added, removed) = (task.lines_added, task.lines_removed);
            let text = format!("{}  +{added} -{removed}", one_line(branch, 100));
            lines.push(("branch", text, Role::Text));
        }
        None => lines.push(("branch", "none of its own".to_owned(), Role::Dim)),
    }
    match &task.workspace {
        Some(path) => lines.push(("workspace", one_line(path, 300), Role::Text)),
        None => lines.push(("workspace", "none yet".to_owned(), Role::Dim)),
    }
    match &task.conversation {
        Some(id) => {
            let how = match task.session {
                Some(_) => "goes on in its session",
                None => "can be resumed",
            };
            lines.push(("conversation", format!("{how}  {}", one_line(id, 40)), Role::Text));
        }
        None => lines.push(("conversation", "none yet".to_owned(), Role::Dim)),
    }
    let turns = match task.turns {
        1 => "1 turn ended".to_owned(),
        many => format!("{many} turns ended"),
    };
    let turns = format!("{}, {turns}", launches(task.attempts));
    lines.push(("launches", turns, Role::Text));
    match task.answer_bytes {
        Some(bytes) => lines.push(("final answer", format!("kept, {bytes} bytes"), Role::Good)),
        None => lines.push(("final answer", "none yet".to_owned(), Role::Dim)),
    }
    let keymap = &shared.look.keymap;
    let key = keymap.label(Context::Checkpoints, Action::CheckpointRecover);
    if let Some(key) = key.filter(|_| task.session.is_none()) {
        lines.push(("", format!("{key} brings it back and says first how"), Role::Dim));
    }
    lines
}

fn launches(attempts: u32) -> String {
    match attempts {
        1 => "1 launch".to_owned(),
        many => format!("{many} launches"),
    }
}

#[cfg(test)]
mod tests {
    use crate::tui::{
        fixture::{fleet, press, screen, with_tasks},
        model::Panel,
        popup::Kind,
    };

    #[test]
    fn it_shows_what_is_kept_and_offers_to_bring_it_back() {
        let mut model = with_tasks(80, 24, fleet());
        press(&mut model, &["G", "4"]);
        assert_eq!(model.place.focus, Panel::Checkpoints);
        let text = screen(&model);
        let lower: Vec<&str> = text.lines().skip(12).take(10).collect();
        insta::assert_snapshot!(lower.join("\n"));
        press(&mut model, &["enter"]);
        assert!(matches!(model.popups.last().map(|it| &it.kind), Some(Kind::Confirm(_))));
    }
}
