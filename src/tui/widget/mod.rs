//! Parts that panels and popups are made of.

pub mod chooser;
pub mod cluster;
pub mod editor;
pub mod frame;
pub mod input;
pub mod lines;
pub mod list;
pub mod menu;
