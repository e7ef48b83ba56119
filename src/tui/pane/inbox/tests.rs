use super::*;
use crate::{
    api::{
        types::{EventView, Sent as SentView},
        view::TaskView,
    },
    domain::event::EventBody,
    tui::{
        effect::Effect,
        fixture::{
            NOW, ask, budget, finished, fleet, popup_screen, press, requests, screen, send,
            type_text, with_tasks,
        },
        model,
        msg::{Feed, Msg},
    },
};

fn open(cols: u16, rows: u16, tasks: Vec<TaskView>) -> model::Model {
    let mut model = with_tasks(cols, rows, tasks);
    press(&mut model, &["6"]);
    model
}

fn answers(effects: &[Effect]) -> Vec<(String, String)> {
    let answer = |it: &Effect| match it {
        Effect::Ask { ask: Ask::Request(Request::Answer { id, answer }), .. } => {
            let message = answer.message.iter().map(|it| format!(" {it}")).collect::<String>();
            Some((id.clone(), format!("{}{message}", answer.words)))
        }
        _ => None,
    };
    effects.iter().filter_map(answer).collect()
}

fn said(task: &str, words: &str) -> Vec<(String, String)> {
    vec![(format!("task-{task}"), words.to_owned())]
}

fn put(model: &mut model::Model, task: TaskView) {
    let body = EventBody::Queued;
    let (id, kind, text) = (task.id.clone(), "queued".into(), String::new());
    let view = Some(Box::new(task));
    let event = EventView { seq: 9, at: NOW, task: id, kind, text, body, view };
    send(model, Msg::Feed(Feed::Event(Box::new(event))));
}

fn question() -> TaskView {
    let mut task = fleet().remove(1);
    task.asks[0].kind = "question".into();
    task.asks[0].options = vec!["keep".into(), "replace".into()];
    task
}

#[test]
fn digits_choose_and_only_enter_sends() {
    let mut model = open(120, 36, vec![question()]);
    assert_eq!(answers(&type_text(&mut model, "2")), []);
    assert_eq!(answers(&press(&mut model, &["enter"])), said("bbbb2222", "2"));
    // It is on its way: nothing is sent twice.
    assert_eq!(answers(&press(&mut model, &["enter", "n"])), []);
}

#[test]
fn yes_no_and_words() {
    let task = || vec![fleet().remove(0)];
    let mut model = open(120, 36, task());
    assert_eq!(answers(&press(&mut model, &["y"])), said("aaaa2222", "yes"));
    let mut model = open(120, 36, task());
    assert_eq!(answers(&press(&mut model, &["n"])), said("aaaa2222", "no"));
    let mut model = open(120, 36, task());
    press(&mut model, &["p"]);
    type_text(&mut model, "use trash 1");
    assert_eq!(answers(&press(&mut model, &["enter"])), said("aaaa2222", "no use trash 1"));
}

#[test]
fn marked_questions_of_one_sort_are_answered_together() {
    let mut tasks: Vec<TaskView> = fleet().into_iter().take(2).collect();
    let mut model = open(120, 36, tasks.clone());
    press(&mut model, &["space", "space"]);
    assert_eq!(answers(&press(&mut model, &["y"])).len(), 2);
    tasks[1] = question();
    let mut model = open(120, 36, tasks);
    press(&mut model, &["space", "space"]);
    assert_eq!(answers(&press(&mut model, &["y"])), []);
}

#[test]
fn an_answer_is_acknowledged_on_its_row_and_the_row_goes_with_the_question() {
    let mut model = open(120, 36, vec![fleet().remove(0)]);
    let effects = press(&mut model, &["y"]);
    let asked = |it: &Effect| match it {
        Effect::Ask { id, .. } => Some(*id),
        _ => None,
    };
    let id = effects.iter().find_map(asked).unwrap();
    let sent =
        SentView { outcome: Delivery::Submitted, detail: String::new(), task: fleet().remove(0) };
    send(&mut model, Msg::Answered { id, result: Ok(Reply::Sent(Box::new(sent))) });
    assert!(screen(&model).contains("submitted"), "{}", screen(&model));
    let mut task = fleet().remove(0);
    task.asks.clear();
    task.activity = Some(crate::domain::activity::Activity::Working);
    put(&mut model, task);
    assert!(screen(&model).contains("nothing needs you"), "{}", screen(&model));
}

#[test]
fn a_new_row_does_not_move_the_selection() {
    let mut model = open(120, 36, vec![question()]);
    type_text(&mut model, "2");
    let mut older = fleet().remove(0);
    older.asks = vec![crate::api::view::AskView {
        since: crate::stdx::time::Timestamp(1),
        ..ask("main.7", "rm -rf build/")
    }];
    put(&mut model, older);
    assert_eq!(model.inbox.rows.len(), 2);
    assert_eq!(answers(&press(&mut model, &["enter"])), said("bbbb2222", "2"));
}

#[test]
fn it_looks_right() {
    for (cols, rows) in [(80, 24), (120, 36), (200, 50), (20, 5)] {
        let mut tasks = fleet();
        tasks[1] = question();
        insta::assert_snapshot!(format!("inbox-{cols}x{rows}"), screen(&open(cols, rows, tasks)));
    }
}

#[test]
fn no_size_panics() {
    for cols in 1..70 {
        for rows in 1..20 {
            let mut model = open(cols, rows, fleet());
            press(&mut model, &["f", "p"]);
            screen(&model);
        }
    }
}

#[test]
fn warnings_of_money_are_rows_with_what_to_do() {
    let parked = finished("pppp2222", "refactor-orm", "PARKED");
    let mut model = open(200, 50, vec![parked]);
    send(&mut model, Msg::Feed(Feed::Budget(Box::new(budget(12.0)))));
    assert!(!screen(&model).contains("is spent"), "{}", screen(&model));
    send(&mut model, Msg::Feed(Feed::Budget(Box::new(budget(26.37)))));
    let shown = screen(&model);
    assert!(shown.contains("87% of $30.00 is spent") && shown.contains("parked:"), "{shown}");
    // The parked one goes on by u; e sets what it may cost.
    let sent = requests(&press(&mut model, &["u"]));
    assert_eq!(sent[0].1, "Unpark { id: \"task-pppp2222\" }");
    press(&mut model, &["e"]);
    assert!(popup_screen(&model).contains("may cost"), "{}", popup_screen(&model));
    press(&mut model, &["esc"]);
    // The row stays where it is while its figures change; e raises the ceiling in the budget.
    press(&mut model, &["G"]);
    send(&mut model, Msg::Feed(Feed::Budget(Box::new(budget(31.0)))));
    assert!(
        screen(&model).contains("103% of $30.00 is spent: nothing begins"),
        "{}",
        screen(&model)
    );
    press(&mut model, &["e"]);
    assert_eq!(model.place.focus, Panel::Budget);
    assert!(crate::tui::pane::budget::typing(&model.budget));
}
