//! `budget history`: spending day by day, and how ceilings were set and reached.

use crate::{
    api::budget::{CostRow, History},
    cli::{
        args::budget::{self as args, By},
        budget::{
            costs::{table, to_csv},
            print_csv,
        },
        context::Context,
        out::Done,
        paint::Paint,
        view::FIELD_MAX,
        when::date_and_clock,
    },
    stdx::text::one_line,
};

/// Shows what became of the budget.
pub async fn history(context: &Context, args: &args::History) -> Done {
    let mut history = context.client().await?.budget_history().await?;
    let most = usize::try_from(args.days.get()).unwrap_or(usize::MAX);
    history.days.truncate(most);
    history.changes.truncate(most);
    let out = &context.out;
    match (out.json, args.csv) {
        (true, _) => out.json(&history)?,
        (_, true) => print_csv(context, &to_csv(&history.days))?,
        _ => out.line(&render(&history, out.table_width(), out.paint))?,
    }
    Ok(0)
}

fn render(history: &History, width: Option<usize>, paint: Paint) -> String {
    let days = if history.days.is_empty() {
        "Nothing was spent.".to_owned()
    } else {
        let mut rows = history.days.clone();
        rows.push(sum(&history.days));
        let text = table(&rows, By::Day, width, paint);
        match text.rsplit_once('\n') {
            Some((days, total)) => format!("{days}\n{}", paint.bold(total)),
            None => text,
        }
    };
    let changes = history.changes.iter().map(|it| {
        format!("\n{}  {}", paint.dim(&date_and_clock(it.at)), one_line(&it.text, FIELD_MAX))
    });
    let changes: String = changes.collect();
    if changes.is_empty() { days } else { format!("{days}\n{changes}") }
}

/// Returns the sum of the days that are shown. A task of two days counts for both.
fn sum(days: &[CostRow]) -> CostRow {
    let mut total = CostRow { key: "total".into(), ..CostRow::default() };
    for it in days {
        total.tasks += it.tasks;
        total.model_usd += it.model_usd;
        total.cpu_usd += it.cpu_usd;
        total.memory_usd += it.memory_usd;
        total.gpu_usd += it.gpu_usd;
        total.total_usd += it.total_usd;
        total.sources.reported_usd += it.sources.reported_usd;
        total.sources.metered_usd += it.sources.metered_usd;
        total.sources.estimated_usd += it.sources.estimated_usd;
        total.tokens.input += it.tokens.input;
        total.tokens.output += it.tokens.output;
        total.tokens.cache_read += it.tokens.cache_read;
        total.tokens.cache_write += it.tokens.cache_write;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::budget::ChangeView, stdx::time::Timestamp};

    #[test]
    fn days_come_before_changes() {
        let day = |key: &str, usd: f64| CostRow {
            key: key.into(),
            tasks: 2,
            model_usd: usd,
            total_usd: usd,
            ..CostRow::default()
        };
        let changes = vec![ChangeView {
            at: Timestamp(1_795_219_602_652),
            text: "ceiling raised from $50.00\u{1b}[2J to $80.00".into(),
            ..ChangeView::default()
        }];
        let history =
            History { days: vec![day("2026-11-21", 3.0), day("2026-11-20", 1.0)], changes };
        let shown = render(&history, Some(80), Paint { on: false });
        assert!(shown.contains("total           4   $4.00"), "{shown}");
        assert!(shown.ends_with("  ceiling raised from $50.00\u{fffd}[2J to $80.00"), "{shown}");
        assert_eq!(render(&History::default(), None, Paint { on: false }), "Nothing was spent.");
    }
}
