//! Arguments of the commands about tasks.

use std::{ffi::OsString, path::PathBuf, str::FromStr, time::Duration};

use clap::{
    ArgGroup, Args, Subcommand,
    builder::NonEmptyStringValueParser,
    builder::{PossibleValuesParser, TypedValueParser},
};

use crate::{
    api::types::STATUSES,
    cli::args::duration,
    domain::{
        task::{Gpu, Isolation, PermissionMode, TaskKind},
        usd::Usd,
    },
};

/// What to do with tasks.
#[derive(Debug, Subcommand)]
pub enum TaskCommand {
    Create(Box<Create>),
    /// List tasks, newest first
    #[command(visible_alias = "ls")]
    List(List),
    /// Show everything about a task
    Show(Show),
    /// Print what changes until the task is finished; exits with its outcome
    Watch {
        /// The task: its id or a unique prefix
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
    },
    Diff(Diff),
    /// Take a task off the queue, or end its session
    Cancel(Stopped),
    /// Run a finished task again
    Retry(Retry),
    Park(Park),
    Unpark(Unpark),
    Delete(Delete),
}

/// Submit a task
///
/// Returns once Claude is started, or says what the task waits for. With --sync waits for the
/// end, prints the final answer on stdout and exits with the outcome; Ctrl-C only leaves. What it
/// does is saved turn by turn: see `parhelia checkpoint list` and `parhelia undo`.
/// What is left out comes from the configuration (see `parhelia config`).
#[derive(Args, Clone, Debug, Default)]
#[command(group(ArgGroup::new("what").args(["prompt", "file"])))]
pub struct Create {
    /// What Claude is asked, or - to read it from stdin; after -- it may begin with a dash
    #[arg(value_name = "PROMPT|-")]
    pub prompt: Option<OsString>,

    /// Read the prompt from a file
    #[arg(long, short, value_name = "PATH")]
    pub file: Option<PathBuf>,

    /// Wait for the end and print the final answer
    #[arg(long, conflicts_with_all = ["dry_run", "attach"])]
    pub sync: bool,

    /// Show target, exact commands, price and what it may cost, and start nothing
    #[arg(long, conflicts_with = "attach")]
    pub dry_run: bool,

    /// Keep the task RUNNING between turns until you end it; needs no prompt
    #[arg(long, short)]
    pub interactive: bool,

    /// Put this terminal into the session as soon as there is one
    #[arg(long, short)]
    pub attach: bool,

    /// What sort of work it is
    #[arg(long = "type", value_name = "TYPE", ignore_case = true,
          value_parser = word::<TaskKind>(TaskKind::ALL.iter().map(|it| it.as_str()).collect()))]
    pub kind: Option<TaskKind>,

    /// A GPU it needs
    #[arg(long, value_name = "GPU", ignore_case = true,
          value_parser = word::<Gpu>(Gpu::ALL.iter().map(|it| it.as_str()).collect()))]
    pub gpu: Option<Gpu>,

    /// Memory it needs, in GB
    #[arg(long, value_name = "GB", value_parser = gigabytes)]
    pub memory: Option<u32>,

    /// Processor cores it needs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub cpu: Option<u32>,

    /// The directory it starts from (default: the current one)
    #[arg(long, short, value_name = "DIR")]
    pub workspace: Option<PathBuf>,

    /// How that directory is kept from changes (default in a git repository: worktree)
    #[arg(long, value_name = "HOW", ignore_case = true,
          value_parser = word::<Isolation>(Isolation::ALL.iter().map(|it| it.as_str()).collect()))]
    pub isolation: Option<Isolation>,

    /// Whether uncommitted and untracked files come along (default: yes)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    pub include_dirty: Option<bool>,

    /// Start from the last commit, without uncommitted and untracked files
    #[arg(long, conflicts_with = "include_dirty")]
    pub no_include_dirty: bool,

    /// The longest it may run: 90s, 15m, 4h; 0 for no limit
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub timeout: Option<Duration>,

    /// The longest its session waits for a prompt; 0 for no limit
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub idle_timeout: Option<Duration>,

    /// Claude's permission mode
    #[arg(long, value_name = "MODE", ignore_case = true,
          value_parser = word::<PermissionMode>(PermissionMode::ALL.iter().map(|it| it.as_str()).collect()))]
    pub permission_mode: Option<PermissionMode>,

    /// Claude's model
    #[arg(long, short, value_name = "MODEL")]
    pub model: Option<String>,

    /// What to call it (default: the first words of the prompt)
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// The most it may cost, in US dollars
    #[arg(long, value_name = "USD", value_parser = Usd::from_str)]
    pub max_cost: Option<Usd>,

    /// Higher goes first in the queue
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub priority: Option<i32>,

    /// The host or provider it must go to (default: any that fits)
    #[arg(long, visible_alias = "provider", value_name = "HOST")]
    pub host: Option<String>,

    /// Pass variable K of your environment to it; repeat for more
    ///
    /// Only the name goes on the command line, because other users can read command lines.
    #[arg(long, short, value_name = "K")]
    pub env: Vec<String>,
}

/// List tasks, newest first
#[derive(Args, Debug)]
#[command(after_help = "\
The first column: ! needs you  > working  . idle  - pending  = parked  + done
                  x failed or killed  ~ unreachable  ? unknown")]
pub struct List {
    /// Only these states or activities; separate several with commas
    #[arg(long, short, value_name = "STATUS", value_delimiter = ',', ignore_case = true,
          value_parser = PossibleValuesParser::new(STATUSES))]
    pub status: Vec<String>,

    /// Show at most the newest N
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50, conflicts_with = "all")]
    pub limit: usize,

    /// Show all of them
    #[arg(long, short)]
    pub all: bool,

    /// Show only tasks submitted before this one: the last of a page, to see the next page
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub before: Option<String>,
}

/// Show everything about a task
#[derive(Args, Debug)]
pub struct Show {
    /// The task: its id or a unique prefix
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,

    /// Show the evidence for what it is said to do
    #[arg(long, group = "part")]
    pub why: bool,

    /// Print its prompt and nothing else
    #[arg(long, group = "part")]
    pub prompt: bool,

    /// Print its final answer and nothing else
    #[arg(long, group = "part")]
    pub answer: bool,
}

/// Show what a task changed, since the commit it was started from
///
/// Uncommitted and new files are included, those that came along from your directory as well. Very
/// long differences are cut; to see all of them, run git in the task's workspace.
#[derive(Args, Debug)]
pub struct Diff {
    /// The task: its id or a unique prefix
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,

    /// Show only how much changed in each file
    #[arg(long)]
    pub stat: bool,
}

/// Interrupt tasks and save them; they go on later where they were
///
/// The turn is interrupted, workspace and conversation are saved, the session ends and the worker
/// is given back, so that nothing is spent. A waiting task leaves the queue. At a ceiling this
/// happens by itself (`budget.on_exceeded`).
#[derive(Args, Debug)]
#[command(after_help = "Example: parhelia task park abcd bcde")]
pub struct Park {
    /// The tasks: their ids or unique prefixes
    #[arg(value_name = "ID", required = true, value_parser = NonEmptyStringValueParser::new())]
    pub ids: Vec<String>,
}

/// Let parked tasks go on where they were
///
/// They queue like others: under a ceiling that is still reached they wait, or fail to be
/// dispatched. Nothing is ever unparked by itself.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples: parhelia task unpark abcd --prompt \"Go on\"
          parhelia budget set 80 && parhelia task unpark --all")]
pub struct Unpark {
    /// The tasks: their ids or unique prefixes
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all",
          value_parser = NonEmptyStringValueParser::new())]
    pub ids: Vec<String>,

    /// All that are parked
    #[arg(long, short)]
    pub all: bool,

    /// What to ask, or - to read it from stdin; without one they wait for a prompt
    #[arg(long, short, value_name = "TEXT|-", allow_hyphen_values = true)]
    pub prompt: Option<OsString>,
}

/// A task that is to be ended or deleted.
#[derive(Args, Debug)]
pub struct Stopped {
    /// The task: its id or a unique prefix
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,

    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

/// Delete a finished task with its run directory
///
/// It is saved first, and its checkpoints stay as long as the configuration keeps them: a task
/// can be made of one by `checkpoint fork`.
#[derive(Args, Debug)]
pub struct Delete {
    /// The task: its id or a unique prefix
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,

    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,

    /// Do not save it first; for what cannot be saved, or is not worth it
    #[arg(long)]
    pub no_checkpoint: bool,
}

/// Run a finished task again
#[derive(Args, Debug)]
pub struct Retry {
    /// The task: its id or a unique prefix
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,

    /// Go on with the old conversation rather than start a new one
    #[arg(long)]
    pub resume: bool,

    /// The prompt to go on with, or instead of the task's own; - reads it from stdin
    #[arg(long, short, value_name = "TEXT|-", allow_hyphen_values = true)]
    pub prompt: Option<OsString>,

    /// Pass variable K of your environment to it; repeat for more
    #[arg(long, short, value_name = "K")]
    pub env: Vec<String>,
}

/// Reads one of a fixed set of words; clap names the nearest one where it is none.
fn word<T>(words: Vec<&'static str>) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = String> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).try_map(|it| it.parse::<T>())
}

/// Reads `32`, `32G` or `32GB`.
fn gigabytes(text: &str) -> Result<u32, String> {
    let upper = text.to_ascii_uppercase();
    let number = upper.trim_end_matches('B').trim_end_matches('G').trim();
    match number.parse() {
        Ok(0) | Err(_) => Err("write a whole number of GB, such as 32".to_owned()),
        Ok(it) => Ok(it),
    }
}
