//! `task show`: everything about one task.

use crate::{
    api::{
        budget::{SourcesView, TaskCosts},
        types::Why,
        view::TaskView,
    },
    cli::{
        args::task::Show,
        context::Context,
        out::Done,
        paint::Paint,
        view::{FIELD_MAX, dollars, pad, painted, telling, word},
    },
    domain::{
        activity::Activity,
        ledger::{CostKind, Source},
    },
    stdx::{
        text::one_line,
        time::{Clock, SystemClock, Timestamp, short},
    },
};

/// Shows a task, or a part of it.
pub async fn show(context: &Context, args: &Show) -> Done {
    let client = context.client().await?;
    let out = &context.out;
    let now = SystemClock.now();
    if args.prompt {
        let text = client.prompt_text(&args.id).await?;
        match out.json {
            true => out.json(&serde_json::json!({ "prompt": text }))?,
            false => out.foreign(&text)?,
        }
    } else if args.answer {
        let text = client.answer_text(&args.id).await?;
        match text {
            text if out.json => out.json(&serde_json::json!({ "answer": text }))?,
            Some(text) => out.foreign(&text)?,
            None => out.note("No final answer is kept."),
        }
    } else if args.why {
        let why = client.why(&args.id).await?;
        match out.json {
            true => out.json(&why)?,
            false => out.line(&evidence(&why, now, out.paint))?,
        }
    } else {
        let task = client.task(&args.id).await?;
        let costs = client.task_costs(&task.id).await?;
        match out.json {
            true => out.json(&WithCosts { task: &task, costs: &costs })?,
            false => out.line(&card(&task, Some(&costs), now, out.paint))?,
        }
    }
    Ok(0)
}

/// A task as JSON, with what it cost and why.
#[derive(serde::Serialize)]
struct WithCosts<'a> {
    #[serde(flatten)]
    task: &'a TaskView,
    costs: &'a TaskCosts,
}

/// Returns a task's card: one fact a line, so that `grep` finds it.
pub fn card(task: &TaskView, costs: Option<&TaskCosts>, now: Timestamp, paint: Paint) -> String {
    let mut facts = Facts::new(paint);
    let ago = |at: Timestamp| format!("{} ago", short(now.since(at)));
    facts.raw("task", &paint.bold(&one_line(&task.id, FIELD_MAX)));
    facts.add("name", &task.name);
    let state = one_line(&task.state, 40);
    facts.raw(
        "state",
        &format!("{} for {}", painted(task, paint, &state), short(now.since(task.since))),
    );
    facts.maybe("reason", task.reason.as_deref());
    if let Some(since) = task.activity_since {
        let what = task.activity.map_or("unknown", Activity::as_str);
        let long = short(now.since(since));
        facts.raw("activity", &format!("{} for {long}", painted(task, paint, what)));
    }
    facts.maybe("because", task.because.as_deref());
    for ask in &task.asks {
        let mut text = format!("{}: {} {} ({})", ask.kind, ask.tool, ask.summary, ask.id);
        for (at, option) in ask.options.iter().enumerate() {
            text.push_str(&format!("  {}) {option}", at + 1));
        }
        facts.add("asks", &text);
    }
    facts.add("last", &task.last);
    facts.add("prompt", &format!("{} ({} bytes)", one_line(&task.prompt, 100), task.prompt_bytes));
    facts.raw("created", &format!("{} ({})", task.created_at, ago(task.created_at)));
    facts.add("type", &task.kind);
    facts.raw("priority", &task.priority.to_string());
    places(&mut facts, task);
    needs(&mut facts, task);
    money(&mut facts, task, costs);
    facts.text.trim_end().to_owned()
}

fn places(facts: &mut Facts, task: &TaskView) {
    facts.maybe("provider", task.provider.as_deref());
    facts.maybe("worker", task.worker.as_deref());
    facts.maybe("session", task.session.as_deref());
    if task.reachable == Some(false) {
        facts.add("contact", "the host does not answer");
    }
    facts.raw("attempts", &task.attempts.to_string());
    facts.add("source", &task.source);
    facts.maybe("workspace", task.workspace.as_deref());
    facts.maybe("branch", task.branch.as_deref());
    facts.add("isolation", &task.isolation);
    facts.maybe("run dir", task.run_dir.as_deref());
    facts.maybe("conversation", task.conversation.as_deref());
}

fn needs(facts: &mut Facts, task: &TaskView) {
    let limit = |seconds: Option<u64>| {
        seconds.map_or_else(|| "none".into(), |it| short(std::time::Duration::from_secs(it)))
    };
    facts.add("permissions", &task.permission_mode);
    facts.add("model", task.model.as_deref().unwrap_or("Claude's default"));
    facts.add("gpu", task.gpu.as_deref().unwrap_or("none"));
    facts.raw("memory", &task.memory_gb.map_or_else(|| "any".into(), |it| format!("{it} GB")));
    facts.raw("cpu", &task.cpu.map_or_else(|| "any".into(), |it| it.to_string()));
    facts.raw("timeout", &limit(task.timeout_seconds));
    facts.raw("idle timeout", &limit(task.idle_timeout_seconds));
    facts.raw("interactive", if task.interactive { "yes" } else { "no" });
    if !task.env.is_empty() {
        facts.add("env", &task.env.join(" "));
    }
}

fn money(facts: &mut Facts, task: &TaskView, costs: Option<&TaskCosts>) {
    let ceiling = task.max_cost_usd.map(|it| format!(" of {}", dollars(it))).unwrap_or_default();
    // What is open of a worker's time is in the costs and not in the task.
    let spent = costs.map_or(task.cost_usd, |it| it.total.total_usd);
    let said = costs.and_then(|it| said_by(&it.total.sources));
    let said = said.unwrap_or_else(|| task.cost_source.clone());
    facts.add("cost", &format!("{}{ceiling} ({said})", dollars(spent)));
    if let Some(costs) = costs {
        breakdown(facts, costs);
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
    facts.raw("turns", &format!("{}{}", task.turns, context.unwrap_or_default()));
    facts.raw("lines", &format!("+{} -{}", task.lines_added, task.lines_removed));
    if let Some(bytes) = task.answer_bytes {
        facts.raw(
            "answer",
            &format!("{bytes} bytes: task show {} --answer", one_line(&task.id, 40)),
        );
    }
}

/// Returns who says so; nothing of what costs nothing.
fn said_by(sources: &SourcesView) -> Option<String> {
    let parts = [
        (sources.reported_usd, Source::Reported),
        (sources.metered_usd, Source::Metered),
        (sources.estimated_usd, Source::Estimated),
    ];
    let told: Vec<&str> = parts.iter().filter(|it| it.0 != 0.0).map(|it| it.1.as_str()).collect();
    (!told.is_empty()).then(|| told.join("+"))
}

/// Says what the cost consists of.
fn breakdown(facts: &mut Facts, costs: &TaskCosts) {
    for it in &costs.lines {
        let unit = match it.kind {
            CostKind::Model => "",
            CostKind::Cpu => "core or machine hours",
            CostKind::Memory => "GiB hours",
            CostKind::Gpu => "GPU hours",
        };
        let time = match it.hours {
            hours if hours <= 0.0 => String::new(),
            hours => format!(": {hours:.3} {unit} at {}", dollars(it.usd / hours)),
        };
        facts.raw(&format!("  {}", it.kind), &format!("{} {}{time}", dollars(it.usd), it.source));
    }
    if costs.compute_usd_per_hour != 0.0 {
        facts.raw("  worker", &format!("{} per hour now", dollars(costs.compute_usd_per_hour)));
    }
    if costs.reserved_usd != 0.0 {
        facts.raw("  reserved", &format!("{} beyond that", dollars(costs.reserved_usd)));
    }
}

/// Returns what speaks for a task's activity.
fn evidence(why: &Why, now: Timestamp, paint: Paint) -> String {
    let task = &why.task;
    let mut text = format!(
        "{} {}: {}",
        paint.bold(&one_line(&task.id, 40)),
        painted(task, paint, &word(task)),
        one_line(task.because.as_deref().unwrap_or(&telling(task)), FIELD_MAX),
    );
    for witness in &why.evidence {
        text.push_str(&format!(
            "\n  {:>5} ago  {}  {}",
            short(now.since(witness.at)),
            pad(&one_line(&witness.source, 20), 10),
            one_line(&witness.says, FIELD_MAX),
        ));
    }
    if why.evidence.is_empty() {
        text.push_str("\n  no evidence: it has no session");
    }
    text
}

/// Lines of a name and a value.
pub struct Facts {
    text: String,
    paint: Paint,
}

impl Facts {
    /// Creates an empty list.
    pub fn new(paint: Paint) -> Facts {
        Facts { text: String::new(), paint }
    }

    /// Adds a value from outside; an empty one is left out.
    pub fn add(&mut self, name: &str, value: &str) {
        let value = one_line(value, FIELD_MAX);
        if !value.is_empty() {
            self.raw(name, &value);
        }
    }

    /// Adds a value from outside, if there is one.
    pub fn maybe(&mut self, name: &str, value: Option<&str>) {
        self.add(name, value.unwrap_or_default());
    }

    /// Adds a value made here, colours and all.
    pub fn raw(&mut self, name: &str, value: &str) {
        self.text.push_str(&format!("{} {value}\n", self.paint.dim(&pad(name, 13))));
    }

    /// Returns the lines.
    pub fn text(&self) -> &str {
        self.text.trim_end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{
            budget::{CostLine, CostRow},
            types::Witness,
        },
        cli::view::tests::{asking, sample},
    };

    #[test]
    fn a_card_has_a_fact_a_line() {
        let line = |kind, source, hours, usd| CostLine { kind, source, hours, usd };
        let costs = TaskCosts {
            total: CostRow { total_usd: 1.06, ..CostRow::default() },
            lines: vec![
                line(CostKind::Model, Source::Reported, 0.0, 0.31),
                line(CostKind::Cpu, Source::Metered, 1.5, 0.75),
            ],
            reserved_usd: 0.69,
            compute_usd_per_hour: 0.5,
            ..TaskCosts::default()
        };
        let card = card(&sample(), Some(&costs), Timestamp(3_780_000), Paint { on: false });
        insta::assert_snapshot!(card, @r"
        task          task-abcd2345
        name          fix the race
        state         RUNNING for 1h01
        activity      working for 1h01
        because       the registry says busy
        last          Bash cargo test
        prompt        fix the race in auth (20 bytes)
        created       1970-01-01T00:01:00.000Z (1h02 ago)
        type          generic
        priority      0
        provider      local
        worker        worker-abcd2345
        session       ph-task-abcd2345
        attempts      1
        source        /src
        workspace     /runs/task-abcd2345/workspace
        branch        parhelia/task-abcd2345
        isolation     worktree
        run dir       /runs/task-abcd2345
        permissions   auto
        model         Claude's default
        gpu           none
        memory        any
        cpu           any
        timeout       4h00
        idle timeout  none
        interactive   no
        cost          $1.06 (reported)
          model       $0.31 reported
          cpu         $0.75 metered: 1.500 core or machine hours at $0.50
          worker      $0.50 per hour now
          reserved    $0.69 beyond that
        tokens        0 in, 0 out, 0 cache read, 0 cache write (estimated)
        turns         1, context 12% full
        lines         +4 -2
        ");
    }

    #[test]
    fn the_evidence_is_told_newest_first() {
        let why = Why {
            task: asking(),
            evidence: vec![Witness {
                source: "hook".into(),
                at: Timestamp(62_000),
                says: "PermissionRequest Bash rm -rf build/".into(),
            }],
        };
        insta::assert_snapshot!(evidence(&why, Timestamp(65_000), Paint { on: false }), @r"
        task-abcd2345 needs-permission: the registry says busy
             3s ago  hook        PermissionRequest Bash rm -rf build/
        ");
    }
}
