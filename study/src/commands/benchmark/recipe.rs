//! Training for a number of minutes.

use crate::cli::{self, Failure, Images, OutputFlags, files, progress::Progress, say};
use autoencoder::{
    Activation, Autoencoder, Error, ImageSet, Loss, Noise, Optimizer, TrainConfig, Trainer,
    data::{Augmentation, catalog::PublishedDataset},
    nn::Parameters,
    train::{Batch, History, Objective, Schedule, Step},
};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Images that the choice of hyperparameters is validated on: the last ones of the training set.
const VALIDATION_IMAGES: usize = 5_000;
/// Images of a quick run.
const QUICK_IMAGES: usize = 2_000;
/// Fraction of the steps in which the learning rate rises.
const WARM_UP: f64 = 0.03;
/// Rows for which the loss is computed at a time.
const LOSS_ROWS: usize = 500;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Dataset {
    Mnist,
    FashionMnist,
    /// Digits that the library draws
    Digits,
}

/// Flags of a benchmark. The defaults of some are those of its recipe.
#[derive(Debug, Args)]
pub(super) struct RecipeFlags {
    #[arg(long, value_enum, default_value = "mnist")]
    dataset: Dataset,
    /// Folder with mnist/ or fashion-mnist/ [default: $AUTOENCODER_DATA, or data]
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Minutes of training; the number of epochs follows from the speed of this machine
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// Epochs, whatever time they take
    #[arg(long)]
    epochs: Option<usize>,
    /// Trains on 2,000 images for 2 epochs, to see that everything works
    #[arg(long)]
    quick: bool,
    /// Holds the last 5,000 training images out and evaluates on them; the test images are not read
    #[arg(long)]
    validate: bool,
    /// Widths of the encoder's hidden layers, such as 512,256 [default: those of the recipe]
    #[arg(long, value_delimiter = ',', num_args = 1)]
    hidden: Option<Vec<usize>>,
    /// Width of the code [default: that of the recipe]
    #[arg(long)]
    code: Option<usize>,
    /// Activation of the hidden layers [default: that of the recipe]
    #[arg(long)]
    activation: Option<Activation>,
    /// Loss [default: that of the recipe]
    #[arg(long, value_parser = cli::loss())]
    loss: Option<Loss>,
    #[arg(long)]
    learning_rate: Option<f32>,
    /// Weight decay of AdamW, on weights alone
    #[arg(long)]
    weight_decay: Option<f32>,
    /// Decay of AdamW's mean of squared gradients
    #[arg(long)]
    beta2: Option<f32>,
    #[arg(long)]
    batch_size: Option<usize>,
    /// Strength of the augmentation: 0 for none, 1 for the mild one
    #[arg(long)]
    augmentation: Option<f32>,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Worker threads [default: one per core]
    #[arg(long)]
    threads: Option<usize>,
    #[command(flatten)]
    output: OutputFlags,
    /// Folder for the results [default: out/ followed by the name of the example, and -quick after a quick run]
    #[arg(long)]
    out: Option<PathBuf>,
}

/// The model of a benchmark and its training settings.
#[derive(Debug, Clone)]
pub(super) struct Recipe {
    /// Widths of the encoder's hidden layers; the decoder mirrors them.
    pub hidden: Vec<usize>,
    pub code: usize,
    pub code_activation: Activation,
    pub activation: Activation,
    pub loss: Loss,
    pub learning_rate: f32,
    pub weight_decay: f32,
    pub beta2: f32,
    pub batch_size: usize,
    pub augmentation: f32,
    pub noise: Option<Noise>,
}

/// A trained model and the images that it is evaluated on.
pub(super) struct Trained {
    pub recipe: Recipe,
    pub model: Autoencoder,
    pub history: History,
    pub train: ImageSet,
    pub test: ImageSet,
    pub seed: u64,
    dataset: Dataset,
    /// True if `test` is a part of the training images.
    is_validation: bool,
}

impl RecipeFlags {
    /// Creates the folder for the results of an example. A quick run does not replace the results of a long one.
    pub fn create_folder(&self, example: &str) -> Result<PathBuf, Failure> {
        let quick = if self.quick { "-quick" } else { "" };
        let default = || PathBuf::from(format!("out/{example}{quick}"));
        let out = self.out.clone().unwrap_or_else(default);
        files::create_folder(&out)?;
        Ok(out)
    }

    fn adjusted(&self, recipe: Recipe) -> Recipe {
        Recipe {
            hidden: self.hidden.clone().unwrap_or(recipe.hidden),
            code: self.code.unwrap_or(recipe.code),
            activation: self.activation.unwrap_or(recipe.activation),
            loss: self.loss.unwrap_or(recipe.loss),
            learning_rate: self.learning_rate.unwrap_or(recipe.learning_rate),
            weight_decay: self.weight_decay.unwrap_or(recipe.weight_decay),
            beta2: self.beta2.unwrap_or(recipe.beta2),
            batch_size: self.batch_size.unwrap_or(recipe.batch_size),
            augmentation: self.augmentation.unwrap_or(recipe.augmentation),
            ..recipe
        }
    }

    fn images(&self) -> Result<Images, Failure> {
        let images = match self.dataset {
            Dataset::Mnist => Images::known(PublishedDataset::Mnist, self.data_dir.as_deref())?,
            Dataset::FashionMnist => Images::known(PublishedDataset::FashionMnist, self.data_dir.as_deref())?,
            Dataset::Digits => {
                let (train, test) = cli::drawn(None, None)?;
                Images { train, test, notice: None }
            }
        };
        let Images { train, test, notice } = images;
        let (train, test) = match train.len().checked_sub(VALIDATION_IMAGES).filter(|_| self.validate) {
            Some(first) => {
                let rows: Vec<_> = (first..train.len()).collect();
                (train.clone().head(first)?, train.select(&rows)?)
            }
            None => (train, test),
        };
        let train = if self.quick { train.head(QUICK_IMAGES)? } else { train };
        Ok(Images { train, test, notice })
    }

    /// Trains by the recipe, with the changes that the flags ask for.
    pub fn train(&self, recipe: Recipe) -> Result<Trained, Failure> {
        self.output.apply();
        let threads = cli::set_threads(self.threads)?;
        if !(self.minutes > 0.0 && self.minutes.is_finite()) {
            let expected = "a number above 0";
            return Err(Error::Setting { name: "minutes", value: self.minutes.to_string(), expected }.into());
        }
        let recipe = self.adjusted(recipe);
        recipe.config(1, 1, (28, 28), self.seed).check()?;
        let Images { train, test, .. } = self.images()?;
        let mut model = recipe.model(train.features(), self.seed)?;
        let config = |epochs| recipe.config(epochs, train.len(), train.image_shape(), self.seed);
        let epochs = match self.epochs {
            Some(epochs) => epochs,
            None if self.quick => 2,
            None => epochs_within(self.minutes, &config(1), &model, &train)?,
        };
        config(epochs).check()?;
        say(&format!(
            "{}: {} training images, widths {:?}, {}, epochs: {epochs}, threads: {threads}",
            train.name(),
            train.len(),
            model.widths(),
            recipe.text()
        ))?;
        let mut progress = Progress::new(epochs, recipe.noise.is_some());
        let trainer = Trainer::new(config(epochs)).callback(|event| progress.show(event));
        let history = trainer.fit(&mut model, &train)?;
        drop(progress);
        Ok(Trained {
            recipe,
            model,
            history,
            train,
            test,
            seed: self.seed,
            dataset: self.dataset,
            is_validation: self.validate,
        })
    }
}

impl Recipe {
    fn model(&self, inputs: usize, seed: u64) -> Result<Autoencoder, Error> {
        Autoencoder::builder(inputs)
            .hidden(&self.hidden)
            .code(self.code)
            .hidden_activation(self.activation)
            .code_activation(self.code_activation)
            .seed(seed)
            .build()
    }

    fn config(&self, epochs: usize, images: usize, shape: (usize, usize), seed: u64) -> TrainConfig {
        let steps = epochs as f64 * images.div_ceil(self.batch_size.max(1)) as f64;
        let warmup = (steps * WARM_UP).ceil() as u64;
        let optimizer = Optimizer::AdamW {
            beta1: 0.9,
            beta2: self.beta2,
            epsilon: 1e-8,
            weight_decay: self.weight_decay,
            decay_biases: false,
        };
        let config = TrainConfig::new()
            .epochs(epochs)
            .batch_size(self.batch_size)
            .learning_rate(self.learning_rate)
            .loss(self.loss)
            .optimizer(optimizer)
            .schedule(Schedule::Cosine { warmup, floor: 0.0 })
            .seed(seed);
        let config = TrainConfig { noise: self.noise.clone(), ..config };
        if self.augmentation == 0.0 { config } else { config.augmentation(mild(self.augmentation, shape)) }
    }

    /// Describes the settings in a few words.
    pub fn text(&self) -> String {
        format!(
            "{}, {}, AdamW {}/{}, beta2 {}, batch {}, augmentation {}",
            self.activation,
            self.loss,
            self.learning_rate,
            self.weight_decay,
            self.beta2,
            self.batch_size,
            self.augmentation
        )
    }
}

/// Slight changes of a digit: rotation by 0.08, a scale of 5%, a shear of 0.08 and a shift by half a pixel at most, times
/// the strength.
fn mild(strength: f32, shape: (usize, usize)) -> Augmentation {
    let augmentation = Augmentation::new(shape).rotation(0.08 * strength).scale(0.05 * strength);
    augmentation.shear(0.08 * strength).shift(0.5 * strength).unchanged(0.3)
}

/// Returns how many epochs take that long, measured by training a copy of the model on the first images.
fn epochs_within(
    minutes: f64,
    config: &TrainConfig,
    model: &Autoencoder,
    train: &ImageSet,
) -> Result<usize, Failure> {
    let sample = train.clone().head(5_000)?;
    let history = Trainer::new(config.clone().epochs(2)).fit(&mut model.clone(), &sample)?;
    // The first epoch also fills caches.
    let speed = history.epochs.last().map_or(f64::NAN, |epoch| epoch.rows_per_second);
    let epochs = 60.0 * minutes * speed / train.len() as f64;
    Ok((epochs as usize).max(1))
}

impl Trained {
    /// Returns whether `test` contains the test images of MNIST.
    pub fn evaluates_mnist(&self) -> bool {
        self.dataset == Dataset::Mnist && !self.is_validation
    }

    /// Returns the words for where a result comes from, for tables.
    pub fn source(&self) -> String {
        let seconds: f64 = self.history.epochs.iter().map(|epoch| epoch.seconds).sum();
        let time =
            if seconds < 60.0 { format!("{seconds:.0} s") } else { format!("{:.1} minutes", seconds / 60.0) };
        let images = if self.is_validation { "last 5,000 training images" } else { "test images" };
        format!("this run, {time}, {images}")
    }

    /// Returns the mean squared error per image of the test images, summed over the pixels.
    pub fn squared_error(&self) -> Result<f64, Error> {
        let errors = self.model.reconstruction_errors(&self.test)?;
        Ok(self.test.features() as f64 * errors.iter().sum::<f64>() / errors.len() as f64)
    }

    /// Returns the cross-entropy per test image in nats, summed over the pixels. It is computed from the logits, so a
    /// saturated output does not make it infinite.
    pub fn cross_entropy(&self) -> Result<f64, Error> {
        let objective = Objective { loss: Loss::Bce, penalties: vec![] };
        let mut step = Step::new(&self.model, objective, LOSS_ROWS)?;
        let mut gradients = Parameters::zeros(&self.model);
        let rows: Vec<_> = (0..self.test.len()).collect();
        let mut sum = 0.0;
        for rows in rows.chunks(LOSS_ROWS) {
            let batch = Batch { samples: &self.test, rows, noise: None, seed: 0, epoch: 1, number: 1 };
            sum += step.gradients(&self.model, &batch, &mut gradients)?.total() * rows.len() as f64;
        }
        Ok(self.test.features() as f64 * sum / rows.len() as f64)
    }

    /// Returns the entropy of the pixels per test image in nats, below which no cross-entropy can be.
    pub fn entropy(&self) -> f64 {
        let nats = |level: &u8| {
            let p = f64::from(*level) / 255.0;
            [p, 1.0 - p].iter().filter(|&&p| p > 0.0).map(|p| -p * p.ln()).sum::<f64>()
        };
        self.test.pixels().iter().map(nats).sum::<f64>() / self.test.len() as f64
    }
}
