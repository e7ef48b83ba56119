//! Reading checkpoints: from a shadow or from the vault, which are alike in this.

mod call;
mod diff;
mod export;
mod verify;

#[cfg(test)]
pub(in crate::checkpoint) mod tests;

use std::sync::Arc;

pub(in crate::checkpoint) use call::{damaged, is_id, split_once};
use serde::Deserialize;
pub use verify::Flaw;

use crate::{
    checkpoint::{
        CheckpointError,
        meta::{FORM, Meta, UnitKind},
    },
    domain::{checkpoint::Change, ids::HostPath},
    git::diff::FileDifference,
    shell::{Process, Shell, run},
};

/// Counts the files of the trees `$2…`, a line each; then, behind a NUL, lists them, an empty
/// entry after each tree.
const LIST: &str = "shift; \
    for it do g ls-tree -r -z --name-only \"$it\" >/dev/null || exit; done; \
    for it do g ls-tree -r -z --name-only \"$it\" | tr -dc '\\000' | wc -c; done; \
    printf '\\000'; \
    for it do g ls-tree -r -z -l \"$it\" || exit; printf '\\000'; done";

/// Writes the content of the file `$2` of the tree, behind a line with its length.
const READ: &str = "it=$(g rev-parse -q --verify \"$1^{tree}:$2\") || exit 44; \
    [ \"$(g cat-file -t \"$it\")\" = blob ] || exit 44; \
    g cat-file -s \"$it\" && g cat-file blob \"$it\"";

/// A bare repository that holds checkpoints, on some host.
#[derive(Clone)]
pub struct Repo {
    /// The host.
    pub shell: Arc<dyn Shell>,
    /// The git directory.
    pub dir: HostPath,
}

/// A file of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path in the workspace: raw bytes.
    pub path: Vec<u8>,
    /// Its git mode: 0o100644, 0o100755, 0o120000 or 0o160000.
    pub mode: u32,
    /// Its length in bytes; 0 for a repository.
    pub bytes: u64,
}

/// How two states of a workspace differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// How much.
    pub change: Change,
    /// Files that differ, the first of them.
    pub files: Vec<FileDifference>,
    /// The differences as `git diff` writes them, fit to show, cut at the end of a line.
    pub text: String,
    /// Whether text or list is not all.
    pub cut: bool,
}

impl Repo {
    /// Creates a reader of the repository `dir` on `shell`.
    pub fn new(shell: Arc<dyn Shell>, dir: HostPath) -> Repo {
        Repo { shell, dir }
    }

    /// Tells whether the commit is there; no repository at all counts as no.
    ///
    /// # Errors
    ///
    /// If the host does not answer.
    pub async fn has(&self, commit: &str) -> Result<bool, CheckpointError> {
        self.has_kind(commit, "commit").await
    }

    /// Tells whether a commit or a tree is there.
    async fn has_tree(&self, id: &str) -> Result<bool, CheckpointError> {
        self.has_kind(id, "tree").await
    }

    async fn has_kind(&self, id: &str, kind: &str) -> Result<bool, CheckpointError> {
        if !is_id(id) {
            return Ok(false);
        }
        let name = format!("{id}^{{{kind}}}");
        let command = self.command("g cat-file -e \"$1\" 2>&1", &[name.as_str()]);
        let output = run(&*self.shell, &command, call::ASK_LIMIT).await?;
        match output.code {
            127 => Err(CheckpointError::NoGit { host: self.shell.host().to_owned() }),
            code => Ok(code == 0),
        }
    }

    /// Returns what a checkpoint says of itself.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Missing`], or [`CheckpointError::Damaged`].
    pub async fn meta(&self, commit: &str) -> Result<Meta, CheckpointError> {
        let said = self.read("g cat-file blob \"$1^{tree}:meta.json\"", &[commit]).await?.stdout;
        let bad = |it: serde_json::Error| damaged(commit, format!("meta.json: {it}"));
        let Form { form } = serde_json::from_slice(&said).map_err(bad)?;
        if FORM < form {
            let detail = format!("it has form {form}; this program reads forms up to {FORM}");
            return Err(damaged(commit, detail));
        }
        serde_json::from_slice(&said).map_err(bad)
    }

    /// Returns at most `max` files of a checkpoint's workspace, and how many there are.
    ///
    /// # Errors
    ///
    /// As [`Repo::meta`].
    pub async fn files(
        &self,
        commit: &str,
        max: usize,
    ) -> Result<(Vec<File>, u64), CheckpointError> {
        let meta = self.meta(commit).await?;
        let mut words = vec![commit.to_owned(), format!("{commit}^{{tree}}:w")];
        let mut prefixes = vec![Vec::new()];
        for (at, unit) in meta.units.iter().enumerate() {
            if unit.kind == UnitKind::Work {
                words.push(format!("{commit}^{{tree}}:u/{}", at + 1));
                prefixes.push([&unit.path[..], b"/"].concat());
            }
        }
        let said = self.read(LIST, &words).await?.stdout;
        let (counts, list) = split_once(&said, 0);
        let counts = String::from_utf8_lossy(counts);
        let count = counts.lines().filter_map(|it| it.trim().parse::<u64>().ok()).sum();
        Ok((listed(list, &prefixes, max), count))
    }

    /// Compares the workspaces of two checkpoints. Either may also be a tree made by
    /// [`crate::checkpoint::shadow::Shadow::now`].
    ///
    /// # Errors
    ///
    /// As [`Repo::meta`].
    pub async fn diff(&self, from: &str, to: &str) -> Result<Difference, CheckpointError> {
        self.compare(from, to).await
    }

    /// Returns the names of what is saved beside the workspace, such as `conversation/ID.jsonl`.
    ///
    /// # Errors
    ///
    /// As [`Repo::meta`].
    pub async fn beside(&self, commit: &str) -> Result<Vec<String>, CheckpointError> {
        let list = "it=$(g rev-parse -q --verify \"$1^{tree}:beside\") || exit 0; \
            g ls-tree -r -z --name-only \"$it\"";
        let said = self.read(list, &[commit]).await?.stdout;
        let names = said.split(|it| *it == 0).filter(|it| !it.is_empty());
        Ok(names.filter_map(|it| String::from_utf8(it.to_vec()).ok()).collect())
    }

    /// Returns the content of something saved beside the workspace; nothing if it is not there.
    ///
    /// # Errors
    ///
    /// As [`Repo::meta`], and if it is longer than [`crate::shell::OUTPUT_MAX`].
    pub async fn read_beside(
        &self,
        commit: &str,
        name: &str,
    ) -> Result<Option<Vec<u8>>, CheckpointError> {
        let words = [commit.to_owned(), format!("beside/{name}")];
        let Some(output) = self.read_if(READ, &words).await? else {
            return Ok(None);
        };
        let mut said = output.stdout;
        let (length, content) = split_once(&said, b'\n');
        let (length, found) = (String::from_utf8_lossy(length).parse(), content.len());
        if length != Ok(found) {
            let detail = format!("{found} bytes of `{}` could be read", name.escape_debug());
            return Err(damaged(commit, detail));
        }
        said.drain(..said.len() - found);
        Ok(Some(said))
    }

    /// Reads everything that a checkpoint consists of and checks it against its hashes. Returns
    /// what is wrong; nothing if it is whole: every object can be read and holds
    /// what its name was computed from. A bit of a pack that no object depends on, as those that
    /// fill up the last byte of compressed data, may have changed: nothing is lost by that.
    ///
    /// # Errors
    ///
    /// If the host does not answer.
    pub async fn verify(&self, commit: &str) -> Result<Option<Flaw>, CheckpointError> {
        self.check(commit).await
    }

    /// Starts writing a checkpoint as a tar archive to its output: the workspace under
    /// `workspace/` with repositories inside it in their places, the rest beside it.
    ///
    /// # Errors
    ///
    /// As [`Repo::meta`].
    pub async fn export(&self, commit: &str) -> Result<Process, CheckpointError> {
        self.pack(commit).await
    }
}

/// What is read of `meta.json` before the rest is believed.
#[derive(Deserialize)]
struct Form {
    form: u32,
}

/// Reads what [`LIST`] lists: `MODE TYPE ID LENGTH TAB PATH`.
fn listed(list: &[u8], prefixes: &[Vec<u8>], max: usize) -> Vec<File> {
    let mut files = Vec::new();
    let mut rest = list;
    for prefix in prefixes {
        loop {
            let (entry, more) = split_once(rest, 0);
            rest = more;
            if entry.is_empty() {
                break;
            }
            if files.len() < max {
                files.extend(listed_file(prefix, entry));
            }
        }
    }
    files
}

fn listed_file(prefix: &[u8], entry: &[u8]) -> Option<File> {
    let (facts, path) = split_once(entry, b'\t');
    let mut facts = std::str::from_utf8(facts).ok()?.split_ascii_whitespace();
    let mode = u32::from_str_radix(facts.next()?, 8).ok()?;
    let bytes = facts.nth(2)?.parse().unwrap_or_default();
    Some(File { path: [prefix, path].concat(), mode, bytes })
}
