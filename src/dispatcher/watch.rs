//! One watcher per host: everything that is seen of its sessions comes through here.
//!
//! One follower carries the bytes of all files, one tmux client tells when sessions come and go.
//! The watcher reads them into facts, each with the file offset that is dealt with once the fact
//! is committed, so a dispatcher that dies anywhere reads on from the last committed fact.
//!
//! The end of a session is reported last: whatever its files still hold is read first.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{broadcast, mpsc},
    time::{Instant, sleep_until},
};

use crate::{
    agent::{
        launch::RunDir,
        screen::{self, Input},
    },
    dispatcher::{
        core::{CoreHandle, Fact},
        lease::Leases,
        read::{File, Read, Reader},
        typing::Submitted,
    },
    domain::{
        event::{Connection, EventBody},
        evidence::Observation,
        ids::{HostPath, TaskId},
    },
    shell::{
        Shell,
        follow::{FollowRequest, Follower, Frame, Watch},
        run,
    },
    stdx::backoff::Backoff,
    tmux::{
        Capture, Tmux,
        watch::{TmuxEvent, Watcher as Server},
    },
};

/// How long a started Claude may say nothing before its screen is looked at: its first hook comes
/// after 0.6 s where nothing is wrong (measured), and a dialog that waits for a person never
/// sends one.
const SILENCE: Duration = Duration::from_millis(1000);
/// How often the screen of a silent session is looked at again, while it is silent.
const LOOK_AGAIN: Backoff =
    Backoff { first: Duration::from_millis(400), most: Duration::from_secs(10) };
/// How long a session that tmux no longer lists may take to write down how it ended.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// Between two looks for the last words of a session.
const LOOK_FOR_WORDS: Duration = Duration::from_millis(100);
/// How long tmux's word that sessions came or went is left lying, so that one look serves all that
/// happens at once, and none competes with a launch for the machine. An end is mostly known
/// before, by the exit status that the launcher writes.
const GATHER: Duration = Duration::from_millis(50);
/// How soon to ask tmux again after it gave no answer: soon for a person who waits for an end, and
/// few enough lines in the log.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// How soon to try again to reach a host.
const REDIAL: Backoff =
    Backoff { first: Duration::from_millis(500), most: Duration::from_secs(30) };
/// How soon to try again to watch a tmux server that refused: an old one never will agree, and is
/// looked at this often instead.
const WATCH_AGAIN: Duration = Duration::from_secs(30);
/// Deadline of one short command on a host.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);
/// Bytes read at once of a file that is read to its end.
const READ_CHUNK: usize = 1024 * 1024;
/// A hook line kept beside the log may be this long; what is longer is not read.
const BIG_MAX: usize = 16 * 1024 * 1024;

mod end;

/// A session to watch.
pub struct Watched {
    /// Its task.
    pub task: TaskId,
    /// Which launch.
    pub attempt: u32,
    /// Its files.
    pub files: RunDir,
    /// Where Claude keeps its registry on that host.
    pub claude_config: HostPath,
    /// The transcript, where a hook has named it before.
    pub transcript: Option<HostPath>,
}

/// A request to a watcher.
pub enum WatchRequest {
    /// Watch a session, and see soon whether it is there. Harmless to repeat.
    Add(Box<Watched>),
    /// See whether a session is still there: something was done to end it.
    Check(TaskId),
    /// Read a file of a task that has no session from there on when it next has one: what is
    /// before was put there, and is no news.
    ReadFrom {
        /// The task.
        task: TaskId,
        /// The file's name among the task's.
        file: String,
        /// Where its news begin.
        offset: u64,
    },
}

/// A session under watch.
struct Session {
    watched: Watched,
    reader: Reader,
    keys: Vec<u64>,
    /// Whether Claude was heard of: by a hook or by its registry.
    heard: bool,
    /// When to look at the screen next, while it was not, and how often that was done.
    look: Option<(Instant, u32)>,
    dialog: bool,
    /// Dialogs whose hooks wait.
    asks: HashSet<String>,
    /// When to give up waiting for the last words of a session that tmux no longer has.
    gone: Option<Instant>,
    /// Whether all that it wrote before its host was last reached was read.
    read: bool,
    /// Whether it was seen to run since then, so that its end is now.
    runs: bool,
}

/// Watches the sessions of one host.
pub struct Watcher {
    shell: Arc<dyn Shell>,
    tmux: Tmux,
    core: CoreHandle,
    leases: Leases,
    offsets: HashMap<(TaskId, String), u64>,
    prompts: broadcast::Sender<Submitted>,
    sessions: HashMap<TaskId, Session>,
    keys: HashMap<u64, (TaskId, File)>,
    /// Who is read up to the present when the follower says so.
    syncs: HashMap<u64, TaskId>,
    next_key: u64,
    follower: Option<Follower>,
    servers: Option<Server>,
    failures: u32,
    redial: Option<Instant>,
    /// When to ask tmux next which sessions there are.
    survey: Option<Instant>,
}

/// What woke the watcher.
enum Woke {
    Request(Option<WatchRequest>),
    Frame(Option<Frame>),
    Tmux(Option<TmuxEvent>),
    Timer,
}

impl Watcher {
    /// Creates a watcher that reports to the core and to the keeper of leases. `offsets` say how far
    /// files were read before.
    pub fn new(
        shell: Arc<dyn Shell>,
        tmux: Tmux,
        (core, leases): (CoreHandle, Leases),
        offsets: HashMap<(TaskId, String), u64>,
        prompts: broadcast::Sender<Submitted>,
    ) -> Watcher {
        Watcher {
            shell,
            tmux,
            core,
            leases,
            offsets,
            prompts,
            sessions: HashMap::new(),
            keys: HashMap::new(),
            syncs: HashMap::new(),
            next_key: 0,
            follower: None,
            servers: None,
            failures: 0,
            redial: None,
            survey: None,
        }
    }

    /// Runs until nobody can ask for anything any more.
    pub async fn run(mut self, mut requests: mpsc::Receiver<WatchRequest>) {
        loop {
            let timer = self.next_timer();
            let woke = tokio::select! {
                biased;
                request = requests.recv() => Woke::Request(request),
                frame = next_frame(&mut self.follower) => Woke::Frame(frame),
                event = next_event(&mut self.servers) => Woke::Tmux(event),
                () = at(timer), if timer.is_some() => Woke::Timer,
            };
            match woke {
                Woke::Request(None) => return,
                Woke::Request(Some(WatchRequest::Add(watched))) => self.add(*watched).await,
                Woke::Request(Some(WatchRequest::Check(_))) => self.survey().await,
                Woke::Request(Some(WatchRequest::ReadFrom { task, file, offset })) => {
                    self.offsets.insert((task, file), offset);
                }
                Woke::Frame(Some(Frame::Lost { detail })) => self.lost(&detail).await,
                Woke::Frame(None) => self.lost("the channel closed").await,
                Woke::Frame(Some(frame)) => self.frame(frame).await,
                Woke::Tmux(Some(TmuxEvent::SessionsChanged)) => self.survey_within(GATHER),
                Woke::Tmux(Some(TmuxEvent::Gone) | None) => {
                    self.servers = None;
                    self.survey().await;
                }
                Woke::Tmux(Some(TmuxEvent::Lost { detail })) => {
                    tracing::warn!(host = self.shell.host(), detail, "tmux cannot be watched");
                    self.servers = None;
                    self.survey_within(WATCH_AGAIN);
                }
                Woke::Timer => self.due().await,
            }
        }
    }

    fn next_timer(&self) -> Option<Instant> {
        let looks = self.sessions.values().filter_map(|it| it.look.map(|it| it.0));
        looks.chain(self.survey).chain(self.redial).min()
    }

    /// Has tmux asked which sessions there are, after `pause` at the latest.
    fn survey_within(&mut self, pause: Duration) {
        let at = Instant::now() + pause;
        self.survey = Some(self.survey.map_or(at, |it| it.min(at)));
    }

    async fn due(&mut self) {
        let now = Instant::now();
        if self.redial.is_some_and(|it| it <= now) {
            self.redial = None;
            self.connect().await;
        }
        let due: Vec<TaskId> = self
            .sessions
            .values()
            .filter(|it| it.look.is_some_and(|look| look.0 <= now))
            .map(|it| it.watched.task.clone())
            .collect();
        for id in due {
            self.look(&id).await;
        }
        if self.survey.is_some_and(|it| it <= now) {
            self.survey().await;
        }
    }

    async fn add(&mut self, watched: Watched) {
        let id = watched.task.clone();
        if self.sessions.get(&id).is_some_and(|it| it.watched.attempt == watched.attempt) {
            self.survey_within(GATHER);
            return;
        }
        self.remove(&id).await;
        let reader = Reader::new(&watched, &self.offsets);
        let session = Session {
            reader,
            keys: Vec::new(),
            heard: watched.transcript.is_some(),
            look: None,
            dialog: false,
            asks: HashSet::new(),
            gone: None,
            read: false,
            runs: false,
            watched,
        };
        self.sessions.insert(id.clone(), session);
        if self.follower.is_none() {
            self.connect().await;
        } else {
            self.follow_all(&id).await;
        }
        if let Some(session) = self.sessions.get_mut(&id)
            && !session.heard
        {
            session.look = Some((Instant::now() + SILENCE, 0));
        }
        self.survey_within(GATHER);
    }

    /// Opens the channels to the host and puts every session's files on them.
    async fn connect(&mut self) {
        match self.shell.follow().await {
            Ok(follower) => {
                self.follower = Some(follower);
                let ids: Vec<TaskId> = self.sessions.keys().cloned().collect();
                for id in ids {
                    self.follow_all(&id).await;
                    if self.failures != 0 {
                        let body = EventBody::ContactChanged { connection: Connection::Regained };
                        self.report(&id, Read::of(body)).await;
                    }
                }
                self.failures = 0;
            }
            Err(error) => self.lost(&error.to_string()).await,
        }
    }

    async fn lost(&mut self, detail: &str) {
        tracing::warn!(host = self.shell.host(), detail, "lost contact");
        self.follower = None;
        self.servers = None;
        self.syncs.clear();
        self.failures += 1;
        self.redial = Some(Instant::now() + REDIAL.after(self.failures));
        if self.failures == 1 {
            let ids: Vec<TaskId> = self.sessions.keys().cloned().collect();
            for id in ids {
                let body = EventBody::ContactChanged { connection: Connection::Lost };
                self.report(&id, Read::of(body)).await;
            }
        }
    }

    async fn follow_all(&mut self, id: &TaskId) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        (session.read, session.runs) = (false, false);
        session.keys.drain(..).for_each(|it| {
            self.keys.remove(&it);
        });
        for (file, watch) in session.reader.files() {
            self.follow(id, file, watch).await;
        }
        if let Some(follower) = &self.follower {
            self.next_key += 1;
            self.syncs.insert(self.next_key, id.clone());
            // A closed follower says so by its frames.
            let _ = follower.requests.send(FollowRequest::Sync(self.next_key)).await;
        }
    }

    async fn follow(&mut self, id: &TaskId, file: File, watch: Watch) {
        let (Some(follower), Some(session)) = (&self.follower, self.sessions.get_mut(id)) else {
            return;
        };
        self.next_key += 1;
        let key = self.next_key;
        self.keys.insert(key, (id.clone(), file));
        session.keys.push(key);
        // A closed follower says so by its frames.
        let _ = follower.requests.send(FollowRequest::Add(key, watch)).await;
    }

    async fn remove(&mut self, id: &TaskId) {
        let Some(session) = self.sessions.remove(id) else { return };
        for key in session.keys {
            self.keys.remove(&key);
            if let Some(follower) = &self.follower {
                let _ = follower.requests.send(FollowRequest::Remove(key)).await;
            }
        }
        self.offsets.extend(session.reader.offsets());
    }

    async fn frame(&mut self, frame: Frame) {
        if let Frame::Synced { key } = &frame {
            let session = self.syncs.remove(key).and_then(|it| self.sessions.get_mut(&it));
            session.into_iter().for_each(|it| it.read = true);
            self.survey_within(GATHER);
            return;
        }
        let (Frame::Appended { key, .. } | Frame::Truncated { key } | Frame::Whole { key, .. }) =
            &frame
        else {
            return;
        };
        let Some((id, file)) = self.keys.get(key).cloned() else { return };
        if let (File::Exit, Frame::Whole { bytes: Some(bytes), .. }) = (&file, &frame) {
            let code = bytes.clone();
            self.finish(&id, Some(&code)).await;
            return;
        }
        if let (File::LeaseAsk, Frame::Whole { bytes: Some(_), .. }) = (&file, &frame) {
            self.leases.renew(id).await;
            return;
        }
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let read = session.reader.frame(&file, frame);
        self.take(&id, read).await;
    }

    /// Takes in what was read of a session: fetches what it points to, reports it, and follows
    /// the files that it names.
    async fn take(&mut self, id: &TaskId, mut read: Read) {
        for name in std::mem::take(&mut read.big) {
            let Some(session) = self.sessions.get_mut(id) else { return };
            let Some(path) = session.watched.files.big(&name) else { continue };
            if let Ok(Some(bytes)) = self.shell.get(&path, 0, BIG_MAX).await {
                read.append(session.reader.hook_line(&bytes));
            }
        }
        let Some(session) = self.sessions.get_mut(id) else { return };
        if read.heard {
            session.heard = true;
            session.look = None;
            if std::mem::take(&mut session.dialog) {
                read.bodies.insert(0, EventBody::Observed { observation: Observation::DialogGone });
            }
        }
        session.asks.extend(std::mem::take(&mut read.asked));
        let answered =
            if read.asks_closed { std::mem::take(&mut session.asks) } else { HashSet::new() };
        let files = session.watched.files.clone();
        let follow = std::mem::take(&mut read.follow);
        for prompt in std::mem::take(&mut read.prompts) {
            // Nobody waiting is no failure.
            let _ = self.prompts.send(Arc::new((id.clone(), prompt)));
        }
        self.report(id, read).await;
        for (file, watch) in follow {
            self.follow(id, file, watch).await;
        }
        for ask in answered {
            // Claude leaves the hook waiting when a key answered its dialog (measured).
            if let Some(command) = files.withdraw(&ask) {
                let shell = Arc::clone(&self.shell);
                tokio::spawn(async move {
                    let _ = run(&*shell, &command, COMMAND_LIMIT).await;
                });
            }
        }
    }

    async fn report(&self, id: &TaskId, read: Read) {
        let Some(session) = self.sessions.get(id) else { return };
        if read.bodies.is_empty() && read.offsets.is_empty() && read.answer.is_none() {
            return;
        }
        let fact = Fact {
            task: id.clone(),
            attempt: session.watched.attempt,
            bodies: read.bodies,
            offsets: read.offsets,
            answer: read.answer,
        };
        self.core.report(fact).await;
    }

    /// Asks tmux which sessions there are and deals with those that are missing.
    async fn survey(&mut self) {
        self.survey = None;
        if self.sessions.is_empty() {
            self.servers = None;
            return;
        }
        let rows = match self.tmux.list().await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(host = self.shell.host(), %error, "failed to list sessions");
                self.survey_within(ASK_AGAIN);
                return;
            }
        };
        if self.servers.is_none() && !rows.is_empty() {
            self.servers = self.tmux.watch().await.ok();
        }
        let missing: Vec<TaskId> = self
            .sessions
            .keys()
            .filter(|id| !rows.iter().any(|row| row.session == id.session_name()))
            .cloned()
            .collect();
        for (id, session) in self.sessions.iter_mut().filter(|it| !missing.contains(it.0)) {
            session.gone = None;
            if session.read && !session.runs {
                session.runs = true;
                self.core.caught_up(id.clone(), session.watched.attempt).await;
            }
        }
        for id in missing {
            self.missing(&id).await;
        }
        if self.sessions.values().any(|it| it.gone.is_some()) {
            self.survey_within(LOOK_FOR_WORDS);
        }
    }

    /// A session that tmux does not have: takes its last words, or waits for them a little.
    async fn missing(&mut self, id: &TaskId) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let exit = session.watched.files.exit();
        match self.shell.get(&exit, 0, 64).await {
            Ok(Some(bytes)) if !bytes.is_empty() => self.finish(id, Some(&bytes)).await,
            Ok(_) => {
                let deadline = *session.gone.get_or_insert_with(|| Instant::now() + LAST_WORDS);
                if deadline <= Instant::now() {
                    self.finish(id, None).await;
                }
            }
            Err(error) => tracing::warn!(%error, "failed to look for an exit status"),
        }
    }

    /// Looks at the screen of a session that has said nothing yet.
    async fn look(&mut self, id: &TaskId) {
        let name = id.session_name();
        let screen = self.tmux.capture(&name, Capture { history: false, escapes: false }).await;
        let Some(session) = self.sessions.get_mut(id) else { return };
        let Some((_, looks)) = session.look else { return };
        session.look = Some((Instant::now() + LOOK_AGAIN.after(looks + 1), looks + 1));
        let Ok(bytes) = screen else { return };
        let observation = match (screen::input(&String::from_utf8_lossy(&bytes)), session.dialog) {
            (Input::Dialog(dialog), false) => {
                Observation::DialogSeen { name: dialog.name.to_owned(), excerpt: dialog.excerpt }
            }
            (Input::Empty | Input::Draft(_) | Input::NotFound, true) => Observation::DialogGone,
            _ => return,
        };
        session.dialog = !session.dialog;
        self.report(id, Read::of(EventBody::Observed { observation })).await;
    }
}

async fn next_frame(follower: &mut Option<Follower>) -> Option<Frame> {
    match follower {
        Some(follower) => follower.frames.recv().await,
        None => std::future::pending().await,
    }
}

async fn next_event(servers: &mut Option<Server>) -> Option<TmuxEvent> {
    match servers {
        Some(servers) => servers.events.recv().await,
        None => std::future::pending().await,
    }
}

async fn at(timer: Option<Instant>) {
    match timer {
        Some(timer) => sleep_until(timer).await,
        None => std::future::pending().await,
    }
}
