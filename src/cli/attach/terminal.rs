//! The caller's terminal: taken raw, and given back whatever happens.

use std::{
    io::{self, Write},
    sync::{Mutex, PoisonError},
};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use crate::cli::attach::modes::Modes;

/// Size assumed where the terminal does not say.
const USUAL_SIZE: (u16, u16) = (80, 24);

/// How the terminal was before, while it is raw. Global, because a panic anywhere must find it.
static TAKEN: Mutex<Option<Taken>> = Mutex::new(None);

struct Taken {
    before: Termios,
    modes: Modes,
}

/// The terminal is raw for as long as this lives.
#[derive(Debug)]
pub struct Raw(());

impl Raw {
    /// Takes the terminal: every key comes as bytes, and nothing is echoed.
    pub fn enter() -> io::Result<Raw> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Taken { before, modes: Modes::default() });
        let guard = Raw(());
        tcsetattr(io::stdin(), OptionalActions::Flush, &raw)?;
        Ok(guard)
    }

    /// Makes the terminal raw once more, after this process was stopped and continued.
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

/// Gives the terminal back, if it was taken: cooked, main screen, no mouse, cursor shown. Called
/// at the end, on errors and signals (by [`Raw`]) and on a panic (by the hook).
pub fn give_back() {
    // A panic while the lock is held must not wait for itself.
    let taken = match TAKEN.try_lock() {
        Ok(mut it) => it.take(),
        Err(std::sync::TryLockError::Poisoned(it)) => it.into_inner().take(),
        Err(std::sync::TryLockError::WouldBlock) => None,
    };
    let Some(Taken { before, modes }) = taken else { return };
    let mut stdout = io::stdout();
    let _ = stdout.write_all(&modes.undo()).and_then(|()| stdout.flush());
    // What was typed and not read yet was meant for Claude: `Flush` keeps it from the shell.
    let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &before);
}

/// Returns columns and rows.
pub fn size() -> (u16, u16) {
    match tcgetwinsize(io::stdout()) {
        Ok(it) if it.ws_col != 0 && it.ws_row != 0 => (it.ws_col, it.ws_row),
        _ => USUAL_SIZE,
    }
}
