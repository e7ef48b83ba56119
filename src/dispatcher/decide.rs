//! What a command means, and what follows from a fact: pure.

use crate::{
    api::error::{ApiError, ErrorKind},
    dispatcher::world::{Draft, World},
    domain::{
        budget::{Cap, Ceiling},
        checkpoint::Checkpoint,
        event::EventBody,
        evidence::{Observation, Turn},
        ids::{CheckpointId, TaskId},
        state::{StopCause, TaskState},
        task::{Next, Task},
        usd::Usd,
    },
    stdx::time::Timestamp,
};

mod money;

/// A wish of a client, or of a part of the dispatcher on a client's behalf.
#[derive(Debug)]
pub enum Command {
    /// Write a task down and queue it.
    Create { task: Box<Task>, prompt: Vec<u8> },
    /// End a task; with `session_only`, refuse unless there is a session.
    Stop { id: TaskId, session_only: bool },
    /// Run a task again, with another prompt if there is one.
    Retry { id: TaskId, resume: bool, prompt: Option<Vec<u8>> },
    /// Forget a finished task whose directory is gone.
    Forget { id: TaskId },
    /// Someone attached (or left, if negative).
    View { id: TaskId, by: i32 },
    /// Take up the open session of a finished task; nothing happens to a running one.
    Reopen { id: TaskId },
    /// Record what was done in a session.
    Record { id: TaskId, body: EventBody },
    /// Interrupt and save a task and release its worker.
    Park { id: TaskId },
    /// Let a parked task go on, with a prompt if there is one. `kept` if the store has one that
    /// the launch was to begin with which was parked before it began.
    Unpark { id: TaskId, prompt: Option<Vec<u8>>, kept: bool },
    /// Change the most that a task may cost.
    Cap { id: TaskId, max_cost: Option<Usd> },
    /// Set a ceiling; nothing lets the configuration's word hold again.
    SetCeiling { ceiling: Ceiling, cap: Option<Cap> },
    /// Begin a new period of the budget.
    ResetBudget,
    /// Record what happened to a checkpoint; `row` is what it is from then on, if anything. The
    /// task may be gone.
    Checkpoint {
        task: TaskId,
        id: CheckpointId,
        row: Option<Box<Checkpoint>>,
        body: Box<EventBody>,
    },
}

impl Command {
    /// Returns the task it is about, if it is about one.
    pub fn task(&self) -> Option<&TaskId> {
        match self {
            Command::SetCeiling { .. } | Command::ResetBudget => None,
            Command::Create { task, .. } => Some(&task.id),
            Command::Stop { id, .. }
            | Command::Retry { id, .. }
            | Command::Forget { id }
            | Command::View { id, .. }
            | Command::Reopen { id }
            | Command::Park { id }
            | Command::Unpark { id, .. }
            | Command::Cap { id, .. }
            | Command::Checkpoint { task: id, .. }
            | Command::Record { id, .. } => Some(id),
        }
    }
}

/// Adds to `draft` what `command` does.
///
/// # Errors
///
/// What the client is told; nothing is changed then.
pub fn decide(draft: &mut Draft, command: &Command, now: Timestamp) -> Result<(), ApiError> {
    let Some(id) = command.task() else {
        money::decide(draft, command, now);
        return Ok(());
    };
    if let Command::Create { task, prompt } = command {
        draft.create((**task).clone(), prompt.clone(), now);
        return emit(draft, id, EventBody::Queued, now);
    }
    if let Command::Checkpoint { task, id, row, body } = command {
        draft.checkpoint(task, id, row.as_deref().cloned(), (**body).clone(), now);
        return Ok(());
    }
    let task = draft.task(id).cloned().ok_or_else(|| not_found(draft.base(), id.as_str()))?;
    match command {
        Command::Create { .. }
        | Command::Checkpoint { .. }
        | Command::SetCeiling { .. }
        | Command::ResetBudget => Ok(()),
        Command::Park { .. } => money::park(draft, &task, now),
        Command::Unpark { prompt, kept, .. } => {
            money::unpark(draft, &task, (prompt.as_ref(), *kept), now)
        }
        Command::Cap { max_cost, .. } => {
            emit(draft, id, EventBody::Capped { max_cost: *max_cost }, now)
        }
        Command::Stop { session_only, .. } => stop(draft, &task, *session_only, now),
        Command::Retry { resume, prompt, .. } => retry(draft, &task, *resume, prompt.as_ref(), now),
        Command::Forget { .. } => {
            if !task.state.is_final() || task.state.session().is_some() {
                return Err(still_there(&task));
            }
            draft.delete(id, now);
            Ok(())
        }
        Command::View { by, .. } => {
            let Some(session) = task.state.session() else { return Ok(()) };
            let count = session.viewers.saturating_add_signed(*by);
            emit(draft, id, EventBody::Viewing { count }, now)
        }
        Command::Reopen { .. } => match &task.state {
            TaskState::Completed { session: Some(_), .. }
            | TaskState::Failed { session: Some(_), .. } => {
                emit(draft, id, EventBody::Reopened, now)
            }
            TaskState::Running { .. } => Ok(()),
            _ => Err(no_session(&task)),
        },
        Command::Record { body, .. } => emit(draft, id, body.clone(), now),
    }
}

/// Adds to `draft` an event that was learnt, and what follows from it at once.
pub fn learn(draft: &mut Draft, id: &TaskId, body: EventBody, now: Timestamp) {
    let Some(task) = draft.task(id) else { return };
    let finished = task.state.is_final();
    let prompted = matches!(
        &body,
        EventBody::Observed { observation: Observation::PromptSubmitted { injected: false, .. } }
    );
    // A fact that the state no longer admits came too late to matter.
    if draft.emit(id, body, now).is_ok() && finished && prompted {
        let _ = draft.emit(id, EventBody::Reopened, now);
    }
}

fn stop(
    draft: &mut Draft,
    task: &Task,
    session_only: bool,
    now: Timestamp,
) -> Result<(), ApiError> {
    if session_only && task.state.session().is_none() {
        return Err(no_session(task));
    }
    if let Some(session) = task.state.session()
        && session.stopping.is_some()
    {
        return Ok(());
    }
    emit(draft, &task.id, EventBody::StopRequested { cause: StopCause::Person }, now)
}

fn retry(
    draft: &mut Draft,
    task: &Task,
    resume: bool,
    prompt: Option<&Vec<u8>>,
    now: Timestamp,
) -> Result<(), ApiError> {
    if task.state.session().is_some() {
        return Err(ApiError::new(
            ErrorKind::Conflict,
            format!("{} still has its session open", task.id),
        )
        .hint(format!("send it a prompt: parhelia session prompt {} \"…\"", task.id))
        .hint(format!("or end it first: parhelia session kill {}", task.id)));
    }
    if resume && task.conversation.is_none() {
        return Err(ApiError::new(
            ErrorKind::Conflict,
            format!("{} never had a conversation to resume", task.id),
        )
        .hint(format!("start it afresh: parhelia task retry {}", task.id)));
    }
    let next = if resume { Next::Resume { with_prompt: prompt.is_some() } } else { Next::Fresh };
    emit(draft, &task.id, EventBody::Retried { next }, now)?;
    if let Some(prompt) = prompt {
        draft.keep_prompt(&task.id, task.attempts + 1, prompt.clone());
    }
    Ok(())
}

pub(super) fn emit(
    draft: &mut Draft,
    id: &TaskId,
    body: EventBody,
    at: Timestamp,
) -> Result<(), ApiError> {
    draft.emit(id, body, at).map_err(|it| ApiError::new(ErrorKind::Conflict, format!("{id}: {it}")))
}

/// Says that a task has no session, and what can be done instead.
pub fn no_session(task: &Task) -> ApiError {
    let error = ApiError::new(
        ErrorKind::Conflict,
        format!("{} has no session: it is {}", task.id, task.state.name()),
    );
    match &task.state {
        TaskState::Completed { .. } | TaskState::Failed { .. } | TaskState::Killed { .. } => error
            .hint(format!("go on with its conversation: parhelia task retry --resume {}", task.id)),
        TaskState::Parked { .. } => {
            error.hint(format!("let it go on: parhelia task unpark {}", task.id))
        }
        TaskState::Pending { reason: Some(reason), .. } => error.hint(reason.clone()),
        _ => error.hint(format!("see parhelia task show {}", task.id)),
    }
}

fn still_there(task: &Task) -> ApiError {
    let what = match task.state.session() {
        Some(_) => "its session is still open",
        None => "it is not finished",
    };
    ApiError::new(ErrorKind::Conflict, format!("{} cannot be deleted: {what}", task.id))
        .hint(format!("end it first: parhelia session kill {}", task.id))
}

/// Says that there is no such task, and which were nearest.
pub fn not_found(world: &World, id: &str) -> ApiError {
    let shown = crate::stdx::text::one_line(id, 60);
    let mut error = ApiError::new(ErrorKind::NotFound, format!("Task not found: {shown}"));
    let ids: Vec<&str> = world.newest_first().take(NEAR_MAX).map(|it| it.id.as_str()).collect();
    let near = misspelt(id, &ids);
    let called: Vec<&str> = world
        .newest_first()
        .filter(|it| it.name == id)
        .take(NEAR_SHOWN)
        .map(|it| it.id.as_str())
        .collect();
    if !called.is_empty() {
        // Names are for people: two tasks may have the same.
        error = error.hint(format!("{shown} is the name of {}", called.join(", ")));
    } else if !near.is_empty() {
        error = error.hint(format!("did you mean {}?", near.join(", ")));
    } else if let [newest, ..] = ids[..] {
        error = error.hint(format!("the newest task is {newest}"));
    }
    error.hint("list tasks: parhelia task list")
}

/// The newest tasks that are looked through for one that was meant.
const NEAR_MAX: usize = 1000;

/// The most tasks that are named in their place.
const NEAR_SHOWN: usize = 3;

/// Returns up to three of `ids` that differ from `id` by a slip or two.
pub fn misspelt<'a>(id: &str, ids: &[&'a str]) -> Vec<&'a str> {
    const SLIPS_MAX: usize = 2;
    let mut near: Vec<(usize, &str)> = ids
        .iter()
        .map(|it| (strsim::damerau_levenshtein(id, it), *it))
        .filter(|(slips, _)| *slips <= SLIPS_MAX)
        .collect();
    near.sort_unstable();
    near.into_iter().take(NEAR_SHOWN).map(|(_, it)| it).collect()
}

/// Finds the one task whose id starts with `prefix`.
///
/// # Errors
///
/// [`ErrorKind::NotFound`] with the nearest ids, or [`ErrorKind::Invalid`] with the rivals.
pub fn resolve<'a>(world: &'a World, prefix: &str) -> Result<&'a Task, ApiError> {
    match &world.by_prefix(prefix)[..] {
        [] => Err(not_found(world, prefix)),
        [task] => Ok(task),
        rivals => {
            let ids: Vec<&str> = rivals.iter().take(5).map(|it| it.id.as_str()).collect();
            Err(ApiError::new(
                ErrorKind::Invalid,
                format!("`{prefix}` is the start of {} task ids", rivals.len()),
            )
            .hint(format!("among them {}", ids.join(", "))))
        }
    }
}

/// Returns the evidence for a task's activity, newest first.
pub fn witnesses(task: &Task, now: Timestamp) -> Vec<crate::api::types::Witness> {
    use crate::api::types::Witness;
    let Some(session) = task.state.session() else { return Vec::new() };
    let evidence = &session.evidence;
    let mut out = Vec::new();
    let mut add = |source: &str, at: Timestamp, says: String| {
        out.push(Witness { source: source.into(), at, says });
    };
    if let Some(it) = &evidence.hook {
        add("hook", it.at, format!("the newest hook is {}", it.what));
    }
    if let Some(it) = &evidence.turn {
        let says = match &it.what {
            Turn::None => "no turn yet".to_owned(),
            Turn::Working => "a turn began".to_owned(),
            Turn::Ended { background } => {
                format!("the turn ended with {background} background tasks")
            }
            Turn::Failed { error, .. } => format!("the turn failed: {error}"),
            Turn::Interrupted => "the turn was interrupted".to_owned(),
        };
        add("hook", it.at, says);
    }
    for it in &evidence.asks {
        add("hook", it.at, format!("asks: {} {}", it.what.tool, it.what.summary));
    }
    if let Some(it) = &evidence.registry {
        add("registry", it.at, Observation::Registry { registry: it.what.clone() }.describe());
    }
    if let Some(it) = &evidence.process {
        add("process", it.at, format!("claude is process {} there", it.what));
    }
    if let Some(it) = &evidence.dialog {
        add("screen", it.at, format!("a dialog is open: {} ({})", it.what.0, it.what.1));
    }
    if let crate::domain::state::Contact::Unreachable { since } = session.contact {
        add("dispatcher", since, "the host does not answer".into());
    }
    if session.viewers != 0 {
        add("dispatcher", now, format!("{} attached", session.viewers));
    }
    out.sort_by_key(|it| std::cmp::Reverse(it.at));
    out
}
