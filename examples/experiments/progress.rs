//! A sweep as it goes.

use super::records::title;
use crate::common::{progress::style, say};
use autoencoder::{sweep::Run, train::Event};
use indicatif::{MultiProgress, ProgressBar};
use std::{collections::BTreeMap, ops::ControlFlow, time::Instant};

/// Shows a sweep: a bar for it and one for each run in flight on a terminal, a line a run everywhere.
pub struct SweepProgress<'a> {
    runs: &'a [Run],
    bars: MultiProgress,
    whole: ProgressBar,
    current: BTreeMap<usize, (ProgressBar, Instant)>,
}

impl<'a> SweepProgress<'a> {
    pub fn new(runs: &'a [Run]) -> Self {
        let bars = MultiProgress::new();
        let whole = bars.add(ProgressBar::new(runs.len() as u64));
        whole.set_style(style("{pos}/{len} runs [{bar:30}] {elapsed} so far, {eta} left"));
        Self { runs, bars, whole, current: BTreeMap::new() }
    }

    /// A callback for the sweep.
    pub fn show(&mut self, number: usize, event: Event) -> ControlFlow<()> {
        let run = &self.runs[number];
        if !self.current.contains_key(&number) {
            let bar = self.bars.insert_before(&self.whole, ProgressBar::no_length());
            bar.set_style(style("{msg} [{bar:20}] {eta} left"));
            self.current.insert(number, (bar, Instant::now()));
            // Runs are begun in their order; those whose records stood are never heard of.
            let begun = self.current.keys().max().map_or(0, |last| last + 1);
            self.whole.set_position((begun - self.current.len()) as u64);
        }
        let Some((bar, start)) = self.current.get(&number) else { return ControlFlow::Continue(()) };
        match event {
            Event::Batch { epoch, batch, batches, loss } => {
                let rows = run.train.batch_size as f64;
                bar.set_length(run.train.epochs.saturating_mul(batches) as u64);
                bar.set_position(((epoch - 1) * batches + batch) as u64);
                bar.set_message(format!(
                    "{}: epoch {epoch}/{}, loss {:.4}, {:.0} images/s",
                    title(run),
                    run.train.epochs,
                    loss.total(),
                    bar.per_sec() * rows
                ));
            }
            Event::Epoch { record, .. } if record.epoch == run.train.epochs => {
                let test = record.validation.map_or(f64::NAN, |validation| validation.output.psnr_pooled_db);
                let line = format!(
                    "run {}/{}: {}: test PSNR {test:.2} dB, {:.1} s, {:.0} images/s",
                    number + 1,
                    self.runs.len(),
                    title(run),
                    start.elapsed().as_secs_f64(),
                    record.images_per_second
                );
                bar.finish_and_clear();
                self.current.remove(&number);
                self.whole.inc(1);
                if self.bars.suspend(|| say(&line)).is_err() {
                    return ControlFlow::Break(());
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Drop for SweepProgress<'_> {
    fn drop(&mut self) {
        self.current.values().for_each(|(bar, _)| bar.finish_and_clear());
        self.whole.finish_and_clear();
    }
}
