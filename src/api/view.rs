//! A task as clients see it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    domain::{
        activity::Activity,
        checkpoint::Trigger,
        event::Tokens,
        state::{Contact, TaskState},
        task::Task,
        usd::Usd,
    },
    stdx::time::Timestamp,
};

/// A task, flat, with stable field names. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct TaskView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `CREATED`, `PENDING`, `DISPATCHED`, `RUNNING`, `COMPLETED`, `FAILED`, `KILLED`, `PARKED` or
    /// `DISPATCH_FAILED`.
    pub state: String,
    /// Since when.
    #[schema(value_type = i64)]
    pub since: Timestamp,
    /// Why it waits, or failed, or ended.
    pub reason: Option<String>,
    /// What its session does; nothing without a session.
    #[schema(value_type = Option<String>)]
    pub activity: Option<Activity>,
    /// Since when.
    #[schema(value_type = Option<i64>)]
    pub activity_since: Option<Timestamp>,
    /// The evidence that decided the activity.
    pub because: Option<String>,
    /// What it asks of a person.
    pub asks: Vec<AskView>,
    /// What it did last, one line.
    pub last: String,
    /// The first line of its prompt.
    pub prompt: String,
    /// The length of its prompt in bytes.
    pub prompt_bytes: u64,
    /// When it was submitted.
    #[schema(value_type = i64)]
    pub created_at: Timestamp,
    /// `generic`, `code_fix`, `test`, `build`, `lint` or `refactor`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Higher goes first.
    pub priority: i32,
    /// Where it was placed.
    pub provider: Option<String>,
    /// Its worker.
    pub worker: Option<String>,
    /// Its tmux session, while there is one.
    pub session: Option<String>,
    /// Whether its host answers; nothing without a session.
    pub reachable: Option<bool>,
    /// People attached.
    pub viewers: u32,
    /// Launches so far.
    pub attempts: u32,
    /// The directory it was started from.
    pub source: String,
    /// Where Claude works.
    pub workspace: Option<String>,
    /// The directory Parhelia made for it.
    pub run_dir: Option<String>,
    /// Its branch.
    pub branch: Option<String>,
    /// `worktree`, `clone` or `none`.
    pub isolation: String,
    /// Claude's id of its conversation.
    pub conversation: Option<String>,
    /// Claude's permission mode.
    pub permission_mode: String,
    /// Claude's model, if one was asked for.
    pub model: Option<String>,
    /// Whether it stays RUNNING between turns.
    pub interactive: bool,
    /// The GPU it asked for.
    pub gpu: Option<String>,
    /// The memory it asked for, in GB.
    pub memory_gb: Option<u32>,
    /// The cores it asked for.
    pub cpu: Option<u32>,
    /// The longest it may run, in seconds.
    pub timeout_seconds: Option<u64>,
    /// The longest its session waits for a prompt, in seconds.
    pub idle_timeout_seconds: Option<u64>,
    /// Names of variables passed to it.
    pub env: Vec<String>,
    /// What it cost, in US dollars, as far as the ledger has it.
    pub cost_usd: f64,
    /// Where the cost comes from: `reported` by Claude, `metered` by our clock, or
    /// `reported+metered`.
    pub cost_source: String,
    /// The model's part of the cost.
    #[serde(default)]
    pub model_cost_usd: f64,
    /// What its worker costs per hour; 0 without one.
    #[serde(default)]
    pub compute_usd_per_hour: f64,
    /// Until when the worker's cost is in `cost_usd`.
    #[serde(default)]
    #[schema(value_type = Option<i64>)]
    pub metered_until: Option<Timestamp>,
    /// The most it may cost, in US dollars.
    pub max_cost_usd: Option<f64>,
    /// Tokens by the transcript: an estimate.
    pub tokens: TokensView,
    /// Turns that ended.
    pub turns: u32,
    /// How full its context window is.
    pub context_percent: Option<u8>,
    /// Lines added and removed as Claude counts them.
    pub lines_added: u64,
    /// See `lines_added`.
    pub lines_removed: u64,
    /// The length of its final answer in bytes, if one is kept.
    pub answer_bytes: Option<u64>,
    /// How many checkpoints there are of it.
    #[serde(default)]
    pub checkpoints: u32,
    /// The newest of them.
    #[serde(default)]
    pub last_checkpoint: Option<LastCheckpoint>,
    /// Why the last attempt to make one failed, until one succeeds.
    #[serde(default)]
    pub checkpoint_failed: Option<String>,
    /// The checkpoint it was made of.
    #[serde(default)]
    pub forked_from: Option<String>,
}

/// A task's newest checkpoint.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct LastCheckpoint {
    /// Its id.
    pub id: String,
    /// When it was begun.
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// What made it.
    #[schema(value_type = String)]
    pub trigger: Trigger,
}

/// An open question.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct AskView {
    /// Its id.
    pub id: String,
    /// `permission`, `question` or `plan`.
    pub kind: String,
    /// The tool that wants to run.
    pub tool: String,
    /// What it wants.
    pub summary: String,
    /// The choices of a question.
    pub options: Vec<String>,
    /// Since when.
    #[schema(value_type = i64)]
    pub since: Timestamp,
}

/// Tokens, estimated from the transcript.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct TokensView {
    /// Read, uncached.
    pub input: u64,
    /// Written.
    pub output: u64,
    /// Read from the cache.
    pub cache_read: u64,
    /// Written to the cache.
    pub cache_write: u64,
    /// `estimated`: compaction and titles are in no transcript.
    pub source: String,
}

impl From<Tokens> for TokensView {
    fn from(tokens: Tokens) -> TokensView {
        TokensView {
            input: tokens.input,
            output: tokens.output,
            cache_read: tokens.cache_read,
            cache_write: tokens.cache_write,
            source: "estimated".into(),
        }
    }
}

impl From<&Task> for TaskView {
    fn from(task: &Task) -> TaskView {
        let session = task.state.session();
        let verdict = session.map(|it| it.verdict());
        let (since, reason) = since_and_reason(&task.state);
        let place = task.place.as_ref();
        let spec = &task.spec;
        TaskView {
            id: task.id.to_string(),
            name: task.name.clone(),
            state: task.state.name().to_owned(),
            since: since.unwrap_or(task.created_at),
            reason,
            activity: verdict.as_ref().map(|it| it.activity),
            activity_since: session.map(|it| it.activity_since),
            because: verdict.map(|it| it.because),
            asks: session
                .map(|it| it.evidence.asks.iter().map(ask_view).collect())
                .unwrap_or_default(),
            last: task.last.clone(),
            prompt: task.prompt_head.clone(),
            prompt_bytes: task.prompt_bytes,
            created_at: task.created_at,
            kind: spec.kind.to_string(),
            priority: spec.priority,
            provider: place.map(|it| it.provider.clone()),
            worker: place.map(|it| it.worker.to_string()),
            session: session.map(|_| task.id.session_name()),
            reachable: session.map(|it| it.contact == Contact::Reachable),
            viewers: session.map_or(0, |it| it.viewers),
            attempts: task.attempts,
            source: spec.workspace.to_string(),
            workspace: place.and_then(|it| it.workspace.as_ref()).map(ToString::to_string),
            run_dir: place.and_then(|it| it.run_dir.as_ref()).map(ToString::to_string),
            branch: place.and_then(|it| it.branch.clone()),
            isolation: spec.isolation.to_string(),
            conversation: task.conversation.clone(),
            permission_mode: spec.permission_mode.to_string(),
            model: spec.model.clone(),
            interactive: spec.interactive,
            gpu: spec.requirements.gpu.map(|it| it.to_string()),
            memory_gb: spec.requirements.memory_gb,
            cpu: spec.requirements.cpu,
            timeout_seconds: spec.timeout.map(|it| it.as_secs()),
            idle_timeout_seconds: spec.idle_timeout.map(|it| it.as_secs()),
            env: spec.env_names.clone(),
            cost_usd: task.usage.spent().dollars(),
            cost_source: cost_source(task).to_owned(),
            model_cost_usd: task.usage.model.dollars(),
            compute_usd_per_hour: task.hourly().dollars(),
            metered_until: task.usage.worker.as_ref().map(|it| it.until),
            max_cost_usd: spec.max_cost.map(|it| it.dollars()),
            tokens: task.usage.tokens.into(),
            turns: task.usage.turns,
            context_percent: task.usage.context_percent,
            lines_added: task.usage.lines_added,
            lines_removed: task.usage.lines_removed,
            answer_bytes: task.answer_bytes,
            checkpoints: task.kept.count,
            last_checkpoint: task.kept.last.as_ref().map(|it| LastCheckpoint {
                id: it.id.to_string(),
                at: it.at,
                trigger: it.trigger,
            }),
            checkpoint_failed: task.kept.failed.clone(),
            forked_from: task.origin.as_ref().map(|it| it.checkpoint.to_string()),
        }
    }
}

/// A task that cost nothing yet is one whose cost Claude would report.
fn cost_source(task: &Task) -> &'static str {
    match (task.usage.model, task.usage.compute()) {
        (_, Usd::ZERO) => "reported",
        (Usd::ZERO, _) => "metered",
        _ => "reported+metered",
    }
}

fn ask_view(seen: &crate::domain::evidence::Seen<crate::domain::ask::Ask>) -> AskView {
    let ask = &seen.what;
    AskView {
        id: ask.id.clone(),
        kind: ask.kind.as_str().to_owned(),
        tool: ask.tool.clone(),
        summary: ask.summary.clone(),
        options: ask.options.clone(),
        since: seen.at,
    }
}

fn since_and_reason(state: &TaskState) -> (Option<Timestamp>, Option<String>) {
    match state {
        TaskState::Created => (None, None),
        TaskState::Pending { since, reason } => (Some(*since), reason.clone()),
        TaskState::Dispatched { since, stopping, .. } => {
            (Some(*since), stopping.map(|it| format!("being {it}")))
        }
        TaskState::Running { since, session } => {
            (Some(*since), session.stopping.map(|it| format!("ending: {it}")))
        }
        TaskState::Completed { at, .. } => (Some(*at), None),
        TaskState::Failed { at, reason, .. } => (Some(*at), Some(reason.to_string())),
        TaskState::Killed { at, cause } => (Some(*at), Some(cause.to_string())),
        TaskState::Parked { at, why } => (Some(*at), Some(why.to_string())),
        TaskState::DispatchFailed { at, reason } => (Some(*at), Some(reason.clone())),
    }
}
