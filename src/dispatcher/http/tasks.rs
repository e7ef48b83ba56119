//! Tasks: submit, list, show, end, run again, delete.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, Query},
};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    api::{
        error::{ApiError, ErrorKind},
        types::{CreateTask, Created, DryRun, Retry, STATUSES, Stop, TaskList, Why},
        view::TaskView,
    },
    dispatcher::{
        clean,
        core::store_error,
        create,
        decide::{Command, resolve, witnesses},
        dry,
        http::{Answer, App, Body, Ctx},
        plan::{Choice, choose},
        recover::Means,
        world::{Draft, World},
    },
    domain::{ids::TaskId, task::Task},
};

/// Tasks listed unless more are asked for.
const LIST_LIMIT: usize = 100;

/// Which tasks to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ListParams {
    /// Only these states or activities, in any case, separated by commas; `needs-you` for all that
    /// wait for a person.
    status: Option<String>,
    /// At most so many, newest first.
    limit: Option<usize>,
    /// Only tasks submitted before this one; the last of a page gives the next page.
    before: Option<String>,
}

/// Writes a task down.
#[utoipa::path(post, path = "/v1/tasks", request_body = CreateTask,
    responses((status = 200, body = Created), (status = 400, body = ApiError)))]
pub async fn create(ctx: Ctx, Body(request): Body<CreateTask>) -> Answer<Created> {
    let now = ctx.clock.now();
    let task = create::task(&request, &ctx.settings, now)?;
    let id = task.id.clone();
    // The environment is on disk before the task is, so that no launch can miss it.
    create::keep_env(&ctx.home, &id, &request.env, &request.caller_env).await?;
    let command = Command::Create { task: Box::new(task), prompt: request.prompt.into_bytes() };
    if let Err(error) = ctx.core.command(command).await {
        create::drop_env(&ctx.home, &id).await;
        return Err(error.into());
    }
    Ok(Json(Created { task: view(&ctx, &id).await? }))
}

/// Says what a task would do; starts nothing and writes nothing.
#[utoipa::path(post, path = "/v1/tasks/dry-run", request_body = CreateTask,
    responses((status = 200, body = DryRun), (status = 400, body = ApiError)))]
pub async fn dry_run(ctx: Ctx, Body(request): Body<CreateTask>) -> Answer<DryRun> {
    let task = create::task(&request, &ctx.settings, ctx.clock.now())?;
    let probe = task.clone();
    let choice = ctx
        .core
        .read(move |world| {
            let draft = Draft::new(world);
            let mut used: HashMap<String, u32> = HashMap::new();
            for task in world.live().filter(|it| it.state.holds_slot()) {
                if let Some(place) = &task.place {
                    *used.entry(place.provider.clone()).or_default() += 1;
                }
            }
            (choose(&probe, &draft, &used), choose(&probe, &draft, &HashMap::new()))
        })
        .await?;
    let (target, waits) = match choice {
        (Choice::Go(provider), _) => (provider, None),
        (Choice::Wait(reason), Choice::Go(provider)) => (provider, Some(reason)),
        (_, Choice::Never(reason) | Choice::Wait(reason)) | (Choice::Never(reason), _) => {
            return Err(ApiError::new(ErrorKind::Host, format!("Dispatch failed: {reason}")).into());
        }
    };
    let (probe, place, now) = (task.clone(), target.clone(), ctx.clock.now());
    let estimate = ctx.core.read(move |world| dry::estimate(world, &probe, &place, now)).await?;
    let prompt = request.prompt.as_bytes();
    Ok(Json(dry::run(&ctx, &task, prompt, &target, waits, estimate).await?))
}

/// Lists tasks, newest first.
#[utoipa::path(get, path = "/v1/tasks", params(ListParams),
    responses((status = 200, body = TaskList)))]
pub async fn list(ctx: Ctx, Query(params): Query<ListParams>) -> Answer<TaskList> {
    let limit = params.limit.unwrap_or(LIST_LIMIT);
    let wanted: Option<Vec<String>> = params.status.map(|it| {
        it.split(',').map(|word| word.trim().to_ascii_lowercase().replace('-', "_")).collect()
    });
    if let Some(wanted) = &wanted {
        check_words(wanted)?;
    }
    let before = params.before;
    let page = ctx.core.read(move |world| page(world, wanted.as_deref(), before.as_deref(), limit));
    Ok(Json(page.await??))
}

/// Returns at most `limit` of the tasks that match, from the one after `before` on. The total
/// counts all that match, whatever the page.
fn page(
    world: &World,
    wanted: Option<&[String]>,
    before: Option<&str>,
    limit: usize,
) -> Result<TaskList, ApiError> {
    let before = before.map(|it| resolve(world, it)).transpose()?;
    let matches = |it: &&Task| wanted.is_none_or(|words| matches_any(it, words));
    // Without a filter only what is shown is looked at, however long the past.
    let total = match wanted {
        None => world.len(),
        Some(_) => world.newest_first().filter(matches).count(),
    };
    let tasks = world.older_than(before).filter(matches).take(limit).map(TaskView::from).collect();
    Ok(TaskList { tasks, total, seq: world.seq })
}

fn check_words(words: &[String]) -> Result<(), ApiError> {
    for word in words {
        if !STATUSES.iter().any(|it| it.replace('-', "_") == *word) {
            let shown = crate::stdx::text::one_line(word, 40);
            let mut error = ApiError::new(ErrorKind::Invalid, format!("`{shown}` is no status"));
            let near = crate::stdx::text::nearest(word, STATUSES.iter().copied());
            if !near.is_empty() {
                error = error.hint(format!("did you mean {}?", near.join(", ")));
            }
            return Err(error.hint(format!("use one or more of {}", STATUSES.join(", "))));
        }
    }
    Ok(())
}

fn matches_any(task: &Task, words: &[String]) -> bool {
    let session = task.state.session();
    let activity = session.map(|it| it.verdict().activity);
    words.iter().any(|word| match word.as_str() {
        "needs_you" => activity.is_some_and(|it| it.needs_person()),
        "open" => session.is_some(),
        "active" => !task.state.is_final(),
        word => {
            task.state.name().eq_ignore_ascii_case(word)
                || activity.is_some_and(|it| it.as_str().replace('-', "_") == *word)
        }
    })
}

/// Returns one task.
#[utoipa::path(get, path = "/v1/tasks/{id}", params(("id" = String, Path)),
    responses((status = 200, body = TaskView), (status = 404, body = ApiError)))]
pub async fn show(ctx: Ctx, Path(id): Path<String>) -> Answer<TaskView> {
    Ok(Json(TaskView::from(&find(&ctx, id).await?)))
}

/// Returns the evidence for what a task's session does.
#[utoipa::path(get, path = "/v1/tasks/{id}/why", params(("id" = String, Path)),
    responses((status = 200, body = Why), (status = 404, body = ApiError)))]
pub async fn why(ctx: Ctx, Path(id): Path<String>) -> Answer<Why> {
    let task = find(&ctx, id).await?;
    let evidence = witnesses(&task, ctx.clock.now());
    Ok(Json(Why { task: TaskView::from(&task), evidence }))
}

/// Returns a task's newest prompt.
#[utoipa::path(get, path = "/v1/tasks/{id}/prompt", params(("id" = String, Path)),
    responses((status = 200, body = String), (status = 404, body = ApiError)))]
pub async fn prompt(ctx: Ctx, Path(id): Path<String>) -> Answer<String> {
    let task = find(&ctx, id).await?;
    let prompt = ctx.store.prompt(&task.id).await.map_err(|it| store_error(&it))?;
    Ok(Json(String::from_utf8_lossy(&prompt.unwrap_or_default()).into_owned()))
}

/// Returns a task's final answer, if one is kept.
#[utoipa::path(get, path = "/v1/tasks/{id}/answer", params(("id" = String, Path)),
    responses((status = 200, body = Option<String>), (status = 404, body = ApiError)))]
pub async fn answer(ctx: Ctx, Path(id): Path<String>) -> Answer<Option<String>> {
    let task = find(&ctx, id).await?;
    let answer = ctx.store.answer(&task.id).await.map_err(|it| store_error(&it))?;
    Ok(Json(answer.map(|it| String::from_utf8_lossy(&it).into_owned())))
}

/// Ends a task.
#[utoipa::path(post, path = "/v1/tasks/{id}/stop", params(("id" = String, Path)),
    request_body = Stop,
    responses((status = 200, body = TaskView), (status = 409, body = ApiError)))]
pub async fn stop(ctx: Ctx, Path(id): Path<String>, Body(request): Body<Stop>) -> Answer<TaskView> {
    let id = find(&ctx, id).await?.id;
    let session_only = request.session_only;
    ctx.core.command(Command::Stop { id: id.clone(), session_only }).await?;
    Ok(Json(view(&ctx, &id).await?))
}

/// Runs a task again.
#[utoipa::path(post, path = "/v1/tasks/{id}/retry", params(("id" = String, Path)),
    request_body = Retry,
    responses((status = 200, body = TaskView), (status = 409, body = ApiError)))]
pub async fn retry(
    ctx: Ctx,
    Path(id): Path<String>,
    Body(request): Body<Retry>,
) -> Answer<TaskView> {
    let task = find(&ctx, id).await?;
    if let Some(prompt) = &request.prompt {
        create::check_prompt(prompt, false)?;
    }
    if request.resume {
        Means::from(&**ctx).may_go_on(&task).await?;
    }
    let id = task.id;
    create::add_env(&ctx.home, &id, &request.env, &request.caller_env).await?;
    let prompt = request.prompt.map(String::into_bytes);
    ctx.core.command(Command::Retry { id: id.clone(), resume: request.resume, prompt }).await?;
    Ok(Json(view(&ctx, &id).await?))
}

/// How to delete a task.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct DeleteParams {
    /// Whether it is saved first (the default); if that fails, nothing is deleted.
    checkpoint: Option<bool>,
}

/// Deletes a finished task with the directory Parhelia made for it. Its checkpoints stay.
#[utoipa::path(delete, path = "/v1/tasks/{id}", params(("id" = String, Path), DeleteParams),
    responses((status = 200, body = TaskView), (status = 409, body = ApiError)))]
pub async fn delete(
    ctx: Ctx,
    Path(id): Path<String>,
    Query(params): Query<DeleteParams>,
) -> Answer<TaskView> {
    let task = find(&ctx, id).await?;
    let _held = clean::remove(&ctx, &task, params.checkpoint.unwrap_or(true)).await?;
    ctx.core.command(Command::Forget { id: task.id.clone() }).await?;
    Ok(Json(TaskView::from(&task)))
}

/// Finds the task that `prefix` means.
pub async fn find(app: &Arc<App>, prefix: String) -> Result<Task, ApiError> {
    app.core.read(move |world| resolve(world, &prefix).cloned()).await?
}

/// Returns a task as it is now.
pub async fn view(app: &Arc<App>, id: &TaskId) -> Result<TaskView, ApiError> {
    Ok(TaskView::from(&find(app, id.to_string()).await?))
}
