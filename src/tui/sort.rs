//! How tasks are put in order and in groups.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::{
    api::view::TaskView,
    stdx::time::Timestamp,
    tui::{model::replica::Letter, words},
};

/// Failures of so long ago, in milliseconds, are past and no news.
const RECENT_MS: i64 = 24 * 60 * 60 * 1000;

/// What decides the order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sort {
    /// What needs a person, what works, what waits, failures of today, the rest by time.
    #[default]
    Needs,
    /// Submitted last first.
    Age,
    Name,
    /// The dearest first.
    Cost,
    Where,
    State,
    /// Changed last first.
    Change,
}

/// What decides the groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    #[default]
    None,
    Host,
    Repo,
    State,
}

impl Sort {
    /// Every sort, in the order of the picker.
    pub const ALL: [Sort; 7] =
        [Sort::Needs, Sort::Age, Sort::Name, Sort::Cost, Sort::Where, Sort::State, Sort::Change];

    /// Returns its name for `:sort` and titles.
    pub fn name(self) -> &'static str {
        match self {
            Sort::Needs => "needs-you",
            Sort::Age => "age",
            Sort::Name => "name",
            Sort::Cost => "cost",
            Sort::Where => "where",
            Sort::State => "state",
            Sort::Change => "change",
        }
    }
}

impl Group {
    /// Every grouping, in the order of the picker.
    pub const ALL: [Group; 4] = [Group::None, Group::Host, Group::Repo, Group::State];

    /// Returns its name for `:group` and titles.
    pub fn name(self) -> &'static str {
        match self {
            Group::None => "none",
            Group::Host => "host",
            Group::Repo => "repo",
            Group::State => "state",
        }
    }
}

/// The place of a task in the order, as it was when it was sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its group: rank and heading.
    pub group: (u8, String),
    class: u8,
    number: i64,
    text: String,
    /// Its id, which also breaks ties so that the order is always the same.
    pub id: String,
}

impl Place {
    /// Returns the place of a task.
    pub fn of(task: &TaskView, sort: Sort, group: Group, now: Timestamp) -> Place {
        let letter = Letter::of(task);
        let (mut class, mut number, mut text) = (0, 0, String::new());
        match sort {
            Sort::Needs => (class, number) = by_need(task, letter, now),
            Sort::Age => number = -task.created_at.0,
            Sort::Name => text = task.name.to_lowercase(),
            Sort::Cost => number = -micros(task.cost_usd),
            Sort::Where => text = words::place(task),
            Sort::State => (class, number) = (letter as u8, -words::since(task).0),
            Sort::Change => number = -words::since(task).0,
        }
        Place { group: heading(task, letter, group), class, number, text, id: task.id.clone() }
    }

    /// Returns the order of two places; `reversed` turns it round within groups.
    pub fn compare(&self, other: &Place, reversed: bool) -> Ordering {
        let own = |a: &Place, b: &Place| {
            (a.class, a.number).cmp(&(b.class, b.number)).then_with(|| a.text.cmp(&b.text))
        };
        let own = if reversed { own(other, self) } else { own(self, other) };
        self.group.cmp(&other.group).then(own).then_with(|| self.id.cmp(&other.id))
    }
}

fn by_need(task: &TaskView, letter: Letter, now: Timestamp) -> (u8, i64) {
    let since = words::since(task).0;
    match letter {
        // Who has waited longest comes first.
        Letter::NeedsYou => (0, since),
        Letter::Working => (1, since),
        Letter::Unreachable | Letter::Unknown => (2, since),
        Letter::Parked => (3, -since),
        Letter::Idle => (4, -since),
        Letter::Waiting => (5, since),
        Letter::Failed if now.0.saturating_sub(since) < RECENT_MS => (6, -since),
        Letter::Failed | Letter::Done | Letter::Killed => (7, -since),
    }
}

fn heading(task: &TaskView, letter: Letter, group: Group) -> (u8, String) {
    match group {
        Group::None => (0, String::new()),
        Group::Host => (0, task.provider.clone().unwrap_or_else(|| "no host yet".to_owned())),
        Group::Repo => (0, task.source.clone()),
        Group::State => (letter as u8, state_name(letter).to_owned()),
    }
}

/// Returns what a letter stands for.
pub fn state_name(letter: Letter) -> &'static str {
    match letter {
        Letter::NeedsYou => "needs you",
        Letter::Working => "working",
        Letter::Parked => "parked",
        Letter::Idle => "idle",
        Letter::Waiting => "waiting",
        Letter::Done => "done",
        Letter::Failed => "failed",
        Letter::Killed => "killed",
        Letter::Unreachable => "unreachable",
        Letter::Unknown => "unknown",
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a cast from float saturates")]
fn micros(usd: f64) -> i64 {
    (usd * 1e6) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixture::{NOW, fleet};

    fn names(sort: Sort, reversed: bool) -> Vec<String> {
        let mut tasks: Vec<(Place, String)> = fleet()
            .into_iter()
            .map(|it| (Place::of(&it, sort, Group::None, NOW), it.name))
            .collect();
        tasks.sort_by(|a, b| a.0.compare(&b.0, reversed));
        tasks.into_iter().map(|it| it.1).collect()
    }

    #[test]
    fn what_needs_a_person_comes_first_and_the_longest_waiting_before_all() {
        assert_eq!(
            names(Sort::Needs, false),
            [
                "fix-auth-race",
                "docs-rewrite",
                "train-small-lm",
                "port-to-axum",
                "flaky-e2e",
                "bump-deps",
                "review-pr-812",
                "sql-indexes",
                "next-up",
                "migrate-ci",
                "gpu-bench",
                "rename-crate",
                "old-spike",
            ]
        );
    }

    #[test]
    fn a_sort_can_be_turned_round() {
        assert_eq!(names(Sort::Cost, false)[..2], ["train-small-lm", "fix-auth-race"]);
        let mut name = names(Sort::Name, true);
        name.reverse();
        assert_eq!(name, names(Sort::Name, false));
    }
}
