//! Longer training: does the ranking after ten epochs hold?

use super::{
    GridFlags,
    lab::{Experiment, Lab, chosen},
    regularization::Regularizer,
};
use crate::{
    cli::Failure,
    plots::{Chart, Curve},
    report::{
        Section, Spread, cell,
        verdict::{ONE_SEED_DB, capitalized},
    },
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
            if let Some(text) = answer(&means) {
                let question = format!("Do {} epochs change the ranking after {short}?", self.epochs);
                section.answer(&question, set.title(), text);
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

/// The verdict on names of models with their PSNR in dB, after the short and after the long run. An order counts if the
/// difference exceeds the spread of seeds.
fn answer(means: &[(String, (f64, f64))]) -> Option<String> {
    let best = means.iter().max_by(|a, b| a.1.1.total_cmp(&b.1.1)).filter(|_| means.len() > 1)?;
    let name = |label: &str| label.replace("none,", "no regularizer,");
    let clear = |difference: f64| difference > ONE_SEED_DB;
    let pairs = means.iter().flat_map(|first| means.iter().map(move |second| (first, second)));
    let overtakes = pairs.filter(|(first, second)| {
        let ((before, after), (other_before, other_after)) = (first.1, second.1);
        clear(other_before - before) && clear(after - other_after)
    });
    let overtakes: Vec<_> = overtakes
        .map(|(first, second)| format!("{} overtakes {}", name(&first.0), name(&second.0)))
        .collect();
    let verdict = match overtakes.as_slice() {
        [] => format!("No. No two models exchange places by more than {ONE_SEED_DB} dB, the spread of seeds"),
        overtakes => format!("Yes. {}", capitalized(&overtakes.join("; "))),
    };
    let gains = Spread::of(means.iter().map(|(_, (before, after))| after - before))?;
    let (low, high, best) = (gains.low, gains.high, name(&best.0));
    Some(format!("{verdict}. The best is {best}. The test PSNR changes by {low:.2} to {high:.2} dB."))
}

#[cfg(test)]
mod tests {
    use super::answer;

    #[test]
    fn a_model_overtakes_another_only_beyond_the_spread_of_seeds() {
        let of = |means: &[(&str, (f64, f64))]| {
            let means: Vec<_> = means.iter().map(|(name, values)| ((*name).to_owned(), *values)).collect();
            answer(&means)
        };
        let close = of(&[("none, 3 layers", (20.0, 22.0)), ("Lasso, 3 layers", (20.1, 21.9))]).unwrap();
        assert_eq!(
            close,
            "No. No two models exchange places by more than 0.5 dB, the spread of seeds. The best is no regularizer, 3 layers. \
             The test PSNR changes by 1.80 to 2.00 dB."
        );
        let far = of(&[("none, 5 layers", (19.0, 23.0)), ("none, 3 layers", (20.0, 22.0))]).unwrap();
        assert!(
            far.starts_with("Yes. No regularizer, 5 layers overtakes no regularizer, 3 layers. The best is"),
            "{far}"
        );
        // Ahead before by less than the spread of seeds.
        assert!(of(&[("a", (19.7, 23.0)), ("b", (20.0, 22.0))]).unwrap().starts_with("No."));
        assert_eq!(of(&[("a", (19.7, 23.0))]), None);
    }
}
