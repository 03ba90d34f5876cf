//! URLs, hosts and paths, and the rules for comparing them.

/// Splits an absolute URL into scheme, authority without credentials, and the rest without its fragment;
/// returns `None` for anything else.
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

/// Splits an authority into host name and port; an IPv6 address keeps its brackets.
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

/// Returns whether a host is the wanted one, without regard to case; a wanted host without a port matches
/// any port.
pub(crate) fn host_equals(wanted: &str, host: &str) -> bool {
    let wanted = without_implied_port(wanted, host);
    wanted.eq_ignore_ascii_case(host)
        || (split_port(wanted).1.is_none() && wanted.eq_ignore_ascii_case(split_port(host).0))
}

/// Returns the wanted host without its `:80` or `:443` if the host has no port and so implies one of them.
pub(super) fn without_implied_port<'w>(wanted: &'w str, host: &str) -> &'w str {
    match (split_port(wanted), split_port(host).1) {
        ((name, Some("80" | "443")), None) => name,
        _ => wanted,
    }
}

/// Returns whether a host ends with a suffix, without regard to case or label boundaries; if the suffix has
/// no port, the host's port is ignored.
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

/// Returns whether a path is the wanted one. A wanted path with a `?` is compared with path and query, and a
/// bare `?` at its end requires that there is no query; without a `?` the query is ignored.
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
