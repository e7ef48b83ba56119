//! The rows of checkpoints: found, changed one at a time, deleted.

use crate::{
    api::error::{ApiError, ErrorKind},
    checkpoint::{repo::Repo, retention::Policy},
    dispatcher::{
        core::store_error,
        decide::{Command, misspelt},
        keeper::{Keeper, checkpoint_error},
    },
    domain::{
        checkpoint::Checkpoint,
        event::EventBody,
        ids::{CheckpointId, TaskId},
        task::Task,
    },
    stdx::text::one_line,
    store::CheckpointQuery,
};

use std::{sync::PoisonError, time::Duration};

/// The newest checkpoints that are looked through for one that was meant.
const NEAR_MAX: usize = 1000;
/// A day, of which settings count.
const DAY: Duration = Duration::from_secs(86_400);

/// Where a checkpoint can be read.
pub struct Readable {
    /// A repository that holds it.
    pub repo: Repo,
    /// `host`, `here` or both.
    pub places: Vec<&'static str>,
}

impl Keeper {
    /// Returns the newest checkpoint of a task.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub async fn newest(&self, task: &TaskId) -> Result<Option<Checkpoint>, ApiError> {
        let query = CheckpointQuery {
            task: Some(task.clone()),
            limit: Some(1),
            ..CheckpointQuery::default()
        };
        Ok(self.query(query).await?.pop())
    }

    /// Returns all checkpoints of a task, newest first.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub async fn of(&self, task: &TaskId) -> Result<Vec<Checkpoint>, ApiError> {
        let query = CheckpointQuery { task: Some(task.clone()), ..CheckpointQuery::default() };
        self.query(query).await
    }

    /// Returns the checkpoints that `query` asks for, newest first.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub async fn query(&self, query: CheckpointQuery) -> Result<Vec<Checkpoint>, ApiError> {
        self.inner.tools.store.checkpoints(query).await.map_err(|it| store_error(&it))
    }

    /// Finds the one checkpoint whose id starts with `prefix`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] with the nearest ids, or [`ErrorKind::Invalid`] with the rivals.
    pub async fn find(&self, prefix: &str) -> Result<Checkpoint, ApiError> {
        let full = if prefix.starts_with(CheckpointId::PREFIX) {
            prefix.to_owned()
        } else {
            format!("{}{prefix}", CheckpointId::PREFIX)
        };
        let query = CheckpointQuery { prefix: Some(full.clone()), ..CheckpointQuery::default() };
        let mut found = self.query(query).await?;
        match found.len() {
            0 => Err(self.not_found(prefix, &full).await?),
            1 => Ok(found.remove(0)),
            rivals => {
                let shown = one_line(prefix, 60);
                let ids: Vec<&str> = found.iter().take(5).map(|it| it.id.as_str()).collect();
                let message = format!("`{shown}` is the start of {rivals} checkpoint ids");
                Err(ApiError::new(ErrorKind::Invalid, message)
                    .hint(format!("among them {}", ids.join(", "))))
            }
        }
    }

    async fn not_found(&self, prefix: &str, full: &str) -> Result<ApiError, ApiError> {
        let newest = CheckpointQuery { limit: Some(NEAR_MAX), ..CheckpointQuery::default() };
        let rows = self.query(newest).await?;
        let ids: Vec<&str> = rows.iter().map(|it| it.id.as_str()).collect();
        let shown = one_line(prefix, 60);
        let mut error =
            ApiError::new(ErrorKind::NotFound, format!("Checkpoint not found: {shown}"));
        let near = misspelt(full, &ids);
        if !near.is_empty() {
            error = error.hint(format!("did you mean {}?", near.join(", ")));
        } else if let [newest, ..] = ids[..] {
            error = error.hint(format!("the newest checkpoint is {newest}"));
        }
        Ok(error.hint("list them: parhelia checkpoint list"))
    }

    /// Changes a checkpoint as `change` says, which returns what happened; nothing happened if it
    /// returns nothing. Returns the checkpoint as it is then.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if it is no more, or if the store cannot be written.
    pub async fn change(
        &self,
        id: &CheckpointId,
        change: impl FnOnce(&mut Checkpoint) -> Option<EventBody>,
    ) -> Result<Checkpoint, ApiError> {
        let _one = self.inner.rows.lock().await;
        let mut row = self.find(id.as_str()).await?;
        if let Some(body) = change(&mut row) {
            let command = Command::Checkpoint {
                task: row.task.clone(),
                id: row.id.clone(),
                row: Some(Box::new(row.clone())),
                body: Box::new(body),
            };
            self.inner.tools.core.command(command).await?;
        }
        Ok(row)
    }

    /// Writes down what is wrong with a checkpoint, or that nothing is.
    ///
    /// # Errors
    ///
    /// As [`Keeper::change`].
    pub async fn mark(
        &self,
        id: &CheckpointId,
        damage: Option<String>,
    ) -> Result<Checkpoint, ApiError> {
        self.change(id, |row| {
            if row.damage == damage {
                return None;
            }
            row.damage.clone_from(&damage);
            Some(EventBody::CheckpointDamaged { id: row.id.clone(), detail: damage })
        })
        .await
    }

    /// Deletes a checkpoint, here and on its host as far as that answers. Space comes back later.
    ///
    /// # Errors
    ///
    /// If the store cannot be written; the checkpoint is as it was then.
    pub async fn delete(&self, row: &Checkpoint, why: &str) -> Result<(), ApiError> {
        {
            let _one = self.inner.rows.lock().await;
            let body = EventBody::CheckpointDeleted { id: row.id.clone(), why: why.to_owned() };
            let command = Command::Checkpoint {
                task: row.task.clone(),
                id: row.id.clone(),
                row: None,
                body: Box::new(body),
            };
            self.inner.tools.core.command(command).await?;
        }
        self.sized(None);
        if row.is_here()
            && let Err(error) = self.vault().forget(&row.task, &row.id).await
        {
            tracing::warn!(checkpoint = %row.id, %error, "its space here is not given back");
        }
        if let Some(task) = self.task(&row.task).await?
            && let Ok(place) = self.place(&task).await
            && let Err(error) = place.shadow.forget(row.id.as_str()).await
        {
            tracing::debug!(checkpoint = %row.id, %error, "its space there is not given back");
        }
        Ok(())
    }

    /// Returns a repository that holds a checkpoint: the one on this machine if it has arrived and
    /// is whole, else the one on its host.
    ///
    /// # Errors
    ///
    /// If neither can be had.
    pub async fn readable(&self, row: &Checkpoint) -> Result<Readable, ApiError> {
        let vault = &self.vault().repo;
        let here = row.is_here() && vault.has(&row.commit).await.unwrap_or(false);
        let (host, why) = match self.on_host(row).await {
            Ok(repo) => (repo, None),
            Err(error) => (None, Some(error)),
        };
        let mut places = Vec::new();
        places.extend(host.as_ref().map(|_| "host"));
        places.extend(here.then_some("here"));
        if here {
            return Ok(Readable { repo: vault.clone(), places });
        }
        match (host, why) {
            (Some(repo), _) => Ok(Readable { repo, places }),
            (None, Some(error)) => Err(error),
            (None, None) => {
                let message = format!("the checkpoint {} is gone, on its host and here", row.id);
                Err(ApiError::new(ErrorKind::Store, message)
                    .hint("see which are whole: parhelia checkpoint verify"))
            }
        }
    }

    async fn on_host(&self, row: &Checkpoint) -> Result<Option<Repo>, ApiError> {
        let Some(task) = self.task(&row.task).await? else { return Ok(None) };
        let repo = self.place(&task).await?.shadow.repo;
        let has = repo.has(&row.commit).await.map_err(|it| checkpoint_error(&it))?;
        Ok(has.then_some(repo))
    }

    /// Returns a task, if it is not deleted.
    ///
    /// # Errors
    ///
    /// If the dispatcher is ending.
    pub async fn task(&self, id: &TaskId) -> Result<Option<Task>, ApiError> {
        let id = id.clone();
        self.inner.tools.core.read(move |world| world.task(&id).cloned()).await
    }

    /// Returns what the configuration says about keeping.
    pub fn policy(&self) -> Policy {
        let settings = &self.inner.tools.settings.checkpoint;
        Policy {
            max_per_session: settings.max_per_session,
            keep: DAY.saturating_mul(settings.retention_days),
        }
    }

    /// Returns the bytes that the vault takes, linked objects not counted; 0 if it cannot be read.
    pub async fn size(&self) -> u64 {
        let known = *self.inner.size.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(size) = known {
            return size;
        }
        let size = self.vault().size().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the size of the checkpoints is not known");
            0
        });
        self.sized(Some(size));
        size
    }

    /// Remembers how large the vault is; nothing if that is not known any more.
    pub(super) fn sized(&self, size: Option<u64>) {
        *self.inner.size.lock().unwrap_or_else(PoisonError::into_inner) = size;
    }
}
