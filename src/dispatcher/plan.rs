//! What is due: pure, run whenever something changed and at the moment it asked for. No tick.

use std::{collections::HashMap, time::Duration};

use crate::{
    dispatcher::world::{Draft, ProviderFacts},
    domain::{
        activity::{Activity, Verdict},
        budget::Scope,
        event::EventBody,
        evidence::Turn,
        ids::{TaskId, WorkerId},
        state::{Contact, FailReason, Session, StopCause, TaskState},
        task::{Next, Task},
        usd::Usd,
    },
    stdx::time::Timestamp,
};

/// How long a finished turn rests before the task counts as complete. It covers the gap between
/// a Stop hook and the registry's last word, about 0.1 s; someone who comes later reopens the task.
pub const GRACE: Duration = Duration::from_millis(400);

/// New names for a launch; random, so they are made outside.
pub trait Names {
    /// Returns a new worker id.
    fn worker(&mut self) -> WorkerId;
    /// Returns a new conversation id: a UUID, as Claude wants it.
    fn conversation(&mut self) -> String;
}

/// Adds to `draft` all that is due at `now`; returns when to look again.
pub fn plan(draft: &mut Draft, now: Timestamp, names: &mut impl Names) -> Option<Timestamp> {
    let mut wake = Wake::default();
    let sessions: Vec<Task> =
        draft.live().into_iter().filter(|it| it.state.session().is_some()).cloned().collect();
    for task in &sessions {
        for body in due(task, now, &mut wake) {
            // A refusal means that an earlier event of this round made it moot.
            let _ = draft.emit(&task.id, body, now);
        }
    }
    schedule(draft, now, names);
    wake.0
}

/// The earliest moment asked for.
#[derive(Default)]
struct Wake(Option<Timestamp>);

impl Wake {
    /// Tells whether `at` has come; asks to be woken then if not.
    fn reached(&mut self, at: Timestamp, now: Timestamp) -> bool {
        if at <= now {
            return true;
        }
        self.0 = Some(self.0.map_or(at, |it| it.min(at)));
        false
    }
}

/// What is due for a task with a session.
fn due(task: &Task, now: Timestamp, wake: &mut Wake) -> Vec<EventBody> {
    let Some(session) = task.state.session() else { return Vec::new() };
    if session.stopping.is_some() || session.contact != Contact::Reachable {
        return Vec::new();
    }
    let stop = |cause| vec![EventBody::StopRequested { cause }];
    let verdict = session.verdict();
    if let TaskState::Running { since, .. } = &task.state {
        if let Some(limit) = task.spec.timeout
            && wake.reached(since.plus(limit), now)
        {
            return stop(StopCause::TimedOut { limit });
        }
        if let Some(ceiling) = task.spec.max_cost
            && ceiling <= task.usage.model
        {
            let spent = task.usage.model;
            return stop(StopCause::OverCeiling { scope: Scope::Task, spent, ceiling });
        }
        if !task.spec.interactive
            && session.viewers == 0
            && let Some(end) = end_of(session, &verdict)
            && wake.reached(session.activity_since.plus(GRACE), now)
        {
            return vec![end];
        }
    }
    idle_too_long(task, session, &verdict, now, wake)
}

/// How the task ends if nobody takes it up: by a finished turn, or a failed one.
fn end_of(session: &Session, verdict: &Verdict) -> Option<EventBody> {
    match (verdict.activity, session.evidence.turn.as_ref().map(|it| &it.what)) {
        (Activity::Idle, _) if verdict.turn_over => Some(EventBody::Completed),
        (Activity::FailedTurn, Some(Turn::Failed { error, message })) => {
            let (error, message) = (error.clone(), message.clone());
            Some(EventBody::Failed { reason: FailReason::Turn { error, message } })
        }
        _ => None,
    }
}

fn idle_too_long(
    task: &Task,
    session: &Session,
    verdict: &Verdict,
    now: Timestamp,
    wake: &mut Wake,
) -> Vec<EventBody> {
    let Some(limit) = task.spec.idle_timeout else { return Vec::new() };
    let waits = matches!(verdict.activity, Activity::Idle | Activity::FailedTurn);
    if !waits || session.viewers != 0 {
        return Vec::new();
    }
    if !wake.reached(session.activity_since.plus(limit), now) {
        return Vec::new();
    }
    let stop = EventBody::StopRequested { cause: StopCause::IdleTimedOut { limit } };
    match (&task.state, end_of(session, verdict)) {
        // An interactive task whose last turn went well did what was asked.
        (TaskState::Running { .. }, Some(end)) => vec![end, stop],
        _ => vec![stop],
    }
}

/// Claims workers for waiting tasks: the highest priority first, then the oldest.
fn schedule(draft: &mut Draft, now: Timestamp, names: &mut impl Names) {
    let mut used: HashMap<String, u32> = HashMap::new();
    let mut waiting: Vec<(i32, Timestamp, TaskId)> = Vec::new();
    for task in draft.live() {
        if task.state.holds_slot()
            && let Some(place) = &task.place
        {
            *used.entry(place.provider.clone()).or_default() += 1;
        }
        if matches!(task.state, TaskState::Pending { .. }) {
            waiting.push((-task.spec.priority, task.created_at, task.id.clone()));
        }
    }
    waiting.sort();
    for (_, _, id) in waiting {
        let Some(task) = draft.task(&id).cloned() else { continue };
        let body = match choose(&task, draft, &used) {
            Choice::Go(provider) => {
                *used.entry(provider.clone()).or_default() += 1;
                let conversation = match (&task.next, &task.conversation) {
                    (Next::Resume { .. }, Some(old)) => old.clone(),
                    _ => names.conversation(),
                };
                let facts = draft.base().providers.iter().find(|it| it.name == provider);
                EventBody::Dispatched {
                    worker: names.worker(),
                    prices: facts
                        .map(|it| (it.prices)(&task.spec.requirements))
                        .unwrap_or_default(),
                    provider,
                    attempt: task.attempts + 1,
                    conversation,
                    reserved: Usd::ZERO,
                }
            }
            Choice::Wait(reason) => {
                let TaskState::Pending { reason: old, .. } = &task.state else { continue };
                if old.as_ref() == Some(&reason) {
                    continue;
                }
                EventBody::Held { reason }
            }
            Choice::Never(reason) => EventBody::DispatchFailed { reason },
        };
        let _ = draft.emit(&id, body, now);
    }
}

/// Where a waiting task goes.
#[derive(Debug, PartialEq, Eq)]
pub enum Choice {
    /// There.
    Go(String),
    /// Nowhere yet.
    Wait(String),
    /// Nowhere ever.
    Never(String),
}

/// Chooses a provider for a task, given the workers in use by provider.
pub fn choose(task: &Task, draft: &Draft, used: &HashMap<String, u32>) -> Choice {
    let world = draft.base();
    let wanted = match (&task.place, &task.spec.target) {
        // What earlier launches left is there and nowhere else.
        (Some(place), _) => Some(&place.provider),
        (None, target) => target.as_ref(),
    };
    let mut refusals = Vec::new();
    let mut able: Vec<&ProviderFacts> = Vec::new();
    for provider in &world.providers {
        if wanted.is_some_and(|it| *it != provider.name) {
            continue;
        }
        match provider.capabilities.refuses(&task.spec.requirements) {
            Some(why) => refusals.push(format!("{} {why}", provider.name)),
            None => able.push(provider),
        }
    }
    if able.is_empty() {
        let why = match (wanted, refusals.is_empty()) {
            (Some(name), true) => format!("there is no provider called {name}"),
            (None, true) => "no provider is configured".to_owned(),
            (_, false) => refusals.join("; "),
        };
        return Choice::Never(format!("No available workers: {why}"));
    }
    let in_use = |name: &str| used.get(name).copied().unwrap_or(0);
    let total: u32 = used.values().sum();
    if world.max_workers <= total {
        let (names, max) = (list_names(&able), world.max_workers);
        return Choice::Wait(format!("waiting for a slot on {names}: {total} of {max} in use"));
    }
    match able.iter().find(|it| in_use(&it.name) < it.capabilities.slots) {
        Some(provider) => Choice::Go(provider.name.clone()),
        None => {
            let slots: u32 = able.iter().map(|it| it.capabilities.slots).sum();
            let busy: u32 = able.iter().map(|it| in_use(&it.name)).sum();
            let names = list_names(&able);
            Choice::Wait(format!("waiting for a slot on {names}: {busy} of {slots} in use"))
        }
    }
}

fn list_names(providers: &[&ProviderFacts]) -> String {
    let names: Vec<&str> = providers.iter().map(|it| it.name.as_str()).collect();
    names.join(" or ")
}

#[cfg(test)]
mod tests;
