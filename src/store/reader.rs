//! The threads that read.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use rusqlite::Connection;
use tokio::sync::mpsc;

use crate::store::{error::StoreError, schema};

/// Threads that read, each with a connection: two, so that a long search does not hold up a
/// dashboard's few rows.
const READERS: usize = 2;

/// Reads that may wait; whoever asks for more waits to ask.
const JOBS_CAP: usize = 64;

/// Something to be read.
pub type Job = Box<dyn FnOnce(&Source) + Send>;

/// Where reads come from.
pub struct Source {
    /// A read-only connection.
    pub connection: Connection,
    /// The file, for errors.
    pub path: PathBuf,
}

/// Starts the threads. They end when the sender and its clones are dropped.
pub fn start(path: &Path) -> Result<mpsc::Sender<Job>, StoreError> {
    let (sender, receiver) = mpsc::channel(JOBS_CAP);
    let receiver = Arc::new(Mutex::new(receiver));
    for number in 0..READERS {
        let source = Source { connection: schema::open_reader(path)?, path: path.to_owned() };
        let receiver = Arc::clone(&receiver);
        thread::Builder::new()
            .name(format!("store-read-{number}"))
            .spawn(move || run(&source, &receiver))
            .map_err(|it| StoreError::of_io(path, &it))?;
    }
    Ok(sender)
}

/// One thread waits for a job holding the lock, the other for the lock.
fn run(source: &Source, receiver: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let job = receiver.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        match job {
            Some(job) => job(source),
            None => return,
        }
    }
}
