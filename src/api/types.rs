//! Requests, and answers that are not views of a task.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    api::{budget::Estimate, view::TaskView},
    domain::{
        event::{Delivery, EventBody},
        task::{Gpu, Isolation, PermissionMode, TaskKind},
    },
    stdx::{secret::Secret, time::Timestamp},
};

/// The longest prompt, in bytes.
pub const PROMPT_MAX: usize = 1024 * 1024;

/// What tasks may be filtered by: states, activities, and words for several of them: `needs-you`
/// (waits for a person), `active` (not finished), `open` (has a session).
pub const STATUSES: [&str; 19] = [
    "created",
    "pending",
    "dispatched",
    "running",
    "completed",
    "failed",
    "killed",
    "parked",
    "dispatch_failed",
    "starting",
    "working",
    "needs-permission",
    "needs-input",
    "idle",
    "failed-turn",
    "unknown",
    "needs-you",
    "active",
    "open",
];

/// A new task. What is left out is filled in from the dispatcher's configuration.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CreateTask {
    /// What Claude is asked: any Unicode text without NUL, at most 1 MiB. Empty only with
    /// `interactive`.
    pub prompt: String,
    /// What to call it; the first words of the prompt if left out.
    pub name: Option<String>,
    /// What sort of work it is.
    #[serde(rename = "type")]
    #[schema(value_type = Option<String>)]
    pub kind: Option<TaskKind>,
    /// A GPU it needs.
    #[schema(value_type = Option<String>)]
    pub gpu: Option<Gpu>,
    /// Memory it needs, in GB.
    pub memory_gb: Option<u32>,
    /// Cores it needs.
    pub cpu: Option<u32>,
    /// The provider or host it must go to.
    pub target: Option<String>,
    /// The directory it starts from: an absolute path on the host.
    pub workspace: String,
    /// How that directory is kept from changes.
    #[schema(value_type = Option<String>)]
    pub isolation: Option<Isolation>,
    /// Whether uncommitted and untracked files come along.
    pub include_dirty: Option<bool>,
    /// Whether it stays RUNNING between turns until a person ends it.
    pub interactive: bool,
    /// The longest it may run, in seconds; 0 for no limit.
    pub timeout_seconds: Option<u64>,
    /// The longest its session waits for a prompt, in seconds; 0 for no limit.
    pub idle_timeout_seconds: Option<u64>,
    /// Claude's permission mode.
    #[schema(value_type = Option<String>)]
    pub permission_mode: Option<PermissionMode>,
    /// Claude's model.
    pub model: Option<String>,
    /// The most it may cost, in US dollars.
    pub max_cost_usd: Option<f64>,
    /// Higher goes first.
    pub priority: Option<i32>,
    /// Environment for it, wherever it runs. The values reach only a file that Claude's launcher
    /// reads, never the store.
    #[schema(value_type = BTreeMap<String, String>)]
    pub env: Env,
    /// Environment of the caller that makes sense only if it runs on the caller's machine.
    #[schema(value_type = BTreeMap<String, String>)]
    pub caller_env: Env,
}

/// Variables with secret values: shown by name only, sent whole.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Env(pub BTreeMap<String, Secret>);

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Serialize for Env {
    /// Exposes the values: this is the wire to the dispatcher, over a socket of the same user.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value.expose())))
    }
}

/// A task was written down.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Created {
    /// The task.
    pub task: TaskView,
}

/// What a task would do, without doing it.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct DryRun {
    /// The provider it would go to.
    pub target: String,
    /// Why it would have to wait, if it would.
    pub waits: Option<String>,
    /// The directory Claude would work in.
    pub workspace: String,
    /// What the worker would see of the directory: branch, uncommitted files.
    pub notes: Vec<String>,
    /// The commands, in order, as a person would type them.
    pub commands: Vec<String>,
    /// What the worker costs per hour, in US dollars; the model's cost comes on top.
    pub price_per_hour_usd: f64,
    /// What the task is thought to cost.
    #[serde(default)]
    pub estimate: Estimate,
}

/// Ends a session, or takes a task off the queue.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stop {
    /// Refuse unless there is a session.
    pub session_only: bool,
}

/// Runs a task again.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Go on with the old conversation rather than start a new one.
    pub resume: bool,
    /// The prompt to go on with, or instead of the task's own.
    pub prompt: Option<String>,
    /// As in [`CreateTask`]; the old values are kept where a name is left out.
    #[schema(value_type = BTreeMap<String, String>)]
    pub env: Env,
    /// As in [`CreateTask`].
    #[schema(value_type = BTreeMap<String, String>)]
    pub caller_env: Env,
}

/// Lets a parked task go on.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Unpark {
    /// What to ask; nothing leaves it waiting for a prompt.
    pub prompt: Option<String>,
    /// As in [`CreateTask`]; the old values are kept where a name is left out.
    #[schema(value_type = BTreeMap<String, String>)]
    pub caller_env: Env,
}

/// A prompt for a live session.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// The text.
    pub text: String,
}

/// An answer to what a session asks.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Which question, if there are several: its id, or a prefix.
    pub ask: Option<String>,
    /// `yes`, `no`, the number or the label of an option, or words of one's own.
    pub words: String,
    /// Said with a no.
    pub message: Option<String>,
}

/// What became of something sent into a session.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Sent {
    /// `submitted`, `typed` or `not-delivered`.
    #[schema(value_type = String)]
    pub outcome: Delivery,
    /// Why, unless submitted.
    pub detail: String,
    /// The task afterwards.
    pub task: TaskView,
}

/// Tasks, newest first.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct TaskList {
    /// The tasks.
    pub tasks: Vec<TaskView>,
    /// How many there are in all that match.
    pub total: usize,
    /// The number of the newest event they include.
    pub seq: u64,
}

/// Why a task is taken to do what it does.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Why {
    /// The task.
    pub task: TaskView,
    /// The evidence, newest first.
    pub evidence: Vec<Witness>,
}

/// One piece of evidence.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Witness {
    /// Who says so: `hook`, `registry`, `process`, `screen`, `dispatcher`.
    pub source: String,
    /// When it was seen.
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// What it says.
    pub says: String,
}

/// What ending a task's session would lose, and what deleting the task would. The lists hold a
/// line each, for a person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Losses {
    /// Whether a turn runs.
    pub turn_running: bool,
    /// Claude's background tasks.
    pub background: u32,
    /// People attached.
    pub viewers: u32,
    /// Files in the workspace that are not committed.
    pub dirty_files: u32,
    /// Some of their paths, at most 20.
    pub dirty: Vec<String>,
    /// Commits in the workspace that are on no remote; nothing where there is no remote or no
    /// repository.
    pub unpushed_commits: Option<u32>,
    /// Why nothing is known of the workspace: it is gone, is no repository, or its host does not
    /// answer.
    pub unseen: Option<String>,
    /// What stays if the session is ended now.
    pub stays: Vec<String>,
    /// What goes then.
    pub goes: Vec<String>,
    /// What stays if the task is deleted, which ends its session first.
    pub purge_stays: Vec<String>,
    /// What goes then.
    pub purge_goes: Vec<String>,
}

/// What a task's workspace differs by from the commit it was started from, uncommitted and new
/// files included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Diff {
    /// The commit compared with: where the task's branch began, or the newest commit of a
    /// workspace without a branch of the task's.
    pub base: String,
    /// The files that differ, at most 2000 of them.
    pub stat: Vec<DiffFile>,
    /// How many files differ in all.
    pub files: u32,
    /// The differences as `git diff` writes them: at most 256 KiB, and without anything that could
    /// steer a terminal, so not for `git apply`.
    pub text: String,
    /// Whether text or list is not all.
    pub cut: bool,
}

/// A file that differs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct DiffFile {
    /// Its path from the repository's top.
    pub path: String,
    /// Lines added; 0 for what is not text.
    pub added: u32,
    /// Lines removed; 0 for what is not text.
    pub removed: u32,
    /// Whether it is not text.
    pub binary: bool,
    /// `A`, `M` or `D` for added, modified and deleted, `T` for another kind of file; nothing if
    /// that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<char>,
    /// What its mode says that it is now, if another than before: `executable`, `a link`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
}

/// One line of a task's log.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct LogLine {
    /// When, if the line has a time.
    #[schema(value_type = Option<i64>)]
    pub at: Option<Timestamp>,
    /// `you`, `text`, `think`, `tool`, `out`, `fail`, `cost`, `hook`, `note`, `event` or `raw`.
    pub kind: String,
    /// The text; may have several lines.
    pub text: String,
    /// Where it stands: as `before` of a query it gives the lines before this one. Nothing for
    /// lines of the terminal. Means something for the same task and view only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pos: Option<u64>,
}

/// A published event.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct EventView {
    /// Its number.
    pub seq: u64,
    /// When.
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// The task.
    pub task: String,
    /// What sort of event.
    pub kind: String,
    /// What happened, one line for a person.
    pub text: String,
    /// What happened, whole.
    #[schema(value_type = Object)]
    pub body: EventBody,
    /// The task afterwards, on the live stream only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<Box<TaskView>>,
}

/// The first frame of an event stream that was not asked for a past number: what holds now.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Snapshot {
    /// The newest event included.
    pub seq: u64,
    /// The tasks that are not finished or still have a session.
    pub tasks: Vec<TaskView>,
}

/// Who answers.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct VersionInfo {
    /// The dispatcher's version.
    pub version: String,
    /// Its revision of this interface.
    pub revision: u32,
    /// Its process.
    pub pid: u32,
    /// Since when it runs.
    #[schema(value_type = i64)]
    pub started_at: Timestamp,
    /// Where its store is.
    pub state_dir: String,
}

/// How all is.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Status {
    /// Who answers.
    pub dispatcher: VersionInfo,
    /// The configuration file it was started with, if any.
    pub config_file: Option<String>,
    /// What is wrong with the configuration now; empty if nothing.
    pub config_problems: Vec<String>,
    /// Tasks by state.
    pub tasks: BTreeMap<String, usize>,
    /// Tasks that wait for a person.
    pub needs_you: usize,
    /// Spending.
    pub spend: Spend,
    /// Each provider.
    pub providers: Vec<ProviderStatus>,
    /// Room where the state is kept.
    pub disk: Disk,
    /// Bytes that the checkpoints on this machine take.
    #[serde(default)]
    pub checkpoint_bytes: u64,
    /// Resident memory of the dispatcher in bytes, where known.
    pub memory_bytes: Option<u64>,
    /// What could be better, and how.
    pub hints: Vec<String>,
}

/// Spending, in US dollars, and what is set for it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Spend {
    /// Since the budget was reset, if ever.
    pub total_usd: f64,
    /// Since midnight.
    pub last_day_usd: f64,
    /// The ceiling for everything; 0 if there is none.
    #[serde(default)]
    pub ceiling_usd: f64,
    /// The ceiling for one day, if there is one.
    #[serde(default)]
    pub daily_ceiling_usd: Option<f64>,
    /// The part of a ceiling from which on to warn, 0 to 1.
    #[serde(default)]
    pub warning_threshold: f64,
    /// Whether these ceilings are kept. Dispatchers before the ledger only warned.
    #[serde(default)]
    pub ceiling_enforced: bool,
}

/// A provider.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct ProviderStatus {
    /// Its name.
    pub name: String,
    /// Whether it answers.
    pub reachable: bool,
    /// Why not, if it does not.
    pub detail: Option<String>,
    /// Workers at once.
    pub slots: u32,
    /// Workers in use.
    pub in_use: u32,
    /// Versions of `tmux`, `git` and `claude` there; nothing for a missing one.
    #[schema(value_type = BTreeMap<String, String>)]
    pub versions: BTreeMap<String, Option<String>>,
    /// Whether Claude has a way to log in there, by what was found without starting it; nothing
    /// if not known.
    #[serde(default)]
    pub login: Option<bool>,
    /// Which way that is, in a few words.
    #[serde(default)]
    pub login_by: Option<String>,
    /// What is left of Claude's first questions there; nothing if not known.
    #[serde(default)]
    pub first_run: Option<FirstRun>,
    /// What a plain worker costs per hour, in US dollars.
    pub price_per_hour_usd: f64,
}

/// What is left of the questions that Claude asks on a machine where it is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FirstRun {
    /// A person has answered them.
    Done,
    /// Parhelia answers them with the first task.
    Answered,
    /// The file with the answers cannot be read, so Claude will ask.
    Unreadable,
}

/// Room on a disk, in bytes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
pub struct Disk {
    /// Free to this user.
    pub free_bytes: u64,
    /// In all.
    pub total_bytes: u64,
}
