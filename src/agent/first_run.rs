//! Answers Claude's first-run questions on a host where no one has used it yet.
//!
//! A new sandbox has no `~/.claude.json`: Claude would stop at its theme, at its security notes
//! and at the API key in its environment. On a host where a person already works with Claude the
//! file is theirs and Claude rewrites it all the time, so it is never touched there. A key that
//! was passed to the task and that the person's file does not approve then reaches Claude by
//! `apiKeyHelper` in the task's own settings, which opens no dialog.

use std::collections::BTreeMap;

use serde_json::{Value, value::RawValue};

use crate::stdx::secret::Secret;

/// How many characters at the end of a key Claude remembers it by.
const KEY_TAIL: usize = 20;

/// What to do before the first launch on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstRun {
    /// The new text of `.claude.json` (0600), if it is to be written.
    pub write: Option<String>,
    /// For [`crate::agent::launch::Launch::key_by_helper`].
    pub key_by_helper: bool,
}

/// Returns what to do. `existing` is the text of the host's `.claude.json`, if there is one;
/// `api_key` the `ANTHROPIC_API_KEY` passed to the task, if one is.
///
/// A file that cannot be read as JSON is left alone: Claude has its own way to repair it.
pub fn plan(existing: Option<&str>, api_key: Option<&Secret>) -> FirstRun {
    let text = existing.map(str::trim).filter(|it| !it.is_empty()).unwrap_or("{}");
    let Ok(mut file) = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(text) else {
        return FirstRun { write: None, key_by_helper: api_key.is_some() };
    };
    let get = |name: &str| -> Option<Value> {
        file.get(name).and_then(|it| serde_json::from_str(it.get()).ok())
    };
    let tail = api_key.map(|it| key_tail(it.expose()));
    let responses = get("customApiKeyResponses");
    let approved = tail.as_ref().is_none_or(|tail| listed(responses.as_ref(), "approved", tail));
    if get("hasCompletedOnboarding") == Some(Value::Bool(true)) {
        return FirstRun { write: None, key_by_helper: !approved };
    }
    let mut set = |name: &str, value: &Value| {
        if let Ok(raw) = serde_json::value::to_raw_value(value) {
            file.insert(name.to_owned(), raw);
        }
    };
    set("hasCompletedOnboarding", &Value::Bool(true));
    // A key that a person refused once stays refused in their file.
    let refused = tail.as_ref().is_some_and(|tail| listed(responses.as_ref(), "rejected", tail));
    if let Some(tail) = tail.filter(|_| !approved && !refused) {
        let mut responses = responses
            .filter(Value::is_object)
            .unwrap_or_else(|| serde_json::json!({"approved": [], "rejected": []}));
        match responses.get_mut("approved").and_then(Value::as_array_mut) {
            Some(list) => list.push(Value::String(tail)),
            None => responses["approved"] = serde_json::json!([tail]),
        }
        set("customApiKeyResponses", &responses);
    }
    FirstRun { write: serde_json::to_string(&file).ok(), key_by_helper: refused && !approved }
}

fn key_tail(key: &str) -> String {
    let count = key.chars().count();
    key.chars().skip(count.saturating_sub(KEY_TAIL)).collect()
}

fn listed(responses: Option<&Value>, list: &str, tail: &str) -> bool {
    responses
        .and_then(|it| it.get(list)?.as_array())
        .is_some_and(|it| it.iter().any(|it| it.as_str() == Some(tail)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_new_home_is_written_to() {
        let key = Secret::new("sk-ant-0123456789-0123456789");
        let fresh = plan(None, Some(&key));
        let text = "{\"customApiKeyResponses\":{\"approved\":[\"123456789-0123456789\"],\
            \"rejected\":[]},\"hasCompletedOnboarding\":true}";
        assert_eq!(fresh.write.as_deref(), Some(text));
        assert!(!fresh.key_by_helper);
        // What it wrote needs nothing more.
        let again = plan(fresh.write.as_deref(), Some(&key));
        assert_eq!(again, FirstRun { write: None, key_by_helper: false });
        // Someone works here already: their file stays as it is.
        let theirs = "{\"hasCompletedOnboarding\": true, \"numStartups\": 3}";
        assert_eq!(plan(Some(theirs), Some(&key)), FirstRun { write: None, key_by_helper: true });
        assert_eq!(plan(Some(theirs), None), FirstRun { write: None, key_by_helper: false });
        assert_eq!(plan(Some("{broken"), None), FirstRun { write: None, key_by_helper: false });
    }

    #[test]
    fn what_is_not_understood_is_kept_to_the_letter() {
        let odd = "{\"big\": 123456789012345678901234567890, \"hasCompletedOnboarding\": false}";
        let text = plan(Some(odd), None).write.unwrap();
        assert_eq!(
            text,
            "{\"big\":123456789012345678901234567890,\"hasCompletedOnboarding\":true}"
        );
        let refused = "{\"customApiKeyResponses\":{\"rejected\":[\"k\"]}}";
        let plan = plan(Some(refused), Some(&Secret::new("k")));
        assert!(plan.key_by_helper);
        assert!(plan.write.unwrap().contains("\"rejected\":[\"k\"]"));
    }
}
