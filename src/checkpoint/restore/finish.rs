//! What is to be done beside files: directories, permissions, times. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::checkpoint::{
    manifest::{Base, Time},
    restore::{
        judge::{GITLINK, Is, Step, ancestors, is_file},
        modes::{Deed, Deeds, add_parents, add_with_parents},
        plan::{Plan, Root},
        unit::join,
    },
};

impl Plan {
    /// Returns the directories that hold what is touched, and are closed to their owner, or hand
    /// their group and that they do so on to directories that are made in them.
    fn closed(&self) -> BTreeMap<Vec<u8>, u32> {
        let mut touched = BTreeSet::new();
        let steps = self.steps.iter().filter(|it| !it.1.is_done()).map(|it| it.0);
        let units = self.roots.iter().filter(|it| !it.is_same());
        let empty = self.from.iter().flat_map(|it| &it.empty).chain(&self.to.empty);
        steps.chain(units.map(|it| &it.pair.path)).for_each(|it| add_parents(&mut touched, it));
        let odd = empty.filter(|it| !(self.to.empty.contains(*it) && self.had(it)));
        odd.for_each(|it| add_parents(&mut touched, it));
        touched.insert(Vec::new());
        let dirs = self.from.iter().flat_map(|it| &it.dirs);
        let closed =
            dirs.filter(|(path, mode)| **mode & 0o2700 != 0o700 && touched.contains(*path));
        closed.map(|(path, mode)| (path.clone(), *mode)).collect()
    }

    /// Tells whether an empty directory was there before.
    fn had(&self, path: &[u8]) -> bool {
        self.from.as_ref().is_some_and(|it| it.empty.contains(path))
    }

    /// Returns what must be done so that files in closed directories can be changed.
    pub fn opening(&self) -> Deeds {
        Deeds(self.closed().into_keys().map(|it| (Deed::Open, it)).collect())
    }

    /// Returns what takes that back.
    pub fn closing(&self) -> Deeds {
        let closed = self.closed().into_iter().rev();
        Deeds(closed.map(|(path, mode)| (Deed::Close(mode), path)).collect())
    }

    /// Returns the directories of the state to restore, as far as it differs.
    fn dirs(&self) -> BTreeSet<Vec<u8>> {
        let mut dirs = BTreeSet::from([Vec::new()]);
        for root in self.differing() {
            let path = &root.pair.path;
            add_with_parents(&mut dirs, path);
            let mut last: &[u8] = b"";
            for entry in &root.entries {
                let dir = ancestors(&entry.path).next().unwrap_or_default();
                if dir != last && entry.mode != GITLINK {
                    add_with_parents(&mut dirs, &join(path, dir));
                    last = dir;
                }
            }
        }
        let alone = self.roots.iter().filter(|it| it.pair.to.is_some());
        alone.for_each(|it| add_parents(&mut dirs, &it.pair.path));
        self.to.empty.iter().for_each(|it| add_with_parents(&mut dirs, it));
        dirs
    }

    /// Returns the units that are trees to restore and were not the same before.
    fn differing(&self) -> impl Iterator<Item = &Root> {
        self.roots.iter().filter(|it| it.tree().is_some() && !it.is_same())
    }

    /// Returns the directories to remove if nothing is in them.
    pub fn removing(&self) -> Deeds {
        let mut gone = BTreeSet::new();
        for (path, step) in &self.steps {
            if step.from.is_some() && step.to.is_none() {
                add_parents(&mut gone, path);
            }
        }
        for root in self.roots.iter().filter(|it| it.tree().is_none()) {
            if root.pair.from.as_ref().is_some_and(|it| it.part.tree().is_some()) {
                add_with_parents(&mut gone, &root.pair.path);
            }
        }
        self.from.iter().flat_map(|it| &it.empty).for_each(|it| add_with_parents(&mut gone, it));
        if gone.is_empty() {
            return Deeds::default();
        }
        let kept = self.dirs();
        let units = self.roots.iter().filter(|it| it.tree().is_some());
        let units: BTreeSet<_> = units.map(|it| it.pair.path.clone()).collect();
        let gone = gone.into_iter().rev().filter(|it| !kept.contains(it) && !units.contains(it));
        Deeds(gone.map(|it| (Deed::Remove, it)).collect())
    }

    /// Returns what is to be done when all files are there, but for those that are `left`.
    /// Directories come last, the innermost first, since one may be closed by it.
    pub fn deeds(&self, left: &BTreeSet<Vec<u8>>) -> Deeds {
        let mut deeds = Vec::new();
        let units = self.differing().map(|it| &it.pair.path).filter(|it| !it.is_empty());
        deeds.extend(units.map(|it| (Deed::Make, it.clone())));
        let empty = self.to.empty.iter().filter(|it| self.from.is_none() || !self.is_known(it));
        deeds.extend(empty.map(|it| (Deed::Make, it.clone())));
        deeds.extend(self.file_deeds(left));
        let mut closing: BTreeMap<Vec<u8>, Deed> = BTreeMap::new();
        let dirs = self.dirs();
        for (path, mode) in self.closed() {
            let mode = if dirs.contains(&path) { self.to.of_dir(&path) } else { mode };
            closing.insert(
                path.clone(),
                Deed::Close(self.to.dirs.get(&path).copied().unwrap_or(mode)),
            );
        }
        for dir in dirs {
            let was_odd = self
                .from
                .as_ref()
                .is_some_and(|it| it.dirs.contains_key(&dir) || it.base.dir != self.to.base.dir);
            if self.to.dirs.contains_key(&dir) || was_odd {
                let mode = self.to.of_dir(&dir);
                closing.insert(dir, Deed::Dir(mode));
            }
        }
        deeds.extend(closing.into_iter().rev().map(|(path, deed)| (deed, path)));
        Deeds(deeds)
    }

    /// Tells whether a directory is one of a unit that is the same in both states.
    fn is_known(&self, dir: &[u8]) -> bool {
        let same = self.roots.iter().filter(|it| it.is_same() && it.tree().is_some());
        let within = |it: &&Root| super::judge::below(dir, &it.pair.path).is_some();
        let depth = |it: &Root| it.pair.path.len();
        let inner = same.filter(within).map(depth).max();
        let other = self.differing().filter(within).map(depth).max();
        inner.is_some() && inner >= other
    }

    /// Returns the permissions that files must be given.
    fn file_deeds(&self, left: &BTreeSet<Vec<u8>>) -> Vec<(Deed, Vec<u8>)> {
        let created = Base::of_umask(self.to.mask());
        let mut deeds = Vec::new();
        let mut one = |path: Vec<u8>, mode: u32| {
            let executable = mode & 0o100 != 0;
            let want = self.to.of_file(&path, executable);
            let have = match (self.steps.get(&path), &self.from) {
                // What is as it shall be may have been made so by an earlier attempt that ended
                // before it set this.
                (Some(Step { is: Is::To, .. }), _) if self.to.files.contains_key(&path) => u32::MAX,
                (Some(_), _) | (None, None) => created.of_file(executable),
                (None, Some(from)) => from.of_file(&path, executable),
            };
            if want != have && !left.contains(&path) {
                deeds.push((Deed::File(want), path));
            }
        };
        for root in self.differing() {
            for entry in root.entries.iter().filter(|it| is_file(it.mode)) {
                one(join(&root.pair.path, &entry.path), entry.mode);
            }
        }
        for root in self.roots.iter().filter(|it| it.has_alone() && !it.is_same()) {
            let path = &root.pair.path;
            let step = self.steps.get(path).and_then(|it| it.to.as_ref());
            if step.is_some_and(|it| it.is_file()) || self.to.files.contains_key(path) {
                one(path.clone(), 0o100_644);
            }
        }
        deeds
    }

    /// Returns the times of the files that change.
    pub fn times(&self) -> Vec<(Vec<u8>, Time)> {
        let mut times = Vec::new();
        for root in self.differing() {
            for (entry, time) in root.entries.iter().zip(&root.times) {
                let path = join(&root.pair.path, &entry.path);
                if let Some(time) = time.filter(|_| is_file(entry.mode))
                    && self.steps.contains_key(&path)
                {
                    times.push((path, time));
                }
            }
        }
        times
    }
}
