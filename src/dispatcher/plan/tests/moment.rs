//! A ceiling that time alone reaches is judged at that moment.

use proptest::prelude::*;

use crate::{
    dispatcher::plan::moment::moment,
    domain::budget::{Ceiling, Configured, Nearness, OnExceeded},
};

use super::{
    money::{DAY, HOUR, usd, world},
    *,
};

/// Looks again whenever that is asked for, until the task is told to end; returns when, and why.
fn until_told(world: &mut World, it: &Task, mut now: i64) -> (i64, StopCause) {
    for _ in 0..10_000 {
        let wake = round(world, now, |_| ());
        if let Some(cause) = world.task(&it.id).unwrap().state.session().unwrap().stopping {
            return (now, cause);
        }
        let next = wake.expect("nobody looks again").0;
        assert!(now < next, "it looks again at once");
        now = next;
    }
    panic!("it is never told");
}

fn over(scope: Scope, spent: Usd, ceiling: Usd) -> StopCause {
    StopCause::Parked { why: ParkCause::OverCeiling { scope, spent, ceiling } }
}

/// A cent a second, from 7.003 seconds after a noon on.
#[test]
fn a_ceiling_that_a_worker_s_price_reaches_is_judged_at_that_moment() {
    let noon = 20_000 * DAY + 12 * HOUR;
    let begin = noon + 7003;
    let none = Configured::default();
    let host = [("local".to_owned(), usd(21))].into();
    for (scope, configured, own) in [
        (Scope::All, Configured { all: Some(usd(21)), ..none.clone() }, None),
        (Scope::Day, Configured { day: Some(usd(21)), ..none.clone() }, None),
        (Scope::Host, Configured { hosts: host, ..none.clone() }, None),
        (Scope::Task, none.clone(), Some(usd(21))),
        (Scope::Task, Configured { on_exceeded: OnExceeded::Block, ..none }, Some(usd(21))),
    ] {
        let mut world = world(9, usd(3600), configured);
        let mut it = task(0, 1);
        it.spec.max_cost = own;
        run(&mut world, &it, begin);
        let (at, cause) = until_told(&mut world, &it, begin);
        assert_eq!((at - begin, cause), (21_000, over(scope, usd(21), usd(21))), "{scope}");
    }
}

#[test]
fn a_threshold_that_a_worker_s_price_reaches_is_said_at_that_moment() {
    let configured = Configured { all: Some(usd(10)), ..Configured::default() };
    let mut world = world(9, usd(3600), configured);
    let it = task(0, 1);
    run(&mut world, &it, 0);
    assert_eq!(round(&mut world, 100, |_| ()), Some(Timestamp(8000)));
    round(&mut world, 8000, |_| ());
    assert!(!world.budget.terms.said[&Ceiling::All].exceeded);
    assert_eq!(round(&mut world, 8001, |_| ()), Some(Timestamp(10_000)));
}

/// Another's price brings the moment nearer, and its end puts it off.
#[test]
fn the_moment_moves_with_who_spends() {
    let configured =
        Configured { all: Some(usd(10)), warning_threshold: 1.0, ..Configured::default() };
    let mut world = world(9, usd(3600), configured);
    let (one, other) = (task(0, 1), task(0, 2));
    run(&mut world, &one, 0);
    assert_eq!(round(&mut world, 2000, |_| ()), Some(Timestamp(10_000)));
    run(&mut world, &other, 2000);
    assert_eq!(round(&mut world, 2000, |_| ()), Some(Timestamp(6000)));
    super::money::end(&mut world, &other, 4000);
    assert_eq!(round(&mut world, 4000, |_| ()), Some(Timestamp(8000)));
}

/// What a day's ceiling is held against begins anew at midnight.
#[test]
fn no_moment_lies_behind_midnight() {
    let configured =
        Configured { day: Some(usd(10)), warning_threshold: 1.0, ..Configured::default() };
    let mut world = world(9, usd(3600), configured);
    let it = task(0, 1);
    run(&mut world, &it, DAY - 9000);
    assert_eq!(round(&mut world, DAY - 8000, |_| ()), Some(Timestamp(DAY)));
    assert_eq!(round(&mut world, DAY, |_| ()), Some(Timestamp(DAY + 10_000)));
}

prop_compose! {
    /// Workers by their price per hour, when they began, and their own ceilings.
    fn workers()(
        each in proptest::collection::vec(
            (1i64..40_000_000, -HOUR..0i64, proptest::option::of(1i64..40_000_000)),
            1..6,
        ),
    ) -> Vec<(i64, i64, Option<i64>)> {
        each
    }
}

proptest! {
    /// A millisecond before it nothing is nearer than now, at it something is; and by then no more
    /// was spent than a millisecond of all prices, with what is rounded of each.
    #[test]
    fn the_moment_is_when_a_ceiling_is_met(
        workers in workers(), all in 1i64..60_000_000, threshold in 0.0f64..1.0, late in 0i64..HOUR,
    ) {
        let configured =
            Configured { all: Some(Usd(all)), warning_threshold: threshold, ..Configured::default() };
        let budget = Budget { configured, ..Budget::default() };
        let now = 20_000 * DAY + 12 * HOUR;
        let tasks: Vec<Task> = workers.iter().map(|it| worker(now, *it)).collect();
        let live: Vec<&Task> = tasks.iter().collect();
        let (now, until) = (Timestamp(now), Timestamp(now + late));
        let spent = |at: Timestamp| budget.standings(live.iter().copied(), at)[0].spent;
        let state = |at: Timestamp| {
            let own = |it: &&Task| it.spec.max_cost.is_some_and(|limit| limit <= it.spent(at));
            let own: Vec<bool> = live.iter().map(own).collect();
            (Nearness::of(spent(at), Usd(all), threshold), own)
        };
        match moment(&budget, &live, now, until) {
            None => prop_assert_eq!(state(now), state(Timestamp(until.0 - 1).max(now))),
            Some(at) => {
                prop_assert!(now < at && at < until);
                let before = Timestamp(at.0 - 1);
                prop_assert_eq!(state(before), state(now));
                prop_assert_ne!(state(at), state(now));
                let burn: i64 = live.iter().map(|it| it.hourly().0).sum();
                let a_millisecond = burn / HOUR + 1 + live.len() as i64;
                prop_assert!((spent(at) - spent(before)).0 <= a_millisecond);
            }
        }
    }
}

/// A task whose worker costs so much per hour since so long before `now`.
fn worker(now: i64, (per_hour, since, own): (i64, i64, Option<i64>)) -> Task {
    let mut world = world(1, Usd(per_hour), Configured::default());
    let mut it = task(0, now);
    it.spec.max_cost = own.map(Usd);
    run(&mut world, &it, now + since);
    world.task(&it.id).unwrap().clone()
}
