//! Making a damaged copy of a checkpoint whole again from the other copy.
//!
//! ```text
//! vault ◀──mend_here── shadow      gather.sh: every object that either can read
//!       ──mend_there─▶             mend.sh: in front of what is there, by names computed anew
//! ```

use std::time::Duration;

use crate::{
    checkpoint::{
        CheckpointError,
        repo::Repo,
        shadow::Shadow,
        vault::{
            GATHER, MEND, NO_COMMIT, SIGPIPE, Vault, command, giving_way, missing, must_be_name,
            pipe, refused,
        },
    },
    domain::ids::{CheckpointId, TaskId},
    stdx::random,
};

/// From where to where good copies go, and how.
struct Cure<'a> {
    from: &'a Repo,
    to: &'a Repo,
    /// Whether both are on one machine, so that either's copies can be taken.
    near: bool,
    /// Whether nobody waits for it.
    unasked: bool,
    /// Git's word for what must be on disk at the end.
    fsync: &'a str,
}

impl Vault {
    /// Puts good copies of what a checkpoint consists of into `shadow`, in front of what is there.
    /// What can be read nowhere stays as it is.
    ///
    /// # Errors
    ///
    /// If the checkpoint is not here, or too damaged to tell what it consists of.
    pub async fn mend_there(
        &self,
        shadow: &Shadow,
        id: &CheckpointId,
        commit: &str,
        near: bool,
        limit: Duration,
    ) -> Result<(), CheckpointError> {
        must_be_name(commit, &self.repo)?;
        let _shared = self.locks.objects.read().await;
        let to = &shadow.repo;
        let cure = Cure { from: &self.repo, to, near, unasked: false, fsync: "none" };
        let work = async {
            self.ready(to).await?;
            cure.apply(commit).await?;
            self.keep(to, &format!("refs/checkpoints/{id}"), commit, "none").await
        };
        pipe::within(limit, &*self.repo.shell, "hand out a checkpoint", work).await?
    }

    /// Puts good copies of what a checkpoint consists of here, in front of what is here. What can
    /// be read nowhere stays as it is.
    ///
    /// # Errors
    ///
    /// If the checkpoint is not in `shadow`, or too damaged to tell what it consists of.
    #[expect(clippy::too_many_arguments, reason = "each is known to the caller alone")]
    pub async fn mend_here(
        &self,
        shadow: &Shadow,
        task: &TaskId,
        id: &CheckpointId,
        commit: &str,
        near: bool,
        limit: Duration,
    ) -> Result<(), CheckpointError> {
        must_be_name(commit, &shadow.repo)?;
        let _shared = self.locks.objects.read().await;
        let to = &self.repo;
        let cure = Cure { from: &shadow.repo, to, near, unasked: true, fsync: "all" };
        let work = async {
            self.ready(to).await?;
            cure.apply(commit).await?;
            self.keep(to, &format!("refs/checkpoints/{task}/{id}"), commit, "all").await
        };
        pipe::within(limit, &*self.repo.shell, "take in a checkpoint", work).await?
    }
}

impl Cure<'_> {
    async fn apply(&self, commit: &str) -> Result<(), CheckpointError> {
        let Cure { from, to, near, unasked, fsync } = *self;
        let other = if near { to.dir.as_str() } else { "" };
        let gather = [from.dir.as_str(), commit, &random::base32(12), other];
        let mend = [to.dir.as_str(), &random::base32(12), fsync];
        let gather = giving_way(unasked, command(GATHER, &gather));
        let mend = giving_way(unasked, command(MEND, &mend));
        let (gathered, mended) = pipe::joined((&*from.shell, &gather), (&*to.shell, &mend)).await?;
        match (gathered.code, mended.code) {
            (0, 0) => Ok(()),
            (NO_COMMIT, _) => Err(missing(commit, from)),
            (0 | SIGPIPE, _) => Err(refused(to, "take in a checkpoint", &mended)),
            _ => Err(refused(from, "pack a checkpoint", &gathered)),
        }
    }
}
