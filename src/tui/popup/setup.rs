//! What this machine needs before Claude can work, how to get it, and whether it is there now.

use ratatui::layout::Rect;

use crate::{
    api::{
        checks::{self, Check},
        error::ApiError,
    },
    tui::{
        canvas::Canvas,
        effect::Effect,
        keymap::Action,
        model::{Level, Out, Shared, Then},
        msg::Reply,
        popup::PopupId,
        theme::Role,
        widget::frame,
    },
    vt::input::{Code, Key, Mouse},
};

/// The size it would like to have.
const SIZE: (u16, u16) = (78, 22);

/// What the popup holds.
#[derive(Debug, Default)]
pub struct Model {
    /// The first line drawn.
    top: u16,
}

/// Returns what was looked at, if the dispatcher has told.
pub fn found(shared: &Shared) -> Option<Vec<Check>> {
    let status = shared.replica.status.as_ref()?;
    let facts = checks::Facts { login_variable: shared.facts.login_variable.clone() };
    Some(checks::checks(status, &facts))
}

/// Tells whether something is missing without which no task can run.
pub fn blocks(shared: &Shared) -> bool {
    found(shared).is_some_and(|it| it.iter().any(|check| check.blocking && !check.ok))
}

/// The popup was opened: asks how things are now.
pub fn opened(_model: &mut Model, _id: PopupId, _shared: &Shared, out: &mut Out) {
    out.effects.push(Effect::AskStatus);
}

/// It has no actions of its own.
pub fn act(_model: &mut Model, _id: PopupId, _shared: &Shared, _action: Action, _out: &mut Out) {}

/// Takes a key: looks again, copies a command, scrolls, or closes.
pub fn key(model: &mut Model, _id: PopupId, shared: &Shared, key: &Key, out: &mut Out) {
    match key.code {
        Code::Esc | Code::Char('q') | Code::Enter => out.then.push(Then::Close),
        Code::Char('r') => {
            out.effects.push(Effect::AskStatus);
            out.note(Level::Info, "looking again");
        }
        Code::Char('c') => match first_command(shared) {
            Some(command) => {
                out.note(Level::Done, format!("copied: {command}"));
                out.effects.push(Effect::Copy(command));
            }
            None => out.note(Level::Info, "there is no command to copy"),
        },
        Code::Down | Code::Char('j') => model.top = model.top.saturating_add(1),
        Code::Up | Code::Char('k') => model.top = model.top.saturating_sub(1),
        _ => (),
    }
}

/// Returns the first command that puts something right; commands stand between back quotes.
fn first_command(shared: &Shared) -> Option<String> {
    let checks = found(shared)?;
    let steps = checks.iter().filter(|it| !it.ok).flat_map(|it| &it.fix);
    steps.filter_map(|it| it.split('`').nth(1)).map(str::to_owned).next()
}

/// Takes pasted text: it has no use for any.
pub fn paste(_model: &mut Model, _shared: &Shared, _text: &str, _out: &mut Out) {}

/// Takes a mouse event: it has no use for any.
pub fn mouse(_model: &mut Model, _shared: &Shared, _mouse: &Mouse, _out: &mut Out) {}

/// It asks for nothing by name: the status comes with the feed.
pub fn answered(
    _model: &mut Model,
    _id: PopupId,
    _shared: &Shared,
    _result: &Result<Reply, ApiError>,
    _out: &mut Out,
) {
}

/// Draws it over what is there.
pub fn view(model: &Model, shared: &Shared, area: Rect, canvas: &mut Canvas) {
    let theme = shared.look.theme;
    let title = " Setup — r looks again, c copies the command, Esc goes on ";
    let inside = frame::popup(canvas, area, SIZE, title, theme);
    let lines = lines(shared);
    let height = usize::from(inside.height);
    let top = usize::from(model.top).min(lines.len().saturating_sub(height));
    for (y, (role, text)) in (inside.y..inside.bottom()).zip(lines.iter().skip(top)) {
        canvas.fit(inside.x + 1, y, inside.width.saturating_sub(1), text, theme.style(*role));
    }
}

fn lines(shared: &Shared) -> Vec<(Role, String)> {
    let Some(checks) = found(shared) else {
        return vec![(Role::Dim, "asking the dispatcher …".to_owned())];
    };
    let missing = checks.iter().filter(|it| !it.ok && it.blocking).count();
    let mut lines = vec![match missing {
        0 => (Role::Good, "Everything that a task needs is here.".to_owned()),
        1 => (Role::Warning, "One thing is missing before a task can run:".to_owned()),
        n => (Role::Warning, format!("{n} things are missing before a task can run:")),
    }];
    lines.push((Role::Text, String::new()));
    for check in &checks {
        let (role, word) = match (check.ok, check.blocking) {
            (true, _) => (Role::Good, "ok  "),
            (false, true) => (Role::Error, "MISS"),
            (false, false) => (Role::Warning, "warn"),
        };
        lines.push((role, format!("{word}  {:<14} {}", check.what, check.detail)));
        if !check.ok {
            lines.extend(check.fix.iter().map(|it| (Role::Text, format!("        {it}"))));
        }
    }
    lines
}
