//! What a task changed.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::Path};

use crate::{
    api::{
        error::{ApiError, ErrorKind},
        types::{Diff, DiffFile},
    },
    dispatcher::http::{Answer, Ctx, tasks, workspace},
    git::{Git, GitError, diff::FileDifference},
};

/// How long each of two questions to git may take; comparing reads every file that changed.
const LIMIT: Duration = Duration::from_secs(25);

/// Returns what a task's workspace differs by from the commit it was started from. Nothing of
/// the repository is changed.
#[utoipa::path(get, path = "/v1/tasks/{id}/diff", params(("id" = String, Path)),
    responses((status = 200, body = Diff), (status = 409, body = ApiError)))]
pub async fn diff(ctx: Ctx, Path(id): Path<String>) -> Answer<Diff> {
    let task = tasks::find(&ctx, id).await?;
    let found = workspace::open(&ctx, &task).await?;
    let git = Git::new(Arc::clone(&found.worker.shell));
    let Some(repo) = git.inspect(&found.dir).await.map_err(|it| git_error(&it))? else {
        let message = format!("the workspace of {} is no git repository: {}", task.id, found.dir);
        let error = ApiError::new(ErrorKind::Conflict, message);
        return Err(error.hint("there is nothing to compare it with").into());
    };
    let branch = task.place.as_ref().and_then(|it| it.branch.as_deref());
    let found = git.difference(&repo, branch, LIMIT).await.map_err(|it| git_error(&it))?;
    Ok(Json(Diff {
        base: found.base,
        stat: found.files.into_iter().map(file).collect(),
        files: found.count,
        text: found.text,
        cut: found.cut,
    }))
}

fn file(file: FileDifference) -> DiffFile {
    let (added, removed) = file.lines.unwrap_or_default();
    let now = file.now.map(str::to_owned);
    let binary = file.lines.is_none();
    DiffFile { path: file.path, added, removed, binary, status: file.status, now }
}

fn git_error(error: &GitError) -> ApiError {
    ApiError::new(ErrorKind::Host, error.to_string())
}
