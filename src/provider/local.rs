//! This machine as a provider: as many workers as it is said to have slots.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    domain::{
        ids::{HostPath, WorkerId},
        ledger::{CostKind, Price},
        task::Requirements,
        usd::Usd,
    },
    provider::{Capabilities, HostInfo, Provider, Worker},
    shell::{Shell, ShellError},
};

/// The name tasks choose it by.
pub const NAME: &str = "local";

/// This machine.
pub struct Local {
    shell: Arc<dyn Shell>,
    info: HostInfo,
    capabilities: Capabilities,
    cost_per_hour: Usd,
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
        cost_per_hour: Usd,
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
        Ok(Local { shell, info, capabilities, cost_per_hour })
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

    fn prices(&self, _requirements: &Requirements) -> Vec<Price> {
        let (kind, per_hour) = (CostKind::Cpu, self.cost_per_hour);
        vec![Price { kind, per_hour, milli_units: 1000 }]
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
