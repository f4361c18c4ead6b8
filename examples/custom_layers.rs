//! Builds an autoencoder layer by layer: any activations, any initial weights, a decoder that need not mirror the encoder.
//!
//! `cargo run --release --example custom_layers`

use autoencoder::{
    Activation, Autoencoder, Error, Init, TrainConfig, Trainer,
    data::digits,
    metrics::evaluate,
    ndarray::{Array1, Array2},
    nn::{Dense, Dropout, Layer},
};

const SEED: u64 = 1;

fn main() -> Result<(), Error> {
    // The index makes layers with the same seed differ.
    let drawn = |index, inputs, outputs, activation, dropout| {
        let dense = Init::He.dense(inputs, outputs, SEED, index)?;
        Ok::<_, Error>(Layer { dense, activation, dropout: Dropout::new(dropout)? })
    };
    let encoder = vec![
        drawn(0, 784, 96, Activation::LeakyRelu { slope: 0.01 }, 0.1)?,
        drawn(1, 96, 12, Activation::Tanh, 0.0)?,
    ];
    // `Dense::new` takes the weights themselves: these predict 1/2 for every pixel until training changes them.
    let zeros = Dense::new(Array2::zeros((12, 784)), Array1::zeros(784))?;
    let decoder = vec![Layer { dense: zeros, activation: Activation::Sigmoid, dropout: Dropout::OFF }];
    let mut model = Autoencoder::from_layers(encoder, decoder)?;

    let test = digits::generate(200, 2)?;
    let psnr = |model: &Autoencoder| Ok::<_, Error>(evaluate(model, &test, None, 0)?.output.psnr_pooled_db);
    println!("widths {:?}; before training {:.2} dB", model.widths(), psnr(&model)?);
    let config = TrainConfig::new().epochs(10).batch_size(32);
    Trainer::new(config).fit(&mut model, &digits::generate(2_000, 1)?)?;
    println!("after 10 epochs {:.2} dB", psnr(&model)?);
    Ok(())
}
