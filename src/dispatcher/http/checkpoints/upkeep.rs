//! Letting go of checkpoints, and seeing whether they are whole.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::Json;

use crate::{
    api::{
        checkpoints::{CheckpointView, Prune, Pruned, Verified, VerifiedOne, Verify},
        error::ApiError,
    },
    checkpoint::retention::{Policy, expired},
    dispatcher::{
        http::{
            Answer, App, Body, Ctx,
            checkpoints::{task, to_end},
        },
        keeper::{Keeper, checkpoint_error},
    },
    domain::{
        checkpoint::Checkpoint,
        ids::{CheckpointId, TaskId},
    },
    store::CheckpointQuery,
};

/// Deletes checkpoints by age and number, and gives their space back.
#[utoipa::path(post, path = "/v1/checkpoints/prune", request_body = Prune,
    responses((status = 200, body = Pruned), (status = 404, body = ApiError)))]
pub async fn prune(ctx: Ctx, Body(what): Body<Prune>) -> Answer<Pruned> {
    let mut policy = ctx.keeper.policy();
    if let Some(seconds) = what.older_than_seconds {
        policy = Policy { max_per_session: u32::MAX, keep: Duration::from_secs(seconds) };
    }
    let of = match &what.task {
        Some(prefix) => Some(task(&ctx, prefix).await?),
        None => None,
    };
    let going = going(&ctx, of, &policy).await?;
    let checkpoints = going.iter().map(|it| CheckpointView::from(&it.0)).collect();
    let keeper = ctx.keeper.clone();
    let freed_bytes = match what.dry_run {
        true => 0,
        false => to_end(async move { let_go(&keeper, going).await }).await?,
    };
    let store_bytes = ctx.keeper.size().await;
    Ok(Json(Pruned { checkpoints, freed_bytes, store_bytes, dry_run: what.dry_run }))
}

/// Returns the checkpoints that are past keeping, and why.
async fn going(
    app: &Arc<App>,
    of: Option<TaskId>,
    policy: &Policy,
) -> Result<Vec<(Checkpoint, String)>, ApiError> {
    let query = CheckpointQuery { task: of, ..CheckpointQuery::default() };
    let mut by_task: BTreeMap<TaskId, Vec<Checkpoint>> = BTreeMap::new();
    for row in app.keeper.query(query).await? {
        by_task.entry(row.task.clone()).or_default().push(row);
    }
    let now = app.clock.now();
    let mut going = Vec::new();
    for (task, mut rows) in by_task {
        let live = app.keeper.task(&task).await?.is_some();
        for (id, why) in expired(&rows, policy, live, now) {
            if let Some(at) = rows.iter().position(|it| it.id == id) {
                going.push((rows.swap_remove(at), why));
            }
        }
    }
    Ok(going)
}

async fn let_go(keeper: &Keeper, going: Vec<(Checkpoint, String)>) -> Result<u64, ApiError> {
    for (row, why) in &going {
        keeper.delete(row, why).await?;
    }
    // Also what was deleted before and not given back yet.
    keeper.collect().await
}

/// Reads checkpoints whole and checks them against their hashes.
#[utoipa::path(post, path = "/v1/checkpoints/verify", request_body = Verify,
    responses((status = 200, body = Verified), (status = 404, body = ApiError)))]
pub async fn verify(ctx: Ctx, Body(what): Body<Verify>) -> Answer<Verified> {
    let rows = match (&what.checkpoint, &what.task) {
        (Some(id), _) => vec![ctx.keeper.find(id).await?],
        (None, prefix) => {
            let task = match prefix {
                Some(prefix) => Some(task(&ctx, prefix).await?),
                None => None,
            };
            ctx.keeper.query(CheckpointQuery { task, ..CheckpointQuery::default() }).await?
        }
    };
    let mut checkpoints = Vec::with_capacity(rows.len());
    for row in rows {
        checkpoints.push(looked_at(&ctx.keeper, row).await?);
    }
    Ok(Json(Verified { checkpoints }))
}

async fn looked_at(keeper: &Keeper, row: Checkpoint) -> Result<VerifiedOne, ApiError> {
    let (row, damage) = match damage(keeper, &row).await {
        Ok(damage) => (keeper.mark(&row.id, damage.clone()).await?, damage),
        // What cannot be looked at is neither damaged nor whole.
        Err(error) => (row, Some(format!("it could not be looked at: {}", error.message))),
    };
    let instead = match damage {
        Some(_) => instead(keeper, &row).await?.map(|it| it.to_string()),
        None => None,
    };
    Ok(VerifiedOne { checkpoint: CheckpointView::from(&row), damage, instead })
}

/// Returns what is wrong with a checkpoint: here if it has arrived, else on its host.
async fn damage(keeper: &Keeper, row: &Checkpoint) -> Result<Option<String>, ApiError> {
    let failed = |it| checkpoint_error(&it);
    if row.is_here() {
        return keeper.vault().repo.verify(&row.commit).await.map_err(failed);
    }
    let Some(task) = keeper.task(&row.task).await? else {
        return Ok(Some("it was lost with its task before it arrived here".into()));
    };
    let repo = keeper.place(&task).await?.shadow.repo;
    if !repo.has(&row.commit).await.map_err(failed)? {
        return Ok(Some("it is gone on its host, and had not arrived here".into()));
    }
    repo.verify(&row.commit).await.map_err(failed)
}

/// Returns the newest whole checkpoint of the same task.
async fn instead(keeper: &Keeper, row: &Checkpoint) -> Result<Option<CheckpointId>, ApiError> {
    for other in keeper.of(&row.task).await? {
        if other.id != row.id
            && other.damage.is_none()
            && damage(keeper, &other).await.is_ok_and(|it| it.is_none())
        {
            return Ok(Some(other.id));
        }
    }
    Ok(None)
}
