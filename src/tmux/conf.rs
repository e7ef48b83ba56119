//! The configuration of our tmux server.

/// What does not depend on settings.
const BASE: &str = include_str!("tmux.conf");

/// The keys that leave a session unless others are set.
pub const DETACH_KEYS: [&str; 2] = ["C-q", "F12"];

/// Whether programs in sessions may set the clipboard of whoever is attached (OSC 52).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clipboard {
    /// They may: what they ask for is passed on to every attached terminal.
    Open,
    /// They may not.
    Closed,
}

impl Clipboard {
    /// Returns what a setting means.
    pub fn allowed(allowed: bool) -> Clipboard {
        if allowed { Clipboard::Open } else { Clipboard::Closed }
    }

    /// Returns the value of tmux's `set-clipboard`.
    pub fn option(self) -> &'static str {
        match self {
            Clipboard::Open => "on",
            Clipboard::Closed => "off",
        }
    }
}

/// Returns the configuration file's text, with `detach_keys` (tmux's names) that leave a session
/// at once. Keys that could be anything but the name of a key are left out; if none is left, the
/// usual ones are taken, because a session one cannot leave is a trap.
pub fn conf(detach_keys: &[String], clipboard: Clipboard) -> String {
    let mut keys: Vec<&str> =
        detach_keys.iter().map(String::as_str).filter(|it| is_key(it)).collect();
    if keys.is_empty() {
        keys = DETACH_KEYS.to_vec();
    }
    let mut text = BASE.to_owned();
    text.push_str(&format!("set -sgq set-clipboard {}\n", clipboard.option()));
    for key in &keys {
        text.push_str(&format!("bind -n '{key}' detach-client\n"));
    }
    let hint = keys.join(" or ");
    text.push_str(&format!("set -gq status-right \"{hint} leaves; the task keeps running \"\n"));
    text
}

/// Whether `text` has the form of a key's name: modifiers and one word or one character.
fn is_key(text: &str) -> bool {
    let bare = ["C-", "M-", "S-"].iter().fold(text, |it, prefix| it.trim_start_matches(prefix));
    let named = 2 <= bare.len() && bare.chars().all(|it| it.is_ascii_alphanumeric());
    let single =
        bare.len() == 1 && bare.chars().all(|it| it.is_ascii_alphanumeric() || "]^_".contains(it));
    // A plain letter would leave whenever it is typed.
    named || (single && bare.len() != text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_no_keys_are_left_out() {
        let keys = ["C-]", "q", "F5", "C-q' ; kill-server", "#{x}", ""].map(str::to_owned);
        let text = conf(&keys, Clipboard::Closed);
        let binds: Vec<&str> = text.lines().filter(|it| it.starts_with("bind")).collect();
        assert_eq!(binds, ["bind -n 'C-]' detach-client", "bind -n 'F5' detach-client"]);
        assert!(text.contains("\"C-] or F5 leaves; the task keeps running \""));
        assert!(conf(&["x".into()], Clipboard::Closed).contains("bind -n 'C-q' detach-client"));
    }
}
