use super::*;
use crate::{
    api::types::Sent,
    tui::{
        effect::Effect,
        fixture::{fleet, press, screen, send, task, type_text, with_tasks},
        model,
        msg::{Msg, RequestId},
        popup::Kind,
        update::open_for_test,
    },
};

fn open(cols: u16, rows: u16, tasks: &[&str]) -> model::Model {
    let mut model = with_tasks(cols, rows, fleet());
    let tasks = tasks.iter().map(|it| format!("task-{it}")).collect();
    let popup = Model::new(&model.shared, tasks);
    open_for_test(&mut model, Kind::Prompt(popup));
    model
}

fn prompts(effects: &[Effect]) -> Vec<(RequestId, String, String)> {
    let prompt = |it: &Effect| match it {
        Effect::Ask { id, ask: Ask::Request(Request::Prompt { id: task, text }) } => {
            Some((*id, task.clone(), text.clone()))
        }
        _ => None,
    };
    effects.iter().filter_map(prompt).collect()
}

fn say(model: &mut model::Model, id: RequestId, outcome: Delivery) {
    let task = task("gggg2222", "review-pr-812");
    let sent = Sent { outcome, detail: "a dialog is open".into(), task };
    send(model, Msg::Answered { id, result: Ok(Reply::Sent(Box::new(sent))) });
}

#[test]
fn it_stays_until_all_have_it_and_is_sent_again_only_where_it_did_not_arrive() {
    let mut model = open(120, 36, &["gggg2222", "hhhh2222"]);
    type_text(&mut model, "go on");
    press(&mut model, &["alt-enter", "x"]);
    let sent = prompts(&press(&mut model, &["enter"]));
    assert_eq!(sent.len(), 2);
    assert_eq!((&*sent[1].1, &*sent[1].2), ("task-hhhh2222", "go on\nx"));
    assert_eq!(prompts(&press(&mut model, &["enter"])), []);
    say(&mut model, sent[0].0, Delivery::Submitted);
    say(&mut model, sent[1].0, Delivery::NotDelivered);
    let shown = screen(&model);
    assert!(shown.contains("sql-indexes: not delivered: a dialog is open"), "{shown}");
    assert!(shown.contains("review-pr-812: submitted"), "{shown}");
    let again = prompts(&press(&mut model, &["enter"]));
    assert_eq!(again.iter().map(|it| &*it.1).collect::<Vec<_>>(), ["task-hhhh2222"]);
    say(&mut model, again[0].0, Delivery::Submitted);
    assert!(model.popups.is_empty());
}

#[test]
fn what_was_only_typed_is_not_typed_twice() {
    let mut model = open(120, 36, &["gggg2222"]);
    type_text(&mut model, "go on");
    let sent = prompts(&press(&mut model, &["enter"]));
    say(&mut model, sent[0].0, Delivery::Typed);
    assert_eq!(prompts(&press(&mut model, &["enter"])), []);
}

#[test]
fn nothing_is_not_sent() {
    let mut model = open(120, 36, &["gggg2222"]);
    assert_eq!(prompts(&press(&mut model, &["space", "enter"])), []);
}

#[test]
fn no_size_panics() {
    for cols in 1..30 {
        for rows in 1..12 {
            let mut model = open(cols, rows, &["gggg2222", "hhhh2222"]);
            press(&mut model, &["x", "enter"]);
            screen(&model);
        }
    }
}
