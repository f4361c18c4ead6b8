//! The study's experiments. Each example of their names does one; `study` does all.
#![allow(dead_code, reason = "each example uses a part")]

pub mod anomaly;
pub mod architectures;
pub mod denoising;
pub mod lab;
pub mod latent_space;
pub mod longer;
pub mod page;
mod progress;
pub mod records;
pub mod regularization;
pub mod section;
pub mod starts;

use clap::Args;

/// The grid of models that two experiments share.
#[derive(Debug, Clone, Args)]
pub struct GridFlags {
    /// Widths of the encoder's hidden layers, once for each architecture [default: 512,256 and 512,384,256,128]
    #[arg(long, value_parser = widths)]
    hidden: Vec<Widths>,
    /// Widths of the code
    #[arg(long, value_delimiter = ',', num_args = 1, default_value = "15,30,50,100")]
    pub codes: Vec<usize>,
}

#[derive(Debug, Clone)]
struct Widths(Vec<usize>);

fn widths(text: &str) -> Result<Widths, String> {
    let parse = |width: &str| width.parse().map_err(|error| format!("`{width}`: {error}"));
    text.split(',').map(parse).collect::<Result<_, _>>().map(Widths)
}

impl GridFlags {
    pub fn architectures(&self) -> Vec<Vec<usize>> {
        match self.hidden.as_slice() {
            [] => vec![vec![512, 256], vec![512, 384, 256, 128]],
            given => given.iter().map(|widths| widths.0.clone()).collect(),
        }
    }

    /// The same models with these codes only.
    pub fn with_codes(&self, codes: &[usize]) -> Self {
        Self { codes: codes.to_vec(), ..self.clone() }
    }
}

/// An architecture in words.
fn layers(hidden: &[usize]) -> String {
    format!("{} layers a side", hidden.len() + 1)
}
