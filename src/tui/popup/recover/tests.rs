//! The ways back, and what is chosen of them.

use super::*;
use crate::{
    api::{
        checkpoints::{Piece, Way},
        error::ErrorKind,
        types::EventView,
    },
    domain::{checkpoint::Trigger, event::EventBody},
    tui::{
        fixture::{NOW, answer, checkpoint, fleet, press, requests, screen, send, with_tasks},
        model::Model as Dashboard,
        msg::{Feed, Msg},
        update::update,
    },
};

/// Returns a dashboard that asks how a task can be brought back, and what it asked.
fn open(cols: u16, rows: u16, task: &str) -> (Dashboard, Vec<Effect>) {
    let mut model = with_tasks(cols, rows, fleet());
    model.shared.selected = Some(task.to_owned());
    press(&mut model, &["1"]);
    let effects = press(&mut model, &["r"]);
    (model, effects)
}

fn recovery(first: WayDoes) -> Recovery {
    let piece = |name: &str, state: &str, ok| Piece { name: name.into(), state: state.into(), ok };
    let way = |does, text: &str| Way { does, text: text.into(), checkpoint: None };
    Recovery {
        task: "task-kkkk2222".into(),
        reason: "killed by a person at 14:02".into(),
        last: Some(checkpoint("gggg2222", 31, Trigger::BeforeKill)),
        pieces: vec![
            piece("session", "gone", false),
            piece("workspace", "gone, in cp-gggg2222 of 14:01", true),
            piece("conversation", "there\u{1b}[2J", true),
        ],
        ways: vec![
            way(first, "Put the workspace back, then go on with the conversation"),
            way(WayDoes::Fresh, "Begin again with the task's prompt"),
        ],
    }
}

fn asked(effects: &[Effect]) -> Vec<String> {
    requests(effects).into_iter().map(|it| it.1).collect()
}

#[test]
fn it_looks_right() {
    for (cols, rows) in [(80, 24), (120, 36), (200, 50), (20, 5)] {
        let (mut model, effects) = open(cols, rows, "task-kkkk2222");
        let found = Reply::Recovery(Box::new(recovery(WayDoes::RestoreResume)));
        answer(&mut model, &effects, found);
        insta::assert_snapshot!(format!("recover-{cols}x{rows}"), screen(&model));
    }
}

#[test]
fn going_back_to_a_checkpoint_is_undone_by_one_key() {
    let restored = |safety: Option<&str>| {
        let body = EventBody::Restored {
            checkpoint: "cp-gggg2222".parse().unwrap(),
            safety: safety.map(|it| it.parse().unwrap()),
            workspace: crate::domain::ids::HostPath::new("/w").unwrap(),
            files: 2,
            conversation: None,
        };
        let event = EventView {
            seq: 9,
            at: NOW,
            task: "task-kkkk2222".into(),
            kind: body.kind().to_owned(),
            text: String::new(),
            body,
            view: None,
        };
        Msg::Feed(Feed::Event(Box::new(event)))
    };
    let (mut model, effects) = open(80, 24, "task-kkkk2222");
    // What somebody else restores is not undone here.
    send(&mut model, restored(Some("cp-hhhh2222")));
    assert_eq!(asked(&press(&mut model, &["z"])), [""; 0]);
    let mut found = recovery(WayDoes::RestoreResume);
    found.ways[0].checkpoint = Some("cp-gggg2222".into());
    answer(&mut model, &effects, Reply::Recovery(Box::new(found)));
    press(&mut model, &["enter"]);
    send(&mut model, restored(Some("cp-hhhh2222")));
    let back = asked(&press(&mut model, &["z"]));
    assert!(back[0].starts_with("Restore { id: \"cp-hhhh2222\""), "{back:?}");
    // Once.
    send(&mut model, restored(Some("cp-iiii2222")));
    assert_eq!(asked(&press(&mut model, &["z"])), [""; 0]);
}

#[test]
fn enter_takes_the_recommended_way() {
    for (does, wanted) in [
        (WayDoes::RestoreResume, "Resume { id: \"task-kkkk2222\""),
        (WayDoes::Resume, "Resume { id: \"task-kkkk2222\""),
        (WayDoes::Fresh, "Retry { id: \"task-kkkk2222\""),
        (WayDoes::Wait, "Task { id: \"task-kkkk2222\""),
    ] {
        let (mut model, effects) = open(80, 24, "task-kkkk2222");
        assert_eq!(asked(&effects), ["Recovery { id: \"task-kkkk2222\" }"]);
        // Nothing is done before it is known what can be.
        assert_eq!(asked(&press(&mut model, &["enter"])), [""; 0]);
        answer(&mut model, &effects, Reply::Recovery(Box::new(recovery(does))));
        let effects = press(&mut model, &["enter"]);
        assert!(asked(&effects)[0].starts_with(wanted), "{does:?}: {effects:?}");
        assert!(model.popups.is_empty());
    }
    let (mut model, effects) = open(80, 24, "task-kkkk2222");
    let mut found = recovery(WayDoes::RestoreResume);
    found.ways[0].checkpoint = Some("cp-gggg2222".into());
    answer(&mut model, &effects, Reply::Recovery(Box::new(found)));
    let asked_for = asked(&press(&mut model, &["j", "k", "enter"]));
    assert!(asked_for[0].contains("checkpoint: Some(\"cp-gggg2222\")"), "{asked_for:?}");
    let (mut model, effects) = open(80, 24, "task-kkkk2222");
    answer(&mut model, &effects, Reply::Recovery(Box::new(recovery(WayDoes::Resume))));
    assert_eq!(asked(&press(&mut model, &["esc"])), [""; 0]);
}

#[test]
fn a_session_whose_turn_failed_is_asked_to_go_on() {
    let mut model = with_tasks(80, 24, fleet());
    let mut task = (**model.shared.replica.task("task-cccc2222").unwrap()).clone();
    task.activity = Some(Activity::FailedTurn);
    model.shared.replica.put(task);
    model.shared.selected = Some("task-cccc2222".into());
    press(&mut model, &["1"]);
    let effects = press(&mut model, &["r"]);
    answer(&mut model, &effects, Reply::Recovery(Box::new(recovery(WayDoes::Attach))));
    assert!(asked(&press(&mut model, &["enter"]))[0].starts_with("Prompt"));
}

#[test]
fn without_an_answer_what_is_known_here_is_offered() {
    let (mut model, effects) = open(80, 24, "task-kkkk2222");
    let id = requests(&effects)[0].0;
    let error = ApiError::new(ErrorKind::NotFound, "there is no such page");
    send(&mut model, Msg::Answered { id, result: Err(error) });
    assert!(matches!(model.popups.last().map(|it| &it.kind), Some(Kind::Confirm(_))));
    assert_eq!(model.popups.len(), 1);

    let (mut model, effects) = open(80, 24, "task-kkkk2222");
    let until = NOW.plus(PATIENCE);
    assert!(effects.iter().any(|it| matches!(it, Effect::WakeAt(at) if *at <= until)));
    update(&mut model, Msg::Wake, until);
    assert!(matches!(model.popups.last().map(|it| &it.kind), Some(Kind::Confirm(_))));
    assert_eq!(model.popups.len(), 1);
    assert!(asked(&press(&mut model, &["enter"]))[0].starts_with("Retry"));
}

#[test]
fn no_size_panics() {
    for cols in [1, 2, 5, 20, 60, 61, 90] {
        for rows in [1, 2, 3, 5, 8, 16, 30] {
            let (mut model, effects) = open(cols, rows, "task-kkkk2222");
            screen(&model);
            answer(&mut model, &effects, Reply::Recovery(Box::new(recovery(WayDoes::Resume))));
            screen(&model);
        }
    }
}
