//! Programs of the person's machine: browser, notifications, a pipe.

use std::{process::Stdio, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    time::timeout,
};

use crate::{
    api::error::{ApiError, ErrorKind},
    config::value::CommandLine,
    stdx::text::one_line,
    tui::msg::Reply,
};

/// Longest wait for a command that text is piped into.
const PIPE_LIMIT: Duration = Duration::from_secs(10);

/// The most of its output that is shown.
const PIPE_OUTPUT: u64 = 64 * 1024;

/// Longest life of a program that shows a notification or opens something.
const HELPER_LIMIT: Duration = Duration::from_secs(30);

/// Makes a command that neither reads our keys nor writes on our screen.
#[expect(clippy::disallowed_methods, reason = "programs of the person's own desktop, not a host's")]
fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// Lets a program do its work, for as long as that may take.
fn leave(child: std::io::Result<Child>) {
    if let Ok(mut child) = child {
        tokio::spawn(async move { timeout(HELPER_LIMIT, child.wait()).await });
    }
}

/// Opens an address or a file with the desktop's program for it. Nothing else is opened: what a
/// session printed may name any program by its scheme.
pub fn open(address: &str) {
    let allowed = ["http://", "https://", "file://", "/"];
    if !allowed.iter().any(|it| address.starts_with(it)) || address.chars().any(char::is_control) {
        return;
    }
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    leave(quiet(program).arg(address).spawn());
}

/// Tells the desktop, and the person's own program if one is configured.
pub fn notify(command: Option<&CommandLine>, title: &str, body: &str) {
    let (title, body) = (one_line(title, 100), one_line(body, 300));
    if let Some(it) = command {
        let arguments = it.args.iter().map(|it| it.expose());
        leave(quiet(&it.program).args(arguments).args([&title, &body]).spawn());
        return;
    }
    let desktop = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|it| std::env::var_os(it).is_some());
    if desktop {
        leave(quiet("notify-send").args(["--app-name=parhelia", "--", &title, &body]).spawn());
    }
}

/// Pipes text into a command of the person's.
pub async fn pipe(command: &str, text: String) -> Result<Reply, ApiError> {
    let mut shell = quiet("sh");
    shell.args(["-c", command]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let failed = |what: String| ApiError::new(ErrorKind::Invalid, what);
    // Errors belong to what a person reads of it.
    let mut child = shell
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|it| failed(format!("cannot run sh: {it}")))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let work = async {
        let feed = async {
            if let Some(mut stdin) = stdin {
                // One that reads only the beginning, like head, is well.
                let _ = stdin.write_all(text.as_bytes()).await;
            }
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let hear = async {
            if let Some(it) = stdout {
                let _ = it.take(PIPE_OUTPUT).read_to_end(&mut out).await;
            }
        };
        let hear_errors = async {
            if let Some(it) = stderr {
                let _ = it.take(PIPE_OUTPUT).read_to_end(&mut err).await;
            }
        };
        tokio::join!(feed, hear, hear_errors);
        (child.wait().await, out, err)
    };
    let Ok((status, mut out, err)) = timeout(PIPE_LIMIT, work).await else {
        return Err(failed(format!(
            "{} did not end within {} s and was ended",
            one_line(command, 60),
            PIPE_LIMIT.as_secs()
        )));
    };
    let status = status.map_err(|it| failed(it.to_string()))?;
    if !status.success() && out.is_empty() {
        let said = one_line(&String::from_utf8_lossy(&err), 300);
        return Err(failed(format!("{}: {status} {said}", one_line(command, 60))));
    }
    out.extend(err);
    out.truncate(usize::try_from(PIPE_OUTPUT).unwrap_or(usize::MAX));
    Ok(Reply::Printed(String::from_utf8_lossy(&out).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn text_goes_through_a_command() {
        let Ok(Reply::Printed(text)) = pipe("tr a-z A-Z", "some text".into()).await else {
            panic!("no output");
        };
        assert_eq!(text, "SOME TEXT");
        let error = pipe("echo no >&2; exit 3", String::new()).await.unwrap_err();
        assert!(error.message.contains("no"), "{error}");
        // What is not read does not hold it up.
        assert!(pipe("head -c 1", "x".repeat(1_000_000)).await.is_ok());
    }
}
