//! Lines of a file that is read from its end, so that the newest of a long one come at once.

use crate::agent::lines::LINE_MAX;

/// A complete line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackLine {
    /// Where it begins in the file.
    pub start: u64,
    /// Its bytes, without the newline.
    pub bytes: Vec<u8>,
}

/// Puts chunks together to lines, the last chunk first.
///
/// It holds at most one unfinished line of at most [`LINE_MAX`] bytes; longer ones are passed
/// over, as [`crate::agent::lines::Lines`] does.
#[derive(Debug)]
pub struct Back {
    /// The first byte seen.
    at: u64,
    /// The end of the line that begins before `at`.
    rest: Vec<u8>,
    state: State,
}

/// What the line that begins before the first byte seen is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not written to its end, as far as is known.
    Unfinished,
    /// Seen to its end, and held.
    Held,
    /// Longer than is read.
    TooLong,
}

impl Back {
    /// Creates an assembler for what is before `end`.
    pub fn new(end: u64) -> Back {
        Back { at: end, rest: Vec::new(), state: State::Unfinished }
    }

    /// Returns the first byte seen: what is before it is to be read next. At 0 all is read.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Takes the bytes that end where those seen begin, and returns the lines they complete,
    /// newest first.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<BackLine> {
        let start = self.at.saturating_sub(bytes.len() as u64);
        let mut lines = Vec::new();
        let mut head = bytes;
        while let Some(at) = head.iter().rposition(|it| *it == b'\n') {
            self.prepend(&head[at + 1..]);
            self.complete(start + at as u64 + 1, &mut lines);
            head = &head[..at];
        }
        self.prepend(head);
        self.at = start;
        if start == 0 {
            self.complete(0, &mut lines);
            self.state = State::Unfinished;
        }
        lines
    }

    fn prepend(&mut self, head: &[u8]) {
        if self.state != State::Held || head.is_empty() {
            return;
        }
        if LINE_MAX < self.rest.len() + head.len() {
            self.state = State::TooLong;
            self.rest = Vec::new();
        } else {
            self.rest = [head, &self.rest].concat();
        }
    }

    /// Ends the line that begins at `start`; the one before it ends there.
    fn complete(&mut self, start: u64, lines: &mut Vec<BackLine>) {
        let bytes = std::mem::take(&mut self.rest);
        if self.state == State::Held {
            lines.push(BackLine { start, bytes });
        }
        self.state = State::Held;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::agent::lines::Lines;

    #[test]
    fn a_line_too_long_is_passed_over_in_little_memory() {
        let chunk = vec![b'x'; 64 * 1024];
        let end = 50 * 1024 * 1024 + 13;
        let mut back = Back::new(end);
        assert_eq!(back.push(b"\nlast\n"), [BackLine { start: end - 5, bytes: b"last".to_vec() }]);
        while 7 < back.at() {
            assert_eq!(back.push(&chunk), []);
            assert!(back.rest.capacity() <= 2 * LINE_MAX);
        }
        assert_eq!(back.push(b"first\nx"), [BackLine { start: 0, bytes: b"first".to_vec() }]);
    }

    proptest! {
        #[test]
        fn backwards_there_are_the_same_lines(
            data in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..300),
            cuts in proptest::collection::vec(1usize..40, 1..20),
        ) {
            let mut lines = Lines::new(0);
            let mut expected: Vec<BackLine> = lines
                .push(0, &data)
                .into_iter()
                .map(|it| BackLine { start: it.end - 1 - it.bytes.len() as u64, bytes: it.bytes })
                .collect();
            expected.reverse();
            let mut back = Back::new(data.len() as u64);
            let mut got = Vec::new();
            for cut in cuts.iter().cycle() {
                let at = usize::try_from(back.at()).unwrap();
                if at == 0 {
                    break;
                }
                got.extend(back.push(&data[at.saturating_sub(*cut)..at]));
            }
            prop_assert_eq!(got, expected);
        }
    }
}
