//! Commands whose streams are joined: what passes through here is never held as a whole.

use std::{pin::Pin, time::Duration};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

use crate::shell::{Command, Output, Process, Shell, ShellError};

/// How much of a pack is held here at a time.
const CHUNK: usize = 64 * 1024;

/// How much is kept of what a command says; what comes after is read and dropped.
const SAID_MAX: usize = 64 * 1024;

/// Runs two commands at the same time: the first reads its own input, and the second reads what
/// the first writes. If either ends early so does the other. Returns how both ended; that they
/// failed is not an error.
pub(super) async fn joined(
    from: (&dyn Shell, &Command),
    to: (&dyn Shell, &Command),
) -> Result<(Output, Output), ShellError> {
    let sink = to.0.exec(to.1).await?;
    let source = from.0.exec(from.1).await?;
    let (own, mut into) = (source.stdin, sink.stdin);
    // Ends when the source has no more or the sink takes no more; either notices.
    let flow = async move {
        let mut pack = BufReader::with_capacity(CHUNK, source.stdout);
        let _ = tokio::io::copy_buf(&mut pack, &mut into).await;
        let _ = into.shutdown().await;
    };
    let ((), (), complaint, answer, other, offered, accepted) = tokio::join!(
        feed(own, &from.1.stdin),
        flow,
        said(source.stderr),
        said(sink.stdout),
        said(sink.stderr),
        source.exit,
        sink.exit
    );
    Ok((
        Output { code: offered?.code, stdout: Vec::new(), stderr: complaint },
        Output { code: accepted?.code, stdout: answer, stderr: other },
    ))
}

/// Runs a command; its input ends only when it has ended, or with this process.
pub(super) async fn held(shell: &dyn Shell, command: &Command) -> Result<Output, ShellError> {
    let Process { stdin, stdout, stderr, exit } = shell.exec(command).await?;
    let (stdout, stderr, exit) = tokio::join!(said(stdout), said(stderr), exit);
    drop(stdin);
    Ok(Output { code: exit?.code, stdout, stderr })
}

/// Does the work, for no longer than `limit`; commands that run then are ended.
///
/// # Errors
///
/// [`ShellError::Deadline`].
pub(super) async fn within<T>(
    limit: Duration,
    shell: &dyn Shell,
    what: &str,
    work: impl Future<Output = T>,
) -> Result<T, ShellError> {
    tokio::time::timeout(limit, work).await.map_err(|_| ShellError::Deadline {
        host: shell.host().to_owned(),
        command: what.to_owned(),
        limit,
    })
}

async fn feed(mut stdin: Pin<Box<dyn AsyncWrite + Send>>, bytes: &[u8]) {
    // A command that ends without reading all of its input is not an error.
    let _ = stdin.write_all(bytes).await;
    let _ = stdin.shutdown().await;
}

async fn said(mut stream: Pin<Box<dyn AsyncRead + Send>>) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut chunk = vec![0; 8 * 1024];
    while let Ok(n @ 1..) = stream.read(&mut chunk).await {
        let room = SAID_MAX.saturating_sub(kept.len()).min(n);
        kept.extend_from_slice(&chunk[..room]);
    }
    kept
}
