//! A custom training loop over `Step`: here with a learning rate that warms up over the first epoch.
//!
//! `cargo run --release --example training_loop`

use autoencoder::{
    Autoencoder, Error, Loss, Optimizer, Penalty,
    data::digits,
    metrics::evaluate,
    train::{Batch, Objective, OptimizerState, Step, shuffled},
};

const BATCH_SIZE: usize = 50;
const SEED: u64 = 0;

fn main() -> Result<(), Error> {
    let train = digits::generate(2_000, 1)?;
    let test = digits::generate(200, 2)?;
    let mut model = Autoencoder::builder(784).hidden(&[128]).code(16).build()?;

    let objective = Objective { loss: Loss::Bce, penalties: vec![Penalty::lasso(1e-6)] };
    let mut step = Step::new(&model, objective, BATCH_SIZE)?;
    let mut optimizer = OptimizerState::new(Optimizer::adam(), &model)?;
    for epoch in 1..=5 {
        let order = shuffled(train.len(), SEED, epoch);
        let batches = order.chunks(BATCH_SIZE);
        let count = batches.len();
        let mut loss = 0.0;
        for (index, rows) in batches.enumerate() {
            let warm = if epoch == 1 { (index + 1) as f32 / count as f32 } else { 1.0 };
            let batch = Batch { samples: &train, rows, noise: None, seed: SEED, epoch, number: index + 1 };
            loss += step.run(&mut model, &mut optimizer, 0.002 * warm, &batch)?.total() / count as f64;
        }
        let psnr = evaluate(&model, &test, None, SEED)?.output.psnr_pooled_db;
        println!("epoch {epoch}: loss {loss:.4}, test PSNR {psnr:.2} dB");
    }
    Ok(())
}
