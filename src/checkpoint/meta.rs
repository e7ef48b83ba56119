//! What a checkpoint says of itself: `meta.json` in its commit. Read by later versions too.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        checkpoint::Trigger,
        event::Tokens,
        ids::{CheckpointId, HostPath, TaskId},
        usd::Usd,
    },
    stdx::time::Timestamp,
};

/// The version of the form that this program writes. It reads this one and older ones.
pub const FORM: u32 = 1;

/// What a checkpoint says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// See [`FORM`].
    pub form: u32,
    /// What the dispatcher knew.
    pub facts: Facts,
    /// The directory that was saved.
    pub workspace: HostPath,
    /// Where the user's repository stood; nothing if there was none.
    pub position: Option<Position>,
    /// Repositories inside the workspace, in the order of their numbers, which count from one.
    pub units: Vec<Unit>,
    /// What was not saved: the first [`LEFT_OUT_MAX`] of them.
    pub left_out: Vec<LeftOut>,
    /// How many were not saved in all.
    pub left_out_count: u64,
    /// Files saved of the workspace, repositories inside it included.
    pub files: u64,
    /// Their length in bytes.
    pub bytes: u64,
}

/// Files named that were not saved; more are counted.
pub const LEFT_OUT_MAX: usize = 1000;

/// What the dispatcher knew when the checkpoint was made. No secret is part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The checkpoint.
    pub id: CheckpointId,
    /// The task.
    pub task: TaskId,
    /// What it is called.
    pub task_name: String,
    /// When the checkpoint was begun.
    pub at: Timestamp,
    /// What made it.
    pub trigger: Trigger,
    /// What a person calls it.
    pub label: Option<String>,
    /// Claude's id of the conversation.
    pub conversation: Option<String>,
    /// Where Claude wrote the conversation on its host.
    pub transcript: Option<HostPath>,
    /// Names of the environment's variables; with a value where it is known to be no secret.
    pub env: BTreeMap<String, Option<String>>,
    /// Turns of the task.
    pub turns: u32,
    /// Tokens of the task.
    pub tokens: Tokens,
    /// Model cost of the task.
    pub cost: Usd,
}

/// Where the user's repository stood.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The branch that was checked out, without `refs/heads/`; nothing if HEAD was detached.
    pub branch: Option<String>,
    /// The commit that was checked out; nothing before the first.
    pub head: Option<String>,
    /// Whether `staged/` is there: the index could be written as a tree.
    pub staged: bool,
    /// Whether the git directory lies in the workspace, and so goes with it.
    pub inside: bool,
    /// Branches, tags and stashes with their commits, if `inside`: `refs/heads/x` to its commit.
    /// Stashes before the newest are `refs/stash@{1}` and so on.
    pub refs: BTreeMap<String, String>,
    /// Remotes with their addresses, without user names and passwords, if `inside`.
    pub remotes: BTreeMap<String, String>,
    /// Whether the commits themselves are part of the checkpoint. They are not if the user's
    /// repository is shallow or partial, and so does not have them all.
    pub history: bool,
}

/// A repository inside the workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Where it is, relative to the workspace, in raw bytes: the directory `a/b` of a work tree,
    /// but `a/b/.git` of what is called so in it. `u/<n>` is a tree, or for a `.git` that is a file
    /// or a link the blob itself, with the mode git gives it.
    #[serde(with = "bytes")]
    pub path: Vec<u8>,
    /// Which part of it.
    pub kind: UnitKind,
}

/// Which part of a repository inside the workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitKind {
    /// Its work tree, without what is called `.git`.
    Work,
    /// What is called `.git` in it (in any case), or the file or link in its place.
    Git,
}

/// A file that was not saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its path in the workspace: raw bytes.
    #[serde(with = "bytes")]
    pub path: Vec<u8>,
    /// Why.
    pub why: Why,
    /// Its length in bytes, if known.
    pub bytes: Option<u64>,
}

/// Why a file was not saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It is larger than what is taken unasked.
    Huge,
    /// Its name says that it holds a secret.
    Secret,
    /// It is a socket, a pipe or a device.
    Special,
    /// It could not be read.
    Unreadable,
    /// It changed while it was read, again and again.
    Changing,
}

impl Why {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Why::Huge => "huge",
            Why::Secret => "secret",
            Why::Special => "special",
            Why::Unreadable => "unreadable",
            Why::Changing => "changing",
        }
    }
}

/// Bytes as text in JSON: a character a byte, so that names stay readable and every byte survives.
mod bytes {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&bytes.iter().map(|it| char::from(*it)).collect::<String>())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let byte = |it: char| u8::try_from(u32::from(it));
        text.chars().map(byte).collect::<Result<_, _>>().map_err(D::Error::custom)
    }
}
