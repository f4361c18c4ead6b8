//! The answers about depth and code width.

use super::{
    super::{
        curves::{paired, psnr},
        lab::chosen,
    },
    Architectures, Linear, Results,
};
use crate::{
    report::{
        Section, Spread, last_fall, mean, untrained,
        verdict::{self, Case, Comparison, Verdict},
    },
    sweep::Record,
};

const SURVIVES: &str = "How much of an image survives a narrow code?";
const LINEAR: &str = "Is a deep autoencoder better than PCA of the same width?";
const DEPTH: &str = "Do more layers help?";
const WIDTHS: [&str; 3] = ["at every code width", "at the code width", "at the code widths"];
/// A training error that falls by more than this percentage per epoch has not converged.
const SLOW: f64 = 1.0;

impl Architectures {
    pub(super) fn answers(&self, results: &Results, section: &mut Section) {
        let title = results.set.title();
        if let Some(text) = self.survives(results) {
            section.answer(SURVIVES, title, text);
        }
        if let Some(text) = self.against_pca(results) {
            section.answer(LINEAR, title, text);
        }
        self.depths(results, section);
    }

    /// Says how much of the variance of the test images the best architecture keeps.
    fn survives(&self, results: &Results) -> Option<String> {
        let kept = |hidden: &[usize], code: usize| {
            let mse = mean(results.of(hidden, code).iter().map(|record| record.test.output.mse))?;
            Some((code, results.kept(mse)))
        };
        let all = |hidden: Vec<usize>| {
            let kept: Vec<_> = self.grid.codes().into_iter().filter_map(|code| kept(&hidden, code)).collect();
            Some((hidden, mean(kept.iter().map(|kept| kept.1))?, kept))
        };
        let architectures = self.grid.architectures().into_iter().filter_map(all);
        let (hidden, _, kept) = architectures.max_by(|a, b| a.1.total_cmp(&b.1))?;
        let (&(code, narrow), &(widest, wide)) = (kept.first()?, kept.last()?);
        let opening = match narrow {
            90.0.. => "Almost all of it.",
            75.0.. => "Most of it.",
            50.0.. => "More than half of it.",
            0.5.. => "Less than half of it.",
            _ => "Nothing.",
        };
        let mut text = format!(
            "{opening} With {}, a code of {code} numbers, {:.0}% of the pixels, keeps {} of the variance of the test images",
            self.grid.words(&hidden),
            100.0 * code as f64 / results.set.test.features() as f64,
            fraction(narrow)
        );
        if widest > code {
            text += &format!(", and {widest} numbers keep {}", fraction(wide));
        }
        if let (Some(first), Some(last)) = (results.pca.first(), results.pca.last()) {
            let [first, last] = [first, last].map(|linear| fraction(results.kept(linear.mse)));
            text += &if widest > code {
                format!(". PCA keeps {first} and {last}")
            } else {
                format!(". PCA keeps {first}")
            };
        }
        Some(text + ".")
    }

    fn against_pca(&self, results: &Results) -> Option<String> {
        let compare = |hidden: &Vec<usize>| {
            let case = |linear: &Linear| {
                let gains =
                    results.of(hidden, linear.code).into_iter().map(|record| psnr(record) - linear.psnr);
                Case::new(linear.code.to_string(), gains)
            };
            Comparison {
                subject: self.grid.words(hidden),
                verbs: ["better than", "worse than", "as well as"]
                    .map(|how| format!("reconstruct {how} PCA")),
                settings: WIDTHS,
                cases: results.pca.iter().map(case).collect(),
            }
        };
        let comparisons: Vec<_> = self.grid.architectures().iter().map(compare).collect();
        let lost = comparisons.iter().any(|comparison| comparison.verdict() != Verdict::Better);
        let reason = untrained(chosen(results.records, results.set, |_| true)).filter(|_| lost);
        verdict::answer(&comparisons).map(|text| text + &reason.unwrap_or_default())
    }

    /// Compares each architecture with the first, the deeper with the shallower.
    fn depths(&self, results: &Results, section: &mut Section) {
        let architectures = self.grid.architectures();
        let first = &architectures[0];
        for other in &architectures[1..] {
            let (deep, flat) = if other.len() < first.len() { (first, other) } else { (other, first) };
            let [deep_name, flat_name] = [deep, flat].map(|hidden| self.grid.words(hidden));
            let pairs = |value| {
                let codes = self.grid.codes().into_iter();
                codes.map(move |code| {
                    let gains = paired(&results.of(deep, code), &results.of(flat, code), value);
                    Case::new(code.to_string(), gains)
                })
            };
            let comparison = Comparison {
                subject: deep_name.clone(),
                verbs: ["better than", "worse than", "as well as"]
                    .map(|how| format!("reconstruct {how} {flat_name}")),
                settings: WIDTHS,
                cases: pairs(psnr).collect(),
            };
            let verdict = comparison.verdict();
            let Some(mut text) = verdict::answer(&[comparison]) else { continue };
            if verdict != Verdict::Tie {
                let errors: Vec<f64> = pairs(training_error).flat_map(|case| case.differences).collect();
                text += &reason(
                    &errors,
                    results.records.iter().filter(|record| record.run.hidden == *deep),
                    verdict,
                );
            }
            let question = match deep.len() == flat.len() {
                true => format!("Do {deep_name} reconstruct better than {flat_name}?"),
                false => DEPTH.to_owned(),
            };
            section.answer(&question, results.set.title(), text);
        }
    }
}

/// Formats the percentage of the variance that is kept. A model that is worse than the mean image keeps none.
fn fraction(percent: f64) -> String {
    if percent < 0.5 { "none".to_owned() } else { format!("{percent:.0}%") }
}

/// Returns minus the mean squared error of the last epoch of training, so that larger is better.
fn training_error(record: &Record) -> f64 {
    record.history.epochs.last().map_or(f64::NAN, |epoch| -epoch.mse)
}

/// Says why the deeper models are better or worse, if the training errors tell.
fn reason<'r>(gains: &[f64], deep: impl Iterator<Item = &'r Record>, verdict: Verdict) -> String {
    let worse = gains.iter().filter(|&&gain| gain < 0.0).count();
    let text = match verdict {
        Verdict::Worse if worse == gains.len() => {
            " The reason is training: their training error is higher, too, so this is not overfitting."
        }
        Verdict::Worse if worse == 0 => " The reason is overfitting: their training error is lower.",
        Verdict::Better if worse == 0 => " Their training error is lower, too.",
        _ => return String::new(),
    };
    let falls = Spread::of(deep.filter_map(last_fall).map(|fall| 100.0 * fall));
    match falls.filter(|falls| verdict == Verdict::Worse && worse > 0 && falls.mean > SLOW) {
        Some(falls) => format!("{text} It still fell by {:.0}% in the last epoch.", falls.mean),
        None => text.to_owned(),
    }
}
