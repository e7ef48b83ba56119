//! The queue and the limits of a task, also across a dispatcher that died.

use serde_json::Value;

use crate::support::{dispatcher, sandbox::Sandbox, stand_in};

/// Waits until the task is in `state` and returns it.
fn until(sandbox: &Sandbox, id: &str, state: &str) -> Value {
    dispatcher::wait_task(sandbox, id, &format!("to be {state}"), |it| it["state"] == state)
}

#[test]
fn a_full_host_makes_tasks_wait_and_the_highest_priority_goes_first() {
    let sandbox = stand_in::sandbox(1);
    let first = dispatcher::create(&sandbox, &["gate"]);
    let low = dispatcher::create(&sandbox, &["leave", "--name", "low"]);
    let high = dispatcher::create(&sandbox, &["leave", "--priority", "5"]);
    until(&sandbox, &first, "RUNNING");
    for id in [&low, &high] {
        let task = until(&sandbox, id, "PENDING");
        assert_eq!(task["reason"], "waiting for a slot on local: 1 of 1 in use");
    }
    stand_in::open(&sandbox);
    for id in [&first, &low, &high] {
        until(&sandbox, id, "COMPLETED");
    }
    let order: Vec<String> = stand_in::starts(&sandbox).into_iter().map(|it| it.task).collect();
    assert_eq!(order, [first, high, low]);
}

#[test]
fn what_no_host_can_give_fails_at_once() {
    let sandbox = stand_in::sandbox(1);
    let ran = sandbox.run(&["task", "create", "x", "--gpu", "H100"]);
    assert_eq!(ran.code, Some(6), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("Dispatch failed: No available workers: local has no H100 GPU"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_time_out_holds_when_the_dispatcher_died_meanwhile() {
    let sandbox = stand_in::sandbox(1);
    let id = dispatcher::create(&sandbox, &["gate", "--timeout", "2s"]);
    until(&sandbox, &id, "RUNNING");
    dispatcher::kill(&sandbox).unwrap();
    // The next command starts another dispatcher, which finds the limit in its store.
    let task = until(&sandbox, &id, "FAILED");
    assert_eq!(task["reason"], "timed out after 2s");
}

#[test]
fn an_idle_session_is_closed_and_its_task_stays_complete() {
    let sandbox = stand_in::sandbox(1);
    let id = dispatcher::create(&sandbox, &["turn", "--idle-timeout", "1s"]);
    until(&sandbox, &id, "COMPLETED");
    dispatcher::kill(&sandbox).unwrap();
    let closed = |task: &Value| task["session"].is_null();
    let task = dispatcher::wait_task(&sandbox, &id, "to be closed", closed);
    assert_eq!(task["state"], "COMPLETED");
}

#[test]
fn a_ceiling_parks_the_session_and_says_so() {
    let sandbox = stand_in::sandbox(1);
    let id = dispatcher::create(&sandbox, &["gate", "--max-cost", "0.000001"]);
    let task = until(&sandbox, &id, "PARKED");
    let reason = task["reason"].as_str().unwrap();
    assert!(reason.starts_with("task ceiling $0.0000 reached (spent $"), "{reason}");
}

#[test]
fn the_status_says_what_may_be_spent_and_what_was() {
    let sandbox = stand_in::sandbox(1);
    let file = sandbox.home().join(".config/parhelia/parhelia.toml");
    let mut config = std::fs::read_to_string(&file).unwrap();
    config.push_str("[budget]\ndefault_ceiling_usd = 70\nmax_daily_cost = 7.5\n");
    std::fs::write(&file, config).unwrap();
    let id = dispatcher::create(&sandbox, &["leave"]);
    let cost = until(&sandbox, &id, "COMPLETED")["cost_usd"].clone();
    let status = sandbox.json(&["status", "--json"]);
    let expected = serde_json::json!({
        "total_usd": cost, "last_day_usd": cost, "ceiling_usd": 70.0, "daily_ceiling_usd": 7.5,
        "warning_threshold": 0.8, "ceiling_enforced": true,
    });
    assert_eq!(status["spend"], expected);
    let told = sandbox.ok(&["status"]);
    let end = "of $70.00 in all";
    let line = told.lines().find(|it| it.starts_with("spend ")).unwrap();
    assert!(line.contains(" of $7.50 today, ") && line.ends_with(end), "{line}");
}
