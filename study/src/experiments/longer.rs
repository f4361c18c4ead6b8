//! Longer training: does the ranking after ten epochs hold?

use super::{
    GridFlags,
    lab::{Experiment, Lab, chosen},
    regularization::Regularizer,
};
use crate::{
    cli::Failure,
    plots::{Chart, Curve},
    report::{Section, Spread, cell},
    sweep::{Record, Run},
};

/// Trains the widest code for more epochs, with each regularizer.
#[derive(Debug, Clone)]
pub struct Longer {
    pub grid: GridFlags,
    pub regularizers: Vec<Regularizer>,
    pub epochs: usize,
}

impl Experiment for Longer {
    fn run(&self, lab: &Lab) -> Result<(Section, Vec<Record>), Failure> {
        let code = self.grid.widest_code();
        let mut runs: Vec<Run> = Vec::new();
        for set in lab.sets {
            for hidden in self.grid.architectures() {
                for &regularizer in &self.regularizers {
                    let same = lab.flags.runs(&set.name, &hidden, code).map(|run| regularizer.apply(run));
                    runs.extend(same.map(|run| Run { train: run.train.clone().epochs(self.epochs), ..run }));
                }
            }
        }
        let records = lab.sweep(&runs, lab.sets)?;
        let mut section = Section::new(&format!("{} epochs", self.epochs));
        let short = lab.flags.epochs().min(self.epochs);
        section.text(format!(
            "Code {code}, seed {}. A longer run starts like a short one, so both values come from the same runs.",
            lab.flags.first_seed()
        ));
        for set in lab.sets {
            let (mut rows, mut curves) = (Vec::new(), Vec::new());
            let mut means = Vec::new();
            for hidden in self.grid.architectures() {
                for &regularizer in &self.regularizers {
                    let same: Vec<_> = chosen(&records, set, |run| {
                        run.hidden == hidden && Regularizer::of(run) == regularizer
                    })
                    .collect();
                    let after = |epoch: usize| -> Vec<f64> {
                        let validation =
                            |r: &&Record| Some(r.history.epochs.get(epoch - 1)?.validation?.output);
                        same.iter().filter_map(validation).map(|output| output.psnr_pooled_db).collect()
                    };
                    let label = format!("{}, {}", regularizer.name(), self.grid.label(&hidden));
                    rows.push(vec![
                        self.grid.label(&hidden),
                        regularizer.name(),
                        cell(after(short), 2),
                        cell(after(self.epochs), 2),
                        cell(after(self.epochs).iter().zip(after(short)).map(|(a, b)| a - b), 2),
                    ]);
                    let mean = |epoch| Spread::of(after(epoch)).map(|spread| spread.mean);
                    means.extend(mean(short).zip(mean(self.epochs)).map(|means| (label.clone(), means)));
                    let points = (1..=self.epochs).filter_map(|epoch| Some((epoch as f64, mean(epoch)?)));
                    curves.push(Curve { label, points: points.collect(), ..Curve::default() });
                }
            }
            let columns = ["encoder", "regularizer"].map(str::to_owned).into_iter();
            let columns: Vec<String> = columns
                .chain([format!("after {short}"), format!("after {}", self.epochs), "gain".to_owned()])
                .collect();
            section.table(
                set.caption("test images, pooled PSNR in dB"),
                &["history.csv"],
                &columns.iter().map(String::as_str).collect::<Vec<_>>(),
                rows,
            );
            let ranking = |of: fn(&(f64, f64)) -> f64| {
                let mut order: Vec<_> = means.iter().collect();
                order.sort_by(|a, b| of(&b.1).total_cmp(&of(&a.1)));
                order.iter().map(|mean| mean.0.clone()).collect::<Vec<_>>()
            };
            let (before, after) = (ranking(|m| m.0), ranking(|m| m.1));
            if let [best, _, ..] = &after[..] {
                let kept = before.iter().zip(&after).filter(|(before, after)| before == after).count();
                let gains = Spread::of(means.iter().map(|(_, (before, after))| after - before));
                let [low, high] = gains.map_or([f64::NAN; 2], |gains| [gains.low, gains.high]);
                let changes = match after.len() - kept {
                    0 => format!("No. All {kept} models keep their places"),
                    changed => format!("Yes. {changed} of {} models change their places", after.len()),
                };
                let best = best.replace("none,", "no regularizer,");
                section.answer(
                    &format!("Do {} epochs change the ranking after {short}?", self.epochs),
                    set.title(),
                    format!("{changes}, and the best is {best}. The test PSNR changes by {low:.2} to {high:.2} dB."),
                );
            }
            let chart = Chart {
                title: format!("Test images over {} epochs, {}", self.epochs, set.title()),
                x_label: "epoch".to_owned(),
                y_label: "pooled PSNR (dB)".to_owned(),
                curves,
                ..Chart::default()
            };
            let caption = set.caption(format!("test PSNR by epoch, code {code}."));
            section.picture(lab.chart(&format!("{}-longer", set.name), &caption, &chart)?);
        }
        Ok((section, records))
    }
}
