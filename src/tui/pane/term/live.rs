//! One opened terminal: the emulator, and what is known of its connection.

use std::{fmt, time::Duration};

use ratatui::layout::Rect;

use crate::{
    stdx::time::Timestamp,
    tui::{
        effect::{Effect, TermKind},
        model::Out,
        msg::Slot,
    },
    vt::screen::{Screen, Size},
};

/// How long an update that a program began (mode 2026) may keep the screen from being drawn; a
/// program that died within one would keep it for ever.
const SYNC_MAX: Duration = Duration::from_millis(150);

/// A terminal.
pub struct Live {
    pub slot: Slot,
    pub task: String,
    pub kind: TermKind,
    pub screen: Screen,
    /// The size that was asked for, with the row that is not drawn.
    size: Size,
    /// Whether it takes input and sizes; what it shows stays when it does not.
    pub open: bool,
    /// Whether anything came of it.
    pub spoke: bool,
    /// When the update began that keeps the screen from being drawn.
    syncing: Option<Timestamp>,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live")
            .field("slot", &self.slot)
            .field("task", &self.task)
            .field("kind", &self.kind)
            .field("size", &self.size)
            .field("open", &self.open)
            .field("spoke", &self.spoke)
            .finish_non_exhaustive()
    }
}

impl Live {
    /// Opens a terminal at the size it is drawn.
    pub fn open(slot: Slot, task: &str, kind: TermKind, inner: Rect, out: &mut Out) -> Live {
        let size = size(kind, inner);
        let task = task.to_owned();
        out.effects.push(Effect::OpenTerm { slot, task: task.clone(), kind, size });
        let screen = Screen::new(size);
        Live { slot, task, kind, screen, size, open: true, spoke: false, syncing: None }
    }

    /// Takes in what the program wrote.
    pub fn feed(&mut self, bytes: &[u8], now: Timestamp) {
        self.spoke = true;
        self.screen.feed(bytes);
        self.syncing = match (self.screen.syncing(), self.syncing) {
            (true, since) => since.or(Some(now)),
            (false, _) => None,
        };
    }

    /// Ends an update that takes too long; returns when to look again.
    pub fn settle(&mut self, now: Timestamp) -> Option<Timestamp> {
        let end = self.syncing?.plus(SYNC_MAX);
        if now < end {
            return Some(end);
        }
        self.screen.stop_sync();
        self.syncing = None;
        None
    }

    /// Makes it as large as it is drawn; says so once per size.
    pub fn fit(&mut self, inner: Rect, out: &mut Out) {
        let size = size(self.kind, inner);
        if self.open && size != self.size {
            self.size = size;
            self.screen.resize(size);
            out.effects.push(Effect::TermResize { slot: self.slot, size });
        }
    }

    /// Has the program draw everything again: one column less and back, which every program
    /// answers by drawing, where a key for it would be typed into those that know none.
    pub fn resync(&self, out: &mut Out) {
        if self.open {
            let less = Size { cols: self.size.cols.saturating_sub(1).max(2), ..self.size };
            for size in [less, self.size] {
                out.effects.push(Effect::TermResize { slot: self.slot, size });
            }
        }
    }

    /// Sends bytes to the program, if it is there and there are any.
    pub fn send(&self, bytes: Vec<u8>, out: &mut Out) {
        if self.open && !bytes.is_empty() {
            out.effects.push(Effect::TermInput { slot: self.slot, bytes });
        }
    }

    /// Closes the connection. What it showed stays.
    pub fn close(&mut self, out: &mut Out) {
        if self.open {
            self.open = false;
            out.effects.push(Effect::CloseTerm(self.slot));
        }
    }

    /// Returns how many rows are drawn.
    pub fn rows(&self) -> u16 {
        self.screen.size().rows.saturating_sub(hidden_rows(self.kind))
    }
}

/// tmux draws a status line at the bottom of each client. Our border says what it would, so the
/// terminal is a row longer than what is drawn.
fn hidden_rows(kind: TermKind) -> u16 {
    match kind {
        TermKind::Look | TermKind::Attach => 1,
        TermKind::Shell => 0,
    }
}

fn size(kind: TermKind, inner: Rect) -> Size {
    let rows = inner.height.max(1).saturating_add(hidden_rows(kind));
    Size { cols: inner.width.max(2), rows: rows.max(2) }
}
