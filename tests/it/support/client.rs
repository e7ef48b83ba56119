//! A client of a sandbox's dispatcher, as the dashboard is one.

use parhelia::api::client::Client;
use tokio::runtime::{Builder, Runtime};

use crate::support::{dispatcher, sandbox::Sandbox};

/// A client with a thread to run on.
pub struct Caller {
    /// The client.
    pub client: Client,
    runtime: Runtime,
}

impl Caller {
    /// Starts the dispatcher of `sandbox` if need be, and connects.
    pub fn new(sandbox: &Sandbox) -> Caller {
        sandbox.ok(&["daemon", "start"]);
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let socket = dispatcher::socket(sandbox);
        let (client, _) = runtime.block_on(Client::connect(&socket)).unwrap();
        Caller { client, runtime }
    }

    /// Waits for an answer.
    pub fn wait<T>(&self, answer: impl Future<Output = T>) -> T {
        self.runtime.block_on(answer)
    }
}
