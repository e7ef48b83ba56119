//! Who spent how much: tasks of a period, put together by what they have in common.

use std::collections::HashMap;

use crate::{api::view::TaskView, stdx::time::Timestamp};

/// An hour, in milliseconds.
const HOUR_MS: i64 = 60 * 60 * 1000;

/// Which tasks count, by when they were submitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Period {
    Hour,
    Day,
    #[default]
    All,
}

/// What tasks are put together by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    #[default]
    Task,
    Type,
    Host,
    Model,
}

/// Who spent something.
#[derive(Clone, Debug, PartialEq)]
pub struct Burner {
    pub name: String,
    pub usd: f64,
    pub tasks: usize,
    /// Whether all of it was reported by Claude.
    pub reported: bool,
}

impl Period {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Period::Hour => "hour",
            Period::Day => "day",
            Period::All => "all",
        }
    }

    /// Returns what it means.
    pub fn long(self) -> &'static str {
        match self {
            Period::Hour => "tasks submitted in the last hour",
            Period::Day => "tasks submitted in the last 24 hours",
            Period::All => "all tasks",
        }
    }

    /// Returns the period after this one.
    pub fn next(self) -> Period {
        match self {
            Period::Hour => Period::Day,
            Period::Day => Period::All,
            Period::All => Period::Hour,
        }
    }

    /// Returns the period before this one.
    pub fn before(self) -> Period {
        self.next().next()
    }

    fn from(self, now: Timestamp) -> Timestamp {
        match self {
            Period::Hour => Timestamp(now.0.saturating_sub(HOUR_MS)),
            Period::Day => Timestamp(now.0.saturating_sub(24 * HOUR_MS)),
            Period::All => Timestamp(i64::MIN),
        }
    }
}

impl By {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            By::Task => "task",
            By::Type => "type",
            By::Host => "host",
            By::Model => "model",
        }
    }

    /// Returns the grouping after this one.
    pub fn next(self) -> By {
        match self {
            By::Task => By::Type,
            By::Type => By::Host,
            By::Host => By::Model,
            By::Model => By::Task,
        }
    }

    fn key(self, task: &TaskView) -> &str {
        match self {
            By::Task => &task.id,
            By::Type => &task.kind,
            By::Host => task.provider.as_deref().unwrap_or("no host"),
            By::Model => task.model.as_deref().unwrap_or("default model"),
        }
    }
}

/// Returns who spent how much, the dearest first; who spent nothing is left out.
pub fn table<'a>(
    tasks: impl Iterator<Item = &'a TaskView>,
    period: Period,
    by: By,
    now: Timestamp,
) -> Vec<Burner> {
    let from = period.from(now);
    let mut found: HashMap<&str, Burner> = HashMap::new();
    for task in tasks.filter(|it| from <= it.created_at && 0.0 < it.cost_usd) {
        let key = by.key(task);
        let name = if by == By::Task { &task.name } else { key };
        let burner = found.entry(key).or_insert_with(|| Burner {
            name: name.to_owned(),
            usd: 0.0,
            tasks: 0,
            reported: true,
        });
        burner.usd += task.cost_usd;
        burner.tasks += 1;
        burner.reported &= task.cost_source == "reported";
    }
    let mut table: Vec<Burner> = found.into_values().collect();
    table.sort_by(|a, b| b.usd.total_cmp(&a.usd).then_with(|| a.name.cmp(&b.name)));
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixture::{NOW, fleet};

    #[test]
    fn only_what_was_submitted_in_the_period_counts() {
        let tasks = fleet();
        let sum = |period| -> usize {
            table(tasks.iter(), period, By::Host, NOW).iter().map(|it| it.tasks).sum()
        };
        assert_eq!((sum(Period::Hour), sum(Period::Day), sum(Period::All)), (6, 13, 13));
        let dearest = &table(tasks.iter(), Period::All, By::Task, NOW)[0];
        assert_eq!((dearest.name.as_str(), dearest.usd), ("train-small-lm", 7.2));
    }
}
