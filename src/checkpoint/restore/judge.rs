//! What restoring would change, and what is in its way: pure.
//!
//! Both states are taken as flat lists of files by their paths in the workspace, whichever unit each
//! is of. A repository and a plain directory that trade places then are files that stay, that go and
//! that come, as anything else is.

use std::collections::{BTreeMap, BTreeSet};

use crate::checkpoint::{repo::split_once, restore::Effect};

/// The mode of a repository in a tree.
pub(super) const GITLINK: u32 = 0o160_000;

/// A file or a link in one of the two states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    /// As git has it.
    pub mode: u32,
    pub id: String,
    /// Which of the units it is in.
    pub root: usize,
}

impl Leaf {
    /// Tells whether it is a file, not a link.
    pub fn is_file(&self) -> bool {
        is_file(self.mode)
    }
}

/// Tells whether the mode is one of a file, not of a link.
pub(super) fn is_file(mode: u32) -> bool {
    mode & 0o170_000 == 0o100_000
}

/// What is found where a file is, or shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Is {
    /// What it comes from.
    From,
    /// What it shall be: an earlier attempt got that far.
    To,
    /// No file.
    Nothing,
    /// A file that is in neither state.
    Other,
}

/// A file that differs between the two states.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub from: Option<Leaf>,
    pub to: Option<Leaf>,
    pub is: Is,
}

/// By path in the workspace.
pub(super) type Steps = BTreeMap<Vec<u8>, Step>;

impl Step {
    pub fn effect(&self) -> Effect {
        match (&self.from, &self.to) {
            (None, _) => Effect::Add,
            (_, None) => Effect::Delete,
            _ => Effect::Change,
        }
    }

    /// Tells whether nothing needs to be done.
    pub fn is_done(&self) -> bool {
        match self.is {
            Is::To => true,
            Is::Nothing => self.to.is_none(),
            Is::From | Is::Other => false,
        }
    }

    /// Tells whether it is of another unit afterwards.
    pub fn moves(&self) -> bool {
        let root = |it: &Option<Leaf>| it.as_ref().map(|it| it.root);
        self.from.is_some() && self.to.is_some() && root(&self.from) != root(&self.to)
    }
}

/// A file of the tree to restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// In its unit.
    pub path: Vec<u8>,
    pub mode: u32,
    pub id: String,
}

/// A path that differs between two trees. A mode of 0 means that it is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Raw {
    pub path: Vec<u8>,
    pub from: (u32, String),
    pub to: (u32, String),
}

/// Reads what differs between two trees, and what is in the second; a section each.
pub(super) fn parse_trees(reader: &mut Reader) -> (Vec<Raw>, Vec<Entry>) {
    let raw = reader.raw(|facts, path| {
        let [from, to, from_id, to_id, _] = facts[..] else { return None };
        let side = |mode: &str, id: &str| Some((u32::from_str_radix(mode, 8).ok()?, id.to_owned()));
        Some(Raw { path, from: side(from, from_id)?, to: side(to, to_id)? })
    });
    let entries = reader.section().into_iter().filter_map(|entry| {
        let (facts, path) = split_once(entry, b'\t');
        let facts = std::str::from_utf8(facts).ok()?;
        let [mode, _, id] = facts.split(' ').collect::<Vec<_>>()[..] else { return None };
        let mode = u32::from_str_radix(mode, 8).ok()?;
        Some(Entry { path: path.to_vec(), mode, id: id.to_owned() })
    });
    (raw, entries.collect())
}

/// Reads what is not as it was said to be; whether it is there.
pub(super) fn parse_differing(said: &[u8]) -> BTreeMap<Vec<u8>, bool> {
    let there =
        |facts: &[&str], path: Vec<u8>| Some((path, facts.last().is_some_and(|it| *it != "D")));
    Reader(said).raw(there).into_iter().collect()
}

/// Entries with a NUL after each, in sections that end with an empty one.
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    fn entry(&mut self) -> &'a [u8] {
        let (entry, rest) = split_once(self.0, 0);
        self.0 = rest;
        entry
    }

    fn section(&mut self) -> Vec<&'a [u8]> {
        let mut entries = Vec::new();
        loop {
            match self.entry() {
                b"" => return entries,
                entry => entries.push(entry),
            }
        }
    }

    /// Reads `:MODE MODE ID ID STATUS`, each followed by a path.
    fn raw<T>(&mut self, read: impl Fn(&[&str], Vec<u8>) -> Option<T>) -> Vec<T> {
        let section = self.section();
        let pairs = section.chunks_exact(2).filter_map(|pair| {
            let facts = std::str::from_utf8(pair[0]).ok()?.trim_start_matches(':');
            read(&facts.split(' ').collect::<Vec<_>>(), pair[1].to_vec())
        });
        pairs.collect()
    }
}

/// What is found where files are or shall be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    /// What is no directory and shall be one.
    pub blocks: BTreeSet<Vec<u8>>,
    /// Directories that shall be files, or were.
    pub dirs: BTreeSet<Vec<u8>>,
    /// What is in those, but for directories.
    pub inside: BTreeSet<Vec<u8>>,
}

impl Places {
    /// Reads words and paths in turn.
    pub fn parse(said: &[u8]) -> Places {
        let words: Vec<&[u8]> = said.split(|it| *it == 0).collect();
        let mut places = Places::default();
        for pair in words.chunks_exact(2) {
            match pair[0] {
                b"blocks" => drop(places.blocks.insert(pair[1].to_vec())),
                b"dir" => drop(places.dirs.insert(pair[1].to_vec())),
                _ => drop(places.inside.insert(pair[1].to_vec())),
            }
        }
        places
    }
}

/// Returns what is in the way: files that are as neither state has them, and files where others
/// shall come that do not go.
pub(super) fn judge(steps: &Steps, places: &Places) -> BTreeSet<Vec<u8>> {
    let goes = |path: &[u8]| {
        let step = steps.get(path);
        step.is_some_and(|it| it.to.is_none() && it.is == Is::From)
    };
    let others = steps.iter().filter(|it| it.1.is == Is::Other).map(|it| it.0);
    let unknown = places.blocks.iter().chain(&places.inside).filter(|it| !goes(it));
    others.chain(unknown).cloned().collect()
}

/// Returns the directories that hold a path, nearest first, without the unit itself.
pub(super) fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let cut = |it: &[u8]| it.iter().rposition(|byte| *byte == b'/');
    std::iter::successors(Some(path), move |it| cut(it).map(|at| &it[..at])).skip(1)
}

/// Returns `path` as seen from `dir`, if it is in it.
pub(super) fn below<'a>(path: &'a [u8], dir: &[u8]) -> Option<&'a [u8]> {
    match dir {
        [] => Some(path),
        dir => path.strip_prefix(dir)?.strip_prefix(b"/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(id: &str) -> Option<Leaf> {
        Some(Leaf { mode: 0o100_644, id: id.into(), root: 0 })
    }

    fn step(from: Option<Leaf>, to: Option<Leaf>, is: Is) -> Step {
        Step { from, to, is }
    }

    fn set(paths: &[&str]) -> BTreeSet<Vec<u8>> {
        paths.iter().map(|it| it.as_bytes().to_vec()).collect()
    }

    #[test]
    fn what_goes_makes_room_and_nothing_else_does() {
        let steps = Steps::from([
            (b"d/gone".to_vec(), step(leaf("a"), None, Is::From)),
            (b"d/gone-already".to_vec(), step(leaf("a"), None, Is::Nothing)),
            (b"d/changed-since".to_vec(), step(leaf("a"), None, Is::Other)),
            (b"d/comes".to_vec(), step(None, leaf("a"), Is::Nothing)),
            (b"d/came".to_vec(), step(None, leaf("a"), Is::To)),
        ]);
        let nothing = Places::default();
        assert_eq!(judge(&steps, &nothing), set(&["d/changed-since"]));
        let blocks = set(&["d/gone", "x"]);
        let (dirs, inside) = (set(&["d/comes"]), set(&["d/comes/mine"]));
        let places = Places { blocks, dirs, inside };
        assert_eq!(judge(&steps, &places), set(&["d/changed-since", "d/comes/mine", "x"]));
        let said = b"blocks\0x\0dir\0d/comes\0inside\0d/comes/mine\0blocks\0d/gone\0";
        assert_eq!(Places::parse(said), places);
    }

    #[test]
    fn paths_are_seen_from_a_directory() {
        assert_eq!(below(b"a/b", b"a"), Some(&b"b"[..]));
        assert_eq!(below(b"ab", b"a"), None);
        assert_eq!(below(b"a", b""), Some(&b"a"[..]));
        assert_eq!(ancestors(b"a/b/c").collect::<Vec<_>>(), [&b"a/b"[..], b"a"]);
    }
}
