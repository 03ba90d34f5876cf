//! URLs, hosts and paths, and the rules by which they compare.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_compare_without_case_and_with_an_optional_port() {
        assert!(host_equals("API.stripe.com", "api.stripe.com:443"));
        assert!(!host_equals("api.stripe.com:80", "api.stripe.com:443"));
        assert!(host_equals("[::1]", "[::1]:8080"));
        assert!(host_ends_with("stripe.com", "evilSTRIPE.com:443"));
        assert!(host_ends_with("stripe.com:443", "api.stripe.com:443"));
        assert!(!host_ends_with("stripe.com:8080", "api.stripe.com"));
        // A host without a port implies the default port of its scheme.
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
    fn a_path_with_a_query_is_compared_with_both() {
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
}
