use super::*;
use crate::{
    api::{checkpoints::ChangeView, view::TokensView},
    domain::checkpoint::Trigger,
};

/// The middle of a day in every time zone there is, or near enough to not be another day an hour
/// before.
pub const NOON: Timestamp = Timestamp(1_795_258_800_000);

/// A checkpoint of a turn.
pub fn sample() -> CheckpointView {
    CheckpointView {
        id: "cp-abcd2345".into(),
        task: "task-abcd2345".into(),
        task_name: "fix the race".into(),
        at: Timestamp(NOON.0 - 300_000),
        trigger: Trigger::Turn,
        label: None,
        pinned: false,
        parent: Some("cp-aaaa2345".into()),
        provider: "local".into(),
        workspace: "/runs/task-abcd2345/workspace".into(),
        change: ChangeView {
            added: 2,
            modified: 1,
            deleted: 0,
            lines_added: 86,
            lines_removed: 14,
        },
        files: 120,
        bytes: 2_306_867,
        left_out: 0,
        stored_bytes: Some(12_288),
        damage: None,
        conversation: Some("0b7b6e0c".into()),
        branch: Some("parhelia/task-abcd2345".into()),
        head: Some("0123456789abcdef0123".into()),
        turns: 3,
        tokens: TokensView {
            input: 10,
            output: 20,
            source: "estimated".into(),
            ..TokensView::default()
        },
        cost_usd: 0.31,
        cost_source: "reported".into(),
    }
}

/// Replaces the sample's time of day, which depends on the time zone of the machine.
pub fn no_clock(text: &str) -> String {
    let at = sample().at;
    text.replace(&crate::cli::when::date_and_clock(at), "DATE hh:mm:ss")
        .replace(&day_and_clock(at, NOON), "hh:mm:ss")
        .replace(&day_and_clock(at, Timestamp(NOON.0 + 172_800_000)), "DATE hh:mm")
}

#[test]
fn one_line_tells_a_checkpoint_from_others() {
    insta::assert_snapshot!(no_clock(&line(&sample(), NOON)), @"cp-abcd2345 of task-abcd2345 (hh:mm:ss, turn): 3 files changed, +86 -14, 2.1 MiB in all");
    let odd = CheckpointView {
        label: Some("tests\ngreen \x1b[2J".into()),
        pinned: true,
        damage: Some("w/a.rs is missing".into()),
        change: ChangeView::default(),
        ..sample()
    };
    insta::assert_snapshot!(no_clock(&line(&odd, NOON)), @r#"cp-abcd2345 of task-abcd2345 (hh:mm:ss, turn): no file changed, 2.1 MiB in all, "tests green �[2J", pinned, damaged: w/a.rs is missing"#);
}
