//! Money on the wire. Amounts are US dollars, times milliseconds since the Unix epoch.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    api::view::TokensView,
    domain::{
        budget::OnExceeded,
        ledger::{CostKind, Entry, Source},
    },
    stdx::time::Timestamp,
};

/// How the money stands. Also the data of a `budget` frame on the event stream, which comes with
/// the stream's beginning and whenever it changed, at most once a second.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub struct BudgetView {
    /// When it stood so.
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// Since when `all` and hosts are counted: the last reset, or nothing for ever.
    #[schema(value_type = Option<i64>)]
    pub since: Option<Timestamp>,
    /// Everything first, then the day, then hosts that have a ceiling or were spent on.
    pub ceilings: Vec<CeilingView>,
    /// The part of a ceiling from which on to warn, 0 to 1.
    pub warning_threshold: f64,
    /// What happens to running tasks at a ceiling.
    #[schema(value_type = String)]
    pub on_exceeded: Option<OnExceeded>,
    /// What is spent per hour now: models by the last ten minutes, workers by their price.
    pub burn_usd_per_hour: f64,
    /// The workers' part of it.
    pub compute_usd_per_hour: f64,
    /// What was spent in each five minutes of the last hour, the latest last.
    pub bars_usd: Vec<f64>,
    /// What `all` consists of by who says so.
    pub sources: SourcesView,
    /// Tasks that cost anything since the reset, deleted ones too.
    pub tasks: u64,
    /// Tokens since the reset.
    pub tokens: TokensView,
    /// Tasks that are parked.
    pub parked: u64,
    /// By how much spending can pass a ceiling, in words.
    pub overshoot: String,
}

/// How a ceiling stands.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub struct CeilingView {
    /// `all`, `day` or `host`.
    pub scope: String,
    /// The host.
    pub host: Option<String>,
    /// How high it is; nothing if there is none.
    pub ceiling_usd: Option<f64>,
    /// `configured` or `set`; nothing if there is none.
    pub origin: Option<String>,
    /// What was spent, workers up to this moment.
    pub spent_usd: f64,
    /// What running tasks have reserved beyond that.
    pub reserved_usd: f64,
    /// What is left for new tasks; nothing without a ceiling.
    pub remaining_usd: Option<f64>,
    /// Spent by ceiling, in percent; nothing without a ceiling.
    pub usage_percent: Option<f64>,
    /// `calm`, `warning` or `exceeded`; nothing without a ceiling.
    pub state: Option<String>,
    /// What is spent under it per hour now.
    pub burn_usd_per_hour: f64,
    /// When it is reached at this rate; nothing if it is passed or never will be.
    #[schema(value_type = Option<i64>)]
    pub reached_at: Option<Timestamp>,
    /// When it begins anew by itself: the day's at midnight.
    #[schema(value_type = Option<i64>)]
    pub renews_at: Option<Timestamp>,
}

/// A sum by who says so.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub struct SourcesView {
    /// By Claude, or by the provider's bill.
    pub reported_usd: f64,
    /// By our clock and a known price.
    pub metered_usd: f64,
    /// Guessed.
    pub estimated_usd: f64,
}

/// Sets the budget. What is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SetBudget {
    /// `all`, `day`, `host` or `task`.
    pub scope: String,
    /// The host of such a ceiling.
    pub host: Option<String>,
    /// The task of such a ceiling: an id or its beginning.
    pub task: Option<String>,
    /// The ceiling; nothing with `none` or `configured`.
    pub ceiling_usd: Option<f64>,
    /// There shall be no ceiling.
    pub none: bool,
    /// The configuration's word shall hold again.
    pub configured: bool,
}

/// What costs are put together by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CostsBy {
    /// A row for each task.
    #[default]
    Task,
    /// For each type of task.
    Type,
    /// For each host.
    Host,
    /// For each language model, and for each kind of compute.
    Model,
    /// For each day, the newest first.
    Day,
}

/// Costs put together.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub struct Costs {
    /// The dearest first; days the newest first.
    pub rows: Vec<CostRow>,
    /// All of them.
    pub total: CostRow,
    /// Of what ended after this; nothing for ever.
    #[schema(value_type = Option<i64>)]
    pub from: Option<Timestamp>,
    /// Of what ended by then; nothing for now.
    #[schema(value_type = Option<i64>)]
    pub to: Option<Timestamp>,
}

/// One row of costs.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub struct CostRow {
    /// The task's id, the type, the host, the model or the day; empty where it is not known.
    pub key: String,
    /// What people call it: a task's name, or the key.
    pub name: String,
    /// How many tasks.
    pub tasks: u64,
    /// What models cost.
    pub model_usd: f64,
    /// What cores, or machines as a whole, cost.
    pub cpu_usd: f64,
    /// What memory cost.
    pub memory_usd: f64,
    /// What GPUs cost.
    pub gpu_usd: f64,
    /// All of it.
    pub total_usd: f64,
    /// All of it by who says so.
    pub sources: SourcesView,
    /// Tokens.
    pub tokens: TokensView,
}

/// What one task cost, and why.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub struct TaskCosts {
    /// The task.
    pub task: String,
    /// All of it.
    pub total: CostRow,
    /// What costs, with how much of it and at what rate.
    pub lines: Vec<CostLine>,
    /// The most it may cost.
    pub ceiling_usd: Option<f64>,
    /// What it has reserved beyond what it cost.
    pub reserved_usd: f64,
    /// What its worker costs per hour.
    pub compute_usd_per_hour: f64,
}

/// A line of a task's costs.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct CostLine {
    /// What cost.
    #[schema(value_type = String)]
    pub kind: CostKind,
    /// Who says so.
    #[schema(value_type = String)]
    pub source: Source,
    /// Core, GiB or GPU hours; 0 for a model.
    pub hours: f64,
    /// What it cost.
    pub usd: f64,
}

/// What each turn of a task cost.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub struct TaskTurns {
    /// The task.
    pub task: String,
    /// What people call it.
    pub name: String,
    /// The newest first.
    pub turns: Vec<TurnCost>,
    /// How many turns there were before those, and what they cost.
    pub earlier: TurnsSum,
    /// What models cost before the first turn.
    pub outside: TurnsSum,
    /// What workers cost, up to this moment.
    pub workers_usd: f64,
    /// All of it.
    pub total_usd: f64,
}

/// A turn, with what Claude says it cost. A figure that is told after the next prompt counts for
/// the next turn.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub struct TurnCost {
    /// Its number in the task, from 1 on.
    pub number: u64,
    /// The launch.
    pub attempt: u32,
    /// When it began.
    #[schema(value_type = i64)]
    pub began: Timestamp,
    /// When it ended; nothing while it runs.
    #[schema(value_type = Option<i64>)]
    pub ended: Option<Timestamp>,
    /// `works`, `done`, `failed`, `interrupted` or `cut off`.
    pub how: String,
    /// The first line of what was asked.
    pub asked: String,
    /// Whether Claude asked itself, as at the end of a background task.
    pub by_claude: bool,
    /// What models cost.
    pub usd: f64,
    /// Tokens.
    pub tokens: TokensView,
}

/// A sum over turns.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub struct TurnsSum {
    /// How many turns.
    pub turns: u64,
    /// What models cost.
    pub usd: f64,
    /// Tokens.
    pub tokens: TokensView,
}

/// An entry of the ledger. Amounts are whole micro-dollars too, for sums without rounding.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct EntryView {
    /// Its number.
    pub id: u64,
    /// The task, which may be deleted.
    pub task: String,
    /// What sort of work it was.
    #[serde(rename = "type")]
    pub task_kind: String,
    /// The worker.
    pub worker: String,
    /// The host.
    pub host: String,
    /// The launch.
    pub attempt: u32,
    /// `model`, `cpu`, `memory` or `gpu`.
    #[schema(value_type = String)]
    pub kind: CostKind,
    /// The language model.
    pub model: Option<String>,
    /// Since when.
    #[schema(value_type = i64)]
    pub from: Timestamp,
    /// Until when.
    #[schema(value_type = i64)]
    pub to: Timestamp,
    /// Core, GiB or GPU seconds; 0 for a model.
    pub quantity: f64,
    /// US dollars for one core, GiB or GPU and hour; 0 for a model.
    pub rate_usd: f64,
    /// Micro-dollars.
    pub amount_micros: i64,
    /// The same in dollars.
    pub amount_usd: f64,
    /// `reported`, `metered` or `estimated`.
    #[schema(value_type = String)]
    pub source: Source,
    /// Tokens read, uncached, of an entry that counts tokens; such an entry costs nothing.
    pub tokens_in: u64,
    /// Tokens written.
    pub tokens_out: u64,
    /// Tokens read from the cache.
    pub tokens_cache_read: u64,
    /// Tokens written to the cache.
    pub tokens_cache_write: u64,
}

impl From<&Entry> for EntryView {
    fn from(it: &Entry) -> EntryView {
        EntryView {
            id: it.id,
            task: it.task.to_string(),
            task_kind: it.task_kind.to_string(),
            worker: it.worker.to_string(),
            host: it.host.clone(),
            attempt: it.attempt,
            kind: it.kind,
            model: it.model.clone(),
            from: it.from,
            to: it.to,
            quantity: it.quantity as f64 / 1e6,
            rate_usd: it.rate.dollars(),
            amount_micros: it.amount.0,
            amount_usd: it.amount.dollars(),
            source: it.source,
            tokens_in: it.tokens.input,
            tokens_out: it.tokens.output,
            tokens_cache_read: it.tokens.cache_read,
            tokens_cache_write: it.tokens.cache_write,
        }
    }
}

/// Entries of the ledger, in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub struct Entries {
    /// The entries.
    pub entries: Vec<EntryView>,
    /// Whether there are more: ask again after the last one.
    pub more: bool,
}

/// A change of the budget.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub struct ChangeView {
    /// When.
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// `set`, `reset`, `warned` or `exceeded`.
    pub change: String,
    /// `all`, `day` or `host`; nothing of a reset.
    pub scope: Option<String>,
    /// The host.
    pub host: Option<String>,
    /// The ceiling before, if one was set.
    pub from_usd: Option<f64>,
    /// The ceiling since; nothing if there is none.
    pub to_usd: Option<f64>,
    /// What was spent then.
    pub spent_usd: Option<f64>,
    /// The same in a person's words.
    pub text: String,
}

/// What became of the budget, day by day.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub struct History {
    /// The newest day first; days without costs are left out.
    pub days: Vec<CostRow>,
    /// The newest first.
    pub changes: Vec<ChangeView>,
}

/// Where figures come from: what workers are metered by, and what estimates are made of.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub struct Sources {
    /// Prices of the hosts there are. A worker keeps the price it began with.
    pub prices: Vec<PriceView>,
    /// What tasks of each type that has ended tasks are thought to cost.
    pub estimates: Vec<EstimateOf>,
    /// What a task of a type without a history reserves.
    pub reserve_usd: f64,
}

/// A price that workers are metered by.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub struct PriceView {
    /// The host or provider.
    pub host: String,
    /// What is priced: `worker`, `core`, `GiB`, or a GPU.
    pub unit: String,
    /// What one costs per hour; 0 where it costs nothing.
    pub usd_per_hour: f64,
    /// Where the price comes from.
    pub source: String,
    /// When it was read there, as `2026-11-21`; nothing of one's own configuration.
    pub date: Option<String>,
}

/// What tasks of a type are thought to cost.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub struct EstimateOf {
    /// The type.
    #[serde(rename = "type")]
    pub task_kind: String,
    /// How many tasks it is taken from.
    pub tasks: u64,
    /// Half of them cost no more; nothing without a history.
    pub median_usd: Option<f64>,
    /// Nine in ten cost no more, which is what is reserved; nothing without a history.
    pub high_usd: Option<f64>,
}

/// What a task is thought to cost, by tasks of its type that have ended.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub struct Estimate {
    /// How many tasks it is taken from; too few are not taken at all.
    pub tasks: u64,
    /// Half of them cost no more; nothing without a history.
    pub median_usd: Option<f64>,
    /// Nine in ten cost no more; nothing without a history.
    pub high_usd: Option<f64>,
    /// What would be reserved.
    pub reserve_usd: f64,
    /// All of it in words, or that there is no history.
    pub text: String,
    /// Why it could not begin now by the budget, if so.
    pub refused: Option<String>,
}
