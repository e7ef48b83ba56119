//! `budget set` and `budget reset`.

use crate::{
    api::{
        budget::{BudgetView, CeilingView, SetBudget},
        client::{Client, ListQuery},
        error::ApiError,
        view::TaskView,
    },
    cli::{
        args::budget::{Amount, Reset, Set},
        context::Context,
        out::{Answer, Done, Out},
        view::{count, dollars},
        when::date_and_clock,
    },
    stdx::text::one_line,
};

/// Parked tasks that are named.
const PARKED_MAX: usize = 5;

/// Sets a ceiling.
pub async fn set(context: &Context, args: &Set) -> Done {
    let client = context.client().await?;
    match &args.task {
        Some(id) => of_task(context, &client, args, id).await,
        None => of_many(context, &client, args).await,
    }
}

fn request(args: &Set, scope: &str) -> SetBudget {
    SetBudget {
        scope: scope.to_owned(),
        ceiling_usd: match args.amount {
            Some(Amount::At(limit)) => Some(limit.dollars()),
            Some(Amount::None) | None => None,
        },
        none: args.amount == Some(Amount::None),
        configured: args.configured,
        ..SetBudget::default()
    }
}

async fn of_task(context: &Context, client: &Client, args: &Set, id: &str) -> Done {
    let before = client.task(id).await?;
    let what = SetBudget { task: Some(before.id.clone()), ..request(args, "task") };
    client.set_budget(&what).await?;
    let task = client.task(&before.id).await?;
    let out = &context.out;
    if out.json {
        out.json(&task)?;
        return Ok(0);
    }
    let id = one_line(&task.id, 40);
    out.line(&format!(
        "Ceiling of {id}: {} → {}, {} spent",
        amount(before.max_cost_usd),
        amount(task.max_cost_usd),
        dollars(task.cost_usd)
    ))?;
    if task.state == "PARKED" {
        out.note(&format!("It is parked; to let it go on: parhelia task unpark {id}"));
    }
    Ok(0)
}

async fn of_many(context: &Context, client: &Client, args: &Set) -> Done {
    let scope = match (&args.host, args.day) {
        (Some(_), _) => "host",
        (None, true) => "day",
        (None, false) => "all",
    };
    let what = SetBudget { host: args.host.clone(), ..request(args, scope) };
    let before = client.budget().await?;
    let after = client.set_budget(&what).await?;
    let out = &context.out;
    if out.json {
        out.json(&after)?;
        return Ok(0);
    }
    let (old, new) = (find(&before, &what), find(&after, &what));
    out.line(&changed(&what, &old, &new))?;
    let query = ListQuery { status: Some("parked".into()), limit: Some(PARKED_MAX), before: None };
    let more =
        old.ceiling_usd.is_some() && new.ceiling_usd.is_none_or(|it| old.ceiling_usd < Some(it));
    if more && after.parked != 0 {
        go_on(out, &client.tasks(&query).await?.tasks, after.parked);
    }
    Ok(0)
}

fn find(view: &BudgetView, what: &SetBudget) -> CeilingView {
    let found = view.ceilings.iter().find(|it| it.scope == what.scope && it.host == what.host);
    found.cloned().unwrap_or_default()
}

/// Returns what became of a ceiling.
fn changed(what: &SetBudget, old: &CeilingView, new: &CeilingView) -> String {
    let name = match (&what.host, what.scope.as_str()) {
        (Some(host), _) => format!("Ceiling of {}", one_line(host, 60)),
        (None, "day") => "Daily ceiling".to_owned(),
        (None, _) => "Ceiling".to_owned(),
    };
    let (from, to) = (amount(old.ceiling_usd), amount(new.ceiling_usd));
    let left = match new.remaining_usd {
        Some(left) if new.state.as_deref() != Some("exceeded") => {
            format!(", {} left for new tasks", dollars(left))
        }
        Some(_) => "; it is reached, so no task begins".to_owned(),
        None => String::new(),
    };
    format!("{name}: {from} → {to}, {} spent{left}", dollars(new.spent_usd))
}

fn amount(usd: Option<f64>) -> String {
    usd.map_or_else(|| "none".to_owned(), dollars)
}

/// Names the tasks that may go on now, which they never do by themselves.
fn go_on(out: &Out, parked: &[TaskView], all: u64) {
    out.note(&format!("{} parked:", count(all, "task")));
    for task in parked {
        let reason = task.reason.as_deref().unwrap_or_default();
        let (id, name) = (one_line(&task.id, 40), one_line(&task.name, 40));
        out.note(&format!("  {id}  {name}: {}", one_line(reason, 200)));
    }
    out.note("To let them go on: parhelia task unpark --all, or one by its ID");
}

/// Begins a new period.
pub async fn reset(context: &Context, args: &Reset) -> Done {
    let client = context.client().await?;
    let out = &context.out;
    let before = client.budget().await?;
    let spent = spent(&before);
    if !args.yes && out.can_ask() {
        let since =
            before.since.map_or_else(String::new, |it| format!(" since {}", date_and_clock(it)));
        out.note(&format!("{spent} were spent{since}; after a reset they count no longer."));
        out.note("  stays: every entry (parhelia budget export), what today cost until midnight,");
        out.note("         what each task cost, and ceilings as they are set");
        if !out.ask("Begin a new period?", Answer::No) {
            out.note("Nothing was reset.");
            return Ok(1);
        }
    }
    let after = client.reset_budget().await?;
    if out.json {
        out.json(&after)?;
        return Ok(0);
    }
    let all = find(&after, &SetBudget { scope: "all".into(), ..SetBudget::default() });
    let of = all.ceiling_usd.map(|it| format!(" of {}", dollars(it))).unwrap_or_default();
    out.line(&format!("Reset after {spent}; now {}{of} spent", dollars(all.spent_usd)))?;
    let query = ListQuery { status: Some("parked".into()), limit: Some(PARKED_MAX), before: None };
    if after.parked != 0 {
        go_on(out, &client.tasks(&query).await?.tasks, after.parked);
    }
    Ok(0)
}

fn spent(view: &BudgetView) -> String {
    let all = view.ceilings.iter().find(|it| it.scope == "all");
    dollars(all.map_or(0.0, |it| it.spent_usd))
}

/// Returns the parked tasks' ids.
pub async fn parked(client: &Client) -> Result<Vec<String>, ApiError> {
    let limit = Some(u32::MAX as usize);
    let query = ListQuery { status: Some("parked".into()), limit, before: None };
    Ok(client.tasks(&query).await?.tasks.into_iter().map(|it| it.id).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_says_from_where_to_where_and_what_is_left() {
        let all = SetBudget { scope: "all".into(), ..SetBudget::default() };
        let of = |limit: Option<f64>, state: &str| CeilingView {
            ceiling_usd: limit,
            spent_usd: 12.5,
            remaining_usd: limit.map(|it| (it - 12.5).max(0.0)),
            state: limit.map(|_| state.to_owned()),
            ..CeilingView::default()
        };
        let said = |from, to, state| changed(&all, &of(from, "calm"), &of(to, state));
        assert_eq!(
            said(Some(50.0), Some(80.0), "calm"),
            "Ceiling: $50.00 → $80.00, $12.50 spent, $67.50 left for new tasks"
        );
        assert_eq!(
            said(Some(50.0), Some(10.0), "exceeded"),
            "Ceiling: $50.00 → $10.00, $12.50 spent; it is reached, so no task begins"
        );
        assert_eq!(said(Some(50.0), None, "calm"), "Ceiling: $50.00 → none, $12.50 spent");
    }
}
