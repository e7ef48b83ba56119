//! `debug`: what helps to find a defect.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;

use crate::{
    api::{
        client::Client,
        error::{ApiError, ErrorKind},
    },
    cli::{
        args::DebugCommand,
        context::Context,
        dashboard::{self, Show},
        out::Done,
    },
    tui::{
        replay::{self, Replay},
        run::Connect,
    },
};

/// The longest recording that is read; a dashboard keeps a few megabytes.
const RECORDING_MAX: u64 = 256 * 1024 * 1024;

/// Does what the command says.
pub async fn run(context: &Context, command: &DebugCommand) -> Done {
    match command {
        DebugCommand::Replay { file, dump } => replay(context, file, *dump).await,
        DebugCommand::Defect => dashboard::open_with(context, Show::Own, Arc::new(Defect)).await,
    }
}

/// Connects once to nothing, and dies of the second time: by then the dashboard is on the screen.
struct Defect;

#[async_trait]
#[expect(clippy::panic, reason = "a defect on purpose is what the command is for")]
impl Connect for Defect {
    async fn connect(&self) -> Result<Client, ApiError> {
        static TRIED: AtomicBool = AtomicBool::new(false);
        if TRIED.swap(true, Ordering::SeqCst) {
            std::panic::panic_any("a defect on purpose");
        }
        Err(ApiError::new(ErrorKind::Dispatcher, "this is `debug defect`"))
    }

    async fn connect_running(&self) -> Result<Option<Client>, ApiError> {
        Ok(None)
    }
}

async fn replay(context: &Context, file: &Path, dump: Option<usize>) -> Done {
    let mut replay = Replay::read(&read(file)?)?;
    if let Some(at) = dump {
        replay.go(at);
        context.out.line(replay.text().trim_end())?;
        return Ok(0);
    }
    if !context.out.tty || !context.out.tty_in {
        return Err(ApiError::new(ErrorKind::Invalid, "stepping through needs a terminal")
            .hint("--dump N prints the screen after message N")
            .into());
    }
    replay::run(replay).await?;
    Ok(0)
}

fn read(file: &Path) -> Result<String, ApiError> {
    let failed = |it: std::io::Error| {
        ApiError::new(ErrorKind::Invalid, format!("cannot read {}: {it}", file.display()))
    };
    let size = std::fs::metadata(file).map_err(failed)?.len();
    if RECORDING_MAX < size {
        return Err(failed(std::io::Error::other(format!("{size} bytes are no recording"))));
    }
    std::fs::read_to_string(file).map_err(failed)
}
