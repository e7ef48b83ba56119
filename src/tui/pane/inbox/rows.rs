//! What there is to decide. Counted again only when something changed, and then only for the
//! tasks that did.

use crate::{
    api::{
        budget::CeilingView,
        view::{AskView, TaskView},
    },
    domain::activity::Activity,
    stdx::time::Timestamp,
    tui::{
        asks,
        model::{Shared, replica::Connection},
        money::{self, State, set::Target},
        words,
    },
};

/// Failures older than this are history and nothing to decide any more, in milliseconds.
const FAILED_FOR_MS: i64 = 24 * 60 * 60 * 1000;

/// Something that needs a person.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Names it as long as it lasts.
    pub key: String,
    pub sort: Sort,
    /// The task it is about, if it is about one.
    pub task: Option<String>,
    /// The question, if it is one.
    pub ask: Option<String>,
    /// The ceiling, if it is about one.
    pub ceiling: Option<Target>,
    /// Who needs it.
    pub name: String,
    /// What it is, in one line.
    pub what: String,
    pub since: Timestamp,
}

/// The sorts of what needs a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    Ask,
    /// A dialog that can be answered only on its own screen.
    Dialog,
    FailedTurn,
    Failed,
    NotDispatched,
    Parked,
    Host,
    Budget,
    Config,
}

impl Sort {
    /// Returns its word on the row.
    pub fn word(self) -> &'static str {
        match self {
            Sort::Ask => "asks",
            Sort::Dialog => "waits",
            Sort::FailedTurn => "turn failed",
            Sort::Failed => "failed",
            Sort::NotDispatched => "not started",
            Sort::Parked => "parked",
            Sort::Host => "host lost",
            Sort::Budget => "budget",
            Sort::Config => "config",
        }
    }
}

impl Row {
    /// Returns its question as it is now.
    pub fn ask<'a>(&self, shared: &'a Shared) -> Option<&'a AskView> {
        let task = shared.replica.task(self.task.as_deref()?)?;
        let id = self.ask.as_deref()?;
        task.asks.iter().find(|it| it.id == id)
    }

    /// Returns when its age reads differently.
    pub fn next_tick(&self, now: Timestamp) -> Option<Timestamp> {
        let ages = matches!(self.sort, Sort::Ask | Sort::Dialog);
        ages.then(|| words::minute_after(self.since, now))
    }

    /// Returns what can be done about it.
    pub fn hint(&self) -> &'static str {
        match self.sort {
            Sort::Ask => "Enter sends the chosen option",
            Sort::Dialog => "Enter attaches: it can be answered only there",
            Sort::FailedTurn => "Enter attaches, p sends a prompt",
            Sort::Failed | Sort::NotDispatched => "Enter says how it can be brought back",
            Sort::Host => "its tasks go on there; they show again once it answers",
            Sort::Parked => "u lets it go on, e sets the most it may cost",
            Sort::Budget => "e raises it, Enter shows what was spent",
            Sort::Config => "mend the file; it is read again by itself",
        }
    }
}

/// How much of what is known was taken in.
#[derive(Debug, Default)]
pub struct Seen {
    version: Option<u64>,
    /// A digest of what else rows come from.
    rest: Vec<Row>,
    fresh: bool,
}

impl Seen {
    /// Tells whether something changed since it was asked last.
    pub fn take(&mut self, shared: &Shared) -> bool {
        let rest = rest(shared);
        self.fresh = self.version != Some(shared.replica.version);
        let other = rest != self.rest;
        self.rest = rest;
        self.fresh || other
    }

    /// Brings the rows up to date; those that stay keep their order.
    pub fn update(&mut self, shared: &Shared, rows: &mut Vec<Row>) {
        let replica = &shared.replica;
        rows.retain(|it| it.task.is_some());
        let changed = self.version.and_then(|it| replica.changed_since(it));
        match changed {
            Some(ids) => {
                let ids: std::collections::BTreeSet<&str> = ids.collect();
                rows.retain(|it| it.task.as_deref().is_none_or(|id| !ids.contains(id)));
                let tasks = ids.iter().filter_map(|it| replica.task(it));
                tasks.for_each(|it| of_task(it, shared.now, rows));
            }
            None => {
                rows.clear();
                replica.tasks.values().for_each(|it| of_task(it, shared.now, rows));
            }
        }
        self.version = Some(replica.version);
        rows.extend(self.rest.iter().cloned());
        rows.sort_by(|a, b| (a.since, &a.key).cmp(&(b.since, &b.key)));
    }
}

fn of_task(task: &TaskView, now: Timestamp, rows: &mut Vec<Row>) {
    let row = |sort: Sort, ask: Option<&AskView>, what: &str| Row {
        key: format!("{} {}", task.id, ask.map_or(sort.word(), |it| it.id.as_str())),
        sort,
        task: Some(task.id.clone()),
        ask: ask.map(|it| it.id.clone()),
        ceiling: None,
        name: task.name.clone(),
        what: what.to_owned(),
        since: ask.map_or(words::since(task), |it| it.since),
    };
    rows.extend(task.asks.iter().map(|it| row(Sort::Ask, Some(it), &it.summary)));
    let what = words::what(task);
    let recent = now.0.saturating_sub(task.since.0) < FAILED_FOR_MS;
    match (task.state.as_str(), task.activity) {
        _ if asks::only_on_screen(task) => rows.push(row(Sort::Dialog, None, &what)),
        ("RUNNING", Some(Activity::FailedTurn)) => rows.push(row(Sort::FailedTurn, None, &what)),
        ("FAILED", _) if recent => rows.push(row(Sort::Failed, None, &what)),
        ("DISPATCH_FAILED", _) if recent => rows.push(row(Sort::NotDispatched, None, &what)),
        ("PARKED", _) => {
            // Its sort says already that it is parked.
            let why = what.trim_start_matches("parked").trim_start_matches([':', ' ']);
            rows.push(row(Sort::Parked, None, why));
        }
        _ => (),
    }
}

/// Returns what needs a person and is no task's.
fn rest(shared: &Shared) -> Vec<Row> {
    let replica = &shared.replica;
    let mut rows = Vec::new();
    let mut push = |sort: Sort, name: &str, what: String| {
        let key = format!("{} {name} {what}", sort.word());
        let (name, since) = (name.to_owned(), Timestamp(i64::MAX));
        rows.push(Row { key, sort, task: None, ask: None, ceiling: None, name, what, since });
    };
    for it in &shared.look.problems {
        push(Sort::Config, "parhelia.toml", it.clone());
    }
    if let Some(status) = &replica.status {
        for it in &status.config_problems {
            push(Sort::Config, "dispatcher", it.clone());
        }
        for it in status.providers.iter().filter(|it| !it.reachable) {
            let why = it.detail.clone().unwrap_or_else(|| "it does not answer".to_owned());
            push(Sort::Host, &it.name, why);
        }
    }
    if matches!(replica.connection, Connection::Up) {
        rows.extend(replica.budget.iter().flat_map(|it| it.ceilings.iter().filter_map(over)));
    }
    rows
}

/// Says how much of a ceiling is spent, once it is worth a warning. In whole percent, so that a
/// row does not change with every cent.
fn over(it: &CeilingView) -> Option<Row> {
    let (spent, _) = money::parts(it)?;
    let state = State::of(it);
    let tail = match state {
        State::Calm => return None,
        State::Warning => "",
        State::Over => ": nothing begins",
    };
    let limit = words::money(it.ceiling_usd.unwrap_or_default());
    let percent = (spent * 100.0).floor();
    Some(Row {
        key: format!("budget {} {}", it.scope, it.host.as_deref().unwrap_or_default()),
        sort: Sort::Budget,
        task: None,
        ask: None,
        ceiling: Some(Target::of(it)?),
        name: money::name(it).to_owned(),
        what: format!("{percent:.0}% of ${limit} is spent{tail}"),
        since: Timestamp(i64::MAX),
    })
}
