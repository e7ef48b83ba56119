//! A list to choose from: help, palette, sort, copy, sessions, undo.

use nucleo_matcher::{
    Config, Matcher, Utf32Str,
    pattern::{CaseMatching, Normalization, Pattern},
};
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use crate::{
    stdx::text::one_line,
    tui::{
        canvas::Canvas,
        theme::{Role, Theme},
        widget::{frame, input::Input, list::Window},
    },
    vt::input::{Button, Code, Key, Mods, Mouse, MouseKind},
};

/// Columns of the widest list.
const WIDTH_MAX: u16 = 96;

/// Columns of the narrowest.
const WIDTH_MIN: u16 = 36;

/// Rows of the longest list.
const HEIGHT_MAX: u16 = 32;

/// Columns up to which the notes of all entries begin in one column.
const LABEL_MAX: u16 = 24;

/// Characters of an entry that can ever be seen.
const TEXT_MAX: usize = 200;

/// An entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// The key that chooses it, or that does elsewhere what it stands for.
    pub key: String,
    /// What it is; fuzzy search looks here and in the note.
    pub label: String,
    /// What else is to be said.
    pub note: String,
    /// Whether it is a heading, which cannot be chosen.
    pub heading: bool,
}

/// How text filters the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Search {
    /// Not: the entries' keys choose them.
    #[default]
    Letters,
    /// After `/`.
    Slash,
    /// Every character.
    Always,
}

/// What a key or a click did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Nothing,
    /// The entry at this position was chosen.
    Chosen(usize),
    /// The list is to be closed.
    Closed,
}

/// The list.
#[derive(Debug, Default)]
pub struct Menu {
    title: String,
    items: Vec<Item>,
    search: Search,
    /// The text that filters, while there is one.
    input: Option<Input>,
    /// Positions of the entries shown, best first.
    shown: Vec<usize>,
    window: Window,
    /// Says what is missing if there is no entry.
    empty: String,
}

impl Menu {
    /// Returns a list with its first entry selected.
    pub fn new(title: impl Into<String>, items: Vec<Item>, search: Search) -> Menu {
        let mut menu = Menu {
            title: title.into(),
            items,
            search,
            input: (search == Search::Always).then(Input::default),
            empty: "nothing fits".to_owned(),
            ..Menu::default()
        };
        menu.narrow();
        menu
    }

    /// Says what is missing if there is no entry.
    pub fn or_empty(mut self, text: &str) -> Menu {
        text.clone_into(&mut self.empty);
        self
    }

    /// Takes the place of a list with as many entries: what was typed and selected stays.
    pub fn take_place(&mut self, of: Menu) {
        (self.input, self.shown, self.window) = (of.input, of.shown, of.window);
    }

    /// Selects the entry at a position.
    pub fn select(&mut self, item: usize) {
        if let Some(row) = self.shown.iter().position(|it| *it == item) {
            self.window.selected = row;
        }
    }

    /// Takes a key on a screen of this size.
    pub fn key(&mut self, key: &Key, screen: Rect) -> Outcome {
        let height = self.rows(screen);
        let ctrl = key.mods == Mods::CTRL;
        let page = isize::try_from(height.saturating_sub(1).max(1)).unwrap_or(1);
        match key.code {
            Code::Esc => return self.escape(),
            Code::Enter => return self.choose(),
            Code::Up => self.step(-1, height),
            Code::Down => self.step(1, height),
            Code::Char('p') if ctrl => self.step(-1, height),
            Code::Char('n') if ctrl => self.step(1, height),
            Code::Char('c') if ctrl => return Outcome::Closed,
            Code::PageUp => self.step(-page, height),
            Code::PageDown => self.step(page, height),
            _ if self.input.is_some() => self.typed(key),
            Code::Home => self.step(isize::MIN, height),
            Code::End => self.step(isize::MAX, height),
            Code::Char(c) if !key.mods.ctrl && !key.mods.alt => return self.letter(c, height),
            _ => (),
        }
        Outcome::Nothing
    }

    fn letter(&mut self, c: char, height: usize) -> Outcome {
        let mut buffer = [0; 4];
        let letter = &*c.encode_utf8(&mut buffer);
        let named = self.items.iter().position(|it| !it.heading && it.key == letter);
        match (self.search, named, c) {
            (Search::Letters, Some(at), _) => return Outcome::Chosen(at),
            (Search::Slash, _, '/') => self.input = Some(Input::default()),
            (_, _, 'j') => self.step(1, height),
            (_, _, 'k') => self.step(-1, height),
            (_, _, 'g') => self.step(isize::MIN, height),
            (_, _, 'G') => self.step(isize::MAX, height),
            (_, _, 'q' | '?') => return Outcome::Closed,
            _ => (),
        }
        Outcome::Nothing
    }

    fn typed(&mut self, key: &Key) {
        if let Some(input) = &mut self.input
            && input.key(key)
        {
            self.narrow();
        }
    }

    /// Takes pasted text.
    pub fn paste(&mut self, text: &str) {
        if let Some(input) = &mut self.input {
            input.insert(text);
            self.narrow();
        }
    }

    /// Takes a mouse event on a screen of this size.
    pub fn mouse(&mut self, mouse: &Mouse, screen: Rect) -> Outcome {
        let (outer, list) = self.places(screen);
        let height = usize::from(list.height);
        match mouse.kind {
            MouseKind::ScrollDown => self.step(1, height),
            MouseKind::ScrollUp => self.step(-1, height),
            MouseKind::Down(Button::Left) if !outer.contains((mouse.col, mouse.row).into()) => {
                return Outcome::Closed;
            }
            MouseKind::Down(Button::Left) if list.contains((mouse.col, mouse.row).into()) => {
                let row = self.window.top + usize::from(mouse.row - list.y);
                if self.shown.get(row).is_some_and(|it| !self.items[*it].heading) {
                    self.window.selected = row;
                    return self.choose();
                }
            }
            _ => (),
        }
        Outcome::Nothing
    }

    fn escape(&mut self) -> Outcome {
        if self.search == Search::Slash && self.input.is_some() {
            self.input = None;
            self.narrow();
            return Outcome::Nothing;
        }
        Outcome::Closed
    }

    fn choose(&self) -> Outcome {
        let at = self.shown.get(self.window.selected);
        match at.filter(|it| !self.items[**it].heading) {
            Some(at) => Outcome::Chosen(*at),
            None => Outcome::Nothing,
        }
    }

    fn step(&mut self, by: isize, height: usize) {
        let len = self.shown.len();
        self.window.step(by, len, height);
        let is_item = |it: &usize| !self.items[self.shown[*it]].heading;
        let at = self.window.selected;
        let found = if by < 0 {
            (0..(at + 1).min(len)).rev().find(is_item).or_else(|| (at..len).find(is_item))
        } else {
            (at..len).find(is_item).or_else(|| (0..at.min(len)).rev().find(is_item))
        };
        self.window.go(found.unwrap_or(0), len, height);
        // The heading above the first entry is shown with it.
        if self.window.selected <= 1 {
            self.window.top = 0;
        }
    }

    /// Finds out which entries fit the text.
    fn narrow(&mut self) {
        let text = self.input.as_ref().map_or("", Input::text).trim().to_owned();
        self.window = Window::default();
        if text.is_empty() {
            self.shown = (0..self.items.len()).collect();
            return self.step(0, HEIGHT_MAX.into());
        }
        let pattern = Pattern::parse(&text, CaseMatching::Smart, Normalization::Smart);
        let mut matcher = Matcher::new(Config::DEFAULT);
        let mut buffer = Vec::new();
        let mut found: Vec<(u32, usize)> = Vec::new();
        for (at, item) in self.items.iter().enumerate().filter(|(_, it)| !it.heading) {
            let words = format!("{} {}", item.label, item.note);
            let score = pattern.score(Utf32Str::new(&words, &mut buffer), &mut matcher);
            found.extend(score.map(|it| (it, at)));
        }
        found.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        self.shown = found.into_iter().map(|it| it.1).collect();
    }

    /// Returns the box with its border, and the part of it that has the entries.
    fn places(&self, screen: Rect) -> (Rect, Rect) {
        let most = |width: fn(&Item) -> usize| self.items.iter().map(width).max().unwrap_or(0);
        let (notes, labels) = (most(|it| it.note.width()), most(|it| it.label.width()));
        let gaps = if notes == 0 { 6 } else { 8 };
        let cells = most(|it| it.key.width()) + labels + notes + gaps;
        let widest = cells.max(self.title.width() + 4);
        let width = u16::try_from(widest).unwrap_or(WIDTH_MAX).clamp(WIDTH_MIN, WIDTH_MAX);
        let line = u16::from(self.search != Search::Letters);
        let rows = u16::try_from(self.items.len().max(1)).unwrap_or(HEIGHT_MAX);
        let height = rows.min(HEIGHT_MAX).saturating_add(2 + line);
        let (width, height) = (width.min(screen.width), height.min(screen.height));
        let outer = Rect {
            x: screen.x + (screen.width - width) / 2,
            y: screen.y + (screen.height - height) / 2,
            width,
            height,
        };
        let inner = crate::tui::layout::inside(outer);
        let line = line.min(inner.height);
        (outer, Rect { y: inner.y + line, height: inner.height - line, ..inner })
    }

    fn rows(&self, screen: Rect) -> usize {
        usize::from(self.places(screen).1.height)
    }

    /// Draws it in the middle of the screen.
    pub fn view(&self, screen: Rect, theme: Theme, canvas: &mut Canvas) {
        let (outer, list) = self.places(screen);
        let title = format!(" {} ", one_line(&self.title, TEXT_MAX));
        let inner = frame::popup(canvas, screen, (outer.width, outer.height), &title, theme);
        if list.y != inner.y && 0 < inner.height {
            let line = Rect { height: 1, ..inner };
            match &self.input {
                Some(input) => {
                    canvas.text(line.x, line.y, 2, "> ", theme.style(Role::Key));
                    let line = Rect {
                        x: line.x.saturating_add(2),
                        width: line.width.saturating_sub(2),
                        ..line
                    };
                    input.view(line, true, theme, canvas);
                }
                None => {
                    let text = "/ filters   Enter does it   Esc closes";
                    canvas.fit(line.x, line.y, line.width, text, theme.style(Role::Dim));
                }
            }
        }
        if self.shown.is_empty() && 0 < list.height {
            canvas.fit(list.x, list.y, list.width, &self.empty, theme.style(Role::Dim));
        }
        let mut window = self.window;
        window.show(self.shown.len(), usize::from(list.height));
        let keys = self.items.iter().filter(|it| !it.heading).map(|it| it.key.width()).max();
        let keys = u16::try_from(keys.unwrap_or(0)).unwrap_or(0).min(list.width / 3);
        let labels = self.items.iter().filter(|it| !it.heading && !it.note.is_empty());
        let labels = labels.map(|it| it.label.width()).max().unwrap_or(0);
        let labels = u16::try_from(labels).unwrap_or(LABEL_MAX).min(LABEL_MAX);
        for (row, y) in window.rows(self.shown.len(), usize::from(list.height)).zip(list.y..) {
            let item = &self.items[self.shown[row]];
            let at = Rect { y, height: 1, ..list };
            entry(item, at, (keys, labels), theme, canvas);
            if row == window.selected && !item.heading {
                canvas.tint(at, theme.style(Role::Selected));
            }
        }
    }
}

fn entry(item: &Item, at: Rect, columns: (u16, u16), theme: Theme, canvas: &mut Canvas) {
    let (keys, labels) = columns;
    let label = one_line(&item.label, TEXT_MAX);
    if item.heading {
        canvas.fit(at.x, at.y, at.width, &label, theme.style(Role::Title));
        return;
    }
    let mut x = at.x.saturating_add(1);
    let left = |x: u16| at.right().saturating_sub(x);
    if keys != 0 {
        let key = one_line(&item.key, TEXT_MAX);
        canvas.fit(x, at.y, keys.min(left(x)), &key, theme.style(Role::Key));
        x = x.saturating_add(keys + 2);
    }
    let end = canvas.fit(x, at.y, left(x), &label, theme.style(Role::Text));
    x = end.max(x.saturating_add(labels)).saturating_add(2);
    let note = one_line(&item.note, TEXT_MAX);
    canvas.fit(x, at.y, left(x), &note, theme.style(Role::Dim));
}
