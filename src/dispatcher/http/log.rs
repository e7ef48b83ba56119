//! A task's log in three views: what the transcript says, what the dispatcher did, what the
//! terminal showed. A stream of JSON objects, one a line, read as it is written.

mod activity;

use std::convert::Infallible;

use axum::{
    body::{Body, Bytes},
    extract::{Path, Query},
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::mpsc;
use utoipa::IntoParams;

use crate::{
    agent::launch::RunDir,
    api::{
        error::{ApiError, ErrorKind},
        types::LogLine,
    },
    dispatcher::{
        core::store_error,
        http::{App, Ctx, Problem, tasks},
        session::{Live, host_error},
    },
    domain::{
        ids::HostPath,
        task::{Place, Task},
    },
    provider::Worker,
    stdx::time::Timestamp,
    store::Query as Past,
    tmux::Capture,
};

/// Lines that may wait for a slow reader; past that reading waits with them.
const LINES_CAP: usize = 256;
/// Events and lines of the terminal given at most: a bound on memory, not on the log.
const TAIL_MAX: usize = 100_000;

/// Which part of a log.
#[derive(Clone, Debug, Deserialize, IntoParams)]
pub struct LogParams {
    /// `activity` (the transcript), `events` (the dispatcher) or `raw` (the terminal).
    view: String,
    /// Only the last so many lines.
    tail: Option<usize>,
    /// Only what is newer, in milliseconds since the epoch.
    since: Option<i64>,
    /// Whether to wait for more.
    #[serde(default)]
    follow: bool,
    /// Only what stands before this line, by its `pos`; with `tail` the page before it.
    before: Option<u64>,
}

/// Reads a task's log.
#[utoipa::path(get, path = "/v1/tasks/{id}/log", params(("id" = String, Path), LogParams),
    responses((status = 200, content_type = "application/x-ndjson", body = LogLine),
        (status = 404, body = ApiError)))]
pub async fn log(
    ctx: Ctx,
    Path(id): Path<String>,
    Query(params): Query<LogParams>,
) -> Result<Response, Problem> {
    if params.before.is_some() && (params.follow || params.view == "raw") {
        let what = if params.follow { "waits for more" } else { "of the terminal" };
        let message = format!("`before` is of no use in a log {what}");
        return Err(ApiError::new(ErrorKind::Invalid, message).into());
    }
    let task = tasks::find(&ctx, id).await?;
    let (lines, waiting) = mpsc::channel(LINES_CAP);
    let out = Out { lines, since: params.since.map(Timestamp) };
    match params.view.as_str() {
        "activity" => activity::activity(&ctx, &task, params, out).await?,
        "events" => events(&ctx, &task, params, out).await?,
        "raw" => raw(&ctx, &task, &params, out).await?,
        other => {
            let shown = crate::stdx::text::one_line(other, 40);
            return Err(ApiError::new(ErrorKind::Invalid, format!("`{shown}` is no view"))
                .hint("use activity, events or raw")
                .into());
        }
    }
    let body = stream::unfold(waiting, async |mut waiting: mpsc::Receiver<Bytes>| {
        let line = waiting.recv().await?;
        Some((Ok::<Bytes, Infallible>(line), waiting))
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(body)).into_response())
}

/// Where lines go.
#[derive(Clone)]
struct Out {
    lines: mpsc::Sender<Bytes>,
    since: Option<Timestamp>,
}

impl Out {
    /// Sends a line; tells whether anybody still reads.
    async fn send(&self, line: &LogLine) -> bool {
        if self.since.is_some_and(|since| line.at.is_some_and(|at| at < since)) {
            return true;
        }
        let Ok(mut text) = serde_json::to_vec(line) else { return true };
        text.push(b'\n');
        self.lines.send(text.into()).await.is_ok()
    }

    /// Resolves when nobody reads any more.
    async fn closed(&self) {
        self.lines.closed().await;
    }

    async fn send_all(&self, lines: impl IntoIterator<Item = LogLine>) -> bool {
        for line in lines {
            if !self.send(&line).await {
                return false;
            }
        }
        true
    }
}

async fn worker(app: &App, task: &Task) -> Result<(Place, HostPath, Worker), ApiError> {
    let none = || {
        ApiError::new(
            ErrorKind::Conflict,
            format!("{} has no log yet: it was never started", task.id),
        )
    };
    let place = task.place.clone().ok_or_else(none)?;
    let run_dir = place.run_dir.clone().ok_or_else(none)?;
    let worker = app.hosts.worker(&place, &task.spec.requirements).await?;
    Ok((place, run_dir, worker))
}

async fn events(app: &Ctx, task: &Task, params: LogParams, out: Out) -> Result<(), ApiError> {
    let mut live = app.core.subscribe();
    let query = Past {
        task: Some(task.id.clone()),
        since: params.since.map(Timestamp),
        limit: params.tail.unwrap_or(TAIL_MAX).min(TAIL_MAX),
        newest_first: true,
        before: params.before,
        ..Past::default()
    };
    let mut past = app.store.events(query).await.map_err(|it| store_error(&it))?.events;
    past.sort_by_key(|it| it.seq);
    let id = task.id.clone();
    let mut end = app.end.subscribe();
    tokio::spawn(async move {
        let line = |event: &crate::domain::event::Event| LogLine {
            at: Some(event.at),
            kind: "event".to_owned(),
            text: format!("{} {}", event.body.kind(), event.body.describe()),
            pos: Some(event.seq),
        };
        let seq = past.last().map_or(0, |it| it.seq);
        if !out.send_all(past.iter().map(line)).await || !params.follow {
            return;
        }
        loop {
            let published = tokio::select! {
                published = live.recv() => published,
                () = out.closed() => return,
                _ = end.changed() => return,
            };
            let Ok(published) = published else { return };
            let event = &published.event;
            if event.task == id && seq < event.seq && !out.send(&line(event)).await {
                return;
            }
        }
    });
    Ok(())
}

/// What the terminal shows, or showed at the end.
async fn raw(app: &Ctx, task: &Task, params: &LogParams, out: Out) -> Result<(), ApiError> {
    let (_, run_dir, worker) = worker(app, task).await?;
    let bytes = if task.state.session().is_some() {
        let live = Live::of(app, task).await?;
        let capture = Capture { history: true, escapes: true };
        live.tmux.capture(&live.name, capture).await.map_err(|it| live.tmux_error(&it))?
    } else {
        let screen = RunDir::new(&run_dir, task.attempts).screen();
        let read = worker.shell.get(&screen, 0, 64 * 1024 * 1024).await;
        read.map_err(|it| host_error(&it))?.unwrap_or_default()
    };
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let skip = lines.len().saturating_sub(params.tail.unwrap_or(TAIL_MAX));
    let lines: Vec<LogLine> = lines[skip..]
        .iter()
        .map(|it| LogLine { at: None, kind: "raw".to_owned(), text: (*it).to_owned(), pos: None })
        .collect();
    tokio::spawn(async move {
        out.send_all(lines).await;
    });
    Ok(())
}
