use super::*;
use crate::tui::{
    fixture::{fleet, press, screen, send, type_text, with_tasks},
    model,
    msg::Msg,
    popup::Kind,
};

const TASK: &str = "task-cccc2222";

fn losses() -> Losses {
    Losses {
        turn_running: true,
        background: 0,
        viewers: 1,
        dirty_files: 2,
        dirty: vec!["src/a.rs".into(), "src/\u{1b}[2Jb.rs".into()],
        unpushed_commits: Some(3),
        unseen: None,
        stays: vec!["workspace and branch".into(), "the conversation".into()],
        goes: vec!["the session and what it shows".into()],
        purge_stays: vec!["commits on branch parhelia/x".into()],
        purge_goes: vec!["the run directory".into()],
    }
}

fn open(cols: u16, rows: u16, make: impl Fn(&Shared) -> Model) -> model::Model {
    let mut model = with_tasks(cols, rows, fleet());
    let popup = make(&model.shared);
    let effects = crate::tui::update::open_for_test(&mut model, Kind::Confirm(popup));
    for it in effects {
        if let Effect::Ask { id, ask: Ask::Request(Request::Losses { .. }) } = it {
            let result = Ok(Reply::Losses(Box::new(losses())));
            send(&mut model, Msg::Answered { id, result });
        }
    }
    model
}

fn asked(effects: &[Effect]) -> Vec<String> {
    let ask = |it: &Effect| match it {
        Effect::Ask { ask: Ask::Request(it), .. } => Some(format!("{it:?}")),
        _ => None,
    };
    effects.iter().filter_map(ask).collect()
}

#[test]
fn enter_alone_kills_nothing() {
    let mut model = open(120, 36, |it| Model::kill(it, vec![TASK.into()]));
    assert_eq!(asked(&press(&mut model, &["enter"])), [""; 0]);
    assert!(model.popups.is_empty());
}

#[test]
fn killing_asks_once_and_can_be_undone() {
    let mut model = open(120, 36, |it| Model::kill(it, vec![TASK.into()]));
    let effects = press(&mut model, &["y"]);
    assert_eq!(asked(&effects), [format!("Stop {{ id: {TASK:?} }}")]);
    let Some(Effect::Ask { id, .. }) = effects.iter().find(|it| matches!(it, Effect::Ask { .. }))
    else {
        panic!("nothing asked")
    };
    let task = Box::new(crate::tui::fixture::finished("cccc2222", "train-small-lm", "KILLED"));
    send(&mut model, Msg::Answered { id: *id, result: Ok(Reply::Task(task)) });
    let back = asked(&press(&mut model, &["z"]));
    assert_eq!(back.len(), 1);
    assert!(back[0].starts_with("Resume {"), "{back:?}");
}

#[test]
fn deleting_takes_the_whole_name() {
    let mut model = open(120, 36, |it| Model::purge(it, TASK.into()));
    type_text(&mut model, "train");
    assert_eq!(asked(&press(&mut model, &["enter"])), [""; 0]);
    assert_eq!(model.popups.len(), 1);
    type_text(&mut model, "-small-lm");
    let effects = press(&mut model, &["enter"]);
    assert_eq!(asked(&effects), [format!("Delete {{ id: {TASK:?} }}")]);
}

#[test]
fn recovering_offers_what_the_task_admits() {
    for (task, wanted) in [("task-kkkk2222", "Retry"), ("task-cccc2222", "Prompt")] {
        let mut model = open(120, 36, |it| Model::recover(it, task.into()));
        let asked = asked(&press(&mut model, &["enter"]));
        assert!(asked[0].starts_with(wanted), "{asked:?}");
    }
}

#[test]
fn questions_look_right() {
    for (cols, rows) in [(80, 24), (120, 36), (200, 50), (20, 5)] {
        let name = |it: &str| format!("{it}-{cols}x{rows}");
        let model = open(cols, rows, |it| Model::kill(it, vec![TASK.into()]));
        insta::assert_snapshot!(name("kill"), screen(&model));
        let model = open(cols, rows, |it| Model::purge(it, TASK.into()));
        insta::assert_snapshot!(name("purge"), screen(&model));
        let all = fleet().into_iter().map(|it| it.id).collect::<Vec<_>>();
        let model = open(cols, rows, |it| Model::kill(it, all.clone()));
        insta::assert_snapshot!(name("kill-many"), screen(&model));
        let model = open(cols, rows, |it| Model::recover(it, "task-kkkk2222".into()));
        insta::assert_snapshot!(name("recover"), screen(&model));
    }
}

#[test]
fn no_size_panics() {
    for cols in 1..30 {
        for rows in 1..12 {
            screen(&open(cols, rows, |it| Model::purge(it, TASK.into())));
            screen(&open(cols, rows, |it| Model::kill(it, vec![TASK.into()])));
        }
    }
}
