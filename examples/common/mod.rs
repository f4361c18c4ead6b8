//! What the examples share: data sets by name, and how a run ends.

use autoencoder::{
    Error,
    data::{
        Dataset,
        catalog::{Known, Split},
        digits,
    },
};
use clap::ValueEnum;
use std::{fmt::Display, path::Path, process::ExitCode};

/// What drawn digits stand in for: a training and a test set of MNIST's sizes.
const DRAWN: [(usize, u64); 2] = [(60_000, 1), (10_000, 2)];

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DatasetName {
    /// MNIST where it is found, else drawn digits
    Auto,
    Mnist,
    FashionMnist,
    /// Digits that the library draws
    Digits,
}

/// The training and the test images, and what there is to say about the choice.
pub fn load(name: DatasetName, data_dir: Option<&Path>) -> Result<([Dataset; 2], Option<String>), Error> {
    let known = |known: Known| Ok([known.load(Split::Train, data_dir)?, known.load(Split::Test, data_dir)?]);
    let drawn = || -> Result<[Dataset; 2], Error> {
        let [(train, train_seed), (test, test_seed)] = DRAWN;
        Ok([digits::generate(train, train_seed)?, digits::generate(test, test_seed)?])
    };
    match name {
        DatasetName::Mnist => Ok((known(Known::Mnist)?, None)),
        DatasetName::FashionMnist => Ok((known(Known::FashionMnist)?, None)),
        DatasetName::Digits => Ok((drawn()?, None)),
        DatasetName::Auto => match known(Known::Mnist) {
            Err(Error::NotFound { .. }) => Ok((drawn()?, Some(HOW_TO_GET_MNIST.to_owned()))),
            found => Ok((found?, None)),
        },
    }
}

const HOW_TO_GET_MNIST: &str = "MNIST not found: using digits that the library draws.
For the real ones put the four files train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz,
t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz into data/mnist/, or name the folder that holds mnist/
(or torchvision's MNIST/raw/) by --data-dir or the environment variable AUTOENCODER_DATA.";

/// Exit code 1 and one line for a run that failed. (Bad flags never get here: clap ends with code 2.)
pub fn finish(result: Result<(), impl Display>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
