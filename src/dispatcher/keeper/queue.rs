//! Which checkpoints are wanted while others are made: pure.

use std::collections::HashMap;

use crate::domain::{checkpoint::Trigger, ids::TaskId};

/// Checkpoints under way, at most one a task, each with at most one that is wanted after it: the
/// one whose name tells most. So it is never longer than there are tasks.
#[derive(Debug, Default)]
pub struct Queue {
    under_way: HashMap<TaskId, Option<Trigger>>,
}

impl Queue {
    /// Asks for a checkpoint. Tells whether it is to be begun now.
    pub fn ask(&mut self, task: &TaskId, trigger: Trigger) -> bool {
        match self.under_way.get_mut(task) {
            Some(next) => {
                *next = Some(next.map_or(trigger, |it| stronger(it, trigger)));
                false
            }
            None => {
                self.under_way.insert(task.clone(), None);
                true
            }
        }
    }

    /// Says that the one under way is done. Returns the one to begin now, if one was asked for.
    pub fn done(&mut self, task: &TaskId) -> Option<Trigger> {
        let next = self.under_way.get_mut(task).and_then(Option::take);
        if next.is_none() {
            self.under_way.remove(task);
        }
        next
    }
}

fn stronger(a: Trigger, b: Trigger) -> Trigger {
    let rank = |it: Trigger| match it {
        Trigger::Periodic => 0,
        Trigger::BeforeRisky => 1,
        Trigger::Turn => 2,
        Trigger::Detach => 3,
        Trigger::Shutdown => 4,
        Trigger::Error => 5,
        Trigger::Complete => 6,
        Trigger::BeforePark
        | Trigger::BeforeDelete
        | Trigger::BeforeRestore
        | Trigger::BeforeKill
        | Trigger::Manual => 7,
    };
    if rank(a) < rank(b) { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_under_way_and_one_is_remembered() {
        let mut queue = Queue::default();
        let (a, b) = (TaskId::random(), TaskId::random());
        assert!(queue.ask(&a, Trigger::Turn));
        assert!(!queue.ask(&a, Trigger::Periodic));
        assert!(!queue.ask(&a, Trigger::Complete));
        assert!(!queue.ask(&a, Trigger::Detach));
        assert!(queue.ask(&b, Trigger::Turn));
        assert_eq!(queue.done(&a), Some(Trigger::Complete));
        assert!(!queue.ask(&a, Trigger::Turn));
        assert_eq!(queue.done(&a), Some(Trigger::Turn));
        assert_eq!(queue.done(&a), None);
        assert!(queue.ask(&a, Trigger::Turn));
        assert_eq!(queue.done(&b), None);
        assert_eq!(queue.under_way.len(), 1);
    }
}
