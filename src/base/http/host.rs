//! Hosts, read once as the URL standard reads them, so that policies, rules and whoever dials mean the same one.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::message::Request;
use super::url::{default_port, split_port};

/// The host of an authority, in one spelling: without DNS's final dot, and with addresses as their standard forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host<'a> {
    name: Cow<'a, str>,
    port: Option<&'a str>,
    /// The ports that the scheme implies where none is given: one, or both if the scheme is not known.
    implied: &'static [&'static str],
}

impl<'a> Host<'a> {
    /// Reads an authority whose scheme is not known.
    pub(crate) fn read(authority: &'a str) -> Self {
        let (name, port) = name_and_port(authority);
        Self {
            name: standard(name),
            port,
            implied: &["80", "443"],
        }
    }

    /// Returns the host of a request.
    pub(crate) fn of(request: &'a Request) -> Self {
        Self {
            implied: match default_port(&request.scheme) {
                Some("80") => &["80"],
                Some("443") => &["443"],
                _ => &["80", "443"],
            },
            ..Self::read(&request.host)
        }
    }

    /// Returns its name or address; an IPv6 address has its brackets.
    #[cfg(feature = "embedded")]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns its port, if one is given.
    #[cfg(feature = "embedded")]
    pub(crate) fn port(&self) -> Option<&'a str> {
        self.port
    }

    /// Returns its name or address with its port.
    #[cfg(feature = "embedded")]
    pub(crate) fn with_port(&self) -> String {
        match self.port {
            None => self.name.clone().into_owned(),
            Some(port) => format!("{}:{port}", self.name),
        }
    }

    /// Returns the authority to dial: as it was given, but with an address in its standard form.
    #[cfg(feature = "embedded")]
    pub(crate) fn authority(&self, given: &str) -> String {
        match self.address().is_none() && !given.starts_with('[') {
            true => given.to_owned(),
            false => self.with_port(),
        }
    }

    /// Returns whether it is the wanted one, without regard to case; a wanted host without a port matches any port.
    pub(crate) fn is(&self, wanted: &str) -> bool {
        let wanted = Host::read(wanted);
        self.name.eq_ignore_ascii_case(&wanted.name) && self.has_port(&wanted)
    }

    /// Returns whether it ends with a suffix, without regard to case or label boundaries; if the suffix has no port,
    /// any port fits.
    pub(crate) fn ends_with(&self, suffix: &str) -> bool {
        let suffix = Host::read(suffix);
        let (name, end) = (self.name.as_bytes(), suffix.name.as_bytes());
        let start = name.len().checked_sub(end.len());
        start.is_some_and(|start| name[start..].eq_ignore_ascii_case(end)) && self.has_port(&suffix)
    }

    /// Returns whether it is an entry of a list of hosts, or a subdomain of one: `stripe.com` and `.stripe.com` both
    /// include `api.stripe.com`, neither includes `evilstripe.com`.
    #[cfg(feature = "embedded")]
    pub(crate) fn is_within(&self, entry: &str) -> bool {
        let entry = entry.strip_prefix('.').unwrap_or(entry);
        let end = Host::read(entry).name.len();
        if end == 0 || !self.ends_with(entry) {
            return false;
        }
        self.is(entry)
            || (self.address().is_none() && self.name[..self.name.len() - end].ends_with('.'))
    }

    /// Returns whether a policy counts it as internal: a loopback address, a name without a dot, or a name below
    /// `.localhost`.
    #[cfg(feature = "embedded")]
    pub(crate) fn is_internal(&self) -> bool {
        self.is_loopback() || (self.address().is_none() && !self.name.contains('.'))
    }

    /// Returns whether it is this machine: a loopback address, `localhost` or a name below it.
    pub(crate) fn is_loopback(&self) -> bool {
        let name = self.name.to_ascii_lowercase();
        match self.address() {
            Some(address) => address.is_loopback(),
            None => name == "localhost" || name.ends_with(".localhost"),
        }
    }

    /// Returns its address if it is not a name.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match bracketed(&self.name) {
            Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::from),
            None => self.name.parse::<Ipv4Addr>().ok().map(IpAddr::from),
        }
    }

    fn has_port(&self, wanted: &Host<'_>) -> bool {
        match (wanted.port, self.port) {
            (None, _) => true,
            (Some(wanted), Some(has)) => wanted == has,
            (Some(wanted), None) => self.implied.contains(&wanted),
        }
    }
}

/// Splits an authority into a name without DNS's final dot and its port. gRPC's C core doubles the port when it names
/// its target to a proxy, as `[host:port]:port`.
fn name_and_port(authority: &str) -> (&str, Option<&str>) {
    let (name, port) = split_port(authority);
    let inner = bracketed(name).filter(|inner| inner.parse::<Ipv6Addr>().is_err());
    // Whoever dials takes the brackets off, whatever is in them.
    let (name, port) = match inner.map(split_port) {
        Some((name, inner_port)) => (name, port.or(inner_port)),
        None => (name, port),
    };
    (name.strip_suffix('.').unwrap_or(name), port)
}

fn bracketed(name: &str) -> Option<&str> {
    name.strip_prefix('[')?.strip_suffix(']')
}

/// Returns a name as it is, and an address in its standard form. Addresses that lead to this machine by another way
/// become the loopback address: `0.0.0.0`, `[::]`, and those of IPv4 inside IPv6.
fn standard(name: &str) -> Cow<'_, str> {
    let v4 = |address: Ipv4Addr| match address.is_unspecified() {
        true => Ipv4Addr::LOCALHOST.to_string(),
        false => address.to_string(),
    };
    if let Some(inner) = bracketed(name) {
        let Ok(address) = inner.parse::<Ipv6Addr>() else {
            return name.into();
        };
        return match address.to_ipv4_mapped() {
            Some(mapped) => v4(mapped).into(),
            None if address.is_unspecified() => format!("[{}]", Ipv6Addr::LOCALHOST).into(),
            None => format!("[{address}]").into(),
        };
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    match last.starts_with(|c: char| c.is_ascii_digit()) {
        true => ipv4(name).map_or(name.into(), |address| v4(address).into()),
        false => name.into(),
    }
}

/// Reads an IPv4 address as the URL standard does: one to four numbers, each decimal, octal with a leading `0` or
/// hexadecimal with a leading `0x`; the last one fills the bytes that are left.
fn ipv4(name: &str) -> Option<Ipv4Addr> {
    let number = |text: &str| -> Option<u64> {
        let lower = text.to_ascii_lowercase();
        match (lower.strip_prefix("0x"), lower.strip_prefix('0')) {
            (Some(""), _) | (_, Some("")) => Some(0),
            (Some(hex), _) => u64::from_str_radix(hex, 16).ok(),
            (_, Some(octal)) => u64::from_str_radix(octal, 8).ok(),
            _ => lower.parse().ok(),
        }
    };
    let parts: Vec<&str> = name.split('.').collect();
    if parts.len() > 4 || parts.iter().any(|part| part.starts_with('+')) {
        return None;
    }
    let numbers: Vec<u64> = parts.into_iter().map(number).collect::<Option<_>>()?;
    let (last, first) = numbers.split_last()?;
    let mut address = *last;
    if *last >= 256_u64.pow(u32::try_from(4 - first.len()).ok()?) {
        return None;
    }
    for (n, byte) in first.iter().enumerate() {
        if *byte > 255 {
            return None;
        }
        address += byte << (8 * (3 - n));
    }
    u32::try_from(address).ok().map(Ipv4Addr::from)
}

#[cfg(test)]
#[cfg(feature = "embedded")]
mod tests {
    use super::*;

    fn host(authority: &str) -> Host<'_> {
        Host::read(authority)
    }

    #[test]
    fn hosts_compare_without_case_and_with_an_optional_port() {
        assert!(host("api.stripe.com:443").is("API.stripe.com"));
        assert!(!host("api.stripe.com:443").is("api.stripe.com:80"));
        assert!(host("[::1]:8080").is("[::1]"));
        assert!(host("evilSTRIPE.com:443").ends_with("stripe.com"));
        assert!(host("api.stripe.com:443").ends_with("stripe.com:443"));
        assert!(!host("api.stripe.com").ends_with("stripe.com:8080"));
        assert!(!host("api.stripe.com").is("api.stripe.com:8443"));
    }

    #[test]
    fn a_scheme_implies_a_port() {
        for (scheme, port, fits) in [
            ("https", "443", true),
            ("https", "80", false),
            ("http", "80", true),
            ("http", "443", false),
            ("", "443", true),
            ("", "80", true),
        ] {
            let mut request = Request::new("GET", "http://api.stripe.com/");
            scheme.clone_into(&mut request.scheme);
            let wanted = format!("api.stripe.com:{port}");
            assert_eq!(Host::of(&request).is(&wanted), fits, "{scheme} {port}");
        }
    }

    #[test]
    fn a_final_dot_makes_no_other_host() {
        for (wanted, has) in [
            ("pay.example", "pay.example."),
            ("pay.example.", "pay.example"),
            ("pay.example:80", "pay.example.:80"),
        ] {
            assert!(host(has).is(wanted), "{wanted} {has}");
            assert!(host(has).ends_with(wanted), "{wanted} {has}");
        }
        assert!(!host("pay.example..").is("pay.example"));
        assert!(host("pay.example.:8080").ends_with(".example"));
        assert!(!host("pay.example").ends_with("long.pay.example"));
    }

    #[test]
    fn an_address_is_the_same_in_any_spelling() {
        for has in [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "0177.0.0.1",
            "0x7f.1",
            "0x7f000001",
            "2130706433",
            "017700000001",
            "127.0.0.1.",
            "[::ffff:127.0.0.1]",
            "[::FFFF:7f00:1]",
            "0.0.0.0",
            "0",
            "0x",
            "[127.0.0.1]",
            "[0x7f.1]:80",
            "[::ffff:0:0]",
            "127.0.0.1:80",
        ] {
            assert!(host(has).is("127.0.0.1"), "{has}");
            assert!(host("127.0.0.1:80").is(has), "{has}");
            assert!(host(has).is_internal() && host(has).is_loopback(), "{has}");
            assert!(host(has).is_within("127.1"), "{has}");
        }
        for has in ["[::1]", "[0:0:0:0:0:0:0:1]", "[::0001]:80", "[::]"] {
            assert!(host(has).is("[::1]"), "{has}");
            assert!(host(has).is_internal(), "{has}");
        }
        // What is no address stays a name.
        for has in [
            "127.0.0.256",
            "1.2.3.4.5",
            "08.1",
            "1.+2",
            "256.1",
            "4294967296",
            "0x7g",
            "[::1",
            "127.0.0.1.example",
        ] {
            assert_eq!(host(has).address(), None, "{has}");
        }
        assert_eq!(host("10.1:80").name(), "10.0.0.1");
        assert!(!host("10.1").is_internal());
        // A part of an address is no domain.
        assert!(!host("127.0.0.1").is_within("0.1"));
    }

    #[test]
    fn a_doubled_port_is_read() {
        let doubled = host("[pay.example:50051]:50051");
        assert_eq!(
            (doubled.name(), doubled.port()),
            ("pay.example", Some("50051"))
        );
        assert!(doubled.is("pay.example:50051"));
        assert_eq!(host("[::1]:80").name(), "[::1]");
    }

    #[test]
    fn lists_stop_at_label_boundaries() {
        for entry in ["stripe.com", ".stripe.com", "STRIPE.com"] {
            assert!(host("api.stripe.com:443").is_within(entry), "{entry}");
            assert!(host("stripe.com").is_within(entry), "{entry}");
            assert!(!host("evilstripe.com").is_within(entry), "{entry}");
        }
        assert!(host("api.stripe.com:443").is_within("stripe.com:443"));
        assert!(host("api.stripe.com").is_within("stripe.com:80"));
        assert!(!host("api.stripe.com:80").is_within("stripe.com:443"));
        assert!(!host("api.stripe.com").is_within(""));
        assert!(!host("api.stripe.com.").is_within("."));
        assert!(host("api.stripe.com.").is_within("stripe.com"));
        assert!(host("api.stripe.com:443").is_within("stripe.com."));
    }

    #[test]
    fn internal_hosts_are_loopback_or_a_single_label() {
        for has in [
            "localhost:3000",
            "127.0.0.1:80",
            "[::1]:80",
            "payments",
            "payments.",
            "localhost.:80",
            "a.localhost",
        ] {
            assert!(host(has).is_internal(), "{has}");
        }
        for has in ["api.stripe.com", "10.0.0.1:80", "[fe80::1]"] {
            assert!(!host(has).is_internal(), "{has}");
        }
        assert!(!host("payments").is_loopback());
    }
}
