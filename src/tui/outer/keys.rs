//! What a person types, as it arrives.

use std::{io, time::Duration};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::{Instant, sleep_until},
};

use crate::tui::{msg::Input, outer::decode::Decoder};

/// Bytes read at once.
const CHUNK: usize = 16 * 1024;

/// The terminal's input. Dropping it leaves what is not read yet to whoever reads next.
pub struct Keys {
    stdin: AsyncFd<io::Stdin>,
    decoder: Decoder,
    /// When what has begun and does not end is taken for what it is.
    give_up: Option<Instant>,
    buffer: Vec<u8>,
}

impl Keys {
    /// Starts to listen.
    ///
    /// # Errors
    ///
    /// If the system cannot tell when stdin has something.
    pub fn new() -> io::Result<Keys> {
        #[expect(deprecated, reason = "its successor is unsafe code; stdin stays open to the end")]
        let stdin = AsyncFd::with_interest(io::stdin(), Interest::READABLE)?;
        Ok(Keys { stdin, decoder: Decoder::default(), give_up: None, buffer: vec![0; CHUNK] })
    }

    /// Returns what was typed next; never empty.
    ///
    /// # Errors
    ///
    /// If the terminal is gone.
    pub async fn next(&mut self) -> io::Result<Vec<Input>> {
        loop {
            let typed = match self.give_up {
                Some(at) => tokio::select! {
                    biased;
                    it = read(&self.stdin, &mut self.buffer) => self.decoder.feed(it?),
                    () = sleep_until(at) => self.decoder.give_up(),
                },
                None => self.decoder.feed(read(&self.stdin, &mut self.buffer).await?),
            };
            self.give_up = self.decoder.patience().map(|it: Duration| Instant::now() + it);
            if !typed.is_empty() {
                return Ok(typed);
            }
        }
    }
}

/// Reads what there is. The descriptor is shared with the shell, so it stays a blocking one, and
/// is asked first whether it has something.
async fn read<'a>(stdin: &AsyncFd<io::Stdin>, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
    loop {
        let mut ready = stdin.readable().await?;
        let mut fds = [PollFd::new(stdin.get_ref(), PollFlags::IN)];
        match poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
            Ok(0) => {
                ready.clear_ready();
                continue;
            }
            Ok(_) => (),
            Err(rustix::io::Errno::INTR) => continue,
            Err(it) => return Err(it.into()),
        }
        match rustix::io::read(stdin.get_ref(), &mut *buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => return Ok(&buffer[..n]),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => (),
            Err(it) => return Err(it.into()),
        }
    }
}
