//! What has to be there before a first task can run: a list with what to do about each entry.

use serde::Serialize;

use crate::api::types::{FirstRun, ProviderStatus, Status};

/// The oldest tmux that shows sessions as they are.
const TMUX_MIN: [u32; 2] = [3, 2];

/// The oldest Claude Code whose permission dialogs can be answered from outside.
const CLAUDE_MIN: [u32; 3] = [2, 0, 45];

/// One thing that has to be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What it is; with the provider in front where there are several.
    pub what: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// How it is, one line.
    pub detail: String,
    /// What to do, in order; empty if nothing. A command stands alone, between back quotes.
    pub fix: Vec<String>,
    /// Whether no task can run until it is put right.
    pub blocking: bool,
}

/// What whoever asks knows and the dispatcher does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// A variable in the caller's environment by which Claude can log in, and which is passed to
    /// tasks on this machine. Its name, never its value.
    pub login_variable: Option<String>,
}

/// Variables that are a way to log in, and are worth looking for in the caller's environment.
pub const LOGIN_VARIABLES: [&str; 5] = [
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
];

/// Returns everything that was looked at, in the order in which it is best put right.
pub fn checks(status: &Status, facts: &Facts) -> Vec<Check> {
    let mut checks = vec![configuration(&status.config_problems)];
    for provider in &status.providers {
        let prefix = match status.providers.len() {
            1 => String::new(),
            _ => format!("{}: ", provider.name),
        };
        checks.extend(of_provider(provider, facts).into_iter().map(|it| Check {
            what: format!("{prefix}{}", it.what),
            // One host that lacks something does not stop the others.
            blocking: it.blocking && (prefix.is_empty() || provider.name == "local"),
            ..it
        }));
    }
    checks
}

fn of_provider(provider: &ProviderStatus, facts: &Facts) -> Vec<Check> {
    if !provider.reachable {
        let why = provider.detail.clone().unwrap_or_else(|| "it does not answer".to_owned());
        let fix = "see whether the host is up and the configuration names it right";
        return vec![bad("host", why, &[fix])];
    }
    let claude = claude(provider);
    // Without Claude it says nothing how Claude would log in.
    let has_claude = !claude.blocking;
    let mut checks = vec![tmux(provider), git(provider), claude];
    if has_claude {
        checks.push(login(provider, facts));
        checks.push(first_run(provider));
    }
    checks
}

fn configuration(problems: &[String]) -> Check {
    match problems {
        [] => good("configuration", "valid"),
        [first, rest @ ..] => {
            let detail = match rest.len() {
                0 => first.clone(),
                more => format!("{first} (and {more} more)"),
            };
            bad("configuration", detail, &["correct the file; `parhelia config` checks it"])
        }
    }
}

fn tmux(provider: &ProviderStatus) -> Check {
    let fix = ["install tmux 3.2 or newer from the system's packages"];
    match version(provider, "tmux") {
        None => bad("tmux", "not found", &fix),
        Some(it) if older(it, &TMUX_MIN) => bad("tmux", format!("{it} is too old"), &fix),
        Some(it) => good("tmux", it),
    }
}

fn git(provider: &ProviderStatus) -> Check {
    match version(provider, "git") {
        None => Check {
            blocking: false,
            ..bad(
                "git",
                "not found; tasks cannot have work trees of their own",
                &["install git from the system's packages"],
            )
        },
        Some(it) => good("git", it),
    }
}

fn claude(provider: &ProviderStatus) -> Check {
    match version(provider, "claude") {
        None => bad(
            "claude",
            "not found",
            &[
                "`npm install -g @anthropic-ai/claude-code`",
                "or set agent.command in parhelia.toml to where it is",
                "`parhelia demo` shows everything without it",
            ],
        ),
        Some(it) if older(it, &CLAUDE_MIN) => Check {
            blocking: false,
            ..bad(
                "claude",
                format!("{it}: permissions can be answered in its own terminal only"),
                &["`claude update`"],
            )
        },
        Some(it) => good("claude", it),
    }
}

fn login(provider: &ProviderStatus, facts: &Facts) -> Check {
    // What the caller has is passed to tasks on the caller's machine only.
    let variable = facts.login_variable.as_ref().filter(|_| provider.name == "local");
    match (variable, provider.login) {
        (Some(name), _) => good("login", format!("by {name}")),
        (None, Some(true)) => {
            let by = provider.login_by.as_deref().unwrap_or("what Claude keeps there");
            good("login", format!("by {by}"))
        }
        (None, Some(false)) => bad(
            "login",
            "Claude has no way to log in",
            &[
                "run `claude` once and log in there",
                "or set ANTHROPIC_API_KEY, or CLAUDE_CODE_OAUTH_TOKEN as `claude setup-token` \
                 prints it",
            ],
        ),
        (None, None) => Check { ok: true, ..good("login", "not known") },
    }
}

fn first_run(provider: &ProviderStatus) -> Check {
    match provider.first_run {
        Some(FirstRun::Unreadable) => Check {
            blocking: false,
            ..bad(
                "first run",
                "Claude's .claude.json cannot be read, and Claude will ask what to do about it",
                &["run `claude` once and answer it"],
            )
        },
        Some(FirstRun::Answered) => good(
            "first run",
            "Claude's first questions are answered for tasks; folders are trusted",
        ),
        Some(FirstRun::Done) => good("first run", "done; folders given to tasks are trusted"),
        None => good("first run", "not known"),
    }
}

fn version<'a>(provider: &'a ProviderStatus, program: &str) -> Option<&'a str> {
    provider.versions.get(program)?.as_deref()
}

/// Tells whether a version such as `3.3a` is older than `least`; one that cannot be read is not.
fn older(version: &str, least: &[u32]) -> bool {
    let digits = |part: &str| -> Option<u32> {
        part.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    let parts: Option<Vec<u32>> = version.split('.').take(least.len()).map(digits).collect();
    parts.is_some_and(|it| it.as_slice() < least)
}

fn good(what: &str, detail: impl Into<String>) -> Check {
    let (what, detail) = (what.to_owned(), detail.into());
    Check { what, ok: true, detail, fix: Vec::new(), blocking: false }
}

fn bad(what: &str, detail: impl Into<String>, fix: &[&str]) -> Check {
    Check {
        what: what.to_owned(),
        ok: false,
        detail: detail.into(),
        fix: fix.iter().map(|it| (*it).to_owned()).collect(),
        blocking: true,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        api::types::{Disk, Spend, VersionInfo},
        stdx::time::Timestamp,
    };

    fn provider(versions: &[(&str, Option<&str>)]) -> ProviderStatus {
        ProviderStatus {
            name: "local".into(),
            reachable: true,
            detail: None,
            slots: 4,
            in_use: 0,
            versions: versions
                .iter()
                .map(|(name, it)| ((*name).to_owned(), it.map(str::to_owned)))
                .collect(),
            login: Some(true),
            login_by: Some("ANTHROPIC_API_KEY".into()),
            first_run: Some(FirstRun::Done),
            price_per_hour_usd: 0.0,
        }
    }

    fn all(tmux: &'static str, claude: &'static str) -> ProviderStatus {
        provider(&[("tmux", Some(tmux)), ("git", Some("2.39.5")), ("claude", Some(claude))])
    }

    fn status(providers: Vec<ProviderStatus>) -> Status {
        Status {
            dispatcher: VersionInfo {
                version: "0.1.0".into(),
                revision: 1,
                pid: 1,
                started_at: Timestamp(0),
                state_dir: "/s".into(),
            },
            config_file: None,
            config_problems: Vec::new(),
            tasks: BTreeMap::new(),
            needs_you: 0,
            spend: Spend::default(),
            providers,
            disk: Disk::default(),
            checkpoint_bytes: 0,
            memory_bytes: None,
            hints: Vec::new(),
        }
    }

    /// What is wrong, each with `!` if it blocks.
    fn wrong(providers: Vec<ProviderStatus>, facts: &Facts) -> Vec<String> {
        let checks = checks(&status(providers), facts);
        let wrong = checks.iter().filter(|it| !it.ok);
        wrong
            .map(|it| {
                assert!(!it.fix.is_empty() && !it.detail.is_empty(), "{it:?}");
                format!("{}{}", it.what, if it.blocking { "!" } else { "" })
            })
            .collect()
    }

    #[test]
    fn what_is_missing_is_found_and_what_blocks_is_told_from_the_rest() {
        let nobody = Facts::default();
        let key = Facts { login_variable: Some("ANTHROPIC_API_KEY".into()) };
        let none: [&str; 0] = [];
        assert_eq!(wrong(vec![all("3.3a", "2.1.329")], &nobody), none);
        assert_eq!(wrong(vec![all("3.1c", "2.0.44")], &nobody), ["tmux!", "claude"]);
        assert_eq!(wrong(vec![all("next-3.6", "2.1.329")], &nobody), none);
        let bare = provider(&[("tmux", None), ("git", None), ("claude", None)]);
        assert_eq!(wrong(vec![bare], &nobody), ["tmux!", "git", "claude!"]);
        let out = ProviderStatus { login: Some(false), login_by: None, ..all("3.4", "2.1.329") };
        assert_eq!(wrong(vec![out.clone()], &nobody), ["login!"]);
        assert_eq!(wrong(vec![out], &key), none);
        let unknown = ProviderStatus { login: None, first_run: None, ..all("3.4", "2.1.329") };
        assert_eq!(wrong(vec![unknown], &nobody), none);
        let torn =
            ProviderStatus { first_run: Some(FirstRun::Unreadable), ..all("3.4", "2.1.329") };
        assert_eq!(wrong(vec![torn], &nobody), ["first run"]);
    }

    #[test]
    fn of_several_hosts_only_this_one_blocks() {
        let far = ProviderStatus { name: "far".into(), reachable: false, ..all("3.4", "2.1.329") };
        let near = provider(&[("tmux", None), ("git", Some("2")), ("claude", Some("2.1.329"))]);
        let nobody = Facts::default();
        assert_eq!(wrong(vec![near, far], &nobody), ["local: tmux!", "far: host"]);
    }

    #[test]
    fn a_wrong_configuration_blocks() {
        let problems = ["a.toml:1:1: no".to_owned(), "a.toml:2:1: no".to_owned()];
        let check = configuration(&problems);
        assert!(check.blocking);
        assert_eq!(check.detail, "a.toml:1:1: no (and 1 more)");
    }
}
