//! Tables whose columns align, with one that gives way where the terminal is narrow.

use unicode_width::UnicodeWidthStr;

use crate::cli::{
    paint::Paint,
    view::{cut, pad, pad_left, widest},
};

/// Columns between two fields.
const GAP: usize = 2;

/// A table.
pub struct Table {
    columns: Vec<Column>,
}

/// A column.
pub struct Column {
    name: &'static str,
    values: Vec<String>,
    right: bool,
    least: Option<usize>,
    keeps: u8,
}

impl Column {
    /// Creates a column of text. The values are fit to be shown.
    pub fn new(name: &'static str, values: Vec<String>) -> Column {
        Column { name, values, right: false, least: None, keeps: u8::MAX }
    }

    /// Has numbers stand below each other.
    pub fn right(self) -> Column {
        Column { right: true, ..self }
    }

    /// Lets it be cut down to `least` columns where there is not enough room.
    pub fn gives_way(self, least: usize) -> Column {
        Column { least: Some(least), ..self }
    }

    /// Lets it be left out where there is not enough room; the lowest `keeps` goes first.
    pub fn keeps(self, keeps: u8) -> Column {
        Column { keeps, ..self }
    }

    fn width(&self) -> usize {
        widest(self.values.iter().cloned(), self.name.width(), usize::MAX)
    }

    /// Returns the least room it can do with.
    fn need(&self) -> usize {
        self.least.map_or(self.width(), |it| it.max(self.name.width()).min(self.width()))
    }
}

impl Table {
    /// Creates a table; all columns have as many values.
    pub fn new(columns: Vec<Column>) -> Table {
        Table { columns }
    }

    /// Returns the lines. `width` is where they end, if they do.
    pub fn text(mut self, width: Option<usize>, paint: Paint) -> String {
        if let Some(width) = width {
            while width < self.sum(Column::need) && self.drop_one() {}
        }
        let room = width.map_or(usize::MAX, |it| {
            let others = self.sum(|it| if it.least.is_some() { 0 } else { it.width() });
            it.saturating_sub(others)
        });
        let widths: Vec<usize> =
            self.columns
                .iter()
                .map(|it| {
                    if it.least.is_some() {
                        it.width().min(room.max(it.need()))
                    } else {
                        it.width()
                    }
                })
                .collect();
        let line = |of: &dyn Fn(&Column) -> String| {
            let fields = self.columns.iter().zip(&widths).map(|(column, width)| {
                let text = cut(&of(column), *width);
                if column.right { pad_left(&text, *width) } else { pad(&text, *width) }
            });
            fields.collect::<Vec<_>>().join(&" ".repeat(GAP)).trim_end().to_owned()
        };
        let mut lines = vec![paint.dim(&line(&|it| it.name.to_owned()))];
        let rows = self.columns.first().map_or(0, |it| it.values.len());
        lines
            .extend((0..rows).map(|at| line(&|it| it.values.get(at).cloned().unwrap_or_default())));
        lines.join("\n")
    }

    fn sum(&self, of: impl Fn(&Column) -> usize) -> usize {
        self.columns.iter().map(|it| of(it) + GAP).sum::<usize>().saturating_sub(GAP)
    }

    /// Leaves out the column that may go first. Returns whether there was one.
    fn drop_one(&mut self) -> bool {
        let may = self.columns.iter().enumerate().filter(|(_, it)| it.keeps < u8::MAX);
        let Some((at, _)) = may.min_by_key(|(_, it)| it.keeps) else { return false };
        self.columns.remove(at);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let column = |name, values: [&str; 2]| Column::new(name, values.map(str::to_owned).into());
        Table::new(vec![
            column("NAME", ["a name that is long", "b"]).gives_way(6),
            column("COST", ["$1.00", "$12.00"]).right(),
            column("MORE", ["x", "y"]).keeps(1),
            column("MOST", ["x", "y"]).keeps(2),
        ])
    }

    #[test]
    fn what_matters_less_goes_first() {
        let shown = |width| table().text(width, Paint { on: false });
        insta::assert_snapshot!(shown(None), @r"
        NAME                   COST  MORE  MOST
        a name that is long   $1.00  x     x
        b                    $12.00  y     y
        ");
        insta::assert_snapshot!(shown(Some(30)), @r"
        NAME          COST  MORE  MOST
        a name th…   $1.00  x     x
        b           $12.00  y     y
        ");
        insta::assert_snapshot!(shown(Some(20)), @r"
        NAME      COST  MOST
        a nam…   $1.00  x
        b       $12.00  y
        ");
    }
}
