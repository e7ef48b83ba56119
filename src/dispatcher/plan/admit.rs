//! Whether the budget lets a task begin, and what it reserves then.

use std::collections::HashMap;

use crate::{
    dispatcher::{
        estimate::{Guess, estimate},
        world::{Draft, World},
    },
    domain::{
        budget::{Ceiling, Configured, Refusal, Standing},
        task::{Task, TaskKind},
        usd::Usd,
    },
    stdx::time::Timestamp,
};

/// What the budget says to a task that is to begin on a provider. The worse comes later.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Admission {
    /// It may.
    Granted,
    /// Not while others hold what they have reserved.
    Later(String),
    /// Not today.
    Tomorrow(String),
    /// Not under this ceiling.
    Never(String),
}

impl Admission {
    /// Returns why it may not begin now, if so.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Admission::Granted => None,
            Admission::Later(why) | Admission::Tomorrow(why) | Admission::Never(why) => Some(why),
        }
    }
}

/// Returns what `task` would reserve now, and whether the budget lets it begin on `provider`.
pub fn admission(draft: &Draft, task: &Task, provider: &str, now: Timestamp) -> (Usd, Admission) {
    let mut purse = Purse::new(draft, now);
    let need = purse.need(draft.base(), task, now);
    (need, purse.admits(provider, need))
}

/// The budget as it stands while workers are claimed.
pub(super) struct Purse {
    configured: Configured,
    standings: Vec<Standing>,
    /// When the day ends, as people write it.
    midnight: String,
    guesses: HashMap<TaskKind, Guess>,
}

impl Purse {
    pub(super) fn new(draft: &Draft, now: Timestamp) -> Purse {
        let configured = draft.budget().configured.clone();
        let zone = &draft.budget().zone;
        let midnight = zone.minute(zone.tomorrow(now));
        Purse { configured, standings: draft.standings(now), midnight, guesses: HashMap::new() }
    }

    /// Returns what a task is to reserve: what nine in ten of its type did not pass, and never
    /// more than it may spend.
    pub(super) fn need(&mut self, world: &World, task: &Task, now: Timestamp) -> Usd {
        let kind = task.spec.kind;
        let guess = self.guesses.entry(kind).or_insert_with(|| estimate(world, kind));
        let left = task.spec.max_cost.map(|it| it - task.spent(now));
        guess.need(self.configured.reserve, left)
    }

    /// Tells whether a task that needs so much may begin on a provider.
    pub(super) fn admits(&self, provider: &str, need: Usd) -> Admission {
        let over = self.standings.iter().filter(|it| counts(&it.ceiling, provider));
        let refusals = over.filter_map(|it| it.admits(need).err());
        refusals.map(|it| judge(&it, &self.midnight)).max().unwrap_or(Admission::Granted)
    }

    /// Reserves so much for a task that begins on a provider.
    pub(super) fn reserve(&mut self, provider: &str, need: Usd) {
        for it in self.standings.iter_mut().filter(|it| counts(&it.ceiling, provider)) {
            it.reserved = it.reserved + need;
        }
    }
}

fn counts(ceiling: &Ceiling, provider: &str) -> bool {
    match ceiling {
        Ceiling::All | Ceiling::Day => true,
        Ceiling::Host(name) => name == provider,
    }
}

fn judge(refusal: &Refusal, midnight: &str) -> Admission {
    let Refusal { ceiling, limit, need, .. } = refusal;
    if refusal.may_pass() {
        // What others reserved and spent changes all the time: only what stays is said.
        return Admission::Later(format!(
            "waiting for budget: it needs {need}, and running tasks have reserved what is left of \
             the ceiling ({limit}){}; park one (parhelia task park ID) or raise it ({})",
            of(ceiling),
            raise(refusal)
        ));
    }
    if *ceiling == Ceiling::Day && Usd::ZERO < *limit && need <= limit {
        return Admission::Tomorrow(format!(
            "waiting for midnight ({midnight}), when it begins by itself: it needs {need}, and the \
             ceiling ({limit}) of the day has no room for that. To go on now: raise it ({}); set \
             none (parhelia budget set none --day); or let it need less (parhelia budget set USD \
             --task ID)",
            raise(refusal)
        ));
    }
    Admission::Never(never(refusal))
}

/// People know the first words of it.
fn never(refusal: &Refusal) -> String {
    let Refusal { ceiling, limit, spent, reserved, need } = refusal;
    let mut ways = vec![format!("raise it ({})", raise(refusal))];
    let left = *limit - *spent;
    if Usd::ZERO < left {
        ways.push(format!(
            "let it need less (--max-cost {}, cheaper resources or another model)",
            cents_down(left)
        ));
    }
    if *ceiling != Ceiling::Day {
        ways.push("begin a new period (parhelia budget reset)".to_owned());
    }
    let held = if reserved.is_zero() {
        String::new()
    } else {
        format!(", {reserved} reserved by running tasks (parhelia task park ID frees it)")
    };
    format!(
        "Task would exceed budget ceiling ({limit}){}: {spent} spent{held}, {need} needed. Ways out: {}",
        of(ceiling),
        ways.join("; ")
    )
}

fn of(ceiling: &Ceiling) -> String {
    match ceiling {
        Ceiling::All => String::new(),
        Ceiling::Day => " of the day".to_owned(),
        Ceiling::Host(name) => format!(" of {name}"),
    }
}

/// The command that makes room: twice the ceiling or what is asked for, in whole dollars.
fn raise(refusal: &Refusal) -> String {
    let Refusal { ceiling, limit, spent, reserved, need } = refusal;
    let wanted = (*limit + *limit).max(*spent + *reserved + *need);
    // At a ceiling nothing begins, so it must be more than what was spent.
    let dollars = (wanted.0.max(spent.0.saturating_add(1)) + 999_999) / 1_000_000;
    let which = match ceiling {
        Ceiling::All => String::new(),
        Ceiling::Day => " --day".to_owned(),
        Ceiling::Host(name) => format!(" --host {name}"),
    };
    format!("parhelia budget set {dollars}{which}")
}

/// An amount as an option takes it, with no more than is left.
fn cents_down(amount: Usd) -> String {
    match amount.0 {
        10_000.. => format!("{}.{:02}", amount.0 / 1_000_000, amount.0 / 10_000 % 100),
        _ => format!("{:.6}", amount.dollars()),
    }
}
