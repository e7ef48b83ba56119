//! Which worker a waiting task gets: the first that can, has room, and that the budget allows.

use std::collections::HashMap;

use crate::{
    dispatcher::{
        plan::{
            Names, Wake,
            admit::{Admission, Purse},
        },
        world::{Draft, ProviderFacts, World},
    },
    domain::{
        budget::Scope,
        event::EventBody,
        ids::TaskId,
        state::{ParkCause, StopCause, TaskState},
        task::{Next, Task},
    },
    stdx::time::Timestamp,
};

/// Claims workers for waiting tasks: the highest priority first, then the oldest.
pub(super) fn schedule(draft: &mut Draft, now: Timestamp, names: &mut impl Names, wake: &mut Wake) {
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
    if waiting.is_empty() {
        return;
    }
    waiting.sort();
    let mut purse = Purse::new(draft, now);
    for (_, _, id) in waiting {
        let Some(task) = draft.task(&id).cloned() else { continue };
        let body = match own_ceiling(&task, now) {
            Some(body) => Some(body),
            None => next(
                &task,
                draft.base(),
                now,
                Round { used: &mut used, purse: &mut purse, names, wake },
            ),
        };
        if let Some(body) = body {
            let _ = draft.emit(&id, body, now);
        }
    }
}

/// What a round of claiming goes on with from task to task.
struct Round<'a, N> {
    used: &'a mut HashMap<String, u32>,
    purse: &'a mut Purse,
    names: &'a mut N,
    wake: &'a mut Wake,
}

/// Returns what becomes of a waiting task, if anything.
fn next(task: &Task, world: &World, now: Timestamp, round: Round<impl Names>) -> Option<EventBody> {
    let Round { used, purse, names, wake } = round;
    let need = purse.need(world, task, now);
    let choice = match able(task, world) {
        Ok(able) => {
            let admissions: Vec<Admission> =
                able.iter().map(|it| purse.admits(&it.name, need)).collect();
            if admissions
                .iter()
                .any(|it| matches!(it, Admission::Tomorrow(_) | Admission::Later(_)))
            {
                wake.reached(world.budget.zone.tomorrow(now), now);
            }
            among(able, admissions, world, used)
        }
        Err(reason) => Choice::Never(reason),
    };
    match choice {
        Choice::Go(provider) => {
            *used.entry(provider.clone()).or_default() += 1;
            purse.reserve(&provider, need);
            let conversation = match (&task.next, &task.conversation) {
                (Next::Resume { .. }, Some(old)) => old.clone(),
                _ => names.conversation(),
            };
            let facts = world.providers.iter().find(|it| it.name == provider);
            let prices = facts.map(|it| (it.prices)(&task.spec.requirements)).unwrap_or_default();
            let (worker, attempt) = (names.worker(), task.attempts + 1);
            let reserved = need;
            Some(EventBody::Dispatched {
                worker,
                provider,
                attempt,
                conversation,
                prices,
                reserved,
            })
        }
        Choice::Wait(reason) => match &task.state {
            TaskState::Pending { reason: Some(old), .. } if *old == reason => None,
            _ => Some(EventBody::Held { reason }),
        },
        Choice::Never(reason) => Some(EventBody::DispatchFailed { reason }),
    }
}

/// A task that has spent all it may. One that ran before is parked, so that it can go on once it
/// may spend more.
fn own_ceiling(task: &Task, now: Timestamp) -> Option<EventBody> {
    let (ceiling, spent) = (task.spec.max_cost?, task.spent(now));
    if spent < ceiling {
        return None;
    }
    if task.attempts == 0 {
        let reason = format!(
            "Task would exceed budget ceiling ({ceiling}) of its own: nothing runs for that. \
             Ways out: submit it with a higher --max-cost, or without"
        );
        return Some(EventBody::DispatchFailed { reason });
    }
    let why = ParkCause::OverCeiling { scope: Scope::Task, spent, ceiling };
    Some(EventBody::StopRequested { cause: StopCause::Parked { why } })
}

/// Chooses among the providers that could give a worker, by what the budget says of each.
fn among(
    able: Vec<&ProviderFacts>,
    admissions: Vec<Admission>,
    world: &World,
    used: &HashMap<String, u32>,
) -> Choice {
    let granted: Vec<&ProviderFacts> = able
        .into_iter()
        .zip(&admissions)
        .filter_map(|(it, admission)| (*admission == Admission::Granted).then_some(it))
        .collect();
    if !granted.is_empty() {
        return slot(&granted, world, used);
    }
    match admissions.into_iter().min() {
        Some(Admission::Later(reason) | Admission::Tomorrow(reason)) => Choice::Wait(reason),
        Some(Admission::Never(reason)) => Choice::Never(reason),
        Some(Admission::Granted) | None => slot(&granted, world, used),
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

/// Chooses a provider for a task, given the workers in use by provider, whatever the budget says.
pub fn choose(task: &Task, draft: &Draft, used: &HashMap<String, u32>) -> Choice {
    match able(task, draft.base()) {
        Ok(able) => slot(&able, draft.base(), used),
        Err(reason) => Choice::Never(reason),
    }
}

/// Returns the providers that can give what a task needs, or why none ever will.
fn able<'a>(task: &Task, world: &'a World) -> Result<Vec<&'a ProviderFacts>, String> {
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
    if !able.is_empty() {
        return Ok(able);
    }
    let why = match (wanted, refusals.is_empty()) {
        (Some(name), true) => format!("there is no provider called {name}"),
        (None, true) => "no provider is configured".to_owned(),
        (_, false) => refusals.join("; "),
    };
    Err(format!("No available workers: {why}"))
}

/// Chooses the first of `able` with a free slot.
fn slot(able: &[&ProviderFacts], world: &World, used: &HashMap<String, u32>) -> Choice {
    let in_use = |name: &str| used.get(name).copied().unwrap_or(0);
    let total: u32 = used.values().sum();
    if world.max_workers <= total {
        let (names, max) = (list_names(able), world.max_workers);
        return Choice::Wait(format!("waiting for a slot on {names}: {total} of {max} in use"));
    }
    match able.iter().find(|it| in_use(&it.name) < it.capabilities.slots) {
        Some(provider) => Choice::Go(provider.name.clone()),
        None => {
            let slots: u32 = able.iter().map(|it| it.capabilities.slots).sum();
            let busy: u32 = able.iter().map(|it| in_use(&it.name)).sum();
            let names = list_names(able);
            Choice::Wait(format!("waiting for a slot on {names}: {busy} of {slots} in use"))
        }
    }
}

fn list_names(providers: &[&ProviderFacts]) -> String {
    let names: Vec<&str> = providers.iter().map(|it| it.name.as_str()).collect();
    names.join(" or ")
}
