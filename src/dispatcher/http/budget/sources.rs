//! Where figures come from: the price of each host, and what estimates are made of.

use axum::Json;

use crate::{
    api::{
        budget::{EstimateOf, PriceView, Sources},
        error::ApiError,
    },
    config::settings::Settings,
    dispatcher::{
        estimate::estimate,
        http::{Answer, Ctx},
        world::World,
    },
    domain::{task::TaskKind, usd::Usd},
    provider::{
        local,
        pricing::{self, Listed, Own, Unit},
    },
    stdx::text::one_line,
};

/// Returns where figures come from.
#[utoipa::path(get, path = "/v1/budget/sources", responses((status = 200, body = Sources),
    (status = 500, body = ApiError)))]
pub async fn sources(ctx: Ctx) -> Answer<Sources> {
    let (estimates, reserve) =
        ctx.core.read(|world| (estimates(world), world.budget.configured.reserve)).await?;
    let names = ctx.hosts.providers().iter().map(|it| it.name());
    let prices = names.flat_map(|it| prices(&ctx.settings, it)).collect();
    Ok(Json(Sources { prices, estimates, reserve_usd: reserve.dollars() }))
}

fn estimates(world: &World) -> Vec<EstimateOf> {
    let of = |kind: &TaskKind| {
        let guess = estimate(world, *kind);
        (guess.tasks != 0).then(|| EstimateOf {
            task_kind: kind.to_string(),
            tasks: guess.tasks as u64,
            median_usd: guess.history.map(|it| it.median.dollars()),
            high_usd: guess.history.map(|it| it.high.dollars()),
        })
    };
    TaskKind::ALL.iter().filter_map(of).collect()
}

/// Returns what a host is charged for by: one's own price, or the list's.
fn prices(settings: &Settings, host: &str) -> Vec<PriceView> {
    let configured = settings.hosts.iter().find(|it| it.name == host);
    let own = match configured {
        _ if host == local::NAME => {
            Some((settings.local.cost_per_hour, settings.local.gpu_cost_per_hour, "local."))
        }
        Some(it) => Some((it.cost_per_hour, it.gpu_cost_per_hour, "this host's ")),
        None => None,
    };
    match own {
        Some((per_hour, gpu_per_hour, of)) => of_own(host, Own { per_hour, gpu_per_hour }, of),
        None => {
            let listed = pricing::list().price.iter().filter(|it| it.provider == host);
            listed.map(of_list).collect()
        }
    }
}

fn of_own(host: &str, own: Own, of: &str) -> Vec<PriceView> {
    let view = |unit: &str, usd: Usd, key: &str| {
        let set = if usd.is_zero() { " is not set" } else { "" };
        PriceView {
            host: one_line(host, 60),
            unit: unit.to_owned(),
            usd_per_hour: usd.dollars(),
            source: format!("configuration: {of}{key}{set}"),
            date: None,
        }
    };
    let worker = view("worker", own.per_hour, "cost_per_hour");
    let gpu = view("GPU", own.gpu_per_hour, "gpu_cost_per_hour");
    match own.gpu_per_hour.is_zero() {
        true => vec![worker],
        false => vec![worker, gpu],
    }
}

fn of_list(it: &Listed) -> PriceView {
    let unit = match (it.unit, it.gpu) {
        (Unit::CoreSecond, _) => "core".to_owned(),
        (Unit::GibSecond, _) => "GiB".to_owned(),
        (Unit::GpuSecond, Some(gpu)) => gpu.to_string(),
        (Unit::GpuSecond, None) => "GPU".to_owned(),
    };
    PriceView {
        host: it.provider.clone(),
        unit,
        usd_per_hour: it.usd * 3600.0,
        source: it.source.clone(),
        date: Some(it.date.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_price_says_where_it_comes_from() {
        let mut settings = Settings::default();
        let told = |it: Vec<PriceView>| -> Vec<(String, f64, String, Option<String>)> {
            it.into_iter().map(|it| (it.unit, it.usd_per_hour, it.source, it.date)).collect()
        };
        let key = "configuration: local.cost_per_hour";
        let free = ("worker".to_owned(), 0.0, format!("{key} is not set"), None);
        assert_eq!(told(prices(&settings, "local")), [free]);
        settings.local.cost_per_hour = Usd(30_000_000);
        settings.local.gpu_cost_per_hour = Usd(2_000_000);
        let found = told(prices(&settings, "local"));
        assert_eq!(found[0], ("worker".to_owned(), 30.0, key.to_owned(), None));
        assert_eq!((found.len(), &*found[1].0, found[1].1), (2, "GPU", 2.0));
        let listed = told(prices(&settings, "modal"));
        assert!(listed.iter().any(|it| it.0 == "H100"), "{listed:?}");
        assert!(listed.iter().all(|it| it.3.is_some() && it.2.starts_with("https://")));
        assert_eq!(prices(&settings, "elsewhere"), []);
    }
}
