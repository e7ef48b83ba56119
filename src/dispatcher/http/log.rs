//! A task's log in three views: what the transcript says, what the dispatcher did, what the
//! terminal showed. A stream of JSON objects, one a line, read as it is written.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

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
    agent::{
        launch::RunDir,
        lines::Lines,
        transcript::{self, Entry},
    },
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
    shell::follow::{FollowRequest, Frame, Watch},
    stdx::time::{Timestamp, short},
    store::Query as Past,
    tmux::Capture,
};

/// Lines that may wait for a slow reader; past that reading waits with them.
const LINES_CAP: usize = 256;
/// Bytes read at once.
const CHUNK: usize = 256 * 1024;
/// Lines given unless more are asked for: a bound on memory, not on the log.
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
    let task = tasks::find(&ctx, id).await?;
    let (lines, waiting) = mpsc::channel(LINES_CAP);
    let out = Out { lines, since: params.since.map(Timestamp) };
    match params.view.as_str() {
        "activity" => activity(&ctx, &task, params, out).await?,
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

/// The transcripts of a task, in the order they were begun: `/clear` opens another.
async fn transcripts(app: &App, task: &Task) -> Result<Vec<HostPath>, ApiError> {
    let query = Past {
        task: Some(task.id.clone()),
        limit: usize::MAX,
        kinds: vec!["observed".into()],
        ..Past::default()
    };
    let past = app.store.events(query).await.map_err(|it| store_error(&it))?;
    let mut paths: Vec<HostPath> = Vec::new();
    for event in past.events {
        if let Some(path) = transcript_of(&event.body)
            && !paths.contains(&path)
        {
            paths.push(path);
        }
    }
    Ok(paths)
}

fn transcript_of(body: &crate::domain::event::EventBody) -> Option<HostPath> {
    use crate::domain::{event::EventBody, evidence::Observation};
    match body {
        EventBody::Observed {
            observation: Observation::ConversationStarted { transcript: Some(path), .. },
        } => Some(path.clone()),
        _ => None,
    }
}

async fn activity(app: &Ctx, task: &Task, params: LogParams, out: Out) -> Result<(), ApiError> {
    let (_, _, worker) = worker(app, task).await?;
    let mut live = app.core.subscribe();
    let paths = transcripts(app, task).await?;
    let tail = params.tail.unwrap_or(TAIL_MAX).min(TAIL_MAX);
    let mut reader = TranscriptReader { worker, files: Vec::new() };
    let mut kept: VecDeque<LogLine> = VecDeque::new();
    for path in paths {
        reader.files.push((path, Lines::new(0)));
        let last = reader.files.len() - 1;
        loop {
            let (lines, more) = reader.read(last).await.map_err(|it| host_error(&it))?;
            kept.extend(lines);
            while tail < kept.len() {
                kept.pop_front();
            }
            if !more {
                break;
            }
        }
    }
    let id = task.id.clone();
    let mut end = app.end.subscribe();
    tokio::spawn(async move {
        if !out.send_all(kept).await || !params.follow {
            return;
        }
        let Ok(mut follower) = reader.worker.shell.follow().await else { return };
        for (key, (path, lines)) in reader.files.iter().enumerate() {
            let watch = Watch::Appended { path: path.clone(), from: lines.next() };
            let _ = follower.requests.send(FollowRequest::Add(key as u64, watch)).await;
        }
        loop {
            tokio::select! {
                frame = follower.frames.recv() => match frame {
                    Some(Frame::Appended { key, offset, bytes }) => {
                        if !out.send_all(reader.take(key as usize, offset, &bytes)).await {
                            return;
                        }
                    }
                    Some(Frame::Truncated { .. } | Frame::Whole { .. }) => (),
                    Some(Frame::Lost { .. }) | None => return,
                },
                // A lag loses nothing here but the news of another transcript.
                published = live.recv() => if let Ok(published) = published
                    && published.event.task == id
                    && let Some(path) = transcript_of(&published.event.body)
                    && !reader.files.iter().any(|it| it.0 == path)
                {
                    let key = reader.files.len() as u64;
                    reader.files.push((path.clone(), Lines::new(0)));
                    let watch = Watch::Appended { path, from: 0 };
                    let _ = follower.requests.send(FollowRequest::Add(key, watch)).await;
                },
                () = out.lines.closed() => return,
                _ = end.changed() => return,
            }
        }
    });
    Ok(())
}

/// Reads transcripts into log lines.
struct TranscriptReader {
    worker: Worker,
    files: Vec<(HostPath, Lines)>,
}

impl TranscriptReader {
    /// Reads on in one file; tells whether there may be more.
    async fn read(
        &mut self,
        file: usize,
    ) -> Result<(Vec<LogLine>, bool), crate::shell::ShellError> {
        let Some((path, lines)) = self.files.get(file) else { return Ok((Vec::new(), false)) };
        let from = lines.next();
        let bytes = self.worker.shell.get(path, from, CHUNK).await?.unwrap_or_default();
        let more = bytes.len() == CHUNK;
        Ok((self.take(file, from, &bytes), more))
    }

    fn take(&mut self, file: usize, offset: u64, bytes: &[u8]) -> Vec<LogLine> {
        let Some((_, lines)) = self.files.get_mut(file) else { return Vec::new() };
        lines.push(offset, bytes).iter().flat_map(|it| log_lines(&it.bytes)).collect()
    }
}

fn log_lines(line: &[u8]) -> Vec<LogLine> {
    let Some(line) = transcript::parse(line) else { return Vec::new() };
    let at = line.at;
    let log = |entry: Entry| {
        let (kind, text) = show(entry);
        LogLine { at, kind: kind.to_owned(), text }
    };
    line.entries.into_iter().map(log).collect()
}

fn show(entry: Entry) -> (&'static str, String) {
    match entry {
        Entry::User { text } => ("you", text),
        Entry::Text { text } => ("text", text),
        Entry::Thinking { text } => ("think", text),
        Entry::ToolUse { name, summary } => ("tool", format!("{name} {summary}")),
        Entry::ToolResult { ok: true, head } => ("out", head),
        Entry::ToolResult { ok: false, head } => ("fail", head),
        Entry::Interrupted => ("note", "interrupted".to_owned()),
        Entry::ApiError { text } => ("fail", text),
        Entry::Compacted { before, after } => {
            let tokens = |it: Option<u64>| it.map_or("?".to_owned(), |it| it.to_string());
            ("note", format!("compacted from {} to {} tokens", tokens(before), tokens(after)))
        }
        Entry::HookError { event, command, detail } => {
            ("hook", format!("{event} hook failed: {command}: {detail}"))
        }
        Entry::HookTimeout { event, command } => {
            ("hook", format!("{event} hook took too long: {command}"))
        }
        Entry::TurnDuration { millis } => {
            ("note", format!("turn took {}", short(Duration::from_millis(millis))))
        }
        Entry::Notice { text } => ("note", text),
    }
}

async fn events(app: &Ctx, task: &Task, params: LogParams, out: Out) -> Result<(), ApiError> {
    let mut live = app.core.subscribe();
    let query = Past {
        task: Some(task.id.clone()),
        since: params.since.map(Timestamp),
        limit: params.tail.unwrap_or(TAIL_MAX).min(TAIL_MAX),
        newest_first: true,
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
        };
        let seq = past.last().map_or(0, |it| it.seq);
        if !out.send_all(past.iter().map(line)).await || !params.follow {
            return;
        }
        loop {
            let published = tokio::select! {
                published = live.recv() => published,
                () = out.lines.closed() => return,
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
        .map(|it| LogLine { at: None, kind: "raw".to_owned(), text: (*it).to_owned() })
        .collect();
    tokio::spawn(async move {
        out.send_all(lines).await;
    });
    Ok(())
}
