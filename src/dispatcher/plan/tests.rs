use std::{sync::Arc, time::Duration};

use super::*;
use crate::{
    dispatcher::{
        decide::{Command, decide, learn},
        world::{ProviderFacts, World},
    },
    domain::{
        budget::{Budget, Scope},
        event::EventBody,
        evidence::Observation,
        ids::{HostPath, TaskId},
        state::{ParkCause, StopCause, TaskState},
        task::{Gpu, Isolation, Next, PermissionMode, Requirements, TaskKind, TaskSpec, Usage},
        usd::Usd,
    },
    provider::Capabilities,
};

mod books;
mod clock;
mod moment;
mod money;
mod storm;

struct Counted(u32);

impl Names for Counted {
    fn worker(&mut self) -> WorkerId {
        WorkerId::random()
    }

    fn conversation(&mut self) -> String {
        self.0 += 1;
        format!("conversation {}", self.0)
    }
}

fn task(priority: i32, at: i64) -> Task {
    Task {
        id: TaskId::random(),
        name: "t".into(),
        created_at: Timestamp(at),
        prompt_head: "p".into(),
        prompt_bytes: 1,
        spec: TaskSpec {
            kind: TaskKind::Generic,
            requirements: Requirements::default(),
            target: None,
            workspace: HostPath::new("/w").unwrap(),
            isolation: Isolation::None,
            include_dirty: true,
            interactive: false,
            timeout: None,
            idle_timeout: None,
            permission_mode: PermissionMode::Manual,
            model: None,
            max_cost: None,
            priority,
            env_names: Vec::new(),
        },
        state: TaskState::Created,
        attempts: 0,
        place: None,
        conversation: None,
        next: Next::Fresh,
        usage: Usage::default(),
        last: String::new(),
        answer_bytes: None,
        kept: crate::domain::checkpoint::Kept::default(),
        home: None,
        origin: None,
        hold: None,
    }
}

fn world(slots: u32, max: u32) -> World {
    let capabilities = Capabilities { gpus: Vec::new(), memory_gb: None, cpu: None, slots };
    let local =
        ProviderFacts { name: "local".into(), capabilities, prices: Arc::new(|_| Vec::new()) };
    World::new(Vec::new(), 0, max, vec![local], Budget::default())
}

/// Commits a round: what `act` does, then what is due. Returns when to look again.
fn round(world: &mut World, now: i64, act: impl FnOnce(&mut Draft)) -> Option<Timestamp> {
    let mut draft = Draft::new(world);
    act(&mut draft);
    let wake = plan(&mut draft, Timestamp(now), &mut Counted(0));
    let changes = draft.finish();
    world.merge(changes);
    wake
}

fn submit(world: &mut World, task: &Task, now: i64) {
    let command = Command::Create { task: Box::new(task.clone()), prompt: b"p".to_vec() };
    round(world, now, |draft| decide(draft, &command, Timestamp(now)).unwrap());
}

fn run(world: &mut World, task: &Task, now: i64) {
    submit(world, task, now);
    round(world, now, |draft| learn(draft, &task.id, EventBody::Launched, Timestamp(now)));
}

fn see(world: &mut World, task: &Task, now: i64, seen: &[Observation]) -> Option<Timestamp> {
    round(world, now, |draft| {
        for observation in seen {
            let body = EventBody::Observed { observation: observation.clone() };
            learn(draft, &task.id, body, Timestamp(now));
        }
    })
}

fn turn() -> [Observation; 2] {
    [
        Observation::PromptSubmitted { head: "p".into(), bytes: 1, injected: false, id: None },
        Observation::TurnEnded { background: 0, message: "done".into(), id: None },
    ]
}

fn name<'a>(world: &'a World, task: &Task) -> &'a str {
    world.task(&task.id).unwrap().state.name()
}

fn reason(world: &World, task: &Task) -> String {
    match &world.task(&task.id).unwrap().state {
        TaskState::Pending { reason, .. } => reason.clone().unwrap_or_default(),
        TaskState::DispatchFailed { reason, .. } => reason.clone(),
        state => format!("{state:?}"),
    }
}

#[test]
fn a_full_provider_makes_tasks_wait_and_says_so() {
    let mut world = world(1, 4);
    let (first, second) = (task(0, 1), task(0, 2));
    submit(&mut world, &first, 1);
    submit(&mut world, &second, 2);
    assert_eq!(name(&world, &first), "DISPATCHED");
    assert_eq!(reason(&world, &second), "waiting for a slot on local: 1 of 1 in use");
    let failed = EventBody::DispatchFailed { reason: "r".into() };
    round(&mut world, 3, |draft| learn(draft, &first.id, failed, Timestamp(3)));
    assert_eq!(name(&world, &second), "DISPATCHED");
}

#[test]
fn the_highest_priority_goes_first() {
    let mut world = world(1, 4);
    let (running, low, high) = (task(0, 1), task(0, 2), task(5, 3));
    [&running, &low, &high].iter().for_each(|it| submit(&mut world, it, 3));
    let failed = EventBody::DispatchFailed { reason: "r".into() };
    round(&mut world, 4, |draft| learn(draft, &running.id, failed, Timestamp(4)));
    assert_eq!((name(&world, &high), name(&world, &low)), ("DISPATCHED", "PENDING"));
}

#[test]
fn what_no_provider_can_ever_give_is_refused() {
    let mut world = world(1, 4);
    let mut gpu = task(0, 1);
    gpu.spec.requirements.gpu = Some(Gpu::H100);
    submit(&mut world, &gpu, 1);
    assert_eq!(reason(&world, &gpu), "No available workers: local has no H100 GPU");
    let mut elsewhere = task(0, 1);
    elsewhere.spec.target = Some("moon".into());
    submit(&mut world, &elsewhere, 1);
    assert_eq!(
        reason(&world, &elsewhere),
        "No available workers: there is no provider called moon"
    );
}

#[test]
fn a_finished_turn_completes_the_task_after_the_grace() {
    let mut world = world(1, 1);
    let it = task(0, 1);
    run(&mut world, &it, 1);
    let wake = see(&mut world, &it, 100, &turn());
    assert_eq!((name(&world, &it), wake), ("RUNNING", Some(Timestamp(100).plus(GRACE))));
    round(&mut world, 100 + GRACE.as_millis() as i64, |_| ());
    assert_eq!(name(&world, &it), "COMPLETED");
    assert!(world.task(&it.id).unwrap().state.session().is_some());
}

#[test]
fn someone_attached_keeps_the_task_running() {
    let mut world = world(1, 1);
    let it = task(0, 1);
    run(&mut world, &it, 1);
    let view = Command::View { id: it.id.clone(), by: 1 };
    round(&mut world, 2, |draft| decide(draft, &view, Timestamp(2)).unwrap());
    see(&mut world, &it, 100, &turn());
    round(&mut world, 100_000, |_| ());
    assert_eq!(name(&world, &it), "RUNNING");
    let leave = Command::View { id: it.id.clone(), by: -1 };
    round(&mut world, 100_001, |draft| decide(draft, &leave, Timestamp(100_001)).unwrap());
    assert_eq!(name(&world, &it), "COMPLETED");
}

#[test]
fn a_prompt_reopens_a_completed_task() {
    let mut world = world(1, 1);
    let it = task(0, 1);
    run(&mut world, &it, 1);
    see(&mut world, &it, 100, &turn());
    round(&mut world, 10_000, |_| ());
    see(&mut world, &it, 20_000, &turn()[..1]);
    assert_eq!(name(&world, &it), "RUNNING");
}

#[test]
fn an_interrupted_turn_completes_nothing() {
    let mut world = world(1, 1);
    let it = task(0, 1);
    run(&mut world, &it, 1);
    let registry = |status| Observation::Registry {
        registry: crate::domain::evidence::Registry {
            status,
            waiting_for: None,
            conversation: None,
            updated_at: None,
        },
    };
    use crate::domain::evidence::RegistryStatus::{Busy, Idle};
    let prompt = turn()[0].clone();
    let wake = see(&mut world, &it, 100, &[prompt, registry(Busy), registry(Idle)]);
    round(&mut world, 1_000_000, |_| ());
    assert_eq!((name(&world, &it), wake), ("RUNNING", None));
}

#[test]
fn limits_end_the_session() {
    let second = Duration::from_secs(1);
    let mut timed = task(0, 1);
    timed.spec.timeout = Some(second);
    let mut idle = task(0, 1);
    idle.spec.idle_timeout = Some(second);
    let mut dear = task(0, 1);
    dear.spec.max_cost = Some(Usd(5));
    let mut world = world(3, 3);
    for it in [&timed, &idle, &dear] {
        run(&mut world, it, 1);
    }
    let started = Observation::ConversationStarted {
        source: "startup".into(),
        conversation: "c".into(),
        transcript: None,
    };
    see(&mut world, &idle, 1, &[started]);
    let cost = EventBody::CostReported {
        attempt: 1,
        conversation: world.task(&dear.id).unwrap().conversation.clone().unwrap(),
        total: Usd(7),
        gauges: None,
        began: false,
        model: None,
    };
    round(&mut world, 2, |draft| learn(draft, &dear.id, cost, Timestamp(2)));
    round(&mut world, 1001, |_| ());
    let why = |it: &Task| world.task(&it.id).unwrap().state.session().unwrap().stopping;
    assert_eq!(why(&timed), Some(StopCause::TimedOut { limit: second }));
    assert_eq!(why(&idle), Some(StopCause::IdleTimedOut { limit: second }));
    assert_eq!(
        why(&dear),
        Some(StopCause::Parked {
            why: ParkCause::OverCeiling { scope: Scope::Task, spent: Usd(7), ceiling: Usd(5) }
        })
    );
}
