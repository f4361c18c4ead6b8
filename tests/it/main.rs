//! The tests that need no process, thread pool or allocator of their own, in one binary.

mod augmentation;
mod bits;
#[path = "../common/mod.rs"]
mod common;
mod exchange;
#[cfg(feature = "png")]
mod folder;
mod group;
mod model;
mod numbers;
mod oracle;
mod own_loop;
#[path = "../common/processes.rs"]
mod processes;
mod real_data;
#[cfg(feature = "download")]
#[path = "../common/server.rs"]
mod server;
mod statistics;
mod training;
mod types;
