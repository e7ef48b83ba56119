//! Keeping what a work tree holds before it goes: what is uncommitted, commits on no branch, and
//! the work in repositories inside it, of which git itself says nothing.

use std::time::Duration;

use crate::{
    domain::ids::HostPath,
    git::{Git, GitError, command},
    shell::{OUTPUT_MAX, run},
    stdx::text::one_line,
};

/// How long one step may take: it reads, and perhaps writes, a whole work tree.
const LIMIT: Duration = Duration::from_secs(300);

/// The longest path of a repository told, in characters.
const PATH_MAX: usize = 200;

/// Takes in what differs, and lists the new files.
const TAKE_IN: &str = "shift; git \"$@\" add -u || exit; \
    exec git \"$@\" ls-files -z --others --exclude-standard";

/// Takes in the new files, which come on stdin, and commits it all with the message `$1`.
const COMMIT: &str = "shift; message=$1; shift; \
    git \"$@\" update-index --add -z --stdin || exit; \
    git \"$@\" diff --cached --quiet && exit; \
    exec git \"$@\" -c user.name=Parhelia -c user.email=parhelia@localhost \
        -c commit.gpgSign=false commit -q --no-verify -m \"$message\"";

/// Sees to it that a branch holds the commit `$1`, and says which: `$2`, or a name made of it if
/// that one has other commits or is in use. Says nothing if something holds it already. No branch
/// is moved but forward, and none that is checked out, which `branch -f` refuses.
const NAME: &str = "shift; wanted=$1 name=$2; shift 2; \
    commit=$(git \"$@\" rev-parse -q --verify \"$wanted^{commit}\") || exit 0; \
    alone=$(git \"$@\" rev-list -n 1 \"$commit\" --not --branches --tags --remotes --) || exit; \
    [ -n \"$alone\" ] || exit 0; \
    for it in \"$name\" \"$name-head\" \"$name-head-2\" \"$name-head-3\" \"$name-head-4\"; do \
        if ! git \"$@\" show-ref --verify -q -- \"refs/heads/$it\"; then \
            git \"$@\" branch --no-track -- \"$it\" \"$commit\" || exit; \
        elif git \"$@\" merge-base --is-ancestor \"refs/heads/$it\" \"$commit\"; then \
            git \"$@\" branch -q -f --no-track -- \"$it\" \"$commit\" 2>/dev/null || continue; \
        else continue; fi; \
        printf '%s\\n' \"$it\"; exit 0; \
    done; \
    echo \"every branch named $name-head has other commits\" >&2; exit 1";

/// Names each repository inside the work tree that holds work of its own, with a NUL after it.
/// Where its commits are, decides what is at stake: in what goes, all that no remote has; in
/// another repository, only what no branch there has. What cannot be asked counts as work.
const NESTED: &str = "shift; \
    own=$(git \"$@\" rev-parse --absolute-git-dir) && own=$(cd \"$own\" && pwd -P) || exit; \
    cd \"$2\" && top=$(pwd -P) || exit; \
    export top own; \
    exec find . -path ./.git -prune -o -name .git -prune -exec sh -c ' \
        for it; do ( \
            cd \"${it%/.git}\" || exit; \
            ask() { git -c core.fsmonitor=false --git-dir=.git --work-tree=. \"$@\"; }; \
            common=$(ask rev-parse --git-common-dir 2>/dev/null) || exit 0; \
            common=$(cd \"$common\" && pwd -P) || exit; \
            head=$(ask rev-parse -q --verify \"HEAD^{commit}\"); \
            case $common/ in \
            \"$top\"/* | \"$own\"/*) \
                found=$(ask rev-list -n 1 --branches --glob=\"refs/stas[h]\" $head --not --remotes \
                    --) || found=unknown ;; \
            *) found=$([ -z \"$head\" ] || ask rev-list -n 1 $head --not --branches --tags \
                    --remotes --) || found=unknown ;; \
            esac; \
            new=$(ask status --porcelain --ignore-submodules=dirty) || new=unknown; \
            [ -z \"$found$new\" ] || printf \"%s\\000\" \"${it%/.git}\"; \
        ); done' sh {} +";

impl Git {
    /// Commits what is uncommitted in the work tree at `dest`, new files as well, onto whatever is
    /// checked out there. Repositories inside it are left out, see [`Git::nested_work`].
    ///
    /// # Errors
    ///
    /// If git refuses; the files are as they were then.
    pub async fn commit_all(&self, dest: &HostPath, message: &str) -> Result<(), GitError> {
        let new = self.say("take in the new files", TAKE_IN, dest, &[], Vec::new()).await?;
        if OUTPUT_MAX <= new.len() {
            let host = self.shell.host().to_owned();
            let detail = "there are too many new files to list".into();
            return Err(GitError::Refused { host, verb: "take in the new files", detail });
        }
        // A directory among them is a repository, of which git would record no more than a number.
        let new = new.split_inclusive(|it| *it == 0).filter(|it| !it.ends_with(b"/\0"));
        let new = new.flatten().copied().collect();
        self.say("commit what is uncommitted", COMMIT, dest, &[message], new).await.map(drop)
    }

    /// Keeps what is checked out at `dest` by a branch if no branch is, and returns which: `branch`
    /// or one named after it. Nothing, if something else keeps it already.
    ///
    /// # Errors
    ///
    /// If git refuses.
    pub async fn keep_head(
        &self,
        dest: &HostPath,
        branch: &str,
    ) -> Result<Option<String>, GitError> {
        let at = self.call(dest, "", &["symbolic-ref", "-q", "HEAD"]).await?;
        if at.text().starts_with("refs/heads/") {
            return Ok(None);
        }
        self.name(dest, "HEAD", branch).await
    }

    /// Fetches what is checked out in the clone at `dest` into the repository at `root`, and keeps
    /// it there as [`Git::keep_head`] does.
    ///
    /// # Errors
    ///
    /// If git refuses.
    pub async fn fetch_head(
        &self,
        root: &HostPath,
        dest: &HostPath,
        branch: &str,
    ) -> Result<Option<String>, GitError> {
        let reference = format!("refs/{branch}");
        let range = format!("+HEAD:{reference}");
        let fetch = ["fetch", "-q", "--no-tags", "--", dest.as_str(), &range];
        self.ok(root, "fetch the clone's commits", &fetch).await?;
        let named = self.name(root, &reference, branch).await?;
        self.ok(root, "drop a reference", &["update-ref", "-d", &reference]).await?;
        Ok(named)
    }

    /// Returns the repositories inside the work tree at `dest` that hold work nothing else has:
    /// files that are not committed, or commits on no remote. Ignored ones and submodules count.
    ///
    /// # Errors
    ///
    /// If git refuses.
    pub async fn nested_work(&self, dest: &HostPath) -> Result<Vec<String>, GitError> {
        let said = self.say("look for repositories", NESTED, dest, &[], Vec::new()).await?;
        let paths = said.split(|it| *it == 0).filter(|it| !it.is_empty());
        Ok(paths
            .map(|it| {
                one_line(&String::from_utf8_lossy(it.strip_prefix(b"./").unwrap_or(it)), PATH_MAX)
            })
            .collect())
    }

    async fn name(
        &self,
        dir: &HostPath,
        commit: &str,
        branch: &str,
    ) -> Result<Option<String>, GitError> {
        let words = [commit, branch];
        let said = self.say("keep the commits by a branch", NAME, dir, &words, Vec::new()).await?;
        let named = String::from_utf8_lossy(&said).trim().to_owned();
        Ok((!named.is_empty()).then_some(named))
    }

    /// Runs a script whose arguments are `words` and then git with its settings.
    async fn say(
        &self,
        verb: &'static str,
        script: &str,
        dir: &HostPath,
        words: &[&str],
        stdin: Vec<u8>,
    ) -> Result<Vec<u8>, GitError> {
        let mut command = command(script, dir, "").stdin(stdin);
        // Behind `sh -c SCRIPT git INDEX`, before what git is given.
        command.argv.splice(5..5, words.iter().map(|it| it.as_bytes().to_vec()));
        let output = run(&*self.shell, &command, LIMIT).await?;
        Ok(self.checked(verb, output)?.stdout)
    }
}
