use proptest::prelude::*;
use ratatui::layout::Rect;
use unicode_segmentation::UnicodeSegmentation;

use super::{keys::Taken, wrap::wrap, *};
use crate::tui::{canvas::Canvas, keymap::parse, theme::Theme};

const KEYS: [&str; 41] = [
    "left",
    "right",
    "up",
    "down",
    "home",
    "end",
    "pageup",
    "pagedown",
    "ctrl-home",
    "ctrl-end",
    "ctrl-left",
    "ctrl-right",
    "alt-b",
    "alt-f",
    "alt-d",
    "backspace",
    "delete",
    "ctrl-w",
    "ctrl-u",
    "ctrl-k",
    "ctrl-d",
    "shift-left",
    "shift-right",
    "shift-up",
    "shift-down",
    "enter",
    "a",
    "space",
    "é",
    "👩",
    "\u{200d}",
    "\u{301}",
    "🇩",
    "語",
    "alt-c",
    "alt-x",
    "alt-v",
    "\t",
    "alt-backspace",
    "ctrl-a",
    "ctrl-e",
];

fn press(editor: &mut Editor, key: &str) -> Taken {
    editor.key(&parse(key).unwrap_or_else(|| panic!("no key `{key}`")))
}

fn screen(editor: &Editor, cols: u16, rows: u16) -> (Vec<String>, (u16, u16)) {
    let area = Rect::new(0, 0, cols, rows);
    let mut canvas = Canvas::new(area);
    editor.view(area, true, Theme::Plain, &mut canvas);
    let line = |y| (0..cols).map(|x| canvas.buf[(x, y)].symbol()).collect::<String>();
    let cursor = canvas.cursor.map(|it| (it.at.x, it.at.y)).unwrap();
    ((0..rows).map(|y| line(y).trim_end().to_owned()).collect(), cursor)
}

#[test]
fn words_wrap_and_the_cursor_is_where_the_text_is() {
    let mut editor = Editor::new("find the race, add a test");
    editor.fit(12, 4);
    assert_eq!(screen(&editor, 12, 4).0, ["find the", "race, add a", "test", ""]);
    assert_eq!(screen(&editor, 12, 4).1, (4, 2));
    press(&mut editor, "up");
    assert_eq!(screen(&editor, 12, 4).1, (4, 1));
    press(&mut editor, "home");
    press(&mut editor, "X");
    assert_eq!(editor.text(), "find the Xrace, add a test");
}

#[test]
fn up_and_down_keep_to_the_column_over_short_lines() {
    let mut editor = Editor::new("long line\nx\nlong line");
    press(&mut editor, "up");
    press(&mut editor, "up");
    assert_eq!(editor.cursor, Spot { line: 0, at: 9 });
    assert_eq!(press(&mut editor, "up"), Taken::No);
}

#[test]
fn typed_words_are_undone_one_at_a_time() {
    let mut editor = Editor::default();
    "one two".chars().for_each(|it| {
        press(&mut editor, &it.to_string().replace(' ', "space"));
    });
    assert_eq!(editor.text(), "one two");
    press(&mut editor, "ctrl-z");
    assert_eq!(editor.text(), "one ");
    press(&mut editor, "ctrl-_");
    press(&mut editor, "ctrl-z");
    assert_eq!(editor.text(), "");
    for _ in 0..3 {
        press(&mut editor, "alt-z");
    }
    assert_eq!(editor.text(), "one two");
}

#[test]
fn selected_text_is_replaced_cut_and_put_back() {
    let mut editor = Editor::new("a\nb\nc");
    press(&mut editor, "shift-up");
    press(&mut editor, "alt-x");
    assert_eq!(editor.text(), "a\nb");
    press(&mut editor, "alt-v");
    assert_eq!(editor.text(), "a\nb\nc");
    press(&mut editor, "ctrl-home");
    press(&mut editor, "shift-right");
    press(&mut editor, "z");
    assert_eq!(editor.text(), "z\nb\nc");
}

#[test]
fn nul_is_refused_and_said() {
    let mut editor = Editor::default();
    assert_eq!(editor.paste("a\0b\r\nc\rd\u{1b}[2J"), Some(Refused::Nul));
    assert_eq!(editor.text(), "ab\nc\nd\u{1b}[2J");
    assert_eq!(screen(&editor, 20, 3).0[2], "d\u{fffd}[2J");
}

#[test]
fn a_mebibyte_is_taken_and_no_byte_more() {
    for text in ["x".repeat(PROMPT_MAX), "\n".repeat(PROMPT_MAX), "語\n".repeat(PROMPT_MAX / 4)] {
        let mut editor = Editor::default();
        assert_eq!(editor.paste(&text), None);
        assert_eq!(editor.text(), text);
        editor.fit(78, 20);
        for key in ["up", "end", "backspace", "enter", "pageup", "ctrl-home", "ctrl-z"] {
            press(&mut editor, key);
            screen(&editor, 78, 20);
        }
        assert!(matches!(editor.paste("yy"), None | Some(Refused::Full)));
        assert!(editor.bytes() <= PROMPT_MAX);
    }
}

#[test]
fn a_click_puts_the_cursor_there() {
    let mut editor = Editor::new("ab\ncd\nef");
    editor.fit(10, 3);
    let area = Rect::new(5, 5, 10, 3);
    editor.click(area, 6, 6, false);
    assert_eq!(editor.cursor, Spot { line: 1, at: 1 });
    editor.click(area, 14, 14, true);
    assert_eq!(editor.selected(), Some((Spot { line: 1, at: 1 }, Spot { line: 2, at: 2 })));
}

proptest! {
    #[test]
    fn any_keys_keep_the_cursor_between_characters_and_undo_returns(
        text in "(\\PC|\n|\t){0,30}",
        keys in proptest::collection::vec(0..KEYS.len(), 0..60),
        size in (1u16..14, 1u16..5),
    ) {
        let mut editor = Editor::new(&text);
        editor.fit(size.0, size.1);
        prop_assert_eq!(editor.text(), &*text);
        for it in keys {
            press(&mut editor, KEYS[it]);
            let line = &editor.lines[editor.cursor.line];
            let border = line.grapheme_indices(true).any(|it| it.0 == editor.cursor.at);
            prop_assert!(border || editor.cursor.at == line.len());
            prop_assert_eq!(editor.bytes, editor.text().len());
            screen(&editor, size.0, size.1);
            screen(&editor, 7, 2);
        }
        let last = editor.text();
        while editor.undo() {}
        prop_assert_eq!(editor.text(), text);
        while editor.redo() {}
        prop_assert_eq!(editor.text(), last);
    }

    #[test]
    fn rows_are_the_line_and_fit(text in "(\\PC| ){0,80}", width in 2u16..20) {
        let rows = wrap(&text, width);
        let joined: String = rows.iter().map(|it| &text[it.clone()]).collect();
        prop_assert_eq!(joined, &*text);
        for row in rows {
            // Spaces may hang over the edge, and so may one character that is wider than a row.
            let row = text[row].trim_end_matches(' ');
            let columns: u16 = row.graphemes(true)
                .fold(0, |col, it| col + cluster::columns(it, col));
            prop_assert!(columns <= width || row.graphemes(true).count() == 1, "{row:?}");
        }
    }
}
