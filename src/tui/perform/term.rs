//! Terminals in panes: bytes up, bytes down.
//!
//! Each has a few chunks of output under way at most. When they are not taken in, the connection
//! is read no further, so the backpressure reaches tmux, which then skips frames.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split},
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, watch},
    task::AbortHandle,
};

use crate::{
    api::{
        client::{AttachQuery, Client, Terminal},
        error::ApiError,
        frames::{Decoder, PtyFrame},
    },
    tui::{
        effect::TermKind,
        msg::{Msg, Slot, TermMsg},
        perform::connected,
    },
    vt::screen::Size,
};

/// Chunks of output of one terminal that are not taken in.
const CHUNKS: usize = 16;

/// Bytes read at once.
const CHUNK: usize = 16 * 1024;

/// Bytes that wait to be sent. More than that is typed only by a paste that nobody reads, and is
/// dropped; the session's end of the line is stuck then.
const INPUT_MAX: usize = 8 * 1024 * 1024;

/// The first word of the dispatcher's last frame when a person left and the session goes on.
const DETACHED: &str = "detached";

/// A chunk of news of a terminal, with its place in that terminal's queue.
pub struct Chunk {
    pub msg: Msg,
    _place: Option<OwnedSemaphorePermit>,
}

/// What a terminal is connected by.
pub struct Wires {
    pub client: watch::Receiver<Option<Client>>,
    pub output: mpsc::Sender<Chunk>,
}

/// What is opened.
pub struct Target {
    pub task: String,
    pub kind: TermKind,
    pub size: Size,
}

/// A terminal. Dropping it closes the connection, which detaches.
pub struct Term {
    waiting: Arc<Waiting>,
    over: Arc<AtomicBool>,
    worker: AbortHandle,
}

/// What goes up next.
#[derive(Default)]
struct Waiting {
    what: Mutex<Up>,
    more: Notify,
}

#[derive(Default)]
struct Up {
    bytes: Vec<u8>,
    /// The newest size; older ones that were not sent do not matter.
    size: Option<Size>,
}

impl Term {
    /// Opens one; [`TermMsg`]s follow.
    pub fn open(slot: Slot, target: Target, wires: Wires) -> Term {
        let waiting = Arc::new(Waiting::default());
        let over = Arc::new(AtomicBool::new(false));
        let (up, end) = (Arc::clone(&waiting), Arc::clone(&over));
        let worker = async move {
            let last = run(slot, target, &wires, up).await;
            end.store(true, Ordering::Relaxed);
            let msg = Msg::Term { slot, what: last };
            let _ = wires.output.send(Chunk { msg, _place: None }).await;
        };
        Term { waiting, over, worker: tokio::spawn(worker).abort_handle() }
    }

    /// Tells whether it has ended.
    pub fn over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Sends bytes to the program.
    pub fn input(&self, bytes: Vec<u8>) {
        let mut up = self.waiting.what.lock().unwrap_or_else(PoisonError::into_inner);
        if up.bytes.len() + bytes.len() <= INPUT_MAX {
            up.bytes.extend(bytes);
        }
        drop(up);
        self.waiting.more.notify_one();
    }

    /// Tells it its size.
    pub fn resize(&self, size: Size) {
        self.waiting.what.lock().unwrap_or_else(PoisonError::into_inner).size = Some(size);
        self.waiting.more.notify_one();
    }
}

impl Drop for Term {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

async fn run(slot: Slot, target: Target, wires: &Wires, up: Arc<Waiting>) -> TermMsg {
    let stream = match connect(&target, wires.client.clone()).await {
        Ok(stream) => stream,
        Err(error) => return TermMsg::Failed(error),
    };
    let opened = Msg::Term { slot, what: TermMsg::Opened };
    let _ = wires.output.send(Chunk { msg: opened, _place: None }).await;
    let (reader, writer) = split(stream);
    // The sender ends with the receiver: a terminal that ended takes nothing.
    tokio::select! {
        last = receive(slot, reader, &wires.output) => last,
        why = send(writer, &up) => TermMsg::Ended { detached: false, why },
    }
}

async fn connect(
    target: &Target,
    client: watch::Receiver<Option<Client>>,
) -> Result<Box<dyn Terminal>, ApiError> {
    let client = connected(client).await?;
    let query = AttachQuery {
        cols: target.size.cols,
        rows: target.size.rows,
        term: "xterm-256color".to_owned(),
        read_only: target.kind == TermKind::Look,
        pane: true,
    };
    match target.kind {
        TermKind::Look | TermKind::Attach => client.attach(&target.task, &query).await,
        TermKind::Shell => client.shell(&target.task, &query).await,
    }
}

/// Sends what waits, for as long as somebody takes it; returns why nobody does.
async fn send(mut writer: WriteHalf<Box<dyn Terminal>>, up: &Waiting) -> String {
    let mut wire = Vec::new();
    loop {
        let next = std::mem::take(&mut *up.what.lock().unwrap_or_else(PoisonError::into_inner));
        wire.clear();
        if let Some(Size { cols, rows }) = next.size {
            PtyFrame::Resize { cols, rows }.encode(&mut wire);
        }
        if !next.bytes.is_empty() {
            PtyFrame::Data(next.bytes).encode(&mut wire);
        }
        if wire.is_empty() {
            up.more.notified().await;
            continue;
        }
        if let Err(it) = writer.write_all(&wire).await {
            return it.to_string();
        }
        if let Err(it) = writer.flush().await {
            return it.to_string();
        }
    }
}

/// Passes output on until the terminal ends; returns how.
async fn receive(
    slot: Slot,
    mut reader: ReadHalf<Box<dyn Terminal>>,
    output: &mpsc::Sender<Chunk>,
) -> TermMsg {
    let lost = |why: String| TermMsg::Ended { detached: false, why };
    let places = Arc::new(Semaphore::new(CHUNKS));
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; CHUNK];
    loop {
        loop {
            match decoder.take() {
                Ok(Some(PtyFrame::Data(bytes))) => {
                    let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                        return lost("the dashboard ended".to_owned());
                    };
                    let msg = Msg::Term { slot, what: TermMsg::Output(bytes.into()) };
                    if output.send(Chunk { msg, _place: Some(place) }).await.is_err() {
                        return lost("the dashboard ended".to_owned());
                    }
                }
                Ok(Some(PtyFrame::End(why))) => {
                    let detached = why.starts_with(DETACHED);
                    return TermMsg::Ended { detached, why };
                }
                // Sizes go up only.
                Ok(Some(PtyFrame::Resize { .. })) => (),
                Ok(None) => break,
                Err(it) => return lost(it.to_string()),
            }
        }
        match reader.read(&mut buffer).await {
            Ok(0) => return lost("the dispatcher went away".to_owned()),
            Ok(n) => decoder.feed(&buffer[..n]),
            Err(it) => return lost(it.to_string()),
        }
    }
}
