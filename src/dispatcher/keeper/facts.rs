//! What is saved beside the workspace, and what a checkpoint says of its task.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    checkpoint::{
        meta::Facts,
        shadow::{Beside, Source},
    },
    dispatcher::{
        create,
        keeper::{Keeper, Place},
        launch::{claude_config, environment},
    },
    domain::{
        checkpoint::{Checkpoint, Trigger},
        ids::{CheckpointId, HostPath, TaskId},
        task::Task,
    },
    provider::Worker,
    shell::{Command, ShellError, run},
    tmux::{Capture, TmuxError},
};

use std::sync::PoisonError;

/// How long the host may take to say where the transcript is.
const LIMIT: Duration = Duration::from_secs(10);
/// The most that is kept of what the terminal showed, in bytes: the end of it.
const SCROLLBACK_MAX: usize = 1024 * 1024;
/// The longest value of a variable that is kept.
const VALUE_MAX: usize = 200;
/// Variables whose values are kept: none of them ever is a secret.
const PLAIN: [&str; 8] =
    ["COLORTERM", "EDITOR", "LANG", "LC_ALL", "LC_CTYPE", "SHELL", "TERM", "TZ"];

/// A conversation as it was seen last: where, and how long it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    id: String,
    transcript: HostPath,
    bytes: u64,
}

/// What was gathered for a checkpoint.
pub struct Gathered {
    /// The conversation, if there is one.
    pub conversation: Option<Conversation>,
    /// What is saved beside the workspace.
    pub beside: Vec<Beside>,
    env: BTreeMap<String, Option<String>>,
}

impl Keeper {
    /// Gathers what is saved beside the workspace. A piece that cannot be had is not there.
    pub(super) async fn gather(&self, task: &Task, place: &Place) -> Gathered {
        let kept = create::read_env(&self.inner.tools.home, &task.id).await.unwrap_or_default();
        let env = environment(&place.worker, kept);
        let config = claude_config(&place.worker, &env);
        let (conversation, terminal) =
            tokio::join!(conversation(task, &place.worker, &config), self.terminal(task, place));
        let mut beside = terminal;
        match (&conversation, &task.conversation) {
            (Some(it), _) => beside.extend(transcript_and_more(it)),
            (None, Some(id)) if is_plain(id) => beside.extend(as_before(id)),
            (None, _) => (),
        }
        let env = env
            .into_iter()
            .map(|(name, value)| {
                let plain = PLAIN.contains(&name.as_str()) && value.expose().len() <= VALUE_MAX;
                (name, plain.then(|| value.expose().to_owned()))
            })
            .collect();
        Gathered { conversation, beside, env }
    }

    /// Returns what the checkpoint says of its task.
    pub(super) fn facts(
        &self,
        task: &Task,
        id: &CheckpointId,
        trigger: Trigger,
        label: Option<String>,
        gathered: &Gathered,
    ) -> Facts {
        Facts {
            id: id.clone(),
            task: task.id.clone(),
            task_name: task.name.clone(),
            at: self.inner.tools.clock.now(),
            trigger,
            label,
            conversation: task.conversation.clone(),
            transcript: gathered.conversation.as_ref().map(|it| it.transcript.clone()),
            env: gathered.env.clone(),
            turns: task.usage.turns,
            tokens: task.usage.tokens,
            cost: task.usage.model,
        }
    }

    /// Tells whether the conversation is as `newest` has it. What is not known any more, since the
    /// dispatcher began after it, is judged by the turns.
    pub(super) fn same_conversation(
        &self,
        task: &Task,
        newest: &Checkpoint,
        gathered: &Gathered,
    ) -> bool {
        let seen = self.inner.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get(&task.id) {
            Some(seen) => Some(seen) == gathered.conversation.as_ref(),
            None => {
                newest.conversation == task.conversation
                    && newest.turns == task.usage.turns
                    && newest.tokens == task.usage.tokens
            }
        }
    }

    /// Remembers the conversation that a checkpoint now holds.
    pub(super) fn saw(&self, task: &TaskId, conversation: Option<Conversation>) {
        let mut seen = self.inner.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match conversation {
            Some(it) => seen.insert(task.clone(), it),
            None => seen.remove(task),
        };
    }

    /// Returns the layout and the text of a live session's terminal.
    async fn terminal(&self, task: &Task, place: &Place) -> Vec<Beside> {
        if task.state.session().is_none() {
            return Vec::new();
        }
        let tmux = self.inner.tools.hosts.tmux(&place.worker);
        let name = task.id.session_name();
        let capture = Capture { history: true, escapes: true };
        let layout = "#{window_width}x#{window_height} #{window_layout}";
        let (text, layout) =
            tokio::join!(tmux.capture(&name, capture), tmux.display(&name, layout));
        let bytes = |name: &str, it: Result<Vec<u8>, TmuxError>| {
            let bytes = it.ok()?;
            Some(Beside { name: name.into(), source: Source::Bytes(bytes) })
        };
        let layout = layout.map(|it| format!("{it}\n").into_bytes());
        let text = text.map(|it| last(it, SCROLLBACK_MAX));
        bytes("terminal/layout", layout)
            .into_iter()
            .chain(bytes("terminal/scrollback", text))
            .collect()
    }
}

/// Returns the last whole lines of `text`, at most `max` bytes.
fn last(mut text: Vec<u8>, max: usize) -> Vec<u8> {
    let over = text.len().saturating_sub(max);
    if over == 0 {
        return text;
    }
    let line = text[over - 1..].iter().position(|it| *it == b'\n').unwrap_or(0);
    text.split_off(over + line)
}

/// The transcript, and the directory beside it in which Claude keeps what subagents said.
fn transcript_and_more(conversation: &Conversation) -> Vec<Beside> {
    let Conversation { id, transcript, .. } = conversation;
    let file = Beside {
        name: format!("conversation/{id}.jsonl"),
        source: Source::Path(transcript.clone()),
    };
    let more = transcript
        .parent()
        .map(|it| Beside { name: format!("conversation/{id}"), source: Source::Path(it.join(id)) });
    std::iter::once(file).chain(more).collect()
}

/// As [`transcript_and_more`], of a conversation that is not on its host any more.
fn as_before(id: &str) -> [Beside; 2] {
    [format!("conversation/{id}.jsonl"), format!("conversation/{id}")]
        .map(|name| Beside { name, source: Source::Before })
}

async fn conversation(task: &Task, worker: &Worker, config: &HostPath) -> Option<Conversation> {
    let id = task.conversation.clone().filter(|it| is_plain(it))?;
    let named = task.state.session().and_then(|it| it.transcript.as_ref());
    let found = find(worker, config, &id, named).await;
    let (transcript, bytes) = found.unwrap_or_else(|error| {
        tracing::warn!(task = %task.id, %error, "the conversation cannot be looked for");
        None
    })?;
    Some(Conversation { id, transcript, bytes })
}

/// Returns where Claude wrote a conversation on the host of `worker`, whose configuration
/// directory is `config`: the newest file of that name in any project.
///
/// # Errors
///
/// If the host does not answer.
pub async fn transcript(
    worker: &Worker,
    config: &HostPath,
    conversation: &str,
) -> Result<Option<HostPath>, ShellError> {
    if !is_plain(conversation) {
        return Ok(None);
    }
    Ok(find(worker, config, conversation, None).await?.map(|it| it.0))
}

/// Prints the length and the path of the transcript: of `$3` if it is there, else of the newest
/// `$2.jsonl` in a project below `$1`.
const FIND: &str = r#"
best=$3
if [ -z "$best" ] || [ ! -f "$best" ]; then
    best=
    for file in "$1"/projects/*/"$2.jsonl"; do
        [ -f "$file" ] || continue
        if [ -z "$best" ] || [ "$file" -nt "$best" ]; then best=$file; fi
    done
fi
[ -n "$best" ] || exit 0
printf '%s %s' "$(($(wc -c <"$best")))" "$best"
"#;

async fn find(
    worker: &Worker,
    config: &HostPath,
    conversation: &str,
    named: Option<&HostPath>,
) -> Result<Option<(HostPath, u64)>, ShellError> {
    let named = named.map(HostPath::as_str).unwrap_or_default();
    let argv = ["sh", "-c", FIND, "sh", config.as_str(), conversation, named];
    let said = run(&*worker.shell, &Command::new(argv), LIMIT).await?.text();
    let Some((bytes, path)) = said.split_once(' ') else { return Ok(None) };
    Ok(HostPath::new(path).ok().zip(bytes.parse().ok()))
}

/// Tells whether `id` can be part of a path: Claude's ids are UUIDs, but they come from outside.
fn is_plain(id: &str) -> bool {
    let fine = |it: u8| it.is_ascii_alphanumeric() || it == b'-' || it == b'_';
    !id.is_empty() && id.len() <= 100 && id.bytes().all(fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_terminal_showed_is_cut_at_a_line() {
        let cut = |text: &str, max| String::from_utf8(last(text.into(), max)).unwrap();
        assert_eq!(cut("one\ntwo\nthree\n", 100), "one\ntwo\nthree\n");
        assert_eq!(cut("one\ntwo\nthree\n", 10), "two\nthree\n");
        assert_eq!(cut("one\ntwo\nthree\n", 9), "three\n");
        assert_eq!(cut("one long line", 4), "line");
    }

    #[test]
    fn an_id_that_is_a_path_is_none() {
        assert!(is_plain("0b9c1a2e-4d5f-4a6b-8c7d-9e0f1a2b3c4d"));
        for bad in ["", "..", "a/b", "a\nb", "*"] {
            assert!(!is_plain(bad), "{bad:?}");
        }
    }
}
