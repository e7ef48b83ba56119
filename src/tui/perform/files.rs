//! The dashboard's own files, and those a person chose.

use std::{
    fs::{self, DirBuilder, File as Handle, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{
    sync::mpsc::{self, error::TrySendError},
    task::JoinHandle,
};

use crate::{
    api::error::{ApiError, ErrorKind},
    tui::{
        effect::{Ask, File},
        msg::{Msg, Reply, RequestId},
    },
};

/// The longest file that is read.
const READ_MAX: u64 = 8 * 1024 * 1024;

/// The most names of a directory.
const NAMES_MAX: usize = 1000;

/// Where the dashboard's own files are.
#[derive(Debug)]
pub struct Files {
    dir: PathBuf,
}

/// Changes of files that wait. More than that is refused at once.
const CHANGES_CAP: usize = 64;

/// A change of a file.
#[derive(Debug)]
pub enum Change {
    Write { id: RequestId, file: File, text: String },
    Remove(File),
}

/// Makes changes in the order they were asked for, so that what was removed stays removed.
#[derive(Debug)]
pub struct Changes {
    queue: mpsc::Sender<Change>,
    worker: JoinHandle<()>,
}

impl Changes {
    /// Starts the worker.
    pub fn start(files: Arc<Files>, news: mpsc::Sender<Msg>) -> Changes {
        let (queue, mut waiting) = mpsc::channel(CHANGES_CAP);
        let worker = tokio::spawn(async move {
            while let Some(change) = waiting.recv().await {
                let files = Arc::clone(&files);
                let done = tokio::task::spawn_blocking(move || files.change(change)).await;
                if let Ok(Some(answer)) = done {
                    // Nobody waits for it any more once the dashboard is left.
                    let _ = news.send(answer).await;
                }
            }
        });
        Changes { queue, worker }
    }

    /// Puts a change behind the others; returns it if there are too many.
    pub fn ask(&self, change: Change) -> Result<(), Change> {
        self.queue.try_send(change).map_err(TrySendError::into_inner)
    }

    /// Waits until all are made.
    pub async fn finish(self) {
        drop(self.queue);
        let _ = self.worker.await;
    }
}

/// Answers what is asked about files.
pub async fn answer(files: Arc<Files>, ask: Ask) -> Result<Reply, ApiError> {
    let work = move || match ask {
        Ask::ReadFile(file) => files.read(&file).map(Reply::File),
        Ask::ListDir(dir) => list(&dir).map(Reply::Names),
        Ask::Request(_) | Ask::Pipe { .. } | Ask::DumpRecording | Ask::WriteFile { .. } => {
            Err(ApiError::new(ErrorKind::Internal, "not a matter of files"))
        }
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(it) => it,
        Err(it) => Err(ApiError::new(ErrorKind::Internal, it.to_string())),
    }
}

/// Returns what an earlier run kept in `dir`, if it can be read.
pub async fn kept(dir: &Path) -> Option<String> {
    let files = Arc::new(Files::new(dir.to_owned()));
    match answer(files, Ask::ReadFile(File::Layout)).await {
        Ok(Reply::File(text)) => text,
        Ok(_) | Err(_) => None,
    }
}

impl Files {
    /// Names the directory; it is made when something is written.
    pub fn new(dir: PathBuf) -> Files {
        Files { dir }
    }

    fn path(&self, file: &File) -> PathBuf {
        match file {
            File::Draft => self.dir.join("draft.json"),
            File::PromptHistory => self.dir.join("prompts.jsonl"),
            File::CommandHistory => self.dir.join("commands"),
            File::Templates => self.dir.join("templates.json"),
            File::Layout => self.dir.join("layout.json"),
            File::Chosen(path) => path.clone(),
        }
    }

    fn read(&self, file: &File) -> Result<Option<String>, ApiError> {
        let path = self.path(file);
        // A pipe that nobody writes to would be waited for without end.
        match fs::metadata(&path) {
            Ok(it) if !it.is_file() => {
                return Err(failed("read", &path, &io::Error::other("it is not a plain file")));
            }
            Err(it) if it.kind() == io::ErrorKind::NotFound => return Ok(None),
            Ok(_) | Err(_) => (),
        }
        let mut bytes = Vec::new();
        let read = Handle::open(&path).and_then(|it| it.take(READ_MAX).read_to_end(&mut bytes));
        match read {
            Ok(_) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(it) if it.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(it) => Err(failed("read", &path, &it)),
        }
    }

    fn change(&self, change: Change) -> Option<Msg> {
        match change {
            Change::Write { id, file, text } => {
                let result = self.write(&file, &text).map(Reply::Written);
                Some(Msg::Answered { id, result })
            }
            Change::Remove(file) => {
                self.remove(&file);
                None
            }
        }
    }

    fn write(&self, file: &File, text: &str) -> Result<String, ApiError> {
        let path = self.path(file);
        let done = match file {
            File::Chosen(path) => write_new(path, text),
            _ => make_private(&self.dir).and_then(|()| replace(&path, text)),
        };
        done.map_err(|it| failed("write", &path, &it))?;
        Ok(path.display().to_string())
    }

    /// Deletes one of the dashboard's own files.
    pub fn remove(&self, file: &File) {
        if !matches!(file, File::Chosen(_)) {
            let _ = fs::remove_file(self.path(file));
        }
    }
}

/// Makes a directory that only this user can look into.
pub fn make_private(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Opens a file only this user can read, which must not exist yet.
pub fn create_private(path: &Path) -> io::Result<Handle> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Puts a file in the place of the one there, so that a crash leaves the old or the new one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{}.new", std::process::id()));
    let aside = PathBuf::from(aside);
    let _ = fs::remove_file(&aside);
    let written = create_private(&aside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let done = written.and_then(|()| fs::rename(&aside, path));
    if done.is_err() {
        let _ = fs::remove_file(&aside);
    }
    done
}

/// Writes a file of the person's choice, never over one that is there.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let done = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if done.is_err() {
        // Half a log under the name of a whole one misleads.
        let _ = fs::remove_file(path);
    }
    done
}

fn list(dir: &Path) -> Result<Vec<String>, ApiError> {
    let entries = fs::read_dir(dir).map_err(|it| failed("list", dir, &it))?;
    let mut names: Vec<String> = entries
        .flatten()
        .map(|it| {
            let name = it.file_name().to_string_lossy().into_owned();
            // Links are followed: one to a directory is completed like one.
            let is_dir = fs::metadata(it.path()).is_ok_and(|it| it.is_dir());
            if is_dir { format!("{name}/") } else { name }
        })
        .collect();
    names.sort();
    names.truncate(NAMES_MAX);
    Ok(names)
}

fn failed(what: &str, path: &Path, error: &io::Error) -> ApiError {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Store,
        io::ErrorKind::AlreadyExists => ErrorKind::Conflict,
        _ => ErrorKind::Invalid,
    };
    ApiError::new(kind, format!("cannot {what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn own_files_are_private_and_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(dir.path().join("ui"));
        assert_eq!(files.read(&File::Draft).unwrap(), None);
        files.write(&File::Draft, "one").unwrap();
        files.write(&File::Draft, "two").unwrap();
        assert_eq!(files.read(&File::Draft).unwrap().as_deref(), Some("two"));
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&dir.path().join("ui")), 0o700);
        assert_eq!(mode(&dir.path().join("ui/draft.json")), 0o600);
        assert_eq!(fs::read_dir(dir.path().join("ui")).unwrap().count(), 1);
        files.remove(&File::Draft);
        assert_eq!(files.read(&File::Draft).unwrap(), None);
    }

    #[test]
    fn a_chosen_file_is_never_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mine");
        fs::write(&path, "precious").unwrap();
        let files = Files::new(dir.path().join("ui"));
        let error = files.write(&File::Chosen(path.clone()), "log").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Conflict);
        files.remove(&File::Chosen(path.clone()));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        files.write(&File::Chosen(dir.path().join("new")), "log").unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("new")).unwrap(), "log");
    }

    #[test]
    fn directories_are_told_apart_in_a_listing() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("src")).unwrap();
        fs::write(dir.path().join("a"), "").unwrap();
        assert_eq!(list(dir.path()).unwrap(), ["a", "src/"]);
        assert!(list(&dir.path().join("none")).is_err());
    }
}
