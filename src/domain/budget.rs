//! Ceilings: what is set, what counts against each, and what may begin. Pure rules.
//!
//! A task that is dispatched **reserves** what it is thought to cost, in the transaction that claims
//! its worker; what it spends then is taken off the reservation. So spent and reserved together
//! never pass a ceiling by dispatching, however many tasks come at once. Spending itself can: a
//! session is parked once a ceiling is reached, and what was under way then is still paid for. That
//! is at most one response of the model for each session that works, and what a paid worker costs
//! while its session is saved and ended: when its price reaches a ceiling is known before, and what
//! was not is seen within [`METER_STEP`]. A dispatcher that has just started judges nothing until
//! paid workers' sessions have said what happened meanwhile, for as long at most; without one, the
//! watchdog beside a session may let one response more pass while it asks whether there is more to
//! spend.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    str::FromStr,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        ledger::{CostKind, Entry},
        task::{Task, words},
        usd::Usd,
    },
    stdx::{
        day::{Day, Zone},
        time::Timestamp,
    },
};

/// Paid workers are held against the ceilings at least this often, whatever was computed.
pub const METER_STEP: Duration = Duration::from_secs(15);

/// Entries for a worker's time are made this often while nothing else asks for them: what was not
/// entered yet is known from the meter, so nothing hangs on it but the number of rows.
pub const ENTRY_STEP: Duration = Duration::from_secs(300);

/// The rate of spending is that of so long: long enough to be calm, short enough to be true.
pub const BURN_OVER: Duration = Duration::from_secs(600);

/// Minutes of spending that are shown.
const HOUR: Duration = Duration::from_secs(3600);
/// Minutes of spending that are kept in memory. More than an hour has, for a clock that is turned.
const MINUTES: usize = 120;
/// Days that are kept in memory.
const DAYS: usize = 4;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i128 = 3_600_000;

words!(
    /// What a ceiling is over.
    Scope, "a ceiling" {
        /// Everything since the budget was reset.
        All = "all",
        /// A calendar day.
        Day = "day",
        /// A host or provider, since the budget was reset.
        Host = "host",
        /// A task.
        Task = "task",
    }
);

words!(
    /// What happens to running tasks at a ceiling. New ones never begin there.
    OnExceeded, "a policy" {
        /// They are interrupted and saved, their workers released; they can go on later.
        Park = "park",
        /// They go on.
        Block = "block",
        /// They are ended, and have failed.
        Kill = "kill",
    }
);

/// A ceiling that is not a task's own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Ceiling {
    /// See [`Scope::All`].
    All,
    /// See [`Scope::Day`].
    Day,
    /// See [`Scope::Host`].
    Host(String),
}

impl Ceiling {
    /// Returns what sort of ceiling it is.
    pub fn scope(&self) -> Scope {
        match self {
            Ceiling::All => Scope::All,
            Ceiling::Day => Scope::Day,
            Ceiling::Host(_) => Scope::Host,
        }
    }
}

impl fmt::Display for Ceiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ceiling::All => f.write_str("all"),
            Ceiling::Day => f.write_str("day"),
            Ceiling::Host(name) => write!(f, "host:{name}"),
        }
    }
}

impl FromStr for Ceiling {
    type Err = String;

    fn from_str(text: &str) -> Result<Ceiling, String> {
        match text {
            "all" => Ok(Ceiling::All),
            "day" => Ok(Ceiling::Day),
            _ => match text.strip_prefix("host:") {
                Some(name) if !name.is_empty() => Ok(Ceiling::Host(name.to_owned())),
                _ => Err(format!("`{}` is no ceiling", text.escape_debug())),
            },
        }
    }
}

impl TryFrom<String> for Ceiling {
    type Error = String;

    fn try_from(text: String) -> Result<Ceiling, String> {
        text.parse()
    }
}

impl From<Ceiling> for String {
    fn from(ceiling: Ceiling) -> String {
        ceiling.to_string()
    }
}

/// What is set in place of the configuration's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cap {
    /// No ceiling.
    None,
    /// This.
    At(Usd),
}

impl From<Option<Usd>> for Cap {
    fn from(limit: Option<Usd>) -> Cap {
        limit.map_or(Cap::None, Cap::At)
    }
}

/// What was said of a ceiling already, so that it is said once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The ceiling when it was said: another one is worth a new word.
    pub limit: Usd,
    /// The day of a daily one, as `2026-11-21`.
    pub day: Option<String>,
    /// Whether it was that the ceiling is reached, not only the threshold.
    pub exceeded: bool,
}

/// What people set by command. The store keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Terms {
    /// Ceilings set in place of the configuration's.
    pub caps: BTreeMap<Ceiling, Cap>,
    /// When the budget was reset, if ever.
    pub since: Option<Timestamp>,
    /// The ledger's last entry before the reset: what comes after it counts.
    pub after: u64,
    /// What was said of each ceiling.
    pub said: BTreeMap<Ceiling, Said>,
}

/// What the configuration says.
#[derive(Clone, Debug, PartialEq)]
pub struct Configured {
    /// For everything.
    pub all: Option<Usd>,
    /// For a day.
    pub day: Option<Usd>,
    /// For hosts.
    pub hosts: BTreeMap<String, Usd>,
    /// The part of a ceiling from which on to warn, 0 to 1.
    pub warning_threshold: f64,
    /// What happens at a ceiling.
    pub on_exceeded: OnExceeded,
    /// Reserved for a task of which nothing is known.
    pub reserve: Usd,
}

impl Default for Configured {
    fn default() -> Configured {
        Configured {
            all: None,
            day: None,
            hosts: BTreeMap::new(),
            warning_threshold: 0.8,
            on_exceeded: OnExceeded::Park,
            reserve: Usd::ZERO,
        }
    }
}

/// A change of the budget, for its history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetChange {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: Change,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case", tag = "change")]
pub enum Change {
    /// A person set a ceiling; nothing stands for none.
    Set { ceiling: Ceiling, from: Option<Usd>, to: Option<Usd> },
    /// A person began a new period; so much was spent in the one before.
    Reset { spent: Usd },
    /// The threshold of a ceiling was passed.
    Warned { ceiling: Ceiling, spent: Usd, limit: Usd },
    /// A ceiling was reached.
    Exceeded { ceiling: Ceiling, spent: Usd, limit: Usd },
}

/// Sums of the ledger, kept in memory and carried on with each entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    /// The number of the newest entry.
    pub last: u64,
    /// Since the reset.
    pub total: Usd,
    /// Since the reset, by host.
    pub hosts: BTreeMap<String, Usd>,
    /// The newest days, by when they were first spent in: a clock that was turned far on and back
    /// must not make today forgotten.
    days: VecDeque<(Day, Usd)>,
    /// Spending by minutes, the earliest first.
    minutes: VecDeque<Minute>,
}

/// What was spent in a minute.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Minute {
    /// Minutes since the epoch.
    number: i64,
    /// On models, by host.
    model: BTreeMap<String, Usd>,
    /// On workers.
    compute: Usd,
}

impl Accounts {
    /// Returns the accounts of what was spent since the reset, by host; the ledger's newest entry
    /// is `last`.
    pub fn new(hosts: BTreeMap<String, Usd>, last: u64) -> Accounts {
        let total = hosts.values().copied().sum();
        Accounts { last, total, hosts, ..Accounts::default() }
    }

    /// Adds an entry.
    pub fn add(&mut self, entry: &Entry, zone: &Zone) {
        self.last = self.last.max(entry.id);
        if entry.amount == Usd::ZERO {
            return;
        }
        self.total = self.total + entry.amount;
        let host = self.hosts.entry(entry.host.clone()).or_default();
        *host = *host + entry.amount;
        self.recent(&entry.host, entry.kind, entry.amount, entry.to, zone);
    }

    /// Adds an amount to the day and the minutes only, on which a reset has no bearing.
    pub fn recent(&mut self, host: &str, kind: CostKind, amount: Usd, at: Timestamp, zone: &Zone) {
        // What ended at midnight was spent in the day before.
        let day = zone.day(Timestamp(at.0.saturating_sub(1)));
        match self.days.iter_mut().find(|it| it.0 == day) {
            Some((_, sum)) => *sum = *sum + amount,
            None => self.days.push_back((day, amount)),
        }
        if DAYS < self.days.len() {
            self.days.pop_front();
        }
        let minute = self.minute(at);
        match kind {
            CostKind::Model => {
                let sum = minute.model.entry(host.to_owned()).or_default();
                *sum = *sum + amount;
            }
            CostKind::Cpu | CostKind::Memory | CostKind::Gpu => {
                minute.compute = minute.compute + amount;
            }
        }
        while MINUTES < self.minutes.len() {
            self.minutes.pop_front();
        }
    }

    /// Returns the minute in which `at` lies. What ends with a minute belongs to it.
    fn minute(&mut self, at: Timestamp) -> &mut Minute {
        let number = at.0.saturating_sub(1).div_euclid(MINUTE_MS);
        let place = match self.minutes.binary_search_by_key(&number, |it| it.number) {
            Ok(place) => place,
            Err(place) => {
                let (model, compute) = (BTreeMap::new(), Usd::ZERO);
                self.minutes.insert(place, Minute { number, model, compute });
                place
            }
        };
        &mut self.minutes[place]
    }

    /// Begins a new period.
    pub fn reset(&mut self) {
        self.total = Usd::ZERO;
        self.hosts.clear();
    }

    /// Returns what was spent in the day of `now`.
    pub fn day(&self, now: Timestamp, zone: &Zone) -> Usd {
        let today = zone.day(now);
        self.days.iter().find(|it| it.0 == today).map_or(Usd::ZERO, |it| it.1)
    }

    /// Returns what models cost per hour, by [`BURN_OVER`]: on `host`, or on all of them.
    pub fn model_burn(&self, host: Option<&str>, now: Timestamp) -> Usd {
        let sum: Usd = self
            .within(now, BURN_OVER)
            .map(|it| match host {
                Some(host) => it.model.get(host).copied().unwrap_or_default(),
                None => it.model.values().copied().sum(),
            })
            .sum();
        let over = i64::try_from(BURN_OVER.as_millis()).unwrap_or(1);
        Usd(i64::try_from(i128::from(sum.0) * HOUR_MS / i128::from(over)).unwrap_or(i64::MAX))
    }

    /// Returns spending by minutes of the last hour, the oldest first: the minute since the epoch
    /// and its sum. Minutes without spending are left out.
    pub fn minutes(&self, now: Timestamp) -> Vec<(i64, Usd)> {
        self.within(now, HOUR)
            .map(|it| (it.number, it.model.values().copied().sum::<Usd>() + it.compute))
            .collect()
    }

    /// Returns the minutes that lie in so long a time before `now`. Those ahead of it are a turned
    /// clock's.
    fn within(&self, now: Timestamp, long: Duration) -> impl Iterator<Item = &Minute> {
        let from = now.minus(long).0.div_euclid(MINUTE_MS);
        let to = now.0.div_euclid(MINUTE_MS);
        self.minutes.iter().filter(move |it| from < it.number && it.number <= to)
    }
}

/// How a ceiling stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub ceiling: Ceiling,
    /// How high; nothing if there is none.
    pub limit: Option<Usd>,
    /// What was spent, entered or not yet.
    pub spent: Usd,
    /// What is reserved beyond that.
    pub reserved: Usd,
    /// What is spent per hour now.
    pub hourly: Usd,
}

/// How near a ceiling is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nearness {
    /// Below the threshold.
    Calm,
    /// Past the threshold.
    Warning,
    /// Reached.
    Exceeded,
}

impl Nearness {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Nearness::Calm => "calm",
            Nearness::Warning => "warning",
            Nearness::Exceeded => "exceeded",
        }
    }

    /// Returns how near `spent` is to `limit`, with a warning from `threshold`, 0 to 1, on.
    pub fn of(spent: Usd, limit: Usd, threshold: f64) -> Nearness {
        let warned = Usd((limit.0 as f64 * threshold).round() as i64);
        if limit <= spent {
            Nearness::Exceeded
        } else if warned <= spent {
            Nearness::Warning
        } else {
            Nearness::Calm
        }
    }
}

/// Why a task may not begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The ceiling in the way.
    pub ceiling: Ceiling,
    /// How high it is.
    pub limit: Usd,
    /// What was spent under it.
    pub spent: Usd,
    /// What others have reserved.
    pub reserved: Usd,
    /// What the task would reserve.
    pub need: Usd,
}

impl Refusal {
    /// Tells whether it would fit if all that is reserved came to nothing: then it is worth
    /// waiting for.
    pub fn may_pass(&self) -> bool {
        self.spent < self.limit && self.spent + self.need <= self.limit
    }
}

impl Standing {
    /// Tells whether `need` more may be reserved.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn admits(&self, need: Usd) -> Result<(), Refusal> {
        let Some(limit) = self.limit else { return Ok(()) };
        // At a ceiling nothing begins, not even what is thought to cost nothing.
        if self.spent < limit && self.spent + self.reserved + need <= limit {
            return Ok(());
        }
        let (ceiling, spent, reserved) = (self.ceiling.clone(), self.spent, self.reserved);
        Err(Refusal { ceiling, limit, spent, reserved, need })
    }

    /// Returns how near it is; nothing where there is no ceiling.
    pub fn nearness(&self, threshold: f64) -> Option<Nearness> {
        Some(Nearness::of(self.spent, self.limit?, threshold))
    }

    /// Returns when it is reached at this rate; nothing if it is passed, or nothing is spent, or
    /// not within a year.
    pub fn reached(&self, now: Timestamp) -> Option<Timestamp> {
        let left = self.limit? - self.spent;
        if left <= Usd::ZERO || self.hourly <= Usd::ZERO {
            return None;
        }
        let ms = i128::from(left.0) * HOUR_MS / i128::from(self.hourly.0);
        (ms < 366 * 24 * HOUR_MS)
            .then(|| Timestamp(now.0.saturating_add(i64::try_from(ms).unwrap_or(0))))
    }
}

/// All that a ceiling is judged by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Budget {
    /// What the configuration says.
    pub configured: Configured,
    /// What people set.
    pub terms: Terms,
    /// What was spent.
    pub accounts: Accounts,
    /// Where days begin.
    pub zone: Zone,
}

impl Budget {
    /// Returns how high a ceiling is; nothing if there is none.
    pub fn limit(&self, ceiling: &Ceiling) -> Option<Usd> {
        match (self.terms.caps.get(ceiling), ceiling) {
            (Some(Cap::At(limit)), _) => Some(*limit),
            (Some(Cap::None), _) => None,
            (None, Ceiling::All) => self.configured.all,
            (None, Ceiling::Day) => self.configured.day,
            (None, Ceiling::Host(name)) => self.configured.hosts.get(name).copied(),
        }
    }

    /// Returns how all ceilings stand: everything, the day, and every host that has one or was
    /// spent on. `live` are the tasks that may hold a reservation or a worker.
    pub fn standings<'a>(
        &self,
        live: impl Iterator<Item = &'a Task>,
        now: Timestamp,
    ) -> Vec<Standing> {
        let mut names: Vec<Ceiling> = vec![Ceiling::All, Ceiling::Day];
        let capped = self.terms.caps.keys().filter(|it| it.scope() == Scope::Host).cloned();
        names.extend(capped);
        names.extend(self.configured.hosts.keys().cloned().map(Ceiling::Host));
        names.extend(self.accounts.hosts.keys().cloned().map(Ceiling::Host));
        names.sort();
        names.dedup();
        let mut standings: Vec<Standing> =
            names.into_iter().map(|it| self.standing(it, now)).collect();
        let midnight = self.zone.start(self.zone.day(now));
        for task in live {
            let host = task.place.as_ref().map(|it| it.provider.as_str());
            let accrued = task.accrued(now);
            for standing in &mut standings {
                let accrued = match &standing.ceiling {
                    Ceiling::All => accrued,
                    Ceiling::Day => task.accrued_since(midnight, now),
                    Ceiling::Host(name) if host == Some(name) => accrued,
                    Ceiling::Host(_) => continue,
                };
                standing.spent = standing.spent + accrued;
                standing.reserved = standing.reserved + task.reserved(now);
                standing.hourly = standing.hourly + task.hourly();
            }
        }
        standings
    }

    fn standing(&self, ceiling: Ceiling, now: Timestamp) -> Standing {
        let spent = match &ceiling {
            Ceiling::All => self.accounts.total,
            Ceiling::Day => self.accounts.day(now, &self.zone),
            Ceiling::Host(name) => self.accounts.hosts.get(name).copied().unwrap_or_default(),
        };
        let limit = self.limit(&ceiling);
        let host = match &ceiling {
            Ceiling::Host(name) => Some(name.as_str()),
            Ceiling::All | Ceiling::Day => None,
        };
        let hourly = self.accounts.model_burn(host, now);
        Standing { ceiling, limit, spent, reserved: Usd::ZERO, hourly }
    }
}
