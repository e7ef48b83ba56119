//! What is taken of a unit, and what is left out and why. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::checkpoint::{
    look::{Found, Listing},
    manifest::{Base, Manifest},
    meta::{LeftOut, UnitKind, Why},
    shadow::Rules,
};

/// How a part of the workspace is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// A work tree, with its ignore rules.
    Work,
    /// A directory called `.git`, whole.
    Git,
    /// A file or a link, as one blob.
    File,
}

impl How {
    /// Returns the word for it that scripts know.
    pub fn as_str(self) -> &'static str {
        match self {
            How::Work => "work",
            How::Git => "git",
            How::File => "file",
        }
    }

    /// Returns what it is called in a checkpoint.
    pub fn kind(self) -> UnitKind {
        match self {
            How::Work => UnitKind::Work,
            How::Git | How::File => UnitKind::Git,
        }
    }
}

/// A part of the workspace with an index of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Its path in the workspace; empty for the workspace itself.
    pub path: Vec<u8>,
    /// How it is taken.
    pub how: How,
    /// What was seen of it; a file is only seen.
    pub listing: Listing,
    /// What was seen of it from above.
    pub seen: Option<Found>,
    /// The number of the part that it is in; its own for the workspace.
    pub outer: usize,
}

impl Part {
    fn join(&self, path: &[u8]) -> Vec<u8> {
        if self.path.is_empty() { path.to_vec() } else { [&*self.path, b"/", path].concat() }
    }

    /// Returns `path`, which is of the workspace, as seen from here, if it is below this.
    pub fn below<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        if self.path.is_empty() {
            return (!path.is_empty()).then_some(path);
        }
        path.strip_prefix(&*self.path)?.strip_prefix(b"/")
    }
}

/// What to do with a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Taking {
    /// Files to read.
    pub add: BTreeSet<Vec<u8>>,
    /// Files of the index that are not of it any more.
    pub drop: BTreeSet<Vec<u8>>,
    /// What git does not record.
    pub manifest: Manifest,
    /// What is not taken; paths are of the workspace.
    pub left_out: Vec<LeftOut>,
}

/// What holds for all units.
#[derive(Clone, Debug)]
pub(super) struct Context<'a> {
    /// What is saved.
    pub rules: &'a Rules,
    /// The permissions that are not recorded.
    pub base: Base,
    /// What looks like a secret and is tracked; paths are of the workspace.
    pub tracked: BTreeSet<Vec<u8>>,
    /// What could not be taken before; paths are of the workspace.
    pub skip: BTreeMap<Vec<u8>, Why>,
}

/// Returns the parts directly inside `part`: repositories, and all else that git refuses to take by
/// its name. What is in a part inside it comes when that has been looked at.
pub(super) fn parts_inside(part: &Part, top: bool) -> Vec<(Vec<u8>, How, Option<Found>)> {
    let listing = &part.listing;
    let mut roots = BTreeSet::new();
    let mut parts = Vec::new();
    let odd = listing.found.iter().filter(|(path, found)| is_refused(path, Some(found)));
    let odd: Vec<_> = odd.filter(|(path, _)| !listing.is_ignored(path)).collect();
    for (path, _) in odd.iter().filter(|_| part.how == How::Work) {
        if let Some(root) = path.strip_suffix(b"/.git") {
            roots.insert(root);
        }
    }
    let is_deeper = |path: &[u8], mine: &[u8]| {
        above(path).any(|it| it != mine && it != path && roots.contains(it))
    };
    for root in roots.iter().filter(|it| !is_deeper(it, it)) {
        parts.push((part.join(root), How::Work, None));
    }
    for (path, found) in odd {
        let mine = path.strip_suffix(b"/.git").unwrap_or_default();
        let skip = top && part.path.is_empty() && **path == *b".git";
        let how = match found.kind {
            b'd' => How::Git,
            b'-' | b'l' => How::File,
            _ => continue,
        };
        if !skip && !is_deeper(path, mine) {
            parts.push((part.join(path), how, Some(*found)));
        }
    }
    parts.sort_by(|a, b| a.0.cmp(&b.0));
    parts
}

/// Returns the directories that hold `path`, without the unit itself.
fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.iter().enumerate().filter(|it| *it.1 == b'/').map(|it| &path[..it.0])
}

/// Tells whether git takes nothing of this name.
fn is_refused(path: &[u8], found: Option<&Found>) -> bool {
    let name = name_of(path);
    let modules = found.is_some_and(|it| it.kind == b'l');
    name.eq_ignore_ascii_case(b".git") || modules && name.eq_ignore_ascii_case(b".gitmodules")
}

fn name_of(path: &[u8]) -> &[u8] {
    path.rsplit(|it| *it == b'/').next().unwrap_or(path)
}

/// Returns files of a work tree that look like secrets and need not be tracked; paths are of the
/// workspace.
pub(super) fn suspects(part: &Part) -> Vec<Vec<u8>> {
    if part.how != How::Work {
        return Vec::new();
    }
    let new = part.listing.new.iter().filter(|it| is_secret(it));
    new.chain(&part.listing.held).map(|it| part.join(it)).collect()
}

/// Tells whether a file of this name usually holds a secret.
pub(super) fn is_secret(path: &[u8]) -> bool {
    let name = name_of(path).to_ascii_lowercase();
    let harmless = [&b".example"[..], b".sample", b".template", b".dist", b".defaults"];
    if name == b".env" || name.starts_with(b".env.") {
        return !harmless.iter().any(|it| name.ends_with(it));
    }
    let endings = [&b".pem"[..], b".key", b".p12", b".pfx", b".jks", b".keystore", b".ppk"];
    let names = [
        &b"id_rsa"[..],
        b"id_dsa",
        b"id_ecdsa",
        b"id_ed25519",
        b".netrc",
        b"_netrc",
        b".npmrc",
        b".pypirc",
        b".pgpass",
        b".git-credentials",
        b".htpasswd",
        b"credentials.json",
        b"service-account.json",
    ];
    names.contains(&&*name) || endings.iter().any(|it| name.len() > it.len() && name.ends_with(it))
}

/// Decides what is taken of `part`. `parts` are all of them.
pub(super) fn plan(part: &Part, parts: &[Part], context: &Context) -> Taking {
    Planner { part, parts, context, listing: &part.listing }.plan()
}

struct Planner<'a> {
    part: &'a Part,
    parts: &'a [Part],
    context: &'a Context<'a>,
    listing: &'a Listing,
}

impl Planner<'_> {
    fn plan(&self) -> Taking {
        let mut taking = Taking {
            add: BTreeSet::new(),
            drop: BTreeSet::new(),
            manifest: Manifest::new(self.context.base),
            left_out: Vec::new(),
        };
        if self.part.how == How::File {
            if let Some(seen) = self.part.seen {
                self.record(&mut taking.manifest, b"", seen);
            }
            return taking;
        }
        self.sort(&mut taking);
        self.special(&mut taking);
        self.describe(&mut taking);
        taking
    }

    /// Sorts files into those to read and those that are not taken.
    fn sort(&self, taking: &mut Taking) {
        let listing = self.listing;
        taking.drop.clone_from(&listing.deleted);
        let asked = |it: &Vec<u8>| self.context.rules.secrets && is_secret(it);
        let wanted =
            |it: &&Vec<u8>| listing.forced.contains(*it) || listing.kept.contains(*it) || asked(it);
        for path in listing.dropped.iter().filter(|it| !wanted(it)) {
            taking.drop.insert(path.clone());
            if is_secret(path) {
                self.leave(taking, path, Why::Secret);
            }
        }
        let inner = self.parts.iter().filter(|it| it.how == How::Work);
        let inner =
            inner.filter(|it| self.is_around(it)).map(|it| (&it.path, &it.listing.inherited));
        for (path, inherited) in inner {
            let begins = [self.part.below(path).unwrap_or_default(), b"/"].concat();
            taking.drop.extend(inherited.iter().filter(|it| it.starts_with(&begins)).cloned());
        }
        // Secrets are the ignored files that are missed most, so they are judged too.
        let ignored = listing.ignored.iter().filter(|it| is_secret(it)).cloned().collect();
        let ignored = if self.part.how == How::Work { ignored } else { BTreeSet::new() };
        let all = [
            &listing.changed,
            &listing.new,
            &listing.forced,
            &listing.included,
            &listing.held,
            &ignored,
        ];
        for path in all.into_iter().flatten() {
            if path.ends_with(b"/") || taking.drop.contains(path) || taking.add.contains(path) {
                continue;
            }
            match self.judge(path) {
                Ok(()) => drop(taking.add.insert(path.clone())),
                Err(why) => {
                    if let Some(why) = why {
                        self.leave(taking, path, why);
                    }
                    if !listing.new.contains(path) {
                        taking.drop.insert(path.clone());
                    }
                }
            }
        }
    }

    /// Tells whether a file is taken; else why not, or nothing if it is not of this unit at all.
    fn judge(&self, path: &[u8]) -> Result<(), Option<Why>> {
        let (rules, work) = (self.context.rules, self.part.how == How::Work);
        if !self.is_mine(path) || self.is_lock(path) {
            return Err(None);
        }
        let whole = self.part.join(path);
        if let Some(why) = self.context.skip.get(&whole) {
            return Err(Some(*why));
        }
        let found = self.listing.found.get(path);
        if found.is_some_and(|it| !matches!(it.kind, b'-' | b'l' | b'd')) {
            return Err(Some(Why::Special));
        }
        let asked = self.listing.included.contains(path) || self.listing.kept.contains(path);
        if !work || asked {
            return Ok(());
        }
        if found.is_some_and(|it| it.kind == b'-' && it.bytes > rules.huge) {
            return Err(Some(Why::Huge));
        }
        let listing = self.listing;
        let known = !listing.new.contains(path)
            && !listing.held.contains(path)
            && !listing.ignored.contains(path);
        let tracked = listing.forced.contains(path) || self.context.tracked.contains(&whole);
        if !rules.secrets && !known && !tracked && is_secret(path) {
            return Err(Some(Why::Secret));
        }
        Ok(())
    }

    /// Tells whether it is a lock of a repository. What is only called as if is none.
    fn is_lock(&self, path: &[u8]) -> bool {
        let git = self.part.how == How::Git && name_of(&self.part.path) == b".git";
        git && path.ends_with(b".lock")
    }

    /// Tells whether `inner` is directly inside this one.
    fn is_around(&self, inner: &Part) -> bool {
        self.part.below(&inner.path).is_some()
            && self.parts.get(inner.outer).is_some_and(|it| it.path == self.part.path)
    }

    /// Names what is no file, and what could not be looked into.
    fn special(&self, taking: &mut Taking) {
        for (path, found) in &self.listing.found {
            let file = matches!(found.kind, b'-' | b'l' | b'd');
            let lock = self.is_lock(path);
            let refused = is_refused(path, Some(found)) && !self.is_elsewhere(path);
            if !file && !lock && (refused || self.is_mine(path)) && !self.listing.is_ignored(path) {
                self.leave(taking, path, Why::Special);
            }
        }
        for path in self.listing.shut.iter().filter(|it| self.is_mine(it)) {
            self.leave(taking, path, Why::Unreadable);
        }
    }

    fn leave(&self, taking: &mut Taking, path: &[u8], why: Why) {
        let found = self.listing.found.get(path);
        let bytes = found.filter(|it| it.kind == b'-').map(|it| it.bytes);
        let whole = self.part.join(path);
        if !taking.left_out.iter().any(|it| it.path == whole) {
            taking.left_out.push(LeftOut { path: whole, why, bytes });
        }
        // Its directory is there, even if nothing else is in it.
        if let Some(dir) = above(path).last() {
            taking.manifest.empty.insert(dir.to_vec());
        }
    }

    /// Records permissions and empty directories.
    fn describe(&self, taking: &mut Taking) {
        let left: BTreeSet<&[u8]> = taking.left_out.iter().map(|it| &*it.path).collect();
        let listing = self.listing;
        for (path, found) in &listing.found {
            let mine = path.is_empty() || self.is_mine(path);
            let passed = listing.is_ignored(path) && !taking.add.contains(path);
            let lock = self.is_lock(path);
            if mine && !passed && !lock && !left.contains(&*self.part.join(path)) {
                self.record(&mut taking.manifest, path, *found);
            }
        }
        let empty = listing.empty.iter().filter(|it| self.is_mine(it) && !listing.is_ignored(it));
        taking.manifest.empty.extend(empty.cloned());
    }

    fn record(&self, manifest: &mut Manifest, path: &[u8], found: Found) {
        let base = self.context.base;
        match found.kind {
            b'-' if found.mode != base.of_file(found.mode & 0o100 != 0) => {
                manifest.files.insert(path.to_vec(), found.mode);
            }
            b'd' if found.mode != base.dir => {
                manifest.dirs.insert(path.to_vec(), found.mode);
            }
            _ => (),
        }
    }

    /// Tells whether what is at `path` belongs to this unit and not to one inside it.
    fn is_mine(&self, path: &[u8]) -> bool {
        let mut names = path.split(|it| *it == b'/');
        let odd = self.listing.found.get(path).is_some_and(|it| is_refused(path, Some(it)));
        !path.is_empty()
            && !odd
            && !names.any(|it| it.eq_ignore_ascii_case(b".git"))
            && !self.is_elsewhere(path)
    }

    /// Tells whether a unit inside this one holds `path`.
    fn is_elsewhere(&self, path: &[u8]) -> bool {
        let inner = self.parts.iter().filter_map(|it| self.part.below(&it.path));
        inner.into_iter().any(|it| {
            path.strip_prefix(it).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set<const N: usize>(paths: [&str; N]) -> BTreeSet<Vec<u8>> {
        paths.into_iter().map(|it| it.as_bytes().to_vec()).collect()
    }

    fn found(kind: u8, mode: u32, bytes: u64) -> Found {
        Found { kind, mode, bytes }
    }

    fn part(path: &str, how: How, listing: Listing) -> Part {
        Part { path: path.into(), how, listing, seen: None, outer: 0 }
    }

    fn rules() -> Rules {
        Rules { include: Vec::new(), secrets: false, huge: 100 }
    }

    fn context(rules: &Rules) -> Context<'_> {
        Context {
            rules,
            base: Base::of_umask(0o022),
            tracked: BTreeSet::new(),
            skip: BTreeMap::new(),
        }
    }

    fn why(taking: &Taking) -> Vec<(String, Why)> {
        let text = |it: &LeftOut| (String::from_utf8_lossy(&it.path).into_owned(), it.why);
        taking.left_out.iter().map(text).collect()
    }

    #[test]
    fn names_that_hold_secrets() {
        for name in [".env", "a/.env", ".env.local", ".ENV", "x.pem", "k.key", "id_rsa", ".netrc"] {
            assert!(is_secret(name.as_bytes()), "{name}");
        }
        for name in
            [".env.example", ".env.sample", "env", ".envrc", "id_rsa.pub", ".key", "a.pem/b"]
        {
            assert!(!is_secret(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn secrets_and_huge_files_are_left_out_unless_known_or_asked_for() {
        let listing = Listing {
            changed: set(["big-changed"]),
            new: set([".env", "b.env", "d/.env.local", "tracked.pem", "big", "asked.key"]),
            included: set(["asked.key"]),
            found: [("big", 101), ("big-changed", 200), ("big-same", 300), ("b.env", 100)]
                .into_iter()
                .map(|(path, bytes)| (path.into(), found(b'-', 0o644, bytes)))
                .collect(),
            ..Listing::default()
        };
        let rules = rules();
        let mut context = context(&rules);
        context.tracked = set(["tracked.pem"]);
        let part = part("", How::Work, listing);
        let taking = plan(&part, std::slice::from_ref(&part), &context);
        assert_eq!(taking.add, set(["asked.key", "b.env", "tracked.pem"]));
        assert_eq!(taking.drop, set(["big-changed"]));
        let expected = [
            ("big-changed", Why::Huge),
            (".env", Why::Secret),
            ("big", Why::Huge),
            ("d/.env.local", Why::Secret),
        ];
        assert_eq!(why(&taking), expected.map(|(path, why)| (path.to_owned(), why)));
        assert_eq!(taking.manifest.empty, set(["d"]));
        let all = Rules { secrets: true, huge: 1000, include: Vec::new() };
        let taking = plan(&part, std::slice::from_ref(&part), &Context { rules: &all, ..context });
        assert_eq!(taking.left_out, []);
    }

    #[test]
    fn what_is_ignored_goes_unless_tracked_or_included() {
        let listing = Listing {
            dropped: set(["t/now-ignored", "t/forced", "t/kept"]),
            forced: set(["t/forced", "t/forced-new"]),
            kept: set(["t/kept"]),
            ignored: set(["out/", "x.o"]),
            found: [("out/x", 0o600), ("x.o", 0o600), ("a", 0o600), ("out", 0o700)]
                .into_iter()
                .map(|(path, mode)| (path.into(), found(b'-', mode, 1)))
                .collect(),
            empty: set(["out/e", "e"]),
            ..Listing::default()
        };
        let rules = rules();
        let part = part("", How::Work, listing);
        let taking = plan(&part, std::slice::from_ref(&part), &context(&rules));
        assert_eq!(taking.drop, set(["t/now-ignored"]));
        assert_eq!(taking.add, set(["t/forced", "t/forced-new"]));
        assert_eq!(taking.manifest.files.keys().collect::<Vec<_>>(), [b"a"]);
        assert_eq!(taking.manifest.empty, set(["e"]));
    }

    #[test]
    fn repositories_inside_are_parts_of_their_own() {
        let seen = [
            ("", b'd'),
            (".git", b'd'),
            ("a/.git", b'd'),
            ("a/b/.git", b'-'),
            ("a/c/.GIT", b'd'),
            ("l/.gitmodules", b'l'),
            ("out/r/.git", b'd'),
            ("p/.git", b'p'),
        ];
        let seen = seen.map(|(path, kind)| (path.into(), found(kind, 0o755, 0)));
        let listing = Listing { found: seen.into(), ignored: set(["out/"]), ..Listing::default() };
        let part = part("", How::Work, listing);
        let names = |top| {
            let parts = parts_inside(&part, top).into_iter();
            let text = |it: Vec<u8>| String::from_utf8(it).unwrap();
            parts.map(|it| (text(it.0), it.1)).collect::<Vec<_>>()
        };
        let word = |it: &str, how| (it.to_owned(), how);
        let expected = [
            word("a", How::Work),
            word("a/.git", How::Git),
            word("l/.gitmodules", How::File),
            word("p", How::Work),
        ];
        assert_eq!(names(true), expected);
        assert_eq!(names(false)[0], word(".git", How::Git));
        assert_eq!(names(false)[1..], expected);
    }

    #[test]
    fn a_file_is_taken_by_one_unit_only() {
        let rules = rules();
        let outer = Listing {
            changed: set(["a/tracked", "b"]),
            new: set(["a/", "c/.GIT/x", "d"]),
            deleted: set(["gone"]),
            empty: set(["a/e", "e"]),
            ..Listing::default()
        };
        let outer = part("", How::Work, outer);
        let inner = part("a", How::Work, Listing { new: set(["x"]), ..Listing::default() });
        let git = Listing { new: set(["HEAD", "index.lock", "big.pem"]), ..Listing::default() };
        let git = part("a/.git", How::Git, git);
        let parts = [outer, inner, git];
        let taking = parts.each_ref().map(|it| plan(it, &parts, &context(&rules)));
        assert_eq!(taking[0].add, set(["b", "d"]));
        assert_eq!(taking[0].drop, set(["a/tracked", "gone"]));
        assert_eq!(taking[0].manifest.empty, set(["e"]));
        assert_eq!(taking[1].add, set(["x"]));
        assert_eq!(taking[2].add, set(["HEAD", "big.pem"]));
        assert!(taking.iter().all(|it| it.left_out.is_empty()));
    }
}
