//! What an experiment says, and the page that shows it.

mod page;
mod section;

pub use page::page;
pub use section::{Block, Picture, Section, Spread, cell, signed};
