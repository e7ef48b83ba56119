//! Whose home Claude starts in: an empty one, and one where a person works with Claude already.

use std::{fs, time::Duration};

use serde_json::{Value, json};

use crate::support::{sandbox::Sandbox, wait::wait_or_explain};

/// A start of Claude and a turn on a busy machine.
const TURN: Duration = Duration::from_secs(60);

/// Submits a task and returns it once it is final.
fn completed(sandbox: &Sandbox, args: &[&str]) -> Value {
    let mut all = vec!["task", "create", "--json"];
    all.extend(args);
    let created: Value = serde_json::from_str(&sandbox.ok(&all)).unwrap();
    let id = created["task"]["id"].as_str().unwrap().to_owned();
    let show = || -> Value {
        serde_json::from_str(&sandbox.ok(&["task", "show", &id, "--json"])).unwrap()
    };
    let done = || {
        let task = show();
        (task["state"] == "COMPLETED").then_some(task)
    };
    wait_or_explain("the task is complete", TURN, done, || sandbox.ok(&["logs", &id, "--raw"]))
}

#[test]
fn real_claude_starts_unattended_in_an_empty_home() {
    let mut sandbox = Sandbox::new();
    fs::remove_file(sandbox.home().join(".claude.json")).unwrap();
    // A key in the environment opens a dialog of its own, which a token does not.
    sandbox.set("ANTHROPIC_API_KEY", "sk-ant-api03-not-a-key-0123456789abcdef");
    sandbox.set("ANTHROPIC_AUTH_TOKEN", "");
    let task = completed(&sandbox, &["FAKE:[{\"text\":\"at home\"}]"]);
    assert_eq!(task["last"], "at home");
}

#[test]
fn real_claude_leaves_the_home_of_its_person_as_it_was() {
    let sandbox = Sandbox::new();
    let claude = sandbox.home().join(".claude");
    fs::create_dir_all(&claude).unwrap();
    let log = sandbox.root().join("person-hooks");
    let hook = |event: &str| {
        let command = format!("echo {event} >> '{}'", log.display());
        json!([{"hooks": [{"type": "command", "command": command}]}])
    };
    let settings = json!({
        "hooks": {"UserPromptSubmit": hook("prompt"), "Stop": hook("stop")},
        "statusLine": {"type": "command", "command": "echo MY-OWN-STATUS-LINE"},
        "permissions": {"defaultMode": "plan"},
        "model": "opus",
    });
    let settings = serde_json::to_string_pretty(&settings).unwrap();
    fs::write(claude.join("settings.json"), &settings).unwrap();
    let login = r#"{"hasCompletedOnboarding":true,"oauthAccount":{"emailAddress":"me@example"}}"#;
    fs::write(sandbox.home().join(".claude.json"), login).unwrap();
    let mode = ["--permission-mode", "acceptEdits"];
    let task = completed(&sandbox, &[mode[0], mode[1], "FAKE:[{\"text\":\"as asked\"}]"]);
    assert_eq!(task["last"], "as asked");

    // The person's settings are theirs, their hooks ran, and so did their status line.
    assert_eq!(fs::read_to_string(claude.join("settings.json")).unwrap(), settings);
    assert_eq!(fs::read_to_string(&log).unwrap(), "prompt\nstop\n");
    let id = task["id"].as_str().unwrap();
    let screen = sandbox.ok(&["logs", id, "--raw"]);
    assert!(screen.contains("MY-OWN-STATUS-LINE"), "{screen}");
    let events = format!("{}/a1/events.jsonl", task["run_dir"].as_str().unwrap());
    let events = fs::read_to_string(events).unwrap();
    assert!(events.contains(r#""permission_mode":"acceptEdits""#), "{events}");
    let kept: Value =
        serde_json::from_str(&fs::read_to_string(sandbox.home().join(".claude.json")).unwrap())
            .unwrap();
    assert_eq!(kept["oauthAccount"]["emailAddress"], "me@example");
    assert_eq!(
        kept["projects"].as_object().map_or(0, |it| {
            it.values().filter(|it| it["hasTrustDialogAccepted"] == true).count()
        }),
        0,
        "Parhelia trusts no folder on the person's behalf"
    );
}
