//! Text to read: every fact about a task, the evidence, what a command printed.

mod costs;
mod diff;
mod facts;
#[cfg(test)]
mod tests;

use ratatui::layout::Rect;

use crate::{
    api::{error::ApiError, types::Why},
    stdx::text::one_line,
    tui::{
        canvas::Canvas,
        effect::{Ask, Effect, HandOver, Request},
        keymap::Action,
        layout::inside,
        model::{Level, Out, Purpose, Shared, Then},
        msg::Reply,
        popup::PopupId,
        theme::Role,
        widget::{
            frame,
            input::Input,
            lines::{self, Break, Paper, Pattern, Piece, Rich, Spot, Top, wrap},
        },
        words,
    },
    vt::input::{Code, Key, Mouse, MouseKind, Phase},
};

/// The widest it gets: longer lines are hard to read.
const WIDEST: u16 = 120;

/// What the popup holds.
#[derive(Debug, Default)]
pub struct Model {
    title: String,
    rows: Vec<Row>,
    /// What it asks for when it is opened.
    wants: Vec<Request>,
    /// Whether there is nothing to show until that is answered.
    waits: bool,
    /// Where what a task's cost is made of is put.
    costs: Option<usize>,
    top: Top,
    typing: Option<Input>,
    pattern: Option<Pattern>,
    /// Whether it is a diff: `n` goes to the next file then.
    diff: bool,
    /// The only file of the diff that is wanted, if not all are.
    only: Option<String>,
    /// The match that was gone to last.
    at: Option<usize>,
}

/// A line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Row {
    role: Option<Role>,
    /// So many bytes at the front are a name, of less weight.
    name: usize,
    text: String,
    /// Parts with looks of their own: the byte behind each, from the second byte on.
    parts: Vec<(usize, Option<Role>)>,
}

impl Row {
    fn new(role: Option<Role>, text: &str) -> Row {
        Row { role, text: lines::clean(text), ..Row::default() }
    }

    fn fact(name: &str, value: &str) -> Row {
        let name = format!("  {name:<13} ");
        Row { name: name.len(), text: name + &lines::clean(value), ..Row::default() }
    }
}

impl Model {
    /// Returns text of one's own making.
    pub fn lines(title: impl Into<String>, lines: Vec<(Option<Role>, String)>) -> Model {
        let rows = lines.iter().map(|(role, text)| Row::new(*role, text)).collect();
        Model { title: title.into(), rows, ..Model::default() }
    }

    /// Returns every fact about a task.
    pub fn describe(shared: &Shared, task: String) -> Model {
        let Some(found) = shared.replica.task(&task) else {
            return Model::lines(task, vec![(None, "it is not there any more".to_owned())]);
        };
        let title = one_line(&found.name, 60);
        let (rows, costs) = facts::rows(found, shared);
        let wants = vec![Request::TaskCosts { id: task }];
        Model { title, rows, wants, costs: Some(costs), ..Model::default() }
    }

    /// Returns why a task is taken to do what it does: what speaks for it, who says so, and when.
    pub fn why(task: String) -> Model {
        let wants = vec![Request::Why { id: task }];
        Model { title: "Why".to_owned(), wants, waits: true, ..Model::default() }
    }

    /// Returns what a task changed.
    pub fn diff(task: String) -> Model {
        let wants = vec![Request::Diff { id: task }];
        Model { title: "Diff".to_owned(), wants, waits: true, diff: true, ..Model::default() }
    }

    /// Returns what a task cost and why: what costs, then every turn.
    pub fn costs(id: String, name: &str) -> Model {
        let title = format!("Costs of {}", one_line(name, 60));
        let wants = vec![Request::TaskCosts { id: id.clone() }, Request::TaskTurns { id }];
        Model { title, wants, waits: true, costs: Some(0), ..Model::default() }
    }

    /// Returns text about money, below which stands where its figures come from.
    pub fn sources(lines: Vec<(Option<Role>, String)>) -> Model {
        let model = Model::lines("Where the figures come from", lines);
        Model { wants: vec![Request::Sources], ..model }
    }

    /// Returns what differs between a checkpoint and `to`: another one, `now` or `previous`.
    pub fn checkpoint_diff(id: String, to: String) -> Model {
        let wants = vec![Request::CheckpointDiff { id, to }];
        Model { title: "Diff".to_owned(), wants, waits: true, diff: true, ..Model::default() }
    }

    /// Leaves only what concerns one file.
    pub fn of_file(self, path: &str) -> Model {
        Model { title: one_line(path, 60), only: Some(path.to_owned()), ..self }
    }

    fn paper<T>(&self, shared: &Shared, with: impl FnOnce(&Paper<'_>) -> T) -> T {
        let area = inside(outer(shared, self.rows.len()));
        let height = |it: usize| {
            self.rows.get(it).map_or(1, |it| wrap(&it.text, area.width, Break::Blanks).len())
        };
        let view = usize::from(area.height.max(1));
        with(&Paper { len: self.rows.len(), height: &height, view })
    }

    fn scroll(&mut self, shared: &Shared, rows: isize) {
        let by = rows.unsigned_abs();
        let top = self.top;
        self.top =
            self.paper(shared, |it| if rows < 0 { it.back(top, by) } else { it.forward(top, by) });
    }

    fn text(&self) -> String {
        self.rows.iter().map(|it| it.text.clone() + "\n").collect()
    }

    /// Goes to the next line that matches, or the one before.
    fn jump(&mut self, shared: &Shared, ahead: bool, out: &mut Out) {
        let is = |it: &Row| match &self.pattern {
            Some(pattern) => pattern.is_in(&it.text),
            None => self.diff && it.text.starts_with("diff --git "),
        };
        let hits: Vec<usize> = (0..self.rows.len()).filter(|it| is(&self.rows[*it])).collect();
        if hits.is_empty() && self.pattern.is_none() {
            return;
        }
        let next = match (self.at, ahead) {
            (None, true) => hits.iter().find(|it| self.top.line <= **it).or(hits.first()),
            (Some(at), true) => hits.iter().find(|it| at < **it).or(hits.first()),
            (Some(at), false) => hits.iter().rev().find(|it| **it < at).or(hits.last()),
            (None, false) => hits.last(),
        };
        match next.copied() {
            Some(line) => {
                self.at = Some(line);
                let file = self.pattern.is_none();
                let first = Top { line, row: 0 };
                self.top = self.paper(shared, |it| {
                    let top = if file { first } else { it.reveal(self.top, line) };
                    top.min(it.last())
                });
            }
            None => out.note(Level::Info, "no match"),
        }
    }

    fn take_why(&mut self, why: &Why, shared: &Shared) {
        let task = &why.task;
        self.title = format!("Why  {}", one_line(&task.name, 60));
        let what = task.activity.map_or(task.state.as_str(), |it| it.as_str());
        let because = task.because.as_deref().or(task.reason.as_deref()).unwrap_or("nothing said");
        self.rows = vec![
            Row::new(Some(Role::Title), &format!("{what}: {}", one_line(because, 400))),
            Row::default(),
        ];
        for witness in &why.evidence {
            let at = words::time_of_day(witness.at, shared.facts.utc_offset_ms, true);
            let source = one_line(&witness.source, 12);
            let name = format!("  {at}  {source:<12} ");
            let text = name.clone() + &one_line(&witness.says, 400);
            self.rows.push(Row { name: name.len(), text, ..Row::default() });
        }
        if why.evidence.is_empty() {
            self.rows.push(Row::new(Some(Role::Dim), "no evidence: it has no session"));
        }
    }
}

/// Returns where it is, with its border.
fn outer(shared: &Shared, rows: usize) -> Rect {
    let (cols, lines) = shared.size;
    let wanted = u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(2).max(8);
    let width = cols.saturating_sub(4).min(WIDEST).max(cols.min(60));
    let height = lines.saturating_sub(2).max(lines.min(8)).min(wanted);
    Rect { x: (cols - width) / 2, y: (lines - height) / 2, width, height }
}

/// The popup was opened: asks for what it needs.
pub fn opened(model: &mut Model, id: PopupId, _shared: &Shared, out: &mut Out) {
    for request in std::mem::take(&mut model.wants) {
        let label = match request {
            Request::TaskCosts { .. } | Request::TaskTurns { .. } => "costs",
            Request::Sources => "prices",
            _ if model.diff => "diff",
            _ => "evidence",
        };
        out.ask(label, Ask::Request(request), Purpose::Popup(id));
    }
}

/// Does an action of its context: it has none.
pub fn act(_model: &mut Model, _id: PopupId, _shared: &Shared, _action: Action, _out: &mut Out) {}

/// Takes a key.
pub fn key(model: &mut Model, _id: PopupId, shared: &Shared, key: &Key, out: &mut Out) {
    if key.phase == Phase::Release {
        return;
    }
    if model.typing.is_some() {
        return type_key(model, shared, key, out);
    }
    let page = isize::try_from(shared.size.1.max(6) / 2).unwrap_or(3);
    match key.code {
        Code::Char('d') if key.mods.ctrl => model.scroll(shared, page / 2),
        Code::Char('u') if key.mods.ctrl => model.scroll(shared, -page / 2),
        _ if key.mods.ctrl || key.mods.alt => (),
        Code::Esc if model.pattern.take().is_some() => model.at = None,
        Code::Esc | Code::Char('q') => out.then.push(Then::Close),
        Code::Char('j') | Code::Down => model.scroll(shared, 1),
        Code::Char('k') | Code::Up => model.scroll(shared, -1),
        Code::PageDown | Code::Char(' ') => model.scroll(shared, page),
        Code::PageUp => model.scroll(shared, -page),
        Code::Char('g') | Code::Home => model.top = Top::default(),
        Code::Char('G') | Code::End => model.top = model.paper(shared, |it| it.last()),
        Code::Char('/') => model.typing = Some(Input::default()),
        Code::Char('n') => model.jump(shared, true, out),
        Code::Char('N') => model.jump(shared, false, out),
        Code::Char('y') => {
            out.effects.push(Effect::Copy(model.text()));
            out.note(Level::Done, format!("{} lines copied", model.rows.len()));
        }
        Code::Char('o') => {
            let to = HandOver::Pager { text: model.text() };
            out.then.push(Then::HandOver { to, purpose: Purpose::Quiet });
        }
        _ => (),
    }
}

fn type_key(model: &mut Model, shared: &Shared, key: &Key, out: &mut Out) {
    match key.code {
        Code::Esc => model.typing = None,
        Code::Enter => {
            let Some(input) = model.typing.take() else { return };
            model.pattern = Pattern::new(input.text());
            model.at = None;
            model.jump(shared, true, out);
        }
        _ => {
            if let Some(it) = &mut model.typing {
                it.key(key);
            }
        }
    }
}

/// Takes pasted text.
pub fn paste(model: &mut Model, _shared: &Shared, text: &str, _out: &mut Out) {
    if let Some(it) = &mut model.typing {
        it.insert(text);
    }
}

/// Takes a mouse event, anywhere.
pub fn mouse(model: &mut Model, shared: &Shared, mouse: &Mouse, _out: &mut Out) {
    match mouse.kind {
        MouseKind::ScrollUp => model.scroll(shared, -3),
        MouseKind::ScrollDown => model.scroll(shared, 3),
        _ => (),
    }
}

/// Takes an answer that was asked for with [`crate::tui::model::Purpose::Popup`].
pub fn answered(
    model: &mut Model,
    _id: PopupId,
    shared: &Shared,
    result: &Result<Reply, ApiError>,
    _out: &mut Out,
) {
    model.waits = false;
    match result {
        Ok(Reply::Why(why)) => model.take_why(why, shared),
        Ok(Reply::Diff(found)) => diff::of_task(model, found),
        Ok(Reply::CheckpointDiff(found)) => diff::of_checkpoints(model, found),
        Ok(Reply::TaskCosts(it)) => costs::take(model, it, shared),
        Ok(Reply::Sources(it)) => costs::take_sources(model, it),
        Ok(Reply::TaskTurns(it)) => costs::take_turns(model, it, shared),
        Ok(_) => (),
        // What is known already stays.
        Err(error) if model.costs.is_some() => {
            let text = format!("  what it cost in detail is not known: {}", error.message);
            model.rows.push(Row::new(Some(Role::Error), &one_line(&text, 300)));
        }
        Err(error) if !model.rows.is_empty() => {
            let text = format!("  more is not known: {}", error.message);
            model.rows.push(Row::new(Some(Role::Error), &one_line(&text, 300)));
        }
        Err(error) => {
            model.rows = vec![Row::new(Some(Role::Error), &error.message)];
            model.rows.extend(error.hints.iter().map(|it| Row::new(None, it)));
        }
    }
}

/// Draws it over what is there; `area` is the whole screen.
pub fn view(model: &Model, shared: &Shared, area: Rect, canvas: &mut Canvas) {
    let theme = shared.look.theme;
    let outer = outer(shared, model.rows.len());
    let size = (outer.width, outer.height);
    let title = format!(" {} ", one_line(&model.title, 80));
    let inner = frame::popup(canvas, area, size, &title, theme).intersection(canvas.area());
    if inner.is_empty() {
        return;
    }
    hints(model, shared, inner, canvas);
    if model.waits {
        canvas.fit(inner.x, inner.y, inner.width, "asking", theme.style(Role::Dim));
    }
    let mut y = inner.y;
    for at in model.top.line..model.rows.len() {
        let row = &model.rows[at];
        let matches = model.pattern.as_ref().map(|it| it.find(&row.text)).unwrap_or_default();
        let line = rich(row, shared);
        let skip = if at == model.top.line { model.top.row } else { 0 };
        for part in wrap(&row.text, inner.width, Break::Blanks).into_iter().skip(skip) {
            if inner.bottom() <= y {
                break;
            }
            let spot = Spot { x: inner.x, y, width: inner.width };
            lines::draw(canvas, spot, &line, part, (&matches, theme.style(Role::Match)));
            y += 1;
        }
    }
    if let Some(input) = &model.typing {
        let row = Rect { y: inner.bottom() - 1, height: 1, ..inner };
        canvas.fill(row, theme.style(Role::InputFocused));
        let x = canvas.text(row.x, row.y, row.width, "/", theme.style(Role::Key));
        let field = Rect { x, width: row.right().saturating_sub(x), ..row };
        input.view(field, true, theme, canvas);
    }
}

fn rich(row: &Row, shared: &Shared) -> Rich {
    let theme = shared.look.theme;
    let text = theme.style(row.role.unwrap_or(Role::Text));
    let name = Piece { end: row.name, style: theme.style(Role::Dim), ..Piece::default() };
    let value = Piece { end: row.text.len(), style: text, ..Piece::default() };
    let mut pieces = if row.name == 0 { vec![value] } else { vec![name, value] };
    if !row.parts.is_empty() {
        // The sign of a line in a diff comes before its code.
        pieces = vec![Piece { end: 1, style: text, ..Piece::default() }];
        let part = |(end, role): &(usize, Option<Role>)| {
            let style = role.map_or(text, |it| text.patch(theme.style(it)));
            Piece { end: *end, style, ..Piece::default() }
        };
        pieces.extend(row.parts.iter().map(part));
    }
    Rich { text: row.text.clone(), pieces }
}

/// The lower border says which keys there are.
fn hints(model: &Model, shared: &Shared, inner: Rect, canvas: &mut Canvas) {
    let last = model.paper(shared, |it| it.last());
    let more = if last <= model.top { "" } else { "  more below" };
    let files = if model.diff { "  n next file" } else { "" };
    let text = format!(" Esc close  / search{files}  y copy  o pager{more} ");
    let style = shared.look.theme.style(Role::KeyLabel);
    canvas.fit(inner.x, inner.bottom(), inner.width, &text, style);
}
