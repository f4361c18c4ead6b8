//! Trains a denoising autoencoder and writes a picture of clean, noisy and denoised digits.
//!
//! `cargo run --release --example denoise`. Pictures need the feature `png`, which this package's examples always have.

use autoencoder::{
    Autoencoder, Error, Loss, Noise, TrainConfig, Trainer,
    data::{digits, png},
    metrics::ImageQuality,
    ndarray::s,
};
use std::fs;

fn main() -> Result<(), Error> {
    let train = digits::generate(3_000, 1)?;
    let clean = digits::generate(200, 2)?.to_array()?;
    let noise = Noise::gaussian(0.25)?; // the variance

    // The trainer draws new noise in every epoch. The target is always the clean image.
    let mut model = Autoencoder::builder(784).hidden(&[256]).code(32).build()?;
    let config = TrainConfig::new().epochs(8).batch_size(32).loss(Loss::Bce).noise(noise.clone());
    Trainer::new(config).fit(&mut model, &train)?;

    let noisy = noise.corrupt(&clean, 7);
    let denoised = model.reconstruct(&noisy)?;
    for (name, images) in [("noisy", &noisy), ("denoised", &denoised)] {
        let quality = ImageQuality::compare(images, &clean, 1.0)?;
        println!("{name}: {:.2} dB", quality.psnr_pooled_db);
    }

    let rows = [&clean, &noisy, &denoised].map(|images| images.slice(s![..10, ..]));
    fs::create_dir_all("out/denoise").expect("a folder for the picture");
    png::save_grid("out/denoise/digits.png", (28, 28), &rows, 3)?;
    println!("out/denoise/digits.png: ten digits, clean, noisy and denoised");
    Ok(())
}
