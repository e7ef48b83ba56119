//! All tasks in memory, and a draft of what is about to change.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Bound,
    sync::Arc,
};

use crate::{
    domain::{
        budget::{Budget, BudgetChange, Standing, Terms},
        checkpoint::Checkpoint,
        event::{Event, EventBody},
        ids::{CheckpointId, TaskId},
        ledger::{Entry, Price},
        state::Illegal,
        task::{Requirements, Task},
    },
    provider::{Capabilities, Provider},
    stdx::time::Timestamp,
    store::Batch,
};

/// The most days that one step of a meter is cut into; more is the word of a broken clock.
const DAYS_MAX: usize = 400;

/// What holds. Only [`World::merge`] changes it, after the store has committed.
#[derive(Debug, Default)]
pub struct World {
    tasks: HashMap<TaskId, Task>,
    by_age: BTreeSet<(Timestamp, TaskId)>,
    live: BTreeSet<TaskId>,
    /// The number of the newest event.
    pub seq: u64,
    /// Workers at once, over all providers.
    pub max_workers: u32,
    /// Where workers can come from, in the order they are tried.
    pub providers: Vec<ProviderFacts>,
    /// What may be spent, and what was.
    pub budget: Budget,
    /// While this is so, workers are not charged, nor ceilings judged. Nothing where there is
    /// nothing to wait for.
    pub settles: Option<Settling>,
}

/// What a dispatcher waits for before it judges money: a session that ended while none looked, or
/// after the clock was turned, says so first, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settling {
    /// The longest wait.
    pub until: Timestamp,
    /// The tasks that were not heard of yet.
    pub waits: BTreeSet<TaskId>,
}

/// What planning must know of a provider.
#[derive(Clone)]
pub struct ProviderFacts {
    /// Its name.
    pub name: String,
    /// What it can give.
    pub capabilities: Capabilities,
    /// Tells what a worker costs.
    pub prices: Prices,
}

/// Tells what a worker with these requirements costs.
pub type Prices = Arc<dyn Fn(&Requirements) -> Vec<Price> + Send + Sync>;

impl ProviderFacts {
    /// Returns the facts of a provider.
    pub fn of(provider: &Arc<dyn Provider>) -> ProviderFacts {
        let asked = Arc::clone(provider);
        ProviderFacts {
            name: provider.name().to_owned(),
            capabilities: provider.capabilities(),
            prices: Arc::new(move |it| asked.prices(it)),
        }
    }
}

impl std::fmt::Debug for ProviderFacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProviderFacts").field("name", &self.name).finish_non_exhaustive()
    }
}

impl World {
    /// Creates the world from what the store holds.
    pub fn new(
        tasks: Vec<Task>,
        seq: u64,
        max_workers: u32,
        providers: Vec<ProviderFacts>,
        budget: Budget,
    ) -> World {
        let mut world = World { seq, max_workers, providers, budget, ..World::default() };
        tasks.into_iter().for_each(|it| world.put(it));
        world
    }

    /// Returns a task.
    pub fn task(&self, id: &TaskId) -> Option<&Task> {
        self.tasks.get(id)
    }

    /// Returns how many tasks there are.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Returns all tasks, newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &Task> {
        self.older_than(None)
    }

    /// Returns the tasks created before `task`, newest first; all of them if none is given. Costs
    /// as much as what is taken of it.
    pub fn older_than(&self, task: Option<&Task>) -> impl Iterator<Item = &Task> {
        let end =
            task.map_or(Bound::Unbounded, |it| Bound::Excluded((it.created_at, it.id.clone())));
        let older = self.by_age.range((Bound::Unbounded, end));
        older.rev().filter_map(|(_, id)| self.tasks.get(id))
    }

    /// Returns the tasks that something can still happen to.
    pub fn live(&self) -> impl Iterator<Item = &Task> {
        self.live.iter().filter_map(|id| self.tasks.get(id))
    }

    /// Returns the tasks whose id starts with `prefix`; an exact id has no rivals.
    pub fn by_prefix(&self, prefix: &str) -> Vec<&Task> {
        if let Some(task) = prefix.parse().ok().and_then(|id: TaskId| self.tasks.get(&id)) {
            return vec![task];
        }
        let full = if prefix.starts_with(TaskId::PREFIX) {
            prefix.to_owned()
        } else {
            format!("{}{prefix}", TaskId::PREFIX)
        };
        self.newest_first().filter(|it| it.id.as_str().starts_with(&full)).collect()
    }

    /// Takes over what was committed.
    pub fn merge(&mut self, draft: Changes) {
        self.seq = draft.seq;
        for id in &draft.deleted {
            if let Some(task) = self.tasks.remove(id) {
                self.by_age.remove(&(task.created_at, task.id));
            }
            self.live.remove(id);
        }
        draft.changed.into_values().for_each(|it| self.put(it));
        if let Some(budget) = draft.budget {
            self.budget = budget;
        }
    }

    fn put(&mut self, task: Task) {
        self.by_age.insert((task.created_at, task.id.clone()));
        if !task.state.is_final() || task.state.session().is_some() {
            self.live.insert(task.id.clone());
        } else {
            self.live.remove(&task.id);
        }
        self.tasks.insert(task.id.clone(), task);
    }
}

/// What will hold once it is committed.
#[derive(Debug)]
pub struct Draft<'a> {
    world: &'a World,
    changes: Changes,
}

/// What a draft changed.
#[derive(Debug, Default)]
pub struct Changes {
    /// Tasks as they will be.
    pub changed: HashMap<TaskId, Task>,
    /// Tasks that will be no more.
    pub deleted: Vec<TaskId>,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// How far files were read.
    pub offsets: Vec<(TaskId, String, u64)>,
    /// Prompts to keep.
    pub prompts: Vec<(TaskId, u32, Vec<u8>)>,
    /// Answers to keep.
    pub answers: Vec<(TaskId, Vec<u8>)>,
    /// Checkpoints as they will be.
    pub checkpoints: Vec<Checkpoint>,
    /// Checkpoints that will be no more.
    pub checkpoints_deleted: Vec<CheckpointId>,
    /// Entries for the ledger.
    pub entries: Vec<Entry>,
    /// The budget as it will be, if it changed.
    pub budget: Option<Budget>,
    /// What people set for the budget, if it changed.
    pub terms: Option<Terms>,
    /// The budget's history goes on with these.
    pub budget_changes: Vec<BudgetChange>,
    /// The number of the newest event.
    pub seq: u64,
}

impl<'a> Draft<'a> {
    /// Begins a draft on `world`.
    pub fn new(world: &'a World) -> Draft<'a> {
        Draft { world, changes: Changes { seq: world.seq, ..Changes::default() } }
    }

    /// Returns the budget as it will be.
    pub fn budget(&self) -> &Budget {
        self.changes.budget.as_ref().unwrap_or(&self.world.budget)
    }

    /// Returns how all ceilings will stand.
    pub fn standings(&self, now: Timestamp) -> Vec<Standing> {
        self.budget().standings(self.live().into_iter(), now)
    }

    /// Changes what people set for the budget, and what its history says of it.
    pub fn set_terms(&mut self, terms: Terms, changes: Vec<BudgetChange>) {
        self.budget_mut().terms = terms.clone();
        self.changes.terms = Some(terms);
        self.changes.budget_changes.extend(changes);
    }

    /// Begins a new period of the budget: what was spent no longer counts, and stays in the ledger.
    pub fn reset_accounts(&mut self) {
        self.budget_mut().accounts.reset();
    }

    fn budget_mut(&mut self) -> &mut Budget {
        self.changes.budget.get_or_insert_with(|| self.world.budget.clone())
    }

    /// Returns the world the draft is on, without its changes.
    pub fn base(&self) -> &'a World {
        self.world
    }

    /// Returns a task as it will be.
    pub fn task(&self, id: &TaskId) -> Option<&Task> {
        if self.changes.deleted.contains(id) {
            return None;
        }
        self.changes.changed.get(id).or_else(|| self.world.task(id))
    }

    /// Returns the tasks that something can still happen to, as they will be.
    pub fn live(&self) -> Vec<&Task> {
        let Changes { changed, deleted, .. } = &self.changes;
        let mut ids: Vec<&TaskId> = changed.keys().collect();
        ids.sort_unstable();
        let others = self.world.live.iter().filter(|it| !changed.contains_key(*it));
        others
            .chain(ids)
            .filter(|it| deleted.is_empty() || !deleted.contains(it))
            .filter_map(|it| changed.get(it).or_else(|| self.world.task(it)))
            .filter(|it| !it.state.is_final() || it.state.session().is_some())
            .collect()
    }

    /// Adds a task and the event of its making.
    pub fn create(&mut self, task: Task, prompt: Vec<u8>, at: Timestamp) {
        self.changes.prompts.push((task.id.clone(), 0, prompt));
        self.push(&task.id, EventBody::Created { task: Box::new(task.clone()) }, at);
        self.changes.changed.insert(task.id.clone(), task);
    }

    /// Lets something happen to a task: the one way a task changes.
    ///
    /// # Errors
    ///
    /// [`Illegal`] if the task's state does not admit it, or if there is no such task; nothing is
    /// changed then.
    pub fn emit(&mut self, id: &TaskId, body: EventBody, at: Timestamp) -> Result<(), Illegal> {
        let unknown = Illegal { from: "unknown", transition: "changed" };
        let mut task = self.task(id).cloned().ok_or(unknown)?;
        let mut steps = Vec::new();
        for midnight in self.midnights(&task, &body, at) {
            steps.push((EventBody::Metered, midnight, task.fold(&EventBody::Metered, midnight)?));
        }
        let entries = task.fold(&body, at)?;
        steps.push((body, at, entries));
        self.changes.changed.insert(id.clone(), task);
        for (body, at, entries) in steps {
            self.enter(entries);
            self.push(id, body, at);
        }
        Ok(())
    }

    /// Returns the midnights that an event would charge a worker across: each day has its own.
    fn midnights(&self, task: &Task, body: &EventBody, at: Timestamp) -> Vec<Timestamp> {
        let until = match body {
            EventBody::Metered | EventBody::DispatchFailed { .. } => at,
            EventBody::SessionEnded { ended_at, .. } => ended_at.unwrap_or(at).min(at),
            _ => return Vec::new(),
        };
        let Some(meter) = task.usage.worker.as_ref().filter(|it| !it.is_free()) else {
            return Vec::new();
        };
        let zone = &self.budget().zone;
        let after = |it: &Timestamp| Some(zone.tomorrow(*it));
        let days = std::iter::successors(after(&meter.until), after);
        days.take_while(|it| *it < until).take(DAYS_MAX).collect()
    }

    /// Puts entries into the ledger and the sums.
    fn enter(&mut self, entries: Vec<Entry>) {
        for mut entry in entries {
            let budget = self.budget_mut();
            entry.id = budget.accounts.last + 1;
            let Budget { accounts, zone, .. } = budget;
            accounts.add(&entry, zone);
            self.changes.entries.push(entry);
        }
    }

    /// Removes a task.
    pub fn delete(&mut self, id: &TaskId, at: Timestamp) {
        self.changes.changed.remove(id);
        self.changes.deleted.push(id.clone());
        self.push(id, EventBody::Deleted, at);
    }

    /// Writes down what happened to a checkpoint, whose task may be gone. `row` is the checkpoint
    /// as it is from then on; nothing if it is no more.
    pub fn checkpoint(
        &mut self,
        task: &TaskId,
        id: &CheckpointId,
        row: Option<Checkpoint>,
        body: EventBody,
        at: Timestamp,
    ) {
        match row {
            Some(row) => self.changes.checkpoints.push(row),
            None => self.changes.checkpoints_deleted.push(id.clone()),
        }
        // No state refuses such an event; a task that is gone has no one to tell.
        if self.emit(task, body.clone(), at).is_err() {
            self.push(task, body, at);
        }
    }

    /// Notes how far a file of a task was read.
    pub fn progress(&mut self, id: &TaskId, file: String, offset: u64) {
        self.changes.offsets.push((id.clone(), file, offset));
    }

    /// Keeps a later prompt of a task.
    pub fn keep_prompt(&mut self, id: &TaskId, ordinal: u32, prompt: Vec<u8>) {
        self.changes.prompts.push((id.clone(), ordinal, prompt));
    }

    /// Keeps a task's final answer.
    pub fn keep_answer(&mut self, id: &TaskId, answer: Vec<u8>) {
        self.changes.answers.push((id.clone(), answer));
    }

    /// Ends the draft.
    pub fn finish(self) -> Changes {
        self.changes
    }

    fn push(&mut self, id: &TaskId, body: EventBody, at: Timestamp) {
        self.changes.seq += 1;
        self.changes.events.push(Event { seq: self.changes.seq, at, task: id.clone(), body });
    }
}

impl Changes {
    /// Tells whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
            && self.offsets.is_empty()
            && self.prompts.is_empty()
            && self.terms.is_none()
            && self.budget_changes.is_empty()
    }

    /// Returns the changes as the store takes them.
    pub fn batch(&self) -> Batch {
        Batch {
            tasks: self.changed.values().cloned().collect(),
            deleted: self.deleted.clone(),
            events: self.events.clone(),
            offsets: self.offsets.clone(),
            prompts: self.prompts.clone(),
            answers: self.answers.clone(),
            checkpoints: self.checkpoints.clone(),
            checkpoints_deleted: self.checkpoints_deleted.clone(),
            entries: self.entries.clone(),
            terms: self.terms.clone(),
            budget_changes: self.budget_changes.clone(),
        }
    }
}
