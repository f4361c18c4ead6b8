//! The deep autoencoder 784-1000-500-250-30 of Hinton and Salakhutdinov (2006), trained as well as a CPU can.

use super::{
    recipe::{Recipe, RecipeFlags},
    table::{self, Line},
};
use crate::cli::{Failure, files, say};
use autoencoder::{Activation, Loss, metrics::psnr_db};
use clap::Parser;
use std::path::PathBuf;

const SQUARED_ERROR: &str = "test squared error per image";
const CROSS_ENTROPY: &str = "test cross-entropy per image (nats)";

/// Trains the deep autoencoder 784-1000-500-250-30 on MNIST and compares it with published values.
#[derive(Debug, Parser)]
#[command(allow_negative_numbers = true)]
pub(in crate::commands) struct Flags {
    #[command(flatten)]
    recipe: RecipeFlags,
    /// Folder for the results
    #[arg(long, default_value = "out/deep_benchmark")]
    out: PathBuf,
}

fn recipe() -> Recipe {
    Recipe {
        hidden: vec![1000, 500, 250],
        code: 30,
        code_activation: Activation::Identity,
        activation: Activation::Silu,
        loss: Loss::Bce,
        learning_rate: 0.006,
        weight_decay: 0.1,
        batch_size: 500,
        augmentation: 1.5,
        noise: None,
    }
}

pub(in crate::commands) fn run(flags: &Flags) -> Result<(), Failure> {
    files::create_folder(&flags.out)?;
    let trained = flags.recipe.train(recipe())?;
    let clean = files::one_a_class(&trained.test)?;
    let output = trained.model.reconstruct(&clean)?;
    table::write_run(&flags.out, &trained, &[clean.view(), output.view()])?;

    let this = trained.source();
    let train_error = trained.history.epochs.last().map_or(f64::NAN, |epoch| epoch.mse * 784.0);
    let squared_error = trained.squared_error()?;
    let psnr = psnr_db(squared_error / trained.test.features() as f64, 1.0);
    table::write(
        &flags.out,
        &[
            Line::new(SQUARED_ERROR, 3.0, "Hinton and Salakhutdinov 2006, layers pre-trained one by one"),
            Line::new(SQUARED_ERROR, squared_error, this.clone()),
            Line::new("test PSNR (dB, pooled error)", psnr, this.clone()),
            Line::new("training squared error per image", train_error, "this run, last epoch"),
            Line::new(CROSS_ENTROPY, 57.4, "K-FAC, best epoch"),
            Line::new(CROSS_ENTROPY, trained.cross_entropy()?, this),
            Line::new(CROSS_ENTROPY, trained.entropy(), "entropy of the pixels, the lower limit"),
        ],
    )?;
    say(&format!("model, pictures, curve and results.csv are in {}", flags.out.display()))
}
