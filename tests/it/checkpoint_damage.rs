//! A byte has turned, on the host or on this machine: what one of them has whole is healed from the
//! other, and of the rest is said what it is and what to use instead.

use std::{fs, path::PathBuf};

use crate::{
    checkpoint_cli::{Saved, flip, flip_middle, read, refused, save, saved},
    support::{
        dispatcher::{log, task},
        sandbox::run,
        wait::{PATIENCE, wait_or_explain},
    },
};

impl Saved {
    fn shadow(&self) -> PathBuf {
        self.dir.parent().unwrap().join("shadow.git")
    }

    fn vault(&self) -> PathBuf {
        self.sandbox.state().join("checkpoints.git")
    }

    /// Damages the file of a checkpoint on its host.
    fn flip_there(&self, checkpoint: &str, file: &str) {
        let mut git = self.sandbox.command("git");
        let name = format!("refs/checkpoints/{checkpoint}:w/{file}");
        git.arg("--git-dir").arg(self.shadow()).args(["rev-parse", &name]);
        let ran = run(git);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let (dir, rest) = ran.stdout.trim().split_at(2);
        flip_middle(&self.shadow().join("objects").join(dir).join(rest));
    }

    fn flip_here(&self) {
        flip(&self.vault().join("objects/pack"));
    }
}

#[test]
fn what_is_damaged_on_the_host_is_fetched_again_from_this_machine() {
    let it = saved();
    it.arrived();
    it.flip_there(&it.first, "a");
    let back = it.sandbox.ok(&["checkpoint", "restore", &it.first, "--yes"]);
    assert!(!back.contains("damaged"), "{back}");
    it.assert_first();
    // Also into a directory that is not there, and to go on with.
    it.flip_there(&it.second, "new");
    let target = it.sandbox.root().join("elsewhere");
    let to = target.to_str().unwrap();
    it.sandbox.ok(&["checkpoint", "restore", &it.second, "--target", to, "--yes"]);
    assert_eq!(read(&target, "new").as_deref(), Some("new\n"));
}

#[test]
fn what_is_damaged_on_this_machine_is_fetched_again_from_the_host() {
    let it = saved();
    it.arrived();
    it.flip_here();
    let said = it.sandbox.ok(&["checkpoint", "verify", "--session", &it.id]);
    assert!(said.contains("   Healed: it was damaged on this machine, fetched again"), "{said}");
    assert!(!said.contains("Corrupted"), "{said}");
    assert!(said.lines().last().unwrap().contains("all whole, "), "{said}");
    let again = it.sandbox.ok(&["checkpoint", "verify", "--session", &it.id]);
    assert!(again.ends_with(", all whole\n"), "{again}");
    assert!(it.list().iter().all(|it| it["damage"].is_null()), "{:#?}", it.list());
    // It does not need its host any more.
    fs::remove_dir_all(it.shadow()).unwrap();
    it.sandbox.ok(&["checkpoint", "restore", &it.first, "--yes"]);
    it.assert_first();
}

#[test]
fn what_is_damaged_in_both_places_is_named_with_what_to_use_instead() {
    let it = saved();
    fs::write(it.dir.join("a"), "whole\n").unwrap();
    it.arrived();
    it.flip_there(&it.second, "new");
    it.flip_there(&it.second, "a");
    it.flip_here();
    let third = save(&it.sandbox, &it.id, &[]);
    it.arrived();
    let found = it.sandbox.run(&["checkpoint", "verify", "--session", &it.id]);
    assert_eq!(found.code, Some(1), "{found:?}");
    let of = |id: &str| found.stdout.lines().filter(|it| it.contains(id)).count();
    let bad = found.stdout.lines().filter(|it| it.contains("Corrupted")).collect::<Vec<_>>();
    assert!(
        bad.iter()
            .all(|it| it.contains(" cannot be read (object") || it.contains("cannot be read;")),
        "{found:?}"
    );
    assert_eq!(of(&it.second), 1, "{found:?}");
    let line = bad.iter().find(|it| it.contains("new")).unwrap_or_else(|| panic!("{found:?}"));
    assert!(line.contains(&format!("the newest whole one is {third}")), "{line}");

    let resumed = ["resume", &it.id, "leave", "--checkpoint-id", &it.second];
    let no = it.sandbox.run(&resumed);
    refused(&no, 9, &format!("Corrupted checkpoint: {} is damaged", it.second));
    assert!(no.stderr.contains(&format!("the newest one that is whole is {third}")), "{no:?}");
    assert_eq!(read(&it.dir, "a").as_deref(), Some("whole\n"), "nothing was changed");
}

#[test]
fn a_conversation_that_was_gone_when_the_newest_was_made_comes_back_all_the_same() {
    let it = saved();
    let before = task(&it.sandbox, &it.id);
    let name = format!("conversation/{}.jsonl", before["conversation"].as_str().unwrap());
    let transcript = it.sandbox.home().join(".claude/projects/stand-in").join(&name[13..]);
    let said = fs::read(&transcript).unwrap();
    assert!(!said.is_empty());
    fs::remove_file(&transcript).unwrap();
    fs::write(it.dir.join("a"), "since\n").unwrap();
    let third = save(&it.sandbox, &it.id, &[]);
    let shown = it.sandbox.json(&["checkpoint", "show", &third, "--json"]);
    assert!(shown["beside"].as_array().unwrap().contains(&name.clone().into()), "{shown:#}");
    it.arrived();

    // With nothing left to take it over from, one is made without.
    fs::remove_dir_all(it.shadow()).unwrap();
    fs::write(it.dir.join("a"), "later\n").unwrap();
    let fourth = save(&it.sandbox, &it.id, &[]);
    let shown = it.sandbox.json(&["checkpoint", "show", &fourth, "--json"]);
    assert!(!shown["beside"].as_array().unwrap().contains(&name.into()), "{shown:#}");
    it.sandbox.ok(&["resume", &it.id, "leave"]);
    wait_or_explain(
        "the conversation to be back",
        PATIENCE,
        || fs::read(&transcript).is_ok_and(|it| it.starts_with(&said)).then_some(()),
        || format!("{:#}\n{}", task(&it.sandbox, &it.id), log(&it.sandbox)),
    );
    let events = it.sandbox.ok(&["logs", &it.id, "--events"]);
    assert!(events.contains(&format!("the conversation was put back from {third}")), "{events}");
}
