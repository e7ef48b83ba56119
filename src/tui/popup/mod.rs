//! What lies over the panels. The topmost has the keys.

pub mod answer;
pub mod command;
pub mod confirm;
pub mod entry;
pub mod files;
pub mod filter;
pub mod form;
pub mod help;
pub mod jobs;
pub mod palette;
pub mod pick;
pub mod prompt;
pub mod recover;
pub mod restore;
pub mod setup;
pub mod sure;
pub mod text;

#[cfg(test)]
mod tests;

use ratatui::layout::Rect;

use crate::{
    api::error::ApiError,
    tui::{
        canvas::Canvas,
        keymap::{Action, Context},
        model::{Calls, Out, Shared},
        msg::{Reply, Returned},
    },
    vt::input::{Key, Mouse},
};

/// Names a popup; never used twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PopupId(pub u64);

/// A popup.
#[derive(Debug)]
pub struct Popup {
    pub id: PopupId,
    pub kind: Kind,
}

/// The popups there are.
#[derive(Debug)]
pub enum Kind {
    /// The keys of a place.
    Help(help::Model),
    /// Every action, by a few letters.
    Palette(palette::Model),
    /// The command line.
    Command(command::Model),
    /// The filter of the tasks.
    Filter(filter::Model),
    /// A question before something is done: what is lost, what stays.
    Confirm(confirm::Model),
    /// A prompt for one or more sessions.
    Prompt(prompt::Model),
    /// What a task asks, with its options.
    Answer(answer::Model),
    /// The task form.
    Form(Box<form::Model>),
    /// A list to choose from: sort, group, what to copy, another session, what to undo.
    Pick(pick::Model),
    /// Text to read: facts, evidence, a diff, commands.
    Text(text::Model),
    /// What is under way, and what was asked before.
    Jobs(jobs::Model),
    /// What this machine needs.
    Setup(setup::Model),
    /// A line to type for a checkpoint.
    Entry(entry::Model),
    /// The files of a checkpoint.
    Files(files::Model),
    /// What restoring a checkpoint would change.
    Restore(restore::Model),
    /// The question before a checkpoint is deleted.
    Sure(sure::Model),
    /// How a task can be brought back.
    Recover(recover::Model),
}

/// Passes a call on to the popup's own module.
macro_rules! each {
    ($kind:expr, $model:ident, $module:ident => $call:expr) => {
        match $kind {
            Kind::Help($model) => {
                use $crate::tui::popup::help as $module;
                $call
            }
            Kind::Palette($model) => {
                use $crate::tui::popup::palette as $module;
                $call
            }
            Kind::Command($model) => {
                use $crate::tui::popup::command as $module;
                $call
            }
            Kind::Filter($model) => {
                use $crate::tui::popup::filter as $module;
                $call
            }
            Kind::Confirm($model) => {
                use $crate::tui::popup::confirm as $module;
                $call
            }
            Kind::Prompt($model) => {
                use $crate::tui::popup::prompt as $module;
                $call
            }
            Kind::Answer($model) => {
                use $crate::tui::popup::answer as $module;
                $call
            }
            Kind::Form($model) => {
                use $crate::tui::popup::form as $module;
                $call
            }
            Kind::Pick($model) => {
                use $crate::tui::popup::pick as $module;
                $call
            }
            Kind::Text($model) => {
                use $crate::tui::popup::text as $module;
                $call
            }
            Kind::Jobs($model) => {
                use $crate::tui::popup::jobs as $module;
                $call
            }
            Kind::Setup($model) => {
                use $crate::tui::popup::setup as $module;
                $call
            }
            Kind::Entry($model) => {
                use $crate::tui::popup::entry as $module;
                $call
            }
            Kind::Files($model) => {
                use $crate::tui::popup::files as $module;
                $call
            }
            Kind::Restore($model) => {
                use $crate::tui::popup::restore as $module;
                $call
            }
            Kind::Sure($model) => {
                use $crate::tui::popup::sure as $module;
                $call
            }
            Kind::Recover($model) => {
                use $crate::tui::popup::recover as $module;
                $call
            }
        }
    };
}

/// Returns the context whose keys count in it, besides those it takes itself.
pub fn context(popup: &Popup) -> Option<Context> {
    matches!(popup.kind, Kind::Form(_)).then_some(Context::Form)
}

/// The popup was opened: it asks for what it needs.
pub fn opened(popup: &mut Popup, shared: &Shared, out: &mut Out) {
    let id = popup.id;
    each!(&mut popup.kind, model, module => module::opened(model, id, shared, out));
}

/// Does an action of its context.
pub fn act(popup: &mut Popup, shared: &Shared, action: Action, out: &mut Out) {
    let id = popup.id;
    each!(&mut popup.kind, model, module => module::act(model, id, shared, action, out));
}

/// Takes a key that is no action of its context.
pub fn key(popup: &mut Popup, shared: &Shared, key: &Key, out: &mut Out) {
    let id = popup.id;
    each!(&mut popup.kind, model, module => module::key(model, id, shared, key, out));
}

/// Takes pasted text.
pub fn paste(popup: &mut Popup, shared: &Shared, text: &str, out: &mut Out) {
    each!(&mut popup.kind, model, module => module::paste(model, shared, text, out));
}

/// Takes a mouse event, anywhere on the screen.
pub fn mouse(popup: &mut Popup, shared: &Shared, mouse: &Mouse, out: &mut Out) {
    each!(&mut popup.kind, model, module => module::mouse(model, shared, mouse, out));
}

/// Takes an answer that it asked for.
pub fn answered(
    popup: &mut Popup,
    shared: &Shared,
    result: &Result<Reply, ApiError>,
    out: &mut Out,
) {
    let id = popup.id;
    each!(&mut popup.kind, model, module => module::answered(model, id, shared, result, out));
}

/// Takes an answer that it asked for under a number.
pub fn answered_item(
    popup: &mut Popup,
    shared: &Shared,
    item: u64,
    result: &Result<Reply, ApiError>,
    out: &mut Out,
) {
    let id = popup.id;
    match &mut popup.kind {
        Kind::Form(model) => form::answered_item(model, id, shared, (item, result), out),
        Kind::Prompt(model) => prompt::answered_item(model, shared, item, result, out),
        Kind::Confirm(model) => confirm::answered_item(model, shared, item, result, out),
        _ => (),
    }
}

/// Something changed, or a time that was asked for has come.
pub fn changed(popup: &mut Popup, shared: &Shared, out: &mut Out) {
    match &mut popup.kind {
        Kind::Form(model) => form::changed(model, popup.id, shared, out),
        Kind::Recover(model) => recover::changed(model, shared, out),
        _ => (),
    }
}

/// Takes what another program left that it asked for: the editor's text.
pub fn returned(popup: &mut Popup, shared: &Shared, what: &Returned, out: &mut Out) {
    match &mut popup.kind {
        Kind::Form(model) => form::returned(model, shared, what, out),
        Kind::Prompt(model) => prompt::returned(model, shared, what, out),
        _ => (),
    }
}

/// Draws it over what is there.
pub fn view(popup: &Popup, shared: &Shared, calls: &Calls, area: Rect, canvas: &mut Canvas) {
    match &popup.kind {
        Kind::Jobs(model) => jobs::view(model, shared, calls, area, canvas),
        Kind::Help(model) => help::view(model, shared, area, canvas),
        Kind::Palette(model) => palette::view(model, shared, area, canvas),
        Kind::Command(model) => command::view(model, shared, area, canvas),
        Kind::Filter(model) => filter::view(model, shared, area, canvas),
        Kind::Confirm(model) => confirm::view(model, shared, area, canvas),
        Kind::Prompt(model) => prompt::view(model, shared, area, canvas),
        Kind::Answer(model) => answer::view(model, shared, area, canvas),
        Kind::Form(model) => form::view(model, shared, area, canvas),
        Kind::Pick(model) => pick::view(model, shared, area, canvas),
        Kind::Text(model) => text::view(model, shared, area, canvas),
        Kind::Setup(model) => setup::view(model, shared, area, canvas),
        Kind::Entry(model) => entry::view(model, shared, area, canvas),
        Kind::Files(model) => files::view(model, shared, area, canvas),
        Kind::Restore(model) => restore::view(model, shared, area, canvas),
        Kind::Sure(model) => sure::view(model, shared, area, canvas),
        Kind::Recover(model) => recover::view(model, shared, area, canvas),
    }
}
