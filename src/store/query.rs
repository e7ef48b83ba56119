//! What is read.

use std::{collections::HashMap, path::Path};

use rusqlite::{Connection, OptionalExtension, Row, params_from_iter, types::Value};

use crate::{
    domain::{checkpoint::Checkpoint, event::Event, ids::TaskId, task::Task},
    store::{
        CheckpointQuery, Events, Loaded, Query, codec, error::StoreError, ledger, reader::Source,
    },
};

/// Reads what a dispatcher begins with.
pub fn load(connection: &Connection, path: &Path) -> Result<Loaded, StoreError> {
    let sqlite = |it: rusqlite::Error| StoreError::of_sqlite(path, &it);
    let bodies: Vec<String> =
        rows(connection, "SELECT body FROM tasks ORDER BY created_at, id", |row| row.get(0))
            .map_err(sqlite)?;
    let tasks = bodies.iter().map(|it| parse_task(it, path)).collect::<Result<_, _>>()?;
    let last_seq = connection
        .query_row("SELECT coalesce(max(seq), 0) FROM events", [], |row| unsigned(row, 0))
        .map_err(sqlite)?;
    let stored: Vec<(String, String, u64)> =
        rows(connection, "SELECT task, file, offset FROM offsets", |row| {
            Ok((row.get(0)?, row.get(1)?, unsigned(row, 2)?))
        })
        .map_err(sqlite)?;
    let mut offsets = HashMap::with_capacity(stored.len());
    for (task, file, offset) in stored {
        let task: TaskId = task.parse().map_err(|it| corrupt(path, &it))?;
        offsets.insert((task, file), offset);
    }
    let dispatcher_id = connection
        .query_row("SELECT value FROM meta WHERE key = 'dispatcher_id'", [], |row| row.get(0))
        .map_err(sqlite)?;
    let ledger = ledger::load(connection, path)?;
    Ok(Loaded { tasks, last_seq, offsets, dispatcher_id, ledger })
}

/// Reads the events that `query` asks for, no further than the last one wanted.
pub fn events(source: &Source, query: &Query) -> Result<Events, StoreError> {
    let (sql, params) = statement(query)?;
    let sqlite = |it: rusqlite::Error| StoreError::of_sqlite(&source.path, &it);
    let mut statement = source.connection.prepare_cached(&sql).map_err(sqlite)?;
    let mut rows = statement.query(params_from_iter(params)).map_err(sqlite)?;
    let mut found = Events::default();
    while found.events.len() < query.limit
        && let Some(row) = rows.next().map_err(sqlite)?
    {
        match event(row).map_err(sqlite)? {
            Some(event) => found.events.push(event),
            None => found.skipped += 1,
        }
    }
    Ok(found)
}

/// Reads the newest prompt of `task`.
pub fn prompt(source: &Source, task: &TaskId) -> Result<Option<Vec<u8>>, StoreError> {
    bytes(source, "SELECT body FROM prompts WHERE task = ?1 ORDER BY ordinal DESC LIMIT 1", task)
}

/// Tells whether there is a prompt of `task` for a launch.
pub fn has_prompt(source: &Source, task: &TaskId, launch: u32) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM prompts WHERE task = ?1 AND ordinal = ?2";
    let mut statement = source.connection.prepare_cached(sql);
    let found = statement.as_mut().map_err(|it| StoreError::of_sqlite(&source.path, it));
    found?.exists((task.as_str(), launch)).map_err(|it| StoreError::of_sqlite(&source.path, &it))
}

/// Reads the final answer of `task`.
pub fn answer(source: &Source, task: &TaskId) -> Result<Option<Vec<u8>>, StoreError> {
    bytes(source, "SELECT body FROM answers WHERE task = ?1", task)
}

/// Reads checkpoints, newest first.
pub fn checkpoints(
    source: &Source,
    query: &CheckpointQuery,
) -> Result<Vec<Checkpoint>, StoreError> {
    let mut sql = "SELECT body FROM checkpoints WHERE 1".to_owned();
    let mut params = Vec::new();
    if let Some(task) = &query.task {
        sql.push_str(" AND task = ?");
        params.push(Value::Text(task.to_string()));
    }
    if let Some(prefix) = &query.prefix {
        // A comparison, since LIKE would read `_` and `%` as wildcards.
        sql.push_str(" AND substr(id, 1, ?) = ?");
        params.push(Value::Integer(i64::try_from(prefix.chars().count()).unwrap_or(i64::MAX)));
        params.push(Value::Text(prefix.clone()));
    }
    if let Some(before) = query.before {
        sql.push_str(" AND at < ?");
        params.push(Value::Integer(before.0));
    }
    sql.push_str(" ORDER BY at DESC, rowid DESC LIMIT ?");
    let limit = query.limit.and_then(|it| i64::try_from(it).ok());
    params.push(Value::Integer(limit.unwrap_or(-1)));
    let sqlite = |it: rusqlite::Error| StoreError::of_sqlite(&source.path, &it);
    let mut statement = source.connection.prepare_cached(&sql).map_err(sqlite)?;
    let bodies = statement.query_map(params_from_iter(params), |row| row.get::<_, String>(0));
    bodies
        .map_err(sqlite)?
        .map(|it| {
            serde_json::from_str(&it.map_err(sqlite)?)
                .map_err(|it| corrupt(&source.path, &format!("a checkpoint's row: {it}")))
        })
        .collect()
}

/// Reads `task`.
pub fn task(source: &Source, task: &TaskId) -> Result<Option<Task>, StoreError> {
    let body: Option<String> = source
        .connection
        .query_row("SELECT body FROM tasks WHERE id = ?1", [task.as_str()], |row| row.get(0))
        .optional()
        .map_err(|it| StoreError::of_sqlite(&source.path, &it))?;
    body.map(|it| parse_task(&it, &source.path)).transpose()
}

/// Returns the statement for `query`.
fn statement(query: &Query) -> Result<(String, Vec<Value>), StoreError> {
    let mut sql = "SELECT seq, at, task, body FROM events WHERE seq > ?".to_owned();
    let mut params = vec![Value::Integer(i64::try_from(query.after_seq).unwrap_or(i64::MAX))];
    if let Some(before) = query.before {
        sql.push_str(" AND seq < ?");
        params.push(Value::Integer(i64::try_from(before).unwrap_or(i64::MAX)));
    }
    if let Some(task) = &query.task {
        sql.push_str(" AND task = ?");
        params.push(Value::Text(task.to_string()));
    }
    if let Some(since) = query.since {
        sql.push_str(" AND at >= ?");
        params.push(Value::Integer(since.0));
    }
    if !query.kinds.is_empty() {
        // One parameter whatever the number of kinds, so there are few distinct statements.
        sql.push_str(" AND kind IN (SELECT value FROM json_each(?))");
        params.push(list(&query.kinds)?);
    }
    if !query.seen.is_empty() {
        sql.push_str(
            " AND (kind != 'observed' OR json_extract(body, '$.observation.seen') IN
                (SELECT value FROM json_each(?)))",
        );
        params.push(list(&query.seen)?);
    }
    sql.push_str(if query.newest_first { " ORDER BY seq DESC" } else { " ORDER BY seq" });
    Ok((sql, params))
}

fn list(words: &[String]) -> Result<Value, StoreError> {
    let words = serde_json::to_string(words).map_err(|it| StoreError::Unstorable {
        what: "a list of words".into(),
        detail: it.to_string(),
    })?;
    Ok(Value::Text(words))
}

fn event(row: &Row<'_>) -> rusqlite::Result<Option<Event>> {
    let task: String = row.get(2)?;
    let body: String = row.get(3)?;
    Ok(codec::event(unsigned(row, 0)?, row.get(1)?, &task, &body))
}

/// SQLite's integers are signed; none that the store wrote is negative.
fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

fn bytes(source: &Source, sql: &str, task: &TaskId) -> Result<Option<Vec<u8>>, StoreError> {
    source
        .connection
        .prepare_cached(sql)
        .and_then(|mut it| it.query_row([task.as_str()], |row| row.get(0)).optional())
        .map_err(|it| StoreError::of_sqlite(&source.path, &it))
}

fn rows<T>(
    connection: &Connection,
    sql: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection.prepare(sql)?.query_map([], read)?.collect()
}

fn parse_task(body: &str, path: &Path) -> Result<Task, StoreError> {
    serde_json::from_str(body).map_err(|it| corrupt(path, &format!("a task's row: {it}")))
}

fn corrupt(path: &Path, detail: &impl ToString) -> StoreError {
    StoreError::Corrupt { path: path.to_owned(), detail: detail.to_string() }
}
