//! What a checkpoint differs by from another, or from what is there now.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, Query},
};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    api::{
        checkpoints::{ChangeView, CheckpointDiff},
        error::{ApiError, ErrorKind},
        types::{Diff, DiffFile},
    },
    checkpoint::{
        NOTHING,
        repo::{Difference, Repo},
    },
    dispatcher::{
        http::{Answer, App, Ctx},
        keeper::checkpoint_error,
    },
    domain::{checkpoint::Checkpoint, event::Tokens, usd::Usd},
    git::diff::FileDifference,
    store::CheckpointQuery,
};

/// How long looking at what is there now may take.
const LIMIT: Duration = Duration::from_secs(120);

/// What to compare with.
#[derive(Debug, Deserialize, IntoParams)]
pub struct CompareParams {
    /// `previous` (the checkpoint before this one), `now`, or another checkpoint's id.
    #[serde(default = "previous")]
    to: String,
}

fn previous() -> String {
    "previous".into()
}

/// What was used by then.
#[derive(Clone, Copy, Default)]
struct Used {
    turns: u32,
    tokens: Tokens,
    cost: Usd,
}

impl Used {
    fn of(row: &Checkpoint) -> Used {
        Used { turns: row.turns, tokens: row.tokens, cost: row.cost }
    }
}

/// One side of a comparison.
struct Side {
    name: String,
    tree: String,
    used: Used,
}

impl Side {
    fn of(row: &Checkpoint) -> Side {
        Side { name: row.id.to_string(), tree: row.commit.clone(), used: Used::of(row) }
    }
}

/// Compares a checkpoint with another state of its workspace.
#[utoipa::path(get, path = "/v1/checkpoints/{id}/diff",
    params(("id" = String, Path), CompareParams),
    responses((status = 200, body = CheckpointDiff), (status = 404, body = ApiError),
        (status = 409, body = ApiError), (status = 507, body = ApiError)))]
pub async fn diff(
    ctx: Ctx,
    Path(id): Path<String>,
    Query(params): Query<CompareParams>,
) -> Answer<CheckpointDiff> {
    let row = ctx.keeper.find(&id).await?;
    let (from, to, difference) = match params.to.as_str() {
        "now" => now(&ctx, &row).await?,
        "previous" => {
            let repo = ctx.keeper.readable(&row).await?.repo;
            let from = match before(&ctx, &row).await? {
                Some(it) => Side::of(&it),
                None => {
                    Side { name: "nothing".into(), tree: NOTHING.into(), used: Used::default() }
                }
            };
            compared(&repo, from, Side::of(&row)).await?
        }
        other => {
            let other = ctx.keeper.find(other).await?;
            let repo = shared(&ctx, &row, &other).await?;
            compared(&repo, Side::of(&row), Side::of(&other)).await?
        }
    };
    Ok(Json(answer(&from, &to, difference)))
}

async fn compared(repo: &Repo, from: Side, to: Side) -> Result<(Side, Side, Difference), ApiError> {
    let found = repo.diff(&from.tree, &to.tree).await.map_err(|it| checkpoint_error(&it))?;
    Ok((from, to, found))
}

/// Returns the checkpoint before `row`, as far as that is there: what it was made after, or what
/// is left of those before it.
async fn before(app: &Arc<App>, row: &Checkpoint) -> Result<Option<Checkpoint>, ApiError> {
    let query = CheckpointQuery {
        task: Some(row.task.clone()),
        before: Some(row.at),
        ..CheckpointQuery::default()
    };
    let mut older = app.keeper.query(query).await?;
    let parent = older.iter().position(|it| Some(&it.id) == row.parent.as_ref());
    let whole = || older.iter().position(|it| it.damage.is_none());
    Ok(parent.or_else(whole).map(|at| older.swap_remove(at)))
}

/// Returns a repository that holds both.
async fn shared(app: &Arc<App>, one: &Checkpoint, other: &Checkpoint) -> Result<Repo, ApiError> {
    let repo = app.keeper.readable(one).await?.repo;
    if repo.has(&other.commit).await.map_err(|it| checkpoint_error(&it))? {
        return Ok(repo);
    }
    let repo = app.keeper.readable(other).await?.repo;
    if repo.has(&one.commit).await.map_err(|it| checkpoint_error(&it))? {
        return Ok(repo);
    }
    let message = format!("{} and {} are not in one place yet", one.id, other.id);
    Err(ApiError::new(ErrorKind::Conflict, message)
        .hint("one of them is on its host only and will be fetched: try again"))
}

async fn now(app: &Arc<App>, row: &Checkpoint) -> Result<(Side, Side, Difference), ApiError> {
    let keeper = &app.keeper;
    let Some(task) = keeper.task(&row.task).await? else {
        let message = format!("{} is deleted, so it has no workspace now", row.task);
        return Err(ApiError::new(ErrorKind::Conflict, message)
            .hint("compare it with another checkpoint, or with `previous`"));
    };
    let _held = keeper.lock(&task.id).await;
    let place = keeper.place(&task).await?;
    let shadow = &place.shadow;
    let failed = |it| checkpoint_error(&it);
    let there = shadow.repo.has(&row.commit).await.map_err(failed)?;
    if !there && row.is_here() {
        let (id, near) = (&row.id, place.is_near());
        keeper.vault().send(shadow, id, &row.commit, near, LIMIT).await.map_err(failed)?;
    }
    let rules = keeper.rules(false);
    let tree = shadow.now(&place.workspace, &rules, LIMIT).await.map_err(failed)?;
    let used = Used { turns: task.usage.turns, tokens: task.usage.tokens, cost: task.usage.model };
    let to = Side { name: "now".into(), tree, used };
    compared(&shadow.repo, Side::of(row), to).await
}

fn answer(from: &Side, to: &Side, difference: Difference) -> CheckpointDiff {
    let Difference { change, files, text, cut } = difference;
    let between = |a: u64, b: u64| i64::try_from(i128::from(b) - i128::from(a)).unwrap_or(i64::MAX);
    let tokens = |it: &Tokens| it.input.saturating_add(it.output);
    let (a, b) = (&from.used, &to.used);
    let count = change.added.saturating_add(change.modified).saturating_add(change.deleted);
    CheckpointDiff {
        from: from.name.clone(),
        to: to.name.clone(),
        change: ChangeView::from(change),
        turns: between(a.turns.into(), b.turns.into()),
        tokens: between(tokens(&a.tokens), tokens(&b.tokens)),
        cost_usd: (b.cost - a.cost).dollars(),
        diff: Diff {
            base: from.name.clone(),
            stat: files.into_iter().map(file).collect(),
            files: u32::try_from(count).unwrap_or(u32::MAX),
            text,
            cut,
        },
    }
}

fn file(file: FileDifference) -> DiffFile {
    let (added, removed) = file.lines.unwrap_or_default();
    let now = file.now.map(str::to_owned);
    let binary = file.lines.is_none();
    DiffFile { path: file.path, added, removed, binary, status: file.status, now }
}
