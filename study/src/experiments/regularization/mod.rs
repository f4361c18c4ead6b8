//! Lasso, dropout, or neither: errors by epoch, the best model of each, the sparsity of the weights.

mod answers;
mod regularizer;

pub use regularizer::Regularizer;

use super::{
    GridFlags,
    curves::{banded, errors_by_epoch, psnr, ssim},
    lab::{Experiment, Lab, Set, chosen, matching},
    records, short, sorted,
};
use crate::{
    cli::{Failure, files},
    plots::{Chart, Scale},
    report::{Section, cell, verdict::capitalized},
    sweep::{NEAR_ZERO, Record, Run},
};
use clap::Args;

pub const HELP: &str = "Do Lasso or Dropout improve the reconstruction?";
pub const RIVALS: &str = "Is Lasso better than Dropout?";

/// Compares Lasso, dropout and neither.
#[derive(Debug, Clone, Args)]
pub struct Regularization {
    #[command(flatten)]
    pub grid: GridFlags,
    /// Strength of the Lasso: an L1 penalty on the encoder's weights, added to the loss
    #[arg(long, default_value_t = 0.00001)]
    pub lasso: f32,
    /// Dropout rate of the hidden layers of encoder and decoder
    #[arg(long, default_value_t = 0.2)]
    pub dropout: f32,
    /// Strengths of the Lasso to compare, for the first architecture and the widest code; 0 disables it
    #[arg(long, value_delimiter = ',', num_args = 1, default_value = "0,1e-7,1e-6,1e-5,1e-4")]
    pub lambdas: Vec<f32>,
}

impl Experiment for Regularization {
    fn run(&self, lab: &Lab) -> Result<(Section, Vec<Record>), Failure> {
        let mut runs = Vec::new();
        for set in lab.sets {
            for hidden in self.grid.architectures() {
                for code in self.grid.codes() {
                    for regularizer in self.regularizers() {
                        runs.extend(
                            lab.flags.runs(&set.name, &hidden, code).map(|run| regularizer.apply(run)),
                        );
                    }
                }
            }
        }
        let (hidden, code) = self.of_strengths();
        for set in lab.sets {
            for lambda in sorted(&self.lambdas) {
                let same = lab.flags.runs(&set.name, &hidden, code);
                runs.extend(same.map(|run| Regularizer::lasso(lambda).apply(run)));
            }
        }
        let records = lab.sweep(&runs, lab.sets)?;
        let mut section = Section::new("Lasso and Dropout");
        section.text(format!(
            "Lasso is an L1 penalty of {} on the encoder's weights; Dropout disables {} of the units of every hidden layer \
             in training. Sparsity is the percentage of the encoder's weights whose magnitude is at most {NEAR_ZERO}.",
            short(self.lasso),
            percent(self.dropout)
        ));
        for set in lab.sets {
            self.report(lab, set, &records, &mut section)?;
        }
        Ok((section, records))
    }
}

impl Regularization {
    /// Returns the regularizers to compare, without duplicates.
    pub fn regularizers(&self) -> Vec<Regularizer> {
        let mut all =
            vec![Regularizer::None, Regularizer::lasso(self.lasso), Regularizer::dropout(self.dropout)];
        all.dedup();
        all
    }

    /// Returns the architecture and code for which strengths of the Lasso are compared.
    fn of_strengths(&self) -> (Vec<usize>, usize) {
        (self.grid.architectures().swap_remove(0), self.grid.widest_code())
    }

    fn report(&self, lab: &Lab, set: &Set, records: &[Record], section: &mut Section) -> Result<(), Failure> {
        self.answers(set, records, section);
        for hidden in self.grid.architectures() {
            let code = self.grid.widest_code();
            let group = |regularizer: &Regularizer| {
                (regularizer.name(), with(records, set, &hidden, code, *regularizer))
            };
            let groups: Vec<_> = self.regularizers().iter().map(group).collect();
            if groups.iter().all(|group| group.1.is_empty()) {
                continue;
            }
            let label = format!("{}, code {code}", self.grid.label(&hidden));
            let title = format!("Error by epoch with regularizers, {label}, {}", set.title());
            let caption = set.caption(format!(
                "error without penalty by epoch, {label}. Solid: test images; dashed: training images, for which Dropout \
                 disables units."
            ));
            let name = format!("{}-regularizers-{}-error", set.name, self.grid.slug(&hidden));
            section.picture(lab.chart(&name, &caption, &errors_by_epoch(title, &groups))?);
        }
        self.pictures(lab, set, records, section)?;
        self.strengths(lab, set, records, section)?;
        self.table(set, records, section);
        Ok(())
    }

    fn table(&self, set: &Set, records: &[Record], section: &mut Section) {
        let (mut rows, codes) = (Vec::new(), self.grid.codes());
        for hidden in self.grid.architectures() {
            for &code in &codes {
                for regularizer in self.regularizers() {
                    let same = with(records, set, &hidden, code, regularizer);
                    let figures = |of: fn(&Record) -> f64| same.iter().map(move |record| of(record));
                    let mut row = vec![
                        self.grid.label(&hidden),
                        regularizer.name(),
                        cell(figures(psnr), 2),
                        cell(figures(ssim), 4),
                        cell(figures(|r| 100.0 * r.sparsity), 1),
                    ];
                    // A single code is in the caption.
                    if codes.len() > 1 {
                        row.insert(1, code.to_string());
                    }
                    rows.push(row);
                }
            }
        }
        let mut columns = vec!["encoder", "regularizer", "PSNR, pooled", "SSIM", "sparsity, %"];
        let mut caption = "test images, PSNR in dB".to_owned();
        match codes.as_slice() {
            [code] => caption += &format!(", code {code}"),
            _ => columns.insert(1, "code"),
        }
        section.table(set.caption(caption), &["runs.csv"], &columns, rows);
    }

    /// Draws one image per class: clean, and reconstructed by the best model of each regularizer.
    fn pictures(
        &self,
        lab: &Lab,
        set: &Set,
        records: &[Record],
        section: &mut Section,
    ) -> Result<(), Failure> {
        let clean = files::one_a_class(&set.test)?;
        let (mut rows, mut names) = (vec![("original".to_owned(), clean.clone())], Vec::new());
        for regularizer in self.regularizers() {
            let same = chosen(records, set, |run| Regularizer::of(run) == regularizer);
            let Some(best) = same.max_by(|a, b| psnr(a).total_cmp(&psnr(b))) else { continue };
            rows.push((regularizer.name(), lab.model(best)?.reconstruct(&clean)?));
            names.push(format!(
                "{}, {}, code {}, seed {} ({:.2} dB)",
                regularizer.name(),
                self.grid.label(&best.run.hidden),
                best.run.code,
                best.run.train.seed,
                psnr(best)
            ));
        }
        if !names.is_empty() {
            let caption = set.caption(format!("the best model of each regularizer: {}.", names.join("; ")));
            section.picture(lab.grid(&format!("{}-best", set.name), &caption, set, &rows)?);
        }
        Ok(())
    }

    /// Reports the effect of the strength of the Lasso.
    fn strengths(
        &self,
        lab: &Lab,
        set: &Set,
        records: &[Record],
        section: &mut Section,
    ) -> Result<(), Failure> {
        let (hidden, code) = self.of_strengths();
        let mut rows = Vec::new();
        let mut curves: [Vec<(f64, Vec<f64>)>; 2] = Default::default();
        for lambda in sorted(&self.lambdas) {
            let same: Vec<_> = chosen(records, set, |run| {
                let strength = records::lasso(&run.train).unwrap_or(0.0);
                run.hidden == hidden && run.code == code && run.dropout == 0.0 && strength == lambda
            })
            .collect();
            let figures = |of: fn(&Record) -> f64| same.iter().map(move |record| of(record));
            if same.is_empty() {
                continue;
            }
            rows.push(vec![short(lambda), cell(figures(psnr), 2), cell(figures(|r| 100.0 * r.sparsity), 1)]);
            if lambda > 0.0 {
                let x = f64::from(lambda);
                curves[0].push((x, figures(psnr).collect()));
                curves[1].push((x, figures(|r| 100.0 * r.sparsity).collect()));
            }
        }
        if rows.len() < 2 {
            return Ok(());
        }
        for ((name, y_label), values) in
            [("psnr", "pooled PSNR (dB)"), ("sparsity", "sparsity, %")].into_iter().zip(curves)
        {
            if values.len() < 2 {
                continue;
            }
            let chart = Chart {
                title: format!(
                    "{} by strength of the Lasso, {}",
                    capitalized(name).replace("Psnr", "PSNR"),
                    set.title()
                ),
                x_label: "strength of the Lasso".to_owned(),
                y_label: y_label.to_owned(),
                x_scale: Scale::Log,
                curves: vec![banded(format!("code {code}"), values.into_iter())],
                ..Chart::default()
            };
            let caption = set.caption(format!("{y_label} by strength of the Lasso."));
            section.picture(lab.chart(&format!("{}-lambda-{name}", set.name), &caption, &chart)?);
        }
        let caption =
            set.caption(format!("strength of the Lasso, {}, code {code}", self.grid.label(&hidden)));
        section.table(caption, &["runs.csv"], &["lambda", "PSNR, pooled, dB", "sparsity, %"], rows);
        Ok(())
    }
}

/// Returns the records of one model with one regularizer.
fn with<'r>(
    records: &'r [Record],
    set: &Set,
    hidden: &[usize],
    code: usize,
    regularizer: Regularizer,
) -> Vec<&'r Record> {
    let same = |run: &Run| run.hidden == hidden && run.code == code && Regularizer::of(run) == regularizer;
    matching(records, set, same)
}

fn percent(rate: f32) -> String {
    format!("{}%", short((rate * 1000.0).round() / 10.0))
}
