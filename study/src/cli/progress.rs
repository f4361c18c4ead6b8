//! A progress bar on a terminal, and one line per epoch everywhere.
//!
//! Bars go to standard error, and only if that is a terminal that can move its cursor. They have no colors.

use autoencoder::train::{EpochRecord, TrainEvent};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::ops::ControlFlow;

/// Shows the progress of a training run.
pub struct Progress {
    bar: ProgressBar,
    epochs: usize,
    denoising: bool,
}

impl Progress {
    pub fn new(epochs: usize, denoising: bool) -> Self {
        let bar = ProgressBar::with_draw_target(None, target());
        bar.set_style(style("{wide_msg} [{bar:10}] {eta} left"));
        Self { bar, epochs, denoising }
    }

    /// A callback for the trainer.
    pub fn show(&mut self, event: TrainEvent) -> ControlFlow<()> {
        match event {
            TrainEvent::Batch { epoch, batch, batches, loss } => {
                self.bar.set_length(self.epochs.saturating_mul(batches) as u64);
                self.bar.set_position(((epoch - 1) * batches + batch) as u64);
                self.bar.set_message(format!("epoch {epoch}/{}, loss {:.4}", self.epochs, loss.total()));
            }
            TrainEvent::Epoch { record, .. } => {
                let line = line(record, self.epochs, self.denoising);
                let said = self.bar.suspend(|| super::say(&line));
                return if said.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn line(record: &EpochRecord, epochs: usize, denoising: bool) -> String {
    let what = if denoising { "denoised test images" } else { "test images" };
    let test = record.validation.map_or_else(String::new, |validation| {
        format!(", {what} {:.2} dB", validation.output.psnr_pooled_db)
    });
    format!(
        "epoch {:>2}/{epochs}: loss {:.5}, PSNR {:.2} dB{test}, {:.0} images/s",
        record.epoch, record.loss, record.psnr_db, record.rows_per_second
    )
}

/// Returns where bars are drawn.
pub fn target() -> ProgressDrawTarget {
    if super::is_quiet() { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() }
}

/// Returns the style of a bar.
pub fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
