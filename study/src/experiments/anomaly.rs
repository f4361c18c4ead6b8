//! Anomaly detection by reconstruction error: a model reconstructs a class that it has never seen poorly.

use super::{
    joined,
    lab::{Experiment, Lab, Set},
};
use crate::{
    cli::Failure,
    plots::{Chart, Curve, Mark},
    report::{
        Data, Section, cell,
        detection::{self, Detection, LOW_RATE, WELL},
        mean,
        verdict::listed,
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
            section.text(set.caption("there is no class to hold out."));
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
            let normal = labels.len() - count;
            if let Some(mean) = mean(seeds.iter().map(|seed| seed.1)) {
                areas.push(Area {
                    class: set.class(class),
                    words: set.class_in_words(class),
                    seeds,
                    mean,
                    error: detection::chance_error(count, normal),
                    is_low: detection::misses_at_low_rates(&curve.points, count, normal),
                    curve,
                });
            }
        }
        areas.sort_by(|a, b| b.mean.total_cmp(&a.mean));
        if let Some(text) = answer(&areas) {
            section.answer(UNSEEN, set.title(), text);
        }
        let mut curves: Vec<Curve> = areas
            .iter()
            .map(|area| Curve { label: format!("{}: {:.2}", area.words, area.mean), ..area.curve.clone() })
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
        let caption = set.caption(format!(
            "receiver operating characteristic for each unseen class, seed {}. Labels give the class and its AUROC{}.",
            lab.flags.first_seed(),
            if lab.flags.seeds().len() > 1 { ", averaged over the seeds" } else { "" }
        ));
        section.picture(lab.chart(&format!("{}-roc", set.name), &caption, &chart)?);
        table(set, &areas, section);
        Ok(records)
    }
}

/// The AUROC of one unseen class.
struct Area {
    class: String,
    /// The class in a sentence.
    words: String,
    /// Seed and AUROC.
    seeds: Vec<(u64, f64)>,
    mean: f64,
    /// Standard error of an AUROC that detects nothing.
    error: f64,
    /// True if the curve is below the diagonal at low false positive rates.
    is_low: bool,
    /// The curve of the first seed.
    curve: Curve,
}

impl Area {
    fn detection(&self) -> Detection {
        detection::detection(self.mean, self.error)
    }
}

/// Answers whether the error reveals the unseen class. The areas are sorted, the largest first.
fn answer(areas: &[Area]) -> Option<String> {
    let mean = mean(areas.iter().map(|area| area.mean))?;
    let all = areas.len();
    let of = |detection: Detection| -> Vec<String> {
        let same = areas.iter().filter(|area| area.detection() == detection);
        same.map(|area| format!("{} ({:.2})", area.words, area.mean)).collect()
    };
    let listed = |names: &[String]| listed(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let [well, weakly, chance, below] =
        [Detection::Well, Detection::Weakly, Detection::Chance, Detection::Below].map(of);
    let mut text = match [well.len(), weakly.len()] {
        [0, 0] => "No.",
        [count, _] if count == all => "Yes.",
        [0, _] => "Weakly.",
        [count, _] if 2 * count > all => "For most classes.",
        _ => "For some classes.",
    }
    .to_owned();
    text += &format!(" The mean AUROC is {mean:.2}.");
    for (names, verdict) in [
        (well, format!("Well above chance (AUROC of at least {WELL})")),
        (weakly, "Weakly above chance".to_owned()),
        (chance, "No better than chance".to_owned()),
    ] {
        if !names.is_empty() {
            text += &format!(" {verdict}: {}.", listed(&names));
        }
    }
    if !below.is_empty() {
        let subject = if below.len() == 1 { "this class" } else { "these classes" };
        text += &format!(
            " Worse than chance: {}. A likely reason is that the models reconstruct {subject} better than the classes that \
             they saw.",
            listed(&below)
        );
    }
    let low: Vec<String> = areas.iter().filter(|area| area.is_low).map(|area| area.words.clone()).collect();
    if !low.is_empty() {
        let (curve, is) = if low.len() == 1 { ("drawn curve", "is") } else { ("drawn curves", "are") };
        text += &format!(
            " At a false positive rate of {:.0}%, the {curve} of {} {is} below the diagonal: images with the highest errors \
             are rarely of the unseen class.",
            100.0 * LOW_RATE,
            listed(&low)
        );
    }
    Some(text)
}

fn table(set: &Set, areas: &[Area], section: &mut Section) {
    let row = |area: &Area| {
        let detection = match area.detection() {
            Detection::Well => "well above chance",
            Detection::Weakly => "weakly above chance",
            Detection::Chance => "no better than chance",
            Detection::Below => "worse than chance",
        };
        let figures = area.seeds.iter().map(|seed| seed.1);
        vec![area.class.clone(), cell(figures, 3), format!("{:.3}", area.error), detection.to_owned()]
    };
    section.table(
        set.caption("AUROC by unseen class"),
        &["auroc.csv", "roc.csv"],
        &["unseen", "AUROC", "standard error at chance (AUROC 0.5)", "verdict"],
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
    section.data(Data {
        name: "auroc",
        content: "AUROC of each unseen class, per seed",
        columns: &["dataset", "unseen", "seed", "auroc", "chance_standard_error"],
        rows: rows.collect(),
    });
    let rows = areas.iter().flat_map(|area| {
        let points = area.curve.points.iter();
        points.map(|&(alarms, hits)| {
            vec![set.name.clone().into(), area.class.clone().into(), alarms.into(), hits.into()]
        })
    });
    section.data(Data {
        name: "roc",
        content: "points of the drawn receiver operating characteristics, for the first seed",
        columns: &["dataset", "unseen", "false_positive_rate", "true_positive_rate"],
        rows: rows.collect(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(words: &str, mean: f64) -> Area {
        Area {
            class: words.to_owned(),
            words: words.to_owned(),
            seeds: vec![(0, mean)],
            mean,
            error: 0.01,
            is_low: mean < 0.5,
            curve: Curve::default(),
        }
    }

    #[test]
    fn the_answer_groups_classes_by_how_well_they_are_detected() {
        let areas = [area("bag", 0.94), area("coat", 0.7), area("shirt", 0.51), area("class 1", 0.3)];
        assert_eq!(
            answer(&areas).unwrap(),
            "For some classes. The mean AUROC is 0.61. Well above chance (AUROC of at least 0.8): bag (0.94). Weakly above \
             chance: coat (0.70). No better than chance: shirt (0.51). Worse than chance: class 1 (0.30). A likely reason is \
             that the models reconstruct this class better than the classes that they saw. At a false positive rate of 10%, \
             the drawn curve of class 1 is below the diagonal: images with the highest errors are rarely of the unseen class."
        );
        let opening = |areas: &[Area]| answer(areas).unwrap().split(" The").next().unwrap().to_owned();
        assert_eq!(opening(&areas[..1]), "Yes.");
        assert_eq!(opening(&[area("bag", 0.94), area("dress", 0.9), area("coat", 0.7)]), "For most classes.");
        assert_eq!(opening(&areas[1..]), "Weakly.");
        assert_eq!(opening(&areas[2..]), "No.");
        assert!(
            answer(&[area("a", 0.1), area("b", 0.2)])
                .unwrap()
                .contains("the drawn curves of a and b are below")
        );
        assert_eq!(answer(&[]), None);
    }
}
