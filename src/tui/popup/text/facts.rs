//! Every fact about a task, in groups, as `parhelia task show` has them.

use std::time::Duration;

use crate::{
    api::view::TaskView,
    stdx::{
        text::one_line,
        time::{Timestamp, short},
    },
    tui::{model::Shared, money, popup::text::Row, theme::Role, words},
};

/// The most characters of one fact.
const FACT_MAX: usize = 1000;

/// Returns a line for each fact, and one before each group; and where among them what the cost is
/// made of is put once it is known.
pub fn rows(task: &TaskView, shared: &Shared) -> (Vec<Row>, usize) {
    let mut facts = Facts { rows: Vec::new(), shared };
    state(&mut facts, task);
    place(&mut facts, task);
    needs(&mut facts, task);
    let costs = money(&mut facts, task);
    (facts.rows, costs)
}

struct Facts<'a> {
    rows: Vec<Row>,
    shared: &'a Shared,
}

impl Facts<'_> {
    fn group(&mut self, name: &str) {
        if !self.rows.is_empty() {
            self.rows.push(Row::default());
        }
        self.rows.push(Row::new(Some(Role::Title), name));
    }

    fn add(&mut self, name: &str, value: &str) {
        let value = one_line(value, FACT_MAX);
        if !value.is_empty() {
            self.rows.push(Row::fact(name, &value));
        }
    }

    fn maybe(&mut self, name: &str, value: Option<&str>) {
        self.add(name, value.unwrap_or_default());
    }

    /// Returns when a moment was, and how long ago that is.
    fn since(&self, at: Timestamp) -> String {
        let (now, offset) = (self.shared.now, self.shared.facts.utc_offset_ms);
        format!("since {} ({})", words::clock(at, now, offset), short(now.since(at)))
    }
}

fn state(facts: &mut Facts<'_>, task: &TaskView) {
    facts.group("Task");
    facts.add("id", &task.id);
    facts.add("name", &task.name);
    facts.add("state", &format!("{} {}", task.state, facts.since(task.since)));
    facts.maybe("reason", task.reason.as_deref());
    if let (Some(activity), Some(since)) = (task.activity, task.activity_since) {
        facts.add("activity", &format!("{} {}", activity.as_str(), facts.since(since)));
    }
    facts.maybe("because", task.because.as_deref());
    for ask in &task.asks {
        let mut text = format!("{}: {} {}", ask.kind, ask.tool, ask.summary);
        for (at, option) in ask.options.iter().enumerate() {
            text.push_str(&format!("  {}) {option}", at + 1));
        }
        facts.add("asks", &text);
    }
    facts.add("last", &task.last);
    facts.add("prompt", &format!("{} ({} bytes)", task.prompt, task.prompt_bytes));
    facts.add("created", &facts.since(task.created_at));
    facts.add("type", &task.kind);
    facts.add("priority", &task.priority.to_string());
}

fn place(facts: &mut Facts<'_>, task: &TaskView) {
    facts.group("Place");
    facts.maybe("provider", task.provider.as_deref());
    facts.maybe("worker", task.worker.as_deref());
    facts.maybe("session", task.session.as_deref());
    if task.reachable == Some(false) {
        facts.add("contact", "the host does not answer");
    }
    facts.add("viewers", &task.viewers.to_string());
    facts.add("attempts", &task.attempts.to_string());
    facts.add("source", &task.source);
    facts.maybe("workspace", task.workspace.as_deref());
    facts.maybe("branch", task.branch.as_deref());
    facts.add("isolation", &task.isolation);
    facts.maybe("run dir", task.run_dir.as_deref());
    facts.maybe("conversation", task.conversation.as_deref());
    let offset = facts.shared.facts.utc_offset_ms;
    if let Some(last) = words::last_checkpoint(task, facts.shared.now, offset) {
        facts.add("checkpoints", &format!("{}, the last {last}", task.checkpoints));
    }
    facts.maybe("not saved", task.checkpoint_failed.as_deref());
    facts.maybe("forked from", task.forked_from.as_deref());
}

fn needs(facts: &mut Facts<'_>, task: &TaskView) {
    let limit = |seconds: Option<u64>| {
        seconds.map_or_else(|| "none".to_owned(), |it| short(Duration::from_secs(it)))
    };
    facts.group("Runs with");
    facts.add("permissions", &task.permission_mode);
    facts.add("model", task.model.as_deref().unwrap_or("Claude's default"));
    facts.add("gpu", task.gpu.as_deref().unwrap_or("none"));
    facts.add("memory", &task.memory_gb.map_or_else(|| "any".to_owned(), |it| format!("{it} GB")));
    facts.add("cpu", &task.cpu.map_or_else(|| "any".to_owned(), |it| it.to_string()));
    facts.add("timeout", &limit(task.timeout_seconds));
    facts.add("idle timeout", &limit(task.idle_timeout_seconds));
    facts.add("interactive", if task.interactive { "yes" } else { "no" });
    facts.add("env", &task.env.join(" "));
}

fn money(facts: &mut Facts<'_>, task: &TaskView) -> usize {
    facts.group("Cost");
    let most = task.max_cost_usd.map(|it| format!(" of ${it:.2}")).unwrap_or_default();
    let cost = money::cost(task, facts.shared.now);
    facts.add("cost", &format!("${cost:.2}{most} ({})", task.cost_source));
    let costs = facts.rows.len();
    if 0.0 < task.compute_usd_per_hour {
        facts.add("worker", &format!("${:.2} per hour now", task.compute_usd_per_hour));
    }
    let tokens = &task.tokens;
    facts.add(
        "tokens",
        &format!(
            "{} in, {} out, {} cache read, {} cache write ({})",
            tokens.input, tokens.output, tokens.cache_read, tokens.cache_write, tokens.source
        ),
    );
    let context = task.context_percent.map(|it| format!(", context {it}% full"));
    facts.add("turns", &format!("{}{}", task.turns, context.unwrap_or_default()));
    facts.add("lines", &format!("+{} -{}", task.lines_added, task.lines_removed));
    facts.maybe("answer", task.answer_bytes.map(|it| format!("{it} bytes kept")).as_deref());
    costs
}
