//! Claude's own live state file, `sessions/<pid>.json` in its configuration directory.
//!
//! It is internal and undocumented, so a field that is missing or new costs that field only.

use serde_json::Value;

use crate::domain::{
    evidence::{Registry, RegistryStatus},
    ids::HostPath,
};

/// Returns where the file of process `pid` is. `config` is Claude's configuration directory.
///
/// The `.key` file beside it is Claude's secret and is never read.
pub fn path(config: &HostPath, pid: u32) -> HostPath {
    config.join("sessions").join(&format!("{pid}.json"))
}

/// Reads the file. Nothing if it cannot be read now.
///
/// Claude overwrites it in place and cuts it to length afterwards, so the end of a longer, older
/// text may follow: only the first JSON value counts.
pub fn parse(bytes: &[u8]) -> Option<Registry> {
    let value = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>().next()?.ok()?;
    let object = value.as_object()?;
    let text = |key: &str| object.get(key).and_then(Value::as_str).map(str::to_owned);
    let status = match text("status").as_deref() {
        Some("busy") => RegistryStatus::Busy,
        Some("idle") => RegistryStatus::Idle,
        Some("waiting") => RegistryStatus::Waiting,
        Some("shell") => RegistryStatus::Shell,
        _ => RegistryStatus::Unknown,
    };
    Some(Registry {
        status,
        waiting_for: text("waitingFor"),
        conversation: text("sessionId"),
        updated_at: object.get("statusUpdatedAt").and_then(Value::as_i64),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_value_counts() {
        let text = b"{\"pid\":9,\"sessionId\":\"s\",\"status\":\"waiting\",\"waitingFor\":\"input \
                     needed\",\"statusUpdatedAt\":5}dated\":4}";
        let expected = Registry {
            status: RegistryStatus::Waiting,
            waiting_for: Some("input needed".into()),
            conversation: Some("s".into()),
            updated_at: Some(5),
        };
        assert_eq!(parse(text), Some(expected));
        assert_eq!(parse(b"{\"status\":\"dancing\"}").unwrap().status, RegistryStatus::Unknown);
        for bad in [&b""[..], b"{\"status\":\"id", b"[1]", b"7"] {
            assert_eq!(parse(bad), None);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
