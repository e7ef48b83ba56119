//! Days as people count them: from midnight to midnight where they are.

use std::fmt;

use jiff::{civil::Date, tz::TimeZone};

use crate::stdx::time::Timestamp;

/// A day of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(Date);

impl fmt::Display for Day {
    /// Prints `2026-11-21`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_string())
    }
}

/// Where midnight is taken from.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(TimeZone);

impl Default for Zone {
    fn default() -> Zone {
        Zone(TimeZone::UTC)
    }
}

impl Zone {
    /// Returns the machine's zone; UTC if it has none.
    pub fn system() -> Zone {
        Zone(TimeZone::system())
    }

    /// Returns the zone of that name in the machine's table, if it has it.
    pub fn named(name: &str) -> Option<Zone> {
        TimeZone::get(name).ok().map(Zone)
    }

    /// Returns the minute of `at` as people write it there: `2026-11-21 00:06`.
    pub fn minute(&self, at: Timestamp) -> String {
        instant(at).to_zoned(self.0.clone()).strftime("%Y-%m-%d %H:%M").to_string()
    }

    /// Returns the day in which `at` lies.
    pub fn day(&self, at: Timestamp) -> Day {
        Day(instant(at).to_zoned(self.0.clone()).date())
    }

    /// Returns the first moment of `day`. It is not always midnight: where clocks are turned on at
    /// midnight, the day begins later.
    pub fn start(&self, day: Day) -> Timestamp {
        let start = day.0.to_zoned(self.0.clone()).and_then(|it| it.start_of_day());
        let end = if day.0.year() < 0 { i64::MIN } else { i64::MAX };
        start.map_or(Timestamp(end), |it| Timestamp(it.timestamp().as_millisecond()))
    }

    /// Returns the first moment of the day after that of `at`.
    pub fn tomorrow(&self, at: Timestamp) -> Timestamp {
        match self.day(at).0.tomorrow() {
            Ok(day) => self.start(Day(day)),
            Err(_) => Timestamp(i64::MAX),
        }
    }
}

/// Times outside the calendar, which only a broken clock tells, are its ends.
fn instant(at: Timestamp) -> jiff::Timestamp {
    let end = if at.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    jiff::Timestamp::from_millisecond(at.0).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn days_have_23_or_25_hours_when_clocks_are_turned() {
        let Some(berlin) = Zone::named("Europe/Berlin") else { return };
        let hours = |noon: &str| {
            let noon = at(noon);
            (berlin.tomorrow(noon).0 - berlin.start(berlin.day(noon)).0) / 3_600_000
        };
        assert_eq!(hours("2026-03-29T12:00:00Z"), 23);
        assert_eq!(hours("2026-10-25T12:00:00Z"), 25);
        assert_eq!(hours("2026-11-21T12:00:00Z"), 24);
        assert_eq!(berlin.day(at("2026-11-21T23:00:00Z")).to_string(), "2026-11-22");
        assert_eq!(berlin.minute(at("2026-11-21T23:06:59Z")), "2026-11-22 00:06");
    }

    proptest! {
        #[test]
        fn every_moment_lies_in_its_day(ms in any::<i64>()) {
            for zone in [Some(Zone::default()), Zone::named("America/St_Johns")].into_iter().flatten() {
                let day = zone.day(Timestamp(ms));
                let (start, end) = (zone.start(day), zone.tomorrow(Timestamp(ms)));
                prop_assert!(start <= end);
                if ms.abs() < 200_000_000_000_000 {
                    prop_assert!(start.0 <= ms && ms < end.0);
                }
            }
        }
    }
}
