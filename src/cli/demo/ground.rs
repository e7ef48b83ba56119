//! The demo's own directory: made, entered, and taken away again with all that runs in it.
//!
//! ```text
//! <temporary directory>/parhelia-demo-<random>/       0700
//!   demo.json        whose it is: process id and start, and whether it is to stay
//!   parhelia.toml    the demo's configuration
//!   agent.sh scenes.sh own/                           the agent that stands in for Claude
//!   home/ state/ run/ tmux/                           instead of the person's
//!   project/         the toy project
//! ```

use std::{
    ffi::{OsStr, OsString},
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
        net::UnixStream,
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use rustix::process::{Pid, Signal, getpid, kill_process, test_kill_process};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::{
    api::error::{ApiError, ErrorKind},
    cli::{args::Demo, out::Out, setup::Setup, start},
    config::dirs::{Dirs, Env},
    stdx::random::base32,
};

/// What every demo's directory is called, before the random part.
const PREFIX: &str = "parhelia-demo-";

/// The longest path of the demo's directory, in bytes: tmux's socket lies 45 deeper, and the
/// system takes 103 in all.
const PATH_MAX: usize = 58;

/// How long what runs in the demo may take to end before it is made to, and how often it is
/// looked at.
const ENDS_WITHIN: u32 = 60;
const LOOK_AGAIN: Duration = Duration::from_millis(50);

const AGENT: &str = include_str!("../../../assets/demo/agent.sh");
const SCENES: &str = include_str!("../../../assets/demo/scenes.sh");
const PROJECT: &str = include_str!("../../../assets/demo/project.sh");

/// Prefixes of variables that are the person's and mean nothing in a demo.
const DROPPED: [&str; 6] = ["PARHELIA_", "ANTHROPIC_", "CLAUDE", "GIT_", "AWS_", "OTEL_"];

/// The demo's directory. Dropping it ends all that runs there and removes it, unless it is kept.
#[derive(Debug)]
pub struct Ground {
    dir: PathBuf,
    kept: bool,
}

/// Whose a demo is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Marker {
    /// The demo's process.
    pid: u32,
    /// When it started, as the system says it: a process id may go to another process.
    started: String,
    /// Whether it is to stay when that process is gone.
    kept: bool,
}

/// What tells a command that it is meant for the demo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places(Vec<(&'static str, PathBuf)>);

impl Ground {
    /// Makes a directory where a script can be run and a socket's path is short enough, with
    /// everything the demo starts from.
    ///
    /// # Errors
    ///
    /// If there is no such place.
    pub fn make() -> Result<Ground, ApiError> {
        let mut reasons = Vec::new();
        for place in places() {
            let dir = place.join(format!("{PREFIX}{}", base32(6)));
            if PATH_MAX < dir.as_os_str().len() {
                reasons.push(format!("{}: the path is too long", place.display()));
                continue;
            }
            let made = DirBuilder::new().mode(0o700).create(&dir);
            let ground = match made {
                Ok(()) => Ground { dir, kept: false },
                Err(error) => {
                    reasons.push(format!("{}: {error}", place.display()));
                    continue;
                }
            };
            match ground.fill() {
                Ok(()) => return Ok(ground),
                Err(error) => reasons.push(format!("{}: {error}", place.display())),
            }
        }
        let message = format!("no place for the demo's files\n{}", reasons.join("\n"));
        Err(ApiError::new(ErrorKind::Host, message)
            .hint("set TMPDIR to a directory of yours where programs may be run"))
    }

    /// Returns the demo's directory `dir`, which this process entered or takes over.
    ///
    /// # Errors
    ///
    /// If it is none of this user's.
    pub fn inside(dir: &Path) -> Result<Ground, ApiError> {
        match marker(dir) {
            Some(_) => Ok(Ground { dir: dir.to_owned(), kept: false }),
            None => Err(ApiError::new(
                ErrorKind::Invalid,
                format!("{} is no demo of yours", dir.display()),
            )),
        }
    }

    /// Becomes this program again, inside of the directory. Returns only the error of that.
    #[expect(clippy::disallowed_methods, reason = "this process goes on as itself, on no host")]
    pub fn enter(&self, out: &Out, args: &Demo) -> ApiError {
        let program = match start::this_program() {
            Ok(it) => it,
            Err(error) => return error,
        };
        let mut command = Command::new(program);
        command.args(["demo", "--inside"]).arg(&self.dir);
        command.args(args.keep.then_some("--keep"));
        command.args(args.headless.then_some("--headless"));
        command.args(out.json.then_some("--json"));
        command.env_clear().envs(environment(&self.dir, std::env::vars_os().collect()));
        command.current_dir(self.dir.join("project"));
        let error = command.exec();
        ApiError::new(ErrorKind::Host, format!("cannot start the demo: {error}"))
    }

    /// Lets it stay.
    pub fn keep(&mut self) -> Result<(), ApiError> {
        self.mark(true).map_err(|it| cannot("write down that it stays", &self.dir, &it))?;
        self.kept = true;
        Ok(())
    }

    fn fill(&self) -> io::Result<()> {
        // First, so that no crash leaves a directory that is nobody's.
        self.mark(false)?;
        for name in ["home", "own", "project", "run", "state", "tmux"] {
            DirBuilder::new().mode(0o700).create(self.dir.join(name))?;
        }
        let agent = self.dir.join("agent.sh");
        write(&agent, AGENT, 0o700)?;
        write(&self.dir.join("scenes.sh"), SCENES, 0o600)?;
        write(&self.dir.join("project.sh"), PROJECT, 0o600)?;
        // The stand-in needs no login, and has no first questions.
        let claude = self.dir.join("home/.claude");
        DirBuilder::new().mode(0o700).create(&claude)?;
        write(&claude.join("settings.json"), r#"{"apiKeyHelper": "true"}"#, 0o600)?;
        let state = self.dir.join("home/.claude.json");
        write(&state, r#"{"hasCompletedOnboarding": true}"#, 0o600)?;
        write(&self.dir.join("parhelia.toml"), &config(&agent), 0o600)?;
        // Where scripts cannot be run, this one says so.
        self.run(agent.as_os_str(), [OsStr::new("--version")])?;
        let script = self.dir.join("project.sh");
        self.run(OsStr::new("sh"), [script.as_os_str(), self.dir.join("project").as_os_str()])
    }

    fn mark(&self, kept: bool) -> io::Result<()> {
        let pid = getpid().as_raw_nonzero().get().unsigned_abs();
        let marker = Marker { pid, started: started(pid).unwrap_or_default(), kept };
        let path = self.dir.join("demo.json");
        let new = self.dir.join("demo.json.new");
        write(&new, &serde_json::to_string(&marker)?, 0o600)?;
        fs::rename(new, path)
    }

    /// Runs a program in the demo to its end, unheard.
    #[expect(clippy::disallowed_methods, reason = "the demo's own directory is on no host")]
    fn run<'a>(
        &self,
        program: &OsStr,
        args: impl IntoIterator<Item = &'a OsStr>,
    ) -> io::Result<()> {
        let mut command = Command::new(program);
        command.args(args).env_clear();
        command.envs(environment(&self.dir, std::env::vars_os().collect()));
        let output = command.stdin(Stdio::null()).current_dir(&self.dir).output()?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(io::Error::other(format!("{}: {said}", program.display())))
    }

    /// Ends all that runs in the demo, and removes it.
    fn clear(&self) {
        let env = environment(&self.dir, std::env::vars_os().collect());
        if let Ok(program) = start::this_program() {
            // It may have ended, or never begun: what counts is that nobody restarts sessions.
            let _ = self.run(program.as_os_str(), ["daemon", "stop"].map(OsStr::new));
        }
        let running = running(&self.dir);
        let uid = rustix::process::geteuid().as_raw();
        if let Ok(dirs) = Dirs::from_env(&env, uid) {
            let socket = dirs.tmux_socket();
            let kill = ["-L", &socket, "kill-server"].map(OsStr::new);
            // Fails where no session was ever made.
            let _ = self.run(OsStr::new("tmux"), kill);
        }
        for round in 0..ENDS_WITHIN {
            let left: Vec<&(u32, String)> = running.iter().filter(|it| is_same(it)).collect();
            if ENDS_WITHIN / 2 < round {
                left.iter().for_each(|it| kill(it.0));
            }
            // Whatever still writes there at its end makes this fail, so it is tried again.
            if left.is_empty() && (fs::remove_dir_all(&self.dir).is_ok() || !self.dir.exists()) {
                return;
            }
            sleep(LOOK_AGAIN);
        }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if !self.kept {
            self.clear();
        }
    }
}

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

/// Removes what demos left that did not come to their end, and returns which. One whose process
/// lives is let be, and one that was to stay as long as its dispatcher answers.
pub fn sweep() -> Vec<PathBuf> {
    let mut removed = Vec::new();
    for place in places() {
        for entry in fs::read_dir(place).into_iter().flatten().flatten() {
            let dir = entry.path();
            if !entry.file_name().as_bytes().starts_with(PREFIX.as_bytes()) {
                continue;
            }
            let Some(marker) = marker(&dir) else { continue };
            let answers = || UnixStream::connect(dir.join("run/parhelia.sock")).is_ok();
            let lives = match marker.kept {
                true => answers(),
                false => is_same(&(marker.pid, marker.started)),
            };
            if !lives {
                drop(Ground { dir: dir.clone(), kept: false });
                removed.push(dir);
            }
        }
    }
    removed
}

/// Returns the directories that a demo may be in.
fn places() -> Vec<PathBuf> {
    let mut places = vec![std::env::temp_dir(), PathBuf::from("/tmp")];
    places.extend(std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from));
    places.retain(|it| it.is_absolute());
    places.dedup();
    places
}

/// Returns whose a demo is; nothing if `dir` is none, or not this user's own.
fn marker(dir: &Path) -> Option<Marker> {
    let meta = fs::symlink_metadata(dir).ok()?;
    let own = meta.is_dir()
        && meta.uid() == rustix::process::geteuid().as_raw()
        && meta.mode() & 0o077 == 0;
    let text = own.then(|| fs::read_to_string(dir.join("demo.json")).ok())??;
    serde_json::from_str(&text).ok()
}

/// Returns the environment inside of the demo in `dir`, made from the person's.
fn environment(dir: &Path, mut env: Env) -> Env {
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

/// Returns the demo's configuration. The ceiling is such that the warning comes half a minute
/// after the start.
fn config(agent: &Path) -> String {
    let agent = toml::Value::String(agent.to_string_lossy().into_owned());
    format!(
        "# The configuration of a demo.\n\
         [agent]\ncommand = [{agent}]\nenv = []\n\n\
         [dispatcher]\nmax_concurrent_workers = {}\n\n\
         [budget]\ndefault_ceiling_usd = 15.0\nwarning_threshold = 0.8\non_exceeded = \"block\"\n",
        super::tasks::WORKERS
    )
}

/// Returns the processes that the demo's tasks wrote down as theirs, with their starts.
fn running(dir: &Path) -> Vec<(u32, String)> {
    let under =
        |dir: PathBuf| fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let launches = under(dir.join("state/runs")).flat_map(under);
    let pids =
        launches.filter_map(|it| fs::read_to_string(it.join("pid")).ok()?.trim().parse().ok());
    pids.filter_map(|pid| Some((pid, started(pid)?))).collect()
}

/// Tells whether the process of that id still is the one that started then.
fn is_same((pid, start): &(u32, String)) -> bool {
    started(*pid).is_some_and(|it| it == *start)
}

/// Returns when a process started, in the system's own words; nothing if there is none, or if it
/// has ended and waits for its parent.
#[expect(clippy::disallowed_methods, reason = "the demo's processes are on no host")]
fn started(pid: u32) -> Option<String> {
    let id = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
    if let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) {
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let ended = matches!(*fields.first()?, "Z" | "X");
        return (!ended).then(|| fields.get(19).map(|it| (*it).to_owned()))?;
    }
    test_kill_process(id).ok()?;
    let output =
        Command::new("ps").args(["-o", "lstart=", "-p", &pid.to_string()]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn kill(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // Gone is what is wanted.
        let _ = kill_process(pid, Signal::KILL);
    }
}

fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> ApiError {
    ApiError::new(ErrorKind::Host, format!("cannot {what} in {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_process_is_known_by_its_start() {
        let me = getpid().as_raw_nonzero().get().unsigned_abs();
        let start = started(me).unwrap();
        assert!(is_same(&(me, start.clone())));
        assert!(!is_same(&(me, format!("{start}0"))));
        assert_eq!(started(u32::MAX), None);
    }

    #[test]
    fn a_directory_that_is_no_demo_is_let_be() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Ground::inside(dir.path()).is_err());
        fs::write(dir.path().join("demo.json"), "{}").unwrap();
        assert!(Ground::inside(dir.path()).is_err());
        assert!(dir.path().exists());
    }

    #[test]
    fn the_configuration_is_right() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("parhelia.toml");
        fs::write(&file, config(Path::new("/t/a \"b\"/agent.sh"))).unwrap();
        let sources = crate::config::load::Sources {
            user: dir.path().join("none"),
            explicit: Some(file),
            project_dir: None,
        };
        let settings = crate::config::load::load(&sources).unwrap();
        assert_eq!(settings.agent.command.program, "/t/a \"b\"/agent.sh");
        assert_eq!(settings.agent.env, []);
        assert_eq!(settings.local.slots, super::super::tasks::WORKERS);
    }
}
