//! From a request to a task: defaults filled in, everything checked. And the one place where the
//! values of a task's environment are kept: a file that only its owner can read.

use std::{
    collections::{BTreeMap, HashSet},
    io::ErrorKind as IoErrorKind,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    agent::launch::is_variable,
    api::{
        error::{ApiError, ErrorKind},
        types::{CreateTask, Env, PROMPT_MAX},
    },
    config::settings::Settings,
    dispatcher::Home,
    domain::{
        checkpoint::Kept,
        ids::{HostPath, TaskId},
        state::TaskState,
        task::{Next, PermissionMode, Requirements, Task, TaskSpec, Usage},
        usd::Usd,
    },
    stdx::{secret::Secret, text::one_line, time::Timestamp},
};

/// The longest name, in characters: what fits a column.
const NAME_MAX: usize = 40;
/// The longest value of a variable: what one argument of `execve` may hold on Linux.
const VALUE_MAX: usize = 128 * 1024;

/// Makes a task of a request.
///
/// # Errors
///
/// [`ErrorKind::Invalid`] saying which field is wrong and why.
pub fn task(request: &CreateTask, settings: &Settings, now: Timestamp) -> Result<Task, ApiError> {
    check_prompt(&request.prompt, request.interactive)?;
    check_env(&request.env)?;
    let workspace = HostPath::new(request.workspace.clone()).map_err(|it| bad("workspace", &it))?;
    let max_cost = match request.max_cost_usd {
        Some(dollars) => Some(
            Usd::from_dollars(dollars)
                .filter(|it| Usd::ZERO < *it)
                .ok_or_else(|| bad("max_cost_usd", "it must be more than 0"))?,
        ),
        None => settings.tasks.max_cost.or(settings.budget.max_cost_per_task),
    };
    if let Some(model) = &request.model
        && (model.is_empty() || model.starts_with('-') || model.chars().any(char::is_control))
    {
        return Err(bad("model", "it is not the name of a model"));
    }
    let prompt_head = one_line(&request.prompt, 200);
    let name = match &request.name {
        Some(name) => one_line(name, NAME_MAX),
        None => one_line(&request.prompt, NAME_MAX),
    };
    let mut env_names: Vec<String> = request.env.0.keys().cloned().collect();
    env_names.sort();
    Ok(Task {
        id: TaskId::random(),
        name: if name.is_empty() { "interactive".to_owned() } else { name },
        created_at: now,
        prompt_head,
        prompt_bytes: request.prompt.len() as u64,
        spec: TaskSpec {
            kind: request.kind.unwrap_or(settings.tasks.kind),
            requirements: Requirements {
                gpu: request.gpu,
                memory_gb: request.memory_gb,
                cpu: request.cpu,
            },
            target: request.target.clone(),
            workspace,
            isolation: request.isolation.unwrap_or(settings.tasks.isolation),
            include_dirty: request.include_dirty.unwrap_or(settings.tasks.include_dirty),
            interactive: request.interactive,
            timeout: limit(request.timeout_seconds, settings.tasks.timeout),
            idle_timeout: limit(
                request.idle_timeout_seconds,
                settings.tasks.idle_timeout.or(settings.local.idle_timeout),
            ),
            permission_mode: permission_mode(request, settings),
            model: request.model.clone().or_else(|| settings.agent.model.clone()),
            max_cost,
            priority: request.priority.unwrap_or(settings.tasks.priority),
            env_names,
        },
        state: TaskState::Created,
        attempts: 0,
        place: None,
        conversation: None,
        next: Next::Fresh,
        usage: Usage::default(),
        last: String::new(),
        answer_bytes: None,
        kept: Kept::default(),
        home: None,
        origin: None,
        hold: None,
    })
}

fn permission_mode(request: &CreateTask, settings: &Settings) -> PermissionMode {
    request.permission_mode.unwrap_or(settings.agent.permission_mode)
}

/// Zero stands for no limit.
fn limit(seconds: Option<u64>, default: Option<Duration>) -> Option<Duration> {
    match seconds {
        Some(0) => None,
        Some(seconds) => Some(Duration::from_secs(seconds)),
        None => default,
    }
}

/// Checks that a prompt can reach Claude as it is.
///
/// # Errors
///
/// [`ErrorKind::Invalid`] saying why not.
pub fn check_prompt(prompt: &str, may_be_empty: bool) -> Result<(), ApiError> {
    if prompt.is_empty() && !may_be_empty {
        return Err(bad("prompt", "it is empty")
            .hint("say what Claude shall do, or pass --interactive to start without a prompt"));
    }
    if PROMPT_MAX < prompt.len() {
        let long = format!("it is {} bytes long, {PROMPT_MAX} are allowed", prompt.len());
        return Err(bad("prompt", &long).hint("put the text in a file and name the file"));
    }
    if let Some(at) = prompt.find('\0') {
        return Err(bad("prompt", &format!("byte {at} is NUL, which no argument can hold")));
    }
    Ok(())
}

fn check_env(env: &Env) -> Result<(), ApiError> {
    for (name, value) in &env.0 {
        let shown = one_line(name, 60);
        if !is_variable(name) {
            return Err(bad("env", &format!("`{shown}` cannot be the name of a variable")));
        }
        if value.expose().contains('\0') {
            return Err(bad("env", &format!("the value of {shown} holds a NUL byte")));
        }
        if VALUE_MAX <= value.expose().len() + name.len() {
            return Err(bad("env", &format!("the value of {shown} is too long")));
        }
    }
    Ok(())
}

fn bad(field: &str, why: &str) -> ApiError {
    ApiError::new(ErrorKind::Invalid, format!("bad {field}: {why}"))
}

/// The environment of a task as it is kept between submission and launch.
#[derive(Default, serde::Deserialize)]
pub struct KeptEnv {
    /// For any host.
    pub env: BTreeMap<String, Secret>,
    /// Only where the caller's environment makes sense.
    pub caller: BTreeMap<String, Secret>,
}

fn env_file(home: &Home, id: &TaskId) -> PathBuf {
    env_dir(&home.state_dir).join(format!("{id}.json"))
}

/// Returns where the environments are kept.
pub fn env_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("env")
}

/// Keeps the environment of a task, for its owner's eyes only.
pub async fn keep_env(home: &Home, id: &TaskId, env: &Env, caller: &Env) -> Result<(), ApiError> {
    check_env(env)?;
    let caller = Env(caller
        .0
        .iter()
        .filter(|(name, value)| is_variable(name) && !value.expose().contains('\0'))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect());
    // `Env` serialises its values in the open, which is the point here and nowhere else.
    let json = serde_json::json!({ "env": env, "caller": caller }).to_string();
    let path = env_file(home, id);
    let written = tokio::task::spawn_blocking(move || {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let temp = path.with_extension("tmp");
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&temp)?;
        std::io::Write::write_all(&mut file, json.as_bytes())?;
        // The task that is committed next must not outlive it in a power cut.
        file.sync_all()?;
        std::fs::rename(&temp, &path)
    });
    written
        .await
        .map_err(|it| it.to_string())
        .and_then(|it| it.map_err(|it| it.to_string()))
        .map_err(|it| {
            ApiError::new(ErrorKind::Store, format!("failed to keep the task's environment: {it}"))
        })
}

/// Adds to the kept environment of a task; names given again replace the old values.
pub async fn add_env(home: &Home, id: &TaskId, env: &Env, caller: &Env) -> Result<(), ApiError> {
    let mut kept = read_env(home, id).await?;
    kept.env.extend(env.0.clone());
    kept.caller.extend(caller.0.clone());
    keep_env(home, id, &Env(kept.env), &Env(kept.caller)).await
}

/// Reads the kept environment of a task; empty if there is none.
pub async fn read_env(home: &Home, id: &TaskId) -> Result<KeptEnv, ApiError> {
    let path = env_file(home, id);
    match tokio::fs::read(&path).await {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|_| ApiError::new(ErrorKind::Store, format!("{} is damaged", path.display()))),
        Err(it) if it.kind() == IoErrorKind::NotFound => Ok(KeptEnv::default()),
        Err(it) => {
            Err(ApiError::new(ErrorKind::Store, format!("failed to read {}: {it}", path.display())))
        }
    }
}

/// Forgets the environments that belong to none of `tasks`: a dispatcher that dies between keeping
/// one and writing its task down leaves it behind, secrets and all. To be called before any task
/// is submitted.
pub fn drop_strays(home: &Home, tasks: &[Task]) {
    let known: HashSet<&str> = tasks.iter().map(|it| it.id.as_str()).collect();
    let entries = std::fs::read_dir(env_dir(&home.state_dir)).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.strip_suffix(".json").is_some_and(|it| known.contains(it))
            && let Err(error) = std::fs::remove_file(entry.path())
        {
            tracing::warn!(name, %error, "failed to remove a stray environment");
        }
    }
}

/// Forgets the environment of a task.
pub async fn drop_env(home: &Home, id: &TaskId) {
    // A file that is not there is as good as removed.
    let _ = tokio::fs::remove_file(env_file(home, id)).await;
}
