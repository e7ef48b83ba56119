//! The keys of a place, and those that count everywhere, made of the table.

use ratatui::layout::Rect;

use crate::{
    api::error::ApiError,
    tui::{
        canvas::Canvas,
        keymap::{Action, Context, Keymap, TABLE},
        model::{Out, Shared, Then},
        msg::Reply,
        popup::PopupId,
        widget::menu::{Item, Menu, Outcome, Search},
    },
    vt::input::{Key, Mouse},
};

/// What the popup holds.
#[derive(Debug)]
pub struct Model {
    context: Context,
    menu: Menu,
    /// What each entry does; nothing for headings.
    actions: Vec<Option<Action>>,
}

impl Model {
    /// Returns the help for a place.
    pub fn new(context: Context) -> Model {
        Model { context, menu: Menu::default(), actions: Vec::new() }
    }
}

/// The popup was opened: makes its entries of the keys in use.
pub fn opened(model: &mut Model, _id: PopupId, shared: &Shared, _out: &mut Out) {
    let mut items = Vec::new();
    let keymap = &shared.look.keymap;
    for context in [model.context, Context::Global] {
        if context == Context::Global && !model.context.has_global() {
            continue;
        }
        if context == Context::Global && model.context == Context::Global && !items.is_empty() {
            continue;
        }
        let heading = format!("Keys: {}", context.name());
        items.push(Item { label: heading, heading: true, ..Item::default() });
        model.actions.push(None);
        for row in TABLE.iter().filter(|it| it.context == context) {
            let key = keys(keymap, model.context, row.action);
            if key.is_empty() && context != Context::Global {
                continue;
            }
            items.push(Item { key, label: row.long.to_owned(), ..Item::default() });
            model.actions.push(Some(row.action));
        }
    }
    let title = format!("Help: {}", model.context.name());
    model.menu = Menu::new(title, items, Search::Slash);
}

/// Returns the keys that really do an action in a place, the first two of them.
fn keys(keymap: &Keymap, context: Context, action: Action) -> String {
    let works = keymap.keys(action).iter().filter(|it| keymap.action(context, it) == Some(action));
    works.take(2).map(crate::tui::keymap::show).collect::<Vec<_>>().join(" ")
}

fn take(model: &mut Model, _shared: &Shared, outcome: Outcome, out: &mut Out) {
    match outcome {
        Outcome::Nothing => (),
        Outcome::Closed => out.then.push(Then::Close),
        Outcome::Chosen(at) => {
            out.then.push(Then::Close);
            out.then.extend(model.actions.get(at).copied().flatten().map(Then::Act));
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
