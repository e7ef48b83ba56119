//! A workspace of a user's repository, its shadow, and the vault.

use std::path::{Path, PathBuf};

use super::*;
use crate::shell::{ShellError, local::LocalShell};

pub const LIMIT: Duration = Duration::from_secs(60);

/// Makes a checkpoint of `ws` by git's plumbing: `$1` is its id, the rest its parents.
const SAVE: &str = "GIT_AUTHOR_NAME=p GIT_AUTHOR_EMAIL=p GIT_COMMITTER_NAME=p GIT_COMMITTER_EMAIL=p
    export GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL
    [ -e run/shadow.git ] || { git init -q --bare run/shadow.git
        [ ! -e user.git ] || echo \"$PWD/user.git/objects\" >run/shadow.git/objects/info/alternates; }
    id=$1; shift
    GIT_DIR=$PWD/run/shadow.git; export GIT_DIR
    GIT_WORK_TREE=ws git add -A -f
    w=$(git write-tree); meta=$(echo $id | git hash-object -w --stdin)
    tree=$(printf '100644 blob %s\\tmeta.json\\n040000 tree %s\\tw\\n' $meta $w | git mktree)
    commit=$(for it; do printf -- '-p\\n%s\\n' $it; done | xargs git commit-tree -m $id $tree)
    git update-ref refs/checkpoints/$id $commit
    echo $commit";

/// Says what is wrong with the checkpoint `$2` in the repository `$1`, whose workspace was `$3`.
const CHECK: &str = "commit=$2
    git --git-dir=\"$1\" fsck --no-dangling --no-progress $commit 2>&1 | sed '/^notice:/d'
    git --git-dir=\"$1\" rev-list --objects $commit >/dev/null
    mkdir out && git --git-dir=\"$1\" archive $commit:w | tar -x -C out
    (cd \"$3\" && find . -type d -empty) | (cd out && xargs -r mkdir -p)
    diff -r --no-dereference --exclude=.git out \"$3\"; rm -rf out";

pub struct World {
    /// The directory that holds all of it.
    pub root: PathBuf,
    /// What removes it.
    pub _dir: Option<tempfile::TempDir>,
    pub shell: Arc<LocalShell>,
    pub vault: Vault,
    pub shadow: Shadow,
    pub task: TaskId,
}

/// A checkpoint in the shadow.
#[derive(Clone)]
pub struct Saved {
    pub id: CheckpointId,
    pub commit: String,
}

impl World {
    /// A workspace with some files, whose repository has a history, packed and loose.
    pub async fn new() -> World {
        World::among("").await
    }

    /// As [`World::new`], in directories below `name`.
    pub async fn among(name: &str) -> World {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap().join(name);
        std::fs::create_dir_all(&root).unwrap();
        World { _dir: Some(dir), ..World::within(&root).await }
    }

    /// As [`World::new`], in this directory.
    pub async fn within(root: &Path) -> World {
        let world = World::again(root, TaskId::random());
        world
            .run(
                "mkdir ws run; git init -q --bare user.git; export GIT_DIR=$PWD/user.git; cd ws
                 for i in 1 2 3 4 5 6 7 8; do echo file $i >$i; seq $i 3000 >seq$i; done
                 mkdir -p d/e; echo x >d/e/x; ln -s nowhere d/link
                 c='git --work-tree=. -c user.name=u -c user.email=u'
                 $c add -A; $c commit -qm one; $c repack -qad
                 echo more >>1; $c add -A; $c commit -qm two",
            )
            .await;
        world
    }

    /// What was made in this directory before.
    pub fn again(root: &Path, task: TaskId) -> World {
        let shell = Arc::new(LocalShell::new());
        let path = |it: &str| HostPath::new(root.join(it).to_str().unwrap()).unwrap();
        let (vault, run) = (path("vault.git"), path("run"));
        World {
            vault: Vault::new(shell.clone(), vault),
            shadow: Shadow::new(shell.clone(), &run),
            task,
            _dir: None,
            root: root.to_owned(),
            shell,
        }
    }

    pub fn path(&self, name: &str) -> HostPath {
        HostPath::new(self.root.join(name).to_str().unwrap()).unwrap()
    }

    /// Returns the vault as one whose commands find programs in `dir` first.
    pub fn vault_with_path(&self, dir: &str) -> Vault {
        let path = format!("{}:{}", self.path(dir), std::env::var("PATH").unwrap());
        let shell = Arc::new(Elsewhere { shell: LocalShell::new(), path });
        Vault::new(shell, self.vault.repo.dir.clone())
    }

    /// Runs a script in the directory that holds all of it.
    pub async fn run(&self, script: &str) -> String {
        self.run_with(script, &[]).await
    }

    pub async fn run_with(&self, script: &str, args: &[&str]) -> String {
        let output = self.try_with(script, args).await;
        assert_eq!(output.code, 0, "{script}: {}", output.complaint());
        output.text()
    }

    /// Runs a script in no directory of this.
    pub async fn try_from_outside(&self, script: &str, args: &[&str]) -> Output {
        let script = format!("{script}\n");
        let mut command = Command::new(["sh", "-c", "set -- $(cat); eval \"$0\"", &script]);
        command.stdin = args.join(" ").into_bytes();
        run(&*self.shell, &command.cwd(HostPath::new("/").unwrap()), LIMIT).await.unwrap()
    }

    pub async fn try_with(&self, script: &str, args: &[&str]) -> Output {
        let mut command = Command::new(["sh", "-ec", script, "sh"]).cwd(self.path(""));
        command.argv.extend(args.iter().map(|it| it.as_bytes().to_vec()));
        run(&*self.shell, &command, LIMIT).await.unwrap()
    }

    /// Changes a file of the workspace.
    pub async fn edit(&self, text: &str) -> String {
        self.run_with("echo \"$1\" >ws/edited", &[text]).await
    }

    /// Makes a checkpoint whose parent is the user's commit.
    pub async fn save(&self, _why: &str) -> Saved {
        self.save_after(None).await
    }

    /// Makes a checkpoint whose parents are another checkpoint, if any, and the user's commit.
    pub async fn save_after(&self, previous: Option<&Saved>) -> Saved {
        let id = CheckpointId::random();
        let head = self.run("git --git-dir=user.git rev-parse -q --verify HEAD || true").await;
        let mut args = vec![id.as_str()];
        args.extend(previous.map(|it| it.commit.as_str()));
        args.extend((!head.is_empty()).then_some(head.as_str()));
        let commit = self.run_with(SAVE, &args).await;
        // What the workspace was, for comparison.
        self.run_with("mkdir -p was && cp -a ws was/$1", &[id.as_str()]).await;
        Saved { id, commit }
    }

    pub async fn receive(&self, it: &Saved, near: bool) -> Result<u64, CheckpointError> {
        self.vault.receive(&self.shadow, &self.task, &it.id, &it.commit, near, LIMIT).await
    }

    /// Returns what the list says of a checkpoint.
    pub fn row(&self, it: &Saved) -> (String, String, String) {
        (self.task.to_string(), it.id.to_string(), it.commit.clone())
    }

    /// Removes the shadow and the user's repository.
    pub fn remove_shadow(&self) {
        std::fs::remove_dir_all(self.root.join("run/shadow.git")).unwrap();
        std::fs::remove_dir_all(self.root.join("user.git")).unwrap();
    }

    /// Finds these checkpoints whole in the vault.
    pub async fn check(&self, all: &[&Saved]) {
        let list = self.vault.list().await.unwrap();
        for it in all {
            assert!(list.contains(&self.row(it)), "{} is not there", it.id);
            self.check_in(self.vault.repo.dir.as_str(), it).await;
        }
    }

    /// Finds a checkpoint whole in a repository.
    pub async fn check_in(&self, repo: &str, it: &Saved) {
        self.check_against(repo, it, &format!("was/{}", it.id)).await;
    }

    /// Finds a checkpoint whole in a repository, whose workspace was `was`.
    pub async fn check_against(&self, repo: &str, it: &Saved, was: &str) {
        let found = self.try_with(CHECK, &[repo, &it.commit, was]).await;
        let said = [found.text(), found.complaint()].join("\n");
        assert_eq!((found.code, said.trim()), (0, ""), "{} in {repo}", it.id);
    }
}

/// This machine with another search path.
struct Elsewhere {
    shell: LocalShell,
    path: String,
}

#[async_trait::async_trait]
impl Shell for Elsewhere {
    fn host(&self) -> &str {
        self.shell.host()
    }

    async fn exec(&self, command: &Command) -> Result<crate::shell::Process, ShellError> {
        self.shell.exec(&command.clone().env("PATH", &self.path)).await
    }

    async fn open_pty(
        &self,
        command: &Command,
        size: crate::shell::Size,
    ) -> Result<crate::shell::Pty, ShellError> {
        self.shell.open_pty(command, size).await
    }

    async fn put(&self, path: &HostPath, bytes: &[u8], mode: u32) -> Result<(), ShellError> {
        self.shell.put(path, bytes, mode).await
    }

    async fn get(
        &self,
        path: &HostPath,
        offset: u64,
        max: usize,
    ) -> Result<Option<Vec<u8>>, ShellError> {
        self.shell.get(path, offset, max).await
    }
}
