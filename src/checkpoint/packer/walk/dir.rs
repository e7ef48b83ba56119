//! Reading one directory.

use std::{
    ffi::{OsStr, OsString},
    fs::DirEntry,
    io::{self, ErrorKind},
    os::unix::ffi::OsStrExt,
};

use crate::checkpoint::packer::walk::{Trouble, Unit, stat::Stat};

/// A directory as it is kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dir {
    /// Its path, `.` for the unit itself.
    pub path: Vec<u8>,
    /// What it was like before it was read.
    pub state: String,
    /// `-`, or `r` if it is to be read again; and `o` for odd permissions, `s` if it is shut, `e`
    /// if it is empty, `g` if it holds a `.git`, `k` for a repository that the index names.
    pub flags: String,
    /// Names, each with its letter in front and a NUL behind.
    pub names: Vec<u8>,
}

/// Rules of what is ignored: a file, and what it was like.
pub(super) type Rules = (Vec<u8>, String);

/// What was seen in a directory.
pub(super) struct Looked {
    /// What is kept of it.
    pub dir: Dir,
    /// What it was like.
    pub stat: Stat,
    /// What may have to be shown of what is in it, by path.
    pub noticed: Vec<(Vec<u8>, Stat)>,
    /// Rules in it.
    pub rules: Vec<Rules>,
    /// Whether something in it has attributes.
    pub has_attributes: bool,
    /// Whether what was seen is not to be built on.
    pub in_doubt: bool,
}

/// Reads a directory, or returns nothing if it is not there any more: what names it does not say
/// so then. `device` is where the unit is, if that is known already.
///
/// # Errors
///
/// If it cannot be looked at.
pub(super) fn look_into(
    unit: &Unit,
    device: Option<u64>,
    path: &[u8],
) -> Result<Option<Looked>, Trouble> {
    let at = unit.at(path);
    let trouble = |it| Trouble::at(path, it);
    let stat = match at.symlink_metadata() {
        Ok(meta) if meta.is_dir() => Stat::of(&meta),
        Ok(_) => return Ok(None),
        Err(it) if is_gone(&it) => return Ok(None),
        Err(it) => return Err(trouble(it)),
    };
    let mut looked = Looked::new(unit, device, path, stat);
    let entries = match at.read_dir() {
        Ok(entries) => entries,
        Err(it) if it.kind() == ErrorKind::PermissionDenied => {
            looked.dir.flags.push('s');
            return Ok(Some(looked));
        }
        Err(it) if is_gone(&it) => return Ok(None),
        Err(it) => return Err(trouble(it)),
    };
    let entries: io::Result<Vec<(OsString, DirEntry)>> =
        entries.map(|it| it.map(|it| (it.file_name(), it))).collect();
    let entries = entries.map_err(trouble)?;
    if entries.is_empty() && path != b"." {
        looked.dir.flags.push('e');
    }
    let is_inner = unit.is_work && path != b"." && entries.iter().any(|it| it.0 == ".git");
    if is_inner {
        looked.dir.flags.push('g');
    }
    for (name, entry) in entries {
        if !is_inner || name == ".git" {
            looked.add(unit, &name, &entry)?;
        }
    }
    Ok(Some(looked))
}

/// Tells whether that is because there is no such file, or no directory.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Tells whether git takes a file of this name for its own.
pub(super) fn is_git(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b".git")
}

/// Returns the path of what has a name in a directory.
pub(super) fn below(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir == b"." { name.to_vec() } else { [dir, b"/", name].concat() }
}

impl Looked {
    fn new(unit: &Unit, device: Option<u64>, path: &[u8], stat: Stat) -> Looked {
        let is_elsewhere = device.is_some_and(|it| it != stat.device);
        let mut flags = String::from(if unit.may_hide(&stat) || is_elsewhere { "r" } else { "-" });
        if stat.bits() != unit.executables {
            flags.push('o');
        }
        let dir = Dir { path: path.to_vec(), state: stat.of_dir(), flags, names: Vec::new() };
        Looked {
            dir,
            stat,
            noticed: Vec::new(),
            rules: Vec::new(),
            has_attributes: false,
            in_doubt: false,
        }
    }

    /// Adds what has a name in it.
    fn add(&mut self, unit: &Unit, name: &OsStr, entry: &DirEntry) -> Result<(), Trouble> {
        let name = name.as_bytes();
        let trouble = |it| Trouble::at(&below(&self.dir.path, name), it);
        let is_odd = is_git(name)
            || name.eq_ignore_ascii_case(b".gitignore")
            || name.eq_ignore_ascii_case(b".gitmodules");
        let attributes = name == b".gitattributes";
        // Of a directory nothing else is to be known, and so it need not be asked for.
        if !is_odd && entry.file_type().is_ok_and(|it| it.is_dir()) {
            self.has_attributes |= attributes;
            self.push(b'd', name);
            return Ok(());
        }
        let stat = match entry.metadata() {
            Ok(meta) => Stat::of(&meta),
            Err(it) if it.kind() == ErrorKind::NotFound => return Ok(()),
            Err(it) => return Err(trouble(it)),
        };
        self.has_attributes |= attributes;
        if stat.is_file() {
            self.push(b'f', name);
            if !is_odd && unit.is_usual(&stat) && !unit.is_recent(&stat) {
                return Ok(());
            }
        } else if stat.is_dir() {
            self.push(b'd', name);
            if !is_odd {
                return Ok(());
            }
        } else {
            self.push(if stat.is_link() { b'l' } else { b's' }, name);
        }
        let path = below(&self.dir.path, name);
        if unit.is_work && name == b".gitignore" {
            // Some versions of git follow a link, some do not.
            self.in_doubt |= !stat.is_file() || unit.may_hide(&stat);
            self.rules.push((path.clone(), stat.of_file()));
        }
        if !stat.is_dir() || is_git(name) {
            self.noticed.push((path, stat));
        }
        Ok(())
    }

    fn push(&mut self, letter: u8, name: &[u8]) {
        let names = &mut self.dir.names;
        names.push(letter);
        names.extend_from_slice(name);
        names.push(0);
    }
}
