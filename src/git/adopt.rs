//! Giving files that were put back their place in the repository again.

use crate::{
    domain::ids::HostPath,
    git::{BRANCH_PREFIX, Git, GitError, Prepared, WORK_LIMIT, command, prepare::record_path},
    shell::{Command, run},
};

/// A directory that is to be a linked work tree again, or for the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adoption {
    /// The repository's work tree.
    pub root: HostPath,
    /// The directory; its files are left as they are.
    pub dest: HostPath,
    /// The branch that is checked out there; beginning with [`BRANCH_PREFIX`]. One that is there
    /// stays where it is.
    pub branch: String,
    /// The commit that the branch begins at if it has to be made.
    pub head: String,
    /// A repository on the same host that has the commit, if the user's lacks it.
    pub spare: HostPath,
    /// Which files are to be written.
    pub files: Files,
}

/// Which files of the commit are written into an adopted directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Files {
    /// None: all that shall be there is there.
    None,
    /// Those that are not below this directory, relative to the top: what is there stays.
    Outside(String),
    /// All.
    All,
}

/// Links `$DEST`. What the repository still knows of a work tree there, its index and its HEAD, is
/// used again; else a work tree is made beside it, of which only the link is kept. `$@` is git with
/// its settings, in the repository.
const ADOPT: &str = r#"shift
set -e
dest=$(cd -P -- "$DEST" && pwd)
[ ! -d "$dest/.git" ] || { echo "$dest is a repository of its own" >&2; exit 1; }
rm -f -- "$dest/.git"
cd -- "$ROOT"
common=$(cd -- "$(git "$@" rev-parse --git-common-dir)" && pwd)
have() { git "$@" cat-file -e "$COMMIT^{commit}" 2>/dev/null; }
have "$@" || git "$@" -c protocol.version=2 fetch -q --no-tags --no-write-fetch-head \
    --no-auto-maintenance -- "$SPARE" "$COMMIT"
old= link=
for admin in "$common"/worktrees/*; do
    [ -f "$admin/gitdir" ] || continue
    [ "$(cat "$admin/gitdir")" != "$dest/.git" ] || old=$admin
done
if [ -n "$old" ] && git --git-dir="$old" rev-parse -q --verify HEAD >/dev/null 2>&1; then
    printf 'gitdir: %s\n' "$old" >"$dest/.git"
else
    [ -z "$old" ] || rm -rf -- "$old"
    link=$dest.link
    rm -rf -- "$link"
    git "$@" worktree add -q -f --no-checkout --detach -- "$link" "$COMMIT"
    admin=$(sed -n 's/^gitdir: //p' "$link/.git")
    printf '%s\n' "$dest/.git" >"$admin/gitdir"
    mv -f -- "$link/.git" "$dest/.git"
    rm -rf -- "$link"
fi
cd -- "$dest"
shift 2
if [ -z "$old" ] || [ -n "$link" ]; then
    git "$@" show-ref -q --verify "refs/heads/$BRANCH" ||
        git "$@" update-ref "refs/heads/$BRANCH" "$COMMIT"
    git "$@" symbolic-ref HEAD "refs/heads/$BRANCH"
    git "$@" reset -q --mixed
fi
case $FILES in
all) git "$@" reset -q --hard ;;
outside)
    # What exists is not written over.
    git "$@" ls-files -z -- ":(top,exclude,literal)$INSIDE" |
        git "$@" checkout-index -q -z --stdin ;;
esac
"#;

impl Git {
    /// Makes a directory full of files a linked work tree of the repository it came from, without
    /// touching a file in it. Harmless to repeat.
    ///
    /// # Errors
    ///
    /// If git refuses, as when the repository is gone, or has lost the commit and nothing else has
    /// it.
    pub async fn adopt(&self, adoption: &Adoption) -> Result<(), GitError> {
        let Adoption { root, dest, branch, head, spare, files } = adoption;
        if !branch.starts_with(BRANCH_PREFIX) {
            let (root, branch) = (root.clone(), branch.clone());
            return Err(GitError::BranchTaken { root, branch });
        }
        let command = command(ADOPT, root, "")
            .env("ROOT", root.as_str())
            .env("DEST", dest.as_str())
            .env("BRANCH", branch)
            .env("COMMIT", head)
            .env("SPARE", spare.as_str());
        let command = match files {
            Files::None => command.env("FILES", ""),
            Files::All => command.env("FILES", "all"),
            Files::Outside(inside) => command.env("FILES", "outside").env("INSIDE", inside),
        };
        let output = run(&*self.shell, &command, WORK_LIMIT).await?;
        self.checked("link the work tree", output)?;
        self.remember(dest, branch).await
    }

    /// Makes the work tree of a branch anew that is there, in a directory that is empty or not
    /// there. Returns whether there is such a branch.
    ///
    /// # Errors
    ///
    /// As [`Git::adopt`].
    pub async fn worktree_again(
        &self,
        root: &HostPath,
        dest: &HostPath,
        branch: &str,
    ) -> Result<bool, GitError> {
        let reference = format!("refs/heads/{branch}");
        let tip = self.call(root, "", &["rev-parse", "-q", "--verify", &reference]).await?;
        if tip.code != 0 {
            return Ok(false);
        }
        let make = Command::new(["mkdir", "-p", "--", dest.as_str()]);
        let made = run(&*self.shell, &make, WORK_LIMIT).await?;
        self.checked("make the directory", made)?;
        let (root, dest, branch) = (root.clone(), dest.clone(), branch.to_owned());
        let (head, spare) = (tip.text(), root.clone());
        let adoption = Adoption { root, dest, branch, head, spare, files: Files::All };
        self.adopt(&adoption).await.map(|()| true)
    }

    /// Enters a new branch at the commit that is checked out in `dest`, a repository of its own.
    ///
    /// # Errors
    ///
    /// If git refuses.
    pub async fn enter_branch(&self, dest: &HostPath, branch: &str) -> Result<(), GitError> {
        let reference = format!("refs/heads/{branch}");
        self.ok(dest, "make a branch", &["update-ref", &reference, "HEAD"]).await?;
        self.ok(dest, "enter the branch", &["symbolic-ref", "HEAD", &reference]).await?;
        self.remember(dest, branch).await
    }

    /// Writes down that the work tree is whole and ours, as for one that was made anew.
    async fn remember(&self, dest: &HostPath, branch: &str) -> Result<(), GitError> {
        let prepared = Prepared {
            workspace: dest.clone(),
            branch: branch.to_owned(),
            dirty: crate::git::Dirty::default(),
            notes: Vec::new(),
        };
        let record = serde_json::to_vec(&prepared).unwrap_or_default();
        Ok(self.shell.put(&record_path(dest), &record, 0o600).await?)
    }
}
