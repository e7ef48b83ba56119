//! The hosts that sessions are on: one watcher each, whatever the number of sessions.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use tokio::sync::{Mutex, broadcast, mpsc};

use crate::{
    agent::version::Version,
    api::error::{ApiError, ErrorKind},
    dispatcher::{
        core::CoreHandle,
        lease::Leases,
        session::host_error,
        typing::Submitted,
        watch::{WatchRequest, Watcher},
        world::ProviderFacts,
    },
    domain::{
        ids::TaskId,
        task::{Place, Requirements},
    },
    provider::{Provider, Worker},
    tmux::{Tmux, conf::Clipboard},
};

/// Requests that may wait for one watcher; past that whoever asks waits.
const REQUESTS_CAP: usize = 64;

/// Prompts that whoever waits for one may lag behind; past that its wait runs out.
const PROMPTS_CAP: usize = 64;

/// All hosts; cheap to clone.
#[derive(Clone)]
pub struct Hosts {
    inner: Arc<Inner>,
}

struct Inner {
    providers: Vec<Arc<dyn Provider>>,
    tmux_socket: String,
    clipboard: Clipboard,
    core: OnceLock<(CoreHandle, Leases)>,
    /// How far transcripts and the like were read when the dispatcher began.
    offsets: HashMap<(TaskId, String), u64>,
    /// Prompts that Claude took, for whoever waits for one.
    prompts: broadcast::Sender<Submitted>,
    watchers: Mutex<HashMap<String, mpsc::Sender<WatchRequest>>>,
    versions: Mutex<HashMap<String, Option<Version>>>,
}

impl Hosts {
    /// Creates the hosts of `providers`, whose tmux servers all have this name and treat the
    /// clipboard like this.
    pub fn new(
        providers: Vec<Arc<dyn Provider>>,
        tmux_socket: String,
        clipboard: Clipboard,
        offsets: HashMap<(TaskId, String), u64>,
    ) -> Hosts {
        Hosts {
            inner: Arc::new(Inner {
                providers,
                tmux_socket,
                clipboard,
                core: OnceLock::new(),
                offsets,
                prompts: broadcast::channel(PROMPTS_CAP).0,
                watchers: Mutex::default(),
                versions: Mutex::default(),
            }),
        }
    }

    /// Tells the hosts where facts go, and who gives leases; before the first session is watched.
    pub fn report_to(&self, core: CoreHandle, leases: Leases) {
        // Set once by the dispatcher's start; a second call would change nothing.
        let _ = self.inner.core.set((core, leases));
    }

    /// Returns what planning must know.
    pub fn facts(&self) -> Vec<ProviderFacts> {
        self.inner.providers.iter().map(ProviderFacts::of).collect()
    }

    /// Returns all providers.
    pub fn providers(&self) -> &[Arc<dyn Provider>] {
        &self.inner.providers
    }

    /// Returns a provider by name.
    pub fn provider(&self, name: &str) -> Result<&Arc<dyn Provider>, ApiError> {
        self.inner.providers.iter().find(|it| it.name() == name).ok_or_else(|| {
            ApiError::new(ErrorKind::Host, format!("the provider {name} is no longer configured"))
                .hint("its tasks are kept; configure it again to reach them")
        })
    }

    /// Subscribes to the prompts that Claude takes from now on.
    pub fn prompts(&self) -> broadcast::Receiver<Submitted> {
        self.inner.prompts.subscribe()
    }

    /// Returns the worker of a place.
    pub async fn worker(
        &self,
        place: &Place,
        requirements: &Requirements,
    ) -> Result<Worker, ApiError> {
        let provider = self.provider(&place.provider)?;
        provider.acquire(&place.worker, requirements).await.map_err(|it| host_error(&it))
    }

    /// Returns the tmux server on a worker's host.
    pub fn tmux(&self, worker: &Worker) -> Tmux {
        let conf = worker.info.root.join("tmux.conf");
        Tmux::new(Arc::clone(&worker.shell), self.inner.tmux_socket.clone(), conf)
    }

    /// Sends a request to the watcher of a worker's host, which is started if need be.
    pub async fn watch(&self, worker: &Worker, request: WatchRequest) {
        let mut watchers = self.inner.watchers.lock().await;
        let host = worker.shell.host().to_owned();
        let sender = watchers.get(&host).filter(|it| !it.is_closed()).cloned();
        let sender = match (sender, self.inner.core.get()) {
            (Some(sender), _) => sender,
            (None, Some((core, leases))) => {
                let (sender, requests) = mpsc::channel(REQUESTS_CAP);
                let offsets = self.inner.offsets.clone();
                let prompts = self.inner.prompts.clone();
                let shell = Arc::clone(&worker.shell);
                let (tmux, to) = (self.tmux(worker), (core.clone(), leases.clone()));
                let watcher = Watcher::new(shell, tmux, to, offsets, prompts);
                tokio::spawn(watcher.run(requests));
                tokio::spawn(take_up(self.tmux(worker), self.inner.clipboard));
                watchers.insert(host, sender.clone());
                sender
            }
            (None, None) => return,
        };
        drop(watchers);
        // Fails only when the dispatcher ends.
        let _ = sender.send(request).await;
    }

    /// Returns the version of Claude as `key` names it, asking with `ask` the first time.
    pub async fn claude_version(
        &self,
        key: String,
        ask: impl Future<Output = Result<Option<Version>, ApiError>>,
    ) -> Result<Option<Version>, ApiError> {
        if let Some(known) = self.inner.versions.lock().await.get(&key) {
            return Ok(*known);
        }
        let version = ask.await?;
        self.inner.versions.lock().await.insert(key, version);
        Ok(version)
    }
}

/// Lets a tmux server that a dispatcher before this one started follow this one's settings.
async fn take_up(tmux: Tmux, clipboard: Clipboard) {
    if let Err(error) = tmux.set_clipboard(clipboard).await {
        tracing::warn!(%error, "the clipboard is as an earlier dispatcher set it");
    }
}
