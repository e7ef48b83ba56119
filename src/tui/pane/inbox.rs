//! Everything that needs a person, over all tasks, oldest first.

mod rows;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use ratatui::layout::Rect;

use crate::{
    api::error::ApiError,
    domain::event::Delivery,
    tui::{
        asks,
        effect::{Ask, Request, TermKind},
        keymap::Action,
        layout,
        model::{Level, Out, Panel, Purpose, Shared, Then},
        msg::Reply,
        parking, popup,
        widget::{input::Input, list::Window},
    },
    vt::input::{Button, Code, Key, Mouse, MouseKind},
};

pub use rows::{Row, Sort};
pub use view::view;

/// What the panel holds.
#[derive(Debug, Default)]
pub struct Model {
    rows: Vec<Row>,
    window: Window,
    /// The option chosen on the selected row.
    choice: usize,
    /// Rows that an answer is meant for besides the selected one.
    marks: BTreeSet<String>,
    /// What became of answers, by row.
    sent: BTreeMap<String, Sent>,
    /// The rows that answers under way are for.
    under_way: BTreeMap<u64, String>,
    next: u64,
    /// The answer in words, while it is written.
    words: Option<Input>,
    seen: rows::Seen,
    height: usize,
}

/// What became of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    UnderWay,
    Submitted,
    Failed(String),
}

/// Tells whether keys are text for the panel now: words of an answer.
pub fn typing(model: &Model) -> bool {
    model.words.is_some()
}

/// Tells whether a key is the number of an option of the selected question: it goes to no panel
/// then.
pub fn option(model: &Model, shared: &Shared, key: &Key) -> bool {
    let Code::Char(c @ '1'..='9') = key.code else { return false };
    let ask = model.row().and_then(|it| it.ask(shared));
    ask.is_some_and(|it| (c as usize - '1' as usize) < asks::choices(it).len())
}

/// Does an action of the panel, or moves in it.
pub fn act(model: &mut Model, shared: &Shared, action: Action, out: &mut Out) {
    use Action as A;
    let page = isize::try_from(model.height.max(2) - 1).unwrap_or(1);
    match action {
        A::Down | A::InboxNext => model.step(1),
        A::Up => model.step(-1),
        A::Top => model.step(isize::MIN / 2),
        A::Bottom => model.step(isize::MAX / 2),
        A::PageDown => model.step(page),
        A::PageUp => model.step(-page),
        A::InboxSend => model.send_choice(shared, out),
        A::InboxYes => model.send_all(shared, Verdict::Yes, out),
        A::InboxNo => model.send_all(shared, Verdict::No, out),
        A::InboxWords => model.begin_words(shared, out),
        A::InboxAttach => {
            if let Some(task) = model.row().and_then(|it| it.task.clone()) {
                out.then.push(Then::Attach { task, kind: TermKind::Attach });
            }
        }
        A::InboxRaise => model.raise(shared, out),
        A::InboxUnpark => model.unpark(shared, out),
        A::InboxMark => {
            if let Some(key) = model.row().filter(|it| it.ask.is_some()).map(|it| it.key.clone())
                && !model.marks.remove(&key)
            {
                model.marks.insert(key);
            }
            model.step(1);
        }
        _ => (),
    }
    model.follow(shared, out);
}

/// Takes a key that is no action: a digit selects an option and never sends it, because someone
/// will press `6` and then `1` to go back.
pub fn key(model: &mut Model, shared: &Shared, key: &Key, out: &mut Out) {
    let Some(input) = &mut model.words else {
        if let Code::Char(c @ '1'..='9') = key.code {
            model.choose(shared, c as usize - '1' as usize);
        }
        return;
    };
    match key.code {
        Code::Esc => model.words = None,
        Code::Enter => {
            let text = input.text().trim().to_owned();
            model.words = None;
            if !text.is_empty() {
                model.send_words(shared, &text, out);
            }
        }
        _ => {
            input.key(key);
        }
    }
}

/// Takes pasted text: words of an answer that is being written.
pub fn paste(model: &mut Model, _shared: &Shared, text: &str, _out: &mut Out) {
    if let Some(input) = &mut model.words {
        input.insert(text);
    }
}

/// Takes a mouse event inside the panel's border.
pub fn mouse(model: &mut Model, shared: &Shared, area: Rect, mouse: &Mouse, out: &mut Out) {
    let inside = layout::inside(area);
    match mouse.kind {
        MouseKind::ScrollDown => model.step(3),
        MouseKind::ScrollUp => model.step(-3),
        MouseKind::Down(Button::Left) if inside.y <= mouse.row => {
            match view::hit(model, shared, inside, mouse.row) {
                Some(view::Hit::Row(at)) => model.go(at),
                Some(view::Hit::Option(at)) => model.choose(shared, at),
                None => (),
            }
        }
        _ => return,
    }
    model.follow(shared, out);
}

/// All it asks for has a number.
pub fn answered(
    _model: &mut Model,
    _shared: &Shared,
    _result: &Result<Reply, ApiError>,
    _out: &mut Out,
) {
}

/// Takes what became of an answer.
pub fn answered_item(
    model: &mut Model,
    _shared: &Shared,
    item: u64,
    result: &Result<Reply, ApiError>,
    out: &mut Out,
) {
    let Some(key) = model.under_way.remove(&item) else { return };
    let (level, text, sent) = match result {
        Ok(Reply::Sent(it)) if it.outcome == Delivery::Submitted => {
            (Level::Done, format!("answer to {}: submitted", it.task.name), Sent::Submitted)
        }
        Ok(Reply::Sent(it)) => {
            let why = format!("{}: {}", it.outcome.as_str(), it.detail);
            (Level::Error, format!("answer to {}: {why}", it.task.name), Sent::Failed(why))
        }
        Ok(_) => return,
        Err(error) => {
            let why = error.message.clone();
            (Level::Error, format!("answer: {why}"), Sent::Failed(why))
        }
    };
    out.note(level, text);
    model.sent.insert(key, sent);
}

/// Tasks, selection, marks or time changed.
pub fn changed(model: &mut Model, shared: &Shared, area: Option<Rect>, out: &mut Out) {
    if let Some(area) = area {
        model.height = usize::from(layout::inside(area).height);
    }
    if model.seen.take(shared) {
        let selected = model.row().map(|it| it.key.clone());
        model.seen.update(shared, &mut model.rows);
        let at = selected.as_ref().and_then(|key| model.rows.iter().position(|it| it.key == *key));
        match at {
            Some(at) => model.window.selected = at,
            // The question it was for is gone: what was chosen or written was not for another.
            None => (model.choice, model.words) = (0, None),
        }
        let rows = &model.rows;
        let there = |key: &String| rows.iter().any(|it| it.key == *key);
        model.marks.retain(there);
        model.sent.retain(|key, _| there(key));
        model.window.show(model.rows.len(), model.height);
    }
    if area.is_some()
        && let Some(next) = model.rows.iter().filter_map(|it| it.next_tick(shared.now)).min()
    {
        out.then.push(Then::WakeAt(next));
    }
}

/// What a person says to several questions at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Yes,
    No,
}

impl Model {
    fn row(&self) -> Option<&Row> {
        self.rows.get(self.window.selected)
    }

    fn step(&mut self, by: isize) {
        self.go(self.window.selected.saturating_add_signed(by));
    }

    fn go(&mut self, to: usize) {
        let before = self.window.selected;
        self.window.go(to, self.rows.len(), self.height);
        if self.window.selected != before {
            self.choice = 0;
        }
    }

    /// The other panels show the task of the selected row.
    fn follow(&self, shared: &Shared, out: &mut Out) {
        if let Some(task) = self.row().and_then(|it| it.task.clone())
            && shared.selected.as_ref() != Some(&task)
        {
            out.then.push(Then::Select(task));
        }
    }

    fn choose(&mut self, shared: &Shared, at: usize) {
        let ask = self.row().and_then(|it| it.ask(shared));
        if ask.is_some_and(|it| at < asks::choices(it).len()) {
            self.choice = at;
        }
    }

    fn send_choice(&mut self, shared: &Shared, out: &mut Out) {
        let Some(row) = self.row().cloned() else { return };
        let Some(task) = row.task.clone() else {
            return match row.sort {
                Sort::Budget => out.then.push(Then::Focus(Panel::Budget)),
                _ => out.note(Level::Info, row.hint()),
            };
        };
        let Some(ask) = row.ask(shared) else {
            return match row.sort {
                Sort::Dialog | Sort::FailedTurn => {
                    out.then.push(Then::Attach { task, kind: TermKind::Attach });
                }
                _ => {
                    let confirm = popup::confirm::Model::recover(shared, task);
                    out.open(popup::Kind::Confirm(confirm));
                }
            };
        };
        match asks::choices(ask).get(self.choice) {
            Some(it) => self.send(&row, asks::chosen(&task, ask, &it.words), out),
            None => self.words = Some(Input::default()),
        }
    }

    /// Sets the ceiling of the selected row: the one it is about, or the task's own.
    fn raise(&self, shared: &Shared, out: &mut Out) {
        match self.row() {
            Some(Row { ceiling: Some(it), .. }) => out.then.push(Then::EditCeiling(it.clone())),
            Some(Row { task: Some(id), sort: Sort::Parked, .. }) => {
                let task = shared.replica.task(id);
                if let Some(target) = task.and_then(|it| parking::in_the_way(shared, it)) {
                    return out.then.push(Then::EditCeiling(target));
                }
                let entry = popup::entry::Model::cap(shared, vec![id.clone()]);
                out.open(popup::Kind::Entry(entry));
            }
            Some(it) => out.note(Level::Info, it.hint()),
            None => (),
        }
    }

    /// Lets the parked task of the selected row go on.
    fn unpark(&self, shared: &Shared, out: &mut Out) {
        match self.row() {
            Some(Row { task: Some(id), sort: Sort::Parked, .. }) => {
                parking::unpark(shared, id, out)
            }
            Some(it) => out.note(Level::Info, it.hint()),
            None => (),
        }
    }

    /// Says yes or no to the marked questions, or to the selected one.
    fn send_all(&mut self, shared: &Shared, verdict: Verdict, out: &mut Out) {
        let Some(first) = self.row().cloned() else { return };
        let marked = |it: &&Row| self.marks.contains(&it.key);
        let rows: Vec<Row> = match self.marks.is_empty() {
            true => vec![first],
            false => self.rows.iter().filter(marked).cloned().collect(),
        };
        let kind = rows.first().and_then(|it| it.ask(shared)).map(|it| it.kind.clone());
        if rows.iter().any(|it| it.ask(shared).map(|it| it.kind.clone()) != kind) {
            return out.note(Level::Warning, "the marked questions are not of one sort");
        }
        for row in rows {
            let (Some(task), Some(ask)) = (row.task.clone(), row.ask(shared)) else {
                out.note(Level::Info, row.hint());
                continue;
            };
            match (verdict, asks::yes(ask)) {
                (Verdict::Yes, Some(words)) => {
                    self.send(&row, asks::chosen(&task, ask, words), out);
                }
                (Verdict::Yes, None) => {
                    out.note(Level::Info, "choose an option, or p answers in words");
                }
                (Verdict::No, _) => {
                    self.send(&row, asks::chosen(&task, ask, asks::no(ask)), out);
                }
            }
        }
        self.marks.clear();
    }

    fn begin_words(&mut self, shared: &Shared, out: &mut Out) {
        let Some(row) = self.row().cloned() else { return };
        match (row.ask(shared), row.task) {
            (Some(_), _) => self.words = Some(Input::default()),
            (None, Some(task)) => {
                let prompt = popup::prompt::Model::new(shared, vec![task]);
                out.open(popup::Kind::Prompt(prompt));
            }
            (None, None) => (),
        }
    }

    fn send_words(&mut self, shared: &Shared, text: &str, out: &mut Out) {
        let Some(row) = self.row().cloned() else { return };
        if let (Some(task), Some(ask)) = (row.task.clone(), row.ask(shared)) {
            self.send(&row, asks::in_words(&task, ask, text), out);
        }
    }

    fn send(&mut self, row: &Row, request: Request, out: &mut Out) {
        if matches!(self.sent.get(&row.key), Some(Sent::UnderWay | Sent::Submitted)) {
            return out.note(Level::Info, "it is answered already");
        }
        self.next += 1;
        self.under_way.insert(self.next, row.key.clone());
        self.sent.insert(row.key.clone(), Sent::UnderWay);
        let label = format!("answer {}", row.name);
        out.ask(label, Ask::Request(request), Purpose::InboxItem(self.next));
    }
}
