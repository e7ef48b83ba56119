//! How the panel looks.

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use crate::{
    api::budget::{BudgetView, CeilingView, CostRow, CostsBy},
    stdx::text::one_line,
    tui::{
        canvas::Canvas,
        model::Shared,
        money::{self, State, set::Target},
        pane::{
            budget::{
                Model,
                table::{Line, by_name, name},
            },
            framed,
        },
        theme::Role,
        view::bars::{self, Piece},
        words,
    },
};

/// From so many columns on the model's and the workers' parts have columns of their own.
const ROOMY: u16 = 60;

/// From so many columns on tasks and tokens have too.
const WIDE: u16 = 96;

/// The table gets no wider: the eye would lose the row between a name and its figures.
const WIDEST: u16 = 120;

/// Columns of a ceiling's name, and where there are few.
const NAME: u16 = 10;
const NAME_SHORT: u16 = 7;

/// Columns of an amount: `12345.67`.
const AMOUNT: usize = 9;

/// Draws the panel with its border.
pub fn view(model: &Model, shared: &Shared, area: Rect, focused: bool, canvas: &mut Canvas) {
    let right = format!("{}, by {} ", model.period.name(), by_name(model.by));
    let Some(inner) = framed(shared, area, focused, ("[5] Budget", &right), canvas) else {
        return;
    };
    let line = Rect { x: inner.x + 1, width: inner.width.saturating_sub(1), height: 1, ..inner };
    let Some(budget) = &shared.replica.budget else {
        let style = shared.look.theme.style(Role::Dim);
        canvas.fit(line.x, line.y, line.width, "asking what was spent", style);
        return;
    };
    put(&burn(budget, line.width), line, shared, canvas);
    let lines = model.table.lines(shared);
    let height = usize::from(inner.height - 1);
    let mut window = model.window;
    window.show(lines.len(), height);
    for (at, y) in window.rows(lines.len(), height).zip(line.y + 1..) {
        let row = Rect { y, ..line };
        let table = Rect { width: line.width.min(WIDEST), ..row };
        let Some(shown) = lines.get(at) else { break };
        match shown {
            Line::Ceiling(it) => ceiling_row(model, shared, (it, row), canvas),
            Line::Heading => heading(model, shared, table, canvas),
            Line::Cost(it) => cost_row(model, shared, (it, table), canvas),
        }
        if shown.is(&model.at) && focused && model.edit.is_none() {
            let style = shared.look.theme.style(Role::Selected);
            canvas.tint(Rect { y, height: 1, ..inner }, style);
        }
    }
    if let Some(why) = &model.problem {
        let y = line.y.saturating_add(u16::try_from(lines.len()).unwrap_or(u16::MAX)) + 1;
        let text = one_line(why, 200);
        if y < inner.bottom() {
            let style = shared.look.theme.style(Role::Error);
            canvas.fit(line.x, y, line.width, &text, style);
        }
    }
}

/// Writes pieces one after the other; the first that does not fit is cut.
fn put(pieces: &[Piece], at: Rect, shared: &Shared, canvas: &mut Canvas) {
    let mut x = at.x;
    for (text, role) in pieces {
        let left = at.right().saturating_sub(x);
        x = canvas.fit(x, at.y, left, text, shared.look.theme.style(*role));
    }
}

/// What is spent per hour, and how that was in the last hour.
fn burn(budget: &BudgetView, width: u16) -> Vec<Piece> {
    let usd = |it: f64| format!("${}/h", words::money(it));
    let mut parts = vec![
        vec![("burn ".to_owned(), Role::Dim), (usd(budget.burn_usd_per_hour), Role::Money)],
        vec![(format!("  {}", money::sparkline(&budget.bars_usd)), Role::Money)],
    ];
    if 0.0 < budget.compute_usd_per_hour {
        let compute = usd(budget.compute_usd_per_hour);
        parts.push(vec![("  workers ".to_owned(), Role::Dim), (compute, Role::Money)]);
    }
    let mark = money::mark(&budget.sources);
    if !mark.is_empty() {
        parts.push(vec![(format!("  total {mark}"), Role::Dim)]);
    }
    bars::whole(parts, width)
}

fn ceiling_row(model: &Model, shared: &Shared, at: (&CeilingView, Rect), canvas: &mut Canvas) {
    let (it, at) = at;
    let theme = shared.look.theme;
    let wide = if ROOMY <= at.width { NAME } else { NAME_SHORT }.min(at.width);
    let label = one_line(money::name(it), 40);
    canvas.fit(at.x, at.y, wide.saturating_sub(1), &label, theme.style(Role::Text));
    let rest = Rect { x: at.x.saturating_add(wide), width: at.width - wide, ..at };
    match model.edit.as_ref().filter(|edit| edit.target.is_of(it)) {
        Some(edit) => edit.view(rest, shared, theme, canvas),
        None => put(&standing(it, shared, rest.width), rest, shared, canvas),
    }
}

/// How a ceiling stands, on so many columns; from the right, parts that do not fit are left out
/// whole.
fn standing(it: &CeilingView, shared: &Shared, width: u16) -> Vec<Piece> {
    let roomy = ROOMY <= width;
    let spent = format!("${}", words::money(it.spent_usd));
    let spent = if roomy { format!("{spent:>9}") } else { format!("{spent:>7}") };
    let mut parts: Vec<Vec<Piece>> = vec![vec![(spent, Role::Money)]];
    match (it.ceiling_usd, money::parts(it)) {
        (Some(limit), Some(both)) => {
            let state = State::of(it);
            let of = format!("${}", bars::round(limit));
            let of = if roomy { format!(" of {of:<7}") } else { format!(" of {of:<5}") };
            parts.push(vec![(of, Role::Dim)]);
            let cells = if WIDE <= width { 20 } else { 10 };
            let bracket = if roomy { "[" } else { " [" };
            let mut gauge = vec![(bracket.to_owned(), Role::Dim)];
            gauge.extend(bars::gauge_pieces(both, state, cells));
            gauge.push(("] ".to_owned(), Role::Dim));
            gauge.push((format!("{:>3.0}%", (both.0 * 100.0).floor()), Role::Text));
            parts.push(gauge);
            let role = if state == State::Over { Role::Error } else { Role::Warning };
            let word = match state {
                State::Calm => "",
                _ if roomy => state.word(),
                State::Warning => "!",
                State::Over => "!!",
            };
            if !word.is_empty() {
                parts.push(vec![(format!(" {word}"), role)]);
            }
            if let Some(left) = it.remaining_usd {
                parts.push(figure("left", left));
            }
        }
        _ => parts.push(vec![(" no ceiling".to_owned(), Role::Dim)]),
    }
    if let Some(reached) = it.reached_at {
        parts.push(vec![(format!("  {}", bars::moment(shared, reached)), Role::Text)]);
    }
    if 0.0 < it.reserved_usd {
        parts.push(figure("reserved", it.reserved_usd));
    }
    if let Some(renews) = it.renews_at {
        let at = bars::moment(shared, renews);
        parts.push(vec![(format!("  anew {at}"), Role::Dim)]);
    }
    bars::whole(parts, width)
}

fn figure(word: &str, usd: f64) -> Vec<Piece> {
    let amount = format!("${}", words::money(usd));
    vec![(format!("  {word} "), Role::Dim), (amount, Role::Money)]
}

/// Between ceilings and costs: of when, and what burned the most; and the columns' names.
fn heading(model: &Model, shared: &Shared, at: Rect, canvas: &mut Canvas) {
    let theme = shared.look.theme;
    let columns = columns(at.width, model.by, None, 0.0);
    let wide = u16::try_from(columns.width()).unwrap_or(u16::MAX).min(at.width);
    let room = at.width.saturating_sub(wide);
    let text = match model.table.costs() {
        None => format!("{}: asking", model.period.long()),
        Some(it) if it.rows.is_empty() => format!("{}: nothing was spent", model.period.long()),
        Some(it) => {
            let total = words::money(it.total.total_usd);
            let most = model.table.dearest().filter(|_| 1 < it.rows.len());
            let most = most.map(|it| format!("; most: {}", name(it)));
            format!("{}: ${total}{}", model.period.long(), most.unwrap_or_default())
        }
    };
    canvas.fit(at.x, at.y, room.saturating_sub(1), &text, theme.style(Role::Title));
    let x = at.x.saturating_add(room);
    canvas.text(x, at.y, wide, &columns, theme.style(Role::Dim));
}

fn cost_row(model: &Model, shared: &Shared, at: (&CostRow, Rect), canvas: &mut Canvas) {
    let (row, at) = at;
    let theme = shared.look.theme;
    let total = model.table.costs().map_or(0.0, |it| it.total.total_usd);
    let editing = model.edit.as_ref().filter(|it| match &it.target {
        Target::Task(id) => model.by == CostsBy::Task && *id == row.key,
        _ => false,
    });
    let columns = columns(at.width, model.by, Some(row), total);
    let wide = u16::try_from(columns.width()).unwrap_or(u16::MAX).min(at.width);
    let room = match editing {
        Some(_) => at.width / 3,
        None => at.width.saturating_sub(wide),
    };
    canvas.fit(
        at.x,
        at.y,
        room.saturating_sub(1),
        &label(model, row, shared),
        theme.style(Role::Text),
    );
    let rest = Rect { x: at.x.saturating_add(room), width: at.width - room, ..at };
    match editing {
        Some(edit) => edit.view(rest, shared, theme, canvas),
        None => {
            canvas.text(rest.x, at.y, rest.width, &columns, theme.style(Role::Money));
        }
    }
}

/// Returns a row's name: of a task with its letter and its own ceiling.
fn label(model: &Model, row: &CostRow, shared: &Shared) -> String {
    let name = name(row);
    if model.by != CostsBy::Task {
        return name;
    }
    match shared.replica.task(&row.key) {
        Some(task) => {
            let letter = crate::tui::model::replica::Letter::of(task).char();
            let most = task.max_cost_usd.map(|it| format!("  of ${}", bars::round(it)));
            format!("{letter} {name}{}", most.unwrap_or_default())
        }
        None => format!("  {name}"),
    }
}

/// Returns all tokens that were read, from the cache or not: most come from there.
fn tokens_in(it: &CostRow) -> u64 {
    it.tokens.input + it.tokens.cache_read + it.tokens.cache_write
}

/// Returns the columns behind a name, or their names.
fn columns(width: u16, by: CostsBy, row: Option<&CostRow>, total: f64) -> String {
    let mut text = String::new();
    let mut add = |cells: usize, name: &str, value: Option<String>| {
        let value = if row.is_some() { value.unwrap_or_default() } else { name.to_owned() };
        text.push_str(&format!("{value:>cells$}"));
    };
    let usd = |of: fn(&CostRow) -> f64| row.map(|it| words::money(of(it)));
    if WIDE <= width {
        if by != CostsBy::Task {
            add(7, "tasks", row.map(|it| it.tasks.to_string()));
        }
        add(8, "in", row.map(|it| words::thousands(tokens_in(it))));
        add(8, "out", row.map(|it| words::thousands(it.tokens.output)));
    }
    if ROOMY <= width {
        add(AMOUNT, "model", usd(|it| it.model_usd));
        add(AMOUNT, "compute", usd(|it| it.cpu_usd + it.memory_usd + it.gpu_usd));
    }
    add(AMOUNT, "total", usd(|it| it.total_usd));
    let share = |it: &CostRow| if 0.0 < total { it.total_usd / total * 100.0 } else { 0.0 };
    add(6, "share", row.map(|it| format!("{:.0}%", share(it))));
    text.push_str(&format!(" {:<3}", row.map_or("src", |it| money::mark(&it.sources))));
    text
}
