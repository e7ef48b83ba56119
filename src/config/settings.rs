//! What the files mean.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use serde_json::{Value as Json, json};

use crate::{
    config::{
        error::{ConfigError, Position, Problem},
        keys::{self, Key, Trust},
        raw::{self, Entry},
        value::{CommandLine, EnvName, Fraction, Theme},
    },
    domain::{
        budget::OnExceeded,
        checkpoint::Trigger,
        task::{Gpu, Isolation, PermissionMode, TaskKind},
        usd::Usd,
    },
};

/// Every setting, by section, and where each came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `[modal]`
    pub modal: Modal,
    /// `[budget]`
    pub budget: Budget,
    /// `[checkpoint]`
    pub checkpoint: Checkpoint,
    /// `[dispatcher]`
    pub dispatcher: Dispatcher,
    /// `[reconciler]`
    pub reconciler: Reconciler,
    /// `[[hosts]]`; a later file's list replaces an earlier one's.
    pub hosts: Vec<Host>,
    /// `[agent]`
    pub agent: Agent,
    /// `[local]`
    pub local: Local,
    /// `[tasks]`
    pub tasks: TaskDefaults,
    /// `[notifications]`
    pub notifications: Notifications,
    /// `[ui]`
    pub ui: Ui,
    /// `[keys]`: the dashboard's actions and the keys for them. What the names mean is the
    /// dashboard's to check.
    pub keys: BTreeMap<String, String>,
    /// Where each value came from, by dotted key; every key of the table is in it.
    pub origins: BTreeMap<String, Origin>,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A file.
    File {
        /// Its path.
        path: PathBuf,
        /// The key's line, counted from one.
        line: u32,
    },
    /// An environment variable.
    Env {
        /// Its name.
        name: &'static str,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Env { name } => write!(f, "env {name}"),
        }
    }
}

/// Sandboxes at Modal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Modal {
    /// Where they run; nothing leaves it to Modal.
    pub region: Option<String>,
    /// The volume that is mounted in them.
    pub volume_name: String,
    /// Cores of each.
    pub cpu_count: u32,
    /// Memory of each in MiB.
    pub memory_mb: u32,
    /// How long one lives at most, in hours.
    pub default_timeout_hours: u32,
}

/// Ceilings.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// For everything, ever.
    pub default_ceiling_usd: Usd,
    /// The part of a ceiling from which on to warn.
    pub warning_threshold: Fraction,
    /// For one task that sets none of its own.
    pub max_cost_per_task: Option<Usd>,
    /// For one day.
    pub max_daily_cost: Option<Usd>,
    /// What happens at a ceiling.
    pub on_exceeded: OnExceeded,
    /// Reserved for a task of which nothing is known.
    pub reserve_usd: Usd,
    /// How long a session on a paid worker goes on without a dispatcher.
    pub paid_lease: Option<Duration>,
    /// How long one on a free worker does.
    pub free_lease: Option<Duration>,
}

/// Checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Minutes between periodic ones.
    pub auto_interval_minutes: u32,
    /// How many are kept of a session.
    pub max_per_session: u32,
    /// How many days they are kept.
    pub retention_days: u32,
    /// What makes one.
    pub triggers: Vec<Trigger>,
    /// Ignored files that are saved all the same, as gitignore patterns.
    pub include: Vec<String>,
    /// Files longer than so many MiB are named, not saved.
    pub max_file_mb: u32,
}

/// The dispatcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispatcher {
    /// Workers at once, over all providers.
    pub max_concurrent_workers: u32,
}

/// Comparing what exists with what is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconciler {
    /// Seconds between comparisons.
    pub poll_interval_seconds: u32,
    /// Seconds without a sign of life after which a state is shown as unknown.
    pub stale_threshold_seconds: u32,
    /// Whether what is recorded nowhere is ended.
    pub auto_terminate_orphans: bool,
}

/// A machine reached by SSH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// What tasks call it.
    pub name: String,
    /// Its destination as `ssh` takes it.
    pub ssh: String,
    /// Workers at once.
    pub slots: u32,
    /// Its GPUs.
    pub gpus: Vec<Gpu>,
    /// Its memory in GB, if known.
    pub memory_gb: Option<u32>,
    /// What a worker there costs per hour.
    pub cost_per_hour: Usd,
    /// What a GPU of a worker there costs per hour on top.
    pub gpu_cost_per_hour: Usd,
    /// The most that may be spent there.
    pub max_cost: Option<Usd>,
}

/// Claude.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// How it is started.
    pub command: CommandLine,
    /// The model; nothing leaves it to Claude.
    pub model: Option<String>,
    /// What it may do without asking.
    pub permission_mode: PermissionMode,
    /// Variables passed on from the caller's environment to tasks on this machine.
    pub env: Vec<EnvName>,
}

/// This machine as a place to work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// Workers at once; as many as the dispatcher's unless set.
    pub slots: u32,
    /// Its GPUs.
    pub gpus: Vec<Gpu>,
    /// Its memory in GB, if it is to be minded.
    pub memory_gb: Option<u32>,
    /// What a worker costs per hour.
    pub cost_per_hour: Usd,
    /// What a worker's GPU costs per hour on top.
    pub gpu_cost_per_hour: Usd,
    /// The most that may be spent there.
    pub max_cost: Option<Usd>,
    /// How long a session that waits for a prompt stays open.
    pub idle_timeout: Option<Duration>,
}

/// What a task is given that does not say otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskDefaults {
    /// `type`
    pub kind: TaskKind,
    /// The longest it may run.
    pub timeout: Option<Duration>,
    /// The longest it waits for a prompt; nothing leaves it to the place where it runs.
    pub idle_timeout: Option<Duration>,
    /// How the directory is kept from changes.
    pub isolation: Isolation,
    /// Whether uncommitted and untracked files come along.
    pub include_dirty: bool,
    /// The most it may cost.
    pub max_cost: Option<Usd>,
    /// Higher goes first.
    pub priority: i32,
}

/// Telling a person who is not looking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notifications {
    /// Whether to.
    pub enabled: bool,
    /// Whether the terminal's bell rings with each.
    pub bell: bool,
    /// What is run for each, besides the terminal's own notification.
    pub command: Option<CommandLine>,
}

/// The dashboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ui {
    /// Its colours.
    pub theme: Theme,
    /// Whether it takes the mouse; without, the terminal selects text as usual.
    pub mouse: bool,
    /// Whether sessions may set the person's clipboard (OSC 52).
    pub clipboard: bool,
    /// The keys that leave an attached session.
    pub detach_keys: Vec<String>,
}

/// Variables by which Claude finds its account, its API and the way there.
const AGENT_ENV: [&str; 11] = [
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_BASE_URL",
    "ANTHROPIC_MODEL",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CONFIG_DIR",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
];

/// Workers at once: what a developer's machine bears.
const WORKERS: u32 = 4;

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            modal: Modal {
                region: None,
                volume_name: "parhelia".into(),
                cpu_count: 4,
                memory_mb: 4096,
                default_timeout_hours: 24,
            },
            budget: Budget {
                default_ceiling_usd: Usd(50_000_000),
                warning_threshold: Fraction(0.8),
                max_cost_per_task: None,
                max_daily_cost: None,
                on_exceeded: OnExceeded::Park,
                reserve_usd: Usd(1_000_000),
                paid_lease: Some(Duration::from_secs(900)),
                free_lease: Some(Duration::from_secs(86_400)),
            },
            checkpoint: Checkpoint {
                auto_interval_minutes: 5,
                max_per_session: 50,
                retention_days: 30,
                triggers: Trigger::ALL.to_vec(),
                include: Vec::new(),
                max_file_mb: 100,
            },
            dispatcher: Dispatcher { max_concurrent_workers: WORKERS },
            reconciler: Reconciler {
                poll_interval_seconds: 60,
                stale_threshold_seconds: 300,
                auto_terminate_orphans: false,
            },
            hosts: Vec::new(),
            agent: Agent {
                command: CommandLine { program: "claude".into(), args: Vec::new() },
                model: None,
                permission_mode: PermissionMode::AcceptEdits,
                env: AGENT_ENV.iter().filter_map(|it| EnvName::new(it).ok()).collect(),
            },
            local: Local {
                slots: WORKERS,
                gpus: Vec::new(),
                memory_gb: None,
                cost_per_hour: Usd::ZERO,
                gpu_cost_per_hour: Usd::ZERO,
                max_cost: None,
                idle_timeout: Some(Duration::from_secs(12 * 3600)),
            },
            tasks: TaskDefaults {
                kind: TaskKind::Generic,
                timeout: None,
                idle_timeout: None,
                isolation: Isolation::Worktree,
                include_dirty: true,
                max_cost: None,
                priority: 0,
            },
            notifications: Notifications { enabled: true, bell: true, command: None },
            ui: Ui {
                theme: Theme::Auto,
                mouse: true,
                clipboard: false,
                detach_keys: vec!["ctrl-q".into(), "f12".into()],
            },
            keys: BTreeMap::new(),
            origins: keys::names().map(|it| (it.to_owned(), Origin::Default)).collect(),
        }
    }
}

/// A file's content with what it may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The file.
    pub path: PathBuf,
    /// What it holds.
    pub bytes: Vec<u8>,
    /// Who wrote it.
    pub trust: Trust,
}

impl Settings {
    /// Returns the settings of `layers`, later ones over earlier ones over the defaults.
    ///
    /// # Errors
    ///
    /// Returns everything that is wrong with any of them.
    pub fn from_layers(layers: &[Layer]) -> Result<Settings, ConfigError> {
        let mut settings = Settings::default();
        let mut problems = Vec::new();
        for layer in layers {
            match raw::parse(&layer.bytes) {
                Ok(entries) => Reading { settings: &mut settings, layer, problems: &mut problems }
                    .file(&entries),
                Err(errors) => problems.extend(errors.into_iter().map(|(at, what)| Problem {
                    path: layer.path.clone(),
                    at,
                    key: String::new(),
                    what,
                    nearest: None,
                })),
            }
        }
        if settings.origins.get("local.slots") == Some(&Origin::Default) {
            settings.local.slots = settings.dispatcher.max_concurrent_workers;
        }
        if problems.is_empty() { Ok(settings) } else { Err(ConfigError { problems }) }
    }

    /// Returns every setting as `{"key": {"value": …, "origin": …}}`, with nothing secret in it.
    pub fn to_json(&self) -> Json {
        let entries = self.shown().map(|(key, value, origin)| {
            (key.to_owned(), json!({ "value": value, "origin": origin.to_string() }))
        });
        Json::Object(entries.collect())
    }

    /// Returns a line for every setting, much like TOML, with its origin as a comment and
    /// nothing secret in it.
    pub fn to_lines(&self) -> Vec<String> {
        self.shown()
            .map(|(key, value, origin)| format!("{key} = {}  # {origin}", toml_text(&value)))
            .collect()
    }

    fn shown(&self) -> impl Iterator<Item = (&str, Json, &Origin)> {
        self.origins.iter().filter_map(|(name, origin)| {
            let value = match name.strip_prefix("keys.") {
                Some(action) => json!(self.keys.get(action)?),
                None => keys::find(name)?.show(self),
            };
            Some((name.as_str(), value, origin))
        })
    }
}

fn toml_text(value: &Json) -> String {
    match value {
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(toml_text).collect();
            format!("[{}]", items.join(", "))
        }
        Json::Object(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(key, it)| format!("{key} = {}", toml_text(it))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => value.to_string(),
    }
}

/// One file on its way into the settings.
struct Reading<'a> {
    settings: &'a mut Settings,
    layer: &'a Layer,
    problems: &'a mut Vec<Problem>,
}

impl Reading<'_> {
    fn file(&mut self, entries: &[Entry]) {
        for entry in entries {
            if let Some(key) = keys::find(&entry.key) {
                self.set(key, entry);
            } else if entry.key == "keys" {
                self.keys(entry);
            } else if keys::sections().any(|it| it == entry.key) {
                self.section(entry);
            } else {
                let nearest = keys::nearest_section(&entry.key);
                self.problem(entry.at, &entry.key, unknown(&entry.key), nearest);
            }
        }
    }

    fn section(&mut self, section: &Entry) {
        let raw::Value::Table(entries) = &section.value else {
            let what = format!("`{0}` is a section; write `[{0}]` above its keys", section.key);
            self.problem(section.at, &section.key, what, None);
            return;
        };
        for entry in entries {
            let name = format!("{}.{}", section.key, entry.key);
            match keys::find(&name) {
                Some(key) => self.set(key, entry),
                None => {
                    let nearest = keys::nearest(&section.key, &entry.key);
                    self.problem(entry.at, &name, unknown(&name), nearest);
                }
            }
        }
    }

    fn keys(&mut self, section: &Entry) {
        if self.layer.trust == Trust::Project {
            return self.refuse(section.at, &section.key);
        }
        let raw::Value::Table(entries) = &section.value else {
            let what = "`keys` is a section; write `[keys]` above its keys".to_owned();
            return self.problem(section.at, "keys", what, None);
        };
        for entry in entries {
            let name = format!("keys.{}", entry.key);
            match &entry.value {
                raw::Value::Text(keys) => {
                    self.settings.keys.insert(entry.key.clone(), keys.clone());
                    self.came_from_here(name, entry.at);
                }
                value => {
                    let what = format!("`{name}` expects text, found {}", value.sort());
                    self.problem(entry.at, &name, what, None);
                }
            }
        }
    }

    fn set(&mut self, key: &'static Key, entry: &Entry) {
        if self.layer.trust == Trust::Project && key.trust == Trust::User {
            return self.refuse(entry.at, key.name);
        }
        if key.name == "hosts" && self.host_problems(&entry.value) {
            return;
        }
        match key.set(self.settings, &entry.value, self.layer.trust) {
            Ok(()) => self.came_from_here(key.name.to_owned(), entry.at),
            Err(error) => {
                self.problem(entry.at, key.name, format!("`{}` {error}", key.name), None);
            }
        }
    }

    /// Reports what is wrong with single keys of hosts, each at its own line.
    fn host_problems(&mut self, hosts: &raw::Value) -> bool {
        let raw::Value::List(hosts) = hosts else { return false };
        let before = self.problems.len();
        for host in hosts {
            let raw::Value::Table(entries) = host else { continue };
            for entry in entries {
                if let Some(problem) = keys::host_problem(entry) {
                    let name = format!("hosts.{}", entry.key);
                    self.problem(entry.at, &name, problem.what, problem.nearest);
                }
            }
        }
        self.problems.len() != before
    }

    fn refuse(&mut self, at: Position, key: &str) {
        let what = format!(
            "`{key}` cannot be set in a project's file, because whoever wrote the project could \
             run programs or spend money with it; set it in your own parhelia.toml"
        );
        self.problem(at, key, what, None);
    }

    fn came_from_here(&mut self, name: String, at: Position) {
        let origin = Origin::File { path: self.layer.path.clone(), line: at.line };
        self.settings.origins.insert(name, origin);
    }

    fn problem(&mut self, at: Position, key: &str, what: String, nearest: Option<String>) {
        let path = self.layer.path.clone();
        self.problems.push(Problem { path, at: Some(at), key: key.to_owned(), what, nearest });
    }
}

fn unknown(key: &str) -> String {
    format!("unknown key `{}`", key.escape_debug())
}
