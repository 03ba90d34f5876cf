//! What the formats that keep messages as JSON have in common.

use crate::base::document::{Node, Object, Problems};
use crate::base::encoding::encode_base64;
use crate::base::http::{Headers, Response, is_hop_by_hop, split_url};

/// Adds a header field, each part with the place where it stands, unless the field is about the connection.
pub(super) fn push_field(
    headers: &mut Headers,
    (name, name_node): (&str, &Node<'_>),
    (value, value_node): (&str, &Node<'_>),
    problems: &mut Problems,
) -> Option<()> {
    // Pseudo-headers of HTTP/2 stand beside the others.
    if name.starts_with(':') || is_hop_by_hop(name) {
        return Some(());
    }
    if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        return name_node.wrong("a header's name", problems);
    }
    // Browsers join several fields of one name.
    for value in value.split('\n') {
        let value = value.trim_matches(['\r', ' ', '\t']);
        if http::HeaderValue::from_str(value).is_err() {
            return value_node.wrong("a header's value", problems);
        }
        headers.push(name, value.as_bytes());
    }
    Some(())
}

/// Returns whether an answer of this status to a request of this method has a body.
pub(super) fn has_body(method: &str, status: u16) -> bool {
    method != "HEAD" && !matches!(status, 101 | 204 | 304)
}

/// Gives an answer its body, which is kept decoded.
pub(super) fn set_body(answer: &mut Response, body: Vec<u8>) {
    // They are about another form of it.
    answer.headers.remove("content-encoding");
    answer.headers.remove("content-length");
    answer.body = body;
}

/// Returns a member that is text and not empty.
pub(super) fn text_of(object: &Object<'_>, name: &str) -> Option<String> {
    let text = object.given(name)?.string(&mut Problems::default())?;
    (!text.is_empty()).then_some(text)
}

/// Returns an absolute URL of http or https for one that may lack `http://`, as curl and Postman read it; `None` for any
/// other.
pub(super) fn http_url(text: &str) -> Option<String> {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    // Another URL may stand in the query.
    let scheme = scheme.filter(|scheme| !scheme.contains(['/', '?', '#']));
    let url = match scheme {
        Some(scheme) => {
            let rest = &text[scheme.len()..];
            format!("{}{rest}", scheme.to_ascii_lowercase())
        }
        None => format!("http://{text}"),
    };
    let parts = split_url(&url);
    let is_http = parts.is_some_and(|(scheme, host, _)| {
        matches!(scheme, "http" | "https") && http::uri::Authority::try_from(host).is_ok()
    });
    is_http.then_some(url)
}

/// Returns the `Authorization` that the user name and the password in a URL stand for.
pub(super) fn basic_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    let plain = |text: &str| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
    let credentials = [plain(name), plain(password)].join(&b':');
    Some(format!("Basic {}", encode_base64(&credentials)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_may_lack_its_scheme() {
        for (given, wanted) in [
            (
                "shop.example/a?next=https://b",
                Some("http://shop.example/a?next=https://b"),
            ),
            ("HTTPS://shop.example", Some("https://shop.example")),
            ("127.0.0.1:3000/", Some("http://127.0.0.1:3000/")),
            ("ftp://shop.example/", None),
            ("http:///a", None),
            ("http://shop exa/x", None),
            ("http://[::1/x", None),
            ("–d", None),
            ("", None),
        ] {
            assert_eq!(http_url(given).as_deref(), wanted, "{given}");
        }
    }

    #[test]
    fn a_user_in_a_url_is_an_authorization() {
        assert_eq!(
            basic_of("http://me:s%20t@h/").as_deref(),
            Some("Basic bWU6cyB0")
        );
        assert_eq!(basic_of("http://h/@"), None);
    }
}
