use proptest::prelude::*;

use super::*;
use crate::api::view::{AskView, TokensView};

const PLAIN: Paint = Paint { on: false };

/// A task that runs and works.
pub fn sample() -> TaskView {
    TaskView {
        id: "task-abcd2345".into(),
        name: "fix the race".into(),
        state: "RUNNING".into(),
        since: Timestamp(61_000),
        reason: None,
        activity: Some(Activity::Working),
        activity_since: Some(Timestamp(62_000)),
        because: Some("the registry says busy".into()),
        asks: vec![],
        last: "Bash cargo test".into(),
        prompt: "fix the race in auth".into(),
        prompt_bytes: 20,
        created_at: Timestamp(60_000),
        kind: "generic".into(),
        priority: 0,
        provider: Some("local".into()),
        worker: Some("worker-abcd2345".into()),
        session: Some("ph-task-abcd2345".into()),
        reachable: Some(true),
        viewers: 0,
        attempts: 1,
        source: "/src".into(),
        workspace: Some("/runs/task-abcd2345/workspace".into()),
        run_dir: Some("/runs/task-abcd2345".into()),
        branch: Some("parhelia/task-abcd2345".into()),
        isolation: "worktree".into(),
        conversation: None,
        permission_mode: "auto".into(),
        model: None,
        interactive: false,
        gpu: None,
        memory_gb: None,
        cpu: None,
        timeout_seconds: Some(14_400),
        idle_timeout_seconds: None,
        env: vec![],
        cost_usd: 0.31,
        cost_source: "reported".into(),
        model_cost_usd: 0.31,
        compute_usd_per_hour: 0.0,
        metered_until: None,
        max_cost_usd: None,
        tokens: TokensView { source: "estimated".into(), ..TokensView::default() },
        turns: 1,
        context_percent: Some(12),
        lines_added: 4,
        lines_removed: 2,
        answer_bytes: None,
        checkpoints: 0,
        last_checkpoint: None,
        checkpoint_failed: None,
        forked_from: None,
    }
}

/// The sample, asking for permission.
pub fn asking() -> TaskView {
    let ask = AskView {
        id: "ask-1".into(),
        kind: "permission".into(),
        tool: "Bash".into(),
        summary: "rm -rf build/".into(),
        options: vec![],
        since: Timestamp(62_000),
    };
    TaskView { activity: Some(Activity::NeedsPermission), asks: vec![ask], ..sample() }
}

/// The sample with `text` wherever text from outside can stand.
pub fn hostile(text: &str) -> TaskView {
    let ask = AskView {
        id: text.into(),
        kind: text.into(),
        tool: text.into(),
        summary: text.into(),
        options: vec![text.into()],
        since: Timestamp(i64::MAX),
    };
    let some = || Some(text.to_owned());
    TaskView {
        id: text.into(),
        name: text.into(),
        reason: some(),
        because: some(),
        asks: vec![ask],
        last: text.into(),
        prompt: text.into(),
        created_at: Timestamp(i64::MIN),
        kind: text.into(),
        provider: some(),
        worker: some(),
        session: some(),
        source: text.into(),
        workspace: some(),
        run_dir: some(),
        branch: some(),
        isolation: text.into(),
        conversation: some(),
        permission_mode: text.into(),
        model: some(),
        gpu: some(),
        env: vec![text.into()],
        cost_usd: f64::NAN,
        cost_source: text.into(),
        ..sample()
    }
}

#[test]
fn the_table_aligns_by_what_is_seen() {
    let done = TaskView {
        state: "COMPLETED".into(),
        activity: None,
        name: "日本語の名前".into(),
        last: "done: 3 files changed, all 118 tests pass, branch pushed to origin".into(),
        cost_usd: 12.5,
        ..sample()
    };
    let waiting = TaskView {
        state: "PENDING".into(),
        activity: None,
        reason: Some("waiting for a slot on local: 4 of 4 in use".into()),
        ..sample()
    };
    let tasks = [sample(), asking(), done, waiting];
    insta::assert_snapshot!(table(&tasks, Timestamp(3_780_000), Some(96), PLAIN), @r"
       ID             NAME          STATE               AGE    COST  LAST
    >  task-abcd2345  fix the race  working            1h02   $0.31  Bash cargo test
    !  task-abcd2345  fix the race  needs-permission   1h02   $0.31  asks: Bash rm -rf build/
    +  task-abcd2345  日本語の名前  completed          1h02  $12.50  done: 3 files changed, all 118…
    -  task-abcd2345  fix the race  pending            1h02   $0.31  waiting for a slot on local: 4…
    ");
}

#[test]
fn every_state_has_its_letter() {
    let with = |state: &str, activity| TaskView { state: state.into(), activity, ..sample() };
    assert_eq!(letter(&with("RUNNING", Some(Activity::Idle))), '.');
    assert_eq!(letter(&with("RUNNING", None)), '?');
    assert_eq!(letter(&with("KILLED", None)), 'x');
    assert_eq!(letter(&with("PARKED", None)), '=');
    assert_eq!(letter(&asking()), '!');
    assert_eq!(letter(&TaskView { reachable: Some(false), ..sample() }), '~');
}

#[test]
fn a_wide_character_is_never_halved() {
    assert_eq!(cut("日本語", 5), "日本…");
    assert_eq!(cut("日本語", 4), "日…");
    assert_eq!(cut("日本語", 6), "日本語");
}

proptest! {
    #[test]
    fn nothing_from_outside_steers_the_terminal(text in "\\PC*|[\\x00-\\x1f\\x7f-\\u{9f}a]{0,20}",
                                                width in proptest::option::of(0usize..200)) {
        let view = hostile(&text);
        let shown = [
            table(&[view.clone(), sample()], Timestamp(0), width, PLAIN),
            change_line(&view, PLAIN),
            crate::cli::show::card(&view, None, Timestamp(0), PLAIN),
            crate::cli::progress::needs_you(&view, PLAIN),
            crate::cli::progress::line(&view, Timestamp(0), 80),
        ];
        for it in shown {
            let bad = it.chars().find(|c| c.is_control() && *c != '\n');
            prop_assert_eq!(bad, None, "{:?}", it);
        }
    }

    #[test]
    fn the_table_fits(name in ".{0,60}", last in ".{0,300}", width in 80usize..200) {
        let view = TaskView { name, last, ..sample() };
        for line in table(&[view], Timestamp(0), Some(width), PLAIN).lines() {
            prop_assert!(line.width() <= width, "{}: {:?}", line.width(), line);
        }
    }
}

#[test]
fn a_size_has_two_digits_that_say_something() {
    let sizes = [0, 1023, 1024, 10 << 10, (2 << 20) + (103 << 10), 812 << 20, u64::MAX];
    let shown: Vec<String> = sizes.into_iter().map(size).collect();
    let expected = ["0 B", "1023 B", "1.0 KiB", "10 KiB", "2.1 MiB", "812 MiB", "16777215 TiB"];
    assert_eq!(shown, expected);
    assert_eq!((count(1, "file"), count(2, "file")), ("1 file".into(), "2 files".into()));
}
