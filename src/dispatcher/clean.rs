//! Deleting what Parhelia made for a task, and nothing else.

use std::{sync::Arc, time::Duration};

use crate::{
    api::error::{ApiError, ErrorKind},
    dispatcher::{create, http::App, session::host_error},
    domain::{
        ids::HostPath,
        task::{Isolation, Task},
    },
    git::Git,
    provider::Worker,
    shell::{Command, run},
};

/// Deadline for removing a directory, which may be large.
const LIMIT: Duration = Duration::from_secs(300);

/// Removes the run directory of a finished task. Commits on its branch stay in the repository;
/// uncommitted work is committed there first.
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

/// Commits what is uncommitted in a task's own work tree and sees to it that the person's
/// repository has the branch, then removes the work tree.
async fn keep_work(worker: &Worker, task: &Task, dest: &HostPath) -> Result<(), ApiError> {
    let shell = &*worker.shell;
    let exists = Command::new(["test", "-e", dest.as_str()]);
    if run(shell, &exists, LIMIT).await.map_err(|it| host_error(&it))?.code != 0 {
        return Ok(());
    }
    let branch = format!("parhelia/{}", task.id);
    let from = &task.spec.workspace;
    git(worker, task, dest, &["add", "-A"]).await?;
    let clean = Command::new(["git", "diff", "--cached", "--quiet"]).cwd(dest.clone());
    if run(shell, &clean, LIMIT).await.map_err(|it| host_error(&it))?.code != 0 {
        let message =
            format!("Uncommitted work of {}\n\nKept by Parhelia before deleting it.", task.id);
        git(worker, task, dest, &["commit", "-q", "--no-verify", "-m", &message]).await?;
    }
    if task.spec.isolation == Isolation::Clone {
        let range = format!("+HEAD:refs/heads/{branch}");
        git(worker, task, from, &["fetch", "-q", "--no-tags", dest.as_str(), &range]).await?;
        return Ok(());
    }
    let git = Git::new(Arc::clone(&worker.shell));
    let removed = git.remove_worktree(from, dest, Some(&branch)).await;
    removed.map(drop).map_err(|it| kept(task, dest, &it.to_string()))
}

async fn git(worker: &Worker, task: &Task, dir: &HostPath, args: &[&str]) -> Result<(), ApiError> {
    // Nobody's identity is needed, and no hook of the repository has a say.
    let mut command = Command::new(["git", "-c", "core.hooksPath=/dev/null"]);
    for word in ["-c", "user.name=Parhelia", "-c", "user.email=parhelia@localhost"] {
        command = command.arg(word);
    }
    for word in args {
        command = command.arg(*word);
    }
    let output = run(&*worker.shell, &command.cwd(dir.clone()), LIMIT)
        .await
        .map_err(|it| host_error(&it))?;
    if output.code == 0 { Ok(()) } else { Err(kept(task, dir, &output.complaint())) }
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
