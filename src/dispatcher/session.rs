//! A live session in hand: its host, its tmux, its files.

use std::sync::Arc;

use crate::{
    agent::launch::RunDir,
    api::error::{ApiError, ErrorKind},
    dispatcher::{decide::no_session, host::Hosts, http::App},
    domain::{
        ids::HostPath,
        task::{Place, Task},
    },
    shell::{Shell, ShellError},
    tmux::{Tmux, TmuxError},
};

/// A session that can be driven.
pub struct Live {
    /// Its host.
    pub shell: Arc<dyn Shell>,
    /// The tmux server it is on.
    pub tmux: Tmux,
    /// Its name there.
    pub name: String,
    /// Its files.
    pub files: RunDir,
}

impl Live {
    /// Takes the session of `task` in hand.
    ///
    /// # Errors
    ///
    /// If the task has no session, or if its host does not answer.
    pub async fn of(app: &App, task: &Task) -> Result<Live, ApiError> {
        Live::open(&app.hosts, task).await
    }

    /// As [`Live::of`], for those who have the hosts only.
    pub async fn open(hosts: &Hosts, task: &Task) -> Result<Live, ApiError> {
        let Some((session, place)) = task.state.session().zip(task.place.as_ref()) else {
            return Err(no_session(task));
        };
        let run_dir = run_dir(place)?;
        let worker = hosts.worker(place, &task.spec.requirements).await?;
        Ok(Live {
            tmux: hosts.tmux(&worker),
            shell: worker.shell,
            name: task.id.session_name(),
            files: RunDir::new(&run_dir, session.attempt),
        })
    }

    /// Says what the host could not do.
    pub fn shell_error(&self, error: &ShellError) -> ApiError {
        host_error(error)
    }

    /// Says what tmux could not do.
    pub fn tmux_error(&self, error: &TmuxError) -> ApiError {
        ApiError::new(ErrorKind::Host, error.to_string())
    }
}

/// What is said of a host that does not answer.
const MAY_BE_ALIVE: &str = "its session may well be alive; try again, or see parhelia status";

/// Tells whether an error is by [`host_error`] of a host that does not answer.
pub fn is_unreachable(error: &ApiError) -> bool {
    error.kind == ErrorKind::Host && error.hints.iter().any(|it| it == MAY_BE_ALIVE)
}

/// Says what a host could not do.
pub fn host_error(error: &ShellError) -> ApiError {
    let said = ApiError::new(ErrorKind::Host, error.to_string());
    match error {
        ShellError::Unreachable { .. } | ShellError::Deadline { .. } => said.hint(MAY_BE_ALIVE),
        ShellError::NoProgram { program, .. } => said.hint(format!("install {program} there")),
        ShellError::File { .. } | ShellError::Other { .. } => said,
    }
}

/// Returns the directory made for a task, or says that there is none yet.
pub fn run_dir(place: &Place) -> Result<HostPath, ApiError> {
    place.run_dir.clone().ok_or_else(|| {
        ApiError::new(ErrorKind::Conflict, "the task has no directory yet; it is being dispatched")
    })
}
