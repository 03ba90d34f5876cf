//! Writes files whole or not at all.

use std::path::{Path, PathBuf};
use std::{fs, io};

use tempfile::NamedTempFile;

/// Who may read a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Its owner alone, since it holds captured traffic.
    Owner,
    /// Whoever may read the user's files.
    #[cfg(feature = "runner")]
    Usual,
}

/// Writes a file, whole or not at all, and creates its folder if it is missing. A link stays a link, and
/// an existing file keeps its permissions. What is there and is not a file, such as a pipe or a device, is
/// written to as it is.
pub(crate) fn write_whole(
    path: &Path,
    content: impl AsRef<[u8]>,
    readers: Readers,
) -> io::Result<()> {
    write_whole_by(path, readers, |out| out.write_all(content.as_ref()))
}

/// Removes a file, if it is there and is no link, pipe or device.
#[cfg(feature = "runner")]
pub(crate) fn remove(path: &Path) {
    if fs::symlink_metadata(path).is_ok_and(|there| there.is_file()) {
        let _ = fs::remove_file(path);
    }
}

/// Writes a file as [`write_whole`] does, part by part.
pub(crate) fn write_whole_by(
    path: &Path,
    readers: Readers,
    write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return write(&mut fs::OpenOptions::new().write(true).open(path)?);
    }
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let file = beside(&target, readers, write)?;
    if let Ok(there) = fs::metadata(&target) {
        file.as_file().set_permissions(there.permissions())?;
        #[cfg(all(unix, feature = "runner"))]
        keep_owner(file.as_file(), &there);
    }
    file.persist(&target).map_err(|error| error.error)?;
    Ok(())
}

/// Gives a file the owner that another has, as far as the user may.
#[cfg(all(unix, feature = "runner"))]
fn keep_owner(file: &fs::File, there: &fs::Metadata) {
    use std::os::unix::fs::MetadataExt as _;
    let own = file.metadata().map(|own| (own.uid(), own.gid()));
    if own.is_ok_and(|own| own != (there.uid(), there.gid())) {
        let _ = std::os::unix::fs::fchown(file, Some(there.uid()), Some(there.gid()));
    }
}

/// Writes a new file, whole or not at all, and returns its path: the first of `paths` at which there is nothing. Two
/// that write at the same time don't write to the same.
pub(crate) fn write_new(
    paths: impl Iterator<Item = PathBuf>,
    text: &str,
    readers: Readers,
) -> io::Result<PathBuf> {
    let mut written: Option<NamedTempFile> = None;
    for path in paths {
        if path.symlink_metadata().is_ok() {
            continue;
        }
        let file = match written.take() {
            Some(file) => file,
            None => beside(&path, readers, |out| out.write_all(text.as_bytes()))?,
        };
        match file.persist_noclobber(&path) {
            Ok(_) => return Ok(path),
            Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => {
                written = Some(refused.file);
            }
            Err(refused) => return Err(refused.error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Writes a temporary file in the folder of another, which is created if it is missing.
fn beside(
    target: &Path,
    readers: Readers,
    write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
) -> io::Result<NamedTempFile> {
    let folder = target.parent().filter(|f| !f.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // The permissions of a new file, less the umask.
        let mode = match readers {
            Readers::Owner => 0o600,
            #[cfg(feature = "runner")]
            Readers::Usual => 0o666,
        };
        builder.permissions(fs::Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = readers;
    let mut file = builder.tempfile_in(folder)?;
    write(file.as_file_mut())?;
    Ok(file)
}

/// Makes a folder that its owner alone may read; one that stands keeps its permissions.
#[cfg(feature = "runner")]
pub(crate) fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}
