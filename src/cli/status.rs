//! `status`: how all is.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    api::{
        error::ErrorKind,
        types::{ProviderStatus, Spend, Status},
    },
    cli::{
        context::Context,
        out::{Done, render_error},
        paint::Paint,
        show::Facts,
        start,
        view::{dollars, size},
    },
    stdx::{
        text::one_line,
        time::{Clock, SystemClock, Timestamp, short},
    },
};

/// Shows how all is. What this command can tell by itself it tells even if no dispatcher can be
/// started, and exits with 5 then.
pub async fn status(context: &Context) -> Done {
    let out = &context.out;
    let answer = match context.client().await {
        Ok(client) => client.status().await,
        Err(it) => Err(it),
    };
    match answer {
        Ok(mut status) => {
            // A project's file counts for commands here and not for the dispatcher.
            let here = context.setup.problem_lines();
            let told = |it: &String| status.config_problems.contains(it);
            let new: Vec<String> = here.into_iter().filter(|it| !told(it)).collect();
            status.config_problems.extend(new);
            match out.json {
                true => out.json(&status)?,
                false => out.line(&render(&status, SystemClock.now(), out.paint))?,
            }
        }
        Err(error) if out.json => {
            out.json(&serde_json::json!({
                "dispatcher": null,
                "error": error,
                "config_problems": context.setup.problem_lines(),
            }))?;
            return Ok(ErrorKind::Dispatcher.exit_code());
        }
        Err(error) => {
            let mut facts = Facts::new(out.paint);
            let problems = context.setup.problem_lines();
            configuration(&mut facts, None, &problems, out.paint);
            let running = matches!(start::connect_running(&context.setup).await, Ok(Some(_)));
            let word = if running { "running, but not usable" } else { "not running" };
            facts.raw("dispatcher", &out.paint.red(word));
            out.line(facts.text())?;
            out.line(&render_error(&error, out.paint))?;
            return Ok(ErrorKind::Dispatcher.exit_code());
        }
    }
    Ok(0)
}

/// Returns the status as a person reads it.
fn render(status: &Status, now: Timestamp, paint: Paint) -> String {
    let mut facts = Facts::new(paint);
    configuration(&mut facts, status.config_file.as_deref(), &status.config_problems, paint);
    let it = &status.dispatcher;
    let memory = status.memory_bytes.map(|it| format!(", {}", bytes(it))).unwrap_or_default();
    facts.add(
        "dispatcher",
        &format!("{}, pid {}, up {}{memory}", it.version, it.pid, short(now.since(it.started_at))),
    );
    facts.add("state", &it.state_dir);
    facts.add("tasks", &tasks(&status.tasks));
    match status.needs_you {
        0 => facts.raw("needs you", "nothing"),
        n => facts
            .raw("needs you", &paint.yellow(&format!("! {n} (parhelia list --status needs-you)"))),
    }
    facts.raw("spend", &spending(&status.spend, paint));
    for provider in &status.providers {
        facts.raw("provider", &provider_line(provider, paint));
    }
    facts.raw(
        "disk",
        &format!("{} free of {}", bytes(status.disk.free_bytes), bytes(status.disk.total_bytes)),
    );
    facts.raw("checkpoints", &format!("{} kept", size(status.checkpoint_bytes)));
    for hint in &status.hints {
        facts.add("hint", hint);
    }
    facts.text().to_owned()
}

/// Returns what was spent of what may be.
fn spending(spend: &Spend, paint: Paint) -> String {
    let of = |spent: f64, ceiling: Option<f64>| {
        let Some(ceiling) = ceiling else { return dollars(spent) };
        let text = format!("{} of {}", dollars(spent), dollars(ceiling));
        match spent {
            _ if ceiling <= spent => paint.red(&text),
            _ if ceiling * spend.warning_threshold <= spent => paint.yellow(&text),
            _ => text,
        }
    };
    let day = of(spend.last_day_usd, spend.daily_ceiling_usd);
    let total = of(spend.total_usd, Some(spend.ceiling_usd).filter(|it| 0.0 < *it));
    format!("{day} today, {total} in all")
}

/// States in the order of a task's life; others come after them.
const LIFE: [&str; 9] = [
    "CREATED",
    "PENDING",
    "DISPATCHED",
    "RUNNING",
    "COMPLETED",
    "FAILED",
    "KILLED",
    "PARKED",
    "DISPATCH_FAILED",
];

/// Returns how many tasks are in which state.
fn tasks(counts: &BTreeMap<String, usize>) -> String {
    let place = |state: &str| LIFE.iter().position(|it| *it == state).unwrap_or(LIFE.len());
    let mut counts: Vec<(&String, &usize)> = counts.iter().collect();
    counts.sort_by_key(|(state, _)| place(state));
    let shown: Vec<String> =
        counts.iter().map(|(state, n)| format!("{n} {}", state.to_lowercase())).collect();
    if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
}

fn configuration(facts: &mut Facts, file: Option<&str>, problems: &[String], paint: Paint) {
    if problems.is_empty() {
        let file = file.map_or_else(|| "defaults, no file".into(), |it| one_line(it, 300));
        facts.raw("configuration", &format!("{} ({file})", paint.green("valid")));
        return;
    }
    facts.raw("configuration", &paint.red(&format!("wrong ({})", problems.len())));
    for problem in problems {
        facts.add("", problem);
    }
}

fn provider_line(provider: &ProviderStatus, paint: Paint) -> String {
    let reachable = match (provider.reachable, &provider.detail) {
        (true, _) => paint.green("reachable"),
        (false, Some(why)) => paint.red(&format!("~ unreachable: {}", one_line(why, 200))),
        (false, None) => paint.red("~ unreachable"),
    };
    let mut versions = String::new();
    for (tool, version) in &provider.versions {
        let version = match version {
            Some(it) => one_line(it, 40),
            None => paint.red("missing"),
        };
        versions.push_str(&format!(", {} {version}", one_line(tool, 20)));
    }
    let price = match provider.price_per_hour_usd {
        0.0 => String::new(),
        it => format!(", {}/h", dollars(it)),
    };
    format!(
        "{}: {reachable}, {} of {} in use{price}{versions}",
        one_line(&provider.name, 60),
        provider.in_use,
        provider.slots
    )
}

/// Returns an amount of bytes in the unit that reads best.
fn bytes(amount: u64) -> String {
    const MIB: u64 = 1 << 20;
    match amount {
        0..MIB => format!("{} KiB", amount >> 10),
        _ if amount < 10 << 30 => format!("{} MiB", amount / MIB),
        _ => format!("{} GiB", amount >> 30),
    }
}

/// Returns how long a process has been up, for `daemon status`.
pub fn uptime(since: Timestamp, now: Timestamp) -> String {
    short(now.since(since).max(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::{Disk, VersionInfo};

    #[test]
    fn the_status_is_a_fact_a_line() {
        let status = Status {
            dispatcher: VersionInfo {
                version: "0.1.0".into(),
                revision: 1,
                pid: 4242,
                started_at: Timestamp(0),
                state_dir: "/state".into(),
            },
            config_file: Some("/etc/parhelia.toml".into()),
            config_problems: vec!["parhelia.toml:3:1: unknown key".into()],
            tasks: BTreeMap::from([("PENDING".into(), 1), ("RUNNING".into(), 4)]),
            needs_you: 2,
            spend: Spend {
                total_usd: 12.5,
                last_day_usd: 0.31,
                ceiling_usd: 50.0,
                warning_threshold: 0.8,
                ..Spend::default()
            },
            providers: vec![ProviderStatus {
                name: "local".into(),
                reachable: true,
                detail: None,
                slots: 4,
                in_use: 4,
                versions: BTreeMap::from([
                    ("claude".into(), None),
                    ("tmux".into(), Some("3.4".into())),
                ]),
                login: Some(true),
                login_by: None,
                first_run: None,
                price_per_hour_usd: 0.0,
            }],
            disk: Disk { free_bytes: 5 << 30, total_bytes: 100 << 30 },
            checkpoint_bytes: 3 << 20,
            memory_bytes: Some(18 << 20),
            hints: vec!["install claude: npm install -g @anthropic-ai/claude-code".into()],
        };
        let shown = render(&status, Timestamp(3_720_000), Paint { on: false });
        insta::assert_snapshot!(shown, @r"
        configuration wrong (1)
                      parhelia.toml:3:1: unknown key
        dispatcher    0.1.0, pid 4242, up 1h02, 18 MiB
        state         /state
        tasks         1 pending, 4 running
        needs you     ! 2 (parhelia list --status needs-you)
        spend         $0.31 today, $12.50 of $50.00 in all
        provider      local: reachable, 4 of 4 in use, claude missing, tmux 3.4
        disk          5120 MiB free of 100 GiB
        checkpoints   3.0 MiB kept
        hint          install claude: npm install -g @anthropic-ai/claude-code
        ");
    }

    #[test]
    fn spending_is_told_against_what_is_set() {
        let spend = Spend {
            total_usd: 40.0,
            last_day_usd: 5.0,
            ceiling_usd: 50.0,
            daily_ceiling_usd: Some(5.0),
            warning_threshold: 0.8,
            ceiling_enforced: true,
        };
        let paint = Paint { on: true };
        assert_eq!(
            spending(&spend, paint),
            format!(
                "{} today, {} in all",
                paint.red("$5.00 of $5.00"),
                paint.yellow("$40.00 of $50.00")
            )
        );
    }
}
