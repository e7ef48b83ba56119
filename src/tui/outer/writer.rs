//! Frames on their way to the terminal.
//!
//! A thread of its own writes, so that a terminal that reads slowly holds up neither a key nor a
//! signal. One frame is under way at a time; the next is drawn when it is out, from how things are
//! then, so a slow terminal sees fewer frames and not older ones.

use std::{io, os::fd::AsFd};

use tokio::sync::mpsc;

use crate::tui::outer;

/// Hands frames to the thread that writes them.
#[derive(Debug)]
pub struct Writer {
    frames: mpsc::Sender<Vec<u8>>,
    done: mpsc::Receiver<io::Result<()>>,
    busy: bool,
}

impl Writer {
    /// Starts the thread. It ends when the writer is dropped.
    pub fn start() -> Writer {
        let (frames, mut waiting) = mpsc::channel::<Vec<u8>>(1);
        let (told, done) = mpsc::channel(1);
        std::thread::spawn(move || {
            while let Some(bytes) = waiting.blocking_recv() {
                if told.blocking_send(write(&bytes)).is_err() {
                    return;
                }
            }
        });
        Writer { frames, done, busy: false }
    }

    /// Tells whether a frame is under way.
    pub fn busy(&self) -> bool {
        self.busy
    }

    /// Sends a frame on its way. There must be none under way.
    pub fn send(&mut self, bytes: Vec<u8>) {
        // There is room: one frame at a time is the rule.
        self.busy = self.frames.try_send(bytes).is_ok();
    }

    /// Returns how the frame under way came out; waits for ever if there is none.
    ///
    /// # Errors
    ///
    /// If the terminal takes nothing any more.
    pub async fn done(&mut self) -> io::Result<()> {
        let result = self.done.recv().await;
        self.busy = false;
        result.unwrap_or_else(|| Err(io::ErrorKind::BrokenPipe.into()))
    }
}

/// Writes a frame: one call, unless the terminal takes it in parts.
fn write(mut bytes: &[u8]) -> io::Result<()> {
    if !outer::taken() {
        // Given back by a panic's hook: what it shows now is not ours to overwrite.
        return Ok(());
    }
    let stdout = io::stdout();
    while !bytes.is_empty() {
        match rustix::io::write(stdout.as_fd(), bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(rustix::io::Errno::INTR) => (),
            Err(it) => return Err(it.into()),
        }
    }
    Ok(())
}
