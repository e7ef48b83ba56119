//! Claude Code as Parhelia meets it: what is written before a launch, what is read afterwards,
//! and what is typed.
//!
//! Almost all of it is pure, bytes in and data out, so that every odd line Claude ever wrote can
//! be a test. Only [`deliver`] waits for anything. What the evidence means together is
//! [`crate::domain::activity`]'s business.
//!
//! Measured with Claude Code 2.1.329. Hook events, flags and files that are not documented are
//! read so that their absence, or a new word in them, costs detail and nothing else.

pub mod answer;
pub mod back;
pub mod deliver;
pub mod first_run;
pub mod hooks;
pub mod launch;
pub mod lease;
pub mod lines;
pub mod login;
pub mod prompt;
pub mod registry;
pub mod screen;
pub mod status;
pub mod summary;
pub mod transcript;
pub mod validate;
pub mod version;
