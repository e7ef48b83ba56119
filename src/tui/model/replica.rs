//! What the dispatcher said, as far as it is held here.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use crate::{
    api::{
        budget::BudgetView,
        types::{Snapshot, Status},
        view::TaskView,
    },
    stdx::time::Timestamp,
};

/// Changes that are remembered one by one; who is further behind looks at everything again.
const CHANGES_MAX: usize = 1024;

/// How the dispatcher is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Connection {
    /// The first attempt is under way.
    #[default]
    Connecting,
    Up,
    /// It does not answer; what is shown is how things were.
    Lost {
        since: Timestamp,
        why: String,
        hint: Option<String>,
        again: Timestamp,
    },
    /// It was told to end.
    Stopped {
        since: Timestamp,
    },
}

/// Every task that is known, and how the dispatcher is.
#[derive(Clone, Debug, Default)]
pub struct Replica {
    /// By id.
    pub tasks: HashMap<String, Arc<TaskView>>,
    pub connection: Connection,
    /// The newest event taken in.
    pub seq: u64,
    /// How all was when it was asked last.
    pub status: Option<Box<Status>>,
    /// How the money stands, by the dispatcher's last word.
    pub budget: Option<Box<BudgetView>>,
    /// How often that word came. Who has seen this number has seen it.
    pub budget_version: u64,
    /// Whether the past was listed to its end.
    pub listed: bool,
    /// Counts by letter, kept as tasks change.
    pub counts: BTreeMap<Letter, usize>,
    /// How often a task was put or removed. Who has seen this number has seen everything.
    pub version: u64,
    /// The tasks that changed last, the newest at the end.
    pub changes: VecDeque<String>,
}

/// The state of a task in one letter, which comes before any colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Letter {
    /// `!`
    NeedsYou,
    /// `>`
    Working,
    /// `=`
    Parked,
    /// `.`
    Idle,
    /// `,`: waits in the queue, or is being started.
    Waiting,
    /// `+`
    Done,
    /// `x`
    Failed,
    /// `-`: ended by a person.
    Killed,
    /// `~`
    Unreachable,
    /// `?`
    Unknown,
}

impl Letter {
    /// Returns the letter.
    pub fn char(self) -> char {
        match self {
            Letter::NeedsYou => '!',
            Letter::Working => '>',
            Letter::Parked => '=',
            Letter::Idle => '.',
            Letter::Waiting => ',',
            Letter::Done => '+',
            Letter::Failed => 'x',
            Letter::Killed => '-',
            Letter::Unreachable => '~',
            Letter::Unknown => '?',
        }
    }

    /// Returns the letter of a task.
    pub fn of(task: &TaskView) -> Letter {
        use crate::domain::activity::Activity;
        if task.reachable == Some(false) {
            return Letter::Unreachable;
        }
        match (task.state.as_str(), task.activity) {
            ("RUNNING", Some(Activity::NeedsPermission | Activity::NeedsInput)) => Letter::NeedsYou,
            ("RUNNING", Some(Activity::Working | Activity::Starting)) => Letter::Working,
            ("RUNNING", Some(Activity::Idle)) => Letter::Idle,
            ("RUNNING", Some(Activity::FailedTurn)) => Letter::Failed,
            ("RUNNING", Some(Activity::Unknown) | None) => Letter::Unknown,
            ("CREATED" | "PENDING" | "DISPATCHED", _) => Letter::Waiting,
            ("COMPLETED", _) => Letter::Done,
            ("FAILED" | "DISPATCH_FAILED", _) => Letter::Failed,
            ("KILLED", _) => Letter::Killed,
            ("PARKED", _) => Letter::Parked,
            _ => Letter::Unknown,
        }
    }
}

impl Replica {
    /// Returns a task.
    pub fn task(&self, id: &str) -> Option<&Arc<TaskView>> {
        self.tasks.get(id)
    }

    /// Takes in what holds now. Tasks that were live and are not in it are finished meanwhile, and
    /// will be listed.
    pub fn reset(&mut self, snapshot: Snapshot) {
        self.seq = snapshot.seq;
        self.connection = Connection::Up;
        self.listed = false;
        for task in snapshot.tasks {
            self.put(task);
        }
    }

    /// Takes in how the money stands.
    pub fn know_budget(&mut self, budget: Box<BudgetView>) {
        self.budget = Some(budget);
        self.budget_version += 1;
    }

    /// Takes in a task as it is now, and returns how it was.
    pub fn put(&mut self, task: TaskView) -> Option<Arc<TaskView>> {
        let letter = Letter::of(&task);
        self.note_change(task.id.clone());
        let old = self.tasks.insert(task.id.clone(), Arc::new(task));
        *self.counts.entry(letter).or_default() += 1;
        if let Some(old) = &old {
            self.forget_count(Letter::of(old));
        }
        old
    }

    /// Forgets a task that was deleted.
    pub fn remove(&mut self, id: &str) -> Option<Arc<TaskView>> {
        let old = self.tasks.remove(id)?;
        self.forget_count(Letter::of(&old));
        self.note_change(id.to_owned());
        Some(old)
    }

    /// Returns which tasks changed since `version`, some perhaps more than once; nothing if that
    /// is too long ago to be known.
    pub fn changed_since(&self, version: u64) -> Option<impl Iterator<Item = &str>> {
        let behind = usize::try_from(self.version.saturating_sub(version)).ok()?;
        let skip = self.changes.len().checked_sub(behind)?;
        Some(self.changes.iter().skip(skip).map(String::as_str))
    }

    fn note_change(&mut self, id: String) {
        if self.changes.len() == CHANGES_MAX {
            self.changes.pop_front();
        }
        self.changes.push_back(id);
        self.version += 1;
    }

    fn forget_count(&mut self, letter: Letter) {
        if let Some(count) = self.counts.get_mut(&letter) {
            *count = count.saturating_sub(1);
        }
    }

    /// Returns how many tasks have a letter.
    pub fn count(&self, letter: Letter) -> usize {
        self.counts.get(&letter).copied().unwrap_or(0)
    }
}
