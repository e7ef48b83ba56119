//! Putting back what is missing before a task goes on, and only that.

use std::{borrow::Cow, sync::Arc};

use crate::{
    api::error::{ApiError, ErrorKind},
    checkpoint::restore::Restored,
    dispatcher::{
        recover::{
            Means, There, WORK_LIMIT,
            back::is_damage,
            judge::Known,
            look::{self, Sight},
            talk::Talk,
        },
        session::host_error,
    },
    domain::{
        checkpoint::Checkpoint,
        event::EventBody,
        ids::HostPath,
        task::{Isolation, Task},
    },
    git::{Adoption, Files, Git},
    shell::{Command, run},
};

/// The directory that Parhelia makes for a task's files, in the task's own.
pub const WORKSPACE: &str = "workspace";

/// Moves `$1` out of the way, under a name that is free.
const ASIDE: &str = "n=1; while [ -e \"$1.damaged-$n\" ]; do n=$((n + 1)); done; \
    mv -- \"$1\" \"$1.damaged-$n\"";

/// Puts back what a task needs to go on and has not: its workspace and, if it `talks` on, its
/// conversation. What there is stays as it is. A piece that cannot be had is written down, and the rest goes on.
///
/// # Errors
///
/// If something else has the conversation open, if the host does not answer, or if there is no
/// workspace and none can be had.
pub async fn heal(
    means: Means<'_>,
    task: &Task,
    there: &There,
    talks: bool,
) -> Result<(), ApiError> {
    let _held = means.keeper.lock(&task.id).await;
    let sight = look::look(&*there.worker.shell, task, &there.config).await;
    let sight = sight.map_err(|it| host_error(&it))?;
    if talks {
        means.free(task, &sight.live).await?;
    }
    let rows = means.keeper.of(&task.id).await?;
    let last = means.newest_there(&rows, Some(there)).await;
    let known = Known { task, sight: Ok(sight.clone()), last: last.as_ref() };
    if known.lacks_workspace() {
        means.put_workspace(task, there, last.as_ref(), &sight).await?;
    } else if let Some(last) = &last
        && !sight.linked
    {
        let lost = means.relink(task, there, last).await;
        means.tell_missing(task, lost.as_slice()).await;
    }
    if known.lacks_conversation() && talks {
        let lost = means.put_newest_conversation(task, there, &rows, &sight).await;
        means.tell_missing(task, lost.as_slice()).await;
    }
    Ok(())
}

/// Moves `$1` out of the way if it borrows objects of a repository that is gone, as when that was in
/// the workspace: what it has of its own is not enough to put anything back.
const ASIDE_IF_UNSOUND: &str = "lost=; file=$1/objects/info/alternates; \
    [ -f \"$file\" ] || exit 0; \
    while IFS= read -r dir; do [ -d \"$dir\" ] || lost=yes; done <\"$file\"; \
    [ -n \"$lost\" ] || exit 0; \
    n=1; while [ -e \"$1.damaged-$n\" ]; do n=$((n + 1)); done; mv -- \"$1\" \"$1.damaged-$n\"";

/// Moves a shadow repository aside that lacks what it borrowed. To be called only if what is wanted
/// of it is on this machine as well.
pub(super) async fn drop_unsound(there: &There) -> Result<(), ApiError> {
    move_aside(there, ASIDE_IF_UNSOUND).await
}

async fn move_aside(there: &There, script: &str) -> Result<(), ApiError> {
    let aside = Command::new(["sh", "-c", script, "sh", there.shadow().repo.dir.as_str()]);
    let moved = run(&*there.worker.shell, &aside, WORK_LIMIT).await;
    moved.map(drop).map_err(|it| host_error(&it))
}

impl Means<'_> {
    /// Puts the workspace back from the newest whole checkpoint; one that turns out damaged is
    /// written down, and the next is tried.
    async fn put_workspace(
        self,
        task: &Task,
        there: &There,
        last: Option<&Checkpoint>,
        sight: &Sight,
    ) -> Result<(), ApiError> {
        let Some(to) = task.place.as_ref().and_then(|it| it.workspace.as_ref()) else {
            return Ok(());
        };
        let mut next = last.map(Cow::Borrowed);
        let mut failed = None;
        while let Some(checkpoint) = next.take() {
            match self.put_files(task, there, &checkpoint, to).await {
                Ok(()) => return Ok(()),
                Err(error) if error.kind == ErrorKind::Store => {
                    failed = Some(error);
                    let rows = self.keeper.of(&task.id).await?;
                    let other = self.newest_there(&rows, Some(there)).await;
                    next = other.filter(|it| it.id != checkpoint.id).map(Cow::Owned);
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        if sight.empty && task.spec.isolation == Isolation::None {
            return Ok(());
        }
        self.make_again(task, there, to).await
    }

    /// Makes a workspace anew that is in no checkpoint, from its branch. Where that is gone too, the
    /// launch makes one from what the task was made from.
    async fn make_again(self, task: &Task, there: &There, to: &HostPath) -> Result<(), ApiError> {
        let place = task.place.as_ref();
        let Some(branch) = place.and_then(|it| it.branch.as_ref()).filter(|_| task.home.is_none())
        else {
            let message = format!("the workspace {to} is gone, and in no checkpoint");
            return Err(ApiError::new(ErrorKind::Conflict, message)
                .hint("make the directory again, or submit a new task"));
        };
        let git = Git::new(Arc::clone(&there.worker.shell));
        let dest = there.run_dir.join(WORKSPACE);
        let mut lost = "the workspace, which is in no checkpoint".to_owned();
        if task.spec.isolation == Isolation::Worktree
            && let Ok(Some(repo)) = git.inspect(&task.spec.workspace).await
        {
            match git.worktree_again(&repo.root, &dest, branch).await {
                Ok(true) => lost.push_str(", but for what is on its branch"),
                Ok(false) => (),
                Err(error) => lost = format!("{lost}: {error}"),
            }
        }
        self.tell_missing(task, &[lost]).await;
        Ok(())
    }

    async fn put_files(
        self,
        task: &Task,
        there: &There,
        checkpoint: &Checkpoint,
        to: &HostPath,
    ) -> Result<(), ApiError> {
        let restored = self.put_whole(there, checkpoint, to).await?;
        let mut missing = restored.missing;
        missing.extend(self.relink(task, there, checkpoint).await);
        self.tell_missing(task, &missing).await;
        let body = EventBody::Restored {
            checkpoint: checkpoint.id.clone(),
            safety: None,
            workspace: to.clone(),
            files: restored.changes.count,
            conversation: None,
        };
        self.record(&task.id, body).await
    }

    /// Puts a checkpoint's files into a directory that has none. A shadow repository that turns out
    /// damaged is moved aside if the one on this machine has the checkpoint whole.
    async fn put_whole(
        self,
        there: &There,
        checkpoint: &Checkpoint,
        to: &HostPath,
    ) -> Result<Restored, ApiError> {
        let shadow = self.bring(there, checkpoint).await?;
        let error = match self.restored(there, &shadow, checkpoint, None, to).await {
            Ok(outcome) => return Ok(outcome.restored),
            Err(error) => error,
        };
        let here = self.keeper.vault().repo.verify(&checkpoint.commit).await;
        if !is_damage(&error) || !matches!(here, Ok(None)) {
            return Err(self.blame(checkpoint, &error).await);
        }
        tracing::warn!(dir = %shadow.repo.dir, %error, "moved aside");
        move_aside(there, ASIDE).await?;
        let shadow = self.bring(there, checkpoint).await?;
        match self.restored(there, &shadow, checkpoint, None, to).await {
            Ok(outcome) => Ok(outcome.restored),
            Err(error) => Err(self.blame(checkpoint, &error).await),
        }
    }

    /// Makes a workspace of Parhelia's own a work tree of its repository again, if it is none.
    /// Returns what is missing if that cannot be.
    pub(super) async fn relink(
        self,
        task: &Task,
        there: &There,
        checkpoint: &Checkpoint,
    ) -> Option<String> {
        if task.spec.isolation != Isolation::Worktree || task.home.is_some() {
            return None;
        }
        let branch = task.place.as_ref().and_then(|it| it.branch.clone())?;
        let head = checkpoint.head.clone()?;
        let git = Git::new(Arc::clone(&there.worker.shell));
        let dest = there.run_dir.join(WORKSPACE);
        let ends = |it: &HostPath| {
            let dir = it.parent().is_some_and(|it| it.file_name() == task.id.as_str());
            dir && it.file_name() == WORKSPACE
        };
        if git.inspect(&dest).await.ok().flatten().is_some_and(|it| ends(&it.root)) {
            return None;
        }
        let from = &task.spec.workspace;
        let root = match git.inspect(from).await {
            Ok(Some(repo)) => repo.root,
            Ok(None) => {
                return Some(format!("its place in the repository of {from}, which is gone"));
            }
            Err(error) => return Some(format!("its place in the repository of {from}: {error}")),
        };
        let spare = there.shadow().repo.dir;
        // A task that works in a directory of the work tree has saved that and nothing around it.
        let inside = checkpoint.workspace.as_str().strip_prefix(dest.as_str());
        let files = match inside.map(|it| it.trim_matches('/')) {
            None | Some("") => Files::None,
            Some(inside) => Files::Outside(inside.to_owned()),
        };
        let adoption = Adoption { root, dest, branch, head, spare, files };
        let adopted = git.adopt(&adoption).await;
        adopted.err().map(|error| format!("its place in the repository of {from}: {error}"))
    }

    /// Puts the task's conversation back from the newest checkpoint that has it: one that was made
    /// when it was gone already, or lost its piece, is no reason to do without.
    async fn put_newest_conversation(
        self,
        task: &Task,
        there: &There,
        rows: &[Checkpoint],
        sight: &Sight,
    ) -> Option<String> {
        let place = task.place.as_ref();
        let workspace = place.and_then(|it| it.workspace.as_ref()).unwrap_or(&task.spec.workspace);
        let same = rows.iter().filter(|it| it.conversation == task.conversation);
        let mut rows: Vec<Checkpoint> = same.cloned().collect();
        let under = task.conversation.as_deref()?;
        let mut lost = "the conversation, which is in no checkpoint".to_owned();
        while let Some(checkpoint) = self.newest_there(&rows, Some(there)).await {
            let put = async {
                let shadow = self.bring(there, &checkpoint).await?;
                let found = sight.transcript.clone();
                let talk = Talk { checkpoint: &checkpoint, under, found, workspace };
                self.put_conversation(task, there, &shadow, talk).await
            };
            match put.await {
                Ok(Some(_)) => {
                    let text = format!("the conversation was put back from {}", checkpoint.id);
                    // Only for people to read.
                    let _ = self.record(&task.id, EventBody::Noted { text }).await;
                    return None;
                }
                Ok(None) => (),
                Err(error) if error.kind == ErrorKind::Store => {
                    tracing::warn!(checkpoint = %checkpoint.id, %error, "no conversation in it");
                    lost = format!("the conversation: {error}");
                }
                Err(error) => return Some(format!("the conversation: {error}")),
            }
            rows.retain(|it| it.id != checkpoint.id);
        }
        Some(lost)
    }
}
