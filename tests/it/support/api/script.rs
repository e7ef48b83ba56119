//! The script in a prompt: which step answers a request.
//!
//! Nothing is remembered between requests: the newest user message that holds `FAKE:[…]` or
//! `SCENARIO:name` is the program, and the number of assistant messages after it is the step. So
//! one API serves any number of sessions, and a resumed one goes on where it was.

use serde_json::{Value, json};

/// Returns the steps of a named scenario.
fn scenario(name: &str) -> Value {
    match name {
        "bash" => json!([
            { "text": "I'll write the file.", "tool": "Bash",
              "input": { "command": "echo hi > out.txt", "description": "Write hi to out.txt" } },
            { "text": "Done: out.txt now contains hi." },
        ]),
        "write" => json!([
            { "text": "Writing.", "tool": "Write",
              "input": { "file_path": "/tmp/w.txt", "content": "hello\n" } },
            { "text": "Wrote it." },
        ]),
        "slow" => json!([{ "text": "word ".repeat(60), "chunk_delay": 0.5 }]),
        "longbash" => json!([
            { "text": "Running.", "tool": "Bash",
              "input": { "command": "perl -e 'sleep 40'; echo end", "description": "Sleep" } },
            { "text": "Finished." },
        ]),
        "badbash" => json!([
            { "text": "Trying.", "tool": "Bash",
              "input": { "command": "exit 3", "description": "Fail" } },
            { "text": "It failed with 3." },
        ]),
        "huge" => json!([{ "text": format!("{}the end", "much ado ".repeat(60_000)) }]),
        "help" => json!([{ "text": "Helped.", "gate": "help" }]),
        "help_asking" => json!([
            { "text": "Helping.", "tool": "Bash",
              "input": { "command": "echo hi > help.txt", "description": "Help" } },
            { "text": "Helped.", "gate": "helped" },
        ]),
        _ => json!([{ "text": "no such scenario" }]),
    }
}

/// Returns the step that answers `body`, and its place in its program (-1 outside of one).
pub fn step(body: &Value) -> (Value, i64) {
    let none = Vec::new();
    let messages = body["messages"].as_array().unwrap_or(&none);
    if !is_main(body) {
        return (aside(body, messages.last()), -1);
    }
    let (program, index) = program(messages);
    let step = program.get(index).cloned().unwrap_or_else(|| json!({ "text": "done." }));
    (step, i64::try_from(index).unwrap())
}

/// Returns whether a request is a turn of the conversation, rather than for a title or the like.
pub fn is_main(body: &Value) -> bool {
    truthy(&body["tools"])
}

/// Returns whether a key of a step is set to something.
pub fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(it) => *it,
        Value::Number(it) => it.as_f64() != Some(0.0),
        Value::String(it) => !it.is_empty(),
        Value::Array(it) => !it.is_empty(),
        Value::Object(it) => !it.is_empty(),
    }
}

fn aside(body: &Value, last: Option<&Value>) -> Value {
    let asks = |it: &Value| it.to_string().to_lowercase().contains("title");
    if asks(&body["system"]) || last.is_some_and(asks) {
        json!({ "text": r#"{"title": "Fake title"}"# })
    } else {
        json!({ "text": "ok" })
    }
}

fn program(messages: &[Value]) -> (Vec<Value>, usize) {
    let hello = || (vec![json!({ "text": "Hello from the fake API." })], 0);
    let mut after = 0;
    for message in messages.iter().rev() {
        match message["role"].as_str() {
            Some("assistant") => after += 1,
            Some("user") => {
                let text = text_of(&message["content"]);
                if let Some((_, script)) = text.rsplit_once("FAKE:") {
                    return fake(script, after);
                }
                if let Some(name) = last_scenario(&text) {
                    let steps = scenario(name).as_array().cloned().unwrap_or_default();
                    return (steps, after);
                }
                let plain = text.trim();
                if after == 0
                    && !plain.is_empty()
                    && !plain.starts_with("<system-reminder>")
                    && !holds_tool_result(&message["content"])
                {
                    return hello();
                }
            }
            // Claude Code puts system messages into the conversation; they are no steps.
            _ => (),
        }
    }
    hello()
}

fn fake(script: &str, after: usize) -> (Vec<Value>, usize) {
    let mut values = serde_json::Deserializer::from_str(script.trim()).into_iter::<Value>();
    match values.next() {
        Some(Ok(Value::Array(steps))) => (steps, after),
        Some(Ok(step)) => (vec![step], after),
        Some(Err(err)) => (vec![json!({ "text": format!("bad FAKE json: {err}") })], 0),
        None => (vec![json!({ "text": "bad FAKE json: nothing there" })], 0),
    }
}

fn last_scenario(text: &str) -> Option<&str> {
    text.rmatch_indices("SCENARIO:").find_map(|(at, key)| {
        let rest = &text[at + key.len()..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        (0 < end).then(|| &rest[..end])
    })
}

fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts: Vec<&str> = blocks
                .iter()
                .filter(|it| it["type"] == "text")
                .map(|it| it["text"].as_str().unwrap_or_default())
                .collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

fn holds_tool_result(content: &Value) -> bool {
    content.as_array().is_some_and(|blocks| blocks.iter().any(|it| it["type"] == "tool_result"))
}
