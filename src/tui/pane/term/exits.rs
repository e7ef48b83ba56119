//! How to leave an attached session, in words that hold where this dashboard runs.

use crate::{
    tui::{
        effect::TermKind,
        keymap::{self, Action},
        model::Shared,
    },
    vt::input::Key,
};

/// Returns the ways out that work here, the best first.
///
/// Keys that something around us takes for itself are left out: the prefix of a tmux outside, and
/// Ctrl+Q in the terminals of editors.
pub fn exits(shared: &Shared, kind: TermKind) -> Vec<String> {
    let facts = &shared.facts;
    let keys = shared.look.keymap.keys(Action::Leave);
    let prefix = facts.outer_prefix.as_deref().filter(|_| facts.in_tmux);
    let eaten = |key: &Key| {
        let taken = prefix.and_then(keymap::parse).is_some_and(|it| it == *key);
        taken || (is_editor(facts.term_program.as_deref()) && *key == Key::ctrl('q'))
    };
    let mut ways: Vec<String> = keys.iter().filter(|it| !eaten(it)).map(keymap::show).collect();
    ways.truncate(2);
    if ways.len() < 2 {
        match kind {
            TermKind::Shell => ways.push("exit".to_owned()),
            // Our own tmux keeps the usual prefix, unless the one outside takes it.
            _ if prefix != Some("ctrl-b") => ways.push("Ctrl+B d".to_owned()),
            _ => (),
        }
    }
    ways
}

fn is_editor(program: Option<&str>) -> bool {
    program.is_some_and(|it| matches!(it.to_ascii_lowercase().as_str(), "vscode" | "cursor"))
}
