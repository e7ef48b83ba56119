//! Leases: what keeps a session alive while there is a dispatcher, and ends it when there is none.
//!
//! One keeper writes them all. It looks when money moved or a session came or went, and when a lease
//! is a third over; what it then writes is one file per session. A write that failed is tried again
//! at the next look, [`AGAIN`] later at most.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    agent::launch::{RunDir, RunFile},
    config::settings::Settings,
    dispatcher::{core::CoreHandle, host::Hosts, session::run_dir},
    domain::ids::TaskId,
    stdx::time::Clock,
};

use rule::{Given, Grant, Lengths, due, grants};

pub mod rule;

/// Deadline of writing one lease.
const LIMIT: Duration = Duration::from_secs(10);
/// After a write that failed.
const AGAIN: Duration = Duration::from_secs(15);
/// The longest sleep: timers do not count the time that a machine is suspended, and the watchdogs
/// ask when that made them wait too long.
const NAP: Duration = Duration::from_secs(86_400);
/// Wishes that may wait; a look that finds it full is dropped, since the next one sees the same.
const WISHES_CAP: usize = 64;

/// What the keeper is asked for.
enum Wish {
    /// See what changed.
    Look,
    /// A watchdog wants a new lease.
    Renew(TaskId),
    /// A launch wrote the first lease.
    Wrote(TaskId, Given),
}

/// The way to the keeper; cheap to clone.
#[derive(Clone)]
pub struct Leases {
    wishes: mpsc::Sender<Wish>,
    judge: Arc<Judge>,
}

/// What leases are judged by.
struct Judge {
    core: CoreHandle,
    clock: Arc<dyn Clock>,
    lengths: Lengths,
}

impl Judge {
    /// Returns what every session may be given; nothing when the dispatcher ends.
    async fn grants(&self) -> Vec<Grant> {
        let (now, lengths) = (self.clock.now(), self.lengths);
        self.core.read(move |world| grants(world, lengths, now)).await.unwrap_or_default()
    }
}

/// The keeper, before it runs.
pub struct Keeper {
    wishes: mpsc::Receiver<Wish>,
    judge: Arc<Judge>,
    given: HashMap<TaskId, Given>,
    /// Writes under way.
    writes: JoinSet<(TaskId, Result<Given, String>)>,
    busy: HashSet<TaskId>,
    failed: HashMap<TaskId, Instant>,
}

/// Creates the keeper of leases and the way to it.
pub fn keeper(core: CoreHandle, settings: &Settings, clock: Arc<dyn Clock>) -> (Leases, Keeper) {
    let lengths = Lengths { paid: settings.budget.paid_lease, free: settings.budget.free_lease };
    let (sender, wishes) = mpsc::channel(WISHES_CAP);
    let judge = Arc::new(Judge { core, clock, lengths });
    let leases = Leases { wishes: sender, judge: Arc::clone(&judge) };
    let (given, failed) = (HashMap::new(), HashMap::new());
    (leases, Keeper { wishes, judge, given, writes: JoinSet::new(), busy: HashSet::new(), failed })
}

impl Leases {
    /// Has the keeper see what changed.
    pub fn look(&self) {
        let _ = self.wishes.try_send(Wish::Look);
    }

    /// Has the keeper give a session a new lease, for which its watchdog asks.
    pub async fn renew(&self, task: TaskId) {
        // Fails only when the dispatcher ends.
        let _ = self.wishes.send(Wish::Renew(task)).await;
    }

    /// Returns the first lease of a launch, for the directory `files`.
    pub async fn first(&self, task: &TaskId, files: &RunDir) -> Option<RunFile> {
        let grant = self.judge.grants().await.into_iter().find(|it| it.task == *task)?;
        let _ = self.wishes.send(Wish::Wrote(task.clone(), Given::of(&grant))).await;
        Some(RunFile { path: files.lease(), bytes: grant.lease().encode(), mode: 0o600 })
    }
}

impl Keeper {
    /// Keeps the leases of the sessions on `hosts` until nobody can ask for anything any more.
    pub async fn run(mut self, hosts: Hosts) {
        let mut next = self.look(&hosts).await;
        loop {
            tokio::select! {
                wish = self.wishes.recv() => match wish {
                    None => return,
                    Some(wish) => self.wished(wish),
                },
                Some(wrote) = self.writes.join_next() => match wrote {
                    Ok((task, result)) => self.wrote(task, result),
                    Err(error) => tracing::error!(%error, "failed to write a lease"),
                },
                () = sleep_until(next) => (),
            }
            next = self.look(&hosts).await;
        }
    }

    /// Takes in a wish, and those that came with it: one look serves all.
    fn wished(&mut self, wish: Wish) {
        let mut wish = Some(wish);
        while let Some(it) = wish {
            match it {
                Wish::Look => (),
                Wish::Renew(task) => {
                    self.given.remove(&task);
                    self.failed.remove(&task);
                }
                Wish::Wrote(task, given) => {
                    self.given.insert(task, given);
                }
            }
            wish = self.wishes.try_recv().ok();
        }
    }

    fn wrote(&mut self, task: TaskId, result: Result<Given, String>) {
        self.busy.remove(&task);
        match result {
            Ok(given) => {
                self.failed.remove(&task);
                self.given.insert(task, given);
            }
            Err(error) => {
                tracing::warn!(%task, error, "failed to renew the lease");
                self.failed.insert(task, Instant::now() + AGAIN);
            }
        }
    }

    /// Begins to write what is due and returns when to look again.
    async fn look(&mut self, hosts: &Hosts) -> Instant {
        let grants = self.judge.grants().await;
        let now = self.judge.clock.now();
        let known = |it: &TaskId| grants.iter().any(|grant| grant.task == *it);
        self.given.retain(|it, _| known(it));
        self.failed.retain(|it, _| known(it));
        let mut next = Instant::now() + NAP;
        for grant in grants {
            if self.busy.contains(&grant.task) {
                continue;
            }
            let at = Instant::now() + due(self.given.get(&grant.task), &grant).since(now);
            let at = self.failed.get(&grant.task).map_or(at, |it| at.max(*it));
            if Instant::now() < at {
                next = next.min(at);
                continue;
            }
            self.busy.insert(grant.task.clone());
            self.writes.spawn(write(hosts.clone(), grant));
        }
        next
    }
}

async fn write(hosts: Hosts, grant: Grant) -> (TaskId, Result<Given, String>) {
    let given = Given::of(&grant);
    let work = async {
        // A launch that has no directory yet writes its own.
        let Some(dir) = grant.place.run_dir.as_ref().and(run_dir(&grant.place).ok()) else {
            return Ok(());
        };
        let worker = hosts.worker(&grant.place, &grant.requirements).await;
        let worker = worker.map_err(|it| it.message)?;
        let path = RunDir::new(&dir, grant.attempt).lease();
        let bytes = grant.lease().encode();
        worker.shell.put(&path, &bytes, 0o600).await.map_err(|it| it.to_string())
    };
    let result = timeout(LIMIT, work).await.unwrap_or_else(|_| Err("it took too long".to_owned()));
    (grant.task, result.map(|()| given))
}
