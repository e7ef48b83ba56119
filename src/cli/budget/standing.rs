//! `budget show`: how the money stands.

use crate::{
    api::{
        budget::{BudgetView, CeilingView},
        client::ListQuery,
        view::TaskView,
    },
    cli::{
        budget::{exact, print_csv},
        context::Context,
        csv,
        out::Done,
        paint::Paint,
        show::Facts,
        table::{Column, Table},
        view::{FIELD_MAX, cents, dollars},
        when::{date_and_clock, day_and_clock},
    },
    domain::budget::OnExceeded,
    stdx::{
        text::one_line,
        time::{Timestamp, short},
    },
};

/// The width of the gauge where there is room, in columns.
const GAUGE: usize = 50;
/// What stands before it, and after.
const BESIDE: usize = 24;
/// Parked tasks that are named.
const PARKED_MAX: usize = 10;

/// Shows how the money stands.
pub async fn show(context: &Context, csv: bool) -> Done {
    let client = context.client().await?;
    let view = client.budget().await?;
    let out = &context.out;
    if out.json {
        out.json(&view)?;
    } else if csv {
        print_csv(context, &to_csv(&view))?;
    } else {
        let query =
            ListQuery { status: Some("parked".into()), limit: Some(PARKED_MAX), before: None };
        let parked = match view.parked {
            0 => Vec::new(),
            _ => client.tasks(&query).await?.tasks,
        };
        out.line(&render(&view, &parked, out.table_width(), out.paint))?;
    }
    Ok(0)
}

/// Returns the ceilings as CSV.
fn to_csv(view: &BudgetView) -> String {
    let head = [
        "scope",
        "host",
        "ceiling_usd",
        "origin",
        "spent_usd",
        "reserved_usd",
        "remaining_usd",
        "usage_percent",
        "state",
        "burn_usd_per_hour",
        "reached_at",
        "renews_at",
    ];
    let amount = |it: Option<f64>| it.map(exact).unwrap_or_default();
    let time = |it: Option<Timestamp>| it.map(Timestamp::rfc3339).unwrap_or_default();
    let rows = view.ceilings.iter().map(|it| {
        csv::record([
            it.scope.clone(),
            it.host.clone().unwrap_or_default(),
            amount(it.ceiling_usd),
            it.origin.clone().unwrap_or_default(),
            exact(it.spent_usd),
            exact(it.reserved_usd),
            amount(it.remaining_usd),
            it.usage_percent.map(|it| format!("{it:.1}")).unwrap_or_default(),
            it.state.clone().unwrap_or_default(),
            exact(it.burn_usd_per_hour),
            time(it.reached_at),
            time(it.renews_at),
        ])
    });
    csv::record(head) + &rows.collect::<String>()
}

/// Returns how the money stands as a person reads it.
pub fn render(
    view: &BudgetView,
    parked: &[TaskView],
    width: Option<usize>,
    paint: Paint,
) -> String {
    let mut facts = Facts::new(paint);
    let all = view.ceilings.iter().find(|it| it.scope == "all").cloned().unwrap_or_default();
    whole(&mut facts, &all, width, paint);
    let since = match view.since {
        Some(at) => format!("since the reset of {}", date_and_clock(at)),
        None => "in all".to_owned(),
    };
    facts.raw("tasks", &format!("{} {since}", view.tasks));
    let tokens = &view.tokens;
    let read = tokens.input + tokens.cache_read + tokens.cache_write;
    let cached = match (tokens.cache_read, tokens.cache_write) {
        (0, 0) => String::new(),
        (from, into) => format!(" (of them {from} from the cache, {into} into it)"),
    };
    facts.raw("tokens in", &format!("{read}{cached}"));
    facts.raw("tokens out", &tokens.output.to_string());
    let compute = match view.compute_usd_per_hour {
        0.0 => String::new(),
        it => format!(", {} of it for workers", dollars(it)),
    };
    facts.raw("burn", &format!("{} per hour{compute}", dollars(view.burn_usd_per_hour)));
    sources(&mut facts, view);
    policy(&mut facts, view);
    for task in parked {
        let reason = task.reason.as_deref().unwrap_or_default();
        facts.add("parked", &format!("{} {}: {reason}", task.id, task.name));
    }
    if view.parked != 0 {
        let more = view.parked.saturating_sub(parked.len() as u64);
        let more = if more == 0 { String::new() } else { format!("{more} more; ") };
        facts.raw("", &format!("{more}to let one go on: parhelia task unpark ID (or --all)"));
    }
    let others: Vec<&CeilingView> = view
        .ceilings
        .iter()
        .filter(|it| it.scope != "all" && (it.ceiling_usd.is_some() || 0.0 < it.spent_usd))
        .collect();
    let table = if others.is_empty() {
        String::new()
    } else {
        format!("\n\n{}", table(&others, view.at, width, paint))
    };
    format!("{}{table}", facts.text())
}

/// Adds what is about everything.
fn whole(facts: &mut Facts, all: &CeilingView, width: Option<usize>, paint: Paint) {
    match all.ceiling_usd {
        Some(limit) => {
            let how = match all.origin.as_deref() {
                Some("set") => "set by parhelia budget set",
                _ => "configured",
            };
            facts.raw("ceiling", &format!("{} ({how})", dollars(limit)));
        }
        None => facts.raw("ceiling", "none (to set one: parhelia budget set 50)"),
    }
    facts.raw("used", &painted(all, paint, &dollars(all.spent_usd)));
    if let Some(left) = all.remaining_usd {
        let held = match all.reserved_usd {
            0.0 => String::new(),
            it => format!(" ({} reserved by running tasks)", dollars(it)),
        };
        facts.raw("remaining", &format!("{}{held}", dollars(left)));
    }
    if let Some(percent) = all.usage_percent {
        let room = width.map_or(GAUGE, |it| it.saturating_sub(BESIDE).clamp(10, GAUGE));
        let gauge = painted(all, paint, &gauge(all, room));
        facts.raw("usage", &format!("[{gauge}] {percent:.1} %"));
    }
}

/// Returns the part that is spent as `#`, the part that is reserved as `=`, the rest as dots.
fn gauge(it: &CeilingView, width: usize) -> String {
    let limit = it.ceiling_usd.unwrap_or_default();
    let cells = |usd: f64| {
        if limit <= 0.0 {
            return width;
        }
        // What is more than nothing shows, and what is not yet all does not look like all.
        let exact = usd / limit * width as f64;
        let shown = if exact < 1.0 { exact.ceil() } else { exact.floor() };
        (shown as usize).min(width)
    };
    let spent = cells(it.spent_usd);
    let taken = cells(it.spent_usd + it.reserved_usd).max(spent);
    format!("{}{}{}", "#".repeat(spent), "=".repeat(taken - spent), ".".repeat(width - taken))
}

fn painted(it: &CeilingView, paint: Paint, text: &str) -> String {
    match it.state.as_deref() {
        Some("exceeded") => paint.red(text),
        Some("warning") => paint.yellow(text),
        _ => text.to_owned(),
    }
}

fn sources(facts: &mut Facts, view: &BudgetView) {
    let it = &view.sources;
    let mut parts = vec![format!("{} reported by Claude", dollars(it.reported_usd))];
    if it.metered_usd != 0.0 {
        parts.push(format!("{} metered by our clock", dollars(it.metered_usd)));
    }
    if it.estimated_usd != 0.0 {
        parts.push(format!("{} estimated", dollars(it.estimated_usd)));
    }
    facts.raw("sources", &parts.join(", "));
}

fn policy(facts: &mut Facts, view: &BudgetView) {
    if let Some(at) = view.ceilings.iter().find(|it| it.scope == "all").and_then(|it| it.reached_at)
    {
        let long = short(at.since(view.at));
        facts.raw("reached", &format!("in {long} at this rate, at {}", day_and_clock(at, view.at)));
    }
    let what = match view.on_exceeded {
        Some(OnExceeded::Park) | None => "running tasks are parked, to go on later",
        Some(OnExceeded::Block) => "no task begins, running ones go on",
        Some(OnExceeded::Kill) => "running tasks are ended and have failed",
    };
    facts.raw(
        "at a ceiling",
        &format!("{what}; a warning at {:.0} %", view.warning_threshold * 100.0),
    );
    for line in wrapped(&one_line(&view.overshoot, FIELD_MAX), 64) {
        facts.raw("", &line);
    }
}

/// Returns `text` in lines of at most `width` columns, as far as its words let it.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Returns the other ceilings, one a line.
fn table(rows: &[&CeilingView], now: Timestamp, width: Option<usize>, paint: Paint) -> String {
    let column = |of: &dyn Fn(&CeilingView) -> String| rows.iter().map(|it| of(it)).collect();
    let amount = |it: Option<f64>| it.map_or_else(|| "-".to_owned(), cents);
    Table::new(vec![
        Column::new("CEILING OF", column(&name)).gives_way(10),
        Column::new("CEILING", column(&|it| it.ceiling_usd.map_or_else(|| "none".into(), cents)))
            .right(),
        Column::new("USED", column(&|it| cents(it.spent_usd))).right(),
        Column::new("RESERVED", column(&|it| cents(it.reserved_usd))).right().keeps(2),
        Column::new("LEFT", column(&|it| amount(it.remaining_usd))).right(),
        Column::new("USAGE", column(&usage)).right(),
        Column::new("PER HOUR", column(&|it| cents(it.burn_usd_per_hour))).right().keeps(1),
        Column::new("REACHED", column(&|it| reached(it, now))),
    ])
    .text(width, paint)
}

fn name(it: &CeilingView) -> String {
    match &it.host {
        Some(host) => format!("host {}", one_line(host, 60)),
        None if it.scope == "day" => "today".to_owned(),
        None => one_line(&it.scope, 60),
    }
}

fn usage(it: &CeilingView) -> String {
    it.usage_percent.map_or_else(|| "-".to_owned(), |it| format!("{it:.0} %"))
}

/// Returns when a ceiling is reached at this rate.
fn reached(it: &CeilingView, now: Timestamp) -> String {
    match (it.state.as_deref(), it.reached_at, it.renews_at) {
        (Some("exceeded"), _, Some(at)) => format!("is; anew in {}", short(at.since(now))),
        (Some("exceeded"), _, None) => "is".to_owned(),
        (_, Some(at), _) => format!("in {}", short(at.since(now))),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{budget::SourcesView, view::TokensView},
        cli::view::tests::sample,
    };

    const PLAIN: Paint = Paint { on: false };

    fn ceiling(scope: &str, limit: f64, spent: f64) -> CeilingView {
        CeilingView {
            scope: scope.into(),
            ceiling_usd: Some(limit),
            origin: Some("configured".into()),
            spent_usd: spent,
            remaining_usd: Some(limit - spent),
            usage_percent: Some(spent / limit * 100.0),
            state: Some("calm".into()),
            ..CeilingView::default()
        }
    }

    fn view() -> BudgetView {
        let now = Timestamp(3_600_000);
        BudgetView {
            at: now,
            ceilings: vec![
                CeilingView {
                    reserved_usd: 5.0,
                    remaining_usd: Some(32.5),
                    burn_usd_per_hour: 2.5,
                    ..ceiling("all", 50.0, 12.5)
                },
                CeilingView {
                    state: Some("exceeded".into()),
                    renews_at: Some(Timestamp(now.0 + 2 * 3_600_000)),
                    ..ceiling("day", 5.0, 5.02)
                },
                CeilingView {
                    host: Some("gpu\u{1b}[2J-1".into()),
                    burn_usd_per_hour: 0.5,
                    reached_at: Some(Timestamp(now.0 + 5 * 3_600_000)),
                    ..ceiling("host", 10.0, 7.5)
                },
            ],
            warning_threshold: 0.8,
            on_exceeded: Some(OnExceeded::Park),
            burn_usd_per_hour: 2.5,
            compute_usd_per_hour: 0.5,
            sources: SourcesView { reported_usd: 10.0, metered_usd: 2.5, estimated_usd: 0.0 },
            tasks: 12,
            tokens: TokensView {
                input: 1000,
                output: 250,
                cache_read: 9000,
                ..TokensView::default()
            },
            parked: 2,
            overshoot: "a ceiling can be passed by at most one response of the model for each \
                        working session, and each paid worker's price while its session is saved \
                        and ended"
                .into(),
            ..BudgetView::default()
        }
    }

    #[test]
    fn the_budget_fits_eighty_columns() {
        let task = TaskView { reason: Some("parked by you".into()), ..sample() };
        let shown = render(&view(), &[task], Some(80), PLAIN);
        assert!(shown.lines().all(|it| it.chars().count() <= 80), "{shown}");
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn a_gauge_shows_a_little_and_does_not_show_all_too_soon() {
        let of = |spent, reserved| {
            gauge(&CeilingView { reserved_usd: reserved, ..ceiling("all", 10.0, spent) }, 10)
        };
        assert_eq!(of(0.0, 0.0), "..........");
        assert_eq!(of(0.01, 0.0), "#.........");
        assert_eq!(of(2.0, 3.0), "##===.....");
        assert_eq!(of(9.99, 0.0), "#########.");
        assert_eq!(of(12.0, 3.0), "##########");
    }

    #[test]
    fn the_ceilings_are_records() {
        let text = to_csv(&view());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[1],
            "all,,50.000000,configured,12.500000,5.000000,32.500000,25.0,calm,2.500000,,"
        );
        assert_eq!(lines.len(), 4);
    }
}
