//! The deep autoencoder 784-1000-500-250-30 of Hinton and Salakhutdinov (2006), trained as well as a CPU can.

use super::{
    recipe::{Recipe, RecipeFlags, Trained},
    table::{self, Line},
};
use crate::cli::{Failure, files, say};
use autoencoder::{Activation, Error, Loss, metrics::psnr_db};
use clap::Parser;

const SQUARED_ERROR: &str = "squared error per image";
const CROSS_ENTROPY: &str = "cross-entropy per image (nats)";

/// Trains the deep autoencoder 784-1000-500-250-30 on MNIST and compares it with published values.
#[derive(Debug, Parser)]
#[command(allow_negative_numbers = true)]
pub(in crate::commands) struct Flags {
    #[command(flatten)]
    recipe: RecipeFlags,
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
        // With the usual 0.999, a run of 720 epochs fell back to a high loss, and short runs are worse.
        beta2: 0.98,
        batch_size: 500,
        augmentation: 1.5,
        noise: None,
    }
}

pub(in crate::commands) fn run(flags: &Flags) -> Result<(), Failure> {
    let out = flags.recipe.create_folder("deep_benchmark")?;
    let trained = flags.recipe.train(recipe())?;
    let clean = files::one_a_class(&trained.test)?;
    let output = trained.model.reconstruct(&clean)?;
    table::write_run(&out, &trained, &[clean.view(), output.view()])?;

    table::write(&out, &lines(&trained)?)?;
    say(&format!("model, pictures, curve and results.csv are in {}", out.display()))
}

/// Returns the results, beside published values if those are of the same model and the same images.
fn lines(trained: &Trained) -> Result<Vec<Line>, Error> {
    let this = trained.source();
    let features = trained.test.features() as f64;
    let train_error = trained.history.epochs.last().map_or(f64::NAN, |epoch| epoch.mse * features);
    let squared_error = trained.squared_error()?;
    let psnr = psnr_db(squared_error / features, 1.0);
    let Recipe { hidden, code, .. } = recipe();
    let same = trained.evaluates_mnist() && trained.recipe.hidden == hidden && trained.recipe.code == code;

    let mut lines = Vec::new();
    if same {
        let source = "Hinton and Salakhutdinov 2006, layers pre-trained one by one";
        lines.push(Line::new(SQUARED_ERROR, 3.0, source));
    }
    lines.extend([
        Line::new(SQUARED_ERROR, squared_error, this.clone()),
        Line::new("PSNR (dB, pooled error)", psnr, this.clone()),
        Line::new("training squared error per image", train_error, "this run, last epoch"),
    ]);
    if same {
        lines.push(Line::new(CROSS_ENTROPY, 57.6, "K-BFGS (Goldfarb, Ren and Bahamou 2020)"));
        lines.push(Line::new(CROSS_ENTROPY, 57.4, "K-FAC (Martens and Grosse 2015), best epoch"));
    }
    lines.push(Line::new(CROSS_ENTROPY, trained.cross_entropy()?, this));
    lines.push(Line::new(CROSS_ENTROPY, trained.entropy(), "entropy of the pixels, the lower limit"));
    Ok(lines)
}
