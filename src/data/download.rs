//! Fetches MNIST and Fashion-MNIST from their mirrors.
//!
//! A file is kept in memory until its content has the published SHA-256, and only then written: to a scratch file
//! that is synced and renamed. So whatever ends a fetch, under a file's name stands the right file or what stood there
//! before. A mirror that fails, stalls or sends something else is passed over for the next.
//!
//! ```no_run
//! use autoencoder::data::{catalog::{PublishedDataset, Split}, download::Download};
//! Download::new(PublishedDataset::FashionMnist).run(None, |_| {})?;
//! let images = PublishedDataset::FashionMnist.load(Split::Train, None)?;
//! # Ok::<(), autoencoder::Error>(())
//! ```

#[cfg(test)]
mod tests;

use crate::{
    atomic,
    data::catalog::{self, KnownFile, PublishedDataset},
    error::{Error, Result},
};
use flate2::bufread::MultiGzDecoder;
use std::{
    error, fmt, fs,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};
use ureq::{Agent, http::Uri};

/// What gzip may add to content that does not shrink, with room.
const GZIP_ROOM: usize = 1 << 16;

impl PublishedDataset {
    /// Where the files are published, as URLs of folders: for MNIST PyTorch's mirror and Google's, for Fashion-MNIST
    /// its publisher's.
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

/// Fetches a data set's four files.
#[derive(Debug, Clone)]
pub struct Download {
    set: PublishedDataset,
    mirrors: Vec<String>,
    patience: Duration,
    timeout: Duration,
}

/// What a callback is told.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum DownloadEvent<'a> {
    /// The file is there and right; it is not fetched.
    Present {
        /// Where it is.
        path: &'a Path,
    },
    /// Bytes of a file have arrived.
    Received {
        /// Where they come from.
        url: &'a str,
        /// How many so far.
        bytes: u64,
        /// How many there will be, if the mirror says so.
        total: Option<u64>,
    },
    /// A mirror did not give the file; the next is tried, if there is one.
    Failed(&'a Attempt),
    /// The file came, was right and is saved.
    Saved {
        /// Where it came from.
        url: &'a str,
        /// Where it is.
        path: &'a Path,
    },
}

/// A mirror that did not give a file.
#[derive(Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// The file's address.
    pub url: String,
    /// What was wrong.
    pub cause: Cause,
}

/// Why a mirror did not give a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// Another status than 200.
    #[error("status {0}")]
    Status(u16),
    /// Nothing came for too long, or all of it took too long.
    #[error("timed out")]
    Timeout,
    /// The stream ended before its announced length.
    #[error("ended after {0} bytes")]
    Truncated(u64),
    /// More bytes than the file can have.
    #[error("more than {0} bytes")]
    TooLong(u64),
    /// What came is not sound gzip.
    #[error("not the gzip file that it should be: {0}")]
    Gzip(io::Error),
    /// The decompressed content is not the published one.
    #[error("SHA-256 of the decompressed content: expected {expected}, found {found}")]
    Content {
        /// The published digest.
        expected: &'static str,
        /// The digest of what came.
        found: String,
    },
    /// No connection, or one that failed.
    #[error("{0}")]
    Connection(Box<dyn error::Error + Send + Sync>),
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.url, self.cause)
    }
}

impl Download {
    /// A fetch from the [published mirrors](PublishedDataset::mirrors).
    pub fn new(set: PublishedDataset) -> Self {
        Self {
            set,
            mirrors: set.mirrors().iter().map(|&url| url.to_owned()).collect(),
            patience: Duration::from_secs(30),
            timeout: Duration::from_secs(30 * 60),
        }
    }

    /// Sets the mirrors that are tried, in this order, in place of the published ones: URLs of folders that hold the
    /// four files as `train-images-idx3-ubyte.gz` and so on.
    pub fn mirrors<S: Into<String>>(mut self, urls: impl IntoIterator<Item = S>) -> Self {
        self.mirrors = urls.into_iter().map(Into::into).collect();
        self
    }

    /// Sets how long a mirror may be silent: 30 seconds.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets how long one file from one mirror may take: 30 minutes.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Fetches the files that are not there or not right, into `mnist` or `fashion-mnist` under `data_dir`, else under
    /// what [`DATA_VARIABLE`](catalog::DATA_VARIABLE) names, else under `data`. Files that [`PublishedDataset::load`] finds there
    /// and that are right stay as they are. `tell` hears how it goes. Returns where the files are.
    ///
    /// # Errors
    /// [`Error::Setting`] if there are no mirrors, one is no URL of a folder or a time is zero; [`Error::Download`] at
    /// the first file that no mirror gives; [`Error::Io`] if a file cannot be read or saved.
    pub fn run(&self, data_dir: Option<&Path>, mut tell: impl FnMut(DownloadEvent)) -> Result<Vec<PathBuf>> {
        self.check()?;
        let root = catalog::root(data_dir);
        self.set.all_files().map(|file| self.file(file, &root, &mut tell)).collect()
    }

    fn check(&self) -> Result<()> {
        if self.mirrors.is_empty() {
            return Err(Error::setting("number of mirrors", 0, "at least 1"));
        }
        if let Some(bad) = self.mirrors.iter().find(|url| !is_folder(url)) {
            return Err(Error::setting("mirror", bad, "an http or https URL of a folder"));
        }
        for (name, time) in [("patience", self.patience), ("timeout", self.timeout)] {
            if time.is_zero() {
                return Err(Error::setting(name, time, "a time above 0"));
            }
        }
        Ok(())
    }

    fn file(&self, file: KnownFile, root: &Path, tell: &mut impl FnMut(DownloadEvent)) -> Result<PathBuf> {
        if let Ok(path) = file.find(root) {
            match file.read(&path) {
                Ok(_) => {
                    tell(DownloadEvent::Present { path: &path });
                    return Ok(path);
                }
                Err(Error::Format { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let [path, ..] = &file.places(root)[..] else { unreachable!("a file has places") };
        self.fetch(path, file.size(), file.digest(), tell)?;
        Ok(path.clone())
    }

    /// Saves under `path` what the first mirror gives whose decompressed content has this size and this digest.
    fn fetch(
        &self,
        path: &Path,
        size: usize,
        digest: &'static str,
        tell: &mut impl FnMut(DownloadEvent),
    ) -> Result<()> {
        let name = path.file_name().unwrap_or_default().display();
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(Error::io(folder))?;
        }
        let mut attempts = Vec::new();
        for mirror in &self.mirrors {
            let url = format!("{}/{name}", mirror.trim_end_matches('/'));
            let sound = |bytes: Vec<u8>| verify(&bytes, size, digest).map(|()| bytes);
            match self.get(&url, size + GZIP_ROOM, tell).and_then(sound) {
                Ok(bytes) => {
                    atomic::write(path, |file| file.write_all(&bytes))?;
                    tell(DownloadEvent::Saved { url: &url, path });
                    return Ok(());
                }
                Err(cause) => {
                    let attempt = Attempt { url, cause };
                    tell(DownloadEvent::Failed(&attempt));
                    attempts.push(attempt);
                }
            }
        }
        Err(Error::Download { path: path.to_owned(), attempts })
    }

    /// The body that a URL has.
    fn get(&self, url: &str, limit: usize, tell: &mut impl FnMut(DownloadEvent)) -> Result<Vec<u8>, Cause> {
        let response = self.agent(url).get(url).call()?;
        if response.status() != 200 {
            return Err(Cause::Status(response.status().as_u16()));
        }
        let total = response.body().content_length();
        if total.is_some_and(|total| total > limit as u64) {
            return Err(Cause::TooLong(limit as u64));
        }
        let mut reader = response.into_body().into_reader();
        let (mut bytes, mut chunk) = (Vec::new(), vec![0; 1 << 16]);
        loop {
            match reader.read(&mut chunk) {
                Ok(0) => return Ok(bytes),
                Ok(more) => bytes.extend_from_slice(&chunk[..more]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(Cause::Truncated(bytes.len() as u64));
                }
                Err(error) => return Err(ureq::Error::from(error).into()),
            }
            if bytes.len() > limit {
                return Err(Cause::TooLong(limit as u64));
            }
            tell(DownloadEvent::Received { url, bytes: bytes.len() as u64, total });
        }
    }

    /// A client for this URL. Proxies are those of the environment, but never for this machine itself.
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

impl From<ureq::Error> for Cause {
    fn from(error: ureq::Error) -> Self {
        match error {
            ureq::Error::StatusCode(code) => Self::Status(code),
            ureq::Error::Timeout(_) => Self::Timeout,
            error => Self::Connection(error.into()),
        }
    }
}

fn is_folder(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.query().is_none()
    })
}

/// Whether these bytes are gzip of a content of this size and this digest.
fn verify(bytes: &[u8], size: usize, digest: &'static str) -> Result<(), Cause> {
    let mut content = Vec::new();
    // One byte more than there should be: the decoder reaches the end, where it checks its own sum.
    MultiGzDecoder::new(bytes).take(size as u64 + 1).read_to_end(&mut content).map_err(Cause::Gzip)?;
    let found = catalog::sha256(&[&content]);
    if found == digest { Ok(()) } else { Err(Cause::Content { expected: digest, found }) }
}
