//! What keys do to the text.

use crate::{
    tui::widget::{
        cluster,
        editor::{Editor, Refused, Spot},
    },
    vt::input::{Code, Key, Phase},
};

/// What a key came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It edited or moved.
    Yes,
    /// It edited, and something was left out.
    But(Refused),
    /// It is no editing key, or there is nowhere to go: the owner may use it.
    No,
}

impl Editor {
    /// Takes a key.
    pub fn key(&mut self, key: &Key) -> Taken {
        if key.phase == Phase::Release {
            return Taken::No;
        }
        let (ctrl, alt) = (key.mods.ctrl, key.mods.alt);
        match key.code {
            Code::Char(c) if !ctrl && !alt && !key.mods.logo => self.typed(c),
            Code::Enter => self.typed('\n'),
            Code::Char('z' | '_' | '7') if ctrl && !key.mods.shift => does(self.undo()),
            Code::Char('z' | 'Z') if alt || ctrl => does(self.redo()),
            Code::Char('c') if alt => does(self.copy()),
            Code::Char('x') if alt => does(self.copy() && self.delete_selected()),
            Code::Char('v') if alt => match self.insert(&self.cut.clone()) {
                None => Taken::Yes,
                Some(it) => Taken::But(it),
            },
            _ => match self.deletion(key) {
                Some(to) => {
                    if !self.delete_selected() {
                        let (from, to) = (self.cursor.min(to), self.cursor.max(to));
                        self.replace(from, to, "");
                    }
                    Taken::Yes
                }
                None => self.moves(key),
            },
        }
    }

    fn typed(&mut self, c: char) -> Taken {
        match self.insert(c.encode_utf8(&mut [0; 4])) {
            None => Taken::Yes,
            Some(it) => Taken::But(it),
        }
    }

    fn copy(&mut self) -> bool {
        let Some((from, to)) = self.selected() else { return false };
        self.cut = self.slice(from, to);
        true
    }

    fn delete_selected(&mut self) -> bool {
        let Some((from, to)) = self.selected() else { return false };
        self.replace(from, to, "");
        true
    }

    /// Returns how far a deleting key deletes.
    fn deletion(&self, key: &Key) -> Option<Spot> {
        let (line, at) = (&self.lines[self.cursor.line], self.cursor.at);
        let here = |at| Spot { at, ..self.cursor };
        let (ctrl, alt) = (key.mods.ctrl, key.mods.alt);
        Some(match (key.code, ctrl, alt) {
            (Code::Backspace, true, _) | (Code::Backspace, _, true) => self.word_before(),
            (Code::Delete, true, _) | (Code::Delete, _, true) | (Code::Char('d'), false, true) => {
                self.word_next()
            }
            (Code::Backspace, ..) | (Code::Char('h'), true, false) => self.before(),
            (Code::Delete, ..) | (Code::Char('d'), true, false) => self.next(),
            (Code::Char('w'), true, false) if at == 0 => self.before(),
            (Code::Char('w'), true, false) => here(cluster::chunk_before(line, at)),
            (Code::Char('u'), true, false) if at == 0 => self.before(),
            (Code::Char('u'), true, false) => here(0),
            (Code::Char('k'), true, false) if at == line.len() => self.next(),
            (Code::Char('k'), true, false) => here(line.len()),
            _ => return None,
        })
    }

    fn moves(&mut self, key: &Key) -> Taken {
        let (ctrl, alt) = (key.mods.ctrl, key.mods.alt);
        let by_word = ctrl || alt;
        let page = isize::try_from(self.size.1.max(2) - 1).unwrap_or(1);
        let to = match (key.code, ctrl, alt) {
            (Code::Left, ..) if by_word => self.word_before(),
            (Code::Right, ..) if by_word => self.word_next(),
            (Code::Char('b'), false, true) => self.word_before(),
            (Code::Char('f'), false, true) => self.word_next(),
            (Code::Left, ..) | (Code::Char('b'), true, false) => self.before(),
            (Code::Right, ..) | (Code::Char('f'), true, false) => self.next(),
            (Code::Home, true, _) => Spot::default(),
            (Code::End, true, _) => self.end(),
            (Code::Home, ..) | (Code::Char('a'), true, false) => self.row_start(),
            (Code::End, ..) | (Code::Char('e'), true, false) => self.row_end(),
            (Code::Up, ..) => return self.vertical(-1, key),
            (Code::Down, ..) => return self.vertical(1, key),
            (Code::PageUp, ..) => return self.vertical(-page, key),
            (Code::PageDown, ..) => return self.vertical(page, key),
            _ => return Taken::No,
        };
        self.go(to, key.mods.shift);
        self.goal = None;
        Taken::Yes
    }

    /// Moves by rows as they are drawn; there may be nowhere to go.
    fn vertical(&mut self, by: isize, key: &Key) -> Taken {
        let goal = self.goal.unwrap_or_else(|| self.place(self.cursor).1);
        let to = self.rows_from(self.cursor, by, goal);
        if to == self.cursor {
            return Taken::No;
        }
        self.go(to, key.mods.shift);
        self.goal = Some(goal);
        Taken::Yes
    }

    /// Moves the cursor, and the end of the selection with it if it is held.
    pub(super) fn go(&mut self, to: Spot, selecting: bool) {
        match selecting {
            true => self.anchor = self.anchor.or(Some(self.cursor)),
            false => self.anchor = None,
        }
        // What is typed next is an edit of its own.
        if let Some(last) = self.undo.last_mut() {
            last.open = false;
        }
        self.cursor = to;
        self.show();
    }

    fn next(&self) -> Spot {
        let Spot { line, at } = self.cursor;
        if at < self.lines[line].len() {
            return Spot { line, at: cluster::next(&self.lines[line], at) };
        }
        if line + 1 < self.lines.len() { Spot { line: line + 1, at: 0 } } else { self.cursor }
    }

    fn before(&self) -> Spot {
        let Spot { line, at } = self.cursor;
        match (line, at) {
            (0, 0) => self.cursor,
            (_, 0) => Spot { line: line - 1, at: self.lines[line - 1].len() },
            _ => Spot { line, at: cluster::before(&self.lines[line], at) },
        }
    }

    fn word_next(&self) -> Spot {
        let Spot { line, at } = self.cursor;
        match at == self.lines[line].len() {
            true => self.next(),
            false => Spot { line, at: cluster::word_next(&self.lines[line], at) },
        }
    }

    fn word_before(&self) -> Spot {
        let Spot { line, at } = self.cursor;
        match at {
            0 => self.before(),
            _ => Spot { line, at: cluster::word_before(&self.lines[line], at) },
        }
    }
}

fn does(it: bool) -> Taken {
    if it { Taken::Yes } else { Taken::No }
}
