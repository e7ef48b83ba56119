//! The filter line, over the message line: what passes is seen while it is typed.

use ratatui::layout::Rect;

use crate::{
    api::error::ApiError,
    tui::{
        canvas::Canvas,
        filter::{Filter, complete, completions},
        keymap::Action,
        model::{Out, Shared, Then},
        msg::Reply,
        popup::PopupId,
        theme::Role,
        widget::input::Input,
    },
    vt::input::{Button, Code, Key, Mods, Mouse, MouseKind},
};

/// What the popup holds.
#[derive(Debug)]
pub struct Model {
    /// The filter as it was, for Esc.
    before: String,
    input: Input,
}

impl Model {
    /// Returns the line with the filter as it is.
    pub fn new(text: &str) -> Model {
        Model { before: text.to_owned(), input: Input::new(text) }
    }
}

/// The popup was opened: asks for nothing.
pub fn opened(_model: &mut Model, _id: PopupId, _shared: &Shared, _out: &mut Out) {}

/// Does an action of its context: it has none.
pub fn act(_model: &mut Model, _id: PopupId, _shared: &Shared, _action: Action, _out: &mut Out) {}

/// Takes an answer: it asks for nothing.
pub fn answered(
    _model: &mut Model,
    _id: PopupId,
    _shared: &Shared,
    _result: &Result<Reply, ApiError>,
    _out: &mut Out,
) {
}

/// Takes a key: Enter keeps the filter, Esc restores the one before, Tab completes.
pub fn key(model: &mut Model, _id: PopupId, shared: &Shared, key: &Key, out: &mut Out) {
    match key.code {
        Code::Enter => out.then.push(Then::Close),
        Code::Esc => restore(model, out),
        Code::Char('c') if key.mods == Mods::CTRL => restore(model, out),
        Code::Backspace if model.input.text().is_empty() => out.then.push(Then::Close),
        Code::Tab => {
            let found = completions(model.input.text(), &hosts(shared));
            if let Some((word, _)) = found.first() {
                model.input = Input::new(complete(model.input.text(), word));
                out.then.push(Then::Filter(model.input.text().to_owned()));
            }
        }
        _ => {
            if model.input.key(key) {
                out.then.push(Then::Filter(model.input.text().to_owned()));
            }
        }
    }
}

fn restore(model: &Model, out: &mut Out) {
    out.then.push(Then::Filter(model.before.clone()));
    out.then.push(Then::Close);
}

/// Takes pasted text.
pub fn paste(model: &mut Model, _shared: &Shared, text: &str, out: &mut Out) {
    model.input.insert(text);
    out.then.push(Then::Filter(model.input.text().to_owned()));
}

/// Takes a mouse event, anywhere: a click elsewhere keeps the filter.
pub fn mouse(_model: &mut Model, shared: &Shared, mouse: &Mouse, out: &mut Out) {
    let below = shared.size.1.saturating_sub(2) <= mouse.row;
    if mouse.kind == MouseKind::Down(Button::Left) && !below {
        out.then.push(Then::Close);
    }
}

fn hosts(shared: &Shared) -> Vec<String> {
    let status = shared.replica.status.iter().flat_map(|it| &it.providers);
    status.map(|it| it.name.clone()).collect()
}

/// Draws it over what is there; `area` is the whole screen.
pub fn view(model: &Model, shared: &Shared, area: Rect, canvas: &mut Canvas) {
    let theme = shared.look.theme;
    let text = model.input.text();
    let (hint, role) = match Filter::parse(text) {
        Err(problem) => (problem, Role::Warning),
        Ok(_) => (hint(text, &hosts(shared)), Role::Dim),
    };
    super::command::line(area, "/", (&model.input, &hint, role), theme, canvas);
}

fn hint(text: &str, hosts: &[String]) -> String {
    let words = completions(text, hosts);
    match words.as_slice() {
        [] => "Enter keeps it   Esc restores   Tab completes".to_owned(),
        [(word, what)] => format!("Tab {word}  {what}"),
        all => all.iter().map(|it| it.0.as_str()).collect::<Vec<_>>().join("  "),
    }
}
