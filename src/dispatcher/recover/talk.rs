//! Conversations: putting one back where Claude looks for it.

use std::time::Duration;

use crate::{
    api::error::{ApiError, ErrorKind},
    checkpoint::shadow::Shadow,
    dispatcher::{
        core::Fact,
        keeper::checkpoint_error,
        recover::{Means, There, back::may_be_damage, look::is_id},
        session::host_error,
        watch::WatchRequest,
    },
    domain::{checkpoint::Checkpoint, ids::HostPath, task::Task},
    shell::{Command, run},
};

/// Deadline of a short command.
const LIMIT: Duration = Duration::from_secs(20);
/// The longest name Claude gives a project's directory before it shortens it.
const SLUG_MAX: usize = 200;

/// What to put back, and under which name.
pub struct Talk<'a> {
    /// The checkpoint.
    pub checkpoint: &'a Checkpoint,
    /// The id it goes on under: its own, or a new one for a copy.
    pub under: &'a str,
    /// Where it is now, if it is anywhere.
    pub found: Option<HostPath>,
    /// Where Claude will work.
    pub workspace: &'a HostPath,
}

/// Gives the copied file its final name. `$1` is the copy, `$2` where it goes, `$3` the id it is of
/// and `$4` the one it goes on under: in a copy every line says whose it is. Prints its length.
const SETTLE: &str = r#"
set -e
if [ "$3" != "$4" ]; then
    LC_ALL=C sed "s/\"sessionId\":\"$3\"/\"sessionId\":\"$4\"/g" <"$1" >"$1.new"
    mv -f -- "$1.new" "$1"
fi
chmod 600 "$1"
mv -f -- "$1" "$2"
wc -c <"$2"
"#;

impl Means<'_> {
    /// Puts a conversation back where Claude looks for it, with what its subagents said. What is
    /// there is replaced. Returns where it is; nothing if the checkpoint has none.
    ///
    /// # Errors
    ///
    /// If the host cannot write, or the checkpoint cannot be read.
    pub(super) async fn put_conversation(
        self,
        task: &Task,
        there: &There,
        shadow: &Shadow,
        talk: Talk<'_>,
    ) -> Result<Option<HostPath>, ApiError> {
        let Talk { checkpoint, under, found, workspace } = talk;
        let commit = &checkpoint.commit;
        let id = checkpoint.conversation.as_deref().filter(|it| is_id(it) && is_id(under));
        let Some(id) = id else { return Ok(None) };
        let name = format!("conversation/{id}.jsonl");
        let beside = shadow.repo.beside(commit).await.map_err(|it| checkpoint_error(&it))?;
        if !beside.contains(&name) {
            return Ok(None);
        }
        let to = match found {
            Some(path) => path,
            None => self.transcript_path(there, shadow, commit, under, workspace).await?,
        };
        let dir = to.parent().unwrap_or_else(|| there.config.clone());
        let copy = dir.join(&format!(".{under}.parhelia"));
        self.put_beside(there, shadow, checkpoint, (&name, &copy)).await?;
        let more = format!("conversation/{id}");
        if beside.iter().any(|it| it.strip_prefix(&more).is_some_and(|it| it.starts_with('/'))) {
            self.put_beside(there, shadow, checkpoint, (&more, &dir.join(under))).await?;
        }
        let argv = ["sh", "-c", SETTLE, "sh", copy.as_str(), to.as_str(), id, under];
        let output = run(&*there.worker.shell, &Command::new(argv), LIMIT).await;
        let output = output.map_err(|it| host_error(&it))?;
        let Some(bytes) = output.text().trim().parse().ok().filter(|_| output.code == 0) else {
            let message = format!("the conversation could not be put back: {}", output.complaint());
            return Err(ApiError::new(ErrorKind::Host, message));
        };
        self.read_from(task, there, &to, bytes).await;
        Ok(Some(to))
    }

    /// Puts a piece where it is wanted; if it is damaged there it is fetched again.
    async fn put_beside(
        self,
        there: &There,
        shadow: &Shadow,
        checkpoint: &Checkpoint,
        (name, to): (&str, &HostPath),
    ) -> Result<(), ApiError> {
        let put = || shadow.put_beside(&checkpoint.commit, name, to);
        let mut done = put().await;
        if done.as_ref().is_err_and(may_be_damage) && self.mended(there, shadow, checkpoint).await {
            done = put().await;
        }
        done.map(drop).map_err(|it| checkpoint_error(&it))
    }

    /// Has a transcript read from `offset` on: what is before it was counted when it was written.
    async fn read_from(self, task: &Task, there: &There, path: &HostPath, offset: u64) {
        let file = path.to_string();
        let request = WatchRequest::ReadFrom { task: task.id.clone(), file: file.clone(), offset };
        self.hosts.watch(&there.worker, request).await;
        let fact = Fact {
            task: task.id.clone(),
            attempt: task.attempts,
            bodies: Vec::new(),
            offsets: vec![(file, offset)],
            answer: None,
        };
        self.core.report(fact).await;
    }

    /// Returns where the transcript goes: where it was, or where Claude itself would write
    /// it for that workspace. Claude looks in the directories of all projects.
    async fn transcript_path(
        self,
        there: &There,
        shadow: &Shadow,
        commit: &str,
        under: &str,
        workspace: &HostPath,
    ) -> Result<HostPath, ApiError> {
        let projects = there.config.join("projects");
        let meta = shadow.repo.meta(commit).await.map_err(|it| checkpoint_error(&it))?;
        let name = format!("{under}.jsonl");
        let was = meta.facts.transcript.filter(|it| is_below(it, &projects, &name));
        if let Some(path) = was {
            return Ok(path);
        }
        let argv = ["sh", "-c", "cd -P -- \"$1\" && pwd", "sh", workspace.as_str()];
        let output = run(&*there.worker.shell, &Command::new(argv), LIMIT).await;
        let real = output.map_err(|it| host_error(&it))?.text();
        let real = if real.is_empty() { workspace.as_str() } else { &real };
        Ok(projects.join(&slug(real)).join(&name))
    }
}

/// Tells whether `path` is a file called `name` in a directory of `projects`.
fn is_below(path: &HostPath, projects: &HostPath, name: &str) -> bool {
    let dir = path.parent();
    path.file_name() == name
        && dir.as_ref().and_then(HostPath::parent).as_ref() == Some(projects)
        && dir.is_some_and(|it| !matches!(it.file_name(), "." | ".."))
}

/// Returns the name that Claude gives the directory of the project at `path`.
fn slug(path: &str) -> String {
    let each = |it: char| if it.is_ascii_alphanumeric() { it } else { '-' };
    path.chars().map(each).take(SLUG_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> HostPath {
        HostPath::new(text).unwrap()
    }

    #[test]
    fn a_project_is_called_as_claude_calls_it() {
        assert_eq!(slug("/tmp/a_b.c/\u{fc} x"), "-tmp-a-b-c---x");
        assert_eq!(slug(&"/x".repeat(200)).len(), SLUG_MAX);
    }

    #[test]
    fn only_a_file_of_a_project_is_taken_for_a_transcript() {
        let projects = path("/h/.claude/projects");
        let fits = |it: &str| is_below(&path(it), &projects, "a.jsonl");
        assert!(fits("/h/.claude/projects/-w/a.jsonl"));
        for bad in [
            "/h/.claude/projects/-w/b.jsonl",
            "/h/.claude/projects/a.jsonl",
            "/h/.claude/projects/../a.jsonl",
            "/h/.claude/projects/-w/x/a.jsonl",
            "/etc/a.jsonl",
        ] {
            assert!(!fits(bad), "{bad}");
        }
    }
}
