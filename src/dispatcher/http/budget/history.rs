//! What became of the budget.

use axum::Json;

use crate::{
    api::budget::{ChangeView, CostsBy, History},
    dispatcher::{
        core::store_error,
        http::{Answer, Ctx, budget::costs},
    },
    domain::{
        budget::{BudgetChange, Ceiling, Change},
        usd::Usd,
    },
    stdx::text::one_line,
};

/// Changes given, the newest ones.
const CHANGES_MAX: usize = 1000;

/// Returns spending by days and the changes of the budget.
#[utoipa::path(get, path = "/v1/budget/history", responses((status = 200, body = History)))]
pub async fn history(ctx: Ctx) -> Answer<History> {
    let (days, _) = costs::rows(&ctx, CostsBy::Day, costs::Span::default()).await?;
    let changes = ctx.store.budget_changes(CHANGES_MAX).await.map_err(|it| store_error(&it))?;
    Ok(Json(History { days, changes: changes.iter().map(view).collect() }))
}

fn view(change: &BudgetChange) -> ChangeView {
    let (word, ceiling, from, to, spent) = match &change.what {
        Change::Set { ceiling, from, to } => ("set", Some(ceiling), *from, *to, None),
        Change::Reset { spent } => ("reset", None, None, None, Some(*spent)),
        Change::Warned { ceiling, spent, limit } => {
            ("warned", Some(ceiling), None, Some(*limit), Some(*spent))
        }
        Change::Exceeded { ceiling, spent, limit } => {
            ("exceeded", Some(ceiling), None, Some(*limit), Some(*spent))
        }
    };
    ChangeView {
        at: change.at,
        change: word.to_owned(),
        scope: ceiling.map(|it| it.scope().to_string()),
        host: match ceiling {
            Some(Ceiling::Host(name)) => Some(name.clone()),
            Some(Ceiling::All | Ceiling::Day) | None => None,
        },
        from_usd: from.map(Usd::dollars),
        to_usd: to.map(Usd::dollars),
        spent_usd: spent.map(Usd::dollars),
        text: words(&change.what),
    }
}

/// Returns a change in a person's words.
fn words(change: &Change) -> String {
    match change {
        Change::Set { ceiling, from: None, to: Some(to) } => {
            format!("{} set to {to}", name(ceiling))
        }
        Change::Set { ceiling, from: Some(from), to: None } => {
            format!("{} of {from} taken away", name(ceiling))
        }
        Change::Set { ceiling, from: Some(from), to: Some(to) } if from == to => {
            format!("{} kept at {to}", name(ceiling))
        }
        Change::Set { ceiling, from: Some(from), to: Some(to) } => {
            let way = if from < to { "raised" } else { "lowered" };
            format!("{} {way} from {from} to {to}", name(ceiling))
        }
        Change::Set { ceiling, from: None, to: None } => format!("{} kept at none", name(ceiling)),
        Change::Reset { spent } => format!("reset after {spent} were spent"),
        Change::Warned { ceiling, spent, limit } => {
            format!("{} of {limit} came near: {spent} spent", name(ceiling))
        }
        Change::Exceeded { ceiling, spent, limit } => {
            format!("{} of {limit} reached: {spent} spent", name(ceiling))
        }
    }
}

fn name(ceiling: &Ceiling) -> String {
    match ceiling {
        Ceiling::All => "ceiling".to_owned(),
        Ceiling::Day => "daily ceiling".to_owned(),
        Ceiling::Host(host) => format!("ceiling of {}", one_line(host, 60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_in_words() {
        let set = |from: Option<i64>, to: Option<i64>| {
            let [from, to] = [from, to].map(|it| it.map(Usd));
            words(&Change::Set { ceiling: Ceiling::All, from, to })
        };
        assert_eq!(set(Some(50_000_000), Some(80_000_000)), "ceiling raised from $50.00 to $80.00");
        assert_eq!(set(Some(50_000_000), Some(5_000_000)), "ceiling lowered from $50.00 to $5.00");
        assert_eq!(set(Some(50_000_000), None), "ceiling of $50.00 taken away");
        assert_eq!(set(None, Some(5_000_000)), "ceiling set to $5.00");
        let ceiling = Ceiling::Host("gpu\u{1b}[1m".into());
        let (spent, limit) = (Usd(8_100_000), Usd(10_000_000));
        let said = words(&Change::Warned { ceiling, spent, limit });
        assert!(said.ends_with("of $10.00 came near: $8.10 spent") && !said.contains('\u{1b}'));
        assert_eq!(words(&Change::Reset { spent }), "reset after $8.10 were spent");
    }
}
