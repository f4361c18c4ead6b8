//! Loss and initialization: the same models with each combination.

use super::{
    GridFlags,
    lab::{Experiment, Lab, chosen},
};
use crate::{
    cli::Failure,
    report::{Section, Spread, cell, signed},
    sweep::{Record, Run},
};
use autoencoder::nn::{Init, Loss};

/// Compares losses and initializations for the widest code, on the first data set.
#[derive(Debug, Clone)]
pub struct Starts {
    pub grid: GridFlags,
}

const VARIANTS: [(Loss, Init); 3] =
    [(Loss::Mse, Init::Pytorch), (Loss::Mse, Init::He), (Loss::Bce, Init::He)];

impl Experiment for Starts {
    fn run(&self, lab: &Lab) -> Result<(Section, Vec<Record>), Failure> {
        let (set, code) = (&lab.sets[0], self.grid.widest_code());
        let mut runs: Vec<Run> = Vec::new();
        for hidden in self.grid.architectures() {
            for (loss, init) in VARIANTS {
                let same = lab.flags.runs(&set.name, &hidden, code);
                runs.extend(same.map(|run| Run { init, train: run.train.clone().loss(loss), ..run }));
            }
        }
        let records = lab.sweep(&runs, lab.sets)?;
        let mut section = Section::new("Loss and initialization");
        section.text(format!(
            "{}, code {code}. PyTorch's Linear draws initial weights and biases from a uniform distribution with variance \
             1 / (3 inputs). He initialization has variance 2 / inputs and zero biases. Models trained with binary \
             cross-entropy are compared by PSNR, too, although it measures squared error.",
            set.title()
        ));
        let mut rows = Vec::new();
        for hidden in self.grid.architectures() {
            let figures = |(loss, init): (Loss, Init), of: fn(&Record) -> f64| -> Vec<f64> {
                let same = |run: &Run| run.hidden == hidden && run.train.loss == loss && run.init == init;
                chosen(&records, set, same).map(of).collect()
            };
            let pooled = |variant| figures(variant, |record| record.test.output.psnr_pooled_db);
            for variant @ (loss, init) in VARIANTS {
                rows.push(vec![
                    self.grid.label(&hidden),
                    format!("{loss:?}").to_uppercase(),
                    format!("{init:?}"),
                    cell(figures(variant, |record| record.test.output.psnr_mean_db), 2),
                    cell(pooled(variant), 2),
                ]);
            }
            let mean = |variant| Spread::of(pooled(variant)).map_or(f64::NAN, |spread| spread.mean);
            section.finding(format!(
                "{}, {}: He initialization instead of PyTorch's changes the pooled PSNR by {} dB. Binary cross-entropy \
                 changes it by another {} dB.",
                set.title(),
                self.grid.label(&hidden),
                signed(mean(VARIANTS[1]) - mean(VARIANTS[0])),
                signed(mean(VARIANTS[2]) - mean(VARIANTS[1]))
            ));
        }
        section.table(
            format!("{}: test images, PSNR in dB", set.title()),
            &["encoder", "loss", "initialization", "PSNR, mean over images", "PSNR, pooled"],
            rows,
        );
        Ok((section, records))
    }
}
