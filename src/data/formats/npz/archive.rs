use super::{ArrayInfo, npy};
use crate::{
    error::{Error, Result},
    files::{content, gzip, memory},
};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use zip::{CompressionMethod, ZipArchive, result::ZipError};

/// Maximum number of entries. `numpy.savez` with one entry per image is a mistake that would take minutes to list.
const MAX_ENTRIES: usize = 10_000;
/// Arrays that an error describes.
const DESCRIBED: usize = 8;

/// An open archive.
pub(super) struct Archive<R> {
    name: String,
    zip: ZipArchive<R>,
    /// Size of the file in bytes.
    size: u64,
}

impl<R: Read + Seek> Archive<R> {
    pub fn new(mut stream: R, name: &str) -> Result<Self> {
        let start = memory::read(&mut stream, content::START).map_err(Error::io(name))?;
        if !start.starts_with(b"PK") {
            let found = content::describe(&start).unwrap_or("the start of another format");
            return Err(Error::format(name, "content", "NPZ", found));
        }
        let size = stream.seek(SeekFrom::End(0)).map_err(Error::io(name))?;
        let zip = ZipArchive::new(stream).map_err(|error| zip_error(name, error))?;
        if zip.len() > MAX_ENTRIES {
            return Err(Error::format(
                name,
                "number of entries",
                format!("at most {MAX_ENTRIES}"),
                zip.len(),
            ));
        }
        if zip.has_duplicate_names() {
            return Err(Error::format(name, "names of arrays", "each once", "one twice"));
        }
        Ok(Self { name: name.to_owned(), zip, size })
    }

    /// Describes all arrays.
    pub fn infos(&mut self) -> Result<Vec<ArrayInfo>> {
        self.names()?.into_iter().map(|(index, name)| self.info(index, &name)).collect()
    }

    /// Reads the array with this name, or the only one.
    pub fn read<T>(
        &mut self,
        array: Option<&str>,
        read: impl FnOnce(&mut dyn Read, &str) -> Result<T>,
    ) -> Result<T> {
        let mut names = self.names()?;
        let chosen = match array {
            Some(array) => names.iter().position(|(_, name)| name == array),
            None if names.len() == 1 => Some(0),
            None => None,
        };
        match chosen {
            Some(chosen) => {
                let (index, name) = names.swap_remove(chosen);
                self.entry(index, &name, read)
            }
            None => Err(self.no_such_array(array, &names)),
        }
    }

    /// The entries that are arrays: their indices and their names without the ending `.npy`.
    fn names(&self) -> Result<Vec<(usize, String)>> {
        let mut names = vec![];
        for (index, name) in self.zip.file_names().enumerate() {
            let name = name.map_err(|error| zip_error(&self.name, error))?;
            names.extend(name.strip_suffix(".npy").map(|name| (index, name.to_owned())));
        }
        Ok(names)
    }

    fn info(&mut self, index: usize, name: &str) -> Result<ArrayInfo> {
        let (shape, type_name) = self.entry(index, name, npy::describe)?;
        Ok(ArrayInfo { name: name.to_owned(), shape, type_name })
    }

    fn entry<T>(
        &mut self,
        index: usize,
        array: &str,
        read: impl FnOnce(&mut dyn Read, &str) -> Result<T>,
    ) -> Result<T> {
        let name = format!("{}: {}", self.name, printable(array));
        let stream = self.zip.by_index(index).map_err(|error| zip_error(&name, error))?;
        let method = stream.compression();
        if !matches!(method, CompressionMethod::Stored | CompressionMethod::Deflated) {
            let found = format!("{method}; save it with numpy.savez_compressed");
            return Err(Error::format(&name, "compression", "none or deflate", found));
        }
        let limit = gzip::limit(stream.compressed_size().min(self.size));
        read(&mut Limited { stream, left: limit }, &name).map_err(|error| match error {
            Error::Io { cause, .. } if is_damage(&cause) => {
                Error::format(&name, "ZIP", "a sound entry", cause)
            }
            error => error,
        })
    }

    fn no_such_array(&mut self, array: Option<&str>, names: &[(usize, String)]) -> Error {
        if names.is_empty() {
            return Error::format(&self.name, "content", "arrays (entries that end with .npy)", "none");
        }
        let mut list = vec![];
        for (index, name) in names.iter().take(DESCRIBED) {
            let info = self.info(*index, name);
            list.push(info.map_or_else(|_| printable(name), |info| info.to_string()));
        }
        let list = list.join(", ");
        let count = names.len();
        let example = printable(&names[0].1);
        match array {
            Some(array) => {
                let expected = format!("one of {count}: {list}");
                Error::format(&self.name, "name of the array", expected, format!("`{}`", printable(array)))
            }
            None => {
                let expected = format!("the name of one (--array {example})");
                Error::format(&self.name, "array", expected, format!("{count} arrays: {list}"))
            }
        }
    }
}

/// A name for messages, short and without control characters.
pub(super) fn printable(name: &str) -> String {
    let cut = name.chars().count() > 40;
    let start: String = name.chars().take(40).flat_map(char::escape_debug).collect();
    if cut { start + "..." } else { start }
}

fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof)
}

/// Turns an error of the ZIP reader into one that names the file.
fn zip_error(name: &str, error: ZipError) -> Error {
    match error {
        ZipError::Io(cause) if !is_damage(&cause) => Error::Io { path: name.into(), cause },
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => {
            Error::format(name, "ZIP", "plain entries", "an encrypted one; decrypt the archive first")
        }
        error => {
            Error::format(name, "ZIP", "a sound archive", format!("{error}; fetch or save the file again"))
        }
    }
}

/// A stream that fails behind its limit.
struct Limited<R> {
    stream: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        let left = self.left.checked_sub(count as u64);
        self.left = left.ok_or_else(|| {
            let found = "more than 100 times its size; extract the array first";
            io::Error::new(ErrorKind::InvalidData, found)
        })?;
        Ok(count)
    }
}
