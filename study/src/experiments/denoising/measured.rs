//! Each method at each strength: measurements, answers, and their table.

use super::{
    super::{
        lab::{Lab, Set, chosen},
        short, widened,
    },
    BEST_LINEAR, Denoising, Kind, similarity,
};
use crate::{
    cli::Failure,
    report::{
        Data, Section, cell, mean, untrained,
        verdict::{self, Case, Comparison, Verdict, capitalized},
    },
    sweep::{Record, Run},
};
use autoencoder::{
    Error,
    metrics::{ImageQuality, ssim_mean},
    ndarray::Array2,
};

/// How images are denoised: not at all, by the best linear denoiser, by the model for one strength, by the model for all.
pub(super) const METHODS: usize = 4;
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
    methods: [Vec<Quality>; METHODS],
}

impl Strength {
    pub(super) fn values(&self, method: usize, of: fn(&Quality) -> f64) -> Vec<f64> {
        self.methods[method].iter().map(of).collect()
    }

    /// Returns a metric of one method minus that of another, per seed.
    pub(super) fn gains(&self, method: usize, other: usize, of: fn(&Quality) -> f64) -> Vec<f64> {
        let partner = |seed: u64| self.methods[other].iter().find(|quality| quality.seed == seed);
        self.methods[method].iter().filter_map(|own| Some(of(own) - of(partner(own.seed)?))).collect()
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
            let mut methods: [Vec<Quality>; METHODS] = Default::default();
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
        let settings = match self.noise {
            Kind::Gaussian => ["at every noise variance", "at the noise variance", "at the noise variances"],
            _ => ["at every fraction of pixels", "at the fraction", "at the fractions"],
        };
        let compare = |method: usize, other: usize, opponent: &str| Comparison {
            subject: format!("a {}", self.methods()[OWN]),
            verbs: ["more noise than", "less noise than", "about as much noise as"]
                .map(|how| format!("removes {how} {opponent}")),
            settings,
            cases: (results.iter())
                .map(|one| Case::new(short(one.strength), one.gains(method, other, |quality| quality.psnr)))
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
            let cases = results
                .iter()
                .map(|one| Case::new(short(one.strength), one.gains(OWN, LINEAR, |quality| quality.ssim)));
            let similarity = similarity::sentence(&cases.collect::<Vec<_>>(), settings).unwrap_or_default();
            let text = text + &strong + &similarity + &reason.unwrap_or_default();
            section.answer(BEST_LINEAR, set.title(), text);
        }
        let all = verdict::answer(&[compare(OWN, ALL, &format!("the {}", self.methods()[ALL]))]);
        if let Some(text) = all.filter(|_| results.len() > 1) {
            let [.., own, all] = self.methods();
            let question = format!("Is a {own} better than a {all}?");
            section.answer(&question, set.title(), text);
        }
    }

    pub(super) fn table(&self, set: &Set, results: &[Strength], section: &mut Section) {
        let row = |one: &Strength| {
            let cells = |of: fn(&Quality) -> f64, digits| {
                (0..METHODS).map(move |method| cell(one.values(method, of), digits)).collect::<Vec<_>>()
            };
            [vec![short(one.strength)], cells(|q| q.psnr, 2), cells(|q| q.ssim, 3)].concat()
        };
        let by = self.strength_name();
        let methods = self.methods();
        let columns: Vec<String> = (["dB", "SSIM"].iter())
            .flat_map(|unit| methods.iter().map(move |method| format!("{method}, {unit}")))
            .collect();
        let columns: Vec<&str> = [by].into_iter().chain(columns.iter().map(String::as_str)).collect();
        section.table(
            set.caption(format!("denoised test images, pooled PSNR in dB and SSIM, by {by}")),
            &["denoising.csv"],
            &columns,
            results.iter().map(row).collect(),
        );
        let rows = results.iter().flat_map(|one| {
            methods.iter().zip(&one.methods).flat_map(move |(method, qualities)| {
                qualities.iter().map(move |quality| {
                    vec![
                        set.name.clone().into(),
                        widened(one.strength).into(),
                        method.clone().into(),
                        quality.seed.into(),
                        quality.psnr.into(),
                        quality.ssim.into(),
                    ]
                })
            })
        });
        section.data(Data {
            name: "denoising",
            content: "each method at each noise strength, on the test images, per seed",
            columns: &["dataset", "strength", "method", "seed", "test_psnr_pooled_db", "test_ssim"],
            rows: rows.collect(),
        });
    }
}
