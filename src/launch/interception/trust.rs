//! The files that make an application's HTTP clients trust an authority, and the variables that name them.

use std::cell::OnceCell;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use pem::{EncodeConfig, LineEnding, Pem, encode_config};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::keystore::keystore;
use crate::disk::{Readers, write_whole};
use crate::net::system_roots;

/// Variables whose files take the place of the roots that a client knows otherwise.
const BUNDLES: [&str; 13] = [
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "AWS_CA_BUNDLE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "GIT_SSL_CAINFO",
    "PERL_LWP_SSL_CA_FILE",
    "CARGO_HTTP_CAINFO",
    "PIP_CERT",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
    "HTTPLIB2_CA_CERTS",
    "NIX_SSL_CERT_FILE",
    "npm_config_cafile",
];
/// Variables whose files are known to a client besides.
const EXTRAS: [&str; 2] = ["NODE_EXTRA_CA_CERTS", "DENO_CERT"];

/// The files, in a folder.
pub(super) struct Files<'a> {
    pub(super) folder: &'a Path,
    /// The authority's certificate, as PEM.
    pub(super) authority: &'a str,
    /// The value that a variable has before.
    pub(super) before: &'a dyn Fn(&str) -> Option<OsString>,
    /// The file with the system's roots and the authority, once it is written.
    pub(super) system: OnceCell<PathBuf>,
}

impl Files<'_> {
    /// Writes the files, and returns the variables that name them.
    ///
    /// # Errors
    ///
    /// Why one of them can't be written.
    pub(super) fn variables(&self) -> io::Result<Vec<(&'static str, PathBuf)>> {
        let mut given = Vec::new();
        for name in BUNDLES {
            given.push((name, self.bundle(name)?));
        }
        for name in EXTRAS {
            let before = self.named(name).unwrap_or_default();
            let extra = self.write(&format!("{name}.pem"), &self.and_ours(&before))?;
            given.push((name, extra));
        }
        given.push(("WGETRC", self.wgetrc()?));
        Ok(given)
    }

    /// Returns certificates with the authority's behind them, if it is not among them.
    fn and_ours(&self, before: &str) -> String {
        let ours = match before.contains(self.authority.trim()) {
            true => "",
            false => self.authority,
        };
        format!("{before}{ours}")
    }

    /// Writes the file for a variable: what the variable names already, else the system's roots, and the authority.
    fn bundle(&self, name: &str) -> io::Result<PathBuf> {
        match self.named(name) {
            Some(before) => self.write(&format!("{name}.pem"), &self.and_ours(&before)),
            None => self.system_bundle(),
        }
    }

    /// Writes the file with the system's roots and the authority.
    pub(super) fn system_bundle(&self) -> io::Result<PathBuf> {
        if let Some(file) = self.system.get() {
            return Ok(file.clone());
        }
        let text = self.named("SSL_CERT_FILE").unwrap_or_else(system_pem);
        let file = self.write("system.pem", &self.and_ours(&text))?;
        Ok(self.system.get_or_init(|| file).clone())
    }

    /// Writes the file with the same for Java.
    pub(super) fn java(&self) -> io::Result<PathBuf> {
        let bundle = std::fs::read(self.system_bundle()?)?;
        let all = CertificateDer::pem_slice_iter(&bundle).filter_map(Result::ok);
        let all: Vec<CertificateDer<'_>> = all.collect();
        let file = self.folder.join("trust/java.jks");
        write_whole(&file, keystore(&all), Readers::Owner)?;
        Ok(file)
    }

    /// Writes wget's settings: those that it has already, and the roots.
    fn wgetrc(&self) -> io::Result<PathBuf> {
        let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".wgetrc"));
        let before = (self.before)("WGETRC").map(PathBuf::from).or_else(home);
        let before = before.and_then(|file| std::fs::read_to_string(file).ok());
        let before = before.unwrap_or_default();
        let roots = before.lines().rev().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            let name = name.trim().to_ascii_lowercase().replace(['-', '_'], "");
            (name == "cacertificate").then(|| value.trim().to_owned())
        });
        let roots = match roots.and_then(|file| read(OsStr::new(&file))) {
            Some(roots) => self.write("wget.pem", &self.and_ours(&roots))?,
            None => self.system_bundle()?,
        };
        let last = format!("ca_certificate = {}\n", roots.display());
        let settings = match before.ends_with(&last) {
            true => before,
            false => format!("{before}\n{last}"),
        };
        self.write("wgetrc", &settings)
    }

    /// Returns what is in the file that a variable names, which ends with a line break.
    fn named(&self, name: &str) -> Option<String> {
        let file = (self.before)(name)?;
        let text = read(&file);
        if text.is_none() {
            log::warn!("{name} names {}, which can't be read", file.display());
        }
        text
    }

    fn write(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let file = self.folder.join("trust").join(name);
        write_whole(&file, text, Readers::Owner)?;
        Ok(file)
    }
}

/// Returns the system's roots, as PEM.
fn system_pem() -> String {
    let lines = EncodeConfig::new().set_line_ending(LineEnding::LF);
    let all = system_roots().into_iter();
    let all = all.map(|root| encode_config(&Pem::new("CERTIFICATE", root.as_ref()), lines));
    all.collect()
}

/// Returns the certificates in a file, or in the files of a folder, with a line break at the end.
fn read(path: &OsStr) -> Option<String> {
    let path = Path::new(path);
    let mut text = match path.is_dir() {
        false => std::fs::read_to_string(path).ok()?,
        true => {
            let files = std::fs::read_dir(path).ok()?.filter_map(Result::ok);
            let texts = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
            texts.collect::<Vec<_>>().join("\n")
        }
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Some(text)
}
