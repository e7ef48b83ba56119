//! A list to choose from by a few letters.

use ratatui::layout::Rect;

use crate::{
    stdx::text::one_line,
    tui::{
        canvas::Canvas,
        theme::{Role, Theme},
        widget::{input::Input, list::Window},
    },
    vt::input::{Code, Key},
};

/// Characters of an entry that are looked at and drawn.
const SHOWN_MAX: usize = 300;

/// Rows that a page goes by.
const PAGE: isize = 8;

/// The list and what was typed.
#[derive(Clone, Debug, Default)]
pub struct Chooser {
    /// One line for each entry.
    rows: Vec<String>,
    input: Input,
    /// The rows that match, in their order.
    found: Vec<usize>,
    window: Window,
}

/// What a key came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picked {
    /// Nothing yet.
    None,
    /// Take this entry.
    Take(usize),
    /// Take it to change it first.
    Edit(usize),
    /// Delete it.
    Delete(usize),
}

impl Chooser {
    /// Returns a list of these entries, with the first chosen.
    pub fn new<'a>(entries: impl IntoIterator<Item = &'a str>) -> Chooser {
        let rows: Vec<String> = entries.into_iter().map(|it| one_line(it, SHOWN_MAX)).collect();
        let found = (0..rows.len()).collect();
        Chooser { rows, found, ..Chooser::default() }
    }

    /// Takes a key.
    pub fn key(&mut self, key: &Key) -> Picked {
        let chosen = self.found.get(self.window.selected).copied();
        let mut step = |by| self.window.step(by, self.found.len(), usize::MAX);
        match (key.code, key.mods.ctrl) {
            (Code::Enter, _) => return chosen.map_or(Picked::None, Picked::Take),
            (Code::Tab, _) => return chosen.map_or(Picked::None, Picked::Edit),
            (Code::Delete, true) => return chosen.map_or(Picked::None, Picked::Delete),
            (Code::Down, _) | (Code::Char('n'), true) => step(1),
            (Code::Up, _) | (Code::Char('p'), true) => step(-1),
            (Code::PageDown, _) => step(PAGE),
            (Code::PageUp, _) => step(-PAGE),
            _ => {
                if self.input.key(key) {
                    self.find();
                }
            }
        }
        Picked::None
    }

    /// Goes on to the next entry.
    pub fn step(&mut self, by: isize) {
        self.window.step(by, self.found.len(), usize::MAX);
    }

    fn find(&mut self) {
        let wanted = self.input.text().to_lowercase();
        let words: Vec<&str> = wanted.split_whitespace().collect();
        let rows = self.rows.iter().enumerate();
        let holds = |row: &str| {
            let row = row.to_lowercase();
            words.iter().all(|it| row.contains(it) || scattered(&row, it))
        };
        self.found = rows.filter(|it| holds(it.1)).map(|it| it.0).collect();
        // Whole words before letters that are scattered over the line.
        self.found.sort_by_key(|it| {
            let row = self.rows[*it].to_lowercase();
            !words.iter().all(|it| row.contains(it))
        });
        self.window = Window::default();
    }

    /// Draws it: what was typed on the first row, entries below.
    pub fn view(&self, area: Rect, theme: Theme, canvas: &mut Canvas) {
        if area.height == 0 {
            return;
        }
        canvas.text(area.x, area.y, area.width, "> ", theme.style(Role::Key));
        let line = Rect {
            x: area.x.saturating_add(2),
            width: area.width.saturating_sub(2),
            height: 1,
            ..area
        };
        self.input.view(line, true, theme, canvas);
        let height = usize::from(area.height - 1);
        if self.found.is_empty() {
            canvas.fit(area.x, area.y + 1, area.width, "nothing matches", theme.style(Role::Dim));
        }
        let mut window = self.window;
        window.show(self.found.len(), height);
        for (y, nth) in (area.y + 1..).zip(window.rows(self.found.len(), height)) {
            let role = if nth == window.selected { Role::Selected } else { Role::Text };
            let row = Rect { y, height: 1, ..area };
            canvas.tint(row, theme.style(role));
            let text = &self.rows[self.found[nth]];
            canvas.fit(area.x, y, area.width, text, theme.style(role));
        }
    }
}

/// Tells whether the letters of `word` are in `row` in their order.
fn scattered(row: &str, word: &str) -> bool {
    let mut letters = row.chars();
    word.chars().all(|wanted| letters.any(|it| it == wanted))
}
