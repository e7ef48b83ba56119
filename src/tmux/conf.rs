//! The configuration of our tmux server.

/// What does not depend on settings.
const BASE: &str = include_str!("tmux.conf");

/// The keys that leave a session unless others are set.
pub const DETACH_KEYS: [&str; 2] = ["C-q", "F12"];

/// Returns the configuration file's text, with `detach_keys` (tmux's names) that leave a session
/// at once. Keys that could be anything but the name of a key are left out; if none is left, the
/// usual ones are taken, because a session one cannot leave is a trap.
pub fn conf(detach_keys: &[String]) -> String {
    let mut keys: Vec<&str> =
        detach_keys.iter().map(String::as_str).filter(|it| is_key(it)).collect();
    if keys.is_empty() {
        keys = DETACH_KEYS.to_vec();
    }
    let mut text = BASE.to_owned();
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
        let text = conf(&keys);
        let binds: Vec<&str> = text.lines().filter(|it| it.starts_with("bind")).collect();
        assert_eq!(binds, ["bind -n 'C-]' detach-client", "bind -n 'F5' detach-client"]);
        assert!(text.contains("\"C-] or F5 leaves; the task keeps running \""));
        assert!(conf(&["x".into()]).contains("bind -n 'C-q' detach-client"));
    }
}
