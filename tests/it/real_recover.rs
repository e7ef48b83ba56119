//! What was lost is brought back, with the real Claude Code: its next request holds the history,
//! its files are there, and its cost goes on.

use std::{
    fs,
    path::{Path, PathBuf},
};

use parhelia::{
    api::{
        checkpoints::{CreateCheckpoint, Fork, Restore, Resume, WayDoes},
        client::{CheckpointsQuery, HistoryQuery},
        error::ErrorKind,
        types::{CreateTask, Env, Prompt, Retry, Stop},
        view::TaskView,
    },
    config::dirs::Dirs,
    domain::task::{Isolation, PermissionMode},
    stdx::secret::Secret,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{
    api::Recorded,
    client::Caller,
    ground::{bash, script},
    sandbox::{Sandbox, run},
    wait::{PATIENCE, wait_or_explain, wait_until},
};

/// A task whose first turn is over and saved.
struct Bench {
    sandbox: Sandbox,
    caller: Caller,
    id: String,
}

/// Words that tell the prompts apart in a request.
const FIRST: &str = "alpha-word";
const SECOND: &str = "beta-word";
const THIRD: &str = "gamma-word";

fn prompt(steps: &Value, word: &str) -> String {
    format!("{} {word}", script(steps))
}

fn env(sandbox: &Sandbox) -> Env {
    let each = |(name, value): (&String, &String)| (name.clone(), Secret::new(value.clone()));
    Env(sandbox.env().iter().map(each).collect())
}

/// Removes a directory in which a checkpoint may just be under way.
fn remove(dir: impl AsRef<Path>) {
    let dir = dir.as_ref();
    let gone = || {
        let _ = fs::remove_dir_all(dir);
        (!dir.exists()).then_some(())
    };
    wait_until("a directory to be gone", PATIENCE, gone);
}

/// Returns every file below `dir` but git's, with its content.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(at) = dirs.pop() {
        for entry in fs::read_dir(at).into_iter().flatten().flatten() {
            if entry.file_name() == ".git" {
            } else if entry.path().is_dir() {
                dirs.push(entry.path());
            } else {
                let name = entry.path().strip_prefix(dir).unwrap().to_owned();
                found.push((name, fs::read(entry.path()).unwrap()));
            }
        }
    }
    found.sort();
    found
}

impl Bench {
    fn new(isolation: Isolation) -> Bench {
        let sandbox = Sandbox::new();
        if isolation != Isolation::None {
            let git = "git init -q -b main . && git config user.name T && git config user.email t@t \
                && echo kept > kept.txt && git add . && git commit -qm one";
            let mut command = sandbox.command("sh");
            command.args(["-ec", git]);
            assert_eq!(run(command).code, Some(0));
        }
        let caller = Caller::new(&sandbox);
        let steps = json!([bash("echo made > made.txt"), { "text": "One done." }]);
        let request = CreateTask {
            prompt: prompt(&steps, FIRST),
            workspace: sandbox.workspace().to_str().unwrap().to_owned(),
            isolation: Some(isolation),
            interactive: true,
            permission_mode: Some(PermissionMode::Bypass),
            caller_env: env(&sandbox),
            ..CreateTask::default()
        };
        let id = caller.wait(caller.client.create_task(&request)).unwrap().task.id;
        let bench = Bench { sandbox, caller, id };
        bench.until("the first turn", |it| it.turns == 1 && 0.0 < it.cost_usd);
        bench.written("assistant", "One done.");
        bench.saved();
        bench
    }

    fn view_of(&self, id: &str) -> TaskView {
        self.caller.wait(self.caller.client.task(id)).unwrap_or_else(|it| panic!("{id}: {it}"))
    }

    fn view(&self) -> TaskView {
        self.view_of(&self.id)
    }

    fn until(&self, what: &str, holds: impl Fn(&TaskView) -> bool) -> TaskView {
        self.until_of(&self.id, what, holds)
    }

    fn until_of(&self, id: &str, what: &str, holds: impl Fn(&TaskView) -> bool) -> TaskView {
        let look = || Some(self.view_of(id)).filter(|it| holds(it));
        wait_or_explain(what, PATIENCE, look, || self.told(id))
    }

    fn told(&self, id: &str) -> String {
        let query =
            HistoryQuery { task: Some(id.into()), after: Some(0), ..HistoryQuery::default() };
        let events = self.caller.wait(self.caller.client.history(&query)).unwrap_or_default();
        let events: Vec<&str> = events.iter().map(|it| &*it.text).collect();
        let screen = self.sandbox.run(&["logs", id, "--raw"]).stdout;
        format!("{:#?}\n{}\n{screen}", self.view_of(id), events.join("\n"))
    }

    /// Waits until a checkpoint of all that is there has arrived in the vault.
    fn saved(&self) -> String {
        let what = CreateCheckpoint::default();
        let made = self.caller.wait(self.caller.client.checkpoint(&self.id, &what));
        let made = made.unwrap_or_else(|it| panic!("{it}\n{}", self.told(&self.id)));
        let id = made.id.clone();
        let here = || {
            let query = CheckpointsQuery { task: Some(self.id.clone()), ..Default::default() };
            let list = self.caller.wait(self.caller.client.checkpoints(&query)).unwrap();
            let found = list.checkpoints.iter().find(|it| it.id == id)?;
            found.stored_bytes.is_some().then_some(())
        };
        wait_or_explain("the checkpoint to arrive", PATIENCE, here, || self.told(&self.id));
        made.id
    }

    fn workspace(&self) -> PathBuf {
        PathBuf::from(self.view().workspace.unwrap())
    }

    /// Brings Claude into the middle of a tool that takes long.
    fn begin_a_tool(&self) {
        let steps = json!([bash("touch begun; perl -e 'sleep 60'"), { "text": "Never." }]);
        let text = prompt(&steps, SECOND);
        self.caller.wait(self.caller.client.prompt(&self.id, &Prompt { text })).unwrap();
        let begun = self.workspace().join("begun");
        let look = || begun.exists().then_some(());
        wait_or_explain("the tool", PATIENCE, look, || self.told(&self.id));
        self.written("user", SECOND);
    }

    /// Waits until a line of the transcript holds a word. Claude writes there when it finds the
    /// time, and what it was asked is lost if it is killed before.
    fn written(&self, kind: &str, word: &str) {
        let holds = |line: &str| {
            let line: Value = serde_json::from_str(line).unwrap_or_default();
            line["type"] == kind && line["message"].to_string().contains(word)
        };
        let look = || {
            let all = files(&self.sandbox.home().join(".claude/projects"));
            let mut texts = all.iter().map(|it| String::from_utf8_lossy(&it.1));
            texts.any(|it| it.lines().any(holds)).then_some(())
        };
        let what = format!("{word} in the transcript");
        wait_or_explain(&what, PATIENCE, look, || self.told(&self.id));
    }

    fn pid(&self) -> u32 {
        let view = self.view();
        let path = format!("{}/a{}/pid", view.run_dir.unwrap(), view.attempts);
        fs::read_to_string(path).unwrap().trim().parse().unwrap()
    }

    fn kill_claude(&self) {
        let pid = Pid::from_raw(self.pid().try_into().unwrap()).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
        self.until("the session to end", |it| it.session.is_none());
    }

    fn tmux(&self, args: &[&str]) {
        let env =
            self.sandbox.env().iter().map(|(name, value)| (name.into(), value.into())).collect();
        let dirs = Dirs::from_env(&env, rustix::process::geteuid().as_raw()).unwrap();
        let mut command = self.sandbox.command("tmux");
        command.args(["-L", &dirs.tmux_socket()]).args(args);
        run(command);
    }

    fn stop(&self) {
        let stop = Stop { session_only: false };
        self.caller.wait(self.caller.client.stop(&self.id, &stop)).unwrap();
        self.until("the session to end", |it| it.session.is_none());
    }

    /// Asks what can be done and returns the recommended way.
    fn recommended(&self) -> (WayDoes, String) {
        let recovery = self.caller.wait(self.caller.client.recovery(&self.id)).unwrap();
        assert!(recovery.last.is_some(), "{recovery:#?}");
        let way = recovery.ways.first().unwrap_or_else(|| panic!("{recovery:#?}"));
        (way.does, format!("{recovery:#?}"))
    }

    fn resume(&self, how: Resume) -> f64 {
        let before = self.view().cost_usd;
        let steps = json!([{ "text": "Back." }]);
        let how =
            Resume { prompt: Some(prompt(&steps, THIRD)), caller_env: env(&self.sandbox), ..how };
        let resumed = self.caller.wait(self.caller.client.resume(&self.id, &how));
        resumed.unwrap_or_else(|it| panic!("{it}\n{}", self.told(&self.id)));
        before
    }

    /// Waits for the resumed turn and checks what it was asked with, and that its cost goes on.
    fn goes_on(&self, before: f64, words: &[&str]) -> Recorded {
        let request = self.sandbox.api.wait_for(|it| it.is_turn() && it.asks(THIRD), PATIENCE);
        let said = request.body["messages"].to_string();
        for word in [FIRST, SECOND, THIRD, "One done."] {
            let expected = words.contains(&word) || [THIRD, "One done."].contains(&word);
            assert_eq!(said.contains(word), expected, "{word}: {said}");
        }
        let turns = self.view().turns;
        let after = self.until("the turn to end and be paid", |it| {
            before < it.cost_usd
                && it.activity.is_some_and(|it| it.as_str() == "idle")
                && 2 <= it.turns
        });
        assert!(turns <= after.turns);
        // One request more, of the three or four there were: nothing was counted twice.
        let one = after.cost_usd - before;
        assert!(one < 0.9 * before, "{one} after {before}: {}", self.told(&self.id));
        request
    }
}

/// What is there after a disaster is brought back by the way that is recommended.
fn comes_back(bench: &Bench, recommended: WayDoes, words: &[&str]) {
    let (does, told) = bench.recommended();
    assert_eq!(does, recommended, "{told}");
    let before = bench.resume(Resume::default());
    bench.goes_on(before, words);
    let workspace = bench.workspace();
    let names: Vec<PathBuf> = files(&workspace).into_iter().map(|it| it.0).collect();
    assert!(names.contains(&"made.txt".into()), "{names:?}: {}", bench.told(&bench.id));
    let mut status = bench.sandbox.command("git");
    status.current_dir(&workspace).args(["rev-parse", "--abbrev-ref", "HEAD"]);
    assert_eq!(run(status).stdout.trim(), format!("parhelia/{}", bench.id));
}

#[test]
fn real_claude_killed_in_a_tool_goes_on() {
    let bench = Bench::new(Isolation::Worktree);
    bench.begin_a_tool();
    bench.kill_claude();
    comes_back(&bench, WayDoes::Resume, &[FIRST, SECOND]);
}

#[test]
fn real_claude_gets_its_workspace_back() {
    let bench = Bench::new(Isolation::Worktree);
    bench.begin_a_tool();
    bench.kill_claude();
    remove(bench.workspace());
    comes_back(&bench, WayDoes::RestoreResume, &[FIRST, SECOND]);
}

#[test]
fn real_claude_gets_its_workspace_back_by_a_retry_too() {
    let bench = Bench::new(Isolation::Clone);
    bench.kill_claude();
    let then = files(&bench.workspace());
    remove(bench.workspace());
    let before = bench.view().cost_usd;
    let retry = Retry {
        resume: true,
        prompt: Some(prompt(&json!([{ "text": "Back." }]), THIRD)),
        caller_env: env(&bench.sandbox),
        ..Retry::default()
    };
    bench.caller.wait(bench.caller.client.retry(&bench.id, &retry)).unwrap();
    bench.goes_on(before, &[FIRST]);
    assert_eq!(files(&bench.workspace()), then);
    let mut log = bench.sandbox.command("git");
    log.current_dir(bench.workspace()).args(["log", "--format=%s %D"]);
    let log = run(log).stdout;
    assert!(log.starts_with(&format!("one HEAD -> parhelia/{}", bench.id)), "{log}");
}

#[test]
fn real_claude_gets_everything_back_from_the_vault() {
    let bench = Bench::new(Isolation::Worktree);
    bench.kill_claude();
    remove(bench.view().run_dir.unwrap());
    remove(bench.sandbox.home().join(".claude/projects"));
    comes_back(&bench, WayDoes::RestoreResume, &[FIRST]);
}

#[test]
fn real_claude_goes_on_after_its_tmux_server_was_killed() {
    let bench = Bench::new(Isolation::Worktree);
    bench.begin_a_tool();
    bench.tmux(&["kill-server"]);
    bench.until("the session to be lost", |it| it.session.is_none());
    comes_back(&bench, WayDoes::Resume, &[FIRST, SECOND]);
}

#[test]
fn real_claude_goes_back_to_a_checkpoint_and_undoes_that() {
    let bench = Bench::new(Isolation::None);
    let checkpoint = bench.saved();
    let workspace = bench.workspace();
    let then = files(&workspace);
    bench.begin_a_tool();

    // Not under a turn that runs.
    let how = Restore::default();
    let refused = bench.caller.wait(bench.caller.client.restore(&checkpoint, &how)).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict, "{refused}");
    bench.stop();
    fs::write(workspace.join("made.txt"), "changed\n").unwrap();
    let later = files(&workspace);

    let dry = Restore { dry_run: true, ..Restore::default() };
    let seen = bench.caller.wait(bench.caller.client.restore(&checkpoint, &dry)).unwrap();
    assert!(seen.dry_run && seen.safety.is_none(), "{seen:#?}");
    let what: Vec<(&str, &str)> = seen.files.iter().map(|it| (&*it.path, &*it.what)).collect();
    assert_eq!(what, [("begun", "delete"), ("made.txt", "change")]);
    assert_eq!(files(&workspace), later);

    let how = Resume { checkpoint: Some(checkpoint.clone()), ..Resume::default() };
    let before = bench.resume(how);
    // The second prompt came after the checkpoint, so this conversation never heard it.
    bench.goes_on(before, &[FIRST]);
    assert_eq!(files(&workspace), then);

    // What was replaced is in the checkpoint made before.
    bench.stop();
    let query = CheckpointsQuery { task: Some(bench.id.clone()), ..Default::default() };
    let list = bench.caller.wait(bench.caller.client.checkpoints(&query)).unwrap().checkpoints;
    let safety = list.iter().find(|it| it.trigger.as_str() == "before-restore").unwrap();
    let restored =
        bench.caller.wait(bench.caller.client.restore(&safety.id, &Restore::default())).unwrap();
    assert_eq!(restored.missing, Vec::<String>::new());
    assert_eq!(files(&workspace), later);
}

#[test]
fn real_claude_goes_on_in_another_directory() {
    let bench = Bench::new(Isolation::None);
    bench.stop();
    let then = files(&bench.workspace());
    let target = bench.sandbox.root().join("elsewhere/deep");
    let how = Resume { target: Some(target.to_str().unwrap().into()), ..Resume::default() };
    let before = bench.resume(how);
    bench.goes_on(before, &[FIRST]);
    assert_eq!(bench.workspace(), target);
    assert_eq!(files(&target), then);
}

#[test]
fn real_claude_forks_and_leaves_the_first_as_it_was() {
    let bench = Bench::new(Isolation::Worktree);
    let checkpoint = bench.saved();
    let transcript = || {
        let projects = bench.sandbox.home().join(".claude/projects");
        let conversation = format!("{}.jsonl", bench.view().conversation.unwrap());
        let mut found = files(&projects);
        found.retain(|it| it.0.ends_with(&conversation));
        found
    };
    bench.stop();
    let (before, then) = (transcript(), files(&bench.workspace()));
    assert_eq!(before.len(), 1);
    let paid = bench.view();
    let steps = json!([bash("echo forked > forked.txt"), { "text": "Forked." }]);
    let how = Fork {
        prompt: Some(prompt(&steps, THIRD)),
        caller_env: env(&bench.sandbox),
        ..Fork::default()
    };
    let fork = bench.caller.wait(bench.caller.client.fork(&checkpoint, &how)).unwrap().task;
    let request = bench.sandbox.api.wait_for(|it| it.is_turn() && it.asks(THIRD), PATIENCE);
    let said = request.body["messages"].to_string();
    assert!(said.contains(FIRST) && said.contains("One done."), "{said}");
    let done = bench.until_of(&fork.id, "the fork's turn", |it| {
        it.turns == 1 && 0.0 < it.cost_usd && it.activity.is_some_and(|it| it.as_str() == "idle")
    });
    assert_eq!(done.forked_from.as_deref(), Some(&*checkpoint));
    assert_ne!(done.conversation, paid.conversation);
    // Its own two requests, not the first task's as well.
    assert!(done.cost_usd < 1.5 * paid.cost_usd, "{} {}", done.cost_usd, paid.cost_usd);
    assert!(done.tokens.output < 2 * paid.tokens.output, "{:?} {:?}", done.tokens, paid.tokens);
    let workspace = PathBuf::from(done.workspace.clone().unwrap());
    let mut expected = then.clone();
    expected.push(("forked.txt".into(), b"forked\n".to_vec()));
    expected.sort();
    assert_eq!(files(&workspace), expected, "{}", bench.told(&fork.id));
    assert_eq!(files(&bench.workspace()), then);
    assert!(transcript() == before, "the first conversation was written to");
    let mut status = bench.sandbox.command("git");
    status.current_dir(&workspace).args(["status", "--porcelain", "--branch"]);
    let status = run(status).stdout;
    assert_eq!(status, format!("## parhelia/{}\n?? forked.txt\n?? made.txt\n", fork.id));
}

#[test]
fn real_claude_is_never_two_on_one_conversation() {
    let bench = Bench::new(Isolation::None);
    bench.stop();
    let conversation = bench.view().conversation.unwrap();
    // A person goes on with it by hand.
    let mut by_hand = bench.sandbox.command("tmux");
    by_hand.args(["-L", "by-hand", "new-session", "-d", "-x", "100", "-y", "30"]);
    by_hand.args(["env", "CLAUDE_CODE_SANDBOXED=1", "claude", "--resume", &conversation]);
    assert_eq!(run(by_hand).code, Some(0));
    let sessions = bench.sandbox.home().join(".claude/sessions");
    let open = || {
        files(&sessions)
            .iter()
            .any(|(_, it)| String::from_utf8_lossy(it).contains(&conversation))
            .then_some(())
    };
    wait_or_explain("Claude by hand", PATIENCE, open, || bench.told(&bench.id));
    let refused =
        bench.caller.wait(bench.caller.client.resume(&bench.id, &Resume::default())).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict, "{refused}");
    assert!(refused.message.contains("as process"), "{refused}");
    let retry = Retry { resume: true, ..Retry::default() };
    let refused = bench.caller.wait(bench.caller.client.retry(&bench.id, &retry)).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict, "{refused}");
    assert!(bench.view().session.is_none());
}

/// A task that was deleted is forked all the same: its checkpoints and its events outlive it.
#[test]
fn real_claude_forks_a_deleted_task_and_waits_for_a_prompt() {
    let bench = Bench::new(Isolation::Worktree);
    let checkpoint = bench.saved();
    let then = files(&bench.workspace());
    bench.stop();
    bench.sandbox.ok(&["task", "delete", &bench.id, "--yes"]);
    let how = Fork { caller_env: env(&bench.sandbox), ..Fork::default() };
    let fork = bench.caller.wait(bench.caller.client.fork(&checkpoint, &how)).unwrap().task;
    let idle = |it: &TaskView| it.activity.is_some_and(|it| it.as_str() == "idle");
    let waits = bench.until_of(&fork.id, "the fork to wait for a prompt", idle);
    assert_eq!((waits.turns, &*waits.state), (0, "RUNNING"));
    assert_eq!(files(Path::new(waits.workspace.as_ref().unwrap())), then);
    let text = prompt(&json!([{ "text": "Here." }]), THIRD);
    bench.caller.wait(bench.caller.client.prompt(&fork.id, &Prompt { text })).unwrap();
    let request = bench.sandbox.api.wait_for(|it| it.is_turn() && it.asks(THIRD), PATIENCE);
    assert!(request.body["messages"].to_string().contains(FIRST), "{request:?}");

    // Without the conversation it begins with the files alone.
    let how = Fork {
        prompt: Some(prompt(&json!([{ "text": "Fresh." }]), SECOND)),
        fresh: true,
        caller_env: env(&bench.sandbox),
        ..Fork::default()
    };
    let fresh = bench.caller.wait(bench.caller.client.fork(&checkpoint, &how)).unwrap().task;
    let request = bench.sandbox.api.wait_for(|it| it.is_turn() && it.asks(SECOND), PATIENCE);
    assert!(!request.body["messages"].to_string().contains(FIRST), "{request:?}");
    let fresh = bench.view_of(&fresh.id);
    assert_eq!(files(Path::new(fresh.workspace.as_ref().unwrap())), then);
}

#[test]
fn a_checkpoint_that_is_gone_is_passed_over() {
    let bench = Bench::new(Isolation::Worktree);
    let first = bench.saved();
    let packs = bench.sandbox.state().join("checkpoints.git/objects");
    let known: Vec<PathBuf> = files(&packs).into_iter().map(|it| it.0).collect();
    fs::write(bench.workspace().join("later.txt"), "later\n").unwrap();
    bench.stop();
    let last = bench.saved();
    // What came after the first is lost, there and here.
    for (name, _) in files(&packs).into_iter().filter(|it| !known.contains(&it.0)) {
        fs::remove_file(packs.join(name)).unwrap();
    }
    remove(bench.view().run_dir.unwrap());
    let recovery = bench.caller.wait(bench.caller.client.recovery(&bench.id)).unwrap();
    assert_eq!(recovery.last.as_ref().map(|it| &it.id), Some(&first), "{recovery:#?}");
    let refused = bench.caller.wait(bench.caller.client.restore(&last, &Restore::default()));
    let refused = refused.unwrap_err();
    assert!(refused.hints.iter().any(|it| it.contains(&first)), "{refused} {:?}", refused.hints);
    let before = bench.resume(Resume::default());
    bench.goes_on(before, &[FIRST]);
    assert!(!bench.workspace().join("later.txt").exists());
}
