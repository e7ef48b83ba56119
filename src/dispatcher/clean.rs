//! Deleting what Parhelia made for a task, and nothing else; its checkpoints stay as long as they
//! are kept.

use std::{sync::Arc, time::Duration};

use crate::{
    api::{
        checkpoints::CreateCheckpoint,
        error::{ApiError, ErrorKind},
    },
    dispatcher::{
        create,
        http::{App, workspace},
        keeper::Held,
        session::host_error,
    },
    domain::{
        checkpoint::Trigger,
        ids::HostPath,
        task::{Isolation, Place, Task},
    },
    git::{BRANCH_PREFIX, Git, GitError},
    provider::Worker,
    shell::{Command, run},
};

/// Deadline for removing a directory, which may be large.
const LIMIT: Duration = Duration::from_secs(300);

/// How long the checkpoint before it may take, and fetching those that are only there.
const SAVE_LIMIT: Duration = Duration::from_secs(240);

/// Removes the run directory of a finished task. With `checkpoint` it is saved first, and nothing
/// is removed if that fails. As long as what is returned lives, nobody saves it again. What is uncommitted is committed first, and its
/// commits stay in the repository, by a branch made for them if they are on none. Repositories
/// inside the workspace that hold work nothing else has are no business of ours: it refuses.
///
/// # Errors
///
/// If the task is not finished, if its host does not answer, or if something would be lost.
pub async fn remove(app: &Arc<App>, task: &Task, checkpoint: bool) -> Result<Held, ApiError> {
    let held = app.keeper.lock(&task.id).await;
    if !task.state.is_final() || task.state.session().is_some() {
        // The core refuses with the better words; nothing is touched here.
        return Ok(held);
    }
    if checkpoint {
        save_first(app, &held, task).await?;
    }
    create::drop_env(&app.home, &task.id).await;
    if let Some((place, run_dir)) =
        task.place.as_ref().and_then(|it| it.run_dir.as_ref().map(|dir| (it, dir)))
    {
        remove_dir(app, task, place, run_dir).await?;
    }
    app.keeper.abandon(&task.id).await;
    Ok(held)
}

async fn remove_dir(
    app: &Arc<App>,
    task: &Task,
    place: &Place,
    run_dir: &HostPath,
) -> Result<(), ApiError> {
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

/// Saves a task, and fetches its checkpoints that are only in the directory that goes.
async fn save_first(app: &Arc<App>, held: &Held, task: &Task) -> Result<(), ApiError> {
    let place = task.place.as_ref();
    let Some((run_dir, dir)) = place.and_then(|it| it.run_dir.as_ref().zip(it.workspace.as_ref()))
    else {
        return Ok(());
    };
    match workspace::open(app, task).await {
        Ok(_) => {
            let what = CreateCheckpoint::default();
            let saved =
                app.keeper.save_with(held, task, Trigger::BeforeDelete, &what, SAVE_LIMIT).await;
            let goes = dir.as_str().starts_with(&format!("{run_dir}/"));
            // A directory of the person's own stays as it is, so nothing depends on it.
            if let Err(error) = saved
                && goes
            {
                return Err(unsaved(task, &error));
            }
        }
        // It is gone: what was saved of it is all there is.
        Err(error) if error.kind == ErrorKind::Conflict => (),
        Err(error) => return Err(error),
    }
    app.keeper.bring_home(task, SAVE_LIMIT).await.map_err(|it| unsaved(task, &it))
}

fn unsaved(task: &Task, why: &ApiError) -> ApiError {
    let message = format!("{} is kept, no checkpoint of it could be made: {why}", task.id);
    ApiError::new(why.kind, message)
        .hint(format!("do without: parhelia task delete --no-checkpoint {}", task.id))
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
