//! What is the demo's own in the environment, in the place of the person's.

use std::{
    ffi::OsString,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use serde_json::{Value as Json, json};

use crate::{cli::setup::Setup, config::dirs::Env};

/// Prefixes of variables that are the person's and mean nothing in a demo.
const DROPPED: [&str; 6] = ["PARHELIA_", "ANTHROPIC_", "CLAUDE", "GIT_", "AWS_", "OTEL_"];

/// What tells a command that it is meant for the demo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places(Vec<(&'static str, PathBuf)>);

impl Places {
    /// Returns the places of `setup`, which is a demo's.
    pub fn of(setup: &Setup) -> Places {
        Places(overrides(setup.dirs.state.parent().unwrap_or(Path::new("/"))))
    }

    /// Returns `NAME=value` for each variable.
    pub fn assignments(&self) -> Vec<String> {
        self.0.iter().map(|(name, value)| format!("{name}={}", value.display())).collect()
    }

    /// Returns the variables for `--json`.
    pub fn to_json(&self) -> Json {
        let env: serde_json::Map<String, Json> = self
            .0
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value.to_string_lossy())))
            .collect();
        json!({ "env": env })
    }
}

/// Returns the environment inside of the demo in `dir`, made from the person's.
pub fn environment(dir: &Path, mut env: Env) -> Env {
    let is_dropped = |name: &OsString| {
        DROPPED.iter().any(|prefix| name.as_bytes().starts_with(prefix.as_bytes()))
    };
    env.retain(|name, _| !is_dropped(name));
    env.extend(overrides(dir).into_iter().map(|(name, it)| (name.into(), it.into_os_string())));
    env
}

/// Returns what is the demo's own in the environment.
fn overrides(dir: &Path) -> Vec<(&'static str, PathBuf)> {
    let home = dir.join("home");
    vec![
        ("PARHELIA_STATE_DIR", dir.join("state")),
        ("PARHELIA_RUNTIME_DIR", dir.join("run")),
        ("PARHELIA_CONFIG", dir.join("parhelia.toml")),
        ("TMUX_TMPDIR", dir.join("tmux")),
        ("XDG_CONFIG_HOME", home.join(".config")),
        ("XDG_STATE_HOME", home.join(".local/state")),
        ("XDG_DATA_HOME", home.join(".local/share")),
        ("XDG_CACHE_HOME", home.join(".cache")),
        ("HOME", home),
    ]
}

/// Returns a script that runs this program in the demo, for other terminals.
pub fn launcher(program: &Path, dir: &Path) -> Vec<u8> {
    let quoted = |it: &Path| {
        let text = it.as_os_str().as_bytes();
        let parts: Vec<&[u8]> = text.split(|it| *it == b'\'').collect();
        [b"'", parts.join(&br"'\''"[..]).as_slice(), b"'"].concat()
    };
    let mut script = b"#!/bin/sh\n# Runs Parhelia in the demo that this lies in.\n".to_vec();
    for (name, value) in overrides(dir) {
        script.extend([b"export ", name.as_bytes(), b"=", &quoted(&value), b"\n"].concat());
    }
    script.extend([b"exec ", quoted(program).as_slice(), b" \"$@\"\n"].concat());
    script
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, fs, os::unix::fs::PermissionsExt};

    use super::*;
    use crate::{cli::demo::ground::PATH_MAX, config::dirs::Dirs};

    #[test]
    fn nothing_of_the_person_s_reaches_the_demo() {
        let person = [
            ("HOME", "/home/u"),
            ("PATH", "/bin"),
            ("TERM", "xterm"),
            ("ANTHROPIC_API_KEY", "k"),
            ("CLAUDECODE", "1"),
            ("CLAUDE_CONFIG_DIR", "/home/u/.claude"),
            ("PARHELIA_STATE_DIR", "/home/u/state"),
            ("XDG_STATE_HOME", "/home/u/s"),
            ("XDG_RUNTIME_DIR", "/run/user/1"),
        ];
        let person: Env = person.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        let env = environment(Path::new("/t/demo"), person);
        let kept: Vec<&OsString> =
            env.keys().filter(|it| env[*it].as_bytes().starts_with(b"/home/u")).collect();
        assert!(kept.is_empty(), "{kept:?}");
        assert!(!env.contains_key(OsStr::new("ANTHROPIC_API_KEY")));
        assert!(!env.contains_key(OsStr::new("CLAUDECODE")));
        for (name, value) in [("PATH", "/bin"), ("TERM", "xterm"), ("HOME", "/t/demo/home")] {
            assert_eq!(env[OsStr::new(name)], value, "{name}");
        }
        let dirs = Dirs::from_env(&env, 1000).unwrap();
        assert_eq!(dirs.state, Path::new("/t/demo/state"));
        assert!(dirs.tmux_socket().starts_with("parhelia-"));
        let longest = format!("tmux/tmux-4294967295/{}", dirs.tmux_socket());
        assert!(PATH_MAX + 1 + longest.len() < 104, "{longest}");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the script is for this machine")]
    fn the_launcher_runs_the_program_with_the_demo_s_environment() {
        let dir = tempfile::tempdir().unwrap();
        let demo = dir.path().join("it's a demo");
        fs::create_dir(&demo).unwrap();
        let program = dir.path().join("prog'ram");
        make(&program, b"#!/bin/sh\necho \"$PARHELIA_STATE_DIR $1\"\n");
        let script = demo.join("parhelia");
        make(&script, &launcher(&program, &demo));
        let output = std::process::Command::new(&script).arg("a b").output().unwrap();
        let want = format!("{} a b\n", demo.join("state").display());
        assert_eq!(String::from_utf8_lossy(&output.stdout), want);
    }

    fn make(path: &Path, text: &[u8]) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}
