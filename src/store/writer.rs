//! The thread that writes.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};

use crate::store::{Batch, codec, error::StoreError, ledger};

/// Batches that may wait for the writer. At the limit whoever commits waits to send, which slows
/// the dispatcher down to what the disk takes.
const WRITES_CAP: usize = 256;

/// Batches in one transaction: what the writer takes of those that wait.
const GROUP_MAX: usize = 256;

/// How long after the last write the WAL is checkpointed: longer than the gaps in a burst, so
/// the burst does not pay for it.
const IDLE_BEFORE_CHECKPOINT: Duration = Duration::from_millis(500);

/// What the writer is asked.
pub enum Write {
    /// Write this.
    Commit { batch: Box<Batch>, reply: oneshot::Sender<Result<u64, StoreError>> },
    /// Write what came before this, then end.
    Close { reply: oneshot::Sender<()> },
}

/// Owns the writing connection, since SQLite admits one writer, and the numbers of the newest
/// event and entry, since they must not be read back for every commit.
struct Writer {
    connection: Connection,
    path: PathBuf,
    last_seq: u64,
    last_entry: u64,
    /// Whether the file says that it is being written to.
    marked: bool,
}

type Waiting = (Box<Batch>, oneshot::Sender<Result<u64, StoreError>>);

/// Starts the thread. It ends when asked, or when the sender and its clones are dropped, and
/// holds `lock` until the file is closed.
pub fn start(
    connection: Connection,
    path: PathBuf,
    lock: File,
    last_seq: u64,
    last_entry: u64,
) -> Result<mpsc::Sender<Write>, StoreError> {
    let (sender, receiver) = mpsc::channel(WRITES_CAP);
    let marked = false;
    let writer = Writer { connection, path: path.clone(), last_seq, last_entry, marked };
    thread::Builder::new()
        .name("store-write".into())
        .spawn(move || {
            let closed = writer.run(receiver);
            // Only now may another process open it; whoever closed it waits for just that.
            drop(lock);
            if let Some(reply) = closed {
                let _ = reply.send(());
            }
        })
        .map_err(|it| StoreError::of_io(&path, &it))?;
    Ok(sender)
}

impl Writer {
    fn run(mut self, mut receiver: mpsc::Receiver<Write>) -> Option<oneshot::Sender<()>> {
        let mut written = false;
        let closed = loop {
            let next = if written {
                match recv_timeout(&mut receiver, IDLE_BEFORE_CHECKPOINT) {
                    Some(next) => next,
                    None => {
                        // Readers may keep part of the WAL; the next burst's end tries again.
                        let _ = checkpoint(&self.connection, "PASSIVE");
                        written = false;
                        continue;
                    }
                }
            } else {
                receiver.blocking_recv()
            };
            match next {
                None => break None,
                Some(Write::Close { reply }) => break Some(reply),
                Some(Write::Commit { batch, reply }) => {
                    let (group, close) = gather((batch, reply), &mut receiver);
                    self.write(group);
                    written = true;
                    if close.is_some() {
                        break close;
                    }
                }
            }
        };
        self.end();
        closed
    }

    /// Writes a group in one transaction; if that fails, one by one, so that each batch gets the
    /// answer that is its own.
    fn write(&mut self, group: Vec<Waiting>) {
        if 1 < group.len()
            && let Ok(seqs) = self.transact(group.iter().map(|it| &*it.0))
        {
            for ((_, reply), seq) in group.into_iter().zip(seqs) {
                let _ = reply.send(Ok(seq));
            }
            return;
        }
        for (batch, reply) in group {
            let result = self.transact([&*batch]).map(|_| self.last_seq);
            let _ = reply.send(result);
        }
    }

    /// Writes all of `batches` or nothing, and returns the newest number after each.
    fn transact<'a>(
        &mut self,
        batches: impl IntoIterator<Item = &'a Batch>,
    ) -> Result<Vec<u64>, StoreError> {
        let sqlite = |it: rusqlite::Error| StoreError::of_sqlite(&self.path, &it);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(sqlite)?;
        if !self.marked {
            mark(&transaction, "0").map_err(sqlite)?;
        }
        let (mut last, mut last_entry) = (self.last_seq, self.last_entry);
        let mut seqs = Vec::new();
        for batch in batches {
            last = check_order(last, batch)?;
            insert(&transaction, batch, &self.path)?;
            let (terms, changes) = (batch.terms.as_ref(), &batch.budget_changes);
            last_entry = ledger::insert(&transaction, &self.path, last_entry, &batch.entries)?;
            ledger::insert_terms(&transaction, &self.path, terms, changes)?;
            seqs.push(last);
        }
        transaction.commit().map_err(sqlite)?;
        self.marked = true;
        self.last_seq = last;
        self.last_entry = last_entry;
        Ok(seqs)
    }

    /// Marks the end as clean. What fails here costs the next start a check, no more.
    fn end(self) {
        if self.marked {
            let _ = mark(&self.connection, "1");
        }
        let _ = checkpoint(&self.connection, "TRUNCATE");
    }
}

/// Takes what else waits, up to [`GROUP_MAX`] or a wish to close.
fn gather(
    first: Waiting,
    receiver: &mut mpsc::Receiver<Write>,
) -> (Vec<Waiting>, Option<oneshot::Sender<()>>) {
    let mut group = vec![first];
    while group.len() < GROUP_MAX {
        match receiver.try_recv() {
            Ok(Write::Commit { batch, reply }) => group.push((batch, reply)),
            Ok(Write::Close { reply }) => return (group, Some(reply)),
            Err(_) => break,
        }
    }
    (group, None)
}

/// **The seq invariant**: events are numbered from 1 without a gap. Returns the newest number
/// after `batch`.
fn check_order(mut last: u64, batch: &Batch) -> Result<u64, StoreError> {
    for event in &batch.events {
        let expected = last.saturating_add(1);
        if event.seq != expected {
            return Err(StoreError::OutOfTurn { expected, found: event.seq });
        }
        last = expected;
    }
    Ok(last)
}

fn insert(transaction: &Transaction<'_>, batch: &Batch, path: &Path) -> Result<(), StoreError> {
    let sqlite = |it: rusqlite::Error| StoreError::of_sqlite(path, &it);
    let run = |sql: &str, params: &[&dyn rusqlite::ToSql]| {
        transaction.prepare_cached(sql).and_then(|mut it| it.execute(params)).map_err(sqlite)
    };
    for task in &batch.tasks {
        run(
            "INSERT INTO tasks (id, state, created_at, priority, body) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (id) DO UPDATE SET state = ?2, created_at = ?3, priority = ?4, body = ?5",
            params![
                task.id.as_str(),
                task.state.name(),
                task.created_at.0,
                task.spec.priority,
                codec::task_body(task)?
            ],
        )?;
    }
    for event in &batch.events {
        run(
            "INSERT INTO events (seq, at, task, kind, body) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                codec::integer(event.seq)?,
                event.at.0,
                event.task.as_str(),
                event.body.kind(),
                codec::event_body(event)?
            ],
        )?;
    }
    for (task, file, offset) in &batch.offsets {
        run(
            "INSERT INTO offsets (task, file, offset) VALUES (?1, ?2, ?3)
             ON CONFLICT (task, file) DO UPDATE SET offset = ?3",
            params![task.as_str(), file, codec::integer(*offset)?],
        )?;
    }
    for (task, ordinal, body) in &batch.prompts {
        run(
            "INSERT OR REPLACE INTO prompts (task, ordinal, body) VALUES (?1, ?2, ?3)",
            params![task.as_str(), ordinal, body],
        )?;
    }
    for (task, body) in &batch.answers {
        run(
            "INSERT OR REPLACE INTO answers (task, body) VALUES (?1, ?2)",
            params![task.as_str(), body],
        )?;
    }
    for it in &batch.checkpoints {
        run(
            "INSERT INTO checkpoints (id, task, at, body) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (id) DO UPDATE SET body = ?4",
            params![it.id.as_str(), it.task.as_str(), it.at.0, codec::checkpoint_body(it)?],
        )?;
    }
    for id in &batch.checkpoints_deleted {
        run("DELETE FROM checkpoints WHERE id = ?1", params![id.as_str()])?;
    }
    for task in &batch.deleted {
        for sql in [
            "DELETE FROM tasks WHERE id = ?1",
            "DELETE FROM offsets WHERE task = ?1",
            "DELETE FROM prompts WHERE task = ?1",
            "DELETE FROM answers WHERE task = ?1",
        ] {
            run(sql, params![task.as_str()])?;
        }
    }
    Ok(())
}

fn mark(connection: &Connection, clean: &str) -> rusqlite::Result<usize> {
    connection.execute("UPDATE meta SET value = ?1 WHERE key = 'clean'", [clean])
}

fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<()> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()))
}

/// Wakes a thread that is parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for the next message, or returns nothing after `timeout`. It may return early without
/// one (a park can end for no reason), which here only makes a checkpoint early.
fn recv_timeout(receiver: &mut mpsc::Receiver<Write>, timeout: Duration) -> Option<Option<Write>> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    if let Poll::Ready(next) = receiver.poll_recv(&mut context) {
        return Some(next);
    }
    thread::park_timeout(timeout);
    match receiver.poll_recv(&mut context) {
        Poll::Ready(next) => Some(next),
        Poll::Pending => None,
    }
}
