//! Every action, by a few letters of what it does.

use ratatui::layout::Rect;

use crate::{
    api::error::ApiError,
    tui::{
        canvas::Canvas,
        keymap::{Action, Context, TABLE, binding},
        model::{Out, Shared, Then},
        msg::Reply,
        popup::PopupId,
        widget::menu::{Item, Menu, Outcome, Search},
    },
    vt::input::{Key, Mouse},
};

/// What the popup holds.
#[derive(Debug, Default)]
pub struct Model {
    menu: Menu,
    actions: Vec<Action>,
}

/// The popup was opened: lists the actions, those chosen last first.
pub fn opened(model: &mut Model, _id: PopupId, shared: &Shared, _out: &mut Out) {
    let rest = TABLE.iter().map(|it| it.action).filter(|it| listed(*it));
    let new = rest.filter(|it| !shared.chosen.contains(it));
    model.actions = shared.chosen.iter().copied().chain(new).collect();
    let keymap = &shared.look.keymap;
    let items = model.actions.iter().map(|it| {
        let row = binding(*it);
        Item {
            key: keymap.label(row.context, *it).unwrap_or_default(),
            label: row.name.to_owned(),
            note: row.long.to_owned(),
            heading: false,
        }
    });
    model.menu = Menu::new("Palette", items.collect(), Search::Always);
}

/// Tells whether an action makes sense from here: not those that only count where text is typed
/// or while a session has the keys, and not moving about.
fn listed(action: Action) -> bool {
    use Action as A;
    let here =
        !matches!(binding(action).context, Context::Attached | Context::Scroll | Context::Form);
    let moving = matches!(
        action,
        A::Down | A::Up | A::Top | A::Bottom | A::PageDown | A::PageUp | A::Palette | A::Close
    );
    action == A::Switcher || (here && !moving)
}

fn take(model: &mut Model, _shared: &Shared, outcome: Outcome, out: &mut Out) {
    match outcome {
        Outcome::Nothing => (),
        Outcome::Closed => out.then.push(Then::Close),
        Outcome::Chosen(at) => {
            out.then.push(Then::Close);
            out.then.extend(model.actions.get(at).copied().map(Then::Chosen));
        }
    }
}

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

/// Takes a key.
pub fn key(model: &mut Model, _id: PopupId, shared: &Shared, key: &Key, out: &mut Out) {
    let outcome = model.menu.key(key, screen(shared));
    take(model, shared, outcome, out);
}

/// Takes pasted text.
pub fn paste(model: &mut Model, _shared: &Shared, text: &str, _out: &mut Out) {
    model.menu.paste(text);
}

/// Takes a mouse event, anywhere.
pub fn mouse(model: &mut Model, shared: &Shared, mouse: &Mouse, out: &mut Out) {
    let outcome = model.menu.mouse(mouse, screen(shared));
    take(model, shared, outcome, out);
}

fn screen(shared: &Shared) -> Rect {
    Rect::new(0, 0, shared.size.0, shared.size.1)
}

/// Draws it over what is there; `area` is the whole screen.
pub fn view(model: &Model, shared: &Shared, area: Rect, canvas: &mut Canvas) {
    model.menu.view(area, shared.look.theme, canvas);
}
