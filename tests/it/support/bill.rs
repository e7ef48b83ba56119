//! What sessions cost, by three accounts that know nothing of each other: the API's, Claude Code's
//! own, and Parhelia's ledger.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use parhelia::{domain::usd::Usd, stdx::time::Timestamp};
use rusqlite::Connection;
use serde_json::Value;

use crate::support::{api::Api, dispatcher, sandbox::Sandbox};

/// What a million tokens cost where Claude Code 2.1.329 reports it, in micro-dollars: read, written,
/// put into the cache, taken from it. By its status lines.
const PRICES: [(&str, [i64; 4]); 2] = [
    ("claude-opus-5-5", [4_000_000, 20_000_000, 5_000_000, 200_000]),
    ("claude-haiku-5-5", [100_000, 500_000, 125_000, 10_000]),
];

/// Returns what the answers that the API sent whole cost by their prices.
///
/// # Panics
///
/// If it was asked for a model of which no price is known.
pub fn of_api(api: &Api) -> Usd {
    price(api.used())
}

/// Returns what is to be paid besides for the answers that Claude Code left in the middle of: what
/// their first events said, which it reports where it was interrupted but not where it was killed.
pub fn of_begun(api: &Api) -> Usd {
    price(api.begun())
}

/// Returns how many tokens the API wrote, in all answers, also those that were left.
pub fn written(api: &Api) -> u64 {
    let answers = api.used().into_iter().chain(api.begun());
    answers.map(|it| it.1["output_tokens"].as_u64().unwrap_or_default()).sum()
}

fn price(answers: Vec<(String, Value)>) -> Usd {
    let mut picos = 0;
    for (model, used) in answers {
        let prices = PRICES.iter().find(|it| it.0 == model);
        let (_, prices) = prices.unwrap_or_else(|| panic!("what does {model} cost?"));
        let keys = [
            "input_tokens",
            "output_tokens",
            "cache_creation_input_tokens",
            "cache_read_input_tokens",
        ];
        for (key, price) in keys.iter().zip(prices) {
            picos += used[key].as_i64().unwrap_or_default() * price;
        }
    }
    Usd((picos + 500_000) / 1_000_000)
}

/// The totals of one conversation in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// What it began with: what processes before it had saved.
    pub first: Usd,
    /// Its last word.
    pub last: Usd,
}

/// Returns what each process of a task says of each conversation it had, in order.
///
/// The status line is called after every answer. Where a process ended a conversation in good order,
/// the transcript has a last word on it, and the next process goes on from there: what the status
/// line shows at the start may be lost where the machine is busy.
pub fn by_claude(run_dir: &Path, config: &Path) -> Vec<(String, Totals)> {
    let mut processes = Vec::new();
    for attempt in 1.. {
        let dir = run_dir.join(format!("a{attempt}"));
        let Ok(text) = fs::read_to_string(dir.join("status.jsonl")) else { break };
        let since = fs::metadata(dir.join("settings.json")).unwrap().modified().unwrap();
        let since = since.duration_since(UNIX_EPOCH).unwrap().as_millis();
        let since = Timestamp(i64::try_from(since).unwrap()).rfc3339();
        for (conversation, mut totals) in shown(&text) {
            let words = saved(config, &conversation);
            let before = words.iter().rfind(|it| it.0 < since);
            totals.first = totals.first.min(before.map_or(Usd::ZERO, |it| it.1));
            processes.push((conversation, totals));
        }
    }
    let conversations: BTreeSet<String> = processes.iter().map(|it| it.0.clone()).collect();
    for conversation in conversations {
        let mut words = saved(config, &conversation).into_iter().map(|it| it.1);
        let of: Vec<usize> =
            (0..processes.len()).filter(|it| processes[*it].0 == conversation).collect();
        for (nth, at) in of.iter().enumerate() {
            let next = of.get(nth + 1).map(|it| processes[*it].1.first);
            let last = processes[*at].1.last;
            let mut rest = words.clone();
            if let Some(word) = rest.find(|it| last <= *it && next.is_none_or(|next| next == *it)) {
                processes[*at].1.last = word;
                words = rest;
            }
        }
    }
    processes
}

/// Returns what is spent by Claude's word.
pub fn sum(processes: &[(String, Totals)]) -> Usd {
    processes.iter().map(|(_, it)| it.last - it.first).sum()
}

/// Returns the lowest and the highest total that a status line was told, by conversation.
fn shown(text: &str) -> Vec<(String, Totals)> {
    let mut out: Vec<(String, Totals)> = Vec::new();
    for line in text.lines() {
        // Claude was killed before it had told the line, or half of it.
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        // Parhelia's own word.
        if line["began"] == true {
            continue;
        }
        let total = Usd::from_dollars(line["cost"]["total_cost_usd"].as_f64().unwrap()).unwrap();
        let conversation = line["session_id"].as_str().unwrap();
        match out.iter_mut().find(|it| it.0 == conversation) {
            // Of two lines at once the older may be taken down last.
            Some((_, it)) => (it.first, it.last) = (it.first.min(total), it.last.max(total)),
            None => out.push((conversation.to_owned(), Totals { first: total, last: total })),
        }
    }
    out
}

/// Returns the totals that were written to a conversation's transcript when it was ended, each with
/// when the line before it was written.
fn saved(config: &Path, conversation: &str) -> Vec<(String, Usd)> {
    let mut out = Vec::new();
    for path in transcripts(config, conversation) {
        let mut written = String::new();
        for line in fs::read_to_string(path).unwrap().lines() {
            let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
            if let Some(time) = line["timestamp"].as_str() {
                time.clone_into(&mut written);
            }
            if line["type"] == "cost-state" && line["sessionId"] == conversation {
                let total = Usd::from_dollars(line["totalCostUSD"].as_f64().unwrap()).unwrap();
                out.push((written.clone(), total));
            }
        }
    }
    out
}

/// Returns how many answers are in transcripts.
pub fn answers(config: &Path) -> usize {
    let projects = fs::read_dir(config.join("projects")).into_iter().flatten().flatten();
    let files = projects.flat_map(|it| fs::read_dir(it.path()).into_iter().flatten().flatten());
    let texts = files.filter_map(|it| fs::read_to_string(it.path()).ok());
    let mut found = BTreeSet::new();
    for text in texts {
        let lines = text.lines().filter_map(|it| serde_json::from_str::<Value>(it).ok());
        let answers = lines.filter(|it| it["type"] == "assistant");
        found.extend(answers.filter_map(|it| Some(it["message"]["id"].as_str()?.to_owned())));
    }
    found.len()
}

/// Tells whether an answer is in the transcript of a conversation.
pub fn has_answered(config: &Path, conversation: &str) -> bool {
    let texts = transcripts(config, conversation).into_iter().map(fs::read_to_string);
    texts.flatten().any(|it| it.lines().any(|it| it.contains(r#""type":"assistant""#)))
}

fn transcripts(config: &Path, conversation: &str) -> Vec<PathBuf> {
    let projects = fs::read_dir(config.join("projects")).into_iter().flatten().flatten();
    let each = projects.map(|it| it.path().join(format!("{conversation}.jsonl")));
    each.filter(|it| it.exists()).collect()
}

/// What the store holds of a task's cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The sum of its entries for models.
    pub model: Usd,
    /// The sum of all its entries.
    pub all: Usd,
}

/// Returns the ledger's sums by task; the dispatcher must have ended.
pub fn ledgers(sandbox: &Sandbox) -> BTreeMap<String, Ledger> {
    let store: Connection = dispatcher::store(sandbox);
    let mut query = store.prepare("SELECT task, kind, amount FROM ledger").unwrap();
    let rows = query.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
    });
    let mut out: BTreeMap<String, Ledger> = BTreeMap::new();
    for (task, kind, amount) in rows.unwrap().map(Result::unwrap) {
        let ledger = out.entry(task).or_default();
        ledger.all = ledger.all + Usd(amount);
        if kind == "model" {
            ledger.model = ledger.model + Usd(amount);
        }
    }
    out
}
