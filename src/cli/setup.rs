//! What the command line knows before it talks to anyone: configuration and places.

use serde_json::{Value as Json, json};

use crate::{
    api::error::{ApiError, ErrorKind},
    config::{
        dirs::{Dirs, Env},
        error::Problem,
        load::{Sources, load},
        settings::Settings,
    },
    dispatcher::Home,
};

/// Variables that name files relative to the current directory. The others must be absolute.
pub const RELATIVE_PATHS: [&str; 1] = ["PARHELIA_CONFIG"];

/// Configuration and places.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What the configuration means; the defaults where it is wrong.
    pub settings: Settings,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
    /// Where things lie.
    pub dirs: Dirs,
}

/// Whose view of the configuration is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// A command's: a file of the project in the current directory counts.
    Command,
    /// The dispatcher's: it serves every project, so none counts.
    Dispatcher,
}

impl Setup {
    /// Reads the configuration; a wrong one leaves the defaults and its problems.
    ///
    /// # Errors
    ///
    /// If nothing says where anything is: no HOME.
    pub fn load(view: View) -> Result<Setup, ApiError> {
        let env: Env = std::env::vars_os().collect();
        let uid = rustix::process::geteuid().as_raw();
        let dirs = Dirs::from_env(&env, uid)
            .map_err(|it| ApiError::new(ErrorKind::Config, it.to_string()))?;
        let (settings, problems) = match load(&sources(&dirs, view)) {
            Ok(settings) => (settings, Vec::new()),
            Err(error) => (Settings::default(), error.problems),
        };
        Ok(Setup { settings, problems, dirs })
    }

    /// Returns the files that the configuration is read from.
    pub fn sources(&self, view: View) -> Sources {
        sources(&self.dirs, view)
    }

    /// Refuses to go on with a configuration that is wrong.
    pub fn check(&self) -> Result<(), ApiError> {
        if self.problems.is_empty() {
            return Ok(());
        }
        let lines = self.problem_lines().join("\n");
        Err(ApiError::new(ErrorKind::Config, format!("the configuration is wrong\n{lines}"))
            .hint("correct the file and try again; parhelia config checks it"))
    }

    /// Returns what is wrong, one line each.
    pub fn problem_lines(&self) -> Vec<String> {
        self.problems.iter().map(ToString::to_string).collect()
    }

    /// Returns what is wrong, for `--json`.
    pub fn problems_json(&self) -> Json {
        self.problems
            .iter()
            .map(|it| {
                json!({
                    "file": it.path.to_string_lossy(),
                    "line": it.at.map(|it| it.line),
                    "column": it.at.map(|it| it.column),
                    "key": it.key,
                    "message": it.what,
                    "nearest": it.nearest,
                })
            })
            .collect()
    }

    /// Returns where the dispatcher lives.
    pub fn home(&self) -> Home {
        Home {
            state_dir: self.dirs.state.clone(),
            runs_dir: self.dirs.runs.clone(),
            socket: self.dirs.socket.clone(),
            tmux_socket: self.dirs.tmux_socket(),
            config: Sources {
                user: self.dirs.user_file(),
                explicit: self.dirs.explicit_config.clone(),
                project_dir: None,
            },
        }
    }
}

fn sources(dirs: &Dirs, view: View) -> Sources {
    let project_dir = match view {
        View::Command => std::env::current_dir().ok(),
        View::Dispatcher => None,
    };
    Sources { user: dirs.user_file(), explicit: dirs.explicit_config.clone(), project_dir }
}
