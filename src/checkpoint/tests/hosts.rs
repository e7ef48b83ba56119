//! Hosts that are not like this one: a user who may not read everything, and tools that are not
//! GNU's.

use super::*;
use crate::shell::{Process, Pty, Shell, ShellError, Size};

/// This machine, where commands run behind others and find programs elsewhere first.
struct Behind {
    shell: Arc<LocalShell>,
    before: Vec<Vec<u8>>,
    path: Option<String>,
}

#[async_trait::async_trait]
impl Shell for Behind {
    fn host(&self) -> &str {
        self.shell.host()
    }

    async fn exec(&self, command: &Command) -> Result<Process, ShellError> {
        let mut command = command.clone();
        command.argv.splice(0..0, self.before.iter().cloned());
        if let Some(path) = &self.path {
            command = command.env("PATH", path);
        }
        self.shell.exec(&command).await
    }

    async fn open_pty(&self, command: &Command, size: Size) -> Result<Pty, ShellError> {
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

    fn program(&self) -> Option<HostPath> {
        self.shell.program()
    }
}

impl World {
    fn behind(&mut self, before: &[&str], path: Option<String>) {
        let before = before.iter().map(|it| it.as_bytes().to_vec()).collect();
        let shell = Arc::new(Behind { shell: self.shell.clone(), before, path });
        self.shadow = Shadow::new(shell, &super::path(&self.top.join("run dir")));
    }

    /// Has everything done by a user who may read only what is theirs, which all of it is.
    async fn as_nobody(&mut self) {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        if self.shell.program().is_some() {
            // Others may not start this program where it lies.
            self.behind(&["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"], None);
        } else {
            self.run_in(&self.top, "chmod 755 . && chown -R 65534:65534 .").await;
            let no = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];
            self.behind(&no, None);
        }
    }
}

#[tokio::test]
async fn what_the_user_may_not_read_is_left_out_by_name() {
    for (git, program) in [(false, false), (true, false), (false, true), (true, true)] {
        let world = if program { World::with_program() } else { World::new() };
        let mut world = if git { world.with_git().await } else { world };
        for name in ["fine", "locked", "closed/in", "open/deep/locked", "open/fine"] {
            world.write(name, name);
        }
        world.as_nobody().await;
        for name in ["locked", "closed", "open/deep/locked"] {
            world.mode(name, 0);
        }
        let saved = world.save().await;
        let left = world.left(&saved);
        let files = world.whole(&saved).await;
        for name in ["locked", "closed", "open/deep/locked"] {
            assert_eq!(left.get(name), Some(&Why::Unreadable), "{name}: {left:?}");
        }
        assert!(files.contains_key(&b"fine"[..]) && files.contains_key(&b"open/fine"[..]));
        // One that was saved before, and that git tracks.
        if git {
            world.mode("b", 0);
        }
        world.write("fine", "otherwise");
        world.mode("fine", 0);
        world.write("more", "more");
        let again = world.save_after(Some(&saved)).await;
        let left = world.left(&again);
        assert_eq!(left.get("fine"), Some(&Why::Unreadable), "{left:?}");
        assert!(world.whole(&again).await.contains_key(&b"more"[..]));
        let done = world.done_by_program();
        assert_eq!(program, done.contains("walk "), "{git}: {done}");
        assert!(!done.contains("no walk"), "{git}: {done}");
        world.mode("closed", 0o755);
    }
}

/// This machine, whose commands read no more than a few bytes: whoever writes the rest is killed.
struct Half(Arc<LocalShell>);

#[async_trait::async_trait]
impl Shell for Half {
    fn host(&self) -> &str {
        self.0.host()
    }

    async fn exec(&self, command: &Command) -> Result<Process, ShellError> {
        let mut command = command.clone();
        let begin = ["sh", "-c", "head -c 9 | \"$@\"", "sh"].map(|it| it.as_bytes().to_vec());
        command.argv.splice(0..0, begin);
        self.0.exec(&command).await
    }

    async fn open_pty(&self, command: &Command, size: Size) -> Result<Pty, ShellError> {
        self.0.open_pty(command, size).await
    }

    async fn put(&self, path: &HostPath, bytes: &[u8], mode: u32) -> Result<(), ShellError> {
        self.0.put(path, bytes, mode).await
    }

    async fn get(
        &self,
        path: &HostPath,
        offset: u64,
        max: usize,
    ) -> Result<Option<Vec<u8>>, ShellError> {
        self.0.get(path, offset, max).await
    }
}

#[tokio::test]
async fn a_plan_that_is_cut_off_makes_no_checkpoint() {
    let mut world = World::git().await;
    world.save().await;
    let before = world.shadow("for-each-ref").await;
    world.write("new", "new");
    let whole = world.shadow.clone();
    let run_dir = super::path(&world.top.join("run dir"));
    world.shadow = Shadow::new(Arc::new(Half(world.shell.clone())), &run_dir);
    let error = world.shadow.save(&world.order()).await.unwrap_err();
    assert!(error.to_string().contains("cut off"), "{error}");
    assert_eq!(world.shadow("for-each-ref").await, before);
    world.shadow = whole;
    let saved = world.save().await;
    assert!(world.whole(&saved).await.contains_key(&b"new"[..]));
}

/// Makes a directory with busybox under the names of all tools that it has; nothing where there is
/// no busybox.
async fn tools(world: &World) -> Option<String> {
    let script = "busybox=$(command -v busybox) || exit 0; mkdir tools; \
        for it in $(busybox --list); do ln -s \"$busybox\" \"tools/$it\"; done; \
        echo \"$PWD/tools:$PATH\"";
    let path = world.run_in(&world.top, script).await;
    if path.is_empty() {
        eprintln!("skipped: there is no busybox");
        return None;
    }
    Some(path)
}

#[tokio::test]
async fn tools_that_are_not_gnu_s_do_as_well() {
    for git in [false, true] {
        let mut world = if git { World::git().await } else { World::new() };
        let Some(path) = tools(&world).await else { return };
        world.behind(&[], Some(path));
        for name in ["a b", "line\nbreak", "-dash", "x/y/z", "program"] {
            world.write(name, name);
        }
        world.write(".env", "secret");
        world.mode("program", 0o755);
        world.mode("a b", 0o640);
        std::fs::create_dir_all(world.ws.join("empty/in it")).unwrap();
        world.run("ln -s nowhere link; mkfifo pipe").await;
        world.run("git init -q nest; echo n >nest/n; touch -d '2001-02-03 04:05:06' x/y/z").await;
        let saved = world.save().await;
        let all = tree(&world.ws, &[".git", ".env"]);
        same(&world.whole(&saved).await, &all);
        let left = world.left(&saved);
        assert_eq!(left.get("pipe"), Some(&Why::Special), "{left:?}");
        assert_eq!(left.get(".env"), Some(&Why::Secret), "{left:?}");
        let manifest = world.manifest(&saved, 0).await;
        assert_eq!(manifest.files.get(&b"a b"[..]), Some(&0o640), "{:?}", manifest.files);
        assert!(manifest.empty.contains(&b"empty/in it"[..]), "{:?}", manifest.empty);
        assert!(world.is_same(&saved).await);
        world.write("x/y/z", "other");
        std::fs::remove_file(world.ws.join("-dash")).unwrap();
        let next = world.save_after(Some(&saved)).await;
        assert_eq!((next.change.modified, next.change.deleted), (1, 1));
        // And back, in place and elsewhere.
        let to = super::path(&world.top.join("elsewhere"));
        let back = world.shadow.restore(None, &saved.commit, &to, LIMIT).await.unwrap();
        assert_eq!(back.missing, Vec::<String>::new());
        same(&tree(&world.top.join("elsewhere"), &[".git"]), &all);
        let to = super::path(&world.ws);
        let back = world.shadow.restore(Some(&next.commit), &saved.commit, &to, LIMIT).await;
        assert_eq!(back.unwrap().missing, Vec::<String>::new());
        same(&tree(&world.ws, &[".git", ".env"]), &all);
        world.shadow.tidy(LIMIT).await.unwrap();
        same(&world.whole(&saved).await, &all);
    }
}
