//! Watching files on a host over one channel.
//!
//! [`over_exec`] does it on any host; the local shell asks the kernel instead. What to do
//! with what was seen of a growing file is decided here, by [`Cursor`], for both.

mod exec;
mod framing;

#[cfg(test)]
mod tests;

use tokio::sync::mpsc;

use crate::{
    domain::ids::HostPath,
    shell::{Shell, ShellError},
};

/// What to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watch {
    /// A file that grows: every byte from `from` on is delivered once, in order. The file need
    /// not exist yet.
    Appended {
        /// The file.
        path: HostPath,
        /// The first byte wanted.
        from: u64,
    },
    /// A small file that is replaced or rewritten: its content now, and after each change. At
    /// most [`WHOLE_MAX`] bytes of it.
    Whole {
        /// The file.
        path: HostPath,
    },
}

/// The most that is delivered of a [`Watch::Whole`] file.
pub const WHOLE_MAX: usize = 64 * 1024;

/// The most bytes one frame carries; a longer growth comes in several.
pub const FRAME_MAX: usize = 64 * 1024;

/// Frames that may wait for the reader; when full, reading on the host stops, and nothing is lost
/// because the bytes stay in the files.
pub const FRAMES_CAP: usize = 256;

/// Requests that may wait for a follower; when full, whoever asks waits.
pub const REQUESTS_CAP: usize = 1024;

/// What was seen. `key` is the one given to [`FollowRequest::Add`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Bytes at `offset` of a growing file.
    Appended {
        /// The watch.
        key: u64,
        /// Where the bytes stand in the file.
        offset: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// The file is now shorter than what was delivered; delivery goes on from its start.
    Truncated {
        /// The watch.
        key: u64,
    },
    /// The content of a small file; nothing if it is gone. Sent once at the start if the file
    /// exists, then only when it differs from what was sent before.
    Whole {
        /// The watch.
        key: u64,
        /// The content.
        bytes: Option<Vec<u8>>,
    },
    /// All that is there of the files asked for before was delivered.
    Synced {
        /// The one given to [`FollowRequest::Sync`].
        key: u64,
    },
    /// The channel broke; no further frame follows.
    Lost {
        /// What is known of why.
        detail: String,
    },
}

/// A request to a follower.
#[derive(Debug)]
pub enum FollowRequest {
    /// Watch a file.
    Add(u64, Watch),
    /// Stop watching it.
    Remove(u64),
    /// Say [`Frame::Synced`] once what is there of the files asked for before is delivered.
    Sync(u64),
}

/// A channel of frames. Dropping it ends the watching.
pub struct Follower {
    /// Takes requests.
    pub requests: mpsc::Sender<FollowRequest>,
    /// Gives frames.
    pub frames: mpsc::Receiver<Frame>,
}

/// Follows files over a `sh` loop started by [`Shell::exec`]: what every host can do.
///
/// # Errors
///
/// If the host cannot be reached, or its `sh` does not answer.
pub async fn over_exec<S: Shell + ?Sized>(shell: &S) -> Result<Follower, ShellError> {
    exec::start(shell, None).await
}

/// What a look at a file showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its inode number, zero where the host cannot tell. A file with another one is another file.
    pub inode: u64,
    /// Its length in bytes.
    pub size: u64,
}

/// What to do after a look at a growing file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing is new.
    Nothing,
    /// The file is another or shorter: say [`Frame::Truncated`] and look again.
    Restart,
    /// `len` bytes from `at` on are new; at most [`FRAME_MAX`] of them in one step.
    Read {
        /// The first new byte.
        at: u64,
        /// How many to read now.
        len: usize,
        /// Whether the file holds more than that.
        more: bool,
    },
}

/// How far a growing file was delivered.
///
/// A file that was cut and has grown past the old place between two looks cannot be told from one
/// that only grew, unless its inode changed. The files followed are only ever appended to; this is
/// for accidents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    next: u64,
    inode: u64,
    gone: bool,
}

impl Cursor {
    /// Creates a cursor before byte `from`.
    pub fn new(from: u64) -> Cursor {
        Cursor { next: from, inode: 0, gone: false }
    }

    /// Returns what a look at the file calls for. `seen` is absent if there is no file.
    pub fn observe(&mut self, seen: Option<Seen>) -> Step {
        let Some(seen) = seen else {
            self.gone = self.inode != 0 || self.next != 0;
            return Step::Nothing;
        };
        let other = self.gone || (self.inode != 0 && seen.inode != 0 && seen.inode != self.inode);
        self.gone = false;
        self.inode = seen.inode;
        if self.next != 0 && (other || seen.size < self.next) {
            self.next = 0;
            return Step::Restart;
        }
        let left = seen.size - self.next;
        if left == 0 {
            return Step::Nothing;
        }
        let len = usize::try_from(left).unwrap_or(FRAME_MAX).min(FRAME_MAX);
        Step::Read { at: self.next, len, more: (len as u64) < left }
    }

    /// Notes that `count` bytes were delivered.
    pub fn advance(&mut self, count: usize) {
        self.next += count as u64;
    }
}
