//! Depth and code width: loss curves, PSNR by code width beside PCA, reconstructions.

use super::{
    GridFlags,
    lab::{Experiment, Lab, Set, chosen},
};
use crate::{
    cli::{Failure, files},
    plots::{Chart, Curve},
    report::{Picture, Section, Spread, cell, signed},
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
        section.text(
            "How much of an image survives a narrow code, and do more layers help? PCA, the best linear method of the same \
             width, is shown for comparison.",
        );
        for set in lab.sets {
            self.report(lab, set, &records, &mut section)?;
        }
        Ok((section, records))
    }
}

impl Architectures {
    fn report(&self, lab: &Lab, set: &Set, records: &[Record], section: &mut Section) -> Result<(), Failure> {
        let figures = |hidden: &[usize], code: usize, of: fn(&Record) -> f64| -> Vec<f64> {
            chosen(records, set, |run| run.hidden == hidden && run.code == code).map(of).collect()
        };
        let pca = pca(set, &self.grid.codes())?;
        let mut rows = Vec::new();
        let mut against_code = Vec::new();
        let mut charts = Vec::new();
        for hidden in self.grid.architectures() {
            let mut curve = Curve { label: self.grid.label(&hidden), ..Curve::default() };
            for code in self.grid.codes() {
                let pooled = figures(&hidden, code, |r| r.test.output.psnr_pooled_db);
                curve.points.extend(Spread::of(pooled.iter().copied()).map(|s| (code as f64, s.mean)));
                let linear = pca.points.iter().find(|point| point.0 == code as f64).map(|point| point.1);
                rows.push(vec![
                    self.grid.label(&hidden),
                    code.to_string(),
                    cell(figures(&hidden, code, |r| r.test.output.psnr_mean_db), 2),
                    cell(pooled, 2),
                    cell(figures(&hidden, code, |r| r.test_ssim.unwrap_or(f64::NAN)), 4),
                    cell(linear, 2),
                ]);
            }
            against_code.push(curve);
            charts.extend(self.losses(lab, set, &hidden, records)?);
        }
        section.table(
            format!("{}: test images, PSNR in dB", set.title()),
            &["encoder", "code", "PSNR, mean over images", "PSNR, pooled", "SSIM", "PCA, pooled"],
            rows,
        );
        self.findings(set, &against_code, &pca, section);
        against_code.push(pca);
        let chart = Chart {
            title: format!("Test images, {}", set.title()),
            x_label: "code width".to_owned(),
            y_label: "pooled PSNR, dB".to_owned(),
            curves: against_code,
        };
        let caption = format!("{}: test PSNR by code width, with PCA of the same width.", set.title());
        section.picture(lab.chart(&format!("{}-psnr", set.name), &caption, &chart)?);
        charts.into_iter().for_each(|chart| section.picture(chart));
        section.picture(self.reconstructions(lab, set, records)?);
        Ok(())
    }

    fn losses(
        &self,
        lab: &Lab,
        set: &Set,
        hidden: &[usize],
        records: &[Record],
    ) -> Result<Option<Picture>, Failure> {
        let seed = lab.flags.first_seed();
        let same = chosen(records, set, |run| run.hidden == hidden && run.train.seed == seed);
        let curves: Vec<_> =
            same.map(|record| loss_curve(record, format!("code {}", record.run.code))).collect();
        if curves.is_empty() {
            return Ok(None);
        }
        let title = format!("Training loss, {}, {}", self.grid.label(hidden), set.title());
        let chart = Chart { title, x_label: "epoch".to_owned(), y_label: "training loss".to_owned(), curves };
        let caption =
            format!("{}, {}: training loss by epoch, seed {seed}.", set.title(), self.grid.label(hidden));
        lab.chart(&format!("{}-{}-loss", set.name, self.grid.slug(hidden)), &caption, &chart).map(Some)
    }

    /// Compares the depths with each other and with PCA.
    fn findings(&self, set: &Set, curves: &[Curve], pca: &Curve, section: &mut Section) {
        let at = |curve: &Curve, x: f64| curve.points.iter().find(|point| point.0 == x).map(|point| point.1);
        if let [first, second] = curves {
            let gains: Vec<f64> =
                first.points.iter().filter_map(|&(code, psnr)| Some(psnr - at(second, code)?)).collect();
            if let Some(gain) = Spread::of(gains.iter().copied()) {
                let ahead = gains.iter().filter(|&&gain| gain > 0.0).count();
                section.finding(format!(
                    "{}: compared with {}, {} change the pooled PSNR by {} dB on average over the code widths. They are ahead at \
                     {ahead} of {}.",
                    set.title(),
                    second.label,
                    first.label,
                    gain.text(2),
                    gains.len()
                ));
            }
        }
        for curve in curves {
            let gains = curve.points.iter().filter_map(|&(code, psnr)| Some((code, psnr - at(pca, code)?)));
            let words: Vec<_> = gains.map(|(code, gain)| format!("{} at {code}", signed(gain))).collect();
            if !words.is_empty() {
                section.finding(format!(
                    "{}, {} minus PCA, in dB: {}.",
                    set.title(),
                    curve.label,
                    words.join(", ")
                ));
            }
        }
    }

    /// Draws one image per class: clean, then one row for each run of the first seed.
    fn reconstructions(&self, lab: &Lab, set: &Set, records: &[Record]) -> Result<Picture, Failure> {
        let clean = files::one_a_class(&set.test)?;
        let (mut rows, mut names) = (vec![clean.clone()], vec!["original".to_owned()]);
        for record in chosen(records, set, |run| run.train.seed == lab.flags.first_seed()) {
            rows.push(lab.model(record)?.reconstruct(&clean)?);
            names.push(format!("{}, code {}", self.grid.label(&record.run.hidden), record.run.code));
        }
        let views: Vec<_> = rows.iter().map(|row| row.view()).collect();
        let caption = format!("{}, from top to bottom: {}.", set.title(), names.join("; "));
        lab.grid(&format!("{}-reconstructions", set.name), &caption, set, &views)
    }
}

/// Returns the training loss by epoch.
pub fn loss_curve(record: &Record, label: String) -> Curve {
    let points = record.history.epochs.iter().map(|epoch| (epoch.epoch as f64, epoch.loss)).collect();
    Curve { label, points, ..Curve::default() }
}

fn pca(set: &Set, codes: &[usize]) -> Result<Curve, Failure> {
    let (pca, images) = (set.pca()?, set.test.to_array()?);
    let mut points = Vec::new();
    for &code in codes.iter().filter(|&&code| code <= set.test.features()) {
        let output = pca.reconstruction(code)?.apply(images.view())?;
        points.push((code as f64, ImageQuality::compare(&output, &images, 1.0)?.psnr_pooled_db));
    }
    Ok(Curve { label: "PCA".to_owned(), points, ..Curve::default() })
}
