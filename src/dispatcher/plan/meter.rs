//! Entries for the time of workers that cost money.
//!
//! What is not entered yet is known from the meter and counts at every judgement, so entries are
//! few: one each [`ENTRY_STEP`] of the wall clock, at midnight (by `Draft::emit`), and at the end.

use std::time::Duration;

use crate::{
    dispatcher::{
        plan::{Wake, moment::moment},
        world::Draft,
    },
    domain::{
        budget::{ENTRY_STEP, METER_STEP},
        event::EventBody,
        ids::TaskId,
        state::Contact,
        task::Task,
    },
    stdx::time::Timestamp,
};

/// Enters the time of workers up to the newest step.
pub(super) fn enter(draft: &mut Draft, now: Timestamp) {
    let step = before(now, ENTRY_STEP);
    let behind = |it: &&Task| is_paid(it) && is_certain(it) && began_before(it, step);
    let ids: Vec<TaskId> =
        draft.live().into_iter().filter(behind).map(|it| it.id.clone()).collect();
    for id in ids {
        // Any state takes in that time passed.
        let _ = draft.emit(&id, EventBody::Metered, step);
    }
}

/// Asks to judge again soon while a worker costs money, and when that alone reaches a ceiling.
pub(super) fn look_again(draft: &Draft, now: Timestamp, wake: &mut Wake) {
    let live = draft.live();
    if !live.iter().any(|it| is_paid(it)) {
        return;
    }
    let next = before(now, METER_STEP).plus(METER_STEP);
    wake.reached(moment(draft.budget(), &live, now, next).unwrap_or(next), now);
}

fn is_paid(task: &Task) -> bool {
    !task.hourly().is_zero()
}

/// A session whose host does not answer may have ended: when it is known, it is charged until
/// then. Until then its time counts, and is not entered, since nothing takes an entry back.
fn is_certain(task: &Task) -> bool {
    task.state.session().is_none_or(|it| it.contact == Contact::Reachable)
}

fn began_before(task: &Task, at: Timestamp) -> bool {
    task.usage.worker.as_ref().is_some_and(|it| it.until < at)
}

/// The newest multiple of `step` on the wall clock.
fn before(now: Timestamp, step: Duration) -> Timestamp {
    let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
    Timestamp(now.0.div_euclid(step).saturating_mul(step))
}
