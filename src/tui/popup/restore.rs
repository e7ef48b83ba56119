//! What restoring a checkpoint would change, before it does.

use ratatui::layout::Rect;

use crate::{
    api::{
        checkpoints::{CheckpointView, Restore, Restored},
        error::ApiError,
    },
    stdx::text::one_line,
    tui::{
        canvas::Canvas,
        effect::{Ask, Request},
        keymap::Action,
        layout,
        model::{Level, Out, Purpose, Shared, Then},
        msg::Reply,
        popup::PopupId,
        theme::Role,
        widget::frame,
        words,
    },
    vt::input::{Code, Key, Mouse, MouseKind, Phase},
};

/// The size it would like to have; a long list gets more rows where there are more.
const SIZE: (u16, u16) = (90, 22);

/// Rows below the list: what becomes of what is there, and the keys.
const FOOT: u16 = 4;

/// What the popup holds.
#[derive(Debug)]
pub struct Model {
    id: String,
    /// What a person calls it.
    name: String,
    task_name: String,
    /// Whether the conversation goes back as well; nothing if it cannot.
    conversation: Option<bool>,
    state: State,
    top: usize,
}

/// How far it is.
#[derive(Clone, Debug)]
enum State {
    Asking,
    Listed(Box<Restored>),
    /// It is being restored; what it changes is still shown.
    UnderWay(Box<Restored>),
    Failed(ApiError),
}

type Line = (Role, String);

impl Model {
    /// Returns the question about a checkpoint.
    pub fn new(shared: &Shared, it: &CheckpointView) -> Model {
        let at = words::moment(it.at, shared.now, shared.facts.utc_offset_ms);
        let session = shared.replica.task(&it.task).is_some_and(|it| it.session.is_some());
        let conversation = (it.conversation.is_some() && !session).then_some(false);
        Model {
            id: it.id.clone(),
            name: format!("{at} {}", words::checkpoint(it)),
            task_name: one_line(&it.task_name, 40),
            conversation,
            state: State::Asking,
            top: 0,
        }
    }

    fn ask(&self, popup: PopupId, dry_run: bool, out: &mut Out) {
        let conversation = self.conversation == Some(true);
        let how = Restore { target: None, dry_run, conversation };
        let id = self.id.clone();
        let short = one_line(&id, 40);
        let label =
            if dry_run { format!("what {short} changes") } else { format!("restore {short}") };
        out.ask(label, Ask::Request(Request::Restore { id, how }), Purpose::Popup(popup));
    }

    fn may(&self) -> bool {
        let State::Listed(it) = &self.state else { return false };
        it.in_the_way.is_empty() && (it.count != 0 || self.conversation == Some(true))
    }

    fn lines(&self) -> Vec<Line> {
        match &self.state {
            State::Asking => vec![(Role::Dim, "looking at what it would change".to_owned())],
            State::Listed(it) | State::UnderWay(it) => listed(it),
            State::Failed(error) => {
                let mut lines = vec![(Role::Error, one_line(&error.message, 400))];
                lines.extend(error.hints.iter().map(|it| (Role::Text, one_line(it, 400))));
                lines
            }
        }
    }
}

fn listed(it: &Restored) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut all = |role: Role, word: &str, list: &[String]| {
        lines.extend(list.iter().map(|it| (role, format!("{word}{}", one_line(it, 400)))));
    };
    all(Role::Warning, "! ", &it.missing);
    all(Role::Error, "in the way  ", &it.in_the_way);
    for file in &it.files {
        let (sign, role) = match file.what.as_str() {
            "add" => ("+ ", Role::Added),
            "delete" => ("- ", Role::Removed),
            _ => ("~ ", Role::Text),
        };
        lines.push((role, format!("{sign}{}", one_line(&file.path, 400))));
    }
    let rest = it.count.saturating_sub(u64::try_from(it.files.len()).unwrap_or(u64::MAX));
    if 0 < rest {
        lines.push((Role::Dim, format!("and {rest} more")));
    }
    if it.count == 0 && it.in_the_way.is_empty() {
        lines.push((Role::Dim, "no file changes: the workspace is as it was then".to_owned()));
    }
    lines
}

/// The popup was opened: asks what would change.
pub fn opened(model: &mut Model, id: PopupId, _shared: &Shared, out: &mut Out) {
    model.ask(id, true, out);
}

/// Does an action of its context: it has none.
pub fn act(_model: &mut Model, _id: PopupId, _shared: &Shared, _action: Action, _out: &mut Out) {}

/// Takes a key: only `y` restores.
pub fn key(model: &mut Model, id: PopupId, shared: &Shared, key: &Key, out: &mut Out) {
    if key.phase == Phase::Release {
        return;
    }
    let page = usize::from(rows(model, shared).max(1));
    let last = model.lines().len().saturating_sub(page);
    match key.code {
        Code::Esc | Code::Char('n' | 'q') => out.then.push(Then::Close),
        Code::Char('y') if model.may() => {
            model.ask(id, false, out);
            if let State::Listed(it) = std::mem::replace(&mut model.state, State::Asking) {
                model.state = State::UnderWay(it);
            }
        }
        Code::Char('t') if matches!(model.state, State::Listed(_)) => {
            model.conversation = model.conversation.map(|it| !it);
        }
        Code::Char('r') if matches!(model.state, State::Failed(_)) => {
            model.state = State::Asking;
            model.ask(id, true, out);
        }
        Code::Char('j') | Code::Down => model.top = (model.top + 1).min(last),
        Code::Char('k') | Code::Up => model.top = model.top.min(last).saturating_sub(1),
        Code::PageDown | Code::Char(' ') => model.top = (model.top + page).min(last),
        Code::PageUp => model.top = model.top.min(last).saturating_sub(page),
        Code::Char('g') | Code::Home => model.top = 0,
        Code::Char('G') | Code::End => model.top = last,
        _ => (),
    }
}

/// Takes pasted text: it goes nowhere.
pub fn paste(_model: &mut Model, _shared: &Shared, _text: &str, _out: &mut Out) {}

/// Takes a mouse event: the wheel scrolls.
pub fn mouse(model: &mut Model, shared: &Shared, mouse: &Mouse, _out: &mut Out) {
    let last = model.lines().len().saturating_sub(usize::from(rows(model, shared).max(1)));
    match mouse.kind {
        MouseKind::ScrollDown => model.top = (model.top + 3).min(last),
        MouseKind::ScrollUp => model.top = model.top.min(last).saturating_sub(3),
        _ => (),
    }
}

/// Takes what would change, or what changed.
pub fn answered(
    model: &mut Model,
    _id: PopupId,
    _shared: &Shared,
    result: &Result<Reply, ApiError>,
    out: &mut Out,
) {
    match result {
        Ok(Reply::Restored(it)) if it.dry_run || !it.in_the_way.is_empty() => {
            model.state = State::Listed(it.clone());
        }
        Ok(Reply::Restored(it)) => {
            out.note(Level::Done, done(it));
            out.then.push(Then::Close);
        }
        Ok(_) => (),
        Err(error) => model.state = State::Failed(error.clone()),
    }
}

/// Says what was restored.
pub fn done(it: &Restored) -> String {
    let files = if it.count == 1 { "file" } else { "files" };
    let mut text = format!("restored {}: {} {files}", one_line(&it.checkpoint, 40), it.count);
    if let Some(safety) = &it.safety {
        text.push_str(&format!("; what was there is {}", one_line(&safety.id, 40)));
    }
    if let Some(missing) = it.missing.first() {
        text.push_str(&format!("; {}", one_line(missing, 200)));
    }
    text
}

fn size(model: &Model, area: Rect) -> (u16, u16) {
    let lines = u16::try_from(model.lines().len()).unwrap_or(u16::MAX);
    let wanted = lines.saturating_add(FOOT + 3);
    (SIZE.0, wanted.clamp(9, SIZE.1.max(area.height / 2)))
}

/// Returns how many rows the list has.
fn rows(model: &Model, shared: &Shared) -> u16 {
    let area = Rect::new(0, 0, shared.size.0, shared.size.1);
    let height = size(model, area).1.min(area.height);
    layout::inside(Rect { height, ..area }).height.saturating_sub(FOOT + 1)
}

/// Draws it over what is there; `area` is the whole screen.
pub fn view(model: &Model, shared: &Shared, area: Rect, canvas: &mut Canvas) {
    let theme = shared.look.theme;
    let title = format!(" Restore {} as of {}? ", model.task_name, model.name);
    let inside = frame::popup(canvas, area, size(model, area), &title, theme);
    let lines = model.lines();
    let mut y = inside.y;
    let mut row = |text: &str, role: Role, canvas: &mut Canvas| {
        if y < inside.bottom() {
            canvas.fit(inside.x, y, inside.width, text, theme.style(role));
        }
        y = y.saturating_add(1);
    };
    row(&head(model), Role::Text, canvas);
    let room = usize::from(inside.height.saturating_sub(FOOT + 1));
    let top = model.top.min(lines.len().saturating_sub(room));
    for (role, text) in lines.iter().skip(top).take(room) {
        row(text, *role, canvas);
    }
    let more = lines.len().saturating_sub(top + room);
    let more = if 0 < more { format!("{more} more below") } else { String::new() };
    row(&more, Role::Dim, canvas);
    for (role, text) in foot(model) {
        row(&text, role, canvas);
    }
}

fn head(model: &Model) -> String {
    let (State::Listed(it) | State::UnderWay(it)) = &model.state else { return String::new() };
    let files = if it.count == 1 { "file changes" } else { "files change" };
    format!("{} {files} in {}", it.count, one_line(&it.workspace, 200))
}

fn foot(model: &Model) -> Vec<Line> {
    let talk = match model.conversation {
        Some(true) => "conversation: goes back as well   (t leaves it as it is)",
        Some(false) => "conversation: stays as it is   (t puts it back as well)",
        None => "The conversation stays as it is. Files that were left out are not touched.",
    };
    match &model.state {
        State::Asking => vec![(Role::Key, "Esc leaves it".to_owned())],
        State::UnderWay(_) => vec![(Role::Dim, "it is being restored".to_owned())],
        State::Failed(_) => vec![(Role::Key, "r looks again   Esc leaves it".to_owned())],
        State::Listed(it) if !it.in_the_way.is_empty() => vec![
            (Role::Warning, "What is in the way is not saved anywhere: move it first.".to_owned()),
            (Role::Key, "Esc leaves everything as it is".to_owned()),
        ],
        State::Listed(_) if !model.may() => {
            vec![(Role::Dim, talk.to_owned()), (Role::Key, "Esc closes".to_owned())]
        }
        State::Listed(_) => vec![
            (Role::Dim, talk.to_owned()),
            (Role::Good, "What is there now is saved first; z brings it back.".to_owned()),
            (Role::Key, "y restores   j k scroll   Esc leaves everything as it is".to_owned()),
        ],
    }
}
