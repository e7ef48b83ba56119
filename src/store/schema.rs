//! The form of the file, its versions, and how connections are set up.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::{stdx::random, store::error::StoreError};

/// The steps from an empty file to the present form. Step `n` leads from schema `n` to `n + 1`;
/// a step that was released is never changed, only followed by another.
pub const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE meta (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE tasks (
        id TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        priority INTEGER NOT NULL,
        body TEXT NOT NULL
    );
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        task TEXT NOT NULL,
        kind TEXT NOT NULL,
        body TEXT NOT NULL
    );
    CREATE INDEX events_by_task ON events (task, seq);
    CREATE TABLE offsets (
        task TEXT NOT NULL,
        file TEXT NOT NULL,
        offset INTEGER NOT NULL,
        PRIMARY KEY (task, file)
    ) WITHOUT ROWID;
    CREATE TABLE prompts (
        task TEXT NOT NULL,
        ordinal INTEGER NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (task, ordinal)
    );
    CREATE TABLE answers (
        task TEXT PRIMARY KEY,
        body BLOB NOT NULL
    );
",
    "
    CREATE TABLE checkpoints (
        id TEXT PRIMARY KEY,
        task TEXT NOT NULL,
        at INTEGER NOT NULL,
        body TEXT NOT NULL
    );
    CREATE INDEX checkpoints_by_task ON checkpoints (task, at);
    CREATE INDEX checkpoints_by_age ON checkpoints (at);
",
    // What tasks had cost before there was a ledger becomes one entry each, at their submission.
    "
    CREATE TABLE ledger (
        id INTEGER PRIMARY KEY,
        task TEXT NOT NULL,
        task_kind TEXT NOT NULL,
        worker TEXT NOT NULL,
        host TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        kind TEXT NOT NULL,
        model TEXT,
        since INTEGER NOT NULL,
        until INTEGER NOT NULL,
        quantity INTEGER NOT NULL,
        rate INTEGER NOT NULL,
        amount INTEGER NOT NULL,
        source TEXT NOT NULL,
        input INTEGER NOT NULL,
        output INTEGER NOT NULL,
        cache_read INTEGER NOT NULL,
        cache_write INTEGER NOT NULL
    );
    CREATE INDEX ledger_by_task ON ledger (task, id);
    CREATE INDEX ledger_by_time ON ledger (until);
    INSERT INTO ledger (task, task_kind, worker, host, attempt, kind, model, since, until, quantity,
        rate, amount, source, input, output, cache_read, cache_write)
    SELECT id, json_extract(body, '$.spec.kind'), json_extract(body, '$.place.worker'),
        json_extract(body, '$.place.provider'), json_extract(body, '$.attempts'), 'model',
        json_extract(body, '$.spec.model'), created_at, created_at, 0, 0,
        json_extract(body, '$.usage.model'), 'reported',
        json_extract(body, '$.usage.tokens.input'), json_extract(body, '$.usage.tokens.output'),
        json_extract(body, '$.usage.tokens.cache_read'),
        json_extract(body, '$.usage.tokens.cache_write')
    FROM tasks
    WHERE json_extract(body, '$.usage.model') > 0 AND json_extract(body, '$.place.worker') NOT NULL
    ORDER BY created_at, id;
    CREATE TRIGGER ledger_is_never_changed BEFORE UPDATE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
    CREATE TRIGGER ledger_is_never_cut BEFORE DELETE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
    CREATE TABLE budget (
        key TEXT PRIMARY KEY,
        body TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE budget_changes (
        id INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        body TEXT NOT NULL
    );
",
];

/// Marks the file as ours (`PRAGMA application_id`): "Parh".
const APPLICATION_ID: i32 = 0x5061_7268;

/// How long a connection waits for another's lock. Only the sub-second work of SQLite itself
/// (recovering the WAL, a checkpoint) holds one; at the limit the answer is `Locked`.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The page cache of one connection in KiB. The system caches the file as well.
const CACHE_KIB: i32 = 1024;

/// The largest file whose integrity is checked after an unclean end; larger ones would hold up
/// the start for more than about half a second.
const CHECK_BYTES: u64 = 64 * 1024 * 1024;

/// Pages in the WAL at which SQLite checkpoints inside a commit, when writing never pauses long
/// enough for the writer to do it (16 MiB of 4 KiB pages).
const WAL_PAGES: i32 = 4096;

/// The size to which the WAL file is cut back after a burst, in bytes.
const WAL_KEEP_BYTES: i32 = 32 * 1024 * 1024;

/// Opens the file for writing, in the present form.
pub fn open(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sqlite = |it: rusqlite::Error| StoreError::of_sqlite(path, &it);
    let mut connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sqlite)?;
    refuse_foreign(&connection, path)?;
    let mode: String =
        connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(sqlite)?;
    if mode != "wal" {
        return Err(StoreError::Io {
            path: path.to_owned(),
            detail: format!("its file system cannot hold a write-ahead log (mode `{mode}`)"),
        });
    }
    pragmas(&connection).map_err(sqlite)?;
    migrate(&mut connection, MIGRATIONS).map_err(sqlite)?;
    check_after_unclean_end(&connection, path)?;
    Ok(connection)
}

/// Opens the file for reading only.
pub fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sqlite = |it: rusqlite::Error| StoreError::of_sqlite(path, &it);
    let connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sqlite)?;
    pragmas(&connection).map_err(sqlite)?;
    Ok(connection)
}

/// Sets how the writer's connection treats the WAL.
pub fn tune_writer(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let sqlite = |it: rusqlite::Error| StoreError::of_sqlite(path, &it);
    connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES).map_err(sqlite)?;
    connection.pragma_update(None, "journal_size_limit", WAL_KEEP_BYTES).map_err(sqlite)
}

fn pragmas(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Rows must not be able to run code through a schema that someone else prepared.
    connection.pragma_update(None, "trusted_schema", "OFF")
}

/// Refuses a newer file and a database that is not ours, before anything is written.
fn refuse_foreign(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let sqlite = |it: rusqlite::Error| StoreError::of_sqlite(path, &it);
    let found = version(connection).map_err(sqlite)?;
    let application: i32 =
        connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(sqlite)?;
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(sqlite)?;
    if tables != 0 && application != APPLICATION_ID {
        return Err(StoreError::Corrupt {
            path: path.to_owned(),
            detail: "it is a database of another program".into(),
        });
    }
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    if known < found {
        return Err(StoreError::Newer { found, known });
    }
    Ok(())
}

fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Brings the file to the present form, each step in its own transaction, so that a step either
/// happened or did not.
pub fn migrate(connection: &mut Connection, steps: &[&str]) -> rusqlite::Result<()> {
    let done = version(connection)?;
    let ahead = steps.iter().zip(0u32..).skip(done as usize);
    for (step, version) in ahead {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        if version == 0 {
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.execute(
                "INSERT INTO meta (key, value) VALUES ('dispatcher_id', ?1), ('clean', '1')",
                [random::base32(8)],
            )?;
        }
        transaction.pragma_update(None, "user_version", version + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

fn check_after_unclean_end(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let sqlite = |it: rusqlite::Error| StoreError::of_sqlite(path, &it);
    let clean: String = connection
        .query_row("SELECT value FROM meta WHERE key = 'clean'", [], |row| row.get(0))
        .map_err(sqlite)?;
    let bytes = path.metadata().map_or(0, |it| it.len());
    if clean == "1" || CHECK_BYTES < bytes {
        return Ok(());
    }
    let verdict: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(sqlite)?;
    if verdict == "ok" {
        Ok(())
    } else {
        Err(StoreError::Corrupt { path: path.to_owned(), detail: verdict })
    }
}
