//! What a task cost, and why.

use crate::{
    api::budget::{CostLine, Entries, EntryView, TaskCosts},
    domain::ledger::CostKind,
    stdx::text::one_line,
    tui::{
        model::Shared,
        popup::text::{Model, Row},
        theme::Role,
        words,
    },
};

/// The most entries that are shown; the newest.
const ENTRIES_MAX: usize = 500;

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
            let text = format!("{turns}; {} tokens in, {} out", tokens.input, tokens.output);
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
        CostKind::Cpu => " core hours",
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

/// Puts every entry that costs below, the newest first.
pub fn take_entries(model: &mut Model, found: &Entries, shared: &Shared) {
    let costly: Vec<&EntryView> = found.entries.iter().filter(|it| it.amount_micros != 0).collect();
    let head = match (costly.len(), found.more) {
        (0, _) => "No entry of the ledger yet",
        (_, false) => "Entries of the ledger, the newest first",
        (_, true) => "The first entries of the ledger; all of them: parhelia budget export",
    };
    model.rows.extend([Row::default(), Row::new(Some(Role::Title), head)]);
    let rows = costly.iter().rev().take(ENTRIES_MAX);
    model.rows.extend(rows.map(|it| entry(it, shared)));
}

fn entry(it: &EntryView, shared: &Shared) -> Row {
    let offset = shared.facts.utc_offset_ms;
    let today = words::date(it.to, offset) == words::date(shared.now, offset);
    let at = match today {
        true => words::time_of_day(it.to, offset, true),
        false => words::moment(it.to, shared.now, offset),
    };
    let amount = format!("${:.4}", it.amount_usd);
    let what = it.model.as_deref().unwrap_or(it.kind.as_str());
    let (what, source) = (one_line(what, 40), it.source.as_str());
    let rate = match 0.0 < it.rate_usd {
        true => format!("  ${:.4} per hour", it.rate_usd),
        false => String::new(),
    };
    Row::new(None, &format!("  {at:>12}  {amount:>10}  {what:<24} {source}{rate}"))
}
