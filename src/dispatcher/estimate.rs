//! What a task is thought to cost: quantiles of what tasks of its type did cost. Pure.
//!
//! No mean: a few dear tasks would draw it away from what is common. A task that was cut short, by
//! a person or a ceiling, tells nothing of what it would have cost, and is left out.

use crate::{
    dispatcher::world::World,
    domain::{
        state::TaskState,
        task::{Task, TaskKind},
        usd::Usd,
    },
};

/// The newest tasks that are looked at for those of a type.
const SCAN_MAX: usize = 5000;
/// The newest of the type that count.
const TASKS_MAX: usize = 200;
/// Fewer are no history.
const TASKS_MIN: usize = 5;

/// What tasks of a type did cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guess {
    /// How many of them were found.
    pub tasks: usize,
    /// What they cost; nothing if they are too few.
    pub history: Option<Quantiles>,
}

/// Quantiles of costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// Half of them cost no more.
    pub median: Usd,
    /// Nine in ten cost no more.
    pub high: Usd,
}

impl Guess {
    /// Returns what a task is to reserve, of which `unknown` is reserved without a history, and
    /// which may spend `left` at most, if there is a limit.
    pub fn need(&self, unknown: Usd, left: Option<Usd>) -> Usd {
        let need = self.history.map_or(unknown, |it| it.high);
        left.map_or(need, |it| need.min(it)).max(Usd::ZERO)
    }

    /// Returns it in words, about tasks of `kind`.
    pub fn text(&self, kind: TaskKind) -> String {
        match self.history {
            Some(Quantiles { median, high }) => format!(
                "half of the last {} {kind} tasks cost {median} or less, nine in ten {high} or less",
                self.tasks
            ),
            None => format!(
                "no history: {} {kind} tasks have ended, {TASKS_MIN} are needed",
                self.tasks
            ),
        }
    }
}

/// Returns what tasks of `kind` cost, by the newest that have ended.
pub fn estimate(world: &World, kind: TaskKind) -> Guess {
    let costs = world.newest_first().take(SCAN_MAX).filter(|it| it.spec.kind == kind);
    quantiles(costs.filter_map(cost).take(TASKS_MAX).collect())
}

/// Returns what a task cost that ran to its end; nothing of another.
fn cost(task: &Task) -> Option<Usd> {
    let ended = matches!(task.state, TaskState::Completed { .. } | TaskState::Failed { .. });
    ended.then(|| task.usage.spent())
}

fn quantiles(mut costs: Vec<Usd>) -> Guess {
    let tasks = costs.len();
    if tasks < TASKS_MIN {
        return Guess { tasks, history: None };
    }
    costs.sort_unstable();
    // The smallest cost that so many of them do not pass.
    let at = |of_ten: usize| {
        let rank = (tasks * of_ten).div_ceil(10).max(1);
        costs.get(rank - 1).copied().unwrap_or_default()
    };
    Guess { tasks, history: Some(Quantiles { median: at(5), high: at(9) }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(costs: impl IntoIterator<Item = i64>) -> Guess {
        quantiles(costs.into_iter().map(Usd).collect())
    }

    #[test]
    fn too_few_are_no_history() {
        let few = of([1, 2, 3, 4]);
        assert_eq!((few.tasks, few.history), (4, None));
        assert_eq!(few.need(Usd(7), None), Usd(7));
        assert_eq!(
            few.text(TaskKind::CodeFix),
            "no history: 4 code_fix tasks have ended, 5 are needed"
        );
    }

    #[test]
    fn one_dear_task_moves_neither() {
        let guess = of([10, 9, 8, 7, 6, 5, 4, 3, 2, 1_000_000]);
        assert_eq!(guess.history, Some(Quantiles { median: Usd(6), high: Usd(10) }));
        assert_eq!(of([5, 4, 3, 2, 1]).history, Some(Quantiles { median: Usd(3), high: Usd(5) }));
    }

    #[test]
    fn no_more_is_needed_than_may_be_spent() {
        let guess = of(1..=10);
        assert_eq!(guess.need(Usd(100), None), Usd(9));
        assert_eq!(guess.need(Usd(100), Some(Usd(4))), Usd(4));
        assert_eq!(guess.need(Usd(100), Some(Usd(-4))), Usd::ZERO);
    }
}
