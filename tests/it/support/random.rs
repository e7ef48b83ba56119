//! Chance that can be had again: the seed is printed, and `PARHELIA_TEST_SEED` sets it.

use std::{env, ops::Range};

/// Numbers from a seed (splitmix64).
pub struct Random(u64);

impl Random {
    /// Begins with a new seed, or the one that is set, and prints it: shown where a test fails.
    #[expect(clippy::print_stdout, reason = "the runner shows it where the test fails")]
    pub fn new() -> Random {
        let set = env::var("PARHELIA_TEST_SEED").ok().and_then(|it| it.parse().ok());
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).unwrap();
        let seed = set.unwrap_or(u64::from_le_bytes(bytes));
        println!("PARHELIA_TEST_SEED={seed}");
        Random(seed)
    }

    /// Returns a number in `range`.
    pub fn within(&mut self, range: Range<u64>) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        range.start + (z ^ (z >> 31)) % (range.end - range.start)
    }

    /// Returns another source of numbers, which goes on by itself.
    pub fn another(&mut self) -> Random {
        Random(self.within(0..u64::MAX))
    }
}
