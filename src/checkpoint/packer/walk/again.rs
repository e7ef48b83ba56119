//! Looking at what changed since the last time.

use std::collections::{HashMap, HashSet};

use crate::checkpoint::packer::{
    Oid, hex,
    walk::{
        Trouble, Unit,
        dir::{self, below, is_git},
        found::{Found, Known, Record},
        side,
        stat::Stat,
        sum_of,
    },
};

/// What stands behind a record: no field of one is empty.
const END: &[u8] = b"\0\0";

/// Why what is known is not enough.
const REPOSITORY: &str = "a repository came or went";
const RULES: &str = "other rules";
const CUT: &str = "cut off";

/// A directory as it was written down.
struct Old<'a> {
    line: &'a [u8],
    path: &'a [u8],
    state: &'a [u8],
    flags: &'a [u8],
    /// A NUL between two of them.
    names: &'a [u8],
}

impl<'a> Old<'a> {
    fn parse(line: &'a [u8]) -> Option<Old<'a>> {
        let mut fields = line.strip_prefix(b"D\0")?.splitn(4, |it| *it == 0);
        let (path, state, flags) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Old { line, path, state, flags, names: fields.next().unwrap_or_default() })
    }

    fn names(&self) -> impl Iterator<Item = &'a [u8]> {
        self.names.split(|it| *it == 0).filter(|it| !it.is_empty())
    }

    fn has(&self, flag: u8) -> bool {
        self.flags.contains(&flag)
    }

    /// Tells whether it need not be read again if it is as it was.
    fn is_sure(&self) -> bool {
        let rest = self.flags.strip_prefix(b"-");
        rest.is_some_and(|it| it.iter().all(|it| b"oegk".contains(it)))
    }

    /// Returns what it is like now, and whether that is as it was.
    fn now(&self, unit: &Unit) -> Option<(Stat, bool)> {
        let stat = Stat::of(&unit.at(self.path).symlink_metadata().ok()?);
        Some((stat, stat.of_dir().as_bytes() == self.state))
    }
}

/// What was written down.
struct State<'a> {
    sum: Oid,
    /// Records that are not of directories.
    lines: Vec<&'a [u8]>,
    dirs: Vec<Old<'a>>,
}

impl<'a> State<'a> {
    fn parse(text: &'a [u8]) -> Option<State<'a>> {
        let (sum, mut rest) = text.split_first_chunk()?;
        let mut state = State { sum: *sum, lines: Vec::new(), dirs: Vec::new() };
        let mut is_whole = false;
        while !rest.is_empty() {
            let mut from = 0;
            let end = loop {
                let at = from + rest[from..].iter().position(|it| *it == 0)?;
                if rest.get(at + 1) == Some(&0) {
                    break at;
                }
                from = at + 1;
            };
            let line = &rest[..end];
            rest = &rest[end + END.len()..];
            match line.first() {
                Some(b'D') => state.dirs.push(Old::parse(line)?),
                Some(b'E') => is_whole = true,
                _ => state.lines.push(line),
            }
        }
        (is_whole && !state.dirs.is_empty()).then_some(state)
    }
}

/// What goes on while looking.
struct Again<'a> {
    found: Found<'a>,
    /// Directories that are not there any more.
    gone: HashSet<Vec<u8>>,
    /// Files that were to be put into the index.
    tried: HashSet<&'a [u8]>,
    /// What is to be looked at.
    often: Vec<&'a [u8]>,
    /// Files that are not in the index.
    rest: Vec<&'a [u8]>,
    /// Whether the user's index is the same.
    is_theirs: bool,
}

/// Looks at what changed since `text` was written. Tells whether the user's index is as it was.
///
/// # Errors
///
/// If that may not be enough, with the reason.
pub(super) fn look<'a>(unit: &'a Unit, text: &'a [u8]) -> Result<(Found<'a>, bool), Trouble> {
    let state = State::parse(text).ok_or_else(|| Trouble(CUT.into()))?;
    if hex(&state.sum) != sum_of(&unit.index) {
        return Err(Trouble("another index".into()));
    }
    let mut again = Again {
        found: Found::new(unit, Known::default()),
        gone: HashSet::new(),
        tried: HashSet::new(),
        often: Vec::new(),
        rest: Vec::new(),
        is_theirs: false,
    };
    for line in &state.lines {
        again.read(line)?;
    }
    let all = side::by_side(&state.dirs, |it| it.now(unit))?;
    again.found.device = all.iter().flatten().map(|it| it.0.device).next();
    for (old, now) in state.dirs.iter().zip(all) {
        again.dir(old, now)?;
    }
    again.files();
    Ok((again.found, again.is_theirs))
}

impl<'a> Again<'a> {
    /// Reads what is not of a directory.
    fn read(&mut self, line: &'a [u8]) -> Result<(), Trouble> {
        let unit = self.found.unit;
        let mut fields = line.split(|it| *it == 0);
        let what = fields.next().unwrap_or_default();
        let (first, second) = (fields.next().unwrap_or_default(), fields.next());
        match what {
            b"A" => {
                self.tried.insert(first);
                self.often.push(first);
            }
            b"R" => self.rest.push(first),
            b"O" => self.often.push(first),
            b"K" if first != unit.key.as_bytes() => return Err(Trouble(RULES.into())),
            b"F" => self.is_theirs = first != b"-" && first == unit.sum_of_theirs.as_bytes(),
            b"I" => {
                let stat = unit.at(first).symlink_metadata().map(|it| Stat::of(&it).of_file());
                let second = second.unwrap_or_default();
                if !stat.is_ok_and(|it| it.as_bytes() == second) {
                    return Err(Trouble(RULES.into()));
                }
                let second = String::from_utf8_lossy(second).into_owned();
                self.found.rules.push((first.to_vec(), second));
            }
            _ => {}
        }
        Ok(())
    }

    /// Looks at a directory.
    fn dir(&mut self, old: &Old<'a>, now: Option<(Stat, bool)>) -> Result<(), Trouble> {
        if is_below(old.path, &self.gone) {
            return if old.has(b'k') { Err(Trouble(REPOSITORY.into())) } else { Ok(()) };
        }
        let stat = match now {
            Some((stat, true)) if old.is_sure() => stat,
            _ => return self.changed(old),
        };
        self.found.records.push(Record::Kept(old.line));
        if old.path == b"." || old.has(b'o') {
            self.found.show_dir(old.path, &stat);
        }
        if old.has(b'e') {
            self.found.list_empty(old.path);
        }
        for name in old.names().filter(|it| matches!(it[0], b'F' | b'L' | b'D')) {
            self.found.list_ignored(&below(old.path, &name[1..]), name[0] == b'D');
        }
        Ok(())
    }

    /// Looks at a directory that changed. Fails if what changed may change the rest.
    fn changed(&mut self, old: &Old<'a>) -> Result<(), Trouble> {
        let found = &mut self.found;
        let Some(looked) = dir::look_into(found.unit, found.device, old.path)? else {
            found.in_doubt = true;
            self.gone.insert(old.path.to_vec());
            return Ok(());
        };
        // The rules of a directory that is known are known as well.
        let (dir, _) = found.take(looked);
        let was_inner = old.has(b'g');
        if old.has(b'k') || was_inner != dir.flags.contains('g') {
            return Err(Trouble(REPOSITORY.into()));
        }
        let mut before: HashMap<Vec<u8>, &[u8]> = old.names().map(|it| (plain(it), it)).collect();
        let mut unsorted = Vec::new();
        for place in found.keep(dir) {
            let name = found.name(place).to_vec();
            let Some(was) = before.remove(&name) else {
                check(found.unit, &name)?;
                unsorted.push(place);
                continue;
            };
            if is_git(&name[1..]) || was_inner {
                continue;
            }
            let path = below(old.path, &name[1..]);
            if was != name {
                found.mark_ignored(place);
                found.list_ignored(&path, name[0] == b'd');
            } else if self.tried.contains(&*path) {
                // It may have gone just when it was to be put into the index, and come again.
                found.new.push(path);
            }
        }
        for name in before.keys() {
            check(found.unit, name)?;
            if name[0] == b'd' {
                self.gone.insert(below(old.path, &name[1..]));
            }
        }
        found.sort_out(unsorted)
    }

    /// Looks at files whose directories may be as they were.
    fn files(&mut self) {
        let Again { found, gone, .. } = self;
        let unit = found.unit;
        let stat = |path: &[u8]| unit.at(path).symlink_metadata().map(|it| Stat::of(&it)).ok();
        let mut straight = HashMap::new();
        let mut there = |it: &'a [u8]| !is_below(it, gone) && is_straight(unit, it, &mut straight);
        for path in &self.often {
            if found.looked.contains(*path) || !there(path) {
                continue;
            }
            let Some(stat) = stat(path) else { continue };
            let name = path.rsplit(|it| *it == b'/').next().unwrap_or(path);
            if !stat.is_dir() || is_git(name) {
                found.notice(path, &stat);
            }
        }
        let mut new: HashSet<Vec<u8>> = found.new.iter().cloned().collect();
        for path in self.rest.iter().filter(|it| there(it)) {
            let Some(stat) = stat(path).filter(|it| it.is_file() || it.is_link()) else { continue };
            found.notice(path, &stat);
            if new.insert(path.to_vec()) {
                found.new.push(path.to_vec());
            }
        }
    }
}

/// Fails if something of this name coming or going may change the rest.
fn check(unit: &Unit, name: &[u8]) -> Result<(), Trouble> {
    if is_git(&name[1..]) {
        return Err(Trouble(REPOSITORY.into()));
    }
    if unit.is_work && &name[1..] == b".gitignore" {
        return Err(Trouble(RULES.into()));
    }
    Ok(())
}

/// Returns a name without the capital that says that it is ignored.
fn plain(name: &[u8]) -> Vec<u8> {
    let mut name = name.to_vec();
    if let Some(letter) = name.first_mut() {
        letter.make_ascii_lowercase();
    }
    name
}

/// Tells whether no link leads to a path: every directory above it is one. What is `known` of
/// directories is not asked again.
fn is_straight<'a>(unit: &Unit, path: &'a [u8], known: &mut HashMap<&'a [u8], bool>) -> bool {
    let Some(at) = path.iter().rposition(|it| *it == b'/') else { return true };
    let dir = &path[..at];
    if let Some(known) = known.get(dir) {
        return *known;
    }
    let is_dir = || unit.at(dir).symlink_metadata().is_ok_and(|it| it.is_dir());
    let is_straight = is_straight(unit, dir, known) && is_dir();
    known.insert(dir, is_straight);
    is_straight
}

/// Tells whether a path is one of these, or below one.
fn is_below(mut path: &[u8], gone: &HashSet<Vec<u8>>) -> bool {
    if gone.is_empty() {
        return false;
    }
    loop {
        if gone.contains(path) {
            return true;
        }
        let Some(at) = path.iter().rposition(|it| *it == b'/') else { return false };
        path = &path[..at];
    }
}
