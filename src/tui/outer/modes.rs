//! What the session switched on in the caller's terminal, so that it can be switched off.

/// Watches output for private modes. Only the alternate screen has to be known: leaving it when
/// it was never entered would move the cursor, while every other mode is harmless to clear twice.
#[derive(Debug, Default)]
pub struct Modes {
    /// Whether the alternate screen is shown.
    alternate: bool,
    state: State,
    numbers: Vec<u16>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    Escape,
    Bracket,
    Private,
}

/// Parameters kept of one sequence. No sequence that matters has more.
const NUMBERS_MAX: usize = 16;

impl Modes {
    /// Takes output in, cut anywhere.
    pub fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.state = match (self.state, byte) {
                (_, 0x1b) => State::Escape,
                (State::Escape, b'[') => State::Bracket,
                (State::Bracket, b'?') => {
                    self.numbers.clear();
                    self.numbers.push(0);
                    State::Private
                }
                (State::Private, b'0'..=b'9') => {
                    if let Some(it) = self.numbers.last_mut() {
                        *it = it.saturating_mul(10).saturating_add(u16::from(byte - b'0'));
                    }
                    State::Private
                }
                (State::Private, b';') => {
                    if self.numbers.len() < NUMBERS_MAX {
                        self.numbers.push(0);
                    }
                    State::Private
                }
                (State::Private, b'h' | b'l') => {
                    if self.numbers.iter().any(|it| matches!(it, 47 | 1047 | 1049)) {
                        self.alternate = byte == b'h';
                    }
                    State::Ground
                }
                _ => State::Ground,
            };
        }
    }

    /// Returns the bytes that switch everything off: kitty's and xterm's keyboard modes, mouse
    /// reports, focus reports, bracketed paste, synchronized output, application keys, the
    /// alternate screen, the cursor's shape and absence, and colours.
    pub fn undo(&self) -> Vec<u8> {
        let mut bytes = b"\x1b[<u\x1b[>4;0m".to_vec();
        for mode in [1000, 1002, 1003, 1004, 1006, 1015, 2004, 2026, 1] {
            bytes.extend_from_slice(format!("\x1b[?{mode}l").as_bytes());
        }
        bytes.extend_from_slice(b"\x1b>");
        if self.alternate {
            bytes.extend_from_slice(b"\x1b[?1049l");
        }
        bytes.extend_from_slice(b"\x1b[0 q\x1b[?25h\x1b[0m");
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn alternate(output: &[u8]) -> bool {
        let mut modes = Modes::default();
        modes.feed(output);
        modes.alternate
    }

    #[test]
    fn the_alternate_screen_is_left_only_if_entered() {
        assert!(alternate(b"x\x1b[?1049h y"));
        assert!(alternate(b"\x1b[?1;1049;25h"));
        assert!(!alternate(b"\x1b[?1049h..\x1b[?1049l"));
        assert!(!alternate(b"\x1b[1049h\x1b[?2004h\x1b]0;?1049h\x07"));
        let leaves = |it: &Modes| it.undo().windows(8).any(|it| it == b"\x1b[?1049l");
        let mut modes = Modes::default();
        assert!(!leaves(&modes));
        modes.feed(b"\x1b[?1049h");
        assert!(leaves(&modes));
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(before in "[a-z]{0,9}", step in 1usize..9) {
            let output = format!("{before}\x1b[?25l\x1b[?1;1049h\x1b[2J");
            let mut modes = Modes::default();
            output.as_bytes().chunks(step).for_each(|it| modes.feed(it));
            prop_assert!(modes.alternate);
        }

        #[test]
        fn no_output_panics(output in proptest::collection::vec(any::<u8>(), 0..300)) {
            Modes::default().feed(&output);
        }
    }
}
