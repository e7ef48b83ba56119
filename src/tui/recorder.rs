//! What happened, kept to be looked at again.
//!
//! A recording holds what was on the screen: tasks, prompts, what sessions showed. It never holds
//! the environment of new tasks, which no message carries.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::{
    api::{
        error::{ApiError, ErrorKind},
        view::TaskView,
    },
    stdx::time::Timestamp,
    tui::{
        model::{
            Model, Panel,
            look::{Facts, LookSource},
        },
        msg::{Feed, LogMsg, Msg, Reply, TermMsg},
        perform::private,
    },
};

/// The most that is kept, in bytes, about half of it in each of two parts.
const PART_MAX: usize = 2 * 1024 * 1024;

/// What a task, a log line or anything small weighs, in bytes; enough for a bound.
const TASK_WEIGHT: usize = 2048;
const SMALL_WEIGHT: usize = 256;

/// One line of a recording.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "all but one line of a recording are messages")]
pub enum Line {
    /// How things stood. The first line is one.
    Key(Box<Keyframe>),
    /// What happened then, and when.
    Msg(Timestamp, Msg),
}

/// How things stood, as far as it can be taken up again from data.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Keyframe {
    pub at: Timestamp,
    pub size: (u16, u16),
    pub facts: Facts,
    pub look: LookSource,
    pub seq: u64,
    #[serde(with = "crate::tui::recorder::shared")]
    pub tasks: Vec<Arc<TaskView>>,
    pub focus: Panel,
    pub selected: Option<String>,
}

/// The last few megabytes of what happened.
#[derive(Debug)]
pub struct Recorder {
    /// The part before, with its keyframe; empty at first.
    before: Vec<Line>,
    now: Vec<Line>,
    weight: usize,
}

impl Recorder {
    /// Begins with how things stand.
    pub fn new(model: &Model) -> Recorder {
        Recorder { before: Vec::new(), now: vec![keyframe(model)], weight: 0 }
    }

    /// Writes down a message that `model` is about to take in.
    pub fn take(&mut self, model: &Model, at: Timestamp, msg: &Msg) {
        let weight = weight(msg);
        if PART_MAX < self.weight + weight && 1 < self.now.len() {
            self.before = std::mem::replace(&mut self.now, vec![keyframe(model)]);
            self.weight = 0;
        }
        self.weight += weight;
        self.now.push(Line::Msg(at, msg.clone()));
    }

    /// Returns the recording as text, one JSON value a line.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // A keyframe in the middle would only repeat what the messages before it made.
        let skip = usize::from(!self.before.is_empty());
        for line in self.before.iter().chain(self.now.iter().skip(skip)) {
            if let Ok(line) = serde_json::to_string(line) {
                text.push_str(&line);
                text.push('\n');
            }
        }
        text
    }
}

/// The recording of the dashboard that runs; global, because a panic's hook must find it.
static RUNNING: Mutex<Option<(Recorder, PathBuf)>> = Mutex::new(None);

/// Begins to record, for files in `dir`.
pub fn begin(model: &Model, dir: &std::path::Path) {
    *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) =
        Some((Recorder::new(model), dir.to_owned()));
}

/// Writes down a message that `model` is about to take in.
pub fn take(model: &Model, at: Timestamp, msg: &Msg) {
    if let Some((it, _)) = &mut *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) {
        it.take(model, at, msg);
    }
}

/// Ends and forgets the recording.
pub fn end() {
    *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// Writes the recording to a file of its own, and returns where.
///
/// # Errors
///
/// If nothing is recorded, or it cannot be written.
pub fn dump(at: Timestamp) -> Result<String, ApiError> {
    // Also called by a panic's hook, which must not wait for a lock it may hold itself.
    let running = match RUNNING.try_lock() {
        Ok(it) => it,
        Err(std::sync::TryLockError::Poisoned(it)) => it.into_inner(),
        Err(std::sync::TryLockError::WouldBlock) => {
            return Err(ApiError::new(ErrorKind::Internal, "the recording is in use"));
        }
    };
    let Some((recorder, dir)) = &*running else {
        return Err(ApiError::new(ErrorKind::Internal, "nothing is recorded"));
    };
    let path = dir.join(format!("recording-{}.jsonl", at.0));
    match private(&path, &recorder.text()) {
        Ok(()) => Ok(path.display().to_string()),
        Err(it) => {
            let message = format!("cannot write {}: {it}", path.display());
            Err(ApiError::new(ErrorKind::Store, message))
        }
    }
}

fn keyframe(model: &Model) -> Line {
    let shared = &model.shared;
    let tasks = shared.replica.tasks.values().map(Arc::clone).collect();
    Line::Key(Box::new(Keyframe {
        at: shared.now,
        size: shared.size,
        facts: shared.facts.clone(),
        look: shared.look.source.clone(),
        seq: shared.replica.seq,
        tasks,
        focus: model.place.focus,
        selected: shared.selected.clone(),
    }))
}

/// Returns about how many bytes a message takes.
fn weight(msg: &Msg) -> usize {
    SMALL_WEIGHT
        + match msg {
            Msg::Feed(Feed::Snapshot(it)) => it.tasks.len() * TASK_WEIGHT,
            Msg::Feed(Feed::Listed(it)) => it.tasks.len() * TASK_WEIGHT,
            Msg::Feed(Feed::Event(_)) => TASK_WEIGHT,
            Msg::Feed(_) | Msg::Wake | Msg::Configured(_) => TASK_WEIGHT,
            Msg::Term { what: TermMsg::Output(it), .. } => it.len(),
            Msg::Log { what: LogMsg::Lines(it), .. } => {
                it.iter().map(|it| it.text.len() + SMALL_WEIGHT).sum()
            }
            Msg::Answered { result: Ok(reply), .. } => reply_weight(reply),
            Msg::Input(crate::tui::msg::Input::Paste(it)) => it.len(),
            Msg::Term { .. } | Msg::Log { .. } | Msg::Answered { .. } => SMALL_WEIGHT,
            Msg::Input(_) | Msg::Returned { .. } => 0,
        }
}

fn reply_weight(reply: &Reply) -> usize {
    match reply {
        Reply::Text(Some(it)) | Reply::File(Some(it)) | Reply::Printed(it) => it.len(),
        Reply::Events(it) => it.len() * TASK_WEIGHT,
        Reply::Names(it) => it.len() * SMALL_WEIGHT,
        _ => 4 * TASK_WEIGHT,
    }
}

/// Tasks that are shared in memory and plain on disk.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer};

    use crate::api::view::TaskView;

    pub fn serialize<S: Serializer>(
        tasks: &[Arc<TaskView>],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        // Sorted only here: a keyframe is made while a person waits for a frame.
        let mut tasks: Vec<&TaskView> = tasks.iter().map(|it| &**it).collect();
        tasks.sort_by(|a, b| a.id.cmp(&b.id));
        serializer.collect_seq(tasks)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Arc<TaskView>>, D::Error> {
        Ok(Vec::<TaskView>::deserialize(deserializer)?.into_iter().map(Arc::new).collect())
    }
}
