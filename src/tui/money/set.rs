//! What a person wants a ceiling to be: read from what is typed, and turned into a request.

use serde::{Deserialize, Serialize};

use crate::{
    api::budget::{BudgetView, CeilingView, SetBudget},
    domain::usd::Usd,
    stdx::{text::one_line, time::Timestamp},
    tui::{
        effect::{Ask, Request},
        model::{Back, Out, Purpose, Shared, Then, Undo},
        words,
    },
};

/// A ceiling.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Target {
    /// Over everything.
    All,
    /// Over a day.
    Day,
    /// Over a host.
    Host(String),
    /// A task's own, by its id.
    Task(String),
}

/// What it is to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wish {
    At(f64),
    /// There is to be none.
    None,
    /// What the configuration says.
    Configured,
}

impl Target {
    /// Returns which ceiling that is; nothing for a sort that is not known here.
    pub fn of(it: &CeilingView) -> Option<Target> {
        match it.scope.as_str() {
            "all" => Some(Target::All),
            "day" => Some(Target::Day),
            "host" => Some(Target::Host(it.host.clone()?)),
            _ => None,
        }
    }

    /// Tells whether a ceiling is of a sort that is known here.
    pub fn knows(it: &CeilingView) -> bool {
        matches!((it.scope.as_str(), &it.host), ("all" | "day", _) | ("host", Some(_)))
    }

    /// Tells whether a ceiling is this one.
    pub fn is_of(&self, it: &CeilingView) -> bool {
        match self {
            Target::All => it.scope == "all",
            Target::Day => it.scope == "day",
            Target::Host(name) => it.scope == "host" && it.host.as_ref() == Some(name),
            Target::Task(_) => false,
        }
    }

    /// Returns what it is called in a sentence.
    pub fn words(&self, shared: &Shared) -> String {
        match self {
            Target::All => "ceiling over everything".to_owned(),
            Target::Day => "ceiling of a day".to_owned(),
            Target::Host(name) => format!("ceiling of {}", one_line(name, 40)),
            Target::Task(id) => {
                let name = shared.replica.task(id).map_or(id, |it| &it.name);
                format!("ceiling of {}", one_line(name, 40))
            }
        }
    }

    /// Returns how it stands, as the dispatcher said; nothing for a task's own.
    pub fn view<'a>(&self, budget: &'a BudgetView) -> Option<&'a CeilingView> {
        budget.ceilings.iter().find(|it| self.is_of(it))
    }

    /// Returns how high it is; nothing if there is none.
    pub fn now(&self, shared: &Shared) -> Option<f64> {
        match self {
            Target::Task(id) => shared.replica.task(id)?.max_cost_usd,
            _ => self.view(shared.replica.budget.as_deref()?)?.ceiling_usd,
        }
    }

    /// Returns what counts against it already.
    pub fn spent(&self, shared: &Shared, now: Timestamp) -> Option<f64> {
        match self {
            Target::Task(id) => Some(super::cost(shared.replica.task(id)?, now)),
            _ => Some(self.view(shared.replica.budget.as_deref()?)?.spent_usd),
        }
    }

    fn request(&self, wish: Wish) -> Request {
        let (scope, host, task) = match self {
            Target::All => ("all", None, None),
            Target::Day => ("day", None, None),
            Target::Host(name) => ("host", Some(name.clone()), None),
            Target::Task(id) => ("task", None, Some(id.clone())),
        };
        Request::SetBudget(Box::new(SetBudget {
            scope: scope.to_owned(),
            host,
            task,
            ceiling_usd: match wish {
                Wish::At(usd) => Some(usd),
                Wish::None | Wish::Configured => None,
            },
            none: wish == Wish::None,
            configured: wish == Wish::Configured,
        }))
    }

    /// Returns what would bring back what holds now.
    fn back(&self, shared: &Shared) -> Wish {
        let budget = shared.replica.budget.as_deref();
        let origin = budget.and_then(|it| self.view(it)).and_then(|it| it.origin.as_deref());
        match (self.now(shared), origin) {
            (_, Some("configured")) => Wish::Configured,
            (Some(usd), _) => Wish::At(usd),
            (None, _) => Wish::None,
        }
    }

    /// Asks the dispatcher for it; `z` brings back what held before.
    pub fn set(&self, wish: Wish, shared: &Shared, out: &mut Out) {
        let label = format!("{}: {}", self.words(shared), wish.words());
        let by = Back::Request(Box::new(self.request(self.back(shared))));
        let undo = Undo { what: label.clone(), at: shared.now, by };
        out.then.push(Then::Ask {
            ask: Ask::Request(self.request(wish)),
            label,
            purpose: Purpose::Tell,
            undo: Some(undo),
        });
    }
}

impl Wish {
    /// Reads what was typed: an amount, `none`, or `configured`.
    ///
    /// # Errors
    ///
    /// What can be typed.
    pub fn parse(text: &str, target: &Target) -> Result<Wish, String> {
        let text = text.trim();
        let own = matches!(target, Target::Task(_));
        match text.to_ascii_lowercase().as_str() {
            "none" => return Ok(Wish::None),
            "configured" if !own => return Ok(Wish::Configured),
            _ => (),
        }
        let amount = text.trim_start_matches('$').trim().parse::<f64>().ok();
        let exact = amount.and_then(Usd::from_dollars).filter(|it| Usd::ZERO < *it);
        let others = if own { " or `none`" } else { ", `none` or `configured`" };
        let bad = || format!("an amount above $0{others}");
        exact.map(|it| Wish::At(it.dollars())).ok_or_else(bad)
    }

    /// Returns it in words.
    pub fn words(self) -> String {
        match self {
            Wish::At(usd) => format!("${}", words::money(usd)),
            Wish::None => "none".to_owned(),
            Wish::Configured => "as configured".to_owned(),
        }
    }
}

/// Returns an amount a tenth higher or lower, in whole cents, and never nothing.
pub fn nudged(usd: f64, more: bool) -> f64 {
    let cents = (usd * 100.0).round();
    let factor = if more { 1.1 } else { 0.9 };
    let next = (cents * factor).round();
    let next = match more {
        true => next.max(cents + 1.0),
        false => next.min(cents - 1.0),
    };
    next.max(1.0) / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixture::{budget, fleet, with_tasks};

    #[test]
    fn what_is_typed_is_an_amount_or_a_word() {
        let all = |text| Wish::parse(text, &Target::All);
        assert_eq!(all(" $50 "), Ok(Wish::At(50.0)));
        assert_eq!(all("0.5"), Ok(Wish::At(0.5)));
        assert_eq!(all("None"), Ok(Wish::None));
        assert_eq!(all("configured"), Ok(Wish::Configured));
        for wrong in ["", "0", "-3", "1e400", "nan", "inf", "ten", "5 6", "0.0000001"] {
            assert!(all(wrong).is_err(), "{wrong}");
        }
        assert!(Wish::parse("configured", &Target::Task("task-a".into())).is_err());
    }

    #[test]
    fn a_tenth_is_at_least_a_cent_and_never_nothing() {
        assert_eq!((nudged(30.0, true), nudged(30.0, false)), (33.0, 27.0));
        assert_eq!((nudged(0.02, true), nudged(0.02, false)), (0.03, 0.01));
        assert_eq!(nudged(0.01, false), 0.01);
    }

    #[test]
    fn undoing_brings_back_what_held() {
        let mut model = with_tasks(80, 24, fleet());
        model.shared.replica.know_budget(Box::new(budget(12.0)));
        let shared = &model.shared;
        assert_eq!(Target::All.back(shared), Wish::Configured);
        assert_eq!(Target::Day.back(shared), Wish::At(50.0));
        assert_eq!(Target::Host("local".into()).back(shared), Wish::None);
        assert_eq!(Target::Task("task-aaaa2222".into()).back(shared), Wish::None);
    }
}
