//! Parhelia, the control room for Claude Code; the architecture document comes with the whole.
pub mod agent;
pub mod api;
pub mod config;
pub mod dispatcher;
pub mod domain;
pub mod git;
pub mod provider;
pub mod shell;
pub mod stdx;
pub mod store;
pub mod tmux;
