//! Looking at all of a unit.

use crate::checkpoint::packer::walk::{
    Trouble, Unit,
    found::{Found, Known},
    git,
};

/// Git's mode of a repository inside.
const REPOSITORY: u32 = 0o160_000;

/// What stands before the entries of an index, in an entry before its name, and at the end.
const HEAD: usize = 12;
const ENTRY: usize = 62;
const SUM: usize = 20;

/// Reads the index of a unit: as it stands there, or as git lists it.
///
/// # Errors
///
/// If neither can be had.
pub(super) fn read_index(unit: &Unit) -> Result<Vec<u8>, Trouble> {
    match std::fs::read(&unit.index) {
        Ok(bytes) if names(&bytes).is_some() => Ok(bytes),
        _ => git::entries(unit),
    }
}

/// Returns the modes and names in what [`read_index`] read.
fn all_names(bytes: &[u8]) -> Vec<(u32, &[u8])> {
    names(bytes).unwrap_or_else(|| {
        let lines = bytes.split(|it| *it == 0).filter_map(|it| {
            let tab = it.iter().position(|it| *it == b'\t')?;
            let is_repository = it.starts_with(b"160000");
            Some((if is_repository { REPOSITORY } else { 0 }, &it[tab + 1..]))
        });
        lines.collect()
    })
}

/// Returns the modes and names in an index of version 2 that is whole by itself.
fn names(bytes: &[u8]) -> Option<Vec<(u32, &[u8])>> {
    let count = bytes.get(..HEAD)?.strip_prefix(b"DIRC\0\0\0\x02")?;
    let end = bytes.len().checked_sub(SUM)?;
    let number = |it: &[u8]| it.iter().fold(0, |sum, it| sum << 8 | u32::from(*it));
    let mut all = Vec::new();
    let mut at = HEAD;
    for _ in 0..number(count) {
        let entry = bytes.get(at..end)?;
        let length = entry.get(ENTRY..)?.iter().position(|it| *it == 0)?;
        all.push((number(&entry[24..28]), &entry[ENTRY..ENTRY + length]));
        at += (ENTRY + length + 8) & !7;
    }
    // What follows may change what the entries mean, unless it has a capital.
    while at < end {
        let head = bytes.get(at..end)?.first_chunk::<8>()?;
        if !head[0].is_ascii_uppercase() {
            return None;
        }
        at += 8 + usize::try_from(number(&head[4..])).ok()?;
    }
    (at == end).then_some(all)
}

/// Looks at all of a unit whose index is `index`.
///
/// # Errors
///
/// If something cannot be looked at, or git cannot say what is ignored.
pub(super) fn look<'a>(unit: &'a Unit, index: &'a [u8]) -> Result<Found<'a>, Trouble> {
    let mut known = Known::default();
    for (mode, name) in all_names(index) {
        if mode == REPOSITORY {
            // What is where a repository was is as anything else.
            if !unit.is_repository(name) {
                known.hollow.push(name);
                continue;
            }
            known.links.insert(name);
        }
        known.names.insert(name);
        let mut above = name;
        while let Some(at) = above.iter().rposition(|it| *it == b'/') {
            above = &above[..at];
            if !known.around.insert(above) {
                break;
            }
        }
    }
    let mut found = Found::new(unit, known);
    let places = found.enter(&[b".".to_vec()])?;
    if found.records.is_empty() {
        return Err(Trouble("it went away".into()));
    }
    found.sort_out(places)?;
    Ok(found)
}
