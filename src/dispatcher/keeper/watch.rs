//! What makes a checkpoint, by what happens: pushed by the core's events, never polled.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::StreamExt;
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::{Instant, sleep_until},
};

use crate::{
    api::checkpoints::CreateCheckpoint,
    dispatcher::{
        core::Published,
        keeper::{Keeper, queue::Queue, risky::is_risky},
    },
    domain::{
        checkpoint::Trigger,
        event::{Connection, EventBody},
        evidence::Observation,
        ids::TaskId,
        state::{ParkCause, StopCause},
    },
};

/// How long one of these may take. Nobody waits for it.
const LIMIT: Duration = Duration::from_secs(300);
/// How long all that are made at the dispatcher's end may take: a person waits for that.
const LAST_LIMIT: Duration = Duration::from_secs(5);
/// How many of those are made at once.
const LAST_AT_ONCE: usize = 4;
/// As good as never.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// What is known of the sessions. Never larger than there are tasks.
#[derive(Default)]
pub struct Sights {
    queue: Queue,
    /// Tasks to whose sessions something happened since their newest checkpoint, with when their
    /// periodic one is due.
    changed: HashMap<TaskId, Instant>,
}

impl Sights {
    /// Something happened to a task, whose next periodic checkpoint is due then unless one was due
    /// before.
    fn note(&mut self, task: TaskId, due: Instant) {
        let at = self.changed.entry(task).or_insert(due);
        *at = due.min(*at);
    }

    /// Returns when the next one is due.
    fn next(&self) -> Option<Instant> {
        self.changed.values().min().copied()
    }

    /// Returns the tasks whose periodic checkpoint is due at `now`. Until one is made something
    /// happened to them still, and it is due again at `later`.
    fn due(&mut self, now: Instant, later: Instant) -> Vec<TaskId> {
        let due = self.changed.iter_mut().filter(|it| *it.1 <= now);
        due.map(|(task, at)| {
            *at = later;
            task.clone()
        })
        .collect()
    }
}

impl Keeper {
    /// Begins to make checkpoints by what happens from now on, and to fetch them here.
    pub fn start(&self) {
        let events = self.inner.tools.core.subscribe();
        self.begin_fetching();
        let keeper = self.clone();
        tokio::spawn(async move {
            // What happened while no dispatcher looked is not known.
            keeper.all_changed(Instant::now() + keeper.interval()).await;
            keeper.watch(events).await;
        });
    }

    async fn watch(&self, mut events: broadcast::Receiver<Arc<Published>>) {
        loop {
            let due = self.sights().next();
            let timer = sleep_until(due.unwrap_or_else(Instant::now));
            tokio::select! {
                published = events.recv() => match published {
                    Ok(published) => self.take_in(&published),
                    // A turn's end may be among what was missed: all are looked at soon.
                    Err(RecvError::Lagged(_)) => self.all_changed(Instant::now()).await,
                    Err(RecvError::Closed) => return,
                },
                () = timer, if due.is_some() => self.ask_due(),
            }
        }
    }

    fn take_in(&self, published: &Published) {
        let (task, body) = (&published.event.task, &published.event.body);
        if let EventBody::Deleted = body {
            self.sights().changed.remove(task);
            self.saw(task, None);
        }
        if let EventBody::ContactChanged { connection: Connection::Regained } = body {
            self.fetch(task);
        }
        if is_work(body) {
            self.sights().note(task.clone(), Instant::now() + self.interval());
        }
        let state = published.view.as_ref().map_or("", |it| it.state.as_str());
        if let Some(trigger) = trigger(body, state) {
            self.ask(task, trigger);
        }
    }

    /// Makes a checkpoint in the background, if the configuration wants one for this.
    pub fn ask(&self, task: &TaskId, trigger: Trigger) {
        if !self.wants(trigger) || !self.sights().queue.ask(task, trigger) {
            return;
        }
        let (keeper, task) = (self.clone(), task.clone());
        tokio::spawn(async move {
            let mut next = Some(trigger);
            while let Some(trigger) = next {
                keeper.make(&task, trigger).await;
                next = keeper.sights().queue.done(&task);
            }
        });
    }

    async fn make(&self, id: &TaskId, trigger: Trigger) {
        // Never closed.
        let _slot = self.inner.slots.acquire().await;
        // First the lock: a task that is being deleted is gone afterwards.
        let held = self.lock(id).await;
        let Ok(Some(task)) = self.task(id).await else { return };
        if task.place.as_ref().is_none_or(|it| it.workspace.is_none()) {
            return;
        }
        if trigger == Trigger::Periodic && task.state.session().is_none() {
            self.is_saved(id);
            return;
        }
        // What went wrong is an event.
        let what = CreateCheckpoint::default();
        let _ = self.save_with(&held, &task, trigger, &what, LIMIT).await;
    }

    fn ask_due(&self) {
        let now = Instant::now();
        let due = self.sights().due(now, now + self.interval());
        due.iter().for_each(|it| self.ask(it, Trigger::Periodic));
    }

    /// Takes it that something happened to every session; they are due then.
    async fn all_changed(&self, due: Instant) {
        let sessions = self.inner.tools.core.read(|world| {
            let with_session = world.live().filter(|it| it.state.session().is_some());
            with_session.map(|it| it.id.clone()).collect::<Vec<_>>()
        });
        let Ok(sessions) = sessions.await else { return };
        let mut sights = self.sights();
        sessions.into_iter().for_each(|it| sights.note(it, due));
    }

    /// Saves every session to which something happened since its newest checkpoint, as far as the
    /// time allows. To be called before the core ends.
    pub async fn last(&self) {
        if !self.wants(Trigger::Shutdown) {
            return;
        }
        let changed: Vec<TaskId> = self.sights().changed.keys().cloned().collect();
        let mut open: HashSet<TaskId> = changed.iter().cloned().collect();
        let mut done = futures_util::stream::iter(changed)
            .map(|id| async move {
                let Ok(Some(task)) = self.task(&id).await else { return id };
                if task.state.session().is_some() {
                    let what = CreateCheckpoint::default();
                    // What went wrong is an event.
                    let _ = self.save(&task, Trigger::Shutdown, &what, LAST_LIMIT).await;
                }
                id
            })
            .buffer_unordered(LAST_AT_ONCE);
        let all = async {
            while let Some(id) = done.next().await {
                open.remove(&id);
            }
        };
        if tokio::time::timeout(LAST_LIMIT, all).await.is_err() {
            let tasks: Vec<&str> = open.iter().map(TaskId::as_str).collect();
            tracing::warn!(tasks = tasks.join(" "), "no time left to save them; they keep running");
        }
    }

    /// Forgets that something happened to a task: it was saved just now.
    pub(super) fn is_saved(&self, task: &TaskId) {
        self.sights().changed.remove(task);
    }

    fn wants(&self, trigger: Trigger) -> bool {
        self.inner.tools.settings.checkpoint.triggers.contains(&trigger)
    }

    /// Between two periodic ones: without end if none are wanted.
    fn interval(&self) -> Duration {
        if !self.wants(Trigger::Periodic) {
            return NEVER;
        }
        let minutes = self.inner.tools.settings.checkpoint.auto_interval_minutes;
        Duration::from_secs(60).saturating_mul(minutes)
    }

    fn sights(&self) -> MutexGuard<'_, Sights> {
        self.inner.sights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells whether an event means that workspace or conversation may have changed.
fn is_work(body: &EventBody) -> bool {
    let EventBody::Observed { observation } = body else { return false };
    matches!(
        observation,
        Observation::PromptSubmitted { .. }
            | Observation::ToolStarted { .. }
            | Observation::ToolEnded { .. }
            | Observation::TurnEnded { .. }
            | Observation::TurnFailed { .. }
            | Observation::SubagentEnded { .. }
    )
}

/// Returns what an event gives occasion to. `state` is the task's after it.
///
/// A hook cannot wait for a checkpoint, so the one before a risky command is a race that the
/// checkpoint wins only if the command is slow or waits for permission.
fn trigger(body: &EventBody, state: &str) -> Option<Trigger> {
    match body {
        EventBody::Observed { observation: Observation::TurnEnded { background: 0, .. } } => {
            Some(Trigger::Turn)
        }
        EventBody::Observed { observation: Observation::ToolStarted { tool, summary, .. } } => {
            (tool == "Bash" && is_risky(summary)).then_some(Trigger::BeforeRisky)
        }
        EventBody::Viewing { count: 0 } => Some(Trigger::Detach),
        EventBody::Completed => Some(Trigger::Complete),
        EventBody::Failed { .. } => Some(Trigger::Error),
        // A session that its own watchdog ended was not saved before.
        EventBody::StopRequested {
            cause:
                StopCause::Parked { why: ParkCause::LeaseOver { .. } | ParkCause::LeaseSpent { .. } },
        } => Some(Trigger::BeforePark),
        EventBody::SessionEnded { .. } if state == "FAILED" => Some(Trigger::Error),
        EventBody::SessionEnded { .. } if state == "COMPLETED" => Some(Trigger::Complete),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::state::FailReason, stdx::time::Timestamp};

    #[test]
    fn a_periodic_one_is_due_once_something_happened_and_until_it_is_made() {
        let mut sights = Sights::default();
        let (a, b) = (TaskId::random(), TaskId::random());
        let at = |seconds| Instant::now() + Duration::from_secs(seconds);
        let (one, two, three) = (at(100), at(200), at(300));
        assert_eq!(sights.next(), None);
        sights.note(a.clone(), one);
        sights.note(b.clone(), two);
        // More that happens puts nothing off.
        sights.note(a.clone(), three);
        assert_eq!(sights.next(), Some(one));
        assert_eq!(sights.due(one, three), std::slice::from_ref(&a));
        assert_eq!(sights.due(one, three), []);
        assert_eq!(sights.next(), Some(two));
        sights.changed.remove(&b);
        assert_eq!(sights.next(), Some(three));
        assert_eq!(sights.due(three, three), [a]);
    }

    #[test]
    fn what_gives_occasion_to_a_checkpoint() {
        let ended = |background| EventBody::Observed {
            observation: Observation::TurnEnded { background, message: String::new(), id: None },
        };
        let tool = |tool: &str, summary: &str| EventBody::Observed {
            observation: Observation::ToolStarted {
                tool: tool.into(),
                summary: summary.into(),
                agent: None,
            },
        };
        let over =
            || EventBody::SessionEnded { code: Some(0), detail: String::new(), ended_at: None };
        let parked = |why| EventBody::StopRequested { cause: StopCause::Parked { why } };
        let failed = FailReason::Turn { error: "e".into(), message: "m".into() };
        for (body, state, expected) in [
            (ended(0), "RUNNING", Some(Trigger::Turn)),
            (ended(1), "RUNNING", None),
            (tool("Bash", "rm -rf x"), "RUNNING", Some(Trigger::BeforeRisky)),
            (tool("Bash", "ls"), "RUNNING", None),
            (tool("Read", "rm -rf x"), "RUNNING", None),
            (EventBody::Viewing { count: 0 }, "RUNNING", Some(Trigger::Detach)),
            (EventBody::Viewing { count: 1 }, "RUNNING", None),
            (EventBody::Completed, "COMPLETED", Some(Trigger::Complete)),
            (EventBody::Failed { reason: failed }, "FAILED", Some(Trigger::Error)),
            (over(), "FAILED", Some(Trigger::Error)),
            (over(), "COMPLETED", Some(Trigger::Complete)),
            (over(), "KILLED", None),
            // Saved before it was ended.
            (over(), "PARKED", None),
            (parked(ParkCause::Person), "RUNNING", None),
            (
                parked(ParkCause::LeaseOver { ended: Timestamp(0) }),
                "RUNNING",
                Some(Trigger::BeforePark),
            ),
            (EventBody::Queued, "PENDING", None),
        ] {
            assert_eq!(trigger(&body, state), expected, "{body:?} {state}");
        }
    }
}
