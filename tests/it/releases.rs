//! Workers are given back, by the next dispatcher if the one that was to do it died.

use std::{
    path::Path,
    sync::{Arc, mpsc},
    time::Duration,
};

use async_trait::async_trait;
use parhelia::{
    api::{client::Client, types::CreateTask},
    config::{load::Sources, settings::Settings},
    dispatcher::{DamagedStore, Home, serve_with},
    domain::{ids::WorkerId, ledger::Price, task::Requirements},
    provider::{Capabilities, Provider, Worker},
    shell::ShellError,
    store::{Loaded, Query, Store},
};
use tokio::runtime::Runtime;

use crate::support::{
    dispatcher, stand_in,
    wait::{PATIENCE, wait_until},
};

const LIMIT: Duration = Duration::from_secs(60);

/// A provider whose workers turn out to be of no use.
struct Useless {
    /// Whether it ever answers that it took one back.
    answers: bool,
    /// Told which are given back.
    back: mpsc::Sender<WorkerId>,
}

#[async_trait]
impl Provider for Useless {
    fn name(&self) -> &'static str {
        "useless"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { gpus: Vec::new(), memory_gb: None, cpu: None, slots: 1 }
    }

    fn prices(&self, _requirements: &Requirements) -> Vec<Price> {
        Vec::new()
    }

    async fn acquire(
        &self,
        _id: &WorkerId,
        _requirements: &Requirements,
    ) -> Result<Worker, ShellError> {
        Err(ShellError::NoProgram { host: "useless".into(), program: "sh".into() })
    }

    async fn release(&self, id: &WorkerId) -> Result<(), ShellError> {
        self.back.send(id.clone()).unwrap();
        if self.answers { Ok(()) } else { std::future::pending().await }
    }
}

/// A dispatcher with that provider, in this process.
struct Served {
    runtime: Runtime,
    client: Client,
    back: mpsc::Receiver<WorkerId>,
}

impl Served {
    fn start(dir: &Path, answers: bool) -> Served {
        let at = |name: &str| dir.join(name);
        let home = Home {
            state_dir: at("state"),
            runs_dir: at("runs"),
            socket: at("run/parhelia.sock"),
            tmux_socket: "parhelia-useless".into(),
            config: Sources { user: at("parhelia.toml"), explicit: None, project_dir: None },
        };
        let socket = home.socket.clone();
        let (sender, back) = mpsc::channel();
        let provider: Arc<dyn Provider> = Arc::new(Useless { answers, back: sender });
        let (ready, listens) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let serve = async move {
            let ready = move || ready.send(()).unwrap();
            serve_with(home, Settings::default(), DamagedStore::Refuse, vec![provider], ready).await
        };
        runtime.spawn(serve);
        listens.recv_timeout(LIMIT).unwrap();
        let (client, _) = runtime.block_on(Client::connect(&socket)).unwrap();
        Served { runtime, client, back }
    }

    fn given_back(&self) -> WorkerId {
        self.back.recv_timeout(LIMIT).unwrap()
    }

    /// Ends it where it stands, and returns what it leaves.
    fn die(self, dir: &Path) -> (Loaded, Vec<String>) {
        drop(self.client);
        self.runtime.shutdown_timeout(LIMIT);
        let (store, loaded) = wait_until("the store to be let go of", PATIENCE, || {
            Store::open(&dir.join("state")).ok()
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let query = Query { limit: usize::MAX, ..Query::default() };
        let events = runtime.block_on(store.events(query)).unwrap().events;
        runtime.block_on(store.close());
        (loaded, events.iter().map(|it| it.body.kind().to_owned()).collect())
    }
}

fn count(kinds: &[String], kind: &str) -> usize {
    kinds.iter().filter(|it| *it == kind).count()
}

#[test]
fn a_worker_whose_release_was_lost_by_a_crash_is_given_back_at_the_next_start() {
    let dir = tempfile::Builder::new().prefix("ph-").tempdir().unwrap();
    let dir = dir.path();
    let first = Served::start(dir, false);
    let workspace = dir.to_str().unwrap().to_owned();
    let request = CreateTask { prompt: "p".into(), workspace, ..CreateTask::default() };
    first.runtime.block_on(first.client.create_task(&request)).unwrap();
    let worker = first.given_back();
    let (left, kinds) = first.die(dir);
    assert_eq!((left.tasks[0].state.name(), count(&kinds, "released")), ("DISPATCH_FAILED", 0));
    let owed = |loaded: &Loaded| -> Vec<WorkerId> {
        loaded.tasks[0].unreleased().map(|it| it.worker.clone()).collect()
    };
    assert_eq!(owed(&left), std::slice::from_ref(&worker));

    let second = Served::start(dir, true);
    assert_eq!(second.given_back(), worker);
    let id = &left.tasks[0].id;
    wait_until("that to be written down", PATIENCE, || {
        let task = second.runtime.block_on(second.client.task(id.as_str())).unwrap();
        assert_eq!(task.state, "DISPATCH_FAILED");
        let query = Default::default();
        let events = second.runtime.block_on(second.client.history(&query)).unwrap();
        events.iter().any(|it| it.body.kind() == "released").then_some(())
    });
    let (left, kinds) = second.die(dir);
    assert_eq!((owed(&left), count(&kinds, "released")), (Vec::new(), 1));
}

#[test]
fn what_was_given_back_is_written_down() {
    let sandbox = stand_in::sandbox(1);
    let id = dispatcher::create(&sandbox, &["leave"]);
    wait_until("the worker to be given back", PATIENCE, || {
        let told = sandbox.ok(&["logs", &id, "--events"]);
        told.contains("given back").then_some(())
    });
    let task = dispatcher::task(&sandbox, &id);
    assert_eq!((&task["state"], &task["session"]), (&"COMPLETED".into(), &().into()));
}
