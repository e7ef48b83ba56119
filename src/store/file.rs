//! The files themselves: permissions, the lock, moving a damaged store out of the way.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::{
    stdx::time::Timestamp,
    store::{FILE_NAME, error::StoreError},
};

/// The file whose lock means "this directory's store is open".
const LOCK_NAME: &str = "parhelia.lock";

/// Between two tries for the lock. Waiting on the lock itself could not be given up.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Tries for the lock: five seconds, enough for a dispatcher that is just closing. At the limit
/// the answer is [`StoreError::Locked`].
const LOCK_TRIES: u32 = 250;

/// The store's files by what follows [`FILE_NAME`], in the order in which they are renamed. The
/// WAL goes first: one left beside a new database would be replayed into it.
const SUFFIXES: [&str; 3] = ["-wal", "-shm", ""];

/// Takes the lock of the store in `dir`, creating the directory (mode 0700) if need be. It holds
/// until the file is dropped.
pub fn lock(dir: &Path) -> Result<File, StoreError> {
    lock_within(dir, LOCK_TRIES)
}

/// As [`lock`], with another limit.
pub fn lock_within(dir: &Path, tries: u32) -> Result<File, StoreError> {
    let path = dir.join(LOCK_NAME);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|it| StoreError::of_io(dir, &it))?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(|it| StoreError::of_io(&path, &it))?;
    for _ in 0..tries {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(StoreError::of_io(&path, &error)),
        }
    }
    Err(StoreError::Locked { path: dir.join(FILE_NAME) })
}

/// Creates the database file, empty, if there is none, for its owner's eyes only. SQLite gives
/// the side files the same permissions.
pub fn create(path: &Path) -> Result<(), StoreError> {
    let error = |it: std::io::Error| StoreError::of_io(path, &it);
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(error)?;
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(error)
}

/// Renames the store's files to a name that is free. The caller holds the lock.
pub fn move_aside(dir: &Path, at: Timestamp) -> Result<PathBuf, StoreError> {
    let base = format!("{FILE_NAME}.corrupt-{}", at.0.div_euclid(1000));
    let free = |name: &String| {
        SUFFIXES.iter().all(|it| dir.join(format!("{name}{it}")).symlink_metadata().is_err())
    };
    let name = std::iter::once(base.clone())
        .chain((2..10_000).map(|it| format!("{base}-{it}")))
        .find(free)
        .ok_or_else(|| StoreError::Io {
            path: dir.join(&base),
            detail: "no free name to move it to".into(),
        })?;
    for suffix in SUFFIXES {
        let from = dir.join(format!("{FILE_NAME}{suffix}"));
        match fs::rename(&from, dir.join(format!("{name}{suffix}"))) {
            Ok(()) => (),
            // The side files exist only after an unclean end.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !suffix.is_empty() => (),
            Err(error) => return Err(StoreError::of_io(&from, &error)),
        }
    }
    Ok(dir.join(name))
}
