//! What would be lost, asked before a person decides.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::Path};

use crate::{
    api::{error::ApiError, types::Losses},
    dispatcher::{
        http::{Answer, App, Ctx, tasks},
        losses::{self, Seen},
    },
    domain::task::Task,
    git::Git,
};

/// How long the workspace may take to be looked at. A person waits for the answer; at the limit
/// they are told what is known without it.
const LOOK_LIMIT: Duration = Duration::from_secs(10);

/// Paths named.
const PATHS_MAX: usize = 20;

/// Returns what ending a task's session, or deleting the task, would lose. A workspace that cannot
/// be looked at is no error: the answer says why, and holds what is known without it.
#[utoipa::path(get, path = "/v1/tasks/{id}/losses", params(("id" = String, Path)),
    responses((status = 200, body = Losses), (status = 404, body = ApiError)))]
pub async fn losses(ctx: Ctx, Path(id): Path<String>) -> Answer<Losses> {
    let task = tasks::find(&ctx, id).await?;
    let seen = look(&ctx, &task).await;
    Ok(Json(losses::of(&task, &seen, ctx.settings.checkpoint.retention_days)))
}

async fn look(app: &Arc<App>, task: &Task) -> Seen {
    let Some((place, workspace)) =
        task.place.as_ref().and_then(|it| it.workspace.as_ref().map(|dir| (it, dir)))
    else {
        return Seen::Nothing;
    };
    let work = async {
        let worker = app.hosts.worker(place, &task.spec.requirements).await?;
        let git = Git::new(Arc::clone(&worker.shell));
        let look = git.look(workspace, PATHS_MAX, LOOK_LIMIT).await;
        look.map_err(|it| ApiError::new(crate::api::error::ErrorKind::Host, it.to_string()))
    };
    match tokio::time::timeout(LOOK_LIMIT, work).await {
        Ok(Ok(look)) => Seen::Found(look),
        Ok(Err(error)) => Seen::Unknown(error.message),
        Err(_) => Seen::Unknown(format!("its host took longer than {}s", LOOK_LIMIT.as_secs())),
    }
}
