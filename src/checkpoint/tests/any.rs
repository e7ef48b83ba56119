//! Any tree at all, saved and read back.

use proptest::{collection, prelude::*};

use super::*;

/// Something in a directory.
#[derive(Clone, Debug)]
enum Thing {
    File(Vec<u8>, u32),
    Link(Vec<u8>),
    Dir,
    Repository,
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let odd = prop::sample::select(vec![
        &b".git~1"[..],
        b".gitattributes",
        b".GIT",
        b"-",
        b"a b",
        b"\n",
        b"\\",
        b"*",
        b"[a]",
        b"\xff",
        b"x.lock",
    ]);
    let byte = any::<u8>().prop_map(|it| if matches!(it, 0 | b'/') { b'a' } else { it });
    let any = collection::vec(byte, 1..5).prop_filter("taken", |it| !matches!(&**it, b"." | b".."));
    prop_oneof![3 => "[a-c]".prop_map(String::into_bytes), 1 => odd.prop_map(<[u8]>::to_vec), 2 => any]
}

fn thing() -> impl Strategy<Value = Thing> {
    let content = collection::vec(any::<u8>(), 0..64);
    let mode = prop::sample::select(vec![0o644, 0o755, 0o600, 0o640, 0o777, 0o4711]);
    prop_oneof![
        6 => (content, mode).prop_map(|(content, mode)| Thing::File(content, mode)),
        1 => name().prop_map(Thing::Link),
        1 => Just(Thing::Dir),
        1 => Just(Thing::Repository),
    ]
}

fn things() -> impl Strategy<Value = Vec<(Vec<Vec<u8>>, Thing)>> {
    collection::vec((collection::vec(name(), 1..4), thing()), 0..14)
}

/// Puts things where they can be put; what stands in the way of a later one goes.
fn make(ws: &Path, things: &[(Vec<Vec<u8>>, Thing)]) {
    for (names, thing) in things {
        let at = names.iter().fold(ws.to_owned(), |at, it| at.join(OsStr::from_bytes(it)));
        if at.symlink_metadata().is_ok() || std::fs::create_dir_all(at.parent().unwrap()).is_err() {
            continue;
        }
        // No link is followed out of the workspace.
        if !at.parent().unwrap().canonicalize().unwrap().starts_with(ws) {
            continue;
        }
        match thing {
            Thing::File(content, mode) => {
                std::fs::write(&at, content).unwrap();
                std::fs::set_permissions(&at, std::fs::Permissions::from_mode(*mode)).unwrap();
            }
            Thing::Link(to) => std::os::unix::fs::symlink(OsStr::from_bytes(to), &at).unwrap(),
            Thing::Dir => std::fs::create_dir(&at).unwrap(),
            Thing::Repository => {
                let git = at.join(".git");
                for dir in ["objects", "refs/heads"] {
                    std::fs::create_dir_all(git.join(dir)).unwrap();
                }
                std::fs::write(git.join("HEAD"), "ref: refs/heads/main\n").unwrap();
            }
        }
    }
}

/// Lets the index name every repository, and some of them be none any more.
async fn name_repositories(world: &World, things: &[(Vec<Vec<u8>>, Thing)]) {
    let repositories = things.iter().filter(|it| matches!(it.1, Thing::Repository));
    let paths: Vec<Vec<u8>> = repositories.map(|it| it.0.join(&b'/')).collect();
    let there = |it: &&Vec<u8>| world.ws.join(OsStr::from_bytes(it)).join(".git/HEAD").is_file();
    for (at, path) in paths.iter().filter(there).enumerate() {
        let line = [&b"160000 1111111111111111111111111111111111111111\t"[..], &path[..], b"\0"];
        std::fs::write(world.top.join("line"), line.concat()).unwrap();
        // Some names are none for git.
        world.run("git update-index -z --index-info <../line 2>/dev/null || :").await;
        if at % 2 == 0 {
            std::fs::remove_dir_all(world.ws.join(OsStr::from_bytes(path)).join(".git")).unwrap();
        }
    }
}

/// Returns few unless told otherwise: each case is some three hundred processes.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|it| it.parse().ok()).unwrap_or(3)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_is_saved_as_it_is(one in things(), two in things(), git: bool, program: bool) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = if program { World::with_program() } else { World::new() };
            if git {
                world.run("git init -q .").await;
            }
            make(&world.ws, &one);
            if git {
                name_repositories(&world, &one).await;
            }
            let first = world.save().await;
            check(&world, &first).await;
            let gone = std::fs::read_dir(&world.ws).unwrap().flatten().step_by(2);
            for entry in gone.filter(|it| it.file_name() != ".git") {
                if entry.file_type().unwrap().is_dir() {
                    std::fs::remove_dir_all(entry.path()).unwrap();
                } else {
                    std::fs::remove_file(entry.path()).unwrap();
                }
            }
            make(&world.ws, &two);
            if git {
                name_repositories(&world, &two).await;
            }
            let second = world.save_after(Some(&first)).await;
            check(&world, &second).await;
            assert!(world.is_same(&second).await);
            assert!(world.is_same(&second).await);
            // As by one who knows nothing of what was seen before.
            world.run_in(&world.top, "rm -f 'run dir/shadow.git/'state.*").await;
            assert!(world.is_same(&second).await);
            let done = world.done_by_program();
            assert!(done.contains("walk ") == program && !done.contains("no walk "), "{done}");
        });
    }
}

/// Compares with the workspace: files with their permissions, and directories.
async fn check(world: &World, made: &Made) {
    assert_eq!(world.left(made), BTreeMap::new());
    let skip: &[&str] = if made.meta.position.is_some() { &[".git"] } else { &[] };
    let mut there = tree(&world.ws, skip);
    // Locks of repositories are not taken.
    there
        .retain(|path, _| !(path.ends_with(b".lock") && path.windows(6).any(|it| it == b"/.git/")));
    let mut stored = world.whole(made).await;
    stored.retain(|_, it| it.0 != 0o160000);
    same(&stored, &there);
    let mut files = BTreeMap::new();
    let mut empty = BTreeSet::new();
    let roots = std::iter::once(&b""[..]).chain(made.meta.units.iter().map(|it| &*it.path));
    for (number, root) in roots.enumerate() {
        let manifest = world.manifest(made, number).await;
        let whole = |it: &Vec<u8>| match (root, &it[..]) {
            (b"", it) | (it, b"") => it.to_vec(),
            (root, it) => [root, b"/", it].concat(),
        };
        files.extend(manifest.files.iter().map(|it| (whole(it.0), *it.1)));
        empty.extend(manifest.empty.iter().map(whole));
    }
    for (path, (mode, _)) in &stored {
        let data = world.ws.join(OsStr::from_bytes(path)).symlink_metadata().unwrap();
        if data.is_file() {
            let usual = if *mode == 0o100755 { 0o755 } else { 0o644 };
            assert_eq!(files.get(path).copied().unwrap_or(usual), data.mode() & 0o7777);
        }
    }
    for dir in &empty {
        assert!(world.ws.join(OsStr::from_bytes(dir)).is_dir());
    }
    let mut dirs = vec![world.ws.clone()];
    while let Some(dir) = dirs.pop() {
        let below: Vec<_> = std::fs::read_dir(&dir).unwrap().flatten().collect();
        let name = dir.strip_prefix(&world.ws).unwrap().as_os_str().as_bytes();
        if below.is_empty() && !name.is_empty() && !name.starts_with(b".git/") {
            let is_unit = made.meta.units.iter().any(|it| it.path == name);
            assert!(is_unit || empty.contains(name), "{}", name.escape_ascii());
        }
        dirs.extend(
            below.into_iter().filter(|it| it.file_type().unwrap().is_dir()).map(|it| it.path()),
        );
    }
}
