//! What a pane shows is what tmux believes: recorded streams, cell by cell.
//!
//! Each stream is replayed into a real tmux, piece by piece. After each piece three screens must
//! be the same: tmux's own (`capture-pane`, read by [`cells::read`], which shares nothing with the code
//! under test), that of a client attached all along, fed to [`Vt`], and that of
//! one attached just now.
//!
//! The streams: vim, htop, top, git and less, vttest, and Claude Code in both renderers, recorded
//! from inside tmux; and some made for the purpose (`unicode`, `edges`, `colours`, `regions`,
//! `alternate`).

use std::{fs, path::PathBuf};

use parhelia::vt::screen::{Screen as Vt, Size};

use crate::support::{
    cells::{self, Cell, Look},
    pty::Pty,
    sandbox::Sandbox,
    screen::Screen,
    wait::{PATIENCE, wait_or_explain, wait_until},
};

/// Pieces a stream is cut into.
const PIECES: usize = 6;

/// Waits for word, shows a piece, and says so in the title, which tmux changes only after it has
/// taken in all that came before.
const PLAYER: &str = r#"stty raw -echo; i=0; while [ -e "piece-$i" ]; do cat "go-$i" >/dev/null
cat "piece-$i"; printf '\033]2;shown-%s\033\\' "$i"; i=$((i+1)); done; exec tail -f /dev/null"#;

/// Streams that the emulator alone would show otherwise than tmux, and why. It does not matter:
/// a pane is fed by tmux.
const OTHERWISE: &[(&str, &str)] = &[
    ("colours", "tmux hands on an underline's colour of the palette by its parts"),
    ("edges", "in insert mode the emulator loses what stands before a wide character"),
    ("regions", "in the set of line drawing tmux takes + , - . 0 for arrows and a block"),
    ("unicode", "tmux drops what its C library does not know, and ends of long clusters"),
    ("vttest-1", "tmux stands behind a written last column, and steps back onto it"),
    ("vttest-3", "in the set of line drawing tmux takes + , - . 0 for arrows and a block"),
    ("vttest-8", "tmux stands behind a written last column, and steps back onto it"),
];

/// A recorded stream.
struct Stream {
    size: Size,
    pieces: Vec<Vec<u8>>,
}

fn stream(name: &str) -> Stream {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/streams");
    let entries = fs::read_dir(dir).unwrap().map(|it| it.unwrap().path());
    let found = entries.map(|it| (it.file_name().unwrap().to_str().unwrap().to_owned(), it));
    let found = found.filter(|it| it.0.starts_with(&format!("{name}.")));
    let found: Vec<(String, PathBuf)> = found.collect();
    assert_eq!(found.len(), 1, "streams of the name {name}");
    let (cols, rows) = found[0].0.split('.').nth(1).unwrap().split_once('x').unwrap();
    let size = Size { cols: cols.parse().unwrap(), rows: rows.parse().unwrap() };
    Stream { size, pieces: pieces(&fs::read(&found[0].1).unwrap()) }
}

/// Returns a stream's pieces. Each but the first begins with an escape sequence, so that none is
/// cut.
fn pieces(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let least = (bytes.len() / PIECES).max(1).min(rest.len());
        let end = rest[least..].windows(2).position(|it| it == b"\x1b[");
        let (piece, after) = rest.split_at(end.map_or(rest.len(), |it| least + it));
        pieces.push(piece.to_owned());
        rest = after;
    }
    pieces
}

/// A client of tmux on a terminal of its own, and what it shows.
struct Client {
    pty: Pty,
    screen: Vt,
}

impl Client {
    fn attach(sandbox: &Sandbox, tmux: &Screen<'_>, size: Size) -> Client {
        let pty = Pty::open(sandbox, &tmux.attach_argv(), size.cols, size.rows);
        Client { pty, screen: Vt::new(size) }
    }

    /// Waits until it shows `expected`.
    fn wait_shows(&mut self, what: &str, expected: &[Vec<Cell>]) {
        let screen = std::cell::RefCell::new(&mut self.screen);
        let pty = &mut self.pty;
        let look = || {
            let mut screen = screen.borrow_mut();
            pty.take().into_iter().for_each(|it| screen.feed(&it));
            (difference(expected, &cells::of(&screen)).is_none()).then_some(())
        };
        wait_or_explain(what, PATIENCE, look, || {
            difference(expected, &cells::of(&screen.borrow())).unwrap_or_default()
        });
    }
}

/// Returns where what a client shows is not what tmux has, and both rows. Where tmux wrote a line
/// no further it is blank; only its background is not told.
fn difference(expected: &[Vec<Cell>], found: &[Vec<Cell>]) -> Option<String> {
    let nothing = Vec::new();
    found.iter().enumerate().find_map(|(row, found)| {
        let expected = expected.get(row).unwrap_or(&nothing);
        let at = (0..found.len()).find(|at| match expected.get(*at) {
            Some(cell) => *cell != found[*at],
            None => found[*at] != blank(&found[*at].look.bg),
        })?;
        Some(explain(row, at, expected, found))
    })
}

fn blank(bg: &str) -> Cell {
    let look = Look { bg: bg.to_owned(), ..Look::default() };
    Cell { text: " ".into(), width: 1, look }
}

fn explain(row: usize, at: usize, expected: &[Cell], found: &[Cell]) -> String {
    let line = |it: &[Cell]| it.iter().map(|it| it.text.as_str()).collect::<String>();
    format!(
        "row {row}, column {at}: expected {:?}, found {:?}\nexpected {:?}\nfound    {:?}",
        expected.get(at),
        found.get(at),
        line(expected),
        line(found)
    )
}

/// Puts the pieces where the player finds them.
fn lay_out(sandbox: &Sandbox, pieces: &[Vec<u8>]) {
    for (index, piece) in pieces.iter().enumerate() {
        fs::write(sandbox.workspace().join(format!("piece-{index}")), piece).unwrap();
        let go = sandbox.workspace().join(format!("go-{index}"));
        rustix::fs::mknodat(rustix::fs::CWD, &go, rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .unwrap();
    }
}

/// Has the player show a piece, and waits until tmux has taken it in.
fn show(sandbox: &Sandbox, tmux: &Screen<'_>, index: usize) {
    fs::write(sandbox.workspace().join(format!("go-{index}")), "go").unwrap();
    wait_until("the piece", PATIENCE, || {
        (tmux.format("#{pane_title}") == format!("shown-{index}")).then_some(())
    });
}

fn check(name: &str) {
    let sandbox = Sandbox::new();
    let Stream { size, pieces } = stream(name);
    lay_out(&sandbox, &pieces);
    let tmux = Screen::start(&sandbox, size.cols, size.rows, &["sh", "-c", PLAYER]);
    let mut along = Client::attach(&sandbox, &tmux, size);
    wait_until("the client", PATIENCE, || {
        along.pty.take().into_iter().for_each(|it| along.screen.feed(&it));
        (tmux.format("#{session_attached}") == "1").then_some(())
    });
    let mut alone = Vt::new(size);
    for (index, piece) in pieces.iter().enumerate() {
        show(&sandbox, &tmux, index);
        let expected = cells::read(&tmux.capture_looks());
        alone.feed(piece);
        if OTHERWISE.iter().all(|it| it.0 != name) {
            let found = difference(&expected, &cells::of(&alone));
            assert_eq!(found.as_deref(), None, "{name}, piece {index}, without tmux");
        }
        let mut late = Client::attach(&sandbox, &tmux, size);
        late.wait_shows(&format!("{name}, piece {index}, attached late"), &expected);
        along.wait_shows(&format!("{name}, piece {index}, attached all along"), &expected);
        wait_cursor(&mut late, &tmux);
        let rows: Vec<u16> = (0..size.rows).collect();
        let shown =
            |it: &Client| rows.iter().map(|row| it.screen.row_text(*row)).collect::<Vec<_>>();
        assert_eq!(shown(&along), shown(&late), "{name}, piece {index}");
    }
}

/// Gives the client and tmux many sizes in a row, some of which no program can draw in.
#[test]
fn after_a_storm_of_sizes_a_pane_shows_what_tmux_has() {
    let sandbox = Sandbox::new();
    let Stream { size, pieces } = stream("claude-fullscreen");
    lay_out(&sandbox, &pieces);
    let tmux = Screen::start(&sandbox, size.cols, size.rows, &["sh", "-c", PLAYER]);
    let mut client = Client::attach(&sandbox, &tmux, size);
    for index in 0..pieces.len() {
        show(&sandbox, &tmux, index);
        let step = u16::try_from(index).unwrap();
        let last = Size { cols: 33 + 11 * step, rows: 9 + 4 * step };
        for (cols, rows) in [(2, 2), (1, 1), (200, 3), (5, 60), (last.cols, last.rows)] {
            client.pty.resize(cols, rows);
            client.screen.resize(Size { cols, rows });
            client.pty.take().into_iter().for_each(|it| client.screen.feed(&it));
        }
        let expected = format!("{} {}", last.cols, last.rows);
        wait_until("tmux to have the size", PATIENCE, || {
            (tmux.format("#{window_width} #{window_height}") == expected).then_some(())
        });
        let expected = cells::read(&tmux.capture_looks());
        client.wait_shows(&format!("piece {index} at {last:?}"), &expected);
    }
}

/// Waits until the cursor is where tmux has it.
fn wait_cursor(client: &mut Client, tmux: &Screen<'_>) {
    let expected = tmux.format("#{cursor_flag} #{cursor_x} #{cursor_y}");
    let found = wait_until("the cursor", PATIENCE, || {
        client.pty.take().into_iter().for_each(|it| client.screen.feed(&it));
        let text = match client.screen.cursor() {
            Some(it) => format!("1 {} {}", it.col, it.row),
            None => expected.starts_with('0').then(|| expected.clone())?,
        };
        // Behind the last column tmux counts one more.
        let last = client.screen.size().cols - 1;
        let past = expected.replacen(&format!(" {} ", last + 1), &format!(" {last} "), 1);
        (text == expected || text == past).then_some(text)
    });
    drop(found);
}

macro_rules! streams {
    ($($test:ident: $name:literal,)*) => {
        $(#[test]
        fn $test() {
            check($name);
        })*
    };
}

streams! {
    vim_is_shown_as_tmux_has_it: "vim",
    vim_scroll_is_shown_as_tmux_has_it: "vim-scroll",
    htop_is_shown_as_tmux_has_it: "htop",
    top_is_shown_as_tmux_has_it: "top",
    git_graph_is_shown_as_tmux_has_it: "git-graph",
    git_plain_is_shown_as_tmux_has_it: "git-plain",
    vttest_1_is_shown_as_tmux_has_it: "vttest-1",
    vttest_2_is_shown_as_tmux_has_it: "vttest-2",
    vttest_3_is_shown_as_tmux_has_it: "vttest-3",
    vttest_8_is_shown_as_tmux_has_it: "vttest-8",
    vttest_bce_is_shown_as_tmux_has_it: "vttest-bce",
    vttest_color_is_shown_as_tmux_has_it: "vttest-color",
    claude_classic_is_shown_as_tmux_has_it: "claude-classic",
    claude_fullscreen_is_shown_as_tmux_has_it: "claude-fullscreen",
    unicode_is_shown_as_tmux_has_it: "unicode",
    edges_is_shown_as_tmux_has_it: "edges",
    colours_is_shown_as_tmux_has_it: "colours",
    regions_is_shown_as_tmux_has_it: "regions",
    alternate_is_shown_as_tmux_has_it: "alternate",
}
