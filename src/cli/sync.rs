//! Waiting for a task's end: `--sync` and `task watch`.

use std::time::Duration;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc::Receiver,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout_at},
};

use crate::{
    api::view::TaskView,
    cli::{
        context::Context,
        create::dispatch_failed,
        follow::{self, Change},
        out::{Done, Failure},
        park::parked,
        progress::Progress,
        view::{change_line, is_final, outcome_status, painted, telling, word},
    },
    stdx::{
        text::one_line,
        time::{Clock, SystemClock},
    },
};

/// What a command exits with that was ended by Ctrl-C.
pub const INTERRUPTED: u8 = 130;

/// How often the elapsed time is drawn. Only on a terminal; elsewhere only changes print.
const TICK: Duration = Duration::from_secs(1);

/// How often, and for how long, the answer of a task that is complete is asked for: it is kept
/// in the commit after the one that completes the task.
const ANSWER_TRIES: u32 = 10;
const ANSWER_PAUSE: Duration = Duration::from_millis(100);

/// Longest wait for a session that was told to end: Claude gets a few seconds to end by itself.
const ENDING_LIMIT: Duration = Duration::from_secs(15);

/// What ends the waiting.
enum Turn {
    Changed(Option<Change>),
    Ticked,
    Interrupted,
}

/// Waits for the end of a task, shows how it goes on stderr and prints its answer on stdout.
/// Ctrl-C leaves it running.
pub async fn wait(context: &Context, id: &str, mut changes: Receiver<Change>) -> Done {
    let out = &context.out;
    let mut progress = Progress::new(*out);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut task: Option<Box<TaskView>> = None;
    loop {
        let turn = tokio::select! {
            it = changes.recv() => Turn::Changed(it),
            _ = tick.tick(), if out.tty_err && !out.json => Turn::Ticked,
            _ = interrupt.recv() => Turn::Interrupted,
        };
        match turn {
            Turn::Changed(Some(Change::Task(it))) if is_final(&it) => {
                progress.clear();
                return finish(context, &it).await;
            }
            Turn::Changed(Some(Change::Task(it))) => {
                progress.show(&it, SystemClock.now());
                task = Some(it);
            }
            Turn::Changed(Some(Change::Note(_))) if out.json => (),
            Turn::Changed(Some(Change::Note(text))) => progress.say(&one_line(&text, 300)),
            Turn::Changed(Some(Change::Lost)) => {
                progress.say("The dispatcher went away; the task goes on. Looking for it again...");
            }
            Turn::Changed(Some(Change::End(it))) => {
                progress.clear();
                return Err(it.into());
            }
            Turn::Changed(None) => return Ok(1),
            Turn::Ticked => {
                if let Some(it) = &task {
                    progress.show(it, SystemClock.now());
                }
            }
            Turn::Interrupted => {
                progress.clear();
                let id = one_line(id, 40);
                out.note(&format!("Left {id}: it goes on."));
                out.note(&format!("  watch: parhelia task watch {id}"));
                out.note(&format!("  stop:  parhelia task cancel {id}"));
                return Ok(INTERRUPTED);
            }
        }
    }
}

/// Prints what came out.
async fn finish(context: &Context, task: &TaskView) -> Done {
    let out = &context.out;
    if task.state == "DISPATCH_FAILED" {
        return Err(dispatch_failed(context, task));
    }
    if task.state == "PARKED" && !context.out.json {
        return Err(parked(context, task));
    }
    let client = context.client().await?;
    let mut answer = client.answer_text(&task.id).await?;
    for _ in 0..ANSWER_TRIES {
        if answer.is_some() || task.state != "COMPLETED" || task.turns == 0 {
            break;
        }
        sleep(ANSWER_PAUSE).await;
        answer = client.answer_text(&task.id).await?;
    }
    if out.json {
        let task = client.task(&task.id).await?;
        out.json(&serde_json::json!({ "task": task, "answer": answer }))?;
        return Ok(outcome_status(&task));
    }
    if let Some(text) = answer {
        out.foreign(&text)?;
    }
    if task.state != "COMPLETED" {
        let paint = out.paint_err;
        let reason = task.reason.clone().unwrap_or_else(|| telling(task));
        out.note(&format!(
            "{} {}: {}",
            one_line(&task.id, 40),
            painted(task, paint, &word(task)),
            one_line(&reason, 500)
        ));
        out.note(&format!("  hint: parhelia logs {}", one_line(&task.id, 40)));
    }
    Ok(outcome_status(task))
}

/// Returns a task once its session is gone, so that what comes next (`task delete`, `task retry`)
/// finds it gone; or as it is after [`ENDING_LIMIT`].
pub async fn session_end(context: &Context, task: TaskView) -> Result<TaskView, Failure> {
    if task.session.is_none() {
        return Ok(task);
    }
    let client = context.client().await?;
    let feed = follow::open(&client).await?;
    // Read after the stream was opened, so that nothing falls between.
    let mut task = client.task(&task.id).await?;
    let mut changes = follow::follow(context, feed, &task);
    let deadline = Instant::now() + ENDING_LIMIT;
    while task.session.is_some() {
        match timeout_at(deadline, changes.recv()).await {
            Ok(Some(Change::Task(it))) => task = *it,
            Ok(Some(Change::Note(_) | Change::Lost)) => (),
            Ok(Some(Change::End(it))) => return Err(it.into()),
            Ok(None) | Err(_) => break,
        }
    }
    Ok(task)
}

/// Prints each change of a task until it is finished, and exits with its outcome.
pub async fn watch(context: &Context, id: &str) -> Done {
    let client = context.client().await?;
    let feed = follow::open(&client).await?;
    let task = client.task(id).await?;
    let mut changes = follow::follow(context, feed, &task);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut last = String::new();
    loop {
        let change = tokio::select! {
            it = changes.recv() => it,
            _ = interrupt.recv() => return Ok(INTERRUPTED),
        };
        match change {
            Some(Change::Task(it)) => {
                report(context, &it, &mut last)?;
                if is_final(&it) {
                    return Ok(outcome_status(&it));
                }
            }
            Some(Change::Note(text)) => context.out.note(&one_line(&text, 300)),
            Some(Change::Lost) => {
                context.out.note("The dispatcher went away; looking for it again...");
            }
            Some(Change::End(it)) => return Err(it.into()),
            None => return Ok(1),
        }
    }
}

/// Prints a change, unless it shows nothing new.
fn report(context: &Context, task: &TaskView, last: &mut String) -> Result<(), Failure> {
    if context.out.json {
        return context.out.json_line(task);
    }
    let line = change_line(task, context.out.paint);
    if line != *last {
        context.out.line(&line)?;
        *last = line;
    }
    Ok(())
}
