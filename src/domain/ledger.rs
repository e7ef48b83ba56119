//! The ledger: every cost is an entry, and every sum is a sum of entries.
//!
//! Entries follow from events ([`crate::domain::task::Task::fold`]) and are committed with them, so
//! what is read twice is entered once. They are never changed and outlive their tasks. Amounts are
//! whole micro-dollars; what a worker's meter cannot express in them is carried to its next entry.
//!
//! Deliberately absent: prices of tokens. Claude reports what a conversation cost; nothing here
//! knows better.

use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        event::Tokens,
        ids::{TaskId, WorkerId},
        task::{TaskKind, words},
        usd::Usd,
    },
    stdx::time::Timestamp,
};

words!(
    /// What costs.
    CostKind, "a kind of cost" {
        /// Claude's requests.
        Model = "model",
        /// Processor cores, or a machine as a whole where it has one price.
        Cpu = "cpu",
        /// Memory.
        Memory = "memory",
        /// GPUs.
        Gpu = "gpu",
    }
);

words!(
    /// Who says what something cost.
    Source, "a source" {
        /// Claude, or the provider's bill.
        Reported = "reported",
        /// Time by our clock, at a known price.
        Metered = "metered",
        /// Counted or guessed.
        Estimated = "estimated",
    }
);

/// One cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 1 on without gaps; 0 until it is given one.
    pub id: u64,
    /// The task it was spent on, which may be deleted.
    pub task: TaskId,
    /// What sort of work the task is.
    pub task_kind: TaskKind,
    /// The worker.
    pub worker: WorkerId,
    /// The provider that gave the worker.
    pub host: String,
    /// The launch of the task.
    pub attempt: u32,
    /// What cost.
    pub kind: CostKind,
    /// The language model, if it is known.
    pub model: Option<String>,
    /// Since when.
    pub from: Timestamp,
    /// Until when; the day and the hour it is counted in.
    pub to: Timestamp,
    /// How much of it: thousandths of a core, GiB or GPU, times milliseconds; 0 for a model.
    pub quantity: u64,
    /// What one core, GiB or GPU costs per hour; 0 for a model.
    pub rate: Usd,
    /// What it cost.
    pub amount: Usd,
    /// Who says so.
    pub source: Source,
    /// Tokens read and written, of an entry that counts them. Such an entry has no amount.
    pub tokens: Tokens,
}

/// The price of one thing a worker has, and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// What it is of.
    pub kind: CostKind,
    /// What one core, GiB or GPU costs per hour.
    pub per_hour: Usd,
    /// How many: thousandths of a core, GiB or GPU.
    pub milli_units: u64,
}

impl Price {
    /// Returns what it comes to per hour, rounded to the nearest micro-dollar.
    pub fn hourly(&self) -> Usd {
        let micros = i128::from(self.per_hour.0) * i128::from(self.milli_units);
        Usd(clamp((micros + 500) / 1000))
    }
}

/// Returns what all of it comes to per hour.
pub fn hourly(prices: &[Price]) -> Usd {
    prices.iter().map(Price::hourly).sum()
}

/// Micro-dollars times thousandths times milliseconds in a micro-dollar for one unit and hour.
const DENOMINATOR: i128 = 1000 * 3_600_000;

/// Charges for a worker from when it was claimed until it is given back.
///
/// However the time is cut into steps, the entries sum to the same: what is less than a
/// micro-dollar is carried on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerMeter {
    /// The worker.
    pub worker: WorkerId,
    /// The provider that gave it.
    pub host: String,
    /// Since when it is charged for.
    pub since: Timestamp,
    /// Up to when entries were made.
    pub until: Timestamp,
    lines: Vec<MeterLine>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct MeterLine {
    price: Price,
    /// In 1/[`DENOMINATOR`] of a micro-dollar.
    carry: i64,
}

/// What a meter says of a span: the same fields as in [`Entry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    pub kind: CostKind,
    pub from: Timestamp,
    pub to: Timestamp,
    pub quantity: u64,
    pub rate: Usd,
    pub amount: Usd,
}

impl WorkerMeter {
    /// Creates the meter of a worker that is claimed at `at`. Without a price it charges nothing.
    pub fn new(worker: WorkerId, host: String, prices: &[Price], at: Timestamp) -> WorkerMeter {
        let costs = |it: &&Price| 0 < it.per_hour.0 && 0 < it.milli_units;
        let lines =
            prices.iter().filter(costs).map(|it| MeterLine { price: *it, carry: 0 }).collect();
        WorkerMeter { worker, host, since: at, until: at, lines }
    }

    /// Tells whether the worker costs nothing.
    pub fn is_free(&self) -> bool {
        self.lines.is_empty()
    }

    /// Returns what it costs per hour.
    pub fn hourly(&self) -> Usd {
        self.lines.iter().map(|it| it.price.hourly()).sum()
    }

    /// Returns what is to be charged up to `now` and was not yet. A clock that was turned back
    /// gives nothing.
    pub fn accrued(&self, now: Timestamp) -> Usd {
        self.lines.iter().map(|it| it.step(self.until, now).0.amount).sum()
    }

    /// Charges up to `now`.
    pub fn charge(&mut self, now: Timestamp) -> Vec<Charge> {
        if now <= self.until {
            return Vec::new();
        }
        let mut charges = Vec::new();
        for line in &mut self.lines {
            let (charge, carry) = line.step(self.until, now);
            line.carry = carry;
            charges.push(charge);
        }
        self.until = now;
        charges
    }

    /// Moves the meter with a clock that was turned by `by_ms`, so that the turn is not charged.
    pub fn shift(&mut self, by_ms: i64) {
        self.since = Timestamp(self.since.0.saturating_add(by_ms));
        self.until = Timestamp(self.until.0.saturating_add(by_ms));
    }
}

impl MeterLine {
    /// Returns the charge for a span, and what is carried on from it.
    fn step(&self, from: Timestamp, to: Timestamp) -> (Charge, i64) {
        let ms = u64::try_from(to.since(from).as_millis()).unwrap_or(u64::MAX);
        let quantity = self.price.milli_units.saturating_mul(ms);
        let due = i128::from(self.price.per_hour.0) * i128::from(quantity) + i128::from(self.carry);
        let charge = Charge {
            kind: self.price.kind,
            from,
            to: from.max(to),
            quantity,
            rate: self.price.per_hour,
            amount: Usd(clamp(due / DENOMINATOR)),
        };
        (charge, clamp(due % DENOMINATOR))
    }
}

fn clamp(micros: i128) -> i64 {
    i64::try_from(micros).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn price(kind: CostKind, per_hour: i64, milli_units: u64) -> Price {
        Price { kind, per_hour: Usd(per_hour), milli_units }
    }

    fn meter(prices: &[Price]) -> WorkerMeter {
        WorkerMeter::new(WorkerId::random(), "h".into(), prices, Timestamp(0))
    }

    #[test]
    fn an_hour_costs_the_price() {
        let prices = [price(CostKind::Cpu, 141_912, 4000), price(CostKind::Gpu, 3_949_200, 1000)];
        let mut meter = meter(&prices);
        assert_eq!(meter.hourly(), Usd(567_648 + 3_949_200));
        let amounts: Vec<Usd> =
            meter.charge(Timestamp(3_600_000)).iter().map(|it| it.amount).collect();
        assert_eq!(amounts, [Usd(567_648), Usd(3_949_200)]);
    }

    #[test]
    fn a_clock_turned_back_charges_nothing_and_a_turn_is_not_charged() {
        let mut meter = meter(&[price(CostKind::Cpu, 3_600_000, 1000)]);
        assert_eq!(meter.charge(Timestamp(10_000)).len(), 1);
        assert!(meter.charge(Timestamp(5_000)).is_empty());
        assert_eq!(meter.accrued(Timestamp(5_000)), Usd::ZERO);
        meter.shift(1_000_000_000);
        assert_eq!(meter.accrued(Timestamp(1_000_011_000)), Usd(1000));
    }

    proptest! {
        #[test]
        fn however_time_is_cut_the_sum_is_the_same(
            per_hour in 1i64..20_000_000, units in 1u64..20_000,
            steps in proptest::collection::vec(1i64..1_000_000, 1..50),
        ) {
            let prices = [price(CostKind::Memory, per_hour, units)];
            let (mut cut, mut whole) = (meter(&prices), meter(&prices));
            let (mut now, mut sum) = (Timestamp(0), Usd::ZERO);
            for step in steps {
                now = Timestamp(now.0 + step);
                let accrued = cut.accrued(now);
                let charged: Usd = cut.charge(now).iter().map(|it| it.amount).sum();
                prop_assert_eq!(accrued, charged);
                sum = sum + charged;
            }
            prop_assert_eq!(sum, whole.charge(now)[0].amount);
        }
    }
}
