//! `quickstart`, and what all examples have in common: flags, errors, closed pipes.

use super::{example, fail, number, picture, program, rows, text};
use autoencoder::Autoencoder;
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

fn quickstart(out: &Path, flags: &[&str]) -> Value {
    let small = ["--dataset", "digits", "--limit", "300", "--hidden", "64", "--code", "16", "--out"];
    let output = example("quickstart", &[&small[..], &[out.to_str().unwrap()], flags].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("drawn digits: 300 training and 10000 test images"));
    serde_json::from_slice(&fs::read(out.join("summary.json")).unwrap()).unwrap()
}

#[test]
fn quickstart_writes_what_it_promises() {
    let folder = tempfile::tempdir().unwrap();
    let summary =
        quickstart(folder.path(), &["--epochs", "8", "--batch-size", "32", "--threads", "2", "--seed", "4"]);
    for (key, expected) in [
        ("dataset", "drawn digits".into()),
        ("train_images", 300.into()),
        ("test_images", 10_000.into()),
        ("widths", vec![784, 64, 16, 64, 784].into()),
        ("epochs", 8.into()),
        ("seed", 4.into()),
        ("noise_variance", 0.25.into()),
        ("learning_rate", 0.001.into()),
        ("clamped", false.into()),
        ("threads", 2.into()),
        ("loss", "bce".into()),
        ("init", Value::from("he")),
    ] {
        assert_eq!(summary[key], expected, "{key}");
    }
    let figure = |key: &str| summary[key].as_f64().unwrap_or_else(|| panic!("no {key}"));
    assert!(figure("denoised_psnr_pooled_db") > figure("noisy_psnr_pooled_db") + 2.0);
    assert!(figure("denoised_psnr_mean_db") > figure("noisy_psnr_mean_db") + 2.0);
    // Gaussian noise of variance 0.25, not clamped: 10 log10(1 / 0.25).
    assert!((figure("noisy_psnr_pooled_db") - 6.02).abs() < 0.02);
    assert!((figure("test_psnr_pooled_db") + 10.0 * figure("test_mse").log10()).abs() < 1e-9);
    assert!(figure("test_psnr_mean_db") > 5.0 && figure("seconds") > 0.0);
    assert!(figure("train_images_per_second") > 0.0);

    let history = rows(folder.path().join("history.csv"));
    assert_eq!(history.len(), 8);
    assert!(number(&history[7], "loss") < number(&history[0], "loss"));
    assert_eq!(
        Autoencoder::load(folder.path().join("model.safetensors")).unwrap().widths(),
        [784, 64, 16, 64, 784]
    );
    for (name, rows) in [("denoised.png", 3), ("reconstructed.png", 2)] {
        assert_eq!(picture(folder.path().join(name)), (10 * 86 + 2, rows * 86 + 2));
    }
}

#[test]
fn quickstart_is_the_same_for_a_seed_and_plain_without_noise() {
    let [first, second] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let flags = ["--epochs", "1", "--noise-variance", "0", "--dropout", "0.2", "--lasso", "1e-5"];
    let summary = quickstart(first.path(), &[&flags[..], &["--threads", "1"]].concat());
    quickstart(second.path(), &[&flags[..], &["--threads", "3"]].concat());
    let model = |folder: &Path| fs::read(folder.join("model.safetensors")).unwrap();
    assert!(model(first.path()) == model(second.path()));
    assert_eq!((&summary["noise_variance"], &summary["lasso"]), (&0.0.into(), &1e-5.into()));
    assert!(summary.get("denoised_psnr_mean_db").is_none());
    assert!(!first.path().join("denoised.png").exists());
}

#[test]
fn quickstart_uses_drawn_digits_where_there_is_no_mnist_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let tiny = ["--epochs", "1", "--limit", "100", "--hidden", "8", "--code", "4"];
    let output = example("quickstart", &[&tiny[..], &["--out", path]].concat());
    assert!(output.status.success());
    let said = text(&output.stdout);
    assert!(said.starts_with("MNIST not found") && said.contains("AUTOENCODER_DATA"), "{said}");
    assert!(
        said.contains("looked in data/mnist and data/MNIST/raw for train-images-idx3-ubyte.gz"),
        "{said}"
    );
    let command = "cargo run --release --features download --example fetch_data -- --dataset both";
    assert!(said.contains(command), "{said}");

    // A folder that was named is not replaced by drawn digits.
    let said = fail("quickstart", &["--data-dir", path, "--out", path], 1);
    assert!(said.contains(&format!("looked in {path}/mnist and {path}/MNIST/raw for ")), "{said}");
    assert!(said.contains(&format!("{command} --data-dir {path}")), "{said}");
    let flags = ["--dataset", "fashion-mnist", "--data-dir", path, "--out", path];
    assert!(fail("quickstart", &flags, 1).contains(command));
    let said = fail("quickstart", &["--data-dir", "/nowhere", "--out", path], 1);
    assert!(said.contains("error: /nowhere: "), "{said}");
    // The folder with the files, instead of the one above.
    fs::write(folder.path().join("train-images-idx3-ubyte"), []).unwrap();
    let said = fail("quickstart", &["--data-dir", path, "--out", path], 1);
    assert!(said.contains("has such files itself: --data-dir must be the folder above"), "{said}");
}

/// A run that is killed and resumed on a different number of threads writes the same model and metrics as an
/// uninterrupted run.
#[test]
fn quickstart_goes_on_after_a_kill_to_the_same_model() {
    let [whole, killed] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let flags = ["--epochs", "15", "--batch-size", "64", "--dropout", "0.3", "--lasso", "1e-5"];
    quickstart(whole.path(), &[&flags[..], &["--threads", "2"]].concat());

    let checkpoints = killed.path().join("checkpoints");
    let small = ["--dataset", "digits", "--limit", "300", "--hidden", "64", "--code", "16", "--out"];
    let mut command = Command::new(program("quickstart"));
    command.args(small).arg(killed.path()).args(flags).args(["--threads", "1", "--checkpoint-every", "7"]);
    // With --resume, although there is no checkpoint yet.
    let mut child = command.arg("--resume").stdout(Stdio::null()).spawn().unwrap();
    let steps = || {
        let names = fs::read_dir(&checkpoints).into_iter().flatten().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_str().unwrap().starts_with("step-")).count()
    };
    while steps() < 2 && child.try_wait().unwrap().is_none() {
        thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!killed.path().join("model.safetensors").exists(), "it was to be killed before its end");

    // Another seed, or a new start in the same folder, is refused; existing files are kept.
    let refused = |flags: &[&str], code| {
        let out = killed.path().to_str().unwrap();
        fail("quickstart", &[&small[..], &[out], flags].concat(), code)
    };
    let said = refused(&[&flags[..], &["--resume", "--seed", "1"]].concat(), 1);
    assert!(said.contains("cannot resume: seed: the checkpoint has 0, this run has 1"), "{said}");
    let said = refused(&[&flags[..], &["--resume", "--init", "glorot"]].concat(), 1);
    assert!(said.contains("cannot resume: initial weights: "), "{said}");
    let said = refused(&[&flags[..], &["--checkpoint-every", "7"]].concat(), 2);
    assert!(said.contains("pass --resume to continue it, or another --out"), "{said}");

    let resume = ["--threads", "3", "--checkpoint-every", "7", "--resume"];
    let output = example(
        "quickstart",
        &[&small[..], &[killed.path().to_str().unwrap()], &flags[..], &resume].concat(),
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("\nresuming after step "), "{}", text(&output.stdout));
    let model = |folder: &Path| fs::read(folder.join("model.safetensors")).unwrap();
    assert!(model(killed.path()) == model(whole.path()));
    let epochs = |folder: &Path| {
        let mut rows = rows(folder.join("history.csv"));
        for row in &mut rows {
            row.retain(|column, _| !["seconds", "images_per_second"].contains(&column.as_str()));
        }
        rows
    };
    assert_eq!(epochs(killed.path()), epochs(whole.path()));
}

/// Output to a pipe has lines and no control codes; `--quiet` still writes the files.
#[test]
fn what_is_said_is_plain_lines_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let tiny = ["--dataset", "digits", "--epochs", "2", "--limit", "100", "--hidden", "8"];
    for (name, own) in [("quickstart", ["--code", "4"]), ("architectures", ["--codes", "4"])] {
        let flags = [&tiny[..], &own, &["--out", out]].concat();
        let output = example(name, &flags);
        assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
        let said = text(&output.stdout);
        assert!(
            said.lines().count() > 2 && !said.contains(|c: char| c.is_control() && c != '\n'),
            "{said:?}"
        );
        fs::remove_file(folder.path().join("history.csv")).unwrap();
        let output = example(name, &[&flags[..], &["--quiet"]].concat());
        assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty());
        assert!(folder.path().join("history.csv").exists());
    }
}

#[test]
fn bad_flags_get_one_line_and_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    for flags in [
        "--epochs x",
        "--epochs 0",
        "--epochs -1",
        "--dataset foo",
        "--noise-variance -1",
        "--noise-variance nan",
        "--code 0",
        "--hidden 1,,2",
        "--hidden 99999999999999",
        "--hidden 100000,100000",
        "--batch-size 0",
        "--learning-rate inf",
        "--dropout 1",
        "--lasso -1",
        "--loss hinge",
        "--init zero",
        "--seed -1",
        "--threads 0",
        "--threads 100000",
        "--checkpoint-every 0",
        "--checkpoint-every x",
        "--resume=yes",
        "--limit 0",
        "--bogus",
        "stray",
    ] {
        let flags: Vec<_> = flags.split(' ').chain(["--out", out]).collect();
        fail("quickstart", &flags, 2);
    }
}

#[test]
fn a_failed_run_gets_one_line_and_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let (out, blocked) = (folder.path().to_str().unwrap(), file.join("out"));
    for flags in [
        vec!["--dataset", "mnist", "--data-dir", "/nowhere", "--out", out],
        vec!["--dataset", "digits", "--out", blocked.to_str().unwrap()],
        vec!["--dataset", "digits", "--limit", "300", "--learning-rate", "1e30", "--out", out],
    ] {
        fail("quickstart", &flags, 1);
    }
}

/// Standard error may be closed.
#[cfg(target_os = "linux")]
#[test]
fn an_error_that_cannot_be_written_keeps_its_code() {
    for (flags, code) in [("--epochs x", 2), ("--epochs 0", 2), ("--dataset mnist --data-dir /nowhere", 1)] {
        let folder = tempfile::tempdir().unwrap();
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = Command::new(program("quickstart"));
        let status = command.args(flags.split(' ')).current_dir(&folder).stderr(full).status().unwrap();
        assert_eq!(status.code(), Some(code), "{flags}");
    }
}

/// A reader that closes the pipe, as `head` does, is not an error; a full disk is.
#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let flags = [
        "--dataset",
        "digits",
        "--limit",
        "100",
        "--hidden",
        "8",
        "--code",
        "4",
        "--epochs",
        "2",
        "--out",
        out,
    ];
    for (sink, code) in [("/dev/full", 1), ("", 0)] {
        let stdout = if sink.is_empty() {
            let mut reader = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
            let pipe = reader.stdin.take().unwrap();
            reader.wait().unwrap();
            Stdio::from(pipe)
        } else {
            Stdio::from(fs::File::options().write(true).open(sink).unwrap())
        };
        let mut command = Command::new(program("quickstart"));
        command.args(flags).stdout(stdout).stderr(Stdio::piped());
        let output = command.spawn().unwrap().wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{sink}: {}", text(&output.stderr));
        assert!(text(&output.stderr).lines().count() <= 1);
    }
}
