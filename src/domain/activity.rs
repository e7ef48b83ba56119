//! From evidence to one word: what a session does now.

use serde::{Deserialize, Serialize};

use crate::domain::{
    ask::AskKind,
    evidence::{Evidence, Registry, RegistryStatus, Seen, Turn},
};

/// What a live session does. Orthogonal to the task's state, which stays RUNNING through all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activity {
    /// Launched, and Claude has not said a word yet.
    Starting,
    /// A turn runs, or background tasks of one.
    Working,
    /// A permission dialog or a plan waits for yes or no.
    NeedsPermission,
    /// A question or another dialog waits for an answer.
    NeedsInput,
    /// Waits for a prompt.
    Idle,
    /// The last turn ended by an API failure; waits for a prompt.
    FailedTurn,
    /// Not known: the host does not answer.
    Unknown,
}

impl Activity {
    /// Returns the word shown to people and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Activity::Starting => "starting",
            Activity::Working => "working",
            Activity::NeedsPermission => "needs-permission",
            Activity::NeedsInput => "needs-input",
            Activity::Idle => "idle",
            Activity::FailedTurn => "failed-turn",
            Activity::Unknown => "unknown",
        }
    }

    /// Tells whether a person is waited for.
    pub fn needs_person(self) -> bool {
        matches!(self, Activity::NeedsPermission | Activity::NeedsInput)
    }
}

/// An activity and the one piece of evidence that decided it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What the session does.
    pub activity: Activity,
    /// Why, one line.
    pub because: String,
    /// True when the turn ended by itself with nothing left running: the task may be complete.
    pub turn_over: bool,
}

/// Returns what the evidence means. `reachable` is whether the host answers.
///
/// A registry that says busy is believed, also after a Stop hook: a queued prompt starts the next
/// turn silently. For the rest the hooks say more, and [`Evidence::observe`] has let the registry
/// correct them where they are silent.
pub fn judge(evidence: &Evidence, reachable: bool) -> Verdict {
    if !reachable {
        return verdict(Activity::Unknown, "the host does not answer");
    }
    let registry = evidence.registry.as_ref();
    if let Some(it) = &evidence.dialog {
        return verdict(Activity::NeedsInput, &format!("the screen shows a dialog: {}", it.what.0));
    }
    if let Some(it) = waiting(evidence, registry) {
        return it;
    }
    if evidence.started.is_none() && registry.is_none() && evidence.hook.is_none() {
        return verdict(Activity::Starting, "launched; no word from Claude yet");
    }
    let turn = evidence.turn.as_ref();
    let state = turn.map_or(&Turn::None, |it| &it.what);
    let by_hooks = || match state {
        Turn::None => verdict(Activity::Idle, "no prompt was submitted yet"),
        Turn::Working => verdict(Activity::Working, "a prompt was submitted and no end was seen"),
        Turn::Ended { background: 0 } => Verdict {
            turn_over: true,
            ..verdict(Activity::Idle, "Stop hook, nothing left in the background")
        },
        Turn::Ended { background } => verdict(
            Activity::Working,
            &format!("Stop hook, {background} background tasks still run"),
        ),
        Turn::Failed { error, .. } => {
            verdict(Activity::FailedTurn, &format!("StopFailure hook: {error}"))
        }
        Turn::Interrupted => {
            verdict(Activity::Idle, "the registry says idle and no Stop hook fired: interrupted")
        }
    };
    let Some(Seen { what: Registry { status, .. }, .. }) = registry else {
        return by_hooks();
    };
    match status {
        RegistryStatus::Busy => verdict(Activity::Working, "the registry says busy"),
        RegistryStatus::Shell => verdict(Activity::Working, "the registry says a shell runs"),
        RegistryStatus::Idle | RegistryStatus::Unknown | RegistryStatus::Waiting => by_hooks(),
    }
}

/// A dialog is open: by a hook that the registry has not overtaken, or by the registry.
fn waiting(evidence: &Evidence, registry: Option<&Seen<Registry>>) -> Option<Verdict> {
    if let Some(it) = evidence.asks.first() {
        let activity = match it.what.kind {
            AskKind::Permission | AskKind::Plan => Activity::NeedsPermission,
            AskKind::Question => Activity::NeedsInput,
        };
        return Some(verdict(activity, &format!("PermissionRequest hook: {}", it.what.summary)));
    }
    let Registry { status: RegistryStatus::Waiting, waiting_for, .. } = &registry?.what else {
        return None;
    };
    let words = waiting_for.as_deref().unwrap_or("something");
    let activity = match words {
        "permission prompt" | "sandbox request" | "worker request" => Activity::NeedsPermission,
        _ => Activity::NeedsInput,
    };
    Some(verdict(activity, &format!("the registry says waiting for: {words}")))
}

fn verdict(activity: Activity, because: &str) -> Verdict {
    Verdict { activity, because: because.to_owned(), turn_over: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{ask::Ask, evidence::Observation},
        stdx::time::Timestamp,
    };

    fn registry(status: RegistryStatus) -> Observation {
        let waiting = matches!(status, RegistryStatus::Waiting);
        Observation::Registry {
            registry: Registry {
                status,
                waiting_for: waiting.then(|| "permission prompt".to_owned()),
                conversation: None,
                updated_at: None,
            },
        }
    }

    fn started() -> Observation {
        Observation::ConversationStarted {
            source: "startup".into(),
            conversation: "c".into(),
            transcript: None,
        }
    }

    fn prompt() -> Observation {
        Observation::PromptSubmitted {
            head: "do it".into(),
            bytes: 5,
            injected: false,
            id: Some("p1".into()),
        }
    }

    fn ended(background: u32) -> Observation {
        Observation::TurnEnded { background, message: "done".into(), id: Some("p1".into()) }
    }

    fn asked(kind: AskKind) -> Observation {
        let ask = Ask {
            id: "main.1".into(),
            kind,
            tool: "Bash".into(),
            summary: "ls".into(),
            options: Vec::new(),
            agent: None,
        };
        Observation::Asked { ask }
    }

    /// Each row: what was seen, in order, and what that means.
    #[test]
    #[expect(clippy::too_many_lines, reason = "a table reads best whole")]
    fn evidence_means_this() {
        use Activity as A;
        use RegistryStatus as R;

        let failed =
            || Observation::TurnFailed { error: "rate_limit".into(), message: "429".into() };
        let rows: Vec<(&str, Vec<Observation>, Activity, bool)> = vec![
            ("nothing", vec![], A::Starting, false),
            ("started", vec![started(), registry(R::Idle)], A::Idle, false),
            (
                "the hook is fresher",
                vec![started(), registry(R::Idle), prompt()],
                A::Working,
                false,
            ),
            ("the registry lags", vec![started(), prompt(), registry(R::Idle)], A::Working, false),
            ("busy", vec![started(), prompt(), registry(R::Busy)], A::Working, false),
            (
                "ended",
                vec![prompt(), registry(R::Busy), ended(0), registry(R::Idle)],
                A::Idle,
                true,
            ),
            (
                "a queued turn",
                vec![prompt(), registry(R::Busy), prompt(), ended(0)],
                A::Working,
                false,
            ),
            (
                "a queued turn, interrupted",
                vec![prompt(), registry(R::Busy), prompt(), ended(0), registry(R::Idle)],
                A::Idle,
                false,
            ),
            ("background", vec![prompt(), ended(1), registry(R::Idle)], A::Working, false),
            ("background shell", vec![prompt(), ended(1), registry(R::Shell)], A::Working, false),
            ("interrupted", vec![prompt(), registry(R::Busy), registry(R::Idle)], A::Idle, false),
            (
                "failed",
                vec![prompt(), registry(R::Busy), failed(), registry(R::Idle)],
                A::FailedTurn,
                false,
            ),
            (
                "asked",
                vec![prompt(), registry(R::Busy), asked(AskKind::Permission)],
                A::NeedsPermission,
                false,
            ),
            (
                "question",
                vec![prompt(), asked(AskKind::Question), registry(R::Waiting)],
                A::NeedsInput,
                false,
            ),
            (
                "plan",
                vec![prompt(), asked(AskKind::Plan), registry(R::Waiting)],
                A::NeedsPermission,
                false,
            ),
            (
                "answered yes",
                vec![prompt(), asked(AskKind::Permission), registry(R::Waiting), registry(R::Busy)],
                A::Working,
                false,
            ),
            (
                "answered no",
                vec![prompt(), asked(AskKind::Permission), registry(R::Waiting), registry(R::Idle)],
                A::Idle,
                false,
            ),
            ("waiting, no hook", vec![prompt(), registry(R::Waiting)], A::NeedsPermission, false),
            ("no registry", vec![started(), prompt(), ended(0)], A::Idle, true),
            (
                "first-run dialog",
                vec![Observation::DialogSeen { name: "trust-folder".into(), excerpt: "?".into() }],
                A::NeedsInput,
                false,
            ),
        ];
        for (name, seen, activity, over) in rows {
            let mut evidence = Evidence::default();
            for observation in &seen {
                evidence.observe(observation, Timestamp(1));
            }
            let verdict = judge(&evidence, true);
            assert_eq!((verdict.activity, verdict.turn_over), (activity, over), "{name}");
            assert_eq!(judge(&evidence, false).activity, A::Unknown, "{name}");
        }
    }

    /// The registry's word, written at a time of its own.
    fn written(status: RegistryStatus, at: i64) -> Observation {
        let Observation::Registry { mut registry } = registry(status) else { unreachable!() };
        registry.updated_at = Some(at);
        Observation::Registry { registry }
    }

    /// A hook that is not waited for, and may come late.
    fn tool() -> Observation {
        Observation::ToolStarted { tool: "Bash".into(), summary: "ls".into(), agent: None }
    }

    /// What is believed after each observation.
    fn activities(observations: &[Observation]) -> Vec<Activity> {
        let mut evidence = Evidence::default();
        let believe = |it: &Observation| {
            evidence.observe(it, Timestamp(1));
            judge(&evidence, true).activity
        };
        observations.iter().map(believe).collect()
    }

    #[test]
    fn an_idle_from_before_the_prompt_is_no_interrupt() {
        use Activity::{Idle, Working};
        use RegistryStatus as R;

        let late = [prompt(), written(R::Idle, 1), written(R::Busy, 2)];
        assert_eq!(activities(&late), [Working; 3]);
        let repeated = [written(R::Idle, 1), prompt(), written(R::Idle, 1)];
        assert_eq!(activities(&repeated), [Idle, Working, Working]);
        // Busy was too short to be seen, but something has changed.
        let fresh = [written(R::Idle, 1), prompt(), written(R::Idle, 3)];
        assert_eq!(activities(&fresh), [Idle, Working, Idle]);
    }

    #[test]
    fn an_interrupted_turn_stays_interrupted() {
        use Activity::{Idle, Working};
        use RegistryStatus as R;

        let interrupted = [prompt(), written(R::Busy, 1), written(R::Idle, 2)];
        let after = |it: Observation| activities(&[&interrupted[..], &[it]].concat());
        assert_eq!(after(tool()), [Working, Working, Idle, Idle]);
        assert_eq!(after(Observation::RegistryGone), [Working, Working, Idle, Idle]);
        assert_eq!(after(written(R::Busy, 3)), [Working, Working, Idle, Working]);
    }

    #[test]
    fn a_late_hook_of_a_tool_does_not_undo_the_end_of_the_turn() {
        use RegistryStatus as R;

        let mut evidence = Evidence::default();
        for it in [prompt(), written(R::Busy, 1), ended(0), tool(), written(R::Idle, 2)] {
            evidence.observe(&it, Timestamp(1));
        }
        assert!(judge(&evidence, true).turn_over);
    }
}
