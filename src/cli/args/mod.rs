//! The command line as types. The doc comments are the help and the man page.

pub mod budget;
pub mod checkpoint;
pub mod session;
pub mod task;

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum, builder::NonEmptyStringValueParser};

use crate::{
    cli::args::{
        budget::Budget,
        checkpoint::{CheckpointCommand, Resume, Undo},
        session::{Attach, SessionCommand},
        task::{Create, List, TaskCommand},
    },
    stdx::time::parse_duration,
};

/// What every command may exit with; ends the help and the man page.
const EXIT_CODES: &str = "\
Exit status:
  0    done; with --sync and `task watch`: the task is COMPLETED
  1    the task FAILED or was KILLED (--sync, task watch), a prompt was not confirmed, a question
       was answered with no, or a checkpoint is damaged or was not restored whole
  2    the command line makes no sense
  3    no such task or checkpoint
  4    the task's state does not admit it
  5    no dispatcher answers, or one of another version
  6    the host does not answer, or no worker fits (DISPATCH_FAILED)
  7    the configuration is wrong
  8    a budget ceiling would be passed, or the task was PARKED (--sync, task watch)
  9    the store cannot write
  70   a defect of Parhelia
  130  interrupted; tasks keep running

Errors go to stderr, with --json as one JSON object {kind, message, hints}.";

/// The control room for Claude Code on your machines
///
/// A prompt becomes a Claude Code session in tmux; Parhelia knows at every moment what it is
/// doing and what it costs, and you can step in at any time. Any unique prefix of a task's id
/// will do where an ID is asked for. Commands start the dispatcher when it is not running.
///
/// Without a command, on a terminal, the dashboard opens; `parhelia demo` shows it at work.
#[derive(Debug, Parser)]
#[command(name = "parhelia", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    /// Print JSON: one object, or one a line where there may be many
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,

    /// Print no colours, as with NO_COLOR set
    #[arg(long, global = true, help_heading = "Global options")]
    pub no_color: bool,

    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Submit tasks and look after them
    #[command(visible_alias = "t", subcommand_required = true)]
    Task {
        #[command(subcommand)]
        command: TaskCommand,
    },
    /// Submit a task (the same as `task create`)
    Submit(Box<Create>),
    /// List tasks (the same as `task list`)
    List(List),
    /// Step into the Claude sessions of tasks
    #[command(visible_alias = "s", subcommand_required = true)]
    Session {
        #[command(subcommand)]
        command: SessionCommand,
    },
    /// Put this terminal into a session (the same as `session attach`)
    Attach(Attach),
    /// Save tasks, look at what was saved, and go back to it
    #[command(visible_alias = "c", subcommand_required = true)]
    Checkpoint {
        #[command(subcommand)]
        command: CheckpointCommand,
    },
    Resume(Resume),
    Undo(Undo),
    #[command(visible_alias = "b")]
    Budget(Budget),
    Logs(Logs),
    /// Look at what happened, as events
    #[command(visible_alias = "e", subcommand_required = true)]
    Events {
        #[command(subcommand)]
        command: EventsCommand,
    },
    /// Show how all is: configuration, dispatcher, tasks, spending, hosts, disk
    Status,
    /// Say whether everything is there that a task needs, and what to do if not
    Doctor,
    /// Show the effective configuration, where each value comes from, and what is wrong with it
    Config,
    /// Show the dashboard's keys, what is wrong with `[keys]`, and what others take here
    Keys,
    /// Look after the dispatcher, which owns tasks and money
    #[command(subcommand_required = true)]
    Daemon {
        #[command(subcommand)]
        command: DaemonCommand,
    },
    Demo(Demo),
    /// Print the completion script of a shell
    #[command(after_help = "Example: parhelia completions bash > \
        ~/.local/share/bash-completion/completions/parhelia")]
    Completions {
        /// The shell
        shell: CompletionShell,
    },
    /// Look into defects of the dashboard
    #[command(hide = true, subcommand_required = true)]
    Debug {
        #[command(subcommand)]
        command: DebugCommand,
    },
    /// Look at a workspace, or take its files in, for a script of the dispatcher's
    #[command(hide = true)]
    Pack {
        /// What to do
        words: Vec<std::ffi::OsString>,
    },
    /// Print the man page
    #[command(after_help = "Example: parhelia man | man -l -")]
    Man,
}

/// Show Parhelia at work, without Claude, a key or a network
///
/// A throwaway directory, the real dispatcher, real tmux sessions, and a script in the place of
/// Claude: tasks in every state, permissions to answer, costs that grow. Nothing of yours is read
/// or written, and everything is gone when the dashboard is closed.
#[derive(Args, Clone, Debug)]
pub struct Demo {
    /// Install tmux and git first, where they are missing, by the system's package manager
    #[arg(long)]
    pub install: bool,

    /// Let the demo's sessions go on when the dashboard is closed
    #[arg(long)]
    pub keep: bool,

    /// End a demo that was kept, and remove its directory
    #[arg(long, value_name = "DIR", conflicts_with_all = ["install", "keep"])]
    pub end: Option<PathBuf>,

    /// Print the environment of the demo in place of a dashboard, until told to end
    #[arg(long, hide = true)]
    pub headless: bool,

    /// The directory of the demo this process is: set by the process itself
    #[arg(long, value_name = "DIR", hide = true)]
    pub inside: Option<PathBuf>,
}

/// Shells with a completion script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CompletionShell {
    Bash,
    Zsh,
    Fish,
}

/// Show what a task did
///
/// The activity log comes from Claude's transcript: prompts, text, tool calls, results, costs.
/// Without --tail and --since the last 200 lines are shown.
#[derive(Args, Debug)]
pub struct Logs {
    /// The task: its id or a unique prefix
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,

    /// Show only the last N lines
    #[arg(long, short = 'n', value_name = "N")]
    pub tail: Option<usize>,

    /// Wait for more, until Ctrl-C
    #[arg(long, short)]
    pub follow: bool,

    /// Show what the dispatcher did instead
    #[arg(long, conflicts_with = "raw")]
    pub events: bool,

    /// Show what the terminal showed instead, as it was: its bytes may steer your terminal
    #[arg(long)]
    pub raw: bool,

    /// Show only what stands before a line, by the `pos` that --json prints of it
    #[arg(long, value_name = "POS", conflicts_with_all = ["follow", "raw"])]
    pub before: Option<u64>,

    /// Show only what is newer: 10m (ago), 2026-11-21T14:30:00Z, or 2026-11-21 14:30 (local)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
}

/// What to do with events.
#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    /// List past events, oldest first
    #[command(visible_alias = "ls")]
    List {
        /// Only of this task
        #[arg(long, value_name = "ID")]
        task: Option<String>,
        /// Show at most the newest N
        #[arg(long, short = 'n', value_name = "N", default_value = "50")]
        limit: NonZeroU32,
        /// Show only what is newer: 10m (ago), or a date and time
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
    },
    /// Print events as they happen, until Ctrl-C
    Watch {
        /// Only of this task
        #[arg(long, value_name = "ID")]
        task: Option<String>,
    },
    /// Print every event there is, one JSON object a line
    Export {
        /// Only of this task
        #[arg(long, value_name = "ID")]
        task: Option<String>,
        /// Only what is newer: 10m (ago), or a date and time
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
    },
}

/// What to do with the dispatcher.
#[derive(Debug, Subcommand)]
pub enum DaemonCommand {
    /// Be the dispatcher, in the foreground; logs go to stderr (filter: PARHELIA_LOG)
    Run(DaemonRun),
    /// Start it in the background, if it is not running
    Start,
    /// End it; sessions keep running and the next command starts it again
    Stop,
    /// End it and start it again; sessions keep running
    Restart,
    /// Say whether it runs, without starting it (exits 5 if not)
    Status,
    /// Print the end of its log
    Logs {
        /// Show only the last N lines
        #[arg(long, short = 'n', value_name = "N", default_value_t = 200)]
        tail: usize,
        /// Wait for more, until Ctrl-C
        #[arg(long, short)]
        follow: bool,
    },
}

/// How to be the dispatcher.
#[derive(Args, Clone, Copy, Debug)]
pub struct DaemonRun {
    /// Leave the terminal's session and say `ready` on stdout; what `daemon start` uses
    #[arg(long)]
    pub background: bool,

    /// Move a damaged store aside and start with an empty one
    #[arg(long)]
    pub move_corrupt_aside: bool,
}

/// What helps to find a defect.
#[derive(Debug, Subcommand)]
pub enum DebugCommand {
    /// Step through what F10 or a crash wrote down: the same screens, without a dispatcher
    Replay {
        /// The recording
        file: PathBuf,
        /// Print the screen as it was after message N instead
        #[arg(long, value_name = "N")]
        dump: Option<usize>,
    },
    /// Open the dashboard and have it die of a defect, to see that the terminal is given back
    Defect,
}

/// Reads a duration such as `90s` or `1h30m`.
fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text)
}

#[cfg(test)]
mod tests;
