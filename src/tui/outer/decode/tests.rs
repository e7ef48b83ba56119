use proptest::prelude::*;

use super::*;
use crate::vt::input::{Button, MouseKind};

/// Returns what bytes make, one word each.
fn words(bytes: &[u8]) -> String {
    let mut decoder = Decoder::default();
    let mut seen = decoder.feed(bytes);
    seen.extend(decoder.give_up());
    seen.iter().map(word).collect::<Vec<_>>().join(" ")
}

fn word(input: &Input) -> String {
    match input {
        Input::Key(key) => {
            let mut text = String::new();
            for (on, name) in [
                (key.mods.ctrl, "ctrl-"),
                (key.mods.alt, "alt-"),
                (key.mods.shift, "shift-"),
                (key.mods.logo, "super-"),
            ] {
                text.push_str(if on { name } else { "" });
            }
            match key.code {
                Code::Char(' ') => text.push_str("space"),
                Code::Char(c) => text.push(c),
                Code::F(n) => text.push_str(&format!("f{n}")),
                other => text.push_str(&format!("{other:?}").to_lowercase()),
            }
            match key.phase {
                Phase::Press => text,
                Phase::Repeat => format!("{text}*"),
                Phase::Release => format!("{text}^"),
            }
        }
        Input::Paste(text) => format!("paste({text:?})"),
        Input::Mouse(it) => format!("{:?}@{},{}", it.kind, it.col, it.row),
        Input::Focus(it) => format!("focus({it})"),
        Input::Resize { cols, rows } => format!("{cols}x{rows}"),
    }
}

#[test]
fn keys_of_every_terminal_are_told_apart() {
    let table: &[(&[u8], &str)] = &[
        (b"aZ~ ", "a Z ~ space"),
        ("é漢🦀".as_bytes(), "é 漢 🦀"),
        (b"\r\t\x7f", "enter tab backspace"),
        (b"\n\x08", "ctrl-j ctrl-h"),
        (b"\x00\x01\x11\x1a", "ctrl-space ctrl-a ctrl-q ctrl-z"),
        (b"\x1c\x1d\x1e\x1f", "ctrl-\\ ctrl-] ctrl-^ ctrl-_"),
        (b"\x1b", "esc"),
        (b"\x1b\x1b", "esc esc"),
        (b"\x1b\x1bx", "esc alt-x"),
        (b"\x1bx\x1bX\x1b\r\x1b\x7f", "alt-x alt-X alt-enter alt-backspace"),
        ("\x1bé".as_bytes(), "alt-é"),
        (b"\x1b\x03", "ctrl-alt-c"),
        (b"\x1b[", "alt-["),
        (b"\x1bO", "alt-O"),
        (b"\x1bP", "alt-P"),
        (b"\x1b[A\x1b[B\x1b[C\x1b[D\x1b[H\x1b[F", "up down right left home end"),
        (b"\x1bOA\x1bOH\x1bOP\x1bOS\x1bOM", "up home f1 f4 enter"),
        (b"\x1b[[A\x1b[[E", "f1 f5"),
        (b"\x1b[1~\x1b[2~\x1b[3~\x1b[4~\x1b[5~\x1b[6~", "home insert delete end pageup pagedown"),
        (b"\x1b[11~\x1b[15~\x1b[17~\x1b[21~\x1b[24~\x1b[25~\x1b[34~", "f1 f5 f6 f10 f12 f13 f20"),
        (b"\x1b[1;5A\x1b[1;3D\x1b[1;2F\x1b[5;2~", "ctrl-up alt-left shift-end shift-pageup"),
        (b"\x1b[1;9C\x1b[1;33C", "super-right alt-right"),
        (b"\x1b\x1b[A", "alt-up"),
        (b"\x1b[Z", "backtab"),
        (b"\x1b[27;5;13~\x1b[27;6;97~", "ctrl-enter ctrl-A"),
        (b"\x1b[27u\x1b[13;5u\x1b[9;2u\x1b[105;5u", "esc ctrl-enter backtab ctrl-i"),
        (b"\x1b[97;6u\x1b[97:65;2u\x1b[55:38;2u", "ctrl-A A &"),
        (b"\x1b[97;1:1u\x1b[97;1:2u\x1b[97;1:3u\x1b[1;1:3A", "a a* a^ up^"),
        (b"\x1b[57414u\x1b[57399u\x1b[57421u\x1b[57376u", "enter 0 pageup f13"),
        // Keys by themselves that nothing is bound to.
        (b"\x1b[57441u\x1b[57358u", ""),
        (b"\x1b[I\x1b[O", "focus(true) focus(false)"),
    ];
    for (bytes, expected) in table {
        assert_eq!(words(bytes), *expected, "{}", bytes.escape_ascii());
    }
}

#[test]
fn the_mouse_is_reported_from_zero() {
    let table: &[(&[u8], &str)] = &[
        (b"\x1b[<0;1;1M\x1b[<0;1;1m", "Down(Left)@0,0 Up(Left)@0,0"),
        (b"\x1b[<2;300;7M", "Down(Right)@299,6"),
        (b"\x1b[<32;5;5M\x1b[<35;5;5M", "Drag(Left)@4,4 Moved@4,4"),
        (b"\x1b[<64;5;5M\x1b[<65;5;5M", "ScrollUp@4,4 ScrollDown@4,4"),
        (b"\x1b[<128;5;5M\x1b[<0;0;0M\x1b[<9;1M", ""),
        (b"\x1b[M !!", ""),
    ];
    for (bytes, expected) in table {
        assert_eq!(words(bytes), *expected, "{}", bytes.escape_ascii());
    }
    let mut decoder = Decoder::default();
    let [Input::Mouse(mouse)] = decoder.feed(b"\x1b[<20;3;4M")[..] else { panic!("no mouse") };
    assert_eq!(mouse.kind, MouseKind::Down(Button::Left));
    assert_eq!(mouse.mods, Mods { shift: true, ctrl: true, ..Mods::NONE });
}

#[test]
fn a_paste_is_one_whole() {
    assert_eq!(words(b"\x1b[200~a\rb\r\nc\x1b[Ad\x1b[201~q"), r#"paste("a\nb\nc\u{1b}[Ad") q"#);
    assert_eq!(words(b"\x1b[200~\x1b[201~q"), "q");
    // One whose end never comes holds up no key for ever.
    assert_eq!(words(b"\x1b[200~lost"), r#"paste("lost")"#);
}

#[test]
fn a_long_paste_comes_in_parts_and_loses_nothing() {
    let text = "漢".repeat(PASTE_MAX / 2);
    let mut decoder = Decoder::default();
    let mut seen = decoder.feed(b"\x1b[200~");
    for chunk in text.as_bytes().chunks(70_001) {
        seen.extend(decoder.feed(chunk));
    }
    seen.extend(decoder.feed(b"\x1b[201~"));
    assert!(1 < seen.len());
    let whole: String = seen
        .iter()
        .map(|it| match it {
            Input::Paste(text) => text.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(whole == text);
}

#[test]
fn answers_of_the_terminal_are_no_keys() {
    assert_eq!(
        words(b"\x1b[?62;22c\x1b]11;rgb:00/00/00\x07\x1bP>|xterm\x1b\\\x1b[?2026;2$yk"),
        "k"
    );
}

#[test]
fn escape_is_waited_for_only_when_it_is_alone() {
    let mut decoder = Decoder::default();
    assert_eq!(decoder.patience(), None);
    assert_eq!(decoder.feed(b"\x1b"), []);
    assert_eq!(decoder.patience(), Some(ESCAPE_PATIENCE));
    // The rest of an arrow that was cut on its way.
    assert_eq!(decoder.feed(b"[A"), [Input::Key(Key::plain(Code::Up))]);
    assert_eq!(decoder.patience(), None);
    decoder.feed(b"\x1b");
    assert_eq!(decoder.give_up(), [Input::Key(Key::plain(Code::Esc))]);
    assert_eq!(decoder.patience(), None);
}

proptest! {
    #[test]
    fn no_bytes_panic_and_all_are_used_up(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut decoder = Decoder::default();
        decoder.feed(&bytes);
        decoder.give_up();
        prop_assert_eq!(decoder.patience(), None);
    }

    #[test]
    fn cuts_do_not_matter(parts in proptest::collection::vec(prop_oneof![
        Just(b"\x1b[1;5A".to_vec()), Just(b"x".to_vec()), Just("é🦀".as_bytes().to_vec()),
        Just(b"\x1b[200~a\x1b[201~".to_vec()), Just(b"\x1b[<0;9;9M".to_vec()),
        Just(b"\x1bOP".to_vec()), Just(b"\x1b[97;5u".to_vec()),
    ], 1..12), step in 1usize..7) {
        let bytes = parts.concat();
        let mut whole = Decoder::default();
        let expected = whole.feed(&bytes);
        let mut cut = Decoder::default();
        let seen: Vec<Input> = bytes.chunks(step).flat_map(|it| cut.feed(it)).collect();
        prop_assert_eq!(seen, expected);
    }
}
