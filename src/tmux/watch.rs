//! Being told when sessions end.
//!
//! The server itself says so: a hook on the end of any session signals a channel (`wait-for -S`),
//! and one client per host waits on it. A signal that comes while nobody waits is kept by tmux, and
//! the end of the server ends the waiting, so nothing is missed and nothing wakes in between.
//!
//! Deliberately not a control-mode client: a tmux 3.3a server that has a session come or go between
//! a control client's first words and its last writes through a null pointer, and takes every
//! session with it (five segmentation faults in an hour of tests, at what the machine code shows to be
//! `control_write` with no control state; none since).

use tokio::sync::mpsc;

use crate::{
    shell::{Command, OUTPUT_MAX, ShellError, run},
    tmux::{DEADLINE, Tmux, TmuxError, no_server, says_no_server},
};

/// Events that may wait; when full, the next waits with the client that would tell it.
const EVENTS_CAP: usize = 16;

/// The channel that the hook signals.
const CHANNEL: &str = "ph-sessions";

/// What happened on a server. Which session it was is for [`Tmux::list`] to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TmuxEvent {
    /// Sessions ended. Also sent once at the start, since nobody was told what happened before.
    SessionsChanged,
    /// The server is gone. No further event follows.
    Gone,
    /// The host cannot be reached, or tmux refuses. No further event follows.
    Lost {
        /// What is known of why.
        detail: String,
    },
}

/// A watched server. Dropping it ends the waiting client.
pub struct Watcher {
    /// What happens.
    pub events: mpsc::Receiver<TmuxEvent>,
}

impl Tmux {
    /// Watches the server. Where there is none the only event is [`TmuxEvent::Gone`], and this is to
    /// be called again once there is one.
    ///
    /// # Errors
    ///
    /// If the host cannot be reached.
    pub async fn watch(&self) -> Result<Watcher, TmuxError> {
        let signal = format!("wait-for -S {CHANNEL}");
        let hook = self.command(["set-hook", "-g", "session-closed", &signal]);
        let set = run(&*self.shell, &hook, DEADLINE).await?;
        let (events_tx, events) = mpsc::channel(EVENTS_CAP);
        if set.code != 0 {
            let last = match no_server(&set) {
                true => TmuxEvent::Gone,
                false => TmuxEvent::Lost { detail: set.complaint() },
            };
            // There is room for one, and a receiver who has left wants none.
            let _ = events_tx.try_send(last);
            return Ok(Watcher { events });
        }
        let tmux = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = events_tx.closed() => {}
                last = tmux.pump(&events_tx) => {
                    let _ = events_tx.send(last).await;
                }
            }
        });
        Ok(Watcher { events })
    }

    /// Passes on signals until the server is gone. Returns the last event.
    async fn pump(&self, events: &mpsc::Sender<TmuxEvent>) -> TmuxEvent {
        let wait = self.command(["wait-for", CHANNEL]);
        loop {
            if events.send(TmuxEvent::SessionsChanged).await.is_err() {
                return TmuxEvent::Gone;
            }
            match self.until_ended(&wait).await {
                Ok((0, _)) => {}
                Ok((_, complaint)) if complaint.trim().is_empty() => return TmuxEvent::Gone,
                Ok((_, complaint)) if says_no_server(&complaint) => return TmuxEvent::Gone,
                Ok((_, complaint)) => return TmuxEvent::Lost { detail: complaint },
                Err(error) => return TmuxEvent::Lost { detail: error.to_string() },
            }
        }
    }

    /// Runs a command for as long as it takes: this one is meant to wait.
    async fn until_ended(&self, command: &Command) -> Result<(i32, String), ShellError> {
        use tokio::io::AsyncReadExt;

        let process = self.shell.exec(command).await?;
        let mut complaint = Vec::new();
        let mut limited = process.stderr.take(OUTPUT_MAX as u64);
        let (_, exit) = tokio::join!(limited.read_to_end(&mut complaint), process.exit);
        Ok((exit?.code, String::from_utf8_lossy(&complaint).trim().to_owned()))
    }
}
