//! What workers cost: the list of `assets/pricing.toml`, and prices of machines of one's own. Pure.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::domain::{
    ledger::{CostKind, Price},
    task::{Gpu, Requirements, words},
    usd::Usd,
};

const TEXT: &str = include_str!("../../assets/pricing.toml");

/// The list. A test reads it, so that it can be read.
static LIST: LazyLock<List> = LazyLock::new(|| toml::from_str(TEXT).unwrap_or_default());

words!(
    /// How closely it is said where a worker must be.
    Area, "an area" {
        /// Not at all.
        Any = "any",
        /// By continent or so.
        Broad = "broad",
        /// By one region of a provider's.
        Narrow = "narrow",
    }
);

words!(
    /// What of a resource is charged for.
    Billing, "a way to bill" {
        /// What was asked for or what was used, if that was more.
        Most = "max(request, actual)",
        /// What was allocated, used or not.
        Allocated = "allocated",
    }
);

/// What a worker gets where a task asks for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain {
    /// Cores, in thousandths.
    pub milli_cores: u64,
    /// Memory, in thousandths of a GiB.
    pub milli_gib: u64,
    /// Where it must be.
    pub area: Area,
}

/// What a machine of one's own costs, as the configuration says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// A worker, per hour.
    pub per_hour: Usd,
    /// Its GPU on top.
    pub gpu_per_hour: Usd,
}

/// The list, as it was written.
#[derive(Debug, Default, Deserialize)]
pub struct List {
    /// What workers cost.
    pub price: Vec<Listed>,
    /// What they cost more by where they must be.
    pub region: Vec<Region>,
}

/// A price with where it comes from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// Who charges.
    pub provider: String,
    /// What for.
    pub resource: CostKind,
    /// Which GPU.
    pub gpu: Option<Gpu>,
    /// What `usd` is for.
    pub unit: Unit,
    /// US dollars.
    pub usd: f64,
    /// What of it is charged for.
    pub billing: Billing,
    /// When it was read, as `2026-11-21`.
    pub date: String,
    /// Where.
    pub source: String,
}

/// By how much a worker costs more somewhere, with where that comes from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// Who charges.
    pub provider: String,
    /// Where.
    pub area: Area,
    /// So many times the price.
    pub factor: f64,
    /// When it was read.
    pub date: String,
    /// Where.
    pub source: String,
}

words!(
    /// What a price is for.
    Unit, "a unit" {
        /// A core for a second.
        CoreSecond = "core-second",
        /// A GiB for a second.
        GibSecond = "GiB-second",
        /// A GPU for a second.
        GpuSecond = "GPU-second",
    }
);

/// Returns the list.
pub fn list() -> &'static List {
    &LIST
}

/// Returns what a worker of `provider` with these requirements costs; nothing of a provider that
/// the list does not have.
///
/// By what is asked for, which is all that is charged where a worker cannot use more: a provider
/// that bills by [`Billing::Most`] is to be told so when a worker is made.
pub fn prices(provider: &str, requirements: &Requirements, plain: Plain) -> Vec<Price> {
    let asked = |amount: Option<u32>, plain: u64| {
        // Asking for less than a worker has anyhow does not make it smaller.
        amount.map_or(plain, |it| (u64::from(it) * 1000).max(plain))
    };
    let factor = factor(provider, plain.area);
    let listed = LIST.price.iter().filter(|it| it.provider == provider);
    let priced = listed.filter_map(|it| {
        let milli_units = match it.resource {
            CostKind::Cpu => asked(requirements.cpu, plain.milli_cores),
            CostKind::Memory => asked(requirements.memory_gb, plain.milli_gib),
            CostKind::Gpu if it.gpu.is_some() && it.gpu == requirements.gpu => 1000,
            CostKind::Gpu | CostKind::Model => return None,
        };
        let per_hour = Usd::from_dollars(it.usd * 3600.0 * factor)?;
        Some(Price { kind: it.resource, per_hour, milli_units })
    });
    priced.collect()
}

/// Returns by how much a worker costs more for where it must be.
fn factor(provider: &str, area: Area) -> f64 {
    let found = LIST.region.iter().find(|it| it.provider == provider && it.area == area);
    found.map_or(1.0, |it| it.factor)
}

impl Own {
    /// Returns what a worker with these requirements costs. The machine has one price, whatever is
    /// asked of it; its GPU is charged for where one is asked for.
    pub fn prices(&self, requirements: &Requirements) -> Vec<Price> {
        let one = |kind, per_hour| Price { kind, per_hour, milli_units: 1000 };
        let gpu = requirements.gpu.map(|_| one(CostKind::Gpu, self.gpu_per_hour));
        let all = [Some(one(CostKind::Cpu, self.per_hour)), gpu];
        all.into_iter().flatten().filter(|it| Usd::ZERO < it.per_hour).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ledger::hourly;

    const PLAIN: Plain = Plain { milli_cores: 125, milli_gib: 125, area: Area::Any };

    fn asked(cpu: u32, memory_gb: u32, gpu: Option<Gpu>) -> Requirements {
        Requirements { gpu, memory_gb: Some(memory_gb), cpu: Some(cpu) }
    }

    #[test]
    fn every_price_says_when_and_where_it_was_read() {
        let list: List = toml::from_str(TEXT).unwrap();
        let said = list.price.iter().map(|it| (&it.date, &it.source));
        for (date, source) in said.chain(list.region.iter().map(|it| (&it.date, &it.source))) {
            assert!(date.parse::<jiff::civil::Date>().is_ok(), "{date}");
            assert!(source.starts_with("https://"), "{source}");
        }
        for it in &list.price {
            let unit = match it.resource {
                CostKind::Cpu => Unit::CoreSecond,
                CostKind::Memory => Unit::GibSecond,
                CostKind::Gpu => Unit::GpuSecond,
                CostKind::Model => panic!("models are not priced here"),
            };
            let of_gpu = it.resource == CostKind::Gpu;
            let billing = if of_gpu { Billing::Allocated } else { Billing::Most };
            assert_eq!((it.unit, it.gpu.is_some(), it.billing), (unit, of_gpu, billing), "{it:?}");
            assert!(0.0 < it.usd && it.usd < 0.01, "{it:?}");
        }
        assert!(list.region.iter().all(|it| 1.0 < it.factor));
    }

    #[test]
    fn every_gpu_that_can_be_asked_for_has_one_price() {
        for gpu in Gpu::ALL {
            let prices = prices("modal", &asked(1, 1, Some(*gpu)), PLAIN);
            let kinds: Vec<CostKind> = prices.iter().map(|it| it.kind).collect();
            assert_eq!(kinds, [CostKind::Cpu, CostKind::Memory, CostKind::Gpu], "{gpu}");
        }
    }

    #[test]
    fn workers_cost_what_is_computed_by_hand() {
        // 4 x 0.141912 + 32 x 0.024012 + 3.9492
        let whole = prices("modal", &asked(4, 32, Some(Gpu::H100)), PLAIN);
        assert_eq!(hourly(&whole), Usd(567_648 + 768_384 + 3_949_200));
        // An eighth of a core and of a GiB, rounded each.
        let least = prices("modal", &Requirements::default(), PLAIN);
        assert_eq!(hourly(&least), Usd(17_739 + 3002));
        let narrow = Plain { area: Area::Narrow, ..PLAIN };
        let there = prices("modal", &asked(0, 0, Some(Gpu::T4)), narrow);
        // 0.5904 x 1.75, and the least of the rest.
        assert_eq!(there.last().map(Price::hourly), Some(Usd(1_033_200)));
        assert_eq!(there.first().map(|it| it.milli_units), Some(125));
        assert_eq!(prices("elsewhere", &asked(4, 32, None), PLAIN), []);
    }

    #[test]
    fn a_machine_of_ones_own_has_one_price_and_its_gpu_another() {
        let own = Own { per_hour: Usd(500_000), gpu_per_hour: Usd(1_250_000) };
        assert_eq!(hourly(&own.prices(&asked(16, 64, None))), Usd(500_000));
        assert_eq!(hourly(&own.prices(&asked(16, 64, Some(Gpu::L4)))), Usd(1_750_000));
        assert_eq!(Own::default().prices(&asked(1, 1, Some(Gpu::L4))), []);
    }
}
