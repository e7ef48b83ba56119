//! The description of the interface. `assets/openapi.json` is the same, checked in, so that a
//! change of the interface shows in review; a test compares them.

use axum::Json;
use utoipa::OpenApi;

use crate::{
    api::{
        error::ApiError,
        types::{EventView, LogLine, Snapshot},
    },
    dispatcher::http::{
        attach, budget, checkpoints, diff, events, log, losses, recovery, sessions, shell, status,
        tasks,
    },
};

/// The interface of the dispatcher.
#[derive(OpenApi)]
#[openapi(
    info(title = "Parhelia dispatcher", description = "HTTP over the unix socket of one user."),
    paths(
        crate::dispatcher::http::version,
        crate::dispatcher::http::shutdown,
        tasks::create,
        tasks::dry_run,
        tasks::list,
        tasks::show,
        tasks::why,
        losses::losses,
        diff::diff,
        tasks::prompt,
        tasks::answer,
        tasks::stop,
        tasks::retry,
        tasks::delete,
        recovery::restore,
        recovery::fork,
        recovery::resume,
        recovery::recovery,
        sessions::prompt,
        sessions::interrupt,
        sessions::answer,
        checkpoints::create,
        checkpoints::list,
        checkpoints::show,
        checkpoints::edit,
        checkpoints::delete,
        checkpoints::files,
        checkpoints::diff,
        checkpoints::export,
        checkpoints::prune,
        checkpoints::verify,
        budget::show,
        budget::set,
        budget::reset,
        budget::costs,
        budget::history,
        budget::entries,
        budget::sources,
        budget::task_costs,
        budget::task_turns,
        budget::park,
        budget::unpark,
        log::log,
        attach::attach,
        shell::shell,
        events::stream,
        events::history,
        status::status,
    ),
    components(schemas(ApiError, EventView, LogLine, Snapshot))
)]
struct Description;

/// Returns the description as JSON text with a last newline.
pub fn text() -> String {
    let mut text = Description::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// Returns the description.
pub async fn serve() -> Json<utoipa::openapi::OpenApi> {
    Json(Description::openapi())
}
