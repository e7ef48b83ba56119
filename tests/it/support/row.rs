//! One row of the table: a task driven step by step, then judged by what was committed of it.
//!
//! What a session did when is not asked for while it happens, which would miss what is short, but
//! taken from the committed events: folded one by one, they give every activity with its time.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use parhelia::{
    api::{
        client::{Client, HistoryQuery},
        error::ApiError,
        types::{Answer, CreateTask, Env, EventView, Prompt, Retry, Stop},
        view::TaskView,
    },
    domain::{
        activity::Activity,
        event::{Delivery, EventBody},
        evidence::Observation,
        task::{Isolation, PermissionMode, Task},
    },
    stdx::secret::Secret,
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::runtime::Runtime;

use crate::support::{
    api::Api,
    bill, ledger,
    wait::{PATIENCE, wait, wait_or_explain},
    witness::Witness,
};

/// Where rows run: a dispatcher, and a host as the tests see it.
pub struct Ground<'a> {
    /// What Claude Code talks to.
    pub api: &'a Api,
    /// The dispatcher.
    pub client: Client,
    /// For the client.
    pub runtime: Runtime,
    /// What every task is passed, wherever it runs.
    pub env: BTreeMap<String, String>,
    /// What it is passed where it shares the caller's machine.
    pub caller_env: BTreeMap<String, String>,
    /// Where tasks work.
    pub workspace: PathBuf,
    /// The run directories.
    pub runs: PathBuf,
    /// Claude's configuration directory.
    pub claude_config: PathBuf,
    /// Runs tmux with arguments on the server of the sessions, and returns what it wrote.
    pub tmux: Tmux<'a>,
    /// Whether files there are asked after, rather than the kernel telling of changes.
    pub polled: bool,
}

/// Runs tmux with arguments, and returns what it wrote.
pub type Tmux<'a> = Box<dyn Fn(&[&str]) -> String + 'a>;

/// What the person or the API does, or what is waited for before it does more.
#[derive(Clone, Debug)]
pub enum Step {
    /// The session comes to do this.
    Is(Activity),
    /// The task comes to be this.
    Becomes(&'static str),
    /// An event with this in its text was committed.
    Told(&'static str),
    /// So many turns have ended.
    Turns(u32),
    /// An answer of the API waits at this gate.
    Held(&'static str),
    /// The API lets it through.
    Open(&'static str),
    /// The screen shows this; what comes of it is timed from here.
    Shows(&'static str),
    /// A file turns up in the workspace.
    File(&'static str),
    /// Someone makes a file in the workspace.
    Touch(&'static str),
    /// The cost of what was done has been reported, and Claude has written down what it answered,
    /// which it does when it finds the time.
    Paid,
    /// A person attached to the terminal presses keys, by tmux's names.
    Keys(&'static [&'static str]),
    /// A person presses a key until the screen no longer shows this: a dialog takes none in its
    /// first moments.
    Press(&'static str, &'static str),
    /// `session send`.
    Say(String),
    /// `session answer`.
    Answer(&'static str),
    /// `session interrupt`.
    Interrupt,
    /// Someone signals Claude.
    Signal(Signal),
    /// `session kill`.
    Kill,
    /// `task retry --resume` with another prompt.
    Resume(&'static str),
}

/// A row of the table.
#[derive(Clone, Debug)]
pub struct Row {
    /// What happens, in words.
    pub what: &'static str,
    /// The prompt; none starts an interactive session without.
    pub prompt: String,
    /// Claude's permission mode.
    pub mode: PermissionMode,
    /// Variables of this task.
    pub env: Vec<(&'static str, String)>,
    /// How the workspace is kept from changes.
    pub isolation: Isolation,
    /// What happens.
    pub steps: Vec<Step>,
    /// What the session did, in order; with ` | ` between where it may be one or the other.
    pub activities: &'static str,
    /// The state before the session is closed.
    pub state: &'static str,
    /// Part of the reason of that state.
    pub reason: &'static str,
}

impl Default for Row {
    fn default() -> Row {
        Row {
            what: "",
            prompt: String::new(),
            mode: PermissionMode::Manual,
            env: Vec::new(),
            isolation: Isolation::None,
            steps: Vec::new(),
            activities: "starting idle working idle",
            state: "COMPLETED",
            reason: "",
        }
    }
}

/// The longest that a piece of evidence may exist before what it means is committed. Alone on two
/// processors it is 6 ms nine times in ten, and 162 at most. But beside two busy loops a program
/// without optimizations took 1,136 to read megabytes of a transcript, and, with a compiler at work
/// as well, 2,529 to hear of another host.
pub const AT_ONCE: Duration = Duration::from_millis(4000);

/// How long a key may take to show.
const TAKEN: Duration = Duration::from_secs(2);

/// Runs one row from its first step to the closed session, and compares.
///
/// # Panics
///
/// If anything is not as the row says; tells all that was committed.
pub fn check(ground: &Ground<'_>, row: &Row) -> TaskView {
    let mut run = Run::start(ground, row);
    for step in &row.steps {
        run.step(step);
    }
    run.until(&format!("{} in the end", row.state), |it| it.state == row.state);
    let before = run.view();
    run.close();
    let after = run.view();
    let events = run.events();
    let told = || format!("row `{}`\n{}", row.what, tell(&events));
    let reason = before.reason.clone().unwrap_or_default();
    assert!(reason.contains(row.reason), "reason `{reason}`: {}", told());
    let wanted = if row.state == "RUNNING" { "KILLED" } else { row.state };
    assert_eq!(after.state, wanted, "{}", told());
    let replay = replay(&events);
    let words = replay.words();
    let plain = |it: &str| match ground.polled {
        true => settled(&without_first_idle(it)),
        false => without_first_idle(it),
    };
    let fits = row.activities.split(" | ").any(|it| plain(it) == plain(&words));
    assert!(fits, "{words}\ninstead of\n{}: {}", row.activities, told());
    check_ends(&events, &told);
    run.witness.check(&events, &told);
    run.check_shown(&replay, &told);
    ledger::check(&after, &ground.runs.join(&after.id), &events, &told);
    after
}

/// Leaves out the idle before the first turn of each launch: with a prompt to begin with, Claude's
/// registry says idle for so short a time that it may be busy when it is first read.
fn without_first_idle(words: &str) -> String {
    let mut begins = true;
    let kept = words.split(' ').filter(|it| {
        match *it {
            "starting" => begins = true,
            "working" => begins = false,
            _ => (),
        }
        !begins || *it != "idle"
    });
    kept.collect::<Vec<&str>>().join(" ")
}

/// Takes a turn that seems to come again for one: where files are asked after every 0.3 s, the
/// registry's "busy" may be read after the hook that ended that turn.
fn settled(words: &str) -> String {
    let (twice, once) = ("working idle working idle", "working idle");
    let mut words = words.to_owned();
    while words.contains(twice) {
        words = words.replacen(twice, once, 1);
    }
    words
}

/// A row under way.
struct Run<'a> {
    ground: &'a Ground<'a>,
    what: &'static str,
    id: String,
    witness: Witness,
    /// When the screen showed what was waited for, and what the session then came to do.
    shown: Vec<(i64, Option<Activity>)>,
}

impl<'a> Run<'a> {
    fn start(ground: &'a Ground<'a>, row: &Row) -> Run<'a> {
        let mut env = ground.env.clone();
        env.extend(row.env.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let request = CreateTask {
            prompt: row.prompt.clone(),
            name: Some(row.what.to_owned()),
            workspace: ground.workspace.to_str().unwrap().to_owned(),
            isolation: Some(row.isolation),
            interactive: row.prompt.is_empty(),
            permission_mode: Some(row.mode),
            env: secret(&env),
            caller_env: secret(&ground.caller_env),
            ..CreateTask::default()
        };
        let created = ground.runtime.block_on(ground.client.create_task(&request));
        let id = created.unwrap_or_else(|it| panic!("{}: {it}", row.what)).task.id;
        let config = env.get("CLAUDE_CONFIG_DIR").map(PathBuf::from);
        let config = config.unwrap_or_else(|| ground.claude_config.clone());
        let witness = Witness::start(&ground.runs.join(&id), &config);
        Run { ground, what: row.what, id, witness, shown: Vec::new() }
    }

    fn step(&mut self, step: &Step) {
        let name = format!("{step:?}");
        match step {
            Step::Is(activity) => {
                let wanted = Some(*activity);
                self.until(&name, |it| it.activity == wanted);
                // What the screen showed last brought it about.
                if let Some((_, then @ None)) = self.shown.last_mut() {
                    *then = wanted;
                }
            }
            Step::Becomes(state) => drop(self.until(&name, |it| it.state == *state)),
            Step::Told(text) => {
                let told = || self.events().iter().any(|it| it.text.contains(text));
                let look = || told().then_some(());
                wait_or_explain(&name, PATIENCE, look, || self.told());
            }
            Step::Turns(turns) => drop(self.until(&name, |it| *turns <= it.turns)),
            Step::Held(gate) => drop(self.ground.api.wait_held(gate, PATIENCE)),
            Step::Open(gate) => self.ground.api.open(gate),
            Step::Shows(text) => {
                let look = || self.screen().contains(text).then_some(());
                wait_or_explain(&name, PATIENCE, look, || self.told());
                self.shown.push((now(), None));
            }
            Step::File(file) => {
                let path = self.workspace().join(file);
                let look = || path.exists().then_some(());
                wait_or_explain(&name, PATIENCE, look, || self.told());
            }
            Step::Touch(file) => fs::write(self.workspace().join(file), "").unwrap(),
            Step::Paid => {
                let view = self.until(&name, |it| 0.0 < it.cost_usd);
                let (config, conversation) = (&self.ground.claude_config, view.conversation);
                let id = conversation.unwrap_or_else(|| panic!("{}", self.told()));
                let look = || bill::has_answered(config, &id).then_some(());
                wait_or_explain(&name, PATIENCE, look, || self.told());
            }
            Step::Keys(keys) => keys.iter().for_each(|it| self.press(it)),
            Step::Press(key, text) => {
                let shows = || self.screen().contains(text);
                let appears = || shows().then_some(());
                wait_or_explain(&name, PATIENCE, appears, || self.told());
                let gone = || {
                    self.press(key);
                    wait(TAKEN, || (!shows()).then_some(()))
                };
                wait_or_explain(&name, PATIENCE, gone, || self.told());
            }
            Step::Say(text) => {
                let request = Prompt { text: text.clone() };
                self.sent(&name, self.ground.client.prompt(&self.id, &request));
            }
            Step::Answer(words) => {
                let request = Answer { ask: None, words: (*words).to_owned(), message: None };
                self.sent(&name, self.ground.client.answer(&self.id, &request));
            }
            Step::Interrupt => self.sent(&name, self.ground.client.interrupt(&self.id)),
            Step::Signal(signal) => self.signal(*signal),
            Step::Kill => {
                let request = Stop { session_only: true };
                self.ok(&name, self.ground.client.stop(&self.id, &request));
            }
            Step::Resume(prompt) => self.resume(prompt),
        }
    }

    fn press(&self, key: &str) {
        (self.ground.tmux)(&["send-keys", "-t", &format!("=ph-{}:", self.id), key]);
    }

    fn resume(&mut self, prompt: &str) {
        self.close();
        let env = secret(&self.ground.env);
        let caller_env = secret(&self.ground.caller_env);
        let request = Retry { resume: true, prompt: Some(prompt.to_owned()), env, caller_env };
        self.ok("retry", self.ground.client.retry(&self.id, &request));
    }

    fn signal(&self, signal: Signal) {
        let run_dir = self.ground.runs.join(&self.id);
        let path = run_dir.join(format!("a{}/pid", self.view().attempts));
        let pid = fs::read_to_string(&path).unwrap().trim().parse().ok().and_then(Pid::from_raw);
        kill_process(pid.unwrap(), signal).unwrap();
    }

    /// Ends the session, if there is one.
    fn close(&self) {
        if self.view().session.is_some() {
            let request = Stop { session_only: false };
            self.ok("stop", self.ground.client.stop(&self.id, &request));
        }
        self.until("the session to end", |it| it.session.is_none());
    }

    fn workspace(&self) -> PathBuf {
        self.view().workspace.map_or_else(|| self.ground.workspace.clone(), PathBuf::from)
    }

    fn view(&self) -> TaskView {
        self.ok("task", self.ground.client.task(&self.id))
    }

    fn until(&self, what: &str, wanted: impl Fn(&TaskView) -> bool) -> TaskView {
        let look = || Some(self.view()).filter(|it| wanted(it));
        wait_or_explain(&format!("{what} in row `{}`", self.what), PATIENCE, look, || self.told())
    }

    fn ok<T>(&self, what: &str, call: impl Future<Output = Result<T, ApiError>>) -> T {
        let done = self.ground.runtime.block_on(call);
        done.unwrap_or_else(|it| panic!("{what} in row `{}`: {it}\n{}", self.what, self.told()))
    }

    fn sent(
        &self,
        what: &str,
        call: impl Future<Output = Result<parhelia::api::types::Sent, ApiError>>,
    ) {
        let sent = self.ok(what, call);
        let told = || format!("row `{}`: {}\n{}", self.what, sent.detail, self.told());
        assert_eq!(sent.outcome, Delivery::Submitted, "{what} in {}", told());
    }

    fn events(&self) -> Vec<EventView> {
        let (task, after) = (Some(self.id.clone()), Some(0));
        let query = HistoryQuery { task, after, limit: Some(100_000), ..HistoryQuery::default() };
        let events = self.ground.runtime.block_on(self.ground.client.history(&query));
        events.unwrap_or_else(|it| panic!("{it}"))
    }

    fn screen(&self) -> String {
        (self.ground.tmux)(&["capture-pane", "-p", "-t", &format!("=ph-{}:", self.id)])
    }

    fn told(&self) -> String {
        format!("{}\nthe screen:\n{}", tell(&self.events()), self.screen())
    }

    /// Checks that what the screen alone tells was seen in time.
    fn check_shown(&self, replay: &Replay, told: &impl Fn() -> String) {
        for (shown, then) in &self.shown {
            let Some(then) = then else { continue };
            let late = |at: i64| i64::try_from(AT_ONCE.as_millis()).unwrap() < at - shown;
            let at = replay.spans.iter().find(|(_, it)| it == then).map(|it| it.0);
            assert!(at.is_some_and(|it| !late(it)), "{then:?} at {at:?}, {shown}: {}", told());
        }
    }
}

/// Checks that a task that had ended did nothing more, unless it was taken up again.
fn check_ends(events: &[EventView], told: &impl Fn() -> String) {
    let mut ended = false;
    for event in events {
        match &event.body {
            EventBody::Completed | EventBody::Failed { .. } => ended = true,
            EventBody::Reopened | EventBody::Retried { .. } => ended = false,
            EventBody::Observed {
                observation: Observation::ToolStarted { .. } | Observation::TurnEnded { .. },
            } => assert!(!ended, "it went on after its end: {}: {}", event.text, told()),
            _ => (),
        }
    }
}

/// What the committed events come to.
struct Replay {
    spans: Vec<(i64, Activity)>,
}

impl Replay {
    fn words(&self) -> String {
        let words: Vec<&str> = self.spans.iter().map(|(_, it)| it.as_str()).collect();
        words.join(" ")
    }
}

fn replay(events: &[EventView]) -> Replay {
    let mut task: Option<Task> = None;
    let mut spans: Vec<(i64, Activity)> = Vec::new();
    for event in events {
        match (&event.body, &mut task) {
            (EventBody::Created { task: created }, _) => task = Some((**created).clone()),
            (body, Some(task)) => drop(task.fold(body, event.at).unwrap()),
            (_, None) => panic!("an event before the task was created: {}", tell(events)),
        }
        let session = task.as_ref().and_then(|it| it.state.session());
        let Some(activity) = session.map(|it| it.verdict().activity) else { continue };
        if spans.last().is_none_or(|(_, last)| *last != activity) {
            spans.push((event.at.0, activity));
        }
    }
    Replay { spans }
}

/// Returns the events for reading.
pub fn tell(events: &[EventView]) -> String {
    let first = events.first().map_or(0, |it| it.at.0);
    let line = |it: &EventView| format!("{:>6} ms {:<14} {}", it.at.0 - first, it.kind, it.text);
    events.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Returns the time as events have it.
pub fn now() -> i64 {
    millis(SystemTime::now())
}

/// Returns a time as events have it.
pub fn millis(time: SystemTime) -> i64 {
    i64::try_from(time.duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Returns when a file was written, if it is there.
pub fn written(path: &Path) -> Option<i64> {
    Some(millis(fs::metadata(path).ok()?.modified().ok()?))
}

fn secret(env: &BTreeMap<String, String>) -> Env {
    Env(env.iter().map(|(name, value)| (name.clone(), Secret::new(value.as_str()))).collect())
}
