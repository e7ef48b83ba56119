//! Bringing back: files of a checkpoint, a task that goes on, a task that begins at a checkpoint.

use axum::{Json, extract::Path};

use crate::{
    api::{
        checkpoints::{Fork, Recovery, Restore, Restored, Resume},
        error::ApiError,
        types::Created,
        view::TaskView,
    },
    dispatcher::{
        create::check_prompt,
        http::{Answer, Body, Ctx, tasks},
        recover::Means,
    },
};

/// Puts a checkpoint's files back, or says what that would change.
#[utoipa::path(post, path = "/v1/checkpoints/{id}/restore", params(("id" = String, Path)),
    request_body = Restore, responses((status = 200, body = Restored),
        (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub async fn restore(
    ctx: Ctx,
    Path(id): Path<String>,
    Body(how): Body<Restore>,
) -> Answer<Restored> {
    let checkpoint = ctx.keeper.find(&id).await?;
    let task = ctx.keeper.task(&checkpoint.task).await?;
    Ok(Json(Means::from(&**ctx).restore(&checkpoint, task.as_ref(), &how).await?))
}

/// Makes a new task that begins at a checkpoint.
#[utoipa::path(post, path = "/v1/checkpoints/{id}/fork", params(("id" = String, Path)),
    request_body = Fork, responses((status = 200, body = Created),
        (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub async fn fork(ctx: Ctx, Path(id): Path<String>, Body(how): Body<Fork>) -> Answer<Created> {
    let checkpoint = ctx.keeper.find(&id).await?;
    let id = Means::from(&**ctx).fork(&checkpoint, &how, ctx.clock.now()).await?;
    Ok(Json(Created { task: tasks::view(&ctx, &id).await? }))
}

/// Goes on with a task whose session is over, with what is missing put back.
#[utoipa::path(post, path = "/v1/tasks/{id}/resume", params(("id" = String, Path)),
    request_body = Resume,
    responses((status = 200, body = TaskView), (status = 409, body = ApiError)))]
pub async fn resume(ctx: Ctx, Path(id): Path<String>, Body(how): Body<Resume>) -> Answer<TaskView> {
    if let Some(prompt) = &how.prompt {
        check_prompt(prompt, false)?;
    }
    let task = tasks::find(&ctx, id).await?;
    Means::from(&**ctx).resume(&task, &how).await?;
    Ok(Json(tasks::view(&ctx, &task.id).await?))
}

/// Says what happened to a task, what there is of it, and how it can be brought back.
#[utoipa::path(get, path = "/v1/tasks/{id}/recovery", params(("id" = String, Path)),
    responses((status = 200, body = Recovery), (status = 404, body = ApiError)))]
pub async fn recovery(ctx: Ctx, Path(id): Path<String>) -> Answer<Recovery> {
    let task = tasks::find(&ctx, id).await?;
    Ok(Json(Means::from(&**ctx).recovery(&task, ctx.clock.now()).await?))
}
