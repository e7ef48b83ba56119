//! The log as a window on a file that may have a gigabyte, and what its keys do.

use std::path::PathBuf;

use proptest::prelude::*;
use ratatui::layout::Rect;

use crate::{
    api::types::LogLine,
    stdx::time::Timestamp,
    tui::{
        canvas::Canvas,
        effect::{Ask, Effect, File, HandOver, LogAsk, LogView},
        fixture::{NOW, fleet, press, screen, send, type_text, with_tasks},
        model::{Model, Panel},
        msg::{LogMsg, Msg, ReadId},
        pane::log::buffer::{BYTES_MAX, ITEMS_MAX},
        update::{areas, update},
        view::view,
    },
};

fn asked(effects: &[Effect]) -> Vec<(ReadId, String, LogAsk)> {
    let read = |it: &Effect| match it {
        Effect::ReadLog { read, task, query } if read.panel == Panel::Log => {
            Some((*read, task.clone(), query.clone()))
        }
        _ => None,
    };
    effects.iter().filter_map(read).collect()
}

fn stopped(effects: &[Effect]) -> Vec<ReadId> {
    let stop = |it: &Effect| match it {
        Effect::StopLog(read) if read.panel == Panel::Log => Some(*read),
        _ => None,
    };
    effects.iter().filter_map(stop).collect()
}

fn line(kind: &str, text: &str) -> LogLine {
    LogLine { at: Some(NOW), kind: kind.into(), text: text.into(), pos: None }
}

fn lines(model: &mut Model, read: ReadId, lines: Vec<LogLine>) -> Vec<Effect> {
    send(model, Msg::Log { read, what: LogMsg::Lines(lines) })
}

fn last_note(model: &Model) -> &str {
    model.shared.notes.back().map_or("", |it| it.text.as_str())
}

fn copied(effects: &[Effect]) -> Option<&str> {
    effects.iter().find_map(|it| match it {
        Effect::Copy(text) => Some(text.as_str()),
        _ => None,
    })
}

/// A dashboard whose log panel has the keys, and the reading it began.
fn reading(cols: u16, rows: u16) -> (Model, ReadId) {
    let mut model = with_tasks(cols, rows, fleet());
    model.shared.selected = Some("task-aaaa2222".to_owned());
    let mut effects = update(&mut model, Msg::Wake, Timestamp(NOW.0 + 200));
    effects.extend(press(&mut model, &["3"]));
    effects.extend(update(&mut model, Msg::Wake, Timestamp(NOW.0 + 400)));
    let read = model.log.reads.live.expect("the log is read");
    let (_, task, query) = asked(&effects).pop().unwrap_or_else(|| {
        let view = LogView::Activity;
        (read, "task-aaaa2222".into(), LogAsk { view, tail: 500, before: None, follow: true })
    });
    assert_eq!(task, "task-aaaa2222");
    assert_eq!((query.tail, query.follow, query.before), (500, true, None));
    (model, read)
}

/// One that has a day's work in it.
fn worked(cols: u16, rows: u16) -> Model {
    let (mut model, read) = reading(cols, rows);
    let story = vec![
        line("you", "find the race, add a test, then clean up"),
        line("tool", "Read src/auth/session.rs"),
        line("text", "The race is between refresh() and revoke()."),
        line("tool", "Bash cargo test -p auth"),
        line("out", "running 118 tests\ntest result: ok. 118 passed; 0 failed"),
        line("fail", "exit 101: error[E0425]: cannot find value `x`"),
        line("you", "go on"),
        line("cost", "turn 41  $0.19   total $4.31"),
        line("note", "hostile \x1b[2J name\u{7}"),
    ];
    lines(&mut model, read, story);
    send(&mut model, Msg::Log { read, what: LogMsg::CaughtUp });
    model
}

/// A log of so many lines, answered as the dispatcher does.
struct Huge {
    len: u64,
    most: usize,
}

impl Huge {
    fn answer(&mut self, model: &mut Model, effects: Vec<Effect>) {
        let mut waiting = asked(&effects);
        let mut rounds = 0;
        while let Some((read, _, query)) = waiting.pop() {
            rounds += 1;
            assert!(rounds < 100, "pages are asked for without end");
            let end = query.before.unwrap_or(self.len);
            let from = end.saturating_sub(query.tail as u64);
            let all = (from..end).map(|it| LogLine {
                at: Some(NOW),
                kind: "out".into(),
                text: format!("line number {it} of a log that does not end"),
                pos: Some(it),
            });
            let mut effects = lines(model, read, all.collect());
            let what = if query.follow { LogMsg::CaughtUp } else { LogMsg::Ended };
            effects.extend(send(model, Msg::Log { read, what }));
            waiting.extend(asked(&effects));
            let buffer = &model.log.buffer;
            self.most = self.most.max(buffer.len());
            assert!(buffer.len() <= ITEMS_MAX, "{} rows are held", buffer.len());
        }
    }

    fn press(&mut self, model: &mut Model, key: &str) {
        let effects = press(model, &[key]);
        self.answer(model, effects);
    }
}

/// The numbers of the lines held, which must follow each other.
fn held(model: &Model) -> (u64, u64) {
    let buffer = &model.log.buffer;
    let pos = |at: usize| buffer.get(at).and_then(|it| it.pos).unwrap();
    for at in 1..buffer.len() {
        assert_eq!(pos(at), pos(at - 1) + 1, "a gap at {at}");
    }
    (pos(0), pos(buffer.len() - 1))
}

#[test]
fn a_log_of_a_gigabyte_opens_at_its_end_and_scrolls_both_ways_in_bounded_memory() {
    const LEN: u64 = 20_000_000;
    let (mut model, read) = reading(120, 36);
    let mut log = Huge { len: LEN, most: 0 };
    let first = LogAsk { view: LogView::Activity, tail: 500, before: None, follow: true };
    log.answer(
        &mut model,
        vec![Effect::ReadLog { read, task: "task-aaaa2222".into(), query: first }],
    );
    assert_eq!(held(&model), (LEN - 500, LEN - 1));
    assert!(screen(&model).contains("line number 19999999"));
    for _ in 0..70 {
        log.press(&mut model, "g");
    }
    let (from, to) = held(&model);
    assert_eq!(from, LEN - 500 * 71);
    assert!(to < LEN - 1 && log.most <= ITEMS_MAX);
    assert_eq!(model.log.reads.live, None, "what comes would not join what is held");
    // Down again, page by page, without a gap.
    let mut presses = 0;
    while held(&model).1 < LEN - 1 {
        let line = model.log.shown_len() - 1;
        model.log.go(line);
        log.press(&mut model, "j");
        presses += 1;
        assert!(presses < 200, "{:?}", held(&model));
    }
    log.press(&mut model, "G");
    assert!(model.log.follow && model.log.reads.live.is_some());
    assert!(screen(&model).contains("line number 19999999"));
}

#[test]
fn long_lines_count_by_their_bytes() {
    let (mut model, read) = reading(120, 36);
    for _ in 0..20 {
        lines(&mut model, read, vec![line("out", &"wide ".repeat(200_000))]);
    }
    let held: usize = (0..model.log.buffer.len())
        .filter_map(|it| model.log.buffer.get(it))
        .map(|it| it.line.text.len())
        .sum();
    assert!(held <= BYTES_MAX, "{held}");
    screen(&model);
}

#[test]
fn a_filter_that_nothing_passes_does_not_read_all_of_a_log() {
    let (mut model, read) = reading(120, 36);
    let mut log = Huge { len: 20_000_000, most: 0 };
    let first = LogAsk { view: LogView::Activity, tail: 500, before: None, follow: true };
    let open = Effect::ReadLog { read, task: "task-aaaa2222".into(), query: first };
    log.answer(&mut model, vec![open]);
    press(&mut model, &["F"]);
    type_text(&mut model, "no such text");
    log.press(&mut model, "enter");
    assert!(screen(&model).contains("no line passes the filter"));
    assert!(log.most <= 11_000, "{}", log.most);
}

#[test]
fn another_task_is_read_once_the_selection_rests() {
    let (mut model, read) = reading(120, 36);
    let effects = {
        model.shared.selected = Some("task-bbbb2222".to_owned());
        update(&mut model, Msg::Wake, Timestamp(NOW.0 + 1000))
    };
    assert_eq!((asked(&effects), stopped(&effects)), (vec![], vec![]));
    let effects = update(&mut model, Msg::Wake, Timestamp(NOW.0 + 1150));
    assert_eq!(stopped(&effects), [read]);
    assert_eq!(asked(&effects)[0].1, "task-bbbb2222");
}

#[test]
fn a_log_that_is_not_drawn_is_not_read() {
    let (mut model, read) = reading(80, 24);
    assert_eq!(stopped(&press(&mut model, &["2"])), [read]);
    assert_eq!(asked(&press(&mut model, &["3"])).len(), 1);
}

#[test]
fn the_views_take_turns_and_only_the_terminal_does_not_follow() {
    let (mut model, _) = reading(120, 36);
    let views: Vec<(LogView, bool)> = (0..3)
        .map(|_| asked(&press(&mut model, &["V"]))[0].2.clone())
        .map(|it| (it.view, it.follow))
        .collect();
    let wanted = [(LogView::Events, true), (LogView::Terminal, false), (LogView::Activity, true)];
    assert_eq!(views, wanted);
}

#[test]
fn errors_turns_and_matches_are_gone_to() {
    let mut model = worked(120, 36);
    let here = |model: &Model| model.log.item(model.log.cursor).unwrap().line.text.clone();
    press(&mut model, &["E"]);
    assert!(here(&model).starts_with("exit 101"));
    press(&mut model, &["{"]);
    assert!(here(&model).starts_with("find the race"));
    press(&mut model, &["}"]);
    assert_eq!(here(&model), "go on");
    press(&mut model, &["}"]);
    assert_eq!(last_note(&model), "no turn after this");
    press(&mut model, &["/"]);
    type_text(&mut model, "cargo");
    press(&mut model, &["enter"]);
    assert!(here(&model).starts_with("Bash cargo test"));
    assert!(screen(&model).contains("/cargo 1"));
    assert!(!model.log.follow);
}

#[test]
fn filters_show_what_holds_a_text_or_not() {
    let mut model = worked(120, 36);
    let shown = |model: &Model| model.log.shown_len();
    assert_eq!(shown(&model), 10);
    press(&mut model, &["T"]);
    assert_eq!(shown(&model), 2);
    press(&mut model, &["T", "F"]);
    type_text(&mut model, "!test");
    press(&mut model, &["enter"]);
    assert_eq!(shown(&model), 6);
    press(&mut model, &["F", "ctrl-u", "enter"]);
    assert_eq!(shown(&model), 10);
}

#[test]
fn selected_lines_and_the_screen_are_copied() {
    let mut model = worked(120, 36);
    let effects = press(&mut model, &["g", "v", "j", "y"]);
    let wanted = "find the race, add a test, then clean up\nRead src/auth/session.rs\n";
    assert_eq!(copied(&effects), Some(wanted));
    assert_eq!(last_note(&model), "2 lines copied");
    let effects = press(&mut model, &["c"]);
    assert_eq!(copied(&effects).map(|it| it.lines().count()), Some(10));
}

#[test]
fn saving_says_where_and_what() {
    let mut model = worked(120, 36);
    press(&mut model, &["ctrl-s"]);
    assert!(screen(&model).contains("save to: ./fix-auth-race-activity.log"));
    let effects = press(&mut model, &["enter"]);
    let found = effects.iter().find_map(|it| match it {
        Effect::Ask { ask: Ask::WriteFile { file, text }, .. } => Some((file, text)),
        _ => None,
    });
    let (file, text) = found.unwrap();
    let path = PathBuf::from("/home/ann/src/shop/./fix-auth-race-activity.log");
    assert_eq!(*file, File::Chosen(path));
    assert_eq!(text.lines().count(), 10);
    assert!(text.starts_with("2026-11-21T14:32:07.000Z you   find the race"), "{text}");
    let label = &model.calls.pending.values().last().unwrap().label;
    assert_eq!(label, "saved the 10 lines");
}

#[test]
fn the_log_goes_through_a_pipe_and_to_the_pager() {
    let mut model = worked(120, 36);
    press(&mut model, &["|"]);
    type_text(&mut model, "wc -l");
    let effects = press(&mut model, &["enter"]);
    assert!(effects.iter().any(|it| matches!(it,
        Effect::Ask { ask: Ask::Pipe { command, text }, .. }
            if command == "wc -l" && text.lines().count() == 10)));
    let effects = press(&mut model, &["o"]);
    assert!(effects.iter().any(|it| matches!(it,
        Effect::HandOver(HandOver::Pager { text }) if text.contains("go on"))));
}

#[test]
fn who_looks_back_stays_where_they_are_while_lines_come() {
    let (mut model, read) = reading(120, 36);
    let old = (0..200).map(|it| line("out", &format!("old {it}"))).collect();
    lines(&mut model, read, old);
    press(&mut model, &["g"]);
    let before = screen(&model);
    lines(&mut model, read, vec![line("out", "new")]);
    let rows = |it: &str| it.lines().filter(|it| it.contains("old ")).count();
    assert_eq!(rows(&screen(&model)), rows(&before));
    assert!(!screen(&model).contains("new"));
    press(&mut model, &["G"]);
    assert!(screen(&model).contains("new"));
}

#[test]
fn panels_at_the_sizes() {
    for (cols, rows) in [(80, 24), (120, 36), (200, 50)] {
        let model = worked(cols, rows);
        let area = areas(&model).panel(Panel::Log).unwrap();
        let whole = screen(&model);
        let cut = |it: &str| {
            let row: String = it.chars().skip(area.x.into()).take(area.width.into()).collect();
            row.trim_end().to_owned() + "\n"
        };
        let rows_of = whole.lines().skip(area.y.into()).take(area.height.into());
        let drawn: String = rows_of.map(cut).collect();
        insta::assert_snapshot!(format!("log-{cols}x{rows}"), drawn);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_in_a_log_steers_the_terminal(
        (cols, rows) in (1u16..130, 1u16..40),
        texts in prop::collection::vec(("[a-z]{0,9}", any::<String>()), 0..20),
        keys in prop::collection::vec(prop::sample::select(
            vec!["j", "k", "g", "G", "w", "t", "T", "v", "m", "n", "e", "}", "V", "c", "pageup"]), 0..12),
    ) {
        let (mut model, read) = reading(120, 36);
        let all = texts.iter().map(|(kind, text)| line(kind, text)).collect();
        lines(&mut model, read, all);
        let resize = crate::tui::msg::Input::Resize { cols, rows };
        send(&mut model, Msg::Input(resize));
        for key in keys {
            press(&mut model, &[key]);
            let mut canvas = Canvas::new(Rect::new(0, 0, cols, rows));
            view(&model, &mut canvas);
            for cell in &canvas.buf.content {
                prop_assert!(!cell.symbol().chars().any(char::is_control));
            }
        }
    }
}
