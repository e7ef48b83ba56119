//! Ceilings in a real dispatcher: many tasks at once, kills between, and what is parked goes on.

use std::{fs, thread};

use parhelia::api::{
    client::Client,
    types::{CreateTask, Created},
};
use serde_json::Value;

use crate::support::{
    client::Caller,
    dispatcher,
    sandbox::Sandbox,
    stand_in,
    wait::{PATIENCE, wait_or_explain},
};

/// Tasks that are submitted at once.
const MANY: usize = 200;
/// Ceilings in dollars: seven reservations of ten fit, and no session of the stand-in costs ten.
const CEILING: &str = "70";

/// Sets the ceiling in the configuration, for the next dispatcher.
fn configure(sandbox: &Sandbox, ceiling: &str) {
    let file = sandbox.home().join(".config/parhelia/parhelia.toml");
    let config = fs::read_to_string(&file).unwrap();
    let (rest, _) = config.split_once("[budget]").unwrap_or((&config, ""));
    let budget = format!("[budget]\ndefault_ceiling_usd = {ceiling}\nreserve_usd = 10\n");
    fs::write(&file, format!("{rest}{budget}")).unwrap();
}

fn at_once(caller: &Caller, request: &CreateTask) -> Vec<Created> {
    let client: &Client = &caller.client;
    let all = futures_util::future::join_all((0..MANY).map(|_| client.create_task(request)));
    caller.wait(all).into_iter().map(Result::unwrap).collect()
}

fn count(tasks: &[Value], state: &str) -> usize {
    tasks.iter().filter(|it| it["state"] == state).count()
}

/// Waits until so many tasks are in these states, and returns all tasks.
fn until(sandbox: &Sandbox, wanted: &[(&str, usize)]) -> Vec<Value> {
    let look = || {
        let tasks = dispatcher::tasks(sandbox);
        wanted.iter().all(|it| count(&tasks, it.0) == it.1).then_some(tasks)
    };
    wait_or_explain(&format!("{wanted:?}"), 2 * PATIENCE, look, || {
        let states: Vec<String> =
            dispatcher::tasks(sandbox).iter().map(|it| it["state"].to_string()).collect();
        format!("{states:?}\n{}", dispatcher::log(sandbox))
    })
}

#[test]
fn of_two_hundred_at_once_seven_run_and_what_a_ceiling_parks_goes_on() {
    let sandbox = stand_in::sandbox(1000);
    configure(&sandbox, CEILING);
    let caller = Caller::new(&sandbox);
    let workspace = sandbox.workspace().to_str().unwrap().to_owned();
    let prompt = "gate leave".to_owned();
    let request = CreateTask { prompt, workspace, ..CreateTask::default() };
    assert_eq!(at_once(&caller, &request).len(), MANY);
    let tasks = until(&sandbox, &[("RUNNING", 7), ("PENDING", MANY - 7)]);
    let waits = tasks.iter().find(|it| it["state"] == "PENDING").unwrap();
    let reason = waits["reason"].as_str().unwrap();
    assert!(reason.starts_with("waiting for budget: it needs $10.00"), "{reason}");
    assert!(stand_in::starts(&sandbox).len() <= 7);

    // What is reserved is known to the next dispatcher.
    dispatcher::kill(&sandbox).unwrap();
    until(&sandbox, &[("RUNNING", 7), ("PENDING", MANY - 7)]);
    assert_eq!(stand_in::starts(&sandbox).len(), 7);

    // A ceiling that is passed already parks what works and refuses what waits.
    dispatcher::stop(&sandbox);
    configure(&sandbox, "0.0001");
    let tasks = until(&sandbox, &[("PARKED", 7), ("DISPATCH_FAILED", MANY - 7)]);
    for task in &tasks {
        let reason = task["reason"].as_str().unwrap();
        let expected = match task["state"].as_str() {
            Some("PARKED") => "budget ceiling $0.0001 reached (spent $",
            _ => "Task would exceed budget ceiling ($0.0001): $",
        };
        assert!(reason.starts_with(expected), "{reason}");
    }
    let parked = tasks.iter().find(|it| it["state"] == "PARKED").unwrap();
    let id = parked["id"].as_str().unwrap();
    let kept = sandbox.json(&["checkpoint", "list", "--task", id, "--json"]).to_string();
    // One of before the park, or of the dispatcher's end if nothing happened since.
    assert!(kept.contains("before-park") || kept.contains("shutdown"), "{kept}");

    // Everything goes on once there is room.
    dispatcher::stop(&sandbox);
    configure(&sandbox, CEILING);
    stand_in::open(&sandbox);
    sandbox.ok(&["task", "retry", "--resume", "--prompt", "go on and leave", id]);
    dispatcher::wait_task(&sandbox, id, "to go on", |it| it["state"] == "COMPLETED");
    dispatcher::stop(&sandbox);
    books_agree(&sandbox);
}

/// What the ledger has is what the tasks cost by the stand-in's own books.
fn books_agree(sandbox: &Sandbox) {
    let store = dispatcher::store(sandbox);
    let sum = |sql: &str| -> i64 { store.query_row(sql, [], |row| row.get(0)).unwrap() };
    let ledger = sum("SELECT sum(amount) FROM ledger");
    let mut own = 0;
    for file in fs::read_dir(sandbox.home().join("stand-in")).unwrap().flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        if let Some(conversation) = name.strip_prefix("total.") {
            own += stand_in::total(sandbox, conversation);
        }
    }
    assert_eq!(ledger, own);
}

#[test]
fn a_ceiling_holds_for_threads_that_race() {
    let sandbox = stand_in::sandbox(1000);
    configure(&sandbox, CEILING);
    sandbox.ok(&["daemon", "start"]);
    thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| dispatcher::create(&sandbox, &["gate"]));
        }
    });
    until(&sandbox, &[("RUNNING", 7), ("PENDING", 3)]);
}

/// A sandbox in which a worker costs a dime a second.
fn dear() -> Sandbox {
    let sandbox = stand_in::sandbox(2);
    let file = sandbox.home().join(".config/parhelia/parhelia.toml");
    let config = fs::read_to_string(&file).unwrap();
    fs::write(file, format!("{config}[local]\ncost_per_hour = 360\n")).unwrap();
    sandbox
}

/// Waits until a task is parked at a ceiling, and returns what it had spent, in micro-dollars, and
/// the ceiling.
fn bitten(sandbox: &Sandbox, id: &str) -> (i64, i64) {
    dispatcher::wait_task(sandbox, id, "to be parked", |it| it["state"] == "PARKED");
    let events = dispatcher::events(&dispatcher::store(sandbox));
    let told = events.iter().find(|it| it.task == id && it.kind == "stop-requested").unwrap();
    let why = &told.body["cause"]["why"];
    (why["spent"].as_i64().unwrap(), why["ceiling"].as_i64().unwrap())
}

/// Two workers whose price alone brings their tasks to a ceiling, four seconds apart: the step in
/// which everything is judged anyhow, once in 15 seconds, cannot come right after both.
#[test]
fn a_ceiling_that_a_worker_s_price_reaches_bites_at_that_moment() {
    let sandbox = dear();
    let ids =
        ["0.2", "0.6"].map(|it| dispatcher::create(&sandbox, &["--interactive", "--max-cost", it]));
    for id in &ids {
        let (spent, ceiling) = bitten(&sandbox, id);
        assert!((0..200_000).contains(&(spent - ceiling)), "{spent} of {ceiling}");
    }
}

/// That sessions first say what happened while there was no dispatcher takes no 15 seconds.
#[test]
fn a_ceiling_bites_as_soon_as_a_dispatcher_knows_what_runs() {
    let sandbox = dear();
    let id = dispatcher::create(&sandbox, &["--interactive"]);
    dispatcher::wait_task(&sandbox, &id, "to be there", |it| it["activity"] == "idle");
    dispatcher::kill(&sandbox).unwrap();
    sandbox.ok(&["daemon", "start"]);
    let before = dispatcher::task(&sandbox, &id)["cost_usd"].as_f64().unwrap();
    sandbox.ok(&["budget", "set", "0.01", "--task", &id]);
    let (spent, _) = bitten(&sandbox, &id);
    let late = spent - (before * 1e6) as i64;
    assert!((0..500_000).contains(&late), "{late}");
}
