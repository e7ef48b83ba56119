//! Lists to choose from: help, palette, sessions, undo.

use crate::tui::{
    effect::Effect,
    fixture::{fleet, popup_screen, press, screen, type_text, with_tasks},
    keymap::Action,
    model::Panel,
};

#[test]
fn help_is_made_of_the_table_and_does_what_it_shows() {
    let mut model = with_tasks(80, 24, fleet());
    press(&mut model, &["?"]);
    insta::assert_snapshot!(popup_screen(&model));
    press(&mut model, &["/"]);
    type_text(&mut model, "budget");
    insta::assert_snapshot!(popup_screen(&model));
    press(&mut model, &["enter"]);
    assert!(model.popups.is_empty());
    assert_eq!(model.place.focus, Panel::Budget);
    press(&mut model, &["?", "/", "esc", "esc"]);
    assert!(model.popups.is_empty());
}

#[test]
fn the_palette_shows_first_what_was_chosen_last() {
    let mut model = with_tasks(80, 24, fleet());
    press(&mut model, &["ctrl-p"]);
    type_text(&mut model, "redrw");
    insta::assert_snapshot!(popup_screen(&model));
    let effects = press(&mut model, &["enter"]);
    assert!(effects.iter().any(|it| matches!(it, Effect::Redraw)));
    assert_eq!(model.shared.chosen, [Action::Redraw]);
    press(&mut model, &["ctrl-p"]);
    assert!(popup_screen(&model).lines().any(|it| it.contains("Ctrl+L") && it.contains("redraw")));
    press(&mut model, &["esc"]);
}

#[test]
fn sessions_are_found_by_a_few_letters() {
    let mut model = with_tasks(80, 24, fleet());
    press(&mut model, &[":"]);
    type_text(&mut model, "switcher");
    press(&mut model, &["enter"]);
    type_text(&mut model, "flak");
    assert!(popup_screen(&model).contains("flaky-e2e"), "{}", screen(&model));
    assert!(!popup_screen(&model).contains("sql-indexes"));
    press(&mut model, &["enter"]);
    assert_eq!(model.shared.selected.as_deref(), Some("task-eeee2222"));
    assert_eq!(model.place.focus, Panel::Preview);
}

#[test]
fn what_can_be_undone_is_listed() {
    let mut model = with_tasks(80, 24, fleet());
    press(&mut model, &["ctrl-a", "Z"]);
    assert!(popup_screen(&model).contains("marked 13"), "{}", popup_screen(&model));
    press(&mut model, &["enter"]);
    assert!(model.shared.marks.is_empty());
    press(&mut model, &["Z"]);
    assert!(popup_screen(&model).contains("nothing to undo"));
}

#[test]
fn every_popup_of_lists_is_drawn_at_every_size() {
    for (cols, rows) in [(1, 1), (2, 2), (20, 5), (60, 16), (200, 50)] {
        for keys in [&["?"][..], &["ctrl-p"], &["S"], &["y"], &["Z"], &["/"], &[":"]] {
            let mut model = with_tasks(cols, rows, fleet());
            press(&mut model, keys);
            screen(&model);
            press(&mut model, &["pagedown", "down", "end", "tab"]);
            screen(&model);
        }
    }
}
