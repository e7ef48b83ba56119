//! The command line: arguments in, requests to the dispatcher, text or JSON out.
//!
//! Every command is a client like any other: it knows the words of [`crate::api`] and nothing of
//! store, sessions or hosts. What it prints is made by pure functions from what it was told.

mod args;
mod attach;
mod budget;
mod checkpoint;
mod config;
mod context;
mod create;
mod csv;
mod daemon;
mod dashboard;
mod debug;
mod demo;
mod diff;
mod doctor;
mod events;
mod follow;
mod keys;
mod logs;
mod man;
mod out;
mod paint;
mod panic;
mod park;
mod progress;
mod prompt;
mod recover;
mod resume;
mod session;
mod setup;
mod show;
mod start;
mod status;
mod sync;
mod table;
mod task;
mod undo;
mod view;
mod when;

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory, Parser, error::ErrorKind as ClapError};
use tokio::runtime::{Builder, Runtime};

use crate::{
    api::error::{ApiError, ErrorKind},
    cli::{
        args::{Cli, Command, DaemonCommand, Demo},
        context::Context,
        out::{Done, Failure, Out},
        setup::{Setup, View},
    },
    dispatcher::PackError,
};

/// Threads that serve a command. Two, so that a slow terminal holds up no connection.
const CLIENT_THREADS: usize = 2;

/// The status that tells a script that there is no other way: git would refuse that as well.
const GIT_REFUSED: u8 = 4;

/// Runs the program and returns its status. Never panics: a defect is told and exits with 70.
pub fn main() -> ExitCode {
    panic::install();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match std::panic::catch_unwind(|| run(&arguments)) {
        Ok(it) => it,
        Err(_) => ExitCode::from(ErrorKind::Internal.exit_code()),
    }
}

fn run(arguments: &[OsString]) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(it) => it,
        Err(error) => return refuse(arguments, &error),
    };
    let out = Out::new(cli.json, cli.no_color);
    out.finish(execute(&cli, out))
}

fn execute(cli: &Cli, out: Out) -> Done {
    let (view, runtime) = match &cli.command {
        // Into a pipe there is nothing to draw on.
        None if out.json || !out.tty || !out.tty_in => {
            out.line(Cli::command().render_long_help().to_string().trim_end())?;
            return Ok(0);
        }
        Some(Command::Completions { shell }) => return man::completions(&out, *shell),
        Some(Command::Man) => return man::man(&out),
        Some(Command::Pack { words }) => return pack(words),
        // Both before the person's configuration is read: it has no part in a demo.
        Some(Command::Demo(Demo { end: Some(dir), .. })) => return demo::end(&out, dir),
        Some(Command::Demo(args @ Demo { inside: None, .. })) => return demo::begin(&out, args),
        Some(Command::Daemon { command: DaemonCommand::Run(_) }) => {
            (View::Dispatcher, Builder::new_multi_thread().enable_all().build())
        }
        None | Some(_) => (
            View::Command,
            Builder::new_multi_thread().worker_threads(CLIENT_THREADS).enable_all().build(),
        ),
    };
    let runtime: Runtime = runtime
        .map_err(|it| ApiError::new(ErrorKind::Host, format!("cannot start a thread: {it}")))?;
    let context = Context { setup: Setup::load(view)?, out };
    let result = match &cli.command {
        Some(command) => runtime.block_on(dispatch(&context, command)),
        None => runtime.block_on(dashboard::open(&context, dashboard::Show::Own)),
    };
    // A thread that still reads stdin must not hold up the end.
    runtime.shutdown_background();
    result
}

#[expect(clippy::cognitive_complexity, reason = "a table reads best whole")]
async fn dispatch(context: &Context, command: &Command) -> Done {
    match command {
        Command::Task { command } => task::run(context, command).await,
        Command::Submit(args) => create::create(context, args).await,
        Command::List(args) => task::list(context, args).await,
        Command::Session { command } => session::run(context, command).await,
        Command::Attach(args) => attach::attach(context, args).await,
        Command::Checkpoint { command } => checkpoint::run(context, command).await,
        Command::Resume(args) => resume::resume(context, args).await,
        Command::Undo(args) => undo::undo(context, args).await,
        Command::Budget(args) => budget::run(context, args).await,
        Command::Logs(args) => logs::logs(context, args).await,
        Command::Events { command } => events::run(context, command).await,
        Command::Status => status::status(context).await,
        Command::Keys => keys::keys(context).await,
        Command::Doctor => doctor::doctor(context).await,
        Command::Config => config::config(context),
        Command::Daemon { command } => daemon::run(context, command).await,
        Command::Demo(args) => demo::run(context, args).await,
        // Printed before there was a context.
        Command::Completions { .. } | Command::Man | Command::Pack { .. } => Ok(0),
        Command::Debug { command } => debug::run(context, command).await,
    }
}

/// Does what a script of the dispatcher's asks, which has another way if that fails.
fn pack(words: &[OsString]) -> Done {
    match crate::dispatcher::pack(words) {
        Ok(()) => Ok(0),
        Err(PackError::Git) => Err(Failure::Said(GIT_REFUSED)),
        Err(it) => Err(ApiError::new(ErrorKind::Host, it.to_string()).into()),
    }
}

/// Tells what clap has to say: help and versions on stdout, mistakes on stderr.
fn refuse(arguments: &[OsString], error: &clap::Error) -> ExitCode {
    // The arguments were not understood, so whether JSON is wanted is looked for by hand.
    let json = arguments.iter().take_while(|it| *it != "--").any(|it| it == "--json");
    let out = Out::new(json, arguments.iter().any(|it| it == "--no-color"));
    let paint = if error.use_stderr() { out.paint_err } else { out.paint };
    let styled = error.render();
    let text = if paint.on { styled.ansi().to_string() } else { styled.to_string() };
    let text = text.trim_end();
    let done = match error.kind() {
        ClapError::DisplayHelp | ClapError::DisplayVersion => out.line(text).map(|()| 0),
        _ if json => Err(Failure::Api(mistake(&styled.to_string()))),
        _ => {
            out.note(text);
            Ok(ErrorKind::Invalid.exit_code())
        }
    };
    out.finish(done)
}

/// Takes clap's text apart: what is wrong, and its tips as hints.
fn mistake(text: &str) -> ApiError {
    let text = text.trim_start().trim_start_matches("error: ");
    let said = text.split("\nUsage:").next().unwrap_or(text);
    let (tips, words): (Vec<&str>, Vec<&str>) = said
        .lines()
        .map(str::trim)
        .filter(|it| !it.is_empty())
        .partition(|it| it.starts_with("tip: "));
    let error = ApiError::new(ErrorKind::Invalid, words.join(" "));
    tips.iter().fold(error, |error, tip| error.hint(tip.trim_start_matches("tip: ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_has_its_tips_as_hints() {
        let error = Cli::try_parse_from(["parhelia", "taks"]).unwrap_err();
        let error = mistake(&error.render().to_string());
        assert_eq!(error.message, "unrecognized subcommand 'taks'");
        assert!(error.hints[0].contains("'task'"), "{error:?}");
        let error = Cli::try_parse_from(["parhelia", "attach"]).unwrap_err();
        let error = mistake(&error.render().to_string());
        assert_eq!(error.message, "the following required arguments were not provided: <ID>");
    }
}
