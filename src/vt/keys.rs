//! Keys into the bytes a terminal sends for them.
//!
//! By xterm's rules (ctlseqs, "PC-Style Function Keys" and "modifyOtherKeys"), and by kitty's
//! keyboard protocol where the program switched it on (its flags 1, 2 and 8).

use crate::vt::{
    input::{Code, Key, Mods, Phase},
    screen::Modes,
};

/// Kitty: keys that would be ambiguous are told as `CSI u`.
const DISAMBIGUATE: u8 = 1;
/// Kitty: repeats and releases are told too.
const EVENTS: u8 = 2;
/// Kitty: every key is told as `CSI u`, also plain characters.
const ALL_AS_ESCAPES: u8 = 8;

/// Returns the bytes that tell a key to a program in these modes; none if there is nothing to
/// tell, as for a release that was not asked for.
pub fn encode(key: &Key, modes: &Modes) -> Vec<u8> {
    if key.phase == Phase::Release && modes.kitty & EVENTS == 0 {
        return Vec::new();
    }
    if modes.kitty & (DISAMBIGUATE | ALL_AS_ESCAPES) != 0 {
        return kitty(key, modes);
    }
    // Only function keys have a form that tells that they came up.
    if key.phase == Phase::Release && named(key.code).is_none() {
        return Vec::new();
    }
    match key.code {
        Code::Char(c) => char_legacy(c, key.mods, modes),
        Code::Enter | Code::Tab | Code::Backspace | Code::Esc | Code::BackTab => {
            control(key.code, key.mods, modes)
        }
        _ => function(key, modes),
    }
}

/// Returns the number by which xterm and kitty name what is held down, less one.
fn held(mods: Mods) -> u8 {
    u8::from(mods.shift)
        | u8::from(mods.alt) << 1
        | u8::from(mods.ctrl) << 2
        | u8::from(mods.logo) << 3
}

/// Returns xterm's form for a key of which the program asked to be told with what is held down.
fn other_key(number: u32, mods: Mods) -> Vec<u8> {
    format!("\x1b[27;{};{number}~", held(mods) + 1).into_bytes()
}

fn char_legacy(c: char, mods: Mods, modes: &Modes) -> Vec<u8> {
    // At level 2 nothing that has another form is told by a control character or by Escape.
    if modes.modify_other_keys == 2 && (mods.ctrl || mods.alt || mods.logo) {
        return other_key(u32::from(c), mods);
    }
    let mut bytes = Vec::new();
    if mods.alt {
        bytes.push(0x1b);
    }
    match (mods.ctrl, ctrl_byte(c)) {
        (true, Some(it)) => bytes.push(it),
        (true, None) if 0 < modes.modify_other_keys => {
            return other_key(u32::from(c), mods);
        }
        _ => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
    bytes
}

/// Returns the control character that Ctrl makes of a character, if it makes one.
fn ctrl_byte(c: char) -> Option<u8> {
    Some(match c {
        'a'..='z' | 'A'..='Z' => u8::try_from(c).ok()? & 0x1f,
        ' ' | '@' | '2' => 0,
        '[' | '3' => 0x1b,
        '\\' | '4' => 0x1c,
        ']' | '5' => 0x1d,
        '^' | '6' | '~' => 0x1e,
        '_' | '7' | '/' | '-' => 0x1f,
        '?' | '8' => 0x7f,
        _ => return None,
    })
}

fn control(code: Code, mods: Mods, modes: &Modes) -> Vec<u8> {
    let number: u8 = match code {
        Code::Enter => 13,
        Code::Tab | Code::BackTab => 9,
        Code::Esc => 27,
        _ => 127,
    };
    let shift = mods.shift || code == Code::BackTab;
    let told = match modes.modify_other_keys {
        0 => false,
        // Shift+Tab and Ctrl+Backspace have forms of their own, which every program knows.
        1 => (mods.ctrl && code != Code::Backspace) || (mods.shift && number != 9),
        _ => mods.ctrl || mods.alt || mods.logo || (shift && number != 9),
    };
    if told {
        return other_key(number.into(), Mods { shift, ..mods });
    }
    let mut bytes = Vec::new();
    if mods.alt {
        bytes.push(0x1b);
    }
    match code {
        Code::BackTab => bytes.extend_from_slice(b"\x1b[Z"),
        Code::Tab if mods.shift => bytes.extend_from_slice(b"\x1b[Z"),
        Code::Backspace if mods.ctrl => bytes.push(0x08),
        _ => bytes.push(number),
    }
    bytes
}

/// The keys that have a final letter, and those that have a number before `~`.
enum Named {
    Letter(u8),
    Tilde(u8),
}

fn named(code: Code) -> Option<Named> {
    Some(match code {
        Code::Up => Named::Letter(b'A'),
        Code::Down => Named::Letter(b'B'),
        Code::Right => Named::Letter(b'C'),
        Code::Left => Named::Letter(b'D'),
        Code::Home => Named::Letter(b'H'),
        Code::End => Named::Letter(b'F'),
        Code::Insert => Named::Tilde(2),
        Code::Delete => Named::Tilde(3),
        Code::PageUp => Named::Tilde(5),
        Code::PageDown => Named::Tilde(6),
        Code::F(n @ 1..=4) => Named::Letter(b"PQRS"[usize::from(n - 1)]),
        Code::F(5) => Named::Tilde(15),
        Code::F(n @ 6..=10) => Named::Tilde(n + 11),
        Code::F(n @ 11..=14) => Named::Tilde(n + 12),
        Code::F(n @ 15..=16) => Named::Tilde(n + 13),
        Code::F(n @ 17..=20) => Named::Tilde(n + 14),
        _ => return None,
    })
}

fn function(key: &Key, modes: &Modes) -> Vec<u8> {
    let held = held(key.mods);
    // Kitty names the phase after a colon; a press needs no name.
    let phase = match key.phase {
        Phase::Repeat if modes.kitty & EVENTS != 0 => ":2",
        Phase::Release => ":3",
        Phase::Press | Phase::Repeat => "",
    };
    let plain = held == 0 && phase.is_empty();
    match named(key.code) {
        Some(Named::Letter(it)) if plain => {
            let function = matches!(key.code, Code::F(_));
            let lead = if function || modes.app_cursor { b'O' } else { b'[' };
            vec![0x1b, lead, it]
        }
        Some(Named::Letter(it)) => {
            format!("\x1b[1;{}{phase}{}", held + 1, char::from(it)).into_bytes()
        }
        Some(Named::Tilde(it)) if plain => format!("\x1b[{it}~").into_bytes(),
        Some(Named::Tilde(it)) => format!("\x1b[{it};{}{phase}~", held + 1).into_bytes(),
        None => Vec::new(),
    }
}

fn kitty(key: &Key, modes: &Modes) -> Vec<u8> {
    let all = modes.kitty & ALL_AS_ESCAPES != 0;
    let Key { code, mods, phase } = *key;
    let number = match code {
        Code::Char(c) => u32::from(c.to_lowercase().next().unwrap_or(c)),
        Code::Enter => 13,
        Code::Tab | Code::BackTab => 9,
        Code::Backspace => 127,
        Code::Esc => 27,
        Code::F(n @ 21..=35) => 57_384 + u32::from(n - 21),
        _ => return function(key, modes),
    };
    let shift = mods.shift || code == Code::BackTab;
    let mods = Mods { shift, ..mods };
    let bare = !mods.alt && !mods.ctrl && !mods.logo;
    let text = match code {
        Code::Char(_) => bare,
        Code::Enter | Code::Tab | Code::Backspace => bare && !shift,
        _ => false,
    };
    if text && !all {
        // Releases of keys that make text are told only if every key is told as an escape.
        let legacy = Modes { kitty: 0, modify_other_keys: 0, ..*modes };
        return encode(&Key { phase, ..*key }, &legacy);
    }
    let phase = match phase {
        _ if modes.kitty & EVENTS == 0 => "",
        Phase::Press => "",
        Phase::Repeat => ":2",
        Phase::Release => ":3",
    };
    match held(mods) {
        0 if phase.is_empty() => format!("\x1b[{number}u"),
        held => format!("\x1b[{number};{}{phase}u", held + 1),
    }
    .into_bytes()
}

/// Returns the bytes that tell pasted text. Inside brackets nothing in the text can end them;
/// without brackets a line end is what Enter sends.
pub fn paste(text: &str, modes: &Modes) -> Vec<u8> {
    if !modes.bracketed_paste {
        return text.replace("\r\n", "\r").replace('\n', "\r").into_bytes();
    }
    // Without its escape character a marker in the text is only text.
    let text: String = text.chars().filter(|it| !matches!(it, '\u{1b}' | '\u{9b}')).collect();
    format!("\x1b[200~{text}\x1b[201~").into_bytes()
}

/// Returns the bytes that tell that the terminal gained or lost the focus; none if the program did
/// not ask.
pub fn focus(gained: bool, modes: &Modes) -> Vec<u8> {
    match (modes.focus, gained) {
        (false, _) => Vec::new(),
        (true, true) => b"\x1b[I".to_vec(),
        (true, false) => b"\x1b[O".to_vec(),
    }
}

#[cfg(test)]
mod tests;
