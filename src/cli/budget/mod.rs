//! `budget`: what was spent, what may be, and what it was spent on.

mod costs;
mod export;
mod history;
mod set;
mod sources;
mod standing;
mod turns;

pub use set::parked;

use crate::{
    api::error::ApiError,
    cli::{
        args::budget::{Budget, BudgetCommand, Show},
        context::Context,
        out::{Done, Failure},
        when::parse_since,
    },
    stdx::time::{Clock, SystemClock},
};

/// Runs a command about money.
pub async fn run(context: &Context, args: &Budget) -> Done {
    match &args.command {
        None => show(context, &args.show).await,
        Some(BudgetCommand::Show(args)) => show(context, args).await,
        Some(BudgetCommand::Set(args)) => set::set(context, args).await,
        Some(BudgetCommand::Reset(args)) => set::reset(context, args).await,
        Some(BudgetCommand::History(args)) => history::history(context, args).await,
        Some(BudgetCommand::Turns(args)) => turns::turns(context, args).await,
        Some(BudgetCommand::Sources) => sources::sources(context).await,
        Some(BudgetCommand::Export(args)) => export::export(context, args).await,
    }
}

async fn show(context: &Context, args: &Show) -> Done {
    match args.by {
        Some(by) => costs::show(context, args, by).await,
        None => standing::show(context, args.csv).await,
    }
}

/// Reads a moment in milliseconds since the epoch.
fn moment(text: Option<&str>) -> Result<Option<i64>, ApiError> {
    let now = SystemClock.now();
    text.map(|it| parse_since(it, now).map(|at| at.0)).transpose()
}

/// Prints CSV: as it is into a pipe, made safe on a terminal.
fn print_csv(context: &Context, text: &str) -> Result<(), Failure> {
    if context.out.tty {
        return context.out.foreign(&text.replace("\r\n", "\n"));
    }
    context.out.bytes(text.as_bytes())
}

/// Returns an amount as a number for CSV, to the micro-dollar.
fn exact(usd: f64) -> String {
    format!("{usd:.6}")
}
