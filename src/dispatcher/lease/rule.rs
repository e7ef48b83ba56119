//! How long each session may run on alone, and what it may spend: pure.
//!
//! What is left under a ceiling is dealt out: each task gets what it reserved and a part of what is
//! reserved by none, so all leases together never allow more than is left. A task that works gets
//! more of it than a session that waits for someone. A paid worker's time comes out of the same
//! share: at most half of it, the rest is for the model.

use std::time::Duration;

use crate::{
    agent::lease::{Allowed, Lease, Total},
    dispatcher::world::World,
    domain::{
        budget::{Ceiling, METER_STEP, Standing},
        ids::TaskId,
        state::TaskState,
        task::{Place, Requirements, Task},
        usd::Usd,
    },
    stdx::time::Timestamp,
};

/// A lease that nothing limits is this long.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
/// So much of what is free goes to a task that works, for each 1 to one that waits.
const WORKING: i64 = 4;
/// A lease that allows too much is set right this long after it was written.
const STEP: Duration = METER_STEP;
/// No lease is renewed in less than this; one of which half is spent is after as long.
const SOON: Duration = Duration::from_secs(1);
/// A lease that allows so much too much is left as it is.
const CENT: Usd = Usd(10_000);
const HOUR_MS: i128 = 3_600_000;

/// How long leases are; nothing is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lengths {
    /// On workers that cost something.
    pub paid: Option<Duration>,
    /// On workers that cost nothing.
    pub free: Option<Duration>,
}

/// What the rule must know of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What it has reserved and not spent.
    pub reserved: Usd,
    /// Its part in what is free, against that of others.
    pub weight: i64,
    /// What is left under its own ceiling.
    pub own: Option<Usd>,
}

/// What is left under a ceiling, and who may spend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pot {
    /// What is left.
    pub left: Usd,
    /// Those that spend it, by their place among the claims.
    pub members: Vec<usize>,
}

/// Deals out what is left: each claim's part, nothing where nothing limits it.
pub fn deal(claims: &[Claim], pots: &[Pot]) -> Vec<Option<Allowed>> {
    let own = |it: &Claim| {
        it.own.map(|it| it.max(Usd::ZERO)).map(|left| Allowed { share: left, most: left })
    };
    let mut parts: Vec<Option<Allowed>> = claims.iter().map(own).collect();
    for pot in pots {
        let left = pot.left.max(Usd::ZERO);
        let of = |f: &dyn Fn(&Claim) -> i64| -> i128 {
            pot.members.iter().map(|it| i128::from(f(&claims[*it]))).sum()
        };
        let reserved = of(&|it| it.reserved.0);
        let weights = of(&|it| it.weight).max(1);
        let free = i128::from(left.0) - reserved;
        for &member in &pot.members {
            let claim = &claims[member];
            let share = if 0 <= free {
                i128::from(claim.reserved.0) + free * i128::from(claim.weight) / weights
            } else {
                // More is reserved than there is left: a ceiling was lowered.
                i128::from(left.0) * i128::from(claim.reserved.0) / reserved
            };
            let share = Usd(i64::try_from(share).unwrap_or(i64::MAX));
            let part = &mut parts[member];
            *part = Some(match *part {
                Some(it) => Allowed { share: it.share.min(share), most: it.most.min(left) },
                None => Allowed { share, most: left },
            });
        }
    }
    parts
}

/// What a session may be given now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The task.
    pub task: TaskId,
    /// Which launch of it.
    pub attempt: u32,
    /// Where it is.
    pub place: Place,
    /// What its worker must have.
    pub requirements: Requirements,
    /// When this was judged.
    now: Timestamp,
    /// Its part of the money, model and worker.
    part: Option<Allowed>,
    /// What its worker costs per hour.
    hourly: Usd,
    /// What the model has cost.
    model: Usd,
    /// How long it may run, money aside.
    length: Duration,
    totals: Vec<Total>,
}

impl Grant {
    /// Returns the lease. Its worker's time comes out of the share, about which a living dispatcher
    /// is asked, and not out of what is left at the very most, about which none is.
    pub fn lease(&self) -> Lease {
        let length = self.affordable();
        Lease {
            written: self.now,
            until: self.now.plus(length),
            allowed: self.part.map(|it| Allowed {
                share: (it.share - self.worker_for(length)).max(Usd::ZERO),
                most: it.most,
            }),
            totals: self.totals.clone(),
        }
    }

    /// Returns how long it may run, its worker's price with it.
    fn affordable(&self) -> Duration {
        match self.part {
            Some(part) if Usd::ZERO < self.hourly => {
                let ms = i128::from(part.share.0) * HOUR_MS / 2 / i128::from(self.hourly.0);
                self.length.min(Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX)))
            }
            _ => self.length,
        }
    }

    /// Returns what its worker costs in `length`, rounded up.
    fn worker_for(&self, length: Duration) -> Usd {
        let ms = i128::try_from(length.as_millis()).unwrap_or(i128::MAX);
        let micros = i128::from(self.hourly.0).saturating_mul(ms).saturating_add(HOUR_MS - 1);
        Usd(i64::try_from(micros / HOUR_MS).unwrap_or(i64::MAX))
    }
}

/// What was given last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    attempt: u32,
    at: Timestamp,
    until: Timestamp,
    /// What the model may have cost when it is spent.
    up_to: Option<Usd>,
}

impl Given {
    /// Returns what is to be remembered of `grant`, once its lease is written.
    pub fn of(grant: &Grant) -> Given {
        let lease = grant.lease();
        Given {
            attempt: grant.attempt,
            at: lease.written,
            until: lease.until,
            up_to: lease.allowed.map(|it| grant.model + it.share),
        }
    }
}

/// Returns when a new lease is due: `grant.now` if it is.
///
/// A part is too small when half of it is spent, so a session with a dispatcher is never ended for
/// having spent its share while there is more. It is too large when others spent what it counts on;
/// that is set right no more often than every [`METER_STEP`].
pub fn due(given: Option<&Given>, grant: &Grant) -> Timestamp {
    let now = grant.now;
    // A clock that was turned back says nothing about when.
    let Some(given) = given.filter(|it| it.attempt == grant.attempt && it.at <= now) else {
        return now;
    };
    let third = |from: Timestamp, until: Timestamp| from.plus((until.since(from) / 3).max(SOON));
    let lease = grant.lease();
    let mut next = third(given.at, given.until);
    if next <= now {
        // A time-out does not move.
        if given.until.plus(SOON) < lease.until {
            return now;
        }
        next = third(now, now.plus(grant.length));
    }
    if let Some(pause) = changed(given, grant, &lease) {
        next = next.min(given.at.plus(pause));
    }
    next.max(now)
}

/// Tells how long after the last lease the numbers call for another, if they do.
fn changed(given: &Given, grant: &Grant, lease: &Lease) -> Option<Duration> {
    let (Some(up_to), Some(part), Some(allowed)) = (given.up_to, grant.part, lease.allowed) else {
        let same = given.up_to.is_some() == grant.part.is_some();
        return (!same).then_some(SOON);
    };
    // Until when it runs is settled, so that is paid for first.
    let settled = grant.worker_for(given.until.since(grant.now));
    if CENT < up_to - (grant.model + (part.share - settled)) {
        return Some(STEP);
    }
    let left = (up_to - grant.model).max(Usd::ZERO);
    (left + left < allowed.share).then_some(SOON)
}

/// Returns what every session may be given.
pub fn grants(world: &World, lengths: Lengths, now: Timestamp) -> Vec<Grant> {
    let tasks: Vec<&Task> = world.live().filter(|it| wants_one(it)).collect();
    let claims: Vec<Claim> = tasks.iter().map(|it| claim(it, now)).collect();
    let standings = world.budget.standings(world.live(), now);
    let pots: Vec<Pot> = standings.iter().filter_map(|it| pot(it, &tasks)).collect();
    let parts = deal(&claims, &pots);
    let grant = |(task, part): (&&Task, Option<Allowed>)| {
        let length = if task.hourly().is_zero() { lengths.free } else { lengths.paid };
        Some(Grant {
            task: task.id.clone(),
            attempt: task.attempts,
            place: task.place.clone()?,
            requirements: task.spec.requirements.clone(),
            now,
            part,
            hourly: task.hourly(),
            model: task.usage.model,
            length: length.unwrap_or(LONGEST).min(time_left(task, now).unwrap_or(LONGEST)),
            totals: totals(task),
        })
    };
    tasks.iter().zip(parts).filter_map(grant).collect()
}

/// Tells whether the task has a session, or is about to have one, that may go on.
fn wants_one(task: &Task) -> bool {
    match &task.state {
        TaskState::Dispatched { stopping, .. } => stopping.is_none(),
        // One on a host that does not answer spends all the same.
        state => state.session().is_some_and(|it| it.stopping.is_none()),
    }
}

fn claim(task: &Task, now: Timestamp) -> Claim {
    Claim {
        reserved: task.reserved(now),
        weight: if task.state.holds_slot() { WORKING } else { 1 },
        own: task.spec.max_cost.map(|it| it - task.spent(now)),
    }
}

fn pot(standing: &Standing, tasks: &[&Task]) -> Option<Pot> {
    let left = (standing.limit? - standing.spent).max(Usd::ZERO);
    let counts = |task: &Task| match &standing.ceiling {
        Ceiling::All | Ceiling::Day => true,
        Ceiling::Host(name) => task.place.as_ref().is_some_and(|it| it.provider == *name),
    };
    let members = (0..tasks.len()).filter(|it| counts(tasks[*it])).collect();
    Some(Pot { left, members })
}

fn time_left(task: &Task, now: Timestamp) -> Option<Duration> {
    let limit = task.spec.timeout?;
    match &task.state {
        TaskState::Running { since, .. } => Some(since.plus(limit).since(now)),
        TaskState::Dispatched { .. } => Some(limit),
        _ => None,
    }
}

/// Returns the totals of the task's conversations, this launch's first.
fn totals(task: &Task) -> Vec<Total> {
    let mut totals: Vec<Total> = task
        .usage
        .meter
        .totals()
        .map(|(conversation, attempt, total)| Total {
            conversation: conversation.to_owned(),
            total,
            carried: attempt != task.attempts,
        })
        .collect();
    totals.sort_by_key(|it| it.carried);
    totals
}

#[cfg(test)]
mod tests;
