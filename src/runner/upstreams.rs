//! Reads the files that say how upstreams are reached.

use std::path::Path;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::args::UpstreamFlags;
use crate::proxy::{Identity, ProxyBuilder, UpstreamSettings};
use crate::suite::{UpstreamCert, UpstreamPlan, is_host_entry};

impl UpstreamFlags {
    /// Returns the plan that the flags alone describe.
    ///
    /// # Errors
    ///
    /// What is wrong with one of them.
    pub(crate) fn plan(&self) -> Result<UpstreamPlan, String> {
        let Self {
            tunnel,
            upstream_ca,
        } = self;
        if let Some(host) = tunnel.iter().find(|host| !is_host_entry(host)) {
            return Err(format!(
                "--tunnel: `{host}` is not a host such as db.internal or *.internal"
            ));
        }
        Ok(UpstreamPlan {
            tunnels: tunnel.clone(),
            roots: upstream_ca.clone(),
            certs: Vec::new(),
        })
    }
}

/// Returns a proxy that reaches upstreams as these plans say.
///
/// # Errors
///
/// The file that can't be read, and why.
pub(crate) fn with_upstreams<'p>(
    mut proxy: ProxyBuilder,
    plans: impl Iterator<Item = &'p UpstreamPlan>,
) -> Result<ProxyBuilder, String> {
    let mut settings = UpstreamSettings::default();
    for plan in plans {
        let UpstreamPlan {
            tunnels,
            roots,
            certs,
        } = plan;
        for host in tunnels {
            proxy = proxy.tunnel(host);
        }
        for file in roots {
            settings.roots.extend(certificates(file)?);
        }
        for cert in certs {
            settings.identities.push(identity(cert)?);
        }
    }
    Ok(proxy.upstreams(settings))
}

/// Checks the files of a plan.
///
/// # Errors
///
/// The field, the file that can't be used, and why.
pub(super) fn check_files(plan: &UpstreamPlan) -> Result<(), String> {
    let UpstreamPlan {
        tunnels: _,
        roots,
        certs,
    } = plan;
    for file in roots {
        certificates(file).map_err(|why| format!("upstreamCa: {why}"))?;
    }
    for cert in certs {
        identity(cert).map_err(|why| format!("upstreamCert: {why}"))?;
    }
    Ok(())
}

/// Returns what is shown to a host.
fn identity(cert: &UpstreamCert) -> Result<Identity, String> {
    let UpstreamCert { host, cert, key } = cert;
    let chain = certificates(cert)?;
    let private = PrivateKeyDer::from_pem_file(key);
    let private = private.map_err(|error| unreadable(key, "private key", &error))?;
    let provider = rustls::crypto::ring::default_provider();
    let pair = CertifiedKey::from_der(chain.clone(), private.clone_key(), &provider);
    pair.map_err(|error| {
        format!(
            "{}: it can't be used with the certificate of {}: {error}",
            key.display(),
            cert.display()
        )
    })?;
    Ok(Identity {
        host: host.clone(),
        chain,
        key: private,
    })
}

/// Returns the certificates in a file.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |error| unreadable(file, "certificate", &error);
    let all = CertificateDer::pem_file_iter(file).map_err(wrong)?;
    let all: Vec<_> = all.collect::<Result<_, _>>().map_err(wrong)?;
    match all.is_empty() {
        true => Err(format!("{}: it holds no certificate (PEM)", file.display())),
        false => Ok(all),
    }
}

fn unreadable(file: &Path, what: &str, error: &rustls::pki_types::pem::Error) -> String {
    use rustls::pki_types::pem::Error;
    match error {
        Error::NoItemsFound => format!("{}: it holds no {what} (PEM)", file.display()),
        Error::Io(error) => format!("{}: {error}", file.display()),
        error => format!("{}: no {what} can be read from it: {error}", file.display()),
    }
}
