//! What `look.sh` says, as data. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::checkpoint::{meta::Position, plan::is_secret};

/// Sections by name.
pub(super) type Sections<'a> = BTreeMap<&'a str, &'a [u8]>;

/// Takes apart what a script wrote: `NAME LENGTH`, a newline, so many bytes, and again. Nothing if
/// it is not all there.
pub(super) fn sections(mut bytes: &[u8]) -> Option<Sections<'_>> {
    let mut sections = BTreeMap::new();
    while !bytes.is_empty() {
        let end = bytes.iter().position(|it| *it == b'\n')?;
        let (name, length) = std::str::from_utf8(&bytes[..end]).ok()?.split_once(' ')?;
        let rest = &bytes[end + 1..];
        let content = rest.get(..length.parse().ok()?)?;
        bytes = &rest[content.len()..];
        sections.insert(name, content);
    }
    Some(sections)
}

/// Returns the items of a list in which a NUL follows each.
pub(super) fn items(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.strip_suffix(b"\0").into_iter().flat_map(|it| it.split(|it| *it == 0))
}

/// What find saw that git does not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// As `ls -l` writes it: `-`, `d`, `l`, `p`, `s`, `b` or `c`.
    pub kind: u8,
    /// Its permission bits.
    pub mode: u32,
    /// Its length, if it is a file.
    pub bytes: u64,
}

/// What is to be known of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// Files that may differ from the index.
    pub changed: BTreeSet<Vec<u8>>,
    /// Files of the index that are gone.
    pub deleted: BTreeSet<Vec<u8>>,
    /// Files that the index does not know.
    pub new: BTreeSet<Vec<u8>>,
    /// Directories that could not be opened.
    pub shut: BTreeSet<Vec<u8>>,
    /// What is ignored, and not in the index. A directory ends with a slash.
    pub ignored: BTreeSet<Vec<u8>>,
    /// What git does not show; the empty path is the unit itself.
    pub found: BTreeMap<Vec<u8>, Found>,
    /// Directories with nothing in them.
    pub empty: BTreeSet<Vec<u8>>,
    /// Files of the index that are ignored.
    pub dropped: BTreeSet<Vec<u8>>,
    /// Ignored files that the user's repository tracks all the same.
    pub forced: BTreeSet<Vec<u8>>,
    /// Files that the index does not know and that are to be included.
    pub included: BTreeSet<Vec<u8>>,
    /// Files of the index that are to be included.
    pub kept: BTreeSet<Vec<u8>>,
    /// Files of the index whose names say that they hold secrets, if there may be any.
    pub held: BTreeSet<Vec<u8>>,
    /// Files in the index of the unit around it that are of this one; paths are of that one.
    pub inherited: BTreeSet<Vec<u8>>,
    /// Whether the next look is to begin from this one.
    pub is_kept: bool,
}

impl Listing {
    /// Reads what was said of unit `number`; nothing if it was passed over.
    pub fn of(sections: &Sections, number: usize) -> Option<Listing> {
        let get = |name: &str| sections.get(&*format!("{name}.{number}")).copied();
        let set = |name: &str| Some(items(get(name)?).map(<[u8]>::to_vec).collect());
        let (changed, deleted) = differing(get("changed")?);
        Some(Listing {
            changed,
            deleted,
            new: set("new")?,
            shut: shut(get("shut")?),
            ignored: set("ignored")?,
            found: found(get("found")?).into_iter().chain(seen(get("seen")?)).collect(),
            empty: items(get("empty")?).map(|it| bare(it).to_vec()).collect(),
            dropped: set("dropped")?,
            forced: set("forced")?,
            included: set("included")?,
            kept: set("kept")?,
            held: items(get("held")?).filter(|it| is_secret(it)).map(<[u8]>::to_vec).collect(),
            inherited: set("inherited")?,
            is_kept: get("state").is_some(),
        })
    }

    /// Tells whether `path` is ignored, by itself or with a directory above it.
    pub fn is_ignored(&self, path: &[u8]) -> bool {
        let above = path.iter().enumerate().filter(|it| *it.1 == b'/').map(|it| &path[..=it.0]);
        !self.ignored.is_empty()
            && (self.ignored.contains(path)
                || self.ignored.contains(&[path, b"/"].concat())
                || above.into_iter().any(|it| self.ignored.contains(it)))
    }
}

/// Reads `diff-files --raw -z`: files to read, and files that are gone. What git takes for a
/// repository where it knew a file is gone as a file.
fn differing(bytes: &[u8]) -> (BTreeSet<Vec<u8>>, BTreeSet<Vec<u8>>) {
    let (mut changed, mut deleted) = (BTreeSet::new(), BTreeSet::new());
    let mut items = items(bytes);
    while let (Some(head), Some(path)) = (items.next(), items.next()) {
        let mut words = head.split(|it| *it == b' ');
        let (_, mode, status) = (words.next(), words.next(), words.next_back());
        let gone = status == Some(b"D") || matches!(mode, Some(b"160000" | b"040000"));
        if gone {
            deleted.insert(path.to_vec())
        } else {
            changed.insert(path.to_vec())
        };
    }
    (changed, deleted)
}

/// Reads what `ls-files` complained of.
fn shut(bytes: &[u8]) -> BTreeSet<Vec<u8>> {
    let lines = bytes.split(|it| *it == b'\n');
    let path = |line: &[u8]| {
        let rest = line.strip_prefix(b"warning: could not open directory '")?;
        let end = rest.windows(3).rposition(|it| it == b"': ")?;
        Some(rest[..end].strip_suffix(b"/").unwrap_or(&rest[..end]).to_vec())
    };
    lines.filter_map(path).collect()
}

/// Returns a path as find names it without the `./` in front.
fn bare(path: &[u8]) -> &[u8] {
    if path == b"." { b"" } else { path.strip_prefix(b"./").unwrap_or(path) }
}

/// Reads batches: names, an empty one, and what `ls -ldnq` says of them, sorted by name. A file
/// that went away in between has no line, so a line must also end with its name.
fn found(bytes: &[u8]) -> BTreeMap<Vec<u8>, Found> {
    let mut found = BTreeMap::new();
    let mut items = items(bytes);
    loop {
        let mut names: Vec<&[u8]> = items.by_ref().take_while(|it| !it.is_empty()).collect();
        let Some(lines) = items.next() else { return found };
        names.sort_unstable();
        let mut names = names.into_iter();
        for line in lines.split(|it| *it == b'\n').filter(|it| !it.is_empty()) {
            let Some(name) = names.find(|it| speaks_of(line, it)) else { break };
            if let Some(entry) = read_ls(line) {
                found.insert(bare(name).to_vec(), entry);
            }
        }
    }
}

/// Reads what a walk found: letter, mode, length and path.
fn seen(bytes: &[u8]) -> BTreeMap<Vec<u8>, Found> {
    let entry = |item: &[u8]| {
        let mut words = item.splitn(4, |it| *it == b' ');
        let kind = *words.next()?.first()?;
        let mut text = || std::str::from_utf8(words.next()?).ok();
        let mode = u32::from_str_radix(text()?, 8).ok()?;
        let bytes = text()?.parse().ok()?;
        Some((words.next()?.to_vec(), Found { kind, mode, bytes }))
    };
    items(bytes).filter_map(entry).collect()
}

/// Tells whether a line of `ls -q` is of this name: what cannot be printed is a `?` there.
fn speaks_of(line: &[u8], name: &[u8]) -> bool {
    let shown: Vec<u8> =
        name.iter().map(|it| if matches!(it, b' '..=b'~') { *it } else { b'?' }).collect();
    let shown = [b" ", &*shown].concat();
    if line.starts_with(b"l") {
        let shown = [&*shown, b" -> "].concat();
        return line.windows(shown.len()).any(|it| it == shown);
    }
    line.ends_with(&shown)
}

fn read_ls(line: &[u8]) -> Option<Found> {
    let mut words = line.split(|it| *it == b' ').filter(|it| !it.is_empty());
    let permissions = words.next().filter(|it| it.len() >= 10)?;
    let bytes = words.nth(3).and_then(|it| std::str::from_utf8(it).ok()?.parse().ok());
    let (kind, mode) = (permissions[0], mode(&permissions[1..10]));
    Some(Found { kind, mode, bytes: bytes.unwrap_or(0) })
}

/// Returns `rwsr-x--T` as bits.
fn mode(letters: &[u8]) -> u32 {
    letters.iter().enumerate().fold(0, |mode, (at, letter)| {
        let bit = 0o400 >> at;
        let special = 0o4000 >> (at / 3);
        mode | match letter {
            b'r' | b'w' | b'x' => bit,
            b's' | b't' => bit | special,
            b'S' | b'T' => special,
            _ => 0,
        }
    })
}

/// What is to be known of the host and of the user's repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// The umask.
    pub umask: u32,
    /// Whether the workspace is the top of a work tree of the user's.
    pub top: bool,
    /// Where the repository stands.
    pub position: Option<Position>,
    /// The user's index as a tree.
    pub staged: Option<String>,
    /// Commits that would be lost with the workspace.
    pub parents: Vec<String>,
}

/// Branches, tags and stashes that become parents at most.
const PARENTS_MAX: usize = 200;

impl Known {
    /// Reads what was said of the host.
    pub fn of(sections: &Sections) -> Option<Known> {
        let words: Vec<String> = items(sections.get("facts")?)
            .map(|it| String::from_utf8_lossy(it).into_owned())
            .collect();
        let [umask, repo, prefix, inside, shallow, format, head, branch, staged] = &words[..]
        else {
            return None;
        };
        let umask = u32::from_str_radix(umask, 8).ok()?;
        if repo.is_empty() {
            return Some(Known { umask, ..Known::default() });
        }
        let get = |name: &str| sections.get(name).copied().unwrap_or_default();
        let config = settings(get("config"));
        let partial = config
            .iter()
            .any(|(key, _)| key.ends_with(".promisor") || key == "extensions.partialclone");
        let history = !partial && shallow == "false" && format == "sha1";
        let word = |it: &String| (!it.is_empty()).then(|| it.clone());
        let tips = refs(get("tips")).into_iter().map(|it| it.1);
        let mut parents = Vec::new();
        for commit in word(head).into_iter().chain(tips).take_while(|_| history) {
            if parents.len() < PARENTS_MAX && !parents.contains(&commit) {
                parents.push(commit);
            }
        }
        let inside = inside == "yes";
        let position = Position {
            branch: branch.strip_prefix("refs/heads/").map(str::to_owned),
            head: word(head),
            staged: !staged.is_empty(),
            inside,
            refs: refs(get("refs")).into_iter().collect(),
            remotes: if inside { remotes(&config) } else { BTreeMap::new() },
            history,
        };
        let staged = word(staged);
        Some(Known { umask, top: prefix.is_empty(), position: Some(position), staged, parents })
    }
}

/// Reads `config -z`: a key, a newline and its value each.
fn settings(bytes: &[u8]) -> Vec<(String, String)> {
    let pair = |it: &[u8]| {
        let text = String::from_utf8_lossy(it).into_owned();
        let (key, value) = text.split_once('\n').unwrap_or((&text, ""));
        (key.to_owned(), value.to_owned())
    };
    items(bytes).map(pair).collect()
}

/// Reads `TYPE ID TYPE ID NAME` lines, of which the second pair is what a tag points to: names with
/// their commits.
fn refs(bytes: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(bytes);
    let pair = |line: &str| {
        let words: Vec<&str> = line.splitn(5, ' ').collect();
        match words[..] {
            ["commit", id, _, _, name] | ["tag", _, "commit", id, name] => {
                Some((name.to_owned(), id.to_owned()))
            }
            _ => None,
        }
    };
    text.lines().filter_map(pair).collect()
}

fn remotes(config: &[(String, String)]) -> BTreeMap<String, String> {
    let name = |key: &str| Some(key.strip_prefix("remote.")?.strip_suffix(".url")?.to_owned());
    config.iter().filter_map(|(key, value)| Some((name(key)?, without_secrets(value)))).collect()
}

/// Returns an address without user name and password. For ssh the user name is no secret, and is
/// needed.
fn without_secrets(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let Some((user, host)) = host.rsplit_once('@') else { return address.to_owned() };
    let name = user.split(':').next().unwrap_or_default();
    if scheme.contains("ssh") {
        format!("{scheme}://{name}@{host}{path}")
    } else {
        format!("{scheme}://{host}{path}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sections_are_whole_or_nothing() {
        let read = sections(b"a 3\nx\ny\nb.0 0\nc 1\n!").map(|it| it.into_iter().collect());
        let expected: Vec<(&str, &[u8])> = vec![("a", b"x\ny"), ("b.0", b""), ("c", b"!")];
        // The newline after `x\ny` is not part of it, so it would be a name.
        assert_eq!(read, None::<Vec<_>>);
        let read = sections(b"a 3\nx\nyb.0 0\nc 1\n!").map(|it| it.into_iter().collect());
        assert_eq!(read, Some(expected));
        assert_eq!(sections(b"a 3\nxy"), None);
        assert_eq!(sections(b"a"), None);
    }

    #[test]
    fn permissions_are_read() {
        for (letters, bits) in [
            ("rwxr-xr-x", 0o755),
            ("rw-r-----", 0o640),
            ("rwsr-Sr-T", 0o7744),
            ("rwxrwxrwt", 0o1777),
            ("---------", 0),
        ] {
            assert_eq!(mode(letters.as_bytes()), bits, "{letters}");
        }
    }

    #[test]
    fn lines_find_their_names_though_some_went_away() {
        let said = b"./b\0./a\n\0./c\0./l\0\0-rw-r----- 1 0 0 5 Jan  1 00:00 ./a?\n\
            prw-r--r-- 1 0 0 0 Jan  1 00:00 ./c\nlrwxrwxrwx 1 0 0 1 Jan 1 00:00 ./l -> x\n\0\
            .\0\0drwx------ 2 0 0 4096 Jan  1 00:00 .\n\0";
        let read = found(said);
        let entry = |kind, mode, bytes| Found { kind, mode, bytes };
        assert_eq!(read.get(&b"a\n"[..]), Some(&entry(b'-', 0o640, 5)));
        assert_eq!(read.get(&b"b"[..]), None);
        assert_eq!(read.get(&b"c"[..]), Some(&entry(b'p', 0o644, 0)));
        assert_eq!(read.get(&b"l"[..]), Some(&entry(b'l', 0o777, 1)));
        assert_eq!(read.get(&b""[..]), Some(&entry(b'd', 0o700, 4096)));
    }

    #[test]
    fn a_walk_says_what_ls_does() {
        let read = seen(b"- 640 5 a b\n\0d 1777 4096 \0- 9 1 x\0\0p 644 0 f\0");
        let entry = |kind, mode, bytes| Found { kind, mode, bytes };
        assert_eq!(read.get(&b"a b\n"[..]), Some(&entry(b'-', 0o640, 5)));
        assert_eq!(read.get(&b""[..]), Some(&entry(b'd', 0o1777, 4096)));
        assert_eq!(read.get(&b"f"[..]), Some(&entry(b'p', 0o644, 0)));
        assert_eq!(read.len(), 3);
    }

    #[test]
    fn addresses_lose_their_secrets() {
        for (address, expected) in [
            ("https://user:token@host/x.git", "https://host/x.git"),
            ("https://token@host:1/x@y", "https://host:1/x@y"),
            ("ssh://git:pw@host/x", "ssh://git@host/x"),
            ("git@host:x", "git@host:x"),
            ("/a/b", "/a/b"),
            ("https://host", "https://host"),
        ] {
            assert_eq!(without_secrets(address), expected);
        }
    }

    #[test]
    fn tags_stand_for_their_commits() {
        let said = b"commit 1   refs/heads/a\ntag 2 commit 3 refs/tags/t\nblob 4   refs/tags/b\n";
        let pair = |name: &str, id: &str| (name.to_owned(), id.to_owned());
        assert_eq!(refs(said), [pair("refs/heads/a", "1"), pair("refs/tags/t", "3")]);
    }

    proptest! {
        #[test]
        fn nothing_said_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = sections(&bytes);
            let _ = (found(&bytes), seen(&bytes), differing(&bytes), shut(&bytes), refs(&bytes), settings(&bytes));
            let facts = Sections::from([("facts", &*bytes), ("config", &*bytes)]);
            let _ = Known::of(&facts);
        }
    }
}
