//! The workspace of a task, for those who want to look into it.

use std::time::Duration;

use crate::{
    api::error::{ApiError, ErrorKind},
    dispatcher::{http::App, session::host_error},
    domain::{ids::HostPath, task::Task},
    provider::Worker,
    shell::{Command, run},
};

/// How long a host may take to say whether a directory is there.
const LOOK_LIMIT: Duration = Duration::from_secs(10);

/// A workspace that is there.
pub struct Workspace {
    /// Where it is.
    pub worker: Worker,
    /// Its directory.
    pub dir: HostPath,
}

/// Finds the workspace of a task, whether or not the task has a session.
///
/// # Errors
///
/// [`ErrorKind::Conflict`] if there is none yet or any more, [`ErrorKind::Host`] if its host does
/// not answer.
pub async fn open(app: &App, task: &Task) -> Result<Workspace, ApiError> {
    let place = task.place.as_ref();
    let Some((place, dir)) = place.and_then(|it| it.workspace.clone().map(|dir| (it, dir))) else {
        return Err(none(task));
    };
    let worker = app.hosts.worker(place, &task.spec.requirements).await?;
    let test = Command::new(["test", "-d", dir.as_str()]);
    let there = run(&*worker.shell, &test, LOOK_LIMIT).await.map_err(|it| host_error(&it))?;
    if there.code == 0 {
        return Ok(Workspace { worker, dir });
    }
    let message = format!("the workspace of {} is gone: {dir}", task.id);
    Err(ApiError::new(ErrorKind::Conflict, message)
        .hint("it was removed on its host; nothing of it is left to look at"))
}

fn none(task: &Task) -> ApiError {
    let message = format!("{} has no workspace: it is {}", task.id, task.state.name());
    let error = ApiError::new(ErrorKind::Conflict, message);
    if task.state.is_final() {
        return error.hint("it ended before one was made");
    }
    error.hint("one is made when the task is dispatched")
}
