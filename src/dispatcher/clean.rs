//! Deleting what Parhelia made for a task, and nothing else.

use std::{sync::Arc, time::Duration};

use crate::{
    api::error::{ApiError, ErrorKind},
    dispatcher::{create, http::App, session::host_error},
    domain::{
        ids::HostPath,
        task::{Isolation, Task},
    },
    git::{BRANCH_PREFIX, Git, GitError},
    provider::Worker,
    shell::{Command, run},
};

/// Deadline for removing a directory, which may be large.
const LIMIT: Duration = Duration::from_secs(300);

/// Removes the run directory of a finished task. What is uncommitted is committed first, and its
/// commits stay in the repository, by a branch made for them if they are on none. Repositories
/// inside the workspace that hold work nothing else has are no business of ours: it refuses.
///
/// # Errors
///
/// If the task is not finished, if its host does not answer, or if something would be lost.
pub async fn remove(app: &Arc<App>, task: &Task) -> Result<(), ApiError> {
    if !task.state.is_final() || task.state.session().is_some() {
        // The core refuses with the better words; nothing is touched here.
        return Ok(());
    }
    create::drop_env(&app.home, &task.id).await;
    let Some(place) = &task.place else { return Ok(()) };
    let Some(run_dir) = &place.run_dir else { return Ok(()) };
    let worker = app.hosts.worker(place, &task.spec.requirements).await?;
    check_ours(run_dir, &worker.info.root, task)?;
    if place.branch.is_some() {
        keep_work(&worker, task, &run_dir.join("workspace")).await?;
    }
    let command = Command::new(["rm", "-rf", "--", run_dir.as_str()]);
    let output = run(&*worker.shell, &command, LIMIT).await.map_err(|it| host_error(&it))?;
    if output.code != 0 {
        return Err(ApiError::new(
            ErrorKind::Host,
            format!("failed to remove {run_dir}: {}", output.complaint()),
        ));
    }
    Ok(())
}

/// Commits what is uncommitted in a task's own work tree and sees to it that a branch of the
/// person's repository holds what is checked out, then removes the work tree.
async fn keep_work(worker: &Worker, task: &Task, dest: &HostPath) -> Result<(), ApiError> {
    let shell = &*worker.shell;
    let exists = Command::new(["test", "-e", dest.as_str()]);
    if run(shell, &exists, LIMIT).await.map_err(|it| host_error(&it))?.code != 0 {
        return Ok(());
    }
    let git = Git::new(Arc::clone(&worker.shell));
    let failed = |it: GitError| kept(task, dest, &it.to_string());
    let nested = git.nested_work(dest).await.map_err(failed)?;
    if let Some(first) = nested.first() {
        return Err(not_ours_to_keep(task, dest, first, nested.len()));
    }
    let message =
        format!("Uncommitted work of {}\n\nKept by Parhelia before deleting it.", task.id);
    git.commit_all(dest, &message).await.map_err(failed)?;
    let branch = format!("{BRANCH_PREFIX}{}", task.id);
    let from = &task.spec.workspace;
    if task.spec.isolation == Isolation::Clone {
        return git.fetch_head(from, dest, &branch).await.map(drop).map_err(failed);
    }
    git.keep_head(dest, &branch).await.map_err(failed)?;
    git.remove_worktree(from, dest, Some(&branch)).await.map(drop).map_err(failed)
}

fn not_ours_to_keep(task: &Task, dest: &HostPath, nested: &str, count: usize) -> ApiError {
    let more = if count == 1 { String::new() } else { format!(" (and {} more)", count - 1) };
    ApiError::new(
        ErrorKind::Conflict,
        format!(
            "{} is kept: the repository {nested}{more} in its workspace holds work of its own, \
             uncommitted files or commits on no remote",
            task.id
        ),
    )
    .hint(format!("push it, or move it out of {dest}"))
}

fn kept(task: &Task, dir: &HostPath, why: &str) -> ApiError {
    ApiError::new(
        ErrorKind::Host,
        format!("{} is kept, its work could not be saved: {why}", task.id),
    )
    .hint(format!("its work is in {dir}"))
}

/// Refuses to delete anything but the directory that belongs to this task.
fn check_ours(run_dir: &HostPath, root: &HostPath, task: &Task) -> Result<(), ApiError> {
    if *run_dir == root.join(task.id.as_str()) {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorKind::Conflict,
        format!("{run_dir} is not where {} should be, so it is left alone", task.id),
    ))
}
