//! The demo's tasks: together they show every state a task can be in.

use std::time::Duration;

use tokio::time::timeout;

use crate::{
    api::{
        client::{Client, Feed},
        error::ApiError,
        types::{CreateTask, Stop},
        view::TaskView,
    },
    cli::{context::Context, create::caller_env},
    domain::{
        activity::Activity,
        task::{Gpu, PermissionMode, TaskKind},
    },
};

/// Workers at once. Seven tasks go on for long, so that the eighth stays in the queue.
pub const WORKERS: u32 = 7;

/// How long the task that is to be killed may take to be at work.
const KILL_LIMIT: Duration = Duration::from_secs(30);

/// The task that reaches the most it may cost, which is so much, and is parked.
const CAPPED: &str = "refactor-orm";
const CAP_USD: f64 = 2.0;

/// The task that is killed as soon as it works.
const VICTIM: &str = "old-spike";

/// A task of the demo. What its session does is in `scenes.sh`, by its name.
struct Seed {
    name: &'static str,
    kind: TaskKind,
    priority: i32,
    prompt: &'static str,
}

const fn seed(name: &'static str, kind: TaskKind, priority: i32, prompt: &'static str) -> Seed {
    Seed { name, kind, priority, prompt }
}

/// In the order they are submitted. Those that end soon go first, since the others need their
/// places; the last one waits for one.
const SEEDS: [Seed; 13] = [
    seed("train-small-lm", TaskKind::Generic, 0, "Train the small model for eight epochs."),
    seed("rename-crate", TaskKind::Refactor, 9, "Rename harbour to haven, everywhere."),
    seed("migrate-ci", TaskKind::Build, 9, "Move the CI to the new runners."),
    seed(CAPPED, TaskKind::Refactor, 9, "Take the queries out of the handlers."),
    seed(VICTIM, TaskKind::Generic, 9, "See whether the other parser would be faster."),
    seed(
        "fix-auth-race",
        TaskKind::CodeFix,
        5,
        "Find the race in src/auth/session.rs, add a test for it, then clean up what the build left.",
    ),
    seed(
        "docs-rewrite",
        TaskKind::Generic,
        5,
        "The guide and the manual say the same. Make one of them.",
    ),
    seed("sql-indexes", TaskKind::Generic, 5, "Plan the indexes that the orders table lacks."),
    seed("review-pr-812", TaskKind::Generic, 5, "Review PR 812."),
    seed("port-to-axum", TaskKind::Refactor, 3, "Port the routes to axum, one by one."),
    seed("flaky-e2e", TaskKind::Test, 2, "The login test fails now and then. Find out why."),
    seed("bump-deps", TaskKind::Build, 1, "Bring all dependencies up to date."),
    seed("fuzz-lexer", TaskKind::Test, -1, "Fuzz the lexer for an hour."),
];

/// Submits the tasks, and returns the id of the one that is to be killed.
pub async fn submit(context: &Context, client: &Client) -> Result<String, ApiError> {
    let mut victim = String::new();
    for seed in &SEEDS {
        let created = client.create_task(&request(context, seed)?).await?;
        if seed.name == VICTIM {
            victim = created.task.id;
        }
    }
    Ok(victim)
}

fn request(context: &Context, seed: &Seed) -> Result<CreateTask, ApiError> {
    let dirs = &context.setup.dirs;
    let project = dirs.state.with_file_name("project");
    let plans = seed.name == "sql-indexes";
    Ok(CreateTask {
        prompt: seed.prompt.to_owned(),
        name: Some(seed.name.to_owned()),
        kind: Some(seed.kind),
        // This machine has none, so no worker fits.
        gpu: (seed.name == "train-small-lm").then_some(Gpu::H100),
        workspace: project.to_string_lossy().into_owned(),
        max_cost_usd: (seed.name == CAPPED).then_some(CAP_USD),
        // Stays open when its turn has ended, and waits for a prompt.
        interactive: seed.name == "review-pr-812",
        permission_mode: Some(if plans { PermissionMode::Plan } else { PermissionMode::Manual }),
        priority: Some(seed.priority),
        caller_env: caller_env(&context.setup.settings)?,
        ..CreateTask::default()
    })
}

/// Ends the session of task `id` as soon as it works.
pub async fn kill_once_it_works(client: Client, id: String) {
    let works = |task: &TaskView| task.id == id && task.activity == Some(Activity::Working);
    let until_it_works = async {
        let mut feed = client.feed(None).await?;
        while let Some(frame) = feed.next().await? {
            let seen = match &frame {
                Feed::Snapshot(it) => it.tasks.iter().any(works),
                Feed::Event(it) => it.view.as_deref().is_some_and(works),
                Feed::Budget(_) => false,
            };
            if seen {
                break;
            }
        }
        client.stop(&id, &Stop::default()).await
    };
    // If it cannot be killed the demo lacks one state, which is no reason to end it.
    if let Ok(Err(error)) = timeout(KILL_LIMIT, until_it_works).await {
        tracing::debug!(%error, "the demo's task was not killed");
    }
}
