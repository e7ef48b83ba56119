//! What a task would do, said without doing it.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    agent::launch::session_argv,
    api::{budget::Estimate, error::ApiError, types::DryRun},
    dispatcher::{
        estimate,
        http::App,
        launch,
        plan::admission,
        world::{Draft, World},
    },
    domain::{
        ids::WorkerId,
        ledger::hourly,
        task::{Place, Task},
    },
    shell::Command,
    stdx::time::Timestamp,
};

/// Says what launching `task` on the provider `target` would do.
///
/// # Errors
///
/// As launching would: no such workspace, no Claude there, the host does not answer.
pub async fn run(
    app: &Arc<App>,
    task: &Task,
    prompt: &[u8],
    target: &str,
    waits: Option<String>,
    estimate: Estimate,
) -> Result<DryRun, ApiError> {
    let requirements = &task.spec.requirements;
    let place = Place {
        worker: WorkerId::random(),
        provider: target.to_owned(),
        run_dir: None,
        workspace: None,
        branch: None,
    };
    let worker = app.hosts.worker(&place, requirements).await?;
    let plan = launch::workspace(&worker, task).await?;
    let conversation = "00000000-0000-4000-8000-000000000000";
    let prepared = launch::Prepared {
        workspace: plan.workspace.clone(),
        prompt: Some(prompt.to_vec()),
        env: BTreeMap::new(),
        version: None,
        user_status_line: None,
        key_by_helper: false,
    };
    let spec = launch::spec(&app.settings, &worker, task, 1, conversation, prepared);
    let mut session =
        Command::new(["tmux", "-L", &app.home.tmux_socket, "new-session", "-d", "-s"]);
    session = session.arg(task.id.session_name().as_str()).arg("--");
    session.argv.extend(session_argv(&spec));
    let mut commands: Vec<String> = plan.commands.iter().map(Command::display).collect();
    commands.push(session.display());
    commands.push(Command::new(spec.full_argv()).display());
    Ok(DryRun {
        target: target.to_owned(),
        waits,
        workspace: plan.workspace.to_string(),
        notes: plan.notes,
        commands,
        price_per_hour_usd: hourly(&app.hosts.provider(target)?.prices(requirements)).dollars(),
        estimate,
    })
}

/// Returns what `task` is thought to cost, what it would reserve on the provider `target`, and
/// whether it could begin there by the budget.
pub fn estimate(world: &World, task: &Task, target: &str, now: Timestamp) -> Estimate {
    let guess = estimate::estimate(world, task.spec.kind);
    let (need, admission) = admission(&Draft::new(world), task, target, now);
    Estimate {
        tasks: guess.tasks as u64,
        median_usd: guess.history.map(|it| it.median.dollars()),
        high_usd: guess.history.map(|it| it.high.dollars()),
        reserve_usd: need.dollars(),
        text: guess.text(task.spec.kind),
        refused: admission.reason().map(str::to_owned),
    }
}
