use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// How the learning rate changes over a run. A function of the step alone, so that a resumed run has the rates of one that
/// never stopped.
///
/// ```
/// use autoencoder::train::{Schedule, TrainConfig};
/// let halved = Schedule::StepDecay { factor: 0.5, every: 2 };
/// // The first step of the fifth epoch, with 100 steps per epoch and 10 epochs.
/// assert_eq!(halved.rate(0.1, 400, 100, 1_000), 0.025);
/// let config = TrainConfig::new().schedule(Schedule::Cosine { warmup: 50, floor: 0.0 });
/// config.check()?;
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Schedule {
    /// The same rate in every step.
    #[default]
    Constant,
    /// Multiplies the rate by `factor` every `every` epochs.
    StepDecay {
        /// In (0, 1].
        factor: f32,
        /// Epochs between decays, at least 1.
        every: usize,
    },
    /// A linear warm-up, then half a cosine down over the rest of the run (Loshchilov and Hutter 2017,
    /// <https://arxiv.org/abs/1608.03983>, equation 5 without restarts). It depends on the number of epochs.
    Cosine {
        /// Steps of the warm-up: the first has `1 / warmup` of the rate, the last the whole rate. 0 for none.
        warmup: u64,
        /// Fraction of the rate at the end, in [0, 1].
        floor: f32,
    },
}

impl Schedule {
    /// Checks the coefficients.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first one outside its range.
    pub(crate) fn check(self) -> Result<()> {
        match self {
            Self::StepDecay { factor, .. } if !(factor > 0.0 && factor <= 1.0) => {
                Err(Error::setting("factor", factor, "a number above 0, at most 1"))
            }
            Self::StepDecay { every: 0, .. } => Err(Error::setting("every", 0, "at least 1")),
            Self::Cosine { floor, .. } if !(0.0..=1.0).contains(&floor) => {
                Err(Error::setting("floor", floor, "a number in [0, 1]"))
            }
            _ => Ok(()),
        }
    }

    /// Checks that the schedule fits into a run of `steps` steps.
    pub(crate) fn check_steps(self, steps: u64) -> Result<()> {
        match self {
            Self::Cosine { warmup, .. } if warmup >= steps => {
                let value = format_args!("{warmup} of {steps} steps");
                Err(Error::setting("warmup", value, "fewer steps than the run has"))
            }
            _ => Ok(()),
        }
    }

    /// Returns true if the rate of a step depends on the length of the run.
    pub(crate) fn depends_on_epochs(self) -> bool {
        matches!(self, Self::Cosine { .. })
    }

    /// The rate of a step, counted from 0, in a run of `steps` steps with `steps_per_epoch` each.
    pub fn rate(self, learning_rate: f32, step: u64, steps_per_epoch: u64, steps: u64) -> f32 {
        let fraction = match self {
            Self::Constant => return learning_rate,
            Self::StepDecay { factor, every } => {
                let decays = step / steps_per_epoch.max(1) / (every as u64).max(1);
                f64::from(factor).powf(decays as f64)
            }
            Self::Cosine { warmup, .. } if step < warmup => (step as f64 + 1.0) / warmup as f64,
            Self::Cosine { warmup, floor } => {
                let (floor, falling) = (f64::from(floor), steps.saturating_sub(warmup).max(1));
                let time = ((step - warmup) as f64 / falling as f64).min(1.0);
                floor + (1.0 - floor) * (1.0 + (PI * time).cos()) / 2.0
            }
        };
        (f64::from(learning_rate) * fraction) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn a_step_decays_after_whole_epochs() {
        let schedule = Schedule::StepDecay { factor: 0.1, every: 3 };
        let rate = |step| schedule.rate(1.0, step, 7, 1_000);
        assert_eq!((rate(0), rate(20)), (1.0, 1.0));
        assert_relative_eq!(rate(21), 0.1);
        assert_relative_eq!(rate(41), 0.1);
        assert_relative_eq!(rate(42), 0.01);
    }

    #[test]
    fn a_cosine_warms_up_linearly_and_falls_to_its_floor() {
        let schedule = Schedule::Cosine { warmup: 4, floor: 0.2 };
        let rate = |step| schedule.rate(2.0, step, 5, 24);
        let rise: Vec<_> = (0..5).map(rate).collect();
        assert_eq!(rise, [0.5, 1.0, 1.5, 2.0, 2.0]);
        // Half of the way down at half of the 20 steps.
        assert_relative_eq!(rate(14), 0.4 + 1.6 / 2.0, max_relative = 1e-6);
        assert_relative_eq!(rate(24), 0.4, max_relative = 1e-6);
        assert!((4..24).all(|step| rate(step + 1) < rate(step)));
        assert_eq!(Schedule::Cosine { warmup: 0, floor: 0.2 }.rate(2.0, 0, 5, 24), 2.0);
    }

    /// Numbers that no run has do not panic.
    #[test]
    fn rates_of_any_numbers_are_finite() {
        for schedule in [
            Schedule::Constant,
            Schedule::StepDecay { factor: 0.5, every: usize::MAX },
            Schedule::StepDecay { factor: 0.5, every: 0 },
            Schedule::Cosine { warmup: u64::MAX, floor: 0.0 },
            Schedule::Cosine { warmup: 0, floor: 0.0 },
        ] {
            for numbers in [[0, 0, 0], [u64::MAX, 0, 0], [5, 1, u64::MAX], [u64::MAX, u64::MAX, 1]] {
                let rate = schedule.rate(0.1, numbers[0], numbers[1], numbers[2]);
                assert!((0.0..=0.1).contains(&rate), "{schedule:?} {numbers:?}: {rate}");
            }
        }
    }
}
