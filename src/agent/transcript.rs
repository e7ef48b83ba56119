//! The lines of Claude's transcript, for the activity view and for counting tokens.
//!
//! What is said here is shown to people, so texts keep their lines; [`crate::stdx::text`] makes
//! them fit to show. Types that are not listed are Claude's book-keeping, and many are new with
//! each version: they are skipped.

use serde_json::Value;

use crate::{
    agent::summary::{SUMMARY_MAX, tool_call},
    domain::{event::Tokens, usd::Usd},
    stdx::{text::one_line, time::Timestamp},
};

/// One line, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranscriptLine {
    /// When it was written, by the host's clock.
    pub at: Option<Timestamp>,
    /// The subagent it belongs to, if not the main conversation.
    pub agent: Option<String>,
    /// What it says: nothing for a line that only counts, several for one with several blocks.
    pub entries: Vec<Entry>,
    /// What the message used. Each line of a message repeats it: the caller counts a key once.
    pub usage: Option<(String, Tokens)>,
    /// The conversation's total cost, which Claude writes when it ends it in good order.
    pub total: Option<(String, Usd)>,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A person's words, or a prompt that Claude wrote to itself.
    User { text: String },
    /// Claude's words.
    Text { text: String },
    /// Claude's thinking, where it is shown at all.
    Thinking { text: String },
    /// A tool is used.
    ToolUse { name: String, summary: String },
    /// What came of it, one line.
    ToolResult { ok: bool, head: String },
    /// The turn was interrupted.
    Interrupted,
    /// The API failed.
    ApiError { text: String },
    /// The conversation was compacted, from and to so many tokens.
    Compacted { before: Option<u64>, after: Option<u64> },
    /// A hook of the person's failed.
    HookError { event: String, command: String, detail: String },
    /// A hook of the person's took too long and was ended.
    HookTimeout { event: String, command: String },
    /// A turn took so long.
    TurnDuration { millis: u64 },
    /// Something Claude Code says of itself.
    Notice { text: String },
}

/// Reads one line. Nothing if it is not one, or is of a kind that tells people nothing.
pub fn parse(line: &[u8]) -> Option<TranscriptLine> {
    let value: Value = serde_json::from_slice(line).ok()?;
    let at = text(&value, "timestamp").and_then(timestamp);
    let agent = text(&value, "agentId").map(str::to_owned);
    let mut usage = None;
    let mut total = None;
    let entries = match text(&value, "type")? {
        "user" => user(&value),
        "assistant" => {
            usage = used(&value);
            assistant(&value)
        }
        "system" => system(&value).into_iter().collect(),
        "attachment" => attachment(value.get("attachment")?).into_iter().collect(),
        "cost-state" => {
            let dollars = value.get("totalCostUSD").and_then(Value::as_f64)?;
            total = Some((text_of(&value, "sessionId"), Usd::from_dollars(dollars)?));
            Vec::new()
        }
        _ => return None,
    };
    let line = TranscriptLine { at, agent, entries, usage, total };
    let tells = !line.entries.is_empty() || line.usage.is_some() || line.total.is_some();
    tells.then_some(line)
}

fn user(value: &Value) -> Vec<Entry> {
    // Context that Claude Code injects, and the summary it goes on from after a compaction.
    let flag = |key: &str| value.get(key).and_then(Value::as_bool).unwrap_or_default();
    if flag("isMeta") || flag("isCompactSummary") {
        return Vec::new();
    }
    blocks(value).filter_map(user_block).collect()
}

fn user_block(block: Block<'_>) -> Option<Entry> {
    match block {
        Block::Text(text) if text.trim().is_empty() => None,
        Block::Text(text) if text.starts_with("[Request interrupted by user") => {
            Some(Entry::Interrupted)
        }
        Block::Text(text) => Some(Entry::User { text: text.to_owned() }),
        Block::Other(block) if text(block, "type") == Some("tool_result") => {
            let failed = block.get("is_error").and_then(Value::as_bool).unwrap_or_default();
            Some(Entry::ToolResult { ok: !failed, head: head(block.get("content")) })
        }
        Block::Other(_) => None,
    }
}

fn assistant(value: &Value) -> Vec<Entry> {
    if value.get("isApiErrorMessage").and_then(Value::as_bool) == Some(true) {
        let text = blocks(value).find_map(|it| match it {
            Block::Text(text) => Some(text.to_owned()),
            Block::Other(_) => None,
        });
        let error = || text_of(value, "error");
        return vec![Entry::ApiError { text: text.unwrap_or_else(error) }];
    }
    let cwd = text(value, "cwd");
    let entry = |block: Block<'_>| match block {
        Block::Text(text) if text.trim().is_empty() => None,
        Block::Text(text) => Some(Entry::Text { text: text.to_owned() }),
        Block::Other(block) => match text(block, "type")? {
            "thinking" => text(block, "thinking")
                .filter(|it| !it.trim().is_empty())
                .map(|it| Entry::Thinking { text: it.to_owned() }),
            "tool_use" | "server_tool_use" => {
                let name = text_of(block, "name");
                let input = block.get("input").unwrap_or(&Value::Null);
                let summary = tool_call(&name, input, cwd);
                Some(Entry::ToolUse { name, summary })
            }
            _ => None,
        },
    };
    blocks(value).filter_map(entry).collect()
}

fn system(value: &Value) -> Option<Entry> {
    match text(value, "subtype")? {
        "turn_duration" => Some(Entry::TurnDuration { millis: value.get("durationMs")?.as_u64()? }),
        "compact_boundary" => {
            let count = |key: &str| value.pointer(&format!("/compactMetadata/{key}"))?.as_u64();
            Some(Entry::Compacted { before: count("preTokens"), after: count("postTokens") })
        }
        "informational" => Some(Entry::Notice { text: text(value, "content")?.to_owned() }),
        _ => None,
    }
}

fn attachment(value: &Value) -> Option<Entry> {
    let event = || text_of(value, "hookEvent");
    let command = || text_of(value, "command");
    match text(value, "type")? {
        "hook_non_blocking_error" | "hook_blocking_error" | "hook_error_during_execution" => {
            let detail = text(value, "stderr").or_else(|| text(value, "content"));
            let detail = one_line(detail.unwrap_or_default(), SUMMARY_MAX);
            Some(Entry::HookError { event: event(), command: command(), detail })
        }
        // An interrupt cancels hooks too, which is nothing to tell of.
        "hook_cancelled" if value.get("timedOut").and_then(Value::as_bool) == Some(true) => {
            Some(Entry::HookTimeout { event: event(), command: command() })
        }
        _ => None,
    }
}

/// The tokens of a message with the key that tells it from others.
fn used(value: &Value) -> Option<(String, Tokens)> {
    let message = value.get("message")?;
    let usage = message.get("usage")?;
    let count = |key: &str| usage.get(key).and_then(Value::as_u64).unwrap_or_default();
    let tokens = Tokens {
        input: count("input_tokens"),
        output: count("output_tokens"),
        cache_read: count("cache_read_input_tokens"),
        cache_write: count("cache_creation_input_tokens"),
    };
    let key = format!("{}/{}", text(message, "id")?, text(value, "requestId").unwrap_or_default());
    (tokens != Tokens::default()).then_some((key, tokens))
}

enum Block<'a> {
    Text(&'a str),
    Other(&'a Value),
}

/// The blocks of a line's message, whose content is a text or a list.
fn blocks(value: &Value) -> impl Iterator<Item = Block<'_>> {
    let content = value.pointer("/message/content");
    let whole = content.and_then(Value::as_str).map(Block::Text);
    let list = content.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    whole.into_iter().chain(list.iter().map(|block| match (text(block, "type"), block) {
        (Some("text"), block) => Block::Text(text(block, "text").unwrap_or_default()),
        (_, block) => Block::Other(block),
    }))
}

/// The first words of a tool's result.
fn head(content: Option<&Value>) -> String {
    let text = match content {
        Some(Value::String(it)) => it.as_str(),
        Some(Value::Array(it)) => it.iter().find_map(|it| text(it, "text")).unwrap_or("[no text]"),
        _ => "",
    };
    let text = text.trim_start_matches("<tool_use_error>").trim_end_matches("</tool_use_error>");
    one_line(text, SUMMARY_MAX)
}

fn timestamp(text: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp(at.as_millisecond()))
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

fn text_of(value: &Value, key: &str) -> String {
    text(value, key).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entries(line: &str) -> Vec<Entry> {
        parse(line.as_bytes()).map(|it| it.entries).unwrap_or_default()
    }

    #[test]
    fn an_assistant_line_has_its_words_and_its_tokens() {
        let line = r#"{"type":"assistant","timestamp":"2026-11-21T00:06:42.652Z","agentId":"a",
            "cwd":"/w","requestId":"r","message":{"id":"m","content":[{"type":"text","text":"Hi"},
            {"type":"tool_use","name":"Read","input":{"file_path":"/w/x"}},{"type":"new"}],
            "usage":{"input_tokens":1,"output_tokens":2,"cache_read_input_tokens":3,
            "cache_creation_input_tokens":4}}}"#;
        let tokens = Tokens { input: 1, output: 2, cache_read: 3, cache_write: 4 };
        let expected = TranscriptLine {
            at: Some(Timestamp(1_795_219_602_652)),
            agent: Some("a".into()),
            entries: vec![
                Entry::Text { text: "Hi".into() },
                Entry::ToolUse { name: "Read".into(), summary: "x".into() },
            ],
            usage: Some(("m/r".into(), tokens)),
            total: None,
        };
        assert_eq!(parse(line.as_bytes()), Some(expected));
    }

    #[test]
    fn each_kind_of_line_is_told_from_the_others() {
        let user = |content: &str| {
            entries(&format!(r#"{{"type":"user","message":{{"content":{content}}}}}"#))
        };
        assert_eq!(user(r#""go on""#), [Entry::User { text: "go on".into() }]);
        assert_eq!(
            user(r#"[{"type":"text","text":"[Request interrupted by user for tool use]"}]"#),
            [Entry::Interrupted]
        );
        assert_eq!(
            user(r#"[{"type":"tool_result","is_error":true,"content":"<tool_use_error>No\nway"}]"#),
            [Entry::ToolResult { ok: false, head: "No way".into() }]
        );
        assert_eq!(entries(r#"{"type":"user","isMeta":true,"message":{"content":"x"}}"#), []);
        assert_eq!(
            entries(
                r#"{"type":"assistant","isApiErrorMessage":true,"error":"rate_limit","message":
                {"id":"m","content":[{"type":"text","text":"API Error: 429"}],"usage":{}}}"#
            ),
            [Entry::ApiError { text: "API Error: 429".into() }]
        );
        assert_eq!(
            entries(
                r#"{"type":"system","subtype":"compact_boundary","compactMetadata":{"preTokens":9}}"#
            ),
            [Entry::Compacted { before: Some(9), after: None }]
        );
        assert_eq!(
            entries(
                r#"{"type":"attachment","attachment":{"type":"hook_non_blocking_error",
                "hookEvent":"Stop","command":"/x.sh","stderr":"not found"}}"#
            ),
            [Entry::HookError {
                event: "Stop".into(),
                command: "/x.sh".into(),
                detail: "not found".into()
            }]
        );
        assert_eq!(
            entries(r#"{"type":"system","subtype":"turn_duration","durationMs":5}"#),
            [Entry::TurnDuration { millis: 5 }]
        );
        for skipped in ["", "{", "[]", r#"{"type":"mode"}"#, r#"{"type":7}"#, r#"{"type":"user"}"#]
        {
            assert_eq!(parse(skipped.as_bytes()), None, "{skipped}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_cut_of_a_line_panics(cut in 0usize..200) {
            let line = "{\"type\":\"assistant\",\"message\":{\"id\":\"m\",\"content\":[{\"type\":\
                \"text\",\"text\":\"é\"}],\"usage\":{\"input_tokens\":1}},\"requestId\":\"r\"}";
            let _ = parse(&line.as_bytes()[..cut.min(line.len())]);
        }
    }
}
