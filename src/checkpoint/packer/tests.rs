//! What it makes, as git sees it.

use std::{
    collections::BTreeMap,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
    process::Command,
};

use proptest::prelude::*;

use super::*;

/// A repository, a work tree and a directory for what is said.
struct World {
    _root: tempfile::TempDir,
    tree: PathBuf,
    repo: PathBuf,
    said: PathBuf,
}

impl World {
    fn new() -> World {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let world = World { tree: at("tree"), repo: at("repo"), said: at("said"), _root: root };
        for dir in [&world.tree, &world.said] {
            std::fs::create_dir(dir).unwrap();
        }
        let repo = world.repo.to_str().unwrap();
        world.git(&["init", "-q", "--bare", repo], b"");
        world
    }

    #[expect(clippy::disallowed_methods, reason = "git on this machine is what it is held against")]
    fn git(&self, args: &[&str], input: &[u8]) -> Vec<u8> {
        let mut command = Command::new("git");
        let vars: Vec<_> = std::env::vars_os().map(|it| it.0).collect();
        for name in vars.iter().filter(|it| it.as_bytes().starts_with(b"GIT_")) {
            command.env_remove(name);
        }
        if args[0] != "init" {
            command.env("GIT_DIR", &self.repo).env("GIT_WORK_TREE", &self.tree);
            command.env("GIT_INDEX_FILE", self.index());
        }
        let child = command
            .args(["-c", "core.autocrlf=false", "-c", "index.version=2"])
            .args(args)
            .current_dir(&self.tree)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn();
        let mut child = child.unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "git {args:?}");
        output.stdout
    }

    fn index(&self) -> PathBuf {
        self.said.join("index")
    }

    fn objects(&self) -> PathBuf {
        self.repo.join("objects")
    }

    fn write(&self, name: &str, bytes: &[u8], mode: u32) {
        let path = self.tree.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Takes these files in as the script does, without git reading any.
    fn take(&self, names: &[&[u8]]) -> io::Result<()> {
        let list = self.said.join("add");
        std::fs::write(
            &list,
            names.iter().flat_map(|it| [it, &b"\0"[..]].concat()).collect::<Vec<_>>(),
        )?;
        files(&self.tree, &self.objects(), &list, &self.said)?;
        let entries = std::fs::read(self.said.join("entries"))?;
        self.git(&["update-index", "-z", "--add", "--replace", "--index-info"], &entries);
        if self.index().exists() {
            trees(&self.objects(), &self.index(), &self.said)?;
        }
        Ok(())
    }

    /// Finds the lists of the index as git gives them.
    fn check_lists(&self) {
        let out = |name: &str| self.said.join(name);
        let read = |name: &str| std::fs::read_to_string(out(name)).unwrap();
        times(&self.index(), &out("sums"), &out("times")).unwrap();
        let debug = self.git(&["ls-files", "--debug", "-z"], b"");
        let debug = String::from_utf8(debug).unwrap();
        let of = |word: &str| -> Vec<String> {
            let values = debug.split(['\n', '\0']).filter_map(|it| it.trim().strip_prefix(word));
            values.map(|it| it.split('\t').next().unwrap().to_owned()).collect()
        };
        assert_eq!(read("times").lines().collect::<Vec<_>>(), of("mtime: "));
        let sizes: Vec<u64> = of("size: ").iter().map(|it| it.parse().unwrap()).collect();
        assert_eq!(read("sums"), format!("{} {}\n", sizes.len(), sizes.iter().sum::<u64>()));
        objects(&self.index(), &out("objects")).unwrap();
        let said = String::from_utf8(self.git(&["ls-files", "-s", "-z"], b"")).unwrap();
        let said = said.split_terminator('\0').filter_map(|it| it.split(' ').nth(1));
        assert_eq!(read("objects").lines().collect::<Vec<_>>(), said.collect::<Vec<_>>());
        let form = "--batch-check=%(objectsize)";
        let sizes = self.git(&["cat-file", form], read("objects").as_bytes());
        std::fs::write(out("sizes"), sizes).unwrap();
        differing(&self.index(), &out("sizes"), &out("differing")).unwrap();
        assert_eq!(read("differing"), "", "the objects are the files");
    }

    /// Returns the tree of the index.
    fn tree_of(&self) -> String {
        String::from_utf8(self.git(&["write-tree"], b"")).unwrap().trim().to_owned()
    }

    fn packs(&self) -> Vec<PathBuf> {
        let all = self.objects().join("pack").read_dir().unwrap().map(|it| it.unwrap().path());
        all.filter(|it| it.extension().is_some_and(|it| it == "idx")).collect()
    }

    /// Finds everything whole, and nothing left lying.
    fn check(&self) {
        for pack in self.packs() {
            self.git(&["verify-pack", pack.to_str().unwrap()], b"");
            self.git(
                &["index-pack", "--verify", pack.with_extension("pack").to_str().unwrap()],
                b"",
            );
        }
        self.git(&["fsck", "--strict", "--no-dangling"], b"");
        let loose =
            self.objects().join("pack").read_dir().unwrap().map(|it| it.unwrap().file_name());
        assert!(loose.filter(|it| it.as_bytes().starts_with(b"tmp_")).count() == 0);
    }
}

#[test]
fn files_are_taken_as_git_takes_them() {
    let world = World::new();
    world.write("a", b"", 0o644);
    world.write("b/c", b"one\r\n", 0o755);
    world.write("b/d", &[7; 300_000], 0o600);
    world.write("b.x", b"between the names of a directory and of what is in it", 0o644);
    world.write("deep/er/and/deeper", b"one\r\n", 0o644);
    symlink("nowhere", world.tree.join("link")).unwrap();
    let names: [&[u8]; 6] = [b"a", b"b.x", b"b/c", b"b/d", b"deep/er/and/deeper", b"link"];
    world.take(&names).unwrap();
    // Git finds nothing to do, and reads nothing to see that.
    assert_eq!(world.git(&["diff-files", "--raw"], b""), b"");
    let loose = world.git(&["count-objects"], b"");
    assert!(loose.starts_with(b"0 objects"), "{}", String::from_utf8_lossy(&loose));
    let ours = world.tree_of();
    let loose = world.git(&["count-objects"], b"");
    assert!(loose.starts_with(b"0 objects"), "the trees are there as well");
    world.check();
    std::fs::remove_file(world.index()).unwrap();
    world.git(&["add", "-A"], b"");
    assert_eq!(world.tree_of(), ours);
}

#[test]
fn what_is_there_is_not_packed_again() {
    let world = World::new();
    for n in 0..300 {
        world.write(&format!("f{n}"), format!("{}", n % 3).as_bytes(), 0o644);
    }
    let names: Vec<String> = (0..300).map(|n| format!("f{n}")).collect();
    let names: Vec<&[u8]> = names.iter().map(|it| it.as_bytes()).collect();
    world.take(&names).unwrap();
    world.check();
    let count = |it: &Path| {
        world.git(&["show-index"], &std::fs::read(it).unwrap()).split(|it| *it == b'\n').count() - 1
    };
    assert_eq!(
        world.packs().iter().map(|it| count(it)).sum::<usize>(),
        4,
        "three files and a tree"
    );
    let before = world.packs().len();
    world.take(&names).unwrap();
    assert_eq!(world.packs().len(), before);
    // What is lent counts as there, in packs and outside.
    let other = World::new();
    for n in 0..3 {
        other.write(&format!("f{n}"), format!("{n}").as_bytes(), 0o644);
    }
    other.write("more", b"more", 0o644);
    world.git(&["hash-object", "-w", "--stdin"], b"more");
    let lender = world.objects().into_os_string().into_encoded_bytes();
    std::fs::write(other.objects().join("info/alternates"), [&lender[..], b"\n"].concat()).unwrap();
    other.take(&[b"f0", b"f1", b"f2", b"more"]).unwrap();
    assert_eq!(other.packs().iter().map(|it| count(it)).sum::<usize>(), 1, "a tree");
    other.check();
}

#[test]
fn files_of_another_size_than_their_object_are_named() {
    let world = World::new();
    for name in ["a", "b\n", "c"] {
        world.write(name, b"four", 0o644);
    }
    world.take(&[b"a", b"b\n", b"c"]).unwrap();
    world.git(&["update-index", "--add", "--cacheinfo", "160000", &"1".repeat(40), "d"], b"");
    let out = world.said.join("out");
    objects(&world.index(), &out).unwrap();
    assert!(std::fs::read_to_string(&out).unwrap().ends_with("\n-\n"));
    let sizes = world.said.join("sizes");
    let differ = |said: &str| {
        std::fs::write(&sizes, said).unwrap();
        differing(&world.index(), &sizes, &out).map(|()| std::fs::read(&out).unwrap())
    };
    assert_eq!(differ("4\n5\nx missing\n- missing\n").unwrap(), b"b\n\0");
    assert!(differ("4\n4\n4\n").is_err());
    assert!(differ("4\n4\n4\n4\n4\n").is_err());
}

#[test]
fn an_index_that_is_not_whole_by_itself_is_refused() {
    let world = World::new();
    world.write("a", b"a", 0o644);
    world.take(&[b"a"]).unwrap();
    let names = |bytes: &[u8]| {
        index::entries(bytes).map(|it| it.map(|it| it.name.to_vec()).collect::<Vec<_>>())
    };
    let whole = std::fs::read(world.index()).unwrap();
    assert_eq!(names(&whole).unwrap(), [b"a"]);
    // As git writes it where entries are shared with another file.
    world.git(&["update-index", "--split-index"], b"");
    assert!(names(&std::fs::read(world.index()).unwrap()).is_err());
    world.git(&["update-index", "--no-split-index", "--index-version", "4"], b"");
    assert!(names(&std::fs::read(world.index()).unwrap()).is_err());
    let extended = [&whole[..whole.len() - 20], b"ABCD\0\0\0\x01x", &whole[..20]].concat();
    assert_eq!(names(&extended).unwrap(), [b"a"]);
}

#[test]
fn what_changes_meanwhile_is_read_again_by_git() {
    let world = World::new();
    world.write("a", b"old", 0o644);
    world.write("gone", b"old", 0o644);
    world.take(&[b"a", b"gone"]).unwrap();
    world.write("a", b"longer", 0o644);
    std::fs::remove_file(world.tree.join("gone")).unwrap();
    assert_eq!(world.git(&["diff-files", "--name-status"], b""), b"M\ta\nD\tgone\n");
    world.take(&[b"a", b"gone"]).unwrap();
    assert_eq!(world.git(&["diff-files", "--name-status"], b""), b"D\tgone\n");
    world.check();
}

#[test]
fn what_cannot_be_taken_is_refused_or_left_to_git() {
    let world = World::new();
    world.write("fine", b"fine", 0o644);
    world.write("long", &vec![1; 2 << 20], 0o644);
    world.take(&[b"fine", b"long"]).unwrap();
    assert_eq!(std::fs::read(world.said.join("rest")).unwrap(), b"long\0");
    std::fs::create_dir(world.tree.join("dir")).unwrap();
    assert!(world.take(&[b"fine", b"dir"]).is_err());
    // A directory that became a link leads nowhere.
    symlink("/etc", world.tree.join("out")).unwrap();
    assert!(world.take(&[b"out/passwd"]).is_err());
    let status = rustix::fs::mkfifoat(rustix::fs::CWD, world.tree.join("pipe"), 0o600.into());
    status.unwrap();
    assert!(world.take(&[b"pipe"]).is_err());
    world.check();
    let words: Vec<OsString> = ["0", "files", "a", "b", "c"].map(Into::into).into();
    assert!(run(&words).unwrap_err().to_string().contains("form"));
    assert!(run(&words[1..]).is_err());
}

#[test]
fn a_pack_with_far_objects_has_a_table_of_them() {
    let objects = [(1_u8, 12), (2, FAR_TO), (3, 1 << 40)];
    let bytes = pack::index_for_test(&objects);
    let at = 8 + 1024 + 3 * 20 + 3 * 4;
    assert_eq!(bytes[at..at + 12], [0, 0, 0, 12, 0x80, 0, 0, 0, 0x80, 0, 0, 1]);
    assert_eq!(
        bytes[at + 12..at + 28],
        [FAR_TO.to_be_bytes(), (1_u64 << 40).to_be_bytes()].concat()
    );
    assert_eq!(bytes.len(), at + 28 + 40);
}

/// The first offset that does not fit.
const FAR_TO: u64 = 1 << 31;

/// Paths and what is there, no file being where a directory is.
fn any_files() -> impl Strategy<Value = BTreeMap<String, (Vec<u8>, bool)>> {
    let name =
        "[a-c.\\-]{1,2}|\u{e9}|x y|\n".prop_filter("taken", |it| !matches!(&**it, "." | ".."));
    let path = prop::collection::vec(name, 1..5).prop_map(|it| it.join("/"));
    let content = (prop::collection::vec(any::<u8>(), 0..3), 0_usize..70_000);
    let content =
        content.prop_map(|(bytes, length)| bytes.into_iter().cycle().take(length).collect());
    prop::collection::btree_map(path, (content, any::<bool>()), 1..40).prop_map(|all| {
        let is_dir = |it: &str| all.keys().any(|other| other.starts_with(&format!("{it}/")));
        let fine: Vec<String> = all.keys().filter(|it| !is_dir(it)).cloned().collect();
        all.into_iter().filter(|it| fine.contains(&it.0)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_files_are_taken_as_git_takes_them(all in any_files(), more in any_files()) {
        let world = World::new();
        let mut names: Vec<String> = Vec::new();
        for (name, (bytes, executable)) in all.iter().chain(&more) {
            let path = world.tree.join(name);
            let dir = path.parent().unwrap();
            if path.is_dir() || std::fs::create_dir_all(dir).is_err() {
                continue;
            }
            world.write(name, bytes, if *executable { 0o755 } else { 0o644 });
            names.push(name.clone());
            if names.len() == all.len() {
                let names: Vec<&[u8]> = names.iter().map(|it| it.as_bytes()).collect();
                world.take(&names).unwrap();
            }
        }
        let names: Vec<&[u8]> = names.iter().map(|it| it.as_bytes()).collect();
        world.take(&names).unwrap();
        world.check_lists();
        let ours = world.tree_of();
        world.check();
        std::fs::remove_file(world.index()).unwrap();
        world.git(&["add", "-A"], b"");
        prop_assert_eq!(world.tree_of(), ours);
    }

    #[test]
    fn an_index_that_is_spoilt_is_refused_or_read(
        cut in 0_usize..400, at in 0_usize..400, with in any::<u8>(),
    ) {
        let world = World::new();
        world.write("a", b"a", 0o644);
        world.write("b/c", b"c", 0o644);
        world.take(&[b"a", b"b/c"]).unwrap();
        let mut bytes = std::fs::read(world.index()).unwrap();
        if let Some(byte) = bytes.get_mut(at) {
            *byte = with;
        }
        bytes.truncate(bytes.len().saturating_sub(cut % 200));
        if let Ok(Some(entries)) = index::fill(&mut bytes, &HashMap::new()) {
            let _ = trees::make(&entries, |_, _| Ok(()));
        }
    }
}
