//! Rows of the table on this machine: the real program, its dispatcher and the real Claude Code.

use parhelia::{api::client::Client, config::dirs::Dirs};
use serde_json::{Value, json};

use crate::support::{
    row::{Ground, Row, check},
    sandbox::{Sandbox, run},
};

/// Runs rows one after the other on one dispatcher.
pub fn rows(rows: &[Row]) {
    let sandbox = Sandbox::new();
    on(&sandbox, rows);
}

/// As [`rows`], in a sandbox that was made ready for them.
pub fn on(sandbox: &Sandbox, rows: &[Row]) {
    sandbox.ok(&["daemon", "start"]);
    let env = sandbox.env().iter().map(|(name, value)| (name.into(), value.into())).collect();
    let uid = rustix::process::geteuid().as_raw();
    let dirs = Dirs::from_env(&env, uid).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (client, _) = runtime.block_on(Client::connect(&dirs.socket)).unwrap();
    let ground = Ground {
        api: &sandbox.api,
        client,
        runtime,
        env: sandbox.env().clone().into_iter().filter(|(name, _)| name != "PATH").collect(),
        caller_env: sandbox.env().clone(),
        workspace: sandbox.workspace(),
        runs: dirs.runs.clone(),
        claude_config: sandbox.home().join(".claude"),
        tmux: Box::new(|args| {
            let mut command = sandbox.command("tmux");
            command.args(["-L", &dirs.tmux_socket()]).args(args);
            run(command).stdout
        }),
        polled: false,
    };
    for row in rows {
        check(&ground, row);
    }
}

/// A prompt that has the API follow these steps.
pub fn script(steps: &Value) -> String {
    format!("FAKE:{steps}")
}

/// A step that calls Bash.
pub fn bash(command: &str) -> Value {
    json!({ "tool": "Bash", "input": { "command": command, "description": "Do it" } })
}
