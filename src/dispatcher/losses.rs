//! What ending a session loses, and what deleting a task loses, in words.
//!
//! The words follow what `end` and `clean` do: a session's end leaves every file alone; deleting
//! commits what is uncommitted in a work tree of ours, and keeps its commits by a branch, before
//! the tree goes. Before either a checkpoint is made.

use crate::{
    api::types::Losses,
    domain::{
        activity::Activity,
        evidence::{RegistryStatus, Turn},
        state::Session,
        task::{Isolation, Task},
    },
    git::look::{Look, Work},
    stdx::text::one_line,
};

/// The longest path or reason told, in characters.
const TOLD_MAX: usize = 300;

/// What was seen of a task's workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It never had one.
    Nothing,
    /// This was found.
    Found(Look),
    /// It could not be looked at, for this reason.
    Unknown(String),
}

/// Returns what would be lost of `task` whose workspace was seen like this. Its checkpoints are
/// kept for so many `days`.
pub fn of(task: &Task, seen: &Seen, days: u32) -> Losses {
    let session = task.state.session();
    let work = match seen {
        Seen::Found(Look::Work(work)) => work.clone(),
        Seen::Nothing | Seen::Found(_) | Seen::Unknown(_) => Work::default(),
    };
    let background = session.map_or(0, background);
    let turn_running = session.is_some_and(|it| turn_runs(it, background));
    let mut losses = Losses {
        turn_running,
        background,
        viewers: session.map_or(0, |it| it.viewers),
        dirty_files: work.dirty_files,
        dirty: work.dirty.clone(),
        unpushed_commits: work.unpushed,
        unseen: unseen(seen),
        ..Losses::default()
    };
    let has_workspace = !matches!(seen, Seen::Nothing | Seen::Found(Look::Gone));
    losses.goes = goes(task, &losses);
    losses.stays = stays(task, &losses, has_workspace);
    losses.purge_goes = purge_goes(task, &work, has_workspace);
    losses.purge_stays = purge_stays(task, &work, has_workspace);
    losses.purge_stays.extend(checkpoints(task, has_workspace, days));
    losses
}

/// Tells whether a turn of the session runs, or has left something running.
pub fn runs(session: &Session) -> bool {
    let background = background(session);
    background != 0 || turn_runs(session, background)
}

fn background(session: &Session) -> u32 {
    match session.evidence.turn.as_ref().map(|it| &it.what) {
        Some(Turn::Ended { background }) => *background,
        _ => 0,
    }
}

fn turn_runs(session: &Session, background: u32) -> bool {
    let evidence = &session.evidence;
    let begun = evidence.turn.as_ref().is_some_and(|it| it.what == Turn::Working);
    let busy = evidence.registry.as_ref().is_some_and(|it| it.what.status == RegistryStatus::Busy);
    match session.verdict().activity {
        Activity::Starting => true,
        Activity::Working => background == 0 || busy,
        Activity::NeedsPermission | Activity::NeedsInput | Activity::Unknown => begun,
        Activity::Idle | Activity::FailedTurn => false,
    }
}

fn unseen(seen: &Seen) -> Option<String> {
    match seen {
        Seen::Nothing | Seen::Found(Look::Work(_)) => None,
        Seen::Found(Look::Gone) => Some("the workspace is gone".into()),
        Seen::Found(Look::NoRepository) => Some("the workspace is no git repository".into()),
        Seen::Unknown(why) => Some(one_line(why, TOLD_MAX)),
    }
}

fn goes(task: &Task, losses: &Losses) -> Vec<String> {
    let mut goes = Vec::new();
    if task.state.session().is_none() {
        if !task.state.is_final() {
            goes.push("its place in the queue".into());
        }
        return goes;
    }
    if losses.turn_running {
        goes.push("the turn that runs, and what Claude was going to do".into());
    }
    if losses.background != 0 {
        let tasks = count(losses.background, "background task", "background tasks");
        goes.push(format!("{tasks} of Claude's"));
    }
    if losses.viewers != 0 {
        goes.push(format!(
            "the terminal of {} attached",
            count(losses.viewers, "person", "people")
        ));
    }
    goes
}

fn stays(task: &Task, losses: &Losses, has_workspace: bool) -> Vec<String> {
    let mut stays = Vec::new();
    let place = task.place.as_ref();
    if let Some(workspace) = place.and_then(|it| it.workspace.as_ref()).filter(|_| has_workspace) {
        let mut line = format!("the workspace {}", one_line(workspace.as_str(), TOLD_MAX));
        if losses.dirty_files != 0 {
            let files = count(losses.dirty_files, "uncommitted file", "uncommitted files");
            line.push_str(&format!(", with {files}"));
        }
        stays.push(line);
    }
    if let Some(branch) = place.and_then(|it| it.branch.as_ref()) {
        let mut line = format!("the branch {}", one_line(branch, TOLD_MAX));
        if let Some(unpushed @ 1..) = losses.unpushed_commits {
            line.push_str(&format!(", with {} on no remote", commits(unpushed)));
        }
        stays.push(line);
    }
    if task.conversation.is_some() {
        stays.push(format!(
            "the conversation: parhelia task retry --resume {} goes on with it",
            task.id
        ));
    }
    if task.state.session().is_some() && has_workspace {
        stays.push("all of it as it is now: a checkpoint is made first".into());
    }
    stays
}

/// What is said of the checkpoints of a task that is deleted.
fn checkpoints(task: &Task, has_workspace: bool, days: u32) -> Option<String> {
    let days = count(days, "day", "days");
    match (task.kept.count, has_workspace) {
        (0, false) => None,
        (0, true) => Some(format!("a checkpoint, made first, for {days}")),
        (_, true) => Some(format!("its checkpoints, one made first among them, for {days}")),
        (_, false) => Some(format!("its checkpoints, for {days}")),
    }
}

fn purge_goes(task: &Task, work: &Work, has_workspace: bool) -> Vec<String> {
    let mut goes = vec!["the task with its prompt and its answer".to_owned()];
    if task.usage.model.dollars() != 0.0 {
        goes.push(format!("its {} in the sum of what was spent", task.usage.model));
    }
    let place = task.place.as_ref();
    if let Some(run_dir) = place.and_then(|it| it.run_dir.as_ref()) {
        goes.push(format!("the directory {}", one_line(run_dir.as_str(), TOLD_MAX)));
    }
    if !is_ours(task) || !has_workspace {
        return goes;
    }
    goes.push("the workspace in it, with what git ignores there".into());
    if work.nested != 0 {
        goes.push(format!(
            "{} in the workspace; with work of its own that no remote has, it refuses",
            count(work.nested, "repository", "repositories")
        ));
    }
    if task.spec.isolation == Isolation::Clone && work.elsewhere != 0 {
        goes.push(format!("{} on other branches and stashes", commits(work.elsewhere)));
    }
    goes
}

fn purge_stays(task: &Task, work: &Work, has_workspace: bool) -> Vec<String> {
    let mut stays = Vec::new();
    let place = task.place.as_ref();
    if is_ours(task) && has_workspace {
        let branch = if work.on_branch { "the branch" } else { "a branch" };
        if work.dirty_files != 0 {
            let files = count(work.dirty_files, "uncommitted file", "uncommitted files");
            stays.push(format!("{files}, committed to {branch} first"));
        }
        if !work.on_branch && work.stray != 0 {
            let commits = commits(work.stray);
            stays.push(format!("{commits} on no branch, by a branch made for what is checked out"));
        }
        let source = one_line(task.spec.workspace.as_str(), TOLD_MAX);
        if let Some(branch) = place.and_then(|it| it.branch.as_ref()) {
            let branch = one_line(branch, TOLD_MAX);
            stays.push(format!("the commits of {branch}, in {source}"));
        }
    } else if let Some(workspace) = place.and_then(|it| it.workspace.as_ref())
        && !is_ours(task)
    {
        let workspace = one_line(workspace.as_str(), TOLD_MAX);
        stays.push(format!("{workspace}, which is not touched"));
    }
    if task.conversation.is_some() {
        stays.push("the transcript, in Claude's own directory".into());
    }
    stays.push("its events".into());
    stays
}

/// Whether the workspace was made for the task and goes with it.
fn is_ours(task: &Task) -> bool {
    task.place.as_ref().is_some_and(|it| it.branch.is_some())
}

fn commits(number: u32) -> String {
    count(number, "commit", "commits")
}

fn count(number: u32, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::types::CreateTask,
        config::settings::Settings,
        dispatcher::create,
        domain::{
            ids::{HostPath, WorkerId},
            task::Place,
        },
        stdx::time::Timestamp,
    };

    fn placed(isolation: Isolation) -> Task {
        let request = CreateTask {
            prompt: "p".into(),
            workspace: "/w".into(),
            isolation: Some(isolation),
            ..CreateTask::default()
        };
        let mut task = create::task(&request, &Settings::default(), Timestamp(0)).unwrap();
        let path = |it: &str| HostPath::new(it).unwrap();
        task.place = Some(Place {
            worker: WorkerId::random(),
            provider: "local".into(),
            run_dir: Some(path("/r")),
            workspace: Some(path("/r/workspace")),
            branch: Some("parhelia/x".into()),
        });
        task
    }

    #[test]
    fn a_host_that_does_not_answer_leaves_what_is_known_without_it() {
        let task = placed(Isolation::Worktree);
        let losses = of(&task, &Seen::Unknown("far\x1b away does not answer".into()), 30);
        assert_eq!(losses.unseen.as_deref(), Some("far\u{fffd} away does not answer"));
        assert_eq!(losses.stays, ["the workspace /r/workspace", "the branch parhelia/x"]);
        assert_eq!(
            losses.purge_stays,
            [
                "the commits of parhelia/x, in /w",
                "its events",
                "a checkpoint, made first, for 30 days"
            ]
        );
        assert_eq!(
            losses.purge_goes[1..],
            ["the directory /r", "the workspace in it, with what git ignores there"]
        );
    }

    #[test]
    fn a_clone_keeps_its_head_and_loses_its_other_branches() {
        let work = Work {
            on_branch: false,
            dirty_files: 2,
            unpushed: Some(1),
            stray: 1,
            elsewhere: 3,
            ..Work::default()
        };
        let losses = of(&placed(Isolation::Clone), &Seen::Found(Look::Work(work)), 30);
        assert_eq!(losses.stays[1], "the branch parhelia/x, with 1 commit on no remote");
        assert_eq!(losses.purge_stays[0], "2 uncommitted files, committed to a branch first");
        let last = losses.purge_goes.last().unwrap();
        assert_eq!(last, "3 commits on other branches and stashes");
    }
}
