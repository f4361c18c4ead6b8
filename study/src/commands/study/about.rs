//! The sections about the method and about the files, and where the numbers come from.

use super::Flags;
use crate::report::{
    Block, Section,
    detection::{LOW_RATE, WELL},
    verdict::{ONE_SEED_DB, VISIBLE_DB},
};
use serde_json::{Value, json};
use std::env;

pub(super) fn method(flags: &Flags) -> Section {
    let mut method = Section::new("Method");
    let study = &flags.study;
    method.text(format!(
        "The models have ReLU in the hidden layers, a linear code and a sigmoid output. Initialization: {:?}. Training: Adam \
         with learning rate {}, loss {}. Pixels are in [0, 1].",
        study.init,
        study.learning_rate,
        format!("{:?}", study.loss).to_uppercase()
    ));
    let ranges = if study.seeds().len() > 1 {
        " A cell with a range shows the mean over seeds, with the lowest and the highest value. Bands in charts show the same \
         range."
    } else {
        ""
    };
    method.text(format!(
        "PSNR is 10 log10(1 / MSE) in dB. The pooled PSNR uses the mean squared error of all test images; the mean over \
         images averages the PSNR of each image and can be more than 1 dB higher. SSIM is the mean structural similarity \
         with Gaussian weights of standard deviation 1.5.{ranges}"
    ));
    method.text(format!(
        "Fixed rules generate the answers. With several seeds, a difference counts if its mean exceeds its range over the \
         seeds and {VISIBLE_DB} dB. With one seed, it counts above {ONE_SEED_DB} dB, because the PSNR of equal models varies \
         by 0.1 to 0.5 dB over three seeds. An AUROC within two standard errors of 0.5 is no better than chance; one of at \
         least {WELL} is well above it. Curves are compared with the diagonal at a false positive rate of {:.0}%.",
        100.0 * LOW_RATE
    ));
    method.text(
        "Training errors are averages over the batches of an epoch, measured while the weights change. Everything else is \
         measured on the test images. Training never uses them, but the best of several models, and the architecture for \
         denoising, are chosen by test PSNR.",
    );
    method
}

/// Returns the command that made the report.
fn command(processes: Option<usize>) -> String {
    let flags: Vec<_> = env::args_os().skip(1).map(|flag| flag.to_string_lossy().into_owned()).collect();
    let program = match processes {
        Some(count) => format!("mpirun -n {count} study"),
        None => "cargo run --release --example study --".to_owned(),
    };
    format!("{program} {}", flags.join(" "))
}

/// Returns command, seeds and versions for `study.json`.
pub(super) fn origin(flags: &Flags, processes: Option<usize>) -> Value {
    json!({
        "command": command(processes),
        "seeds": flags.study.seeds(),
        "autoencoder": env!("CARGO_PKG_VERSION"),
        "rustc": rustc_version_runtime::version().to_string(),
        "system": format!("{} {}", env::consts::OS, env::consts::ARCH),
    })
}

/// Returns the section about the command and the files beside the page.
pub(super) fn provenance(flags: &Flags, processes: Option<usize>, sections: &[Section]) -> Section {
    let mut section = Section::new("How this report was made");
    section.blocks.push(Block::Terminal(command(processes)));
    let seeds: Vec<String> = flags.study.seeds().iter().map(u64::to_string).collect();
    let [noun, verb] = if seeds.len() == 1 { ["seed", "reproduces"] } else { ["seeds", "reproduce"] };
    section.text(format!(
        "autoencoder {}, rustc {}, {} {}. The same {noun} ({}) {verb} these numbers on this kind of CPU, for any number of threads, \
         of concurrent runs and of processes.",
        env!("CARGO_PKG_VERSION"),
        rustc_version_runtime::version(),
        env::consts::OS,
        env::consts::ARCH,
        seeds.join(", ")
    ));
    section.text("The files beside this page:");
    let fixed = [
        ("runs.csv", "settings and results, one row per run"),
        ("history.csv", "errors by epoch, one row per epoch of each run"),
        ("tables.md", "this page without pictures"),
        (
            "study.json",
            "command, versions, conditions, answers, the CSV files listed below, and each run with its history",
        ),
    ];
    let fixed = fixed.map(|(name, content)| (name.to_owned(), content.to_owned()));
    let data = sections.iter().flat_map(|section| &section.data);
    let files = fixed.into_iter().chain(data.map(|data| (data.file(), data.content.to_owned())));
    section.blocks.push(Block::Files(files.collect()));
    section
}
