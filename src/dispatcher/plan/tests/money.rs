//! Ceilings: what may begin, and what happens to what runs.

use crate::{
    domain::{
        budget::{Cap, Ceiling, Change, Configured, OnExceeded},
        evidence::{Registry, RegistryStatus},
        ledger::{CostKind, Price},
    },
    stdx::day::Zone,
};

use super::*;

pub const HOUR: i64 = 3_600_000;
pub const DAY: i64 = 24 * HOUR;

pub fn usd(cents: i64) -> Usd {
    Usd(cents * 10_000)
}

/// A world with one provider of so many slots, whose workers cost so much per hour.
pub fn world(slots: u32, per_hour: Usd, configured: Configured) -> World {
    let capabilities = Capabilities { gpus: Vec::new(), memory_gb: None, cpu: None, slots };
    let price = Price { kind: CostKind::Cpu, per_hour, milli_units: 1000 };
    let local = ProviderFacts {
        name: "local".into(),
        capabilities,
        prices: Arc::new(move |_| vec![price]),
    };
    let budget = Budget { configured, zone: Zone::default(), ..Budget::default() };
    World::new(Vec::new(), 0, slots, vec![local], budget)
}

fn ceiling(cents: i64) -> Configured {
    Configured { all: Some(usd(cents)), reserve: usd(100), ..Configured::default() }
}

/// What Claude says of the newest conversation of `task`.
pub fn cost(task: &Task, total: Usd) -> EventBody {
    let (attempt, conversation) = (task.attempts, task.conversation.clone());
    let conversation = conversation.unwrap_or_default();
    let (gauges, model, began) = (None, None, false);
    EventBody::CostReported { attempt, conversation, total, gauges, model, began }
}

pub fn spend(world: &mut World, task: &Task, now: i64, total: Usd) {
    let body = cost(world.task(&task.id).unwrap(), total);
    round(world, now, |draft| learn(draft, &task.id, body, Timestamp(now)));
}

pub fn end(world: &mut World, task: &Task, now: i64) {
    let over = EventBody::SessionEnded { code: Some(0), detail: String::new(), ended_at: None };
    round(world, now, |draft| learn(draft, &task.id, over, Timestamp(now)));
}

fn work(world: &mut World, task: &Task, now: i64) {
    see(world, task, now, &turn()[..1]);
}

fn rest(world: &mut World, task: &Task, now: i64) {
    see(world, task, now, &turn()[1..]);
}

fn stopping(world: &World, task: &Task) -> Option<StopCause> {
    world.task(&task.id).unwrap().state.session().and_then(|it| it.stopping)
}

fn parked(scope: Scope, spent: Usd, ceiling: Usd) -> Option<StopCause> {
    Some(StopCause::Parked { why: ParkCause::OverCeiling { scope, spent, ceiling } })
}

fn set(world: &mut World, now: i64, ceiling: Ceiling, cap: Option<Cap>) {
    let command = Command::SetCeiling { ceiling, cap };
    round(world, now, |draft| decide(draft, &command, Timestamp(now)).unwrap());
}

/// What the budget's history gained in a round.
fn said(world: &mut World, now: i64, act: impl FnOnce(&mut Draft)) -> Vec<Change> {
    let mut draft = Draft::new(world);
    act(&mut draft);
    plan(&mut draft, Timestamp(now), &mut Counted(0));
    let changes = draft.finish();
    let said = changes.budget_changes.iter().map(|it| it.what.clone()).collect();
    world.merge(changes);
    said
}

#[test]
fn what_does_not_fit_waits_for_reservations_and_says_what_stays() {
    let mut world = world(9, Usd::ZERO, ceiling(250));
    let tasks: Vec<Task> = (0..3).map(|it| task(0, it)).collect();
    tasks.iter().for_each(|it| submit(&mut world, it, 3));
    let names: Vec<&str> = tasks.iter().map(|it| name(&world, it)).collect();
    assert_eq!(names, ["DISPATCHED", "DISPATCHED", "PENDING"]);
    assert_eq!(
        reason(&world, &tasks[2]),
        "waiting for budget: it needs $1.00, and running tasks have reserved what is left of the \
         ceiling ($2.50); park one (parhelia task park ID) or raise it (parhelia budget set 5)"
    );
    let seq = world.seq;
    round(&mut world, 4, |draft| learn(draft, &tasks[0].id, EventBody::Launched, Timestamp(4)));
    spend(&mut world, &tasks[0], 5, usd(30));
    // The launch and the cost, and not once more why another waits.
    assert_eq!(world.seq, seq + 2);
    end(&mut world, &tasks[0], 6);
    assert_eq!(name(&world, &tasks[2]), "DISPATCHED");
}

#[test]
fn what_can_never_fit_is_refused_with_the_ways_out() {
    let mut world = world(9, Usd::ZERO, ceiling(1000));
    let first = task(0, 1);
    run(&mut world, &first, 1);
    spend(&mut world, &first, 2, usd(950));
    let second = task(0, 3);
    submit(&mut world, &second, 3);
    assert_eq!(name(&world, &second), "DISPATCH_FAILED");
    assert_eq!(
        reason(&world, &second),
        "Task would exceed budget ceiling ($10.00): $9.50 spent, $1.00 needed. Ways out: raise it \
         (parhelia budget set 20); let it need less (--max-cost 0.50, cheaper resources or another \
         model); begin a new period (parhelia budget reset)"
    );
    let mut small = task(0, 4);
    small.spec.max_cost = Some(usd(50));
    submit(&mut world, &small, 4);
    assert_eq!(name(&world, &small), "DISPATCHED");
    end(&mut world, &first, 5);
    set(&mut world, 6, Ceiling::All, Some(Cap::At(usd(1100))));
    let third = task(0, 7);
    submit(&mut world, &third, 7);
    assert_eq!(name(&world, &third), "DISPATCHED");
}

#[test]
fn a_host_s_ceiling_sends_tasks_elsewhere() {
    let mut world = world(9, Usd::ZERO, Configured { reserve: usd(100), ..Configured::default() });
    let other = ProviderFacts { name: "other".into(), ..world.providers[0].clone() };
    world.providers.push(other);
    set(&mut world, 1, Ceiling::Host("local".into()), Some(Cap::At(usd(150))));
    let tasks: Vec<Task> = (0..2).map(|it| task(0, it)).collect();
    tasks.iter().for_each(|it| submit(&mut world, it, 2));
    let place = |it: &Task| world.task(&it.id).unwrap().place.clone().unwrap().provider;
    assert_eq!((place(&tasks[0]), place(&tasks[1])), ("local".into(), "other".into()));
}

#[test]
fn a_day_s_ceiling_waits_for_midnight() {
    let configured = Configured { day: Some(usd(150)), reserve: usd(100), ..Configured::default() };
    let mut world = world(9, Usd::ZERO, configured);
    let noon = 20_000 * DAY + 12 * HOUR;
    let first = task(0, 1);
    run(&mut world, &first, noon);
    spend(&mut world, &first, noon, usd(100));
    end(&mut world, &first, noon);
    let second = task(0, 2);
    submit(&mut world, &second, noon);
    assert_eq!(
        reason(&world, &second),
        "waiting for midnight (2024-10-05 00:00), when it begins by itself: it needs $1.00, and the \
         ceiling ($1.50) of the day has no room for that. To go on now: raise it (parhelia budget \
         set 3 --day); set none (parhelia budget set none --day); or let it need less (parhelia \
         budget set USD --task ID)"
    );
    let wake = round(&mut world, noon, |_| ());
    assert_eq!(wake, Some(Timestamp(20_001 * DAY)));
    // The third way out: what is left is enough for it then.
    let mut less = task(0, 3);
    less.spec.max_cost = Some(usd(60));
    submit(&mut world, &less, noon);
    assert_eq!(name(&world, &less), "PENDING");
    let cap = Command::Cap { id: less.id.clone(), max_cost: Some(usd(50)) };
    round(&mut world, noon, |draft| decide(draft, &cap, Timestamp(noon)).unwrap());
    assert_eq!(name(&world, &less), "DISPATCHED");
    let cancel = Command::Stop { id: less.id.clone(), session_only: false };
    round(&mut world, noon, |draft| decide(draft, &cancel, Timestamp(noon)).unwrap());
    let failed = EventBody::DispatchFailed { reason: "r".into() };
    round(&mut world, noon, |draft| learn(draft, &less.id, failed, Timestamp(noon)));
    round(&mut world, 20_001 * DAY, |_| ());
    assert_eq!(name(&world, &second), "DISPATCHED");
    let mut huge = task(0, 3);
    huge.spec.kind = TaskKind::Build;
    set(&mut world, noon + DAY, Ceiling::Day, Some(Cap::At(usd(50))));
    submit(&mut world, &huge, noon + DAY);
    assert!(reason(&world, &huge).starts_with(
        "Task would exceed budget ceiling ($0.50) of the day: $0.00 spent, $1.00 reserved"
    ));
}

#[test]
fn history_replaces_what_is_reserved_of_the_unknown() {
    let mut world = world(9, Usd::ZERO, ceiling(10_000));
    for it in 1..=5 {
        let old = task(0, it);
        run(&mut world, &old, it);
        spend(&mut world, &old, it, usd(10 * it));
        end(&mut world, &old, it);
    }
    let new = task(0, 9);
    submit(&mut world, &new, 9);
    assert_eq!(world.task(&new.id).unwrap().hold.as_ref().unwrap().amount, usd(50));
}

#[test]
fn at_the_ceiling_what_spends_is_parked_and_what_waits_is_left_alone() {
    let mut world = world(9, Usd::ZERO, ceiling(300));
    let (busy, idle) = (task(0, 1), task(0, 2));
    let mut interactive = task(0, 3);
    interactive.spec.interactive = true;
    for it in [&busy, &idle, &interactive] {
        run(&mut world, it, 1);
        work(&mut world, it, 2);
    }
    // Somebody looking on changes nothing.
    let view = Command::View { id: interactive.id.clone(), by: 1 };
    round(&mut world, 2, |draft| decide(draft, &view, Timestamp(2)).unwrap());
    rest(&mut world, &idle, 3);
    spend(&mut world, &busy, 4, usd(301));
    let cause = parked(Scope::All, usd(301), usd(300));
    assert_eq!(stopping(&world, &busy), cause);
    assert_eq!(stopping(&world, &interactive), cause);
    assert_eq!(stopping(&world, &idle), None);
    round(&mut world, 10_000, |_| ());
    assert_eq!(name(&world, &idle), "COMPLETED");
    work(&mut world, &idle, 20_000);
    assert_eq!((name(&world, &idle), stopping(&world, &idle)), ("RUNNING", cause));
    end(&mut world, &busy, 21_000);
    assert_eq!(name(&world, &busy), "PARKED");
    let unpark = Command::Unpark { id: busy.id.clone(), prompt: None, kept: false };
    let mut refused = None;
    round(&mut world, 22_000, |draft| refused = decide(draft, &unpark, Timestamp(22_000)).err());
    assert!(refused.unwrap().message.starts_with("Task would exceed budget ceiling ($3.00)"));
    assert_eq!(name(&world, &busy), "PARKED");
    set(&mut world, 23_000, Ceiling::All, Some(Cap::None));
    round(&mut world, 24_000, |draft| decide(draft, &unpark, Timestamp(24_000)).unwrap());
    assert_eq!(name(&world, &busy), "DISPATCHED");
}

#[test]
fn policies_block_and_kill() {
    for (policy, other, own) in [
        (OnExceeded::Block, "RUNNING", "PARKED"),
        (OnExceeded::Kill, "FAILED", "FAILED"),
        (OnExceeded::Park, "PARKED", "PARKED"),
    ] {
        let mut world = world(9, Usd::ZERO, Configured { on_exceeded: policy, ..ceiling(100) });
        let mut capped = task(0, 1);
        capped.spec.max_cost = Some(usd(20));
        let it = task(0, 2);
        set(&mut world, 1, Ceiling::All, Some(Cap::At(usd(1000))));
        for task in [&it, &capped] {
            run(&mut world, task, 1);
            work(&mut world, task, 2);
        }
        spend(&mut world, &capped, 3, usd(21));
        if stopping(&world, &capped).is_some() {
            end(&mut world, &capped, 4);
        }
        assert_eq!(name(&world, &capped), own, "{policy}");
        assert_eq!(stopping(&world, &it), None, "{policy}");
        set(&mut world, 5, Ceiling::All, Some(Cap::At(usd(10))));
        if stopping(&world, &it).is_some() {
            end(&mut world, &it, 6);
        }
        assert_eq!(name(&world, &it), other, "{policy}");
    }
}

#[test]
fn a_finished_task_on_a_paid_worker_lets_it_go() {
    let mut world = world(9, usd(100), ceiling(100));
    let it = task(0, 1);
    run(&mut world, &it, 0);
    see(&mut world, &it, 1000, &turn());
    round(&mut world, 10_000, |_| ());
    assert_eq!((name(&world, &it), stopping(&world, &it)), ("COMPLETED", None));
    let wake = round(&mut world, 3_599_000, |_| ());
    assert_eq!(wake, Some(Timestamp(HOUR)));
    round(&mut world, HOUR, |_| ());
    assert_eq!(stopping(&world, &it), parked(Scope::All, usd(100), usd(100)));
    end(&mut world, &it, HOUR + 1000);
    let task = world.task(&it.id).unwrap();
    assert_eq!((task.state.name(), task.state.session().is_some()), ("COMPLETED", false));
    assert!(task.hourly().is_zero());
}

#[test]
fn a_ceiling_of_its_own_bites_by_time_too() {
    let mut world = world(9, usd(100), ceiling(10_000));
    let mut it = task(0, 1);
    it.spec.max_cost = Some(usd(50));
    run(&mut world, &it, 0);
    assert_eq!(stopping(&world, &it), None);
    round(&mut world, HOUR / 2, |_| ());
    assert_eq!(stopping(&world, &it), parked(Scope::Task, usd(50), usd(50)));
    end(&mut world, &it, HOUR / 2 + 1);
    let unpark = Command::Unpark { id: it.id.clone(), prompt: None, kept: false };
    let mut refused = None;
    round(&mut world, HOUR, |draft| refused = decide(draft, &unpark, Timestamp(HOUR)).err());
    let refused = refused.unwrap();
    assert!(refused.message.ends_with("has spent $0.50 of its own ceiling ($0.50)"), "{refused}");
    // A retry gets no further, and stays resumable.
    let retry = Command::Retry { id: it.id.clone(), resume: true, prompt: None };
    round(&mut world, HOUR, |draft| decide(draft, &retry, Timestamp(HOUR)).unwrap());
    assert_eq!(name(&world, &it), "PARKED");
    let cap = Command::Cap { id: it.id.clone(), max_cost: Some(usd(100)) };
    round(&mut world, HOUR, |draft| decide(draft, &cap, Timestamp(HOUR)).unwrap());
    round(&mut world, HOUR, |draft| decide(draft, &unpark, Timestamp(HOUR)).unwrap());
    let task = world.task(&it.id).unwrap();
    assert_eq!((task.state.name(), task.hold.as_ref().unwrap().amount), ("DISPATCHED", usd(50)));
}

#[test]
fn a_ceiling_speaks_once_and_again_if_it_is_another() {
    let configured = Configured { day: Some(usd(100)), ..ceiling(1000) };
    let mut world = world(9, Usd::ZERO, configured);
    let it = task(0, 1);
    run(&mut world, &it, 1);
    rest(&mut world, &it, 2);
    let spends = |world: &mut World, now: i64, cents: i64| {
        let id = it.id.clone();
        let body = cost(world.task(&id).unwrap(), usd(cents));
        said(world, now, |draft| learn(draft, &id, body, Timestamp(now)))
    };
    let day = |spent, limit| (Ceiling::Day, usd(spent), usd(limit));
    let warned = |(ceiling, spent, limit)| Change::Warned { ceiling, spent, limit };
    let exceeded = |(ceiling, spent, limit)| Change::Exceeded { ceiling, spent, limit };
    assert_eq!(spends(&mut world, 3, 79), []);
    assert_eq!(spends(&mut world, 4, 80), [warned(day(80, 100))]);
    assert_eq!(spends(&mut world, 5, 90), []);
    assert_eq!(spends(&mut world, 6, 100), [exceeded(day(100, 100))]);
    assert_eq!(spends(&mut world, 7, 120), []);
    set(&mut world, 8, Ceiling::Day, Some(Cap::At(usd(140))));
    assert_eq!(spends(&mut world, 9, 130), []);
    assert_eq!(spends(&mut world, 10, 140), [exceeded(day(140, 140))]);
    // Nothing was spent in the next day yet.
    assert_eq!(said(&mut world, DAY, |_| ()), []);
    assert_eq!(spends(&mut world, DAY + 1, 260), [warned(day(120, 140))]);
}

#[test]
fn a_question_that_waits_costs_nothing() {
    let mut world = world(9, Usd::ZERO, ceiling(100));
    let it = task(0, 1);
    run(&mut world, &it, 1);
    let registry = Registry {
        status: RegistryStatus::Waiting,
        waiting_for: Some("permission prompt".into()),
        conversation: None,
        updated_at: None,
    };
    work(&mut world, &it, 2);
    see(&mut world, &it, 3, &[Observation::Registry { registry }]);
    spend(&mut world, &it, 4, usd(100));
    assert_eq!(stopping(&world, &it), None);
}

/// Has a task that a person parks, as it was when it was parked, go on.
fn unpark(world: &mut World, it: &Task, prompt: Option<&str>, kept: bool) -> Result<(), String> {
    let prompt = prompt.map(|it| it.as_bytes().to_vec());
    let command = Command::Unpark { id: it.id.clone(), prompt, kept };
    let mut draft = Draft::new(world);
    let done = decide(&mut draft, &command, Timestamp(9)).map_err(|it| it.message);
    let changes = draft.finish();
    world.merge(changes);
    done
}

fn park(world: &mut World, it: &Task) {
    let command = Command::Park { id: it.id.clone() };
    round(world, 8, |draft| decide(draft, &command, Timestamp(8)).unwrap());
}

#[test]
fn what_goes_on_is_asked_what_was_meant_for_it() {
    let next = |world: &World, it: &Task| world.task(&it.id).unwrap().next.clone();
    let mut world = world(1, Usd::ZERO, ceiling(1000));
    let (began, never) = (task(0, 1), task(0, 2));
    run(&mut world, &began, 1);
    submit(&mut world, &never, 2);
    park(&mut world, &never);
    let refused = unpark(&mut world, &never, Some("p"), false).unwrap_err();
    assert!(refused.ends_with("never began: it has a prompt of its own"), "{refused}");
    assert_eq!(unpark(&mut world, &never, None, false), Ok(()));
    assert_eq!(next(&world, &never), Next::Fresh);
    park(&mut world, &never);
    for (prompt, with_prompt) in [(Some("go on"), true), (None, false)] {
        park(&mut world, &began);
        end(&mut world, &began, 9);
        assert_eq!(unpark(&mut world, &began, prompt, false), Ok(()));
        assert_eq!(next(&world, &began), Next::Resume { with_prompt });
        round(&mut world, 10, |_| ());
        round(&mut world, 10, |draft| learn(draft, &began.id, EventBody::Launched, Timestamp(10)));
    }
    // A retry with a prompt that was parked before it began still has it.
    park(&mut world, &began);
    end(&mut world, &began, 11);
    let again = Command::Retry { id: began.id.clone(), resume: true, prompt: Some(b"p".to_vec()) };
    let mut draft = Draft::new(&world);
    decide(&mut draft, &again, Timestamp(12)).unwrap();
    let waits = Command::Park { id: began.id.clone() };
    decide(&mut draft, &waits, Timestamp(12)).unwrap();
    let changes = draft.finish();
    world.merge(changes);
    assert_eq!(unpark(&mut world, &began, None, true), Ok(()));
    assert_eq!(next(&world, &began), Next::Resume { with_prompt: true });
}
