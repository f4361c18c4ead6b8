//! Denoising: one model per noise strength, one model for all, and the best linear denoiser.

use super::{
    curves::banded,
    lab::{Experiment, Lab, Set, chosen},
    layers, short, sorted,
};
use crate::{
    cli::{Failure, files},
    plots::{Chart, Curve},
    report::{
        Section, cell, grouped, mean, untrained,
        verdict::{self, Case, Comparison, Verdict, capitalized},
    },
    sweep::{Record, Run, SSIM_IMAGES},
};
use autoencoder::{
    Error,
    data::{Noise, NoiseKind},
    metrics::{ImageQuality, evaluate, ssim_mean},
    ndarray::Array2,
    train::EpochRecord,
};
use clap::{Args, ValueEnum};

pub const BEST_LINEAR: &str = "Does an autoencoder remove more noise than the best linear denoiser?";

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

/// How images are denoised.
const METHODS: [&str; 4] = ["noisy", "linear", "own model", "one for all"];
const NOISY: usize = 0;
const LINEAR: usize = 1;
const OWN: usize = 2;
const ALL: usize = 3;

/// Pooled PSNR in dB and mean SSIM of the denoised test images, for one seed.
#[derive(Clone, Copy)]
struct Quality {
    seed: u64,
    psnr: f64,
    ssim: f64,
}

/// The results of each method for one strength, one per seed.
struct Strength {
    strength: f32,
    methods: [Vec<Quality>; METHODS.len()],
}

impl Strength {
    fn values(&self, method: usize, of: fn(&Quality) -> f64) -> Vec<f64> {
        self.methods[method].iter().map(of).collect()
    }

    /// Returns the PSNR of one method minus that of another, per seed.
    fn gains(&self, method: usize, other: usize) -> Vec<f64> {
        let partner = |seed: u64| self.methods[other].iter().find(|quality| quality.seed == seed);
        self.methods[method].iter().filter_map(|own| Some(own.psnr - partner(own.seed)?.psnr)).collect()
    }
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
            "The models ({}, code {}) reconstruct clean images from images with {} noise that is drawn afresh in every \
             epoch{}. {}",
            layers(&self.hidden),
            self.code,
            self.kind_name(),
            if self.clamped { " and clamped to [0, 1]" } else { "" },
            self.choice
        ));
        if self.is_linear_optimal() {
            section.text(
                "The best linear denoiser is the Wiener filter of the training images (linear MMSE). The model for all \
                 variances saw a random one for each image.",
            );
        }
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
        let results = self.measure(lab, set, records)?;
        self.answers(set, records, &results, section);
        for (name, y_label, of) in [
            ("psnr", "pooled PSNR, dB", (|quality| quality.psnr) as fn(&Quality) -> f64),
            ("ssim", "SSIM", |quality| quality.ssim),
        ] {
            let curve = |method: usize| {
                let points = results.iter().map(|one| (f64::from(one.strength), one.values(method, of)));
                let curve = banded(METHODS[method].to_owned(), points);
                Curve { color: Some([3, 1, 0, 2][method]), ..curve }
            };
            // The noisy images are so much worse that beside them all methods would look alike.
            let curves =
                [LINEAR, OWN, ALL].into_iter().map(curve).filter(|curve| !curve.points.is_empty()).collect();
            let by = self.strength_name();
            let chart = Chart {
                title: format!("{} of denoised test images, {}", name.to_uppercase(), set.title()),
                x_label: format!("{by} of the noise"),
                y_label: y_label.to_owned(),
                curves,
                ..Chart::default()
            };
            let caption = format!(
                "{}: {y_label} of denoised test images by {by} of the noise. The table below has the noisy images, too.",
                set.title()
            );
            section.picture(lab.chart(&format!("{}-{name}-by-strength", set.name), &caption, &chart)?);
        }
        self.by_epoch(lab, set, records, section)?;
        self.pictures(lab, set, records, section)?;
        self.table(set, &results, section);
        self.across(lab, set, records, section)
    }

    /// Measures each method at each strength.
    fn measure(&self, lab: &Lab, set: &Set, records: &[Record]) -> Result<Vec<Strength>, Failure> {
        let mixture = self.mixture()?;
        let clean = set.test.to_array();
        let pca = if self.is_linear_optimal() { Some(set.pca()?) } else { None };
        let quality = |images: &Array2<f32>, seed: u64| -> Result<Quality, Error> {
            let psnr = ImageQuality::compare(images, &clean, 1.0)?.psnr_pooled_db;
            let ssim = ssim_mean(images, &clean, set.test.image_shape(), 1.0).unwrap_or(f64::NAN);
            Ok(Quality { seed, psnr, ssim })
        };
        let mut results = Vec::new();
        for (&strength, noise) in self.strengths().iter().zip(&self.noises()?) {
            let linear = pca.map(|pca| pca.denoiser(f64::from(strength))).transpose()?;
            let mut methods: [Vec<Quality>; METHODS.len()] = Default::default();
            for seed in lab.flags.seeds() {
                let noisy = noise.corrupt(&clean, seed);
                methods[NOISY].push(quality(&noisy, seed)?);
                if let Some(map) = &linear {
                    methods[LINEAR].push(quality(&map.apply(noisy.view())?, seed)?);
                }
                for (method, trained) in [(OWN, noise), (ALL, &mixture)] {
                    let own = |run: &Run| run.train.noise.as_ref() == Some(trained) && run.train.seed == seed;
                    if let Some(record) = chosen(records, set, own).next() {
                        methods[method].push(quality(&lab.model(record)?.reconstruct(&noisy)?, seed)?);
                    }
                }
            }
            results.push(Strength { strength, methods });
        }
        Ok(results)
    }

    fn answers(&self, set: &Set, records: &[Record], results: &[Strength], section: &mut Section) {
        let by = self.strength_name();
        let compare = |method: usize, other: usize, opponent: &str| Comparison {
            subject: format!("a model for one {by}"),
            verbs: ["more noise than", "less noise than", "as much noise as"]
                .map(|how| format!("removes {how} {opponent}")),
            settings: match self.noise {
                Kind::Gaussian => {
                    ["at every noise variance", "at the noise variance", "at the noise variances"]
                }
                _ => ["at every fraction of pixels", "at the fraction", "at the fractions"],
            },
            cases: (results.iter())
                .map(|one| Case::new(short(one.strength), one.gains(method, other)))
                .filter(|case| !case.differences.is_empty())
                .collect(),
        };
        let strong = results.get(results.len() / 2).and_then(|one| {
            let [noisy, own] = [NOISY, OWN].map(|method| mean(one.values(method, |quality| quality.psnr)));
            Some(format!(
                "at {by} {}, the PSNR rises from {:.1} to {:.1} dB",
                short(one.strength),
                noisy?,
                own?
            ))
        });
        let strong = strong.map(|strong| format!(" {}.", capitalized(&strong))).unwrap_or_default();
        let linear = compare(OWN, LINEAR, "the best linear denoiser");
        let reason =
            untrained(chosen(records, set, |_| true)).filter(|_| linear.verdict() != Verdict::Better);
        if let Some(text) = verdict::answer(&[linear]) {
            section.answer(BEST_LINEAR, set.title(), text + &strong + &reason.unwrap_or_default());
        }
        if results.len() > 1 {
            if let Some(text) = verdict::answer(&[compare(OWN, ALL, "one model for all")]) {
                section.answer(
                    &format!("Is a model for each {by} better than one model for all?"),
                    set.title(),
                    text,
                );
            }
        }
    }

    fn table(&self, set: &Set, results: &[Strength], section: &mut Section) {
        let row = |one: &Strength| {
            let cells = |of: fn(&Quality) -> f64, digits| {
                (0..METHODS.len()).map(move |method| cell(one.values(method, of), digits)).collect::<Vec<_>>()
            };
            [vec![short(one.strength)], cells(|q| q.psnr, 2), cells(|q| q.ssim, 3)].concat()
        };
        let by = self.strength_name();
        let columns: Vec<String> = (["dB", "SSIM"].iter())
            .flat_map(|unit| METHODS.iter().map(move |method| format!("{method}, {unit}")))
            .collect();
        let columns: Vec<&str> = [by].into_iter().chain(columns.iter().map(String::as_str)).collect();
        section.table(
            format!("{}: denoised test images, pooled PSNR in dB and SSIM, by {by}", set.title()),
            &columns,
            results.iter().map(row).collect(),
        );
        let rows = results.iter().flat_map(|one| {
            (0..METHODS.len()).flat_map(move |method| {
                one.methods[method].iter().map(move |quality| {
                    vec![
                        set.name.clone().into(),
                        f64::from(one.strength).into(),
                        METHODS[method].into(),
                        quality.seed.into(),
                        quality.psnr.into(),
                        quality.ssim.into(),
                    ]
                })
            })
        });
        section.data(
            "denoising",
            &["dataset", "strength", "method", "seed", "test_psnr_pooled_db", "test_ssim"],
            rows.collect(),
        );
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
            let caption = format!(
                "{}: {y_label}{note} by epoch, seed {seed}. Each model is tested on the noise that it was trained on: the \
                 labels are the {strength}.",
                set.title()
            );
            section.picture(lab.chart(&format!("{}-{short}-by-epoch", set.name), &caption, &chart)?);
        }
        Ok(())
    }

    /// Tests each model at the strengths that it was not trained on.
    fn across(&self, lab: &Lab, set: &Set, records: &[Record], section: &mut Section) -> Result<(), Failure> {
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
        let caption = format!(
            "{}: pooled PSNR in dB of models trained on one {} (rows) on test images of another (columns)",
            set.title(),
            self.strength_name()
        );
        section.table(caption, &columns, rows);
        section.data(
            "cross_variance",
            &["dataset", "trained_on", "tested_on", "seed", "test_psnr_pooled_db"],
            data,
        );
        Ok(())
    }

    /// Draws one image per class for each strength: clean, noisy, denoised.
    fn pictures(
        &self,
        lab: &Lab,
        set: &Set,
        records: &[Record],
        section: &mut Section,
    ) -> Result<(), Failure> {
        let (seed, clean) = (lab.flags.first_seed(), files::one_a_class(&set.test));
        for (&strength, noise) in self.strengths().iter().zip(&self.noises()?) {
            let own = |run: &Run| run.train.noise.as_ref() == Some(noise) && run.train.seed == seed;
            let Some(record) = chosen(records, set, own).next() else { continue };
            let noisy = noise.corrupt(&clean, seed);
            let mut rows = vec![
                ("original".to_owned(), clean.clone()),
                ("noisy".to_owned(), noisy.clone()),
                ("autoencoder".to_owned(), lab.model(record)?.reconstruct(&noisy)?),
            ];
            if self.is_linear_optimal() {
                let linear = set.pca()?.denoiser(f64::from(strength))?;
                rows.push(("linear".to_owned(), linear.apply(noisy.view())?));
            }
            let strength = short(strength);
            let caption =
                format!("{}: {} {strength}, seed {seed}.", set.title(), capitalized(self.strength_name()));
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
