//! Live sessions: a prompt, an interrupt, an answer. Each reply says what became of it.

use axum::{Json, extract::Path};

use crate::{
    agent::{answer, deliver},
    api::{
        error::{ApiError, ErrorKind},
        types::{Answer as AnswerRequest, Prompt, Sent},
    },
    dispatcher::{
        create::check_prompt,
        decide::{Command, no_session},
        http::{Answer, App, Body, Ctx, tasks},
        session::{Live, host_error},
        typing::{Typist, say},
    },
    domain::{
        ask::Ask,
        event::{Delivery, EventBody},
        ids::TaskId,
        task::Task,
    },
    shell::run,
    stdx::text::one_line,
};

/// How long Claude may take to close a dialog that was answered: 0.1 s (measured).
const CLOSED: std::time::Duration = std::time::Duration::from_secs(3);
/// How long the hook of a dialog may come after the registry's word of it: 0.1 s (measured).
const HOOK_LATE: std::time::Duration = std::time::Duration::from_secs(3);
/// Deadline for handing an answer to the hook that waits for it.
const HAND_OVER: std::time::Duration = std::time::Duration::from_secs(10);
/// The most that is read of the request behind a dialog.
const REQUEST_MAX: usize = 4 * 1024 * 1024;

/// Sends a prompt into a session.
#[utoipa::path(post, path = "/v1/tasks/{id}/prompt", params(("id" = String, Path)),
    request_body = Prompt, responses((status = 200, body = Sent), (status = 409, body = ApiError)))]
pub async fn prompt(ctx: Ctx, Path(id): Path<String>, Body(request): Body<Prompt>) -> Answer<Sent> {
    check_prompt(&request.text, false)?;
    let task = open(&ctx, id).await?;
    let live = Live::of(&ctx, &task).await?;
    let confirmed = ctx.hosts.prompts();
    let (outcome, detail) = say(&live, &task.id, &request.text, confirmed).await?;
    let head = one_line(&request.text, 200);
    sent(&ctx, &task.id, EventBody::PromptSent { head, outcome }, outcome, detail).await
}

/// Interrupts the turn that runs.
#[utoipa::path(post, path = "/v1/tasks/{id}/interrupt", params(("id" = String, Path)),
    responses((status = 200, body = Sent), (status = 409, body = ApiError)))]
pub async fn interrupt(ctx: Ctx, Path(id): Path<String>) -> Answer<Sent> {
    let task = open(&ctx, id).await?;
    let live = Live::of(&ctx, &task).await?;
    let done = deliver::interrupt(&Typist(&live.tmux), &live.name).await;
    let done = done.map_err(|it| host_error(&it))?;
    let body = EventBody::Interrupted { outcome: done.outcome };
    sent(&ctx, &task.id, body, done.outcome, done.reason).await
}

/// Answers what a session asks.
#[utoipa::path(post, path = "/v1/tasks/{id}/answer", params(("id" = String, Path)),
    request_body = AnswerRequest,
    responses((status = 200, body = Sent), (status = 409, body = ApiError)))]
pub async fn answer(
    ctx: Ctx,
    Path(id): Path<String>,
    Body(request): Body<AnswerRequest>,
) -> Answer<Sent> {
    let (task, ask) = asked(&ctx, id, request.ask.as_deref()).await?;
    let live = Live::of(&ctx, &task).await?;
    let gone = || {
        ApiError::new(ErrorKind::Conflict, format!("{} no longer asks that", task.id))
            .hint(format!("see what it shows: parhelia attach {}", task.id))
    };
    let file = live.files.request(&ask.id).ok_or_else(gone)?;
    let bytes = live.shell.get(&file, 0, REQUEST_MAX).await.map_err(|it| host_error(&it))?;
    let words = match &request.message {
        Some(message) => format!("{} {message}", request.words),
        None => request.words.clone(),
    };
    let decision = answer::decide(&ask, &bytes.unwrap_or_default(), &words)
        .map_err(|it| ApiError::new(ErrorKind::Invalid, it.to_string()))?;
    let command = live.files.answer(&ask.id, &decision.decision).ok_or_else(gone)?;
    let mut live_events = ctx.core.subscribe();
    let output = run(&*live.shell, &command, HAND_OVER).await.map_err(|it| host_error(&it))?;
    let (outcome, detail) = if output.code == 0 {
        let closed = async {
            while still_asks(&ctx, &task.id, &ask).await {
                if live_events.recv().await.is_err() {
                    live_events = ctx.core.subscribe();
                }
            }
        };
        match tokio::time::timeout(CLOSED, closed).await {
            Ok(()) => (Delivery::Submitted, String::new()),
            Err(_) => (Delivery::Typed, "Claude took it and still shows the dialog".to_owned()),
        }
    } else {
        (Delivery::NotDelivered, "nobody waits for it: it was answered on the screen".to_owned())
    };
    let body = EventBody::Answered { ask: ask.id, answer: decision.said, outcome };
    sent(&ctx, &task.id, body, outcome, detail).await
}

async fn still_asks(app: &App, id: &TaskId, ask: &Ask) -> bool {
    let (id, ask) = (id.clone(), ask.id.clone());
    let asks = app.core.read(move |world| {
        world
            .task(&id)
            .and_then(|it| it.state.session())
            .is_some_and(|session| session.evidence.asks.iter().any(|it| it.what.id == ask))
    });
    asks.await.unwrap_or(false)
}

/// Returns the task if its session is open and not about to end.
async fn open(ctx: &Ctx, id: String) -> Result<Task, ApiError> {
    let task = tasks::find(ctx, id).await?;
    match task.state.session() {
        None => Err(no_session(&task)),
        Some(session) if session.stopping.is_some() => {
            Err(ApiError::new(ErrorKind::Conflict, format!("the session of {} is ending", task.id)))
        }
        Some(_) => Ok(task),
    }
}

/// Returns the task with the question that is meant; waits for its hook if only the registry has
/// said yet that there is one.
async fn asked(ctx: &Ctx, id: String, wanted: Option<&str>) -> Result<(Task, Ask), ApiError> {
    let mut events = ctx.core.subscribe();
    let deadline = tokio::time::Instant::now() + HOOK_LATE;
    loop {
        let task = open(ctx, id.clone()).await?;
        let error = match choose(&task, wanted) {
            Ok(ask) => return Ok((task, ask)),
            Err(error) => error,
        };
        let session = task.state.session();
        let coming = session
            .is_some_and(|it| it.evidence.asks.is_empty() && it.verdict().activity.needs_person());
        if !coming || tokio::time::timeout_at(deadline, events.recv()).await.is_err() {
            return Err(error);
        }
    }
}

/// Returns the question that is meant: the named one, or the only one.
fn choose(task: &Task, wanted: Option<&str>) -> Result<Ask, ApiError> {
    let asks = task.state.session().map_or(&[][..], |it| &it.evidence.asks);
    let fits = |ask: &Ask| wanted.is_none_or(|it| ask.id.starts_with(it));
    let mut found = asks.iter().map(|it| &it.what).filter(|it| fits(it));
    match (found.next(), found.next()) {
        (Some(ask), None) => Ok(ask.clone()),
        (Some(first), Some(second)) => {
            let list = |it: &Ask| format!("{}: {} {}", it.id, it.tool, it.summary);
            Err(ApiError::new(ErrorKind::Invalid, format!("{} asks several things", task.id))
                .hint(list(first))
                .hint(list(second))
                .hint("say which with --ask"))
        }
        (None, _) => {
            Err(ApiError::new(ErrorKind::Conflict, format!("{} asks nothing now", task.id))
                .hint(format!("see why: parhelia task show --why {}", task.id)))
        }
    }
}

async fn sent(
    ctx: &Ctx,
    id: &TaskId,
    body: EventBody,
    outcome: Delivery,
    detail: String,
) -> Answer<Sent> {
    ctx.core.command(Command::Record { id: id.clone(), body }).await?;
    Ok(Json(Sent { outcome, detail, task: tasks::view(ctx, id).await? }))
}
