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

/// Tells whether a file of the registry says that a process which exists has `conversation` open.
/// `stat` is what follows the name in the kernel's `/proc/PID/stat`, empty where there is none: a
/// killed Claude leaves its file behind, and its number may have gone to another process.
pub fn is_live(bytes: &[u8], conversation: &str, stat: &str) -> bool {
    // The state is the first of these, the time of the start the twentieth.
    const STATE: usize = 0;
    const START: usize = 19;
    let value = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>().next();
    let Some(Ok(value)) = value else { return false };
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    if text("sessionId") != Some(conversation) {
        return false;
    }
    let fields: Vec<&str> = stat.split_whitespace().collect();
    let same = match (text("procStart"), fields.get(START)) {
        (Some(was), Some(is)) => was == *is,
        _ => true,
    };
    same && fields.get(STATE) != Some(&"Z")
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

    #[test]
    fn a_process_is_told_from_another_of_its_number() {
        let record = br#"{"pid":9,"sessionId":"s","procStart":"42"} rest"#;
        let stat = |state: &str, start: u32| format!("{state} {} {start} 7", ["0"; 18].join(" "));
        for (conversation, stat, expected) in [
            ("s", stat("S", 42), true),
            ("s", stat("S", 43), false),
            ("s", stat("Z", 42), false),
            ("s", String::new(), true),
            ("t", stat("S", 42), false),
        ] {
            assert_eq!(is_live(record, conversation, &stat), expected, "{conversation} {stat}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
            let _ = is_live(&bytes, "s", "S");
        }
    }
}
