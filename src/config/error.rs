//! What is wrong with a configuration file, and where.

use std::{fmt, path::PathBuf};

use crate::stdx::text::{one_line, printable};

/// The longest text shown of one problem, in characters. Files come from outside, and a value of
/// a megabyte must not fill the screen.
const SHOWN_MAX: usize = 400;

/// A place in a file, both counted from one; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// Where in it; nothing if the file as a whole is the problem.
    pub at: Option<Position>,
    /// The key with its section, as in `budget.on_exceeded`; empty where none is concerned.
    pub key: String,
    /// What is wrong, as people read it.
    pub what: String,
    /// The valid key or section that was probably meant.
    pub nearest: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.path.to_string_lossy()))?;
        if let Some(at) = self.at {
            write!(f, ":{}", at.line)?;
        }
        write!(f, ": {}", one_line(&self.what, SHOWN_MAX))?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with the configuration, in the order of files and lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.problems.iter().enumerate() {
            if number != 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
