use autoencoder::{
    Activation, Autoencoder, Init, Result, TrainConfig,
    files::sha256_hex,
    train::{Objective, Step},
};
use serde::{Deserialize, Serialize};

/// One run: a model, its data set and its training settings.
///
/// ```
/// use autoencoder::{Activation, Noise, Optimizer, TrainConfig, train::Schedule};
/// use autoencoder_study::sweep::{Activations, Run};
/// let train = TrainConfig::new()
///     .noise(Noise::masking(0.2)?)
///     .optimizer(Optimizer::adamw(0.01))
///     .schedule(Schedule::Cosine { warmup: 100, floor: 0.0 });
/// let run = Run {
///     dataset: "digits".to_owned(),
///     hidden: vec![256, 128],
///     decoder_hidden: Some(vec![128]),
///     activations: Activations { hidden: Activation::Tanh, ..Activations::default() },
///     train,
///     ..Run::default()
/// };
/// assert_eq!(run.model(784)?.widths(), [784, 256, 128, 32, 128, 784]);
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Name of the data set.
    pub dataset: String,
    /// Widths of the encoder's hidden layers. Default: none.
    pub hidden: Vec<usize>,
    /// Widths of the decoder's hidden layers. Default: the encoder's in reverse.
    #[serde(default, skip_serializing_if = "is_default")]
    pub decoder_hidden: Option<Vec<usize>>,
    /// Width of the code. Default: 32.
    pub code: usize,
    /// Activations of the layers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub activations: Activations,
    /// Dropout rate of the hidden layers. Default: 0.
    pub dropout: f32,
    /// Initialization of weights and biases.
    pub init: Init,
    /// Training settings. Their seed also determines the initial weights.
    pub train: TrainConfig,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            dataset: String::new(),
            hidden: vec![],
            decoder_hidden: None,
            code: 32,
            activations: Activations::default(),
            dropout: 0.0,
            init: Init::default(),
            train: TrainConfig::default(),
        }
    }
}

/// Skips default values, so that adding a field does not change the ids of existing runs.
fn is_default<T: Default + PartialEq>(field: &T) -> bool {
    *field == T::default()
}

/// Activations of a model's layers. Their defaults are those of the
/// [builder](autoencoder::nn::AutoencoderBuilder).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Activations {
    /// Activation of the hidden layers. Default: ReLU.
    pub hidden: Activation,
    /// Activation of the code. Default: identity.
    pub code: Activation,
    /// Activation of the output. Default: sigmoid.
    pub output: Activation,
}

impl Default for Activations {
    fn default() -> Self {
        Self { hidden: Activation::Relu, code: Activation::Identity, output: Activation::Sigmoid }
    }
}

impl Run {
    /// Returns the untrained model for rows of `inputs` features.
    ///
    /// # Errors
    /// As [`Builder::build`](autoencoder::nn::AutoencoderBuilder::build).
    pub fn model(&self, inputs: usize) -> Result<Autoencoder> {
        let Activations { hidden, code, output } = self.activations;
        let mut builder = Autoencoder::builder(inputs)
            .hidden(&self.hidden)
            .code(self.code)
            .hidden_activation(hidden)
            .code_activation(code)
            .output_activation(output)
            .dropout(self.dropout)
            .init(self.init)
            .seed(self.train.seed);
        if let Some(widths) = &self.decoder_hidden {
            builder = builder.decoder_hidden(widths);
        }
        builder.build()
    }

    /// Checks every setting for rows of `inputs` features, as a run does before it starts.
    ///
    /// # Errors
    /// If a setting is invalid; the error names the first one.
    pub fn check(&self, inputs: usize) -> Result<()> {
        let model = self.model(inputs)?;
        let objective = Objective { loss: self.train.loss, penalties: self.train.penalties.clone() };
        Step::new(&model, objective, 1)?;
        self.train.check()
    }

    /// Returns a digest of everything that determines the result, which identifies the run. The number of threads is
    /// not part of it.
    pub fn id(&self) -> String {
        let mut run = self.clone();
        run.train.threads = None;
        let json = serde_json::to_vec(&run).unwrap_or_default();
        sha256_hex(&json)[..16].to_owned()
    }
}
