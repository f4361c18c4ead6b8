//! Checkpoints of training loops that are not the trainer's.

use super::{
    Checkpoint,
    file::{self, FIRST, SECOND, VERSION},
};
use crate::{
    error::{Error, Result},
    files::write_atomic,
    nn::{
        Autoencoder,
        files::{
            model::{self, Contents},
            seal,
        },
    },
    train::{Optimizer, OptimizerState},
};
use serde::{Deserialize, Serialize};
use std::{fs::File, path::Path};

const KEY: &str = "optimizer";

/// The metadata of a file.
#[derive(Serialize, Deserialize)]
struct Metadata {
    version: u32,
    optimizer: Optimizer,
    steps: u64,
}

impl OptimizerState {
    /// Saves a model with its optimizer: a checkpoint of your own training loop, written atomically.
    ///
    /// With both, a loop continues with the bits of one that never stopped, if the rest of it is a function of the
    /// [number of steps](Self::steps): the epoch, the order of the rows ([`shuffled`](crate::train::shuffled)), the
    /// learning rate. Nothing else is stored, and nothing is compared on loading.
    ///
    /// The file is in the safetensors format, as that of a [`Checkpoint`]: the model's tensors have the names that
    /// [`Autoencoder::save`] gives them, the moments start with `moments.first.` and `moments.second.`. The optimizer and
    /// the number of steps are JSON in the metadata, beside a digest by which [`load`](Self::load) notices damage.
    ///
    /// ```
    /// use autoencoder::{Autoencoder, Optimizer, data::digits};
    /// use autoencoder::train::{Batch, Objective, OptimizerState, Step};
    /// # let folder = tempfile::tempdir().expect("a scratch folder");
    /// # let path = folder.path().join("loop.safetensors");
    /// let digits = digits::generate(32, 0)?;
    /// let mut model = Autoencoder::builder(784).code(16).build()?;
    /// let mut optimizer = OptimizerState::new(Optimizer::adam(), &model)?;
    /// let mut step = Step::new(&model, Objective::default(), 32)?;
    /// let rows: Vec<_> = (0..32).collect();
    /// let batch = |number| Batch { samples: &digits, rows: &rows, noise: None, seed: 0, epoch: 1, number };
    /// step.run(&mut model, &mut optimizer, 0.001, &batch(1))?;
    /// optimizer.save(&path, &model)?;
    ///
    /// // In another process, perhaps:
    /// let (mut resumed, mut state) = OptimizerState::load(&path)?;
    /// assert_eq!(state.steps(), 1);
    /// step.run(&mut resumed, &mut state, 0.001, &batch(2))?;
    /// step.run(&mut model, &mut optimizer, 0.001, &batch(2))?;
    /// assert_eq!(resumed, model);
    /// # Ok::<(), autoencoder::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Shape`] if the model is not the optimizer's, [`Error::Data`] if a weight, bias or moment is not finite, or
    /// moments are missing after steps in a [group](crate::train::Step::group),
    /// [`Error::Io`] if the file cannot be written. An existing file is unchanged then.
    pub fn save(&self, path: impl AsRef<Path>, model: &Autoencoder) -> Result<()> {
        let path = path.as_ref();
        self.check_fits(model)?;
        self.check_whole()?;
        model.check_finite()?;
        if !self.is_finite() {
            return Err(Error::data("moments of the optimizer", "finite numbers", "others"));
        }
        let tensors = file::tensors(model, self);
        let metadata = Metadata { version: VERSION, optimizer: self.optimizer(), steps: self.steps() };
        let serialize = || {
            let mut entries = model::metadata(model)?;
            entries.insert(KEY.to_owned(), serde_json::to_string(&metadata)?);
            seal::serialize(&tensors, entries)
        };
        let file = serialize().map_err(Error::io(path))?;
        write_atomic(path, |out| out.write_all(&file))
    }

    /// Loads a model with its optimizer, from a file that [`save`](Self::save) or a
    /// [trainer](crate::train::Trainer::checkpoint) wrote.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, [`Error::Format`] if it is not a valid checkpoint or is damaged.
    pub fn load(path: impl AsRef<Path>) -> Result<(Autoencoder, Self)> {
        let path = path.as_ref();
        let file = File::open(path).map_err(Error::io(path))?;
        let name = &path.display().to_string();
        let contents = Contents::read(file, name)?;
        if !contents.metadata(file::KEY).is_empty() {
            return Checkpoint::from_contents(&contents, name).map(Checkpoint::into_state);
        }
        if contents.metadata(KEY).is_empty() {
            let found = "a model without an optimizer; load it with Autoencoder::load";
            return Err(Error::format(name, "content", "a checkpoint", found));
        }
        let invalid = |expected: &str, found| Error::format(name, "metadata `optimizer`", expected, found);
        let Metadata { version, optimizer, steps } = serde_json::from_str(contents.metadata(KEY))
            .map_err(|error| invalid("an optimizer", error.to_string()))?;
        file::check_version(version).map_err(|(expected, found)| invalid(&expected, found))?;
        contents.check_intact()?;
        optimizer.check().map_err(|error| invalid("valid coefficients", error.to_string()))?;
        contents.check_names(&["", FIRST, SECOND])?;
        let model = contents.model("")?;
        let [first, second] = [contents.parameters(FIRST)?, contents.parameters(SECOND)?];
        let state = Self::from_file(optimizer, steps, first, second, name)?;
        Ok((model, state))
    }
}
