//! Who does what for which task. Level-triggered: a duty follows from a task's state alone, so
//! after a restart everything that was under way is taken up again from the store.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::task::JoinHandle;

use crate::{
    dispatcher::{Crew, end, launch, typing, watch::WatchRequest},
    domain::{
        event::EventBody,
        ids::{TaskId, WorkerId},
        state::TaskState,
        task::{Claimed, Task},
    },
    stdx::backoff::Backoff,
};

/// How often it is tried to give a worker back: for half an hour.
const RELEASES_MAX: u32 = 40;
/// Between two of these.
const AGAIN: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(60) };

/// What a task's state asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Duty {
    /// Make the session.
    Launch { attempt: u32 },
    /// Watch it.
    Watch { attempt: u32 },
    /// End it, and watch it until it has ended.
    End { attempt: u32 },
}

/// Hands out duties.
pub struct Duties {
    crew: Arc<Crew>,
    current: HashMap<TaskId, (Duty, JoinHandle<()>)>,
    /// Workers that are being given back.
    releases: HashMap<WorkerId, JoinHandle<()>>,
}

impl Duties {
    /// Creates the duties of `crew`.
    pub fn new(crew: Arc<Crew>) -> Duties {
        Duties { crew, current: HashMap::new(), releases: HashMap::new() }
    }

    /// Sees to it that what the task's state asks for is being done.
    pub fn assign(&mut self, task: &Task) {
        let wanted = duty(task);
        match (wanted, self.current.get(&task.id)) {
            (Some(wanted), Some((current, _))) if wanted == *current => (),
            (Some(wanted), _) => {
                // One more, or one less, to share what is left.
                self.crew.leases.look();
                let job = tokio::spawn(perform(Arc::clone(&self.crew), wanted, task.clone()));
                // The job before has done its part: its outcome is what changed the state.
                self.current.insert(task.id.clone(), (wanted, job));
            }
            (None, Some(_)) => self.forget(&task.id),
            (None, None) => (),
        }
    }

    /// Ends what is done for a task that is over.
    pub fn forget(&mut self, id: &TaskId) {
        self.current.remove(id);
        self.crew.leases.look();
    }

    /// Has the leases follow what is left.
    pub fn money_moved(&self) {
        self.crew.leases.look();
    }

    /// Gives back the workers of a task that nothing works on any more, in the background, and has
    /// that written down: what a dispatcher did not come to do, the next one does. Harmless to
    /// repeat. A provider that never answers, or whose task was deleted meanwhile, knows its
    /// workers itself.
    pub fn release(&mut self, task: &Task) {
        self.releases.retain(|_, job| !job.is_finished());
        for claimed in task.unreleased() {
            if self.releases.contains_key(&claimed.worker) {
                continue;
            }
            let job = give_back(Arc::clone(&self.crew), task.id.clone(), claimed.clone());
            self.releases.insert(claimed.worker.clone(), tokio::spawn(job));
        }
    }

    /// Ends all jobs; sessions keep running, and what was half done is taken up at the next start.
    pub async fn end(&mut self) {
        for (_, (_, job)) in self.current.drain() {
            job.abort();
            // The only outcome of interest is that it no longer runs.
            let _ = job.await;
        }
    }
}

async fn give_back(crew: Arc<Crew>, task: TaskId, claimed: Claimed) {
    for failures in 1..=RELEASES_MAX {
        let Ok(provider) = crew.hosts.provider(&claimed.provider) else { return };
        match provider.release(&claimed.worker).await {
            Ok(()) => {
                let body = EventBody::Released { worker: claimed.worker };
                launch::record(&crew, &task, body).await;
                return;
            }
            Err(error) => tracing::warn!(%task, %error, "failed to give a worker back"),
        }
        tokio::time::sleep(AGAIN.after(failures)).await;
    }
}

fn duty(task: &Task) -> Option<Duty> {
    match &task.state {
        TaskState::Dispatched { attempt, .. } => Some(Duty::Launch { attempt: *attempt }),
        state => {
            let session = state.session()?;
            let attempt = session.attempt;
            Some(if session.stopping.is_some() {
                Duty::End { attempt }
            } else {
                Duty::Watch { attempt }
            })
        }
    }
}

async fn perform(crew: Arc<Crew>, duty: Duty, task: Task) {
    match duty {
        Duty::Launch { .. } => launch::launch(&crew, &task).await,
        Duty::Watch { .. } => {
            watch(&crew, &task).await;
            typing::first_prompt(&crew, &task).await;
        }
        Duty::End { .. } => {
            watch(&crew, &task).await;
            end::end(&crew, &task).await;
        }
    }
}

/// Puts the task's session under its host's watcher; harmless to repeat.
async fn watch(crew: &Crew, task: &Task) {
    let Some((worker, watched)) = launch::watched(crew, task).await else { return };
    crew.hosts.watch(&worker, WatchRequest::Add(Box::new(watched))).await;
}
