//! `checkpoint`: what was saved of tasks, and going back to it.

mod card;
mod check;
mod diff;
pub mod export;
mod lineage;
pub mod restore;
mod table;

use crate::{
    api::{
        checkpoints::{CheckpointView, CreateCheckpoint, EditCheckpoint, Fork},
        client::CheckpointsQuery,
        error::{ApiError, ErrorKind},
    },
    cli::{
        args::checkpoint::{self as args, CheckpointCommand},
        context::Context,
        create::caller_env,
        out::{Answer, Done},
        prompt,
        view::{change_line, count, size},
        when::day_and_clock,
    },
    stdx::{
        text::one_line,
        time::{Clock, SystemClock, Timestamp},
    },
};

pub use card::card;

/// Runs a command about checkpoints.
pub async fn run(context: &Context, command: &CheckpointCommand) -> Done {
    match command {
        CheckpointCommand::Create(args) => create(context, args).await,
        CheckpointCommand::List(args) => list(context, args).await,
        CheckpointCommand::Show { id, files: true } => card::files(context, id).await,
        CheckpointCommand::Show { id, files: false } => card::show(context, id).await,
        CheckpointCommand::Diff(args) => diff::diff(context, args).await,
        CheckpointCommand::Restore(args) => restore::restore(context, args).await,
        CheckpointCommand::Rollback(args) => restore::rollback(context, args).await,
        CheckpointCommand::Fork(args) => fork(context, args).await,
        CheckpointCommand::Delete { ids, yes } => delete(context, ids, *yes).await,
        CheckpointCommand::Pin { id, off } => {
            let edit = EditCheckpoint { pinned: Some(!off), ..EditCheckpoint::default() };
            edit_to(context, id, &edit).await
        }
        CheckpointCommand::Label { id, text } => {
            let edit = EditCheckpoint { label: Some(text.clone()), ..EditCheckpoint::default() };
            edit_to(context, id, &edit).await
        }
        CheckpointCommand::Export(args) => export::export(context, args).await,
        CheckpointCommand::Prune(args) => check::prune(context, args).await,
        CheckpointCommand::Verify(args) => check::verify(context, args).await,
    }
}

async fn create(context: &Context, args: &args::Create) -> Done {
    let what =
        CreateCheckpoint { label: args.message.clone(), secrets: args.secrets, pin: args.pin };
    let made = context.client().await?.checkpoint(&args.id, &what).await?;
    let out = &context.out;
    match out.json {
        true => out.json(&made)?,
        false => out.line(&format!("Saved {}", line(&made, SystemClock.now())))?,
    }
    if made.left_out != 0 && !out.json {
        let id = one_line(&made.id, 40);
        out.note(&format!(
            "{} left out, large or secret; parhelia checkpoint show {id} names them.",
            match made.left_out {
                1 => "1 file was".to_owned(),
                n => format!("{n} files were"),
            }
        ));
    }
    Ok(0)
}

async fn list(context: &Context, args: &args::List) -> Done {
    let now = SystemClock.now();
    let query = CheckpointsQuery {
        task: args.session.clone(),
        before: args.older_than.map(|it| now.minus(it).0),
        limit: usize::try_from(args.limit.get()).ok(),
    };
    let list = context.client().await?.checkpoints(&query).await?;
    let out = &context.out;
    if out.json {
        out.json(&list)?;
    } else {
        out.line(&table::render(&list, now, out.table_width(), out.paint))?;
    }
    Ok(0)
}

async fn fork(context: &Context, args: &args::Fork) -> Done {
    let prompt = match &args.prompt {
        Some(text) => Some(prompt::from_argument(text, std::io::stdin().lock())?),
        None => None,
    };
    context.setup.check()?;
    let waits = prompt.is_none();
    let caller_env = caller_env(&context.setup.settings)?;
    let how = Fork { prompt, name: args.name.clone(), fresh: args.fresh, caller_env };
    let task = context.client().await?.fork(&args.id, &how).await?.task;
    let out = &context.out;
    if out.json {
        out.json(&serde_json::json!({ "task": task }))?;
        return Ok(0);
    }
    out.line(&format!("Task submitted: {}", one_line(&task.id, 40)))?;
    out.line(&change_line(&task, out.paint))?;
    if waits {
        let id = one_line(&task.id, 40);
        out.note(&format!("It waits for a prompt: parhelia session prompt {id} \"…\""));
    }
    Ok(0)
}

/// Deletes checkpoints; on a terminal after a question that names them all. Every id is looked up
/// before the first is deleted, so that a slip deletes nothing.
async fn delete(context: &Context, ids: &[String], yes: bool) -> Done {
    let out = &context.out;
    let client = context.client().await?;
    let mut found: Vec<CheckpointView> = Vec::new();
    for id in ids {
        let checkpoint = client.checkpoint_detail(id).await?.checkpoint;
        // Two prefixes may stand for one checkpoint.
        if !found.iter().any(|it| it.id == checkpoint.id) {
            found.push(checkpoint);
        }
    }
    if !yes && out.can_ask() {
        let now = SystemClock.now();
        for it in &found {
            out.note(&line(it, now));
        }
        let question = if found.len() == 1 { "Delete it?" } else { "Delete them?" };
        if !out.ask(question, Answer::No) {
            out.note("Nothing was deleted.");
            return Ok(1);
        }
    }
    for it in &found {
        let gone = client.delete_checkpoint(&it.id).await?;
        match out.json {
            true => out.json_line(&gone)?,
            false => out.line(&format!("Deleted {}", one_line(&gone.id, 40)))?,
        }
    }
    Ok(0)
}

async fn edit_to(context: &Context, id: &str, edit: &EditCheckpoint) -> Done {
    let out = &context.out;
    let it = context.client().await?.edit_checkpoint(id, edit).await?;
    match out.json {
        true => out.json(&it)?,
        false => out.line(&line(&it, SystemClock.now()))?,
    }
    Ok(0)
}

/// Returns one line that tells a checkpoint from others.
pub fn line(it: &CheckpointView, now: Timestamp) -> String {
    let mut text = format!(
        "{} of {} ({}): {}, {} in all",
        one_line(&it.id, 40),
        one_line(&it.task, 40),
        origin(it, now),
        changed(it),
        size(it.bytes),
    );
    if let Some(label) = &it.label {
        text.push_str(&format!(", \"{}\"", one_line(label, 100)));
    }
    if it.pinned {
        text.push_str(", pinned");
    }
    if let Some(damage) = &it.damage {
        text.push_str(&format!(", damaged: {}", one_line(damage, 200)));
    }
    text
}

/// Returns when and by what a checkpoint was made: `14:31:02, turn`.
pub fn origin(it: &CheckpointView, now: Timestamp) -> String {
    format!("{}, {}", day_and_clock(it.at, now), it.trigger)
}

/// Returns how much differs from the checkpoint before.
fn changed(it: &CheckpointView) -> String {
    let change = &it.change;
    let lines = || format!("+{} -{}", change.lines_added, change.lines_removed);
    match change.added + change.modified + change.deleted {
        _ if it.parent.is_none() => format!("first, {}", count(it.files, "file")),
        0 => "no file changed".to_owned(),
        1 => format!("1 file changed, {}", lines()),
        n => format!("{n} files changed, {}", lines()),
    }
}

/// Refuses what changes files where nobody can be asked and nobody said yes.
fn need_yes(what: &str) -> ApiError {
    ApiError::new(ErrorKind::Invalid, format!("{what} changes files, and nobody can be asked here"))
        .hint("--dry-run shows what would change, --yes goes ahead")
}

#[cfg(test)]
pub mod tests;
