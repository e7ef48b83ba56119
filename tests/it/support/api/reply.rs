//! What a step says: content blocks, usage, and the events that stream them.

use serde_json::{Value, json};
use uuid::Uuid;

use super::script::truthy;

/// One event of a stream, or a place in it.
#[derive(Debug)]
pub enum Piece {
    /// An event.
    Event(Value),
    /// A word was sent; the `chunk_delay` goes here.
    Word,
    /// The gate goes here.
    Gate,
    /// The connection is cut here.
    Cut,
}

/// A whole answer.
#[derive(Debug)]
pub struct Reply {
    base: Value,
    blocks: Vec<Value>,
    usage: Value,
    stop: String,
}

impl Reply {
    /// Makes the answer of `step`, the `index`th of its program, to `body`.
    pub fn new(step: &Value, index: i64, body: &Value) -> Reply {
        let (blocks, calls) = blocks(step);
        let usage = usage(step, index, blocks.len());
        let stop = match step["stop"].as_str() {
            Some(stop) => stop,
            None if calls => "tool_use",
            None => "end_turn",
        };
        let mut first_usage = usage.clone();
        first_usage["output_tokens"] = json!(1);
        let model = if body["model"].is_null() { json!("fake") } else { body["model"].clone() };
        let base = json!({
            "id": id("msg_fake"), "type": "message", "role": "assistant", "model": model,
            "content": [], "stop_reason": null, "stop_sequence": null, "usage": first_usage,
        });
        Reply { base, blocks, usage, stop: stop.to_owned() }
    }

    /// Returns what it says it used.
    pub fn usage(&self) -> &Value {
        &self.usage
    }

    /// Returns what its first event says it used.
    pub fn first_usage(&self) -> &Value {
        &self.base["usage"]
    }

    /// Returns it as the answer to a request that does not stream.
    pub fn whole(&self) -> Value {
        let mut message = self.base.clone();
        message["content"] = json!(self.blocks);
        message["stop_reason"] = json!(self.stop);
        message["usage"] = self.usage.clone();
        message
    }

    /// Returns it as a stream, with the faults and gates of `step` in their places.
    pub fn pieces(&self, step: &Value) -> Vec<Piece> {
        let mut out = vec![
            Piece::Event(json!({ "type": "message_start", "message": self.base })),
            Piece::Event(json!({ "type": "ping" })),
        ];
        for (index, block) in self.blocks.iter().enumerate() {
            match block["type"].as_str() {
                Some("text") => {
                    out.push(start(index, json!({ "type": "text", "text": "" })));
                    if text(&mut out, index, block, step) {
                        return out;
                    }
                }
                Some("thinking") => {
                    let empty = json!({ "type": "thinking", "thinking": "", "signature": "" });
                    out.push(start(index, empty));
                    let thought = &block["thinking"];
                    out.push(delta(
                        index,
                        json!({ "type": "thinking_delta", "thinking": thought }),
                    ));
                    let signature = &block["signature"];
                    out.push(delta(
                        index,
                        json!({ "type": "signature_delta", "signature": signature }),
                    ));
                }
                _ => {
                    let mut empty = block.clone();
                    empty["input"] = json!({});
                    out.push(start(index, empty));
                    let input: Vec<char> = block["input"].to_string().chars().collect();
                    for part in input.chunks(40) {
                        let part: String = part.iter().collect();
                        out.push(delta(
                            index,
                            json!({ "type": "input_json_delta", "partial_json": part }),
                        ));
                    }
                }
            }
            out.push(Piece::Event(json!({ "type": "content_block_stop", "index": index })));
        }
        out.push(Piece::Event(json!({
            "type": "message_delta",
            "delta": { "stop_reason": self.stop, "stop_sequence": null },
            "usage": self.usage,
        })));
        out.push(Piece::Event(json!({ "type": "message_stop" })));
        out
    }
}

/// Returns a new id that begins with `prefix`.
pub fn id(prefix: &str) -> String {
    format!("{prefix}{}", &Uuid::new_v4().simple().to_string()[..18])
}

/// Pushes the words of a text block; returns whether the stream ends there.
fn text(out: &mut Vec<Piece>, index: usize, block: &Value, step: &Value) -> bool {
    let mut words = words(block["text"].as_str().unwrap_or_default());
    let cut = truthy(&step["drop"]);
    let error = &step["stream_error"];
    if cut || truthy(error) {
        words.truncate((words.len() / 2).max(1));
    }
    let gate = step["gate_after_words"].as_u64();
    let count = words.len();
    for (sent, word) in (0..).zip(words) {
        if gate == Some(sent) {
            out.push(Piece::Gate);
        }
        out.push(delta(index, json!({ "type": "text_delta", "text": word })));
        out.push(Piece::Word);
    }
    if gate.is_some_and(|it| count as u64 <= it) {
        out.push(Piece::Gate);
    }
    if truthy(error) {
        let error = json!({ "type": error[0], "message": error[1] });
        out.push(Piece::Event(json!({ "type": "error", "error": error })));
        return true;
    }
    if cut {
        out.push(Piece::Cut);
    }
    cut
}

/// Returns the content blocks of a step, and whether there is a tool call among them.
fn blocks(step: &Value) -> (Vec<Value>, bool) {
    let mut out = Vec::new();
    if truthy(&step["thinking"]) {
        let thought = &step["thinking"];
        out.push(json!({ "type": "thinking", "thinking": thought, "signature": "ZmFrZQ==" }));
    }
    if truthy(&step["text"]) {
        out.push(json!({ "type": "text", "text": step["text"] }));
    }
    let mut tools = step["tools"].as_array().cloned().unwrap_or_default();
    if truthy(&step["tool"]) {
        let input = if step["input"].is_null() { json!({}) } else { step["input"].clone() };
        tools.push(json!([step["tool"], input]));
    }
    for tool in &tools {
        let id = id("toolu_fake");
        out.push(json!({ "type": "tool_use", "id": id, "name": tool[0], "input": tool[1] }));
    }
    if out.is_empty() {
        out.push(json!({ "type": "text", "text": "(empty step)" }));
    }
    (out, !tools.is_empty())
}

fn usage(step: &Value, index: i64, blocks: usize) -> Value {
    let (made, read) = if index == 0 { (1500, 0) } else { (200, 14_000) };
    let mut usage = json!({
        "input_tokens": 12,
        "cache_creation_input_tokens": made,
        "cache_read_input_tokens": read,
        "output_tokens": 40 + 10 * blocks,
        "cache_creation": { "ephemeral_5m_input_tokens": made, "ephemeral_1h_input_tokens": 0 },
        "service_tier": "standard",
    });
    for (key, value) in step["usage"].as_object().into_iter().flatten() {
        usage[key] = value.clone();
    }
    usage
}

fn start(index: usize, block: Value) -> Piece {
    Piece::Event(json!({ "type": "content_block_start", "index": index, "content_block": block }))
}

fn delta(index: usize, delta: Value) -> Piece {
    Piece::Event(json!({ "type": "content_block_delta", "index": index, "delta": delta }))
}

/// Cuts text into words, each with the white space after it.
fn words(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut in_space = true;
    for c in text.chars() {
        let space = c.is_whitespace();
        match out.last_mut() {
            Some(word) if space || !in_space => word.push(c),
            _ => out.push(c.to_string()),
        }
        in_space = space;
    }
    out
}
