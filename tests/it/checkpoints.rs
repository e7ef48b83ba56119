//! Checkpoints are made on every occasion, only if something changed, and outlive their tasks.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
    time::Duration,
};

use futures_util::StreamExt;
use parhelia::api::{
    checkpoints::{CheckpointView, CreateCheckpoint, EditCheckpoint, Prune, Verify},
    client::{AttachQuery, CheckpointsQuery},
    error::{ApiError, ErrorKind},
};
use serde_json::Value;

use crate::support::{
    client::{Caller, Carried},
    dispatcher::{create, log, stop, wait_task},
    sandbox::{Sandbox, run},
    stand_in,
    wait::{PATIENCE, wait_or_explain},
};

fn git(sandbox: &Sandbox, args: &[&str]) {
    let mut git = sandbox.command("git");
    git.args(["-c", "user.name=T", "-c", "user.email=t@t"]).args(args);
    let ran = run(git);
    assert_eq!(ran.code, Some(0), "git {args:?}: {ran:?}");
}

fn repository(sandbox: &Sandbox) {
    fs::write(sandbox.workspace().join("a"), "one\n").unwrap();
    for args in [&["init", "-q", "-b", "main"][..], &["add", "."], &["commit", "-qm", "one"]] {
        git(sandbox, args);
    }
}

/// Adds to the sandbox's configuration.
fn configure(sandbox: &Sandbox, more: &str) {
    let path = sandbox.home().join(".config/parhelia/parhelia.toml");
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(more.as_bytes()).unwrap();
}

/// A task's checkpoints, newest first.
fn list(caller: &Caller, task: &str) -> Vec<CheckpointView> {
    let query = CheckpointsQuery { task: Some(task.to_owned()), ..CheckpointsQuery::default() };
    caller.wait(caller.client.checkpoints(&query)).unwrap().checkpoints
}

fn triggers(caller: &Caller, task: &str) -> Vec<String> {
    list(caller, task).iter().map(|it| it.trigger.to_string()).collect()
}

/// Waits until a task's newest checkpoint is by `trigger`.
fn wait_for(sandbox: &Sandbox, caller: &Caller, task: &str, trigger: &str) -> CheckpointView {
    wait_or_explain(
        &format!("a checkpoint by {trigger}"),
        PATIENCE,
        || list(caller, task).into_iter().next().filter(|it| it.trigger.as_str() == trigger),
        || format!("{:?}\n{}", triggers(caller, task), log(sandbox)),
    )
}

/// Waits until a checkpoint is on this machine.
fn wait_held(sandbox: &Sandbox, caller: &Caller, task: &str) {
    wait_or_explain(
        "the checkpoints to be here",
        PATIENCE,
        || list(caller, task).iter().all(|it| it.stored_bytes.is_some()).then_some(()),
        || format!("{:#?}\n{}", list(caller, task), log(sandbox)),
    );
}

fn working(task: &Value) -> bool {
    task["activity"] == "working" && task["last"].as_str().is_some_and(|it| it.starts_with("Bash"))
}

fn ended(task: &Value) -> bool {
    task["session"].is_null()
}

fn manual(caller: &Caller, task: &str, label: &str) -> CheckpointView {
    let what = CreateCheckpoint { label: Some(label.into()), ..CreateCheckpoint::default() };
    caller.wait(caller.client.checkpoint(task, &what)).unwrap()
}

fn archive(caller: &Caller, id: &str) -> Result<Vec<u8>, ApiError> {
    caller.wait(async {
        let mut stream = Box::pin(caller.client.export(id).await?);
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.next().await {
            bytes.extend(chunk?);
        }
        Ok(bytes)
    })
}

/// Returns what `tar` lists of an archive.
fn listed(archive: &[u8]) -> Vec<String> {
    let mut tar = Command::new("tar");
    let mut tar = tar.arg("-t").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = tar.stdin.take().unwrap();
    let bytes = archive.to_vec();
    let feed = std::thread::spawn(move || input.write_all(&bytes).unwrap());
    let output = tar.wait_with_output().unwrap();
    feed.join().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn each_occasion_makes_one_if_something_changed() {
    let sandbox = stand_in::sandbox(1);
    repository(&sandbox);
    let caller = Caller::new(&sandbox);
    let id = create(&sandbox, &["--interactive", "gate"]);
    let task = wait_task(&sandbox, &id, "to work", working);
    let workspace = task["workspace"].as_str().unwrap().to_owned();
    let write = |text: &str| fs::write(format!("{workspace}/a"), text).unwrap();

    write("during the turn\n");
    stand_in::open(&sandbox);
    let turn = wait_for(&sandbox, &caller, &id, "turn");
    assert_eq!((turn.turns, turn.files, turn.parent.as_deref()), (1, 1, None));
    assert_eq!(turn.conversation.as_deref(), task["conversation"].as_str());
    assert_eq!(turn.branch, Some(format!("parhelia/{id}")));

    write("while somebody looked\n");
    look(&caller, &id);
    let detach = wait_for(&sandbox, &caller, &id, "detach");
    assert_eq!(detach.parent.as_ref(), Some(&turn.id));
    assert_eq!((detach.change.modified, detach.change.lines_added), (1, 1));

    // Nothing changed since, so leaving again makes none; one that is asked for is made.
    look(&caller, &id);
    let named = manual(&caller, &id, "  by\n hand ");
    assert_eq!((named.label.as_deref(), named.parent), (Some("by hand"), Some(detach.id)));
    assert_eq!((named.change.added, named.change.modified), (0, 0));

    let shown = caller.wait(caller.client.checkpoint_detail(&named.id)).unwrap();
    let conversation = task["conversation"].as_str().unwrap();
    let expected =
        [&*format!("conversation/{conversation}.jsonl"), "terminal/layout", "terminal/scrollback"];
    assert_eq!(shown.beside, expected);
    assert!(shown.places.contains(&"host".to_owned()), "{shown:?}");
    assert_eq!(triggers(&caller, &id), ["manual", "detach", "turn"]);
    wait_held(&sandbox, &caller, &id);
}

#[test]
fn a_failure_and_a_risky_command_make_one() {
    let sandbox = stand_in::sandbox(1);
    fs::write(sandbox.workspace().join("a"), "one").unwrap();
    let caller = Caller::new(&sandbox);
    let id = create(&sandbox, &["risky gate"]);
    wait_for(&sandbox, &caller, &id, "before-risky");
    stand_in::open(&sandbox);
    wait_task(&sandbox, &id, "to complete", |it| it["state"] == "COMPLETED");

    fs::write(sandbox.workspace().join("b"), "two").unwrap();
    sandbox.ok(&["session", "kill", "--yes", &id]);
    wait_task(&sandbox, &id, "to end", ended);
    let crash = create(&sandbox, &["crash"]);
    let failed = wait_for(&sandbox, &caller, &crash, "error");
    assert_eq!((failed.task_name.as_str(), failed.files), ("crash", 2));
}

#[test]
fn only_what_is_configured_is_made_unasked() {
    let sandbox = stand_in::sandbox(1);
    configure(&sandbox, "[checkpoint]\ntriggers = [\"complete\"]\n");
    fs::write(sandbox.workspace().join("a"), "one").unwrap();
    let caller = Caller::new(&sandbox);
    let id = create(&sandbox, &["risky leave"]);
    wait_task(&sandbox, &id, "to complete", |it| it["state"] == "COMPLETED" && ended(it));
    wait_for(&sandbox, &caller, &id, "complete");
    assert_eq!(triggers(&caller, &id), ["complete"]);
}

#[test]
fn a_dispatcher_that_ends_saves_what_runs() {
    let sandbox = stand_in::sandbox(2);
    repository(&sandbox);
    let caller = Caller::new(&sandbox);
    let ids: Vec<String> = (0..2).map(|_| create(&sandbox, &["gate"])).collect();
    for id in &ids {
        let task = wait_task(&sandbox, id, "to work", working);
        fs::write(format!("{}/new", task["workspace"].as_str().unwrap()), "x").unwrap();
    }
    drop(caller);
    stop(&sandbox);
    let caller = Caller::new(&sandbox);
    for id in &ids {
        let saved = wait_for(&sandbox, &caller, id, "shutdown");
        assert_eq!((saved.files, triggers(&caller, id).len()), (2, 1));
        // What the last dispatcher had no time for, this one fetches.
        wait_held(&sandbox, &caller, id);
    }
}

#[test]
fn a_deleted_task_s_checkpoints_stay() {
    let sandbox = stand_in::sandbox(1);
    repository(&sandbox);
    configure(&sandbox, "[checkpoint]\ntriggers = [\"turn\"]\n");
    let caller = Caller::new(&sandbox);
    let id = create(&sandbox, &["leave"]);
    let task = wait_task(&sandbox, &id, "to be done", |it| it["state"] == "COMPLETED" && ended(it));
    let (workspace, run_dir) = (task["workspace"].as_str().unwrap(), task["run_dir"].as_str());
    wait_for(&sandbox, &caller, &id, "turn");
    fs::write(format!("{workspace}/new file"), "kept\n").unwrap();
    sandbox.ok(&["task", "delete", "--yes", &id]);
    assert!(!fs::exists(run_dir.unwrap()).unwrap());

    let all = list(&caller, &id);
    let last = &all[0];
    assert_eq!(last.trigger.as_str(), "before-delete");
    assert_eq!(list(&caller, id.trim_start_matches("task-").split_at(5).0), all);
    let shown = caller.wait(caller.client.checkpoint_detail(&last.id)).unwrap();
    assert_eq!(shown.places, ["here"]);
    let files = caller.wait(caller.client.checkpoint_files(&last.id)).unwrap();
    let paths: Vec<&str> = files.files.iter().map(|it| it.path.as_str()).collect();
    assert_eq!((paths, files.count), (vec!["a", "new file"], 2));
    let diff = caller.wait(caller.client.checkpoint_diff(&last.id, "previous")).unwrap();
    assert_eq!((diff.from.as_str(), diff.to.as_str()), (all[1].id.as_str(), last.id.as_str()));
    assert_eq!((diff.change.added, diff.change.lines_added), (1, 1));
    assert!(diff.diff.text.contains("+kept"), "{}", diff.diff.text);
    let first = &all[all.len() - 1];
    let diff = caller.wait(caller.client.checkpoint_diff(&first.id, "previous")).unwrap();
    assert_eq!((diff.from.as_str(), diff.change.added), ("nothing", 1));
    let gone = caller.wait(caller.client.checkpoint_diff(&first.id, "now")).unwrap_err();
    assert_eq!(gone.kind, ErrorKind::Conflict);

    let names = listed(&archive(&caller, &last.id).unwrap());
    assert!(names.iter().any(|it| it == "workspace/new file"), "{names:?}");
}

/// Puts a program before the real one that can do nothing.
fn break_program(sandbox: &Sandbox, name: &str) {
    let broken = sandbox.root().join("bin").join(name);
    fs::write(&broken, "#!/bin/sh\necho fatal: no >&2\nexit 128\n").unwrap();
    fs::set_permissions(&broken, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_workspace_of_many_files_is_saved_without_perl_and_comes_back() {
    let sandbox = stand_in::sandbox(1);
    break_program(&sandbox, "perl");
    for dir in 0..48 {
        let dir = sandbox.workspace().join(format!("d{dir}"));
        fs::create_dir(&dir).unwrap();
        (0..50).for_each(|n| fs::write(dir.join(format!("f{n}")), format!("{n} {dir:?}")).unwrap());
    }
    let caller = Caller::new(&sandbox);
    let id = create(&sandbox, &["--interactive", "--isolation", "none", "gate"]);
    let task = wait_task(&sandbox, &id, "to work", working);
    let made = manual(&caller, &id, "all of it");
    assert_eq!(made.change.added, 2400, "{made:?}");
    // In packs: git alone would have made a file of each.
    let shadow = format!("{}/shadow.git", task["run_dir"].as_str().unwrap());
    let mut count = sandbox.command("git");
    count.args(["--git-dir", &shadow, "count-objects"]);
    let count = run(count).stdout;
    let loose: u32 = count.split(' ').next().unwrap().parse().unwrap();
    assert!(loose < 50, "{count}");
    wait_held(&sandbox, &caller, &id);
    let target = sandbox.root().join("elsewhere");
    let at = target.to_str().unwrap();
    sandbox.ok(&["checkpoint", "restore", made.id.as_str(), "--target", at, "--yes"]);
    for name in ["d0/f0", "d7/f49", "d47/f13"] {
        let both = [&sandbox.workspace(), &target].map(|it| fs::read(it.join(name)).unwrap());
        assert_eq!(both[0], both[1], "{name}");
    }
}

#[test]
fn what_cannot_be_saved_is_not_deleted() {
    let sandbox = stand_in::sandbox(1);
    repository(&sandbox);
    configure(&sandbox, "[checkpoint]\ntriggers = []\n");
    let caller = Caller::new(&sandbox);
    let id = create(&sandbox, &["leave"]);
    let task = wait_task(&sandbox, &id, "to be done", |it| it["state"] == "COMPLETED" && ended(it));
    let run_dir = task["run_dir"].as_str().unwrap();
    break_program(&sandbox, "git");

    let refused = sandbox.run(&["task", "delete", "--yes", &id]);
    assert_ne!(refused.code, Some(0), "{refused:?}");
    assert!(refused.stderr.contains("no checkpoint of it could be made"), "{refused:?}");
    assert!(refused.stderr.contains("--no-checkpoint"), "{refused:?}");
    assert!(fs::exists(format!("{run_dir}/workspace/a")).unwrap());
    assert_eq!(list(&caller, &id), []);

    fs::remove_file(sandbox.root().join("bin/git")).unwrap();
    caller.wait(caller.client.delete_unsaved(&id)).unwrap();
    assert!(!fs::exists(run_dir).unwrap());
    let query = CheckpointsQuery::default();
    assert_eq!(caller.wait(caller.client.checkpoints(&query)).unwrap().checkpoints, []);
}

/// Somebody looks at a session and leaves it.
fn look(caller: &Caller, id: &str) {
    let query =
        AttachQuery { cols: 80, rows: 24, term: "xterm".into(), read_only: false, pane: true };
    let stream = caller.wait(caller.client.attach(id, &query)).unwrap();
    drop(Carried::new(caller, stream));
}

#[test]
fn no_more_are_kept_than_is_configured() {
    let sandbox = stand_in::sandbox(1);
    configure(&sandbox, "[checkpoint]\ntriggers = [\"detach\"]\nmax_per_session = 2\n");
    let caller = Caller::new(&sandbox);
    let id = create(&sandbox, &["--interactive", "risky"]);
    wait_task(&sandbox, &id, "to wait", |it| it["activity"] == "idle");
    let mut made = Vec::new();
    for number in 0..4 {
        fs::write(sandbox.workspace().join("a"), number.to_string()).unwrap();
        look(&caller, &id);
        let newest = wait_or_explain(
            "another checkpoint",
            PATIENCE,
            || list(&caller, &id).into_iter().next().filter(|it| !made.contains(&it.id)),
            || log(&sandbox),
        );
        made.push(newest.id);
    }
    wait_or_explain(
        "two to be left",
        PATIENCE,
        || {
            let left: Vec<String> = list(&caller, &id).into_iter().map(|it| it.id).collect();
            (left == [made[3].clone(), made[2].clone()]).then_some(())
        },
        || format!("{:?} of {made:?}\n{}", list(&caller, &id), log(&sandbox)),
    );
}

#[test]
fn what_cannot_be_made_is_said_once() {
    let sandbox = stand_in::sandbox(1);
    configure(&sandbox, "[checkpoint]\ntriggers = [\"detach\", \"turn\"]\n");
    let caller = Caller::new(&sandbox);
    let id = create(&sandbox, &["--interactive", "gate"]);
    wait_task(&sandbox, &id, "to work", working);
    break_program(&sandbox, "git");
    stand_in::open(&sandbox);
    let failures = || {
        let log = sandbox.ok(&["logs", &id, "--events"]);
        log.lines().filter(|it| it.contains("checkpoint-failed")).count()
    };
    wait_or_explain(
        "the failure",
        PATIENCE,
        || (failures() == 1).then_some(()),
        || sandbox.ok(&["logs", &id, "--events"]),
    );
    for _ in 0..2 {
        look(&caller, &id);
        let asked = caller.wait(caller.client.checkpoint(&id, &CreateCheckpoint::default()));
        assert_eq!(asked.unwrap_err().kind, ErrorKind::Host);
    }
    assert_eq!(failures(), 1);
    fs::remove_file(sandbox.root().join("bin/git")).unwrap();
    manual(&caller, &id, "now");
    assert_eq!(list(&caller, &id)[0].label.as_deref(), Some("now"));
}

#[test]
fn they_are_named_pinned_found_and_let_go() {
    let sandbox = stand_in::sandbox(1);
    configure(&sandbox, "[checkpoint]\ntriggers = []\n");
    let file = sandbox.workspace().join("a");
    let caller = Caller::new(&sandbox);
    let id = create(&sandbox, &["leave"]);
    wait_task(&sandbox, &id, "to be done", |it| it["state"] == "COMPLETED" && ended(it));
    let made: Vec<CheckpointView> = (0..3)
        .map(|number| {
            fs::write(&file, format!("{number}\n")).unwrap();
            manual(&caller, &id, &number.to_string())
        })
        .collect();
    wait_held(&sandbox, &caller, &id);

    let edit = EditCheckpoint { label: Some("good".into()), pinned: Some(true) };
    let edited = caller.wait(caller.client.edit_checkpoint(&made[0].id[..8], &edit)).unwrap();
    assert_eq!((edited.label.as_deref(), edited.pinned), (Some("good"), true));

    fs::write(&file, "2\nnow\n").unwrap();
    let diff = caller.wait(caller.client.checkpoint_diff(&made[2].id, "now")).unwrap();
    assert_eq!((diff.to.as_str(), diff.change.lines_added), ("now", 1));
    let diff = caller.wait(caller.client.checkpoint_diff(&made[0].id, &made[2].id)).unwrap();
    assert_eq!((diff.change.modified, diff.change.lines_added), (1, 1));

    let mut slip = made[1].id.clone();
    slip.pop();
    slip.push('0');
    let missing = caller.wait(caller.client.checkpoint_detail(&slip)).unwrap_err();
    assert_eq!(missing.kind, ErrorKind::NotFound);
    assert_eq!(missing.message, format!("Checkpoint not found: {slip}"));
    assert!(missing.hints[0].contains(&made[1].id), "{missing:?}");

    let whole = caller.wait(caller.client.verify(&Verify::default())).unwrap();
    assert!(whole.checkpoints.iter().all(|it| it.damage.is_none()), "{whole:?}");
    assert_eq!(whole.checkpoints.len(), 3);

    let all = Prune { older_than_seconds: Some(0), dry_run: true, ..Prune::default() };
    let would = caller.wait(caller.client.prune(&all)).unwrap();
    let would: Vec<&str> = would.checkpoints.iter().map(|it| it.id.as_str()).collect();
    // The pinned one stays, and the newest of a task that is there.
    assert_eq!(would, [made[1].id.as_str()]);
    assert_eq!(list(&caller, &id).len(), 3);
    caller.wait(caller.client.prune(&Prune { dry_run: false, ..all })).unwrap();
    let left: Vec<String> = list(&caller, &id).into_iter().map(|it| it.id).collect();
    assert_eq!(left, [made[2].id.clone(), made[0].id.clone()]);
    caller.wait(caller.client.delete_checkpoint(&made[0].id)).unwrap();
    assert_eq!(list(&caller, &id).len(), 1);
}

#[test]
fn time_makes_one_where_something_happened_and_none_where_nothing_did() {
    let sandbox = stand_in::sandbox(2);
    // The shortest there is.
    configure(&sandbox, "[checkpoint]\ntriggers = [\"periodic\"]\nauto_interval_minutes = 1\n");
    repository(&sandbox);
    let caller = Caller::new(&sandbox);
    let idle = create(&sandbox, &["--interactive", "risky"]);
    wait_task(&sandbox, &idle, "to wait", |it| it["activity"] == "idle");
    let busy = create(&sandbox, &["--interactive", "gate"]);
    let task = wait_task(&sandbox, &busy, "to work", working);
    for id in [&idle, &busy] {
        manual(&caller, id, "before");
    }
    fs::write(format!("{}/a", task["workspace"].as_str().unwrap()), "during the turn\n").unwrap();
    stand_in::open(&sandbox);
    let made = wait_or_explain(
        "a checkpoint by the time",
        PATIENCE + Duration::from_secs(60),
        || list(&caller, &busy).into_iter().find(|it| it.trigger.as_str() == "periodic"),
        || format!("{:?}\n{}", triggers(&caller, &busy), log(&sandbox)),
    );
    assert_eq!(made.change.modified, 1, "{made:?}");
    assert_eq!(triggers(&caller, &busy), ["periodic", "manual"]);
    assert_eq!(triggers(&caller, &idle), ["manual"]);
}
