//! The conditions of the runs: data, models, seeds, computer, time.

use super::{Flags, anomaly_epochs};
use crate::{
    experiments::lab::{Effort, Set},
    report::{
        grouped,
        verdict::{ONE_SEED_DB, capitalized, listed},
    },
};
use std::time::Duration;
use sysinfo::System;

/// Returns name and value of each condition of the runs.
pub(super) fn all(
    flags: &Flags,
    sets: &[Set],
    effort: &Effort,
    processes: Option<usize>,
    elapsed: Duration,
) -> Vec<(String, String)> {
    let study = &flags.study;
    let training = format!(
        "{} epochs ({} for the anomaly models), batches of {}",
        study.epochs(),
        anomaly_epochs(study),
        study.batch_size()
    );
    [
        ("Images", images(sets, study.limit())),
        ("Models", models(flags)),
        ("Training", training),
        (if study.seeds().len() == 1 { "Seed" } else { "Seeds" }, seeds(&study.seeds())),
        ("Computer", computer(processes)),
        ("Time", time(effort, elapsed)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn images(sets: &[Set], limit: Option<usize>) -> String {
    let counts = sets.iter().map(|set| {
        let [train, test] = [&set.train, &set.test].map(|images| grouped(images.len()));
        format!("{}: {train} for training, {test} for tests", set.title())
    });
    let mut text = counts.collect::<Vec<_>>().join("; ") + ".";
    if let Some(set) = sets.iter().find(|set| set.name == "digits") {
        let (height, width) = set.test.image_shape();
        text += &format!(
            " The library draws these digits from strokes, {height}x{width} pixels, as a stand-in for MNIST."
        );
    }
    if limit.is_some() {
        text += " `--limit` caps the training and the test images.";
    }
    text
}

/// Names the architectures, and says what "layers per side" are.
fn models(flags: &Flags) -> String {
    let architectures = flags.grid.architectures().into_iter().map(|hidden| {
        let widths: Vec<_> = hidden.iter().map(usize::to_string).collect();
        let layers = match widths.as_slice() {
            [] => "code".to_owned(),
            widths => format!("{}-code", widths.join("-")),
        };
        format!("{} ({layers})", flags.grid.words(&hidden))
    });
    let architectures: Vec<String> = architectures.collect();
    let names: Vec<&str> = architectures.iter().map(String::as_str).collect();
    format!(
        "Dense autoencoders: {}. The layers of a side are the hidden layers of the encoder and the code; the decoder mirrors \
         them.",
        listed(&names)
    )
}

fn seeds(seeds: &[u64]) -> String {
    let numbers: Vec<String> = seeds.iter().map(u64::to_string).collect();
    if let [seed] = numbers.as_slice() {
        format!("{seed} (one seed; differences below {ONE_SEED_DB} dB count as noise)")
    } else {
        format!("{} (a difference counts if it exceeds the range of the seeds)", numbers.join(", "))
    }
}

fn computer(processes: Option<usize>) -> String {
    let system = System::new_all();
    let cpu = system.cpus().first().map_or("unknown CPU", |cpu| cpu.brand().trim());
    let computer = format!(
        "{cpu}, {} cores, {} worker threads, {:.0} GiB of memory",
        system.cpus().len(),
        rayon::current_num_threads(),
        system.total_memory() as f64 / f64::from(1 << 30)
    );
    match processes {
        Some(count) if count > 1 => format!("{count} processes; the first ran on {computer}"),
        _ => capitalized(&computer),
    }
}

fn time(effort: &Effort, elapsed: Duration) -> String {
    let reused = match effort.reused {
        0 => String::new(),
        count => format!(", {count} of them reused from earlier"),
    };
    format!(
        "{:.1} minutes; {} runs{reused}, with {:.1} minutes of training in total (runs may overlap)",
        elapsed.as_secs_f64() / 60.0,
        effort.runs,
        effort.seconds / 60.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use autoencoder::data::digits;
    use clap::Parser;

    #[test]
    fn the_time_mentions_reused_runs_only_if_there_are_any() {
        let says = |reused| time(&Effort { runs: 28, reused, seconds: 438.0 }, Duration::from_secs(414));
        assert_eq!(says(0), "6.9 minutes; 28 runs, with 7.3 minutes of training in total (runs may overlap)");
        assert!(says(3).starts_with("6.9 minutes; 28 runs, 3 of them reused from earlier, with 7.3"));
    }

    #[test]
    fn images_and_models_are_explained() {
        let images = || digits::generate(20, 1).unwrap();
        let set = |name: &str| Set::new(name, images(), images());
        assert_eq!(
            super::images(&[set("digits")], Some(20)),
            "Drawn digits: 20 for training, 20 for tests. The library draws these digits from strokes, 28x28 pixels, as a \
             stand-in for MNIST. `--limit` caps the training and the test images."
        );
        assert_eq!(super::images(&[set("mnist")], None), "MNIST: 20 for training, 20 for tests.");
        let models = models(&Flags::parse_from(["study"]));
        assert!(
            models.contains("three layers per side (512-256-code) and five layers per side (512-384-256-128-code). The layers"),
            "{models}"
        );
        assert_eq!(seeds(&[0]), "0 (one seed; differences below 0.5 dB count as noise)");
        assert!(seeds(&[0, 1]).starts_with("0, 1 (a difference counts"));
    }
}
