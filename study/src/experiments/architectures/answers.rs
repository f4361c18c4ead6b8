//! The answers about depth and code width.

use super::{
    super::{
        curves::{OVERFITTING, gap, paired, psnr},
        lab::chosen,
    },
    Architectures, Linear, Results,
};
use crate::{
    report::{
        Section, last_fall, mean, slower, untrained,
        verdict::{self, Case, Comparison, Verdict},
    },
    sweep::{Record, Run},
};

const SURVIVES: &str = "How much of an image survives a narrow code?";
const LINEAR: &str = "Is a deep autoencoder better than PCA of the same width?";
const DEPTH: &str = "Do more layers help?";
const WIDTHS: [&str; 3] = ["at every code width", "at the code width", "at the code widths"];

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
            "{opening} With {}, a code of {code} numbers ({:.0}% of the number of pixels) keeps {} of the variance of the test images",
            self.grid.words(&hidden),
            100.0 * code as f64 / results.set.test.features() as f64,
            fraction(narrow)
        );
        if widest > code {
            text += &format!(", and {widest} numbers keep {}", fraction(wide));
        }
        let linear = results.pca.iter().map(|linear| (linear.code, results.kept(linear.mse)));
        Some(text + "." + &against_linear(&kept, &linear.collect::<Vec<_>>()))
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
            let cases: Vec<Case> = pairs(psnr).collect();
            let comparison = Comparison {
                subject: deep_name.clone(),
                verbs: ["better than", "worse than", "as well as"]
                    .map(|how| format!("reconstruct {how} {flat_name}")),
                settings: WIDTHS,
                cases: cases.clone(),
            };
            let verdict = comparison.verdict();
            let Some(mut text) = verdict::answer(&[comparison]) else { continue };
            if verdict != Verdict::Tie {
                let [deep, shallow] = [deep, flat].map(|hidden| {
                    let same = |run: &Run| run.hidden == *hidden;
                    Training::of(
                        self.grid.words(hidden),
                        &chosen(results.records, results.set, same).collect::<Vec<_>>(),
                    )
                });
                // At the widths that decide the verdict: elsewhere the training errors are as close as the test errors.
                let decisive =
                    cases.iter().zip(pairs(training_error)).filter(|(case, _)| case.verdict() == verdict);
                let gains: Vec<f64> = decisive.flat_map(|(_, errors)| errors.differences).collect();
                text += &reason(verdict, &gains, &deep, &shallow);
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

/// Says what PCA keeps at the narrowest and the widest code, and where it keeps more than the autoencoder. Both lists have code
/// widths and percentages.
fn against_linear(own: &[(usize, f64)], linear: &[(usize, f64)]) -> String {
    let (Some(first), Some(last)) = (linear.first(), linear.last()) else { return String::new() };
    let mut text = format!(" PCA keeps {} at width {}", fraction(first.1), first.0);
    if last.0 > first.0 {
        text += &format!(" and {} at width {}", fraction(last.1), last.0);
    }
    let kept = |code: usize| own.iter().find(|own| own.0 == code).map(|own| own.1.max(0.0));
    let better =
        linear.iter().filter(|(code, linear)| kept(*code).is_some_and(|own| linear.round() > own.round()));
    let better: Vec<String> = better.map(|(code, _)| code.to_string()).collect();
    if !better.is_empty() {
        let noun = if better.len() == 1 { "width" } else { "widths" };
        let widths = verdict::listed(&better.iter().map(String::as_str).collect::<Vec<_>>());
        text += &format!(", more than the autoencoder at {noun} {widths}");
    }
    text + "."
}

/// The training of the models of one depth.
struct Training {
    /// Such as "three layers per side".
    name: String,
    /// Mean fraction by which the training error fell in the last epoch.
    fall: Option<f64>,
    /// Mean distance of the test PSNR below the training PSNR, in dB.
    gap: Option<f64>,
}

impl Training {
    fn of(name: String, records: &[&Record]) -> Self {
        let fall = mean(records.iter().filter_map(|record| last_fall(record)));
        Self { name, fall, gap: mean(records.iter().filter_map(|record| gap(record))) }
    }
}

/// Says why the deeper models are better or worse, if the training errors tell. `gains` are the differences of the training
/// errors, positive if the deeper model is better.
fn reason(verdict: Verdict, gains: &[f64], deep: &Training, shallow: &Training) -> String {
    let worse = gains.iter().filter(|&&gain| gain < 0.0).count();
    match verdict {
        Verdict::Worse if worse == gains.len() => {
            let mut text = " They are worse on the training images, too, so overfitting does not explain the difference.".to_owned();
            if let [Some(deep_gap @ OVERFITTING..), Some(gap @ OVERFITTING..)] = [deep.gap, shallow.gap] {
                text += &format!(
                    " Both overfit to some extent: the test PSNR is below the training PSNR, by {deep_gap:.1} dB with {} and by \
                     {gap:.1} dB with {}.",
                    deep.name, shallow.name
                );
            }
            text + &slower(deep.fall, shallow.fall, &shallow.name)
        }
        Verdict::Worse if worse == 0 => {
            " The reason is overfitting: on the training images, they are better.".to_owned()
        }
        Verdict::Better if worse == 0 => " They are better on the training images, too.".to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pca_is_compared_at_its_widths() {
        assert_eq!(
            against_linear(&[(15, 60.0), (100, 98.0)], &[(15, 61.0), (100, 93.0)]),
            " PCA keeps 61% at width 15 and 93% at width 100, more than the autoencoder at width 15."
        );
        assert_eq!(
            against_linear(&[(15, -3.0), (30, 70.0), (100, 90.0)], &[(15, 61.0), (30, 70.4), (100, 93.0)]),
            " PCA keeps 61% at width 15 and 93% at width 100, more than the autoencoder at widths 15 and 100."
        );
        assert_eq!(against_linear(&[(15, 80.0)], &[(15, 61.0)]), " PCA keeps 61% at width 15.");
        assert_eq!(against_linear(&[(1_000, 80.0)], &[]), "");
    }

    fn training(name: &str, fall: f64, gap: f64) -> Training {
        Training { name: name.to_owned(), fall: Some(fall), gap: Some(gap) }
    }

    #[test]
    fn the_reason_agrees_with_the_training_images() {
        let (deep, shallow) = (training("five layers", 0.06, 0.8), training("three layers", 0.05, 1.2));
        let text = reason(Verdict::Worse, &[-0.1, -0.2], &deep, &shallow);
        assert!(text.starts_with(
            " They are worse on the training images, too, so overfitting does not explain the difference. Both overfit to some \
             extent: the test PSNR is below the training PSNR, by 0.8 dB with five layers and by 1.2 dB with three layers. In \
             the last epoch"
        ), "{text}");
        // One of the two does not overfit.
        let text = reason(Verdict::Worse, &[-0.1], &deep, &training("three layers", 0.05, 0.2));
        assert!(!text.contains("Both overfit") && text.contains("these runs cannot tell"), "{text}");
        let text = reason(Verdict::Worse, &[-0.1], &training("five layers", 0.2, 0.0), &shallow);
        assert!(text.contains("Their training had not converged"), "{text}");
        // If training errors disagree among themselves, there is no reason.
        assert_eq!(reason(Verdict::Worse, &[-0.1, 0.2], &deep, &shallow), "");
        assert!(reason(Verdict::Worse, &[0.1], &deep, &shallow).contains("The reason is overfitting"));
        assert_eq!(
            reason(Verdict::Better, &[0.1], &deep, &shallow),
            " They are better on the training images, too."
        );
    }
}
