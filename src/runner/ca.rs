//! The authority of a proxy for an application that is started by hand, in a folder that its user trusts by choice.

use std::fmt::Display;
use std::fs;
use std::io::{self, Write as _, stderr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::visible_line;
use crate::disk::{Readers, make_private, write_new, write_whole};
use crate::proxy::{Authority, AuthorityFiles};

/// How long another command that has written the key may take to write the certificate.
const SLOWEST_WRITE: Duration = Duration::from_secs(2);
/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(10);

#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct CaFlag {
    /// Folder of the authority that lets the proxy read TLS: ca.pem, which the application has to trust, and its key; both are
    /// made there on first use
    #[arg(long, value_name = "DIR", env = "SOFTPROBE_CA")]
    pub(crate) ca: Option<PathBuf>,
}

impl CaFlag {
    /// Returns the authority, which is created if it is not there yet.
    ///
    /// # Errors
    ///
    /// The folder or file that can't be used, and why.
    pub(crate) fn authority(&self) -> Result<Option<Arc<Authority>>, (PathBuf, String)> {
        let given = self.ca.as_deref();
        let folder = given.filter(|folder| !folder.as_os_str().is_empty());
        folder.map(authority).transpose()
    }
}

fn authority(folder: &Path) -> Result<Arc<Authority>, (PathBuf, String)> {
    let (certificate, key) = (folder.join("ca.pem"), folder.join("ca-key.pem"));
    let wrong = |file: &Path, error: io::Error| (file.to_owned(), error.to_string());
    if !key.exists() && !certificate.exists() {
        make_private(folder).map_err(|error| wrong(folder, error))?;
        let made = Authority::lasting().map_err(|why| (folder.to_owned(), why))?;
        // Of several commands that find nothing, the one that writes the key writes the certificate.
        let paths = std::iter::once(key.clone());
        match write_new(paths, &made.key, Readers::Owner) {
            Ok(_) => {
                let written = write_whole(&certificate, &made.certificate, Readers::Owner);
                written.map_err(|error| wrong(&certificate, error))?;
                let line = format!("softprobe: made an authority in {}", folder.display());
                let _ = writeln!(stderr(), "{}", visible_line(&line));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(wrong(&key, error)),
        }
    }
    let start = Instant::now();
    while !certificate.exists() && start.elapsed() < SLOWEST_WRITE {
        std::thread::sleep(PAUSE);
    }
    let unusable = |why: &dyn Display| {
        let way_out = "remove ca.pem and ca-key.pem there, and others are made at the next start";
        let why = format!("its authority can't be used: {why}; {way_out}");
        (folder.to_owned(), why)
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
