//! A task that begins at a checkpoint of another, which stays as it is.
//!
//! The task is written down at once; its first launch makes the directory, since that is where
//! everything a task has is made, and made again after a crash.
//!
//! The conversation is copied under an id of its own: measured, Claude goes on with such a file by
//! `--resume` as with one of its own, its total included, and the file it was copied from is not
//! touched. (`--fork-session` does the same, but only once there is a prompt, and counts the past
//! as news.)

use std::sync::Arc;

use crate::{
    api::{
        checkpoints::Fork,
        error::{ApiError, ErrorKind},
        types::Env,
    },
    checkpoint::{meta::Position, shadow::Shadow},
    dispatcher::{
        core::store_error,
        create,
        decide::Command as Order,
        recover::{Means, There, WORK_LIMIT, back::Dir, heal::WORKSPACE, look, talk::Talk},
        session::host_error,
    },
    domain::{
        checkpoint::{Checkpoint, Kept, Origin},
        event::EventBody,
        ids::{HostPath, TaskId},
        state::TaskState,
        task::{Isolation, Meter, Next, Task, Usage},
    },
    git::{Adoption, BRANCH_PREFIX, Files, Git},
    shell::{Command, run},
    stdx::{text::one_line, time::Timestamp},
    store::Query,
};

/// The longest name, in characters, as for any task.
const NAME_MAX: usize = 40;

/// A fork that is being made.
struct Begun<'a> {
    task: &'a Task,
    there: &'a There,
    checkpoint: &'a Checkpoint,
    shadow: &'a Shadow,
}

impl Means<'_> {
    /// Writes down a new task that begins at `checkpoint`; returns its id.
    ///
    /// # Errors
    ///
    /// If nothing tells any more how the old task was set up, or the checkpoint is nowhere.
    pub async fn fork(
        self,
        checkpoint: &Checkpoint,
        how: &Fork,
        now: Timestamp,
    ) -> Result<TaskId, ApiError> {
        let prompt = how.prompt.clone().unwrap_or_default();
        create::check_prompt(&prompt, true)?;
        // Refused before anything is written, if there is nothing to begin with.
        let readable = self.keeper.readable(checkpoint).await?;
        let meta = readable.repo.meta(&checkpoint.commit).await;
        let meta = match meta {
            Ok(meta) => meta,
            Err(error) => return Err(self.blame(checkpoint, &error).await),
        };
        let (old, alive) = match self.keeper.task(&checkpoint.task).await? {
            Some(task) => (task, true),
            None => (self.as_submitted(checkpoint).await?, false),
        };
        let talks = !how.fresh && checkpoint.conversation.is_some();
        let conversation = talks.then(|| uuid::Uuid::new_v4().to_string());
        let mut task = new_task(&old, checkpoint, how, conversation, now);
        task.spec.isolation = isolation(&old, meta.position.as_ref());
        let id = task.id.clone();
        let kept = match alive {
            true => create::read_env(self.home, &old.id).await?,
            false => create::KeptEnv::default(),
        };
        create::keep_env(self.home, &id, &Env(kept.env), &Env(kept.caller)).await?;
        create::add_env(self.home, &id, &Env::default(), &how.caller_env).await?;
        let order = Order::Create { task: Box::new(task), prompt: prompt.into_bytes() };
        if let Err(error) = self.core.command(order).await {
            create::drop_env(self.home, &id).await;
            return Err(error);
        }
        Ok(id)
    }

    /// Returns a deleted task as it was submitted: its events outlive it.
    async fn as_submitted(self, checkpoint: &Checkpoint) -> Result<Task, ApiError> {
        let query = Query {
            task: Some(checkpoint.task.clone()),
            kinds: vec!["created".into()],
            limit: 1,
            ..Query::default()
        };
        let found = self.store.events(query).await.map_err(|it| store_error(&it))?;
        match found.events.into_iter().next().map(|it| it.body) {
            Some(EventBody::Created { task }) => Ok(*task),
            _ => {
                let message = format!(
                    "{} was deleted and nothing tells any more how it was set up",
                    checkpoint.task
                );
                Err(ApiError::new(ErrorKind::Conflict, message).hint(format!(
                    "its files can be had: parhelia checkpoint restore {} --target DIR",
                    checkpoint.id
                )))
            }
        }
    }

    /// Makes what a forked task begins with, as far as it is not there: its workspace, its copy of
    /// the conversation. Returns the workspace and its branch. Harmless to repeat.
    ///
    /// # Errors
    ///
    /// If the checkpoint cannot be had, or the host cannot write.
    pub async fn settle(
        self,
        task: &Task,
        origin: &Origin,
        there: &There,
    ) -> Result<(HostPath, Option<String>), ApiError> {
        let _held = self.keeper.lock(&task.id).await;
        let checkpoint = self.keeper.find(origin.checkpoint.as_str()).await?;
        let dest = there.run_dir.join(WORKSPACE);
        let inside = inside(&checkpoint);
        let workspace = match &inside {
            Some(inside) => dest.join(inside),
            None => dest.clone(),
        };
        let branch = match task.spec.isolation {
            Isolation::Worktree | Isolation::Clone => {
                checkpoint.head.is_some().then(|| format!("{BRANCH_PREFIX}{}", task.id))
            }
            Isolation::None => None,
        };
        // Written down before it is made: only what is written down may be deleted.
        let placed = EventBody::Placed {
            run_dir: there.run_dir.clone(),
            workspace: workspace.clone(),
            branch: branch.clone(),
        };
        self.record(&task.id, placed).await?;
        let shadow = self.fetch_from(there, &checkpoint).await?;
        let begun = Begun { task, there, checkpoint: &checkpoint, shadow: &shadow };
        let ready = there.run_dir.join("settled");
        let is_ready = there.worker.shell.get(&ready, 0, 1).await.map_err(|it| host_error(&it))?;
        let dir = self.directory(there, &workspace).await?;
        if is_ready.is_none() || dir == Dir::Absent {
            self.copy_files(&begun, &workspace).await?;
            self.enter(&begun, branch.as_deref(), inside).await?;
            let put = there.worker.shell.put(&ready, b"settled\n", 0o600).await;
            put.map_err(|it| host_error(&it))?;
        }
        if origin.conversation.is_some() && matches!(task.next, Next::Resume { .. }) {
            self.copy_conversation(&begun, &workspace).await?;
        }
        if branch.is_none() {
            self.record(&task.id, EventBody::Rehomed { workspace: workspace.clone() }).await?;
        }
        Ok((workspace, branch))
    }

    async fn copy_files(self, begun: &Begun<'_>, workspace: &HostPath) -> Result<(), ApiError> {
        let Begun { task, there, checkpoint, shadow } = begun;
        clear(there, &there.run_dir.join(WORKSPACE)).await?;
        match self.restored(there, shadow, checkpoint, None, workspace).await {
            Ok(outcome) => {
                self.tell_missing(task, &outcome.restored.missing).await;
                Ok(())
            }
            Err(error) => Err(self.blame(checkpoint, &error).await),
        }
    }

    /// Copies the conversation, unless an earlier launch has.
    async fn copy_conversation(
        self,
        begun: &Begun<'_>,
        workspace: &HostPath,
    ) -> Result<(), ApiError> {
        let Begun { task, there, checkpoint, shadow } = *begun;
        let Some(under) = &task.conversation else { return Ok(()) };
        let sight = look::look(&*there.worker.shell, task, &there.config).await;
        let sight = sight.map_err(|it| host_error(&it))?;
        self.free(task, &sight.live).await?;
        if sight.written {
            return Ok(());
        }
        let talk = Talk { checkpoint, under, found: None, workspace };
        if self.put_conversation(task, there, shadow, talk).await?.is_none() {
            let lost = format!("the conversation, which is not in {}", checkpoint.id);
            self.tell_missing(task, &[lost]).await;
        }
        Ok(())
    }

    /// Sees to it that a checkpoint of another task is in this one's shadow repository.
    async fn fetch_from(self, there: &There, checkpoint: &Checkpoint) -> Result<Shadow, ApiError> {
        if !self.keeper.vault().repo.has(&checkpoint.commit).await.unwrap_or(false)
            && let Some(old) = self.keeper.task(&checkpoint.task).await?
        {
            self.keeper.fetch_all(&old).await?;
        }
        self.bring(there, checkpoint).await
    }

    /// Puts a fork's files on a branch of its own.
    async fn enter(
        self,
        begun: &Begun<'_>,
        branch: Option<&str>,
        inside: Option<String>,
    ) -> Result<(), ApiError> {
        let Begun { task, there, checkpoint, .. } = *begun;
        let (Some(branch), Some(head)) = (branch, &checkpoint.head) else { return Ok(()) };
        let dest = there.run_dir.join(WORKSPACE);
        let git = Git::new(Arc::clone(&there.worker.shell));
        let entered = match task.spec.isolation {
            Isolation::Clone => git.enter_branch(&dest, branch).await,
            Isolation::Worktree | Isolation::None => {
                let from = &task.spec.workspace;
                let found = git.inspect(from).await;
                let Some(repo) = found.map_err(|it| said(&it))? else {
                    let message = format!("the repository of {from} is gone");
                    return Err(ApiError::new(ErrorKind::Host, message).hint(format!(
                        "its files can be had: parhelia checkpoint restore {} --target DIR",
                        checkpoint.id
                    )));
                };
                let adoption = Adoption {
                    root: repo.root,
                    dest,
                    branch: branch.to_owned(),
                    head: head.clone(),
                    spare: there.shadow().repo.dir,
                    files: inside.map_or(Files::None, Files::Outside),
                };
                git.adopt(&adoption).await
            }
        };
        entered.map_err(|it| said(&it))
    }
}

fn said(error: &crate::git::GitError) -> ApiError {
    ApiError::new(ErrorKind::Host, error.to_string())
}

/// Clears away what an earlier launch left half made.
async fn clear(there: &There, dest: &HostPath) -> Result<(), ApiError> {
    let command = Command::new(["rm", "-rf", "--", dest.as_str()]);
    let output = run(&*there.worker.shell, &command, WORK_LIMIT).await;
    let output = output.map_err(|it| host_error(&it))?;
    if output.code == 0 {
        return Ok(());
    }
    let message = format!("failed to clear {dest}: {}", output.complaint());
    Err(ApiError::new(ErrorKind::Host, message))
}

/// Returns the directory in its work tree that the old task worked in and has saved, if it was not
/// the top of one of Parhelia's.
fn inside(checkpoint: &Checkpoint) -> Option<String> {
    let top = format!("/{}/{WORKSPACE}/", checkpoint.task);
    let (_, inside) = checkpoint.workspace.as_str().split_once(&top)?;
    let inside = inside.trim_matches('/');
    (!inside.is_empty()).then(|| inside.to_owned())
}

/// How the files of a fork stand to git: a repository that was saved whole comes back as one of
/// its own, a linked work tree becomes another of the same repository.
fn isolation(old: &Task, position: Option<&Position>) -> Isolation {
    match position {
        Some(position) if position.inside => Isolation::Clone,
        Some(_) if old.spec.isolation == Isolation::Worktree => Isolation::Worktree,
        _ => Isolation::None,
    }
}

fn new_task(
    old: &Task,
    checkpoint: &Checkpoint,
    how: &Fork,
    conversation: Option<String>,
    now: Timestamp,
) -> Task {
    let prompt = how.prompt.as_deref().unwrap_or_default();
    let name = match &how.name {
        Some(name) => one_line(name, NAME_MAX),
        None if prompt.is_empty() => one_line(&format!("{} (fork)", old.name), NAME_MAX),
        None => one_line(prompt, NAME_MAX),
    };
    let mut spec = old.spec.clone();
    // What it begins with is there and, as far as is known, nowhere else.
    spec.target = Some(checkpoint.provider.clone());
    spec.interactive |= prompt.is_empty();
    let meter = conversation.as_deref().map(Meter::carried_over).unwrap_or_default();
    Task {
        id: TaskId::random(),
        name: if name.is_empty() { "fork".to_owned() } else { name },
        created_at: now,
        prompt_head: one_line(prompt, 200),
        prompt_bytes: prompt.len() as u64,
        spec,
        state: TaskState::Created,
        attempts: 0,
        place: None,
        next: match &conversation {
            Some(_) => Next::Resume { with_prompt: !prompt.is_empty() },
            None => Next::Fresh,
        },
        usage: Usage { meter, ..Usage::default() },
        last: String::new(),
        answer_bytes: None,
        kept: Kept::default(),
        hold: None,
        home: None,
        origin: Some(Origin {
            task: checkpoint.task.clone(),
            checkpoint: checkpoint.id.clone(),
            conversation: conversation.as_ref().and(checkpoint.conversation.clone()),
        }),
        conversation,
    }
}
