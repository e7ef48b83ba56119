//! Keys, text, mouse: who gets them.

use crate::{
    tui::{
        keymap::Context,
        model::{Model, Out, Panel},
        msg::Input,
        pane::{budget, checkpoints, inbox, log, tasks, term},
        popup, update,
    },
    vt::input::{Button, Key, Mouse, MouseKind},
};

/// Takes what a person did.
pub fn take(model: &mut Model, input: Input, out: &mut Out) {
    match input {
        Input::Key(it) => key(model, &it, out),
        Input::Paste(text) => paste(model, &text, out),
        Input::Mouse(it) => mouse(model, &it, out),
        Input::Focus(gained) => {
            model.shared.focused = Some(gained);
            term::focus(&mut model.term, gained, out);
        }
        Input::Resize { cols, rows } => model.shared.size = (cols, rows),
    }
}

/// Returns where keys count now, and whether they are text for a panel.
pub fn context(model: &Model) -> (Context, bool) {
    if let Some(it) = model.popups.last() {
        return (popup::context(it).unwrap_or(Context::Form), true);
    }
    let focus = model.place.focus;
    let (context, typing) = match focus {
        Panel::Tasks => (Context::Tasks, tasks::typing(&model.tasks)),
        Panel::Preview if model.term.scrolling() => (Context::Scroll, term::typing(&model.term)),
        Panel::Preview if model.term.attached().is_some() => (Context::Attached, false),
        Panel::Preview => (Context::Preview, term::typing(&model.term)),
        Panel::Log => (Context::Log, log::typing(&model.log)),
        Panel::Checkpoints => (Context::Checkpoints, checkpoints::typing(&model.checkpoints)),
        Panel::Budget => (Context::Budget, budget::typing(&model.budget)),
        Panel::Inbox => (Context::Inbox, inbox::typing(&model.inbox)),
    };
    (context, typing)
}

fn key(model: &mut Model, key: &Key, out: &mut Out) {
    if let Some(it) = model.popups.last_mut() {
        let context = popup::context(it);
        let action = context.and_then(|it| model.shared.look.keymap.action(it, key));
        match action {
            Some(action) => popup::act(it, &model.shared, action, out),
            None => popup::key(it, &model.shared, key, out),
        }
        return;
    }
    let (context, typing) = context(model);
    let option = context == Context::Inbox && inbox::option(&model.inbox, &model.shared, key);
    if typing || option {
        return panel_key(model, key, out);
    }
    match (model.shared.look.keymap.action(context, key), context) {
        (Some(action), _) => update::act::act(model, action, out),
        (None, Context::Attached) => term::send_key(&mut model.term, key, out),
        (None, _) => panel_key(model, key, out),
    }
}

fn panel_key(model: &mut Model, key: &Key, out: &mut Out) {
    let shared = &model.shared;
    match model.place.focus {
        Panel::Tasks => tasks::key(&mut model.tasks, shared, key, out),
        Panel::Preview => term::key(&mut model.term, shared, key, out),
        Panel::Log => log::key(&mut model.log, shared, key, out),
        Panel::Checkpoints => checkpoints::key(&mut model.checkpoints, shared, key, out),
        Panel::Budget => budget::key(&mut model.budget, shared, key, out),
        Panel::Inbox => inbox::key(&mut model.inbox, shared, key, out),
    }
}

fn paste(model: &mut Model, text: &str, out: &mut Out) {
    let shared = &model.shared;
    if let Some(it) = model.popups.last_mut() {
        return popup::paste(it, shared, text, out);
    }
    match model.place.focus {
        Panel::Tasks => tasks::paste(&mut model.tasks, shared, text, out),
        Panel::Preview => term::paste(&mut model.term, shared, text, out),
        Panel::Log => log::paste(&mut model.log, shared, text, out),
        Panel::Checkpoints => checkpoints::paste(&mut model.checkpoints, shared, text, out),
        Panel::Budget => budget::paste(&mut model.budget, shared, text, out),
        Panel::Inbox => inbox::paste(&mut model.inbox, shared, text, out),
    }
}

fn mouse(model: &mut Model, mouse: &Mouse, out: &mut Out) {
    if let Some(it) = model.popups.last_mut() {
        return popup::mouse(it, &model.shared, mouse, out);
    }
    let areas = update::areas(model);
    let Some(panel) = areas.at(mouse.col, mouse.row) else {
        if mouse.kind == MouseKind::Down(Button::Left) {
            click_bar(model, &areas, mouse, out);
        }
        return;
    };
    // The wheel scrolls what is under it; a click also gives it the keys.
    if matches!(mouse.kind, MouseKind::Down(_)) {
        update::act::focus(model, panel);
    }
    let Some(area) = areas.panel(panel) else { return };
    let shared = &model.shared;
    match panel {
        Panel::Tasks => tasks::mouse(&mut model.tasks, shared, area, mouse, out),
        Panel::Preview => term::mouse(&mut model.term, shared, area, mouse, out),
        Panel::Log => log::mouse(&mut model.log, shared, area, mouse, out),
        Panel::Checkpoints => checkpoints::mouse(&mut model.checkpoints, shared, area, mouse, out),
        Panel::Budget => budget::mouse(&mut model.budget, shared, area, mouse, out),
        Panel::Inbox => inbox::mouse(&mut model.inbox, shared, area, mouse, out),
    }
}

/// A click on a key in the footer presses it.
fn click_bar(model: &mut Model, areas: &crate::tui::layout::Areas, mouse: &Mouse, out: &mut Out) {
    if mouse.row != areas.footer.y {
        return;
    }
    let (context, _) = context(model);
    let found = crate::tui::view::bars::footer_at(model, context, areas.footer, mouse.col);
    if let Some(action) = found {
        update::act::act(model, action, out);
    }
}
