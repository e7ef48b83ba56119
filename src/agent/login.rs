//! Whether Claude can log in somewhere, found out without starting it.
//!
//! Only the presence of a way in is looked at, and nothing of what it is goes on from here: that
//! a token has been revoked only Claude can say.

use serde_json::Value;

/// Variables that are a way in by themselves.
pub const VARIABLES: [&str; 7] = [
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
    "AWS_BEARER_TOKEN_BEDROCK",
];

/// The name macOS keeps Claude's credentials under.
pub const KEYCHAIN_ITEM: &str = "Claude Code-credentials";

/// What was found on a host.
#[derive(Clone, Default)]
pub struct Found<'a> {
    /// The text of `.credentials.json` in Claude's directory.
    pub credentials: Option<&'a str>,
    /// The text of the person's `settings.json` there.
    pub settings: Option<&'a str>,
    /// The text of `.claude.json`.
    pub state: Option<&'a str>,
    /// Names of [`VARIABLES`] that are set, and `keychain` where the keychain has an item.
    pub words: Vec<&'a str>,
}

/// Returns by what Claude can log in, in a few words; nothing if nothing was found.
pub fn by(found: &Found<'_>) -> Option<String> {
    let read = |text: Option<&str>| serde_json::from_str::<Value>(text?).ok();
    let holds = |value: &Option<Value>, pointer: &str| {
        value.as_ref().and_then(|it| it.pointer(pointer)).is_some_and(says_something)
    };
    let settings = read(found.settings);
    if holds(&read(found.credentials), "/claudeAiOauth") {
        return Some("a login kept in .credentials.json".to_owned());
    }
    if found.words.contains(&"keychain") {
        return Some("a login kept in the keychain".to_owned());
    }
    if let Some(name) = VARIABLES.iter().find(|it| found.words.contains(it)) {
        return Some((*name).to_owned());
    }
    if holds(&settings, "/apiKeyHelper") {
        return Some("apiKeyHelper in settings.json".to_owned());
    }
    if let Some(name) = VARIABLES.iter().find(|it| holds(&settings, &format!("/env/{it}"))) {
        return Some(format!("{name} in settings.json"));
    }
    let key = holds(&read(found.state), "/primaryApiKey");
    key.then(|| "an API key kept in .claude.json".to_owned())
}

/// Tells whether a setting is more than a place for one.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(it) => *it,
        Value::String(it) => !it.trim().is_empty() && it != "0",
        Value::Array(it) => !it.is_empty(),
        Value::Object(it) => !it.is_empty(),
        Value::Number(it) => it.as_f64() != Some(0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_in_is_found_and_never_repeated() {
        let none = Found::default();
        let cases = [
            (none.clone(), None),
            (
                Found {
                    credentials: Some(r#"{"claudeAiOauth":{"accessToken":"hunter2"}}"#),
                    ..none.clone()
                },
                Some("a login kept in .credentials.json"),
            ),
            (Found { credentials: Some(r#"{"claudeAiOauth":{}}"#), ..none.clone() }, None),
            (Found { credentials: Some("{broken"), ..none.clone() }, None),
            (
                Found { words: vec!["keychain"], ..none.clone() },
                Some("a login kept in the keychain"),
            ),
            (
                Found { words: vec!["PATH", "ANTHROPIC_API_KEY"], ..none.clone() },
                Some("ANTHROPIC_API_KEY"),
            ),
            (
                Found { settings: Some(r#"{"apiKeyHelper":"/bin/key"}"#), ..none.clone() },
                Some("apiKeyHelper in settings.json"),
            ),
            (
                Found {
                    settings: Some(r#"{"env":{"CLAUDE_CODE_USE_BEDROCK":"1"}}"#),
                    ..none.clone()
                },
                Some("CLAUDE_CODE_USE_BEDROCK in settings.json"),
            ),
            (
                Found {
                    settings: Some(r#"{"env":{"CLAUDE_CODE_USE_BEDROCK":"0"}}"#),
                    ..none.clone()
                },
                None,
            ),
            (
                Found { state: Some(r#"{"primaryApiKey":"hunter2"}"#), ..none },
                Some("an API key kept in .claude.json"),
            ),
        ];
        for (found, want) in cases {
            let got = by(&found);
            assert_eq!(got.as_deref(), want);
            assert!(!got.unwrap_or_default().contains("hunter2"));
        }
    }
}
