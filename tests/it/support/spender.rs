//! A session of the real Claude Code that spends what the test says, on a machine of its own.

use std::{cell::Cell, fs, time::Duration};

use parhelia::{
    api::{
        checkpoints::CreateCheckpoint,
        client::{CheckpointsQuery, HistoryQuery},
        types::{CreateTask, Env, Prompt, Retry, Stop},
        view::TaskView,
    },
    config::dirs::Dirs,
    domain::{
        task::{Isolation, PermissionMode},
        usd::Usd,
    },
    stdx::secret::Secret,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{
    bill,
    client::Caller,
    dispatcher,
    ground::script,
    random::Random,
    sandbox::{Sandbox, run},
    wait::{wait, wait_or_explain},
};

/// How long a step may take where others keep the machine busy.
pub const LONG: Duration = Duration::from_secs(90);

/// How long a word that may never come is waited for: the last status line of a turn.
const LAST_WORD: Duration = Duration::from_secs(5);

/// A session under way.
pub struct Spender {
    /// Its machine.
    pub sandbox: Sandbox,
    /// Speaks to its dispatcher.
    pub caller: Caller,
    /// Its task; the newest if there are several.
    pub id: String,
    /// All tasks.
    pub tasks: Vec<String>,
    random: Random,
    said: Cell<u32>,
}

impl Spender {
    /// Makes a machine with a dispatcher; its configuration is `config`.
    pub fn new(random: Random, config: &str) -> Spender {
        let sandbox = Sandbox::new();
        let at = sandbox.home().join(".config/parhelia");
        fs::create_dir_all(&at).unwrap();
        fs::write(at.join("parhelia.toml"), config).unwrap();
        let caller = Caller::new(&sandbox);
        let (id, tasks, said) = (String::new(), Vec::new(), Cell::new(0));
        Spender { sandbox, caller, id, tasks, random, said }
    }

    /// Returns `step` with figures of its own, so that every answer costs something else.
    pub fn costs(&mut self, mut step: Value) -> Value {
        let mut upto = |end| self.random.within(1..end);
        let [made, input, output, read] = [upto(9000), upto(500), upto(3000), upto(90_000)];
        step["usage"] = json!({
            "input_tokens": input, "output_tokens": output,
            "cache_creation_input_tokens": made, "cache_read_input_tokens": read,
            "cache_creation": { "ephemeral_5m_input_tokens": made, "ephemeral_1h_input_tokens": 0 },
        });
        step
    }

    /// Returns `steps`, each as [`Spender::costs`] has it, as a prompt.
    pub fn prompt(&mut self, steps: &[Value]) -> String {
        self.said.set(self.said.get() + 1);
        let steps: Vec<Value> = steps.iter().map(|it| self.costs(it.clone())).collect();
        format!("{} prompt-{}-end", script(&json!(steps)), self.said.get())
    }

    /// Returns what the newest prompt of [`Spender::prompt`] can be told by.
    pub fn mark(&self) -> String {
        format!("prompt-{}-end", self.said.get())
    }

    /// Returns a number below `end`.
    pub fn chance(&mut self, end: u64) -> u64 {
        self.random.within(0..end)
    }

    /// Submits a task that is open for more prompts.
    pub fn begin(&mut self, steps: &[Value]) {
        let prompt = self.prompt(steps);
        self.create(CreateTask { prompt, interactive: true, ..CreateTask::default() });
    }

    /// Submits a task.
    pub fn create(&mut self, task: CreateTask) {
        let request = CreateTask {
            workspace: self.sandbox.workspace().to_str().unwrap().to_owned(),
            isolation: Some(Isolation::None),
            permission_mode: Some(PermissionMode::Bypass),
            caller_env: self.env(),
            ..task
        };
        let created = self.caller.wait(self.caller.client.create_task(&request));
        self.take(created.unwrap_or_else(|it| panic!("{it}")).task.id);
    }

    /// Goes on with another task.
    pub fn take(&mut self, id: String) {
        self.tasks.push(id.clone());
        self.id = id;
    }

    /// Sends a prompt with a script.
    pub fn say(&mut self, steps: &[Value]) {
        let text = self.prompt(steps);
        self.say_plainly(&text);
    }

    /// Sends a prompt.
    pub fn say_plainly(&self, text: &str) {
        let text = text.to_owned();
        let sent = self.caller.wait(self.caller.client.prompt(&self.id, &Prompt { text }));
        sent.unwrap_or_else(|it| panic!("{it}\n{}", self.told()));
    }

    /// Waits until the API was asked for every prompt, `turns` have ended and Claude waits, and its
    /// status line had its last word.
    pub fn rests(&self, turns: u32) -> TaskView {
        let mark = self.mark();
        let asked = || self.sandbox.api.turns().iter().any(|it| it.asks(&mark)).then_some(());
        self.find("the newest prompt to be asked", asked);
        self.until(&format!("{turns} turns to end"), |it| {
            turns <= it.turns && it.activity.is_none_or(|it| it.as_str() == "idle")
        });
        self.paid();
        self.view()
    }

    /// Lets an answer through that waits at a gate, and waits until it was sent and Claude has
    /// reported it.
    pub fn let_through(&self, gate: &str) {
        let api = &self.sandbox.api;
        let before = api.used().len();
        api.open(gate);
        let sent = || (before < api.used().len()).then_some(());
        wait_or_explain("the answer to be sent", LONG, sent, || gate.to_owned());
        self.reported();
    }

    /// Waits until Claude has reported all that the API answered.
    pub fn reported(&self) {
        let told = || format!("{} of {}", self.own(), bill::of_api(&self.sandbox.api));
        wait_or_explain("Claude to report all answers", LONG, || self.is_reported(), told);
    }

    /// Waits for that, but not for long: there are answers that Claude never reports.
    pub fn paid(&self) {
        let _ = wait(LAST_WORD, || self.is_reported());
    }

    fn is_reported(&self) -> Option<()> {
        let processes: Vec<_> = self.tasks.iter().flat_map(|it| self.processes(it)).collect();
        let silent = bill::of_api(&self.sandbox.api) - bill::sum(&processes);
        // Each process of Claude's rounds its own sum.
        (silent.0.unsigned_abs() <= processes.len() as u64).then_some(())
    }

    /// Returns what Claude says it spent.
    pub fn own(&self) -> Usd {
        self.tasks.iter().map(|it| bill::sum(&self.processes(it))).sum()
    }

    /// Returns what each process of a task says.
    pub fn processes(&self, id: &str) -> Vec<(String, bill::Totals)> {
        let config = self.sandbox.home().join(".claude");
        bill::by_claude(&self.dirs().runs.join(id), &config)
    }

    /// Returns how the task stands.
    pub fn view(&self) -> TaskView {
        let view = self.caller.wait(self.caller.client.task(&self.id));
        view.unwrap_or_else(|it| panic!("{}: {it}", self.id))
    }

    /// Waits until the task is so.
    pub fn until(&self, what: &str, holds: impl Fn(&TaskView) -> bool) -> TaskView {
        let look = || Some(self.view()).filter(|it| holds(it));
        wait_or_explain(what, LONG, look, || self.told())
    }

    /// Waits until `look` finds something.
    pub fn find<T>(&self, what: &str, look: impl FnMut() -> Option<T>) -> T {
        wait_or_explain(what, LONG, look, || self.told())
    }

    /// Returns what happened, for reading.
    pub fn told(&self) -> String {
        let events = self.events();
        let screen = self.tmux(&["capture-pane", "-p", "-t", &format!("=ph-{}:", self.id)]);
        let own: Vec<_> = self.tasks.iter().map(|it| self.processes(it)).collect();
        let view = self.view();
        let dir = view.run_dir.clone().unwrap_or_default();
        let last = fs::read(format!("{dir}/a{}/screen", view.attempts)).unwrap_or_default();
        let last = String::from_utf8_lossy(&last);
        format!("{view:#?}\n{}\n{own:#?}\n{screen}\n{last}", events.join("\n"))
    }

    /// Returns the events of the task, for reading.
    pub fn events(&self) -> Vec<String> {
        let (task, after) = (Some(self.id.clone()), Some(0));
        let query = HistoryQuery { task, after, limit: Some(10_000), ..HistoryQuery::default() };
        let events = self.caller.wait(self.caller.client.history(&query)).unwrap_or_default();
        events.iter().map(|it| format!("{} {} {}", it.at.0, it.kind, it.text)).collect()
    }

    /// Waits for an event with `text`.
    pub fn hears(&self, text: &str) {
        let look = || self.events().iter().any(|it| it.contains(text)).then_some(());
        self.find(text, look);
    }

    /// Returns Claude's process.
    pub fn pid(&self) -> Pid {
        let view = self.view();
        let path = format!("{}/a{}/pid", view.run_dir.unwrap(), view.attempts);
        let pid = fs::read_to_string(path).unwrap().trim().parse().unwrap();
        Pid::from_raw(pid).unwrap()
    }

    /// Waits until every answer is in a transcript. Claude writes there when it finds the time: one
    /// that is killed before has no conversation to go on with.
    pub fn kept(&self) {
        let config = self.sandbox.home().join(".claude");
        let kept = || self.sandbox.api.used().len() <= bill::answers(&config);
        self.find("the answers in the transcript", || kept().then_some(()));
    }

    /// Kills Claude, which has reported what it was answered, as [`Spender::kill_at_work`] does.
    pub fn kill_claude(&self) {
        self.reported();
        self.kill_at_work();
    }

    /// Kills Claude, which has written down what it was answered.
    pub fn kill_at_work(&self) {
        self.kept();
        kill_process(self.pid(), Signal::KILL).unwrap();
        self.ended();
    }

    /// Waits until there is no session.
    pub fn ended(&self) {
        self.until("the session to end", |it| it.session.is_none());
    }

    /// Stops the task.
    pub fn stop(&self) {
        if self.view().session.is_some() {
            let stop = Stop { session_only: false };
            let stopped = self.caller.wait(self.caller.client.stop(&self.id, &stop));
            stopped.unwrap_or_else(|it| panic!("{it}\n{}", self.told()));
        }
        self.ended();
    }

    /// Leaves Claude as a person does who is attached.
    pub fn exit(&self) {
        let pane = format!("=ph-{}:", self.id);
        self.tmux(&["send-keys", "-t", &pane, "-l", "/exit"]);
        let shows = || self.tmux(&["capture-pane", "-p", "-t", &pane]).contains("/exit");
        self.find("the command on the screen", || shows().then_some(()));
        self.tmux(&["send-keys", "-t", &pane, "Enter"]);
        self.ended();
    }

    /// Goes on with the conversation, or begins again.
    pub fn retry(&mut self, resume: bool, steps: &[Value]) {
        let prompt = Some(self.prompt(steps));
        let retry = Retry { resume, prompt, caller_env: self.env(), ..Retry::default() };
        let retried = self.caller.wait(self.caller.client.retry(&self.id, &retry));
        retried.unwrap_or_else(|it| panic!("{it}\n{}", self.told()));
    }

    /// Makes a checkpoint, and waits until it has arrived.
    pub fn checkpoint(&self) -> String {
        let made =
            self.caller.wait(self.caller.client.checkpoint(&self.id, &CreateCheckpoint::default()));
        let id = made.unwrap_or_else(|it| panic!("{it}\n{}", self.told())).id;
        let query = CheckpointsQuery { task: Some(self.id.clone()), ..Default::default() };
        self.find("the checkpoint to arrive", || {
            let list = self.caller.wait(self.caller.client.checkpoints(&query)).unwrap();
            let found = list.checkpoints.iter().find(|it| it.id == id)?;
            found.stored_bytes.is_some().then_some(())
        });
        id
    }

    /// Kills the dispatcher.
    pub fn kill_dispatcher(&self) {
        dispatcher::kill(&self.sandbox);
    }

    /// Starts another dispatcher.
    pub fn start_dispatcher(&mut self) {
        self.caller = Caller::new(&self.sandbox);
    }

    /// Returns the environment of the one who submits.
    pub fn env(&self) -> Env {
        let each = |(name, value): (&String, &String)| (name.clone(), Secret::new(value.clone()));
        Env(self.sandbox.env().iter().map(each).collect())
    }

    /// Runs tmux on the server of the sessions.
    pub fn tmux(&self, args: &[&str]) -> String {
        let mut command = self.sandbox.command("tmux");
        command.args(["-L", &self.dirs().tmux_socket()]).args(args);
        run(command).stdout
    }

    fn dirs(&self) -> Dirs {
        let env = self.sandbox.env();
        let env = env.iter().map(|(name, value)| (name.into(), value.into())).collect();
        Dirs::from_env(&env, rustix::process::geteuid().as_raw()).unwrap()
    }
}
