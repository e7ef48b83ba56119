//! The dispatcher of a sandbox from outside: which process it is, and what its store holds.

use std::{os::unix::net::UnixStream, path::PathBuf, process::Stdio, time::Duration};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use crate::support::{
    leftovers,
    sandbox::{Ran, Sandbox},
    wait::{PATIENCE, wait_or_explain, wait_until},
};

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its number.
    pub seq: u64,
    /// The task.
    pub task: String,
    /// Its kind.
    pub kind: String,
    /// What happened.
    pub body: Value,
}

/// Returns the socket's path.
pub fn socket(sandbox: &Sandbox) -> PathBuf {
    sandbox.root().join("run/parhelia/parhelia.sock")
}

/// Returns the process that listens on the socket, by the kernel's word.
pub fn pid(sandbox: &Sandbox) -> Option<u32> {
    let stream = UnixStream::connect(socket(sandbox)).ok()?;
    let peer = rustix::net::sockopt::socket_peercred(&stream).ok()?;
    u32::try_from(peer.pid.as_raw_pid()).ok()
}

/// Kills the dispatcher without warning and returns which it was; nothing if none listens.
pub fn kill(sandbox: &Sandbox) -> Option<u32> {
    let pid = pid(sandbox)?;
    leftovers::kill(pid);
    gone(sandbox, pid);
    Some(pid)
}

/// Waits until the dispatcher that was `pid` no longer listens. Its first thread may count as
/// dead before the others have let go of the socket, so the socket is asked.
fn gone(sandbox: &Sandbox, old: u32) {
    wait_until("the dispatcher to be gone", PATIENCE, || (pid(sandbox) != Some(old)).then_some(()));
}

/// Tells whether a process runs: a zombie does not.
pub fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|it| !it.1.starts_with(['Z', 'X']))
}

/// Submits a task and returns its id, once the command has ended well.
pub fn create(sandbox: &Sandbox, args: &[&str]) -> String {
    let said = sandbox.ok(&[&["task", "create"], args].concat());
    acknowledged(&said).unwrap_or_else(|| panic!("no task in: {said}"))
}

/// Returns the task that a command said was submitted.
pub fn acknowledged(said: &str) -> Option<String> {
    said.lines().find_map(|it| it.strip_prefix("Task submitted: ")).map(str::to_owned)
}

/// Returns a task as `task show --json` gives it.
pub fn task(sandbox: &Sandbox, id: &str) -> Value {
    let mut shown = sandbox.json(&["task", "show", id, "--json"]);
    if shown["task"].is_object() { shown["task"].take() } else { shown }
}

/// Returns a task once `holds` accepts it.
///
/// # Panics
///
/// If it does not within [`PATIENCE`].
pub fn wait_task(sandbox: &Sandbox, id: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    wait_task_for(sandbox, id, what, PATIENCE, holds)
}

/// As [`wait_task`], with another limit.
pub fn wait_task_for(
    sandbox: &Sandbox,
    id: &str,
    what: &str,
    limit: Duration,
    holds: impl Fn(&Value) -> bool,
) -> Value {
    let look = || Some(task(sandbox, id)).filter(|it| holds(it));
    wait_or_explain(&format!("{id} {what}"), limit, look, || {
        format!(
            "{:#}\n{}\n{}",
            task(sandbox, id),
            sandbox.run(&["logs", id, "--events"]).stdout,
            log(sandbox)
        )
    })
}

/// Returns all tasks as `task list --json` gives them.
pub fn tasks(sandbox: &Sandbox) -> Vec<Value> {
    let mut list = sandbox.json(&["task", "list", "--all", "--json"]);
    let tasks = if list["tasks"].is_array() { list["tasks"].take() } else { list };
    tasks.as_array().unwrap().clone()
}

/// Ends the dispatcher in good order.
pub fn stop(sandbox: &Sandbox) {
    sandbox.ok(&["daemon", "stop"]);
}

/// Returns the end of the dispatcher's log.
pub fn log(sandbox: &Sandbox) -> String {
    let text = std::fs::read(sandbox.state().join("dispatcher.log")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// Opens the store for reading; the dispatcher should have ended.
pub fn store(sandbox: &Sandbox) -> Connection {
    let path = sandbox.state().join("parhelia.db");
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

/// Returns every event, in order.
pub fn events(store: &Connection) -> Vec<Stored> {
    let mut query = store.prepare("SELECT seq, task, kind, body FROM events ORDER BY seq").unwrap();
    let rows = query.query_map([], |row| {
        let body: String = row.get(3)?;
        Ok(Stored {
            seq: row.get::<_, i64>(0)?.try_into().unwrap(),
            task: row.get(1)?,
            kind: row.get(2)?,
            body: serde_json::from_str(&body).unwrap(),
        })
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// Returns how far each file of a task was read.
pub fn offsets(store: &Connection, task: &str) -> Vec<(String, u64)> {
    let mut query =
        store.prepare("SELECT file, offset FROM offsets WHERE task = ?1 ORDER BY file").unwrap();
    let rows = query.query_map([task], |row| {
        let offset: i64 = row.get(1)?;
        Ok((row.get(0)?, offset.try_into().unwrap()))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// Starts `parhelia` with `args` and returns what ends with what it left.
pub fn start(sandbox: &Sandbox, args: &[&str]) -> std::process::Child {
    let mut command = sandbox.parhelia(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Waits for the end of a started command.
pub fn finish(child: std::process::Child) -> Ran {
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
