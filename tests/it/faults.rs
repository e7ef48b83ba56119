//! Everything around a task dies, and the task goes on, or says why not and can be taken up.

use std::{
    collections::HashSet,
    fs,
    io::Write,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{
    dispatcher::{self, Stored, create, task, wait_task},
    leftovers,
    sandbox::{Sandbox, run},
    screen::Screen,
    stand_in,
    wait::{PATIENCE, wait, wait_until},
};

fn is(task: &Value, state: &str) -> bool {
    task["state"] == state
}

/// Creates a task that works until the gate is opened, and returns it once it does.
fn at_the_gate(sandbox: &Sandbox, args: &[&str]) -> String {
    let id = create(sandbox, &[args, &["gate"]].concat());
    wait_task(sandbox, &id, "to work", |it| {
        it["last"] == "Bash: true" || it["turns"] == 0 && it["activity"] == "working"
    });
    id
}

/// Ends the sandbox's own tmux server, as `kill -9` of it would.
fn kill_tmux(sandbox: &Sandbox) {
    let mut killed = 0;
    for dir in fs::read_dir(sandbox.root().join("tmux")).unwrap().flatten() {
        for socket in fs::read_dir(dir.path()).unwrap().flatten() {
            let mut ask = sandbox.command("tmux");
            ask.arg("-S").arg(socket.path()).args(["display-message", "-p", "#{pid}"]);
            if let Ok(pid) = run(ask).stdout.trim().parse() {
                leftovers::kill(pid);
                killed += 1;
            }
        }
    }
    assert_eq!(killed, 1, "there is one tmux server");
}

#[test]
fn a_task_goes_on_when_its_client_is_killed() {
    let sandbox = stand_in::sandbox(4);
    sandbox.ok(&["daemon", "start"]);
    for args in [&["task", "create", "gate leave"][..], &["task", "create", "--sync", "gate leave"]]
    {
        let before = dispatcher::tasks(&sandbox).len();
        let mut client: Child = dispatcher::start(&sandbox, args);
        wait_until("the task", PATIENCE, || {
            (before < dispatcher::tasks(&sandbox).len()).then_some(())
        });
        client.kill().unwrap();
        client.wait().unwrap();
    }
    stand_in::open(&sandbox);
    for it in dispatcher::tasks(&sandbox) {
        let id = it["id"].as_str().unwrap();
        let task = wait_task(&sandbox, id, "to end", |it| is(it, "COMPLETED"));
        assert_eq!(task["attempts"], 1);
    }
}

/// A task that lost everything: what it says, and that it can be taken up.
fn failed_and_resumed(sandbox: &Sandbox, id: &str, reason: &str, conversation: &Value) {
    let lost = wait_task(sandbox, id, "to fail", |it| is(it, "FAILED"));
    assert_eq!(lost["reason"], reason);
    assert_eq!((&lost["session"], &lost["conversation"]), (&Value::Null, conversation));
    let spent = lost["cost_usd"].as_f64().unwrap();
    sandbox.ok(&["task", "retry", "--resume", "--prompt", "go on and leave", id]);
    let done = wait_task(sandbox, id, "to be done", |it| is(it, "COMPLETED"));
    assert_eq!((&done["attempts"], &done["conversation"]), (&json!(2), conversation));
    assert!(spent < done["cost_usd"].as_f64().unwrap());
    let conversation = conversation.as_str().unwrap();
    wait_task(sandbox, id, "to have ended", |it| it["session"].is_null());
    let micros = (task(sandbox, id)["cost_usd"].as_f64().unwrap() * 1e6).round() as i64;
    assert_eq!(micros, stand_in::total(sandbox, conversation));
}

#[test]
fn without_its_tmux_server_a_task_fails_and_can_be_resumed() {
    let sandbox = stand_in::sandbox(4);
    let ids = [at_the_gate(&sandbox, &[]), at_the_gate(&sandbox, &[])];
    let conversations = ids.each_ref().map(|id| task(&sandbox, id)["conversation"].clone());
    kill_tmux(&sandbox);
    for (id, conversation) in ids.iter().zip(&conversations) {
        failed_and_resumed(&sandbox, id, "claude lost its terminal (signal 1)", conversation);
    }
    assert_eq!(stand_in::starts(&sandbox).len(), 4);
}

#[test]
fn real_claude_knows_the_whole_conversation_after_its_tmux_server_was_killed() {
    let sandbox = Sandbox::new();
    let script = r#"FAKE:[{"text":"First I look.","tool":"Bash","input":{"command":"echo m-$((6*7))"}},
        {"text":"never said","gate":"g"}]"#;
    let id = create(&sandbox, &["--permission-mode", "bypassPermissions", script]);
    sandbox.api.wait_held("g", PATIENCE);
    let conversation = task(&sandbox, &id)["conversation"].clone();
    kill_tmux(&sandbox);
    let lost = wait_task(&sandbox, &id, "to fail", |it| is(it, "FAILED"));
    assert_eq!((&lost["session"], &lost["conversation"]), (&Value::Null, &conversation));
    sandbox.api.open("g");
    let again = r#"go on FAKE:[{"text":"Taken up again."}]"#;
    sandbox.ok(&["task", "retry", "--resume", "--prompt", again, &id]);
    let done = wait_task(&sandbox, &id, "to be done", |it| is(it, "COMPLETED"));
    assert_eq!((&done["attempts"], &done["conversation"]), (&json!(2), &conversation));
    assert_eq!(sandbox.ok(&["task", "show", &id, "--answer"]).trim(), "Taken up again.");
    let turns = sandbox.api.turns();
    let body = turns.last().unwrap().body["messages"].to_string();
    for part in ["First I look.", "echo m-$((6*7))", "m-42", "go on FAKE"] {
        assert!(body.contains(part), "no `{part}` in: {body}");
    }
}

#[test]
fn after_a_reboot_tasks_have_failed_and_can_be_resumed() {
    let sandbox = stand_in::sandbox(2);
    let id = at_the_gate(&sandbox, &[]);
    let waiting = at_the_gate_or_waiting(&sandbox);
    let conversation = task(&sandbox, &id)["conversation"].clone();
    leftovers::kill_those_of(sandbox.root());
    assert_eq!(dispatcher::pid(&sandbox), None);
    let reason = "the session is gone: its tmux server was killed or the machine restarted";
    failed_and_resumed(&sandbox, &id, reason, &conversation);
    // What had only waited goes its way without anyone's doing.
    stand_in::open(&sandbox);
    for id in waiting {
        wait_task(&sandbox, &id, "to be over", |it| is(it, "COMPLETED") || is(it, "FAILED"));
    }
    assert_eq!(task(&sandbox, &id)["attempts"], 2);
}

/// Fills the slots and returns the last task, which has to wait for one, with the one before.
fn at_the_gate_or_waiting(sandbox: &Sandbox) -> Vec<String> {
    let running = at_the_gate(sandbox, &[]);
    let said = sandbox.ok(&["task", "create", "leave"]);
    assert!(said.contains("waiting for a slot on local: 2 of 2 in use"), "{said}");
    vec![running, dispatcher::acknowledged(&said).unwrap()]
}

#[test]
fn ten_racing_clients_start_one_dispatcher() {
    let sandbox = stand_in::sandbox(4);
    for _ in 0..3 {
        let args = ["daemon", "start", "--json"];
        let clients: Vec<Child> = (0..10).map(|_| dispatcher::start(&sandbox, &args)).collect();
        let ran: Vec<_> = clients.into_iter().map(dispatcher::finish).collect();
        let pids: HashSet<u64> = ran
            .iter()
            .map(|it| {
                let info: Value = serde_json::from_str(&it.stdout)
                    .unwrap_or_else(|err| panic!("{err}: {it:?}\n{}", dispatcher::log(&sandbox)));
                info["pid"].as_u64().unwrap()
            })
            .collect();
        let listening = u64::from(dispatcher::pid(&sandbox).unwrap());
        assert_eq!(pids, HashSet::from([listening]));
        dispatcher::kill(&sandbox);
    }
    // Every dispatcher that got as far as the store says so in the log.
    let log = fs::read_to_string(sandbox.state().join("dispatcher.log")).unwrap();
    assert_eq!(log.matches("serve: started").count(), 3, "{log}");
}

#[test]
fn attached_terminals_outlive_the_dispatcher_s_death() {
    let sandbox = stand_in::sandbox(4);
    let id = at_the_gate(&sandbox, &[]);
    let script = "\"$@\"; echo \"left with $?\"; cat";
    let program = env!("CARGO_BIN_EXE_parhelia");
    let argv = ["sh", "-c", script, "sh", program, "session", "attach", &id];
    let screen = Screen::start(&sandbox, 100, 30, &argv);
    wait_task(&sandbox, &id, "to be looked at", |it| it["viewers"] == 1);
    dispatcher::kill(&sandbox).unwrap();
    let shown = screen.wait_for("left with 5");
    assert!(shown.contains("[connection lost"), "{shown}");
    assert!(shown.contains(&format!("{id} keeps running]")), "{shown}");
    // The terminal was given back: what is typed is echoed, and a line is a line.
    screen.type_text("cooked");
    screen.wait_for("cooked");
    stand_in::open(&sandbox);
    // Nobody looks any more: else the task would stay open for the one who left.
    let done = wait_task(&sandbox, &id, "to be done", |it| is(it, "COMPLETED"));
    assert_eq!((&done["viewers"], &done["attempts"]), (&json!(0), &json!(1)));
}

#[test]
fn sessions_outlive_the_dispatcher_and_the_next_one_finds_them() {
    let sandbox = stand_in::sandbox(4);
    let id = at_the_gate(&sandbox, &[]);
    let first = dispatcher::pid(&sandbox).unwrap();
    let agent = stand_in::starts(&sandbox)[0].pid;
    dispatcher::stop(&sandbox);
    assert_eq!(dispatcher::pid(&sandbox), None);
    assert!(dispatcher::lives(agent));
    // What happens meanwhile is read afterwards.
    stand_in::open(&sandbox);
    let events = sandbox.state().join(format!("runs/{id}/a1/events.jsonl"));
    wait_until("the turn to end unseen", PATIENCE, || {
        fs::read_to_string(&events).ok().filter(|it| it.contains("\"Stop\""))
    });
    let done = wait_task(&sandbox, &id, "to be done", |it| is(it, "COMPLETED"));
    assert_ne!(dispatcher::pid(&sandbox), Some(first));
    assert_eq!((&done["attempts"], &done["turns"]), (&json!(1), &json!(1)));
    assert_eq!(sandbox.ok(&["task", "show", &id, "--answer"]).trim(), "Done.");
    sandbox.ok(&["session", "kill", "--yes", &id]);
    wait_until("the agent to end", PATIENCE, || (!dispatcher::lives(agent)).then_some(()));
    assert!(is(&task(&sandbox, &id), "COMPLETED"));
}

#[test]
fn an_environment_whose_task_was_never_written_down_is_removed() {
    let sandbox = stand_in::sandbox(1);
    let id = create(&sandbox, &["leave"]);
    dispatcher::kill(&sandbox).unwrap();
    let dir = sandbox.state().join("env");
    // As a dispatcher leaves them that dies after, or in the middle of, keeping one.
    for name in ["task-zzzzzzzz.json", "task-yyyyyyyy.tmp"] {
        fs::write(dir.join(name), "{\"env\":{\"KEY\":\"hunter2\"}}").unwrap();
    }
    sandbox.ok(&["daemon", "start"]);
    let kept: Vec<_> = fs::read_dir(&dir).unwrap().flatten().map(|it| it.file_name()).collect();
    assert_eq!(kept, [format!("{id}.json").as_str()]);
}

/// How long the store may take to take in 200 lines while it has room.
const FULL: Duration = Duration::from_secs(4);

/// A small file system of its own on a directory, gone with it.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> SmallDisk {
        assert!(
            rustix::process::geteuid().is_root(),
            "a full disk is tried out on a tmpfs of its own, which takes root"
        );
        let ran = run({
            let mut mount = Command::new("mount");
            mount.args(["-t", "tmpfs", "-o", "size=16m,mode=0700", "tmpfs"]).arg(at);
            mount
        });
        assert_eq!(ran.code, Some(0), "this root may not mount: {ran:?}");
        SmallDisk(at.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).stderr(Stdio::null()).status();
    }
}

/// Writes until nothing more fits; removing the file makes room again.
fn fill(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    for size in [65536, 4096, 1] {
        while file.write_all(&vec![b'x'; size]).is_ok() {}
    }
}

/// Appends `count` hook lines to a task's events, as its agent's hooks would.
fn tell(path: &Path, count: usize) {
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    for i in 0..count {
        let command = format!("{i} {}", "y".repeat(150));
        let line = json!({ "pid": 0, "payload": { "hook_event_name": "PreToolUse",
            "tool_name": "Bash", "tool_input": { "command": command } } });
        writeln!(file, "{line}").unwrap();
    }
}

/// Returns how many tools the store saw start.
fn tools(sandbox: &Sandbox, id: &str) -> usize {
    let tool = |it: &Stored| it.task == id && it.body["observation"]["seen"] == "tool-started";
    dispatcher::events(&dispatcher::store(sandbox)).iter().filter(|it| tool(it)).count()
}

#[test]
fn a_full_disk_refuses_what_is_new_and_keeps_what_is_known() {
    let sandbox = stand_in::sandbox(4);
    let _disk = SmallDisk::mount(&sandbox.state());
    // The run directories are kept apart: what the agent tells must find room all the same.
    fs::create_dir(sandbox.root().join("runs")).unwrap();
    symlink(sandbox.root().join("runs"), sandbox.state().join("runs")).unwrap();
    let [id, other] = [at_the_gate(&sandbox, &[]), at_the_gate(&sandbox, &[])];
    let events = sandbox.root().join(format!("runs/{id}/a1/events.jsonl"));
    let filler = sandbox.state().join("filler");
    fill(&filler);
    let refused = sandbox.run(&["task", "create", "one more"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(9), ""), "{refused:?}");
    assert!(refused.stderr.contains("No space left on device"), "{refused:?}");
    // The log of the store has room left from before; this uses it up.
    let mut told = 1;
    loop {
        tell(&events, 200);
        told += 200;
        if wait(FULL, || (tools(&sandbox, &id) == told).then_some(())).is_none() {
            break;
        }
        assert!(told < 20_000, "the disk does not fill up");
    }
    let refused = sandbox.run(&["task", "cancel", "--yes", &other]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(9), ""), "{refused:?}");
    for words in ["no space is left for the database", "nothing that was confirmed is lost"] {
        assert!(refused.stderr.contains(words), "{refused:?}");
    }
    // Reading works on, and what happens now is learnt once there is room.
    assert!(is(&task(&sandbox, &id), "RUNNING") && is(&task(&sandbox, &other), "RUNNING"));
    stand_in::open(&sandbox);
    wait_until("the turn to end", PATIENCE, || {
        fs::read_to_string(&events).ok().filter(|it| it.contains("\"Stop\""))
    });
    assert!(is(&task(&sandbox, &id), "RUNNING"));
    fs::remove_file(&filler).unwrap();
    for id in [&id, &other] {
        let done = wait_task(&sandbox, id, "to be done", |it| is(it, "COMPLETED"));
        assert_eq!(done["turns"], 1);
    }
    assert_eq!(tools(&sandbox, &id), told);
    let next = create(&sandbox, &["leave"]);
    wait_task(&sandbox, &next, "to be done", |it| is(it, "COMPLETED"));
    assert_eq!(dispatcher::tasks(&sandbox).len(), 3);
    dispatcher::stop(&sandbox);
    let stored = dispatcher::events(&dispatcher::store(&sandbox));
    let numbers: Vec<u64> = stored.iter().map(|it| it.seq).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    // What still runs there would keep the disk busy.
    leftovers::kill_those_of(sandbox.root());
}
