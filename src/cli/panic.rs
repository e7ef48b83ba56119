//! What a person sees of a defect: the terminal as it was, and a few words.

use std::{
    fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt, panic::PanicHookInfo, path::PathBuf,
};

use color_eyre::config::HookBuilder;

use crate::{
    cli::{
        out::Out,
        setup::{Setup, View},
    },
    stdx::{
        text::one_line,
        time::{Clock, SystemClock},
    },
    tui::{outer, recorder},
};

/// Sets what happens on a panic: the terminal is given back first, the whole report goes to a
/// file, and a few words to stderr. With RUST_BACKTRACE set the report is shown too.
pub fn install() {
    let (report, errors) = HookBuilder::default().display_env_section(false).into_hooks();
    // It was set by nobody before: this is the first thing the program does.
    let _ = errors.install();
    std::panic::set_hook(Box::new(move |info| {
        // Held until all is told.
        let _given_back = outer::give_back_on_panic();
        let recording = recorder::dump(SystemClock.now());
        let out = Out::new(false, false);
        let whole = report.panic_report(info).to_string();
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|it| it != "0") {
            out.note(&whole);
        }
        out.note(&words(info, write_down(&whole).as_deref()));
        if let Ok(recording) = recording {
            out.note(&format!("  what led to it: {}", one_line(&recording, 300)));
            out.note("  it holds what was on the screen: look at it before you give it away");
        }
    }));
}

fn words(info: &PanicHookInfo<'_>, file: Option<&std::path::Path>) -> String {
    let what = info.payload_as_str().unwrap_or("no message");
    let at = info.location().map(|it| format!(" ({}:{})", it.file(), it.line()));
    let mut text = format!(
        "Error: this is a defect of Parhelia: {}{}\n  tasks and sessions keep running",
        one_line(what, 300),
        at.unwrap_or_default()
    );
    if let Some(file) = file {
        text.push_str(&format!("\n  the whole report: {}", file.display()));
    }
    text.push_str(
        "\n  hint: please report it to the project, with that file and parhelia status --json",
    );
    text
}

/// Appends the report to a file only this user can read, and returns where.
fn write_down(report: &str) -> Option<PathBuf> {
    let path = Setup::load(View::Dispatcher).ok()?.dirs.state.join("panics.log");
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).ok()?;
    writeln!(file, "{report}\n").ok()?;
    Some(path)
}
