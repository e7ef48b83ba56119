//! What is spent, on what, how fast, and what may be spent: ceilings first, then costs put
//! together. Every figure is the dispatcher's.

mod draw;
mod edit;
mod explain;
mod export;
mod table;
#[cfg(test)]
mod tests;

use ratatui::layout::Rect;

use crate::{
    api::{
        budget::{Costs, CostsBy},
        error::ApiError,
    },
    stdx::time::Timestamp,
    tui::{
        effect::{Ask, Request},
        keymap::Action,
        layout,
        model::{Level, Out, Purpose, Shared, Then, replica::Connection},
        money::{self, set::Target},
        msg::Reply,
        pane::budget::{
            edit::Edit,
            table::{Period, Place, Table},
        },
        parking,
        popup::{Kind, confirm, entry, text},
        widget::list::Window,
        words,
    },
    vt::input::{Button, Key, Mouse, MouseKind},
};

pub use draw::view;

/// Costs are asked for at most this often, in milliseconds, however often the money changes.
const FRESH_MS: i64 = 2000;

/// Lines above those that can be selected.
const HEAD: u16 = 1;

/// Rows assumed before the panel was drawn.
const HEIGHT_UNKNOWN: usize = 5;

/// What the panel holds.
#[derive(Debug, Default)]
pub struct Model {
    period: Period,
    by: CostsBy,
    table: Table,
    /// The selected row; it follows its place, not its number.
    at: Place,
    window: Window,
    height: Option<usize>,
    /// The version of the budget that was taken in.
    seen: u64,
    /// What a ceiling is to be, while it is typed.
    edit: Option<Edit>,
    asked: Option<Asked>,
    /// The number of the request whose answer is waited for.
    under_way: Option<u64>,
    next: u64,
    /// Why there are no costs.
    problem: Option<String>,
}

/// What was asked for last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    period: Period,
    by: CostsBy,
    /// The version of the budget then.
    version: u64,
    at: Timestamp,
}

/// Tells whether keys are text for the panel now.
pub fn typing(model: &Model) -> bool {
    model.edit.is_some()
}

/// Does an action of the panel, or moves in it.
pub fn act(model: &mut Model, shared: &Shared, action: Action, out: &mut Out) {
    use Action as A;
    let page = isize::try_from(height(model).max(2) - 1).unwrap_or(1);
    match action {
        A::Down => step(model, shared, 1),
        A::Up => step(model, shared, -1),
        A::PageDown => step(model, shared, page),
        A::PageUp => step(model, shared, -page),
        A::Top => step(model, shared, isize::MIN / 2),
        A::Bottom => step(model, shared, isize::MAX / 2),
        A::BudgetPeriodNext => turn(model, shared, |it| it.period = it.period.next(), out),
        A::BudgetPeriodBefore => turn(model, shared, |it| it.period = it.period.before(), out),
        A::BudgetGroup => turn(model, shared, |it| it.by = table::after(it.by), out),
        A::BudgetOpen => open(model, shared, out),
        A::BudgetEdit => begin(model, shared, None, out),
        A::BudgetMore => begin(model, shared, Some(true), out),
        A::BudgetLess => begin(model, shared, Some(false), out),
        A::BudgetPark => park(model, shared, out),
        A::BudgetExport => match model.table.costs() {
            Some(costs) => {
                let text = export::csv(costs);
                let path = export::name(model.period, model.by, shared);
                out.open(Kind::Entry(entry::Model::export(text, &path)));
            }
            None => out.note(Level::Info, "the costs are not known yet"),
        },
        A::BudgetExplain => {
            let lines = explain::lines(shared);
            out.open(Kind::Text(text::Model::sources(lines)));
        }
        _ => (),
    }
}

fn height(model: &Model) -> usize {
    model.height.unwrap_or(HEIGHT_UNKNOWN)
}

fn step(model: &mut Model, shared: &Shared, by: isize) {
    let lines = model.table.lines(shared);
    let at = lines.find(&model.at).unwrap_or(0).saturating_add_signed(by);
    // The heading between ceilings and costs is stepped over.
    let (at, real) = (at.min(lines.len() - 1), |it: &usize| lines.is_real(*it));
    let found = match 0 < by {
        true => (at..lines.len()).find(real).or_else(|| (0..at).rev().find(real)),
        false => (0..=at).rev().find(real).or_else(|| (at..lines.len()).find(real)),
    };
    if let Some(at) = found {
        go(model, shared, at);
    }
}

/// Puts the cursor on a line, if it can be there.
fn go(model: &mut Model, shared: &Shared, at: usize) {
    let lines = model.table.lines(shared);
    let (len, place) = (lines.len(), lines.get(at).and_then(table::Line::place));
    if let Some(place) = place {
        model.at = place;
        model.window.go(at, len, height(model));
    }
}

/// Shows another period or grouping.
fn turn(model: &mut Model, shared: &Shared, change: fn(&mut Model), out: &mut Out) {
    change(model);
    model.table.clear();
    if matches!(model.at, Place::Cost(_)) {
        (model.at, model.window) = (Place::default(), Window::default());
    }
    model.under_way = None;
    refresh(model, shared, out);
}

/// Returns the ceiling that the selected row is about.
fn target(model: &Model, shared: &Shared) -> Option<Target> {
    match &model.at {
        Place::Ceiling(it) => Some(it.clone()),
        Place::Cost(key) => match model.by {
            CostsBy::Task if shared.replica.task(key).is_some() => Some(Target::Task(key.clone())),
            CostsBy::Host if !key.is_empty() => Some(Target::Host(key.clone())),
            CostsBy::Day => Some(Target::Day),
            _ => None,
        },
    }
}

/// Lets the ceiling of the selected row be typed: as it is, or a tenth higher or lower.
fn begin(model: &mut Model, shared: &Shared, more: Option<bool>, out: &mut Out) {
    let Some(target) = target(model, shared) else {
        return out.note(Level::Info, "this row has no ceiling; e on a ceiling or a task sets one");
    };
    let mut edit = Edit::begin(target, shared);
    if more.is_some_and(|more| !edit.nudge(more)) {
        return out.note(Level::Info, "there is no ceiling yet; e sets one");
    }
    show_edit(model, shared, edit, out);
}

/// Goes to a ceiling and lets it be typed.
pub fn edit(model: &mut Model, shared: &Shared, target: Target, out: &mut Out) {
    show_edit(model, shared, Edit::begin(target, shared), out);
}

/// What is typed must be seen: the cursor goes to its row, and without one nothing is typed.
fn show_edit(model: &mut Model, shared: &Shared, edit: Edit, out: &mut Out) {
    let at = model.table.lines(shared).find(&row_of(&edit.target));
    match at {
        Some(at) => {
            go(model, shared, at);
            model.edit = Some(edit);
        }
        None => out.note(Level::Info, "it is not known here yet; :budget set sets a ceiling"),
    }
}

/// Returns the row in which a ceiling is typed.
fn row_of(target: &Target) -> Place {
    match target {
        Target::Task(id) => Place::Cost(id.clone()),
        it => Place::Ceiling(it.clone()),
    }
}

/// Shows what the selected row is made of.
fn open(model: &mut Model, shared: &Shared, out: &mut Out) {
    let row = match &model.at {
        Place::Cost(key) => model.table.row(key),
        Place::Ceiling(_) => return begin(model, shared, None, out),
    };
    let Some(row) = row else { return };
    let shown = match model.by {
        CostsBy::Task => text::Model::costs(row.key.clone(), &row.name),
        _ => text::Model::lines(table::name(row), explain::row(row)),
    };
    out.open(Kind::Text(shown));
}

/// Asks whether to park every task that spent more than its share of the selected ceiling, or of
/// the nearest one.
fn park(model: &Model, shared: &Shared, out: &mut Out) {
    let Some(budget) = &shared.replica.budget else { return };
    let meant = match &model.at {
        Place::Ceiling(it) => it.view(budget).filter(|it| it.ceiling_usd.is_some()),
        Place::Cost(_) => None,
    };
    let Some(ceiling) = meant.or_else(|| money::nearest(budget)) else {
        return out.note(Level::Info, "no ceiling is set, so there are no shares of it");
    };
    let host = ceiling.host.as_deref().filter(|_| ceiling.scope == "host");
    let count = parking::running(shared, host).count();
    if count == 0 {
        return out.note(Level::Info, "no task runs under it, so there is nothing to park");
    }
    let limit = ceiling.ceiling_usd.unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "there are never so many tasks")]
    let share = limit / count as f64;
    let over = parking::over_share(shared, host, share);
    let share = words::money(share);
    if over.is_empty() {
        let text = format!("none of {count} running tasks spent more than its share, ${share}");
        return out.note(Level::Info, text);
    }
    let name = money::name(ceiling);
    let limit = words::money(limit);
    let why = format!("{name}: ${limit} for {count} running tasks is ${share} each; over it:");
    out.open(Kind::Confirm(confirm::Model::park(shared, over).because(why)));
}

/// Takes a key that is text for the panel: what a ceiling is to be.
pub fn key(model: &mut Model, shared: &Shared, key: &Key, out: &mut Out) {
    let Some(edit) = &mut model.edit else { return };
    match edit.key(shared, key, out) {
        edit::Outcome::Goes => (),
        edit::Outcome::Over => model.edit = None,
    }
}

/// Takes pasted text.
pub fn paste(model: &mut Model, _shared: &Shared, text: &str, out: &mut Out) {
    match &mut model.edit {
        Some(it) => it.paste(text),
        None => out.note(Level::Info, "nothing takes text here; e sets a ceiling"),
    }
}

/// Takes a mouse event inside the panel's border; `area` is the panel with its border.
pub fn mouse(model: &mut Model, shared: &Shared, area: Rect, mouse: &Mouse, _out: &mut Out) {
    match mouse.kind {
        MouseKind::ScrollDown => step(model, shared, 3),
        MouseKind::ScrollUp => step(model, shared, -3),
        MouseKind::Down(Button::Left) if model.edit.is_none() => {
            let first = layout::inside(area).y.saturating_add(HEAD);
            let Some(row) = mouse.row.checked_sub(first) else { return };
            go(model, shared, model.window.top + usize::from(row));
        }
        _ => (),
    }
}

/// Takes costs that were asked for under a number; those of an older question are of no use.
pub fn answered_item(
    model: &mut Model,
    shared: &Shared,
    item: u64,
    result: &Result<Reply, ApiError>,
) {
    if model.under_way != Some(item) {
        return;
    }
    model.under_way = None;
    match result {
        Ok(Reply::Costs(it)) => {
            // Rows never move under the cursor.
            let stay = matches!(model.at, Place::Cost(_));
            model.table.take(Costs::clone(it), stay);
            model.problem = None;
        }
        Ok(_) => model.problem = Some("the dispatcher's answer was none".to_owned()),
        Err(error) => model.problem = Some(error.message.clone()),
    }
    follow(model, shared);
}

/// Keeps the selected row in sight, and chooses another if it is gone.
fn follow(model: &mut Model, shared: &Shared) {
    let lines = model.table.lines(shared);
    let found = lines.find(&model.at).or_else(|| {
        let near = model.window.selected.min(lines.len() - 1);
        Some(near)
            .filter(|it| lines.is_real(*it))
            .or((0..lines.len()).find(|it| lines.is_real(*it)))
    });
    if model.edit.as_ref().is_some_and(|it| lines.find(&row_of(&it.target)).is_none()) {
        model.edit = None;
    }
    match found {
        Some(at) => go(model, shared, at),
        None => (model.at, model.window) = (Place::default(), Window::default()),
    }
}

/// Money, time or size changed; `area` is the panel with its border, if it is drawn. Costs are asked
/// for only while they are seen.
pub fn changed(model: &mut Model, shared: &Shared, area: Option<Rect>, out: &mut Out) {
    let inner = area.map(layout::inside);
    let height = inner.map(|it| usize::from(it.height.saturating_sub(HEAD)));
    let resized = model.height != height;
    model.height = height;
    if height.is_none() {
        return;
    }
    if resized || model.seen != shared.replica.budget_version {
        model.seen = shared.replica.budget_version;
        follow(model, shared);
    }
    refresh(model, shared, out);
}

/// Asks for the costs, if something changed since they were asked for, and not too often.
fn refresh(model: &mut Model, shared: &Shared, out: &mut Out) {
    let up = matches!(shared.replica.connection, Connection::Up);
    if model.height.is_none() || model.under_way.is_some() || !up {
        return;
    }
    let (period, by, now) = (model.period, model.by, shared.now);
    let version = shared.replica.budget_version;
    if let Some(asked) = model.asked.filter(|it| it.period == period && it.by == by) {
        let again = asked.at.0.saturating_add(FRESH_MS);
        if asked.version == version {
            return;
        }
        // A clock that was turned back must not silence it.
        if asked.at <= now && now.0 < again {
            return out.then.push(Then::WakeAt(Timestamp(again)));
        }
    }
    model.asked = Some(Asked { period, by, version, at: now });
    model.next += 1;
    model.under_way = Some(model.next);
    let from = period.from(now, shared.facts.utc_offset_ms).map(|it| it.0);
    // The table is of the moment that the ceilings above it are of: two sums that differ by what a
    // worker cost in between are taken for a mistake.
    let to = shared.replica.budget.as_ref().map(|it| it.at.0);
    let ask = Ask::Request(Request::Costs { by, from, to });
    out.ask("costs", ask, Purpose::BudgetItem(model.next));
}
