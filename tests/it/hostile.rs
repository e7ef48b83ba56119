//! Input that was made to break something arrives as it is, or is refused with the reason.

use std::{
    ffi::OsStr,
    fs::{self, OpenOptions},
    io::Write,
    os::unix::ffi::OsStrExt,
    path::Path,
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{
    dispatcher::{self, create, task, wait_task, wait_task_for},
    sandbox::{Sandbox, run},
    stand_in,
    wait::{PATIENCE, wait_until},
};

/// How long Claude may take to read a mebibyte that is pasted.
const MEBIBYTE: Duration = Duration::from_secs(90);

/// Words that mean something to a shell, to tmux, to git, to a terminal or to JSON.
const ODD: &[&str] = &[
    "it's \"quoted\" `twice` $(touch pwned) ${HOME} $HOME \\",
    "two\nlines\r\nand a third\n",
    "--dangerously-skip-permissions",
    "-",
    "#{pane_id} #(touch pwned) #[fg=red] %1 @2 ; kill-server",
    "\u{1b}[31m\u{1b}]0;title\u{7}\u{8}\t\u{1b}[201~",
    "\u{202e}\u{200d}\u{feff} \u{1f9d1}\u{200d}\u{1f680} e\u{301}",
    "@DIR@ @ARGV@ @TASK@ leave",
    "*? [a-z] ~root !! & | > pwned < x",
    "{\"a\":\"\\u0000\"}",
];

fn done(sandbox: &Sandbox, id: &str) -> Value {
    wait_task(sandbox, id, "to be done", |it| it["state"] == "COMPLETED")
}

/// Nothing anywhere in the sandbox was made by a shell that read what it should not.
fn nothing_was_run(sandbox: &Sandbox) {
    let mut find = sandbox.command("find");
    find.arg(sandbox.root()).args(["-name", "pwned"]);
    assert_eq!(run(find).stdout, "");
}

#[test]
fn prompts_and_names_arrive_byte_for_byte() {
    let sandbox = stand_in::sandbox(16);
    let long = format!("{} leave", "x'\"$(".repeat(20_000));
    let mut prompts: Vec<&str> = ODD.to_vec();
    prompts.push(&long);
    for prompt in &prompts {
        // A lone dash means stdin, so it comes from there as it would from a file.
        let file = sandbox.root().join("prompt");
        fs::write(&file, prompt).unwrap();
        let name = format!("--name={prompt}");
        let name: String = name.chars().take(500).collect();
        let id = create(&sandbox, &["--file", file.to_str().unwrap(), &name]);
        done(&sandbox, &id);
        let argv = stand_in::words(&sandbox, "argv", &id);
        assert_eq!(argv.last().map(Vec::as_slice), Some(prompt.as_bytes()), "{prompt:.200}");
        assert_eq!(argv[argv.len() - 2], b"--");
        let at = argv.iter().position(|it| it == b"--name").unwrap();
        let shown = String::from_utf8(argv[at + 1].clone()).unwrap();
        assert!(!shown.contains(|c: char| c.is_control()), "{shown:?}");
        // What people are shown is one line and cannot move their cursor.
        let view = task(&sandbox, &id);
        for key in ["name", "prompt", "last"] {
            let text = view[key].as_str().unwrap();
            assert!(!text.contains(|c: char| c.is_control()), "{key}: {text:?}");
        }
        let prompt_back = sandbox.json(&["task", "show", &id, "--prompt", "--json"]);
        assert!(prompt_back.to_string().contains(&json!(prompt).to_string()), "{prompt:.200}");
    }
    let list = sandbox.ok(&["task", "list"]);
    assert!(!list.contains('\u{1b}'), "{list:?}");
    nothing_was_run(&sandbox);
}

#[test]
fn real_claude_is_given_a_mebibyte_as_it_is() {
    let sandbox = Sandbox::new();
    // Lines that differ, so that one that is lost, doubled or moved shows.
    let mut prompt = String::from("FAKE:[{\"text\":\"Read it all.\"}]\n");
    for i in 0.. {
        let line = format!("{i} it's \"odd\" `$(touch pwned)` #{{x}} \u{1f680} \\ --\n");
        if 1024 * 1024 < prompt.len() + line.len() {
            break;
        }
        prompt.push_str(&line);
    }
    prompt.extend(std::iter::repeat_n('.', 1024 * 1024 - prompt.len()));
    let file = sandbox.root().join("prompt");
    fs::write(&file, &prompt).unwrap();
    let id = create(&sandbox, &["--file", file.to_str().unwrap()]);
    wait_task_for(&sandbox, &id, "to be done", MEBIBYTE, |it| it["state"] == "COMPLETED");
    assert_eq!(sandbox.ok(&["task", "show", &id, "--answer"]).trim(), "Read it all.");
    let turns = sandbox.api.turns();
    let content = turns[0].body["messages"].to_string();
    let expected = json!(prompt).to_string();
    assert!(content.contains(expected.trim_matches('"')), "{:.3000}", content);
    nothing_was_run(&sandbox);
}

#[test]
fn what_no_agent_could_be_given_is_refused_with_the_reason() {
    let sandbox = stand_in::sandbox(4);
    let bad = OsStr::from_bytes(b"caf\xe9");
    let refuse = |args: &[&OsStr], words: &str| {
        let mut command = sandbox.parhelia(&[]);
        command.args(args);
        let ran = run(command);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{args:?}: {ran:?}");
        assert!(ran.stderr.contains(words), "{args:?}: {}", ran.stderr);
    };
    refuse(&creation(&[bad]), "not UTF-8 text: byte 0xe9 at offset 3");
    refuse(&creation(&[OsStr::new("--name"), bad, OsStr::new("x")]), "UTF-8");
    fs::create_dir(sandbox.workspace().join(bad)).unwrap();
    refuse(&creation(&[OsStr::new("-w"), bad, OsStr::new("x")]), "not UTF-8");
    refuse(
        &["task", "show"].map(OsStr::new).iter().copied().chain([bad]).collect::<Vec<_>>(),
        "UTF-8",
    );
    for (text, words) in [
        (b"a\0b".to_vec(), "NUL byte at offset 1"),
        (vec![b'x'; 1024 * 1024 + 1], "1048577 bytes long; a prompt holds at most 1048576"),
        (b" \n".to_vec(), "the prompt is empty"),
        (b"\xff\xfe".to_vec(), "not UTF-8 text: byte 0xff at offset 0"),
    ] {
        let file = sandbox.root().join("prompt");
        fs::write(&file, text).unwrap();
        refuse(&creation(&[OsStr::new("--file"), file.as_os_str()]), words);
    }
    for (name, words) in [
        ("A B", "no variable's name"),
        ("X;touch pwned", "no variable's name"),
        ("NOT_THERE", "NOT_THERE is not set"),
        ("KEY=hunter2", "other users can read values"),
    ] {
        refuse(&creation(&[OsStr::new("--env"), OsStr::new(name), OsStr::new("x")]), words);
    }
    assert!(dispatcher::tasks(&sandbox).is_empty());
    nothing_was_run(&sandbox);
}

fn creation<'a>(args: &[&'a OsStr]) -> Vec<&'a OsStr> {
    [&[OsStr::new("task"), OsStr::new("create")], args].concat()
}

#[test]
fn workspaces_and_branches_may_be_called_anything() {
    let mut sandbox = stand_in::sandbox(8);
    sandbox.set("STAND_IN_ENV", "1");
    for name in
        ["a b", "it's \"$(touch pwned)\"", "two\nlines", "#{pane_id}#(touch pwned)", "-rf", "ünï ☃"]
    {
        let dir = sandbox.workspace().join(name);
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("untracked 'file'\n.txt"), "kept").unwrap();
        for repository in [false, true] {
            if repository {
                repository_on_an_odd_branch(&sandbox, &dir);
            }
            let arg = format!("--workspace={}", dir.to_str().unwrap());
            let id = create(&sandbox, &["--env", "STAND_IN_ENV", &arg, "leave"]);
            let view = done(&sandbox, &id);
            let env = stand_in::words(&sandbox, "env", &id);
            let pwd = env.iter().find_map(|it| it.strip_prefix(b"PWD=")).unwrap();
            let workspace = view["workspace"].as_str().unwrap();
            assert_eq!(Path::new(OsStr::from_bytes(pwd)), Path::new(workspace), "{name:?}");
            assert_eq!(workspace == dir.to_str().unwrap(), !repository, "{name:?}: {view}");
            let kept = Path::new(workspace).join("untracked 'file'\n.txt");
            assert_eq!(fs::read_to_string(kept).unwrap(), "kept", "{name:?}");
        }
    }
    nothing_was_run(&sandbox);
}

fn repository_on_an_odd_branch(sandbox: &Sandbox, dir: &Path) {
    for args in [
        &["init", "-q"][..],
        &["checkout", "-q", "-b", "it's-$(touch${IFS}pwned)-\"`-#{x}"],
        &["-c", "user.name=n", "-c", "user.email=e", "commit", "-q", "--allow-empty", "-m", "m"],
    ] {
        let mut git = sandbox.command("git");
        git.current_dir(dir).args(args);
        let ran = run(git);
        assert_eq!(ran.code, Some(0), "git {args:?}: {ran:?}");
    }
}

#[test]
fn values_reach_the_agent_byte_for_byte_and_nothing_else() {
    const SECRET: &str = "hunter2-é-'\"$(touch pwned)`x`\\\n#second line\n\n";
    let mut sandbox = stand_in::sandbox(4);
    sandbox.set("STAND_IN_ENV", "1");
    sandbox.set("ODD_VALUE", SECRET);
    sandbox.set("ANTHROPIC_AUTH_TOKEN", "hunter2-token");
    let args = ["--env", "STAND_IN_ENV", "--env", "ODD_VALUE", "gate"];
    let id = create(&sandbox, &args);
    let view = wait_task(&sandbox, &id, "to work", |it| it["activity"] == "working");
    let env = stand_in::words(&sandbox, "env", &id);
    for (name, value) in [("ODD_VALUE", SECRET), ("ANTHROPIC_AUTH_TOKEN", "hunter2-token")] {
        let line = format!("{name}={value}").into_bytes();
        assert!(env.contains(&line), "{name}: {:?}", String::from_utf8_lossy(&env.concat()));
    }
    assert_eq!(view["env"], json!(["ODD_VALUE", "STAND_IN_ENV"]));
    // While it runs: nobody's command line, no answer of any command.
    let mut ps = sandbox.command("ps");
    ps.args(["-eww", "-o", "args="]);
    let mut shown = vec![run(ps).stdout];
    for args in [
        &["task", "show", &id, "--json"][..],
        &["task", "show", &id, "--why"],
        &["task", "list", "--json"],
        &["events", "export"],
        &["logs", &id, "--events"],
        &["logs", &id, "--raw"],
        &["config", "--json"],
        &["status", "--json"],
        &["daemon", "logs"],
        &["task", "create", "--dry-run", "--env", "ODD_VALUE", "x"],
    ] {
        let ran = sandbox.run(args);
        assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
        shown.push(ran.stdout + &ran.stderr);
    }
    for text in shown {
        assert!(!text.contains("hunter2"), "{text}");
    }
    stand_in::open(&sandbox);
    done(&sandbox, &id);
    dispatcher::stop(&sandbox);
    // Kept in one file for its owner's eyes, where a retry finds it.
    let kept = files_with(&sandbox.state(), b"hunter2");
    assert_eq!(kept, [sandbox.state().join(format!("env/{id}.json"))]);
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&kept[0]).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    sandbox.ok(&["session", "kill", "--yes", &id]);
    wait_task(&sandbox, &id, "to have ended", |it| it["session"].is_null());
    sandbox.ok(&["task", "delete", "--yes", &id]);
    dispatcher::stop(&sandbox);
    assert!(files_with(&sandbox.state(), b"hunter2").is_empty());
    nothing_was_run(&sandbox);
}

#[test]
fn what_is_unparked_is_given_the_caller_s_values_of_now_and_its_prompt() {
    let mut sandbox = stand_in::sandbox(1);
    sandbox.set("STAND_IN_ENV", "1");
    sandbox.set("ANTHROPIC_AUTH_TOKEN", "hunter2-old");
    let id = create(&sandbox, &["--env", "STAND_IN_ENV", "gate"]);
    wait_task(&sandbox, &id, "to work", |it| it["activity"] == "working");
    sandbox.ok(&["task", "park", &id]);
    wait_task(&sandbox, &id, "to be parked", |it| it["state"] == "PARKED");
    sandbox.set("ANTHROPIC_AUTH_TOKEN", "hunter2-new");
    let said = sandbox.run(&["task", "unpark", &id, "--prompt", "go on and gate"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(!said.stderr.contains("waits for a prompt"), "{said:?}");
    wait_task(&sandbox, &id, "to work again", |it| it["activity"] == "working");
    let given = |what: &str, word: &str| {
        stand_in::words(&sandbox, what, &id).contains(&word.as_bytes().to_vec())
    };
    assert!(given("argv", "go on and gate"));
    assert!(given("env", "ANTHROPIC_AUTH_TOKEN=hunter2-new") && given("env", "STAND_IN_ENV=1"));
    sandbox.ok(&["session", "kill", "--yes", &id]);
    wait_task(&sandbox, &id, "to have ended", |it| it["session"].is_null());
    dispatcher::stop(&sandbox);
    // Neither the store nor the log has any of it.
    let kept = files_with(&sandbox.state(), b"hunter2");
    assert_eq!(kept, [sandbox.state().join(format!("env/{id}.json"))]);
    assert!(files_with(&sandbox.state(), b"hunter2-old").is_empty());
}

/// Returns the files under `dir` that hold `bytes`.
fn files_with(dir: &Path, bytes: &[u8]) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files_with(&path, bytes));
        } else if kind.is_file()
            // A pipe would be waited for.
            && fs::read(&path).is_ok_and(|it| it.windows(bytes.len()).any(|part| part == bytes))
        {
            found.push(path);
        }
    }
    found
}

/// Returns the resident memory of a process in MiB.
fn resident(pid: u32, which: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|it| it.strip_prefix(which)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[test]
fn torn_long_and_foreign_lines_cost_neither_memory_nor_the_lines_after_them() {
    let sandbox = stand_in::sandbox(4);
    let id = create(&sandbox, &["gate"]);
    let view = wait_task(&sandbox, &id, "to work", |it| it["activity"] == "working");
    let pid = dispatcher::pid(&sandbox).unwrap();
    let before = resident(pid, "VmRSS");
    let dir = sandbox.state().join(format!("runs/{id}/a1"));
    let conversation = view["conversation"].as_str().unwrap();
    let transcript = sandbox.home().join(format!(".claude/projects/stand-in/{conversation}.jsonl"));
    let megabyte = vec![b'x'; 1024 * 1024];
    for path in [dir.join("events.jsonl"), dir.join("status.jsonl"), transcript.clone()] {
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        for junk in [
            &b"{\"pid\":1,\"payload\":{\"hook_event_name\":\"Sto"[..],
            b"\n\xff\xfe\0\x1b[2J\n",
            b"not json\n[]\n{}\nnull\n17\n\n",
            b"{\"pid\":\"x\",\"payload\":{\"hook_event_name\":\"EventOfNextYear\",\"a\":[[[]]]}}\n",
            b"{\"pid\":99999999999,\"payload\":[],\"big\":\"../../../etc/passwd\",\"event\":\"Stop\"}\n",
            b"{\"session_id\":\"s\",\"cost\":{\"total_cost_usd\":1e308}}\n",
            b"{\"type\":\"of-next-year\",\"message\":7}\n",
        ] {
            file.write_all(junk).unwrap();
        }
        file.write_all(b"{\"pid\":1,\"payload\":\"").unwrap();
        for _ in 0..50 {
            file.write_all(&megabyte).unwrap();
        }
        file.write_all(b"\"}\n").unwrap();
    }
    // Deep nesting, whole.
    let mut file = OpenOptions::new().append(true).open(dir.join("events.jsonl")).unwrap();
    file.write_all(&[&b"[".repeat(100_000)[..], b"\n"].concat()).unwrap();
    stand_in::open(&sandbox);
    let done = done(&sandbox, &id);
    assert_eq!((&done["turns"], &done["attempts"]), (&json!(1), &json!(1)));
    let micros = (done["cost_usd"].as_f64().unwrap() * 1e6).round() as i64;
    assert_eq!(micros, stand_in::total(&sandbox, conversation));
    assert_eq!(dispatcher::pid(&sandbox), Some(pid));
    wait_until("the transcript's last line to count", PATIENCE, || {
        (task(&sandbox, &id)["tokens"]["output"] == 3).then_some(())
    });
    let peak = resident(pid, "VmHWM");
    println!("resident before {before} MiB, at most {peak} MiB");
    assert!(peak < before + 48, "{before} MiB before, {peak} MiB at the most");
    // The activity view goes through the same file.
    let mut logs = sandbox.parhelia(&["logs", &id]);
    logs.stdin(std::process::Stdio::null());
    let ran = run(logs);
    assert_eq!(ran.code, Some(0), "{:.300}", ran.stderr);
    assert!(ran.stdout.contains("as it was given"), "{:.2000}", ran.stdout);
    let peak = resident(pid, "VmHWM");
    assert!(peak < before + 48, "{before} MiB before, {peak} MiB at the most after `logs`");
    dispatcher::stop(&sandbox);
    let store = dispatcher::store(&sandbox);
    for (file, offset) in dispatcher::offsets(&store, &id) {
        let path = if file == "a1/events" { dir.join("events.jsonl") } else { continue };
        assert!(offset <= fs::metadata(&path).unwrap().len());
        assert!(50 * 1024 * 1024 < offset, "{offset}");
    }
}
