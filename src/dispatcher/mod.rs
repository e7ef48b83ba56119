//! The daemon that owns the store, the sessions and the money.
//!
//! ```text
//! http ── Command ──▶ core ── decide, plan (pure) ──▶ events ── commit ──▶ reply, publish, duties
//!                      ▲                                                              │
//!                      └───────────── facts ◀── watch (one per host) ◀── launch, end ◀┘
//! ```
//!
//! The core is the one place where a task changes. Duties follow from a task's state alone, so a
//! dispatcher that was killed anywhere takes everything up again from its store. Nothing ticks:
//! `plan` says when something is due next.

pub mod budget;
mod clean;
pub mod configs;
pub mod core;
mod create;
pub mod decide;
mod dry;
mod duty;
mod end;
pub mod estimate;
mod host;
pub mod http;
pub mod keeper;
mod launch;
mod lease;
mod losses;
mod money;
pub mod plan;
mod read;
mod recover;
mod serve;
mod session;
mod typing;
mod watch;
pub mod world;

use std::path::PathBuf;

use crate::{
    config::{load::Sources, settings::Settings},
    dispatcher::{core::CoreHandle, host::Hosts, keeper::Keeper, lease::Leases},
    store::Store,
};

pub use crate::checkpoint::packer::{PackError, run as pack};
pub use serve::{serve, serve_with};

/// Where a dispatcher lives.
#[derive(Clone, Debug)]
pub struct Home {
    /// The directory of the store.
    pub state_dir: PathBuf,
    /// The directory of the run directories on this machine.
    pub runs_dir: PathBuf,
    /// The socket it listens on.
    pub socket: PathBuf,
    /// The name of the tmux server (`tmux -L`).
    pub tmux_socket: String,
    /// The configuration files it reads.
    pub config: Sources,
}

/// What to do with a store that is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamagedStore {
    /// Refuse to start and say how to go on.
    Refuse,
    /// Move it aside and start with an empty one: only on a person's word.
    MoveAside,
}

/// What those who work on sessions share.
pub struct Crew {
    /// The core.
    pub core: CoreHandle,
    /// The hosts.
    pub hosts: Hosts,
    /// The store, for reading.
    pub store: Store,
    /// The configuration.
    pub settings: Settings,
    /// Where the dispatcher lives.
    pub home: Home,
    /// What makes and keeps checkpoints.
    pub keeper: Keeper,
    /// What keeps sessions alive.
    pub leases: Leases,
}
