//! Which Claude Code is installed, and which hook events it knows.

use std::{fmt, str::FromStr};

/// A version of Claude Code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl Version {
    /// Reads the output of `claude --version`: `2.1.329 (Claude Code)`.
    pub fn parse(text: &str) -> Option<Version> {
        text.split_whitespace().find_map(|it| it.trim_start_matches('v').parse().ok())
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Version, String> {
        let bad = || format!("`{}` is not a version", text.escape_debug());
        // A pre-release knows what its release knows.
        let mut parts = text.split(['-', '+']).next().unwrap_or_default().split('.');
        let mut part = || -> Option<u32> { parts.next()?.parse().ok() };
        let version = (|| Some(Version(part()?, part()?, part()?)))().ok_or_else(bad)?;
        if parts.next().is_some() { Err(bad()) } else { Ok(version) }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}.{}", self.0, self.1, self.2))
    }
}

/// The oldest version whose hooks can be `async`. The field came a little earlier; this is the
/// first release that surely has it, and an older one only runs the hooks one after the other.
pub const ASYNC_HOOKS: Version = Version(2, 1, 33);

/// The version that was seen to begin a resumed conversation with the last `cost-state` of its
/// transcript, and at zero where there is none. What earlier ones do was not looked at.
pub const COST_STATE: Version = Version(2, 1, 329);

/// Every hook event, with the first version that surely knows it.
///
/// An event that the installed version does not know opens a dialog that blocks the start, so a
/// date that is too late costs detail and one that is too early costs the session.
const EVENTS: &[(&str, Version)] = &[
    ("PreToolUse", Version(1, 0, 85)),
    ("PostToolUse", Version(1, 0, 85)),
    ("Notification", Version(1, 0, 85)),
    ("UserPromptSubmit", Version(1, 0, 85)),
    ("SessionStart", Version(1, 0, 85)),
    ("SessionEnd", Version(1, 0, 85)),
    ("Stop", Version(1, 0, 85)),
    ("SubagentStop", Version(1, 0, 85)),
    ("PreCompact", Version(1, 0, 85)),
    ("SubagentStart", Version(2, 0, 43)),
    ("PermissionRequest", Version(2, 0, 45)),
    ("Setup", Version(2, 1, 10)),
    ("PostToolUseFailure", Version(2, 1, 33)),
    ("TeammateIdle", Version(2, 1, 33)),
    ("TaskCompleted", Version(2, 1, 33)),
    ("ConfigChange", Version(2, 1, 49)),
    ("WorktreeCreate", Version(2, 1, 50)),
    ("WorktreeRemove", Version(2, 1, 50)),
    ("InstructionsLoaded", Version(2, 1, 69)),
    ("PostCompact", Version(2, 1, 76)),
    ("Elicitation", Version(2, 1, 76)),
    ("ElicitationResult", Version(2, 1, 76)),
    ("StopFailure", Version(2, 1, 78)),
    ("CwdChanged", Version(2, 1, 83)),
    ("FileChanged", Version(2, 1, 83)),
    ("TaskCreated", Version(2, 1, 84)),
    ("PermissionDenied", Version(2, 1, 89)),
    ("MessageDisplay", Version(2, 1, 152)),
    ("PostToolBatch", Version(2, 1, 198)),
    ("UserPromptExpansion", Version(2, 1, 198)),
    ("PreModelSwitch", Version(2, 1, 329)),
    ("PostModelSwitch", Version(2, 1, 329)),
    ("DirectoryAdded", Version(2, 1, 329)),
];

/// Returns every hook event there is, for checking a person's settings.
pub fn all_events() -> impl Iterator<Item = &'static str> {
    EVENTS.iter().map(|(name, _)| *name)
}

/// Tells whether `version` knows the hook event. An unknown version is taken for the oldest.
pub fn knows(version: Option<Version>, event: &str) -> bool {
    let version = version.unwrap_or(Version(1, 0, 85));
    EVENTS.iter().any(|(name, since)| *name == event && *since <= version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cli_s_own_words_are_read() {
        assert_eq!(Version::parse("2.1.329 (Claude Code)\n"), Some(Version(2, 1, 329)));
        assert_eq!(Version::parse("v2.2.0-beta.1"), Some(Version(2, 2, 0)));
        for bad in ["", "Claude Code", "2.1", "2.1.3.4", "99999999999.1.1"] {
            assert_eq!(Version::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_unknown_version_gets_the_oldest_events_only() {
        assert!(knows(None, "Stop"));
        assert!(!knows(None, "PermissionRequest"));
        assert!(knows(Some(Version(2, 1, 329)), "PermissionRequest"));
        assert!(!knows(Some(Version(2, 0, 44)), "PermissionRequest"));
        assert!(!knows(Some(Version(9, 0, 0)), "Bogus"));
    }
}
