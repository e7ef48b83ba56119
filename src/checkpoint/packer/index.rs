//! An index of git's: what it names, and what it remembers of files.

use std::{collections::HashMap, io, ops::Range};

use sha1::{Digest, Sha1};

use crate::checkpoint::packer::{Oid, read::State};

/// What stands before the entries.
const HEAD: usize = 12;

/// What stands in an entry before its name, in version 2.
const ENTRY: usize = 62;

/// Where in an entry its mode, its object and its flags are.
const MODE: Range<usize> = 24..28;
const OID: Range<usize> = 40..60;
const FLAGS: Range<usize> = 60..62;

/// The flags of an entry that is of a conflict.
const STAGE: u16 = 0x3000;

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

/// Fills in states where `bytes`, an index, has none. Returns the entries, or nothing if no trees
/// can be made of them or if it is of another version and stays as it is.
///
/// # Errors
///
/// If it is damaged.
pub(super) fn fill(
    bytes: &mut [u8],
    states: &HashMap<&[u8], State>,
) -> io::Result<Option<Vec<Entry>>> {
    let damaged = || io::Error::other("the index is cut off");
    let (head, _) = bytes.split_first_chunk::<HEAD>().ok_or_else(damaged)?;
    let (magic, count) = head.split_at(8);
    if magic != b"DIRC\0\0\0\x02" {
        return Ok(None);
    }
    let count = u32::from_be_bytes(count.try_into().map_err(io::Error::other)?);
    let (mut entries, mut is_clear) = (Vec::new(), true);
    let mut at = HEAD;
    for _ in 0..count {
        let entry = bytes.get_mut(at..).ok_or_else(damaged)?;
        let name = entry.get(ENTRY..).ok_or_else(damaged)?;
        let length = name.iter().position(|it| *it == 0).ok_or_else(damaged)?;
        let name = name[..length].to_vec();
        let number =
            |it: Range<usize>| entry[it].iter().fold(0, |sum, it| sum << 8 | u32::from(*it));
        let (mode, flags) = (number(MODE), number(FLAGS));
        is_clear &= flags & u32::from(STAGE) == 0;
        let mut oid = Oid::default();
        oid.copy_from_slice(&entry[OID]);
        // One without a time of change is one that was told of, not read.
        let state = states.get(&*name).filter(|_| entry[..4] == [0; 4]);
        if let Some(state) = state {
            state.fill(&mut entry[..ENTRY]);
        }
        entries.push(Entry { name, mode, oid, is_new: state.is_some() });
        at += (ENTRY + length + 8) & !7;
    }
    let end = bytes.len().checked_sub(20).filter(|it| at <= *it).ok_or_else(damaged)?;
    let sum = Sha1::digest(&bytes[..end]);
    bytes[end..].copy_from_slice(&sum);
    Ok(is_clear.then_some(entries))
}
