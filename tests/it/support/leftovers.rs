//! Ends what a test leaves behind.

use std::{fs, path::Path};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::wait::{PATIENCE, wait};

/// Kills every process that has a path under `dir`, a directory of one test's own, in its
/// environment: a dispatcher, tmux server or Claude that outlived its test is among them.
pub fn kill_those_of(dir: &Path) {
    let _ = wait(PATIENCE, || {
        let left = those_of(dir);
        for pid in &left {
            let _ = kill_process(*pid, Signal::KILL);
        }
        left.is_empty().then_some(())
    });
}

/// Returns the processes that have a path under `dir` in their environment.
pub fn those_of(dir: &Path) -> Vec<Pid> {
    marked(format!("{}/", dir.display()).as_bytes())
}

/// Kills one process, if it still runs.
pub fn kill(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Returns the processes with `mark` in their environment; one that has ended has none.
fn marked(mark: &[u8]) -> Vec<Pid> {
    let holds_mark = |pid: &Pid| {
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|it| it.windows(mark.len()).any(|part| part == mark))
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|it| it.file_name().to_str()?.parse().ok());
    let pids = pids.filter_map(Pid::from_raw).filter(|it| *it != rustix::process::getpid());
    pids.filter(holds_mark).collect()
}
