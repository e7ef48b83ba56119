//! `attach` by the real program on a real terminal, with the real Claude Code in the session.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{
    sandbox::{Sandbox, run},
    screen::Screen,
    wait::{PATIENCE, wait_until},
};

/// Attaches, and leaves on the screen how that ended and whether the terminal is as it was.
const ATTACH: &str = r#"before=$(stty -g); parhelia=$1; shift
"$parhelia" attach "$@"; left=$?
[ "$before" = "$(stty -g)" ] && same=yes || same=no
echo "left=$left same=$same"
sleep 1000"#;

/// What the terminal is like with nothing switched on.
const PLAIN: &str = "alternate=0 mouse=0 keys=00 cursor=1";

/// Starts an interactive task and returns its id, once Claude can be talked to.
fn interactive(sandbox: &Sandbox) -> String {
    let created = sandbox.json(&["submit", "--interactive", "--json"]);
    let id = created["task"]["id"].as_str().unwrap().to_owned();
    wait_until("Claude to wait for a prompt", PATIENCE, || {
        let task = sandbox.json(&["task", "show", "--json", &id]);
        (task["activity"] == "idle").then_some(())
    });
    id
}

fn attach<'a>(sandbox: &'a Sandbox, args: &[&str]) -> Screen<'a> {
    let mut argv = vec!["bash", "-c", ATTACH, "bash", env!("CARGO_BIN_EXE_parhelia")];
    argv.extend(args);
    Screen::start(sandbox, 90, 26, &argv)
}

/// The line under which Claude takes prompts.
const READY: &str = "leaves; the task keeps running";

fn left(screen: &Screen, expected: &str) {
    screen.wait_for(expected);
    assert_eq!(screen.modes(), PLAIN, "{}", screen.capture());
}

#[test]
fn a_person_types_resizes_and_leaves_by_either_key() {
    let sandbox = Sandbox::new();
    let id = interactive(&sandbox);
    let screen = attach(&sandbox, &[&id]);
    screen.wait_for(READY);
    screen.type_text(r#"FAKE:[{"text":"typed and heard"}]"#);
    screen.wait_for("typed and heard");
    screen.keys(&["Enter"]);
    screen.wait_for("● typed and heard");
    screen.resize(60, 20);
    let full = |width: usize| {
        move |it: &str| it.lines().any(|it| it.chars().filter(|it| *it == '─').count() == width)
    };
    screen.wait_until("the session at 60 columns", PATIENCE, full(60));
    screen.keys(&["C-q"]);
    left(&screen, "left=0 same=yes");
    let said = format!("[detached from {id}; it keeps running]");
    assert!(screen.capture().contains(&said), "{}", screen.capture());

    let screen = attach(&sandbox, &["--verbose", &id[..9]]);
    screen.wait_for("● typed and heard");
    screen.keys(&["F12"]);
    left(&screen, "left=0 same=yes");
    assert!(screen.capture().contains("ms  connected to the dispatcher"), "{}", screen.capture());
    // The turn is counted when Claude says that it ended, a moment after its text is shown.
    wait_until("the turn to be counted", PATIENCE, || {
        let task = sandbox.json(&["task", "show", "--json", &id]);
        (task["state"] == "RUNNING" && task["turns"] == 1).then_some(())
    });
}

#[test]
fn looking_only_types_nothing() {
    let sandbox = Sandbox::new();
    let id = interactive(&sandbox);
    let screen = attach(&sandbox, &["--read-only", &id]);
    screen.wait_for(READY);
    screen.type_text("must not arrive");
    screen.keys(&["C-c", "C-d", "Enter"]);
    // tmux takes keys within a millisecond of each other for pasted text, where no key leaves.
    screen.wait_until("it to be left", PATIENCE, |it| {
        screen.keys(&["F12"]);
        it.contains("left=0 same=yes")
    });
    let screen = attach(&sandbox, &[&id]);
    let shown = screen.wait_for(READY);
    assert!(!shown.contains("arrive"), "{shown}");
}

#[test]
fn the_terminal_is_given_back_however_it_ends() {
    let sandbox = Sandbox::new();
    let id = interactive(&sandbox);

    let screen = attach(&sandbox, &[&id]);
    screen.wait_for(READY);
    let client = pid_of(&sandbox, &format!("attach {id}"));
    kill_process(client, Signal::TERM).unwrap();
    left(&screen, "left=143 same=yes");

    let screen = attach(&sandbox, &[&id]);
    screen.wait_for(READY);
    let dispatcher = sandbox.json(&["daemon", "status", "--json"])["pid"].as_i64().unwrap();
    let dispatcher = Pid::from_raw(i32::try_from(dispatcher).unwrap()).unwrap();
    kill_process(dispatcher, Signal::KILL).unwrap();
    left(&screen, "left=5 same=yes");
    let shown = screen.capture();
    assert!(shown.contains("[connection lost: ") && shown.contains("hint: parhelia attach"));

    // The session outlived the dispatcher, and ends by Claude's own command.
    let screen = attach(&sandbox, &[&id]);
    screen.wait_for(READY);
    screen.type_text("/exit");
    screen.wait_for("/exit");
    screen.keys(&["Enter"]);
    left(&screen, "left=0 same=yes");
    let shown = screen.capture();
    assert!(shown.contains("[session ended: ") && !shown.contains("keeps running"), "{shown}");
}

/// Returns the process of this sandbox whose command line ends with `end`.
fn pid_of(sandbox: &Sandbox, end: &str) -> Pid {
    let mut pgrep = sandbox.command("pgrep");
    pgrep.args(["-f", "-n", &format!("^{} {end}$", env!("CARGO_BIN_EXE_parhelia"))]);
    let ran = run(pgrep);
    Pid::from_raw(ran.stdout.trim().parse().unwrap_or_else(|_| panic!("{ran:?}"))).unwrap()
}

#[test]
fn inside_another_tmux_it_works_and_says_how_to_leave() {
    let sandbox = Sandbox::new();
    let id = interactive(&sandbox);
    let socket = sandbox.root().join("outer.sock");
    let inner = format!("{} attach {id}; echo left=$?; sleep 1000", env!("CARGO_BIN_EXE_parhelia"));
    let conf = sandbox.root().join("outer.conf");
    fs::write(&conf, "set -s escape-time 0\n").unwrap();
    let (socket, conf) = (socket.to_str().unwrap(), conf.to_str().unwrap());
    let argv = ["tmux", "-f", conf, "-S", socket, "new-session", &inner];
    let screen = Screen::start(&sandbox, 100, 30, &argv);
    screen.wait_for(READY);
    screen.keys(&["F12"]);
    let shown = screen.wait_for("left=0");
    assert!(shown.contains("Inside tmux: leave with Ctrl-Q or F12"), "{shown}");
    let mut kill = sandbox.command("tmux");
    kill.args(["-S", socket, "kill-server"]);
    run(kill);
}

#[test]
fn any_terminal_type_will_do() {
    let sandbox = Sandbox::new();
    let id = interactive(&sandbox);
    for term in ["dumb", "no-such-terminal", "", "xterm-kitty"] {
        let term = format!("TERM={term}");
        let program = env!("CARGO_BIN_EXE_parhelia");
        let argv = ["env", &term, "bash", "-c", ATTACH, "bash", program, &id];
        let screen = Screen::start(&sandbox, 90, 26, &argv);
        screen.wait_for(READY);
        screen.keys(&["C-q"]);
        left(&screen, "left=0 same=yes");
    }
}
