//! The table as a file.

use crate::{
    api::budget::{CostRow, Costs, CostsBy},
    stdx::text::one_line,
    tui::{
        model::Shared,
        pane::budget::table::{Period, by_name},
        words,
    },
};

const HEAD: &str = "key,name,tasks,model_usd,cpu_usd,memory_usd,gpu_usd,total_usd,reported_usd,metered_usd,estimated_usd,tokens_in,tokens_out,tokens_cache_read,tokens_cache_write\n";

/// Returns the costs as CSV, with a line of names and one a row.
pub fn csv(costs: &Costs) -> String {
    costs.rows.iter().fold(HEAD.to_owned(), |text, it| text + &line(it))
}

fn line(it: &CostRow) -> String {
    let usd = [
        it.model_usd,
        it.cpu_usd,
        it.memory_usd,
        it.gpu_usd,
        it.total_usd,
        it.sources.reported_usd,
        it.sources.metered_usd,
        it.sources.estimated_usd,
    ];
    let usd: Vec<String> = usd.iter().map(|it| format!("{it:.6}")).collect();
    let tokens = &it.tokens;
    format!(
        "{},{},{},{},{},{},{},{}\n",
        cell(&it.key),
        cell(&it.name),
        it.tasks,
        usd.join(","),
        tokens.input,
        tokens.output,
        tokens.cache_read,
        tokens.cache_write
    )
}

/// Returns a text as a cell. What a spreadsheet would take for a formula is made text.
fn cell(text: &str) -> String {
    let text = one_line(text, 200);
    let formula = text.starts_with(['=', '+', '-', '@']);
    let guard = if formula { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

/// Returns the name that is proposed for the file.
pub fn name(period: Period, by: CostsBy, shared: &Shared) -> String {
    let day = words::date(shared.now, shared.facts.utc_offset_ms);
    format!("parhelia-costs-{}-by-{}-{day}.csv", period.name(), by_name(by))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixture::costs;

    #[test]
    fn every_row_is_a_line_and_hostile_names_stay_text() {
        let mut costs = costs();
        costs.rows[1].name = "=HYPERLINK(\"x\")\n,a".to_owned();
        let text = csv(&costs);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + costs.rows.len());
        assert_eq!(lines[0].split(',').count(), 15);
        assert_eq!(
            lines[1],
            "\"task-cccc2222\",\"train-small-lm\",1,6.000000,1.200000,0.000000,0.000000,7.200000,6.000000,1.200000,0.000000,41000,7300,0,0"
        );
        assert!(lines[2].contains("\"'=HYPERLINK(\"\"x\"\")"), "{}", lines[2]);
    }
}
