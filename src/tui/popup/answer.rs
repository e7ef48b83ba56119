//! What a task asks, with its options, and a person's answer.

use ratatui::layout::Rect;

use crate::{
    api::{
        error::ApiError,
        view::{AskView, TaskView},
    },
    domain::event::Delivery,
    stdx::text::printable,
    tui::{
        asks,
        canvas::Canvas,
        effect::{Ask, Request, TermKind},
        keymap::Action,
        model::{Level, Out, Purpose, Shared, Then},
        msg::Reply,
        popup::{self, PopupId},
        theme::Role,
        widget::{frame, input::Input},
    },
    vt::input::{Button, Code, Key, Mouse, MouseKind},
};

/// The size it would like to have.
const SIZE: (u16, u16) = (78, 20);

/// What the popup holds.
#[derive(Debug)]
pub struct Model {
    task: String,
    /// The question the choice is for: another one starts afresh.
    ask: Option<String>,
    choice: usize,
    /// The answer in words, while it is written.
    words: Option<Input>,
    /// What became of the last answer.
    sent: Sent,
    /// Questions answered here, which may still be listed for a moment.
    done: Vec<String>,
}

/// What became of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Sent {
    Nothing,
    UnderWay(String),
    Failed(String),
}

impl Model {
    /// Returns what a task asks.
    pub fn new(shared: &Shared, task: String) -> Model {
        let mut model = Model {
            task,
            ask: None,
            choice: 0,
            words: None,
            sent: Sent::Nothing,
            done: Vec::new(),
        };
        model.ask = model.open(shared).map(|it| it.id.clone());
        model
    }

    fn view_of<'a>(&self, shared: &'a Shared) -> Option<&'a TaskView> {
        shared.replica.task(&self.task).map(|it| &**it)
    }

    /// Returns the question to be answered: the one that was shown, else the first one.
    fn open<'a>(&self, shared: &'a Shared) -> Option<&'a AskView> {
        let asks = &self.view_of(shared)?.asks;
        let same = asks.iter().find(|it| Some(&it.id) == self.ask.as_ref());
        same.filter(|it| !self.done.contains(&it.id))
            .or_else(|| asks.iter().find(|it| !self.done.contains(&it.id)))
    }

    fn send(&mut self, id: PopupId, ask: &AskView, request: Request, out: &mut Out) {
        if matches!(self.sent, Sent::UnderWay(_)) {
            return out.note(Level::Info, "the answer is on its way");
        }
        self.sent = Sent::UnderWay(ask.id.clone());
        out.ask("answer", Ask::Request(request), Purpose::Popup(id));
    }

    fn say(&mut self, id: PopupId, ask: &AskView, words: &str, out: &mut Out) {
        let request = asks::chosen(&self.task.clone(), ask, words);
        self.send(id, ask, request, out);
    }
}

/// The popup was opened: all it shows is known.
pub fn opened(_model: &mut Model, _id: PopupId, _shared: &Shared, _out: &mut Out) {}

/// It has no actions of its own.
pub fn act(_model: &mut Model, _id: PopupId, _shared: &Shared, _action: Action, _out: &mut Out) {}

/// Takes a key. A digit only selects: it never sends.
pub fn key(model: &mut Model, id: PopupId, shared: &Shared, key: &Key, out: &mut Out) {
    let Some(ask) = model.open(shared).cloned() else {
        return nothing_asked(model, shared, key, out);
    };
    if model.ask.as_ref() != Some(&ask.id) {
        // The question changed under the person's hands: this key was meant for the old one.
        (model.ask, model.choice, model.words) = (Some(ask.id.clone()), 0, None);
        if key.code != Code::Esc {
            return;
        }
    }
    if model.words.is_some() {
        return words_key(model, id, &ask, key, out);
    }
    let choices = asks::choices(&ask);
    let last = choices.len().saturating_sub(1);
    match key.code {
        Code::Esc | Code::Char('q') => out.then.push(Then::Close),
        Code::Char(c @ '1'..='9') => {
            let at = c as usize - '1' as usize;
            model.choice = if at < choices.len() { at } else { model.choice };
        }
        Code::Down | Code::Char('j') | Code::Tab => model.choice = (model.choice + 1).min(last),
        Code::Up | Code::Char('k') | Code::BackTab => {
            model.choice = model.choice.saturating_sub(1);
        }
        Code::Enter => match choices.get(model.choice) {
            Some(it) => model.say(id, &ask, &it.words, out),
            None => model.words = Some(Input::default()),
        },
        Code::Char('y') => match asks::yes(&ask) {
            Some(words) => model.say(id, &ask, words, out),
            None => out.note(Level::Info, "choose an option, or p answers in words"),
        },
        Code::Char('n') => model.say(id, &ask, asks::no(&ask), out),
        Code::Char('p') => model.words = Some(Input::default()),
        Code::Char('a') => attach(model, out),
        _ => (),
    }
}

fn attach(model: &Model, out: &mut Out) {
    out.then.push(Then::Attach { task: model.task.clone(), kind: TermKind::Attach });
}

fn nothing_asked(model: &Model, shared: &Shared, key: &Key, out: &mut Out) {
    match key.code {
        Code::Esc | Code::Enter | Code::Char('q') => out.then.push(Then::Close),
        Code::Char('a') => attach(model, out),
        Code::Char('p') => {
            out.then.push(Then::Close);
            let prompt = popup::prompt::Model::new(shared, vec![model.task.clone()]);
            out.open(popup::Kind::Prompt(prompt));
        }
        _ => (),
    }
}

fn words_key(model: &mut Model, id: PopupId, ask: &AskView, key: &Key, out: &mut Out) {
    let Some(input) = &mut model.words else { return };
    match key.code {
        Code::Esc => model.words = None,
        Code::Enter if input.text().trim().is_empty() => {
            out.note(Level::Info, "nothing is written yet");
        }
        Code::Enter => {
            let request = asks::in_words(&model.task, ask, input.text().trim());
            model.send(id, ask, request, out);
        }
        _ => {
            input.key(key);
        }
    }
}

/// Takes pasted text: words of an answer, never a choice.
pub fn paste(model: &mut Model, _shared: &Shared, text: &str, _out: &mut Out) {
    model.words.get_or_insert_default().insert(text);
}

/// Takes a mouse event: a click chooses, and does not send.
pub fn mouse(model: &mut Model, shared: &Shared, mouse: &Mouse, _out: &mut Out) {
    if mouse.kind != MouseKind::Down(Button::Left) || model.words.is_some() {
        return;
    }
    let (cols, rows) = shared.size;
    let Some(ask) = model.open(shared) else { return };
    let mut canvas = Canvas::new(Rect::new(0, 0, cols, rows));
    let first = view_question(model, shared, ask, canvas.area(), &mut canvas);
    let at = usize::from(mouse.row.saturating_sub(first));
    if first <= mouse.row && at < asks::choices(ask).len() {
        model.choice = at;
    }
}

/// Takes what became of the answer.
pub fn answered(
    model: &mut Model,
    _id: PopupId,
    shared: &Shared,
    result: &Result<Reply, ApiError>,
    out: &mut Out,
) {
    let Sent::UnderWay(ask) = std::mem::replace(&mut model.sent, Sent::Nothing) else { return };
    match result {
        Ok(Reply::Sent(sent)) if sent.outcome == Delivery::Submitted => {
            out.note(Level::Done, format!("answer to {}: submitted", sent.task.name));
            model.done.push(ask);
            (model.words, model.choice) = (None, 0);
            model.ask = model.open(shared).map(|it| it.id.clone());
            if model.ask.is_none() {
                out.then.push(Then::Close);
            }
        }
        Ok(Reply::Sent(sent)) => {
            model.sent = Sent::Failed(format!("{}: {}", sent.outcome.as_str(), sent.detail));
        }
        Ok(_) => (),
        Err(error) => model.sent = Sent::Failed(error.message.clone()),
    }
}

/// Draws it over what is there.
pub fn view(model: &Model, shared: &Shared, area: Rect, canvas: &mut Canvas) {
    let theme = shared.look.theme;
    if let Some(ask) = model.open(shared) {
        view_question(model, shared, ask, area, canvas);
        return;
    }
    let inside = frame::popup(canvas, area, (60, 7), " Answer ", theme);
    let text = match model.view_of(shared) {
        Some(task) if asks::only_on_screen(task) => {
            "It asks on its own screen, and can be answered only there."
        }
        Some(_) => "Nothing is asked. A prompt can be sent instead.",
        None => "The task is gone.",
    };
    let y = frame::paragraph(canvas, inside, text, theme.style(Role::Text));
    let keys = Rect { y: (y + 1).min(inside.bottom()), height: 1, ..inside };
    canvas.fit(
        keys.x,
        keys.y,
        keys.width,
        "a attach   p prompt   Esc close",
        theme.style(Role::Key),
    );
}

/// Draws a question and returns the row of its first choice.
fn view_question(
    model: &Model,
    shared: &Shared,
    ask: &AskView,
    area: Rect,
    canvas: &mut Canvas,
) -> u16 {
    let theme = shared.look.theme;
    let name = model.view_of(shared).map_or("", |it| it.name.as_str());
    let title = format!(" {name} asks: {} ", ask.kind);
    let choices = asks::choices(ask);
    let lines = u16::try_from(choices.len()).unwrap_or(u16::MAX).saturating_add(9);
    let height = lines.max(12).min(SIZE.1.max(lines));
    let inside = frame::popup(canvas, area, (SIZE.0, height), &title, theme);
    let below = u16::try_from(choices.len()).unwrap_or(u16::MAX).saturating_add(4);
    let room = inside.height.saturating_sub(below).max(1).min(inside.height);
    let text = match ask.tool.as_str() {
        "" => printable(&ask.summary),
        tool => format!("{}\n{}", printable(tool), printable(&ask.summary)),
    };
    let top = Rect { height: room, ..inside };
    let mut y = frame::paragraph(canvas, top, &text, theme.style(Role::NeedsYou)) + 1;
    let first = y;
    for (at, it) in choices.iter().enumerate() {
        if inside.bottom() <= y {
            break;
        }
        let chosen = at == model.choice && model.words.is_none();
        let style = theme.style(if chosen { Role::Selected } else { Role::Text });
        let mark = if chosen { '>' } else { ' ' };
        let text = format!("{mark} {}. {}", at + 1, it.label);
        canvas.fit(inside.x, y, inside.width, &text, style);
        y += 1;
    }
    let line = Rect { y: (y + 1).min(inside.bottom().saturating_sub(1)), height: 1, ..inside };
    if let Some(input) = &model.words {
        let label = if asks::yes(ask).is_some() { "No, because: " } else { "In words: " };
        let x = canvas.fit(line.x, line.y, line.width, label, theme.style(Role::Key));
        let rest = Rect { x, width: line.right().saturating_sub(x), ..line };
        input.view(rest, true, theme, canvas);
    }
    view_foot(model, ask, inside, shared, canvas);
    first
}

fn view_foot(model: &Model, ask: &AskView, inside: Rect, shared: &Shared, canvas: &mut Canvas) {
    let theme = shared.look.theme;
    let (text, role) = match &model.sent {
        Sent::UnderWay(_) => ("sending the answer".to_owned(), Role::Warning),
        Sent::Failed(why) => (why.clone(), Role::Error),
        Sent::Nothing if model.words.is_some() => ("Enter sends   Esc back".to_owned(), Role::Key),
        Sent::Nothing => {
            let yes = if asks::yes(ask).is_some() { "y yes   " } else { "" };
            let text =
                format!("Enter send   1-9 choose   {yes}n no   p words   a attach   Esc close");
            (text, Role::Key)
        }
    };
    if 0 < inside.height {
        let y = inside.bottom() - 1;
        canvas.fit(inside.x, y, inside.width, &text, theme.style(role));
    }
}
