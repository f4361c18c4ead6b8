//! Rows that are not finite, and targets that the outputs of a model cannot reach, are refused.

use crate::{
    data::Dataset,
    error::{Error, Result},
    kernels::elementwise,
    nn::Activation,
};
use rayon::prelude::*;

/// Rows that one task looks at.
const TASK_ROWS: usize = 256;

/// The names of a data set's values in errors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names {
    rows: &'static str,
    targets: &'static str,
}

impl Names {
    /// Returns the name of the targets, which are the rows themselves if a data set has no others.
    pub(super) fn of_targets(self, samples: &dyn Dataset) -> &'static str {
        if samples.has_targets() { self.targets } else { self.rows }
    }
}

/// The rows of training.
pub(super) const TRAINING: Names = Names { rows: "rows to train on", targets: "targets" };
/// The rows of validation.
pub(super) const VALIDATION: Names = Names { rows: "validation rows", targets: "validation targets" };

/// Refuses values that are not finite, and targets that are outside the range of the output activation.
///
/// # Errors
/// [`Error::Data`] with the first row and column.
pub(super) fn check(samples: &dyn Dataset, names: Names, output: Activation) -> Result<()> {
    let rows = samples.len();
    let first_error = |task: usize| {
        let mut values = vec![0.0; samples.features()];
        (task * TASK_ROWS..rows.min((task + 1) * TASK_ROWS))
            .find_map(|row| check_row(samples, row, &mut values, names, output).err())
    };
    (0..rows.div_ceil(TASK_ROWS)).into_par_iter().find_map_first(first_error).map_or(Ok(()), Err)
}

fn check_row(
    samples: &dyn Dataset,
    row: usize,
    values: &mut [f32],
    names: Names,
    output: Activation,
) -> Result<()> {
    samples.copy_row(row, values);
    if samples.has_targets() {
        check_finite(names.rows, row, values)?;
        samples.copy_target(row, values);
        check_finite(names.targets, row, values)?;
    } else if output.range().is_none() || !are_reachable(values, output) {
        // Values in the range are finite: most rows are looked at once.
        check_finite(names.rows, row, values)?;
    }
    unreachable(names.of_targets(samples), row, values, output).map_or(Ok(()), Err)
}

fn check_finite(what: &'static str, row: usize, values: &[f32]) -> Result<()> {
    if elementwise::are_finite(values) {
        return Ok(());
    }
    let bad = values.iter().enumerate().find(|(_, value)| !value.is_finite());
    bad.map_or(Ok(()), |(column, value)| {
        let found = format_args!("{value} at row {row}, column {column}");
        Err(Error::data(what, "finite numbers", found))
    })
}

/// Copies the target of a row, whether it has its own or is its own.
pub(super) fn copy(samples: &dyn Dataset, row: usize, target: &mut [f32]) {
    if samples.has_targets() { samples.copy_target(row, target) } else { samples.copy_row(row, target) }
}

/// Returns true if the output activation can reach all of a target.
pub(super) fn are_reachable(target: &[f32], output: Activation) -> bool {
    output.range().is_none_or(|[low, high]| elementwise::are_between(target, low, high))
}

/// The error for the first finite value of a row's target that is outside the range of the output activation.
pub(super) fn unreachable(
    what: &'static str,
    row: usize,
    target: &[f32],
    output: Activation,
) -> Option<Error> {
    let [low, high] = output.range()?;
    if elementwise::are_between(target, low, high) {
        return None;
    }
    let column = target.iter().position(|value| value.is_finite() && !(low..=high).contains(value))?;
    let expected = format_args!("values in [{low}, {high}] for a model with {output} outputs");
    let found = format_args!(
        "{} at row {row}, column {column}; rescale them, or build the model with `output_activation(Activation::Identity)`",
        target[column]
    );
    Some(Error::data(what, expected, found))
}
