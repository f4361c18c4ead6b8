//! The sections of the report, and the page that shows them.

mod page;
mod section;

pub use page::page;
pub use section::{Block, Picture, Section, Spread, cell, signed};
