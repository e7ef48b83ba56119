//! Calling git on a repository of checkpoints.

use std::time::Duration;

use crate::{
    checkpoint::{CheckpointError, repo::Repo},
    git::CLEAN,
    shell::{Command, Output, run},
};

/// How long a question may take.
pub(in crate::checkpoint) const ASK_LIMIT: Duration = Duration::from_secs(60);

/// Makes `g` git on the repository `$1`, with nothing of the user's configuration. What comes
/// after it finds its own arguments in `$@`.
const GIT: &str = "shift; GIT_DIR=$1; export GIT_DIR; shift; umask 077; \
    g() { git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c core.untrackedCache=false \
        -c core.splitIndex=false -c core.sparseCheckout=false -c index.sparse=false \
        -c core.protectNTFS=false -c core.protectHFS=false -c core.autocrlf=false \
        -c core.safecrlf=false -c core.fileMode=true -c core.symlinks=true \
        -c core.ignoreCase=false -c core.excludesFile=/dev/null -c core.quotePath=true \
        -c core.attributesFile=/dev/null -c submodule.recurse=false -c gc.auto=0 \
        -c maintenance.auto=false -c core.commitGraph=false \"$@\"; }; ";

/// What a script ends with if the commit, or the tree, is not in the repository.
pub(in crate::checkpoint) const NOT_THERE: i32 = 43;

/// What a script ends with if the checkpoint does not have what is asked for.
const ABSENT: i32 = 44;

/// Leaves if `$1` names nothing in the repository.
pub(in crate::checkpoint) const EXPECT: &str =
    "g rev-parse -q --verify \"$1^{tree}\" >/dev/null 2>&1 || exit 43; ";

impl Repo {
    /// Returns a command that runs `script` with `words`; in it, `g` is git on this repository.
    pub(in crate::checkpoint) fn command<W: AsRef<[u8]>>(
        &self,
        script: &str,
        words: &[W],
    ) -> Command {
        let script = [CLEAN, GIT, script].concat();
        let mut command = Command::new(["sh", "-c", &script, "git", "", self.dir.as_str()])
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("LC_ALL", "C");
        command.argv.extend(words.iter().map(|it| it.as_ref().to_vec()));
        command
    }

    /// Runs a script; takes nothing but success.
    pub(in crate::checkpoint) async fn ask<W: AsRef<[u8]>>(
        &self,
        verb: &'static str,
        script: &str,
        words: &[W],
    ) -> Result<Output, CheckpointError> {
        let output = run(&*self.shell, &self.command(script, words), ASK_LIMIT).await?;
        self.checked(verb, output)
    }

    /// Takes nothing but success.
    pub(in crate::checkpoint) fn checked(
        &self,
        verb: &'static str,
        output: Output,
    ) -> Result<Output, CheckpointError> {
        let host = || self.shell.host().to_owned();
        let detail = match output.complaint() {
            complaint if complaint.is_empty() => format!("status {}", output.code),
            complaint => complaint,
        };
        match output.code {
            0 => Ok(output),
            127 if detail.contains("git") => Err(CheckpointError::NoGit { host: host() }),
            _ if is_full(&detail) => Err(CheckpointError::Full { host: host(), detail }),
            _ => Err(CheckpointError::Refused { host: host(), verb, detail }),
        }
    }

    /// Runs a script on the commit that `words` begin with, if that is there. That anything else
    /// fails means damage.
    pub(in crate::checkpoint) async fn read<W: AsRef<[u8]>>(
        &self,
        script: &str,
        words: &[W],
    ) -> Result<Output, CheckpointError> {
        let commit = || String::from_utf8_lossy(words[0].as_ref()).into_owned();
        let output = self.read_if(script, words).await?;
        output.ok_or_else(|| damaged(&commit(), "a part of it is not there"))
    }

    /// As [`Repo::read`]; nothing if the script ends with 44.
    pub(in crate::checkpoint) async fn read_if<W: AsRef<[u8]>>(
        &self,
        script: &str,
        words: &[W],
    ) -> Result<Option<Output>, CheckpointError> {
        let commit = words.first().map(|it| String::from_utf8_lossy(it.as_ref()).into_owned());
        let commit = commit.unwrap_or_default();
        if !is_id(&commit) {
            return Err(CheckpointError::Missing { commit, repo: self.dir.clone() });
        }
        let script = [EXPECT, script].concat();
        let output = run(&*self.shell, &self.command(&script, words), ASK_LIMIT).await?;
        if output.code == NOT_THERE {
            return Err(CheckpointError::Missing { commit, repo: self.dir.clone() });
        }
        if output.code == ABSENT {
            return Ok(None);
        }
        self.checked("read a checkpoint", output).map(Some).map_err(|it| match it {
            CheckpointError::Refused { detail, .. } => damaged(&commit, detail),
            other => other,
        })
    }
}

/// Tells whether this is the whole name of an object.
pub(in crate::checkpoint) fn is_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|it| it.is_ascii_hexdigit())
}

/// Returns the complaint that a checkpoint is damaged.
pub(in crate::checkpoint) fn damaged(commit: &str, detail: impl Into<String>) -> CheckpointError {
    let name = commit.get(..12).unwrap_or(commit);
    CheckpointError::Damaged { what: format!("the checkpoint {name}"), detail: detail.into() }
}

fn is_full(detail: &str) -> bool {
    ["No space left", "Disk quota exceeded", "File too large"].iter().any(|it| detail.contains(it))
}

/// Splits at the first `at`, which belongs to neither part.
pub(in crate::checkpoint) fn split_once(bytes: &[u8], at: u8) -> (&[u8], &[u8]) {
    match bytes.iter().position(|it| *it == at) {
        Some(it) => (&bytes[..it], &bytes[it + 1..]),
        None => (bytes, &[]),
    }
}
