//! The rows of the table about ends, failures and what is too large; see `real_table`.

use std::fs;

use parhelia::domain::{
    activity::Activity::{FailedTurn, Idle, NeedsInput, Working},
    task::PermissionMode,
};
use rustix::process::Signal;
use serde_json::json;

use crate::support::{
    ground::{bash, on, rows, script},
    row::{
        Row,
        Step::{self, Becomes, Held, Is, Keys, Kill, Press, Resume, Say, Shows, Turns},
    },
    sandbox::Sandbox,
};

/// The registry may be read a moment before the hook that says why it is idle.
const FAILED_TURN: &str =
    "starting idle working failed-turn | starting idle working idle failed-turn";

/// That a dialog is gone may be seen before Claude Code says a word, or by that word.
const LEFT_DIALOG: &str = "starting needs-input starting idle working idle | \
                           starting needs-input idle working idle";

#[test]
fn ends() {
    let held = |gate: &str| script(&json!([{ "text": "late", "gate": gate }]));
    rows(&[
        Row {
            what: "Ctrl-C twice",
            steps: vec![
                Is(Idle),
                Shows("❯"),
                Keys(&["C-c"]),
                Shows("again to exit"),
                Keys(&["C-c"]),
            ],
            activities: "starting idle",
            ..Row::default()
        },
        Row {
            what: "SIGTERM",
            prompt: held("term"),
            steps: vec![Held("term"), Is(Working), Step::Signal(Signal::TERM)],
            activities: "starting idle working",
            state: "FAILED",
            reason: "signal 15",
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
            what: "kill -9 and resume",
            steps: vec![
                Is(Idle),
                Say("Hello".into()),
                Turns(1),
                Is(Idle),
                Step::Paid,
                Step::Signal(Signal::KILL),
                Becomes("FAILED"),
                Resume("Go on"),
                Turns(2),
                Is(Idle),
            ],
            activities: "starting idle working idle starting idle working idle",
            state: "RUNNING",
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
            what: "a turn and another by resume",
            prompt: "Hello".into(),
            steps: vec![Becomes("COMPLETED"), Resume("Go on"), Becomes("COMPLETED")],
            activities: "starting idle working idle starting idle working idle",
            ..Row::default()
        },
    ]);
}

#[test]
fn api_failures() {
    let retries = |count: &str| vec![("CLAUDE_CODE_MAX_RETRIES", count.to_owned())];
    let failed = |what, status: u16, reason| Row {
        what,
        prompt: script(&json!([{ "error": status }])),
        env: retries("1"),
        activities: FAILED_TURN,
        state: "FAILED",
        reason,
        ..Row::default()
    };
    rows(&[
        failed("API 400", 400, "400"),
        failed("API 401", 401, "authentication_failed"),
        failed("API 429", 429, "rate_limit"),
        failed("API 529", 529, "server_error"),
        failed("API 500 after a retry", 500, "server_error"),
        Row {
            what: "API 500 and another prompt",
            steps: vec![
                Is(FailedTurn),
                Becomes("FAILED"),
                Say(script(&json!([{ "text": "Well." }]))),
                Becomes("COMPLETED"),
            ],
            activities: "starting idle working failed-turn working idle | \
                         starting idle working idle failed-turn working idle",
            state: "COMPLETED",
            reason: "",
            ..failed("", 500, "")
        },
        Row {
            what: "API 500 that a retry gets over",
            prompt: script(&json!([{ "error": 500, "times": 2, "then": { "text": "Well." } }])),
            env: retries("3"),
            ..Row::default()
        },
    ]);
}

#[test]
fn api_silences() {
    rows(&[
        Row {
            what: "stream cut once",
            prompt: script(&json!([
                { "text": "one two three four", "drop": true, "times": 1, "then": { "text": "5" } },
            ])),
            ..Row::default()
        },
        Row {
            what: "stream cut again and again",
            prompt: script(&json!([{ "text": "one two three four", "drop": true }])),
            env: vec![("CLAUDE_CODE_MAX_RETRIES", "1".into())],
            ..Row::default()
        },
        Row {
            what: "error in the stream",
            prompt: script(&json!([
                { "text": "one two three four", "stream_error": ["overloaded_error", "Busy"] },
            ])),
            env: vec![("CLAUDE_CODE_MAX_RETRIES", "1".into())],
            ..Row::default()
        },
        Row {
            what: "never answering",
            prompt: script(&json!([{ "hang": true }])),
            env: vec![("CLAUDE_CODE_MAX_RETRIES", "1".into()), ("API_TIMEOUT_MS", "1500".into())],
            activities: FAILED_TURN,
            state: "FAILED",
            reason: "server_error",
            ..Row::default()
        },
    ]);
}

#[test]
fn dialogs() {
    let sandbox = Sandbox::new();
    let bad = sandbox.root().join("bad");
    fs::create_dir(&bad).unwrap();
    fs::write(bad.join(".claude.json"), r#"{"hasCompletedOnboarding": true}"#).unwrap();
    fs::write(bad.join("settings.json"), r#"{"permissions":{"defaultMode":"nonsense"}}"#).unwrap();
    on(
        &sandbox,
        &[
            Row {
                what: "trust dialog accepted",
                prompt: "Hello".into(),
                // The launcher says that the folder is trusted; this unsays it.
                env: vec![("CLAUDE_CODE_SANDBOXED", String::new())],
                steps: vec![
                    Shows("Quick safety check"),
                    Is(NeedsInput),
                    Shows("No, exit"),
                    Keys(&["Down", "Enter"]),
                ],
                activities: LEFT_DIALOG,
                ..Row::default()
            },
            Row {
                what: "bad settings dialog",
                prompt: "Hello".into(),
                env: vec![("CLAUDE_CONFIG_DIR", bad.to_str().unwrap().to_owned())],
                steps: vec![Shows("Settings Error"), Is(NeedsInput), Press("3", "Settings Error")],
                activities: LEFT_DIALOG,
                ..Row::default()
            },
            Row {
                what: "bad settings dialog left by Esc",
                prompt: "Hello".into(),
                env: vec![("CLAUDE_CONFIG_DIR", bad.to_str().unwrap().to_owned())],
                steps: vec![
                    Shows("Settings Error"),
                    Is(NeedsInput),
                    Press("Escape", "Settings Error"),
                ],
                activities: "starting needs-input starting idle | starting needs-input idle",
                state: "FAILED",
                reason: "status 1",
                ..Row::default()
            },
        ],
    );
}

#[test]
fn sizes() {
    rows(&[
        Row { what: "huge output", prompt: "SCENARIO:huge".into(), ..Row::default() },
        Row {
            what: "multi-megabyte tool result",
            prompt: script(&json!([
                bash("head -c 3000000 /dev/zero | tr '\\0' x"),
                { "text": "Much." },
            ])),
            mode: PermissionMode::Bypass,
            env: vec![("BASH_MAX_OUTPUT_LENGTH", "10000000".into())],
            ..Row::default()
        },
        Row {
            what: "prompt of 1 MiB",
            prompt: format!("{}{}", "some words\n".repeat(95_322), "the end of it\n\n"),
            ..Row::default()
        },
    ]);
}
