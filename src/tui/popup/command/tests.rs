use proptest::prelude::*;

use super::*;
use crate::tui::{
    effect::Effect,
    fixture::{self, press, type_text},
    model::{Level, Panel},
    msg::Msg,
};

fn model() -> crate::tui::model::Model {
    fixture::with_tasks(120, 36, fixture::fleet())
}

fn ran(line: &str) -> (crate::tui::model::Model, Vec<Effect>) {
    let mut model = model();
    press(&mut model, &[":"]);
    type_text(&mut model, line);
    let effects = press(&mut model, &["enter"]);
    (model, effects)
}

fn said(line: &str) -> String {
    let (model, _) = ran(line);
    model.shared.notes.back().map(|it| it.text.clone()).unwrap_or_default()
}

#[test]
fn words_do_what_their_keys_do() {
    assert_eq!(ran("budget").0.place.focus, Panel::Budget);
    assert_eq!(ran("logs").0.place.focus, Panel::Log);
    assert_eq!(ran("checkpoints").0.place.focus, Panel::Checkpoints);
    for (line, label) in [("checkpoint", "None"), ("checkpoint it works", "Some(\"it works\")")] {
        let asked = format!("{:?}", ran(line).1);
        assert!(asked.contains(&format!("CreateCheckpoint {{ label: {label}")), "{asked}");
    }
    for line in ["events", "log-view"] {
        let (model, _) = ran(line);
        assert_eq!(model.log.view_shown(), crate::tui::effect::LogView::Events, "{line}");
    }
    assert!(ran("q").1.iter().any(|it| matches!(it, Effect::Quit)));
    assert_eq!(ran("theme li").0.shared.look.theme.name(), "light");
    assert_eq!(ran("task docs").0.shared.selected.as_deref(), Some("task-bbbb2222"));
    assert_eq!(ran("task aaaa").0.shared.selected.as_deref(), Some("task-aaaa2222"));
    let (model, _) = ran("filter s:idle");
    assert_eq!(crate::tui::pane::tasks::listed(&model.tasks), 2);
}

#[test]
fn mistakes_name_what_was_meant() {
    assert_eq!(said("bugdet"), "`bugdet` is no command; did you mean `budget`?");
    assert_eq!(said("sort colour").split(';').next(), Some("no sort `colour`"));
    assert_eq!(said("task zzz"), "no task begins with `zzz`");
    assert!(said("task task-").starts_with("13 tasks begin so, among them "));
    assert_eq!(said("send-keys C-q"), "no session is attached");
    let (model, _) = ran("filter s:nowhere");
    assert_eq!(model.shared.notes.back().map(|it| it.level), Some(Level::Error));
}

#[test]
fn tab_goes_through_what_fits_and_up_through_what_was_run() {
    let mut model = model();
    press(&mut model, &[":"]);
    type_text(&mut model, "sort c");
    press(&mut model, &["tab"]);
    let shown = |model: &crate::tui::model::Model| match model.popups.last().map(|it| &it.kind) {
        Some(crate::tui::popup::Kind::Command(it)) => it.input.text().to_owned(),
        _ => String::new(),
    };
    assert_eq!(shown(&model), "sort cost");
    press(&mut model, &["tab"]);
    assert_eq!(shown(&model), "sort change");
    press(&mut model, &["esc", ":"]);
    let id = *model.calls.pending.keys().next_back().expect("the history is asked for");
    let text = Some("sort age\nbudget\n".to_owned());
    fixture::send(&mut model, Msg::Answered { id, result: Ok(Reply::File(text)) });
    type_text(&mut model, "x");
    press(&mut model, &["up"]);
    assert_eq!(shown(&model), "budget");
    press(&mut model, &["up", "up"]);
    assert_eq!(shown(&model), "sort age");
    press(&mut model, &["down", "down"]);
    assert_eq!(shown(&model), "x");
}

#[test]
fn a_line_that_was_run_is_kept() {
    let (_, effects) = ran("sort cost");
    let written = effects.iter().any(|it| {
        matches!(it, Effect::Ask { ask: Ask::WriteFile { file: File::CommandHistory, text }, .. }
            if text == "sort cost\n")
    });
    assert!(written, "{effects:?}");
}

#[test]
fn what_is_listed_can_be_saved() {
    let (_, effects) = ran("save out.tsv");
    let text = effects.iter().find_map(|it| match it {
        Effect::Ask { ask: Ask::WriteFile { file: File::Chosen(path), text }, .. } => {
            assert_eq!(path.to_str(), Some("/home/ann/src/shop/out.tsv"));
            Some(text.clone())
        }
        _ => None,
    });
    let text = text.expect("a file is written");
    assert_eq!(text.lines().count(), 14);
    assert!(text.contains("task-aaaa2222\tfix-auth-race\tneeds you\tlocal\t4.3100\t"), "{text}");
}

proptest! {
    #[test]
    fn no_line_makes_it_panic(line in "\\PC*", word in "(sort|task|filter|theme|save|send-keys) \\PC*") {
        let mut model = model();
        let mut out = crate::tui::model::Out::default();
        for line in [line, word] {
            run(&mut model, &line, &mut out);
            run::completions(&line, &model.shared);
        }
    }
}

#[test]
fn a_ceiling_is_set_by_a_line() {
    for (line, expected) in [
        ("budget set 50", "scope: \"all\", host: None, task: None, ceiling_usd: Some(50.0)"),
        ("budget set 7.5 day", "scope: \"day\""),
        (
            "budget set none host gpu-box",
            "host: Some(\"gpu-box\"), task: None, ceiling_usd: None, none: true",
        ),
    ] {
        let asked = format!("{:?}", ran(line).1);
        assert!(asked.contains(expected), "{line}: {asked}");
    }
    assert!(said("budget set").starts_with("budget set AMOUNT"));
    assert!(said("budget set 5 week").starts_with("budget set AMOUNT"));
    assert!(said("budget set ten").starts_with("an amount above $0"));
}
