//! What policies ask about hosts.

use super::url::{host_ends_with, host_equals, name_and_port};

/// Returns whether a host is an allowlist entry or a subdomain of it: `stripe.com` and `.stripe.com` both
/// admit `api.stripe.com`, neither admits `evilstripe.com`.
pub(crate) fn host_within(entry: &str, host: &str) -> bool {
    let entry = entry.strip_prefix('.').unwrap_or(entry);
    let (end, name) = (name_and_port(entry).0, name_and_port(host).0);
    if end.is_empty() || !host_ends_with(entry, host) {
        return false;
    }
    host_equals(entry, host) || name[..name.len() - end.len()].ends_with('.')
}

/// Returns whether a policy counts a host as internal: a loopback address, a name without a dot, or a name
/// below `.localhost`.
pub(crate) fn host_is_internal(host: &str) -> bool {
    let name = name_and_port(host).0;
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<std::net::IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => !name.contains('.') || name.to_ascii_lowercase().ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowlists_stop_at_label_boundaries() {
        for entry in ["stripe.com", ".stripe.com", "STRIPE.com"] {
            assert!(host_within(entry, "api.stripe.com:443"), "{entry}");
            assert!(host_within(entry, "stripe.com"), "{entry}");
            assert!(!host_within(entry, "evilstripe.com"), "{entry}");
        }
        assert!(host_within("stripe.com:443", "api.stripe.com:443"));
        assert!(host_within("stripe.com:80", "api.stripe.com"));
        assert!(!host_within("stripe.com:443", "api.stripe.com:80"));
        assert!(!host_within("", "api.stripe.com"));
        assert!(!host_within(".", "api.stripe.com."));
        assert!(host_within("stripe.com", "api.stripe.com."));
        assert!(host_within("stripe.com.", "api.stripe.com:443"));
    }

    #[test]
    fn internal_hosts_are_loopback_or_a_single_label() {
        for host in [
            "localhost:3000",
            "127.0.0.1:80",
            "[::1]:80",
            "payments",
            "payments.",
            "localhost.:80",
        ] {
            assert!(host_is_internal(host), "{host}");
        }
        for host in ["api.stripe.com", "10.0.0.1:80"] {
            assert!(!host_is_internal(host), "{host}");
        }
    }
}
