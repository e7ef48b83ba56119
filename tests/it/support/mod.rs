//! What the tests run against: the real Claude Code, an API that follows a script, a machine of
//! one's own, another user, the source.

pub mod api;
pub mod bill;
pub mod cells;
pub mod claude;
pub mod client;
pub mod dispatcher;
pub mod ground;
pub mod ledger;
pub mod leftovers;
pub mod other_user;
pub mod pty;
pub mod random;
pub mod row;
pub mod sandbox;
pub mod screen;
pub mod source;
pub mod spender;
pub mod stand_in;
pub mod wait;
pub mod witness;
