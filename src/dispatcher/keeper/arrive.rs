//! Fetching checkpoints to this machine, and letting go of those that are past keeping.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Mutex, mpsc},
    time::{Instant, sleep_until},
};

use crate::{
    api::error::{ApiError, ErrorKind},
    checkpoint::{CheckpointError, retention::expired, vault::LARGE},
    dispatcher::keeper::{Keeper, Place, checkpoint_error},
    domain::{
        checkpoint::{Checkpoint, Trigger},
        event::EventBody,
        ids::TaskId,
        task::Task,
    },
    store::CheckpointQuery,
};

/// Tasks whose checkpoints are fetched at once, so that a slow host does not hold up the others.
const AT_ONCE: usize = 2;
/// How long fetching one may take. Of a far host the first holds the whole history.
const FETCH_LIMIT: Duration = Duration::from_secs(1800);
/// How long giving back space may take; what is not done then is done the next time.
const COLLECT_LIMIT: Duration = Duration::from_secs(600);
/// How long the shadow repository may be in use for packing: others wait for it.
const TIDY_LIMIT: Duration = Duration::from_secs(60);
/// A shadow repository is packed after so many checkpoints.
const TIDY_EVERY: usize = 25;
/// How often all are looked through for those past keeping.
const SWEEP_EVERY: Duration = Duration::from_secs(24 * 3600);
/// Between two times that space is given back unasked: it reads much.
const COLLECT_EVERY: Duration = Duration::from_secs(3600);

/// Those who fetch, and what they share.
struct Porter {
    keeper: Keeper,
    waiting: Mutex<mpsc::Receiver<TaskId>>,
    collected: Mutex<Option<Instant>>,
    /// Whether something large arrived since, which may differ little from what was here.
    large: AtomicBool,
}

impl Keeper {
    /// Begins to fetch what is made; does nothing the second time.
    pub(super) fn begin_fetching(&self) {
        let waiting = self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(waiting) = waiting else { return };
        let porter = Arc::new(Porter {
            keeper: self.clone(),
            waiting: Mutex::new(waiting),
            collected: Mutex::default(),
            large: AtomicBool::new(false),
        });
        for _ in 0..AT_ONCE {
            let porter = Arc::clone(&porter);
            tokio::spawn(async move {
                loop {
                    let next = porter.waiting.lock().await.recv().await;
                    let Some(task) = next else { return };
                    porter.serve(&task).await;
                }
            });
        }
        tokio::spawn(async move {
            loop {
                porter.sweep().await;
                sleep_until(Instant::now() + SWEEP_EVERY).await;
            }
        });
    }

    /// Fetches all of a task's checkpoints that are not here yet.
    ///
    /// # Errors
    ///
    /// If one could not be fetched that may still be: those before it are here.
    pub async fn fetch_all(&self, task: &Task) -> Result<(), ApiError> {
        let mut rows = self.of(&task.id).await?;
        rows.retain(|it| !it.is_here() && it.damage.is_none());
        if rows.is_empty() {
            return Ok(());
        }
        let place = self.place(task).await?;
        for row in rows.iter().rev() {
            self.fetch_one(&place, row).await?;
        }
        Ok(())
    }

    async fn fetch_one(&self, place: &Place, row: &Checkpoint) -> Result<(), ApiError> {
        let (vault, near) = (self.vault(), place.is_near());
        let receive =
            || vault.receive(&place.shadow, &row.task, &row.id, &row.commit, near, FETCH_LIMIT);
        let mut arrived = receive().await;
        if let Err(CheckpointError::Damaged { .. } | CheckpointError::Refused { .. }) = arrived {
            // What it shares with others may be damaged here.
            let (shadow, commit) = (&place.shadow, &row.commit);
            let mended = vault.mend_here(shadow, &row.task, &row.id, commit, near, FETCH_LIMIT);
            if mended.await.is_ok() {
                arrived = receive().await;
            }
        }
        self.sized(None);
        match arrived {
            Ok(bytes) => {
                let held = |row: &mut Checkpoint| {
                    if row.stored.replace(bytes).is_some() {
                        return None;
                    }
                    Some(EventBody::CheckpointHeld { id: row.id.clone(), bytes })
                };
                match self.change(&row.id, held).await {
                    // Deleted while it was under way.
                    Err(error) if error.kind == ErrorKind::NotFound => {
                        let _ = vault.forget(&row.task, &row.id).await;
                        Ok(())
                    }
                    other => other.map(drop),
                }
            }
            Err(error @ CheckpointError::Missing { .. }) => {
                tracing::warn!(checkpoint = %row.id, %error, "lost before it was here");
                let lost = "it was lost on its host before it arrived here".to_owned();
                self.mark(&row.id, Some(lost)).await.map(drop)
            }
            Err(error) => Err(checkpoint_error(&error)),
        }
    }

    /// Fetches what a checkpoint consists of anew from its host, in front of what is here, which is
    /// damaged. Returns the host.
    ///
    /// # Errors
    ///
    /// If its task is deleted, or if it cannot be read there.
    pub async fn fetch_again(&self, row: &Checkpoint) -> Result<String, ApiError> {
        let Some(task) = self.task(&row.task).await? else {
            let message = format!("{} is deleted, and what it had on its host", row.task);
            return Err(ApiError::new(ErrorKind::NotFound, message));
        };
        let _held = self.lock(&row.task).await;
        let place = self.place(&task).await?;
        let (shadow, near, vault) = (&place.shadow, place.is_near(), self.vault());
        let mended =
            vault.mend_here(shadow, &row.task, &row.id, &row.commit, near, FETCH_LIMIT).await;
        self.sized(None);
        mended.map_err(|it| checkpoint_error(&it))?;
        Ok(shadow.repo.shell.host().to_owned())
    }

    /// Deletes those of a task's checkpoints that are past keeping. Returns how many.
    ///
    /// # Errors
    ///
    /// If the store cannot be read or written.
    pub async fn retire(&self, task: &TaskId) -> Result<usize, ApiError> {
        let rows = self.of(task).await?;
        let live = self.task(task).await?.is_some();
        let now = self.inner.tools.clock.now();
        let expired = expired(&rows, &self.policy(), live, now);
        for (id, why) in &expired {
            if let Some(row) = rows.iter().find(|it| it.id == *id) {
                self.delete(row, why).await?;
            }
        }
        Ok(expired.len())
    }

    /// Gives back the space of what was deleted. Returns how many bytes.
    ///
    /// # Errors
    ///
    /// If git refuses.
    pub async fn collect(&self) -> Result<u64, ApiError> {
        let freed = self.vault().collect(COLLECT_LIMIT).await;
        self.sized(None);
        freed.map_err(|it| checkpoint_error(&it))
    }

    /// Sees to it that deleting a task's directory loses no checkpoint: all that are only there
    /// are fetched.
    ///
    /// # Errors
    ///
    /// If one of them cannot be.
    pub async fn bring_home(&self, task: &Task, limit: Duration) -> Result<(), ApiError> {
        match tokio::time::timeout(limit, self.fetch_all(task)).await {
            Ok(result) => result,
            Err(_) => {
                let message =
                    format!("fetching its checkpoints took longer than {}s", limit.as_secs());
                Err(ApiError::new(ErrorKind::Host, message))
            }
        }
    }

    /// Deletes the rows of a task's checkpoints that were only in its directory, which is gone.
    pub async fn abandon(&self, task: &TaskId) {
        let rows = self.of(task).await.unwrap_or_default();
        for row in rows.iter().filter(|it| !it.is_here()) {
            let why = "its task was deleted before it arrived here";
            if let Err(error) = self.delete(row, why).await {
                tracing::warn!(checkpoint = %row.id, %error, "a lost checkpoint stays listed");
            }
        }
    }
}

impl Porter {
    /// Fetches what is new of a task, then lets go of what is past keeping.
    async fn serve(&self, id: &TaskId) {
        let Ok(Some(task)) = self.keeper.task(id).await else { return };
        let before = self.keeper.newest(id).await.ok().flatten();
        let fetched = self.keeper.fetch_all(&task).await;
        let newest = self.keeper.newest(id).await.ok().flatten();
        if before.is_none_or(|it| !it.is_here()) && newest.is_some_and(|it| Some(LARGE) < it.stored)
        {
            self.large.store(true, Ordering::Relaxed);
        }
        if let Err(error) = fetched {
            let detail = format!("it is only on its host so far: {}", error.message);
            let error = ApiError { message: detail, ..error };
            let newest = self.keeper.newest(id).await.ok().flatten();
            let trigger = newest.map_or(Trigger::Manual, |it| it.trigger);
            self.keeper.failed(&task, trigger, &error).await;
        }
        match self.keeper.retire(id).await {
            Ok(0) => self.join().await,
            Ok(_) => self.collect().await,
            Err(error) => tracing::warn!(task = %id, %error, "old checkpoints stay"),
        }
        self.tidy(&task).await;
    }

    /// Gives back the space of what is large and differs little, as a long file that grew; not
    /// while others wait to be fetched.
    async fn join(&self) {
        let arrivals = &self.keeper.inner.arrivals;
        let waits = arrivals.capacity() < arrivals.max_capacity();
        if !waits && self.large.load(Ordering::Relaxed) {
            self.collect().await;
        }
    }

    /// Packs a shadow repository now and then.
    async fn tidy(&self, task: &Task) {
        let count = self.keeper.of(&task.id).await.map_or(0, |it| it.len());
        if count == 0 || !count.is_multiple_of(TIDY_EVERY) {
            return;
        }
        let _held = self.keeper.lock(&task.id).await;
        let Ok(place) = self.keeper.place(task).await else { return };
        if let Err(error) = place.shadow.tidy(TIDY_LIMIT).await {
            tracing::debug!(task = %task.id, %error, "its checkpoints stay unpacked");
        }
    }

    /// Gives back space, unless that was done a short while ago.
    async fn collect(&self) {
        let mut collected = self.collected.lock().await;
        if collected.is_some_and(|it| it.elapsed() < COLLECT_EVERY) {
            return;
        }
        self.large.store(false, Ordering::Relaxed);
        if let Err(error) = self.keeper.collect().await {
            tracing::warn!(%error, "the space of old checkpoints is not given back");
        }
        *collected = Some(Instant::now());
    }

    /// Looks through all tasks that have checkpoints, deleted ones as well.
    async fn sweep(&self) {
        let rows = match self.keeper.query(CheckpointQuery::default()).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(%error, "the checkpoints cannot be looked through");
                return;
            }
        };
        let missing: BTreeSet<&TaskId> =
            rows.iter().filter(|it| !it.is_here()).map(|it| &it.task).collect();
        missing.into_iter().for_each(|it| self.keeper.fetch(it));
        let tasks: BTreeSet<&TaskId> = rows.iter().map(|it| &it.task).collect();
        let mut gone = 0;
        for task in tasks {
            gone += self.keeper.retire(task).await.unwrap_or(0);
        }
        if gone != 0 {
            self.collect().await;
        }
    }
}
