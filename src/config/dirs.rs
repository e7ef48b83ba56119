//! Where configuration, state and socket lie.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use crate::config::settings::Origin;

/// An environment, as `std::env::vars_os` gives it.
pub type Env = HashMap<OsString, OsString>;

/// The longest path of the socket in bytes. The system takes 107 on Linux and 103 on macOS; the
/// rest is for a name of the same length beside it. A longer one goes to `/tmp`.
const SOCKET_MAX: usize = 100;

/// The directories and files of one dispatcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dirs {
    /// Holds the person's `parhelia.toml`.
    pub config: PathBuf,
    /// Holds what must last: store, run directories, checkpoints.
    pub state: PathBuf,
    /// Holds what a restart of the machine may take: socket and locks. Under `/tmp` if its own
    /// path is too long for a socket; whoever uses it checks that it is a directory (no link) of
    /// this user's with mode 0700, since anyone may have made it there.
    pub runtime: PathBuf,
    /// Holds the run directories of tasks on this machine.
    pub runs: PathBuf,
    /// The dispatcher's socket.
    pub socket: PathBuf,
    /// The dispatcher's log.
    pub log: PathBuf,
    /// The file that `PARHELIA_CONFIG` names, as written: a relative path is seen from the
    /// current directory.
    pub explicit_config: Option<PathBuf>,
    /// Where each of `config`, `state` and `runtime` came from.
    pub origins: BTreeMap<&'static str, Origin>,
    default_state: bool,
}

/// The environment does not say where things lie.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirsError {
    /// No home directory and no directory set in its place.
    #[error("HOME is not set to an absolute path, so there is no place for {what}")]
    NoHome {
        /// What needs one.
        what: &'static str,
    },
    /// A variable of ours holds a path that depends on the current directory.
    #[error("{name} must be an absolute path")]
    Relative {
        /// The variable.
        name: &'static str,
    },
}

impl Dirs {
    /// Returns where things lie for user `uid` with environment `env`.
    ///
    /// Another state directory means another dispatcher, so it gets a runtime directory and a
    /// tmux server of its own. As the XDG specification asks, its variables count only if they
    /// hold an absolute path.
    ///
    /// # Errors
    ///
    /// [`DirsError`] says which variable to set.
    pub fn from_env(env: &Env, uid: u32) -> Result<Dirs, DirsError> {
        let home = xdg(env, "HOME");
        let (config, config_origin) = match xdg(env, "XDG_CONFIG_HOME") {
            Some(dir) => (dir.join("parhelia"), Origin::Env { name: "XDG_CONFIG_HOME" }),
            None => {
                let home = home.as_ref().ok_or(DirsError::NoHome { what: "configuration" })?;
                (home.join(".config/parhelia"), Origin::Default)
            }
        };
        let usual = home.map(|it| it.join(".local/state/parhelia"));
        let (state, state_origin) = match (ours(env, "PARHELIA_STATE_DIR")?, &usual) {
            (Some(dir), _) => (dir, Origin::Env { name: "PARHELIA_STATE_DIR" }),
            (None, usual) => match (xdg(env, "XDG_STATE_HOME"), usual) {
                (Some(dir), _) => (dir.join("parhelia"), Origin::Env { name: "XDG_STATE_HOME" }),
                (None, Some(usual)) => (usual.clone(), Origin::Default),
                (None, None) => return Err(DirsError::NoHome { what: "state" }),
            },
        };
        let default_state = usual.as_ref() == Some(&state);
        let (mut runtime, runtime_origin) = runtime(env, &state, default_state)?;
        let mut socket = runtime.join(SOCKET_NAME);
        if SOCKET_MAX < socket.as_os_str().len() {
            let hash = hash(socket.as_os_str());
            runtime = PathBuf::from(format!("/tmp/parhelia-{uid}-{hash}"));
            socket = runtime.join(SOCKET_NAME);
        }
        Ok(Dirs {
            runs: state.join("runs"),
            log: state.join("dispatcher.log"),
            explicit_config: env
                .get(OsStr::new("PARHELIA_CONFIG"))
                .filter(|it| !it.is_empty())
                .map(PathBuf::from),
            origins: BTreeMap::from([
                ("config", config_origin),
                ("state", state_origin),
                ("runtime", runtime_origin),
            ]),
            config,
            state,
            runtime,
            socket,
            default_state,
        })
    }

    /// Returns the person's configuration file.
    pub fn user_file(&self) -> PathBuf {
        self.config.join("parhelia.toml")
    }

    /// Returns the name of the tmux server (`tmux -L`) on this machine. tmux keeps one set of
    /// names per user, so another state directory needs another name.
    pub fn tmux_socket(&self) -> String {
        if self.default_state {
            "parhelia".into()
        } else {
            format!("parhelia-{}", hash(self.state.as_os_str()))
        }
    }
}

/// The socket's name in the runtime directory.
const SOCKET_NAME: &str = "parhelia.sock";

fn runtime(env: &Env, state: &Path, usual: bool) -> Result<(PathBuf, Origin), DirsError> {
    if let Some(dir) = ours(env, "PARHELIA_RUNTIME_DIR")? {
        return Ok((dir, Origin::Env { name: "PARHELIA_RUNTIME_DIR" }));
    }
    Ok(match xdg(env, "XDG_RUNTIME_DIR") {
        Some(dir) => {
            let name = if usual {
                "parhelia".into()
            } else {
                format!("parhelia-{}", hash(state.as_os_str()))
            };
            (dir.join(name), Origin::Env { name: "XDG_RUNTIME_DIR" })
        }
        None => (state.join("run"), Origin::Default),
    })
}

/// Returns the path in a variable of the system's; a relative one counts as unset.
fn xdg(env: &Env, name: &str) -> Option<PathBuf> {
    env.get(OsStr::new(name)).map(PathBuf::from).filter(|it| it.is_absolute())
}

/// Returns the path in a variable of ours; a relative one is an error, an empty one is unset.
fn ours(env: &Env, name: &'static str) -> Result<Option<PathBuf>, DirsError> {
    match env.get(OsStr::new(name)) {
        Some(value) if !value.is_empty() => {
            let path = PathBuf::from(value);
            if path.is_absolute() { Ok(Some(path)) } else { Err(DirsError::Relative { name }) }
        }
        _ => Ok(None),
    }
}

/// Returns 8 hexadecimal digits of `text` (FNV-1a, 32 bits): stable over versions, since names
/// of running servers depend on it, and not meant to resist anyone.
fn hash(text: &OsStr) -> String {
    let hash = text
        .as_bytes()
        .iter()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    format!("{hash:08x}")
}
