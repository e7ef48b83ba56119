//! What is spent, how fast, and when a ceiling is reached at this rate. Pure figures.

use std::collections::VecDeque;

use crate::{
    stdx::time::Timestamp,
    tui::model::{Shared, look::LookSource, replica::Replica},
};

/// The rate is that of so many milliseconds: long enough to be calm, short enough to be true.
pub const RATE_MS: i64 = 10 * 60 * 1000;

/// One bar of the sparkline, in milliseconds.
pub const BAR_MS: i64 = 5 * 60 * 1000;

/// Bars of the sparkline: an hour.
pub const BARS: usize = 12;

/// An hour, in milliseconds.
const HOUR_MS: f64 = 3_600_000.0;

/// How near a ceiling is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Calm,
    /// Past the threshold from which on to warn.
    Warning,
    /// Past the ceiling.
    Over,
}

/// A ceiling with what counts against it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ceiling {
    pub spent_usd: f64,
    pub limit_usd: f64,
    pub state: State,
    /// When it is reached at this rate; nothing if nothing is spent, or it is passed.
    pub reached: Option<Timestamp>,
}

impl Ceiling {
    /// Returns how much of it is used up, from zero on; past one it is passed.
    pub fn part(&self) -> f64 {
        self.spent_usd / self.limit_usd
    }
}

/// What is spent. All by the dispatcher's sums and the tasks' own figures since.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    pub total_usd: f64,
    /// By tasks submitted in the last 24 hours.
    pub day_usd: f64,
    /// US dollars an hour, by the last ten minutes.
    pub burn_usd: f64,
    /// The ceiling over everything, if there is one.
    pub total: Option<Ceiling>,
    /// The ceiling over a day, if there is one.
    pub day: Option<Ceiling>,
    /// Whether the dispatcher keeps these ceilings; else they only warn.
    pub enforced: bool,
}

impl Figures {
    /// Returns the figures; nothing before the dispatcher told its sums.
    pub fn of(shared: &Shared) -> Option<Figures> {
        let replica = &shared.replica;
        let told = &replica.status.as_ref()?.spend;
        let mut source = shared.look.source.clone();
        // What the dispatcher goes by counts more than what the file says now.
        if 0.0 < told.ceiling_usd {
            source.ceiling_usd = told.ceiling_usd;
            source.daily_ceiling_usd = told.daily_ceiling_usd;
            source.warning_threshold = told.warning_threshold;
        }
        let enforced = told.ceiling_enforced;
        Some(Figures { enforced, ..Figures::from(replica, &source, shared.now) })
    }

    fn from(replica: &Replica, source: &LookSource, now: Timestamp) -> Figures {
        let (total_usd, day_usd) = (replica.spent_usd, replica.spent_day_usd);
        let burn_usd = burn(&replica.rises, now);
        let ceiling = |spent_usd: f64, limit_usd: f64| {
            (0.0 < limit_usd).then(|| {
                let state = if limit_usd <= spent_usd {
                    State::Over
                } else if source.warning_threshold <= spent_usd / limit_usd {
                    State::Warning
                } else {
                    State::Calm
                };
                let reached = reached(limit_usd - spent_usd, burn_usd, now);
                Ceiling { spent_usd, limit_usd, state, reached }
            })
        };
        Figures {
            total_usd,
            day_usd,
            burn_usd,
            total: ceiling(total_usd, source.ceiling_usd),
            day: source.daily_ceiling_usd.and_then(|it| ceiling(day_usd, it)),
            enforced: false,
        }
    }

    /// Returns the ceiling that is nearest to being passed.
    pub fn nearest(&self) -> Option<Ceiling> {
        let both = self.total.into_iter().chain(self.day);
        both.max_by(|a, b| a.part().total_cmp(&b.part()))
    }
}

/// Returns US dollars an hour by what rose in the last ten minutes.
pub fn burn(rises: &VecDeque<(Timestamp, f64)>, now: Timestamp) -> f64 {
    let from = now.0.saturating_sub(RATE_MS);
    let recent = rises.iter().rev().take_while(|it| from < it.0.0);
    let usd: f64 = recent.map(|it| it.1).sum();
    #[expect(clippy::cast_precision_loss, reason = "ten minutes in milliseconds is exact")]
    let hours = RATE_MS as f64 / HOUR_MS;
    usd / hours
}

#[expect(clippy::cast_possible_truncation, reason = "a cast from float saturates")]
fn reached(left_usd: f64, burn_usd: f64, now: Timestamp) -> Option<Timestamp> {
    if left_usd <= 0.0 || burn_usd <= 0.0 {
        return None;
    }
    let ms = (left_usd / burn_usd * HOUR_MS) as i64;
    // Further off than a month is not worth saying.
    (ms < 31 * 24 * 3_600_000).then(|| Timestamp(now.0.saturating_add(ms)))
}

/// Returns what was spent in each five minutes of the last hour, the latest last.
pub fn bars(rises: &VecDeque<(Timestamp, f64)>, now: Timestamp) -> [f64; BARS] {
    let mut bars = [0.0; BARS];
    let current = now.0.div_euclid(BAR_MS);
    for (at, usd) in rises {
        let back = usize::try_from(current - at.0.div_euclid(BAR_MS)).unwrap_or(0);
        if let Some(at) = BARS.checked_sub(back + 1) {
            bars[at] += usd;
        }
    }
    bars
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

/// Returns when any of these figures will change although nothing happens; nothing if never.
pub fn next_change(rises: &VecDeque<(Timestamp, f64)>, now: Timestamp) -> Option<Timestamp> {
    let from = now.0.saturating_sub(RATE_MS);
    let leaves = rises.iter().find(|it| from < it.0.0).map(|it| it.0.0.saturating_add(RATE_MS));
    let hour = now.0.saturating_sub(RATE_MS * 6);
    let bar = rises.back().filter(|it| hour < it.0.0);
    let bar = bar.map(|_| (now.0.div_euclid(BAR_MS) + 1) * BAR_MS);
    // Rises a moment apart leave together: the figure need not be finer than a minute.
    let minute = now.0.saturating_add(60_000);
    leaves.map(|it| it.max(minute)).into_iter().chain(bar).min().map(Timestamp)
}

/// Returns a gauge of `width` cells: `[####....]`, so full that only what is passed fills it.
pub fn gauge(part: f64, width: usize) -> (String, String) {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a cast from float saturates, and no gauge is wider than a screen"
    )]
    let full = ((part.clamp(0.0, 1.0) * width as f64) as usize).min(width);
    ("#".repeat(full), ".".repeat(width - full))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixture::NOW;

    fn ago(minutes: i64, usd: f64) -> (Timestamp, f64) {
        (Timestamp(NOW.0 - minutes * 60_000), usd)
    }

    #[test]
    fn the_rate_is_that_of_the_last_ten_minutes() {
        let rises = VecDeque::from([ago(50, 9.0), ago(9, 0.25), ago(1, 0.25)]);
        assert!((burn(&rises, NOW) - 3.0).abs() < 1e-9);
        assert_eq!(burn(&VecDeque::new(), NOW), 0.0);
    }

    #[test]
    fn a_ceiling_warns_and_says_when_it_is_reached() {
        let source = LookSource {
            ceiling_usd: 30.0,
            daily_ceiling_usd: Some(100.0),
            warning_threshold: 0.8,
            ..LookSource::default()
        };
        let mut replica = Replica { spent_usd: 27.0, spent_day_usd: 5.0, ..Replica::default() };
        replica.rises = VecDeque::from([ago(1, 0.5)]);
        let figures = Figures::from(&replica, &source, NOW);
        let nearest = figures.nearest().expect("there are ceilings");
        assert_eq!(nearest.state, State::Warning);
        assert_eq!(nearest.reached, Some(Timestamp(NOW.0 + 3_600_000)));
        replica.spent_usd = 30.0;
        let figures = Figures::from(&replica, &source, NOW);
        assert_eq!(figures.total.map(|it| (it.state, it.reached)), Some((State::Over, None)));
        let none = LookSource::default();
        assert_eq!(Figures::from(&replica, &none, NOW).nearest(), None);
    }

    #[test]
    fn the_sparkline_has_an_hour_and_its_highest_bar_is_full() {
        let rises = VecDeque::from([ago(200, 9.0), ago(30, 1.0), ago(0, 2.0)]);
        let bars = bars(&rises, NOW);
        assert_eq!(bars.iter().sum::<f64>(), 3.0);
        assert_eq!(bars[BARS - 1], 2.0);
        assert_eq!(sparkline(&bars), "_____▄_____█");
        assert_eq!(sparkline(&[0.0; 3]), "___");
    }

    #[test]
    fn without_spending_nothing_changes_by_itself() {
        assert_eq!(next_change(&VecDeque::new(), NOW), None);
        assert_eq!(next_change(&VecDeque::from([ago(61, 1.0)]), NOW), None);
        assert!(next_change(&VecDeque::from([ago(20, 1.0)]), NOW).is_some());
    }

    #[test]
    fn a_gauge_is_full_only_when_the_ceiling_is_reached() {
        assert_eq!(gauge(0.99, 10), ("#########".to_owned(), ".".to_owned()));
        assert_eq!(gauge(7.0, 4).0, "####");
        assert_eq!(gauge(-1.0, 4).1, "....");
        assert_eq!(gauge(f64::NAN, 4).1, "....");
    }
}
