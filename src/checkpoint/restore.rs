//! Bringing back: a checkpoint that the shadow holds, into a directory of its host.
//!
//! A unit is looked at first: what differs between the two trees, what in the directory is not as
//! either has it, what is in neither. From that is judged what is in the way (`judge`, pure);
//! only when nothing is in any unit's way is anything changed. Then git goes from the one tree to
//! the other, with an index in the shadow that knows which files are as it comes from, so that it
//! refuses by itself to overwrite what was changed in between. Permissions, empty directories and
//! times follow (`modes`).
//!
//! A note in the shadow says what is being restored until that is done. With it, a second attempt
//! knows a file that begins as it shall be for one that was being written when the first ended.

mod beside;
mod judge;
mod modes;
mod plan;
mod position;
mod unit;
mod units;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub(in crate::checkpoint) use unit::join;
pub(in crate::checkpoint) use units::{Part, Tops};

use crate::{
    checkpoint::{
        CheckpointError,
        restore::{
            plan::{Blob, Plan},
            unit::{DESCEND, PUT, Unit},
        },
        shadow::Shadow,
    },
    domain::ids::HostPath,
    shell::run,
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
    [ -s \"$file\" ] || printf '%s\\n' \"$line\" > \"$file\"";

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
    /// be empty or not be there. Files that are ignored or were left out stay as they are. If the
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
        let mut missing = plan.missing.clone();
        if plan.can_be_tried() {
            for it in &plan.units {
                self.go(&plan, it, true, (to, limit), &mut missing).await?;
            }
        }
        let note = note(from, commit, to);
        self.repo.shell.put(&self.note_path(), note.as_bytes(), 0o600).await?;
        self.carry_out(&plan, to, limit, &mut missing).await?;
        self.bring_position_back(&plan.meta, commit, to, limit, &mut missing).await?;
        let none: [&str; 0] = [];
        self.repo.ask("tidy up", END, &none).await?;
        missing.sort();
        missing.dedup();
        Ok(Restored { changes, missing })
    }

    /// Changes the directory.
    async fn carry_out(
        &self,
        plan: &Plan,
        to: &HostPath,
        limit: Duration,
        missing: &mut Vec<String>,
    ) -> Result<(), CheckpointError> {
        let (repo, mask) = (&self.repo, plan.mask());
        plan.opening().carry_out(repo, to, mask, limit).await.ok();
        for it in plan.blobs.iter().filter(|it| it.goes_first()) {
            self.put(it, to, true).await?;
        }
        let here = |it: &&plan::Look| it.facts.place == judge::Place::Here;
        for it in plan.units.iter().rev().filter(|it| it.unit.to.is_none()).filter(here) {
            self.go(plan, it, false, (to, limit), missing).await?;
        }
        plan.removing().carry_out(repo, to, mask, limit).await.ok();
        for it in plan.units.iter().filter(|it| it.unit.to.is_some()) {
            self.go(plan, it, false, (to, limit), missing).await?;
        }
        for it in &plan.blobs {
            if let Err(error) = self.put(it, to, false).await {
                missing.push(format!("{}: {error}", shown(&it.path)));
            }
        }
        let failed = plan.deeds().carry_out(repo, to, mask, limit).await?;
        missing.extend(failed.iter().map(|it| format!("{}: its permissions", shown(it))));
        plan.removing().carry_out(repo, to, mask, limit).await?;
        modes::set_times(repo, to, &plan.times(), limit).await
    }

    /// Goes from one tree to the other in a unit. What the checkpoint lacks is noted.
    async fn go(
        &self,
        plan: &Plan,
        it: &plan::Look,
        only_try: bool,
        (to, limit): (&HostPath, Duration),
        missing: &mut Vec<String>,
    ) -> Result<(), CheckpointError> {
        let stays = |path: &[u8]| plan.stays(&it.unit.full(path));
        let told = it.unit.told(&it.facts, stays);
        if only_try && Unit::is_absent(&it.facts) {
            return Ok(());
        }
        let mask = it.record.mask();
        let gone = it.unit.go(&self.repo, told, (mask, only_try), (to, limit)).await?;
        if gone.output.code == 0 {
            return Ok(());
        }
        if let Some(path) = gone.refused() {
            return Err(in_the_way(&[it.unit.full(path.as_bytes())]));
        }
        let Some(ids) = gone.unreadable() else {
            return self.repo.checked("write the files", gone.output).map(drop);
        };
        let is_lost = |step: &&judge::Step| ids.contains(&step.to_id);
        let lost: Vec<_> = it.facts.steps.iter().filter(is_lost).collect();
        if lost.is_empty() {
            return self.repo.checked("write the files", gone.output).map(drop);
        }
        let say = |step: &judge::Step| {
            format!("{}: the checkpoint's copy is damaged", shown(&it.unit.full(&step.path)))
        };
        missing.extend(lost.into_iter().map(say));
        Ok(())
    }

    /// Puts what is called `.git` and is no directory in its place; only takes it away if `take`.
    async fn put(&self, blob: &Blob, to: &HostPath, take: bool) -> Result<(), CheckpointError> {
        let (id, mode) = match &blob.to {
            Some(to) if !take => (to.id.as_str(), if to.link { "link" } else { "644" }),
            _ => ("", ""),
        };
        if !take && id.is_empty() {
            return Ok(());
        }
        let words = [id.as_bytes(), mode.as_bytes(), to.as_str().as_bytes(), &blob.path];
        let command = self.repo.command(&[DESCEND, "umask 022; ", PUT].concat(), &words);
        let output = run(&*self.repo.shell, &command, LIMIT).await?;
        self.repo.checked("write the files", output).map(drop)
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
        Plan::make(&self.repo, (from, commit, meta), (to, limit), again).await
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
