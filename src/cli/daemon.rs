//! `daemon`: being the dispatcher, and looking after it.

use std::{
    io::{Read, Seek, SeekFrom},
    path::Path,
    time::Duration,
};

use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};
use tracing_subscriber::EnvFilter;

use crate::{
    api::{
        error::{ApiError, ErrorKind},
        types::VersionInfo,
    },
    cli::{
        args::{DaemonCommand, DaemonRun},
        context::Context,
        out::{Done, Failure},
        start,
        status::uptime,
        sync::INTERRUPTED,
    },
    dispatcher::{DamagedStore, serve},
    stdx::{
        text::{one_line, printable},
        time::{Clock, SystemClock},
    },
};

/// How often a followed log is looked at. A person reads it, and nobody else waits for it.
const LOG_POLL: Duration = Duration::from_millis(250);

/// What of the log's end is read for `--tail`, in bytes; the log is set aside at 5 MiB.
const LOG_READ_MAX: u64 = 8 * 1024 * 1024;

/// Runs a command about the dispatcher.
pub async fn run(context: &Context, command: &DaemonCommand) -> Done {
    match command {
        DaemonCommand::Run(args) => be(context, args).await,
        DaemonCommand::Start => {
            context.client().await?;
            tell(context, "The dispatcher runs").await
        }
        DaemonCommand::Stop => match start::stop(&context.setup).await? {
            Some(it) => said(
                context,
                &format!("The dispatcher (pid {}) ended; sessions keep running", it.pid),
            ),
            None => said(context, "No dispatcher was running"),
        },
        DaemonCommand::Restart => {
            start::stop(&context.setup).await?;
            context.client().await?;
            tell(context, "The dispatcher runs anew").await
        }
        DaemonCommand::Status => tell(context, "The dispatcher runs").await,
        DaemonCommand::Logs { tail, follow } => logs(context, *tail, *follow).await,
    }
}

/// Is the dispatcher until it is told to end.
async fn be(context: &Context, args: &DaemonRun) -> Done {
    let filter = EnvFilter::try_from_env("PARHELIA_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(context.out.paint_err.on)
        .with_writer(std::io::stderr);
    if subscriber.try_init().is_err() {
        context.out.note("logging is set up already");
    }
    if args.background {
        // Fails only for the leader of a process group, which then has no terminal to lose.
        let _ = rustix::process::setsid();
    }
    let result = dispatch(context, args).await;
    match result {
        Err(error) if args.background => {
            // One line on stdout for the command that started this process and waits for it.
            tracing::error!("{}", one_line(&error.message, 1000));
            let _ = context.out.json_line(&error);
            Err(Failure::Said(error.kind.exit_code()))
        }
        Err(error) => Err(error.into()),
        Ok(()) => Ok(0),
    }
}

async fn dispatch(context: &Context, args: &DaemonRun) -> Result<(), ApiError> {
    context.setup.check()?;
    let setup = &context.setup;
    start::prepare(setup)?;
    let damaged =
        if args.move_corrupt_aside { DamagedStore::MoveAside } else { DamagedStore::Refuse };
    let background = args.background;
    let out = context.out;
    let socket = setup.dirs.socket.clone();
    let ready = move || {
        tracing::info!("listening on {}", socket.display());
        if background {
            // The starter may be gone already; that is no reason not to run.
            let _ = out.line(start::READY);
        }
    };
    serve(setup.home(), setup.settings.clone(), damaged, ready).await
}

/// Says which dispatcher runs; exits with 5 if none does.
async fn tell(context: &Context, what: &str) -> Done {
    let Some((_, info)) = start::connect_running(&context.setup).await? else {
        return Err(ApiError::new(ErrorKind::Dispatcher, "no dispatcher is running")
            .hint("any command that needs one starts it; parhelia daemon start does only that")
            .into());
    };
    if context.out.json {
        context.out.json(&info)?;
    } else {
        context.out.line(&render(what, &info))?;
    }
    Ok(0)
}

fn render(what: &str, info: &VersionInfo) -> String {
    format!(
        "{what}: version {}, pid {}, up {}, state in {}",
        one_line(&info.version, 40),
        info.pid,
        uptime(info.started_at, SystemClock.now()),
        one_line(&info.state_dir, 300)
    )
}

fn said(context: &Context, text: &str) -> Done {
    match context.out.json {
        true => context.out.json(&serde_json::json!({ "said": text }))?,
        false => context.out.line(text)?,
    }
    Ok(0)
}

async fn logs(context: &Context, tail: usize, follow: bool) -> Done {
    let path = &context.setup.dirs.log;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (text, mut offset) = log_end(path, tail)?;
    context.out.bytes(printable(&text).as_bytes())?;
    if !follow {
        return Ok(0);
    }
    loop {
        tokio::select! {
            () = sleep(LOG_POLL) => (),
            _ = interrupt.recv() => return Ok(INTERRUPTED),
        }
        let (bytes, next) = log_since(path, offset)?;
        offset = next;
        if !bytes.is_empty() {
            context.out.bytes(printable(&String::from_utf8_lossy(&bytes)).as_bytes())?;
        }
    }
}

/// Returns the last lines of the log, and where it ends.
fn log_end(path: &Path, tail: usize) -> Result<(String, u64), ApiError> {
    let len = std::fs::metadata(path).map_err(|it| no_log(path, &it))?.len();
    let (bytes, end) = log_since(path, len.saturating_sub(LOG_READ_MAX))?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    Ok((lines[lines.len().saturating_sub(tail)..].concat(), end))
}

/// Returns what the log holds from `offset` on, and where it ends. A log shorter than that was
/// set aside and begun anew.
fn log_since(path: &Path, offset: u64) -> Result<(Vec<u8>, u64), ApiError> {
    let read = || {
        let mut file = std::fs::File::open(path)?;
        let from = if file.metadata()?.len() < offset { 0 } else { offset };
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(LOG_READ_MAX).read_to_end(&mut bytes)?;
        let end = from + bytes.len() as u64;
        Ok((bytes, end))
    };
    read().map_err(|it: std::io::Error| no_log(path, &it))
}

fn no_log(path: &Path, error: &std::io::Error) -> ApiError {
    ApiError::new(ErrorKind::NotFound, format!("cannot read {}: {error}", path.display()))
        .hint("only a dispatcher in the background logs there; parhelia daemon start")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_from_its_end_and_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dispatcher.log");
        std::fs::write(&path, "one\ntwo\nthree\n").unwrap();
        assert_eq!(log_end(&path, 2).unwrap(), ("two\nthree\n".to_owned(), 14));
        std::fs::write(&path, "new\n").unwrap();
        assert_eq!(log_since(&path, 14).unwrap(), (b"new\n".to_vec(), 4));
        assert!(log_end(&dir.path().join("none"), 2).is_err());
    }
}
