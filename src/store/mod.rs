//! What the dispatcher must not forget: tasks, events, file offsets, prompts and answers.
//!
//! One SQLite file in WAL mode with `synchronous=FULL`, so an answered commit survives a power
//! cut. One thread writes, and puts every batch that waits into one transaction (group commit);
//! two threads read, each on a read-only connection. The store does not know what an event
//! means: the caller numbers events, and the store refuses a number out of turn.
//!
//! A directory is open in one process at a time (an advisory lock on `parhelia.lock`, given back
//! by the kernel when the process dies), so two dispatchers cannot interleave their numbers.
//!
//! Deliberately absent: search in event bodies, pruning of old events (the events of a deleted
//! task stay, because the stream promises numbers without gaps), and any stored secret.

pub mod error;

mod codec;
mod file;
pub mod ledger;
mod query;
mod reader;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
};

use tokio::sync::{mpsc, oneshot};

use crate::{
    domain::{
        budget::{BudgetChange, Terms},
        checkpoint::Checkpoint,
        event::Event,
        ids::{CheckpointId, TaskId},
        ledger::Entry,
        task::Task,
    },
    stdx::time::Timestamp,
    store::{
        error::StoreError,
        ledger::{By, EntryQuery, LedgerLoaded, Sum},
        reader::Job,
        writer::Write,
    },
};

/// The store's file in its directory; SQLite keeps `-wal` and `-shm` beside it.
pub const FILE_NAME: &str = "parhelia.db";

/// A handle to the open store; clones share it. The store closes after the last is dropped, in
/// its own time; [`Store::close`] waits for that.
#[derive(Clone)]
pub struct Store {
    writes: mpsc::Sender<Write>,
    jobs: mpsc::Sender<Job>,
}

/// What a restarted dispatcher begins with. Events are not part of it: there may be millions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Every task, oldest first.
    pub tasks: Vec<Task>,
    /// The number of the newest event, 0 if there is none.
    pub last_seq: u64,
    /// How far each followed file of a task was read and committed.
    pub offsets: HashMap<(TaskId, String), u64>,
    /// Names this store's dispatcher on everything it creates; made with the store.
    pub dispatcher_id: String,
    /// What was spent, and what is set for it.
    pub ledger: LedgerLoaded,
}

/// What is written in one transaction: all of it or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Tasks to insert or replace.
    pub tasks: Vec<Task>,
    /// Tasks to delete with their offsets, prompts and answer. Done last, so it wins over the
    /// other fields. Their events stay.
    pub deleted: Vec<TaskId>,
    /// Events, numbered on from the last committed one without a gap.
    pub events: Vec<Event>,
    /// File offsets to set, by task and file key.
    pub offsets: Vec<(TaskId, String, u64)>,
    /// Prompts to keep, by task and ordinal; the highest ordinal is the task's prompt.
    pub prompts: Vec<(TaskId, u32, Vec<u8>)>,
    /// Final answers to keep, replacing older ones.
    pub answers: Vec<(TaskId, Vec<u8>)>,
    /// Checkpoints to insert or replace. They outlive their tasks.
    pub checkpoints: Vec<Checkpoint>,
    /// Checkpoints to delete; done after the others.
    pub checkpoints_deleted: Vec<CheckpointId>,
    /// Entries for the ledger, numbered on from the last committed one without a gap.
    pub entries: Vec<Entry>,
    /// What people set for the budget, if it changed.
    pub terms: Option<Terms>,
    /// The budget's history goes on with these.
    pub budget_changes: Vec<BudgetChange>,
}

/// Which checkpoints are wanted, newest first. Every condition must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointQuery {
    /// Of this task only, which may be deleted.
    pub task: Option<TaskId>,
    /// Whose id begins like this.
    pub prefix: Option<String>,
    /// Begun before this.
    pub before: Option<Timestamp>,
    /// At most so many; nothing for all.
    pub limit: Option<usize>,
}

/// Which events are wanted. Every condition must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Of this task only.
    pub task: Option<TaskId>,
    /// Numbered higher than this; 0 admits all.
    pub after_seq: u64,
    /// Numbered lower than this.
    pub before: Option<u64>,
    /// Of these kinds ([`crate::domain::event::EventBody::kind`]); empty admits all.
    pub kinds: Vec<String>,
    /// Of observations only those that are stored under these words; empty admits all.
    pub seen: Vec<String>,
    /// Decided then or later. Has no index: without a task it looks at every event in range.
    pub since: Option<Timestamp>,
    /// At most so many events, not counting skipped ones.
    pub limit: usize,
    /// Whether the newest come first; with `limit` this gives the last ones.
    pub newest_first: bool,
}

impl Default for Query {
    fn default() -> Query {
        Query {
            task: None,
            after_seq: 0,
            before: None,
            kinds: Vec::new(),
            seen: Vec::new(),
            since: None,
            limit: 1000,
            newest_first: false,
        }
    }
}

/// The answer to a [`Query`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// The events, in the order asked for.
    pub events: Vec<Event>,
    /// Rows passed over because this version cannot read them: another version wrote them.
    pub skipped: u64,
}

impl Store {
    /// Opens the store in `dir`, creating directory and file if need be, and loads what a
    /// dispatcher begins with. Blocks; call it before the runtime has other work.
    ///
    /// The integrity of a whole file is checked only after an unclean end and only up to 64 MB,
    /// because the check reads every page (a database of 700 MB would hold up the start for
    /// seconds). Otherwise a damaged page is found when it is read, as [`StoreError::Corrupt`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Newer`] and [`StoreError::Corrupt`] leave the file as it was;
    /// [`StoreError::Locked`] means another process kept it open for five seconds.
    pub fn open(dir: &Path) -> Result<(Store, Loaded), StoreError> {
        let lock = file::lock(dir)?;
        let path = dir.join(FILE_NAME);
        file::create(&path)?;
        let mut connection = schema::open(&path)?;
        let loaded = query::load(&connection, &path)?;
        schema::tune_writer(&mut connection, &path)?;
        let jobs = reader::start(&path)?;
        let writes = writer::start(connection, path, lock, loaded.last_seq, loaded.ledger.last)?;
        Ok((Store { writes, jobs }, loaded))
    }

    /// Renames a store that cannot be read to `parhelia.db.corrupt-<seconds of at>`, its side
    /// files with it, so that the next [`Store::open`] creates a new one. Returns the new name.
    ///
    /// Nothing is overwritten: if the name is taken, `-2`, `-3` and so on are appended.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] if a process has it open, [`StoreError::Io`] if a rename fails.
    pub fn move_aside(dir: &Path, at: Timestamp) -> Result<PathBuf, StoreError> {
        let _lock = file::lock(dir)?;
        file::move_aside(dir, at)
    }

    /// Writes `batch` and returns the number of the newest event once it is on disk.
    ///
    /// Batches are written in the order in which they are sent. If one fails, those that wait
    /// behind it and carry events fail too, by their numbers; batches without events do not, so
    /// wait for the answer before sending offsets that depend on it.
    ///
    /// # Errors
    ///
    /// Nothing of the batch was written then. After [`StoreError::Full`] the store goes on and
    /// takes batches again once there is space.
    pub async fn commit(&self, batch: Batch) -> Result<u64, StoreError> {
        let (reply, answer) = oneshot::channel();
        let write = Write::Commit { batch: Box::new(batch), reply };
        self.writes.send(write).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Returns the events that `query` asks for.
    ///
    /// # Errors
    ///
    /// If the file cannot be read. Single events that cannot are counted instead.
    pub async fn events(&self, query: Query) -> Result<Events, StoreError> {
        self.read(move |it| query::events(it, &query)).await
    }

    /// Returns the newest prompt of `task`.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub async fn prompt(&self, task: &TaskId) -> Result<Option<Vec<u8>>, StoreError> {
        let task = task.clone();
        self.read(move |it| query::prompt(it, &task)).await
    }

    /// Tells whether `task` has a prompt of its own for that launch.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub async fn has_prompt(&self, task: &TaskId, launch: u32) -> Result<bool, StoreError> {
        let task = task.clone();
        self.read(move |it| query::has_prompt(it, &task, launch)).await
    }

    /// Returns the kept final answer of `task`.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub async fn answer(&self, task: &TaskId) -> Result<Option<Vec<u8>>, StoreError> {
        let task = task.clone();
        self.read(move |it| query::answer(it, &task)).await
    }

    /// Returns the checkpoints that `query` asks for, newest first.
    ///
    /// # Errors
    ///
    /// If the file or a row cannot be read.
    pub async fn checkpoints(&self, query: CheckpointQuery) -> Result<Vec<Checkpoint>, StoreError> {
        self.read(move |it| query::checkpoints(it, &query)).await
    }

    /// Returns `task` as it was last committed.
    ///
    /// # Errors
    ///
    /// If the file or the row cannot be read.
    pub async fn task(&self, task: &TaskId) -> Result<Option<Task>, StoreError> {
        let task = task.clone();
        self.read(move |it| query::task(it, &task)).await
    }

    /// Returns entries of the ledger, in the order in which they were made.
    ///
    /// # Errors
    ///
    /// If the file or a row cannot be read.
    pub async fn entries(&self, query: EntryQuery) -> Result<Vec<Entry>, StoreError> {
        self.read(move |it| ledger::entries(it, &query)).await
    }

    /// Returns sums of the ledger; of `query` the limit is not minded.
    ///
    /// # Errors
    ///
    /// If the file or a row cannot be read.
    pub async fn sums(&self, by: By, query: EntryQuery) -> Result<Vec<Sum>, StoreError> {
        self.read(move |it| ledger::sums(it, by, &query)).await
    }

    /// Returns the newest `limit` changes of the budget, the newest first.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub async fn budget_changes(&self, limit: usize) -> Result<Vec<BudgetChange>, StoreError> {
        self.read(move |it| ledger::changes(it, limit)).await
    }

    /// Writes what still waits, marks the end as clean and closes the file. Later calls on
    /// clones answer [`StoreError::Closed`].
    pub async fn close(self) {
        let (reply, answer) = oneshot::channel();
        if self.writes.send(Write::Close { reply }).await.is_ok() {
            // An error means the writer is gone, which is what was asked for.
            let _ = answer.await;
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&reader::Source) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |source| {
            // Whoever asked may be gone by now; then nobody wants the answer.
            let _ = reply.send(read(source));
        });
        self.jobs.send(job).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}
