//! Targets that the outputs of a model cannot reach are refused.

use crate::{
    data::Dataset,
    error::{Error, Result},
    kernels::elementwise,
    nn::Activation,
};
use rayon::prelude::*;

/// Rows that one task looks at.
const TASK_ROWS: usize = 256;

/// Refuses targets that are outside the range of the output activation. Values that are not finite are left to training,
/// which reports them.
///
/// # Errors
/// [`Error::Data`] with the first row and column.
pub(super) fn check(samples: &dyn Dataset, output: Activation) -> Result<()> {
    if output.range().is_none() {
        return Ok(());
    }
    let rows = samples.len();
    let unreachable = |task: usize| {
        let mut target = vec![0.0; samples.features()];
        (task * TASK_ROWS..rows.min((task + 1) * TASK_ROWS)).find_map(|row| {
            copy(samples, row, &mut target);
            unreachable(row, &target, output)
        })
    };
    (0..rows.div_ceil(TASK_ROWS)).into_par_iter().find_map_first(unreachable).map_or(Ok(()), Err)
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
pub(super) fn unreachable(row: usize, target: &[f32], output: Activation) -> Option<Error> {
    let [low, high] = output.range()?;
    if elementwise::are_between(target, low, high) {
        return None;
    }
    let column = target.iter().position(|value| value.is_finite() && !(low..=high).contains(value))?;
    let expected = format_args!("values in [{low}, {high}] for a model with {output} outputs");
    let found = format_args!("{} at row {row}, column {column}", target[column]);
    Some(Error::data("targets", expected, found))
}
