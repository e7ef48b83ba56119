//! `parhelia` without a command: the dashboard.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::{
    api::{
        client::Client,
        error::{ApiError, ErrorKind},
        types::Env,
    },
    cli::{
        context::Context,
        create::caller_env,
        doctor,
        out::{Done, Out},
        setup::{Setup, View},
        start,
    },
    dispatcher::configs,
    tui::run::{self, Connect, Options, Outcome, Reloaded},
};

/// What a command exits with that was ended by a signal, past the signal's number.
const SIGNALLED: u8 = 128;

/// Whose tasks are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    Own,
    /// A demonstration's.
    Demo,
}

/// Opens the dashboard and returns when it was left. This terminal is as before by then.
pub async fn open(context: &Context, show: Show) -> Done {
    open_with(context, show, Arc::new(Dispatchers::new(context))).await
}

/// As [`open`], with another way to connect.
pub async fn open_with(context: &Context, show: Show, connect: Arc<dyn Connect>) -> Done {
    let setup = &context.setup;
    // Before anything is drawn: an error of it belongs on the terminal as it is.
    start::prepare(setup)?;
    let options = Options {
        settings: setup.settings.clone(),
        problems: setup.problem_lines(),
        dir: setup.dirs.state.join("ui"),
        no_color: !context.out.paint.on,
        demo: show == Show::Demo,
        connect,
        caller_env: caller_env(&setup.settings)?,
        login_variable: doctor::login_variable(&setup.settings),
        reloads: reloads(setup),
        program: start::this_program()?,
    };
    Ok(match run::run(options).await? {
        Outcome::Quit { running } => {
            if show == Show::Own && 0 < running {
                context.out.note(&goes_on(running));
            }
            0
        }
        Outcome::Signalled(number) => {
            SIGNALLED.saturating_add(u8::try_from(number).unwrap_or(u8::MAX))
        }
        Outcome::Defect => ErrorKind::Internal.exit_code(),
    })
}

fn goes_on(running: usize) -> String {
    match running {
        1 => "1 task keeps running; parhelia brings the dashboard back".to_owned(),
        _ => format!("{running} tasks keep running; parhelia brings the dashboard back"),
    }
}

/// Connects as every command does, but never asks anything: the terminal is the dashboard's.
struct Dispatchers {
    setup: Setup,
    out: Out,
}

impl Dispatchers {
    fn new(context: &Context) -> Dispatchers {
        let out = Out { tty: false, tty_err: false, tty_in: false, ..context.out };
        Dispatchers { setup: context.setup.clone(), out }
    }
}

#[async_trait]
impl Connect for Dispatchers {
    async fn connect(&self) -> Result<Client, ApiError> {
        start::connect(&self.setup, &self.out).await
    }

    async fn connect_running(&self) -> Result<Option<Client>, ApiError> {
        match start::connect_running(&self.setup).await? {
            Some((_, info)) if info.revision != crate::api::REVISION => {
                Err(Client::mismatch(&info))
            }
            found => Ok(found.map(|(client, _)| client)),
        }
    }
}

/// Reads the configuration again whenever one of its files changes, and says what it is then.
fn reloads(setup: &Setup) -> mpsc::Receiver<Reloaded> {
    let (reloaded, reloads) = mpsc::channel(1);
    let mut changes = configs::changes(files(setup));
    tokio::spawn(async move {
        while let Some(()) = changes.recv().await {
            let Ok(setup) = Setup::load(View::Command) else { continue };
            let caller_env = caller_env(&setup.settings).unwrap_or_else(|_| Env::default());
            let problems = setup.problem_lines();
            let it = Reloaded { settings: setup.settings, problems, caller_env };
            if reloaded.send(it).await.is_err() {
                return;
            }
        }
    });
    reloads
}

/// Returns the files that the configuration is read from, whether or not they are there.
fn files(setup: &Setup) -> Vec<PathBuf> {
    let sources = setup.sources(View::Command);
    let project = sources
        .project_dir
        .iter()
        .flat_map(|dir| crate::config::load::PROJECT_FILES.iter().map(move |it| dir.join(it)));
    let explicit = sources.explicit.iter().filter_map(|it| std::path::absolute(it).ok());
    std::iter::once(sources.user.clone()).chain(explicit).chain(project).collect()
}
