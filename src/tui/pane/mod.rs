//! The panels. Each owns what it shows and judges the keys it is given; none knows another.

pub mod budget;
pub mod checkpoints;
pub mod inbox;
pub mod log;
pub mod tasks;
pub mod term;

use ratatui::layout::Rect;

use crate::tui::{canvas::Canvas, layout::inside, model::Shared, theme::Role, widget::frame};

/// Draws a panel's border with its titles, left and right, and returns its inside; nothing if it
/// has none.
fn framed(
    shared: &Shared,
    area: Rect,
    focused: bool,
    titles: (&str, &str),
    canvas: &mut Canvas,
) -> Option<Rect> {
    let theme = shared.look.theme;
    let (line, words) = if focused {
        (Role::BorderFocused, Role::TitleFocused)
    } else {
        (Role::Border, Role::Title)
    };
    let styles = (theme.style(line), theme.style(words));
    frame::border(canvas, area, titles.0, titles.1, styles);
    let inner = inside(area);
    (2 < area.width && 2 < area.height).then_some(inner)
}
