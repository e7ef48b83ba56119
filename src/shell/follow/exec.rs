//! Following files over a `sh` that reads its commands from us.
//!
//! One long-lived `sh` per host reads its script from standard input, a few lines at a time, and
//! answers on standard output. It holds no state and starts nothing that outlives a request: all
//! that is known of the files is known here. So it ends by itself when its input does, leaves
//! nothing behind, and works with any POSIX `sh`.
//!
//! A look at all files is one `stat` whatever their number (where the host has no `stat`, one `wc`
//! and one `cksum`); only files that changed cost a read. The pace is ours, not the host's: no
//! look is asked for while frames wait for the reader, while nothing is watched, or once the
//! connection is gone, which a loop with its own `sleep` would not notice.

use std::{
    collections::{BTreeMap, HashMap},
    pin::Pin,
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
};

use crate::{
    domain::ids::HostPath,
    shell::{
        Command, Exit, Process, Shell, ShellError,
        follow::{
            Cursor, FRAMES_CAP, FollowRequest, Follower, Frame, REQUESTS_CAP, Seen, Step,
            WHOLE_MAX, Watch,
            framing::{Answer, Answers, Nonce},
        },
        quote,
    },
};

/// The pause between two looks at the files: what an answer is late by at most.
const TICK: Duration = Duration::from_millis(300);

/// How long the host may take for one answer; after that the channel counts as broken.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Bytes of file names in one `stat`, well below the 128 KiB that Linux allows one command line
/// at the least; more names make more commands.
const NAMES_MAX: usize = 48 * 1024;

/// Reads asked for at once, to pay for one round trip instead of one each. Their answers are at
/// most a frame each.
const READS_AT_ONCE: usize = 16;

/// Starts a follower. `style` is how to look at files; found out if absent.
pub(super) async fn start<S: Shell + ?Sized>(
    shell: &S,
    style: Option<Style>,
) -> Result<Follower, ShellError> {
    let process = shell.exec(&Command::new(["sh"])).await?;
    let Process { stdin, stdout, mut stderr, exit } = process;
    let mut channel = Channel { stdin, stdout, answers: Answers::default(), _exit: exit };
    let found = match channel.greet().await {
        Ok(found) => found,
        Err(error) => {
            let mut complaint = vec![0; 400];
            let read = tokio::time::timeout(TICK, stderr.read(&mut complaint)).await;
            complaint.truncate(read.ok().and_then(Result::ok).unwrap_or(0));
            let complaint = String::from_utf8_lossy(&complaint);
            let detail = crate::stdx::text::one_line(&format!("{error} {complaint}"), 400);
            return Err(ShellError::Other { host: shell.host().to_owned(), detail });
        }
    };
    let (requests, requests_rx) = mpsc::channel(REQUESTS_CAP);
    let (frames_tx, frames) = mpsc::channel(FRAMES_CAP);
    let watching = Watching {
        channel,
        style: style.unwrap_or(found),
        files: BTreeMap::new(),
        syncs: Vec::new(),
        frames: frames_tx.clone(),
    };
    tokio::spawn(async move {
        let _stderr = stderr;
        tokio::select! {
            () = frames_tx.closed() => {}
            result = watching.run(requests_rx) => {
                if let Err(detail) = result {
                    let _ = frames_tx.send(Frame::Lost { detail }).await;
                }
            }
        }
    });
    Ok(Follower { requests, frames })
}

/// How the host can be asked about many files at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `stat -c`, as GNU and busybox have it.
    Gnu,
    /// `stat -f`, as the BSDs and macOS have it.
    Bsd,
    /// Nothing but POSIX: `wc -c` for growing files, `cksum` for small ones. No inodes.
    Posix,
}

impl Style {
    fn command(self, whole: bool) -> &'static str {
        match (self, whole) {
            (Style::Gnu, _) => "stat -L -c '%i %s %y|%n' --",
            (Style::Bsd, _) => "stat -L -f '%i %z %Fm|%N' --",
            (Style::Posix, false) => "wc -c",
            (Style::Posix, true) => "cksum",
        }
    }

    /// Splits a line of output into what it says and the name of the file.
    fn split(self, line: &[u8]) -> Option<(&[u8], &[u8])> {
        match self {
            Style::Gnu | Style::Bsd => {
                let at = line.iter().position(|it| *it == b'|')?;
                Some((&line[..at], &line[at + 1..]))
            }
            // Every name is absolute, and nothing before it holds a slash.
            Style::Posix => {
                let at = line.iter().position(|it| *it == b'/')?;
                Some((&line[..at], &line[at..]))
            }
        }
    }

    fn seen(self, said: &[u8]) -> Option<Seen> {
        let said = std::str::from_utf8(said).ok()?;
        let mut words = said.split_ascii_whitespace();
        let mut number = || words.next()?.parse().ok();
        match self {
            Style::Gnu | Style::Bsd => Some(Seen { inode: number()?, size: number()? }),
            Style::Posix => Some(Seen { inode: 0, size: number()? }),
        }
    }
}

/// The conversation with the `sh`. Dropping it ends the `sh`.
struct Channel {
    stdin: Pin<Box<dyn AsyncWrite + Send>>,
    stdout: Pin<Box<dyn AsyncRead + Send>>,
    answers: Answers,
    /// Not waited for: the end shows on `stdout`. Kept, because dropping it kills.
    _exit: BoxFuture<'static, Result<Exit, ShellError>>,
}

impl Channel {
    /// Makes the shell quiet and finds out what it can do. Whatever a login script wrote before is
    /// skipped: the last line of the answer counts.
    async fn greet(&mut self) -> Result<Style, String> {
        let script = "exec 2>/dev/null; cd /; LC_ALL=C; export LC_ALL; echo; \
            if stat -L -c %i / >/dev/null; then echo gnu; \
            elif stat -L -f %i / >/dev/null; then echo bsd; \
            else echo posix; fi\n";
        let answer = self.ask(script.as_bytes()).await?;
        Ok(match answer.body.rsplit(|it| *it == b'\n').find(|it| !it.is_empty()) {
            Some(b"gnu") => Style::Gnu,
            Some(b"bsd") => Style::Bsd,
            _ => Style::Posix,
        })
    }

    async fn ask(&mut self, script: &[u8]) -> Result<Answer, String> {
        let nonce = self.send(script.to_vec()).await?;
        self.answer(&nonce).await
    }

    /// Sends a request whose last command must end with a newline in `script`.
    async fn send(&mut self, mut script: Vec<u8>) -> Result<Nonce, String> {
        let nonce = Nonce::random();
        script.extend_from_slice(nonce.script().as_bytes());
        let write = async {
            self.stdin.write_all(&script).await?;
            self.stdin.flush().await
        };
        match tokio::time::timeout(ANSWER_LIMIT, write).await {
            Ok(Ok(())) => Ok(nonce),
            Ok(Err(error)) => Err(format!("the watching shell ended: {error}")),
            Err(_) => Err("the host takes no more input".into()),
        }
    }

    async fn answer(&mut self, nonce: &Nonce) -> Result<Answer, String> {
        let mut chunk = vec![0; 32 * 1024];
        loop {
            if let Some(answer) = self.answers.take(nonce)? {
                return Ok(answer);
            }
            match tokio::time::timeout(ANSWER_LIMIT, self.stdout.read(&mut chunk)).await {
                Ok(Ok(0)) => return Err("the watching shell ended".into()),
                Ok(Ok(n)) => self.answers.feed(&chunk[..n])?,
                Ok(Err(error)) => return Err(format!("the watching shell ended: {error}")),
                Err(_) => return Err("the host stopped answering".into()),
            }
        }
    }
}

struct File {
    path: HostPath,
    kind: Kind,
}

enum Kind {
    Appended(Cursor),
    Whole {
        /// What was last delivered.
        sent: Option<Vec<u8>>,
        /// What the host last said of the file.
        said: Option<Vec<u8>>,
        /// Whether to read it once more: a second change within the host's finest time step would
        /// leave no trace in what it says.
        again: bool,
    },
}

/// One read that was decided on.
struct Read {
    key: u64,
    script: Vec<u8>,
    /// Where the bytes belong; absent for a small file.
    at: Option<u64>,
}

/// Owns the channel and all that is known of the files.
struct Watching {
    channel: Channel,
    style: Style,
    files: BTreeMap<u64, File>,
    /// Who is to be told once nothing more waits; one per request, which wait in a bounded channel.
    syncs: Vec<u64>,
    frames: mpsc::Sender<Frame>,
}

/// The reader of the frames is gone, so nobody cares about what else happens.
const NOBODY: &str = "nobody reads";

impl Watching {
    async fn run(mut self, mut requests: mpsc::Receiver<FollowRequest>) -> Result<(), String> {
        loop {
            loop {
                match requests.try_recv() {
                    Ok(request) => self.apply(request),
                    Err(mpsc::error::TryRecvError::Empty) => break,
                    Err(mpsc::error::TryRecvError::Disconnected) => return Ok(()),
                }
            }
            let busy = !self.files.is_empty() && self.tick().await?;
            if busy {
                continue;
            }
            for key in std::mem::take(&mut self.syncs) {
                self.frames.send(Frame::Synced { key }).await.map_err(|_| NOBODY)?;
            }
            let pause = async {
                if self.files.is_empty() {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(TICK).await;
            };
            tokio::select! {
                request = requests.recv() => match request {
                    Some(request) => self.apply(request),
                    None => return Ok(()),
                },
                () = pause => {}
            }
        }
    }

    fn apply(&mut self, request: FollowRequest) {
        match request {
            FollowRequest::Add(key, Watch::Appended { path, from }) => {
                self.files.insert(key, File { path, kind: Kind::Appended(Cursor::new(from)) });
            }
            FollowRequest::Add(key, Watch::Whole { path }) => {
                let kind = Kind::Whole { sent: None, said: None, again: false };
                self.files.insert(key, File { path, kind });
            }
            FollowRequest::Remove(key) => {
                self.files.remove(&key);
            }
            FollowRequest::Sync(key) => self.syncs.push(key),
        }
    }

    /// Looks at every file once and delivers what is new. Returns whether more is known to wait.
    async fn tick(&mut self) -> Result<bool, String> {
        // With `stat` one question serves both kinds.
        let growing = self.look(false).await?;
        let small = match self.style {
            Style::Gnu | Style::Bsd => growing.clone(),
            Style::Posix => self.look(true).await?,
        };
        let mut reads = Vec::new();
        let mut busy = false;
        for (key, file) in &mut self.files {
            let path = quote::quote(file.path.as_str().as_bytes());
            match &mut file.kind {
                Kind::Appended(cursor) => {
                    let said = growing.get(file.path.as_str().as_bytes());
                    let seen = said.and_then(|it| self.style.seen(it));
                    match cursor.observe(seen) {
                        Step::Nothing => {}
                        Step::Restart => {
                            busy = true;
                            let frame = Frame::Truncated { key: *key };
                            self.frames.send(frame).await.map_err(|_| NOBODY)?;
                        }
                        Step::Read { at, len, more } => {
                            busy |= more;
                            let script = read_from(&path, at, len);
                            reads.push(Read { key: *key, script, at: Some(at) });
                        }
                    }
                }
                Kind::Whole { said: before, again, .. } => {
                    let said = small.get(file.path.as_str().as_bytes()).cloned();
                    let changed = said != *before;
                    if changed || *again {
                        *again = changed;
                        *before = said;
                        let script = read_from(&path, 0, WHOLE_MAX);
                        reads.push(Read { key: *key, script, at: None });
                    }
                }
            }
        }
        for batch in reads.chunks(READS_AT_ONCE) {
            self.read(batch).await?;
        }
        Ok(busy)
    }

    /// Asks what the host says of the files of one kind, or of both if one question will do.
    async fn look(&mut self, whole: bool) -> Result<HashMap<Vec<u8>, Vec<u8>>, String> {
        let all = self.style != Style::Posix;
        let wanted = |it: &&File| all || matches!(it.kind, Kind::Whole { .. }) == whole;
        let names: std::collections::BTreeSet<Vec<u8>> =
            self.files.values().filter(wanted).map(|it| it.path.as_str().into()).collect();
        let (odd, plain): (Vec<_>, Vec<_>) = names.into_iter().partition(|it| it.contains(&b'\n'));
        let command = self.style.command(whole);
        let mut said = HashMap::new();
        for script in commands(command, &plain) {
            let answer = self.channel.ask(&script).await?;
            for line in answer.body.split(|it| *it == b'\n') {
                if let Some((words, name)) = self.style.split(line) {
                    said.insert(name.to_vec(), words.to_vec());
                }
            }
        }
        // The lines of several such files could not be told apart, so each is asked for alone.
        for name in odd {
            for script in commands(command, std::slice::from_ref(&name)) {
                let answer = self.channel.ask(&script).await?;
                if let Some((words, _)) = self.style.split(&answer.body) {
                    said.insert(name.clone(), words.to_vec());
                }
            }
        }
        Ok(said)
    }

    async fn read(&mut self, batch: &[Read]) -> Result<(), String> {
        let mut nonces = Vec::new();
        for read in batch {
            nonces.push(self.channel.send(read.script.clone()).await?);
        }
        for (read, nonce) in batch.iter().zip(nonces) {
            let answer = self.channel.answer(&nonce).await?;
            let Some(file) = self.files.get_mut(&read.key) else { continue };
            let key = read.key;
            let frame = match (&mut file.kind, read.at) {
                (Kind::Appended(cursor), Some(offset)) if !answer.body.is_empty() => {
                    cursor.advance(answer.body.len());
                    Frame::Appended { key, offset, bytes: answer.body }
                }
                (Kind::Whole { sent, .. }, None) => {
                    let content = (answer.status == 0).then_some(answer.body);
                    if content == *sent {
                        continue;
                    }
                    sent.clone_from(&content);
                    Frame::Whole { key, bytes: content }
                }
                (Kind::Appended(_) | Kind::Whole { .. }, _) => continue,
            };
            self.frames.send(frame).await.map_err(|_| NOBODY)?;
        }
        Ok(())
    }
}

/// Returns the commands that ask about `names`, as few as their lengths allow.
fn commands(command: &str, names: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut scripts: Vec<Vec<u8>> = Vec::new();
    for name in names {
        let word = quote::quote(name);
        match scripts.last_mut() {
            Some(script) if script.len() + word.len() < NAMES_MAX => {
                script.push(b' ');
                script.extend(word);
            }
            _ => scripts.push([command.as_bytes(), b" ", &word].concat()),
        }
    }
    for script in &mut scripts {
        script.push(b'\n');
    }
    scripts
}

/// Returns the command that writes at most `len` bytes of a file from `at` on.
fn read_from(path: &[u8], at: u64, len: usize) -> Vec<u8> {
    let mut script = Vec::new();
    if at == 0 {
        script.extend_from_slice(format!("head -c {len} ").as_bytes());
        script.extend_from_slice(path);
    } else {
        script.extend_from_slice(format!("tail -c +{} ", at + 1).as_bytes());
        script.extend_from_slice(path);
        script.extend_from_slice(format!(" | head -c {len}").as_bytes());
    }
    script.push(b'\n');
    script
}
