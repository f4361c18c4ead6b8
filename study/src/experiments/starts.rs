//! Loss and initialization: the same models with each combination.

use super::{
    GridFlags,
    curves::{paired, psnr},
    lab::{Experiment, Lab, matching},
};
use crate::{
    cli::Failure,
    report::{
        Section, cell,
        verdict::{self, Case, Comparison},
    },
    sweep::{Record, Run},
};
use autoencoder::nn::{Init, Loss};

const BETTER: &str = "Do a better initialization and binary cross-entropy help?";

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
        let (mut rows, mut inits, mut losses) = (Vec::new(), Vec::new(), Vec::new());
        for hidden in self.grid.architectures() {
            let of = |(loss, init): (Loss, Init)| -> Vec<&Record> {
                let same = |run: &Run| run.hidden == hidden && run.train.loss == loss && run.init == init;
                matching(&records, set, same)
            };
            for variant @ (loss, init) in VARIANTS {
                let same = of(variant);
                rows.push(vec![
                    self.grid.label(&hidden),
                    format!("{loss:?}").to_uppercase(),
                    format!("{init:?}"),
                    cell(same.iter().map(|record| record.test.output.psnr_mean_db), 2),
                    cell(same.iter().map(|record| psnr(record)), 2),
                ]);
            }
            let gain = |variant: (Loss, Init), other: (Loss, Init)| {
                let gains = paired(&of(variant), &of(other), psnr);
                Case::new(self.grid.words(&hidden), gains)
            };
            inits.push(gain(VARIANTS[1], VARIANTS[0]));
            losses.push(gain(VARIANTS[2], VARIANTS[1]));
        }
        let comparison = |subject: &str, cases| Comparison {
            subject: subject.to_owned(),
            verbs: ["raises", "lowers", "does not change"].map(|verb| format!("{verb} the test PSNR")),
            settings: ["with every model", "with", "with"],
            cases,
        };
        let he = comparison("He initialization instead of PyTorch's", inits);
        let bce = comparison("binary cross-entropy instead of MSE", losses);
        if let Some(text) = verdict::answer(&[he, bce]) {
            section.answer(BETTER, set.title(), text);
        }
        section.table(
            set.caption("test images, PSNR in dB"),
            &["runs.csv"],
            &["encoder", "loss", "initialization", "PSNR, mean over images", "PSNR, pooled"],
            rows,
        );
        Ok((section, records))
    }
}
