//! Events in a person's words.

use crate::domain::{
    event::{Connection, EventBody},
    evidence::{Observation, RegistryStatus},
    task::Next,
};

impl EventBody {
    /// Returns what happened as one line.
    pub fn describe(&self) -> String {
        match self {
            EventBody::Created { task } => format!("submitted: {}", task.name),
            EventBody::Queued => "queued".into(),
            EventBody::Held { reason } => format!("waits: {reason}"),
            EventBody::Dispatched { worker, provider, attempt, .. } => {
                format!("dispatched to {provider} as {worker}, launch {attempt}")
            }
            EventBody::Placed { workspace, branch, .. } => match branch {
                Some(branch) => format!("workspace {workspace} on branch {branch}"),
                None => format!("workspace {workspace}"),
            },
            EventBody::Launched => "session started".into(),
            EventBody::DispatchFailed { reason } => format!("dispatch failed: {reason}"),
            EventBody::Observed { observation } => observation.describe(),
            EventBody::CostReported { total, .. } => format!("cost {total} so far"),
            EventBody::TokensCounted { tokens, .. } => {
                format!("{} tokens in, {} out", tokens.input + tokens.cache_read, tokens.output)
            }
            EventBody::Metered => "worker charged for up to now".into(),
            EventBody::ClockTurned { by_ms } => {
                format!("the clock was turned by {} s, which is not charged", by_ms / 1000)
            }
            EventBody::Capped { max_cost: Some(limit) } => format!("may cost {limit} at most"),
            EventBody::Capped { max_cost: None } => "has no ceiling of its own any more".into(),
            EventBody::PromptSent { head, outcome } => {
                format!("prompt {}: {head}", outcome.as_str())
            }
            EventBody::Answered { answer, outcome, .. } => {
                format!("answer {}: {answer}", outcome.as_str())
            }
            EventBody::Interrupted { outcome } => format!("interrupt {}", outcome.as_str()),
            EventBody::StopRequested { cause } => format!("told to end: {cause}"),
            EventBody::Completed => "completed; the session stays open".into(),
            EventBody::Failed { reason } => format!("failed: {reason}"),
            EventBody::SessionEnded { code: Some(code), .. } => {
                format!("session ended with status {code}")
            }
            EventBody::SessionEnded { code: None, detail, .. } => format!("session lost: {detail}"),
            EventBody::Released { worker } => format!("{worker} given back"),
            EventBody::Reopened => "reopened".into(),
            EventBody::Retried { next: Next::Fresh } => "retried from the start".into(),
            EventBody::Retried { next: Next::Resume { .. } } => "resumed".into(),
            EventBody::Viewing { count: 0 } => "nobody attached any more".into(),
            EventBody::Viewing { count } => format!("{count} attached"),
            EventBody::ContactChanged { connection: Connection::Lost } => {
                "its host does not answer".into()
            }
            EventBody::ContactChanged { connection: Connection::Regained } => {
                "its host answers again".into()
            }
            EventBody::AnswerKept { bytes } => format!("final answer kept, {bytes} bytes"),
            EventBody::Deleted => "deleted".into(),
            EventBody::Noted { text } => text.clone(),
            EventBody::CheckpointMade { .. }
            | EventBody::CheckpointHeld { .. }
            | EventBody::CheckpointFailed { .. }
            | EventBody::CheckpointLabelled { .. }
            | EventBody::CheckpointPinned { .. }
            | EventBody::CheckpointDamaged { .. }
            | EventBody::CheckpointDeleted { .. } => self.describe_checkpoint(),
            EventBody::Restored { checkpoint, workspace, files, .. } => {
                format!("restored {checkpoint} in {workspace}: {files} files changed")
            }
            EventBody::Rehomed { workspace } => format!("works in {workspace} from now on"),
        }
    }

    fn describe_checkpoint(&self) -> String {
        match self {
            EventBody::CheckpointMade { checkpoint } => {
                let change = &checkpoint.change;
                let (id, trigger) = (&checkpoint.id, checkpoint.trigger);
                format!(
                    "checkpoint {id} ({trigger}) +{} -{}",
                    change.lines_added, change.lines_removed
                )
            }
            EventBody::CheckpointHeld { id, bytes } => {
                format!("checkpoint {id} is safe on this machine, {bytes} bytes more")
            }
            EventBody::CheckpointFailed { trigger, detail } => {
                format!("no checkpoint ({trigger}): {detail}")
            }
            EventBody::CheckpointLabelled { id, label: Some(label) } => {
                format!("checkpoint {id} is called {label}")
            }
            EventBody::CheckpointLabelled { id, label: None } => {
                format!("checkpoint {id} has no name any more")
            }
            EventBody::CheckpointPinned { id, pinned: true } => format!("checkpoint {id} pinned"),
            EventBody::CheckpointPinned { id, pinned: false } => {
                format!("checkpoint {id} not pinned any more")
            }
            EventBody::CheckpointDamaged { id, detail: Some(detail) } => {
                format!("checkpoint {id} is damaged: {detail}")
            }
            EventBody::CheckpointDamaged { id, detail: None } => {
                format!("checkpoint {id} is whole")
            }
            EventBody::CheckpointDeleted { id, why } => format!("checkpoint {id} deleted: {why}"),
            _ => String::new(),
        }
    }
}

impl Observation {
    /// Returns what was seen as one line.
    pub fn describe(&self) -> String {
        match self {
            Observation::ConversationStarted { source, .. } => {
                format!("conversation began ({source})")
            }
            Observation::PromptSubmitted { head, injected: false, .. } => format!("prompt: {head}"),
            Observation::PromptSubmitted { head, injected: true, .. } => {
                format!("Claude's own prompt: {head}")
            }
            Observation::ToolStarted { tool, summary, .. } => format!("{tool} {summary}"),
            Observation::ToolEnded { tool, ok: true, .. } => format!("{tool} done"),
            Observation::ToolEnded { tool, ok: false, .. } => format!("{tool} failed"),
            Observation::Asked { ask } => format!("asks: {} {}", ask.tool, ask.summary),
            Observation::Notified { message, .. } => format!("says: {message}"),
            Observation::TurnEnded { background: 0, message, .. } => {
                format!("turn ended: {message}")
            }
            Observation::TurnEnded { background, .. } => {
                format!("turn ended, {background} background tasks go on")
            }
            Observation::TurnFailed { error, message } => {
                format!("turn failed ({error}): {message}")
            }
            Observation::SubagentStarted { .. } => "subagent started".into(),
            Observation::SubagentEnded { .. } => "subagent ended".into(),
            Observation::Compacting { done: false } => "compacting".into(),
            Observation::Compacting { done: true } => "compacted".into(),
            Observation::ConversationEnded { reason } => format!("conversation ended ({reason})"),
            Observation::Registry { registry } => {
                let word = match registry.status {
                    RegistryStatus::Busy => "busy",
                    RegistryStatus::Idle => "idle",
                    RegistryStatus::Waiting => "waiting",
                    RegistryStatus::Shell => "running a shell",
                    RegistryStatus::Unknown => "something unknown",
                };
                match &registry.waiting_for {
                    Some(what) => format!("registry says {word} for {what}"),
                    None => format!("registry says {word}"),
                }
            }
            Observation::RegistryGone => "registry file gone".into(),
            Observation::ProcessStarted { pid } => format!("claude is process {pid}"),
            Observation::Exited { code, .. } => format!("claude exited with status {code}"),
            Observation::SessionGone { detail } => format!("session gone: {detail}"),
            Observation::DialogSeen { name, .. } => format!("a dialog is on screen: {name}"),
            Observation::DialogGone => "the dialog is gone".into(),
        }
    }
}
