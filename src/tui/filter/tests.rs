use proptest::prelude::*;

use super::*;
use crate::tui::fixture::{self, NOW};

fn names(text: &str) -> Vec<String> {
    let filter = Filter::parse(text).unwrap_or_else(|it| panic!("{text}: {it}"));
    let passed = fixture::fleet().into_iter().filter(|it| filter.passes(it, NOW));
    passed.map(|it| it.name).collect()
}

#[test]
fn terms_choose_tasks() {
    for (text, expected) in [
        ("s:needs", &["fix-auth-race", "docs-rewrite"][..]),
        ("s:!", &["fix-auth-race", "docs-rewrite"]),
        ("s:ne rewrite", &["docs-rewrite"]),
        ("s:needs !REWRITE", &["fix-auth-race"]),
        ("$>4", &["fix-auth-race", "train-small-lm"]),
        ("$>4 !$>5", &["fix-auth-race"]),
        ("s:live age>61m", &["train-small-lm", "sql-indexes", "next-up"]),
        ("\"(34 LEFT)\"", &["port-to-axum"]),
        ("s:killed", &["old-spike"]),
        ("id-that-is-none", &[]),
        ("dddd2222", &["port-to-axum"]),
        ("h:modal", &[]),
        ("t:generic r:SHOP s:waiting", &["next-up"]),
    ] {
        assert_eq!(names(text), expected, "{text}");
    }
    assert_eq!(names("h:local").len(), fixture::fleet().len());
    assert_eq!(names("").len(), fixture::fleet().len());
}

#[test]
fn what_means_nothing_is_told() {
    for (text, expected) in [
        ("!", "`!` of what?"),
        ("\"\"", "`\"\"` is no text"),
        ("s:wrking", "`s:wrking`: `s:working`?"),
        ("h:", "`h:`: a host of which name?"),
        ("a $", "write $>5 or $<0.50"),
        ("$>x", "`x` is no amount; write $>5 or $<0.50"),
        ("$>inf", "`inf` is no amount; write $>5 or $<0.50"),
        ("age>soon", "`soon` is no age; write 30m, 2h or 1d"),
    ] {
        assert_eq!(Filter::parse(text), Err(expected.to_owned()), "{text}");
    }
}

#[test]
fn words_are_completed() {
    let words = |text| -> Vec<String> {
        completions(text, &["local".into(), "gpu-box".into()]).into_iter().map(|it| it.0).collect()
    };
    assert_eq!(words("x s:ne"), ["s:needs"]);
    assert_eq!(words("!h:"), ["!h:local", "!h:gpu-box"]);
    assert_eq!(words("$"), ["$>", "$<"]);
    assert_eq!(complete("x s:ne", "s:needs"), "x s:needs");
}

proptest! {
    #[test]
    fn no_line_makes_it_panic(text in "\\PC*", more in "[s:htrage$<>!\" 0-9a-z]*") {
        for text in [text, more] {
            if let Ok(filter) = Filter::parse(&text) {
                for task in fixture::fleet() {
                    filter.passes(&task, NOW);
                }
            }
            for (word, _) in completions(&text, &["local".into()]) {
                complete(&text, &word);
            }
        }
    }

    #[test]
    fn not_is_the_complement(word in "(s:(needs|done|live|f)|h:[a-z]|t:[a-z]|\\$[<>][0-9]|age[<>][0-9]{1,3}m|[a-z]{1,3})") {
        let (plain, not) = (Filter::parse(&word), Filter::parse(&format!("!{word}")));
        prop_assume!(plain.is_ok());
        let (plain, not) = (plain.unwrap_or_default(), not.unwrap_or_default());
        prop_assert!(!not.is_empty());
        for task in fixture::fleet() {
            prop_assert_ne!(plain.passes(&task, NOW), not.passes(&task, NOW));
        }
    }
}
