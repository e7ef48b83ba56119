//! `checkpoint restore` and `checkpoint rollback`: files go back to how they were.

use std::path::{Component, Path, PathBuf};

use crate::{
    api::{
        checkpoints::{CheckpointView, Restore, Restored},
        client::{CheckpointsQuery, Client, HistoryQuery},
        error::{ApiError, ErrorKind},
        types::EventView,
        view::TaskView,
    },
    cli::{
        args::checkpoint as args,
        checkpoint::{lineage::lineage, need_yes, origin},
        context::Context,
        out::{Answer, Done},
        paint::Paint,
        view::{FIELD_MAX, count, pad},
    },
    stdx::{
        text::one_line,
        time::{Clock, SystemClock, Timestamp},
    },
};

/// Checkpoints that are looked at to find the one to go back to. Equal ones in a row are rare.
const ROLLBACK_TRIES: usize = 20;

/// Checkpoints of a task that are asked for: more than are kept of it by default.
const CHECKPOINTS_MAX: usize = 500;

/// Events read at once.
const PAGE: usize = 1000;

/// Files that are named before a question; the dispatcher names no more than a bounded number.
const FILES_SHOWN: usize = 40;

/// How to go about a restore.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What to put back.
    pub checkpoint: CheckpointView,
    /// Where, and whether with the conversation.
    pub how: Restore,
    /// Do not ask.
    pub yes: bool,
    /// What an empty answer to the question means; with yes nobody needs to be there to be asked.
    pub default: Answer,
}

/// Puts a checkpoint's files back.
pub async fn restore(context: &Context, args: &args::Restore) -> Done {
    let target = args.target.as_deref().map(target).transpose()?;
    let client = context.client().await?;
    let checkpoint = client.checkpoint_detail(&args.id).await?.checkpoint;
    let how = Restore { target, dry_run: args.dry_run, conversation: args.conversation };
    go(context, &client, Plan { checkpoint, how, yes: args.yes, default: Answer::No }).await
}

/// Takes back a task's newest change.
pub async fn rollback(context: &Context, args: &args::Rollback) -> Done {
    let client = context.client().await?;
    let task = client.task(&args.id).await?;
    let checkpoint = match &args.to {
        Some(id) => of_task(client.checkpoint_detail(id).await?.checkpoint, &task)?,
        None => newest_other(&client, &task).await?,
    };
    let how = Restore { target: None, dry_run: args.dry_run, conversation: true };
    go(context, &client, Plan { checkpoint, how, yes: args.yes, default: Answer::No }).await
}

fn of_task(checkpoint: CheckpointView, task: &TaskView) -> Result<CheckpointView, ApiError> {
    if checkpoint.task == task.id {
        return Ok(checkpoint);
    }
    let message =
        format!("{} is a checkpoint of {}, not of {}", checkpoint.id, checkpoint.task, task.id);
    Err(ApiError::new(ErrorKind::Invalid, message)
        .hint(format!("parhelia checkpoint list --session {}", task.id)))
}

/// Returns the newest whole checkpoint that the workspace comes from and differs from.
async fn newest_other(client: &Client, task: &TaskView) -> Result<CheckpointView, ApiError> {
    let query = CheckpointsQuery {
        task: Some(task.id.clone()),
        before: None,
        limit: Some(CHECKPOINTS_MAX),
    };
    let all = client.checkpoints(&query).await?.checkpoints;
    let events = events(client, &task.id).await?;
    let behind = lineage(&all, &events, task.workspace.as_deref().unwrap_or_default());
    let whole = behind.into_iter().filter(|it| it.damage.is_none());
    let mut oldest = None;
    for checkpoint in whole.take(ROLLBACK_TRIES) {
        let look = Restore { dry_run: true, ..Restore::default() };
        let found = client.restore(&checkpoint.id, &look).await?;
        if found.count != 0 || !found.in_the_way.is_empty() {
            return Ok(checkpoint.clone());
        }
        oldest = Some(&checkpoint.id);
    }
    let id = &task.id;
    let error = match oldest {
        Some(it) => ApiError::new(
            ErrorKind::Conflict,
            format!("there is nothing to take back: the workspace of {id} is as in {it}"),
        ),
        None => ApiError::new(
            ErrorKind::NotFound,
            format!("there is no whole checkpoint of {id} to go back to"),
        ),
    };
    Err(error.hint(format!("parhelia checkpoint list --session {id}")))
}

/// Returns all that happened to a task, oldest first.
pub async fn events(client: &Client, task: &str) -> Result<Vec<EventView>, ApiError> {
    let query =
        |after| HistoryQuery { task: Some(task.to_owned()), after, since: None, limit: Some(PAGE) };
    let newest = client.history(&query(None)).await?;
    if newest.len() < PAGE {
        return Ok(newest);
    }
    let mut all: Vec<EventView> = Vec::new();
    loop {
        let after = all.last().map_or(0, |it| it.seq);
        let page = client.history(&query(Some(after))).await?;
        let more = page.last().is_some_and(|it| after < it.seq);
        if !more {
            return Ok(all);
        }
        all.extend(page);
    }
}

/// Shows what changes, asks, and does it.
pub async fn go(context: &Context, client: &Client, plan: Plan) -> Done {
    let out = &context.out;
    let now = SystemClock.now();
    let id = plan.checkpoint.id.clone();
    let look = Restore { dry_run: true, ..plan.how.clone() };
    if plan.how.dry_run {
        let found = client.restore(&id, &look).await?;
        match out.json {
            true => out.json(&found)?,
            false => out.line(&changes(&found, &plan.checkpoint, now, out.paint))?,
        }
        return Ok(if found.in_the_way.is_empty() { 0 } else { ErrorKind::Conflict.exit_code() });
    }
    if plan.how.conversation {
        // Said before anyone is asked anything.
        needs_no_session(&client.task(&plan.checkpoint.task).await?)?;
    }
    if !plan.yes && out.can_ask() {
        let found = client.restore(&id, &look).await?;
        out.note(&changes(&found, &plan.checkpoint, now, out.paint_err));
        if !found.in_the_way.is_empty() {
            return Err(in_the_way(&found).into());
        }
        if found.count == 0 && !plan.how.conversation && found.missing.is_empty() {
            return Ok(0);
        }
        if !out.ask("Restore?", plan.default) {
            out.note("Nothing was changed.");
            return Ok(1);
        }
    } else if !plan.yes && plan.default == Answer::No {
        return Err(need_yes("restoring").into());
    }
    let done = client.restore(&id, &plan.how).await?;
    told(context, &done, &plan)
}

/// Refuses to replace a conversation that is open.
fn needs_no_session(task: &TaskView) -> Result<(), ApiError> {
    if task.session.is_none() {
        return Ok(());
    }
    let id = one_line(&task.id, 40);
    let message = format!("{id} has its session open, which holds the conversation");
    Err(ApiError::new(ErrorKind::Conflict, message)
        .hint(format!("end it first: parhelia session kill {id}"))
        .hint("or put back the files only: parhelia checkpoint restore CP"))
}

/// Says what was restored, and how to take it back.
fn told(context: &Context, done: &Restored, plan: &Plan) -> Done {
    let out = &context.out;
    if out.json {
        out.json(done)?;
    } else {
        out.line(&outcome(done, &plan.checkpoint))?;
        for it in &done.missing {
            out.note(&format!("{} {}", out.paint_err.red("missing:"), one_line(it, FIELD_MAX)));
        }
    }
    if !done.in_the_way.is_empty() {
        return Err(in_the_way(done).into());
    }
    Ok(if done.missing.is_empty() { 0 } else { 1 })
}

fn outcome(done: &Restored, checkpoint: &CheckpointView) -> String {
    let task = one_line(&checkpoint.task, 40);
    let mut text = format!(
        "Restored {}{}: {} changed",
        one_line(&done.checkpoint, 40),
        into(done, checkpoint),
        count(done.count, "file"),
    );
    if let Some(safety) = &done.safety {
        let safety = one_line(&safety.id, 40);
        text.push_str(&format!("\nWhat was there before is {safety}: parhelia undo {task}"));
    }
    text
}

/// Returns what restoring changes, a file a line.
pub fn changes(
    found: &Restored,
    checkpoint: &CheckpointView,
    now: Timestamp,
    paint: Paint,
) -> String {
    let id = one_line(&found.checkpoint, 40);
    let of = format!("{id} ({})", origin(checkpoint, now));
    let into = into(found, checkpoint);
    let mut lines = vec![match found.count {
        0 => format!("Restoring {of}{into} changes no file."),
        n => format!("Restoring {of}{into} changes {}:", count(n, "file")),
    }];
    for it in found.files.iter().take(FILES_SHOWN) {
        let what = pad(&one_line(&it.what, 12), 6);
        let what = match it.what.as_str() {
            "add" => paint.green(&what),
            "delete" => paint.red(&what),
            _ => paint.cyan(&what),
        };
        lines.push(format!("  {what}  {}", one_line(&it.path, FIELD_MAX)));
    }
    let shown = found.files.len().min(FILES_SHOWN) as u64;
    if shown < found.count {
        lines.push(format!("  and {} more", found.count - shown));
    }
    let told = |word: String, it: &String| format!("  {word}  {}", one_line(it, FIELD_MAX));
    lines.extend(found.in_the_way.iter().map(|it| told(paint.yellow("in the way"), it)));
    lines.extend(found.missing.iter().map(|it| told(paint.red("missing"), it)));
    lines.join("\n")
}

/// Returns where to, if that is not where the checkpoint was made.
fn into(found: &Restored, checkpoint: &CheckpointView) -> String {
    match found.workspace == checkpoint.workspace {
        true => String::new(),
        false => format!(" into {}", one_line(&found.workspace, FIELD_MAX)),
    }
}

fn in_the_way(found: &Restored) -> ApiError {
    let n = found.in_the_way.len() as u64;
    let be = if n == 1 { "is" } else { "are" };
    let mut message = format!("{} {be} in the way, and nothing was changed:", count(n, "file"));
    for it in found.in_the_way.iter().take(FILES_SHOWN) {
        message.push_str(&format!("\n{}", one_line(it, FIELD_MAX)));
    }
    ApiError::new(ErrorKind::Conflict, message)
        .hint("move them away, or restore elsewhere: --target DIR")
}

/// Returns a directory that need not be there as the dispatcher knows it: absolute, and without
/// the symbolic links on the way to it.
pub fn target(path: &Path) -> Result<String, ApiError> {
    let invalid = |why: String| {
        ApiError::new(
            ErrorKind::Invalid,
            format!("cannot use {} as the target: {why}", path.display()),
        )
    };
    let mut there: PathBuf = std::path::absolute(path).map_err(|it| invalid(it.to_string()))?;
    let mut rest = Vec::new();
    while there.symlink_metadata().is_err() {
        match there.components().next_back() {
            Some(Component::Normal(name)) => rest.push(name.to_owned()),
            // What `..` leads to is known only where the directory before it is there.
            _ => return Err(invalid("a directory on the way to it is not there".into())),
        }
        there.pop();
    }
    let mut whole = there.canonicalize().map_err(|it| invalid(it.to_string()))?;
    whole.extend(rest.iter().rev());
    whole.into_os_string().into_string().map_err(|_| invalid("its path is not UTF-8".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::checkpoints::RestoredFile,
        cli::checkpoint::tests::{NOON, no_clock, sample},
    };

    const PLAIN: Paint = Paint { on: false };

    fn found() -> Restored {
        let file = |path: &str, what: &str| RestoredFile { path: path.into(), what: what.into() };
        Restored {
            damage: None,
            checkpoint: "cp-abcd2345".into(),
            workspace: "/w".into(),
            dry_run: true,
            files: vec![file("new\n.txt", "add"), file("a.rs", "change"), file("x", "delete")],
            count: 5,
            in_the_way: vec!["build".into()],
            missing: vec!["w/gone.rs is missing".into()],
            safety: None,
        }
    }

    #[test]
    fn the_question_says_what_changes() {
        let shown = changes(&found(), &sample(), NOON, PLAIN);
        insta::assert_snapshot!(no_clock(&shown), @r"
        Restoring cp-abcd2345 (hh:mm:ss, turn) into /w changes 5 files:
          add     new .txt
          change  a.rs
          delete  x
          and 2 more
          in the way  build
          missing  w/gone.rs is missing
        ");
        let workspace = sample().workspace;
        let nothing = Restored { files: vec![], count: 0, workspace, ..found() };
        assert!(changes(&nothing, &sample(), NOON, PLAIN).contains(") changes no file.\n"));
    }

    #[test]
    fn the_outcome_says_how_to_take_it_back() {
        let done = Restored { safety: Some(sample()), count: 1, ..found() };
        insta::assert_snapshot!(outcome(&done, &sample()), @r"
        Restored cp-abcd2345 into /w: 1 file changed
        What was there before is cp-abcd2345: parhelia undo task-abcd2345
        ");
        let error = in_the_way(&done);
        assert_eq!(error.message, "1 file is in the way, and nothing was changed:\nbuild");
    }

    #[test]
    fn a_target_need_not_be_there() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("real")).unwrap();
        std::os::unix::fs::symlink("real", root.join("link")).unwrap();
        let of = |path: &str| target(&root.join(path)).map_err(|it| it.message);
        let real = root.join("real").display().to_string();
        assert_eq!(of("link"), Ok(real.clone()));
        assert_eq!(of("link/a/b"), Ok(format!("{real}/a/b")));
        assert_eq!(of("link/../real"), Ok(real));
        assert!(of("none/../real").unwrap_err().contains("is not there"));
        assert!(target(Path::new("")).is_err());
    }
}
