//! Progress of a sweep.

use super::records::title;
use crate::{
    cli::{
        progress::{style, target},
        say,
    },
    sweep::Run,
};
use autoencoder::train::{EpochRecord, TrainEvent};
use indicatif::{MultiProgress, ProgressBar};
use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    time::{Duration, Instant},
};

/// Shows a sweep: one line per finished run and, on a terminal, a bar for the sweep and for each run in flight.
pub struct SweepProgress<'a> {
    runs: &'a [Run],
    bars: MultiProgress,
    /// Counts epochs.
    whole: ProgressBar,
    current: BTreeMap<usize, Current>,
}

/// A run in flight.
struct Current {
    bar: ProgressBar,
    start: Instant,
    epochs: usize,
}

impl<'a> SweepProgress<'a> {
    pub fn new(runs: &'a [Run]) -> Self {
        let bars = MultiProgress::with_draw_target(target());
        let epochs: usize = runs.iter().map(|run| run.train.epochs).sum();
        let whole = bars.add(ProgressBar::new(epochs as u64));
        whole.set_style(style("{wide_msg} [{bar:10}] {elapsed}, {eta} left"));
        Self { runs, bars, whole, current: BTreeMap::new() }
    }

    /// A callback for the sweep.
    pub fn show(&mut self, number: usize, event: TrainEvent) -> ControlFlow<()> {
        let run = &self.runs[number];
        let bars = (&self.bars, &self.whole);
        let current = self.current.entry(number).or_insert_with(|| {
            let bar = bars.0.insert_before(bars.1, ProgressBar::no_length());
            bar.set_style(style("{wide_msg} [{bar:10}] {eta} left"));
            Current { bar, start: Instant::now(), epochs: 0 }
        });
        match event {
            TrainEvent::Batch { epoch, batch, batches, loss } => {
                let bar = &current.bar;
                bar.set_length(run.train.epochs.saturating_mul(batches) as u64);
                bar.set_position(((epoch - 1) * batches + batch) as u64);
                bar.set_message(format!(
                    "{}: epoch {epoch}/{}, loss {:.4}, {:.0} images/s",
                    title(run),
                    run.train.epochs,
                    loss.total(),
                    bar.per_sec() * run.train.batch_size as f64
                ));
                self.whole.tick();
            }
            TrainEvent::Epoch { record, .. } => {
                current.epochs = record.epoch;
                let done = (record.epoch == run.train.epochs).then(|| {
                    current.bar.finish_and_clear();
                    current.start.elapsed()
                });
                self.count();
                if let Some(time) = done {
                    self.current.remove(&number);
                    return self.tell(number, record, time);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    /// Updates the sweep's bar. Runs start in order, and runs with an existing record send no events.
    fn count(&self) {
        let begun = self.current.keys().max().map_or(0, |last| last + 1);
        let epochs = |number: usize| match self.current.get(&number) {
            Some(current) => current.epochs,
            None => self.runs[number].train.epochs,
        };
        self.whole.set_position((0..begun).map(epochs).sum::<usize>() as u64);
        let done = (0..begun).filter(|&number| epochs(number) == self.runs[number].train.epochs).count();
        self.whole.set_message(format!("{done}/{} runs", self.runs.len()));
    }

    fn tell(&self, number: usize, record: &EpochRecord, time: Duration) -> ControlFlow<()> {
        let test = record.validation.map_or(f64::NAN, |validation| validation.output.psnr_pooled_db);
        let line = format!(
            "run {}/{}: {}: test PSNR {test:.2} dB, {:.1} s, {:.0} images/s",
            number + 1,
            self.runs.len(),
            title(&self.runs[number]),
            time.as_secs_f64(),
            record.rows_per_second
        );
        match self.bars.suspend(|| say(&line)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

impl Drop for SweepProgress<'_> {
    fn drop(&mut self) {
        self.current.values().for_each(|current| current.bar.finish_and_clear());
        self.whole.finish_and_clear();
    }
}
