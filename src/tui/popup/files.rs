//! The files of a checkpoint, found by a few letters.

use ratatui::layout::Rect;

use crate::{
    api::{
        checkpoints::{CheckpointFiles, CheckpointView},
        error::ApiError,
    },
    stdx::text::one_line,
    tui::{
        canvas::Canvas,
        effect::{Ask, Request},
        keymap::Action,
        model::{Level, Out, Purpose, Shared, Then},
        msg::Reply,
        popup::{Kind, PopupId, text},
        widget::menu::{Item, Menu, Outcome, Search},
        words,
    },
    vt::input::{Key, Mouse},
};

/// What the popup holds.
#[derive(Debug)]
pub struct Model {
    id: String,
    name: String,
    menu: Menu,
    /// The path of each entry.
    paths: Vec<String>,
}

impl Model {
    /// Returns the list of a checkpoint's files, which is still to be asked for.
    pub fn new(shared: &Shared, it: &CheckpointView) -> Model {
        let at = words::moment(it.at, shared.now, shared.facts.utc_offset_ms);
        let name = format!("{at} {}", words::checkpoint(it));
        let menu = Menu::new(format!("Files of {name}"), Vec::new(), Search::Always)
            .or_empty("asking the dispatcher");
        Model { id: it.id.clone(), name, menu, paths: Vec::new() }
    }

    fn take(&mut self, found: &CheckpointFiles) {
        let bytes = found.files.iter().map(|it| it.bytes).fold(0, u64::saturating_add);
        let part = match found.files.len() {
            all if u64::try_from(all) == Ok(found.count) => words::bytes(bytes),
            part => format!("the first {part}"),
        };
        let title = format!("Files of {}: {}, {part}", self.name, found.count);
        self.paths = found.files.iter().map(|it| it.path.clone()).collect();
        let items = found.files.iter().map(|it| Item {
            key: format!("{:>7}", words::bytes(it.bytes)),
            label: one_line(&it.path, 400),
            note: if it.kind == "file" { String::new() } else { one_line(&it.kind, 20) },
            heading: false,
        });
        let empty = if found.files.is_empty() { "it holds no file" } else { "no such file" };
        self.menu = Menu::new(title, items.collect(), Search::Always).or_empty(empty);
    }
}

fn screen(shared: &Shared) -> Rect {
    Rect::new(0, 0, shared.size.0, shared.size.1)
}

fn done(model: &Model, outcome: Outcome, out: &mut Out) {
    match outcome {
        Outcome::Nothing => (),
        Outcome::Closed => out.then.push(Then::Close),
        Outcome::Chosen(at) => {
            if let Some(path) = model.paths.get(at) {
                let to = "previous".to_owned();
                let text = text::Model::checkpoint_diff(model.id.clone(), to).of_file(path);
                out.open(Kind::Text(text));
            }
        }
    }
}

/// The popup was opened: asks for the files.
pub fn opened(model: &mut Model, id: PopupId, _shared: &Shared, out: &mut Out) {
    let request = Request::CheckpointFiles { id: model.id.clone() };
    out.ask("files of the checkpoint", Ask::Request(request), Purpose::Popup(id));
}

/// Does an action of its context: it has none.
pub fn act(_model: &mut Model, _id: PopupId, _shared: &Shared, _action: Action, _out: &mut Out) {}

/// Takes a key: Enter shows what changed in the file, letters filter.
pub fn key(model: &mut Model, _id: PopupId, shared: &Shared, key: &Key, out: &mut Out) {
    let outcome = model.menu.key(key, screen(shared));
    done(model, outcome, out);
}

/// Takes pasted text.
pub fn paste(model: &mut Model, _shared: &Shared, text: &str, _out: &mut Out) {
    model.menu.paste(text);
}

/// Takes a mouse event, anywhere.
pub fn mouse(model: &mut Model, shared: &Shared, mouse: &Mouse, out: &mut Out) {
    let outcome = model.menu.mouse(mouse, screen(shared));
    done(model, outcome, out);
}

/// Takes the files.
pub fn answered(
    model: &mut Model,
    _id: PopupId,
    _shared: &Shared,
    result: &Result<Reply, ApiError>,
    out: &mut Out,
) {
    match result {
        Ok(Reply::CheckpointFiles(found)) => model.take(found),
        Ok(_) => (),
        Err(error) => {
            out.note(Level::Error, format!("files of the checkpoint: {}", error.message));
            out.then.push(Then::Close);
        }
    }
}

/// Draws it over what is there; `area` is the whole screen.
pub fn view(model: &Model, shared: &Shared, area: Rect, canvas: &mut Canvas) {
    model.menu.view(area, shared.look.theme, canvas);
}
