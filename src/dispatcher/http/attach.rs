//! An attached terminal: `tmux attach` on a terminal of the host, carried as frames.
//!
//! The dispatcher keeps no screen: tmux does, and repaints whoever attaches.

use std::sync::Arc;

use axum::{
    extract::{Path, Query, Request},
    response::Response,
};

use crate::{
    api::error::ApiError,
    dispatcher::{
        decide::{Command, no_session},
        http::{
            App, Ctx, Problem, tasks,
            terminal::{self, AttachParams, Over},
        },
        session::Live,
        world::World,
    },
    domain::ids::TaskId,
    stdx::text::one_line,
    tmux::{Ability, Access},
};

/// Attaches to a session: the connection becomes a terminal, see `api::frames`.
#[utoipa::path(get, path = "/v1/tasks/{id}/attach", params(("id" = String, Path), AttachParams),
    responses((status = 101), (status = 409, body = ApiError)))]
pub async fn attach(
    ctx: Ctx,
    Path(id): Path<String>,
    Query(params): Query<AttachParams>,
    mut request: Request,
) -> Result<Response, Problem> {
    let task = tasks::find(&ctx, id).await?;
    if task.state.session().is_none() {
        return Err(no_session(&task).into());
    }
    let upgrade = terminal::upgrade(&mut request)?;
    let live = Live::of(&ctx, &task).await?;
    let term = params.term(&*live.shell).await;
    let access = if params.read_only { Access::ReadOnly } else { Access::Full };
    let ability = if params.pane { Ability::Pane } else { Ability::Described };
    let command = live.tmux.attach_command(&live.name, access, ability);
    let command = command.map_err(|it| live.tmux_error(&it))?.env("TERM", &term);
    let pty = live.shell.open_pty(&command, params.size()).await;
    let pty = pty.map_err(|it| live.shell_error(&it))?;
    if !params.read_only {
        ctx.core.command(Command::View { id: task.id.clone(), by: 1 }).await?;
        ctx.core.command(Command::Reopen { id: task.id.clone() }).await?;
    }
    let app = Arc::clone(&ctx);
    tokio::spawn(async move {
        terminal::carry(upgrade, pty, |over| farewell(over, &app, &task.id)).await;
        if !params.read_only {
            let _ = app.core.command(Command::View { id: task.id.clone(), by: -1 }).await;
        }
    });
    Ok(terminal::switching())
}

/// Says why an attached terminal ended: the person left, or the session did.
///
/// tmux knows at once, while the core learns only later that Claude has ended; so the core is
/// asked only where tmux left no words, as when it was killed. If it could not attach at all, what
/// it said about that is passed on.
async fn farewell(over: Over, app: &App, id: &TaskId) -> String {
    let failed = over.code.is_some_and(|it| it != 0);
    let tail = &over.tail;
    let detached = match last_words(tail) {
        Some(it) => it,
        None if failed && !tail.is_empty() => {
            return format!("failed: {}", one_line(&String::from_utf8_lossy(tail), 300));
        }
        None => {
            let id = id.clone();
            let open =
                move |world: &World| world.task(&id).is_some_and(|it| it.state.session().is_some());
            app.core.read(open).await.unwrap_or(false)
        }
    };
    if detached { "detached" } else { "ended" }.to_owned()
}

/// Tells from tmux's last words whether the person left; nothing if it said none.
fn last_words(tail: &[u8]) -> Option<bool> {
    let find = |words: &[u8]| tail.windows(words.len()).rposition(|it| it == words);
    let detached = find(b"[detached");
    // `[exited]`, `[server exited]`, `[server exited unexpectedly]`, `[lost server]`.
    let ended = [find(b"exited]"), find(b"exited unexpectedly]"), find(b"[lost server]")];
    let ended = ended.into_iter().max().flatten();
    match (detached, ended) {
        (None, None) => None,
        (detached, ended) => Some(ended < detached),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tmux_says_why_it_left() {
        for (tail, expected) in [
            (&b"\x1b[?1049l[detached (from session ph-task-abcd2345)]\r\n"[..], Some(true)),
            (b"\x1b[?1049l[exited]\r\n", Some(false)),
            (b"[server exited unexpectedly]\r\n", Some(false)),
            (b"[lost server]\r\n", Some(false)),
            // What a session showed before does not count.
            (b"echo [detached\x1b[?1049l[exited]\r\n", Some(false)),
            (b"[exited]\x1b[?1049l[detached (from session x)]\r\n", Some(true)),
            (b"\x1b[2J", None),
        ] {
            assert_eq!(last_words(tail), expected, "{}", tail.escape_ascii());
        }
    }
}
