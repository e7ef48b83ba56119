//! What is too long for one answer comes in pages.

use std::{fs, path::PathBuf};

use parhelia::api::{
    client::{ListQuery, LogQuery},
    error::ErrorKind,
    types::{CreateTask, LogLine, TaskList},
};

use crate::support::{
    client::Caller,
    dispatcher::{create, wait_task},
    sandbox::Sandbox,
    stand_in,
};

/// Submits `count` tasks of which one at most can run, and returns them, newest first.
fn submitted(sandbox: &Sandbox, caller: &Caller, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let request = CreateTask {
            prompt: "gate".into(),
            workspace: sandbox.workspace().to_str().unwrap().into(),
            ..CreateTask::default()
        };
        ids.push(caller.wait(caller.client.create_task(&request)).unwrap().task.id);
    }
    ids.reverse();
    ids
}

fn ids(list: &TaskList) -> Vec<&str> {
    list.tasks.iter().map(|it| it.id.as_str()).collect()
}

#[test]
fn tasks_are_listed_page_by_page() {
    let sandbox = stand_in::sandbox(1);
    let caller = Caller::new(&sandbox);
    let all = submitted(&sandbox, &caller, 12);
    let page = |before: Option<&str>, status: Option<&str>| {
        let query = ListQuery {
            limit: Some(5),
            before: before.map(Into::into),
            status: status.map(Into::into),
        };
        caller.wait(caller.client.tasks(&query))
    };
    for status in [None, Some("active")] {
        let mut seen: Vec<String> = Vec::new();
        for expected in [5, 5, 2, 0] {
            let list = page(seen.last().map(String::as_str), status).unwrap();
            assert_eq!((list.tasks.len(), list.total), (expected, 12), "{status:?}");
            seen.extend(ids(&list).into_iter().map(str::to_owned));
        }
        assert_eq!(seen, all, "{status:?}");
    }
    // A filter leaves out what does not match on every page.
    let waiting = page(Some(&all[2]), Some("pending")).unwrap();
    assert_eq!(ids(&waiting), all[3..8].iter().collect::<Vec<_>>());
    assert_eq!(page(Some("task-nothere2"), None).unwrap_err().kind, ErrorKind::NotFound);

    // So does a person.
    let shown = sandbox.json(&["list", "--json", "-n", "2", "--before", &all[4]]);
    let shown: Vec<&str> =
        shown["tasks"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(shown, all[5..7]);
}

/// Returns the transcript of a task's newest conversation.
fn transcript(sandbox: &Sandbox, id: &str) -> PathBuf {
    let task = wait_task(sandbox, id, "to be complete", |it| it["state"] == "COMPLETED");
    let conversation = task["conversation"].as_str().unwrap();
    sandbox.home().join(format!(".claude/projects/stand-in/{conversation}.jsonl"))
}

/// Appends what Claude may write: lines with two blocks and with none, of all lengths, one that is
/// too long to read, and last one that is not complete. Returns how many entries it has.
fn write_on(path: &PathBuf, count: u64) -> usize {
    let mut text = fs::read_to_string(path).unwrap();
    let mut entries = 0;
    for n in 0..count {
        let long = "x".repeat(usize::try_from(n * 37 % 4001).unwrap());
        let at = format!("2026-01-02T03:04:{:02}.{:03}Z", n / 1000 % 60, n % 1000);
        text.push_str(&match n % 7 {
            0 => format!("{{\"type\":\"mode\",\"x\":\"{long}\"}}\n"),
            1 => {
                entries += 2;
                format!(
                    "{{\"type\":\"assistant\",\"timestamp\":\"{at}\",\"message\":{{\"content\":[\
                     {{\"type\":\"text\",\"text\":\"a{n}\"}},{{\"type\":\"text\",\"text\":\"b{n}\"}}]}}}}\n"
                )
            }
            2 if n == 2 => format!("{}\n\n", "y".repeat(5 * 1024 * 1024)),
            _ => {
                entries += 1;
                format!(
                    "{{\"type\":\"user\",\"timestamp\":\"{at}\",\"message\":{{\"content\":\
                     \"{n} {long}\"}}}}\n"
                )
            }
        });
    }
    text.push_str("{\"type\":\"user\",\"message\":{\"content\":\"not compl");
    fs::write(path, text).unwrap();
    entries
}

fn log(caller: &Caller, id: &str, query: &LogQuery) -> Vec<LogLine> {
    caller.wait(async {
        let mut stream = caller.client.log(id, query).await.unwrap();
        let mut lines = Vec::new();
        while let Some(line) = stream.next().await.unwrap() {
            lines.push(line);
        }
        lines
    })
}

#[test]
fn a_log_is_read_backwards_page_by_page() {
    let sandbox = stand_in::sandbox(1);
    let caller = Caller::new(&sandbox);
    let id = create(&sandbox, &["leave"]);
    let mut entries = write_on(&transcript(&sandbox, &id), 900);
    sandbox.ok(&["task", "retry", &id]);
    entries += write_on(&transcript(&sandbox, &id), 300);

    for view in ["activity", "events"] {
        let query =
            |tail, before| LogQuery { view: view.into(), tail, before, ..LogQuery::default() };
        let all = log(&caller, &id, &query(None, None));
        if view == "activity" {
            // Each conversation began with a prompt of its own.
            assert_eq!(all.len(), entries + 2);
        }
        for size in [1, 2, 7, 200, 10_000] {
            assert_eq!(log(&caller, &id, &query(Some(size), None)), newest(&all, size), "{size}");
            if 200 < all.len() && size < 7 {
                continue;
            }
            let mut pages: Vec<LogLine> = Vec::new();
            loop {
                let page = log(&caller, &id, &query(Some(size), pages.first().map(pos)));
                let left = &all[..all.len() - pages.len()];
                assert_eq!(page, newest(left, size), "{view} by {size}");
                if page.is_empty() {
                    break;
                }
                pages.splice(0..0, page);
            }
            assert_eq!(pages.len(), all.len());
        }
        // Every line leads to what is before it, and to all of that.
        for at in [0, 1, 5, all.len() / 2, all.len() - 1] {
            assert_eq!(log(&caller, &id, &query(None, all[at].pos)), all[..at], "{view} {at}");
        }
    }
}

fn newest(lines: &[LogLine], count: usize) -> &[LogLine] {
    &lines[lines.len().saturating_sub(count)..]
}

fn pos(line: &LogLine) -> u64 {
    line.pos.unwrap()
}

#[test]
fn a_log_can_begin_at_a_moment() {
    let sandbox = stand_in::sandbox(1);
    let caller = Caller::new(&sandbox);
    let id = create(&sandbox, &["leave"]);
    write_on(&transcript(&sandbox, &id), 900);
    let query = |since| LogQuery { view: "activity".into(), since, ..LogQuery::default() };
    let timed = |since| {
        let mut lines = log(&caller, &id, &query(since));
        lines.retain(|it| it.at.is_some());
        lines
    };
    let all = timed(None);
    for at in [0, 10, all.len() - 3] {
        let since = all[at].at;
        let expected: Vec<LogLine> = all.iter().filter(|it| since <= it.at).cloned().collect();
        assert_eq!(timed(since.map(|it| it.0)), expected, "{at}");
    }
}

#[test]
fn what_is_no_place_in_a_log_is_refused() {
    let sandbox = stand_in::sandbox(1);
    let caller = Caller::new(&sandbox);
    let id = create(&sandbox, &["leave"]);
    transcript(&sandbox, &id);
    let refused = |query: LogQuery| {
        let answer = caller.wait(caller.client.log(&id, &query));
        answer.err().map(|it| it.kind)
    };
    let activity = LogQuery { view: "activity".into(), ..LogQuery::default() };
    let before = Some(1);
    for query in [
        LogQuery { before: Some(u64::MAX), ..activity.clone() },
        LogQuery { before, follow: true, ..activity },
        LogQuery { view: "raw".into(), before, ..LogQuery::default() },
    ] {
        assert_eq!(refused(query.clone()), Some(ErrorKind::Invalid), "{query:?}");
    }
    let shown = sandbox.ok(&["logs", &id, "--json", "-n", "1"]);
    let line: LogLine = serde_json::from_str(&shown).unwrap();
    assert!(line.pos.is_some(), "{shown}");
    let none = sandbox.ok(&["logs", &id, "--json", "--before", &pos(&line).to_string()]);
    assert_eq!(none, "", "{shown}");
}
