//! Where figures come from, in words: marks, prices with date and source, estimates.

use crate::{
    api::budget::{EstimateOf, PriceView, Sources},
    stdx::text::one_line,
    tui::words,
};

/// Returns each mark with what it means, one short line each.
pub fn marks(known: Option<&Sources>) -> [(&'static str, String); 5] {
    let metered = match known.and_then(|it| it.prices.iter().find(|it| 0.0 < it.usd_per_hour)) {
        Some(it) => format!("; {}", per_hour(it)),
        None if known.is_some() => "; workers cost nothing here".to_owned(),
        None => String::new(),
    };
    [
        ("r", "reported: Claude's own running total, by its status line".to_owned()),
        ("m", format!("metered: our clock times the worker's price{metered}")),
        ("r+m", "some of each".to_owned()),
        ("~", "partly estimated: counted or guessed".to_owned()),
        ("=", "reserved: may still be spent, by the history of its type".to_owned()),
    ]
}

fn per_hour(it: &PriceView) -> String {
    let (host, usd) = (one_line(&it.host, 20), price(it.usd_per_hour));
    match it.unit.as_str() {
        "worker" => format!("{host} ${usd}/h"),
        unit => format!("{host} ${usd}/h a {}", one_line(unit, 12)),
    }
}

/// Prices may be far less than a cent.
fn price(usd: f64) -> String {
    if 0.0 < usd && usd < 1.0 { format!("{usd:.4}") } else { words::money(usd) }
}

/// Returns each price as its host and what it is, and below those that come from one place which
/// that is and when it was read.
pub fn prices(known: &Sources) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for of_one in known.prices.chunk_by(|a, b| from(a) == from(b)) {
        lines.extend(of_one.iter().map(|it| {
            let cost = match it.usd_per_hour {
                0.0 => "costs nothing".to_owned(),
                usd => format!("${} per {} and hour", price(usd), one_line(&it.unit, 20)),
            };
            (one_line(&it.host, 20), cost)
        }));
        lines.extend(of_one.last().map(|it| (String::new(), from(it))));
    }
    lines
}

fn from(it: &PriceView) -> String {
    let date = it.date.as_deref().map(|it| format!("read {}: ", one_line(it, 20)));
    format!("{}{}", date.unwrap_or_default(), one_line(&it.source, 120))
}

/// Returns each type of task, and what tasks of it are thought to cost.
pub fn estimates(known: &Sources) -> Vec<(String, String)> {
    let usd = words::money;
    let line = |it: &EstimateOf| {
        let text = match (it.median_usd, it.high_usd) {
            (Some(half), Some(most)) => format!(
                "of {} half cost up to ${}, nine in ten up to ${}",
                it.tasks,
                usd(half),
                usd(most)
            ),
            _ => format!("{} ended, too few: ${} is reserved", it.tasks, usd(known.reserve_usd)),
        };
        (one_line(&it.task_kind, 20), text)
    };
    let mut lines: Vec<_> = known.estimates.iter().map(line).collect();
    let rest = if lines.is_empty() { "every type" } else { "others" };
    lines.push((rest.to_owned(), format!("no history: ${} is reserved", usd(known.reserve_usd))));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixture::sources;

    #[test]
    fn prices_say_where_and_when_they_were_read() {
        let lines = prices(&sources());
        let text: Vec<String> = lines.iter().map(|it| format!("{}: {}", it.0, it.1)).collect();
        assert_eq!(
            text,
            [
                "local: $30.00 per worker and hour",
                ": configuration: local.cost_per_hour",
                "modal: $0.1419 per core and hour",
                "modal: $3.95 per H100 and hour",
                ": read 2026-10-08: https://modal.com/pricing",
            ]
        );
        assert!(marks(Some(&sources()))[1].1.ends_with("price; local $30.00/h"));
        let free = Sources::default();
        assert!(marks(Some(&free))[1].1.ends_with("workers cost nothing here"));
        assert!(marks(None)[1].1.ends_with("the worker's price"));
    }

    #[test]
    fn an_estimate_without_a_history_says_so() {
        let lines = estimates(&sources());
        assert_eq!(lines[0].1, "of 12 half cost up to $0.40, nine in ten up to $2.10");
        assert!(lines[1].1.contains("too few"), "{lines:?}");
        assert_eq!(lines[2], ("others".to_owned(), "no history: $1.00 is reserved".to_owned()));
        assert_eq!(estimates(&Sources::default())[0].0, "every type");
    }
}
