use super::*;
use flate2::{Compression, write::GzEncoder};
use server::{Answer, Server};
use std::io::Write;

#[path = "../../../tests/common/server.rs"]
mod server;

/// Decompressed, and its digest.
const CONTENT: &[u8] = b"abc";
const DIGEST: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn right() -> Answer {
    Answer::Body(gzip(CONTENT))
}

/// A fetch with little patience of one file named `file.gz` from these mirrors, and what it told.
fn fetch<S: AsRef<str>>(path: &Path, mirrors: &[S]) -> (Result<()>, Vec<String>) {
    let download = Download::new(PublishedDataset::Mnist)
        .mirrors(mirrors.iter().map(AsRef::as_ref))
        .patience(Duration::from_millis(300))
        .timeout(Duration::from_secs(60));
    let mut told = Vec::new();
    let result = download.fetch(path, CONTENT.len(), DIGEST, &mut |event| {
        told.push(match event {
            DownloadEvent::Present { .. } => "present".to_owned(),
            DownloadEvent::Received { bytes, total, .. } => format!("{bytes} of {total:?}"),
            DownloadEvent::Failed(attempt) => format!("failed: {attempt}"),
            DownloadEvent::Saved { url, .. } => format!("saved from {url}"),
        });
    });
    (result, told)
}

/// The failure of a mirror with this answer. No file may be left behind.
fn cause(answer: Answer) -> DownloadFailure {
    let server = Server::new(move |_| answer.clone());
    let folder = tempfile::tempdir().unwrap();
    let (result, told) = fetch(&folder.path().join("file.gz"), &[server.url()]);
    let Err(Error::Download { mut attempts, .. }) = result else { panic!("{result:?}") };
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    assert_eq!(attempts.len(), 1);
    let attempt = attempts.remove(0);
    assert_eq!(attempt.url, format!("{}file.gz", server.url()));
    assert_eq!(*told.last().unwrap(), format!("failed: {attempt}"));
    attempt.failure
}

#[test]
fn what_a_mirror_does_wrong_is_said_and_leaves_no_file() {
    assert!(matches!(cause(Answer::Status(404)), DownloadFailure::Status(404)));
    assert!(matches!(cause(Answer::Status(503)), DownloadFailure::Status(503)));
    // Neither an error nor a body.
    assert!(matches!(cause(Answer::Status(204)), DownloadFailure::Status(204)));
    assert!(matches!(cause(Answer::Body(b"<html>not found</html>".to_vec())), DownloadFailure::Gzip(_)));
    assert!(matches!(cause(Answer::Body(CONTENT.to_vec())), DownloadFailure::Gzip(_)));
    assert!(matches!(cause(Answer::Body(vec![])), DownloadFailure::Gzip(_)));
    let half = gzip(CONTENT)[..10].to_vec();
    assert!(matches!(cause(Answer::Body(half.clone())), DownloadFailure::Gzip(_)));
    assert!(matches!(cause(Answer::Truncated(half.clone())), DownloadFailure::Truncated(10)));
    assert!(matches!(cause(Answer::Stall(half)), DownloadFailure::Timeout));
    assert!(matches!(cause(Answer::Silence), DownloadFailure::Timeout));
    let limit = (CONTENT.len() + GZIP_ROOM) as u64;
    assert!(matches!(cause(Answer::Endless), DownloadFailure::TooLong(most) if most == limit));
    assert!(matches!(cause(Answer::Announced(1 << 40)), DownloadFailure::TooLong(most) if most == limit));
    assert!(matches!(cause(Answer::Redirect("/file.gz".to_owned())), DownloadFailure::Connection(_)));
    let DownloadFailure::Content { expected, found } = cause(Answer::Body(gzip(b"abd"))) else { panic!() };
    assert_eq!(expected, DIGEST);
    assert_eq!(found, "a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9");
}

#[test]
fn the_timeout_limits_a_file() {
    let server = Server::new(|_| Answer::Stall(gzip(CONTENT)));
    let folder = tempfile::tempdir().unwrap();
    let download =
        Download::new(PublishedDataset::Mnist).mirrors([server.url()]).timeout(Duration::from_millis(300));
    let path = folder.path().join("file.gz");
    let error = download.fetch(&path, CONTENT.len(), DIGEST, &mut |_| {}).unwrap_err();
    let Error::Download { attempts, .. } = error else { panic!("{error}") };
    assert!(matches!(attempts[0].failure, DownloadFailure::Timeout), "{attempts:?}");
}

/// At most one byte more than expected is decompressed.
#[test]
fn longer_content_is_refused_unread() {
    let mut long = CONTENT.to_vec();
    long.resize(2_000_000, 0);
    assert!(gzip(&long).len() < GZIP_ROOM);
    let DownloadFailure::Content { found, .. } = cause(Answer::Body(gzip(&long))) else { panic!() };
    assert_eq!(found, sha256_hex(b"abc\0"));
}

/// A damaged sum behind content that is right.
#[test]
fn gzip_is_read_to_its_end() {
    let mut damaged = gzip(CONTENT);
    let sum = damaged.len() - 8;
    damaged[sum] ^= 1;
    assert!(matches!(cause(Answer::Body(damaged)), DownloadFailure::Gzip(_)));
}

#[test]
fn the_next_mirror_is_tried_and_the_first_that_works_is_the_last() {
    let bad = Server::new(|_| Answer::Status(404));
    let worse = Server::new(|_| Answer::Body(gzip(b"other")));
    let good = Server::new(|_| right());
    let unasked = Server::new(|_| right());
    // Nobody listens at a port that was free a moment ago; no slash at the end is no trouble.
    let gone = Server::new(|_| right()).url().trim_end_matches('/').to_owned();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folder/file.gz");
    let mirrors = [&gone, bad.url(), worse.url(), good.url(), unasked.url()];
    let (result, told) = fetch(&path, &mirrors);
    result.unwrap();
    assert_eq!(fs::read(&path).unwrap(), gzip(CONTENT));
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    assert_eq!((good.asked(), unasked.asked().len()), (vec!["/file.gz".to_owned()], 0));
    assert_eq!(told.iter().filter(|line| line.starts_with("failed: ")).count(), 3, "{told:?}");
    let size = gzip(CONTENT).len();
    assert_eq!(
        told[told.len() - 2..],
        [format!("{size} of Some({size})"), format!("saved from {}file.gz", good.url())]
    );
}

#[test]
fn redirects_are_followed() {
    let there = Server::new(|path| if path == "/moved" { right() } else { Answer::Status(404) });
    let target = format!("{}moved", there.url());
    let here = Server::new(move |_| Answer::Redirect(target.clone()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.gz");
    fetch(&path, &[here.url()]).0.unwrap();
    assert_eq!(fs::read(&path).unwrap(), gzip(CONTENT));
}

#[test]
fn a_wrong_file_is_replaced_by_the_right_one_only() {
    let (bad, good) = (Server::new(|_| Answer::Status(500)), Server::new(|_| right()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.gz");
    fs::write(&path, "wrong").unwrap();
    let error = fetch(&path, &[bad.url()]).0.unwrap_err().to_string();
    assert!(error.contains("file.gz cannot be downloaded: http://127.0.0.1:"), "{error}");
    assert!(error.ends_with("status 500"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"wrong");
    fetch(&path, &[good.url()]).0.unwrap();
    assert_eq!(fs::read(&path).unwrap(), gzip(CONTENT));
}

/// A damaged file is downloaded again, under the name that `load` prefers.
#[test]
fn each_of_the_four_files_is_asked_for() {
    let server = Server::new(|_| Answer::Status(404));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("MNIST/raw");
    fs::create_dir_all(&path).unwrap();
    fs::write(path.join("train-images-idx3-ubyte"), "cut short").unwrap();
    for file in PublishedDataset::Mnist.all_files() {
        let download = Download::new(PublishedDataset::Mnist).mirrors([format!("{}set", server.url())]);
        let error = download.file(file, folder.path(), &mut |_| {}).unwrap_err();
        let Error::Download { path, .. } = error else { panic!("{error}") };
        let asked = server.asked().pop().unwrap();
        assert_eq!(path, folder.path().join(asked.trim_start_matches('/').replace("set", "mnist")));
    }
    let names = ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"];
    assert_eq!(server.asked(), names.map(|name| format!("/set/{name}-ubyte.gz")));
}

#[test]
fn settings_are_checked_before_anything_is_fetched() {
    let folder = tempfile::tempdir().unwrap();
    let check = |download: Download| {
        let error = download.run(Some(folder.path()), |_| panic!("no event expected")).unwrap_err();
        assert!(matches!(error, Error::Setting { .. }), "{error}");
    };
    let download = || Download::new(PublishedDataset::FashionMnist);
    check(download().mirrors([""; 0]));
    for url in
        ["", "x", "ftp://127.0.0.1/", "127.0.0.1", "http://", "file:///tmp", "http://a b/", "http://a/?b"]
    {
        check(download().mirrors(["http://127.0.0.1/", url]));
    }
    check(download().patience(Duration::ZERO));
    check(download().timeout(Duration::ZERO));
    assert!(
        [PublishedDataset::Mnist, PublishedDataset::FashionMnist]
            .iter()
            .all(|set| set.mirrors().iter().all(|url| is_folder_url(url)))
    );
}
