//! Requests, responses and headers as plain data, and the rules by which hosts and paths compare.

use std::borrow::Cow;
use std::fmt;

/// The header that ties a request to a session on the first hop.
pub(crate) const SESSION_HEADER: &str = "x-softprobe-session-id";

/// The header of a strict miss.
pub(crate) const MISS_HEADER: &str = "x-softprobe-strict-miss";

/// The header by which a runtime of ours tells its own refusals, value the code, from answers that a rule
/// sends.
pub(crate) const REFUSAL_HEADER: &str = "x-softprobe-error";

/// No rule delays its answer for longer.
pub(crate) const LONGEST_DELAY: std::time::Duration = std::time::Duration::from_secs(600);

/// Which way a message crossed the application under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Into the application.
    Inbound,
    /// Out of the application, to something it depends on.
    Outbound,
}

impl Direction {
    /// The direction of that name: `inbound` or `outbound`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "inbound" => Some(Self::Inbound),
            "outbound" => Some(Self::Outbound),
            _ => None,
        }
    }

    /// `inbound` or `outbound`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An ordered list of header fields. Names keep their case and compare without it; repeated fields
/// stay apart; values are bytes, since HTTP does not promise text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    fields: Vec<(String, Vec<u8>)>,
}

impl Headers {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field behind the others, also when one of that name is there.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) {
        self.fields.push((name.into(), value.into()));
    }

    /// Puts one field in the place of all that have this name.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) {
        let name = name.into();
        self.remove(&name);
        self.push(name, value);
    }

    /// Removes every field of that name.
    pub fn remove(&mut self, name: &str) {
        self.fields.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    }

    /// Keeps the fields whose name satisfies `keep`.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.fields.retain(|(name, _)| keep(name));
    }

    /// The fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// The values of that name, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The first value of that name as text; bytes that are not UTF-8 become U+FFFD.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| String::from_utf8_lossy(value))
    }

    /// Whether there is a field of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
    }

    /// The distinct names in lower case, in the order of their first field.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for (name, _) in self.iter() {
            let name = name.to_ascii_lowercase();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The number of fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

impl<N: Into<String>, V: Into<Vec<u8>>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(iter: I) -> Self {
        Self {
            fields: iter
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(name, value)| (name, shown(name, value))))
            .finish()
    }
}

/// What an application under test sends or receives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// The method, as sent: `POST`.
    pub method: String,
    /// `http` or `https`.
    pub scheme: String,
    /// The host, perhaps with a port: `api.stripe.com`.
    pub host: String,
    /// The path without its query: `/v1/payment_intents`.
    pub path: String,
    /// The query without its `?`, when there is one.
    pub query: Option<String>,
    /// The header fields.
    pub headers: Headers,
    /// The body, empty when there is none.
    pub body: Vec<u8>,
}

impl Request {
    /// The path with its query, as in a request line.
    pub fn target(&self) -> String {
        join_target(&self.path, self.query.as_deref())
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.method, self.host, self.target())
    }
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: Headers,
    /// The body, empty when there is none.
    pub body: Vec<u8>,
}

/// The path with its query behind it.
pub(crate) fn join_target(path: &str, query: Option<&str>) -> String {
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

/// Path and query of a request target.
pub(crate) fn split_target(target: &str) -> (&str, Option<&str>) {
    match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    }
}

/// Scheme, authority and the rest of an absolute URL; `None` for anything else.
pub(crate) fn split_url(url: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let authority = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let target = target.split_once('#').map_or(target, |(target, _)| target);
    (!scheme.is_empty() && !authority.is_empty()).then_some((scheme, authority, target))
}

/// Host name and port of an authority; an IPv6 address keeps its brackets.
pub(crate) fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port))
            if !port.is_empty()
                && port.bytes().all(|b| b.is_ascii_digit())
                && (!host.contains(':') || host.ends_with(']')) =>
        {
            (host, Some(port))
        }
        _ => (authority, None),
    }
}

/// Whether a wanted host is this host: without regard to case, and a wanted host without a port fits
/// every port.
pub(crate) fn host_equals(wanted: &str, host: &str) -> bool {
    let wanted = without_implied_port(wanted, host);
    wanted.eq_ignore_ascii_case(host)
        || (split_port(wanted).1.is_none() && wanted.eq_ignore_ascii_case(split_port(host).0))
}

/// The wanted host without `:80` or `:443` where the host has no port: it implies one of them.
fn without_implied_port<'w>(wanted: &'w str, host: &str) -> &'w str {
    match (split_port(wanted), split_port(host).1) {
        ((name, Some("80" | "443")), None) => name,
        _ => wanted,
    }
}

/// Whether a host ends with a suffix: a plain ends-with, without regard to case; a suffix without a
/// port ignores the host's.
pub(crate) fn host_ends_with(suffix: &str, host: &str) -> bool {
    let suffix = without_implied_port(suffix, host);
    let host = if split_port(suffix).1.is_none() {
        split_port(host).0
    } else {
        host
    };
    host.to_ascii_lowercase()
        .ends_with(&suffix.to_ascii_lowercase())
}

/// Whether a host is one entry of an allowlist or a name below it, at a label boundary: `stripe.com`
/// and `.stripe.com` both admit `api.stripe.com`, neither admits `evilstripe.com`.
pub(crate) fn host_within(entry: &str, host: &str) -> bool {
    let entry = entry.strip_prefix('.').unwrap_or(entry);
    let entry = without_implied_port(entry, host);
    if entry.is_empty() {
        return false;
    }
    if host_equals(entry, host) {
        return true;
    }
    let host = if split_port(entry).1.is_none() {
        split_port(host).0
    } else {
        host
    };
    let (host, entry) = (host.to_ascii_lowercase(), entry.to_ascii_lowercase());
    host.strip_suffix(&entry)
        .is_some_and(|rest| rest.ends_with('.'))
}

/// Whether a host is this machine or has no dot: what a policy calls internal.
pub(crate) fn host_is_internal(host: &str) -> bool {
    let name = split_port(host).0;
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<std::net::IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => !name.contains('.') || name.to_ascii_lowercase().ends_with(".localhost"),
    }
}

/// Whether a wanted path is this one. A wanted path with a `?` compares with path and query, where a
/// bare `?` at its end wants no query; one without compares with the path alone.
pub(crate) fn path_equals(wanted: &str, path: &str, query: Option<&str>) -> bool {
    match wanted.split_once('?') {
        Some((wanted_path, wanted_query)) => {
            wanted_path == path && wanted_query == query.unwrap_or_default()
        }
        None => wanted == path,
    }
}

/// Whether a header belongs to one connection and is never carried further.
pub(crate) fn is_hop_by_hop(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    matches!(
        name.as_str(),
        "connection" | "keep-alive" | "te" | "trailer" | "transfer-encoding" | "upgrade"
    ) || name.starts_with("proxy-")
}

/// Whether a header's value is masked in everything that people read.
pub(crate) fn is_secret(name: &str) -> bool {
    const SECRET: [&str; 5] = [
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
    ];
    SECRET
        .iter()
        .any(|secret| name.eq_ignore_ascii_case(secret))
}

/// A header's value as people may read it: secrets masked, other bytes as text.
pub(crate) fn shown<'a>(name: &str, value: &'a [u8]) -> Cow<'a, str> {
    if is_secret(name) {
        Cow::Borrowed("[masked]")
    } else {
        String::from_utf8_lossy(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_compare_without_case_and_perhaps_without_port() {
        assert!(host_equals("API.stripe.com", "api.stripe.com:443"));
        assert!(!host_equals("api.stripe.com:80", "api.stripe.com:443"));
        assert!(host_equals("[::1]", "[::1]:8080"));
        assert!(host_ends_with("stripe.com", "evilSTRIPE.com:443"));
        assert!(host_ends_with("stripe.com:443", "api.stripe.com:443"));
        assert!(!host_ends_with("stripe.com:8080", "api.stripe.com"));
        // A host without a port implies that of its scheme.
        assert!(host_equals("api.stripe.com:443", "api.stripe.com"));
        assert!(host_within("stripe.com:80", "api.stripe.com"));
    }

    #[test]
    fn allowlists_stop_at_label_boundaries() {
        for entry in ["stripe.com", ".stripe.com", "STRIPE.com"] {
            assert!(host_within(entry, "api.stripe.com:443"), "{entry}");
            assert!(host_within(entry, "stripe.com"), "{entry}");
            assert!(!host_within(entry, "evilstripe.com"), "{entry}");
        }
        assert!(host_within("stripe.com:443", "api.stripe.com:443"));
        assert!(!host_within("stripe.com:443", "api.stripe.com:80"));
        assert!(!host_within("", "api.stripe.com"));
    }

    #[test]
    fn internal_hosts_are_loopback_or_a_single_label() {
        for host in ["localhost:3000", "127.0.0.1:80", "[::1]:80", "payments"] {
            assert!(host_is_internal(host), "{host}");
        }
        for host in ["api.stripe.com", "10.0.0.1:80"] {
            assert!(!host_is_internal(host), "{host}");
        }
    }

    #[test]
    fn a_path_with_a_query_compares_with_both() {
        assert!(path_equals("/a", "/a", Some("x=1")));
        assert!(path_equals("/a?x=1", "/a", Some("x=1")));
        assert!(!path_equals("/a?x=1", "/a", None));
        assert!(path_equals("/a?", "/a", None));
        assert!(!path_equals("/a?", "/a", Some("x=1")));
    }

    #[test]
    fn urls_split() {
        assert_eq!(
            split_url("http://u:p@h:1/p?q#f"),
            Some(("http", "h:1", "/p?q"))
        );
        assert_eq!(split_url("https://h"), Some(("https", "h", "")));
        assert_eq!(split_url("/p"), None);
    }

    #[test]
    fn debug_output_masks_secrets() {
        let headers: Headers = [("Authorization", "Bearer s3cret"), ("a", "b")]
            .into_iter()
            .collect();
        let text = format!("{headers:?}");
        assert!(!text.contains("s3cret") && text.contains("masked"));
    }
}
