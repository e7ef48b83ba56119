//! What the person or the API did, and what Parhelia makes of it, with the real Claude Code.
//!
//! [`crate::support::row::check`] compares for every row: the activities in their order, the
//! state of the task, that each piece of evidence was committed within a second of its being
//! there, once and in order, and that the cost is Claude Code's own figure to the micro-dollar.
//! The rows about ends and failures are in `real_failures`.

use parhelia::domain::{
    activity::Activity::{Idle, NeedsInput, NeedsPermission, Working},
    task::PermissionMode,
};
use serde_json::{Value, json};

use crate::support::{
    ground::{bash, rows, script},
    row::{
        Row,
        Step::{
            self, Answer, Becomes, File, Held, Interrupt, Is, Keys, Open, Press, Say, Shows, Told,
            Turns,
        },
    },
};

/// Before it takes up a queued prompt Claude Code may say for 20 ms that it is idle.
const ONE_OR_TWO_TURNS: &str =
    "starting idle working idle | starting idle working idle working idle";

/// What follows a dialog: held, so that the work between the two is long enough to be seen.
fn rest(gate: &str) -> Value {
    json!({ "text": "Went on.", "gate": gate })
}

/// The steps after a dialog was answered.
fn then(mut steps: Vec<Step>, gate: &'static str) -> Vec<Step> {
    steps.extend([Held(gate), Is(Working), Open(gate)]);
    steps
}

/// A Bash call that Claude Code asks about.
fn asks(gate: &str) -> String {
    script(&json!([bash("echo hi > out.txt"), rest(gate)]))
}

#[test]
fn turns() {
    rows(&[
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
            prompt: script(&json!([bash("echo hello"), { "text": "Said hello." }])),
            ..Row::default()
        },
        Row {
            what: "failing tool",
            prompt: "SCENARIO:badbash".into(),
            mode: PermissionMode::Bypass,
            ..Row::default()
        },
        Row {
            what: "queued prompt",
            prompt: script(&json!([{ "text": "One.", "gate": "one" }])),
            steps: vec![
                Held("one"),
                Is(Working),
                Say(script(&json!([{ "text": "Two.", "gate": "two" }]))),
                Open("one"),
                Held("two"),
                Turns(1),
                Open("two"),
                Becomes("COMPLETED"),
                Turns(2),
            ],
            activities: ONE_OR_TWO_TURNS,
            ..Row::default()
        },
    ]);
}

#[test]
fn permissions() {
    let allowed =
        Row { activities: "starting idle working needs-permission working idle", ..Row::default() };
    let refused = Row {
        prompt: asks("d"),
        activities: "starting idle working needs-permission idle",
        state: "RUNNING",
        ..allowed.clone()
    };
    rows(&[
        Row {
            what: "permission allowed by an answer",
            prompt: asks("a"),
            steps: then(vec![Is(NeedsPermission), Answer("yes"), File("out.txt")], "a"),
            ..allowed.clone()
        },
        Row {
            what: "permission allowed by a key",
            prompt: asks("b"),
            steps: then(vec![Is(NeedsPermission), Press("1", "1. Yes")], "b"),
            ..allowed.clone()
        },
        Row {
            what: "permission denied by an answer",
            prompt: asks("c"),
            steps: then(vec![Is(NeedsPermission), Answer("no, not now")], "c"),
            ..allowed
        },
        Row {
            what: "permission denied by a key",
            steps: vec![Is(NeedsPermission), Press("3", "3. No"), Is(Idle)],
            ..refused.clone()
        },
        Row {
            what: "permission denied by Esc, and another prompt",
            steps: vec![
                Is(NeedsPermission),
                Press("Escape", "3. No"),
                Is(Idle),
                Say("Hello again".into()),
                Held("d"),
                Open("d"),
            ],
            activities: "starting idle working needs-permission idle working idle",
            state: "COMPLETED",
            ..refused
        },
    ]);
}

#[test]
fn questions() {
    let question = json!({
        "question": "Which colour?", "header": "Colour", "multiSelect": false,
        "options": [
            { "label": "Red", "description": "Warm" },
            { "label": "Blue", "description": "Cold" },
        ],
    });
    let ask = |gate: &str| {
        let call = json!({ "tool": "AskUserQuestion", "input": { "questions": [question] } });
        script(&json!([call, rest(gate)]))
    };
    let asked =
        Row { activities: "starting idle working needs-input working idle", ..Row::default() };
    let planned = |gate: &str| {
        let call = json!({ "tool": "ExitPlanMode", "input": { "plan": "1. Do it." } });
        script(&json!([call, rest(gate)]))
    };
    let plan = Row {
        mode: PermissionMode::Plan,
        activities: "starting idle working needs-permission working idle",
        ..Row::default()
    };
    rows(&[
        Row {
            what: "question answered by an answer",
            prompt: ask("a"),
            steps: then(vec![Is(NeedsInput), Answer("blue")], "a"),
            ..asked.clone()
        },
        Row {
            what: "question answered by a key",
            prompt: ask("b"),
            steps: then(vec![Is(NeedsInput), Press("2", "2. Blue")], "b"),
            ..asked
        },
        Row {
            what: "plan approved by an answer",
            prompt: planned("c"),
            steps: then(vec![Is(NeedsPermission), Answer("yes")], "c"),
            ..plan.clone()
        },
        Row {
            what: "plan approved by a key",
            prompt: planned("d"),
            steps: then(vec![Is(NeedsPermission), Press("1", "1. Yes")], "d"),
            ..plan.clone()
        },
        Row {
            what: "plan refused by a key",
            prompt: planned("e"),
            steps: vec![Is(NeedsPermission), Press("Escape", "1. Yes"), Is(Idle)],
            activities: "starting idle working needs-permission idle",
            state: "RUNNING",
            ..plan
        },
    ]);
}

#[test]
fn interrupts() {
    rows(&[
        Row {
            what: "interrupt while streaming, and another prompt",
            prompt: script(
                &json!([{ "text": "alpha beta gamma", "gate": "mid", "gate_after_words": 2 }]),
            ),
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
            what: "interrupt before the answer",
            prompt: script(&json!([{ "text": "late", "gate": "never" }])),
            steps: vec![Held("never"), Is(Working), Interrupt, Is(Idle)],
            state: "RUNNING",
            ..Row::default()
        },
        Row {
            what: "interrupt in a tool",
            prompt: script(&json!([bash("touch begun; perl -e 'sleep 40'"), { "text": "No." }])),
            mode: PermissionMode::Bypass,
            steps: vec![File("begun"), Is(Working), Interrupt, Is(Idle)],
            state: "RUNNING",
            ..Row::default()
        },
        Row {
            what: "interrupt with a prompt queued",
            prompt: script(&json!([{ "text": "a b c", "gate": "cut", "gate_after_words": 1 }])),
            steps: vec![
                Held("cut"),
                Is(Working),
                Say(script(&json!([{ "text": "Two.", "gate": "after" }]))),
                Interrupt,
                Held("after"),
                Is(Working),
                Open("after"),
                Becomes("COMPLETED"),
            ],
            activities: ONE_OR_TWO_TURNS,
            ..Row::default()
        },
    ]);
}

#[test]
fn subagents() {
    let agent = |prompt: &str| {
        json!({ "tool": "Agent", "input": {
            "description": "Help", "prompt": prompt, "subagent_type": "general-purpose",
        } })
    };
    rows(&[
        Row {
            what: "background subagent",
            prompt: script(&json!([
                agent("SCENARIO:help"),
                { "text": "Waiting for help." },
            ])),
            steps: vec![Held("help"), Turns(1), Is(Working), Open("help"), Turns(2)],
            ..Row::default()
        },
        Row {
            what: "subagent asks permission",
            prompt: script(&json!([
                agent("SCENARIO:help_asking"),
                { "text": "Waiting for help." },
            ])),
            steps: then(
                vec![Is(NeedsPermission), Turns(1), Answer("yes"), File("help.txt")],
                "helped",
            ),
            activities: "starting idle working needs-permission working idle",
            ..Row::default()
        },
        Row {
            what: "background command",
            prompt: script(&json!([
                { "tool": "Bash", "input": { "command": "until [ -e go ]; do perl -e 'sleep 1'; done",
                  "description": "Wait", "run_in_background": true } },
                { "text": "It runs." },
                { "text": "It ended." },
            ])),
            mode: PermissionMode::Bypass,
            steps: vec![Turns(1), Is(Working), Step::Touch("go"), Turns(2)],
            ..Row::default()
        },
    ]);
}

#[test]
fn commands() {
    rows(&[
        Row {
            what: "/compact",
            steps: vec![
                Is(Idle),
                Say("Hello".into()),
                Turns(1),
                Is(Idle),
                Say("/compact".into()),
                Told("compacted"),
                Is(Idle),
            ],
            activities: "starting idle working idle working idle",
            state: "RUNNING",
            ..Row::default()
        },
        Row {
            what: "/clear, and another prompt",
            steps: vec![
                Is(Idle),
                Say("Hello".into()),
                Turns(1),
                Is(Idle),
                Say("/clear".into()),
                Shows("Claude Code v"),
                Say("Hello again".into()),
                Turns(2),
                Is(Idle),
            ],
            activities: "starting idle working idle working idle | \
                         starting idle working idle working idle working idle",
            state: "RUNNING",
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
    ]);
}
