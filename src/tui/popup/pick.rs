//! A list to choose from: how to sort, what to copy, another session, what to undo.

use ratatui::layout::Rect;

use crate::{
    api::{error::ApiError, view::TaskView},
    stdx::text::one_line,
    tui::{
        canvas::Canvas,
        effect::{Effect, TermKind},
        keymap::Action,
        model::{Level, Out, Shared, Then, replica::Letter},
        msg::Reply,
        popup::PopupId,
        sort::{Group, Place, Sort},
        widget::menu::{Item, Menu, Outcome, Search},
        words,
    },
    vt::input::{Key, Mouse},
};

/// What the popup holds.
#[derive(Debug)]
pub struct Model {
    menu: Menu,
    /// What each entry stands for.
    choices: Vec<Choice>,
}

/// What an entry stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Choice {
    /// A line of `:`.
    Run(String),
    /// Text for the clipboard, and what it is.
    Copy(&'static str, String),
    /// A session to attach to.
    Attach(String),
    /// Undo this one: how many have to be undone to reach it.
    Undo(usize),
}

impl Model {
    fn new(title: &str, entries: Vec<(Item, Choice)>, search: Search) -> Model {
        let (items, choices) = entries.into_iter().unzip();
        Model { menu: Menu::new(title, items, search), choices }
    }

    /// Returns the list of what can be undone, the last first.
    pub fn undo(shared: &Shared) -> Model {
        let offset = shared.facts.utc_offset_ms;
        let entries = shared.undo.iter().rev().enumerate().map(|(at, undo)| {
            let item = Item {
                key: words::time_of_day(undo.at, offset, true),
                label: undo.what.clone(),
                ..Item::default()
            };
            (item, Choice::Undo(at + 1))
        });
        let mut model = Model::new("Undo, back to and with", entries.collect(), Search::Letters);
        model.menu = model.menu.or_empty("nothing to undo");
        model
    }

    /// Returns the sorts; `now` is the one in use.
    pub fn sort(now: Sort) -> Model {
        let note = |it: Sort| match it {
            Sort::Needs => "needs you, working, idle, failed today, the rest by time",
            Sort::Age => "submitted last first",
            Sort::Name => "a to z",
            Sort::Cost => "the dearest first",
            Sort::Where => "by host",
            Sort::State => "by letter",
            Sort::Change => "changed last first",
        };
        let keys = ["!", "a", "n", "c", "w", "s", "m"];
        let entries = Sort::ALL.iter().zip(keys).map(|(it, key)| {
            let again = if *it == now { "  (again: turned round)" } else { "" };
            let item = Item {
                key: key.to_owned(),
                label: it.name().to_owned(),
                note: format!("{}{again}", note(*it)),
                heading: false,
            };
            (item, Choice::Run(format!("sort {}", it.name())))
        });
        let mut model = Model::new("Sort by", entries.collect(), Search::Letters);
        model.menu.select(Sort::ALL.iter().position(|it| *it == now).unwrap_or(0));
        model
    }

    /// Returns the groupings; `now` is the one in use.
    pub fn group(now: Group) -> Model {
        let keys = ["n", "h", "r", "s"];
        let entries = Group::ALL.iter().zip(keys).map(|(it, key)| {
            let item = Item { key: key.to_owned(), label: it.name().to_owned(), ..Item::default() };
            (item, Choice::Run(format!("group {}", it.name())))
        });
        let mut model = Model::new("Group by", entries.collect(), Search::Letters);
        model.menu.select(Group::ALL.iter().position(|it| *it == now).unwrap_or(0));
        model
    }

    /// Returns what of a task can be copied.
    pub fn copy(task: &TaskView) -> Model {
        let mut entries = Vec::new();
        let mut add = |key: &str, label: &'static str, text: Option<String>| {
            if let Some(text) = text {
                let note = one_line(&text, 80);
                let item =
                    Item { key: key.to_owned(), label: label.to_owned(), note, heading: false };
                entries.push((item, Choice::Copy(label, text)));
            }
        };
        add("i", "id", Some(task.id.clone()));
        add("b", "branch", task.branch.clone());
        add("p", "path", task.workspace.clone());
        add("u", "address", words::last_url(&task.last).map(str::to_owned));
        add("s", "attach command", Some(format!("parhelia attach {}", task.id)));
        if let Some(bytes) = task.answer_bytes {
            let item = Item {
                key: "a".to_owned(),
                label: "last answer".to_owned(),
                note: format!("{bytes} bytes"),
                heading: false,
            };
            entries.push((item, Choice::Run(format!("copy-answer {}", task.id))));
        }
        Model::new(&format!("Copy of {}", one_line(&task.name, 40)), entries, Search::Letters)
    }

    /// Returns the sessions one can attach to, those that need a person first.
    pub fn switcher(shared: &Shared) -> Model {
        let mut tasks: Vec<_> =
            shared.replica.tasks.values().filter(|it| it.session.is_some()).collect();
        let place = |it: &TaskView| Place::of(it, Sort::Needs, Group::None, shared.now);
        tasks.sort_by(|a, b| place(a).compare(&place(b), false));
        let entries = tasks.into_iter().map(|it| {
            let item = Item {
                key: Letter::of(it).char().to_string(),
                label: one_line(&it.name, 40),
                note: format!("{}  {}", words::place(it), words::what(it)),
                heading: false,
            };
            (item, Choice::Attach(it.id.clone()))
        });
        let mut model = Model::new("Attach to", entries.collect(), Search::Always);
        model.menu = model.menu.or_empty("no such session");
        model
    }
}

fn take(model: &mut Model, _shared: &Shared, outcome: Outcome, out: &mut Out) {
    let choice = match outcome {
        Outcome::Nothing => return,
        Outcome::Closed => None,
        Outcome::Chosen(at) => model.choices.get(at).cloned(),
    };
    out.then.push(Then::Close);
    match choice {
        None => (),
        Some(Choice::Run(line)) => out.then.push(Then::Run(line)),
        Some(Choice::Copy(what, text)) => {
            out.note(Level::Done, format!("copied the {what}: {}", one_line(&text, 60)));
            out.effects.push(Effect::Copy(text));
        }
        Some(Choice::Attach(task)) => {
            out.then.push(Then::Attach { task, kind: TermKind::Attach });
        }
        Some(Choice::Undo(times)) => {
            out.then.extend((0..times).map(|_| Then::Act(Action::Undo)));
        }
    }
}

/// The popup was opened: asks for nothing.
pub fn opened(_model: &mut Model, _id: PopupId, _shared: &Shared, _out: &mut Out) {}

/// Does an action of its context: it has none.
pub fn act(_model: &mut Model, _id: PopupId, _shared: &Shared, _action: Action, _out: &mut Out) {}

/// Takes an answer: it asks for nothing.
pub fn answered(
    _model: &mut Model,
    _id: PopupId,
    _shared: &Shared,
    _result: &Result<Reply, ApiError>,
    _out: &mut Out,
) {
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
