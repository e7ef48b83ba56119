//! This machine.
//!
//! Commands run in process groups of their own, so a Ctrl-C typed at the dispatcher's terminal
//! does not reach them, and ending one ends what it started as well. Those that give way to others
//! have sessions of their own, since Linux shares the processor out by sessions first.

mod pty;
mod watch;

#[cfg(test)]
mod tests;

use std::{
    ffi::{OsStr, OsString},
    io::{ErrorKind, Read, Seek, SeekFrom, Write},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
        process::ExitStatusExt,
    },
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::OnceLock,
};

use async_trait::async_trait;
use rustix::process::{Pid, Signal};
use tokio::process::Child;

use crate::{
    domain::ids::HostPath,
    shell::{Command, Exit, Process, Pty, Shell, ShellError, Size, follow::Follower},
    stdx::random,
};

/// Variables that children do not inherit: those of a surrounding tmux, which would make a tmux of
/// ours talk to it, and those by which a Claude would take itself for the child of another.
pub const NOT_INHERITED: [&str; 6] = [
    "TMUX",
    "TMUX_PANE",
    "CLAUDECODE",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_PID",
];

/// This machine as a [`Shell`].
#[derive(Clone, Debug)]
pub struct LocalShell {
    host: String,
    program: Option<HostPath>,
}

impl LocalShell {
    /// Creates a shell of this machine, which messages call `this machine`.
    pub fn new() -> LocalShell {
        LocalShell { host: "this machine".into(), program: None }
    }

    /// Lets commands run this process's own program, which must be Parhelia.
    #[must_use]
    pub fn with_program(mut self) -> LocalShell {
        // This names the program that runs even when another was put in its place since.
        let own = format!("/proc/{}/exe", std::process::id());
        let own = Some(PathBuf::from(own)).filter(|it| it.exists());
        let path = own.or_else(|| std::env::current_exe().ok());
        self.program = path.and_then(|it| HostPath::new(it.to_str()?).ok());
        self
    }

    /// Lets commands run another program as if it were this one.
    #[cfg(test)]
    #[must_use]
    pub fn with_program_at(mut self, path: HostPath) -> LocalShell {
        self.program = Some(path);
        self
    }

    fn other(&self, error: impl std::fmt::Display) -> ShellError {
        ShellError::Other { host: self.host.clone(), detail: error.to_string() }
    }

    fn file_error(
        &self,
        verb: &'static str,
        path: &HostPath,
        error: &std::io::Error,
    ) -> ShellError {
        ShellError::File {
            host: self.host.clone(),
            verb,
            path: path.clone(),
            detail: error.to_string(),
        }
    }

    /// Returns why `command` did not start. A missing directory and a missing program look the
    /// same to the kernel, so the directory is looked at.
    fn spawn_error(&self, command: &Command, error: &std::io::Error) -> ShellError {
        if let Some(cwd) = &command.cwd
            && !Path::new(cwd.as_str()).is_dir()
        {
            return self.file_error("enter", cwd, error);
        }
        let program = command.argv.first().map(|it| String::from_utf8_lossy(it).into_owned());
        match (error.kind(), program) {
            (ErrorKind::NotFound, Some(program)) => {
                ShellError::NoProgram { host: self.host.clone(), program }
            }
            (_, program) => {
                self.other(format!("failed to start `{}`: {error}", program.unwrap_or_default()))
            }
        }
    }

    fn argv(&self, command: &Command) -> Result<Vec<OsString>, ShellError> {
        if command.argv.is_empty() {
            return Err(self.other("the command is empty"));
        }
        Ok(command.argv.iter().map(|it| OsString::from_vec(it.clone())).collect())
    }
}

impl Default for LocalShell {
    fn default() -> LocalShell {
        LocalShell::new()
    }
}

#[async_trait]
impl Shell for LocalShell {
    fn host(&self) -> &str {
        &self.host
    }

    fn program(&self) -> Option<HostPath> {
        self.program.clone()
    }

    async fn exec(&self, command: &Command) -> Result<Process, ShellError> {
        let mut argv = self.argv(command)?;
        // As the leader of no group it becomes that of a session, and keeps its id.
        let apart = command.apart.then(setsid).flatten();
        argv.splice(0..0, apart.map(|it| it.as_os_str().to_owned()));
        #[expect(clippy::disallowed_methods, reason = "this is what runs commands on this machine")]
        let mut builder = tokio::process::Command::new(&argv[0]);
        builder
            .args(&argv[1..])
            .envs(&command.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if apart.is_none() {
            builder.process_group(0);
        }
        for name in NOT_INHERITED.iter().filter(|it| !command.env.contains_key(**it)) {
            builder.env_remove(name);
        }
        if let Some(cwd) = &command.cwd {
            builder.current_dir(cwd.as_str());
        }
        let mut child = builder.spawn().map_err(|it| self.spawn_error(command, &it))?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(self.other("the command has no streams"));
        };
        let mut group = Group { child };
        let host = self.host.clone();
        Ok(Process {
            stdin: Box::pin(stdin),
            stdout: Box::pin(stdout),
            stderr: Box::pin(stderr),
            exit: Box::pin(async move {
                let status = group
                    .child
                    .wait()
                    .await
                    .map_err(|it| ShellError::Other { host, detail: it.to_string() })?;
                Ok(exit_of(status))
            }),
        })
    }

    async fn open_pty(&self, command: &Command, size: Size) -> Result<Pty, ShellError> {
        pty::open(self, command, size)
    }

    async fn put(&self, path: &HostPath, bytes: &[u8], mode: u32) -> Result<(), ShellError> {
        let (target, bytes) = (PathBuf::from(path.as_str()), bytes.to_vec());
        tokio::task::spawn_blocking(move || put_file(&target, &bytes, mode))
            .await
            .map_err(|it| self.other(it))?
            .map_err(|it| self.file_error("write", path, &it))
    }

    async fn get(
        &self,
        path: &HostPath,
        offset: u64,
        max: usize,
    ) -> Result<Option<Vec<u8>>, ShellError> {
        let target = PathBuf::from(path.as_str());
        tokio::task::spawn_blocking(move || get_file(&target, offset, max))
            .await
            .map_err(|it| self.other(it))?
            .map_err(|it| self.file_error("read", path, &it))
    }

    async fn follow(&self) -> Result<Follower, ShellError> {
        Ok(watch::start())
    }
}

/// Follows files with the kernel's notifications switched off.
#[cfg(test)]
pub(super) fn follow_slowly() -> Follower {
    watch::start_blind()
}

/// Returns where setsid(1) is, if this machine has one.
fn setsid() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|it| it.join("setsid")).find(|it| it.is_file())
    };
    FOUND.get_or_init(find).as_deref()
}

/// A child and all it started. Dropping it before the child has ended kills the group.
struct Group {
    child: Child,
}

impl Drop for Group {
    fn drop(&mut self) {
        // There is an id only until the child is reaped, so it cannot have been given away.
        if let Some(pid) = self.child.id() {
            signal_group(pid, Signal::KILL);
        }
    }
}

/// Signals the process group led by `pid`. That it is gone already is what was wanted.
fn signal_group(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process_group(pid, signal);
    }
}

fn exit_of(status: ExitStatus) -> Exit {
    Exit { code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)) }
}

fn put_file(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let dir = path.parent().ok_or(ErrorKind::InvalidInput)?;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let temp = dir.join(OsStr::from_bytes(format!(".ph-{}", random::base32(12)).as_bytes()));
    let written = write_new(&temp, bytes, mode).and_then(|()| std::fs::rename(&temp, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&temp);
    }
    written
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    // The umask may have taken bits away; it never adds any, so nobody could look in meanwhile.
    if file.metadata()?.permissions().mode() & 0o7777 != mode {
        file.set_permissions(std::fs::Permissions::from_mode(mode))?;
    }
    file.write_all(bytes)
}

/// Opens a file to read it, without waiting for a writer if it turns out to be a pipe.
fn open_to_read(path: &Path) -> std::io::Result<Option<std::fs::File>> {
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    match std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn get_file(path: &Path, offset: u64, max: usize) -> std::io::Result<Option<Vec<u8>>> {
    let Some(mut file) = open_to_read(path)? else { return Ok(None) };
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(u64::try_from(max).unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}
