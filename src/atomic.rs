//! Atomic file writes.

use crate::error::{Error, Result};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::Path,
};
use tempfile::NamedTempFile;

/// How the names of scratch files begin.
const SCRATCH: &str = ".autoencoder-scratch-";

/// Writes a file through a scratch file beside it that is synced and then renamed, so that a reader, a crash or a
/// full disk meets the old file or the new one, never a part.
///
/// Whoever writes holds a lock on its scratch file. What a killed process leaves behind is not locked, and goes with
/// the next write into the same folder.
///
/// # Errors
/// [`Error::Io`] if `fill` fails, the file cannot be written, or `path` exists and is not a regular file.
pub fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
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
        remove_leftovers(folder);
        let mut writer = BufWriter::new(scratch(folder)?);
        fill(&mut writer)?;
        let scratch = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        scratch.as_file().sync_all()?;
        scratch.persist(&target)?;
        // Only a synced folder keeps the new name through a power cut; not every system lets one open folders.
        if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
    };
    replace().map_err(Error::io(path))
}

/// A new scratch file, locked where the file system has locks.
fn scratch(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.prefix(SCRATCH);
    for _ in 0..100 {
        let scratch = builder.tempfile_in(folder)?;
        let _ = scratch.as_file().lock();
        // Between its creation and its lock another writer may have taken it for a leftover.
        if scratch.path().exists() {
            return Ok(scratch);
        }
    }
    Err(io::Error::other("scratch files are removed by someone else"))
}

/// Removes the scratch files that nobody holds. What goes wrong here, in a folder that cannot be listed for one, does
/// not stand in the way of writing.
fn remove_leftovers(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(SCRATCH));
        if !ours || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        // The lock is held until the file is removed.
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

    #[test]
    fn only_what_nobody_holds_is_a_leftover() {
        let folder = tempfile::tempdir().unwrap();
        let held = scratch(folder.path()).unwrap();
        fs::write(folder.path().join(format!("{SCRATCH}left")), "half of the n").unwrap();
        fs::create_dir(folder.path().join(format!("{SCRATCH}folder"))).unwrap();
        fs::write(folder.path().join(".scratch"), "someone's").unwrap();
        write(&folder.path().join("file"), |w| w.write_all(b"new")).unwrap();
        let mut names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        let held = held.path().file_name().unwrap().to_owned();
        let mut expected = vec![held, format!("{SCRATCH}folder").into(), ".scratch".into(), "file".into()];
        expected.sort();
        assert_eq!(names, expected);
    }

    /// Many writers into one folder, each taking the others' leftovers away, do not take their scratch files.
    #[test]
    fn writers_do_not_disturb_each_other() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8_u8 {
                let path = folder.path().join(if thread < 4 { "same".into() } else { thread.to_string() });
                scope.spawn(move || {
                    for _ in 0..50 {
                        write(&path, |w| w.write_all(&[thread; 10_000])).unwrap();
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
