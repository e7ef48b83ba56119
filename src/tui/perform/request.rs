//! What the dispatcher is asked.

use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::{
    api::{
        client::{CheckpointsQuery, Client, HistoryQuery, budget::CostsQuery},
        error::ApiError,
        types::{CreateTask, Env, Prompt, Stop, Unpark},
    },
    tui::{effect::Request, msg::Reply, perform::connected},
};

/// Sends a request and returns its answer. What the caller's environment holds for a task is
/// added here, so that it is nowhere before.
#[expect(clippy::cognitive_complexity, reason = "one arm a request, all alike")]
pub async fn send(
    client: watch::Receiver<Option<Client>>,
    request: Request,
    caller_env: &Mutex<Env>,
) -> Result<Reply, ApiError> {
    let client = connected(client).await?;
    let env = || caller_env.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let create = |it: CreateTask| CreateTask { caller_env: env(), ..it };
    Ok(match request {
        Request::Create(it) => Reply::Created(Box::new(client.create_task(&create(*it)).await?)),
        Request::DryRun(it) => Reply::DryRun(client.dry_run(&create(*it)).await?),
        Request::Task { id } => Reply::Task(Box::new(client.task(&id).await?)),
        Request::Stop { id } => Reply::Task(Box::new(client.stop(&id, &Stop::default()).await?)),
        Request::Retry { id, mut retry } => {
            retry.caller_env = env();
            Reply::Task(Box::new(client.retry(&id, &retry).await?))
        }
        Request::Delete { id } => Reply::Task(Box::new(client.delete(&id).await?)),
        Request::Prompt { id, text } => {
            Reply::Sent(Box::new(client.prompt(&id, &Prompt { text }).await?))
        }
        Request::Interrupt { id } => Reply::Sent(Box::new(client.interrupt(&id).await?)),
        Request::Answer { id, answer } => Reply::Sent(Box::new(client.answer(&id, &answer).await?)),
        Request::Why { id } => Reply::Why(Box::new(client.why(&id).await?)),
        Request::Losses { id } => Reply::Losses(Box::new(client.losses(&id).await?)),
        Request::Diff { id } => Reply::Diff(Box::new(client.diff(&id).await?)),
        Request::PromptText { id } => Reply::Text(Some(client.prompt_text(&id).await?)),
        Request::AnswerText { id } => Reply::Text(client.answer_text(&id).await?),
        Request::History { task, limit } => {
            let query = HistoryQuery { task, limit: Some(limit), ..HistoryQuery::default() };
            Reply::Events(client.history(&query).await?)
        }
        Request::Status => Reply::Status(Box::new(client.status().await?)),
        Request::Checkpoint { id, what } => {
            Reply::Checkpoint(Box::new(client.checkpoint(&id, &what).await?))
        }
        Request::Checkpoints { task } => {
            let query = CheckpointsQuery { task: Some(task), ..CheckpointsQuery::default() };
            Reply::Checkpoints(Box::new(client.checkpoints(&query).await?))
        }
        Request::CheckpointDetail { id } => {
            Reply::CheckpointDetail(Box::new(client.checkpoint_detail(&id).await?))
        }
        Request::CheckpointFiles { id } => {
            Reply::CheckpointFiles(Box::new(client.checkpoint_files(&id).await?))
        }
        Request::CheckpointDiff { id, to } => {
            Reply::CheckpointDiff(Box::new(client.checkpoint_diff(&id, &to).await?))
        }
        Request::Restore { id, how } => Reply::Restored(Box::new(client.restore(&id, &how).await?)),
        Request::Fork { id, mut how } => {
            how.caller_env = env();
            Reply::Created(Box::new(client.fork(&id, &how).await?))
        }
        Request::EditCheckpoint { id, edit } => {
            Reply::Checkpoint(Box::new(client.edit_checkpoint(&id, &edit).await?))
        }
        Request::DeleteCheckpoint { id } => {
            Reply::Checkpoint(Box::new(client.delete_checkpoint(&id).await?))
        }
        Request::Resume { id, mut how } => {
            how.caller_env = env();
            Reply::Task(Box::new(client.resume(&id, &how).await?))
        }
        Request::Recovery { id } => Reply::Recovery(Box::new(client.recovery(&id).await?)),
        Request::SetBudget(it) => Reply::Budget(Box::new(client.set_budget(&it).await?)),
        Request::Costs { by, from, to } => {
            let query = CostsQuery { by, from, to };
            Reply::Costs(Box::new(client.costs(&query).await?))
        }
        Request::TaskCosts { id } => Reply::TaskCosts(Box::new(client.task_costs(&id).await?)),
        Request::Sources => Reply::Sources(Box::new(client.budget_sources().await?)),
        Request::TaskTurns { id } => Reply::TaskTurns(Box::new(client.task_turns(&id).await?)),
        Request::Park { id } => Reply::Task(Box::new(client.park(&id).await?)),
        Request::Unpark { id } => {
            let how = Unpark { caller_env: env(), ..Unpark::default() };
            Reply::Task(Box::new(client.unpark(&id, &how).await?))
        }
    })
}
