//! The dispatcher is killed at any moment, and nothing is lost, doubled or miscounted.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::support::{
    dispatcher::{self, Stored},
    random::Random,
    sandbox::{Ran, Sandbox},
    stand_in,
    wait::{PATIENCE, wait, wait_or_explain},
};

/// How long all tasks together may take to end after the last kill.
const SETTLE: Duration = Duration::from_secs(60);

/// How long the kill is looked forward to in each round; a task of the stand-in takes about as
/// long from its submission to its end.
const MOMENTS_MS: u64 = 900;

/// Tasks in flight at once, so that a kill meets them at different points of their lives.
const SLOTS: u32 = 6;

/// The one place that waits by time: the moment of a kill is what is tried out.
fn kill_after(sandbox: &Sandbox, moment: Duration) -> Option<u32> {
    thread::sleep(moment);
    // Just before its birth is no moment to be killed at; just after it is one.
    wait(PATIENCE, || dispatcher::kill(sandbox))
}

/// Submits `count` tasks at once, kills the dispatcher, and returns the acknowledged ones.
fn round(sandbox: &Sandbox, count: usize, moment: Duration, prompt: &str) -> Vec<String> {
    let args = ["task", "create", "--idle-timeout", "3s", prompt];
    let children: Vec<_> = (0..count).map(|_| dispatcher::start(sandbox, &args)).collect();
    let killed = kill_after(sandbox, moment);
    let ran: Vec<Ran> = children.into_iter().map(dispatcher::finish).collect();
    assert!(killed.is_some(), "no dispatcher came\n{ran:#?}\n{}", dispatcher::log(sandbox));
    ran.iter().filter_map(|it| dispatcher::acknowledged(&it.stdout)).collect()
}

#[test]
fn a_hundred_kills_lose_and_double_nothing() {
    let mut random = Random::new();
    let sandbox = stand_in::sandbox(SLOTS);
    let mut acknowledged = Vec::new();
    // A kill between request and answer leaves the person without a word. Where the machine is busy
    // that is the rule, and more rounds are needed for as many words.
    for i in 0.. {
        if 100 <= i && 60 < acknowledged.len() {
            break;
        }
        assert!(i < 400, "{} acknowledged", acknowledged.len());
        let count = if i % 5 == 0 { 2 } else { 1 };
        let words = if random.within(0..3) == 0 { "stay" } else { "leave" };
        let moment = Duration::from_millis(random.within(0..MOMENTS_MS));
        acknowledged.extend(round(&sandbox, count, moment, &format!("one turn, {words}")));
    }
    let tasks = settle(&sandbox, &acknowledged);
    one_start_each(&sandbox);
    dispatcher::stop(&sandbox);
    books_agree(&sandbox, &tasks);
    for task in &tasks {
        let conversation = task["conversation"].as_str().unwrap();
        assert_eq!(micros(task), stand_in::total(&sandbox, conversation), "{task}");
    }
}

#[test]
fn real_claude_is_neither_lost_nor_doubled_by_eight_kills() {
    let mut random = Random::new();
    let sandbox = Sandbox::new();
    let mut acknowledged = Vec::new();
    for i in 0..8 {
        let moment = Duration::from_millis(random.within(0..4 * MOMENTS_MS));
        let prompt = format!(r#"FAKE:[{{"text":"The answer of round {i}."}}]"#);
        acknowledged.extend(round(&sandbox, 1, moment, &prompt));
    }
    let tasks = settle(&sandbox, &acknowledged);
    dispatcher::stop(&sandbox);
    books_agree(&sandbox, &tasks);
    for task in &tasks {
        let prompt = task["prompt"].as_str().unwrap();
        let words = prompt.split('"').nth(3).unwrap();
        let asked = sandbox.api.turns().iter().filter(|it| it.asks(words)).count();
        let id = task["id"].as_str().unwrap();
        let story = || sandbox.run(&["logs", id, "--events"]).stdout;
        assert_eq!(asked, 1, "{prompt} went to the API {asked} times\n{}", story());
        let status = launch_dir(task).join("status.jsonl");
        let status = fs::read_to_string(status).unwrap();
        let shown = status.lines().rfind(|it| !it.contains("\"began\"")).unwrap();
        let last: Value = serde_json::from_str(shown).unwrap();
        let total = last["cost"]["total_cost_usd"].as_f64().unwrap();
        assert!(0.0 < total);
        assert_eq!(micros(task), (total * 1e6).round() as i64, "{task}");
    }
}

fn micros(task: &Value) -> i64 {
    (task["cost_usd"].as_f64().unwrap() * 1e6).round() as i64
}

fn launch_dir(task: &Value) -> PathBuf {
    Path::new(task["run_dir"].as_str().unwrap()).join("a1")
}

/// Waits until every task is complete at the first launch and its session gone, and returns them.
/// The acknowledged ones are among them.
fn settle(sandbox: &Sandbox, acknowledged: &[String]) -> Vec<Value> {
    let tasks = settled(sandbox);
    for id in acknowledged {
        assert!(tasks.iter().any(|it| it["id"] == **id), "{id} was acknowledged and is lost");
    }
    for task in &tasks {
        assert_eq!((&task["state"], &task["attempts"]), (&"COMPLETED".into(), &1.into()), "{task}");
    }
    tasks
}

fn settled(sandbox: &Sandbox) -> Vec<Value> {
    let open = |tasks: &[Value]| -> Vec<Value> {
        let over = |it: &&Value| {
            let ended = ["COMPLETED", "FAILED", "KILLED", "DISPATCH_FAILED"];
            !ended.iter().any(|state| it["state"] == *state) || !it["session"].is_null()
        };
        tasks.iter().filter(over).cloned().collect()
    };
    let look = || Some(dispatcher::tasks(sandbox)).filter(|it| open(it).is_empty());
    wait_or_explain("every task to be over", SETTLE, look, || {
        let open = open(&dispatcher::tasks(sandbox));
        format!("{open:#?}\n{}", dispatcher::log(sandbox))
    })
}

/// **Never two agents for one launch of a task.**
fn one_start_each(sandbox: &Sandbox) {
    let mut by_dir: HashMap<String, Vec<u32>> = HashMap::new();
    for start in stand_in::starts(sandbox) {
        by_dir.entry(start.dir).or_default().push(start.pid);
    }
    let twice: Vec<_> = by_dir.iter().filter(|it| it.1.len() != 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

/// Compares what the store holds with the files it was read from.
fn books_agree(sandbox: &Sandbox, tasks: &[Value]) {
    let store = dispatcher::store(sandbox);
    let events = dispatcher::events(&store);
    let numbers: Vec<u64> = events.iter().map(|it| it.seq).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "numbers have gaps");
    for task in tasks {
        let id = task["id"].as_str().unwrap();
        let dir = launch_dir(task);
        let own: Vec<&Stored> = events.iter().filter(|it| it.task == id).collect();
        assert_eq!(seen(&own), told(&dir.join("events.jsonl")), "{id}: {own:#?}");
        for kind in ["created", "dispatched", "launched", "session-ended"] {
            let count = own.iter().filter(|it| it.kind == kind).count();
            assert_eq!(count, 1, "{id}: {count} times {kind}: {own:#?}");
        }
        for (file, offset) in dispatcher::offsets(&store, id) {
            let path = match file.as_str() {
                "a1/events" => dir.join("events.jsonl"),
                "a1/status" => dir.join("status.jsonl"),
                transcript => transcript.into(),
            };
            let length = fs::metadata(&path).unwrap().len();
            assert_eq!(offset, length, "{id}: {}", path.display());
        }
        assert_eq!(dispatcher::offsets(&store, id).len(), 3, "{id}");
        assert!(!dir.join("env").exists(), "{id}: the environment was left behind");
    }
    let kept = fs::read_dir(sandbox.state().join("env")).unwrap().flatten();
    let mut kept: Vec<String> = kept.map(|it| it.file_name().into_string().unwrap()).collect();
    kept.sort();
    let mut known: Vec<String> =
        tasks.iter().map(|it| format!("{}.json", it["id"].as_str().unwrap())).collect();
    known.sort();
    assert_eq!(kept, known, "environments of no task were left behind");
}

/// Returns what was seen of hooks, by the store, in order of their names.
fn seen(events: &[&Stored]) -> Vec<String> {
    let name = |it: &&Stored| {
        let observation = &it.body["observation"];
        Some(match observation["seen"].as_str()? {
            "conversation-started" => "SessionStart",
            "prompt-submitted" => "UserPromptSubmit",
            "tool-started" => "PreToolUse",
            "tool-ended" => "PostToolUse",
            "turn-ended" => "Stop",
            "conversation-ended" => "SessionEnd",
            "notified" => "Notification",
            _ => return None,
        })
    };
    let mut names: Vec<String> = events.iter().filter_map(name).map(str::to_owned).collect();
    names.sort();
    names
}

/// Returns what hooks told, by their file, in order of their names.
fn told(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let name = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["payload"]["hook_event_name"].as_str().unwrap().to_owned()
    };
    let mut names: Vec<String> = text.lines().map(name).collect();
    names.sort();
    names
}
