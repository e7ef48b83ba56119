//! Processes of this machine, known by their id and their start: an id alone may have gone to
//! another process since.

use std::{fs, process::Command};

use rustix::process::{Pid, Signal, getpid, kill_process, test_kill_process};
use serde::{Deserialize, Serialize};

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// When it started, in the system's own words.
    started: String,
}

impl Process {
    /// Returns the process that has the id `pid` now; nothing if none has, or if it has ended.
    pub fn of(pid: u32) -> Option<Process> {
        Some(Process { pid, started: started(pid)? })
    }

    /// Returns this process.
    pub fn own() -> Process {
        let pid = getpid().as_raw_nonzero().get().unsigned_abs();
        Process { pid, started: started(pid).unwrap_or_default() }
    }

    /// Tells whether it still runs.
    pub fn lives(&self) -> bool {
        started(self.pid).is_some_and(|it| it == self.started)
    }

    /// Kills it, if it still runs.
    pub fn kill(&self) {
        if let Some(pid) = id(self.pid)
            && self.lives()
        {
            // Gone is what is wanted.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

fn id(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// Returns when a process started; nothing if there is none, or if it has ended and waits for its
/// parent.
#[expect(clippy::disallowed_methods, reason = "the demo's processes are on no host")]
fn started(pid: u32) -> Option<String> {
    let id = id(pid)?;
    if let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) {
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let ended = matches!(*fields.first()?, "Z" | "X");
        let start = (*fields.get(19)?).to_owned();
        return (!ended).then_some(start);
    }
    test_kill_process(id).ok()?;
    let output =
        Command::new("ps").args(["-o", "lstart=", "-p", &pid.to_string()]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_start() {
        let me = Process::own();
        assert!(me.lives());
        assert_eq!(Process::of(me.pid), Some(me.clone()));
        let another = Process { started: format!("{}0", me.started), ..me };
        assert!(!another.lives());
        // Not killed: it is another's now.
        another.kill();
        assert_eq!(Process::of(u32::MAX), None);
    }
}
