//! URLs, hosts and paths, and the rules for comparing them.

#[cfg(feature = "runner")]
use std::collections::BTreeMap;

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

/// Returns a URL for display, without the user name and password that may stand in it. In a text that is no URL,
/// everything before an `@` may be one.
pub(crate) fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        let at = url.rfind('@').filter(|_| !url.starts_with('/'));
        return at.map_or(url.to_owned(), |at| format!("[masked]{}", &url[at..]));
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // A password with a `/` in it ends the authority early, where a port should stand.
    let is_odd =
        split_port(authority).1.is_none() && authority.contains(':') && !authority.ends_with(']');
    let at = match authority.rfind('@') {
        None if is_odd => rest.rfind('@'),
        at => at,
    };
    at.map_or(url.to_owned(), |at| {
        format!("{scheme}://[masked]{}", &rest[at..])
    })
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

/// Returns an authority without the port that its scheme implies.
#[cfg(feature = "embedded")]
pub(crate) fn without_default_port<'a>(scheme: &str, authority: &'a str) -> &'a str {
    match split_port(authority) {
        (host, port @ Some(_)) if port == default_port(scheme) => host,
        _ => authority,
    }
}

/// Returns an authority with the port that its scheme implies, unless it has one.
#[cfg(feature = "runner")]
pub(crate) fn with_port(scheme: &str, authority: &str) -> String {
    match split_port(authority) {
        (host, None) => format!("{host}:{}", default_port(scheme).unwrap_or("80")),
        _ => authority.to_owned(),
    }
}

pub(crate) fn default_port(scheme: &str) -> Option<&'static str> {
    match scheme.to_ascii_lowercase().as_str() {
        "http" => Some("80"),
        "https" => Some("443"),
        _ => None,
    }
}

/// Returns whether a path is the wanted one, after the normalization of RFC 3986, 6.2.2. A wanted path with a
/// `?` is compared with path and query, and a bare `?` at its end requires that there is no query; without a
/// `?` the query is ignored.
pub(crate) fn path_equals(wanted: &str, path: &str, query: Option<&str>) -> bool {
    match wanted.split_once('?') {
        Some((wanted_path, wanted_query)) => {
            same_path(wanted_path, path) && same_query(wanted_query, query.unwrap_or_default())
        }
        None => same_path(wanted, path),
    }
}

/// Returns a URL with the characters escaped that no URL may have as they are, though clients send them.
#[cfg(feature = "runner")]
pub(crate) fn escaped_target(url: &str) -> std::borrow::Cow<'_, str> {
    const RAW: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'<')
        .add(b'>')
        .add(b'^')
        .add(b'`');
    percent_encoding::utf8_percent_encode(url, RAW).into()
}

/// Returns whether two paths without queries are equivalent.
pub(crate) fn same_path(a: &str, b: &str) -> bool {
    let may_differ = |path: &str| path.contains('%') || path.contains("/.");
    a == b || ((may_differ(a) || may_differ(b)) && normal_path(a) == normal_path(b))
}

/// Returns the names of a query, decoded, each with its values in order.
#[cfg(feature = "runner")]
pub(crate) fn query_pairs(query: &str) -> BTreeMap<String, Vec<String>> {
    let mut pairs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()).into_owned() {
        pairs.entry(name).or_default().push(value);
    }
    pairs
}

/// Returns whether two queries have the same names and values, in the same order for each name.
pub(crate) fn same_query(a: &str, b: &str) -> bool {
    same_query_without(&[], a, b)
}

/// Returns whether two queries are the same apart from the values of these names.
pub(crate) fn same_query_without(names: &[String], a: &str, b: &str) -> bool {
    // As bytes, because escapes need not be text.
    let decoded = |part: &str| {
        let part = part.replace('+', " ");
        percent_encoding::percent_decode_str(&part).collect::<Vec<u8>>()
    };
    let pairs = |query: &str| {
        let parts = query.split('&').filter(|part| !part.is_empty());
        let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = parts
            .map(|part| part.split_once('=').unwrap_or((part, "")))
            .map(|(name, value)| (decoded(name), decoded(value)))
            .filter(|(name, _)| !names.iter().any(|known| known.as_bytes() == name))
            .collect();
        pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
        pairs
    };
    a == b || pairs(a) == pairs(b)
}

/// Returns a path without escapes of unreserved characters, with upper-case hex digits, and without `.` and
/// `..` segments.
fn normal_path(path: &str) -> Vec<u8> {
    let bytes = path.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        match byte.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                out.push(byte);
                at += 3;
            }
            Some(_) => {
                out.extend(bytes[at..at + 3].to_ascii_uppercase());
                at += 3;
            }
            // Clients send these as they are, though a URL must escape them.
            None if b"\"<>\\^`{|} ".contains(&bytes[at]) || !bytes[at].is_ascii_graphic() => {
                out.extend(format!("%{:02X}", bytes[at]).into_bytes());
                at += 1;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    let mut segments: Vec<&[u8]> = Vec::new();
    let mut rest = out.split(|byte| *byte == b'/').peekable();
    while let Some(segment) = rest.next() {
        let is_last = rest.peek().is_none();
        match segment {
            b"." => {}
            // The first segment is the empty one before the path's first slash.
            b".." if segments.len() > 1 => drop(segments.pop()),
            b".." => {}
            segment => {
                segments.push(segment);
                continue;
            }
        }
        if is_last {
            segments.push(b"");
        }
    }
    segments.join(&b'/')
}

/// Longer steps of a path are ids if they have a digit.
#[cfg(feature = "runner")]
const LONGEST_WORD: usize = 20;

/// Returns a path with ids as `{id}`.
#[cfg(feature = "runner")]
pub(crate) fn with_ids(path: &str) -> String {
    let steps = path.split('/').map(without_id);
    steps.collect::<Vec<_>>().join("/")
}

/// Returns a step of a path, or `{id}` for a number, a UUID, or what is longer than words are.
#[cfg(feature = "runner")]
pub(crate) fn without_id(text: &str) -> &str {
    let has_digit = text.contains(|c: char| c.is_ascii_digit());
    let is_number = has_digit
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || c == '.' || c == '-');
    let is_hex =
        has_digit && text.len() >= 8 && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    match is_number || is_hex || (has_digit && text.len() > LONGEST_WORD) {
        true => "{id}",
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_equal_in_any_order_of_their_names() {
        for (a, b, wanted) in [
            ("a=1&b=2", "b=2&a=1", true),
            ("a=1&a=2", "a=2&a=1", false),
            ("a=x+y", "a=x%20y", true),
            ("a=%7E", "a=~", true),
            ("a=1", "a=1&a=1", false),
            ("a=1&", "a=1", true),
            ("a", "a=", true),
            ("a=1", "A=1", false),
            ("a=%FF", "a=%FE", false),
            ("a=%FF", "a=%ff", true),
            ("", "a=1", false),
        ] {
            assert_eq!(same_query(a, b), wanted, "{a} {b}");
        }
    }

    #[test]
    fn paths_are_equal_after_normalization() {
        for (a, b, wanted) in [
            ("/%7Euser", "/~user", true),
            ("/a%2fb", "/a%2Fb", true),
            ("/a%2Fb", "/a/b", false),
            ("/a/./b/../c", "/a/c", true),
            ("/a/..", "/", true),
            ("/a/.", "/a/", true),
            ("/../a", "/a", true),
            ("/a", "/a/", false),
            ("/A", "/a", false),
            ("/a%2", "/a%2", true),
            ("/%zz", "/%ZZ", false),
            ("/a<b>", "/a%3Cb%3e", true),
            ("/a b", "/a%20b", true),
            ("/tür", "/t%C3%BCr", true),
        ] {
            assert_eq!(same_path(a, b), wanted, "{a} {b}");
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
    fn credentials_are_not_shown() {
        for (url, shown) in [
            ("http://joe:p@ss@h:1/a@b", "http://[masked]@h:1/a@b"),
            ("http://joe@h", "http://[masked]@h"),
            ("http://h/a@b", "http://h/a@b"),
            ("/a@b", "/a@b"),
            ("http://[::1]/a@b", "http://[::1]/a@b"),
            ("joe:secret@h:1", "[masked]@h:1"),
            ("http:/joe:secret@h", "[masked]@h"),
            ("http://joe:se/cret@h:1", "http://[masked]@h:1"),
        ] {
            assert_eq!(without_credentials(url), shown);
        }
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
