//! Denoising: one model per noise strength, one model for all, and the best linear denoiser.

use super::{
    lab::{Experiment, Lab, Set, chosen},
    layers, short, sorted,
};
use crate::{
    baseline::LinearMap,
    cli::{Failure, files},
    plots::{Chart, Curve},
    report::{Picture, Section, Spread, cell, signed},
    sweep::{Record, Run, SSIM_IMAGES},
};
use autoencoder::{
    Error,
    data::{Noise, NoiseKind},
    metrics::{ImageQuality, evaluate, ssim_mean},
    ndarray::{Array2, ArrayView2},
    train::EpochRecord,
};
use clap::{Args, ValueEnum};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Adds Gaussian noise; the strength is its variance
    Gaussian,
    /// Sets pixels to 0 or 1; the strength is their fraction
    SaltAndPepper,
    /// Sets pixels to 0; the strength is their fraction
    Masking,
}

/// Trains denoising autoencoders for several noise strengths.
#[derive(Debug, Clone, Args)]
pub struct Denoising {
    /// Widths of the encoder's hidden layers
    #[arg(long, value_delimiter = ',', num_args = 1, default_value = "512,256")]
    pub hidden: Vec<usize>,
    /// Width of the code
    #[arg(long, default_value_t = 100)]
    pub code: usize,
    #[arg(long, value_enum, default_value = "gaussian")]
    pub noise: Kind,
    /// Variances of Gaussian noise, or fractions of pixels for other kinds [default: 0.1,0.25,0.5,0.75,1 or
    /// 0.1,0.25,0.5,0.75]
    #[arg(long, value_delimiter = ',', num_args = 1)]
    pub strengths: Vec<f32>,
    /// Clamps noisy images to [0, 1]
    #[arg(long)]
    pub clamped: bool,
    /// A sentence for the report about how the architecture was chosen.
    #[arg(skip)]
    pub choice: String,
}

/// Pooled PSNR in dB, and mean SSIM.
#[derive(Clone, Copy)]
struct Figures {
    psnr: f64,
    ssim: f64,
}

impl Experiment for Denoising {
    fn run(&self, lab: &Lab) -> Result<(Section, Vec<Record>), Failure> {
        let mut runs = Vec::new();
        for set in lab.sets {
            for noise in self.noises()?.into_iter().chain([self.mixture()?]) {
                let same = lab.flags.runs(&set.name, &self.hidden, self.code);
                runs.extend(same.map(|run| Run { train: run.train.clone().noise(noise.clone()), ..run }));
            }
        }
        let records = lab.sweep(&runs, lab.sets)?;
        let mut section = Section::new("Denoising");
        section.text(format!(
            "The models ({}, code {}) receive noisy images and learn to reconstruct the clean ones. The noise is {}, drawn \
             afresh in every epoch, and noisy pixels are {}. One model is trained per strength, and one on all of them, \
             with a random strength for each image. {}{}",
            layers(&self.hidden),
            self.code,
            self.kind_name(),
            if self.clamped { "clamped to [0, 1]" } else { "not clamped to [0, 1]" },
            self.choice,
            match self.is_linear_optimal() {
                true => " For comparison there is the best linear denoiser (linear MMSE, the Wiener filter of the \
                         training images).",
                false => "",
            }
        ));
        for set in lab.sets {
            self.report(lab, set, &records, &mut section)?;
        }
        Ok((section, records))
    }
}

impl Denoising {
    /// Returns the experiment with Gaussian noise of the default variances.
    pub fn gaussian(hidden: Vec<usize>, code: usize, choice: String) -> Self {
        Self { hidden, code, noise: Kind::Gaussian, strengths: Vec::new(), clamped: false, choice }
    }

    fn strengths(&self) -> Vec<f32> {
        match (self.strengths.as_slice(), self.noise) {
            ([], Kind::Gaussian) => vec![0.1, 0.25, 0.5, 0.75, 1.0],
            ([], _) => vec![0.1, 0.25, 0.5, 0.75],
            (given, _) => sorted(given),
        }
    }

    fn kind(&self, strength: f32) -> NoiseKind {
        match self.noise {
            Kind::Gaussian => NoiseKind::Gaussian { variance: strength },
            Kind::SaltAndPepper => NoiseKind::SaltAndPepper { probability: strength },
            Kind::Masking => NoiseKind::Masking { probability: strength },
        }
    }

    fn kind_name(&self) -> &'static str {
        match self.noise {
            Kind::Gaussian => "Gaussian",
            Kind::SaltAndPepper => "salt-and-pepper",
            Kind::Masking => "masking",
        }
    }

    fn strength_name(&self) -> &'static str {
        match self.noise {
            Kind::Gaussian => "variance",
            _ => "fraction of pixels",
        }
    }

    fn clamp(&self, noise: Noise) -> Noise {
        if self.clamped { noise.clamped() } else { noise }
    }

    fn noises(&self) -> Result<Vec<Noise>, Error> {
        self.strengths().iter().map(|&strength| Ok(self.clamp(Noise::new(self.kind(strength))?))).collect()
    }

    fn mixture(&self) -> Result<Noise, Error> {
        let kinds: Vec<_> = self.strengths().iter().map(|&strength| self.kind(strength)).collect();
        Ok(self.clamp(Noise::mixture(&kinds)?))
    }

    /// Returns whether the Wiener filter is the best linear denoiser: it needs noise that is independent of the image.
    fn is_linear_optimal(&self) -> bool {
        self.noise == Kind::Gaussian && !self.clamped
    }

    fn report(&self, lab: &Lab, set: &Set, records: &[Record], section: &mut Section) -> Result<(), Failure> {
        let (noises, mixture) = (self.noises()?, self.mixture()?);
        let clean = set.test.to_array()?;
        let pca = if self.is_linear_optimal() { Some(set.pca()?) } else { None };
        let one_a_class = files::one_a_class(&set.test)?;
        let shape = set.test.image_shape();
        let figures = |images: ArrayView2<f32>| -> Result<Figures, Error> {
            Ok(Figures {
                psnr: ImageQuality::compare(&images, &clean, 1.0)?.psnr_pooled_db,
                ssim: ssim_mean(&images, &clean, shape, 1.0).unwrap_or(f64::NAN),
            })
        };

        let mut rows = Vec::new();
        let names = ["noisy images", "best linear denoiser", "one model per strength", "one model for all"];
        let mut curves: Vec<[Curve; 2]> =
            names.map(|name| [0, 1].map(|_| Curve { label: name.to_owned(), ..Curve::default() })).into();
        let mut pictures = Vec::new();
        for (&strength, noise) in self.strengths().iter().zip(&noises) {
            let linear = pca.map(|pca| pca.denoiser(f64::from(strength))).transpose()?;
            let (mut of_noisy, mut of_linear) = (Vec::new(), Vec::new());
            for seed in lab.flags.seeds() {
                let noisy = noise.corrupt(&clean, seed);
                of_noisy.push(figures(noisy.view())?);
                if let Some(map) = &linear {
                    of_linear.push(figures(map.apply(noisy.view())?.view())?);
                }
            }
            let of_models = |records: Vec<&Record>| -> Result<Vec<Figures>, Failure> {
                let output = |record: &Record| -> Result<Figures, Failure> {
                    let input = noise.corrupt(&clean, record.run.train.seed);
                    Ok(figures(lab.model(record)?.reconstruct(&input)?.view())?)
                };
                records.into_iter().map(output).collect()
            };
            let columns = [
                of_noisy,
                of_linear,
                of_models(trained_on(records, set, noise))?,
                of_models(trained_on(records, set, &mixture))?,
            ];
            for (column, curve) in columns.iter().zip(&mut curves) {
                for (curve, of) in curve.iter_mut().zip([|f: &Figures| f.psnr, |f: &Figures| f.ssim]) {
                    let mean = Spread::of(column.iter().map(of)).map(|spread| spread.mean);
                    curve.points.extend(mean.map(|mean| (f64::from(strength), mean)));
                }
            }
            let text =
                |of: fn(&Figures) -> f64, digits| columns.each_ref().map(|c| cell(c.iter().map(of), digits));
            let cells = [vec![short(strength)], text(|f| f.psnr, 2).into(), text(|f| f.ssim, 3).into()];
            rows.push(cells.concat());
            pictures.extend(self.picture(
                lab,
                set,
                &one_a_class,
                strength,
                noise,
                linear.as_ref(),
                records,
            )?);
        }
        section.table(
            format!("{}: test images, pooled PSNR in dB and SSIM, by {}", set.title(), self.strength_name()),
            &[
                self.strength_name(),
                "noisy, dB",
                "linear, dB",
                "own model, dB",
                "one for all, dB",
                "noisy, SSIM",
                "linear, SSIM",
                "own model, SSIM",
                "one for all, SSIM",
            ],
            rows,
        );
        self.findings(set, &curves, section);
        for (index, (short, y_label)) in
            [("psnr", "pooled PSNR, dB"), ("ssim", "SSIM")].into_iter().enumerate()
        {
            let chart = Chart {
                title: format!("Denoised test images, {}", set.title()),
                x_label: format!("{} of the noise", self.strength_name()),
                y_label: y_label.to_owned(),
                curves: curves.iter().map(|c| c[index].clone()).filter(|c| !c.points.is_empty()).collect(),
            };
            let caption = format!("{}: {y_label} by {} of the noise.", set.title(), self.strength_name());
            section.picture(lab.chart(&format!("{}-{short}-by-strength", set.name), &caption, &chart)?);
        }
        self.by_epoch(lab, set, records, section)?;
        self.across(lab, set, records, section)?;
        pictures.into_iter().for_each(|picture| section.picture(picture));
        Ok(())
    }

    /// Compares the models with the best linear denoiser and with one model for all strengths.
    fn findings(&self, set: &Set, curves: &[[Curve; 2]], section: &mut Section) {
        let difference = |a: usize, b: usize| -> Vec<String> {
            let other = |x: f64| curves[b][0].points.iter().find(|point| point.0 == x).map(|point| point.1);
            let pairs = curves[a][0].points.iter().filter_map(|&(x, psnr)| Some((x, psnr - other(x)?)));
            pairs.map(|(x, gain)| format!("{} at {}", signed(gain), short(x as f32))).collect()
        };
        for (of, what) in [(1, "the best linear denoiser"), (3, "one model for all strengths")] {
            let words = difference(2, of);
            if !words.is_empty() {
                let words = words.join(", ");
                section.finding(format!(
                    "{}, one model per strength minus {what}, in dB: {words}.",
                    set.title()
                ));
            }
        }
    }

    /// Draws the metrics on noisy test images after each epoch, for the first seed.
    fn by_epoch(
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
            ("psnr", "pooled PSNR, dB", String::new(), by_psnr.collect::<Vec<_>>()),
            ("ssim", "SSIM", format!(" of the first {SSIM_IMAGES} test images"), by_ssim.collect()),
        ] {
            if curves.iter().all(|curve| curve.points.is_empty()) {
                continue;
            }
            let chart = Chart {
                title: format!("Denoised test images by {}, {}", self.strength_name(), set.title()),
                x_label: "epoch".to_owned(),
                y_label: y_label.to_owned(),
                curves,
            };
            let strength = self.strength_name();
            let caption = format!(
                "{}: {y_label}{note} by epoch. Each model is tested on the noise it was trained on: one {strength}, or all \
                 of them for \"all\". Seed {seed}.",
                set.title()
            );
            section.picture(lab.chart(&format!("{}-{short}-by-epoch", set.name), &caption, &chart)?);
        }
        Ok(())
    }

    /// Tests each model at the strengths that it was not trained on.
    fn across(&self, lab: &Lab, set: &Set, records: &[Record], section: &mut Section) -> Result<(), Failure> {
        let noises = self.noises()?;
        let mut rows = Vec::new();
        let names = self
            .strengths()
            .iter()
            .map(|&strength| short(strength))
            .chain(["all".to_owned()])
            .collect::<Vec<_>>();
        for (name, trained) in names.iter().zip(noises.iter().chain([&self.mixture()?])) {
            let mut row = vec![name.clone()];
            for noise in &noises {
                let mut figures = Vec::new();
                for record in chosen(records, set, |run| run.train.noise.as_ref() == Some(trained)) {
                    let found = evaluate(&lab.model(record)?, &set.test, Some(noise), record.run.train.seed)?;
                    figures.push(found.output.psnr_pooled_db);
                }
                row.push(cell(figures, 2));
            }
            rows.push(row);
        }
        let columns: Vec<_> =
            ["trained on"].into_iter().chain(names[..noises.len()].iter().map(String::as_str)).collect();
        let caption = format!(
            "{}: pooled PSNR in dB of models trained on one {} (rows) on test images of another (columns)",
            set.title(),
            self.strength_name()
        );
        section.table(caption, &columns, rows);
        Ok(())
    }

    /// Draws one image per class: clean, noisy, denoised.
    #[allow(clippy::too_many_arguments, reason = "what is drawn")]
    fn picture(
        &self,
        lab: &Lab,
        set: &Set,
        clean: &Array2<f32>,
        strength: f32,
        noise: &Noise,
        linear: Option<&LinearMap>,
        records: &[Record],
    ) -> Result<Option<Picture>, Failure> {
        let seed = lab.flags.first_seed();
        let own = |run: &Run| run.train.noise.as_ref() == Some(noise) && run.train.seed == seed;
        let Some(record) = chosen(records, set, own).next() else { return Ok(None) };
        let noisy = noise.corrupt(clean, seed);
        let denoised = lab.model(record)?.reconstruct(&noisy)?;
        let mut rows = vec![clean.clone(), noisy.clone(), denoised];
        let mut names = "original; noisy; denoised by the model for this strength".to_owned();
        if let Some(linear) = linear {
            rows.push(linear.apply(noisy.view())?);
            names += "; by the best linear denoiser";
        }
        let views: Vec<_> = rows.iter().map(|row| row.view()).collect();
        let caption = format!(
            "{}, {} {}, seed {seed}, from top to bottom: {names}.",
            set.title(),
            self.strength_name(),
            short(strength)
        );
        Ok(Some(lab.grid(&format!("{}-denoised-{}", set.name, short(strength)), &caption, set, &views)?))
    }
}

/// Returns the records of models that were trained with this noise.
fn trained_on<'r>(records: &'r [Record], set: &'r Set, noise: &'r Noise) -> Vec<&'r Record> {
    chosen(records, set, move |run| run.train.noise.as_ref() == Some(noise)).collect()
}

/// Returns the strength of a kind of noise.
fn strength(kind: NoiseKind) -> f32 {
    match kind {
        NoiseKind::Gaussian { variance } => variance,
        NoiseKind::SaltAndPepper { probability } | NoiseKind::Masking { probability } => probability,
        _ => f32::NAN,
    }
}
