//! The sections of the report, the rules behind its sentences, and the page that shows them.

mod convergence;
mod files;
mod grid;
mod page;
mod section;
pub mod verdict;

pub use convergence::{last_fall, untrained, warning};
pub use files::{json, write_data};
pub use page::Report;
pub use section::{Picture, Section, Spread, cell, grouped, mean};
