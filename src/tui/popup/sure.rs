//! The question before a checkpoint is deleted.

use ratatui::layout::Rect;

use crate::{
    api::{checkpoints::CheckpointView, error::ApiError},
    stdx::text::one_line,
    tui::{
        canvas::Canvas,
        effect::Request,
        keymap::Action,
        model::{Out, Shared, Then},
        msg::Reply,
        popup::PopupId,
        theme::Role,
        widget::frame,
        words,
    },
    vt::input::{Code, Key, Mouse, Phase},
};

/// The size it would like to have.
const SIZE: (u16, u16) = (72, 9);

/// What the popup holds.
#[derive(Debug)]
pub struct Model {
    id: String,
    /// What is said of it.
    says: Vec<(Role, String)>,
    /// Whether "Delete" is chosen, and not "Keep".
    delete: bool,
}

impl Model {
    /// Returns the question about a checkpoint.
    pub fn new(shared: &Shared, it: &CheckpointView) -> Model {
        let at = words::moment(it.at, shared.now, shared.facts.utc_offset_ms);
        let name = one_line(&it.task_name, 40);
        let what = format!("{name} as of {at} {}", words::checkpoint(it));
        let frees = match it.stored_bytes {
            Some(bytes) => format!("It frees at most {}. ", words::bytes(bytes)),
            None => String::new(),
        };
        let mut says = vec![
            (Role::Text, what),
            (Role::Dim, "The workspace and the other checkpoints stay as they are.".to_owned()),
            (Role::Dim, format!("{frees}It cannot be undone.")),
        ];
        if it.pinned {
            says.insert(1, (Role::Warning, "! it is pinned".to_owned()));
        }
        Model { id: it.id.clone(), says, delete: false }
    }
}

/// The popup was opened: asks for nothing.
pub fn opened(_model: &mut Model, _id: PopupId, _shared: &Shared, _out: &mut Out) {}

/// Does an action of its context: it has none.
pub fn act(_model: &mut Model, _id: PopupId, _shared: &Shared, _action: Action, _out: &mut Out) {}

/// Takes a key. Enter does what is chosen, which is harmless unless it was chosen on purpose.
pub fn key(model: &mut Model, _id: PopupId, _shared: &Shared, key: &Key, out: &mut Out) {
    if key.phase == Phase::Release {
        return;
    }
    match key.code {
        Code::Char('y') => delete(model, out),
        Code::Enter if model.delete => delete(model, out),
        Code::Enter | Code::Esc | Code::Char('n' | 'q') => out.then.push(Then::Close),
        Code::Tab | Code::BackTab | Code::Left | Code::Right | Code::Up | Code::Down => {
            model.delete = !model.delete;
        }
        _ => (),
    }
}

fn delete(model: &Model, out: &mut Out) {
    let label = format!("deleted {}", one_line(&model.id, 40));
    out.request(label, Request::DeleteCheckpoint { id: model.id.clone() });
    out.then.push(Then::Close);
}

/// Takes pasted text: it goes nowhere.
pub fn paste(_model: &mut Model, _shared: &Shared, _text: &str, _out: &mut Out) {}

/// Takes a mouse event, anywhere: none means anything here.
pub fn mouse(_model: &mut Model, _shared: &Shared, _mouse: &Mouse, _out: &mut Out) {}

/// Takes an answer: it asks for nothing.
pub fn answered(
    _model: &mut Model,
    _id: PopupId,
    _shared: &Shared,
    _result: &Result<Reply, ApiError>,
    _out: &mut Out,
) {
}

/// Draws it over what is there; `area` is the whole screen.
pub fn view(model: &Model, shared: &Shared, area: Rect, canvas: &mut Canvas) {
    let theme = shared.look.theme;
    let title = format!(" Delete {}? ", one_line(&model.id, 40));
    let inside = frame::popup(canvas, area, SIZE, &title, theme);
    let choice = |chosen: bool, word: &str| {
        let role = if chosen { Role::Selected } else { Role::Text };
        (role, format!("{}[{word}]", if chosen { "> " } else { "  " }))
    };
    let mut lines = model.says.clone();
    lines.push(choice(!model.delete, "Keep"));
    lines.push(choice(model.delete, "Delete"));
    let keys = "y delete   Enter does what is chosen   Tab choose   Esc keep";
    lines.push((Role::Key, keys.to_owned()));
    for ((role, text), y) in lines.iter().zip(inside.y..inside.bottom()) {
        canvas.fit(inside.x, y, inside.width, text, theme.style(*role));
    }
}
