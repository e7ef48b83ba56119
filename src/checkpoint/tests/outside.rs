//! What comes from outside, whatever it is: what a host lists, what a checkpoint says of itself.
//! Shaped like the real thing and then spoilt, since noise alone gets no further than the door.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*, sample::select};

use super::World;
use crate::checkpoint::{
    look::{Known, Listing, sections},
    manifest::{Base, Manifest, parse_times},
    meta::Meta,
    plan::{Context, How, Part, parts_inside, plan, suspects},
    shadow::{HUGE, Rules},
};

/// Names that mean something to somebody.
const NAMES: &[&str] = &[
    "a",
    "b",
    ".git",
    ".GIT",
    ".gitmodules",
    ".git~1",
    "x.lock",
    ".env",
    "id_rsa",
    "k.pem",
    "\n",
    "-n",
    "\u{1b}[2J",
    "*",
    " ",
    "..a",
    "target",
    "notes",
];

/// The lists of a unit.
const LISTS: &[&str] = &[
    "new",
    "ignored",
    "empty",
    "dropped",
    "forced",
    "included",
    "kept",
    "shut",
    "changed",
    "held",
    "inherited",
];

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => select(NAMES).prop_map(|it| it.as_bytes().to_vec()),
        1 => vec(any::<u8>().prop_map(|it| if matches!(it, 0 | b'/') { 0xff } else { it }), 1..5),
    ]
}

/// A path as find and git write them, and sometimes one that they never would.
fn path() -> impl Strategy<Value = Vec<u8>> {
    let odd = select(&["", "/", "..", "a/../b", "./", "a//b", "/etc/passwd", "a/"][..]);
    prop_oneof![
        12 => vec(name(), 1..4).prop_map(|it| it.join(&b'/')),
        1 => odd.prop_map(|it| it.as_bytes().to_vec()),
    ]
}

fn list() -> impl Strategy<Value = Vec<u8>> {
    vec(path(), 0..6).prop_map(|it| it.into_iter().flat_map(|it| [it, vec![0]].concat()).collect())
}

/// A line as `diff-files` writes them.
fn differing() -> impl Strategy<Value = Vec<u8>> {
    let line = (select(&["D", "M", "T", "U", ""][..]), select(&["100644", "160000", "x"][..]));
    vec((line, path()), 0..5).prop_map(|it| {
        let line = |((status, mode), path): ((&str, &str), Vec<u8>)| {
            let id = "0".repeat(40);
            [format!(":100644 {mode} {id} {id} {status}\0").as_bytes(), &path, b"\0"].concat()
        };
        it.into_iter().flat_map(line).collect()
    })
}

/// A batch as the shell writes them: names, and what ls says of some.
fn found() -> impl Strategy<Value = Vec<u8>> {
    let permissions = select(
        &["-rw-r-----", "drwx------", "prw-r--r--", "lrwxrwxrwx", "-rwsr-xr-x+", "?", ""][..],
    );
    vec((path(), permissions, any::<u32>(), any::<bool>()), 0..6).prop_map(|it| {
        let named = |path: &[u8]| [b"./", path].concat();
        let mut out: Vec<u8> = it.iter().flat_map(|it| [named(&it.0), vec![0]].concat()).collect();
        out.push(0);
        for (path, permissions, length, _) in it.iter().filter(|it| it.3) {
            out.extend(format!("{permissions} 1 0 0 {length} Jan  1 00:00 ").bytes());
            out.extend(named(path).iter().map(|it| match it {
                b' '..=b'~' => *it,
                _ => b'?',
            }));
            out.push(b'\n');
        }
        out.push(0);
        out
    })
}

/// Records as the walk writes them.
fn seen() -> impl Strategy<Value = Vec<u8>> {
    let heads = ["- 640 5 ", "d 700 4096 ", "p 644 0 ", "l 777 1 ", "- 9 -1 ", "d", ""];
    vec((select(heads.to_vec()), path()), 0..6).prop_map(|it| {
        it.iter().flat_map(|(head, path)| [head.as_bytes(), path, b"\0"].concat()).collect()
    })
}

/// What a look says of one unit, by section.
fn said() -> impl Strategy<Value = BTreeMap<String, Vec<u8>>> {
    (vec(list(), LISTS.len()), differing(), found(), seen()).prop_map(|it| {
        let (lists, changed, found, seen) = it;
        let mut said: BTreeMap<String, Vec<u8>> =
            LISTS.iter().map(|it| format!("{it}.0")).zip(lists).collect();
        said.insert("changed.0".into(), changed);
        said.insert("found.0".into(), found);
        said.insert("seen.0".into(), seen);
        said
    })
}

/// Something that is almost `good`.
fn spoilt(good: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let edits = vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 0..6);
    edits.prop_map(move |edits| {
        let mut bytes = good.clone();
        for (at, byte, kind) in edits.into_iter().filter(|_| !good.is_empty()) {
            let at = at.index(good.len()).min(bytes.len().saturating_sub(1));
            match kind {
                _ if bytes.is_empty() => bytes.push(byte),
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                _ => bytes.truncate(at),
            }
        }
        bytes
    })
}

fn meta() -> String {
    let facts = serde_json::to_value(World::new().order().facts).unwrap();
    serde_json::json!({
        "form": 1, "facts": facts, "workspace": "/w",
        "position": { "branch": "main", "head": "1".repeat(40), "staged": true, "inside": true,
            "refs": { "refs/heads/main": "1".repeat(40) }, "remotes": { "origin": "https://host/x" },
            "history": true },
        "units": [{ "path": "a\u{ff}", "kind": "work" }, { "path": "a\u{ff}/.git", "kind": "git" }],
        "left_out": [{ "path": "x\n", "why": "huge", "bytes": 200_000_000 }],
        "left_out_count": 1, "files": 2, "bytes": 3,
    })
    .to_string()
}

#[test]
fn what_is_spoilt_here_is_read_when_it_is_not() {
    let meta: Meta = serde_json::from_str(&meta()).unwrap();
    assert_eq!(meta.units[0].path, b"a\xff");
}

proptest! {
    #[test]
    fn whatever_a_host_lists_is_planned_within_bounds(
        said in said(), top: bool, secrets: bool, git: bool)
    {
        let said: BTreeMap<&str, &[u8]> = said.iter().map(|(a, b)| (&**a, &**b)).collect();
        let listing = Listing::of(&said, 0);
        prop_assert!(listing.is_some());
        let how = if git { How::Git } else { How::Work };
        let part = Part { path: Vec::new(), how, listing: listing.unwrap(), seen: None, outer: 0 };
        let inside = parts_inside(&part, top);
        let mut parts = vec![part.clone()];
        parts.extend(inside.into_iter().map(|(path, how, seen)| Part {
            path, how, listing: Listing::default(), seen, outer: 0,
        }));
        let _ = suspects(&part);
        let rules = Rules { include: Vec::new(), secrets, huge: HUGE };
        let base = Base::of_umask(0o022);
        let context = Context {
            rules: &rules, base, tracked: Default::default(), skip: Default::default(),
        };
        let taking = plan(&part, &parts, &context);
        prop_assert!(taking.add.is_disjoint(&taking.drop), "read and dropped: {taking:?}");
        for path in &taking.add {
            let of_git = path.split(|it| *it == b'/').any(|it| it.eq_ignore_ascii_case(b".git"));
            prop_assert!(!of_git && !path.ends_with(b"/"), "{}", path.escape_ascii());
            let left = taking.left_out.iter().any(|it| it.path == *path);
            prop_assert!(!left, "taken and left out: {}", path.escape_ascii());
        }
    }

    #[test]
    fn whatever_a_look_writes_is_read_or_refused(said in said(), junk in vec(any::<u8>(), 0..40)) {
        let mut whole = Vec::new();
        for (name, content) in &said {
            whole.extend(format!("{name} {}\n", content.len()).bytes());
            whole.extend(content);
        }
        let read = sections(&whole);
        prop_assert_eq!(read.map(|it| it.len()), Some(said.len()));
        let cut = junk.len().min(whole.len());
        let _ = sections(&whole[..whole.len() - cut]).map(|it| Known::of(&it));
        let spoilt = [&junk, &whole[..]].concat();
        let _ = sections(&spoilt).map(|it| Listing::of(&it, 0));
    }

    #[test]
    fn a_spoilt_manifest_is_refused_or_stays_inside(
        bytes in spoilt(b"parhelia manifest 1\0base 644 755 755\0f 640 a/b\0d 700 c\0e d/e\0".to_vec()))
    {
        let _ = parse_times(&bytes);
        if let Ok(read) = Manifest::parse(&bytes) {
            for path in read.files.keys().chain(read.dirs.keys()).chain(&read.empty) {
                let fine = |it: &[u8]| !matches!(it, b"" | b"." | b"..") && !it.contains(&0);
                let inside = path.is_empty() || path.split(|it| *it == b'/').all(fine);
                prop_assert!(inside, "{}", path.escape_ascii());
            }
            prop_assert_eq!(Manifest::parse(&read.write()), Ok(read));
        }
    }

    #[test]
    fn what_a_spoilt_checkpoint_says_of_itself_is_refused_or_read_alike_again(
        bytes in spoilt(meta().into_bytes()))
    {
        if let Ok(read) = serde_json::from_slice::<Meta>(&bytes) {
            let again = serde_json::to_vec(&read).unwrap();
            prop_assert_eq!(serde_json::from_slice::<Meta>(&again).unwrap(), read);
        }
    }
}
