//! The cost of a training step on several ranks, from bytes, latency and compute.

use autoencoder::Autoencoder;

/// The bytes that the first rank receives in a step.
///
/// ```
/// use autoencoder::Autoencoder;
/// use autoencoder_mpi::cost::Bytes;
/// let model = Autoencoder::builder(784).hidden(&[512, 256]).code(100).build()?;
/// let Bytes { rows, weights } = Bytes::of_step(&model, 128, 2);
/// assert_eq!((rows, weights), (830_848, 2_247_196));
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes {
    /// After the rows phase: results, inputs and deltas of the rows. Inputs of the model are not sent.
    pub rows: u64,
    /// After the weights phase: the new weights and biases.
    pub weights: u64,
}

/// Per row: its weight, three sums and two flags.
const RESULT: usize = 4 + 3 * 8 + 2;
/// Per row of the weights: the penalties.
const PENALTY: usize = 8;
/// Per layer, from each rank: whether gradients and weights are finite.
const RECORD: usize = 2;

impl Bytes {
    /// The bytes of a step on `ranks` that does not clip and trains all layers.
    pub fn of_step(model: &Autoencoder, batch_size: usize, ranks: usize) -> Self {
        let number = size_of::<f32>();
        // The first rank has the part of everything that is rounded up. It needs the inputs of its rows of the weights.
        let others = |count: usize| count - count.div_ceil(ranks);
        let widths = model.widths();
        let layers = || widths.windows(2).map(|layer| (layer[0], layer[1])).enumerate();
        let inputs: usize = widths[1..widths.len() - 1].iter().map(|width| width.div_ceil(ranks)).sum();
        let outputs: usize = widths[1..].iter().sum();
        let rows = others(batch_size) * (RESULT + number * (inputs + outputs));
        let weights = layers().map(|(index, (inputs, outputs))| {
            let biases = if index % ranks == 0 { 0 } else { number * outputs };
            others(inputs) * (PENALTY + number * outputs) + biases + RECORD * (ranks - 1)
        });
        Self { rows: rows as u64, weights: weights.sum::<usize>() as u64 }
    }

    fn total(self) -> f64 {
        (self.rows + self.weights) as f64
    }
}

/// A network between ranks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Network {
    /// Seconds that a message takes, however short.
    pub latency: f64,
    /// Bytes per second that a rank receives.
    pub bandwidth: f64,
}

impl Network {
    /// Returns a network with a bandwidth in Gbit/s and a latency in microseconds.
    pub fn new(gigabits: f64, microseconds: f64) -> Self {
        Self { latency: microseconds * 1e-6, bandwidth: gigabits * 1e9 / 8.0 }
    }
}

/// The speed of a rank.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rank {
    /// Seconds of a step on one rank alone.
    pub step: f64,
    /// Bytes per second at which a rank writes messages, and reads them.
    pub copying: f64,
}

impl Rank {
    /// The seconds of a step on `ranks` of these, which receive `bytes`.
    ///
    /// Compute is divided by the number of ranks. In each of the two exchanges a rank has a message from every other one. What
    /// it receives, it also copies out of the messages. It copies as much into those that it sends: at most, because new weights
    /// are copied once for all ranks.
    pub fn step_on(self, ranks: usize, bytes: Bytes, network: Network) -> f64 {
        if ranks == 1 {
            return self.step;
        }
        let ranks = ranks as f64;
        let messages = 2.0 * (ranks - 1.0) * network.latency;
        self.step / ranks + messages + bytes.total() / network.bandwidth + 2.0 * bytes.total() / self.copying
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_network_only_compute_counts() {
        let bytes = Bytes { rows: 1_000_000, weights: 2_000_000 };
        let rank = Rank { step: 0.08, copying: f64::INFINITY };
        let ideal = Network { latency: 0.0, bandwidth: f64::INFINITY };
        assert_eq!(rank.step_on(4, bytes, ideal), 0.02);
        // 3 MB at 125 MB/s, twice 3 messages of 10 us.
        let slow = rank.step_on(4, bytes, Network::new(1.0, 10.0));
        assert!((slow - (0.02 + 0.024 + 60e-6)).abs() < 1e-12, "{slow}");
        assert_eq!(rank.step_on(1, bytes, Network::new(1.0, 10.0)), 0.08);
    }
}
