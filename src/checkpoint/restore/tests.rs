use std::{
    collections::BTreeMap,
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
};

use super::*;
use crate::checkpoint::{
    manifest::{Base, Manifest},
    meta::{Position, UnitKind},
    repo::tests::{World, meta},
};

mod any;
mod shapes;

const WHOLE: Duration = Duration::from_secs(60);

/// Returns all that is there: mode, and what it holds or where it points.
fn tree(root: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).unwrap().flatten() {
            let at = entry.path();
            let facts = at.symlink_metadata().unwrap();
            let content = match facts.file_type() {
                it if it.is_dir() => {
                    dirs.push(at.clone());
                    Vec::new()
                }
                it if it.is_symlink() => {
                    std::fs::read_link(&at).unwrap().as_os_str().as_bytes().to_vec()
                }
                _ => std::fs::read(&at).unwrap(),
            };
            let mode = facts.permissions().mode();
            all.insert(at.strip_prefix(root).unwrap().to_owned(), (mode, content));
        }
    }
    all
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

fn host(path: &Path) -> HostPath {
    HostPath::new(path.to_str().unwrap()).unwrap()
}

impl World {
    fn shadow(&self) -> Shadow {
        Shadow { repo: self.repo.clone() }
    }

    fn manifest(&self, unit: usize, fill: impl FnOnce(&mut Manifest)) {
        let mut manifest = Manifest::new(Base::of_umask(0o022));
        fill(&mut manifest);
        self.write(&format!("m/{unit}"), manifest.write());
    }

    async fn fresh(&self, commit: &str, name: &str) -> Result<Restored, CheckpointError> {
        self.shadow().restore(None, commit, &host(&self.path(name)), WHOLE).await
    }

    async fn over(
        &self,
        from: &str,
        commit: &str,
        name: &str,
    ) -> Result<Restored, CheckpointError> {
        self.shadow().restore(Some(from), commit, &host(&self.path(name)), WHOLE).await
    }

    /// Two checkpoints that differ by about everything that can.
    async fn two(&self) -> (String, String) {
        self.write("w/same", "same");
        self.write("w/text", "old\r\n");
        self.write("w/gone/a", "a");
        self.write("w/was-file", "f");
        self.write("w/was-dir/in", "d");
        self.write("w/.gitattributes", "* text=auto eol=crlf ident working-tree-encoding=UTF-16\n");
        self.write("w/ident", "$Id$\n");
        symlink("text", self.path("top/w/link")).unwrap();
        self.manifest(0, |it| {
            it.files.insert(b"text".to_vec(), 0o640);
            it.dirs.insert(b"gone".to_vec(), 0o500);
            it.dirs.insert(b"".to_vec(), 0o750);
            it.empty.insert(b"void/deep".to_vec());
        });
        self.write("t/0", "0:0\n1000000000:5\n1000000001:5\n");
        self.write("u/1/inner", "i");
        self.write("u/2/HEAD", "ref: refs/heads/main\n");
        self.write("u/2/objects/x", "x");
        self.manifest(1, |_| ());
        self.manifest(2, |it| _ = it.empty.insert(b"refs/heads".to_vec()));
        let units = [("nest", UnitKind::Work), ("nest/.git", UnitKind::Git)];
        let one = self.commit(&meta(&units)).await;
        self.sh("cd top/w; rm -r gone was-file was-dir link; rm -r ../u ../m ../t").await;
        self.write("w/text", "new\n");
        self.write("w/was-file/in", "f");
        self.write("w/was-dir", "d");
        self.write("w/nest", "now a file");
        self.write("w/link", "now a file");
        self.manifest(0, |it| {
            it.files.insert(b"same".to_vec(), 0o4711);
            it.empty.insert(b"gone".to_vec());
        });
        (one, self.commit(&meta(&[])).await)
    }
}

#[tokio::test]
async fn a_checkpoint_is_written_out_with_all_that_git_does_not_keep() {
    let world = World::new().await;
    let (one, two) = world.two().await;
    let restored = world.fresh(&one, "deep/er/a").await.unwrap();
    assert_eq!(restored.missing, Vec::<String>::new());
    let a = tree(&world.path("deep/er/a"));
    let file = |name: &str| a[Path::new(name)].clone();
    assert_eq!(file("text"), (0o100_640, b"old\r\n".to_vec()));
    assert_eq!(file("ident"), (0o100_644, b"$Id$\n".to_vec()));
    assert_eq!(file("gone").0, 0o040_500);
    assert_eq!(file("link").1, b"text");
    assert_eq!(file("void/deep").0, 0o040_755);
    assert_eq!(file("nest/.git/HEAD").1, b"ref: refs/heads/main\n");
    assert_eq!(file("nest/.git/refs/heads").0, 0o040_755);
    assert_eq!(file("nest/inner").1, b"i");
    let mode = |it: &str| world.path(it).metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("deep/er/a"), mode("deep/er"), mode("deep")), (0o750, 0o700, 0o700));
    let time = world.path("deep/er/a/gone/a").metadata().unwrap().modified().unwrap();
    let since = time.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(since.as_secs(), 1_000_000_000);

    world.fresh(&two, "b").await.unwrap();
    let b = tree(&world.path("b"));
    assert_eq!(b[Path::new("same")].0, 0o104_711);
    // From either to the other and back, in place.
    let restored = world.over(&two, &one, "b").await.unwrap();
    assert_eq!(restored.missing, Vec::<String>::new());
    assert_eq!(tree(&world.path("b")), a);
    let restored = world.over(&one, &two, "b").await.unwrap();
    assert_eq!(restored.missing, Vec::<String>::new());
    assert_eq!(tree(&world.path("b")), b);
    // And doing it again does nothing.
    assert_eq!(world.over(&one, &two, "b").await.unwrap().changes, Changes::default());
    assert_eq!(tree(&world.path("b")), b);
}

#[tokio::test]
async fn what_is_in_no_checkpoint_is_never_touched() {
    let world = World::new().await;
    let (one, two) = world.two().await;
    let cases = [
        // Where it stands and what is expected to be named.
        ("echo changed >> text", "text"),
        ("rm text; mkdir text; echo x > text/x", "text"),
        ("echo x > link", "link"),
        ("echo mine > gone/a", "gone/a"),
        ("rm -rf gone; echo mine > gone", "gone"),
        ("echo mine > was-file/mine", "was-file/mine"),
        ("echo more >> nest", "nest"),
        ("rm nest; mkdir nest; echo mine > nest/inner", "inner"),
        ("rm nest; ln -s /etc nest", "nest"),
    ];
    for (at, (script, named)) in cases.into_iter().enumerate() {
        let name = format!("c{at}");
        world.fresh(&two, &name).await.unwrap();
        world.sh(&format!("cd {name}; {script}")).await;
        let before = tree(&world.path(&name));
        let found = world.shadow().changes(Some(&two), &one, &host(&world.path(&name))).await;
        let found = found.unwrap().in_the_way;
        let error = world.over(&two, &one, &name).await.unwrap_err();
        assert!(matches!(error, CheckpointError::InTheWay { .. }), "{script}: {error}");
        assert!(error.to_string().contains(named), "{script}: {error}");
        let names = |it: &Vec<u8>| String::from_utf8_lossy(it).contains(named);
        assert!(found.iter().any(names), "{script}: {found:?}");
        assert_eq!(tree(&world.path(&name)), before, "{script}");
    }
    // A directory that holds something is no place to begin in.
    world.sh("mkdir full; echo x > full/x").await;
    let error = world.fresh(&one, "full").await.unwrap_err();
    assert!(matches!(error, CheckpointError::InTheWay { .. }), "{error}");
    // A repository that is not wanted, and in which something is that nobody knows.
    world.fresh(&one, "nested").await.unwrap();
    world.sh("echo mine > nested/nest/mine").await;
    let error = world.over(&one, &two, "nested").await.unwrap_err();
    assert!(error.to_string().contains("nest"), "{error}");
    assert!(world.path("nested/nest/inner").exists());
}

#[tokio::test]
async fn a_repository_and_a_plain_directory_trade_places() {
    let world = World::new().await;
    world.write("w/a", "a");
    let units =
        ["n", "n/.git", "n/in", "n/in/.git"].into_iter().enumerate().map(|(number, path)| {
            let number = number + 1;
            let kind = if path.ends_with(".git") { UnitKind::Git } else { UnitKind::Work };
            if kind == UnitKind::Git {
                world.write(&format!("u/{number}/HEAD"), "ref: refs/heads/main\n");
                world.write(&format!("u/{number}/objects/x"), "x");
            } else {
                world.write(&format!("u/{number}/same"), "same");
                world.write(&format!("u/{number}/sub/x"), path);
                world.write(&format!("u/{number}/was-file"), path);
            }
            let heads = |it: &mut Manifest| _ = it.empty.insert(b"refs/heads".to_vec());
            world.manifest(number, |it| {
                if kind == UnitKind::Git {
                    heads(it)
                }
            });
            (path, kind)
        });
    let units: Vec<_> = units.collect();
    let one = world.commit(&meta(&units)).await;
    world.sh("rm -r top/u top/m").await;
    for dir in ["n", "n/in"] {
        world.write(&format!("w/{dir}/same"), "same");
        world.write(&format!("w/{dir}/sub"), "now a file");
        world.write(&format!("w/{dir}/was-file/x"), "now a directory");
    }
    let two = world.commit(&meta(&[])).await;
    world.fresh(&one, "a").await.unwrap();
    world.fresh(&two, "b").await.unwrap();
    let (a, b) = (tree(&world.path("a")), tree(&world.path("b")));
    for _ in 0..2 {
        world.over(&one, &two, "a").await.unwrap();
        assert_eq!(tree(&world.path("a")), b);
        world.over(&two, &one, "a").await.unwrap();
        assert_eq!(tree(&world.path("a")), a);
    }
    // What nobody knows is in the way all the same, wherever it is.
    for mine in ["n/was-file/mine", "n/in/was-file/mine"] {
        std::fs::write(world.path("b").join(mine), "mine").unwrap();
        let error = world.over(&two, &one, "b").await.unwrap_err();
        assert!(error.to_string().contains(mine), "{mine}: {error}");
        std::fs::remove_file(world.path("b").join(mine)).unwrap();
    }
    // Where it is in nobody's way it stays, and so does its directory.
    std::fs::write(world.path("a/n/in/mine"), "mine").unwrap();
    world.over(&one, &two, "a").await.unwrap();
    assert_eq!(std::fs::read(world.path("a/n/in/mine")).unwrap(), b"mine");
    std::fs::remove_file(world.path("a/n/in/mine")).unwrap();
    assert_eq!(tree(&world.path("a")), b);
}

#[tokio::test]
async fn what_is_not_in_the_way_stays() {
    let world = World::new().await;
    let (one, two) = world.two().await;
    world.fresh(&two, "a").await.unwrap();
    world
        .sh("cd a; mkdir mine; echo mine > mine/x; echo same > same; echo m > was-file.mine")
        .await;
    world.sh("cd a; chmod 600 same; rm text").await;
    world.over(&two, &one, "a").await.unwrap();
    let a = tree(&world.path("a"));
    assert_eq!(a[Path::new("mine/x")].1, b"mine\n");
    assert_eq!(a[Path::new("was-file.mine")].1, b"m\n");
    assert_eq!(a[Path::new("same")].1, b"same\n");
    assert_eq!(a[Path::new("text")].1, b"old\r\n");
}

#[tokio::test]
async fn an_attempt_that_was_cut_short_is_completed_by_another() {
    let world = World::new().await;
    let (one, two) = world.two().await;
    world.fresh(&one, "goal").await.unwrap();
    let goal = tree(&world.path("goal"));
    for (from, start) in [(Some(two.as_str()), "a"), (None, "b")] {
        let at = host(&world.path(start));
        if from.is_some() {
            world.fresh(&two, start).await.unwrap();
        }
        // As if killed while `text` was written and much was done already.
        let note = super::note(from, &one, &at);
        std::fs::write(world.path("run/shadow.git/restoring"), note).unwrap();
        std::fs::write(world.path("run/shadow.git/restore-0.lock"), "").unwrap();
        let script = "mkdir -p HERE; cd HERE; rm -rf nest was-file was-dir link; \
            mkdir was-dir; printf d > was-dir/in; printf ol > text; ln -s text link; \
            mkdir -p nest/.git; printf ref > nest/.git/HEAD";
        world.sh(&script.replace("HERE", start)).await;
        let restored = world.shadow().restore(from, &one, &at, WHOLE).await.unwrap();
        assert_eq!(restored.missing, Vec::<String>::new());
        assert_eq!(tree(&world.path(start)), goal, "{from:?}");
        assert!(!world.path("run/shadow.git/restoring").exists());
    }
    // Without the note it is no half-written file but someone's.
    world.fresh(&two, "c").await.unwrap();
    world.sh("cd c; printf ol > text").await;
    assert!(world.over(&two, &one, "c").await.is_err());
}

#[tokio::test]
async fn a_hostile_checkpoint_reaches_nothing_outside() {
    let world = World::new().await;
    world.sh("mkdir outside; echo o > outside/o; chmod 700 outside").await;
    let outside = tree(&world.path("outside"));
    // Places that lead out.
    world.write("w/a", "a");
    world.write("u/1/o", "evil");
    for path in ["../outside", "/outside", "a/../../outside", ".git", "x/.git/hooks"] {
        let commit = world.commit(&meta(&[(path, UnitKind::Work)])).await;
        let restored = world.fresh(&commit, "to").await.unwrap();
        assert!(restored.missing[0].contains("no place for a repository"), "{restored:?}");
        let names: Vec<_> = tree(&world.path("to")).into_keys().collect();
        assert_eq!(names, [Path::new("a")], "{path}");
        world.sh("rm -r to").await;
    }
    // A repository behind a link, and permissions behind one.
    symlink("../outside", world.path("top/w/way")).unwrap();
    world.manifest(0, |it| {
        it.files.insert(b"way/o".to_vec(), 0o777);
        it.dirs.insert(b"way".to_vec(), 0o777);
        it.empty.insert(b"way/new".to_vec());
    });
    let commit = world.commit(&meta(&[("way/in", UnitKind::Work)])).await;
    let restored = world.fresh(&commit, "to").await;
    assert!(restored.is_err(), "{restored:?}");
    let commit = world.commit(&meta(&[])).await;
    let restored = world.fresh(&commit, "to2").await.unwrap();
    assert!(!restored.missing.is_empty());
    // Names that git would not make.
    for name in ["..", ".git", ".GIT", "."] {
        let script = "export GIT_DIR=run/shadow.git; \
            blob=$(echo evil | git hash-object -w --stdin); \
            evil=$(printf '100644 blob %s\\to\\0' $blob | git mktree -z); \
            w=$(printf '040000 tree %s\\tNAME\\0' $evil | git mktree -z); \
            meta=$(git hash-object -w top/meta.json); \
            top=$(printf '100644 blob %s\\tmeta.json\\n040000 tree %s\\tw\\n' $meta $w | git mktree); \
            git commit-tree -m c $top";
        let commit = world.sh(&script.replace("NAME", name)).await;
        let restored = world.fresh(&commit, "outside/../to3/in").await;
        assert!(restored.is_err(), "{name}: {restored:?}");
    }
    assert!(!world.path("to3/o").exists() && !world.path("to3/.git").exists());
    assert_eq!(tree(&world.path("outside")), outside);
    let mode = world.path("outside").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn what_is_damaged_is_named_and_the_rest_is_there() {
    let world = World::new().await;
    world.write("w/a", "a");
    world.write("w/lost", "lost");
    world.write("w/z", "z");
    let commit = world.commit(&meta(&[])).await;
    let git = "git --git-dir=run/shadow.git";
    let id = world.sh(&format!("{git} rev-parse {commit}:w/lost")).await;
    world.sh(&format!("rm -f run/shadow.git/objects/{}/{}", &id[..2], &id[2..])).await;
    let restored = world.fresh(&commit, "to").await.unwrap();
    assert_eq!(restored.missing, ["lost: the checkpoint's copy is damaged"]);
    let names: Vec<_> = tree(&world.path("to")).into_keys().collect();
    assert_eq!(names, [Path::new("a"), Path::new("z")]);
}

#[tokio::test]
async fn what_is_beside_is_put_where_it_is_wanted() {
    let world = World::new().await;
    world.write("w/a", "");
    world.write("beside/conversation/x.jsonl", "one");
    world.write("beside/conversation/x/deep/y", "two");
    let commit = world.commit(&meta(&[])).await;
    let shadow = world.shadow();
    let to = host(&world.path("home/.claude/x.jsonl"));
    assert_eq!(shadow.put_beside(&commit, "conversation/x.jsonl", &to).await.unwrap(), 1);
    assert_eq!(std::fs::read(to.as_str()).unwrap(), b"one");
    let to = host(&world.path("home/all"));
    world.sh("mkdir -p home/all; echo longer > home/all/x.jsonl").await;
    assert_eq!(shadow.put_beside(&commit, "conversation", &to).await.unwrap(), 2);
    let names: Vec<_> = tree(&world.path("home/all")).into_keys().collect();
    assert_eq!(names, ["x", "x/deep", "x/deep/y", "x.jsonl"].map(PathBuf::from));
    assert_eq!(std::fs::read(world.path("home/all/x.jsonl")).unwrap(), b"one");
    assert_eq!(shadow.put_beside(&commit, "nothing", &to).await.unwrap(), 0);
    chmod(&world.path("home/all"), 0o755);
}

#[tokio::test]
async fn what_is_called_git_and_is_no_repository_comes_back_too() {
    let world = World::new().await;
    world.write("w/a", "a");
    world.write("u/1/f", "top");
    world.write("u/2/HEAD", "ref");
    world.write("u/3/z", "deep");
    let units = [".git", "n/.git", "n/.git/sub/.git"].map(|it| (it, UnitKind::Git));
    let one = world.commit(&meta(&units)).await;
    let restored = world.fresh(&one, "to").await.unwrap();
    assert_eq!(restored.missing, Vec::<String>::new());
    let names = tree(&world.path("to")).into_iter().filter(|it| it.1.0 & 0o100_000 != 0);
    let names: Vec<_> = names.map(|it| it.0).collect();
    let files = [".git/f", "a", "n/.git/HEAD", "n/.git/sub/.git/z"].map(PathBuf::from);
    assert_eq!(names, files);
    world.sh("rm -r top/u").await;
    let two = world.commit(&meta(&[])).await;
    world.over(&one, &two, "to").await.unwrap();
    let names: Vec<_> = tree(&world.path("to")).into_keys().collect();
    assert_eq!(names, [Path::new("a")]);
    // A repository that was made since is left alone.
    let mut with = meta(&[]);
    with.position = Some(Position { inside: true, ..Position::default() });
    let three = world.commit(&with).await;
    world.sh("git init -q to").await;
    let before = tree(&world.path("to/.git"));
    let restored = world.over(&three, &one, "to").await.unwrap();
    assert_eq!(restored.missing, [".git: there is a repository now, which is left as it is"]);
    assert_eq!(tree(&world.path("to/.git")), before);
    assert!(world.path("to/n/.git/sub/.git/z").exists());
}
