//! Everything that can happen to the dashboard.
//!
//! Messages are plain data that can be written down, so a recording replays them
//! ([`crate::tui::recorder`]).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    api::{
        budget::{BudgetView, Costs, Sources, TaskCosts, TaskTurns},
        checkpoints::{
            CheckpointDetail, CheckpointDiff, CheckpointFiles, CheckpointList, CheckpointView,
            Recovery, Restored,
        },
        error::ApiError,
        types::{
            Created, Diff, DryRun, EventView, LogLine, Losses, Sent, Snapshot, Status, TaskList,
            Why,
        },
        view::TaskView,
    },
    stdx::time::Timestamp,
    tui::model::{Panel, look::LookSource},
    vt::input::{Key, Mouse},
};

/// What happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Msg {
    /// A person did something.
    Input(Input),
    /// News from the dispatcher.
    Feed(Feed),
    /// What was asked for was done, or not.
    Answered { id: RequestId, result: Result<Reply, ApiError> },
    /// News of a terminal in a pane.
    Term { slot: Slot, what: TermMsg },
    /// News of a log that is read.
    Log { read: ReadId, what: LogMsg },
    /// Another program had the terminal, and it is ours again.
    Returned { what: Returned },
    /// The configuration was read again.
    Configured(Configured),
    /// The time that was asked for has come.
    Wake,
}

/// What a person did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Input {
    Key(Key),
    /// Text pasted as one.
    Paste(String),
    Mouse(Mouse),
    /// The outer terminal gained or lost the focus.
    Focus(bool),
    /// The outer terminal has this size.
    Resize {
        cols: u16,
        rows: u16,
    },
}

/// News from the dispatcher.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Feed {
    /// Connected: what holds now. Live tasks only; finished ones come by [`Feed::Listed`].
    Snapshot(Snapshot),
    /// Something happened.
    Event(Box<EventView>),
    /// How the money stands now.
    Budget(Box<BudgetView>),
    /// One page of the past, newest first.
    Listed(TaskList),
    /// How all is; asked for after each connection and on demand.
    Status(Box<Status>),
    /// The dispatcher does not answer; the next attempt is at `again`.
    Lost { why: String, hint: Option<String>, again: Timestamp },
    /// The dispatcher was told to end. It is not started again without a key.
    Stopped,
}

/// Names a request; never used twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(pub u64);

/// Names an opened terminal; never used twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slot(pub u64);

/// Names a reading of a log; never used twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReadId {
    /// Who reads.
    pub panel: Panel,
    /// Which reading of theirs.
    pub number: u64,
}

/// What a request was answered with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Reply {
    Task(Box<TaskView>),
    Created(Box<Created>),
    DryRun(DryRun),
    Sent(Box<Sent>),
    Why(Box<Why>),
    Losses(Box<Losses>),
    Diff(Box<Diff>),
    Text(Option<String>),
    Events(Vec<EventView>),
    Status(Box<Status>),
    Checkpoint(Box<CheckpointView>),
    Checkpoints(Box<CheckpointList>),
    CheckpointDetail(Box<CheckpointDetail>),
    CheckpointFiles(Box<CheckpointFiles>),
    CheckpointDiff(Box<CheckpointDiff>),
    Restored(Box<Restored>),
    Recovery(Box<Recovery>),
    Budget(Box<BudgetView>),
    Costs(Box<Costs>),
    TaskCosts(Box<TaskCosts>),
    TaskTurns(Box<TaskTurns>),
    Sources(Box<Sources>),
    /// The text of a file; nothing if there is none.
    File(Option<String>),
    /// Where it was written.
    Written(String),
    /// Names in a directory, directories with `/` at the end, sorted; at most 1000.
    Names(Vec<String>),
    /// What a command printed, at most 64 KiB of it.
    Printed(String),
}

/// News of a terminal in a pane.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum TermMsg {
    /// The connection stands; output follows.
    Opened,
    /// What the program wrote.
    Output(#[serde(with = "crate::tui::msg::lossless")] Arc<[u8]>),
    /// It ended: `detached` if the person left by the session's own means; else why.
    Ended { detached: bool, why: String },
    /// It could not be opened.
    Failed(ApiError),
}

/// News of a log that is read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum LogMsg {
    /// Lines, oldest first; those of one chunk come together.
    Lines(Vec<LogLine>),
    /// All there is was sent; a following read goes on with what is new.
    CaughtUp,
    /// The reading ended.
    Ended,
    Failed(ApiError),
}

/// What another program left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Returned {
    /// A session that had the whole terminal.
    Session,
    /// The editor: the text as it was saved, or why there is none.
    Edited(Result<String, String>),
    /// The pager, or another program that leaves nothing.
    Shown,
    /// This process was stopped and goes on.
    Continued,
    Failed(String),
}

/// The configuration as it was read again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Configured {
    /// What the dashboard takes from it.
    pub look: LookSource,
    /// What is wrong with it; what was valid before stays then.
    pub problems: Vec<String>,
}

/// Bytes as text in a recording: Latin-1, so that escapes stay readable and every byte survives.
pub mod lossless {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes bytes as characters of the same number.
    pub fn serialize<S: Serializer>(bytes: &Arc<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&bytes.iter().map(|it| char::from(*it)).collect::<String>())
    }

    /// Reads them back.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<[u8]>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let byte = |it: char| u8::try_from(u32::from(it));
        text.chars().map(byte).collect::<Result<_, _>>().map_err(D::Error::custom)
    }
}
