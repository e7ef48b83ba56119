//! What a work tree holds that nothing else may have.

use std::time::Duration;

use crate::{
    domain::ids::HostPath,
    git::{Git, GitError, command},
    shell::run,
    stdx::text::one_line,
};

/// Asks in one command, with a NUL after each answer: the branch; whether there is a remote;
/// commits that are on no remote, that are on no branch at all, and that are on branches and
/// stashes beside the one checked out; last, what differs from the commit. `$@` is git with its
/// settings. (`refs/stash` without a bracket would mean what is below it.)
const LOOK: &str = "shift; \
    git \"$@\" rev-parse --is-inside-work-tree >/dev/null || exit; \
    git \"$@\" symbolic-ref -q HEAD; printf '\\000'; \
    git \"$@\" for-each-ref --count=1 --format=one refs/remotes; printf '\\000'; \
    git \"$@\" rev-list --count HEAD --not --remotes 2>/dev/null; printf '\\000'; \
    git \"$@\" rev-list --count HEAD --not --branches --tags --remotes 2>/dev/null; \
    printf '\\000'; \
    git \"$@\" rev-list --count --branches --tags --glob='refs/stas[h]' --not HEAD --remotes \
        2>/dev/null; printf '\\000'; \
    exec git \"$@\" status --porcelain=v1 -z --no-renames --untracked-files=all \
        --ignore-submodules=dirty";

/// The longest path shown, in characters.
const PATH_MAX: usize = 200;

/// What was found in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// There is no such directory.
    Gone,
    /// It is in no repository, or there is no git.
    NoRepository,
    /// It is a work tree.
    Work(Work),
}

/// What a work tree holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Whether a branch is checked out; commits made without one are easily lost.
    pub on_branch: bool,
    /// Files that differ from the commit, and new ones that git does not ignore.
    pub dirty_files: u32,
    /// Some of their paths, from the repository's top, fit to show.
    pub dirty: Vec<String>,
    /// Repositories inside this one, of whose content git says nothing.
    pub nested: u32,
    /// Commits that are on no remote; nothing where there is no remote.
    pub unpushed: Option<u32>,
    /// Commits that are on no branch.
    pub stray: u32,
    /// Commits on other branches, tags and stashes that are on no remote either.
    pub elsewhere: u32,
}

impl Git {
    /// Looks at the work tree that holds `dir`, naming at most `paths` of the files that differ.
    ///
    /// # Errors
    ///
    /// If git refuses to touch it, or takes longer than `limit`.
    pub async fn look(
        &self,
        dir: &HostPath,
        paths: usize,
        limit: Duration,
    ) -> Result<Look, GitError> {
        let output = run(&*self.shell, &command(LOOK, dir, ""), limit).await?;
        let complaint = output.complaint();
        let says = |words: &[&str]| words.iter().any(|it| complaint.contains(it));
        match output.code {
            0 => Ok(Look::Work(parse(&output.stdout, paths))),
            _ if says(&["cannot change to"]) => Ok(Look::Gone),
            127 => Ok(Look::NoRepository),
            _ if says(&["not a git repository", "must be run in a work tree"]) => {
                Ok(Look::NoRepository)
            }
            _ => Err(self.refused("look at the work tree", &output)),
        }
    }
}

fn parse(said: &[u8], paths: usize) -> Work {
    let mut answers = said.splitn(6, |it| *it == 0);
    let mut next = || answers.next().unwrap_or_default();
    let number = |it: &[u8]| String::from_utf8_lossy(it).trim().parse::<u32>().ok();
    let on_branch = !next().is_empty();
    let has_remote = !next().is_empty();
    let unpushed = number(next()).filter(|_| has_remote);
    let stray = number(next()).unwrap_or(0);
    let elsewhere = number(next()).unwrap_or(0);
    let mut work = Work { on_branch, unpushed, stray, elsewhere, ..Work::default() };
    for entry in next().split(|it| *it == 0).filter(|it| 3 < it.len()) {
        let path = &entry[3..];
        // With every file listed by itself, a directory is a repository of its own.
        if entry.starts_with(b"??") && path.ends_with(b"/") {
            work.nested += 1;
            continue;
        }
        work.dirty_files += 1;
        if work.dirty.len() < paths {
            work.dirty.push(one_line(&String::from_utf8_lossy(path), PATH_MAX));
        }
    }
    work
}
