//! Each method at each strength: measurements, answers, and their table.

use super::{
    super::{
        lab::{Lab, Set, chosen},
        short,
    },
    BEST_LINEAR, Denoising, Kind,
};
use crate::{
    cli::Failure,
    report::{
        Section, cell, mean, untrained,
        verdict::{self, Case, Comparison, Verdict, capitalized},
    },
    sweep::{Record, Run},
};
use autoencoder::{
    Error,
    metrics::{ImageQuality, ssim_mean},
    ndarray::Array2,
};

/// How images are denoised.
pub(super) const METHODS: [&str; 4] = ["noisy", "linear", "own model", "one for all"];
pub(super) const NOISY: usize = 0;
pub(super) const LINEAR: usize = 1;
pub(super) const OWN: usize = 2;
pub(super) const ALL: usize = 3;

/// Pooled PSNR in dB and mean SSIM of the denoised test images, for one seed.
#[derive(Clone, Copy)]
pub(super) struct Quality {
    seed: u64,
    pub(super) psnr: f64,
    pub(super) ssim: f64,
}

/// The results of each method for one strength, one per seed.
pub(super) struct Strength {
    pub(super) strength: f32,
    methods: [Vec<Quality>; METHODS.len()],
}

impl Strength {
    pub(super) fn values(&self, method: usize, of: fn(&Quality) -> f64) -> Vec<f64> {
        self.methods[method].iter().map(of).collect()
    }

    /// Returns the PSNR of one method minus that of another, per seed.
    pub(super) fn gains(&self, method: usize, other: usize) -> Vec<f64> {
        let partner = |seed: u64| self.methods[other].iter().find(|quality| quality.seed == seed);
        self.methods[method].iter().filter_map(|own| Some(own.psnr - partner(own.seed)?.psnr)).collect()
    }
}

impl Denoising {
    /// Measures each method at each strength.
    pub(super) fn measure(&self, lab: &Lab, set: &Set, records: &[Record]) -> Result<Vec<Strength>, Failure> {
        let mixture = self.mixture()?;
        let clean = set.test.to_array()?;
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

    pub(super) fn answers(&self, set: &Set, records: &[Record], results: &[Strength], section: &mut Section) {
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
        let all = verdict::answer(&[compare(OWN, ALL, "one model for all")]);
        if let Some(text) = all.filter(|_| results.len() > 1) {
            let question = format!("Is a model for each {by} better than one model for all?");
            section.answer(&question, set.title(), text);
        }
    }

    pub(super) fn table(&self, set: &Set, results: &[Strength], section: &mut Section) {
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
}
