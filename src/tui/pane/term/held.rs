//! The terminal that has the keys: how it comes, breaks, comes back and ends.

use std::{collections::VecDeque, time::Duration};

use ratatui::layout::Rect;

use crate::{
    api::error::{ApiError, ErrorKind},
    stdx::{backoff::Backoff, text::one_line, time::Timestamp},
    tui::{
        effect::{Effect, TermKind},
        model::{Attached, Level, Out, Panel, Shared, Then, replica::Connection},
        pane::term::{Model, live::Live},
    },
    vt::{
        input::{Key, Phase},
        keys,
    },
};

/// Keys and texts that wait for a terminal being opened; more are refused, and that is said.
const TYPED_MAX: usize = 256;

/// How a terminal that broke is opened again while the dispatcher answers.
const AGAIN: Backoff = Backoff { first: Duration::from_millis(250), most: Duration::from_secs(5) };

/// Attempts in a row after which it is given up: about half a minute.
const TRIES_MAX: u32 = 10;

/// The terminal that has the keys.
#[derive(Debug)]
pub struct Held {
    pub task: String,
    /// What a person calls it.
    pub name: String,
    pub kind: TermKind,
    pub state: State,
    /// Typed before the program could be told its keys' modes.
    typed: VecDeque<Typed>,
    tries: u32,
    /// Whether it was opened before: what is not there now was there.
    came: bool,
    /// Whether F6 changed who has the whole screen; leaving changes it back.
    pub zoomed: bool,
    /// Whether the person knows that the session may not set the clipboard.
    pub told_copy: bool,
}

/// How it is.
#[derive(Debug, PartialEq, Eq)]
pub enum State {
    /// Until its first output; what was there before is drawn meanwhile.
    Opening,
    Live,
    /// The connection broke; the session may well run. `again` is the next attempt; without one
    /// the dispatcher or the host has to come back first.
    Broken {
        why: String,
        again: Option<Timestamp>,
    },
    /// It is over. The last screen stays until a key.
    Ended {
        why: String,
    },
}

#[derive(Debug)]
enum Typed {
    Key(Key),
    Text(String),
}

impl Held {
    /// Returns what has the keys.
    pub fn attached(&self) -> Attached {
        match self.kind {
            TermKind::Shell => Attached::Shell,
            TermKind::Look | TermKind::Attach => Attached::Session,
        }
    }
}

/// Gives a task's session or a shell in its workspace the keys. It is opened once its place on the
/// screen is known, so that the program is born at its real size.
pub fn hold(model: &mut Model, shared: &Shared, task: &str, kind: TermKind, out: &mut Out) {
    let running = |it: &Held| matches!(it.state, State::Opening | State::Live);
    if model.held.as_ref().is_some_and(|it| it.task == task && it.kind == kind && running(it)) {
        return;
    }
    model.stop_scroll(out);
    close_all(model, task, out);
    let name = shared.replica.task(task).map_or_else(|| task.to_owned(), |it| it.name.clone());
    let zoomed = model.held.take().is_some_and(|it| it.zoomed);
    model.held = Some(Held {
        task: task.to_owned(),
        name: one_line(&name, 60),
        kind,
        state: State::Opening,
        typed: VecDeque::new(),
        tries: 0,
        came: false,
        zoomed,
        told_copy: false,
    });
}

/// Closes what is open, and keeps the picture of `task` if there is one: it stands until there is
/// another, so that nothing turns black between them.
fn close_all(model: &mut Model, task: &str, out: &mut Out) {
    if let Some(mut it) = model.coming.take() {
        it.close(out);
    }
    match &mut model.shown {
        Some(it) if it.task == task && it.kind == TermKind::Look => (),
        Some(it) if it.task == task => it.close(out),
        Some(it) => {
            it.close(out);
            model.shown = None;
        }
        None => (),
    }
}

/// Leaves it, which keeps running.
pub fn leave(model: &mut Model, out: &mut Out) {
    let Some(held) = model.held.take() else { return };
    model.stop_scroll(out);
    close_all(model, &held.task, out);
    if let Some(it) = &mut model.shown
        && it.kind != TermKind::Look
    {
        it.close(out);
    }
    model.subject = None;
    if held.zoomed {
        out.then.push(Then::Act(crate::tui::keymap::Action::FullScreen));
    }
    if let Some(captured) = model.mouse.take()
        && captured != model.mouse_usual
    {
        out.effects.push(Effect::CaptureMouse(model.mouse_usual));
    }
    out.then.push(Then::Focus(Panel::Tasks));
    let runs = matches!(held.state, State::Opening | State::Live | State::Broken { .. });
    if runs && held.kind == TermKind::Attach {
        out.note(Level::Info, format!("left \"{}\"; it keeps running", held.name));
    }
}

/// Opens it, or opens it again, when it is time.
pub fn follow(model: &mut Model, shared: &Shared, inner: Rect, out: &mut Out) {
    let Some(held) = &mut model.held else { return };
    let (answers, has) = (answers(shared, &held.task), has_session(shared, held));
    match &mut held.state {
        State::Opening => {
            if model.coming.is_none() {
                let slot = model.slots.next();
                model.coming = Some(Live::open(slot, &held.task, held.kind, inner, out));
            }
        }
        State::Broken { again, .. } if !answers => *again = None,
        State::Broken { again, .. } => match *again {
            Some(at) if shared.now < at => out.then.push(Then::WakeAt(at)),
            _ => {
                held.state = State::Opening;
                held.tries += 1;
                let slot = model.slots.next();
                model.coming = Some(Live::open(slot, &held.task, held.kind, inner, out));
            }
        },
        // The end of the terminal was the end of the dispatcher, which is known only now.
        State::Ended { why } if has && lost(shared) => {
            held.state = State::Broken { why: std::mem::take(why), again: None };
        }
        State::Live | State::Ended { .. } => (),
    }
}

fn lost(shared: &Shared) -> bool {
    shared.replica.connection != Connection::Up
}

fn answers(shared: &Shared, task: &str) -> bool {
    let away = shared.replica.task(task).is_some_and(|it| it.reachable == Some(false));
    !lost(shared) && !away
}

fn has_session(shared: &Shared, held: &Held) -> bool {
    held.kind == TermKind::Attach
        && shared.replica.task(&held.task).is_some_and(|it| it.session.is_some())
}

/// Its first output is drawn: it has the keys, and those typed meanwhile.
pub fn came(model: &mut Model, out: &mut Out) {
    let (Some(held), Some(live)) = (&mut model.held, &model.shown) else { return };
    held.state = State::Live;
    (held.tries, held.came) = (0, true);
    let modes = live.screen.modes();
    for typed in std::mem::take(&mut held.typed) {
        match typed {
            Typed::Key(key) => live.send(keys::encode(&key, &modes), out),
            Typed::Text(text) => live.send(keys::paste(&text, &modes), out),
        }
    }
}

/// The terminal ended; why, and whether the person left by the session's own means.
pub fn ended(model: &mut Model, shared: &Shared, detached: bool, why: &str, out: &mut Out) {
    if detached {
        return leave(model, out);
    }
    let Some(held) = &mut model.held else { return };
    let why = one_line(why, 200);
    held.state =
        if lost(shared) { State::Broken { why, again: None } } else { State::Ended { why } };
}

/// It could not be opened, or broke.
pub fn failed(model: &mut Model, shared: &Shared, error: &ApiError, out: &mut Out) {
    let Some(held) = &mut model.held else { return };
    let why = one_line(&error.message, 200);
    let passes = matches!(error.kind, ErrorKind::Dispatcher | ErrorKind::Host);
    if passes && held.tries < TRIES_MAX {
        let again =
            answers(shared, &held.task).then(|| shared.now.plus(AGAIN.after(held.tries + 1)));
        held.state = State::Broken { why, again };
    } else if held.came {
        held.state = State::Ended { why };
    } else {
        let hint = error.hints.first().map(|it| format!(" ({})", one_line(it, 200)));
        let hint = hint.unwrap_or_default();
        held.state = State::Ended { why: String::new() };
        let name = held.name.clone();
        leave(model, out);
        out.note(Level::Error, format!("attach to \"{name}\": {why}{hint}"));
    }
}

/// Takes a key that is meant for the program.
pub fn key(model: &mut Model, key: &Key, out: &mut Out) {
    let Some(held) = &mut model.held else { return };
    match &held.state {
        State::Live => {
            if let Some(live) = &model.shown {
                live.send(keys::encode(key, &live.screen.modes()), out);
            }
        }
        State::Opening => wait(held, Typed::Key(*key), out),
        State::Broken { .. } if key.phase != Phase::Release => refuse(out),
        State::Ended { .. } if key.phase == Phase::Press => leave(model, out),
        State::Broken { .. } | State::Ended { .. } => (),
    }
}

/// Takes pasted text that is meant for the program.
pub fn paste(model: &mut Model, text: &str, out: &mut Out) {
    let Some(held) = &mut model.held else { return };
    match &held.state {
        State::Live => {
            if let Some(live) = &model.shown {
                live.send(keys::paste(text, &live.screen.modes()), out);
            }
        }
        State::Opening => wait(held, Typed::Text(text.to_owned()), out),
        State::Broken { .. } | State::Ended { .. } => refuse(out),
    }
}

fn wait(held: &mut Held, typed: Typed, out: &mut Out) {
    if TYPED_MAX <= held.typed.len() {
        return out.note(Level::Warning, "not opened yet: what was typed last is not sent");
    }
    held.typed.push_back(typed);
}

fn refuse(out: &mut Out) {
    out.note(Level::Warning, "not connected: nothing was sent");
}
