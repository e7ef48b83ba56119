//! What is spent, on what, how fast, and where each figure comes from.

mod burners;

use ratatui::layout::Rect;

use crate::{
    api::error::ApiError,
    stdx::{text::one_line, time::Timestamp},
    tui::{
        canvas::Canvas,
        keymap::Action,
        model::{Level, Out, Shared, Then},
        money::{self, Ceiling, Figures, State},
        msg::Reply,
        pane::{
            budget::burners::{Burner, By, Period},
            framed,
        },
        popup::{Kind, text},
        theme::Role,
        view::bars,
        widget::list::Window,
        words,
    },
    vt::input::{Key, Mouse, MouseKind},
};

/// The table is made anew at most this often, in milliseconds, however often costs change.
const FRESH_MS: i64 = 1000;

/// Lines above the table.
const HEAD: u16 = 5;

/// Rows assumed before the panel was drawn.
const HEIGHT_UNKNOWN: usize = 5;

/// What the panel holds.
#[derive(Debug, Default)]
pub struct Model {
    period: Period,
    by: By,
    /// The dearest first.
    table: Vec<Burner>,
    window: Window,
    height: Option<usize>,
    /// Of which version of the replica the table is, and when it was made.
    made: Option<(u64, Timestamp)>,
}

/// Tells whether keys are text for the panel now.
pub fn typing(_model: &Model) -> bool {
    false
}

/// Does an action of the panel, or moves in it.
pub fn act(model: &mut Model, shared: &Shared, action: Action, out: &mut Out) {
    let height = model.height.unwrap_or(HEIGHT_UNKNOWN);
    let len = model.table.len();
    let page = isize::try_from(height.max(2) - 1).unwrap_or(1);
    match action {
        Action::Down => model.window.step(1, len, height),
        Action::Up => model.window.step(-1, len, height),
        Action::PageDown => model.window.step(page, len, height),
        Action::PageUp => model.window.step(-page, len, height),
        Action::Top => model.window.go(0, len, height),
        Action::Bottom => model.window.go(len, len, height),
        Action::BudgetPeriodNext => turn(model, shared, |it| it.period = it.period.next()),
        Action::BudgetPeriodBefore => turn(model, shared, |it| it.period = it.period.before()),
        Action::BudgetGroup => turn(model, shared, |it| it.by = it.by.next()),
        Action::BudgetExplain => {
            let lines = explain(shared).into_iter().map(|it| (None, it)).collect();
            out.open(Kind::Text(text::Model::lines("Where the figures come from", lines)));
        }
        _ => (),
    }
}

fn turn(model: &mut Model, shared: &Shared, change: fn(&mut Model)) {
    change(model);
    model.window = Window::default();
    make(model, shared);
}

fn make(model: &mut Model, shared: &Shared) {
    let tasks = shared.replica.tasks.values().map(AsRef::as_ref);
    model.table = burners::table(tasks, model.period, model.by, shared.now);
    model.made = Some((shared.replica.version, shared.now));
}

/// Takes a key that is text for the panel: there is none.
pub fn key(_model: &mut Model, _shared: &Shared, _key: &Key, _out: &mut Out) {}

/// Takes pasted text: it goes nowhere.
pub fn paste(_model: &mut Model, _shared: &Shared, _text: &str, out: &mut Out) {
    out.note(Level::Info, "nothing takes text here");
}

/// Takes a mouse event inside the panel's border; `area` is the panel with its border.
pub fn mouse(model: &mut Model, _shared: &Shared, _area: Rect, mouse: &Mouse, _out: &mut Out) {
    let (len, height) = (model.table.len(), model.height.unwrap_or(HEIGHT_UNKNOWN));
    match mouse.kind {
        MouseKind::ScrollDown => model.window.step(3, len, height),
        MouseKind::ScrollUp => model.window.step(-3, len, height),
        _ => (),
    }
}

/// Takes an answer: the panel asks for nothing itself.
pub fn answered(
    _model: &mut Model,
    _shared: &Shared,
    _result: &Result<Reply, ApiError>,
    _out: &mut Out,
) {
}

/// Tasks or time changed; `area` is the panel with its border, if it is drawn. The table is made
/// anew only while it is seen, and at most once a second.
pub fn changed(model: &mut Model, shared: &Shared, area: Option<Rect>, out: &mut Out) {
    let inner = area.map(crate::tui::layout::inside);
    model.height = inner.map(|it| usize::from(it.height.saturating_sub(HEAD)));
    if model.height.is_none() {
        return;
    }
    match model.made {
        Some((version, _)) if version == shared.replica.version => (),
        Some((_, at)) if shared.now.0.saturating_sub(at.0) < FRESH_MS => {
            out.then.push(Then::WakeAt(Timestamp(at.0.saturating_add(FRESH_MS))));
        }
        _ => make(model, shared),
    }
}

/// Draws the panel with its border.
pub fn view(model: &Model, shared: &Shared, area: Rect, focused: bool, canvas: &mut Canvas) {
    let right = format!("{}, by {} ", model.period.name(), model.by.name());
    let Some(inner) = framed(shared, area, focused, ("[5] Budget", &right), canvas) else {
        return;
    };
    let theme = shared.look.theme;
    let mut y = inner.y;
    for pieces in head(model, shared) {
        if inner.bottom() <= y {
            return;
        }
        let mut x = inner.x.saturating_add(1);
        for (text, role) in pieces {
            x = canvas.fit(x, y, inner.right().saturating_sub(x), &text, theme.style(role));
        }
        y += 1;
    }
    let height = usize::from(inner.bottom().saturating_sub(y));
    let total: f64 = model.table.iter().map(|it| it.usd).sum();
    let mut window = model.window;
    window.show(model.table.len(), height);
    for (row, y) in window.rows(model.table.len(), height).zip(y..) {
        let it = &model.table[row];
        let at = Rect { y, height: 1, ..inner };
        burner(it, total, at, shared, canvas);
        if focused && row == window.selected {
            canvas.tint(at, theme.style(Role::Selected));
        }
    }
}

fn burner(it: &Burner, total: f64, at: Rect, shared: &Shared, canvas: &mut Canvas) {
    const AMOUNT: u16 = 22;
    let theme = shared.look.theme;
    let share = if 0.0 < total { it.usd / total * 100.0 } else { 0.0 };
    let mark = if it.reported { ' ' } else { '~' };
    let amount = format!("{mark}{:>9}{share:>6.0}%", format!("${}", words::money(it.usd)));
    let left = at.width.saturating_sub(AMOUNT).max(8);
    let count = if it.tasks == 1 { String::new() } else { format!(" ({})", it.tasks) };
    let name = format!("{}{count}", one_line(&it.name, 80));
    let x = at.x.saturating_add(1);
    canvas.fit(x, at.y, left.min(at.right().saturating_sub(x)), &name, theme.style(Role::Text));
    let x = x.saturating_add(left + 1);
    let style = theme.style(Role::Money);
    canvas.text(x, at.y, at.right().saturating_sub(x), &amount, style);
}

type Line = Vec<(String, Role)>;

/// The lines above the table.
fn head(model: &Model, shared: &Shared) -> Vec<Line> {
    let Some(figures) = Figures::of(shared) else {
        return vec![vec![("asking what was spent".to_owned(), Role::Dim)]];
    };
    let total = line("total", figures.total_usd, figures.total);
    let day = line("today", figures.day_usd, figures.day);
    let bars = money::bars(&shared.replica.rises, shared.now);
    let burn = vec![
        ("burn   ".to_owned(), Role::Dim),
        (format!("${}/h", words::money(figures.burn_usd)), Role::Money),
        ("  last hour ".to_owned(), Role::Dim),
        (money::sparkline(&bars), Role::Money),
    ];
    let what = match figures.nearest() {
        None => "no ceiling is set".to_owned(),
        Some(Ceiling { state: State::Over, .. }) => "a ceiling is passed".to_owned(),
        Some(Ceiling { reached: Some(at), .. }) => {
            format!("ceiling {} at this rate", bars::moment(shared, at))
        }
        Some(_) => "no ceiling is reached at this rate".to_owned(),
    };
    let kept = if figures.enforced { "" } else { "; these ceilings only warn" };
    let table = format!("{}, by {}", model.period.long(), model.by.name());
    vec![total, day, burn, vec![(format!("{what}{kept}"), Role::Text)], vec![(table, Role::Title)]]
}

fn line(word: &str, usd: f64, ceiling: Option<Ceiling>) -> Line {
    let mut line =
        vec![(format!("{word}  "), Role::Dim), (format!("${}", words::money(usd)), Role::Money)];
    let Some(ceiling) = ceiling else { return line };
    let (role, word) = match ceiling.state {
        State::Calm => (Role::GaugeFull, ""),
        State::Warning => (Role::GaugeWarning, " WARNING"),
        State::Over => (Role::GaugeOver, " OVER"),
    };
    let (full, rest) = money::gauge(ceiling.part(), 12);
    line.push((format!(" of ${} [", words::money(ceiling.limit_usd)), Role::Dim));
    line.extend([(full, role), (rest, Role::GaugeEmpty), ("] ".to_owned(), Role::Dim)]);
    line.push((format!("{:.0}%", (ceiling.part() * 100.0).floor()), Role::Text));
    line.push((word.to_owned(), Role::Warning));
    line
}

/// Says where each figure comes from.
fn explain(shared: &Shared) -> Vec<String> {
    let enforced = Figures::of(shared).is_some_and(|it| it.enforced);
    let ceilings = if enforced {
        "Ceilings: from the configuration, kept by the dispatcher."
    } else {
        "Ceilings: from the configuration. They only warn; a task's own ceiling ends the task."
    };
    let text = [
        "total: what Claude's status line reported, over all tasks in the store, by the",
        "  dispatcher's sum when it was asked last and the tasks' own figures since.",
        "today: the same, by tasks submitted in the last 24 hours.",
        "burn: what costs rose by in the last ten minutes, as dollars an hour. The dashboard saw",
        "  it itself, so it begins at nothing when the dashboard is opened.",
        "last hour: the same, in bars of five minutes.",
        "the table: the whole cost of the tasks submitted in the period; ~ marks a cost that was",
        "  not reported by Claude.",
        "Tokens shown elsewhere are counted from the transcript: an estimate.",
        ceilings,
    ];
    text.iter().map(|it| (*it).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::{
        fixture::{NOW, fleet, press, screen, send, with_tasks},
        msg::Msg,
    };

    fn lower(model: &crate::tui::model::Model) -> String {
        screen(model).lines().skip(12).take(10).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn it_shows_who_burns_most() {
        let mut model = with_tasks(80, 24, fleet());
        model.shared.replica.status = Some(bars::tests::status(26.37));
        model.shared.replica.spent_usd = 26.37;
        model.shared.replica.rises.push_back((Timestamp(NOW.0 - 60_000), 0.5));
        press(&mut model, &["5"]);
        insta::assert_snapshot!(lower(&model));
        press(&mut model, &["B", "]"]);
        insta::assert_snapshot!(lower(&model));
    }

    #[test]
    fn the_table_is_made_at_most_once_a_second() {
        let mut model = with_tasks(80, 24, fleet());
        press(&mut model, &["5"]);
        let made = model.budget.made;
        assert!(made.is_some());
        model.shared.replica.version += 1;
        let effects = send(&mut model, Msg::Wake);
        assert_eq!(model.budget.made, made);
        let again = Timestamp(NOW.0 + FRESH_MS);
        let wakes = |it: &crate::tui::effect::Effect| matches!(it, crate::tui::effect::Effect::WakeAt(at) if *at == again);
        assert!(effects.iter().any(wakes));
    }
}
