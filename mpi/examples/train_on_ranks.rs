//! Trains one model on all ranks, with a checkpoint after each epoch. Started again, it continues; without the folder, it
//! starts over.

use autoencoder::{
    Autoencoder, Error, Loss, TrainConfig, Trainer,
    data::digits,
    group::Group,
    train::{Checkpoint, CheckpointPolicy, TrainEvent},
};
use std::{ops::ControlFlow, process::ExitCode};

/// A folder that all ranks see. The first writes to it.
const FOLDER: &str = "out/cluster";

fn main() -> ExitCode {
    autoencoder_mpi::run(|ranks| {
        let (train, test) = (digits::generate(20_000, 1)?, digits::generate(2_000, 2)?);
        let mut model = Autoencoder::builder(784).hidden(&[512, 256]).code(32).build()?;
        let config = TrainConfig::new().epochs(10).batch_size(512).loss(Loss::Bce);
        let mut trainer = Trainer::new(config)
            .validation(&test)
            .checkpoint(CheckpointPolicy::new(format!("{FOLDER}/checkpoints")))
            .callback(|event| {
                if let TrainEvent::Epoch { record, .. } = event {
                    println!(
                        "epoch {}: loss {:.4}, {:.0} images/s",
                        record.epoch, record.loss, record.rows_per_second
                    );
                }
                ControlFlow::Continue(())
            })
            .group(ranks.clone());
        if let Some(checkpoint) = Checkpoint::latest(format!("{FOLDER}/checkpoints"))? {
            if ranks.rank() == 0 {
                println!("continues in epoch {}", checkpoint.epoch());
            }
            trainer = trainer.resume(checkpoint);
        }
        trainer.fit(&mut model, &train)?;
        if ranks.rank() == 0 {
            model.save(format!("{FOLDER}/model.safetensors"))?;
            println!("the model is {FOLDER}/model.safetensors");
        }
        Ok::<_, Error>(())
    })
}
