//! Restoring from two copies: what is damaged on the host is fetched again from this machine.

use crate::{
    api::error::{ApiError, ErrorKind},
    checkpoint::{CheckpointError, restore::Restored, shadow::Shadow},
    dispatcher::recover::{Means, There, WORK_LIMIT, back::may_be_damage},
    domain::{checkpoint::Checkpoint, ids::HostPath},
};

/// Checkpoints that are read whole in search of one that is: a person waits for that.
const READ_MAX: usize = 8;

/// What a restore has come to.
pub struct Outcome {
    /// What was put back, and what is missing.
    pub restored: Restored,
    /// What is wrong with the checkpoint, if that is why something is missing.
    pub damage: Option<String>,
}

impl Means<'_> {
    /// Restores a checkpoint that `shadow` holds. If something of it turns out damaged there it is
    /// fetched again from this machine, and restored once more: only what is damaged here as well
    /// is missing then, and written down.
    pub(super) async fn restored(
        self,
        there: &There,
        shadow: &Shadow,
        checkpoint: &Checkpoint,
        from: Option<&str>,
        to: &HostPath,
    ) -> Result<Outcome, CheckpointError> {
        let commit = &checkpoint.commit;
        let first = shadow.restore(from, commit, to, WORK_LIMIT).await;
        let first = match first {
            Ok(restored) if restored.missing.is_empty() => {
                return Ok(Outcome { restored, damage: None });
            }
            Err(error) if !may_be_damage(&error) => return Err(error),
            first => first,
        };
        let restored = if self.mended(there, shadow, checkpoint).await {
            match first {
                Ok(first) => match shadow.restore_again(from, commit, to, WORK_LIMIT).await {
                    Ok(second) => Restored { changes: first.changes, missing: second.missing },
                    Err(error) => {
                        tracing::warn!(checkpoint = %checkpoint.id, %error, "only what was whole");
                        first
                    }
                },
                Err(_) => shadow.restore(from, commit, to, WORK_LIMIT).await?,
            }
        } else {
            first?
        };
        let damage = match restored.missing.is_empty() {
            true => None,
            false => self.written_down(shadow, checkpoint).await,
        };
        Ok(Outcome { restored, damage })
    }

    /// Fetches again what is damaged of a checkpoint in `shadow`, if anything is. Tells whether
    /// that changed something.
    pub(super) async fn mended(
        self,
        there: &There,
        shadow: &Shadow,
        checkpoint: &Checkpoint,
    ) -> bool {
        let Checkpoint { id, commit, .. } = checkpoint;
        match shadow.repo.verify(commit).await {
            Ok(Some(flaw)) => {
                tracing::warn!(checkpoint = %id, what = flaw.what, git = flaw.git, "damaged there");
            }
            _ => return false,
        }
        let near = there.is_near();
        let mended = self.keeper.vault().mend_there(shadow, id, commit, near, WORK_LIMIT).await;
        if let Err(error) = &mended {
            tracing::warn!(checkpoint = %id, %error, "not fetched again");
        }
        mended.is_ok()
    }

    /// Writes down what is wrong with a checkpoint in `shadow`, and returns it.
    async fn written_down(self, shadow: &Shadow, checkpoint: &Checkpoint) -> Option<String> {
        let flaw = shadow.repo.verify(&checkpoint.commit).await.ok()??;
        if let Err(error) = self.keeper.mark(&checkpoint.id, Some(flaw.what.clone())).await {
            tracing::warn!(checkpoint = %checkpoint.id, %error, "failed to write down a damage");
        }
        Some(flaw.what)
    }

    /// Returns the error of one who wants to go on from a checkpoint that is damaged.
    pub(super) async fn corrupted(self, checkpoint: &Checkpoint, what: &str) -> ApiError {
        let id = &checkpoint.id;
        let message = format!("Corrupted checkpoint: {id} is damaged: {what}");
        let error = ApiError::new(ErrorKind::Store, message);
        match self.instead_of(checkpoint).await {
            Some(good) => error.hint(format!("the newest one that is whole is {good}")),
            None => error.hint("there is no whole one of this task"),
        }
    }

    /// Returns the newest whole checkpoint of the same task, by reading it, as far as it is here.
    async fn instead_of(self, checkpoint: &Checkpoint) -> Option<String> {
        let vault = &self.keeper.vault().repo;
        let rows = self.keeper.of(&checkpoint.task).await.ok()?;
        let others = rows.iter().filter(|it| it.id != checkpoint.id && it.damage.is_none());
        for other in others.take(READ_MAX) {
            if matches!(vault.verify(&other.commit).await, Ok(None)) {
                return Some(other.id.to_string());
            }
        }
        None
    }
}
