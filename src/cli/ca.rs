//! The authority of `serve --proxy` and `proxy`, in a folder that their user trusts by choice.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::output::{Failed, invalid};
use crate::disk::{Readers, write_new, write_whole};
use crate::proxy::{Authority, AuthorityFiles};

/// How long another command that has written the key may take to write the certificate.
const SLOWEST_WRITE: Duration = Duration::from_secs(2);
/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(10);

#[derive(Debug, clap::Args)]
pub(super) struct CaFlag {
    /// Folder of the authority that lets the proxy read TLS: ca.pem, which the application has to trust, and its key; both are
    /// made there on first use
    #[arg(long, value_name = "DIR", env = "SOFTPROBE_CA")]
    ca: Option<PathBuf>,
}

impl CaFlag {
    /// Returns the authority, which is created if it is not there yet.
    pub(super) fn authority(&self) -> Result<Option<Arc<Authority>>, Failed> {
        let given = self.ca.as_deref();
        let folder = given.filter(|folder| !folder.as_os_str().is_empty());
        folder.map(authority).transpose()
    }
}

fn authority(folder: &Path) -> Result<Arc<Authority>, Failed> {
    let (certificate, key) = (folder.join("ca.pem"), folder.join("ca-key.pem"));
    let wrong = |file: &Path, error: io::Error| invalid(file, error);
    if !key.exists() && !certificate.exists() {
        make_private(folder).map_err(|error| wrong(folder, error))?;
        let made = Authority::lasting().map_err(|why| invalid(folder, why))?;
        // Of several commands that find nothing, the one that writes the key writes the certificate.
        let paths = std::iter::once(key.clone());
        match write_new(paths, &made.key, Readers::Owner) {
            Ok(_) => {
                let written = write_whole(&certificate, &made.certificate, Readers::Owner);
                written.map_err(|error| wrong(&certificate, error))?;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(wrong(&key, error)),
        }
    }
    let start = Instant::now();
    while !certificate.exists() && start.elapsed() < SLOWEST_WRITE {
        std::thread::sleep(PAUSE);
    }
    let unusable = |why: &dyn std::fmt::Display| {
        let way_out = "remove ca.pem and ca-key.pem there, and others are made at the next start";
        invalid(
            folder,
            format!("its authority can't be used: {why}; {way_out}"),
        )
    };
    let read = |file: &Path| {
        let text = fs::read_to_string(file);
        text.map_err(|error| unusable(&format!("{}: {error}", file.display())))
    };
    let files = AuthorityFiles {
        certificate: read(&certificate)?,
        key: read(&key)?,
    };
    let authority = Authority::read(&files).map_err(|why| unusable(&why))?;
    Ok(Arc::new(authority))
}

/// Makes a folder that its owner alone may read; one that stands keeps its permissions.
pub(super) fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}
