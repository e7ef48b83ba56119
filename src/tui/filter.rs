//! The language of the filter line: `s:needs h:local t:test r:shop $>5 age>2h text !text`.
//!
//! All terms must hold; `!` before a term turns it round; quotes keep spaces together. Pure: what
//! is typed comes in, a judge of tasks or a complaint goes out.

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::{
    api::view::TaskView,
    stdx::{
        text::{nearest, one_line},
        time::{Timestamp, parse_duration},
    },
    tui::model::replica::Letter,
};

/// Words for the states, with the letters they stand for.
const STATES: &[(&str, &[Letter])] = &[
    ("needs", &[Letter::NeedsYou]),
    ("working", &[Letter::Working]),
    ("parked", &[Letter::Parked]),
    ("idle", &[Letter::Idle]),
    ("waiting", &[Letter::Waiting]),
    ("done", &[Letter::Done]),
    ("failed", &[Letter::Failed]),
    ("killed", &[Letter::Killed]),
    ("unreachable", &[Letter::Unreachable]),
    ("unknown", &[Letter::Unknown]),
    (
        "live",
        &[
            Letter::NeedsYou,
            Letter::Working,
            Letter::Idle,
            Letter::Waiting,
            Letter::Unreachable,
            Letter::Unknown,
        ],
    ),
    ("ended", &[Letter::Done, Letter::Failed, Letter::Killed]),
];

/// The terms there are, for completion: what begins them, and what they mean.
pub const TERMS: &[(&str, &str)] = &[
    ("s:", "state: needs working parked idle waiting done failed killed live ended"),
    ("h:", "host"),
    ("t:", "type, model or GPU"),
    ("r:", "directory it was started from"),
    ("$>", "costs more than so many dollars"),
    ("$<", "costs less"),
    ("age>", "submitted longer ago than 30m, 2h, 1d"),
    ("age<", "submitted since"),
    ("!", "not what follows"),
];

/// What a filter line means. The default lets everything pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    terms: Vec<(bool, Term)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Term {
    State(Vec<Letter>),
    Host(String),
    Sort(String),
    Source(String),
    Cost(Than, f64),
    Age(Than, Duration),
    Text(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Than {
    More,
    Less,
}

impl Filter {
    /// Reads a filter line.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with the first term that means nothing, in one line.
    pub fn parse(text: &str) -> Result<Filter, String> {
        let terms = words(text).into_iter().map(|it| term(&it)).collect::<Result<_, _>>()?;
        Ok(Filter { terms })
    }

    /// Tells whether it lets everything pass.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Tells whether a task passes.
    pub fn passes(&self, task: &TaskView, now: Timestamp) -> bool {
        self.terms.iter().all(|(not, term)| term.holds(task, now) != *not)
    }
}

impl Term {
    fn holds(&self, task: &TaskView, now: Timestamp) -> bool {
        let has = |it: &Option<String>, text: &str| it.as_deref().is_some_and(|it| found(it, text));
        match self {
            Term::State(letters) => letters.contains(&Letter::of(task)),
            Term::Host(text) => has(&task.provider, text),
            Term::Sort(text) => {
                found(&task.kind, text) || has(&task.gpu, text) || has(&task.model, text)
            }
            Term::Source(text) => found(&task.source, text),
            Term::Cost(Than::More, usd) => *usd < task.cost_usd,
            Term::Cost(Than::Less, usd) => task.cost_usd < *usd,
            Term::Age(Than::More, age) => *age < now.since(task.created_at),
            Term::Age(Than::Less, age) => now.since(task.created_at) < *age,
            Term::Text(text) => {
                let plain = [&task.name, &task.prompt, &task.id, &task.last];
                plain.iter().any(|it| found(it, text)) || has(&task.branch, text)
            }
        }
    }
}

/// Tells whether `text`, in lower case, stands somewhere in `within`.
fn found(within: &str, text: &str) -> bool {
    if within.is_ascii() && text.is_ascii() {
        let (within, text) = (within.as_bytes(), text.as_bytes());
        return text.is_empty()
            || within.windows(text.len()).any(|it| it.eq_ignore_ascii_case(text));
    }
    within.to_lowercase().contains(text)
}

/// Splits at spaces outside quotes, and drops the quotes; one that is not closed yet reaches to
/// the end.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quoted, mut begun) = (false, false);
    for c in text.chars() {
        match c {
            '"' => (quoted, begun) = (!quoted, true),
            _ if c.is_whitespace() && !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            _ => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

fn term(word: &str) -> Result<(bool, Term), String> {
    let (not, word) = word.strip_prefix('!').map_or((false, word), |rest| (true, rest));
    if word.is_empty() {
        let what = if not { "`!` of what?" } else { "`\"\"` is no text" };
        return Err(what.to_owned());
    }
    Ok((not, positive(word)?))
}

fn positive(word: &str) -> Result<Term, String> {
    let text = |it: &str, what: &str| match it {
        "" => Err(format!("{what} of which name?")),
        _ => Ok(it.to_lowercase()),
    };
    if let Some(it) = word.strip_prefix("s:") {
        return state(it).map(Term::State);
    }
    if let Some(it) = word.strip_prefix("h:") {
        return text(it, "`h:`: a host").map(Term::Host);
    }
    if let Some(it) = word.strip_prefix("t:") {
        return text(it, "`t:`: a type").map(Term::Sort);
    }
    if let Some(it) = word.strip_prefix("r:") {
        return text(it, "`r:`: a directory").map(Term::Source);
    }
    if word == "$" {
        return Err("write $>5 or $<0.50".to_owned());
    }
    if let Some((than, it)) = word.strip_prefix('$').and_then(comparison) {
        let usd: f64 = it.trim_start_matches('$').parse().map_err(|_| no_amount(it))?;
        return if usd.is_finite() { Ok(Term::Cost(than, usd)) } else { Err(no_amount(it)) };
    }
    if let Some((than, it)) = word.strip_prefix("age").and_then(comparison) {
        let age = parse_duration(it)
            .map_err(|_| format!("`{}` is no age; write 30m, 2h or 1d", one_line(it, 20)))?;
        return Ok(Term::Age(than, age));
    }
    Ok(Term::Text(word.to_lowercase()))
}

fn comparison(text: &str) -> Option<(Than, &str)> {
    let more = text.strip_prefix('>').map(|it| (Than::More, it));
    more.or_else(|| text.strip_prefix('<').map(|it| (Than::Less, it)))
}

fn no_amount(text: &str) -> String {
    format!("`{}` is no amount; write $>5 or $<0.50", one_line(text, 20))
}

/// A letter, or a word for a state, or how one begins.
fn state(text: &str) -> Result<Vec<Letter>, String> {
    let lower = text.to_lowercase();
    let mut letters: Vec<Letter> = Vec::new();
    for (word, meant) in STATES {
        let by_letter = |it: &Letter| lower.chars().eq([it.char()]);
        if (!lower.is_empty() && word.starts_with(&lower))
            || matches!(meant, [one] if by_letter(one))
        {
            letters.extend(*meant);
        }
    }
    if letters.is_empty() {
        let near = nearest(&lower, STATES.iter().map(|it| it.0));
        let all = || STATES.iter().map(|it| it.0).collect::<Vec<_>>().join(" ");
        let hint = near.first().map_or_else(all, |it| format!("`s:{it}`?"));
        return Err(format!("`s:{}`: {hint}", one_line(text, 20)));
    }
    Ok(letters)
}

/// Returns what could stand instead of the last word of `text`, with what it means; `hosts` are
/// the names of hosts.
pub fn completions(text: &str, hosts: &[String]) -> Vec<(String, &'static str)> {
    let word = last_word(text);
    let (not, bare) = word.strip_prefix('!').map_or(("", word), |rest| ("!", rest));
    if let Some(begun) = bare.strip_prefix("s:") {
        let fits = STATES.iter().filter(|it| it.0.starts_with(begun) && it.0 != begun);
        return fits.map(|it| (format!("{not}s:{}", it.0), "state")).collect();
    }
    if let Some(begun) = bare.strip_prefix("h:") {
        let fits = hosts.iter().filter(|it| it.starts_with(begun) && *it != begun);
        return fits.map(|it| (format!("{not}h:{it}"), "host")).collect();
    }
    let fits = TERMS.iter().filter(|it| it.0.starts_with(bare) && it.0 != bare);
    fits.map(|it| (format!("{not}{}", it.0), it.1)).collect()
}

/// Returns `text` with its last word replaced.
pub fn complete(text: &str, word: &str) -> String {
    let kept = &text[..text.len() - last_word(text).len()];
    format!("{kept}{word}")
}

fn last_word(text: &str) -> &str {
    let at = text.char_indices().rev().find(|(_, c)| c.is_whitespace());
    at.map_or(text, |(at, c)| &text[at + c.len_utf8()..])
}
