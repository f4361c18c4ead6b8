//! Metrics by epoch, models on noise that they were not trained on, and denoised images.

use super::{
    super::{
        lab::{Lab, Set, chosen},
        short,
    },
    Denoising,
    measured::{ALL, OWN},
};
use crate::{
    cli::{Failure, files},
    plots::{Chart, Curve},
    report::{Data, Section, cell, grouped},
    sweep::{Record, Run, SSIM_IMAGES},
};
use autoencoder::{data::NoiseKind, metrics::evaluate, train::EpochRecord};

impl Denoising {
    /// Draws the metrics on noisy test images after each epoch, for the first seed.
    pub(super) fn by_epoch(
        &self,
        lab: &Lab,
        set: &Set,
        records: &[Record],
        section: &mut Section,
    ) -> Result<(), Failure> {
        let seed = lab.flags.first_seed();
        let mixture = self.mixture()?;
        let of_first = |record: &&Record| record.run.train.seed == seed;
        let records: Vec<_> = chosen(records, set, |_| true).filter(of_first).collect();
        let label = |record: &Record| match record.run.train.noise.as_ref() {
            Some(noise) if *noise == mixture && noise.kinds().len() > 1 => "all".to_owned(),
            Some(noise) => short(strength(noise.kinds()[0])),
            None => String::new(),
        };
        let curve = |record: &Record, points| Curve { label: label(record), points, ..Curve::default() };
        let psnr = |epoch: &EpochRecord| Some((epoch.epoch as f64, epoch.validation?.output.psnr_pooled_db));
        let by_psnr = records.iter().map(|r| curve(r, r.history.epochs.iter().filter_map(psnr).collect()));
        let by_ssim = records.iter().map(|record| {
            let points =
                record.epoch_ssim.iter().enumerate().map(|(index, &ssim)| (index as f64 + 1.0, ssim));
            curve(record, points.collect())
        });
        for (short, y_label, note, curves) in [
            ("psnr", "pooled PSNR (dB)", String::new(), by_psnr.collect::<Vec<_>>()),
            (
                "ssim",
                "SSIM",
                format!(" of the first {} test images", grouped(SSIM_IMAGES)),
                by_ssim.collect(),
            ),
        ] {
            if curves.iter().all(|curve| curve.points.is_empty()) {
                continue;
            }
            let chart = Chart {
                title: format!("{} by epoch with noise, {}", short.to_uppercase(), set.title()),
                x_label: "epoch".to_owned(),
                y_label: y_label.to_owned(),
                curves,
                ..Chart::default()
            };
            let strength = self.strength_name();
            let caption = set.caption(format!(
                "{y_label}{note} by epoch, seed {seed}. Each model is tested on the noise that it was trained on. Labels give \
                 the {strength}; \"all\" is the {}.",
                self.methods()[ALL]
            ));
            section.picture(lab.chart(&format!("{}-{short}-by-epoch", set.name), &caption, &chart)?);
        }
        Ok(())
    }

    /// Tests each model at the strengths that it was not trained on.
    pub(super) fn across(
        &self,
        lab: &Lab,
        set: &Set,
        records: &[Record],
        section: &mut Section,
    ) -> Result<(), Failure> {
        let noises = self.noises()?;
        let (mut rows, mut data) = (Vec::new(), Vec::new());
        let names = self
            .strengths()
            .iter()
            .map(|&strength| short(strength))
            .chain(["all".to_owned()])
            .collect::<Vec<_>>();
        for (name, trained) in names.iter().zip(noises.iter().chain([&self.mixture()?])) {
            let mut row = vec![name.clone()];
            for (noise, tested) in noises.iter().zip(&names) {
                let mut figures = Vec::new();
                for record in chosen(records, set, |run| run.train.noise.as_ref() == Some(trained)) {
                    let found = evaluate(&lab.model(record)?, &set.test, Some(noise), record.run.train.seed)?;
                    let psnr = found.output.psnr_pooled_db;
                    figures.push(psnr);
                    data.push(vec![
                        set.name.clone().into(),
                        name.clone().into(),
                        tested.clone().into(),
                        record.run.train.seed.into(),
                        psnr.into(),
                    ]);
                }
                row.push(cell(figures, 2));
            }
            rows.push(row);
        }
        let columns: Vec<_> =
            ["trained on"].into_iter().chain(names[..noises.len()].iter().map(String::as_str)).collect();
        let caption = set.caption(format!(
            "pooled PSNR in dB of models trained on one {} (rows) on test images of another (columns)",
            self.strength_name()
        ));
        section.table(caption, &["cross_variance.csv"], &columns, rows);
        section.data(Data {
            name: "cross_variance",
            content: "each denoising model at noise strengths that it was not trained on",
            columns: &["dataset", "trained_on", "tested_on", "seed", "test_psnr_pooled_db"],
            rows: data,
        });
        Ok(())
    }

    /// Draws one image per class for each strength: clean, noisy, denoised.
    pub(super) fn pictures(
        &self,
        lab: &Lab,
        set: &Set,
        records: &[Record],
        section: &mut Section,
    ) -> Result<(), Failure> {
        let (seed, clean) = (lab.flags.first_seed(), files::one_a_class(&set.test)?);
        for (&strength, noise) in self.strengths().iter().zip(&self.noises()?) {
            let own = |run: &Run| run.train.noise.as_ref() == Some(noise) && run.train.seed == seed;
            let Some(record) = chosen(records, set, own).next() else { continue };
            let noisy = noise.corrupt(&clean, seed);
            let mut rows = vec![
                ("original".to_owned(), clean.clone()),
                ("noisy".to_owned(), noisy.clone()),
                ("model".to_owned(), lab.model(record)?.reconstruct(&noisy)?),
            ];
            let mut methods = format!("Model: the {}", self.methods()[OWN]);
            if self.is_linear_optimal() {
                methods += "; linear: the best linear denoiser";
                let linear = set.pca()?.denoiser(f64::from(strength))?;
                rows.push(("linear".to_owned(), linear.apply(noisy.view())?));
            }
            let strength = short(strength);
            let caption =
                set.caption(format!("{} {strength}, seed {seed}. {methods}.", self.strength_name()));
            section.picture(lab.grid(&format!("{}-denoised-{strength}", set.name), &caption, set, &rows)?);
        }
        Ok(())
    }
}

/// Returns the strength of a kind of noise.
fn strength(kind: NoiseKind) -> f32 {
    match kind {
        NoiseKind::Gaussian { variance } => variance,
        NoiseKind::SaltAndPepper { probability } | NoiseKind::Masking { probability } => probability,
        _ => f32::NAN,
    }
}
