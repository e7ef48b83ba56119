//! Checkpoints: make, list, look into, name, pin, delete. Bringing back is elsewhere.

mod compare;
mod export;
mod upkeep;

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, Query},
};

use crate::{
    api::{
        checkpoints::{
            CheckpointDetail, CheckpointFile, CheckpointFiles, CheckpointList, CheckpointView,
            CreateCheckpoint, EditCheckpoint, LeftOutView,
        },
        client::CheckpointsQuery,
        error::{ApiError, ErrorKind},
    },
    checkpoint::{
        meta::{Meta, UnitKind},
        repo::File,
    },
    dispatcher::{
        decide::{not_found, resolve},
        http::{Answer, App, Body, Ctx, tasks},
        keeper::checkpoint_error,
    },
    domain::{
        checkpoint::{Checkpoint, Trigger},
        event::EventBody,
        ids::TaskId,
    },
    stdx::{text::one_line, time::Timestamp},
    store::CheckpointQuery,
};

pub use compare::{__path_diff, diff};
pub use export::{__path_export, export};
pub use upkeep::{__path_prune, __path_verify, prune, verify};

/// How long one that a person asked for may take.
const MAKE_LIMIT: Duration = Duration::from_secs(540);
/// Checkpoints listed unless more are asked for.
const LIST_LIMIT: usize = 1000;
/// Files listed of a checkpoint; more are counted.
const FILES_MAX: usize = 20_000;
/// The longest path shown, in characters.
const PATH_MAX: usize = 1000;
/// The longest label, in characters.
const LABEL_MAX: usize = 200;

/// Does `work` to its end, whether or not the client waits for it: half of it must not be done.
async fn to_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
) -> Result<T, ApiError> {
    match tokio::spawn(work).await {
        Ok(result) => result,
        Err(error) => Err(ApiError::new(ErrorKind::Internal, error.to_string())),
    }
}

/// Saves a task now, whether or not anything changed.
#[utoipa::path(post, path = "/v1/tasks/{id}/checkpoints", params(("id" = String, Path)),
    request_body = CreateCheckpoint,
    responses((status = 200, body = CheckpointView), (status = 404, body = ApiError),
        (status = 409, body = ApiError), (status = 502, body = ApiError)))]
pub async fn create(
    ctx: Ctx,
    Path(id): Path<String>,
    Body(what): Body<CreateCheckpoint>,
) -> Answer<CheckpointView> {
    let task = tasks::find(&ctx, id).await?;
    let keeper = ctx.keeper.clone();
    let made = to_end(async move {
        let made = keeper.save(&task, Trigger::Manual, &what, MAKE_LIMIT).await?;
        let none = || {
            let message = format!("nothing of {} differs from its newest checkpoint", task.id);
            ApiError::new(ErrorKind::Conflict, message)
        };
        made.ok_or_else(none)
    });
    Ok(Json(CheckpointView::from(&made.await?)))
}

/// Lists checkpoints, newest first.
#[utoipa::path(get, path = "/v1/checkpoints", params(CheckpointsQuery),
    responses((status = 200, body = CheckpointList), (status = 404, body = ApiError)))]
pub async fn list(ctx: Ctx, Query(params): Query<CheckpointsQuery>) -> Answer<CheckpointList> {
    let task = match &params.task {
        Some(prefix) => Some(task(&ctx, prefix).await?),
        None => None,
    };
    let query = CheckpointQuery {
        task,
        before: params.before.map(Timestamp),
        limit: Some(params.limit.unwrap_or(LIST_LIMIT)),
        ..CheckpointQuery::default()
    };
    let rows = ctx.keeper.query(query).await?;
    let checkpoints = rows.iter().map(CheckpointView::from).collect();
    Ok(Json(CheckpointList { checkpoints, store_bytes: ctx.keeper.size().await }))
}

/// Finds the task whose id starts with `prefix`, which may be deleted if it has checkpoints.
async fn task(app: &Arc<App>, prefix: &str) -> Result<TaskId, ApiError> {
    let start = if prefix.starts_with(TaskId::PREFIX) {
        prefix.to_owned()
    } else {
        format!("{}{prefix}", TaskId::PREFIX)
    };
    let wanted = prefix.to_owned();
    let known = app.core.read(move |world| {
        let ids = world.by_prefix(&wanted).into_iter().map(|it| it.id.clone());
        ids.collect::<Vec<_>>()
    });
    let known = known.await?;
    let mut ids = known.clone();
    if known.len() != 1 {
        let rows = app.keeper.query(CheckpointQuery::default()).await?;
        ids.extend(rows.into_iter().map(|it| it.task).filter(|it| it.as_str().starts_with(&start)));
        ids.sort();
        ids.dedup();
    }
    match ids.len() {
        1 => Ok(ids.remove(0)),
        0 => {
            let prefix = prefix.to_owned();
            Err(app.core.read(move |world| not_found(world, &prefix)).await?)
        }
        _ if 1 < known.len() => {
            let prefix = prefix.to_owned();
            app.core.read(move |world| resolve(world, &prefix).map(|it| it.id.clone())).await?
        }
        rivals => {
            let shown = one_line(prefix, 60);
            let among: Vec<&str> = ids.iter().take(5).map(TaskId::as_str).collect();
            let message = format!("`{shown}` is the start of {rivals} task ids");
            Err(ApiError::new(ErrorKind::Invalid, message)
                .hint(format!("among them {}", among.join(", "))))
        }
    }
}

/// Returns a checkpoint with all that is in it but the files.
#[utoipa::path(get, path = "/v1/checkpoints/{id}", params(("id" = String, Path)),
    responses((status = 200, body = CheckpointDetail), (status = 404, body = ApiError),
        (status = 507, body = ApiError)))]
pub async fn show(ctx: Ctx, Path(id): Path<String>) -> Answer<CheckpointDetail> {
    let row = ctx.keeper.find(&id).await?;
    let found = ctx.keeper.readable(&row).await?;
    let (meta, beside) =
        tokio::try_join!(found.repo.meta(&row.commit), found.repo.beside(&row.commit))
            .map_err(|it| checkpoint_error(&it))?;
    Ok(Json(detail(&row, &meta, beside, &found.places)))
}

fn detail(
    row: &Checkpoint,
    meta: &Meta,
    beside: Vec<String>,
    places: &[&'static str],
) -> CheckpointDetail {
    let left_out = meta.left_out.iter().map(|it| LeftOutView {
        path: shown(&it.path),
        why: it.why.as_str().to_owned(),
        bytes: it.bytes,
    });
    let nested = meta.units.iter().filter(|it| it.kind == UnitKind::Work);
    CheckpointDetail {
        checkpoint: CheckpointView::from(row),
        left_out: left_out.collect(),
        beside: beside.iter().map(|it| one_line(it, PATH_MAX)).collect(),
        env: meta.facts.env.keys().map(|it| one_line(it, PATH_MAX)).collect(),
        staged: meta.position.as_ref().is_some_and(|it| it.staged),
        nested: nested.map(|it| shown(&it.path)).collect(),
        places: places.iter().map(|it| (*it).to_owned()).collect(),
    }
}

/// Returns a path fit to show.
fn shown(path: &[u8]) -> String {
    one_line(&String::from_utf8_lossy(path), PATH_MAX)
}

/// Lists the files of a checkpoint.
#[utoipa::path(get, path = "/v1/checkpoints/{id}/files", params(("id" = String, Path)),
    responses((status = 200, body = CheckpointFiles), (status = 404, body = ApiError),
        (status = 507, body = ApiError)))]
pub async fn files(ctx: Ctx, Path(id): Path<String>) -> Answer<CheckpointFiles> {
    let row = ctx.keeper.find(&id).await?;
    let repo = ctx.keeper.readable(&row).await?.repo;
    let (files, count) =
        repo.files(&row.commit, FILES_MAX).await.map_err(|it| checkpoint_error(&it))?;
    Ok(Json(CheckpointFiles { files: files.iter().map(file).collect(), count }))
}

fn file(file: &File) -> CheckpointFile {
    let kind = match file.mode {
        0o100_755 => "program",
        0o120_000 => "link",
        0o160_000 => "repository",
        _ => "file",
    };
    CheckpointFile { path: shown(&file.path), kind: kind.to_owned(), bytes: file.bytes }
}

/// Names or pins a checkpoint.
#[utoipa::path(patch, path = "/v1/checkpoints/{id}", params(("id" = String, Path)),
    request_body = EditCheckpoint,
    responses((status = 200, body = CheckpointView), (status = 404, body = ApiError)))]
pub async fn edit(
    ctx: Ctx,
    Path(id): Path<String>,
    Body(edit): Body<EditCheckpoint>,
) -> Answer<CheckpointView> {
    let mut row = ctx.keeper.find(&id).await?;
    if let Some(label) = &edit.label {
        let label = Some(one_line(label, LABEL_MAX)).filter(|it| !it.is_empty());
        let named = |row: &mut Checkpoint| {
            if row.label == label {
                return None;
            }
            row.label.clone_from(&label);
            Some(EventBody::CheckpointLabelled { id: row.id.clone(), label })
        };
        row = ctx.keeper.change(&row.id, named).await?;
    }
    if let Some(pinned) = edit.pinned {
        let pin = |row: &mut Checkpoint| {
            if std::mem::replace(&mut row.pinned, pinned) == pinned {
                return None;
            }
            Some(EventBody::CheckpointPinned { id: row.id.clone(), pinned })
        };
        row = ctx.keeper.change(&row.id, pin).await?;
    }
    Ok(Json(CheckpointView::from(&row)))
}

/// Deletes a checkpoint, pinned or not, and returns what it was.
#[utoipa::path(delete, path = "/v1/checkpoints/{id}", params(("id" = String, Path)),
    responses((status = 200, body = CheckpointView), (status = 404, body = ApiError)))]
pub async fn delete(ctx: Ctx, Path(id): Path<String>) -> Answer<CheckpointView> {
    let row = ctx.keeper.find(&id).await?;
    let keeper = ctx.keeper.clone();
    let view = CheckpointView::from(&row);
    to_end(async move { keeper.delete(&row, "by a person").await }).await?;
    Ok(Json(view))
}
