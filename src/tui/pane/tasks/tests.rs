use super::*;
use crate::{
    api::view::TaskView,
    domain::activity::Activity,
    tui::{
        effect::{HandOver, Request, TermKind},
        fixture::{
            NOW, finished, fleet, popup_screen, press, screen, send, task, type_text, with_tasks,
        },
        model::{Model as Dashboard, Panel},
        msg::{Feed, Input, Msg},
        popup::Kind,
    },
};

fn selected(model: &Dashboard) -> &str {
    model
        .shared
        .replica
        .task(model.shared.selected.as_deref().unwrap_or(""))
        .map_or("", |it| &it.name)
}

fn put(model: &mut Dashboard, task: TaskView) {
    let id = crate::tui::msg::RequestId(model.calls.next);
    model.calls.next += 1;
    let call = crate::tui::model::Call {
        label: "news".into(),
        since: NOW,
        purpose: crate::tui::model::Purpose::Quiet,
        undo: None,
    };
    model.calls.pending.insert(id, call);
    send(model, Msg::Answered { id, result: Ok(Reply::Task(Box::new(task))) });
}

/// Returns what the panel itself shows.
fn panel(model: &Dashboard) -> String {
    let Some(area) = crate::tui::update::areas(model).panel(Panel::Tasks) else {
        return screen(model);
    };
    let rows = usize::from(area.y)..usize::from(area.bottom());
    let text = screen(model);
    let lines = text.lines().enumerate().filter(|(y, _)| rows.contains(y));
    let cut = |line: &str| line.chars().take(usize::from(area.width)).collect::<String>();
    lines.map(|(_, line)| format!("{}\n", cut(line))).collect()
}

/// Returns the names on the screen's list, from the top.
fn listed_names(model: &Dashboard) -> Vec<String> {
    listed_ids(&model.tasks)
        .map(|it| model.shared.replica.task(it).expect("listed").name.clone())
        .collect()
}

/// Returns on which line of the screen a task's row is drawn.
fn line_of(model: &Dashboard, name: &str) -> Option<usize> {
    screen(model).lines().position(|it| it.contains(name) && it.starts_with('│'))
}

fn many(count: usize) -> Vec<TaskView> {
    (0..count)
        .map(|it| {
            let mut task = finished(&format!("{it:08}"), &format!("past-{it}"), "COMPLETED");
            task.since = Timestamp(NOW.0 - i64::try_from(it).unwrap_or(0) * 60_000);
            task
        })
        .collect()
}

#[test]
fn snapshots_at_the_four_sizes() {
    for (cols, rows) in [(80, 24), (120, 36), (200, 50), (20, 5)] {
        let model = with_tasks(cols, rows, fleet());
        insta::assert_snapshot!(format!("fleet_{cols}x{rows}"), panel(&model));
    }
}

#[test]
fn no_size_makes_it_panic() {
    for cols in (1..20).chain(55..70).chain([90, 120]) {
        for rows in [1, 2, 3, 16, 17, 36] {
            let mut model = with_tasks(cols, rows, fleet());
            screen(&model);
            press(&mut model, &["B", "h", "?"]);
            screen(&model);
        }
    }
}

#[test]
fn groups_have_headings_that_are_stepped_over() {
    let mut model = with_tasks(120, 36, fleet());
    press(&mut model, &["B", "s"]);
    insta::assert_snapshot!(panel(&model));
    press(&mut model, &["g", "j", "j"]);
    assert_eq!(selected(&model), "train-small-lm");
    press(&mut model, &["k"]);
    assert_eq!(selected(&model), "docs-rewrite");
    press(&mut model, &["G"]);
    assert_eq!(selected(&model), "old-spike");
}

#[test]
fn the_selection_follows_the_task_and_its_row_stays() {
    let mut model = with_tasks(120, 36, fleet());
    press(&mut model, &["j", "j", "j"]);
    assert_eq!(selected(&model), "port-to-axum");
    let line = line_of(&model, "port-to-axum");
    let mut urgent = task("zzzz2222", "urgent");
    urgent.activity = Some(Activity::NeedsInput);
    put(&mut model, urgent);
    assert_eq!(selected(&model), "port-to-axum");
    assert_eq!(line_of(&model, "port-to-axum"), line);
    assert_eq!(listed_names(&model)[4], "urgent", "it comes right below, never above");
    let mut idle = task("cccc2222", "train-small-lm");
    idle.activity = Some(Activity::Idle);
    put(&mut model, idle);
    assert_eq!(listed_names(&model)[2], "train-small-lm", "what changes stays where it is");
    press(&mut model, &["ctrl-r"]);
    assert_eq!(listed_names(&model)[2], "urgent");
    assert_eq!(selected(&model), "port-to-axum");
}

#[test]
fn until_a_key_is_pressed_the_list_is_kept_in_order() {
    let mut model = with_tasks(120, 36, many(3));
    assert_eq!(selected(&model), "past-0");
    let mut urgent = task("zzzz2222", "urgent");
    urgent.activity = Some(Activity::NeedsInput);
    put(&mut model, urgent);
    assert_eq!(selected(&model), "urgent");
    assert_eq!(listed_names(&model), ["urgent", "past-0", "past-1", "past-2"]);
}

#[test]
fn after_a_deletion_the_next_task_is_selected() {
    let mut model = with_tasks(120, 36, fleet());
    press(&mut model, &["j", "j"]);
    let id = model.shared.selected.clone().expect("selected");
    model.shared.replica.remove(&id);
    send(&mut model, Msg::Wake);
    assert_eq!(selected(&model), "port-to-axum");
    for _ in 0..20 {
        let id = model.shared.selected.clone().expect("selected");
        if model.shared.replica.remove(&id).is_none() {
            break;
        }
        send(&mut model, Msg::Wake);
    }
    assert!(screen(&model).contains("no tasks yet; n makes one"));
}

#[test]
fn what_needs_a_person_stands_out_until_it_is_gone_to() {
    let mut model = with_tasks(120, 36, fleet());
    press(&mut model, &["g"]);
    let mut it = task("eeee2222", "flaky-e2e");
    it.activity = Some(Activity::NeedsInput);
    put(&mut model, it);
    assert!(model.tasks.fresh.contains("task-eeee2222"));
    press(&mut model, &["w", "w"]);
    assert_eq!(selected(&model), "flaky-e2e");
    assert!(model.tasks.fresh.is_empty());
    press(&mut model, &["w"]);
    assert_eq!(selected(&model), "fix-auth-race");
    press(&mut model, &["W"]);
    assert_eq!(selected(&model), "flaky-e2e");
}

#[test]
fn going_to_what_the_filter_hides_lists_it() {
    let mut model = with_tasks(120, 36, fleet());
    press(&mut model, &["/"]);
    type_text(&mut model, "s:idle");
    press(&mut model, &["enter"]);
    assert_eq!(listed_names(&model), ["review-pr-812", "sql-indexes"]);
    press(&mut model, &["w"]);
    assert_eq!(selected(&model), "fix-auth-race");
    assert_eq!(listed_names(&model).len(), 3);
    press(&mut model, &["0"]);
    assert_eq!(listed_names(&model).len(), 13);
    press(&mut model, &["z"]);
    assert_eq!(filter(&model.tasks), "s:idle");
}

#[test]
fn the_filter_is_live_and_esc_restores_it() {
    let mut model = with_tasks(80, 24, fleet());
    press(&mut model, &["/"]);
    type_text(&mut model, "s:needs r");
    assert_eq!(listed_names(&model), ["fix-auth-race", "docs-rewrite"]);
    let text = screen(&model);
    let bottom: Vec<&str> = text.lines().skip(22).collect();
    assert_eq!(bottom, [" Tab r:  directory it was started from", " /s:needs r"]);
    type_text(&mut model, "e");
    assert_eq!(listed_names(&model), ["docs-rewrite"]);
    type_text(&mut model, " $>");
    assert!(screen(&model).contains("`` is no amount"), "{}", screen(&model));
    assert_eq!(listed_names(&model), ["docs-rewrite"], "what held before holds");
    type_text(&mut model, "900");
    assert!(screen(&model).contains("no task passes the filter"));
    press(&mut model, &["esc"]);
    assert_eq!(listed_names(&model).len(), 13);
    assert_eq!(selected(&model), "docs-rewrite");
}

#[test]
fn nothing_is_done_to_a_task_that_is_not_listed() {
    let mut model = with_tasks(120, 36, fleet());
    press(&mut model, &["/"]);
    type_text(&mut model, "nothing-is-called-so");
    press(&mut model, &["enter", "x"]);
    assert!(model.popups.is_empty());
    assert_eq!(model.shared.notes.back().map(|it| it.text.as_str()), Some("no task is selected"));
}

#[test]
fn marks_are_set_one_by_one_in_ranges_and_all() {
    let mut model = with_tasks(120, 36, fleet());
    press(&mut model, &["space", "j", "j", "ctrl-space"]);
    assert_eq!(model.shared.marks.len(), 4);
    assert!(screen(&model).contains("4 marked"));
    press(&mut model, &["ctrl-a"]);
    assert_eq!(model.shared.marks.len(), 13);
    press(&mut model, &["z"]);
    assert_eq!(model.shared.marks.len(), 4);
    press(&mut model, &["esc"]);
    assert!(model.shared.marks.is_empty());
}

#[test]
fn keys_ask_for_what_they_say() {
    let mut model = with_tasks(120, 36, fleet());
    press(&mut model, &["x"]);
    assert!(matches!(model.popups.last().map(|it| &it.kind), Some(Kind::Confirm(_))));
    press(&mut model, &["esc", "p"]);
    assert!(matches!(model.popups.last().map(|it| &it.kind), Some(Kind::Prompt(_))));
    press(&mut model, &["esc"]);
    let effects = press(&mut model, &["ctrl-x"]);
    let asked = effects.iter().any(|it| {
        matches!(it, Effect::Ask { ask: crate::tui::effect::Ask::Request(Request::Interrupt { id }), .. }
            if id == "task-aaaa2222")
    });
    assert!(asked, "{effects:?}");
    let effects = press(&mut model, &["A"]);
    let wanted = HandOver::Session { task: "task-aaaa2222".into() };
    assert!(effects.iter().any(|it| matches!(it, Effect::HandOver(to) if *to == wanted)));
    press(&mut model, &["G", "X"]);
    assert!(matches!(model.popups.last().map(|it| &it.kind), Some(Kind::Confirm(_))));
    press(&mut model, &["esc", "p"]);
    let note = model.shared.notes.back().map(|it| it.text.clone()).unwrap_or_default();
    assert_eq!(note, "old-spike: it has no session; r brings it back");
}

#[test]
fn enter_attaches_or_offers_to_recover() {
    let mut shared = with_tasks(120, 36, fleet());
    let mut out = Out::default();
    act(&mut shared.tasks, &shared.shared, Action::Attach, &mut out);
    assert!(matches!(
        out.then.as_slice(),
        [Then::Attach { task, kind: TermKind::Attach }] if task == "task-aaaa2222"
    ));
    press(&mut shared, &["G", "enter"]);
    assert!(matches!(shared.popups.last().map(|it| &it.kind), Some(Kind::Recover(_))));
}

#[test]
fn the_copy_menu_copies() {
    let mut model = with_tasks(120, 36, fleet());
    press(&mut model, &["y"]);
    insta::assert_snapshot!(popup_screen(&model));
    let effects = press(&mut model, &["s"]);
    let copied = "parhelia attach task-aaaa2222";
    assert!(effects.iter().any(|it| matches!(it, Effect::Copy(text) if text == copied)));
    assert!(model.popups.is_empty());
}

#[test]
fn clicks_select_and_two_attach_and_the_wheel_scrolls() {
    let mut model = with_tasks(120, 36, many(200));
    let at =
        |kind, row| Msg::Input(Input::Mouse(Mouse { kind, col: 5, row, mods: Default::default() }));
    send(&mut model, at(MouseKind::Down(Button::Left), 6));
    assert_eq!(selected(&model), "past-3");
    send(&mut model, at(MouseKind::ScrollDown, 6));
    assert_eq!(model.tasks.window.top, 3);
    assert_eq!(selected(&model), "past-3");
    send(&mut model, at(MouseKind::Down(Button::Left), 3));
    send(&mut model, at(MouseKind::Down(Button::Left), 3));
    assert!(matches!(model.popups.last().map(|it| &it.kind), Some(Kind::Recover(_))));
}

#[test]
fn only_what_goes_on_wakes() {
    let mut model = with_tasks(120, 36, many(50));
    let wakes = |effects: &[Effect]| effects.iter().any(|it| matches!(it, Effect::WakeAt(_)));
    assert!(!wakes(&send(&mut model, Msg::Wake)));
    let mut idle = with_tasks(
        120,
        36,
        vec![TaskView { activity: Some(Activity::Idle), ..task("aaaa2222", "idle") }],
    );
    assert!(!wakes(&send(&mut idle, Msg::Wake)));
    let mut works = with_tasks(120, 36, vec![task("aaaa2222", "works")]);
    let effects = send(&mut works, Msg::Wake);
    let next = Timestamp(NOW.0 + 60_000);
    assert!(effects.iter().any(|it| matches!(it, Effect::WakeAt(at) if *at == next)));
}

#[test]
fn ten_thousand_tasks_are_sorted_once_and_moving_looks_at_few() {
    let mut model = with_tasks(120, 36, many(10_000));
    let sorted = model.tasks.rows.sorted;
    for _ in 0..300 {
        press(&mut model, &["j", "pagedown", "k"]);
    }
    press(&mut model, &["G"]);
    assert_eq!(selected(&model), "past-9999");
    assert_eq!(model.tasks.rows.sorted, sorted, "moving sorts nothing");
    let text = screen(&model);
    let rows = text.lines().filter(|it| it.chars().nth(2) == Some('+')).count();
    assert_eq!(rows, 17, "only what fits is drawn\n{text}");
    assert_eq!(
        model.shared.replica.changed_since(model.shared.replica.version).map(Iterator::count),
        Some(0)
    );
}

#[test]
fn pages_of_the_past_come_below_without_sorting_what_is_there() {
    let mut model = with_tasks(120, 36, fleet());
    press(&mut model, &["g"]);
    let before: Vec<String> = listed_names(&model);
    let sorted = model.tasks.rows.sorted;
    let page = crate::api::types::TaskList { seq: 5, total: 2000, tasks: many(500) };
    send(&mut model, Msg::Feed(Feed::Listed(page)));
    let after = listed_names(&model);
    assert_eq!(after.len(), 513);
    assert_eq!(after[..11], before[..11]);
    assert_eq!(model.tasks.rows.sorted, sorted);
    assert_eq!(model.place.focus, Panel::Tasks);
}

#[test]
fn more_changes_than_are_remembered_are_all_seen() {
    let mut model = with_tasks(120, 36, fleet());
    let page = crate::api::types::TaskList { seq: 5, total: 3000, tasks: many(3000) };
    send(&mut model, Msg::Feed(Feed::Listed(page)));
    assert_eq!(listed(&model.tasks), 3013);
}

#[test]
fn until_a_key_is_pressed_what_needs_a_person_comes_to_the_top() {
    let mut model = with_tasks(120, 36, vec![task("aaaa2222", "first"), task("bbbb2222", "other")]);
    let mut it = task("bbbb2222", "other");
    it.activity = Some(Activity::NeedsInput);
    put(&mut model, it);
    assert_eq!(selected(&model), "other");
    press(&mut model, &["g"]);
    let mut it = task("aaaa2222", "first");
    it.activity = Some(Activity::NeedsInput);
    put(&mut model, it);
    let mut it = task("bbbb2222", "other");
    it.activity = Some(Activity::Working);
    put(&mut model, it);
    assert_eq!(model.tasks.rows.ids().next(), Some("task-bbbb2222"));
}
