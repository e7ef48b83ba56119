//! When checkpoints are made, and how long they are kept.
//!
//! ```text
//! events ──▶ watch: triggers, coalesced ──▶ save ──▶ row, CheckpointMade ──▶ arrive: the vault,
//! a person, a kill, a restore ──────────────▶                       CheckpointHeld, retention
//! ```
//!
//! One thing at a time happens to a task's shadow repository: whoever touches it holds the task's
//! lock ([`Keeper::lock`]). What the dispatcher makes of itself is made two at a time, so that a
//! hundred sessions that end a turn together do not take the machine from their agents; what a
//! person waits for does not wait for those. Nothing here ever holds up the core.
//!
//! A checkpoint exists once its event is committed. It is on this machine once its row says
//! [`Checkpoint::stored`]; until then it is only in the run directory on the task's host, and is
//! fetched again at the next occasion: a later checkpoint, the host's return, the next start.

mod arrive;
mod error;
mod facts;
mod queue;
mod risky;
mod rows;
mod watch;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard, Semaphore, mpsc};

use crate::{
    api::{
        checkpoints::CreateCheckpoint,
        error::{ApiError, ErrorKind},
    },
    checkpoint::{
        shadow::{Made, Order, Rules, Saved, Shadow},
        vault::Vault,
    },
    config::settings::Settings,
    dispatcher::{Home, core::CoreHandle, decide::Command, host::Hosts, session::run_dir},
    domain::{
        checkpoint::{Checkpoint, Trigger},
        event::EventBody,
        ids::{CheckpointId, HostPath, TaskId},
        task::Task,
    },
    provider::Worker,
    shell::local::LocalShell,
    stdx::{text::one_line, time::Clock},
    store::Store,
};

pub use error::of as checkpoint_error;
pub use facts::transcript;

/// Checkpoints that the dispatcher makes of itself at once.
const AT_ONCE: usize = 2;
/// Tasks whose checkpoints may wait to be fetched here. One that finds it full is fetched with the
/// task's next one, or at the next start.
const ARRIVALS_CAP: usize = 256;
/// The longest label, in characters.
const LABEL_MAX: usize = 200;

/// Makes checkpoints and keeps them; cheap to clone.
#[derive(Clone)]
pub struct Keeper {
    inner: Arc<Inner>,
}

/// What the keeper works with.
pub struct Tools {
    /// The core.
    pub core: CoreHandle,
    /// The hosts.
    pub hosts: Hosts,
    /// The store, for reading.
    pub store: Store,
    /// The configuration.
    pub settings: Settings,
    /// Where the dispatcher lives.
    pub home: Home,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

struct Inner {
    tools: Tools,
    vault: Vault,
    slots: Semaphore,
    locks: Mutex<HashMap<TaskId, Arc<Turn<()>>>>,
    /// Whoever changes a row that is there reads it first, so only one at a time does.
    rows: Turn<()>,
    seen: Mutex<HashMap<TaskId, facts::Conversation>>,
    sights: Mutex<watch::Sights>,
    arrivals: mpsc::Sender<TaskId>,
    waiting: Mutex<Option<mpsc::Receiver<TaskId>>>,
    size: Mutex<Option<u64>>,
}

/// A task's lock: as long as it is held, nobody else touches the task's shadow repository.
pub struct Held {
    task: TaskId,
    _guard: OwnedMutexGuard<()>,
}

/// A task's shadow repository, and where it is.
pub struct Place {
    /// The worker.
    pub worker: Worker,
    /// The repository; it need not be there yet.
    pub shadow: Shadow,
    /// The directory that the task works in; it need not be there any more.
    pub workspace: HostPath,
}

/// Returns the vault of the dispatcher that lives in `home`.
///
/// # Errors
///
/// If the state directory cannot hold one.
pub fn vault(home: &Home) -> Result<Vault, ApiError> {
    let dir = home.state_dir.join("checkpoints.git");
    let path = dir.to_str().ok_or_else(|| "it is not UTF-8".to_owned()).and_then(HostPath::new);
    let path = path.map_err(|why| {
        let message = format!("no checkpoint can be kept in {}: {why}", dir.display());
        ApiError::new(ErrorKind::Config, message)
    })?;
    Ok(Vault::new(Arc::new(LocalShell::new()), path))
}

impl Place {
    /// Tells whether the host is this machine.
    pub fn is_near(&self) -> bool {
        self.worker.info.shares_environment
    }
}

impl Keeper {
    /// Creates a keeper that fetches into `vault`. Nothing is made or fetched unasked before
    /// [`Keeper::start`].
    pub fn new(tools: Tools, vault: Vault) -> Keeper {
        let (arrivals, waiting) = mpsc::channel(ARRIVALS_CAP);
        Keeper {
            inner: Arc::new(Inner {
                tools,
                vault,
                slots: Semaphore::new(AT_ONCE),
                locks: Mutex::default(),
                rows: Turn::default(),
                seen: Mutex::default(),
                sights: Mutex::default(),
                arrivals,
                waiting: Mutex::new(Some(waiting)),
                size: Mutex::default(),
            }),
        }
    }

    /// Returns the vault.
    pub fn vault(&self) -> &Vault {
        &self.inner.vault
    }

    /// Returns what is saved and what is not; `secrets` as well, if wished.
    pub fn rules(&self, secrets: bool) -> Rules {
        let settings = &self.inner.tools.settings.checkpoint;
        Rules {
            include: settings.include.clone(),
            secrets,
            huge: u64::from(settings.max_file_mb) * 1024 * 1024,
        }
    }

    /// Waits until nobody else touches the shadow repository of `task`, and keeps it that way as
    /// long as what is returned lives.
    pub async fn lock(&self, task: &TaskId) -> Held {
        let turn = {
            let mut locks = self.inner.locks.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that nobody holds or waits for are made anew when they are wanted.
            locks.retain(|id, it| id == task || 1 < Arc::strong_count(it));
            Arc::clone(locks.entry(task.clone()).or_default())
        };
        Held { task: task.clone(), _guard: turn.lock_owned().await }
    }

    /// Returns the shadow repository of a task.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] if the task has no directory yet, [`ErrorKind::Host`] if its host
    /// does not answer.
    pub async fn place(&self, task: &Task) -> Result<Place, ApiError> {
        let none = || {
            let message = format!("{} has no workspace yet: it is {}", task.id, task.state.name());
            ApiError::new(ErrorKind::Conflict, message)
        };
        let place = task.place.as_ref().ok_or_else(none)?;
        let workspace = place.workspace.clone().ok_or_else(none)?;
        let run_dir = run_dir(place)?;
        let worker = self.inner.tools.hosts.worker(place, &task.spec.requirements).await?;
        let shadow = Shadow::new(Arc::clone(&worker.shell), &run_dir);
        Ok(Place { worker, shadow, workspace })
    }

    /// Saves a task within `limit`; nothing if all is as its newest checkpoint has it, which is
    /// looked at unless a person asked for one. Waits for the task's lock.
    ///
    /// # Errors
    ///
    /// If none could be made; an event says so, too.
    pub async fn save(
        &self,
        task: &Task,
        trigger: Trigger,
        what: &CreateCheckpoint,
        limit: Duration,
    ) -> Result<Option<Checkpoint>, ApiError> {
        let locked = tokio::time::timeout(limit, self.lock(&task.id)).await;
        let held = locked.map_err(|_| too_long(task, limit))?;
        self.save_with(&held, task, trigger, what, limit).await
    }

    /// As [`Keeper::save`], for those who hold the task's lock already.
    ///
    /// # Errors
    ///
    /// As [`Keeper::save`].
    pub async fn save_with(
        &self,
        held: &Held,
        task: &Task,
        trigger: Trigger,
        what: &CreateCheckpoint,
        limit: Duration,
    ) -> Result<Option<Checkpoint>, ApiError> {
        debug_assert_eq!(held.task, task.id, "another task's lock");
        let attempt = tokio::time::timeout(limit, self.attempt(task, trigger, what, limit)).await;
        let result = match attempt.unwrap_or_else(|_| Err(too_long(task, limit))) {
            Ok(None) => return Ok(None),
            Ok(Some(fresh)) => self.keep(fresh).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &result {
            self.failed(task, trigger, error).await;
        }
        result.map(Some)
    }

    async fn attempt(
        &self,
        task: &Task,
        trigger: Trigger,
        what: &CreateCheckpoint,
        limit: Duration,
    ) -> Result<Option<Fresh>, ApiError> {
        let place = self.place(task).await?;
        let newest = self.newest(&task.id).await?;
        let known = async {
            let Some(it) = &newest else { return false };
            // A repository that cannot be asked is made anew by the one that saves.
            place.shadow.repo.has(&it.commit).await.unwrap_or(false)
        };
        let (gathered, known) = tokio::join!(self.gather(task, &place), known);
        let previous = newest.filter(|_| known);
        let unless_same = trigger != Trigger::Manual
            && previous.as_ref().is_some_and(|it| self.same_conversation(task, it, &gathered));
        let label = what.label.as_deref().map(|it| one_line(it, LABEL_MAX));
        let label = label.filter(|it| !it.is_empty());
        let id = CheckpointId::random();
        let order = Order {
            workspace: place.workspace.clone(),
            facts: self.facts(task, &id, trigger, label, &gathered),
            rules: self.rules(what.secrets),
            beside: gathered.beside,
            previous: previous.as_ref().map(|it| it.commit.clone()),
            unless_same,
            limit,
        };
        let saved = place.shadow.save(&order).await.map_err(|it| checkpoint_error(&it))?;
        self.saw(&task.id, gathered.conversation);
        self.is_saved(&task.id);
        let Saved::Made(made) = saved else { return Ok(None) };
        let row = row(task, &place, *made, what.pin, previous.map(|it| it.id));
        Ok(Some(Fresh { row, shadow: place.shadow }))
    }

    /// Writes down a checkpoint that was made, and has it fetched.
    async fn keep(&self, fresh: Fresh) -> Result<Checkpoint, ApiError> {
        let Fresh { row, shadow } = fresh;
        let command = Command::Checkpoint {
            task: row.task.clone(),
            id: row.id.clone(),
            row: Some(Box::new(row.clone())),
            body: Box::new(EventBody::CheckpointMade { checkpoint: Box::new(row.clone()) }),
        };
        if let Err(error) = self.inner.tools.core.command(command).await {
            // Nobody knows of it, so nobody would ever take it away.
            let _ = shadow.forget(row.id.as_str()).await;
            return Err(error);
        }
        self.fetch(&row.task);
        Ok(row)
    }

    /// Has a task's checkpoints fetched that are not here yet.
    fn fetch(&self, task: &TaskId) {
        if let Err(error) = self.inner.arrivals.try_send(task.clone()) {
            tracing::warn!(%task, %error, "a checkpoint is fetched later");
        }
    }

    /// Says that none could be made, once for each reason.
    async fn failed(&self, task: &Task, trigger: Trigger, error: &ApiError) {
        tracing::warn!(task = %task.id, %trigger, %error, "no checkpoint");
        let detail = error.message.clone();
        let id = task.id.clone();
        let known = self.inner.tools.core.read(move |world| {
            world.task(&id).is_none_or(|it| it.kept.failed.as_deref() == Some(&*detail))
        });
        if known.await.unwrap_or(true) {
            return;
        }
        let body = EventBody::CheckpointFailed { trigger, detail: error.message.clone() };
        // A dispatcher that ends, or a store that is full, has said so elsewhere.
        let _ = self.inner.tools.core.command(Command::Record { id: task.id.clone(), body }).await;
    }
}

/// A checkpoint that nobody knows of yet.
struct Fresh {
    row: Checkpoint,
    shadow: Shadow,
}

fn row(
    task: &Task,
    place: &Place,
    made: Made,
    pinned: bool,
    parent: Option<CheckpointId>,
) -> Checkpoint {
    let Made { commit, change, meta } = made;
    let position = meta.position.unwrap_or_default();
    let facts = meta.facts;
    Checkpoint {
        id: facts.id,
        task: facts.task,
        task_name: facts.task_name,
        at: facts.at,
        trigger: facts.trigger,
        label: facts.label,
        pinned,
        commit,
        parent,
        provider: task.place.as_ref().map(|it| it.provider.clone()).unwrap_or_default(),
        workspace: place.workspace.clone(),
        change,
        files: meta.files,
        bytes: meta.bytes,
        left_out: meta.left_out_count,
        stored: None,
        damage: None,
        conversation: facts.conversation,
        branch: position.branch,
        head: position.head,
        turns: facts.turns,
        tokens: facts.tokens,
        cost: facts.cost,
    }
}

fn too_long(task: &Task, limit: Duration) -> ApiError {
    let message = format!("saving {} took longer than {}s", task.id, limit.as_secs());
    ApiError::new(ErrorKind::Host, message)
        .hint("what is large and not wanted can be ignored by git: see .gitignore")
}
