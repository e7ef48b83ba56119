//! The one owner of the world: commands and facts in, committed events out.
//!
//! Everything waits its turn here, so there is one order of events. Inputs that arrived together
//! are decided together and committed in one transaction; only then are commands answered, events
//! published and duties handed out. If the store cannot commit (a full disk), nothing of the
//! round happened: commands are told so, and facts are kept and tried again, while the bounded
//! channel holds their sources back. Nothing is lost because the bytes stay in the files.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::{
    api::{
        error::{ApiError, ErrorKind},
        view::TaskView,
    },
    dispatcher::{
        decide::{Command, decide, learn},
        duty::Duties,
        money::{self, Pulse, Time},
        plan::{Names, plan},
        world::{Changes, Draft, World},
    },
    domain::{
        event::{Event, EventBody},
        ids::{TaskId, WorkerId},
        task::Task,
    },
    stdx::{
        backoff::Backoff,
        time::{Clock, Timestamp},
    },
    store::{Store, error::StoreError},
};

/// Commands and reads that may wait; a client that finds it full waits with them.
const REQUESTS_CAP: usize = 256;
/// Facts that may wait; when full, followers stop reading and the bytes stay in their files.
const FACTS_CAP: usize = 1024;
/// Events a slow subscriber may lag behind; past that it is sent a snapshot instead.
const EVENTS_CAP: usize = 4096;
/// Inputs decided in one round, so that a flood cannot starve the replies of the first.
const ROUND_MAX: usize = 256;
/// How long to wait before trying again to commit facts.
const RETRY: Backoff = Backoff { first: Duration::from_millis(250), most: Duration::from_secs(5) };

/// What was learnt of one session, with how far the files were read to learn it.
#[derive(Clone, Debug)]
pub struct Fact {
    /// The task.
    pub task: TaskId,
    /// The launch it was learnt of; a fact about an earlier one is dropped.
    pub attempt: u32,
    /// What happened, in order.
    pub bodies: Vec<EventBody>,
    /// Files and the offsets that are dealt with once this is committed.
    pub offsets: Vec<(String, u64)>,
    /// A final answer to keep.
    pub answer: Option<Vec<u8>>,
}

/// An event as it is published.
#[derive(Clone, Debug)]
pub struct Published {
    /// The event.
    pub event: Event,
    /// The task after the round; nothing if it was deleted.
    pub view: Option<Box<TaskView>>,
}

type Read = Box<dyn FnOnce(&World) + Send>;

enum Request {
    Read(Read),
    Command(Command, oneshot::Sender<Result<(), ApiError>>),
}

/// The way to the core; cheap to clone.
#[derive(Clone)]
pub struct CoreHandle {
    requests: mpsc::Sender<Request>,
    facts: mpsc::Sender<Fact>,
    events: broadcast::Sender<Arc<Published>>,
    budget: watch::Sender<u64>,
}

impl CoreHandle {
    /// Reads the world.
    pub async fn read<T, F>(&self, read: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce(&World) -> T + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let read = Box::new(move |world: &World| {
            let _ = reply.send(read(world));
        });
        self.requests.send(Request::Read(read)).await.map_err(|_| ending())?;
        answer.await.map_err(|_| ending())
    }

    /// Carries out a command; returns once its events are committed.
    pub async fn command(&self, command: Command) -> Result<(), ApiError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Command(command, reply)).await.map_err(|_| ending())?;
        answer.await.map_err(|_| ending())?
    }

    /// Reports what was learnt; waits while the core is behind.
    pub async fn report(&self, fact: Fact) {
        // Fails only when the dispatcher ends; the files still hold it for the next one.
        let _ = self.facts.send(fact).await;
    }

    /// Subscribes to events from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Published>> {
        self.events.subscribe()
    }

    /// Returns a number that is another one whenever the budget may look another: what is spent,
    /// reserved or set, or, while something is spent, the rate of it.
    pub fn budget_changed(&self) -> watch::Receiver<u64> {
        self.budget.subscribe()
    }
}

fn ending() -> ApiError {
    ApiError::new(ErrorKind::Dispatcher, "the dispatcher is ending")
        .hint("try again: the next command starts it")
}

/// What a core takes: the other end of a [`CoreHandle`].
pub struct Inputs {
    requests: mpsc::Receiver<Request>,
    facts: mpsc::Receiver<Fact>,
    events: broadcast::Sender<Arc<Published>>,
    budget: watch::Sender<u64>,
}

/// Returns the way to a core that is to be made, and what to make it with.
pub fn channel() -> (CoreHandle, Inputs) {
    let (requests_tx, requests) = mpsc::channel(REQUESTS_CAP);
    let (facts_tx, facts) = mpsc::channel(FACTS_CAP);
    let (events, _) = broadcast::channel(EVENTS_CAP);
    let (budget, _) = watch::channel(0);
    let handle = CoreHandle {
        requests: requests_tx,
        facts: facts_tx,
        events: events.clone(),
        budget: budget.clone(),
    };
    (handle, Inputs { requests, facts, events, budget })
}

/// The core itself.
pub struct Core {
    world: World,
    store: Store,
    clock: Arc<dyn Clock>,
    duties: Duties,
    requests: mpsc::Receiver<Request>,
    facts: mpsc::Receiver<Fact>,
    events: broadcast::Sender<Arc<Published>>,
    time: Time,
    pulse: Pulse,
    /// Facts that could not be committed, oldest first.
    stalled: VecDeque<Fact>,
    failures: u32,
}

/// Makes random names.
struct RandomNames;

impl Names for RandomNames {
    fn worker(&mut self) -> WorkerId {
        WorkerId::random()
    }

    fn conversation(&mut self) -> String {
        uuid::Uuid::new_v4().to_string()
    }
}

/// What woke the core.
enum Input {
    Request(Request),
    Fact(Fact),
    Due,
    Closed,
}

impl Core {
    /// Creates a core on `world` that takes `inputs`. `duties` are handed what to do once it runs.
    pub fn new(
        world: World,
        store: Store,
        clock: Arc<dyn Clock>,
        inputs: Inputs,
        duties: Duties,
    ) -> Core {
        let Inputs { requests, facts, events, budget } = inputs;
        let stalled = VecDeque::new();
        let (time, pulse) = (Time::new(&*clock), Pulse::new(budget));
        Core {
            world,
            store,
            clock,
            duties,
            requests,
            facts,
            events,
            time,
            pulse,
            stalled,
            failures: 0,
        }
    }

    /// Runs until `end` resolves.
    pub async fn run(mut self, end: impl Future<Output = ()>) -> Store {
        tokio::pin!(end);
        self.world.live().for_each(|it| self.duties.assign(it));
        let left = self.world.live().filter_map(nobody_looks).map(Input::Fact).collect();
        self.world.settles = money::settles(&self.world, self.clock.now());
        let mut wake = self.round(left).await;
        loop {
            let due = sleep_until(&*self.clock, wake);
            let input = tokio::select! {
                biased;
                () = &mut end => Input::Closed,
                request = self.requests.recv() => request.map_or(Input::Closed, Input::Request),
                fact = self.facts.recv(), if self.stalled.is_empty() => {
                    fact.map_or(Input::Closed, Input::Fact)
                }
                () = due, if wake.is_some() => Input::Due,
            };
            let mut inputs = vec![input];
            self.drain(&mut inputs);
            if inputs.iter().any(|it| matches!(it, Input::Closed)) {
                break;
            }
            wake = self.round(inputs).await;
        }
        self.duties.end().await;
        self.store
    }

    /// Takes what else is there already.
    fn drain(&mut self, inputs: &mut Vec<Input>) {
        while inputs.len() < ROUND_MAX {
            if let Ok(request) = self.requests.try_recv() {
                inputs.push(Input::Request(request));
            } else if self.stalled.is_empty()
                && let Ok(fact) = self.facts.try_recv()
            {
                inputs.push(Input::Fact(fact));
            } else {
                break;
            }
        }
    }

    /// Decides, commits, answers, publishes. Returns when something is due next.
    async fn round(&mut self, inputs: Vec<Input>) -> Option<Timestamp> {
        let turned = self.time.turned(&*self.clock);
        let now = self.clock.now();
        if turned != 0 {
            tracing::warn!(by_ms = turned, "the clock was turned");
            self.world.settles = money::settles(&self.world, now);
        }
        let mut replies = Vec::new();
        let mut reads = Vec::new();
        let mut facts: Vec<Fact> = self.stalled.drain(..).collect();
        let mut draft = Draft::new(&self.world);
        money::follow_clock(&mut draft, turned, now);
        for input in inputs {
            match input {
                Input::Request(Request::Read(read)) => reads.push(read),
                Input::Request(Request::Command(command, reply)) => {
                    replies.push((reply, decide(&mut draft, &command, now)));
                }
                Input::Fact(fact) => facts.push(fact),
                Input::Due | Input::Closed => (),
            }
        }
        facts.iter().for_each(|it| take_in(&mut draft, it, now));
        let mut wake = plan(&mut draft, now, &mut RandomNames);
        let changes = draft.finish();
        let looks_other = money::touches(&changes);
        if let Err(error) = self.commit(changes).await {
            tracing::error!(%error, facts = facts.len(), "failed to commit");
            self.failures += 1;
            self.stalled = facts.into();
            replies.iter_mut().for_each(|it| it.1 = Err(error.clone()));
            wake = Some(self.clock.now().plus(RETRY.after(self.failures)));
        } else {
            self.failures = 0;
            self.time.settle();
            wake = self.pulse.beat(&self.world, looks_other, now, wake);
        }
        for (reply, result) in replies {
            let _ = reply.send(result);
        }
        for read in reads {
            read(&self.world);
        }
        wake
    }

    async fn commit(&mut self, changes: Changes) -> Result<(), ApiError> {
        if changes.is_empty() {
            return Ok(());
        }
        self.store.commit(changes.batch()).await.map_err(|it| store_error(&it))?;
        let events = changes.events.clone();
        let money_moved = changes.budget.is_some();
        let touched: Vec<TaskId> =
            changes.changed.keys().chain(&changes.deleted).cloned().collect();
        self.world.merge(changes);
        for event in events {
            if money::ends_worker(&event.body)
                && let Some(task) = self.world.task(&event.task)
            {
                self.duties.release(task);
            }
            let view = self.world.task(&event.task).map(|it| Box::new(TaskView::from(it)));
            // Nobody listening is no failure.
            let _ = self.events.send(Arc::new(Published { event, view }));
        }
        for id in touched {
            match self.world.task(&id) {
                Some(task) => self.duties.assign(task),
                None => self.duties.forget(&id),
            }
        }
        if money_moved {
            self.duties.money_moved();
        }
        Ok(())
    }
}

/// People attached through an earlier dispatcher lost their connection with it. Nobody would ever
/// take them back, and a task that is looked at does not complete.
fn nobody_looks(task: &Task) -> Option<Fact> {
    let session = task.state.session().filter(|it| it.viewers != 0)?;
    Some(Fact {
        task: task.id.clone(),
        attempt: session.attempt,
        bodies: vec![EventBody::Viewing { count: 0 }],
        offsets: Vec::new(),
        answer: None,
    })
}

/// Waits until `at` by this clock.
fn sleep_until(clock: &dyn Clock, at: Option<Timestamp>) -> tokio::time::Sleep {
    tokio::time::sleep(at.map_or(Duration::ZERO, |it| it.since(clock.now())))
}

/// Takes a fact into a draft, unless it is about something that is over.
fn take_in(draft: &mut Draft, fact: &Fact, now: Timestamp) {
    let Some(task) = draft.task(&fact.task) else { return };
    if task.attempts != fact.attempt {
        return;
    }
    for body in &fact.bodies {
        learn(draft, &fact.task, body.clone(), now);
    }
    if let Some(answer) = &fact.answer {
        draft.keep_answer(&fact.task, answer.clone());
        let bytes = answer.len() as u64;
        learn(draft, &fact.task, EventBody::AnswerKept { bytes }, now);
    }
    for (file, offset) in &fact.offsets {
        draft.progress(&fact.task, file.clone(), *offset);
    }
}

/// Says what the store could not do.
pub fn store_error(error: &StoreError) -> ApiError {
    let said = ApiError::new(ErrorKind::Store, error.to_string());
    match error.hint() {
        Some(hint) => said.hint(hint),
        None => said,
    }
}
