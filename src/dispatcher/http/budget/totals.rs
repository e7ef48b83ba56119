//! Sums that only the ledger's rows know, carried on by the rows that are new.

use std::{collections::HashSet, sync::Arc};

use tokio::sync::Mutex;

use crate::{
    api::error::ApiError,
    dispatcher::core::store_error,
    domain::{
        event::Tokens,
        ledger::{Entry, Source},
        usd::Usd,
    },
    store::{Store, ledger::EntryQuery},
};

/// Entries read at a time.
const PAGE: usize = 5000;

/// Sums since the reset, shared by all that ask: each row is read once.
#[derive(Default)]
pub struct Ledgered(Mutex<Arc<Totals>>);

/// Sums of the entries after one and up to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    after: u64,
    last: u64,
    tokens: Tokens,
    tasks: HashSet<String>,
    /// By Claude.
    pub reported: Usd,
    /// By our clock.
    pub metered: Usd,
    /// Guessed.
    pub estimated: Usd,
}

impl Ledgered {
    /// Returns the sums of the entries after `after`, at least up to `last`.
    pub async fn up_to(
        &self,
        store: &Store,
        after: u64,
        last: u64,
    ) -> Result<Arc<Totals>, ApiError> {
        // Held while the store is read, so that each row is read for one of those who wait.
        let mut held = self.0.lock().await;
        if held.after != after || held.last < after {
            *held = Arc::new(Totals { after, last: after, ..Totals::default() });
        }
        while held.last < last {
            let query = EntryQuery { after: held.last, limit: Some(PAGE), ..EntryQuery::default() };
            let page = store.entries(query).await.map_err(|it| store_error(&it))?;
            if page.is_empty() {
                break;
            }
            let totals = Arc::make_mut(&mut held);
            page.iter().take_while(|it| it.id <= last).for_each(|it| totals.add(it));
        }
        Ok(Arc::clone(&held))
    }
}

impl Totals {
    fn add(&mut self, entry: &Entry) {
        self.last = entry.id;
        self.tokens = self.tokens.plus(&entry.tokens);
        let sum = match entry.source {
            Source::Reported => &mut self.reported,
            Source::Metered => &mut self.metered,
            Source::Estimated => &mut self.estimated,
        };
        *sum = *sum + entry.amount;
        if !entry.amount.is_zero() && !self.tasks.contains(entry.task.as_str()) {
            self.tasks.insert(entry.task.to_string());
        }
    }

    /// Returns the tokens.
    pub fn tokens(&self) -> Tokens {
        self.tokens
    }

    /// Returns how many tasks cost anything, if those in `more` do as well.
    pub fn tasks_with(&self, more: &[String]) -> u64 {
        (self.tasks.len() + more.iter().filter(|it| !self.tasks.contains(*it)).count()) as u64
    }
}
