//! What stands where the dispatcher or its store should be, and is not it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    process::{Command, Stdio},
    thread,
};

use rusqlite::Connection;
use serde_json::Value;

use crate::support::{
    dispatcher, leftovers,
    other_user::USER,
    sandbox::{Ran, Sandbox},
    stand_in,
    wait::{PATIENCE, wait_until},
};

fn refused(ran: &Ran, words: &[&str]) {
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(5), ""), "{ran:?}");
    for word in words {
        assert!(ran.stderr.contains(word), "no `{word}` in: {}", ran.stderr);
    }
}

fn chmod(sandbox: &Sandbox, mode: u32) {
    let dir = sandbox.root().join("run/parhelia");
    fs::set_permissions(dir, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_socket_of_another_user_is_refused() {
    let sandbox = stand_in::sandbox(1);
    // The other user must come as far as the directory.
    for dir in [sandbox.root().to_owned(), sandbox.root().join("run")] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o711)).unwrap();
    }
    fs::create_dir(sandbox.root().join("run/parhelia")).unwrap();
    chmod(&sandbox, 0o777);
    let socket = dispatcher::socket(&sandbox);
    let script = "const s = require('net').createServer(() => {}); s.listen(process.argv[1])";
    let mut command = Command::new("runuser");
    // What is left of it is found by this.
    command.env("TMPDIR", sandbox.workspace());
    command.args(["-u", USER, "--", "node", "-e", script]).arg(&socket);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the impostor's socket", PATIENCE, || socket.exists().then_some(()));
    wait_until("the impostor to listen", PATIENCE, || dispatcher::pid(&sandbox));
    refused(&sandbox.run(&["task", "list"]), &["own directory", "PARHELIA_RUNTIME_DIR"]);
    refused(&sandbox.run(&["task", "create", "hello"]), &["own directory"]);
    // Shut now, but the socket got in before.
    chmod(&sandbox, 0o700);
    refused(&sandbox.run(&["task", "list"]), &["listens there, not you", "remove it"]);
    refused(&sandbox.run(&["daemon", "stop"]), &["listens there, not you"]);
    let pid = dispatcher::pid(&sandbox).unwrap();
    assert!(dispatcher::lives(pid));
    leftovers::kill(pid);
    child.wait().unwrap();
    // A dead one's file is in the way too; it is not this user's.
    let ran = sandbox.run(&["daemon", "start"]);
    refused(&ran, &["belongs to user"]);
    fs::remove_file(&socket).unwrap();
    sandbox.ok(&["daemon", "start"]);
}

#[test]
fn a_directory_that_others_can_write_to_is_refused() {
    let sandbox = stand_in::sandbox(1);
    sandbox.ok(&["daemon", "start"]);
    chmod(&sandbox, 0o777);
    refused(&sandbox.run(&["task", "list"]), &["own directory", "PARHELIA_RUNTIME_DIR"]);
    dispatcher::kill(&sandbox).unwrap();
    refused(&sandbox.run(&["task", "list"]), &["others can write to it (mode 777)", "chmod 700"]);
    chmod(&sandbox, 0o700);
    sandbox.ok(&["task", "list"]);
}

/// Answers `/v1/version` as a dispatcher of `revision` would, and ends at the sight of anything
/// else.
fn answer(stream: UnixStream, revision: u32) -> bool {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut first = String::new();
    if reader.read_line(&mut first).unwrap_or(0) == 0 {
        return true;
    }
    let mut line = String::from("x");
    while line.trim() != "" {
        line.clear();
        reader.read_line(&mut line).unwrap();
    }
    let body = format!(
        r#"{{"version":"9.9.9","revision":{revision},"pid":0,"started_at":1,"state_dir":"/s"}}"#
    );
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
    let mut stream = stream;
    let _ = write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    first.contains("/v1/version")
}

#[test]
fn a_dispatcher_of_another_revision_is_named() {
    for (revision, word) in [(999, "newer"), (0, "older")] {
        let sandbox = stand_in::sandbox(1);
        fs::create_dir(sandbox.root().join("run/parhelia")).unwrap();
        chmod(&sandbox, 0o700);
        let socket = dispatcher::socket(&sandbox);
        let listener = UnixListener::bind(&socket).unwrap();
        let server = thread::spawn(move || {
            listener
                .incoming()
                .map(Result::unwrap)
                .take_while(|_| true)
                .all(|it| answer(it, revision))
        });
        for args in [&["task", "list"][..], &["task", "create", "hello"], &["session", "list"]] {
            let said = format!("the dispatcher that runs is {word} (9.9.9) than this parhelia");
            refused(&sandbox.run(args), &[&said, "parhelia daemon restart", "tasks keep running"]);
        }
        let ran = sandbox.run(&["status"]);
        assert_eq!(ran.code, Some(5), "{ran:?}");
        assert!(ran.stdout.contains(word) && !ran.stdout.contains("not running"), "{ran:?}");
        let ran = sandbox.run(&["task", "list", "--json"]);
        let error: Value = serde_json::from_str(ran.stdout.trim())
            .or_else(|_| serde_json::from_str(ran.stderr.trim()))
            .unwrap_or_else(|err| panic!("{err}: {ran:?}"));
        assert!(error.to_string().contains("dispatcher"), "{error}");
        // Any other request ends it.
        let mut last = UnixStream::connect(&socket).unwrap();
        last.write_all(b"GET /end HTTP/1.1\r\n\r\n").unwrap();
        assert!(!server.join().unwrap());
        fs::remove_file(&socket).unwrap();
    }
}

#[test]
fn a_damaged_store_is_kept_and_moved_aside_only_on_a_person_s_word() {
    let sandbox = stand_in::sandbox(1);
    let id = dispatcher::create(&sandbox, &["leave"]);
    dispatcher::wait_task(&sandbox, &id, "to be done", |it| it["state"] == "COMPLETED");
    dispatcher::stop(&sandbox);
    let path = sandbox.state().join("parhelia.db");
    let damaged = vec![b'?'; 8192];
    fs::write(&path, &damaged).unwrap();
    for args in [&["task", "list"][..], &["task", "create", "hello"]] {
        let ran = sandbox.run(args);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(9), ""), "{ran:?}");
        for word in ["is damaged", "parhelia daemon run --move-corrupt-aside"] {
            assert!(ran.stderr.contains(word), "{ran:?}");
        }
    }
    assert_eq!(fs::read(&path).unwrap(), damaged, "it was written to");
    let mut run = sandbox.parhelia(&["daemon", "run", "--move-corrupt-aside"]);
    let mut child = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("a dispatcher on an empty store", PATIENCE, || dispatcher::pid(&sandbox));
    assert!(dispatcher::tasks(&sandbox).is_empty());
    dispatcher::stop(&sandbox);
    assert!(child.wait().unwrap().success());
    let aside: Vec<String> = fs::read_dir(sandbox.state())
        .unwrap()
        .flatten()
        .map(|it| it.file_name().into_string().unwrap())
        .filter(|it| it.starts_with("parhelia.db.corrupt-"))
        .collect();
    let store = aside.iter().find(|it| it.ends_with(|c: char| c.is_ascii_digit()));
    let store = store.unwrap_or_else(|| panic!("nothing was kept: {aside:?}"));
    assert_eq!(fs::read(sandbox.state().join(store)).unwrap(), damaged);
    // What its tasks were given goes with it.
    assert!(sandbox.state().join(format!("{store}.env/{id}.json")).exists(), "{aside:?}");
}

#[test]
fn a_newer_store_is_refused_and_left_as_it_is() {
    let sandbox = stand_in::sandbox(1);
    sandbox.ok(&["daemon", "start"]);
    dispatcher::stop(&sandbox);
    let path = sandbox.state().join("parhelia.db");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 999).unwrap();
    let before = fs::read(&path).unwrap();
    let ran = sandbox.run(&["task", "list"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(9), ""), "{ran:?}");
    for word in ["written by a newer parhelia (schema 999", "update parhelia"] {
        assert!(ran.stderr.contains(word), "{ran:?}");
    }
    // Also not on a person's word: it is not damaged.
    let forced = sandbox.run(&["daemon", "run", "--move-corrupt-aside"]);
    assert_eq!(forced.code, Some(9), "{forced:?}");
    assert_eq!(fs::read(&path).unwrap(), before);
}
