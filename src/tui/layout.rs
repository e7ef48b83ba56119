//! Where everything is drawn: pure, and shared by `update` (sizes, mouse) and `view`.

use ratatui::layout::{Constraint, Layout as Split, Rect};
use serde::{Deserialize, Serialize};

use crate::tui::model::{Attached, Panel};

/// The smallest screen on which panels are drawn; below it one line says so.
pub const SMALLEST: (u16, u16) = (60, 16);

/// From this size on there are two columns and two rows of panels.
const WIDE: (u16, u16) = (110, 30);

/// Sizes a person chose, kept for each kind of layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Prefs {
    /// The tasks' share of the width on a wide screen, in percent.
    pub wide_left: u16,
    /// The upper panels' share of the height on a wide screen, in percent.
    pub wide_top: u16,
    /// The tasks' share of the height on a narrow screen, in percent.
    pub narrow_top: u16,
    /// The tasks' share of the width while attached on a wide screen, in percent.
    pub attached_left: u16,
}

impl Default for Prefs {
    fn default() -> Prefs {
        Prefs { wide_left: 58, wide_top: 60, narrow_top: 50, attached_left: 30 }
    }
}

/// The shares that a panel may have, in percent.
const SHARES: std::ops::RangeInclusive<u16> = 15..=85;

impl Prefs {
    /// Returns sizes with which every panel is still seen.
    pub fn within_bounds(self) -> Prefs {
        let bound = |it: u16| it.clamp(*SHARES.start(), *SHARES.end());
        Prefs {
            wide_left: bound(self.wide_left),
            wide_top: bound(self.wide_top),
            narrow_top: bound(self.narrow_top),
            attached_left: bound(self.attached_left),
        }
    }
}

/// The kinds of layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Too small for panels.
    Tiny,
    /// One panel is all there is.
    Full,
    /// Tasks above, one other panel below.
    Narrow,
    /// Tasks and preview above, log and one other panel below.
    Wide,
    /// Tasks at the left, the attached terminal beside them.
    Attached,
}

/// What decides the layout besides the size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The panel that has the keys.
    pub focus: Panel,
    /// The panel shown in the lower half of a narrow screen.
    pub lower: Panel,
    /// The panel shown at the lower right of a wide one.
    pub corner: Panel,
    /// Whether the focused panel has the whole screen.
    pub full: bool,
    /// Whether a terminal is attached.
    pub attached: Option<Attached>,
}

/// Where everything is. A panel without an area is not drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Areas {
    /// Which kind it is.
    pub kind: Kind,
    /// The line with the counts.
    pub header: Rect,
    /// The line with the gauge.
    pub gauge: Rect,
    /// The panels with their borders, in drawing order.
    pub panels: Vec<(Panel, Rect)>,
    /// The line for what was done and what can be undone.
    pub message: Rect,
    /// The line of keys.
    pub footer: Rect,
}

impl Areas {
    /// Returns where a panel is, if it is drawn.
    pub fn panel(&self, panel: Panel) -> Option<Rect> {
        self.panels.iter().find(|it| it.0 == panel).map(|it| it.1)
    }

    /// Returns which panel is at a place.
    pub fn at(&self, col: u16, row: u16) -> Option<Panel> {
        let place = ratatui::layout::Position { x: col, y: row };
        self.panels.iter().rev().find(|it| it.1.contains(place)).map(|it| it.0)
    }
}

/// Returns the inside of a panel's border.
pub fn inside(panel: Rect) -> Rect {
    Rect {
        x: panel.x.saturating_add(1),
        y: panel.y.saturating_add(1),
        width: panel.width.saturating_sub(2),
        height: panel.height.saturating_sub(2),
    }
}

/// Divides the screen.
pub fn layout(area: Rect, prefs: &Prefs, shape: &Shape) -> Areas {
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        return tiny(area, shape);
    }
    let lines = [
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
        Constraint::Length(1),
    ];
    let [header, gauge, body, message, footer] = Split::vertical(lines).areas(area);
    let wide = WIDE.0 <= area.width && WIDE.1 <= area.height;
    let (kind, panels) = if shape.full || (shape.attached.is_some() && !wide) {
        let panel = if shape.attached.is_some() { Panel::Preview } else { shape.focus };
        (Kind::Full, vec![(panel, body)])
    } else if shape.attached.is_some() {
        (Kind::Attached, attached(body, prefs))
    } else if wide {
        (Kind::Wide, wide_panels(body, prefs, shape))
    } else {
        (Kind::Narrow, narrow(body, prefs, shape))
    };
    Areas { kind, header, gauge, panels, message, footer }
}

fn tiny(area: Rect, shape: &Shape) -> Areas {
    let none = Rect { height: 0, ..area };
    // A session stays usable however small the screen is.
    let panels = match shape.attached {
        Some(_) => vec![(Panel::Preview, area)],
        None => Vec::new(),
    };
    Areas { kind: Kind::Tiny, header: area, gauge: none, panels, message: none, footer: none }
}

fn attached(body: Rect, prefs: &Prefs) -> Vec<(Panel, Rect)> {
    let [left, right] =
        Split::horizontal([Constraint::Percentage(prefs.attached_left), Constraint::Fill(1)])
            .areas(body);
    vec![(Panel::Tasks, left), (Panel::Preview, right)]
}

fn wide_panels(body: Rect, prefs: &Prefs, shape: &Shape) -> Vec<(Panel, Rect)> {
    let rows = [Constraint::Percentage(prefs.wide_top), Constraint::Fill(1)];
    let columns = [Constraint::Percentage(prefs.wide_left), Constraint::Fill(1)];
    let [top, bottom] = Split::vertical(rows).areas(body);
    let [tasks, preview] = Split::horizontal(columns).areas(top);
    let [log, corner] = Split::horizontal(columns).areas(bottom);
    vec![
        (Panel::Tasks, tasks),
        (Panel::Preview, preview),
        (Panel::Log, log),
        (shape.corner, corner),
    ]
}

fn narrow(body: Rect, prefs: &Prefs, shape: &Shape) -> Vec<(Panel, Rect)> {
    let rows = [Constraint::Percentage(prefs.narrow_top), Constraint::Fill(1)];
    let [top, bottom] = Split::vertical(rows).areas(body);
    vec![(Panel::Tasks, top), (shape.lower, bottom)]
}
