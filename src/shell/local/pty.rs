//! Terminals on this machine.
//!
//! The master end of a pseudo-terminal is read and written by one blocking thread each, joined to
//! the rest by bounded channels: when nobody reads, the thread waits, the kernel's buffer fills,
//! and the command waits too. A task owns the child, because only one may reap it. Both threads
//! end with the child: its death hangs the terminal up, which the kernel reports to the master.

use std::{
    io::{Read, Write},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, Weak},
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use portable_pty::{Child, CommandBuilder, MasterPty, NativePtySystem, PtySize, PtySystem};
use rustix::process::Signal;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    signal::unix::SignalKind,
    sync::{mpsc, oneshot},
};
use tokio_util::sync::PollSender;

use crate::shell::{
    Command, Exit, Pty, ShellError, Size,
    local::{LocalShell, NOT_INHERITED, signal_group},
};

/// Bytes read from a terminal at once: what the kernel's buffer holds at most, and a little more.
const CHUNK: usize = 16 * 1024;

/// Chunks that may wait for whoever reads the terminal; when full, the command is made to wait.
const OUTPUT_CAP: usize = 16;

/// Writes that may wait for a command that does not read; when full, the writer waits.
const INPUT_CAP: usize = 16;

/// How long a command may take to leave after its terminal was hung up, before it is killed.
const HANGUP_GRACE: Duration = Duration::from_secs(1);

/// Starts `command` on a new terminal.
pub fn open(shell: &LocalShell, command: &Command, size: Size) -> Result<Pty, ShellError> {
    let mut builder = CommandBuilder::from_argv(shell.argv(command)?);
    for name in NOT_INHERITED {
        builder.env_remove(name);
    }
    for (name, value) in &command.env {
        builder.env(name, value);
    }
    // The builder falls back to the home directory without a word, so it is always told.
    match &command.cwd {
        Some(cwd) if !std::path::Path::new(cwd.as_str()).is_dir() => {
            let missing = std::io::ErrorKind::NotFound.into();
            return Err(shell.file_error("enter", cwd, &missing));
        }
        Some(cwd) => builder.cwd(cwd.as_str()),
        None => builder.cwd(std::env::current_dir().unwrap_or_else(|_| "/".into())),
    }
    let pair = NativePtySystem::default().openpty(pty_size(size)).map_err(|it| shell.other(it))?;
    let reader = pair.master.try_clone_reader().map_err(|it| shell.other(it))?;
    let writer = pair.master.take_writer().map_err(|it| shell.other(it))?;
    let ended = tokio::signal::unix::signal(SignalKind::child()).map_err(|it| shell.other(it))?;
    let child =
        pair.slave.spawn_command(builder).map_err(|it| start_error(shell, command, it.as_ref()))?;
    drop(pair.slave);
    let leader = Leader { child: Some(child) };

    let (output_tx, output_rx) = mpsc::channel(OUTPUT_CAP);
    let (input_tx, input_rx) = mpsc::channel(INPUT_CAP);
    let (exit_tx, exit_rx) = oneshot::channel();
    spawn_thread(shell, "pty-read", move || pump_output(reader, &output_tx))?;
    spawn_thread(shell, "pty-write", move || pump_input(writer, input_rx))?;
    let master = Arc::new(Mutex::new(pair.master));
    let resize = resize(Arc::downgrade(&master));
    let owner = Owner { leader, _master: master, exit: exit_tx };
    tokio::spawn(owner.run(ended, input_tx.clone()));
    let host = shell.host.clone();
    Ok(Pty {
        output: Box::pin(Output { chunks: output_rx, rest: Vec::new(), at: 0 }),
        input: Box::pin(Input { chunks: PollSender::new(input_tx) }),
        resize,
        exit: Box::pin(async move {
            exit_rx.await.map_err(|_| ShellError::Other {
                host,
                detail: "the dispatcher is shutting down".into(),
            })
        }),
    })
}

fn spawn_thread(
    shell: &LocalShell,
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> Result<(), ShellError> {
    std::thread::Builder::new()
        .name(name.into())
        // Enough for a chunk on the heap and a system call.
        .stack_size(128 * 1024)
        .spawn(work)
        .map(drop)
        .map_err(|it| shell.other(it))
}

/// Returns why `command` did not start. The library looks the program up itself and says only in
/// words that there is none.
fn start_error(
    shell: &LocalShell,
    command: &Command,
    error: &(dyn std::error::Error + Send + Sync + 'static),
) -> ShellError {
    match error.downcast_ref::<std::io::Error>() {
        Some(error) => shell.spawn_error(command, error),
        None if error.to_string().contains("Unable to spawn") => {
            shell.spawn_error(command, &std::io::ErrorKind::NotFound.into())
        }
        None => shell.other(error),
    }
}

/// Returns what gives the terminal a size as long as it is there. It takes microseconds, so it is
/// done at once, and before anything that is written later.
fn resize(
    master: Weak<Mutex<Box<dyn MasterPty + Send>>>,
) -> Box<dyn Fn(Size) -> BoxFuture<'static, ()> + Send + Sync> {
    Box::new(move |size| {
        if let Some(master) = master.upgrade() {
            let _ = master.lock().unwrap_or_else(PoisonError::into_inner).resize(pty_size(size));
        }
        std::future::ready(()).boxed()
    })
}

fn pty_size(size: Size) -> PtySize {
    // Nought is "unknown" to the kernel, and programs divide by it.
    PtySize { rows: size.rows.max(1), cols: size.cols.max(1), pixel_width: 0, pixel_height: 0 }
}

/// Reads until the terminal is hung up. When nobody takes the output any more it is read all the
/// same and dropped, so that the command does not hang on a full terminal.
fn pump_output(mut reader: Box<dyn Read + Send>, chunks: &mpsc::Sender<Vec<u8>>) {
    let mut buffer = vec![0; CHUNK];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => {
                let _ = chunks.blocking_send(buffer[..n].to_vec());
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Writes until the owner lets go, which it does only once the child is dead: dropping the writer
/// types a newline and an end of file, which must not reach anything that lives.
fn pump_input(mut writer: Box<dyn Write + Send>, mut chunks: mpsc::Receiver<Vec<u8>>) {
    while let Some(chunk) = chunks.blocking_recv() {
        // A terminal hung up takes no more; what is left is drained until the owner lets go.
        let _ = writer.write_all(&chunk);
    }
}

/// The leader of the terminal's session. Dropped before it was reaped, it is killed.
struct Leader {
    child: Option<Box<dyn Child + Send + Sync>>,
}

impl Leader {
    /// Returns how it ended, if it has.
    fn try_reap(&mut self) -> Option<Exit> {
        let ended = match self.child.as_mut()?.try_wait() {
            Ok(None) => return None,
            Ok(Some(status)) => exit_of(&status),
            Err(_) => Exit { code: 255 },
        };
        self.child = None;
        Some(ended)
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.child.as_ref().and_then(|it| it.process_id()) {
            signal_group(pid, signal);
        }
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        if let Some(mut child) = self.child.take() {
            // It was killed, so this is over at once.
            let _ = child.wait();
        }
    }
}

fn exit_of(status: &portable_pty::ExitStatus) -> Exit {
    match status.signal() {
        // The library keeps a signal's description only, and reports status 1 with it.
        Some(name) => Exit { code: 128 + signal_number(name) },
        None => Exit { code: i32::try_from(status.exit_code()).unwrap_or(255) },
    }
}

/// Returns the number of a signal that `strsignal` describes as `name`, for those that end
/// programs in practice.
fn signal_number(name: &str) -> i32 {
    match name.split(':').next().unwrap_or_default() {
        "Hangup" => 1,
        "Interrupt" => 2,
        "Quit" => 3,
        "Aborted" => 6,
        "Killed" => 9,
        "Segmentation fault" => 11,
        "Broken pipe" => 13,
        "Terminated" => 15,
        _ => 0,
    }
}

/// Owns the child and the master end: one owner, because a pid may be signalled only by whoever
/// knows that it was not reaped.
struct Owner {
    leader: Leader,
    _master: Arc<Mutex<Box<dyn MasterPty + Send>>>,
    exit: oneshot::Sender<Exit>,
}

impl Owner {
    /// Runs until the child is dead. `input` keeps the writing thread alive until then.
    async fn run(mut self, mut ended: tokio::signal::unix::Signal, input: mpsc::Sender<Vec<u8>>) {
        loop {
            if let Some(exit) = self.leader.try_reap() {
                let _ = self.exit.send(exit);
                break;
            }
            tokio::select! {
                _ = ended.recv() => {}
                () = self.exit.closed() => {
                    hang_up(&mut self.leader, &mut ended).await;
                    break;
                }
            }
        }
        drop(input);
    }
}

/// Ends the child: politely, then not.
async fn hang_up(leader: &mut Leader, ended: &mut tokio::signal::unix::Signal) {
    leader.signal(Signal::HUP);
    leader.signal(Signal::CONT);
    let gone = async {
        while leader.try_reap().is_none() {
            ended.recv().await;
        }
    };
    if tokio::time::timeout(HANGUP_GRACE, gone).await.is_err() {
        leader.signal(Signal::KILL);
        while leader.try_reap().is_none() {
            ended.recv().await;
        }
    }
}

struct Output {
    chunks: mpsc::Receiver<Vec<u8>>,
    rest: Vec<u8>,
    at: usize,
}

impl AsyncRead for Output {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.at == self.rest.len() {
            match ready!(self.chunks.poll_recv(cx)) {
                Some(chunk) => {
                    self.rest = chunk;
                    self.at = 0;
                }
                None => return Poll::Ready(Ok(())),
            }
        }
        let n = buf.remaining().min(self.rest.len() - self.at);
        buf.put_slice(&self.rest[self.at..self.at + n]);
        self.at += n;
        Poll::Ready(Ok(()))
    }
}

struct Input {
    chunks: PollSender<Vec<u8>>,
}

impl AsyncWrite for Input {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let closed = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        ready!(self.chunks.poll_reserve(cx)).map_err(|_| closed())?;
        let n = buf.len().min(CHUNK);
        self.chunks.send_item(buf[..n].to_vec()).map_err(|_| closed())?;
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
