//! A terminal of a host, carried as frames over an upgraded connection.
//!
//! Both directions are bounded, so a viewer that does not read holds back its own terminal and
//! nothing else.

use std::time::Duration;

use axum::{
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::{FutureExt, future::BoxFuture};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use utoipa::IntoParams;

use crate::{
    api::{
        ATTACH_PROTOCOL,
        error::{ApiError, ErrorKind},
        frames::{Decoder, FRAME_MAX, PtyFrame},
    },
    shell::{Command, Pty, Shell, Size, run},
};

/// How long to wait for the command to end once its terminal has.
const EXIT_LIMIT: Duration = Duration::from_millis(500);

/// How long a host may take to say what it knows of a terminal type; past that a common one is
/// taken.
const DESCRIBE_LIMIT: Duration = Duration::from_secs(5);

/// How much of the output's end is kept for the command's last words, in bytes. Those of tmux are
/// one line after it gave the terminal back: `[detached (from session …)]` or the like.
pub const LAST_WORDS_MAX: usize = 1024;

/// The terminal type that most terminals understand.
const COMMON: &str = "xterm-256color";

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
    pub read_only: bool,
    /// Whether Parhelia's own pane is the terminal; `term` is not looked at then.
    #[serde(default)]
    pub pane: bool,
}

impl AttachParams {
    /// Returns the size, within bounds that programs bear.
    pub fn size(&self) -> Size {
        Size { cols: self.cols.clamp(2, 1000), rows: self.rows.clamp(2, 1000) }
    }

    /// Returns the terminal type for the host: the caller's if the host knows it and tmux can
    /// draw on it, else a common one.
    pub async fn term(&self, shell: &dyn Shell) -> String {
        let plain = !self.term.is_empty()
            && !self.term.starts_with(['-', '.'])
            && self.term.chars().all(|it| it.is_ascii_alphanumeric() || "-_.+".contains(it));
        if self.pane || !plain {
            return COMMON.to_owned();
        }
        let ask = Command::new(["infocmp", &self.term]);
        match run(shell, &ask, DESCRIBE_LIMIT).await {
            Ok(output) if output.code == 0 && is_enough(&output.text()) => self.term.clone(),
            _ => COMMON.to_owned(),
        }
    }
}

/// Tells from a description whether tmux can draw on such a terminal; on `dumb` it refuses.
fn is_enough(description: &str) -> bool {
    let has = |name: &str| {
        description.contains(&format!(" {name}=")) || description.contains(&format!("\t{name}="))
    };
    has("clear") && has("cup")
}

/// Takes the connection out of a request that is to become a terminal.
pub fn upgrade(request: &mut Request) -> Result<OnUpgrade, ApiError> {
    request
        .extensions_mut()
        .remove::<OnUpgrade>()
        .ok_or_else(|| ApiError::new(ErrorKind::Invalid, "a terminal needs an upgraded connection"))
}

/// Returns the answer after which the connection is a terminal.
pub fn switching() -> Response {
    let headers = [(header::CONNECTION, "upgrade"), (header::UPGRADE, ATTACH_PROTOCOL)];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// How a terminal ended by itself.
pub struct Over {
    /// The end of its output, at most [`LAST_WORDS_MAX`] bytes.
    pub tail: Vec<u8>,
    /// The command's status, if it was known in time.
    pub code: Option<i32>,
}

/// Carries bytes both ways until one side ends. If it is the terminal, `farewell` makes the word
/// that the client gets for its end.
pub async fn carry<F>(upgrade: OnUpgrade, pty: Pty, farewell: impl FnOnce(Over) -> F)
where
    F: Future<Output = String>,
{
    let Ok(connection) = upgrade.await else { return };
    let (from_client, mut to_client) = tokio::io::split(TokioIo::new(connection));
    let Pty { output, input, resize, mut exit } = pty;
    let down = async {
        let Some(tail) = show(output, &mut to_client).await else { return };
        let ended = tokio::time::timeout(EXIT_LIMIT, &mut exit).await;
        let code = ended.ok().and_then(Result::ok).map(|it| it.code);
        let mut wire = Vec::new();
        PtyFrame::End(farewell(Over { tail, code }).await).encode(&mut wire);
        let _ = to_client.write_all(&wire).await;
        let _ = to_client.shutdown().await;
    };
    tokio::select! {
        () = down => (),
        () = take(from_client, input, resize) => (),
    }
}

/// Sends what the terminal shows until it ends, and returns the end of that; nothing if the
/// client went away first.
async fn show(
    mut output: impl AsyncRead + Unpin,
    to_client: &mut (impl AsyncWrite + Unpin),
) -> Option<Vec<u8>> {
    let mut chunk = vec![0; FRAME_MAX];
    let mut wire = Vec::new();
    let mut tail = Vec::new();
    while let Ok(mut n @ 1..) = output.read(&mut chunk).await {
        // A terminal is read some 4 KiB at a time, and every frame wakes a client: what is there
        // already goes along.
        while let Some(Ok(more @ 1..)) = output.read(&mut chunk[n..]).now_or_never() {
            n += more;
        }
        keep_tail(&mut tail, &chunk[..n]);
        wire.clear();
        PtyFrame::Data(chunk[..n].to_vec()).encode(&mut wire);
        to_client.write_all(&wire).await.ok()?;
    }
    Some(tail)
}

/// Gives the terminal what the client sends, until either ends.
async fn take(
    mut from_client: impl AsyncRead + Unpin,
    mut input: impl AsyncWrite + Unpin,
    resize: impl Fn(Size) -> BoxFuture<'static, ()>,
) {
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
                    resize(size).await;
                }
                Ok(Some(PtyFrame::End(_))) | Err(_) => return,
                Ok(None) => break,
            }
        }
    }
}

/// Keeps the last [`LAST_WORDS_MAX`] bytes of what was fed.
fn keep_tail(tail: &mut Vec<u8>, bytes: &[u8]) {
    tail.extend_from_slice(&bytes[bytes.len().saturating_sub(LAST_WORDS_MAX)..]);
    tail.drain(..tail.len().saturating_sub(LAST_WORDS_MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_the_output_is_kept() {
        let mut tail = Vec::new();
        keep_tail(&mut tail, &[b'x'; 3 * LAST_WORDS_MAX]);
        keep_tail(&mut tail, b"[exi");
        keep_tail(&mut tail, b"ted]");
        assert_eq!((tail.len(), &tail[LAST_WORDS_MAX - 8..]), (LAST_WORDS_MAX, &b"x[exited]"[1..]));
    }
}
