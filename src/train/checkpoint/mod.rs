//! Checkpoints: how far a run is ([`Progress`]), which run it is ([`Identity`]), the file that holds both and the folder
//! that holds the files.

mod file;
mod folder;
mod identity;
mod progress;
mod state;

pub use file::{Checkpoint, Damaged};
pub use folder::CheckpointPolicy;
pub(super) use folder::CheckpointWriter;
pub(super) use identity::Identity;
pub(super) use progress::Progress;
