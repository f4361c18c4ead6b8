//! The examples as processes: their files are parsed back, and invalid flags and failed runs end as documented.

#[cfg(feature = "download")]
mod fetch;
mod flags;
mod quickstart;
mod short;
mod study;
mod threads;
mod tools;

#[cfg(feature = "download")]
#[path = "../common/server.rs"]
mod server;

use std::{
    collections::HashMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// An example that cargo built beside this test.
fn program(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap().join("examples");
    folder.join(name).with_extension(env::consts::EXE_EXTENSION)
}

/// Returns the output and the exit status of an example.
fn example(name: &str, flags: &[&str]) -> Output {
    // Without the variable and without data/, the run is the same everywhere.
    let elsewhere = tempfile::tempdir().unwrap();
    Command::new(program(name))
        .args(flags)
        .env_remove("AUTOENCODER_DATA")
        .current_dir(&elsewhere)
        .output()
        .unwrap()
}

/// Runs an example that must succeed and returns its output. Flags are one string; `out` is the folder for its files.
fn succeed(name: &str, flags: &str, out: &Path) -> String {
    let flags: Vec<_> = flags.split_whitespace().chain(["--out", out.to_str().unwrap()]).collect();
    let output = example(name, &flags);
    assert!(output.status.success(), "{name} {flags:?}: {}", text(&output.stderr));
    text(&output.stdout).to_owned()
}

/// Runs an example that must end with a one-line error and this exit code.
fn fail(name: &str, flags: &[&str], code: i32) -> String {
    let output = example(name, flags);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{name} {flags:?}: {said}");
    assert!(said.starts_with("error: ") && said.lines().count() == 1, "{name} {flags:?}: {said}");
    said.to_owned()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Returns the rows of a CSV file as maps from column to value.
fn rows(path: impl AsRef<Path>) -> Vec<HashMap<String, String>> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    reader.deserialize().map(Result::unwrap).collect()
}

fn number(row: &HashMap<String, String>, column: &str) -> f64 {
    row[column].parse().unwrap_or_else(|_| panic!("{column}: {}", row[column]))
}

/// Decodes a picture and returns its width and height.
fn picture(path: impl AsRef<Path>) -> (u32, u32) {
    let file = fs::File::open(path).unwrap();
    let mut reader = png::Decoder::new(std::io::BufReader::new(file)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    (info.width, info.height)
}

/// Returns the number of marked points in a chart.
fn points(path: impl AsRef<Path>) -> usize {
    let svg = fs::read_to_string(path).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    svg.matches("<circle").count()
}
