//! The scripts, run by the shells they will meet.

#![expect(clippy::disallowed_methods, reason = "the scripts are run by real shells, locally")]

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command as Process, Stdio},
    time::Duration,
};

use super::*;
use crate::stdx::time::{Clock, SystemClock};

mod began;
mod lease;

/// A launch below `root` whose Claude is the given `sh` script; the workspace's name is hostile.
fn launch(root: &Path, claude: &str) -> Launch {
    let workspace = root.join("it's a \"$(touch pwned)\" \n`dir` ü");
    fs::create_dir_all(&workspace).unwrap();
    Launch {
        task: "task-abcdefgh".parse().unwrap(),
        attempt: 1,
        run_dir: HostPath::new(format!("{}/run dir's", root.display())).unwrap(),
        workspace: HostPath::new(workspace.to_str().unwrap()).unwrap(),
        conversation: "11111111-2222-4333-8444-555555555555".into(),
        begin: Begin::Fresh { prompt: None },
        permission_mode: PermissionMode::Manual,
        model: None,
        name: "a name".into(),
        command: vec!["sh".into(), "-c".into(), claude.into(), "claude".into()],
        env: BTreeMap::new(),
        key_by_helper: false,
        claude_version: Some(Version(2, 1, 329)),
        user_status_line: None,
        root_user: false,
    }
}

fn write(launch: &Launch) {
    for file in files(launch) {
        fs::create_dir_all(file.path.parent().unwrap().as_str()).unwrap();
        fs::write(file.path.as_str(), &file.bytes).unwrap();
        let mode = fs::Permissions::from_mode(file.mode);
        fs::set_permissions(file.path.as_str(), mode).unwrap();
    }
}

fn shells() -> Vec<Vec<&'static str>> {
    let shells = [vec!["dash"], vec!["bash", "--posix"], vec!["bash"], vec!["busybox", "sh"]];
    let there = |it: &Vec<&str>| {
        let probe = Process::new(it[0]).args(&it[1..]).args(["-c", "exit 0"]).output();
        probe.is_ok_and(|it| it.status.success())
    };
    shells.into_iter().filter(there).collect()
}

/// Runs the launch's script as tmux would, with `shell` for `sh`.
fn run(launch: &Launch, shell: &[&str]) -> std::process::Output {
    let argv = session_argv(launch);
    Process::new(shell[0])
        .args(&shell[1..])
        .arg(String::from_utf8(argv[1].clone()).unwrap())
        .env_remove("TMUX_PANE")
        .env_remove("IS_SANDBOX")
        .env("CLAUDECODE", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn read(path: &HostPath) -> Vec<u8> {
    fs::read(path.as_str()).unwrap_or_else(|it| panic!("{path}: {it}"))
}

/// Returns the status that the launcher wrote down just now.
fn status_of(dir: &RunDir) -> Option<i32> {
    let (code, at) = crate::agent::lease::exit(&read(&dir.exit()))?;
    let age = SystemClock.now().since(at.unwrap());
    assert!(age < Duration::from_secs(60), "{age:?}");
    Some(code)
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..1200 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("never: {what}");
}

/// Waits for a child to its end, but not for ever.
fn finish(mut child: Child) -> std::process::Output {
    for _ in 0..1200 {
        if child.try_wait().unwrap().is_some() {
            return child.wait_with_output().unwrap();
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    let _ = child.kill();
    panic!("{} does not end", child.id());
}

#[test]
fn claude_gets_the_exact_prompt_and_the_rest() {
    let prompt = b"- it's \"$HOME\" `x` \\ \xff\xc3 \n\nlast\n\n".to_vec();
    for shell in shells() {
        let root = tempfile::tempdir().unwrap();
        let mut launch = launch(
            root.path(),
            "umask >umask; pwd >../pwd; env >env; printf '%s\\0' \"$@\" >argv; exit 3",
        );
        launch.begin = Begin::Fresh { prompt: Some(prompt.clone()) };
        launch.model = Some("opus".into());
        launch.env.insert("TOKEN".into(), Secret::new("it's\n$secret"));
        launch.env.insert("not a name".into(), Secret::new("x"));
        write(&launch);
        assert!(run(&launch, &shell).status.code() == Some(3), "{shell:?}");
        let dir = launch.dir();
        assert_eq!(status_of(&dir), Some(3), "{shell:?}");
        let workspace = &launch.workspace;
        let argv = read(&workspace.join("argv"));
        let words: Vec<&[u8]> = argv.split(|b| *b == 0).collect();
        let settings = dir.path().join("settings.json");
        let expected: Vec<&[u8]> = vec![
            b"--session-id",
            launch.conversation.as_bytes(),
            b"--settings",
            settings.as_str().as_bytes(),
            b"--permission-mode",
            b"manual",
            b"--model",
            b"opus",
            b"--name",
            b"a name",
            b"--",
            &prompt,
            b"",
        ];
        let shown = launch.full_argv();
        assert_eq!(shown[4..], expected[..expected.len() - 1]);
        assert_eq!(words, expected, "{shell:?}");
        let env = String::from_utf8(read(&workspace.join("env"))).unwrap();
        assert!(env.contains("TOKEN=it's\n$secret\n"), "{shell:?} {env}");
        for line in ["CLAUDE_CODE_SANDBOXED=1", "PARHELIA_TASK=task-abcdefgh"] {
            assert!(env.lines().any(|it| it == line), "{shell:?} {line}");
        }
        assert!(!env.contains("CLAUDECODE=") && !env.contains("PARHELIA_PID"), "{shell:?}");
        assert!(!env.contains("IS_SANDBOX"), "{shell:?}");
        assert!(!Path::new(dir.path().join("env").as_str()).exists());
        // A umask of the scripts' own would make the person's files unreadable to others.
        assert_ne!(read(&workspace.join("umask")), b"0077\n", "{shell:?}");
    }
}

#[test]
fn two_runs_of_one_launch_give_one_claude() {
    for shell in shells() {
        let root = tempfile::tempdir().unwrap();
        let launch = launch(root.path(), "echo $$ >>runs; sleep 0.3");
        write(&launch);
        let codes = std::thread::scope(|scope| {
            let runs: Vec<_> = (0..6).map(|_| scope.spawn(|| run(&launch, &shell))).collect();
            let mut codes: Vec<_> =
                runs.into_iter().map(|it| it.join().unwrap().status.code()).collect();
            codes.sort();
            codes
        });
        let again = Some(75);
        assert_eq!(codes, [Some(0), again, again, again, again, again], "{shell:?}");
        let pid = read(&launch.dir().pid());
        assert_eq!(read(&launch.workspace.join("runs")), pid, "{shell:?}");
    }
}

#[test]
fn the_exit_is_written_whatever_ends_claude() {
    for shell in shells() {
        let root = tempfile::tempdir().unwrap();
        let launch = launch(root.path(), "kill -9 $$");
        write(&launch);
        run(&launch, &shell);
        assert_eq!(status_of(&launch.dir()), Some(137), "{shell:?}");

        let root = tempfile::tempdir().unwrap();
        let mut launch = self::launch(root.path(), "true");
        launch.command = vec!["no-such-program".into()];
        write(&launch);
        run(&launch, &shell);
        assert_eq!(status_of(&launch.dir()), Some(127), "{shell:?}");

        // A hang-up of the whole process group, as when tmux ends the session.
        let root = tempfile::tempdir().unwrap();
        let launch = self::launch(root.path(), "exec sleep 30");
        write(&launch);
        let script = String::from_utf8(session_argv(&launch)[1].clone()).unwrap();
        let child =
            Process::new("setsid").args(&shell).arg(script).stdout(Stdio::null()).spawn().unwrap();
        wait_until("claude runs", || Path::new(launch.dir().pid().as_str()).exists());
        let group = format!("-{}", child.id());
        assert!(Process::new("kill").args(["-HUP", "--", &group]).status().unwrap().success());
        finish(child);
        wait_until("the exit is written", || Path::new(launch.dir().exit().as_str()).exists());
        assert_eq!(status_of(&launch.dir()), Some(129), "{shell:?}");
    }
}

/// A launch directory as it is while Claude runs.
fn running(root: &Path) -> Launch {
    let launch = launch(root, "true");
    write(&launch);
    for name in ["ask", "big", "tmp"] {
        fs::create_dir_all(launch.dir().path().join(name).as_str()).unwrap();
    }
    launch
}

fn hook(launch: &Launch, shell: &[&str], event: &str, payload: &str) -> Child {
    let mut child = Process::new(shell[0])
        .args(&shell[1..])
        .args([launch.dir().path().join("hook.sh").as_str(), event])
        .env("CLAUDE_PID", "4711")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(payload.as_bytes()).unwrap();
    child
}

#[test]
fn fifty_hooks_at_once_leave_fifty_whole_lines() {
    for shell in shells() {
        let root = tempfile::tempdir().unwrap();
        let launch = running(root.path());
        std::thread::scope(|scope| {
            for n in 0..50 {
                let (launch, shell) = (&launch, &shell);
                scope.spawn(move || {
                    let body = char::from(b'a' + n % 26).to_string().repeat(50_000);
                    let payload = format!("{{\"n\":{n},\n\"body\":\"{body}\"}}\n");
                    let output = finish(hook(launch, shell, "PostToolUse", &payload));
                    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
                });
            }
        });
        let text = String::from_utf8(read(&launch.dir().events())).unwrap();
        let mut seen: Vec<u64> = text
            .lines()
            .map(|line| {
                let line: Value = serde_json::from_str(line).unwrap();
                assert_eq!(line["pid"], 4711);
                assert_eq!(line["payload"]["body"].as_str().unwrap().len(), 50_000);
                line["payload"]["n"].as_u64().unwrap()
            })
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..50).collect::<Vec<u64>>(), "{shell:?}");
        let left = fs::read_dir(launch.dir().path().join("tmp").as_str()).unwrap().count();
        assert_eq!(left, 0, "{shell:?}");
    }
}

#[test]
fn a_payload_too_long_for_one_write_is_kept_beside() {
    for shell in shells() {
        let root = tempfile::tempdir().unwrap();
        let launch = running(root.path());
        let payload = format!("{{\"body\":\"{}\"}}", "x".repeat(200_000));
        finish(hook(&launch, &shell, "Stop", &payload));
        let line: Value = serde_json::from_slice(&read(&launch.dir().events())).unwrap();
        assert_eq!(line["event"], "Stop");
        let big = launch.dir().big(line["big"].as_str().unwrap()).unwrap();
        let whole: Value = serde_json::from_slice(&read(&big)).unwrap();
        assert_eq!(whole["payload"].to_string().len(), payload.len(), "{shell:?}");
    }
}

fn send(command: Command) -> Option<i32> {
    let words: Vec<String> =
        command.argv.iter().map(|it| String::from_utf8(it.clone()).unwrap()).collect();
    let mut child =
        Process::new(&words[0]).args(&words[1..]).stdin(Stdio::piped()).spawn().unwrap();
    // It may refuse before it reads.
    let _ = child.stdin.take().unwrap().write_all(&command.stdin);
    finish(child).status.code()
}

/// Starts a PermissionRequest hook and returns it with its id, once it waits.
fn asking(launch: &Launch, shell: &[&str], payload: &str) -> (Child, String) {
    let before = fs::read(launch.dir().events().as_str()).unwrap_or_default().len();
    let child = hook(launch, shell, "PermissionRequest", payload);
    let line = || -> Option<Value> {
        serde_json::from_slice(fs::read(launch.dir().events().as_str()).ok()?.get(before..)?).ok()
    };
    wait_until("the request is written", || line().is_some());
    let id = line().unwrap()["ask"].as_str().unwrap().to_owned();
    (child, id)
}

#[test]
fn a_dialog_waits_for_its_answer_and_cleans_up() {
    for shell in shells() {
        let root = tempfile::tempdir().unwrap();
        let launch = running(root.path());
        let dir = launch.dir();
        let (child, id) = asking(&launch, &shell, "{\"tool_name\":\"Bash\"}");
        let request: Value = serde_json::from_slice(&read(&dir.request(&id).unwrap())).unwrap();
        assert_eq!(request["payload"]["tool_name"], "Bash");
        let decision = "{\"a\":\"it's \\\\n \\\"q\\\" ü\"}";
        assert_eq!(send(dir.answer(&id, decision).unwrap()), Some(0), "{shell:?}");
        let output = finish(child);
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{decision}\n"));
        assert_eq!(send(dir.answer(&id, decision).unwrap()), Some(3), "no one waits any more");

        // Answered by the key for "No": Claude ends the hook.
        let (child, id) = asking(&launch, &shell, "{\"tool_name\":\"Bash\"}");
        let child = std::cell::RefCell::new(child);
        let pid = id.rsplit('.').next().unwrap();
        // Again if need be: a shell may miss a signal that comes just before it blocks. Claude
        // follows with SIGKILL.
        wait_until("the hook leaves", || {
            send(Command::new(["kill", "-TERM", pid]));
            std::thread::sleep(Duration::from_millis(20));
            child.borrow_mut().try_wait().unwrap().is_some()
        });

        // Answered by the key for "Yes": it goes on waiting until it is let go, or the turn ends.
        let (child, id) = asking(&launch, &shell, "{\"tool_name\":\"Bash\"}");
        send(dir.withdraw(&id).unwrap());
        assert_eq!(finish(child).stdout, b"", "{shell:?}");
        let (main, _) = asking(&launch, &shell, "{\"tool_name\":\"Bash\"}");
        let (agent, agent_id) = asking(&launch, &shell, "{\"agent_id\":\"a1\"}");
        finish(hook(&launch, &shell, "Stop", "{}"));
        assert_eq!(finish(main).stdout, b"", "{shell:?}");
        assert_eq!(send(dir.answer(&agent_id, "{}").unwrap()), Some(0), "{shell:?}");
        assert_eq!(finish(agent).stdout, b"{}\n", "{shell:?}");
        let left: Vec<_> = fs::read_dir(dir.path().join("ask").as_str()).unwrap().collect();
        assert!(left.is_empty(), "{shell:?} {left:?}");
    }
}

#[test]
fn the_status_line_is_logged_and_the_person_s_own_goes_on() {
    for shell in shells() {
        let root = tempfile::tempdir().unwrap();
        let mut launch = running(root.path());
        for (own, shown) in [
            (Some("printf 'mine: '; tr -d '\\n{}'"), "mine: \"cost\":1\n"),
            (None, "parhelia task-abcdefgh · Ctrl+Q leaves\n"),
        ] {
            launch.user_status_line = own.map(str::to_owned);
            write(&launch);
            let _ = fs::remove_file(launch.dir().status().as_str());
            let mut child = Process::new(shell[0])
                .args(&shell[1..])
                .arg(launch.dir().path().join("statusline.sh").as_str())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            child.stdin.take().unwrap().write_all(b"{\n\"cost\":1}").unwrap();
            let output = finish(child);
            let text = String::from_utf8(output.stdout).unwrap();
            assert_eq!(text.trim_end(), shown.trim_end(), "{shell:?}");
            assert_eq!(read(&launch.dir().status()), b"{\"cost\":1}\n", "{shell:?}");
        }
    }
}

#[test]
fn settings_hold_only_what_the_version_knows() {
    let root = tempfile::tempdir().unwrap();
    let mut launch = launch(root.path(), "true");
    let whole = settings(&launch);
    assert_eq!(whole["hooks"]["PreToolUse"][0]["hooks"][0]["async"], true);
    assert_eq!(whole["hooks"]["Stop"][0]["hooks"][0].get("async"), None);
    assert_eq!(whole["hooks"]["PermissionRequest"][0]["hooks"][0]["timeout"], 86_400);
    assert_eq!(whole.get("skipDangerousModePermissionPrompt"), None);
    launch.claude_version = None;
    launch.permission_mode = PermissionMode::Bypass;
    launch.root_user = true;
    let old = settings(&launch);
    let events: Vec<&String> = old["hooks"].as_object().unwrap().keys().collect();
    let oldest = ["Notification", "PostToolUse", "PreCompact", "PreToolUse", "SessionEnd"];
    assert_eq!(events[..5], oldest);
    assert_eq!(events[5..], ["SessionStart", "Stop", "SubagentStop", "UserPromptSubmit"]);
    assert_eq!(old["skipDangerousModePermissionPrompt"], true);
    let script = String::from_utf8(run_script(&launch)).unwrap();
    assert!(script.contains("export IS_SANDBOX=1"));
}

#[test]
fn a_key_that_would_open_a_dialog_goes_by_the_helper() {
    let root = tempfile::tempdir().unwrap();
    let mut launch = launch(root.path(), "true");
    launch.env.insert("ANTHROPIC_API_KEY".into(), Secret::new("k"));
    launch.key_by_helper = true;
    assert_eq!(env_script(&launch), b"unset ANTHROPIC_API_KEY\nexport PARHELIA_API_KEY=k\n");
    assert_eq!(settings(&launch)["apiKeyHelper"], "printf %s \"$PARHELIA_API_KEY\"");
    assert!(!format!("{launch:?}").contains("\"k\""));
}

#[test]
fn long_prompts_are_left_to_the_paste() {
    let root = tempfile::tempdir().unwrap();
    let mut launch = launch(root.path(), "true");
    launch.begin = Begin::Resume { prompt: Some(vec![b'x'; ARGUMENT_MAX]) };
    assert!(launch.prompt_by_paste().is_none());
    assert!(files(&launch).iter().any(|it| it.path.file_name() == "prompt"));
    launch.begin = Begin::Fresh { prompt: Some(vec![b'x'; ARGUMENT_MAX + 1]) };
    assert!(launch.prompt_by_paste().is_some());
    assert!(!files(&launch).iter().any(|it| it.path.file_name() == "prompt"));
    assert!(session_argv(&launch).concat().len() < 1000);
}

#[test]
fn names_from_the_run_directory_cannot_lead_out_of_it() {
    let dir = RunDir::new(&HostPath::new("/r").unwrap(), 1);
    for bad in ["", "../x", "a/b", ".hidden", "a b", "main.12;x"] {
        assert!(dir.request(bad).is_none() && dir.big(bad).is_none(), "{bad}");
        assert!(dir.answer(bad, "{}").is_none(), "{bad}");
    }
    assert!(dir.answer("main.x", "{}").is_none());
    assert_eq!(dir.big("Stop.12.0").unwrap().as_str(), "/r/a1/big/Stop.12.0");
}
