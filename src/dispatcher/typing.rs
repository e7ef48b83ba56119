//! Typing into a session, and waiting for Claude's word that it arrived.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::{
    agent::{
        deliver::{self, Screen},
        launch::ARGUMENT_MAX,
        prompt::{Meaning, confirms, meaning},
    },
    api::error::ApiError,
    dispatcher::{
        Crew,
        decide::Command,
        session::{Live, host_error},
    },
    domain::{
        activity::Activity,
        event::{Delivery, EventBody},
        evidence::Turn,
        ids::TaskId,
        task::{Next, Task},
    },
    shell::ShellError,
    stdx::text::one_line,
    tmux::{Capture, Tmux, TmuxError},
};

/// How long Claude may take to confirm a prompt; a megabyte takes it seconds.
const CONFIRMED: Duration = Duration::from_secs(10);
/// How long Claude may take to show its first input box.
const READY: Duration = Duration::from_secs(120);

/// A prompt that Claude took, whole, with the task it is of.
pub type Submitted = Arc<(TaskId, String)>;

/// tmux as something to type on.
pub struct Typist<'a>(pub &'a Tmux);

#[async_trait]
impl Screen for Typist<'_> {
    async fn capture(&self, session: &str) -> Result<String, ShellError> {
        let capture = Capture { history: false, escapes: true };
        let bytes = self.0.capture(session, capture).await.map_err(shell_error)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    async fn paste(&self, session: &str, text: &[u8]) -> Result<(), ShellError> {
        self.0.paste(session, text).await.map_err(shell_error)
    }

    async fn send_keys(&self, session: &str, keys: &[&str]) -> Result<(), ShellError> {
        self.0.send_keys(session, keys).await.map_err(shell_error)
    }
}

fn shell_error(error: TmuxError) -> ShellError {
    match error {
        TmuxError::Shell(error) => error,
        TmuxError::NoSession { ref host, .. } | TmuxError::Refused { ref host, .. } => {
            ShellError::Other { host: host.clone(), detail: error.to_string() }
        }
        TmuxError::BadName { .. } => {
            ShellError::Other { host: "tmux".to_owned(), detail: error.to_string() }
        }
    }
}

/// Types a prompt and waits for Claude's confirmation; returns what became of it, and why.
///
/// # Errors
///
/// If the host does not answer.
pub async fn say(
    live: &Live,
    id: &TaskId,
    text: &str,
    mut confirmed: Receiver<Submitted>,
) -> Result<(Delivery, String), ApiError> {
    let typed = deliver::type_prompt(&Typist(&live.tmux), &live.name, text).await;
    let typed = typed.map_err(|it| host_error(&it))?;
    if typed.outcome != Delivery::Typed || !typed.reason.is_empty() {
        return Ok((typed.outcome, typed.reason));
    }
    if meaning(text) == Meaning::Command {
        return Ok((Delivery::Submitted, "a command, which Claude does not confirm".to_owned()));
    }
    let word = async {
        loop {
            match confirmed.recv().await {
                Ok(it) if it.0 == *id && confirms(text, &it.1) => return Some(it.1.clone()),
                Ok(_) | Err(RecvError::Lagged(_)) => (),
                Err(RecvError::Closed) => return None,
            }
        }
    };
    Ok(match tokio::time::timeout(CONFIRMED, word).await {
        Ok(Some(arrived)) => (Delivery::Submitted, changes(text, &arrived)),
        _ => (Delivery::Typed, "Claude took it and did not confirm it".to_owned()),
    })
}

/// Says what Claude's input box made of a text, if not the same text.
fn changes(sent: &str, arrived: &str) -> String {
    let mut out = Vec::new();
    if arrived.contains("<pasted_content") {
        out.push("Claude marked it as pasted");
    }
    if sent.contains('\t') && !arrived.contains('\t') {
        out.push("its input box turned tabs into spaces");
    }
    if sent.chars().any(|it| it.is_control() && !"\n\t".contains(it)) {
        out.push("it dropped control characters");
    }
    out.join(", ")
}

/// Pastes the first prompt of a launch, if it was too long for an argument and is not there yet.
pub async fn first_prompt(crew: &Crew, task: &Task) {
    let wanted = match task.next {
        Next::Fresh | Next::Resume { with_prompt: true } => true,
        Next::Resume { with_prompt: false } => false,
    };
    if !wanted {
        return;
    }
    let Ok(Some(prompt)) = crew.store.prompt(&task.id).await else { return };
    if prompt.len() <= ARGUMENT_MAX {
        return;
    }
    let text = String::from_utf8_lossy(&prompt).into_owned();
    let outcome = match tokio::time::timeout(READY, until_ready(crew, &task.id)).await {
        Ok(false) => return,
        Ok(true) => {
            let Ok(live) = Live::open(&crew.hosts, task).await else { return };
            say(&live, &task.id, &text, crew.hosts.prompts()).await
        }
        Err(_) => Ok((Delivery::NotDelivered, "Claude showed no input box".to_owned())),
    };
    let (outcome, detail) = outcome.unwrap_or_else(|it| (Delivery::NotDelivered, it.to_string()));
    let head = one_line(&text, 200);
    let mut bodies = vec![EventBody::PromptSent { head, outcome }];
    if !detail.is_empty() {
        bodies.push(EventBody::Noted { text: format!("the first prompt: {detail}") });
    }
    for body in bodies {
        let _ = crew.core.command(Command::Record { id: task.id.clone(), body }).await;
    }
}

/// Waits until a session waits for its first prompt; false if it had one already, or is gone.
async fn until_ready(crew: &Crew, id: &TaskId) -> bool {
    let mut events = crew.core.subscribe();
    loop {
        let wanted = id.clone();
        let stands = crew.core.read(move |world| {
            let session = world.task(&wanted)?.state.session()?;
            let turn = session.evidence.turn.as_ref().map_or(Turn::None, |it| it.what.clone());
            Some((session.verdict().activity, turn))
        });
        match stands.await {
            Ok(Some((Activity::Idle, Turn::None))) => return true,
            Ok(Some((_, Turn::None))) => (),
            _ => return false,
        }
        if matches!(events.recv().await, Err(RecvError::Closed)) {
            return false;
        }
    }
}
