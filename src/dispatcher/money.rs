//! What the core does for money beside planning: it notices that the clock was turned, lets a
//! start settle, and says when the budget looks another.

use std::{collections::BTreeSet, time::Duration};

use tokio::sync::watch;

use crate::{
    dispatcher::world::{Changes, Draft, Settling, World},
    domain::{
        budget::{BURN_OVER, METER_STEP},
        event::{Connection, Event, EventBody},
        ids::TaskId,
        task::Task,
        usd::Usd,
    },
    stdx::time::{Clock, Timestamp},
};

/// The clock of the day may differ so much from the one that nobody turns until it counts as
/// turned. It is more than a slewed clock gains between two looks, and costs nothing worth having.
const TURN_MIN: Duration = Duration::from_secs(5);

/// Notices that somebody turned the clock, by another that cannot be.
pub struct Time {
    now: Timestamp,
    steady: Duration,
    /// The turn that was noticed and is not committed yet.
    seen: Option<(Timestamp, Duration)>,
}

impl Time {
    /// Begins to look at `clock`.
    pub fn new(clock: &dyn Clock) -> Time {
        Time { now: clock.now(), steady: clock.steady(), seen: None }
    }

    /// Returns by how many milliseconds the clock was turned since what was settled last; 0 if it
    /// was not.
    pub fn turned(&mut self, clock: &dyn Clock) -> i64 {
        let (now, steady) = (clock.now(), clock.steady());
        self.seen = Some((now, steady));
        let passed = millis(steady.saturating_sub(self.steady));
        let by = now.0.saturating_sub(self.now.0).saturating_sub(passed);
        if by.unsigned_abs() <= TURN_MIN.as_millis() as u64 { 0 } else { by }
    }

    /// Takes it that the last turn that was returned has been dealt with.
    pub fn settle(&mut self) {
        if let Some((now, steady)) = self.seen.take() {
            (self.now, self.steady) = (now, steady);
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Moves the meters with a clock that was turned by `by_ms`, so that the turn is charged to nobody.
/// A meter that is ahead of the clock tells that it was turned back while no dispatcher looked.
pub fn follow_clock(draft: &mut Draft, by_ms: i64, now: Timestamp) {
    let turn = |task: &Task| {
        let meter = task.usage.worker.as_ref().filter(|it| !it.is_free())?;
        let ahead = meter.until.0.saturating_add(by_ms).saturating_sub(now.0);
        let by_ms = if millis(TURN_MIN) < ahead { by_ms.saturating_sub(ahead) } else { by_ms };
        (by_ms != 0).then(|| (task.id.clone(), by_ms))
    };
    let turns: Vec<(TaskId, i64)> = draft.live().into_iter().filter_map(turn).collect();
    for (id, by_ms) in turns {
        // Any state takes in that a clock was turned.
        let _ = draft.emit(&id, EventBody::ClockTurned { by_ms }, now);
    }
}

/// Returns what is to be waited for before workers are charged and ceilings judged, if a worker
/// costs money: the watchers say meanwhile which sessions ended, and when, while nobody looked.
pub fn settles(world: &World, now: Timestamp) -> Option<Settling> {
    let waits: BTreeSet<TaskId> = paid(world).collect();
    (!waits.is_empty()).then(|| Settling { until: now.plus(METER_STEP), waits })
}

fn paid(world: &World) -> impl Iterator<Item = TaskId> {
    world.live().filter(|it| !it.hourly().is_zero()).map(|it| it.id.clone())
}

/// Returns the tasks whose hosts did not answer by these events: nothing more can be known of them.
pub fn lost(events: &[Event]) -> impl Iterator<Item = TaskId> {
    let lost = EventBody::ContactChanged { connection: Connection::Lost };
    events.iter().filter(move |it| it.body == lost).map(|it| it.task.clone())
}

/// Takes in that `heard` need not be waited for any more, nor those that cost nothing any more,
/// since they ended. Tells whether that was all that was waited for.
pub fn settle(world: &mut World, heard: &[TaskId]) -> bool {
    let Some(mut settling) = world.settles.take() else { return false };
    let paid: BTreeSet<TaskId> = paid(world).collect();
    settling.waits.retain(|it| paid.contains(it) && !heard.contains(it));
    let over = settling.waits.is_empty();
    world.settles = (!over).then_some(settling);
    over
}

/// Tells whether the budget looks another after these changes.
pub fn touches(changes: &Changes) -> bool {
    changes.budget.is_some()
        || changes.terms.is_some()
        || !changes.budget_changes.is_empty()
        || changes.events.iter().any(|it| counts(&it.body))
}

/// Tells whether an event changes what is reserved, what a worker costs, or who spends.
fn counts(body: &EventBody) -> bool {
    matches!(
        body,
        EventBody::Created { .. }
            | EventBody::Dispatched { .. }
            | EventBody::Launched
            | EventBody::DispatchFailed { .. }
            | EventBody::StopRequested { .. }
            | EventBody::Completed
            | EventBody::Failed { .. }
            | EventBody::SessionEnded { .. }
            | EventBody::Reopened
            | EventBody::Retried { .. }
            | EventBody::Capped { .. }
            | EventBody::Metered
            | EventBody::ClockTurned { .. }
            | EventBody::Deleted
    )
}

/// Tells whether an event ends what a worker was claimed for.
pub fn ends_worker(body: &EventBody) -> bool {
    matches!(body, EventBody::SessionEnded { .. } | EventBody::DispatchFailed { .. })
}

/// Says that the budget looks another: when it changed, and as time goes by while a worker costs
/// money or the rate of spending falls. Without somebody to see it, nothing is woken for it.
pub struct Pulse {
    beats: watch::Sender<u64>,
    /// The last step of time in which it was said.
    last: i64,
    /// Whether time alone changed it then.
    moving: bool,
}

impl Pulse {
    /// Creates what says it by `beats`.
    pub fn new(beats: watch::Sender<u64>) -> Pulse {
        Pulse { beats, last: 0, moving: false }
    }

    /// Says it if it is so; returns when to look again, which is `wake` or before.
    pub fn beat(
        &mut self,
        world: &World,
        changed: bool,
        now: Timestamp,
        wake: Option<Timestamp>,
    ) -> Option<Timestamp> {
        let step = step(world, now);
        let passed = step.is_some_and(|it| now.0.div_euclid(it) != self.last.div_euclid(it));
        let stopped = self.moving && step.is_none();
        self.moving = step.is_some();
        if changed || passed || stopped {
            self.last = now.0;
            self.beats.send_modify(|it| *it = it.wrapping_add(1));
        }
        let next = step
            .filter(|_| 0 < self.beats.receiver_count())
            .map(|it| Timestamp(now.0.div_euclid(it).saturating_add(1).saturating_mul(it)));
        [next, wake].into_iter().flatten().min()
    }
}

/// How often the budget looks another by time alone, in milliseconds.
fn step(world: &World, now: Timestamp) -> Option<i64> {
    if world.live().any(|it| !it.hourly().is_zero()) {
        return Some(millis(METER_STEP));
    }
    let burns = world.budget.accounts.model_burn(None, now) != Usd::ZERO;
    burns.then(|| millis(BURN_OVER / 10))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            budget::{Accounts, Budget},
            ledger::CostKind,
        },
        stdx::{day::Zone, time::ManualClock},
    };

    #[test]
    fn a_clock_is_turned_by_more_than_passed() {
        let clock = ManualClock::new(Timestamp(1_000_000));
        let mut time = Time::new(&clock);
        clock.advance(Duration::from_secs(86_400));
        assert_eq!(time.turned(&clock), 0);
        clock.turn(-4000);
        assert_eq!(time.turned(&clock), 0);
        clock.turn(-4000);
        // Until it is dealt with, it is a turn of the same length.
        assert_eq!((time.turned(&clock), time.turned(&clock)), (-8000, -8000));
        time.settle();
        clock.turn(3_600_000);
        clock.advance(Duration::from_secs(10));
        assert_eq!(time.turned(&clock), 3_600_000);
        time.settle();
        assert_eq!(time.turned(&clock), 0);
    }

    #[test]
    fn the_budget_looks_another_while_the_rate_falls_and_once_more_when_it_is_nothing() {
        let (beats, _) = watch::channel(0);
        let mut pulse = Pulse::new(beats.clone());
        let mut accounts = Accounts::default();
        accounts.recent("local", CostKind::Model, Usd(5), Timestamp(600_000), &Zone::default());
        let budget = Budget { accounts, ..Budget::default() };
        let world = World::new(Vec::new(), 0, 0, Vec::new(), budget);
        let mut beat = |now: i64| {
            let before = *beats.borrow();
            let wake = pulse.beat(&world, false, Timestamp(now), None);
            (*beats.borrow() != before, wake.map(|it| it.0))
        };
        // Nobody is there to see it.
        assert_eq!(beat(600_001), (true, None));
        let seen = beats.subscribe();
        assert_eq!(beat(630_000), (false, Some(660_000)));
        assert_eq!(beat(660_000), (true, Some(720_000)));
        assert_eq!(beat(1_139_999), (true, Some(1_140_000)));
        assert_eq!(beat(1_140_000), (true, None));
        assert_eq!(beat(1_140_001), (false, None));
        drop(seen);
    }
}
