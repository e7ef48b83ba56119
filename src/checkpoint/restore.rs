//! Bringing back: a checkpoint that the shadow holds, into a directory of its host.
//!
//! What differs between the two states is known from their trees (`plan`), so only those files are
//! looked at, and where files shall come what is there. From that is judged what is in the way
//! (`judge`, pure); only when nothing is, anything is changed. Then git goes from the one state to
//! the other (`work`), unit by unit, with an index in the shadow that holds just these files and
//! knows how they were found, so that it refuses by itself to overwrite what was changed in
//! between. Permissions, empty directories and times follow (`finish`, `modes`).
//!
//! A note in the shadow says what is being restored until that is done. With it, a second attempt
//! knows a file that begins as it shall be for one that was being written when the first ended.

mod beside;
mod finish;
mod judge;
mod modes;
mod plan;
mod position;
mod unit;
mod units;
mod work;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub(in crate::checkpoint) use unit::join;
pub(in crate::checkpoint) use units::{Part, Tops};

use crate::{
    checkpoint::{
        CheckpointError,
        restore::{
            plan::{Goal, Plan},
            work::Work,
        },
        shadow::Shadow,
    },
    domain::ids::HostPath,
    stdx::text::one_line,
};

/// How long a look at a workspace may take.
const LIMIT: Duration = Duration::from_secs(120);

/// The most paths that are named as being in the way.
const NAMED_MAX: usize = 20;

/// The longest path named, in characters.
const PATH_MAX: usize = 400;

/// Makes the attributes that no file is rewritten by, if the shadow has none, and forgets what an
/// earlier attempt has left.
const BEGIN: &str = "mkdir -p \"$GIT_DIR/info\" || exit; file=$GIT_DIR/info/attributes; \
    line='* -text -eol -filter -ident !working-tree-encoding'; \
    [ -s \"$file\" ] || printf '%s\\n' \"$line\" > \"$file\" || exit; \
    rm -f \"$GIT_DIR\"/restore-*";

/// Removes what only a restore needs.
const END: &str = "rm -f \"$GIT_DIR\"/restore-* \"$GIT_DIR/restoring\"";

/// What restoring does to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is not there and will be.
    Add,
    /// It will have another content, mode or kind.
    Change,
    /// It is there and will not be.
    Delete,
}

/// What restoring changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Files by path, raw bytes; the first [`LIST_MAX`].
    pub files: Vec<(Vec<u8>, Effect)>,
    /// How many there are in all.
    pub count: u64,
    /// Files that are there, are in no checkpoint, and would be overwritten: restoring refuses.
    pub in_the_way: Vec<Vec<u8>>,
}

/// Files listed of a restore; more are counted.
pub const LIST_MAX: usize = 2000;

/// What was brought back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// What changed.
    pub changes: Changes,
    /// Pieces that are missing or damaged, as sentences; the rest is there.
    pub missing: Vec<String>,
}

impl Shadow {
    /// Returns what [`Shadow::restore`] would change. `from` is what the directory holds now: a
    /// checkpoint just made of it, or a tree by [`Shadow::now`]; nothing for a directory that is
    /// empty or not there.
    ///
    /// # Errors
    ///
    /// As [`crate::checkpoint::repo::Repo::meta`].
    pub async fn changes(
        &self,
        from: Option<&str>,
        commit: &str,
        to: &HostPath,
    ) -> Result<Changes, CheckpointError> {
        Ok(self.plan(from, commit, to, LIMIT).await?.changes())
    }

    /// Makes the directory `to` hold what the checkpoint holds.
    ///
    /// With `from` (a checkpoint just made of `to`) only what differs is touched: files that
    /// changed since, or that are in no checkpoint, are never overwritten. Without it, `to` must
    /// be empty or not be there, or hold just that already. Files that are ignored or were left out stay as they are. If the
    /// git directory was in the workspace and is gone it is made anew: branches, HEAD, index. A
    /// git directory that is there is left as it is.
    ///
    /// May be killed at any moment: what is there then is a mixture of the two states, `from` is
    /// whole, and doing it again completes it.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::InTheWay`] if something would be overwritten that is in no checkpoint;
    /// nothing was changed then.
    pub async fn restore(
        &self,
        from: Option<&str>,
        commit: &str,
        to: &HostPath,
        limit: Duration,
    ) -> Result<Restored, CheckpointError> {
        let plan = self.plan(from, commit, to, limit).await?;
        let changes = plan.changes();
        if !changes.in_the_way.is_empty() {
            return Err(in_the_way(&changes.in_the_way));
        }
        let note = note(from, commit, to);
        self.repo.shell.put(&self.note_path(), note.as_bytes(), 0o600).await?;
        let mut missing = Work::new(&self.repo, &plan, to, limit).carry_out().await?;
        self.bring_position_back(&plan.meta, commit, to, limit, &mut missing).await?;
        let none: [&str; 0] = [];
        self.repo.ask("tidy up", END, &none).await?;
        missing.sort();
        missing.dedup();
        Ok(Restored { changes, missing })
    }

    /// Restores once more what an attempt that was just made left out: what that wrote is known for
    /// its own.
    ///
    /// # Errors
    ///
    /// As [`Shadow::restore`].
    pub async fn restore_again(
        &self,
        from: Option<&str>,
        commit: &str,
        to: &HostPath,
        limit: Duration,
    ) -> Result<Restored, CheckpointError> {
        let note = note(from, commit, to);
        self.repo.shell.put(&self.note_path(), note.as_bytes(), 0o600).await?;
        self.restore(from, commit, to, limit).await
    }

    /// Reads both states, looks at the directory, and judges.
    async fn plan(
        &self,
        from: Option<&str>,
        commit: &str,
        to: &HostPath,
        limit: Duration,
    ) -> Result<Plan, CheckpointError> {
        let none: [&str; 0] = [];
        let meta = self.repo.meta(commit).await?;
        self.repo.ask("prepare the shadow", BEGIN, &none).await?;
        let noted = self.repo.shell.get(&self.note_path(), 0, 64 * 1024).await?;
        let again = noted.is_some_and(|it| it == note(from, commit, to).into_bytes());
        Plan::make(&self.repo, Goal { from, commit, to, limit, again }, meta).await
    }

    fn note_path(&self) -> HostPath {
        self.repo.dir.join("restoring")
    }
}

/// Returns what is noted while this is restored.
fn note(from: Option<&str>, commit: &str, to: &HostPath) -> String {
    format!("{}\n{commit}\n{to}\n", from.unwrap_or_default())
}

fn in_the_way(paths: &[Vec<u8>]) -> CheckpointError {
    let mut named: Vec<String> = paths.iter().take(NAMED_MAX).map(|it| shown(it)).collect();
    if NAMED_MAX < paths.len() {
        named.push(format!("and {} more", paths.len() - NAMED_MAX));
    }
    CheckpointError::InTheWay { paths: named }
}

fn shown(path: &[u8]) -> String {
    one_line(&String::from_utf8_lossy(path), PATH_MAX)
}
