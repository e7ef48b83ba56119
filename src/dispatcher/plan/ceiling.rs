//! What happens at a ceiling to what runs already.

use crate::{
    dispatcher::world::Draft,
    domain::{
        activity::Activity,
        budget::{BudgetChange, Ceiling, Change, Nearness, OnExceeded, Said, Scope, Standing},
        event::EventBody,
        ids::TaskId,
        state::{ParkCause, StopCause, TaskState},
        task::Task,
        usd::Usd,
    },
    stdx::time::Timestamp,
};

/// A ceiling that is reached.
#[derive(Clone, Copy)]
struct Over {
    scope: Scope,
    spent: Usd,
    ceiling: Usd,
}

/// Says once of each ceiling that it is near or reached, and stops what spends at a reached one.
pub(super) fn judge(draft: &mut Draft, now: Timestamp) {
    let standings = draft.standings(now);
    say(draft, &standings, now);
    let policy = draft.budget().configured.on_exceeded;
    let stops: Vec<(TaskId, StopCause)> = draft
        .live()
        .into_iter()
        .filter_map(|it| Some((it, stop(it, &standings, policy, now)?)))
        .filter(|(it, _)| spends(it))
        .map(|(it, cause)| (it.id.clone(), cause))
        .collect();
    for (id, cause) in stops {
        let _ = draft.emit(&id, EventBody::StopRequested { cause }, now);
    }
}

/// Tells whether a task costs money as it is. A session on a free worker that waits for somebody
/// does not, whatever was spent: it is left alone until a turn begins.
fn spends(task: &Task) -> bool {
    match &task.state {
        TaskState::Dispatched { stopping, .. } => stopping.is_none(),
        state => state.session().is_some_and(|it| {
            let busy = || matches!(it.verdict().activity, Activity::Starting | Activity::Working);
            it.stopping.is_none() && (!task.hourly().is_zero() || busy())
        }),
    }
}

/// Returns why a task is to be stopped, if it is. Its own ceiling always bites, since somebody set
/// it for this task alone.
fn stop(
    task: &Task,
    standings: &[Standing],
    policy: OnExceeded,
    now: Timestamp,
) -> Option<StopCause> {
    let over = match (own(task, now), policy) {
        (Some(over), _) => over,
        (None, OnExceeded::Block) => return None,
        (None, OnExceeded::Park | OnExceeded::Kill) => shared(task, standings)?,
    };
    let Over { scope, spent, ceiling } = over;
    Some(match policy {
        OnExceeded::Kill => StopCause::OverCeiling { scope, spent, ceiling },
        OnExceeded::Park | OnExceeded::Block => {
            StopCause::Parked { why: ParkCause::OverCeiling { scope, spent, ceiling } }
        }
    })
}

fn own(task: &Task, now: Timestamp) -> Option<Over> {
    let (ceiling, spent) = (task.spec.max_cost?, task.spent(now));
    (ceiling <= spent).then_some(Over { scope: Scope::Task, spent, ceiling })
}

/// The first reached ceiling that it shares with others.
fn shared(task: &Task, standings: &[Standing]) -> Option<Over> {
    let host = task.place.as_ref().map(|it| it.provider.as_str());
    let mut under = standings.iter().filter(|it| match &it.ceiling {
        Ceiling::All | Ceiling::Day => true,
        Ceiling::Host(name) => host == Some(name),
    });
    under.find_map(|it| {
        let (ceiling, spent) = (it.limit?, it.spent);
        let scope = it.ceiling.scope();
        (ceiling <= spent).then_some(Over { scope, spent, ceiling })
    })
}

/// Writes into the budget's history which ceilings are near or reached, each once: again if it is
/// another ceiling, or another day.
fn say(draft: &mut Draft, standings: &[Standing], now: Timestamp) {
    let budget = draft.budget();
    let threshold = budget.configured.warning_threshold;
    let mut said = budget.terms.said.clone();
    let mut changes = Vec::new();
    for it in standings {
        let (Some(limit), Some(nearness)) = (it.limit, it.nearness(threshold)) else { continue };
        let exceeded = match nearness {
            Nearness::Calm => continue,
            Nearness::Warning => false,
            Nearness::Exceeded => true,
        };
        let day = (it.ceiling == Ceiling::Day).then(|| budget.zone.day(now).to_string());
        let old = said.get(&it.ceiling).filter(|old| old.limit == limit && old.day == day);
        if old.is_some_and(|old| exceeded <= old.exceeded) {
            continue;
        }
        said.insert(it.ceiling.clone(), Said { limit, day, exceeded });
        let (ceiling, spent) = (it.ceiling.clone(), it.spent);
        let what = match exceeded {
            true => Change::Exceeded { ceiling, spent, limit },
            false => Change::Warned { ceiling, spent, limit },
        };
        changes.push(BudgetChange { at: now, what });
    }
    if !changes.is_empty() {
        let mut terms = draft.budget().terms.clone();
        terms.said = said;
        draft.set_terms(terms, changes);
    }
}
