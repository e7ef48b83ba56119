//! What each turn of a task cost: the ledger's entries laid beside the events that tell of turns.

use std::sync::Arc;

use axum::{Json, extract::Path};

use crate::{
    api::{
        budget::{TaskTurns, TurnCost, TurnsSum},
        error::ApiError,
    },
    dispatcher::{
        core::store_error,
        http::{
            Answer, App, Ctx,
            budget::costs::{known, name_of, open_of},
        },
        world::World,
    },
    domain::{
        event::Tokens,
        ids::TaskId,
        ledger::{CostKind, Entry},
        turns::{KINDS, SEEN, Turn, Turns},
        usd::Usd,
    },
    store::{Query, ledger::EntryQuery},
};

/// Events and entries read at a time.
const PAGE: usize = 2000;

/// Returns what each turn of a task cost, its worker up to this moment. A deleted task is found by
/// its whole id.
#[utoipa::path(get, path = "/v1/tasks/{id}/turns", params(("id" = String, Path)),
    responses((status = 200, body = TaskTurns), (status = 404, body = ApiError)))]
pub async fn task_turns(ctx: Ctx, Path(id): Path<String>) -> Answer<TaskTurns> {
    let (id, task) = known(&ctx, id).await?;
    let now = ctx.clock.now();
    let of = id.clone();
    // What is open now may be entered before the ledger is read, so that is read only as far as it
    // went then.
    let read = move |world: &World| {
        let open = world.task(&of).map(|it| open_of(it, None, now));
        let open: Usd = open.unwrap_or_default().iter().map(|it| it.amount).sum();
        (open, world.budget.accounts.last)
    };
    let (open, last) = ctx.core.read(read).await?;
    let turns = turns(&ctx, &id).await?;
    let mut sums = Sums::new(&turns);
    sums.workers = open;
    read_entries(&ctx, &id, last, &mut sums).await?;
    Ok(Json(sums.view(id.to_string(), name_of(task.as_ref()))))
}

/// Reads the turns of a task.
async fn turns(app: &Arc<App>, id: &TaskId) -> Result<Turns, ApiError> {
    let words = |it: &[&str]| it.iter().map(|it| (*it).to_owned()).collect::<Vec<String>>();
    let mut turns = Turns::default();
    let mut after_seq = 0;
    loop {
        let query = Query {
            task: Some(id.clone()),
            after_seq,
            kinds: words(KINDS),
            seen: words(SEEN),
            limit: PAGE,
            ..Query::default()
        };
        let page = app.store.events(query).await.map_err(|it| store_error(&it))?.events;
        page.iter().for_each(|it| turns.take(&it.body, it.at));
        match page.last() {
            Some(newest) if PAGE <= page.len() => after_seq = newest.seq,
            _ => return Ok(turns),
        }
    }
}

/// Adds a task's entries up to `last`.
async fn read_entries(
    app: &Arc<App>,
    id: &TaskId,
    last: u64,
    sums: &mut Sums<'_>,
) -> Result<(), ApiError> {
    let mut after = 0;
    loop {
        let task = Some(id.clone());
        let query = EntryQuery { task, after, limit: Some(PAGE), ..EntryQuery::default() };
        let page = app.store.entries(query).await.map_err(|it| store_error(&it))?;
        page.iter().take_while(|it| it.id <= last).for_each(|it| sums.add(it));
        match page.last() {
            Some(newest) if PAGE <= page.len() && newest.id < last => after = newest.id,
            _ => return Ok(()),
        }
    }
}

/// What a turn, or several, cost.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    amount: Usd,
    tokens: Tokens,
}

impl Sum {
    fn add(&mut self, entry: &Entry) {
        self.amount = self.amount + entry.amount;
        self.tokens = self.tokens.plus(&entry.tokens);
    }

    fn over(self, turns: u64) -> TurnsSum {
        TurnsSum { turns, usd: self.amount.dollars(), tokens: self.tokens.into() }
    }
}

/// Costs in the making, each where it belongs.
struct Sums<'a> {
    turns: &'a Turns,
    each: Vec<Sum>,
    /// Before the first turn that is kept.
    before: Sum,
    workers: Usd,
}

impl Sums<'_> {
    fn new(turns: &Turns) -> Sums<'_> {
        let each = vec![Sum::default(); turns.kept().count()];
        Sums { turns, each, before: Sum::default(), workers: Usd::ZERO }
    }

    fn add(&mut self, entry: &Entry) {
        match entry.kind {
            CostKind::Cpu | CostKind::Memory | CostKind::Gpu => {
                self.workers = self.workers + entry.amount;
            }
            CostKind::Model => {
                let owner = self.turns.owner(entry.to);
                owner.and_then(|it| self.each.get_mut(it)).unwrap_or(&mut self.before).add(entry);
            }
        }
    }

    fn view(&self, task: String, name: String) -> TaskTurns {
        let models: Usd = self.each.iter().map(|it| it.amount).sum();
        let (earlier, outside) = match self.turns.earlier() {
            0 => (Sum::default(), self.before),
            _ => (self.before, Sum::default()),
        };
        let each = self.turns.kept().zip(&self.each).rev();
        TaskTurns {
            task,
            name,
            turns: each.map(|(turn, sum)| view(turn, sum)).collect(),
            earlier: earlier.over(self.turns.earlier()),
            outside: outside.over(0),
            workers_usd: self.workers.dollars(),
            total_usd: (models + self.before.amount + self.workers).dollars(),
        }
    }
}

fn view(turn: &Turn, sum: &Sum) -> TurnCost {
    TurnCost {
        number: turn.number,
        attempt: turn.attempt,
        began: turn.began,
        ended: turn.ended.map(|it| it.0),
        how: turn.ended.map_or("works", |it| it.1.as_str()).to_owned(),
        asked: turn.asked.clone(),
        by_claude: turn.injected,
        usd: sum.amount.dollars(),
        tokens: sum.tokens.into(),
    }
}
