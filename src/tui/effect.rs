//! Everything the dashboard can ask of the outside, as plain data.
//!
//! [`crate::tui::perform`] carries them out; nothing in `update` or `view` waits.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{
    api::{
        budget::{CostsBy, SetBudget},
        checkpoints::{CreateCheckpoint, EditCheckpoint, Fork, Restore, Resume},
        types::{Answer, CreateTask, Retry},
    },
    stdx::time::Timestamp,
    tui::msg::{ReadId, RequestId, Slot},
    vt::screen::Size,
};

/// Something to be done outside.
#[derive(Clone, Debug)]
pub enum Effect {
    /// End the dashboard. Tasks keep running.
    Quit,
    /// Do what is asked; [`crate::tui::msg::Msg::Answered`] follows.
    Ask {
        id: RequestId,
        ask: Ask,
    },
    /// Forget what was asked: its answer is not wanted any more. What the dispatcher does goes on.
    Cancel(RequestId),
    /// Open a terminal; [`crate::tui::msg::TermMsg`]s follow.
    OpenTerm {
        slot: Slot,
        task: String,
        kind: TermKind,
        size: Size,
    },
    /// Bytes for the program in it. Dropped if the terminal has ended.
    TermInput {
        slot: Slot,
        bytes: Vec<u8>,
    },
    TermResize {
        slot: Slot,
        size: Size,
    },
    CloseTerm(Slot),
    /// Read a log; [`crate::tui::msg::LogMsg`]s follow until it ends or is stopped.
    ReadLog {
        read: ReadId,
        task: String,
        query: LogAsk,
    },
    StopLog(ReadId),
    /// Send [`crate::tui::msg::Msg::Wake`] then. Only the earliest time asked for counts.
    WakeAt(Timestamp),
    /// Connect again now, starting the dispatcher if it is not there.
    Reconnect,
    /// Ask for [`crate::tui::msg::Feed::Status`].
    AskStatus,
    /// Give the terminal to another program; [`crate::tui::msg::Msg::Returned`] follows.
    HandOver(HandOver),
    /// Put text on the person's clipboard, by OSC 52 of the outer terminal.
    Copy(String),
    /// Open an address or a path with the desktop's program for it.
    OpenUrl(String),
    /// Tell a person who is not looking.
    Notify {
        title: String,
        body: String,
    },
    Bell,
    /// The outer terminal's title.
    SetTitle(String),
    /// Whether the outer terminal reports the mouse; off gives it back to the terminal itself.
    CaptureMouse(bool),
    /// Draw every cell again.
    Redraw,
    /// Delete one of Parhelia's own files.
    RemoveFile(File),
}

/// Something that has an answer.
#[derive(Clone, Debug)]
pub enum Ask {
    /// Ask the dispatcher.
    Request(Request),
    /// Read a file; [`crate::tui::msg::Reply::File`].
    ReadFile(File),
    /// Write a file, whole or not at all; private (0600) if it is one of Parhelia's own.
    WriteFile { file: File, text: String },
    /// List a directory for completion; [`crate::tui::msg::Reply::Names`].
    ListDir(PathBuf),
    /// Pipe text into a command of the person's (`sh -c`); [`crate::tui::msg::Reply::Printed`].
    Pipe { command: String, text: String },
    /// Write down the recording; [`crate::tui::msg::Reply::Written`] names the file.
    DumpRecording,
}

/// What the dispatcher is asked; each stands for the client's method of that name.
#[derive(Clone, Debug)]
pub enum Request {
    Create(Box<CreateTask>),
    DryRun(Box<CreateTask>),
    Task {
        id: String,
    },
    Stop {
        id: String,
    },
    Retry {
        id: String,
        retry: Retry,
    },
    Delete {
        id: String,
    },
    Prompt {
        id: String,
        text: String,
    },
    Interrupt {
        id: String,
    },
    Answer {
        id: String,
        answer: Answer,
    },
    Why {
        id: String,
    },
    Losses {
        id: String,
    },
    Diff {
        id: String,
    },
    PromptText {
        id: String,
    },
    AnswerText {
        id: String,
    },
    History {
        task: Option<String>,
        limit: usize,
    },
    Status,
    Checkpoint {
        id: String,
        what: CreateCheckpoint,
    },
    Checkpoints {
        task: String,
    },
    CheckpointDetail {
        id: String,
    },
    CheckpointFiles {
        id: String,
    },
    CheckpointDiff {
        id: String,
        to: String,
    },
    Restore {
        id: String,
        how: Restore,
    },
    Fork {
        id: String,
        how: Fork,
    },
    EditCheckpoint {
        id: String,
        edit: EditCheckpoint,
    },
    DeleteCheckpoint {
        id: String,
    },
    Resume {
        id: String,
        how: Resume,
    },
    Recovery {
        id: String,
    },
    SetBudget(Box<SetBudget>),
    /// Costs put together, of what ended after `from`, workers up to `to`.
    Costs {
        by: CostsBy,
        from: Option<i64>,
        to: Option<i64>,
    },
    TaskCosts {
        id: String,
    },
    /// Where figures come from.
    Sources,
    /// What each turn of a task cost.
    TaskTurns {
        id: String,
    },
    Park {
        id: String,
    },
    Unpark {
        id: String,
    },
}

/// What is shown in a terminal pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TermKind {
    /// The session, read-only, without imposing a size.
    Look,
    /// The session.
    Attach,
    /// A shell in the task's workspace.
    Shell,
}

/// Which part of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogAsk {
    pub view: LogView,
    /// The last so many lines.
    pub tail: usize,
    /// Only what stands before this position of a line that was read.
    pub before: Option<u64>,
    /// Whether to wait for more.
    pub follow: bool,
}

/// The three views of a task's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LogView {
    /// What the transcript says.
    #[default]
    Activity,
    /// What the dispatcher did.
    Events,
    /// What the terminal shows, with its past; text with escapes.
    Terminal,
}

/// Who gets the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandOver {
    /// The session, as `parhelia attach` does it.
    Session { task: String },
    /// `$VISUAL`, `$EDITOR` or `vi`, on this text.
    Editor { text: String, suffix: &'static str },
    /// `$PAGER` or `less`, on this text.
    Pager { text: String },
    /// Nobody: this process is stopped, as by Ctrl-Z.
    Suspend,
}

/// A file that the dashboard reads or writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum File {
    /// The form as it was left, so that no crash loses a prompt.
    Draft,
    /// Prompts that were sent, newest last, one JSON string a line.
    PromptHistory,
    /// Lines of `:` that were run.
    CommandHistory,
    /// Form templates: one JSON object.
    Templates,
    /// Sizes, sort, group and filter as they were left.
    Layout,
    /// A file of the person's choice: what is saved goes there. Never written over an existing one.
    Chosen(PathBuf),
}
