//! A session that would spend for ever is parked within the bound that
//! [`parhelia::domain::budget`] states, and goes on when people let it.

use std::time::Duration;

use parhelia::{
    api::{
        budget::SetBudget,
        client::CheckpointsQuery,
        types::{CreateTask, Unpark},
        view::TaskView,
    },
    domain::usd::Usd,
};
use serde_json::{Value, json};

use crate::support::{
    bill, dispatcher,
    ground::bash,
    random::Random,
    spender::{LONG, Spender},
    wait::wait,
};

/// What each answer costs: 5000 tokens written.
const EACH: Usd = Usd(100_000);

/// The ceiling: reached by the fourth answer.
const CEILING: Usd = Usd(400_000);

/// An answer after a second's thought that costs [`EACH`].
fn answer(mut step: Value) -> Value {
    step["delay"] = json!(1.0);
    step["usage"] = json!({
        "input_tokens": 0, "output_tokens": 5000,
        "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
        "cache_creation": { "ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0 },
    });
    step
}

/// Submits a session that spends for ever, and returns it with Claude's process.
fn runaway(config: &str, max_cost_usd: Option<f64>) -> (Spender, u32) {
    let mut it = Spender::new(Random::new(), config);
    it.sandbox.api.answer_all(answer(bash("echo on >>on.txt")));
    let prompt = "Go on for ever, first-word".to_owned();
    it.create(CreateTask { prompt, interactive: true, max_cost_usd, ..CreateTask::default() });
    it.sandbox.api.wait_for(|it| it.is_turn() && it.asks("first-word"), LONG);
    let claude = u32::try_from(it.pid().as_raw_pid()).unwrap();
    (it, claude)
}

fn is_parked(it: &Spender) -> bool {
    let view = it.view();
    view.state == "PARKED" && view.session.is_none()
}

/// Waits until it is parked, and checks that it is so within the bound: one answer was under way
/// when the ceiling was reached, and no other was asked for.
#[expect(clippy::print_stdout, reason = "how far it went is asked for")]
fn stops(it: &Spender, claude: u32) {
    it.find("it to be parked", || is_parked(it).then_some(()));
    let view = it.view();
    assert!(view.reason.as_ref().is_some_and(|it| it.contains("ceiling")), "{:?}", view.reason);
    let (own, api) = (it.own(), bill::of_api(&it.sandbox.api));
    println!("reached {CEILING}; Claude said {own}, the API answered {api}: {:?}", view.reason);
    assert!(CEILING <= own && own <= api && api <= CEILING + EACH, "{own} {api}: {}", it.told());
    assert_eq!(Usd::from_dollars(view.cost_usd), Some(own), "{}", it.told());
    assert!(!dispatcher::lives(claude), "{}", it.told());
    let query = CheckpointsQuery { task: Some(it.id.clone()), ..Default::default() };
    // Where the watchdog beside Claude was as quick, it is parked before that is made.
    it.find("the checkpoint before it", || {
        let made = it.caller.wait(it.caller.client.checkpoints(&query)).unwrap().checkpoints;
        made.iter().any(|it| it.trigger.as_str() == "before-park").then_some(())
    });
}

/// Raises the ceiling and lets it go on: with all that was said, and its cost added to.
fn goes_on(it: &Spender, raise: SetBudget) {
    let before = it.view();
    let asked = it.sandbox.api.turns().len();
    let early = it.caller.wait(it.caller.client.unpark(&it.id, &Unpark::default()));
    let waits = raise.scope == "day";
    if waits {
        // There will be room tomorrow.
        let early = early.unwrap();
        assert!(early.reason.as_ref().is_some_and(|it| it.contains("midnight")), "{early:?}");
    } else {
        let refused = early.unwrap_err();
        assert!(refused.message.contains("ceiling"), "{refused}");
    }
    it.sandbox.api.answer_all(answer(json!({ "text": "That is all." })));
    let raise = SetBudget { ceiling_usd: Some(5.0), ..raise };
    it.caller.wait(it.caller.client.set_budget(&raise)).unwrap();
    if !waits {
        it.caller.wait(it.caller.client.unpark(&it.id, &Unpark::default())).unwrap();
    }
    let idle =
        |it: &TaskView| it.session.is_some() && it.activity.is_some_and(|it| it.as_str() == "idle");
    it.until("it to be there again", idle);
    assert_eq!(it.sandbox.api.turns().len(), asked, "it spends unasked");
    it.say_plainly("Go on once more, second-word");
    let request = it.sandbox.api.wait_for(|it| it.is_turn() && it.asks("second-word"), LONG);
    let said = request.body["messages"].to_string();
    assert!(said.contains("first-word") && 3 <= said.matches("tool_use_id").count(), "{said}");
    let cost = |it: &TaskView| Usd::from_dollars(it.cost_usd).unwrap();
    let after = it.until("the turn to be paid", |it| cost(&before) < cost(it) && idle(it));
    assert_eq!(cost(&after), cost(&before) + EACH, "{}", it.told());
    it.stop();
    let (own, after) = (it.own(), it.view());
    assert_eq!(cost(&after), own, "{}", it.told());
    assert_eq!(bill::of_api(&it.sandbox.api), own, "{}", it.told());
}

fn all() -> SetBudget {
    SetBudget { scope: "all".into(), ..SetBudget::default() }
}

#[test]
fn a_runaway_is_parked_at_its_own_ceiling() {
    let (it, claude) = runaway("", Some(CEILING.dollars()));
    stops(&it, claude);
    let task = Some(it.id.clone());
    goes_on(&it, SetBudget { scope: "task".into(), task, ..SetBudget::default() });
}

#[test]
fn a_runaway_is_parked_at_the_ceiling_of_all() {
    let config = "[budget]\ndefault_ceiling_usd = 0.4\nreserve_usd = 0.1\n";
    let (it, claude) = runaway(config, None);
    stops(&it, claude);
    goes_on(&it, all());
}

#[test]
fn a_runaway_is_parked_at_the_ceiling_of_the_day() {
    let config = "[budget]\nmax_daily_cost = 0.4\nreserve_usd = 0.1\n";
    let (it, claude) = runaway(config, None);
    stops(&it, claude);
    goes_on(&it, SetBudget { scope: "day".into(), ..SetBudget::default() });
}

/// The dispatcher is killed with each answer, and another comes.
#[test]
fn a_runaway_is_parked_by_dispatchers_that_are_killed() {
    let config = "[budget]\ndefault_ceiling_usd = 0.4\nreserve_usd = 0.1\n";
    let (mut it, claude) = runaway(config, None);
    let mut killed = 0;
    while !is_parked(&it) && killed < 100 {
        it.kill_dispatcher();
        it.start_dispatcher();
        killed += 1;
        let answers = it.sandbox.api.used().len();
        let more = || (answers < it.sandbox.api.used().len() || is_parked(&it)).then_some(());
        // At the ceiling there are no more.
        let _ = wait(Duration::from_secs(3), more);
    }
    assert!(1 < killed);
    stops(&it, claude);
    goes_on(&it, all());
}
