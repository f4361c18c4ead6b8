use super::{ArrayInfo, npy};
use crate::{
    data::ImageSet,
    error::{Error, Result},
    files::{content, memory, names::changes},
};
use std::io::{self, ErrorKind, Read, Seek};
use zip::{CompressionMethod, ZipArchive, result::ZipError};

/// Maximum number of entries. `numpy.savez` with one entry per image is a mistake that would take minutes to list.
const MAX_ENTRIES: usize = 10_000;
/// Names that are compared with a wrong one.
const MAX_COMPARED: usize = 500;
/// Arrays that an error describes.
const DESCRIBED: usize = 8;

/// An open archive.
pub(super) struct Archive<R> {
    name: String,
    zip: ZipArchive<R>,
}

impl<R: Read + Seek> Archive<R> {
    pub fn new(mut stream: R, name: &str) -> Result<Self> {
        let start = memory::read(&mut stream, content::START).map_err(Error::io(name))?;
        if !start.starts_with(b"PK") {
            let found = content::describe(&start).unwrap_or("the start of another format");
            return Err(Error::format(name, "content", "NPZ", found));
        }
        stream.rewind().map_err(Error::io(name))?;
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
        Ok(Self { name: name.to_owned(), zip })
    }

    /// Describes all arrays.
    pub fn infos(&mut self) -> Result<Vec<ArrayInfo>> {
        self.names()?.into_iter().map(|(index, name)| self.info(index, &name)).collect()
    }

    /// Reads images from the array with this name, from the only one, or from the only one that can be images. In the last
    /// case, a notice names it.
    pub fn images(&mut self, array: Option<&str>, shape: Option<(usize, usize)>) -> Result<ImageSet> {
        let names = self.names()?;
        let read = |stream: &mut dyn Read, name: &str| npy::read(stream, name, shape);
        if array.is_some() || names.len() == 1 {
            return self.read(array, read);
        }
        let mut candidates = vec![];
        for (index, name) in &names {
            let can_be_images =
                self.entry(*index, name, |stream, name| npy::can_be_images(stream, name, shape));
            if can_be_images.unwrap_or(false) {
                candidates.push((*index, name));
            }
        }
        let &[(index, name)] = &candidates[..] else { return Err(self.no_such_array(None, &names)) };
        let set = self.entry(index, name, read)?;
        let taken =
            format!("{}: of {} arrays, only {} can be images", self.name, names.len(), printable(name));
        let notices = [vec![taken], set.notices().to_vec()].concat();
        Ok(set.with_notices(notices))
    }

    /// Reads the array with this name, or the only one.
    pub fn read<T>(
        &mut self,
        array: Option<&str>,
        read: impl FnOnce(&mut dyn Read, &str) -> Result<T>,
    ) -> Result<T> {
        let mut names = self.names()?;
        let chosen = match array {
            Some(array) => find(array, &names),
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
            // Finder adds such entries to the archives that it makes.
            if !name.starts_with("__MACOSX/") {
                names.extend(name.strip_suffix(".npy").map(|name| (index, name.to_owned())));
            }
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
        let mut stream = self.zip.by_index(index).map_err(|error| zip_error(&name, error))?;
        let method = stream.compression();
        if !matches!(method, CompressionMethod::Stored | CompressionMethod::Deflated) {
            let found = format!("{method}; save it with numpy.savez_compressed");
            return Err(Error::format(&name, "compression", "none or deflate", found));
        }
        read(&mut stream, &name).map_err(|error| match error {
            Error::Io { cause, .. } if is_damage(&cause) => {
                Error::format(&name, "ZIP", "a sound entry", cause)
            }
            error => error,
        })
    }

    fn no_such_array(&mut self, array: Option<&str>, names: &[(usize, String)]) -> Error {
        if names.is_empty() {
            let ends_with_png = |name: &[u8]| name.to_ascii_lowercase().ends_with(b".png");
            let images = self.zip.file_names().flatten().any(|name| ends_with_png(name.as_bytes()));
            let found = if images { content::ZIP_OF_PNG } else { "none" };
            return Error::format(&self.name, "content", "arrays (entries that end with .npy)", found);
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
                let expected = if count == 1 { list } else { format!("one of {count}: {list}") };
                let near = nearest(array, names).map(|near| format!("; did you mean `{}`?", printable(near)));
                let found = format!("`{}`{}", printable(array), near.unwrap_or_default());
                Error::format(&self.name, "name of the array", expected, found)
            }
            None => {
                let expected = format!("the name of one (--array {example})");
                Error::format(&self.name, "array", expected, format!("{count} arrays: {list}"))
            }
        }
    }
}

/// Returns the position of the name that is meant: the same, the same without its ending `.npy`, or the only one that differs
/// in case alone.
fn find(wanted: &str, names: &[(usize, String)]) -> Option<usize> {
    let bare = wanted.strip_suffix(".npy").unwrap_or(wanted);
    let same = |wanted: &str| names.iter().position(|(_, name)| name == wanted);
    same(wanted).or_else(|| same(bare)).or_else(|| {
        let mut alike = (0..names.len()).filter(|&index| names[index].1.eq_ignore_ascii_case(bare));
        alike.next().filter(|_| alike.next().is_none())
    })
}

/// Returns the name that is most like a wrong one, if any is. Of a short name, at least half must be the same.
fn nearest<'a>(wanted: &str, names: &'a [(usize, String)]) -> Option<&'a str> {
    let names = names.iter().take(MAX_COMPARED);
    let near = names.filter_map(|(_, name)| Some((changes(wanted, name)?, name)));
    let near = near.filter(|(changes, name)| *changes <= name.len() / 2);
    near.min_by_key(|(changes, _)| *changes).map(|(_, name)| name.as_str())
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
