//! What the panel does, key by key and byte by byte.

use std::sync::Arc;

use proptest::prelude::*;
use ratatui::layout::Rect;

use crate::{
    api::{
        error::{ApiError, ErrorKind},
        types::{LogLine, Snapshot},
    },
    domain::activity::Activity,
    stdx::time::Timestamp,
    tui::{
        canvas::Canvas,
        effect::{Ask, Effect, LogView, Request, TermKind},
        fixture::{NOW, finished, fleet, press, screen, send, task, with_tasks},
        layout::inside,
        model::{Attached, Model, Panel},
        msg::{Feed, Input, LogMsg, Msg, ReadId, Reply, Slot, TermMsg},
        update::{areas, update},
        view::view,
    },
    vt::{
        input::{Button, Mods, Mouse, MouseKind},
        screen::Size,
    },
};

mod saved;

fn later(model: &mut Model, millis: i64, msg: Msg) -> Vec<Effect> {
    update(model, msg, Timestamp(NOW.0 + millis))
}

fn select(model: &mut Model, id: &str) -> Vec<Effect> {
    model.shared.selected = Some(format!("task-{id}"));
    send(model, Msg::Wake)
}

fn output(slot: Slot, bytes: &[u8]) -> Msg {
    Msg::Term { slot, what: TermMsg::Output(Arc::from(bytes)) }
}

fn ended(slot: Slot, detached: bool, why: &str) -> Msg {
    Msg::Term { slot, what: TermMsg::Ended { detached, why: why.into() } }
}

fn opened(effects: &[Effect]) -> Vec<(Slot, String, TermKind, Size)> {
    let open = |it: &Effect| match it {
        Effect::OpenTerm { slot, task, kind, size } => Some((*slot, task.clone(), *kind, *size)),
        _ => None,
    };
    effects.iter().filter_map(open).collect()
}

fn closed(effects: &[Effect]) -> Vec<Slot> {
    let close = |it: &Effect| match it {
        Effect::CloseTerm(slot) => Some(*slot),
        _ => None,
    };
    effects.iter().filter_map(close).collect()
}

fn typed(effects: &[Effect]) -> Vec<u8> {
    let bytes = |it: &Effect| match it {
        Effect::TermInput { bytes, .. } => Some(bytes.clone()),
        _ => None,
    };
    effects.iter().filter_map(bytes).flatten().collect()
}

fn resized(effects: &[Effect]) -> Vec<Size> {
    let size = |it: &Effect| match it {
        Effect::TermResize { size, .. } => Some(*size),
        _ => None,
    };
    effects.iter().filter_map(size).collect()
}

/// When the panel wants to be woken; the list of tasks asks for whole minutes.
fn wakes(effects: &[Effect]) -> Vec<i64> {
    let at = |it: &Effect| match it {
        Effect::WakeAt(at) => Some(at.0 - NOW.0).filter(|it| it % 60_000 != 0),
        _ => None,
    };
    effects.iter().filter_map(at).collect()
}

fn last_note(model: &Model) -> &str {
    model.shared.notes.back().map_or("", |it| it.text.as_str())
}

/// A dashboard whose first task is previewed, with the slot of the preview.
fn previewing(cols: u16, rows: u16) -> (Model, Slot) {
    let mut model = with_tasks(cols, rows, fleet());
    model.shared.look.source.mouse = true;
    press(&mut model, &["2"]);
    select(&mut model, "aaaa2222");
    let effects = later(&mut model, 200, Msg::Wake);
    let slot = opened(&effects).first().map_or(Slot(1), |it| it.0);
    send(&mut model, output(slot, b"\x1b[Hpreview of it"));
    (model, slot)
}

/// A dashboard attached to its first task, with the slot.
fn attached(cols: u16, rows: u16) -> (Model, Slot) {
    let (mut model, _) = previewing(cols, rows);
    let effects = press(&mut model, &["enter"]);
    let slot = opened(&effects)[0].0;
    send(&mut model, output(slot, b"\x1b[Hattached to it"));
    (model, slot)
}

fn inner(model: &Model) -> Rect {
    inside(areas(model).panel(Panel::Preview).unwrap())
}

#[test]
fn a_selection_that_does_not_rest_opens_nothing() {
    let mut model = with_tasks(120, 36, fleet());
    select(&mut model, "aaaa2222");
    let mut effects = Vec::new();
    for (at, id) in [(10, "bbbb2222"), (50, "cccc2222"), (90, "dddd2222")] {
        model.shared.selected = Some(format!("task-{id}"));
        effects.extend(later(&mut model, at, Msg::Wake));
    }
    assert_eq!(opened(&effects), []);
    assert_eq!(*wakes(&effects).last().unwrap(), 240);
    assert_eq!(opened(&later(&mut model, 239, Msg::Wake)), []);
    let opened = opened(&later(&mut model, 240, Msg::Wake));
    let rect = inner(&model);
    let size = Size { cols: rect.width, rows: rect.height + 1 };
    assert_eq!(opened.len(), 1);
    assert_eq!(
        (opened[0].1.as_str(), opened[0].2, opened[0].3),
        ("task-dddd2222", TermKind::Look, size)
    );
    // Nothing is asked for again while nothing changes.
    let idle = later(&mut model, 60_000, Msg::Wake);
    assert_eq!((wakes(&idle), super::tests::opened(&idle)), (vec![], vec![]));
}

#[test]
fn a_panel_that_is_not_drawn_closes_its_terminal() {
    let (mut model, slot) = previewing(80, 24);
    let effects = press(&mut model, &["3"]);
    assert_eq!(closed(&effects), [slot]);
    let effects = press(&mut model, &["2"]);
    assert_eq!(opened(&effects).len(), 1);
}

#[test]
fn attaching_swaps_the_picture_only_when_the_new_one_has_come() {
    let (mut model, look) = previewing(120, 36);
    assert!(screen(&model).contains("preview of it"));
    let effects = press(&mut model, &["enter"]);
    let opened = opened(&effects);
    let rect = inner(&model);
    assert_eq!(opened.len(), 1);
    let (slot, task, kind, size) = &opened[0];
    assert_eq!((task.as_str(), *kind), ("task-aaaa2222", TermKind::Attach));
    assert_eq!(*size, Size { cols: rect.width, rows: rect.height + 1 });
    assert_eq!(closed(&effects), []);
    assert_eq!(model.term.attached(), Some(Attached::Session));
    assert!(screen(&model).contains("preview of it"));
    // What only clears the screen is not drawn yet.
    let effects = send(&mut model, output(*slot, b"\x1b[?1049h\x1b[2J"));
    assert!(closed(&effects).is_empty() && screen(&model).contains("preview of it"));
    assert_eq!(wakes(&effects), [100]);
    let effects = send(&mut model, output(*slot, b"\x1b[Hattached to it"));
    assert_eq!(closed(&effects), [look]);
    assert!(screen(&model).contains("attached to it") && !screen(&model).contains("preview of"));
}

#[test]
fn a_session_that_shows_nothing_is_drawn_after_a_moment() {
    let (mut model, look) = previewing(120, 36);
    let slot = opened(&press(&mut model, &["enter"]))[0].0;
    send(&mut model, output(slot, b"\x1b[2J"));
    assert_eq!(closed(&later(&mut model, 100, Msg::Wake)), [look]);
}

#[test]
fn what_is_typed_before_the_session_came_is_sent_when_it_has() {
    let (mut model, _) = previewing(120, 36);
    let slot = opened(&press(&mut model, &["enter"]))[0].0;
    assert_eq!(typed(&press(&mut model, &["h", "i", "enter"])), b"");
    let effects = send(&mut model, output(slot, b"\x1b[?2004hready"));
    assert_eq!(typed(&effects), b"hi\r");
}

#[test]
fn keys_text_and_mouse_reach_the_program_in_its_modes() {
    let (mut model, slot) = attached(120, 36);
    assert_eq!(typed(&press(&mut model, &["q", "up", "ctrl-c", "?"])), b"q\x1b[A\x03?");
    let modes = b"\x1b[?1h\x1b[?2004h\x1b[?1002h\x1b[?1006h\x1b[?1004h";
    send(&mut model, output(slot, modes));
    assert_eq!(typed(&press(&mut model, &["up"])), b"\x1bOA");
    let paste = send(&mut model, Msg::Input(Input::Paste("a\nb".into())));
    assert!(typed(&paste).starts_with(b"\x1b[200~a") && typed(&paste).ends_with(b"\x1b[201~"));
    let rect = inner(&model);
    let at = |kind| {
        Msg::Input(Input::Mouse(Mouse { kind, col: rect.x + 4, row: rect.y + 2, mods: Mods::NONE }))
    };
    assert_eq!(typed(&send(&mut model, at(MouseKind::Down(Button::Left)))), b"\x1b[<0;5;3M");
    assert_eq!(typed(&send(&mut model, at(MouseKind::ScrollUp))), b"\x1b[<64;5;3M");
    assert!(!model.term.scrolling());
    assert_eq!(typed(&send(&mut model, Msg::Input(Input::Focus(false)))), b"\x1b[O");
}

#[test]
fn a_wheel_that_the_program_did_not_ask_for_looks_back() {
    let (mut model, _) = attached(120, 36);
    let rect = inner(&model);
    let mouse = Mouse { kind: MouseKind::ScrollUp, col: rect.x, row: rect.y, mods: Mods::NONE };
    let effects = send(&mut model, Msg::Input(Input::Mouse(mouse)));
    assert_eq!(typed(&effects), b"");
    assert!(model.term.scrolling());
}

#[test]
fn a_preview_takes_no_keys() {
    let (mut model, _) = previewing(120, 36);
    assert_eq!(typed(&press(&mut model, &["x", "ctrl-c"])), b"");
    assert_eq!(typed(&send(&mut model, Msg::Input(Input::Paste("rm".into())))), b"");
}

#[test]
fn leaving_keeps_the_picture_and_says_that_it_runs_on() {
    for way in ["ctrl-q", "f12"] {
        let (mut model, slot) = attached(120, 36);
        let effects = press(&mut model, &[way]);
        assert_eq!(closed(&effects), [slot], "{way}");
        assert_eq!(opened(&effects).len(), 1, "the preview follows at once");
        assert_eq!(opened(&effects)[0].2, TermKind::Look);
        assert_eq!((model.term.attached(), model.place.focus), (None, Panel::Tasks));
        assert!(screen(&model).contains("attached to it"));
        assert_eq!(last_note(&model), "left \"fix-auth-race\"; it keeps running");
    }
}

#[test]
fn the_sessions_own_way_out_leaves_too() {
    let (mut model, slot) = attached(120, 36);
    send(&mut model, ended(slot, true, "detached"));
    assert_eq!((model.term.attached(), model.place.focus), (None, Panel::Tasks));
    assert_eq!(last_note(&model), "left \"fix-auth-race\"; it keeps running");
}

#[test]
fn a_click_on_leave_leaves() {
    let (mut model, _) = attached(120, 36);
    let area = areas(&model).panel(Panel::Preview).unwrap();
    let at = super::draw::leave_box(&model.term, area).unwrap();
    let kind = MouseKind::Down(Button::Left);
    let mouse = Mouse { kind, col: at.x + 2, row: at.y, mods: Mods::NONE };
    send(&mut model, Msg::Input(Input::Mouse(mouse)));
    assert_eq!(model.term.attached(), None);
}

#[test]
fn the_last_screen_stays_until_a_key() {
    let (mut model, slot) = attached(120, 36);
    send(&mut model, ended(slot, false, "the session ended"));
    let text = screen(&model);
    assert!(text.contains("attached to it") && text.contains("ended: the session ended"), "{text}");
    assert_eq!(typed(&press(&mut model, &["x"])), b"");
    assert_eq!((model.term.attached(), model.place.focus), (None, Panel::Tasks));
}

#[test]
fn a_broken_connection_comes_back_by_itself_and_refuses_keys_meanwhile() {
    let (mut model, slot) = attached(120, 36);
    let lost = Feed::Lost { why: "gone".into(), hint: None, again: NOW };
    send(&mut model, Msg::Feed(lost));
    send(&mut model, ended(slot, false, "the dispatcher went away"));
    assert!(screen(&model).contains("attached to it"));
    assert!(screen(&model).contains("not connected: the dispatcher went away"));
    assert_eq!(typed(&press(&mut model, &["x"])), b"");
    assert_eq!(last_note(&model), "not connected: nothing was sent");
    let effects = send(&mut model, Msg::Feed(Feed::Snapshot(Snapshot { seq: 9, tasks: fleet() })));
    let opened = opened(&effects);
    assert_eq!((opened.len(), opened[0].2), (1, TermKind::Attach));
    send(&mut model, output(opened[0].0, b"back again"));
    assert!(screen(&model).contains("back again") && screen(&model).contains("ATTACHED"));
    assert_eq!(typed(&press(&mut model, &["x"])), b"x");
}

#[test]
fn a_terminal_that_ended_before_the_loss_was_known_comes_back_too() {
    let (mut model, slot) = attached(120, 36);
    send(&mut model, ended(slot, false, "the dispatcher went away"));
    send(&mut model, Msg::Feed(Feed::Lost { why: "gone".into(), hint: None, again: NOW }));
    let effects = send(&mut model, Msg::Feed(Feed::Snapshot(Snapshot { seq: 9, tasks: fleet() })));
    assert_eq!(opened(&effects).len(), 1);
}

#[test]
fn failures_are_tried_again_with_growing_waits_and_then_given_up() {
    let (mut model, mut slot) = attached(120, 36);
    let error = ApiError::new(ErrorKind::Dispatcher, "no answer");
    let mut now = 0;
    for wait in [250, 500, 1000, 2000, 4000, 5000, 5000, 5000, 5000, 5000] {
        let failed = Msg::Term { slot, what: TermMsg::Failed(error.clone()) };
        assert_eq!(wakes(&later(&mut model, now, failed)), [now + wait]);
        now += wait;
        slot = opened(&later(&mut model, now, Msg::Wake))[0].0;
    }
    let failed = Msg::Term { slot, what: TermMsg::Failed(error) };
    assert!(wakes(&later(&mut model, now, failed)).is_empty());
    assert!(screen(&model).contains("ended: no answer"));
}

#[test]
fn what_cannot_be_attached_to_says_so_and_gives_the_keys_back() {
    let (mut model, _) = previewing(120, 36);
    let slot = opened(&press(&mut model, &["enter"]))[0].0;
    let error = ApiError::new(ErrorKind::Conflict, "it has no session").hint("retry it");
    send(&mut model, Msg::Term { slot, what: TermMsg::Failed(error) });
    assert_eq!(model.term.attached(), None);
    assert_eq!(last_note(&model), "attach to \"fix-auth-race\": it has no session (retry it)");
}

#[test]
fn a_new_size_is_told_once() {
    let (mut model, _) = attached(120, 36);
    let effects = send(&mut model, Msg::Input(Input::Resize { cols: 140, rows: 40 }));
    let rect = inner(&model);
    assert_eq!(resized(&effects), [Size { cols: rect.width, rows: rect.height + 1 }]);
    assert_eq!(resized(&send(&mut model, Msg::Wake)), []);
    assert_eq!(resized(&send(&mut model, Msg::Input(Input::Resize { cols: 140, rows: 40 }))), []);
}

#[test]
fn zoom_gives_the_whole_screen_and_leaving_takes_it_back() {
    let (mut model, _) = attached(120, 36);
    let effects = press(&mut model, &["f6"]);
    assert_eq!(resized(&effects).len(), 1);
    assert_eq!(inner(&model).width, 118);
    press(&mut model, &["ctrl-q"]);
    assert!(!model.place.full);
}

#[test]
fn repaint_is_a_column_less_and_back() {
    let (mut model, _) = attached(120, 36);
    let rect = inner(&model);
    let size = Size { cols: rect.width, rows: rect.height + 1 };
    let effects = press(&mut model, &["f5"]);
    assert_eq!(resized(&effects), [Size { cols: size.cols - 1, ..size }, size]);
    assert_eq!(typed(&effects), b"");
}

#[test]
fn the_mouse_can_be_given_back_and_is_ours_again_after_leaving() {
    let captured = |it: &[Effect]| -> Vec<bool> {
        let capture = |it: &Effect| match it {
            Effect::CaptureMouse(on) => Some(*on),
            _ => None,
        };
        it.iter().filter_map(capture).collect()
    };
    let (mut model, _) = attached(120, 36);
    assert_eq!(captured(&press(&mut model, &["f8"])), [false]);
    assert_eq!(captured(&press(&mut model, &["ctrl-q"])), [true]);
}

#[test]
fn f2_goes_to_the_next_that_needs_a_person_attached() {
    let (mut model, slot) = attached(120, 36);
    let effects = press(&mut model, &["f2"]);
    assert_eq!(closed(&effects), [slot]);
    assert_eq!(opened(&effects)[0].1, "task-bbbb2222");
    assert_eq!(model.shared.selected.as_deref(), Some("task-bbbb2222"));
    assert!(!screen(&model).contains("attached to it"), "another session's screen");
}

#[test]
fn the_clipboard_is_set_only_if_that_is_allowed() {
    let copied = |it: &[Effect]| -> Vec<String> {
        let copy = |it: &Effect| match it {
            Effect::Copy(text) => Some(text.clone()),
            _ => None,
        };
        it.iter().filter_map(copy).collect()
    };
    let (mut model, slot) = attached(120, 36);
    let ask = b"\x1b]52;c;aGVsbG8=\x07";
    let notes = model.shared.notes.len();
    assert!(copied(&send(&mut model, output(slot, ask))).is_empty());
    assert!(copied(&send(&mut model, output(slot, ask))).is_empty());
    assert_eq!(model.shared.notes.len(), notes + 1, "told once");
    model.shared.look.source.clipboard = true;
    assert_eq!(copied(&send(&mut model, output(slot, ask))), ["hello"]);
    let (mut model, slot) = previewing(120, 36);
    model.shared.look.source.clipboard = true;
    assert!(copied(&send(&mut model, output(slot, ask))).is_empty(), "a preview sets nothing");
}

#[test]
fn questions_of_the_program_are_answered() {
    let (mut model, slot) = attached(120, 36);
    assert_eq!(typed(&send(&mut model, output(slot, b"\x1b[6n"))), b"\x1b[1;15R");
}

#[test]
fn an_update_that_never_ends_is_drawn_after_a_while() {
    let (mut model, slot) = attached(120, 36);
    let effects = send(&mut model, output(slot, b"\x1b[?2026h\x1b[2J\x1b[Hhalf a frame"));
    assert!(screen(&model).contains("attached to it"));
    assert_eq!(wakes(&effects), [150]);
    let effects = later(&mut model, 150, Msg::Wake);
    assert!(screen(&model).contains("half a frame"));
    assert!(wakes(&effects).is_empty());
}

#[test]
fn the_exits_shown_are_those_that_work_here() {
    let foot = |change: &dyn Fn(&mut Model)| {
        let (mut model, _) = attached(120, 36);
        change(&mut model);
        super::exits::exits(&model.shared, TermKind::Attach)
    };
    assert_eq!(foot(&|_| ()), ["Ctrl+Q", "F12"]);
    assert_eq!(
        foot(&|it| it.shared.facts.term_program = Some("vscode".into())),
        ["F12", "Ctrl+B d"]
    );
    let prefix = |it: &mut Model, key: &str| {
        it.shared.facts.in_tmux = true;
        it.shared.facts.outer_prefix = Some(key.into());
    };
    assert_eq!(foot(&|it| prefix(it, "ctrl-q")), ["F12", "Ctrl+B d"]);
    assert_eq!(foot(&|it| prefix(it, "ctrl-b")), ["Ctrl+Q", "F12"]);
}

fn past_lines(model: &mut Model, read: ReadId, lines: &[&str]) {
    let line =
        |text: &&str| LogLine { at: None, kind: "raw".into(), text: (*text).into(), pos: None };
    let lines = lines.iter().map(line).collect();
    send(model, Msg::Log { read, what: LogMsg::Lines(lines) });
    send(model, Msg::Log { read, what: LogMsg::Ended });
}

fn reading(effects: &[Effect]) -> Option<(ReadId, LogView, usize)> {
    effects.iter().find_map(|it| match it {
        Effect::ReadLog { read, query, .. } if read.panel == Panel::Preview => {
            Some((*read, query.view, query.tail))
        }
        _ => None,
    })
}

#[test]
fn looking_back_searches_selects_and_copies() {
    let (mut model, _) = attached(120, 36);
    let effects = press(&mut model, &["f7"]);
    let (read, view, tail) = reading(&effects).unwrap();
    assert_eq!((view, tail), (LogView::Terminal, 10_000));
    assert!(screen(&model).contains("attached to it"), "drawn until there is more");
    let lines: Vec<String> = (0..100).map(|it| format!("\x1b[3{}mline {it}", it % 8)).collect();
    past_lines(&mut model, read, &lines.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(screen(&model).contains("line 99") && !screen(&model).contains("line 9 "));
    press(&mut model, &["/"]);
    crate::tui::fixture::type_text(&mut model, "LINE 4");
    press(&mut model, &["enter"]);
    assert_eq!(last_note(&model), "no match", "capitals count");
    press(&mut model, &["/"]);
    crate::tui::fixture::type_text(&mut model, "line 42");
    press(&mut model, &["enter"]);
    assert!(screen(&model).contains("line 42"));
    let effects = press(&mut model, &["v", "j", "j", "y"]);
    let copy = effects.iter().find_map(|it| match it {
        Effect::Copy(text) => Some(text.as_str()),
        _ => None,
    });
    assert_eq!(copy, Some("line 42\nline 43\nline 44\n"));
    assert_eq!(last_note(&model), "3 lines copied");
    press(&mut model, &["esc", "esc"]);
    assert!(!model.term.scrolling());
    assert_eq!(typed(&press(&mut model, &["y"])), b"y");
}

#[test]
fn a_task_without_a_session_shows_its_last_screen_or_its_answer() {
    let mut done = finished("iiii2222", "rename-crate", "COMPLETED");
    done.answer_bytes = Some(20);
    let mut model = with_tasks(120, 36, vec![done]);
    // The only task is selected at once, and what is selected first need not rest.
    let read = ReadId { panel: Panel::Preview, number: 1 };
    past_lines(&mut model, read, &["\x1b[1mthe last screen\x1b[0m", "", ""]);
    assert!(screen(&model).contains("the last screen") && screen(&model).contains("COMPLETED"));
}

#[test]
fn a_task_that_left_no_screen_shows_its_answer() {
    let mut done = finished("iiii2222", "rename-crate", "COMPLETED");
    done.answer_bytes = Some(20);
    let mut model = with_tasks(120, 36, vec![done]);
    let read = ReadId { panel: Panel::Preview, number: 1 };
    let effects = send(&mut model, Msg::Log { read, what: LogMsg::Ended });
    let id = effects.iter().find_map(|it| match it {
        Effect::Ask { id, ask: Ask::Request(Request::AnswerText { .. }) } => Some(*id),
        _ => None,
    });
    let result = Ok(Reply::Text(Some("renamed it everywhere".into())));
    send(&mut model, Msg::Answered { id: id.unwrap(), result });
    assert!(screen(&model).contains("renamed it everywhere"));
}

#[test]
fn a_fifty_session_dashboard_at_rest_asks_for_no_wake_up() {
    let tasks = (0..50).map(|it| {
        let mut task = task(&format!("q{it:07}"), &format!("idle-{it}"));
        task.activity = Some(Activity::Idle);
        task
    });
    let mut model = with_tasks(200, 50, tasks.collect());
    select(&mut model, "q0000001");
    let slot = opened(&later(&mut model, 200, Msg::Wake)).first().map(|it| it.0);
    if let Some(slot) = slot {
        later(&mut model, 201, output(slot, b"idle"));
    }
    let effects = later(&mut model, 300, Msg::Wake);
    assert!(!effects.iter().any(|it| matches!(it, Effect::OpenTerm { .. })));
    let (term, mut out) = (&mut model.term, crate::tui::model::Out::default());
    let area = Some(Rect::new(0, 0, 80, 20));
    super::changed(term, &model.shared, area, &mut out);
    assert!(!out.then.iter().any(|it| matches!(it, crate::tui::model::Then::WakeAt(_))));
}

#[test]
fn panels_at_the_sizes() {
    for (cols, rows) in [(80, 24), (120, 36), (200, 50), (20, 5)] {
        let (model, _) = attached(cols, rows);
        let area = areas(&model).panel(Panel::Preview).unwrap();
        insta::assert_snapshot!(format!("attached-{cols}x{rows}"), drawn(&model, area));
    }
    let (model, _) = previewing(120, 36);
    let area = areas(&model).panel(Panel::Preview).unwrap();
    insta::assert_snapshot!("preview-120x36", drawn(&model, area));
}

/// Only the panel: what stands beside it is the work of others.
fn drawn(model: &Model, area: Rect) -> String {
    let whole = screen(model);
    let rows = whole.lines().skip(area.y.into()).take(area.height.into());
    let cut = |it: &str| it.chars().skip(area.x.into()).take(area.width.into()).collect::<String>();
    rows.map(|it| cut(it).trim_end().to_owned() + "\n").collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_bytes_reach_the_outer_terminal_as_control_characters(
        (cols, rows) in (1u16..130, 1u16..40),
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..4),
        escapes in "(\\x1b\\[[0-9;?]{0,6}[A-Za-z]|\\x1b\\][0-9]{1,2};[ -~]{0,20}\\x07|[ -~é漢👪]|\\r\\n){0,60}",
        again in (1u16..130, 1u16..40),
    ) {
        let (mut model, slot) = attached_somehow(cols, rows);
        for bytes in chunks.iter().map(Vec::as_slice).chain([escapes.as_bytes()]) {
            send(&mut model, output(slot, bytes));
            clean(&model)?;
        }
        send(&mut model, Msg::Input(Input::Resize { cols: again.0, rows: again.1 }));
        clean(&model)?;
    }
}

/// Attaches whatever the size is.
fn attached_somehow(cols: u16, rows: u16) -> (Model, Slot) {
    let mut model = with_tasks(120, 36, fleet());
    press(&mut model, &["2"]);
    select(&mut model, "aaaa2222");
    later(&mut model, 200, Msg::Wake);
    let effects = press(&mut model, &["enter"]);
    let slot = opened(&effects)[0].0;
    send(&mut model, Msg::Input(Input::Resize { cols, rows }));
    send(&mut model, output(slot, b"x"));
    (model, slot)
}

fn clean(model: &Model) -> Result<(), TestCaseError> {
    let (cols, rows) = model.shared.size;
    let mut canvas = Canvas::new(Rect::new(0, 0, cols, rows));
    view(model, &mut canvas);
    for cell in &canvas.buf.content {
        prop_assert!(!cell.symbol().chars().any(char::is_control), "{:?}", cell.symbol());
    }
    Ok(())
}
