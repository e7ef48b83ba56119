//! The tests of the whole: the real program, real tmux and git, the real Claude Code.

#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests start programs, measure deadlines, and panic to fail"
)]

mod api;
mod budget;
mod budget_cli;
mod checkpoint_cli;
mod checkpoint_damage;
mod checkpoints;
mod cli;
mod crash;
mod dashboard;
mod dashboard_terminal;
mod demo;
mod diff;
mod faults;
mod fidelity;
mod fuzz;
mod hostile;
mod house_rules;
mod impostors;
mod layers;
mod leases;
mod limits;
mod losses;
mod other_user;
mod pages;
mod real_attach;
mod real_failures;
mod real_home;
mod real_money;
mod real_other_user;
mod real_recover;
mod real_runaway;
mod real_table;
mod releases;
mod sandbox;
mod support;
mod terminals;
