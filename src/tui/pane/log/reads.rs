//! What is read when: the end of the log and what follows it, and pages before what is held.

use std::time::Duration;

use crate::{
    api::types::LogLine,
    stdx::{text::one_line, time::Timestamp},
    tui::{
        effect::{Effect, LogAsk, LogView},
        model::{Out, Panel, Shared, Then, replica::Connection},
        msg::{LogMsg, ReadId},
        pane::log::{
            Model,
            buffer::{Buffer, PAGE},
        },
    },
};

/// How long a selection rests before its log is read.
const REST: Duration = Duration::from_millis(150);

/// Lines of the terminal that are read.
const TERMINAL_LINES: usize = 10_000;

/// Rows of text up to which a filter that leaves little reads on by itself.
const SEEK_MAX: usize = 5_000;

/// Rows from the top at which older lines are asked for.
const NEAR: usize = 100;

/// Which log is shown. Another one is read anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub task: String,
    /// What a person calls the task.
    pub name: String,
    pub attempts: u32,
    pub view: LogView,
}

/// What is being read.
#[derive(Debug, Default)]
pub struct Reads {
    last: u64,
    /// The end of the log, and what comes.
    pub live: Option<ReadId>,
    /// Whether what is held is replaced by what comes first.
    fresh: bool,
    /// A page, and its lines so far.
    page: Option<Page>,
}

#[derive(Debug)]
struct Page {
    read: ReadId,
    older: bool,
    /// Before which line it stands, unless before the first that is held.
    before: Option<u64>,
    lines: Vec<LogLine>,
}

impl Reads {
    fn next(&mut self) -> ReadId {
        self.last += 1;
        ReadId { panel: Panel::Log, number: self.last }
    }

    /// Tells whether a page is on its way.
    pub fn paging(&self) -> bool {
        self.page.is_some()
    }
}

/// Follows selection, view and connection.
pub fn follow(model: &mut Model, shared: &Shared, drawn: bool, out: &mut Out) {
    let wanted = shared.task().filter(|_| drawn).map(|it| Source {
        task: it.id.clone(),
        name: one_line(&it.name, 60),
        attempts: it.attempts,
        view: model.view,
    });
    if !drawn {
        stop(model, out);
        (model.source, model.rest) = (None, None);
        return;
    }
    if wanted != model.wanted {
        let swap = model.wanted.as_ref().map(|it| &it.task) != wanted.as_ref().map(|it| &it.task);
        let rests = swap && model.source.is_some();
        model.rest = Some(if rests { shared.now.plus(REST) } else { shared.now });
        model.wanted = wanted;
    } else if model.source.is_none() && model.wanted.is_some() && model.rest.is_none() {
        model.rest = Some(shared.now);
    }
    let up = shared.replica.connection == Connection::Up;
    if up && !model.was_up && model.reads.live.is_none() && model.rest.is_none() && model.follow {
        model.rest = Some(shared.now);
    }
    model.was_up = up;
    match model.rest {
        Some(at) if shared.now < at => out.then.push(Then::WakeAt(at)),
        Some(_) => {
            model.rest = None;
            begin(model, shared.now, out);
        }
        None => (),
    }
}

/// Reads the end of the wanted log.
pub fn begin(model: &mut Model, now: Timestamp, out: &mut Out) {
    stop(model, out);
    let same = model.source.is_some() && model.source == model.wanted;
    model.source.clone_from(&model.wanted);
    model.trouble = None;
    model.loaded_at = Some(now);
    if !same {
        model.clear();
    }
    let Some(source) = &model.source else { return };
    let terminal = source.view == LogView::Terminal;
    let query = LogAsk {
        view: source.view,
        tail: if terminal { TERMINAL_LINES } else { PAGE },
        before: None,
        follow: !terminal,
    };
    let read = model.reads.next();
    let task = source.task.clone();
    (model.reads.live, model.reads.fresh) = (Some(read), true);
    model.follow = true;
    out.effects.push(Effect::ReadLog { read, task, query });
}

/// Reads no more.
pub fn stop(model: &mut Model, out: &mut Out) {
    let page = model.reads.page.take().map(|it| it.read);
    for read in model.reads.live.take().into_iter().chain(page) {
        out.effects.push(Effect::StopLog(read));
    }
}

/// Asks for older lines if one is near the first, and for later ones that were cut near the last.
pub fn reach(model: &mut Model, out: &mut Out) {
    if model.reads.page.is_some() || model.reads.live.is_none() && model.buffer.len() == 0 {
        return;
    }
    let shown = model.shown_len();
    let rows = usize::from(model.size.1);
    let seeks = shown < rows && model.buffer.len() < SEEK_MAX;
    let near_top = !model.follow && model.top.line < NEAR || seeks;
    let near_end = shown <= model.top.line + rows + NEAR / 2;
    if near_top && model.buffer.older {
        if let Some(before) = model.buffer.first() {
            page(model, (Some(before), PAGE), true, out);
        }
    } else if near_end
        && !model.follow
        && let Some(cut) = model.buffer.cut.pop()
    {
        match cut.before {
            Some(_) => page(model, (cut.before, cut.count), false, out),
            // The live end: what came meanwhile is unknown, so it is read anew.
            None => {
                let Some(now) = model.loaded_at else { return };
                begin(model, now, out);
            }
        }
    }
}

fn page(model: &mut Model, (before, tail): (Option<u64>, usize), older: bool, out: &mut Out) {
    let Some(source) = &model.source else { return };
    if model.budget == 0 {
        return;
    }
    model.budget -= 1;
    let (task, view) = (source.task.clone(), source.view);
    let read = model.reads.next();
    model.reads.page = Some(Page { read, older, before, lines: Vec::new() });
    let query = LogAsk { view, tail, before, follow: false };
    out.effects.push(Effect::ReadLog { read, task, query });
}

/// Takes news of a log.
pub fn read(model: &mut Model, read: ReadId, what: LogMsg, out: &mut Out) {
    if model.reads.live == Some(read) {
        return live(model, what, out);
    }
    let Some(page) = model.reads.page.as_mut().filter(|it| it.read == read) else { return };
    match what {
        LogMsg::Lines(mut lines) => page.lines.append(&mut lines),
        LogMsg::CaughtUp => (),
        LogMsg::Ended => {
            if let Some(page) = model.reads.page.take() {
                paged(model, page, out);
            }
        }
        LogMsg::Failed(error) => {
            model.reads.page = None;
            // Asking again at once would ask for ever.
            model.buffer.older = false;
            model.trouble = Some(one_line(&error.message, 200));
        }
    }
}

fn live(model: &mut Model, what: LogMsg, out: &mut Out) {
    match what {
        LogMsg::Lines(lines) => {
            replace(model);
            let terminal = model.view_shown() == LogView::Terminal;
            let before = model.buffer.len();
            model.buffer.append(lines, terminal);
            model.appended(before);
            if model.follow {
                let gone = model.buffer.cut_front();
                model.shifted_back(gone);
            } else if model.buffer.cut_back() {
                // What comes now would not join what is held.
                if let Some(read) = model.reads.live.take() {
                    out.effects.push(Effect::StopLog(read));
                }
                model.refilter();
            }
        }
        LogMsg::CaughtUp => replace(model),
        LogMsg::Ended => {
            replace(model);
            model.reads.live = None;
        }
        LogMsg::Failed(error) => {
            replace(model);
            model.reads.live = None;
            model.trouble = Some(one_line(&error.message, 200));
        }
    }
}

/// The first news of a reading replaces what was held before: nothing flashes empty meanwhile.
fn replace(model: &mut Model) {
    if std::mem::take(&mut model.reads.fresh) {
        model.clear();
        model.buffer = Buffer::default();
    }
}

fn paged(model: &mut Model, page: Page, out: &mut Out) {
    if !page.older {
        let before = model.buffer.len();
        model.buffer.append(page.lines, false);
        model.buffer.after = page.before;
        model.appended(before);
        let gone = model.buffer.cut_front();
        return model.shifted_back(gone);
    }
    if page.lines.is_empty() {
        model.buffer.older = false;
        return;
    }
    let count = model.buffer.prepend(page.lines);
    model.shifted(count);
    if model.buffer.cut_back() {
        if let Some(read) = model.reads.live.take() {
            out.effects.push(Effect::StopLog(read));
        }
        model.refilter();
    }
}
