//! Anomaly detection by reconstruction error: a model reconstructs a class that it has never seen poorly.

use super::{
    joined,
    lab::{Experiment, Lab, Set},
};
use crate::{
    cli::Failure,
    plots::{Chart, Curve, Mark},
    report::{
        Section, cell, mean,
        verdict::{self, Detection},
    },
    sweep::Record,
};
use autoencoder::metrics::Roc;
use clap::Args;

const UNSEEN: &str = "Does the reconstruction error reveal a class that the model has never seen?";

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
            "Each model ({} and its mirror, {} epochs) is trained on all classes except one. The squared error of its \
             reconstruction is the score of a test image. AUROC is the probability that an image of the unseen class has a \
             higher score than an image of another class: 0.5 is chance, 1 is perfect.",
            joined(&[&self.hidden[..], &[self.code]].concat()),
            lab.flags.epochs()
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

        let mut areas = Vec::new();
        for (&class, without) in left_out.iter().zip(&sets) {
            let anomalous: Vec<bool> = labels.iter().map(|&label| label == class).collect();
            let count = anomalous.iter().filter(|&&anomalous| anomalous).count();
            let (mut seeds, mut curve) = (Vec::new(), Curve::default());
            for record in records.iter().filter(|record| record.run.dataset == without.name) {
                let scores = lab.model(record)?.reconstruction_errors(&set.test)?;
                let roc = Roc::from_scores(&scores, &anomalous)?;
                seeds.push((record.run.train.seed, roc.area()));
                if record.run.train.seed == lab.flags.first_seed() {
                    let step = roc.points().len().div_ceil(POINTS).max(1);
                    curve.points = roc.points().iter().copied().step_by(step).collect();
                    curve.points.push((1.0, 1.0));
                }
            }
            let error = verdict::chance_error(count, labels.len() - count);
            if let Some(mean) = mean(seeds.iter().map(|seed| seed.1)) {
                areas.push(Area { class: set.class(class), seeds, mean, error, curve });
            }
        }
        areas.sort_by(|a, b| b.mean.total_cmp(&a.mean));
        if let Some(text) = answer(&areas) {
            section.answer(UNSEEN, set.title(), text);
        }
        let mut curves: Vec<Curve> = areas
            .iter()
            .map(|area| Curve { label: format!("{}: {:.2}", area.class, area.mean), ..area.curve.clone() })
            .collect();
        let chance = vec![(0.0, 0.0), (1.0, 1.0)];
        curves.push(Curve {
            label: "chance: 0.50".to_owned(),
            points: chance,
            mark: Mark::Guide,
            ..Curve::default()
        });
        let chart = Chart {
            title: format!("Detecting the unseen class, {}", set.title()),
            x_label: "false positive rate".to_owned(),
            y_label: "true positive rate".to_owned(),
            curves,
            ..Chart::default()
        };
        let caption = format!(
            "{}: receiver operating characteristic for each unseen class, seed {}. Labels give the class and its AUROC.",
            set.title(),
            lab.flags.first_seed()
        );
        section.picture(lab.chart(&format!("{}-roc", set.name), &caption, &chart)?);
        table(set, &areas, section);
        Ok(records)
    }
}

/// The AUROC of one unseen class.
struct Area {
    class: String,
    /// Seed and AUROC.
    seeds: Vec<(u64, f64)>,
    mean: f64,
    /// Standard error of an AUROC that detects nothing.
    error: f64,
    curve: Curve,
}

impl Area {
    fn detection(&self) -> Detection {
        verdict::detection(self.mean, self.error)
    }
}

/// Answers whether the error reveals the unseen class. The areas are sorted, the largest first.
fn answer(areas: &[Area]) -> Option<String> {
    let of = |detection: Detection| -> Vec<String> {
        let same = areas.iter().filter(|area| area.detection() == detection);
        same.map(|area| format!("{} ({:.2})", area.class, area.mean)).collect()
    };
    let [above, chance, below] = [Detection::Above, Detection::Chance, Detection::Below].map(of);
    let all = areas.len();
    let opening = match above.len() {
        0 => "No.",
        count if count == all => "Yes.",
        count if 2 * count > all => "For most classes.",
        _ => "For some classes.",
    };
    let best = areas.first()?;
    let mean = mean(areas.iter().map(|area| area.mean))?;
    let mut text = format!(
        "{opening} The reconstruction error detects {} of {all} unseen classes better than chance, best {} (AUROC {:.2}); the \
         mean AUROC is {mean:.2}.",
        above.len(),
        best.class,
        best.mean
    );
    let listed = |names: &[String]| verdict::listed(&names.iter().map(String::as_str).collect::<Vec<_>>());
    if !chance.is_empty() {
        text += &format!(" No better than chance: {}.", listed(&chance));
    }
    if !below.is_empty() {
        let subject = if below.len() == 1 { "this class" } else { "these classes" };
        text += &format!(
            " Worse than chance: {}, because the models reconstruct {subject} better than the classes that they saw.",
            listed(&below)
        );
    }
    Some(text)
}

fn table(set: &Set, areas: &[Area], section: &mut Section) {
    let row = |area: &Area| {
        let detection = match area.detection() {
            Detection::Above => "better than chance",
            Detection::Chance => "no better than chance",
            Detection::Below => "worse than chance",
        };
        let figures = area.seeds.iter().map(|seed| seed.1);
        vec![area.class.clone(), cell(figures, 3), format!("{:.3}", area.error), detection.to_owned()]
    };
    section.table(
        format!("{}: AUROC by unseen class", set.title()),
        &["unseen", "AUROC", "standard error of chance", "verdict"],
        areas.iter().map(row).collect(),
    );
    let rows = areas.iter().flat_map(|area| {
        area.seeds.iter().map(|&(seed, auroc)| {
            vec![
                set.name.clone().into(),
                area.class.clone().into(),
                seed.into(),
                auroc.into(),
                area.error.into(),
            ]
        })
    });
    section.data("auroc", &["dataset", "unseen", "seed", "auroc", "chance_standard_error"], rows.collect());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(class: &str, mean: f64) -> Area {
        Area { class: class.to_owned(), seeds: vec![(0, mean)], mean, error: 0.01, curve: Curve::default() }
    }

    #[test]
    fn the_answer_counts_classes_and_names_what_is_not_detected() {
        let areas = [area("bag", 0.94), area("coat", 0.7), area("shirt", 0.51), area("1", 0.3)];
        assert_eq!(
            answer(&areas[..2]).unwrap(),
            "Yes. The reconstruction error detects 2 of 2 unseen classes better than chance, best bag (AUROC 0.94); the mean \
             AUROC is 0.82."
        );
        let text = answer(&areas).unwrap();
        assert!(text.starts_with("For some classes. The reconstruction error detects 2 of 4"), "{text}");
        assert!(text.contains("No better than chance: shirt (0.51)."), "{text}");
        assert!(
            text.contains("Worse than chance: 1 (0.30), because the models reconstruct this class better"),
            "{text}"
        );
        assert!(answer(&areas[2..3]).unwrap().starts_with("No."));
        assert_eq!(answer(&[]), None);
    }
}
