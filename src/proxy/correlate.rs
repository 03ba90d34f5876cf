//! Finds the session that a call belongs to, in five ways, tried in the order given in
//! `docs/runtime.md`.

use super::ambient::Ambient;
use crate::base::encoding::decode_strict_base64;
use crate::base::http::{Headers, Request, SESSION_HEADER, Trace};
use crate::control::Oracle;
use crate::error::SoftprobeError;

/// What a call's headers say about its session.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Correlation {
    /// The call belongs to this session, if it is open.
    Session(String),
    /// It names none, and is the application's own business.
    Ambient(Ambient),
    /// No session is open.
    Idle,
    /// The call belongs to none of the open sessions, for this reason.
    None(String),
}

/// Finds a call's session. The first way that names one decides, even if that session is not open.
pub(super) fn correlate(
    request: &Request,
    oracle: &dyn Oracle,
) -> Result<Correlation, SoftprobeError> {
    let headers = &request.headers;
    if let Some(session) = named(headers, oracle) {
        return Ok(Correlation::Session(session));
    }
    let ambient = Ambient::of(request, oracle);
    let open = oracle.open_sessions()?;
    if let Some(ambient) = ambient {
        // What the only open case has captured is its own, whatever else it looks like.
        return Ok(match open.as_slice() {
            [only] if oracle.expects(only, request) => Correlation::Session(only.clone()),
            _ => Correlation::Ambient(ambient),
        });
    }
    Ok(match open.as_slice() {
        [] => Correlation::Idle,
        [only] => Correlation::Session(only.clone()),
        several => Correlation::None(format!(
            "it carries no session: {}, and {} sessions were open",
            carried(headers),
            several.len()
        )),
    })
}

/// Returns whether the headers of a call name a session, known or not.
#[cfg(feature = "runner")]
pub(crate) fn names_session(headers: &Headers, oracle: &dyn Oracle) -> Option<String> {
    named(headers, oracle)
}

/// Returns the session that the headers of a call name.
fn named(headers: &Headers, oracle: &dyn Oracle) -> Option<String> {
    from_header(headers)
        .or_else(|| from_tracestate(headers))
        .or_else(|| from_credentials(headers))
        .or_else(|| oracle.session_of_trace(&Trace::of(headers)?.trace_id))
}

/// Returns what a call is about if it names no session and is the application's own business. This waits for nothing.
pub(super) fn ambient(request: &Request, oracle: &dyn Oracle) -> Option<Ambient> {
    match named(&request.headers, oracle) {
        Some(_) => None,
        None => Ambient::of(request, oracle),
    }
}

/// Returns what the headers of a call that names no session carry instead.
fn carried(headers: &Headers) -> &'static str {
    match (
        headers.contains("traceparent"),
        headers.contains("tracestate"),
    ) {
        (false, false) => "the application passed on neither `tracestate` nor `traceparent`",
        (true, _) => "its `traceparent` is not one that was given to the application",
        (false, true) => "its `tracestate` has no entry of softprobe",
    }
}

/// Returns why a call belongs to none if the session that it names is not known; `None` if no session is open at
/// all.
pub(super) fn unknown(
    session: &str,
    oracle: &dyn Oracle,
) -> Result<Option<String>, SoftprobeError> {
    let some = !oracle.open_sessions()?.is_empty();
    Ok(some.then(|| format!("its session `{session}` is not known")))
}

fn from_header(headers: &Headers) -> Option<String> {
    let value = headers.text(SESSION_HEADER)?;
    let value = value.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

fn from_tracestate(headers: &Headers) -> Option<String> {
    let values: Vec<_> = headers
        .all("tracestate")
        .map(String::from_utf8_lossy)
        .collect();
    let entries = || {
        let all = values.iter().flat_map(|value| value.split(','));
        all.filter_map(|entry| entry.trim().split_once('='))
            .map(|(key, value)| (key.trim(), value.trim()))
            .filter(|(_, value)| !value.is_empty())
    };
    // The `sp=<id>,<revision>` of old captures needs no special treatment: the comma ends the entry.
    [SESSION_HEADER, "sp"].iter().find_map(|wanted| {
        let (_, session) = entries().find(|(key, _)| key == wanted)?;
        Some(session.to_owned())
    })
}

fn from_credentials(headers: &Headers) -> Option<String> {
    let value = headers.text("proxy-authorization")?;
    let (scheme, encoded) = value.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = decode_strict_base64(encoded.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let user = text.split_once(':').map_or(text.as_str(), |(user, _)| user);
    (!user.is_empty()).then(|| user.to_owned())
}

/// Adds the session to `tracestate` if only the header names it, as Envoy's ingress listener does elsewhere, so
/// that the application has something to pass on. A request without `traceparent` is given this trace; a
/// request whose header names no session is not changed.
pub(super) fn with_trace(headers: &mut Headers, own: &Trace) {
    let Some(session) = from_header(headers) else {
        return;
    };
    if from_tracestate(headers).is_none() {
        let entry = format!("{SESSION_HEADER}={session}");
        let others: Vec<String> = headers
            .all("tracestate")
            .map(|value| String::from_utf8_lossy(value).into_owned())
            .collect();
        let all: Vec<String> = std::iter::once(entry).chain(others).collect();
        headers.set("tracestate", all.join(","));
    }
    if Trace::of(headers).is_none() {
        headers.set("traceparent", own.to_string());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::case::Recording;
    use crate::control::Ruling;

    /// A runtime with these sessions open, which issued the trace id of all `a`s to the session
    /// `traced`.
    #[derive(Debug)]
    struct Open(&'static [&'static str]);

    impl Oracle for Open {
        fn blocks(&self) -> bool {
            false
        }

        fn open_sessions(&self) -> Result<Vec<String>, SoftprobeError> {
            Ok(self.0.iter().map(|id| (*id).to_owned()).collect())
        }

        fn issue_trace(&self, _: &str, _: &str) {}

        fn session_of_trace(&self, trace_id: &str) -> Option<String> {
            (trace_id == "a".repeat(32)).then(|| "traced".to_owned())
        }

        fn decide(&self, _: &str, _: &Arc<Request>) -> Result<Option<Ruling>, SoftprobeError> {
            Ok(None)
        }

        fn record(&self, _: &Recording<'_>) -> Result<(), SoftprobeError> {
            Ok(())
        }

        fn note_refused(
            &self,
            _: Option<&str>,
            _: &Request,
            _: &str,
        ) -> Result<(), SoftprobeError> {
            Ok(())
        }

        fn note_uncorrelated(&self, _: &Request, _: &str) -> Result<bool, SoftprobeError> {
            Ok(false)
        }
    }

    #[test]
    fn the_first_source_that_names_a_session_decides() {
        let issued = format!("00-{}-{}-01", "a".repeat(32), "b".repeat(16));
        let foreign = format!("00-{}-{}-01", "c".repeat(32), "b".repeat(16));
        let basic = "Basic dXNlcjp4"; // user:x
        let session = |id: &str| Correlation::Session(id.to_owned());
        for (headers, open, wanted) in [
            (
                &[("x-softprobe-session-id", " s1 "), ("tracestate", "sp=s2")][..],
                &[][..],
                session("s1"),
            ),
            (
                &[("tracestate", "v=1, x-softprobe-session-id=s2 ,sp=s3")],
                &[],
                session("s2"),
            ),
            (
                &[("tracestate", "a=b"), ("tracestate", "sp=s3,7")],
                &[],
                session("s3"),
            ),
            (
                &[("tracestate", "sp="), ("traceparent", issued.as_str())],
                &[],
                session("traced"),
            ),
            (
                &[
                    ("proxy-authorization", basic),
                    ("traceparent", issued.as_str()),
                ],
                &[],
                session("user"),
            ),
            (
                &[("proxy-authorization", "Bearer dXNlcjp4")],
                &["only"],
                session("only"),
            ),
            (
                &[("traceparent", foreign.as_str())],
                &["only"],
                session("only"),
            ),
            (&[("traceparent", "00-short-b-01")], &[], Correlation::Idle),
            (&[], &["only"], session("only")),
            (&[], &[], Correlation::Idle),
        ] {
            let request = with(headers);
            assert_eq!(
                correlate(&request, &Open(open)).unwrap(),
                wanted,
                "{headers:?}"
            );
        }
    }

    fn with(headers: &[(&str, &str)]) -> Request {
        Request {
            headers: headers.iter().copied().collect(),
            ..Request::default()
        }
    }

    #[test]
    fn a_call_without_a_session_is_told_what_it_lacks() {
        let foreign = format!("00-{}-{}-01", "c".repeat(32), "b".repeat(16));
        for (headers, wanted) in [
            (&[][..], "neither `tracestate` nor `traceparent`"),
            (
                &[("traceparent", foreign.as_str())],
                "`traceparent` is not one",
            ),
            (&[("tracestate", "a=b")], "`tracestate` has no entry"),
        ] {
            let several = correlate(&with(headers), &Open(&["a", "b"])).unwrap();
            let Correlation::None(reason) = several else {
                panic!("{several:?}");
            };
            assert!(reason.contains("2 sessions were open"), "{reason}");
            assert!(reason.contains(wanted), "{reason}");
        }
    }

    #[test]
    fn a_call_that_names_a_session_is_never_ambient() {
        let exporter = |headers: &[(&str, &str)]| {
            let mut request = Request::new("POST", "http://otel:4318/v1/traces");
            request.headers = headers.iter().copied().collect();
            request.headers.push("content-type", "application/json");
            correlate(&request, &Open(&["only"])).unwrap()
        };
        assert_eq!(exporter(&[]), Correlation::Ambient(Ambient::Telemetry));
        let named = [("x-softprobe-session-id", "s1")];
        assert_eq!(exporter(&named), Correlation::Session("s1".to_owned()));
    }

    #[test]
    fn a_first_hop_gets_the_headers_that_an_application_passes_on() {
        let own = Trace {
            trace_id: "1".repeat(32),
            span_id: "2".repeat(16),
        };
        let traced = |fields: &[(&str, &str)]| {
            let mut headers: Headers = fields.iter().copied().collect();
            with_trace(&mut headers, &own);
            (
                headers.text("tracestate").map(|t| t.into_owned()),
                headers.text("traceparent").map(|t| t.into_owned()),
            )
        };
        let fresh = own.to_string();
        let (state, parent) = traced(&[("x-softprobe-session-id", "s1"), ("tracestate", "a=b")]);
        assert_eq!(state.as_deref(), Some("x-softprobe-session-id=s1,a=b"));
        assert_eq!(parent.as_deref(), Some(fresh.as_str()));
        assert_eq!(
            traced(&[("tracestate", "a=b")]),
            (Some("a=b".to_owned()), None)
        );
    }
}
