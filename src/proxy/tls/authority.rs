//! The certificate authority whose certificates the proxy presents for the servers that it stands for.

use std::collections::HashMap;
use std::fmt::{self, Display};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::crypto::ring::sign::any_ecdsa_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};

use x509_parser::prelude::{FromDer as _, X509Certificate};

/// How far the clock of a client may be behind.
const BEFORE: Duration = Duration::from_secs(2 * 24 * 60 * 60);
/// How long a certificate of a run is valid.
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How long the certificate of an authority that lasts is valid.
#[cfg(feature = "runner")]
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// How long a leaf certificate is presented before another takes its place.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How many names are kept with their certificates.
const MOST_NAMES: usize = 1_000;
/// The longest common name of a certificate (RFC 5280, appendix A.1).
const LONGEST_COMMON_NAME: usize = 63;

/// A certificate authority, which makes a certificate for each name that a client asks for.
///
/// Its key is in memory alone. The leaves share another key: with the authority's own, some clients would take a leaf for the
/// authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    /// Until when the authority's own certificate is valid.
    ends: SystemTime,
    leaf_key: KeyPair,
    signing: Arc<dyn SigningKey>,
    names: Mutex<HashMap<String, Named>>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority")
    }
}

/// What is presented for a name: one configuration for all connections, so that sessions resume.
#[derive(Debug, Clone)]
struct Named {
    config: Arc<ServerConfig>,
    made: Instant,
}

/// A certificate and its key, as PEM.
#[cfg(feature = "runner")]
pub(crate) struct AuthorityFiles {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    /// Creates the authority of one run.
    ///
    /// # Errors
    ///
    /// Why it can't be created.
    pub(crate) fn of_run() -> Result<Self, String> {
        let made = make("run", WEEK)?;
        Self::with(&made.certificate, made.key)
    }

    /// Creates an authority for users to trust by choice, as the two files that [`read`](Self::read) takes.
    ///
    /// # Errors
    ///
    /// Why it can't be created.
    #[cfg(feature = "runner")]
    pub(crate) fn lasting() -> Result<AuthorityFiles, String> {
        let made = make("own", YEAR)?;
        Ok(AuthorityFiles {
            key: made.key.serialize_pem(),
            certificate: made.certificate,
        })
    }

    /// Returns the authority of such files.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    #[cfg(feature = "runner")]
    pub(crate) fn read(files: &AuthorityFiles) -> Result<Self, String> {
        let key = KeyPair::from_pem(&files.key);
        let key = key.map_err(|error| format!("its key can't be read: {error}"))?;
        Self::with(&files.certificate, key)
    }

    fn with(certificate: &str, key: KeyPair) -> Result<Self, String> {
        let unreadable = |why: &dyn Display| format!("its certificate can't be read: {why}");
        let der = CertificateDer::from_pem_slice(certificate.as_bytes());
        let der = der.map_err(|error| unreadable(&error))?;
        let ends = {
            let (_, read) = X509Certificate::from_der(&der).map_err(|error| unreadable(&error))?;
            if read.public_key().subject_public_key.data != key.public_key_raw() {
                return Err("its certificate and its key do not belong together".to_owned());
            }
            if !read.is_ca() {
                return Err("its certificate is not one of an authority".to_owned());
            }
            let ends = u64::try_from(read.validity().not_after.timestamp()).unwrap_or_default();
            UNIX_EPOCH + Duration::from_secs(ends)
        };
        if ends < SystemTime::now() {
            return Err("its certificate has expired".to_owned());
        }
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(|error| unreadable(&error))?;
        let (leaf_key, signing) = leaf_key()?;
        Ok(Self {
            issuer,
            certificate: certificate.to_owned(),
            ends,
            leaf_key,
            signing,
            names: Mutex::default(),
        })
    }

    /// Returns the authority's certificate as PEM, for clients to trust.
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Returns what is presented for a name or an address.
    ///
    /// # Errors
    ///
    /// Why there can't be a certificate for it.
    pub(super) fn presented(&self, name: &str) -> Result<Arc<ServerConfig>, String> {
        let lock = || self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().get(name).cloned();
        if let Some(known) = known.filter(|known| known.made.elapsed() < DAY) {
            return Ok(known.config);
        }
        let config = Arc::new(self.config(name)?);
        let mut names = lock();
        if names.len() >= MOST_NAMES {
            let oldest = names.iter().min_by_key(|(_, named)| named.made);
            let oldest = oldest.map(|(name, _)| name.clone()).unwrap_or_default();
            names.remove(&oldest);
        }
        let named = Named {
            config: Arc::clone(&config),
            made: Instant::now(),
        };
        names.insert(name.to_owned(), named);
        Ok(config)
    }

    fn config(&self, name: &str) -> Result<ServerConfig, String> {
        let params = leaf(name, self.ends).map_err(|error| error.to_string())?;
        let leaf = params.signed_by(&self.leaf_key, &self.issuer);
        let leaf = leaf.map_err(|error| error.to_string())?;
        let key = CertifiedKey::new(vec![leaf.der().clone()], Arc::clone(&self.signing));
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let mut config = config
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

struct Made {
    certificate: String,
    key: KeyPair,
}

/// Makes the certificate of an authority, and its key.
fn make(kind: &str, lasts: Duration) -> Result<Made, String> {
    let mut params = CertificateParams::default();
    let now = SystemTime::now();
    let today = humantime::format_rfc3339_seconds(now).to_string();
    let today = today.split('T').next().unwrap_or_default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(
        DnType::CommonName,
        format!("softprobe {kind} CA {today} (do not trust)"),
    );
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = (now - BEFORE).into();
    params.not_after = (now + lasts).into();
    params.serial_number = Some(serial()?);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| error.to_string())?;
    let certificate = params.self_signed(&key);
    let certificate = certificate.map_err(|error| error.to_string())?.pem();
    Ok(Made { certificate, key })
}

/// Returns what the certificate of a name or an address says.
fn leaf(name: &str, ends: SystemTime) -> Result<CertificateParams, String> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    if name.len() <= LONGEST_COMMON_NAME {
        params.distinguished_name.push(DnType::CommonName, name);
    }
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    params.subject_alt_names = vec![match bare.parse::<IpAddr>() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) => {
            let name = name.try_into();
            SanType::DnsName(name.map_err(|error: rcgen::Error| error.to_string())?)
        }
    }];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(serial()?);
    let now = SystemTime::now();
    params.not_before = (now - BEFORE).into();
    params.not_after = ends.min(now + WEEK).into();
    Ok(params)
}

/// Returns a positive random number of 128 bits: some clients refuse a certificate whose number they know already.
fn serial() -> Result<SerialNumber, String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn leaf_key() -> Result<(KeyPair, Arc<dyn SigningKey>), String> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| error.to_string())?;
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let signing = any_ecdsa_type(&der).map_err(|error| error.to_string())?;
    Ok((key, signing))
}
