//! A window on a long list: which rows are drawn, and how moving scrolls it.

/// A selected row and the first row drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// The selected row.
    pub selected: usize,
    /// The first row drawn.
    pub top: usize,
}

impl Window {
    /// Moves the selection by `by` rows within `len`, and scrolls so that it is drawn on `height`
    /// rows.
    pub fn step(&mut self, by: isize, len: usize, height: usize) {
        self.go(self.selected.saturating_add_signed(by), len, height);
    }

    /// Selects a row, or the last if there are not so many, and scrolls so that it is drawn.
    pub fn go(&mut self, row: usize, len: usize, height: usize) {
        self.selected = row.min(len.saturating_sub(1));
        self.show(len, height);
    }

    /// Scrolls so that the selected row is drawn, and no row is left empty that need not be.
    pub fn show(&mut self, len: usize, height: usize) {
        self.selected = self.selected.min(len.saturating_sub(1));
        let height = height.max(1);
        if self.selected < self.top {
            self.top = self.selected;
        } else if self.top + height <= self.selected {
            self.top = self.selected + 1 - height;
        }
        self.top = self.top.min(len.saturating_sub(height));
    }

    /// Returns the rows drawn.
    pub fn rows(&self, len: usize, height: usize) -> std::ops::Range<usize> {
        let top = self.top.min(len);
        top..len.min(top.saturating_add(height))
    }
}
