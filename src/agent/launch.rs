//! What is written into the run directory before a session starts.
//!
//! Pure: a [`Launch`] becomes files and an argument vector. The argument vector is short, since
//! tmux refuses long ones, and holds no secret, since anyone on the host can read it. Everything
//! of one launch lies in a directory of its own, so what an earlier launch left behind can never
//! be taken for news.
//!
//! ```text
//! <run_dir>/a<attempt>/
//!   run.sh hook.sh began.sh                      written here
//!   statusline.sh lease.sh                       written here
//!   settings.json                                written here
//!   prompt env                                   written here, 0600; env is gone once read
//!   lease                                        written by the dispatcher, anew again and again
//!   started                                      made by the first run, so there is no second
//!   pid                                          Claude's process id
//!   events.jsonl status.jsonl                    what hooks and status line were told
//!   ask/<id> ask/<id>.json                       a waiting dialog: FIFO for the answer, request
//!   big/<name>                                   hook lines too long for one atomic write
//!   spent/<conversation>                         what it cost, first and last, in micro-dollars
//!   lease.fifo lease.pid                         what wakes the watchdog, and its process id
//!   lease.ask lease.over                         it wants a new lease; it has ended Claude
//!   screen exit                                  the last of the terminal, then status and time
//! ```

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    agent::version::{ASYNC_HOOKS, COST_STATE, Version, knows},
    domain::{
        ids::{HostPath, TaskId},
        task::PermissionMode,
    },
    shell::{
        Command,
        quote::{join, quote},
    },
    stdx::{secret::Secret, text::one_line},
};

/// The longest prompt that is passed as an argument, in bytes. Linux takes 131,071 in one
/// argument; longer ones are pasted once the input box is there.
pub const ARGUMENT_MAX: usize = 120 * 1024;

/// The variable that carries an API key which Claude must not see in its environment, because it
/// would open a dialog about it.
const KEY_VARIABLE: &str = "PARHELIA_API_KEY";

/// What watchdog, status line and hook know of leases and sums.
const JUDGE: &str = include_str!("scripts/judge.sh");

/// One launch of Claude.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The task.
    pub task: TaskId,
    /// Which launch of it, counted from one.
    pub attempt: u32,
    /// The task's directory on its host.
    pub run_dir: HostPath,
    /// Where Claude works.
    pub workspace: HostPath,
    /// The conversation's id, a UUID.
    pub conversation: String,
    /// How it begins.
    pub begin: Begin,
    /// What Claude may do unasked.
    pub permission_mode: PermissionMode,
    /// The model, as `--model` takes it.
    pub model: Option<String>,
    /// What the session is called on Claude's own screens.
    pub name: String,
    /// The program and its first arguments.
    pub command: Vec<String>,
    /// The environment passed to it.
    pub env: BTreeMap<String, Secret>,
    /// Passes `ANTHROPIC_API_KEY` by a helper instead of by the environment: see
    /// [`crate::agent::first_run`].
    pub key_by_helper: bool,
    /// The version on the host, if it could be asked.
    pub claude_version: Option<Version>,
    /// The person's own status line command, which goes on to be shown.
    pub user_status_line: Option<String>,
    /// Whether it runs as root, which Claude refuses to let bypass permissions.
    pub root_user: bool,
}

/// How a launch begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// A new conversation.
    Fresh {
        /// Its first prompt.
        prompt: Option<Vec<u8>>,
    },
    /// The conversation of that id goes on.
    Resume {
        /// The next prompt.
        prompt: Option<Vec<u8>>,
    },
}

/// A file to be written.
#[derive(Clone, PartialEq, Eq)]
pub struct RunFile {
    /// Where.
    pub path: HostPath,
    /// What: may be a prompt or a secret.
    pub bytes: Vec<u8>,
    /// Its permission bits.
    pub mode: u32,
}

/// Leaves out the content, which may be secret.
impl std::fmt::Debug for RunFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RunFile({} {:o} {} bytes)", self.path, self.mode, self.bytes.len())
    }
}

/// Where the files of one launch are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir(HostPath);

impl RunDir {
    /// Returns the directory of launch `attempt` of the task whose directory is `run_dir`.
    pub fn new(run_dir: &HostPath, attempt: u32) -> RunDir {
        RunDir(run_dir.join(&format!("a{attempt}")))
    }

    /// Returns the directory itself.
    pub fn path(&self) -> &HostPath {
        &self.0
    }

    /// Returns the lines of the hooks; grows. Read by [`crate::agent::hooks::parse`].
    pub fn events(&self) -> HostPath {
        self.0.join("events.jsonl")
    }

    /// Returns the lines of the status line; grows. Read by [`crate::agent::status::parse`].
    pub fn status(&self) -> HostPath {
        self.0.join("status.jsonl")
    }

    /// Returns the file with Claude's process id, a decimal number and a newline.
    pub fn pid(&self) -> HostPath {
        self.0.join("pid")
    }

    /// Returns the file with the exit status and when that was, in seconds since the epoch; written
    /// last. Earlier versions wrote the status only. Read by [`crate::agent::lease::exit`].
    pub fn exit(&self) -> HostPath {
        self.0.join("exit")
    }

    /// Returns the lease. Written by [`crate::agent::lease::Lease::encode`].
    pub fn lease(&self) -> HostPath {
        self.0.join("lease")
    }

    /// Returns the file whose being there tells that the watchdog wants a new lease.
    pub fn lease_ask(&self) -> HostPath {
        self.0.join("lease.ask")
    }

    /// Returns the watchdog's note that it has ended Claude. Read by [`crate::agent::lease::over`].
    pub fn lease_over(&self) -> HostPath {
        self.0.join("lease.over")
    }

    /// Returns the file with what the terminal showed at the end, with escape sequences.
    pub fn screen(&self) -> HostPath {
        self.0.join("screen")
    }

    /// Returns the file whose being there tells that the launch was started.
    pub fn started(&self) -> HostPath {
        self.0.join("started")
    }

    /// Returns the request behind the dialog `ask`, one hook line; there while its hook waits.
    pub fn request(&self, ask: &str) -> Option<HostPath> {
        is_name(ask).then(|| self.0.join("ask").join(&format!("{ask}.json")))
    }

    /// Returns the long hook line that a short one pointed to as `big`.
    pub fn big(&self, name: &str) -> Option<HostPath> {
        is_name(name).then(|| self.0.join("big").join(name))
    }

    /// Returns the command that hands `decision` to the hook that waits for dialog `ask`.
    ///
    /// Status 0 means the hook had it in its hands; 3 that no hook waits any more, because the
    /// dialog was answered on the screen or Claude is gone.
    pub fn answer(&self, ask: &str, decision: &str) -> Option<Command> {
        // Opening for reading and writing cannot hang on a hook that dies meanwhile.
        const SCRIPT: &str = "kill -0 \"$2\" 2>/dev/null && [ -p \"$1\" ] || exit 3\n\
            exec 3<>\"$1\" && cat >&3 || exit 3\n\
            n=0\n\
            while [ -p \"$1\" ] && [ $n -lt 40 ]; do n=$((n + 1)); sleep 0.05 || sleep 1; done\n\
            [ -p \"$1\" ] && exit 3\n\
            exit 0";
        self.fifo(ask, SCRIPT).map(|it| it.stdin(format!("{decision}\n")))
    }

    /// Returns the command that lets the hook of dialog `ask` go without an answer. To be used
    /// when the registry says that the dialog was answered by a key: Claude leaves it waiting.
    pub fn withdraw(&self, ask: &str) -> Option<Command> {
        self.fifo(ask, "[ -p \"$1\" ] && { rm -f \"$1\" \"$1.json\"; } 3<>\"$1\"; exit 0")
    }

    fn fifo(&self, ask: &str, script: &str) -> Option<Command> {
        let pid = ask.rsplit('.').next()?;
        (is_name(ask) && !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit())).then(|| {
            let fifo = self.0.join("ask").join(ask);
            Command::new(["sh", "-c", script, "sh", fifo.as_str(), pid])
        })
    }
}

/// Tells whether text from a file of the run directory can name a file there and nothing else.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('.')
        && text.len() < 100
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
}

impl Launch {
    /// Returns where its files go.
    pub fn dir(&self) -> RunDir {
        RunDir::new(&self.run_dir, self.attempt)
    }

    /// Returns the prompt if it is too long for an argument: the caller pastes it when the input
    /// box is empty ([`crate::agent::deliver::type_prompt`]).
    pub fn prompt_by_paste(&self) -> Option<&[u8]> {
        self.prompt().filter(|it| ARGUMENT_MAX < it.len())
    }

    fn prompt(&self) -> Option<&[u8]> {
        let (Begin::Fresh { prompt } | Begin::Resume { prompt }) = &self.begin;
        prompt.as_deref().filter(|it| !it.is_empty())
    }

    /// Returns the command that the script will run, prompt included, for showing it. The prompt
    /// is not there if it is pasted.
    pub fn full_argv(&self) -> Vec<Vec<u8>> {
        let mut argv = self.argv();
        if let Some(prompt) = self.argument() {
            argv.extend([b"--".to_vec(), without_nul(prompt)]);
        }
        argv
    }

    /// The prompt that is passed as an argument.
    fn argument(&self) -> Option<&[u8]> {
        self.prompt().filter(|it| it.len() <= ARGUMENT_MAX)
    }

    /// Returns Claude's arguments, all but the prompt.
    fn argv(&self) -> Vec<Vec<u8>> {
        let settings = self.dir().path().join("settings.json");
        let conversation = match self.begin {
            Begin::Fresh { .. } => "--session-id",
            Begin::Resume { .. } => "--resume",
        };
        let mut argv: Vec<&str> = self.command.iter().map(String::as_str).collect();
        argv.extend([conversation, &self.conversation]);
        argv.extend(["--settings", settings.as_str()]);
        // Never left to the default, which is `auto`: it needs a service not every account has.
        argv.extend(["--permission-mode", self.permission_mode.as_str()]);
        if let Some(model) = &self.model {
            argv.extend(["--model", model]);
        }
        let name = one_line(&self.name, 80);
        if !name.is_empty() {
            argv.extend(["--name", &name]);
        }
        argv.into_iter().map(|it| without_nul(it.as_bytes())).collect()
    }
}

/// Returns what has to be in the run directory before the session starts. Writing it again does
/// no harm: what runs already has read it.
pub fn files(launch: &Launch) -> Vec<RunFile> {
    let dir = launch.dir();
    let file = |name: &str, mode: u32, bytes: Vec<u8>| RunFile {
        path: dir.path().join(name),
        bytes,
        mode,
    };
    let script = |name: &str, text: &str| {
        let values = [("DIR", quoted(dir.path())), ("JUDGE", JUDGE.as_bytes().to_vec())];
        file(name, 0o700, fill(text, &values))
    };
    let mut files = vec![
        file("run.sh", 0o700, run_script(launch)),
        script("hook.sh", include_str!("scripts/hook.sh")),
        script("began.sh", &began_script(launch)),
        file("statusline.sh", 0o700, status_script(launch)),
        script("lease.sh", include_str!("scripts/lease.sh")),
        file("settings.json", 0o600, settings(launch).to_string().into_bytes()),
        file("env", 0o600, env_script(launch)),
    ];
    if let Some(prompt) = launch.argument() {
        files.push(file("prompt", 0o600, without_nul(prompt)));
    }
    files
}

/// Returns what the tmux session runs.
pub fn session_argv(launch: &Launch) -> Vec<Vec<u8>> {
    let script = launch.dir().path().join("run.sh");
    vec![b"sh".to_vec(), script.as_str().as_bytes().to_vec()]
}

fn run_script(launch: &Launch) -> Vec<u8> {
    let argv = launch.argv();
    // Claude refuses to bypass permissions as root unless it is told that this is a sandbox.
    let root: &[u8] = match (launch.root_user, launch.permission_mode) {
        (true, PermissionMode::Bypass) => b"export IS_SANDBOX=1",
        _ => b"",
    };
    fill(
        include_str!("scripts/run.sh"),
        &[
            ("TASK", launch.task.as_str().as_bytes().to_vec()),
            ("ATTEMPT", launch.attempt.to_string().into_bytes()),
            ("DIR", quoted(launch.dir().path())),
            ("WORKSPACE", quoted(&launch.workspace)),
            ("ROOT", root.to_vec()),
            ("ARGV", join(argv.iter().map(Vec::as_slice))),
        ],
    )
}

/// The script that tells with which total a conversation is taken up. Where a version is not known
/// to save it, none that is saved tells nothing.
fn began_script(launch: &Launch) -> String {
    let saves = launch.claude_version.is_some_and(|it| COST_STATE <= it);
    include_str!("scripts/began.sh").replace("@SAVES@", if saves { "yes" } else { "" })
}

fn status_script(launch: &Launch) -> Vec<u8> {
    let show = match launch.user_status_line.as_deref().map(str::trim) {
        Some(command) if !command.is_empty() => {
            let mut line = b"sh -c ".to_vec();
            line.extend(quote(&without_nul(command.as_bytes())));
            line.extend_from_slice(b" <\"$own\"");
            line
        }
        _ => format!("printf '%s\\n' 'parhelia {} · Ctrl+Q leaves'", launch.task).into_bytes(),
    };
    let (dir, judge) = (quoted(launch.dir().path()), JUDGE.as_bytes().to_vec());
    let values = [("DIR", dir), ("JUDGE", judge), ("SHOW", show)];
    fill(include_str!("scripts/statusline.sh"), &values)
}

/// The environment as `export` lines. A variable that no shell could set is left out, as is one
/// with a NUL byte.
fn env_script(launch: &Launch) -> Vec<u8> {
    let mut script = Vec::new();
    for (name, value) in &launch.env {
        let by_helper = launch.key_by_helper && name == "ANTHROPIC_API_KEY";
        let name = if by_helper { KEY_VARIABLE } else { name };
        if !is_variable(name) || value.expose().contains('\0') {
            continue;
        }
        if by_helper {
            // One that the tmux server passes down would open the dialog all the same.
            script.extend_from_slice(b"unset ANTHROPIC_API_KEY\n");
        }
        script.extend_from_slice(format!("export {name}=").as_bytes());
        script.extend(quote(value.expose().as_bytes()));
        script.push(b'\n');
    }
    script
}

/// Tells whether a shell can set a variable of that name.
pub fn is_variable(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Hooks that are waited for, with their time limit in seconds: their order decides what is
/// believed of the session, and each comes once a turn, so their cost does not show.
const SYNC_HOOKS: &[(&str, u32)] = &[
    ("SessionStart", 10),
    ("UserPromptSubmit", 10),
    ("Stop", 10),
    ("StopFailure", 10),
    // Waits for the answer of a person, who may be asleep.
    ("PermissionRequest", 86_400),
    ("SessionEnd", 5),
];

/// Hooks that are not waited for: they come with every tool, where 25 to 200 ms each (measured)
/// would slow the turn, and they may arrive out of order without changing what is believed.
const ASYNC_HOOK_NAMES: &[&str] = &[
    "PreToolUse",
    "PostToolUse",
    "PostToolUseFailure",
    "Notification",
    "SubagentStart",
    "SubagentStop",
    "PreCompact",
    "PostCompact",
];

/// Returns the settings given to Claude beside the person's own, which stay untouched.
fn settings(launch: &Launch) -> Value {
    let dir = launch.dir();
    let script = |name: &str| {
        let path = dir.path().join(name);
        let words: [&[u8]; 2] = [b"sh", path.as_str().as_bytes()];
        String::from_utf8_lossy(&join(words)).into_owned()
    };
    let mut hooks = Map::new();
    let mut add = |event: &str, timeout: u32, wait: bool| {
        if knows(launch.claude_version, event) {
            let command = format!("{} {event}", script("hook.sh"));
            let mut hook = json!({"type": "command", "command": command, "timeout": timeout});
            if !wait && launch.claude_version.is_some_and(|it| ASYNC_HOOKS <= it) {
                hook["async"] = Value::Bool(true);
            }
            hooks.insert(event.to_owned(), json!([{"hooks": [hook]}]));
        }
    };
    for (event, timeout) in SYNC_HOOKS {
        add(event, *timeout, true);
    }
    for event in ASYNC_HOOK_NAMES {
        add(event, 10, false);
    }
    let mut settings = json!({
        // Pinned, because it otherwise depends on telemetry flags and on the last crash. This one
        // keeps the scrollback, which the pane of a finished session is read from.
        "tui": "default",
        // Servers of the project run commands, as its hooks do, and the folder is trusted with
        // those already; the dialog would hold up every task in such a project.
        "enableAllProjectMcpServers": true,
        "hooks": hooks,
        "statusLine": {"type": "command", "command": script("statusline.sh")},
    });
    if launch.permission_mode != PermissionMode::Auto {
        // Without this Claude offers, in a dialog that no hook tells of and whose default is yes,
        // to make auto mode the person's default; and each permission dialog offers to leave the
        // mode that was asked for.
        settings["disableAutoMode"] = Value::String("disable".into());
    }
    if launch.permission_mode == PermissionMode::Bypass {
        settings["skipDangerousModePermissionPrompt"] = Value::Bool(true);
    }
    if launch.key_by_helper && launch.env.contains_key("ANTHROPIC_API_KEY") {
        settings["apiKeyHelper"] = Value::String(format!("printf %s \"${KEY_VARIABLE}\""));
    }
    settings
}

/// Replaces each `@NAME@` once, from left to right, so that a value which holds such a mark is
/// left alone.
fn fill(template: &str, values: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(template.len() + 512);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('@') {
        out.extend_from_slice(before.as_bytes());
        let value = values
            .iter()
            .find_map(|(name, value)| Some((value, after.strip_prefix(name)?.strip_prefix('@')?)));
        if let Some((value, after)) = value {
            out.extend_from_slice(value);
            rest = after;
        } else {
            out.push(b'@');
            rest = after;
        }
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

/// No argument, variable or file name can hold a NUL byte.
fn without_nul(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().filter(|b| *b != 0).collect()
}

fn quoted(path: &HostPath) -> Vec<u8> {
    quote(path.as_str().as_bytes())
}

#[cfg(test)]
mod tests;
