//! What happened, as it is stored and published.

use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        checkpoint::{Checkpoint, Trigger},
        evidence::Observation,
        ids::{CheckpointId, HostPath, TaskId, WorkerId},
        ledger::Price,
        state::{FailReason, StopCause},
        task::{Next, Task},
        usd::Usd,
    },
    stdx::time::Timestamp,
};

/// A committed event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number, without gaps in the order of commits; also the id on the event stream.
    pub seq: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// The task it is about.
    pub task: TaskId,
    /// What happened.
    pub body: EventBody,
}

/// What happened to a task. Past tense; the list is append-only, since events are stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case", tag = "event")]
pub enum EventBody {
    /// It was submitted.
    Created { task: Box<Task> },
    /// It joined the queue.
    Queued,
    /// It waits, for this reason.
    Held { reason: String },
    /// A place was claimed, and so much of the budget reserved; launching begins.
    Dispatched {
        worker: WorkerId,
        provider: String,
        attempt: u32,
        conversation: String,
        #[serde(default)]
        prices: Vec<Price>,
        #[serde(default)]
        reserved: Usd,
    },
    /// These are about to be made for it.
    Placed { run_dir: HostPath, workspace: HostPath, branch: Option<String> },
    /// The session exists.
    Launched,
    /// The session could not be made.
    DispatchFailed { reason: String },
    /// Something was seen of the session.
    Observed { observation: Observation },
    /// Claude reported the running total of a conversation: in its status line, with `gauges`, at
    /// its end in the transcript's `cost-state`, or there before it `began` in this launch.
    CostReported {
        attempt: u32,
        conversation: String,
        total: Usd,
        gauges: Option<Gauges>,
        #[serde(default)]
        model: Option<String>,
        #[serde(default)]
        began: bool,
    },
    /// The transcript shows a message with its tokens, written `at` by its host's clock; `again` if
    /// the file is read from its start once more.
    TokensCounted {
        message: String,
        tokens: Tokens,
        #[serde(default)]
        at: Option<Timestamp>,
        #[serde(default)]
        again: bool,
    },
    /// Its worker was charged for up to now.
    Metered,
    /// The clock was turned by so much, which is not charged.
    ClockTurned { by_ms: i64 },
    /// The most it may cost was changed.
    Capped { max_cost: Option<Usd> },
    /// A prompt was sent into the session.
    PromptSent { head: String, outcome: Delivery },
    /// A dialog was answered.
    Answered { ask: String, answer: String, outcome: Delivery },
    /// The turn was interrupted.
    Interrupted { outcome: Delivery },
    /// It shall end.
    StopRequested { cause: StopCause },
    /// It is complete; the session stays open.
    Completed,
    /// It failed; the session stays open.
    Failed { reason: FailReason },
    /// The session is over, with this status if one is known, since `ended_at` if that is known.
    SessionEnded {
        code: Option<i32>,
        detail: String,
        #[serde(default)]
        ended_at: Option<Timestamp>,
    },
    /// A worker was given back to its provider.
    Released { worker: WorkerId },
    /// A person took up the open session of a finished task.
    Reopened,
    /// It shall run again.
    Retried { next: Next },
    /// People attached through the dispatcher now.
    Viewing { count: u32 },
    /// The host stopped or began to answer.
    ContactChanged { connection: Connection },
    /// The final answer was kept.
    AnswerKept { bytes: u64 },
    /// Its row and its directory were deleted.
    Deleted,
    /// Something a person should know.
    Noted { text: String },
    /// This was saved of it.
    CheckpointMade { checkpoint: Box<Checkpoint> },
    /// A checkpoint arrived in the store on this machine, which grew by so many bytes.
    CheckpointHeld { id: CheckpointId, bytes: u64 },
    /// A checkpoint was wanted and could not be made.
    CheckpointFailed { trigger: Trigger, detail: String },
    /// A checkpoint was named.
    CheckpointLabelled { id: CheckpointId, label: Option<String> },
    /// A checkpoint was pinned or is no more.
    CheckpointPinned { id: CheckpointId, pinned: bool },
    /// A checkpoint was found damaged, or found whole again.
    CheckpointDamaged { id: CheckpointId, detail: Option<String> },
    /// A checkpoint was deleted: on a person's word, or by age or number.
    CheckpointDeleted { id: CheckpointId, why: String },
    /// A checkpoint's files were put there; what was there before is `safety`. With a
    /// `conversation`, the task goes on with that one, as it was then.
    Restored {
        checkpoint: CheckpointId,
        safety: Option<CheckpointId>,
        workspace: HostPath,
        files: u64,
        #[serde(default)]
        conversation: Option<String>,
    },
    /// It works in this directory from now on.
    Rehomed { workspace: HostPath },
}

/// What the status line shows beside the cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gauges {
    /// How full the context window is.
    pub context_percent: Option<u8>,
    /// Lines added as Claude counts them.
    pub lines_added: u64,
    /// Lines removed.
    pub lines_removed: u64,
}

/// What became of something sent into a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// Claude confirmed it.
    Submitted,
    /// It stands in the input box and was not confirmed.
    Typed,
    /// It did not arrive.
    NotDelivered,
}

impl Delivery {
    /// Returns the words shown to people.
    pub fn as_str(self) -> &'static str {
        match self {
            Delivery::Submitted => "submitted",
            Delivery::Typed => "typed",
            Delivery::NotDelivered => "not delivered",
        }
    }
}

/// A change of contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Connection {
    /// The host stopped answering.
    Lost,
    /// It answers again.
    Regained,
}

/// Tokens of one or more messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Read, uncached.
    pub input: u64,
    /// Written.
    pub output: u64,
    /// Read from the cache.
    pub cache_read: u64,
    /// Written to the cache.
    pub cache_write: u64,
}

impl Tokens {
    /// Returns the sum.
    pub fn plus(&self, other: &Tokens) -> Tokens {
        Tokens {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write: self.cache_write.saturating_add(other.cache_write),
        }
    }
}

impl EventBody {
    /// Returns the event's name as it is stored and filtered by.
    pub fn kind(&self) -> &'static str {
        match self {
            EventBody::Created { .. } => "created",
            EventBody::Queued => "queued",
            EventBody::Held { .. } => "held",
            EventBody::Dispatched { .. } => "dispatched",
            EventBody::Placed { .. } => "placed",
            EventBody::Launched => "launched",
            EventBody::DispatchFailed { .. } => "dispatch-failed",
            EventBody::Observed { .. } => "observed",
            EventBody::CostReported { .. } => "cost-reported",
            EventBody::TokensCounted { .. } => "tokens-counted",
            EventBody::Metered => "metered",
            EventBody::ClockTurned { .. } => "clock-turned",
            EventBody::Capped { .. } => "capped",
            EventBody::PromptSent { .. } => "prompt-sent",
            EventBody::Answered { .. } => "answered",
            EventBody::Interrupted { .. } => "interrupted",
            EventBody::StopRequested { .. } => "stop-requested",
            EventBody::Completed => "completed",
            EventBody::Failed { .. } => "failed",
            EventBody::SessionEnded { .. } => "session-ended",
            EventBody::Released { .. } => "released",
            EventBody::Reopened => "reopened",
            EventBody::Retried { .. } => "retried",
            EventBody::Viewing { .. } => "viewing",
            EventBody::ContactChanged { .. } => "contact-changed",
            EventBody::AnswerKept { .. } => "answer-kept",
            EventBody::Deleted => "deleted",
            EventBody::Noted { .. } => "noted",
            EventBody::CheckpointMade { .. } => "checkpoint-made",
            EventBody::CheckpointHeld { .. } => "checkpoint-held",
            EventBody::CheckpointFailed { .. } => "checkpoint-failed",
            EventBody::CheckpointLabelled { .. } => "checkpoint-labelled",
            EventBody::CheckpointPinned { .. } => "checkpoint-pinned",
            EventBody::CheckpointDamaged { .. } => "checkpoint-damaged",
            EventBody::CheckpointDeleted { .. } => "checkpoint-deleted",
            EventBody::Restored { .. } => "restored",
            EventBody::Rehomed { .. } => "rehomed",
        }
    }
}
