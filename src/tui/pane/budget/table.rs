//! The lines of the panel: ceilings, a heading, costs. Costs keep their places while the cursor is
//! among them.

use crate::{
    api::budget::{CeilingView, CostRow, Costs, CostsBy},
    stdx::{text::one_line, time::Timestamp},
    tui::{model::Shared, money::set::Target},
};

/// An hour and a day, in milliseconds.
const HOUR_MS: i64 = 60 * 60 * 1000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Of which time costs are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Period {
    Hour,
    #[default]
    Day,
    Week,
    Month,
    All,
}

impl Period {
    const EACH: [Period; 5] = [Period::Hour, Period::Day, Period::Week, Period::Month, Period::All];

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Period::Hour => "hour",
            Period::Day => "day",
            Period::Week => "week",
            Period::Month => "month",
            Period::All => "all",
        }
    }

    /// Returns what it means.
    pub fn long(self) -> &'static str {
        match self {
            Period::Hour => "the last hour",
            Period::Day => "today",
            Period::Week => "the last 7 days",
            Period::Month => "the last 30 days",
            Period::All => "all time",
        }
    }

    /// Returns the period after this one.
    pub fn next(self) -> Period {
        self.turned(1)
    }

    /// Returns the period before this one.
    pub fn before(self) -> Period {
        self.turned(Period::EACH.len() - 1)
    }

    fn turned(self, by: usize) -> Period {
        Period::EACH[(self as usize + by) % Period::EACH.len()]
    }

    /// Returns when it began; nothing if it always was. Days begin at midnight, local time.
    pub fn from(self, now: Timestamp, utc_offset_ms: i64) -> Option<Timestamp> {
        let local = now.0.saturating_add(utc_offset_ms);
        let midnight = local - local.rem_euclid(DAY_MS) - utc_offset_ms;
        Some(Timestamp(match self {
            Period::Hour => now.0.saturating_sub(HOUR_MS),
            Period::Day => midnight,
            Period::Week => midnight.saturating_sub(6 * DAY_MS),
            Period::Month => midnight.saturating_sub(29 * DAY_MS),
            Period::All => return None,
        }))
    }
}

/// Returns the grouping after this one.
pub fn after(by: CostsBy) -> CostsBy {
    match by {
        CostsBy::Task => CostsBy::Type,
        CostsBy::Type => CostsBy::Host,
        CostsBy::Host => CostsBy::Model,
        CostsBy::Model => CostsBy::Day,
        CostsBy::Day => CostsBy::Task,
    }
}

/// Returns a grouping's name.
pub fn by_name(by: CostsBy) -> &'static str {
    match by {
        CostsBy::Task => "task",
        CostsBy::Type => "type",
        CostsBy::Host => "host",
        CostsBy::Model => "model",
        CostsBy::Day => "day",
    }
}

/// Returns what a row is called.
pub fn name(row: &CostRow) -> String {
    match one_line(&row.name, 80) {
        it if it.trim().is_empty() => "not known".to_owned(),
        it => it,
    }
}

/// What the cursor is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Ceiling(Target),
    /// A row of costs, by its key.
    Cost(String),
}

impl Default for Place {
    fn default() -> Place {
        Place::Ceiling(Target::All)
    }
}

/// What a line shows.
#[derive(Clone, Copy, Debug)]
pub enum Line<'a> {
    Ceiling(&'a CeilingView),
    Heading,
    Cost(&'a CostRow),
}

impl Line<'_> {
    /// Returns what the cursor is on, if it is on this line; it cannot be on the heading.
    pub fn place(self) -> Option<Place> {
        match self {
            Line::Ceiling(it) => Target::of(it).map(Place::Ceiling),
            Line::Heading => None,
            Line::Cost(it) => Some(Place::Cost(it.key.clone())),
        }
    }

    /// Tells whether it is the line of a place.
    pub fn is(self, place: &Place) -> bool {
        match (self, place) {
            (Line::Ceiling(it), Place::Ceiling(target)) => target.is_of(it),
            (Line::Cost(it), Place::Cost(key)) => it.key == *key,
            _ => false,
        }
    }
}

/// Every line, none of them made before it is asked for: there may be ten thousand.
#[derive(Debug)]
pub struct Lines<'a> {
    ceilings: Vec<&'a CeilingView>,
    rows: &'a [CostRow],
}

impl<'a> Lines<'a> {
    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.ceilings.len() + 1 + self.rows.len()
    }

    /// Returns a line.
    pub fn get(&self, at: usize) -> Option<Line<'a>> {
        let ceilings = self.ceilings.len();
        match at.checked_sub(ceilings) {
            None => self.ceilings.get(at).map(|it| Line::Ceiling(it)),
            Some(0) => Some(Line::Heading),
            Some(below) => self.rows.get(below - 1).map(Line::Cost),
        }
    }

    /// Returns the line of a place, if it is there.
    pub fn find(&self, place: &Place) -> Option<usize> {
        (0..self.len()).find(|at| self.get(*at).is_some_and(|it| it.is(place)))
    }

    /// Tells whether the cursor can be on a line.
    pub fn is_real(&self, at: usize) -> bool {
        !matches!(self.get(at), Some(Line::Heading) | None)
    }
}

/// The costs, in the order they are shown.
#[derive(Debug, Default)]
pub struct Table {
    costs: Option<Costs>,
    /// The dearest row of the period.
    dearest: Option<usize>,
}

impl Table {
    /// Forgets them: something else is asked for.
    pub fn clear(&mut self) {
        *self = Table::default();
    }

    /// Returns the costs, once they are known.
    pub fn costs(&self) -> Option<&Costs> {
        self.costs.as_ref()
    }

    /// Takes costs. With `stay`, rows that were there keep their order and new ones follow them.
    pub fn take(&mut self, mut costs: Costs, stay: bool) {
        if let Some(old) = self.costs.as_ref().filter(|_| stay) {
            let place: std::collections::HashMap<&str, usize> =
                old.rows.iter().enumerate().map(|(at, it)| (it.key.as_str(), at)).collect();
            let last = old.rows.len();
            costs.rows.sort_by_key(|it| place.get(it.key.as_str()).copied().unwrap_or(last));
        }
        let rows = costs.rows.iter().enumerate().filter(|it| 0.0 < it.1.total_usd);
        let dearest = rows.max_by(|a, b| a.1.total_usd.total_cmp(&b.1.total_usd));
        self.dearest = dearest.map(|it| it.0);
        self.costs = Some(costs);
    }

    /// Returns a row by its key.
    pub fn row(&self, key: &str) -> Option<&CostRow> {
        self.costs.as_ref()?.rows.iter().find(|it| it.key == key)
    }

    /// Returns the dearest row of the period.
    pub fn dearest(&self) -> Option<&CostRow> {
        self.costs.as_ref()?.rows.get(self.dearest?)
    }

    /// Returns every line.
    pub fn lines<'a>(&'a self, shared: &'a Shared) -> Lines<'a> {
        let ceilings = shared.replica.budget.iter().flat_map(|it| &it.ceilings);
        let rows = self.costs.as_ref().map_or(&[][..], |it| &it.rows);
        Lines { ceilings: ceilings.filter(|it| Target::knows(it)).collect(), rows }
    }
}
