//! Which checkpoints go: pure.
//!
//! A pinned one never goes. What a person asked for or named goes by age only. Of the rest the
//! oldest go as soon as there are too many; one that was made before something was destroyed is
//! spared for [`SAFE`]. The newest of a task stays while there is the task, and then goes by age
//! only; so do the newest that is whole, and the newest whole one that is on this machine, since
//! one of those is what a task comes back from.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    domain::{
        checkpoint::{Checkpoint, Trigger},
        ids::CheckpointId,
    },
    stdx::time::{Timestamp, short},
};

/// How long and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How many are kept of a task, pinned ones not counted.
    pub max_per_session: u32,
    /// How long they are kept.
    pub keep: Duration,
}

/// How long a checkpoint is kept at least that was made before something was destroyed: long
/// enough to notice.
pub const SAFE: Duration = Duration::from_hours(24);

/// Returns which of one task's checkpoints go at `now`, oldest first, and why.
pub fn expired(
    checkpoints: &[Checkpoint],
    policy: &Policy,
    live: bool,
    now: Timestamp,
) -> Vec<(CheckpointId, String)> {
    let mut oldest_first: Vec<&Checkpoint> = checkpoints.iter().filter(|it| !it.pinned).collect();
    oldest_first.sort_by_key(|it| (it.at, &it.id));
    let last = last_resorts(checkpoints);
    let max = usize::try_from(policy.max_per_session).unwrap_or(usize::MAX);
    let mut left = oldest_first.len();
    let mut gone = Vec::new();
    for checkpoint in oldest_first {
        let age = now.since(checkpoint.at);
        let is_last = last.contains(&checkpoint.id);
        let spared = is_safety(checkpoint.trigger) && age < SAFE || live && is_last;
        let why = if spared {
            None
        } else if policy.keep < age {
            Some(format!("it is older than {}", in_words(policy.keep)))
        } else if max < left && !is_last && !is_asked_for(checkpoint) {
            Some(format!("the task has more than {max}, and it is the oldest that may go"))
        } else {
            None
        };
        if let Some(why) = why {
            left -= 1;
            gone.push((checkpoint.id.clone(), why));
        }
    }
    gone
}

/// Returns the newest checkpoint, the newest that is whole, and the newest whole one that is on
/// this machine.
fn last_resorts(checkpoints: &[Checkpoint]) -> BTreeSet<&CheckpointId> {
    let newest = |fits: fn(&Checkpoint) -> bool| {
        checkpoints.iter().filter(|it| fits(it)).max_by_key(|it| (it.at, &it.id)).map(|it| &it.id)
    };
    let all = newest(|_| true);
    let whole = newest(|it| it.damage.is_none());
    let here = newest(|it| it.damage.is_none() && it.is_here());
    [all, whole, here].into_iter().flatten().collect()
}

/// Tells whether a person wanted this very state.
fn is_asked_for(checkpoint: &Checkpoint) -> bool {
    checkpoint.label.is_some() || checkpoint.trigger == Trigger::Manual
}

/// Tells whether it is what undoes something that cannot be undone otherwise.
fn is_safety(trigger: Trigger) -> bool {
    match trigger {
        Trigger::BeforeKill
        | Trigger::BeforePark
        | Trigger::BeforeRestore
        | Trigger::BeforeDelete => true,
        Trigger::Periodic
        | Trigger::Turn
        | Trigger::Detach
        | Trigger::Manual
        | Trigger::Error
        | Trigger::Complete
        | Trigger::Shutdown
        | Trigger::BeforeRisky => false,
    }
}

fn in_words(duration: Duration) -> String {
    match duration.as_secs() {
        86_400 => "a day".into(),
        secs if 0 < secs && secs.is_multiple_of(86_400) => format!("{} days", secs / 86_400),
        _ => short(duration),
    }
}

#[cfg(test)]
mod tests;
