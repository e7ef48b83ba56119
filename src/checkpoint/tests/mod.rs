//! Saving real directories with real git.

mod any;
mod hosts;
mod inside;
mod outside;
mod plain;
mod trouble;
mod user;
mod walk;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::{
    checkpoint::{
        CheckpointError,
        manifest::{Manifest, parse_times},
        meta::{Facts, Unit, UnitKind, Why},
        packer::PackError,
        shadow::{HUGE, Made, Order, Rules, Saved, Shadow},
    },
    domain::{
        checkpoint::Trigger,
        event::Tokens,
        ids::{CheckpointId, HostPath, TaskId},
        usd::Usd,
    },
    shell::{Command, local::LocalShell, run},
    stdx::time::Timestamp,
};

const LIMIT: Duration = Duration::from_secs(60);

/// A workspace and a run directory.
struct World {
    _dir: tempfile::TempDir,
    top: PathBuf,
    ws: PathBuf,
    shell: Arc<LocalShell>,
    shadow: Shadow,
}

/// Files by path: git's mode and the content, or where a link points.
type Files = BTreeMap<Vec<u8>, (u32, Vec<u8>)>;

/// Makes this test program that of its host: it does what a script asks of it, see `the_program`.
fn with_program(shell: LocalShell, top: &Path) -> LocalShell {
    let at = top.join("the program");
    let this = std::env::current_exe().unwrap();
    let script = r#"#!/bin/sh
[ "$1" = pack ] || exit 2
shift
words=$0.words.$$
for word; do printf '%s\000' "$word"; done >"$words"
PARHELIA_TEST_WORDS=$words "$0.test" --exact checkpoint::tests::the_program --ignored --nocapture \
    >/dev/null
code=$?
[ "$code" = 0 ] || printf 'no ' >>"$0.done"
printf '%s ' "$2" >>"$0.done"
exit "$code"
"#;
    std::os::unix::fs::symlink(this, top.join("the program.test")).unwrap();
    std::fs::write(&at, script).unwrap();
    std::fs::set_permissions(&at, std::fs::Permissions::from_mode(0o755)).unwrap();
    shell.with_program_at(path(&at))
}

#[test]
#[ignore = "it is what others start as the program of their host"]
fn the_program() {
    let list = PathBuf::from(std::env::var_os("PARHELIA_TEST_WORDS").unwrap());
    let words = std::fs::read(&list).unwrap();
    std::fs::remove_file(list).unwrap();
    let words = words.strip_suffix(b"\0").unwrap().split(|it| *it == 0);
    let words: Vec<_> = words.map(|it| OsStr::from_bytes(it).to_owned()).collect();
    match crate::checkpoint::packer::run(&words) {
        Err(PackError::Git) => git_refused(),
        done => done.unwrap(),
    }
}

#[expect(clippy::disallowed_methods, reason = "a test has no other way to say so")]
fn git_refused() {
    std::process::exit(4);
}

impl World {
    /// On a host where this program is.
    fn with_program() -> World {
        let mut world = World::new();
        world.shell = Arc::new(with_program(LocalShell::new(), &world.top));
        world.shadow = Shadow::new(world.shell.clone(), &path(&world.top.join("run dir")));
        world
    }

    /// Returns what the program was asked for and did, if it is there.
    fn done_by_program(&self) -> String {
        std::fs::read_to_string(self.top.join("the program.done")).unwrap_or_default()
    }

    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        let ws = top.join("the user's workspace");
        std::fs::create_dir(&ws).unwrap();
        let shell = Arc::new(LocalShell::new());
        let shadow = Shadow::new(shell.clone(), &path(&top.join("run dir")));
        World { _dir: dir, top, ws, shell, shadow }
    }

    /// With a repository of two commits, and changes.
    async fn git() -> World {
        World::new().with_git().await
    }

    async fn with_git(self) -> World {
        self.run(
            "git init -q -b main . && git config user.name T && git config user.email t@t \
                 && mkdir -p sub/deep && echo a > a && echo b > b && echo c > sub/c \
                 && echo d > sub/deep/d && printf 'ignored\\nout/\\n' > .gitignore \
                 && git add . && git commit -qm one && echo a2 >> a && git commit -qam two \
                 && git branch other HEAD~1",
        )
        .await;
        self
    }

    async fn run(&self, script: &str) -> String {
        self.run_in(&self.ws, script).await
    }

    async fn run_in(&self, dir: &Path, script: &str) -> String {
        String::from_utf8_lossy(&self.bytes(dir, script).await).trim_end().to_owned()
    }

    async fn bytes(&self, dir: &Path, script: &str) -> Vec<u8> {
        let command = Command::new(["sh", "-ec", script]).cwd(path(dir));
        let output = run(&*self.shell, &command, LIMIT).await.unwrap();
        assert_eq!(output.code, 0, "{script}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Runs git on the shadow.
    async fn shadow(&self, args: &str) -> Vec<u8> {
        self.bytes(&self.top, &format!("git --git-dir='run dir/shadow.git' {args}")).await
    }

    fn write(&self, name: impl AsRef<OsStr>, content: impl AsRef<[u8]>) {
        let at = self.ws.join(name.as_ref());
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::fs::write(at, content).unwrap();
    }

    fn mode(&self, name: impl AsRef<OsStr>, mode: u32) {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(self.ws.join(name.as_ref()), permissions).unwrap();
    }

    fn order(&self) -> Order {
        let facts = Facts {
            id: CheckpointId::random(),
            task: TaskId::random(),
            task_name: "t".into(),
            at: Timestamp(1_700_000_000_123),
            trigger: Trigger::Manual,
            label: None,
            conversation: None,
            transcript: None,
            env: BTreeMap::new(),
            turns: 0,
            tokens: Tokens::default(),
            cost: Usd::ZERO,
        };
        Order {
            workspace: path(&self.ws),
            facts,
            rules: Rules { include: Vec::new(), secrets: false, huge: HUGE },
            beside: Vec::new(),
            previous: None,
            unless_same: false,
            limit: LIMIT,
        }
    }

    async fn save(&self) -> Made {
        self.save_after(None).await
    }

    async fn save_after(&self, previous: Option<&Made>) -> Made {
        let previous = previous.map(|it| it.commit.clone());
        made(self.shadow.save(&Order { previous, ..self.order() }).await)
    }

    /// Tells whether anything differs from `previous`.
    async fn is_same(&self, previous: &Made) -> bool {
        let previous = Some(previous.commit.clone());
        let order = Order { previous, unless_same: true, ..self.order() };
        self.shadow.save(&order).await.unwrap() == Saved::Same
    }

    /// Returns what a tree of the shadow holds.
    async fn stored(&self, tree: &str) -> Files {
        let listed = self.shadow(&format!("ls-tree -r -z {tree}")).await;
        let mut files = Files::new();
        let mut ids = String::new();
        let mut keys = Vec::new();
        for line in listed.split(|it| *it == 0).filter(|it| !it.is_empty()) {
            let tab = line.iter().position(|it| *it == b'\t').unwrap();
            let words: Vec<&str> = std::str::from_utf8(&line[..tab]).unwrap().split(' ').collect();
            let mode = u32::from_str_radix(words[0], 8).unwrap();
            if mode == 0o160000 {
                files.insert(line[tab + 1..].to_vec(), (mode, words[2].into()));
                continue;
            }
            ids.push_str(&format!("{}\n", words[2]));
            keys.push((line[tab + 1..].to_vec(), mode));
        }
        std::fs::write(self.top.join("ids"), ids).unwrap();
        let out = self.shadow("cat-file --batch <ids").await;
        let mut rest = &out[..];
        for (key, mode) in keys {
            let end = rest.iter().position(|it| *it == b'\n').unwrap();
            let head = std::str::from_utf8(&rest[..end]).unwrap();
            let length: usize = head.rsplit(' ').next().unwrap().parse().expect(head);
            files.insert(key, (mode, rest[end + 1..end + 1 + length].to_vec()));
            rest = &rest[end + 2 + length..];
        }
        files
    }

    /// Returns the whole workspace as the checkpoint has it, repositories inside in their places.
    async fn whole(&self, made: &Made) -> Files {
        let mut files = self.stored(&format!("{}:w", made.commit)).await;
        for (number, Unit { path, .. }) in made.meta.units.iter().enumerate() {
            let here = format!("{}:u/{}", made.commit, number + 1);
            let kind = self.shadow(&format!("cat-file -t {here}")).await;
            let inner = if kind == b"tree\n" {
                self.stored(&here).await
            } else {
                let tree = self.stored(&format!("{}:u", made.commit)).await;
                let entry = tree[format!("{}", number + 1).as_bytes()].clone();
                Files::from([(Vec::new(), entry)])
            };
            for (name, entry) in inner {
                let whole =
                    if name.is_empty() { path.clone() } else { [&**path, b"/", &*name].concat() };
                assert!(files.insert(whole.clone(), entry).is_none(), "twice: {whole:?}");
            }
        }
        files
    }

    async fn manifest(&self, made: &Made, number: usize) -> Manifest {
        let blob = self.shadow(&format!("cat-file blob {}:m/{number}", made.commit)).await;
        Manifest::parse(&blob).unwrap()
    }

    /// Returns what is left out, by path.
    fn left(&self, made: &Made) -> BTreeMap<String, Why> {
        let entry = |it: &crate::checkpoint::meta::LeftOut| {
            (String::from_utf8_lossy(&it.path).into_owned(), it.why)
        };
        assert_eq!(made.meta.left_out_count, made.meta.left_out.len() as u64);
        made.meta.left_out.iter().map(entry).collect()
    }
}

fn made(saved: Result<Saved, CheckpointError>) -> Made {
    match saved.unwrap() {
        Saved::Made(made) => *made,
        Saved::Same => panic!("nothing was made"),
    }
}

fn path(path: &Path) -> HostPath {
    HostPath::new(path.to_str().unwrap()).unwrap()
}

/// Returns every file below `root` but those under `skip`.
fn tree(root: &Path, skip: &[&str]) -> Files {
    let mut files = Files::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let (at, kind) = (entry.path(), entry.file_type().unwrap());
            let name = at.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
            if skip.iter().any(|it| it.as_bytes() == name) {
                continue;
            } else if kind.is_dir() {
                dirs.push(at);
            } else if kind.is_symlink() {
                let link = std::fs::read_link(&at).unwrap().as_os_str().as_bytes().to_vec();
                files.insert(name, (0o120000, link));
            } else if kind.is_file() {
                let mode =
                    if entry.metadata().unwrap().mode() & 0o100 == 0 { 0o100644 } else { 0o100755 };
                files.insert(name, (mode, std::fs::read(&at).unwrap()));
            }
        }
    }
    files
}

/// Compares without printing megabytes.
#[track_caller]
fn same(left: &Files, right: &Files) {
    let names = |it: &Files| -> BTreeSet<String> {
        it.iter().map(|(path, entry)| format!("{} {:o}", path.escape_ascii(), entry.0)).collect()
    };
    assert_eq!(names(left), names(right));
    for (path, entry) in left {
        assert!(right[path] == *entry, "{} differs", path.escape_ascii());
    }
}
