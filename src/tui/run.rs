//! The dashboard's only loop: wait, take in, draw at most once.
//!
//! What can wake it is listed in `live::Turn`; while nothing happens, nothing does. Input goes first,
//! then a frame that is due, then news, so a flood of output delays neither. News are taken in for
//! a few milliseconds at a time, and all that came is in one frame.

mod live;

use std::{path::PathBuf, sync::Arc};

use tokio::sync::mpsc;

use crate::{
    api::{
        error::{ApiError, ErrorKind},
        types::Env,
    },
    config::settings::Settings,
    stdx::time::{Clock, SystemClock},
    tui::{
        model::{
            Model,
            look::{Look, LookSource},
        },
        outer::{Outer, signals::Signals},
        perform::{self, Needs, Performer, around},
        run::live::Live,
        update::keep,
    },
};

pub use crate::tui::perform::link::Connect;

/// What the dashboard is opened with.
pub struct Options {
    pub settings: Settings,
    /// What is wrong with the configuration, one line each.
    pub problems: Vec<String>,
    /// Holds the dashboard's own files.
    pub dir: PathBuf,
    /// Colours are not wanted.
    pub no_color: bool,
    /// Shows a demonstration.
    pub demo: bool,
    pub connect: Arc<dyn Connect>,
    /// What new tasks are given of the caller's environment.
    pub caller_env: Env,
    /// A variable by which Claude can log in, which new tasks are given: its name only.
    pub login_variable: Option<String>,
    /// The configuration, whenever it changes.
    pub reloads: mpsc::Receiver<Reloaded>,
    /// This program's file, to attach with.
    pub program: PathBuf,
}

/// The configuration as it was read again.
pub struct Reloaded {
    pub settings: Settings,
    pub problems: Vec<String>,
    pub caller_env: Env,
}

/// How the dashboard was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// By a person; so many tasks have a session that goes on.
    Quit { running: usize },
    /// By a signal of this number.
    Signalled(i32),
    /// By a defect, which is told already.
    Defect,
}

/// Runs the dashboard on this terminal until it is left. The terminal is given back by then.
///
/// # Errors
///
/// If stdin or stdout is no terminal, or is gone.
pub async fn run(options: Options) -> Result<Outcome, ApiError> {
    let clock = SystemClock;
    let mut facts = around::facts(options.demo, options.no_color, clock.now()).await;
    facts.login_variable = options.login_variable;
    let mut source = LookSource::of(&options.settings);
    let mosh = around::under_mosh();
    source.mouse &= !mosh;
    let mouse = source.mouse;
    let mut look = Look::new(source, &facts);
    look.problems.splice(0..0, options.problems);
    let mut model = Model::new(facts, look, clock.now());
    if let Some(text) = perform::files::kept(&options.dir).await {
        keep::recall(&mut model, &text);
    }

    let signals = Signals::new().map_err(gone)?;
    let outer = Outer::enter(mouse).map_err(gone)?;
    let (news_to, news) = mpsc::channel(perform::NEWS_CAP);
    let (output_to, output) = mpsc::channel(perform::OUTPUT_CAP);
    let performer = Performer::start(Needs {
        news: news_to,
        output: output_to,
        connect: options.connect,
        dir: options.dir.clone(),
        caller_env: options.caller_env,
        notify_command: options.settings.notifications.command.clone(),
    });
    let places = live::Places { dir: options.dir, program: options.program, mosh };
    let queues = live::Queues { news, output, reloads: options.reloads, signals };
    Live::new(model, outer, performer, queues, places)?.run().await
}

fn gone(error: std::io::Error) -> ApiError {
    ApiError::new(ErrorKind::Host, format!("cannot use this terminal: {error}"))
}
