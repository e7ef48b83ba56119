//! The ledger's rows: written once, never changed, summed by columns.

use std::{collections::BTreeMap, path::Path};

use rusqlite::{Connection, Row, Transaction, params, params_from_iter, types::Value};

use crate::{
    domain::{
        budget::{BudgetChange, Terms},
        event::Tokens,
        ids::TaskId,
        ledger::{CostKind, Entry, Source as Said},
        usd::Usd,
    },
    stdx::time::Timestamp,
    store::{codec, error::StoreError, reader::Source},
};

/// Spending is kept in memory by minutes for so long: the longest day, and an hour.
const RECENT_MS: i64 = 26 * 3_600_000;
const MINUTE_MS: i64 = 60_000;

/// Days are made of pieces of so many milliseconds, because every zone's midnight is at one's end.
pub const QUARTER_MS: i64 = 15 * 60_000;

/// What memory must know of the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerLoaded {
    /// What people set.
    pub terms: Terms,
    /// The number of the newest entry, 0 if there is none.
    pub last: u64,
    /// What was spent since the reset, by host.
    pub hosts: BTreeMap<String, Usd>,
    /// What was spent in the last 26 hours of the ledger, by minutes.
    pub recent: Vec<Recent>,
}

/// A sum of a minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recent {
    /// The minute's first moment after its beginning: what ends with a minute belongs to it.
    pub at: Timestamp,
    /// The host.
    pub host: String,
    /// What cost.
    pub kind: CostKind,
    /// How much.
    pub amount: Usd,
}

/// Which entries are wanted, in the order in which they were made. Every condition must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryQuery {
    /// Of this task only.
    pub task: Option<TaskId>,
    /// Numbered higher than this.
    pub after: u64,
    /// That ended after this: what ends with a day belongs to it.
    pub from: Option<Timestamp>,
    /// That ended then or before.
    pub to: Option<Timestamp>,
    /// At most so many; nothing for all.
    pub limit: Option<usize>,
}

/// What sums are made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Task,
    Type,
    Host,
    Model,
    /// A quarter of an hour, as milliseconds since the epoch: the caller makes days of them.
    Quarter,
}

/// A sum of entries that have all but the amount in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// What it was made by, as text; empty where nothing is known, as with a model's name.
    pub key: String,
    /// The task.
    pub task: String,
    /// What cost.
    pub kind: CostKind,
    /// Who says so.
    pub source: Said,
    /// How much of it, as in [`Entry::quantity`].
    pub quantity: u64,
    /// What it cost.
    pub amount: Usd,
    /// Tokens.
    pub tokens: Tokens,
}

/// Reads what memory must know.
pub fn load(connection: &Connection, path: &Path) -> Result<LedgerLoaded, StoreError> {
    let sqlite = |it: rusqlite::Error| StoreError::of_sqlite(path, &it);
    let body: Option<String> = connection
        .query_row("SELECT max(body) FROM budget WHERE key = 'terms'", [], |row| row.get(0))
        .map_err(sqlite)?;
    let terms: Terms = match body {
        Some(body) => serde_json::from_str(&body).map_err(|it| corrupt(path, &it))?,
        None => Terms::default(),
    };
    let last = connection
        .query_row("SELECT coalesce(max(id), 0) FROM ledger", [], |row| unsigned(row, 0))
        .map_err(sqlite)?;
    let sql = "SELECT host, sum(amount) FROM ledger WHERE id > ?1 GROUP BY host";
    let mut statement = connection.prepare(sql).map_err(sqlite)?;
    let after = codec::integer(terms.after)?;
    let hosts = statement
        .query_map([after], |row| Ok((row.get(0)?, Usd(row.get(1)?))))
        .and_then(Iterator::collect)
        .map_err(sqlite)?;
    let sql = "SELECT (until - 1) / ?1, host, kind, sum(amount) FROM ledger
        WHERE until > (SELECT max(until) FROM ledger) - ?2 AND amount != 0
        GROUP BY 1, 2, 3 ORDER BY 1";
    let mut statement = connection.prepare(sql).map_err(sqlite)?;
    let recent = statement
        .query_map([MINUTE_MS, RECENT_MS], |row| {
            let minute: i64 = row.get(0)?;
            let at = Timestamp(minute.saturating_mul(MINUTE_MS).saturating_add(1));
            Ok(Recent { at, host: row.get(1)?, kind: word(row, 2)?, amount: Usd(row.get(3)?) })
        })
        .and_then(Iterator::collect)
        .map_err(sqlite)?;
    Ok(LedgerLoaded { terms, last, hosts, recent })
}

/// Writes entries. Returns the number of the newest entry.
///
/// # Errors
///
/// [`StoreError::OutOfTurn`] if an entry's number is not the next.
pub fn insert(
    transaction: &Transaction<'_>,
    path: &Path,
    mut last: u64,
    entries: &[Entry],
) -> Result<u64, StoreError> {
    let sqlite = |it: rusqlite::Error| StoreError::of_sqlite(path, &it);
    for it in entries {
        let expected = last.saturating_add(1);
        if it.id != expected {
            return Err(StoreError::OutOfTurn { expected, found: it.id });
        }
        last = expected;
        let mut statement = transaction
            .prepare_cached(
                "INSERT INTO ledger (id, task, task_kind, worker, host, attempt, kind, model,
                    since, until, quantity, rate, amount, source,
                    input, output, cache_read, cache_write)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,
                    ?17, ?18)",
            )
            .map_err(sqlite)?;
        let tokens = &it.tokens;
        statement
            .execute(params![
                codec::integer(it.id)?,
                it.task.as_str(),
                it.task_kind.as_str(),
                it.worker.as_str(),
                it.host,
                it.attempt,
                it.kind.as_str(),
                it.model,
                it.from.0,
                it.to.0,
                codec::integer(it.quantity)?,
                it.rate.0,
                it.amount.0,
                it.source.as_str(),
                codec::integer(tokens.input)?,
                codec::integer(tokens.output)?,
                codec::integer(tokens.cache_read)?,
                codec::integer(tokens.cache_write)?,
            ])
            .map_err(sqlite)?;
    }
    Ok(last)
}

/// Writes what people set and its history.
pub fn insert_terms(
    transaction: &Transaction<'_>,
    path: &Path,
    terms: Option<&Terms>,
    changes: &[BudgetChange],
) -> Result<(), StoreError> {
    let sqlite = |it: rusqlite::Error| StoreError::of_sqlite(path, &it);
    if let Some(terms) = terms {
        let sql = "INSERT OR REPLACE INTO budget (key, body) VALUES ('terms', ?1)";
        transaction.execute(sql, [codec::json(terms)?]).map_err(sqlite)?;
    }
    for it in changes {
        let sql = "INSERT INTO budget_changes (at, body) VALUES (?1, ?2)";
        transaction.execute(sql, params![it.at.0, codec::json(it)?]).map_err(sqlite)?;
    }
    Ok(())
}

/// Reads entries.
pub fn entries(source: &Source, query: &EntryQuery) -> Result<Vec<Entry>, StoreError> {
    let mut sql = format!("{COLUMNS} WHERE id > ?1");
    let mut values = vec![Value::from(codec::integer(query.after)?)];
    if let Some(task) = &query.task {
        values.push(task.as_str().to_owned().into());
        sql += &format!(" AND task = ?{}", values.len());
    }
    range(&mut sql, &mut values, query.from, query.to);
    sql += " ORDER BY id";
    if let Some(limit) = query.limit {
        sql += &format!(" LIMIT {limit}");
    }
    collect(source, &sql, values, entry)
}

/// Reads sums of the entries that ended in a span, of one task or all.
pub fn sums(source: &Source, by: By, query: &EntryQuery) -> Result<Vec<Sum>, StoreError> {
    let key = match by {
        By::Task => "task".to_owned(),
        By::Type => "task_kind".to_owned(),
        By::Host => "host".to_owned(),
        By::Model => "CASE kind WHEN 'model' THEN coalesce(model, '') ELSE kind END".to_owned(),
        By::Quarter => format!("CAST((until - 1) / {QUARTER_MS} * {QUARTER_MS} AS TEXT)"),
    };
    let mut values = vec![Value::from(codec::integer(query.after)?)];
    let mut sql = format!(
        "SELECT {key}, task, kind, source, sum(quantity), sum(amount), sum(input), sum(output),
            sum(cache_read), sum(cache_write) FROM ledger WHERE id > ?1"
    );
    if let Some(task) = &query.task {
        values.push(task.as_str().to_owned().into());
        sql += &format!(" AND task = ?{}", values.len());
    }
    range(&mut sql, &mut values, query.from, query.to);
    sql += " GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4";
    collect(source, &sql, values, |row| {
        Ok(Sum {
            key: row.get(0)?,
            task: row.get(1)?,
            kind: word(row, 2)?,
            source: word(row, 3)?,
            quantity: unsigned(row, 4)?,
            amount: Usd(row.get(5)?),
            tokens: tokens(row, 6)?,
        })
    })
}

/// Reads the history of the budget, the newest first.
pub fn changes(source: &Source, limit: usize) -> Result<Vec<BudgetChange>, StoreError> {
    let sql = format!("SELECT body FROM budget_changes ORDER BY id DESC LIMIT {limit}");
    let bodies: Vec<String> = collect(source, &sql, Vec::new(), |row| row.get(0))?;
    // A later version may know more sorts of changes than this one.
    Ok(bodies.iter().filter_map(|it| serde_json::from_str(it).ok()).collect())
}

const COLUMNS: &str =
    "SELECT id, task, task_kind, worker, host, attempt, kind, model, since, until,
    quantity, rate, amount, source, input, output, cache_read, cache_write FROM ledger";

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        id: unsigned(row, 0)?,
        task: word(row, 1)?,
        task_kind: word(row, 2)?,
        worker: word(row, 3)?,
        host: row.get(4)?,
        attempt: row.get(5)?,
        kind: word(row, 6)?,
        model: row.get(7)?,
        from: Timestamp(row.get(8)?),
        to: Timestamp(row.get(9)?),
        quantity: unsigned(row, 10)?,
        rate: Usd(row.get(11)?),
        amount: Usd(row.get(12)?),
        source: word(row, 13)?,
        tokens: tokens(row, 14)?,
    })
}

fn tokens(row: &Row<'_>, first: usize) -> rusqlite::Result<Tokens> {
    Ok(Tokens {
        input: unsigned(row, first)?,
        output: unsigned(row, first + 1)?,
        cache_read: unsigned(row, first + 2)?,
        cache_write: unsigned(row, first + 3)?,
    })
}

fn range(
    sql: &mut String,
    values: &mut Vec<Value>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
) {
    for (at, how) in [(from, ">"), (to, "<=")] {
        if let Some(at) = at {
            values.push(at.0.into());
            *sql += &format!(" AND until {how} ?{}", values.len());
        }
    }
}

fn collect<T>(
    source: &Source,
    sql: &str,
    values: Vec<Value>,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    source
        .connection
        .prepare_cached(sql)
        .and_then(|mut it| it.query_map(params_from_iter(values), read)?.collect())
        .map_err(|it| StoreError::of_sqlite(&source.path, &it))
}

/// Reads a column that holds one of a list of words, or an id.
fn word<T: std::str::FromStr<Err: ToString>>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    text.parse().map_err(|it: T::Err| {
        let what = it.to_string().into();
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, what)
    })
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

fn corrupt(path: &Path, detail: &impl ToString) -> StoreError {
    StoreError::Corrupt { path: path.to_owned(), detail: detail.to_string() }
}
