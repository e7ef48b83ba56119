//! The fields: what they hold, what is wrong with it, and the request they make.

use std::{collections::BTreeMap, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    api::{types::CreateTask, view::TaskView},
    domain::{
        task::{Gpu, Isolation, PermissionMode, TaskKind},
        usd::Usd,
    },
    stdx::time::{parse_duration, short},
    tui::{
        model::Shared,
        widget::{editor::Editor, input::Input},
    },
};

/// What stands for no choice.
pub const ANY: &str = "any";
/// What stands for none.
pub const NONE: &str = "none";

/// The fields, in the order of the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Field {
    Prompt,
    Type,
    Where,
    Gpu,
    Memory,
    Cpu,
    Workspace,
    Isolation,
    Dirty,
    Model,
    Permission,
    Ceiling,
    Timeout,
    Interactive,
    Name,
}

impl Field {
    /// Every field, in the order of the keys.
    pub const ALL: [Field; 15] = [
        Field::Prompt,
        Field::Type,
        Field::Where,
        Field::Gpu,
        Field::Memory,
        Field::Cpu,
        Field::Workspace,
        Field::Isolation,
        Field::Dirty,
        Field::Model,
        Field::Permission,
        Field::Ceiling,
        Field::Timeout,
        Field::Interactive,
        Field::Name,
    ];

    /// Returns its label.
    pub fn label(self) -> &'static str {
        match self {
            Field::Prompt => "Prompt",
            Field::Type => "Type",
            Field::Where => "Where",
            Field::Gpu => "GPU",
            Field::Memory => "Memory GB",
            Field::Cpu => "Cores",
            Field::Workspace => "Workspace",
            Field::Isolation => "Isolation",
            Field::Dirty => "Uncommitted files come along",
            Field::Model => "Model",
            Field::Permission => "Permissions",
            Field::Ceiling => "Ceiling $",
            Field::Timeout => "Time-out",
            Field::Interactive => "Interactive",
            Field::Name => "Name",
        }
    }

    /// Returns what an empty line means.
    pub fn empty(self) -> &'static str {
        match self {
            Field::Memory | Field::Cpu => "what the type needs",
            Field::Model => "Claude's own choice",
            Field::Ceiling => "as configured",
            Field::Timeout => "as configured; 1h30m, 0 for none",
            Field::Name => "the prompt's first words",
            _ => "",
        }
    }
}

/// What a field other than the prompt holds.
#[derive(Clone, Debug)]
pub enum Value {
    Choice { options: Vec<String>, at: usize },
    Line(Input),
}

impl Value {
    /// Returns it as text.
    pub fn text(&self) -> &str {
        match self {
            Value::Choice { options, at } => options.get(*at).map_or("", String::as_str),
            Value::Line(input) => input.text(),
        }
    }

    /// Takes a text; a choice that does not have it stays as it is.
    pub fn set(&mut self, text: &str) {
        match self {
            Value::Choice { options, at } => {
                *at = options.iter().position(|it| it == text).unwrap_or(*at);
            }
            Value::Line(input) => *input = Input::new(text),
        }
    }
}

/// A form as it is kept in files: fields by name.
pub type Saved = BTreeMap<Field, String>;

/// The fields.
#[derive(Clone, Debug)]
pub struct Fields {
    pub prompt: Editor,
    /// All others, in the order of [`Field::ALL`].
    pub values: Vec<(Field, Value)>,
    /// The home directory, for `~`.
    home: String,
}

impl Fields {
    /// Returns a form with what is configured.
    pub fn new(shared: &Shared) -> Fields {
        let defaults = &shared.look.source.task;
        let home = shared.facts.home.to_string_lossy().into_owned();
        let words = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let yes = |it: bool| if it { "yes" } else { "no" };
        let money = defaults.max_cost_usd.map(|it| it.to_string()).unwrap_or_default();
        let cwd = shared.facts.cwd.to_string_lossy().into_owned();
        let value = |field: Field| match field {
            Field::Prompt => None,
            Field::Type => Some((words(&names(TaskKind::ALL, TaskKind::as_str)), &*defaults.kind)),
            Field::Where => Some((places(shared), ANY)),
            Field::Gpu => {
                let mut all = vec![NONE];
                all.extend(names(Gpu::ALL, Gpu::as_str));
                Some((words(&all), NONE))
            }
            Field::Isolation => {
                let all = words(&names(Isolation::ALL, Isolation::as_str));
                Some((all, &*defaults.isolation))
            }
            Field::Dirty => Some((words(&["yes", "no"]), yes(defaults.include_dirty))),
            Field::Permission => {
                let all = words(&names(PermissionMode::ALL, PermissionMode::as_str));
                Some((all, &*defaults.permission_mode))
            }
            Field::Interactive => Some((words(&["no", "yes"]), "no")),
            Field::Workspace => Some((Vec::new(), &*cwd)),
            Field::Model => Some((Vec::new(), defaults.model.as_deref().unwrap_or_default())),
            Field::Ceiling => Some((Vec::new(), &*money)),
            Field::Memory | Field::Cpu | Field::Timeout | Field::Name => Some((Vec::new(), "")),
        };
        let values = Field::ALL.iter().filter_map(|field| {
            let (options, text) = value(*field)?;
            let mut value = match options.is_empty() {
                true => Value::Line(Input::default()),
                false => Value::Choice { options, at: 0 },
            };
            value.set(text);
            Some((*field, value))
        });
        let values = values.collect();
        let mut fields = Fields { prompt: Editor::default(), values, home };
        let shown = fields.tilde(&cwd);
        fields.set(Field::Workspace, &shown);
        fields
    }

    /// Fills it in like a task, but for the prompt, of which only the first line is known.
    pub fn like(&mut self, task: &TaskView) {
        let number = |it: Option<u32>| it.map(|it| it.to_string()).unwrap_or_default();
        let time = task.timeout_seconds.map(short_seconds).unwrap_or_default();
        let yes = |it: bool| if it { "yes" } else { "no" };
        let source = self.tilde(&task.source);
        let cost = task.max_cost_usd.map(|it| it.to_string()).unwrap_or_default();
        for (field, text) in [
            (Field::Type, &*task.kind),
            (Field::Gpu, task.gpu.as_deref().unwrap_or(NONE)),
            (Field::Memory, &*number(task.memory_gb)),
            (Field::Cpu, &*number(task.cpu)),
            (Field::Workspace, &*source),
            (Field::Isolation, &*task.isolation),
            (Field::Model, task.model.as_deref().unwrap_or_default()),
            (Field::Permission, &*task.permission_mode),
            (Field::Ceiling, &*cost),
            (Field::Timeout, &*time),
            (Field::Interactive, yes(task.interactive)),
        ] {
            self.set(field, text);
        }
    }

    /// Returns a value's text.
    pub fn text(&self, field: Field) -> &str {
        let found = self.values.iter().find(|it| it.0 == field);
        found.map_or("", |it| it.1.text()).trim()
    }

    /// Returns a field's value.
    pub fn value_mut(&mut self, field: Field) -> Option<&mut Value> {
        self.values.iter_mut().find(|it| it.0 == field).map(|it| &mut it.1)
    }

    /// Sets a field from text.
    pub fn set(&mut self, field: Field, text: &str) {
        if let Some(value) = self.value_mut(field) {
            value.set(text);
        }
    }

    /// Returns the form as it is kept.
    pub fn save(&self) -> Saved {
        let mut saved: Saved =
            self.values.iter().map(|(field, it)| (*field, it.text().to_owned())).collect();
        saved.insert(Field::Prompt, self.prompt.text());
        saved
    }

    /// Fills it in from what was kept.
    pub fn load(&mut self, saved: &Saved) {
        for (field, text) in saved {
            match field {
                Field::Prompt => drop(self.prompt.set(text)),
                _ => self.set(*field, text),
            }
        }
    }

    /// Returns the workspace as an absolute path.
    pub fn workspace(&self) -> String {
        let text = self.text(Field::Workspace);
        match text.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                format!("{}{rest}", self.home)
            }
            _ => text.to_owned(),
        }
    }

    fn tilde(&self, path: &str) -> String {
        match path.strip_prefix(&*self.home) {
            Some(rest) if !self.home.is_empty() && (rest.is_empty() || rest.starts_with('/')) => {
                format!("~{rest}")
            }
            _ => path.to_owned(),
        }
    }

    /// Returns what is wrong with a field, by the dispatcher's own rules.
    pub fn problem(&self, field: Field) -> Option<String> {
        let text = self.text(field);
        match field {
            Field::Prompt if self.prompt.is_blank() && self.text(Field::Interactive) != "yes" => {
                Some("say what Claude shall do, or make it interactive".to_owned())
            }
            Field::Memory | Field::Cpu => number(text).err(),
            Field::Workspace if text.is_empty() => Some("a directory is needed".to_owned()),
            Field::Workspace if !self.workspace().starts_with('/') => {
                Some("the path must start with / or ~".to_owned())
            }
            Field::Workspace if text.contains(char::is_control) => {
                Some("the path holds a control character".to_owned())
            }
            Field::Model if text.starts_with('-') => Some("that is not a model".to_owned()),
            Field::Ceiling => dollars(text).err(),
            Field::Timeout => seconds(text).err(),
            _ => None,
        }
    }

    /// Returns the request they make.
    ///
    /// # Errors
    ///
    /// The first field that is wrong, and why.
    pub fn request(&self) -> Result<CreateTask, (Field, String)> {
        if let Some(wrong) = Field::ALL.iter().find_map(|it| Some((*it, self.problem(*it)?))) {
            return Err(wrong);
        }
        let some = |field: Field| {
            let text = self.text(field);
            (!text.is_empty() && text != ANY && text != NONE).then(|| text.to_owned())
        };
        Ok(CreateTask {
            prompt: if self.prompt.is_blank() { String::new() } else { self.prompt.text() },
            name: some(Field::Name),
            kind: word::<TaskKind>(self.text(Field::Type)),
            gpu: word::<Gpu>(self.text(Field::Gpu)),
            memory_gb: number(self.text(Field::Memory)).unwrap_or_default(),
            cpu: number(self.text(Field::Cpu)).unwrap_or_default(),
            target: some(Field::Where),
            workspace: self.workspace(),
            isolation: word::<Isolation>(self.text(Field::Isolation)),
            include_dirty: Some(self.text(Field::Dirty) == "yes"),
            interactive: self.text(Field::Interactive) == "yes",
            timeout_seconds: seconds(self.text(Field::Timeout)).unwrap_or_default(),
            permission_mode: word::<PermissionMode>(self.text(Field::Permission)),
            model: some(Field::Model),
            max_cost_usd: dollars(self.text(Field::Ceiling)).unwrap_or_default(),
            ..CreateTask::default()
        })
    }
}

/// Returns where a task may be sent: what the dispatcher has, and what is configured.
fn places(shared: &Shared) -> Vec<String> {
    let mut places = vec![ANY.to_owned()];
    let known = shared.replica.status.iter().flat_map(|it| &it.providers).map(|it| &it.name);
    for it in known.chain(&shared.look.source.hosts) {
        if !places.contains(it) {
            places.push(it.clone());
        }
    }
    places
}

fn names<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str) -> Vec<&'static str> {
    all.iter().map(|it| name(*it)).collect()
}

fn word<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn number(text: &str) -> Result<Option<u32>, String> {
    match text.parse::<u32>() {
        _ if text.is_empty() => Ok(None),
        Ok(0) | Err(_) => Err("a whole number from 1 on".to_owned()),
        Ok(it) => Ok(Some(it)),
    }
}

fn dollars(text: &str) -> Result<Option<f64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let amount = text.trim_start_matches('$').parse::<f64>().ok();
    match amount.and_then(|it| Some((it, Usd::from_dollars(it)?))) {
        Some((amount, usd)) if Usd::ZERO < usd => Ok(Some(amount)),
        _ => Err("an amount of dollars above 0".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Option<u64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    parse_duration(text).map(|it| Some(it.as_secs()))
}

fn short_seconds(seconds: u64) -> String {
    let exact = short(std::time::Duration::from_secs(seconds));
    match parse_duration(&exact) {
        Ok(it) if it.as_secs() == seconds => exact,
        _ => seconds.to_string(),
    }
}
