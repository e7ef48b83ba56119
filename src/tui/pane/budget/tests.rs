use super::*;
use crate::{
    api::{
        budget::{CostRow, TaskCosts, TaskTurns, TurnCost, TurnsSum},
        error::ErrorKind,
        view::TokensView,
    },
    tui::{
        effect::{Effect, File},
        fixture::{
            NOW, budget, costs, finished, fleet, popup_screen, press, requests, screen, send,
            sources, type_text, with_tasks,
        },
        model::Model as Dashboard,
        msg::{Feed, Msg, RequestId},
        update::update,
    },
};

/// Returns the panel with costs, and what was asked for.
fn opened(cols: u16, rows: u16) -> Dashboard {
    let mut model = with_tasks(cols, rows, fleet());
    send(&mut model, Msg::Feed(Feed::Budget(Box::new(budget(26.37)))));
    let effects = press(&mut model, &["5"]);
    answer(&mut model, &effects, costs());
    model
}

fn asked(effects: &[Effect]) -> Vec<(RequestId, String)> {
    let mut all = requests(effects);
    all.retain(|it| it.1.starts_with("Costs"));
    all
}

fn answer(model: &mut Dashboard, effects: &[Effect], costs: Costs) {
    let asked = asked(effects);
    assert_eq!(asked.len(), 1, "{asked:?}");
    let result = Ok(Reply::Costs(Box::new(costs)));
    send(model, Msg::Answered { id: asked[0].0, result });
}

fn at(model: &mut Dashboard, ms: i64, msg: Msg) -> Vec<Effect> {
    update(model, msg, Timestamp(NOW.0 + ms))
}

fn frame(spent: f64) -> Msg {
    Msg::Feed(Feed::Budget(Box::new(budget(spent))))
}

#[test]
fn it_shows_ceilings_and_who_burns_most() {
    for (cols, rows) in [(80, 24), (120, 36), (200, 50)] {
        let mut model = opened(cols, rows);
        insta::assert_snapshot!(format!("budget-{cols}x{rows}"), screen(&model));
        press(&mut model, &["f", "j", "j", "j"]);
        if (cols, rows) == (120, 36) {
            insta::assert_snapshot!(format!("budget-full-{cols}x{rows}"), screen(&model));
        }
    }
}

#[test]
fn costs_are_asked_for_when_seen_and_not_too_often() {
    let mut model = with_tasks(80, 24, fleet());
    assert!(asked(&send(&mut model, frame(12.0))).is_empty(), "nobody looks");
    let effects = press(&mut model, &["5"]);
    assert!(asked(&effects)[0].1.contains("Task"), "{effects:?}");
    // Of the moment that the ceilings are of, so that two sums never differ.
    assert!(asked(&effects)[0].1.contains(&format!("to: Some({})", NOW.0)), "{effects:?}");
    // While that is under way nothing more is asked.
    assert!(asked(&at(&mut model, 3000, frame(12.1))).is_empty());
    let id = asked(&effects)[0].0;
    let result = Ok(Reply::Costs(Box::new(costs())));
    let effects = at(&mut model, 3000, Msg::Answered { id, result });
    let id = asked(&effects)[0].0;
    let result = Ok(Reply::Costs(Box::new(costs())));
    at(&mut model, 3010, Msg::Answered { id, result });
    // The money changed again, too soon; then it is asked by itself.
    let effects = at(&mut model, 4000, frame(12.2));
    assert!(asked(&effects).is_empty());
    let wake = Timestamp(NOW.0 + 5000);
    assert!(effects.iter().any(|it| matches!(it, Effect::WakeAt(at) if *at == wake)));
    assert_eq!(asked(&at(&mut model, 5000, Msg::Wake)).len(), 1);
}

#[test]
fn an_answer_to_an_older_question_is_dropped_and_a_failure_is_told() {
    let mut model = with_tasks(80, 24, fleet());
    send(&mut model, frame(12.0));
    let first = asked(&press(&mut model, &["5"]));
    let second = asked(&press(&mut model, &["]"]));
    assert!(
        second[0]
            .1
            .contains(&format!("Some({})", NOW.0 / 86_400_000 * 86_400_000 - 6 * 86_400_000))
    );
    let result = Ok(Reply::Costs(Box::new(costs())));
    send(&mut model, Msg::Answered { id: first[0].0, result });
    assert!(screen(&model).contains("the last 7 days: asking"), "{}", screen(&model));
    let result = Err(ApiError::new(ErrorKind::Store, "the disk is full"));
    send(&mut model, Msg::Answered { id: second[0].0, result });
    assert!(screen(&model).contains("the disk is full"), "{}", screen(&model));
}

#[test]
fn rows_never_move_under_the_cursor() {
    let mut model = opened(80, 24);
    press(&mut model, &["G"]);
    assert_eq!(model.budget.at, Place::Cost("task-zzzz2222".into()));
    let mut next = costs();
    next.rows.swap(0, 3);
    let effects = at(&mut model, 3000, frame(27.0));
    answer(&mut model, &effects, next.clone());
    let order = |it: &Dashboard| it.budget.table.costs().map(|it| it.rows[0].name.clone());
    assert_eq!(order(&model), Some("train-small-lm".into()));
    press(&mut model, &["g"]);
    let effects = at(&mut model, 6000, frame(28.0));
    answer(&mut model, &effects, next);
    assert_eq!(order(&model), Some("deleted-one".into()));
}

#[test]
fn a_ceiling_is_typed_in_its_row() {
    let mut model = opened(120, 36);
    press(&mut model, &["e"]);
    assert!(screen(&model).contains("Enter saves"), "{}", screen(&model));
    // It takes the place of what held.
    type_text(&mut model, "20");
    assert!(screen(&model).contains("! $26.37 is spent"), "{}", screen(&model));
    press(&mut model, &["ctrl-u"]);
    type_text(&mut model, "x");
    assert!(requests(&press(&mut model, &["enter"])).is_empty());
    assert!(screen(&model).contains("! an amount above $0"), "{}", screen(&model));
    press(&mut model, &["ctrl-u"]);
    type_text(&mut model, "50");
    let sent = requests(&press(&mut model, &["enter"]));
    assert!(sent[0].1.contains("scope: \"all\"") && sent[0].1.contains("Some(50.0)"), "{sent:?}");
    send(
        &mut model,
        Msg::Answered { id: sent[0].0, result: Ok(Reply::Budget(Box::new(budget(26.4)))) },
    );
    // What held before was the configuration's word.
    let undone = requests(&press(&mut model, &["z"]));
    assert!(undone[0].1.contains("configured: true"), "{undone:?}");
}

#[test]
fn a_tenth_more_is_shown_before_it_is_saved() {
    let mut model = opened(120, 36);
    assert!(requests(&press(&mut model, &[">", ">"])).is_empty());
    assert!(screen(&model).contains("$36.30"), "{}", screen(&model));
    let sent = requests(&press(&mut model, &["<", "enter"]));
    assert!(sent[0].1.contains("Some(32.67)"), "{sent:?}");
    // On a task it is the task's own, and Esc leaves it.
    press(&mut model, &["j", "j", "j"]);
    press(&mut model, &["e"]);
    type_text(&mut model, "5");
    assert!(requests(&press(&mut model, &["esc"])).is_empty());
    press(&mut model, &["e"]);
    type_text(&mut model, "5");
    let sent = requests(&press(&mut model, &["enter"]));
    assert!(sent[0].1.contains("task-cccc2222"), "{sent:?}");
    // A host without a ceiling has nothing to raise; a task that is gone has no row to type in.
    press(&mut model, &["g", "j", "j", ">"]);
    assert!(model.budget.edit.is_none());
    press(&mut model, &["G", "e"]);
    assert!(model.budget.edit.is_none());
}

#[test]
fn what_is_typed_is_never_out_of_sight() {
    let mut model = opened(120, 36);
    press(&mut model, &["j", "j", "e"]);
    assert!(model.budget.edit.is_some());
    let mut without = budget(26.4);
    without.ceilings.pop();
    at(&mut model, 3000, Msg::Feed(Feed::Budget(Box::new(without))));
    assert!(model.budget.edit.is_none());
}

#[test]
fn over_its_share_is_asked_with_a_list() {
    let mut model = opened(80, 24);
    // $30 for eight running tasks is $3.75 each.
    press(&mut model, &["u"]);
    let shown = popup_screen(&model);
    assert!(shown.contains("$30.00 for 8 running tasks is $3.75 each"), "{shown}");
    assert!(shown.contains("train-small-lm") && shown.contains("fix-auth-race"), "{shown}");
    assert!(!shown.contains("port-to-axum"), "{shown}");
    insta::assert_snapshot!("park-share-80x24", shown);
    assert!(requests(&press(&mut model, &["enter"])).is_empty(), "Enter cancels");
    press(&mut model, &["u"]);
    let sent = requests(&press(&mut model, &["y"]));
    let parked: Vec<&str> = sent.iter().map(|it| it.1.as_str()).collect();
    assert_eq!(parked, ["Park { id: \"task-cccc2222\" }", "Park { id: \"task-aaaa2222\" }"]);
}

#[test]
fn the_table_is_written_to_a_new_file() {
    let mut model = opened(80, 24);
    press(&mut model, &["E"]);
    let shown = popup_screen(&model);
    assert!(shown.contains("parhelia-costs-day-by-task-2026-11-21.csv"), "{shown}");
    let effects = press(&mut model, &["enter"]);
    let written = effects.iter().find_map(|it| match it {
        Effect::Ask { id, ask: Ask::WriteFile { file: File::Chosen(path), text } } => {
            Some((*id, path.clone(), text.clone()))
        }
        _ => None,
    });
    let (id, path, text) = written.expect("it is written");
    assert_eq!(path.to_str(), Some("/home/ann/src/shop/parhelia-costs-day-by-task-2026-11-21.csv"));
    assert_eq!(text.lines().count(), 5);
    let error = ApiError::new(ErrorKind::Conflict, "cannot write it: File exists");
    send(&mut model, Msg::Answered { id, result: Err(error) });
    assert!(popup_screen(&model).contains("File exists"));
}

#[test]
fn enter_shows_what_a_row_is_made_of() {
    let mut model = opened(80, 24);
    let effects = press(&mut model, &["j", "j", "j", "enter"]);
    let sent: Vec<String> = requests(&effects).into_iter().map(|it| it.1).collect();
    let id = "task-cccc2222";
    assert_eq!(
        sent,
        [format!("TaskCosts {{ id: \"{id}\" }}"), format!("TaskTurns {{ id: \"{id}\" }}")]
    );
}

#[test]
fn help_says_where_each_figure_comes_from() {
    let mut model = opened(80, 24);
    let effects = press(&mut model, &["?"]);
    let said = popup_screen(&model);
    assert!(said.contains("r+m") && said.contains("reported: Claude's own"), "{said}");
    press(&mut model, &["j"]);
    let reply = || Reply::Sources(Box::new(sources()));
    crate::tui::fixture::answer(&mut model, &effects, reply());
    insta::assert_snapshot!("help-80x24", popup_screen(&model));
    // A line of it leads to all of it.
    press(&mut model, &["/"]);
    type_text(&mut model, "metered");
    let effects = press(&mut model, &["enter"]);
    let said = popup_screen(&model);
    assert!(said.contains("Where the figures come from"), "{said}");
    crate::tui::fixture::answer(&mut model, &effects, reply());
    press(&mut model, &["G"]);
    let said = popup_screen(&model);
    assert!(said.contains("read 2026-10-08: https://modal.com/pricing"), "{said}");
    assert!(said.contains("nine in ten up to $2.10"), "{said}");
}

#[test]
fn figures_that_cannot_be_explained_leave_what_is_known() {
    let mut model = opened(80, 24);
    let asked = requests(&press(&mut model, &["v"]));
    let result = Err(ApiError::new(ErrorKind::Store, "the disk is full"));
    send(&mut model, Msg::Answered { id: asked[0].0, result });
    assert!(popup_screen(&model).contains("metered: our clock"), "{}", popup_screen(&model));
    press(&mut model, &["G"]);
    assert!(popup_screen(&model).contains("the disk is full"), "{}", popup_screen(&model));
}

#[test]
fn enter_on_a_task_shows_its_turns() {
    for cols in [80, 120] {
        let mut model = opened(cols, 24);
        let effects = press(&mut model, &["j", "j", "j", "enter"]);
        let id = requests(&effects)[1].0;
        let result = Ok(Reply::TaskTurns(Box::new(turns())));
        send(&mut model, Msg::Answered { id, result });
        let id = requests(&effects)[0].0;
        let costs = TaskCosts { task: "task-cccc2222".into(), ..TaskCosts::default() };
        let result = Ok(Reply::TaskCosts(Box::new(costs)));
        send(&mut model, Msg::Answered { id, result });
        insta::assert_snapshot!(format!("turns-{cols}x24"), popup_screen(&model));
    }
}

fn turns() -> TaskTurns {
    let turn = |number: u64, how: &str, asked: &str| TurnCost {
        number,
        began: Timestamp(NOW.0 - 90_000_000 + number as i64 * 30_000_000),
        ended: (how != "works").then_some(NOW),
        how: how.to_owned(),
        asked: asked.to_owned(),
        by_claude: asked.starts_with('<'),
        usd: 0.125 * number as f64,
        tokens: TokensView { input: 4, output: 730, cache_read: 41_000, ..TokensView::default() },
        ..TurnCost::default()
    };
    TaskTurns {
        task: "task-cccc2222".into(),
        turns: vec![
            turn(4, "works", "and now the other one, with\u{1b}[2J a test for each of the cases"),
            turn(3, "interrupted", "find the race, add a test, then clean up, and say what it was"),
            turn(2, "done", "<task-notification>"),
            turn(1, "failed", "漢字 and more"),
        ],
        earlier: TurnsSum { turns: 12, usd: 1.5, ..TurnsSum::default() },
        outside: TurnsSum { usd: 0.01, ..TurnsSum::default() },
        workers_usd: 1.2,
        ..TaskTurns::default()
    }
}

#[test]
fn of_ten_thousand_rows_those_in_sight_are_drawn() {
    let mut model = opened(80, 24);
    let mut many = costs();
    let row = many.rows[0].clone();
    many.rows = (0..10_000)
        .map(|it| CostRow { key: format!("k{it}"), name: format!("row-{it}"), ..row.clone() })
        .collect();
    let effects = at(&mut model, 3000, frame(27.0));
    answer(&mut model, &effects, many);
    press(&mut model, &["G"]);
    assert_eq!(model.budget.at, Place::Cost("k9999".into()));
    let shown = screen(&model);
    assert!(shown.contains("row-9999") && !shown.contains("today"), "{shown}");
    press(&mut model, &["g", "down", "down", "down"]);
    assert_eq!(model.budget.at, Place::Cost("k0".into()), "the heading is stepped over");
    press(&mut model, &["up"]);
    assert!(matches!(model.budget.at, Place::Ceiling(Target::Host(_))));
}

#[test]
fn periods_begin_at_local_midnight() {
    let hour = 3_600_000;
    // 14:32:07 UTC is 00:32:07 of the next day, ten hours east.
    let from = |it: Period, offset| it.from(NOW, offset).map(|it| NOW.0 - it.0);
    let east = 32 * 60_000 + 7_000;
    assert_eq!(from(Period::Hour, 0), Some(hour));
    assert_eq!(from(Period::Day, 10 * hour), Some(east));
    assert_eq!(from(Period::Week, 10 * hour), Some(east + 6 * 24 * hour));
    assert_eq!(from(Period::Day, 0), Some(east + 14 * hour));
    assert_eq!(from(Period::All, 0), None);
    let mut it = Period::default();
    for _ in 0..5 {
        assert_eq!(it.next().before(), it);
        it = it.next();
    }
    assert_eq!(it, Period::default());
}

#[test]
fn nothing_is_asked_of_a_dispatcher_that_is_gone_and_no_wake_up_is_wanted() {
    let mut model = with_tasks(80, 24, vec![finished("aaaa2222", "a", "COMPLETED")]);
    send(&mut model, frame(12.0));
    let lost = Feed::Lost { why: "gone".into(), hint: None, again: NOW };
    send(&mut model, Msg::Feed(lost));
    let effects = press(&mut model, &["5"]);
    assert!(asked(&effects).is_empty(), "{effects:?}");
    assert!(!effects.iter().any(|it| matches!(it, Effect::WakeAt(_))), "{effects:?}");
}
