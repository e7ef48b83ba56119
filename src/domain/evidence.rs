//! What was seen of a session, piece by piece, each with its time.
//!
//! Four witnesses report: Claude's hooks, its registry file, the process with its exit status,
//! and the screen. None is enough alone: no hook fires on an interrupt, on a "No" or on kill -9,
//! and the registry does not know first-run dialogs (Claude Code 2.1.329, measured). What they
//! mean together is [`crate::domain::activity`]'s business.

use serde::{Deserialize, Serialize};

use crate::{
    domain::{ask::Ask, ids::HostPath},
    stdx::time::Timestamp,
};

/// One piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case", tag = "seen")]
pub enum Observation {
    /// Hook: a conversation began, was resumed, cleared or compacted (`source` says which).
    ConversationStarted { source: String, conversation: String, transcript: Option<HostPath> },
    /// Hook: a prompt was submitted or queued. `injected` prompts come from Claude itself.
    /// `id` is Claude's id of the turn that is current then: the prompt's own, or for a queued
    /// prompt that of the turn it waits for.
    PromptSubmitted {
        head: String,
        bytes: u64,
        injected: bool,
        #[serde(default)]
        id: Option<String>,
    },
    /// Hook: a tool is about to run.
    ToolStarted { tool: String, summary: String, agent: Option<String> },
    /// Hook: a tool finished.
    ToolEnded { tool: String, ok: bool, agent: Option<String> },
    /// Hook: a dialog opened and a hook waits for its answer.
    Asked { ask: Ask },
    /// Hook: Claude notified the person.
    Notified { kind: String, message: String },
    /// Hook: a turn ended; `background` tasks of it still run.
    TurnEnded {
        background: u32,
        message: String,
        #[serde(default)]
        id: Option<String>,
    },
    /// Hook: a turn ended by an API failure.
    TurnFailed { error: String, message: String },
    /// Hook: a subagent began.
    SubagentStarted { agent: String },
    /// Hook: a subagent ended.
    SubagentEnded { agent: String },
    /// Hook: compaction began or ended.
    Compacting { done: bool },
    /// Hook: the conversation ended (`reason` as Claude gives it).
    ConversationEnded { reason: String },
    /// Registry: Claude's own word on what it does.
    Registry { registry: Registry },
    /// Registry: the file is gone.
    RegistryGone,
    /// The launch script said which process it became.
    ProcessStarted { pid: u32 },
    /// The launch script wrote down how Claude ended.
    Exited { code: i32, tail: String },
    /// No such tmux session, and no word on how it ended.
    SessionGone { detail: String },
    /// Screen: a dialog that no hook tells of.
    DialogSeen { name: String, excerpt: String },
    /// Screen: the dialog seen before is no longer there.
    DialogGone,
}

/// What Claude's registry file `sessions/<pid>.json` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registry {
    /// `busy`, `idle`, `waiting`, `shell`; another word is treated as unknown.
    pub status: RegistryStatus,
    /// With `waiting`: for what, in Claude's words.
    pub waiting_for: Option<String>,
    /// The conversation the process is in.
    pub conversation: Option<String>,
    /// When Claude last changed the status, by the host's clock in milliseconds.
    pub updated_at: Option<i64>,
}

/// The registry's status word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RegistryStatus {
    /// A turn runs.
    Busy,
    /// Nothing runs.
    Idle,
    /// A dialog is open.
    Waiting,
    /// A shell command of the person's, or one in the background, runs.
    Shell,
    /// Not there yet (the first 0.3 s), or a word this version does not know.
    Unknown,
}

/// A piece of evidence with its time and its place in the order of arrival.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen<T> {
    /// When it reached the dispatcher.
    pub at: Timestamp,
    /// Its number among the session's observations; later is newer.
    pub order: u64,
    /// What was seen.
    pub what: T,
}

/// Where the newest turn stands by the hooks alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "turn")]
pub enum Turn {
    /// No prompt yet.
    #[default]
    None,
    /// A prompt was submitted and no end was seen.
    Working,
    /// The Stop hook fired.
    Ended {
        /// Background tasks that still ran then; each will start another turn.
        background: u32,
    },
    /// The StopFailure hook fired.
    Failed {
        /// The class of failure in Claude's words.
        error: String,
        /// What it showed.
        message: String,
    },
    /// The registry went idle and no hook said why: Escape, Ctrl-C, or a "No" in a dialog.
    Interrupted,
}

/// All that was seen of one launch of one session: the latest of each kind. Stored with its task:
/// what an older store lacks was not seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    /// Observations so far.
    pub count: u64,
    /// The start of the conversation.
    pub started: Option<Seen<String>>,
    /// Claude's process id on its host.
    pub process: Option<Seen<u32>>,
    /// The name of the newest hook event.
    pub hook: Option<Seen<String>>,
    /// Where the turn stands.
    pub turn: Option<Seen<Turn>>,
    /// Claude's id of the turn whose prompt was seen last.
    pub turn_id: Option<String>,
    /// Whether another prompt waits for that turn to end.
    pub queued: bool,
    /// Turns that ended, well or not.
    pub turns: u32,
    /// Dialogs that hooks reported and nothing has closed.
    pub asks: Vec<Seen<Ask>>,
    /// What it does or did last, one line.
    pub doing: Option<Seen<String>>,
    /// The registry file.
    pub registry: Option<Seen<Registry>>,
    /// A dialog that only the screen shows.
    pub dialog: Option<Seen<(String, String)>>,
    /// How the process ended.
    pub exit: Option<Seen<i32>>,
}

impl Evidence {
    /// Takes in one observation.
    pub fn observe(&mut self, observation: &Observation, at: Timestamp) {
        self.count += 1;
        let order = self.count;
        match observation {
            Observation::ConversationStarted { source, conversation, .. } => {
                self.hook = seen(at, order, "SessionStart");
                self.started = Some(Seen { at, order, what: conversation.clone() });
                self.dialog = None;
                self.asks.clear();
                // A compaction happens inside a turn and does not end it.
                if source != "compact" {
                    self.turn = Some(Seen { at, order, what: Turn::None });
                }
            }
            Observation::PromptSubmitted { head, id, .. } => {
                self.hook = seen(at, order, "UserPromptSubmit");
                let working = self.turn.as_ref().is_some_and(|it| it.what == Turn::Working);
                self.queued = working && id.is_some() && *id == self.turn_id;
                self.turn_id.clone_from(id);
                if !self.queued {
                    self.asks_by_hook(|it| it.agent.is_some());
                    self.doing = seen(at, order, head);
                }
                self.turn = Some(Seen { at, order, what: Turn::Working });
            }
            Observation::ToolStarted { tool, summary, .. } => {
                self.hook = seen(at, order, "PreToolUse");
                self.doing = seen(at, order, &format!("{tool} {summary}"));
            }
            Observation::ToolEnded { tool, ok, agent } => {
                self.hook = seen(at, order, if *ok { "PostToolUse" } else { "PostToolUseFailure" });
                self.asks_by_hook(|it| it.agent != *agent || it.tool != *tool);
            }
            Observation::Asked { ask } => {
                self.hook = seen(at, order, "PermissionRequest");
                self.asks.retain(|it| it.what.id != ask.id);
                self.asks.push(Seen { at, order, what: ask.clone() });
            }
            Observation::Notified { .. } => self.hook = seen(at, order, "Notification"),
            Observation::TurnEnded { background, message, id } => {
                self.turn_ended(*background, message, id.as_ref(), at);
            }
            Observation::TurnFailed { error, message } => {
                self.hook = seen(at, order, "StopFailure");
                self.turns += 1;
                self.asks.clear();
                let what = Turn::Failed { error: error.clone(), message: message.clone() };
                self.turn = Some(Seen { at, order, what });
                self.doing = seen(at, order, message);
            }
            Observation::SubagentStarted { .. } => self.hook = seen(at, order, "SubagentStart"),
            Observation::SubagentEnded { agent } => {
                self.hook = seen(at, order, "SubagentStop");
                self.asks.retain(|it| it.what.agent.as_ref() != Some(agent));
            }
            Observation::Compacting { done } => {
                self.hook = seen(at, order, if *done { "PostCompact" } else { "PreCompact" });
                self.doing = seen(at, order, if *done { "compacted" } else { "compacting" });
            }
            Observation::ConversationEnded { .. } => self.hook = seen(at, order, "SessionEnd"),
            Observation::Registry { registry } => {
                if !self.predates_turn(registry) {
                    self.take_word(registry, at, order);
                }
                self.registry = Some(Seen { at, order, what: registry.clone() });
            }
            Observation::RegistryGone => self.registry = None,
            Observation::ProcessStarted { pid } => {
                self.process = Some(Seen { at, order, what: *pid });
            }
            Observation::Exited { code, .. } => self.exit = Some(Seen { at, order, what: *code }),
            Observation::SessionGone { .. } => self.asks.clear(),
            Observation::DialogSeen { name, excerpt } => {
                self.dialog = Some(Seen { at, order, what: (name.clone(), excerpt.clone()) });
            }
            Observation::DialogGone => self.dialog = None,
        }
    }

    /// Tells whether the registry's word is from before the turn: the hook of a prompt may be read
    /// before the "idle" that was written a moment earlier.
    fn predates_turn(&self, registry: &Registry) -> bool {
        let before = self.registry.as_ref().map(|it| (it.what.status, it.what.updated_at));
        registry.status == RegistryStatus::Idle
            && self.turn.as_ref().is_some_and(|it| it.what == Turn::Working)
            && before.is_none_or(|it| it == (RegistryStatus::Idle, registry.updated_at))
    }

    fn take_word(&mut self, registry: &Registry, at: Timestamp, order: u64) {
        // A dialog that the registry no longer waits on was answered.
        if !matches!(registry.status, RegistryStatus::Waiting | RegistryStatus::Unknown) {
            self.asks.clear();
            self.dialog = None;
        }
        let working = self.turn.as_ref().is_some_and(|it| it.what == Turn::Working);
        // If a Stop hook is still on its way, it says better when it comes.
        if registry.status == RegistryStatus::Idle && working {
            self.turn = Some(Seen { at, order, what: Turn::Interrupted });
        }
    }

    fn turn_ended(&mut self, background: u32, message: &str, id: Option<&String>, at: Timestamp) {
        let order = self.count;
        self.hook = seen(at, order, "Stop");
        self.turns += 1;
        self.asks.retain(|it| it.what.agent.is_some());
        // The prompt that waited starts the next turn without another word.
        let next = self.queued && id == self.turn_id.as_ref();
        self.queued = false;
        let what = if next { Turn::Working } else { Turn::Ended { background } };
        self.turn = Some(Seen { at, order, what });
        if !message.is_empty() {
            self.doing = seen(at, order, message);
        }
    }

    /// Closes the asks that a hook says are answered, all but those to `keep`. While the registry
    /// says that Claude waits, its word counts: tools run side by side, and the end of one says
    /// nothing of a dialog about another.
    fn asks_by_hook(&mut self, keep: impl Fn(&Ask) -> bool) {
        let waits = self
            .registry
            .as_ref()
            .is_some_and(|it| matches!(it.what.status, RegistryStatus::Waiting));
        if !waits || 1 < self.asks.len() {
            self.asks.retain(|it| keep(&it.what));
        }
    }
}

fn seen(at: Timestamp, order: u64, what: &str) -> Option<Seen<String>> {
    Some(Seen { at, order, what: what.to_owned() })
}
