//! Mouse events into the bytes a terminal sends for them (xterm ctlseqs, "Mouse Tracking").

use crate::vt::{
    input::{Button, Code, Key, Mouse, MouseKind},
    keys,
    screen::{Modes, MouseMode},
};

/// Lines that one step of the wheel moves where the wheel means arrow keys, as in xterm.
const WHEEL_LINES: usize = 3;

/// Returns the bytes that tell a mouse event to a program in these modes; none if it did not ask.
pub fn encode(mouse: &Mouse, modes: &Modes) -> Vec<u8> {
    if modes.mouse == MouseMode::None {
        return wheel_as_arrows(mouse, modes);
    }
    let (button, release) = match mouse.kind {
        MouseKind::Down(it) => (number(it), false),
        MouseKind::Up(it) => (number(it), true),
        MouseKind::Drag(it) if modes.mouse != MouseMode::Click => (number(it) + 32, false),
        MouseKind::Moved if modes.mouse == MouseMode::Motion => (3 + 32, false),
        MouseKind::Drag(_) | MouseKind::Moved => return Vec::new(),
        MouseKind::ScrollUp => (64, false),
        MouseKind::ScrollDown => (65, false),
        MouseKind::ScrollLeft => (66, false),
        MouseKind::ScrollRight => (67, false),
    };
    let mods = mouse.mods;
    let held = u8::from(mods.shift) * 4 + u8::from(mods.alt) * 8 + u8::from(mods.ctrl) * 16;
    let button = button + held;
    if modes.sgr_mouse {
        let end = if release { 'm' } else { 'M' };
        let (col, row) = (u32::from(mouse.col) + 1, u32::from(mouse.row) + 1);
        return format!("\x1b[<{button};{col};{row}{end}").into_bytes();
    }
    let button = if release { 3 + held } else { button };
    let mut bytes = b"\x1b[M".to_vec();
    bytes.push(32 + button);
    for place in [mouse.col, mouse.row] {
        let Some(place) = place_bytes(place, modes.utf8_mouse) else { return Vec::new() };
        bytes.extend(place);
    }
    bytes
}

/// Returns how the old protocol tells a place; nothing if it cannot.
fn place_bytes(place: u16, utf8: bool) -> Option<Vec<u8>> {
    let place = u32::from(place) + 33;
    match u8::try_from(place) {
        Ok(it) if !utf8 || it < 128 => Some(vec![it]),
        _ if utf8 && place < 2048 => {
            Some(char::from_u32(place)?.encode_utf8(&mut [0; 4]).as_bytes().to_vec())
        }
        _ => None,
    }
}

fn number(button: Button) -> u8 {
    match button {
        Button::Left => 0,
        Button::Middle => 1,
        Button::Right => 2,
    }
}

fn wheel_as_arrows(mouse: &Mouse, modes: &Modes) -> Vec<u8> {
    let code = match mouse.kind {
        MouseKind::ScrollUp => Code::Up,
        MouseKind::ScrollDown => Code::Down,
        _ => return Vec::new(),
    };
    if modes.alternate && modes.alternate_scroll {
        keys::encode(&Key::plain(code), modes).repeat(WHEEL_LINES)
    } else {
        Vec::new()
    }
}

#[cfg(test)]
mod tests;
