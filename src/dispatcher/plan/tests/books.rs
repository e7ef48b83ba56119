//! Totals are sums of the ledger: what memory carries on and what the store has written agree.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::{
    domain::{
        budget::{Accounts, Configured},
        event::Tokens,
    },
    stdx::day::Zone,
    store::{
        Store,
        ledger::{By, EntryQuery},
    },
};

use super::{
    money::{DAY, HOUR, cost, usd, world},
    *,
};

#[derive(Clone, Debug)]
enum Deed {
    Submit,
    Launch,
    Cost(u32),
    Tokens(u8),
    End,
    Park,
    Again,
    Cap,
    Reset,
}

fn deeds() -> impl Strategy<Value = Vec<(usize, i64, Deed)>> {
    let deed = prop_oneof![
        2 => Just(Deed::Submit),
        3 => Just(Deed::Launch),
        6 => (0..3_000_000u32).prop_map(Deed::Cost),
        3 => any::<u8>().prop_map(Deed::Tokens),
        2 => Just(Deed::End),
        1 => Just(Deed::Park),
        2 => Just(Deed::Again),
        1 => Just(Deed::Cap),
        1 => Just(Deed::Reset),
    ];
    let later = prop_oneof![4 => 0..60_000i64, 1 => 0..3 * HOUR, 1 => 0..2 * DAY];
    proptest::collection::vec((0..100usize, later, deed), 1..60)
}

fn act(draft: &mut Draft, tasks: &[Task], which: usize, deed: &Deed, now: Timestamp) {
    if let Deed::Reset = deed {
        return decide(draft, &Command::ResetBudget, now).unwrap();
    }
    let Some(it) = tasks.get(which % tasks.len().max(1)) else { return };
    let id = it.id.clone();
    match deed {
        Deed::Launch => learn(draft, &id, EventBody::Launched, now),
        Deed::Cost(total) => {
            let body = cost(draft.task(&id).unwrap(), Usd(i64::from(*total)));
            learn(draft, &id, body, now);
        }
        Deed::Tokens(message) => {
            let (message, at) = (format!("m{message}"), Some(now));
            let tokens = Tokens { input: 1, output: 2, cache_read: 3, cache_write: 4 };
            learn(draft, &id, EventBody::TokensCounted { message, tokens, at, again: false }, now);
        }
        Deed::End => {
            let body =
                EventBody::SessionEnded { code: Some(0), detail: String::new(), ended_at: None };
            learn(draft, &id, body, now);
        }
        Deed::Park => drop(decide(draft, &Command::Park { id }, now)),
        Deed::Again => {
            drop(decide(draft, &Command::Retry { id, resume: false, prompt: None }, now))
        }
        Deed::Cap => drop(decide(draft, &Command::Cap { id, max_cost: Some(usd(500)) }, now)),
        Deed::Submit | Deed::Reset => (),
    }
}

/// Compares what a store holds after it was opened again with what was in memory.
async fn agree(world: &World, dir: &std::path::Path, now: Timestamp) {
    let (store, loaded) = Store::open(dir).unwrap();
    let (mine, zone) = (&world.budget.accounts, Zone::default());
    let mut theirs = Accounts::new(loaded.ledger.hosts, loaded.ledger.last);
    for it in &loaded.ledger.recent {
        theirs.recent(&it.host, it.kind, it.amount, it.at, &zone);
    }
    assert_eq!((theirs.last, theirs.total), (mine.last, mine.total));
    let spent = |it: &Accounts| -> Vec<(String, Usd)> {
        it.hosts.clone().into_iter().filter(|it| !it.1.is_zero()).collect()
    };
    assert_eq!(spent(&theirs), spent(mine));
    assert_eq!(theirs.day(now, &zone), mine.day(now, &zone));
    assert_eq!(theirs.minutes(now), mine.minutes(now));
    assert_eq!(loaded.ledger.terms, world.budget.terms);
    let mut sums: BTreeMap<String, (Usd, Tokens)> = BTreeMap::new();
    for it in store.sums(By::Task, EntryQuery::default()).await.unwrap() {
        let sum = sums.entry(it.key).or_default();
        *sum = (sum.0 + it.amount, sum.1.plus(&it.tokens));
    }
    for task in world.newest_first() {
        let sum = sums.remove(task.id.as_str()).unwrap_or_default();
        assert_eq!(sum, (task.usage.spent(), task.usage.tokens));
    }
    assert!(sums.is_empty());
    assert!(loaded.tasks.iter().all(|it| world.task(&it.id) == Some(it)));
    store.close().await;
}

async fn keep_books(deeds: &[(usize, i64, Deed)]) {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path()).unwrap();
    let mut world = world(5, usd(100), Configured { reserve: usd(10), ..Configured::default() });
    let (mut tasks, mut now) = (Vec::new(), 20_000 * DAY + 23 * HOUR);
    for (which, later, deed) in deeds {
        now += later;
        let at = Timestamp(now);
        let mut draft = Draft::new(&world);
        if let Deed::Submit = deed {
            let it = task(0, now);
            let command = Command::Create { task: Box::new(it.clone()), prompt: Vec::new() };
            decide(&mut draft, &command, at).unwrap();
            tasks.push(it);
        }
        act(&mut draft, &tasks, *which, deed, at);
        plan(&mut draft, at, &mut Counted(0));
        let changes = draft.finish();
        store.commit(changes.batch()).await.unwrap();
        world.merge(changes);
    }
    store.close().await;
    agree(&world, dir.path(), Timestamp(now)).await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn memory_and_store_have_the_same_sums(deeds in deeds()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(keep_books(&deeds));
    }
}
