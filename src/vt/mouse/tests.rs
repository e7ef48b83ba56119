//! Tables of mouse events and what xterm sends for them.

use super::*;
use crate::vt::input::Mods;

const EVENTS: [MouseKind; 8] = [
    MouseKind::Down(Button::Left),
    MouseKind::Up(Button::Right),
    MouseKind::Drag(Button::Middle),
    MouseKind::Moved,
    MouseKind::ScrollUp,
    MouseKind::ScrollDown,
    MouseKind::ScrollLeft,
    MouseKind::ScrollRight,
];

fn tell(kind: MouseKind, col: u16, row: u16, mods: Mods, modes: Modes) -> String {
    encode(&Mouse { kind, col, row, mods }, &modes).escape_ascii().to_string()
}

fn all(modes: Modes) -> [String; 8] {
    EVENTS.map(|it| tell(it, 4, 9, Mods::NONE, modes))
}

#[test]
fn sgr_tells_everything() {
    let modes = |mouse| Modes { mouse, sgr_mouse: true, ..Modes::default() };
    let motion = [
        r"\x1b[<0;5;10M",
        r"\x1b[<2;5;10m",
        r"\x1b[<33;5;10M",
        r"\x1b[<35;5;10M",
        r"\x1b[<64;5;10M",
        r"\x1b[<65;5;10M",
        r"\x1b[<66;5;10M",
        r"\x1b[<67;5;10M",
    ];
    assert_eq!(all(modes(MouseMode::Motion)), motion);
    let mut drag = motion;
    drag[3] = "";
    assert_eq!(all(modes(MouseMode::Drag)), drag);
    let mut click = drag;
    click[2] = "";
    assert_eq!(all(modes(MouseMode::Click)), click);
    assert_eq!(all(modes(MouseMode::None)), [""; 8]);
    let far = tell(EVENTS[0], u16::MAX - 1, 999, Mods::NONE, modes(MouseMode::Click));
    assert_eq!(far, r"\x1b[<0;65535;1000M");
}

#[test]
fn what_is_held_down_is_told() {
    let modes = Modes { mouse: MouseMode::Motion, sgr_mouse: true, ..Modes::default() };
    for (mods, expected) in [(Mods::SHIFT, "4"), (Mods::ALT, "8"), (Mods::CTRL, "16")] {
        let found = tell(EVENTS[0], 0, 0, mods, modes);
        assert_eq!(found, format!(r"\x1b[<{expected};1;1M"));
    }
}

#[test]
fn the_old_protocol_tells_what_fits() {
    let modes = Modes { mouse: MouseMode::Motion, ..Modes::default() };
    let expected = [
        r"\x1b[M %*",
        r"\x1b[M#%*",
        r"\x1b[MA%*",
        r"\x1b[MC%*",
        r"\x1b[M`%*",
        r"\x1b[Ma%*",
        r"\x1b[Mb%*",
        r"\x1b[Mc%*",
    ];
    assert_eq!(all(modes), expected);
    let at = |col, modes| tell(EVENTS[0], col, 0, Mods::NONE, modes);
    assert_eq!(at(222, modes), r"\x1b[M \xff!");
    assert_eq!(at(223, modes), "", "a place it cannot tell");
    let utf8 = Modes { utf8_mouse: true, ..modes };
    assert_eq!(at(94, utf8), r"\x1b[M \x7f!");
    assert_eq!(at(95, utf8), r"\x1b[M \xc2\x80!");
    assert_eq!(at(2014, utf8), r"\x1b[M \xdf\xbf!");
    assert_eq!(at(2015, utf8), "");
    assert_eq!(at(u16::MAX, Modes { sgr_mouse: true, ..modes }), r"\x1b[<0;65536;1M");
}

#[test]
fn the_wheel_means_arrows_where_nobody_asked_for_a_mouse() {
    let modes = Modes { alternate: true, alternate_scroll: true, ..Modes::default() };
    assert_eq!(all(modes)[4..6], [r"\x1b[A".repeat(3), r"\x1b[B".repeat(3)]);
    assert_eq!(all(modes)[..4], ["", "", "", ""]);
    let keys = Modes { app_cursor: true, ..modes };
    assert_eq!(all(keys)[4], r"\x1bOA".repeat(3));
    assert_eq!(all(Modes { alternate: false, ..modes }), [""; 8]);
}
