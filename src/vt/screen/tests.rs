//! What the emulator is made to believe, and that nothing breaks it.

use proptest::prelude::*;

use super::*;

fn screen(cols: u16, rows: u16, bytes: &[u8]) -> Screen {
    let mut screen = Screen::new(Size { cols, rows });
    screen.feed(bytes);
    screen
}

/// Returns a row as text and columns.
fn row(screen: &Screen, row: u16) -> Vec<(String, u8)> {
    let mut cells = Vec::new();
    screen.cells(row, &mut |_, it| {
        let marks: String = it.marks.iter().collect();
        cells.push((format!("{}{marks}", it.c), it.width));
    });
    cells
}

/// Fails unless every row is one cell a column, each wide one followed by its second half.
fn check_cells(screen: &Screen) {
    for at in 0..screen.size().rows {
        let widths: Vec<u8> = row(screen, at).into_iter().map(|it| it.1).collect();
        assert_eq!(widths.len(), usize::from(screen.size().cols));
        let sum: usize = widths.iter().map(|it| usize::from(*it)).sum();
        assert_eq!(sum, widths.len(), "{widths:?}");
        for (col, width) in widths.iter().enumerate() {
            let after = widths.get(col + 1);
            assert_eq!(*width == 2, after == Some(&0), "column {col} of {widths:?}");
        }
    }
    if let Some(cursor) = screen.cursor() {
        assert!(cursor.col < screen.size().cols && cursor.row < screen.size().rows);
    }
}

#[test]
fn clusters_are_tmuxs() {
    for (text, before_x) in [
        ("❤\u{fe0f}x", 1),
        ("⌚\u{fe0e}x", 2),
        ("1\u{fe0f}\u{20e3}x", 1),
        ("👩\u{200d}👩\u{200d}👧x", 2),
        ("❤\u{fe0f}\u{200d}🔥x", 1),
        ("🇩🇪x", 2),
        ("👍🏽x", 4),
        ("漢\u{200d}字x", 2),
        ("\u{301}x", 0),
        ("a\u{ad}x", 2),
        ("☰x", 1),
        ("a\u{302e}x", 3),
        ("a\u{3164}x", 3),
        ("👩\u{200d}👩\u{200d}👧\u{200d}x", 2),
    ] {
        let screen = screen(20, 2, text.as_bytes());
        let cells = row(&screen, 0);
        let at = cells.iter().position(|it| it.0 == "x");
        assert_eq!(at, Some(before_x), "{}: {cells:?}", text.escape_unicode());
        check_cells(&screen);
    }
}

#[test]
fn a_cell_is_no_wider_outside_than_here() {
    let screen = screen(20, 1, "❤\u{fe0f}1\u{fe0f}\u{20e3}e\u{301}👩\u{200d}👧".as_bytes());
    let cells = row(&screen, 0);
    let text: Vec<&str> = cells[..5].iter().map(|it| it.0.as_str()).collect();
    assert_eq!(text, ["❤", "1\u{20e3}", "e\u{301}", "👩\u{200d}👧", " "]);
    assert_eq!(screen.row_text(0), "❤1\u{20e3}e\u{301}👩\u{200d}👧");
}

#[test]
fn marks_without_end_are_bounded() {
    let text = format!("a{}", "\u{301}".repeat(100_000));
    let cells = row(&screen(4, 1, text.as_bytes()), 0);
    assert!(cells[0].0.len() <= 21, "{}", cells[0].0.len());
}

#[test]
fn halves_of_wide_characters_leave_nothing() {
    for bytes in
        ["漢字\x1b[1;2Hx", "漢字\x1b[1;2H\x1b[X", "漢字\x1b[1;2H\x1b[P", "漢字\x1b[1;2H\x1b[@"]
    {
        check_cells(&screen(6, 2, bytes.as_bytes()));
    }
    let mut cut = screen(6, 2, "abcd漢".as_bytes());
    cut.resize(Size { cols: 5, rows: 2 });
    check_cells(&cut);
}

#[test]
fn a_wide_character_that_does_not_fit_leaves_the_line_alone() {
    let screen = screen(5, 2, "abcde\x1b[1;5H漢".as_bytes());
    assert_eq!([screen.row_text(0), screen.row_text(1)], ["abcde", "漢"]);
    check_cells(&screen);
}

#[test]
fn sgr_21_underlines_twice() {
    let screen = screen(5, 1, b"\x1b[1;21ma\x1b[24mb");
    let mut found = Vec::new();
    screen.cells(0, &mut |_, it| found.push((it.look.bold, it.look.underline)));
    assert_eq!(found[..2], [(true, Underline::Double), (true, Underline::None)]);
}

#[test]
fn blinking_text_blinks() {
    let screen = screen(6, 1, b"\x1b[5ma\x1b[25mb\x1b[6mc\x1b[md");
    let mut found = Vec::new();
    screen.cells(0, &mut |_, it| found.push(it.look.blink));
    assert_eq!(found[..4], [true, false, true, false]);
}

#[test]
fn modify_other_keys_is_heard() {
    let mut screen = screen(6, 1, b"\x1b[>4;1m");
    assert_eq!(screen.modes().modify_other_keys, 1);
    screen.feed(b"\x1b[>4;2m\x1b[?4m");
    assert_eq!(screen.modes().modify_other_keys, 2);
    assert_eq!(screen.take_events(), [Event::Reply(b"\x1b[>4;2m".to_vec())]);
    screen.feed(b"\x1b[>4m");
    assert_eq!(screen.modes().modify_other_keys, 0);
    screen.feed(b"\x1b[>4;2m\x1bc");
    assert_eq!(screen.modes().modify_other_keys, 0);
}

#[test]
fn an_update_is_held_back_until_it_ends() {
    let mut screen = screen(10, 2, b"\x1b[?2026$p");
    assert_eq!(screen.take_events(), [Event::Reply(b"\x1b[?2026;2$y".to_vec())]);
    assert!(screen.take_changed());
    assert!(!screen.take_changed());
    screen.feed(b"a\x1b[?2026hb");
    assert!(screen.syncing());
    assert_eq!(screen.row_text(0), "a");
    screen.feed(b"c\x1b[?2026l");
    assert!(!screen.syncing() && screen.take_changed());
    assert_eq!(screen.row_text(0), "abc");
}

#[test]
fn an_update_whose_program_died_is_ended_by_force() {
    let mut screen = screen(10, 2, b"a\x1b[?2026hb\x1b[3");
    screen.resize(Size { cols: 5, rows: 3 });
    assert!(screen.syncing());
    screen.take_changed();
    screen.stop_sync();
    assert!(!screen.syncing() && screen.take_changed());
    assert_eq!(screen.row_text(0), "ab");
    // What was cut goes on where it was.
    screen.feed(b"1mc");
    assert_eq!(screen.row_text(0), "abc");
    screen.stop_sync();
    assert!(screen.take_changed(), "the feed");
    screen.stop_sync();
    assert!(!screen.take_changed(), "nothing to end");
}

#[test]
fn a_program_that_asks_without_end_is_bounded() {
    let mut screen = screen(10, 2, &b"\x1b[c\x07\x1b]0;t\x07".repeat(5000));
    assert_eq!(screen.take_events().len(), EVENTS_MAX);
    assert_eq!(screen.take_events(), []);
}

#[test]
fn sizes_no_terminal_has_become_ones_that_one_can_have() {
    for (cols, rows) in [(0, 0), (1, 1), (2, 2), (u16::MAX, 1)] {
        let mut screen = screen(cols, rows, "漢a\u{301}\r\n漢字".as_bytes());
        check_cells(&screen);
        screen.resize(Size { cols: rows, rows: cols });
        screen.feed("\x1b[99;99H漢\x1b[?1049h漢".as_bytes());
        check_cells(&screen);
    }
}

#[test]
fn titles_and_copies_are_told() {
    let mut screen = screen(10, 2, b"\x1b]2;a\x1b\\\x1b]52;c;aGk=\x07");
    let events = screen.take_events();
    assert_eq!(events, [Event::Title(Some("a".into())), Event::Copy("hi".into())]);
    assert_eq!(screen.title(), Some("a"));
    screen.feed(b"\x1b]52;c;?\x07");
    assert_eq!(screen.take_events(), [], "nothing is read from the clipboard");
}

#[test]
fn a_character_that_was_cut_takes_none_with_it() {
    let text = "éx漢é🎉é\u{301}y";
    for cut in 0..=text.len() {
        let mut screen = screen(20, 1, &text.as_bytes()[..cut]);
        screen.feed(&text.as_bytes()[cut..]);
        assert_eq!(screen.row_text(0), text, "cut at {cut}");
    }
    let mut broken = screen(20, 1, b"a\xe6\xbc");
    broken.feed(b"\x1b[31mb\xf0");
    broken.feed(b"c");
    assert_eq!(broken.row_text(0), "a\u{fffd}b\u{fffd}c");
}

#[test]
fn a_string_without_end_is_ended() {
    let mut screen = screen(5, 2, b"\x1b]0;");
    let chunk = [b'a'; 64 * 1024];
    (0..=STRING_MAX / chunk.len()).for_each(|_| screen.feed(&chunk));
    screen.feed(b"\rbcdef");
    assert_eq!(screen.row_text(1), "bcdef");
    let copy = format!("\x1b]52;c;{}\x07", "YWFh".repeat(COPY_MAX / 3));
    copy.as_bytes().chunks(chunk.len()).for_each(|it| screen.feed(it));
    let copied = screen.take_events().into_iter().any(|it| matches!(it, Event::Copy(_)));
    assert!(copied, "the longest copy is no such string");
}

/// Bytes that a program might write, and bytes that none should.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..12),
        any::<String>().prop_map(String::into_bytes),
        "(\x1b\\[[?>=]?[0-9;:]{0,6}[@-~]|[a-z漢字🎉❤\u{301}\u{200d}\u{fe0f}🇩]{1,5}|\r\n|\t)"
            .prop_map(String::into_bytes),
        Just(b"\x1b[?2026h".to_vec()),
        Just(b"\x1b[?1049h".to_vec()),
        Just(b"\x1b[?1049l".to_vec()),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|it| it.concat())
}

#[test]
fn modes_and_titles_laid_aside_without_end_break_nothing() {
    let aside = b"\x1b[>1u\x1b[?1049h\x1b[>1u\x1b[<9u\x1b[?1049l";
    let mut screen = screen(20, 5, &aside.repeat(5000));
    screen.feed(&b"\x1b]0;t\x07\x1b[22;0t".repeat(5000));
    screen.feed(&b"\x1b[>1u".repeat(5000));
    assert_eq!(screen.modes().kitty, 1);
    screen.feed(b"\x1b[<9999u");
    assert_eq!(screen.modes().kitty, 0);
}

#[test]
fn tabs_back_without_stops_cost_nothing() {
    let mut screen = screen(1000, 5, b"\x1b[3g\x1b[1;999Hx");
    screen.feed(&b"\x1b[65535Z".repeat(1000));
    assert_eq!(screen.row_text(0).trim_start(), "x");
}

proptest! {
    #[test]
    fn nothing_breaks_it(
        steps in proptest::collection::vec((bytes(), 0u16..24, 0u16..12, any::<bool>()), 1..8),
    ) {
        let mut screen = Screen::new(Size { cols: 8, rows: 4 });
        for (bytes, cols, rows, stop) in steps {
            screen.feed(&bytes);
            check_cells(&screen);
            screen.resize(Size { cols, rows });
            check_cells(&screen);
            if stop {
                screen.stop_sync();
            }
            for event in screen.take_events() {
                if let Event::Title(Some(it)) = event {
                    prop_assert!(!it.chars().any(char::is_control));
                }
            }
        }
        check_cells(&screen);
    }

    #[test]
    fn it_does_not_matter_where_bytes_are_cut(bytes in bytes(), cut in any::<prop::sample::Index>()) {
        let whole = screen(8, 4, &bytes);
        let cut = cut.index(bytes.len() + 1);
        let mut parts = screen(8, 4, &bytes[..cut]);
        parts.feed(&bytes[cut..]);
        for at in 0..4 {
            prop_assert_eq!(row(&whole, at), row(&parts, at));
        }
    }
}
