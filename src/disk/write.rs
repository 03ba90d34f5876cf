//! Writes files whole or not at all.

use std::io::Write as _;
use std::path::Path;

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
pub(crate) fn write_whole(path: &Path, text: &str, readers: Readers) -> std::io::Result<()> {
    if std::fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return std::fs::OpenOptions::new()
            .write(true)
            .open(path)?
            .write_all(text.as_bytes());
    }
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = target.parent().filter(|f| !f.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
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
        builder.permissions(std::fs::Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = readers;
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    if let Ok(there) = std::fs::metadata(&target) {
        file.as_file().set_permissions(there.permissions())?;
    }
    file.persist(&target).map_err(|error| error.error)?;
    Ok(())
}
