//! The demo's own directory: made, entered, and taken away again with all that runs in it.
//!
//! ```text
//! <temporary directory>/parhelia-demo-<random>/       0700
//!   demo.json        whose it is: process id and start, and whether it is to stay
//!   parhelia.toml    the demo's configuration
//!   agent.sh scenes.sh own/                           the agent that stands in for Claude
//!   parhelia         this program, with the demo's environment
//!   home/ state/ run/ tmux/                           instead of the person's
//!   project/         the toy project
//! ```

use std::{
    ffi::OsStr,
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

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::{
    api::error::{ApiError, ErrorKind},
    cli::{
        args::Demo,
        demo::{
            env::{environment, launcher},
            process::Process,
        },
        out::Out,
        start,
    },
    config::dirs::Dirs,
    stdx::random::base32,
};

/// What every demo's directory is called, before the random part.
const PREFIX: &str = "parhelia-demo-";

/// The file that says whose a demo is.
const MARKER: &str = "demo.json";

/// The longest path of the demo's directory, in bytes: tmux's socket lies 45 deeper, and the
/// system takes 103 in all.
pub const PATH_MAX: usize = 58;

/// How long what runs in the demo may take to end before it is made to, and how often it is
/// looked at.
const ENDS_WITHIN: u32 = 60;
const LOOK_AGAIN: Duration = Duration::from_millis(50);

const AGENT: &str = include_str!("../../../assets/demo/agent.sh");
const SCENES: &str = include_str!("../../../assets/demo/scenes.sh");
const PROJECT: &str = include_str!("../../../assets/demo/project.sh");

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
    process: Process,
    /// Whether it is to stay when that process is gone.
    kept: bool,
}

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

    /// Returns the demo's directory `dir`, which this process has entered.
    ///
    /// # Errors
    ///
    /// If it is no demo of this process's.
    pub fn inside(dir: &Path) -> Result<Ground, ApiError> {
        match marker(dir) {
            Some(it) if it.process == Process::own() => {
                Ok(Ground { dir: dir.to_owned(), kept: false })
            }
            _ => Err(no_demo(dir, "is not the demo of this process")),
        }
    }

    /// Returns the directory of a demo whose process is gone.
    ///
    /// # Errors
    ///
    /// If it is no demo of this user's, or one that its process will end.
    pub fn left(dir: &Path) -> Result<Ground, ApiError> {
        match marker(dir) {
            Some(it) if it.process.lives() => {
                Err(no_demo(dir, "is still open").hint("it ends when its dashboard is closed"))
            }
            Some(_) => Ok(Ground { dir: dir.to_owned(), kept: false }),
            None => Err(no_demo(dir, "is no demo of yours")),
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
        write(&self.dir.join("parhelia.toml"), config(&agent), 0o600)?;
        let program = start::this_program().map_err(io::Error::other)?;
        write(&self.dir.join("parhelia"), launcher(&program, &self.dir), 0o700)?;
        // Where scripts cannot be run, this one says so.
        self.run(agent.as_os_str(), [OsStr::new("--version")])?;
        let script = self.dir.join("project.sh");
        self.run(OsStr::new("sh"), [script.as_os_str(), self.dir.join("project").as_os_str()])?;
        Ok(())
    }

    fn mark(&self, kept: bool) -> io::Result<()> {
        let marker = Marker { process: Process::own(), kept };
        let path = self.dir.join(MARKER);
        let new = self.dir.join("demo.json.new");
        write(&new, serde_json::to_string(&marker)?, 0o600)?;
        fs::rename(new, path)
    }

    /// Runs a program in the demo to its end, and returns what it wrote.
    #[expect(clippy::disallowed_methods, reason = "the demo's own directory is on no host")]
    fn run<'a>(
        &self,
        program: &OsStr,
        args: impl IntoIterator<Item = &'a OsStr>,
    ) -> io::Result<String> {
        let mut command = Command::new(program);
        command.args(args).env_clear();
        command.envs(environment(&self.dir, std::env::vars_os().collect()));
        let output = command.stdin(Stdio::null()).current_dir(&self.dir).output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(io::Error::other(format!("{}: {said}", program.display())))
    }

    /// Ends all that runs in the demo, and removes it.
    fn clear(&self) {
        // First of all, because a dispatcher that lives brings sessions back.
        let mut running: Vec<Process> = self.stop_dispatcher().into_iter().collect();
        running.extend(launched(&self.dir));
        self.stop_tmux();
        for round in 0..ENDS_WITHIN {
            let left: Vec<&Process> = running.iter().filter(|it| it.lives()).collect();
            if ENDS_WITHIN / 2 < round {
                left.iter().for_each(|it| it.kill());
            }
            // Whatever still writes there at its end makes this fail, so it is tried again.
            if left.is_empty() && (remove(&self.dir).is_ok() || !self.dir.exists()) {
                return;
            }
            sleep(LOOK_AGAIN);
        }
    }

    /// Ends the dispatcher, and returns which it was.
    fn stop_dispatcher(&self) -> Option<Process> {
        let program = start::this_program().ok()?;
        let ask = |args: &[&str]| self.run(program.as_os_str(), args.iter().map(OsStr::new));
        let status = ask(&["daemon", "status", "--json"]).ok()?;
        let status: Json = serde_json::from_str(&status).ok()?;
        let pid = u32::try_from(status.get("pid")?.as_u64()?).ok()?;
        let running = Process::of(pid)?;
        // One that does not end by itself is made to, later.
        let _ = ask(&["daemon", "stop"]);
        Some(running)
    }

    fn stop_tmux(&self) {
        let env = environment(&self.dir, std::env::vars_os().collect());
        if let Ok(dirs) = Dirs::from_env(&env, rustix::process::geteuid().as_raw()) {
            let socket = dirs.tmux_socket();
            // Fails where no session was ever made.
            let _ = self.run(OsStr::new("tmux"), ["-L", &socket, "kill-server"].map(OsStr::new));
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
                false => marker.process.lives(),
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
    let text = own.then(|| fs::read_to_string(dir.join(MARKER)).ok())??;
    serde_json::from_str(&text).ok()
}

/// Returns the demo's configuration. The ceiling is such that the warning comes half a minute
/// after the start; workers have a price, so that there is something to meter.
fn config(agent: &Path) -> String {
    let agent = toml::Value::String(agent.to_string_lossy().into_owned());
    format!(
        "# The configuration of a demo.\n\
         [agent]\ncommand = [{agent}]\nenv = []\n\n\
         [dispatcher]\nmax_concurrent_workers = {}\n\n\
         [budget]\ndefault_ceiling_usd = 17.5\nmax_daily_cost = 40.0\nwarning_threshold = 0.8\n\
         on_exceeded = \"block\"\nreserve_usd = 0.2\n\n\
         [local]\ncost_per_hour = 0.6\n",
        super::tasks::WORKERS
    )
}

/// Removes the demo's directory; the marker goes last, so that what is left of it is found again.
fn remove(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false if entry.file_name() == MARKER => (),
            false => fs::remove_file(entry.path())?,
        }
    }
    fs::remove_dir_all(dir)
}

/// Returns the processes that the demo's tasks wrote down as theirs, with their starts.
fn launched(dir: &Path) -> Vec<Process> {
    let under =
        |dir: PathBuf| fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let launches = under(dir.join("state/runs")).flat_map(under);
    let pids =
        launches.filter_map(|it| fs::read_to_string(it.join("pid")).ok()?.trim().parse().ok());
    pids.filter_map(Process::of).collect()
}

fn no_demo(dir: &Path, why: &str) -> ApiError {
    ApiError::new(ErrorKind::Invalid, format!("{} {why}", dir.display()))
}

fn write(path: &Path, text: impl AsRef<[u8]>, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_ref())
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> ApiError {
    ApiError::new(ErrorKind::Host, format!("cannot {what} in {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_that_is_no_demo_is_let_be() {
        let dir = tempfile::tempdir().unwrap();
        for marker in ["", "{}", r#"{"process":{"pid":1,"started":"x"},"kept":false}"#] {
            fs::write(dir.path().join(MARKER), marker).unwrap();
            assert!(Ground::inside(dir.path()).is_err(), "{marker}");
        }
        fs::write(dir.path().join(MARKER), "{}").unwrap();
        assert!(Ground::left(dir.path()).is_err());
        // Another's could be one of theirs that is made to look like a demo.
        let open = fs::Permissions::from_mode(0o755);
        let marker = r#"{"process":{"pid":1,"started":"x"},"kept":true}"#;
        fs::write(dir.path().join(MARKER), marker).unwrap();
        fs::set_permissions(dir.path(), open).unwrap();
        assert!(Ground::left(dir.path()).is_err());
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
