//! What it says, held against what perl says of the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::{PermissionsExt, symlink},
    process::{Command, Stdio},
};

use proptest::{collection, prelude::*};

use super::*;

const PERL: &str = include_str!("../../scripts/walk.pl");

/// What both write, a NUL behind each, but for the state.
const LISTS: [&str; 8] =
    ["changed", "new", "ignored", "empty", "shut", "seen", "hollow", "attributes"];

/// A unit, with its index and a directory for each of both.
struct World {
    _dir: tempfile::TempDir,
    top: PathBuf,
    kind: &'static str,
    grace: &'static str,
}

/// What one of both said: lists by name, each sorted, and whether it was quick.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    lists: BTreeMap<&'static str, Vec<Vec<u8>>>,
    rules: String,
    is_quick: bool,
    /// Records of the state, the names of directories sorted.
    state: Option<BTreeSet<Vec<Vec<u8>>>>,
}

impl World {
    fn new(kind: &'static str, grace: &'static str) -> World {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        for name in ["ws", "ours", "perl's"] {
            std::fs::create_dir(top.join(name)).unwrap();
        }
        std::fs::write(top.join("exclude"), "").unwrap();
        let world = World { _dir: dir, top, kind, grace };
        world.start("git", &["init", "-q", "--bare", "repo"], b"", false);
        world
    }

    fn env(&self) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("GIT_DIR", self.top.join("repo")),
            ("GIT_WORK_TREE", self.top.join("ws")),
            ("GIT_INDEX_FILE", self.top.join("index")),
            ("GIT_CONFIG_GLOBAL", "/dev/null".into()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
        ]
    }

    /// Runs a program in the unit, or beside it. Returns its status.
    #[expect(clippy::disallowed_methods, reason = "it is what this program is held against")]
    fn start(&self, program: &str, args: &[&str], input: &[u8], inside: bool) -> Option<i32> {
        std::fs::write(self.top.join("input"), input).unwrap();
        let mut command = Command::new(program);
        command.args(args).current_dir(if inside { self.top.join("ws") } else { self.top.clone() });
        if inside {
            command.envs(self.env());
        }
        command.stdin(std::fs::File::open(self.top.join("input")).unwrap());
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().code()
    }

    fn words(&self, who: &str, state: &str) -> Vec<String> {
        let at = |name: &str| self.top.join(name).to_str().unwrap().to_owned();
        let (tmp, state, theirs) = (at(who), at(state), at("theirs"));
        let words =
            [&tmp, "7", self.kind, "0022", "9", self.grace, &state, &at("exclude"), &theirs];
        words.map(str::to_owned).into()
    }

    /// Looks as this program does, from a state that may not be there.
    fn ours(&self, state: &str) -> Said {
        self.clear("ours");
        let words: Vec<OsString> = self.words("ours", state).into_iter().map(Into::into).collect();
        let mut unit = Unit::new(&self.top.join("ws"), self.top.join("index"), &words).unwrap();
        unit.env = self.env();
        look(&unit).unwrap();
        self.said("ours")
    }

    /// Looks as perl does.
    fn perls(&self, state: &str) -> Said {
        self.clear("perl's");
        let words = self.words("perl's", state);
        let mut args = vec!["-e", PERL];
        args.extend(words.iter().map(String::as_str));
        assert_eq!(self.start("perl", &args, b"", true), Some(0));
        self.said("perl's")
    }

    fn clear(&self, who: &str) {
        std::fs::remove_dir_all(self.top.join(who)).unwrap();
        std::fs::create_dir(self.top.join(who)).unwrap();
    }

    fn said(&self, who: &str) -> Said {
        let read = |what: &str| std::fs::read(self.top.join(format!("{who}/{what}.7"))).ok();
        let lists = LISTS.map(|it| {
            let mut all: Vec<Vec<u8>> =
                read(it).unwrap_or_default().split(|it| *it == 0).map(<[u8]>::to_vec).collect();
            if it == "shut" {
                all = all.concat().split(|it| *it == b'\n').map(<[u8]>::to_vec).collect();
            }
            all.sort();
            (it, all)
        });
        Said {
            lists: lists.into(),
            rules: String::from_utf8(read("rules").unwrap()).unwrap(),
            is_quick: read("looked").unwrap() == b"quick",
            state: read("state").map(|it| records(&it)),
        }
    }

    /// Finds both to say the same of what nothing is known of, and of what each wrote down before.
    fn check(&self) -> Said {
        self.both(["none", "none"]);
        self.both(["ours.state", "perl's.state"])
    }

    fn both(&self, [ours, perls]: [&str; 2]) -> Said {
        loop {
            // What is recent is so by the second.
            let second = || SystemClock.now().0 / 1000;
            // What changed just now did not do so after we began.
            let now = SystemClock.now();
            while SystemClock.now() == now {
                std::thread::yield_now();
            }
            let from = second();
            let (ours, perls) = (self.ours(ours), self.perls(perls));
            if second() == from {
                assert_eq!(ours, perls);
                return ours;
            }
        }
    }

    /// Puts what was seen into the index, but for every `skip`th file that is new, and lets each
    /// keep its state, or the other's.
    fn keep(&self, said: &Said, skip: usize, swap: bool) {
        let changed = said.lists["changed"].iter().filter(|it| !it.starts_with(b":"));
        let new = said.lists["new"].iter().filter(|it| !it.is_empty()).enumerate();
        let (rest, add): (Vec<_>, Vec<_>) = new.partition(|it| it.0 % skip == skip - 1);
        let list = changed.chain(add.iter().map(|it| it.1)).flat_map(|it| [&**it, b"\0"].concat());
        let list: Vec<u8> = list.collect();
        for args in [["--remove", "--"], ["--add", "--replace"]] {
            // Git takes no names that are its own.
            for path in list.split_inclusive(|it| *it == 0).filter(|it| it.len() > 1) {
                let all = ["update-index", "-z", args[0], args[1], "--stdin"];
                let all: Vec<&str> = all.into_iter().filter(|it| *it != "--").collect();
                self.start("git", &all, path, true);
            }
        }
        let mut state = Vec::new();
        for (letter, all) in [(b"A\0", add), (b"R\0", rest)] {
            state.extend(all.iter().flat_map(|it| [letter, &**it.1, b"\0\0"].concat()));
        }
        let names = ["ours", "perl's"];
        for (who, name) in names.into_iter().zip(if swap { ["perl's", "ours"] } else { names }) {
            let at = self.top.join(format!("{name}.state"));
            let made = std::fs::read(self.top.join(format!("{who}/state.7")));
            let index = std::fs::read(self.top.join("index"));
            match (made, index) {
                (Ok(made), Ok(index)) => {
                    let sum = &index[index.len() - 20..];
                    std::fs::write(at, [sum, &*state, &*made].concat()).unwrap();
                }
                _ => drop(std::fs::remove_file(at)),
            }
        }
    }

    fn at(&self, names: &[&str]) -> PathBuf {
        names.iter().fold(self.top.join("ws"), |at, it| at.join(it))
    }

    fn write(&self, name: &str, content: &str) {
        let at = self.at(&[name]);
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::fs::write(at, content).unwrap();
    }

    /// Makes a change, if it can be made.
    fn change(&self, change: &Change) -> io::Result<()> {
        use std::fs::{
            create_dir_all, remove_dir_all, remove_file, rename, set_permissions, write,
        };
        let room = |at: &PathBuf| at.parent().map_or(Ok(()), create_dir_all);
        match change {
            Change::File(at, size) => {
                let at = self.at(at);
                room(&at).and_then(|()| write(at, vec![b'*'; *size]))
            }
            Change::Dir(at) => create_dir_all(self.at(at)),
            Change::Link(at) => {
                let at = self.at(at);
                room(&at).and_then(|()| symlink("a", at))
            }
            Change::Pipe(at) => {
                // Git waits for one that is called as its own files are, and so would we.
                let at = self.at(at).join("pipe");
                rustix::fs::mkfifoat(rustix::fs::CWD, at, 0o644.into()).map_err(Into::into)
            }
            Change::Gone(at) => {
                let at = self.at(at);
                if at.symlink_metadata()?.is_dir() { remove_dir_all(at) } else { remove_file(at) }
            }
            Change::Move(from, to) => rename(self.at(from), self.at(to)),
            Change::Mode(at, mode) => {
                let at = self.at(at);
                // Nobody else is kept out of a directory, nor we.
                let mode = if at.is_dir() { mode | 0o700 } else { *mode };
                set_permissions(at, std::fs::Permissions::from_mode(mode))
            }
            Change::Rules(at, text) => {
                let at = self.at(at).join(".gitignore");
                room(&at).and_then(|()| write(at, text))
            }
            Change::Repository(at) => create_dir_all(self.at(at).join(".git/objects")),
            Change::Named(at) => {
                let path = at.join("/");
                let line = format!("160000 1111111111111111111111111111111111111111\t{path}\0");
                self.start("git", &["update-index", "-z", "--index-info"], line.as_bytes(), true);
                Ok(())
            }
            Change::Outside(text) => write(self.top.join("exclude"), text),
            Change::Theirs(text) => write(self.top.join("theirs"), text.repeat(20)),
        }
    }
}

/// Takes a state apart.
fn records(state: &[u8]) -> BTreeSet<Vec<Vec<u8>>> {
    let text = state.strip_suffix(b"\0\0").unwrap();
    let mut all = vec![Vec::new()];
    for field in text.split(|it| *it == 0) {
        match field {
            b"" => all.push(Vec::new()),
            _ => all.last_mut().unwrap().push(field.to_vec()),
        }
    }
    for record in all.iter_mut().filter(|it| it[0] == b"D") {
        record[4..].sort();
    }
    let count = all.len();
    let all: BTreeSet<_> = all.into_iter().collect();
    assert_eq!(all.len(), count, "none twice");
    all
}

type Path = Vec<&'static str>;

#[derive(Clone, Debug)]
enum Change {
    File(Path, usize),
    Dir(Path),
    Link(Path),
    Pipe(Path),
    Gone(Path),
    Move(Path, Path),
    Mode(Path, u32),
    Rules(Path, &'static str),
    Repository(Path),
    Named(Path),
    Outside(&'static str),
    Theirs(&'static str),
}

fn path() -> impl Strategy<Value = Path> {
    let often = prop::sample::select(vec!["a", "b", "c"]);
    let odd = vec![
        ".git",
        ".GIT",
        ".gitmodules",
        ".gitignore",
        ".gitattributes",
        "\n",
        "*",
        "d e",
        "-",
        "\\",
        ".Gitignore",
        "\u{e9}",
    ];
    collection::vec(prop_oneof![5 => often, 1 => prop::sample::select(odd)], 1..4)
}

fn change() -> impl Strategy<Value = Change> {
    let rules = vec!["", "a\n", "b/\n", "*\n!c\n", "# a\n", "/a/b\n"];
    let text = || prop::sample::select(rules.clone());
    let mode = prop::sample::select(vec![0o644, 0o755, 0o600, 0o700, 0o4755]);
    prop_oneof![
        6 => (path(), 0_usize..12).prop_map(|it| Change::File(it.0, it.1)),
        2 => path().prop_map(Change::Dir),
        1 => path().prop_map(Change::Link),
        1 => path().prop_map(Change::Pipe),
        3 => path().prop_map(Change::Gone),
        2 => (path(), path()).prop_map(|it| Change::Move(it.0, it.1)),
        2 => (path(), mode).prop_map(|it| Change::Mode(it.0, it.1)),
        1 => (path(), text()).prop_map(|it| Change::Rules(it.0, it.1)),
        1 => path().prop_map(Change::Repository),
        1 => path().prop_map(Change::Named),
        1 => text().prop_map(Change::Outside),
        1 => prop::sample::select(vec!["", "x", "y"]).prop_map(Change::Theirs),
    ]
}

/// Changes, then whether what was seen is kept, which are skipped, and whether states are swapped.
type Step = (Vec<Change>, bool, usize, bool);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step =
        (collection::vec(change(), 0..8), prop::bool::weighted(0.9), 2_usize..9, any::<bool>());
    collection::vec(step, 1..6)
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|it| it.parse().ok()).unwrap_or(10)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn anything_is_seen_as_perl_sees_it(all in steps(), is_work in prop::bool::weighted(0.8), sure: bool) {
        let world =
            World::new(if is_work { "work" } else { "git" }, if sure { "0" } else { "1000" });
        for (changes, is_kept, skip, swap) in all {
            for change in &changes {
                // What cannot be is not.
                let _ = world.change(change);
            }
            let said = world.check();
            if is_kept {
                world.keep(&said, skip, swap);
                world.check();
            }
        }
    }
}

#[test]
fn rules_reach_into_every_part_of_a_large_unit() {
    let world = World::new("work", "0");
    world.write(".gitignore", "*.o\n/d7/\n");
    for dir in 0..150 {
        for name in ["x.o", "y", "deep/x.o", "deep/z"] {
            world.write(&format!("d{dir}/{name}"), "");
        }
    }
    let said = world.check();
    let new = said.lists["new"].iter().filter(|it| !it.is_empty()).count();
    assert_eq!((new, said.is_quick), (1 + 149 * 2, false));
    world.keep(&said, 1000, true);
    assert!(world.both(["ours.state", "perl's.state"]).is_quick);
    world.write("d9/deep/w", "");
    world.write("d9/deep/w.o", "");
    std::fs::rename(world.at(&["d11"]), world.at(&["e"])).unwrap();
    let said = world.both(["ours.state", "perl's.state"]);
    let new = said.lists["new"].iter().filter(|it| !it.is_empty());
    let names = new.map(|it| String::from_utf8_lossy(it)).collect::<BTreeSet<_>>();
    assert!(said.is_quick && ["d9/deep/w", "e/y", "e/deep/z"].iter().all(|it| names.contains(*it)));
    assert!(!names.iter().any(|it| it.ends_with(".o")), "{names:?}");
}

#[test]
fn what_git_refuses_is_told_from_what_cannot_be_done() {
    let world = World::new("work", "0");
    world.write("a", "a");
    let words: Vec<OsString> = world.words("ours", "none").into_iter().map(Into::into).collect();
    let unit = || {
        let unit = Unit::new(&world.top.join("ws"), world.top.join("index"), &words);
        Unit { env: world.env(), ..unit.unwrap() }
    };
    std::fs::write(world.top.join("index"), "not an index").unwrap();
    assert!(matches!(look(&unit()), Err(PackError::Failed(_))));
    std::fs::remove_file(world.top.join("index")).unwrap();
    std::fs::rename(world.top.join("repo"), world.top.join("gone")).unwrap();
    assert!(look(&unit()).is_err());
    assert!(Unit::new(&world.top.join("ws"), PathBuf::new(), &words[1..]).is_err());
    let words = [&words[..3], &["9".into()], &words[4..]].concat();
    assert!(Unit::new(&world.top.join("ws"), PathBuf::new(), &words).is_err());
}
