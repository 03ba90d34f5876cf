//! The root of the project, and paths for display.

use std::path::{Path, PathBuf};

/// Returns the package's root at run time; a compiled-in path would break an archive of the tests.
pub(crate) fn project_root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .or_else(|| std::env::current_dir().ok())
        .unwrap_or_default()
}

/// Returns a path for display: relative to the working directory if it is below it.
pub(crate) fn relative(path: &Path) -> PathBuf {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    let whole = path.canonicalize();
    match (here, &whole) {
        // Relative to the root of the file system, a path is no shorter.
        (Ok(here), Ok(whole)) if here.parent().is_some() => {
            whole.strip_prefix(&here).unwrap_or(path).to_owned()
        }
        _ => path.to_owned(),
    }
}
