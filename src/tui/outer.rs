//! The terminal that a person sits at: taken, and given back whatever happens.
//!
//! One mechanism serves `attach` and the dashboard. What was taken stands in a global, because a
//! panic anywhere must find it. Nothing here waits for an answer of the terminal.

pub mod decode;
pub mod keys;
pub mod modes;
pub mod say;
pub mod signals;
pub mod writer;

use std::{
    io,
    os::fd::AsFd,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    termios::{
        OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcgetwinsize, tcsetattr,
    },
};
use tokio::sync::Notify;

use crate::tui::outer::modes::Modes;

/// Size assumed where the terminal does not say.
const USUAL_SIZE: (u16, u16) = (80, 24);

/// Longest wait for a terminal that reads no more, before it is given back as it is.
const STUCK_LIMIT: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// What the dashboard switches on: the alternate screen, a title of its own (the old one is kept
/// by the terminal), bracketed paste, focus reports, and kitty's unambiguous keys. Terminals
/// ignore what they do not know. The cursor is shown by frames that have one.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[22;2t\x1b[?25l\x1b[?2004h\x1b[?1004h\x1b[>1u\x1b[0m\x1b[2J";

/// What of it is said again after another program had the terminal without asking. All of it may
/// be said twice, which a push onto a stack may not.
const AGAIN: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[?1004h";

/// Mouse reports: clicks, drags, the wheel, in a form that knows no widest column.
const MOUSE_ON: &[u8] = b"\x1b[?1000h\x1b[?1002h\x1b[?1006h";
const MOUSE_OFF: &[u8] = b"\x1b[?1006l\x1b[?1002l\x1b[?1000l";

/// How the terminal was before, while it is taken.
static TAKEN: Mutex<Option<Taken>> = Mutex::new(None);

/// Told when the terminal was given back by somebody else: a panic's hook.
static LOST: Notify = Notify::const_new();

struct Taken {
    before: Termios,
    modes: Modes,
    /// Whether a title was put over the one that was there.
    title: bool,
}

/// The terminal is raw for as long as this lives.
#[derive(Debug)]
pub struct Raw(());

impl Raw {
    /// Takes the terminal: every key comes as bytes, and nothing is echoed.
    ///
    /// # Errors
    ///
    /// If stdin is no terminal any more.
    pub fn enter() -> io::Result<Raw> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Taken { before, modes: Modes::default(), title: false });
        let guard = Raw(());
        tcsetattr(io::stdin(), OptionalActions::Flush, &raw)?;
        Ok(guard)
    }

    /// Makes the terminal raw once more, after this process was stopped and continued.
    ///
    /// # Errors
    ///
    /// If stdin is no terminal any more.
    pub fn again(&self) -> io::Result<()> {
        let mut raw = tcgetattr(io::stdin())?;
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(())
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        give_back();
    }
}

/// The terminal as the dashboard has it: raw, on the alternate screen.
#[derive(Debug)]
pub struct Outer {
    raw: Raw,
    mouse: bool,
}

impl Outer {
    /// Takes the terminal. What it is to be told goes in front of the first frame: see
    /// [`Outer::greeting`].
    ///
    /// # Errors
    ///
    /// If stdin is no terminal any more.
    pub fn enter(mouse: bool) -> io::Result<Outer> {
        let outer = Outer { raw: Raw::enter()?, mouse };
        if let Some(taken) = &mut *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) {
            // Said before it is written: a panic in between must find it.
            taken.modes.feed(ENTER);
            taken.title = true;
        }
        Ok(outer)
    }

    /// Returns what goes in front of the first frame.
    pub fn greeting(&self) -> Vec<u8> {
        let mut bytes = ENTER.to_vec();
        bytes.extend_from_slice(if self.mouse { MOUSE_ON } else { b"" });
        bytes
    }

    /// Returns what goes in front of the next frame after this process was stopped and continued
    /// by somebody else.
    ///
    /// # Errors
    ///
    /// If stdin is no terminal any more.
    pub fn again(&self) -> io::Result<Vec<u8>> {
        self.raw.again()?;
        let mut bytes = AGAIN.to_vec();
        bytes.extend_from_slice(if self.mouse { MOUSE_ON } else { MOUSE_OFF });
        Ok(bytes)
    }

    /// Returns what switches mouse reports on or off.
    pub fn capture_mouse(&mut self, on: bool) -> &'static [u8] {
        self.mouse = on;
        if on { MOUSE_ON } else { MOUSE_OFF }
    }

    /// Tells whether mouse reports are on.
    pub fn mouse(&self) -> bool {
        self.mouse
    }
}

/// Remembers what output switches on; tells whether the terminal is still ours to write to.
pub fn watch(output: &[u8]) -> bool {
    match &mut *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(taken) => {
            taken.modes.feed(output);
            true
        }
        None => false,
    }
}

/// Tells whether the terminal is ours to write to.
pub fn taken() -> bool {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner).is_some()
}

/// Waits until the terminal was given back by somebody else.
pub async fn lost() {
    LOST.notified().await;
}

/// Gives the terminal back, if it was taken: cooked, main screen, no mouse, cursor shown. Called
/// at the end, on errors and signals (by [`Raw`]) and on a panic (by the hook).
pub fn give_back() {
    // A panic while the lock is held must not wait for itself.
    let taken = match TAKEN.try_lock() {
        Ok(mut it) => it.take(),
        Err(std::sync::TryLockError::Poisoned(it)) => it.into_inner().take(),
        Err(std::sync::TryLockError::WouldBlock) => None,
    };
    let Some(Taken { before, modes, title }) = taken else { return };
    let mut bytes = Vec::new();
    if title {
        bytes.extend_from_slice(b"\x1b[23;2t");
    }
    bytes.extend(modes.undo());
    let _ = write_all(&bytes);
    // What was typed and not read yet was meant for us or for Claude: it is kept from the shell.
    // Not by `OptionalActions::Flush`, which waits for a terminal that may read no more.
    let _ = tcflush(io::stdin(), QueueSelector::IFlush);
    let _ = tcsetattr(io::stdin(), OptionalActions::Now, &before);
}

/// The terminal was given back because of a panic. Dropping it ends whoever draws on it, so it is
/// dropped when all is told: the process may end right after.
#[derive(Debug)]
pub struct GivenBack(());

impl Drop for GivenBack {
    fn drop(&mut self) {
        LOST.notify_one();
    }
}

/// Gives the terminal back on a panic, if it was taken.
pub fn give_back_on_panic() -> Option<GivenBack> {
    let taken = taken_now();
    give_back();
    taken.then_some(GivenBack(()))
}

fn taken_now() -> bool {
    match TAKEN.try_lock() {
        Ok(it) => it.is_some(),
        Err(std::sync::TryLockError::Poisoned(it)) => it.into_inner().is_some(),
        Err(std::sync::TryLockError::WouldBlock) => false,
    }
}

/// Writes to the terminal, unless it takes nothing for [`STUCK_LIMIT`].
fn write_all(mut bytes: &[u8]) -> io::Result<()> {
    let stdout = io::stdout();
    while !bytes.is_empty() {
        let mut fds = [PollFd::new(&stdout, PollFlags::OUT)];
        match poll(&mut fds, Some(&STUCK_LIMIT)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => (),
            Err(rustix::io::Errno::INTR) => continue,
            Err(it) => return Err(it.into()),
        }
        match rustix::io::write(stdout.as_fd(), bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(rustix::io::Errno::INTR) => (),
            Err(it) => return Err(it.into()),
        }
    }
    Ok(())
}

/// Returns columns and rows.
pub fn size() -> (u16, u16) {
    match tcgetwinsize(io::stdout()) {
        Ok(it) if it.ws_col != 0 && it.ws_row != 0 => (it.ws_col, it.ws_row),
        _ => USUAL_SIZE,
    }
}

/// Longest wait for the last frame to reach a terminal that is given back.
pub const DRAIN_LIMIT: Duration = Duration::from_millis(500);
