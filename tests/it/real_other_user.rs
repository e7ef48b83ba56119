//! The core rows of the table on a host that is another user: another home, another login shell,
//! no shared environment, reached through one pipe. Nothing above the waist may notice.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use parhelia::{
    api::client::Client,
    config::{load::Sources, settings::Settings},
    dispatcher::{DamagedStore, Home, serve_with},
    domain::{
        activity::Activity::{Idle, NeedsPermission, Working},
        ids::{HostPath, WorkerId},
        ledger::Price,
        task::{Isolation, PermissionMode, Requirements},
    },
    provider::{Capabilities, HostInfo, Provider, Worker},
    shell::{self, Command, ShellError},
};
use rustix::process::Signal;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::support::{
    api::Api,
    other_user::OtherUser,
    row::{
        Ground, Row,
        Step::{
            self, Answer, Becomes, File, Held, Interrupt, Is, Keys, Kill, Open, Say, Shows, Turns,
        },
        check,
    },
};

/// The tmux server of the sessions.
const TMUX: &str = "parhelia-elsewhere";

/// Deadline of one short command there.
const LIMIT: Duration = Duration::from_secs(60);

/// The other user as a provider.
struct Elsewhere {
    shell: Arc<OtherUser>,
    info: HostInfo,
}

#[async_trait]
impl Provider for Elsewhere {
    fn name(&self) -> &'static str {
        "elsewhere"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { gpus: Vec::new(), memory_gb: None, cpu: None, slots: 4 }
    }

    fn prices(&self, _requirements: &Requirements) -> Vec<Price> {
        Vec::new()
    }

    async fn acquire(
        &self,
        id: &WorkerId,
        _requirements: &Requirements,
    ) -> Result<Worker, ShellError> {
        let shell = Arc::clone(&self.shell);
        Ok(Worker { id: id.clone(), shell, info: self.info.clone() })
    }

    async fn release(&self, _id: &WorkerId) -> Result<(), ShellError> {
        Ok(())
    }
}

/// Runs a script there, and returns what it wrote.
fn there(runtime: &Runtime, other: &OtherUser, script: &str, argument: &HostPath) -> String {
    let command = Command::new(["sh", "-euc", script, "sh", argument.as_str()]);
    let output = runtime.block_on(shell::run(other, &command, LIMIT)).unwrap();
    assert_eq!(output.code, 0, "{script}: {}", output.complaint());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Makes a home that nobody has used Claude Code in, and a repository in it.
const MOVE_IN: &str = r#"
rm -rf "$HOME/.claude" "$HOME/.claude.json" "$1"
mkdir -p "$1/repo"
cd "$1/repo"
git init -q -b main
echo one >file
git add file
git -c user.name=a -c user.email=a@b commit -qm one
"#;

const MOVE_OUT: &str = r#"
tmux -L parhelia-elsewhere kill-server 2>/dev/null || :
rm -rf "$HOME/.claude" "$HOME/.claude.json" "$1"
"#;

#[test]
fn core_rows_hold_elsewhere() {
    let api = Api::start();
    let dir = tempfile::Builder::new().prefix("ph-").tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let other = Arc::new(OtherUser::start());
    let base = other.home().join("parhelia test");
    there(&runtime, &other, MOVE_IN, &base);
    let info = HostInfo {
        home: other.home().clone(),
        root: base.join("runs"),
        claude_config: other.home().join(".claude"),
        shares_environment: false,
        root_user: false,
    };
    let at = |name: &str| dir.path().join(name);
    let config = Sources { user: at("parhelia.toml"), explicit: None, project_dir: None };
    let home = Home {
        state_dir: at("state"),
        runs_dir: at("runs"),
        socket: at("run/parhelia.sock"),
        tmux_socket: TMUX.into(),
        config,
    };
    let provider: Arc<dyn Provider> =
        Arc::new(Elsewhere { shell: Arc::clone(&other), info: info.clone() });
    let (ready, listens) = std::sync::mpsc::channel();
    let socket = home.socket.clone();
    let dispatcher = runtime.spawn(async move {
        let ready = move || ready.send(()).unwrap();
        serve_with(home, Settings::default(), DamagedStore::Refuse, vec![provider], ready).await
    });
    listens.recv_timeout(LIMIT).unwrap();
    let mine = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (client, _) = mine.block_on(Client::connect(&socket)).unwrap();
    let ground = Ground {
        api: &api,
        client: client.clone(),
        runtime: mine,
        env: BTreeMap::from([
            ("ANTHROPIC_BASE_URL".into(), api.url.clone()),
            ("ANTHROPIC_AUTH_TOKEN".into(), "sk-ant-fake".into()),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC".into(), "1".into()),
            ("CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL".into(), "1".into()),
        ]),
        // None of this makes sense there.
        caller_env: BTreeMap::from([
            ("PATH".into(), "/nowhere".into()),
            ("HOME".into(), "/nowhere".into()),
            ("LEAKED_FROM_THE_CALLER".into(), "1".into()),
        ]),
        polled: true,
        workspace: PathBuf::from(base.join("repo").as_str()),
        runs: PathBuf::from(info.root.as_str()),
        claude_config: PathBuf::from(info.claude_config.as_str()),
        tmux: Box::new(|args| {
            let argv = [&["tmux", "-L", TMUX], args].concat();
            let output = runtime.block_on(shell::run(&*other, &Command::new(argv), LIMIT));
            String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
        }),
    };
    for row in rows() {
        check(&ground, &row);
    }
    let env = fs::read_to_string(ground.workspace.join("env.txt")).unwrap();
    check_env(&env, other.home());
    ground.runtime.block_on(client.shutdown()).unwrap();
    drop(ground);
    runtime.block_on(dispatcher).unwrap().unwrap();
    there(&runtime, &other, MOVE_OUT, &base);
    runtime.shutdown_timeout(LIMIT);
}

fn bash(command: &str) -> serde_json::Value {
    json!({ "tool": "Bash", "input": { "command": command, "description": "Do it" } })
}

#[expect(clippy::too_many_lines, reason = "a table reads best whole")]
fn rows() -> Vec<Row> {
    let held = |gate: &str| format!("FAKE:{}", json!([{ "text": "late", "gate": gate }]));
    let asks = |gate: &str| {
        let rest = json!({ "text": "Went on.", "gate": gate });
        format!("FAKE:{}", json!([bash("echo hi > out.txt"), rest]))
    };
    let env = format!("FAKE:{}", json!([bash("env > env.txt"), { "text": "Told." }]));
    let stream = json!([{ "text": "alpha beta gamma", "gate": "mid", "gate_after_words": 2 }]);
    vec![
        Row {
            what: "start",
            steps: vec![Is(Idle)],
            activities: "starting idle",
            state: "RUNNING",
            ..Row::default()
        },
        Row { what: "plain turn", prompt: "Hello".into(), ..Row::default() },
        Row {
            what: "tool turn",
            prompt: env,
            mode: PermissionMode::Bypass,
            steps: vec![File("env.txt")],
            ..Row::default()
        },
        Row {
            what: "permission allowed in a worktree",
            prompt: asks("allowed"),
            isolation: Isolation::Worktree,
            steps: vec![
                Is(NeedsPermission),
                Answer("yes"),
                Held("allowed"),
                Is(Working),
                File("out.txt"),
                File("file"),
                Open("allowed"),
            ],
            activities: "starting idle working needs-permission working idle",
            ..Row::default()
        },
        Row {
            what: "permission denied",
            prompt: asks("denied"),
            steps: vec![
                Is(NeedsPermission),
                Answer("no, not now"),
                Held("denied"),
                Is(Working),
                Open("denied"),
            ],
            activities: "starting idle working needs-permission working idle",
            ..Row::default()
        },
        Row {
            what: "interrupt, and another prompt",
            prompt: format!("FAKE:{stream}"),
            steps: vec![
                Held("mid"),
                Is(Working),
                Interrupt,
                Is(Idle),
                Say("Go on".into()),
                Becomes("COMPLETED"),
            ],
            activities: "starting idle working idle working idle",
            ..Row::default()
        },
        Row {
            what: "session kill",
            prompt: held("stop"),
            steps: vec![Held("stop"), Is(Working), Kill],
            activities: "starting idle working",
            state: "KILLED",
            reason: "killed by you",
            ..Row::default()
        },
        Row {
            what: "kill -9",
            prompt: held("kill"),
            steps: vec![Held("kill"), Is(Working), Step::Signal(Signal::KILL)],
            activities: "starting idle working",
            state: "FAILED",
            reason: "signal 9",
            ..Row::default()
        },
        Row {
            what: "/exit",
            steps: vec![
                Is(Idle),
                Say("Hello".into()),
                Turns(1),
                Is(Idle),
                Keys(&["/", "e", "x", "i", "t"]),
                Shows("❯\u{a0}/exit"),
                Keys(&["Enter"]),
            ],
            activities: "starting idle working idle",
            ..Row::default()
        },
    ]
}

/// Checks that Claude Code's commands see the other user's world and nothing of this one.
fn check_env(env: &str, home: &HostPath) {
    let value = |name: &str| env.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix('='));
    assert_eq!(value("HOME"), Some(home.as_str()), "{env}");
    assert_eq!(value("LEAKED_FROM_THE_CALLER"), None, "{env}");
    assert!(value("PATH").is_some_and(|it| !it.contains("/nowhere")), "{env}");
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let ours = ["CARGO", "NEXTEST", "RUST"].iter().any(|it| name.starts_with(it));
        assert!(!ours || value(&name).is_none(), "{name} leaked: {env}");
    }
}
