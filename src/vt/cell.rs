//! One cell of a terminal.

use std::sync::Arc;

/// A colour as the program asked for it; the terminal outside decides what it looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Color {
    /// The terminal's own.
    #[default]
    Default,
    /// One of the palette's 256.
    Indexed(u8),
    /// Red, green, blue.
    Rgb(u8, u8, u8),
}

/// How a cell is underlined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Underline {
    #[default]
    None,
    Single,
    Double,
    Curly,
    Dotted,
    Dashed,
}

/// What a cell looks like besides its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Look {
    pub fg: Color,
    pub bg: Color,
    /// The underline's colour; the foreground's if default.
    pub under: Color,
    pub underline: Underline,
    pub bold: bool,
    pub dim: bool,
    pub italic: bool,
    pub reverse: bool,
    pub hidden: bool,
    pub strike: bool,
    pub blink: bool,
}

/// A cell, with the marks that stand on its character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The character with its combining marks; a space if empty. Empty in the second half of a
    /// wide character.
    pub text: String,
    /// Columns it takes: 1, or 2, or 0 for the second half of a wide one.
    pub width: u8,
    /// Its look.
    pub look: Look,
    /// The address it links to (OSC 8).
    pub link: Option<Arc<str>>,
}
