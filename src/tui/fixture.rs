//! What tests of the dashboard are made of: tasks, keys, a screen as text.

use std::path::PathBuf;

use ratatui::layout::Rect;

use crate::{
    api::{
        budget::{
            BudgetView, CeilingView, CostRow, Costs, EstimateOf, PriceView, Sources, SourcesView,
        },
        checkpoints::{ChangeView, CheckpointView},
        types::Snapshot,
        view::{AskView, TaskView, TokensView},
    },
    domain::{activity::Activity, budget::OnExceeded, checkpoint::Trigger},
    stdx::time::Timestamp,
    tui::{
        canvas::Canvas,
        effect::{Ask, Effect},
        keymap,
        model::{
            Model,
            look::{Facts, Look, LookSource},
        },
        msg::{Feed, Input, Msg, Reply, RequestId},
        update::update,
        view::view,
    },
    vt::input::{Key, Phase},
};

/// The time in tests: 2026-11-21 14:32:07 UTC.
pub const NOW: Timestamp = Timestamp(1_795_271_527_000);

/// Returns a dashboard of a size that knows nothing yet.
pub fn sized(cols: u16, rows: u16) -> Model {
    let facts = Facts {
        cwd: PathBuf::from("/home/ann/src/shop"),
        home: PathBuf::from("/home/ann"),
        ..Facts::default()
    };
    let source = LookSource {
        theme: "dark".into(),
        detach_keys: vec!["ctrl-q".into(), "f12".into()],
        notify: true,
        bell: true,
        mouse: true,
        ..LookSource::of(&crate::config::settings::Settings::default())
    };
    let look = Look::new(source, &facts);
    let mut model = Model::new(facts, look, NOW);
    send(&mut model, Msg::Input(Input::Resize { cols, rows }));
    model
}

/// Returns a dashboard that knows these tasks.
pub fn with_tasks(cols: u16, rows: u16, tasks: Vec<TaskView>) -> Model {
    let mut model = sized(cols, rows);
    send(&mut model, Msg::Feed(Feed::Snapshot(Snapshot { seq: 1, tasks })));
    model
}

/// Returns the twenty tasks of the design's main screen, as far as they can be today.
pub fn fleet() -> Vec<TaskView> {
    let rows: [(&str, &str, Activity, i64, &str, f64); 8] = [
        ("aaaa2222", "fix-auth-race", Activity::NeedsPermission, 12, "Bash rm -rf build/", 4.31),
        ("bbbb2222", "docs-rewrite", Activity::NeedsInput, 3, "keep or replace?", 0.88),
        ("cccc2222", "train-small-lm", Activity::Working, 62, "epoch 3/8", 7.20),
        ("dddd2222", "port-to-axum", Activity::Working, 26, "cargo test (34 left)", 2.12),
        ("eeee2222", "flaky-e2e", Activity::Working, 9, "Edit tests/e2e/login.rs", 0.74),
        ("ffff2222", "bump-deps", Activity::Starting, 2, "thinking", 0.11),
        ("gggg2222", "review-pr-812", Activity::Idle, 41, "waiting for a prompt", 0.52),
        ("hhhh2222", "sql-indexes", Activity::Idle, 120, "waiting for a prompt", 1.07),
    ];
    let mut tasks: Vec<TaskView> = rows
        .iter()
        .map(|(id, name, activity, minutes, last, cost)| {
            let mut task = task(id, name);
            let since = Timestamp(NOW.0 - minutes * 60_000);
            task.activity = Some(*activity);
            task.activity_since = Some(since);
            (task.since, task.created_at) = (since, since);
            task.last = (*last).to_owned();
            task.cost_usd = *cost;
            if activity.needs_person() {
                task.asks = vec![ask("main.1", last)];
            }
            task
        })
        .collect();
    for (id, name, state) in [
        ("iiii2222", "rename-crate", "COMPLETED"),
        ("jjjj2222", "migrate-ci", "FAILED"),
        ("kkkk2222", "old-spike", "KILLED"),
        ("mmmm2222", "gpu-bench", "DISPATCH_FAILED"),
        ("nnnn2222", "next-up", "PENDING"),
    ] {
        tasks.push(finished(id, name, state));
    }
    tasks
}

/// Returns how the money stands when so much is spent, half of it today.
pub fn budget(spent_usd: f64) -> BudgetView {
    let state = |spent: f64, limit: f64| match spent / limit {
        it if 1.0 <= it => "exceeded",
        it if 0.8 <= it => "warning",
        _ => "calm",
    };
    let one = |scope: &str, spent: f64, limit: Option<f64>| CeilingView {
        scope: scope.to_owned(),
        ceiling_usd: limit,
        origin: limit.map(|_| if scope == "all" { "configured" } else { "set" }.to_owned()),
        spent_usd: spent,
        reserved_usd: 2.0,
        remaining_usd: limit.map(|it| (it - spent - 2.0).max(0.0)),
        usage_percent: limit.map(|it| spent / it * 100.0),
        state: limit.map(|it| state(spent, it).to_owned()),
        burn_usd_per_hour: 3.0,
        ..CeilingView::default()
    };
    let reached_at = (spent_usd < 30.0).then_some(Timestamp(NOW.0 + 4_320_000));
    BudgetView {
        at: NOW,
        ceilings: vec![
            CeilingView { reached_at, ..one("all", spent_usd, Some(30.0)) },
            CeilingView {
                renews_at: Some(Timestamp(NOW.0 + 34_073_000)),
                ..one("day", spent_usd / 2.0, Some(50.0))
            },
            CeilingView { host: Some("local".to_owned()), ..one("host", spent_usd, None) },
        ],
        warning_threshold: 0.8,
        on_exceeded: Some(OnExceeded::Park),
        burn_usd_per_hour: 3.0,
        compute_usd_per_hour: 1.2,
        bars_usd: vec![0.0, 0.0, 0.1, 0.2, 0.1, 0.0, 0.0, 0.3, 0.2, 0.1, 0.2, 0.4],
        sources: SourcesView {
            reported_usd: spent_usd - 1.0,
            metered_usd: 1.0,
            estimated_usd: 0.0,
        },
        tasks: 13,
        parked: 0,
        overshoot: "one response of each session that works".to_owned(),
        ..BudgetView::default()
    }
}

/// Returns where figures come from.
pub fn sources() -> Sources {
    let price =
        |host: &str, unit: &str, usd_per_hour, source: &str, date: Option<&str>| PriceView {
            host: host.to_owned(),
            unit: unit.to_owned(),
            usd_per_hour,
            source: source.to_owned(),
            date: date.map(str::to_owned),
        };
    let estimate = |kind: &str, tasks, history: Option<(f64, f64)>| EstimateOf {
        task_kind: kind.to_owned(),
        tasks,
        median_usd: history.map(|it| it.0),
        high_usd: history.map(|it| it.1),
    };
    let own = "configuration: local.cost_per_hour";
    let listed = "https://modal.com/pricing";
    Sources {
        prices: vec![
            price("local", "worker", 30.0, own, None),
            price("modal", "core", 0.141_912, listed, Some("2026-10-08")),
            price("modal", "H100", 3.9492, listed, Some("2026-10-08")),
        ],
        estimates: vec![estimate("generic", 12, Some((0.4, 2.1))), estimate("test", 2, None)],
        reserve_usd: 1.0,
    }
}

/// Returns costs by task, the dearest first.
pub fn costs() -> Costs {
    let row = |id: &str, name: &str, model_usd: f64, cpu_usd: f64| CostRow {
        key: format!("task-{id}"),
        name: name.to_owned(),
        tasks: 1,
        model_usd,
        cpu_usd,
        total_usd: model_usd + cpu_usd,
        sources: SourcesView { reported_usd: model_usd, metered_usd: cpu_usd, estimated_usd: 0.0 },
        tokens: TokensView { input: 41_000, output: 7_300, ..TokensView::default() },
        ..CostRow::default()
    };
    let rows = vec![
        row("cccc2222", "train-small-lm", 6.0, 1.2),
        row("aaaa2222", "fix-auth-race", 4.31, 0.0),
        row("dddd2222", "port-to-axum", 2.12, 0.0),
        row("zzzz2222", "deleted-one", 0.0, 0.4),
    ];
    let total = CostRow {
        tasks: 4,
        model_usd: 12.43,
        cpu_usd: 1.6,
        total_usd: 14.03,
        sources: SourcesView { reported_usd: 12.43, metered_usd: 1.6, estimated_usd: 0.0 },
        ..CostRow::default()
    };
    Costs { rows, total, from: None, to: None }
}

/// Returns a task without a session.
pub fn finished(id: &str, name: &str, state: &str) -> TaskView {
    TaskView {
        state: state.to_owned(),
        activity: None,
        activity_since: None,
        session: None,
        reachable: None,
        reason: (state != "COMPLETED").then(|| "as it says".to_owned()),
        since: Timestamp(NOW.0 - 3_600_000),
        created_at: Timestamp(NOW.0 - 7_200_000),
        ..task(id, name)
    }
}

/// Returns an open permission question.
pub fn ask(id: &str, summary: &str) -> AskView {
    AskView {
        id: id.to_owned(),
        kind: "permission".to_owned(),
        tool: "Bash".to_owned(),
        summary: summary.to_owned(),
        options: Vec::new(),
        since: NOW,
    }
}

/// Returns a checkpoint of the first task of the [`fleet`], made so many minutes ago.
pub fn checkpoint(id: &str, minutes: i64, trigger: Trigger) -> CheckpointView {
    CheckpointView {
        id: format!("cp-{id}"),
        task: "task-aaaa2222".to_owned(),
        task_name: "fix-auth-race".to_owned(),
        at: Timestamp(NOW.0 - minutes * 60_000),
        trigger,
        label: None,
        pinned: false,
        parent: Some("cp-before22".into()),
        provider: "local".to_owned(),
        workspace: "/home/ann/.local/state/parhelia/runs/task-aaaa2222/work".to_owned(),
        change: ChangeView {
            added: 1,
            modified: 2,
            deleted: 0,
            lines_added: 86,
            lines_removed: 14,
        },
        files: 412,
        bytes: 12_300_000,
        left_out: 2,
        stored_bytes: Some(2_100_000),
        damage: None,
        conversation: Some("7f1d9e0c-0000-4000-8000-000000000000".to_owned()),
        branch: Some("parhelia/task-aaaa2222".to_owned()),
        head: Some("4f1c2ab0000000000000000000000000000000aa".to_owned()),
        turns: 41,
        tokens: TokensView { input: 1200, output: 800, ..TokensView::default() },
        cost_usd: 4.31,
        cost_source: "reported".to_owned(),
    }
}

/// Returns the requests among effects, in words, with the numbers their answers need.
pub fn requests(effects: &[Effect]) -> Vec<(RequestId, String)> {
    let request = |it: &Effect| match it {
        Effect::Ask { id, ask: Ask::Request(request) } => Some((*id, format!("{request:?}"))),
        _ => None,
    };
    effects.iter().filter_map(request).collect()
}

/// Answers the one request among effects.
pub fn answer(model: &mut Model, effects: &[Effect], reply: Reply) -> Vec<Effect> {
    let asked = requests(effects);
    assert_eq!(asked.len(), 1, "{asked:?}");
    send(model, Msg::Answered { id: asked[0].0, result: Ok(reply) })
}

/// Returns a task that works.
pub fn task(id: &str, name: &str) -> TaskView {
    TaskView {
        id: format!("task-{id}"),
        name: name.to_owned(),
        state: "RUNNING".to_owned(),
        since: NOW,
        reason: None,
        activity: Some(Activity::Working),
        activity_since: Some(NOW),
        because: Some("a prompt was submitted and no end was seen".to_owned()),
        asks: Vec::new(),
        last: "thinking".to_owned(),
        prompt: "find the race, add a test, then clean up".to_owned(),
        prompt_bytes: 40,
        created_at: NOW,
        kind: "generic".to_owned(),
        priority: 0,
        provider: Some("local".to_owned()),
        worker: Some("worker-aaaa2222".to_owned()),
        session: Some(format!("ph-task-{id}")),
        reachable: Some(true),
        viewers: 0,
        attempts: 1,
        source: "/home/ann/src/shop".to_owned(),
        workspace: Some(format!("/home/ann/.local/state/parhelia/runs/task-{id}/work")),
        run_dir: Some(format!("/home/ann/.local/state/parhelia/runs/task-{id}")),
        branch: Some(format!("parhelia/task-{id}")),
        isolation: "worktree".to_owned(),
        conversation: Some("7f1d9e0c-0000-4000-8000-000000000000".to_owned()),
        permission_mode: "acceptEdits".to_owned(),
        model: None,
        interactive: false,
        gpu: None,
        memory_gb: None,
        cpu: None,
        timeout_seconds: None,
        idle_timeout_seconds: None,
        env: Vec::new(),
        cost_usd: 0.1,
        cost_source: "reported".to_owned(),
        model_cost_usd: 0.0,
        compute_usd_per_hour: 0.0,
        metered_until: None,
        max_cost_usd: None,
        tokens: TokensView { source: "estimated".to_owned(), ..TokensView::default() },
        turns: 1,
        context_percent: Some(71),
        lines_added: 86,
        lines_removed: 14,
        answer_bytes: None,
        checkpoints: 0,
        last_checkpoint: None,
        checkpoint_failed: None,
        forked_from: None,
    }
}

/// Sends a message.
pub fn send(model: &mut Model, msg: Msg) -> Vec<Effect> {
    update(model, msg, NOW)
}

/// Presses keys by their names.
pub fn press(model: &mut Model, keys: &[&str]) -> Vec<Effect> {
    let key = |name: &&str| keymap::parse(name).unwrap_or_else(|| panic!("no key `{name}`"));
    let mut effects = Vec::new();
    for key in keys.iter().map(key) {
        effects.extend(send(model, Msg::Input(Input::Key(key))));
    }
    effects
}

/// Types text, a key a character.
pub fn type_text(model: &mut Model, text: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    for c in text.chars() {
        let key = Key { phase: Phase::Press, ..Key::char(c) };
        effects.extend(send(model, Msg::Input(Input::Key(key))));
    }
    effects
}

/// Returns what the topmost popup draws, over nothing, as [`screen`] does.
pub fn popup_screen(model: &Model) -> String {
    let (cols, rows) = model.shared.size;
    let area = Rect::new(0, 0, cols, rows);
    let mut canvas = Canvas::new(area);
    if let Some(it) = model.popups.last() {
        crate::tui::popup::view(it, &model.shared, &model.calls, area, &mut canvas);
    }
    text_of(&canvas)
}

/// Returns the screen as text, one line a row, without trailing spaces.
pub fn screen(model: &Model) -> String {
    let (cols, rows) = model.shared.size;
    let mut canvas = Canvas::new(Rect::new(0, 0, cols, rows));
    view(model, &mut canvas);
    text_of(&canvas)
}

fn text_of(canvas: &Canvas) -> String {
    let (cols, rows) = (canvas.area().width, canvas.area().height);
    let mut text = String::new();
    for y in 0..rows {
        let mut line = String::new();
        let mut skip = 0;
        for x in 0..cols {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            let symbol = canvas.buf[(x, y)].symbol();
            skip = unicode_width::UnicodeWidthStr::width(symbol).saturating_sub(1);
            line.push_str(symbol);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
