//! The real Claude Code, in the one version the tests are written against.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The version; `tests/run` installs this one.
pub const VERSION: &str = "2.1.329";

/// Returns the program: `$PARHELIA_TEST_CLAUDE`, else the one `tests/run` installed.
///
/// # Panics
///
/// If there is none, or it is another version: a test must not pass against something else.
pub fn program() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        let path = env::var_os("PARHELIA_TEST_CLAUDE").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/claude/node_modules/.bin/claude"),
            PathBuf::from,
        );
        let output = Command::new(&path).arg("--version").output().unwrap_or_else(|err| {
            panic!("no Claude Code at {}: {err}; `tests/run` installs it", path.display())
        });
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert_eq!(
            said.split(' ').next(),
            Some(VERSION),
            "{} says `{said}`, but the tests are written for {VERSION}",
            path.display()
        );
        path
    })
}
