//! Terminals that the dispatcher carries: sessions with all that Parhelia's own pane can show, and
//! shells in workspaces.

use std::fs;

use parhelia::{
    api::{client::AttachQuery, error::ErrorKind, frames::PtyFrame},
    config::dirs::Dirs,
};

use crate::support::{
    client::{Caller, Carried},
    dispatcher::{create, lives, wait_task},
    sandbox::{Sandbox, run},
    screen::Screen,
    stand_in,
    wait::{PATIENCE, wait_until},
};

fn query(pane: bool) -> AttachQuery {
    AttachQuery { cols: 100, rows: 30, term: "xterm-256color".into(), read_only: false, pane }
}

fn attach<'a>(caller: &'a Caller, id: &str, query: &AttachQuery) -> Carried<'a> {
    Carried::new(caller, caller.wait(caller.client.attach(id, query)).unwrap())
}

fn shell<'a>(caller: &'a Caller, id: &str, query: &AttachQuery) -> Carried<'a> {
    Carried::new(caller, caller.wait(caller.client.shell(id, query)).unwrap())
}

/// Starts a task that waits at its prompt, and returns it.
fn idle(sandbox: &Sandbox) -> String {
    let id = create(sandbox, &["--interactive", "turn"]);
    wait_task(sandbox, &id, "to wait", |it| it["activity"] == "idle");
    id
}

/// Runs tmux on the server that sessions are on.
fn tmux(sandbox: &Sandbox, args: &[&str]) -> String {
    let env = sandbox.env().iter().map(|(name, value)| (name.into(), value.into())).collect();
    let uid = rustix::process::geteuid().as_raw();
    let socket = Dirs::from_env(&env, uid).unwrap().tmux_socket();
    let mut tmux = sandbox.command("tmux");
    tmux.args(["-L", &socket]).args(args);
    let ran = run(tmux);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.stdout
}

/// Shows what a program writes in a session, in a window of its own.
fn show(sandbox: &Sandbox, id: &str, script: &str) {
    let script = format!("{script}; exec cat");
    tmux(sandbox, &["new-window", "-t", &format!("=ph-{id}:"), &script]);
}

/// A direct colour, a curly underline in its own colour, struck text, a bar for a cursor, and
/// bracketed paste.
const RICH: &str = r"printf '\033[38;2;1;2;3mA\033[0m\033[4:3m\033[58:2::9:8:7mB\033[0m'
printf '\033[9mC\033[0m\033[6 q\033[?2004hENOUGH'";

#[test]
fn our_own_pane_gets_all_it_can_show_and_other_terminals_what_they_say() {
    let sandbox = stand_in::sandbox(1);
    let caller = Caller::new(&sandbox);
    let id = idle(&sandbox);
    show(&sandbox, &id, RICH);
    for pane in [true, false] {
        let mut seen = attach(&caller, &id, &query(pane));
        seen.wait_for("ENOUGH");
        // Marks the end of what attaching showed.
        seen.type_text("and so on");
        seen.wait_for("and so on");
        let shown = seen.shown.escape_ascii().to_string();
        for (sequence, everywhere) in [
            ("38;2;1;2;3m", false),
            ("[4:3m", false),
            ("58:2:9:8:7m", false),
            ("[9m", true),
            ("[6 q", true),
            ("[?2004h", true),
        ] {
            assert_eq!(seen.shows(sequence), pane || everywhere, "{sequence} {pane}: {shown}");
        }
    }
}

#[test]
fn a_pane_needs_no_terminal_type() {
    let sandbox = stand_in::sandbox(1);
    let caller = Caller::new(&sandbox);
    let id = idle(&sandbox);
    let mut seen = attach(&caller, &id, &AttachQuery { term: String::new(), ..query(true) });
    seen.wait_for("leaves; the task keeps running");
    seen.type_text("\x11");
    assert_eq!(seen.end(), "detached");
}

#[test]
fn a_shell_opens_in_the_workspace_whether_or_not_there_is_a_session() {
    let mut sandbox = Sandbox::new();
    sandbox.set("SHELL", "/bin/bash");
    stand_in::install(&sandbox, 1);
    let caller = Caller::new(&sandbox);
    let id = idle(&sandbox);
    let workspace = sandbox.json(&["task", "show", "--json", &id])["workspace"].clone();
    let workspace = workspace.as_str().unwrap();
    for ended in [false, true] {
        if ended {
            sandbox.ok(&["session", "kill", "--yes", &id]);
        }
        let mut seen = shell(&caller, &id, &query(true));
        seen.type_text("shopt -q login_shell; echo \"in[$?] $PWD [$TERM] [$COLORTERM]\"\r");
        seen.wait_for(&format!("in[0] {workspace} [xterm-256color] [truecolor]"));
        seen.send(&PtyFrame::Resize { cols: 77, rows: 22 });
        seen.type_text("stty size\r");
        seen.wait_for("22 77");
        seen.type_text("exit 3\r");
        assert_eq!(seen.end(), "exited 3");
    }
}

#[test]
fn a_shell_ends_with_its_connection() {
    let mut sandbox = Sandbox::new();
    sandbox.set("SHELL", "/bin/bash");
    stand_in::install(&sandbox, 1);
    let caller = Caller::new(&sandbox);
    let id = idle(&sandbox);
    let mut seen = shell(&caller, &id, &query(false));
    let file = sandbox.root().join("shell.pid");
    seen.type_text(&format!("echo $$ >{}; echo re''ady\r", file.display()));
    seen.wait_for("ready\r\n");
    let pid = fs::read_to_string(file).unwrap().trim().parse().unwrap();
    assert!(lives(pid));
    drop(seen);
    wait_until("the shell to be hung up", PATIENCE, || (!lives(pid)).then_some(()));
}

#[test]
fn where_there_is_no_workspace_there_is_no_shell() {
    let sandbox = stand_in::sandbox(1);
    let caller = Caller::new(&sandbox);
    let id = idle(&sandbox);
    let refused = |id: &str, query: &AttachQuery| {
        let answer = caller.wait(caller.client.shell(id, query));
        answer.err().map(|it| (it.kind, it.message)).unwrap()
    };
    let waiting = create(&sandbox, &["gate"]);
    wait_task(&sandbox, &waiting, "to wait", |it| it["state"] == "PENDING");
    assert_eq!(
        refused(&waiting, &query(true)),
        (ErrorKind::Conflict, format!("{waiting} has no workspace: it is PENDING"))
    );
    let looking = AttachQuery { read_only: true, ..query(true) };
    assert_eq!(
        refused(&id, &looking),
        (ErrorKind::Invalid, "a shell cannot only be looked at".into())
    );
    assert_eq!(refused("task-nothere2", &query(true)).0, ErrorKind::NotFound);
    sandbox.ok(&["session", "kill", "--yes", &id]);
    let moved = sandbox.root().join("elsewhere");
    fs::rename(sandbox.workspace(), &moved).unwrap();
    let gone = refused(&id, &query(true));
    fs::rename(&moved, sandbox.workspace()).unwrap();
    let path = sandbox.workspace();
    let message = format!("the workspace of {id} is gone: {}", path.display());
    assert_eq!(gone, (ErrorKind::Conflict, message));
}

#[test]
fn a_person_gets_the_shell_and_the_terminal_back() {
    let mut sandbox = Sandbox::new();
    sandbox.set("SHELL", "/bin/bash");
    stand_in::install(&sandbox, 1);
    let id = idle(&sandbox);
    let script = r#"before=$(stty -g); "$0" session shell "$1"; left=$?
        [ "$before" = "$(stty -g)" ] && same=yes || same=no; echo "left=$left same=$same"; cat"#;
    let argv = ["bash", "-c", script, env!("CARGO_BIN_EXE_parhelia"), &id];
    let screen = Screen::start(&sandbox, 90, 26, &argv);
    screen.wait_for("exit or Ctrl-D leaves]");
    screen.type_text("echo $((20 + 22)) is it");
    screen.keys(&["Enter"]);
    screen.wait_for("42 is it");
    screen.keys(&["C-d"]);
    let shown = screen.wait_for("left=0 same=yes");
    assert!(shown.contains("[shell ended]"), "{shown}");
    let ran = sandbox.run(&["session", "shell", &id]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

/// Sets the clipboard to `secret`.
const COPY: &str = r"printf '\033]52;c;c2VjcmV0\007'; echo COPIED";

#[test]
fn the_clipboard_is_set_only_where_that_is_allowed() {
    let sandbox = stand_in::sandbox(1);
    let file = sandbox.home().join(".config/parhelia/parhelia.toml");
    let without = fs::read_to_string(&file).unwrap();
    let id = idle(&sandbox);
    // The tmux server outlives each dispatcher, and follows the next one's settings.
    for allowed in [false, true, false] {
        sandbox.ok(&["daemon", "stop"]);
        fs::write(&file, format!("{without}[ui]\nclipboard = {allowed}\n")).unwrap();
        let caller = Caller::new(&sandbox);
        let expected = if allowed { "on" } else { "off" };
        wait_until("the setting to arrive", PATIENCE, || {
            let value = tmux(&sandbox, &["show-options", "-sv", "set-clipboard"]);
            (value.trim() == expected).then_some(())
        });
        for pane in [true, false] {
            let mut seen = attach(&caller, &id, &query(pane));
            seen.wait_for("leaves; the task keeps running");
            // The window of the round before is shown first, so this one's has a mark of its own.
            let mark = format!("{allowed}-{pane}-{}", seen.shown.len());
            show(&sandbox, &id, &format!("{COPY} {mark}"));
            seen.wait_for(&format!("COPIED {mark}"));
            seen.type_text("after that");
            seen.wait_for("after that");
            let shown = seen.shown.escape_ascii().to_string();
            assert_eq!(seen.shows("52;"), allowed, "{pane}: {shown}");
            assert_eq!(seen.shows("c2VjcmV0"), allowed, "{pane}: {shown}");
        }
    }
}
