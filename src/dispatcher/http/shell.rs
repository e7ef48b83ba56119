//! A login shell in a task's workspace, for looking around without disturbing Claude.

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
            workspace::{self, Workspace},
        },
        session::host_error,
    },
    shell::Command,
};

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
    let Workspace { worker, dir } = workspace::open(&ctx, &task).await?;
    let mut command =
        Command::new(["sh", "-c", LOGIN]).cwd(dir).env("TERM", &params.term(&*worker.shell).await);
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
