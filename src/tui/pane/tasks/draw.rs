//! How the list is drawn. Only the rows that fit are made.

use ratatui::{layout::Rect, style::Modifier};

use crate::{
    api::view::TaskView,
    stdx::text::one_line,
    tui::{
        canvas::Canvas,
        layout::inside,
        model::{
            Shared,
            replica::{Connection, Letter},
        },
        money,
        pane::{
            framed,
            tasks::{Model, rows::Row},
        },
        sort::Group,
        theme::{Role, Theme},
        words,
    },
};

/// Columns of the time: `Nov 20`.
const AGE: u16 = 6;

/// Columns of the cost: `123.45`.
const COST: u16 = 7;

/// Columns before the name: cursor or mark, letter, space.
const LEAD: u16 = 3;

/// From so many columns on there is more than letter, name and time.
const ROOMY: u16 = 50;

/// From so many columns on it is told where a task is.
const ROOMIER: u16 = 64;

/// How wide each column is; zero for one that is not drawn. The sum never exceeds the width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns {
    name: u16,
    place: u16,
    what: u16,
    cost: u16,
}

impl Columns {
    /// Divides a width.
    pub fn of(width: u16) -> Columns {
        let rest = width.saturating_sub(LEAD + AGE + 1);
        if width < ROOMY {
            return Columns { name: rest, place: 0, what: 0, cost: 0 };
        }
        let name = (width * 2 / 9).clamp(14, 28);
        let place = if width < ROOMIER { 0 } else { (width / 7).clamp(10, 16) };
        let gaps = 2 + u16::from(place != 0);
        let what = rest.saturating_sub(name + place + COST + gaps);
        Columns { name, place, what, cost: COST }
    }
}

/// Draws the panel with its border.
pub fn view(model: &Model, shared: &Shared, area: Rect, focused: bool, canvas: &mut Canvas) {
    let theme = shared.look.theme;
    let (title, right) = titles(model, shared);
    let Some(list) = framed(shared, area, focused, (&title, &right), canvas) else { return };
    if model.rows.len() == 0 {
        return empty(model, shared, list, canvas);
    }
    let columns = Columns::of(list.width);
    let drawn = model.window.rows(model.rows.len(), usize::from(list.height));
    for (row, y) in drawn.zip(list.y..) {
        let at = Rect { y, height: 1, ..list };
        match model.rows.get(row) {
            Some(Row::Heading(text, count)) => heading(shared, text, *count, at, canvas),
            Some(Row::Task(_)) => {
                let Some(id) = model.rows.id(row) else { continue };
                let Some(it) = shared.replica.task(id) else { continue };
                let selected =
                    row == model.window.selected && shared.selected.as_deref() == Some(id);
                let state = State {
                    selected: selected.then_some(focused),
                    marked: shared.marks.contains(id),
                    fresh: model.fresh.contains(id),
                };
                task(shared, it, state, (at, columns), canvas);
            }
            None => (),
        }
    }
    frame_scrollbar(model, area, theme, canvas);
}

/// What is special about a row.
#[derive(Clone, Copy)]
struct State {
    /// Whether the panel has the keys, if it is the selected row.
    selected: Option<bool>,
    marked: bool,
    fresh: bool,
}

fn titles(model: &Model, shared: &Shared) -> (String, String) {
    let (listed, all) = (model.rows.tasks(), shared.replica.tasks.len());
    let count = if listed == all { all.to_string() } else { format!("{listed} of {all}") };
    let mut right = format!("sort {}", model.wish.sort.name());
    if model.wish.reversed {
        right.push_str(" reversed");
    }
    if model.wish.group != Group::None {
        right.push_str(&format!("  by {}", model.wish.group.name()));
    }
    let filter = one_line(&model.text, 30);
    right.push_str(&if filter.is_empty() { String::new() } else { format!("  /{filter}") });
    (format!("[1] Tasks {count}"), format!("{right} "))
}

fn empty(model: &Model, shared: &Shared, list: Rect, canvas: &mut Canvas) {
    let text = match shared.replica.connection {
        Connection::Connecting => "asking the dispatcher",
        _ if !model.text.is_empty() && !shared.replica.tasks.is_empty() => {
            "no task passes the filter; 0 clears it"
        }
        _ => "no tasks yet; n makes one",
    };
    let style = shared.look.theme.style(Role::Dim);
    canvas.fit(list.x + 1, list.y, list.width.saturating_sub(1), text, style);
}

fn heading(shared: &Shared, text: &str, count: usize, at: Rect, canvas: &mut Canvas) {
    let style = shared.look.theme.style(Role::Title);
    let text = one_line(text, 200);
    canvas.fit(at.x, at.y, at.width, &format!("{text} ({count})"), style);
}

/// Returns the role of a state's letter.
pub fn role(letter: Letter) -> Role {
    match letter {
        Letter::NeedsYou => Role::NeedsYou,
        Letter::Working => Role::Working,
        Letter::Parked => Role::Parked,
        Letter::Idle | Letter::Waiting | Letter::Killed => Role::Idle,
        Letter::Done => Role::Done,
        Letter::Failed => Role::Failed,
        Letter::Unreachable => Role::Unreachable,
        Letter::Unknown => Role::Unknown,
    }
}

fn task(shared: &Shared, task: &TaskView, state: State, at: (Rect, Columns), canvas: &mut Canvas) {
    let (row, columns) = at;
    let theme = shared.look.theme;
    let letter = Letter::of(task);
    let style = |role: Role| theme.style(if state.fresh { Role::NeedsYou } else { role });
    let cursor = match state {
        State { marked: true, .. } => "*",
        State { selected: Some(_), .. } => ">",
        _ => " ",
    };
    let plain = style(Role::Text);
    canvas.text(row.x, row.y, 1, cursor, theme.style(Role::Marked));
    let mut symbol = [0; 4];
    let symbol = letter.char().encode_utf8(&mut symbol);
    canvas.text(row.x + 1, row.y, row.width.saturating_sub(1), symbol, theme.style(role(letter)));
    let mut x = row.x.saturating_add(LEAD);
    let right = row.right();
    let mut cell = |width: u16, text: &str, role: Role, canvas: &mut Canvas| {
        let width = width.min(right.saturating_sub(x));
        if 0 < width {
            canvas.fit(x, row.y, width, text, style(role));
            x = x.saturating_add(width + 1);
        }
    };
    let name = if state.marked { Role::Marked } else { Role::Text };
    cell(columns.name, &one_line(&task.name, 60), name, canvas);
    if columns.place != 0 {
        cell(columns.place, &words::place(task), Role::Dim, canvas);
    }
    let age = words::age(task, shared.now, shared.facts.utc_offset_ms);
    cell(AGE, &format!("{age:>6}"), Role::Dim, canvas);
    if columns.cost != 0 {
        let role = if letter == Letter::NeedsYou { Role::NeedsYou } else { Role::Text };
        cell(columns.what, &words::what(task), role, canvas);
        cell(
            columns.cost,
            &format!("{:>7}", words::money(money::cost(task, shared.now))),
            Role::Money,
            canvas,
        );
    }
    match state.selected {
        Some(true) => canvas.tint(row, theme.style(Role::Selected)),
        Some(false) => canvas.tint(row, theme.style(Role::SelectedElsewhere)),
        None if state.fresh => canvas.tint(row, plain.add_modifier(Modifier::REVERSED)),
        None => (),
    }
}

/// Shows on the right border which part of a long list is drawn.
fn frame_scrollbar(model: &Model, area: Rect, theme: Theme, canvas: &mut Canvas) {
    let (len, height) = (model.rows.len(), usize::from(inside(area).height));
    if len <= height || height < 3 {
        return;
    }
    let size = (height * height / len).max(1);
    let at = model.window.top * (height - size) / (len - height);
    for line in at..(at + size).min(height) {
        let y = area.y + 1 + u16::try_from(line).unwrap_or(0);
        canvas.text(area.right() - 1, y, 1, "┃", theme.style(Role::Scrollbar));
    }
}
