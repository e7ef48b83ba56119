//! Sessions whose dispatcher is gone do not go on for ever.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use crate::support::{
    dispatcher,
    ground::{bash, script},
    sandbox::Sandbox,
    stand_in,
    wait::{PATIENCE, wait_or_explain, wait_until},
};

/// Longer than a watchdog waits for an answer, and then for Claude's end.
const LONG: Duration = Duration::from_secs(60);

/// Adds to the configuration.
fn configure(sandbox: &Sandbox, text: &str) {
    let file = sandbox.home().join(".config/parhelia/parhelia.toml");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let config = fs::read_to_string(&file).unwrap_or_default();
    fs::write(file, format!("{config}{text}")).unwrap();
}

/// Returns the directory of a task's launch.
fn launch(sandbox: &Sandbox, id: &str, attempt: u32) -> PathBuf {
    sandbox.state().join("runs").join(id).join(format!("a{attempt}"))
}

fn words(path: &Path) -> Option<Vec<String>> {
    let text = fs::read_to_string(path).ok().filter(|it| it.ends_with('\n'))?;
    Some(text.split_ascii_whitespace().map(str::to_owned).collect())
}

fn number(words: &[String], at: usize) -> i64 {
    words[at].parse().unwrap()
}

fn pid(dir: &Path, file: &str) -> u32 {
    let look = || words(&dir.join(file))?.first()?.parse().ok();
    wait_until(&format!("{file} of {}", dir.display()), PATIENCE, look)
}

/// Waits until a session that has no dispatcher is over, and returns the watchdog's note.
fn over(dir: &Path) -> Vec<String> {
    let look = || words(&dir.join("exit")).and(words(&dir.join("lease.over")));
    wait_or_explain("the watchdog to end the session", LONG, look, || {
        let list = fs::read_dir(dir).unwrap().flatten().map(|it| it.file_name());
        format!("{:?} {:?}", list.collect::<Vec<_>>(), fs::read_to_string(dir.join("lease")))
    })
}

fn watchdog_is_gone(dir: &Path) {
    let watchdog = pid(dir, "lease.pid");
    let gone = || (!dispatcher::lives(watchdog)).then_some(());
    wait_until("the watchdog to be gone", PATIENCE, gone);
}

fn parked(sandbox: &Sandbox, id: &str) -> Value {
    dispatcher::wait_task(sandbox, id, "to be PARKED", |it| it["state"] == "PARKED")
}

fn micros(task: &Value) -> i64 {
    (task["cost_usd"].as_f64().unwrap() * 1e6).round() as i64
}

/// Returns the last total that Claude reported in a launch.
fn last_total(dir: &Path) -> i64 {
    let text = fs::read_to_string(dir.join("status.jsonl")).unwrap();
    let shown = text.lines().rfind(|it| !it.contains("\"began\"")).unwrap();
    let last: Value = serde_json::from_str(shown).unwrap();
    (last["cost"]["total_cost_usd"].as_f64().unwrap() * 1e6).round() as i64
}

#[test]
fn a_session_without_a_dispatcher_stops_at_what_is_left() {
    let sandbox = stand_in::sandbox(2);
    configure(&sandbox, "[budget]\ndefault_ceiling_usd = 3\n");
    let id = dispatcher::create(&sandbox, &["spend"]);
    dispatcher::wait_task(&sandbox, &id, "to spend", |it| 300_000 < micros(it));
    dispatcher::kill(&sandbox).unwrap();
    let dir = launch(&sandbox, &id, 1);
    let note = over(&dir);
    assert_eq!(note[..2], ["parhelia-lease-1", "spent"], "{note:?}");
    // A response more at most was under way. That the stand-in does not know Escape, and spends on
    // until it is told to end, is its own affair.
    let too_much = number(&note, 3) - number(&note, 4);
    assert!((0..600_000).contains(&too_much), "{note:?}");
    let total = last_total(&dir);
    assert!(3_000_000 <= total, "{total}");
    watchdog_is_gone(&dir);
    let task = parked(&sandbox, &id);
    assert_eq!(micros(&task), total, "{task}");
}

#[test]
fn a_session_that_no_dispatcher_renews_ends_and_is_charged_until_then() {
    let sandbox = stand_in::sandbox(2);
    configure(&sandbox, "[budget]\npaid_lease = \"4s\"\n[local]\ncost_per_hour = 3.6\n");
    let id = dispatcher::create(&sandbox, &["gate"]);
    dispatcher::wait_task(&sandbox, &id, "to work", |it| it["activity"] == "working");
    let dir = launch(&sandbox, &id, 1);
    // While there is a dispatcher it does not end, however often it was over without one.
    let written = || number(&words(&dir.join("lease")).unwrap(), 1);
    let first = written();
    wait_until("the lease to be renewed again and again", LONG, || {
        assert!(!dir.join("lease.over").exists());
        (first + 9 < written()).then_some(())
    });
    dispatcher::kill(&sandbox).unwrap();
    let note = over(&dir);
    assert_eq!(note[..2], ["parhelia-lease-1", "deadline"], "{note:?}");
    let ended = number(&words(&dir.join("exit")).unwrap(), 1);
    // Some time that nobody is to pay for.
    wait_until("three seconds to pass", PATIENCE, || (ended + 3 <= clock()).then_some(()));
    let task = parked(&sandbox, &id);
    let reason = task["reason"].as_str().unwrap();
    assert_eq!(reason, "no dispatcher looked after it, and its lease ran out");
    dispatcher::stop(&sandbox);
    let events = dispatcher::events(&dispatcher::store(&sandbox));
    let end = events.iter().find(|it| it.kind == "session-ended").unwrap();
    assert_eq!(end.body["ended_at"], json!(ended * 1000), "{end:?}");
    let metered = "SELECT max(until), min(since), sum(amount) FROM ledger WHERE kind != 'model'";
    let (until, since, amount): (i64, i64, i64) = dispatcher::store(&sandbox)
        .query_row(metered, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap();
    assert_eq!((until, amount), (ended * 1000, until - since), "a micro-dollar a millisecond");
}

fn clock() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

#[test]
fn a_dispatcher_that_comes_back_renews_at_once() {
    let sandbox = stand_in::sandbox(1);
    let id = dispatcher::create(&sandbox, &["gate"]);
    dispatcher::wait_task(&sandbox, &id, "to work", |it| it["activity"] == "working");
    let lease = launch(&sandbox, &id, 1).join("lease");
    let written = || words(&lease).map(|it| (number(&it, 1), number(&it, 2)));
    dispatcher::kill(&sandbox).unwrap();
    let (first, until) = written().unwrap();
    assert_eq!(until - first, 86_400 + 1);
    wait_until("the next second", PATIENCE, || (first < clock()).then_some(()));
    sandbox.ok(&["daemon", "start"]);
    wait_until("a new lease", PATIENCE, || written().filter(|it| first < it.0));
    stand_in::open(&sandbox);
    dispatcher::wait_task(&sandbox, &id, "to be done", |it| it["state"] == "COMPLETED");
}

#[test]
fn no_watchdog_outlives_its_session() {
    let sandbox = stand_in::sandbox(3);
    let left = dispatcher::create(&sandbox, &["leave"]);
    let killed = dispatcher::create(&sandbox, &["gate"]);
    let lost = dispatcher::create(&sandbox, &["gate"]);
    let watchdogs = [&left, &killed, &lost].map(|it| pid(&launch(&sandbox, it, 1), "lease.pid"));
    let gone = |at: usize| {
        let pid = watchdogs[at];
        wait_until("the watchdog to be gone", PATIENCE, || (!dispatcher::lives(pid)).then_some(()));
    };
    gone(0);
    for id in [&killed, &lost] {
        dispatcher::wait_task(&sandbox, id, "to work", |it| it["activity"] == "working");
    }
    assert!(dispatcher::lives(watchdogs[1]) && dispatcher::lives(watchdogs[2]));
    sandbox.ok(&["session", "kill", &killed]);
    gone(1);
    let socket = fs::read_dir(sandbox.root().join("tmux")).unwrap().flatten().next().unwrap();
    let socket = fs::read_dir(socket.path()).unwrap().flatten().next().unwrap().path();
    assert!(
        sandbox
            .command("tmux")
            .arg("-S")
            .arg(socket)
            .arg("kill-server")
            .status()
            .unwrap()
            .success()
    );
    gone(2);
    for id in [&left, &killed, &lost] {
        let dir = launch(&sandbox, id, 1);
        assert!(!dir.join("lease.over").exists(), "{id}");
        let exit = wait_until("how it ended", PATIENCE, || words(&dir.join("exit")));
        assert_eq!(exit.len(), 2, "{id}");
    }
}

#[test]
fn real_claude_without_a_dispatcher_overshoots_by_one_response() {
    let sandbox = Sandbox::new();
    configure(&sandbox, "[budget]\ndefault_ceiling_usd = 3\n");
    let step = |_| {
        let mut step = bash("true");
        step["delay"] = json!(0.4);
        step["usage"] = json!({ "output_tokens": 10_000 });
        step
    };
    let steps: Vec<Value> = (0..200).map(step).collect();
    let mode = ["--permission-mode", "bypassPermissions"];
    let id = dispatcher::create(&sandbox, &[&mode[..], &[&script(&json!(steps))]].concat());
    let look = |it: &Value| 400_000 < micros(it);
    dispatcher::wait_task_for(&sandbox, &id, "to spend", LONG, look);
    dispatcher::kill(&sandbox).unwrap();
    let dir = launch(&sandbox, &id, 1);
    let note = over(&dir);
    assert_eq!(note[..2], ["parhelia-lease-1", "spent"], "{note:?}");
    let text = fs::read_to_string(dir.join("status.jsonl")).unwrap();
    let total = |line: &str| -> i64 {
        let line: Value = serde_json::from_str(line).unwrap();
        (line["cost"]["total_cost_usd"].as_f64().unwrap() * 1e6).round() as i64
    };
    let mut totals: Vec<i64> = text.lines().map(total).collect();
    totals.sort_unstable();
    totals.dedup();
    let most = totals.windows(2).map(|it| it[1] - it[0]).max().unwrap();
    // The one that passes the limit, and at most one that was under way meanwhile.
    let last = last_total(&dir);
    assert!((3_000_000..3_000_000 + 2 * most).contains(&last), "{totals:?}");
    let task = parked(&sandbox, &id);
    assert_eq!(micros(&task), last, "{task}");
    // It can go on, with its conversation, once there is money.
    dispatcher::stop(&sandbox);
    let file = sandbox.home().join(".config/parhelia/parhelia.toml");
    fs::write(file, "[budget]\ndefault_ceiling_usd = 50\n").unwrap();
    sandbox.ok(&["task", "retry", "--resume", &id, "-p", "FAKE:[{\"text\":\"Back again.\"}]"]);
    let back = |it: &Value| it["state"] == "COMPLETED";
    let task = dispatcher::wait_task_for(&sandbox, &id, "to go on", LONG, back);
    assert!(last <= micros(&task) && micros(&task) < last + most, "{task}");
    assert!(!launch(&sandbox, &id, 2).join("lease.over").exists());
}
