//! Signals that matter while the terminal is taken.

use std::io;

use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The terminal has another size.
    Resized,
    /// Somebody wants this process to stop for a while.
    Stop,
    /// This process was stopped, and goes on.
    Continued,
    /// End, by the signal of this number.
    End(i32),
}

/// The signals.
pub struct Signals {
    resized: Signal,
    stop: Signal,
    continued: Signal,
    ending: [(Signal, i32); 4],
}

impl Signals {
    /// Starts to listen; from here on none of them does what it usually does.
    ///
    /// # Errors
    ///
    /// If the system has no room for it.
    pub fn new() -> io::Result<Signals> {
        let on = |number: Number| signal(SignalKind::from_raw(number.as_raw()));
        let ending = |number: Number| on(number).map(|it| (it, number.as_raw()));
        Ok(Signals {
            resized: on(Number::WINCH)?,
            stop: on(Number::TSTP)?,
            continued: on(Number::CONT)?,
            ending: [
                ending(Number::TERM)?,
                ending(Number::HUP)?,
                ending(Number::INT)?,
                ending(Number::QUIT)?,
            ],
        })
    }

    /// Returns what the next one asks for.
    pub async fn next(&mut self) -> Asked {
        let [(term, t), (hangup, h), (interrupt, i), (quit, q)] = &mut self.ending;
        tokio::select! {
            _ = term.recv() => Asked::End(*t),
            _ = hangup.recv() => Asked::End(*h),
            _ = interrupt.recv() => Asked::End(*i),
            _ = quit.recv() => Asked::End(*q),
            _ = self.resized.recv() => Asked::Resized,
            _ = self.stop.recv() => Asked::Stop,
            _ = self.continued.recv() => Asked::Continued,
        }
    }
}
