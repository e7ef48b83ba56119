//! An index of git's: what it names, and what it remembers of files.

use std::{collections::HashMap, io, ops::Range};

use sha1::{Digest, Sha1};

use crate::checkpoint::packer::{Oid, read::State};

/// What stands before the entries.
const HEAD: usize = 12;

/// What stands in an entry before its name, but for more flags in version 3.
const ENTRY: usize = 62;

/// Where in an entry these are.
const CHANGED: Range<usize> = 0..4;
const WRITTEN: Range<usize> = 8..12;
const WRITTEN_NANOS: Range<usize> = 12..16;
const MODE: Range<usize> = 24..28;
const SIZE: Range<usize> = 36..40;
const OID: Range<usize> = 40..60;
const FLAGS: Range<usize> = 60..62;

/// The flags of an entry that is of a conflict.
const STAGE: u32 = 0x3000;

/// The flag of an entry that has more flags.
const EXTENDED: u32 = 0x4000;

/// Git's mode of a repository inside.
const REPOSITORY: u32 = 0o160_000;

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its name: a path.
    pub name: Vec<u8>,
    /// Git's mode.
    pub mode: u32,
    /// The object.
    pub oid: Oid,
    /// Whether it was filled in just now.
    pub is_new: bool,
}

/// An entry as it stands in an index.
pub(super) struct Raw<'a> {
    /// Its numbers, object and flags.
    fields: &'a [u8],
    /// Its name: a path.
    pub name: &'a [u8],
}

impl Raw<'_> {
    fn number(&self, at: Range<usize>) -> u32 {
        self.fields[at].iter().fold(0, |sum, it| sum << 8 | u32::from(*it))
    }

    /// Returns its object.
    pub fn oid(&self) -> Oid {
        let mut oid = Oid::default();
        oid.copy_from_slice(&self.fields[OID]);
        oid
    }

    /// Tells whether it is a repository rather than a file.
    pub fn is_repository(&self) -> bool {
        self.number(MODE) == REPOSITORY
    }

    /// Returns when the file was written: seconds and nanoseconds.
    pub fn written(&self) -> (u32, u32) {
        (self.number(WRITTEN), self.number(WRITTEN_NANOS))
    }

    /// Returns the size of the file, modulo 2^32.
    pub fn size(&self) -> u32 {
        self.number(SIZE)
    }
}

/// Returns where the entries of an index stand, and their names in them. Only versions 2 and 3 are
/// known, and no extension that an index cannot be understood without: one that begins with a small
/// letter, as where entries are in another file.
///
/// # Errors
///
/// If it is another kind of index, or damaged.
fn places(bytes: &[u8]) -> io::Result<Vec<(usize, Range<usize>)>> {
    let damaged = || io::Error::other("the index is cut off");
    let (head, _) = bytes.split_first_chunk::<HEAD>().ok_or_else(damaged)?;
    if !matches!(&head[..8], b"DIRC\0\0\0\x02" | b"DIRC\0\0\0\x03") {
        return Err(io::Error::other("the index is of another version"));
    }
    let count = head[8..].iter().fold(0_u32, |sum, it| sum << 8 | u32::from(*it));
    let end = bytes.len().checked_sub(20).ok_or_else(damaged)?;
    let mut all = Vec::new();
    let mut at = HEAD;
    for _ in 0..count {
        let fields = bytes.get(at..at + ENTRY).ok_or_else(damaged)?;
        let flags = Raw { fields, name: b"" }.number(FLAGS);
        let from = at + ENTRY + if flags & EXTENDED == 0 { 0 } else { 2 };
        let name = bytes.get(from..end).ok_or_else(damaged)?;
        let length = name.iter().position(|it| *it == 0).ok_or_else(damaged)?;
        all.push((at, from..from + length));
        at += (from - at + length + 8) & !7;
    }
    while at < end {
        let head =
            bytes[..end].get(at..).and_then(|it| it.first_chunk::<8>()).ok_or_else(damaged)?;
        if !head[0].is_ascii_uppercase() {
            return Err(io::Error::other("the index is not whole by itself"));
        }
        let length = head[4..].iter().fold(0, |sum, it| sum << 8 | usize::from(*it));
        at += head.len() + length;
    }
    if at == end { Ok(all) } else { Err(damaged()) }
}

/// Returns the entries of an index.
///
/// # Errors
///
/// If it is of a kind that is not known, or damaged.
pub(super) fn entries(bytes: &[u8]) -> io::Result<impl Iterator<Item = Raw<'_>>> {
    let raw = |(at, name): (usize, Range<usize>)| Raw {
        fields: &bytes[at..at + ENTRY],
        name: &bytes[name],
    };
    Ok(places(bytes)?.into_iter().map(raw))
}

/// Fills in states where `bytes`, an index, has none. Returns the entries, or nothing if no trees
/// can be made of them.
///
/// # Errors
///
/// If it is of another version, or damaged.
pub(super) fn fill(
    bytes: &mut [u8],
    states: &HashMap<&[u8], State>,
) -> io::Result<Option<Vec<Entry>>> {
    let (mut entries, mut is_clear) = (Vec::new(), true);
    for (at, name) in places(bytes)? {
        let name = bytes[name].to_vec();
        let raw = Raw { fields: &bytes[at..at + ENTRY], name: &name };
        let (mode, oid) = (raw.number(MODE), raw.oid());
        // More flags may say that an entry is not of a tree yet.
        is_clear &= raw.number(FLAGS) & (STAGE | EXTENDED) == 0;
        // One without a time of change is one that was told of, not read.
        let state = states.get(&*name).filter(|_| raw.number(CHANGED) == 0);
        if let Some(state) = state {
            state.fill(&mut bytes[at..at + ENTRY]);
        }
        entries.push(Entry { name, mode, oid, is_new: state.is_some() });
    }
    let end = bytes.len() - 20;
    let sum = Sha1::digest(&bytes[..end]);
    bytes[end..].copy_from_slice(&sum);
    Ok(is_clear.then_some(entries))
}
