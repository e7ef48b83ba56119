//! Borders with titles, and the boxes of popups.

use ratatui::{layout::Rect, style::Style};

use crate::tui::{
    canvas::Canvas,
    theme::{Role, Theme},
};

/// Draws a border with a title in its upper left and another at its upper right.
pub fn border(canvas: &mut Canvas, area: Rect, title: &str, right: &str, style: (Style, Style)) {
    if area.width < 2 || area.height < 2 {
        return;
    }
    let (line, words) = style;
    let (left, end) = (area.left(), area.right() - 1);
    let (top, bottom) = (area.top(), area.bottom() - 1);
    let bar = "─".repeat(usize::from(area.width - 2));
    for (y, corners) in [(top, ["┌", "┐"]), (bottom, ["└", "┘"])] {
        canvas.text(left, y, 1, corners[0], line);
        canvas.text(left + 1, y, area.width - 2, &bar, line);
        canvas.text(end, y, 1, corners[1], line);
    }
    for y in top + 1..bottom {
        canvas.text(left, y, 1, "│", line);
        canvas.text(end, y, 1, "│", line);
    }
    let room = area.width.saturating_sub(2);
    let used = canvas.fit(left + 1, top, room, title, words) - left;
    let width = u16::try_from(unicode_width::UnicodeWidthStr::width(right)).unwrap_or(u16::MAX);
    if !right.is_empty() && used.saturating_add(width).saturating_add(2) < area.width {
        canvas.text(end - width, top, width, right, line);
    }
}

/// Clears a box in the middle of `area`, of at most this size, draws its border and title, and
/// returns its inside.
pub fn popup(canvas: &mut Canvas, area: Rect, size: (u16, u16), title: &str, theme: Theme) -> Rect {
    let (width, height) = (size.0.min(area.width), size.1.min(area.height));
    let outer = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    canvas.fill(outer, theme.style(Role::Popup));
    let styles = (theme.style(Role::PopupBorder), theme.style(Role::Title));
    border(canvas, outer, title, "", styles);
    crate::tui::layout::inside(outer)
}

/// Draws text of several lines, wrapped between words, and returns the row after it. What does not
/// fit is not drawn.
pub fn paragraph(canvas: &mut Canvas, area: Rect, text: &str, style: Style) -> u16 {
    let mut y = area.y;
    for line in text.split('\n') {
        for row in crate::tui::widget::editor::wrap::wrap(line, area.width) {
            if area.bottom() <= y {
                return y;
            }
            canvas.text(area.x, y, area.width, line[row].trim_end(), style);
            y += 1;
        }
    }
    y
}
