//! The task form: what a task is asked, where it goes, what it may cost.
//!
//! What is written is kept: in a file half a second after the last change, so that no crash loses
//! a prompt, and restored by the next form.

mod complete;
mod fields;
mod over;
#[cfg(test)]
mod tests;
mod view;

use std::{collections::BTreeMap, time::Duration};

use ratatui::layout::Rect;

use crate::{
    api::{
        error::ApiError,
        types::{CreateTask, DryRun},
    },
    stdx::time::Timestamp,
    tui::{
        effect::{Ask, Effect, File, HandOver, Request},
        history,
        keymap::Action,
        model::{Level, Out, Purpose, Shared, Then},
        msg::{Reply, Returned},
        popup::{
            PopupId,
            form::{
                complete::Completion,
                fields::{Field, Fields, Saved, Value},
                over::Over,
            },
        },
        widget::editor::keys::Taken,
    },
    vt::input::{Button, Code, Key, Mouse, MouseKind},
};

pub use view::view;

/// How long nothing must change before the dispatcher is asked what the task would do.
const PREVIEW_PAUSE: Duration = Duration::from_millis(300);

/// How long nothing must change before the draft is written.
const DRAFT_PAUSE: Duration = Duration::from_millis(500);

/// The numbers of what it asks for; dry runs count on from [`DRY_RUNS`], so that an answer to what
/// was there before is known as such.
const DRAFT: u64 = 0;
const HISTORY: u64 = 1;
const TEMPLATES: u64 = 2;
const PROMPT: u64 = 3;
const SUBMIT: u64 = 4;
const LIST: u64 = 5;
const DRY_RUNS: u64 = 100;

/// What the popup holds.
#[derive(Debug)]
pub struct Model {
    fields: Fields,
    focus: Field,
    /// What lies over the form.
    over: Option<Over>,
    /// Which form it was filled in from.
    from: From,
    /// Whether a person changed something.
    touched: bool,
    /// Counts changes; what is out of date is asked again after a pause.
    version: u64,
    preview: Preview,
    preview_at: Option<Timestamp>,
    draft_at: Option<Timestamp>,
    /// Prompts sent before, newest first.
    before: Vec<String>,
    /// Forms kept by name; the one submitted last has an empty name.
    templates: BTreeMap<String, Saved>,
    completion: Completion,
    /// Submitted: whether to attach then.
    submitting: Option<bool>,
    problem: Option<(Option<Field>, String)>,
}

/// What a form is filled in from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum From {
    Draft,
    /// This task, whose prompt is still to be asked for.
    Task(String),
    Last,
}

/// What the dispatcher says the task would do.
#[derive(Clone, Debug)]
enum Preview {
    Nothing,
    Asked,
    Is(Box<DryRun>),
    Not(String),
}

impl Model {
    /// Returns a form with the draft that was left, or an empty one.
    pub fn fresh(shared: &Shared) -> Model {
        Model::new(shared, From::Draft)
    }

    /// Returns a form filled in like the selected task.
    pub fn like(shared: &Shared) -> Model {
        let Some(task) = shared.task() else { return Model::fresh(shared) };
        let mut model = Model::new(shared, From::Task(task.id.clone()));
        model.fields.like(task);
        model.fields.prompt.set(&task.prompt);
        model
    }

    /// Returns a form filled in like the task submitted last.
    pub fn again(shared: &Shared) -> Model {
        Model::new(shared, From::Last)
    }

    fn new(shared: &Shared, from: From) -> Model {
        Model {
            fields: Fields::new(shared),
            focus: Field::Prompt,
            over: None,
            from,
            touched: false,
            version: 0,
            preview: Preview::Nothing,
            preview_at: None,
            draft_at: None,
            before: Vec::new(),
            templates: BTreeMap::new(),
            completion: Completion::default(),
            submitting: None,
            problem: None,
        }
    }

    /// Something was changed by a person.
    fn changed(&mut self, shared: &Shared) {
        self.touched = true;
        self.draft_at = Some(shared.now.plus(DRAFT_PAUSE));
        self.filled(shared);
    }

    /// The fields hold something else.
    fn filled(&mut self, shared: &Shared) {
        self.version += 1;
        self.preview_at = Some(shared.now.plus(PREVIEW_PAUSE));
        self.preview = Preview::Nothing;
        self.problem = None;
    }

    fn focus(&mut self, by: usize) {
        let at = Field::ALL.iter().position(|it| *it == self.focus).unwrap_or(0);
        self.focus = Field::ALL[(at + by) % Field::ALL.len()];
    }

    fn write_draft(&mut self, out: &mut Out) {
        self.draft_at = None;
        if !self.touched {
            return;
        }
        // Names and texts always have a JSON form.
        let text = serde_json::to_string(&self.fields.save()).unwrap_or_default();
        out.ask("keep the draft", Ask::WriteFile { file: File::Draft, text }, Purpose::Quiet);
    }

    fn write_templates(&self, out: &mut Out) {
        let text = serde_json::to_string(&self.templates).unwrap_or_default();
        let ask = Ask::WriteFile { file: File::Templates, text };
        out.ask("keep the templates", ask, Purpose::Quiet);
    }

    fn request(&mut self) -> Option<Box<CreateTask>> {
        match self.fields.request() {
            Ok(it) => Some(Box::new(it)),
            Err((field, why)) => {
                (self.focus, self.problem) = (field, Some((Some(field), why)));
                None
            }
        }
    }

    fn submit(&mut self, id: PopupId, attach: bool, out: &mut Out) {
        if self.submitting.is_some() {
            return out.note(Level::Info, "it is being submitted");
        }
        let Some(request) = self.request() else { return };
        self.submitting = Some(attach);
        let ask = Ask::Request(Request::Create(request));
        out.ask("submit the task", ask, Purpose::PopupItem(id, SUBMIT));
    }

    fn dry_run(&mut self, id: PopupId, out: &mut Out) {
        self.preview_at = None;
        let Ok(request) = self.fields.request() else {
            self.preview = Preview::Nothing;
            return;
        };
        self.preview = Preview::Asked;
        let ask = Ask::Request(Request::DryRun(Box::new(request)));
        out.ask("dry run", ask, Purpose::PopupItem(id, DRY_RUNS + self.version));
    }

    fn show_plan(&mut self, id: PopupId, out: &mut Out) {
        if self.request().is_none() {
            return;
        }
        self.over = Some(Over::Plan { top: 0 });
        if !matches!(self.preview, Preview::Is(_) | Preview::Asked) {
            self.dry_run(id, out);
        }
    }

    /// It was written down: the draft is history now.
    fn submitted(&mut self, id: &str, name: &str, out: &mut Out) {
        self.draft_at = None;
        out.effects.push(Effect::RemoveFile(File::Draft));
        if !self.fields.prompt.is_blank() {
            let text = history::with(&self.before, &self.fields.prompt.text());
            let ask = Ask::WriteFile { file: File::PromptHistory, text };
            out.ask("keep the prompt", ask, Purpose::Quiet);
        }
        self.templates.insert(String::new(), self.fields.save());
        self.write_templates(out);
        out.note(Level::Done, format!("submitted {name}"));
        out.then.push(Then::Close);
        out.then.push(Then::Select(id.to_owned()));
        if self.submitting.take() == Some(true) {
            out.then.push(Then::AttachWhenReady(id.to_owned()));
        }
    }
}

/// The popup was opened: asks for what was left.
pub fn opened(model: &mut Model, id: PopupId, shared: &Shared, out: &mut Out) {
    view::fit(model, shared);
    let mut read = |label: &str, file: File, item: u64| {
        out.ask(label, Ask::ReadFile(file), Purpose::PopupItem(id, item));
    };
    read("prompts sent before", File::PromptHistory, HISTORY);
    read("templates", File::Templates, TEMPLATES);
    match &model.from {
        From::Draft => read("the draft", File::Draft, DRAFT),
        From::Task(task) => {
            let ask = Ask::Request(Request::PromptText { id: task.clone() });
            out.ask("the task's prompt", ask, Purpose::PopupItem(id, PROMPT));
        }
        From::Last => (),
    }
    model.preview_at = Some(shared.now);
}

/// Does an action of the form.
pub fn act(model: &mut Model, id: PopupId, shared: &Shared, action: Action, out: &mut Out) {
    if model.over.is_some() {
        return over::act(model, shared, action, out);
    }
    match action {
        Action::FormSubmit => model.submit(id, false, out),
        Action::FormSubmitAttach => model.submit(id, true, out),
        Action::FormEditor => {
            let to = HandOver::Editor { text: model.fields.prompt.text(), suffix: ".md" };
            out.then.push(Then::HandOver { to, purpose: Purpose::Popup(id) });
        }
        Action::FormHistory => over::history(model),
        Action::FormTemplates => over::templates(model),
        Action::FormDryRun => model.show_plan(id, out),
        Action::FormClose => {
            model.write_draft(out);
            out.then.push(Then::Close);
            if model.touched {
                out.note(Level::Info, "the draft is kept: n brings it back");
            }
        }
        _ => (),
    }
}

/// Takes a key that is no action of the form.
pub fn key(model: &mut Model, id: PopupId, shared: &Shared, key: &Key, out: &mut Out) {
    if model.over.is_some() {
        return over::key(model, shared, key, out);
    }
    view::fit(model, shared);
    match key.code {
        Code::Tab if model.focus == Field::Workspace && complete::take(model) => {
            model.changed(shared);
        }
        Code::Tab => model.focus(1),
        Code::BackTab => model.focus(Field::ALL.len() - 1),
        _ if model.focus == Field::Prompt => prompt_key(model, shared, key),
        Code::Enter | Code::Down => model.focus(1),
        Code::Up => model.focus(Field::ALL.len() - 1),
        _ => field_key(model, shared, key),
    }
    complete::ask(model, id, out);
}

fn prompt_key(model: &mut Model, shared: &Shared, key: &Key) {
    let version = model.fields.prompt.version();
    let taken = model.fields.prompt.key(key);
    if model.fields.prompt.version() != version {
        model.changed(shared);
    }
    match taken {
        Taken::But(refused) => {
            model.problem = Some((Some(Field::Prompt), refused.why().to_owned()));
        }
        Taken::No if key.code == Code::Down => model.focus(1),
        Taken::No | Taken::Yes => (),
    }
}

fn field_key(model: &mut Model, shared: &Shared, key: &Key) {
    let Some(value) = model.fields.value_mut(model.focus) else { return };
    let changed = match value {
        Value::Line(input) => {
            let before = input.text().to_owned();
            input.key(key);
            before != input.text()
        }
        Value::Choice { options, at } => {
            let before = *at;
            let count = options.len().max(1);
            match key.code {
                Code::Right | Code::Char(' ') => *at = (*at + 1) % count,
                Code::Left => *at = (*at + count - 1) % count,
                Code::Char(c) if !key.mods.ctrl && !key.mods.alt => *at = first(options, *at, c),
                _ => (),
            }
            before != *at
        }
    };
    if changed {
        model.changed(shared);
    }
}

/// Returns the next option that begins with a letter.
fn first(options: &[String], at: usize, c: char) -> usize {
    let begins = |it: &usize| {
        let first = options[*it].chars().next();
        first.is_some_and(|it| it.eq_ignore_ascii_case(&c))
    };
    (1..=options.len()).map(|by| (at + by) % options.len()).find(begins).unwrap_or(at)
}

/// Takes pasted text.
pub fn paste(model: &mut Model, shared: &Shared, text: &str, _out: &mut Out) {
    if let Some(over) = &mut model.over {
        return over.paste(text);
    }
    view::fit(model, shared);
    let mut refused = None;
    match model.fields.value_mut(model.focus) {
        Some(Value::Line(input)) => input.insert(text),
        Some(Value::Choice { .. }) => return,
        None => refused = model.fields.prompt.paste(text),
    }
    model.changed(shared);
    model.problem = refused.map(|it| (Some(Field::Prompt), it.why().to_owned()));
}

/// Takes a mouse event: a click focuses, a second one changes a choice, the wheel scrolls.
pub fn mouse(model: &mut Model, shared: &Shared, mouse: &Mouse, _out: &mut Out) {
    if model.over.is_some() {
        return;
    }
    let (cols, rows) = shared.size;
    let places = view::places(model, Rect::new(0, 0, cols, rows));
    match mouse.kind {
        MouseKind::ScrollDown => model.fields.prompt.scroll(3),
        MouseKind::ScrollUp => model.fields.prompt.scroll(-3),
        MouseKind::Drag(Button::Left) if model.focus == Field::Prompt => {
            model.fields.prompt.click(places.prompt, mouse.col, mouse.row, true);
        }
        MouseKind::Down(Button::Left) => {
            let Some((field, area)) = places.at(mouse.col, mouse.row) else { return };
            let again = model.focus == field;
            model.focus = field;
            match model.fields.value_mut(field) {
                None => model.fields.prompt.click(area, mouse.col, mouse.row, false),
                Some(Value::Line(input)) => input.click(area, mouse.col),
                Some(Value::Choice { options, at }) if again => {
                    *at = (*at + 1) % options.len().max(1);
                    model.changed(shared);
                }
                Some(Value::Choice { .. }) => (),
            }
        }
        _ => (),
    }
}

/// All it asks for has a number.
pub fn answered(
    _model: &mut Model,
    _id: PopupId,
    _shared: &Shared,
    _result: &Result<Reply, ApiError>,
    _out: &mut Out,
) {
}

/// Takes an answer by the number of what was asked.
pub fn answered_item(
    model: &mut Model,
    id: PopupId,
    shared: &Shared,
    (item, result): (u64, &Result<Reply, ApiError>),
    out: &mut Out,
) {
    match (item, result) {
        (DRAFT, Ok(Reply::File(Some(text)))) if !model.touched => {
            if let Ok(saved) = serde_json::from_str::<Saved>(text) {
                model.fields.load(&saved);
                model.filled(shared);
            }
        }
        (HISTORY, Ok(Reply::File(text))) => model.before = history::read(text.as_deref()),
        (TEMPLATES, Ok(Reply::File(Some(text)))) => {
            model.templates = serde_json::from_str(text).unwrap_or_default();
            if model.from == From::Last
                && !model.touched
                && let Some(last) = model.templates.get("").cloned()
            {
                model.fields.load(&last);
                model.filled(shared);
            }
        }
        (PROMPT, Ok(Reply::Text(Some(text)))) if !model.touched => {
            model.fields.prompt.set(text);
            model.filled(shared);
        }
        (SUBMIT, Ok(Reply::Created(it))) => model.submitted(&it.task.id, &it.task.name, out),
        (SUBMIT, Err(error)) => refused(model, error),
        (LIST, Ok(Reply::Names(names))) => model.completion.listed(names),
        (LIST, Err(_)) => model.completion.listed(&[]),
        (item, result) if item == DRY_RUNS + model.version => {
            model.preview = match result {
                Ok(Reply::DryRun(it)) => Preview::Is(Box::new(it.clone())),
                Ok(_) => Preview::Nothing,
                Err(error) => Preview::Not(error.message.clone()),
            };
        }
        _ => (),
    }
    complete::ask(model, id, out);
}

/// The dispatcher refused it: says so at the field that it names.
fn refused(model: &mut Model, error: &ApiError) {
    model.submitting = None;
    let hint = error.hints.first().map(|it| format!(" ({it})")).unwrap_or_default();
    let field = match error.message.strip_prefix("bad ").and_then(|it| it.split_once(':')) {
        Some(("prompt", _)) => Some(Field::Prompt),
        Some(("workspace", _)) => Some(Field::Workspace),
        Some(("model", _)) => Some(Field::Model),
        Some(("max_cost_usd", _)) => Some(Field::Ceiling),
        _ => None,
    };
    model.focus = field.unwrap_or(model.focus);
    model.problem = Some((field, format!("{}{hint}", error.message)));
}

/// Does what was put off until nothing changed for a while.
pub fn changed(model: &mut Model, id: PopupId, shared: &Shared, out: &mut Out) {
    if model.preview_at.is_some_and(|it| it <= shared.now) {
        model.dry_run(id, out);
    }
    if model.draft_at.is_some_and(|it| it <= shared.now) {
        model.write_draft(out);
    }
    if let Some(next) = [model.preview_at, model.draft_at].into_iter().flatten().min() {
        out.then.push(Then::WakeAt(next));
    }
}

/// Takes the editor's text.
pub fn returned(model: &mut Model, shared: &Shared, what: &Returned, _out: &mut Out) {
    match what {
        Returned::Edited(Ok(text)) => {
            let refused = model.fields.prompt.set(text.strip_suffix('\n').unwrap_or(text));
            model.changed(shared);
            model.problem = refused.map(|it| (Some(Field::Prompt), it.why().to_owned()));
        }
        Returned::Edited(Err(why)) | Returned::Failed(why) => {
            model.problem = Some((None, why.clone()));
        }
        Returned::Session | Returned::Shown | Returned::Continued => (),
    }
}
