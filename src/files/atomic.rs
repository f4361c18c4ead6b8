//! Atomic file writes.

use crate::error::{Error, Result};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::Path,
};
use tempfile::NamedTempFile;

/// Prefix of the names of scratch files.
const SCRATCH: &str = ".autoencoder-scratch-";

/// Writes a file so that readers, crashes and a full disk see either the old content or the new one, never a part.
///
/// `fill` writes to a scratch file in the same folder, which is then synced and renamed. Symbolic links are followed.
/// The writer holds a lock on its scratch file, so the next write to the same folder can recognize and remove the
/// scratch files of killed processes.
///
/// ```
/// use autoencoder::files::write_atomic;
/// # let folder = tempfile::tempdir().expect("a scratch folder");
/// # let path = folder.path().join("notes.txt");
/// write_atomic(&path, |out| out.write_all(b"all or nothing"))?;
/// # Ok::<(), autoencoder::Error>(())
/// ```
///
/// # Errors
/// [`Error::Io`] if `fill` fails, the file cannot be written, or `path` exists and is not a regular file.
pub fn write_atomic(
    path: impl AsRef<Path>,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let path = path.as_ref();
    // Renaming would replace a link instead of its target, and a pipe or a device by a file.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if target.exists() && !target.is_file() {
        return Err(Error::io(path)(io::Error::other("not a regular file")));
    }
    let folder = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let replace = || {
        remove_leftovers(folder);
        let scratch = scratch(folder)?;
        // The file itself: the errors of `NamedTempFile` would name the scratch file.
        let mut writer = BufWriter::new(scratch.as_file());
        fill(&mut writer)?;
        writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        scratch.as_file().sync_all()?;
        scratch.persist(&target)?;
        // Without this sync a power failure may lose the new name. Only Unix can open a folder.
        if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
    };
    replace().map_err(Error::io(path))
}

/// Creates a scratch file, locked where the file system supports locks.
fn scratch(folder: &Path) -> io::Result<NamedTempFile> {
    let create = |path: &Path| OpenOptions::new().write(true).create_new(true).open(path);
    for _ in 0..100 {
        let scratch = tempfile::Builder::new().prefix(SCRATCH).make_in(folder, create)?;
        let _ = scratch.as_file().lock();
        // Between creation and lock another writer may have removed it as a leftover.
        if scratch.path().exists() {
            return Ok(scratch);
        }
    }
    Err(io::Error::other("another process keeps removing the scratch files"))
}

/// Removes the scratch files that no process holds. Errors are ignored, because they do not affect the write itself.
fn remove_leftovers(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(SCRATCH));
        if !ours || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        // The lock must outlive the removal, so that no writer can take the file in between.
        if let Ok(file) = OpenOptions::new().write(true).open(entry.path())
            && file.try_lock().is_ok()
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_scratch() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_atomic(&path, |w| w.write_all(b"old")).unwrap();
        let error = write_atomic(&path, |w| {
            w.write_all(b"half of the n")?;
            Err(io::Error::other("disk full"))
        });
        assert!(error.unwrap_err().to_string().ends_with("file: disk full"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        write_atomic(&path, |w| w.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn only_unlocked_scratch_files_are_leftovers() {
        let folder = tempfile::tempdir().unwrap();
        let held = scratch(folder.path()).unwrap();
        fs::write(folder.path().join(format!("{SCRATCH}left")), "half of the n").unwrap();
        fs::create_dir(folder.path().join(format!("{SCRATCH}folder"))).unwrap();
        fs::write(folder.path().join(".scratch"), "someone's").unwrap();
        write_atomic(folder.path().join("file"), |w| w.write_all(b"new")).unwrap();
        let mut names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        let held = held.path().file_name().unwrap().to_owned();
        let mut expected = vec![held, format!("{SCRATCH}folder").into(), ".scratch".into(), "file".into()];
        expected.sort();
        assert_eq!(names, expected);
    }

    /// Writers remove leftovers from a shared folder, but never a scratch file in use.
    #[test]
    fn writers_do_not_disturb_each_other() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8_u8 {
                let path = folder.path().join(if thread < 4 { "same".into() } else { thread.to_string() });
                scope.spawn(move || {
                    for _ in 0..50 {
                        write_atomic(&path, |w| w.write_all(&[thread; 10_000])).unwrap();
                        let found = fs::read(&path).unwrap();
                        assert!(found.len() == 10_000 && found.iter().all(|byte| *byte == found[0]));
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_only_files_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_atomic(&link, |w| w.write_all(b"new")).unwrap();
        assert!(link.is_symlink() && fs::read(&file).unwrap() == b"new");
        assert!(write_atomic(folder.path(), |w| w.write_all(b"x")).is_err());
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_atomic(folder.path().join("no/file"), |w| w.write_all(b"x")).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("no/file") && !said.contains(SCRATCH) && !said.contains(" at path "), "{said}");
        assert!(matches!(error, Error::Io { cause, .. } if cause.kind() == io::ErrorKind::NotFound));
    }
}
