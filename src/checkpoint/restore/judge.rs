//! What restoring a unit would change, and what is in its way: pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::checkpoint::{repo::split_once, restore::Effect};

/// The mode of a repository in a tree.
const GITLINK: u32 = 0o160_000;

/// A path that differs between the two trees. A mode of 0 means that it is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub path: Vec<u8>,
    pub from_mode: u32,
    pub to_mode: u32,
    pub to_id: String,
}

impl Step {
    fn is_link(&self) -> bool {
        self.from_mode == GITLINK || self.to_mode == GITLINK
    }

    pub fn effect(&self) -> Effect {
        match (self.from_mode, self.to_mode) {
            (0, _) => Effect::Add,
            (_, 0) => Effect::Delete,
            _ => Effect::Change,
        }
    }
}

/// A file of the tree to restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub path: Vec<u8>,
    pub mode: u32,
}

/// Where the unit's directory is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// It is there.
    Here,
    /// It is not.
    #[default]
    Absent,
    /// At this path of the workspace is something that is no directory.
    Blocked(Vec<u8>),
}

/// What is known of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub steps: Vec<Step>,
    /// All files to restore, in git's order.
    pub entries: Vec<Entry>,
    pub place: Place,
    /// What is not as it comes from; whether it is still there.
    pub since: BTreeMap<Vec<u8>, bool>,
    /// What is not as it will be; whether it is there.
    pub differs: BTreeMap<Vec<u8>, bool>,
    /// What is there and not of the tree that it comes from; a directory ends with a slash.
    pub others: Vec<Vec<u8>>,
}

/// Reads what the look at a unit says: see [`super::unit`].
pub(super) fn parse(said: &[u8]) -> Facts {
    let mut reader = Reader(said);
    let steps = reader.raw(|facts, path| {
        let [from, to, _, id, _] = facts[..] else { return None };
        let mode = |it: &str| u32::from_str_radix(it, 8).ok();
        Some(Step { path, from_mode: mode(from)?, to_mode: mode(to)?, to_id: id.to_owned() })
    });
    let entries = reader.section().into_iter().filter_map(|entry| {
        let (facts, path) = split_once(entry, b'\t');
        let mode = std::str::from_utf8(facts).ok()?.split(' ').next()?;
        Some(Entry { path: path.to_vec(), mode: u32::from_str_radix(mode, 8).ok()? })
    });
    let entries = entries.collect();
    let place = match reader.entry() {
        b"here" => Place::Here,
        b"blocked" => Place::Blocked(reader.entry().to_vec()),
        _ => Place::Absent,
    };
    let there =
        |facts: &[&str], path: Vec<u8>| Some((path, facts.last().is_some_and(|it| *it != "D")));
    let since = reader.raw(there).into_iter().collect();
    let differs = reader.raw(there).into_iter().collect();
    let others = reader.section().into_iter().map(<[u8]>::to_vec).collect();
    Facts { steps, entries, place, since, differs, others }
}

/// Entries with a NUL after each, in sections that end with an empty one.
struct Reader<'a>(&'a [u8]);

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

impl Facts {
    /// Tells whether a file is already as it will be: an earlier attempt got that far.
    pub fn is_done(&self, step: &Step) -> bool {
        let here = self.place == Place::Here;
        !step.is_link()
            && match step.to_mode {
                0 => !here || self.since.get(&step.path) == Some(&false),
                _ => here && !self.differs.contains_key(&step.path),
            }
    }

    /// Returns the directories in no tree that hold any of `paths`.
    pub fn holding(&self, paths: &BTreeSet<Vec<u8>>) -> Vec<Vec<u8>> {
        let holds = |it: &&Vec<u8>| {
            it.strip_suffix(b"/")
                .is_some_and(|dir| !paths.contains(dir) && has_below_set(paths, dir))
        };
        self.others.iter().filter(holds).cloned().collect()
    }

    /// Returns what is in the way; and directories of which must be known what is in them.
    /// `accounted` are directories that will be gone by then.
    pub fn judge(&self, accounted: &BTreeSet<Vec<u8>>) -> (BTreeSet<Vec<u8>>, Vec<Vec<u8>>) {
        let mut in_the_way = BTreeSet::new();
        for step in self.steps.iter().filter(|it| !it.is_link()) {
            let is = |map: &BTreeMap<Vec<u8>, bool>| map.get(&step.path) == Some(&true);
            let blocked = match (step.from_mode, step.to_mode) {
                // A repository with a commit is something to git, not a directory in the place.
                (0, _) => is(&self.differs) && !accounted.contains(&step.path),
                (_, 0) => is(&self.since),
                _ => is(&self.since) && is(&self.differs),
            };
            if blocked {
                in_the_way.insert(step.path.clone());
            }
        }
        let wanted = self.steps.iter().filter(|it| it.to_mode != 0);
        let wanted: BTreeMap<&[u8], u32> = wanted.map(|it| (&it.path[..], it.to_mode)).collect();
        let mut open = Vec::new();
        for other in &self.others {
            let path = other.strip_suffix(b"/").unwrap_or(other);
            let is_dir = path.len() < other.len();
            let below = has_below(&wanted, path);
            let is_file = |it: &[u8]| wanted.get(it).is_some_and(|mode| *mode != GITLINK);
            let above = ancestors(path).any(is_file);
            let here = wanted.get(path).is_some_and(|mode| *mode != GITLINK || !is_dir);
            if accounted.contains(path) {
                continue;
            }
            match is_dir {
                true if below || has_below_set(accounted, path) && (above || here) => {
                    open.push(other.clone());
                }
                // Whether a file is as it will be has been asked above.
                true if above || here => _ = in_the_way.insert(other.clone()),
                false if above || below => _ = in_the_way.insert(other.clone()),
                _ => (),
            }
        }
        (in_the_way, open)
    }
}

fn has_below(paths: &BTreeMap<&[u8], u32>, dir: &[u8]) -> bool {
    let start = [dir, b"/"].concat();
    paths.range(&start[..]..).next().is_some_and(|(it, _)| it.starts_with(&start))
}

fn has_below_set(paths: &BTreeSet<Vec<u8>>, dir: &[u8]) -> bool {
    let start = [dir, b"/"].concat();
    paths.range(start.clone()..).next().is_some_and(|it| it.starts_with(&start))
}

/// Returns the directories that hold a path, nearest first, without the unit itself.
pub(super) fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let cut = |it: &[u8]| it.iter().rposition(|byte| *byte == b'/');
    std::iter::successors(Some(path), move |it| cut(it).map(|at| &it[..at])).skip(1)
}
