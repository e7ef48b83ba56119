//! One line to type: a checkpoint's name, the first prompt of a task made of it, the most that tasks
//! may cost, the file that costs are written to.

use std::path::PathBuf;

use ratatui::layout::Rect;

use crate::{
    api::{
        checkpoints::{CheckpointView, CreateCheckpoint, EditCheckpoint, Fork},
        error::ApiError,
        view::TaskView,
    },
    stdx::text::one_line,
    tui::{
        canvas::Canvas,
        effect::{Ask, File, Request},
        keymap::Action,
        model::{Level, Out, Panel, Purpose, Shared, Then},
        money::{
            self,
            set::{Target, Wish},
        },
        msg::Reply,
        popup::PopupId,
        theme::Role,
        widget::{frame, input::Input},
        words,
    },
    vt::input::{Code, Key, Mods, Mouse, Phase},
};

/// The size it would like to have.
const SIZE: (u16, u16) = (78, 6);

/// What the popup holds.
#[derive(Debug)]
pub struct Model {
    what: What,
    title: String,
    /// What is asked, a line above the text.
    asks: String,
    input: Input,
    state: State,
}

/// What the line is for.
#[derive(Clone, Debug)]
enum What {
    /// Save this task, which is called so.
    Create { task: String, name: String },
    /// Name this checkpoint.
    Label { id: String },
    /// Make a task of this checkpoint.
    Fork { id: String },
    /// Set the most that each of these tasks may cost.
    Cap { tasks: Vec<String> },
    /// Write this to a file.
    Export { text: String },
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Typing,
    UnderWay,
    Failed(String),
}

impl Model {
    fn new(what: What, title: String, asks: &str, text: &str) -> Model {
        let input = Input::new(text);
        Model { what, title, asks: asks.to_owned(), input, state: State::Typing }
    }

    /// Returns the question what to call a checkpoint that is made now.
    pub fn create(task: &str, name: &str) -> Model {
        let title = format!("Save {}", one_line(name, 40));
        let what = What::Create { task: task.to_owned(), name: name.to_owned() };
        Model::new(what, title, "What to call it; it may stay empty", "")
    }

    /// Returns the question what to call a checkpoint from now on.
    pub fn label(it: &CheckpointView) -> Model {
        let what = What::Label { id: it.id.clone() };
        let title = format!("Rename {}", one_line(&it.id, 40));
        let text = it.label.as_deref().unwrap_or_default();
        Model::new(what, title, "What to call it; empty takes the name away", text)
    }

    /// Returns the question what a task made of a checkpoint is to do first.
    pub fn fork(shared: &Shared, it: &CheckpointView) -> Model {
        let at = words::moment(it.at, shared.now, shared.facts.utc_offset_ms);
        let name = one_line(&it.task_name, 30);
        let title = format!("New task from {name} as of {at} {}", words::checkpoint(it));
        let what = What::Fork { id: it.id.clone() };
        Model::new(what, title, "Its first prompt; empty leaves it waiting for one", "")
    }

    /// Returns the question what tasks may cost at most.
    pub fn cap(shared: &Shared, tasks: Vec<String>) -> Model {
        let known: Vec<&TaskView> =
            tasks.iter().filter_map(|it| Some(&**shared.replica.task(it)?)).collect();
        let (title, asks, text) = match known.as_slice() {
            [one] => {
                let spent = words::money(money::cost(one, shared.now));
                let asks = format!("It cost ${spent} so far. An amount of dollars, or none");
                let text = one.max_cost_usd.map(words::money).unwrap_or_default();
                (format!("The most {} may cost", one_line(&one.name, 40)), asks, text)
            }
            all => {
                let title = format!("The most each of {} tasks may cost", all.len());
                (title, "An amount of dollars, or none".to_owned(), String::new())
            }
        };
        Model::new(What::Cap { tasks }, title, &asks, &text)
    }

    /// Returns the question where costs are to be written.
    pub fn export(text: String, path: &str) -> Model {
        let asks = "The file, which must not be there yet; every entry: parhelia budget export";
        Model::new(What::Export { text }, "Write these costs as CSV".to_owned(), asks, path)
    }
}

/// Returns the path that was typed: `~` is the home directory, and what does not begin at the root
/// begins where the dashboard was started.
pub fn path(shared: &Shared, text: &str) -> PathBuf {
    let facts = &shared.facts;
    match text.strip_prefix("~/") {
        Some(rest) => facts.home.join(rest),
        None => facts.cwd.join(PathBuf::from(text)),
    }
}

/// Saves a task under a name, which may be empty.
pub fn save(task: &str, name: &str, label: &str, out: &mut Out) {
    let label = Some(label.trim().to_owned()).filter(|it| !it.is_empty());
    let what = CreateCheckpoint { label, ..CreateCheckpoint::default() };
    let request = Request::Checkpoint { id: task.to_owned(), what };
    out.request(format!("checkpoint of {}", one_line(name, 40)), request);
}

/// The popup was opened: asks for nothing.
pub fn opened(_model: &mut Model, _id: PopupId, _shared: &Shared, _out: &mut Out) {}

/// Does an action of its context: it has none.
pub fn act(_model: &mut Model, _id: PopupId, _shared: &Shared, _action: Action, _out: &mut Out) {}

/// Takes a key: Enter does it.
pub fn key(model: &mut Model, id: PopupId, shared: &Shared, key: &Key, out: &mut Out) {
    if key.phase == Phase::Release {
        return;
    }
    match key.code {
        Code::Esc => out.then.push(Then::Close),
        Code::Char('c') if key.mods == Mods::CTRL => out.then.push(Then::Close),
        Code::Enter if model.state != State::UnderWay => enter(model, id, shared, out),
        _ if model.state == State::UnderWay => (),
        _ => {
            model.state = State::Typing;
            model.input.key(key);
        }
    }
}

fn enter(model: &mut Model, popup: PopupId, shared: &Shared, out: &mut Out) {
    let text = model.input.text().trim().to_owned();
    match model.what.clone() {
        What::Create { task, name } => {
            save(&task, &name, &text, out);
            out.then.push(Then::Close);
        }
        What::Label { id } => {
            let label = format!("renamed {}", one_line(&id, 40));
            let edit = EditCheckpoint { label: Some(text), pinned: None };
            out.request(label, Request::EditCheckpoint { id, edit });
            out.then.push(Then::Close);
        }
        What::Fork { id } => {
            model.state = State::UnderWay;
            let prompt = Some(text).filter(|it| !it.is_empty());
            let how = Fork { prompt, ..Fork::default() };
            let label = format!("new task from {}", one_line(&id, 40));
            let ask = Ask::Request(Request::Fork { id, how });
            out.ask(label, ask, Purpose::Popup(popup));
        }
        What::Cap { tasks } => cap(model, &text, &tasks, shared, out),
        What::Export { .. } if text.is_empty() => {
            model.state = State::Failed("a file is needed".to_owned());
        }
        What::Export { text: csv } => {
            model.state = State::UnderWay;
            let file = File::Chosen(path(shared, &text));
            let ask = Ask::WriteFile { file, text: csv };
            out.ask("wrote the costs", ask, Purpose::Popup(popup));
        }
    }
}

fn cap(model: &mut Model, text: &str, tasks: &[String], shared: &Shared, out: &mut Out) {
    for id in tasks {
        let target = Target::Task(id.clone());
        match Wish::parse(text, &target) {
            Ok(wish) => target.set(wish, shared, out),
            Err(why) => return model.state = State::Failed(why),
        }
    }
    out.then.push(Then::Close);
}

/// Takes pasted text.
pub fn paste(model: &mut Model, _shared: &Shared, text: &str, _out: &mut Out) {
    if model.state != State::UnderWay {
        model.input.insert(text);
    }
}

/// Takes a mouse event, anywhere: none means anything here.
pub fn mouse(_model: &mut Model, _shared: &Shared, _mouse: &Mouse, _out: &mut Out) {}

/// Takes the new task, and goes to it; or learns that the file was written.
pub fn answered(
    model: &mut Model,
    _id: PopupId,
    _shared: &Shared,
    result: &Result<Reply, ApiError>,
    out: &mut Out,
) {
    match result {
        Ok(Reply::Created(it)) => {
            out.note(Level::Done, format!("new task {}", one_line(&it.task.name, 60)));
            out.then.push(Then::Close);
            out.then.push(Then::Select(it.task.id.clone()));
            out.then.push(Then::Focus(Panel::Tasks));
        }
        Ok(Reply::Written(path)) => {
            out.note(Level::Done, format!("wrote {}", one_line(path, 200)));
            out.then.push(Then::Close);
        }
        Ok(_) => model.state = State::Failed("the dispatcher's answer was none".to_owned()),
        Err(error) => {
            let hint = error.hints.first().map(|it| format!(" ({it})")).unwrap_or_default();
            model.state = State::Failed(format!("{}{hint}", error.message));
        }
    }
}

/// Draws it over what is there; `area` is the whole screen.
pub fn view(model: &Model, shared: &Shared, area: Rect, canvas: &mut Canvas) {
    let theme = shared.look.theme;
    let title = format!(" {} ", model.title);
    let inside = frame::popup(canvas, area, SIZE, &title, theme);
    let row = |at: u16| Rect { y: inside.y + at, height: 1, ..inside };
    if 0 < inside.height {
        let style = theme.style(Role::Dim);
        canvas.fit(inside.x, inside.y, inside.width, &model.asks, style);
    }
    if 1 < inside.height {
        model.input.view(row(1), model.state != State::UnderWay, theme, canvas);
    }
    let (text, role) = match &model.state {
        State::Typing => ("Enter does it   Esc leaves it".to_owned(), Role::Key),
        State::UnderWay => ("it is being made".to_owned(), Role::Dim),
        State::Failed(why) => (one_line(why, 300), Role::Error),
    };
    if 3 < inside.height {
        canvas.fit(inside.x, row(3).y, inside.width, &text, theme.style(role));
    }
}
