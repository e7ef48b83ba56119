//! Finding and reading the files.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use crate::config::{
    error::{ConfigError, Problem},
    keys::Trust,
    raw::FILE_MAX,
    settings::{Layer, Settings},
};

/// Where a project may keep its file, in the order tried; the first that exists is taken.
pub const PROJECT_FILES: [&str; 2] = ["parhelia.toml", ".parhelia/config.toml"];

/// Which files to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// The person's file; it need not exist ([`crate::config::dirs::Dirs::user_file`]).
    pub user: PathBuf,
    /// What `PARHELIA_CONFIG` names: a file of the person's that must exist. It is read over the
    /// user file and instead of the project's.
    pub explicit: Option<PathBuf>,
    /// The directory that is looked in for a project's file.
    pub project_dir: Option<PathBuf>,
}

/// Reads the files and returns what they mean.
///
/// # Errors
///
/// Returns everything that is wrong with any of them.
pub fn load(sources: &Sources) -> Result<Settings, ConfigError> {
    let mut layers = Vec::new();
    let mut problems = Vec::new();
    let mut take = |path: &Path, trust: Trust, required: bool| match read(path) {
        Ok(bytes) => layers.push(Layer { path: path.to_owned(), bytes, trust }),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !required => (),
        Err(error) => problems.push(Problem {
            path: path.to_owned(),
            at: None,
            key: String::new(),
            what: format!("cannot be read: {error}"),
            nearest: None,
        }),
    };
    take(&sources.user, Trust::User, false);
    match (&sources.explicit, &sources.project_dir) {
        (Some(explicit), _) => take(explicit, Trust::User, true),
        (None, Some(dir)) => {
            if let Some(path) = project_file(dir, &sources.user) {
                take(&path, Trust::Project, false);
            }
        }
        (None, None) => (),
    }
    match Settings::from_layers(&layers) {
        Ok(settings) if problems.is_empty() => Ok(settings),
        Ok(_) => Err(ConfigError { problems }),
        Err(error) => {
            problems.extend(error.problems);
            Err(ConfigError { problems })
        }
    }
}

/// Returns the project's file in `dir`. The person's own file is not one, even where someone
/// works in its directory.
fn project_file(dir: &Path, user: &Path) -> Option<PathBuf> {
    let own = fs::canonicalize(user).ok();
    PROJECT_FILES
        .iter()
        .map(|it| dir.join(it))
        .find(|it| it.exists())
        .filter(|it| own.is_none() || fs::canonicalize(it).ok() != own)
}

/// Reads a file, one byte past the limit at most, which the parser then refuses. Only plain
/// files: a pipe that nobody writes to would be waited for without end.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a plain file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
