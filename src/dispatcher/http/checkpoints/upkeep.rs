//! Letting go of checkpoints, and seeing whether they are whole.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::Json;

use crate::{
    api::{
        checkpoints::{CheckpointView, Prune, Pruned, Verified, VerifiedOne, Verify},
        error::ApiError,
    },
    checkpoint::{
        repo::Flaw,
        retention::{Policy, expired},
    },
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
    let mut known = BTreeMap::new();
    for row in &rows {
        let looked = looked_at(&ctx.keeper, row).await;
        if let Ok(verdict) = &looked {
            let damage = verdict.flaw.as_ref().map(|it| it.what.clone());
            ctx.keeper.mark(&row.id, damage).await?;
        }
        known.insert(row.id.clone(), looked);
    }
    let mut checkpoints = Vec::with_capacity(rows.len());
    for row in &rows {
        checkpoints.push(told(&ctx.keeper, row, &mut known).await?);
    }
    Ok(Json(Verified { checkpoints }))
}

/// What was found of a checkpoint.
#[derive(Default)]
struct Verdict {
    flaw: Option<Flaw>,
    /// How it became whole again, if it was not, as a sentence.
    healed: Option<String>,
}

/// What was found so far; an error where one could not be looked at.
type Known = BTreeMap<CheckpointId, Result<Verdict, ApiError>>;

async fn told(
    keeper: &Keeper,
    row: &Checkpoint,
    known: &mut Known,
) -> Result<VerifiedOne, ApiError> {
    let row = keeper.find(row.id.as_str()).await?;
    let (damage, git, healed) = match known.get(&row.id) {
        Some(Ok(Verdict { flaw: Some(flaw), .. })) => {
            let git = Some(flaw.git.clone()).filter(|it| !it.is_empty());
            (Some(flaw.what.clone()), git, None)
        }
        Some(Ok(Verdict { healed, .. })) => (None, None, healed.clone()),
        // What cannot be looked at is neither damaged nor whole.
        Some(Err(error)) => {
            (Some(format!("it could not be looked at: {}", error.message)), None, None)
        }
        None => (None, None, None),
    };
    let instead = match damage {
        Some(_) => instead(keeper, &row, known).await?.map(|it| it.to_string()),
        None => None,
    };
    Ok(VerifiedOne { checkpoint: CheckpointView::from(&row), damage, git, healed, instead })
}

/// Looks whether a checkpoint is whole: here if it has arrived, else on its host. One that is
/// damaged here is fetched again from its host.
async fn looked_at(keeper: &Keeper, row: &Checkpoint) -> Result<Verdict, ApiError> {
    let failed = |it| checkpoint_error(&it);
    let flaw = |what: &str| Flaw { what: what.to_owned(), git: String::new() };
    let vault = &keeper.vault().repo;
    if row.is_here() {
        let Some(flaw) = vault.verify(&row.commit).await.map_err(failed)? else {
            return Ok(Verdict::default());
        };
        return Ok(match keeper.fetch_again(row).await {
            Ok(host) if vault.verify(&row.commit).await.map_err(failed)?.is_none() => {
                let Flaw { what, .. } = flaw;
                let text =
                    format!("it was damaged on this machine, fetched again from {host}: {what}");
                Verdict { flaw: None, healed: Some(text) }
            }
            Ok(_) => Verdict { flaw: Some(flaw), healed: None },
            Err(error) => {
                tracing::warn!(checkpoint = %row.id, %error, "damaged, and not fetched again");
                Verdict { flaw: Some(flaw), healed: None }
            }
        });
    }
    let Some(task) = keeper.task(&row.task).await? else {
        let flaw = flaw("it was lost with its task before it arrived here");
        return Ok(Verdict { flaw: Some(flaw), healed: None });
    };
    let repo = keeper.place(&task).await?.shadow.repo;
    let flaw = match repo.has(&row.commit).await.map_err(failed)? {
        true => repo.verify(&row.commit).await.map_err(failed)?,
        false => Some(flaw("it is gone on its host, and had not arrived here")),
    };
    Ok(Verdict { flaw, healed: None })
}

/// Returns the newest whole checkpoint of the same task.
async fn instead(
    keeper: &Keeper,
    row: &Checkpoint,
    known: &mut Known,
) -> Result<Option<CheckpointId>, ApiError> {
    for other in keeper.of(&row.task).await? {
        if other.id == row.id || other.damage.is_some() {
            continue;
        }
        if !known.contains_key(&other.id) {
            known.insert(other.id.clone(), looked_at(keeper, &other).await);
        }
        if matches!(known.get(&other.id), Some(Ok(Verdict { flaw: None, .. }))) {
            return Ok(Some(other.id));
        }
    }
    Ok(None)
}
