//! Denoising: one model per noise strength, one model for all, and the best linear denoiser.

mod measured;
mod pictures;
mod similarity;

use super::{
    curves::banded,
    lab::{Experiment, Lab, Set},
    layers, sorted,
};
use crate::{
    cli::Failure,
    plots::{Chart, Curve},
    report::Section,
    sweep::{Record, Run},
};
use autoencoder::{
    Error,
    data::{Noise, NoiseKind},
};
use clap::{Args, ValueEnum};
use measured::{ALL, LINEAR, METHODS, OWN, Quality};

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
            match (self.clamped, self.noise) {
                (true, _) => " and clamped to [0, 1]",
                (false, Kind::Gaussian) => "; noisy pixels are not clamped to [0, 1]",
                (false, _) => "",
            },
            self.choice
        ));
        if self.is_linear_optimal() {
            section
                .text("The best linear denoiser is the Wiener filter of the training images (linear MMSE).");
        }
        if self.strengths().len() > 1 {
            let [.., own, all] = self.methods();
            section.text(format!(
                "There is a {own} for each {by}. The {all} was trained with a {by} drawn at random for each image.",
                by = self.strength_name()
            ));
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

    /// Returns the names of the methods, in the order of their constants.
    fn methods(&self) -> [String; METHODS] {
        let by = match self.noise {
            Kind::Gaussian => ["variance", "variances"],
            _ => ["fraction", "fractions"],
        };
        [
            "noisy".to_owned(),
            "linear".to_owned(),
            format!("model for one {}", by[0]),
            format!("model for all {}", by[1]),
        ]
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
            ("psnr", "pooled PSNR (dB)", (|quality| quality.psnr) as fn(&Quality) -> f64),
            ("ssim", "SSIM", |quality| quality.ssim),
        ] {
            let curve = |method: usize| {
                let points = results.iter().map(|one| (f64::from(one.strength), one.values(method, of)));
                let curve = banded(self.methods()[method].clone(), points);
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
            let caption = set.caption(format!(
                "{y_label} of denoised test images by {by} of the noise. The table below has the noisy images, too."
            ));
            section.picture(lab.chart(&format!("{}-{name}-by-strength", set.name), &caption, &chart)?);
        }
        self.by_epoch(lab, set, records, section)?;
        self.pictures(lab, set, records, section)?;
        self.table(set, &results, section);
        self.across(lab, set, records, section)
    }
}
