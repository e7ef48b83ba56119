//! Money: how it stands, what is set, what was spent.

mod costs;
mod entries;
mod frames;
mod history;
mod sources;
mod totals;
mod turns;

use std::{collections::BTreeSet, sync::Arc};

use axum::{Json, extract::Path};

use crate::{
    api::{
        budget::{BudgetView, CeilingView, SetBudget, SourcesView},
        error::{ApiError, ErrorKind},
        types::{Env, Unpark},
        view::TaskView,
    },
    dispatcher::{
        core::store_error,
        create::{self, check_prompt},
        decide::Command,
        http::{Answer, App, Body, Ctx, MaybeBody, tasks},
        recover::Means,
        world::World,
    },
    domain::{
        budget::{Budget, Cap, Ceiling, Scope, Standing},
        state::TaskState,
        usd::Usd,
    },
    provider::local,
    stdx::{
        text::{nearest, one_line},
        time::Timestamp,
    },
};

pub use costs::{__path_costs, __path_task_costs, costs, task_costs};
pub use entries::{__path_entries, entries};
pub use frames::frames;
pub use history::{__path_history, history};
pub use sources::{__path_sources, sources};
pub use totals::Ledgered;
pub use turns::{__path_task_turns, task_turns};

/// What the overshoot is bounded by, as `domain::budget` has it.
const OVERSHOOT: &str = "a ceiling can be passed by at most one response of the model for each \
                         working session, and each paid worker's price while its session is saved \
                         and ended";
/// Bars of spending, and the minutes in each.
const BARS: i64 = 12;
const BAR_MINUTES: i64 = 5;

/// Returns how the money stands.
#[utoipa::path(get, path = "/v1/budget", responses((status = 200, body = BudgetView)))]
pub async fn show(ctx: Ctx) -> Answer<BudgetView> {
    Ok(Json(view(&ctx).await?))
}

/// Sets a ceiling.
#[utoipa::path(post, path = "/v1/budget", request_body = SetBudget,
    responses((status = 200, body = BudgetView), (status = 400, body = ApiError),
        (status = 404, body = ApiError)))]
pub async fn set(ctx: Ctx, Body(what): Body<SetBudget>) -> Answer<BudgetView> {
    let cap = cap(&what)?;
    let scope: Scope = what.scope.parse().map_err(|it: String| bad(&it))?;
    if (scope == Scope::Host) != what.host.is_some() {
        return Err(bad("`host` goes with the scope `host`, and only with it").into());
    }
    if (scope == Scope::Task) != what.task.is_some() {
        return Err(bad("`task` goes with the scope `task`, and only with it").into());
    }
    let command = match (scope, what.host, what.task) {
        (Scope::All, ..) => Command::SetCeiling { ceiling: Ceiling::All, cap },
        (Scope::Day, ..) => Command::SetCeiling { ceiling: Ceiling::Day, cap },
        (Scope::Host, host, _) => {
            let host = known_host(&ctx, host.unwrap_or_default()).await?;
            Command::SetCeiling { ceiling: Ceiling::Host(host), cap }
        }
        (Scope::Task, _, task) => {
            let id = tasks::find(&ctx, task.unwrap_or_default()).await?.id;
            let settings = &ctx.settings;
            let max_cost = match cap {
                Some(Cap::At(limit)) => Some(limit),
                Some(Cap::None) => None,
                None => settings.tasks.max_cost.or(settings.budget.max_cost_per_task),
            };
            Command::Cap { id, max_cost }
        }
    };
    ctx.core.command(command).await?;
    Ok(Json(view(&ctx).await?))
}

/// Returns what is asked for; nothing for the configuration's word.
fn cap(what: &SetBudget) -> Result<Option<Cap>, ApiError> {
    match (what.ceiling_usd, what.none, what.configured) {
        (Some(dollars), false, false) => Usd::from_dollars(dollars)
            .filter(|it| Usd::ZERO < *it)
            .map(|it| Some(Cap::At(it)))
            .ok_or_else(|| {
                bad("a ceiling must be more than $0").hint(
                    "to stop everything that runs: parhelia task park ID; for no ceiling: none",
                )
            }),
        (None, true, false) => Ok(Some(Cap::None)),
        (None, false, true) => Ok(None),
        _ => Err(bad("give one of `ceiling_usd`, `none` and `configured`")),
    }
}

/// Returns `host` if anything is known by that name.
async fn known_host(app: &App, host: String) -> Result<String, ApiError> {
    let configured: Vec<String> = app.settings.hosts.iter().map(|it| it.name.clone()).collect();
    let known: BTreeSet<String> = app
        .core
        .read(move |world| {
            let Budget { terms, accounts, .. } = &world.budget;
            let capped = terms.caps.keys().filter_map(|it| match it {
                Ceiling::Host(name) => Some(name.clone()),
                Ceiling::All | Ceiling::Day => None,
            });
            let providers = world.providers.iter().map(|it| it.name.clone());
            let spent_on = accounts.hosts.keys().cloned();
            let here = [local::NAME.to_owned()];
            here.into_iter()
                .chain(configured)
                .chain(providers)
                .chain(spent_on)
                .chain(capped)
                .collect()
        })
        .await?;
    if known.contains(&host) {
        return Ok(host);
    }
    let error = bad(&format!("there is no host `{}`", one_line(&host, 60)));
    let names = || known.iter().map(String::as_str);
    let near = nearest(&host, names());
    let hint = match near.is_empty() {
        false => format!("did you mean {}?", near.join(", ")),
        true => format!("there is {}", names().take(20).collect::<Vec<_>>().join(", ")),
    };
    Err(error.hint(hint))
}

fn bad(why: &str) -> ApiError {
    ApiError::new(ErrorKind::Invalid, why)
}

/// Begins a new period: what was spent counts no longer, and stays in the ledger.
#[utoipa::path(post, path = "/v1/budget/reset", responses((status = 200, body = BudgetView)))]
pub async fn reset(ctx: Ctx) -> Answer<BudgetView> {
    ctx.core.command(Command::ResetBudget).await?;
    Ok(Json(view(&ctx).await?))
}

/// Interrupts and saves a task and releases its worker.
#[utoipa::path(post, path = "/v1/tasks/{id}/park", params(("id" = String, Path)),
    responses((status = 200, body = TaskView), (status = 404, body = ApiError),
        (status = 409, body = ApiError)))]
pub async fn park(ctx: Ctx, Path(id): Path<String>) -> Answer<TaskView> {
    let id = tasks::find(&ctx, id).await?.id;
    ctx.core.command(Command::Park { id: id.clone() }).await?;
    Ok(Json(tasks::view(&ctx, &id).await?))
}

/// Lets a parked task go on where it was.
#[utoipa::path(post, path = "/v1/tasks/{id}/unpark", params(("id" = String, Path)),
    request_body = Option<Unpark>,
    responses((status = 200, body = TaskView), (status = 404, body = ApiError),
        (status = 409, body = ApiError)))]
pub async fn unpark(
    ctx: Ctx,
    Path(id): Path<String>,
    MaybeBody(how): MaybeBody<Unpark>,
) -> Answer<TaskView> {
    if let Some(prompt) = &how.prompt {
        check_prompt(prompt, false)?;
    }
    let task = tasks::find(&ctx, id).await?;
    if task.conversation.is_some() && matches!(task.state, TaskState::Parked { .. }) {
        Means::from(&**ctx).may_go_on(&task).await?;
    }
    // The next launch's own prompt: of a retry that was parked before it began.
    let kept = ctx.store.has_prompt(&task.id, task.attempts + 1).await;
    let kept = kept.map_err(|it| store_error(&it))?;
    let id = task.id.clone();
    create::add_env(&ctx.home, &id, &Env::default(), &how.caller_env).await?;
    let prompt = how.prompt.map(String::into_bytes);
    ctx.core.command(Command::Unpark { id, prompt, kept }).await?;
    Ok(Json(tasks::view(&ctx, &task.id).await?))
}

/// Returns how the money stands: memory's word, with what only the ledger knows.
pub async fn view(app: &Arc<App>) -> Result<BudgetView, ApiError> {
    let now = app.clock.now();
    let (mut view, seen) =
        app.core.read(move |world| (of_world(world, now), seen(world, now))).await?;
    let ledgered = app.ledgered.up_to(&app.store, seen.after, seen.last).await?;
    view.tasks = ledgered.tasks_with(&seen.accruing);
    view.tokens = ledgered.tokens().into();
    view.sources = SourcesView {
        reported_usd: ledgered.reported.dollars(),
        metered_usd: (ledgered.metered + seen.accrued).dollars(),
        estimated_usd: ledgered.estimated.dollars(),
    };
    Ok(view)
}

/// What memory says of the ledger.
struct Seen {
    /// The last entry before the reset.
    after: u64,
    /// The newest entry.
    last: u64,
    /// What workers cost that is not entered yet.
    accrued: Usd,
    /// The tasks of such workers.
    accruing: Vec<String>,
}

fn seen(world: &World, now: Timestamp) -> Seen {
    let accruing = world.live().filter(|it| Usd::ZERO < it.accrued(now));
    Seen {
        after: world.budget.terms.after,
        last: world.budget.accounts.last,
        accrued: world.live().map(|it| it.accrued(now)).sum(),
        accruing: accruing.map(|it| it.id.to_string()).collect(),
    }
}

fn of_world(world: &World, now: Timestamp) -> BudgetView {
    let budget = &world.budget;
    let compute: Usd = world.live().map(|it| it.hourly()).sum();
    let accrued = world.live().map(|it| it.accrued(now)).sum();
    let parked = world.newest_first().filter(|it| matches!(it.state, TaskState::Parked { .. }));
    let standings = budget.standings(world.live(), now);
    BudgetView {
        at: now,
        since: budget.terms.since,
        ceilings: standings.iter().map(|it| ceiling(it, budget, now)).collect(),
        warning_threshold: budget.configured.warning_threshold,
        on_exceeded: Some(budget.configured.on_exceeded),
        burn_usd_per_hour: (budget.accounts.model_burn(None, now) + compute).dollars(),
        compute_usd_per_hour: compute.dollars(),
        bars_usd: bars(&budget.accounts.minutes(now), accrued, now),
        parked: parked.count() as u64,
        overshoot: OVERSHOOT.to_owned(),
        ..BudgetView::default()
    }
}

fn ceiling(it: &Standing, budget: &Budget, now: Timestamp) -> CeilingView {
    let set = budget.terms.caps.contains_key(&it.ceiling);
    let renews_at = match it.ceiling {
        Ceiling::Day => Some(budget.zone.tomorrow(now)),
        Ceiling::All | Ceiling::Host(_) => None,
    };
    CeilingView {
        scope: it.ceiling.scope().to_string(),
        host: match &it.ceiling {
            Ceiling::Host(name) => Some(name.clone()),
            Ceiling::All | Ceiling::Day => None,
        },
        ceiling_usd: it.limit.map(Usd::dollars),
        origin: it.limit.map(|_| if set { "set" } else { "configured" }.to_owned()),
        spent_usd: it.spent.dollars(),
        reserved_usd: it.reserved.dollars(),
        remaining_usd: it
            .limit
            .map(|limit| (limit - it.spent - it.reserved).max(Usd::ZERO).dollars()),
        usage_percent: it.limit.map(|limit| percent(it.spent, limit)),
        state: it.nearness(budget.configured.warning_threshold).map(|it| it.as_str().to_owned()),
        burn_usd_per_hour: it.hourly.dollars(),
        // What begins anew before it is reached is not reached.
        reached_at: it.reached(now).filter(|at| renews_at.is_none_or(|it| *at < it)),
        renews_at,
    }
}

/// A ceiling of nothing is reached before anything is spent.
fn percent(spent: Usd, limit: Usd) -> f64 {
    if limit.is_zero() { 100.0 } else { spent.dollars() / limit.dollars() * 100.0 }
}

/// Returns spending in pieces of [`BAR_MINUTES`], the latest last. What is not entered yet belongs
/// to the latest.
fn bars(minutes: &[(i64, Usd)], accrued: Usd, now: Timestamp) -> Vec<f64> {
    let latest = now.0.div_euclid(60_000).div_euclid(BAR_MINUTES);
    let sum = |bar: i64| -> Usd {
        minutes.iter().filter(|it| it.0.div_euclid(BAR_MINUTES) == bar).map(|it| it.1).sum()
    };
    let last = |bar: i64| if bar == latest { accrued } else { Usd::ZERO };
    (latest - BARS + 1..=latest).map(|bar| (sum(bar) + last(bar)).dollars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ceiling_is_an_amount_or_none_or_the_configured_one() {
        let set = |ceiling_usd, none, configured| {
            cap(&SetBudget { ceiling_usd, none, configured, ..SetBudget::default() })
        };
        assert_eq!(set(Some(5.0), false, false), Ok(Some(Cap::At(Usd(5_000_000)))));
        assert_eq!(set(None, true, false), Ok(Some(Cap::None)));
        assert_eq!(set(None, false, true), Ok(None));
        for (amount, none, configured) in [
            (Some(0.0), false, false),
            (Some(-1.0), false, false),
            (Some(f64::NAN), false, false),
            (Some(1e-9), false, false),
            (Some(5.0), true, false),
            (None, true, true),
            (None, false, false),
        ] {
            assert_eq!(set(amount, none, configured).unwrap_err().kind, ErrorKind::Invalid);
        }
    }

    #[test]
    fn bars_hold_five_minutes_each() {
        let now = Timestamp(3_600_000 * 100 + 1);
        let minute = now.0 / 60_000;
        let minutes = [(minute - 6, Usd(3)), (minute - 5, Usd(5)), (minute, Usd(7))];
        let bars = bars(&minutes, Usd(1), now);
        assert_eq!(bars.len(), 12);
        assert_eq!(bars[9..], [Usd(3).dollars(), Usd(5).dollars(), Usd(8).dollars()]);
    }
}
