use crate::{
    data::Dataset,
    error::{Error, Result},
    files::sha256_hex,
    group,
    nn::Autoencoder,
    train::TrainConfig,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Everything that determines the result of a run: two runs with the same identity have the same bits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// The version of this crate; another one may compute other bits.
    version: String,
    /// Without the number of threads, which has no effect on the result.
    pub config: TrainConfig,
    pub rows: Fingerprint,
    pub validation: Option<Fingerprint>,
    /// A digest of the weights before the first step.
    initial_weights: String,
}

impl Identity {
    pub(crate) fn of(
        config: &TrainConfig,
        model: &Autoencoder,
        samples: &dyn Dataset,
        validation: Option<&dyn Dataset>,
    ) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config: TrainConfig { threads: None, ..config.clone() },
            rows: Fingerprint::of(samples),
            validation: validation.map(Fingerprint::of),
            initial_weights: digest(model),
        }
    }

    /// The identity of `run`, which continues from a checkpoint of `self` with the weights of `model`. Its own model must
    /// have the initial weights, the checkpoint's, or those of the `best` epoch, which a callback's stop restores.
    ///
    /// # Errors
    /// [`Error::Resume`] with the first difference.
    pub(crate) fn resume(
        &self,
        model: &Autoencoder,
        best: Option<&Autoencoder>,
        run: Self,
        run_model: &Autoencoder,
    ) -> Result<Self> {
        same(&architecture(model), &architecture(run_model))?;
        same(&self.facts(), &run.facts())?;
        self.rows.same_values("rows to train on", &run.rows)?;
        if let Some((own, run)) = self.validation.as_ref().zip(run.validation.as_ref()) {
            own.same_values("rows to validate on", run)?;
        }
        let mut known = std::iter::once(model).chain(best);
        if run.initial_weights != self.initial_weights
            && !known.any(|model| run.initial_weights == digest(model))
        {
            let what = "initial weights";
            return Err(Error::Resume {
                what,
                checkpoint: self.initial_weights.clone(),
                run: run.initial_weights,
            });
        }
        Ok(Self { initial_weights: self.initial_weights.clone(), ..run })
    }

    /// Everything in which the processes that train `model` together must agree, by name.
    pub(crate) fn facts_of(&self, model: &Autoencoder) -> Vec<group::Fact> {
        let mut facts = self.facts();
        facts.extend(architecture(model));
        facts.push(("epochs", self.config.epochs.to_string()));
        facts.push(("initial weights", format!("SHA-256 {}", self.initial_weights)));
        let values = |rows: &Fingerprint| format!("SHA-256 {}", rows.sha256);
        facts.push(("values of the rows to train on", values(&self.rows)));
        facts
            .extend(self.validation.as_ref().map(|rows| ("values of the rows to validate on", values(rows))));
        facts.into_iter().map(|(what, value)| (what.to_owned(), value)).collect()
    }

    /// Everything that must agree, by name.
    fn facts(&self) -> Vec<Fact> {
        let Self { version, config, rows, validation, initial_weights: _ } = self;
        // Without `..`, so that a new setting cannot be forgotten.
        let TrainConfig {
            epochs,
            batch_size,
            learning_rate,
            loss,
            penalties,
            optimizer,
            noise,
            seed,
            threads: _,
            schedule,
            early_stopping,
            clip_norm,
            freeze,
            augmentation,
        } = config;
        let validation = validation.as_ref().map_or_else(|| "none".to_owned(), Fingerprint::to_string);
        let mut facts = vec![
            ("version of the crate", version.clone()),
            ("batch_size", batch_size.to_string()),
            ("learning_rate", learning_rate.to_string()),
            ("loss", loss.to_string()),
            ("penalties", format!("{penalties:?}")),
            ("optimizer", optimizer.to_string()),
            ("noise", optional(noise)),
            ("seed", seed.to_string()),
            ("schedule", format!("{schedule:?}")),
            ("early_stopping", optional(early_stopping)),
            ("clip_norm", optional(clip_norm)),
            ("freeze", format!("{freeze:?}")),
            ("augmentation", optional(augmentation)),
            ("rows to train on", rows.to_string()),
            ("rows to validate on", validation),
        ];
        if schedule.depends_on_epochs() {
            facts.push(("epochs, which the schedule depends on", epochs.to_string()));
        }
        facts
    }
}

type Fact = (&'static str, String);

/// The value of a setting that has none by default.
fn optional(setting: &Option<impl fmt::Debug>) -> String {
    setting.as_ref().map_or_else(|| "none".to_owned(), |value| format!("{value:?}"))
}

fn same(checkpoint: &[Fact], run: &[Fact]) -> Result<()> {
    match checkpoint.iter().zip(run).find(|(checkpoint, run)| checkpoint != run) {
        None => Ok(()),
        Some(((what, checkpoint), (_, run))) => {
            Err(Error::Resume { what, checkpoint: checkpoint.clone(), run: run.clone() })
        }
    }
}

/// All of a model but its parameters.
fn architecture(model: &Autoencoder) -> [Fact; 4] {
    let layers = model.layers();
    let activations: Vec<_> = layers.iter().map(|layer| layer.activation).collect();
    let dropout: Vec<_> = layers.iter().map(|layer| layer.dropout.rate()).collect();
    [
        ("widths", format!("{:?}", model.widths())),
        ("encoder_depth", model.encoder_depth().to_string()),
        ("activations", format!("{activations:?}")),
        ("dropout", format!("{dropout:?}")),
    ]
}

/// Rows by their values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    pub rows: usize,
    features: usize,
    sha256: String,
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows of {} features", self.rows, self.features)
    }
}

impl Fingerprint {
    fn of(rows: &dyn Dataset) -> Self {
        Self { rows: rows.len(), features: rows.features(), sha256: rows.fingerprint() }
    }

    /// Checks the values of rows whose number and width are the same.
    fn same_values(&self, what: &'static str, run: &Self) -> Result<()> {
        if self.sha256 == run.sha256 {
            return Ok(());
        }
        let checkpoint = format!("others (values, targets or weights differ; SHA-256 {})", self.sha256);
        let remedy = "start anew, or train the saved model on the new rows";
        Err(Error::Resume { what, checkpoint, run: format!("SHA-256 {}; {remedy}", run.sha256) })
    }
}

/// A digest of all weights and biases.
fn digest(model: &Autoencoder) -> String {
    let values = model.parameters().flat_map(|(weight, bias)| weight.into_iter().chain(bias));
    sha256_hex(&values.flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
}
