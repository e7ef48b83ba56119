//! Going back to a checkpoint on a person's word.

use crate::{
    api::{
        checkpoints::{CheckpointView, CreateCheckpoint, Restore, Restored, RestoredFile, Resume},
        error::{ApiError, ErrorKind},
    },
    checkpoint::{
        CheckpointError,
        restore::{Changes, Effect},
        shadow::Shadow,
    },
    dispatcher::{
        create,
        decide::{Command as Order, no_session},
        keeper::{Held, checkpoint_error},
        losses,
        recover::{Means, There, WORK_LIMIT, judge::Known, look, mend::Outcome, talk::Talk},
        session::host_error,
    },
    domain::{
        checkpoint::{Checkpoint, Trigger},
        event::EventBody,
        ids::{HostPath, WorkerId},
        task::{Isolation, Place, Requirements, Task},
    },
    shell::{Command, run},
    stdx::text::one_line,
};

/// Files that a reply names; more are counted.
const FILES_MAX: usize = 500;
/// The longest path shown, in characters.
const PATH_MAX: usize = 300;

/// What a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dir {
    /// Not there.
    Absent,
    /// There, with nothing in it.
    Empty,
    /// There, with something in it.
    Full,
    /// Something else is in its place.
    Other,
}

/// Where a checkpoint goes.
struct Target {
    there: There,
    to: HostPath,
    dir: Dir,
    /// It is the workspace that the task works in, whose state can be saved first.
    own: bool,
}

impl Means<'_> {
    /// Puts a checkpoint's files back, or says what that would change. `task` is the task as it is
    /// now, if it still is.
    ///
    /// # Errors
    ///
    /// If a turn runs, if something is in the way, or if a piece that nothing goes without is
    /// missing; nothing was changed then.
    pub async fn restore(
        self,
        checkpoint: &Checkpoint,
        task: Option<&Task>,
        how: &Restore,
    ) -> Result<Restored, ApiError> {
        let target = self.target(checkpoint, task, how.target.as_deref()).await?;
        if let Some(task) = task.filter(|_| !how.dry_run) {
            may_change(task, target.own, how.conversation)?;
        }
        if how.dry_run {
            return self.compare(checkpoint, task, &target).await;
        }
        // Held from the one to the other: what is on disk is what was just saved.
        let held = self.keeper.lock(&checkpoint.task).await;
        let safety = match task {
            Some(task) if target.own && target.dir == Dir::Full => {
                Some(self.safety(&held, task).await?)
            }
            _ => None,
        };
        self.put(checkpoint, task, &target, safety, how.conversation).await
    }

    /// Makes a checkpoint of a task's workspace as it is; the newest one is that if nothing changed.
    async fn safety(self, held: &Held, task: &Task) -> Result<Checkpoint, ApiError> {
        let what = CreateCheckpoint::default();
        let trigger = Trigger::BeforeRestore;
        match self.keeper.save_with(held, task, trigger, &what, WORK_LIMIT).await? {
            Some(made) => Ok(made),
            None => self.keeper.of(&task.id).await?.into_iter().next().ok_or_else(|| {
                let message = format!("{} could not be saved before it is changed", task.id);
                ApiError::new(ErrorKind::Internal, message)
            }),
        }
    }

    /// Finds the directory that a checkpoint goes to.
    async fn target(
        self,
        checkpoint: &Checkpoint,
        task: Option<&Task>,
        named: Option<&str>,
    ) -> Result<Target, ApiError> {
        let there = match task.filter(|it| it.place.is_some()) {
            Some(task) => self.there(task).await?,
            None => self.there_without(checkpoint).await?,
        };
        let place = task.and_then(|it| it.place.as_ref());
        let works_in = place.and_then(|it| it.workspace.as_ref());
        let to = match named {
            Some(named) => directory(named)?,
            None => works_in.unwrap_or(&checkpoint.workspace).clone(),
        };
        let own = works_in == Some(&to);
        let dir = self.room(&there, &to, own).await?;
        Ok(Target { there, to, dir, own })
    }

    /// Finds out what is where a checkpoint shall go; refuses if it cannot.
    async fn room(self, there: &There, to: &HostPath, own: bool) -> Result<Dir, ApiError> {
        let refuse = |what: String| Err(ApiError::new(ErrorKind::Conflict, what));
        match self.directory(there, to).await? {
            Dir::Other => refuse(format!("{to} is no directory")),
            Dir::Full if !own => refuse(format!("{to} is not empty")).map_err(|it| {
                it.hint("name a directory that is empty or not there yet: --target DIR")
            }),
            dir => Ok(dir),
        }
    }

    /// Returns where the things of a deleted task are.
    async fn there_without(self, checkpoint: &Checkpoint) -> Result<There, ApiError> {
        let place = Place {
            worker: WorkerId::random(),
            provider: checkpoint.provider.clone(),
            run_dir: None,
            workspace: None,
            branch: None,
        };
        let worker = self.hosts.worker(&place, &Requirements::default()).await?;
        self.there_on(worker, &checkpoint.task, None).await
    }

    pub(super) async fn directory(self, there: &There, dir: &HostPath) -> Result<Dir, ApiError> {
        const SCRIPT: &str = "[ -e \"$1\" ] || [ -L \"$1\" ] || exit 10\n\
            [ -d \"$1\" ] || exit 11\n\
            [ -z \"$(ls -A -- \"$1\" | head -n 1)\" ] && exit 12\n\
            exit 13";
        let command = Command::new(["sh", "-c", SCRIPT, "sh", dir.as_str()]);
        let output = run(&*there.worker.shell, &command, look::LOOK_LIMIT).await;
        let output = output.map_err(|it| host_error(&it))?;
        match output.code {
            10 => Ok(Dir::Absent),
            11 => Ok(Dir::Other),
            12 => Ok(Dir::Empty),
            13 => Ok(Dir::Full),
            _ => Err(ApiError::new(ErrorKind::Host, format!("{dir}: {}", output.complaint()))),
        }
    }

    /// Says what restoring would change.
    async fn compare(
        self,
        checkpoint: &Checkpoint,
        task: Option<&Task>,
        target: &Target,
    ) -> Result<Restored, ApiError> {
        let _held = self.keeper.lock(&checkpoint.task).await;
        let shadow = self.bring(&target.there, checkpoint).await?;
        let rules = self.keeper.rules(false);
        let from = match task {
            Some(_) if target.own && target.dir == Dir::Full => {
                let now = shadow.now(&target.to, &rules, WORK_LIMIT).await;
                Some(now.map_err(|it| checkpoint_error(&it))?)
            }
            _ => None,
        };
        let look = || shadow.changes(from.as_deref(), &checkpoint.commit, &target.to);
        let mut changes = look().await;
        if changes.as_ref().is_err_and(may_be_damage)
            && self.mended(&target.there, &shadow, checkpoint).await
        {
            changes = look().await;
        }
        let changes = match changes {
            Ok(changes) => changes,
            Err(error) => return Err(self.blame(checkpoint, &error).await),
        };
        let mut told = told(checkpoint, &target.to, &changes);
        told.dry_run = true;
        Ok(told)
    }

    /// Puts the files there. The task's lock is held.
    async fn put(
        self,
        checkpoint: &Checkpoint,
        task: Option<&Task>,
        target: &Target,
        safety: Option<Checkpoint>,
        conversation: bool,
    ) -> Result<Restored, ApiError> {
        let Target { there, to, .. } = target;
        let shadow = self.bring(there, checkpoint).await?;
        let from = safety.as_ref().map(|it| it.commit.as_str());
        let Outcome { restored, damage } =
            match self.restored(there, &shadow, checkpoint, from, to).await {
                Ok(outcome) => outcome,
                Err(CheckpointError::InTheWay { paths }) => return Err(in_the_way(&paths)),
                Err(error) => return Err(self.blame(checkpoint, &error).await),
            };
        let mut told = told(checkpoint, to, &restored.changes);
        told.missing = restored.missing.iter().map(|it| one_line(it, PATH_MAX)).collect();
        told.damage = damage;
        told.safety = safety.as_ref().map(CheckpointView::from);
        let Some(task) = task else {
            self.sweep(checkpoint, there).await;
            return Ok(told);
        };
        if target.own {
            told.missing.extend(self.relink(task, there, checkpoint).await);
        }
        let talked = match conversation {
            true => self.talk(task, target, checkpoint, &shadow, &mut told.missing).await,
            false => None,
        };
        self.record(
            &task.id,
            EventBody::Restored {
                checkpoint: checkpoint.id.clone(),
                safety: safety.map(|it| it.id),
                workspace: to.clone(),
                files: restored.changes.count,
                conversation: talked,
            },
        )
        .await?;
        Ok(told)
    }

    /// Removes the directory that was made again for a deleted task's checkpoint to pass through.
    async fn sweep(self, checkpoint: &Checkpoint, there: &There) {
        if there.run_dir != there.worker.info.root.join(checkpoint.task.as_str()) {
            return;
        }
        let command = Command::new(["rm", "-rf", "--", there.run_dir.as_str()]);
        if let Err(error) = run(&*there.worker.shell, &command, WORK_LIMIT).await {
            tracing::warn!(dir = %there.run_dir, %error, "failed to remove it");
        }
    }

    /// Puts the conversation back as well; returns its id. Without it the rest still holds.
    async fn talk(
        self,
        task: &Task,
        target: &Target,
        checkpoint: &Checkpoint,
        shadow: &Shadow,
        missing: &mut Vec<String>,
    ) -> Option<String> {
        let id = checkpoint.conversation.clone()?;
        let of = Task { conversation: Some(id.clone()), ..task.clone() };
        let there = &target.there;
        let sight = look::look(&*there.worker.shell, &of, &there.config).await;
        let found = sight.ok().and_then(|it| it.transcript);
        let talk = Talk { checkpoint, under: &id, found, workspace: &target.to };
        match self.put_conversation(task, there, shadow, talk).await {
            Ok(Some(_)) => return Some(id),
            Ok(None) => missing.push(format!("the conversation is not in {}", checkpoint.id)),
            Err(error) => missing.push(format!("the conversation: {error}")),
        }
        None
    }

    /// Goes on with a task whose session is over.
    ///
    /// # Errors
    ///
    /// If it has a session, if something else has its conversation open, or if what it is to go
    /// back to cannot be had; nothing was changed then that is not in a checkpoint.
    pub async fn resume(self, task: &Task, how: &Resume) -> Result<(), ApiError> {
        if task.state.session().is_some() || !task.state.is_final() {
            return Err(still_open(task));
        }
        let checkpoint = match &how.checkpoint {
            Some(id) => Some(self.own_checkpoint(task, id).await?),
            None => None,
        };
        if task.conversation.is_none()
            && checkpoint.as_ref().is_none_or(|it| it.conversation.is_none())
        {
            return Err(never_spoke(task));
        }
        if let Some(checkpoint) = &checkpoint {
            self.refuse_damaged(checkpoint).await?;
        }
        let there = self.there(task).await?;
        self.room_for(task, &there, how).await?;
        let sight = look::look(&*there.worker.shell, task, &there.config).await;
        let sight = sight.map_err(|it| host_error(&it))?;
        self.free(task, &sight.live).await?;
        create::add_env(self.home, &task.id, &crate::api::types::Env::default(), &how.caller_env)
            .await?;
        match (&checkpoint, how.target.as_deref()) {
            (Some(checkpoint), target) => self.go_back(task, checkpoint, target).await?,
            (None, Some(target)) => {
                let checkpoint = self.as_it_is(task, &there, sight).await?;
                self.move_to(task, &checkpoint, target).await?;
            }
            (None, None) => super::heal::heal(self, task, &there, true).await?,
        }
        let prompt = how.prompt.clone().map(String::into_bytes);
        self.core.command(Order::Retry { id: task.id.clone(), resume: true, prompt }).await
    }

    /// Refuses to go back to a checkpoint that is known to be damaged.
    async fn refuse_damaged(self, checkpoint: &Checkpoint) -> Result<(), ApiError> {
        let Some(what) = &checkpoint.damage else { return Ok(()) };
        let (id, error) = (&checkpoint.id, self.corrupted(checkpoint, what).await);
        Err(error
            .hint(format!("put back what can be had of it: parhelia checkpoint restore {id}"))
            .hint(format!("see whether it still is: parhelia checkpoint verify {id}")))
    }

    /// Returns a checkpoint of the workspace as it is now; the newest there is if it is gone.
    async fn as_it_is(
        self,
        task: &Task,
        there: &There,
        sight: look::Sight,
    ) -> Result<Checkpoint, ApiError> {
        let rows = self.keeper.of(&task.id).await?;
        let last = self.newest_there(&rows, Some(there)).await;
        let known = Known { task, sight: Ok(sight), last: last.as_ref() };
        if known.lacks_workspace() {
            return last.ok_or_else(|| nothing_saved(task));
        }
        let held = self.keeper.lock(&task.id).await;
        self.safety(&held, task).await
    }

    /// Refuses a directory that nothing can go to, before anything is saved for it.
    async fn room_for(self, task: &Task, there: &There, how: &Resume) -> Result<(), ApiError> {
        let Some(named) = &how.target else { return Ok(()) };
        let to = directory(named)?;
        let works_in = task.place.as_ref().and_then(|it| it.workspace.as_ref());
        self.room(there, &to, works_in == Some(&to)).await.map(drop)
    }

    /// Puts workspace and conversation back as a checkpoint has them.
    async fn go_back(
        self,
        task: &Task,
        checkpoint: &Checkpoint,
        target: Option<&str>,
    ) -> Result<(), ApiError> {
        let target_dir = target.map(str::to_owned);
        let how = Restore { target: target_dir, dry_run: false, conversation: true };
        if target.is_some() {
            // The conversation is replaced, and what is in the old workspace is not looked after
            // any more: both are in this one.
            let held = self.keeper.lock(&task.id).await;
            if let Err(error) = self.safety(&held, task).await {
                tracing::debug!(task = %task.id, %error, "nothing to save before it moves");
            }
        }
        let restored = self.restore(checkpoint, Some(task), &how).await?;
        self.tell_missing(task, &restored.missing).await;
        if let Some(what) = &restored.damage {
            let error = self.corrupted(checkpoint, what).await;
            return Err(error
                .hint(format!("the rest of it is in {}", restored.workspace))
                .hint(format!("go on with that: parhelia resume {}", task.id)));
        }
        match target {
            Some(_) => self.rehome(task, &restored.workspace).await,
            None => Ok(()),
        }
    }

    /// Puts the workspace into another directory; the conversation goes on as it is.
    async fn move_to(
        self,
        task: &Task,
        checkpoint: &Checkpoint,
        target: &str,
    ) -> Result<(), ApiError> {
        let how = Restore { target: Some(target.into()), dry_run: false, conversation: false };
        let restored = self.restore(checkpoint, Some(task), &how).await?;
        self.tell_missing(task, &restored.missing).await;
        self.rehome(task, &restored.workspace).await
    }

    async fn rehome(self, task: &Task, workspace: &str) -> Result<(), ApiError> {
        let workspace = directory(workspace)?;
        if let Some(branch) = task.place.as_ref().and_then(|it| it.branch.as_ref())
            && task.spec.isolation == Isolation::Worktree
        {
            let text = format!("{workspace} is a copy beside git; the commits are on {branch}");
            self.record(&task.id, EventBody::Noted { text }).await?;
        }
        self.record(&task.id, EventBody::Rehomed { workspace }).await
    }

    /// Writes down what could not be brought back; the rest goes on.
    pub(super) async fn tell_missing(self, task: &Task, missing: &[String]) {
        for text in missing {
            let text = format!("not brought back: {text}");
            if let Err(error) = self.record(&task.id, EventBody::Noted { text }).await {
                tracing::warn!(task = %task.id, %error, "failed to note what is missing");
            }
        }
    }

    async fn own_checkpoint(self, task: &Task, id: &str) -> Result<Checkpoint, ApiError> {
        let checkpoint = self.keeper.find(id).await?;
        if checkpoint.task == task.id {
            return Ok(checkpoint);
        }
        let message = format!("{} is a checkpoint of {}", checkpoint.id, checkpoint.task);
        Err(ApiError::new(ErrorKind::Invalid, message)
            .hint(format!("a new task from it: parhelia checkpoint fork {}", checkpoint.id))
            .hint(format!("list its own: parhelia checkpoint list --session {}", task.id)))
    }

    /// Says what is wrong with a checkpoint and which one to take instead; a damage is written down.
    pub(super) async fn blame(self, checkpoint: &Checkpoint, error: &CheckpointError) -> ApiError {
        if !may_be_damage(error) {
            return checkpoint_error(error);
        }
        let here = self.keeper.vault().repo.verify(&checkpoint.commit).await;
        let what = match (error, here) {
            (_, Ok(Some(flaw))) if checkpoint.is_here() => flaw.what,
            (CheckpointError::Missing { .. }, _) => {
                "it is gone on its host, and had not arrived here".to_owned()
            }
            (CheckpointError::Damaged { detail, .. }, _) => detail.clone(),
            _ => return checkpoint_error(error),
        };
        if let Err(error) = self.keeper.mark(&checkpoint.id, Some(what.clone())).await {
            tracing::warn!(checkpoint = %checkpoint.id, %error, "failed to write down a damage");
        }
        self.corrupted(checkpoint, &what).await
    }
}

/// Tells whether it is the checkpoint that is wrong, or the repository it was read from.
pub(super) fn is_damage(error: &CheckpointError) -> bool {
    matches!(error, CheckpointError::Damaged { .. } | CheckpointError::Missing { .. })
}

/// As [`is_damage`], or something git does not say the reason of.
pub(super) fn may_be_damage(error: &CheckpointError) -> bool {
    is_damage(error) || matches!(error, CheckpointError::Refused { .. })
}

/// Refuses to change files under a turn that runs.
fn may_change(task: &Task, own: bool, conversation: bool) -> Result<(), ApiError> {
    let Some(session) = task.state.session() else { return Ok(()) };
    let refuse = |what: String| Err(ApiError::new(ErrorKind::Conflict, what));
    let end = format!("or end it first: parhelia session kill {}", task.id);
    if own && losses::runs(session) {
        return refuse(format!("{} is in the middle of a turn", task.id)).map_err(|it| {
            it.hint(format!("interrupt it first: parhelia session interrupt {}", task.id)).hint(end)
        });
    }
    if conversation {
        return refuse(format!("{} has its session open, which holds the conversation", task.id))
            .map_err(|it| it.hint(format!("restore the files only, {end}")));
    }
    Ok(())
}

/// Reads a directory that a person named.
fn directory(text: &str) -> Result<HostPath, ApiError> {
    let bad = |it: String| ApiError::new(ErrorKind::Invalid, format!("bad target: {it}"));
    let path = HostPath::new(text.trim_end_matches('/')).map_err(bad)?;
    if path.as_str().split('/').any(|it| it == "." || it == "..") {
        return Err(bad(format!("`{}` is not a plain path", one_line(text, PATH_MAX))));
    }
    Ok(path)
}

fn shown(path: &[u8]) -> String {
    one_line(&String::from_utf8_lossy(path), PATH_MAX)
}

fn told(checkpoint: &Checkpoint, to: &HostPath, changes: &Changes) -> Restored {
    let file = |(path, effect): &(Vec<u8>, Effect)| RestoredFile {
        path: shown(path),
        what: match effect {
            Effect::Add => "add",
            Effect::Change => "change",
            Effect::Delete => "delete",
        }
        .to_owned(),
    };
    Restored {
        checkpoint: checkpoint.id.to_string(),
        workspace: to.to_string(),
        files: changes.files.iter().take(FILES_MAX).map(file).collect(),
        count: changes.count,
        in_the_way: changes.in_the_way.iter().take(FILES_MAX).map(|it| shown(it)).collect(),
        ..Restored::default()
    }
}

fn in_the_way(paths: &[String]) -> ApiError {
    let shown: Vec<String> = paths.iter().take(10).map(|it| one_line(it, PATH_MAX)).collect();
    let error = CheckpointError::InTheWay { paths: shown };
    ApiError::new(ErrorKind::Conflict, error.to_string()).hint(
        "nothing was changed: move them away, or restore into another directory: --target DIR",
    )
}

fn still_open(task: &Task) -> ApiError {
    if task.state.session().is_none() {
        return no_session(task);
    }
    ApiError::new(ErrorKind::Conflict, format!("{} still has its session open", task.id))
        .hint(format!("attach to it: parhelia attach {}", task.id))
        .hint(format!("or end it first: parhelia session kill {}", task.id))
}

fn never_spoke(task: &Task) -> ApiError {
    ApiError::new(ErrorKind::Conflict, format!("{} never had a conversation to resume", task.id))
        .hint(format!("start it afresh: parhelia task retry {}", task.id))
}

fn nothing_saved(task: &Task) -> ApiError {
    let message = format!("the workspace of {} is gone, and in no checkpoint", task.id);
    ApiError::new(ErrorKind::Conflict, message)
        .hint(format!("start it afresh: parhelia task retry {}", task.id))
}
