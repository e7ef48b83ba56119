//! What a session asks of a person.

use serde::{Deserialize, Serialize};

/// What sort of answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AskKind {
    /// May a tool run?
    Permission,
    /// A multiple-choice question.
    Question,
    /// May the plan be carried out?
    Plan,
}

impl AskKind {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            AskKind::Permission => "permission",
            AskKind::Question => "question",
            AskKind::Plan => "plan",
        }
    }
}

/// One open question of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Names the waiting hook that can take the answer; unique within the session.
    pub id: String,
    /// What sort of answer is wanted.
    pub kind: AskKind,
    /// The tool that wants to run.
    pub tool: String,
    /// What it wants to do, one line.
    pub summary: String,
    /// The choices of a question, in the order shown; empty otherwise.
    pub options: Vec<String>,
    /// The subagent that asks, if it is not the main conversation.
    pub agent: Option<String>,
}
