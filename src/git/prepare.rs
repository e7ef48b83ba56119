//! Making and removing a task's work tree.
//!
//! The user's uncommitted state is taken over by way of a copy of their index: their files are
//! added to the copy, the resulting tree is written out at the new place, and the index there is
//! set back to the commit. So changes appear as uncommitted, and new files as untracked.
//!
//! A file beside the work tree records that we began (before anything is made) and that we are
//! done. An attempt that was cut short is cleared away and made again; what bears no such record is
//! not ours and is not touched.

use std::time::Duration;

use serde_json as json;

use crate::{
    domain::ids::HostPath,
    git::{ASK_LIMIT, BRANCH_PREFIX, Dirty, Git, GitError, Plan, Prepared, Removed, WORK_LIMIT},
    shell::{Command, run},
    stdx::backoff::Backoff,
};

/// What the record holds until the work tree is complete.
const BEGUN: &[u8] = b"begun\n";

/// The most of a record that is read, in bytes; a longer one was not written by us.
const RECORD_MAX: usize = 64 * 1024;

/// What git complains of where it stumbles over what it knows of another work tree. It reads all of
/// them to make one, also those that someone else is just making, whose files are empty yet.
const OTHERS: &str = "/worktrees/";

/// How often, and how soon, it is tried again then: within 0.7 s in all.
const HALF_MADE_MAX: u32 = 5;
const HALF_MADE: Backoff =
    Backoff { first: Duration::from_millis(25), most: Duration::from_millis(400) };

/// Deletes a tree, also where a build has left directories that may not be written to.
const DELETE: &str = "for it do rm -rf -- \"$it\" 2>/dev/null || \
    { chmod -R u+rwX -- \"$it\"; rm -rf -- \"$it\"; } || exit; done";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Worktree,
    Clone,
}

/// The user's work tree as git objects.
struct Snapshot {
    tree: String,
    dirty: Dirty,
    notes: Vec<String>,
}

impl Git {
    /// Makes a linked work tree of the plan's repository. Asking again gives the same one.
    ///
    /// # Errors
    ///
    /// [`GitError::NoCommits`], [`GitError::Taken`] and [`GitError::BranchTaken`] are for the user
    /// to resolve; nothing was changed then.
    pub async fn worktree(&self, plan: &Plan) -> Result<Prepared, GitError> {
        self.prepare(plan, Kind::Worktree).await
    }

    /// Makes a repository of its own, which shares nothing with the plan's that is ever changed.
    /// Its `origin` is the repository's own, so that pushing does not go to the user's branches.
    ///
    /// # Errors
    ///
    /// As for [`Git::worktree`].
    pub async fn clone_repo(&self, plan: &Plan) -> Result<Prepared, GitError> {
        self.prepare(plan, Kind::Clone).await
    }

    /// Removes a work tree made by [`Git::worktree`] with all that is uncommitted in it. The
    /// branch goes too, if it is ours and everything on it is reachable without it.
    ///
    /// # Errors
    ///
    /// [`GitError::Taken`] if it was not made by us.
    pub async fn remove_worktree(
        &self,
        root: &HostPath,
        dest: &HostPath,
        branch: Option<&str>,
    ) -> Result<Removed, GitError> {
        if self.record(dest).await?.is_none() && self.exists(dest).await? {
            return Err(GitError::Taken { dest: dest.clone() });
        }
        self.clear(root, dest).await?;
        let mut branch_kept = false;
        if let Some(branch) = branch
            && self.has_branch(root, branch).await?
        {
            branch_kept = !branch.starts_with(BRANCH_PREFIX) || self.is_alone(root, branch).await?;
            if !branch_kept {
                self.ok(root, "delete the branch", &["branch", "-q", "-D", "--", branch]).await?;
            }
        }
        self.delete(&[&record_path(dest)]).await?;
        Ok(Removed { branch_kept })
    }

    async fn prepare(&self, plan: &Plan, kind: Kind) -> Result<Prepared, GitError> {
        let root = &plan.repo.root;
        let Some(base) = &plan.repo.head else {
            return Err(GitError::NoCommits { root: root.clone() });
        };
        if let Some(done) = self.earlier(plan, kind).await? {
            return Ok(done);
        }
        self.shell.put(&record_path(&plan.dest), BEGUN, 0o600).await?;
        let snapshot = self.snapshot(plan, base).await?;
        match kind {
            Kind::Worktree => self.add_worktree(plan, base).await?,
            Kind::Clone => self.add_clone(plan, base).await?,
        }
        let write_out = ["read-tree", "--reset", "-u", &snapshot.tree];
        self.ok(&plan.dest, "write the files", &write_out).await?;
        self.ok(&plan.dest, "reset the index", &["reset", "-q", "--mixed"]).await?;
        let prepared = Prepared {
            workspace: self.workspace(plan).await?,
            branch: plan.branch.clone(),
            dirty: snapshot.dirty,
            notes: snapshot.notes,
        };
        let record = json::to_vec(&prepared).unwrap_or_default();
        self.shell.put(&record_path(&plan.dest), &record, 0o600).await?;
        Ok(prepared)
    }

    /// Returns what an earlier call made; clears away what one left unfinished.
    async fn earlier(&self, plan: &Plan, kind: Kind) -> Result<Option<Prepared>, GitError> {
        let root = &plan.repo.root;
        let ours = plan.branch.starts_with(BRANCH_PREFIX);
        let exists = self.exists(&plan.dest).await?;
        let begun = match self.record(&plan.dest).await? {
            Some(record) if exists && record != BEGUN => {
                // A record that cannot be read is of an attempt that may hold work.
                let done = json::from_slice(&record);
                return done.map(Some).map_err(|_| GitError::Taken { dest: plan.dest.clone() });
            }
            Some(record) => record == BEGUN,
            None if exists => return Err(GitError::Taken { dest: plan.dest.clone() }),
            None => false,
        };
        let branch_taken = kind == Kind::Worktree && self.has_branch(root, &plan.branch).await?;
        if branch_taken && !(begun && ours) {
            let branch = plan.branch.clone();
            return Err(GitError::BranchTaken { root: root.clone(), branch });
        }
        if begun {
            self.clear(root, &plan.dest).await?;
        }
        Ok(None)
    }

    /// Deletes what is at `dest` and what the repository knows of it. Of other work trees nothing
    /// is touched, which `worktree prune` would do.
    async fn clear(&self, root: &HostPath, dest: &HostPath) -> Result<(), GitError> {
        self.delete(&[dest, &index_path(dest)]).await?;
        // Twice: git locks a work tree while it makes it. That it knows of none is fine.
        let remove = ["worktree", "remove", "--force", "--force", "--", dest.as_str()];
        self.call(root, "", &remove).await?;
        Ok(())
    }

    async fn snapshot(&self, plan: &Plan, base: &str) -> Result<Snapshot, GitError> {
        let root = &plan.repo.root;
        let status = ["status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all"];
        let status = [&status[..], &["--ignore-submodules=dirty"]].concat();
        let status = self.ok(root, "compare the work tree", &status).await?;
        let Changes { dirty, untracked, nested } = Changes::parse(&status.stdout);
        let mut notes = Vec::new();
        if 0 < nested {
            notes.push(format!("{nested} repositories inside this one are not carried over."));
        }
        if self.shell.get(&root.join(".gitmodules"), 0, 1).await?.is_some() {
            notes.push(
                "Submodules are left empty; `git submodule update --init` fills them.".into(),
            );
        }
        if !plan.include_dirty || dirty == Dirty::default() {
            return Ok(Snapshot { tree: base.to_owned(), dirty, notes });
        }
        let index_path = index_path(&plan.dest);
        let index = index_path.as_str();
        let own = plan.repo.git_dir.join("index");
        let copy = Command::new(["cp", "--", own.as_str(), index]);
        if run(&*self.shell, &copy, ASK_LIMIT).await?.code != 0 {
            let read = self.feed(root, index, &["read-tree", base], Vec::new(), WORK_LIMIT).await?;
            self.checked("copy the index", read)?;
        }
        let added = self.feed(root, index, &["add", "-u"], Vec::new(), WORK_LIMIT).await?;
        self.checked("take in changes", added)?;
        let add = ["update-index", "--add", "--remove", "-z", "--stdin"];
        let added = self.feed(root, index, &add, untracked, WORK_LIMIT).await?;
        self.checked("take in new files", added)?;
        let tree = self.call(root, index, &["write-tree"]).await?;
        let tree = self.checked("write the tree", tree)?.text();
        self.delete(&[&index_path]).await?;
        Ok(Snapshot { tree, dirty, notes })
    }

    async fn add_worktree(&self, plan: &Plan, base: &str) -> Result<(), GitError> {
        // What is of that name now was left by an attempt of ours: see `earlier`.
        let create = if plan.branch.starts_with(BRANCH_PREFIX) { "-B" } else { "-b" };
        let dest = plan.dest.as_str();
        let add =
            ["worktree", "add", "-q", "--no-checkout", create, &plan.branch, "--", dest, base];
        let mut failures = 0;
        loop {
            match self.ok(&plan.repo.root, "add a work tree", &add).await {
                Err(GitError::Refused { detail, .. })
                    if detail.contains(OTHERS) && failures < HALF_MADE_MAX =>
                {
                    failures += 1;
                    tokio::time::sleep(HALF_MADE.after(failures)).await;
                }
                added => return added.map(drop),
            }
        }
    }

    async fn add_clone(&self, plan: &Plan, base: &str) -> Result<(), GitError> {
        let (root, dest) = (&plan.repo.root, &plan.dest);
        // With `--local` all objects come along, those of the snapshot as well.
        let clone = ["clone", "-q", "--local", "--no-checkout", "--", root.as_str(), dest.as_str()];
        self.ok(root, "clone", &clone).await?;
        let reference = format!("refs/heads/{}", plan.branch);
        self.ok(dest, "make a branch", &["update-ref", &reference, base]).await?;
        self.ok(dest, "enter the branch", &["symbolic-ref", "HEAD", &reference]).await?;
        let origin = self.call(root, "", &["config", "--get", "remote.origin.url"]).await?;
        let set = match origin.text() {
            url if origin.code == 0 && !url.is_empty() => {
                self.call(dest, "", &["config", "remote.origin.url", &url]).await?
            }
            _ => self.call(dest, "", &["remote", "remove", "origin"]).await?,
        };
        self.checked("set the remote", set).map(drop)
    }

    /// Returns the directory that corresponds to the one asked for, made if nothing in it came.
    async fn workspace(&self, plan: &Plan) -> Result<HostPath, GitError> {
        let prefix = self.ok(&plan.from, "find the place", &["rev-parse", "--show-prefix"]).await?;
        let prefix = prefix.stdout.strip_suffix(b"\n").unwrap_or(&prefix.stdout);
        let prefix = prefix.strip_suffix(b"/").unwrap_or(prefix);
        if prefix.is_empty() {
            return Ok(plan.dest.clone());
        }
        let prefix = std::str::from_utf8(prefix).map_err(|_| GitError::OddPath {
            host: self.shell.host().to_owned(),
            path: String::from_utf8_lossy(prefix).into_owned(),
        })?;
        let workspace = plan.dest.join(prefix);
        let make = Command::new(["mkdir", "-p", "--", workspace.as_str()]);
        let made = run(&*self.shell, &make, ASK_LIMIT).await?;
        self.checked("make the directory", made)?;
        Ok(workspace)
    }

    async fn record(&self, dest: &HostPath) -> Result<Option<Vec<u8>>, GitError> {
        Ok(self.shell.get(&record_path(dest), 0, RECORD_MAX).await?)
    }

    async fn exists(&self, path: &HostPath) -> Result<bool, GitError> {
        let test = "[ -e \"$1\" ] || [ -L \"$1\" ]";
        let test = Command::new(["sh", "-c", test, "sh", path.as_str()]);
        Ok(run(&*self.shell, &test, ASK_LIMIT).await?.code == 0)
    }

    async fn has_branch(&self, root: &HostPath, branch: &str) -> Result<bool, GitError> {
        let reference = format!("refs/heads/{branch}");
        let verify = ["show-ref", "--verify", "-q", "--", &reference];
        Ok(self.call(root, "", &verify).await?.code == 0)
    }

    /// Returns whether a branch holds commits that are on nothing else.
    async fn is_alone(&self, root: &HostPath, branch: &str) -> Result<bool, GitError> {
        let (reference, except) =
            (format!("refs/heads/{branch}"), format!("--exclude=refs/heads/{branch}"));
        let list = ["rev-list", "-n", "1", &reference, "--not", &except, "--all", "HEAD", "--"];
        Ok(!self.ok(root, "compare the branch", &list).await?.stdout.is_empty())
    }

    async fn delete(&self, paths: &[&HostPath]) -> Result<(), GitError> {
        let mut command = Command::new(["sh", "-c", DELETE, "sh"]);
        command.argv.extend(paths.iter().map(|it| it.as_str().as_bytes().to_vec()));
        let deleted = run(&*self.shell, &command, WORK_LIMIT).await?;
        self.checked("clear a work tree away", deleted).map(drop)
    }
}

pub(super) fn record_path(dest: &HostPath) -> HostPath {
    beside(dest, "parhelia")
}

fn index_path(dest: &HostPath) -> HostPath {
    beside(dest, "index")
}

fn beside(dest: &HostPath, suffix: &str) -> HostPath {
    let name = format!("{}.{suffix}", dest.file_name());
    dest.parent().map_or_else(|| dest.join(&name), |it| it.join(&name))
}

/// What `git status` lists.
struct Changes {
    dirty: Dirty,
    /// The new files, each with a NUL after it.
    untracked: Vec<u8>,
    /// Repositories inside this one, which git lists as directories.
    nested: usize,
}

impl Changes {
    fn parse(status: &[u8]) -> Changes {
        let mut changes = Changes { dirty: Dirty::default(), untracked: Vec::new(), nested: 0 };
        for entry in status.split(|it| *it == 0).filter(|it| 3 < it.len()) {
            match (&entry[..2], &entry[3..]) {
                (b"??", [.., b'/']) => changes.nested += 1,
                (b"??", path) => {
                    changes.dirty.untracked += 1;
                    changes.untracked.extend_from_slice(path);
                    changes.untracked.push(0);
                }
                _ => changes.dirty.modified += 1,
            }
        }
        changes
    }
}
