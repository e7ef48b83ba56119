//! This machine as another user: a second [`Shell`], for what must not assume to be at home.
//!
//! It shares no home, no environment and no user id with the tests. As with a remote host, there
//! is one connection: the input of one `sh` that another user logged in to. Each command is a
//! line on it and runs as that `sh`'s child; its streams are named pipes.
//!
//! Needs root, and the user that `tests/run` creates.

use std::{
    ffi::OsStr,
    fmt::Write as _,
    fs,
    future::ready,
    io::{self, BufRead, Write as _},
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, chown},
        process::ExitStatusExt,
    },
    path::{Path, PathBuf},
    pin::Pin,
    process::{Child, ChildStdin, Command as StdCommand, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::FutureExt;
use parhelia::{
    domain::ids::HostPath,
    shell::{self, Command, Exit, Process, Pty, Shell, ShellError, Size, quote},
};
use rustix::{
    fs::{CWD, FileType, Mode, OFlags},
    pty::OpenptFlags,
    termios::Winsize,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::unix::pipe,
};

use crate::support::leftovers;

/// The user; `tests/run` creates it.
pub const USER: &str = "parhelia-test";

const HOST: &str = "other-user";

/// How long a command may take to start, and a file to be moved.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs one command: pipes, directory, program, then its status on the control pipe.
/// `@exports@` is replaced by the added environment.
const RUN: &str = r#"
exec 3>"$1.ctl" <"$1.in" >"$1.out" 2>"$1.err" || exit
[ -z "$2" ] || cd -- "$2" 2>/dev/null || { echo nodir >&3; exit; }
shift 2
@exports@
command -v "$1" >/dev/null 2>&1 || { echo noprogram >&3; exit; }
echo started >&3
env -- "$@" 3>&-
echo "exit $?" >&3
"#;

const PUT: &str = r#"
umask 077
dir=${1%/*}
mkdir -p -- "${dir:-/}" || exit 1
tmp=$dir/.put.$$
trap 'rm -f -- "$tmp"' EXIT
cat >"$tmp" && [ "$(wc -c <"$tmp")" -eq "$3" ] && chmod "$2" "$tmp" || exit 1
[ ! -d "$1" ] || { echo "is a directory" >&2; exit 1; }
mv -f -- "$tmp" "$1"
"#;

const GET: &str = r#"
[ -e "$1" ] || exit 44
[ ! -d "$1" ] || { echo "is a directory" >&2; exit 1; }
[ -r "$1" ] || { echo "permission denied" >&2; exit 1; }
tail -c "+$2" -- "$1" | head -c "$3"
"#;

/// The other user's machine. Dropping it closes the connection.
pub struct OtherUser {
    connection: Arc<Connection>,
    login: Child,
    home: HostPath,
    uid: u32,
    dir: tempfile::TempDir,
    next: AtomicU64,
}

/// The input of the one `sh`.
struct Connection(Mutex<Option<ChildStdin>>);

impl Connection {
    fn send(&self, line: &[u8]) -> io::Result<()> {
        let mut input = self.0.lock().unwrap();
        let input = input.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        input.write_all(line)?;
        input.write_all(b"\n")
    }
}

impl OtherUser {
    /// Logs in.
    ///
    /// # Panics
    ///
    /// If the tests do not run as root, or the user is missing.
    pub fn start() -> OtherUser {
        assert!(
            rustix::process::geteuid().is_root(),
            "a test that acts as another user must run as root"
        );
        let id = StdCommand::new("id").args(["-u", USER]).output().unwrap();
        let uid = String::from_utf8_lossy(&id.stdout).trim().parse().unwrap_or_else(|_| {
            panic!("there is no user {USER} on this machine; `tests/run` creates it")
        });
        let dir = tempfile::Builder::new().prefix("ph-other-").tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
        // Tests share the user, so each has a tmux server of its own; this is also what marks the
        // commands as the test's.
        let tmux = dir.path().join("tmux");
        fs::create_dir(&tmux).unwrap();
        chown(&tmux, Some(uid), None).unwrap();
        let mut login = login(&["-c", &format!("{} exec sh", marking(dir.path()))]);
        login.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut login = login.spawn().expect("runuser starts");
        let mut input = login.stdin.take().expect("it is a pipe");
        input.write_all(b"printf '%s\\n' \"$HOME\"; exec >/dev/null\n").unwrap();
        let output = login.stdout.take().expect("it is a pipe");
        let mut home = String::new();
        // Not to the end: `runuser` itself keeps the pipe open.
        io::BufReader::new(output).read_line(&mut home).unwrap();
        let home = HostPath::new(home.trim_end()).expect("a login sets HOME");
        let connection = Arc::new(Connection(Mutex::new(Some(input))));
        OtherUser { connection, login, home, uid, dir, next: AtomicU64::new(0) }
    }

    /// Returns the user's home directory.
    pub fn home(&self) -> &HostPath {
        &self.home
    }

    /// Returns the process id of the login, to look at its children.
    pub fn pid(&self) -> u32 {
        self.login.id()
    }

    /// Cuts the connection: what runs is lost sight of, and nothing more can be started.
    pub fn cut(&self) {
        *self.connection.0.lock().unwrap() = None;
    }

    fn unreachable(err: &io::Error) -> ShellError {
        ShellError::Unreachable { host: HOST.into(), detail: err.to_string() }
    }

    fn terminal(&self, command: &Command, size: Size) -> io::Result<Pty> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags)?;
        rustix::pty::grantpt(&master)?;
        rustix::pty::unlockpt(&master)?;
        let name = rustix::pty::ptsname(&master, Vec::new())?;
        let name = name.to_str().map_err(io::Error::other)?.to_owned();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let terminal = rustix::fs::open(&name, flags, Mode::empty())?;
        chown(&name, Some(self.uid), None)?;
        rustix::termios::tcsetwinsize(&terminal, winsize(size))?;
        rustix::io::ioctl_fionbio(&master, true)?;

        let cwd = command.cwd.as_ref().map_or_else(Vec::new, |it| {
            [b"cd -- ".as_slice(), &quote::quote(it.as_str().as_bytes()), b" || exit\n"].concat()
        });
        let argv = quote::join(command.argv.iter().map(Vec::as_slice));
        let marking = marking(self.dir.path());
        let text = [marking.as_bytes(), &cwd, exports(command).as_bytes(), b"exec env -- ", &argv]
            .concat();
        // `-c` would start a session without this terminal; `--session-command` stays in this one.
        let run = login(&["--session-command"]);
        let mut setsid = StdCommand::new("setsid");
        setsid.arg("--ctty").arg(run.get_program()).args(run.get_args());
        setsid.arg(OsStr::from_bytes(&text));
        setsid.env_clear().envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
        setsid.env("TERM", command.env.get("TERM").map_or("dumb", String::as_str));
        setsid.stdin(terminal.try_clone()?).stdout(terminal.try_clone()?).stderr(terminal);
        let mut child = tokio::process::Command::from(setsid).kill_on_drop(true).spawn()?;

        let output = pipe::Receiver::from_owned_fd_unchecked(master.try_clone()?)?;
        let input = pipe::Sender::from_owned_fd_unchecked(master.try_clone()?)?;
        let resize = Box::new(move |size| {
            let _ = rustix::termios::tcsetwinsize(&master, winsize(size));
            ready(()).boxed()
        });
        let exit = async move {
            // Dropping this ends the session's leader, at which the terminal hangs up.
            let status = child.wait().await.map_err(|err| OtherUser::unreachable(&err))?;
            let signal = status.signal().unwrap_or_default();
            Ok(Exit { code: status.code().unwrap_or(128 + signal) })
        };
        let (output, input) = (Box::pin(Terminal(output)), Box::pin(Input(Some(input))));
        Ok(Pty { output, input, resize, exit: Box::pin(exit) })
    }

    async fn file(
        &self,
        verb: &'static str,
        path: &HostPath,
        command: Command,
    ) -> Result<shell::Output, ShellError> {
        let output = shell::run(self, &command, LIMIT).await?;
        match output.code {
            0 | 44 => Ok(output),
            _ => Err(ShellError::File {
                host: HOST.into(),
                verb,
                path: path.clone(),
                detail: output.complaint(),
            }),
        }
    }
}

impl Drop for OtherUser {
    fn drop(&mut self) {
        self.cut();
        leftovers::kill_those_of(self.dir.path());
        let _ = self.login.wait();
    }
}

#[async_trait]
impl Shell for OtherUser {
    fn host(&self) -> &'static str {
        HOST
    }

    async fn exec(&self, command: &Command) -> Result<Process, ShellError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let base = self.dir.path().join(number.to_string());
        let pipes = Pipes::make(&base).map_err(|err| OtherUser::unreachable(&err))?;
        let guard = Guard { connection: Arc::clone(&self.connection), number, armed: true };
        self.connection
            .send(&line(number, &base, command))
            .map_err(|err| OtherUser::unreachable(&err))?;
        let started = tokio::time::timeout(LIMIT, pipes.start()).await;
        let started = started.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let (word, streams) = started.map_err(|err| OtherUser::unreachable(&err))?;
        match word.as_str() {
            "started" => Ok(streams.into_process(guard)),
            "noprogram" => Err(ShellError::NoProgram {
                host: HOST.into(),
                program: command
                    .argv
                    .first()
                    .map(|it| String::from_utf8_lossy(it).into_owned())
                    .unwrap_or_default(),
            }),
            "nodir" => Err(ShellError::Other {
                host: HOST.into(),
                detail: format!("cannot enter {}", command.cwd.as_ref().expect("it was given")),
            }),
            other => Err(ShellError::Other { host: HOST.into(), detail: other.to_owned() }),
        }
    }

    async fn open_pty(&self, command: &Command, size: Size) -> Result<Pty, ShellError> {
        self.terminal(command, size).map_err(|err| OtherUser::unreachable(&err))
    }

    async fn put(&self, path: &HostPath, bytes: &[u8], mode: u32) -> Result<(), ShellError> {
        let command = Command::new(["sh", "-c", PUT, "put", path.as_str()])
            .arg(format!("{mode:o}"))
            .arg(bytes.len().to_string())
            .stdin(bytes);
        self.file("write", path, command).await.map(|_| ())
    }

    async fn get(
        &self,
        path: &HostPath,
        offset: u64,
        max: usize,
    ) -> Result<Option<Vec<u8>>, ShellError> {
        let command = Command::new(["sh", "-c", GET, "get", path.as_str()])
            .arg((offset + 1).to_string())
            .arg(max.to_string());
        let output = self.file("read", path, command).await?;
        Ok((output.code == 0).then_some(output.stdout))
    }
}

/// Returns `runuser` with a login of the user and nothing of this environment.
fn login(args: &[&str]) -> StdCommand {
    let mut command = StdCommand::new("runuser");
    command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command.args(["-l", USER]).args(args).current_dir("/");
    command
}

/// Returns what every command of a test has in its environment.
fn marking(dir: &Path) -> String {
    format!("export TMUX_TMPDIR={}/tmux;", dir.display())
}

/// Returns the line that runs a command.
fn line(number: u64, base: &Path, command: &Command) -> Vec<u8> {
    let script = RUN.replace("@exports@", &exports(command));
    let cwd = command.cwd.as_ref().map_or("", HostPath::as_str);
    let base = base.to_str().expect("the temporary directory is UTF-8");
    let head = ["setsid", "sh", "-c", script.as_str(), "sh", base, cwd];
    let words = head.iter().map(|it| it.as_bytes()).chain(command.argv.iter().map(Vec::as_slice));
    let mut line = quote::join(words);
    line.extend_from_slice(format!(" & P{number}=$!").as_bytes());
    line
}

fn exports(command: &Command) -> String {
    let mut out = String::new();
    for (name, value) in &command.env {
        let value = String::from_utf8(quote::quote(value.as_bytes())).expect("it was UTF-8");
        writeln!(out, "export {name}={value}").expect("a string takes everything");
    }
    out
}

/// Ends a command's whole process group unless it has ended.
struct Guard {
    connection: Arc<Connection>,
    number: u64,
    armed: bool,
}

impl Guard {
    fn disarm(&mut self) {
        self.armed = false;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.armed {
            let n = self.number;
            let line = format!("kill -KILL -$P{n} $P{n} 2>/dev/null");
            let _ = self.connection.send(line.as_bytes());
        }
    }
}

/// The four pipes of a command before it has started, open at both ends so that neither side
/// waits for the other. The files go with this.
struct Pipes {
    base: PathBuf,
    control: pipe::Receiver,
    _held: (pipe::Sender, pipe::Receiver, pipe::Receiver),
}

const ENDS: [&str; 4] = ["in", "out", "err", "ctl"];

impl Pipes {
    fn make(base: &Path) -> io::Result<Pipes> {
        for end in ENDS {
            let path = base.with_extension(end);
            rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o666))?;
        }
        let mut both = pipe::OpenOptions::new();
        both.read_write(true);
        Ok(Pipes {
            base: base.to_owned(),
            control: both.open_receiver(base.with_extension("ctl"))?,
            _held: (
                both.open_sender(base.with_extension("in"))?,
                both.open_receiver(base.with_extension("out"))?,
                both.open_receiver(base.with_extension("err"))?,
            ),
        })
    }

    /// Returns the first word on the control pipe, and the streams, by then with one end here and
    /// the other there, so that each side sees the other close.
    async fn start(mut self) -> io::Result<(String, Streams)> {
        let mut said = Vec::new();
        while !said.contains(&b'\n') {
            self.control.read_buf(&mut said).await?;
        }
        let end = said.iter().position(|it| *it == b'\n').expect("it is there");
        let rest = said.split_off(end + 1);
        let word = String::from_utf8_lossy(&said[..end]).into_owned();
        let one = pipe::OpenOptions::new();
        let streams = Streams {
            stdin: one.open_sender(self.base.with_extension("in"))?,
            stdout: one.open_receiver(self.base.with_extension("out"))?,
            stderr: one.open_receiver(self.base.with_extension("err"))?,
            control: one.open_receiver(self.base.with_extension("ctl"))?,
            rest,
        };
        Ok((word, streams))
    }
}

impl Drop for Pipes {
    fn drop(&mut self) {
        for end in ENDS {
            let _ = fs::remove_file(self.base.with_extension(end));
        }
    }
}

struct Streams {
    stdin: pipe::Sender,
    stdout: pipe::Receiver,
    stderr: pipe::Receiver,
    control: pipe::Receiver,
    rest: Vec<u8>,
}

impl Streams {
    fn into_process(self, mut guard: Guard) -> Process {
        let Streams { stdin, stdout, stderr, mut control, rest: mut said } = self;
        let exit = async move {
            control.read_to_end(&mut said).await.map_err(|err| OtherUser::unreachable(&err))?;
            let said = String::from_utf8_lossy(&said).into_owned();
            let code = said.trim_end().strip_prefix("exit ").and_then(|it| it.parse().ok());
            let code =
                code.ok_or_else(|| OtherUser::unreachable(&io::ErrorKind::BrokenPipe.into()))?;
            guard.disarm();
            Ok(Exit { code })
        };
        Process {
            stdin: Box::pin(Input(Some(stdin))),
            stdout: Box::pin(stdout),
            stderr: Box::pin(stderr),
            exit: Box::pin(exit),
        }
    }
}

/// The input of a command: end of file by `shutdown` too, not only by dropping it.
struct Input(Option<pipe::Sender>);

impl AsyncWrite for Input {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Some(pipe) => Pin::new(pipe).poll_write(cx, bytes),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0 = None;
        Poll::Ready(Ok(()))
    }
}

fn winsize(size: Size) -> Winsize {
    Winsize { ws_col: size.cols, ws_row: size.rows, ws_xpixel: 0, ws_ypixel: 0 }
}

/// What a terminal shows.
struct Terminal(pipe::Receiver);

impl AsyncRead for Terminal {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let closed = Some(rustix::io::Errno::IO.raw_os_error());
        match ready!(Pin::new(&mut self.0).poll_read(cx, buf)) {
            // What a terminal says once nobody has its other end.
            Err(err) if err.raw_os_error() == closed => Poll::Ready(Ok(())),
            result => Poll::Ready(result),
        }
    }
}
