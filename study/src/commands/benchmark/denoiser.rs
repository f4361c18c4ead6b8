//! A wide denoising autoencoder against the best linear denoiser.

use super::{
    recipe::{Recipe, RecipeFlags},
    table::{self, Line},
};
use crate::{
    baseline::Pca,
    cli::{Failure, files, say},
};
use autoencoder::{
    Activation, Error, Loss, Noise,
    metrics::{ImageQuality, evaluate},
};
use clap::Parser;

const PSNR: &str = "PSNR (dB, pooled error)";

/// Trains a denoising autoencoder 784-1024-1024-1024-784 and compares it with the best linear denoiser.
#[derive(Debug, Parser)]
#[command(allow_negative_numbers = true)]
pub(in crate::commands) struct Flags {
    #[command(flatten)]
    recipe: RecipeFlags,
    /// Variance of the Gaussian noise, which is not clamped
    #[arg(long, default_value_t = 0.5)]
    noise_variance: f32,
}

fn recipe(noise: Noise) -> Recipe {
    Recipe {
        hidden: vec![1024],
        code: 1024,
        code_activation: Activation::Silu,
        activation: Activation::Silu,
        loss: Loss::Mse,
        learning_rate: 0.001,
        weight_decay: 0.03,
        beta2: 0.999,
        batch_size: 250,
        augmentation: 0.0,
        noise: Some(noise),
    }
}

pub(in crate::commands) fn run(flags: &Flags) -> Result<(), Failure> {
    let noise = Noise::gaussian(flags.noise_variance)?;
    let out = flags.recipe.create_folder("best_denoiser")?;
    let trained = flags.recipe.train(recipe(noise.clone()))?;
    let (test, seed) = (&trained.test, trained.seed);
    let found = evaluate(&trained.model, test, Some(&noise), seed)?;

    let clean = test.to_array()?;
    let noisy = noise.corrupt(&clean, seed);
    let linear = Pca::fit(&trained.train)?.denoiser(flags.noise_variance.into())?.apply(noisy.view())?;
    let pooled = |images| Ok::<_, Error>(ImageQuality::compare(images, &clean, 1.0)?.psnr_pooled_db);

    let clean_rows = files::one_a_class(test)?;
    let noisy_rows = noise.corrupt(&clean_rows, seed);
    let output = trained.model.reconstruct(&noisy_rows)?;
    table::write_run(&out, &trained, &[clean_rows.view(), noisy_rows.view(), output.view()])?;

    table::write(
        &out,
        &[
            Line::new(PSNR, pooled(&noisy)?, "the noisy images"),
            Line::new(PSNR, pooled(&linear)?, "the best linear denoiser, fitted to the training images"),
            Line::new(PSNR, found.output.psnr_pooled_db, trained.source()),
        ],
    )?;
    say(&format!("model, pictures, curve and results.csv are in {}", out.display()))
}
