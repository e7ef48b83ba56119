//! Draws the model. Reads only; what is not on the screen costs nothing.

pub mod bars;

use crate::tui::{
    canvas::Canvas,
    model::{Model, Panel},
    pane::{budget, checkpoints, inbox, log, tasks, term},
    popup, update,
};

/// Draws a whole frame.
pub fn view(model: &Model, canvas: &mut Canvas) {
    let areas = update::areas(model);
    let shared = &model.shared;
    bars::view(model, &areas, canvas);
    for (panel, area) in &areas.panels {
        let (area, focused) = (*area, *panel == model.place.focus);
        match panel {
            Panel::Tasks => tasks::view(&model.tasks, shared, area, focused, canvas),
            Panel::Preview => term::view(&model.term, shared, area, focused, canvas),
            Panel::Log => log::view(&model.log, shared, area, focused, canvas),
            Panel::Checkpoints => {
                checkpoints::view(&model.checkpoints, shared, area, focused, canvas);
            }
            Panel::Budget => budget::view(&model.budget, shared, area, focused, canvas),
            Panel::Inbox => inbox::view(&model.inbox, shared, area, focused, canvas),
        }
    }
    let whole = canvas.area();
    for it in &model.popups {
        canvas.cursor = None;
        popup::view(it, shared, &model.calls, whole, canvas);
    }
}

#[cfg(test)]
mod tests;
