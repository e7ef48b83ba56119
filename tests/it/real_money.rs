//! The ledger agrees with the real Claude Code to the micro-dollar, whatever becomes of a session.
//!
//! Sessions of every kind run against an API whose answers each use a known number of tokens. Three
//! accounts are compared for each: what the API's answers cost by their prices, what Claude Code
//! said in each of its processes ([`crate::support::bill`]), and the ledger. The ledger must be
//! what Claude said; and Claude must have said all that the API answered, unless it was killed or
//! nobody can tell ([`Said`]).
//!
//! `PARHELIA_SESSIONS=50` runs so many instead of one of each kind, `PARHELIA_KIND` those whose name
//! holds it; `--no-capture` shows the table.

use std::{
    collections::VecDeque,
    env,
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt as _,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
    thread,
    time::Duration,
};

use parhelia::{
    api::{
        checkpoints::{Fork, Resume},
        types::{CreateTask, Unpark},
    },
    domain::usd::Usd,
};
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{
    bill, dispatcher,
    ground::bash,
    random::Random,
    spender::{LONG, Spender},
    wait::wait,
};

/// Sessions at once: each takes 260 MB and most of a core while it starts.
const AT_ONCE: usize = 4;

/// A kind of session: its name, what happens in it, and whether Claude says all that it costs.
type Kind = (&'static str, fn(&mut Spender), Said);

/// Whether Claude says all that the API answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    All,
    /// That, and as far as it was told those it left in the middle of.
    AllAndBegun,
    /// It was killed before it could.
    Some,
    /// Nobody can tell: what a cut stream costs shows in the API's account or not, as it happens.
    Untold,
}

const KINDS: &[Kind] = &[
    ("one turn", one_turn, Said::All),
    ("many turns", many_turns, Said::All),
    ("tools", tools, Said::All),
    ("tools in parallel", tools_in_parallel, Said::All),
    ("subagents", subagents, Said::All),
    ("/compact", compact, Said::All),
    ("errors and retries", errors, Said::All),
    ("streams cut", streams_cut, Said::Untold),
    ("/clear", clear, Said::All),
    ("interrupted", interrupted, Said::AllAndBegun),
    ("resumed after its end", resumed_after_end, Said::All),
    ("resumed after kill -9", resumed_after_kill, Said::Some),
    ("tmux killed", tmux_killed, Said::All),
    ("dispatcher kill -9", dispatcher_killed, Said::All),
    ("both kill -9", both_killed, Said::All),
    ("fork", fork, Said::All),
    ("retried fresh", retried_fresh, Said::All),
    ("from the vault", from_the_vault, Said::All),
    ("parked, unparked", parked, Said::All),
    ("/branch", branch, Said::All),
    ("/resume", resume_inside, Said::All),
    ("/tui", tui, Said::All),
    ("late status lines", late_lines, Said::All),
];

fn text() -> Value {
    json!({ "text": "Some words." })
}

fn one_turn(it: &mut Spender) {
    let prompt = it.prompt(&[text()]);
    it.create(CreateTask { prompt, ..CreateTask::default() });
    it.rests(1);
}

fn many_turns(it: &mut Spender) {
    it.begin(&[text()]);
    for turns in 1..6 {
        it.rests(turns);
        it.say(&[text()]);
    }
    it.rests(6);
}

fn tools(it: &mut Spender) {
    let mut steps: Vec<Value> = (0..8).map(|n| bash(&format!("echo {n} >>out.txt"))).collect();
    steps.push(text());
    it.begin(&steps);
    it.rests(1);
}

fn tools_in_parallel(it: &mut Spender) {
    let call = |n: u32| json!(["Bash", { "command": format!("echo {n}"), "description": "Say" }]);
    let calls = || json!({ "tools": [call(1), call(2), call(3)] });
    it.begin(&[calls(), calls(), calls(), text()]);
    it.rests(1);
}

fn subagents(it: &mut Spender) {
    let agent = |more: Value| {
        let mut input = json!({
            "description": "Help", "prompt": "SCENARIO:bash", "subagent_type": "general-purpose",
        });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!(["Agent", input])
    };
    let both = json!({ "tools": [agent(json!({})), agent(json!({ "model": "haiku" }))] });
    it.begin(&[both, text()]);
    let ended = |it: &Spender| it.events().iter().filter(|it| it.contains("ubagent")).count();
    let told = || (4 <= ended(it)).then_some(());
    it.find("both subagents to end", told);
    it.rests(2);
}

fn compact(it: &mut Spender) {
    it.begin(&[bash("echo 1"), text()]);
    it.rests(1);
    it.say_plainly("/compact");
    it.hears("compacted");
    it.rests(1);
    it.say(&[text()]);
    it.rests(2);
}

/// Fails once, then does `step`.
fn once(it: &mut Spender, fault: Value, step: Value) -> Value {
    let mut out = fault;
    out["times"] = json!(1);
    out["then"] = it.costs(step);
    out
}

fn errors(it: &mut Spender) {
    let overloaded = once(it, json!({ "error": 529 }), bash("echo 1"));
    let limited = once(it, json!({ "error": 429, "retry_after": "1" }), bash("echo 2"));
    let broken = once(it, json!({ "error": 500 }), text());
    it.begin(&[overloaded, limited, broken]);
    it.rests(1);
    it.say(&[json!({ "error": 400 })]);
    it.hears("400");
    it.say(&[text()]);
    it.rests(2);
}

fn streams_cut(it: &mut Spender) {
    let words = "one two three four five six";
    let cut = once(it, json!({ "text": words, "drop": true }), bash("echo 1"));
    it.begin(&[cut, text()]);
    it.rests(1);
    it.say(&[json!({ "text": words, "stream_error": ["overloaded_error", "Overloaded"] })]);
    it.rests(2);
}

fn clear(it: &mut Spender) {
    it.begin(&[text()]);
    let before = it.rests(1).conversation;
    it.say_plainly("/clear");
    it.until("another conversation", |it| it.conversation != before);
    it.say(&[bash("echo 1"), text()]);
    it.rests(2);
}

fn interrupted(it: &mut Spender) {
    it.begin(&[text()]);
    it.rests(1);
    it.say(&[json!({ "text": "a b c", "gate": "cut", "gate_after_words": 1 })]);
    it.sandbox.api.wait_held("cut", LONG);
    it.caller.wait(it.caller.client.interrupt(&it.id)).unwrap();
    it.rests(1);
    it.say(&[text()]);
    it.rests(2);
}

fn resumed_after_end(it: &mut Spender) {
    it.begin(&[text()]);
    it.rests(1);
    it.stop();
    it.retry(true, &[text()]);
    it.rests(2);
    it.exit();
    it.retry(true, &[bash("echo 1"), text()]);
    it.rests(3);
}

fn resumed_after_kill(it: &mut Spender) {
    it.begin(&[text()]);
    it.rests(1);
    it.kill_claude();
    it.retry(true, &[text()]);
    it.rests(2);
    it.exit();
    it.retry(true, &[text()]);
    it.rests(3);
    // With an answer under way, which no status line ever tells of.
    it.say(&[bash("echo 1"), json!({ "text": "a b c", "gate": "mid", "gate_after_words": 1 })]);
    it.sandbox.api.wait_held("mid", LONG);
    it.kill_at_work();
    it.sandbox.api.open("mid");
    it.retry(true, &[text()]);
    it.rests(4);
}

fn tmux_killed(it: &mut Spender) {
    it.begin(&[text()]);
    it.rests(1);
    it.tmux(&["kill-server"]);
    it.ended();
    it.retry(true, &[text()]);
    it.rests(2);
}

fn dispatcher_killed(it: &mut Spender) {
    it.begin(&[bash("echo 1"), json!({ "text": "Held.", "gate": "one" })]);
    it.sandbox.api.wait_held("one", LONG);
    it.kill_dispatcher();
    it.let_through("one");
    it.start_dispatcher();
    it.rests(1);
    let steps: Vec<Value> = (0..6).map(|n| bash(&format!("echo {n}"))).collect();
    it.say(&[&steps[..], &[text()]].concat());
    for _ in 0..4 {
        it.kill_dispatcher();
        it.start_dispatcher();
    }
    it.rests(2);
}

fn both_killed(it: &mut Spender) {
    it.begin(&[text()]);
    it.rests(1);
    it.say(&[bash("echo 1"), json!({ "text": "Held.", "gate": "one" })]);
    it.sandbox.api.wait_held("one", LONG);
    let claude = it.pid();
    it.kill_dispatcher();
    it.let_through("one");
    it.kept();
    let signal = if it.chance(2) == 0 { Signal::KILL } else { Signal::TERM };
    kill_process(claude, signal).unwrap();
    it.start_dispatcher();
    it.ended();
    // It may have been killed before it could tell of the end of its turn.
    let turns = it.view().turns;
    it.retry(true, &[text()]);
    it.rests(turns + 1);
}

fn parked(it: &mut Spender) {
    it.begin(&[text()]);
    it.rests(1);
    // Parked in the middle of a turn, and again while it waits.
    it.say(&[bash("echo 1"), json!({ "text": "Held.", "gate": "never" })]);
    it.sandbox.api.wait_held("never", LONG);
    for turns in 2..4 {
        it.paid();
        it.caller.wait(it.caller.client.park(&it.id)).unwrap();
        it.until("it to be parked", |it| it.state == "PARKED" && it.session.is_none());
        it.caller.wait(it.caller.client.unpark(&it.id, &Unpark::default())).unwrap();
        it.until("it to be back", |it| it.activity.is_some_and(|it| it.as_str() == "idle"));
        it.say(&[text()]);
        it.rests(turns);
    }
}

fn branch(it: &mut Spender) {
    it.begin(&[text()]);
    let mut turns = 1;
    it.rests(turns);
    if it.chance(2) == 0 {
        it.exit();
        it.retry(true, &[text()]);
        turns += 1;
    }
    let before = it.rests(turns).conversation;
    it.say_plainly("/branch");
    it.until("another conversation", |it| it.conversation != before);
    it.say(&[text()]);
    it.rests(turns + 1);
}

fn resume_inside(it: &mut Spender) {
    it.begin(&[text()]);
    let before = it.rests(1).conversation.unwrap();
    it.stop();
    it.begin(&[text()]);
    it.rests(1);
    it.say_plainly(&format!("/resume {before}"));
    it.until("another conversation", |it| it.conversation.as_ref() == Some(&before));
    // While Claude draws that anew it may lose what is typed.
    let prompt = it.prompt(&[text()]);
    let mark = it.mark();
    it.find("the prompt to be asked", || {
        it.say_plainly(&prompt);
        let asked = || it.sandbox.api.turns().iter().any(|it| it.asks(&mark));
        wait(Duration::from_secs(20), || asked().then_some(()))
    });
    it.rests(2);
}

fn tui(it: &mut Spender) {
    it.begin(&[text()]);
    it.rests(1);
    it.say_plainly("/tui fullscreen");
    it.hears("esume");
    it.say(&[text()]);
    it.rests(2);
}

/// The script that takes down the first word of each process takes its time, as on a busy machine:
/// Claude ends it when there is more to say.
fn late_lines(it: &mut Spender) {
    let path = it.sandbox.root().join("bin/tr");
    let script = "#!/bin/sh\nin=$(cat)\ncase $in in *'total_api_duration_ms\":0,'*) sleep 3 ;; \
                  esac\nprintf %s \"$in\" | /usr/bin/tr \"$@\"\n";
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    it.begin(&[text()]);
    it.rests(1);
    it.kill_claude();
    it.retry(true, &[text()]);
    it.rests(2);
    it.stop();
    it.retry(true, &[text()]);
    it.rests(3);
}

fn fork(it: &mut Spender) {
    it.begin(&[bash("echo 1"), text()]);
    it.rests(1);
    if it.chance(2) == 0 {
        it.exit();
    }
    let checkpoint = it.checkpoint();
    let how = Fork { prompt: Some(it.prompt(&[text()])), caller_env: it.env(), ..Fork::default() };
    let forked = it.caller.wait(it.caller.client.fork(&checkpoint, &how)).unwrap().task.id;
    it.take(forked);
    it.rests(1);
    it.exit();
    it.retry(true, &[text()]);
    it.rests(2);
}

fn retried_fresh(it: &mut Spender) {
    it.begin(&[text()]);
    it.rests(1);
    it.kill_claude();
    it.retry(false, &[text()]);
    it.rests(2);
}

fn from_the_vault(it: &mut Spender) {
    it.begin(&[text()]);
    it.rests(1);
    if it.chance(2) == 0 {
        it.exit();
        it.retry(true, &[text()]);
        it.rests(2);
    }
    it.checkpoint();
    it.kill_claude();
    let turns = it.view().turns;
    fs::remove_dir_all(it.sandbox.home().join(".claude/projects")).unwrap();
    let prompt = Some(it.prompt(&[text()]));
    let how = Resume { prompt, caller_env: it.env(), ..Resume::default() };
    it.caller.wait(it.caller.client.resume(&it.id, &how)).unwrap();
    it.rests(turns + 1);
}

/// What came of one session.
struct Outcome {
    number: usize,
    kind: &'static str,
    claude: Usd,
    ledger: Usd,
    api: Usd,
    fault: Option<String>,
}

/// Runs a session and compares the accounts.
fn session(number: usize, (kind, run, said): Kind, random: Random) -> Outcome {
    let mut spender = Spender::new(random, "");
    run(&mut spender);
    let mut shown = Vec::new();
    let mut told = String::new();
    let mut counted = 0;
    for id in spender.tasks.clone() {
        spender.id = id;
        spender.stop();
        let view = spender.view();
        shown.push(Usd::from_dollars(view.cost_usd).unwrap());
        counted += view.tokens.output;
        told.push_str(&spender.told());
    }
    dispatcher::stop(&spender.sandbox);
    let mut faults = String::new();
    let (mut claude, mut ledger, mut rounded) = (Usd::ZERO, Usd::ZERO, 0);
    let ledgers = bill::ledgers(&spender.sandbox);
    for (id, shown) in spender.tasks.iter().zip(shown) {
        let processes = spender.processes(id);
        let own = bill::sum(&processes);
        // Each process of Claude's rounds its own sum.
        rounded += processes.len() as i64;
        let entered = ledgers.get(id).cloned().unwrap_or_default();
        if entered.model != own || entered.all != shown {
            let _ = writeln!(faults, "{id}: Claude {own}, {entered:?}, shown {shown}");
        }
        claude = claude + own;
        ledger = ledger + entered.model;
    }
    let mut api = bill::of_api(&spender.sandbox.api);
    if said == Said::AllAndBegun {
        api = api + bill::of_begun(&spender.sandbox.api);
    }
    let silent = api - claude;
    let more = silent < Usd(-rounded) && said != Said::Untold;
    let less = Usd(rounded) < silent && matches!(said, Said::All | Said::AllAndBegun);
    if more || less {
        let _ = writeln!(faults, "Claude said {claude}, the API answered {api}");
    }
    // Some answers are in no transcript, but none is in one twice.
    let answered = bill::written(&spender.sandbox.api);
    if answered < counted {
        let _ = writeln!(faults, "{counted} tokens were counted where {answered} were written");
    }
    let fault = (!faults.is_empty()).then(|| format!("{faults}{told}"));
    Outcome { number, kind, claude, ledger, api, fault }
}

/// Runs sessions, several at once.
fn sessions(mut random: Random, count: usize) -> Vec<Outcome> {
    let only = env::var("PARHELIA_KIND").unwrap_or_default();
    let kinds: Vec<Kind> = KINDS.iter().copied().filter(|it| it.0.contains(&*only)).collect();
    let count = if count == 0 { kinds.len() } else { count };
    let queue: VecDeque<(usize, Kind, Random)> =
        (0..count).map(|n| (n + 1, kinds[n % kinds.len()], random.another())).collect();
    let (queue, outcomes) = (Mutex::new(queue), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let next = queue.lock().unwrap().pop_front();
            let Some((number, kind, random)) = next else { return };
            let done = catch_unwind(AssertUnwindSafe(|| session(number, kind, random)));
            let outcome = done.unwrap_or_else(|why| Outcome {
                number,
                kind: kind.0,
                claude: Usd::ZERO,
                ledger: Usd::ZERO,
                api: Usd::ZERO,
                fault: Some(why.downcast_ref::<String>().cloned().unwrap_or_default()),
            });
            outcomes.lock().unwrap().push(outcome);
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(work);
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap();
    outcomes.sort_by_key(|it| it.number);
    outcomes
}

fn table(outcomes: &[Outcome]) -> String {
    let mut out = format!(
        "{:>3} {:<22} {:>10} {:>10} {:>10} {:>10}\n",
        "", "session", "Claude", "ledger", "difference", "API"
    );
    let mut row = |number: &str, kind: &str, [claude, ledger, api]: [Usd; 3], fault: &str| {
        let difference = ledger - claude;
        let dollars = |it: Usd| format!("{:.6}", it.dollars());
        let _ = writeln!(
            out,
            "{number:>3} {kind:<22} {:>10} {:>10} {:>10} {:>10} {fault}",
            dollars(claude),
            dollars(ledger),
            dollars(difference),
            dollars(api)
        );
    };
    for it in outcomes {
        let fault = if it.fault.is_some() { "FAULT" } else { "" };
        row(&it.number.to_string(), it.kind, [it.claude, it.ledger, it.api], fault);
    }
    let sum = |of: fn(&Outcome) -> Usd| outcomes.iter().map(of).sum();
    row("", "all", [sum(|it| it.claude), sum(|it| it.ledger), sum(|it| it.api)], "");
    out
}

#[test]
fn the_ledger_agrees_with_claude() {
    let count = env::var("PARHELIA_SESSIONS").map_or(0, |it| it.parse().unwrap());
    let outcomes = sessions(Random::new(), count);
    let table = table(&outcomes);
    println!("{table}");
    let faults: Vec<String> = outcomes
        .iter()
        .filter_map(|it| Some(format!("{} {}: {}", it.number, it.kind, it.fault.as_ref()?)))
        .collect();
    assert!(faults.is_empty(), "{table}\n{}", faults.join("\n\n"));
}
