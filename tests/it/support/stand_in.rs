//! A scripted agent in the place of Claude Code, for tests with hundreds of sessions.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use crate::support::sandbox::Sandbox;

const SCRIPT: &str = include_str!("../../data/stand-in.sh");

/// One start of the stand-in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Start {
    /// The launch directory, which names task and attempt.
    pub dir: String,
    /// The task.
    pub task: String,
    /// The process.
    pub pid: u32,
}

/// Has the sandbox's Parhelia start the stand-in, and lets `slots` of them work at once.
pub fn install(sandbox: &Sandbox, slots: u32) {
    let program = sandbox.root().join("bin/stand-in");
    fs::write(&program, SCRIPT).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    for dir in ["stand-in", ".claude/sessions", ".claude/projects/stand-in", ".config/parhelia"] {
        fs::create_dir_all(sandbox.home().join(dir)).unwrap();
    }
    let config = format!(
        "[agent]\ncommand = {:?}\n[dispatcher]\nmax_concurrent_workers = {slots}\n",
        program.to_str().unwrap()
    );
    fs::write(sandbox.home().join(".config/parhelia/parhelia.toml"), config).unwrap();
}

/// Makes a sandbox with the stand-in in it.
pub fn sandbox(slots: u32) -> Sandbox {
    let sandbox = Sandbox::new();
    install(&sandbox, slots);
    sandbox
}

/// Lets those that wait at their gate go on, and all that will come to it.
pub fn open(sandbox: &Sandbox) {
    let _ = symlink("/dev/null", sandbox.home().join("stand-in/open"));
}

/// Returns every start there was, oldest first.
pub fn starts(sandbox: &Sandbox) -> Vec<Start> {
    let text = fs::read_to_string(sandbox.home().join("stand-in/starts")).unwrap_or_default();
    let start = |line: &str| {
        let mut words = line.split(' ');
        let mut word = || words.next().unwrap().to_owned();
        Start { task: word(), dir: word(), pid: word().parse().unwrap() }
    };
    text.lines().map(start).collect()
}

/// Returns what a conversation cost by the stand-in's own book, in micro-dollars.
pub fn total(sandbox: &Sandbox, conversation: &str) -> i64 {
    let file = sandbox.home().join("stand-in").join(format!("total.{conversation}"));
    fs::read_to_string(file).unwrap().trim().parse().unwrap()
}

/// Returns the words of a file the stand-in wrote: `argv` or `env` of a task.
pub fn words(sandbox: &Sandbox, what: &str, task: &str) -> Vec<Vec<u8>> {
    let file = sandbox.home().join("stand-in").join(format!("{what}.{task}"));
    let mut bytes = fs::read(file).unwrap();
    assert_eq!(bytes.pop(), Some(0));
    bytes.split(|it| *it == 0).map(<[u8]>::to_vec).collect()
}
