//! The trees of what an index names.

use std::io;

use crate::checkpoint::packer::{
    Oid,
    index::Entry,
    pack::{self, Kind},
};

/// Directories in one another that are gone into; deeper ones are left to git.
const DEPTH_MAX: usize = 1000;

/// Git's mode of a tree.
const TREE: &str = "40000";

/// Makes the trees of `entries`, in their order, that hold new ones, those inside before those
/// around them.
///
/// # Errors
///
/// Those of `put`, and if directories are too deep.
pub(super) fn make(
    entries: &[Entry],
    mut put: impl FnMut(Oid, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    tree(entries, 0, 0, &mut put).map(drop)
}

/// Makes the tree of entries that have `from` bytes of their names in common, and tells whether
/// any is new.
///
/// An index is sorted as if a `/` stood behind the name of each directory, and so are trees.
fn tree(
    entries: &[Entry],
    from: usize,
    depth: usize,
    put: &mut impl FnMut(Oid, &[u8]) -> io::Result<()>,
) -> io::Result<(Oid, bool)> {
    if depth > DEPTH_MAX {
        return Err(io::Error::other("too deep"));
    }
    let (mut bytes, mut has_new) = (Vec::new(), false);
    let mut line = |mode: &str, name: &[u8], oid: &Oid| {
        for part in [mode.as_bytes(), b" ", name, b"\0", oid] {
            bytes.extend_from_slice(part);
        }
    };
    let mut rest = entries;
    while let Some((first, others)) = rest.split_first() {
        let name = &first.name[from..];
        let Some(slash) = name.iter().position(|it| *it == b'/') else {
            line(&format!("{:o}", first.mode), name, &first.oid);
            has_new |= first.is_new;
            rest = others;
            continue;
        };
        let inside = |it: &&Entry| it.name.get(from..=from + slash) == Some(&name[..=slash]);
        let count = rest.iter().take_while(inside).count();
        let (oid, is_new) = tree(&rest[..count], from + slash + 1, depth + 1, put)?;
        line(TREE, &name[..slash], &oid);
        has_new |= is_new;
        rest = &rest[count..];
    }
    let oid = pack::name(Kind::Tree, &bytes);
    if has_new {
        put(oid, &bytes)?;
    }
    Ok((oid, has_new))
}
