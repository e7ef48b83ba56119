//! Programs that have the terminal for a while.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::process::{Signal, getpgrp, getppid, getsid, kill_current_process_group};
use tokio::process::Command;

use crate::{
    stdx::text::one_line,
    tui::{
        effect::HandOver,
        msg::Returned,
        perform::files::{create_private, make_private},
    },
};

/// The longest text that is taken back from an editor.
const TEXT_MAX: u64 = 8 * 1024 * 1024;

/// Runs the person's editor as git does: it may have arguments, and is found by the shell.
const EDITOR: &str = r#"eval "${VISUAL:-${EDITOR:-vi}} \"\$1\"""#;

/// Runs the person's pager. One that ends at the end of a short text would show nothing.
const PAGER: &str = r#"if [ -n "$PAGER" ]; then eval "$PAGER \"\$1\""
elif command -v less >/dev/null; then less -+F -+E -- "$1"
else more "$1"; fi"#;

/// Runs a program on the terminal, which was given back before; `program` is this one.
pub async fn run(to: HandOver, program: &Path, dir: &Path) -> Returned {
    let done = match to {
        HandOver::Session { task } => session(program, &task).await,
        HandOver::Editor { text, suffix } => edit(&text, suffix, dir).await,
        HandOver::Pager { text } => page(&text, dir).await,
        HandOver::Suspend => suspend(),
    };
    done.unwrap_or_else(Returned::Failed)
}

/// Stops this process and whatever was started with it, as the shell's own Ctrl-Z would.
///
/// # Errors
///
/// If there is no shell that could let it go on.
pub fn suspend() -> Result<Returned, String> {
    let leads = getsid(None).is_ok_and(|it| it == getpgrp());
    let orphaned = match getppid() {
        Some(parent) => getsid(Some(parent)).ok() != getsid(None).ok(),
        None => true,
    };
    if leads || orphaned {
        return Err("there is no shell here that could let it go on".to_owned());
    }
    kill_current_process_group(Signal::STOP).map_err(|it| format!("cannot stop: {it}"))?;
    Ok(Returned::Continued)
}

#[expect(
    clippy::disallowed_methods,
    reason = "programs on the person's own terminal, not a host's"
)]
fn on_terminal(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.kill_on_drop(true);
    command
}

async fn session(program: &Path, task: &str) -> Result<Returned, String> {
    let mut command = on_terminal(program);
    command.args(["attach", "--", task]);
    match command.status().await {
        Ok(_) => Ok(Returned::Session),
        Err(it) => Err(format!("cannot attach: {it}")),
    }
}

async fn edit(text: &str, suffix: &str, dir: &Path) -> Result<Returned, String> {
    let file = Aside::new(text, suffix, dir)?;
    let mut command = on_terminal(Path::new("sh"));
    command.args(["-c", EDITOR, "sh"]).arg(&file.0);
    let status = command.status().await.map_err(|it| format!("cannot run the editor: {it}"))?;
    if !status.success() {
        return Ok(Returned::Edited(Err(format!("the editor ended with {status}"))));
    }
    Ok(Returned::Edited(file.read(text)))
}

async fn page(text: &str, dir: &Path) -> Result<Returned, String> {
    let file = Aside::new(text, ".txt", dir)?;
    let mut command = on_terminal(Path::new("sh"));
    command.args(["-c", PAGER, "sh"]).arg(&file.0);
    match command.status().await {
        Ok(_) => Ok(Returned::Shown),
        Err(it) => Err(format!("cannot run the pager: {it}")),
    }
}

/// A file for another program, deleted afterwards.
struct Aside(PathBuf);

impl Aside {
    fn new(text: &str, suffix: &str, dir: &Path) -> Result<Aside, String> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(format!("text-{}-{number}{suffix}", std::process::id()));
        let failed = |it: std::io::Error| {
            format!("cannot write {}: {it}", one_line(&path.to_string_lossy(), 200))
        };
        make_private(dir).map_err(failed)?;
        // One left by a process of the same number that was killed.
        let _ = fs::remove_file(&path);
        let mut file = create_private(&path).map_err(failed)?;
        let aside = Aside(path.clone());
        file.write_all(text.as_bytes()).map_err(failed)?;
        Ok(aside)
    }

    /// Returns the text as it was saved. Editors end a last line that had no end; that is undone.
    fn read(&self, before: &str) -> Result<String, String> {
        let size = fs::metadata(&self.0).map_err(|it| format!("the text is gone: {it}"))?.len();
        if TEXT_MAX < size {
            return Err(format!("the text is too long: {size} bytes"));
        }
        let bytes = fs::read(&self.0).map_err(|it| format!("cannot read the text: {it}"))?;
        let mut text = String::from_utf8(bytes).map_err(|_| "the text is not UTF-8".to_owned())?;
        if text.ends_with('\n') && !before.ends_with('\n') {
            text.pop();
        }
        Ok(text)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
