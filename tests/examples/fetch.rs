//! Failed downloads. Successful ones are tested in `tests/it/real_data.rs`.

use super::{
    example, fail,
    server::{Answer, Server},
    text,
};
use std::fs;

const FILES: [&str; 4] = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
];

#[test]
fn mirrors_are_tried_in_order_and_failures_are_said() {
    let (first, second) =
        (Server::new(|_| Answer::Status(404)), Server::new(|_| Answer::Body(b"no".to_vec())));
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    for (dataset, name) in [("fashion-mnist", "fashion-mnist"), ("both", "mnist")] {
        let mirrors = ["--mirror", first.url(), "--mirror", second.url()];
        let output =
            example("fetch_data", &[&["--dataset", dataset, "--data-dir", data], &mirrors[..]].concat());
        assert_eq!(output.status.code(), Some(1));
        // The first file that no mirror has ends the download.
        let url = |server: &Server| format!("{}{name}/{}", server.url(), FILES[0]);
        let said: Vec<_> = text(&output.stdout).lines().collect();
        assert_eq!(said.len(), 2, "{said:?}");
        assert_eq!(said[0], format!("{}: status 404", url(&first)));
        assert!(said[1].starts_with(&format!("{}: not a valid gzip file", url(&second))), "{said:?}");
        let error = text(&output.stderr);
        assert!(error.starts_with("error: ") && error.lines().count() == 1, "{error}");
        assert!(error.contains(&said.join("; ")), "{error}");
        assert_eq!(fs::read_dir(folder.path().join(name)).unwrap().count(), 0);
    }
    let quiet = ["--quiet", "--mirror", first.url(), "--data-dir", data];
    assert_eq!(example("fetch_data", &quiet).stdout, b"");
    fail("fetch_data", &quiet, 1);
}

#[test]
fn a_silent_mirror_is_given_up() {
    let server = Server::new(|_| Answer::Silence);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let error = fail("fetch_data", &["--patience", "1", "--mirror", server.url(), "--data-dir", data], 1);
    assert!(error.ends_with(": timed out\n"), "{error}");
}

#[test]
fn bad_flags_of_a_fetch_get_one_line_and_code_2() {
    for flags in [
        "--mirror x",
        "--mirror ftp://127.0.0.1/",
        "--mirror=",
        "--patience 0",
        "--patience -1",
        "--patience x",
        "--dataset digits",
        "--bogus",
    ] {
        fail("fetch_data", &flags.split(' ').collect::<Vec<_>>(), 2);
    }
}
