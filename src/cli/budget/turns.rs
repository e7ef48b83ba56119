//! `budget turns`: what each turn of a task cost.

use crate::{
    api::{
        budget::{TaskTurns, TurnCost},
        view::TokensView,
    },
    cli::{
        args::budget as args,
        budget::{
            costs::{tokens, tokens_in},
            exact, print_csv,
        },
        context::Context,
        csv,
        out::Done,
        paint::Paint,
        table::{Column, Table},
        view::{FIELD_MAX, cents, count},
        when::day_and_clock,
    },
    stdx::{
        text::one_line,
        time::{Clock, SystemClock, Timestamp, short},
    },
};

/// Shows what each turn of a task cost.
pub async fn turns(context: &Context, args: &args::Turns) -> Done {
    let mut found = context.client().await?.task_turns(&args.id).await?;
    cut_to(&mut found, usize::try_from(args.turns.get()).unwrap_or(usize::MAX));
    let out = &context.out;
    match (out.json, args.csv) {
        (true, _) => out.json(&found)?,
        (_, true) => print_csv(context, &to_csv(&found.turns))?,
        _ => out.line(&render(&found, SystemClock.now(), out.table_width(), out.paint))?,
    }
    Ok(0)
}

/// Leaves `most` turns; the rest is summed up with the earlier ones.
fn cut_to(found: &mut TaskTurns, most: usize) {
    let rest = found.turns.split_off(most.min(found.turns.len()));
    for it in rest {
        found.earlier.turns += 1;
        found.earlier.usd += it.usd;
        let (sum, more) = (&mut found.earlier.tokens, it.tokens);
        sum.input += more.input;
        sum.output += more.output;
        sum.cache_read += more.cache_read;
        sum.cache_write += more.cache_write;
    }
}

/// Returns turns as CSV.
fn to_csv(turns: &[TurnCost]) -> String {
    let head = [
        "number",
        "attempt",
        "began",
        "ended",
        "how",
        "asked",
        "usd",
        "tokens_in",
        "tokens_out",
        "tokens_cache_read",
        "tokens_cache_write",
    ];
    let records = turns.iter().map(|it| {
        csv::record([
            it.number.to_string(),
            it.attempt.to_string(),
            it.began.rfc3339(),
            it.ended.map(Timestamp::rfc3339).unwrap_or_default(),
            it.how.clone(),
            it.asked.clone(),
            exact(it.usd),
            it.tokens.input.to_string(),
            it.tokens.output.to_string(),
            it.tokens.cache_read.to_string(),
            it.tokens.cache_write.to_string(),
        ])
    });
    csv::record(head) + &records.collect::<String>()
}

/// Returns turns as a person reads them.
fn render(found: &TaskTurns, now: Timestamp, width: Option<usize>, paint: Paint) -> String {
    let (earlier, outside) = (&found.earlier, &found.outside);
    let mut rows: Vec<[String; 7]> = found.turns.iter().map(|it| turn(it, now)).collect();
    let mut sum = |name: &str, usd: f64, said: Option<&TokensView>, text: String| {
        let [read, written] = said.map_or_else(Default::default, shown);
        rows.push(["".into(), name.into(), "".into(), cents(usd), read, written, text]);
    };
    if 0 < earlier.turns {
        let text = format!("{} before those", count(earlier.turns, "turn"));
        sum("earlier", earlier.usd, Some(&earlier.tokens), text);
    }
    if 0.0 < outside.usd {
        sum("no turn", outside.usd, Some(&outside.tokens), "before the first turn".into());
    }
    if 0.0 < found.workers_usd {
        sum("workers", found.workers_usd, None, "by the clock, in turns and between them".into());
    }
    if rows.is_empty() {
        return "No turn was seen, and nothing was spent.".to_owned();
    }
    rows.push(["", "total", "", &cents(found.total_usd), "", "", ""].map(str::to_owned));
    let column = |at: usize| rows.iter().map(|it| it[at].clone()).collect::<Vec<String>>();
    let text = Table::new(vec![
        Column::new("TURN", column(0)).right(),
        Column::new("BEGAN", column(1)),
        Column::new("TOOK", column(2)).right().keeps(1),
        Column::new("COST", column(3)).right(),
        Column::new("IN", column(4)).right().keeps(2),
        Column::new("OUT", column(5)).right().keeps(2),
        Column::new("ASKED", column(6)).gives_way(16),
    ])
    .text(width, paint);
    match text.rsplit_once('\n') {
        Some((rows, total)) => format!("{rows}\n{}", paint.bold(total)),
        None => text,
    }
}

fn turn(it: &TurnCost, now: Timestamp) -> [String; 7] {
    let [read, written] = shown(&it.tokens);
    let took = it.ended.map(|at| short(at.since(it.began))).unwrap_or_default();
    let asked = match it.asked.trim() {
        "" => "not known",
        _ if it.by_claude => "by Claude: a background task ended",
        asked => asked,
    };
    let how = if it.how == "done" { String::new() } else { format!("({}) ", it.how) };
    let asked = one_line(&format!("{how}{asked}"), FIELD_MAX);
    let began = day_and_clock(it.began, now);
    [it.number.to_string(), began, took, cents(it.usd), read, written, asked]
}

fn shown(it: &TokensView) -> [String; 2] {
    [tokens(tokens_in(it)), tokens(it.output)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::budget::TurnsSum;

    const NOW: Timestamp = Timestamp(1_795_219_602_652);

    fn turn(number: u64, usd: f64, how: &str, asked: &str) -> TurnCost {
        let began = Timestamp(NOW.0 - 600_000 + number as i64 * 60_000);
        TurnCost {
            number,
            attempt: 1,
            began,
            ended: (how != "works").then_some(Timestamp(began.0 + 42_000)),
            how: how.into(),
            asked: asked.into(),
            usd,
            tokens: TokensView {
                input: 4,
                cache_read: 41_000,
                output: 730,
                ..TokensView::default()
            },
            ..TurnCost::default()
        }
    }

    fn found() -> TaskTurns {
        let claude = TurnCost { by_claude: true, ..turn(3, 0.05, "done", "<task-notification>") };
        TaskTurns {
            task: "task-abcd2345".into(),
            turns: vec![
                turn(4, 0.5, "works", "now the tests\u{1b}[2J"),
                claude,
                turn(2, 0.25, "interrupted", "the race in auth, and all that has to do with it"),
                turn(1, 1.0, "done", "hello"),
            ],
            workers_usd: 0.75,
            total_usd: 2.55,
            ..TaskTurns::default()
        }
    }

    #[test]
    fn turns_fit_eighty_columns_and_what_belongs_to_none_is_told() {
        let shown = render(&found(), NOW, Some(80), Paint { on: false });
        assert!(shown.lines().all(|it| it.chars().count() <= 80), "{shown}");
        assert!(shown.contains("(interrupted) the race") && !shown.contains('\u{1b}'), "{shown}");
        assert!(shown.contains("by Claude: a background task"), "{shown}");
        let sums: Vec<&str> = shown.lines().rev().take(2).map(|it| it.trim()).collect();
        assert!(sums[0].starts_with("total") && sums[0].ends_with("$2.55"), "{shown}");
        assert!(sums[1].starts_with("workers") && sums[1].contains("$0.75"), "{shown}");
        let nothing = render(&TaskTurns::default(), NOW, None, Paint { on: false });
        assert_eq!(nothing, "No turn was seen, and nothing was spent.");
    }

    #[test]
    fn turns_that_are_not_shown_are_summed_up() {
        let mut found = found();
        found.earlier = TurnsSum { turns: 7, usd: 1.0, tokens: TokensView::default() };
        cut_to(&mut found, 2);
        assert_eq!((found.turns.len(), found.earlier.turns, found.earlier.usd), (2, 9, 2.25));
        let shown = render(&found, NOW, Some(80), Paint { on: false });
        assert!(shown.contains("9 turns before those"), "{shown}");
        assert_eq!(to_csv(&found.turns).lines().count(), 3);
    }
}
