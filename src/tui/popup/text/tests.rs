//! Text to read, as it is drawn and searched.

use crate::{
    api::types::{Diff, DiffFile, Why, Witness},
    stdx::time::Timestamp,
    tui::{
        effect::{Ask, Effect, HandOver, Request},
        fixture::{NOW, fleet, press, screen, send, task, type_text, with_tasks},
        model::Model,
        msg::{Msg, Reply, RequestId},
        popup::{Kind, Popup, PopupId, text},
        theme::{Role, Theme},
    },
};

/// Presses a key on the first task.
fn shown(cols: u16, rows: u16, key: &str) -> (Model, Vec<Effect>) {
    let mut model = with_tasks(cols, rows, fleet());
    model.shared.selected = Some("task-aaaa2222".into());
    let effects = press(&mut model, &[key]);
    (model, effects)
}

fn request(effects: &[Effect]) -> Option<(RequestId, Request)> {
    effects.iter().find_map(|it| match it {
        Effect::Ask { id, ask: Ask::Request(request) } => Some((*id, request.clone())),
        _ => None,
    })
}

#[test]
fn every_fact_is_there_and_scrolls_into_sight() {
    let (mut model, _) = shown(80, 24, "D");
    insta::assert_snapshot!("describe-80x24", screen(&model));
    assert!(screen(&model).contains("more below"));
    press(&mut model, &["G"]);
    assert!(screen(&model).contains("+86 -14") && !screen(&model).contains("more below"));
    press(&mut model, &["/"]);
    type_text(&mut model, "workspace");
    press(&mut model, &["enter"]);
    assert!(screen(&model).contains("/runs/task-aaaa2222/work"));
    let effects = press(&mut model, &["o"]);
    assert!(effects.iter().any(|it| matches!(it, Effect::HandOver(HandOver::Pager { .. }))));
    press(&mut model, &["esc", "esc"]);
    assert!(model.popups.is_empty());
}

#[test]
fn the_evidence_is_asked_for_and_told_with_its_times() {
    let (mut model, effects) = shown(120, 36, "v");
    let (id, asked) = request(&effects).unwrap();
    assert!(matches!(asked, Request::Why { id } if id == "task-aaaa2222"));
    let evidence = vec![Witness {
        source: "hook".into(),
        at: Timestamp(NOW.0 - 9000),
        says: "PermissionRequest Bash rm -rf build/\x1b[2J".into(),
    }];
    let task = task("aaaa2222", "fix-auth-race");
    let why = Reply::Why(Box::new(Why { task, evidence }));
    send(&mut model, Msg::Answered { id, result: Ok(why) });
    let text = screen(&model);
    assert!(text.contains("14:31:58  hook"), "{text}");
    assert!(text.contains("PermissionRequest Bash rm -rf build/\u{fffd}[2J"), "{text}");
}

#[test]
fn a_diff_goes_from_file_to_file() {
    let (mut model, effects) = shown(80, 24, "d");
    let (id, _) = request(&effects).unwrap();
    let file =
        |path: &str| DiffFile { path: path.into(), added: 1, removed: 1, ..DiffFile::default() };
    let body = |path: &str| {
        let context = "  same\n".repeat(30);
        format!("diff --git a/{path} b/{path}\n@@ -1 +1 @@\n-old\n+new\n{context}")
    };
    let diff = Diff {
        base: "4f1c2ab0000000000000".into(),
        stat: vec![file("one.rs"), file("two.rs")],
        files: 2,
        text: body("one.rs") + &body("two.rs"),
        cut: false,
    };
    send(&mut model, Msg::Answered { id, result: Ok(Reply::Diff(Box::new(diff))) });
    insta::assert_snapshot!("diff-80x24", screen(&model));
    press(&mut model, &["n", "n"]);
    let text = screen(&model);
    assert!(text.contains("diff --git a/two.rs"), "{text}");
    press(&mut model, &["N"]);
    assert!(screen(&model).contains("diff --git a/one.rs"));
}

#[test]
fn it_is_drawn_at_every_size() {
    for (cols, rows) in [(1, 1), (2, 3), (20, 5), (60, 16), (200, 50)] {
        let lines = vec![(None, "漢字 and more".repeat(20)); 50];
        let mut model = with_tasks(cols, rows, fleet());
        let kind = Kind::Text(text::Model::lines("a title", lines));
        model.popups.push(Popup { id: PopupId(99), kind });
        press(&mut model, &["G", "g", "pagedown", "/"]);
        screen(&model);
    }
}

#[test]
fn code_in_a_diff_has_its_colours_and_its_sign() {
    let (mut model, effects) = shown(80, 24, "d");
    let (id, _) = request(&effects).unwrap();
    let file = DiffFile { path: "a.rs".into(), added: 1, removed: 1, ..DiffFile::default() };
    let text = "diff --git a/a.rs b/a.rs\n--- a/a.rs\n+++ b/a.rs\n@@ -1,2 +1,2 @@\n let a = 1;\n\
                -let b = \"/* it\";\n+let b = 2; /* is\n+let it be */\n-let c = 3;\n";
    let diff =
        Diff { base: "4f1c".into(), stat: vec![file], files: 1, text: text.into(), cut: false };
    send(&mut model, Msg::Answered { id, result: Ok(Reply::Diff(Box::new(diff))) });
    for theme in [Theme::Dark, Theme::Light, Theme::HighContrast, Theme::Plain] {
        model.shared.look.theme = theme;
        let text = screen(&model);
        let row = |line: &str| {
            let (y, found) = text.lines().enumerate().find(|it| it.1.contains(line)).unwrap();
            (y, found.split(line).next().unwrap().chars().count())
        };
        let mut canvas = crate::tui::canvas::Canvas::new(ratatui::layout::Rect::new(0, 0, 80, 24));
        crate::tui::view::view(&model, &mut canvas);
        let style = |line: &str, column: usize| {
            let (y, x) = row(line);
            let cell = &canvas.buf[(u16::try_from(x + column).unwrap(), u16::try_from(y).unwrap())];
            (cell.fg, cell.modifier)
        };
        let is = |base: Role, over: Option<Role>| {
            let style = theme.style(base);
            let style = over.map_or(style, |it| style.patch(theme.style(it)));
            (style.fg.unwrap_or_default(), style.add_modifier - style.sub_modifier)
        };
        // The sign is the line's, the words are the code's.
        assert_eq!(style("+let b", 0), is(Role::Added, None), "{theme:?}");
        assert_eq!(style("-let b", 0), is(Role::Removed, None), "{theme:?}");
        let keyword = Some(Role::CodeKeyword);
        assert_eq!(style("+let b", 1), is(Role::Added, keyword), "{theme:?}");
        assert_eq!(style("-let b", 1), is(Role::Removed, keyword), "{theme:?}");
        assert_eq!(style(" let a", 1), is(Role::Text, keyword), "{theme:?}");
        // A comment goes on to the next line of its own side, and not of the other.
        assert_eq!(style("+let it be", 1), is(Role::Added, Some(Role::CodeComment)), "{theme:?}");
        assert_eq!(style("-let c", 1), is(Role::Removed, keyword), "{theme:?}");
    }
}
