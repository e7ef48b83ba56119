//! What `take.sh` is told, and what it says. Pure.

use std::collections::BTreeSet;

use crate::{
    checkpoint::{
        look::{Sections, items},
        meta::{Meta, UnitKind, Why},
        plan::{Part, Taking},
        shadow::{Beside, Source},
    },
    domain::checkpoint::Change,
};

/// The arguments and the input of the script.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Arguments after those that say where.
    pub args: Vec<Vec<u8>>,
    /// Its input.
    pub input: Vec<u8>,
}

impl Told {
    fn arg(&mut self, arg: impl Into<Vec<u8>>) {
        self.args.push(arg.into());
    }

    fn slice(&mut self, bytes: &[u8]) {
        self.arg(self.input.len().to_string());
        self.arg(bytes.len().to_string());
        self.input.extend_from_slice(bytes);
    }

    fn list<'a>(&mut self, paths: impl Iterator<Item = &'a Vec<u8>>) {
        let bytes: Vec<u8> = paths.flat_map(|it| it.iter().chain(&[0])).copied().collect();
        self.slice(&bytes);
    }

    /// Adds what the checkpoint says of itself. The script adds how much it is, which is known
    /// last.
    pub fn meta(&mut self, meta: &Meta) {
        let text = serde_json::to_string(meta).unwrap_or_default();
        let amount = format!("\"files\":{},\"bytes\":{}}}", meta.files, meta.bytes);
        self.slice(text.strip_suffix(&amount).unwrap_or(&text).as_bytes());
    }

    /// Adds the units.
    pub fn units(&mut self, parts: &[Part], takings: &[Taking]) {
        self.arg(parts.len().to_string());
        for (number, (part, taking)) in parts.iter().zip(takings).enumerate() {
            self.arg(number.to_string());
            self.arg(part.how.as_str());
            self.arg(&*part.path);
            self.list(taking.add.iter());
            self.list(taking.drop.iter());
            self.slice(&taking.manifest.write());
            self.slice(&after(part, taking));
        }
    }

    /// Adds what is saved beside the workspace.
    pub fn beside(&mut self, all: &[Beside]) {
        self.arg(all.len().to_string());
        for Beside { name, source } in all {
            self.arg(name.as_str());
            match source {
                Source::Path(path) => {
                    self.arg("path");
                    self.arg(path.as_str());
                    self.slice(b"");
                }
                Source::Before => {
                    self.arg("before");
                    self.arg("");
                    self.slice(b"");
                }
                Source::Bytes(bytes) => {
                    self.arg("bytes");
                    self.arg("");
                    self.slice(bytes);
                }
            }
        }
    }
}

/// Returns what the next walk is to know: files that were to be put into the index, which may not
/// have been there just then, and files that are not in it.
fn after(part: &Part, taking: &Taking) -> Vec<u8> {
    let listing = &part.listing;
    if !listing.is_kept {
        return Vec::new();
    }
    if !listing.dropped.is_disjoint(&taking.drop) {
        // They count as ignored from now on: the next one looks at everything.
        return b"K\0\0\0".to_vec();
    }
    let rest = [&listing.new, &listing.changed, &listing.deleted, &listing.inherited, &taking.drop];
    let rest: BTreeSet<&Vec<u8>> = rest.into_iter().flatten().collect();
    let rest = rest.into_iter().filter(|it| !taking.add.contains(*it) && !it.ends_with(b"/"));
    let add = taking.add.iter().map(|it| (&b"A\0"[..], it));
    let all = add.chain(rest.map(|it| (&b"R\0"[..], it)));
    all.flat_map(|(letter, path)| [letter, path, b"\0\0"].concat()).collect()
}

/// Reads what was made: the commit or the tree, files, bytes.
pub(super) fn made(sections: &Sections) -> Option<(String, u64, u64)> {
    let text = std::str::from_utf8(sections.get("made")?).ok()?;
    let mut words = text.split(' ');
    let commit = words.next().filter(|it| it.len() >= 40)?.to_owned();
    Some((commit, words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// Counts how much differs in work trees: `diff-tree --raw --numstat -z` of two checkpoints.
pub(super) fn change(bytes: &[u8], meta: &Meta) -> Change {
    let is_work = |path: &[u8]| {
        if path.starts_with(b"w/") {
            return true;
        }
        let number = path.strip_prefix(b"u/").and_then(|it| it.split(|it| *it == b'/').next());
        let number = number.and_then(|it| std::str::from_utf8(it).ok()?.parse::<usize>().ok());
        let unit = number.and_then(|it| meta.units.get(it.checked_sub(1)?));
        unit.is_some_and(|it| it.kind == UnitKind::Work)
    };
    let mut change = Change::default();
    let mut items = items(bytes);
    while let Some(item) = items.next() {
        if item.starts_with(b":") {
            let Some(path) = items.next() else { break };
            let status = item.rsplit(|it| *it == b' ').next().unwrap_or_default();
            let count = match status.first() {
                Some(b'A') => &mut change.added,
                Some(b'D') => &mut change.deleted,
                _ => &mut change.modified,
            };
            *count += u64::from(is_work(path));
        } else {
            let mut words = item.splitn(3, |it| *it == b'\t');
            let mut number =
                || std::str::from_utf8(words.next()?).ok()?.parse::<u64>().ok().or(Some(0));
            let (added, removed) = (number().unwrap_or(0), number().unwrap_or(0));
            if words.next().is_some_and(is_work) {
                change.lines_added += added;
                change.lines_removed += removed;
            }
        }
    }
    change
}

/// Returns which files of the workspace stopped it, and why, from what it said and complained of.
/// Nothing if it was something else.
pub(super) fn stoppers(
    sections: &Sections,
    complaint: &[u8],
    parts: &[Part],
    takings: &[Taking],
) -> Vec<(Vec<u8>, Why)> {
    let number = sections.get("unit").and_then(|it| std::str::from_utf8(it).ok()?.parse().ok());
    let Some(number) = number.filter(|it: &usize| *it < parts.len()) else { return Vec::new() };
    let whole = |path: &[u8]| {
        let root = &parts[number].path;
        if root.is_empty() { path.to_vec() } else { [&**root, b"/", path].concat() }
    };
    let closed = sections.get("closed").copied().unwrap_or_default();
    let closed: Vec<_> = items(closed).map(|it| (whole(it), Why::Unreadable)).collect();
    if !closed.is_empty() {
        return closed;
    }
    let named = |line: &[u8]| {
        line.strip_prefix(b"fatal: Unable to process path ")
            .or_else(|| line.strip_prefix(b"fatal: git update-index: cannot add to the index - "))
            .map(<[u8]>::to_vec)
    };
    // A newline is not escaped, so the rest of the complaint is the name, or begins with it. Other
    // control characters are replaced.
    let shown = |path: &[u8]| -> Vec<u8> {
        let mask =
            |it: &u8| if it.is_ascii_control() && !b"\t\n".contains(it) { b'?' } else { *it };
        path.iter().map(mask).collect()
    };
    let starts = complaint.iter().enumerate().filter(|it| *it.1 == b'\n').map(|it| it.0 + 1);
    let rest = std::iter::once(0).chain(starts).find_map(|at| named(&complaint[at..]));
    let Some(rest) = rest else { return Vec::new() };
    let is_it = |path: &&Vec<u8>| {
        let shown = shown(path);
        rest.strip_prefix(&*shown).is_some_and(|it| it.is_empty() || it.starts_with(b"\n"))
    };
    let longest = takings[number].add.iter().filter(is_it).max_by_key(|it| it.len());
    longest.map(|it| (whole(it), Why::Changing)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::checkpoint::{
        look::Listing,
        manifest::{Base, Manifest},
        plan::How,
    };

    fn taking(add: &[&[u8]]) -> Taking {
        Taking {
            add: add.iter().map(|it| it.to_vec()).collect(),
            drop: BTreeSet::new(),
            manifest: Manifest::new(Base::of_umask(0o022)),
            left_out: Vec::new(),
        }
    }

    #[test]
    fn the_file_that_stopped_it_is_known_by_its_name() {
        let part = |path: &[u8]| Part {
            path: path.into(),
            how: How::Work,
            listing: Listing::default(),
            seen: None,
            outer: 0,
        };
        let parts = [part(b""), part(b"in")];
        let takings = [taking(&[]), taking(&[b"a", b"a\nb", b"c\x1bd", b"e"])];
        let sections = Sections::from([("unit", &b"1"[..]), ("closed", b"")]);
        for (said, name) in
            [("a", &b"in/a"[..]), ("a\nb", b"in/a\nb"), ("c?d", b"in/c\x1bd"), ("a\nx", b"in/a")]
        {
            let said = format!("error: x\nfatal: Unable to process path {said}\n");
            let found = stoppers(&sections, said.as_bytes(), &parts, &takings);
            assert_eq!(found, [(name.to_vec(), Why::Changing)], "{said}");
        }
        assert_eq!(stoppers(&sections, b"fatal: no room\n", &parts, &takings), []);
        let closed = Sections::from([("unit", &b"0"[..]), ("closed", b"x\0y\0")]);
        let found = stoppers(&closed, b"fatal: Unable to process path x\n", &parts, &takings);
        let why = Why::Unreadable;
        assert_eq!(found, [(b"x".to_vec(), why), (b"y".to_vec(), why)]);
    }
}
