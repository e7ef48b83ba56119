//! A prompt for one or more sessions, and what became of it in each.

#[cfg(test)]
mod tests;

use ratatui::layout::Rect;

use crate::{
    api::error::ApiError,
    domain::event::Delivery,
    tui::{
        canvas::Canvas,
        effect::{Ask, File, HandOver, Request},
        history,
        keymap::Action,
        layout,
        model::{Level, Out, Purpose, Shared, Then},
        msg::{Reply, Returned},
        popup::PopupId,
        theme::Role,
        widget::{
            chooser::{Chooser, Picked},
            editor::{Editor, keys::Taken},
            frame,
        },
    },
    vt::input::{Button, Code, Key, Mouse, MouseKind},
};

/// The size it would like to have.
const SIZE: (u16, u16) = (90, 18);

/// Rows for what became of it, besides the editor.
const FATES: u16 = 4;

/// What the popup holds.
#[derive(Debug)]
pub struct Model {
    id: Option<PopupId>,
    targets: Vec<Target>,
    editor: Editor,
    /// Prompts sent before, newest first.
    before: Vec<String>,
    chooser: Option<Chooser>,
    /// What is wrong with what was typed.
    problem: Option<String>,
}

/// One session it goes to.
#[derive(Clone, Debug)]
struct Target {
    id: String,
    name: String,
    fate: Fate,
}

/// What became of the prompt there.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    NotSent,
    UnderWay,
    Submitted,
    Typed(String),
    NotDelivered(String),
}

impl Model {
    /// Returns a prompt for tasks with sessions.
    pub fn new(shared: &Shared, tasks: Vec<String>) -> Model {
        let target = |id: String| {
            let name = shared.replica.task(&id).map_or_else(|| id.clone(), |it| it.name.clone());
            Target { id, name, fate: Fate::NotSent }
        };
        Model {
            id: None,
            targets: tasks.into_iter().map(target).collect(),
            editor: Editor::default(),
            before: Vec::new(),
            chooser: None,
            problem: None,
        }
    }

    fn busy(&self) -> bool {
        self.targets.iter().any(|it| it.fate == Fate::UnderWay)
    }

    /// Sends it wherever it has not arrived yet.
    fn send(&mut self, id: PopupId, out: &mut Out) {
        if self.editor.is_blank() {
            self.problem = Some("nothing is written yet".to_owned());
            return;
        }
        if self.busy() {
            self.problem = Some("it is on its way".to_owned());
            return;
        }
        let text = self.editor.text();
        for (at, target) in self.targets.iter_mut().enumerate() {
            // A prompt that stands in the input box is not typed a second time.
            if matches!(target.fate, Fate::Submitted | Fate::Typed(_)) {
                continue;
            }
            target.fate = Fate::UnderWay;
            let request = Request::Prompt { id: target.id.clone(), text: text.clone() };
            let label = format!("prompt {}", target.name);
            out.ask(label, Ask::Request(request), Purpose::PopupItem(id, at as u64));
        }
        let file = File::PromptHistory;
        let ask = Ask::WriteFile { file, text: history::with(&self.before, &text) };
        out.ask("keep the prompt", ask, Purpose::Quiet);
    }
}

/// The popup was opened: asks for the prompts sent before.
pub fn opened(model: &mut Model, id: PopupId, shared: &Shared, out: &mut Out) {
    model.id = Some(id);
    let area = editor_area(shared);
    model.editor.fit(area.width, area.height);
    out.ask("prompts sent before", Ask::ReadFile(File::PromptHistory), Purpose::Popup(id));
}

/// It has no actions of its own.
pub fn act(_model: &mut Model, _id: PopupId, _shared: &Shared, _action: Action, _out: &mut Out) {}

/// Takes a key.
pub fn key(model: &mut Model, id: PopupId, shared: &Shared, key: &Key, out: &mut Out) {
    if let Some(chooser) = &mut model.chooser {
        if key.code == Code::Esc {
            model.chooser = None;
            return;
        }
        if let Picked::Take(at) | Picked::Edit(at) = chooser.key(key) {
            model.chooser = None;
            model.editor.set(&model.before[at].clone());
        }
        return;
    }
    let area = editor_area(shared);
    model.editor.fit(area.width, area.height);
    model.problem = None;
    let newline = key.mods.alt || key.mods.shift;
    match (key.code, key.mods.ctrl) {
        (Code::Esc, _) => out.then.push(Then::Close),
        (Code::Enter, _) if !newline => model.send(id, out),
        (Code::Char('s'), true) => model.send(id, out),
        (Code::Char('j'), true) => drop(model.editor.paste("\n")),
        (Code::Char('g'), true) => {
            let to = HandOver::Editor { text: model.editor.text(), suffix: ".md" };
            out.then.push(Then::HandOver { to, purpose: Purpose::Popup(id) });
        }
        (Code::Char('r'), true) if model.before.is_empty() => {
            model.problem = Some("no prompt was sent before".to_owned());
        }
        (Code::Char('r'), true) => {
            model.chooser = Some(Chooser::new(model.before.iter().map(String::as_str)));
        }
        _ => {
            if let Taken::But(refused) = model.editor.key(key) {
                model.problem = Some(refused.why().to_owned());
            }
        }
    }
}

/// Takes pasted text.
pub fn paste(model: &mut Model, _shared: &Shared, text: &str, _out: &mut Out) {
    model.problem = model.editor.paste(text).map(|it| it.why().to_owned());
}

/// Takes a mouse event: a click places the cursor, the wheel scrolls.
pub fn mouse(model: &mut Model, shared: &Shared, mouse: &Mouse, _out: &mut Out) {
    let area = editor_area(shared);
    match mouse.kind {
        MouseKind::Down(Button::Left) => model.editor.click(area, mouse.col, mouse.row, false),
        MouseKind::Drag(Button::Left) => model.editor.click(area, mouse.col, mouse.row, true),
        MouseKind::ScrollDown => model.editor.scroll(3),
        MouseKind::ScrollUp => model.editor.scroll(-3),
        _ => (),
    }
}

/// Takes the prompts sent before.
pub fn answered(
    model: &mut Model,
    _id: PopupId,
    _shared: &Shared,
    result: &Result<Reply, ApiError>,
    _out: &mut Out,
) {
    if let Ok(Reply::File(text)) = result {
        model.before = history::read(text.as_deref());
    }
}

/// Takes what became of it in one session; closes once it arrived in all.
pub fn answered_item(
    model: &mut Model,
    _shared: &Shared,
    item: u64,
    result: &Result<Reply, ApiError>,
    out: &mut Out,
) {
    let Some(target) = usize::try_from(item).ok().and_then(|it| model.targets.get_mut(it)) else {
        return;
    };
    target.fate = match result {
        Ok(Reply::Sent(sent)) => match sent.outcome {
            Delivery::Submitted => Fate::Submitted,
            Delivery::Typed => Fate::Typed(sent.detail.clone()),
            Delivery::NotDelivered => Fate::NotDelivered(sent.detail.clone()),
        },
        Ok(_) => Fate::NotDelivered("the dispatcher's answer was none".to_owned()),
        Err(error) => Fate::NotDelivered(error.message.clone()),
    };
    if model.targets.iter().all(|it| it.fate == Fate::Submitted) {
        let to = match &model.targets[..] {
            [one] => one.name.clone(),
            all => format!("{} tasks", all.len()),
        };
        out.note(Level::Done, format!("prompt to {to}: submitted"));
        out.then.push(Then::Close);
    }
}

/// Takes the editor's text.
pub fn returned(model: &mut Model, _shared: &Shared, what: &Returned, _out: &mut Out) {
    match what {
        Returned::Edited(Ok(text)) => {
            let refused = model.editor.set(text.strip_suffix('\n').unwrap_or(text));
            model.problem = refused.map(|it| it.why().to_owned());
        }
        Returned::Edited(Err(why)) | Returned::Failed(why) => model.problem = Some(why.clone()),
        Returned::Session | Returned::Shown | Returned::Continued => (),
    }
}

fn outer(area: Rect) -> Rect {
    let (width, height) = (SIZE.0.min(area.width), SIZE.1.min(area.height));
    Rect { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height }
}

fn editor_area(shared: &Shared) -> Rect {
    let inside = layout::inside(outer(Rect::new(0, 0, shared.size.0, shared.size.1)));
    Rect { height: inside.height.saturating_sub(FATES + 1), ..inside }
}

/// Draws it over what is there.
pub fn view(model: &Model, shared: &Shared, area: Rect, canvas: &mut Canvas) {
    let theme = shared.look.theme;
    let title = match &model.targets[..] {
        [one] => format!(" Prompt to {} ", one.name),
        all => format!(" Prompt to {} tasks ", all.len()),
    };
    let inside = frame::popup(canvas, area, SIZE, &title, theme);
    if let Some(chooser) = &model.chooser {
        return chooser.view(inside, theme, canvas);
    }
    let editor = editor_area(shared);
    model.editor.view(editor, true, theme, canvas);
    let mut y = editor.bottom();
    let bottom = inside.bottom();
    for (text, role) in fates(model, usize::from(FATES)) {
        if y < bottom {
            canvas.fit(inside.x, y, inside.width, &text, theme.style(role));
            y += 1;
        }
    }
    if 0 < inside.height {
        let keys = "Enter send   Alt+Enter new line   Ctrl+G editor   Ctrl+R history   Esc close";
        let (text, role) = match &model.problem {
            Some(it) => (it.as_str(), Role::Error),
            None => (keys, Role::Key),
        };
        canvas.fit(inside.x, bottom - 1, inside.width, text, theme.style(role));
    }
}

/// Returns what is said of the targets: those that went wrong first.
fn fates(model: &Model, rows: usize) -> Vec<(String, Role)> {
    let mut lines: Vec<(u8, String, Role)> = Vec::new();
    for target in &model.targets {
        let (order, word, why, role) = match &target.fate {
            Fate::NotDelivered(why) => (0, "not delivered", why.as_str(), Role::Error),
            Fate::Typed(why) => (1, "typed, not confirmed", why.as_str(), Role::Warning),
            Fate::UnderWay => (2, "on its way", "", Role::Warning),
            Fate::NotSent => (3, "not sent yet", "", Role::Dim),
            Fate::Submitted => (4, "submitted", "", Role::Done),
        };
        let colon = if why.is_empty() { "" } else { ": " };
        lines.push((order, format!("{}: {word}{colon}{why}", target.name), role));
    }
    lines.sort_by_key(|it| it.0);
    let more = lines.len().saturating_sub(rows);
    if 0 < more {
        lines.truncate(rows.saturating_sub(1));
        lines.push((5, format!("and {} more", more + 1), Role::Dim));
    }
    lines.into_iter().map(|(_, text, role)| (text, role)).collect()
}
