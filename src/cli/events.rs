//! `events`: what happened, as the dispatcher wrote it down.

use std::time::Duration;

use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};

use crate::{
    api::{
        client::{Feed, HistoryQuery},
        error::{ApiError, ErrorKind},
        types::EventView,
    },
    cli::{
        args::EventsCommand,
        context::Context,
        out::{Done, Failure},
        paint::Paint,
        sync::INTERRUPTED,
        view::{FIELD_MAX, pad},
        when::{date_and_clock, parse_since},
    },
    stdx::{
        backoff::Backoff,
        text::one_line,
        time::{Clock, SystemClock},
    },
};

/// Events read at once by an export, which bounds what either side holds in memory.
const PAGE: usize = 1000;

/// How a lost dispatcher is looked for again while watching.
const AGAIN: Backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(5) };

/// Failures in a row after which watching is given up: about 30 s.
const FAILURES_MAX: u32 = 11;

/// Runs a command about events.
pub async fn run(context: &Context, command: &EventsCommand) -> Done {
    match command {
        EventsCommand::List { task, limit, since } => {
            let query = HistoryQuery {
                task: full_id(context, task.as_deref()).await?,
                after: None,
                since: moment(since.as_deref())?,
                limit: usize::try_from(limit.get()).ok(),
            };
            for event in context.client().await?.history(&query).await? {
                print(context, &event)?;
            }
            Ok(0)
        }
        EventsCommand::Watch { task } => {
            let mut interrupt = signal(SignalKind::interrupt())?;
            tokio::select! {
                it = watch(context, task.as_deref()) => it,
                _ = interrupt.recv() => Ok(INTERRUPTED),
            }
        }
        EventsCommand::Export { task, since } => {
            let task = full_id(context, task.as_deref()).await?;
            export(context, task, moment(since.as_deref())?).await
        }
    }
}

fn moment(text: Option<&str>) -> Result<Option<i64>, ApiError> {
    text.map(|it| parse_since(it, SystemClock.now()).map(|it| it.0)).transpose()
}

/// Returns the whole id that a prefix stands for. Events of a deleted task have none to look up,
/// so what is no prefix of anything is taken as it is.
async fn full_id(context: &Context, id: Option<&str>) -> Result<Option<String>, ApiError> {
    let Some(id) = id else { return Ok(None) };
    match context.client().await?.task(id).await {
        Ok(task) => Ok(Some(task.id)),
        Err(it)
            if it.kind == ErrorKind::NotFound
                && id.parse::<crate::domain::ids::TaskId>().is_ok() =>
        {
            Ok(Some(id.to_owned()))
        }
        Err(it) => Err(it),
    }
}

/// Prints every event, page by page, oldest first.
async fn export(context: &Context, task: Option<String>, since: Option<i64>) -> Done {
    let client = context.client().await?;
    let mut after = 0;
    loop {
        let query =
            HistoryQuery { task: task.clone(), after: Some(after), since, limit: Some(PAGE) };
        let page = client.history(&query).await?;
        for event in &page {
            context.out.json_line(event)?;
        }
        match page.last() {
            // A page that does not go forward would repeat for ever.
            Some(last) if after < last.seq => after = last.seq,
            _ => return Ok(0),
        }
    }
}

/// Prints events as they happen; after a restart of the dispatcher goes on where it was.
async fn watch(context: &Context, task: Option<&str>) -> Done {
    let task = full_id(context, task).await?;
    let mut since = None;
    let mut failures = 0;
    loop {
        let broken = match stream(context, task.as_deref(), &mut since, &mut failures).await {
            Ok(()) => ApiError::new(ErrorKind::Dispatcher, "the dispatcher went away"),
            Err(Failure::Api(it)) if it.kind == ErrorKind::Dispatcher => it,
            Err(it) => return Err(it),
        };
        failures += 1;
        if FAILURES_MAX < failures {
            return Err(broken.into());
        }
        sleep(AGAIN.after(failures)).await;
    }
}

async fn stream(
    context: &Context,
    task: Option<&str>,
    since: &mut Option<u64>,
    failures: &mut u32,
) -> Result<(), Failure> {
    let mut feed = context.client().await?.feed(*since).await?;
    while let Some(frame) = feed.next().await? {
        *failures = 0;
        match frame {
            Feed::Snapshot(snapshot) => {
                if since.is_some_and(|it| it < snapshot.seq) {
                    context
                        .out
                        .note("Some events were too many to be sent; see parhelia events list.");
                }
                *since = Some(snapshot.seq);
            }
            Feed::Budget(_) => (),
            Feed::Event(event) => {
                *since = Some(event.seq);
                if task.is_none_or(|it| it == event.task) {
                    print(context, &event)?;
                }
            }
        }
    }
    Ok(())
}

fn print(context: &Context, event: &EventView) -> Result<(), Failure> {
    match context.out.json {
        true => context.out.json_line(event),
        false => context.out.line(&render(event, context.out.paint)),
    }
}

fn render(event: &EventView, paint: Paint) -> String {
    let kind = one_line(&event.kind, 24);
    let kind_shown = match event.kind.as_str() {
        "failed" | "dispatch-failed" => paint.red(&pad(&kind, 15)),
        "completed" => paint.green(&pad(&kind, 15)),
        _ => pad(&kind, 15),
    };
    let head = paint.dim(&format!("{:>6} {}", event.seq, date_and_clock(event.at)));
    let task = one_line(&event.task, 40);
    format!("{head} {task} {kind_shown} {}", one_line(&event.text, FIELD_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::event::EventBody, stdx::time::Timestamp};

    #[test]
    fn an_event_is_one_safe_line() {
        let event = EventView {
            seq: 7,
            at: Timestamp(i64::MAX),
            task: "task-abcd2345".into(),
            kind: "noted".into(),
            text: "two\nlines \x1b[2J".into(),
            body: EventBody::Queued,
            view: None,
        };
        assert_eq!(
            render(&event, Paint { on: false }),
            "     7 ---------- --:--:-- task-abcd2345 noted           two lines \u{fffd}[2J"
        );
    }
}
