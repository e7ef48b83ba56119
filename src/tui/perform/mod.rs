//! Carries out what the dashboard asks of the outside.
//!
//! Each request is a task of its own, so none waits for another and none holds up the loop. What
//! comes of it is a [`Msg`] on one of two bounded queues: terminals have one of their own, so that
//! a flood of output never delays an answer.

pub mod around;
pub mod files;
pub mod handover;
pub mod link;
mod log;
mod programs;
mod request;
pub mod term;

use std::{
    collections::HashMap,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};

use crate::{
    api::{
        client::Client,
        error::{ApiError, ErrorKind},
        types::Env,
    },
    config::value::CommandLine,
    tui::{
        effect::{Ask, Effect},
        msg::{Msg, ReadId, RequestId, Slot},
        perform::{
            files::{Change, Changes, Files},
            link::{Connect, Link},
            term::Term,
        },
    },
};

/// News not yet taken in. When full, whoever has news waits: the event stream is read no further,
/// and the dispatcher begins it anew with a snapshot when it goes on.
pub const NEWS_CAP: usize = 1024;

/// Chunks of terminal output not yet taken in, over all terminals; each has a bound of its own
/// ([`term`]), which together are less.
pub const OUTPUT_CAP: usize = 256;

/// Requests under way. One more is refused at once, and says so.
const REQUESTS_MAX: usize = 64;

/// What carries effects out.
pub struct Performer {
    news: mpsc::Sender<Msg>,
    output: mpsc::Sender<term::Chunk>,
    link: Link,
    client: watch::Receiver<Option<Client>>,
    files: Arc<Files>,
    changes: Changes,
    requests: HashMap<RequestId, AbortHandle>,
    terms: HashMap<Slot, Term>,
    logs: HashMap<ReadId, AbortHandle>,
    /// Environment of the caller for new tasks; never in the model, so in no recording.
    caller_env: Arc<Mutex<Env>>,
    notify_command: Option<CommandLine>,
}

/// What a performer is made of.
pub struct Needs {
    pub news: mpsc::Sender<Msg>,
    pub output: mpsc::Sender<term::Chunk>,
    pub connect: Arc<dyn Connect>,
    /// Holds the dashboard's own files.
    pub dir: PathBuf,
    pub caller_env: Env,
    pub notify_command: Option<CommandLine>,
}

impl Performer {
    /// Begins to connect.
    pub fn start(needs: Needs) -> Performer {
        let (link, client) = Link::start(needs.connect, needs.news.clone());
        let files = Arc::new(Files::new(needs.dir));
        Performer {
            changes: Changes::start(Arc::clone(&files), needs.news.clone()),
            news: needs.news,
            output: needs.output,
            link,
            client,
            files,
            requests: HashMap::new(),
            terms: HashMap::new(),
            logs: HashMap::new(),
            caller_env: Arc::new(Mutex::new(needs.caller_env)),
            notify_command: needs.notify_command,
        }
    }

    /// Takes what of a new configuration is not the model's.
    pub fn configure(&mut self, caller_env: Env, notify_command: Option<CommandLine>) {
        *self.caller_env.lock().unwrap_or_else(PoisonError::into_inner) = caller_env;
        self.notify_command = notify_command;
    }

    /// Does what an effect says. What concerns the terminal outside is the loop's to do.
    pub fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Ask { id, ask } => self.ask(id, ask),
            Effect::Cancel(id) => {
                if let Some(it) = self.requests.remove(&id) {
                    it.abort();
                }
            }
            Effect::OpenTerm { slot, task, kind, size } => {
                self.terms.retain(|_, it| !it.over());
                let term = Term::open(slot, term::Target { task, kind, size }, self.wires());
                self.terms.insert(slot, term);
            }
            Effect::TermInput { slot, bytes } => {
                if let Some(it) = self.terms.get(&slot) {
                    it.input(bytes);
                }
            }
            Effect::TermResize { slot, size } => {
                if let Some(it) = self.terms.get(&slot) {
                    it.resize(size);
                }
            }
            // Dropping it closes it.
            Effect::CloseTerm(slot) => drop(self.terms.remove(&slot)),
            Effect::ReadLog { read, task, query } => {
                self.logs.retain(|_, it| !it.is_finished());
                let reading = log::read(self.client.clone(), self.news.clone(), read, task, query);
                if let Some(old) = self.logs.insert(read, reading) {
                    old.abort();
                }
            }
            Effect::StopLog(read) => {
                if let Some(it) = self.logs.remove(&read) {
                    it.abort();
                }
            }
            Effect::Reconnect => self.link.reconnect(),
            Effect::AskStatus => link::ask_status(self.client.clone(), self.news.clone()),
            Effect::OpenUrl(address) => programs::open(&address),
            Effect::Notify { title, body } => {
                programs::notify(self.notify_command.as_ref(), &title, &body);
            }
            Effect::RemoveFile(file) => drop(self.changes.ask(Change::Remove(file))),
            Effect::Quit
            | Effect::WakeAt(_)
            | Effect::HandOver(_)
            | Effect::Copy(_)
            | Effect::Bell
            | Effect::SetTitle(_)
            | Effect::CaptureMouse(_)
            | Effect::Redraw => (),
        }
    }

    fn refuse(&self, id: RequestId) {
        let error = ApiError::new(ErrorKind::Conflict, "too many requests are under way")
            .hint("wait for one, or give one up in the list of jobs");
        let (news, answer) = (self.news.clone(), Msg::Answered { id, result: Err(error) });
        drop(tokio::spawn(async move { news.send(answer).await }));
    }

    /// Waits until what was to be written is written; nothing else goes on.
    pub async fn finish(self) {
        drop(self.link);
        self.changes.finish().await;
    }

    fn wires(&self) -> term::Wires {
        term::Wires { client: self.client.clone(), output: self.output.clone() }
    }

    fn ask(&mut self, id: RequestId, ask: Ask) {
        self.requests.retain(|_, it| !it.is_finished());
        let ask = match ask {
            Ask::WriteFile { file, text } => {
                if self.changes.ask(Change::Write { id, file, text }).is_err() {
                    self.refuse(id);
                }
                return;
            }
            _ if REQUESTS_MAX <= self.requests.len() => return self.refuse(id),
            other => other,
        };
        let news = self.news.clone();
        let (client, files) = (self.client.clone(), Arc::clone(&self.files));
        let env = Arc::clone(&self.caller_env);
        let task = tokio::spawn(async move {
            let result = match ask {
                Ask::Request(request) => request::send(client, request, &env).await,
                Ask::Pipe { command, text } => programs::pipe(&command, text).await,
                file => files::answer(files, file).await,
            };
            let _ = news.send(Msg::Answered { id, result }).await;
        });
        self.requests.insert(id, task.abort_handle());
    }
}

/// Writes a file that only this user can read, in a directory that only this user can look into.
///
/// # Errors
///
/// If it cannot be written, or is there already.
pub fn private(path: &Path, text: &str) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        files::make_private(dir)?;
    }
    files::create_private(path)?.write_all(text.as_bytes())
}

/// Returns the client once there is a connection.
///
/// # Errors
///
/// If there is none within a person's patience.
async fn connected(mut client: watch::Receiver<Option<Client>>) -> Result<Client, ApiError> {
    let wait = client.wait_for(Option::is_some);
    let found = match tokio::time::timeout(link::PATIENCE, wait).await {
        Ok(Ok(it)) => it.clone(),
        Ok(Err(_)) | Err(_) => None,
    };
    found.ok_or_else(|| {
        ApiError::new(ErrorKind::Dispatcher, "there is no connection to the dispatcher")
            .hint("ctrl-r connects again; sessions keep running")
    })
}
