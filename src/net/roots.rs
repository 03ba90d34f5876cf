//! The root certificates that the system trusts.

use rustls::pki_types::CertificateDer;

/// Returns the system's root certificates; those that can't be read are logged. Reads files.
pub(crate) fn system_roots() -> Vec<CertificateDer<'static>> {
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        log::warn!("some of the system's root certificates can't be read: {error}");
    }
    system.certs
}
