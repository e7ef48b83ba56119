//! What commands about money mean: pure.

use crate::{
    api::error::{ApiError, ErrorKind},
    dispatcher::{
        decide::{Command, emit},
        plan::{Admission, admission},
        world::Draft,
    },
    domain::{
        budget::{BudgetChange, Cap, Ceiling, Change, Terms},
        event::EventBody,
        state::{ParkCause, StopCause, TaskState},
        task::{Next, Task},
        usd::Usd,
    },
    stdx::time::Timestamp,
};

/// Adds to `draft` what a command does that is about no task in particular.
pub fn decide(draft: &mut Draft, command: &Command, now: Timestamp) {
    match command {
        Command::SetCeiling { ceiling, cap } => set(draft, ceiling, *cap, now),
        Command::ResetBudget => reset(draft, now),
        _ => (),
    }
}

fn set(draft: &mut Draft, ceiling: &Ceiling, cap: Option<Cap>, now: Timestamp) {
    let from = draft.budget().limit(ceiling);
    let mut terms = draft.budget().terms.clone();
    match cap {
        Some(cap) => terms.caps.insert(ceiling.clone(), cap),
        None => terms.caps.remove(ceiling),
    };
    draft.set_terms(terms, Vec::new());
    let to = draft.budget().limit(ceiling);
    let what = Change::Set { ceiling: ceiling.clone(), from, to };
    let mut terms = draft.budget().terms.clone();
    if from != to {
        terms.said.remove(ceiling);
    }
    draft.set_terms(terms, vec![BudgetChange { at: now, what }]);
}

/// What workers cost up to now belongs to the period that ends.
fn reset(draft: &mut Draft, now: Timestamp) {
    let metered: Vec<_> =
        draft.live().iter().filter(|it| !it.hourly().is_zero()).map(|it| it.id.clone()).collect();
    for id in metered {
        // Any state takes in that time passed.
        let _ = draft.emit(&id, EventBody::Metered, now);
    }
    let accounts = &draft.budget().accounts;
    let (spent, after) = (accounts.total, accounts.last);
    let said = draft.budget().terms.said.clone();
    let said = said.into_iter().filter(|it| it.0 == Ceiling::Day).collect();
    let terms = Terms { since: Some(now), after, said, ..draft.budget().terms.clone() };
    draft.reset_accounts();
    draft.set_terms(terms, vec![BudgetChange { at: now, what: Change::Reset { spent } }]);
}

/// Parks a task on a person's word.
pub fn park(draft: &mut Draft, task: &Task, now: Timestamp) -> Result<(), ApiError> {
    match &task.state {
        TaskState::Parked { .. } => return Ok(()),
        TaskState::Completed { .. }
        | TaskState::Failed { .. }
        | TaskState::Killed { .. }
        | TaskState::DispatchFailed { .. } => {
            let what = format!("{} cannot be parked: it is {}", task.id, task.state.name());
            let error = ApiError::new(ErrorKind::Conflict, what);
            return Err(match task.state.session() {
                Some(_) => {
                    error.hint(format!("end its session: parhelia session kill {}", task.id))
                }
                None => error,
            });
        }
        _ => (),
    }
    let why = ParkCause::Person;
    emit(draft, &task.id, EventBody::StopRequested { cause: StopCause::Parked { why } }, now)
}

/// Lets a parked task go on where it was, or from the start if it never began. A prompt for it may
/// come now, or be there since the launch that was parked before it began.
pub fn unpark(
    draft: &mut Draft,
    task: &Task,
    (prompt, kept): (Option<&Vec<u8>>, bool),
    now: Timestamp,
) -> Result<(), ApiError> {
    if !matches!(task.state, TaskState::Parked { .. }) {
        let what = format!("{} is not parked: it is {}", task.id, task.state.name());
        return Err(ApiError::new(ErrorKind::Conflict, what)
            .hint(format!("see parhelia task show {}", task.id)));
    }
    room(draft, task, now)?;
    let next = match (&task.conversation, prompt) {
        (Some(_), Some(_)) => Next::Resume { with_prompt: true },
        (None, Some(_)) => return Err(begins_anew(task)),
        (Some(_), None) if !kept => Next::Resume { with_prompt: false },
        (_, None) => task.next.clone(),
    };
    emit(draft, &task.id, EventBody::Retried { next }, now)?;
    if let Some(prompt) = prompt {
        draft.keep_prompt(&task.id, task.attempts + 1, prompt.clone());
    }
    Ok(())
}

fn begins_anew(task: &Task) -> ApiError {
    let id = &task.id;
    let what = format!("{id} never began: it has a prompt of its own");
    ApiError::new(ErrorKind::Conflict, what)
        .hint(format!("let it begin with that: parhelia task unpark {id}"))
        .hint(format!("or with another: parhelia task retry {id} --prompt \"…\""))
}

/// Refuses what would be parked or refused at once, so that the task stays as it is. Where there
/// will be room, it waits.
fn room(draft: &Draft, task: &Task, now: Timestamp) -> Result<(), ApiError> {
    if let Some(ceiling) = task.spec.max_cost
        && ceiling <= task.spent(now)
    {
        let spent = task.spent(now);
        let what = format!("{} has spent {spent} of its own ceiling ({ceiling})", task.id);
        let more = (spent + ceiling).max(Usd(1)).0.saturating_add(999_999) / 1_000_000;
        return Err(ApiError::new(ErrorKind::Budget, what)
            .hint(format!("raise it: parhelia budget set {more} --task {}", task.id)));
    }
    let Some(place) = &task.place else { return Ok(()) };
    match admission(draft, task, &place.provider, now).1 {
        Admission::Never(reason) => Err(ApiError::new(ErrorKind::Budget, reason)),
        Admission::Granted | Admission::Later(_) | Admission::Tomorrow(_) => Ok(()),
    }
}
