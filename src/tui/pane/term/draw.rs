//! How the panel is drawn: border with the ways out, the screen's cells, or what is known.

use ratatui::{
    layout::{Position, Rect},
    style::Style,
};

use crate::{
    stdx::text::one_line,
    tui::{
        canvas::{Canvas, CursorAt, Extra, style_of},
        effect::TermKind,
        layout::inside,
        model::{Panel, Shared, replica::Letter},
        pane::term::{
            Model, exits,
            held::{Held, State},
            live::Live,
            look::Subject,
        },
        theme::Role,
        widget::{
            frame,
            lines::{self, Break, Rich, Spot, safe_link, wrap},
        },
        words,
    },
    vt::{cell::Underline, screen::CellRef},
};

/// What is clicked to leave.
const LEAVE: &str = "[leave]";

/// Draws the panel.
pub fn view(model: &Model, shared: &Shared, area: Rect, focused: bool, canvas: &mut Canvas) {
    border(model, shared, area, focused, canvas);
    let inner = inside(area).intersection(canvas.area());
    if inner.is_empty() {
        return;
    }
    match (&model.scroll, &model.shown) {
        (Some(scroll), _) if scroll.ready() => scroll.view(shared, inner, focused, canvas),
        (_, Some(live)) => {
            screen(live, inner, canvas);
            if focused && matches!(&model.held, Some(it) if it.state == State::Live) {
                cursor(live, inner, canvas);
            }
        }
        (_, None) => card(model, shared, inner, canvas),
    }
    if let Some(held) = &model.held {
        banner(held, shared, inner, canvas);
    }
}

fn border(model: &Model, shared: &Shared, area: Rect, focused: bool, canvas: &mut Canvas) {
    let theme = shared.look.theme;
    let (line, words) = match (&model.held, focused) {
        (Some(_), true) => (Role::BorderAttached, Role::TitleFocused),
        (_, true) => (Role::BorderFocused, Role::TitleFocused),
        (_, false) => (Role::Border, Role::Title),
    };
    let styles = (theme.style(line), theme.style(words));
    let (title, right) = titles(model, shared);
    frame::border(canvas, area, &title, &right, styles);
    let foot = foot(model, shared);
    if area.width < 4 || area.height < 2 {
        return;
    }
    let y = area.bottom() - 1;
    let mut room = area.width - 2;
    if let Some(it) = leave_box(model, area) {
        canvas.text(it.x, it.y, it.width, LEAVE, theme.style(Role::Key));
        room = it.x.saturating_sub(area.x + 2);
    }
    if !foot.is_empty() {
        canvas.fit(area.x + 1, y, room, &format!(" {foot} "), styles.1);
    }
}

/// Returns what stands at the left and at the right of the upper border.
fn titles(model: &Model, shared: &Shared) -> (String, String) {
    if let Some(held) = &model.held {
        let word = match (&held.state, held.kind) {
            (State::Ended { .. }, _) => "ENDED",
            (State::Broken { .. }, _) => "NOT CONNECTED",
            (State::Opening, _) => "OPENING",
            (State::Live, TermKind::Shell) => "SHELL",
            (State::Live, _) => "ATTACHED",
        };
        let own = model.shown.as_ref().and_then(|it| it.screen.title());
        let own = own.map(|it| one_line(it, 60)).unwrap_or_default();
        let mouse = if model.mouse == Some(false) { "mouse off " } else { "" };
        return (format!(" {}  {word}  {mouse}", held.name), own);
    }
    let panel = Panel::Preview;
    let mut title = format!(" [{}] {} ", panel.digit(), panel.title());
    let Some(task) = shared.task() else { return (title, String::new()) };
    title.push_str(&format!(" {} ", one_line(&task.name, 60)));
    let live = model.shown.as_ref().is_some_and(|it| it.open && it.spoke);
    let word = match (&model.subject, live) {
        (_, true) => "live",
        (Some(Subject::Past { .. }), _) => "ended",
        (_, false) if model.trouble.is_some() => "not live",
        (_, false) => "",
    };
    (title, word.to_owned())
}

/// Returns what stands on the lower border.
fn foot(model: &Model, shared: &Shared) -> String {
    if let Some(scroll) = &model.scroll {
        return scroll.words();
    }
    match &model.held {
        Some(held) => {
            let ways = exits::exits(shared, held.kind);
            if ways.is_empty() { String::new() } else { format!("{} leaves", ways.join(" or ")) }
        }
        None => match &model.trouble {
            Some(it) => one_line(it, 120),
            None => saved(shared),
        },
    }
}

/// Says when the task was saved last, or why it was not.
fn saved(shared: &Shared) -> String {
    let Some(task) = shared.task().filter(|it| it.session.is_some()) else { return String::new() };
    if let Some(why) = &task.checkpoint_failed {
        return format!("! no checkpoint: {}", one_line(why, 120));
    }
    let last = words::last_checkpoint(task, shared.now, shared.facts.utc_offset_ms);
    last.map(|it| format!("last checkpoint {it}")).unwrap_or_default()
}

/// Returns where `[leave]` is, if there is anything to leave and room for it.
pub fn leave_box(model: &Model, area: Rect) -> Option<Rect> {
    let width = u16::try_from(LEAVE.len()).unwrap_or(0);
    let room = model.held.is_some() && width + 3 < area.width && 1 < area.height;
    room.then(|| Rect { x: area.right() - width - 2, y: area.bottom() - 1, width, height: 1 })
}

/// Says over the last row what became of the terminal.
fn banner(held: &Held, shared: &Shared, inner: Rect, canvas: &mut Canvas) {
    let (text, role) = match &held.state {
        State::Live => return,
        State::Opening => (" opening ".to_owned(), Role::Dim),
        State::Ended { why } => (format!(" ended: {why}  (any key leaves) "), Role::Warning),
        State::Broken { why, .. } => {
            let text = format!(" not connected: {why}; comes back by itself, keys are not sent ");
            (text, Role::Warning)
        }
    };
    let line = Rect { y: inner.bottom() - 1, height: 1, ..inner };
    let style = shared.look.theme.style(role);
    canvas.fill(line, style);
    canvas.fit(line.x, line.y, line.width, &text, style);
}

/// Draws the cells of a terminal. What was drawn for another size is cut, never stretched.
fn screen(live: &Live, inner: Rect, canvas: &mut Canvas) {
    let mut text = String::new();
    for row in 0..live.rows().min(inner.height) {
        let y = inner.y + row;
        live.screen.cells(row, &mut |col, cell| {
            if col < inner.width {
                put(canvas, (inner.x + col, y), &cell, inner.right(), &mut text);
            }
        });
    }
}

fn put(canvas: &mut Canvas, (x, y): (u16, u16), cell: &CellRef<'_>, right: u16, text: &mut String) {
    let style = style_of(&cell.look);
    let target = &mut canvas.buf[(x, y)];
    target.reset();
    target.set_style(style);
    let cut = cell.width == 0 || right < x.saturating_add(u16::from(cell.width));
    if cut || cell.c.is_control() {
        // The second half of a wide character, or a half of one that has no room.
    } else if cell.marks.is_empty() {
        target.set_char(cell.c);
    } else {
        text.clear();
        text.push(cell.c);
        text.extend(cell.marks.iter().filter(|it| !it.is_control()));
        target.set_symbol(text);
    }
    let plain = matches!(cell.look.underline, Underline::None | Underline::Single);
    if !plain || cell.link.is_some() {
        let link = cell.link.filter(|it| safe_link(it)).map_or(0, |it| canvas.link(it));
        canvas.set_extra(x, y, Extra { underline: cell.look.underline, link });
    }
}

fn cursor(live: &Live, inner: Rect, canvas: &mut Canvas) {
    let Some(it) = live.screen.cursor() else { return };
    if it.col < inner.width && it.row < inner.height.min(live.rows()) {
        let at = Position { x: inner.x + it.col, y: inner.y + it.row };
        canvas.cursor = Some(CursorAt { at, shape: it.shape, blink: it.blink });
    }
}

/// Draws what is known of a task whose terminal is not shown.
fn card(model: &Model, shared: &Shared, inner: Rect, canvas: &mut Canvas) {
    let theme = shared.look.theme;
    let (dim, text) = (theme.style(Role::Dim), theme.style(Role::Text));
    let Some(task) = shared.task() else {
        canvas.fit(inner.x, inner.y, inner.width, " no task is selected", dim);
        return;
    };
    let at = words::clock(task.since, shared.now, shared.facts.utc_offset_ms);
    let letter = Letter::of(task).char();
    let mut head = vec![Rich::plain(&format!("{letter} {} since {at}", task.state), text)];
    let reason = task.reason.as_deref().or(task.because.as_deref());
    head.extend(reason.map(|it| Rich::plain(&one_line(it, 400), text)));
    let offset = shared.facts.utc_offset_ms;
    if let Some(it) = words::last_checkpoint(task, shared.now, offset) {
        head.push(Rich::plain(&format!("last checkpoint {it}"), text));
    }
    if let Some(why) = &task.checkpoint_failed {
        let why = format!("! no checkpoint: {}", one_line(why, 400));
        head.push(Rich::plain(&why, theme.style(Role::Warning)));
    }
    head.extend(task.asks.iter().map(|it| Rich::plain(&one_line(&it.summary, 400), text)));
    let body = if model.past.lines.is_empty() { &model.past.answer } else { &model.past.lines };
    if body.is_empty() {
        head.push(Rich::plain(&format!("prompt: {}", one_line(&task.prompt, 800)), dim));
        head.push(Rich::plain(&format!("last:   {}", one_line(&task.last, 400)), dim));
    }
    let mut y = inner.y;
    let used = paragraph(&head, inner, &mut y, canvas);
    let rest = Rect { y: inner.y + used, height: inner.height - used, ..inner };
    if body.is_empty() || rest.height < 2 {
        return;
    }
    let bar = "─".repeat(usize::from(rest.width));
    canvas.text(rest.x, rest.y, rest.width, &bar, theme.style(Role::Border));
    let rest = Rect { y: rest.y + 1, height: rest.height - 1, ..rest };
    // Of a screen the end matters, of an answer the beginning.
    let screen = !model.past.lines.is_empty();
    let skip = if screen { body.len().saturating_sub(usize::from(rest.height)) } else { 0 };
    let mut y = rest.y;
    paragraph(&body[skip..], rest, &mut y, canvas);
}

/// Draws lines one below the other, and returns how many rows they took.
fn paragraph(text: &[Rich], area: Rect, y: &mut u16, canvas: &mut Canvas) -> u16 {
    for line in text {
        for row in wrap(&line.text, area.width, Break::Blanks) {
            if area.bottom() <= *y {
                return area.height;
            }
            let spot = Spot { x: area.x, y: *y, width: area.width };
            lines::draw(canvas, spot, line, row, (&[], Style::new()));
            *y += 1;
        }
    }
    *y - area.y
}
