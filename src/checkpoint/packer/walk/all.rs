//! Looking at all of a unit.

use crate::checkpoint::packer::{
    index,
    walk::{
        Trouble, Unit,
        found::{Found, Known},
        git,
    },
};

/// Reads the index of a unit: as it stands there, or as git lists it.
///
/// # Errors
///
/// If neither can be had.
pub(super) fn read_index(unit: &Unit) -> Result<Vec<u8>, Trouble> {
    match std::fs::read(&unit.index) {
        Ok(bytes) if index::entries(&bytes).is_ok() => Ok(bytes),
        _ => git::entries(unit),
    }
}

/// Returns the names in what [`read_index`] read, and whether each is a repository.
fn all_names(bytes: &[u8]) -> Vec<(bool, &[u8])> {
    if let Ok(entries) = index::entries(bytes) {
        return entries.map(|it| (it.is_repository(), it.name)).collect();
    }
    let lines = bytes.split(|it| *it == 0).filter_map(|it| {
        let tab = it.iter().position(|it| *it == b'\t')?;
        Some((it.starts_with(b"160000"), &it[tab + 1..]))
    });
    lines.collect()
}

/// Looks at all of a unit whose index is `index`.
///
/// # Errors
///
/// If something cannot be looked at, or git cannot say what is ignored.
pub(super) fn look<'a>(unit: &'a Unit, index: &'a [u8]) -> Result<Found<'a>, Trouble> {
    let mut known = Known::default();
    for (is_repository, name) in all_names(index) {
        if is_repository {
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
