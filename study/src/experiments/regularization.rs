//! Lasso, dropout, or neither: loss curves, the best model of each, the sparsity of the weights.

use super::{
    GridFlags,
    architectures::loss_curve,
    lab::{Experiment, Lab, Set, chosen},
    records, short, sorted,
};
use crate::{
    cli::{Failure, files},
    plots::{Chart, Curve},
    report::{Section, Spread, cell},
    sweep::{NEAR_ZERO, Record, Run},
};
use autoencoder::nn::Penalty;
use clap::Args;

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

/// The regularizer of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Regularizer {
    None,
    Lasso(f32),
    Dropout(f32),
}

impl Regularizer {
    /// Returns `None` for a strength of 0.
    pub fn lasso(lambda: f32) -> Self {
        if lambda == 0.0 { Self::None } else { Self::Lasso(lambda) }
    }

    /// Returns `None` for a rate of 0.
    pub fn dropout(rate: f32) -> Self {
        if rate == 0.0 { Self::None } else { Self::Dropout(rate) }
    }

    pub fn apply(self, run: Run) -> Run {
        match self {
            Self::None => run,
            Self::Lasso(lambda) => {
                Run { train: run.train.clone().add_penalty(Penalty::lasso(lambda)), ..run }
            }
            Self::Dropout(rate) => Run { dropout: rate, ..run },
        }
    }

    pub fn of(run: &Run) -> Self {
        match (records::lasso(&run.train), run.dropout > 0.0) {
            (Some(lambda), _) => Self::Lasso(lambda),
            (None, true) => Self::Dropout(run.dropout),
            (None, false) => Self::None,
        }
    }

    pub fn name(self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::Lasso(lambda) => format!("Lasso {}", short(lambda)),
            Self::Dropout(rate) => format!("Dropout {}", short(rate)),
        }
    }
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
        let mut section = Section::new("Lasso and dropout");
        section.text(format!(
            "The same models with an L1 penalty of {} on the encoder's weights in the loss (Lasso), with dropout at rate \
             {} in every hidden layer of encoder and decoder, and with neither. Sparsity is the fraction of the encoder's \
             weights whose magnitude is at most {NEAR_ZERO}.",
            short(self.lasso),
            self.dropout
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
        let seed = lab.flags.first_seed();
        let psnr = |record: &Record| record.test.output.psnr_pooled_db;
        let mut rows = Vec::new();
        for hidden in self.grid.architectures() {
            for code in self.grid.codes() {
                for regularizer in self.regularizers() {
                    let same: Vec<_> = chosen(records, set, |run| {
                        run.hidden == hidden && run.code == code && Regularizer::of(run) == regularizer
                    })
                    .collect();
                    let figures = |of: fn(&Record) -> f64| same.iter().map(move |record| of(record));
                    rows.push(vec![
                        self.grid.label(&hidden),
                        code.to_string(),
                        regularizer.name(),
                        cell(figures(psnr), 2),
                        cell(figures(|r| r.test_ssim.unwrap_or(f64::NAN)), 4),
                        cell(figures(|r| 100.0 * r.sparsity), 1),
                    ]);
                }
            }
        }
        section.table(
            format!("{}: test images, PSNR in dB", set.title()),
            &["encoder", "code", "regularizer", "PSNR, pooled", "SSIM", "sparsity, %"],
            rows,
        );
        self.findings(set, records, section);

        for regularizer in self.regularizers().into_iter().skip(1) {
            for hidden in self.grid.architectures() {
                let same = chosen(records, set, |run| {
                    run.hidden == hidden && run.train.seed == seed && Regularizer::of(run) == regularizer
                });
                let curves: Vec<_> = same.map(|r| loss_curve(r, format!("code {}", r.run.code))).collect();
                if curves.is_empty() {
                    continue;
                }
                let title = format!(
                    "Training loss, {}, {}, {}",
                    regularizer.name(),
                    self.grid.label(&hidden),
                    set.title()
                );
                let chart =
                    Chart { title, x_label: "epoch".to_owned(), y_label: "training loss".to_owned(), curves };
                let caption = format!(
                    "{}, {}, {}: training loss by epoch, with penalty and dropout; seed {seed}.",
                    set.title(),
                    regularizer.name(),
                    self.grid.label(&hidden)
                );
                let kind = if matches!(regularizer, Regularizer::Lasso(_)) { "lasso" } else { "dropout" };
                let name = format!("{}-{kind}-{}-loss", set.name, self.grid.slug(&hidden));
                section.picture(lab.chart(&name, &caption, &chart)?);
            }
        }
        self.best(lab, set, records, section)?;
        self.strengths(lab, set, records, section)
    }

    /// Compares the regularizers in pairs: how often one is ahead, and by how much.
    fn findings(&self, set: &Set, records: &[Record], section: &mut Section) {
        let all = self.regularizers();
        let pairs = all
            .iter()
            .enumerate()
            .flat_map(|(index, &one)| all[..index].iter().map(move |&other| (one, other)));
        for (one, other) in pairs {
            let psnr = |record: &Record| record.test.output.psnr_pooled_db;
            let of = |regularizer: Regularizer| {
                chosen(records, set, move |run| Regularizer::of(run) == regularizer)
            };
            let model = |record: &Record| {
                let Run { hidden, code, train, .. } = &record.run;
                (hidden.clone(), *code, train.seed)
            };
            let twin = |record: &Record| of(other).find(|other| model(other) == model(record)).map(psnr);
            let gains: Vec<f64> = of(one).filter_map(|record| Some(psnr(record) - twin(record)?)).collect();
            if let Some(gain) = Spread::of(gains.iter().copied()) {
                section.finding(format!(
                    "{}: compared with {}, {} changes the pooled PSNR by {} dB (same model, same seed). It is ahead in {} \
                     of {} runs.",
                    set.title(),
                    if other == Regularizer::None { "no regularizer".to_owned() } else { other.name() },
                    one.name(),
                    gain.text(2),
                    gains.iter().filter(|&&gain| gain > 0.0).count(),
                    gains.len()
                ));
            }
        }
    }

    /// Reports the best model of each regularizer: metrics, test PSNR by epoch, reconstructions.
    fn best(&self, lab: &Lab, set: &Set, records: &[Record], section: &mut Section) -> Result<(), Failure> {
        let clean = files::one_a_class(&set.test)?;
        let (mut rows, mut images, mut curves) = (Vec::new(), vec![clean.clone()], Vec::new());
        let mut names = vec!["original".to_owned()];
        for regularizer in self.regularizers() {
            let same = chosen(records, set, |run| Regularizer::of(run) == regularizer);
            let psnr = |record: &&Record| record.test.output.psnr_pooled_db;
            let Some(best) = same.max_by(|a, b| psnr(a).total_cmp(&psnr(b))) else { continue };
            rows.push(vec![
                regularizer.name(),
                self.grid.label(&best.run.hidden),
                best.run.code.to_string(),
                best.run.train.seed.to_string(),
                format!("{:.2}", best.test.output.psnr_mean_db),
                format!("{:.2}", best.test.output.psnr_pooled_db),
                best.test_ssim.map_or("-".to_owned(), |ssim| format!("{ssim:.4}")),
                format!("{:.1}", 100.0 * best.sparsity),
            ]);
            names.push(format!("the best with {}", regularizer.name()));
            images.push(lab.model(best)?.reconstruct(&clean)?);
            let epochs = best.history.epochs.iter();
            let test = |e: &autoencoder::train::EpochRecord| Some(e.validation?.output.psnr_pooled_db);
            let points = epochs.filter_map(|e| Some((e.epoch as f64, test(e)?))).collect();
            let label = format!("{}, {}", regularizer.name(), self.grid.label(&best.run.hidden));
            curves.push(Curve { label, points, ..Curve::default() });
        }
        if curves.is_empty() {
            return Ok(());
        }
        let columns =
            ["regularizer", "encoder", "code", "seed", "PSNR, mean", "PSNR, pooled", "SSIM", "sparsity, %"];
        section.table(format!("{}: best model of each regularizer", set.title()), &columns, rows);
        let title = format!("Test images, best model of each regularizer, {}", set.title());
        let chart =
            Chart { title, x_label: "epoch".to_owned(), y_label: "pooled PSNR, dB".to_owned(), curves };
        let caption = format!("{}: test PSNR by epoch, best model of each regularizer.", set.title());
        section.picture(lab.chart(&format!("{}-best-psnr", set.name), &caption, &chart)?);
        let views: Vec<_> = images.iter().map(|row| row.view()).collect();
        let caption = format!(
            "{}, from top to bottom: original; best model with no regularizer, Lasso, dropout.",
            set.title()
        );
        section.picture(lab.grid(&format!("{}-best", set.name), &caption, set, &views)?);
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
        let (mut psnr, mut sparsity) = (Vec::new(), Vec::new());
        for lambda in sorted(&self.lambdas) {
            let same: Vec<_> = chosen(records, set, |run| {
                let strength = records::lasso(&run.train).unwrap_or(0.0);
                run.hidden == hidden && run.code == code && run.dropout == 0.0 && strength == lambda
            })
            .collect();
            let figures = |of: fn(&Record) -> f64| same.iter().map(move |record| of(record));
            let Some(pooled) = Spread::of(figures(|r| r.test.output.psnr_pooled_db)) else { continue };
            let share = cell(figures(|r| 100.0 * r.sparsity), 1);
            rows.push(vec![short(lambda), pooled.text(2), share]);
            if lambda > 0.0 {
                let x = f64::from(lambda).log10();
                psnr.push((x, pooled.mean));
                sparsity.extend(Spread::of(figures(|r| 100.0 * r.sparsity)).map(|s| (x, s.mean)));
            }
        }
        if rows.len() < 2 {
            return Ok(());
        }
        let caption =
            format!("{}: strength of the Lasso, {}, code {code}", set.title(), self.grid.label(&hidden));
        section.table(caption, &["lambda", "PSNR, pooled, dB", "sparsity, %"], rows);
        for (name, y_label, points) in
            [("psnr", "pooled PSNR, dB", psnr), ("sparsity", "sparsity, %", sparsity)]
        {
            if points.len() < 2 {
                continue;
            }
            let chart = Chart {
                title: format!("Strength of the Lasso, {}", set.title()),
                x_label: "log10 of lambda".to_owned(),
                y_label: y_label.to_owned(),
                curves: vec![Curve { label: format!("code {code}"), points, ..Curve::default() }],
            };
            let caption = format!("{}: {y_label} by strength of the Lasso.", set.title());
            section.picture(lab.chart(&format!("{}-lambda-{name}", set.name), &caption, &chart)?);
        }
        Ok(())
    }
}
