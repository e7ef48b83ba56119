//! What a task changed, as a person and a script see it.

use std::fs;

use crate::support::{
    dispatcher::{create, wait_task},
    sandbox::{Sandbox, run},
    stand_in,
};

fn git(sandbox: &Sandbox, args: &[&str]) {
    let mut git = sandbox.command("git");
    git.args(["-c", "user.name=T", "-c", "user.email=t@t"]).args(args);
    let ran = run(git);
    assert_eq!(ran.code, Some(0), "git {args:?}: {ran:?}");
}

fn done(sandbox: &Sandbox) -> (String, String) {
    let id = create(sandbox, &["leave"]);
    let task = wait_task(sandbox, &id, "to be done", |it| it["state"] == "COMPLETED");
    (id, task["workspace"].as_str().unwrap().to_owned())
}

#[test]
fn a_task_s_changes_are_shown_whole_or_counted() {
    let sandbox = stand_in::sandbox(1);
    fs::write(sandbox.workspace().join("a"), "one\n").unwrap();
    for args in [&["init", "-q", "-b", "main"][..], &["add", "."], &["commit", "-qm", "one"]] {
        git(&sandbox, args);
    }
    let (id, workspace) = done(&sandbox);
    let nothing = sandbox.run(&["task", "diff", &id]);
    assert_eq!((nothing.code, nothing.stderr.as_str()), (Some(0), "Nothing changed.\n"));

    fs::write(format!("{workspace}/a"), "two\n").unwrap();
    git(&sandbox, &["-C", &workspace, "commit", "-qam", "two"]);
    fs::write(format!("{workspace}/new"), "\x1b[2J\n").unwrap();
    let whole = sandbox.ok(&["task", "diff", &id]);
    for line in ["-one", "+two", "+\u{fffd}[2J"] {
        assert!(whole.lines().any(|it| it == line), "{line}: {whole}");
    }
    let stat = sandbox.ok(&["task", "diff", "--stat", &id]);
    insta::assert_snapshot!(format!("|\n{stat}"), @r"
    |
            +1 -1  a
            +1 -0  new
    2 files, +2 -1
    ");
    let json = sandbox.json(&["task", "diff", "--json", &id]);
    assert_eq!((&json["files"], &json["cut"]), (&2.into(), &false.into()));
    assert_eq!(
        json["stat"][0],
        serde_json::json!({ "path": "a", "added": 1, "removed": 1, "binary": false })
    );
    assert_eq!(json["text"].as_str().unwrap(), whole);

    fs::write(format!("{workspace}/huge"), "line\n".repeat(200_000)).unwrap();
    let cut = sandbox.run(&["task", "diff", &id]);
    assert!(cut.stderr.starts_with("That is not all"), "{}", cut.stderr);
    assert!(cut.stdout.len() < 300 * 1024, "{}", cut.stdout.len());
}

#[test]
fn where_there_is_nothing_to_compare_it_says_why() {
    let sandbox = stand_in::sandbox(1);
    let (id, workspace) = done(&sandbox);
    let ran = sandbox.run(&["task", "diff", &id]);
    let message = format!("Error: the workspace of {id} is no git repository: {workspace}");
    assert_eq!((ran.code, ran.stderr.lines().next()), (Some(4), Some(message.as_str())));
    git(&sandbox, &["init", "-q"]);
    let ran = sandbox.run(&["task", "diff", &id]);
    assert_eq!(ran.code, Some(6), "{ran:?}");
}
