//! The sandbox itself, with the real Claude Code in it.

use std::{fs, process::Stdio};

use crate::support::{
    claude,
    sandbox::{Sandbox, run},
    screen::Screen,
    wait::{PATIENCE, wait_until},
};

#[test]
fn holds_a_clean_environment() {
    let mut sandbox = Sandbox::new();
    sandbox.set("EXTRA", "1");
    let ran = run(sandbox.command("env"));
    assert!(ran.stdout.contains("EXTRA=1\n"), "{ran:?}");
    assert!(!ran.stdout.contains("CARGO"), "{ran:?}");
    assert_eq!(sandbox.run(&["--version"]).stderr, "");
    sandbox.ok(&["--version"]);
    assert!(sandbox.state().starts_with(sandbox.root()) && sandbox.home().is_dir());
}

#[test]
fn leaves_nothing_running() {
    let sandbox = Sandbox::new();
    let mut tmux = sandbox.command("tmux");
    tmux.args(["-L", "any", "new-session", "-d", "sleep 1000"]);
    assert_eq!(run(tmux).code, Some(0));
    let mut pid = sandbox.command("tmux");
    pid.args(["-L", "any", "display-message", "-p", "#{pid}"]);
    let server = run(pid).stdout.trim().to_owned();
    let mut child = sandbox.command("sleep").arg("1000").stdout(Stdio::null()).spawn().unwrap();
    sandbox.record(child.id());
    drop(sandbox);
    assert!(!child.wait().unwrap().success());
    wait_until("the tmux server to end", PATIENCE, || {
        (!fs::exists(format!("/proc/{server}/cwd/.")).unwrap_or_default()).then_some(())
    });
}

#[test]
fn a_screen_shows_and_takes_keys() {
    let sandbox = Sandbox::new();
    let script = "echo \"tmux<$TMUX>\"; while stty size; read -r line; do \
                  echo \"got $line\"; [ \"$line\" != end ] || exit 4; done";
    let screen = Screen::start(&sandbox, 70, 20, &["bash", "-c", script]);
    screen.wait_for("tmux<>\n20 70");
    screen.type_text("it's");
    screen.keys(&["Enter"]);
    screen.wait_for("got it's");
    screen.resize(50, 10);
    screen.keys(&["x", "Enter"]);
    screen.wait_until("the new size", PATIENCE, |it| it.contains("got x\n10 50"));
    screen.type_text("end");
    screen.keys(&["Enter"]);
    screen.wait_for("got end");
    assert_eq!(screen.wait_exit(), 4);
    drop(screen);
    assert_eq!(Screen::parhelia(&sandbox, 80, 24, &["--version"]).wait_exit(), 0);
}

#[test]
fn real_claude_follows_the_script() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command("claude");
    command.args(["-p", "SCENARIO:bash", "--allowedTools", "Bash"]);
    let ran = run(command);
    assert_eq!((ran.code, ran.stdout.trim()), (Some(0), "Done: out.txt now contains hi."));
    assert_eq!(fs::read_to_string(sandbox.workspace().join("out.txt")).unwrap(), "hi\n");
    let turns = sandbox.api.turns();
    assert_eq!(turns.len(), 2);
    assert!(turns[0].asks("SCENARIO:bash"));
    assert!(turns[0].headers.contains_key("x-claude-code-session-id"));
    assert!(!claude::VERSION.is_empty());
}

#[test]
fn real_claude_waits_at_a_gate_on_a_screen() {
    let mut sandbox = Sandbox::new();
    sandbox.set("CLAUDE_CODE_SANDBOXED", "1");
    let prompt = r#"FAKE:[{"text":"alpha beta gamma","gate":"middle","gate_after_words":2}]"#;
    let argv = ["claude", "--settings", r#"{"tui":"default"}"#, "--permission-mode", "manual"];
    let argv = [argv.as_slice(), &["--", prompt]].concat();
    let screen = Screen::start(&sandbox, 100, 30, &argv);
    sandbox.api.wait_held("middle", PATIENCE);
    assert!(!screen.capture().contains("● alpha beta gamma"));
    sandbox.api.open("middle");
    screen.wait_for("● alpha beta gamma");
}
