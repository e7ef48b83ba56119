//! The client's side of the dispatcher's interface.

pub mod budget;
mod checkpoints;

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    pin::Pin,
    time::Duration,
};

use futures_util::{Stream, StreamExt};
use reqwest::{Method, RequestBuilder, Response};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::api::{
    ATTACH_PROTOCOL, REVISION, REVISION_HEADER, VERSION,
    budget::BudgetView,
    error::{ApiError, ErrorKind},
    types::{
        Answer, CreateTask, Created, Diff, DryRun, EventView, LogLine, Losses, Prompt, Retry, Sent,
        Snapshot, Status, Stop, TaskList, VersionInfo, Why,
    },
    view::TaskView,
};

/// Longest wait for an ordinary answer; prompts and answers wait for Claude's confirmation.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// Longest wait for what reads or writes a whole workspace, or many checkpoints.
const WORK_LIMIT: Duration = Duration::from_secs(600);

/// A connection to the dispatcher of this user.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    socket: PathBuf,
}

/// Which tasks to list.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ListQuery {
    /// Only these states or activities, in any case, separated by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// At most so many, newest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Only tasks submitted before this one: the last of a page, to get the next page. If it was
    /// deleted meanwhile the answer is [`ErrorKind::NotFound`], and the list is to be begun again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

/// Which part of a log to read.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LogQuery {
    /// `activity` (the transcript), `events` (the dispatcher) or `raw` (the terminal).
    pub view: String,
    /// Only the last so many lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tail: Option<usize>,
    /// Only what is newer, in milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// Whether to wait for more.
    pub follow: bool,
    /// Only what stands before the line of this [`LogLine::pos`]. With `tail` it gives page after
    /// page, however long the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
}

/// Which past events to read, oldest first.
#[derive(Clone, Debug, Default, Serialize)]
pub struct HistoryQuery {
    /// Only of this task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Only after this number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Only what is newer, in milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// At most so many: the oldest ones after `after` or `since`, else the newest ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Which checkpoints to list. Every condition must hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::IntoParams)]
pub struct CheckpointsQuery {
    /// Of the task whose id starts like this; a deleted task's whole id will do, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Begun before this, in milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
    /// At most so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// How to attach.
#[derive(Clone, Debug, Serialize)]
pub struct AttachQuery {
    /// Columns of the caller's terminal.
    pub cols: u16,
    /// Rows of the caller's terminal.
    pub rows: u16,
    /// The caller's `$TERM`.
    pub term: String,
    /// Only look.
    pub read_only: bool,
    /// Whether Parhelia's own pane is the terminal. What it can do is known, so `term` is not
    /// looked at.
    pub pane: bool,
}

/// One frame of the event stream.
#[derive(Clone, Debug)]
pub enum Feed {
    /// What holds now; everything known before is void.
    Snapshot(Snapshot),
    /// What happened next.
    Event(Box<EventView>),
    /// How the money stands now.
    Budget(Box<BudgetView>),
}

/// An attached terminal: frames of [`crate::api::frames`] both ways.
pub trait Terminal: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Terminal for T {}

impl Client {
    /// Connects to the dispatcher that listens on `socket` and checks that it is this user's and
    /// speaks this revision.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Dispatcher`] if none answers, if the socket is another user's, or if the
    /// dispatcher is of another revision.
    pub async fn connect(socket: &Path) -> Result<(Client, VersionInfo), ApiError> {
        let (client, info) = Client::connect_any(socket).await?;
        if info.revision != REVISION {
            return Err(Client::mismatch(&info));
        }
        Ok((client, info))
    }

    /// Connects as [`Client::connect`] does, to a dispatcher of any revision: only to say which
    /// it is, and to end it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Dispatcher`] if none answers, or if the socket is another user's.
    pub async fn connect_any(socket: &Path) -> Result<(Client, VersionInfo), ApiError> {
        check_owner(socket).await?;
        let http = reqwest::Client::builder()
            .unix_socket(socket)
            .build()
            .map_err(|it| ApiError::new(ErrorKind::Internal, it.to_string()))?;
        let client = Client { http, socket: socket.to_owned() };
        let info: VersionInfo = client.get("/v1/version", &()).await?;
        Ok((client, info))
    }

    /// Returns the error that a dispatcher of another revision is.
    pub fn mismatch(info: &VersionInfo) -> ApiError {
        let which = if info.revision < REVISION { "older" } else { "newer" };
        ApiError::new(
            ErrorKind::Dispatcher,
            format!(
                "the dispatcher that runs is {which} ({}) than this parhelia ({VERSION})",
                info.version
            ),
        )
        .hint("parhelia daemon restart starts this one in its place; tasks keep running")
    }

    /// Writes a task down.
    pub async fn create_task(&self, request: &CreateTask) -> Result<Created, ApiError> {
        self.send(Method::POST, "/v1/tasks", request).await
    }

    /// Says what a task would do.
    pub async fn dry_run(&self, request: &CreateTask) -> Result<DryRun, ApiError> {
        self.send(Method::POST, "/v1/tasks/dry-run", request).await
    }

    /// Lists tasks, newest first.
    pub async fn tasks(&self, query: &ListQuery) -> Result<TaskList, ApiError> {
        self.get("/v1/tasks", query).await
    }

    /// Returns the task whose id starts with `id`.
    pub async fn task(&self, id: &str) -> Result<TaskView, ApiError> {
        self.get(&task_path(id, ""), &()).await
    }

    /// Returns a task's evidence.
    pub async fn why(&self, id: &str) -> Result<Why, ApiError> {
        self.get(&task_path(id, "/why"), &()).await
    }

    /// Returns what ending a task's session, or deleting the task, would lose.
    pub async fn losses(&self, id: &str) -> Result<Losses, ApiError> {
        self.get(&task_path(id, "/losses"), &()).await
    }

    /// Returns what a task's workspace differs by from the commit it was started from.
    pub async fn diff(&self, id: &str) -> Result<Diff, ApiError> {
        self.get(&task_path(id, "/diff"), &()).await
    }

    /// Returns a task's prompt.
    pub async fn prompt_text(&self, id: &str) -> Result<String, ApiError> {
        self.get(&task_path(id, "/prompt"), &()).await
    }

    /// Returns a task's final answer, if one is kept.
    pub async fn answer_text(&self, id: &str) -> Result<Option<String>, ApiError> {
        self.get(&task_path(id, "/answer"), &()).await
    }

    /// Ends a task.
    pub async fn stop(&self, id: &str, request: &Stop) -> Result<TaskView, ApiError> {
        self.send(Method::POST, &task_path(id, "/stop"), request).await
    }

    /// Runs a task again.
    pub async fn retry(&self, id: &str, request: &Retry) -> Result<TaskView, ApiError> {
        self.send(Method::POST, &task_path(id, "/retry"), request).await
    }

    /// Deletes a finished task with its run directory, saving it first.
    pub async fn delete(&self, id: &str) -> Result<TaskView, ApiError> {
        self.work(Method::DELETE, &task_path(id, ""), &()).await
    }

    /// Deletes a finished task with its run directory, and saves nothing first.
    pub async fn delete_unsaved(&self, id: &str) -> Result<TaskView, ApiError> {
        self.work(Method::DELETE, &task_path(id, "?checkpoint=false"), &()).await
    }

    /// Sends a prompt into a live session.
    pub async fn prompt(&self, id: &str, request: &Prompt) -> Result<Sent, ApiError> {
        self.send(Method::POST, &task_path(id, "/prompt"), request).await
    }

    /// Interrupts the turn that runs.
    pub async fn interrupt(&self, id: &str) -> Result<Sent, ApiError> {
        self.send(Method::POST, &task_path(id, "/interrupt"), &()).await
    }

    /// Answers what a session asks.
    pub async fn answer(&self, id: &str, request: &Answer) -> Result<Sent, ApiError> {
        self.send(Method::POST, &task_path(id, "/answer"), request).await
    }

    /// Reads a log; the stream ends where the log does, or never if it follows.
    pub async fn log(&self, id: &str, query: &LogQuery) -> Result<Lines<LogLine>, ApiError> {
        let request = self.request(Method::GET, &task_path(id, "/log")).query(query);
        Ok(Lines::new(self.checked(request, None).await?))
    }

    /// Reads past events.
    pub async fn history(&self, query: &HistoryQuery) -> Result<Vec<EventView>, ApiError> {
        self.get("/v1/events/history", query).await
    }

    /// Opens the event stream: from event `since` on, or from a snapshot of what holds now.
    pub async fn feed(&self, since: Option<u64>) -> Result<FeedStream, ApiError> {
        let request = self.request(Method::GET, "/v1/events").query(&[("since", since)]);
        Ok(FeedStream { lines: RawLines::new(self.checked(request, None).await?) })
    }

    /// Returns how all is.
    pub async fn status(&self) -> Result<Status, ApiError> {
        self.get("/v1/status", &()).await
    }

    /// Ends the dispatcher. Sessions keep running.
    pub async fn shutdown(&self) -> Result<(), ApiError> {
        self.send(Method::POST, "/v1/shutdown", &()).await
    }

    /// Attaches to a session.
    pub async fn attach(
        &self,
        id: &str,
        query: &AttachQuery,
    ) -> Result<Box<dyn Terminal>, ApiError> {
        self.terminal(&task_path(id, "/attach"), query).await
    }

    /// Opens a login shell in a task's workspace, whether or not the task has a session. It ends
    /// with its connection; when it ends by itself, the last frame is `exited` and its status.
    pub async fn shell(
        &self,
        id: &str,
        query: &AttachQuery,
    ) -> Result<Box<dyn Terminal>, ApiError> {
        self.terminal(&task_path(id, "/shell"), query).await
    }

    async fn terminal(
        &self,
        path: &str,
        query: &AttachQuery,
    ) -> Result<Box<dyn Terminal>, ApiError> {
        let request = self
            .request(Method::GET, path)
            .query(query)
            .header("connection", "upgrade")
            .header("upgrade", ATTACH_PROTOCOL);
        let response = self.checked(request, None).await?;
        let upgraded = response.upgrade().await.map_err(|it| self.transport(&it))?;
        Ok(Box::new(upgraded))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("http://parhelia{path}"))
            .header(REVISION_HEADER, REVISION.to_string())
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &impl Serialize,
    ) -> Result<T, ApiError> {
        let request = self.request(Method::GET, path).query(query);
        self.decode(self.checked(request, Some(ANSWER_LIMIT)).await?).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ApiError> {
        let request = self.request(method, path).json(body);
        self.decode(self.checked(request, Some(ANSWER_LIMIT)).await?).await
    }

    /// As [`Client::send`], for what takes its time.
    async fn work<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ApiError> {
        let request = self.request(method, path).json(body);
        self.decode(self.checked(request, Some(WORK_LIMIT)).await?).await
    }

    async fn checked(
        &self,
        request: RequestBuilder,
        limit: Option<Duration>,
    ) -> Result<Response, ApiError> {
        let request = match limit {
            Some(limit) => request.timeout(limit),
            None => request,
        };
        let response = request.send().await.map_err(|it| self.transport(&it))?;
        let status = response.status();
        if status.is_success() || status.as_u16() == 101 {
            return Ok(response);
        }
        let body = response.bytes().await.map_err(|it| self.transport(&it))?;
        Err(serde_json::from_slice(&body).unwrap_or_else(|_| {
            let text = crate::stdx::text::one_line(&String::from_utf8_lossy(&body), 200);
            ApiError::new(ErrorKind::Internal, format!("the dispatcher answered {status}: {text}"))
        }))
    }

    async fn decode<T: DeserializeOwned>(&self, response: Response) -> Result<T, ApiError> {
        let body = response.bytes().await.map_err(|it| self.transport(&it))?;
        serde_json::from_slice(&body).map_err(|it| {
            ApiError::new(ErrorKind::Dispatcher, format!("unreadable answer: {it}"))
                .hint("restart the dispatcher: parhelia daemon stop (tasks keep running)")
        })
    }

    fn transport(&self, error: &reqwest::Error) -> ApiError {
        let what = if error.is_timeout() { "did not answer in time" } else { "went away" };
        ApiError::new(
            ErrorKind::Dispatcher,
            format!("the dispatcher on {} {what}", self.socket.display()),
        )
        .hint("sessions keep running; try again, or see parhelia daemon logs")
    }
}

fn task_path(id: &str, rest: &str) -> String {
    format!("/v1/tasks/{}{rest}", segment(id))
}

/// Returns `id` as a segment of a path.
fn segment(id: &str) -> String {
    // An id comes from a command line and may hold anything.
    let mut safe = String::new();
    for b in id.bytes() {
        if b.is_ascii_alphanumeric() || b == b'-' || b == b'_' {
            safe.push(char::from(b));
        } else {
            safe.push_str(&format!("%{b:02X}"));
        }
    }
    safe
}

/// Refuses a socket that another user may stand behind.
async fn check_owner(socket: &Path) -> Result<(), ApiError> {
    let fail = |detail: String| {
        ApiError::new(
            ErrorKind::Dispatcher,
            format!("no dispatcher on {}: {detail}", socket.display()),
        )
    };
    let me = rustix::process::geteuid().as_raw();
    let dir = socket.parent().unwrap_or(Path::new("/"));
    let meta = tokio::fs::symlink_metadata(dir).await.map_err(|it| fail(it.to_string()))?;
    if meta.uid() != me || meta.mode() & 0o022 != 0 {
        return Err(fail(format!("{} is not this user's own directory", dir.display()))
            .hint("set PARHELIA_RUNTIME_DIR to a directory that only you can write"));
    }
    let stream =
        tokio::net::UnixStream::connect(socket).await.map_err(|it| fail(it.to_string()))?;
    let peer = stream.peer_cred().map_err(|it| fail(it.to_string()))?;
    if peer.uid() != me {
        return Err(fail(format!("user {} listens there, not you", peer.uid()))
            .hint("someone put a socket of theirs in your way; remove it and try again"));
    }
    Ok(())
}

type Chunks = Pin<Box<dyn Stream<Item = reqwest::Result<Vec<u8>>> + Send>>;

/// Lines of a response as they come.
struct RawLines {
    chunks: Chunks,
    pending: Vec<u8>,
}

impl RawLines {
    fn new(response: Response) -> RawLines {
        let chunks = response.bytes_stream().map(|it| it.map(|bytes| bytes.to_vec()));
        RawLines { chunks: Box::pin(chunks), pending: Vec::new() }
    }

    /// Returns the next line without its end; nothing where the response ends.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, ApiError> {
        loop {
            if let Some(at) = self.pending.iter().position(|it| *it == b'\n') {
                let mut line: Vec<u8> = self.pending.drain(..=at).collect();
                line.pop();
                return Ok(Some(line));
            }
            match self.chunks.next().await {
                Some(Ok(bytes)) => self.pending.extend(bytes),
                Some(Err(_)) => {
                    return Err(ApiError::new(
                        ErrorKind::Dispatcher,
                        "the connection to the dispatcher broke",
                    ));
                }
                None if self.pending.is_empty() => return Ok(None),
                None => return Ok(Some(std::mem::take(&mut self.pending))),
            }
        }
    }
}

/// A stream of JSON values, one a line.
pub struct Lines<T> {
    lines: RawLines,
    what: std::marker::PhantomData<T>,
}

impl<T: DeserializeOwned> Lines<T> {
    fn new(response: Response) -> Lines<T> {
        Lines { lines: RawLines::new(response), what: std::marker::PhantomData }
    }

    /// Returns the next value; nothing where the stream ends.
    pub async fn next(&mut self) -> Result<Option<T>, ApiError> {
        loop {
            match self.lines.next().await? {
                None => return Ok(None),
                Some(line) if line.is_empty() => (),
                Some(line) => return parse(&line).map(Some),
            }
        }
    }
}

/// The event stream.
pub struct FeedStream {
    lines: RawLines,
}

impl FeedStream {
    /// Returns the next frame; nothing when the dispatcher ends.
    pub async fn next(&mut self) -> Result<Option<Feed>, ApiError> {
        let mut kind = String::new();
        let mut data = Vec::new();
        while let Some(line) = self.lines.next().await? {
            if let Some(it) = line.strip_prefix(b"event:") {
                kind = String::from_utf8_lossy(it).trim().to_owned();
            } else if let Some(it) = line.strip_prefix(b"data:") {
                data.extend_from_slice(it);
            } else if line.is_empty() && !data.is_empty() {
                return match kind.as_str() {
                    "snapshot" => parse(&data).map(Feed::Snapshot).map(Some),
                    "budget" => parse(&data).map(|it| Some(Feed::Budget(Box::new(it)))),
                    _ => parse(&data).map(|it| Some(Feed::Event(Box::new(it)))),
                };
            }
        }
        Ok(None)
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(bytes).map_err(|it| {
        ApiError::new(ErrorKind::Dispatcher, format!("unreadable line from the dispatcher: {it}"))
    })
}
