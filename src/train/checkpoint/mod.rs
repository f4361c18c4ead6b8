//! Checkpoints: how far a run is ([`Progress`]), which run it is ([`Identity`]), the file that holds both and the folder
//! that holds the files.

mod file;
mod folder;
mod identity;
mod progress;

pub use file::Checkpoint;
pub use folder::CheckpointPolicy;
pub(super) use folder::CheckpointWriter;
pub(super) use identity::Identity;
pub(super) use progress::Progress;
