//! What can be said to what a session asks.

use crate::{
    api::{
        types::Answer,
        view::{AskView, TaskView},
    },
    domain::activity::Activity,
    tui::effect::Request,
};

/// An answer that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What a person reads.
    pub label: String,
    /// What the dispatcher is told.
    pub words: String,
}

/// Returns the answers to choose from, numbered from one as the dispatcher numbers them.
pub fn choices(ask: &AskView) -> Vec<Choice> {
    let of = |list: &[(&str, &str)]| {
        let choice = |it: &(&str, &str)| Choice { label: it.0.to_owned(), words: it.1.to_owned() };
        list.iter().map(choice).collect()
    };
    match ask.kind.as_str() {
        "permission" => of(&[("Allow once", "yes"), ("Deny", "no")]),
        "plan" => of(&[
            ("Approve the plan", "yes"),
            ("Approve it and accept edits from then on", "yes edits"),
            ("Keep planning", "no"),
        ]),
        _ => {
            let numbered = ask.options.iter().enumerate();
            let choice = |(at, it): (usize, &String)| Choice {
                label: it.clone(),
                words: (at + 1).to_string(),
            };
            numbered.map(choice).collect()
        }
    }
}

/// Returns the yes of a question, if it has one.
pub fn yes(ask: &AskView) -> Option<&'static str> {
    matches!(ask.kind.as_str(), "permission" | "plan").then_some("yes")
}

/// Returns the no of a question: any can be refused.
pub fn no(ask: &AskView) -> &'static str {
    if yes(ask).is_some() { "no" } else { "deny" }
}

/// Returns the request that answers with one of the [`choices`].
pub fn chosen(task: &str, ask: &AskView, words: &str) -> Request {
    let answer = Answer { ask: Some(ask.id.clone()), words: words.to_owned(), message: None };
    Request::Answer { id: task.to_owned(), answer }
}

/// Returns the request that answers in a person's own words. Said of a permission or a plan they
/// are the reason of a no.
pub fn in_words(task: &str, ask: &AskView, text: &str) -> Request {
    let (words, message) = match yes(ask) {
        Some(_) => ("no".to_owned(), Some(text.to_owned())),
        None => (text.to_owned(), None),
    };
    let answer = Answer { ask: Some(ask.id.clone()), words, message };
    Request::Answer { id: task.to_owned(), answer }
}

/// Tells whether a task shows a dialog that cannot be answered from outside.
pub fn only_on_screen(task: &TaskView) -> bool {
    task.asks.is_empty()
        && task.session.is_some()
        && task.activity.is_some_and(Activity::needs_person)
}
