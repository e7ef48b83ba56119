//! Looks whether Claude would start on a host and get in, without starting it.

use std::time::Duration;

use crate::{
    agent::{
        first_run,
        login::{self, Found, KEYCHAIN_ITEM, VARIABLES},
    },
    api::types::FirstRun,
    domain::ids::HostPath,
    provider::Worker,
    shell::{Command, run},
};

/// The most that is read of one of Claude's files, in bytes.
const FILE_MAX: usize = 4 * 1024 * 1024;

/// Says which of the variables `$2` and on are set, and whether the keychain has the item `$1`.
/// Only names are printed.
const LOOK: &str = r#"
item=$1
shift
for name do
    eval "[ -z \"\${$name:-}\" ]" || echo "$name"
done
if command -v security >/dev/null 2>&1; then
    security find-generic-password -s "$item" >/dev/null 2>&1 && echo keychain
fi
exit 0
"#;

/// What was found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Whether there is a way to log in; nothing if not known.
    pub login: Option<bool>,
    /// Which way.
    pub login_by: Option<String>,
    /// What of Claude's first questions is left.
    pub first_run: Option<FirstRun>,
}

/// Looks on the worker's host.
pub async fn readiness(worker: &Worker, limit: Duration) -> Readiness {
    let config = &worker.info.claude_config;
    // Claude keeps this file beside its directory unless the directory was chosen by hand.
    let state = match *config == worker.info.home.join(".claude") {
        true => worker.info.home.join(".claude.json"),
        false => config.join(".claude.json"),
    };
    let mut command = Command::new(["sh", "-c", LOOK, "sh", KEYCHAIN_ITEM]);
    for name in VARIABLES {
        command = command.arg(name);
    }
    let Ok(output) = run(&*worker.shell, &command, limit).await else {
        return Readiness::default();
    };
    let said = output.text();
    let credentials = text(worker, &config.join(".credentials.json")).await;
    let settings = text(worker, &config.join("settings.json")).await;
    let state = text(worker, &state).await;
    let found = Found {
        credentials: credentials.as_deref(),
        settings: settings.as_deref(),
        state: state.as_deref(),
        words: said.lines().collect(),
    };
    let login_by = login::by(&found);
    Readiness {
        login: Some(login_by.is_some()),
        login_by,
        first_run: Some(first_run(state.as_deref())),
    }
}

fn first_run(state: Option<&str>) -> FirstRun {
    let text = state.map(str::trim).filter(|it| !it.is_empty());
    match (text, first_run::plan(state, None).write) {
        (Some(text), None) if serde_json::from_str::<serde_json::Value>(text).is_err() => {
            FirstRun::Unreadable
        }
        (_, Some(_)) => FirstRun::Answered,
        (_, None) => FirstRun::Done,
    }
}

async fn text(worker: &Worker, path: &HostPath) -> Option<String> {
    let bytes = worker.shell.get(path, 0, FILE_MAX).await.ok()??;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_the_first_run_is_told() {
        assert_eq!(first_run(None), FirstRun::Answered);
        assert_eq!(first_run(Some("{}")), FirstRun::Answered);
        assert_eq!(first_run(Some("{\"hasCompletedOnboarding\":true}")), FirstRun::Done);
        assert_eq!(first_run(Some("{torn")), FirstRun::Unreadable);
    }
}
