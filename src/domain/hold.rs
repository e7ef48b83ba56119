//! What the launches of a task hold: a part of the budget, and workers.

use serde::{Deserialize, Serialize};

use crate::domain::{ids::WorkerId, usd::Usd};

/// Workers that a task holds at most by what is written down; past that the oldest is forgotten,
/// which its provider still knows.
const WORKERS_MAX: usize = 64;

/// What the launches of a task hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// What the newest launch was thought to cost, which is reserved of the budget.
    pub amount: Usd,
    /// What the task had cost before.
    pub before: Usd,
    /// Workers that were claimed and are not known to be given back, the oldest first.
    #[serde(default)]
    pub workers: Vec<Claimed>,
}

/// A worker that was claimed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claimed {
    /// Which.
    pub worker: WorkerId,
    /// The provider that gave it.
    pub provider: String,
}

impl Hold {
    /// Returns what a new launch holds, after `old`: money of its own, and what earlier ones have
    /// not given back.
    pub fn after(old: Option<Hold>, claimed: Claimed, amount: Usd, before: Usd) -> Hold {
        let mut workers = old.map(|it| it.workers).unwrap_or_default();
        workers.push(claimed);
        let forgotten = workers.len().saturating_sub(WORKERS_MAX);
        workers.drain(..forgotten);
        Hold { amount, before, workers }
    }

    /// Takes in that a worker was given back.
    pub fn released(&mut self, worker: &WorkerId) {
        self.workers.retain(|it| it.worker != *worker);
    }
}
