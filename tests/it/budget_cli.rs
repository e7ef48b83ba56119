//! Money by the commands that a person types: shown, set, reset, exported; tasks parked and let go
//! on; a task that the budget does not let begin.

use std::fs;

use serde_json::Value;

use crate::support::{
    dispatcher::{create, wait_task},
    sandbox::Sandbox,
    stand_in,
};

/// A sandbox with the stand-in, and these lines in its configuration.
fn sandbox(lines: &str) -> Sandbox {
    let sandbox = stand_in::sandbox(2);
    let file = sandbox.home().join(".config/parhelia/parhelia.toml");
    let config = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{config}{lines}")).unwrap();
    sandbox
}

fn until(sandbox: &Sandbox, id: &str, state: &str) -> Value {
    wait_task(sandbox, id, &format!("to be {state}"), |it| it["state"] == state)
}

/// A task that is done and whose session is gone: nothing of it costs any more.
fn done(sandbox: &Sandbox, name: &str) -> Value {
    let id = create(sandbox, &["leave", "--name", name]);
    wait_task(sandbox, &id, "to be done", |it| {
        it["state"] == "COMPLETED" && it["session"].is_null()
    })
}

fn ceiling<'a>(view: &'a Value, scope: &str) -> &'a Value {
    let found = view["ceilings"].as_array().unwrap().iter().find(|it| it["scope"] == scope);
    found.unwrap_or_else(|| panic!("no {scope} in {view}"))
}

/// Returns micro-dollars, so that sums are exact.
fn micros(usd: &Value) -> i64 {
    (usd.as_f64().unwrap() * 1e6).round() as i64
}

/// Reads records whose fields hold no quotes.
fn records(csv: &str) -> Vec<Vec<&str>> {
    csv.split_terminator("\r\n").map(|it| it.split(',').collect()).collect()
}

#[test]
fn every_view_of_the_ledger_has_the_same_sum() {
    let sandbox = sandbox("[local]\ncost_per_hour = 36.0\n");
    let tasks = [done(&sandbox, "one"), done(&sandbox, "two")];
    let spent = micros(&ceiling(&sandbox.json(&["budget", "--json"]), "all")["spent_usd"]);
    let model: i64 = tasks.iter().map(|it| micros(&it["model_cost_usd"])).sum();
    assert!(0 < model && model < spent, "{model} of {spent}");
    for by in ["task", "type", "host", "model", "day"] {
        let costs = sandbox.json(&["budget", "show", "--by", by, "--json"]);
        let rows = costs["rows"].as_array().unwrap();
        let sum: i64 = rows.iter().map(|it| micros(&it["total_usd"])).sum();
        assert_eq!((sum, micros(&costs["total"]["total_usd"])), (spent, spent), "{by}: {costs}");
        assert_eq!(micros(&costs["total"]["model_usd"]), model, "{by}");
    }
    let history = sandbox.json(&["budget", "history", "--json"]);
    let days = history["days"].as_array().unwrap();
    assert_eq!(days.iter().map(|it| micros(&it["total_usd"])).sum::<i64>(), spent);
    let csv = sandbox.ok(&["budget", "export"]);
    let records = records(&csv);
    let column = |name: &str| records[0].iter().position(|it| *it == name).unwrap();
    let (amount, source) = (column("amount_micros"), column("source"));
    let sum = |rows: &[Vec<&str>]| -> i64 {
        rows.iter().map(|it| it[amount].parse::<i64>().unwrap()).sum()
    };
    assert_eq!(sum(&records[1..]), spent);
    let by_claude: Vec<Vec<&str>> =
        records[1..].iter().filter(|it| it[source] == "reported").cloned().collect();
    assert_eq!(sum(&by_claude), model);
    let id = tasks[0]["id"].as_str().unwrap();
    let lines = sandbox.ok(&["budget", "export", "--json", "--task", id]);
    let of_task: i64 = lines
        .lines()
        .map(|it| serde_json::from_str::<Value>(it).unwrap()["amount_micros"].as_i64().unwrap())
        .sum();
    let shown = sandbox.json(&["task", "show", id, "--json"]);
    assert_eq!(micros(&shown["costs"]["total"]["total_usd"]), of_task);
    assert_eq!(micros(&shown["cost_usd"]), of_task);
    let card = sandbox.ok(&["task", "show", id]);
    assert!(card.contains(" core or machine hours at $36.00"), "{card}");
}

#[test]
fn each_turn_has_what_it_cost_and_all_of_it_is_what_the_task_cost() {
    let sandbox = sandbox("[local]\ncost_per_hour = 36.0\n");
    let id = done(&sandbox, "one")["id"].as_str().unwrap().to_owned();
    sandbox.ok(&["task", "retry", "--resume", "--prompt", "go on and leave", &id]);
    let task = wait_task(&sandbox, &id, "to be done again", |it| {
        it["state"] == "COMPLETED" && it["session"].is_null() && it["turns"] == 2
    });
    let found = sandbox.json(&["budget", "turns", &id, "--json"]);
    let turns = found["turns"].as_array().unwrap();
    let numbers: Vec<_> = turns.iter().map(|it| (&it["number"], &it["attempt"])).collect();
    let [one, two] = [1, 2].map(Value::from);
    assert_eq!(numbers, [(&two, &two), (&one, &one)], "{found}");
    for turn in turns {
        assert_eq!((&turn["how"], &turn["asked"]), (&"done".into(), &"as it was given".into()));
        assert!(0 < micros(&turn["usd"]) && turn["tokens"]["output"] == 3, "{found}");
    }
    let model: i64 = turns.iter().map(|it| micros(&it["usd"])).sum();
    assert_eq!(model, micros(&task["model_cost_usd"]), "{found}");
    assert_eq!(micros(&found["total_usd"]), micros(&task["cost_usd"]), "{found}");
    assert_eq!(micros(&found["workers_usd"]), micros(&task["cost_usd"]) - model, "{found}");
    sandbox.ok(&["task", "delete", &id, "--yes", "--no-checkpoint"]);
    let shown = sandbox.ok(&["budget", "turns", &id]);
    assert!(shown.contains("as it was given") && shown.contains("total"), "{shown}");
}

#[test]
fn an_export_goes_to_a_file_and_outlives_its_task() {
    let sandbox = sandbox("");
    let id = done(&sandbox, "one")["id"].as_str().unwrap().to_owned();
    let file = sandbox.root().join("ledger.csv");
    let path = file.to_str().unwrap();
    sandbox.ok(&["budget", "export", "-o", path]);
    let before = fs::read_to_string(&file).unwrap();
    assert_eq!(before, sandbox.ok(&["budget", "export", "--csv"]));
    let again = sandbox.run(&["budget", "export", "-o", path]);
    assert_eq!(again.code, Some(4), "{again:?}");
    sandbox.ok(&["task", "delete", &id, "--yes", "--no-checkpoint"]);
    sandbox.ok(&["budget", "export", "--task", &id, "-o", path, "--force"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    let table = sandbox.ok(&["budget", "--by", "task"]);
    assert!(table.contains(&id) && table.contains("(deleted)"), "{table}");
}

#[test]
fn ceilings_are_set_and_the_history_says_so() {
    let sandbox = sandbox("[budget]\ndefault_ceiling_usd = 70\n");
    let set = |args: &[&str]| sandbox.ok(&[&["budget", "set"], args].concat());
    assert!(set(&["$80"]).starts_with("Ceiling: $70.00 → $80.00, $0.00 spent, $80.00 left"));
    assert!(set(&["5", "--day"]).starts_with("Daily ceiling: none → $5.00"));
    assert!(set(&["none"]).starts_with("Ceiling: $80.00 → none"));
    assert!(set(&["3", "--host", "local"]).starts_with("Ceiling of local: none → $3.00"));
    let view = sandbox.json(&["budget", "--json"]);
    assert_eq!(ceiling(&view, "all")["ceiling_usd"], Value::Null);
    assert_eq!(ceiling(&view, "day")["ceiling_usd"], 5.0);
    assert_eq!(ceiling(&view, "day")["origin"], "set");
    assert!(set(&["--configured"]).starts_with("Ceiling: none → $70.00"));
    let view = sandbox.json(&["budget", "--json"]);
    assert_eq!(ceiling(&view, "all")["origin"], "configured");
    let unknown = sandbox.run(&["budget", "set", "3", "--host", "locl"]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    assert!(unknown.stderr.contains("did you mean local?"), "{unknown:?}");
    let history = sandbox.ok(&["budget", "history"]);
    let last = history.lines().last().unwrap();
    assert!(last.contains("ceiling raised from $70.00 to $80.00"), "{history}");
}

#[test]
fn a_reset_begins_anew_and_the_ledger_stays() {
    let sandbox = sandbox("");
    done(&sandbox, "one");
    let before = sandbox.ok(&["budget", "export"]);
    let said = sandbox.ok(&["budget", "reset", "--yes"]);
    assert!(said.contains("; now $0.00 of $50.00 spent"), "{said}");
    let view = sandbox.json(&["budget", "--json"]);
    assert_eq!((micros(&ceiling(&view, "all")["spent_usd"]), &view["tasks"]), (0, &Value::from(0)));
    assert!(0 < micros(&ceiling(&view, "day")["spent_usd"]));
    assert_eq!(sandbox.ok(&["budget", "export"]), before);
}

#[test]
fn a_parked_task_goes_on_where_it_was() {
    let sandbox = sandbox("");
    let id = create(&sandbox, &["gate"]);
    until(&sandbox, &id, "RUNNING");
    sandbox.ok(&["task", "park", &id]);
    let parked = until(&sandbox, &id, "PARKED");
    assert_eq!(parked["session"], Value::Null);
    let list = sandbox.ok(&["task", "list", "--status", "parked"]);
    assert!(list.lines().any(|it| it.starts_with("=  ") && it.contains(&id)), "{list}");
    let shown = sandbox.ok(&["budget"]);
    assert!(shown.contains("parhelia task unpark ID (or --all)"), "{shown}");
    assert!(sandbox.ok(&["status"]).contains("1 parked"));
    stand_in::open(&sandbox);
    sandbox.ok(&["task", "unpark", "--all"]);
    let on = wait_task(&sandbox, &id, "to go on", |it| !it["session"].is_null());
    assert_eq!(on["conversation"], parked["conversation"]);
    let none = sandbox.run(&["task", "unpark", &id]);
    assert_eq!(none.code, Some(4), "{none:?}");
}

#[test]
fn what_waits_for_midnight_says_until_when_and_how_to_go_on_now() {
    let sandbox = sandbox("[budget]\nmax_daily_cost = 10\nreserve_usd = 0.5\n");
    let id = create(&sandbox, &["gate"]);
    until(&sandbox, &id, "RUNNING");
    sandbox.ok(&["task", "park", &id]);
    until(&sandbox, &id, "PARKED");
    sandbox.ok(&["budget", "set", "0.5", "--day"]);
    let told = sandbox.run(&["task", "unpark", &id]);
    assert_eq!(told.code, Some(0), "{told:?}");
    // Not that it waits for a prompt: it is not there yet.
    assert_eq!(told.stderr, "", "{told:?}");
    let waits = until(&sandbox, &id, "PENDING");
    let reason = waits["reason"].as_str().unwrap();
    assert!(told.stdout.contains(reason), "{told:?}");
    let clock = reason.strip_prefix("waiting for midnight (").unwrap().split_once(')').unwrap().0;
    assert!(clock.len() == 16 && clock.ends_with(" 00:00"), "{reason}");
    let ways = ["set 1 --day", "set none --day", "set USD --task ID"];
    assert!(ways.iter().all(|it| reason.contains(&format!("(parhelia budget {it})"))), "{reason}");
    stand_in::open(&sandbox);
    sandbox.ok(&["budget", "set", "none", "--day"]);
    wait_task(&sandbox, &id, "to go on", |it| !it["session"].is_null());
}

#[test]
fn what_the_budget_does_not_let_begin_says_the_ways_out_and_exits_with_8() {
    let sandbox = sandbox("[budget]\ndefault_ceiling_usd = 10\nreserve_usd = 20.0\n");
    let plan = sandbox.ok(&["task", "create", "leave", "--dry-run"]);
    // In the words in which it would be refused.
    assert!(plan.contains("Task would exceed budget ceiling ($10.00): $0.00 spent"), "{plan}");
    assert!(plan.contains("Estimate: no history: 0 generic tasks have ended"), "{plan}");
    assert!(plan.contains("Could not begin now by the budget: "), "{plan}");
    for how in [&["leave"][..], &["leave", "--sync"]] {
        let ran = sandbox.run(&[&["task", "create"], how].concat());
        assert_eq!(ran.code, Some(8), "{ran:?}");
        let said = "Dispatch failed: Task would exceed budget ceiling ($10.00)\n";
        assert!(ran.stderr.contains(said), "{ran:?}");
        assert!(ran.stderr.contains("$0.00 spent, $20.00 needed"), "{ran:?}");
        assert!(ran.stderr.contains("hint: raise it (parhelia budget set 20)"), "{ran:?}");
    }
    let task = create(&sandbox, &["leave", "--max-cost", "9"]);
    until(&sandbox, &task, "COMPLETED");
}
