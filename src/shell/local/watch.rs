//! Following files on this machine with the kernel's notifications.
//!
//! Directories are watched, not files: a file need not exist yet and may be replaced. Where the
//! directory does not exist either, the nearest that does is watched until it appears. Nothing
//! wakes while nothing changes. Where the kernel gives no notifications (its limits are reached,
//! or the file is a link to another place) those files are looked at once a second instead.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    io::{Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use notify::{
    EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{ModifyKind, RenameMode},
};
use tokio::sync::mpsc;

use crate::shell::{
    follow::{
        Cursor, FRAMES_CAP, FollowRequest, Follower, Frame, REQUESTS_CAP, Seen, Step, WHOLE_MAX,
        Watch,
    },
    local::open_to_read,
};

/// Notifications that may wait; when full, they are dropped and every file is looked at instead.
const EVENTS_CAP: usize = 4096;

/// The pause between looks at files that the kernel does not report on.
const SLOW_TICK: Duration = Duration::from_secs(1);

/// How often the nearest existing directory is looked for again when it changes under our hands;
/// after that the file is looked at once a second.
const SETTLE_TRIES: usize = 16;

/// Starts a follower.
pub fn start() -> Follower {
    start_with(watcher)
}

/// Starts a follower that the kernel tells nothing, as where its limits are reached.
#[cfg(test)]
pub fn start_blind() -> Follower {
    start_with(|_, _| None)
}

fn start_with(
    watcher: impl FnOnce(mpsc::Sender<Happened>, Arc<AtomicBool>) -> Option<RecommendedWatcher>,
) -> Follower {
    let (requests, requests_rx) = mpsc::channel(REQUESTS_CAP);
    let (frames_tx, frames) = mpsc::channel(FRAMES_CAP);
    let (events_tx, events) = mpsc::channel(EVENTS_CAP);
    let overflow = Arc::new(AtomicBool::new(false));
    let watcher = watcher(events_tx.clone(), overflow.clone());
    let watching = Watching {
        watcher,
        dirs: HashMap::new(),
        files: BTreeMap::new(),
        interest: HashMap::new(),
        queue: VecDeque::new(),
        slow: BTreeSet::new(),
        syncs: Vec::new(),
        frames: frames_tx.clone(),
        overflow,
        _events: events_tx,
    };
    tokio::spawn(async move {
        tokio::select! {
            () = frames_tx.closed() => {}
            () = watching.run(requests_rx, events) => {}
        }
    });
    Follower { requests, frames }
}

/// A path that something happened to.
struct Happened {
    path: PathBuf,
    /// Whether it was taken away, so that a watch on it is void.
    gone: bool,
}

/// Creates the kernel's watcher; none if its limit of instances is reached.
fn watcher(
    events: mpsc::Sender<Happened>,
    overflow: Arc<AtomicBool>,
) -> Option<RecommendedWatcher> {
    let handler = move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else {
            overflow.store(true, Ordering::SeqCst);
            let _ = events.try_send(Happened { path: PathBuf::new(), gone: false });
            return;
        };
        if event.need_rescan() {
            overflow.store(true, Ordering::SeqCst);
            let _ = events.try_send(Happened { path: PathBuf::new(), gone: false });
        }
        // Our own reading is reported as access, so heeding it would never end.
        if matches!(event.kind, EventKind::Access(_)) {
            return;
        }
        let gone = matches!(
            event.kind,
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From))
        );
        for path in event.paths {
            // A full channel means the reader is awake, and will see the flag when it gets here.
            if events.try_send(Happened { path, gone }).is_err() {
                overflow.store(true, Ordering::SeqCst);
            }
        }
    };
    notify::recommended_watcher(handler).ok()
}

struct File {
    /// As it was asked for.
    path: PathBuf,
    /// As the kernel reports it: the watched directory with its links resolved, and the rest.
    real: PathBuf,
    /// The watched directory.
    dir: Option<PathBuf>,
    queued: bool,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Appended(Cursor),
    Whole(Option<Vec<u8>>),
}

/// Owns the watcher and all that is known of the files.
struct Watching {
    watcher: Option<RecommendedWatcher>,
    /// The watched directories with the number of files that need each.
    dirs: HashMap<PathBuf, usize>,
    files: BTreeMap<u64, File>,
    /// The files to look at when something happens to a path: the path of each, and of each
    /// directory above it.
    interest: HashMap<PathBuf, BTreeSet<u64>>,
    /// Files to look at now, in turn, so that one that grows fast does not starve the others.
    queue: VecDeque<u64>,
    slow: BTreeSet<u64>,
    /// Who is to be told once the queue is empty; one per request, which wait in a bounded channel.
    syncs: Vec<u64>,
    frames: mpsc::Sender<Frame>,
    overflow: Arc<AtomicBool>,
    /// Keeps the channel open when there is no watcher.
    _events: mpsc::Sender<Happened>,
}

impl Watching {
    async fn run(
        mut self,
        mut requests: mpsc::Receiver<FollowRequest>,
        mut events: mpsc::Receiver<Happened>,
    ) {
        let mut slow_tick = tokio::time::interval(SLOW_TICK);
        slow_tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let busy = !self.queue.is_empty() || !self.syncs.is_empty();
            let slow = !self.slow.is_empty();
            tokio::select! {
                biased;
                request = requests.recv() => match request {
                    Some(request) => self.apply(request),
                    None => return,
                },
                Some(happened) = events.recv() => self.note(&happened),
                _ = slow_tick.tick(), if slow => {
                    for key in self.slow.clone() {
                        self.enqueue(key);
                    }
                }
                () = std::future::ready(()), if busy => {
                    let done = match self.queue.pop_front() {
                        Some(key) => self.step(key).await,
                        None => self.synced().await,
                    };
                    if done.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn apply(&mut self, request: FollowRequest) {
        let (key, watch) = match request {
            FollowRequest::Add(key, watch) => (key, watch),
            FollowRequest::Remove(key) => return self.remove(key),
            FollowRequest::Sync(key) => return self.syncs.push(key),
        };
        self.remove(key);
        let (path, kind) = match watch {
            Watch::Appended { path, from } => (path, Kind::Appended(Cursor::new(from))),
            Watch::Whole { path } => (path, Kind::Whole(None)),
        };
        let path = PathBuf::from(path.as_str());
        let file = File { real: path.clone(), path, dir: None, queued: false, kind };
        self.files.insert(key, file);
        self.enqueue(key);
    }

    fn remove(&mut self, key: u64) {
        let Some(file) = self.files.remove(&key) else { return };
        self.slow.remove(&key);
        self.queue.retain(|it| *it != key);
        self.forget(key, &file.real);
        if let Some(dir) = file.dir {
            self.release(&dir);
        }
    }

    fn enqueue(&mut self, key: u64) {
        if let Some(file) = self.files.get_mut(&key)
            && !file.queued
        {
            file.queued = true;
            self.queue.push_back(key);
        }
    }

    fn note(&mut self, happened: &Happened) {
        if self.overflow.swap(false, Ordering::SeqCst) {
            for key in self.files.keys().copied().collect::<Vec<_>>() {
                self.enqueue(key);
            }
        }
        if happened.gone && self.dirs.remove(&happened.path).is_some() {
            if let Some(watcher) = &mut self.watcher {
                let _ = watcher.unwatch(&happened.path);
            }
            for file in self.files.values_mut() {
                if file.dir.as_ref() == Some(&happened.path) {
                    file.dir = None;
                }
            }
        }
        for key in self.interest.get(&happened.path).cloned().unwrap_or_default() {
            // Whatever is there by the time we look is another file, even if it was given the
            // same inode and has the same length.
            if happened.gone
                && let Some(File { kind: Kind::Appended(cursor), .. }) = self.files.get_mut(&key)
            {
                cursor.observe(None);
            }
            self.enqueue(key);
        }
    }

    /// Makes sure that whatever happens next to a file is reported.
    fn settle(&mut self, key: u64) {
        for _ in 0..SETTLE_TRIES {
            let Some(file) = self.files.get(&key) else { return };
            let (dir, real) = nearest(&file.path);
            if file.dir.as_ref() == Some(&dir) && file.real == real {
                self.set_slow(key, real.is_symlink());
                return;
            }
            let (old_dir, old_real) = (file.dir.clone(), file.real.clone());
            let watched = self.acquire(&dir);
            if let Some(old) = old_dir {
                self.release(&old);
            }
            self.forget(key, &old_real);
            for path in real.ancestors() {
                self.interest.entry(path.to_owned()).or_default().insert(key);
            }
            if let Some(file) = self.files.get_mut(&key) {
                file.real = real;
                file.dir = watched.then_some(dir);
            }
            if !watched {
                break;
            }
        }
        self.set_slow(key, true);
    }

    fn set_slow(&mut self, key: u64, slow: bool) {
        if slow {
            self.slow.insert(key);
        } else {
            self.slow.remove(&key);
        }
    }

    /// Watches a directory for one more file. Returns whether the kernel does.
    fn acquire(&mut self, dir: &Path) -> bool {
        if let Some(count) = self.dirs.get_mut(dir) {
            *count += 1;
            return true;
        }
        let Some(watcher) = &mut self.watcher else { return false };
        let watched = watcher.watch(dir, RecursiveMode::NonRecursive).is_ok();
        if watched {
            self.dirs.insert(dir.to_owned(), 1);
        }
        watched
    }

    fn release(&mut self, dir: &Path) {
        let Some(count) = self.dirs.get_mut(dir) else { return };
        *count -= 1;
        if *count == 0 {
            self.dirs.remove(dir);
            if let Some(watcher) = &mut self.watcher {
                let _ = watcher.unwatch(dir);
            }
        }
    }

    fn forget(&mut self, key: u64, real: &Path) {
        for path in real.ancestors() {
            if let Some(keys) = self.interest.get_mut(path) {
                keys.remove(&key);
                if keys.is_empty() {
                    self.interest.remove(path);
                }
            }
        }
    }

    /// Says that all was delivered. Fails when nobody takes frames any more.
    async fn synced(&mut self) -> Result<(), mpsc::error::SendError<Frame>> {
        for key in std::mem::take(&mut self.syncs) {
            self.frames.send(Frame::Synced { key }).await?;
        }
        Ok(())
    }

    /// Looks at one file and delivers what is new. Fails when nobody takes frames any more.
    async fn step(&mut self, key: u64) -> Result<(), mpsc::error::SendError<Frame>> {
        if let Some(file) = self.files.get_mut(&key) {
            file.queued = false;
        }
        self.settle(key);
        let Some(file) = self.files.get(&key) else { return Ok(()) };
        let (path, kind) = (file.path.clone(), file.kind.clone());
        let looked = tokio::task::spawn_blocking(move || look(key, &path, kind)).await;
        let Ok(Looked { kind, frame, again }) = looked else { return Ok(()) };
        if let Some(file) = self.files.get_mut(&key) {
            file.kind = kind;
        }
        if again {
            self.enqueue(key);
        }
        match frame {
            Some(frame) => self.frames.send(frame).await,
            None => Ok(()),
        }
    }
}

/// Returns the nearest existing directory above `path` with links resolved, and `path` below it.
fn nearest(path: &Path) -> (PathBuf, PathBuf) {
    for dir in path.ancestors().skip(1) {
        if let Ok(real) = dir.canonicalize()
            && real.is_dir()
        {
            let rest = path.strip_prefix(dir).unwrap_or(Path::new(""));
            return (real.clone(), real.join(rest));
        }
    }
    ("/".into(), path.to_owned())
}

struct Looked {
    kind: Kind,
    frame: Option<Frame>,
    again: bool,
}

fn look(key: u64, path: &Path, kind: Kind) -> Looked {
    match kind {
        Kind::Appended(mut cursor) => {
            let (frame, again) = look_appended(key, path, &mut cursor);
            Looked { kind: Kind::Appended(cursor), frame, again }
        }
        Kind::Whole(sent) => {
            let content = read_whole(path);
            let frame = (content != sent).then(|| Frame::Whole { key, bytes: content.clone() });
            Looked { kind: Kind::Whole(content), frame, again: false }
        }
    }
}

fn look_appended(key: u64, path: &Path, cursor: &mut Cursor) -> (Option<Frame>, bool) {
    // A file that cannot be read is as good as none; a change of its mode is reported again.
    let mut file = open_to_read(path).ok().flatten();
    let seen = file.as_ref().and_then(|it| it.metadata().ok()).filter(|it| it.is_file());
    let seen = seen.map(|it| Seen { inode: it.ino(), size: it.len() });
    match (cursor.observe(seen), &mut file) {
        (Step::Restart, _) => (Some(Frame::Truncated { key }), true),
        (Step::Read { at, len, more }, Some(file)) => {
            let mut bytes = vec![0; len];
            let read = file.seek(SeekFrom::Start(at)).and_then(|_| fill(file, &mut bytes));
            bytes.truncate(read.unwrap_or(0));
            cursor.advance(bytes.len());
            let frame = (!bytes.is_empty()).then_some(Frame::Appended { key, offset: at, bytes });
            (frame, more)
        }
        (Step::Read { .. } | Step::Nothing, _) => (None, false),
    }
}

fn fill(file: &mut std::fs::File, bytes: &mut [u8]) -> std::io::Result<usize> {
    let mut at = 0;
    while at < bytes.len() {
        match file.read(&mut bytes[at..])? {
            0 => break,
            n => at += n,
        }
    }
    Ok(at)
}

fn read_whole(path: &Path) -> Option<Vec<u8>> {
    let mut file = open_to_read(path).ok().flatten()?;
    let mut bytes = vec![0; WHOLE_MAX];
    let read = fill(&mut file, &mut bytes).ok()?;
    bytes.truncate(read);
    Some(bytes)
}
