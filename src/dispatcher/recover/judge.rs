//! What can be brought back of a task, and how: pure.

use crate::{
    api::checkpoints::{CheckpointView, Piece, Recovery, Way, WayDoes},
    dispatcher::recover::look::Sight,
    domain::{
        checkpoint::Checkpoint,
        state::{Contact, FailReason, StopCause, TaskState},
        task::Task,
    },
    stdx::{
        text::one_line,
        time::{Timestamp, short},
    },
};

/// The longest reason told, in characters.
const TOLD_MAX: usize = 300;

/// What is known of a task.
pub struct Known<'a> {
    /// The task.
    pub task: &'a Task,
    /// What a look at its host found, or why there was none.
    pub sight: Result<Sight, String>,
    /// Its newest whole checkpoint.
    pub last: Option<&'a Checkpoint>,
}

/// Says what is known.
struct Words<'a> {
    known: &'a Known<'a>,
    now: Timestamp,
}

/// How a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It never was.
    Never,
    /// It is there.
    There,
    /// It is gone; whether the checkpoint has it.
    Gone { saved: bool },
    /// The host does not tell.
    Unknown,
}

impl State {
    fn is_missing(self) -> bool {
        matches!(self, State::Gone { .. })
    }

    fn is_ok(self) -> bool {
        matches!(self, State::There | State::Gone { saved: true })
    }
}

impl Known<'_> {
    /// Says what happened, what is there, and what can be done, the recommended way first.
    pub fn recovery(&self, now: Timestamp) -> Recovery {
        let words = Words { known: self, now };
        Recovery {
            task: self.task.id.to_string(),
            reason: one_line(&words.reason(), TOLD_MAX),
            last: self.last.map(CheckpointView::from),
            pieces: words.pieces(),
            ways: words.ways(),
        }
    }

    /// Tells whether the workspace has to be put back.
    pub fn lacks_workspace(&self) -> bool {
        self.workspace().is_missing()
    }

    /// Tells whether the conversation has to be put back.
    pub fn lacks_conversation(&self) -> bool {
        self.conversation().is_missing()
    }

    fn workspace(&self) -> State {
        let place = self.task.place.as_ref();
        if place.is_none_or(|it| it.workspace.is_none()) {
            return State::Never;
        }
        let Ok(sight) = &self.sight else { return State::Unknown };
        let had_files = self.last.is_some_and(|it| 0 < it.files);
        let own = place.is_some_and(|it| it.branch.is_some());
        let gone = !sight.workspace || sight.empty && (had_files || own);
        if gone { State::Gone { saved: self.last.is_some() } } else { State::There }
    }

    fn conversation(&self) -> State {
        let Some(id) = &self.task.conversation else { return State::Never };
        let Ok(sight) = &self.sight else { return State::Unknown };
        if sight.written {
            return State::There;
        }
        let saved = self.last.is_some_and(|it| it.conversation.as_ref() == Some(id));
        State::Gone { saved }
    }

    fn branch(&self) -> State {
        let place = self.task.place.as_ref();
        if place.is_none_or(|it| it.branch.is_none()) {
            return State::Never;
        }
        let Ok(sight) = &self.sight else { return State::Unknown };
        // A clone has its branch in itself.
        if sight.branch || sight.linked {
            return State::There;
        }
        State::Gone { saved: self.last.is_some_and(|it| it.head.is_some()) }
    }
}

impl Words<'_> {
    fn ago(&self, at: Timestamp) -> String {
        format!("{} ago", short(self.now.since(at)))
    }

    fn reason(&self) -> String {
        if let Some(session) = self.known.task.state.session() {
            return match (session.contact, session.stopping) {
                (Contact::Unreachable { since }, _) => {
                    format!("its host has not answered for {}", short(self.now.since(since)))
                }
                (Contact::Reachable, Some(cause)) => format!("it is being ended: {cause}"),
                (Contact::Reachable, None) => "nothing happened: its session is open".into(),
            };
        }
        match &self.known.task.state {
            TaskState::Created | TaskState::Pending { reason: None, .. } => "it is queued".into(),
            TaskState::Pending { reason: Some(reason), .. } => format!("it is queued: {reason}"),
            TaskState::Dispatched { .. } => "it is being dispatched".into(),
            TaskState::Running { .. } => "it runs".into(),
            TaskState::Completed { at, .. } => {
                format!("it was completed {} and its session has ended", self.ago(*at))
            }
            TaskState::Failed { at, reason: FailReason::SessionLost { detail }, .. } => {
                format!("the session was lost {}: {detail}", self.ago(*at))
            }
            TaskState::Failed { at, reason, .. } => {
                format!("it failed {}: {reason}", self.ago(*at))
            }
            TaskState::Killed { at, cause: StopCause::Person } => {
                format!("it was killed by a person {}", self.ago(*at))
            }
            TaskState::Killed { at, cause } => format!("it was ended {}: {cause}", self.ago(*at)),
            TaskState::Parked { at, why } => format!("it was parked {}: {why}", self.ago(*at)),
            TaskState::DispatchFailed { at, reason } => {
                format!("it could not be dispatched {}: {reason}", self.ago(*at))
            }
        }
    }

    fn pieces(&self) -> Vec<Piece> {
        let mut pieces = vec![self.session()];
        let states = [
            ("workspace", self.known.workspace(), "none was made"),
            ("conversation", self.known.conversation(), "none was begun"),
            ("branch", self.known.branch(), "none of its own"),
        ];
        for (name, state, never) in states {
            // Not every task has a branch; every one had the others, or has nothing to go on with.
            let ok = state.is_ok() || name == "branch" && state == State::Never;
            let name = name.to_owned();
            pieces.push(Piece { name, state: self.words(state, never), ok });
        }
        let usage = &self.known.task.usage;
        let turns = if usage.turns == 1 { "turn" } else { "turns" };
        pieces.push(Piece {
            name: "cost".into(),
            state: format!("{} for {} {turns}, goes on from there", usage.model, usage.turns),
            ok: true,
        });
        pieces
    }

    fn session(&self) -> Piece {
        let (state, ok) = match self.known.task.state.session().map(|it| it.contact) {
            None => ("gone", false),
            Some(Contact::Reachable) => ("there", true),
            Some(Contact::Unreachable { .. }) => ("not known: its host does not answer", false),
        };
        Piece { name: "session".into(), state: state.into(), ok }
    }

    fn words(&self, state: State, never: &str) -> String {
        match (state, self.known.last, &self.known.sight) {
            (State::Never, ..) => never.to_owned(),
            (State::There, ..) => "there".into(),
            (State::Gone { saved: true }, Some(last), _) => {
                format!("gone, in {}", self.named(last))
            }
            (State::Gone { .. }, ..) => "gone, and in no checkpoint".into(),
            (State::Unknown, _, Err(why)) => format!("not known: {}", one_line(why, TOLD_MAX)),
            (State::Unknown, ..) => "not known".into(),
        }
    }

    fn ways(&self) -> Vec<Way> {
        let way = |does, text: String| Way { does, text, checkpoint: None };
        let wait = |text: &str| vec![way(WayDoes::Wait, text.to_owned())];
        if let Some(session) = self.known.task.state.session() {
            return match (session.contact, session.stopping) {
                (Contact::Unreachable { .. }, _) => {
                    wait("wait until its host answers again: the session may well be alive there")
                }
                (Contact::Reachable, Some(_)) => wait("wait until its session has ended"),
                (Contact::Reachable, None) => {
                    vec![way(WayDoes::Attach, "attach to its session, which is alive".into())]
                }
            };
        }
        if !self.known.task.state.is_final() {
            return wait("wait until it is dispatched");
        }
        if self.known.sight.is_err() {
            return wait("wait until its host answers again: its files are there");
        }
        self.ways_back()
    }

    /// The ways back of a task whose session is over and whose host answers.
    fn ways_back(&self) -> Vec<Way> {
        let (workspace, conversation) = (self.known.workspace(), self.known.conversation());
        let mut ways = Vec::new();
        let missing = match (workspace.is_missing(), conversation.is_missing()) {
            (true, true) => Some("the workspace and the conversation"),
            (true, false) => Some("the workspace"),
            (false, true) => Some("the conversation"),
            (false, false) => None,
        };
        match (missing, conversation, self.known.last) {
            (None, State::There, _) => ways.push(Way {
                does: WayDoes::Resume,
                text: "go on with its conversation, in its workspace as it is".into(),
                checkpoint: None,
            }),
            (Some(what), State::There | State::Gone { saved: true }, Some(last)) => {
                ways.push(Way {
                    does: WayDoes::RestoreResume,
                    text: format!(
                        "put back {what} from {}, then go on with its conversation",
                        self.named(last)
                    ),
                    checkpoint: None,
                });
            }
            (Some(_), State::There, None) if self.known.branch() != State::Never => {
                ways.push(Way {
                    does: WayDoes::Resume,
                    text: "go on with its conversation, in a new work tree on its branch".into(),
                    checkpoint: None,
                })
            }
            _ => (),
        }
        if let Some(last) =
            self.known.last.filter(|it| it.conversation.is_some() && missing.is_none())
        {
            ways.push(Way {
                does: WayDoes::RestoreResume,
                text: format!(
                    "go back to {}: workspace and conversation as they were then",
                    self.named(last)
                ),
                checkpoint: Some(last.id.to_string()),
            });
        }
        ways.push(Way {
            does: WayDoes::Fresh,
            text: "begin again with its prompt, without the conversation".into(),
            checkpoint: None,
        });
        ways
    }

    fn named(&self, checkpoint: &Checkpoint) -> String {
        format!("{} ({})", checkpoint.id, self.ago(checkpoint.at))
    }
}

#[cfg(test)]
mod tests;
