//! The study's experiments. A command of the same name runs each; `study` runs them all.

pub mod anomaly;
pub mod architectures;
mod curves;
pub mod denoising;
pub mod lab;
pub mod latent_space;
pub mod longer;
mod progress;
pub mod records;
pub mod regularization;
mod runs;
mod set;
pub mod starts;

use clap::Args;
use std::collections::HashSet;

/// The grid of models, which several experiments share.
#[derive(Debug, Clone, Args)]
pub struct GridFlags {
    /// Widths of the encoder's hidden layers; repeat it per architecture [default: 512,256 and 512,384,256,128]
    #[arg(long, value_parser = widths)]
    hidden: Vec<Widths>,
    /// Widths of the code
    #[arg(long, value_delimiter = ',', num_args = 1, default_value = "15,30,50,100")]
    codes: Vec<usize>,
}

#[derive(Debug, Clone)]
struct Widths(Vec<usize>);

fn widths(text: &str) -> Result<Widths, String> {
    let parse = |width: &str| width.parse().map_err(|error| format!("`{width}`: {error}"));
    text.split(',').map(parse).collect::<Result<_, _>>().map(Widths)
}

impl GridFlags {
    pub fn architectures(&self) -> Vec<Vec<usize>> {
        let mut seen = HashSet::new();
        let mut given: Vec<_> = self.hidden.iter().map(|widths| widths.0.clone()).collect();
        given.retain(|widths| seen.insert(widths.clone()));
        match given.is_empty() {
            true => vec![vec![512, 256], vec![512, 384, 256, 128]],
            false => given,
        }
    }

    /// Returns the code widths in ascending order, without duplicates.
    pub fn codes(&self) -> Vec<usize> {
        let mut codes = self.codes.clone();
        codes.sort_unstable();
        codes.dedup();
        codes
    }

    pub fn widest_code(&self) -> usize {
        self.codes.iter().copied().max().unwrap_or(1)
    }

    /// Returns the same models with a single code width.
    pub fn with_code(&self, code: usize) -> Self {
        Self { codes: vec![code], ..self.clone() }
    }

    /// Returns an architecture in words: its depth, or its widths if another has the same depth.
    pub fn label(&self, hidden: &[usize]) -> String {
        match self.is_only_depth(hidden) {
            true => layers(hidden),
            false => format!("hidden {}", joined(hidden)),
        }
    }

    /// Returns an architecture for a sentence, in the plural.
    pub fn words(&self, hidden: &[usize]) -> String {
        match self.is_only_depth(hidden) {
            true => layers_in_words(hidden),
            false => format!("models with hidden layers {}", joined(hidden)),
        }
    }

    /// Returns an architecture as part of a file name.
    pub fn slug(&self, hidden: &[usize]) -> String {
        match self.is_only_depth(hidden) {
            true => format!("{}-layers", hidden.len() + 1),
            false => format!("hidden-{}", joined(hidden)),
        }
    }

    fn is_only_depth(&self, hidden: &[usize]) -> bool {
        self.architectures().iter().filter(|other| other.len() == hidden.len()).count() == 1
    }
}

/// Returns a depth in words.
fn layers(hidden: &[usize]) -> String {
    format!("{} layers per side", hidden.len() + 1)
}

/// Returns a depth with the number spelled out.
fn layers_in_words(hidden: &[usize]) -> String {
    const NUMBERS: [&str; 9] = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    match NUMBERS.get(hidden.len()) {
        Some(number) if !hidden.is_empty() => format!("{number} layers per side"),
        Some(number) => format!("{number} layer per side"),
        None => layers(hidden),
    }
}

fn joined(widths: &[usize]) -> String {
    widths.iter().map(usize::to_string).collect::<Vec<_>>().join("-")
}

/// Returns the numbers in ascending order, without duplicates.
fn sorted(numbers: &[f32]) -> Vec<f32> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f32::total_cmp);
    sorted.dedup();
    sorted
}

/// Widens a number to the one with the same decimal digits: 0.1 stays 0.1.
fn widened(number: f32) -> f64 {
    number.to_string().parse().unwrap_or_else(|_| f64::from(number))
}

/// Formats a number without long sequences of zeros.
fn short(number: f32) -> String {
    match number == 0.0 || (1e-4..1e6).contains(&number.abs()) {
        true => number.to_string(),
        false => format!("{number:e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        assert_eq!(widened(0.1), 0.1);
        assert_eq!(widened(1e-5), 1e-5);
        assert!(widened(f32::NAN).is_nan());
    }
}
