//! A custom training loop: a new decoder for a trained encoder, with clipped gradients and a learning rate that falls.
//!
//! `cargo run --release --example training_loop`

use autoencoder::{
    Autoencoder, Error, Loss, Optimizer, TrainConfig, Trainer,
    data::digits,
    nn::Parameters,
    train::{Batch, Frozen, Objective, OptimizerState, Step, shuffled},
};

fn main() -> Result<(), Error> {
    let train = digits::generate(2_000, 1)?;
    let trained = |seed| {
        let mut model = Autoencoder::builder(784).hidden(&[128]).code(16).seed(seed).build()?;
        Trainer::new(TrainConfig::new().epochs(3)).fit(&mut model, &train).map(|_| model)
    };
    let (encoder, decoder) = (trained(1)?.layers()[..2].to_vec(), trained(2)?.layers()[2..].to_vec());
    let mut model = Autoencoder::from_layers(encoder, decoder)?; // they do not know each other yet

    let objective = Objective { loss: Loss::Bce, penalties: vec![] };
    let mut step = Step::new(&model, objective, 50)?.freeze(&Frozen::Encoder)?;
    let mut optimizer = OptimizerState::new(Optimizer::adam(), &model)?;
    let mut gradients = Parameters::zeros(&model);
    for epoch in 1..=5 {
        let (mut loss, mut norm) = (0.0, 0.0_f64);
        for (index, rows) in shuffled(train.len(), 0, epoch).chunks(50).enumerate() {
            let batch = Batch { samples: &train, rows, noise: None, seed: 0, epoch, number: index + 1 };
            loss += step.gradients(&model, &batch, &mut gradients)?.total() / 40.0;
            norm = norm.max(gradients.clip_norm(0.1)?);
            let rate = 0.003 / (1.0 + 0.05 * optimizer.steps() as f32).sqrt();
            optimizer.update(&mut model, &gradients, rate)?;
        }
        println!("epoch {epoch}: loss {loss:.4}, largest norm {norm:.3}");
    }
    Ok(())
}
