//! The budget as the configuration and the store have it.

use std::collections::BTreeMap;

use crate::{
    config::settings::Settings,
    domain::{
        budget::{Accounts, Budget, Configured},
        usd::Usd,
    },
    provider::local,
    stdx::day::Zone,
    store::ledger::LedgerLoaded,
};

/// Returns the budget that a dispatcher begins with.
pub fn of(settings: &Settings, loaded: LedgerLoaded) -> Budget {
    let zone = Zone::system();
    let mut accounts = Accounts::new(loaded.hosts, loaded.last);
    for it in &loaded.recent {
        accounts.recent(&it.host, it.kind, it.amount, it.at, &zone);
    }
    Budget { configured: configured(settings), terms: loaded.terms, accounts, zone }
}

fn configured(settings: &Settings) -> Configured {
    let budget = &settings.budget;
    let hosts = settings.hosts.iter().map(|it| (it.name.clone(), it.max_cost));
    let hosts: BTreeMap<String, Usd> = hosts
        .chain([(local::NAME.to_owned(), settings.local.max_cost)])
        .filter_map(|(name, limit)| Some((name, limit?)))
        .collect();
    Configured {
        all: Some(budget.default_ceiling_usd),
        day: budget.max_daily_cost,
        hosts,
        warning_threshold: budget.warning_threshold.0,
        on_exceeded: budget.on_exceeded,
        reserve: budget.reserve_usd,
    }
}
