//! What there is of a task on its host: one command, since each is a round trip elsewhere.

use std::time::Duration;

use crate::{
    agent::registry,
    domain::{ids::HostPath, task::Task},
    shell::{Command, Shell, ShellError, run},
};

/// The longest such a look may take: a person waits for what follows from it.
pub const LOOK_LIMIT: Duration = Duration::from_secs(8);

/// What a look found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// The workspace is a directory.
    pub workspace: bool,
    /// Nothing is in it.
    pub empty: bool,
    /// git takes it for a work tree.
    pub linked: bool,
    /// Where the conversation is.
    pub transcript: Option<HostPath>,
    /// Whether anything was said there.
    pub written: bool,
    /// The task's branch is in the repository it came from.
    pub branch: bool,
    /// Processes of Claude's that have the conversation open.
    pub live: Vec<u32>,
}

/// Looks at the workspace `$1`, below Claude's directory `$2` for the conversation `$3`, and in the
/// repository `$4` for the branch `$5`. Writes words and values by turns, a NUL after each.
///
/// Claude's registry has a file for each of its processes, which a killed one leaves behind; so the
/// process is asked after, and where the system tells, whether it is the one that was meant.
const LOOK: &str = r#"
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_COMMON_DIR CDPATH
put() { printf '%s\000' "$@"; }
if [ -d "$1" ]; then
    put workspace "$(ls -A -- "$1" 2>/dev/null | head -n 1 | cut -c 1-20)"
    git -C "$1" rev-parse --git-dir >/dev/null 2>&1 && put linked yes
fi
[ -n "$5" ] && git -C "$4" show-ref --verify -q "refs/heads/$5" 2>/dev/null && put branch yes
[ -n "$3" ] || exit 0
for file in "$2"/projects/*/"$3.jsonl"; do
    [ -f "$file" ] || continue
    # Without a word of anybody's Claude does not take it for a conversation.
    word=transcript
    ! grep -qE '"type":"(user|assistant)"' "$file" || word=written
    put "$word" "$file"
done
for file in "$2"/sessions/*.json; do
    grep -qF "\"$3\"" "$file" 2>/dev/null || continue
    pid=${file##*/}
    pid=${pid%.json}
    case $pid in '' | *[!0-9]*) continue ;; esac
    kill -0 "$pid" 2>/dev/null || [ -d "/proc/$pid" ] || continue
    put pid "$pid"
    put stat "$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null)"
    put record "$(head -c 65536 "$file" | tr -d '\000')"
done
exit 0
"#;

/// Looks for what there is of `task`, whose Claude keeps its files in `config`.
///
/// # Errors
///
/// If the host does not answer.
pub async fn look(shell: &dyn Shell, task: &Task, config: &HostPath) -> Result<Sight, ShellError> {
    let place = task.place.as_ref();
    let workspace = place.and_then(|it| it.workspace.as_ref()).map_or("", HostPath::as_str);
    let branch = place.and_then(|it| it.branch.as_deref()).unwrap_or_default();
    let conversation = task.conversation.as_deref().filter(|it| is_id(it)).unwrap_or_default();
    let from = task.spec.workspace.as_str();
    let argv = ["sh", "-c", LOOK, "sh", workspace, config.as_str(), conversation, from, branch];
    let output = run(shell, &Command::new(argv), LOOK_LIMIT).await?;
    Ok(read(&output.stdout, conversation))
}

/// Tells whether text can be Claude's id of a conversation, so that it is a file's name and no path.
pub fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !text.starts_with('-')
}

fn read(bytes: &[u8], conversation: &str) -> Sight {
    let mut sight = Sight::default();
    let (mut pid, mut stat) = (None::<u32>, String::new());
    let mut words = bytes.split(|it| *it == 0);
    while let (Some(word), Some(value)) = (words.next(), words.next()) {
        let text = || String::from_utf8_lossy(value).into_owned();
        match word {
            b"workspace" => {
                sight.workspace = true;
                sight.empty = value.is_empty();
            }
            b"linked" => sight.linked = true,
            b"branch" => sight.branch = true,
            b"written" if !sight.written => {
                sight.written = true;
                sight.transcript = HostPath::new(text()).ok();
            }
            b"transcript" if sight.transcript.is_none() => {
                sight.transcript = HostPath::new(text()).ok();
            }
            b"pid" => pid = text().parse().ok(),
            b"stat" => stat = text(),
            b"record" if registry::is_live(value, conversation, &stat) => sight.live.extend(pid),
            _ => (),
        }
    }
    sight
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<u8> {
        words.iter().flat_map(|it| [it.as_bytes(), b"\0"].concat()).collect()
    }

    #[test]
    fn what_was_found_is_read() {
        let id = "11111111-1111-4111-8111-111111111111";
        let record = format!(r#"{{"pid":7,"sessionId":"{id}","procStart":"55"}}"#);
        let stat = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 55 20";
        let said = words(&[
            "workspace",
            "a",
            "branch",
            "yes",
            "transcript",
            "/c/empty",
            "written",
            "/c/full",
            "pid",
            "7",
            "stat",
            stat,
            "record",
            &record,
            "pid",
            "8",
            "stat",
            &stat.replace("55", "56"),
            "record",
            &record,
            "pid",
            "9",
            "stat",
            &stat.replace('S', "Z"),
            "record",
            &record,
        ]);
        let sight = read(&said, id);
        assert_eq!(sight.transcript, HostPath::new("/c/full").ok());
        assert!(sight.workspace && !sight.empty && !sight.linked && sight.branch && sight.written);
        assert_eq!(sight.live, [7]);
        assert_eq!(
            read(b"workspace\0\0x", id),
            Sight { workspace: true, empty: true, ..Sight::default() }
        );
    }

    #[test]
    fn an_id_is_no_path() {
        assert!(is_id("11111111-1111-4111-8111-111111111111"));
        for bad in ["", "..", "a/b", "-x", "*", "a b"] {
            assert!(!is_id(bad), "{bad}");
        }
    }
}
