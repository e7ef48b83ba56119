//! All that the dashboard knows. Plain data: `update` changes it, `view` reads it.

pub mod look;
pub mod replica;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::{
    stdx::time::Timestamp,
    tui::{
        effect::{Ask, Effect, HandOver, Request},
        keymap::Action,
        layout::{Prefs, Shape},
        model::{
            look::{Facts, Look},
            replica::Replica,
        },
        money::set::Target,
        msg::RequestId,
        pane::{budget, checkpoints, inbox, log, tasks, term},
        popup::{self, Popup, PopupId},
        update::keep::Kept,
    },
};

/// The panels, by their digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Panel {
    Tasks,
    /// The terminal of the selected task, also while attached.
    Preview,
    Log,
    Checkpoints,
    Budget,
    Inbox,
}

impl Panel {
    /// Every panel, in the order of the digits.
    pub const ALL: [Panel; 6] =
        [Panel::Tasks, Panel::Preview, Panel::Log, Panel::Checkpoints, Panel::Budget, Panel::Inbox];

    /// Returns the digit that goes there.
    pub fn digit(self) -> char {
        match self {
            Panel::Tasks => '1',
            Panel::Preview => '2',
            Panel::Log => '3',
            Panel::Checkpoints => '4',
            Panel::Budget => '5',
            Panel::Inbox => '6',
        }
    }

    /// Returns its title.
    pub fn title(self) -> &'static str {
        match self {
            Panel::Tasks => "Tasks",
            Panel::Preview => "Preview",
            Panel::Log => "Log",
            Panel::Checkpoints => "Checkpoints",
            Panel::Budget => "Budget",
            Panel::Inbox => "Inbox",
        }
    }
}

/// What has the keys of an attached pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attached {
    Session,
    Shell,
}

/// The dashboard.
#[derive(Debug)]
pub struct Model {
    /// What every panel may read.
    pub shared: Shared,
    /// Where the keys go, and which panels are shown.
    pub place: Place,
    pub tasks: tasks::Model,
    pub term: term::Model,
    pub log: log::Model,
    pub checkpoints: checkpoints::Model,
    pub budget: budget::Model,
    pub inbox: inbox::Model,
    /// What lies over the panels, the topmost last.
    pub popups: Vec<Popup>,
    /// Requests under way and their past.
    pub calls: Calls,
    /// What is kept for the next run, as it was written last.
    pub kept: Kept,
    /// Who asked for the program that has the terminal now.
    pub handed_over: Option<Purpose>,
}

/// What every panel may read.
#[derive(Debug)]
pub struct Shared {
    /// The time of the message that is worked on.
    pub now: Timestamp,
    /// Columns and rows of the outer terminal.
    pub size: (u16, u16),
    pub facts: Facts,
    pub look: Look,
    pub replica: Replica,
    /// The task that the other panels show.
    pub selected: Option<String>,
    /// Marked tasks.
    pub marks: BTreeSet<String>,
    /// Whether the outer terminal has the focus; nothing if it never said.
    pub focused: Option<bool>,
    /// What was done, newest last.
    pub notes: VecDeque<Note>,
    /// What can be undone, newest last.
    pub undo: Vec<Undo>,
    /// What was chosen from the palette, newest first.
    pub chosen: Vec<Action>,
    /// The task to attach to as soon as it has a session.
    pub attach_when_ready: Option<String>,
}

/// Where the keys go, and which panels are shown.
#[derive(Clone, Debug)]
pub struct Place {
    pub focus: Panel,
    /// The panel that had the keys before.
    pub before: Panel,
    /// The panel in the lower half of a narrow screen.
    pub lower: Panel,
    /// The panel at the lower right of a wide screen.
    pub corner: Panel,
    pub full: bool,
    pub prefs: Prefs,
    /// When Ctrl+C was pressed last.
    pub quit_asked: Option<Timestamp>,
}

impl Default for Place {
    fn default() -> Place {
        Place {
            focus: Panel::Tasks,
            before: Panel::Tasks,
            lower: Panel::Preview,
            corner: Panel::Inbox,
            full: false,
            prefs: Prefs::default(),
            quit_asked: None,
        }
    }
}

/// Something told on the message line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub at: Timestamp,
    pub level: Level,
    pub text: String,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Done,
    Info,
    Warning,
    Error,
}

/// Something that can be undone.
#[derive(Clone, Debug)]
pub struct Undo {
    /// What was done: `killed "old-spike"`.
    pub what: String,
    pub at: Timestamp,
    /// What undoes it.
    pub by: Back,
}

/// What undoes something.
#[derive(Clone, Debug)]
pub enum Back {
    /// A request.
    Request(Box<Request>),
    /// Marks as they were.
    Marks(BTreeSet<String>),
    /// The filter as it was.
    Filter(String),
}

/// Requests under way and their past.
#[derive(Debug, Default)]
pub struct Calls {
    pub next: u64,
    pub pending: BTreeMap<RequestId, Call>,
    /// Newest last; at most 200.
    pub past: VecDeque<PastCall>,
    /// Tasks that go back to a checkpoint as they are resumed, until that has happened: then it can
    /// be undone.
    pub going_back: BTreeMap<RequestId, String>,
}

/// A request under way.
#[derive(Clone, Debug)]
pub struct Call {
    /// What a person would call it: `kill old-spike`.
    pub label: String,
    pub since: Timestamp,
    pub purpose: Purpose,
    /// What undoes it, once it is done.
    pub undo: Option<Undo>,
}

/// A request that was answered.
#[derive(Clone, Debug)]
pub struct PastCall {
    pub label: String,
    pub at: Timestamp,
    pub took_ms: u64,
    /// What went wrong, if anything.
    pub error: Option<String>,
}

/// Whom an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The person: the outcome stands on the message line.
    Tell,
    /// Nobody, unless it fails.
    Quiet,
    Panel(Panel),
    /// A popup, if it is still open.
    Popup(PopupId),
    /// A popup that asks for several things, and the number it gave this one.
    PopupItem(PopupId, u64),
    /// The inbox, and the number it gave this one.
    InboxItem(u64),
    /// The checkpoints, and the number they gave this one.
    CheckpointsItem(u64),
    /// The budget, and the number it gave this one.
    BudgetItem(u64),
}

/// What a panel or a popup wants, after it has taken something in. Panels never reach into each
/// other: they ask here, and [`crate::tui::update`] does it.
#[derive(Debug, Default)]
pub struct Out {
    pub effects: Vec<Effect>,
    pub then: Vec<Then>,
}

/// Something that is not the panel's own to do.
#[derive(Debug)]
pub enum Then {
    /// As if its key had been pressed.
    Act(Action),
    /// As [`Then::Act`], and the palette shows it first from now on.
    Chosen(Action),
    /// Select a task, wherever it is.
    Select(String),
    /// Give a panel the keys.
    Focus(Panel),
    Note(Level, String),
    Undoable(Undo),
    SetMarks(BTreeSet<String>),
    /// Filter the tasks.
    Filter(String),
    Open(popup::Kind),
    /// Close the popup that asks.
    Close,
    Ask {
        ask: Ask,
        label: String,
        purpose: Purpose,
        undo: Option<Undo>,
    },
    HandOver {
        to: HandOver,
        purpose: Purpose,
    },
    /// Attach to a task's session, or open a shell in its workspace.
    Attach {
        task: String,
        kind: crate::tui::effect::TermKind,
    },
    /// Attach to a task as soon as it has a session.
    AttachWhenReady(String),
    /// Run a line of `:`.
    Run(String),
    /// Go to the budget and type there what this ceiling shall be.
    EditCeiling(Target),
    /// Forget the request that is so many places down the list of those under way.
    GiveUp(usize),
    /// Draw once more then.
    WakeAt(Timestamp),
}

impl Out {
    /// Tells the person something.
    pub fn note(&mut self, level: Level, text: impl Into<String>) {
        self.then.push(Then::Note(level, text.into()));
    }

    /// Asks for something whose outcome is for `purpose`.
    pub fn ask(&mut self, label: impl Into<String>, ask: Ask, purpose: Purpose) {
        self.then.push(Then::Ask { ask, label: label.into(), purpose, undo: None });
    }

    /// Asks the dispatcher to do something, whose outcome stands on the message line.
    pub fn request(&mut self, label: impl Into<String>, request: Request) {
        self.ask(label, Ask::Request(request), Purpose::Tell);
    }

    /// Opens a popup.
    pub fn open(&mut self, kind: popup::Kind) {
        self.then.push(Then::Open(kind));
    }
}

impl Shared {
    /// Returns the tasks an action is meant for: all marked ones, else the selected one.
    pub fn targets(&self) -> Vec<String> {
        if self.marks.is_empty() {
            self.selected.iter().cloned().collect()
        } else {
            self.marks.iter().cloned().collect()
        }
    }

    /// Returns the selected task.
    pub fn task(&self) -> Option<&std::sync::Arc<crate::api::view::TaskView>> {
        self.replica.task(self.selected.as_deref()?)
    }
}

impl Model {
    /// Returns a dashboard that knows nothing yet.
    pub fn new(facts: Facts, look: Look, now: Timestamp) -> Model {
        Model {
            shared: Shared {
                now,
                size: (80, 24),
                facts,
                look,
                replica: Replica::default(),
                selected: None,
                marks: BTreeSet::new(),
                focused: None,
                notes: VecDeque::new(),
                undo: Vec::new(),
                chosen: Vec::new(),
                attach_when_ready: None,
            },
            place: Place::default(),
            tasks: tasks::Model::default(),
            term: term::Model::default(),
            log: log::Model::default(),
            checkpoints: checkpoints::Model::default(),
            budget: budget::Model::default(),
            inbox: inbox::Model::default(),
            popups: Vec::new(),
            calls: Calls::default(),
            kept: Kept::default(),
            handed_over: None,
        }
    }

    /// Returns what decides the layout.
    pub fn shape(&self) -> Shape {
        Shape {
            focus: self.place.focus,
            lower: self.place.lower,
            corner: self.place.corner,
            full: self.place.full,
            attached: self.term.attached(),
        }
    }
}
