//! The dashboard.
//!
//! ```text
//! keys, mouse ─┐                      ┌─▶ view ─▶ canvas ─▶ paint ─▶ terminal
//! event stream ┼─▶ Msg ─▶ update ─▶ Model
//! terminals ───┘             └─▶ Effect ─▶ perform ─▶ Msg …
//! ```
//!
//! [`update`](update::update) and [`view`](view::view) are pure and never wait; what waits is an
//! [`effect::Effect`], carried out by [`perform`]. Panels ([`pane`]) and popups ([`popup`]) own
//! their state and ask for everything else by [`model::Out`]. One table ([`keymap`]) has every key.

pub mod asks;
pub mod canvas;
pub mod effect;
pub mod filter;
#[cfg(test)]
mod fixture;
pub mod history;
pub mod keymap;
pub mod layout;
pub mod model;
pub mod money;
pub mod msg;
pub mod outer;
pub mod paint;
pub mod pane;
pub mod parking;
pub mod perform;
pub mod popup;
pub mod recorder;
pub mod replay;
pub mod run;
pub mod sort;
pub mod syntax;
pub mod theme;
pub mod update;
pub mod view;
pub mod widget;
pub mod words;
