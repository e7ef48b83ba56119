//! How the dispatcher's figures of money read: how near a ceiling is, gauges, marks. Nothing is
//! summed up here; what is shown is what the dispatcher said.

pub mod set;
pub mod sources;

use crate::{
    api::{
        budget::{BudgetView, CeilingView, SourcesView},
        view::TaskView,
    },
    stdx::time::Timestamp,
};

/// An hour, in milliseconds.
const HOUR_MS: f64 = 3_600_000.0;

/// How near a ceiling is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Calm,
    /// Past the threshold from which on to warn.
    Warning,
    /// Reached.
    Over,
}

impl State {
    /// Returns how near a ceiling is.
    pub fn of(it: &CeilingView) -> State {
        match it.state.as_deref() {
            Some("exceeded") => State::Over,
            Some("warning") => State::Warning,
            _ => State::Calm,
        }
    }

    /// Returns the word that says what the gauge's colour says; nothing while it is calm.
    pub fn word(self) -> &'static str {
        match self {
            State::Calm => "",
            State::Warning => "WARNING",
            State::Over => "REACHED",
        }
    }
}

/// Returns what a ceiling is over, in a word.
pub fn name(it: &CeilingView) -> &str {
    match it.scope.as_str() {
        "all" => "total",
        "day" => "today",
        _ => it.host.as_deref().unwrap_or(&it.scope),
    }
}

/// Returns which part of a ceiling is spent, and which is spent or reserved; past one it is passed.
/// Nothing if there is no ceiling.
pub fn parts(it: &CeilingView) -> Option<(f64, f64)> {
    let limit = it.ceiling_usd?;
    if limit <= 0.0 {
        return Some((1.0, 1.0));
    }
    Some((it.spent_usd / limit, (it.spent_usd + it.reserved_usd) / limit))
}

/// Returns the ceiling of which most is spent.
pub fn nearest(budget: &BudgetView) -> Option<&CeilingView> {
    let spent = |it: &CeilingView| parts(it).map_or(-1.0, |it| it.0);
    let set = budget.ceilings.iter().filter(|it| it.ceiling_usd.is_some());
    // Of equals the first, which is the one over everything.
    set.rev().max_by(|a, b| spent(a).total_cmp(&spent(b)))
}

/// Returns the ceiling that is reached first at this rate, and when.
pub fn reached_first(budget: &BudgetView) -> Option<(&CeilingView, Timestamp)> {
    let reached = budget.ceilings.iter().filter_map(|it| Some((it, it.reached_at?)));
    reached.min_by_key(|it| it.1)
}

/// Returns the ceiling over everything, or over the day.
pub fn ceiling<'a>(budget: &'a BudgetView, scope: &str) -> Option<&'a CeilingView> {
    budget.ceilings.iter().find(|it| it.scope == scope)
}

/// Returns the mark of who says so: `r` reported, `m` metered, `~` partly guessed.
pub fn mark(it: &SourcesView) -> &'static str {
    let some = |usd: f64| 0.0 < usd;
    match (some(it.reported_usd), some(it.metered_usd), some(it.estimated_usd)) {
        (_, _, true) => "~",
        (true, true, false) => "r+m",
        (false, true, false) => "m",
        (true, false, false) => "r",
        (false, false, false) => "",
    }
}

/// Returns what a task cost by now: a paid worker goes on costing between two words of the
/// dispatcher.
pub fn cost(task: &TaskView, now: Timestamp) -> f64 {
    let Some(since) = task.metered_until else { return task.cost_usd };
    #[expect(clippy::cast_precision_loss, reason = "a span of time in milliseconds is exact")]
    let hours = now.0.saturating_sub(since.0).max(0) as f64 / HOUR_MS;
    task.cost_usd + task.compute_usd_per_hour.max(0.0) * hours
}

/// Returns bars as characters; the highest fills its cell, nothing is a low line.
pub fn sparkline(bars: &[f64]) -> String {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = bars.iter().copied().fold(0.0, f64::max);
    let level = |usd: &f64| match LEVELS
        .iter()
        .zip(1..)
        .find(|(_, n)| *usd <= most * f64::from(*n) / 8.0)
    {
        _ if *usd <= 0.0 => '_',
        Some((level, _)) => *level,
        None => '█',
    };
    bars.iter().map(level).collect()
}

/// Returns a gauge of `width` cells in three pieces: `####`, spent; `==`, reserved; `....`, left.
/// It is full of `#` only once the ceiling is reached.
pub fn gauge(parts: (f64, f64), width: usize) -> [String; 3] {
    #[expect(clippy::cast_precision_loss, reason = "no gauge is wider than a screen")]
    let cells = |part: f64| part.clamp(0.0, 1.0) * width as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast from float saturates, and it is within the width"
    )]
    let whole = |cells: f64| (cells as usize).min(width);
    let spent = whole(cells(parts.0));
    // However little is reserved is to be seen.
    let both = whole(cells(parts.1).ceil()).max(spent);
    let both = if parts.0 < parts.1 { both } else { spent };
    ["#".repeat(spent), "=".repeat(both - spent), ".".repeat(width - both)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixture::{NOW, budget, task};

    #[test]
    fn the_nearest_ceiling_is_the_one_most_used() {
        let mut it = budget(12.0);
        assert_eq!(nearest(&it).map(name), Some("total"));
        it.ceilings[1].ceiling_usd = Some(6.5);
        assert_eq!(nearest(&it).map(name), Some("today"));
        it.ceilings.iter_mut().for_each(|it| it.ceiling_usd = None);
        assert_eq!(nearest(&it), None);
        assert_eq!(nearest(&BudgetView::default()), None);
    }

    #[test]
    fn a_ceiling_of_nothing_is_reached() {
        let mut it = CeilingView { ceiling_usd: Some(0.0), ..CeilingView::default() };
        assert_eq!(parts(&it), Some((1.0, 1.0)));
        it.ceiling_usd = None;
        assert_eq!(parts(&it), None);
    }

    #[test]
    fn a_mark_says_who_says_so() {
        let of = |reported_usd, metered_usd, estimated_usd| {
            mark(&SourcesView { reported_usd, metered_usd, estimated_usd })
        };
        assert_eq!(
            [of(1.0, 0.0, 0.0), of(0.0, 1.0, 0.0), of(1.0, 1.0, 0.0), of(1.0, 1.0, 0.1)],
            ["r", "m", "r+m", "~"]
        );
        assert_eq!(of(0.0, 0.0, 0.0), "");
    }

    #[test]
    fn a_paid_worker_goes_on_costing_between_two_words() {
        let mut it = task("aaaa2222", "a");
        it.cost_usd = 1.0;
        let later = Timestamp(NOW.0 + 1_800_000);
        assert_eq!(cost(&it, later), 1.0);
        (it.compute_usd_per_hour, it.metered_until) = (3.0, Some(NOW));
        assert_eq!(cost(&it, later), 2.5);
        // A clock that was turned back takes nothing off.
        assert_eq!(cost(&it, Timestamp(0)), 1.0);
    }

    #[test]
    fn the_sparkline_s_highest_bar_is_full() {
        assert_eq!(sparkline(&[0.0, 1.0, 0.0, 2.0]), "_▄_█");
        assert_eq!(sparkline(&[0.0; 3]), "___");
    }

    #[test]
    fn a_gauge_is_full_only_when_the_ceiling_is_reached() {
        assert_eq!(gauge((0.99, 0.99), 10).concat(), "#########.");
        assert_eq!(gauge((0.5, 0.8), 10).concat(), "#####===..");
        assert_eq!(gauge((0.5, 0.501), 10).concat(), "#####=....");
        assert_eq!(gauge((7.0, 9.0), 4).concat(), "####");
        assert_eq!(gauge((-1.0, -1.0), 4).concat(), "....");
        assert_eq!(gauge((f64::NAN, f64::NAN), 4).concat(), "....");
    }
}
