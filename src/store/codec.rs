//! Values to rows and back.

use crate::{
    domain::{
        checkpoint::Checkpoint,
        event::{Event, EventBody},
        ids::TaskId,
        task::Task,
    },
    stdx::time::Timestamp,
    store::error::StoreError,
};

/// Returns the stored form of a task.
pub fn task_body(task: &Task) -> Result<String, StoreError> {
    serde_json::to_string(task).map_err(|it| unstorable(&task.id, &it))
}

/// Returns the stored form of what is no one's in particular.
pub fn json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|it| unstorable(&"budget", &it))
}

/// Returns the stored form of a checkpoint.
pub fn checkpoint_body(checkpoint: &Checkpoint) -> Result<String, StoreError> {
    serde_json::to_string(checkpoint).map_err(|it| unstorable(&checkpoint.id, &it))
}

/// Returns the stored form of an event's body.
pub fn event_body(event: &Event) -> Result<String, StoreError> {
    serde_json::to_string(&event.body).map_err(|it| unstorable(&event.seq, &it))
}

/// Returns `number` as SQLite keeps it.
pub fn integer(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|it| unstorable(&number, &it))
}

/// Returns the event of a row, or nothing if this version does not know such an event: the list
/// of events only grows, so an older program meets newer ones after a downgrade.
pub fn event(seq: u64, at: i64, task: &str, body: &str) -> Option<Event> {
    let task: TaskId = task.parse().ok()?;
    let body: EventBody = serde_json::from_str(body).ok()?;
    Some(Event { seq, at: Timestamp(at), task, body })
}

fn unstorable(what: &impl ToString, why: &impl ToString) -> StoreError {
    StoreError::Unstorable { what: what.to_string(), detail: why.to_string() }
}
