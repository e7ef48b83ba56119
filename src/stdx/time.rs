//! Instants as data.

use std::{
    fmt,
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// A moment, in milliseconds since the Unix epoch.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Returns the moment `duration` later, saturating.
    pub fn plus(self, duration: Duration) -> Timestamp {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_add(millis))
    }

    /// Returns the moment `duration` earlier, saturating.
    pub fn minus(self, duration: Duration) -> Timestamp {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_sub(millis))
    }

    /// Returns the time that passed since `earlier`, zero if it lies ahead.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Returns the moment as RFC 3339 in UTC with milliseconds, the form of `--json` output.
    pub fn rfc3339(self) -> String {
        jiff::Timestamp::from_millisecond(self.0)
            .map(|it| format!("{it:.3}"))
            .unwrap_or_else(|_| self.0.to_string())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

/// A source of the time of day.
pub trait Clock: Send + Sync + 'static {
    /// Returns the present moment.
    fn now(&self) -> Timestamp;

    /// Returns the time since some moment in the past, the same for the machine's whole life. No
    /// one can turn it, and it goes on while the machine sleeps.
    fn steady(&self) -> Duration;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn steady(&self) -> Duration {
        let since = clock_gettime(AWAKE_OR_NOT);
        // Neither is ever negative.
        let secs = u64::try_from(since.tv_sec).unwrap_or(0);
        Duration::new(secs, u32::try_from(since.tv_nsec).unwrap_or(0))
    }
}

/// The clock that counts from the start of the machine, its sleep with it.
#[cfg(target_os = "linux")]
const AWAKE_OR_NOT: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const AWAKE_OR_NOT: ClockId = ClockId::Monotonic;

/// A clock that a test turns by hand.
#[derive(Debug, Default)]
pub struct ManualClock {
    now: AtomicI64,
    steady: AtomicI64,
}

impl ManualClock {
    /// Creates a clock that stands at `at`.
    pub fn new(at: Timestamp) -> ManualClock {
        ManualClock { now: AtomicI64::new(at.0), steady: AtomicI64::new(0) }
    }

    /// Lets `duration` pass.
    pub fn advance(&self, duration: Duration) {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        self.now.fetch_add(millis, Ordering::SeqCst);
        self.steady.fetch_add(millis, Ordering::SeqCst);
    }

    /// Turns the clock by so many milliseconds, while no time passes.
    pub fn turn(&self, by_ms: i64) {
        self.now.fetch_add(by_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }

    fn steady(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.steady.load(Ordering::SeqCst)).unwrap_or(0))
    }
}

/// Formats a duration the way the tables do: `12s`, `4m`, `1h02`, `3d`.
pub fn short(duration: Duration) -> String {
    let secs = duration.as_secs();
    match secs {
        0..60 => format!("{secs}s"),
        60..3600 => format!("{}m", secs / 60),
        3600..86_400 => format!("{}h{:02}", secs / 3600, secs % 3600 / 60),
        _ => format!("{}d", secs / 86_400),
    }
}

/// Parses `90`, `90s`, `15m`, `4h`, `2d` or a sum such as `1h30m`; a bare number is seconds.
///
/// # Errors
///
/// Returns what is wrong with the text, fit to follow "invalid duration".
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("it is empty".into());
    }
    let mut total: u64 = 0;
    let mut digits = String::new();
    for c in text.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let unit: u64 = match c {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return Err(format!("`{c}` is not a unit; use s, m, h or d, as in 1h30m")),
        };
        let number: u64 = digits.parse().map_err(|_| format!("no number before `{c}`"))?;
        digits.clear();
        total = number
            .checked_mul(unit)
            .and_then(|it| total.checked_add(it))
            .ok_or_else(|| "it is too long".to_owned())?;
    }
    if !digits.is_empty() {
        let number: u64 = digits.parse().map_err(|_| "it is too long".to_owned())?;
        total = total.checked_add(number).ok_or_else(|| "it is too long".to_owned())?;
    }
    // A century is past any use and keeps later sums of milliseconds from overflowing.
    if 100 * 365 * 86_400 < total {
        return Err("it is too long".into());
    }
    Ok(Duration::from_secs(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_write_them() {
        assert_eq!(parse_duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert!(parse_duration("5 apples").is_err());
        assert!(parse_duration("99999999999999999999d").is_err());
        assert_eq!(short(Duration::from_secs(3720)), "1h02");
    }

    #[test]
    fn timestamps_print_as_rfc3339() {
        assert_eq!(Timestamp(1_795_219_602_652).rfc3339(), "2026-11-21T00:06:42.652Z");
    }
}
