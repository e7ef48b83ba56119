//! What a task cost, and why.

use crate::{
    api::budget::{CostLine, Sources, TaskCosts, TaskTurns, TurnCost},
    domain::ledger::CostKind,
    stdx::text::one_line,
    tui::{
        layout::inside,
        model::Shared,
        money::sources,
        popup::text::{Model, Row, outer},
        theme::Role,
        words,
    },
};

/// Columns before what was asked in a turn, and the fewest for that.
const BEFORE_ASKED: usize = 47;
const ASKED_MIN: usize = 24;

/// Puts what costs where it belongs: below the task's cost, or above its entries.
pub fn take(model: &mut Model, costs: &TaskCosts, shared: &Shared) {
    let at = model.costs.unwrap_or(0).min(model.rows.len());
    let mut rows = Vec::new();
    if at == 0 {
        let task = shared.replica.task(&costs.task);
        let most = costs.ceiling_usd.map(|it| format!(" of ${}", words::money(it)));
        let total = format!("${}{}", words::money(costs.total.total_usd), most.unwrap_or_default());
        rows.push(Row::fact("total", &total));
        if let Some(turns) = task.map(|it| it.turns) {
            let tokens = &costs.total.tokens;
            let read = tokens.input + tokens.cache_read + tokens.cache_write;
            let text = format!("{turns} ended; {read} tokens in, {} out", tokens.output);
            rows.push(Row::fact("turns", &text));
        }
    }
    rows.extend(costs.lines.iter().map(line));
    if 0.0 < costs.reserved_usd {
        let text = format!("${} beyond that", words::money(costs.reserved_usd));
        rows.push(Row::fact("reserved", &text));
    }
    if at == 0 && 0.0 < costs.compute_usd_per_hour {
        let text = format!("${} per hour now", words::money(costs.compute_usd_per_hour));
        rows.push(Row::fact("worker", &text));
    }
    model.rows.splice(at..at, rows);
}

fn line(it: &CostLine) -> Row {
    let unit = match it.kind {
        CostKind::Model => "",
        CostKind::Cpu => " core or machine hours",
        CostKind::Memory => " GiB hours",
        CostKind::Gpu => " GPU hours",
    };
    let hours = match it.kind {
        CostKind::Model => String::new(),
        _ => format!("  {:.3}{unit}", it.hours),
    };
    let text = format!("${:.4} ({}){hours}", it.usd, it.source.as_str());
    Row::fact(&format!("- {}", it.kind.as_str()), &text)
}

/// Puts every turn below, the newest first, and what belongs to none.
pub fn take_turns(model: &mut Model, found: &TaskTurns, shared: &Shared) {
    let mut rows = vec![Row::default()];
    if found.turns.is_empty() {
        rows.push(Row::new(Some(Role::Title), "No turn was seen yet"));
    } else {
        rows.push(Row::new(Some(Role::Title), "Turns, the newest first"));
        let head = ["#", "began", "cost", "in", "out", "asked"];
        rows.push(Row::new(Some(Role::Dim), &columns(head)));
    }
    rows.extend(found.turns.iter().map(|it| turn(it, shared)));
    let usd = |it: f64| format!("${:.4}", it);
    let earlier = &found.earlier;
    if 0 < earlier.turns {
        let text = format!("{} in {} turns before those", usd(earlier.usd), earlier.turns);
        rows.push(Row::fact("earlier", &text));
    }
    if 0.0 < found.outside.usd {
        let text = format!("{} before the first turn", usd(found.outside.usd));
        rows.push(Row::fact("no turn", &text));
    }
    if 0.0 < found.workers_usd {
        let text = format!("{} by the clock, in turns and between them", usd(found.workers_usd));
        rows.push(Row::fact("workers", &text));
    }
    let every = format!("  every entry: parhelia budget export --task {}", found.task);
    rows.extend([Row::default(), Row::new(Some(Role::Dim), &one_line(&every, 120))]);
    model.rows.extend(rows);
}

/// Puts prices and estimates below.
pub fn take_sources(model: &mut Model, found: &Sources) {
    let title = |text: &str| Row::new(Some(Role::Title), text);
    let facts = |it: Vec<(String, String)>| it.into_iter().map(|it| Row::fact(&it.0, &it.1));
    model.rows.push(title("Prices that workers are metered by"));
    if found.prices.is_empty() {
        model.rows.push(Row::new(None, "  none"));
    }
    model.rows.extend(facts(sources::prices(found)));
    model.rows.push(Row::new(None, "  A worker keeps the price it began with."));
    model.rows.push(title("Estimates by tasks that have ended; what nine in ten cost is reserved"));
    model.rows.extend(facts(sources::estimates(found)));
}

fn turn(it: &TurnCost, shared: &Shared) -> Row {
    let offset = shared.facts.utc_offset_ms;
    let today = words::date(it.began, offset) == words::date(shared.now, offset);
    let at = match today {
        true => words::time_of_day(it.began, offset, true),
        false => words::moment(it.began, shared.now, offset),
    };
    let width = usize::from(inside(outer(shared, 0)).width);
    let room = width.saturating_sub(BEFORE_ASKED).max(ASKED_MIN);
    let tokens = &it.tokens;
    let read = tokens.input + tokens.cache_read + tokens.cache_write;
    Row::new(
        None,
        &columns([
            &it.number.to_string(),
            &at,
            &format!("${:.4}", it.usd),
            &words::thousands(read),
            &words::thousands(tokens.output),
            &asked(it, room),
        ]),
    )
}

/// Returns what was asked and how that went, in `room` columns: how it went is never cut.
fn asked(it: &TurnCost, room: usize) -> String {
    let how = if it.how == "done" { String::new() } else { format!(" ({})", it.how) };
    let asked = match it.asked.trim() {
        "" => "not known",
        _ if it.by_claude => "by Claude: a background task ended",
        asked => asked,
    };
    format!("{}{how}", one_line(asked, room.saturating_sub(how.len()).max(1)))
}

fn columns([number, at, cost, read, written, asked]: [&str; 6]) -> String {
    format!("  {number:>4} {at:>12} {cost:>10} {read:>6} {written:>6}  {asked}")
}
