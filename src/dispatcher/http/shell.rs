//! A login shell in a task's workspace, for looking around without disturbing Claude.

use std::time::Duration;

use axum::{
    extract::{Path, Query, Request},
    response::Response,
};

use crate::{
    api::error::{ApiError, ErrorKind},
    dispatcher::{
        http::{
            Ctx, Problem, tasks,
            terminal::{self, AttachParams, Over},
        },
        session::host_error,
    },
    domain::{ids::HostPath, task::Task},
    shell::{Command, Shell, run},
};

/// How long a host may take to say whether a directory is there.
const LOOK_LIMIT: Duration = Duration::from_secs(10);

/// Becomes the person's own shell: the environment's, else the user database's, else `sh`.
const LOGIN: &str = "shell=${SHELL:-}; \
    [ -x \"$shell\" ] || shell=$(getent passwd \"$(id -u)\" 2>/dev/null | cut -d: -f7); \
    [ -x \"$shell\" ] || shell=/bin/sh; \
    exec \"$shell\" -l";

/// Opens a login shell in a task's workspace: the connection becomes a terminal, see
/// `api::frames`. The shell is hung up when the connection ends; when it ends by itself, the last
/// frame is `exited` and its status.
#[utoipa::path(get, path = "/v1/tasks/{id}/shell", params(("id" = String, Path), AttachParams),
    responses((status = 101), (status = 409, body = ApiError)))]
pub async fn shell(
    ctx: Ctx,
    Path(id): Path<String>,
    Query(params): Query<AttachParams>,
    mut request: Request,
) -> Result<Response, Problem> {
    if params.read_only {
        return Err(ApiError::new(ErrorKind::Invalid, "a shell cannot only be looked at").into());
    }
    let task = tasks::find(&ctx, id).await?;
    let upgrade = terminal::upgrade(&mut request)?;
    let Some((place, workspace)) =
        task.place.as_ref().and_then(|it| it.workspace.as_ref().map(|dir| (it, dir)))
    else {
        return Err(no_workspace(&task).into());
    };
    let worker = ctx.hosts.worker(place, &task.spec.requirements).await?;
    look(&*worker.shell, &task, workspace).await?;
    let mut command = Command::new(["sh", "-c", LOGIN])
        .cwd(workspace.clone())
        .env("TERM", &params.term(&*worker.shell).await);
    if params.pane {
        command = command.env("COLORTERM", "truecolor");
    }
    let pty = worker.shell.open_pty(&command, params.size()).await;
    let pty = pty.map_err(|it| host_error(&it))?;
    tokio::spawn(terminal::carry(upgrade, pty, farewell));
    Ok(terminal::switching())
}

async fn farewell(over: Over) -> String {
    over.code.map_or_else(|| "exited".to_owned(), |it| format!("exited {it}"))
}

/// Refuses a workspace that is not there any more.
async fn look(shell: &dyn Shell, task: &Task, workspace: &HostPath) -> Result<(), ApiError> {
    let test = Command::new(["test", "-d", workspace.as_str()]);
    if run(shell, &test, LOOK_LIMIT).await.map_err(|it| host_error(&it))?.code == 0 {
        return Ok(());
    }
    let message = format!("the workspace of {} is gone: {workspace}", task.id);
    Err(ApiError::new(ErrorKind::Conflict, message)
        .hint("it was removed on its host; nothing of it is left to look at"))
}

fn no_workspace(task: &Task) -> ApiError {
    let message = format!("{} has no workspace: it is {}", task.id, task.state.name());
    let error = ApiError::new(ErrorKind::Conflict, message);
    if task.state.is_final() {
        return error.hint("it ended before one was made");
    }
    error.hint("one is made when the task is dispatched")
}
