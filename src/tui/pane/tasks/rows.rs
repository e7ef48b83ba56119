//! Which tasks are listed, in which order.
//!
//! **Rows never move under the cursor.** The order is kept until a person sorts again: a task that
//! changes stays where it is, one that no longer passes the filter too. A new task goes where the
//! order wants it if that is below the selected row, else right below it. Only a deleted task
//! takes its row away.

use std::collections::HashSet;

use crate::{
    stdx::time::Timestamp,
    tui::{
        filter::Filter,
        model::replica::{Letter, Replica},
        sort::{Group, Place, Sort},
    },
};

/// A row of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// The heading of a group, with how many tasks it has.
    Heading(String, usize),
    /// The task at this position of the order.
    Task(usize),
}

/// How the list is made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wish {
    /// What decides the order.
    pub sort: Sort,
    /// Whether it is turned round.
    pub reversed: bool,
    /// What decides the groups.
    pub group: Group,
    /// What is listed.
    pub filter: Filter,
}

/// The list.
#[derive(Debug, Default)]
pub struct Rows {
    order: Vec<Place>,
    rows: Vec<Row>,
    /// The ids in `order`.
    listed: HashSet<String>,
    /// The version of the replica that it knows.
    seen: u64,
    /// How often everything was sorted; tests see by it that moving sorts nothing.
    pub sorted: u64,
}

/// What changed in the list.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Tasks that changed or were deleted, whether listed or not.
    pub changed: Vec<String>,
    /// Whether rows came or went.
    pub moved: bool,
}

impl Rows {
    /// Returns how many rows there are, headings included.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns how many tasks are listed.
    pub fn tasks(&self) -> usize {
        self.order.len()
    }

    /// Returns a row.
    pub fn get(&self, row: usize) -> Option<&Row> {
        self.rows.get(row)
    }

    /// Returns the task at a row; nothing at a heading.
    pub fn id(&self, row: usize) -> Option<&str> {
        match self.rows.get(row)? {
            Row::Heading(..) => None,
            Row::Task(at) => self.order.get(*at).map(|it| it.id.as_str()),
        }
    }

    /// Returns every listed task from the first to the last.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.order.iter().map(|it| it.id.as_str())
    }

    /// Returns the row of a task.
    pub fn row_of(&self, id: &str) -> Option<usize> {
        if !self.listed.contains(id) {
            return None;
        }
        (0..self.rows.len()).find(|it| self.id(*it) == Some(id))
    }

    /// Returns the nearest row with a task, at `row` or after it, else before it.
    pub fn nearest_task(&self, row: usize) -> Option<usize> {
        let is_task = |it: &usize| self.id(*it).is_some();
        let after = (row..self.rows.len()).find(is_task);
        after.or_else(|| (0..row.min(self.rows.len())).rev().find(is_task))
    }

    /// Sorts everything anew.
    pub fn sort(&mut self, replica: &Replica, wish: &Wish, now: Timestamp) {
        let passes = replica.tasks.values().filter(|it| wish.filter.passes(it, now));
        self.order = passes.map(|it| Place::of(it, wish.sort, wish.group, now)).collect();
        self.order.sort_unstable_by(|a, b| a.compare(b, wish.reversed));
        self.listed = self.order.iter().map(|it| it.id.clone()).collect();
        self.seen = replica.version;
        self.sorted += 1;
        self.lay_out();
    }

    /// Takes in what changed in the replica; costs nothing if nothing did. `below` is the row that
    /// nothing new may come before.
    pub fn follow(&mut self, replica: &Replica, wish: &Wish, now: Timestamp, below: usize) -> News {
        if self.seen == replica.version {
            return News::default();
        }
        let mut ids: Vec<String> = match replica.changed_since(self.seen) {
            Some(it) => it.map(str::to_owned).collect(),
            None => replica.tasks.keys().chain(&self.listed).cloned().collect(),
        };
        self.seen = replica.version;
        ids.sort_unstable();
        ids.dedup();
        let gone: HashSet<&String> = ids
            .iter()
            .filter(|it| self.listed.contains(*it) && replica.task(it).is_none())
            .collect();
        let mut fresh: Vec<Place> = ids
            .iter()
            .filter(|it| !self.listed.contains(*it))
            .filter_map(|it| replica.task(it))
            .filter(|it| wish.filter.passes(it, now))
            .map(|it| Place::of(it, wish.sort, wish.group, now))
            .collect();
        let moved = !gone.is_empty() || !fresh.is_empty();
        if moved {
            let below = self.after(below, &gone);
            self.order.retain(|it| !gone.contains(&it.id));
            self.listed.retain(|it| !gone.contains(it));
            fresh.sort_unstable_by(|a, b| a.compare(b, wish.reversed));
            self.merge(fresh, wish.reversed, below);
            self.lay_out();
        }
        News { changed: ids, moved }
    }

    /// Lists a task that is known, whether the filter lets it pass or not: it was gone to by name.
    pub fn add(&mut self, replica: &Replica, wish: &Wish, now: Timestamp, id: &str) -> bool {
        let Some(task) = replica.task(id).filter(|_| !self.listed.contains(id)) else {
            return false;
        };
        let place = Place::of(task, wish.sort, wish.group, now);
        self.merge(vec![place], wish.reversed, 0);
        self.lay_out();
        true
    }

    /// Returns how many tasks at and before a row stay.
    fn after(&self, row: usize, gone: &HashSet<&String>) -> usize {
        if self.rows.is_empty() {
            return 0;
        }
        let last = row.min(self.rows.len() - 1);
        let at = self.rows[..=last].iter().rev().find_map(|it| match it {
            Row::Task(at) => Some(*at + 1),
            Row::Heading(..) => None,
        });
        let kept = self.order[..at.unwrap_or(0)].iter().filter(|it| !gone.contains(&it.id));
        kept.count()
    }

    /// Puts new tasks, which are in order, among the others, none before position `below`.
    fn merge(&mut self, fresh: Vec<Place>, reversed: bool, below: usize) {
        self.listed.extend(fresh.iter().map(|it| it.id.clone()));
        let mut fresh = fresh.into_iter().peekable();
        let old = std::mem::take(&mut self.order);
        self.order.reserve(old.len() + fresh.len());
        for (at, place) in old.into_iter().enumerate() {
            let before = |it: &Place| below <= at && it.compare(&place, reversed).is_lt();
            while let Some(it) = fresh.next_if(before) {
                self.order.push(it);
            }
            self.order.push(place);
        }
        self.order.extend(fresh);
    }

    /// Makes the rows of the order: a heading wherever another group begins.
    fn lay_out(&mut self) {
        self.rows.clear();
        let mut heading: Option<usize> = None;
        let mut group: Option<&(u8, String)> = None;
        for (at, place) in self.order.iter().enumerate() {
            if !place.group.1.is_empty() && group != Some(&place.group) {
                heading = Some(self.rows.len());
                self.rows.push(Row::Heading(place.group.1.clone(), 0));
                group = Some(&place.group);
            }
            if let Some(Row::Heading(_, count)) = heading.and_then(|it| self.rows.get_mut(it)) {
                *count += 1;
            }
            self.rows.push(Row::Task(at));
        }
    }
}

/// Tells whether a task waits for a person.
pub fn needs(replica: &Replica, id: &str) -> bool {
    replica.task(id).is_some_and(|it| Letter::of(it) == Letter::NeedsYou)
}
