//! Parhelia, the control room for Claude Code. This page is the architecture.
//!
//! ```text
//! command ── HTTP, SSE over a unix socket ──▶ dispatcher ── Shell: exec, pty, put, get ──▶ tmux ▶ claude
//!                                             decide → commit → duties  ◀── hooks, registry, exit ──┘
//! ```
//!
//! # Invariants
//!
//! 1. [`domain`] has no async, no clock, no I/O.
//! 2. A task changes only through `apply`, called only from the fold of its events.
//! 3. No event is published before it is committed; no command is answered before its events are.
//! 4. Launching is written down before it is tried, and every launch carries its task's name, so
//!    trying twice is harmless.
//! 5. "Cannot reach" is not "failed".
//! 6. Judgement never waits: `decide`, `plan`, `update` and `view` are pure; whatever waits is a
//!    duty of the dispatcher's or an effect of the dashboard's.
//! 7. Terminal bytes and log lines are never events; only facts about them are.
//! 8. Every queue has a bound and a stated answer to "full".
//! 9. Nothing secret implements `Debug` or `Serialize` unredacted.
//! 10. Deletion touches only paths recorded as created by Parhelia.
//!
//! # Layers
//!
//! Each may use those above it as far as `tests/it/layers.rs` says, which checks it.
//!
//! | layer | what it is |
//! |---|---|
//! | [`stdx`] | clock, backoff, secrets |
//! | [`domain`] | what is true: task, events, evidence and activity |
//! | [`config`] | `parhelia.toml`, and where things lie |
//! | [`store`] | SQLite: one writer, many readers |
//! | [`shell`] | the lower waist: a machine as four verbs |
//! | [`tmux`], [`git`] | drivers over any shell |
//! | [`agent`] | Claude Code: launch, hooks, transcript, answers |
//! | [`checkpoint`] | saving a workspace with its conversation, and bringing them back |
//! | [`provider`] | the upper waist: where workers come from |
//! | [`vt`] | a terminal as data: bytes to cells, keys to bytes |
//! | [`api`] | wire types and the client |
//! | [`dispatcher`] | owns tasks, sessions and money |
//! | [`tui`] | the dashboard: update and view are pure, effects are data |
//! | [`cli`] | the commands |
//!
//! # The life of a task
//!
//! `cli::create` makes the request and `dispatcher::http` takes it; `decide` makes events of it,
//! which the core commits and publishes. `plan` finds a free slot; `launch` makes the worktree
//! ([`git`]) and the session ([`tmux`]) with the files that [`agent`] wrote. `watch` follows what
//! Claude writes, `read` turns it into facts, and the evidence decides the activity. A turn that
//! ended with nothing left completes the task after a grace; `end` closes what is to be closed.
//! Meanwhile `keeper` saves what changed whenever a turn ends, somebody leaves, or something is about
//! to be destroyed, and fetches it to this machine.
//!
//! # Money
//!
//! Every cost is an entry of the ledger, made by the fold of the event that tells of it, and every
//! sum is a sum of entries. `plan` reserves what a task is thought to cost when it claims a worker,
//! charges for workers, and parks what spends at a ceiling: [`domain::budget`] says by how much a
//! ceiling can be passed. What a parked task was doing is interrupted and saved by `end`, and goes
//! on when a person says so.
//!
//! # Where to look
//!
//! A wrong state: `domain::activity`, and `parhelia task show --why`. A wrong word on the screen:
//! [`cli`], or the panel's file in [`tui::pane`]; a wrong key: [`tui::keymap`]; a wrong cell in a
//! session's pane: [`vt`]. Something Claude changed: [`agent`]. A lost task: `dispatcher::core` and
//! [`store`]. A wrong sum: [`domain::ledger`] and [`domain::usage`]; a task that was parked, or may not
//! begin: `dispatcher::plan`. A checkpoint that was not made, or not kept: `dispatcher::keeper`. The wire: `assets/openapi.json`.

pub mod agent;
pub mod api;
pub mod checkpoint;
pub mod cli;
pub mod config;
pub mod dispatcher;
pub mod domain;
pub mod git;
pub mod provider;
pub mod shell;
pub mod stdx;
pub mod store;
pub mod tmux;
pub mod tui;
pub mod vt;
