use super::*;
use crate::{
    api::budget::Estimate,
    tui::{
        fixture::{self, fleet, press, screen, send, type_text, with_tasks},
        model,
        msg::{Feed, Input, Msg, RequestId},
        popup::Kind,
    },
};

/// A form with everything it asked for answered.
fn open(cols: u16, rows: u16) -> model::Model {
    let mut model = with_tasks(cols, rows, fleet());
    let effects = press(&mut model, &["n"]);
    answer(&mut model, &effects, |_| None);
    model
}

fn form(model: &model::Model) -> &super::Model {
    match model.popups.last().map(|it| &it.kind) {
        Some(Kind::Form(it)) => it,
        other => panic!("no form: {other:?}"),
    }
}

fn plan() -> DryRun {
    DryRun {
        target: "local".into(),
        waits: None,
        workspace: "/home/ann/.local/state/parhelia/runs/task-x/work".into(),
        notes: vec!["branch main, 2 uncommitted files come along".into()],
        commands: vec!["tmux -L parhelia new-session".into(), "claude \u{1b}[2J".into()],
        price_per_hour_usd: 0.0,
        estimate: Estimate {
            tasks: 12,
            median_usd: Some(0.4),
            high_usd: Some(1.2),
            reserve_usd: 1.2,
            text: "like 12 generic tasks before: half cost $0.40 or less, nine in ten $1.20".into(),
            refused: None,
        },
    }
}

/// Answers all that was asked: files are not there unless `file` says so.
fn answer(
    model: &mut model::Model,
    effects: &[Effect],
    file: impl Fn(&File) -> Option<String>,
) -> Vec<Effect> {
    let mut more = Vec::new();
    for it in effects {
        let Effect::Ask { id, ask } = it else { continue };
        let reply = match ask {
            Ask::ReadFile(it) => Reply::File(file(it)),
            Ask::Request(Request::DryRun(_)) => Reply::DryRun(plan()),
            Ask::Request(Request::PromptText { .. }) => Reply::Text(Some("whole\nprompt".into())),
            Ask::ListDir(_) => {
                Reply::Names(["shop/", "shopfront/", "shot.png", ".git/"].map(String::from).into())
            }
            _ => continue,
        };
        more.extend(send(model, Msg::Answered { id: *id, result: Ok(reply) }));
    }
    more
}

fn created(effects: &[Effect]) -> Option<(RequestId, CreateTask)> {
    effects.iter().find_map(|it| match it {
        Effect::Ask { id, ask: Ask::Request(Request::Create(it)) } => Some((*id, (**it).clone())),
        _ => None,
    })
}

fn written(effects: &[Effect], wanted: &File) -> Option<String> {
    effects.iter().find_map(|it| match it {
        Effect::Ask { ask: Ask::WriteFile { file, text }, .. } if file == wanted => {
            Some(text.clone())
        }
        _ => None,
    })
}

fn later(model: &mut model::Model, ms: i64) -> Vec<Effect> {
    let now = Timestamp(model.shared.now.0 + ms);
    crate::tui::update::update(model, Msg::Wake, now)
}

#[test]
fn what_is_typed_is_submitted_and_then_kept_as_history() {
    let mut model = open(120, 36);
    type_text(&mut model, "find it");
    press(&mut model, &["enter"]);
    type_text(&mut model, "fix it");
    // Type, where, GPU.
    press(&mut model, &["tab"]);
    type_text(&mut model, "t");
    press(&mut model, &["tab", "tab", "right"]);
    let (id, request) = created(&press(&mut model, &["ctrl-s"])).unwrap();
    assert_eq!(request.prompt, "find it\nfix it");
    assert_eq!(request.kind.map(|it| it.to_string()).as_deref(), Some("test"));
    assert_eq!(request.gpu.map(|it| it.to_string()).as_deref(), Some("T4"));
    assert_eq!(request.workspace, "/home/ann/src/shop");
    assert_eq!(request.target, None);
    let task = fixture::task("zzzz2222", "find it");
    let reply = Reply::Created(Box::new(crate::api::types::Created { task }));
    let effects = send(&mut model, Msg::Answered { id, result: Ok(reply) });
    assert!(model.popups.is_empty());
    assert_eq!(model.shared.selected.as_deref(), Some("task-zzzz2222"));
    assert!(effects.iter().any(|it| matches!(it, Effect::RemoveFile(File::Draft))));
    assert_eq!(written(&effects, &File::PromptHistory).as_deref(), Some("\"find it\\nfix it\"\n"));
}

#[test]
fn nothing_wrong_is_submitted_and_the_field_says_why() {
    let mut model = open(120, 36);
    assert!(created(&press(&mut model, &["ctrl-s"])).is_none());
    assert!(screen(&model).contains("say what Claude shall do"), "{}", screen(&model));
    type_text(&mut model, "x");
    press(&mut model, &["tab", "tab", "tab", "tab"]);
    type_text(&mut model, "lots");
    assert!(created(&press(&mut model, &["ctrl-s"])).is_none());
    assert_eq!(form(&model).focus, Field::Memory);
    press(&mut model, &["ctrl-u", "8"]);
    let (_, request) = created(&press(&mut model, &["ctrl-s"])).unwrap();
    assert_eq!(request.memory_gb, Some(8));
}

#[test]
fn a_draft_is_written_after_a_pause_and_comes_back() {
    let mut model = open(120, 36);
    let effects = type_text(&mut model, "a prompt");
    assert_eq!(written(&effects, &File::Draft), None);
    assert_eq!(written(&later(&mut model, 400), &File::Draft), None);
    let draft = written(&later(&mut model, 200), &File::Draft).unwrap();
    press(&mut model, &["esc"]);
    let effects = press(&mut model, &["n"]);
    answer(&mut model, &effects, |it| (*it == File::Draft).then(|| draft.clone()));
    assert_eq!(form(&model).fields.prompt.text(), "a prompt");
}

#[test]
fn closing_writes_the_draft_at_once() {
    let mut model = open(120, 36);
    type_text(&mut model, "half a tho");
    let draft = written(&press(&mut model, &["esc"]), &File::Draft).unwrap();
    assert!(draft.contains("half a tho"), "{draft}");
}

#[test]
fn a_dry_run_follows_the_last_change_and_an_old_one_is_dropped() {
    let mut model = open(120, 36);
    type_text(&mut model, "x");
    let old = later(&mut model, 300);
    assert!(matches!(form(&model).preview, Preview::Asked));
    type_text(&mut model, "y");
    answer(&mut model, &old, |_| None);
    assert!(matches!(form(&model).preview, Preview::Nothing));
    let new = later(&mut model, 300);
    answer(&mut model, &new, |_| None);
    assert!(screen(&model).contains("-> local"), "{}", screen(&model));
    press(&mut model, &["ctrl-y"]);
    assert!(screen(&model).contains("claude \u{fffd}[2J"), "{}", screen(&model));
}

#[test]
fn a_form_like_a_task_has_its_whole_prompt() {
    let mut model = with_tasks(120, 36, fleet());
    model.shared.selected = Some("task-cccc2222".into());
    let effects = press(&mut model, &["N"]);
    answer(&mut model, &effects, |_| None);
    assert_eq!(form(&model).fields.prompt.text(), "whole\nprompt");
    assert_eq!(form(&model).fields.text(Field::Permission), "acceptEdits");
}

#[test]
fn the_workspace_is_completed() {
    let mut model = open(120, 36);
    press(&mut model, &["backtab"; 9]);
    assert_eq!(form(&model).focus, Field::Workspace);
    press(&mut model, &["ctrl-u"]);
    let effects = type_text(&mut model, "~/src/sh");
    answer(&mut model, &effects, |_| None);
    press(&mut model, &["tab"]);
    assert_eq!(form(&model).fields.text(Field::Workspace), "~/src/shop");
    assert_eq!(form(&model).focus, Field::Workspace);
    assert_eq!(form(&model).fields.workspace(), "/home/ann/src/shop");
}

#[test]
fn templates_are_saved_and_loaded() {
    let mut model = open(120, 36);
    type_text(&mut model, "lint all");
    press(&mut model, &["ctrl-t"]);
    type_text(&mut model, "lint");
    let file = written(&press(&mut model, &["enter"]), &File::Templates).unwrap();
    assert!(file.contains("lint all"), "{file}");
    type_text(&mut model, " and more");
    press(&mut model, &["ctrl-t", "enter"]);
    assert_eq!(form(&model).fields.prompt.text(), "lint all");
}

#[test]
fn a_mebibyte_is_pasted_at_once() {
    let mut model = open(120, 36);
    let text = "word ".repeat(200_000);
    send(&mut model, Msg::Input(Input::Paste(text.clone())));
    press(&mut model, &["left", "x"]);
    screen(&model);
    assert_eq!(form(&model).fields.prompt.bytes(), text.len() + 1);
}

#[test]
fn it_looks_right() {
    for (cols, rows) in [(80, 24), (120, 36), (200, 50), (20, 5)] {
        let mut model = open(cols, rows);
        type_text(&mut model, "find the race");
        press(&mut model, &["enter"]);
        type_text(&mut model, "and add a test");
        let effects = later(&mut model, 600);
        answer(&mut model, &effects, |_| None);
        insta::assert_snapshot!(format!("form-{cols}x{rows}"), screen(&model));
        press(&mut model, &["tab", "tab", "tab", "tab"]);
        type_text(&mut model, "x");
        insta::assert_snapshot!(format!("form-memory-{cols}x{rows}"), screen(&model));
    }
}

#[test]
fn the_focused_field_is_drawn_at_every_usable_size() {
    for (cols, rows) in [(60, 8), (80, 12), (80, 24), (120, 36)] {
        let mut model = open(cols, rows);
        for _ in Field::ALL {
            let focus = form(&model).focus;
            let places = view::places(form(&model), Rect::new(0, 0, cols, rows));
            let drawn = (0..rows).any(|row| {
                (0..cols).any(|col| places.at(col, row).is_some_and(|it| it.0 == focus))
            });
            assert!(drawn, "{focus:?} at {cols}x{rows}");
            press(&mut model, &["tab"]);
        }
    }
}

#[test]
fn no_size_panics() {
    for cols in 1..40 {
        for rows in 1..14 {
            let mut model = open(cols, rows);
            press(&mut model, &["x", "tab", "tab", "tab", "tab", "x", "ctrl-y"]);
            screen(&model);
        }
    }
}

#[test]
fn money_is_told_before_the_task_is_submitted() {
    let mut model = open(120, 36);
    send(&mut model, Msg::Feed(Feed::Budget(Box::new(fixture::budget(26.37)))));
    type_text(&mut model, "x");
    let effects = later(&mut model, 400);
    let asked = effects.iter().find_map(|it| match it {
        Effect::Ask { id, ask: Ask::Request(Request::DryRun(_)) } => Some(*id),
        _ => None,
    });
    let mut plan = plan();
    let why = "Task would exceed budget ceiling ($30.00): $26.37 is spent, $2.00 is reserved by \
               running tasks and this one is thought to need $1.70; raise it: parhelia budget set 50";
    plan.estimate.refused = Some(why.into());
    let id = asked.expect("a dry run");
    send(&mut model, Msg::Answered { id, result: Ok(Reply::DryRun(plan)) });
    let shown = fixture::popup_screen(&model);
    for part in [
        "! Task would exceed budget ceiling ($30.00)",
        // The way out is there too, on the next line.
        "parhelia budget set 50",
        "half cost $0.40 or less, nine in ten $1.20; reserves $1.20",
        "no ceiling of its own; total $1.63 left of $30; today $34.81 left of $50",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}
