//! What is known of the selected checkpoint, and what is kept of its task otherwise.

use ratatui::layout::Rect;

use crate::{
    api::{
        checkpoints::{CheckpointDetail, CheckpointDiff, CheckpointView},
        error::ApiError,
        view::TaskView,
    },
    stdx::{text::one_line, time::Timestamp},
    tui::{
        effect::{Ask, Request},
        model::{Out, Purpose, Shared, Then, replica::Letter},
        msg::Reply,
        pane::checkpoints::{Model, REST},
        sort::state_name,
        theme::Role,
        words,
    },
};

/// From so many rows on there is room for more than facts.
pub const ROOMY: u16 = 14;

/// Left-out files that are named.
const LEFT_OUT_SHOWN: usize = 6;

/// Files of the change that are named.
const STAT_SHOWN: usize = 40;

/// What was asked of the selected checkpoint.
#[derive(Debug, Default)]
pub struct Detail {
    /// Which one.
    of: Option<String>,
    /// When it is to be asked for.
    rest: Option<Timestamp>,
    facts_asked: Option<u64>,
    stat_asked: Option<u64>,
    facts: Option<Box<CheckpointDetail>>,
    stat: Option<Box<CheckpointDiff>>,
}

impl Detail {
    /// Forgets what is known: something happened to it.
    pub fn forget(&mut self) {
        *self = Detail::default();
    }

    /// Takes an answer under a number; one that is not wanted any more goes nowhere.
    pub fn answered(&mut self, item: u64, result: &Result<Reply, ApiError>) {
        match result {
            Ok(Reply::CheckpointDetail(it)) if self.facts_asked == Some(item) => {
                self.facts = Some(it.clone());
            }
            Ok(Reply::CheckpointDiff(it)) if self.stat_asked == Some(item) => {
                let mut it = it.clone();
                // Only the list is shown here.
                it.diff.text = String::new();
                self.stat = Some(it);
            }
            _ => (),
        }
    }
}

/// Follows the selected checkpoint; `area` is where it is told of, if anywhere.
pub fn follow(model: &mut Model, shared: &Shared, area: Rect, out: &mut Out) {
    let wanted = model.current().filter(|_| ROOMY <= area.height).map(|it| it.id.clone());
    if model.detail.of != wanted {
        let rest = wanted.as_ref().map(|_| shared.now.plus(REST));
        model.detail = Detail { of: wanted, rest, ..Detail::default() };
    }
    match (model.detail.rest, model.detail.of.clone()) {
        (Some(at), _) if shared.now < at => out.then.push(Then::WakeAt(at)),
        (Some(_), Some(id)) => {
            model.detail.rest = None;
            let to = "previous".to_owned();
            let facts = Request::CheckpointDetail { id: id.clone() };
            let stat = Request::CheckpointDiff { id, to };
            model.detail.facts_asked = Some(ask("checkpoint", facts, model.number(), out));
            model.detail.stat_asked = Some(ask("its changes", stat, model.number(), out));
        }
        _ => (),
    }
}

fn ask(label: &str, request: Request, number: u64, out: &mut Out) -> u64 {
    out.ask(label, Ask::Request(request), Purpose::CheckpointsItem(number));
    number
}

/// A line: a word, what it is, how it looks.
pub type Line = (&'static str, String, Role);

/// Returns all there is to say about the selected checkpoint and its task.
pub fn lines(model: &Model, shared: &Shared) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(it) = model.current() {
        facts(it, model.store_bytes, shared, &mut lines);
        let detail = &model.detail;
        let known = detail.facts.as_ref().filter(|known| known.checkpoint.id == it.id);
        if let Some(known) = known {
            more(known, &mut lines);
        }
        if let Some(stat) = &detail.stat {
            files(stat, &mut lines);
        }
        lines.push(("", String::new(), Role::Text));
    }
    if let Some(task) = shared.task() {
        kept(task, shared, &mut lines);
    }
    lines
}

fn facts(it: &CheckpointView, store_bytes: u64, shared: &Shared, lines: &mut Vec<Line>) {
    let offset = shared.facts.utc_offset_ms;
    let at = words::moment(it.at, shared.now, offset);
    let pinned = if it.pinned { ", pinned" } else { "" };
    let id = one_line(&it.id, 60);
    lines.push(("checkpoint", format!("{id}  {at}  {}{pinned}", it.trigger.as_str()), Role::Title));
    if let Some(damage) = &it.damage {
        lines.push(("damaged", one_line(damage, 300), Role::Error));
    }
    if it.label.is_some() {
        lines.push(("name", words::checkpoint(it), Role::Text));
    }
    let change = &it.change;
    let counts = match it.parent {
        Some(_) => format!(
            "+{} -{}  {} new, {} changed, {} deleted",
            change.lines_added, change.lines_removed, change.added, change.modified, change.deleted
        ),
        None => "first".to_owned(),
    };
    lines.push(("change", counts, Role::Text));
    let out = match it.left_out {
        0 => String::new(),
        count => format!(", {count} left out"),
    };
    let files = words::count(i64::try_from(it.files).unwrap_or(i64::MAX), "file");
    let saved = format!("{files}, {}{out}", words::bytes(it.bytes));
    lines.push(("saved", saved, Role::Text));
    match it.stored_bytes {
        Some(bytes) => {
            let (bytes, all) = (words::bytes(bytes), words::bytes(store_bytes));
            lines.push(("store", format!("{bytes} of {all} in all"), Role::Dim));
        }
        None => lines.push(("store", "not on this machine yet".to_owned(), Role::Warning)),
    }
    if let Some(branch) = &it.branch {
        let head: String = it.head.as_deref().unwrap_or_default().chars().take(10).collect();
        let text = format!("{} at {}", one_line(branch, 100), one_line(&head, 10));
        lines.push(("branch then", text, Role::Text));
    }
    let tokens = it.tokens.input.saturating_add(it.tokens.output);
    let cost = words::money(it.cost_usd);
    let turns = words::count(it.turns, "turn");
    let tokens = words::count(i64::try_from(tokens).unwrap_or(i64::MAX), "token");
    lines.push(("by then", format!("{turns}, {tokens}, ${cost}"), Role::Text));
}

/// What only the whole checkpoint says.
fn more(known: &CheckpointDetail, lines: &mut Vec<Line>) {
    lines.push(("places", known.places.join(" and "), Role::Text));
    if known.staged {
        lines.push(("index", "what was staged is saved as such".to_owned(), Role::Text));
    }
    if !known.nested.is_empty() {
        lines.push(("inside", one_line(&known.nested.join(", "), 200), Role::Text));
    }
    if !known.beside.is_empty() {
        lines.push(("beside", one_line(&known.beside.join(", "), 200), Role::Dim));
    }
    let mut word = "left out";
    for it in known.left_out.iter().take(LEFT_OUT_SHOWN) {
        let size = it.bytes.map(|it| format!(", {}", words::bytes(it))).unwrap_or_default();
        let text = format!("{} ({}{size})", one_line(&it.path, 200), one_line(&it.why, 40));
        lines.push((word, text, Role::Warning));
        word = "";
    }
    let rest = usize::try_from(known.checkpoint.left_out).unwrap_or(usize::MAX);
    let rest = rest.saturating_sub(known.left_out.len().min(LEFT_OUT_SHOWN));
    if 0 < rest && !known.left_out.is_empty() {
        lines.push(("", format!("and {rest} more"), Role::Dim));
    }
}

fn files(stat: &CheckpointDiff, lines: &mut Vec<Line>) {
    let mut word = "files";
    for file in stat.diff.stat.iter().take(STAT_SHOWN) {
        let (counts, path) = words::file(file);
        lines.push((word, format!("{counts:<11} {path}"), Role::Text));
        word = "";
    }
    let all = usize::try_from(stat.diff.files).unwrap_or(usize::MAX);
    let rest = all.saturating_sub(stat.diff.stat.len().min(STAT_SHOWN));
    if 0 < rest {
        lines.push(("", format!("and {rest} more; d shows all"), Role::Dim));
    }
}

/// What is kept of the task besides: its branch, its workspace, its conversation, its answer.
fn kept(task: &TaskView, shared: &Shared, lines: &mut Vec<Line>) {
    let offset = shared.facts.utc_offset_ms;
    let when = |at| words::clock(at, shared.now, offset);
    let state = state_name(Letter::of(task));
    let since = format!("{state} since {}, submitted {}", when(task.since), when(task.created_at));
    lines.push(("task", since, Role::Text));
    match &task.branch {
        Some(branch) => {
            let (added, removed) = (task.lines_added, task.lines_removed);
            let text = format!("{}  +{added} -{removed}", one_line(branch, 100));
            lines.push(("branch", text, Role::Text));
        }
        None => lines.push(("branch", "none of its own".to_owned(), Role::Dim)),
    }
    match &task.workspace {
        Some(path) => lines.push(("workspace", one_line(path, 300), Role::Text)),
        None => lines.push(("workspace", "none yet".to_owned(), Role::Dim)),
    }
    if let Some(id) = &task.conversation {
        let how = match task.session {
            Some(_) => "goes on in its session",
            None => "can be resumed",
        };
        lines.push(("conversation", format!("{how}  {}", one_line(id, 40)), Role::Text));
    }
    if let Some(from) = &task.forked_from {
        lines.push(("forked from", one_line(from, 60), Role::Text));
    }
    if let Some(bytes) = task.answer_bytes {
        lines.push(("answer", format!("kept, {bytes} bytes"), Role::Good));
    }
}
