//! Headers, queries, forms and other texts.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::secrets::{Secrets, is_secret_name};

/// Headers whose whole value is a secret.
const SECRET_HEADERS: [&str; 8] = [
    "x-api-key",
    "api-key",
    "apikey",
    "x-auth-token",
    "x-access-token",
    "x-csrf-token",
    "x-xsrf-token",
    "x-amz-security-token",
];

/// Replaces the secrets of a header's value.
pub(super) fn header(name: &str, value: &mut String, secrets: &mut Secrets) -> Vec<&'static str> {
    match name.to_ascii_lowercase().as_str() {
        "authorization" | "proxy-authorization" => credentials(value, secrets),
        "cookie" => pairs(value, ';', |_| true, "cookie", secrets),
        "set-cookie" => {
            let (cookie, attributes) = match value.split_once(';') {
                Some((cookie, rest)) => (cookie.to_owned(), format!(";{rest}")),
                None => (value.clone(), String::new()),
            };
            let mut cookie = cookie;
            let kinds = pairs(&mut cookie, ';', |_| true, "cookie", secrets);
            *value = cookie + &attributes;
            kinds
        }
        name if SECRET_HEADERS.contains(&name) => secrets.whole(value, "token"),
        _ => plain(value, secrets),
    }
}

/// `Bearer …`: the scheme stays, what comes behind it is the secret.
fn credentials(value: &mut String, secrets: &mut Secrets) -> Vec<&'static str> {
    let (scheme, rest) = match value.split_once(' ') {
        Some((scheme, rest)) => (format!("{scheme} "), rest),
        None => (String::new(), value.as_str()),
    };
    let mut secret = rest.to_owned();
    let kinds = secrets.whole(&mut secret, "authorization");
    *value = scheme + &secret;
    kinds
}

/// Replaces the values of `name=value` pairs whose name `wanted` says is one of a secret.
fn pairs(
    value: &mut String,
    separator: char,
    wanted: impl Fn(&str) -> bool,
    kind: &'static str,
    secrets: &mut Secrets,
) -> Vec<&'static str> {
    let mut kinds = Vec::new();
    let parts: Vec<String> = value
        .split(separator)
        .map(|part| {
            let Some((name, secret)) = part.split_once('=') else {
                return part.to_owned();
            };
            if !wanted(name.trim()) {
                return part.to_owned();
            }
            let mut secret = secret.to_owned();
            kinds.extend(secrets.whole(&mut secret, kind));
            format!("{name}={secret}")
        })
        .collect();
    *value = parts.join(&separator.to_string());
    kinds.dedup();
    kinds
}

/// Replaces the secrets of any text: a URL's query by its names, and what is known by its shape.
pub(super) fn plain(value: &mut String, secrets: &mut Secrets) -> Vec<&'static str> {
    let mut kinds = Vec::new();
    let url = value.clone();
    if let Some((before, rest)) = url.split_once('?') {
        let (query, after) = match rest.find(['#', ' ', '"']) {
            Some(end) => rest.split_at(end),
            None => (rest, ""),
        };
        let mut query = query.to_owned();
        kinds.extend(parameters(&mut query, secrets));
        *value = format!("{before}?{query}{after}");
    } else if is_form(value) {
        // A query by itself, as `url.query` is.
        kinds.extend(parameters(value, secrets));
    }
    kinds.extend(secrets.inside(value));
    kinds
}

/// A body that is not JSON.
pub(super) fn form_or_plain(value: &mut String, secrets: &mut Secrets) -> Vec<&'static str> {
    plain(value, secrets)
}

/// Whether a text is `name=value&…` and nothing else.
fn is_form(text: &str) -> bool {
    !text.is_empty()
        && text.split('&').all(|pair| {
            let name = pair.split_once('=').map(|(name, _)| name);
            name.is_some_and(|name| {
                !name.is_empty()
                    && name
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"_-.[]%+~*".contains(&b))
            })
        })
        && !text.contains(char::is_whitespace)
}

/// The parameters of a query or a form whose names are those of secrets; what is escaped is so again.
fn parameters(query: &mut String, secrets: &mut Secrets) -> Vec<&'static str> {
    let mut kinds = Vec::new();
    let parts: Vec<String> = query
        .split('&')
        .map(|pair| {
            let Some((name, value)) = pair.split_once('=') else {
                return pair.to_owned();
            };
            let mut plain = percent_decode_str(&value.replace('+', " "))
                .decode_utf8_lossy()
                .into_owned();
            let found = if is_secret_name(&percent_decode_str(name).decode_utf8_lossy()) {
                secrets.whole(&mut plain, "token")
            } else {
                secrets.inside(&mut plain)
            };
            if found.is_empty() {
                return pair.to_owned();
            }
            kinds.extend(found);
            format!("{name}={}", utf8_percent_encode(&plain, UNRESERVED))
        })
        .collect();
    *query = parts.join("&");
    kinds.dedup();
    kinds
}

const UNRESERVED: &percent_encoding::AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
