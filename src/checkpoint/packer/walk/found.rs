//! What a walk has found, and how it sorts what it finds.

use std::collections::{BTreeSet, HashSet};

use crate::checkpoint::packer::walk::{
    Trouble, Unit,
    dir::{self, Dir, Looked, Rules, is_git},
    git, side,
    stat::Stat,
};

/// A directory that the next walk begins from.
pub(super) enum Record<'a> {
    /// As it was written down before, without its end.
    Kept(&'a [u8]),
    /// Looked at just now.
    New(Dir),
}

/// What an index names.
#[derive(Default)]
pub(super) struct Known<'a> {
    /// Everything, but for what it takes for repositories and is none.
    pub names: HashSet<&'a [u8]>,
    /// Directories above those.
    pub around: HashSet<&'a [u8]>,
    /// Repositories.
    pub links: HashSet<&'a [u8]>,
    /// What is none.
    pub hollow: Vec<&'a [u8]>,
}

/// A name to be sorted: the number of a record, and where in its names.
#[derive(Clone, Copy)]
pub(super) struct Place {
    record: usize,
    at: usize,
}

/// A name that git is to be asked about.
struct Asked {
    path: Vec<u8>,
    is_dir: bool,
    place: Place,
}

/// What a walk has found so far.
pub(super) struct Found<'a> {
    /// The unit.
    pub unit: &'a Unit,
    /// What the index names.
    pub known: Known<'a>,
    /// Files that are not in the index, and not ignored.
    pub new: Vec<Vec<u8>>,
    /// What is ignored, a `/` behind directories and a NUL behind each.
    pub ignored: Vec<u8>,
    /// Empty directories, a NUL behind each.
    pub empty: Vec<u8>,
    /// Directories that cannot be read.
    pub shut: Vec<Vec<u8>>,
    /// What git does not show, a NUL behind each.
    pub seen: Vec<u8>,
    /// Directories, those above others before them.
    pub records: Vec<Record<'a>>,
    /// Files with rules.
    pub rules: Vec<Rules>,
    /// What is to be looked at every time.
    pub again: BTreeSet<Vec<u8>>,
    /// What was noticed.
    pub looked: HashSet<Vec<u8>>,
    /// The device that the unit is on.
    pub device: Option<u64>,
    /// Whether anything has attributes.
    pub has_attributes: bool,
    /// Whether the next walk must look at everything.
    pub in_doubt: bool,
}

impl<'a> Found<'a> {
    /// Begins with nothing.
    pub fn new(unit: &'a Unit, known: Known<'a>) -> Found<'a> {
        Found {
            unit,
            known,
            new: Vec::new(),
            ignored: Vec::new(),
            empty: Vec::new(),
            shut: Vec::new(),
            seen: Vec::new(),
            records: Vec::new(),
            rules: Vec::new(),
            again: BTreeSet::new(),
            looked: HashSet::new(),
            device: None,
            has_attributes: false,
            in_doubt: false,
        }
    }

    /// Tells whether anything can be ignored.
    pub fn has_rules(&self) -> bool {
        self.unit.is_work && (!self.rules.is_empty() || self.unit.has_rules_outside())
    }

    /// Shows a file or a directory.
    pub fn show(&mut self, letter: char, path: &[u8], stat: &Stat) {
        let head = format!("{letter} {:o} {} ", stat.bits(), stat.size);
        self.seen.extend_from_slice(head.as_bytes());
        self.end(path, |it| &mut it.seen);
    }

    /// Shows a directory by its path, which is nothing for the unit itself.
    pub fn show_dir(&mut self, path: &[u8], stat: &Stat) {
        self.show('d', if path == b"." { b"" } else { path }, stat);
    }

    /// Lists an empty directory.
    pub fn list_empty(&mut self, path: &[u8]) {
        self.end(path, |it| &mut it.empty);
    }

    /// Lists what is ignored.
    pub fn list_ignored(&mut self, path: &[u8], is_dir: bool) {
        self.ignored.extend_from_slice(path);
        self.end(if is_dir { b"/" } else { b"" }, |it| &mut it.ignored);
    }

    fn end(&mut self, path: &[u8], list: impl Fn(&mut Self) -> &mut Vec<u8>) {
        let list = list(self);
        list.extend_from_slice(path);
        list.push(0);
    }

    /// Sees to what git does not show of what is no directory, or is called `.git`.
    pub fn notice(&mut self, path: &[u8], stat: &Stat) {
        if !self.looked.insert(path.to_vec()) {
            return;
        }
        let name = path.rsplit(|it| *it == b'/').next().unwrap_or(path);
        let letter = stat.letter();
        let is_odd = match letter {
            '-' => is_git(name) || !self.unit.is_usual(stat),
            'd' => is_git(name),
            'l' => is_git(name) || name.eq_ignore_ascii_case(b".gitmodules"),
            _ => true,
        };
        if is_odd {
            self.show(letter, path, stat);
        }
        if is_odd || self.unit.is_recent(stat) {
            self.again.insert(path.to_vec());
        }
    }

    /// Takes in what was seen in a directory, but for its rules. Returns what is kept of it.
    pub fn take(&mut self, looked: Looked) -> (Dir, Vec<Rules>) {
        let Looked { dir, stat, noticed, rules, has_attributes, in_doubt } = looked;
        self.device.get_or_insert(stat.device);
        let has = |flag| dir.flags.contains(flag);
        if dir.path == b"." || has('o') {
            self.show_dir(&dir.path, &stat);
        }
        if has('s') {
            self.shut.push(dir.path.clone());
        }
        if has('e') {
            self.list_empty(&dir.path);
        }
        for (path, stat) in &noticed {
            self.notice(path, stat);
        }
        self.has_attributes |= has_attributes;
        self.in_doubt |= in_doubt;
        (dir, rules)
    }

    /// Keeps a directory and says where its names are.
    pub fn keep(&mut self, dir: Dir) -> Vec<Place> {
        let record = self.records.len();
        let starts = dir.names.iter().enumerate().filter(|it| *it.1 == 0).map(|it| it.0 + 1);
        let starts = std::iter::once(0).chain(starts).filter(|it| *it < dir.names.len());
        let places = starts.map(|at| Place { record, at }).collect();
        self.records.push(Record::New(dir));
        places
    }

    /// Reads directories, and returns where their names are.
    pub fn enter(&mut self, dirs: &[Vec<u8>]) -> Result<Vec<Place>, Trouble> {
        let (unit, device) = (self.unit, self.device);
        let mut places = Vec::new();
        for looked in side::by_side(dirs, |it| dir::look_into(unit, device, it))? {
            let Some(looked) = looked? else {
                self.in_doubt = true;
                continue;
            };
            let (dir, rules) = self.take(looked);
            self.rules.extend(rules);
            places.extend(self.keep(dir));
        }
        Ok(places)
    }

    /// Sorts names that nothing is known of, and looks into directories among them. Git is asked
    /// when there is nothing else left to do, of everything there is then: it takes a while to
    /// start.
    pub fn sort_out(&mut self, mut places: Vec<Place>) -> Result<(), Trouble> {
        let mut asked = Vec::new();
        loop {
            let mut dirs = Vec::new();
            for place in places {
                self.judge(place, &mut dirs, &mut asked)?;
            }
            if dirs.is_empty() {
                if asked.is_empty() {
                    return Ok(());
                }
                dirs = self.ask(std::mem::take(&mut asked))?;
            }
            places = self.enter(&dirs)?;
        }
    }

    /// Returns the letter of a name, and its path.
    fn at(&self, place: Place) -> Option<(u8, Vec<u8>)> {
        let Some(Record::New(dir)) = self.records.get(place.record) else { return None };
        let (letter, rest) = dir.names.get(place.at..)?.split_first()?;
        let name = rest.split(|it| *it == 0).next()?;
        if *letter == b's' || is_git(name) {
            return None;
        }
        Some((*letter, dir::below(&dir.path, name)))
    }

    /// Sorts a name by what the index says.
    fn judge(
        &mut self,
        place: Place,
        dirs: &mut Vec<Vec<u8>>,
        asked: &mut Vec<Asked>,
    ) -> Result<(), Trouble> {
        let Some((letter, path)) = self.at(place) else { return Ok(()) };
        let is_dir = letter == b'd';
        let known = if is_dir { &self.known.around } else { &self.known.names };
        if known.contains(&*path) {
            if is_dir {
                dirs.push(path);
            }
        } else if is_dir && self.known.links.contains(&*path) {
            self.link(&path)?;
        } else {
            asked.push(Asked { path, is_dir, place });
        }
        Ok(())
    }

    /// Looks at a repository that the index names: what is in it is not of the unit around it.
    fn link(&mut self, path: &[u8]) -> Result<(), Trouble> {
        let Some(looked) = dir::look_into(self.unit, self.device, path)? else {
            self.in_doubt = true;
            return Ok(());
        };
        let (mut dir, rules) = self.take(looked);
        self.rules.extend(rules);
        self.in_doubt |= !self.unit.is_repository(path);
        dir.flags.push('k');
        dir.names.clear();
        self.keep(dir);
        Ok(())
    }

    /// Sorts names by what git says. Returns the directories to look into.
    fn ask(&mut self, asked: Vec<Asked>) -> Result<Vec<Vec<u8>>, Trouble> {
        let mut ignored = HashSet::new();
        if self.has_rules() {
            let paths: Vec<&[u8]> = asked.iter().map(|it| &*it.path).collect();
            ignored = git::ignored(self.unit, &paths)?;
        }
        let mut dirs = Vec::new();
        for Asked { path, is_dir, place } in asked {
            if ignored.contains(&path) {
                self.list_ignored(&path, is_dir);
                self.mark_ignored(place);
            } else if is_dir {
                dirs.push(path);
            } else {
                self.new.push(path);
            }
        }
        Ok(dirs)
    }

    /// Notes of a name that it is ignored.
    pub fn mark_ignored(&mut self, place: Place) {
        if let Some(Record::New(dir)) = self.records.get_mut(place.record)
            && let Some(letter) = dir.names.get_mut(place.at)
        {
            letter.make_ascii_uppercase();
        }
    }

    /// Returns a name as it is kept, its letter in front.
    pub fn name(&self, place: Place) -> &[u8] {
        let Some(Record::New(dir)) = self.records.get(place.record) else { return b"" };
        let rest = dir.names.get(place.at..).unwrap_or_default();
        rest.split(|it| *it == 0).next().unwrap_or_default()
    }
}
