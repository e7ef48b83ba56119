//! The lower waist: a machine as four verbs.
//!
//! Everything Parhelia does on a host goes through [`Shell`]: run a command, open a terminal, put
//! a file, get a file. Nothing above may assume that the host shares this process's file system,
//! process ids, environment, user or clock.
//!
//! [`Shell::follow`] is the one provided method: it watches files on the host over a single
//! long-lived command. The local shell overrides it with the kernel's own notifications; both
//! give the same frames.

pub mod follow;
pub mod local;
pub mod quote;

use std::{collections::BTreeMap, pin::Pin, time::Duration};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{domain::ids::HostPath, shell::follow::Follower};

/// A command as an argument vector: no shell sees it unless `argv[0]` is one.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Command {
    /// The program and its arguments: any bytes but NUL.
    pub argv: Vec<Vec<u8>>,
    /// Added to the environment the host gives. Never secrets: on some hosts this becomes part of
    /// a command line. Secrets travel by [`Shell::put`].
    pub env: BTreeMap<String, String>,
    /// Where it runs; the host's choice if absent.
    pub cwd: Option<HostPath>,
    /// What it reads before end of file; kept out of the argument vector.
    pub stdin: Vec<u8>,
    /// Whether it leads a session of its own where the host has one for it; see
    /// [`Command::in_background`].
    pub apart: bool,
}

/// Gives way to what else runs on the host: with its niceness, and where the kernel shares the
/// processor out by sessions first (`autogroup`, sched(7)), with that of its session. That is only
/// done to a session that has nothing else in it.
const GIVE_WAY: &str = r#"
if read -r it 2>/dev/null </proc/$$/stat; then
    case $it in
    *") "?" "*" $$ $$ "*) echo "$1" 2>/dev/null >/proc/$$/autogroup ;;
    esac
fi
exec nice -n "$@""#;

impl Command {
    /// Creates a command of `argv`.
    pub fn new<I, A>(argv: I) -> Command
    where
        I: IntoIterator<Item = A>,
        A: Into<Vec<u8>>,
    {
        Command { argv: argv.into_iter().map(Into::into).collect(), ..Command::default() }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<Vec<u8>>) -> Command {
        self.argv.push(arg.into());
        self
    }

    /// Sets where it runs.
    #[must_use]
    pub fn cwd(mut self, path: HostPath) -> Command {
        self.cwd = Some(path);
        self
    }

    /// Adds a variable that is no secret.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Command {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sets what it reads.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Command {
        self.stdin = bytes.into();
        self
    }

    /// Makes it one that nobody waits for, so that it gives way to all that runs on the host:
    /// `nice` is how much, from 1 to 19 as nice(1) has it.
    #[must_use]
    pub fn in_background(mut self, nice: u8) -> Command {
        let words = ["sh", "-c", GIVE_WAY, "background", &nice.to_string()];
        self.argv.splice(0..0, words.map(|it| it.as_bytes().to_vec()));
        self.apart = true;
        self
    }

    /// Returns the command as a person would type it, for error messages and `--dry-run`.
    pub fn display(&self) -> String {
        let words: Vec<String> = self
            .argv
            .iter()
            .map(|it| String::from_utf8_lossy(&quote::quote(it)).into_owned())
            .collect();
        words.join(" ")
    }
}

/// Leaves out the input, which may be a prompt or a secret.
impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Command({})", self.display())
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Its status; 128 + n if signal n ended it.
    pub code: i32,
}

/// A running command with its streams. Dropping it ends the command.
pub struct Process {
    /// Its standard input.
    pub stdin: Pin<Box<dyn AsyncWrite + Send>>,
    /// Its standard output.
    pub stdout: Pin<Box<dyn AsyncRead + Send>>,
    /// Its standard error.
    pub stderr: Pin<Box<dyn AsyncRead + Send>>,
    /// Resolves when it has ended. Dropping this future ends the command.
    pub exit: BoxFuture<'static, Result<Exit, ShellError>>,
}

/// Columns and rows of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub cols: u16,
    /// Rows.
    pub rows: u16,
}

/// A command on a terminal of its own. Dropping it hangs the terminal up.
pub struct Pty {
    /// What the command writes.
    pub output: Pin<Box<dyn AsyncRead + Send>>,
    /// What it reads.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
    /// Gives it a new size, which reaches the command as SIGWINCH. What is written to `input` once
    /// this has resolved is read by a command that has the new size.
    pub resize: Box<dyn Fn(Size) -> BoxFuture<'static, ()> + Send + Sync>,
    /// Resolves when the command has ended.
    pub exit: BoxFuture<'static, Result<Exit, ShellError>>,
}

/// Why a host could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ShellError {
    /// The host does not answer: nothing is known of what it does.
    #[error("{host} does not answer: {detail}")]
    Unreachable {
        /// The host.
        host: String,
        /// What was tried.
        detail: String,
    },
    /// The command took longer than its deadline and was ended.
    #[error("`{command}` took longer than {}s on {host}", limit.as_secs())]
    Deadline {
        /// The host.
        host: String,
        /// The command.
        command: String,
        /// The deadline.
        limit: Duration,
    },
    /// The host has no such program.
    #[error("{host} has no program `{program}`")]
    NoProgram {
        /// The host.
        host: String,
        /// The program.
        program: String,
    },
    /// A file could not be read or written.
    #[error("failed to {verb} {path} on {host}: {detail}")]
    File {
        /// The host.
        host: String,
        /// What was tried.
        verb: &'static str,
        /// The file.
        path: HostPath,
        /// What went wrong, in the host's words.
        detail: String,
    },
    /// Anything else.
    #[error("{host}: {detail}")]
    Other {
        /// The host.
        host: String,
        /// What went wrong.
        detail: String,
    },
}

/// A machine as four verbs.
#[async_trait]
pub trait Shell: Send + Sync + 'static {
    /// Returns the host's name, for messages.
    fn host(&self) -> &str;

    /// Starts a command; its streams are the caller's. `command.stdin` is *not* written: see
    /// [`run`].
    async fn exec(&self, command: &Command) -> Result<Process, ShellError>;

    /// Starts a command on a new terminal of `size`, with `TERM` from `command.env`.
    async fn open_pty(&self, command: &Command, size: Size) -> Result<Pty, ShellError>;

    /// Writes a file whole: readers see the old content or the new one. Makes missing parent
    /// directories (0700). `mode` is the file's permission bits.
    async fn put(&self, path: &HostPath, bytes: &[u8], mode: u32) -> Result<(), ShellError>;

    /// Reads at most `max` bytes of a file from `offset`; nothing if there is no such file.
    async fn get(
        &self,
        path: &HostPath,
        offset: u64,
        max: usize,
    ) -> Result<Option<Vec<u8>>, ShellError>;

    /// Returns where this very program can be run on the host: nothing if it is not there, which is
    /// what all but this machine say.
    fn program(&self) -> Option<HostPath> {
        None
    }

    /// Opens the host's follower: one long-lived channel for every file that is watched.
    async fn follow(&self) -> Result<Follower, ShellError> {
        follow::over_exec(self).await
    }
}

/// What a command left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its status.
    pub code: i32,
    /// What it wrote.
    pub stdout: Vec<u8>,
    /// What it complained of.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Returns the output as text without its last newline.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end_matches('\n').to_owned()
    }

    /// Returns the complaint as one line.
    pub fn complaint(&self) -> String {
        crate::stdx::text::one_line(&String::from_utf8_lossy(&self.stderr), 400)
    }
}

/// The most output [`run`] keeps of a command, in bytes; what comes after is read and dropped.
pub const OUTPUT_MAX: usize = 64 * 1024 * 1024;

/// Runs a command to its end: writes `command.stdin`, collects both outputs.
///
/// # Errors
///
/// [`ShellError::Deadline`] if it takes longer than `limit`; it is ended then. A status other than
/// zero is not an error.
pub async fn run(
    shell: &dyn Shell,
    command: &Command,
    limit: Duration,
) -> Result<Output, ShellError> {
    let work = async {
        let Process { mut stdin, stdout, stderr, exit } = shell.exec(command).await?;
        let feed = async move {
            // A command that ends without reading all of its input is not an error.
            let _ = stdin.write_all(&command.stdin).await;
            let _ = stdin.shutdown().await;
            drop(stdin);
        };
        let ((), out, err, exit) = tokio::join!(feed, drain(stdout), drain(stderr), exit);
        Ok(Output { code: exit?.code, stdout: out, stderr: err })
    };
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(ShellError::Deadline {
            host: shell.host().to_owned(),
            command: crate::stdx::text::one_line(&command.display(), 200),
            limit,
        }),
    }
}

async fn drain(mut stream: Pin<Box<dyn AsyncRead + Send>>) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = stream.read(&mut chunk).await {
        let room = OUTPUT_MAX.saturating_sub(kept.len()).min(n);
        kept.extend_from_slice(&chunk[..room]);
    }
    kept
}
