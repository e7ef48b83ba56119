//! The dispatcher's interface: routes over a unix socket. Thin: each handler asks the core, or a
//! part that drives a session, and turns the answer into JSON.

mod attach;
pub mod budget;
mod checkpoints;
mod diff;
mod events;
mod hooks;
mod log;
mod losses;
pub mod openapi;
mod readiness;
mod recovery;
mod sessions;
mod shell;
mod status;
mod tasks;
mod terminal;
pub mod workspace;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, FromRequest, Request, rejection::JsonRejection},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use serde::de::DeserializeOwned;
use tokio::{net::UnixListener, sync::watch};

use crate::{
    api::{
        REVISION, REVISION_HEADER, VERSION,
        error::{ApiError, ErrorKind},
        types::{PROMPT_MAX, VersionInfo},
    },
    config::settings::Settings,
    dispatcher::{Home, core::CoreHandle, host::Hosts, keeper::Keeper},
    stdx::time::{Clock, Timestamp},
    store::Store,
};

/// The largest request body: a prompt of [`PROMPT_MAX`] with every byte escaped, and room for the
/// rest.
const BODY_MAX: usize = 7 * PROMPT_MAX;

/// What handlers share.
pub struct App {
    /// The core.
    pub core: CoreHandle,
    /// The hosts that sessions are on.
    pub hosts: Hosts,
    /// The store, for reading.
    pub store: Store,
    /// The configuration it was started with.
    pub settings: Settings,
    /// Where it lives.
    pub home: Home,
    /// What makes and keeps checkpoints.
    pub keeper: Keeper,
    /// Sums of the ledger for those who look at the money.
    pub ledgered: budget::Ledgered,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Since when it runs.
    pub started_at: Timestamp,
    /// Set to end the dispatcher.
    pub end: watch::Sender<bool>,
}

type Ctx = axum::extract::State<Arc<App>>;
type Answer<T> = Result<Json<T>, Problem>;

/// An [`ApiError`] as a response.
pub struct Problem(pub ApiError);

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Problem {
        Problem(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.kind.http_status())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self.0)).into_response()
    }
}

/// A JSON body, refused in our own words.
pub struct Body<T>(pub T);

impl<T, S> FromRequest<S> for Body<T>
where
    Json<T>: FromRequest<S, Rejection = JsonRejection>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Body<T>, Problem> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(value)) => Ok(Body(value)),
            Err(error) => Err(Problem(ApiError::new(ErrorKind::Invalid, error.body_text()))),
        }
    }
}

/// A JSON body that may be left out.
pub struct MaybeBody<T>(pub T);

impl<T, S> FromRequest<S> for MaybeBody<T>
where
    T: Default + DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<MaybeBody<T>, Problem> {
        if !request.headers().contains_key(CONTENT_TYPE) {
            return Ok(MaybeBody(T::default()));
        }
        let Body(it) = Body::<Option<T>>::from_request(request, state).await?;
        Ok(MaybeBody(it.unwrap_or_default()))
    }
}

/// Builds the routes.
pub fn router(app: Arc<App>) -> Router {
    let task = Router::new()
        .route("/", get(tasks::show).delete(tasks::delete))
        .route("/why", get(tasks::why))
        .route("/losses", get(losses::losses))
        .route("/diff", get(diff::diff))
        .route("/prompt", get(tasks::prompt).post(sessions::prompt))
        .route("/answer", get(tasks::answer).post(sessions::answer))
        .route("/interrupt", post(sessions::interrupt))
        .route("/stop", post(tasks::stop))
        .route("/retry", post(tasks::retry))
        .route("/park", post(budget::park))
        .route("/unpark", post(budget::unpark))
        .route("/costs", get(budget::task_costs))
        .route("/turns", get(budget::task_turns))
        .route("/resume", post(recovery::resume))
        .route("/recovery", get(recovery::recovery))
        .route("/checkpoints", post(checkpoints::create))
        .route("/log", get(log::log))
        .route("/attach", get(attach::attach))
        .route("/shell", get(shell::shell));
    let checkpoint = Router::new()
        .route("/", get(checkpoints::show).patch(checkpoints::edit).delete(checkpoints::delete))
        .route("/files", get(checkpoints::files))
        .route("/restore", post(recovery::restore))
        .route("/fork", post(recovery::fork))
        .route("/diff", get(checkpoints::diff))
        .route("/export", get(checkpoints::export));
    Router::new()
        .route("/v1/version", get(version))
        .route("/v1/openapi.json", get(openapi::serve))
        .route("/v1/status", get(status::status))
        .route("/v1/shutdown", post(shutdown))
        .route("/v1/tasks", get(tasks::list).post(tasks::create))
        .route("/v1/tasks/dry-run", post(tasks::dry_run))
        .nest("/v1/tasks/{id}", task)
        .route("/v1/checkpoints", get(checkpoints::list))
        .route("/v1/checkpoints/prune", post(checkpoints::prune))
        .route("/v1/checkpoints/verify", post(checkpoints::verify))
        .nest("/v1/checkpoints/{id}", checkpoint)
        .route("/v1/budget", get(budget::show).post(budget::set))
        .route("/v1/budget/reset", post(budget::reset))
        .route("/v1/budget/costs", get(budget::costs))
        .route("/v1/budget/history", get(budget::history))
        .route("/v1/budget/entries", get(budget::entries))
        .route("/v1/budget/sources", get(budget::sources))
        .route("/v1/events", get(events::stream))
        .route("/v1/events/history", get(events::history))
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn(same_revision))
        .with_state(app)
}

/// Serves connections of this user until `end` is set.
pub async fn serve(listener: UnixListener, router: Router, mut end: watch::Receiver<bool>) {
    let me = rustix::process::geteuid().as_raw();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a connection");
                    // Out of descriptors, most likely; others must get a chance to close some.
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                }
            },
            _ = end.changed() => return,
        };
        match stream.peer_cred() {
            Ok(peer) if peer.uid() == me || peer.uid() == 0 => (),
            Ok(peer) => {
                tracing::warn!(uid = peer.uid(), "refused a connection of another user");
                continue;
            }
            Err(_) => continue,
        }
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // An error here is a client that went away.
            let _ = connection.with_upgrades().await;
        });
    }
}

/// Refuses clients of another revision, but for the question which revision this is and the wish
/// that it end.
async fn same_revision(request: Request, next: Next) -> Response {
    let theirs = revision(request.headers());
    let answered_to_all = ["/v1/version", "/v1/shutdown"].contains(&request.uri().path());
    if !answered_to_all && theirs.is_some_and(|it| it != REVISION) {
        return Problem(
            ApiError::new(
                ErrorKind::Dispatcher,
                format!("the dispatcher is parhelia {VERSION}, revision {REVISION}"),
            )
            .hint("restart it: parhelia daemon restart (tasks keep running)"),
        )
        .into_response();
    }
    next.run(request).await
}

fn revision(headers: &HeaderMap) -> Option<u32> {
    headers.get(REVISION_HEADER)?.to_str().ok()?.parse().ok()
}

/// Says who answers.
#[utoipa::path(get, path = "/v1/version", responses((status = 200, body = VersionInfo)))]
async fn version(ctx: Ctx) -> Json<VersionInfo> {
    Json(version_info(&ctx))
}

fn version_info(app: &App) -> VersionInfo {
    VersionInfo {
        version: VERSION.to_owned(),
        revision: REVISION,
        pid: rustix::process::getpid().as_raw_nonzero().get().unsigned_abs(),
        started_at: app.started_at,
        state_dir: app.home.state_dir.display().to_string(),
    }
}

/// Ends the dispatcher; sessions keep running.
#[utoipa::path(post, path = "/v1/shutdown", responses((status = 200)))]
async fn shutdown(ctx: Ctx) -> Json<()> {
    ctx.end.send_replace(true);
    Json(())
}

async fn unknown(request: Request) -> Problem {
    let path = crate::stdx::text::one_line(request.uri().path(), 100);
    Problem(ApiError::new(ErrorKind::NotFound, format!("no route {} {path}", request.method())))
}
