use proptest::prelude::*;
use ratatui::style::{Color, Modifier, Style};

use super::*;
use crate::{
    tui::canvas::Extra,
    vt::{
        cell::{self, Underline},
        screen::{Screen, Size},
    },
};

const COLS: u16 = 12;
const ROWS: u16 = 4;

/// Texts of cells: narrow, wide, marked, and such that terminals disagree about.
const TEXTS: [&str; 9] = ["a", "Z", " ", "é", "e\u{301}", "漢", "🦀", "─", "한"];

/// What is done to a canvas.
#[derive(Clone, Debug)]
struct Stroke {
    x: u16,
    y: u16,
    text: &'static str,
    style: Style,
    underline: Underline,
    link: Option<&'static str>,
}

fn color() -> impl Strategy<Value = Color> {
    prop_oneof![
        3 => Just(Color::Reset),
        1 => Just(Color::Red),
        1 => Just(Color::LightCyan),
        1 => (16u8..=255).prop_map(Color::Indexed),
        1 => any::<(u8, u8, u8)>().prop_map(|(r, g, b)| Color::Rgb(r, g, b)),
    ]
}

fn modifier() -> impl Strategy<Value = Modifier> {
    let all = Modifier::BOLD
        | Modifier::DIM
        | Modifier::ITALIC
        | Modifier::UNDERLINED
        | Modifier::REVERSED
        | Modifier::HIDDEN
        | Modifier::CROSSED_OUT;
    prop_oneof![
        2 => Just(Modifier::empty()),
        1 => any::<u16>().prop_map(move |it| Modifier::from_bits_truncate(it) & all),
    ]
}

fn stroke() -> impl Strategy<Value = Stroke> {
    let underline = prop_oneof![
        Just(Underline::Single),
        Just(Underline::Double),
        Just(Underline::Curly),
        Just(Underline::Dotted),
        Just(Underline::Dashed),
    ];
    let link =
        prop_oneof![3 => Just(None), 1 => Just(Some("https://a.b/c")), 1 => Just(Some("\x1b]0;x"))];
    let place = (0..COLS, 0..ROWS, 0..TEXTS.len());
    (place, color(), color(), color(), modifier(), underline, link).prop_map(
        |((x, y, text), fg, bg, under, modifier, underline, link)| Stroke {
            x,
            y,
            text: TEXTS[text],
            style: Style::new().fg(fg).bg(bg).underline_color(under).add_modifier(modifier),
            underline,
            link,
        },
    )
}

fn strokes() -> impl Strategy<Value = Vec<Stroke>> {
    proptest::collection::vec(stroke(), 0..60)
}

fn draw(canvas: &mut Canvas, strokes: &[Stroke]) {
    for it in strokes {
        let link = it.link.map_or(0, |it| canvas.link(it));
        let end = canvas.text(it.x, it.y, COLS, it.text, it.style);
        for x in it.x..end {
            let underline = it.underline;
            canvas.set_extra(x, it.y, Extra { underline, link });
        }
    }
}

fn canvas(strokes: &[Stroke]) -> Canvas {
    let mut canvas = Canvas::new(Rect::new(0, 0, COLS, ROWS));
    draw(&mut canvas, strokes);
    canvas
}

/// A cell in words that both sides have.
type Word = (String, u8, cell::Look, Option<String>);

fn of_screen(screen: &Screen) -> Vec<Word> {
    let mut words = Vec::new();
    for y in 0..ROWS {
        screen.cells(y, &mut |_, it| {
            let mut text = String::from(it.c);
            text.extend(it.marks);
            // The second half of a wide character has nothing of its own.
            let (text, look) = match it.width {
                0 => (String::new(), cell::Look::default()),
                _ => (text, it.look),
            };
            let link = it.link.filter(|_| it.width != 0).map(str::to_owned);
            words.push((text, it.width, look, link));
        });
    }
    words
}

fn of_canvas(canvas: &Canvas) -> Vec<Word> {
    let mut words = Vec::new();
    let mut row = Vec::new();
    for y in 0..ROWS {
        read_row(&mut row, canvas, y);
        for (x, it) in (0..).zip(&row) {
            if it.width == 0 {
                words.push((String::new(), 0, cell::Look::default(), None));
                continue;
            }
            let at = canvas.buf.index_of(x, y);
            let extra = canvas.extra[at];
            let link =
                usize::from(extra.link).checked_sub(1).map(|it| canvas.links[it].to_string());
            let link = link.filter(|it| it.starts_with("https"));
            let width = u8::try_from(it.width).unwrap();
            words.push((it.text.to_owned(), width, look(&canvas.buf[(x, y)], extra), link));
        }
    }
    words
}

fn look(it: &ratatui::buffer::Cell, extra: Extra) -> cell::Look {
    let has = |flag| it.modifier.contains(flag);
    let underlined = has(Modifier::UNDERLINED);
    let underline = match extra.underline {
        _ if !underlined => Underline::None,
        Underline::None => Underline::Single,
        other => other,
    };
    let color = |it: Color| match it {
        Color::Red => cell::Color::Indexed(1),
        Color::LightCyan => cell::Color::Indexed(14),
        Color::Indexed(it) => cell::Color::Indexed(it),
        Color::Rgb(r, g, b) => cell::Color::Rgb(r, g, b),
        _ => cell::Color::Default,
    };
    cell::Look {
        fg: color(it.fg),
        bg: color(it.bg),
        under: if underlined { color(it.underline_color) } else { cell::Color::Default },
        underline,
        bold: has(Modifier::BOLD),
        dim: has(Modifier::DIM),
        italic: has(Modifier::ITALIC),
        reverse: has(Modifier::REVERSED),
        hidden: has(Modifier::HIDDEN),
        strike: has(Modifier::CROSSED_OUT),
        blink: has(Modifier::SLOW_BLINK),
    }
}

proptest! {
    /// What a terminal shows after the bytes is the canvas, whatever it showed before.
    #[test]
    fn a_terminal_shows_exactly_the_canvas(frames in proptest::collection::vec((any::<bool>(), strokes()), 1..6)) {
        let mut screen = Screen::new(Size { cols: COLS, rows: ROWS });
        let mut before: Option<Canvas> = None;
        for (anew, strokes) in frames {
            let mut now = match &before {
                Some(it) if !anew => it.clone(),
                _ => canvas(&[]),
            };
            draw(&mut now, &strokes);
            let bytes = paint(before.as_ref(), &now);
            screen.feed(bytes.as_bytes());
            prop_assert_eq!(of_screen(&screen), of_canvas(&now), "{}", bytes.escape_debug());
            prop_assert_eq!(paint(Some(&now), &now), "");
            before = Some(now);
        }
    }

    #[test]
    fn nothing_in_a_frame_panics(text in "\\PC{0,8}|.{0,8}", x in 0..COLS, y in 0..ROWS, cols in 1u16..30) {
        let mut canvas = Canvas::new(Rect::new(0, 0, cols, ROWS));
        canvas.buf[(x.min(cols - 1), y)].set_symbol(&text);
        let bytes = paint(None, &canvas);
        // Only sequences of ours: no other control character gets through.
        let rest = bytes.replace("\x1b[", "").replace("\r\n", "").replace("\x1b]8;;", "").replace("\x1b\\", "");
        prop_assert!(!rest.chars().any(char::is_control), "{rest:?}");
    }
}

#[test]
fn a_frame_that_is_the_same_costs_nothing() {
    let one = canvas(&[]);
    assert_eq!(paint(Some(&one), &one), "");
    assert_ne!(paint(None, &one), "");
}

#[test]
fn one_changed_cell_costs_a_few_bytes() {
    let before = canvas(&[]);
    let mut now = before.clone();
    now.text(3, 2, 1, "x", Style::new());
    assert_eq!(paint(Some(&before), &now), "\x1b[?2026h\x1b[3;4Hx\x1b[?2026l");
    now.text(4, 2, 1, "y", Style::new().fg(Color::Red).add_modifier(Modifier::BOLD));
    let bytes = paint(Some(&before), &now);
    assert_eq!(bytes, "\x1b[?2026h\x1b[3;4Hx\x1b[1;31my\x1b[m\x1b[?2026l");
}

#[test]
fn without_colours_there_are_none() {
    let mut now = canvas(&[]);
    now.text(0, 0, 4, "plain", Style::new().add_modifier(Modifier::REVERSED));
    let bytes = paint(None, &now);
    assert!(!bytes.contains("38;") && !bytes.contains("[3") && !bytes.contains(";3"), "{bytes:?}");
}

#[test]
fn after_a_doubtful_width_the_cursor_is_placed_anew() {
    let mut now = canvas(&[]);
    now.text(0, 0, 12, "\u{2764}\u{fe0f}x", Style::new());
    let bytes = paint(Some(&canvas(&[])), &now);
    // Erased first, drawn, and then not trusted.
    assert!(bytes.contains("  \x1b[H\u{2764}\u{fe0f}\x1b[1;3Hx"), "{bytes:?}");
    // Gone again: what it may have covered is drawn too.
    let bytes = paint(Some(&now), &canvas(&[]));
    assert!(bytes.contains("\x1b[K"), "{bytes:?}");
}

#[test]
fn the_cursor_comes_and_goes() {
    let bare = canvas(&[]);
    let mut with = canvas(&[]);
    let cursor = CursorAt { at: Position { x: 2, y: 1 }, shape: CursorShape::Bar, blink: false };
    with.cursor = Some(cursor);
    assert_eq!(paint(Some(&bare), &with), "\x1b[?2026h\x1b[2;3H\x1b[6 q\x1b[?25h\x1b[?2026l");
    assert_eq!(paint(Some(&with), &bare), "\x1b[?2026h\x1b[?25l\x1b[?2026l");
    let mut moved = with.clone();
    moved.cursor = Some(CursorAt { at: Position { x: 3, y: 1 }, ..cursor });
    assert_eq!(paint(Some(&with), &moved), "\x1b[?2026h\x1b[?25l\x1b[2;4H\x1b[?25h\x1b[?2026l");
}

#[test]
fn a_link_that_could_end_itself_is_not_sent() {
    let mut now = canvas(&[]);
    for (x, address) in [(0, "https://good"), (1, "a\x1b\\b"), (2, "a\x07b"), (3, "")] {
        let link = now.link(address);
        now.text(x, 0, 1, "x", Style::new());
        now.set_extra(x, 0, Extra { underline: Underline::None, link });
    }
    let bytes = paint(None, &now);
    assert_eq!(bytes.matches("\x1b]8;;").count(), 2, "{bytes:?}");
    assert!(bytes.contains("\x1b]8;;https://good\x1b\\x\x1b]8;;\x1b\\"), "{bytes:?}");
}
