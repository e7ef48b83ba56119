//! What the dashboard takes from the configuration and from where it runs.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    config::settings::Settings,
    tui::{keymap::Keymap, theme::Theme},
};

/// The configuration as far as the dashboard uses it; plain, so that a recording holds it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LookSource {
    /// `ui.theme`.
    pub theme: String,
    /// `[keys]`.
    pub keys: BTreeMap<String, String>,
    /// `ui.detach_keys`.
    pub detach_keys: Vec<String>,
    /// Whether to tell a person who is not looking.
    pub notify: bool,
    /// Whether to ring the bell then.
    pub bell: bool,
    /// Whether sessions may set the person's clipboard.
    pub clipboard: bool,
    /// Whether to ask the terminal for mouse reports.
    pub mouse: bool,
    /// What new tasks are given that do not say otherwise.
    pub task: TaskDefaults,
    /// Hosts that tasks may be sent to, besides `local`.
    pub hosts: Vec<String>,
}

/// What new tasks are given that do not say otherwise, in the words of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskDefaults {
    pub kind: String,
    pub isolation: String,
    pub include_dirty: bool,
    pub permission_mode: String,
    pub model: Option<String>,
    pub max_cost_usd: Option<f64>,
}

impl LookSource {
    /// Takes from the settings what the dashboard uses.
    pub fn of(settings: &Settings) -> LookSource {
        LookSource {
            theme: settings.ui.theme.as_str().to_owned(),
            keys: settings.keys.clone(),
            detach_keys: settings.ui.detach_keys.clone(),
            notify: settings.notifications.enabled,
            bell: settings.notifications.enabled && settings.notifications.bell,
            clipboard: settings.ui.clipboard,
            mouse: settings.ui.mouse,
            task: TaskDefaults {
                kind: settings.tasks.kind.to_string(),
                isolation: settings.tasks.isolation.to_string(),
                include_dirty: settings.tasks.include_dirty,
                permission_mode: settings.agent.permission_mode.to_string(),
                model: settings.agent.model.clone(),
                max_cost_usd: settings.tasks.max_cost.map(|it| it.dollars()),
            },
            hosts: settings.hosts.iter().map(|it| it.name.clone()).collect(),
        }
    }
}

/// The configuration as it is used.
#[derive(Clone, Debug)]
pub struct Look {
    /// What it was made of.
    pub source: LookSource,
    pub theme: Theme,
    pub keymap: Keymap,
    /// What is wrong with the configuration, one line each.
    pub problems: Vec<String>,
}

/// What is known about where the dashboard runs, and does not change while it does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// The current directory: new tasks start from it.
    pub cwd: PathBuf,
    /// The home directory, shown as `~`.
    pub home: PathBuf,
    /// Shows a demonstration, and says so.
    pub demo: bool,
    /// `NO_COLOR` is set.
    pub no_color: bool,
    /// `$COLORFGBG` or the like says that the background is light.
    pub light_background: bool,
    /// Runs inside tmux.
    pub in_tmux: bool,
    /// The prefix key of that tmux, by our name for it.
    pub outer_prefix: Option<String>,
    /// `$TERM_PROGRAM`.
    pub term_program: Option<String>,
    /// A variable of the environment by which Claude can log in: its name, never its value.
    pub login_variable: Option<String>,
    /// Milliseconds that local time is ahead of UTC, for times shown.
    pub utc_offset_ms: i64,
}

impl Look {
    /// Returns what a configuration means.
    pub fn new(source: LookSource, facts: &Facts) -> Look {
        let theme = Theme::named(&source.theme, facts);
        let (keymap, problems) = Keymap::with(&source.keys, &source.detach_keys);
        Look { source, theme, keymap, problems }
    }

    /// Takes another configuration.
    pub fn take(&mut self, source: LookSource, facts: &Facts) {
        *self = Look::new(source, facts);
    }
}
