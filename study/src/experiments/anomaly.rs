//! Anomaly detection by reconstruction error: a model reconstructs a class that it has never seen poorly.

use super::{
    joined,
    lab::{Experiment, Lab, Set},
};
use crate::{
    cli::Failure,
    plots::{Chart, Curve},
    report::{Section, Spread, cell},
    sweep::Record,
};
use autoencoder::metrics::Roc;
use clap::Args;

/// Points per drawn curve.
const POINTS: usize = 200;

/// Detects the class that a model has never seen.
#[derive(Debug, Clone, Args)]
pub struct Anomaly {
    /// Widths of the encoder's hidden layers
    #[arg(long, value_delimiter = ',', num_args = 1, default_value = "128")]
    pub hidden: Vec<usize>,
    /// Width of the code
    #[arg(long, default_value_t = 16)]
    pub code: usize,
}

impl Experiment for Anomaly {
    fn run(&self, lab: &Lab) -> Result<(Section, Vec<Record>), Failure> {
        let mut section = Section::new("Anomalies");
        section.text(format!(
            "A model ({} and its mirror) is trained on all classes except one, for {} epochs. The squared error of its \
             reconstruction scores each test image, and the unseen class should get the higher scores. AUROC is the \
             probability that an image of that class has a higher score than an image of another class: 0.5 is chance, 1 \
             is perfect. In `runs.csv` the test images are of all classes.",
            joined(&[&self.hidden[..], &[self.code]].concat()),
            lab.flags.epochs
        ));
        // One data set at a time, because each set without a class is a copy.
        let mut records = Vec::new();
        for set in lab.sets {
            records.extend(self.report(lab, set, &mut section)?);
        }
        super::records::write(&lab.out, &records)?;
        Ok((section, records))
    }
}

impl Anomaly {
    fn report(&self, lab: &Lab, set: &Set, section: &mut Section) -> Result<Vec<Record>, Failure> {
        let (train_labels, labels) =
            (set.train.labels().unwrap_or_default(), set.test.labels().unwrap_or_default());
        let mut classes = train_labels.to_vec();
        classes.sort_unstable();
        classes.dedup();
        let (mut sets, mut left_out) = (Vec::new(), Vec::new());
        for &class in &classes {
            let others: Vec<usize> =
                (0..train_labels.len()).filter(|&row| train_labels[row] != class).collect();
            if !others.is_empty() && labels.contains(&class) && labels.iter().any(|&label| label != class) {
                let name = format!("{} without {}", set.name, set.class(class));
                sets.push(Set::new(&name, set.train.select(&others)?, set.test.clone()));
                left_out.push(class);
            }
        }
        let runs: Vec<_> =
            sets.iter().flat_map(|set| lab.flags.runs(&set.name, &self.hidden, self.code)).collect();
        if runs.is_empty() {
            section.text(format!("{}: there is no class to hold out.", set.title()));
            return Ok(Vec::new());
        }
        let records = lab.sweep(&runs, &sets)?;

        let (mut rows, mut curves, mut areas) = (Vec::new(), Vec::new(), Vec::new());
        for (&class, without) in left_out.iter().zip(&sets) {
            let anomalous: Vec<bool> = labels.iter().map(|&label| label == class).collect();
            let mut of_seeds = Vec::new();
            for record in records.iter().filter(|record| record.run.dataset == without.name) {
                let scores = lab.model(record)?.reconstruction_errors(&set.test)?;
                let roc = Roc::from_scores(&scores, &anomalous)?;
                of_seeds.push(roc.area());
                if record.run.train.seed == lab.flags.first_seed() {
                    let step = roc.points().len().div_ceil(POINTS).max(1);
                    let mut points: Vec<_> = roc.points().iter().copied().step_by(step).collect();
                    points.push((1.0, 1.0));
                    curves.push(Curve { label: set.class(class), points, ..Curve::default() });
                }
            }
            rows.push(vec![set.class(class), cell(of_seeds.iter().copied(), 3)]);
            areas.extend(Spread::of(of_seeds).map(|spread| (spread.mean, set.class(class))));
        }
        let mean = Spread::of(areas.iter().map(|area| area.0)).map_or(f64::NAN, |spread| spread.mean);
        rows.push(vec!["mean".to_owned(), format!("{mean:.3}")]);
        section.table(format!("{}: AUROC by held-out class", set.title()), &["held out", "AUROC"], rows);
        areas.sort_by(|a, b| a.0.total_cmp(&b.0));
        if let (Some(worst), Some(best)) = (areas.first(), areas.last()) {
            section.finding(format!(
                "{}: mean AUROC {mean:.3}. The easiest class to detect is {} ({:.3}), the hardest {} ({:.3}){}.",
                set.title(),
                best.1,
                best.0,
                worst.1,
                worst.0,
                if worst.0 < 0.5 { ", which is easier to reconstruct than the training classes" } else { "" }
            ));
        }
        let chart = Chart {
            title: format!("Detecting the held-out class, {}", set.title()),
            x_label: "false positive rate".to_owned(),
            y_label: "true positive rate".to_owned(),
            curves,
        };
        let caption = format!(
            "{}: receiver operating characteristic for each held-out class, seed {}.",
            set.title(),
            lab.flags.first_seed()
        );
        section.picture(lab.chart(&format!("{}-roc", set.name), &caption, &chart)?);
        Ok(records)
    }
}
