use super::*;
use crate::{
    api::types::CreateTask,
    config::settings::Settings,
    dispatcher::create,
    domain::{
        budget::Scope,
        checkpoint::{Change, Trigger},
        event::Tokens,
        ids::{CheckpointId, HostPath, WorkerId},
        state::{ParkCause, Session},
        task::Place,
        usd::Usd,
    },
};

const NOW: Timestamp = Timestamp(10 * 60_000);

fn path(text: &str) -> HostPath {
    HostPath::new(text).unwrap()
}

/// A task with its own work tree that had a conversation.
fn task(state: TaskState) -> Task {
    let request =
        CreateTask { prompt: "p".into(), workspace: "/w".into(), ..CreateTask::default() };
    let mut task = create::task(&request, &Settings::default(), Timestamp(0)).unwrap();
    task.place = Some(Place {
        worker: WorkerId::random(),
        provider: "local".into(),
        run_dir: Some(path("/r")),
        workspace: Some(path("/r/workspace")),
        branch: Some("parhelia/x".into()),
    });
    task.conversation = Some("c".into());
    task.usage.model = Usd(420_000);
    task.usage.turns = 3;
    task.state = state;
    task
}

fn checkpoint(task: &Task) -> Checkpoint {
    Checkpoint {
        id: "cp-aaaaaaaa".parse::<CheckpointId>().unwrap(),
        task: task.id.clone(),
        task_name: task.name.clone(),
        at: Timestamp(5 * 60_000),
        trigger: Trigger::Turn,
        label: None,
        pinned: false,
        commit: "0".repeat(40),
        parent: None,
        provider: "local".into(),
        workspace: path("/r/workspace"),
        change: Change::default(),
        files: 3,
        bytes: 30,
        left_out: 0,
        stored: Some(1),
        damage: None,
        conversation: Some("c".into()),
        branch: Some("parhelia/x".into()),
        head: Some("1".repeat(40)),
        turns: 3,
        tokens: Tokens::default(),
        cost: Usd::ZERO,
    }
}

fn all() -> Sight {
    Sight {
        workspace: true,
        linked: true,
        written: true,
        branch: true,
        transcript: Some(path("/c/projects/x/c.jsonl")),
        ..Sight::default()
    }
}

fn lost() -> TaskState {
    let detail = "its tmux server was killed".into();
    let reason = FailReason::SessionLost { detail };
    TaskState::Failed { at: Timestamp(8 * 60_000), reason, session: None }
}

/// Returns the reason, the pieces and the ways as lines.
fn told(state: TaskState, sight: Result<Sight, &str>, saved: bool) -> String {
    let task = task(state);
    let last = checkpoint(&task);
    let known =
        Known { task: &task, sight: sight.map_err(str::to_owned), last: saved.then_some(&last) };
    let Recovery { reason, pieces, ways, .. } = known.recovery(NOW);
    let mut lines = vec![reason];
    for Piece { name, state, ok } in pieces.iter().take(4) {
        lines.push(format!("{} {name}: {state}", if *ok { '+' } else { '-' }));
    }
    for Way { does, text, checkpoint } in ways {
        let with = checkpoint.map(|it| format!(" [{it}]")).unwrap_or_default();
        lines.push(format!("{does:?}{with}: {text}"));
    }
    lines.join("\n")
}

#[test]
fn a_lost_session_goes_on_where_it_was() {
    insta::assert_snapshot!(told(lost(), Ok(all()), true), @r"
    the session was lost 2m ago: its tmux server was killed
    - session: gone
    + workspace: there
    + conversation: there
    + branch: there
    Resume: go on with its conversation, in its workspace as it is
    RestoreResume [cp-aaaaaaaa]: go back to cp-aaaaaaaa (5m ago): workspace and conversation as they were then
    Fresh: begin again with its prompt, without the conversation
    ");
}

#[test]
fn what_is_missing_comes_from_the_checkpoint() {
    let none = Sight { branch: true, ..Sight::default() };
    insta::assert_snapshot!(told(lost(), Ok(none), true), @r"
    the session was lost 2m ago: its tmux server was killed
    - session: gone
    + workspace: gone, in cp-aaaaaaaa (5m ago)
    + conversation: gone, in cp-aaaaaaaa (5m ago)
    + branch: there
    RestoreResume: put back the workspace and the conversation from cp-aaaaaaaa (5m ago), then go on with its conversation
    Fresh: begin again with its prompt, without the conversation
    ");
    let empty = Sight { empty: true, written: false, ..all() };
    insta::assert_snapshot!(told(lost(), Ok(empty), true), @r"
    the session was lost 2m ago: its tmux server was killed
    - session: gone
    + workspace: gone, in cp-aaaaaaaa (5m ago)
    + conversation: gone, in cp-aaaaaaaa (5m ago)
    + branch: there
    RestoreResume: put back the workspace and the conversation from cp-aaaaaaaa (5m ago), then go on with its conversation
    Fresh: begin again with its prompt, without the conversation
    ");
}

#[test]
fn without_a_checkpoint_the_rest_is_offered() {
    let no_talk = Sight { written: false, ..all() };
    insta::assert_snapshot!(told(lost(), Ok(no_talk), false), @r"
    the session was lost 2m ago: its tmux server was killed
    - session: gone
    + workspace: there
    - conversation: gone, and in no checkpoint
    + branch: there
    Fresh: begin again with its prompt, without the conversation
    ");
    let no_files = Sight { workspace: false, linked: false, ..all() };
    insta::assert_snapshot!(told(lost(), Ok(no_files), false), @r"
    the session was lost 2m ago: its tmux server was killed
    - session: gone
    - workspace: gone, and in no checkpoint
    + conversation: there
    + branch: there
    Resume: go on with its conversation, in a new work tree on its branch
    Fresh: begin again with its prompt, without the conversation
    ");
}

#[test]
fn a_host_that_does_not_answer_is_waited_for() {
    insta::assert_snapshot!(told(lost(), Err("far does not answer"), true), @r"
    the session was lost 2m ago: its tmux server was killed
    - session: gone
    - workspace: not known: far does not answer
    - conversation: not known: far does not answer
    - branch: not known: far does not answer
    Wait: wait until its host answers again: its files are there
    ");
    let mut session = Session::new(1, "c".into(), Timestamp(0));
    session.contact = Contact::Unreachable { since: Timestamp(60_000) };
    let state = TaskState::Running { since: Timestamp(0), session };
    insta::assert_snapshot!(told(state, Err("far does not answer"), true), @r"
    its host has not answered for 9m
    - session: not known: its host does not answer
    - workspace: not known: far does not answer
    - conversation: not known: far does not answer
    - branch: not known: far does not answer
    Wait: wait until its host answers again: the session may well be alive there
    ");
}

#[test]
fn a_session_that_lives_is_attached_to() {
    let session = Session::new(1, "c".into(), Timestamp(0));
    let state = TaskState::Running { since: Timestamp(0), session };
    insta::assert_snapshot!(told(state, Ok(all()), true), @r"
    nothing happened: its session is open
    + session: there
    + workspace: there
    + conversation: there
    + branch: there
    Attach: attach to its session, which is alive
    ");
}

#[test]
fn a_parked_task_is_resumed() {
    let at = Timestamp(9 * 60_000);
    let (spent, ceiling) = (Usd(5_020_000), Usd(5_000_000));
    let why = ParkCause::OverCeiling { scope: Scope::Task, spent, ceiling };
    let told = told(TaskState::Parked { at, why }, Ok(all()), false);
    let lines: Vec<&str> = told.lines().map(str::trim).filter(|it| !it.is_empty()).collect();
    assert_eq!(lines[0], "it was parked 1m ago: task ceiling $5.00 reached (spent $5.02)");
    let ways: Vec<&&str> = lines.iter().filter(|it| !it.starts_with(['+', '-'])).collect();
    assert_eq!(*ways[1], "Resume: go on with its conversation, in its workspace as it is");
}

#[test]
fn a_kill_is_told_as_one() {
    let at = Timestamp(9 * 60_000);
    let state = TaskState::Killed { at, cause: StopCause::Person };
    insta::assert_snapshot!(told(state, Ok(all()), false), @r"
    it was killed by a person 1m ago
    - session: gone
    + workspace: there
    + conversation: there
    + branch: there
    Resume: go on with its conversation, in its workspace as it is
    Fresh: begin again with its prompt, without the conversation
    ");
}
