//! A machine of one's own: home, state, workspace, API and `claude`, gone at the end.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    time::Duration,
};

use serde_json::Value;

use crate::support::{api::Api, claude, leftovers, wait::wait};

/// How long cleaning up waits for a dispatcher that was told to stop.
const STOP: Duration = Duration::from_secs(10);

/// What a command left.
#[derive(Debug)]
pub struct Ran {
    /// Its status; nothing if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

/// A machine of one's own. Dropping it stops the dispatcher, tmux and every process left in it.
pub struct Sandbox {
    /// What Claude Code talks to.
    pub api: Api,
    dir: tempfile::TempDir,
    env: BTreeMap<String, String>,
    pids: Mutex<Vec<u32>>,
}

impl Sandbox {
    /// Makes one with an API of its own, and Claude Code past its first run.
    pub fn new() -> Sandbox {
        let api = Api::start();
        let dir = tempfile::Builder::new().prefix("ph-").tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        for name in ["home", "state", "run", "tmux", "bin", "workspace"] {
            fs::create_dir(at(name)).unwrap();
        }
        symlink(fs::canonicalize(claude::program()).unwrap(), at("bin/claude")).unwrap();
        fs::write(at("home/.claude.json"), r#"{"hasCompletedOnboarding": true}"#).unwrap();
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", at("bin"));
        let env = [
            ("PATH", path),
            ("HOME", at("home")),
            ("LANG", "C.UTF-8".into()),
            ("TERM", "xterm-256color".into()),
            ("XDG_CONFIG_HOME", at("home/.config")),
            ("XDG_STATE_HOME", at("home/.local/state")),
            ("XDG_DATA_HOME", at("home/.local/share")),
            ("XDG_CACHE_HOME", at("home/.cache")),
            ("XDG_RUNTIME_DIR", at("run")),
            ("TMUX_TMPDIR", at("tmux")),
            ("PARHELIA_STATE_DIR", at("state")),
            ("PARHELIA_RUNTIME_DIR", at("run/parhelia")),
            ("ANTHROPIC_BASE_URL", api.url.clone()),
            ("ANTHROPIC_AUTH_TOKEN", "sk-ant-fake".into()),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".into()),
            ("CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL", "1".into()),
        ];
        let env = env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Sandbox { api, dir, env, pids: Mutex::default() }
    }

    /// Returns the directory that holds everything.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// Returns the home directory.
    pub fn home(&self) -> PathBuf {
        self.root().join("home")
    }

    /// Returns where Parhelia keeps what lasts.
    pub fn state(&self) -> PathBuf {
        self.root().join("state")
    }

    /// Returns the directory commands run in.
    pub fn workspace(&self) -> PathBuf {
        self.root().join("workspace")
    }

    /// Returns the whole environment of the commands.
    pub fn env(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// Sets a variable for the commands to come.
    pub fn set(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    /// Returns `program`, to run in the workspace with the sandbox's environment and nothing else,
    /// with no input.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.env_clear().envs(&self.env).current_dir(self.workspace()).stdin(Stdio::null());
        command
    }

    /// Returns `parhelia` with `args`, as [`Sandbox::command`] does.
    pub fn parhelia(&self, args: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_parhelia"));
        command.args(args);
        command
    }

    /// Runs `parhelia` to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        run(self.parhelia(args))
    }

    /// Runs `parhelia` and returns what it wrote.
    ///
    /// # Panics
    ///
    /// If it fails.
    pub fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(0), "parhelia {args:?}: {ran:?}");
        ran.stdout
    }

    /// Runs `parhelia` and returns what it wrote as JSON; `args` must ask for that.
    ///
    /// # Panics
    ///
    /// If it fails, or writes something else.
    pub fn json(&self, args: &[&str]) -> Value {
        let text = self.ok(args);
        serde_json::from_str(&text)
            .unwrap_or_else(|err| panic!("parhelia {args:?} wrote no JSON ({err}): {text}"))
    }

    /// Has process `pid` killed at the end if it still runs.
    pub fn record(&self, pid: u32) {
        self.pids.lock().unwrap().push(pid);
    }

    fn stop_dispatcher(&self) {
        let running = fs::read_dir(self.root().join("run/parhelia"))
            .is_ok_and(|mut entries| entries.next().is_some());
        if !running {
            return;
        }
        let mut stop = self.parhelia(&["daemon", "stop"]);
        stop.stdout(Stdio::null()).stderr(Stdio::null());
        if let Ok(mut child) = stop.spawn()
            && wait(STOP, || child.try_wait().ok().flatten()).is_none()
        {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn stop_tmux(&self) {
        let servers = fs::read_dir(self.root().join("tmux")).into_iter().flatten().flatten();
        for server in servers {
            for socket in fs::read_dir(server.path()).into_iter().flatten().flatten() {
                let mut kill = self.command("tmux");
                kill.arg("-S").arg(socket.path()).arg("kill-server");
                let _ = kill.stderr(Stdio::null()).status();
            }
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop_dispatcher();
        self.stop_tmux();
        let recorded = std::mem::take(&mut *self.pids.lock().unwrap());
        recorded.into_iter().for_each(leftovers::kill);
        leftovers::kill_those_of(self.root());
    }
}

/// Runs a command to its end.
pub fn run(mut command: Command) -> Ran {
    let output = command.output().unwrap_or_else(|err| panic!("failed to run {command:?}: {err}"));
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
