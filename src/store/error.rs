//! What goes wrong with the store, by what a person can do about it.

use std::path::{Path, PathBuf};

use rusqlite::{ErrorCode, ffi};

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A newer version wrote the file.
    #[error(
        "the database was written by a newer parhelia (schema {found}, this one knows {known})"
    )]
    Newer {
        /// The file's schema.
        found: u32,
        /// The newest schema this version knows.
        known: u32,
    },
    /// The file is damaged, or is no store.
    #[error("the database `{}` is damaged: {detail}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// Another process has the store open.
    #[error("the database `{}` is in use by another process", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// No space is left. What was being written is not there, wholly.
    #[error("no space is left for the database `{}`", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be used.
    #[error("cannot use the database `{}`: {detail}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        detail: String,
    },
    /// A batch's events do not follow the last committed one: a mistake of the caller, or the
    /// batch before it failed.
    #[error("event {found} does not follow: expected {expected}")]
    OutOfTurn {
        /// The number that is next.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// A value has no stored form.
    #[error("cannot write down {what}: {detail}")]
    Unstorable {
        /// The value.
        what: String,
        /// Why.
        detail: String,
    },
    /// The store was closed.
    #[error("the database is closed")]
    Closed,
}

impl StoreError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            StoreError::Newer { .. } => Some("update parhelia"),
            StoreError::Corrupt { .. } => Some(
                "`parhelia daemon run --move-corrupt-aside` keeps the damaged file under another \
                 name and starts with an empty one",
            ),
            StoreError::Locked { .. } => Some("`parhelia daemon status` tells which runs"),
            StoreError::Full { .. } => Some("free some space; nothing that was confirmed is lost"),
            StoreError::Io { .. } => Some("check the directory's owner, permissions and disk"),
            StoreError::OutOfTurn { .. } | StoreError::Unstorable { .. } | StoreError::Closed => {
                None
            }
        }
    }

    /// Sorts an error of SQLite's about the file at `path`.
    pub(super) fn of_sqlite(path: &Path, error: &rusqlite::Error) -> StoreError {
        let path = path.to_owned();
        let detail = error.to_string();
        let Some(failure) = error.sqlite_error() else {
            return match error {
                // Columns of the wrong type can only come from a damaged or foreign file.
                rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..) => {
                    StoreError::Corrupt { path, detail }
                }
                _ => StoreError::Io { path, detail },
            };
        };
        // The shared-memory file is made to measure before use; a full disk shows there as an
        // input/output error of its own.
        let full_shm = failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE;
        match failure.code {
            ErrorCode::DiskFull => StoreError::Full { path },
            ErrorCode::SystemIoFailure if full_shm => StoreError::Full { path },
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
                StoreError::Corrupt { path, detail }
            }
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Locked { path },
            _ => StoreError::Io { path, detail },
        }
    }

    /// Sorts an error of the system's about the file at `path`.
    pub(super) fn of_io(path: &Path, error: &std::io::Error) -> StoreError {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                StoreError::Full { path: path.to_owned() }
            }
            _ => StoreError::Io { path: path.to_owned(), detail: error.to_string() },
        }
    }
}
