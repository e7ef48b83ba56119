//! The event stream and its past.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::Query,
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast::error::RecvError, mpsc};
use utoipa::IntoParams;

use crate::{
    api::{
        error::ApiError,
        types::{EventView, Snapshot},
        view::TaskView,
    },
    dispatcher::{
        core::{Published, store_error},
        http::{Answer, App, Ctx, budget, tasks},
    },
    domain::{event::Event, ids::TaskId},
    stdx::time::Timestamp,
    store::Query as Past,
};

/// Frames that may wait for one subscriber's socket; when full, the subscriber lags, and what it
/// misses is made up for by a snapshot.
const FRAMES_CAP: usize = 64;
/// Past events read from the store at a time while a subscriber catches up.
const CATCH_UP: usize = 500;
/// Past events given unless more are asked for.
const HISTORY_LIMIT: usize = 1000;

/// Where the stream begins.
#[derive(Debug, Deserialize, IntoParams)]
pub struct StreamParams {
    /// Begin after this event; left out, begin with a snapshot of what holds now.
    since: Option<u64>,
}

/// Which past events.
#[derive(Debug, Deserialize, IntoParams)]
pub struct HistoryParams {
    /// Only of this task.
    task: Option<String>,
    /// Only after this number.
    after: Option<u64>,
    /// Only what is newer, in milliseconds since the epoch.
    since: Option<i64>,
    /// At most so many: the oldest after `after` if that is given, else the newest.
    limit: Option<usize>,
}

/// Streams events as they are committed: server-sent events whose id is the event's number. A
/// subscriber that falls behind is sent one `snapshot` frame and goes on from there. Between them
/// come `budget` frames, without an id: a `BudgetView` at the beginning and whenever it changed.
#[utoipa::path(get, path = "/v1/events", params(StreamParams),
    responses((status = 200, content_type = "text/event-stream", body = EventView)))]
pub async fn stream(ctx: Ctx, Query(params): Query<StreamParams>) -> Response {
    let (frames, waiting) = mpsc::channel(FRAMES_CAP);
    tokio::spawn(pump(Arc::clone(&ctx), params.since, frames));
    let body = stream::unfold(waiting, async |mut waiting: mpsc::Receiver<Bytes>| {
        let frame = waiting.recv().await?;
        Some((Ok::<Bytes, Infallible>(frame), waiting))
    });
    let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    (kind, Body::from_stream(body)).into_response()
}

/// Why a subscriber is no longer served.
struct Gone;

async fn pump(app: Arc<App>, since: Option<u64>, frames: mpsc::Sender<Bytes>) {
    let mut live = app.core.subscribe();
    let mut end = app.end.subscribe();
    let begun = match since {
        Some(seq) => catch_up(&app, seq, &frames).await,
        None => snapshot(&app, &frames).await,
    };
    let Ok(mut seq) = begun else { return };
    // Whoever begins with a snapshot takes the first frame for it.
    tokio::spawn(budget::frames(Arc::clone(&app), frames.clone()));
    loop {
        let next = tokio::select! {
            next = live.recv() => next,
            () = frames.closed() => return,
            _ = end.changed() => return,
        };
        let sent = match next {
            Ok(published) if published.event.seq <= seq => Ok(seq),
            Ok(published) => publish(&published, &frames).await,
            Err(RecvError::Lagged(_)) => snapshot(&app, &frames).await,
            Err(RecvError::Closed) => return,
        };
        match sent {
            Ok(it) => seq = it,
            Err(Gone) => return,
        }
    }
}

async fn publish(published: &Published, frames: &mpsc::Sender<Bytes>) -> Result<u64, Gone> {
    let mut view = view(&published.event);
    view.view.clone_from(&published.view);
    send(frames, "event", view.seq, &view).await
}

/// Sends what holds now; returns the newest event it includes.
async fn snapshot(app: &App, frames: &mpsc::Sender<Bytes>) -> Result<u64, Gone> {
    let snapshot = app
        .core
        .read(|world| Snapshot {
            seq: world.seq,
            tasks: world.live().map(TaskView::from).collect(),
        })
        .await
        .map_err(|_| Gone)?;
    send(frames, "snapshot", snapshot.seq, &snapshot).await
}

/// Sends what the store holds after `seq`; returns the newest event sent.
async fn catch_up(app: &App, mut seq: u64, frames: &mpsc::Sender<Bytes>) -> Result<u64, Gone> {
    loop {
        let query = Past { after_seq: seq, limit: CATCH_UP, ..Past::default() };
        let past = app.store.events(query).await.map_err(|_| Gone)?;
        for event in &past.events {
            seq = send(frames, "event", event.seq, &view(event)).await?;
        }
        if past.events.len() < CATCH_UP {
            return Ok(seq);
        }
    }
}

async fn send(
    frames: &mpsc::Sender<Bytes>,
    kind: &str,
    seq: u64,
    value: &impl Serialize,
) -> Result<u64, Gone> {
    let data = serde_json::to_string(value).map_err(|_| Gone)?;
    let frame = format!("id: {seq}\nevent: {kind}\ndata: {data}\n\n");
    frames.send(frame.into()).await.map_err(|_| Gone)?;
    Ok(seq)
}

/// Returns past events, oldest first.
#[utoipa::path(get, path = "/v1/events/history", params(HistoryParams),
    responses((status = 200, body = Vec<EventView>), (status = 404, body = ApiError)))]
pub async fn history(ctx: Ctx, Query(params): Query<HistoryParams>) -> Answer<Vec<EventView>> {
    let task: Option<TaskId> = match params.task {
        Some(prefix) => Some(tasks::find(&ctx, prefix).await?.id),
        None => None,
    };
    // Who pages goes forward from where it was; who looks back wants what happened last.
    let newest_first = params.after.is_none();
    let query = Past {
        task,
        after_seq: params.after.unwrap_or(0),
        since: params.since.map(Timestamp),
        limit: params.limit.unwrap_or(HISTORY_LIMIT),
        newest_first,
        ..Past::default()
    };
    let past = ctx.store.events(query).await.map_err(|it| store_error(&it))?;
    let mut views: Vec<EventView> = past.events.iter().map(view).collect();
    views.sort_by_key(|it| it.seq);
    Ok(Json(views))
}

/// Returns an event as clients see it.
pub fn view(event: &Event) -> EventView {
    EventView {
        seq: event.seq,
        at: event.at,
        task: event.task.to_string(),
        kind: event.body.kind().to_owned(),
        text: event.body.describe(),
        body: event.body.clone(),
        view: None,
    }
}
