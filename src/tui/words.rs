//! What is said of a task in a row: since when, where, what.

use crate::{
    api::{
        checkpoints::{ChangeView, CheckpointView},
        types::DiffFile,
        view::TaskView,
    },
    stdx::{
        text::one_line,
        time::{Timestamp, short},
    },
    tui::model::replica::Letter,
};

/// A minute, in milliseconds: the finest time a row shows.
const MINUTE_MS: i64 = 60_000;

/// Characters of a text that a row can ever show.
const ROW_MAX: usize = 240;

/// Returns since when a task is as it is.
pub fn since(task: &TaskView) -> Timestamp {
    task.activity_since.unwrap_or(task.since)
}

/// Tells whether a row shows how long it has been so; others show since when, which never goes
/// stale.
pub fn ticks(letter: Letter) -> bool {
    matches!(letter, Letter::NeedsYou | Letter::Working | Letter::Waiting)
}

/// Returns the time of a row: how long for what goes on, since when for what has settled.
pub fn age(task: &TaskView, now: Timestamp, utc_offset_ms: i64) -> String {
    let since = since(task);
    if !ticks(Letter::of(task)) {
        return clock(since, now, utc_offset_ms);
    }
    elapsed(since, now)
}

/// Returns the time that passed, in whole minutes.
pub fn elapsed(since: Timestamp, now: Timestamp) -> String {
    if now.0.saturating_sub(since.0) < MINUTE_MS {
        return "<1m".to_owned();
    }
    short(now.since(since))
}

/// Returns when [`age`] will say something else; nothing if never.
pub fn next_tick(task: &TaskView, now: Timestamp) -> Option<Timestamp> {
    ticks(Letter::of(task)).then(|| minute_after(since(task), now))
}

/// Returns the next whole minute since `since`.
pub fn minute_after(since: Timestamp, now: Timestamp) -> Timestamp {
    let passed = now.0.saturating_sub(since.0).max(0);
    let next = (passed / MINUTE_MS + 1).saturating_mul(MINUTE_MS);
    Timestamp(since.0.saturating_add(next))
}

/// Returns a moment as the clock time of today, else as a date: `13:51`, `Nov 20`.
pub fn clock(at: Timestamp, now: Timestamp, utc_offset_ms: i64) -> String {
    let (Some(at), Some(now)) = (local(at, utc_offset_ms), local(now, utc_offset_ms)) else {
        return "?".to_owned();
    };
    let form = if at.date() == now.date() {
        "%H:%M"
    } else if at.year() == now.year() {
        "%b %-d"
    } else {
        "%b %Y"
    };
    at.strftime(form).to_string()
}

/// Returns the time of day, with seconds if asked for.
pub fn time_of_day(at: Timestamp, utc_offset_ms: i64, seconds: bool) -> String {
    let form = if seconds { "%H:%M:%S" } else { "%H:%M" };
    local(at, utc_offset_ms).map_or_else(String::new, |it| it.strftime(form).to_string())
}

fn local(at: Timestamp, utc_offset_ms: i64) -> Option<jiff::civil::DateTime> {
    let at = jiff::Timestamp::from_millisecond(at.0.checked_add(utc_offset_ms)?).ok()?;
    Some(at.to_zoned(jiff::tz::TimeZone::UTC).datetime())
}

/// Returns where a task is, with its GPU.
pub fn place(task: &TaskView) -> String {
    let host = task.provider.as_deref().unwrap_or("-");
    match &task.gpu {
        Some(gpu) => one_line(&format!("{host} {gpu}"), 40),
        None => one_line(host, 40),
    }
}

/// Returns what a task asks, does, or came to, in one line.
pub fn what(task: &TaskView) -> String {
    let last = || match task.last.trim() {
        "" => "",
        it => it,
    };
    let reason = task.reason.as_deref().unwrap_or_default();
    let text = match Letter::of(task) {
        Letter::NeedsYou => asks(task),
        Letter::Idle if last().is_empty() => "waiting for a prompt".to_owned(),
        Letter::Working if last().is_empty() => "working".to_owned(),
        Letter::Done => {
            let lines = match (task.lines_added, task.lines_removed) {
                (0, 0) => String::new(),
                (added, removed) => format!("+{added} -{removed} "),
            };
            format!("{lines}{}", last())
        }
        Letter::Unreachable => format!("its host does not answer; last: {}", last()),
        Letter::Parked if reason.is_empty() => "parked".to_owned(),
        Letter::Parked if reason.starts_with("parked") => reason.to_owned(),
        Letter::Parked => format!("parked: {reason}"),
        Letter::Failed | Letter::Killed | Letter::Waiting if !reason.is_empty() => {
            reason.to_owned()
        }
        _ => last().to_owned(),
    };
    one_line(&text, ROW_MAX)
}

fn asks(task: &TaskView) -> String {
    let Some(ask) = task.asks.first() else {
        return format!("waits for you: {}", task.last);
    };
    let mut text = format!("asks: {}", ask.summary);
    for (number, option) in ask.options.iter().enumerate().take(9) {
        text.push_str(&format!("  {}) {option}", number + 1));
    }
    if 1 < task.asks.len() {
        text.push_str(&format!("  (+{} more)", task.asks.len() - 1));
    }
    text
}

/// Returns an amount of money as a row shows it.
pub fn money(usd: f64) -> String {
    if !usd.is_finite() {
        return "?".to_owned();
    }
    if usd < 1000.0 { format!("{usd:.2}") } else { format!("{usd:.0}") }
}

/// Returns a number as a row shows it: `41k`.
pub fn thousands(number: u64) -> String {
    match number {
        0..=9_999 => number.to_string(),
        10_000..=9_999_999 => format!("{}k", number / 1_000),
        10_000_000..=9_999_999_999 => format!("{}M", number / 1_000_000),
        _ => format!("{}G", number / 1_000_000_000),
    }
}

/// Returns a moment's date: `2026-11-21`.
pub fn date(at: Timestamp, utc_offset_ms: i64) -> String {
    local(at, utc_offset_ms).map_or_else(String::new, |it| it.strftime("%Y-%m-%d").to_string())
}

/// For so long the time that passed since is told; then the moment, which never goes stale.
const AGO_MS: i64 = 60 * MINUTE_MS;

/// Returns how long ago a moment was, or when it was if that is long ago.
pub fn ago(at: Timestamp, now: Timestamp, utc_offset_ms: i64) -> String {
    match now.0.saturating_sub(at.0) < AGO_MS {
        true => format!("{} ago", elapsed(at, now)),
        false => clock(at, now, utc_offset_ms),
    }
}

/// Returns when [`ago`] will say something else; nothing if never.
pub fn next_ago(at: Timestamp, now: Timestamp) -> Option<Timestamp> {
    (now.0.saturating_sub(at.0) < AGO_MS).then(|| minute_after(at, now))
}

/// Returns an amount of bytes as a row shows it: `2.1 MB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1000.0;
    let mut unit = 0;
    // What would be rounded up to four digits has the next unit.
    while 999.5 <= value && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = usize::from(value < 9.95);
    format!("{value:.digits$} {}", UNITS[unit])
}

/// Returns a moment as the time of today, else with its date: `Nov 20 13:51`.
pub fn moment(at: Timestamp, now: Timestamp, utc_offset_ms: i64) -> String {
    let day = clock(at, now, utc_offset_ms);
    let time = time_of_day(at, utc_offset_ms, false);
    if day == time { time } else { format!("{day} {time}") }
}

/// Returns what a checkpoint is called: its name in quotes, else what made it.
pub fn checkpoint(it: &CheckpointView) -> String {
    match &it.label {
        Some(label) => format!("\"{}\"", one_line(label, 80)),
        None => it.trigger.as_str().to_owned(),
    }
}

/// Returns how much changed: lines, or files if no line did.
pub fn change(it: &ChangeView) -> String {
    if it.lines_added != 0 || it.lines_removed != 0 {
        return format!("+{} -{}", it.lines_added, it.lines_removed);
    }
    match it.added.saturating_add(it.modified).saturating_add(it.deleted) {
        0 => "0".to_owned(),
        1 => "1 file".to_owned(),
        many => format!("{many} files"),
    }
}

/// Returns how much changed since the checkpoint before; of the first, that it is that.
pub fn changed(it: &CheckpointView) -> String {
    if it.parent.is_none() { "first".to_owned() } else { change(&it.change) }
}

/// Returns so many of something: `1 turn`, `2 turns`.
pub fn count(many: impl Into<i64>, what: &str) -> String {
    let many = many.into();
    let plural = if many.abs() == 1 { "" } else { "s" };
    format!("{many} {what}{plural}")
}

/// Returns how one file differs: its letter, its lines, and its path with what it is now.
pub fn file(it: &DiffFile) -> (String, String) {
    let counts = match it.binary {
        true => "binary".to_owned(),
        false => format!("+{} -{}", it.added, it.removed),
    };
    let letter = it.status.map(|it| format!("{} ", one_line(&it.to_string(), 1)));
    let now = it.now.as_deref().map(|it| format!(" (now {})", one_line(it, 40)));
    let path = format!("{}{}", one_line(&it.path, 300), now.unwrap_or_default());
    (format!("{}{counts}", letter.unwrap_or_default()), path)
}

/// Returns a task's newest checkpoint: `14:31 before-kill`.
pub fn last_checkpoint(task: &TaskView, now: Timestamp, utc_offset_ms: i64) -> Option<String> {
    let last = task.last_checkpoint.as_ref()?;
    Some(format!("{} {}", moment(last.at, now, utc_offset_ms), last.trigger.as_str()))
}

/// Returns the last http or https address in a text.
pub fn last_url(text: &str) -> Option<&str> {
    let at = ["https://", "http://"].iter().filter_map(|it| text.rfind(it)).max()?;
    let rest = &text[at..];
    let ends = |c: char| {
        c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '<' | '>' | '`' | '|')
    };
    let url = &rest[..rest.find(ends).unwrap_or(rest.len())];
    let url = url.trim_end_matches(['.', ',', ';', ':', ')', ']', '}', '!', '?', '*']);
    (url.len() > "https://".len()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixture::{NOW, finished, task};

    #[test]
    fn what_goes_on_is_timed_and_what_has_settled_is_dated() {
        let mut it = task("aaaa2222", "a");
        for (ms, expected) in [(0, "<1m"), (59_999, "<1m"), (60_000, "1m"), (3_720_000, "1h02")] {
            it.activity_since = Some(Timestamp(NOW.0 - ms));
            assert_eq!(age(&it, NOW, 0), expected);
        }
        it.activity_since = Some(Timestamp(NOW.0 - 90_000));
        assert_eq!(next_tick(&it, NOW), Some(Timestamp(NOW.0 + 30_000)));
        let mut it = finished("aaaa2222", "a", "COMPLETED");
        assert_eq!(age(&it, NOW, 0), "13:32");
        assert_eq!(age(&it, NOW, 3_600_000), "14:32");
        assert_eq!(next_tick(&it, NOW), None);
        it.since = Timestamp(NOW.0 - 86_400_000);
        assert_eq!(age(&it, NOW, 0), "Nov 20");
        it.since = Timestamp(i64::MAX);
        assert_eq!(age(&it, NOW, 0), "?");
    }

    #[test]
    fn bytes_have_three_digits_at_most() {
        for (count, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (9_940, "9.9 kB"),
            (9_960, "10 kB"),
            (999_600, "1.0 MB"),
            (2_100_000, "2.1 MB"),
            (812_000_000, "812 MB"),
            (u64::MAX, "18447 PB"),
        ] {
            assert_eq!(bytes(count), expected, "{count}");
        }
    }

    #[test]
    fn the_last_address_is_found() {
        for (text, expected) in [
            ("see https://a.b/1 and (https://c.d/pull/88).", Some("https://c.d/pull/88")),
            ("http://x.y", Some("http://x.y")),
            ("https://", None),
            ("none", None),
        ] {
            assert_eq!(last_url(text), expected, "{text}");
        }
    }
}
