//! What was spent, put together by what it was spent on.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use axum::{
    Json,
    extract::{Path, Query},
};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    api::{
        budget::{CostLine, CostRow, Costs, CostsBy, SourcesView, TaskCosts},
        error::{ApiError, ErrorKind},
    },
    dispatcher::{
        core::store_error,
        http::{Answer, App, Ctx, tasks},
        world::World,
    },
    domain::{
        event::Tokens,
        ids::TaskId,
        ledger::{Charge, CostKind, Source},
        task::Task,
        usd::Usd,
    },
    stdx::{text::one_line, time::Timestamp},
    store::ledger::{By, EntryQuery, QUARTER_MS, Sum},
};

/// The longest name shown, in characters.
const NAME_MAX: usize = 200;
/// Thousandths times milliseconds in one unit and hour.
const UNIT_HOUR: f64 = 1000.0 * 3_600_000.0;

/// Which costs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct CostsParams {
    /// What they are put together by: `task` (the default), `type`, `host`, `model` or `day`.
    #[param(value_type = Option<String>)]
    by: Option<CostsBy>,
    /// Of what ended after this, in milliseconds since the epoch.
    from: Option<i64>,
    /// Of what ended by then, workers up to that moment.
    to: Option<i64>,
}

/// Returns costs put together, workers up to this moment.
#[utoipa::path(get, path = "/v1/budget/costs", params(CostsParams),
    responses((status = 200, body = Costs), (status = 400, body = ApiError)))]
pub async fn costs(ctx: Ctx, Query(params): Query<CostsParams>) -> Answer<Costs> {
    let span = Span { from: params.from.map(Timestamp), to: params.to.map(Timestamp) };
    let (rows, total) = rows(&ctx, params.by.unwrap_or_default(), span).await?;
    Ok(Json(Costs { rows, total, from: span.from, to: span.to }))
}

/// The time in which something ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    /// After this.
    from: Option<Timestamp>,
    /// By then.
    to: Option<Timestamp>,
}

/// Returns the costs in a span, and all of them in one.
pub async fn rows(
    app: &Arc<App>,
    by: CostsBy,
    span: Span,
) -> Result<(Vec<CostRow>, CostRow), ApiError> {
    let now = app.clock.now();
    let store_by = match by {
        CostsBy::Task => By::Task,
        CostsBy::Type => By::Type,
        CostsBy::Host => By::Host,
        CostsBy::Model => By::Model,
        CostsBy::Day => By::Quarter,
    };
    // What is open now may be entered before the ledger is read, and would be counted twice: what
    // memory knows is taken together with how far the ledger went then.
    let (open, last, zone) = app
        .core
        .read(move |world| {
            let budget = &world.budget;
            (open(world, store_by, span, now), budget.accounts.last, budget.zone.clone())
        })
        .await?;
    let query = EntryQuery { from: span.from, to: span.to, ..EntryQuery::default() };
    let mut sums = app.store.sums(store_by, query).await.map_err(|it| store_error(&it))?;
    let entered = newer(app, last, span).await?;
    sums.extend(open.into_iter().filter(|it| !entered.contains(&it.task)));
    if by == CostsBy::Day {
        sums.iter_mut().for_each(|it| {
            let quarter = it.key.parse().map_or(now, Timestamp);
            it.key = zone.day(quarter).to_string();
        });
    }
    let mut total = Tally::default();
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for sum in &sums {
        total.add(sum);
        tallies.entry(sum.key.clone()).or_default().add(sum);
    }
    let names =
        if by == CostsBy::Task { names(app, tallies.keys()).await? } else { HashMap::new() };
    let mut rows: Vec<CostRow> = tallies
        .into_iter()
        .map(|(key, tally)| {
            let name = names.get(&key).cloned().unwrap_or_else(|| named(by, &key));
            tally.row(key, name)
        })
        .collect();
    match by {
        CostsBy::Day => rows.sort_by(|a, b| b.key.cmp(&a.key)),
        CostsBy::Task | CostsBy::Type | CostsBy::Host | CostsBy::Model => {
            rows.sort_by(|a, b| {
                b.total_usd.total_cmp(&a.total_usd).then_with(|| a.key.cmp(&b.key))
            });
        }
    }
    Ok((rows, total.row(String::new(), "total".into())))
}

/// Returns the tasks whose workers were charged for after entry `last`.
async fn newer(app: &App, last: u64, span: Span) -> Result<HashSet<String>, ApiError> {
    let query = EntryQuery { after: last, from: span.from, to: span.to, ..EntryQuery::default() };
    let sums = app.store.sums(By::Task, query).await.map_err(|it| store_error(&it))?;
    Ok(sums.into_iter().filter(|it| it.kind != CostKind::Model).map(|it| it.task).collect())
}

/// Returns what workers cost that is not entered yet, up to the end of the span.
fn open(world: &World, by: By, span: Span, now: Timestamp) -> Vec<Sum> {
    let until = span.to.map_or(now, |it| it.min(now));
    let charged = world.live().flat_map(|task| {
        let of_task = open_of(task, span.from, until);
        of_task.into_iter().map(move |charge| sum_of(task, by, &charge))
    });
    charged.collect()
}

/// Returns the charges of a task that are not entered yet, for the time after `from`.
pub fn open_of(task: &Task, from: Option<Timestamp>, now: Timestamp) -> Vec<Charge> {
    let Some(mut meter) = task.usage.worker.clone() else { return Vec::new() };
    if let Some(from) = from {
        meter.charge(from.min(now));
    }
    meter.charge(now)
}

fn sum_of(task: &Task, by: By, charge: &Charge) -> Sum {
    let host = task.place.as_ref().map(|it| it.provider.clone());
    let key = match by {
        By::Task => task.id.to_string(),
        By::Type => task.spec.kind.to_string(),
        By::Host => host.unwrap_or_default(),
        By::Model => charge.kind.to_string(),
        By::Quarter => ((charge.to.0 - 1).div_euclid(QUARTER_MS) * QUARTER_MS).to_string(),
    };
    Sum {
        key,
        task: task.id.to_string(),
        kind: charge.kind,
        source: Source::Metered,
        quantity: charge.quantity,
        amount: charge.amount,
        tokens: Tokens::default(),
    }
}

/// Returns the names of the tasks that still are.
async fn names(
    app: &App,
    ids: impl Iterator<Item = &String>,
) -> Result<HashMap<String, String>, ApiError> {
    let ids: Vec<String> = ids.cloned().collect();
    app.core
        .read(move |world| {
            let known = ids.into_iter().filter_map(|it| {
                let id: TaskId = it.parse().ok()?;
                Some((it, one_line(&world.task(&id)?.name, NAME_MAX)))
            });
            known.collect()
        })
        .await
}

/// Returns what people call a key that is not a task that still is.
fn named(by: CostsBy, key: &str) -> String {
    let name = match (by, key) {
        (CostsBy::Model, "") => "a model not named",
        (CostsBy::Model, "cpu") => "cores and machines",
        (CostsBy::Model, "memory") => "memory",
        (CostsBy::Model, "gpu") => "GPUs",
        (CostsBy::Task, _) => "(deleted)",
        (_, key) => key,
    };
    one_line(name, NAME_MAX)
}

/// A row in the making.
#[derive(Default)]
struct Tally {
    tasks: HashSet<String>,
    kinds: [Usd; 4],
    sources: [Usd; 3],
    tokens: Tokens,
}

impl Tally {
    fn add(&mut self, sum: &Sum) {
        if !self.tasks.contains(&sum.task) {
            self.tasks.insert(sum.task.clone());
        }
        let kind = &mut self.kinds[sum.kind as usize];
        *kind = *kind + sum.amount;
        let source = &mut self.sources[sum.source as usize];
        *source = *source + sum.amount;
        self.tokens = self.tokens.plus(&sum.tokens);
    }

    fn row(self, key: String, name: String) -> CostRow {
        let kind = |it: CostKind| self.kinds[it as usize].dollars();
        let source = |it: Source| self.sources[it as usize].dollars();
        CostRow {
            key,
            name,
            tasks: self.tasks.len() as u64,
            model_usd: kind(CostKind::Model),
            cpu_usd: kind(CostKind::Cpu),
            memory_usd: kind(CostKind::Memory),
            gpu_usd: kind(CostKind::Gpu),
            total_usd: self.kinds.iter().copied().sum::<Usd>().dollars(),
            sources: SourcesView {
                reported_usd: source(Source::Reported),
                metered_usd: source(Source::Metered),
                estimated_usd: source(Source::Estimated),
            },
            tokens: self.tokens.into(),
        }
    }
}

/// Finds a task, or the id of a deleted one that cost something: that by its whole id.
pub async fn known(app: &Arc<App>, id: String) -> Result<(TaskId, Option<Task>), ApiError> {
    let error = match tasks::find(app, id.clone()).await {
        Ok(task) => return Ok((task.id.clone(), Some(task))),
        Err(error) => error,
    };
    let Some(id) = id.parse::<TaskId>().ok().filter(|_| error.kind == ErrorKind::NotFound) else {
        return Err(error);
    };
    let query = EntryQuery { task: Some(id.clone()), limit: Some(1), ..EntryQuery::default() };
    let rows = app.store.entries(query).await.map_err(|it| store_error(&it))?;
    if rows.is_empty() { Err(error) } else { Ok((id, None)) }
}

/// Returns what people call a task.
pub fn name_of(task: Option<&Task>) -> String {
    task.map_or_else(|| "(deleted)".into(), |it| one_line(&it.name, NAME_MAX))
}

/// Returns what a task cost and why, its worker up to this moment. A deleted task is found by its
/// whole id.
#[utoipa::path(get, path = "/v1/tasks/{id}/costs", params(("id" = String, Path)),
    responses((status = 200, body = TaskCosts), (status = 404, body = ApiError)))]
pub async fn task_costs(ctx: Ctx, Path(id): Path<String>) -> Answer<TaskCosts> {
    let (id, task) = known(&ctx, id).await?;
    let now = ctx.clock.now();
    let of = id.clone();
    let read = move |world: &World| {
        let open = world.task(&of).map(|it| {
            let charges = open_of(it, None, now);
            let sums: Vec<Sum> =
                charges.iter().map(|charge| sum_of(it, By::Task, charge)).collect();
            (sums, it.reserved(now), it.hourly())
        });
        (open.unwrap_or_default(), world.budget.accounts.last)
    };
    let ((mut open, reserved, hourly), last) = ctx.core.read(read).await?;
    let query = EntryQuery { task: Some(id.clone()), ..EntryQuery::default() };
    let mut sums = ctx.store.sums(By::Task, query).await.map_err(|it| store_error(&it))?;
    let entered = newer(&ctx, last, Span::default()).await?;
    open.retain(|it| !entered.contains(&it.task));
    sums.extend(open);
    let mut total = Tally::default();
    let mut lines: BTreeMap<(CostKind, Source), (u64, Usd)> = BTreeMap::new();
    for sum in &sums {
        total.add(sum);
        let line = lines.entry((sum.kind, sum.source)).or_default();
        *line = (line.0.saturating_add(sum.quantity), line.1 + sum.amount);
    }
    // Tokens are counted by entries that cost nothing: they make no line.
    let lines = lines.into_iter().filter(|it| it.1 != (0, Usd::ZERO));
    let lines = lines.map(|((kind, source), (quantity, usd))| CostLine {
        kind,
        source,
        hours: quantity as f64 / UNIT_HOUR,
        usd: usd.dollars(),
    });
    let name = name_of(task.as_ref());
    Ok(Json(TaskCosts {
        task: id.to_string(),
        total: total.row(id.to_string(), name),
        lines: lines.collect(),
        ceiling_usd: task.and_then(|it| it.spec.max_cost).map(Usd::dollars),
        reserved_usd: reserved.dollars(),
        compute_usd_per_hour: hourly.dollars(),
    }))
}
