//! The ledger's rows, as they are.

use axum::{Json, extract::Query};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    api::{
        budget::{Entries, EntryView},
        error::{ApiError, ErrorKind},
    },
    dispatcher::{
        core::store_error,
        http::{Answer, Ctx},
    },
    domain::ids::TaskId,
    stdx::{text::one_line, time::Timestamp},
    store::ledger::EntryQuery,
};

/// Entries in a page.
const PAGE: usize = 1000;

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct EntriesParams {
    /// Only of this task, which may be deleted: its whole id.
    task: Option<String>,
    /// Only after this number; the last of a page gives the next page.
    after: Option<u64>,
    /// Of what ended after this, in milliseconds since the epoch.
    from: Option<i64>,
    /// Of what ended by then.
    to: Option<i64>,
}

/// Returns entries of the ledger in the order in which they were made, at most 1000 at a time.
#[utoipa::path(get, path = "/v1/budget/entries", params(EntriesParams),
    responses((status = 200, body = Entries), (status = 400, body = ApiError)))]
pub async fn entries(ctx: Ctx, Query(params): Query<EntriesParams>) -> Answer<Entries> {
    let query = EntryQuery {
        task: params.task.as_deref().map(whole_id).transpose()?,
        after: params.after.unwrap_or(0),
        from: params.from.map(Timestamp),
        to: params.to.map(Timestamp),
        limit: Some(PAGE + 1),
    };
    let rows = ctx.store.entries(query).await.map_err(|it| store_error(&it))?;
    let more = PAGE < rows.len();
    Ok(Json(Entries { entries: rows.iter().take(PAGE).map(EntryView::from).collect(), more }))
}

fn whole_id(text: &str) -> Result<TaskId, ApiError> {
    text.parse().map_err(|_| {
        let what = format!("`{}` is not the whole id of a task", one_line(text, 60));
        ApiError::new(ErrorKind::Invalid, what)
    })
}
