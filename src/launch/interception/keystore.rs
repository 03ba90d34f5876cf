//! Java's own form of a file with trusted certificates (JKS).

use rustls::pki_types::CertificateDer;
use sha1::{Digest as _, Sha1};

/// Java's default password, which such a file is checked with.
pub(super) const PASSWORD: &str = "changeit";
/// What the check mixes in.
const WHITENER: &[u8] = b"Mighty Aphrodite";

/// Returns a file that holds these certificates, each in DER.
pub(super) fn keystore(certificates: &[CertificateDer<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let number = |out: &mut Vec<u8>, number: usize| {
        out.extend(u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
    };
    let text = |out: &mut Vec<u8>, text: &str| {
        out.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend(text.as_bytes());
    };
    number(&mut out, 0xfeed_feed);
    number(&mut out, 2);
    number(&mut out, certificates.len());
    for (index, certificate) in certificates.iter().enumerate() {
        // A trusted certificate, with its alias and its date.
        number(&mut out, 2);
        text(&mut out, &format!("ca{index}"));
        out.extend(0_u64.to_be_bytes());
        text(&mut out, "X.509");
        number(&mut out, certificate.len());
        out.extend(certificate.as_ref());
    }
    let mut check = Sha1::new();
    for unit in PASSWORD.encode_utf16() {
        check.update(unit.to_be_bytes());
    }
    check.update(WHITENER);
    check.update(&out);
    out.extend(check.finalize());
    out
}
