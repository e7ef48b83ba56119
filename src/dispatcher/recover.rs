//! Bringing back: a workspace, a conversation, a session.
//!
//! ```text
//! look ── what is there ──▶ judge ── what is missing, which ways ──▶ a person
//!   └───────────────────────▶ heal, at every launch that resumes ─┐
//! back ── a person's word: safety checkpoint, then the files ─────┴──▶ Retried, launch
//! fork ── a task that begins at a checkpoint; made by its first launch
//! ```
//!
//! Whatever is replaced is in a checkpoint first, so everything here can be undone by restoring
//! that one. Every step may be repeated without harm: a dispatcher that dies in the middle of a
//! resume finds the task final as before, and one that dies in the middle of a launch heals again.
//!
//! There are never two processes on one conversation: see [`Means::free`].

mod back;
mod fork;
mod heal;
mod judge;
mod look;
mod mend;
mod talk;

use std::time::Duration;

use crate::{
    api::{
        checkpoints::Recovery,
        error::{ApiError, ErrorKind},
    },
    checkpoint::{CheckpointError, shadow::Shadow},
    dispatcher::{
        Crew, Home,
        core::CoreHandle,
        create,
        decide::Command,
        host::Hosts,
        http::App,
        keeper::{Keeper, checkpoint_error},
        launch::{claude_config, environment},
        session::host_error,
    },
    domain::{
        checkpoint::Checkpoint,
        event::EventBody,
        ids::{HostPath, TaskId},
        task::{Next, Task},
    },
    provider::Worker,
    stdx::time::Timestamp,
    store::Store,
};

use heal::heal;

/// How long a look for what can be brought back may take: a person waits for it.
const RECOVERY_LIMIT: Duration = Duration::from_secs(10);
/// How long it may take to bring a checkpoint to its host, or its files to their places.
const WORK_LIMIT: Duration = Duration::from_secs(300);

/// What bringing back needs of the dispatcher.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    core: &'a CoreHandle,
    hosts: &'a Hosts,
    store: &'a Store,
    home: &'a Home,
    keeper: &'a Keeper,
}

impl<'a> From<&'a App> for Means<'a> {
    fn from(app: &'a App) -> Means<'a> {
        let App { core, hosts, store, home, keeper, .. } = app;
        Means { core, hosts, store, home, keeper }
    }
}

impl<'a> From<&'a Crew> for Means<'a> {
    fn from(crew: &'a Crew) -> Means<'a> {
        let Crew { core, hosts, store, home, keeper, .. } = crew;
        Means { core, hosts, store, home, keeper }
    }
}

/// A task's host, and where things are there.
pub struct There {
    /// The host.
    pub worker: Worker,
    /// The task's directory there; it need not be there any more.
    pub run_dir: HostPath,
    /// Where Claude keeps its own files.
    pub config: HostPath,
}

impl There {
    /// Returns the task's shadow repository.
    pub fn shadow(&self) -> Shadow {
        Shadow::new(std::sync::Arc::clone(&self.worker.shell), &self.run_dir)
    }

    /// Tells whether the host is this machine.
    fn is_near(&self) -> bool {
        self.worker.info.shares_environment
    }
}

impl Means<'_> {
    /// Returns what can be brought back of `task`, and how. Never takes long: a host that does not
    /// answer is part of the answer.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub async fn recovery(self, task: &Task, now: Timestamp) -> Result<Recovery, ApiError> {
        let rows = self.keeper.of(&task.id).await?;
        if task.place.is_none() {
            let sight = Ok(look::Sight::default());
            return Ok(judge::Known { task, sight, last: None }.recovery(now));
        }
        let asked = async {
            let there = self.there(task).await?;
            let look = look::look(&*there.worker.shell, task, &there.config);
            let sight = look.await.map_err(|it| host_error(&it))?;
            let last = self.newest_there(&rows, Some(&there)).await;
            Ok::<_, ApiError>((sight, last))
        };
        let (sight, last) = match tokio::time::timeout(RECOVERY_LIMIT, asked).await {
            Ok(Ok((sight, last))) => (Ok(sight), last),
            Ok(Err(error)) => (Err(error.message), self.newest_there(&rows, None).await),
            Err(_) => {
                let why = format!("its host took longer than {}s", RECOVERY_LIMIT.as_secs());
                (Err(why), self.newest_there(&rows, None).await)
            }
        };
        Ok(judge::Known { task, sight, last: last.as_ref() }.recovery(now))
    }

    /// Returns the newest of `rows` that nothing is known to be wrong with and that is somewhere:
    /// on this machine, or in the task's own directory.
    async fn newest_there(self, rows: &[Checkpoint], there: Option<&There>) -> Option<Checkpoint> {
        for row in rows.iter().filter(|it| it.damage.is_none()) {
            let commit = &row.commit;
            let here = self.keeper.vault().repo.has(commit).await.unwrap_or(false);
            let near = match there {
                Some(there) if !here => there.shadow().repo.has(commit).await.unwrap_or(false),
                _ => false,
            };
            if here || near {
                return Some(row.clone());
            }
        }
        None
    }

    /// Refuses if something has the conversation of `task` open. A host that does not answer is left
    /// to the launch, which waits for it and asks again.
    ///
    /// # Errors
    ///
    /// If so.
    pub async fn may_go_on(self, task: &Task) -> Result<(), ApiError> {
        if task.place.is_none() || task.state.session().is_some() {
            return Ok(());
        }
        let Ok(there) = self.there(task).await else { return Ok(()) };
        match look::look(&*there.worker.shell, task, &there.config).await {
            Ok(sight) => self.free(task, &sight.live).await,
            Err(_) => Ok(()),
        }
    }

    /// Makes ready what a launch of `task` goes on from: what a fork begins with, what a resumed task
    /// has lost. Returns the workspace and its branch, if they are settled by that.
    ///
    /// # Errors
    ///
    /// If it cannot be had, or if something else has the conversation open.
    pub async fn before_launch(
        self,
        task: &Task,
        worker: &Worker,
    ) -> Result<Option<(HostPath, Option<String>)>, ApiError> {
        let run_dir = task.place.as_ref().and_then(|it| it.run_dir.clone());
        let there = self.there_on(worker.clone(), &task.id, run_dir).await?;
        match (&task.origin, &task.next) {
            // What it saved of itself since is nearer to it than what it began with.
            (Some(origin), _) if task.kept.count == 0 => {
                self.settle(task, origin, &there).await.map(Some)
            }
            (_, Next::Resume { .. }) => heal(self, task, &there, true).await.map(|()| None),
            (_, Next::Fresh) if 1 < task.attempts => {
                heal(self, task, &there, false).await.map(|()| None)
            }
            (_, Next::Fresh) => Ok(None),
        }
    }

    /// Returns where a task's things are.
    async fn there(self, task: &Task) -> Result<There, ApiError> {
        let Some(place) = &task.place else {
            let message = format!("{} was never placed: it is {}", task.id, task.state.name());
            return Err(ApiError::new(ErrorKind::Conflict, message));
        };
        let worker = self.hosts.worker(place, &task.spec.requirements).await?;
        let run_dir = place.run_dir.clone();
        self.there_on(worker, &task.id, run_dir).await
    }

    /// As [`Means::there`] on a worker in hand.
    async fn there_on(
        self,
        worker: Worker,
        id: &TaskId,
        run_dir: Option<HostPath>,
    ) -> Result<There, ApiError> {
        let kept = create::read_env(self.home, id).await?;
        let config = claude_config(&worker, &environment(&worker, kept));
        let run_dir = run_dir.unwrap_or_else(|| worker.info.root.join(id.as_str()));
        Ok(There { worker, run_dir, config })
    }

    /// Sees to it that a checkpoint is in the shadow repository of `there`.
    async fn bring(self, there: &There, checkpoint: &Checkpoint) -> Result<Shadow, ApiError> {
        let shadow = there.shadow();
        let commit = &checkpoint.commit;
        let asked = || shadow.repo.has(commit);
        if self.keeper.vault().repo.has(commit).await.unwrap_or(false) {
            heal::drop_unsound(there).await?;
        } else {
            match asked().await {
                Ok(true) => return Ok(shadow),
                // What cannot be asked is not to be taken for lost.
                Err(error @ CheckpointError::Shell(_)) => return Err(checkpoint_error(&error)),
                Ok(false) | Err(_) => (),
            }
        }
        // Even if it is in the shadow: what that lacks of it is sent, and nothing else.
        let (id, near) = (&checkpoint.id, there.is_near());
        match self.keeper.vault().send(&shadow, id, commit, near, WORK_LIMIT).await {
            Ok(()) => Ok(shadow),
            // What is there of it can still be had; the rest is fetched by itself, or named.
            Err(error @ CheckpointError::Shell(_)) => Err(checkpoint_error(&error)),
            Err(error) => {
                let mended = self.mended(there, &shadow, checkpoint).await;
                match mended || asked().await.unwrap_or(false) {
                    true => Ok(shadow),
                    false => Err(self.blame(checkpoint, &error).await),
                }
            }
        }
    }

    /// Refuses if a process has the task's conversation open, here or in another task.
    async fn free(self, task: &Task, live: &[u32]) -> Result<(), ApiError> {
        if let Some(pid) = live.first() {
            let message = format!("Claude has this conversation open already, as process {pid}");
            return Err(ApiError::new(ErrorKind::Conflict, message)
                .hint("two of them would write over each other: end that one first"));
        }
        let (id, conversation) = (task.id.clone(), task.conversation.clone());
        let other = self.core.read(move |world| {
            let same = |it: &&Task| {
                let session = it.state.session().map(|it| &it.conversation);
                it.id != id && session.is_some() && session == conversation.as_ref()
            };
            world.live().find(same).map(|it| it.id.clone())
        });
        let Some(other) = other.await? else { return Ok(()) };
        let message = format!("{other} has the conversation of {} open", task.id);
        Err(ApiError::new(ErrorKind::Conflict, message)
            .hint(format!("go on there: parhelia attach {other}")))
    }

    async fn record(self, id: &TaskId, body: EventBody) -> Result<(), ApiError> {
        self.core.command(Command::Record { id: id.clone(), body }).await
    }
}
