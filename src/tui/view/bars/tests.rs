use std::collections::BTreeMap;

use super::*;
use crate::{
    api::types::{ProviderStatus, Status},
    stdx::time::Timestamp,
    tui::{
        fixture::{NOW, budget, fleet, press, screen, send, with_tasks},
        model::{Back, Undo},
        msg::{Feed, Msg},
    },
    vt::input::{Button, Mouse, MouseKind},
};

/// Returns how all is when so much is spent.
pub(crate) fn status(total_usd: f64) -> Box<Status> {
    let provider = |name: &str, reachable| ProviderStatus {
        name: name.into(),
        reachable,
        detail: None,
        slots: 8,
        in_use: 2,
        versions: BTreeMap::new(),
        price_per_hour_usd: 0.0,
        ..serde_json::from_value(serde_json::json!({
            "name": "", "reachable": true, "detail": null, "slots": 1, "in_use": 0,
            "versions": {}, "price_per_hour_usd": 0.0
        }))
        .expect("a provider")
    };
    let mut status: Status = serde_json::from_value(serde_json::json!({
        "dispatcher": {"version": "0.1.0", "revision": 1, "pid": 1, "started_at": 0, "state_dir": "/s"},
        "config_file": null, "config_problems": [], "tasks": {}, "needs_you": 0,
        "spend": {"total_usd": 0.0, "last_day_usd": 0.0}, "providers": [],
        "disk": {"free_bytes": 1, "total_bytes": 2}, "memory_bytes": null, "hints": []
    }))
    .expect("a status");
    (status.spend.total_usd, status.spend.last_day_usd) = (total_usd, total_usd / 2.0);
    status.providers = vec![provider("local", true), provider("gpu-box", true)];
    Box::new(status)
}

fn line(model: &Model, row: usize) -> String {
    screen(model).lines().nth(row).unwrap_or_default().to_owned()
}

fn with_status(cols: u16, rows: u16, total_usd: f64) -> Model {
    let mut model = with_tasks(cols, rows, fleet());
    send(&mut model, Msg::Feed(Feed::Status(status(total_usd))));
    // What the machine lacks is told in a popup of its own.
    model.popups.clear();
    send(&mut model, Msg::Feed(Feed::Budget(Box::new(budget(total_usd)))));
    model
}

#[test]
fn the_header_counts() {
    let model = with_status(160, 40, 26.37);
    assert_eq!(line(&model, 0).split("   ").next().map(str::trim), Some("parhelia > tasks"));
    for part in [
        "! 2 need you",
        "> 4 working",
        ". 2 idle",
        ", 1 waiting",
        "+ 1 done",
        "x 2 failed",
        "- 1 killed",
        "2 hosts ok",
    ] {
        assert!(line(&model, 0).contains(part), "{part}: {}", line(&model, 0));
    }
    let narrow = with_status(80, 24, 26.37);
    assert!(
        line(&narrow, 0).contains("! 2   > 4   . 2   , 1   + 1   x 2   - 1"),
        "{}",
        line(&narrow, 0)
    );
}

#[test]
fn the_gauge_says_what_is_spent_and_when_the_ceiling_is_reached() {
    let model = with_status(120, 36, 26.37);
    assert_eq!(
        line(&model, 1),
        " total $26.37 r+m of $30 [#####################==.] 87% WARNING  burn $3.00/h  ceiling at 15:44  __▂▄▂__▆▄▂▄█"
    );
    let wide = with_status(200, 50, 26.37);
    assert!(
        line(&wide, 1).ends_with("  reserved $2.00  today $13.19 of $50"),
        "{}",
        line(&wide, 1)
    );
    assert_eq!(
        line(&with_status(80, 24, 12.0), 1),
        " $12.00 r+m of $30 [#####==.......] 40%  $3.00/h  ceiling at 15:44  __▂▄▂__▆▄▂▄█"
    );
    assert!(line(&with_status(80, 24, 31.0), 1).contains("] 103% REACHED"));
}

#[test]
fn the_gauge_is_that_of_the_nearest_ceiling_and_names_another_that_is_reached_first() {
    let mut it = budget(20.0);
    it.ceilings[1].ceiling_usd = Some(10.5);
    let mut model = with_status(80, 24, 20.0);
    send(&mut model, Msg::Feed(Feed::Budget(Box::new(it.clone()))));
    assert!(line(&model, 1).starts_with(" today $10.00 of $10.50 [#############=] 95%"));
    assert!(line(&model, 1).contains("ceiling of total at 15:44"), "{}", line(&model, 1));
    // Without a ceiling what was spent is told all the same; before a word nothing is.
    it.ceilings.iter_mut().for_each(|it| (it.ceiling_usd, it.reached_at) = (None, None));
    send(&mut model, Msg::Feed(Feed::Budget(Box::new(it))));
    assert_eq!(line(&model, 1), " $20.00 r+m  $3.00/h  __▂▄▂__▆▄▂▄█");
    model.shared.replica.budget = None;
    assert_eq!(line(&model, 1), "");
}

#[test]
fn a_lost_dispatcher_is_told_with_the_key_that_tries_again() {
    let mut model = with_status(120, 36, 12.0);
    let again = Timestamp(NOW.0 + 2_000);
    let lost = Feed::Lost { why: "connection refused".into(), hint: None, again };
    send(&mut model, Msg::Feed(lost));
    assert!(line(&model, 0).ends_with("LOST"), "{}", line(&model, 0));
    assert_eq!(
        line(&model, 1),
        " no dispatcher since 14:32, next try 14:32:09, Ctrl+R tries now: connection refused"
    );
    send(&mut model, Msg::Feed(Feed::Stopped));
    assert!(line(&model, 1).starts_with(" the dispatcher was stopped at 14:32; Ctrl+R starts it."));
}

#[test]
fn a_note_gives_way_to_what_can_be_undone() {
    let mut model = with_tasks(80, 24, fleet());
    model.shared.undo.push(Undo {
        what: "killed \"old-spike\"".into(),
        at: Timestamp(NOW.0 - 40_000),
        by: Back::Filter(String::new()),
    });
    press(&mut model, &["space", "esc", "esc"]);
    assert_eq!(line(&model, 22), " 14:32:07  q quits; tasks keep running");
    assert!(next_change(&model.shared).is_some());
    model.shared.now = Timestamp(NOW.0 + NOTE_MS);
    assert_eq!(line(&model, 22), " undo ready: z  killed \"old-spike\"  <1m ago");
    // It says how long ago that was for an hour, and then when: no wake-ups for ever.
    assert_eq!(next_change(&model.shared), Some(Timestamp(NOW.0 + 20_000)));
    model.shared.now = Timestamp(NOW.0 + 3_600_000);
    assert_eq!(line(&model, 22), " undo ready: z  killed \"old-spike\"  14:31");
    assert_eq!(next_change(&model.shared), None);
}

#[test]
fn keys_are_left_out_whole_and_help_is_last() {
    for context in [Context::Tasks, Context::Log, Context::Inbox, Context::Attached] {
        for width in 0..200 {
            let hints = footer::hints(&Default::default(), context, width);
            let text: Vec<String> = hints.iter().map(|it| format!("{it:?}")).collect();
            if context.has_global() && 10 < width {
                assert!(text.last().is_some_and(|it| it.contains("Help")), "{width}: {text:?}");
            }
        }
    }
    let model = with_tasks(80, 24, fleet());
    assert_eq!(
        line(&model, 23),
        " Enter attach  x kill  r recover  p prompt  i answer  n new  / filter  ? help"
    );
}

#[test]
fn a_key_in_the_footer_can_be_clicked() {
    let mut model = with_tasks(80, 24, fleet());
    let at = line(&model, 23).find("? help").expect("help is there");
    let click = Mouse {
        kind: MouseKind::Down(Button::Left),
        col: u16::try_from(at).unwrap_or(0),
        row: 23,
        mods: Default::default(),
    };
    send(&mut model, Msg::Input(crate::tui::msg::Input::Mouse(click)));
    assert!(screen(&model).contains("Help: tasks"), "{}", screen(&model));
}

#[test]
fn the_demo_says_so_and_a_tiny_screen_too() {
    let mut model = with_tasks(80, 24, fleet());
    model.shared.facts.demo = true;
    assert!(line(&model, 0).starts_with("  DEMO  parhelia > tasks"), "{}", line(&model, 0));
    let model = with_tasks(50, 10, fleet());
    assert_eq!(line(&model, 0), "! 2   > 4   . 2   , 1   + 1   x 2   - 1");
    assert_eq!(line(&model, 1), " too small: 60x16");
}
