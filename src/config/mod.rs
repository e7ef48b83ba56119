//! `parhelia.toml`: what was written ([`raw`]), what it means ([`settings`]), where things lie
//! ([`dirs`]).
//!
//! Files are read as text with positions and walked by hand against one table of keys
//! ([`keys`]), not derived: a derived reader stops at the first mistake and cannot say where a
//! value came from. The same table prints the settings and checks the example file.
//!
//! A file in a project directory is untrusted: whoever sends you a repository wrote it. It may
//! set defaults of tasks and nothing that runs a program, reaches a host, or spends money.
//!
//! Only [`load`] touches the file system, and nothing here reads the process's environment.

pub mod dirs;
pub mod error;
pub mod keys;
pub mod load;
pub mod raw;
pub mod settings;
pub mod value;

#[cfg(test)]
mod tests;
