use crate::{
    error::{Error, Result},
    files::memory,
    nn::{Activation, Autoencoder, Dropout, Init, Layer},
};

/// Builds an [`Autoencoder`] whose decoder mirrors its encoder, unless told otherwise.
///
/// ```
/// use autoencoder::{Activation, Autoencoder};
/// let mirrored = Autoencoder::builder(784).hidden(&[512, 256]).code(100).build()?;
/// assert_eq!(mirrored.widths(), [784, 512, 256, 100, 256, 512, 784]);
///
/// let unequal = Autoencoder::builder(784)
///     .hidden(&[512, 256])
///     .decoder_hidden(&[300])
///     .code(20)
///     .hidden_activation(Activation::LeakyRelu { slope: 0.01 })
///     .seed(7)
///     .build()?;
/// assert_eq!(unequal.widths(), [784, 512, 256, 20, 300, 784]);
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct AutoencoderBuilder {
    inputs: usize,
    hidden: Vec<usize>,
    decoder_hidden: Option<Vec<usize>>,
    code: usize,
    activations: Activations,
    dropout: f32,
    init: Init,
    seed: u64,
}

#[derive(Debug, Clone, Copy)]
struct Activations {
    hidden: Activation,
    code: Activation,
    output: Activation,
}

impl AutoencoderBuilder {
    pub(crate) fn new(inputs: usize) -> Self {
        Self {
            inputs,
            hidden: Vec::new(),
            decoder_hidden: None,
            code: 32,
            activations: Activations {
                hidden: Activation::Relu,
                code: Activation::Identity,
                output: Activation::Sigmoid,
            },
            dropout: 0.0,
            init: Init::default(),
            seed: 0,
        }
    }

    /// Sets the widths of the encoder's hidden layers; the decoder has the same in reverse. Default: none.
    pub fn hidden(mut self, widths: &[usize]) -> Self {
        self.hidden = widths.to_vec();
        self
    }

    /// Sets the widths of the decoder's hidden layers. Default: those of the encoder in reverse.
    pub fn decoder_hidden(mut self, widths: &[usize]) -> Self {
        self.decoder_hidden = Some(widths.to_vec());
        self
    }

    /// Sets the width of the code. Default: 32.
    pub fn code(mut self, width: usize) -> Self {
        self.code = width;
        self
    }

    /// Sets the activation of the hidden layers. Default: ReLU.
    pub fn hidden_activation(mut self, activation: Activation) -> Self {
        self.activations.hidden = activation;
        self
    }

    /// Sets the activation of the code. Default: identity.
    pub fn code_activation(mut self, activation: Activation) -> Self {
        self.activations.code = activation;
        self
    }

    /// Sets the activation of the output. Default: sigmoid.
    pub fn output_activation(mut self, activation: Activation) -> Self {
        self.activations.output = activation;
        self
    }

    /// Sets the rate of dropout in [0, 1) for every hidden layer of encoder and decoder. The code and the output have no
    /// dropout. Default: 0.
    pub fn dropout(mut self, rate: f32) -> Self {
        self.dropout = rate;
        self
    }

    /// Sets the initialization of weights and biases. Default: [`Init::He`].
    pub fn init(mut self, init: Init) -> Self {
        self.init = init;
        self
    }

    /// Sets the seed of the initial weights. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Builds the model.
    ///
    /// # Errors
    /// [`Error::Setting`] if a width is 0, the weights do not fit in memory, the rate of dropout is outside [0, 1), or the
    /// slope of a leaky ReLU is not a finite number above 0.
    pub fn build(self) -> Result<Autoencoder> {
        let mirrored = || self.hidden.iter().rev().copied().collect();
        let decoder_hidden = self.decoder_hidden.clone().unwrap_or_else(mirrored);
        let widths: Vec<_> = [self.inputs]
            .into_iter()
            .chain(self.hidden.iter().copied())
            .chain([self.code])
            .chain(decoder_hidden)
            .chain([self.inputs])
            .collect();
        check_memory(&widths)?;

        let dropout = Dropout::new(self.dropout)?;
        let code = self.hidden.len();
        let output = widths.len() - 2;
        let mut encoder = Vec::new();
        for (index, pair) in widths.windows(2).enumerate() {
            let (activation, dropout) = match index {
                i if i == code => (self.activations.code, Dropout::OFF),
                i if i == output => (self.activations.output, Dropout::OFF),
                _ => (self.activations.hidden, dropout),
            };
            let dense = self.init.dense(pair[0], pair[1], self.seed, index)?;
            encoder.push(Layer { dense, activation, dropout });
        }
        let decoder = encoder.split_off(code + 1);
        Autoencoder::from_layers(encoder, decoder)
    }
}

/// Refuses widths whose weights, gradients and two moments would not fit in memory, since a failed allocation aborts.
fn check_memory(widths: &[usize]) -> Result<()> {
    if widths.contains(&0) {
        return Err(Error::setting("widths", widths, "at least 1 each"));
    }
    let weights = widths.windows(2).try_fold(0_usize, |sum, w| sum.checked_add(w[0].checked_mul(w[1])?));
    memory::check("widths", widths, weights.and_then(|count| count.checked_mul(4)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_widths_are_errors() {
        for (inputs, hidden, code) in [
            (0, vec![], 2),
            (5, vec![3, 0], 2),
            (5, vec![], 0),
            (5, vec![usize::MAX], 2),
            (usize::MAX, vec![], usize::MAX),
            (1 << 40, vec![], 1 << 20),
        ] {
            let error = Autoencoder::builder(inputs).hidden(&hidden).code(code).build().unwrap_err();
            assert!(error.to_string().starts_with("widths"), "{error}");
        }
    }

    #[test]
    fn only_hidden_layers_have_dropout() {
        let model = Autoencoder::builder(6).hidden(&[5, 4]).code(3).dropout(0.5).build().unwrap();
        let rates: Vec<_> = model.layers().iter().map(|l| l.dropout.rate()).collect();
        assert_eq!(rates, [0.5, 0.5, 0.0, 0.5, 0.5, 0.0]);
        assert_eq!(model.encoder_depth(), 3);
        assert!(Autoencoder::builder(6).dropout(1.0).build().is_err());
    }

    #[test]
    fn slopes_are_checked() {
        for slope in [0.0, -1.0, f32::NAN] {
            let builder = Autoencoder::builder(6).hidden(&[5]);
            assert!(builder.hidden_activation(Activation::LeakyRelu { slope }).build().is_err());
        }
    }
}
