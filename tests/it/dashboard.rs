//! The dashboard by the real program on a real terminal: with the real dispatcher and the real
//! Claude Code against the scripted API.

use std::fs;

use serde_json::json;

use crate::support::{
    dispatcher::{task, tasks, wait_task},
    ground::{bash, script},
    sandbox::Sandbox,
    screen::Screen,
    wait::{PATIENCE, wait_until},
};

/// Opens the dashboard, and leaves on the screen how it ended and whether the terminal is as it
/// was.
const OPEN: &str = r#"before=$(stty -g); "$@"; left=$?
[ "$before" = "$(stty -g)" ] && same=yes || same=no
echo "left=$left same=$same"
sleep 1000"#;

/// Opens it in a sandbox where Claude asks before every command.
fn open(sandbox: &Sandbox, cols: u16, rows: u16) -> Screen<'_> {
    let config = sandbox.home().join(".config/parhelia");
    fs::create_dir_all(&config).unwrap();
    let asks = "[agent]\npermission_mode = \"manual\"\n";
    fs::write(config.join("parhelia.toml"), asks).unwrap();
    let argv = ["bash", "-c", OPEN, "bash", env!("CARGO_BIN_EXE_parhelia")];
    Screen::start(sandbox, cols, rows, &argv)
}

/// Leaves the dashboard and sees that the terminal is as it was.
fn quit(screen: &Screen) {
    screen.keys(&["q"]);
    screen.wait_for("left=0 same=yes");
    assert_eq!(screen.modes(), "alternate=0 mouse=0 keys=00 cursor=1", "{}", screen.capture());
}

/// The whole of it: a task is submitted in the form, watched, its permission answered, its session
/// attached to and left, killed, brought back by undo, and goes on when the dashboard is closed.
#[test]
fn a_task_is_steered_from_its_form_to_its_end_by_keys_alone() {
    let sandbox = Sandbox::new();
    let screen = open(&sandbox, 120, 36);
    screen.wait_for("0 need you");

    screen.keys(&["n"]);
    screen.wait_for("New task");
    let work = script(&json!([bash("echo hi > out.txt"), {"text": "all done here"}]));
    screen.type_text(&format!("steer me {work}"));
    screen.wait_for("steer me");
    screen.keys(&["C-s"]);
    screen.wait_for("1 needs you");
    let id = tasks(&sandbox)[0]["id"].as_str().unwrap().to_owned();
    // It needs somebody a moment before it can be answered.
    let asks = |it: &serde_json::Value| it["asks"].as_array().is_some_and(|it| !it.is_empty());
    wait_task(&sandbox, &id, "the question", asks);

    screen.keys(&["i"]);
    screen.wait_for("echo hi > out.txt");
    screen.keys(&["y"]);
    screen.wait_for("submitted");
    wait_task(&sandbox, &id, "the turn to end", |it| it["turns"] == 1);

    screen.keys(&["Enter"]);
    screen.wait_for("leaves");
    screen.wait_for("all done here");
    screen.type_text(&script(&json!([{"text": "heard in the pane"}])));
    screen.wait_for("FAKE");
    screen.keys(&["Enter"]);
    screen.wait_for("● heard in the pane");
    screen.keys(&["C-q"]);
    screen.wait_for("keeps running");

    screen.keys(&["x"]);
    screen.wait_for("conversation");
    screen.keys(&["y"]);
    wait_task(&sandbox, &id, "the session to be ended", |it| it["session"].is_null());
    screen.wait_for("undo");
    screen.keys(&["z"]);
    wait_task(&sandbox, &id, "the conversation to go on", |it| it["activity"] == "idle");

    quit(&screen);
    assert_eq!(task(&sandbox, &id)["state"], "RUNNING");
}

#[test]
fn it_shows_what_happens_by_itself() {
    let sandbox = Sandbox::new();
    let screen = open(&sandbox, 80, 24);
    screen.wait_for("Tasks");
    let prompt = script(&json!([bash("echo hi > out.txt")]));
    sandbox.json(&["submit", "--json", "--name", "from-elsewhere", &prompt]);
    screen.wait_until("the task that waits", PATIENCE, |it| {
        it.lines().any(|it| it.contains('!') && it.contains("from-elsewhere"))
    });
    quit(&screen);
    wait_until("the task to go on", PATIENCE, || {
        (tasks(&sandbox)[0]["activity"] == "needs-permission").then_some(())
    });
}

/// At any size something is shown, and the keys work.
#[test]
fn it_bears_every_size() {
    let sandbox = Sandbox::new();
    let screen = open(&sandbox, 200, 50);
    screen.wait_for("Tasks");
    screen.resize(20, 5);
    screen.wait_for("too small");
    screen.resize(2, 2);
    for (cols, rows) in [(60, 16), (120, 36), (80, 24)] {
        screen.resize(cols, rows);
        let what = format!("borders of {cols} columns and the footer below them");
        screen.wait_until(&what, PATIENCE, |it| {
            let border = |it: &str| it.starts_with('┌') && it.chars().count() == usize::from(cols);
            it.lines().any(border) && it.lines().last().is_some_and(|it| it.ends_with("? help"))
        });
    }
    quit(&screen);
}

/// The workspace as it was comes back after one has seen what changes, and what was there instead
/// comes back by undo.
#[test]
fn a_workspace_is_restored_and_that_is_undone() {
    let sandbox = Sandbox::new();
    let screen = open(&sandbox, 120, 36);
    screen.wait_for("0 need you");
    let prompt = script(&json!([{"text": "nothing to do"}]));
    sandbox.json(&["submit", "--json", "--name", "careful", &prompt]);
    let id = tasks(&sandbox)[0]["id"].as_str().unwrap().to_owned();
    wait_task(&sandbox, &id, "the turn to end", |it| it["turns"] == 1);
    let task = task(&sandbox, &id);
    let work = std::path::Path::new(task["workspace"].as_str().unwrap());
    let (kept, new) = (work.join("kept.txt"), work.join("new.txt"));
    fs::write(&kept, "as it was").unwrap();

    screen.keys(&["4", "c"]);
    screen.wait_for("What to call it");
    screen.type_text("before");
    screen.keys(&["Enter"]);
    screen.wait_for("checkpoint of careful: cp-");
    // Its row comes after the word that it was made.
    screen.wait_for("\"before\"");
    screen.keys(&["g"]);
    screen.wait_until("the new one to be selected", PATIENCE, |it| {
        it.lines().any(|it| it.contains("│>") && it.contains("\"before\""))
    });

    fs::write(&kept, "edited").unwrap();
    fs::write(&new, "made later").unwrap();
    screen.keys(&["r"]);
    screen.wait_for("2 files change");
    screen.wait_for("~ kept.txt");
    screen.wait_for("- new.txt");
    assert_eq!(fs::read_to_string(&kept).unwrap(), "edited");
    screen.keys(&["y"]);
    screen.wait_for("restored cp-");
    assert_eq!(fs::read_to_string(&kept).unwrap(), "as it was");
    assert!(!new.exists());

    screen.keys(&["z"]);
    screen.wait_for("undo: restored cp-");
    assert_eq!(fs::read_to_string(&kept).unwrap(), "edited");
    assert_eq!(fs::read_to_string(&new).unwrap(), "made later");
    quit(&screen);
}
