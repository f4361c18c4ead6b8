//! Trains an autoencoder, saves it, loads it and uses it.
//!
//! `cargo run --release --example train`

use autoencoder::{Autoencoder, Error, TrainConfig, Trainer, data::digits};
use std::fs;

fn main() -> Result<(), Error> {
    // Images of 28 x 28 pixels in [0, 1]; the seeds make the two sets differ.
    let train = digits::generate(2_000, 1)?;
    let test = digits::generate(200, 2)?;

    let mut model = Autoencoder::builder(28 * 28).hidden(&[128]).code(16).build()?;
    println!("{} parameters, widths {:?}", model.parameter_count(), model.widths());
    let config = TrainConfig::new().epochs(10).batch_size(32);
    let history = Trainer::new(config).validation(&test).fit(&mut model, &train)?;
    for epoch in &history.epochs {
        let test_psnr = epoch.validation.map_or(f64::NAN, |found| found.output.psnr_pooled_db);
        println!("epoch {:2}: loss {:.4}, test PSNR {test_psnr:.2} dB", epoch.epoch, epoch.loss);
    }

    let path = "out/train/model.safetensors";
    fs::create_dir_all("out/train").expect("a folder for the model");
    model.save(path)?;
    let model = Autoencoder::load(path)?;
    let codes = model.encode(&test.to_array()?)?; // [200, 16]
    let images = model.decode(&codes)?; // [200, 784]
    println!("{path}: {:?} pixels become {:?} numbers and pixels again", images.dim(), codes.dim());
    Ok(())
}
