//! Scrubs headers, queries, forms and other texts.

use std::sync::LazyLock;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use regex::Regex;

use super::secrets::{Secrets, known};
use crate::base::http::is_secret_name;

/// `name=value` anywhere in a text: a query, a fragment, a log line. What follows the value is kept.
static ASSIGNMENT: LazyLock<Regex> = LazyLock::new(|| {
    known(r#"(?P<before>\b(?P<name>[A-Za-z][\w.%\[\]-]*)=)(?P<value>[^&\s"'<>#;,]+)"#)
});

/// `<name>value</name>`, also with the value in a CDATA section.
static ELEMENT: LazyLock<Regex> = LazyLock::new(|| {
    known(concat!(
        r"(?P<before><(?P<name>[A-Za-z][\w.:-]*)(?:\s[^<>]*)?>)(?P<value>[^<>]*[^<>\s][^<>]*)",
        r"|(?s:(?P<before1><(?P<name1>[A-Za-z][\w.:-]*)(?:\s[^<>]*)?>\s*<!\[CDATA\[)(?P<value1>.+?)(?P<after1>\]\]>))",
    ))
});

/// `name="value"`, as in XML and in log lines.
static QUOTED: LazyLock<Regex> = LazyLock::new(|| {
    known(concat!(
        r#"(?P<before>\b(?P<name>[A-Za-z][\w.:-]*)\s?=\s?")(?P<value>[^"]+)"#,
        r"|(?P<before1>\b(?P<name1>[A-Za-z][\w.:-]*)\s?=\s?')(?P<value1>[^']+)",
    ))
});

/// A JSON member that can't be parsed because it is cut off, wrapped, or inside another text.
static MEMBER: LazyLock<Regex> = LazyLock::new(|| {
    known(concat!(
        r#"(?P<before>"(?P<name>[\w.-]+)"\s*:\s*")(?P<value>(?:\\.|[^"\\])+)"#,
        r#"|(?P<before1>\\"(?P<name1>[\w.-]+)\\"\s*:\s*\\")(?P<value1>[^"\\]+)"#,
        r"|(?P<before2>'(?P<name2>[\w.-]+)'\s*:\s*')(?P<value2>[^']+)",
        r#"|(?P<before3>"(?P<name3>[\w.-]+)"\s*:\s*)(?P<value3>[0-9][0-9.]*)"#,
    ))
});

/// A line of `name: value`, as in YAML and in the headers of HTTP messages.
static LINE: LazyLock<Regex> = LazyLock::new(|| {
    known(concat!(
        r"(?m)(?P<before>^[ \t-]*(?P<name>[A-Za-z][\w.-]*)[ \t]*:[ \t]+(?:(?i:bearer|basic)[ \t]+)?)",
        r#"(?P<value>[^\s"'\[{](?:[^\r\n]*\S)?)"#,
    ))
});

/// `Bearer …` or `Basic …` anywhere in a text.
static SCHEME: LazyLock<Regex> = LazyLock::new(|| {
    known(r"(?P<before>\b(?P<scheme>(?i:bearer|basic))\s+)(?P<value>[A-Za-z0-9._~+/=-]{8,})")
});

/// A field of a multipart form.
static FIELD: LazyLock<Regex> = LazyLock::new(|| {
    known(concat!(
        r#"(?s)(?P<before>\bname="?(?P<name>[^";\r\n]*)"?[^\r\n]*(?:\r?\n[^\r\n]+)*\r?\n\r?\n)"#,
        r"(?P<value>.*?)(?P<after>\r?\n--)",
    ))
});

/// `user:password@` in a URL.
static USERINFO: LazyLock<Regex> =
    LazyLock::new(|| known(r"(?P<before>://)(?P<user>[^/@\s:]+):(?P<value>[^/@\s]+)(?P<after>@)"));

/// Replaces the secrets in a header's value.
pub(super) fn header(name: &str, value: &mut String, secrets: &mut Secrets) -> Vec<&'static str> {
    match name.to_ascii_lowercase().as_str() {
        "authorization" | "proxy-authorization" => credentials(value, secrets),
        "cookie" => cookies(value, secrets),
        "set-cookie" => {
            let (cookie, attributes) = match value.split_once(';') {
                Some((cookie, rest)) => (cookie.to_owned(), format!(";{rest}")),
                None => (value.clone(), String::new()),
            };
            let mut cookie = cookie;
            let kinds = cookies(&mut cookie, secrets);
            *value = cookie + &attributes;
            kinds
        }
        name if is_secret_name(name) => secrets.whole(value, "token"),
        _ => plain(value, secrets),
    }
}

/// Replaces the credentials of a header such as `Bearer …`, and keeps the scheme.
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

/// Replaces the values of `name=value` pairs.
fn cookies(value: &mut String, secrets: &mut Secrets) -> Vec<&'static str> {
    let mut kinds = Vec::new();
    let parts: Vec<String> = value
        .split(';')
        .map(|part| {
            // A part without a name is all value.
            let at = part.find('=').map_or(0, |at| at + 1);
            let (name, secret) = part.split_at(at);
            let (space, secret) = secret.split_at(secret.len() - secret.trim_start().len());
            let mut secret = secret.to_owned();
            kinds.extend(secrets.whole(&mut secret, "cookie"));
            format!("{name}{space}{secret}")
        })
        .collect();
    *value = parts.join(";");
    kinds.dedup();
    kinds
}

/// Replaces the secrets in any text: those that follow a name, and those that are recognised by their
/// shape.
pub(super) fn plain(value: &mut String, secrets: &mut Secrets) -> Vec<&'static str> {
    // One replacement can make another pattern fit, so that only a round without any shows that a second
    // scrub would find nothing.
    const MOST_ROUNDS: usize = 8;
    let mut kinds = Vec::new();
    for _ in 0..MOST_ROUNDS {
        let found = once(value, secrets);
        if found.is_empty() {
            break;
        }
        kinds.extend(found);
    }
    kinds
}

fn once(value: &mut String, secrets: &mut Secrets) -> Vec<&'static str> {
    let mut kinds = Vec::new();
    let trimmed = value.trim();
    if is_form(trimmed) {
        let start = value.len() - value.trim_start().len();
        let mut form = trimmed.to_owned();
        let end = start + form.len();
        kinds.extend(parameters(&mut form, secrets));
        value.replace_range(start..end, &form);
    }
    for pattern in [
        &*USERINFO,
        &SCHEME,
        &ASSIGNMENT,
        &QUOTED,
        &MEMBER,
        &LINE,
        &ELEMENT,
        &FIELD,
    ] {
        kinds.extend(named(value, pattern, secrets));
    }
    kinds.extend(secrets.inside(value));
    kinds
}

/// Replaces the values that the pattern finds after a secret's name, or without any name.
fn named(text: &mut String, pattern: &Regex, secrets: &mut Secrets) -> Vec<&'static str> {
    let (mut kinds, mut out, mut copied) = (Vec::new(), String::new(), 0);
    for found in pattern.captures_iter(text) {
        // A pattern with several alternatives numbers their groups.
        let group = |name: &str| {
            let forms = ["", "1", "2", "3"];
            forms.iter().find_map(|n| found.name(&format!("{name}{n}")))
        };
        let part = |name: &str| group(name).map_or("", |part| part.as_str());
        let name = percent_decode_str(part("name"))
            .decode_utf8_lossy()
            .into_owned();
        if !name.is_empty() && !is_secret_name(&name) {
            continue;
        }
        let (Some(whole), Some(value)) = (found.get(0), group("value")) else {
            continue;
        };
        if !part("scheme").is_empty() && !looks_made(value.as_str()) {
            continue;
        }
        let user = part("user");
        out.push_str(&text[copied..whole.start()]);
        out.push_str(part("before"));
        if !user.is_empty() {
            let mut user = user.to_owned();
            kinds.extend(secrets.whole(&mut user, "URL credentials"));
            out.push_str(&format!("{user}:"));
        }
        let mut secret = percent_decode_str(value.as_str())
            .decode_utf8_lossy()
            .into_owned();
        let new = secrets.whole(&mut secret, "token");
        out.push_str(if new.is_empty() {
            value.as_str()
        } else {
            &secret
        });
        kinds.extend(new);
        out.push_str(part("after"));
        copied = whole.end();
    }
    if copied > 0 {
        out.push_str(&text[copied..]);
        *text = out;
    }
    kinds.dedup();
    kinds
}

/// Returns whether a word looks generated rather than written by a human.
fn looks_made(word: &str) -> bool {
    let later = word.get(1..).unwrap_or_default();
    word.contains(|c: char| c.is_ascii_digit() || c == '=')
        || later.contains(|c: char| c.is_ascii_uppercase())
            && word.contains(|c: char| c.is_ascii_lowercase())
}

/// Returns whether a text is `name=value&…` and nothing else.
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

/// Replaces the secrets in the parameters of a query or form; new values are percent-encoded.
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
