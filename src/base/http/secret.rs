//! Which headers hold secrets, and how header values are displayed.

use std::borrow::Cow;

/// What is shown instead of a secret.
pub(crate) const MASKED: &str = "[masked]";

/// Returns whether a header's value is masked in all human-readable output.
pub(crate) fn is_secret(name: &str) -> bool {
    const SECRET: [&str; 5] = [
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
    ];
    let mut secrets = SECRET.iter();
    secrets.any(|secret| name.eq_ignore_ascii_case(secret)) || is_secret_name(name)
}

/// Returns a header's value for display: a secret masked, any other value as text.
pub(crate) fn shown<'a>(name: &str, value: &'a [u8]) -> Cow<'a, str> {
    if is_secret(name) {
        Cow::Borrowed(MASKED)
    } else {
        String::from_utf8_lossy(value)
    }
}

/// Returns whether a member, a form field or a query parameter with this name holds a secret: the whole name says so, or the
/// last part of a nested one, such as `card[cvc]` or `user.pin`.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let mut parts = name.rsplit(['[', ']', '.']).filter(|part| !part.is_empty());
    let last = parts.next().filter(|last| last.len() < name.len());
    is_secret_word(name) || last.is_some_and(is_secret_word)
}

fn is_secret_word(name: &str) -> bool {
    let name: String = name
        .chars()
        .filter(|c| !['_', '-', '.', '[', ']'].contains(c))
        .map(|c| c.to_ascii_lowercase())
        .collect();
    // `tokens` is left out: it is more often a count than a list.
    const ENDINGS: [&str; 15] = [
        "token",
        "secret",
        "secrets",
        "password",
        "passwords",
        "passwd",
        "apikey",
        "apikeys",
        "subscriptionkey",
        "signingkey",
        "amzsignature",
        "accesskey",
        "secretkey",
        "privatekey",
        "authorization",
    ];
    const WHOLE: [&str; 21] = [
        "auth",
        "bearer",
        "credential",
        "credentials",
        "otp",
        "totp",
        "onetimecode",
        "jsessionid",
        "phpsessid",
        "pwd",
        "pass",
        "passphrase",
        "jwt",
        "sessionid",
        "cookie",
        "cookies",
        "setcookie",
        "cvc",
        "cvv",
        "cvv2",
        "pin",
    ];
    ENDINGS.iter().any(|ending| name.ends_with(ending)) || WHOLE.contains(&name.as_str())
}

/// Returns a path with its query for display: the values of names that hold secrets are masked.
pub(crate) fn shown_target(target: &str) -> Cow<'_, str> {
    let Some((path, query)) = target.split_once('?') else {
        return target.into();
    };
    let is_secret = |part: &str| {
        let name = part.split_once('=').map(|(name, _)| name);
        name.is_some_and(|name| {
            is_secret_name(&percent_encoding::percent_decode_str(name).decode_utf8_lossy())
        })
    };
    if !query.split('&').any(is_secret) {
        return target.into();
    }
    let parts = query.split('&').map(|part| match is_secret(part) {
        true => format!("{}=[masked]", part.split('=').next().unwrap_or_default()),
        false => part.to_owned(),
    });
    format!("{path}?{}", parts.collect::<Vec<_>>().join("&")).into()
}

#[cfg(test)]
#[cfg(feature = "runner")]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_a_query_are_masked() {
        for (target, shown) in [
            ("/a?page=2", "/a?page=2"),
            ("/a", "/a"),
            (
                "/a?api_key=k&page=2&access%5Ftoken=t",
                "/a?api_key=[masked]&page=2&access%5Ftoken=[masked]",
            ),
            ("http://h/a?token", "http://h/a?token"),
        ] {
            assert_eq!(shown_target(target), shown);
        }
    }
}
