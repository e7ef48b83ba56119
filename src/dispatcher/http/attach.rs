//! An attached terminal: `tmux attach` on a terminal of the host, carried as frames.
//!
//! The dispatcher keeps no screen: tmux does, and repaints whoever attaches. Both directions are
//! bounded, so a viewer that does not read holds tmux back for itself alone.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Path, Query, Request},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use utoipa::IntoParams;

use crate::{
    api::{
        ATTACH_PROTOCOL,
        error::{ApiError, ErrorKind},
        frames::{Decoder, PtyFrame},
    },
    dispatcher::{
        decide::{Command, no_session},
        http::{App, Ctx, Problem, tasks},
        session::Live,
        world::World,
    },
    domain::ids::TaskId,
    shell::{Pty, Size},
    stdx::text::one_line,
    tmux::Access,
};

/// How long to wait for tmux to end once its terminal has.
const EXIT_LIMIT: Duration = Duration::from_millis(500);

/// How much of the output's end is kept for tmux's last words, in bytes. They are one line after
/// it gave the terminal back: `[detached (from session …)]`, `[exited]` or the like.
const LAST_WORDS_MAX: usize = 1024;

/// How to attach.
#[derive(Debug, Deserialize, IntoParams)]
pub struct AttachParams {
    /// Columns of the caller's terminal.
    cols: u16,
    /// Rows of the caller's terminal.
    rows: u16,
    /// The caller's `$TERM`.
    term: String,
    /// Only look.
    #[serde(default)]
    read_only: bool,
}

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
    let Some(upgrade) = request.extensions_mut().remove::<hyper::upgrade::OnUpgrade>() else {
        return Err(
            ApiError::new(ErrorKind::Invalid, "attaching needs an upgraded connection").into()
        );
    };
    let live = Live::of(&ctx, &task).await?;
    let size = Size { cols: params.cols.clamp(2, 1000), rows: params.rows.clamp(2, 1000) };
    let term = known_term(&live, &params.term).await;
    let access = if params.read_only { Access::ReadOnly } else { Access::Full };
    let command = live.tmux.attach_command(&live.name, access);
    let command = command.map_err(|it| live.tmux_error(&it))?.env("TERM", &term);
    let pty = live.shell.open_pty(&command, size).await.map_err(|it| live.shell_error(&it))?;
    if !params.read_only {
        ctx.core.command(Command::View { id: task.id.clone(), by: 1 }).await?;
        ctx.core.command(Command::Reopen { id: task.id.clone() }).await?;
    }
    let app = Arc::clone(&ctx);
    tokio::spawn(async move {
        if let Ok(connection) = upgrade.await {
            carry(TokioIo::new(connection), pty, &app, &task.id).await;
        }
        if !params.read_only {
            let _ = app.core.command(Command::View { id: task.id.clone(), by: -1 }).await;
        }
    });
    let headers = [(header::CONNECTION, "upgrade"), (header::UPGRADE, ATTACH_PROTOCOL)];
    Ok((StatusCode::SWITCHING_PROTOCOLS, headers).into_response())
}

/// Tells from a description whether tmux can draw on such a terminal; on `dumb` it refuses.
fn is_enough(description: &str) -> bool {
    let has = |name: &str| {
        description.contains(&format!(" {name}=")) || description.contains(&format!("\t{name}="))
    };
    has("clear") && has("cup")
}

/// Returns the caller's terminal type if the host knows it and tmux can draw on it, or a common
/// one, which most terminals understand.
async fn known_term(live: &Live, term: &str) -> String {
    const COMMON: &str = "xterm-256color";
    let plain = !term.is_empty()
        && !term.starts_with(['-', '.'])
        && term.chars().all(|it| it.is_ascii_alphanumeric() || "-_.+".contains(it));
    if !plain {
        return COMMON.to_owned();
    }
    let ask = crate::shell::Command::new(["infocmp", term]);
    match crate::shell::run(&*live.shell, &ask, Duration::from_secs(5)).await {
        Ok(output) if output.code == 0 && is_enough(&output.text()) => term.to_owned(),
        _ => COMMON.to_owned(),
    }
}

/// Carries bytes both ways until one side ends.
async fn carry<C>(connection: C, pty: Pty, app: &App, id: &TaskId)
where
    C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut from_client, mut to_client) = tokio::io::split(connection);
    let Pty { mut output, mut input, resize, mut exit } = pty;
    let down = async {
        let mut chunk = vec![0; 32 * 1024];
        let mut wire = Vec::new();
        let mut tail = Vec::new();
        while let Ok(n @ 1..) = output.read(&mut chunk).await {
            keep_tail(&mut tail, &chunk[..n]);
            wire.clear();
            PtyFrame::Data(chunk[..n].to_vec()).encode(&mut wire);
            if to_client.write_all(&wire).await.is_err() {
                return;
            }
        }
        // The terminal ended by itself; the client is told why.
        let exit = tokio::time::timeout(EXIT_LIMIT, &mut exit).await;
        let failed = matches!(exit, Ok(Ok(it)) if it.code != 0);
        wire.clear();
        PtyFrame::End(farewell(&tail, failed, app, id).await).encode(&mut wire);
        let _ = to_client.write_all(&wire).await;
        let _ = to_client.shutdown().await;
    };
    let up = async {
        let mut chunk = vec![0; 32 * 1024];
        let mut decoder = Decoder::default();
        while let Ok(n @ 1..) = from_client.read(&mut chunk).await {
            decoder.feed(&chunk[..n]);
            loop {
                match decoder.take() {
                    Ok(Some(PtyFrame::Data(bytes))) => {
                        if input.write_all(&bytes).await.is_err() {
                            return;
                        }
                        let _ = input.flush().await;
                    }
                    Ok(Some(PtyFrame::Resize { cols, rows })) => {
                        let size = Size { cols: cols.max(2), rows: rows.max(2) };
                        let _ = resize.send(size).await;
                    }
                    Ok(Some(PtyFrame::End(_))) | Err(_) => return,
                    Ok(None) => break,
                }
            }
        }
    };
    tokio::select! {
        () = down => (),
        () = up => (),
    }
}

/// Keeps the last [`LAST_WORDS_MAX`] bytes of what was fed.
fn keep_tail(tail: &mut Vec<u8>, bytes: &[u8]) {
    tail.extend_from_slice(&bytes[bytes.len().saturating_sub(LAST_WORDS_MAX)..]);
    tail.drain(..tail.len().saturating_sub(LAST_WORDS_MAX));
}

/// Says why an attached terminal ended: the person left, or the session did.
///
/// tmux knows at once, while the core learns only later that Claude has ended; so the core is
/// asked only where tmux left no words, as when it was killed. If it could not attach at all, what
/// it said about that is passed on.
async fn farewell(tail: &[u8], failed: bool, app: &App, id: &TaskId) -> String {
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

    #[test]
    fn only_the_end_of_the_output_is_kept() {
        let mut tail = Vec::new();
        keep_tail(&mut tail, &[b'x'; 3 * LAST_WORDS_MAX]);
        keep_tail(&mut tail, b"[exi");
        keep_tail(&mut tail, b"ted]");
        assert_eq!((tail.len(), last_words(&tail)), (LAST_WORDS_MAX, Some(false)));
    }
}
