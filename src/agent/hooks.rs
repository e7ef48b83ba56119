//! The lines of `events.jsonl`: what Claude told its hooks.

use serde_json::Value;

use crate::{
    agent::{
        prompt::unwrapped,
        summary::{SUMMARY_MAX, choices, tool_call},
    },
    domain::{
        ask::{Ask, AskKind},
        evidence::Observation,
        ids::HostPath,
    },
    stdx::text::one_line,
};

/// One line, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HookLine {
    /// Claude's process id on its host; 0 if the hook was not told.
    pub pid: u32,
    /// The hook event's name in Claude's words.
    pub event: String,
    /// What it means, if it means anything to Parhelia.
    pub observation: Option<Observation>,
    /// The name of the file with the whole line, which was too long for this one: to be read with
    /// [`parse`] too. Nothing else is known then but `pid` and `event`.
    pub big: Option<String>,
    /// The conversation.
    pub conversation: Option<String>,
    /// Where Claude writes it.
    pub transcript: Option<HostPath>,
    /// SessionStart: how long that was in bytes.
    pub size: Option<u64>,
    /// Claude's id of the prompt that this belongs to.
    pub prompt_id: Option<String>,
    /// The subagent that it happened in, if not the main conversation.
    pub agent: Option<String>,
    /// UserPromptSubmit: the whole prompt.
    pub prompt: Option<String>,
    /// Stop and StopFailure: the whole final message.
    pub final_message: Option<String>,
}

/// Reads one line. Nothing if it is not one: the caller counts those.
pub fn parse(line: &[u8]) -> Option<HookLine> {
    let envelope: Value = serde_json::from_slice(line).ok()?;
    let pid = envelope.get("pid").and_then(Value::as_u64).and_then(|it| u32::try_from(it).ok());
    let mut out = HookLine { pid: pid.unwrap_or_default(), ..HookLine::default() };
    if let Some(big) = text(&envelope, "big") {
        out.big = Some(big.to_owned());
        text(&envelope, "event")?.clone_into(&mut out.event);
        return Some(out);
    }
    let payload = envelope.get("payload").filter(|it| it.is_object())?;
    text(payload, "hook_event_name")?.clone_into(&mut out.event);
    let owned = |key: &str| text(payload, key).map(str::to_owned);
    out.conversation = owned("session_id");
    out.transcript = owned("transcript_path").and_then(|it| HostPath::new(it).ok());
    out.size = envelope.get("size").and_then(Value::as_u64);
    out.prompt_id = owned("prompt_id");
    out.agent = owned("agent_id").filter(|it| !it.is_empty());
    match out.event.as_str() {
        "UserPromptSubmit" => out.prompt = owned("prompt"),
        "Stop" | "StopFailure" => out.final_message = owned("last_assistant_message"),
        _ => (),
    }
    out.observation = observation(&out, payload, text(&envelope, "ask"));
    Some(out)
}

/// Returns the tool and its input that a PermissionRequest line is about.
pub fn request(line: &[u8]) -> Option<(String, Value)> {
    let mut envelope: Value = serde_json::from_slice(line).ok()?;
    let payload = envelope.get_mut("payload")?;
    let tool = text(payload, "tool_name")?.to_owned();
    let input = payload.get_mut("tool_input").map(Value::take).unwrap_or_default();
    Some((tool, input))
}

fn observation(line: &HookLine, payload: &Value, ask: Option<&str>) -> Option<Observation> {
    let word = |key: &str| text(payload, key).unwrap_or_default().to_owned();
    let short = |key: &str| one_line(text(payload, key).unwrap_or_default(), SUMMARY_MAX);
    let agent = line.agent.clone();
    Some(match line.event.as_str() {
        "SessionStart" => Observation::ConversationStarted {
            source: word("source"),
            conversation: line.conversation.clone()?,
            transcript: line.transcript.clone(),
        },
        "UserPromptSubmit" => {
            let prompt = line.prompt.as_deref().unwrap_or_default();
            Observation::PromptSubmitted {
                head: one_line(unwrapped(prompt), SUMMARY_MAX),
                bytes: prompt.len() as u64,
                injected: is_injected(prompt),
                id: line.prompt_id.clone(),
            }
        }
        "PreToolUse" => {
            let tool = word("tool_name");
            let summary = summary(payload, &tool);
            Observation::ToolStarted { tool, summary, agent }
        }
        "PostToolUse" => Observation::ToolEnded { tool: word("tool_name"), ok: true, agent },
        "PostToolUseFailure" => {
            Observation::ToolEnded { tool: word("tool_name"), ok: false, agent }
        }
        "PermissionRequest" => Observation::Asked { ask: asked(payload, ask?, agent) },
        "Notification" => {
            Observation::Notified { kind: word("notification_type"), message: short("message") }
        }
        "Stop" => Observation::TurnEnded {
            background: running(payload),
            message: short("last_assistant_message"),
            id: line.prompt_id.clone(),
        },
        "StopFailure" => Observation::TurnFailed {
            error: word("error"),
            message: short("last_assistant_message"),
        },
        // Compaction runs as a subagent without a type, which is nothing to tell of.
        "SubagentStart" | "SubagentStop" if text(payload, "agent_type") == Some("") => return None,
        "SubagentStart" => Observation::SubagentStarted { agent: agent? },
        "SubagentStop" => Observation::SubagentEnded { agent: agent? },
        "PreCompact" => Observation::Compacting { done: false },
        "PostCompact" => Observation::Compacting { done: true },
        "SessionEnd" => Observation::ConversationEnded { reason: word("reason") },
        _ => return None,
    })
}

fn asked(payload: &Value, id: &str, agent: Option<String>) -> Ask {
    let tool = text(payload, "tool_name").unwrap_or_default().to_owned();
    let kind = match tool.as_str() {
        "AskUserQuestion" => AskKind::Question,
        "ExitPlanMode" => AskKind::Plan,
        _ => AskKind::Permission,
    };
    let options = match kind {
        AskKind::Question => payload.get("tool_input").map(choices).unwrap_or_default(),
        AskKind::Permission | AskKind::Plan => Vec::new(),
    };
    Ask { id: id.to_owned(), kind, summary: summary(payload, &tool), tool, options, agent }
}

fn summary(payload: &Value, tool: &str) -> String {
    tool_call(tool, payload.get("tool_input").unwrap_or(&Value::Null), text(payload, "cwd"))
}

/// Counts the background tasks that still run; each starts another turn when it ends.
fn running(payload: &Value) -> u32 {
    let tasks = payload.get("background_tasks").and_then(Value::as_array);
    let count = tasks.map_or(0, |it| {
        let over = ["completed", "failed", "killed", "stopped"];
        it.iter().filter(|it| !text(it, "status").is_some_and(|it| over.contains(&it))).count()
    });
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Prompts that Claude writes to itself, such as the news that a background task ended.
fn is_injected(prompt: &str) -> bool {
    prompt.trim_start().starts_with("<task-notification>")
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads a line with `fields` added to what every payload has.
    fn seen(event: &str, fields: &str) -> Option<Observation> {
        let line = format!(
            "{{\"pid\":7,\"ask\":\"main.9\",\"payload\":{{\"session_id\":\"s\",\"cwd\":\"/w\",\
             \"transcript_path\":\"/t.jsonl\",\"hook_event_name\":\"{event}\"{fields}}}}}"
        );
        parse(line.as_bytes()).unwrap().observation
    }

    #[test]
    fn every_event_means_what_it_says() {
        assert_eq!(
            seen("SessionStart", ",\"source\":\"resume\""),
            Some(Observation::ConversationStarted {
                source: "resume".into(),
                conversation: "s".into(),
                transcript: Some(HostPath::new("/t.jsonl").unwrap()),
            })
        );
        assert_eq!(
            seen("UserPromptSubmit", ",\"prompt\":\"a\\nb\""),
            Some(Observation::PromptSubmitted {
                head: "a b".into(),
                bytes: 3,
                injected: false,
                id: None
            })
        );
        assert_eq!(
            seen("PreToolUse", ",\"tool_name\":\"Read\",\"tool_input\":{\"file_path\":\"/w/a\"}"),
            Some(Observation::ToolStarted {
                tool: "Read".into(),
                summary: "a".into(),
                agent: None
            })
        );
        assert_eq!(
            seen("PostToolUseFailure", ",\"tool_name\":\"Bash\",\"agent_id\":\"a1\""),
            Some(Observation::ToolEnded {
                tool: "Bash".into(),
                ok: false,
                agent: Some("a1".into())
            })
        );
        assert_eq!(
            seen(
                "Stop",
                ",\"last_assistant_message\":\"Done.\",\"background_tasks\":[\
                 {\"status\":\"running\"},{\"status\":\"completed\"}]"
            ),
            Some(Observation::TurnEnded { background: 1, message: "Done.".into(), id: None })
        );
        assert_eq!(
            seen("StopFailure", ",\"error\":\"rate_limit\""),
            Some(Observation::TurnFailed { error: "rate_limit".into(), message: String::new() })
        );
        assert_eq!(seen("SubagentStop", ",\"agent_id\":\"a\",\"agent_type\":\"\""), None);
        assert_eq!(seen("PostCompact", ""), Some(Observation::Compacting { done: true }));
        assert_eq!(seen("EventOfNextYear", ""), None);
    }

    #[test]
    fn a_dialog_carries_what_is_asked() {
        let question = "{\"questions\":[{\"question\":\"Which?\",\"header\":\"H\",\
                        \"options\":[{\"label\":\"Red\"},{\"label\":\"Blue\"}]}]}";
        let fields = format!(",\"tool_name\":\"AskUserQuestion\",\"tool_input\":{question}");
        assert_eq!(
            seen("PermissionRequest", &fields),
            Some(Observation::Asked {
                ask: Ask {
                    id: "main.9".into(),
                    kind: AskKind::Question,
                    tool: "AskUserQuestion".into(),
                    summary: "Which? [Red | Blue]".into(),
                    options: vec!["Red".into(), "Blue".into()],
                    agent: None,
                }
            })
        );
    }

    #[test]
    fn a_pointer_names_the_file_to_read() {
        let line = parse(b"{\"pid\":1,\"event\":\"Stop\",\"big\":\"Stop.5.0\"}").unwrap();
        assert_eq!((line.big.as_deref(), line.event.as_str()), (Some("Stop.5.0"), "Stop"));
        assert_eq!(line.observation, None);
    }

    #[test]
    fn what_is_no_line_is_none() {
        for bad in
            ["", "null", "[]", "{}", "{\"pid\":1,\"payload\":", "{\"payload\":3}", "\u{fffd}"]
        {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
            assert!(request(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_field_of_another_type_panics(
            event in prop::sample::select(crate::agent::version::all_events().collect::<Vec<_>>()),
            key in "tool_name|tool_input|prompt|agent_id|background_tasks|session_id|questions",
            value in "null|7|\\[\\]|\\{\\}|\"x\"|\\[\\{\"options\":3\\}\\]",
        ) {
            seen(event, &format!(",\"{key}\":{value}"));
            seen(event, &format!(",\"tool_name\":\"AskUserQuestion\",\"tool_input\":{{\"{key}\":{value}}}"));
        }
    }
}
