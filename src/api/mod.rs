//! The words between dispatcher and clients: wire types, routes, and the client.
//!
//! HTTP/1.1 with JSON over a unix socket; events as server-sent events whose id is the event's
//! sequence number; an attached terminal as frames over an upgraded connection. The types here
//! are what `--json` prints, so a field once shipped keeps its name. The routes are described in
//! `assets/openapi.json`, which a test compares with what the code says.

pub mod budget;
pub mod checkpoints;
pub mod checks;
pub mod client;
pub mod error;
pub mod frames;
pub mod types;
pub mod view;

/// Raised whenever a client of the old revision would misread a dispatcher of the new one. A
/// client and a dispatcher of different revisions refuse each other and say so.
pub const REVISION: u32 = 3;

/// The header that carries the client's [`REVISION`].
pub const REVISION_HEADER: &str = "x-parhelia-revision";

/// This build's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The protocol name of an attached terminal, for the `Upgrade` header.
pub const ATTACH_PROTOCOL: &str = "parhelia-pty";
