//! How the inbox looks: one line for each row, and the options below the selected one.

use ratatui::layout::Rect;

use crate::tui::{
    asks,
    canvas::Canvas,
    layout,
    model::{Panel, Shared},
    pane::inbox::{Model, Row, Sent, Sort},
    theme::Role,
    widget::frame,
    words,
};

/// What is drawn at a row of the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hit {
    Row(usize),
    Option(usize),
}

/// Returns what is drawn at a screen row.
pub fn hit(model: &Model, shared: &Shared, inside: Rect, row: u16) -> Option<Hit> {
    lines(model, shared, inside).get(usize::from(row.checked_sub(inside.y)?)).copied()
}

/// Returns what each line of the panel shows, from the top.
fn lines(model: &Model, shared: &Shared, inside: Rect) -> Vec<Hit> {
    let height = usize::from(inside.height);
    let ask = model.row().and_then(|it| it.ask(shared));
    let options = ask.map_or(0, |it| asks::choices(it).len());
    let options = options.min(height.saturating_sub(1));
    let mut window = model.window;
    window.show(model.rows.len(), height - options.min(height));
    let mut lines = Vec::new();
    for at in window.rows(model.rows.len(), height - options) {
        lines.push(Hit::Row(at));
        if at == window.selected {
            lines.extend((0..options).map(Hit::Option));
        }
    }
    lines.truncate(height);
    lines
}

/// Draws the panel with its border.
pub fn view(model: &Model, shared: &Shared, area: Rect, focused: bool, canvas: &mut Canvas) {
    let theme = shared.look.theme;
    let (border, title) = match focused {
        true => (Role::BorderFocused, Role::TitleFocused),
        false => (Role::Border, Role::Title),
    };
    let count = match model.rows.len() {
        0 => String::new(),
        count => format!(" {count}"),
    };
    let name = format!("[{}] {}{count}", Panel::Inbox.digit(), Panel::Inbox.title());
    let marked = match model.marks.len() {
        0 => String::new(),
        count => format!("{count} marked"),
    };
    frame::border(canvas, area, &name, &marked, (theme.style(border), theme.style(title)));
    let inside = layout::inside(area);
    if inside.is_empty() {
        return;
    }
    if model.rows.is_empty() {
        canvas.fit(
            inside.x + 1,
            inside.y,
            inside.width - 1,
            "nothing needs you",
            theme.style(Role::Dim),
        );
        return;
    }
    for (y, line) in (inside.y..).zip(lines(model, shared, inside)) {
        let row = Rect { y, height: 1, ..inside };
        match line {
            Hit::Row(at) => view_row(model, shared, (at, focused), row, canvas),
            Hit::Option(at) => view_option(model, shared, at, row, canvas),
        }
    }
    view_words(model, shared, inside, canvas);
}

fn view_row(
    model: &Model,
    shared: &Shared,
    (at, focused): (usize, bool),
    area: Rect,
    canvas: &mut Canvas,
) {
    let theme = shared.look.theme;
    let row = &model.rows[at];
    let selected = at == model.window.selected;
    let role = match row.sort {
        Sort::Ask | Sort::Dialog => Role::NeedsYou,
        Sort::FailedTurn | Sort::Failed | Sort::NotDispatched => Role::Failed,
        Sort::Parked => Role::Parked,
        Sort::Host => Role::Unreachable,
        Sort::Budget | Sort::Config => Role::Warning,
    };
    let mark = if model.marks.contains(&row.key) { '*' } else { ' ' };
    let cursor = if selected { '>' } else { ' ' };
    let age = match row.since.0 {
        i64::MAX => String::new(),
        _ => when(row, shared),
    };
    let head = format!("{cursor}{mark}{} {age:>6} ", letter(row.sort));
    let x = canvas.fit(area.x, area.y, area.width, &head, theme.style(role));
    let left = |x: u16| area.right().saturating_sub(x);
    let name = format!("{:<16} ", crate::stdx::text::one_line(&row.name, 24));
    let x = canvas.fit(x, area.y, left(x), &name, theme.style(Role::Text));
    let (state, state_role) = match model.sent.get(&row.key) {
        None => (String::new(), Role::Text),
        Some(Sent::UnderWay) => ("answer on its way  ".to_owned(), Role::Warning),
        Some(Sent::Submitted) => ("submitted  ".to_owned(), Role::Done),
        Some(Sent::Failed(why)) => (format!("{why}  "), Role::Error),
    };
    let x = canvas.fit(x, area.y, left(x), &state, theme.style(state_role));
    let text = format!("{}: {}", row.sort.word(), row.what);
    canvas.fit(x, area.y, left(x), &text, theme.style(Role::Text));
    if selected {
        let role = if focused { Role::Selected } else { Role::SelectedElsewhere };
        canvas.tint(area, theme.style(role));
    }
}

/// Returns how long a question waits, or since when something is as it is.
fn when(row: &Row, shared: &Shared) -> String {
    match row.sort {
        Sort::Ask | Sort::Dialog => words::elapsed(row.since, shared.now),
        _ => words::clock(row.since, shared.now, shared.facts.utc_offset_ms),
    }
}

fn letter(sort: Sort) -> char {
    match sort {
        Sort::Ask | Sort::Dialog => '!',
        Sort::FailedTurn | Sort::Failed | Sort::NotDispatched => 'x',
        Sort::Parked => '=',
        Sort::Host => '~',
        Sort::Budget => '$',
        Sort::Config => '?',
    }
}

fn view_option(model: &Model, shared: &Shared, at: usize, area: Rect, canvas: &mut Canvas) {
    let theme = shared.look.theme;
    let Some(ask) = model.row().and_then(|it| it.ask(shared)) else { return };
    let choices = asks::choices(ask);
    let Some(choice) = choices.get(at) else { return };
    let chosen = at == model.choice;
    let (mark, role) = if chosen { ('>', Role::Title) } else { (' ', Role::Dim) };
    let text = format!("      {mark} {}. {}", at + 1, choice.label);
    canvas.fit(area.x, area.y, area.width, &text, theme.style(role));
}

fn view_words(model: &Model, shared: &Shared, inside: Rect, canvas: &mut Canvas) {
    let Some(input) = &model.words else { return };
    let theme = shared.look.theme;
    let refuses =
        model.row().and_then(|it| it.ask(shared)).is_some_and(|it| asks::yes(it).is_some());
    let label = if refuses { "no, because: " } else { "in words: " };
    let line = Rect { y: inside.bottom() - 1, height: 1, ..inside };
    canvas.fill(line, theme.style(Role::Input));
    let x = canvas.fit(line.x, line.y, line.width, label, theme.style(Role::Key));
    input.view(Rect { x, width: line.right().saturating_sub(x), ..line }, true, theme, canvas);
}
