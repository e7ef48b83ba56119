//! Which objects a repository has already, its own and those it borrows.

use std::{
    fs::File,
    os::unix::{ffi::OsStrExt, fs::FileExt},
    path::{Path, PathBuf},
};

use crate::checkpoint::packer::{Oid, hex};

/// How far lenders may borrow themselves: git's own limit.
const DEPTH_MAX: usize = 5;

/// Where the names of an index of a pack begin: after eight bytes and a table of 256 counts.
const NAMES_AT: u64 = 8 + 256 * 4;

/// The objects of a repository.
pub(super) struct Known {
    /// Directories with objects in files of their own.
    dirs: Vec<PathBuf>,
    packs: Vec<Index>,
}

/// The index of a pack.
struct Index {
    file: File,
    /// How many names begin with at most this byte.
    counts: Vec<u32>,
}

impl Known {
    /// Learns what is among these objects. What cannot be read counts as not there.
    pub fn of(objects: &Path) -> Known {
        let mut known = Known { dirs: vec![objects.to_owned()], packs: Vec::new() };
        let mut from = 0;
        for _ in 0..=DEPTH_MAX {
            let new = known.dirs[from..].to_vec();
            from = known.dirs.len();
            for dir in new {
                known.packs.extend(packs(&dir));
                let lent = lenders(&dir).into_iter().filter(|it| !known.dirs.contains(it));
                known.dirs.extend(lent.collect::<Vec<_>>());
            }
        }
        known
    }

    /// Tells whether an object is there.
    pub fn has(&self, oid: &Oid) -> bool {
        if self.packs.iter().any(|it| it.has(oid)) {
            return true;
        }
        let name = hex(oid);
        self.dirs.iter().any(|it| it.join(&name[..2]).join(&name[2..]).exists())
    }
}

fn packs(dir: &Path) -> Vec<Index> {
    let Ok(all) = dir.join("pack").read_dir() else { return Vec::new() };
    let all = all.filter_map(|it| it.ok().map(|it| it.path()));
    let index = |it: &PathBuf| it.extension().is_some_and(|it| it == "idx");
    all.filter(index)
        .filter(|it| it.with_extension("pack").exists())
        .filter_map(|it| Index::open(&it))
        .collect()
}

/// Returns the directories that one borrows from.
fn lenders(dir: &Path) -> Vec<PathBuf> {
    let text = std::fs::read(dir.join("info/alternates")).unwrap_or_default();
    let lines = text.split(|it| *it == b'\n');
    // A line in quotes is one of git's own way of writing; what it names counts as not there.
    let lines = lines.filter(|it| !it.is_empty() && !it.starts_with(b"#"));
    lines.map(|it| dir.join(std::ffi::OsStr::from_bytes(it))).collect()
}

impl Index {
    /// Opens one of version 2; others count as not there.
    fn open(path: &Path) -> Option<Index> {
        let file = File::open(path).ok()?;
        let mut head = vec![0; usize::try_from(NAMES_AT).ok()?];
        file.read_exact_at(&mut head, 0).ok()?;
        let table = head.strip_prefix(b"\xfftOc\0\0\0\x02")?;
        let counts = table.chunks_exact(4).filter_map(|it| it.try_into().ok());
        Some(Index { file, counts: counts.map(u32::from_be_bytes).collect() })
    }

    fn has(&self, oid: &Oid) -> bool {
        let first = usize::from(oid[0]);
        let mut low = first.checked_sub(1).map_or(0, |it| self.counts[it]);
        let mut high = self.counts[first];
        while low < high {
            let middle = low + (high - low) / 2;
            let mut found = [0; 20];
            if self.file.read_exact_at(&mut found, NAMES_AT + u64::from(middle) * 20).is_err() {
                return false;
            }
            match found.cmp(oid) {
                std::cmp::Ordering::Equal => return true,
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        false
    }
}
