//! Arguments of the commands about money.

use std::{num::NonZeroU32, path::PathBuf, str::FromStr};

use clap::{ArgGroup, Args, Subcommand, ValueEnum, builder::NonEmptyStringValueParser};

use crate::{api::budget::CostsBy, domain::usd::Usd};

/// See what was spent and reserved, and set what may be
///
/// Every cost is an entry of a ledger: what Claude reports, and what workers cost by our clock.
/// A task reserves what its type is thought to cost before it begins. At a ceiling what spends is
/// parked, to go on later (`budget.on_exceeded`). Without a subcommand: show.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Budget {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<BudgetCommand>,

    /// What to show without one.
    #[command(flatten)]
    pub show: Show,
}

/// What to do with the budget.
#[derive(Debug, Subcommand)]
pub enum BudgetCommand {
    Show(Show),
    Set(Set),
    Reset(Reset),
    History(History),
    Turns(Turns),
    /// Show where figures come from: prices with date and source, and what estimates are made of
    Sources,
    Export(Export),
}

/// Show ceilings, what was spent and reserved, the burn, and when each ceiling is reached
#[derive(Args, Debug, Default)]
#[command(after_help = "\
Examples: parhelia budget
          parhelia budget show --by model --from 7d
          parhelia budget show --by day --csv > days.csv")]
pub struct Show {
    /// Show what it was spent on instead, put together by task, type, host, model or day
    #[arg(long, value_name = "WHAT", ignore_case = true)]
    pub by: Option<By>,

    /// Only what was spent after this: 7d (ago), 2026-11-21, or a date and time
    #[arg(long, value_name = "TIME", requires = "by")]
    pub from: Option<String>,

    /// Only what was spent up to then
    #[arg(long, value_name = "TIME", requires = "by")]
    pub to: Option<String>,

    /// Print CSV
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

/// What costs are put together by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    Task,
    Type,
    Host,
    Model,
    Day,
}

impl From<By> for CostsBy {
    fn from(by: By) -> CostsBy {
        match by {
            By::Task => CostsBy::Task,
            By::Type => CostsBy::Type,
            By::Host => CostsBy::Host,
            By::Model => CostsBy::Model,
            By::Day => CostsBy::Day,
        }
    }
}

/// What a ceiling is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// So high.
    At(Usd),
    /// There shall be none.
    None,
}

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Amount, String> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(Amount::None);
        }
        match text.parse::<Usd>()? {
            Usd::ZERO => Err("a ceiling must be more than $0; none means no ceiling".to_owned()),
            limit => Ok(Amount::At(limit)),
        }
    }
}

/// Set a ceiling: for everything, or what an option says
///
/// It holds at once and until it is set again; the configuration says what holds without it.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("which").args(["day", "host", "task"])),
    group(ArgGroup::new("what").args(["amount", "configured"]).required(true)))]
#[command(after_help = "\
Examples: parhelia budget set 50
          parhelia budget set 10 --day
          parhelia budget set none --host local
          parhelia budget set 2.50 --task abcd
          parhelia budget set --configured")]
pub struct Set {
    /// US dollars, or none for no ceiling
    #[arg(value_name = "USD|none", value_parser = Amount::from_str)]
    pub amount: Option<Amount>,

    /// What the configuration says shall hold again
    #[arg(long)]
    pub configured: bool,

    /// The ceiling of a calendar day
    #[arg(long)]
    pub day: bool,

    /// The ceiling of a host or provider
    #[arg(long, visible_alias = "provider", value_name = "HOST",
          value_parser = NonEmptyStringValueParser::new())]
    pub host: Option<String>,

    /// The most that a task may cost: its id or a unique prefix
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub task: Option<String>,
}

/// Begin a new period: what was spent counts no longer
///
/// Against the ceilings of everything and of hosts nothing is spent then. The ledger stays as it
/// is, the day's ceiling goes on until midnight, and a task's own counts all that it cost.
#[derive(Args, Debug)]
pub struct Reset {
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

/// Show spending day by day, and how ceilings were set and reached
#[derive(Args, Debug)]
pub struct History {
    /// Show at most so many days and changes, the newest
    #[arg(long, short = 'n', value_name = "N", default_value = "30")]
    pub days: NonZeroU32,

    /// Print the days as CSV
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

/// Show what each turn of a task cost, the newest first
///
/// A turn is a prompt and all that Claude does for it. What Claude says it cost comes a moment
/// after the turn, and counts for it unless the next prompt came before. Workers are charged for
/// by the clock and belong to no turn.
#[derive(Args, Debug)]
pub struct Turns {
    /// The task: its id or a unique prefix, or a deleted task's whole id
    #[arg(value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub id: String,

    /// Show at most so many turns, the newest
    #[arg(long, short = 'n', value_name = "N", default_value = "100")]
    pub turns: NonZeroU32,

    /// Print CSV
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

/// Print every entry of the ledger, oldest first: CSV, or with --json one object a line
///
/// Amounts are exact to the micro-dollar, and their sum is what `budget show` says. Times are UTC.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples: parhelia budget export > ledger.csv
          parhelia budget export --json --from 24h
          parhelia budget export --task task-abcd2345 -o task.csv")]
pub struct Export {
    /// Print CSV, as without it
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,

    /// Only what ended after this: 7d (ago), 2026-11-21, or a date and time
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,

    /// Only what ended by then
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,

    /// Only of this task: its id or a unique prefix, or a deleted task's whole id
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub task: Option<String>,

    /// Write to a file, which appears whole or not at all
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Replace the file if it is there
    #[arg(long, requires = "output")]
    pub force: bool,
}
