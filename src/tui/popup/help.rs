//! The keys of a place, and those that count everywhere, made of the table.

use ratatui::layout::Rect;

use crate::{
    api::{budget::Sources, error::ApiError},
    tui::{
        canvas::Canvas,
        effect::{Ask, Request},
        keymap::{Action, Context, Keymap, TABLE},
        model::{Out, Purpose, Shared, Then},
        money,
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
    /// Where figures of money come from, once that is known.
    sources: Option<Box<Sources>>,
}

impl Model {
    /// Returns the help for a place.
    pub fn new(context: Context) -> Model {
        Model { context, menu: Menu::default(), actions: Vec::new(), sources: None }
    }
}

/// The popup was opened: makes its entries of the keys in use. Of the budget it tells as well where
/// each figure comes from.
pub fn opened(model: &mut Model, id: PopupId, shared: &Shared, out: &mut Out) {
    make(model, shared);
    if model.context == Context::Budget {
        out.ask("prices", Ask::Request(Request::Sources), Purpose::Popup(id));
    }
}

fn make(model: &mut Model, shared: &Shared) {
    let mut items = Vec::new();
    model.actions.clear();
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
        if context == Context::Budget {
            figures(model, &mut items);
        }
    }
    let title = format!("Help: {}", model.context.name());
    model.menu = Menu::new(title, items, Search::Slash);
}

/// Adds where each figure comes from; Enter on a line tells more.
fn figures(model: &mut Model, items: &mut Vec<Item>) {
    let label = "Where each figure comes from".to_owned();
    items.push(Item { label, heading: true, ..Item::default() });
    model.actions.push(None);
    for (mark, label) in money::sources::marks(model.sources.as_deref()) {
        items.push(Item { key: mark.to_owned(), label, ..Item::default() });
        model.actions.push(Some(Action::BudgetExplain));
    }
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

/// Takes where figures come from. Without an answer the rest still helps.
pub fn answered(
    model: &mut Model,
    _id: PopupId,
    shared: &Shared,
    result: &Result<Reply, ApiError>,
    _out: &mut Out,
) {
    if let Ok(Reply::Sources(found)) = result {
        let before = std::mem::take(&mut model.menu);
        model.sources = Some(found.clone());
        make(model, shared);
        model.menu.take_place(before);
    }
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
