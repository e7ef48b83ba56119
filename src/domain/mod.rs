//! What is true, as pure data and pure functions: no async, no I/O, no clock, no path.
//!
//! A task is changed only by [`task::Task::fold`], which is the one caller of
//! [`state::TaskState::apply`]. Everything a dispatcher learns is an [`event::EventBody`].
//!
//! Deliberately absent: any stored form of secrets.

pub mod activity;
pub mod ask;
pub mod budget;
pub mod checkpoint;
pub mod describe;
pub mod event;
pub mod evidence;
pub mod hold;
pub mod ids;
pub mod ledger;
pub mod state;
pub mod task;
pub mod turns;
pub mod usage;
pub mod usd;
