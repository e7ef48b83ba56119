//! Looks at all of a unit in one walk, and the next time only at directories that changed since:
//! what `scripts/walk.pl` does where there is no such program, and says more of. Either goes on
//! from what the other wrote down.
//!
//! ```text
//! index ──▶ all ───┐           ┌─▶ what look.sh prints
//!                  ├──▶ found ─┤
//! state ──▶ again ─┘     ▲     └─▶ the next state
//!             names ─────┴──── git check-ignore
//! ```
//!
//! Directories are read by several threads; what was found in them is sorted by one, in their
//! order. Memory is bounded by what the unit holds: its names, once.

mod again;
mod all;
mod dir;
mod found;
mod git;
mod mounts;
mod side;
mod stat;

#[cfg(test)]
mod tests;

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use sha1::{Digest, Sha1};

use crate::{
    checkpoint::packer::{
        PackError, hex,
        walk::{
            found::{Found, Record},
            stat::Stat,
        },
    },
    stdx::time::{Clock, SystemClock},
};

/// How long ago in seconds what is recent changed, the second that has begun not counted.
const RECENT: f64 = 2.0;

/// Why it cannot be done this way.
#[derive(Clone, Debug)]
struct Trouble(String);

impl Trouble {
    /// Says what it is about.
    fn of(what: &str) -> impl Fn(io::Error) -> Trouble {
        move |it| Trouble(format!("{what}: {it}"))
    }

    /// Says which path it is about.
    fn at(path: &[u8], error: io::Error) -> Trouble {
        Trouble(format!("{}: {error}", path.escape_ascii()))
    }
}

/// What is to be looked at, and how.
struct Unit {
    /// Where it is; empty for the current directory.
    root: PathBuf,
    /// Where what is found goes, and the number of the unit there.
    tmp: PathBuf,
    number: OsString,
    /// Whether it has rules, and repositories that are not of it.
    is_work: bool,
    /// Usual permissions of files, and of files that may be run and directories.
    files: u32,
    executables: u32,
    /// Files longer than this are shown.
    huge: u64,
    /// When looking began, and since when a clock may be too coarse to show a change.
    now: f64,
    grace: f64,
    /// What was written down the last time, none if nothing is to be.
    state: PathBuf,
    /// Rules that are not in the unit: where, and what they are.
    exclude: PathBuf,
    outside: Vec<u8>,
    /// The index, and the checksum of the user's.
    index: PathBuf,
    sum_of_theirs: String,
    /// What a state depends on.
    key: String,
    /// What git is told besides what this program was.
    env: Vec<(&'static str, PathBuf)>,
}

impl Unit {
    /// Reads what was said: `TMP NUMBER KIND MASK HUGE GRACE STATE EXCLUDE THEIRS`.
    fn new(root: &Path, index: PathBuf, words: &[OsString]) -> Result<Unit, Trouble> {
        let [tmp, number, kind, mask, huge, grace, state, exclude, theirs] = words else {
            return Err(Trouble("expected nine words".into()));
        };
        let odd = |it: &OsStr| Trouble(format!("odd: {}", it.display()));
        let [kind, mask, huge, grace] =
            [kind, mask, huge, grace].map(|it| it.to_str().unwrap_or("?"));
        let bits = u32::from_str_radix(mask, 8).map_err(|_| odd(mask.as_ref()))?;
        let is_work = kind == "work";
        let outside = if is_work {
            std::fs::read(exclude).map_err(Trouble::of("rules"))?
        } else {
            Vec::new()
        };
        let here =
            if root.as_os_str().is_empty() { std::env::current_dir() } else { root.canonicalize() };
        let here = here.map_err(Trouble::of("the unit"))?;
        let sum = |it: &[u8]| hex(&Sha1::digest(it));
        let (rules, place) = (sum(&outside), sum(here.as_os_str().as_bytes()));
        let keeps = !state.is_empty() && mounts::keeps_times(&here);
        Ok(Unit {
            root: root.to_owned(),
            tmp: tmp.into(),
            number: number.clone(),
            is_work,
            files: 0o666 & !bits,
            executables: 0o777 & !bits,
            huge: huge.parse().map_err(|_| odd(huge.as_ref()))?,
            now: SystemClock.now().0 as f64 / 1000.0,
            grace: grace.parse().map_err(|_| odd(grace.as_ref()))?,
            state: if keeps { state.into() } else { PathBuf::new() },
            exclude: exclude.into(),
            outside,
            index,
            sum_of_theirs: sum_of(Path::new(theirs)),
            key: format!("{rules} {kind} {mask} {huge} {place}"),
            env: Vec::new(),
        })
    }

    /// Returns where something in it is.
    fn at(&self, path: &[u8]) -> PathBuf {
        self.root.join(OsStr::from_bytes(path))
    }

    /// Returns where something that was found goes.
    fn out(&self, what: &str) -> PathBuf {
        let mut name = OsString::from(format!("{what}."));
        name.push(&self.number);
        self.tmp.join(name)
    }

    fn write(&self, what: &str, bytes: impl AsRef<[u8]>) -> Result<(), Trouble> {
        std::fs::write(self.out(what), bytes).map_err(Trouble::of(what))
    }

    /// Tells whether anything is written down for the next time.
    fn keeps(&self) -> bool {
        !self.state.as_os_str().is_empty()
    }

    /// Tells whether it may change once more and look as it does now.
    fn may_hide(&self, stat: &Stat) -> bool {
        stat.changed.value() >= self.now - self.grace
    }

    /// Tells whether it changed so shortly before that it is looked at once more.
    fn is_recent(&self, stat: &Stat) -> bool {
        stat.changed.value() >= self.now.floor() - RECENT
    }

    /// Tells whether nothing is to be shown of such a file.
    fn is_usual(&self, stat: &Stat) -> bool {
        let bits = stat.bits();
        (bits == self.files || bits == self.executables) && stat.size <= self.huge
    }

    /// Tells whether rules outside of it say anything.
    fn has_rules_outside(&self) -> bool {
        let is_blank = |it: &u8| it.is_ascii_whitespace() || *it == b'\x0b';
        let mut lines = self.outside.split(|it| *it == b'\n').filter_map(|it| it.first());
        lines.any(|it| *it != b'#' && !is_blank(it))
    }

    /// Tells whether there is a repository at this path.
    fn is_repository(&self, path: &[u8]) -> bool {
        let at = self.at(path);
        let is_dir = at.symlink_metadata().is_ok_and(|it| it.is_dir());
        is_dir && at.join(".git").symlink_metadata().is_ok()
    }
}

/// Returns the checksum that an index ends with, `-` if it has none.
fn sum_of(index: &Path) -> String {
    use std::io::{Read, Seek, SeekFrom};
    let read = || -> io::Result<[u8; 20]> {
        let mut file = std::fs::File::open(index)?;
        file.seek(SeekFrom::End(-20))?;
        let mut sum = [0; 20];
        file.read_exact(&mut sum)?;
        Ok(sum)
    };
    read().ok().filter(|it| *it != [0; 20]).map_or_else(|| "-".into(), |it| hex(&it))
}

/// Looks at the unit that is the current directory, as said by `words`.
///
/// # Errors
///
/// If it cannot be done this way, or if git refuses.
pub(super) fn run(words: &[OsString]) -> Result<(), PackError> {
    let index = std::env::var_os("GIT_INDEX_FILE").unwrap_or_default();
    let unit = Unit::new(Path::new(""), index.into(), words);
    look(&unit.map_err(|it| PackError::Failed(it.0))?)
}

fn look(unit: &Unit) -> Result<(), PackError> {
    let failed = |it: Trouble| PackError::Failed(it.0);
    // What git knows is looked at side by side with the walk.
    let changed = unit.out("changed");
    let git = git::Beside::start(unit, &changed).map_err(Trouble::of("git")).map_err(failed)?;
    let state = match unit.keeps() {
        true => std::fs::read(&unit.state).map_err(|_| Trouble("nothing is known".into())),
        false => Err(Trouble("nothing is kept".into())),
    };
    let quick = state.as_ref().map_err(Clone::clone).and_then(|it| again::look(unit, it));
    let index;
    let (mut found, ways, why) = match quick {
        Ok((found, true)) => (found, "same", "quick".into()),
        Ok((found, false)) => (found, "ours", "quick".into()),
        Err(Trouble(why)) => {
            index = all::read_index(unit).map_err(failed)?;
            (all::look(unit, &index).map_err(failed)?, "other", why)
        }
    };
    if !git.end().map_err(Trouble::of("git")).map_err(failed)? {
        return Err(PackError::Git);
    }
    let changed = std::fs::read(changed).map_err(Trouble::of("changed")).map_err(failed)?;
    see_changed(unit, &mut found, &changed);
    tell(unit, found, &why, ways).map_err(failed)
}

/// Sees to what git says that changed.
fn see_changed(unit: &Unit, found: &mut Found<'_>, changed: &[u8]) {
    let mut fields = changed.split(|it| *it == 0);
    while let (Some(head), Some(path)) = (fields.next(), fields.next()) {
        if head.ends_with(b"D") {
            continue;
        }
        let Ok(meta) = unit.at(path).symlink_metadata() else { continue };
        if !meta.is_dir() {
            found.notice(path, &Stat::of(&meta));
        }
        found.again.insert(path.to_vec());
    }
    found.again.extend(found.new.iter().cloned());
}

/// Writes down what was found.
fn tell(unit: &Unit, found: Found<'_>, why: &str, ways: &str) -> Result<(), Trouble> {
    let ended =
        |all: &[&[u8]]| all.iter().flat_map(|it| [it, &b"\0"[..]].concat()).collect::<Vec<_>>();
    unit.write("looked", why)?;
    if ways == "other" {
        unit.write("attributes", if found.has_attributes { "some" } else { "" })?;
    }
    unit.write("hollow", ended(&found.known.hollow))?;
    unit.write("rules", if found.has_rules() { ways } else { "none" })?;
    unit.write("new", ended(&found.new.iter().map(|it| &**it).collect::<Vec<_>>()))?;
    unit.write("ignored", &found.ignored)?;
    unit.write("empty", &found.empty)?;
    let shut = found
        .shut
        .iter()
        .flat_map(|it| [b"warning: could not open directory '", &**it, b"/': \n"].concat());
    unit.write("shut", shut.collect::<Vec<_>>())?;
    unit.write("seen", &found.seen)?;
    if unit.keeps() && !found.in_doubt {
        unit.write("state", written(unit, &found))?;
    }
    Ok(())
}

/// Returns what the next look begins from.
fn written(unit: &Unit, found: &Found<'_>) -> Vec<u8> {
    let mut all = Vec::new();
    let mut record = |fields: &[&[u8]]| {
        for field in fields {
            all.extend_from_slice(field);
            all.push(0);
        }
        all.push(0);
    };
    record(&[b"K", unit.key.as_bytes()]);
    record(&[b"F", unit.sum_of_theirs.as_bytes()]);
    for (path, state) in &found.rules {
        record(&[b"I", path, state.as_bytes()]);
    }
    for path in &found.again {
        record(&[b"O", path]);
    }
    for dir in &found.records {
        match dir {
            Record::Kept(line) => record(&[line]),
            Record::New(it) => {
                let (state, flags) = (it.state.as_bytes(), it.flags.as_bytes());
                match it.names.strip_suffix(b"\0") {
                    Some(names) => record(&[b"D", &it.path, state, flags, names]),
                    None => record(&[b"D", &it.path, state, flags]),
                }
            }
        }
    }
    record(&[b"E"]);
    all
}
