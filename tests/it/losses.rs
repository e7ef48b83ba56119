//! What would be lost is told as it is, and what is told to stay stays.

use std::fs;

use parhelia::api::types::Losses;
use serde_json::Value;

use crate::support::{
    client::Caller,
    dispatcher::{create, task, wait_task},
    sandbox::{Ran, Sandbox, run},
    stand_in,
};

fn git(sandbox: &Sandbox, dir: &str, args: &[&str]) -> String {
    let mut git = sandbox.command("git");
    git.args(["-C", dir, "-c", "user.name=T", "-c", "user.email=t@t"]).args(args);
    let ran = run(git);
    assert_eq!(ran.code, Some(0), "git {args:?}: {ran:?}");
    ran.stdout.trim().to_owned()
}

/// Makes the workspace a repository with one commit.
fn repository(sandbox: &Sandbox) -> String {
    let dir = sandbox.workspace().to_str().unwrap().to_owned();
    fs::write(sandbox.workspace().join("a"), "one").unwrap();
    git(sandbox, &dir, &["init", "-q", "-b", "main"]);
    git(sandbox, &dir, &["add", "."]);
    git(sandbox, &dir, &["commit", "-qm", "one"]);
    dir
}

fn losses(caller: &Caller, id: &str) -> Losses {
    caller.wait(caller.client.losses(id)).unwrap()
}

fn working(sandbox: &Sandbox, args: &[&str]) -> (String, String) {
    let id = create(sandbox, &[args, &["gate"]].concat());
    let task = wait_task(sandbox, &id, "to work", |it| {
        it["activity"] == "working" && it["last"] == "Bash true"
    });
    (id, task["workspace"].as_str().unwrap().to_owned())
}

fn killed(task: &Value) -> bool {
    task["state"] == "KILLED" && task["session"].is_null()
}

#[test]
fn a_work_tree_of_ours_stays_when_killed_and_is_committed_when_deleted() {
    let sandbox = stand_in::sandbox(1);
    let source = repository(&sandbox);
    let caller = Caller::new(&sandbox);
    let (id, workspace) = working(&sandbox, &[]);
    git(&sandbox, &workspace, &["commit", "-q", "--allow-empty", "-m", "two"]);
    fs::write(format!("{workspace}/new"), "kept").unwrap();
    let found = losses(&caller, &id);
    let run_dir = workspace.strip_suffix("/workspace").unwrap();
    let conversation = "the transcript, in Claude's own directory".to_owned();
    let cost = found.purge_goes[1].clone();
    assert!(cost.starts_with("its $") && cost.ends_with(" in the sum of what was spent"), "{cost}");
    assert_eq!(
        found,
        Losses {
            turn_running: true,
            dirty_files: 1,
            dirty: vec!["new".into()],
            stays: vec![
                format!("the workspace {workspace}, with 1 uncommitted file"),
                format!("the branch parhelia/{id}"),
                format!("the conversation: parhelia task retry --resume {id} goes on with it"),
                "all of it as it is now: a checkpoint is made first".into(),
            ],
            goes: vec!["the turn that runs, and what Claude was going to do".into()],
            purge_stays: vec![
                "1 uncommitted file, committed to the branch first".into(),
                format!("the commits of parhelia/{id}, in {source}"),
                conversation,
                "its events".into(),
                "a checkpoint, made first, for 30 days".into(),
            ],
            purge_goes: vec![
                "the task with its prompt and its answer".into(),
                cost,
                format!("the directory {run_dir}"),
                "the workspace in it, with what git ignores there".into(),
            ],
            ..Losses::default()
        }
    );

    sandbox.ok(&["session", "kill", "--yes", &id]);
    assert!(killed(&wait_task(&sandbox, &id, "to be killed", killed)));
    assert_eq!(fs::read_to_string(format!("{workspace}/new")).unwrap(), "kept");
    let after = losses(&caller, &id);
    assert_eq!((after.turn_running, &after.goes), (false, &Vec::new()));
    sandbox.ok(&["task", "delete", "--yes", &id]);
    assert!(!fs::exists(run_dir).unwrap());
    let branch = format!("parhelia/{id}");
    assert_eq!(git(&sandbox, &source, &["show", &format!("{branch}:new")]), "kept");
}

/// Kills a task and asks for it to be deleted.
fn delete(sandbox: &Sandbox, id: &str) -> Ran {
    sandbox.ok(&["session", "kill", "--yes", id]);
    wait_task(sandbox, id, "to be killed", killed);
    sandbox.run(&["task", "delete", "--yes", id])
}

#[test]
fn what_is_on_no_branch_gets_one_when_deleted() {
    let sandbox = stand_in::sandbox(2);
    let source = repository(&sandbox);
    let caller = Caller::new(&sandbox);
    // One leaves its branch behind it, the other gives that branch commits of its own first.
    for (other, kept) in [(false, ""), (true, "-head")] {
        let (id, workspace) = working(&sandbox, &[]);
        git(&sandbox, &workspace, &["switch", "-q", "--detach"]);
        git(&sandbox, &workspace, &["commit", "-q", "--allow-empty", "-m", &format!("stray {id}")]);
        fs::write(format!("{workspace}/new"), "uncommitted").unwrap();
        let branch = format!("parhelia/{id}");
        if other {
            let tree =
                git(&sandbox, &source, &["commit-tree", "main^{tree}", "-p", "main", "-m", "x"]);
            git(&sandbox, &source, &["branch", "-f", &branch, &tree]);
        }
        let found = losses(&caller, &id);
        assert_eq!(
            found.purge_stays[..2],
            [
                "1 uncommitted file, committed to a branch first",
                "1 commit on no branch, by a branch made for what is checked out",
            ]
        );
        assert!(!found.purge_goes.iter().any(|it| it.contains("commit")), "{found:?}");
        let before = git(&sandbox, &source, &["rev-parse", &branch]);
        assert_eq!(delete(&sandbox, &id).code, Some(0));
        assert!(!fs::exists(&workspace).unwrap());
        let at = format!("{branch}{kept}");
        assert_eq!(git(&sandbox, &source, &["show", &format!("{at}:new")]), "uncommitted");
        let log = git(&sandbox, &source, &["log", "--format=%s", &format!("main..{at}")]);
        assert_eq!(log, format!("Uncommitted work of {id}\nstray {id}"));
        if other {
            assert_eq!(git(&sandbox, &source, &["rev-parse", &branch]), before);
        }
    }
}

#[test]
fn a_repository_in_the_workspace_is_never_deleted_with_work_of_its_own() {
    let sandbox = stand_in::sandbox(1);
    let source = repository(&sandbox);
    let caller = Caller::new(&sandbox);
    let (id, workspace) = working(&sandbox, &[]);
    let inner = format!("{workspace}/in ner");
    git(&sandbox, &workspace, &["clone", "-q", &source, "in ner"]);
    git(&sandbox, &workspace, &["init", "-q", "empty"]);
    let said = &losses(&caller, &id).purge_goes;
    let words =
        "2 repositories in the workspace; with work of its own that no remote has, it refuses";
    assert_eq!(said.last().unwrap(), words);

    // Uncommitted files, a commit on no remote, and a stash: each is work.
    fs::write(format!("{inner}/new"), "x").unwrap();
    let refused = delete(&sandbox, &id);
    assert_eq!(refused.code, Some(4), "{refused:?}");
    assert!(refused.stderr.contains("the repository in ner in its workspace"), "{refused:?}");
    assert!(refused.stderr.contains("move it out of"), "{refused:?}");
    git(&sandbox, &inner, &["add", "."]);
    git(&sandbox, &inner, &["commit", "-qm", "new"]);
    let refused = sandbox.run(&["task", "delete", "--yes", &id]);
    assert_eq!(refused.code, Some(4), "{refused:?}");
    git(&sandbox, &inner, &["push", "-q", "origin", "HEAD:refs/heads/elsewhere"]);
    fs::write(format!("{inner}/new"), "y").unwrap();
    git(&sandbox, &inner, &["stash", "-q"]);
    let refused = sandbox.run(&["task", "delete", "--yes", &id]);
    assert_eq!(refused.code, Some(4), "{refused:?}");
    assert!(fs::exists(&inner).unwrap());

    git(&sandbox, &inner, &["stash", "drop", "-q"]);
    sandbox.ok(&["task", "delete", "--yes", &id]);
    assert!(!fs::exists(&workspace).unwrap());
}

#[test]
fn where_nothing_can_be_seen_it_says_why() {
    let sandbox = stand_in::sandbox(1);
    let caller = Caller::new(&sandbox);
    let (id, workspace) = working(&sandbox, &[]);
    let found = losses(&caller, &id);
    assert_eq!(found.unseen.as_deref(), Some("the workspace is no git repository"));
    assert_eq!((found.unpushed_commits, found.turn_running), (None, true));
    assert!(found.purge_stays.contains(&format!("{workspace}, which is not touched")), "{found:?}");
    // A queue is all that a task without a session has to lose.
    let waiting = create(&sandbox, &["gate"]);
    let found = losses(&caller, &waiting);
    assert_eq!((found.unseen, found.goes), (None, vec!["its place in the queue".to_owned()]));

    let moved = sandbox.root().join("elsewhere");
    fs::rename(&workspace, &moved).unwrap();
    let gone = losses(&caller, &id);
    fs::rename(&moved, &workspace).unwrap();
    assert_eq!(gone.unseen.as_deref(), Some("the workspace is gone"));
    assert!(!gone.stays.iter().any(|it| it.contains("workspace")), "{gone:?}");
    assert_eq!(task(&sandbox, &id)["state"], "RUNNING");
}
