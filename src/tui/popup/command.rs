//! The command line: every action by its name, and some that take a word.

mod run;
#[cfg(test)]
mod tests;

use ratatui::layout::Rect;

use crate::{
    api::error::ApiError,
    tui::{
        canvas::Canvas,
        effect::{Ask, File},
        keymap::Action,
        model::{Out, Purpose, Shared, Then},
        msg::Reply,
        popup::PopupId,
        theme::{Role, Theme},
        widget::input::Input,
    },
    vt::input::{Code, Key, Mods, Mouse},
};
pub use run::run;

/// Lines of history that are kept.
const HISTORY_MAX: usize = 500;

/// What the popup holds.
#[derive(Debug, Default)]
pub struct Model {
    input: Input,
    /// Lines that were run, newest last; nothing until they are read.
    history: Vec<String>,
    /// Which line of the history is shown, from the end, and what was typed before.
    past: Option<(usize, String)>,
    /// What Tab goes through: the completed lines, and which is shown.
    turn: Option<(Vec<String>, usize)>,
}

/// The popup was opened: asks for the lines that were run before.
pub fn opened(_model: &mut Model, id: PopupId, _shared: &Shared, out: &mut Out) {
    out.ask("command history", Ask::ReadFile(File::CommandHistory), Purpose::Popup(id));
}

/// Does an action of its context: it has none.
pub fn act(_model: &mut Model, _id: PopupId, _shared: &Shared, _action: Action, _out: &mut Out) {}

/// Takes a key: Enter runs the line, Tab completes, Up and Down go through the history.
pub fn key(model: &mut Model, _id: PopupId, shared: &Shared, key: &Key, out: &mut Out) {
    let tab = matches!(key.code, Code::Tab | Code::BackTab);
    if !tab {
        model.turn = None;
    }
    match key.code {
        Code::Esc => out.then.push(Then::Close),
        Code::Char('c') if key.mods == Mods::CTRL => out.then.push(Then::Close),
        Code::Backspace if model.input.text().is_empty() => out.then.push(Then::Close),
        Code::Enter => enter(model, out),
        Code::Tab => complete(model, shared, true),
        Code::BackTab => complete(model, shared, false),
        Code::Up => recall(model, 1),
        Code::Down => recall(model, -1),
        _ => {
            model.input.key(key);
        }
    }
}

fn enter(model: &mut Model, out: &mut Out) {
    out.then.push(Then::Close);
    let line = model.input.text().trim().to_owned();
    if line.is_empty() {
        return;
    }
    model.history.retain(|it| *it != line);
    model.history.push(line.clone());
    let from = model.history.len().saturating_sub(HISTORY_MAX);
    let text = model.history[from..].join("\n");
    let ask = Ask::WriteFile { file: File::CommandHistory, text: format!("{text}\n") };
    out.ask("command history", ask, Purpose::Quiet);
    out.then.push(Then::Run(line));
}

fn complete(model: &mut Model, shared: &Shared, forward: bool) {
    let turn = match model.turn.take() {
        Some((lines, at)) => {
            let len = lines.len();
            (lines, if forward { (at + 1) % len } else { (at + len - 1) % len })
        }
        None => {
            let lines = run::completions(model.input.text(), shared);
            let last = lines.len().saturating_sub(1);
            (lines, if forward { 0 } else { last })
        }
    };
    if let Some(line) = turn.0.get(turn.1) {
        model.input = Input::new(line.as_str());
        model.turn = Some(turn);
    }
}

fn recall(model: &mut Model, by: isize) {
    let (at, typed) = match model.past.take() {
        Some(it) => it,
        None if by < 0 => return,
        None => (0, model.input.text().to_owned()),
    };
    let at = at.saturating_add_signed(by).min(model.history.len());
    let shown = match at {
        0 => typed.clone(),
        _ => model.history[model.history.len() - at].clone(),
    };
    model.input = Input::new(shown);
    model.past = (0 < at).then_some((at, typed));
}

/// Takes pasted text.
pub fn paste(model: &mut Model, _shared: &Shared, text: &str, _out: &mut Out) {
    model.input.insert(text);
}

/// Takes a mouse event, anywhere: none means anything here.
pub fn mouse(_model: &mut Model, _shared: &Shared, _mouse: &Mouse, _out: &mut Out) {}

/// Takes the lines that were run before.
pub fn answered(
    model: &mut Model,
    _id: PopupId,
    _shared: &Shared,
    result: &Result<Reply, ApiError>,
    _out: &mut Out,
) {
    if let Ok(Reply::File(Some(text))) = result {
        model.history = text.lines().map(str::to_owned).collect();
    }
}

/// Draws it over what is there; `area` is the whole screen.
pub fn view(model: &Model, shared: &Shared, area: Rect, canvas: &mut Canvas) {
    let found = match &model.turn {
        Some((lines, _)) => lines.clone(),
        None => run::completions(model.input.text(), shared),
    };
    let hint = if found.is_empty() {
        "Enter runs it   Up before   Esc closes".to_owned()
    } else {
        let last = |it: &String| it.rsplit(' ').next().unwrap_or_default().to_owned();
        found.iter().take(12).map(last).collect::<Vec<_>>().join("  ")
    };
    line(area, ":", (&model.input, &hint, Role::Dim), shared.look.theme, canvas);
}

/// Draws a line to type in at the bottom of the screen, with a hint above it.
pub fn line(
    area: Rect,
    prompt: &str,
    text: (&Input, &str, Role),
    theme: Theme,
    canvas: &mut Canvas,
) {
    let (input, hint, role) = text;
    if area.height == 0 || area.width < 4 {
        return;
    }
    let at = Rect { y: area.bottom() - 1, height: 1, ..area };
    canvas.fill(at, theme.style(Role::Text));
    let x = canvas.text(at.x + 1, at.y, 1, prompt, theme.style(Role::Key));
    let rest = Rect { x, width: at.right().saturating_sub(x), ..at };
    input.view(rest, true, theme, canvas);
    if 1 < area.height {
        let above = Rect { y: at.y - 1, ..at };
        canvas.fill(above, theme.style(Role::Text));
        canvas.fit(above.x + 1, above.y, above.width - 1, hint, theme.style(role));
    }
}
