//! Frames of a growing file, put together to lines.

/// The longest line that is read, in bytes. A longer one is skipped and counted; the position
/// goes on past it.
pub const LINE_MAX: usize = 4 * 1024 * 1024;

/// A complete line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its bytes, without the newline.
    pub bytes: Vec<u8>,
    /// Where the next line begins in the file: the offset to go on from once this one is dealt
    /// with.
    pub end: u64,
}

/// Puts frames together to lines.
///
/// It holds at most one unfinished line of at most [`LINE_MAX`] bytes.
#[derive(Debug)]
pub struct Lines {
    pending: Vec<u8>,
    /// Where the unfinished line begins.
    start: u64,
    /// The first byte not seen yet.
    next: u64,
    /// The unfinished line is too long, or its beginning is missing.
    skipping: bool,
    skipped: u64,
}

impl Lines {
    /// Creates an assembler for a file that is read from `offset`, where a line begins.
    pub fn new(offset: u64) -> Lines {
        Lines { pending: Vec::new(), start: offset, next: offset, skipping: false, skipped: 0 }
    }

    /// Returns where the first line begins that was not returned or skipped: safe to go on from.
    pub fn position(&self) -> u64 {
        self.start
    }

    /// Returns the first byte not seen yet: where reading goes on.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Returns how many lines were skipped.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Takes bytes that stand at `offset` and returns the lines they complete.
    ///
    /// Bytes seen before are ignored. After a gap the torn line is skipped.
    pub fn push(&mut self, offset: u64, bytes: &[u8]) -> Vec<Line> {
        let known = self.next.saturating_sub(offset);
        let bytes = usize::try_from(known).ok().and_then(|it| bytes.get(it..)).unwrap_or_default();
        if bytes.is_empty() {
            return Vec::new();
        }
        let offset = offset.max(self.next);
        if self.next < offset {
            self.pending.clear();
            self.skipping = true;
            self.next = offset;
        }
        let mut lines = Vec::new();
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|b| *b == b'\n') {
            let (head, tail) = rest.split_at(at);
            self.hold(head);
            self.next = self.next.saturating_add(at as u64 + 1);
            self.start = self.next;
            let bytes = std::mem::take(&mut self.pending);
            if std::mem::take(&mut self.skipping) {
                self.skipped += 1;
            } else {
                lines.push(Line { bytes, end: self.start });
            }
            rest = tail.get(1..).unwrap_or_default();
        }
        self.hold(rest);
        self.next = self.next.saturating_add(rest.len() as u64);
        lines
    }

    /// Begins again at the start of the file, which became shorter.
    pub fn restart(&mut self) {
        *self = Lines { skipped: self.skipped, ..Lines::new(0) };
    }

    fn hold(&mut self, bytes: &[u8]) {
        if LINE_MAX < self.pending.len() + bytes.len() {
            self.skipping = true;
            self.pending = Vec::new();
        }
        if !self.skipping {
            self.pending.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(lines: Vec<Line>) -> Vec<(String, u64)> {
        lines.into_iter().map(|it| (String::from_utf8(it.bytes).unwrap(), it.end)).collect()
    }

    #[test]
    fn lines_carry_where_to_go_on() {
        let mut lines = Lines::new(10);
        assert_eq!(texts(lines.push(10, b"ab")), []);
        assert_eq!(lines.position(), 10);
        assert_eq!(texts(lines.push(12, b"c\n\nde")), [("abc".into(), 14), (String::new(), 15)]);
        // Delivered twice, and overlapping.
        assert_eq!(texts(lines.push(12, b"c\n\n")), []);
        assert_eq!(texts(lines.push(15, b"def\n")), [("def".into(), 19)]);
        assert_eq!((lines.position(), lines.skipped()), (19, 0));
        // A gap: the torn line is not taken for a whole one.
        assert_eq!(texts(lines.push(25, b"torn\nwhole\n")), [("whole".into(), 36)]);
        assert_eq!(lines.skipped(), 1);
        lines.restart();
        assert_eq!(texts(lines.push(0, b"x\n")), [("x".into(), 2)]);
    }

    #[test]
    fn fifty_megabytes_in_one_line_are_skipped_in_little_memory() {
        let mut lines = Lines::new(0);
        let chunk = vec![b'x'; 64 * 1024];
        let mut at = 0;
        while at < 50 * 1024 * 1024 {
            assert_eq!(lines.push(at, &chunk), []);
            assert!(lines.pending.capacity() <= 2 * LINE_MAX);
            at += chunk.len() as u64;
        }
        assert_eq!(texts(lines.push(at, b"\nshort\n")), [("short".into(), at + 7)]);
        assert_eq!((lines.skipped(), lines.position()), (1, at + 7));
    }

    proptest! {
        #[test]
        fn any_cutting_gives_the_same_lines(
            data in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..300),
            cuts in proptest::collection::vec(1usize..40, 1..20),
        ) {
            let mut whole = Lines::new(0);
            let expected = whole.push(0, &data);
            let mut lines = Lines::new(0);
            let mut got = Vec::new();
            let mut at = 0;
            for cut in cuts.iter().cycle() {
                if at == data.len() {
                    break;
                }
                let end = data.len().min(at + cut);
                got.extend(lines.push(at as u64, &data[at..end]));
                at = end;
            }
            prop_assert_eq!(got, expected);
            prop_assert_eq!(lines.position(), whole.position());
        }

        #[test]
        fn no_frames_panic(frames in proptest::collection::vec(
            (any::<u64>(), proptest::collection::vec(any::<u8>(), 0..20)), 0..20)) {
            let mut lines = Lines::new(0);
            for (offset, bytes) in frames {
                lines.push(offset, &bytes);
            }
        }
    }
}
