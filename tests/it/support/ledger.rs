//! What Claude Code itself says a task cost, to compare with what Parhelia says.

use std::{collections::BTreeMap, fs, path::Path};

use parhelia::{
    api::{types::EventView, view::TaskView},
    domain::{event::EventBody, evidence::Observation, usd::Usd},
};
use serde_json::Value;

/// Checks that the cost of a task is what Claude Code says, to the micro-dollar.
///
/// # Panics
///
/// If it is not; adds what `told` says.
pub fn check(view: &TaskView, run_dir: &Path, events: &[EventView], told: &impl Fn() -> String) {
    let own = own_total(run_dir, view.attempts, events);
    let ours = Usd::from_dollars(view.cost_usd).unwrap();
    assert_eq!(ours, own, "cost: {}", told());
    assert_eq!(view.tokens.source, "estimated");
}

/// The first and last total of a conversation in one launch.
#[derive(Clone, Copy, Debug)]
struct Totals {
    first: Usd,
    last: Usd,
}

/// Returns what was spent by Claude Code's own word.
///
/// Its status line gives running totals of a conversation, and the transcript ends with the last
/// one where Claude ended in good order. A later launch of a conversation goes on from a total
/// that was paid for, which is lower than the last one seen if Claude was killed.
fn own_total(run_dir: &Path, attempts: u32, events: &[EventView]) -> Usd {
    let mut paid: BTreeMap<String, Usd> = BTreeMap::new();
    let mut total = Usd::ZERO;
    let saved = saved(events);
    for attempt in 1..=attempts {
        let mut totals = shown(&run_dir.join(format!("a{attempt}/status.jsonl")));
        if attempt == attempts {
            for (conversation, saved) in &saved {
                let first = totals.get(conversation).map_or(Usd::ZERO, |it| it.first);
                let seen = Totals { first, last: *saved };
                let known = totals.entry(conversation.clone()).or_insert(seen);
                known.last = known.last.max(*saved);
            }
        }
        for (conversation, Totals { first, last }) in totals {
            let before = match paid.get(&conversation) {
                Some(paid) => (*paid).min(first),
                None => Usd::ZERO,
            };
            total = total + (last - before).max(Usd::ZERO);
            paid.insert(conversation, last);
        }
    }
    total
}

/// Returns the totals that a status line was told, by conversation.
fn shown(path: &Path) -> BTreeMap<String, Totals> {
    let mut totals: BTreeMap<String, Totals> = BTreeMap::new();
    for line in fs::read_to_string(path).unwrap_or_default().lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        let Some(total) = line["cost"]["total_cost_usd"].as_f64().and_then(Usd::from_dollars)
        else {
            continue;
        };
        let conversation = line["session_id"].as_str().unwrap_or_default().to_owned();
        let known = totals.entry(conversation).or_insert(Totals { first: total, last: total });
        // The first may be taken down last.
        (known.first, known.last) = (known.first.min(total), known.last.max(total));
    }
    totals
}

/// Returns the last total that each conversation's transcript holds.
fn saved(events: &[EventView]) -> BTreeMap<String, Usd> {
    let mut out = BTreeMap::new();
    for event in events {
        let EventBody::Observed {
            observation: Observation::ConversationStarted { transcript: Some(path), .. },
        } = &event.body
        else {
            continue;
        };
        for line in fs::read_to_string(path.as_str()).unwrap_or_default().lines() {
            let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
            if line["type"] != "cost-state" {
                continue;
            }
            let total = line["totalCostUSD"].as_f64().and_then(Usd::from_dollars);
            if let (Some(id), Some(total)) = (line["sessionId"].as_str(), total) {
                out.insert(id.to_owned(), total);
            }
        }
    }
    out
}
