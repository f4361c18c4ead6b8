//! Files that are there whole or not at all.

use crate::error::{Error, Result};
use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
};

/// Writes a file through a scratch file beside it that is synced and then renamed, so that a reader, a crash or a
/// full disk meets the old file or the new one, never a part.
pub(crate) fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    // Through a link to what it names; what is no file, a pipe for one, is not replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if target.exists() && !target.is_file() {
        return Err(Error::io(path)(io::Error::other("not a regular file")));
    }
    let folder = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let replace = || {
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut writer = BufWriter::new(builder.prefix(".scratch-").tempfile_in(folder)?);
        fill(&mut writer)?;
        let scratch = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        scratch.as_file().sync_all()?;
        scratch.persist(&target)?;
        // Only a synced folder keeps the new name through a power cut; not every system lets one open folders.
        if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
    };
    replace().map_err(Error::io(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_scratch() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, |w| w.write_all(b"old")).unwrap();
        let error = write(&path, |w| {
            w.write_all(b"half of the n")?;
            Err(io::Error::other("disk full"))
        });
        assert!(error.unwrap_err().to_string().ends_with("file: disk full"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        write(&path, |w| w.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_only_files_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write(&link, |w| w.write_all(b"new")).unwrap();
        assert!(link.is_symlink() && fs::read(&file).unwrap() == b"new");
        assert!(write(folder.path(), |w| w.write_all(b"x")).is_err());
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(&folder.path().join("no/file"), |w| w.write_all(b"x")).unwrap_err();
        assert!(error.to_string().contains("no/file"), "{error}");
    }
}
