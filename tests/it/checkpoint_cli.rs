//! Checkpoints by the commands that a person types: made, looked at, gone back to, looked after.

use std::{
    fs,
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::support::{
    dispatcher::{acknowledged, create, task, wait_task},
    pty::Pty,
    sandbox::{Ran, Sandbox, run},
    stand_in,
    wait::{PATIENCE, wait_or_explain, wait_until},
};

fn git(sandbox: &Sandbox, args: &[&str]) {
    let mut git = sandbox.command("git");
    git.args(["-c", "user.name=T", "-c", "user.email=t@t"]).args(args);
    let ran = run(git);
    assert_eq!(ran.code, Some(0), "git {args:?}: {ran:?}");
}

/// A task of a repository, done and without a session, and where it worked.
fn done(sandbox: &Sandbox) -> (String, PathBuf) {
    fs::write(sandbox.workspace().join("a"), "one\n").unwrap();
    for args in [&["init", "-q", "-b", "main"][..], &["add", "."], &["commit", "-qm", "one"]] {
        git(sandbox, args);
    }
    let id = create(sandbox, &["--name", "totals", "leave"]);
    let task = ended(sandbox, &id);
    (id, task["workspace"].as_str().unwrap().into())
}

fn ended(sandbox: &Sandbox, id: &str) -> Value {
    wait_task(sandbox, id, "to be done", |it| it["state"] == "COMPLETED" && it["session"].is_null())
}

/// Saves a task and returns the checkpoint's id.
pub fn save(sandbox: &Sandbox, id: &str, args: &[&str]) -> String {
    let made = sandbox.json(&[&["checkpoint", "create", id, "--json"], args].concat());
    made["id"].as_str().unwrap().to_owned()
}

pub fn read(dir: &Path, name: &str) -> Option<String> {
    fs::read_to_string(dir.join(name)).ok()
}

pub fn refused(ran: &Ran, code: i32, said: &str) {
    assert_eq!(ran.code, Some(code), "{ran:?}");
    assert!(ran.stderr.starts_with("Error: ") && ran.stderr.contains(said), "{said}: {ran:?}");
}

/// A task saved three times: `a` is one, two and three lines long, `new` is there the last time.
pub struct Saved {
    pub sandbox: Sandbox,
    pub id: String,
    pub dir: PathBuf,
    pub first: String,
    pub second: String,
}

pub fn saved() -> Saved {
    let sandbox = stand_in::sandbox(2);
    // What comes by itself comes at its own time.
    let config = sandbox.home().join(".config/parhelia/parhelia.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}[checkpoint]\ntriggers = [\"manual\"]\n")).unwrap();
    let (id, dir) = done(&sandbox);
    save(&sandbox, &id, &[]);
    fs::write(dir.join("a"), "one\ntwo\n").unwrap();
    let first = save(&sandbox, &id, &["-m", "tests green"]);
    fs::write(dir.join("a"), "one\ntwo\nthree\n").unwrap();
    fs::write(dir.join("new"), "new\n").unwrap();
    let second = save(&sandbox, &id, &["--pin"]);
    Saved { sandbox, id, dir, first, second }
}

impl Saved {
    pub fn assert_first(&self) {
        assert_eq!(read(&self.dir, "a").as_deref(), Some("one\ntwo\n"));
        assert_eq!(read(&self.dir, "new"), None);
    }

    pub fn assert_second(&self) {
        assert_eq!(read(&self.dir, "a").as_deref(), Some("one\ntwo\nthree\n"));
        assert_eq!(read(&self.dir, "new").as_deref(), Some("new\n"));
    }

    pub fn list(&self) -> Vec<Value> {
        let mut list = self.sandbox.json(&["checkpoint", "list", "--session", &self.id, "--json"]);
        list["checkpoints"].take().as_array().unwrap().clone()
    }

    /// Waits until every checkpoint is on this machine.
    pub fn arrived(&self) {
        let here = || self.list().iter().all(|it| it["stored_bytes"].is_u64()).then_some(());
        wait_or_explain("checkpoints to arrive", PATIENCE, here, || format!("{:#?}", self.list()));
    }
}

#[test]
fn what_was_saved_is_listed_shown_and_compared() {
    let it = saved();
    let (sandbox, first, second) = (&it.sandbox, it.first.as_str(), it.second.as_str());
    it.arrived();
    let list = sandbox.ok(&["checkpoint", "list", "--session", &it.id]);
    let line = |id: &str| list.lines().find(|it| it.contains(id)).unwrap().to_owned();
    assert!(list.lines().next().unwrap().contains("  SESSION  "), "{list}");
    assert!(line(first).contains(&format!("{}  manual", it.id)), "{list}");
    assert!(line(first).ends_with("  tests green"), "{list}");
    assert!(line(second).starts_with(" *  ") && line(second).contains("+2 -0"), "{list}");
    let old = ["checkpoint", "list", "--session", &it.id, "--older-than", "7d"];
    assert_eq!(sandbox.ok(&old), "No checkpoints.\n");
    let newest = sandbox.json(&["c", "ls", "-n", "1", "--json"]);
    assert_eq!(newest["checkpoints"][0]["id"], second);

    let card = sandbox.ok(&["checkpoint", "show", &first[3..]]);
    for fact in ["label         tests green", "changes       0 added, 1 modified, 0 deleted, +1 -0"]
    {
        assert!(card.lines().any(|it| it == fact), "{fact}\n{card}");
    }
    let files = sandbox.ok(&["checkpoint", "show", second, "--files"]);
    assert_eq!(files, "     14 B  a\n      4 B  new\n");

    let diff = sandbox.ok(&["checkpoint", "diff", first, second]);
    let head =
        format!("{first} → {second}  1 added, 1 modified, 0 deleted, 0 turns, 0 tokens, $0.00");
    assert_eq!(diff.lines().next(), Some(head.as_str()));
    assert!(diff.contains("2 files, +2 -0\n") && diff.contains("\n+three\n"), "{diff}");
    assert_eq!(sandbox.ok(&["checkpoint", "diff", second]), diff);
    let now = sandbox.run(&["checkpoint", "diff", second, "now"]);
    assert_eq!((now.code, now.stderr.as_str()), (Some(0), "No file differs.\n"), "{now:?}");
    fs::remove_file(it.dir.join("new")).unwrap();
    let now = sandbox.json(&["checkpoint", "diff", first, "now", "--json"]);
    assert_eq!((&now["to"], &now["change"]["lines_added"]), (&"now".into(), &1.into()));

    refused(
        &sandbox.run(&["checkpoint", "show", "cp-zzzzzzzz"]),
        3,
        "Checkpoint not found: cp-zzzzzzzz",
    );
    refused(&sandbox.run(&["checkpoint", "create", "zzzzzzzz"]), 3, "Task not found");
}

#[test]
fn files_go_back_after_a_yes_and_that_is_undone() {
    let it = saved();
    let (sandbox, first) = (&it.sandbox, it.first.as_str());
    let look = sandbox.ok(&["checkpoint", "restore", first, "--dry-run"]);
    let told: Vec<&str> = look.lines().skip(1).collect();
    assert_eq!(told, ["  change  a", "  delete  new"], "{look}");
    refused(&sandbox.run(&["checkpoint", "restore", first]), 2, "nobody can be asked");
    it.assert_second();
    let back = sandbox.ok(&["checkpoint", "restore", first, "--yes"]);
    assert!(back.starts_with(&format!("Restored {first}: 2 files changed\n")), "{back}");
    assert!(back.ends_with(&format!(": parhelia undo {}\n", it.id)), "{back}");
    it.assert_first();
    sandbox.ok(&["undo", &it.id]);
    it.assert_second();
    sandbox.ok(&["undo", &it.id]);
    it.assert_first();
    sandbox.ok(&["undo", &it.id]);

    // Step by step, and not to where it was gone back from.
    sandbox.ok(&["checkpoint", "rollback", &it.id, "--yes"]);
    it.assert_first();
    sandbox.ok(&["checkpoint", "rollback", &it.id, "--yes"]);
    assert_eq!(read(&it.dir, "a").as_deref(), Some("one\n"));
    refused(&sandbox.run(&["checkpoint", "rollback", &it.id, "--yes"]), 4, "nothing to take back");
    sandbox.ok(&["checkpoint", "rollback", &it.id, "--to", &it.second, "--yes"]);
    it.assert_second();

    let target = sandbox.root().join("elsewhere/deep");
    let to = target.to_str().unwrap();
    sandbox.ok(&["checkpoint", "restore", first, "--target", to, "--yes"]);
    assert_eq!(read(&target, "a").as_deref(), Some("one\ntwo\n"));
    it.assert_second();
    refused(
        &sandbox.run(&["checkpoint", "restore", first, "--target", to, "--yes"]),
        4,
        "not empty",
    );
}

/// Returns what a program on a terminal showed once it showed `wanted`.
fn shows(pty: &mut Pty, seen: &mut String, wanted: &str) {
    wait_until(wanted, PATIENCE, || {
        for bytes in pty.take() {
            seen.push_str(&String::from_utf8_lossy(&bytes));
        }
        seen.contains(wanted).then_some(())
    });
}

#[test]
fn on_a_terminal_the_question_shows_what_changes() {
    let it = saved();
    let program = env!("CARGO_BIN_EXE_parhelia").to_owned();
    for (answer, last) in [("n", "Nothing was changed."), ("y", "parhelia undo")] {
        let argv = ["checkpoint", "restore", &it.first].map(str::to_owned);
        let argv: Vec<String> = std::iter::once(program.clone()).chain(argv).collect();
        let mut pty = Pty::open(&it.sandbox, &argv, 80, 24);
        let mut seen = String::new();
        shows(&mut pty, &mut seen, "Restore? [y/N] ");
        assert!(seen.contains(" changes 2 files:") && seen.contains("  new"), "{seen}");
        it.assert_second();
        pty.type_bytes(format!("{answer}\n").as_bytes());
        shows(&mut pty, &mut seen, last);
    }
    it.assert_first();
}

#[test]
fn a_checkpoint_becomes_another_task_or_goes_on_elsewhere() {
    let it = saved();
    let (sandbox, first) = (&it.sandbox, it.first.as_str());
    let said = sandbox.ok(&["checkpoint", "fork", first, "leave", "--name", "other"]);
    let fork = acknowledged(&said).unwrap();
    let forked = ended(sandbox, &fork);
    assert_eq!((&forked["name"], &forked["forked_from"]), (&"other".into(), &first.into()));
    let dir = PathBuf::from(forked["workspace"].as_str().unwrap());
    assert_ne!(dir, it.dir);
    assert_eq!(read(&dir, "a").as_deref(), Some("one\ntwo\n"));
    it.assert_second();

    let target = sandbox.root().join("elsewhere");
    let to = target.to_str().unwrap();
    // Where there is no room nothing is saved for it either.
    let before = it.list().len();
    let full = dir.to_str().unwrap();
    let resume = ["resume", &it.id, "leave", "--checkpoint-id", first, "--target", full];
    refused(&sandbox.run(&resume), 4, "not empty");
    refused(&sandbox.run(&["resume", &it.id, "leave", "--target", full]), 4, "not empty");
    assert_eq!(it.list().len(), before);
    let said = sandbox.ok(&["resume", &it.id, "leave", "--checkpoint-id", first, "--target", to]);
    assert!(said.contains(&it.id), "{said}");
    let moved = wait_task(sandbox, &it.id, "to be done again", |it| {
        it["attempts"] == 2 && it["state"] == "COMPLETED" && it["session"].is_null()
    });
    assert_eq!(moved["workspace"], to);
    assert_eq!(read(&target, "a").as_deref(), Some("one\ntwo\n"));
    it.assert_second();
    // The workspace is lost; what there is of it comes back.
    save(sandbox, &it.id, &[]);
    fs::remove_dir_all(&target).unwrap();
    let told = sandbox.ok(&["session", "recover", &it.id]);
    assert!(told.contains("\n  workspace        gone, in cp-"), "{told}");
    assert!(told.contains("\n  1) resume (recommended): "), "{told}");
    sandbox.ok(&["session", "recover", &it.id, "--yes"]);
    assert_eq!(read(&target, "a").as_deref(), Some("one\ntwo\n"));
    assert_eq!(task(sandbox, &it.id)["attempts"], 3);
}

#[test]
fn what_was_saved_is_looked_after() {
    let it = saved();
    let (sandbox, first, second) = (&it.sandbox, it.first.as_str(), it.second.as_str());
    assert!(!sandbox.ok(&["checkpoint", "pin", second, "--off"]).contains("pinned"));
    assert!(sandbox.ok(&["checkpoint", "pin", first]).ends_with(", \"tests green\", pinned\n"));
    let named = sandbox.ok(&["checkpoint", "label", second, "red\nagain"]);
    assert!(named.ends_with(", \"red again\"\n"), "{named}");
    assert!(sandbox.ok(&["checkpoint", "label", second, ""]).ends_with(" in all\n"));

    // One id is wrong, so nothing is deleted.
    let before = it.list().len();
    refused(&sandbox.run(&["checkpoint", "delete", second, "cp-zzzzzzzz"]), 3, "not found");
    assert_eq!(it.list().len(), before);
    let third = save(sandbox, &it.id, &[]);
    assert_eq!(
        sandbox.ok(&["checkpoint", "delete", second, &second[..9], "--yes"]),
        format!("Deleted {second}\n")
    );
    it.arrived();
    let look = sandbox.json(&["checkpoint", "prune", "--older-than", "0", "--dry-run", "--json"]);
    let going = look["checkpoints"].as_array().unwrap();
    assert!(!going.is_empty() && going.iter().all(|it| it["id"] != first && it["id"] != third));
    let done = sandbox.ok(&["checkpoint", "prune", "--older-than", "0"]);
    assert!(done.contains(" deleted; "), "{done}");
    let mut left: Vec<Value> = it.list().iter().map(|it| it["id"].clone()).collect();
    left.sort_by_key(ToString::to_string);
    let mut expected: Vec<Value> = vec![first.into(), third.clone().into()];
    expected.sort_by_key(ToString::to_string);
    assert_eq!(left, expected);

    // They outlive the task.
    sandbox.ok(&["task", "delete", &it.id, "--no-checkpoint"]);
    assert_eq!(it.list().len(), 2);
    refused(&sandbox.run(&["checkpoint", "diff", &third, "now"]), 4, "deleted");
}

fn tar_names(sandbox: &Sandbox, archive: &Path) -> Vec<String> {
    let mut tar = sandbox.command("tar");
    tar.arg("-tf").arg(archive);
    let ran = run(tar);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn an_archive_holds_the_files_and_a_damage_is_found() {
    let it = saved();
    let (sandbox, second) = (&it.sandbox, it.second.as_str());
    let archive = sandbox.root().join("out.tar");
    let file = archive.to_str().unwrap();
    assert!(sandbox.ok(&["checkpoint", "export", second, file]).contains(&format!(" to {file}, ")));
    let names = tar_names(sandbox, &archive);
    for name in ["workspace/a", "workspace/new"] {
        assert!(names.iter().any(|it| it.ends_with(name)), "{name}: {names:?}");
    }
    refused(&sandbox.run(&["checkpoint", "export", second, file]), 4, "is there already");
    sandbox.ok(&["checkpoint", "export", second, file, "--force"]);
    let whole = fs::read(&archive).unwrap();
    let mut pipe = sandbox.parhelia(&["checkpoint", "export", second, "-"]);
    assert_eq!(pipe.output().unwrap().stdout, whole);
    refused(&sandbox.run(&["checkpoint", "export", second, "x.tar.zst"]), 2, "plain tar");

    it.arrived();
    let verified = sandbox.ok(&["checkpoint", "verify", "--session", &it.id]);
    assert!(verified.ends_with(", all whole\n"), "{verified}");
    // Where they are and here.
    flip(&it.dir.parent().unwrap().join("shadow.git/objects"));
    flip(&sandbox.state().join("checkpoints.git/objects"));
    let found = sandbox.run(&["checkpoint", "verify"]);
    assert_eq!(found.code, Some(1), "{found:?}");
    assert!(found.stdout.contains("   Corrupted checkpoint: "), "{found:?}");
    let list = sandbox.ok(&["checkpoint", "list"]);
    assert!(list.lines().any(|it| it.starts_with('!')), "{list}");
}

/// Turns a bit of the middle byte of every object and pack below `dir`.
pub fn flip(dir: &Path) {
    let mut flipped = 0;
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).unwrap().flatten() {
            let path = entry.path();
            let index = path.extension().is_some_and(|it| it != "pack");
            if path.is_dir() {
                dirs.push(path);
            } else if !index {
                flip_middle(&path);
                flipped += 1;
            }
        }
    }
    assert_ne!(flipped, 0);
}

pub fn flip_middle(path: &Path) {
    let mut permissions = fs::metadata(path).unwrap().permissions();
    #[expect(clippy::permissions_set_readonly_false, reason = "git keeps objects read-only")]
    permissions.set_readonly(false);
    fs::set_permissions(path, permissions).unwrap();
    let mut file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let middle = SeekFrom::Start(file.metadata().unwrap().len() / 2);
    let mut byte = [0];
    file.seek(middle).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(middle).unwrap();
    file.write_all(&[byte[0] ^ 0x10]).unwrap();
}
