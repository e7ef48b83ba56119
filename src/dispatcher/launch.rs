//! Making a session: workspace, files, tmux. Every step may be repeated without harm, because a
//! dispatcher may die after any of them and the next one starts again from the first.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::try_join_all;

use crate::{
    agent::{
        first_run,
        launch::{self, Begin, Launch, RunDir, RunFile},
        version::Version,
    },
    api::error::{ApiError, ErrorKind},
    config::settings::Settings,
    dispatcher::{
        Crew,
        create::{self, KeptEnv},
        decide::Command as Order,
        recover::Means,
        session::{host_error, is_unreachable, run_dir},
        watch::Watched,
    },
    domain::{
        event::EventBody,
        ids::{HostPath, TaskId},
        task::{Isolation, Next, Task},
    },
    git::{Dirty, Git, Plan},
    provider::Worker,
    shell::{Command, Shell, ShellError, Size, run},
    stdx::{backoff::Backoff, secret::Secret},
    tmux::{NewSession, TmuxError, conf},
};

/// The size a session is born with, until someone attaches: Claude's layout wants 80 columns at
/// least, and 120x40 is what most terminals show.
pub const SIZE: Size = Size { cols: 120, rows: 40 };
/// Deadline of one short command on a host.
const LIMIT: Duration = Duration::from_secs(20);
/// Between two attempts on a host that does not answer.
const AGAIN: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(60) };
/// The most that is read of a settings file on a host.
const SETTINGS_MAX: usize = 4 * 1024 * 1024;

/// Makes the session of a dispatched task and reports that it exists, or why it does not.
pub async fn launch(crew: &Crew, task: &Task) {
    let mut failures = 0;
    let body = loop {
        match attempt(crew, task).await {
            Ok(()) => break EventBody::Launched,
            Err(Failure::Final(error)) => {
                let mut reason = error.message;
                error.hints.iter().for_each(|it| reason.push_str(&format!(" ({it})")));
                break EventBody::DispatchFailed { reason };
            }
            // Unreachable is not failed: the task stays dispatched, and keeps its place.
            Err(Failure::Unreachable(error)) => {
                failures += 1;
                tracing::warn!(task = %task.id, %error, failures, "cannot reach the host to launch");
                tokio::time::sleep(AGAIN.after(failures)).await;
            }
        }
    };
    record(crew, &task.id, body).await;
}

/// Reports an event, however long the store cannot take it.
pub async fn record(crew: &Crew, id: &TaskId, body: EventBody) {
    let mut failures = 0;
    loop {
        let order = Order::Record { id: id.clone(), body: body.clone() };
        match crew.core.command(order).await {
            Err(error) if error.kind == ErrorKind::Store => {
                failures += 1;
                tokio::time::sleep(AGAIN.after(failures)).await;
            }
            Err(error) => {
                tracing::debug!(task = %id, %error, "moot");
                return;
            }
            Ok(()) => return,
        }
    }
}

/// Why a launch did not come about.
enum Failure {
    /// It never will.
    Final(ApiError),
    /// It may, later.
    Unreachable(ApiError),
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Failure {
        // Also in the middle of putting back what is missing.
        if is_unreachable(&error) { Failure::Unreachable(error) } else { Failure::Final(error) }
    }
}

impl From<ShellError> for Failure {
    fn from(error: ShellError) -> Failure {
        match error {
            ShellError::Unreachable { .. } | ShellError::Deadline { .. } => {
                Failure::Unreachable(host_error(&error))
            }
            ShellError::NoProgram { .. } | ShellError::File { .. } | ShellError::Other { .. } => {
                Failure::Final(host_error(&error))
            }
        }
    }
}

async fn attempt(crew: &Crew, task: &Task) -> Result<(), Failure> {
    let Some(place) = &task.place else { return Ok(()) };
    let provider = crew.hosts.provider(&place.provider)?;
    let worker = provider.acquire(&place.worker, &task.spec.requirements).await?;
    let tmux = crew.hosts.tmux(&worker);
    let name = task.id.session_name();
    let files = RunDir::new(&task_dir(&worker, task), task.attempts);
    let found = look(&*worker.shell, &files, &task.spec.workspace).await?;
    // An earlier dispatcher may have come this far; what runs must not have its files rewritten.
    if found.started {
        return Ok(());
    }
    let settled = Means::from(crew).before_launch(task, &worker).await?;
    let plan = match settled_in(task, found, settled) {
        Some(plan) => plan,
        None => plan(&worker, task, found).await?,
    };
    let (placed, branch) = (plan.workspace.clone(), plan.branch.clone());
    let run_dir = task_dir(&worker, task);
    // Written down before it is made: only what is written down may be deleted.
    record(crew, &task.id, EventBody::Placed { run_dir, workspace: placed, branch }).await;
    prepare(crew, &worker, task, &plan).await?;
    let env = create::read_env(&crew.home, &task.id).await?;
    let env = environment(&worker, env);
    let prepared = look_around(crew, &worker, task, &plan.workspace, env).await?;
    let conversation = task.conversation.clone().unwrap_or_default();
    let spec = spec(&crew.settings, &worker, task, task.attempts, &conversation, prepared);
    let keys: Vec<String> = crew.settings.ui.detach_keys.iter().map(|it| tmux_key(it)).collect();
    let clipboard = conf::Clipboard::allowed(crew.settings.ui.clipboard);
    let mut files = launch::files(&spec);
    files.push(RunFile {
        path: worker.info.root.join("tmux.conf"),
        bytes: conf::conf(&keys, clipboard).into_bytes(),
        mode: 0o600,
    });
    files.extend(crew.leases.first(&task.id, &spec.dir()).await);
    // Side by side, since each may be a round trip.
    let puts = files.iter().map(|it| worker.shell.put(&it.path, &it.bytes, it.mode));
    try_join_all(puts).await?;
    let argv = launch::session_argv(&spec);
    // tmux takes the directory from its client; Claude's own is entered by the script, so that a
    // directory that vanished is reported by it and not by tmux.
    let label = format!("{} {}", task.id, task.name);
    let (cwd, argv) = (&worker.info.root, &argv);
    let new = NewSession { name: &name, size: SIZE, cwd, argv, label: &label };
    tmux.new_session(new).await.map_err(|it| match it {
        TmuxError::Shell(error) => Failure::from(error),
        other => Failure::Final(ApiError::new(ErrorKind::Host, other.to_string())),
    })?;
    Ok(())
}

fn task_dir(worker: &Worker, task: &Task) -> HostPath {
    worker.info.root.join(task.id.as_str())
}

/// What one look at a host tells of a launch: one command, since each is a process here and a
/// round trip elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Found {
    /// The launch was started before.
    started: bool,
    /// The directory to start from is there.
    directory: bool,
    /// It may be in a git repository: something above it is called `.git`.
    repository: bool,
}

/// Looks for `$1` and `$2`, and upwards from `$2` for `.git`, as git itself would. A directory that
/// cannot be entered is left for git to complain of.
const LOOK: &str = r#"
[ ! -e "$1" ] || echo started
[ -d "$2" ] || exit 0
echo directory
unset CDPATH
cd -P -- "$2" 2>/dev/null || { echo repository; exit 0; }
at=$PWD
until [ -e "$at/.git" ]; do
    case $at in */*) at=${at%/*} ;; *) exit 0 ;; esac
done
echo repository
"#;

async fn look(shell: &dyn Shell, files: &RunDir, from: &HostPath) -> Result<Found, ShellError> {
    let argv = ["sh", "-c", LOOK, "sh", files.started().as_str(), from.as_str()].map(str::to_owned);
    let output = run(shell, &Command::new(argv), LIMIT).await?;
    let said = output.text();
    let has = |word: &str| said.lines().any(|it| it == word);
    Ok(Found {
        started: has("started"),
        directory: has("directory"),
        repository: has("repository"),
    })
}

/// Where Claude will work, and how that comes to be.
pub struct Workspace {
    /// Where.
    pub workspace: HostPath,
    /// On which branch of Parhelia's.
    pub branch: Option<String>,
    /// What a person should know of it.
    pub notes: Vec<String>,
    /// The commands that make it, for showing.
    pub commands: Vec<Command>,
    /// The repository it is taken from, with the way of taking.
    source: Option<(crate::git::Repo, Isolation)>,
}

/// Decides where a task works, see [`plan`], without a launch.
///
/// # Errors
///
/// As [`plan`], and if the host does not answer.
pub async fn workspace(worker: &Worker, task: &Task) -> Result<Workspace, ApiError> {
    let files = RunDir::new(&task_dir(worker, task), task.attempts);
    let found = look(&*worker.shell, &files, &task.spec.workspace).await;
    plan(worker, task, found.map_err(|it| host_error(&it))?).await
}

/// Returns where a task works that has its place already: a fork's own, the one it was brought back
/// to, or that of a task which goes on after what it was made from is gone.
fn settled_in(
    task: &Task,
    found: Found,
    fork: Option<(HostPath, Option<String>)>,
) -> Option<Workspace> {
    let place = task.place.as_ref();
    let branch = place.and_then(|it| it.branch.clone());
    let goes_on = matches!(task.next, Next::Resume { .. }) && !found.directory;
    let left = place.and_then(|it| it.workspace.clone()).filter(|_| goes_on);
    let (workspace, branch) = fork.or_else(|| Some((task.home.clone().or(left)?, branch)))?;
    let note = match &task.origin {
        Some(origin) => format!("a copy of {}", origin.checkpoint),
        None => "brought back".to_owned(),
    };
    Some(Workspace { workspace, branch, notes: vec![note], commands: Vec::new(), source: None })
}

/// Decides where a task works: an own copy if it starts from a git repository and wants one,
/// else the directory itself.
///
/// # Errors
///
/// If the directory is not there, or a repository cannot be copied.
async fn plan(worker: &Worker, task: &Task, found: Found) -> Result<Workspace, ApiError> {
    let shell = &*worker.shell;
    let from = &task.spec.workspace;
    if !found.directory {
        return Err(ApiError::new(
            ErrorKind::Invalid,
            format!("there is no directory {from} on {}", shell.host()),
        )
        .hint("name one with --workspace"));
    }
    let plain = |note: &str| Workspace {
        workspace: from.clone(),
        branch: None,
        notes: vec![note.to_owned()],
        commands: Vec::new(),
        source: None,
    };
    if task.spec.isolation == Isolation::None {
        return Ok(plain("Claude works in the directory itself"));
    }
    let git = Git::new(Arc::clone(&worker.shell));
    let repo = match found.repository {
        true => git.inspect(from).await.map_err(|it| git_error(&it))?,
        false => None,
    };
    let Some(repo) = repo else {
        return Ok(plain("not a git repository: Claude works in the directory itself"));
    };
    if repo.head.is_none() {
        return Ok(plain("the repository has no commit: Claude works in the directory itself"));
    }
    let dest = task_dir(worker, task).join("workspace");
    let branch = format!("parhelia/{}", task.id);
    let inside = from.as_str().strip_prefix(repo.root.as_str()).unwrap_or_default();
    let inside = inside.trim_matches('/');
    let workspace = if inside.is_empty() { dest.clone() } else { dest.join(inside) };
    let how = match task.spec.isolation {
        Isolation::Clone => "own clone",
        Isolation::Worktree | Isolation::None => "own worktree",
    };
    let command = match task.spec.isolation {
        Isolation::Clone => Command::new(["git", "clone", repo.root.as_str(), dest.as_str()]),
        Isolation::Worktree | Isolation::None => {
            let argv = ["git", "worktree", "add", "-b", &branch, dest.as_str(), "HEAD"];
            Command::new(argv).cwd(repo.root.clone())
        }
    };
    Ok(Workspace {
        workspace,
        notes: vec![format!("{how} on branch {branch}")],
        branch: Some(branch),
        commands: vec![command],
        source: Some((repo, task.spec.isolation)),
    })
}

/// Makes the workspace, unless an earlier launch has.
async fn prepare(
    crew: &Crew,
    worker: &Worker,
    task: &Task,
    plan: &Workspace,
) -> Result<(), Failure> {
    let run_dir = task_dir(worker, task);
    let (Some((repo, isolation)), Some(branch)) = (&plan.source, &plan.branch) else {
        // The run directory comes with the first file that is put there.
        if task.attempts == 1 {
            let text = format!("Workspace: {} ({})", plan.workspace, plan.notes.join(", "));
            record(crew, &task.id, EventBody::Noted { text }).await;
        }
        return Ok(());
    };
    let git = Git::new(Arc::clone(&worker.shell));
    let (from, dest) = (&task.spec.workspace, run_dir.join("workspace"));
    let dirty = task.spec.include_dirty;
    let plan_of_copy = Plan {
        repo: repo.clone(),
        from: from.clone(),
        dest,
        branch: branch.clone(),
        include_dirty: dirty,
    };
    let prepared = match isolation {
        Isolation::Clone => git.clone_repo(&plan_of_copy).await,
        Isolation::Worktree | Isolation::None => git.worktree(&plan_of_copy).await,
    };
    let prepared = prepared.map_err(|it| Failure::Final(git_error(&it)))?;
    // A later launch finds the same work tree and need not say so again.
    if task.attempts == 1 {
        let mut notes = prepared.notes;
        notes.insert(0, describe(&plan.notes, &prepared.dirty, dirty));
        for text in notes {
            record(crew, &task.id, EventBody::Noted { text }).await;
        }
    }
    Ok(())
}

/// Says where Claude works, and what became of changes that were not committed.
fn describe(notes: &[String], dirty: &Dirty, included: bool) -> String {
    let what = format!("Workspace: {}", notes.join(", "));
    let files = match (dirty.modified, dirty.untracked) {
        (0, 0) => return what,
        (modified, 0) => format!("{modified} modified"),
        (0, untracked) => format!("{untracked} untracked"),
        (modified, untracked) => format!("{modified} modified, {untracked} untracked"),
    };
    let noun = if dirty.modified + dirty.untracked == 1 { "file" } else { "files" };
    let fate = if included { "included" } else { "left out" };
    format!("{what} ({files} {noun} {fate})")
}

fn git_error(error: &crate::git::GitError) -> ApiError {
    ApiError::new(ErrorKind::Host, error.to_string())
        .hint("--isolation none works in the directory itself")
}

/// The environment that makes sense on the worker.
pub fn environment(worker: &Worker, kept: KeptEnv) -> BTreeMap<String, Secret> {
    let mut env = if worker.info.shares_environment { kept.caller } else { BTreeMap::new() };
    env.extend(kept.env);
    env
}

/// What was found on the host and is needed to launch.
pub struct Prepared {
    /// Where Claude works.
    pub workspace: HostPath,
    /// What it is asked.
    pub prompt: Option<Vec<u8>>,
    /// Its environment.
    pub env: BTreeMap<String, Secret>,
    /// Its version.
    pub version: Option<Version>,
    /// The person's own status line.
    pub user_status_line: Option<String>,
    /// See [`first_run`].
    pub key_by_helper: bool,
}

async fn look_around(
    crew: &Crew,
    worker: &Worker,
    task: &Task,
    workspace: &HostPath,
    env: BTreeMap<String, Secret>,
) -> Result<Prepared, Failure> {
    let shell = &*worker.shell;
    let version = version(crew, worker, &env).await?;
    let config = claude_config(worker, &env);
    // Claude keeps this file beside its directory unless the directory was chosen by hand.
    let first = if env.contains_key("CLAUDE_CONFIG_DIR") {
        config.join(".claude.json")
    } else {
        worker.info.home.join(".claude.json")
    };
    let existing = shell.get(&first, 0, SETTINGS_MAX).await?;
    let existing = existing.map(|it| String::from_utf8_lossy(&it).into_owned());
    let plan = first_run::plan(existing.as_deref(), env.get("ANTHROPIC_API_KEY"));
    if let Some(text) = &plan.write {
        shell.put(&first, text.as_bytes(), 0o600).await?;
    }
    let settings = shell.get(&config.join("settings.json"), 0, SETTINGS_MAX).await?;
    let prompt = match task.next {
        Next::Fresh | Next::Resume { with_prompt: true } => crew
            .store
            .prompt(&task.id)
            .await
            .map_err(|it| crate::dispatcher::core::store_error(&it))?,
        Next::Resume { with_prompt: false } => None,
    };
    Ok(Prepared {
        workspace: workspace.clone(),
        prompt,
        version,
        user_status_line: settings.as_deref().and_then(status_line),
        key_by_helper: plan.key_by_helper,
        env,
    })
}

fn status_line(settings: &[u8]) -> Option<String> {
    let settings: serde_json::Value = serde_json::from_slice(settings).ok()?;
    Some(settings.get("statusLine")?.get("command")?.as_str()?.to_owned())
}

/// Asks Claude for its version, once per host and search path.
async fn version(
    crew: &Crew,
    worker: &Worker,
    env: &BTreeMap<String, Secret>,
) -> Result<Option<Version>, Failure> {
    let program = &crew.settings.agent.command.program;
    let path = env.get("PATH").map(|it| it.expose().to_owned()).unwrap_or_default();
    let key = format!("{} {program} {path}", worker.shell.host());
    let shell = Arc::clone(&worker.shell);
    let home = worker.info.home.clone();
    let missing = ApiError::new(
        ErrorKind::Host,
        format!("{} has no program `{program}`", worker.shell.host()),
    )
    .hint("npm install -g @anthropic-ai/claude-code, or set agent.command in parhelia.toml");
    let ask = async {
        // The script's own search path, so that what is asked is what will run.
        let script = "[ -z \"$2\" ] || PATH=$2\n\
            PATH=$PATH:$HOME/.local/bin:/usr/local/bin\n\
            command -v \"$1\" >/dev/null || exit 127\n\
            exec \"$1\" --version </dev/null";
        let command = Command::new(["sh", "-c", script, "sh", program, &path]).cwd(home);
        match run(&*shell, &command, LIMIT).await {
            Ok(output) if output.code == 127 => Err(missing),
            Ok(output) => Ok(Version::parse(&output.text())),
            Err(error) => Err(host_error(&error)),
        }
    };
    Ok(crew.hosts.claude_version(key, ask).await?)
}

/// Where Claude keeps its own files for a task with this environment.
pub fn claude_config(worker: &Worker, env: &BTreeMap<String, Secret>) -> HostPath {
    env.get("CLAUDE_CONFIG_DIR")
        .and_then(|it| HostPath::new(it.expose()).ok())
        .unwrap_or_else(|| worker.info.claude_config.clone())
}

/// Puts a launch together.
pub fn spec(
    settings: &Settings,
    worker: &Worker,
    task: &Task,
    attempt: u32,
    conversation: &str,
    prepared: Prepared,
) -> Launch {
    let prompt = prepared.prompt;
    let command = &settings.agent.command;
    let mut argv = vec![command.program.clone()];
    argv.extend(command.args.iter().map(|it| it.expose().to_owned()));
    Launch {
        task: task.id.clone(),
        attempt,
        run_dir: task_dir(worker, task),
        workspace: prepared.workspace,
        conversation: conversation.to_owned(),
        begin: match task.next {
            Next::Fresh => Begin::Fresh { prompt },
            Next::Resume { .. } => Begin::Resume { prompt },
        },
        permission_mode: task.spec.permission_mode,
        model: task.spec.model.clone(),
        name: task.name.clone(),
        command: argv,
        env: prepared.env,
        key_by_helper: prepared.key_by_helper,
        claude_version: prepared.version,
        user_status_line: prepared.user_status_line,
        root_user: worker.info.root_user,
    }
}

/// Returns what a watcher needs to know of a task's session, and the worker it is on.
pub async fn watched(crew: &Crew, task: &Task) -> Option<(Worker, Watched)> {
    let (session, place) = task.state.session().zip(task.place.as_ref())?;
    let run_dir = run_dir(place).ok()?;
    let mut failures = 0;
    let worker = loop {
        match crew.hosts.worker(place, &task.spec.requirements).await {
            Ok(worker) => break worker,
            Err(error) => {
                failures += 1;
                tracing::warn!(task = %task.id, %error, "cannot reach the session to watch it");
                tokio::time::sleep(AGAIN.after(failures)).await;
            }
        }
    };
    let env = create::read_env(&crew.home, &task.id).await.unwrap_or_default();
    let env = environment(&worker, env);
    let watched = Watched {
        task: task.id.clone(),
        attempt: session.attempt,
        files: RunDir::new(&run_dir, session.attempt),
        claude_config: claude_config(&worker, &env),
        transcript: session.transcript.clone(),
    };
    Some((worker, watched))
}

/// Returns tmux's name for a key as the configuration writes it: `ctrl-q` is `C-q`.
fn tmux_key(key: &str) -> String {
    let mut parts: Vec<&str> = key.split('-').collect();
    let last = parts.pop().unwrap_or_default();
    let mut out = String::new();
    for part in parts {
        out.push_str(match part.to_ascii_lowercase().as_str() {
            "ctrl" | "c" => "C-",
            "alt" | "meta" | "m" => "M-",
            "shift" | "s" => "S-",
            _ => "",
        });
    }
    let function = last.len() < 4 && last.to_ascii_lowercase().starts_with('f');
    if function && last[1..].parse::<u8>().is_ok() {
        out.push_str(&last.to_ascii_uppercase());
    } else {
        out.push_str(last);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{checkpoint::CheckpointError, dispatcher::keeper::checkpoint_error};

    #[test]
    fn a_host_that_is_lost_while_a_launch_heals_is_waited_for() {
        let host = || "far".to_owned();
        let lost = || ShellError::Unreachable { host: host(), detail: "gone".into() };
        let slow = || ShellError::Deadline {
            host: host(),
            command: "git".into(),
            limit: Duration::from_secs(1),
        };
        // As it comes out of looking, of restoring, and of fetching what is restored.
        for error in [lost(), slow()] {
            let seen = Failure::from(host_error(&error));
            assert!(matches!(seen, Failure::Unreachable(_)), "{error}");
            let restored = Failure::from(checkpoint_error(&CheckpointError::Shell(error)));
            assert!(matches!(restored, Failure::Unreachable(_)));
        }
        let full = CheckpointError::Full { host: host(), detail: "No space left".into() };
        let none = ShellError::NoProgram { host: host(), program: "git".into() };
        for error in [checkpoint_error(&full), host_error(&none)] {
            assert!(matches!(Failure::from(error), Failure::Final(_)));
        }
    }
}
