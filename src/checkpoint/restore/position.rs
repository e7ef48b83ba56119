//! The workspace's own git directory, if it went with the workspace.

use std::time::Duration;

use crate::{
    checkpoint::{
        CheckpointError,
        meta::{Meta, Position},
        repo::is_id,
        shadow::Shadow,
    },
    domain::ids::HostPath,
    shell::{Output, run},
};

/// Says whether the workspace `$1` has anything called `.git`.
const LOOK: &str = "[ ! -e \"$1/.git\" ] && [ ! -L \"$1/.git\" ] && [ -d \"$1\" ]";

/// Makes the git directory of the workspace `$1` under a name of its own, with HEAD `$2` (a
/// reference, or a commit), the objects that the lines of stdin up to an empty one name and all
/// that they need, and the references that are told after it. The rest are stashes, oldest first.
const MAKE: &str = "top=$1 head=$2 new=$1/.git.parhelia-restoring; umask 022; shift 2; \
    rm -rf \"$new\" || exit; \
    git init -q --bare --template= \"$new\" || exit; \
    mkdir -p \"$new/info\" || exit; \
    while IFS= read -r line && [ -n \"$line\" ]; do printf '%s\\n' \"$line\"; done \
        > \"$new/wants\"; \
    (umask 077; g pack-objects --revs --stdout -q --delta-base-offset < \"$new/wants\" \
        > \"$new/pack\") || exit 47; \
    GIT_DIR=$new git index-pack --stdin < \"$new/pack\" >/dev/null || exit 47; \
    rm -f \"$new/pack\" \"$new/wants\"; \
    GIT_DIR=$new; export GIT_DIR; \
    git config core.bare false && git config core.logAllRefUpdates true || exit; \
    git update-ref --create-reflog -m restored --stdin || exit; \
    for it do said=$(git log -1 --format=%s \"$it\") && \
        git update-ref --create-reflog -m \"$said\" refs/stash \"$it\" || exit; done; \
    case $head in refs/*) git symbolic-ref HEAD \"$head\";; \
        ?*) git update-ref --no-deref HEAD \"$head\";; esac";

/// Adds the remote `$2` with the address `$3` to what [`MAKE`] made.
const REMOTE: &str = "GIT_DIR=$1/.git.parhelia-restoring; export GIT_DIR; \
    exec git remote add -- \"$2\" \"$3\"";

/// Fills the index with the tree `$2`, or else with HEAD, and puts it all in its place.
const FINISH: &str = "GIT_DIR=$1/.git.parhelia-restoring; export GIT_DIR; \
    if [ -n \"$2\" ]; then git read-tree \"$2\"; \
    elif git rev-parse -q --verify HEAD >/dev/null; then git read-tree HEAD; \
    else :; fi || exit; \
    mv \"$GIT_DIR\" \"$1/.git\" || exit; cd \"$1\" || exit; unset GIT_DIR; \
    git -c core.hooksPath=/dev/null -c core.fsmonitor=false update-index -q --refresh \
        >/dev/null 2>&1; exit 0";

/// Fills the index of the work tree `$1`, which has a repository, with the tree `$2`, whose
/// objects come along.
const STAGE: &str = "umask 022; cd \"$1\" || exit; \
    h() { (unset GIT_DIR; git -c core.hooksPath=/dev/null -c core.fsmonitor=false \"$@\"); }; \
    printf '%s\\n' \"$2\" | g pack-objects --revs --stdout -q | h unpack-objects -q || exit; \
    h read-tree \"$2\" || exit; h update-index -q --refresh >/dev/null 2>&1; exit 0";

impl Shadow {
    /// Makes the workspace's git directory anew, if it was in it and is gone.
    pub(super) async fn bring_position_back(
        &self,
        meta: &Meta,
        commit: &str,
        to: &HostPath,
        limit: Duration,
        missing: &mut Vec<String>,
    ) -> Result<(), CheckpointError> {
        let Some(position) = meta.position.as_ref().filter(|it| it.inside) else {
            return Ok(());
        };
        let look = self.repo.command(LOOK, &[to.as_str()]);
        if run(&*self.repo.shell, &look, limit).await?.code != 0 {
            return Ok(());
        }
        let staged = self.staged(position, commit).await?;
        let mut history = position.history;
        let mut made = self.make(position, &staged, history, to, limit).await?;
        if made.code == 47 && history {
            history = false;
            made = self.make(position, &staged, history, to, limit).await?;
        }
        self.repo.checked("make the git directory", made)?;
        if !history && position.head.is_some() {
            missing.push("the history: the commits of the repository were not saved".into());
        }
        for (name, address) in &position.remotes {
            let words = [to.as_str(), name, address];
            let added = self.repo.command(REMOTE, &words);
            if run(&*self.repo.shell, &added, limit).await?.code != 0 {
                missing.push(format!("the remote `{}`", super::shown(name.as_bytes())));
            }
        }
        let finish = self.repo.command(FINISH, &[to.as_str(), &staged]);
        let output = run(&*self.repo.shell, &finish, limit).await?;
        self.repo.checked("fill the index", output).map(drop)
    }

    /// Fills the index of the repository that `to` is a work tree of with what was staged.
    /// Returns whether anything was. Nothing else of the repository is changed.
    ///
    /// # Errors
    ///
    /// As [`crate::checkpoint::repo::Repo::meta`], and if git refuses.
    pub async fn stage(
        &self,
        commit: &str,
        to: &HostPath,
        limit: Duration,
    ) -> Result<bool, CheckpointError> {
        let meta = self.repo.meta(commit).await?;
        let staged = match &meta.position {
            Some(position) => self.staged(position, commit).await?,
            None => String::new(),
        };
        if staged.is_empty() {
            return Ok(false);
        }
        let command = self.repo.command(STAGE, &[to.as_str(), &staged]);
        let output = run(&*self.repo.shell, &command, limit).await?;
        self.repo.checked("fill the index", output).map(|_| true)
    }

    /// Returns the tree of what was staged; empty if there is none.
    async fn staged(&self, position: &Position, commit: &str) -> Result<String, CheckpointError> {
        if !position.staged {
            return Ok(String::new());
        }
        let find = "g rev-parse -q --verify \"$1^{tree}:staged\" || exit 0";
        Ok(self.repo.read(find, &[commit]).await?.text())
    }

    async fn make(
        &self,
        position: &Position,
        staged: &str,
        history: bool,
        to: &HostPath,
        limit: Duration,
    ) -> Result<Output, CheckpointError> {
        let (refs, stashes) = (references(position), stashes(position));
        let head = position.head.as_deref().filter(|it| is_id(it));
        let mut wants: Vec<&str> = Vec::new();
        if history {
            wants.extend(refs.iter().map(|(_, id)| *id).chain(head));
            wants.extend(&stashes);
        }
        wants.extend(Some(staged).filter(|it| !it.is_empty()));
        wants.sort_unstable();
        wants.dedup();
        let mut stdin = wants.join("\n") + "\n\n";
        if wants.is_empty() {
            stdin = "\n".into();
        }
        let branch = position.branch.as_ref().map(|it| format!("refs/heads/{it}"));
        if history {
            for (name, id) in &refs {
                stdin.push_str(&format!("create {name} {id}\n"));
            }
            // A branch that was not among them: as in a work tree of a repository elsewhere.
            if let (Some(branch), Some(head)) = (&branch, head)
                && is_reference(branch)
                && !refs.iter().any(|(name, _)| name == branch)
            {
                stdin.push_str(&format!("create {branch} {head}\n"));
            }
        }
        let branch = branch.filter(|it| is_reference(it));
        let head = branch.as_deref().or(head.filter(|_| history)).unwrap_or_default();
        let mut words = vec![to.as_str(), head];
        words.extend(stashes.iter().filter(|_| history));
        let command = self.repo.command(MAKE, &words).stdin(stdin);
        Ok(run(&*self.repo.shell, &command, limit).await?)
    }
}

/// Returns the references that may be made, stashes apart.
fn references(position: &Position) -> Vec<(&str, &str)> {
    let fine = position.refs.iter().filter(|(name, id)| is_reference(name) && is_id(id));
    fine.map(|(name, id)| (name.as_str(), id.as_str())).collect()
}

/// Returns the stashes, oldest first.
fn stashes(position: &Position) -> Vec<&str> {
    let number = |name: &str| match name.strip_prefix("refs/stash")? {
        "" => Some(0),
        rest => rest.strip_prefix("@{")?.strip_suffix('}')?.parse::<u32>().ok(),
    };
    let numbered = |(name, id): (&String, _)| Some((number(name)?, id));
    let all = position.refs.iter().filter(|(_, id)| is_id(id)).filter_map(numbered);
    let mut all: Vec<(u32, &String)> = all.collect();
    all.sort_unstable_by_key(|it| std::cmp::Reverse(it.0));
    all.into_iter().map(|it| it.1.as_str()).collect()
}

/// Tells whether this is the name of a branch or a tag by git's rules.
fn is_reference(name: &str) -> bool {
    let bad = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    let part = |it: &str| !it.is_empty() && !it.starts_with('.') && !it.ends_with(".lock");
    (name.starts_with("refs/heads/") || name.starts_with("refs/tags/"))
        && !name.contains(bad)
        && !name.contains("..")
        && !name.contains("@{")
        && !name.ends_with('.')
        && name.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_branches_and_tags_are_made() {
        for fine in ["refs/heads/a/b", "refs/tags/v1.0", "refs/heads/ü"] {
            assert!(is_reference(fine), "{fine}");
        }
        let bad = ["HEAD", "refs/heads/", "refs/heads/a..b", "refs/heads/a\nx", "refs/heads/a b"];
        for bad in bad.into_iter().chain(["refs/heads/../x", "refs/heads/a.lock", "refs/x/a"]) {
            assert!(!is_reference(bad), "{bad}");
        }
    }
}
