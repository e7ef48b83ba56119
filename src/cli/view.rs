//! Tasks as a person reads them. Everything from outside is made safe here, field by field.

use unicode_width::UnicodeWidthStr;

use crate::{
    api::{error::ErrorKind, view::TaskView},
    cli::paint::Paint,
    domain::{activity::Activity, usd::Usd},
    stdx::{
        text::one_line,
        time::{Timestamp, short},
    },
};

/// The most of any field that is shown on one line, in characters.
pub const FIELD_MAX: usize = 400;

/// The narrowest and the widest a name gets in the table, in columns.
const NAME_MIN: usize = 4;
const NAME_MAX: usize = 28;

/// The narrowest the last column gets before the table overflows, in columns.
const LAST_MIN: usize = 10;

/// Tells whether the task's own outcome is known.
pub fn is_final(task: &TaskView) -> bool {
    matches!(task.state.as_str(), "COMPLETED" | "FAILED" | "KILLED" | "PARKED" | "DISPATCH_FAILED")
}

/// Returns the status with which `--sync` and `task watch` exit for an outcome.
pub fn outcome_status(task: &TaskView) -> u8 {
    match task.state.as_str() {
        "COMPLETED" => 0,
        "PARKED" => ErrorKind::Budget.exit_code(),
        "DISPATCH_FAILED" if by_budget(task) => ErrorKind::Budget.exit_code(),
        "DISPATCH_FAILED" => ErrorKind::Host.exit_code(),
        _ => 1,
    }
}

/// Tells whether it was the budget that did not let a task begin.
pub fn by_budget(task: &TaskView) -> bool {
    task.reason.as_ref().is_some_and(|it| it.starts_with("Task would exceed budget ceiling"))
}

/// Returns the letter that stands for what a task does. State is a letter first, colour second.
pub fn letter(task: &TaskView) -> char {
    match task.state.as_str() {
        "CREATED" | "PENDING" => '-',
        "DISPATCHED" => '>',
        "PARKED" => '=',
        "COMPLETED" => '+',
        "FAILED" | "KILLED" | "DISPATCH_FAILED" => 'x',
        _ if task.reachable == Some(false) => '~',
        _ => match task.activity {
            Some(Activity::Starting | Activity::Working) => '>',
            Some(Activity::NeedsPermission | Activity::NeedsInput) => '!',
            Some(Activity::Idle) => '.',
            Some(Activity::FailedTurn) => 'x',
            Some(Activity::Unknown) | None => '?',
        },
    }
}

/// Puts the letter's colour on `text`.
pub fn painted(task: &TaskView, paint: Paint, text: &str) -> String {
    match letter(task) {
        '!' => paint.yellow(text),
        '>' => paint.cyan(text),
        '+' => paint.green(text),
        'x' => paint.red(text),
        _ => paint.dim(text),
    }
}

/// Returns one word for what a task does: its activity while it runs, else its state.
pub fn word(task: &TaskView) -> String {
    match (task.state.as_str(), task.activity) {
        ("RUNNING", Some(activity)) => activity.as_str().to_owned(),
        _ => one_line(&task.state.to_lowercase(), FIELD_MAX),
    }
}

/// Returns the most telling thing about a task now, one line.
pub fn telling(task: &TaskView) -> String {
    let text = match (&task.asks[..], &task.reason) {
        ([ask, ..], _) if !is_final(task) => format!("asks: {} {}", ask.tool, ask.summary),
        (_, Some(reason)) => reason.clone(),
        _ if task.last.is_empty() => task.prompt.clone(),
        _ => task.last.clone(),
    };
    one_line(&text, FIELD_MAX)
}

/// Returns an amount of dollars.
pub fn dollars(amount: f64) -> String {
    Usd::from_dollars(amount).unwrap_or_default().to_string()
}

/// Returns an amount of dollars to the cent, for columns; what is less shows as less.
pub fn cents(amount: f64) -> String {
    match amount {
        0.0 => "$0.00".to_owned(),
        it if it.abs() < 0.01 => "<$0.01".to_owned(),
        it => format!("${it:.2}"),
    }
}

/// Returns a length in bytes in the unit that reads best.
pub fn size(bytes: u64) -> String {
    let (mut amount, mut rest, mut unit) = (bytes, 0, "B");
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if amount < 1024 {
            break;
        }
        (rest, amount, unit) = (amount % 1024 * 10 / 1024, amount / 1024, next);
    }
    match amount {
        0..10 if unit != "B" => format!("{amount}.{rest} {unit}"),
        _ => format!("{amount} {unit}"),
    }
}

/// Returns how many there are of something.
pub fn count(n: u64, what: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {what}{plural}")
}

/// Returns what a task has cost by now: its worker's time is entered every few minutes only.
fn cost(task: &TaskView, now: Timestamp) -> f64 {
    let open = task.metered_until.map_or(0.0, |it| now.since(it).as_secs_f64());
    task.cost_usd + task.compute_usd_per_hour * open / 3600.0
}

/// Returns the table of tasks, one a line. `width` is where lines are cut, if they are.
pub fn table(tasks: &[TaskView], now: Timestamp, width: Option<usize>, paint: Paint) -> String {
    let word_width = widest(tasks.iter().map(word), 5, 16);
    let cost_width = widest(tasks.iter().map(|it| cents(cost(it, now))), 4, 12);
    let id_width = widest(tasks.iter().map(|it| one_line(&it.id, 40)), 2, 40);
    // The letter, six gaps of two columns, and the age, which has five.
    let fixed = 1 + 12 + id_width + word_width + 5 + cost_width;
    let room = width.map(|it| it.saturating_sub(fixed));
    // What came last says more than the name does, so it gets more of a narrow terminal.
    let name_most = room.map_or(NAME_MAX, |it| (it * 2 / 5).clamp(NAME_MIN, NAME_MAX));
    let names = tasks.iter().map(|it| one_line(&it.name, FIELD_MAX));
    let name_width = widest(names, NAME_MIN, name_most);
    let last_width = room.map(|it| it.saturating_sub(name_width).max(LAST_MIN));
    let mut text = paint.dim(&format!(
        "   {}  {}  {}  {:>5}  {}  LAST",
        pad("ID", id_width),
        pad("NAME", name_width),
        pad("STATE", word_width),
        "AGE",
        pad_left("COST", cost_width),
    ));
    for task in tasks {
        let last = telling(task);
        let last = last_width.map_or_else(|| last.clone(), |it| cut(&last, it));
        let line = format!(
            "{}  {}  {}  {}  {:>5}  {}  {last}",
            painted(task, paint, &letter(task).to_string()),
            pad(&one_line(&task.id, 40), id_width),
            pad(&cut(&one_line(&task.name, FIELD_MAX), name_width), name_width),
            painted(task, paint, &pad(&word(task), word_width)),
            short(now.since(task.created_at)),
            pad_left(&cents(cost(task, now)), cost_width),
        );
        text.push('\n');
        text.push_str(line.trim_end());
    }
    text
}

/// Returns one line for a task whose change is being watched.
pub fn change_line(task: &TaskView, paint: Paint) -> String {
    format!(
        "{} {} {}  {}",
        painted(task, paint, &letter(task).to_string()),
        one_line(&task.id, 40),
        painted(task, paint, &word(task)),
        telling(task),
    )
}

/// Returns `text` cut to `width` columns, with `…` where something was cut. Measured whole, since
/// some scripts join characters, and two together are not as wide as one and one.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = text.to_owned();
    while out.pop().is_some() {
        let shown = format!("{out}…");
        if shown.width() <= width {
            return shown;
        }
    }
    String::new()
}

/// Returns `text` filled up to `width` columns on the right.
pub fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// Returns `text` filled up to `width` columns on the left.
pub fn pad_left(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(text.width())))
}

/// Returns how wide the widest of `texts` is, within bounds.
pub fn widest(texts: impl Iterator<Item = String>, least: usize, most: usize) -> usize {
    texts.map(|it| it.width()).max().unwrap_or(0).clamp(least, most)
}

#[cfg(test)]
pub mod tests;
