//! What was saved of a task, and what it can be brought back from.
//!
//! A checkpoint is one commit in a repository of Parhelia's own; what is here is what must be
//! known of it without opening that repository. It outlives its task.

use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        event::Tokens,
        ids::{CheckpointId, HostPath, TaskId},
        task::words,
        usd::Usd,
    },
    stdx::time::Timestamp,
};

words!(
    /// What makes a checkpoint.
    Trigger, "a trigger" {
        /// The interval passed and something changed.
        Periodic = "periodic",
        /// A turn ended.
        Turn = "turn",
        /// A person left the session.
        Detach = "detach",
        /// A person asked for it.
        Manual = "manual",
        /// The task failed.
        Error = "error",
        /// The task completed.
        Complete = "complete",
        /// The dispatcher stops.
        Shutdown = "shutdown",
        /// The session is about to be killed.
        BeforeKill = "before-kill",
        /// An older state is about to replace this one.
        BeforeRestore = "before-restore",
        /// The worker is about to be released.
        BeforePark = "before-park",
        /// A command that deletes or rewrites is about to run.
        BeforeRisky = "before-risky",
        /// The task is about to be deleted.
        BeforeDelete = "before-delete",
    }
);

/// A checkpoint, as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Its id.
    pub id: CheckpointId,
    /// The task.
    pub task: TaskId,
    /// What the task was called, since a checkpoint outlives it.
    pub task_name: String,
    /// When it was begun.
    pub at: Timestamp,
    /// What made it.
    pub trigger: Trigger,
    /// What a person calls it.
    pub label: Option<String>,
    /// Whether retention leaves it alone.
    pub pinned: bool,
    /// The commit that it is.
    pub commit: String,
    /// The one before it of the same task, if that was there when it was made.
    pub parent: Option<CheckpointId>,
    /// The provider whose worker it was made on.
    pub provider: String,
    /// The directory that was saved.
    pub workspace: HostPath,
    /// What differs from the one before it; from nothing, if there is none.
    pub change: Change,
    /// Files saved of the workspace.
    pub files: u64,
    /// Their length in bytes.
    pub bytes: u64,
    /// Files of the workspace that were not saved: too large, secret, or no files.
    pub left_out: u64,
    /// Bytes it added to the store on this machine; nothing until it has arrived there.
    pub stored: Option<u64>,
    /// What is wrong with it, if a look at it found something.
    pub damage: Option<String>,
    /// Claude's id of the conversation.
    pub conversation: Option<String>,
    /// The branch that was checked out.
    pub branch: Option<String>,
    /// The commit that was checked out.
    pub head: Option<String>,
    /// Turns of the task by then.
    pub turns: u32,
    /// Tokens of the task by then; an estimate.
    pub tokens: Tokens,
    /// Model cost of the task by then, as Claude reported it.
    pub cost: Usd,
}

impl Checkpoint {
    /// Tells whether it survives the machine it was made on.
    pub fn is_here(&self) -> bool {
        self.stored.is_some()
    }
}

/// How much differs between two states of a workspace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Files that are new.
    pub added: u64,
    /// Files with another content, mode or kind.
    pub modified: u64,
    /// Files that are gone.
    pub deleted: u64,
    /// Lines added.
    pub lines_added: u64,
    /// Lines removed.
    pub lines_removed: u64,
}

/// What a task remembers of its checkpoints: enough for a list of tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// How many there are.
    pub count: u32,
    /// The newest.
    pub last: Option<Newest>,
    /// Why the last attempt to make one failed, until one succeeds.
    pub failed: Option<String>,
}

/// A task's newest checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Newest {
    /// Its id.
    pub id: CheckpointId,
    /// When it was begun.
    pub at: Timestamp,
    /// What made it.
    pub trigger: Trigger,
}

/// Where a task came from that was made of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The task that was forked.
    pub task: TaskId,
    /// The checkpoint it was forked at.
    pub checkpoint: CheckpointId,
    /// The conversation it begins with, as it was then; nothing if it begins its own.
    pub conversation: Option<String>,
}
