use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::Duration,
};

use super::*;
use crate::shell::{Command, Exit, Process, Pty, Size, local::LocalShell};

const LIMIT: Duration = Duration::from_secs(60);

/// A follower with all that it delivered.
struct Watched {
    follower: Follower,
    appended: HashMap<u64, Vec<u8>>,
    truncated: HashMap<u64, usize>,
    whole: HashMap<u64, Vec<Option<Vec<u8>>>>,
    synced: Vec<u64>,
}

impl Watched {
    fn new(follower: Follower) -> Watched {
        Watched {
            follower,
            appended: HashMap::new(),
            truncated: HashMap::new(),
            whole: HashMap::new(),
            synced: Vec::new(),
        }
    }

    async fn appended(&self, key: u64, path: &Path, from: u64) {
        let watch = Watch::Appended { path: host_path(path), from };
        self.follower.requests.send(FollowRequest::Add(key, watch)).await.unwrap();
    }

    async fn whole(&self, key: u64, path: &Path) {
        let watch = Watch::Whole { path: host_path(path) };
        self.follower.requests.send(FollowRequest::Add(key, watch)).await.unwrap();
    }

    /// Takes frames until `done`, checking that each follows on the one before.
    async fn until(&mut self, what: &str, done: impl Fn(&Watched) -> bool) {
        let work = async {
            while !done(self) {
                let frame = self.follower.frames.recv().await.expect("the follower lives");
                match frame {
                    Frame::Appended { key, offset, bytes } => {
                        assert!(!bytes.is_empty() && bytes.len() <= FRAME_MAX, "{what}");
                        let so_far = self.appended.entry(key).or_default();
                        if so_far.is_empty() {
                            so_far.resize(usize::try_from(offset).unwrap(), b'?');
                        }
                        assert_eq!(so_far.len() as u64, offset, "{what}: in order, once");
                        so_far.extend(bytes);
                    }
                    Frame::Truncated { key } => {
                        self.appended.remove(&key);
                        *self.truncated.entry(key).or_default() += 1;
                    }
                    Frame::Whole { key, bytes } => {
                        let seen = self.whole.entry(key).or_default();
                        assert_ne!(seen.last(), Some(&bytes), "{what}: only differences");
                        seen.push(bytes);
                    }
                    Frame::Synced { key } => self.synced.push(key),
                    Frame::Lost { detail } => panic!("{what}: lost: {detail}"),
                }
            }
        };
        assert!(tokio::time::timeout(LIMIT, work).await.is_ok(), "timed out: {what}");
    }

    async fn until_appended(&mut self, what: &str, key: u64, bytes: &[u8]) {
        self.until(what, |it| it.appended.get(&key).is_some_and(|it| it == bytes)).await;
    }

    async fn until_whole(&mut self, what: &str, key: u64, bytes: Option<&[u8]>) {
        let done = |it: &Watched| {
            it.whole.get(&key).and_then(|it| it.last()).is_some_and(|it| it.as_deref() == bytes)
        };
        self.until(what, done).await;
    }
}

fn host_path(path: &Path) -> HostPath {
    HostPath::new(path.to_str().unwrap()).unwrap()
}

fn append(path: &Path, bytes: &[u8]) {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

fn replace(path: &Path, bytes: &[u8]) {
    let temp = path.with_extension("new");
    std::fs::write(&temp, bytes).unwrap();
    std::fs::rename(temp, path).unwrap();
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Kernel,
    Exec,
    ExecPosix,
}

const ALL: [By; 3] = [By::Kernel, By::Exec, By::ExecPosix];

async fn start(by: By) -> Watched {
    let shell = LocalShell::new();
    Watched::new(match by {
        By::Kernel => shell.follow().await.unwrap(),
        By::Exec => over_exec(&shell).await.unwrap(),
        By::ExecPosix => exec::start(&shell, Some(exec::Style::Posix)).await.unwrap(),
    })
}

#[tokio::test]
async fn growth_is_delivered_once_in_order_from_any_offset() {
    for by in ALL {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, b"0123456789").unwrap();
        let mut watched = start(by).await;
        watched.appended(1, &path, 0).await;
        watched.appended(2, &path, 4).await;
        watched.appended(3, &path, 10).await;
        watched.until_appended("all", 1, b"0123456789").await;
        watched.until_appended("rest", 2, b"????456789").await;
        let bytes: Vec<u8> = (0..=255).chain([0, 0, b'\n', 0]).collect();
        append(&path, &bytes);
        let all = [&b"0123456789"[..], &bytes].concat();
        watched.until_appended("binary", 1, &all).await;
        watched.until_appended("end", 3, &[&b"??????????"[..], &bytes].concat()).await;
        for n in 0..50 {
            append(&path, format!("line {n}\n").as_bytes());
            tokio::task::yield_now().await;
        }
        let all = std::fs::read(&path).unwrap();
        watched.until_appended("lines", 1, &all).await;
        assert_eq!(watched.truncated, HashMap::new(), "{by:?}");
    }
}

#[tokio::test]
async fn much_growth_comes_in_frames_and_waits_for_the_reader() {
    for by in ALL {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("big");
        let bytes: Vec<u8> = (0..5_000_000u32).map(|it| (it.wrapping_mul(31) >> 3) as u8).collect();
        let mut watched = start(by).await;
        watched.appended(1, &path, 0).await;
        append(&path, &bytes);
        watched
            .until("big", |it| it.appended.get(&1).is_some_and(|it| it.len() == bytes.len()))
            .await;
        assert!(watched.appended[&1] == bytes, "{by:?}");
    }
}

#[tokio::test]
async fn a_file_and_its_directories_may_come_later_and_again() {
    for by in ALL {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/c/log");
        let small = dir.path().join("a/b/c/small");
        let mut watched = start(by).await;
        watched.appended(1, &path, 0).await;
        watched.whole(2, &small).await;
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, b"one").unwrap();
        std::fs::write(&small, b"small").unwrap();
        watched.until_appended("created", 1, b"one").await;
        watched.until_whole("created", 2, Some(b"small")).await;
        std::fs::remove_dir_all(dir.path().join("a")).unwrap();
        watched.until_whole("gone", 2, None).await;
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        // Of the same length and perhaps with the same inode: only the kernel tells of that.
        let again: &[u8] = if by == By::Kernel { b"two" } else { b"2" };
        std::fs::write(&path, again).unwrap();
        std::fs::write(&small, b"again").unwrap();
        watched.until_whole("again", 2, Some(b"again")).await;
        watched.until_appended("again", 1, again).await;
        assert!(watched.truncated.contains_key(&1), "{by:?}");
    }
}

#[tokio::test]
async fn a_file_cut_or_replaced_starts_again() {
    for by in ALL {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, b"a long first content").unwrap();
        let mut watched = start(by).await;
        watched.appended(1, &path, 0).await;
        watched.until_appended("first", 1, b"a long first content").await;
        std::fs::write(&path, b"short").unwrap();
        watched.until_appended("cut", 1, b"short").await;
        replace(&path, b"new");
        watched.until_appended("replaced", 1, b"new").await;
        if by != By::ExecPosix {
            replace(&path, b"a longer one");
            watched.until_appended("replaced by a longer one", 1, b"a longer one").await;
        }
        append(&path, b" grows");
        let all = std::fs::read(&path).unwrap();
        watched.until_appended("grows", 1, &all).await;
    }
}

#[tokio::test]
async fn a_small_file_comes_whole_after_each_change() {
    for by in ALL {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        let mut watched = start(by).await;
        watched.whole(1, &path).await;
        replace(&path, b"one");
        watched.until_whole("one", 1, Some(b"one")).await;
        // The same length within one step of the file system's clock.
        replace(&path, b"two");
        watched.until_whole("two", 1, Some(b"two")).await;
        std::fs::write(&path, b"six").unwrap();
        watched.until_whole("six", 1, Some(b"six")).await;
        replace(&path, &vec![7; WHOLE_MAX + 10]);
        watched.until_whole("large", 1, Some(&vec![7; WHOLE_MAX])).await;
        std::fs::remove_file(&path).unwrap();
        watched.until_whole("gone", 1, None).await;
        std::fs::write(&path, b"").unwrap();
        watched.until_whole("empty", 1, Some(b"")).await;
    }
}

#[tokio::test]
async fn odd_names_are_names() {
    let names = ["new\nline", "'quo\"te`$(x)`", "  spaces  ", "-n", "a|b", "ünï", "*", "\\", "\n"];
    for by in ALL {
        let dir = tempfile::tempdir().unwrap();
        let mut watched = start(by).await;
        let paths: Vec<PathBuf> = names.iter().map(|it| dir.path().join(it)).collect();
        for (key, path) in (0..).zip(&paths) {
            watched.appended(key, path, 0).await;
            watched.whole(key + 100, path).await;
            std::fs::write(path, format!("{key} content")).unwrap();
        }
        for key in 0..paths.len() as u64 {
            let content = format!("{key} content");
            watched.until_appended(&content, key, content.as_bytes()).await;
            watched.until_whole(&content, key + 100, Some(content.as_bytes())).await;
        }
    }
}

#[tokio::test]
async fn two_hundred_files_are_followed_and_removed_ones_are_not() {
    for by in ALL {
        let dir = tempfile::tempdir().unwrap();
        let mut watched = start(by).await;
        let path = |key: u64| dir.path().join(format!("file {key}"));
        for key in 0..200 {
            watched.appended(key, &path(key), 0).await;
            append(&path(key), format!("{key}\n").as_bytes());
        }
        for key in 0..200 {
            watched.until_appended("first", key, format!("{key}\n").as_bytes()).await;
        }
        watched.follower.requests.send(FollowRequest::Remove(7)).await.unwrap();
        watched.appended(1000, &path(8), 0).await;
        watched.until_appended("the removal was heard", 1000, b"8\n").await;
        append(&path(7), b"unseen");
        append(&path(8), b"seen");
        watched.until_appended("others go on", 8, b"8\nseen").await;
        assert_eq!(watched.appended[&7], b"7\n", "{by:?}");
    }
}

#[tokio::test]
async fn nothing_is_lost_while_nobody_reads() {
    for by in ALL {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut watched = start(by).await;
        watched.appended(1, &path, 0).await;
        let mut all = Vec::new();
        // More frames than may wait.
        for n in 0..30u8 {
            let bytes = vec![n; FRAME_MAX * 10];
            append(&path, &bytes);
            all.extend(bytes);
        }
        watched
            .until("all", |it| it.appended.get(&1).is_some_and(|it| it.len() == all.len()))
            .await;
        assert!(watched.appended[&1] == all, "{by:?}");
    }
}

type Ended = futures_util::future::BoxFuture<'static, Result<Exit, ShellError>>;

/// A shell that runs something else in place of any command, and kills nothing: what it started
/// must end by itself.
struct Instead {
    inner: LocalShell,
    command: Command,
    ended: std::sync::Mutex<Vec<Ended>>,
}

impl Instead {
    fn new(command: Command) -> Instead {
        Instead { inner: LocalShell::new(), command, ended: std::sync::Mutex::default() }
    }
}

#[async_trait::async_trait]
impl Shell for Instead {
    fn host(&self) -> &str {
        "elsewhere"
    }
    async fn exec(&self, _: &Command) -> Result<Process, ShellError> {
        let Process { stdin, stdout, stderr, exit } = self.inner.exec(&self.command).await?;
        self.ended.lock().unwrap().push(exit);
        Ok(Process { stdin, stdout, stderr, exit: Box::pin(std::future::pending()) })
    }
    async fn open_pty(&self, command: &Command, size: Size) -> Result<Pty, ShellError> {
        self.inner.open_pty(command, size).await
    }
    async fn put(&self, path: &HostPath, bytes: &[u8], mode: u32) -> Result<(), ShellError> {
        self.inner.put(path, bytes, mode).await
    }
    async fn get(
        &self,
        path: &HostPath,
        at: u64,
        max: usize,
    ) -> Result<Option<Vec<u8>>, ShellError> {
        self.inner.get(path, at, max).await
    }
}

#[tokio::test]
async fn the_remote_loop_ends_with_its_input_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (home, path) = (dir.path().join("home"), dir.path().join("log"));
    std::fs::create_dir(&home).unwrap();
    std::fs::write(&path, b"x").unwrap();
    // With a login script that talks, in any shell there is here.
    for program in ["sh", "bash", "dash"] {
        let script = format!("echo Welcome; echo posix; exec {program}");
        let command =
            Command::new(["sh", "-c", &script]).cwd(host_path(&home)).env("HOME", "/no/where");
        let shell = Instead::new(command);
        let mut watched = Watched::new(over_exec(&shell).await.unwrap());
        watched.appended(1, &path, 0).await;
        watched.whole(2, &path).await;
        watched.until_appended("it works", 1, b"x").await;
        watched.until_whole("it works", 2, Some(b"x")).await;
        drop(watched);
        let ended = shell.ended.lock().unwrap().pop().unwrap();
        let exit = tokio::time::timeout(LIMIT, ended).await.expect("it ends by itself").unwrap();
        assert_eq!(exit, Exit { code: 0 }, "{program}");
        assert_eq!(std::fs::read_dir(&home).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn a_host_that_breaks_off_is_said_to_be_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    std::fs::write(&path, b"x").unwrap();
    let script = "echo $$ > pid; exec sh";
    let shell = Instead::new(Command::new(["sh", "-c", script]).cwd(host_path(dir.path())));
    let mut follower = over_exec(&shell).await.unwrap();
    let watch = Watch::Appended { path: host_path(&path), from: 0 };
    follower.requests.send(FollowRequest::Add(1, watch)).await.unwrap();
    assert!(matches!(follower.frames.recv().await, Some(Frame::Appended { .. })));
    let pid = std::fs::read_to_string(dir.path().join("pid")).unwrap().trim().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let lost = tokio::time::timeout(LIMIT, follower.frames.recv()).await.unwrap();
    assert!(matches!(lost, Some(Frame::Lost { .. })), "{lost:?}");
    assert_eq!(follower.frames.recv().await, None);
    let mute = Instead::new(Command::new(["sh", "-c", "echo no such shell >&2; exit 127"]));
    let error = over_exec(&mute).await.err().unwrap().to_string();
    assert!(error.contains("no such shell"), "{error}");
}

#[tokio::test]
async fn without_notifications_files_are_looked_at_now_and_then() {
    let dir = tempfile::tempdir().unwrap();
    let (target, link) = (dir.path().join("far/log"), dir.path().join("link"));
    std::fs::create_dir(dir.path().join("far")).unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    // A link, whose directory stays still when the file grows; then no watcher at all.
    let mut watched = start(By::Kernel).await;
    watched.appended(1, &link, 0).await;
    std::fs::write(&target, b"one").unwrap();
    watched.until_appended("through a link", 1, b"one").await;
    let mut blind = Watched::new(crate::shell::local::follow_slowly());
    blind.appended(1, &target, 0).await;
    blind.whole(2, &target).await;
    blind.until_appended("one", 1, b"one").await;
    append(&target, b"two");
    blind.until_appended("two", 1, b"onetwo").await;
    blind.until_whole("two", 2, Some(b"onetwo")).await;
    watched.until_appended("two", 1, b"onetwo").await;
}

/// Returns how many directories below `dir` this process watches.
fn watches(dir: &Path) -> usize {
    use std::os::unix::fs::MetadataExt;
    let inodes: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|it| format!("ino:{:x} ", it.unwrap().metadata().unwrap().ino()))
        .collect();
    let infos = std::fs::read_dir("/proc/self/fdinfo").unwrap().flatten();
    let infos: String = infos.filter_map(|it| std::fs::read_to_string(it.path()).ok()).collect();
    let watched = |it: &&String| {
        infos.lines().any(|line| line.starts_with("inotify") && line.contains(it.as_str()))
    };
    inodes.iter().filter(watched).count()
}

#[tokio::test]
async fn files_of_one_directory_share_a_watch_that_goes_with_the_last() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let mut watched = start(By::Kernel).await;
    for key in 0..3 {
        let path = inner.join(format!("{key}"));
        std::fs::write(&path, b"x").unwrap();
        watched.appended(key, &path, 0).await;
    }
    watched.until("all", |it| it.appended.len() == 3).await;
    assert_eq!(watches(dir.path()), 1);
    for key in 0..3 {
        assert_eq!(watches(dir.path()), 1);
        watched.follower.requests.send(FollowRequest::Remove(key)).await.unwrap();
    }
    let freed = async {
        while watches(dir.path()) != 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, freed).await.expect("the watch is freed");
}

#[tokio::test]
async fn all_that_is_there_is_delivered_before_it_is_synced() {
    for by in ALL {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let long = vec![b'x'; 5 * FRAME_MAX + 1];
        std::fs::write(path("log"), &long).unwrap();
        std::fs::write(path("small"), b"s").unwrap();
        let mut watched = start(by).await;
        watched.appended(1, &path("log"), 0).await;
        watched.whole(2, &path("small")).await;
        watched.whole(3, &path("none")).await;
        watched.follower.requests.send(FollowRequest::Sync(7)).await.unwrap();
        watched.until("synced", |it| !it.synced.is_empty()).await;
        assert_eq!(watched.appended.get(&1).map(Vec::len), Some(long.len()), "{by:?}");
        assert_eq!(watched.whole.get(&2), Some(&vec![Some(b"s".to_vec())]), "{by:?}");
        assert_eq!((watched.whole.get(&3), &watched.synced[..]), (None, &[7][..]), "{by:?}");
        // Once for each time it is asked for, also where nothing is watched.
        for key in [1, 2, 3] {
            watched.follower.requests.send(FollowRequest::Remove(key)).await.unwrap();
        }
        watched.follower.requests.send(FollowRequest::Sync(8)).await.unwrap();
        watched.until("synced again", |it| it.synced[..] == [7, 8]).await;
    }
}
