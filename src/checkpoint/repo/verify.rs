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

/// Damaged objects that are named; more are counted.
const NAMED_MAX: usize = 3;

/// Copies all objects of the checkpoint `$1` itself into a pack of its own and has their names
/// computed anew from what was copied: git reads objects without that. Of its parents it asks only
/// whether they are there. `$2` says how to copy. Says which objects are not what they are called;
/// of one that cannot be read, which git names as it gives up, also what it is in the checkpoint.
const VERIFY: &str = "tmp=$(mktemp -d \"$GIT_DIR/verify.XXXXXX\") || exit; \
    trap 'rm -rf \"$tmp\"' EXIT; trap 'exit 1' HUP INT TERM; \
    for it in $(g rev-parse \"$1^@\"); do g cat-file -e \"$it^{commit}\" || exit; done; \
    g rev-list --objects --no-walk \"$1\" > \"$tmp/named\" || exit; \
    sed 's/ .*//' \"$tmp/named\" > \"$tmp/all\" || exit; \
    g pack-objects --stdout -q --window=0 $2 < \"$tmp/all\" > \"$tmp/pack\" 2> \"$tmp/said\" || { \
        code=$?; cat \"$tmp/said\" >&2; grep '^fatal:' \"$tmp/said\" \
            | tr -c '0-9a-f\\n' ' ' | tr ' ' '\\n' | grep -E '^.{40}$' > \"$tmp/bad\" || exit $code; \
        grep -Ff \"$tmp/bad\" \"$tmp/named\"; exit $code; }; \
    cat \"$tmp/said\" >&2; \
    (cd \"$tmp\" && GIT_DIR=$tmp/none && git index-pack -o index.idx pack >/dev/null) || exit; \
    git show-index < \"$tmp/index.idx\" | while read -r _ id _; do echo \"$id\"; done \
        | sort > \"$tmp/found\" || exit; \
    sort \"$tmp/all\" | comm -23 - \"$tmp/found\" > \"$tmp/bad\"; \
    [ ! -s \"$tmp/bad\" ] || grep -Ff \"$tmp/bad\" \"$tmp/named\"";

/// Copies what is packed as it is, which is fast.
const AS_IT_IS: &str = "";

/// Reads each object and, if it is damaged where git looks first, another copy of it.
const READ_EACH: &str = "--no-reuse-object";

/// What is wrong with a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// As a sentence, without a full stop.
    pub what: String,
    /// In git's words, one line; may be empty.
    pub git: String,
}

impl Repo {
    pub(super) async fn check(&self, commit: &str) -> Result<Option<Flaw>, CheckpointError> {
        let missing = "its commit is not there".to_owned();
        let missing = || Some(Flaw { what: missing.clone(), git: String::new() });
        if !is_id(commit) {
            return Ok(missing());
        }
        for how in [AS_IT_IS, READ_EACH] {
            let mut command = self.command(&[EXPECT, VERIFY].concat(), &[commit, how]);
            // It is nobody's hurry.
            command.argv.splice(0..0, ["nice", "-n", "10"].map(|it| it.as_bytes().to_vec()));
            let output = run(&*self.shell, &command, LIMIT).await?;
            if output.code == NOT_THERE {
                return Ok(missing());
            }
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let flaw = match self.checked("read a checkpoint", output) {
                // What it complains of then is a copy that it did not need.
                Ok(_) if said.is_empty() && how == READ_EACH => None,
                Ok(output) if said.is_empty() => complaint(&output.stderr),
                Ok(_) => Some(Flaw { what: named(&said), git: String::new() }),
                Err(CheckpointError::Refused { detail, .. }) => {
                    Some(Flaw { what: named(&said), git: one_line(&detail, 400) })
                }
                Err(it) => return Err(it),
            };
            // A copy that can be read may be behind one that cannot.
            if flaw.is_none() || how == READ_EACH {
                return Ok(flaw);
            }
        }
        Ok(None)
    }
}

/// Says which of its objects are damaged, given as `ID PATH` lines.
fn named(lines: &str) -> String {
    let mut names: Vec<String> = lines.lines().filter_map(name).collect();
    names.dedup();
    let shown = names.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => "a part of it cannot be read".to_owned(),
        count if count <= NAMED_MAX => format!("{shown} cannot be read"),
        count => format!("{shown} and {} more cannot be read", count - NAMED_MAX),
    }
}

/// Says what an object is in the checkpoint.
fn name(line: &str) -> Option<String> {
    let (id, path) = line.split_once(' ').unwrap_or((line, ""));
    let path = one_line(path, 200);
    let id = id.get(..12)?;
    Some(match path.split_once('/') {
        Some(("w", path)) => format!("{path} (object {id})"),
        _ if path.is_empty() => format!("the object {id}"),
        _ => format!("its {path} (object {id})"),
    })
}

/// Returns what git complained of though it could go on, as a checksum that is wrong beside content
/// that is right.
fn complaint(said: &[u8]) -> Option<Flaw> {
    let said = String::from_utf8_lossy(said);
    // That what was borrowed from is gone is no matter if everything is there.
    let line = said.lines().find(|it| it.starts_with("error:") && !it.contains("alternate"))?;
    Some(Flaw { what: named(""), git: one_line(line, 400) })
}
