//! From the bytes of a session's files to what they tell. Pure but for the maps it keeps.

use std::collections::HashMap;

use crate::{
    agent::{
        hooks,
        launch::RunDir,
        lines::{Line, Lines},
        registry, status, transcript,
    },
    dispatcher::watch::Watched,
    domain::{
        event::EventBody,
        evidence::{Observation, Registry, RegistryStatus},
        ids::{HostPath, TaskId},
        usd::Usd,
    },
    shell::follow::{Frame, Watch},
};

/// The longest answer that is kept, in bytes; the end of a longer one is cut off.
const ANSWER_MAX: usize = 1024 * 1024;

/// A file of a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum File {
    /// Lines of the hooks.
    Events,
    /// Lines of the status line.
    Status,
    /// The conversation.
    Transcript(HostPath),
    /// Claude's process id.
    Pid,
    /// Claude's registry file.
    Registry,
    /// The watchdog's wish for a new lease.
    LeaseAsk,
    /// The exit status.
    Exit,
}

/// What was read.
#[derive(Debug, Default)]
pub struct Read {
    /// What happened.
    pub bodies: Vec<EventBody>,
    /// How far which file is dealt with.
    pub offsets: Vec<(String, u64)>,
    /// A final answer.
    pub answer: Option<Vec<u8>>,
    /// Whether Claude was heard of.
    pub heard: bool,
    /// Hook lines that are kept in files of their own.
    pub big: Vec<String>,
    /// Prompts that were submitted, whole, in order.
    pub prompts: Vec<String>,
    /// Dialogs that opened.
    pub asked: Vec<String>,
    /// Whether all dialogs that were open are closed now.
    pub asks_closed: bool,
    /// Files to watch from now on.
    pub follow: Vec<(File, Watch)>,
}

impl Read {
    /// Creates what tells one thing.
    pub fn of(body: EventBody) -> Read {
        Read { bodies: vec![body], ..Read::default() }
    }

    /// Adds what another told.
    pub fn append(&mut self, other: Read) {
        self.bodies.extend(other.bodies);
        self.offsets.extend(other.offsets);
        self.answer = other.answer.or(self.answer.take());
        self.heard |= other.heard;
        self.big.extend(other.big);
        self.prompts.extend(other.prompts);
        self.asked.extend(other.asked);
        self.asks_closed |= other.asks_closed;
        self.follow.extend(other.follow);
    }

    fn see(&mut self, observation: Observation) {
        self.bodies.push(EventBody::Observed { observation });
    }
}

/// Reads the files of one launch.
pub struct Reader {
    attempt: u32,
    files: RunDir,
    claude_config: HostPath,
    task: TaskId,
    lines: HashMap<File, Lines>,
    /// Offsets of files that were read before and may come up again.
    known: HashMap<String, u64>,
    pid: Option<u32>,
    registry: Option<Registry>,
    /// The newest totals that the status line showed, by conversation.
    totals: HashMap<String, Usd>,
    /// The newest totals that transcripts told.
    saved: HashMap<String, Usd>,
    /// A file was cut off or replaced, and is read from its start once more.
    again: bool,
    /// The message counted last: its other lines repeat its usage.
    message: Option<String>,
}

impl Reader {
    /// Creates a reader that goes on where the committed `offsets` say.
    pub fn new(watched: &Watched, offsets: &HashMap<(TaskId, String), u64>) -> Reader {
        let known = offsets
            .iter()
            .filter(|((task, _), _)| *task == watched.task)
            .map(|((_, file), offset)| (file.clone(), *offset))
            .collect();
        let mut reader = Reader {
            attempt: watched.attempt,
            files: watched.files.clone(),
            claude_config: watched.claude_config.clone(),
            task: watched.task.clone(),
            lines: HashMap::new(),
            known,
            pid: None,
            registry: None,
            totals: HashMap::new(),
            saved: HashMap::new(),
            again: false,
            message: None,
        };
        reader.open(File::Events);
        reader.open(File::Status);
        if let Some(path) = &watched.transcript {
            reader.open(File::Transcript(path.clone()));
        }
        reader
    }

    /// Begins to read a growing file where it was left.
    fn open(&mut self, file: File) {
        let from = self.known.get(&self.key(&file)).copied().unwrap_or(0);
        self.lines.entry(file).or_insert_with(|| Lines::new(from));
    }

    /// The name under which the offset of a growing file is kept. A transcript goes on over
    /// launches, the others belong to one.
    fn key(&self, file: &File) -> String {
        match file {
            File::Transcript(path) => path.to_string(),
            File::Status => format!("a{}/status", self.attempt),
            _ => format!("a{}/events", self.attempt),
        }
    }

    fn path(&self, file: &File) -> HostPath {
        match file {
            File::Events => self.files.events(),
            File::Status => self.files.status(),
            File::Transcript(path) => path.clone(),
            File::Pid => self.files.pid(),
            File::Registry => registry::path(&self.claude_config, self.pid.unwrap_or(0)),
            File::LeaseAsk => self.files.lease_ask(),
            File::Exit => self.files.exit(),
        }
    }

    /// Returns what is to be watched.
    pub fn files(&self) -> Vec<(File, Watch)> {
        let mut out = Vec::new();
        for (file, lines) in &self.lines {
            let watch = Watch::Appended { path: self.path(file), from: lines.position() };
            out.push((file.clone(), watch));
        }
        let mut small = vec![File::Pid, File::LeaseAsk, File::Exit];
        if self.pid.is_some() {
            small.push(File::Registry);
        }
        for file in small {
            let watch = Watch::Whole { path: self.path(&file) };
            out.push((file, watch));
        }
        // The exit status last, so that what came before it is read before it.
        out.sort_by_key(|(file, _)| *file == File::Exit);
        out
    }

    /// Returns the growing files and where reading goes on.
    pub fn growing(&self) -> Vec<(File, HostPath, u64)> {
        let each = |(file, lines): (&File, &Lines)| (file.clone(), self.path(file), lines.next());
        self.lines.iter().map(each).collect()
    }

    /// Returns how far everything was read, for a later launch.
    pub fn offsets(&self) -> Vec<((TaskId, String), u64)> {
        let each = |(file, lines): (&File, &Lines)| {
            ((self.task.clone(), self.key(file)), lines.position())
        };
        self.lines.iter().map(each).collect()
    }

    /// Reads a frame of a watched file.
    pub fn frame(&mut self, file: &File, frame: Frame) -> Read {
        match (file, frame) {
            (_, Frame::Appended { offset, bytes, .. }) => self.bytes(file, offset, &bytes),
            (_, Frame::Truncated { .. }) => {
                if let Some(lines) = self.lines.get_mut(file) {
                    lines.restart();
                }
                self.again = true;
                Read::default()
            }
            (File::Pid, Frame::Whole { bytes: Some(bytes), .. }) => self.pid(&bytes),
            (File::Registry, Frame::Whole { bytes, .. }) => self.registry(bytes.as_deref()),
            (_, Frame::Whole { .. } | Frame::Synced { .. } | Frame::Lost { .. }) => Read::default(),
        }
    }

    /// Reads bytes that stand at `offset` of a growing file.
    pub fn bytes(&mut self, file: &File, offset: u64, bytes: &[u8]) -> Read {
        let Some(lines) = self.lines.get_mut(file) else { return Read::default() };
        let complete = lines.push(offset, bytes);
        let position = lines.position();
        let mut read = Read::default();
        for Line { bytes, .. } in complete {
            let told = match file {
                File::Events => self.hook_line(&bytes),
                File::Status => self.status_line(&bytes),
                File::Transcript(_) => self.transcript_line(&bytes),
                File::Pid | File::Registry | File::LeaseAsk | File::Exit => Read::default(),
            };
            read.append(told);
        }
        if offset < position {
            read.offsets.push((self.key(file), position));
        }
        read
    }

    /// Reads one line of the hooks.
    pub fn hook_line(&mut self, line: &[u8]) -> Read {
        let mut read = Read::default();
        let Some(hook) = hooks::parse(line) else { return read };
        read.heard = true;
        read.big.extend(hook.big);
        if hook.pid != 0 {
            read.append(self.process(hook.pid));
        }
        // Any hook may be the first that is read after a restart.
        if let Some(path) = hook.transcript.filter(|_| hook.agent.is_none()) {
            let file = File::Transcript(path.clone());
            if !self.lines.contains_key(&file) {
                if let Some(size) = hook.size.filter(|_| takes_up(hook.observation.as_ref())) {
                    let from = *self.known.entry(self.key(&file)).or_insert(size);
                    read.offsets.push((self.key(&file), from));
                }
                self.open(file.clone());
                let from = self.lines.get(&file).map_or(0, Lines::position);
                read.follow.push((file, Watch::Appended { path, from }));
            }
        }
        if let Some(Observation::Asked { ask }) = &hook.observation {
            read.asked.push(ask.id.clone());
        }
        if let Some(prompt) = hook.prompt {
            read.prompts.push(prompt);
        }
        if let Some(mut answer) = hook.final_message.filter(|it| !it.is_empty()) {
            let mut end = answer.len().min(ANSWER_MAX);
            while !answer.is_char_boundary(end) {
                end -= 1;
            }
            answer.truncate(end);
            read.answer = Some(answer.into_bytes());
        }
        if let Some(observation) = hook.observation {
            read.see(observation);
        }
        read
    }

    fn status_line(&mut self, line: &[u8]) -> Read {
        let Some(line) = status::parse(line) else { return Read::default() };
        let repeated = self.totals.get(&line.conversation) == Some(&line.total);
        self.totals.insert(line.conversation.clone(), line.total);
        if repeated {
            return Read::default();
        }
        Read::of(line.event(self.attempt))
    }

    fn transcript_line(&mut self, line: &[u8]) -> Read {
        let mut read = Read::default();
        let Some(entry) = transcript::parse(line) else { return read };
        if let Some((message, tokens)) = entry.usage
            && self.message.as_ref() != Some(&message)
        {
            self.message = Some(message.clone());
            let (at, again) = (entry.at, self.again);
            read.bodies.push(EventBody::TokensCounted { message, tokens, at, again });
        }
        if let Some((conversation, total)) = entry.total
            && self.saved.get(&conversation) != Some(&total)
        {
            self.saved.insert(conversation.clone(), total);
            let body = EventBody::CostReported {
                attempt: self.attempt,
                conversation,
                total,
                gauges: None,
                model: None,
                began: false,
            };
            read.bodies.push(body);
        }
        read
    }

    fn pid(&mut self, bytes: &[u8]) -> Read {
        match String::from_utf8_lossy(bytes).trim().parse() {
            Ok(pid) => self.process(pid),
            Err(_) => Read::default(),
        }
    }

    fn process(&mut self, pid: u32) -> Read {
        let mut read = Read::default();
        if self.pid.is_none() {
            self.pid = Some(pid);
            read.see(Observation::ProcessStarted { pid });
            let path = self.path(&File::Registry);
            read.follow.push((File::Registry, Watch::Whole { path }));
        }
        read
    }

    fn registry(&mut self, bytes: Option<&[u8]>) -> Read {
        let mut read = Read::default();
        let Some(bytes) = bytes else {
            if self.registry.take().is_some() {
                read.see(Observation::RegistryGone);
            }
            return read;
        };
        // Text that is not JSON is a file caught in the middle of being written.
        let Some(registry) = registry::parse(bytes) else { return read };
        read.heard = true;
        if self.registry.as_ref() == Some(&registry) || registry.status == RegistryStatus::Unknown {
            return read;
        }
        let closed = !matches!(registry.status, RegistryStatus::Waiting);
        read.asks_closed = closed;
        self.registry = Some(registry.clone());
        read.see(Observation::Registry { registry });
        read
    }
}

/// Tells whether Claude takes up a conversation that has a past, which was paid for elsewhere unless
/// it is known how far its transcript was read: by `/resume` or `/branch`.
fn takes_up(observation: Option<&Observation>) -> bool {
    let source = match observation {
        Some(Observation::ConversationStarted { source, .. }) => source.as_str(),
        _ => return false,
    };
    matches!(source, "resume" | "fork")
}
