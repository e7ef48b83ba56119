//! Programs that write anything at all: the emulator stays whole.
//!
//! For `PARHELIA_FUZZ_SECONDS` (1 unless set), with a seed that a failure names and
//! `PARHELIA_FUZZ_SEED` sets again.

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::{Duration, Instant, SystemTime},
};

use parhelia::vt::{
    screen::{Event, Screen, Size},
    text,
};

/// Xorshift, so that a seed means the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
}

/// Texts that are hard on a grid of cells.
const TEXTS: &[&str] = &[
    "a",
    "hello world ",
    "漢字",
    "🎉",
    "👩\u{200d}👩\u{200d}👧",
    "🇩🇪",
    "e\u{301}",
    "\u{301}",
    "\u{200d}",
    "❤\u{fe0f}",
    "1\u{fe0f}\u{20e3}",
    "\u{ad}",
    "☰",
    "\u{3164}",
    "👍🏽",
    "\u{feff}",
    "\u{202e}",
    "\r\n",
    "\n",
    "\r",
    "\t",
    "\x08",
    "\x07",
    "\x0b",
    "\x0e",
    "\x0f",
    "\x18",
    "\x1a",
    "\u{85}",
    "\u{9b}",
    "ﷺ",
];

/// Whole sequences worth their own chance.
const SEQUENCES: &[&str] = &[
    "\x1bc",
    "\x1b7",
    "\x1b8",
    "\x1bD",
    "\x1bE",
    "\x1bM",
    "\x1bH",
    "\x1b=",
    "\x1b>",
    "\x1b(0",
    "\x1b(B",
    "\x1b)0",
    "\x1b#8",
    "\x1b[?1049h",
    "\x1b[?1049l",
    "\x1b[?47h",
    "\x1b[?2026h",
    "\x1b[?2026l",
    "\x1b[?2026$p",
    "\x1b[?6h",
    "\x1b[?6l",
    "\x1b[?7h",
    "\x1b[?7l",
    "\x1b[4h",
    "\x1b[4l",
    "\x1b[?25l",
    "\x1b[r",
    "\x1b[m",
    "\x1b[!p",
    "\x1b[>5u",
    "\x1b[<u",
    "\x1b[?u",
    "\x1b[=9;2u",
    "\x1b[>4;2m",
    "\x1b[?4m",
    "\x1b]8;;http://x\x1b\\",
    "\x1b]8;;\x1b\\",
    "\x1b]0;title\x07",
    "\x1b]52;c;aGk=\x07",
    "\x1b]4;1;?\x07",
    "\x1b]10;?\x07",
    "\x1b]104\x07",
    "\x1bP+q544e\x1b\\",
    "\x1b_Gi=31\x1b\\",
    "\x1b[22t",
    "\x1b[23t",
    "\x1b[18t",
    "\x1b[14t",
    "\x1b[c",
    "\x1b[>c",
    "\x1b[5n",
    "\x1b[6n",
    "\x1b[3g",
    "\x1b[5W",
    "\x1b[4:3;58:2::1:2:3m",
];

fn piece(random: &mut Random, bytes: &mut Vec<u8>) {
    match random.below(10) {
        0 => (0..random.below(20)).for_each(|_| bytes.push(random.below(256) as u8)),
        1..=3 => bytes.extend(random.pick(TEXTS).bytes()),
        4 | 5 => bytes.extend(random.pick(SEQUENCES).bytes()),
        _ => {
            bytes.extend(b"\x1b[");
            bytes.extend(random.pick(&["", "", "", "?", ">", "=", "<", "!"]).bytes());
            for at in 0..random.below(4) {
                bytes.extend(if at == 0 { "" } else { random.pick(&[";", ":"]) }.bytes());
                let most = [3, 12, 100, 70_000][random.below(4) as usize];
                bytes.extend(random.below(most).to_string().bytes());
            }
            bytes.extend(random.pick(&["", "", "", "$", " ", "\""]).bytes());
            bytes.push(b'@' + random.below(63) as u8);
        }
    }
}

fn size(random: &mut Random) -> Size {
    let mut side = || match random.below(8) {
        0 => random.below(3),
        1 => random.below(300),
        _ => random.below(40),
    };
    Size { cols: side() as u16, rows: side() as u16 }
}

/// Fails unless each row has one cell a column, and each wide one its second half.
fn check(screen: &Screen) {
    for row in 0..screen.size().rows {
        let mut widths = Vec::new();
        screen.cells(row, &mut |_, it| {
            assert!(!it.c.is_control() && !it.marks.iter().any(|it| it.is_control()));
            widths.push(it.width);
        });
        assert_eq!(widths.len(), usize::from(screen.size().cols));
        for (col, width) in widths.iter().enumerate() {
            let halves = widths.get(col + 1) == Some(&0);
            assert_eq!(*width == 2, halves, "column {col} of {widths:?}");
        }
        assert_ne!(widths[0], 0);
    }
    if let Some(it) = screen.cursor() {
        assert!(it.col < screen.size().cols && it.row < screen.size().rows);
    }
    let _ = (screen.modes(), screen.title());
}

fn case(random: &mut Random) {
    let mut screen = Screen::new(size(random));
    for _ in 0..random.below(12) {
        let mut bytes = Vec::new();
        (0..random.below(40)).for_each(|_| piece(random, &mut bytes));
        screen.feed(&bytes);
        match random.below(4) {
            0 => screen.resize(size(random)),
            1 => screen.stop_sync(),
            _ => (),
        }
        check(&screen);
        for event in screen.take_events() {
            if let Event::Title(Some(it)) = event {
                assert!(!it.chars().any(char::is_control));
            }
        }
        for line in text::lines(&bytes) {
            assert!(!line.text().chars().any(char::is_control));
        }
    }
    screen.stop_sync();
    check(&screen);
}

#[test]
fn nothing_that_a_program_writes_breaks_a_pane() {
    let number = |name: &str| env::var(name).ok().and_then(|it| it.parse::<u64>().ok());
    let time = Duration::from_secs(number("PARHELIA_FUZZ_SECONDS").unwrap_or(1));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let first = number("PARHELIA_FUZZ_SEED").unwrap_or(now.as_nanos() as u64);
    let start = Instant::now();
    let mut cases = 0;
    while cases == 0 || start.elapsed() < time {
        // Neighbouring seeds must not begin alike, and nought would stay nought.
        let seed = first.wrapping_add(cases);
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        if let Err(it) = catch_unwind(AssertUnwindSafe(|| case(&mut random))) {
            eprintln!("PARHELIA_FUZZ_SEED={seed}");
            resume_unwind(it);
        }
        cases += 1;
    }
    eprintln!("{cases} cases");
}
