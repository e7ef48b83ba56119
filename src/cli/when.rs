//! Times as people write and read them, in their own time zone.

use jiff::{civil::DateTime, tz::TimeZone};

use crate::{
    api::error::{ApiError, ErrorKind},
    stdx::time::{Timestamp, parse_duration},
};

/// Reads a moment: `10m` (ago), RFC 3339, or a local date, with or without a time.
pub fn parse_since(text: &str, now: Timestamp) -> Result<Timestamp, ApiError> {
    let text = text.trim();
    if let Ok(ago) = parse_duration(text.strip_suffix(" ago").unwrap_or(text)) {
        return Ok(now.minus(ago));
    }
    if let Ok(it) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp(it.as_millisecond()));
    }
    text.parse::<DateTime>()
        .ok()
        .and_then(|it| it.to_zoned(TimeZone::system()).ok())
        .map(|it| Timestamp(it.timestamp().as_millisecond()))
        .ok_or_else(|| {
            ApiError::new(ErrorKind::Invalid, format!("`{}` is no time", text.escape_debug()))
                .hint("write 10m or 2h30m (ago), 2026-11-21T14:30:00Z, or 2026-11-21 14:30")
        })
}

/// Returns the time of day here, `HH:MM:SS`.
pub fn clock(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(it) => it.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string(),
        Err(_) => "--:--:--".to_owned(),
    }
}

/// Returns the date and the time of day here.
pub fn date_and_clock(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(it) => it.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => "---------- --:--:--".to_owned(),
    }
}

/// Returns the time of day here with the seconds if it was today, else the date and the minute;
/// the year only if it was another.
pub fn day_and_clock(at: Timestamp, now: Timestamp) -> String {
    let here = |it: Timestamp| {
        jiff::Timestamp::from_millisecond(it.0).map(|it| it.to_zoned(TimeZone::system()))
    };
    match (here(at), here(now)) {
        (Ok(at), Ok(now)) if at.date() == now.date() => at.strftime("%H:%M:%S").to_string(),
        (Ok(at), Ok(now)) if at.year() == now.year() => at.strftime("%m-%d %H:%M").to_string(),
        (Ok(at), _) => at.strftime("%Y-%m-%d %H:%M").to_string(),
        (Err(_), _) => "---------- --:--".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_in_three_ways() {
        let now = Timestamp(1_795_219_602_652);
        let since = |text| parse_since(text, now).map(|it| it.0);
        assert_eq!(since("10m"), Ok(now.0 - 600_000));
        assert_eq!(since("10m ago"), Ok(now.0 - 600_000));
        assert_eq!(since("2026-11-21T00:06:42Z"), Ok(1_795_219_602_000));
        assert!(since("2026-11-21 00:06").is_ok());
        assert!(since("2026-11-21").is_ok());
        assert!(since("noon").unwrap_err().message.contains("`noon` is no time"));
    }

    #[test]
    fn a_moment_past_all_calendars_still_prints() {
        assert_eq!(clock(Timestamp(i64::MAX)), "--:--:--");
        assert_eq!(day_and_clock(Timestamp(i64::MAX), Timestamp(0)), "---------- --:--");
    }

    #[test]
    fn the_day_is_told_where_it_is_another() {
        let now = Timestamp(1_795_219_602_652);
        assert_eq!(day_and_clock(now, now).len(), "14:31:02".len());
        let ago = |days: i64| Timestamp(now.0 - days * 86_400_000);
        assert_eq!(day_and_clock(ago(1), now).len(), "11-20 14:31".len());
        assert_eq!(day_and_clock(ago(366), now).len(), "2025-11-20 14:31".len());
    }
}
