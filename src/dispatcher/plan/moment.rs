//! When time alone brings a task to a ceiling: pure.

use crate::{
    domain::{
        budget::{Budget, Nearness},
        task::Task,
        usd::Usd,
    },
    stdx::time::Timestamp,
};

/// Returns the first moment after `now` and before `until` at which what `live` workers cost
/// reaches a ceiling, a task's own with them, or the threshold of one: to the millisecond, by the
/// meters themselves. Nothing if there is none, or none before the day ends: then all is judged
/// anew anyhow.
pub fn moment(
    budget: &Budget,
    live: &[&Task],
    now: Timestamp,
    until: Timestamp,
) -> Option<Timestamp> {
    let paid: Vec<&Task> = live.iter().filter(|it| !it.hourly().is_zero()).copied().collect();
    let near = |at: Timestamp| (shared(budget, live, at), own(&paid, at));
    let before = near(now);
    // What workers cost only grows, up to midnight, so it is one step that is looked for.
    let nearer = |at: Timestamp| {
        let (shared, own) = near(at);
        own != before.1 || shared.iter().zip(&before.0).any(|(then, now)| now < then)
    };
    let midnight = budget.zone.tomorrow(now);
    let last = Timestamp(until.min(midnight).0.saturating_sub(1));
    if paid.is_empty() || last <= now || !nearer(last) {
        return None;
    }
    let (mut early, mut late) = (now.0, last.0);
    while early + 1 < late {
        let middle = early + (late - early) / 2;
        if nearer(Timestamp(middle)) { late = middle } else { early = middle }
    }
    Some(Timestamp(late))
}

/// How near every ceiling is that tasks share.
fn shared(budget: &Budget, live: &[&Task], at: Timestamp) -> Vec<Option<Nearness>> {
    let threshold = budget.configured.warning_threshold;
    let standings = budget.standings(live.iter().copied(), at);
    standings.iter().map(|it| it.nearness(threshold)).collect()
}

/// Which tasks have reached their own ceilings.
fn own(paid: &[&Task], at: Timestamp) -> Vec<bool> {
    let reached = |limit: Usd, it: &Task| limit <= it.spent(at);
    paid.iter().map(|it| it.spec.max_cost.is_some_and(|limit| reached(limit, it))).collect()
}
