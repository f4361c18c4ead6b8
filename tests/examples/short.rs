//! The short examples run, print something and write nothing outside `out/`.

use super::{picture, program, text};
use std::{fs, process::Command};

#[test]
fn short_examples_run() {
    let folder = tempfile::tempdir().unwrap();
    for (name, said) in [
        ("train", "test PSNR"),
        ("denoise", "denoised: "),
        ("score_anomalies", "area under the ROC curve: 0.9"),
        ("training_loop", "epoch 5: loss"),
        ("stop_and_resume", "6 epochs in the history; same weights: true"),
        ("custom_layers", "after 10 epochs"),
    ] {
        let output = Command::new(program(name)).current_dir(&folder).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{name}: {}", text(&output.stderr));
        assert!(text(&output.stdout).contains(said), "{name}: {}", text(&output.stdout));
    }
    let written: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(written, ["out"]);
    assert_eq!(picture(folder.path().join("out/denoise/digits.png")), (10 * 86 + 2, 3 * 86 + 2));
}
