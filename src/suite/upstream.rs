//! What an application's upstreams need to be reached: `tunnel`, `upstreamCa` and `upstreamCert` of `app`.

use std::path::{Path, PathBuf};

use crate::base::document::{Field, Fields, Node, Object, Problems, Shape};
use crate::base::http::Host;

/// What is known of upstreams besides what the system knows. The paths are as written in the suite, and absolute once the suite
/// is loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct UpstreamPlan {
    /// Hosts whose TLS is passed through unread; `*.name` stands for those below a name.
    pub(crate) tunnels: Vec<String>,
    /// Files with certificates of authorities that are trusted besides the system's.
    pub(crate) roots: Vec<PathBuf>,
    /// What is shown to hosts that ask for a certificate.
    pub(crate) certs: Vec<UpstreamCert>,
}

/// A certificate that is shown to a host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct UpstreamCert {
    /// The host, and the hosts below it.
    pub(crate) host: String,
    /// The file with the certificate, and those that lead to its authority.
    pub(crate) cert: PathBuf,
    /// The file with its key.
    pub(crate) key: PathBuf,
}

const CERT: Fields = Fields {
    title: "upstreamCert",
    list: &[
        Field::required("host", Shape::Text, "the host, with the hosts below it"),
        Field::required(
            "cert",
            Shape::Text,
            "the file with the certificate (PEM), relative to the suite's file",
        ),
        Field::required(
            "key",
            Shape::Text,
            "the file with its key (PEM), relative to the suite's file",
        ),
    ],
};

const TEXTS: Shape = Shape::Either(&[Shape::Text, Shape::List(&Shape::Text)]);

pub(super) const TUNNEL: Field = Field::new(
    "tunnel",
    TEXTS,
    "hosts whose TLS is passed through unread where the policy lets it; *.name stands for those below a name",
);
pub(super) const UPSTREAM_CA: Field = Field::new(
    "upstreamCa",
    TEXTS,
    "files (PEM) with certificates of authorities that forwarded calls trust besides the system's, relative to the suite's file",
);
pub(super) const UPSTREAM_CERT: Field = Field::new(
    "upstreamCert",
    Shape::List(&Shape::Object(&CERT)),
    "certificates that are shown to hosts which ask forwarded calls for one",
);

impl UpstreamPlan {
    /// Reads the fields of `app`.
    pub(super) fn read(app: &Object<'_>, problems: &mut Problems) -> Self {
        let texts = |name: &str, problems: &mut Problems| {
            let node = app.given(name)?;
            texts(&node, problems)
        };
        let tunnels = texts(TUNNEL.name, problems).unwrap_or_default();
        if let Some(node) = app.given(TUNNEL.name) {
            for host in tunnels.iter().filter(|host| !is_host_entry(host)) {
                let what = format!("`{host}` is not a host such as db.internal or *.internal");
                problems.add(&node.place, what);
            }
        }
        let roots = texts(UPSTREAM_CA.name, problems).unwrap_or_default();
        let certs = app.given(UPSTREAM_CERT.name);
        let certs = certs
            .and_then(|node| node.list(problems))
            .unwrap_or_default();
        let certs = certs.iter().filter_map(|node| {
            let cert = node.fields(&CERT, problems)?;
            let mut text = |name: &str| cert.get(name)?.string(problems);
            let (host, file, key) = (text("host"), text("cert"), text("key"));
            if let Some(host) = host.as_deref().filter(|host| !is_name(host)) {
                let place = node.place.key("host");
                problems.add(
                    &place,
                    format!("`{host}` is not a host's name such as bank.test, without a port"),
                );
            }
            Some(UpstreamCert {
                host: host?,
                cert: file?.into(),
                key: key?.into(),
            })
        });
        Self {
            certs: certs.collect(),
            tunnels,
            roots: roots.into_iter().map(PathBuf::from).collect(),
        }
    }

    /// Makes the paths absolute; they are relative to this folder.
    pub(crate) fn resolve(&mut self, folder: &Path) {
        let Self {
            tunnels: _,
            roots,
            certs,
        } = self;
        let certs = certs.iter_mut();
        let files = certs.flat_map(|cert| [&mut cert.cert, &mut cert.key]);
        for path in roots.iter_mut().chain(files) {
            *path = folder.join(&*path);
        }
    }
}

fn texts(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    match node.value.is_array() {
        true => node.strings(problems),
        false => Some(vec![node.string(problems)?]),
    }
}

/// Returns whether a text is a name or an address, and nothing else.
fn is_name(text: &str) -> bool {
    is_host_entry(text) && !text.starts_with("*.") && Host::read(text).port().is_none()
}

/// Returns whether a text is a host, or `*.` and a name.
pub(crate) fn is_host_entry(text: &str) -> bool {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    !name.is_empty() && name.chars().all(fits)
}
