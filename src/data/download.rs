//! Downloads MNIST and Fashion-MNIST (feature `download`).
//!
//! A file is kept in memory until its content is verified, and then written atomically: an interrupted download leaves
//! no partial file. If a mirror fails, stalls or sends the wrong content, the next one is tried.
//!
//! ```no_run
//! use autoencoder::data::{catalog::{PublishedDataset, Split}, download::Download};
//! Download::new(PublishedDataset::FashionMnist).run(None, |_| {})?;
//! let images = PublishedDataset::FashionMnist.load(Split::Train, None)?;
//! # Ok::<(), autoencoder::Error>(())
//! ```

#[cfg(test)]
mod tests;

pub use crate::error::{DownloadAttempt, DownloadFailure};

use crate::{
    data::catalog::{self, PublishedDataset, PublishedFile},
    error::{Error, Result},
    files::{sha256_hex, write_atomic},
};
use flate2::bufread::MultiGzDecoder;
use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};
use ureq::{Agent, http::Uri};

/// Bytes that gzip may add to incompressible content, generously.
const GZIP_ROOM: usize = 1 << 16;

impl PublishedDataset {
    /// Returns the URLs of the folders with the published files: PyTorch's and Google's mirrors of MNIST, the publisher's of
    /// Fashion-MNIST.
    pub fn mirrors(self) -> &'static [&'static str] {
        match self {
            Self::Mnist => &[
                "https://ossci-datasets.s3.amazonaws.com/mnist/",
                "https://storage.googleapis.com/cvdf-datasets/mnist/",
            ],
            Self::FashionMnist => &["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"],
        }
    }
}

/// Downloads the four files of a data set.
#[derive(Debug, Clone)]
#[must_use]
pub struct Download {
    set: PublishedDataset,
    mirrors: Vec<String>,
    patience: Duration,
    timeout: Duration,
}

/// The progress of a [`Download`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum DownloadEvent<'a> {
    /// A valid copy of the file exists and is not downloaded again.
    Present {
        /// The existing file.
        path: &'a Path,
    },
    /// Bytes of a file have arrived.
    Received {
        /// The URL of the file.
        url: &'a str,
        /// Number of bytes so far.
        bytes: u64,
        /// Total number of bytes, if the mirror announced it.
        total: Option<u64>,
    },
    /// A mirror failed. The next one is tried, if there is one.
    Failed(&'a DownloadAttempt),
    /// The file was downloaded, verified and saved.
    Saved {
        /// The URL of the file.
        url: &'a str,
        /// The saved file.
        path: &'a Path,
    },
}

impl Download {
    /// Creates a download from the [published mirrors](PublishedDataset::mirrors).
    pub fn new(set: PublishedDataset) -> Self {
        Self {
            set,
            mirrors: set.mirrors().iter().map(|&url| url.to_owned()).collect(),
            patience: Duration::from_secs(30),
            timeout: Duration::from_secs(30 * 60),
        }
    }

    /// Sets the mirrors to try, in this order, instead of the published ones. A mirror is the URL of a folder with the
    /// four files (`train-images-idx3-ubyte.gz` and so on).
    pub fn mirrors<S: Into<String>>(mut self, urls: impl IntoIterator<Item = S>) -> Self {
        self.mirrors = urls.into_iter().map(Into::into).collect();
        self
    }

    /// Sets how long a mirror may be silent. Default: 30 seconds.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets how long one file from one mirror may take. Default: 30 minutes.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Downloads the files that are missing or damaged, and returns the paths of all files.
    ///
    /// They are saved in `mnist` or `fashion-mnist` under `data_dir`, or else under the value of
    /// [`DATA_VARIABLE`](catalog::DATA_VARIABLE), or else under `data`. Valid files that [`PublishedDataset::load`] finds
    /// there are kept. `callback` receives the progress.
    ///
    /// # Errors
    /// [`Error::Setting`] if there are no mirrors, one is not the URL of a folder, or a duration is zero;
    /// [`Error::Download`] if no mirror serves a file; [`Error::Io`] if a file cannot be read or saved.
    pub fn run(
        &self,
        data_dir: Option<&Path>,
        mut callback: impl FnMut(DownloadEvent),
    ) -> Result<Vec<PathBuf>> {
        self.check()?;
        let root = catalog::root(data_dir);
        self.set.all_files().map(|file| self.file(file, &root, &mut callback)).collect()
    }

    fn check(&self) -> Result<()> {
        if self.mirrors.is_empty() {
            return Err(Error::setting("mirrors", &self.mirrors, "at least 1"));
        }
        if let Some(bad) = self.mirrors.iter().find(|url| !is_folder_url(url)) {
            return Err(Error::setting("mirrors", bad, "an http or https URL of a folder"));
        }
        for (name, time) in [("patience", self.patience), ("timeout", self.timeout)] {
            if time.is_zero() {
                return Err(Error::setting(name, time, "a duration above 0"));
            }
        }
        Ok(())
    }

    fn file(
        &self,
        file: PublishedFile,
        root: &Path,
        callback: &mut impl FnMut(DownloadEvent),
    ) -> Result<PathBuf> {
        if let Ok(path) = file.find(root) {
            match file.read(&path) {
                Ok(_) => {
                    callback(DownloadEvent::Present { path: &path });
                    return Ok(path);
                }
                Err(Error::Format { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let [path, ..] = &file.candidates(root)[..] else { unreachable!("a file has candidates") };
        self.fetch(path, file.size(), file.digest(), callback)?;
        Ok(path.clone())
    }

    /// Saves the file from the first mirror whose decompressed content has this size and this digest.
    fn fetch(
        &self,
        path: &Path,
        size: usize,
        digest: &'static str,
        callback: &mut impl FnMut(DownloadEvent),
    ) -> Result<()> {
        let name = path.file_name().unwrap_or_default().display();
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(Error::io(folder))?;
        }
        let mut attempts = Vec::new();
        for mirror in &self.mirrors {
            let url = format!("{}/{name}", mirror.trim_end_matches('/'));
            let verified = |bytes: Vec<u8>| verify(&bytes, size, digest).map(|()| bytes);
            match self.get(&url, size + GZIP_ROOM, callback).and_then(verified) {
                Ok(bytes) => {
                    write_atomic(path, |file| file.write_all(&bytes))?;
                    callback(DownloadEvent::Saved { url: &url, path });
                    return Ok(());
                }
                Err(failure) => {
                    let attempt = DownloadAttempt::new(url, failure);
                    callback(DownloadEvent::Failed(&attempt));
                    attempts.push(attempt);
                }
            }
        }
        Err(Error::Download { path: path.to_owned(), attempts })
    }

    /// Downloads the body of a URL.
    fn get(
        &self,
        url: &str,
        limit: usize,
        callback: &mut impl FnMut(DownloadEvent),
    ) -> Result<Vec<u8>, DownloadFailure> {
        let response = self.agent(url).get(url).call()?;
        if response.status() != 200 {
            return Err(DownloadFailure::Status(response.status().as_u16()));
        }
        let total = response.body().content_length();
        if total.is_some_and(|total| total > limit as u64) {
            return Err(DownloadFailure::TooLong(limit as u64));
        }
        let mut reader = response.into_body().into_reader();
        let mut bytes = Vec::new();
        let mut chunk = vec![0; 1 << 16];
        loop {
            match reader.read(&mut chunk) {
                Ok(0) => return Ok(bytes),
                Ok(more) => bytes.extend_from_slice(&chunk[..more]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(DownloadFailure::Truncated(bytes.len() as u64));
                }
                Err(error) => return Err(ureq::Error::from(error).into()),
            }
            if bytes.len() > limit {
                return Err(DownloadFailure::TooLong(limit as u64));
            }
            callback(DownloadEvent::Received { url, bytes: bytes.len() as u64, total });
        }
    }

    /// Creates a client for this URL. It uses the proxies of the environment, except for this machine itself.
    fn agent(&self, url: &str) -> Agent {
        let mut config = Agent::config_builder()
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            .timeout_global(Some(self.timeout))
            .timeout_resolve(Some(self.patience))
            .timeout_connect(Some(self.patience))
            .timeout_recv_response(Some(self.patience))
            .timeout_per_read(Some(self.patience))
            .timeout_per_write(Some(self.patience));
        let host = url.parse().ok().and_then(|uri: Uri| uri.host().map(str::to_owned));
        if matches!(host.as_deref(), Some("localhost" | "127.0.0.1" | "[::1]")) {
            config = config.proxy(None);
        }
        config.build().into()
    }
}

impl From<ureq::Error> for DownloadFailure {
    fn from(error: ureq::Error) -> Self {
        match error {
            ureq::Error::StatusCode(code) => Self::Status(code),
            ureq::Error::Timeout(_) => Self::Timeout,
            error => Self::Connection(error.into()),
        }
    }
}

fn is_folder_url(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.query().is_none()
    })
}

/// Checks that the bytes are gzip of content with this size and this digest.
fn verify(bytes: &[u8], size: usize, digest: &'static str) -> Result<(), DownloadFailure> {
    let mut content = Vec::new();
    // One byte more than expected, so that the decoder reaches the end, where it checks its checksum.
    MultiGzDecoder::new(bytes)
        .take(size as u64 + 1)
        .read_to_end(&mut content)
        .map_err(DownloadFailure::Gzip)?;
    let found = sha256_hex(&content);
    if found == digest { Ok(()) } else { Err(DownloadFailure::Content { expected: digest, found }) }
}
