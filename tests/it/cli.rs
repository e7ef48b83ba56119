//! The commands as a person or a script sees them: what they print, and what they exit with.

use std::{fs, path::Path, process::Stdio};

use parhelia::dispatcher::http::openapi;

use crate::support::{
    sandbox::{Ran, Sandbox, run},
    wait::{PATIENCE, wait_until},
};

/// Replaces what differs from run to run with as many letters: ids, clocks, ages, the sandbox.
fn redact(sandbox: &Sandbox, text: &str) -> String {
    let text = text.replace(sandbox.root().to_str().unwrap(), "$ROOT");
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let prefix = ["task-", "worker-"].into_iter().find(|it| rest.starts_with(it));
        if let Some(prefix) = prefix
            && let Some(id) = rest.get(prefix.len()..prefix.len() + 8)
            && id.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit())
        {
            out.push_str(prefix);
            out.push_str("xxxxxxxx");
            rest = &rest[prefix.len() + 8..];
        } else if is_clock(rest) {
            out.push_str("hh:mm:ss");
            rest = &rest[8..];
        } else if is_age(rest) && !out.ends_with(|it: char| it.is_alphanumeric() || it == '.') {
            out.push_str("Ns");
            rest = &rest[2..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn is_clock(text: &str) -> bool {
    text.len() >= 8
        && text.bytes().zip(*b"00:00:00").all(|(it, form)| match form {
            b':' => it == b':',
            _ => it.is_ascii_digit(),
        })
}

fn is_age(text: &str) -> bool {
    let mut bytes = text.bytes();
    let (digit, unit, next) = (bytes.next(), bytes.next(), bytes.next());
    digit.is_some_and(|it| it.is_ascii_digit())
        && unit == Some(b's')
        && next.is_none_or(|it| !it.is_ascii_alphanumeric())
}

/// Makes the workspace a repository with one commit, one changed file and one that git does not
/// know.
fn repository(sandbox: &Sandbox) {
    let write = |name: &str, text: &str| {
        fs::write(sandbox.workspace().join(name), text).unwrap();
    };
    write("a.txt", "one\n");
    for args in [
        &["init", "-q", "-b", "main"][..],
        &["config", "user.name", "Test"],
        &["config", "user.email", "test@example.com"],
        &["add", "."],
        &["commit", "-qm", "one"],
    ] {
        let mut git = sandbox.command("git");
        git.args(args);
        let ran = run(git);
        assert_eq!(ran.code, Some(0), "git {args:?}: {ran:?}");
    }
    write("a.txt", "two\n");
    write("b.txt", "new\n");
}

fn newest(sandbox: &Sandbox) -> String {
    sandbox.json(&["list", "--json"])["tasks"][0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_task_from_its_prompt_to_its_end() {
    let sandbox = Sandbox::new();
    repository(&sandbox);
    let created = sandbox.ok(&["task", "create", "SCENARIO:bash"]);
    insta::assert_snapshot!(redact(&sandbox, &created), @r"
    Task submitted: task-xxxxxxxx
    Dispatching in async mode...
    Workspace: own worktree on branch parhelia/task-xxxxxxxx (1 modified, 1 untracked files included)
    Worker started: worker-xxxxxxxx
    ");
    let id = newest(&sandbox);
    let watched = sandbox.ok(&["task", "watch", &id]);
    let last = watched.lines().last().unwrap();
    assert_eq!(last, format!("+ {id} completed  Done: out.txt now contains hi."));
    insta::assert_snapshot!(redact(&sandbox, &sandbox.ok(&["t", "ls"])), @r"
       ID             NAME           STATE        AGE   COST  LAST
    +  task-xxxxxxxx  SCENARIO:bash  completed     Ns  $0.01  Done: out.txt now contains hi.
    1 of 1 shown
    ");
    insta::assert_snapshot!(redact(&sandbox, &sandbox.ok(&["logs", &id[5..9]])), @r"
    hh:mm:ss you   SCENARIO:bash
    hh:mm:ss text  I'll write the file.
    hh:mm:ss tool  Bash echo hi > out.txt
    hh:mm:ss out   (Bash completed with no output)
    hh:mm:ss text  Done: out.txt now contains hi.
    hh:mm:ss note  turn took Ns
    ");
    assert_eq!(sandbox.ok(&["task", "show", "--answer", &id]), "Done: out.txt now contains hi.\n");
    let why = sandbox.ok(&["task", "show", "--why", &id]);
    let head = format!("{id} completed: Stop hook, nothing left in the background\n");
    assert!(why.starts_with(&head) && why.contains("  hook        "), "{why}");
    // The person's directory is as it was; the work is in the worktree.
    assert!(!sandbox.workspace().join("out.txt").exists());
    assert!(sandbox.state().join(format!("runs/{id}/workspace/out.txt")).exists());

    assert!(sandbox.ok(&["s", "ls"]).contains(&id));
    let refused = sandbox.run(&["task", "delete", &id]);
    assert_eq!(refused.code, Some(4), "{refused:?}");
    let ended = sandbox.ok(&["session", "kill", &id]);
    assert_eq!(ended, format!("Session of {id} ended; the task is completed\n"));
    assert_eq!(sandbox.ok(&["session", "list"]), "No sessions.\n");
    assert_eq!(sandbox.ok(&["task", "delete", &id]), format!("Deleted {id}\n"));
    assert_eq!(sandbox.ok(&["list"]), "No tasks.\n");
}

#[test]
fn sync_prints_the_answer_and_nothing_else_on_stdout() {
    let sandbox = Sandbox::new();
    let ran = sandbox.run(&["submit", "--sync", r#"FAKE:[{"text":"All is well."}]"#]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "All is well.\n"), "{ran:?}");
    let told: Vec<&str> = ran.stderr.lines().collect();
    assert!(told[0].starts_with("Task submitted: task-"), "{ran:?}");
    // No repository: there is nothing to make a worktree of.
    let workspace = format!(
        "Workspace: {} (not a git repository: Claude works in the directory itself)",
        sandbox.workspace().display()
    );
    assert_eq!(told.iter().filter(|it| it.contains("orkspace: ")).count(), 1, "{ran:?}");
    assert!(told.contains(&workspace.as_str()), "{ran:?}");
    let both = sandbox.json(&["submit", "--sync", "--json", r#"FAKE:[{"text":"again"}]"#]);
    assert_eq!((&both["answer"], &both["task"]["state"]), (&"again".into(), &"COMPLETED".into()));
}

#[test]
fn a_question_is_told_and_answered() {
    let sandbox = Sandbox::new();
    let prompt = r#"FAKE:[{"tool":"Bash","input":{"command":"curl x.invalid","description":"x"}},
        {"text":"asked and done"}]"#;
    let sync = sandbox
        .parhelia(&["submit", "--sync", prompt])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let asking = ["list", "--json", "--status", "needs-you"];
    let id = wait_until("a question", PATIENCE, || {
        let list = sandbox.json(&asking);
        let task = &list["tasks"][0];
        // The registry may say that Claude waits before the hook has said for what.
        task["asks"][0].is_object().then(|| task["id"].as_str().unwrap().to_owned())
    });
    let card = sandbox.ok(&["task", "show", &id]);
    assert!(card.contains("\nasks          permission: Bash curl x.invalid ("), "{card}");
    let wrong = sandbox.run(&["session", "answer", &id, "perhaps"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(sandbox.ok(&["session", "answer", &id, "yes"]).starts_with("submitted ("));
    let output = sync.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "asked and done\n");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let loud = format!(
        "! {id} needs permission: Bash curl x.invalid\n  answer: parhelia session answer {id} yes|no\n"
    );
    assert!(told.contains(&loud), "{told}");
}

#[test]
fn a_dry_run_shows_everything_and_starts_nothing() {
    let sandbox = Sandbox::new();
    repository(&sandbox);
    let plan = sandbox.ok(&["task", "create", "it's me", "--dry-run"]);
    let shown = redact(&sandbox, &plan);
    for line in [
        "Target: local",
        "Workspace: $ROOT/state/runs/task-xxxxxxxx/workspace",
        "  own worktree on branch parhelia/task-xxxxxxxx",
        "Price: $0.00 per hour, and what Claude costs",
        "Nothing was started.",
    ] {
        assert!(shown.lines().any(|it| it == line), "{line}\n{shown}");
    }
    assert!(shown.contains("\n  git worktree add -b ") && shown.contains("\n  claude "), "{shown}");
    assert!(shown.contains(r"-- 'it'\''s me'"), "{shown}");
    assert_eq!(sandbox.ok(&["list"]), "No tasks.\n");
}

#[test]
fn what_no_place_can_take_fails_at_once() {
    let sandbox = Sandbox::new();
    let ran = sandbox.run(&["task", "create", "x", "--gpu", "A10G"]);
    assert_eq!(ran.code, Some(6), "{ran:?}");
    insta::assert_snapshot!(redact(&sandbox, &ran.stderr), @r"
    Dispatch failed: No available workers: local has no A10G GPU
      hint: what there is: parhelia status; ask for less, or for another GPU
    ");
    let ran = sandbox.run(&["task", "create", "x", "--gpu", "A10G", "--json"]);
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!((ran.code, &error["kind"]), (Some(6), &"host".into()), "{ran:?}");
    assert!(sandbox.ok(&["list", "--status", "dispatch_failed"]).contains("2 of 2 shown"));
}

#[test]
fn mistakes_say_what_which_and_what_next() {
    let sandbox = Sandbox::new();
    let check = |args: &[&str], code: i32, words: &[&str]| {
        let ran: Ran = sandbox.run(args);
        assert_eq!(ran.code, Some(code), "{args:?}: {ran:?}");
        assert_eq!(ran.stdout, "", "{args:?}");
        for word in words {
            assert!(ran.stderr.contains(word), "{args:?} without `{word}`: {ran:?}");
        }
    };
    check(&["daemon", "status"], 5, &["parhelia daemon start"]);
    check(&["tsk", "list"], 2, &["'task'"]);
    check(&["task", "lst"], 2, &["'list'"]);
    check(&["list", "--status", "runing"], 2, &["'running'"]);
    check(&["task", "create", "x", "--type", "codefix"], 2, &["'code_fix'"]);
    check(&["task", "create"], 2, &["there is no prompt", "--file", "--interactive"]);
    check(&["task", "create", "x", "--env", "A=secret"], 2, &["export A first"]);
    check(&["task", "create", "x", "--workspace", "/no/where"], 2, &["/no/where"]);
    check(&["task", "show", ""], 2, &["a value is required"]);
    check(&["task", "show", "task-xyz"], 3, &["Task not found: task-xyz", "parhelia task list"]);
    sandbox.run(&["submit", "x", "--gpu", "T4"]);
    sandbox.run(&["submit", "x", "--gpu", "T4", "--name", "fix-auth"]);
    let id = newest(&sandbox);
    let called = format!("fix-auth is the name of {id}");
    check(&["task", "show", "fix-auth"], 3, &["Task not found: fix-auth", &called]);
    let wrong = format!("{}zz", &id[..11]);
    let near = format!("did you mean {id}");
    check(&["task", "show", &wrong], 3, &[&format!("Task not found: {wrong}"), &near]);
    check(&["task", "show", "task-"], 2, &["is the start of 2 task ids", &id]);
    check(&["attach", &id], 2, &["needs a terminal", "parhelia logs"]);
    check(&["session", "prompt", &id, "x"], 4, &["has no session"]);
    check(&["task", "show", &id, "--json", "--nonsense"], 2, &[r#""kind":"invalid""#]);
    fs::write(sandbox.workspace().join("parhelia.toml"), "[tasks]\ntimout = \"1h\"\n").unwrap();
    check(&["submit", "x"], 7, &["parhelia.toml:2", "did you mean `timeout`"]);
}

#[test]
fn status_names_what_is_wrong_now() {
    let sandbox = Sandbox::new();
    let healthy = sandbox.json(&["status", "--json"]);
    assert_eq!(healthy["config_problems"], serde_json::json!([]));
    assert_eq!(healthy["hints"], serde_json::json!([]));
    assert!(sandbox.ok(&["status"]).starts_with("configuration valid (defaults, no file)\n"));

    // The dispatcher runs already; what is written now is seen all the same.
    let config = sandbox.home().join(".config/parhelia/parhelia.toml");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    fs::write(&config, "[local]\nslots = 2\n").unwrap();
    let hint = sandbox.json(&["status", "--json"])["hints"][0].to_string();
    assert!(hint.contains("parhelia daemon restart"), "{hint}");
    fs::write(&config, "[budget]\non_exceded = \"park\"\n").unwrap();
    let hooks = sandbox.home().join(".claude/hooks");
    fs::create_dir_all(&hooks).unwrap();
    fs::write(hooks.join("plain.py"), "print()\n").unwrap();
    let settings = r#"{"hooks":{"Stop":[{"hooks":[
        {"type":"command","command":"~/.claude/hooks/gone.py"},
        {"type":"command","command":"$HOME/.claude/hooks/plain.py"}]}]}}"#;
    fs::write(sandbox.home().join(".claude/settings.json"), settings).unwrap();
    let shown = redact(&sandbox, &sandbox.ok(&["status"]));
    for line in [
        "configuration wrong (1)",
        "              $ROOT/home/.config/parhelia/parhelia.toml:2: unknown key \
         `budget.on_exceded`; did you mean `on_exceeded`?",
        "hint          $ROOT/home/.claude/settings.json: Stop: `~/.claude/hooks/gone.py` is not \
         there: the hook fails each time, with status 127",
        "hint          $ROOT/home/.claude/settings.json: Stop: `$HOME/.claude/hooks/plain.py` is \
         not executable: the hook fails each time, with status 126",
    ] {
        assert!(shown.lines().any(|it| it == line), "{line}\n{shown}");
    }
}

#[test]
fn past_events_are_the_newest_unless_paged() {
    let sandbox = Sandbox::new();
    for _ in 0..3 {
        sandbox.run(&["submit", "x", "--gpu", "T4"]);
    }
    let numbers = |args: &[&str]| -> Vec<u64> {
        let text = sandbox.ok(args);
        let seq = |it: &str| serde_json::from_str::<serde_json::Value>(it).unwrap()["seq"].as_u64();
        text.lines().map(|it| seq(it).unwrap()).collect()
    };
    let all = numbers(&["events", "export"]);
    assert!(6 <= all.len() && all.is_sorted(), "{all:?}");
    let newest = &all[all.len() - 2..];
    assert_eq!(numbers(&["events", "list", "--json", "--limit", "2"]), newest);
    assert_eq!(numbers(&["e", "ls", "--json", "--since", "1h", "-n", "2"]), newest);
}

#[test]
fn the_dispatcher_is_looked_after() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.ok(&["daemon", "stop"]), "No dispatcher was running\n");
    assert!(sandbox.ok(&["daemon", "start"]).starts_with("The dispatcher runs: version "));
    let pid = |args: &[&str]| sandbox.json(args)["pid"].as_u64().unwrap();
    let first = pid(&["daemon", "status", "--json"]);
    assert_eq!(pid(&["daemon", "start", "--json"]), first);
    assert_ne!(pid(&["daemon", "restart", "--json"]), first);
    assert!(sandbox.ok(&["daemon", "logs"]).contains("listening on"));
    assert!(sandbox.ok(&["daemon", "stop"]).contains("sessions keep running"));
    assert_eq!(sandbox.run(&["daemon", "status"]).code, Some(5));
}

#[test]
fn every_exit_status_is_in_the_help_and_the_man_page() {
    let sandbox = Sandbox::new();
    let help = sandbox.ok(&["--help"]);
    let man = sandbox.ok(&["man"]);
    for code in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 70, 130] {
        for text in [&help, &man] {
            let listed =
                text.lines().any(|it| it.split_whitespace().next() == Some(&code.to_string()));
            assert!(listed, "{code} is missing:\n{text}");
        }
    }
}

#[test]
fn completions_parse() {
    let sandbox = Sandbox::new();
    let file = sandbox.root().join("completion");
    let path = file.to_str().unwrap();
    for (shell, args) in
        [("bash", vec!["-n", path]), ("zsh", vec!["-n", path]), ("fish", vec!["-n", path])]
    {
        fs::write(&file, sandbox.ok(&["completions", shell])).unwrap();
        if shell != "bash" && !Path::new("/usr/bin").join(shell).exists() {
            continue;
        }
        let mut check = sandbox.command(shell);
        check.args(&args);
        let ran = run(check);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{shell}");
    }
    fs::write(&file, sandbox.ok(&["completions", "bash"])).unwrap();
    let mut asked = sandbox.command("bash");
    let script = r#". "$1"; COMP_WORDS=(parhelia sess) COMP_CWORD=1
        _parhelia parhelia sess parhelia; echo "${COMPREPLY[@]}""#;
    asked.args(["-c", script, "bash", path]);
    assert_eq!(run(asked).stdout.trim(), "session");
}

/// The interface as it is reviewed. After a change on purpose: `UPDATE=1 tests/run openapi`.
#[test]
fn the_openapi_document_is_the_one_checked_in() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/openapi.json");
    if std::env::var_os("UPDATE").is_some_and(|it| !it.is_empty()) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, openapi::text()).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let differs = openapi::text() != kept;
    assert!(!differs, "assets/openapi.json is not what is served: UPDATE=1 tests/run openapi");
}
