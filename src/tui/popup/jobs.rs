//! What is under way, and what was asked before: with time, duration and outcome.

use ratatui::layout::Rect;

use crate::{
    api::error::ApiError,
    stdx::time::{Timestamp, short},
    tui::{
        canvas::Canvas,
        keymap::Action,
        model::{Calls, Out, Shared, Then},
        msg::Reply,
        popup::PopupId,
        theme::Role,
        widget::{frame, list::Window},
    },
    vt::input::{Code, Key, Mouse, MouseKind},
};

/// The size it would like to have.
const SIZE: (u16, u16) = (96, 24);

/// Rows that a page moves by.
const PAGE: isize = 10;

/// What the popup holds.
#[derive(Debug, Default)]
pub struct Model {
    what: What,
    window: Window,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum What {
    #[default]
    Running,
    Past,
}

impl Model {
    /// Returns what is under way.
    pub fn running() -> Model {
        Model::default()
    }

    /// Returns what was asked before.
    pub fn past() -> Model {
        Model { what: What::Past, window: Window::default() }
    }
}

/// The popup was opened: asks for what it needs.
pub fn opened(_model: &mut Model, _id: PopupId, _shared: &Shared, _out: &mut Out) {}

/// It has no actions of its own.
pub fn act(_model: &mut Model, _id: PopupId, _shared: &Shared, _action: Action, _out: &mut Out) {}

/// Takes a key: moves, gives a request up, or closes.
pub fn key(model: &mut Model, _id: PopupId, _shared: &Shared, key: &Key, out: &mut Out) {
    // The number of rows is only known where it is drawn; there the window is held within it.
    let mut step = |by: isize| {
        model.window.selected = model.window.selected.saturating_add_signed(by);
    };
    match key.code {
        Code::Esc | Code::Char('q' | '&' | '@') => out.then.push(Then::Close),
        Code::Down | Code::Char('j') => step(1),
        Code::Up | Code::Char('k') => step(-1),
        Code::PageDown => step(PAGE),
        Code::PageUp => step(-PAGE),
        Code::Home | Code::Char('g') => model.window.selected = 0,
        Code::Tab => {
            *model = if model.what == What::Running { Model::past() } else { Model::running() };
        }
        Code::Char('x') if model.what == What::Running => {
            out.then.push(Then::GiveUp(model.window.selected));
        }
        _ => (),
    }
}

/// Takes pasted text: it has no use for any.
pub fn paste(_model: &mut Model, _shared: &Shared, _text: &str, _out: &mut Out) {}

/// Takes a mouse event: the wheel moves.
pub fn mouse(model: &mut Model, _shared: &Shared, mouse: &Mouse, _out: &mut Out) {
    let by = match mouse.kind {
        MouseKind::ScrollDown => 3,
        MouseKind::ScrollUp => -3,
        _ => return,
    };
    model.window.selected = model.window.selected.saturating_add_signed(by);
}

/// It asks for nothing.
pub fn answered(
    _model: &mut Model,
    _id: PopupId,
    _shared: &Shared,
    _result: &Result<Reply, ApiError>,
    _out: &mut Out,
) {
}

/// Draws it over what is there.
pub fn view(model: &Model, shared: &Shared, calls: &Calls, area: Rect, canvas: &mut Canvas) {
    let theme = shared.look.theme;
    let title = match model.what {
        What::Running => " Under way — x gives one up, Tab past requests ",
        What::Past => " Requests — Tab what is under way ",
    };
    let inside = frame::popup(canvas, area, SIZE, title, theme);
    let rows = match model.what {
        What::Running => running(calls, shared.now),
        What::Past => past(calls, shared.facts.utc_offset_ms),
    };
    if rows.is_empty() {
        let text = "nothing is under way";
        canvas.fit(inside.x + 1, inside.y, inside.width, text, theme.style(Role::Dim));
    }
    let height = usize::from(inside.height);
    let mut window = model.window;
    window.show(rows.len(), height);
    for (y, at) in (inside.y..).zip(window.rows(rows.len(), height)) {
        let row = &rows[at];
        let role = if row.failed { Role::Error } else { Role::Text };
        let x = canvas.fit(inside.x, y, inside.width, &row.when, theme.style(Role::Dim));
        let left = inside.width.saturating_sub(x - inside.x);
        canvas.fit(x, y, left, &row.text, theme.style(role));
        if at == window.selected {
            let line = Rect { y, height: 1, ..inside };
            canvas.tint(line, theme.style(Role::Selected));
        }
    }
}

struct Row {
    when: String,
    text: String,
    failed: bool,
}

fn running(calls: &Calls, now: Timestamp) -> Vec<Row> {
    let row = |call: &crate::tui::model::Call| Row {
        when: format!("{:>5}  ", short(now.since(call.since))),
        text: call.label.clone(),
        failed: false,
    };
    calls.pending.values().map(row).collect()
}

fn past(calls: &Calls, offset_ms: i64) -> Vec<Row> {
    let row = |call: &crate::tui::model::PastCall| {
        let outcome = call.error.as_ref().map_or_else(String::new, |it| format!(": {it}"));
        Row {
            when: format!("{} {:>6} ms  ", clock(call.at, offset_ms), call.took_ms),
            text: format!("{}{outcome}", call.label),
            failed: call.error.is_some(),
        }
    };
    calls.past.iter().rev().map(row).collect()
}

/// Returns the time of day, `14:31:58`.
fn clock(at: Timestamp, offset_ms: i64) -> String {
    let seconds = (at.0 + offset_ms).div_euclid(1000).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use crate::tui::{
        effect::{Ask, Effect},
        fixture::{fleet, press, screen, with_tasks},
    };

    #[test]
    fn a_request_under_way_is_listed_and_can_be_given_up() {
        let mut model = with_tasks(100, 30, fleet());
        let asked = press(&mut model, &["f10"]);
        let [Effect::Ask { id, ask: Ask::DumpRecording }, ..] = asked[..] else {
            panic!("{asked:?}")
        };
        press(&mut model, &["&"]);
        assert!(screen(&model).contains("recording"), "{}", screen(&model));
        let given_up = press(&mut model, &["x"]);
        assert!(matches!(given_up[..], [Effect::Cancel(it), ..] if it == id), "{given_up:?}");
        assert!(screen(&model).contains("nothing is under way"), "{}", screen(&model));
    }
}
