//! `budget show --by`: what the money was spent on.

use crate::{
    api::{
        budget::{CostRow, Costs, SourcesView},
        client::budget::CostsQuery,
        view::TokensView,
    },
    cli::{
        args::budget::{By, Show},
        budget::{exact, moment, print_csv},
        context::Context,
        csv,
        out::Done,
        paint::Paint,
        table::{Column, Table},
        view::{FIELD_MAX, cents},
    },
    stdx::text::one_line,
};

/// Shows what the money was spent on.
pub async fn show(context: &Context, args: &Show, by: By) -> Done {
    let query = CostsQuery {
        by: by.into(),
        from: moment(args.from.as_deref())?,
        to: moment(args.to.as_deref())?,
    };
    let costs = context.client().await?.costs(&query).await?;
    let out = &context.out;
    match (out.json, args.csv) {
        (true, _) => out.json(&costs)?,
        (_, true) => print_csv(context, &to_csv(&costs.rows))?,
        _ => out.line(&render(&costs, by, out.table_width(), out.paint))?,
    }
    Ok(0)
}

/// Returns rows as CSV.
pub fn to_csv(rows: &[CostRow]) -> String {
    let head = [
        "key",
        "name",
        "tasks",
        "model_usd",
        "cpu_usd",
        "memory_usd",
        "gpu_usd",
        "total_usd",
        "reported_usd",
        "metered_usd",
        "estimated_usd",
        "tokens_in",
        "tokens_out",
        "tokens_cache_read",
        "tokens_cache_write",
    ];
    let records = rows.iter().map(|it| {
        csv::record([
            it.key.clone(),
            it.name.clone(),
            it.tasks.to_string(),
            exact(it.model_usd),
            exact(it.cpu_usd),
            exact(it.memory_usd),
            exact(it.gpu_usd),
            exact(it.total_usd),
            exact(it.sources.reported_usd),
            exact(it.sources.metered_usd),
            exact(it.sources.estimated_usd),
            it.tokens.input.to_string(),
            it.tokens.output.to_string(),
            it.tokens.cache_read.to_string(),
            it.tokens.cache_write.to_string(),
        ])
    });
    csv::record(head) + &records.collect::<String>()
}

/// Returns costs as a person reads them.
fn render(costs: &Costs, by: By, width: Option<usize>, paint: Paint) -> String {
    if costs.rows.is_empty() {
        return "Nothing was spent.".to_owned();
    }
    let mut rows = costs.rows.clone();
    rows.push(CostRow { key: "total".into(), name: String::new(), ..costs.total.clone() });
    let text = table(&rows, by, width, paint);
    match text.rsplit_once('\n') {
        Some((rows, total)) => format!("{rows}\n{}", paint.bold(total)),
        None => text,
    }
}

/// Returns one row a line, of which the last is the sum.
pub fn table(rows: &[CostRow], by: By, width: Option<usize>, paint: Paint) -> String {
    let column = |of: &dyn Fn(&CostRow) -> String| rows.iter().map(of).collect::<Vec<String>>();
    let all = rows.last().map_or(0.0, |it| it.total_usd);
    let key = match by {
        By::Task => "TASK",
        By::Type => "TYPE",
        By::Host => "HOST",
        By::Model => "MODEL",
        By::Day => "DAY",
    };
    let mut columns = vec![Column::new(key, column(&|it| key_of(it, by)))];
    if by == By::Task {
        columns
            .push(Column::new("NAME", column(&|it| one_line(&it.name, FIELD_MAX))).gives_way(12));
    } else {
        columns.push(Column::new("TASKS", column(&|it| it.tasks.to_string())).right());
    }
    let compute = |it: &CostRow| cents(it.cpu_usd + it.memory_usd + it.gpu_usd);
    columns.extend([
        Column::new("MODELS", column(&|it| cents(it.model_usd))).right().keeps(5),
        Column::new("WORKERS", column(&compute)).right().keeps(4),
        Column::new("TOTAL", column(&|it| cents(it.total_usd))).right(),
        Column::new("SHARE", column(&|it| share(it.total_usd, all))).right().keeps(3),
        Column::new("IN", column(&|it| tokens(tokens_in(&it.tokens)))).right().keeps(1),
        Column::new("OUT", column(&|it| tokens(it.tokens.output))).right().keeps(1),
        Column::new("SAID BY", column(&|it| source(&it.sources).to_owned())).keeps(2),
    ]);
    Table::new(columns).text(width, paint)
}

/// Models may be called anything, so a name that stands for none is only told where it is one.
fn key_of(row: &CostRow, by: By) -> String {
    match by {
        By::Model if row.key != "total" => one_line(&row.name, 40),
        By::Task | By::Type | By::Host | By::Model | By::Day => one_line(&row.key, 40),
    }
}

/// Returns all tokens that were read, from the cache or not.
pub fn tokens_in(it: &TokensView) -> u64 {
    it.input + it.cache_read + it.cache_write
}

fn share(part: f64, all: f64) -> String {
    if all <= 0.0 { "-".to_owned() } else { format!("{:.0} %", part / all * 100.0) }
}

/// Returns a number of tokens in three digits or so.
pub fn tokens(n: u64) -> String {
    match n {
        0..10_000 => n.to_string(),
        10_000..1_000_000 => format!("{}k", n / 1000),
        1_000_000..100_000_000 => format!("{:.1}M", n as f64 / 1e6),
        _ => format!("{}M", n / 1_000_000),
    }
}

/// Says who says what something cost.
pub fn source(it: &SourcesView) -> &'static str {
    let parts = (it.reported_usd != 0.0, it.metered_usd != 0.0, it.estimated_usd != 0.0);
    match parts {
        (true, false, false) => "Claude",
        (false, true, false) => "clock",
        (true, true, false) => "Claude, clock",
        (false, false, true) => "estimate",
        (false, false, false) => "-",
        (_, _, true) => "partly estimate",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str, name: &str, model: f64, cpu: f64) -> CostRow {
        CostRow {
            key: key.into(),
            name: name.into(),
            tasks: 1,
            model_usd: model,
            cpu_usd: cpu,
            total_usd: model + cpu,
            sources: SourcesView { reported_usd: model, metered_usd: cpu, estimated_usd: 0.0 },
            tokens: TokensView { input: 1_234_567, output: 12_345, ..TokensView::default() },
            ..CostRow::default()
        }
    }

    fn costs() -> Costs {
        let rows = vec![
            row("task-abcd2345", "fix the race in auth and then the other one", 9.0, 1.0),
            row("task-bcde3456", "a \"quoted\",\u{1b}[2J name", 0.001, 0.0),
        ];
        let total = CostRow { tasks: 2, ..row("", "total", 9.001, 1.0) };
        Costs { rows, total, ..Costs::default() }
    }

    #[test]
    fn what_was_spent_fits_eighty_columns() {
        let shown = render(&costs(), By::Task, Some(80), Paint { on: false });
        assert!(shown.lines().all(|it| it.chars().count() <= 80), "{shown}");
        insta::assert_snapshot!(shown);
        let whole = render(&costs(), By::Type, Some(120), Paint { on: false });
        let head = "TYPE           TASKS  MODELS  WORKERS   TOTAL  SHARE    IN  OUT  SAID BY";
        assert_eq!(whole.lines().next(), Some(head));
        assert_eq!(
            render(&Costs::default(), By::Day, None, Paint { on: false }),
            "Nothing was spent."
        );
    }

    #[test]
    fn rows_are_records() {
        let text = to_csv(&costs().rows);
        assert!(
            text.contains("task-bcde3456,\"a \"\"quoted\"\",\u{1b}[2J name\",1,0.001000,"),
            "{text}"
        );
    }
}
