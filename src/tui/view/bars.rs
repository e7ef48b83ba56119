//! The lines above and below the panels: counts, gauge, what was done, keys.

mod footer;
#[cfg(test)]
pub(crate) mod tests;

use ratatui::{layout::Rect, style::Style};
use unicode_width::UnicodeWidthStr;

use crate::{
    api::budget::{BudgetView, CeilingView},
    stdx::{text::one_line, time::Timestamp},
    tui::{
        canvas::Canvas,
        keymap::{Action, Context},
        layout::{Areas, Kind, SMALLEST},
        model::{
            Level, Model, Note, Shared,
            replica::{Connection, Letter, Replica},
        },
        money::{self, State},
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
pub type Piece = (String, Role);

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
    let undo = shared.undo.last().and_then(|it| words::next_ago(it.at, shared.now));
    note.into_iter().chain(undo).min()
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
            if let Some(budget) = &shared.replica.budget {
                let line = money_line(shared, budget, area.width);
                pieces(canvas, area, &line, theme);
            }
        }
    }
}

/// Returns the line of money on so many columns; from the right, parts that do not fit are left
/// out whole.
fn money_line(shared: &Shared, budget: &BudgetView, width: u16) -> Vec<Piece> {
    let roomy = ROOMY <= width;
    let mut parts = Vec::new();
    let nearest = money::nearest(budget);
    match nearest.or_else(|| budget.ceilings.first()) {
        Some(it) => parts.push(spent(it, budget, roomy)),
        None => return Vec::new(),
    }
    parts.extend(nearest.and_then(|it| ceiling(it, roomy)));
    if 0.0 < budget.burn_usd_per_hour {
        let burn = if roomy { "  burn " } else { "  " };
        let rate = format!("${}/h", words::money(budget.burn_usd_per_hour));
        parts.push(vec![(burn.into(), Role::Dim), (rate, Role::Money)]);
    }
    if let Some((it, at)) = money::reached_first(budget) {
        let which = match nearest {
            Some(shown) if shown.scope == it.scope && shown.host == it.host => "ceiling".into(),
            _ => format!("ceiling of {}", one_line(money::name(it), 20)),
        };
        parts.push(vec![(format!("  {which} {}", moment(shared, at)), Role::Text)]);
    }
    if budget.bars_usd.iter().any(|it| 0.0 < *it) {
        parts.push(vec![(format!("  {}", money::sparkline(&budget.bars_usd)), Role::Money)]);
    }
    if let Some(it) = nearest.filter(|it| roomy && 0.0 < it.reserved_usd) {
        let reserved = format!("${}", words::money(it.reserved_usd));
        parts.push(vec![("  reserved ".into(), Role::Dim), (reserved, Role::Money)]);
    }
    parts.extend(other(budget, nearest).filter(|_| roomy));
    whole(parts, width)
}

/// Returns the parts that fit on so many columns; the first that does not is left out, with all
/// behind it.
pub fn whole(parts: Vec<Vec<Piece>>, width: u16) -> Vec<Piece> {
    let mut line = Vec::new();
    let mut left = usize::from(width);
    for part in parts {
        let Some(rest) = left.checked_sub(width_of(&part)) else { break };
        left = rest;
        line.extend(part);
    }
    line
}

/// What is spent under the ceiling that is shown, with the mark of who says so.
fn spent(it: &CeilingView, budget: &BudgetView, roomy: bool) -> Vec<Piece> {
    let mut line = vec![(" ".to_owned(), Role::Text)];
    if roomy || it.scope != "all" {
        line.push((format!("{} ", one_line(money::name(it), 20)), Role::Dim));
    }
    line.push((format!("${}", words::money(it.spent_usd)), Role::Money));
    let mark = if it.scope == "all" { money::mark(&budget.sources) } else { "" };
    if !mark.is_empty() {
        line.push((format!(" {mark}"), Role::Dim));
    }
    if let Some(limit) = it.ceiling_usd {
        line.push((format!(" of ${}", round(limit)), Role::Dim));
    }
    line
}

/// What is spent today if the line is about everything, or the other way round.
fn other(budget: &BudgetView, shown: Option<&CeilingView>) -> Option<Vec<Piece>> {
    let scope = if shown.is_none_or(|it| it.scope == "all") { "day" } else { "all" };
    let it = money::ceiling(budget, scope)?;
    let amount = format!("${}", words::money(it.spent_usd));
    let mut line = vec![(format!("  {} ", money::name(it)), Role::Dim), (amount, Role::Money)];
    if let Some(limit) = it.ceiling_usd {
        line.push((format!(" of ${}", round(limit)), Role::Dim));
    }
    Some(line)
}

/// The gauge of a ceiling, with words for what its colour says.
fn ceiling(it: &CeilingView, roomy: bool) -> Option<Vec<Piece>> {
    let parts = money::parts(it)?;
    let state = State::of(it);
    let mut line = vec![(" [".into(), Role::Dim)];
    line.extend(gauge_pieces(parts, state, if roomy { 24 } else { 14 }));
    line.push(("] ".into(), Role::Dim));
    line.push((format!("{:.0}%", (parts.0 * 100.0).floor()), Role::Text));
    let role = if state == State::Over { Role::Error } else { Role::Warning };
    if state != State::Calm {
        line.push((format!(" {}", state.word()), role));
    }
    Some(line)
}

/// Returns the inside of a gauge: spent, reserved, left.
pub fn gauge_pieces(parts: (f64, f64), state: State, width: usize) -> [Piece; 3] {
    let role = match state {
        State::Calm => Role::GaugeFull,
        State::Warning => Role::GaugeWarning,
        State::Over => Role::GaugeOver,
    };
    let [spent, reserved, left] = money::gauge(parts, width);
    [(spent, role), (reserved, Role::Dim), (left, Role::GaugeEmpty)]
}

/// Returns a moment ahead: the time of day, with the date if it is another day.
pub fn moment(shared: &Shared, at: Timestamp) -> String {
    let offset = shared.facts.utc_offset_ms;
    let day = words::clock(at, shared.now, offset);
    let time = words::time_of_day(at, offset, false);
    if day == time { format!("at {time}") } else { format!("{day} {time}") }
}

/// Returns an amount without cents if it has none.
pub fn round(usd: f64) -> String {
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
