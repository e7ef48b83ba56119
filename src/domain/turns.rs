//! The turns of a task, told by its events: who asked what, when, and how it ended.
//!
//! A turn lasts until the next one begins, as far as money is concerned: Claude says what a turn
//! cost a moment after it ended. What it says within that moment after the next prompt counts for
//! the next turn, since its figure is a running total.

use std::collections::{VecDeque, vec_deque};

use crate::{
    domain::{
        event::EventBody,
        evidence::{Evidence, Observation, Turn as Stand},
    },
    stdx::time::Timestamp,
};

/// Turns that are kept, the newest; of earlier ones only the number.
pub const TURNS_MAX: usize = 1000;

/// The longest that is kept of what was asked, in bytes.
const ASKED_MAX: usize = 400;

/// The kinds of events that tell of turns.
pub const KINDS: &[&str] = &["dispatched", "observed", "session-ended"];

/// The observations that tell of turns, by the words they are stored under.
pub const SEEN: &[&str] =
    &["conversation-started", "prompt-submitted", "turn-ended", "turn-failed", "registry"];

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself.
    Done,
    /// By a failure of the API.
    Failed,
    /// By a person: Escape, or a No in a dialog.
    Interrupted,
    /// With its session or its conversation.
    CutOff,
}

impl End {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            End::Done => "done",
            End::Failed => "failed",
            End::Interrupted => "interrupted",
            End::CutOff => "cut off",
        }
    }
}

/// A turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Its number in the task, from 1 on.
    pub number: u64,
    /// The launch.
    pub attempt: u32,
    /// When its prompt was submitted, or the turn before it ended if the prompt waited.
    pub began: Timestamp,
    /// When and how it ended; nothing while it runs.
    pub ended: Option<(Timestamp, End)>,
    /// The first line of what was asked.
    pub asked: String,
    /// Whether Claude asked itself, as at the end of a background task.
    pub injected: bool,
}

/// The turns of one task.
#[derive(Debug, Default)]
pub struct Turns {
    evidence: Evidence,
    attempt: u32,
    kept: VecDeque<Turn>,
    earlier: u64,
    /// What was asked while a turn ran, of the turn to come.
    waits: Option<(String, bool)>,
}

impl Turns {
    /// Takes in the next event of the task; those that tell nothing of turns may be left out.
    pub fn take(&mut self, body: &EventBody, at: Timestamp) {
        match body {
            EventBody::Dispatched { attempt, .. } => {
                self.end(End::CutOff, at);
                (self.evidence, self.waits) = (Evidence::default(), None);
                self.attempt = *attempt;
            }
            EventBody::SessionEnded { ended_at, .. } => {
                self.end(End::CutOff, ended_at.unwrap_or(at));
            }
            EventBody::Observed { observation } => self.observe(observation, at),
            _ => (),
        }
    }

    fn observe(&mut self, observation: &Observation, at: Timestamp) {
        self.evidence.observe(observation, at);
        let works = self.stands() == Some(&Stand::Working);
        match observation {
            Observation::PromptSubmitted { head, injected, .. } if self.evidence.queued => {
                let asked = match self.waits.take() {
                    Some((before, by_claude)) => (joined(before, head), by_claude && *injected),
                    None => (head.clone(), *injected),
                };
                self.waits = Some(asked);
            }
            Observation::PromptSubmitted { head, injected, .. } => {
                self.end(End::CutOff, at);
                self.begin(head.clone(), *injected, at);
            }
            Observation::TurnEnded { .. } => {
                self.end(End::Done, at);
                if works {
                    let (asked, injected) = self.waits.take().unwrap_or_default();
                    self.begin(asked, injected, at);
                }
            }
            Observation::TurnFailed { .. } => self.end(End::Failed, at),
            Observation::Registry { .. } if self.stands() == Some(&Stand::Interrupted) => {
                self.end(End::Interrupted, at);
            }
            Observation::ConversationStarted { .. } if !works => self.end(End::CutOff, at),
            _ => (),
        }
    }

    fn stands(&self) -> Option<&Stand> {
        self.evidence.turn.as_ref().map(|it| &it.what)
    }

    fn begin(&mut self, asked: String, injected: bool, at: Timestamp) {
        if TURNS_MAX <= self.kept.len() {
            self.kept.pop_front();
            self.earlier += 1;
        }
        // A clock that was turned back makes no turn begin before the one before it.
        let began = self.kept.back().map_or(at, |it| at.max(it.began));
        let number = self.earlier + self.kept.len() as u64 + 1;
        let attempt = self.attempt;
        self.kept.push_back(Turn { number, attempt, began, ended: None, asked, injected });
    }

    /// Ends the turn that runs. The hook that says that one ended by itself may come after the
    /// registry's word that Claude waits.
    fn end(&mut self, how: End, at: Timestamp) {
        let Some(turn) = self.kept.back_mut() else { return };
        let better = how != End::CutOff && matches!(turn.ended, Some((_, End::Interrupted)));
        if turn.ended.is_none() || better {
            turn.ended = Some((at.max(turn.began), how));
        }
    }

    /// Returns the turns that are kept, the oldest first.
    pub fn kept(&self) -> vec_deque::Iter<'_, Turn> {
        self.kept.iter()
    }

    /// Returns how many there were before those.
    pub fn earlier(&self) -> u64 {
        self.earlier
    }

    /// Returns the turn that something belongs to which was entered at `at`, by its place among
    /// those that are kept; nothing if it was entered before all of them. What was entered with a
    /// prompt, as by a dispatcher that was away and reads all at once, belongs to that prompt.
    pub fn owner(&self, at: Timestamp) -> Option<usize> {
        self.kept.partition_point(|it| it.began <= at).checked_sub(1)
    }
}

fn joined(before: String, head: &str) -> String {
    if ASKED_MAX < before.len() + head.len() { before } else { format!("{before} + {head}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        evidence::{Registry, RegistryStatus},
        ids::WorkerId,
        usd::Usd,
    };

    fn seen(observation: Observation) -> EventBody {
        EventBody::Observed { observation }
    }

    fn asks(head: &str, id: &str) -> EventBody {
        seen(Observation::PromptSubmitted {
            head: head.into(),
            bytes: 1,
            injected: head.starts_with('<'),
            id: Some(id.into()),
        })
    }

    fn ends(id: &str) -> EventBody {
        let (background, message) = (0, "Done.".into());
        seen(Observation::TurnEnded { background, message, id: Some(id.into()) })
    }

    fn says(status: RegistryStatus, at: i64) -> EventBody {
        let registry =
            Registry { status, waiting_for: None, conversation: None, updated_at: Some(at) };
        seen(Observation::Registry { registry })
    }

    fn starts(attempt: u32) -> EventBody {
        EventBody::Dispatched {
            worker: WorkerId::random(),
            provider: "local".into(),
            attempt,
            conversation: "c".into(),
            prices: Vec::new(),
            reserved: Usd::ZERO,
        }
    }

    fn leaves() -> EventBody {
        EventBody::SessionEnded { code: None, detail: String::new(), ended_at: None }
    }

    /// Returns the turns of events that come ten milliseconds after each other.
    fn of(events: &[EventBody]) -> Turns {
        let mut turns = Turns::default();
        for (event, at) in events.iter().zip((10..).step_by(10)) {
            turns.take(event, Timestamp(at));
        }
        turns
    }

    /// Returns each turn as what was asked, when it began, and when and how it ended.
    fn told(turns: &Turns) -> Vec<String> {
        let told = |it: &Turn| {
            let ended =
                it.ended.map_or("runs".into(), |(at, how)| format!("{} {}", at.0, how.as_str()));
            format!("{}: {} to {ended}", it.asked, it.began.0)
        };
        turns.kept().map(told).collect()
    }

    #[test]
    fn a_prompt_begins_a_turn_and_its_end_is_told() {
        let failed = Observation::TurnFailed { error: "overloaded".into(), message: "529".into() };
        let turns = of(&[
            starts(1),
            asks("one", "a"),
            ends("a"),
            asks("two", "b"),
            seen(failed),
            asks("three", "c"),
            says(RegistryStatus::Busy, 1),
            says(RegistryStatus::Idle, 2),
            asks("four", "d"),
            leaves(),
            starts(2),
            asks("<task-notification>", "e"),
        ]);
        assert_eq!(
            told(&turns),
            [
                "one: 20 to 30 done",
                "two: 40 to 50 failed",
                "three: 60 to 80 interrupted",
                "four: 90 to 100 cut off",
                "<task-notification>: 120 to runs",
            ]
        );
        let last = turns.kept().last().unwrap();
        assert_eq!((last.number, last.attempt, last.injected), (5, 2, true));
    }

    #[test]
    fn what_waits_for_a_turn_to_end_begins_the_next() {
        let turns = of(&[
            starts(1),
            asks("one", "a"),
            asks("two", "a"),
            asks("three", "a"),
            ends("a"),
            ends("b"),
        ]);
        assert_eq!(told(&turns), ["one: 20 to 50 done", "two + three: 50 to 60 done"]);
    }

    #[test]
    fn a_hook_says_better_than_the_registry_how_it_ended() {
        let turns = of(&[
            asks("one", "a"),
            says(RegistryStatus::Busy, 1),
            says(RegistryStatus::Idle, 2),
            ends("a"),
        ]);
        assert_eq!(told(&turns), ["one: 10 to 40 done"]);
    }

    #[test]
    fn what_is_said_until_the_next_prompt_belongs_to_a_turn() {
        let turns = of(&[asks("one", "a"), ends("a"), asks("two", "b")]);
        let owners: Vec<_> = [5, 10, 11, 25, 30, 99].map(|it| turns.owner(Timestamp(it))).into();
        assert_eq!(owners, [None, Some(0), Some(0), Some(0), Some(1), Some(1)]);
    }

    #[test]
    fn a_clock_that_is_turned_back_leaves_turns_in_order() {
        let mut turns = Turns::default();
        for (id, at) in [("a", 1000), ("b", 400), ("c", 1200)] {
            turns.take(&asks(id, id), Timestamp(at));
            turns.take(&ends(id), Timestamp(at + 1));
        }
        let began: Vec<i64> = turns.kept().map(|it| it.began.0).collect();
        assert_eq!(began, [1000, 1000, 1200]);
    }

    #[test]
    fn of_many_turns_the_newest_are_kept() {
        let mut turns = Turns::default();
        for number in 1..=TURNS_MAX as i64 + 5 {
            turns.take(&asks(&number.to_string(), &number.to_string()), Timestamp(number));
        }
        assert_eq!((turns.kept().count(), turns.earlier()), (TURNS_MAX, 5));
        assert_eq!(turns.kept().next().map(|it| it.number), Some(6));
        assert_eq!(turns.kept().last().map(|it| it.number), Some(TURNS_MAX as u64 + 5));
    }

    #[test]
    fn the_words_that_are_looked_for_are_those_that_are_stored() {
        let stored = |it: &EventBody| serde_json::to_value(it).unwrap();
        let failed = Observation::TurnFailed { error: String::new(), message: String::new() };
        let source = "startup".into();
        let (conversation, transcript) = ("c".into(), None);
        let started = Observation::ConversationStarted { source, conversation, transcript };
        let all =
            [seen(started), asks("", ""), ends(""), seen(failed), says(RegistryStatus::Idle, 0)];
        for (event, word) in all.iter().zip(SEEN) {
            assert_eq!(stored(event)["observation"]["seen"], *word);
            assert!(KINDS.contains(&event.kind()));
        }
        assert!(KINDS.contains(&starts(1).kind()) && KINDS.contains(&leaves().kind()));
    }
}
