//! This machine as a provider: as many workers as it is said to have slots.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    domain::{
        ids::{HostPath, WorkerId},
        ledger::Price,
        task::Requirements,
    },
    provider::{Capabilities, HostInfo, Provider, Worker, pricing::Own},
    shell::{Shell, ShellError},
};

/// The name tasks choose it by.
pub const NAME: &str = "local";

/// This machine.
pub struct Local {
    shell: Arc<dyn Shell>,
    info: HostInfo,
    capabilities: Capabilities,
    price: Own,
}

impl Local {
    /// Creates the provider. `root` is where run directories go.
    ///
    /// # Errors
    ///
    /// If a path of this machine is not UTF-8.
    pub fn new(
        shell: Arc<dyn Shell>,
        home: &str,
        root: &str,
        claude_config: Option<&str>,
        capabilities: Capabilities,
        price: Own,
    ) -> Result<Local, String> {
        let home = HostPath::new(home)?;
        let info = HostInfo {
            claude_config: match claude_config {
                Some(path) => HostPath::new(path)?,
                None => home.join(".claude"),
            },
            root: HostPath::new(root)?,
            home,
            shares_environment: true,
            root_user: rustix::process::geteuid().is_root(),
        };
        Ok(Local { shell, info, capabilities, price })
    }
}

#[async_trait]
impl Provider for Local {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    fn prices(&self, requirements: &Requirements) -> Vec<Price> {
        self.price.prices(requirements)
    }

    async fn acquire(
        &self,
        id: &WorkerId,
        _requirements: &Requirements,
    ) -> Result<Worker, ShellError> {
        Ok(Worker { id: id.clone(), shell: Arc::clone(&self.shell), info: self.info.clone() })
    }

    async fn release(&self, _id: &WorkerId) -> Result<(), ShellError> {
        // The machine stays; nothing was made for the worker.
        Ok(())
    }
}
