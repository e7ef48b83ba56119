//! The one way a test waits.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long a test waits for what takes no more than seconds when nothing is wrong and the machine
/// is not busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(20);

/// Returns what `look` finds, asking until `deadline` has passed.
///
/// Looks at a level, never at an edge: `look` must answer from how things are now.
///
/// # Panics
///
/// If the deadline passes, naming `what`.
pub fn wait_until<T>(what: &str, deadline: Duration, look: impl FnMut() -> Option<T>) -> T {
    wait_or_explain(what, deadline, look, String::new)
}

/// Does what [`wait_until`] does, and adds to its panic how things stand.
pub fn wait_or_explain<T>(
    what: &str,
    deadline: Duration,
    look: impl FnMut() -> Option<T>,
    explain: impl FnOnce() -> String,
) -> T {
    wait(deadline, look).unwrap_or_else(|| panic!("waited {deadline:?} for: {what}\n{}", explain()))
}

/// Returns what `look` finds, or nothing once `deadline` has passed: for cleaning up, where a
/// panic would hide the failure.
pub fn wait<T>(deadline: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        let found = look();
        if found.is_some() || deadline <= start.elapsed() {
            return found;
        }
        thread::sleep(POLL);
    }
}
