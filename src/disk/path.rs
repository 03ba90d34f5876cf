//! Where the project is, and paths as people know them.

use std::path::{Path, PathBuf};

/// The package's root while it runs: a compiled-in one would break an archive of the tests.
pub(crate) fn project_root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .or_else(|| std::env::current_dir().ok())
        .unwrap_or_default()
}

/// The path as people know it: below the working directory where it is.
pub(crate) fn relative(path: &Path) -> PathBuf {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    let whole = path.canonicalize();
    match (here, &whole) {
        // At the root of everything a path is no shorter without it.
        (Ok(here), Ok(whole)) if here.parent().is_some() => {
            whole.strip_prefix(&here).unwrap_or(path).to_owned()
        }
        _ => path.to_owned(),
    }
}
