//! How a task can be brought back, as the dispatcher found out.
//!
//! If it does not answer in time, what the dashboard knows itself is offered:
//! [`crate::tui::popup::confirm`].

#[cfg(test)]
mod tests;

use std::time::Duration;

use ratatui::layout::Rect;

use crate::{
    api::{
        checkpoints::{Recovery, Resume, WayDoes},
        error::ApiError,
        types::Retry,
    },
    domain::activity::Activity,
    stdx::{
        text::one_line,
        time::{Timestamp, short},
    },
    tui::{
        canvas::Canvas,
        effect::{Ask, Effect, Request, TermKind},
        keymap::Action,
        model::{Level, Out, Purpose, Shared, Then, replica::Connection},
        msg::Reply,
        popup::{Kind, PopupId, confirm, prompt},
        theme::Role,
        widget::frame,
        words,
    },
    vt::input::{Code, Key, Mouse, Phase},
};

/// The size it would like to have.
const SIZE: (u16, u16) = (86, 22);

/// How long the dispatcher may take; it bounds itself at less.
const PATIENCE: Duration = Duration::from_secs(15);

/// What the popup holds.
#[derive(Debug)]
pub struct Model {
    task: String,
    name: String,
    /// When it is no longer waited for.
    until: Timestamp,
    found: Option<Box<Recovery>>,
    choices: Vec<Choice>,
    choice: usize,
}

/// A way, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Choice {
    label: String,
    does: Does,
}

/// What a way does.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Does {
    /// With the checkpoint that is gone back to, if one is.
    Way(WayDoes, Option<String>),
    GoOn,
    Prompt,
    Cancel,
}

/// Opens it for a task; without a dispatcher what is known here has to do.
pub fn open(shared: &Shared, task: &str, out: &mut Out) {
    if shared.replica.connection != Connection::Up {
        return out.open(Kind::Confirm(confirm::Model::recover(shared, task.to_owned())));
    }
    out.open(Kind::Recover(Model::new(shared, task)));
}

impl Model {
    fn new(shared: &Shared, task: &str) -> Model {
        let name = shared.replica.task(task).map_or(task, |it| it.name.as_str());
        Model {
            task: task.to_owned(),
            name: one_line(name, 40),
            until: shared.now.plus(PATIENCE),
            found: None,
            choices: Vec::new(),
            choice: 0,
        }
    }

    /// Takes the ways, and what only a person at a session can want besides.
    fn take(&mut self, found: &Recovery, shared: &Shared) {
        let way = |it: &crate::api::checkpoints::Way| Choice {
            label: sentence(&one_line(&it.text, 200)),
            does: Does::Way(it.does, it.checkpoint.clone()),
        };
        self.choices = found.ways.iter().map(way).collect();
        let task = shared.replica.task(&self.task);
        let session = task.filter(|it| it.session.is_some() && it.reachable != Some(false));
        if let Some(task) = session {
            let label = format!("Ask it to go on: \"{}\"", confirm::GO_ON);
            let go_on = Choice { label, does: Does::GoOn };
            // A turn that failed wants nothing else.
            let failed = task.activity == Some(Activity::FailedTurn);
            let at = if failed { 0 } else { self.choices.len() };
            self.choices.insert(at, go_on);
            let label = "Send another prompt".to_owned();
            self.choices.push(Choice { label, does: Does::Prompt });
        }
        self.choices.push(Choice { label: "Cancel".to_owned(), does: Does::Cancel });
        self.choice = 0;
        self.found = Some(Box::new(found.clone()));
    }
}

/// Returns a text that begins as a sentence does, as the ways known here do.
fn sentence(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |it| it.to_uppercase().chain(rest).collect())
}

/// Falls back on what is known here.
fn degrade(model: &Model, shared: &Shared, why: &str, out: &mut Out) {
    out.note(Level::Warning, format!("what can be brought back is not known: {why}"));
    out.then.push(Then::Close);
    out.open(Kind::Confirm(confirm::Model::recover(shared, model.task.clone())));
}

/// The popup was opened: asks what can be done.
pub fn opened(model: &mut Model, id: PopupId, _shared: &Shared, out: &mut Out) {
    let request = Request::Recovery { id: model.task.clone() };
    let label = format!("how {} can be brought back", model.name);
    out.ask(label, Ask::Request(request), Purpose::Popup(id));
    out.then.push(Then::WakeAt(model.until));
}

/// Does an action of its context: it has none.
pub fn act(_model: &mut Model, _id: PopupId, _shared: &Shared, _action: Action, _out: &mut Out) {}

/// Takes a key. Enter takes the way that is chosen: the recommended one, if no other was.
pub fn key(model: &mut Model, _id: PopupId, shared: &Shared, key: &Key, out: &mut Out) {
    if key.phase == Phase::Release {
        return;
    }
    let count = model.choices.len();
    match key.code {
        Code::Esc | Code::Char('n' | 'q') => out.then.push(Then::Close),
        _ if count == 0 => (),
        Code::Tab | Code::Down | Code::Char('j') => model.choice = (model.choice + 1) % count,
        Code::BackTab | Code::Up | Code::Char('k') => {
            model.choice = (model.choice + count - 1) % count;
        }
        Code::Char(c @ '1'..='9') => {
            model.choice = (c as usize - '1' as usize).min(count - 1);
        }
        Code::Enter | Code::Char('y') => {
            let does = model.choices[model.choice].does.clone();
            out.then.push(Then::Close);
            take_way(model, shared, does, out);
        }
        _ => (),
    }
}

fn take_way(model: &Model, shared: &Shared, does: Does, out: &mut Out) {
    let (id, name) = (model.task.clone(), &model.name);
    match does {
        Does::Way(WayDoes::Attach, _) => {
            out.then.push(Then::Attach { task: id, kind: TermKind::Attach });
        }
        Does::Way(WayDoes::Wait, _) => {
            out.effects.push(Effect::AskStatus);
            out.request(format!("look at {name} again"), Request::Task { id });
        }
        // Without a checkpoint only what is missing is put back; with one all of it, once what
        // is there was saved.
        Does::Way(WayDoes::Resume | WayDoes::RestoreResume, checkpoint) => {
            let how = Resume { checkpoint, ..Resume::default() };
            out.request(format!("resume {name}"), Request::Resume { id, how });
        }
        Does::Way(WayDoes::Fresh, _) => {
            let request = Request::Retry { id, retry: Retry::default() };
            out.request(format!("run {name} again"), request);
        }
        Does::GoOn => {
            let request = Request::Prompt { id, text: confirm::GO_ON.to_owned() };
            out.request(format!("prompt {name}"), request);
        }
        Does::Prompt => out.open(Kind::Prompt(prompt::Model::new(shared, vec![id]))),
        Does::Cancel => (),
    }
}

/// Takes pasted text: it goes nowhere.
pub fn paste(_model: &mut Model, _shared: &Shared, _text: &str, _out: &mut Out) {}

/// Takes a mouse event, anywhere: none means anything here.
pub fn mouse(_model: &mut Model, _shared: &Shared, _mouse: &Mouse, _out: &mut Out) {}

/// Takes what can be done.
pub fn answered(
    model: &mut Model,
    _id: PopupId,
    shared: &Shared,
    result: &Result<Reply, ApiError>,
    out: &mut Out,
) {
    match result {
        Ok(Reply::Recovery(found)) => model.take(found, shared),
        Ok(_) => degrade(model, shared, "the dispatcher's answer was none", out),
        Err(error) => degrade(model, shared, &one_line(&error.message, 200), out),
    }
}

/// Something changed, or the time is up.
pub fn changed(model: &mut Model, shared: &Shared, out: &mut Out) {
    if model.found.is_some() {
        return;
    }
    if model.until <= shared.now {
        degrade(model, shared, "the dispatcher does not answer", out);
    } else {
        out.then.push(Then::WakeAt(model.until));
    }
}

/// Draws it over what is there; `area` is the whole screen.
pub fn view(model: &Model, shared: &Shared, area: Rect, canvas: &mut Canvas) {
    let theme = shared.look.theme;
    let mut lines = body(model, shared);
    let foot = model.choices.len() + 2;
    let wanted = u16::try_from(lines.len() + foot + 2).unwrap_or(u16::MAX);
    let size = (SIZE.0, wanted.clamp(8, SIZE.1.max(area.height / 2)));
    let title = format!(" Recover {} ", model.name);
    let inside = frame::popup(canvas, area, size, &title, theme);
    // The ways matter most: on a small screen the pieces are cut.
    lines.truncate(usize::from(inside.height).saturating_sub(foot));
    lines.push((Role::Text, String::new()));
    for (at, it) in model.choices.iter().enumerate() {
        let chosen = at == model.choice;
        let mark = if chosen { "> " } else { "  " };
        let best = if at == 0 { "  (recommended)" } else { "" };
        let role = if chosen { Role::Selected } else { Role::Text };
        lines.push((role, format!("{mark}[{}]{best}", it.label)));
    }
    let keys = match model.found {
        Some(_) => "Enter does what is chosen   Tab choose   Esc cancel",
        None => "Esc cancel",
    };
    lines.push((Role::Key, keys.to_owned()));
    for ((role, text), y) in lines.iter().zip(inside.y..inside.bottom()) {
        canvas.fit(inside.x, y, inside.width, text, theme.style(*role));
    }
}

fn body(model: &Model, shared: &Shared) -> Vec<(Role, String)> {
    let Some(found) = &model.found else {
        return vec![(Role::Dim, "looking at what is there".to_owned())];
    };
    let mut lines = vec![(Role::Text, one_line(&found.reason, 300))];
    match &found.last {
        Some(it) => {
            let at = words::moment(it.at, shared.now, shared.facts.utc_offset_ms);
            let age = short(shared.now.since(it.at));
            let text = format!("last checkpoint {at} {}, {age} ago", words::checkpoint(it));
            lines.push((Role::Text, text));
        }
        None => lines.push((Role::Warning, "there is no whole checkpoint of it".to_owned())),
    }
    for it in &found.pieces {
        let role = if it.ok { Role::Dim } else { Role::Warning };
        let sign = if it.ok { ' ' } else { '!' };
        let text = format!("{sign} {:<13} {}", one_line(&it.name, 13), one_line(&it.state, 300));
        lines.push((role, text));
    }
    lines
}
