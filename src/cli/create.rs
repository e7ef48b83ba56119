//! `task create`: from a prompt to a session.

use std::{collections::BTreeMap, path::Path, time::Duration};

use tokio::time::{Instant, timeout_at};

use crate::{
    api::{
        error::{ApiError, ErrorKind},
        types::{CreateTask, DryRun, Env},
        view::TaskView,
    },
    cli::{
        args::{session::Attach, task::Create},
        attach,
        context::Context,
        follow::{self, Change},
        out::{Done, Failure},
        paint::Paint,
        park, prompt, sync,
        view::{by_budget, dollars, is_final},
    },
    config::settings::Settings,
    stdx::{
        secret::Secret,
        text::{one_line, printable},
    },
};

/// Longest wait for a session before the rest is left to the dispatcher. A launch takes well
/// under a second; a clone of a large repository may take longer than this.
const LAUNCH_LIMIT: Duration = Duration::from_secs(15);

/// Submits a task and goes with it as far as was asked.
pub async fn create(context: &Context, args: &Create) -> Done {
    if args.attach {
        // Said before there is a task that nobody looks at.
        attach::need_terminal()?;
    }
    context.setup.check()?;
    let request = request(args, &context.setup.settings)?;
    let out = &context.out;
    let client = context.client().await?;
    if args.dry_run {
        let plan = client.dry_run(&request).await?;
        match out.json {
            true => out.json(&plan)?,
            false => out.line(&render_plan(&plan, out.paint))?,
        }
        return Ok(0);
    }
    // The stream is opened first, so that not even the first event is missed.
    let feed = follow::open(&client).await?;
    let task = client.create_task(&request).await?.task;
    if !out.json && !args.sync {
        out.line(&format!("Task submitted: {}", one_line(&task.id, 40)))?;
    } else if !out.json {
        out.note(&format!("Task submitted: {}", one_line(&task.id, 40)));
    }
    let changes = follow::follow(context, feed, &task);
    if args.sync {
        return sync::wait(context, &task.id, changes).await;
    }
    let launched = started(context, task, changes).await?;
    match launched {
        Launch::Started(task) if args.attach => {
            attach::attach(context, &attach_args(&task.id)).await
        }
        Launch::Waiting(task) if args.attach => {
            Err(ApiError::new(ErrorKind::Conflict, "there is no session to attach to yet")
                .hint(format!("parhelia attach {}", task.id))
                .into())
        }
        Launch::Started(task) | Launch::Waiting(task) => {
            if out.json {
                out.json(&serde_json::json!({ "task": task }))?;
            }
            Ok(0)
        }
    }
}

/// How far a task came while the command waited.
enum Launch {
    Started(Box<TaskView>),
    Waiting(Box<TaskView>),
}

/// Tells what happens until Claude is started, or the task is known to wait.
async fn started(
    context: &Context,
    task: TaskView,
    mut changes: tokio::sync::mpsc::Receiver<Change>,
) -> Result<Launch, Failure> {
    let out = &context.out;
    let say = |text: &str| if out.json { Ok(()) } else { out.line(text) };
    let deadline = Instant::now() + LAUNCH_LIMIT;
    let mut task = Box::new(task);
    let mut told = false;
    say("Dispatching in async mode...")?;
    loop {
        match task.state.as_str() {
            "CREATED" | "DISPATCHED" => (),
            "PENDING" => {
                if let Some(reason) = &task.reason {
                    say(&format!("Waiting: {}", one_line(reason, 300)))?;
                    return Ok(Launch::Waiting(task));
                }
            }
            "DISPATCH_FAILED" => return Err(dispatch_failed(context, &task)),
            "PARKED" => return Err(park::parked(context, &task)),
            _ if is_final(&task) && task.worker.is_none() => {
                return Err(ApiError::new(
                    ErrorKind::Conflict,
                    format!("{} ended before it was started: {}", task.id, word_of(&task)),
                )
                .into());
            }
            _ => {
                if let Some(text) = workspace_line(&task)
                    && !told
                {
                    say(&text)?;
                }
                let worker = task.worker.as_deref().unwrap_or("worker");
                say(&format!("Worker started: {}", one_line(worker, 40)))?;
                return Ok(Launch::Started(task));
            }
        }
        match timeout_at(deadline, changes.recv()).await {
            Ok(Some(Change::Task(it))) => task = it,
            Ok(Some(Change::Note(text))) => {
                told |= text.starts_with("Workspace: ");
                say(&one_line(&text, 500))?;
            }
            Ok(Some(Change::Lost)) => (),
            Ok(Some(Change::End(it))) => return Err(it.into()),
            Ok(None) | Err(_) => {
                if !out.json {
                    out.note("Still being dispatched after 15 s; the dispatcher goes on with it.");
                    out.note(&format!("  hint: parhelia task watch {}", one_line(&task.id, 40)));
                }
                return Ok(Launch::Waiting(task));
            }
        }
    }
}

/// No session came to be: says why the way the field does.
pub fn dispatch_failed(context: &Context, task: &TaskView) -> Failure {
    let reason = one_line(task.reason.as_deref().unwrap_or("no reason is known"), 1000);
    if by_budget(task) {
        return over_budget(context, &task.id, &reason);
    }
    let message = format!("Dispatch failed: {reason}");
    let retry = format!("try it again: parhelia task retry {}", one_line(&task.id, 40));
    let hints = match reason.starts_with("No available workers") {
        // The same again would fail the same way.
        true => vec!["what there is: parhelia status; ask for less, or for another GPU".to_owned()],
        false => vec!["what there is: parhelia status".to_owned(), retry],
    };
    if context.out.json {
        let error = ApiError::new(ErrorKind::Host, message);
        return hints.into_iter().fold(error, ApiError::hint).into();
    }
    let paint = context.out.paint_err;
    context.out.note(&paint.red(&message));
    for hint in hints {
        context.out.note(&format!("  {} {hint}", paint.dim("hint:")));
    }
    Failure::Said(ErrorKind::Host.exit_code())
}

/// The budget did not let a task begin: says which ceiling, by how much, and the ways out.
fn over_budget(context: &Context, id: &str, reason: &str) -> Failure {
    let out = &context.out;
    let (what, ways) = reason.split_once(". Ways out: ").unwrap_or((reason, ""));
    let mut hints: Vec<String> =
        ways.split("; ").filter(|it| !it.is_empty()).map(str::to_owned).collect();
    hints.push(format!("then try it again: parhelia task retry {}", one_line(id, 40)));
    if out.json {
        let error = ApiError::new(ErrorKind::Budget, format!("Dispatch failed: {what}"));
        return hints.into_iter().fold(error, ApiError::hint).into();
    }
    // The ceiling on a line of its own, the figures below it.
    let (ceiling, figures) = what.split_once(": ").unwrap_or((what, ""));
    out.note(&out.paint_err.red(&format!("Dispatch failed: {ceiling}")));
    if !figures.is_empty() {
        out.note(&format!("  {figures}"));
    }
    for hint in hints {
        out.note(&format!("  {} {hint}", out.paint_err.dim("hint:")));
    }
    Failure::Said(ErrorKind::Budget.exit_code())
}

fn word_of(task: &TaskView) -> String {
    let reason = task.reason.as_deref().unwrap_or_default();
    one_line(&format!("{} {reason}", task.state), 300)
}

/// Says where Claude works, if the dispatcher did not: it knows more about it.
fn workspace_line(task: &TaskView) -> Option<String> {
    let workspace = one_line(task.workspace.as_deref()?, 300);
    let branch = task.branch.as_deref().map(|it| one_line(it, 200));
    Some(match (task.isolation.as_str(), branch) {
        ("worktree", Some(branch)) => format!("Workspace: own worktree on branch {branch}"),
        ("clone", Some(branch)) => format!("Workspace: own clone on branch {branch}"),
        ("none", _) => format!("Workspace: {workspace} itself"),
        _ => format!("Workspace: {workspace}"),
    })
}

fn attach_args(id: &str) -> Attach {
    Attach { id: id.to_owned(), read_only: false, verbose: false, detach_key: None }
}

/// Returns what a dry run found, as a person reads it.
fn render_plan(plan: &DryRun, paint: Paint) -> String {
    let mut text = format!("{} {}\n", paint.bold("Target:"), one_line(&plan.target, 200));
    if let Some(waits) = &plan.waits {
        text.push_str(&format!("Would wait: {}\n", one_line(waits, 300)));
    }
    text.push_str(&format!("Workspace: {}\n", one_line(&plan.workspace, 300)));
    for note in &plan.notes {
        text.push_str(&format!("  {}\n", one_line(note, 300)));
    }
    text.push_str("Commands:\n");
    for command in &plan.commands {
        // A command is shown exactly, so its line ends stay.
        for line in printable(command).lines() {
            text.push_str(&format!("  {line}\n"));
        }
    }
    text.push_str(&format!(
        "Price: {} per hour, and what Claude costs\n",
        dollars(plan.price_per_hour_usd)
    ));
    let estimate = &plan.estimate;
    text.push_str(&format!("Estimate: {}\n", one_line(&estimate.text, 300)));
    text.push_str(&format!("Would reserve: {}\n", dollars(estimate.reserve_usd)));
    if let Some(why) = &estimate.refused {
        let why = one_line(why, 300);
        text.push_str(&format!("{} {why}\n", paint.red("Could not begin now by the budget:")));
    }
    text.push_str("Nothing was started.");
    text
}

/// Returns the request that the arguments and the configuration make.
fn request(args: &Create, settings: &Settings) -> Result<CreateTask, ApiError> {
    let prompt = match (&args.prompt, &args.file) {
        (Some(text), _) => prompt::from_argument(text, std::io::stdin().lock())?,
        (None, Some(path)) => prompt::from_file(path)?,
        (None, None) if args.interactive => String::new(),
        (None, None) => {
            return Err(invalid("there is no prompt".into())
                .hint("give it as an argument, with --file PATH, or as - on stdin")
                .hint("--interactive starts Claude without one"));
        }
    };
    if prompt.trim().is_empty() && !args.interactive {
        return Err(
            invalid("the prompt is empty".into()).hint("--interactive starts Claude without one")
        );
    }
    let defaults = &settings.tasks;
    let include_dirty = if args.no_include_dirty { Some(false) } else { args.include_dirty };
    let seconds = |it: Duration| it.as_secs();
    Ok(CreateTask {
        prompt,
        name: args.name.clone(),
        kind: args.kind.or(Some(defaults.kind)),
        gpu: args.gpu,
        memory_gb: args.memory,
        cpu: args.cpu,
        target: args.host.clone(),
        workspace: workspace(args.workspace.as_deref())?,
        isolation: args.isolation.or(Some(defaults.isolation)),
        include_dirty: include_dirty.or(Some(defaults.include_dirty)),
        interactive: args.interactive,
        timeout_seconds: args.timeout.or(defaults.timeout).map(seconds),
        idle_timeout_seconds: args.idle_timeout.or(defaults.idle_timeout).map(seconds),
        permission_mode: args.permission_mode.or(Some(settings.agent.permission_mode)),
        model: args.model.clone().or_else(|| settings.agent.model.clone()),
        max_cost_usd: args.max_cost.or(defaults.max_cost).map(|it| it.dollars()),
        priority: args.priority.or(Some(defaults.priority)),
        env: Env(environment(&args.env, Missing::Refuse)?),
        caller_env: caller_env(settings)?,
    })
}

/// Returns the directory the task starts from: absolute, and without symbolic links, so that
/// it means the same to the dispatcher.
fn workspace(given: Option<&Path>) -> Result<String, ApiError> {
    let path = given.unwrap_or(Path::new("."));
    let absolute = path
        .canonicalize()
        .map_err(|it| invalid(format!("cannot use {} as the workspace: {it}", path.display())))?;
    if !absolute.is_dir() {
        return Err(invalid(format!("{} is not a directory", absolute.display())));
    }
    absolute.into_os_string().into_string().map_err(|it| {
        invalid(format!("the workspace's path is not UTF-8: {}", it.display()))
            .hint("rename it, or start from another directory and tell Claude in the prompt")
    })
}

/// What to do about a variable that is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It was asked for by this command: refuse.
    Refuse,
    /// It is passed where there is one: go on.
    Skip,
}

/// Takes variables from this process's environment.
///
/// # Errors
///
/// If a name is none, if `missing` refuses, or if a value is not UTF-8. The error never shows
/// a value.
pub fn environment(
    names: &[String],
    missing: Missing,
) -> Result<BTreeMap<String, Secret>, ApiError> {
    let mut found = BTreeMap::new();
    for name in names {
        if let Some((name, _)) = name.split_once('=') {
            let name = one_line(name, 80);
            return Err(invalid(format!(
                "--env {name}=…: other users can read values on a command line"
            ))
            .hint(format!("export {name} first, then give --env {name}")));
        }
        let start = |c: char| c.is_ascii_alphabetic() || c == '_';
        if !name.starts_with(start) || !name.chars().all(|c| start(c) || c.is_ascii_digit()) {
            return Err(invalid(format!("`{}` is no variable's name", one_line(name, 80))));
        }
        match std::env::var(name) {
            Ok(value) => {
                found.insert(name.clone(), Secret::new(value));
            }
            Err(std::env::VarError::NotUnicode(_)) => {
                return Err(invalid(format!("the value of {name} is not UTF-8")));
            }
            Err(std::env::VarError::NotPresent) if missing == Missing::Skip => (),
            Err(std::env::VarError::NotPresent) => {
                return Err(invalid(format!("{name} is not set in your environment"))
                    .hint(format!("export {name}=… first; an unexported variable is not seen")));
            }
        }
    }
    Ok(found)
}

/// Returns what makes sense only on this machine: where the caller's programs are, and what the
/// configuration (`agent.env`) says Claude needs of the caller's environment.
pub fn caller_env(settings: &Settings) -> Result<Env, ApiError> {
    let mut names = vec!["PATH".to_owned()];
    names.extend(settings.agent.env.iter().map(|it| it.as_str().to_owned()));
    environment(&names, Missing::Skip).map(Env)
}

fn invalid(message: String) -> ApiError {
    ApiError::new(ErrorKind::Invalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::budget::Estimate;
    use crate::cli::view::tests::sample;

    const PLAIN: Paint = Paint { on: false };

    #[test]
    fn a_value_on_the_command_line_is_refused_and_not_repeated() {
        let error = environment(&["KEY=hunter2".into()], Missing::Refuse).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }

    #[test]
    fn a_variable_that_is_not_there_is_named() {
        let names = ["PARHELIA_NO_SUCH_VARIABLE".to_owned()];
        let error = environment(&names, Missing::Refuse).unwrap_err();
        assert!(error.message.contains("PARHELIA_NO_SUCH_VARIABLE is not set"), "{error}");
        assert!(environment(&names, Missing::Skip).unwrap().is_empty());
        assert!(environment(&["a b".into()], Missing::Skip).is_err());
    }

    #[test]
    fn arguments_go_before_configuration() {
        let args =
            Create { prompt: Some("p".into()), model: Some("opus".into()), ..Create::default() };
        let mut settings = Settings::default();
        settings.agent.model = Some("haiku".into());
        settings.tasks.timeout = Some(Duration::from_secs(60));
        let request = request(&args, &settings).unwrap();
        assert_eq!(request.model.as_deref(), Some("opus"));
        assert_eq!(request.timeout_seconds, Some(60));
        assert!(request.workspace.starts_with('/'));
    }

    #[test]
    fn an_empty_prompt_needs_interactive() {
        let empty = |interactive| {
            let prompt = Some(" \n".into());
            request(&Create { prompt, interactive, ..Create::default() }, &Settings::default())
        };
        assert!(empty(false).is_err());
        assert!(empty(true).is_ok());
    }

    #[test]
    fn a_dry_run_shows_exact_commands() {
        let plan = DryRun {
            target: "local".into(),
            waits: None,
            workspace: "/runs/task-x/workspace".into(),
            notes: vec!["branch main, 2 modified files included".into()],
            commands: vec!["tmux -L parhelia new-session \\\n  -d".into()],
            price_per_hour_usd: 0.0,
            estimate: Estimate {
                text: "no history: 0 of 5 tasks of its type have ended".into(),
                reserve_usd: 1.0,
                ..Estimate::default()
            },
        };
        insta::assert_snapshot!(render_plan(&plan, PLAIN), @r"
        Target: local
        Workspace: /runs/task-x/workspace
          branch main, 2 modified files included
        Commands:
          tmux -L parhelia new-session \
            -d
        Price: $0.00 per hour, and what Claude costs
        Estimate: no history: 0 of 5 tasks of its type have ended
        Would reserve: $1.00
        Nothing was started.
        ");
    }

    #[test]
    fn the_workspace_is_said_as_soon_as_it_is_known() {
        assert_eq!(
            workspace_line(&sample()).unwrap(),
            "Workspace: own worktree on branch parhelia/task-abcd2345"
        );
        assert_eq!(workspace_line(&TaskView { workspace: None, ..sample() }), None);
    }
}
