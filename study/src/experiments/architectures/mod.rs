//! Depth and code width: PSNR by code width beside PCA, errors by epoch, reconstructions.

mod answers;

use super::{
    GridFlags,
    curves::{banded, errors_by_epoch, psnr, ssim},
    lab::{Experiment, Lab, Set, chosen, matching},
};
use crate::{
    cli::{Failure, files},
    plots::{Chart, Curve, Mark},
    report::{Data, Picture, Section, cell},
    sweep::Record,
};
use autoencoder::metrics::ImageQuality;
use clap::Args;

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
        self.answers(results, section);

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
            y_label: "pooled PSNR (dB)".to_owned(),
            curves,
            ..Chart::default()
        };
        let caption = results.set.caption("test PSNR by code width. PCA of the same width is dashed.");
        section.picture(lab.chart(&format!("{}-psnr", results.set.name), &caption, &chart)?);
        for hidden in &architectures {
            section.picture(self.errors(lab, results, hidden)?);
        }
        section.picture(self.reconstructions(lab, results)?);
        self.table(results, section);
        Ok(())
    }

    fn errors(&self, lab: &Lab, results: &Results, hidden: &[usize]) -> Result<Picture, Failure> {
        let (set, label) = (results.set, self.grid.label(hidden));
        let group = |code: usize| (format!("code {code}"), results.of(hidden, code));
        let groups: Vec<_> = self.grid.codes().into_iter().map(group).collect();
        let chart = errors_by_epoch(format!("Error by epoch, {label}, {}", set.title()), &groups);
        let caption = set.caption(format!(
            "error by epoch, {label}. Solid: test images; dashed: training images, measured while the weights change."
        ));
        lab.chart(&format!("{}-{}-error", set.name, self.grid.slug(hidden)), &caption, &chart)
    }

    fn table(&self, results: &Results, section: &mut Section) {
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
            results.set.caption("test images, PSNR in dB"),
            &["runs.csv", "pca.csv"],
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
        section.data(Data {
            name: "pca",
            content: "PCA of the width of each code, on the test images",
            columns: &["dataset", "components", "test_mse", "test_psnr_pooled_db", "variance_kept_percent"],
            rows: results.pca.iter().map(row).collect(),
        });
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
        let caption = set.caption(
            "test images and their reconstructions. Rows are labeled with the layers per side and the code width.",
        );
        lab.grid(&format!("{}-reconstructions", set.name), &caption, set, &rows)
    }
}
