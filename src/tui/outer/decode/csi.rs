//! What `ESC [` … means.

use crate::{
    tui::{msg::Input, outer::decode::shifted},
    vt::input::{Button, Code, Key, Mods, Mouse, MouseKind, Phase},
};

/// Returns what a sequence means, by its parameters and its last byte.
pub fn meaning(parameters: &[u8], last: u8) -> Option<Input> {
    if let Some(mouse) = parameters.strip_prefix(b"<") {
        return report(mouse, last).map(Input::Mouse);
    }
    let numbers = Numbers::read(parameters)?;
    let key = |code: Code| Some(Input::Key(numbers.key(code)));
    match last {
        b'I' if parameters.is_empty() => Some(Input::Focus(true)),
        b'O' if parameters.is_empty() => Some(Input::Focus(false)),
        b'A' => key(Code::Up),
        b'B' => key(Code::Down),
        b'C' => key(Code::Right),
        b'D' => key(Code::Left),
        b'H' => key(Code::Home),
        b'F' => key(Code::End),
        b'P'..=b'S' => key(Code::F(last - b'P' + 1)),
        b'Z' => Some(Input::Key(Key::plain(Code::BackTab))),
        b'u' => kitty(&numbers).map(Input::Key),
        b'~' if numbers.at(0, 0) == 27 => modified(&numbers).map(Input::Key),
        b'~' => key(tilde(numbers.at(0, 0))?),
        _ => None,
    }
}

/// The numbers of a sequence: parts by `;`, and parts of those by `:`.
struct Numbers(Vec<Vec<u32>>);

impl Numbers {
    fn read(parameters: &[u8]) -> Option<Numbers> {
        let text = std::str::from_utf8(parameters).ok()?;
        let number = |it: &str| if it.is_empty() { Some(0) } else { it.parse().ok() };
        let part = |it: &str| it.split(':').map(number).collect::<Option<Vec<u32>>>();
        text.split(';').map(part).collect::<Option<Vec<_>>>().map(Numbers)
    }

    fn at(&self, part: usize, sub: usize) -> u32 {
        self.0.get(part).and_then(|it| it.get(sub)).copied().unwrap_or(0)
    }

    /// Returns what was held down, which stands one too high in the second part.
    fn mods(&self) -> Mods {
        mods(self.at(1, 0).saturating_sub(1))
    }

    fn phase(&self) -> Phase {
        match self.at(1, 1) {
            2 => Phase::Repeat,
            3 => Phase::Release,
            _ => Phase::Press,
        }
    }

    fn key(&self, code: Code) -> Key {
        Key { code, mods: self.mods(), phase: self.phase() }
    }
}

fn mods(bits: u32) -> Mods {
    Mods {
        shift: bits & 1 != 0,
        // Meta is Alt to everybody but the terminal.
        alt: bits & (2 | 32) != 0,
        ctrl: bits & 4 != 0,
        logo: bits & 8 != 0,
    }
}

fn tilde(number: u32) -> Option<Code> {
    Some(match number {
        1 | 7 => Code::Home,
        2 => Code::Insert,
        3 => Code::Delete,
        4 | 8 => Code::End,
        5 => Code::PageUp,
        6 => Code::PageDown,
        11..=15 => Code::F(u8::try_from(number - 10).ok()?),
        17..=21 => Code::F(u8::try_from(number - 11).ok()?),
        23..=26 => Code::F(u8::try_from(number - 12).ok()?),
        28 | 29 => Code::F(u8::try_from(number - 13).ok()?),
        31..=34 => Code::F(u8::try_from(number - 14).ok()?),
        _ => return None,
    })
}

/// `CSI code:shifted ; mods:phase u`, the kitty protocol's form.
fn kitty(numbers: &Numbers) -> Option<Key> {
    let code = numbers.at(0, 0);
    if let Some(code) = functional(code) {
        return Some(with_tab(numbers.key(code)));
    }
    let c = char::from_u32(code).filter(|it| !it.is_control() && !is_private(*it))?;
    let (mods, phase) = (numbers.mods(), numbers.phase());
    let by_shift = char::from_u32(numbers.at(0, 1)).filter(|it| !it.is_control());
    Some(match by_shift {
        Some(c) if mods.shift => {
            Key { code: Code::Char(c), mods: Mods { shift: false, ..mods }, phase }
        }
        _ => shifted(c, mods, phase),
    })
}

/// Where the protocol has its keys without a character.
fn is_private(c: char) -> bool {
    (0xe000..=0xf8ff).contains(&u32::from(c))
}

/// `CSI 27 ; mods ; code ~`, xterm's form of a key with something held down.
fn modified(numbers: &Numbers) -> Option<Key> {
    let code = numbers.at(2, 0);
    match functional(code) {
        Some(code) => Some(with_tab(numbers.key(code))),
        None => {
            let c = char::from_u32(code).filter(|it| !it.is_control())?;
            Some(shifted(c, numbers.mods(), Phase::Press))
        }
    }
}

fn with_tab(key: Key) -> Key {
    if key.code == Code::Tab && key.mods.shift {
        return Key { code: Code::BackTab, mods: Mods { shift: false, ..key.mods }, ..key };
    }
    key
}

fn functional(number: u32) -> Option<Code> {
    Some(match number {
        9 => Code::Tab,
        13 | 57414 => Code::Enter,
        27 => Code::Esc,
        127 => Code::Backspace,
        57376..=57398 => Code::F(u8::try_from(number - 57376 + 13).ok()?),
        57399..=57408 => Code::Char(char::from_digit(number - 57399, 10)?),
        57409 => Code::Char('.'),
        57410 => Code::Char('/'),
        57411 => Code::Char('*'),
        57412 => Code::Char('-'),
        57413 => Code::Char('+'),
        57415 => Code::Char('='),
        57416 => Code::Char(','),
        57417 => Code::Left,
        57418 => Code::Right,
        57419 => Code::Up,
        57420 => Code::Down,
        57421 => Code::PageUp,
        57422 => Code::PageDown,
        57423 => Code::Home,
        57424 => Code::End,
        57425 => Code::Insert,
        57426 => Code::Delete,
        _ => return None,
    })
}

/// `CSI < buttons ; column ; row`, ended by `M` where a button went down and `m` where it came up.
fn report(parameters: &[u8], last: u8) -> Option<Mouse> {
    let numbers = Numbers::read(parameters)?;
    let bits = numbers.at(0, 0);
    let place = |it: u32| u16::try_from(it).ok()?.checked_sub(1);
    let button = match bits & 3 {
        0 => Some(Button::Left),
        1 => Some(Button::Middle),
        2 => Some(Button::Right),
        _ => None,
    };
    let kind = match (bits & (64 | 128), bits & 32 != 0, last, button) {
        (64, _, b'M', _) => match bits & 3 {
            0 => MouseKind::ScrollUp,
            1 => MouseKind::ScrollDown,
            2 => MouseKind::ScrollLeft,
            _ => MouseKind::ScrollRight,
        },
        (0, true, b'M', Some(it)) => MouseKind::Drag(it),
        (0, true, b'M', None) => MouseKind::Moved,
        (0, false, b'M', Some(it)) => MouseKind::Down(it),
        (0, _, b'm', Some(it)) => MouseKind::Up(it),
        _ => return None,
    };
    let mods = Mods { shift: bits & 4 != 0, alt: bits & 8 != 0, ctrl: bits & 16 != 0, logo: false };
    Some(Mouse { kind, col: place(numbers.at(1, 0))?, row: place(numbers.at(2, 0))?, mods })
}
