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
        event::{Connection, Event, EventBody},
        ids::{TaskId, WorkerId},
        state::Contact,
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
const WORDS_CAP: usize = 1024;
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

/// What those who watch sessions say.
enum Word {
    /// Something was learnt of one.
    Fact(Fact),
    /// All that a launch wrote was read, and it runs.
    CaughtUp(TaskId, u32),
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
    words: mpsc::Sender<Word>,
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
        let _ = self.words.send(Word::Fact(fact)).await;
    }

    /// Reports that what a launch wrote while nobody looked is reported, and that it runs.
    pub async fn caught_up(&self, task: TaskId, attempt: u32) {
        // Fails only when the dispatcher ends.
        let _ = self.words.send(Word::CaughtUp(task, attempt)).await;
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
    words: mpsc::Receiver<Word>,
    events: broadcast::Sender<Arc<Published>>,
    budget: watch::Sender<u64>,
}

/// Returns the way to a core that is to be made, and what to make it with.
pub fn channel() -> (CoreHandle, Inputs) {
    let (requests_tx, requests) = mpsc::channel(REQUESTS_CAP);
    let (words_tx, words) = mpsc::channel(WORDS_CAP);
    let (events, _) = broadcast::channel(EVENTS_CAP);
    let (budget, _) = watch::channel(0);
    let handle = CoreHandle {
        requests: requests_tx,
        words: words_tx,
        events: events.clone(),
        budget: budget.clone(),
    };
    (handle, Inputs { requests, words, events, budget })
}

/// The core itself.
pub struct Core {
    world: World,
    store: Store,
    clock: Arc<dyn Clock>,
    duties: Duties,
    requests: mpsc::Receiver<Request>,
    words: mpsc::Receiver<Word>,
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
    Word(Word),
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
        let Inputs { requests, words, events, budget } = inputs;
        let stalled = VecDeque::new();
        let (time, pulse) = (Time::new(&*clock), Pulse::new(budget));
        Core {
            world,
            store,
            clock,
            duties,
            requests,
            words,
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
        self.world.newest_first().for_each(|it| self.duties.release(it));
        let left = self.world.live().filter_map(nobody_looks);
        let left = left.map(|it| Input::Word(Word::Fact(it))).collect();
        self.world.settles = money::settles(&self.world, self.clock.now());
        let mut wake = self.round(left).await;
        loop {
            let due = sleep_until(&*self.clock, wake);
            let input = tokio::select! {
                biased;
                () = &mut end => Input::Closed,
                request = self.requests.recv() => request.map_or(Input::Closed, Input::Request),
                word = self.words.recv(), if self.stalled.is_empty() => {
                    word.map_or(Input::Closed, Input::Word)
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
                && let Ok(word) = self.words.try_recv()
            {
                inputs.push(Input::Word(word));
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
        let mut heard: Vec<TaskId> = Vec::new();
        let mut draft = Draft::new(&self.world);
        money::follow_clock(&mut draft, turned, now);
        for input in inputs {
            match input {
                Input::Request(Request::Read(read)) => reads.push(read),
                Input::Request(Request::Command(command, reply)) => {
                    replies.push((reply, decide(&mut draft, &command, now)));
                }
                Input::Word(Word::Fact(fact)) => facts.push(fact),
                Input::Word(Word::CaughtUp(id, attempt)) => {
                    answers(&mut draft, &id, attempt, now);
                    heard.push(id);
                }
                Input::Due | Input::Closed => (),
            }
        }
        facts.iter().for_each(|it| take_in(&mut draft, it, now));
        let mut wake = plan(&mut draft, now, &mut RandomNames);
        let changes = draft.finish();
        let looks_other = money::touches(&changes);
        let lost: Vec<TaskId> = money::lost(&changes.events).collect();
        if let Err(error) = self.commit(changes).await {
            tracing::error!(%error, facts = facts.len(), "failed to commit");
            self.failures += 1;
            self.stalled = facts.into();
            replies.iter_mut().for_each(|it| it.1 = Err(error.clone()));
            wake = Some(self.clock.now().plus(RETRY.after(self.failures)));
            // Whoever was heard says so once, and what was heard is taken in first.
            money::settle(&mut self.world, &heard);
        } else {
            self.failures = 0;
            self.time.settle();
            heard.extend(lost);
            if money::settle(&mut self.world, &heard) {
                wake = Some(now);
            }
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

/// A host that did not answer an earlier dispatcher answers this one, as a session there shows.
fn answers(draft: &mut Draft, id: &TaskId, attempt: u32, now: Timestamp) {
    let session = draft.task(id).and_then(|it| it.state.session());
    if session.is_some_and(|it| it.attempt == attempt && it.contact != Contact::Reachable) {
        let body = EventBody::ContactChanged { connection: Connection::Regained };
        learn(draft, id, body, now);
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
