//! From a command to a dispatcher: connects, and starts one where none listens.
//!
//! However many commands race, one starts it: they queue on a lock file in the runtime directory
//! and look again once they hold it. The dispatcher itself holds the state directory, so even a
//! command that ignored the lock could not make a second one.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::UnixStream,
    time::{Instant, sleep, timeout},
};

use crate::{
    api::{
        REVISION, VERSION,
        client::Client,
        error::{ApiError, ErrorKind},
        types::VersionInfo,
    },
    cli::{
        out::{Answer, Out},
        setup::{RELATIVE_PATHS, Setup},
    },
    stdx::{backoff::Backoff, text::printable},
};

/// The word the dispatcher says on stdout when it listens.
pub const READY: &str = "ready";

/// Longest wait for that word. Opening a large store after a crash takes a second or two.
const READY_LIMIT: Duration = Duration::from_secs(10);

/// Longest wait for another command that is starting the dispatcher: its own limit and a bit.
const LOCK_LIMIT: Duration = Duration::from_secs(12);

/// Longest wait for a dispatcher that was told to end: it lets running commands finish.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// How often, and how soon, another start is tried where one failed: within 1.5 s in all.
const SPAWNS_MAX: u32 = 4;
const LET_GO: Backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(1) };

/// How often something is looked at again while a person waits.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A log longer than this is set aside when the dispatcher starts, in bytes.
const LOG_MAX: u64 = 5 * 1024 * 1024;

/// The most of the log's end that is shown when the dispatcher died at once, in lines.
const LOG_SHOWN: usize = 5;

/// Connects to the dispatcher, starting it if need be.
///
/// # Errors
///
/// If it cannot be started, or is of another revision and the person does not want a restart.
pub async fn connect(setup: &Setup, out: &Out) -> Result<Client, ApiError> {
    if !listens(&setup.dirs.socket).await {
        start(setup).await?;
    }
    let socket = &setup.dirs.socket;
    let (client, info) = match Client::connect_any(socket).await {
        // One that was just being killed took the call and did not live to answer it.
        Err(it) if it.kind == ErrorKind::Dispatcher && !listens(socket).await => {
            start(setup).await?;
            Client::connect_any(socket).await?
        }
        connected => connected?,
    };
    if info.revision == REVISION {
        return Ok(client);
    }
    let error = Client::mismatch(&info);
    if !out.can_ask() {
        return Err(error);
    }
    out.error(&error);
    if !out.ask(&format!("Restart it as {VERSION}? Tasks keep running."), Answer::Yes) {
        return Err(error);
    }
    stop(setup).await?;
    start(setup).await?;
    Client::connect(&setup.dirs.socket).await.map(|(client, _)| client)
}

/// Connects only if a dispatcher listens, whatever its revision.
pub async fn connect_running(setup: &Setup) -> Result<Option<(Client, VersionInfo)>, ApiError> {
    if !listens(&setup.dirs.socket).await {
        return Ok(None);
    }
    Client::connect_any(&setup.dirs.socket).await.map(Some)
}

/// Tells whether anything listens. Whether it is the right thing is the client's to check.
async fn listens(socket: &Path) -> bool {
    match UnixStream::connect(socket).await {
        Ok(_) => true,
        Err(it) => !matches!(it.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused),
    }
}

/// Starts the dispatcher in the background and waits until it listens.
pub async fn start(setup: &Setup) -> Result<(), ApiError> {
    prepare(setup)?;
    let lock = take_lock(&setup.dirs.runtime.join("start.lock")).await?;
    if listens(&setup.dirs.socket).await {
        return Ok(());
    }
    let mut failures = 0;
    let result = loop {
        match spawn(setup).await {
            // One that was told to end stops listening before it lets go of the store.
            Ok(Said::No(it)) if it.kind == ErrorKind::Dispatcher && failures < SPAWNS_MAX => {
                failures += 1;
                sleep(LET_GO.after(failures)).await;
                if listens(&setup.dirs.socket).await {
                    break Ok(());
                }
            }
            Ok(Said::No(it)) | Err(it) => break Err(it),
            Ok(Said::Ready) => break Ok(()),
        }
    };
    drop(lock);
    result
}

/// Ends the dispatcher that runs, and returns which it was.
pub async fn stop(setup: &Setup) -> Result<Option<VersionInfo>, ApiError> {
    let Some((client, info)) = connect_running(setup).await? else { return Ok(None) };
    if client.shutdown().await.is_err() {
        // It may be too old or too new for the request; the signal means the same to all.
        let pid = i32::try_from(info.pid).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }
    let deadline = Instant::now() + STOP_LIMIT;
    // It lets go of the store only after it stopped listening.
    while listens(&setup.dirs.socket).await || lives(info.pid) {
        if deadline < Instant::now() {
            return Err(ApiError::new(
                ErrorKind::Dispatcher,
                format!("the dispatcher (pid {}) has not ended after 10 s", info.pid),
            )
            .hint("parhelia daemon logs says what it waits for"));
        }
        sleep(LOOK_AGAIN).await;
    }
    Ok(Some(info))
}

/// Tells whether a process runs; one that has ended and waits for its parent does not.
fn lives(pid: u32) -> bool {
    let Some(id) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else {
        return false;
    };
    let ended =
        |stat: String| stat.rsplit_once(") ").is_some_and(|it| it.1.starts_with(['Z', 'X']));
    rustix::process::test_kill_process(id).is_ok()
        && !std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(ended)
}

async fn take_lock(path: &Path) -> Result<File, ApiError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
        .open(path)
        .map_err(|it| cannot("open", path, &it))?;
    let deadline = Instant::now() + LOCK_LIMIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(LOOK_AGAIN).await,
            Err(TryLockError::WouldBlock) => {
                return Err(ApiError::new(
                    ErrorKind::Dispatcher,
                    "another command has been starting the dispatcher for 12 s",
                )
                .hint("parhelia daemon logs"));
            }
            Err(TryLockError::Error(it)) => return Err(cannot("lock", path, &it)),
        }
    }
}

/// Makes the directories of socket and store, or checks the ones that are there.
///
/// # Errors
///
/// If one is another user's, or others can write to it: they could put a socket in our place.
pub fn prepare(setup: &Setup) -> Result<(), ApiError> {
    own_directory(&setup.dirs.state)?;
    own_directory(&setup.dirs.runtime)?;
    // Under /tmp anyone may have put a link there.
    let meta = std::fs::symlink_metadata(&setup.dirs.runtime)
        .map_err(|it| cannot("look at", &setup.dirs.runtime, &it))?;
    if meta.is_symlink() {
        let path = setup.dirs.runtime.display();
        return Err(ApiError::new(
            ErrorKind::Dispatcher,
            format!("{path} cannot be trusted: it is a symbolic link"),
        )
        .hint("remove it, or set PARHELIA_RUNTIME_DIR to a directory of your own"));
    }
    Ok(())
}

/// Makes a directory that only this user can use, or checks the one that is there.
fn own_directory(path: &Path) -> Result<(), ApiError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|it| cannot("make", path, &it))?;
    let meta = std::fs::metadata(path).map_err(|it| cannot("look at", path, &it))?;
    let me = rustix::process::geteuid().as_raw();
    let problem = if meta.uid() != me {
        format!("it belongs to user {}, not to you", meta.uid())
    } else if meta.mode() & 0o022 != 0 {
        format!("others can write to it (mode {:o})", meta.mode() & 0o777)
    } else {
        return Ok(());
    };
    Err(ApiError::new(
        ErrorKind::Dispatcher,
        format!("{} cannot be trusted: {problem}", path.display()),
    )
    .hint(format!("chmod 700 {}, or set another directory: see parhelia config", path.display())))
}

/// The child's word.
enum Said {
    /// It listens.
    Ready,
    /// It cannot.
    No(ApiError),
}

/// Starts the child and waits for its word.
///
/// The child outlives this command and its terminal: it leaves the terminal's session by itself,
/// has no stdin, logs to a file, and stands in the root directory so that it keeps no mount busy.
#[expect(clippy::disallowed_methods, reason = "the dispatcher's own start is no host's command")]
async fn spawn(setup: &Setup) -> Result<Said, ApiError> {
    let log = open_log(&setup.dirs.log)?;
    let mut command = tokio::process::Command::new(this_program()?);
    command
        .args(["daemon", "run", "--background"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .current_dir("/");
    for name in RELATIVE_PATHS {
        // What was relative to this directory must still be found from the root directory.
        if let Some(path) = std::env::var_os(name)
            && !path.is_empty()
            && let Ok(absolute) = std::path::absolute(path)
        {
            command.env(name, absolute);
        }
    }
    let mut child = command.spawn().map_err(|it| {
        ApiError::new(ErrorKind::Dispatcher, format!("cannot start the dispatcher: {it}"))
    })?;
    let mut said = String::new();
    if let Some(stdout) = child.stdout.take() {
        let mut reader = BufReader::new(stdout);
        match timeout(READY_LIMIT, reader.read_line(&mut said)).await {
            Ok(_) => (),
            Err(_) => {
                return Err(ApiError::new(
                    ErrorKind::Dispatcher,
                    "the dispatcher started and has not answered for 10 s",
                )
                .hint("it may be opening a large store; try again, or see parhelia daemon logs"));
            }
        }
    }
    match said.trim() {
        READY => Ok(Said::Ready),
        "" => Err(died(setup)),
        line => serde_json::from_str(line).map(Said::No).map_err(|_| died(setup)),
    }
}

/// Returns this program's file, also when a newer version was put in its place meanwhile.
pub fn this_program() -> Result<PathBuf, ApiError> {
    match std::env::current_exe() {
        Ok(it) if it.exists() => Ok(it),
        _ if Path::new("/proc/self/exe").exists() => Ok("/proc/self/exe".into()),
        Ok(it) => Err(cannot("find", &it, &io::ErrorKind::NotFound.into())),
        Err(it) => Err(cannot("find", Path::new("parhelia"), &it)),
    }
}

/// The child said nothing before it ended, so its log has the reason.
fn died(setup: &Setup) -> ApiError {
    let log = std::fs::read(&setup.dirs.log).unwrap_or_default();
    let text = printable(&String::from_utf8_lossy(&log[log.len().saturating_sub(4096)..]));
    let lines: Vec<&str> = text.lines().rev().take(LOG_SHOWN).collect();
    let mut message = "the dispatcher ended at once".to_owned();
    for line in lines.iter().rev() {
        message.push('\n');
        message.push_str(line);
    }
    ApiError::new(ErrorKind::Dispatcher, message)
        .hint(format!("its log: {}", setup.dirs.log.display()))
}

/// Opens the log for appending; a long one is set aside first, in the place of the one before.
fn open_log(path: &Path) -> Result<File, ApiError> {
    if std::fs::metadata(path).is_ok_and(|it| LOG_MAX < it.len()) {
        let mut aside = path.as_os_str().to_owned();
        aside.push(".1");
        std::fs::rename(path, aside).map_err(|it| cannot("set aside", path, &it))?;
    }
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(|it| cannot("open", path, &it))
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> ApiError {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Store,
        _ => ErrorKind::Dispatcher,
    };
    ApiError::new(kind, format!("cannot {what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_that_others_can_write_to_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        own_directory(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
        let error = own_directory(&path).unwrap_err();
        assert!(error.message.contains("others can write"), "{error}");
    }

    #[test]
    fn a_long_log_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dispatcher.log");
        File::create(&path).unwrap().set_len(LOG_MAX + 1).unwrap();
        open_log(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
        assert_eq!(
            std::fs::metadata(dir.path().join("dispatcher.log.1")).unwrap().len(),
            LOG_MAX + 1
        );
    }

    #[tokio::test]
    async fn the_second_command_waits_for_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("start.lock");
        let first = take_lock(&path).await.unwrap();
        assert!(timeout(Duration::from_millis(60), take_lock(&path)).await.is_err());
        drop(first);
        take_lock(&path).await.unwrap();
    }
}
