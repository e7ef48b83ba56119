//! How the panel looks: the list, and beside or below it what is known of the selected one.

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use crate::{
    api::checkpoints::CheckpointView,
    stdx::text::one_line,
    tui::{
        canvas::Canvas,
        keymap::{Action, Context},
        layout::inside,
        model::Shared,
        pane::{
            checkpoints::{By, Model, detail},
            framed,
        },
        theme::Role,
        widget::lines::{Break, wrap},
        words,
    },
};

/// From so many columns on the detail stands beside the list.
const BESIDE: u16 = 96;

/// Columns and rows from which on it does so too: a narrow screen that is all the panel's.
const BESIDE_TALL: (u16, u16) = (76, 14);

/// Columns of the list where the detail stands beside it, on few columns and on many.
const LIST: (u16, u16) = (42, 46);

/// Columns before the time: the cursor, what is special, and a blank.
const LEAD: u16 = 3;

/// Columns of a size, right-aligned.
const SIZE: u16 = 7;

/// Columns of the words at the left of the detail.
const LABEL: u16 = 13;

/// Where the parts of the panel are. One that is not drawn is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    pub list: Rect,
    pub detail: Rect,
}

impl Places {
    /// Returns where they are; `area` is the panel with its border.
    pub fn of(model: &Model, area: Rect) -> Places {
        let inner = inside(area);
        let tall = BESIDE_TALL.0 <= inner.width && BESIDE_TALL.1 <= inner.height;
        if (BESIDE <= inner.width || tall) && !model.order.is_empty() {
            let width = if BESIDE <= inner.width { LIST.1 } else { LIST.0 };
            let list = Rect { width, ..inner };
            let x = inner.x + width + 2;
            let detail = Rect { x, width: inner.right().saturating_sub(x), ..inner };
            return Places { list, detail };
        }
        let wanted = u16::try_from(model.order.len().max(1)).unwrap_or(u16::MAX);
        // What is said when there is none takes two lines.
        let wanted = if model.order.is_empty() { 2 } else { wanted };
        let list = Rect { height: inner.height.min(wanted), ..inner };
        let rest = inner.height - list.height;
        // A blank line keeps them apart.
        let detail =
            Rect { y: list.bottom().saturating_add(1), height: rest.saturating_sub(1), ..inner };
        Places { list, detail }
    }
}

/// Draws the panel with its border.
pub fn view(model: &Model, shared: &Shared, area: Rect, focused: bool, canvas: &mut Canvas) {
    let (title, right) = titles(model, shared);
    let Some(inner) = framed(shared, area, focused, (&title, &right), canvas) else { return };
    let theme = shared.look.theme;
    let places = Places::of(model, area);
    if model.order.is_empty() {
        empty(model, shared, places.list, canvas);
    }
    let columns = Columns::of(model, shared, places.list.width);
    let drawn = model.window.rows(model.order.len(), usize::from(places.list.height));
    for (row, y) in drawn.zip(places.list.y..) {
        let at = Rect { y, height: 1, ..places.list };
        let Some(it) = model.row(row) else { continue };
        let selected = row == model.window.selected;
        checkpoint(model, shared, it, selected, (at, columns), canvas);
        if selected {
            let role = if focused { Role::Selected } else { Role::SelectedElsewhere };
            canvas.tint(at, theme.style(role));
        }
    }
    if places.detail.y == inner.y && !places.detail.is_empty() {
        for y in inner.y..inner.bottom() {
            canvas.text(places.list.right(), y, 1, "│", theme.style(Role::Border));
        }
    }
    tell(model, shared, places.detail, canvas);
}

/// Draws what is known of the selected one; long lines go on below if there is room for all.
fn tell(model: &Model, shared: &Shared, area: Rect, canvas: &mut Canvas) {
    let area = area.intersection(canvas.area());
    let theme = shared.look.theme;
    let x = area.x.saturating_add(1);
    let (label_width, text_x) =
        (LABEL.min(area.right().saturating_sub(x)), x.saturating_add(LABEL));
    let width = area.right().saturating_sub(text_x);
    let whole = detail::ROOMY <= area.height && 0 < width;
    let mut y = area.y;
    for (label, text, role) in detail::lines(model, shared) {
        if area.bottom() <= y {
            return;
        }
        canvas.fit(x, y, label_width, label, theme.style(Role::Dim));
        let rows = if whole { wrap(&text, width, Break::Blanks) } else { Vec::new() };
        if rows.len() <= 1 {
            canvas.fit(text_x, y, width, &text, theme.style(role));
            y += 1;
        } else {
            for row in rows.into_iter().take(usize::from(area.bottom() - y)) {
                canvas.text(text_x, y, width, text[row].trim_start(), theme.style(role));
                y += 1;
            }
        }
    }
}

fn titles(model: &Model, shared: &Shared) -> (String, String) {
    let name = shared.task().map(|it| one_line(&it.name, 40)).unwrap_or_default();
    let mut title = format!("[4] Checkpoints  {name}");
    if let Some(list) = model.list.as_ref().filter(|it| !it.is_empty()) {
        let bytes = list.iter().filter_map(|it| it.stored_bytes).fold(0, u64::saturating_add);
        title.push_str(&format!(" {} — {}", list.len(), words::bytes(bytes)));
    }
    let right = match model.by {
        By::Time => String::new(),
        by => format!("by {} ", by.name()),
    };
    (title, right)
}

/// Says why there is none.
fn empty(model: &Model, shared: &Shared, at: Rect, canvas: &mut Canvas) {
    let Some(task) = shared.task() else {
        return say(&["no task is selected"], Role::Dim, shared, at, canvas);
    };
    if let Some(trouble) = &model.trouble {
        let text = format!("they cannot be listed: {}", one_line(trouble, 300));
        return say(&[&text], Role::Warning, shared, at, canvas);
    }
    if model.list.is_none() {
        return say(&["asking the dispatcher"], Role::Dim, shared, at, canvas);
    }
    if let Some(why) = &task.checkpoint_failed {
        let text = format!("! the last attempt failed: {}", one_line(why, 300));
        return say(&[&text], Role::Warning, shared, at, canvas);
    }
    let key = shared.look.keymap.label(Context::Checkpoints, Action::CheckpointCreate);
    let now = key.map_or_else(String::new, |it| format!("{it} makes one now"));
    let first = match task.attempts {
        0 => "none yet: the first comes once it has run",
        _ => "none yet: the first comes when a turn ends",
    };
    say(&[first, &now], Role::Dim, shared, at, canvas);
}

fn say(lines: &[&str], role: Role, shared: &Shared, at: Rect, canvas: &mut Canvas) {
    let style = shared.look.theme.style(role);
    for (line, y) in lines.iter().zip(at.y..at.bottom()) {
        canvas.fit(at.x.saturating_add(1), y, at.width.saturating_sub(1), line, style);
    }
}

/// How wide the columns are.
#[derive(Clone, Copy)]
struct Columns {
    time: u16,
    label: u16,
    change: u16,
    size: u16,
}

impl Columns {
    fn of(model: &Model, shared: &Shared, width: u16) -> Columns {
        let list = model.list.as_deref().unwrap_or_default();
        let most = |text: &dyn Fn(&CheckpointView) -> usize| {
            u16::try_from(list.iter().map(text).max().unwrap_or(0)).unwrap_or(u16::MAX)
        };
        let change = most(&|it| words::changed(it).width()).min(13);
        let room = width.saturating_sub(LEAD + 1);
        let long = most(&|it| moment(it, shared).width());
        // A date with a time only where a name still has room.
        let time = if long + 16 + change + SIZE <= room { long } else { long.min(6) };
        let size = if time + 8 + change + SIZE <= room { SIZE } else { 0 };
        let used = time + 1 + change + 1 + size + u16::from(size != 0);
        Columns { time, label: room.saturating_sub(used), change, size }
    }
}

fn moment(it: &CheckpointView, shared: &Shared) -> String {
    words::moment(it.at, shared.now, shared.facts.utc_offset_ms)
}

fn checkpoint(
    model: &Model,
    shared: &Shared,
    it: &CheckpointView,
    selected: bool,
    (at, columns): (Rect, Columns),
    canvas: &mut Canvas,
) {
    let theme = shared.look.theme;
    let marked = model.marks.contains(&it.id);
    let cursor = if marked {
        "="
    } else if selected {
        ">"
    } else {
        " "
    };
    canvas.text(at.x, at.y, 1.min(at.width), cursor, theme.style(Role::Marked));
    let (flag, role) = flag(it);
    canvas.text(at.x + 1, at.y, at.width.saturating_sub(1).min(1), flag, theme.style(role));
    let mut x = at.x.saturating_add(LEAD);
    let mut cell = |width: u16, text: &str, right: bool, role: Role| {
        let width = width.min(at.right().saturating_sub(x));
        let wide = u16::try_from(text.width()).unwrap_or(u16::MAX);
        let shift = if right { width.saturating_sub(wide) } else { 0 };
        canvas.fit(x + shift, at.y, width - shift, text, theme.style(role));
        x = x.saturating_add(width + 1);
    };
    let time = match moment(it, shared) {
        long if usize::from(columns.time) < long.width() => {
            words::clock(it.at, shared.now, shared.facts.utc_offset_ms)
        }
        fits => fits,
    };
    cell(columns.time, &time, false, Role::Dim);
    let before = it.label.is_none() && it.trigger.as_str().starts_with("before-");
    let role = if marked {
        Role::Marked
    } else if before {
        Role::Dim
    } else {
        Role::Text
    };
    cell(columns.label, &words::checkpoint(it), false, role);
    cell(columns.change, &words::changed(it), true, Role::Text);
    if columns.size != 0 {
        let size = it.stored_bytes.map_or_else(|| "…".to_owned(), words::bytes);
        cell(columns.size, &size, true, Role::Dim);
    }
}

/// Returns what is special about a checkpoint, the worst first.
fn flag(it: &CheckpointView) -> (&'static str, Role) {
    match it {
        CheckpointView { damage: Some(_), .. } => ("!", Role::Error),
        CheckpointView { stored_bytes: None, .. } => ("…", Role::Dim),
        CheckpointView { pinned: true, .. } => ("*", Role::Marked),
        _ => (" ", Role::Text),
    }
}
