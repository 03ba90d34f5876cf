//! Adapts answers to the client that asked.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::{CONNECTION, CONTENT_LOCATION, HeaderName, HeaderValue, LOCATION};

use super::target::{Form, REVERSE_PREFIX};
use crate::base::decode::decoded;
use crate::base::http::{Request, Response, split_url};
use crate::net::HyperResponse;

/// What matters of a client for the form of its answer.
#[derive(Debug)]
pub(super) struct Client {
    /// For the reverse form, what the client named in its path.
    reversed: Option<Named>,
    /// Whether its pool keeps connections without looking whether they are still open.
    is_java: bool,
}

/// The server and the path that a client named in the reverse form.
#[derive(Debug)]
struct Named {
    scheme: String,
    host: String,
    path: String,
}

impl Client {
    pub(super) fn of(request: &Request, form: Form) -> Self {
        let agent = request.headers.text("user-agent").unwrap_or_default();
        let reversed = (form == Form::Reverse).then(|| Named {
            scheme: request.scheme.clone(),
            host: request.host.clone(),
            path: request.path.clone(),
        });
        Self {
            reversed,
            is_java: ["Java/", "Java-http-client"]
                .iter()
                .any(|name| agent.contains(name)),
        }
    }

    /// Returns the answer as this client needs it.
    pub(super) fn adapt(&self, mut answer: HyperResponse) -> HyperResponse {
        let switches = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        let headers = answer.headers_mut();
        if let Some(named) = &self.reversed {
            // The server's own addresses would lead the client to the proxy itself, or past it.
            for name in [LOCATION, CONTENT_LOCATION] {
                rewrite(headers, &name, |url| named.reversed(url));
            }
            rewrite(headers, &HeaderName::from_static("refresh"), |value| {
                let (delay, url) = value.split_once(';')?;
                let (name, url) = url.split_once('=')?;
                let url = named.reversed(url.trim().trim_matches(['"', '\'']))?;
                Some(format!("{delay};{name}={url}"))
            });
        }
        if self.is_java && !switches {
            // Without the first, the JDK ignores the second. Its pools write to a connection that a proxy of an
            // earlier run has closed, and don't repeat what they streamed.
            headers.insert(CONNECTION, HeaderValue::from_static("keep-alive"));
            let limit = HeaderValue::from_static("timeout=1");
            headers.insert(HeaderName::from_static("keep-alive"), limit);
        }
        answer
    }
}

fn rewrite(
    headers: &mut hyper::HeaderMap,
    name: &HeaderName,
    changed: impl Fn(&str) -> Option<String>,
) {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    let value = value.and_then(changed);
    if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
        headers.insert(name, value);
    }
}

impl Named {
    /// Returns a URL that the server named in the reverse form; `None` if it leads to the same path, or nowhere.
    fn reversed(&self, url: &str) -> Option<String> {
        let Self { scheme, host, path } = self;
        if let Some(rest) = url.strip_prefix("//") {
            return Some(format!("{REVERSE_PREFIX}{scheme}/{rest}"));
        }
        if url.starts_with('/') {
            return Some(format!("{REVERSE_PREFIX}{scheme}/{host}{url}"));
        }
        if let Some((scheme, host, target)) = split_url(url) {
            let scheme = scheme.to_ascii_lowercase();
            let fragment = url
                .split_once('#')
                .map(|(_, fragment)| format!("#{fragment}"));
            let fragment = fragment.unwrap_or_default();
            let slash = if target.starts_with('/') { "" } else { "/" };
            let is_http = ["http", "https"].contains(&&*scheme);
            return is_http
                .then(|| format!("{REVERSE_PREFIX}{scheme}/{host}{slash}{target}{fragment}"));
        }
        let end = url.find(['?', '#']).unwrap_or(url.len());
        let (relative, rest) = url.split_at(end);
        if relative.is_empty() || relative.contains(':') {
            return None;
        }
        // Resolved here, since the prefix is no part of the server's own path.
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut segments: Vec<&str> = Vec::new();
        let all = folder.split('/').skip(1).chain(relative.split('/'));
        for segment in all {
            match segment {
                "." => {}
                ".." => drop(segments.pop()),
                segment => segments.push(segment),
            }
        }
        if matches!(relative.rsplit('/').next(), Some("." | "..")) {
            segments.push("");
        }
        let path = segments.join("/");
        Some(format!("{REVERSE_PREFIX}{scheme}/{host}/{path}{rest}"))
    }
}

/// Returns a URL in the reverse form as the server's own; `None` for any other URL.
#[cfg(feature = "runner")]
pub(crate) fn unreversed(url: &str) -> Option<String> {
    let rest = url.strip_prefix(REVERSE_PREFIX)?;
    let (scheme, rest) = rest.split_once('/')?;
    Some(format!("{scheme}://{rest}"))
}

/// Returns a mock's response without a coding that the client did not ask for (RFC 9110, 12.5.3); unchanged if that
/// can't be undone.
pub(super) fn acceptable(request: &Request, response: Arc<Response>) -> Arc<Response> {
    let Some(coding) = response.headers.text("content-encoding") else {
        return response;
    };
    let accepted = request.headers.all("accept-encoding").any(|value| {
        let value = String::from_utf8_lossy(value).to_ascii_lowercase();
        value.split(',').any(|accepted| {
            let mut parts = accepted.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let refused = parts.any(|part| part.trim_start_matches("q=").parse() == Ok(0.0));
            !refused && (name == "*" || name == coding.trim().to_ascii_lowercase())
        })
    });
    if accepted || response.body.is_empty() {
        return response;
    }
    let (body, undecoded) = decoded(&response.headers, &response.body);
    if undecoded.is_some() {
        return response;
    }
    let body = body.into_owned();
    let mut plain = Response {
        body,
        ..Response::clone(&response)
    };
    plain.headers.remove("content-encoding");
    Arc::new(plain)
}

#[cfg(test)]
#[cfg(feature = "runner")]
mod tests {
    use super::*;

    #[test]
    fn addresses_stay_in_the_reverse_form() {
        for (url, wanted) in [
            (
                "/login?a=1#x",
                Some("/__softprobe/https/shop.example/login?a=1#x"),
            ),
            (
                "http://auth.example/x?y#z",
                Some("/__softprobe/http/auth.example/x?y#z"),
            ),
            (
                "HTTPS://auth.example",
                Some("/__softprobe/https/auth.example/"),
            ),
            (
                "https://auth.example?q=1",
                Some("/__softprobe/https/auth.example/?q=1"),
            ),
            ("//cdn.example/a", Some("/__softprobe/https/cdn.example/a")),
            (
                "next?a=b",
                Some("/__softprobe/https/shop.example/a/b/next?a=b"),
            ),
            ("../home", Some("/__softprobe/https/shop.example/a/home")),
            ("../../../..", Some("/__softprobe/https/shop.example/")),
            ("./", Some("/__softprobe/https/shop.example/a/b/")),
            ("?page=2", None),
            ("#top", None),
            ("mailto:a@b.example", None),
        ] {
            let named = Named {
                scheme: "https".to_owned(),
                host: "shop.example".to_owned(),
                path: "/a/b/c".to_owned(),
            };
            let changed = named.reversed(url);
            assert_eq!(changed.as_deref(), wanted, "{url}");
        }
        let url = unreversed("/__softprobe/https/pay.example/1?a");
        assert_eq!(url.as_deref(), Some("https://pay.example/1?a"));
        assert_eq!(unreversed("/a"), None);
    }
}
