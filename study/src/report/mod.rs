//! The sections of the report, the rules behind its sentences, and the page that shows them.

mod convergence;
pub mod detection;
mod files;
mod grid;
mod page;
mod section;
pub mod verdict;

pub use convergence::{Extent, Group, last_fall, slower, untrained, warning};
pub use files::{Contents, write_data};
pub use page::Report;
pub use section::{Answer, Block, Data, Picture, Section, Spread, cell, grouped, mean};
