//! The preview: which task is shown, and from when on.

use std::time::Duration;

use ratatui::{layout::Rect, style::Style};

use crate::{
    api::view::TaskView,
    stdx::{backoff::Backoff, text::one_line},
    tui::{
        effect::{Ask, Effect, LogAsk, LogView, Request, TermKind},
        model::{Out, Panel, Purpose, Shared, Then, replica::Connection},
        msg::{LogMsg, ReadId},
        pane::term::{Model, live::Live},
        widget::lines::{Ink, Rich},
    },
};

/// How long a selection rests before its terminal is opened: a held key passes over many tasks.
const REST: Duration = Duration::from_millis(150);

/// Lines read of the last screen of a task without a session.
const LAST_LINES: usize = 200;

/// How a preview that ended while its session goes on is opened again.
const AGAIN: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(8) };

/// Attempts in a row after which it stays closed until another task is selected.
const TRIES_MAX: u32 = 4;

/// What the preview shows. Another one begins a new preview.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    Session {
        task: String,
        session: String,
        attempts: u32,
        reachable: bool,
    },
    /// It has no session: its last screen, its answer, or what is known.
    Past {
        task: String,
        state: String,
        attempts: u32,
    },
}

impl Subject {
    fn of(task: &TaskView) -> Subject {
        let (id, attempts) = (task.id.clone(), task.attempts);
        match &task.session {
            Some(session) => Subject::Session {
                task: id,
                session: session.clone(),
                attempts,
                reachable: task.reachable != Some(false),
            },
            None => Subject::Past { task: id, state: task.state.clone(), attempts },
        }
    }

    /// Returns the task.
    pub fn task(&self) -> &str {
        match self {
            Subject::Session { task, .. } | Subject::Past { task, .. } => task,
        }
    }
}

/// What is left of a task without a session.
#[derive(Debug, Default)]
pub struct Past {
    read: Option<ReadId>,
    ink: Ink,
    /// Its last screen.
    pub lines: Vec<Rich>,
    /// Its answer, if there is no screen.
    pub answer: Vec<Rich>,
    /// The task whose answer was asked for; one at a time, since answers do not say whose.
    asking: Option<String>,
}

/// Follows the selection.
pub fn follow(model: &mut Model, shared: &Shared, inner: Option<Rect>, out: &mut Out) {
    let wanted = inner.and(shared.task()).map(|it| Subject::of(it));
    if wanted != model.subject {
        begin(model, shared, wanted, out);
    }
    let up = shared.replica.connection == Connection::Up;
    let open = model.coming.is_some() || model.shown.as_ref().is_some_and(|it| it.open);
    if up && !model.was_up && !open && matches!(model.subject, Some(Subject::Session { .. })) {
        (model.rest, model.tries) = (Some(shared.now), 0);
    }
    model.was_up = up;
    match (model.rest, inner) {
        (Some(at), _) if shared.now < at => out.then.push(Then::WakeAt(at)),
        (Some(_), Some(inner)) => {
            model.rest = None;
            open_now(model, shared, inner, out);
        }
        _ => (),
    }
}

fn begin(model: &mut Model, shared: &Shared, wanted: Option<Subject>, out: &mut Out) {
    let same =
        wanted.as_ref().map(Subject::task) == model.shown.as_ref().map(|it| it.task.as_str());
    if let Some(mut it) = model.coming.take() {
        it.close(out);
    }
    if let Some(it) = &mut model.shown {
        it.close(out);
    }
    if !same {
        model.shown = None;
        model.stop_scroll(out);
    }
    if let Some(read) = model.past.read.take() {
        out.effects.push(Effect::StopLog(read));
    }
    model.past = Past { asking: model.past.asking.take(), ..Past::default() };
    // What was shown already, or nothing, need not rest.
    let at_once = same || model.subject.is_none();
    model.rest = wanted.as_ref().map(|_| if at_once { shared.now } else { shared.now.plus(REST) });
    model.subject = wanted;
    (model.tries, model.trouble) = (0, None);
}

fn open_now(model: &mut Model, shared: &Shared, inner: Rect, out: &mut Out) {
    match &model.subject {
        Some(Subject::Session { reachable: false, .. }) => {
            model.trouble = Some("its host does not answer".to_owned());
        }
        Some(Subject::Session { task, .. }) => {
            let slot = model.slots.next();
            model.coming = Some(Live::open(slot, task, TermKind::Look, inner, out));
        }
        Some(Subject::Past { task, attempts, .. }) if 0 < *attempts => {
            let read = model.reads.next();
            let query =
                LogAsk { view: LogView::Terminal, tail: LAST_LINES, before: None, follow: false };
            model.past.read = Some(read);
            out.effects.push(Effect::ReadLog { read, task: task.clone(), query });
        }
        Some(Subject::Past { .. }) | None => ask_answer(model, shared, out),
    }
}

/// The preview's terminal ended or could not be opened.
pub fn ended(model: &mut Model, shared: &Shared, why: &str) {
    model.trouble = Some(one_line(why, 200));
    let up = shared.replica.connection == Connection::Up;
    if up && model.held.is_none() && model.tries < TRIES_MAX {
        model.tries += 1;
        model.rest = Some(shared.now.plus(AGAIN.after(model.tries)));
    }
}

/// Takes news of the last screen.
pub fn read(model: &mut Model, shared: &Shared, read: ReadId, what: LogMsg, out: &mut Out) {
    if model.past.read != Some(read) {
        return;
    }
    match what {
        LogMsg::Lines(lines) => {
            let past = &mut model.past;
            for line in lines {
                past.lines.push(past.ink.line(&line.text));
            }
            let over = past.lines.len().saturating_sub(LAST_LINES);
            past.lines.drain(..over);
        }
        LogMsg::CaughtUp => (),
        LogMsg::Ended | LogMsg::Failed(_) => {
            model.past.read = None;
            let past = &mut model.past;
            while past.lines.last().is_some_and(|it| it.text.trim().is_empty()) {
                past.lines.pop();
            }
            if past.lines.is_empty() {
                ask_answer(model, shared, out);
            }
        }
    }
}

fn ask_answer(model: &mut Model, shared: &Shared, out: &mut Out) {
    let Some(task) = shared.task().filter(|it| it.answer_bytes.is_some()) else { return };
    if model.past.asking.is_none() {
        model.past.asking = Some(task.id.clone());
        let request = Request::AnswerText { id: task.id.clone() };
        out.ask("final answer", Ask::Request(request), Purpose::Panel(Panel::Preview));
    }
}

/// Takes the answer's text, or asks for the right one if another task is shown by now.
pub fn answered(model: &mut Model, shared: &Shared, text: Option<&str>, out: &mut Out) {
    let whose = model.past.asking.take();
    let shown = model.subject.as_ref().map(Subject::task);
    if whose.as_deref() == shown {
        let lines = text.unwrap_or_default().lines().take(LAST_LINES);
        model.past.answer = lines.map(|it| Rich::plain(it, Style::new())).collect();
    } else if matches!(model.subject, Some(Subject::Past { .. }))
        && model.past.read.is_none()
        && model.past.lines.is_empty()
        && model.rest.is_none()
    {
        ask_answer(model, shared, out);
    }
}
