//! How two states of a workspace differ.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::{
    checkpoint::{
        CheckpointError, NOTHING,
        meta::{Unit, UnitKind},
        repo::{
            Difference, Repo,
            call::{ASK_LIMIT, is_id, split_once},
        },
    },
    domain::checkpoint::Change,
    git::diff::{FileDifference, TEXT_MAX},
    shell::{OUTPUT_MAX, run},
    stdx::text::{one_line, printable},
};

/// The most files that are listed; more are counted.
const FILES_MAX: usize = 2000;

/// The longest path listed, in characters.
const PATH_MAX: usize = 400;

/// Says for each of `$@` what its tree is, whether there is one called `w` in it, and what it says
/// of itself, with a NUL after each.
const RESOLVE: &str = "for it do \
        g rev-parse -q --verify \"$it^{tree}\" 2>/dev/null || exit 43; printf '\\000'; \
        g cat-file blob \"$it^{tree}:meta.json\" 2>/dev/null; printf '\\000'; \
    done";

/// Compares the trees `$1` and `$2`, then `$3` and `$4`, and so on; an empty one stands for no
/// tree. What differs, how much, and an empty entry after each pair.
const STATS: &str = "none=$(g hash-object -t tree /dev/null) || exit; \
    while [ $# -gt 0 ]; do \
        g diff-tree -r -z --raw --numstat --no-renames --no-ext-diff --no-textconv \
            \"${1:-$none}\" \"${2:-$none}\" -- || exit; \
        printf '\\000'; shift 3; \
    done";

/// Writes the differences of the same, at most `$1` bytes of them.
const TEXT: &str = "max=$1; shift; none=$(g hash-object -t tree /dev/null) || exit; \
    while [ $# -gt 0 ]; do \
        g diff-tree -r -p --no-renames --no-color --no-ext-diff --no-textconv \
            --src-prefix=\"a/$3\" --dst-prefix=\"b/$3\" \"${1:-$none}\" \"${2:-$none}\" -- || exit; \
        shift 3; \
    done | head -c \"$max\"";

/// A workspace as trees.
struct State {
    tree: String,
    units: Vec<Unit>,
}

/// As much of `meta.json` as is needed: also what [`crate::checkpoint::shadow::Shadow::now`] gives
/// may be compared, which knows less of itself.
#[derive(Default, Deserialize)]
struct Units {
    #[serde(default)]
    units: Vec<Unit>,
}

impl Repo {
    pub(super) async fn compare(
        &self,
        from: &str,
        to: &str,
    ) -> Result<Difference, CheckpointError> {
        let pairs = pairs(&self.states(from, to).await?);
        let stats = async {
            let output = self.ask("compare checkpoints", STATS, &pairs.words()).await?;
            Ok::<_, CheckpointError>(output.stdout)
        };
        let text = async {
            let mut words = vec![(TEXT_MAX + 1).to_string().into_bytes()];
            words.extend(pairs.words());
            Ok(run(&*self.shell, &self.command(TEXT, &words), ASK_LIMIT).await?.stdout)
        };
        let (stats, text) = tokio::try_join!(stats, text)?;
        let mut difference = count(&pairs, &stats);
        let whole = text.len() <= TEXT_MAX;
        let end =
            text.iter().take(TEXT_MAX).rposition(|it| *it == b'\n').map_or(TEXT_MAX, |it| it + 1);
        let text = if whole { &text[..] } else { &text[..end] };
        difference.text = printable(&String::from_utf8_lossy(text));
        difference.cut |= !whole;
        Ok(difference)
    }

    async fn states(&self, from: &str, to: &str) -> Result<[State; 2], CheckpointError> {
        for it in [from, to] {
            if !is_id(it) || !self.has_tree(it).await? {
                return Err(CheckpointError::Missing {
                    commit: it.to_owned(),
                    repo: self.dir.clone(),
                });
            }
        }
        let output = self.ask("compare checkpoints", RESOLVE, &[from, to]).await?;
        let mut answers = output.stdout.split(|it| *it == 0);
        let mut state = || {
            let tree =
                String::from_utf8_lossy(answers.next().unwrap_or_default()).trim().to_owned();
            let said: Units =
                serde_json::from_slice(answers.next().unwrap_or_default()).unwrap_or_default();
            State { tree, units: said.units }
        };
        Ok([state(), state()])
    }
}

/// Trees to compare, each with the directory it is in.
struct Pairs(Vec<[Vec<u8>; 3]>);

impl Pairs {
    fn words(&self) -> Vec<Vec<u8>> {
        self.0.concat()
    }
}

fn pairs([from, to]: &[State; 2]) -> Pairs {
    let workspace = |it: &State| match it.tree.as_str() {
        NOTHING => Vec::new(),
        tree => format!("{tree}:w").into_bytes(),
    };
    let mut pairs = vec![[workspace(from), workspace(to), Vec::new()]];
    let works = |it: &State| {
        let works = it.units.iter().filter(|it| it.kind == UnitKind::Work);
        works.map(|it| it.path.clone()).collect::<BTreeSet<_>>()
    };
    for path in works(from).union(&works(to)) {
        let of = |it: &State| {
            let is = |unit: &Unit| unit.kind == UnitKind::Work && unit.path == *path;
            let number = it.units.iter().position(is).map(|at| at + 1);
            number.map(|n| format!("{}:u/{n}", it.tree).into_bytes()).unwrap_or_default()
        };
        pairs.push([of(from), of(to), [path, &b"/"[..]].concat()]);
    }
    Pairs(pairs)
}

/// Reads what [`STATS`] says.
fn count(pairs: &Pairs, said: &[u8]) -> Difference {
    let mut difference = Difference { cut: OUTPUT_MAX <= said.len(), ..Difference::default() };
    let mut rest = said;
    for [_, _, prefix] in &pairs.0 {
        // All kinds come before all counts.
        let mut kinds = BTreeMap::new();
        loop {
            let (entry, more) = split_once(rest, 0);
            rest = more;
            match entry {
                [] => break,
                [b':', ..] => {
                    let (path, more) = split_once(rest, 0);
                    kinds.insert(path, kind(entry, &mut difference.change));
                    rest = more;
                }
                _ => file(prefix, entry, &kinds, &mut difference),
            }
        }
    }
    difference
}

/// How a file differs, and what it is now if that is something else.
type Kind = (char, Option<&'static str>);

/// Reads `:MODE MODE ID ID STATUS`.
fn kind(entry: &[u8], change: &mut Change) -> Kind {
    match entry.last() {
        Some(b'A') => {
            change.added += 1;
            ('A', None)
        }
        Some(b'D') => {
            change.deleted += 1;
            ('D', None)
        }
        last => {
            change.modified += 1;
            (if last == Some(&b'T') { 'T' } else { 'M' }, now(entry))
        }
    }
}

/// Says what a file is now by its modes, if they differ.
fn now(entry: &[u8]) -> Option<&'static str> {
    let mut modes = entry.get(1..)?.split(|it| *it == b' ');
    let (old, new) = (modes.next()?, modes.next()?);
    match new {
        _ if old == new => None,
        b"100755" => Some("executable"),
        b"100644" if old == b"100755" => Some("not executable"),
        b"100644" => Some("a file"),
        b"120000" => Some("a link"),
        b"160000" => Some("a repository"),
        _ => None,
    }
}

/// Reads `ADDED TAB REMOVED TAB PATH`; both are a dash where it is not text.
fn file(prefix: &[u8], entry: &[u8], kinds: &BTreeMap<&[u8], Kind>, difference: &mut Difference) {
    let (added, rest) = split_once(entry, b'\t');
    let (removed, at) = split_once(rest, b'\t');
    let number = |it: &[u8]| std::str::from_utf8(it).ok()?.parse::<u32>().ok();
    let lines = number(added).zip(number(removed));
    let (added, removed) = lines.unwrap_or_default();
    difference.change.lines_added += u64::from(added);
    difference.change.lines_removed += u64::from(removed);
    if difference.files.len() < FILES_MAX {
        let path = String::from_utf8_lossy(&[prefix, at].concat()).into_owned();
        let path = one_line(&path, PATH_MAX);
        let (status, now) = kinds.get(at).map_or((None, None), |it| (Some(it.0), it.1));
        difference.files.push(FileDifference { path, lines, status, now });
    } else {
        difference.cut = true;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn kinds_and_lines_are_counted_a_unit_behind_its_directory() {
        let pair = |it: &str| [Vec::new(), Vec::new(), it.as_bytes().to_vec()];
        let pairs = Pairs(vec![pair(""), pair("in/"), pair("none/")]);
        let said =
            b":000000 100755 2 3 A\0new\0:100644 100755 2 3 M\0old\0:100644 120000 2 3 T\0t\0\
            4\t0\tnew\0-\t-\told\x001\t1\tt\0\0:1 0 2 3 D\0gone\x000\t7\tgone\0\0\0";
        let found = count(&pairs, said);
        let file = |path: &str, lines, status, now| FileDifference {
            path: path.into(),
            lines,
            status: Some(status),
            now,
        };
        let expected = [
            file("new", Some((4, 0)), 'A', None),
            file("old", None, 'M', Some("executable")),
            file("t", Some((1, 1)), 'T', Some("a link")),
            file("in/gone", Some((0, 7)), 'D', None),
        ];
        assert_eq!(found.files, expected);
        let change = Change { added: 1, modified: 2, deleted: 1, lines_added: 5, lines_removed: 8 };
        assert_eq!((found.change, found.cut), (change, false));
    }

    proptest! {
        #[test]
        fn no_answer_panics(said in proptest::collection::vec(any::<u8>(), 0..200)) {
            count(&Pairs(vec![[Vec::new(), Vec::new(), b"x/".to_vec()]]), &said);
        }
    }
}
