//! Compares the values of one header as HTTP means them, not as bytes.

use std::collections::BTreeMap;

use super::expected::Reached;
use crate::base::http::{Headers, without_default_port};

/// Returns whether two messages have equal values of a header; `name` is in lower case.
pub(super) fn equal(
    name: &str,
    captured: &Headers,
    actual: &Headers,
    reached: &Reached<'_>,
) -> bool {
    if captured.all(name).eq(actual.all(name)) {
        return true;
    }
    if captured.contains(name) != actual.contains(name) {
        return false;
    }
    match name {
        "set-cookie" => cookies(captured) == cookies(actual),
        "location" | "content-location" => same_place(name, captured, actual, reached),
        name if SETS.contains(&name) => {
            let set = |headers| sorted(elements(&joined(name, headers).to_ascii_lowercase()));
            set(captured) == set(actual)
        }
        name if METHODS.contains(&name) => {
            let set = |headers| sorted(elements(&joined(name, headers)));
            set(captured) == set(actual)
        }
        name if LISTS.contains(&name) => {
            elements(&joined(name, captured)) == elements(&joined(name, actual))
        }
        // A field that stands several times has the meaning of one with all the values (RFC 9110, 5.3).
        name => joined(name, captured) == joined(name, actual),
    }
}

/// Returns whether two messages have the same media type, whatever its parameters.
pub(super) fn same_media_type(captured: &Headers, actual: &Headers) -> bool {
    captured.get("content-type") == actual.get("content-type")
        || media_type(captured) == media_type(actual)
}

/// Returns a message's media type in lower case, without its parameters.
pub(super) fn media_type(headers: &Headers) -> Option<String> {
    let value = headers.text("content-type")?;
    Some(value.split(';').next()?.trim().to_ascii_lowercase())
}

/// Lists whose order means nothing, and whose elements are compared without regard to case.
const SETS: [&str; 6] = [
    "accept-ranges",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "cache-control",
    "pragma",
    "vary",
];

/// Lists of methods, whose order means nothing, but whose case does.
const METHODS: [&str; 2] = ["access-control-allow-methods", "allow"];

/// Lists whose order means something.
const LISTS: [&str; 7] = [
    "content-encoding",
    "content-language",
    "forwarded",
    "link",
    "proxy-authenticate",
    "warning",
    "www-authenticate",
];

fn joined(name: &str, headers: &Headers) -> Vec<u8> {
    headers.all(name).collect::<Vec<_>>().join(&b", "[..])
}

/// Returns the elements of a list. A comma within quotes separates none.
fn elements(list: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(list).into_owned();
    let (mut quoted, mut escaped) = (false, false);
    let elements = text.split(|c| {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = quoted,
            '"' => quoted = !quoted,
            _ => {}
        }
        c == ',' && !quoted
    });
    let elements = elements
        .map(str::trim)
        .filter(|element| !element.is_empty());
    elements.map(str::to_owned).collect()
}

/// Returns the elements of a list as a set.
fn sorted(mut elements: Vec<String>) -> Vec<String> {
    elements.sort_unstable();
    elements.dedup();
    elements
}

/// A cookie that an answer sets.
#[derive(Debug, PartialEq, Eq)]
struct Cookie<'h> {
    name: &'h [u8],
    value: &'h [u8],
    attributes: BTreeMap<String, Vec<u8>>,
}

/// Returns the cookies by name, as their order means nothing, except among those of one name.
fn cookies(headers: &Headers) -> Vec<Cookie<'_>> {
    let mut cookies: Vec<Cookie<'_>> = headers.all("set-cookie").map(Cookie::read).collect();
    cookies.sort_by_key(|cookie| cookie.name);
    cookies
}

impl<'h> Cookie<'h> {
    fn read(field: &'h [u8]) -> Self {
        let mut parts = field.split(|byte| *byte == b';').map(halves);
        let (name, value) = parts.next().unwrap_or_default();
        let attributes = parts
            .filter(|(name, _)| !name.is_empty())
            .map(|(name, value)| {
                let name = String::from_utf8_lossy(name).to_ascii_lowercase();
                let value = match name.as_str() {
                    "domain" => value
                        .strip_prefix(b".")
                        .unwrap_or(value)
                        .to_ascii_lowercase(),
                    "samesite" => value.to_ascii_lowercase(),
                    // A time of expiry is computed anew in each run, but for one long ago, which removes the cookie.
                    "expires" => match year(&String::from_utf8_lossy(value)) {
                        Some(..=2000) => b"removed".to_vec(),
                        Some(_) => b"later".to_vec(),
                        None => value.to_vec(),
                    },
                    _ => value.to_vec(),
                };
                (name, value)
            });
        Self {
            name,
            value,
            attributes: attributes.collect(),
        }
    }
}

/// Returns a `set-cookie` field with its value masked.
pub(super) fn masked_cookie(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == b';');
    let (pair, attributes) = field.split_at(end.unwrap_or(field.len()));
    let attributes = String::from_utf8_lossy(attributes);
    // Without a `=`, the whole may be a value.
    match pair.contains(&b'=') {
        true => format!(
            "{}=[masked]{attributes}",
            String::from_utf8_lossy(halves(pair).0)
        ),
        false => format!("[masked]{attributes}"),
    }
}

/// Splits at the first `=`, without the space around each half.
fn halves(part: &[u8]) -> (&[u8], &[u8]) {
    let at = part.iter().position(|byte| *byte == b'=');
    let (name, value) = part.split_at(at.unwrap_or(part.len()));
    let value = value.strip_prefix(b"=").unwrap_or(value);
    (name.trim_ascii(), value.trim_ascii())
}

/// Returns the year of a date as cookies have it (RFC 6265, 5.1.1): of four digits, or of two behind the month.
fn year(date: &str) -> Option<u16> {
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let parts = date
        .split([' ', ',', '-', '\t'])
        .filter(|part| !part.is_empty());
    let parts: Vec<String> = parts.map(str::to_ascii_lowercase).collect();
    let number = |part: &String| part.parse::<u16>().ok();
    if let Some(year) = parts.iter().filter(|part| part.len() == 4).find_map(number) {
        return Some(year);
    }
    let is_month = |part: &String| MONTHS.iter().any(|month| part.starts_with(month));
    let month = parts.iter().position(is_month)?;
    match number(parts.get(month + 1)?)? {
        year @ 70..=99 => Some(1900 + year),
        year @ 0..=69 => Some(2000 + year),
        _ => None,
    }
}

/// Returns whether two references lead to the same place, apart from the application's own host and port.
fn same_place(name: &str, captured: &Headers, actual: &Headers, reached: &Reached<'_>) -> bool {
    let (captured, actual) = (captured.text(name), actual.text(name));
    let (captured, actual) = (captured.unwrap_or_default(), actual.unwrap_or_default());
    if captured == actual {
        return true;
    }
    let (was, is) = (reached.captured.0, reached.actual.0);
    match (
        within(&captured, was, reached),
        within(&actual, is, reached),
    ) {
        (Some((from, captured)), Some((to, actual))) => {
            captured == actual && (from == to || (from == was && to == is))
        }
        _ => false,
    }
}

/// Returns the values of a header of an actual message as they would have been captured: a reference into the application
/// itself leads to where it was then.
pub(super) fn as_captured(
    name: &str,
    captured: &Headers,
    actual: &Headers,
    reached: &Reached<'_>,
) -> Vec<Vec<u8>> {
    if !["location", "content-location"].contains(&name) {
        return actual.all(name).map(<[u8]>::to_vec).collect();
    }
    let was_path = captured.text(name).is_some_and(|text| is_path(&text));
    let (was, authority) = reached.captured;
    let values = actual.all(name).map(|value| {
        let text = String::from_utf8_lossy(value);
        match within(&text, reached.actual.0, reached) {
            Some((_, target)) if was_path || is_path(&text) || authority.is_empty() => {
                target.as_bytes().to_vec()
            }
            Some((scheme, target)) => {
                let scheme = if scheme == reached.actual.0 {
                    was
                } else {
                    scheme
                };
                format!("{scheme}://{authority}{target}").into_bytes()
            }
            None => value.to_vec(),
        }
    });
    values.collect()
}

/// Returns the scheme and the rest of a reference into the application itself; `None` if it leads elsewhere.
/// `scheme` is that of the request, which a reference without one keeps.
fn within<'r>(
    reference: &'r str,
    scheme: &'r str,
    reached: &Reached<'_>,
) -> Option<(&'r str, &'r str)> {
    let (named, rest) = match (reference.strip_prefix("//"), reference.split_once("://")) {
        (Some(rest), _) => (scheme, rest),
        (None, Some((named, rest))) if !named.contains(['/', '?', '#']) => (named, rest),
        // A path, or a scheme that has no authority.
        _ => return is_path(reference).then_some((scheme, reference)),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or_default();
    let own = [reached.captured.1, reached.actual.1, reached.named];
    if !own.iter().any(|own| is_same_host(named, own, host)) {
        return None;
    }
    Some((named, if target.is_empty() { "/" } else { target }))
}

/// Returns whether a reference has no scheme.
fn is_path(reference: &str) -> bool {
    let first = reference.split(['/', '?', '#']).next().unwrap_or_default();
    !first.contains(':')
}

fn is_same_host(scheme: &str, own: &str, authority: &str) -> bool {
    let [own, authority] = [own, authority].map(|host| without_default_port(scheme, host));
    !own.is_empty() && own.eq_ignore_ascii_case(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(name: &str, values: &[&str]) -> Headers {
        values.iter().map(|value| (name, *value)).collect()
    }

    #[track_caller]
    fn check(name: &str, captured: &[&str], actual: &[&str], wanted: bool) {
        let reached = Reached {
            captured: ("https", "shop.example"),
            actual: ("http", "127.0.0.1:3000"),
            named: "tenant.example",
        };
        let (captured, actual) = (fields(name, captured), fields(name, actual));
        let found = equal(name, &captured, &actual, &reached);
        assert_eq!(found, wanted, "{name}: {captured:?} {actual:?}");
    }

    #[test]
    fn lists_are_equal_however_they_are_written() {
        check("vary", &["Accept, Origin"], &["origin", "Accept"], true);
        check("vary", &["Accept"], &["Accept, Origin"], false);
        check(
            "cache-control",
            &["no-cache, no-store"],
            &["no-store,no-cache"],
            true,
        );
        check("cache-control", &["max-age=1"], &["max-age=2"], false);
        check(
            "link",
            &["<a>; title=\"x, y\", <b>"],
            &["<a>; title=\"x, y\"", "<b>"],
            true,
        );
        check("link", &["<a>, <b>"], &["<b>, <a>"], false);
        check("link", &["<a>; t=\"x,y\""], &["<a>; t=\"x, y\""], false);
        check("allow", &["GET, POST"], &["POST", "GET"], true);
        check(
            "access-control-allow-methods",
            &["PATCH"],
            &["patch"],
            false,
        );
        check("x-list", &["a", "b"], &["a, b"], true);
        check("x-list", &["a, b"], &["b, a"], false);
        check("x-list", &["a"], &[], false);
    }

    #[test]
    fn cookies_are_equal_if_they_set_the_same() {
        let name = "set-cookie";
        check(
            name,
            &["a=1; Path=/; HttpOnly"],
            &["a=1; httponly; path=/"],
            true,
        );
        check(name, &["a=1", "b=2"], &["b=2", "a=1"], true);
        check(name, &["a=1; SameSite=Lax"], &["a=1; samesite=lax"], true);
        let later = "a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT";
        check(
            name,
            &[later],
            &["a=1; Expires=Thu, 22 Oct 2026 07:28:00 GMT"],
            true,
        );
        check(
            name,
            &[later],
            &["a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT"],
            false,
        );
        for long_ago in [
            "Thu, 01-Jan-70 00:00:00 GMT",
            "Sat, 01 Jan 2000 00:00:00 GMT",
        ] {
            let removed = format!("a=1; Expires={long_ago}");
            check(name, &[later], &[&removed], false);
            check(
                name,
                &[&removed],
                &["a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT"],
                true,
            );
        }
        check(name, &[later], &["a=1"], false);
        check(name, &["a=1"], &["a=2"], false);
        check(name, &["a=1; Path=/"], &["a=1; Path=/x"], false);
        check(name, &["a=1; Secure"], &["a=1"], false);
        check(name, &["a=1", "a=2"], &["a=2", "a=1"], false);
    }

    #[test]
    fn locations_are_equal_apart_from_the_applications_own_host() {
        let name = "location";
        for (captured, actual, wanted) in [
            ("/home", "/home", true),
            ("/home", "/evil", false),
            (
                "https://shop.example/home",
                "http://127.0.0.1:3000/home",
                true,
            ),
            (
                "https://shop.example/home",
                "http://127.0.0.1:3000/evil",
                false,
            ),
            ("https://shop.example", "http://127.0.0.1:3000/", true),
            ("https://SHOP.example:443/a#b", "/a#b", true),
            (
                "https://shop.example/a#b",
                "http://127.0.0.1:3000/a#c",
                false,
            ),
            ("//shop.example/a", "//127.0.0.1:3000/a", true),
            ("https://shop.example/a", "https://127.0.0.1:3000/a", true),
            // A redirect from HTTPS to HTTP that was none.
            ("http://shop.example/a", "https://127.0.0.1:3000/a", false),
            ("https://shop.example/a", "http://127.0.0.1:3001/a", false),
            ("https://pay.example/a", "https://pay.example/a", true),
            ("https://pay.example/a", "https://evil.example/a", false),
            ("https://pay.example/a", "/a", false),
            ("mailto:a@b.example", "/a", false),
            ("https://tenant.example/a", "/a", true),
            (
                "/a?to=https://shop.example/x",
                "/a?to=https://127.0.0.1:3000/x",
                false,
            ),
        ] {
            check(name, &[captured], &[actual], wanted);
        }
    }

    #[test]
    fn hosts_may_be_named_like_schemes() {
        for host in ["h", "http", "s", "t"] {
            let reached = Reached {
                captured: ("http", host),
                actual: ("http", "127.0.0.1:3000"),
                named: "",
            };
            for location in [format!("//{host}/x"), format!("http://{host}/x")] {
                let (captured, actual) = (
                    fields("location", &[&location]),
                    fields("location", &["/x"]),
                );
                assert!(
                    equal("location", &captured, &actual, &reached),
                    "{location}"
                );
            }
        }
    }

    #[test]
    fn the_media_type_counts_and_its_parameters_do_not() {
        let same = |a: &[&str], b: &[&str]| {
            same_media_type(&fields("content-type", a), &fields("content-type", b))
        };
        assert!(same(&["text/html"], &["Text/HTML; charset=utf-8"]));
        assert!(!same(&["text/html"], &["text/plain"]));
        assert!(!same(&["text/html"], &[]));
    }

    #[test]
    fn the_value_of_a_cookie_is_masked() {
        assert_eq!(
            masked_cookie(b"role=admin; Path=/"),
            "role=[masked]; Path=/"
        );
        assert_eq!(masked_cookie(b"odd; Path=/"), "[masked]; Path=/");
    }
}
