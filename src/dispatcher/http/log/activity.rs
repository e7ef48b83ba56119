//! The activity log: what Claude's transcripts say.
//!
//! A transcript may have a gigabyte, so where to begin is found from its end, by chunks; from
//! there on it is streamed. Neither holds more than a chunk and a line.

use std::time::Duration;

use crate::{
    agent::{
        back::Back,
        lines::{Line, Lines},
        transcript::{self, Entry},
    },
    api::{
        error::{ApiError, ErrorKind},
        types::LogLine,
    },
    dispatcher::{
        core::store_error,
        http::{
            App, Ctx,
            log::{LogParams, Out, worker},
        },
        session::host_error,
    },
    domain::{
        event::EventBody,
        evidence::Observation,
        ids::{HostPath, TaskId},
        task::Task,
    },
    provider::Worker,
    shell::{
        Command, ShellError,
        follow::{FollowRequest, Frame, Watch},
        run,
    },
    stdx::time::{Timestamp, short},
    store::Query as Past,
};

/// Bytes read at once.
const CHUNK: usize = 256 * 1024;
/// Events read at once while looking for transcripts.
const EVENTS: usize = 2000;
/// How long a host may take to say how long files are.
const SIZE_LIMIT: Duration = Duration::from_secs(10);

/// Says how long each file is, 0 for one that is not there. `wc` asks the file system for that.
const SIZES: &str = "for it do { [ -f \"$it\" ] && wc -c <\"$it\"; } 2>/dev/null || echo 0; done";

/// A place in a task's transcripts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    /// Which transcript, in the order they were begun.
    file: usize,
    /// Where a line of it begins.
    offset: u64,
    /// Which entry of that line.
    entry: usize,
}

impl Position {
    const ENTRY_BITS: u32 = 6;
    const OFFSET_BITS: u32 = 39;
    const FILE_BITS: u32 = 8;

    /// Returns the position as one number, of no more bits than a JSON number holds exactly;
    /// nothing past 256 transcripts, half a terabyte or 64 entries in a line.
    fn encode(self) -> Option<u64> {
        let (file, entry) = (self.file as u64, self.entry as u64);
        let fits = file < 1 << Position::FILE_BITS
            && self.offset < 1 << Position::OFFSET_BITS
            && entry < 1 << Position::ENTRY_BITS;
        let file = file << (Position::OFFSET_BITS + Position::ENTRY_BITS);
        fits.then_some(file | self.offset << Position::ENTRY_BITS | entry)
    }

    /// Returns how much to read of a file from `from` on to come here: no more than a chunk, and
    /// where the position is inside a line, that line as well.
    fn room(self, file: usize, from: u64) -> usize {
        if file != self.file || self.entry != 0 {
            return CHUNK;
        }
        let left = usize::try_from(self.offset.saturating_sub(from)).unwrap_or(CHUNK);
        left.min(CHUNK)
    }

    fn decode(number: u64) -> Position {
        let bits = |from: u32, count: u32| (number >> from) & ((1 << count) - 1);
        let offset = bits(Position::ENTRY_BITS, Position::OFFSET_BITS);
        // Any higher number is of no transcript there is.
        let file = number >> (Position::OFFSET_BITS + Position::ENTRY_BITS);
        let entry = bits(0, Position::ENTRY_BITS);
        let small = |it: u64| usize::try_from(it).unwrap_or(usize::MAX);
        Position { file: small(file), offset, entry: small(entry) }
    }
}

/// Streams the activity log.
pub async fn activity(app: &Ctx, task: &Task, params: LogParams, out: Out) -> Result<(), ApiError> {
    let (_, _, worker) = worker(app, task).await?;
    let live = app.core.subscribe();
    let paths = transcripts(app, task).await?;
    let sizes = sizes(&worker, &paths).await?;
    let files = paths.into_iter().zip(&sizes).map(|(path, size)| (path, Lines::new(*size)));
    let mut reader = Reader { worker, files: files.collect(), until: None };
    if let Some(before) = params.before {
        reader.until = Some(reader.known(Position::decode(before), &sizes)?);
    }
    let since = params.since.map(Timestamp);
    let begin = reader.begin(params.tail, since, &sizes).await.map_err(|it| host_error(&it))?;
    let end = app.end.subscribe();
    let follow = Follow { id: task.id.clone(), live, end };
    tokio::spawn(async move {
        if reader.stream(begin, &out).await && params.follow {
            reader.follow(follow, &out).await;
        }
    });
    Ok(())
}

/// The transcripts of a task, in the order they were begun: `/clear` opens another.
async fn transcripts(app: &App, task: &Task) -> Result<Vec<HostPath>, ApiError> {
    let mut paths: Vec<HostPath> = Vec::new();
    let mut after_seq = 0;
    loop {
        let query = Past {
            task: Some(task.id.clone()),
            after_seq,
            limit: EVENTS,
            kinds: vec!["observed".into()],
            ..Past::default()
        };
        let past = app.store.events(query).await.map_err(|it| store_error(&it))?;
        for event in &past.events {
            after_seq = event.seq;
            if let Some(path) = transcript_of(&event.body)
                && !paths.contains(&path)
            {
                paths.push(path);
            }
        }
        if past.events.len() < EVENTS {
            return Ok(paths);
        }
    }
}

fn transcript_of(body: &EventBody) -> Option<HostPath> {
    match body {
        EventBody::Observed {
            observation: Observation::ConversationStarted { transcript: Some(path), .. },
        } => Some(path.clone()),
        _ => None,
    }
}

async fn sizes(worker: &Worker, paths: &[HostPath]) -> Result<Vec<u64>, ApiError> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let mut ask = Command::new(["sh", "-c", SIZES, "sh"]);
    ask.argv.extend(paths.iter().map(|it| it.as_str().as_bytes().to_vec()));
    let output = run(&*worker.shell, &ask, SIZE_LIMIT).await.map_err(|it| host_error(&it))?;
    let mut sizes: Vec<u64> =
        output.text().lines().map(|it| it.trim().parse().unwrap_or(0)).collect();
    sizes.resize(paths.len(), 0);
    Ok(sizes)
}

/// What following needs to know.
struct Follow {
    id: TaskId,
    live: tokio::sync::broadcast::Receiver<std::sync::Arc<crate::dispatcher::core::Published>>,
    end: tokio::sync::watch::Receiver<bool>,
}

/// Reads transcripts into log lines.
struct Reader {
    worker: Worker,
    files: Vec<(HostPath, Lines)>,
    /// Where to end.
    until: Option<Position>,
}

impl Reader {
    /// Refuses a position that is none of this log's.
    fn known(&self, position: Position, sizes: &[u64]) -> Result<Position, ApiError> {
        match sizes.get(position.file) {
            Some(size) if position.offset <= *size => Ok(position),
            _ => Err(ApiError::new(ErrorKind::Invalid, "`before` is no position in this log")
                .hint("use the `pos` of one of its lines")),
        }
    }

    /// Returns where the last `tail` entries begin; without a number, where those begin that are
    /// no older than `since`, or a chunk before that.
    async fn begin(
        &self,
        tail: Option<usize>,
        since: Option<Timestamp>,
        sizes: &[u64],
    ) -> Result<Position, ShellError> {
        let Some(last) = self.files.len().checked_sub(1) else { return Ok(Position::default()) };
        let end = self.until.unwrap_or(Position { file: last, offset: sizes[last], entry: 0 });
        if tail.is_none() && since.is_none() {
            return Ok(Position::default());
        }
        if tail == Some(0) && self.until.is_none() {
            // Behind the last whole line: what is being written is shown once it is complete.
            let newest = self.seek(end, 1, None, sizes).await?;
            return Ok(Position { entry: newest.entry + 1, ..newest });
        }
        self.seek(end, tail.unwrap_or(usize::MAX), since, sizes).await
    }

    /// Goes back from `end` by `wanted` entries.
    async fn seek(
        &self,
        end: Position,
        wanted: usize,
        since: Option<Timestamp>,
        sizes: &[u64],
    ) -> Result<Position, ShellError> {
        if wanted <= end.entry {
            return Ok(Position { entry: end.entry - wanted, ..end });
        }
        let mut counted = end.entry;
        for file in (0..=end.file).rev() {
            let mut back = Back::new(if file == end.file { end.offset } else { sizes[file] });
            while back.at() != 0 {
                let mut newest = None;
                let mut oldest = Position { file, offset: back.at(), entry: 0 };
                for line in back.push(&self.chunk_before(file, back.at()).await?) {
                    let Some(said) = transcript::parse(&line.bytes) else { continue };
                    newest = newest.max(said.at);
                    counted += said.entries.len();
                    oldest.offset = line.start;
                    if wanted <= counted {
                        return Ok(Position { entry: counted - wanted, ..oldest });
                    }
                }
                // Lines are all but in the order of time: a chunk that is old ends the search.
                if since.is_some_and(|since| newest.is_some_and(|it| it < since)) {
                    return Ok(oldest);
                }
            }
        }
        Ok(Position::default())
    }

    /// Returns the bytes before `at`, at most [`CHUNK`] of them, and exactly up to there.
    async fn chunk_before(&self, file: usize, at: u64) -> Result<Vec<u8>, ShellError> {
        let len = at.min(CHUNK as u64);
        let max = usize::try_from(len).unwrap_or(CHUNK);
        let mut bytes = self.worker.shell.get(&self.files[file].0, at - len, max).await?;
        let mut bytes = bytes.take().unwrap_or_default();
        // A file that became shorter meanwhile has nothing to say there.
        bytes.resize(max, b'\n');
        Ok(bytes)
    }

    /// Sends what is from `begin` on; tells whether anybody still reads.
    async fn stream(&mut self, begin: Position, out: &Out) -> bool {
        for file in begin.file..self.files.len() {
            let from = if file == begin.file { begin.offset } else { 0 };
            self.files[file].1 = Lines::new(from);
            loop {
                let from = self.files[file].1.next();
                let max = self.until.map_or(CHUNK, |it| it.room(file, from));
                let read = self.worker.shell.get(&self.files[file].0, from, max).await;
                let Ok(bytes) = read else { return false };
                let bytes = bytes.unwrap_or_default();
                for (position, line) in self.take(file, from, &bytes) {
                    if self.until.is_some_and(|it| it <= position) {
                        return true;
                    }
                    if begin <= position && !out.send(&line).await {
                        return false;
                    }
                }
                // At the end of the file, or where to end.
                if bytes.len() < CHUNK {
                    break;
                }
            }
            if self.until.is_some_and(|it| it.file == file) {
                return true;
            }
        }
        true
    }

    /// Takes bytes of a file and returns the entries they complete.
    fn take(&mut self, file: usize, offset: u64, bytes: &[u8]) -> Vec<(Position, LogLine)> {
        let Some((_, lines)) = self.files.get_mut(file) else { return Vec::new() };
        lines.push(offset, bytes).iter().flat_map(|it| log_lines(file, it)).collect()
    }

    /// Sends what is written from now on, until nobody reads or the dispatcher ends.
    async fn follow(&mut self, mut follow: Follow, out: &Out) {
        let Ok(mut follower) = self.worker.shell.follow().await else { return };
        for (key, (path, lines)) in self.files.iter().enumerate() {
            let watch = Watch::Appended { path: path.clone(), from: lines.next() };
            let _ = follower.requests.send(FollowRequest::Add(key as u64, watch)).await;
        }
        loop {
            tokio::select! {
                frame = follower.frames.recv() => match frame {
                    Some(Frame::Appended { key, offset, bytes }) => {
                        for (_, line) in self.take(key as usize, offset, &bytes) {
                            if !out.send(&line).await {
                                return;
                            }
                        }
                    }
                    Some(Frame::Truncated { .. } | Frame::Whole { .. } | Frame::Synced { .. }) => (),
                    Some(Frame::Lost { .. }) | None => return,
                },
                // A lag loses nothing here but the news of another transcript.
                published = follow.live.recv() => if let Ok(published) = published
                    && published.event.task == follow.id
                    && let Some(path) = transcript_of(&published.event.body)
                    && !self.files.iter().any(|it| it.0 == path)
                {
                    let key = self.files.len() as u64;
                    self.files.push((path.clone(), Lines::new(0)));
                    let watch = Watch::Appended { path, from: 0 };
                    let _ = follower.requests.send(FollowRequest::Add(key, watch)).await;
                },
                () = out.closed() => return,
                _ = follow.end.changed() => return,
            }
        }
    }
}

fn log_lines(file: usize, line: &Line) -> Vec<(Position, LogLine)> {
    let Some(said) = transcript::parse(&line.bytes) else { return Vec::new() };
    let offset = line.end.saturating_sub(line.bytes.len() as u64 + 1);
    let log = |(entry, what): (usize, Entry)| {
        let (kind, text) = show(what);
        let position = Position { file, offset, entry };
        let pos = position.encode();
        (position, LogLine { at: said.at, kind: kind.to_owned(), text, pos })
    };
    said.entries.into_iter().enumerate().map(log).collect()
}

fn show(entry: Entry) -> (&'static str, String) {
    match entry {
        Entry::User { text } => ("you", text),
        Entry::Text { text } => ("text", text),
        Entry::Thinking { text } => ("think", text),
        Entry::ToolUse { name, summary } => ("tool", format!("{name} {summary}")),
        Entry::ToolResult { ok: true, head } => ("out", head),
        Entry::ToolResult { ok: false, head } => ("fail", head),
        Entry::Interrupted => ("note", "interrupted".to_owned()),
        Entry::ApiError { text } => ("fail", text),
        Entry::Compacted { before, after } => {
            let tokens = |it: Option<u64>| it.map_or("?".to_owned(), |it| it.to_string());
            ("note", format!("compacted from {} to {} tokens", tokens(before), tokens(after)))
        }
        Entry::HookError { event, command, detail } => {
            ("hook", format!("{event} hook failed: {command}: {detail}"))
        }
        Entry::HookTimeout { event, command } => {
            ("hook", format!("{event} hook took too long: {command}"))
        }
        Entry::TurnDuration { millis } => {
            ("note", format!("turn took {}", short(Duration::from_millis(millis))))
        }
        Entry::Notice { text } => ("note", text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_its_number_or_has_none() {
        for position in [
            Position::default(),
            Position { file: 255, offset: (1 << 39) - 1, entry: 63 },
            Position { file: 3, offset: 70_000, entry: 1 },
        ] {
            let number = position.encode().unwrap();
            assert!(number < 1 << 53, "{number} is exact in JSON");
            assert_eq!(Position::decode(number), position);
        }
        assert_eq!(Position { entry: 64, ..Position::default() }.encode(), None);
        assert_eq!(Position { offset: 1 << 39, ..Position::default() }.encode(), None);
        assert_eq!(Position { file: 256, ..Position::default() }.encode(), None);
        // Whatever comes over the wire is a position, if one of no file.
        assert_eq!(Position::decode(u64::MAX).file, usize::MAX >> 45);
    }
}
