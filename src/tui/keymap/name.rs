//! Names of keys: as they are written in the configuration, and as they are shown.

use crate::vt::input::{Code, Key, Mods, Phase};

/// Reads a key's name: `q`, `Q`, `ctrl-q`, `Ctrl+Q`, `C-q`, `alt-enter`, `f12`, `space`.
pub fn parse(name: &str) -> Option<Key> {
    let mut mods = Mods::NONE;
    let mut rest = name;
    while let Some((head, tail)) = split(rest) {
        match head.to_ascii_lowercase().as_str() {
            "ctrl" | "c" => mods.ctrl = true,
            "alt" | "m" => mods.alt = true,
            "shift" | "s" => mods.shift = true,
            "super" | "cmd" => mods.logo = true,
            _ => return None,
        }
        rest = tail;
    }
    let mut chars = rest.chars();
    let code = match (chars.next(), chars.next()) {
        (Some(c), None) => Code::Char(c),
        _ => named(&rest.to_ascii_lowercase())?,
    };
    Some(plain(&Key { code, mods, phase: Phase::Press }))
}

/// Takes a modifier off the front; `-` and `+` alone are keys.
fn split(text: &str) -> Option<(&str, &str)> {
    text.split_once(['-', '+']).filter(|(head, tail)| !head.is_empty() && !tail.is_empty())
}

/// Returns the one form that a key has in the tables, however it was reported.
pub(super) fn plain(key: &Key) -> Key {
    let mut key = Key { phase: Phase::Press, ..*key };
    match key.code {
        // With Ctrl, terminals report a letter in either case.
        Code::Char(c) if key.mods.ctrl && c.is_ascii_uppercase() => {
            key.code = Code::Char(c.to_ascii_lowercase());
            key.mods.shift = false;
        }
        Code::Tab if key.mods.shift => {
            key.code = Code::BackTab;
            key.mods.shift = false;
        }
        Code::BackTab => key.mods.shift = false,
        // Shift alone made another character of it; with Ctrl, Shift only says which.
        Code::Char(c) if key.mods.shift => {
            let upper = c.is_ascii_lowercase() && key.mods == Mods::SHIFT;
            key.code = Code::Char(if upper { c.to_ascii_uppercase() } else { c });
            key.mods.shift = false;
        }
        _ => (),
    }
    key
}

/// The words for keys, and how they are shown.
const WORDS: &[(&str, Code, &str)] = &[
    ("enter", Code::Enter, "Enter"),
    ("tab", Code::Tab, "Tab"),
    ("backtab", Code::BackTab, "Shift+Tab"),
    ("backspace", Code::Backspace, "Backspace"),
    ("esc", Code::Esc, "Esc"),
    ("space", Code::Char(' '), "Space"),
    ("insert", Code::Insert, "Insert"),
    ("delete", Code::Delete, "Delete"),
    ("home", Code::Home, "Home"),
    ("end", Code::End, "End"),
    ("pageup", Code::PageUp, "PgUp"),
    ("pagedown", Code::PageDown, "PgDn"),
    ("up", Code::Up, "Up"),
    ("down", Code::Down, "Down"),
    ("left", Code::Left, "Left"),
    ("right", Code::Right, "Right"),
    ("return", Code::Enter, "Enter"),
    ("escape", Code::Esc, "Esc"),
    ("pgup", Code::PageUp, "PgUp"),
    ("pgdn", Code::PageDown, "PgDn"),
    ("minus", Code::Char('-'), "-"),
    ("plus", Code::Char('+'), "+"),
];

fn named(word: &str) -> Option<Code> {
    if let Some(found) = WORDS.iter().find(|it| it.0 == word) {
        return Some(found.1);
    }
    let number = word.strip_prefix('f')?.parse().ok();
    Some(Code::F(number.filter(|it| (1..=35).contains(it))?))
}

/// Returns a key's name as a person reads it: `Ctrl+Q`, `Enter`, `F12`, `Space`, `G`.
pub fn show(key: &Key) -> String {
    let mut name = String::new();
    for (on, word) in [
        (key.mods.ctrl, "Ctrl+"),
        (key.mods.alt, "Alt+"),
        (key.mods.shift, "Shift+"),
        (key.mods.logo, "Super+"),
    ] {
        name.push_str(if on { word } else { "" });
    }
    match (WORDS.iter().find(|it| it.1 == key.code), key.code) {
        (Some(found), _) => name.push_str(found.2),
        (None, Code::F(number)) => name.push_str(&format!("F{number}")),
        (None, Code::Char(c)) if key.mods.ctrl => name.extend(c.to_uppercase()),
        (None, Code::Char(c)) => name.push(c),
        (None, _) => (),
    }
    name
}
