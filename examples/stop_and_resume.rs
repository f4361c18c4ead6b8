//! Stops a training run and resumes it from its last checkpoint: the model is the same to the bit.
//!
//! `cargo run --release --example stop_and_resume`

use autoencoder::{
    Autoencoder, Error, TrainConfig, Trainer,
    data::digits,
    train::{Checkpoint, CheckpointPolicy, TrainEvent},
};
use std::ops::ControlFlow;

fn main() -> Result<(), Error> {
    let train = digits::generate(1_000, 1)?;
    let new_model = || Autoencoder::builder(784).hidden(&[64]).code(16).build();
    let trainer = || Trainer::new(TrainConfig::new().epochs(6).batch_size(50));
    let mut whole = new_model()?;
    trainer().fit(&mut whole, &train)?;

    // A callback stops this run within epoch 4; a crash would lose at most the steps since the last checkpoint.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let checkpoints = || CheckpointPolicy::new(folder.path()).every(15); // steps
    let stop = |event: TrainEvent| match event {
        TrainEvent::Batch { epoch: 4, batch: 7, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    trainer().checkpoint(checkpoints()).callback(stop).fit(&mut new_model()?, &train)?;

    // `latest` returns `None` if there is no checkpoint, and the run then starts from the beginning.
    let mut trainer = trainer().checkpoint(checkpoints());
    if let Some(checkpoint) = Checkpoint::latest(folder.path())? {
        println!("resuming after step {} in epoch {}", checkpoint.step(), checkpoint.epoch());
        trainer = trainer.resume(checkpoint);
    }
    let mut resumed = new_model()?;
    let history = trainer.fit(&mut resumed, &train)?;
    println!("{} epochs in the history; same weights: {}", history.epochs.len(), resumed == whole);
    Ok(())
}
