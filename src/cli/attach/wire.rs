//! The four workers between a terminal and the dispatcher.

use std::io::{self, Read, Write};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split},
    sync::{mpsc, oneshot},
    task::{JoinError, JoinHandle},
};

use crate::{
    api::{
        client::Terminal,
        frames::{Decoder, PtyFrame},
    },
    tui::outer::watch,
};

/// Frames on their way out. A person types slower than this; a paste waits.
const KEYS_PENDING: usize = 16;

/// Chunks of output not yet shown. When the terminal reads no more, receiving stops and the
/// backpressure reaches tmux, which then skips frames.
const OUTPUT_PENDING: usize = 16;

/// Bytes read at once, either way.
const CHUNK: usize = 16 * 1024;

/// How the stream of frames ended.
#[derive(Debug)]
pub enum Ended {
    /// By the dispatcher's last word.
    Said(String),
    /// Without one.
    Broken(String),
}

impl Ended {
    /// Returns how the stream ended; a receiver that died is a stream that broke.
    pub fn of(receiver: Result<Ended, JoinError>) -> Ended {
        receiver.unwrap_or_else(|it| Ended::Broken(it.to_string()))
    }
}

/// The workers.
pub struct Wire {
    /// Where frames for the dispatcher go.
    pub frames: mpsc::Sender<PtyFrame>,
    /// Says that the key that leaves was pressed.
    pub leave: mpsc::Receiver<()>,
    /// Receives frames, and returns how their stream ended.
    pub receiver: JoinHandle<Ended>,
    shown: Option<oneshot::Receiver<()>>,
}

type Stream = Box<dyn Terminal>;

impl Wire {
    /// Starts the workers. The thread that reads keys cannot be woken from its read; it ends
    /// with the process, which follows at once.
    pub fn start(stream: Stream, detach_key: Option<u8>) -> Wire {
        let (reader, writer) = split(stream);
        let (frames, outgoing) = mpsc::channel(KEYS_PENDING);
        let (leaves, leave) = mpsc::channel(1);
        let (output, showing) = mpsc::channel(OUTPUT_PENDING);
        let (done, shown) = oneshot::channel();
        tokio::spawn(send(outgoing, writer));
        let receiver = tokio::spawn(receive(reader, output));
        std::thread::spawn(move || {
            show(showing);
            let _ = done.send(());
        });
        let keys = frames.clone();
        std::thread::spawn(move || read_keys(&keys, &leaves, detach_key));
        Wire { frames, leave, receiver, shown: Some(shown) }
    }

    /// Waits until everything received is on the terminal.
    pub async fn drain(&mut self) {
        if let Some(shown) = self.shown.take() {
            let _ = shown.await;
        }
    }
}

/// Sends frames until there are no more or nobody takes them.
async fn send(mut frames: mpsc::Receiver<PtyFrame>, mut writer: WriteHalf<Stream>) {
    let mut bytes = Vec::new();
    while let Some(frame) = frames.recv().await {
        bytes.clear();
        frame.encode(&mut bytes);
        if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() {
            return;
        }
    }
}

/// Receives frames and passes their bytes to the terminal.
async fn receive(mut reader: ReadHalf<Stream>, output: mpsc::Sender<Vec<u8>>) -> Ended {
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; CHUNK];
    loop {
        loop {
            match decoder.take() {
                Ok(Some(PtyFrame::Data(bytes))) => {
                    if output.send(bytes).await.is_err() {
                        return Ended::Broken("this terminal takes no more output".into());
                    }
                }
                Ok(Some(PtyFrame::End(why))) => return Ended::Said(why),
                // Sizes go up only; a dispatcher that sends one is none of our business.
                Ok(Some(PtyFrame::Resize { .. })) => (),
                Ok(None) => break,
                Err(it) => return Ended::Broken(it.to_string()),
            }
        }
        match reader.read(&mut buffer).await {
            Ok(0) => return Ended::Broken("the dispatcher went away".into()),
            Ok(n) => decoder.feed(&buffer[..n]),
            Err(it) => return Ended::Broken(it.to_string()),
        }
    }
}

/// Writes output to the terminal until there is no more or the terminal is gone.
fn show(mut output: mpsc::Receiver<Vec<u8>>) {
    let mut stdout = io::stdout();
    while let Some(bytes) = output.blocking_recv() {
        if !watch(&bytes) || stdout.write_all(&bytes).and_then(|()| stdout.flush()).is_err() {
            return;
        }
    }
}

/// Reads keys and passes them on as they are, up to the key that leaves.
fn read_keys(frames: &mpsc::Sender<PtyFrame>, leave: &mpsc::Sender<()>, key: Option<u8>) {
    let mut stdin = io::stdin();
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = match stdin.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => &buffer[..n],
            Err(it) if it.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        let at = key.and_then(|key| read.iter().position(|it| *it == key));
        let before = &read[..at.unwrap_or(read.len())];
        let sent =
            before.is_empty() || frames.blocking_send(PtyFrame::Data(before.to_vec())).is_ok();
        if at.is_some() {
            let _ = leave.blocking_send(());
            return;
        }
        if !sent {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn output_comes_whole_before_the_last_word() {
        let (ours, theirs) = tokio::io::duplex(64);
        let (output, mut showing) = mpsc::channel(OUTPUT_PENDING);
        let mut wire = Vec::new();
        PtyFrame::Data(b"last words".to_vec()).encode(&mut wire);
        PtyFrame::End("detached".into()).encode(&mut wire);
        let (_, mut writer) = split(theirs);
        tokio::spawn(async move { writer.write_all(&wire).await });
        let stream: Stream = Box::new(ours);
        let ended = receive(split(stream).0, output).await;
        assert!(matches!(ended, Ended::Said(why) if why == "detached"));
        assert_eq!(showing.recv().await.as_deref(), Some(&b"last words"[..]));
        assert_eq!(showing.recv().await, None);
    }

    #[tokio::test]
    async fn a_stream_that_breaks_is_no_end_of_the_session() {
        let (ours, theirs) = tokio::io::duplex(64);
        drop(theirs);
        let (output, _showing) = mpsc::channel(1);
        let stream: Stream = Box::new(ours);
        assert!(matches!(receive(split(stream).0, output).await, Ended::Broken(_)));
    }
}
