//! What is saved beside the workspace, back on its host.

use crate::{
    checkpoint::{
        CheckpointError,
        repo::{damaged, split_once},
        restore::unit::DESCEND,
        shadow::Shadow,
    },
    domain::ids::HostPath,
    shell::run,
};

/// Lists the files `$2` is, or that are below it.
const LIST: &str = "it=$(g rev-parse -q --verify \"$1^{tree}:$2\") || exit 0; \
    if [ \"$(g cat-file -t \"$it\")\" = blob ]; then printf '100644 blob %s\\t\\000' \"$it\"; \
    else exec git ls-tree -r -z \"$it\"; fi";

/// Writes each of the files on stdin, which are a blob and a path each, below `$1`.
const WRITE: &str = "exec xargs -0 -n 900 sh -c \"$2\" sh \"$1\"";

/// See [`WRITE`]. What is not whole has a name of its own.
const EACH: &str = "dest=$1; shift; while [ $# -gt 0 ]; do \
        if [ -z \"$2\" ]; then \
            case $dest in */?*) parent=${dest%/*};; esac; mkdir -p \"${parent:-/}\" || exit 255; \
            at=$dest; \
        else \
            case $2 in */*) descend \"$dest\" \"${2%/*}\" make;; *) descend \"$dest\" '' make;; esac \
                || exit 255; at=$at/${2##*/}; \
        fi; \
        [ ! -d \"$at\" ] || exit 255; \
        rm -f \"$at.parhelia-new\" && git cat-file blob \"$1\" > \"$at.parhelia-new\" \
            && mv -f \"$at.parhelia-new\" \"$at\" || exit 255; \
        shift 2; \
    done";

impl Shadow {
    /// Writes something saved beside the workspace to `to`, with its parent directories; a name
    /// that is a directory in the checkpoint is written with all that is below it. Files that are
    /// there are replaced whole or not at all. Returns how many files were written.
    ///
    /// # Errors
    ///
    /// As [`crate::checkpoint::repo::Repo::meta`], and if the host cannot write.
    pub async fn put_beside(
        &self,
        commit: &str,
        name: &str,
        to: &HostPath,
    ) -> Result<u64, CheckpointError> {
        let words = [commit.to_owned(), format!("beside/{name}")];
        let said = self.repo.read(LIST, &words).await?.stdout;
        let mut stdin = Vec::new();
        let mut count = 0;
        for entry in said.split(|it| *it == 0).filter(|it| !it.is_empty()) {
            let (facts, path) = split_once(entry, b'\t');
            let facts = String::from_utf8_lossy(facts).into_owned();
            let fine = |it: &[u8]| !matches!(it, b"" | b"." | b"..");
            if !(path.is_empty() || path.split(|it| *it == b'/').all(fine)) {
                return Err(damaged(commit, "a name in it leads out of it"));
            }
            // A link could lead anywhere; none is saved beside.
            if let ["100644" | "100755", _, id] = facts.split(' ').collect::<Vec<_>>()[..] {
                stdin.extend_from_slice(id.as_bytes());
                stdin.push(0);
                stdin.extend_from_slice(path);
                stdin.push(0);
                count += 1;
            }
        }
        if count == 0 {
            return Ok(0);
        }
        let each = [DESCEND, EACH].concat();
        let command = self.repo.command(WRITE, &[to.as_str(), &each]).stdin(stdin);
        let output = run(&*self.repo.shell, &command, super::LIMIT).await?;
        self.repo.checked("write files", output)?;
        Ok(count)
    }
}
