//! A Messages API that answers by a script in the prompt, for the real Claude Code.
//!
//! A prompt holds `SCENARIO:name` or `FAKE:[step, …]`; see [`script`]. A step is an object whose
//! keys are all optional:
//!
//! | key | what it does |
//! |---|---|
//! | `text`, `thinking` | such a block |
//! | `tool`, `input` | a tool call; `tools: [[name, input], …]` for several |
//! | `delay` | seconds before the first byte |
//! | `chunk_delay` | seconds after each word |
//! | `gate` | the answer waits for [`Api::open`] with this name |
//! | `gate_after_words` | the gate stands after this many words instead of before the first byte |
//! | `usage` | replaces some of the usual numbers |
//! | `error` | a status, or `[status, type, message]` |
//! | `retry_after` | the header of an error |
//! | `times`, `then` | the step holds for the first `times` attempts, then `then` |
//! | `hang` | never answers |
//! | `drop` | streams the first half of the text, then cuts the connection |
//! | `stream_error` | `[type, message]`: the same with an `error` event |
//! | `stop` | the stop reason |
//!
//! `drop` and `stream_error` act on requests that stream; Claude Code then asks again without, and
//! that succeeds. It also takes OTLP at `/v1/{metrics,logs,traces}` and hooks at `/hook…`.

mod reply;
mod script;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    convert::Infallible,
    future::pending,
    io,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode},
};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot, watch},
};

use self::{
    reply::{Piece, Reply, id},
    script::truthy,
};
use crate::support::wait::wait_or_explain;

/// A request that was made.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Its method.
    pub method: String,
    /// Its path, without the query.
    pub path: String,
    /// Its headers, in lower case; keys and tokens are left out.
    pub headers: BTreeMap<String, String>,
    /// Its body; null if it has none.
    pub body: Value,
    /// The step that answers it, or the status.
    pub reply: Value,
    /// The gate its answer waits at now.
    pub held: Option<String>,
    /// Whether the client left before the answer was complete.
    pub gone: bool,
    /// What the answer said it used, once it was sent whole.
    pub used: Option<Value>,
    /// What its first event said it used, if the client left before its last.
    pub begun: Option<Value>,
}

impl Recorded {
    /// Returns whether it is a turn of a conversation.
    pub fn is_turn(&self) -> bool {
        self.path == "/v1/messages" && script::is_main(&self.body)
    }

    /// Returns whether the newest user message holds `text`, as JSON writes it, tool results and
    /// all.
    pub fn asks(&self, text: &str) -> bool {
        let messages = self.body["messages"].as_array();
        let last = messages.and_then(|it| it.iter().rev().find(|it| it["role"] == "user"));
        last.is_some_and(|it| it["content"].to_string().contains(text))
    }
}

/// The running API. Dropping it ends it and cuts every connection.
pub struct Api {
    /// Where it is, for `ANTHROPIC_BASE_URL`.
    pub url: String,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    server: Option<thread::JoinHandle<()>>,
}

struct Shared {
    state: Mutex<Record>,
    open: watch::Sender<BTreeSet<String>>,
}

#[derive(Default)]
struct Record {
    requests: Vec<Recorded>,
    /// The step that answers turns instead of the script, and for how many more; no number means
    /// until it is taken away.
    fail: Option<(Value, Option<usize>)>,
    attempts: HashMap<String, u64>,
}

impl Api {
    /// Starts one on a free port of this machine.
    pub fn start() -> Api {
        let shared = Arc::new(Shared {
            state: Mutex::new(Record::default()),
            open: watch::Sender::new(BTreeSet::new()),
        });
        let (stop, stopped) = oneshot::channel();
        let (ready, address) = std::sync::mpsc::channel();
        let app = Router::new().fallback(handle).with_state(Arc::clone(&shared));
        let server = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
                ready.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    it = axum::serve(listener, app) => it.unwrap(),
                    _ = stopped => (),
                }
            });
            runtime.shutdown_background();
        });
        let url = format!("http://{}", address.recv().unwrap());
        Api { url, shared, stop: Some(stop), server: Some(server) }
    }

    /// Returns every request so far, oldest first.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.state.lock().unwrap().requests.clone()
    }

    /// Returns the turns so far: requests to go on with a conversation.
    pub fn turns(&self) -> Vec<Recorded> {
        self.requests().into_iter().filter(Recorded::is_turn).collect()
    }

    /// Returns the model and the usage of every answer that was sent whole.
    pub fn used(&self) -> Vec<(String, Value)> {
        self.usage(|it| it.used.clone())
    }

    /// Returns the same of every answer that the client left in the middle of, as far as it was
    /// told.
    pub fn begun(&self) -> Vec<(String, Value)> {
        self.usage(|it| it.begun.clone())
    }

    fn usage(&self, of: impl Fn(&Recorded) -> Option<Value>) -> Vec<(String, Value)> {
        let state = self.shared.state.lock().unwrap();
        let model = |it: &Recorded| it.body["model"].as_str().unwrap_or_default().to_owned();
        state.requests.iter().filter_map(|it| Some((model(it), of(it)?))).collect()
    }

    /// Returns the first request that `wanted` accepts, waiting for it.
    ///
    /// # Panics
    ///
    /// If there is none by the deadline; tells what there was.
    pub fn wait_for(&self, wanted: impl Fn(&Recorded) -> bool, deadline: Duration) -> Recorded {
        let look = || self.requests().into_iter().find(|it| wanted(it));
        wait_or_explain("a request to the API", deadline, look, || {
            let seen: Vec<String> = self
                .requests()
                .iter()
                .map(|it| format!("{} {} held={:?} {}", it.method, it.path, it.held, it.reply))
                .collect();
            format!("there were:\n{}", seen.join("\n"))
        })
    }

    /// Answers the next `count` turns with `status`.
    pub fn fail_next(&self, count: usize, status: u16) {
        self.shared.state.lock().unwrap().fail = Some((json!({ "error": status }), Some(count)));
    }

    /// Answers every turn with `step` until [`Api::follow_scripts`].
    pub fn answer_all(&self, step: Value) {
        self.shared.state.lock().unwrap().fail = Some((step, None));
    }

    /// Ends what [`Api::fail_next`] or [`Api::answer_all`] began.
    pub fn follow_scripts(&self) {
        self.shared.state.lock().unwrap().fail = None;
    }

    /// Opens a gate for every answer that waits at it, now or later.
    pub fn open(&self, gate: &str) {
        self.shared.open.send_modify(|it| {
            it.insert(gate.to_owned());
        });
    }

    /// Shuts a gate again.
    pub fn shut(&self, gate: &str) {
        self.shared.open.send_modify(|it| {
            it.remove(gate);
        });
    }

    /// Waits until an answer waits at a gate, and returns its request.
    pub fn wait_held(&self, gate: &str, deadline: Duration) -> Recorded {
        self.wait_for(|it| it.held.as_deref() == Some(gate), deadline)
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}

/// One request in the record, marked as left by its client if dropped before it is done.
struct Entry {
    shared: Arc<Shared>,
    at: usize,
    done: bool,
}

impl Entry {
    fn new(shared: &Arc<Shared>, recorded: Recorded) -> Entry {
        let mut state = shared.state.lock().unwrap();
        state.requests.push(recorded);
        Entry { shared: Arc::clone(shared), at: state.requests.len() - 1, done: false }
    }

    fn edit(&self, change: impl FnOnce(&mut Recorded)) {
        if let Ok(mut state) = self.shared.state.lock() {
            change(&mut state.requests[self.at]);
        }
    }

    async fn gate(&self, name: &str) {
        self.edit(|it| it.held = Some(name.to_owned()));
        let mut open = self.shared.open.subscribe();
        // The sender lives in `self.shared`, so it cannot be gone.
        let _ = open.wait_for(|it| it.contains(name)).await;
        self.edit(|it| it.held = None);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !self.done {
            self.edit(|it| {
                it.gone = true;
                it.held = None;
            });
        }
    }
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response<Body>, Infallible> {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let headers = readable(request.headers());
    let bytes = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap_or_default();
    let body = if bytes.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| json!({ "_raw": String::from_utf8_lossy(&bytes) }))
    };
    let recorded = |body: Value, reply| Recorded {
        method: method.to_string(),
        path: path.clone(),
        headers: headers.clone(),
        body,
        reply,
        held: None,
        gone: false,
        used: None,
        begun: None,
    };
    if method == Method::POST && path == "/v1/messages" {
        let (step, index) = choose(&shared, &body);
        let entry = Entry::new(&shared, recorded(body.clone(), step.clone()));
        return Ok(messages(entry, &body, &step, index).await);
    }
    let (status, answer) = elsewhere(&method, &path, &body);
    Entry::new(&shared, recorded(body, json!(status.as_u16()))).done = true;
    Ok(plain(status, &answer))
}

fn elsewhere(method: &Method, path: &str, body: &Value) -> (StatusCode, Value) {
    let sink = ["/v1/metrics", "/v1/logs", "/v1/traces"].contains(&path);
    if *method == Method::HEAD {
        return (StatusCode::OK, Value::Null);
    }
    match (method == Method::POST, path) {
        (false, "/") => (StatusCode::OK, json!({ "ok": true })),
        (false, "/v1/models") => (StatusCode::OK, json!({ "data": [], "has_more": false })),
        (true, "/v1/messages/count_tokens") => {
            (StatusCode::OK, json!({ "input_tokens": body.to_string().len() / 4 }))
        }
        (true, _) if sink || path.starts_with("/hook") => (StatusCode::OK, json!({})),
        _ => (StatusCode::NOT_FOUND, error_body("not_found_error", &format!("fake: no {path}"))),
    }
}

/// Returns the step that answers, and its place in its program.
fn choose(shared: &Shared, body: &Value) -> (Value, i64) {
    let mut state = shared.state.lock().unwrap();
    let failing = match &mut state.fail {
        Some((_, Some(0))) | None => None,
        Some(_) if !script::is_main(body) => None,
        Some((step, left)) => {
            *left = left.map(|it| it - 1);
            Some((step.clone(), -1))
        }
    };
    let (step, index) = failing.unwrap_or_else(|| script::step(body));
    let Some(times) = step["times"].as_u64() else { return (step, index) };
    let last = body["messages"].as_array().and_then(|it| it.last());
    let key: Vec<char> = json!([last, index]).to_string().chars().collect();
    let key = key[key.len().saturating_sub(3000)..].iter().collect();
    let attempt = state.attempts.entry(key).or_default();
    *attempt += 1;
    if *attempt <= times {
        return (step, index);
    }
    let then = step.get("then").cloned();
    (then.unwrap_or_else(|| json!({ "text": "recovered." })), index)
}

async fn messages(mut entry: Entry, body: &Value, step: &Value, index: i64) -> Response<Body> {
    pause(&step["delay"]).await;
    let gate = step["gate"].as_str().map(str::to_owned);
    if let (Some(gate), None) = (&gate, step.get("gate_after_words")) {
        entry.gate(gate).await;
    }
    if truthy(&step["hang"]) {
        // The client leaving drops this.
        pending::<()>().await;
    }
    if truthy(&step["error"]) {
        entry.done = true;
        return failure(step);
    }
    let reply = Reply::new(step, index, body);
    if !truthy(&body["stream"]) {
        entry.done = true;
        entry.edit(|it| it.used = Some(reply.usage().clone()));
        return plain(StatusCode::OK, &reply.whole());
    }
    let (send, receive) = mpsc::channel(1);
    tokio::spawn(produce(entry, reply, step.clone(), gate, send));
    let chunks = stream::unfold(receive, |mut receive| async {
        let chunk: io::Result<Bytes> = receive.recv().await?;
        if chunk.is_err() {
            // Lets the server write out what it has before it sees the error and cuts.
            tokio::task::yield_now().await;
        }
        Some((chunk, receive))
    });
    let mut response = Response::new(Body::from_stream(chunks));
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("text/event-stream"));
    headers.insert("cache-control", HeaderValue::from_static("no-cache"));
    headers.insert("request-id", request_id());
    response
}

/// Sends the pieces of a stream; ends early if the client leaves.
async fn produce(
    mut entry: Entry,
    reply: Reply,
    step: Value,
    gate: Option<String>,
    send: mpsc::Sender<io::Result<Bytes>>,
) {
    let (mut whole, mut begun) = (true, false);
    let work = async {
        for piece in reply.pieces(&step) {
            let chunk = match piece {
                Piece::Event(event) => {
                    whole &= event["type"] != "error";
                    let name = event["type"].as_str().unwrap_or_default();
                    Ok(Bytes::from(format!("event: {name}\ndata: {event}\n\n")))
                }
                Piece::Word => {
                    pause(&step["chunk_delay"]).await;
                    continue;
                }
                Piece::Gate => {
                    if let Some(gate) = &gate {
                        entry.gate(gate).await;
                    }
                    continue;
                }
                Piece::Cut => {
                    whole = false;
                    Err(io::Error::other("cut by the script"))
                }
            };
            if send.send(chunk).await.is_err() {
                return false;
            }
            begun = true;
        }
        true
    };
    let complete = tokio::select! {
        it = work => it,
        () = send.closed() => false,
    };
    entry.done = complete;
    if complete && whole {
        entry.edit(|it| it.used = Some(reply.usage().clone()));
    } else if begun && whole {
        entry.edit(|it| it.begun = Some(reply.first_usage().clone()));
    }
}

async fn pause(seconds: &Value) {
    if let Some(seconds) = seconds.as_f64().filter(|it| 0.0 < *it) {
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    }
}

fn failure(step: &Value) -> Response<Body> {
    let (code, name, message) = match &step["error"] {
        Value::Array(it) => (
            it.first().and_then(Value::as_u64).unwrap_or(500),
            it.get(1).and_then(Value::as_str).unwrap_or("api_error").to_owned(),
            it.get(2).and_then(Value::as_str).unwrap_or_default().to_owned(),
        ),
        other => {
            let code = other.as_u64().unwrap_or(500);
            (code, error_name(code).to_owned(), format!("fake error {code}"))
        }
    };
    let status = StatusCode::from_u16(u16::try_from(code).unwrap()).unwrap();
    let mut response = plain(status, &error_body(&name, &message));
    if let Some(after) = step.get("retry_after") {
        let text = after.as_str().map_or_else(|| after.to_string(), str::to_owned);
        response.headers_mut().insert("retry-after", HeaderValue::from_str(&text).unwrap());
    }
    response
}

fn error_name(code: u64) -> &'static str {
    match code {
        400 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => "api_error",
    }
}

fn error_body(name: &str, message: &str) -> Value {
    json!({ "type": "error", "error": { "type": name, "message": message } })
}

fn plain(status: StatusCode, body: &Value) -> Response<Body> {
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("request-id", request_id());
    response
}

fn request_id() -> HeaderValue {
    HeaderValue::from_str(&id("req_fake_")).unwrap()
}

fn readable(headers: &HeaderMap) -> BTreeMap<String, String> {
    headers
        .iter()
        .filter(|(name, _)| !["x-api-key", "authorization"].contains(&name.as_str()))
        .map(|(name, value)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect()
}
