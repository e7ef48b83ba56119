//! The lines above and below the panels: counts, gauge, what was done, keys.

mod footer;
#[cfg(test)]
pub(crate) mod tests;

use ratatui::{layout::Rect, style::Style};
use unicode_width::UnicodeWidthStr;

use crate::{
    stdx::{text::one_line, time::Timestamp},
    tui::{
        canvas::Canvas,
        keymap::{Action, Context},
        layout::{Areas, Kind, SMALLEST},
        model::{
            Level, Model, Note, Shared,
            replica::{Connection, Letter, Replica},
        },
        money::{self, Ceiling, Figures, State},
        pane::tasks,
        sort::state_name,
        theme::{Role, Theme},
        update, words,
    },
};

/// How long a note is shown, in milliseconds.
const NOTE_MS: i64 = 10_000;

/// From so many columns on, counts have their words and the gauge its parts.
const ROOMY: u16 = 110;

/// A piece of a line and how it looks.
type Piece = (String, Role);

/// Draws them all.
pub fn view(model: &Model, areas: &Areas, canvas: &mut Canvas) {
    if areas.kind == Kind::Tiny {
        if areas.panels.is_empty() {
            tiny(model, areas.header, canvas);
        }
        return;
    }
    header(model, areas.header, canvas);
    gauge(&model.shared, areas.gauge, canvas);
    message(&model.shared, areas.message, canvas);
    let (context, _) = update::context(model);
    if model.popups.last().is_none_or(|it| crate::tui::popup::context(it).is_some()) {
        footer::view(&model.shared, context, areas.footer, canvas);
    }
}

/// Returns the action whose key is drawn at a column of the footer.
pub fn footer_at(model: &Model, context: Context, area: Rect, col: u16) -> Option<Action> {
    footer::at(&model.shared, context, area, col)
}

/// Returns when these lines change although nothing happens; nothing if never.
pub fn next_change(shared: &Shared) -> Option<Timestamp> {
    let note = note(shared).map(|it| Timestamp(it.at.0.saturating_add(NOTE_MS)));
    let money = money::next_change(&shared.replica.rises, shared.now);
    let undo = shared.undo.last().and_then(|it| words::next_ago(it.at, shared.now));
    note.into_iter().chain(money).chain(undo).min()
}

/// Writes pieces one after the other and returns the column after them.
fn pieces(canvas: &mut Canvas, area: Rect, pieces: &[Piece], theme: Theme) -> u16 {
    let mut x = area.x;
    for (text, role) in pieces {
        let left = area.right().saturating_sub(x);
        x = canvas.fit(x, area.y, left, text, theme.style(*role));
    }
    x
}

fn width_of(pieces: &[Piece]) -> usize {
    pieces.iter().map(|it| it.0.width()).sum()
}

fn header(model: &Model, area: Rect, canvas: &mut Canvas) {
    let shared = &model.shared;
    let theme = shared.look.theme;
    let mut left: Vec<Piece> = vec![(" ".into(), Role::Text)];
    if shared.facts.demo {
        left.extend([(" DEMO ".into(), Role::Demo), (" ".into(), Role::Text)]);
    }
    left.push(("parhelia".into(), Role::Title));
    left.push((format!(" > {}", crumb(model)), Role::Text));
    let right = connection(shared);
    let room = usize::from(area.width).saturating_sub(width_of(&left) + width_of(&right) + 2);
    let long = counts(&shared.replica, true);
    let counts = if ROOMY <= area.width && width_of(&long) <= room {
        long
    } else {
        counts(&shared.replica, false)
    };
    left.push(("   ".into(), Role::Text));
    left.extend(counts);
    let end = pieces(canvas, area, &left, theme);
    let wide = u16::try_from(width_of(&right)).unwrap_or(u16::MAX);
    let x = area.right().saturating_sub(wide.saturating_add(1));
    if end < x {
        pieces(canvas, Rect { x, width: wide, ..area }, &right, theme);
    }
}

fn crumb(model: &Model) -> String {
    use crate::tui::model::Attached;
    let name = || model.shared.task().map(|it| one_line(&it.name, 24)).unwrap_or_default();
    match model.term.attached() {
        Some(Attached::Session) => format!("{} > attached", name()),
        Some(Attached::Shell) => format!("{} > shell", name()),
        None => model.place.focus.title().to_lowercase(),
    }
}

/// Returns how many tasks are in which state, with the words or only the letters.
fn counts(replica: &Replica, words: bool) -> Vec<Piece> {
    const SHOWN: [Letter; 10] = [
        Letter::NeedsYou,
        Letter::Working,
        Letter::Parked,
        Letter::Idle,
        Letter::Waiting,
        Letter::Done,
        Letter::Failed,
        Letter::Killed,
        Letter::Unreachable,
        Letter::Unknown,
    ];
    let mut out = Vec::new();
    for letter in SHOWN {
        let count = replica.count(letter);
        let always = matches!(letter, Letter::NeedsYou | Letter::Working);
        if count == 0 && !always {
            continue;
        }
        let word = match letter {
            _ if !words => String::new(),
            Letter::NeedsYou if count == 1 => " needs you".to_owned(),
            Letter::NeedsYou => " need you".to_owned(),
            _ => format!(" {}", state_name(letter)),
        };
        let role = if count == 0 { Role::Dim } else { tasks::role(letter) };
        out.push((format!("{} {count}{word}", letter.char()), role));
        out.push(("   ".to_owned(), Role::Text));
    }
    out.pop();
    out
}

/// Returns how the dispatcher and its hosts are.
fn connection(shared: &Shared) -> Vec<Piece> {
    match shared.replica.connection {
        Connection::Connecting => vec![("connecting".into(), Role::Dim)],
        Connection::Lost { .. } => vec![(" LOST ".into(), Role::Error)],
        Connection::Stopped { .. } => vec![(" STOPPED ".into(), Role::Warning)],
        Connection::Up => hosts(&shared.replica),
    }
}

fn hosts(replica: &Replica) -> Vec<Piece> {
    let Some(status) = &replica.status else { return Vec::new() };
    let all = status.providers.len();
    let well = status.providers.iter().filter(|it| it.reachable).count();
    let s = if all == 1 { "" } else { "s" };
    if well == all {
        vec![(format!("{all} host{s} ok"), Role::Good)]
    } else {
        vec![(format!("~ {} of {all} host{s} lost", all - well), Role::Warning)]
    }
}

fn gauge(shared: &Shared, area: Rect, canvas: &mut Canvas) {
    let theme = shared.look.theme;
    let offset = shared.facts.utc_offset_ms;
    let time = |at: Timestamp, seconds| words::time_of_day(at, offset, seconds);
    let refresh = || {
        let keymap = &shared.look.keymap;
        keymap.label(Context::Global, Action::Refresh).unwrap_or_else(|| ":refresh".to_owned())
    };
    match &shared.replica.connection {
        Connection::Lost { since, why, hint, again } => {
            let hint = hint.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
            let text = format!(
                " no dispatcher since {}, next try {}, {} tries now: {}{hint}",
                time(*since, false),
                time(*again, true),
                refresh(),
                one_line(why, 200),
            );
            canvas.fit(area.x, area.y, area.width, &text, theme.style(Role::Error));
        }
        Connection::Stopped { since } => {
            let text = format!(
                " the dispatcher was stopped at {}; {} starts it. What is shown is how it was then",
                time(*since, false),
                refresh(),
            );
            canvas.fit(area.x, area.y, area.width, &text, theme.style(Role::Warning));
        }
        Connection::Connecting => (),
        Connection::Up => {
            if let Some(figures) = Figures::of(shared) {
                let line = money_line(shared, &figures, area.width);
                pieces(canvas, area, &line, theme);
            }
        }
    }
}

/// Returns the line of money on so many columns; from the right, parts that do not fit are left
/// out whole.
fn money_line(shared: &Shared, figures: &Figures, width: u16) -> Vec<Piece> {
    let roomy = ROOMY <= width;
    let mut parts = vec![spent(figures, roomy)];
    let nearest = figures.nearest();
    parts.extend(nearest.map(|it| ceiling(it, figures.enforced, roomy)));
    if 0.0 < figures.burn_usd {
        let burn = if roomy { "  burn " } else { "  " };
        let rate = format!("${}/h", words::money(figures.burn_usd));
        parts.push(vec![(burn.into(), Role::Dim), (rate, Role::Money)]);
    }
    if let Some(at) = nearest.and_then(|it| it.reached) {
        parts.push(vec![(format!("  ceiling {}", moment(shared, at)), Role::Text)]);
    }
    if !shared.replica.rises.is_empty() {
        let bars = money::bars(&shared.replica.rises, shared.now);
        parts.push(vec![(format!("  {}", money::sparkline(&bars)), Role::Money)]);
    }
    let mut line = Vec::new();
    let mut left = usize::from(width);
    for part in parts {
        let Some(rest) = left.checked_sub(width_of(&part)) else { break };
        left = rest;
        line.extend(part);
    }
    line
}

fn spent(figures: &Figures, roomy: bool) -> Vec<Piece> {
    let mut line = vec![(" ".to_owned(), Role::Text)];
    if roomy {
        line.push(("today ".into(), Role::Dim));
        line.push((format!("${}", words::money(figures.day_usd)), Role::Money));
        if let Some(day) = figures.day {
            line.push((format!(" of ${}", round(day.limit_usd)), Role::Dim));
        }
        line.push(("  total ".into(), Role::Dim));
    }
    line.push((format!("${}", words::money(figures.total_usd)), Role::Money));
    if let Some(total) = figures.total {
        line.push((format!(" of ${}", round(total.limit_usd)), Role::Dim));
    }
    line
}

/// The gauge of a ceiling, with words for what its colour says.
fn ceiling(ceiling: Ceiling, enforced: bool, roomy: bool) -> Vec<Piece> {
    let (full_role, word) = match ceiling.state {
        State::Calm => (Role::GaugeFull, None),
        State::Warning => (Role::GaugeWarning, Some((" WARNING", Role::Warning))),
        State::Over => (Role::GaugeOver, Some((" OVER", Role::Error))),
    };
    let (full, rest) = money::gauge(ceiling.part(), if roomy { 24 } else { 14 });
    let mut line = vec![
        (" [".into(), Role::Dim),
        (full, full_role),
        (rest, Role::GaugeEmpty),
        ("] ".into(), Role::Dim),
        (format!("{:.0}%", (ceiling.part() * 100.0).floor()), Role::Text),
    ];
    if let Some((word, role)) = word {
        line.push((word.into(), role));
        if !enforced {
            line.push((" (warns only)".into(), Role::Dim));
        }
    }
    line
}

/// Returns a moment ahead: the time of day, with the date if it is another day.
pub fn moment(shared: &Shared, at: Timestamp) -> String {
    let offset = shared.facts.utc_offset_ms;
    let day = words::clock(at, shared.now, offset);
    let time = words::time_of_day(at, offset, false);
    if day == time { format!("at {time}") } else { format!("{day} {time}") }
}

/// Returns an amount without cents if it has none.
fn round(usd: f64) -> String {
    if usd.fract() == 0.0 { format!("{usd:.0}") } else { words::money(usd) }
}

/// Returns the note that is shown.
fn note(shared: &Shared) -> Option<&Note> {
    let last = shared.notes.back()?;
    (shared.now.0.saturating_sub(last.at.0) < NOTE_MS).then_some(last)
}

fn message(shared: &Shared, area: Rect, canvas: &mut Canvas) {
    let theme = shared.look.theme;
    let offset = shared.facts.utc_offset_ms;
    let marked = match shared.marks.len() {
        0 => String::new(),
        count => format!("{count} marked "),
    };
    let reserved = u16::try_from(marked.width()).unwrap_or(0);
    let room = Rect { width: area.width.saturating_sub(reserved), ..area };
    let mut line: Vec<Piece> = vec![(" ".into(), Role::Text)];
    if let Some(note) = note(shared) {
        let role = match note.level {
            Level::Done => Role::Good,
            Level::Info => Role::Text,
            Level::Warning => Role::Warning,
            Level::Error => Role::Error,
        };
        let word = if note.level == Level::Error { "error: " } else { "" };
        line.push((words::time_of_day(note.at, offset, true), Role::Dim));
        line.push(("  ".into(), Role::Text));
        line.push((format!("{word}{}", one_line(&note.text, 300)), role));
    } else if let Some(undo) = shared.undo.last() {
        let keymap = &shared.look.keymap;
        let key = keymap.label(Context::Global, Action::Undo).unwrap_or_else(|| ":undo".into());
        line.extend([("undo ready: ".into(), Role::Dim), (key, Role::Key)]);
        let at = words::ago(undo.at, shared.now, offset);
        line.push((format!("  {}  {at}", one_line(&undo.what, 200)), Role::Dim));
    } else if let Some(problem) = shared.look.problems.first() {
        line.push((format!("configuration: {}", one_line(problem, 300)), Role::Warning));
    }
    pieces(canvas, room, &line, theme);
    let style: Style = theme.style(Role::Marked);
    canvas.text(room.right(), area.y, reserved, &marked, style);
}

/// What is left of the dashboard on a screen that is too small for panels.
fn tiny(model: &Model, area: Rect, canvas: &mut Canvas) {
    let theme = model.shared.look.theme;
    let (cols, rows) = SMALLEST;
    let counts = counts(&model.shared.replica, false);
    let line = Rect { height: area.height.min(1), ..area };
    let end = pieces(canvas, line, &counts, theme);
    // On a line of its own if there is one.
    let below = Rect { y: area.y + 1, ..line };
    let at =
        if 1 < area.height { below } else { Rect { x: end, width: area.right() - end, ..line } };
    let words = vec![(format!(" too small: {cols}x{rows}"), Role::Dim)];
    pieces(canvas, at, &words, theme);
}
