//! Keys that never reach the dashboard because something around it takes them.

use crate::{
    tui::{keymap::parse, model::look::Facts},
    vt::input::{Code, Key},
};

/// Returns who takes a key before the dashboard sees it, as far as that is known.
pub fn taken(key: &Key, facts: &Facts) -> Option<&'static str> {
    let prefix = facts.outer_prefix.as_deref().filter(|_| facts.in_tmux).and_then(parse);
    if prefix.is_some_and(|it| it == *key) {
        return Some("the prefix of the tmux around it");
    }
    let program = facts.term_program.as_deref().unwrap_or_default();
    let ctrl = |letters: &str| matches!(key.code, Code::Char(c) if key.mods.ctrl && !key.mods.alt && letters.contains(c));
    match program.to_ascii_lowercase().as_str() {
        "vscode" | "cursor" if ctrl("qpnw") || key.code == Code::F(1) => {
            Some("the editor takes it unless it is told to send it on")
        }
        "apple_terminal" | "iterm.app" if matches!(key.code, Code::F(_)) => {
            Some("hold Fn with it unless function keys are set as such")
        }
        "apple_terminal" if key.mods.alt => {
            Some("Option types characters unless it is set as Meta")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_around_takes_its_keys() {
        let facts = |program: &str, prefix: &str| Facts {
            in_tmux: true,
            outer_prefix: Some(prefix.to_owned()),
            term_program: Some(program.to_owned()),
            ..Facts::default()
        };
        for (key, program, prefix, is_taken) in [
            ("ctrl-q", "xterm", "ctrl-b", false),
            ("ctrl-q", "vscode", "ctrl-b", true),
            ("ctrl-q", "xterm", "ctrl-q", true),
            ("q", "vscode", "ctrl-b", false),
            ("f12", "Apple_Terminal", "ctrl-b", true),
            ("ctrl-alt-n", "Apple_Terminal", "ctrl-b", true),
            ("ctrl-alt-n", "vscode", "nonsense-key", false),
        ] {
            let key = parse(key).expect("a key");
            assert_eq!(taken(&key, &facts(program, prefix)).is_some(), is_taken, "{key:?}");
        }
        let outside = Facts { in_tmux: false, ..facts("xterm", "ctrl-q") };
        assert_eq!(taken(&Key::ctrl('q'), &outside), None);
    }
}
