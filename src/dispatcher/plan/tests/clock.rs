//! Meters by the clock: steps, midnight, turned clocks, days of 23 and 25 hours.

use proptest::prelude::*;

use crate::{
    dispatcher::money::{Time, follow_clock, lost, settle, settles},
    domain::{budget::Configured, event::Connection, ledger::Entry},
    stdx::{
        day::Zone,
        time::{Clock, ManualClock},
    },
};

use super::{
    money::{DAY, HOUR, end, usd, world},
    *,
};

/// A round whose entries are looked at.
fn entries(world: &mut World, now: i64, act: impl FnOnce(&mut Draft)) -> Vec<Entry> {
    let mut draft = Draft::new(world);
    act(&mut draft);
    plan(&mut draft, Timestamp(now), &mut Counted(0));
    let changes = draft.finish();
    let entries = changes.entries.clone();
    world.merge(changes);
    entries
}

fn spans(entries: &[Entry]) -> Vec<(i64, i64)> {
    entries.iter().map(|it| (it.from.0, it.to.0)).collect()
}

fn paid() -> World {
    world(9, usd(3600), Configured::default())
}

#[test]
fn entries_are_made_at_steps_of_the_wall_clock() {
    let mut world = paid();
    let it = task(0, 1);
    run(&mut world, &it, 7_000);
    let step = 300_000;
    assert_eq!(round(&mut world, 7_000, |_| ()), Some(Timestamp(15_000)));
    assert_eq!(spans(&entries(&mut world, step - 1, |_| ())), []);
    assert_eq!(spans(&entries(&mut world, step + 9, |_| ())), [(7_000, step)]);
    assert_eq!(spans(&entries(&mut world, 3 * step + 9, |_| ())), [(step, 3 * step)]);
    // What is not entered counts all the same.
    let spent = world.task(&it.id).unwrap().spent(Timestamp(3 * step + 10_000));
    assert_eq!(spent, usd(903));
    end(&mut world, &it, 3 * step + 10_000);
    assert_eq!(
        (world.budget.accounts.total, world.task(&it.id).unwrap().hourly()),
        (spent, Usd::ZERO)
    );
    assert_eq!(round(&mut world, 4 * step, |_| ()), None);
}

#[test]
fn a_day_has_what_was_spent_in_it() {
    let mut world = paid();
    let it = task(0, 1);
    let midnight = 20_000 * DAY;
    run(&mut world, &it, midnight - HOUR);
    // Nobody looked for two days and a half.
    let over =
        |ended_at| EventBody::SessionEnded { code: Some(0), detail: String::new(), ended_at };
    let now = midnight + 5 * DAY / 2;
    world.settles = settles(&world, Timestamp(now));
    let ended = Some(Timestamp(midnight + DAY + HOUR));
    let made = entries(&mut world, now, |draft| learn(draft, &it.id, over(ended), Timestamp(now)));
    let cut = [
        (midnight - HOUR, midnight),
        (midnight, midnight + DAY),
        (midnight + DAY, midnight + DAY + HOUR),
    ];
    assert_eq!(spans(&made), cut);
    let zone = Zone::default();
    let day = |at: i64| world.budget.accounts.day(Timestamp(at), &zone);
    assert_eq!(day(midnight - 1), usd(3600));
    assert_eq!(day(midnight), usd(24 * 3600));
    assert_eq!(day(midnight + DAY), usd(3600));
    assert_eq!(day(now), Usd::ZERO);
}

#[test]
fn what_settles_is_neither_charged_nor_judged() {
    let mut world = paid();
    let (it, waits) = (task(0, 1), task(0, 2));
    run(&mut world, &it, 0);
    world.budget.configured.all = Some(usd(10));
    world.settles = settles(&world, Timestamp(10 * HOUR));
    let wake = round(&mut world, 10 * HOUR, |_| ());
    assert_eq!(wake, Some(Timestamp(10 * HOUR + 15_000)));
    submit(&mut world, &waits, 10 * HOUR);
    assert_eq!(name(&world, &waits), "PENDING");
    let ended_at = Some(Timestamp(1000));
    let over = EventBody::SessionEnded { code: Some(143), detail: String::new(), ended_at };
    round(&mut world, 10 * HOUR + 10, |draft| {
        learn(draft, &it.id, over, Timestamp(10 * HOUR + 10))
    });
    round(&mut world, 10 * HOUR + 15_000, |_| ());
    assert_eq!(world.budget.accounts.total, usd(1));
    assert_eq!(name(&world, &waits), "DISPATCHED");
}

/// Three paid workers that no dispatcher looked at for a day.
fn unlooked_at() -> (World, [Task; 3]) {
    let mut world = paid();
    let tasks = [1, 2, 3].map(|it| task(0, it));
    tasks.iter().for_each(|it| run(&mut world, it, 0));
    world.budget.configured.all = Some(usd(10));
    world.settles = settles(&world, Timestamp(DAY));
    (world, tasks)
}

#[test]
fn nothing_settles_longer_than_until_all_that_cost_were_heard_of() {
    let (mut world, [ends, runs, far]) = unlooked_at();
    let stopping = |world: &World, it: &Task| {
        world.task(&it.id).unwrap().state.session().and_then(|it| it.stopping).is_some()
    };
    assert!(!settle(&mut world, std::slice::from_ref(&runs.id)));
    let over = EventBody::SessionEnded {
        code: Some(0),
        detail: String::new(),
        ended_at: Some(Timestamp(1000)),
    };
    round(&mut world, DAY + 10, |draft| learn(draft, &ends.id, over, Timestamp(DAY + 10)));
    assert!(!settle(&mut world, &[]));
    round(&mut world, DAY + 20, |_| ());
    assert!(!stopping(&world, &runs));
    let gone = EventBody::ContactChanged { connection: Connection::Lost };
    let mut draft = Draft::new(&world);
    learn(&mut draft, &far.id, gone, Timestamp(DAY + 30));
    let changes = draft.finish();
    let heard: Vec<TaskId> = lost(&changes.events).collect();
    world.merge(changes);
    assert!(settle(&mut world, &heard) && world.settles.is_none());
    round(&mut world, DAY + 30, |_| ());
    assert!(stopping(&world, &runs) && stopping(&world, &far));
    // What ended was charged for until it did.
    assert_eq!(world.task(&ends.id).unwrap().usage.spent(), usd(1));
    assert!(!settle(&mut world, &[]));
}

#[test]
fn a_host_that_does_not_answer_is_entered_later() {
    let mut world = paid();
    let it = task(0, 1);
    run(&mut world, &it, 0);
    let lost = EventBody::ContactChanged { connection: Connection::Lost };
    round(&mut world, 1000, |draft| learn(draft, &it.id, lost, Timestamp(1000)));
    assert_eq!(spans(&entries(&mut world, 10 * HOUR, |_| ())), []);
    let all = &Draft::new(&world).standings(Timestamp(10 * HOUR))[0];
    assert_eq!(all.spent, usd(36_000));
    let ended_at = Some(Timestamp(2000));
    let over = EventBody::SessionEnded { code: Some(1), detail: String::new(), ended_at };
    let made = entries(&mut world, 10 * HOUR, |draft| {
        learn(draft, &it.id, over, Timestamp(10 * HOUR));
    });
    assert_eq!(spans(&made), [(0, 2000)]);
}

/// The world by a clock, as the core goes on with it.
struct Watch {
    world: World,
    clock: ManualClock,
    time: Time,
}

impl Watch {
    fn new(at: i64) -> Watch {
        let clock = ManualClock::new(Timestamp(at));
        let time = Time::new(&clock);
        Watch { world: paid(), clock, time }
    }

    fn go(&mut self, act: impl FnOnce(&mut Draft, Timestamp)) {
        let turned = self.time.turned(&self.clock);
        let now = self.clock.now();
        round(&mut self.world, now.0, |draft| {
            follow_clock(draft, turned, now);
            act(draft, now);
        });
        self.time.settle();
    }

    fn begin(&mut self) -> Task {
        let it = task(0, 1);
        let command = Command::Create { task: Box::new(it.clone()), prompt: Vec::new() };
        self.go(|draft, now| decide(draft, &command, now).unwrap());
        self.go(|draft, now| learn(draft, &it.id, EventBody::Launched, now));
        it
    }

    fn end(&mut self, it: &Task) -> Usd {
        let over = EventBody::SessionEnded { code: Some(0), detail: String::new(), ended_at: None };
        self.go(|draft, now| learn(draft, &it.id, over, now));
        self.world.budget.accounts.total
    }
}

proptest! {
    /// However the clock is turned and whenever it is looked at, time costs what it costs.
    #[test]
    fn a_turned_clock_charges_nobody(
        steps in proptest::collection::vec(
            (1i64..2_000_000, prop_oneof![
                4 => Just(0),
                1 => Just(365 * DAY),
                1 => Just(-365 * DAY),
                1 => Just(HOUR),
                1 => Just(-HOUR),
                1 => -DAY..DAY,
            ]),
            1..20,
        ),
    ) {
        let mut watch = Watch::new(20_000 * DAY + 23 * HOUR);
        let it = watch.begin();
        let mut passed = 0;
        for (ms, turn) in steps {
            passed += ms;
            watch.clock.advance(Duration::from_millis(ms as u64));
            // Less is not told from a clock that is slewed.
            watch.clock.turn(if turn.abs() <= 5000 { 0 } else { turn });
            watch.go(|_, _| ());
        }
        // A cent a second.
        prop_assert_eq!(watch.end(&it), Usd(passed * 10));
    }
}

#[test]
fn today_is_known_after_a_clock_was_far_ahead() {
    let zone = Zone::default();
    let noon = 20_000 * DAY + 12 * HOUR;
    let mut watch = Watch::new(noon);
    let it = watch.begin();
    watch.clock.advance(Duration::from_secs(10));
    watch.go(|draft, now| draft.emit(&it.id, EventBody::Metered, now).unwrap());
    watch.clock.turn(365 * DAY);
    watch.clock.advance(Duration::from_secs(10));
    watch.go(|draft, now| draft.emit(&it.id, EventBody::Metered, now).unwrap());
    watch.clock.turn(-365 * DAY);
    watch.clock.advance(Duration::from_secs(10));
    watch.go(|draft, now| draft.emit(&it.id, EventBody::Metered, now).unwrap());
    let accounts = &watch.world.budget.accounts;
    assert_eq!(accounts.total, usd(30));
    assert_eq!(accounts.day(watch.clock.now(), &zone), usd(20));
    assert_eq!(accounts.minutes(watch.clock.now()).len(), 1);
}

#[test]
fn a_start_finds_a_clock_that_was_turned_back() {
    let mut watch = Watch::new(10 * HOUR);
    let it = watch.begin();
    watch.clock.turn(-HOUR);
    watch.time = Time::new(&watch.clock);
    watch.go(|_, _| ());
    watch.clock.advance(Duration::from_secs(100));
    assert_eq!(watch.end(&it), usd(100));
}

#[test]
fn days_of_23_and_25_hours_have_as_much() {
    let Some(berlin) = Zone::named("Europe/Berlin") else { return };
    // 2026-03-29 and 2026-10-25, with the hours they have.
    for (noon, hours) in [(1_774_778_400_000, 23), (1_792_926_000_000, 25)] {
        let mut world = paid();
        world.budget.zone = berlin.clone();
        let noon = Timestamp(noon);
        let (from, to) = (berlin.start(berlin.day(noon)), berlin.tomorrow(noon));
        let it = task(0, 1);
        run(&mut world, &it, from.0 - 1000);
        for now in (from.0..to.0 + HOUR).step_by(600_000) {
            round(&mut world, now, |_| ());
        }
        end(&mut world, &it, to.0 + HOUR);
        assert_eq!(world.budget.accounts.day(noon, &berlin), usd(hours * 3600));
    }
}
