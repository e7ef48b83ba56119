//! The table of keys: every setting that a file can hold, in the order of the example file.

use serde_json::{Value as Json, json};

use crate::{
    config::{
        raw::{Entry, Value},
        settings::{Host, Settings},
        value::Field,
    },
    domain::{task::PermissionMode, usd::Usd},
    stdx::text,
};

/// Who wrote a file, or who must have written it for a key to be taken from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The person, in a file of their own.
    User,
    /// Whoever made the project.
    Project,
}

/// A setting.
pub struct Key {
    /// Its name with its section.
    pub name: &'static str,
    /// Who may set it.
    pub trust: Trust,
    set: fn(&mut Settings, &Value, Trust) -> Result<(), String>,
    show: fn(&Settings) -> Json,
}

impl Key {
    /// Sets it in `settings`, as the file of `trust` says.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with the value, fit to follow the key. Nothing is set then.
    pub fn set(&self, settings: &mut Settings, value: &Value, trust: Trust) -> Result<(), String> {
        (self.set)(settings, value, trust)
    }

    /// Returns its value as it is shown.
    pub fn show(&self, settings: &Settings) -> Json {
        (self.show)(settings)
    }
}

macro_rules! key {
    ($trust:ident, $name:literal, $section:ident.$field:ident) => {
        key!($trust, $name, $section.$field, |_, _| Ok(()))
    };
    ($trust:ident, $name:literal, $section:ident.$field:ident, $check:expr) => {
        Key {
            name: $name,
            trust: Trust::$trust,
            set: |settings, value, trust| {
                let new = Field::read(value)?;
                checked(&new, trust, $check)?;
                settings.$section.$field = new;
                Ok(())
            },
            show: |settings| settings.$section.$field.show(),
        }
    };
}

/// Every key but those in `[keys]`, whose names are the dashboard's.
const KEYS: &[Key] = &[
    key!(User, "modal.region", modal.region),
    key!(User, "modal.volume_name", modal.volume_name, not_empty),
    key!(User, "modal.cpu_count", modal.cpu_count, not_zero),
    key!(User, "modal.memory_mb", modal.memory_mb, not_zero),
    key!(User, "modal.default_timeout_hours", modal.default_timeout_hours, not_zero),
    key!(User, "budget.default_ceiling_usd", budget.default_ceiling_usd),
    key!(User, "budget.warning_threshold", budget.warning_threshold),
    key!(User, "budget.max_cost_per_task", budget.max_cost_per_task),
    key!(User, "budget.max_daily_cost", budget.max_daily_cost),
    key!(User, "budget.on_exceeded", budget.on_exceeded),
    key!(User, "budget.reserve_usd", budget.reserve_usd),
    key!(User, "budget.paid_lease", budget.paid_lease),
    key!(User, "budget.free_lease", budget.free_lease),
    key!(User, "checkpoint.auto_interval_minutes", checkpoint.auto_interval_minutes, not_zero),
    key!(User, "checkpoint.max_per_session", checkpoint.max_per_session, not_zero),
    key!(User, "checkpoint.retention_days", checkpoint.retention_days, not_zero),
    key!(User, "checkpoint.triggers", checkpoint.triggers),
    key!(User, "checkpoint.include", checkpoint.include),
    key!(User, "checkpoint.max_file_mb", checkpoint.max_file_mb, not_zero),
    key!(User, "dispatcher.max_concurrent_workers", dispatcher.max_concurrent_workers, not_zero),
    key!(User, "reconciler.poll_interval_seconds", reconciler.poll_interval_seconds, not_zero),
    key!(User, "reconciler.stale_threshold_seconds", reconciler.stale_threshold_seconds, not_zero),
    key!(User, "reconciler.auto_terminate_orphans", reconciler.auto_terminate_orphans),
    Key {
        name: "hosts",
        trust: Trust::User,
        set: |settings, value, _| {
            settings.hosts = hosts(value)?;
            Ok(())
        },
        show: |settings| settings.hosts.show(),
    },
    key!(User, "agent.command", agent.command),
    key!(Project, "agent.model", agent.model, no_option),
    key!(Project, "agent.permission_mode", agent.permission_mode, no_bypass),
    key!(User, "agent.env", agent.env),
    key!(User, "local.slots", local.slots),
    key!(User, "local.gpus", local.gpus),
    key!(User, "local.memory_gb", local.memory_gb),
    key!(User, "local.cost_per_hour", local.cost_per_hour),
    key!(User, "local.gpu_cost_per_hour", local.gpu_cost_per_hour),
    key!(User, "local.max_cost", local.max_cost),
    key!(User, "local.idle_timeout", local.idle_timeout),
    key!(Project, "tasks.type", tasks.kind),
    key!(Project, "tasks.timeout", tasks.timeout),
    key!(Project, "tasks.idle_timeout", tasks.idle_timeout),
    key!(Project, "tasks.isolation", tasks.isolation),
    key!(Project, "tasks.include_dirty", tasks.include_dirty),
    Key {
        name: "tasks.max_cost",
        trust: Trust::Project,
        set: |settings, value, trust| {
            let new = Field::read(value)?;
            no_raise(settings.tasks.max_cost, new, trust)?;
            settings.tasks.max_cost = new;
            Ok(())
        },
        show: |settings| settings.tasks.max_cost.show(),
    },
    key!(Project, "tasks.priority", tasks.priority),
    key!(User, "notifications.enabled", notifications.enabled),
    key!(User, "notifications.bell", notifications.bell),
    key!(User, "notifications.command", notifications.command),
    key!(User, "ui.theme", ui.theme),
    key!(User, "ui.mouse", ui.mouse),
    key!(User, "ui.clipboard", ui.clipboard),
    key!(User, "ui.detach_keys", ui.detach_keys),
];

/// Returns the key called `name`.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|it| it.name == name)
}

/// Returns every name, with its section.
pub fn names() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|it| it.name)
}

/// Returns every section that has keys of its own.
pub fn sections() -> impl Iterator<Item = &'static str> {
    KEYS.iter().filter_map(|it| it.name.split_once('.')).map(|it| it.0)
}

/// Returns what `name` at the top of a file was probably meant as: a section, or a key whose
/// section is missing above it.
pub fn nearest_section(name: &str) -> Option<String> {
    if let Some(key) = names().find(|it| it.ends_with(&format!(".{name}"))) {
        return Some(key.to_owned());
    }
    let all = sections().chain(["hosts", "keys"]);
    text::nearest(name, all).first().map(|it| (*it).to_owned())
}

/// Returns what `name` in `section` was probably meant as: a key of that section, or one of
/// another.
pub fn nearest(section: &str, name: &str) -> Option<String> {
    let here = names().filter_map(|it| it.strip_prefix(section)?.strip_prefix('.'));
    if let Some(key) = text::nearest(name, here).first() {
        return Some((*key).to_owned());
    }
    let elsewhere = names().find(|it| it.split_once('.').is_some_and(|it| it.1 == name));
    elsewhere.map(str::to_owned)
}

/// Only fixes the types, so that `check` may be a closure or a function in the table.
fn checked<T>(
    value: &T,
    trust: Trust,
    check: impl Fn(&T, Trust) -> Result<(), String>,
) -> Result<(), String> {
    check(value, trust)
}

fn not_zero(value: &u32, _: Trust) -> Result<(), String> {
    if *value == 0 { Err("cannot be 0".into()) } else { Ok(()) }
}

#[expect(clippy::ptr_arg, reason = "the table hands each check the field's own type")]
fn not_empty(value: &String, _: Trust) -> Result<(), String> {
    if value.trim().is_empty() { Err("cannot be empty".into()) } else { Ok(()) }
}

/// The model becomes an argument of Claude's; one that begins with a dash would be an option,
/// and a project could turn the permission checks off with it.
fn no_option(value: &Option<String>, _: Trust) -> Result<(), String> {
    match value {
        Some(model) if model.starts_with('-') => Err("cannot begin with `-`".into()),
        _ => Ok(()),
    }
}

fn no_bypass(value: &PermissionMode, trust: Trust) -> Result<(), String> {
    if trust == Trust::Project && *value == PermissionMode::Bypass {
        return Err(
            "cannot be `bypassPermissions` in a project's file, because whoever wrote the \
                    project could then run anything; set it in your own parhelia.toml"
                .into(),
        );
    }
    Ok(())
}

/// A project may ask for less than the person allows, never for more.
fn no_raise(allowed: Option<Usd>, new: Option<Usd>, trust: Trust) -> Result<(), String> {
    match (trust, allowed) {
        (Trust::Project, Some(allowed)) if new.is_none_or(|it| allowed < it) => Err(format!(
            "cannot be more in a project's file than the {allowed} that your own allows"
        )),
        _ => Ok(()),
    }
}

impl Field for Host {
    fn read(value: &Value) -> Result<Host, String> {
        let Value::Table(entries) = value else {
            return Err(format!("expects tables `[[hosts]]`, found {}", value.sort()));
        };
        let mut host = unnamed_host();
        for entry in entries {
            read_host_key(&mut host, entry).map_err(|it| it.what)?;
        }
        if host.name.is_empty() {
            return Err("has a host without a `name`".into());
        }
        if host.ssh.is_empty() {
            host.ssh.clone_from(&host.name);
        }
        Ok(host)
    }

    fn show(&self) -> Json {
        json!({
            "name": self.name,
            "ssh": self.ssh,
            "slots": self.slots,
            "gpus": self.gpus.show(),
            "memory_gb": self.memory_gb.show(),
            "cost_per_hour": self.cost_per_hour.show(),
            "gpu_cost_per_hour": self.gpu_cost_per_hour.show(),
            "max_cost": self.max_cost.show(),
        })
    }
}

/// The keys of a host.
pub const HOST_KEYS: [&str; 8] =
    ["name", "ssh", "slots", "gpus", "memory_gb", "cost_per_hour", "gpu_cost_per_hour", "max_cost"];

/// What is wrong with one key of a host.
pub struct HostProblem {
    /// What, with the key in it.
    pub what: String,
    /// The key that was probably meant.
    pub nearest: Option<String>,
}

/// Returns what is wrong with `entry` as a key of a host, if anything.
pub fn host_problem(entry: &Entry) -> Option<HostProblem> {
    read_host_key(&mut unnamed_host(), entry).err()
}

fn unnamed_host() -> Host {
    Host {
        name: String::new(),
        ssh: String::new(),
        slots: 1,
        gpus: Vec::new(),
        memory_gb: None,
        cost_per_hour: Usd::ZERO,
        gpu_cost_per_hour: Usd::ZERO,
        max_cost: None,
    }
}

fn read_host_key(host: &mut Host, entry: &Entry) -> Result<(), HostProblem> {
    let read = match entry.key.as_str() {
        "name" => String::read(&entry.value).and_then(host_name).map(|it| host.name = it),
        "ssh" => String::read(&entry.value).and_then(destination).map(|it| host.ssh = it),
        "slots" => u32::read(&entry.value).map(|it| host.slots = it),
        "gpus" => Field::read(&entry.value).map(|it| host.gpus = it),
        "memory_gb" => Field::read(&entry.value).map(|it| host.memory_gb = it),
        "cost_per_hour" => Field::read(&entry.value).map(|it| host.cost_per_hour = it),
        "gpu_cost_per_hour" => Field::read(&entry.value).map(|it| host.gpu_cost_per_hour = it),
        "max_cost" => Field::read(&entry.value).map(|it| host.max_cost = it),
        other => {
            return Err(HostProblem {
                what: format!("unknown key `hosts.{}`", other.escape_debug()),
                nearest: text::nearest(other, HOST_KEYS).first().map(|it| (*it).to_owned()),
            });
        }
    };
    read.map_err(|it| HostProblem { what: format!("`hosts.{}` {it}", entry.key), nearest: None })
}

fn hosts(value: &Value) -> Result<Vec<Host>, String> {
    let hosts: Vec<Host> = Field::read(value)?;
    for (number, host) in hosts.iter().enumerate() {
        if hosts[..number].iter().any(|it| it.name == host.name) {
            return Err(format!("has two hosts called `{}`", host.name));
        }
    }
    Ok(hosts)
}

fn host_name(name: String) -> Result<String, String> {
    let plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('-') || !name.chars().all(plain) {
        return Err("expects letters, digits, `-`, `_` and `.`".into());
    }
    if matches!(name.as_str(), "local" | "modal") {
        return Err(format!("cannot be `{name}`, which is a provider"));
    }
    Ok(name)
}

/// A destination becomes an argument of `ssh`, so it must not look like an option.
fn destination(ssh: String) -> Result<String, String> {
    if ssh.starts_with('-') || ssh.contains(char::is_whitespace) {
        return Err("expects a destination as `ssh` takes it, such as me@build-1".into());
    }
    let user = ssh.strip_prefix("ssh://").unwrap_or(&ssh).rsplit_once('@');
    if user.is_some_and(|it| it.0.contains(':')) {
        return Err("cannot hold a password; keys and the agent are used".into());
    }
    Ok(ssh)
}
