//! What the standard library lacks: time as data, secrets that do not print, random ids, backoff.
//!
//! Nothing here knows what a task is. The clock is the only place in the crate that reads the
//! time of day; everything above is handed a [`time::Clock`] or a plain [`time::Timestamp`].

pub mod backoff;
pub mod day;
pub mod random;
pub mod secret;
pub mod text;
pub mod time;
