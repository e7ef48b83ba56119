//! What a person does at a terminal, in words that no library owns.

use serde::{Deserialize, Serialize};

/// A key with what was held down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Key {
    /// Which key.
    pub code: Code,
    /// What was held down with it. Shift is not kept for a character that it changed: `A` is
    /// `Char('A')` without it.
    pub mods: Mods,
    /// Whether it went down, repeats, or came up. Terminals without the kitty protocol only press.
    pub phase: Phase,
}

/// What a key does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Phase {
    #[default]
    Press,
    Repeat,
    Release,
}

/// A key by its place or its character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Code {
    /// A character as the layout and Shift made it.
    Char(char),
    Enter,
    Tab,
    /// Shift+Tab.
    BackTab,
    Backspace,
    Esc,
    Insert,
    Delete,
    Home,
    End,
    PageUp,
    PageDown,
    Up,
    Down,
    Left,
    Right,
    /// F1 to F35.
    F(u8),
}

/// What is held down with a key or a mouse button.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Mods {
    pub shift: bool,
    pub alt: bool,
    pub ctrl: bool,
    /// Super, Windows or Command.
    pub logo: bool,
}

/// A mouse event; places count from the top left, from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mouse {
    /// What it did.
    pub kind: MouseKind,
    /// Column.
    pub col: u16,
    /// Row.
    pub row: u16,
    /// What was held down.
    pub mods: Mods,
}

/// What a mouse did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MouseKind {
    Down(Button),
    Up(Button),
    Drag(Button),
    Moved,
    ScrollUp,
    ScrollDown,
    ScrollLeft,
    ScrollRight,
}

/// A mouse button.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Button {
    Left,
    Middle,
    Right,
}

impl Mods {
    /// Nothing held down.
    pub const NONE: Mods = Mods { shift: false, alt: false, ctrl: false, logo: false };
    /// Only Ctrl.
    pub const CTRL: Mods = Mods { ctrl: true, ..Mods::NONE };
    /// Only Alt.
    pub const ALT: Mods = Mods { alt: true, ..Mods::NONE };
    /// Only Shift.
    pub const SHIFT: Mods = Mods { shift: true, ..Mods::NONE };
}

impl Key {
    /// Returns a key pressed with nothing held down.
    pub fn plain(code: Code) -> Key {
        Key { code, mods: Mods::NONE, phase: Phase::Press }
    }

    /// Returns the press of a character.
    pub fn char(c: char) -> Key {
        Key::plain(Code::Char(c))
    }

    /// Returns a character pressed with Ctrl.
    pub fn ctrl(c: char) -> Key {
        Key { code: Code::Char(c), mods: Mods::CTRL, phase: Phase::Press }
    }
}
