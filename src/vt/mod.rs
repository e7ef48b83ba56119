//! A terminal as data: what a session draws, and what a person types into it.
//!
//! Owns the emulator behind the dashboard's panes, and the two translations a terminal makes: keys
//! and mouse into bytes, bytes into cells. It reads no file descriptor and knows no time: bytes
//! come in by [`screen::Screen::feed`], what the program on the other side is to be told comes out
//! by [`screen::Screen::take_events`].
//!
//! Deliberately absent: scrollback. A pane shows `tmux attach`, and tmux keeps the past; what it
//! hands out as text with escapes is read by [`text`].

pub mod cell;
mod grid;
pub mod input;
pub mod keys;
pub mod mouse;
pub mod screen;
pub mod text;
mod width;
