//! How long to wait before trying again.

use std::time::Duration;

/// An exponential backoff: doubles from `first` up to `most`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first failure.
    pub first: Duration,
    /// The longest wait.
    pub most: Duration,
}

impl Backoff {
    /// Returns the wait after failure number `failures`, counted from one.
    pub fn after(&self, failures: u32) -> Duration {
        let factor = 1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_most() {
        let backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(5) };
        let waits: Vec<u64> = [1, 2, 3, 4, 80].map(|it| backoff.after(it).as_secs()).into();
        assert_eq!(waits, [1, 2, 4, 5, 5]);
    }
}
