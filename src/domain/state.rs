//! The life of a task.
//!
//! ```text
//! CREATED → PENDING → DISPATCHED → RUNNING → COMPLETED
//!              │           │          ├────→ FAILED
//!              └─ KILLED   │          ├────→ KILLED
//!                          │          └────→ PARKED → PENDING
//!                          └→ DISPATCH_FAILED
//! ```
//!
//! A task's data differs by state, so it lives in the variants: a pending task cannot have a
//! session, and a finished one has one only while it is still open for a person.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        activity::{Verdict, judge},
        budget::Scope,
        evidence::{Evidence, Observation, Turn},
        ids::HostPath,
        usd::Usd,
    },
    stdx::time::{Timestamp, short},
};

/// Where a task stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum TaskState {
    /// Written down, not queued yet.
    Created,
    /// Waits for a place; `reason` says for which.
    Pending { since: Timestamp, reason: Option<String> },
    /// A place was claimed and told to launch; whether it did is not known yet.
    Dispatched { since: Timestamp, attempt: u32, conversation: String, stopping: Option<StopCause> },
    /// The session exists.
    Running { since: Timestamp, session: Session },
    /// Did what was asked. The session may still be open for a person.
    Completed { at: Timestamp, session: Option<Session> },
    /// Did not.
    Failed { at: Timestamp, reason: FailReason, session: Option<Session> },
    /// Ended on a person's word.
    Killed { at: Timestamp, cause: StopCause },
    /// Interrupted and saved; its worker is released, and it goes on when a person says so.
    Parked { at: Timestamp, why: ParkCause },
    /// No session came to be.
    DispatchFailed { at: Timestamp, reason: String },
}

/// A tmux session with Claude in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Which launch of the task this is, counted from one.
    pub attempt: u32,
    /// Claude's id of the conversation; changes with `/clear`.
    pub conversation: String,
    /// Where Claude writes the conversation, once a hook has said so.
    pub transcript: Option<HostPath>,
    /// What was seen of it.
    pub evidence: Evidence,
    /// Whether its host answers.
    pub contact: Contact,
    /// People attached through the dispatcher, read-only ones not counted.
    pub viewers: u32,
    /// Set when it was told to end and has not yet.
    pub stopping: Option<StopCause>,
    /// When the activity last changed.
    pub activity_since: Timestamp,
}

impl Session {
    /// Creates the session of launch `attempt`.
    pub fn new(attempt: u32, conversation: String, at: Timestamp) -> Session {
        Session {
            attempt,
            conversation,
            transcript: None,
            evidence: Evidence::default(),
            contact: Contact::Reachable,
            viewers: 0,
            stopping: None,
            activity_since: at,
        }
    }

    /// Returns what the session does now, and why.
    pub fn verdict(&self) -> Verdict {
        judge(&self.evidence, matches!(self.contact, Contact::Reachable))
    }

    /// Takes in one observation.
    pub fn observe(&mut self, observation: &Observation, at: Timestamp) {
        let before = self.verdict().activity;
        self.evidence.observe(observation, at);
        if let Observation::ConversationStarted { conversation, transcript, .. } = observation {
            self.conversation.clone_from(conversation);
            if transcript.is_some() {
                self.transcript.clone_from(transcript);
            }
        }
        if self.verdict().activity != before {
            self.activity_since = at;
        }
    }
}

/// Whether the session's host answers. Unreachable is not failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "contact")]
pub enum Contact {
    /// It answers.
    Reachable,
    /// It has not answered since then.
    Unreachable { since: Timestamp },
}

/// Why a session was told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "cause")]
pub enum StopCause {
    /// `task cancel` or `session kill`.
    Person,
    /// The task's time-out.
    TimedOut { limit: Duration },
    /// The task's idle time-out.
    IdleTimedOut { limit: Duration },
    /// A ceiling, where the policy is to end tasks.
    OverCeiling {
        #[serde(default = "of_task")]
        scope: Scope,
        spent: Usd,
        ceiling: Usd,
    },
    /// It is to be parked.
    Parked { why: ParkCause },
}

/// Events written before there were other ceilings name none.
fn of_task() -> Scope {
    Scope::Task
}

/// Why a task was parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum ParkCause {
    /// `task park`.
    Person,
    /// A ceiling.
    OverCeiling { scope: Scope, spent: Usd, ceiling: Usd },
    /// The session's own watchdog ended it: no dispatcher renewed the lease, which ended then.
    LeaseOver { ended: Timestamp },
    /// The session's own watchdog ended it: the task had cost so much of what was left to it while
    /// no dispatcher was there.
    LeaseSpent { spent: Usd, limit: Usd },
}

/// Why a task failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum FailReason {
    /// Claude ended with a status other than 0; `tail` is the last it showed.
    Exit { code: i32, tail: String },
    /// The turn ended by an API failure.
    Turn { error: String, message: String },
    /// The session is gone and nothing tells how it ended.
    SessionLost { detail: String },
    /// It was ended by a limit.
    Limit { cause: StopCause },
}

/// What moves a task on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transition {
    /// It joins the queue.
    Queued,
    /// It stays in the queue, for this reason.
    Held { reason: String },
    /// A place was claimed for it.
    Claimed { attempt: u32, conversation: String },
    /// Its session exists.
    Launched,
    /// Its session could not be made.
    LaunchFailed { reason: String },
    /// It shall end.
    StopRequested { cause: StopCause },
    /// It is complete; the session stays open.
    Finished,
    /// It failed; the session stays open.
    FellShort { reason: FailReason },
    /// The session is over.
    SessionEnded { code: Option<i32>, detail: String },
    /// A person took up an open session of a finished task.
    Reopened,
    /// It shall run again.
    Retried,
}

/// The state does not admit the transition; the caller's view was stale.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a task that is {from} cannot be {transition}")]
pub struct Illegal {
    /// The state.
    pub from: &'static str,
    /// The transition.
    pub transition: &'static str,
}

impl TaskState {
    /// Returns the state after `transition`, or [`Illegal`] if there is no such edge.
    #[expect(clippy::too_many_lines, reason = "a table reads best whole")]
    pub fn apply(&self, transition: &Transition, at: Timestamp) -> Result<TaskState, Illegal> {
        use TaskState as S;
        use Transition as T;

        let next = match (self, transition) {
            (S::Created, T::Queued) => S::Pending { since: at, reason: None },
            (S::Pending { since, .. }, T::Held { reason }) => {
                S::Pending { since: *since, reason: Some(reason.clone()) }
            }
            (S::Pending { .. }, T::Claimed { attempt, conversation }) => S::Dispatched {
                since: at,
                attempt: *attempt,
                conversation: conversation.clone(),
                stopping: None,
            },
            (S::Pending { .. }, T::LaunchFailed { reason }) => {
                S::DispatchFailed { at, reason: reason.clone() }
            }
            (S::Created | S::Pending { .. }, T::StopRequested { cause }) => match cause {
                StopCause::Parked { why } => S::Parked { at, why: *why },
                _ => S::Killed { at, cause: *cause },
            },
            (S::Parked { .. }, T::StopRequested { cause: cause @ StopCause::Person }) => {
                S::Killed { at, cause: *cause }
            }

            (S::Dispatched { attempt, conversation, stopping, .. }, T::Launched) => {
                let mut session = Session::new(*attempt, conversation.clone(), at);
                session.stopping = *stopping;
                S::Running { since: at, session }
            }
            (S::Dispatched { stopping: Some(cause), .. }, T::LaunchFailed { .. }) => {
                stopped(*cause, at)
            }
            (S::Dispatched { .. }, T::LaunchFailed { reason }) => {
                S::DispatchFailed { at, reason: reason.clone() }
            }
            (S::Dispatched { since, attempt, conversation, .. }, T::StopRequested { cause }) => {
                S::Dispatched {
                    since: *since,
                    attempt: *attempt,
                    conversation: conversation.clone(),
                    stopping: Some(*cause),
                }
            }

            (S::Running { since, session }, T::StopRequested { cause }) => {
                S::Running { since: *since, session: stopping(session, *cause) }
            }
            (S::Running { session, .. }, T::Finished) => {
                S::Completed { at, session: Some(session.clone()) }
            }
            (S::Running { session, .. }, T::FellShort { reason }) => {
                S::Failed { at, reason: reason.clone(), session: Some(session.clone()) }
            }
            (S::Running { session, .. }, T::SessionEnded { code, detail }) => {
                match (session.stopping, code) {
                    (Some(cause), _) => stopped(cause, at),
                    (None, Some(0)) => left(session, at),
                    (None, Some(code)) => S::Failed {
                        at,
                        reason: FailReason::Exit { code: *code, tail: detail.clone() },
                        session: None,
                    },
                    (None, None) => S::Failed {
                        at,
                        reason: FailReason::SessionLost { detail: detail.clone() },
                        session: None,
                    },
                }
            }

            (S::Completed { at: done, session: Some(session) }, T::StopRequested { cause }) => {
                S::Completed { at: *done, session: Some(stopping(session, *cause)) }
            }
            (S::Completed { at, session: Some(_) }, T::SessionEnded { .. }) => {
                S::Completed { at: *at, session: None }
            }
            (
                S::Failed { at: done, reason, session: Some(session) },
                T::StopRequested { cause },
            ) => S::Failed {
                at: *done,
                reason: reason.clone(),
                session: Some(stopping(session, *cause)),
            },
            (S::Failed { at, reason, session: Some(_) }, T::SessionEnded { .. }) => {
                S::Failed { at: *at, reason: reason.clone(), session: None }
            }
            (
                S::Completed { session: Some(session), .. }
                | S::Failed { session: Some(session), .. },
                T::Reopened,
            ) if session.stopping.is_none() => S::Running { since: at, session: session.clone() },

            (
                S::Completed { session: None, .. }
                | S::Failed { session: None, .. }
                | S::Killed { .. }
                | S::Parked { .. }
                | S::DispatchFailed { .. },
                T::Retried,
            ) => S::Pending { since: at, reason: None },

            _ => return Err(Illegal { from: self.name(), transition: transition.name() }),
        };
        Ok(next)
    }

    /// Returns the name of the state as people know it.
    pub fn name(&self) -> &'static str {
        match self {
            TaskState::Created => "CREATED",
            TaskState::Pending { .. } => "PENDING",
            TaskState::Dispatched { .. } => "DISPATCHED",
            TaskState::Running { .. } => "RUNNING",
            TaskState::Completed { .. } => "COMPLETED",
            TaskState::Failed { .. } => "FAILED",
            TaskState::Killed { .. } => "KILLED",
            TaskState::Parked { .. } => "PARKED",
            TaskState::DispatchFailed { .. } => "DISPATCH_FAILED",
        }
    }

    /// Returns the session, of a running task or still open of a finished one.
    pub fn session(&self) -> Option<&Session> {
        match self {
            TaskState::Running { session, .. }
            | TaskState::Completed { session: Some(session), .. }
            | TaskState::Failed { session: Some(session), .. } => Some(session),
            _ => None,
        }
    }

    /// Returns the session for changing.
    pub fn session_mut(&mut self) -> Option<&mut Session> {
        match self {
            TaskState::Running { session, .. }
            | TaskState::Completed { session: Some(session), .. }
            | TaskState::Failed { session: Some(session), .. } => Some(session),
            _ => None,
        }
    }

    /// Tells whether a worker works for it: what counts against the limits.
    pub fn holds_slot(&self) -> bool {
        matches!(self, TaskState::Dispatched { .. } | TaskState::Running { .. })
    }

    /// Tells whether nothing more will happen unless a person asks.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            TaskState::Completed { .. }
                | TaskState::Failed { .. }
                | TaskState::Killed { .. }
                | TaskState::Parked { .. }
                | TaskState::DispatchFailed { .. }
        )
    }
}

fn stopping(session: &Session, cause: StopCause) -> Session {
    Session { stopping: Some(session.stopping.unwrap_or(cause)), ..session.clone() }
}

/// The end of a session that someone left in good order, which says nothing of the turn: what ran
/// then was cut off by a person, and what had failed before still has.
fn left(session: &Session, at: Timestamp) -> TaskState {
    match session.evidence.turn.as_ref().map(|it| &it.what) {
        Some(Turn::Working) => TaskState::Killed { at, cause: StopCause::Person },
        Some(Turn::Failed { error, message }) => {
            let (error, message) = (error.clone(), message.clone());
            TaskState::Failed { at, reason: FailReason::Turn { error, message }, session: None }
        }
        None | Some(Turn::None | Turn::Ended { .. } | Turn::Interrupted) => {
            TaskState::Completed { at, session: None }
        }
    }
}

/// The end of a session that was told to end.
fn stopped(cause: StopCause, at: Timestamp) -> TaskState {
    match cause {
        StopCause::Person => TaskState::Killed { at, cause },
        StopCause::Parked { why } => TaskState::Parked { at, why },
        StopCause::TimedOut { .. }
        | StopCause::IdleTimedOut { .. }
        | StopCause::OverCeiling { .. } => {
            TaskState::Failed { at, reason: FailReason::Limit { cause }, session: None }
        }
    }
}

impl Transition {
    /// Returns what happens to the task, fit to follow "cannot be".
    pub fn name(&self) -> &'static str {
        match self {
            Transition::Queued => "queued",
            Transition::Held { .. } => "held",
            Transition::Claimed { .. } => "claimed",
            Transition::Launched => "launched",
            Transition::LaunchFailed { .. } => "given up",
            Transition::StopRequested { .. } => "stopped",
            Transition::Finished => "completed",
            Transition::FellShort { .. } => "failed",
            Transition::SessionEnded { .. } => "ended",
            Transition::Reopened => "reopened",
            Transition::Retried => "retried",
        }
    }
}

impl fmt::Display for StopCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StopCause::Person => f.write_str("killed by you"),
            StopCause::TimedOut { limit } => write!(f, "timed out after {}", short(*limit)),
            StopCause::IdleTimedOut { limit } => {
                write!(f, "waited {} for a prompt (idle time-out)", short(*limit))
            }
            StopCause::OverCeiling { scope, spent, ceiling } => over(f, *scope, *spent, *ceiling),
            StopCause::Parked { why } => why.fmt(f),
        }
    }
}

/// Says that a ceiling was reached.
fn over(f: &mut fmt::Formatter<'_>, scope: Scope, spent: Usd, ceiling: Usd) -> fmt::Result {
    let which = match scope {
        Scope::Task => "task ceiling",
        Scope::All => "budget ceiling",
        Scope::Day => "the day's ceiling",
        Scope::Host => "the host's ceiling",
    };
    write!(f, "{which} {ceiling} reached (spent {spent})")
}

impl fmt::Display for ParkCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParkCause::Person => f.write_str("parked by you"),
            ParkCause::OverCeiling { scope, spent, ceiling } => over(f, *scope, *spent, *ceiling),
            ParkCause::LeaseOver { .. } => {
                f.write_str("no dispatcher looked after it, and its lease ran out")
            }
            ParkCause::LeaseSpent { spent, limit } => write!(
                f,
                "it spent {spent} of the {limit} left to it while no dispatcher looked after it"
            ),
        }
    }
}

impl fmt::Display for FailReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FailReason::Exit { code, tail } => {
                match code - 128 {
                    // Sent by the kernel to what runs in a terminal that goes away.
                    1 => f.write_str("claude lost its terminal (signal 1)")?,
                    signal @ (2 | 6 | 9 | 11 | 13 | 15) => {
                        write!(f, "claude was ended by signal {signal}")?;
                    }
                    _ => write!(f, "claude exited with status {code}")?,
                }
                if tail.is_empty() { Ok(()) } else { write!(f, ": {tail}") }
            }
            FailReason::Turn { error, message } => write!(f, "{message} ({error})"),
            FailReason::SessionLost { detail } => write!(f, "the session is gone: {detail}"),
            FailReason::Limit { cause } => cause.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole graph on one screen; the snapshot is the state diagram.
    #[test]
    fn every_edge() {
        let at = Timestamp(0);
        let session = Session::new(1, "c".into(), at);
        let cause = StopCause::Person;
        let reason = FailReason::SessionLost { detail: "d".into() };
        let states = [
            ("", TaskState::Created),
            ("", TaskState::Pending { since: at, reason: None }),
            ("", dispatched(None)),
            ("stopping", dispatched(Some(cause))),
            ("", TaskState::Running { since: at, session: session.clone() }),
            ("stopping", TaskState::Running { since: at, session: stopping(&session, cause) }),
            ("open", TaskState::Completed { at, session: Some(session.clone()) }),
            ("", TaskState::Completed { at, session: None }),
            ("open", TaskState::Failed { at, reason: reason.clone(), session: Some(session) }),
            ("", TaskState::Failed { at, reason: reason.clone(), session: None }),
            ("", TaskState::Killed { at, cause }),
            ("", TaskState::Parked { at, why: ParkCause::Person }),
            ("", TaskState::DispatchFailed { at, reason: "r".into() }),
        ];
        let transitions = [
            Transition::Queued,
            Transition::Held { reason: "r".into() },
            Transition::Claimed { attempt: 1, conversation: "c".into() },
            Transition::Launched,
            Transition::LaunchFailed { reason: "r".into() },
            Transition::StopRequested { cause },
            Transition::StopRequested { cause: StopCause::Parked { why: ParkCause::Person } },
            Transition::Finished,
            Transition::FellShort { reason },
            Transition::SessionEnded { code: Some(0), detail: String::new() },
            Transition::SessionEnded { code: Some(1), detail: String::new() },
            Transition::SessionEnded { code: None, detail: String::new() },
            Transition::Reopened,
            Transition::Retried,
        ];
        let mut out = String::from("\n");
        for (how, state) in &states {
            out += &format!("{} {how}\n", state.name());
            for transition in &transitions {
                if let Ok(next) = state.apply(transition, Timestamp(1)) {
                    let open = if next.session().is_some() { " with a session" } else { "" };
                    out += &format!("    {} -> {}{open}\n", transition.name(), next.name());
                }
            }
        }
        insta::assert_snapshot!(out);
    }

    fn dispatched(stopping: Option<StopCause>) -> TaskState {
        TaskState::Dispatched {
            since: Timestamp(0),
            attempt: 1,
            conversation: "c".into(),
            stopping,
        }
    }

    #[test]
    fn leaving_in_the_middle_of_a_turn_completes_nothing() {
        let at = Timestamp(0);
        let ended = Transition::SessionEnded { code: Some(0), detail: String::new() };
        let after = |turn: Option<Turn>| {
            let mut session = Session::new(1, "c".into(), at);
            session.evidence.turn =
                turn.map(|what| crate::domain::evidence::Seen { at, order: 1, what });
            TaskState::Running { since: at, session }.apply(&ended, at).unwrap().name()
        };
        let failed = Turn::Failed { error: "e".into(), message: "m".into() };
        assert_eq!(after(None), "COMPLETED");
        assert_eq!(after(Some(Turn::Ended { background: 0 })), "COMPLETED");
        assert_eq!(after(Some(Turn::Interrupted)), "COMPLETED");
        assert_eq!(after(Some(Turn::Working)), "KILLED");
        assert_eq!(after(Some(failed)), "FAILED");
    }

    #[test]
    fn a_limit_fails_the_task_and_a_person_kills_it() {
        let at = Timestamp(0);
        let cause = StopCause::TimedOut { limit: Duration::from_secs(60) };
        let running = TaskState::Running { since: at, session: Session::new(1, "c".into(), at) };
        let ended = Transition::SessionEnded { code: Some(143), detail: String::new() };
        let stop = |cause| running.apply(&Transition::StopRequested { cause }, at).unwrap();
        assert_eq!(
            stop(cause).apply(&ended, at),
            Ok(TaskState::Failed { at, reason: FailReason::Limit { cause }, session: None })
        );
        assert_eq!(
            stop(StopCause::Person).apply(&ended, at),
            Ok(TaskState::Killed { at, cause: StopCause::Person })
        );
    }
}
