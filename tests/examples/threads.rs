use crate::{program, text};
use std::process::Command;

/// rayon would start as many threads as the environment says.
#[test]
fn threads_from_the_environment_are_limited() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(program("custom_data"))
        .args(["--images", "missing.idx", "--out", "."])
        .current_dir(&folder)
        .env("RAYON_NUM_THREADS", "100000")
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert!(
        said.starts_with("RAYON_NUM_THREADS = 100000: using 1024 threads, the maximum\nerror: "),
        "{said}"
    );
}
