use std::{
    collections::BTreeMap,
    ffi::OsStr,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt, fs::symlink},
    path::{Path, PathBuf},
};

use super::*;
use crate::shell::local::LocalShell;

mod adopt;

const LIMIT: Duration = Duration::from_secs(60);

/// A repository in a directory of its own, with a place for work trees beside it.
struct World {
    dir: tempfile::TempDir,
    repo: PathBuf,
    shell: Arc<LocalShell>,
    git: Git,
}

impl World {
    async fn new() -> World {
        World::at("user's repo").await
    }

    async fn at(name: &str) -> World {
        let dir = tempfile::tempdir().unwrap();
        let repo = dir.path().canonicalize().unwrap().join(name);
        std::fs::create_dir(&repo).unwrap();
        let shell = Arc::new(LocalShell::new());
        let world = World { dir, repo, git: Git::new(shell.clone()), shell };
        world
            .run("git init -q -b main . && git config user.name T && git config user.email t@t")
            .await;
        world
    }

    /// With two commits and a bit of everything.
    async fn committed() -> World {
        let world = World::new().await;
        world
            .run(
                "mkdir -p sub/deep && echo a > a && echo b > b && echo c > sub/c && echo d > sub/deep/d \
                 && echo ignored > .gitignore && git add . && git commit -qm one \
                 && echo a2 >> a && git commit -qam two && git branch other HEAD~1",
            )
            .await;
        world
    }

    async fn run(&self, script: &str) -> String {
        self.run_in(&self.repo, script).await
    }

    async fn run_in(&self, dir: &Path, script: &str) -> String {
        let command = Command::new(["sh", "-ec", script]).cwd(path(dir));
        let output = run(&*self.shell, &command, LIMIT).await.unwrap();
        assert_eq!(output.code, 0, "{script}: {}", output.complaint());
        output.text()
    }

    fn write(&self, name: impl AsRef<OsStr>, content: &str) {
        std::fs::write(self.repo.join(name.as_ref()), content).unwrap();
    }

    async fn repo(&self) -> Repo {
        self.git.inspect(&path(&self.repo)).await.unwrap().unwrap()
    }

    async fn plan(&self, include_dirty: bool) -> Plan {
        let repo = self.repo().await;
        let dest = path(&self.dir.path().canonicalize().unwrap().join("runs/task/tree"));
        let branch = "parhelia/task-a".to_owned();
        Plan { from: repo.root.clone(), repo, dest, branch, include_dirty }
    }

    /// All that must stay as it is, byte for byte, but for our branch.
    async fn state(&self) -> (Vec<Vec<u8>>, String) {
        let git_dir = PathBuf::from(self.repo().await.git_dir.as_str());
        let read = |it: &str| std::fs::read(git_dir.join(it)).unwrap_or_default();
        let files = ["index", "HEAD", "config", "ORIG_HEAD"].map(read).to_vec();
        // The listing leaves out `.git`, whose objects and work trees do change.
        let rest = "GIT_OPTIONAL_LOCKS=0 git status --porcelain -uall; git stash list; \
            git for-each-ref | grep -v refs/heads/parhelia/ || :; \
            find . -path ./.git -prune -o -type f -exec ls -ln --time-style=full-iso {} +";
        (files, self.run(rest).await)
    }
}

fn path(path: &Path) -> HostPath {
    HostPath::new(path.to_str().unwrap()).unwrap()
}

/// Returns every file but git's own: what it holds, or where it points.
fn tree(root: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut files = BTreeMap::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let (at, kind) = (entry.path(), entry.file_type().unwrap());
            if entry.file_name() == ".git" {
                continue;
            } else if kind.is_dir() {
                dirs.push(at);
            } else {
                let name = at.strip_prefix(root).unwrap().to_owned();
                let content = if kind.is_symlink() {
                    (0o120000, std::fs::read_link(&at).unwrap().as_os_str().as_bytes().to_vec())
                } else {
                    let mode = entry.metadata().unwrap().permissions().mode() & 0o100;
                    (mode, std::fs::read(&at).unwrap())
                };
                files.insert(name, content);
            }
        }
    }
    files
}

/// Leaves about everything that can be uncommitted.
async fn make_dirty(world: &World) {
    world.write("b", "staged\n");
    world.run("git add b && git rm -q --cached sub/c && rm sub/deep/d && chmod +x a && echo x > ignored").await;
    world.write("b", "staged and changed\n");
    for name in
        [&b"new\nline"[..], b"-dash", b"'quo\"te", b"\xff\xfe", b" space ", b"#", b":(top)x"]
    {
        world.write(OsStr::from_bytes(name), "untracked");
    }
    std::fs::create_dir(world.repo.join("newdir")).unwrap();
    symlink("nowhere", world.repo.join("newdir/link")).unwrap();
}

#[tokio::test]
async fn a_repository_is_known_from_inside_only() {
    let world = World::new().await;
    let repo = world.repo().await;
    assert_eq!((repo.head.clone(), repo.branch.as_deref()), (None, Some("main")));
    assert_eq!(repo.root, path(&world.repo));
    assert_eq!(repo.git_dir, path(&world.repo).join(".git"));
    world.run("git commit -q --allow-empty -m x && git checkout -q --detach && mkdir sub").await;
    let inside = world.git.inspect(&path(&world.repo.join("sub"))).await.unwrap().unwrap();
    assert_eq!((inside.head.unwrap().len(), inside.branch), (40, None));
    world.run_in(world.dir.path(), "git init -q --bare bare").await;
    for none in ["bare", ".", "user's repo/.git", "nowhere"] {
        let at = path(&world.dir.path().join(none));
        assert_eq!(world.git.inspect(&at).await.unwrap(), None, "{none}");
    }
}

#[tokio::test]
async fn names_with_newlines_are_names() {
    let world = World::at("odd\nname\n").await;
    world.run("echo a > a && git add a && git commit -qm a").await;
    assert_eq!(world.repo().await.root, path(&world.repo));
    let prepared = world.git.worktree(&world.plan(true).await).await.unwrap();
    assert_eq!(tree(Path::new(prepared.workspace.as_str())), tree(&world.repo));
}

#[tokio::test]
async fn uncommitted_state_comes_along_and_the_user_keeps_theirs() {
    for clone in [false, true] {
        let world = World::committed().await;
        world.run("echo stashed > a && git stash -q").await;
        make_dirty(&world).await;
        let before = world.state().await;
        let plan = world.plan(true).await;
        let prepared = if clone {
            world.git.clone_repo(&plan).await.unwrap()
        } else {
            world.git.worktree(&plan).await.unwrap()
        };
        assert_eq!(world.state().await, before);
        // a: mode, b: content, d: deleted, c: removed from the index but still there.
        assert_eq!(prepared.dirty, Dirty { modified: 4, untracked: 9 });
        assert_eq!(prepared.notes, [""; 0]);
        let dest = Path::new(plan.dest.as_str());
        let mut expected = tree(&world.repo);
        expected.remove(Path::new("ignored"));
        assert_eq!(tree(dest), expected);
        let status = "git status --porcelain --no-renames -uall -z | tr '\\0' '\\n' | sort";
        let text = world.run_in(dest, status).await;
        let tracked: Vec<&str> = text.lines().filter(|it| it.starts_with(" ")).collect();
        assert_eq!(tracked, [" D sub/deep/d", " M a", " M b"], "{text}");
        assert_eq!(text.lines().filter(|it| it.starts_with("??")).count(), 8, "{text}");
        let position = world.run_in(dest, "git symbolic-ref HEAD; git rev-parse HEAD").await;
        let head = plan.repo.head.as_deref().unwrap();
        assert_eq!(position, format!("refs/heads/parhelia/task-a\n{head}"));
        let around = std::fs::read_dir(dest.parent().unwrap()).unwrap().count();
        assert_eq!(around, 2, "the work tree and its record");
    }
}

#[tokio::test]
async fn without_uncommitted_state_it_is_only_counted() {
    let world = World::committed().await;
    make_dirty(&world).await;
    let plan = world.plan(false).await;
    let prepared = world.git.worktree(&plan).await.unwrap();
    assert_eq!(prepared.dirty, Dirty { modified: 4, untracked: 9 });
    let status = world.run_in(Path::new(plan.dest.as_str()), "git status --porcelain").await;
    assert_eq!(status, "");
}

#[tokio::test]
async fn a_subdirectory_stays_the_workspace() {
    let world = World::committed().await;
    std::fs::create_dir_all(world.repo.join("empty/deeper")).unwrap();
    for (n, sub) in ["sub/deep", "empty/deeper"].into_iter().enumerate() {
        let mut plan = world.plan(true).await;
        plan.from = plan.from.join(sub);
        plan.dest = plan.dest.join(&n.to_string());
        plan.branch = format!("parhelia/task-{n}");
        let prepared = world.git.worktree(&plan).await.unwrap();
        assert_eq!(prepared.workspace, plan.dest.join(sub));
        assert!(Path::new(prepared.workspace.as_str()).is_dir());
    }
}

#[tokio::test]
async fn asking_again_gives_the_same_and_finishes_what_was_begun() {
    let world = World::committed().await;
    make_dirty(&world).await;
    let plan = world.plan(true).await;
    let first = world.git.worktree(&plan).await.unwrap();
    let dest = PathBuf::from(plan.dest.as_str());
    std::fs::write(dest.join("work"), "done").unwrap();
    assert_eq!(world.git.worktree(&plan).await.unwrap(), first);
    assert!(dest.join("work").exists(), "what Claude did stays");
    // Cut short at several points: with all made, without git's link, with nothing but the record.
    let record = dest.with_extension("parhelia");
    for damage in
        ["", "rm tree/.git", "rm -rf tree", "rm -rf tree; echo x > tree", "echo x > tree.index"]
    {
        std::fs::write(&record, "begun\n").unwrap();
        world.run_in(dest.parent().unwrap(), &format!(":; {damage}")).await;
        assert_eq!(world.git.worktree(&plan).await.unwrap(), first, "{damage}");
        assert!(!dest.join("work").exists());
    }
    assert_eq!(world.run("git worktree list").await.lines().count(), 2);
}

/// A machine on which a work tree is half made until another one was tried to be made.
struct HalfMade {
    machine: Arc<LocalShell>,
    half: PathBuf,
    tried: std::sync::atomic::AtomicU32,
}

#[async_trait::async_trait]
impl Shell for HalfMade {
    fn host(&self) -> &str {
        self.machine.host()
    }

    async fn exec(&self, command: &Command) -> Result<crate::shell::Process, ShellError> {
        let is_add = command.display().contains("worktree add");
        if is_add && self.tried.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1 {
            std::fs::remove_dir_all(&self.half).unwrap();
        }
        self.machine.exec(command).await
    }

    async fn open_pty(
        &self,
        command: &Command,
        size: crate::shell::Size,
    ) -> Result<crate::shell::Pty, ShellError> {
        self.machine.open_pty(command, size).await
    }

    async fn put(&self, path: &HostPath, bytes: &[u8], mode: u32) -> Result<(), ShellError> {
        self.machine.put(path, bytes, mode).await
    }

    async fn get(
        &self,
        path: &HostPath,
        offset: u64,
        max: usize,
    ) -> Result<Option<Vec<u8>>, ShellError> {
        self.machine.get(path, offset, max).await
    }
}

#[tokio::test]
async fn a_work_tree_that_another_is_just_making_is_waited_for() {
    let world = World::committed().await;
    let half = world.repo.join(".git/worktrees/half");
    std::fs::create_dir_all(&half).unwrap();
    std::fs::write(half.join("gitdir"), "/none/half/.git\n").unwrap();
    std::fs::write(half.join("HEAD"), "ref: refs/heads/other\n").unwrap();
    std::fs::write(half.join("commondir"), "").unwrap();
    let plan = world.plan(true).await;
    let machine = world.shell.clone();
    let tried = std::sync::atomic::AtomicU32::new(0);
    let git = Git::new(Arc::new(HalfMade { machine, half, tried }));
    let prepared = git.worktree(&plan).await.unwrap();
    assert_eq!(prepared.workspace, plan.dest);
}

#[tokio::test]
async fn what_is_not_ours_is_refused_and_untouched() {
    let world = World::new().await;
    let none = world.git.worktree(&world.plan(true).await).await;
    assert!(matches!(none, Err(GitError::NoCommits { .. })), "{none:?}");
    world.run("git commit -q --allow-empty -m x && git branch parhelia/task-a").await;
    let plan = world.plan(true).await;
    let taken = world.git.worktree(&plan).await;
    assert!(matches!(taken, Err(GitError::BranchTaken { .. })), "{taken:?}");
    world.run("git branch -D -q parhelia/task-a").await;
    std::fs::create_dir_all(plan.dest.as_str()).unwrap();
    std::fs::write(plan.dest.join("precious").as_str(), "x").unwrap();
    let taken = world.git.worktree(&plan).await;
    assert!(matches!(taken, Err(GitError::Taken { .. })), "{taken:?}");
    let taken = world.git.remove_worktree(&plan.repo.root, &plan.dest, None).await;
    assert!(matches!(taken, Err(GitError::Taken { .. })), "{taken:?}");
    assert!(Path::new(plan.dest.join("precious").as_str()).exists());
}

#[tokio::test]
async fn linked_work_trees_detached_heads_nested_repositories_and_submodules_work() {
    let mut world = World::committed().await;
    world.run("git init -q ../lib && cd ../lib && git -c user.name=T -c user.email=t@t commit -q --allow-empty -m lib").await;
    world.run("git -c protocol.file.allow=always submodule add -q ../lib lib 2>/dev/null && git commit -qm lib").await;
    world.run("git worktree add -q --detach ../linked && git init -q ../linked/nested && echo x > ../linked/nested/x && echo y > ../linked/y").await;
    world.repo = world.repo.with_file_name("linked");
    let before = world.state().await;
    let plan = world.plan(true).await;
    assert_eq!(plan.repo.branch, None);
    let prepared = world.git.worktree(&plan).await.unwrap();
    assert_eq!(world.state().await, before);
    assert_eq!(prepared.dirty, Dirty { modified: 0, untracked: 1 });
    assert_eq!(prepared.notes.len(), 2, "{:?}", prepared.notes);
    let dest = Path::new(plan.dest.as_str());
    assert_eq!(std::fs::read(dest.join("y")).unwrap(), b"y\n");
    assert_eq!(std::fs::read_dir(dest.join("lib")).unwrap().count(), 0);
}

#[tokio::test]
async fn the_repository_and_its_environment_run_nothing() {
    let world = World::committed().await;
    let hook = "#!/bin/sh\ntouch ran\n";
    for name in ["post-checkout", "reference-transaction", "post-index-change", "fsmonitor"] {
        let at = world.repo.join(".git/hooks").join(name);
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::fs::write(&at, hook).unwrap();
        std::fs::set_permissions(&at, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    world.run("git config core.fsmonitor .git/hooks/fsmonitor; rm -f ran").await;
    let plan = world.plan(true).await;
    world.git.worktree(&plan).await.unwrap();
    world.git.remove_worktree(&plan.repo.root, &plan.dest, Some(&plan.branch)).await.unwrap();
    assert!(!world.repo.join("ran").exists());
}

#[tokio::test]
async fn a_clone_pushes_where_the_user_would() {
    let world = World::committed().await;
    let plan = world.plan(true).await;
    world.git.clone_repo(&plan).await.unwrap();
    let dest = PathBuf::from(plan.dest.as_str());
    assert_eq!(world.run_in(&dest, "git remote").await, "");
    world.run("git remote add origin https://example.org/x.git").await;
    let plan = Plan { dest: plan.dest.join("second"), ..plan };
    world.git.clone_repo(&plan).await.unwrap();
    let url = world.run_in(Path::new(plan.dest.as_str()), "git remote get-url origin").await;
    assert_eq!(url, "https://example.org/x.git");
}

#[tokio::test]
async fn a_removed_work_tree_leaves_its_branch_only_if_it_holds_work() {
    let world = World::committed().await;
    let before = world.state().await;
    for work in [false, true] {
        let plan = world.plan(true).await;
        world.git.worktree(&plan).await.unwrap();
        let dest = PathBuf::from(plan.dest.as_str());
        world.run_in(&dest, "mkdir locked && echo x > locked/x && chmod 500 locked").await;
        if work {
            world.run_in(&dest, "git commit -q --allow-empty -m work").await;
        }
        let root = &plan.repo.root;
        let removed = world.git.remove_worktree(root, &plan.dest, Some(&plan.branch)).await;
        assert_eq!(removed.unwrap(), Removed { branch_kept: work });
        assert_eq!(world.run("git worktree list").await.lines().count(), 1);
        assert_eq!(std::fs::read_dir(dest.parent().unwrap()).unwrap().count(), 0);
        // Removing what is gone is fine.
        let again = world.git.remove_worktree(root, &plan.dest, Some(&plan.branch)).await;
        assert_eq!(again.unwrap(), Removed { branch_kept: work });
    }
    assert_eq!(world.state().await, before);
}

#[tokio::test]
async fn a_work_tree_tells_what_only_it_has() {
    use look::{Look, Work};
    let world = World::committed().await;
    let look = async |dir: &Path| world.git.look(&path(dir), 3, LIMIT).await.unwrap();
    let clean = Work { on_branch: true, ..Work::default() };
    assert_eq!(look(&world.repo).await, Look::Work(clean.clone()));
    world
        .run(
            "echo more >> a; echo n > 'new file'; mkdir n; echo n > n/1; echo n > n/2; \
             echo x > ignored; git init -q inner; echo x > inner/x",
        )
        .await;
    world.write("evil\x1b[2J", "x");
    let dirty = |it: &[&str]| it.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let expected = Work {
        dirty_files: 5,
        dirty: dirty(&["a", "evil\u{fffd}[2J", "n/1"]),
        nested: 1,
        ..clean.clone()
    };
    assert_eq!(look(&world.repo.join("sub")).await, Look::Work(expected));

    // Another with this one for its remote, on no branch, and with a stash.
    let other = world.repo.with_file_name("other");
    world
        .run_in(
            other.parent().unwrap(),
            "git clone -q \"user's repo\" other && cd other && git config user.name T \
             && git config user.email t@t && git switch -q --detach && echo 1 > a \
             && git commit -qam three && echo 2 > a && git stash -q",
        )
        .await;
    let expected = Work { on_branch: false, unpushed: Some(1), stray: 1, elsewhere: 2, ..clean };
    assert_eq!(look(&other).await, Look::Work(expected));

    assert_eq!(look(&world.repo.join("nothing here")).await, Look::Gone);
    assert_eq!(look(world.dir.path()).await, Look::NoRepository);
}

#[tokio::test]
async fn a_difference_is_from_where_the_branch_began_and_writes_nothing() {
    let world = World::committed().await;
    let plan = world.plan(false).await;
    world.git.worktree(&plan).await.unwrap();
    let tree = PathBuf::from(plan.dest.as_str());
    let repo = world.git.inspect(&plan.dest).await.unwrap().unwrap();
    let difference = async |branch| world.git.difference(&repo, branch, LIMIT).await.unwrap();
    let branch = Some(plan.branch.as_str());
    let clean = difference(branch).await;
    assert_eq!((clean.count, clean.text.as_str(), clean.cut), (0, "", false));
    assert_eq!(Some(&clean.base), plan.repo.head.as_ref());

    world
        .run_in(
            &tree,
            "echo three >> a; git commit -qam three; echo four >> a; git rm -q b; \
             printf '1\\n2\\n' > 'new :(glob) file'; printf '\\0' > bin; echo x > ignored; \
             git init -q inner; mkdir d; echo d > d/d; git add d; \
             git hash-object -w /dev/null",
        )
        .await;
    let objects = "find \"$(git rev-parse --git-common-dir)\" -type f ! -name '*.lock' | sort; \
        git status --porcelain; git ls-files -s";
    let before = world.run_in(&tree, objects).await;
    let found = difference(branch).await;
    assert_eq!(world.run_in(&tree, objects).await, before);
    let file = |path: &str, lines| diff::FileDifference {
        path: path.into(),
        lines,
        ..diff::FileDifference::default()
    };
    let expected = [
        file("a", Some((2, 0))),
        file("b", Some((0, 1))),
        file("bin", None),
        file("d/d", Some((1, 0))),
        file("new :(glob) file", Some((2, 0))),
    ];
    assert_eq!((&found.files[..], found.count), (&expected[..], 5));
    assert_eq!(found.base, clean.base);
    for part in ["+three\n+four\n", "deleted file", "Binary files", "+++ b/new :(glob) file", "+2"]
    {
        assert!(found.text.contains(part), "{part}: {}", found.text);
    }
    // Without a branch it is from the newest commit.
    let uncommitted = difference(None).await;
    assert_eq!(uncommitted.files[0], file("a", Some((1, 0))));
    // Of a branch that nobody knows any more, as well.
    assert_eq!(difference(Some("parhelia/none")).await, uncommitted);
}

#[tokio::test]
async fn a_clone_differs_from_where_it_began() {
    let world = World::committed().await;
    let plan = world.plan(false).await;
    world.git.clone_repo(&plan).await.unwrap();
    let tree = PathBuf::from(plan.dest.as_str());
    world
        .run_in(
            &tree,
            "git config user.name T; git config user.email t@t; echo three >> a; \
             git commit -qam three",
        )
        .await;
    let repo = world.git.inspect(&plan.dest).await.unwrap().unwrap();
    let found = world.git.difference(&repo, Some(&plan.branch), LIMIT).await.unwrap();
    assert_eq!((Some(found.base), found.count), (plan.repo.head, 1));
}
