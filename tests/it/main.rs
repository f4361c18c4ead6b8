//! The tests that need no process, thread pool or allocator of their own, in one binary.

mod augmentation;
mod bits;
#[path = "../common/mod.rs"]
mod common;
mod exchange;
#[cfg(feature = "png")]
mod folder;
mod model;
mod numbers;
mod oracle;
mod own_loop;
mod real_data;
#[cfg(feature = "download")]
#[path = "../common/server.rs"]
mod server;
mod statistics;
mod training;
mod types;
