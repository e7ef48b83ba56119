//! A task: a prompt with requirements, and all that became of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        checkpoint::{Kept, Newest, Origin},
        event::{Connection, EventBody, Tokens},
        evidence::Observation,
        ids::{HostPath, TaskId, WorkerId},
        ledger::{Charge, CostKind, Entry, Source, WorkerMeter},
        state::{Contact, Illegal, TaskState, Transition},
        usd::Usd,
    },
    stdx::time::Timestamp,
};

pub use crate::domain::{
    hold::{Claimed, Hold},
    usage::{Meter, Usage},
};

/// Everything the dispatcher holds of a task. The prompt and the answer are kept apart, in the
/// store, because each may be a megabyte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// What the person calls it, or the first words of the prompt.
    pub name: String,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// The first line of the prompt, at most 200 characters.
    pub prompt_head: String,
    /// The length of the prompt.
    pub prompt_bytes: u64,
    /// What it needs.
    pub spec: TaskSpec,
    /// Where it stands.
    pub state: TaskState,
    /// Launches so far.
    pub attempts: u32,
    /// The place claimed for the newest launch; kept after it ended.
    pub place: Option<Place>,
    /// The conversation of the newest launch, for resuming.
    pub conversation: Option<String>,
    /// How the next launch begins.
    pub next: Next,
    /// What it cost and used.
    pub usage: Usage,
    /// What it did last, one line; kept after the session ended.
    pub last: String,
    /// The length of the kept final answer, if there is one.
    pub answer_bytes: Option<u64>,
    /// What is saved of it.
    #[serde(default)]
    pub kept: Kept,
    /// The directory it works in since it was brought back there, in place of its own workspace.
    #[serde(default)]
    pub home: Option<HostPath>,
    /// The checkpoint it was made of.
    #[serde(default)]
    pub origin: Option<Origin>,
    /// What its launches hold.
    #[serde(default)]
    pub hold: Option<Hold>,
}

/// How a launch begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "next")]
pub enum Next {
    /// A new conversation with the task's prompt.
    #[default]
    Fresh,
    /// The old conversation goes on, with another prompt if there is one in the store.
    Resume { with_prompt: bool },
}

/// Where a task works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The worker claimed for it.
    pub worker: WorkerId,
    /// The provider that gave it.
    pub provider: String,
    /// The directory Parhelia makes for the task on the worker's host, and may delete. Written
    /// down before it is made.
    pub run_dir: Option<HostPath>,
    /// Where Claude works: inside the run directory, or the person's own directory.
    pub workspace: Option<HostPath>,
    /// The branch Parhelia made for it.
    pub branch: Option<String>,
}

/// What a task needs, as it was asked for and defaults were filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// What sort of work it is.
    pub kind: TaskKind,
    /// What the worker must have.
    pub requirements: Requirements,
    /// The provider or host it must go to, if not any.
    pub target: Option<String>,
    /// The directory it starts from, on the host.
    pub workspace: HostPath,
    /// How that directory is kept from changes.
    pub isolation: Isolation,
    /// Whether uncommitted and untracked files come along.
    pub include_dirty: bool,
    /// Whether it stays RUNNING between turns until a person ends it.
    pub interactive: bool,
    /// The longest it may run.
    pub timeout: Option<Duration>,
    /// The longest its session waits for a prompt.
    pub idle_timeout: Option<Duration>,
    /// Claude's permission mode.
    pub permission_mode: PermissionMode,
    /// Claude's model, as its `--model` takes it.
    pub model: Option<String>,
    /// The most it may cost.
    pub max_cost: Option<Usd>,
    /// Higher goes first.
    pub priority: i32,
    /// The names of the environment variables passed to it; their values are nowhere in the store.
    pub env_names: Vec<String>,
}

/// What a worker must have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Requirements {
    /// A GPU of this sort.
    pub gpu: Option<Gpu>,
    /// Memory in GB; nothing means the type's default, which any host is taken to have.
    pub memory_gb: Option<u32>,
    /// Processor cores.
    pub cpu: Option<u32>,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// Every one, in the order shown.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// Returns the word for it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)*
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<$name, String> {
                $name::ALL
                    .iter()
                    .copied()
                    .find(|it| it.as_str().eq_ignore_ascii_case(text))
                    .ok_or_else(|| {
                        let all: Vec<&str> = $name::ALL.iter().map(|it| it.as_str()).collect();
                        format!("`{}` is not {}; use {}", text.escape_debug(), $what, all.join(", "))
                    })
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

pub(crate) use words;

words!(
    /// What sort of work a task is; decides defaults and is recorded.
    TaskKind, "a task type" {
        /// Anything.
        Generic = "generic",
        /// A bug fix.
        CodeFix = "code_fix",
        /// Running tests.
        Test = "test",
        /// Building.
        Build = "build",
        /// Linting and formatting.
        Lint = "lint",
        /// Refactoring.
        Refactor = "refactor",
    }
);

words!(
    /// GPU sorts, by the names Modal gives them.
    Gpu, "a GPU" {
        T4 = "T4",
        L4 = "L4",
        A10G = "A10G",
        A100 = "A100",
        A100x80 = "A100-80GB",
        L40S = "L40S",
        H100 = "H100",
        H200 = "H200",
        B200 = "B200",
    }
);

words!(
    /// How the person's directory is kept from changes.
    Isolation, "an isolation" {
        /// An own git worktree on an own branch; shares the repository's objects.
        Worktree = "worktree",
        /// An own clone; shares nothing.
        Clone = "clone",
        /// None: Claude works in the directory itself.
        None = "none",
    }
);

words!(
    /// Claude's permission modes (`claude --permission-mode`, 2.1.329).
    PermissionMode, "a permission mode" {
        /// Asks before every risky tool.
        Manual = "manual",
        /// Edits without asking.
        AcceptEdits = "acceptEdits",
        /// Claude's own safety check decides.
        Auto = "auto",
        /// Refuses what would need asking.
        DontAsk = "dontAsk",
        /// Plans first.
        Plan = "plan",
        /// Asks nothing.
        Bypass = "bypassPermissions",
    }
);

impl Task {
    /// Takes in one event, and returns what the ledger gets by it: entries without a number.
    ///
    /// # Errors
    ///
    /// [`Illegal`] if the task's state does not admit it; the task is unchanged then.
    pub fn fold(&mut self, body: &EventBody, at: Timestamp) -> Result<Vec<Entry>, Illegal> {
        let mut entries = Vec::new();
        match body {
            EventBody::Created { .. } => (),
            EventBody::Queued => self.go(&Transition::Queued, at)?,
            EventBody::Held { reason } => {
                self.go(&Transition::Held { reason: reason.clone() }, at)?;
            }
            EventBody::Dispatched { attempt, conversation, .. } => {
                let transition =
                    Transition::Claimed { attempt: *attempt, conversation: conversation.clone() };
                self.go(&transition, at)?;
                self.claimed(body, at);
            }
            EventBody::Placed { run_dir, workspace, branch } => {
                if let Some(place) = &mut self.place {
                    place.run_dir = Some(run_dir.clone());
                    place.workspace = Some(workspace.clone());
                    place.branch.clone_from(branch);
                }
            }
            EventBody::Launched => self.go(&Transition::Launched, at)?,
            EventBody::DispatchFailed { reason } => {
                self.go(&Transition::LaunchFailed { reason: reason.clone() }, at)?;
                entries = self.give_back(at);
            }
            EventBody::Observed { observation } => self.observe(observation, at),
            EventBody::CostReported { .. }
            | EventBody::TokensCounted { .. }
            | EventBody::Metered
            | EventBody::ClockTurned { .. }
            | EventBody::Capped { .. } => entries = self.account(body, at),
            EventBody::StopRequested { cause } => {
                self.go(&Transition::StopRequested { cause: *cause }, at)?;
            }
            EventBody::Completed => self.go(&Transition::Finished, at)?,
            EventBody::Failed { reason } => {
                self.go(&Transition::FellShort { reason: reason.clone() }, at)?;
            }
            EventBody::SessionEnded { code, detail, ended_at } => {
                let transition = Transition::SessionEnded { code: *code, detail: detail.clone() };
                self.go(&transition, at)?;
                entries = self.give_back(ended_at.unwrap_or(at).min(at));
            }
            EventBody::Released { worker } => {
                self.hold.iter_mut().for_each(|it| it.released(worker));
            }
            EventBody::Reopened => {
                self.go(&Transition::Reopened, at)?;
                if let Some(session) = self.state.session_mut() {
                    // Else the turn that ended before would complete the task again at once.
                    session.activity_since = at;
                }
            }
            EventBody::Retried { next } => {
                self.go(&Transition::Retried, at)?;
                self.next = next.clone();
                self.answer_bytes = None;
            }
            EventBody::Viewing { count } => {
                if let Some(session) = self.state.session_mut() {
                    session.viewers = *count;
                }
            }
            EventBody::ContactChanged { connection } => self.reach(*connection, at),
            EventBody::AnswerKept { bytes } => self.answer_bytes = Some(*bytes),
            EventBody::CheckpointMade { .. }
            | EventBody::CheckpointDeleted { .. }
            | EventBody::CheckpointFailed { .. }
            | EventBody::Restored { .. }
            | EventBody::Rehomed { .. } => self.saved_or_brought_back(body),
            EventBody::CheckpointHeld { .. }
            | EventBody::CheckpointLabelled { .. }
            | EventBody::CheckpointPinned { .. }
            | EventBody::CheckpointDamaged { .. }
            | EventBody::PromptSent { .. }
            | EventBody::Answered { .. }
            | EventBody::Interrupted { .. }
            | EventBody::Deleted
            | EventBody::Noted { .. } => (),
        }
        Ok(entries)
    }

    /// Takes in that a worker was claimed: its meter runs from then on.
    fn claimed(&mut self, body: &EventBody, at: Timestamp) {
        let EventBody::Dispatched { worker, provider, attempt, conversation, prices, reserved } =
            body
        else {
            return;
        };
        self.attempts = *attempt;
        self.place = Some(self.place_of(worker, provider));
        self.conversation = Some(conversation.clone());
        if self.next == Next::Fresh {
            self.usage.meter.begin(conversation);
        }
        let claimed = Claimed { worker: worker.clone(), provider: provider.clone() };
        self.hold = Some(Hold::after(self.hold.take(), claimed, *reserved, self.usage.spent()));
        self.usage.reported_at = Some(at);
        let meter = WorkerMeter::new(worker.clone(), provider.clone(), prices, at);
        self.usage.worker = Some(meter);
    }

    /// Takes in what is said of money, and returns what the ledger gets by it.
    fn account(&mut self, body: &EventBody, at: Timestamp) -> Vec<Entry> {
        let mut entries = Vec::new();
        match body {
            // What never had a worker cannot have cost anything.
            EventBody::CostReported { .. } | EventBody::TokensCounted { .. }
                if self.place.is_none() => {}
            EventBody::CostReported { attempt, conversation, total, gauges, model, began } => {
                gauges.iter().for_each(|it| self.usage.show(it));
                if model.is_some() {
                    self.usage.model_name.clone_from(model);
                }
                let shown = gauges.is_some() || *began;
                let amount = self.usage.report(*attempt, conversation, *total, shown);
                let from = self.usage.reported_at.replace(at).unwrap_or(at).min(at);
                if Usd::ZERO < amount {
                    entries.extend(
                        self.entry(Source::Reported, from, at).map(|it| Entry { amount, ..it }),
                    );
                }
            }
            EventBody::TokensCounted { message, tokens, at: written, again } => {
                let new = self.usage.count(message, tokens, *written, *again);
                let entry = self.entry(Source::Estimated, at, at).filter(|_| new);
                entries.extend(entry.map(|it| Entry { tokens: *tokens, ..it }));
            }
            EventBody::Metered => entries = self.charge(at),
            EventBody::ClockTurned { by_ms } => {
                if let Some(meter) = &mut self.usage.worker {
                    meter.shift(*by_ms);
                }
            }
            EventBody::Capped { max_cost } => self.spec.max_cost = *max_cost,
            _ => (),
        }
        entries
    }

    /// Returns what it has cost up to `now`, entered or not yet.
    pub fn spent(&self, now: Timestamp) -> Usd {
        self.usage.spent() + self.accrued(now)
    }

    /// Returns what its worker has cost and is not entered yet.
    pub fn accrued(&self, now: Timestamp) -> Usd {
        self.usage.worker.as_ref().map_or(Usd::ZERO, |it| it.accrued(now))
    }

    /// Returns what its worker has cost since `from` and is not entered yet.
    pub fn accrued_since(&self, from: Timestamp, now: Timestamp) -> Usd {
        let Some(meter) = &self.usage.worker else { return Usd::ZERO };
        let before = if meter.until < from { meter.accrued(from) } else { Usd::ZERO };
        meter.accrued(now) - before
    }

    /// Returns what its worker costs per hour; nothing without a worker.
    pub fn hourly(&self) -> Usd {
        self.usage.worker.as_ref().map_or(Usd::ZERO, WorkerMeter::hourly)
    }

    /// Returns what it may still spend of what it reserved. A finished task holds nothing.
    pub fn reserved(&self, now: Timestamp) -> Usd {
        match &self.hold {
            Some(hold) if self.state.holds_slot() => {
                (hold.amount - (self.spent(now) - hold.before)).max(Usd::ZERO)
            }
            _ => Usd::ZERO,
        }
    }

    /// Returns the workers that nothing works on any more and that are not known to be given back.
    pub fn unreleased(&self) -> impl Iterator<Item = &Claimed> {
        let works =
            matches!(self.state, TaskState::Dispatched { .. }) || self.state.session().is_some();
        let used = self.place.as_ref().filter(|_| works).map(|it| &it.worker);
        let held = self.hold.iter().flat_map(|it| &it.workers);
        held.filter(move |it| Some(&it.worker) != used)
    }

    /// Charges for its worker up to `at`.
    fn charge(&mut self, at: Timestamp) -> Vec<Entry> {
        let charges = self.usage.worker.as_mut().map(|it| it.charge(at)).unwrap_or_default();
        let mut entries = Vec::new();
        for charge in charges {
            self.usage.charge(&charge);
            let Charge { kind, from, to, quantity, rate, amount } = charge;
            let entry = self.entry(Source::Metered, from, to);
            entries.extend(entry.map(|it| Entry {
                kind,
                quantity,
                rate,
                amount,
                model: None,
                ..it
            }));
        }
        entries
    }

    /// Charges for its worker for the last time.
    fn give_back(&mut self, at: Timestamp) -> Vec<Entry> {
        let entries = self.charge(at);
        self.usage.worker = None;
        entries
    }

    /// Returns an entry of a model's that costs nothing yet; nothing of a task that never had a
    /// worker, which cannot have cost anything.
    fn entry(&self, source: Source, from: Timestamp, to: Timestamp) -> Option<Entry> {
        let place = self.place.as_ref()?;
        Some(Entry {
            id: 0,
            task: self.id.clone(),
            task_kind: self.spec.kind,
            worker: place.worker.clone(),
            host: place.provider.clone(),
            attempt: self.attempts,
            kind: CostKind::Model,
            model: self.usage.model_name.clone().or_else(|| self.spec.model.clone()),
            from,
            to,
            quantity: 0,
            rate: Usd::ZERO,
            amount: Usd::ZERO,
            source,
            tokens: Tokens::default(),
        })
    }

    fn saved_or_brought_back(&mut self, body: &EventBody) {
        match body {
            EventBody::CheckpointMade { checkpoint } => {
                let (id, at, trigger) = (checkpoint.id.clone(), checkpoint.at, checkpoint.trigger);
                self.kept.count += 1;
                self.kept.last = Some(Newest { id, at, trigger });
                self.kept.failed = None;
            }
            EventBody::CheckpointDeleted { id, .. } => {
                self.kept.count = self.kept.count.saturating_sub(1);
                self.kept.last.take_if(|it| it.id == *id);
            }
            EventBody::CheckpointFailed { detail, .. } => self.kept.failed = Some(detail.clone()),
            EventBody::Rehomed { workspace } => {
                self.home = Some(workspace.clone());
                if let Some(place) = &mut self.place {
                    place.workspace = Some(workspace.clone());
                }
            }
            EventBody::Restored { conversation: Some(conversation), .. } => {
                self.conversation = Some(conversation.clone());
            }
            _ => (),
        }
    }

    fn reach(&mut self, connection: Connection, at: Timestamp) {
        if let Some(session) = self.state.session_mut() {
            session.contact = match (connection, session.contact) {
                (Connection::Regained, _) => Contact::Reachable,
                (Connection::Lost, Contact::Reachable) => Contact::Unreachable { since: at },
                (Connection::Lost, contact) => contact,
            };
        }
    }

    /// A later launch at the same provider finds what the earlier ones left.
    fn place_of(&self, worker: &WorkerId, provider: &str) -> Place {
        let (worker, provider) = (worker.clone(), provider.to_owned());
        match &self.place {
            Some(old) if old.provider == provider => Place { worker, provider, ..old.clone() },
            _ => Place { worker, provider, run_dir: None, workspace: None, branch: None },
        }
    }

    fn go(&mut self, transition: &Transition, at: Timestamp) -> Result<(), Illegal> {
        self.state = self.state.apply(transition, at)?;
        Ok(())
    }

    fn observe(&mut self, observation: &Observation, at: Timestamp) {
        if let Observation::ConversationStarted { source, conversation, .. } = observation
            && ["startup", "clear"].contains(&&**source)
        {
            self.usage.meter.begin(conversation);
        }
        let Some(session) = self.state.session_mut() else { return };
        let turns = session.evidence.turns;
        session.observe(observation, at);
        self.usage.turns += session.evidence.turns - turns;
        if let Some(doing) = &session.evidence.doing {
            self.last.clone_from(&doing.what);
        }
        self.conversation = Some(session.conversation.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_say_what_is_allowed() {
        assert_eq!("a10g".parse(), Ok(Gpu::A10G));
        let error = "X".parse::<Isolation>().unwrap_err();
        assert_eq!(error, "`X` is not an isolation; use worktree, clone, none");
    }
}
