//! A line of text being typed.

use ratatui::layout::{Position, Rect};
use unicode_segmentation::UnicodeSegmentation;

use crate::{
    tui::{
        canvas::{Canvas, CursorAt},
        theme::{Role, Theme},
        widget::cluster,
    },
    vt::{
        input::{Code, Key, Phase},
        screen::CursorShape,
    },
};

/// The longest line, in bytes; what is typed past it is dropped.
const LINE_MAX: usize = 16 * 1024;

/// The line, with a cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    text: String,
    /// Byte offset of the cursor, at a character's boundary.
    at: usize,
    /// All of it is selected: what is typed takes its place.
    selected: bool,
}

impl Input {
    /// Returns a line with the cursor at its end.
    pub fn new(text: impl Into<String>) -> Input {
        let text = text.into();
        let at = text.len();
        Input { text, at, selected: false }
    }

    /// Returns a line that is all selected: the first that is typed takes its place, while the keys
    /// that move begin to change it.
    pub fn selected(text: impl Into<String>) -> Input {
        let line = Input::new(text);
        Input { selected: !line.text.is_empty(), ..line }
    }

    /// Returns the text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the text before the cursor.
    pub fn head(&self) -> &str {
        &self.text[..self.at]
    }

    /// Tells whether the cursor is at the end.
    pub fn at_end(&self) -> bool {
        self.at == self.text.len()
    }

    /// Takes an editing key; tells whether it was one.
    pub fn key(&mut self, key: &Key) -> bool {
        if key.phase == Phase::Release {
            return false;
        }
        if let Code::Char(c) = key.code
            && !key.mods.ctrl
            && !key.mods.alt
            && !key.mods.logo
        {
            self.insert(c.encode_utf8(&mut [0; 4]));
            return true;
        }
        match self.target(key) {
            Some((to, Does::Move)) => self.at = to,
            Some((_, Does::Delete)) if self.selected => self.clear(),
            Some((to, Does::Delete)) => self.delete(to),
            None => return false,
        }
        self.selected = false;
        true
    }

    /// Returns where a key goes to, and what it does with what lies between.
    fn target(&self, key: &Key) -> Option<(usize, Does)> {
        let (text, at) = (&self.text, self.at);
        let by_word = key.mods.ctrl || key.mods.alt;
        Some(match (key.code, key.mods.ctrl, key.mods.alt) {
            (Code::Left, ..) if by_word => (cluster::word_before(text, at), Does::Move),
            (Code::Right, ..) if by_word => (cluster::word_next(text, at), Does::Move),
            (Code::Left, ..) | (Code::Char('b'), true, false) => {
                (cluster::before(text, at), Does::Move)
            }
            (Code::Right, ..) | (Code::Char('f'), true, false) => {
                (cluster::next(text, at), Does::Move)
            }
            (Code::Char('b'), false, true) => (cluster::word_before(text, at), Does::Move),
            (Code::Char('f'), false, true) => (cluster::word_next(text, at), Does::Move),
            (Code::Home, ..) | (Code::Char('a'), true, false) => (0, Does::Move),
            (Code::End, ..) | (Code::Char('e'), true, false) => (text.len(), Does::Move),
            (Code::Backspace, ..) if by_word => (cluster::word_before(text, at), Does::Delete),
            (Code::Delete, ..) if by_word => (cluster::word_next(text, at), Does::Delete),
            (Code::Backspace, ..) | (Code::Char('h'), true, false) => {
                (cluster::before(text, at), Does::Delete)
            }
            (Code::Delete, ..) | (Code::Char('d'), true, false) => {
                (cluster::next(text, at), Does::Delete)
            }
            (Code::Char('d'), false, true) => (cluster::word_next(text, at), Does::Delete),
            (Code::Char('w'), true, false) => (cluster::chunk_before(text, at), Does::Delete),
            (Code::Char('u'), true, false) => (0, Does::Delete),
            (Code::Char('k'), true, false) => (text.len(), Does::Delete),
            _ => return None,
        })
    }

    fn clear(&mut self) {
        *self = Input::default();
    }

    fn delete(&mut self, to: usize) {
        let (from, to) = (self.at.min(to), self.at.max(to));
        self.text.replace_range(from..to, "");
        self.at = cluster::snap(&self.text, from);
    }

    /// Puts text at the cursor; line ends become spaces, other control characters are dropped.
    pub fn insert(&mut self, text: &str) {
        if self.selected {
            self.clear();
        }
        let room = LINE_MAX.saturating_sub(self.text.len());
        let text = text.replace("\r\n", "\n");
        let mut clean = String::new();
        for c in text.chars() {
            let c = if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c };
            if room < clean.len() + c.len_utf8() {
                break;
            }
            if !c.is_control() {
                clean.push(c);
            }
        }
        self.text.insert_str(self.at, &clean);
        self.at = cluster::snap(&self.text, self.at + clean.len());
    }

    /// Puts the cursor where column `col` of `area` is drawn, as a click does.
    pub fn click(&mut self, area: Rect, col: u16) {
        self.selected = false;
        let first = self.first(area.width);
        let mut x = area.x;
        self.at = self.text.len();
        for (offset, it) in self.text[first..].grapheme_indices(true) {
            x = x.saturating_add(cluster::columns(it, 0));
            if col < x {
                self.at = first + offset;
                break;
            }
        }
    }

    /// Returns the first byte drawn on `width` columns: as far left as keeps the cursor drawn.
    fn first(&self, width: u16) -> usize {
        let mut room = width.saturating_sub(1);
        let mut first = self.at;
        for (offset, it) in self.text[..self.at].grapheme_indices(true).rev() {
            let columns = cluster::columns(it, 0);
            if room < columns {
                break;
            }
            room -= columns;
            first = offset;
        }
        first
    }

    /// Draws it on one row of `area` and places the cursor if it is focused; long text scrolls.
    pub fn view(&self, area: Rect, focused: bool, theme: Theme, canvas: &mut Canvas) {
        let area = area.intersection(canvas.area());
        if area.is_empty() {
            return;
        }
        let style = theme.style(if focused { Role::InputFocused } else { Role::Input });
        canvas.fill(Rect { height: 1, ..area }, style);
        if !focused {
            canvas.fit(area.x, area.y, area.width, &self.text, style);
            return;
        }
        let first = self.first(area.width);
        let style = if self.selected { theme.style(Role::Selected) } else { style };
        let x = canvas.text(area.x, area.y, area.width, &self.text[first..self.at], style);
        let rest = area.right().saturating_sub(x);
        canvas.text(x, area.y, rest, &self.text[self.at..], style);
        let at = Position { x: x.min(area.right() - 1), y: area.y };
        canvas.cursor = Some(CursorAt { at, shape: CursorShape::Bar, blink: false });
    }
}

/// What is done with the text between the cursor and where a key goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Move,
    Delete,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tui::keymap::parse;

    const KEYS: [&str; 26] = [
        "left",
        "right",
        "home",
        "end",
        "ctrl-a",
        "ctrl-e",
        "ctrl-w",
        "ctrl-u",
        "ctrl-k",
        "ctrl-left",
        "ctrl-right",
        "alt-b",
        "alt-f",
        "alt-d",
        "backspace",
        "delete",
        "ctrl-d",
        "alt-backspace",
        "ctrl-b",
        "ctrl-f",
        "ctrl-h",
        "a",
        "space",
        "é",
        "👩",
        "\u{301}",
    ];

    fn typed(text: &str, keys: &[&str]) -> (String, String) {
        let mut input = Input::new(text);
        keys.iter().for_each(|it| assert!(input.key(&parse(it).unwrap()), "{it}"));
        (input.head().to_owned(), input.text()[input.at..].to_owned())
    }

    #[test]
    fn what_is_selected_gives_way_to_what_is_typed() {
        let after = |keys: &[&str]| {
            let mut input = Input::selected("17.50");
            keys.iter().for_each(|it| assert!(input.key(&parse(it).unwrap()), "{it}"));
            input.text().to_owned()
        };
        assert_eq!(after(&[]), "17.50");
        assert_eq!(after(&["2", "5"]), "25");
        assert_eq!(after(&["backspace", "9"]), "9");
        assert_eq!(after(&["end", "5"]), "17.505");
        assert_eq!(after(&["left", "backspace"]), "17.0");
        let mut pasted = Input::selected("17.50");
        pasted.insert("30");
        assert_eq!(pasted.text(), "30");
    }

    #[test]
    fn keys_do_what_every_shell_taught() {
        for (keys, head, tail) in [
            (&["ctrl-w"][..], "git push ", ""),
            (&["ctrl-w", "ctrl-w"], "git ", ""),
            (&["alt-b", "alt-b"], "git push --", "force-now"),
            (&["home", "alt-f", "x"], "gitx", " push --force-now"),
            (&["ctrl-a", "alt-d"], "", " push --force-now"),
            (&["alt-b", "ctrl-k"], "git push --force-", ""),
            (&["alt-b", "ctrl-u"], "", "now"),
            (&["left", "delete"], "git push --force-no", ""),
        ] {
            let is = typed("git push --force-now", keys);
            assert_eq!(is, (head.to_owned(), tail.to_owned()), "{keys:?}");
        }
    }

    #[test]
    fn a_family_is_one_character() {
        let family = "👩\u{200d}👩\u{200d}👧";
        assert_eq!(typed(&format!("a{family}"), &["backspace"]).0, "a");
        assert_eq!(typed("e\u{301}x", &["left", "left"]).0, "");
    }

    #[test]
    fn pasted_lines_become_one_and_steer_nothing() {
        let mut input = Input::default();
        input.insert("a\r\nb\tc\u{1b}[2J\0");
        assert_eq!(input.text(), "a b c[2J");
    }

    #[test]
    fn long_text_scrolls_and_the_cursor_stays_on_the_row() {
        let mut canvas = Canvas::new(Rect::new(0, 0, 6, 1));
        Input::new("0123456789").view(Rect::new(0, 0, 6, 1), true, Theme::Plain, &mut canvas);
        let row: String = canvas.buf.content().iter().map(|it| it.symbol()).collect();
        assert_eq!(row, "56789 ");
        assert_eq!(canvas.cursor.map(|it| it.at), Some(Position { x: 5, y: 0 }));
    }

    proptest! {
        #[test]
        fn any_keys_keep_the_cursor_between_characters(
            text in "\\PC{0,20}",
            keys in proptest::collection::vec(0..KEYS.len(), 0..40),
            width in 0u16..12,
        ) {
            let mut input = Input::new(text);
            let mut canvas = Canvas::new(Rect::new(0, 0, 10, 1));
            for it in keys {
                input.key(&parse(KEYS[it]).unwrap());
                let borders: Vec<usize> = input.text.grapheme_indices(true).map(|it| it.0).collect();
                prop_assert!(borders.contains(&input.at) || input.at == input.text.len());
                input.view(Rect::new(0, 0, width, 1), true, Theme::Dark, &mut canvas);
            }
        }
    }
}
