//! A question before something is done: what goes, what stays, and what can be done instead.

#[cfg(test)]
mod tests;
mod view;

use crate::{
    api::{
        checkpoints::Resume,
        error::ApiError,
        types::{Losses, Retry},
        view::TaskView,
    },
    tui::{
        effect::{Ask, Effect, Request, TermKind},
        keymap::Action,
        model::{Back, Level, Out, Purpose, Shared, Then, Undo},
        msg::Reply,
        parking,
        popup::{self, PopupId},
        widget::input::Input,
    },
    vt::input::{Code, Key, Mouse, MouseKind},
};

pub use view::view;

/// Tasks whose losses are asked for; of more, only what is known already is said.
const LOSSES_MAX: usize = 20;

/// What a failed turn is asked when it is to go on.
pub const GO_ON: &str = "Go on with what you were doing.";

/// What the popup holds.
#[derive(Debug)]
pub struct Model {
    what: What,
    tasks: Vec<Subject>,
    /// Why it is asked, if that is not plain.
    why: String,
    choices: Vec<Choice>,
    choice: usize,
    /// The name as it is typed, where it must be.
    typed: Input,
    /// The first line drawn.
    top: u16,
}

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Kill,
    Purge,
    Recover,
    Retry,
    Park,
}

/// A task it is asked about.
#[derive(Debug)]
struct Subject {
    id: String,
    name: String,
    losses: Known,
}

/// What is known of what would be lost.
#[derive(Debug)]
enum Known {
    NotAsked,
    UnderWay,
    Is(Box<Losses>),
    Not(String),
}

/// Something that can be chosen.
#[derive(Debug)]
struct Choice {
    label: String,
    does: Does,
}

/// What a choice does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Cancel,
    Stop,
    Delete,
    Again,
    Resume,
    GoOn,
    Prompt,
    Attach,
    LookAgain,
    Park,
    Unpark,
}

impl Model {
    /// Returns the question before tasks are ended.
    pub fn kill(shared: &Shared, tasks: Vec<String>) -> Model {
        // What has no session was saved when it lost it.
        let live = |it: &String| shared.replica.task(it).is_some_and(|it| it.session.is_some());
        let kill = if tasks.iter().any(live) { "Checkpoint, then kill" } else { "Kill" };
        let choices = vec![choice("Cancel", Does::Cancel), choice(kill, Does::Stop)];
        Model::new(What::Kill, shared, tasks, choices)
    }

    /// Returns the question before a task is deleted.
    pub fn purge(shared: &Shared, task: String) -> Model {
        let choices = vec![choice("Cancel", Does::Cancel), choice("Delete", Does::Delete)];
        Model::new(What::Purge, shared, vec![task], choices)
    }

    /// Returns what recovering a task would do.
    pub fn recover(shared: &Shared, task: String) -> Model {
        let mut choices = shared.replica.task(&task).map_or_else(Vec::new, |it| ways_back(it));
        choices.push(choice("Cancel", Does::Cancel));
        Model::new(What::Recover, shared, vec![task], choices)
    }

    /// Returns the question before tasks are run again from the start.
    pub fn retry(shared: &Shared, tasks: Vec<String>) -> Model {
        let choices = vec![choice("Run again", Does::Again), choice("Cancel", Does::Cancel)];
        Model::new(What::Retry, shared, tasks, choices)
    }

    /// Returns the question before tasks are interrupted and parked.
    pub fn park(shared: &Shared, tasks: Vec<String>) -> Model {
        let park = choice("Interrupt, save, and park", Does::Park);
        Model::new(What::Park, shared, tasks, vec![choice("Cancel", Does::Cancel), park])
    }

    /// Says first why it is asked.
    pub fn because(self, why: String) -> Model {
        Model { why, ..self }
    }

    fn new(what: What, shared: &Shared, tasks: Vec<String>, choices: Vec<Choice>) -> Model {
        let subject = |id: String| {
            let name = shared.replica.task(&id).map_or_else(|| id.clone(), |it| it.name.clone());
            Subject { id, name, losses: Known::NotAsked }
        };
        let tasks = tasks.into_iter().map(subject).collect();
        let (why, typed) = (String::new(), Input::default());
        Model { what, tasks, why, choices, choice: 0, typed, top: 0 }
    }
}

fn choice(label: impl Into<String>, does: Does) -> Choice {
    Choice { label: label.into(), does }
}

/// Returns how a task can be brought back, the best way first.
fn ways_back(task: &TaskView) -> Vec<Choice> {
    if task.reachable == Some(false) {
        return vec![
            choice("Reconnect: look again whether its host answers", Does::LookAgain),
            choice("Attach to what is there", Does::Attach),
        ];
    }
    if task.session.is_some() {
        return vec![
            choice(format!("Ask it to go on: \"{GO_ON}\""), Does::GoOn),
            choice("Send another prompt", Does::Prompt),
            choice("Attach to its session", Does::Attach),
        ];
    }
    let mut ways = Vec::new();
    if parking::is_parked(task) {
        ways.push(choice("Let it go on where it was parked", Does::Unpark));
        return ways;
    }
    if task.conversation.is_some() && task.run_dir.is_some() {
        ways.push(choice("Resume its conversation where it ended", Does::Resume));
    }
    ways.push(choice("Run it again from the start", Does::Again));
    ways
}

/// The popup was opened: asks what would be lost.
pub fn opened(model: &mut Model, id: PopupId, _shared: &Shared, out: &mut Out) {
    if !matches!(model.what, What::Kill | What::Purge) {
        return;
    }
    for (at, it) in model.tasks.iter_mut().enumerate().take(LOSSES_MAX) {
        it.losses = Known::UnderWay;
        let request = Request::Losses { id: it.id.clone() };
        let label = format!("what {} would lose", it.name);
        out.ask(label, Ask::Request(request), Purpose::PopupItem(id, at as u64));
    }
}

/// It has no actions of its own.
pub fn act(_model: &mut Model, _id: PopupId, _shared: &Shared, _action: Action, _out: &mut Out) {}

/// Takes a key. Enter does what is chosen, which is harmless unless it was chosen on purpose.
pub fn key(model: &mut Model, _id: PopupId, shared: &Shared, key: &Key, out: &mut Out) {
    let last = model.choices.len() - 1;
    match key.code {
        Code::Esc => out.then.push(Then::Close),
        Code::Tab | Code::Down => model.choice = (model.choice + 1) % (last + 1),
        Code::BackTab | Code::Up => model.choice = (model.choice + last) % (last + 1),
        Code::PageDown => model.top = model.top.saturating_add(5),
        Code::PageUp => model.top = model.top.saturating_sub(5),
        Code::Enter if model.what == What::Purge => purge(model, shared, out),
        Code::Enter => does(model, shared, model.choices[model.choice].does, out),
        _ if model.what == What::Purge => {
            model.typed.key(key);
        }
        Code::Right => model.choice = (model.choice + 1).min(last),
        Code::Left => model.choice = model.choice.saturating_sub(1),
        Code::Char('j') => model.top = model.top.saturating_add(1),
        Code::Char('k') => model.top = model.top.saturating_sub(1),
        Code::Char('n' | 'q') => out.then.push(Then::Close),
        Code::Char('y') => {
            let meant = match model.what {
                What::Kill => Does::Stop,
                What::Retry => Does::Again,
                What::Park => Does::Park,
                What::Recover | What::Purge => model.choices[0].does,
            };
            does(model, shared, meant, out);
        }
        Code::Char(c @ '1'..='9') if model.what == What::Recover => {
            model.choice = (c as usize - '1' as usize).min(last);
        }
        _ => (),
    }
}

/// Deleting takes the whole name, typed.
fn purge(model: &Model, shared: &Shared, out: &mut Out) {
    let name = model.tasks.first().map_or("", |it| it.name.as_str());
    match model.typed.text().trim() {
        "" => out.then.push(Then::Close),
        it if it == name.trim() => does(model, shared, Does::Delete, out),
        _ => out.note(Level::Warning, "that is not its name; nothing was deleted"),
    }
}

fn does(model: &Model, shared: &Shared, what: Does, out: &mut Out) {
    out.then.push(Then::Close);
    for it in &model.tasks {
        let (id, name) = (it.id.clone(), &it.name);
        let task = shared.replica.task(&it.id);
        match what {
            Does::Cancel => (),
            Does::Stop => stop(it, task.map(|it| &**it), shared, out),
            Does::Delete => out.request(format!("delete {name}"), Request::Delete { id }),
            Does::Again => {
                let request = Request::Retry { id, retry: Retry::default() };
                out.request(format!("run {name} again"), request);
            }
            Does::Resume => {
                let retry = Retry { resume: true, ..Retry::default() };
                out.request(format!("resume {name}"), Request::Retry { id, retry });
            }
            Does::GoOn => {
                let request = Request::Prompt { id, text: GO_ON.to_owned() };
                out.request(format!("prompt {name}"), request);
            }
            Does::Prompt => {
                out.open(popup::Kind::Prompt(popup::prompt::Model::new(shared, vec![id])));
            }
            Does::Attach => out.then.push(Then::Attach { task: id, kind: TermKind::Attach }),
            Does::Park => parking::park(shared, &id, out),
            Does::Unpark => parking::unpark(shared, &id, out),
            Does::LookAgain => {
                out.effects.push(Effect::AskStatus);
                out.request(format!("look at {name} again"), Request::Task { id });
            }
        }
    }
}

fn stop(subject: &Subject, task: Option<&TaskView>, shared: &Shared, out: &mut Out) {
    let (id, name) = (subject.id.clone(), &subject.name);
    let goes_on = |it: &TaskView| it.session.is_some() || parking::is_parked(it);
    let resume = task.is_some_and(|it| it.conversation.is_some() && goes_on(it));
    let (back, by) = match resume {
        true => {
            let how = Resume::default();
            ("resumes its conversation", Request::Resume { id: id.clone(), how })
        }
        false => {
            let retry = Retry::default();
            ("queues it again", Request::Retry { id: id.clone(), retry })
        }
    };
    let undo = Undo {
        what: format!("killed {name}; undo {back}"),
        at: shared.now,
        by: Back::Request(Box::new(by)),
    };
    out.then.push(Then::Ask {
        ask: Ask::Request(Request::Stop { id }),
        label: format!("kill {name}"),
        purpose: Purpose::Tell,
        undo: Some(undo),
    });
}

/// Takes pasted text: a name.
pub fn paste(model: &mut Model, _shared: &Shared, text: &str, _out: &mut Out) {
    if model.what == What::Purge {
        model.typed.insert(text);
    }
}

/// Takes a mouse event: the wheel scrolls.
pub fn mouse(model: &mut Model, _shared: &Shared, mouse: &Mouse, _out: &mut Out) {
    match mouse.kind {
        MouseKind::ScrollDown => model.top = model.top.saturating_add(3),
        MouseKind::ScrollUp => model.top = model.top.saturating_sub(3),
        _ => (),
    }
}

/// All it asks for has a number.
pub fn answered(
    _model: &mut Model,
    _id: PopupId,
    _shared: &Shared,
    _result: &Result<Reply, ApiError>,
    _out: &mut Out,
) {
}

/// Takes what would be lost.
pub fn answered_item(
    model: &mut Model,
    _shared: &Shared,
    item: u64,
    result: &Result<Reply, ApiError>,
    _out: &mut Out,
) {
    let at = usize::try_from(item).unwrap_or(usize::MAX);
    let Some(subject) = model.tasks.get_mut(at) else { return };
    subject.losses = match result {
        Ok(Reply::Losses(it)) => Known::Is(it.clone()),
        Ok(_) => Known::Not("the dispatcher's answer was none".to_owned()),
        Err(error) => Known::Not(error.message.clone()),
    };
}
