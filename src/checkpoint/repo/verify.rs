//! Reading all that a checkpoint consists of.

use std::time::Duration;

use crate::{
    checkpoint::{
        CheckpointError,
        repo::{
            Repo,
            call::{EXPECT, NOT_THERE},
            is_id,
        },
    },
    shell::run,
    stdx::text::one_line,
};

/// How long it may take: as long as reading everything does.
const LIMIT: Duration = Duration::from_secs(1800);

/// Copies all objects of the checkpoint `$1` itself into a pack of its own and has their names
/// computed anew from what was copied: git reads objects without that. Of its parents it asks only
/// whether they are there. Says which objects are not what they are called.
const VERIFY: &str = "tmp=$(mktemp -d \"$GIT_DIR/verify.XXXXXX\") || exit; \
    trap 'rm -rf \"$tmp\"' EXIT; trap 'exit 1' HUP INT TERM; \
    for it in $(g rev-parse \"$1^@\"); do g cat-file -e \"$it^{commit}\" || exit; done; \
    g rev-list --objects --no-walk --no-object-names \"$1\" > \"$tmp/all\" || exit; \
    g pack-objects --stdout -q --window=0 < \"$tmp/all\" > \"$tmp/pack\" || exit; \
    (cd \"$tmp\" && GIT_DIR=$tmp/none && git index-pack -o index.idx pack >/dev/null) || exit; \
    git show-index < \"$tmp/index.idx\" | while read -r _ id _; do echo \"$id\"; done \
        | sort > \"$tmp/found\" || exit; \
    sort \"$tmp/all\" | comm -23 - \"$tmp/found\"";

impl Repo {
    pub(super) async fn check(&self, commit: &str) -> Result<Option<String>, CheckpointError> {
        let missing = || Some(format!("the commit {commit} is not there"));
        if !is_id(commit) {
            return Ok(missing());
        }
        let mut command = self.command(&[EXPECT, VERIFY].concat(), &[commit]);
        // It is nobody's hurry.
        command.argv.splice(0..0, ["nice", "-n", "10"].map(|it| it.as_bytes().to_vec()));
        let output = run(&*self.shell, &command, LIMIT).await?;
        if output.code == NOT_THERE {
            return Ok(missing());
        }
        match self.checked("read a checkpoint", output) {
            Ok(output) if output.stdout.is_empty() => Ok(complaint(&output.stderr)),
            Ok(output) => {
                let ids = output.text();
                let first = ids.lines().next().unwrap_or_default();
                let count = ids.lines().count();
                Ok(Some(format!("{count} of its objects are not what they were, as {first}")))
            }
            Err(CheckpointError::Refused { detail, .. }) => Ok(Some(one_line(&detail, 400))),
            Err(it) => Err(it),
        }
    }
}

/// Returns what git complained of though it could go on, as a checksum that is wrong beside content
/// that is right.
fn complaint(said: &[u8]) -> Option<String> {
    let said = String::from_utf8_lossy(said);
    // That what was borrowed from is gone is no matter if everything is there.
    let line = said.lines().find(|it| it.starts_with("error:") && !it.contains("alternate"))?;
    Some(one_line(line, 400))
}
