//! Saving a workspace with its conversation, and bringing them back.
//!
//! ```text
//! workspace ──look, plan, take──▶ shadow repository ──bundle──▶ vault, on this machine
//!     ▲                              (run directory)                  │
//!     └──────── restore ─────────────────┴──────── bundle ────────────┘
//! ```
//!
//! A checkpoint is one commit. The [`shadow`] is a bare repository in the task's run directory
//! whose work tree is the workspace; the [`vault`] is the one bare repository on this machine that
//! holds the checkpoints of all tasks, so that the death of a host, or of a run directory, loses
//! nothing that had arrived. Both are read by [`repo`].
//!
//! ```text
//! meta.json        what the checkpoint is, see [`meta::Meta`]
//! w/               the workspace
//! u/<n>/           a repository inside it: its work tree, or its git directory
//! m/<n>            what git does not record: modes, empty directories (0 is w, else u/<n>)
//! t/<n>            when each file was written
//! staged/          the user's index, as a tree
//! beside/…         the conversation, the terminal
//! ```
//!
//! Its parents are the commits that the user's repository would lose with the workspace. The
//! checkpoint before it is not one of them, so that forgetting that one gives its space back. The
//! user's own `.git` is read and never written.
//!
//! A host needs `sh`, `git` and POSIX tools; nothing is installed there. What was seen is kept, and
//! a look begins from it: by this program itself where it is, which is on this machine ([`packer`]),
//! or by perl (`scripts/walk.pl`); with neither, or in any doubt, git and find look at everything.
//! All judgement of what is saved is in pure functions here; scripts only list and carry out.
//!
//! Deliberately absent: owners, extended attributes, sockets and devices, which are counted and
//! named as left out; and when to make one, which is the dispatcher's to decide.

mod look;
pub mod manifest;
pub mod meta;
pub mod packer;
mod plan;
pub mod repo;
pub mod restore;
pub mod retention;
mod save;
pub mod shadow;
mod take;
pub mod vault;

#[cfg(test)]
mod tests;

use crate::{domain::ids::HostPath, shell::ShellError};

/// The state of a workspace that holds nothing, to compare others with: git's name of the empty
/// tree, which every repository knows.
pub const NOTHING: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// How much what nobody waits for gives way; see [`crate::shell::Command::in_background`].
const BACKGROUND: u8 = 10;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The host could not be asked.
    #[error(transparent)]
    Shell(#[from] ShellError),
    /// There is no git where one is needed.
    #[error("{host} has no git, which checkpoints are kept with")]
    NoGit {
        /// The host.
        host: String,
    },
    /// The directory to save is not there.
    #[error("the workspace {path} is not there")]
    NoWorkspace {
        /// The directory.
        path: HostPath,
    },
    /// There is no such checkpoint in this repository.
    #[error("the checkpoint's commit {commit} is not in {repo}")]
    Missing {
        /// The commit.
        commit: String,
        /// The repository.
        repo: HostPath,
    },
    /// A checkpoint, or a repository that holds them, is damaged.
    #[error("{what} is damaged: {detail}")]
    Damaged {
        /// Which.
        what: String,
        /// What was found.
        detail: String,
    },
    /// Something stands in the way that cannot be accounted for; nothing was changed.
    #[error("{} in the way, left alone: {}", count(paths.len()), paths.join(", "))]
    InTheWay {
        /// Paths in the workspace, fit to show; the first of them.
        paths: Vec<String>,
    },
    /// There is no room.
    #[error("no room on {host}: {detail}")]
    Full {
        /// The host.
        host: String,
        /// In the system's words.
        detail: String,
    },
    /// git refused.
    #[error("failed to {verb} on {host}: {detail}")]
    Refused {
        /// The host.
        host: String,
        /// What was tried.
        verb: &'static str,
        /// What git said.
        detail: String,
    },
}

fn count(number: usize) -> String {
    if number == 1 { "a file is".into() } else { format!("{number} files are") }
}
