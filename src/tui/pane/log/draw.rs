//! How the log is drawn.

use ratatui::{layout::Rect, style::Style};

use crate::{
    stdx::text::one_line,
    tui::{
        canvas::Canvas,
        effect::LogView,
        layout::inside,
        model::{Panel, Shared},
        pane::log::{Model, What, buffer::Item},
        theme::Role,
        widget::{
            frame,
            lines::{self, Spot, wrap},
        },
        words,
    },
};

/// Columns of the mark before each row.
const MARK: u16 = 1;
/// Columns of a time and the blank behind it.
const TIME: u16 = 9;
/// Columns of a kind and the blank behind it.
const KIND: u16 = 6;

/// Returns how many columns stand before the text.
pub fn gutter(model: &Model) -> u16 {
    match (model.view_shown(), model.times) {
        (LogView::Terminal, _) => MARK,
        (_, true) => MARK + TIME + KIND,
        (_, false) => MARK + KIND,
    }
}

/// Returns what a view is called.
pub fn view_word(view: LogView) -> &'static str {
    match view {
        LogView::Activity => "activity",
        LogView::Events => "events",
        LogView::Terminal => "terminal",
    }
}

/// Draws the panel.
pub fn view(model: &Model, shared: &Shared, area: Rect, focused: bool, canvas: &mut Canvas) {
    let theme = shared.look.theme;
    let (line, title) = if focused {
        (Role::BorderFocused, Role::TitleFocused)
    } else {
        (Role::Border, Role::Title)
    };
    let styles = (theme.style(line), theme.style(title));
    frame::border(canvas, area, &head(model), &count(model), styles);
    let inner = inside(area).intersection(canvas.area());
    if inner.is_empty() {
        return;
    }
    if model.shown_len() == 0 {
        let text = nothing(model, shared);
        canvas.fit(inner.x, inner.y, inner.width, &text, theme.style(Role::Dim));
    }
    rows(model, shared, inner, focused, canvas);
    if let Some(it) = &model.prompt {
        let sign = match it.what {
            What::Search => "/",
            What::Filter => "show only (! for not): ",
            What::Save => "save to: ",
            What::Pipe => "| ",
        };
        let row = Rect { y: inner.bottom() - 1, height: 1, ..inner };
        canvas.fill(row, theme.style(Role::InputFocused));
        let x = canvas.text(row.x, row.y, row.width, sign, theme.style(Role::Key));
        let field = Rect { x, width: row.right().saturating_sub(x), ..row };
        it.input.view(field, focused, theme, canvas);
    }
}

fn head(model: &Model) -> String {
    let panel = Panel::Log;
    let mut text = format!(" [{}] {} ", panel.digit(), panel.title());
    let Some(source) = &model.source else { return text };
    text.push_str(&format!(" {}  {}", source.name, view_word(source.view)));
    let still = source.view == LogView::Terminal;
    if model.follow && !still {
        text.push_str("  follow");
    }
    if !model.wrap {
        text.push_str("  wrap off");
    }
    if model.tools {
        text.push_str("  tools only");
    }
    if let Some(it) = &model.filter {
        let not = if it.not { "!" } else { "" };
        text.push_str(&format!("  filter {not}{}", one_line(it.pattern.text(), 20)));
    }
    if let Some(it) = &model.pattern {
        text.push_str(&format!("  /{} {}", one_line(it.text(), 20), model.matches));
    }
    text.push(' ');
    text
}

/// Returns how many lines are held, with a sign where there are more.
fn count(model: &Model) -> String {
    if model.source.is_none() {
        return String::new();
    }
    let before = if model.buffer.older { "+" } else { "" };
    let after = if model.buffer.cut.is_empty() { "" } else { "+" };
    let reads = if model.reads.paging() { " reading" } else { "" };
    format!("{before}{}{after} lines{reads}", model.buffer.lines())
}

fn nothing(model: &Model, shared: &Shared) -> String {
    if let Some(it) = &model.trouble {
        return it.clone();
    }
    if shared.task().is_none() {
        return "no task is selected".to_owned();
    }
    if model.buffer.len() != 0 {
        return "no line passes the filter".to_owned();
    }
    match model.reads.live {
        Some(_) => "nothing yet".to_owned(),
        None => "nothing".to_owned(),
    }
}

fn rows(model: &Model, shared: &Shared, inner: Rect, focused: bool, canvas: &mut Canvas) {
    let theme = shared.look.theme;
    let gutter = gutter(model).min(inner.width);
    let (width, breaks) = (model.size.0, model.breaks());
    let other = model.anchor.unwrap_or(model.cursor);
    let selected = model.cursor.min(other)..=model.cursor.max(other);
    let mut y = inner.y;
    for at in model.top.line..model.shown_len() {
        let Some(item) = model.item(at) else { break };
        let matches = model.pattern.as_ref().map(|it| it.find(&item.line.text)).unwrap_or_default();
        let skip = if at == model.top.line { model.top.row } else { 0 };
        for (number, row) in wrap(&item.line.text, width, breaks).into_iter().enumerate().skip(skip)
        {
            if inner.bottom() <= y {
                return;
            }
            if number == 0 {
                before(model, shared, item, (inner.x, y), gutter, canvas);
            }
            let spot = Spot { x: inner.x + gutter, y, width: inner.width - gutter };
            let found = (matches.as_slice(), theme.style(Role::Match));
            lines::draw(canvas, spot, &item.line, row, found);
            let text = Rect { x: spot.x, y, width: spot.width, height: 1 };
            if model.view_shown() != LogView::Terminal && matches.is_empty() {
                canvas.tint(text, kind_style(shared, item));
            }
            let moves = focused && (!model.follow || model.anchor.is_some());
            if moves && selected.contains(&at) {
                canvas.tint(
                    Rect { x: inner.x, width: inner.width, ..text },
                    theme.style(Role::Selected),
                );
            }
            y += 1;
        }
    }
}

/// Draws mark, time and kind of a row's line.
fn before(
    model: &Model,
    shared: &Shared,
    item: &Item,
    (x, y): (u16, u16),
    gutter: u16,
    canvas: &mut Canvas,
) {
    let theme = shared.look.theme;
    if item.marked {
        canvas.text(x, y, gutter, "*", theme.style(Role::Marked));
    }
    if model.view_shown() == LogView::Terminal || !item.head {
        return;
    }
    let right = x + gutter;
    let mut at = x + MARK;
    if model.times {
        if let Some(time) = item.at {
            let clock = words::time_of_day(time, shared.facts.utc_offset_ms, true);
            canvas.text(at, y, right.saturating_sub(at), &clock, theme.style(Role::Dim));
        }
        at += TIME;
    }
    let room = right.saturating_sub(at).min(KIND - 1);
    canvas.text(at, y, room, &item.kind, kind_style(shared, item));
}

fn kind_style(shared: &Shared, item: &Item) -> Style {
    let role = match item.kind.as_str() {
        "you" => Role::LogYou,
        "tool" => Role::LogTool,
        "out" => Role::LogOut,
        "fail" => Role::LogFail,
        "text" => Role::LogText,
        "cost" => Role::Money,
        "event" | "hook" | "note" | "ckpt" | "host" => Role::LogEvent,
        "think" => Role::Dim,
        _ => Role::Text,
    };
    shared.look.theme.style(role)
}
