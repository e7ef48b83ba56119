//! What keys do in the log.

use std::path::PathBuf;

use crate::{
    stdx::text::one_line,
    tui::{
        effect::{Ask, Effect, File, HandOver, LogView},
        keymap::Action,
        model::{Level, Out, Panel, Purpose, Shared, Then},
        pane::log::{Filter, Model, Prompt, What, buffer::Item, draw, reads},
        widget::{input::Input, lines::Pattern},
    },
    vt::input::{Code, Key, Phase},
};

/// Does an action.
pub fn act(model: &mut Model, shared: &Shared, action: Action, out: &mut Out) {
    let page = isize::try_from(model.size.1.max(2) - 1).unwrap_or(1);
    match action {
        Action::Down => step(model, 1),
        Action::Up => step(model, -1),
        Action::Top => (model.follow, _) = (false, model.go(0)),
        Action::Bottom | Action::LogFollow => follow(model, shared, out),
        Action::PageDown => model.scroll(page),
        Action::PageUp => model.scroll(-page),
        Action::LogView => next_view(model),
        Action::LogWrap => {
            model.wrap = !model.wrap;
            model.top.row = 0;
        }
        Action::LogTimes => model.times = !model.times,
        Action::LogTools => {
            model.tools = !model.tools;
            model.refilter();
        }
        Action::LogSearch => ask(model, What::Search, String::new()),
        Action::LogFilter => {
            let now = model.filter.as_ref();
            let text =
                now.map(|it| format!("{}{}", if it.not { "!" } else { "" }, it.pattern.text()));
            ask(model, What::Filter, text.unwrap_or_default());
        }
        Action::LogPipe => ask(model, What::Pipe, String::new()),
        Action::LogSave => save_to(model, out),
        _ => more(model, action, out),
    }
}

fn more(model: &mut Model, action: Action, out: &mut Out) {
    match action {
        Action::LogNext => found(model, true, out),
        Action::LogBefore => found(model, false, out),
        Action::LogNextError => jump(model, true, "error", &|it| it.head && it.kind == "fail", out),
        Action::LogErrorBefore => {
            jump(model, false, "error", &|it| it.head && it.kind == "fail", out);
        }
        Action::LogTurnNext => jump(model, true, "turn", &|it| it.head && it.kind == "you", out),
        Action::LogTurnBefore => {
            jump(model, false, "turn", &|it| it.head && it.kind == "you", out);
        }
        Action::LogMark => {
            if let Some(it) = model.index(model.cursor).and_then(|at| model.buffer.get_mut(at)) {
                it.marked = !it.marked;
            }
        }
        Action::LogSelect => {
            model.follow = false;
            model.anchor = if model.anchor.is_some() { None } else { Some(model.cursor) };
        }
        Action::LogYank => {
            let other = model.anchor.take().unwrap_or(model.cursor);
            let (from, to) = (model.cursor.min(other), model.cursor.max(other) + 1);
            copy(model, from..to.min(model.shown_len()), out);
        }
        Action::LogCopyScreen => {
            let end = model.paper(|it| it.line_at(model.top, it.view - 1));
            copy(model, model.top.line..(end + 1).min(model.shown_len()), out);
        }
        Action::LogPager => {
            let to = HandOver::Pager { text: text(model, 0..model.shown_len(), true) };
            out.then.push(Then::HandOver { to, purpose: Purpose::Panel(Panel::Log) });
        }
        _ => (),
    }
}

fn step(model: &mut Model, by: isize) {
    let last = model.shown_len().saturating_sub(1);
    model.go(model.cursor.saturating_add_signed(by));
    model.follow =
        0 < by && model.cursor == last && model.anchor.is_none() && model.buffer.cut.is_empty();
}

/// Goes to the end; reads it again if it is not held or does not come by itself.
fn follow(model: &mut Model, shared: &Shared, out: &mut Out) {
    model.anchor = None;
    let still = model.view_shown() == LogView::Terminal || model.reads.live.is_none();
    if still || !model.buffer.cut.is_empty() {
        reads::begin(model, shared.now, out);
    }
    model.follow = true;
}

fn next_view(model: &mut Model) {
    model.view = match model.view {
        LogView::Activity => LogView::Events,
        LogView::Events => LogView::Terminal,
        LogView::Terminal => LogView::Activity,
    };
}

/// Goes to the next row that `is` it, or the one before.
fn jump(model: &mut Model, ahead: bool, word: &str, is: &dyn Fn(&Item) -> bool, out: &mut Out) {
    let len = model.shown_len();
    let hit = |at: &usize| model.item(*at).is_some_and(is);
    let to = if ahead {
        (model.cursor + 1..len).find(hit)
    } else {
        (0..model.cursor.min(len)).rev().find(hit)
    };
    match to {
        Some(line) => {
            model.follow = false;
            model.go(line);
        }
        None if !ahead && model.buffer.older => {
            // Going to the first that is held has older ones read.
            model.follow = false;
            model.go(0);
            out.note(Level::Info, format!("no {word} in what is held; older lines are being read"));
        }
        None => {
            let side = if ahead { "after" } else { "before" };
            out.note(Level::Info, format!("no {word} {side} this"));
        }
    }
}

fn found(model: &mut Model, ahead: bool, out: &mut Out) {
    let Some(pattern) = model.pattern.clone() else {
        return out.note(Level::Info, "nothing is searched for: / does");
    };
    jump(model, ahead, "match", &|it| pattern.is_in(&it.line.text), out);
}

fn copy(model: &Model, rows: std::ops::Range<usize>, out: &mut Out) {
    let count = rows.len();
    if count == 0 {
        return;
    }
    out.effects.push(Effect::Copy(text(model, rows, false)));
    let word = if count == 1 { "line" } else { "lines" };
    out.note(Level::Done, format!("{count} {word} copied"));
}

/// Returns rows as text, whole ones with time and kind.
fn text(model: &Model, rows: std::ops::Range<usize>, whole: bool) -> String {
    let mut text = String::new();
    for item in rows.filter_map(|it| model.item(it)) {
        if whole && !item.kind.is_empty() {
            let at = item.at.filter(|_| item.head).map(crate::stdx::time::Timestamp::rfc3339);
            let kind = if item.head { item.kind.as_str() } else { "" };
            text.push_str(&format!("{:24} {kind:5} ", at.unwrap_or_default()));
        }
        text.push_str(&item.line.text);
        text.push('\n');
    }
    text
}

fn ask(model: &mut Model, what: What, text: String) {
    model.prompt = Some(Prompt { what, input: Input::new(text) });
}

fn save_to(model: &mut Model, out: &mut Out) {
    let Some(source) = &model.source else {
        return out.note(Level::Info, "no log is shown");
    };
    let word = draw::view_word(source.view);
    let safe = |it: char| if it.is_alphanumeric() || "-_.".contains(it) { it } else { '-' };
    let name: String = source.name.chars().map(safe).collect();
    let name = name.trim_start_matches('.').to_owned();
    ask(model, What::Save, format!("./{name}-{word}.log"));
}

/// Takes a key of a line being typed.
pub fn key(model: &mut Model, shared: &Shared, key: &Key, out: &mut Out) {
    let Some(prompt) = &mut model.prompt else { return };
    if key.phase == Phase::Release {
        return;
    }
    match key.code {
        Code::Esc => model.prompt = None,
        Code::Enter => {
            if let Some(it) = model.prompt.take() {
                typed(model, shared, it.what, it.input.text(), out);
            }
        }
        _ => {
            prompt.input.key(key);
        }
    }
}

fn typed(model: &mut Model, shared: &Shared, what: What, words: &str, out: &mut Out) {
    match what {
        What::Search => {
            model.pattern = Pattern::new(words);
            model.count_matches();
            // The newest match comes first: one searches for what just happened.
            let here = |it: &Item| model.pattern.as_ref().is_some_and(|p| p.is_in(&it.line.text));
            if model.pattern.is_some() && !model.item(model.cursor).is_some_and(here) {
                found(model, false, out);
            }
        }
        What::Filter => {
            let (not, needle) = match words.strip_prefix('!') {
                Some(rest) => (true, rest),
                None => (false, words),
            };
            model.filter = Pattern::new(needle).map(|pattern| Filter { pattern, not });
            model.refilter();
        }
        What::Save => save(model, shared, words.trim(), out),
        What::Pipe if words.trim().is_empty() => (),
        What::Pipe => {
            let text = text(model, 0..model.shown_len(), true);
            let ask = Ask::Pipe { command: words.to_owned(), text };
            out.ask(format!("pipe to {}", one_line(words, 40)), ask, Purpose::Panel(Panel::Log));
        }
    }
}

/// Saves what is held, and says whether that is all.
fn save(model: &Model, shared: &Shared, path: &str, out: &mut Out) {
    if path.is_empty() {
        return;
    }
    let path = match path.strip_prefix("~/") {
        Some(rest) => shared.facts.home.join(rest),
        None => shared.facts.cwd.join(PathBuf::from(path)),
    };
    let text = text(model, 0..model.shown_len(), true);
    let count = text.lines().count();
    let part = if model.filter.is_some() || model.tools {
        " that the filter shows"
    } else if model.buffer.older || !model.buffer.cut.is_empty() {
        " that are held here (parhelia logs has all)"
    } else {
        ""
    };
    let label = format!("saved the {count} lines{part}");
    out.ask(label, Ask::WriteFile { file: File::Chosen(path), text }, Purpose::Tell);
}
