//! `budget sources`: where figures come from.

use crate::{
    api::budget::{EstimateOf, PriceView, Sources},
    cli::{
        context::Context,
        out::Done,
        paint::Paint,
        table::{Column, Table},
        view::{FIELD_MAX, dollars},
    },
    stdx::text::one_line,
};

/// Shows where figures come from.
pub async fn sources(context: &Context) -> Done {
    let found = context.client().await?.budget_sources().await?;
    let out = &context.out;
    match out.json {
        true => out.json(&found)?,
        false => out.line(&render(&found, out.table_width(), out.paint))?,
    }
    Ok(0)
}

fn render(found: &Sources, width: Option<usize>, paint: Paint) -> String {
    let models = "Models: Claude's own running total, by its status line and transcript.";
    let workers = "Workers: our clock times the price that held when the worker began.";
    let reserve = dollars(found.reserve_usd);
    let estimates =
        format!("Reserved: what nine in ten tasks of the type cost; {reserve} before five ended.");
    let mut text = format!("{models}\n{workers}\n{estimates}");
    for table in [prices(&found.prices), history(&found.estimates)].into_iter().flatten() {
        text = format!("{text}\n\n{}", table.text(width, paint));
    }
    text
}

fn prices(rows: &[PriceView]) -> Option<Table> {
    let column = |of: &dyn Fn(&PriceView) -> String| rows.iter().map(of).collect();
    let table = Table::new(vec![
        Column::new("HOST", column(&|it| one_line(&it.host, 40))),
        Column::new("OF", column(&|it| one_line(&it.unit, 20))),
        Column::new("PER HOUR", column(&|it| format!("${:.4}", it.usd_per_hour))).right(),
        Column::new("READ", column(&|it| it.date.as_deref().map_or_else(String::new, short))),
        Column::new("SOURCE", column(&|it| one_line(&it.source, FIELD_MAX))).gives_way(20),
    ]);
    (!rows.is_empty()).then_some(table)
}

fn short(text: &str) -> String {
    one_line(text, 20)
}

fn history(rows: &[EstimateOf]) -> Option<Table> {
    let column = |of: &dyn Fn(&EstimateOf) -> String| rows.iter().map(of).collect();
    let amount = |it: Option<f64>| it.map_or_else(|| "too few".to_owned(), dollars);
    let table = Table::new(vec![
        Column::new("TYPE", column(&|it| one_line(&it.task_kind, 40))),
        Column::new("ENDED", column(&|it| it.tasks.to_string())).right(),
        Column::new("HALF COST UP TO", column(&|it| amount(it.median_usd))).right(),
        Column::new("NINE IN TEN UP TO", column(&|it| amount(it.high_usd))).right(),
    ]);
    (!rows.is_empty()).then_some(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_say_where_and_when_they_were_read() {
        let price = |unit: &str, usd_per_hour, source: &str, date: Option<&str>| PriceView {
            host: "gpu\u{1b}[2J-1".into(),
            unit: unit.into(),
            usd_per_hour,
            source: source.into(),
            date: date.map(str::to_owned),
        };
        let found = Sources {
            prices: vec![
                price("worker", 30.0, "configuration: local.cost_per_hour", None),
                price("core", 0.141_912, "https://modal.com/pricing (a core)", Some("2026-10-08")),
            ],
            estimates: vec![EstimateOf {
                task_kind: "generic".into(),
                tasks: 12,
                median_usd: Some(0.4),
                high_usd: None,
            }],
            reserve_usd: 1.0,
        };
        let shown = render(&found, Some(80), Paint { on: false });
        assert!(shown.lines().all(|it| it.chars().count() <= 80), "{shown}");
        assert!(shown.contains("$0.1419  2026-10-08  https://modal.com"), "{shown}");
        assert!(shown.contains("; $1.00 before") && shown.contains("too few"), "{shown}");
        assert!(!shown.contains('\u{1b}'), "{shown}");
        assert_eq!(render(&Sources::default(), None, Paint { on: false }).lines().count(), 3);
    }
}
