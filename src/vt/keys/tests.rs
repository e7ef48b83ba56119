//! Tables of keys and what xterm sends for them.

use proptest::prelude::*;

use super::*;

const ALT_CTRL: Mods = Mods { alt: true, ..Mods::CTRL };
const SHIFT_CTRL: Mods = Mods { shift: true, ..Mods::CTRL };

fn key(code: Code, mods: Mods) -> Key {
    Key { code, mods, phase: Phase::Press }
}

fn check(modes: &Modes, table: &[(Code, Mods, &str)]) {
    for (code, mods, expected) in table {
        let found = encode(&key(*code, *mods), modes);
        assert_eq!(found.escape_ascii().to_string(), *expected, "{code:?} {mods:?}");
    }
}

#[test]
fn ctrl_makes_control_characters_of_letters() {
    for (byte, c) in (1u8..=26).zip('a'..='z') {
        for c in [c, c.to_ascii_uppercase()] {
            assert_eq!(encode(&Key::ctrl(c), &Modes::default()), [byte], "Ctrl+{c}");
            let found = encode(&key(Code::Char(c), ALT_CTRL), &Modes::default());
            assert_eq!(found, [0x1b, byte], "Ctrl+Alt+{c}");
        }
    }
}

#[test]
fn characters_are_told_as_they_are() {
    let char = |it| Code::Char(it);
    check(
        &Modes::default(),
        &[
            (char('a'), Mods::NONE, "a"),
            (char('A'), Mods::SHIFT, "A"),
            (char('a'), Mods::ALT, r"\x1ba"),
            (char('é'), Mods::NONE, r"\xc3\xa9"),
            (char('é'), Mods::CTRL, r"\xc3\xa9"),
            (char('漢'), Mods::ALT, r"\x1b\xe6\xbc\xa2"),
            (char(' '), Mods::CTRL, r"\x00"),
            (char('@'), Mods::CTRL, r"\x00"),
            (char('2'), Mods::CTRL, r"\x00"),
            (char('['), Mods::CTRL, r"\x1b"),
            (char('\\'), Mods::CTRL, r"\x1c"),
            (char(']'), Mods::CTRL, r"\x1d"),
            (char('^'), Mods::CTRL, r"\x1e"),
            (char('_'), Mods::CTRL, r"\x1f"),
            (char('/'), Mods::CTRL, r"\x1f"),
            (char('8'), Mods::CTRL, r"\x7f"),
            (char('1'), Mods::CTRL, "1"),
            (char(';'), Mods::CTRL, ";"),
        ],
    );
}

#[test]
fn the_small_keys_send_one_byte() {
    check(
        &Modes::default(),
        &[
            (Code::Enter, Mods::NONE, r"\r"),
            (Code::Enter, Mods::SHIFT, r"\r"),
            (Code::Enter, Mods::ALT, r"\x1b\r"),
            (Code::Tab, Mods::NONE, r"\t"),
            (Code::Tab, Mods::SHIFT, r"\x1b[Z"),
            (Code::BackTab, Mods::NONE, r"\x1b[Z"),
            (Code::BackTab, Mods::SHIFT, r"\x1b[Z"),
            (Code::Backspace, Mods::NONE, r"\x7f"),
            (Code::Backspace, Mods::CTRL, r"\x08"),
            (Code::Backspace, Mods::ALT, r"\x1b\x7f"),
            (Code::Esc, Mods::NONE, r"\x1b"),
            (Code::Esc, Mods::ALT, r"\x1b\x1b"),
        ],
    );
}

#[test]
fn function_keys_are_xterms() {
    let plain = [
        (Code::Up, r"\x1b[A"),
        (Code::Down, r"\x1b[B"),
        (Code::Right, r"\x1b[C"),
        (Code::Left, r"\x1b[D"),
        (Code::Home, r"\x1b[H"),
        (Code::End, r"\x1b[F"),
        (Code::Insert, r"\x1b[2~"),
        (Code::Delete, r"\x1b[3~"),
        (Code::PageUp, r"\x1b[5~"),
        (Code::PageDown, r"\x1b[6~"),
        (Code::F(1), r"\x1bOP"),
        (Code::F(2), r"\x1bOQ"),
        (Code::F(3), r"\x1bOR"),
        (Code::F(4), r"\x1bOS"),
        (Code::F(0), ""),
        (Code::F(21), ""),
        (Code::F(255), ""),
    ];
    let numbers = [15, 17, 18, 19, 20, 21, 23, 24, 25, 26, 28, 29, 31, 32, 33, 34];
    for (code, expected) in plain {
        check(&Modes::default(), &[(code, Mods::NONE, expected)]);
    }
    for (n, number) in (5..=20).zip(numbers) {
        check(&Modes::default(), &[(Code::F(n), Mods::NONE, &format!(r"\x1b[{number}~"))]);
        check(&Modes::default(), &[(Code::F(n), Mods::CTRL, &format!(r"\x1b[{number};5~"))]);
    }
}

#[test]
fn what_is_held_down_is_told_with_function_keys() {
    let all = Mods { shift: true, alt: true, ctrl: true, logo: true };
    for modes in [Modes::default(), Modes { app_cursor: true, ..Modes::default() }] {
        check(
            &modes,
            &[
                (Code::Up, Mods::SHIFT, r"\x1b[1;2A"),
                (Code::Up, Mods::ALT, r"\x1b[1;3A"),
                (Code::Left, Mods::CTRL, r"\x1b[1;5D"),
                (Code::End, SHIFT_CTRL, r"\x1b[1;6F"),
                (Code::Delete, ALT_CTRL, r"\x1b[3;7~"),
                (Code::F(1), all, r"\x1b[1;16P"),
                (Code::F(5), Mods::SHIFT, r"\x1b[15;2~"),
            ],
        );
    }
}

#[test]
fn arrows_follow_the_cursor_mode() {
    let modes = Modes { app_cursor: true, ..Modes::default() };
    check(
        &modes,
        &[
            (Code::Up, Mods::NONE, r"\x1bOA"),
            (Code::Left, Mods::NONE, r"\x1bOD"),
            (Code::Home, Mods::NONE, r"\x1bOH"),
            (Code::End, Mods::NONE, r"\x1bOF"),
            (Code::PageUp, Mods::NONE, r"\x1b[5~"),
        ],
    );
}

#[test]
fn modify_other_keys_tells_what_had_no_form() {
    let modes = Modes { modify_other_keys: 1, ..Modes::default() };
    check(
        &modes,
        &[
            (Code::Char('a'), Mods::CTRL, r"\x01"),
            (Code::Char('a'), Mods::ALT, r"\x1ba"),
            (Code::Char('1'), Mods::CTRL, r"\x1b[27;5;49~"),
            (Code::Char(';'), Mods::CTRL, r"\x1b[27;5;59~"),
            (Code::Char(';'), ALT_CTRL, r"\x1b[27;7;59~"),
            (Code::Enter, Mods::NONE, r"\r"),
            (Code::Enter, Mods::SHIFT, r"\x1b[27;2;13~"),
            (Code::Enter, Mods::CTRL, r"\x1b[27;5;13~"),
            (Code::Enter, Mods::ALT, r"\x1b\r"),
            (Code::Tab, Mods::CTRL, r"\x1b[27;5;9~"),
            (Code::Tab, Mods::SHIFT, r"\x1b[Z"),
            (Code::BackTab, Mods::SHIFT, r"\x1b[Z"),
            (Code::BackTab, Mods::CTRL, r"\x1b[27;6;9~"),
            (Code::Backspace, Mods::CTRL, r"\x08"),
        ],
    );
    let modes = Modes { modify_other_keys: 2, ..Modes::default() };
    check(
        &modes,
        &[
            (Code::Char('a'), Mods::NONE, "a"),
            (Code::Char('A'), Mods::SHIFT, "A"),
            (Code::Char('a'), Mods::CTRL, r"\x1b[27;5;97~"),
            (Code::Char('a'), Mods::ALT, r"\x1b[27;3;97~"),
            (Code::Enter, Mods::ALT, r"\x1b[27;3;13~"),
            (Code::Backspace, Mods::CTRL, r"\x1b[27;5;127~"),
            (Code::BackTab, Mods::SHIFT, r"\x1b[Z"),
        ],
    );
}

#[test]
fn kitty_tells_what_would_be_ambiguous() {
    let modes = Modes { kitty: DISAMBIGUATE, ..Modes::default() };
    check(
        &modes,
        &[
            (Code::Char('a'), Mods::NONE, "a"),
            (Code::Char('A'), Mods::SHIFT, "A"),
            (Code::Char('a'), Mods::CTRL, r"\x1b[97;5u"),
            (Code::Char('A'), SHIFT_CTRL, r"\x1b[97;6u"),
            (Code::Char('a'), Mods::ALT, r"\x1b[97;3u"),
            (Code::Char(' '), Mods::CTRL, r"\x1b[32;5u"),
            (Code::Esc, Mods::NONE, r"\x1b[27u"),
            (Code::Enter, Mods::NONE, r"\r"),
            (Code::Enter, Mods::SHIFT, r"\x1b[13;2u"),
            (Code::Tab, Mods::NONE, r"\t"),
            (Code::BackTab, Mods::NONE, r"\x1b[9;2u"),
            (Code::Backspace, Mods::CTRL, r"\x1b[127;5u"),
            (Code::Up, Mods::NONE, r"\x1b[A"),
            (Code::Up, Mods::CTRL, r"\x1b[1;5A"),
            (Code::F(5), Mods::NONE, r"\x1b[15~"),
            (Code::F(25), Mods::NONE, r"\x1b[57388u"),
        ],
    );
    let modes = Modes { kitty: DISAMBIGUATE | ALL_AS_ESCAPES, ..Modes::default() };
    check(
        &modes,
        &[
            (Code::Char('a'), Mods::NONE, r"\x1b[97u"),
            (Code::Char('A'), Mods::SHIFT, r"\x1b[97;2u"),
            (Code::Enter, Mods::NONE, r"\x1b[13u"),
            (Code::Tab, Mods::NONE, r"\x1b[9u"),
            (Code::Backspace, Mods::NONE, r"\x1b[127u"),
        ],
    );
}

#[test]
fn phases_are_told_to_those_who_asked() {
    let tell = |code, phase, kitty| {
        let key = Key { phase, ..Key::plain(code) };
        encode(&key, &Modes { kitty, ..Modes::default() }).escape_ascii().to_string()
    };
    let all = DISAMBIGUATE | EVENTS | ALL_AS_ESCAPES;
    for (code, phase, kitty, expected) in [
        (Code::Char('a'), Phase::Release, 0, ""),
        (Code::Char('a'), Phase::Release, DISAMBIGUATE, ""),
        (Code::Esc, Phase::Release, DISAMBIGUATE, ""),
        (Code::Char('a'), Phase::Release, all, r"\x1b[97;1:3u"),
        (Code::Char('a'), Phase::Repeat, all, r"\x1b[97;1:2u"),
        (Code::Char('a'), Phase::Repeat, 0, "a"),
        (Code::Char('a'), Phase::Repeat, DISAMBIGUATE | EVENTS, "a"),
        (Code::Char('a'), Phase::Release, DISAMBIGUATE | EVENTS, ""),
        (Code::Esc, Phase::Release, DISAMBIGUATE | EVENTS, r"\x1b[27;1:3u"),
        (Code::Up, Phase::Repeat, DISAMBIGUATE | EVENTS, r"\x1b[1;1:2A"),
        (Code::Up, Phase::Release, EVENTS, r"\x1b[1;1:3A"),
        (Code::Delete, Phase::Release, EVENTS, r"\x1b[3;1:3~"),
        (Code::Char('a'), Phase::Release, EVENTS, ""),
        (Code::Enter, Phase::Release, EVENTS, ""),
    ] {
        assert_eq!(tell(code, phase, kitty), expected, "{code:?} {phase:?} {kitty}");
    }
}

#[test]
fn a_paste_without_brackets_types() {
    assert_eq!(paste("a\r\nb\nc\rd", &Modes::default()), b"a\rb\rc\rd");
}

#[test]
fn focus_is_told_to_those_who_asked() {
    let asked = Modes { focus: true, ..Modes::default() };
    assert_eq!(focus(true, &asked), b"\x1b[I");
    assert_eq!(focus(false, &asked), b"\x1b[O");
    assert_eq!(focus(true, &Modes::default()), b"");
}

fn code() -> impl Strategy<Value = Code> {
    prop_oneof![
        any::<char>().prop_map(Code::Char),
        any::<u8>().prop_map(Code::F),
        prop::sample::select(vec![
            Code::Enter,
            Code::Tab,
            Code::BackTab,
            Code::Backspace,
            Code::Esc,
            Code::Home,
            Code::PageUp,
            Code::Left,
        ]),
    ]
}

proptest! {
    #[test]
    fn a_paste_ends_where_it_ends(
        text in "(\x1b\\[20[01]~|\u{9b}20[01]~|\x1b|\\[201~|[a-z\n\r]|.){0,20}",
    ) {
        let modes = Modes { bracketed_paste: true, ..Modes::default() };
        let bytes = paste(&text, &modes);
        let inside = bytes.strip_prefix(b"\x1b[200~").unwrap().strip_suffix(b"\x1b[201~").unwrap();
        let inside = std::str::from_utf8(inside).unwrap();
        let marked = inside.contains(['\u{1b}', '\u{9b}']);
        prop_assert!(!marked);
    }

    #[test]
    fn every_key_has_an_answer(
        code in code(),
        held in 0u8..16,
        phase in prop::sample::select(vec![Phase::Press, Phase::Repeat, Phase::Release]),
        kitty in 0u8..32,
        modify_other_keys in 0u8..3,
        app_cursor: bool,
    ) {
        let mods = Mods {
            shift: held & 1 != 0,
            alt: held & 2 != 0,
            ctrl: held & 4 != 0,
            logo: held & 8 != 0,
        };
        let modes = Modes { app_cursor, kitty, modify_other_keys, ..Modes::default() };
        let bytes = encode(&Key { code, mods, phase }, &modes);
        if phase == Phase::Release && kitty & EVENTS == 0 {
            prop_assert!(bytes.is_empty());
        }
        prop_assert!(bytes.len() < 24);
    }
}
