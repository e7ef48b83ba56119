//! git, as far as giving a task a work tree of its own goes.
//!
//! A driver over any [`Shell`]. The user's repository is read, and given objects, a branch of ours
//! and a linked work tree; its files, index, HEAD, other branches, stash and configuration stay as
//! they are. Hooks and file system monitors of the repository are not run.

mod adopt;
pub mod diff;
pub mod keep;
pub mod look;
mod prepare;

pub use adopt::{Adoption, Files};

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    domain::ids::HostPath,
    shell::{Command, Output, Shell, ShellError, run},
};

/// How long a question may take. Most take milliseconds; `status` reads the whole work tree.
const ASK_LIMIT: Duration = Duration::from_secs(60);

/// How long taking in, cloning or writing out a whole work tree may take.
const WORK_LIMIT: Duration = Duration::from_secs(120);

/// What every branch that is ours begins with. No other branch is ever moved or deleted.
pub const BRANCH_PREFIX: &str = "parhelia/";

/// Forgets what a surrounding git may have left in the environment. The first argument is the
/// index to use, empty for the repository's own.
pub(crate) const CLEAN: &str = "unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY \
    GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_COMMON_DIR GIT_NAMESPACE GIT_PREFIX GIT_CONFIG \
    GIT_CONFIG_COUNT GIT_CONFIG_PARAMETERS GIT_CEILING_DIRECTORIES GIT_QUARANTINE_PATH \
    GIT_LITERAL_PATHSPECS GIT_GLOB_PATHSPECS GIT_NOGLOB_PATHSPECS GIT_ICASE_PATHSPECS \
    GIT_EXTERNAL_DIFF GIT_REFLOG_ACTION GIT_SHALLOW_FILE GIT_REPLACE_REF_BASE; \
    [ -z \"$1\" ] || { GIT_INDEX_FILE=$1; export GIT_INDEX_FILE; }; ";

/// Runs git with these arguments.
const RUN: &str = "shift; exec git \"$@\"";

/// Asks in one command what [`Git::inspect`] wants to know, with a NUL between the answers: on some
/// hosts each command is a round trip. `$@` is git with its settings.
const INSPECT: &str = "shift; \
    git \"$@\" rev-parse --show-toplevel || exit; printf '\\000'; \
    git \"$@\" rev-parse --absolute-git-dir || exit; printf '\\000'; \
    git \"$@\" rev-parse -q --verify 'HEAD^{commit}'; printf '\\000'; \
    git \"$@\" symbolic-ref -q --short HEAD; exit 0";

/// Settings that hold for every command, so that nothing of the user's runs or is rewritten.
const SETTINGS: [&str; 9] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.splitIndex=false",
    "core.safecrlf=false",
    "submodule.recurse=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
    "status.relativePaths=false",
];

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The host could not be asked.
    #[error(transparent)]
    Shell(#[from] ShellError),
    /// A branch needs a commit to start from.
    #[error(
        "the repository {root} has no commit to start from: make one, or run with `--isolation none`"
    )]
    NoCommits {
        /// Its work tree.
        root: HostPath,
    },
    /// There is something where the work tree should go that we did not make.
    #[error("{dest} exists already and was not made by Parhelia")]
    Taken {
        /// Where.
        dest: HostPath,
    },
    /// There is a branch of that name that an unfinished attempt of ours cannot have left.
    #[error("the branch `{branch}` exists already in {root}")]
    BranchTaken {
        /// The repository's work tree.
        root: HostPath,
        /// The branch.
        branch: String,
    },
    /// A path is not UTF-8, so no message or file of ours could name it.
    #[error("git names a path on {host} that is not UTF-8: {}", path.escape_debug())]
    OddPath {
        /// The host.
        host: String,
        /// The path, as far as it can be shown.
        path: String,
    },
    /// git refused.
    #[error("git failed to {verb} on {host}: {detail}")]
    Refused {
        /// The host.
        host: String,
        /// What was tried.
        verb: &'static str,
        /// What git said.
        detail: String,
    },
}

/// A repository with a work tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repo {
    /// The work tree's top directory.
    pub root: HostPath,
    /// Where this work tree's HEAD and index are.
    pub git_dir: HostPath,
    /// The commit that is checked out; none before the first.
    pub head: Option<String>,
    /// The branch that is checked out; none if HEAD is detached.
    pub branch: Option<String>,
}

/// What to prepare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The repository.
    pub repo: Repo,
    /// The directory in it where the task was asked for.
    pub from: HostPath,
    /// Where the new work tree goes. Beside it, `DEST.parhelia` records how far we got.
    pub dest: HostPath,
    /// The new branch, beginning with [`BRANCH_PREFIX`].
    pub branch: String,
    /// Whether uncommitted changes and untracked files come along.
    pub include_dirty: bool,
}

/// What the user's work tree held beyond its commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dirty {
    /// Tracked files that differ from the commit, staged or not.
    pub modified: u64,
    /// Files git was not told of and does not ignore.
    pub untracked: u64,
}

/// A work tree made for a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// The directory that corresponds to [`Plan::from`].
    pub workspace: HostPath,
    /// The branch that is checked out there.
    pub branch: String,
    /// What the user's work tree held beyond its commit; carried over only if asked for.
    pub dirty: Dirty,
    /// What is not as one might expect, as sentences.
    pub notes: Vec<String>,
}

/// What became of a removed work tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Whether the branch was kept, because it holds commits that nothing else does.
    pub branch_kept: bool,
}

/// git on a host.
#[derive(Clone)]
pub struct Git {
    shell: Arc<dyn Shell>,
}

impl Git {
    /// Creates a driver.
    pub fn new(shell: Arc<dyn Shell>) -> Git {
        Git { shell }
    }

    /// Returns the repository whose work tree holds `path`; nothing if there is none, or no git.
    ///
    /// # Errors
    ///
    /// If there is one that git refuses to touch, as when it belongs to someone else.
    pub async fn inspect(&self, path: &HostPath) -> Result<Option<Repo>, GitError> {
        let output = run(&*self.shell, &command(INSPECT, path, ""), ASK_LIMIT).await?;
        if output.code != 0 {
            let complaint = output.complaint();
            let none = ["not a git repository", "must be run in a work tree", "cannot change to"];
            if output.code == 127 || none.iter().any(|it| complaint.contains(it)) {
                return Ok(None);
            }
            return Err(self.refused("look at the repository", &output));
        }
        let mut answers = output.stdout.split(|it| *it == 0);
        let mut next = || answers.next().unwrap_or_default();
        let (root, git_dir) = (self.path_of(next())?, self.path_of(next())?);
        let mut word = || {
            let word = String::from_utf8_lossy(next()).trim_end_matches('\n').to_owned();
            (!word.is_empty()).then_some(word)
        };
        Ok(Some(Repo { root, git_dir, head: word(), branch: word() }))
    }

    /// Runs git in `dir` with `index` in place of the repository's own, if not empty.
    async fn call(&self, dir: &HostPath, index: &str, args: &[&str]) -> Result<Output, GitError> {
        self.feed(dir, index, args, Vec::new(), ASK_LIMIT).await
    }

    async fn feed(
        &self,
        dir: &HostPath,
        index: &str,
        args: &[&str],
        stdin: Vec<u8>,
        limit: Duration,
    ) -> Result<Output, GitError> {
        let mut command = command(RUN, dir, index).stdin(stdin);
        for arg in args {
            command = command.arg(*arg);
        }
        Ok(run(&*self.shell, &command, limit).await?)
    }

    /// Runs git with the repository's own index, and takes nothing but success.
    async fn ok(
        &self,
        dir: &HostPath,
        verb: &'static str,
        args: &[&str],
    ) -> Result<Output, GitError> {
        let output = self.feed(dir, "", args, Vec::new(), WORK_LIMIT).await?;
        self.checked(verb, output)
    }

    fn checked(&self, verb: &'static str, output: Output) -> Result<Output, GitError> {
        if output.code == 0 { Ok(output) } else { Err(self.refused(verb, &output)) }
    }

    fn refused(&self, verb: &'static str, output: &Output) -> GitError {
        let detail = match output.complaint() {
            complaint if complaint.is_empty() => format!("status {}", output.code),
            complaint => complaint,
        };
        GitError::Refused { host: self.shell.host().to_owned(), verb, detail }
    }

    /// Returns the path that git wrote: all but one newline belongs to it.
    fn path_of(&self, said: &[u8]) -> Result<HostPath, GitError> {
        let bytes = said.strip_suffix(b"\n").unwrap_or(said);
        let path = std::str::from_utf8(bytes).ok().and_then(|it| HostPath::new(it).ok());
        path.ok_or_else(|| GitError::OddPath {
            host: self.shell.host().to_owned(),
            path: String::from_utf8_lossy(bytes).into_owned(),
        })
    }
}

/// Returns git in `dir` with its settings, run by `script`.
fn command(script: &str, dir: &HostPath, index: &str) -> Command {
    let script = [CLEAN, script].concat();
    let mut command = Command::new(["sh", "-c", &script, "git", index, "-C", dir.as_str()])
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("LC_ALL", "C");
    for setting in SETTINGS {
        command = command.arg("-c").arg(setting);
    }
    command
}
