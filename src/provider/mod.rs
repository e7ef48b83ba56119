//! The upper waist: where workers come from.
//!
//! A provider gives places to work. It is told the worker's id before it starts, so asking twice
//! for one worker is harmless and what exists can be matched with what is recorded.

pub mod local;
pub mod pricing;

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    domain::{
        ids::{HostPath, WorkerId},
        ledger::Price,
        task::{Gpu, Requirements},
    },
    shell::{Shell, ShellError},
};

/// What a provider can give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// GPUs it has.
    pub gpus: Vec<Gpu>,
    /// The most memory of one worker in GB; nothing means not known.
    pub memory_gb: Option<u32>,
    /// The most cores of one worker; nothing means not known.
    pub cpu: Option<u32>,
    /// Workers at once.
    pub slots: u32,
}

impl Capabilities {
    /// Returns why a worker with `requirements` can never come from here, if so.
    pub fn refuses(&self, requirements: &Requirements) -> Option<String> {
        if let Some(gpu) = requirements.gpu
            && !self.gpus.contains(&gpu)
        {
            return Some(format!("has no {gpu} GPU"));
        }
        if let (Some(want), Some(have)) = (requirements.memory_gb, self.memory_gb)
            && have < want
        {
            return Some(format!("has {have} GB of memory, {want} GB are asked for"));
        }
        if let (Some(want), Some(have)) = (requirements.cpu, self.cpu)
            && have < want
        {
            return Some(format!("has {have} cores, {want} are asked for"));
        }
        if self.slots == 0 {
            return Some("is set to take no workers".into());
        }
        None
    }
}

/// What is known of a host once it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostInfo {
    /// The home directory there.
    pub home: HostPath,
    /// Where run directories go; made and owned by Parhelia.
    pub root: HostPath,
    /// Claude's configuration directory there.
    pub claude_config: HostPath,
    /// Whether it is this machine and this user, so that the caller's environment makes sense.
    pub shares_environment: bool,
    /// Whether commands run as root, which Claude refuses some modes to.
    pub root_user: bool,
}

/// A worker that can be used.
#[derive(Clone)]
pub struct Worker {
    /// Its id.
    pub id: WorkerId,
    /// The host it is on.
    pub shell: Arc<dyn Shell>,
    /// What is known of the host.
    pub info: HostInfo,
}

/// A source of workers.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// Returns the name tasks choose it by.
    fn name(&self) -> &str;

    /// Returns what it can give.
    fn capabilities(&self) -> Capabilities;

    /// Returns what a worker costs: nothing if it is free.
    fn prices(&self, requirements: &Requirements) -> Vec<Price>;

    /// Returns worker `id`, making it if there is none of that id: harmless to repeat.
    async fn acquire(
        &self,
        id: &WorkerId,
        requirements: &Requirements,
    ) -> Result<Worker, ShellError>;

    /// Gives worker `id` back; harmless to repeat.
    async fn release(&self, id: &WorkerId) -> Result<(), ShellError>;
}
