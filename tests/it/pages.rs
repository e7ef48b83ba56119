//! What is too long for one answer comes in pages.

use parhelia::api::{
    client::ListQuery,
    error::ErrorKind,
    types::{CreateTask, TaskList},
};

use crate::support::{client::Caller, sandbox::Sandbox, stand_in};

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
