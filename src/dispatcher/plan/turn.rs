//! What is due for a session by what it does and how long: its end, and its limits of time.

use std::time::Duration;

use crate::{
    dispatcher::plan::Wake,
    domain::{
        activity::{Activity, Verdict},
        event::EventBody,
        evidence::Turn,
        state::{Contact, FailReason, Session, StopCause, TaskState},
        task::Task,
    },
    stdx::time::Timestamp,
};

/// How long a finished turn rests before the task counts as complete. It covers the gap between
/// a Stop hook and the registry's last word, about 0.1 s; someone who comes later reopens the task.
pub const GRACE: Duration = Duration::from_millis(400);

/// Returns what is due for a task with a session.
pub(super) fn due(task: &Task, now: Timestamp, wake: &mut Wake) -> Vec<EventBody> {
    let Some(session) = task.state.session() else { return Vec::new() };
    if session.stopping.is_some() || session.contact != Contact::Reachable {
        return Vec::new();
    }
    let verdict = session.verdict();
    if let TaskState::Running { since, .. } = &task.state {
        if let Some(limit) = task.spec.timeout
            && wake.reached(since.plus(limit), now)
        {
            return vec![EventBody::StopRequested { cause: StopCause::TimedOut { limit } }];
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
