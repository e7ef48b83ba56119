//! Which units a restore deals with: those of where it comes from and of where it goes, side by
//! side.

use std::collections::BTreeMap;

use crate::{
    checkpoint::{
        CheckpointError,
        meta::{Unit, UnitKind},
        repo::{Repo, damaged, is_id, split_once},
        restore::judge::ancestors,
    },
    shell::run,
};

/// Lists the tree `$1` and what is in it under `u`, `m` and `t`, an empty entry after each; then
/// what it says of itself.
const TOPS: &str = "for it in '' u m t; do \
        tree=$(g rev-parse -q --verify \"$1^{tree}:$it\") && g ls-tree -z \"$tree\"; \
        printf '\\000'; \
    done; \
    g cat-file blob \"$1^{tree}:meta.json\" 2>/dev/null; exit 0";

/// What a unit's content is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::checkpoint) enum Part {
    /// The tree of a directory.
    Tree(String),
    /// What is called `.git` is a file, or a link.
    Blob {
        /// Its content.
        id: String,
        /// Whether it is a link.
        link: bool,
    },
}

impl Part {
    pub fn tree(&self) -> Option<&str> {
        match self {
            Part::Tree(id) => Some(id),
            Part::Blob { .. } => None,
        }
    }
}

/// A unit in one of the two states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::checkpoint) struct Side {
    pub part: Part,
    /// Its manifest's blob.
    pub manifest: Option<String>,
    /// Its times' blob.
    pub times: Option<String>,
    /// Its number, by which the shadow calls its index.
    pub number: usize,
}

/// A unit in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    /// Where it is in the workspace; empty for the workspace itself.
    pub path: Vec<u8>,
    pub from: Option<Side>,
    pub to: Option<Side>,
}

/// A state of a workspace.
#[derive(Clone, Debug, Default)]
pub(in crate::checkpoint) struct Tops {
    pub sides: BTreeMap<Vec<u8>, Side>,
    /// Units that are not there, or in no place where one can be, as sentences.
    pub bad: Vec<String>,
    /// Whether the workspace has a repository of its own.
    pub repository: bool,
}

/// As much as a tree says of itself that is no checkpoint.
#[derive(Default, serde::Deserialize)]
struct Units {
    #[serde(default)]
    units: Vec<Unit>,
    #[serde(default)]
    position: Option<serde::de::IgnoredAny>,
}

impl Repo {
    /// Reads the top of a checkpoint, or of a tree like one.
    pub(in crate::checkpoint) async fn tops(&self, id: &str) -> Result<Tops, CheckpointError> {
        let said = self.read(TOPS, &[id]).await?.stdout;
        tops(&said).map_err(|it| damaged(id, it))
    }

    /// Reads blobs; nothing for one that is not there or damaged.
    pub(in crate::checkpoint) async fn blobs(
        &self,
        ids: &[&str],
    ) -> Result<BTreeMap<String, Vec<u8>>, CheckpointError> {
        let mut found = BTreeMap::new();
        if ids.is_empty() {
            return Ok(found);
        }
        let none: [&str; 0] = [];
        let asked = self.command("g cat-file --batch", &none).stdin(ids.join("\n") + "\n");
        let said = run(&*self.shell, &asked, super::LIMIT).await?.stdout;
        let mut rest = &said[..];
        while !rest.is_empty() {
            let (head, more) = split_once(rest, b'\n');
            let head = String::from_utf8_lossy(head);
            let words: Vec<&str> = head.split(' ').collect();
            let (id, length) = match words[..] {
                [id, "blob", length] => (id, length.parse().unwrap_or(usize::MAX)),
                _ => {
                    rest = more;
                    continue;
                }
            };
            let Some(content) = more.get(..length) else { break };
            found.insert(id.to_owned(), content.to_vec());
            rest = more.get(length + 1..).unwrap_or_default();
        }
        Ok(found)
    }
}

/// An entry of a tree.
struct Entry {
    link: bool,
    tree: bool,
    id: String,
}

/// Reads what [`TOPS`] says.
fn tops(said: &[u8]) -> Result<Tops, String> {
    let mut rest = said;
    let mut section = || {
        let mut entries = BTreeMap::new();
        loop {
            let (entry, more) = split_once(rest, 0);
            rest = more;
            if entry.is_empty() {
                return entries;
            }
            let (facts, name) = split_once(entry, b'\t');
            let facts = String::from_utf8_lossy(facts);
            if let [mode, kind, id] = facts.split(' ').collect::<Vec<_>>()[..]
                && is_id(id)
            {
                let entry = Entry { link: mode == "120000", tree: kind == "tree", id: id.into() };
                entries.insert(String::from_utf8_lossy(name).into_owned(), entry);
            }
        }
    };
    let [top, u, m, t] = [section(), section(), section(), section()];
    let Units { units, position } = serde_json::from_slice(rest).unwrap_or_default();
    let side = |number: usize, entry: &Entry| Side {
        part: match entry.tree {
            true => Part::Tree(entry.id.clone()),
            false => Part::Blob { id: entry.id.clone(), link: entry.link },
        },
        manifest: m.get(&number.to_string()).map(|it| it.id.clone()),
        times: t.get(&number.to_string()).map(|it| it.id.clone()),
        number,
    };
    let w = top.get("w").filter(|it| it.tree).ok_or("it holds no workspace")?;
    let mut sides = BTreeMap::from([(Vec::new(), side(0, w))]);
    let mut bad = Vec::new();
    for (at, unit) in units.iter().enumerate() {
        let name = unit.path.escape_ascii();
        match u.get(&(at + 1).to_string()) {
            _ if !is_fine(unit, &units, position.is_some()) => {
                bad.push(format!("{name}: that is no place for a repository"));
            }
            None => bad.push(format!("{name}: the repository is not in the checkpoint")),
            Some(found) => _ = sides.insert(unit.path.clone(), side(at + 1, found)),
        }
    }
    Ok(Tops { sides, bad, repository: position.is_some() })
}

/// Tells whether a unit's path stays in the workspace, and is in no git directory that is not a
/// unit by itself. What is called `.git` at the top is one only if there is no `repository`.
fn is_fine(unit: &Unit, units: &[Unit], repository: bool) -> bool {
    let path = &unit.path;
    let is_git = |it: &[u8]| it.eq_ignore_ascii_case(b".git");
    let plain = |it: &[u8]| !matches!(it, b"" | b"." | b"..");
    let known = |dir: &[u8]| {
        let name = dir.rsplit(|it| *it == b'/').next().unwrap_or_default();
        !is_git(name) || units.iter().any(|it| it.path == dir && it.kind == UnitKind::Git)
    };
    // What has another case is another file, or else is found to be the same one.
    let top = path.split(|it| *it == b'/').next() == Some(b".git");
    let is_last_git = path.rsplit(|it| *it == b'/').next().is_some_and(is_git);
    !path.contains(&0)
        && path.split(|it| *it == b'/').all(plain)
        && (!top || !repository)
        && is_last_git == (unit.kind == UnitKind::Git)
        && ancestors(path).all(known)
}

/// Puts two states side by side, a repository before what is in it.
pub(super) fn pairs(from: &Tops, to: &Tops) -> Vec<Pair> {
    let paths: std::collections::BTreeSet<_> = from.sides.keys().chain(to.sides.keys()).collect();
    let of = |tops: &Tops, path: &Vec<u8>| tops.sides.get(path).cloned();
    let pair = |path: &Vec<u8>| Pair { path: path.clone(), from: of(from, path), to: of(to, path) };
    paths.into_iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_places_in_the_workspace_are_fine() {
        let git = |path: &str| Unit { path: path.into(), kind: UnitKind::Git };
        let work = |path: &str| Unit { path: path.into(), kind: UnitKind::Work };
        let known = [git("a/.git")];
        for fine in [work("a"), git("a/.git"), git("a/b/.GIT"), work(".github/x"), work("a b/\n")] {
            assert!(is_fine(&fine, &[], true), "{fine:?}");
        }
        for bad in ["", "/a", "a/", "a//b", "../a", "a/..", ".git/x", "a/.git/b", ".git", "a\0"] {
            assert!(!is_fine(&work(bad), &[], false), "{bad}");
        }
        assert!(is_fine(&git("a/.git/b/.git"), &known, true));
        assert!(!is_fine(&git("a/.git/b/.git"), &[], true));
        assert!(is_fine(&git(".git"), &[], false) && is_fine(&git(".GIT"), &[], true));
    }
}
