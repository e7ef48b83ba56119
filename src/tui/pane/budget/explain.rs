//! Where each figure comes from.

use crate::{
    api::budget::CostRow,
    stdx::text::one_line,
    tui::{
        model::Shared,
        money,
        theme::Role,
        widget::lines::{Break, wrap},
        words,
    },
};

/// Columns of a sentence that goes over several lines; so many are there on every screen of 80.
const WIDTH: u16 = 70;

type Line = (Option<Role>, String);

/// Says where each figure of panel and gauge comes from.
pub fn lines(shared: &Shared) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut add = |role: Option<Role>, text: &str| lines.push((role, text.to_owned()));
    add(Some(Role::Title), "Marks");
    for (mark, text) in money::sources::marks(None) {
        add(None, &format!("  {mark:<4} {text}"));
    }
    add(Some(Role::Title), "Gauge");
    add(None, "  # spent   = reserved by running tasks beyond that   . left for new ones");
    add(Some(Role::Title), "Figures");
    for text in [
        "  All are the dispatcher's, sums of its ledger; nothing is added up here.",
        "  total     everything since the last reset, or ever; paid workers up to now",
        "  today     since midnight where the dispatcher is",
        "  reserved  what running tasks may still cost, taken when they began",
        "  burn      models by the last ten minutes, paid workers by their price",
        "  bars      what was spent in each five minutes of the last hour",
        "  at 15:44  when that ceiling is reached at this rate",
        "  table     what ended in the period, of deleted tasks too",
        "  in        tokens read, from the cache or not",
    ] {
        add(None, text);
    }
    if let Some(budget) = &shared.replica.budget {
        add(Some(Role::Title), "Now");
        let usd = |it: f64| format!("${}", words::money(it));
        let it = &budget.sources;
        let (reported, metered) = (usd(it.reported_usd), usd(it.metered_usd));
        let guessed = usd(it.estimated_usd);
        add(None, &format!("  reported {reported}, metered {metered}, estimated {guessed}"));
        let compute = usd(budget.compute_usd_per_hour);
        add(None, &format!("  workers cost {compute} per hour"));
        if let Some(policy) = budget.on_exceeded {
            add(None, &format!("  at a ceiling: {}", policy.as_str()));
        }
        if !budget.overshoot.is_empty() {
            let text = one_line(&budget.overshoot, 400);
            for row in wrap(&text, WIDTH, Break::Blanks) {
                add(None, &format!("  {}", text[row].trim()));
            }
        }
    }
    lines
}

/// Says what one row of costs is made of.
pub fn row(it: &CostRow) -> Vec<Line> {
    let usd = |name: &str, amount: f64| (None, format!("  {name:<10} ${}", words::money(amount)));
    let tokens = &it.tokens;
    let mark = match money::mark(&it.sources) {
        "" => String::new(),
        mark => format!(" {mark}"),
    };
    let total = format!("${}{mark}, {} tasks", words::money(it.total_usd), it.tasks);
    vec![
        (Some(Role::Title), total),
        usd("model", it.model_usd),
        usd("cpu", it.cpu_usd),
        usd("memory", it.memory_usd),
        usd("gpu", it.gpu_usd),
        (Some(Role::Title), "Who says so".to_owned()),
        usd("reported", it.sources.reported_usd),
        usd("metered", it.sources.metered_usd),
        usd("estimated", it.sources.estimated_usd),
        (Some(Role::Title), "Tokens".to_owned()),
        (None, format!("  in {}, out {}", tokens.input, tokens.output)),
        (None, format!("  cache read {}, write {}", tokens.cache_read, tokens.cache_write)),
    ]
}
