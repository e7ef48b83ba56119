//! Money.

use reqwest::Method;
use serde::Serialize;

use crate::api::{
    budget::{
        BudgetView, Costs, CostsBy, Entries, History, SetBudget, Sources, TaskCosts, TaskTurns,
    },
    client::{Client, task_path},
    error::ApiError,
    types::Unpark,
    view::TaskView,
};

/// Which costs to put together.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CostsQuery {
    /// By what.
    pub by: CostsBy,
    /// Of what ended after this, in milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<i64>,
    /// Of what ended by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<i64>,
}

/// Which entries of the ledger to read.
#[derive(Clone, Debug, Default, Serialize)]
pub struct EntriesQuery {
    /// Only of this task, which may be deleted: its whole id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Only after this number.
    pub after: u64,
    /// Of what ended after this, in milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<i64>,
    /// Of what ended by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<i64>,
}

impl Client {
    /// Returns how the money stands.
    pub async fn budget(&self) -> Result<BudgetView, ApiError> {
        self.get("/v1/budget", &()).await
    }

    /// Sets a ceiling and returns how the money stands then.
    pub async fn set_budget(&self, what: &SetBudget) -> Result<BudgetView, ApiError> {
        self.send(Method::POST, "/v1/budget", what).await
    }

    /// Begins a new period: what was spent counts no longer, and stays in the ledger.
    pub async fn reset_budget(&self) -> Result<BudgetView, ApiError> {
        self.send(Method::POST, "/v1/budget/reset", &()).await
    }

    /// Returns costs put together.
    pub async fn costs(&self, query: &CostsQuery) -> Result<Costs, ApiError> {
        self.get("/v1/budget/costs", query).await
    }

    /// Returns spending by days and the changes of the budget.
    pub async fn budget_history(&self) -> Result<History, ApiError> {
        self.get("/v1/budget/history", &()).await
    }

    /// Returns where figures come from.
    pub async fn budget_sources(&self) -> Result<Sources, ApiError> {
        self.get("/v1/budget/sources", &()).await
    }

    /// Returns entries of the ledger, a page at a time.
    pub async fn entries(&self, query: &EntriesQuery) -> Result<Entries, ApiError> {
        self.get("/v1/budget/entries", query).await
    }

    /// Returns what a task cost.
    pub async fn task_costs(&self, id: &str) -> Result<TaskCosts, ApiError> {
        self.get(&task_path(id, "/costs"), &()).await
    }

    /// Returns what each turn of a task cost.
    pub async fn task_turns(&self, id: &str) -> Result<TaskTurns, ApiError> {
        self.get(&task_path(id, "/turns"), &()).await
    }

    /// Parks a task: saved, interrupted, its worker released.
    pub async fn park(&self, id: &str) -> Result<TaskView, ApiError> {
        self.send(Method::POST, &task_path(id, "/park"), &()).await
    }

    /// Lets a parked task go on as `how` says.
    pub async fn unpark(&self, id: &str, how: &Unpark) -> Result<TaskView, ApiError> {
        self.send(Method::POST, &task_path(id, "/unpark"), how).await
    }
}
