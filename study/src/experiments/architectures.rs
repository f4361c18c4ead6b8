//! Depth and code width: PSNR by code width beside PCA, errors by epoch, reconstructions.

use super::{
    GridFlags,
    curves::{banded, errors_by_epoch, paired, psnr, ssim},
    lab::{Experiment, Lab, Set, chosen, matching},
};
use crate::{
    cli::{Failure, files},
    plots::{Chart, Curve, Mark},
    report::{
        Picture, Section, Spread, cell, last_fall, mean, untrained,
        verdict::{self, Case, Comparison, Verdict},
    },
    sweep::Record,
};
use autoencoder::metrics::ImageQuality;
use clap::Args;

const SURVIVES: &str = "How much of an image survives a narrow code?";
const LINEAR: &str = "Is a deep autoencoder better than PCA of the same width?";
const DEPTH: &str = "Do more layers help?";
const WIDTHS: [&str; 3] = ["at every code width", "at the code width", "at the code widths"];

/// A training error that falls by more than this percentage per epoch has not converged.
const SLOW: f64 = 1.0;

/// Compares three and five layers per side for several code widths.
#[derive(Debug, Clone, Args)]
pub struct Architectures {
    #[command(flatten)]
    pub grid: GridFlags,
}

/// PCA on the test images.
struct Linear {
    code: usize,
    psnr: f64,
    mse: f64,
}

/// The results for one data set.
struct Results<'a> {
    set: &'a Set,
    records: &'a [Record],
    pca: Vec<Linear>,
    /// Mean squared distance of the test images from the mean training image, per pixel.
    variance: f64,
}

impl Experiment for Architectures {
    fn run(&self, lab: &Lab) -> Result<(Section, Vec<Record>), Failure> {
        let mut runs = Vec::new();
        for set in lab.sets {
            for hidden in self.grid.architectures() {
                for code in self.grid.codes() {
                    runs.extend(lab.flags.runs(&set.name, &hidden, code));
                }
            }
        }
        let records = lab.sweep(&runs, lab.sets)?;
        let mut section = Section::new("Depth and code width");
        for set in lab.sets {
            let results = Results::new(set, &records, &self.grid.codes())?;
            self.report(lab, &results, &mut section)?;
        }
        Ok((section, records))
    }
}

impl<'a> Results<'a> {
    fn new(set: &'a Set, records: &'a [Record], codes: &[usize]) -> Result<Self, Failure> {
        let (pca, images) = (set.pca()?, set.test.to_array()?);
        let mut linear = Vec::new();
        for &code in codes.iter().filter(|&&code| code <= set.test.features()) {
            let output = pca.reconstruction(code)?.apply(images.view())?;
            let quality = ImageQuality::compare(&output, &images, 1.0)?;
            linear.push(Linear { code, psnr: quality.psnr_pooled_db, mse: quality.mse });
        }
        let means = pca.reconstruction(0)?.apply(images.view())?;
        let variance = ImageQuality::compare(&means, &images, 1.0)?.mse;
        Ok(Self { set, records, pca: linear, variance })
    }

    fn of(&self, hidden: &[usize], code: usize) -> Vec<&'a Record> {
        matching(self.records, self.set, |run| run.hidden == hidden && run.code == code)
    }

    /// Returns the percentage of the variance of the test images that a reconstruction keeps.
    fn kept(&self, mse: f64) -> f64 {
        100.0 * (1.0 - mse / self.variance)
    }
}

impl Architectures {
    fn report(&self, lab: &Lab, results: &Results, section: &mut Section) -> Result<(), Failure> {
        let title = results.set.title();
        section.answer(SURVIVES, title, self.survives(results));
        if let Some(text) = self.against_pca(results) {
            section.answer(LINEAR, title, text);
        }
        self.depths(results, section);

        let psnrs =
            |hidden: &[usize], code| results.of(hidden, code).into_iter().map(psnr).collect::<Vec<_>>();
        let points = |hidden: &[usize]| {
            let codes = self.grid.codes().into_iter();
            codes.map(|code| (code as f64, psnrs(hidden, code))).collect::<Vec<_>>().into_iter()
        };
        let architectures = self.grid.architectures();
        let mut curves: Vec<Curve> =
            architectures.iter().map(|hidden| banded(self.grid.label(hidden), points(hidden))).collect();
        let linear = results.pca.iter().map(|linear| (linear.code as f64, linear.psnr)).collect();
        curves.push(Curve {
            label: "PCA".to_owned(),
            points: linear,
            mark: Mark::Dashed,
            color: Some(4),
            ..Curve::default()
        });
        let chart = Chart {
            title: format!("Test PSNR by code width, {title}"),
            x_label: "code width".to_owned(),
            y_label: "pooled PSNR, dB".to_owned(),
            curves,
            ..Chart::default()
        };
        let caption = format!("{title}: test PSNR by code width. PCA of the same width is dashed.");
        section.picture(lab.chart(&format!("{}-psnr", results.set.name), &caption, &chart)?);
        for hidden in &architectures {
            section.picture(self.errors(lab, results, hidden)?);
        }
        section.picture(self.reconstructions(lab, results)?);
        self.table(results, section);
        Ok(())
    }

    /// Says how much of the variance of the test images the best architecture keeps.
    fn survives(&self, results: &Results) -> String {
        let quality = |code: usize| {
            let mse = |hidden: &Vec<usize>| {
                let mse = mean(results.of(hidden, code).iter().map(|record| record.test.output.mse))?;
                Some((hidden.clone(), results.kept(mse)))
            };
            let all = self.grid.architectures();
            all.iter().filter_map(mse).max_by(|a, b| a.1.total_cmp(&b.1)).map(|best| (code, best.0, best.1))
        };
        let found: Vec<_> = self.grid.codes().into_iter().filter_map(quality).collect();
        let Some((code, hidden, kept)) = found.first() else { return "No model was trained.".to_owned() };
        let opening = match kept {
            90.0.. => "Almost all of it.",
            75.0.. => "Most of it.",
            50.0.. => "More than half of it.",
            _ => "Less than half of it.",
        };
        let size = 100.0 * *code as f64 / results.set.test.features() as f64;
        let mut text = format!(
            "{opening} A code of {code} numbers, {size:.0}% of the pixels, keeps {kept:.0}% of the variance of the test \
             images ({})",
            self.grid.words(hidden)
        );
        if let [_, .., (code, hidden, kept)] = found.as_slice() {
            text += &format!(", and {code} numbers keep {kept:.0}% ({})", self.grid.words(hidden));
        }
        if let (Some(first), Some(last)) = (results.pca.first(), results.pca.last()) {
            text +=
                &format!(". PCA keeps {:.0}% and {:.0}%", results.kept(first.mse), results.kept(last.mse));
        }
        text + "."
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

    fn errors(&self, lab: &Lab, results: &Results, hidden: &[usize]) -> Result<Picture, Failure> {
        let (set, label) = (results.set, self.grid.label(hidden));
        let group = |code: usize| (format!("code {code}"), results.of(hidden, code));
        let groups: Vec<_> = self.grid.codes().into_iter().map(group).collect();
        let chart = errors_by_epoch(format!("Error by epoch, {label}, {}", set.title()), &groups);
        let caption = format!(
            "{}, {label}: error by epoch on test images (solid) and training images (dashed, measured while the weights \
             change).",
            set.title()
        );
        lab.chart(&format!("{}-{}-error", set.name, self.grid.slug(hidden)), &caption, &chart)
    }

    fn table(&self, results: &Results, section: &mut Section) {
        let title = results.set.title();
        let mut rows = Vec::new();
        for hidden in self.grid.architectures() {
            for code in self.grid.codes() {
                let records = results.of(&hidden, code);
                let values = |value: fn(&Record) -> f64| records.iter().map(move |record| value(record));
                let linear = results.pca.iter().find(|linear| linear.code == code).map(|linear| linear.psnr);
                rows.push(vec![
                    self.grid.label(&hidden),
                    code.to_string(),
                    cell(values(|r| r.test.output.psnr_mean_db), 2),
                    cell(values(psnr), 2),
                    cell(linear, 2),
                    cell(values(ssim), 4),
                ]);
            }
        }
        section.table(
            format!("{title}: test images, PSNR in dB"),
            &["encoder", "code", "PSNR, mean over images", "PSNR, pooled", "PCA, pooled", "SSIM"],
            rows,
        );
        let row = |linear: &Linear| {
            vec![
                results.set.name.clone().into(),
                linear.code.into(),
                linear.mse.into(),
                linear.psnr.into(),
                results.kept(linear.mse).into(),
            ]
        };
        section.data(
            "pca",
            &["dataset", "components", "test_mse", "test_psnr_pooled_db", "variance_kept_percent"],
            results.pca.iter().map(row).collect(),
        );
    }

    /// Draws one image per class: clean, then one row for each run of the first seed.
    fn reconstructions(&self, lab: &Lab, results: &Results) -> Result<Picture, Failure> {
        let set = results.set;
        let clean = files::one_a_class(&set.test)?;
        let mut rows = vec![("original".to_owned(), clean.clone())];
        for record in chosen(results.records, set, |run| run.train.seed == lab.flags.first_seed()) {
            let label =
                format!("{} {}", self.grid.slug(&record.run.hidden).replace('-', " "), record.run.code);
            rows.push((label.replace("layers", "layers,"), lab.model(record)?.reconstruct(&clean)?));
        }
        let caption = format!(
            "{}: test images and their reconstructions. Rows are labeled with the layers per side and the code width.",
            set.title()
        );
        lab.grid(&format!("{}-reconstructions", set.name), &caption, set, &rows)
    }
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
