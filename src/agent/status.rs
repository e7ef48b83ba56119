//! The lines of `status.jsonl`: what Claude tells its status line, and what the hook that a
//! conversation begins with finds it to have cost before.

use serde_json::Value;

use crate::domain::{
    event::{EventBody, Gauges},
    ids::HostPath,
    usd::Usd,
};

/// One line, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The conversation it is about; at `/clear` one more line of the old one comes first.
    pub conversation: String,
    /// The running total of the conversation. It goes on across a resume, and starts again on
    /// `/clear` and from an earlier figure after kill -9.
    pub total: Usd,
    /// The total is what it had cost when Claude took it up, and nothing else was said.
    pub began: bool,
    /// How full the context window is.
    pub context_percent: Option<u8>,
    /// Lines added and removed.
    pub lines: (u64, u64),
    /// The model's id.
    pub model: Option<String>,
    /// Where Claude writes the conversation.
    pub transcript: Option<HostPath>,
}

impl Status {
    /// Returns the event for it.
    pub fn event(&self, attempt: u32) -> EventBody {
        EventBody::CostReported {
            attempt,
            conversation: self.conversation.clone(),
            total: self.total,
            model: self.model.clone(),
            began: self.began,
            gauges: (!self.began).then_some(Gauges {
                context_percent: self.context_percent,
                lines_added: self.lines.0,
                lines_removed: self.lines.1,
            }),
        }
    }
}

/// Reads one line. Nothing if it is not one, or tells no cost.
pub fn parse(line: &[u8]) -> Option<Status> {
    let value: Value = serde_json::from_slice(line).ok()?;
    let cost = value.get("cost")?;
    let count = |key: &str| cost.get(key).and_then(Value::as_u64).unwrap_or_default();
    let percent = value.pointer("/context_window/used_percentage").and_then(Value::as_f64);
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    Some(Status {
        conversation: text("/session_id")?,
        total: Usd::from_dollars(cost.get("total_cost_usd")?.as_f64()?)
            .filter(|it| Usd::ZERO <= *it)?,
        began: value.get("began").and_then(Value::as_bool).unwrap_or_default(),
        // A float is cast with saturation, and the range is cut before it.
        context_percent: percent.map(|it| it.clamp(0.0, 100.0) as u8),
        lines: (count("total_lines_added"), count("total_lines_removed")),
        model: text("/model/id"),
        transcript: text("/transcript_path").and_then(|it| HostPath::new(it).ok()),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_cost_is_read_and_the_rest_is_optional() {
        let line = b"{\"session_id\":\"s\",\"cost\":{\"total_cost_usd\":0.008748,\
            \"total_lines_added\":3},\"context_window\":{\"used_percentage\":12.7},\
            \"model\":{\"id\":\"m\"}}";
        let status = parse(line).unwrap();
        assert_eq!((status.total, status.lines), (Usd(8748), (3, 0)));
        assert_eq!((status.context_percent, status.model.as_deref()), (Some(12), Some("m")));
        let bare = b"{\"session_id\":\"s\",\"cost\":{\"total_cost_usd\":0},\
            \"context_window\":{\"used_percentage\":null}}";
        assert_eq!(parse(bare).unwrap().context_percent, None);
        for bad in ["", "{}", "{\"session_id\":\"s\",\"cost\":{\"total_cost_usd\":\"1\"}}", "[]"] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
        let began = b"{\"session_id\":\"s\",\"began\":true,\"cost\":{\"total_cost_usd\":2}}";
        assert!(parse(began).unwrap().began && !parse(bare).unwrap().began);
        let negative = b"{\"session_id\":\"s\",\"cost\":{\"total_cost_usd\":-1}}";
        assert_eq!(parse(negative), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
