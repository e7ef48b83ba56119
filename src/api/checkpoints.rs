//! Checkpoints on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    api::{types::Diff, view::TokensView},
    domain::checkpoint::{Change, Checkpoint, Trigger},
    stdx::time::Timestamp,
};

/// A checkpoint, flat, with stable field names.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct CheckpointView {
    /// Its id.
    pub id: String,
    /// The task, which may be deleted by now.
    pub task: String,
    /// What the task was called.
    pub task_name: String,
    /// When it was begun.
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// What made it: `manual`, `turn`, `before-kill` and so on.
    #[schema(value_type = String)]
    pub trigger: Trigger,
    /// What a person calls it.
    pub label: Option<String>,
    /// Whether retention leaves it alone.
    pub pinned: bool,
    /// The one before it of the same task.
    pub parent: Option<String>,
    /// The provider whose worker it was made on.
    pub provider: String,
    /// The directory that was saved.
    pub workspace: String,
    /// What differs from the one before it.
    pub change: ChangeView,
    /// Files saved of the workspace.
    pub files: u64,
    /// Their length in bytes.
    pub bytes: u64,
    /// Files of the workspace that were not saved.
    pub left_out: u64,
    /// Bytes it added to the store on this machine; nothing until it has arrived there.
    pub stored_bytes: Option<u64>,
    /// What is wrong with it.
    pub damage: Option<String>,
    /// Claude's id of the conversation.
    pub conversation: Option<String>,
    /// The branch that was checked out.
    pub branch: Option<String>,
    /// The commit that was checked out.
    pub head: Option<String>,
    /// Turns of the task by then.
    pub turns: u32,
    /// Tokens of the task by then.
    pub tokens: TokensView,
    /// Model cost of the task by then, in US dollars.
    pub cost_usd: f64,
    /// Where the cost comes from: `reported`.
    pub cost_source: String,
}

impl From<&Checkpoint> for CheckpointView {
    fn from(it: &Checkpoint) -> CheckpointView {
        CheckpointView {
            id: it.id.to_string(),
            task: it.task.to_string(),
            task_name: it.task_name.clone(),
            at: it.at,
            trigger: it.trigger,
            label: it.label.clone(),
            pinned: it.pinned,
            parent: it.parent.as_ref().map(ToString::to_string),
            provider: it.provider.clone(),
            workspace: it.workspace.to_string(),
            change: it.change.into(),
            files: it.files,
            bytes: it.bytes,
            left_out: it.left_out,
            stored_bytes: it.stored,
            damage: it.damage.clone(),
            conversation: it.conversation.clone(),
            branch: it.branch.clone(),
            head: it.head.clone(),
            turns: it.turns,
            tokens: it.tokens.into(),
            cost_usd: it.cost.dollars(),
            cost_source: "reported".into(),
        }
    }
}

/// How much differs between two states of a workspace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct ChangeView {
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

impl From<Change> for ChangeView {
    fn from(it: Change) -> ChangeView {
        let Change { added, modified, deleted, lines_added, lines_removed } = it;
        ChangeView { added, modified, deleted, lines_added, lines_removed }
    }
}

/// A list of checkpoints.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct CheckpointList {
    /// Newest first.
    pub checkpoints: Vec<CheckpointView>,
    /// Bytes of the store on this machine, over all tasks.
    pub store_bytes: u64,
}

/// What to save.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub struct CreateCheckpoint {
    /// What to call it.
    pub label: Option<String>,
    /// Whether files that look like secrets are saved too.
    pub secrets: bool,
    /// Whether retention shall leave it alone.
    pub pin: bool,
}

/// A checkpoint with all that is in it but the files' content.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct CheckpointDetail {
    /// The checkpoint.
    pub checkpoint: CheckpointView,
    /// What was not saved of the workspace, and why; the first of them.
    pub left_out: Vec<LeftOutView>,
    /// What is saved beside the workspace: `conversation/…`, `terminal/…` and so on, by name.
    pub beside: Vec<String>,
    /// Names of the environment's variables.
    pub env: Vec<String>,
    /// Whether the index held something that was not committed.
    pub staged: bool,
    /// Repositories inside the workspace, by path.
    pub nested: Vec<String>,
    /// Where it can be read: `host`, `here` or both.
    pub places: Vec<String>,
}

/// A file that was not saved.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct LeftOutView {
    /// Its path in the workspace, fit to show.
    pub path: String,
    /// Why: `huge`, `secret`, `special`, `unreadable` or `changing`.
    pub why: String,
    /// Its length in bytes, if known.
    pub bytes: Option<u64>,
}

/// A file of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct CheckpointFile {
    /// Its path in the workspace, fit to show.
    pub path: String,
    /// `file`, `program`, `link` or `repository`.
    pub kind: String,
    /// Its length in bytes.
    pub bytes: u64,
}

/// Files of a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct CheckpointFiles {
    /// In the order of their paths; the first of them.
    pub files: Vec<CheckpointFile>,
    /// How many there are in all.
    pub count: u64,
}

/// What a checkpoint differs by from another.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
pub struct CheckpointDiff {
    /// The older side.
    pub from: String,
    /// The newer side: an id, or `now`.
    pub to: String,
    /// Files added, modified and deleted, and lines.
    pub change: ChangeView,
    /// Turns between them.
    pub turns: i64,
    /// Tokens between them, in and out.
    pub tokens: i64,
    /// Cost between them, in US dollars.
    pub cost_usd: f64,
    /// The files and the text.
    pub diff: Diff,
}

/// How to restore.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub struct Restore {
    /// The directory to restore into; nothing for the workspace it was made of.
    pub target: Option<String>,
    /// Only say what would change.
    pub dry_run: bool,
    /// Whether the conversation goes back as well.
    pub conversation: bool,
}

/// What restoring changes, or changed.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Restored {
    /// The checkpoint.
    pub checkpoint: String,
    /// Where its files went.
    pub workspace: String,
    /// Whether it was only looked at.
    pub dry_run: bool,
    /// The files that change, the first of them.
    pub files: Vec<RestoredFile>,
    /// How many there are in all.
    pub count: u64,
    /// What stands in the way and is left alone; with any of these nothing is changed.
    pub in_the_way: Vec<String>,
    /// Pieces that are missing or damaged, as sentences; the rest is restored.
    pub missing: Vec<String>,
    /// What is wrong with the checkpoint, if that is why pieces are missing.
    #[serde(default)]
    pub damage: Option<String>,
    /// What was there before: restoring it undoes this.
    pub safety: Option<CheckpointView>,
}

/// A file that restoring changes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct RestoredFile {
    /// Its path in the workspace, fit to show.
    pub path: String,
    /// `add`, `change` or `delete`: what restoring does to it.
    pub what: String,
}

/// Another name or pin; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub struct EditCheckpoint {
    /// The new name; empty for none.
    pub label: Option<String>,
    /// Whether retention leaves it alone.
    pub pinned: Option<bool>,
}

/// How to make a task of a checkpoint.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub struct Fork {
    /// What to ask of it; nothing leaves it waiting for a prompt.
    pub prompt: Option<String>,
    /// What to call it.
    pub name: Option<String>,
    /// Whether it begins without the conversation.
    pub fresh: bool,
    /// The caller's environment, as with creating a task. What the old task was given goes with
    /// it, unless that was deleted.
    #[schema(value_type = Object)]
    pub caller_env: crate::api::types::Env,
}

/// Which checkpoints to prune.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub struct Prune {
    /// Only of this task.
    pub task: Option<String>,
    /// Those older than so many seconds, in place of what the configuration says.
    pub older_than_seconds: Option<u64>,
    /// Only say which.
    pub dry_run: bool,
}

/// What pruning deletes, or deleted.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Pruned {
    /// The checkpoints.
    pub checkpoints: Vec<CheckpointView>,
    /// Bytes the store was smaller afterwards.
    pub freed_bytes: u64,
    /// Bytes of the store now.
    pub store_bytes: u64,
    /// Whether it was only looked at.
    pub dry_run: bool,
}

/// Which checkpoints to verify.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub struct Verify {
    /// This one.
    pub checkpoint: Option<String>,
    /// All of this task. With neither, all there are.
    pub task: Option<String>,
}

/// What verifying found.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Verified {
    /// Each one, newest first.
    pub checkpoints: Vec<VerifiedOne>,
}

/// What verifying found of one checkpoint.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct VerifiedOne {
    /// The checkpoint.
    pub checkpoint: CheckpointView,
    /// What is wrong with it; nothing if it is whole.
    pub damage: Option<String>,
    /// What git says about that.
    #[serde(default)]
    pub git: Option<String>,
    /// What was wrong with it, if it was made whole again.
    #[serde(default)]
    pub healed: Option<String>,
    /// The newest whole one of the same task, to use instead.
    pub instead: Option<String>,
}

/// How to go on with a task whose session is over.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub struct Resume {
    /// The checkpoint to go back to first; nothing goes on with what is there, and takes from the
    /// newest whole checkpoint only what is missing.
    pub checkpoint: Option<String>,
    /// Another directory to go on in. It must be empty or not be there.
    pub target: Option<String>,
    /// What to ask.
    pub prompt: Option<String>,
    /// The caller's environment, as with creating a task.
    #[schema(value_type = Object)]
    pub caller_env: crate::api::types::Env,
}

/// What can be brought back of a task, and how.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Recovery {
    /// The task.
    pub task: String,
    /// What happened to it, one line.
    pub reason: String,
    /// Its newest whole checkpoint.
    pub last: Option<CheckpointView>,
    /// What is there, each piece with its state.
    pub pieces: Vec<Piece>,
    /// What can be done, the recommended way first.
    pub ways: Vec<Way>,
}

/// A piece of a task.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Piece {
    /// `session`, `workspace`, `conversation`, `branch` or `cost`.
    pub name: String,
    /// How it is, a few words: `there`, `gone, in cp-… of 14:31`, `not known: …`.
    pub state: String,
    /// Whether it is there or can be brought back.
    pub ok: bool,
}

/// A way to bring a task back.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Way {
    /// `attach`, `wait`, `resume`, `restore-resume` or `fresh`.
    pub does: WayDoes,
    /// What it will do, one line.
    pub text: String,
    /// The checkpoint to name when resuming, which goes back to it whole. With none, resuming puts
    /// back only what is missing.
    pub checkpoint: Option<String>,
}

/// What a way does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WayDoes {
    /// The session lives: attach to it.
    Attach,
    /// The host does not answer: wait.
    Wait,
    /// Go on with the conversation in the workspace as it is.
    Resume,
    /// Put back what is missing from the checkpoint, then go on with the conversation.
    RestoreResume,
    /// Begin again with the task's prompt.
    Fresh,
}
